//! The directory for packs under way.
//!
//! It holds packs that are being sent, and for each that was sent a note of what is in it, until
//! a segment on the remote says so. One push at a time uses it; the caller sees to that.

use std::path::{Path, PathBuf};

use crate::fs::{self, TempFile};
use crate::hash::PackId;

use super::super::Result;
use super::super::format::Format;
use super::super::segment::{self, PackEntries};

const NOTE: &str = ".segment";
/// How `TempFile` names begin.
const TEMP: &str = ".esker-tmp-";

/// The spool of one remote.
pub(super) struct Spool {
    dir: PathBuf,
}

impl Spool {
    /// Begins to use it, and removes what a killed push left.
    pub(super) fn open(dir: &Path, format: &Format) -> Result<Self> {
        let spool = Self::peek(dir, format);
        for name in spool.names()? {
            if name.starts_with(TEMP) {
                fs::remove_file(&spool.dir.join(name))?;
            }
        }
        Ok(spool)
    }

    /// Only reads.
    pub(super) fn peek(dir: &Path, format: &Format) -> Self {
        Self {
            dir: dir.join(&format.uuid),
        }
    }

    /// A file for a pack.
    pub(super) fn temp(&self) -> Result<TempFile> {
        Ok(TempFile::new_in(&self.dir)?)
    }

    /// Notes that a pack was sent.
    pub(super) fn note(&self, pack: &PackEntries) -> Result<()> {
        let (_, bytes) = segment::encode(std::slice::from_ref(pack));
        Ok(fs::write_new(&self.note_path(pack.id), &bytes)?)
    }

    /// Forgets a pack that a segment lists now.
    pub(super) fn forget(&self, pack: PackId) -> Result<()> {
        Ok(fs::remove_file(&self.note_path(pack))?)
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
        let spool = Spool::open(dir.path(), &format).unwrap();
        assert_eq!(spool.notes().unwrap(), []);
        let temp = spool.temp().unwrap();
        spool.note(&pack).unwrap();
        drop(spool);
        std::mem::forget(temp);
        let spool = Spool::open(dir.path(), &format).unwrap();
        assert_eq!(spool.notes().unwrap(), std::slice::from_ref(&pack));
        assert_eq!(spool.names().unwrap().len(), 1, "what was left is gone");
        let other = Spool::peek(dir.path(), &Format::new([2; 16]));
        assert_eq!(other.notes().unwrap(), []);
        spool.forget(pack.id).unwrap();
        assert_eq!(spool.notes().unwrap(), []);
    }

    #[test]
    fn a_note_that_was_cut_short_says_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let format = Format::new([1; 16]);
        let spool = Spool::open(dir.path(), &format).unwrap();
        drop(spool.temp().unwrap());
        let path = spool.note_path(PackId(Digest::of(b"pack")));
        fs::write_new(&path, b"ESKIDX01").unwrap();
        assert_eq!(spool.notes().unwrap(), []);
    }
}
