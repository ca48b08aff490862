//! The directory for packs under way.
//!
//! It holds for each pack that was sent a note of what is in it, until a snapshot on the remote names
//! it. One push at a time uses it; the caller sees to that.

use std::path::{Path, PathBuf};

use crate::fs;
use crate::hash::PackId;

use super::super::Result;
use super::super::format::Format;
use super::super::segment::{self, PackEntries};

const NOTE: &str = ".segment";

/// The spool of one remote.
pub(super) struct Spool {
    dir: PathBuf,
}

impl Spool {
    /// Where it is.
    pub(super) fn of(dir: &Path, format: &Format) -> Self {
        Self {
            dir: dir.join(&format.uuid),
        }
    }

    /// Notes that a pack was sent.
    pub(super) fn note(&self, pack: &PackEntries) -> Result<()> {
        let (_, bytes) = segment::encode(std::slice::from_ref(pack));
        fs::create_dir_all(&self.dir)?;
        Ok(fs::write_new(&self.note_path(pack.id), &bytes)?)
    }

    /// Forgets all packs, since snapshots name them now.
    pub(super) fn clear(&self) -> Result<()> {
        for name in self.names()? {
            fs::remove_file(&self.dir.join(name))?;
        }
        Ok(())
    }

    /// The packs that were sent. A note that was cut short says nothing.
    pub(super) fn notes(&self) -> Result<Vec<PackEntries>> {
        let mut packs = Vec::new();
        for name in self.names()? {
            if name.ends_with(NOTE) {
                let bytes = fs::read_if_exists(&self.dir.join(name))?;
                let read = bytes.and_then(|bytes| segment::decode(&bytes).ok());
                packs.extend(read.into_iter().flatten());
            }
        }
        Ok(packs)
    }

    fn note_path(&self, pack: PackId) -> PathBuf {
        self.dir.join(format!("{pack}{NOTE}"))
    }

    fn names(&self) -> Result<Vec<String>> {
        let names = match fs::list_dir(&self.dir) {
            Err(error) if fs::is_missing(&error.source) => Vec::new(),
            listed => listed?,
        };
        let names = names.into_iter().map(|name| name.into_string());
        Ok(names.filter_map(std::result::Result::ok).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Digest;
    use crate::pack::PackKind;

    #[test]
    fn notes_last_until_they_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let format = Format::new([1; 16]);
        let pack = PackEntries {
            id: PackId(Digest::of(b"pack")),
            size: 96,
            kind: PackKind::Blobs,
            entries: Vec::new(),
        };
        let spool = Spool::of(dir.path(), &format);
        assert_eq!(spool.notes().unwrap(), []);
        spool.note(&pack).unwrap();
        let again = Spool::of(dir.path(), &format);
        assert_eq!(again.notes().unwrap(), std::slice::from_ref(&pack));
        let other = Spool::of(dir.path(), &Format::new([2; 16]));
        assert_eq!(other.notes().unwrap(), []);
        spool.clear().unwrap();
        assert_eq!(spool.notes().unwrap(), []);
    }

    #[test]
    fn a_note_that_was_cut_short_says_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let format = Format::new([1; 16]);
        let spool = Spool::of(dir.path(), &format);
        let path = spool.note_path(PackId(Digest::of(b"pack")));
        fs::create_dir_all(&spool.dir).unwrap();
        fs::write_new(&path, b"ESKIDX01").unwrap();
        assert_eq!(spool.notes().unwrap(), []);
    }
}
