//! What was put and a power cut could still take away.
//!
//! While an act has such objects, a mark lies in `tmp/`: whoever finds a name in the store and no
//! mark of anybody else knows that the bytes are on the disk. So a flush may be about the few files
//! of one act alone, and need not wait for all that other programs wrote. `docs/format.md`, section
//! "The store".

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Result, TEMP};
use crate::fs::{self, Durability};

/// More files than this are flushed together with all else that the file system has not written.
const FEW: usize = 64;
const MARK: &str = ".unflushed";

/// What the handles on one store have put since their last flush.
#[derive(Debug)]
pub(super) struct Unflushed {
    root: PathBuf,
    durability: Durability,
    written: Mutex<Written>,
}

#[derive(Debug, Default)]
struct Written {
    mark: Option<PathBuf>,
    /// A few more than [`FEW`] at most.
    files: Vec<PathBuf>,
    dirs: BTreeSet<PathBuf>,
    /// Why a flush failed. The kernel tells of lost bytes once, so another try would say nothing.
    failed: Option<i32>,
}

impl Unflushed {
    pub(super) fn new(root: &Path, durability: Durability) -> Self {
        Self {
            root: root.to_path_buf(),
            durability,
            written: Mutex::default(),
        }
    }

    /// Where the store lies.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Whether a file must reach the disk before it gets its name.
    pub(super) fn comes_first(&self) -> bool {
        match self.durability {
            Durability::Full => true,
            Durability::Batch => !fs::FLUSHES_ALL_AT_ONCE,
            Durability::None => false,
        }
    }

    /// Whether anything is ever flushed.
    pub(super) fn is_wanted(&self) -> bool {
        self.durability != Durability::None
    }

    /// Remembers a file that is about to get this name.
    pub(super) fn note(&self, path: &Path) -> Result<()> {
        if !self.is_wanted() {
            return Ok(());
        }
        let mut written = self.written();
        if written.mark.is_none() {
            let name = fs::temp_name() + MARK;
            let mark = self.root.join(TEMP).join(name);
            fs::create_new(&mark)?;
            written.mark = Some(mark);
        }
        let dirs = path.ancestors().skip(1);
        let dirs = dirs.take_while(|dir| dir.starts_with(&self.root));
        for dir in dirs {
            if !written.dirs.contains(dir) {
                written.dirs.insert(dir.to_path_buf());
            }
        }
        if written.files.len() <= FEW {
            written.files.push(path.to_path_buf());
        }
        Ok(())
    }

    /// Makes all that was put, here or by others that did not come to it, survive a power cut.
    pub(super) fn flush(&self) -> Result<()> {
        if !self.is_wanted() {
            return Ok(());
        }
        let mut written = self.written();
        if let Some(code) = written.failed {
            let (action, path) = ("flush", self.root.clone());
            let source = io::Error::from_raw_os_error(code);
            return Err(fs::Error {
                action,
                path,
                source,
            }
            .into());
        }
        let flushed = self.flush_all(&written);
        if let Err(error) = &flushed {
            let eio = rustix::io::Errno::IO.raw_os_error();
            written.failed = Some(error.source.raw_os_error().unwrap_or(eio));
        } else {
            *written = Written::default();
        }
        Ok(flushed?)
    }

    fn flush_all(&self, written: &Written) -> fs::Result<()> {
        let others = self.marks_of_others(written.mark.as_deref())?;
        let one_by_one = others.is_empty() && (self.comes_first() || written.files.len() <= FEW);
        if one_by_one {
            flush_each(written, !self.comes_first())?;
        } else {
            fs::sync_file_system(&self.root)?;
        }
        let dead = others.iter().filter(|mark| {
            let name = mark.file_name();
            name.is_some_and(fs::is_abandoned)
        });
        for mark in dead.chain(&written.mark) {
            fs::remove_file(mark)?;
        }
        Ok(())
    }

    fn marks_of_others(&self, own: Option<&Path>) -> fs::Result<Vec<PathBuf>> {
        let dir = self.root.join(TEMP);
        if fs::metadata(&dir)?.is_none() {
            return Ok(Vec::new());
        }
        let names = fs::list_dir(&dir)?.into_iter();
        let marks = names.filter(|name| name.to_str().is_some_and(|name| name.ends_with(MARK)));
        let marks = marks.map(|name| dir.join(name));
        Ok(marks.filter(|mark| Some(mark.as_path()) != own).collect())
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        // A panic in between can only have left something in it that need not be flushed.
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn flush_each(written: &Written, files: bool) -> fs::Result<()> {
    for file in written.files.iter().filter(|_| files) {
        match fs::sync_file(file) {
            // Damaged, and moved away since.
            Err(error) if fs::is_missing(&error.source) => {}
            synced => synced?,
        }
    }
    written.dirs.iter().try_for_each(|dir| fs::sync_dir(dir))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::ObjectKind;
    use crate::store::{Settings, Store};

    fn store(dir: &Path, durability: Durability) -> Store {
        let settings = Settings {
            durability,
            ..Settings::default()
        };
        Store::with(&dir.join("store"), settings)
    }

    fn marks(dir: &Path) -> usize {
        let names = fs::list_dir(&dir.join("store/tmp")).unwrap_or_default();
        names.len()
    }

    fn put(store: &Store, byte: u8, count: usize) {
        for length in 0..count {
            let bytes = vec![byte; length + 1];
            store.put(ObjectKind::Node, &bytes).unwrap();
        }
    }

    #[test]
    fn a_mark_lies_there_from_the_first_name_to_the_flush() {
        for durability in [Durability::Full, Durability::Batch] {
            let dir = tempfile::tempdir().unwrap();
            let store = store(dir.path(), durability);
            for count in [1, FEW, FEW + 1, 2 * FEW] {
                put(&store, count as u8, count);
                assert_eq!(marks(dir.path()), 1);
                store.flush().unwrap();
                assert_eq!(marks(dir.path()), 0);
            }
            store.flush().unwrap();
        }
    }

    #[test]
    fn nothing_is_marked_where_nothing_is_flushed() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path(), Durability::None);
        put(&store, 0, 3);
        assert_eq!(marks(dir.path()), 0);
        store.flush().unwrap();
        assert_eq!(store.list().unwrap().len(), 3);
    }

    #[test]
    fn the_mark_of_a_dead_process_goes_with_the_next_flush_and_that_of_a_living_one_stays() {
        let dir = tempfile::tempdir().unwrap();
        let one = store(dir.path(), Durability::Batch);
        put(&one, 1, 1);
        let tmp = dir.path().join("store/tmp");
        // No process has this number: it is above what Linux gives.
        fs::write_new(&tmp.join(".esker-tmp-2000000000-0.unflushed"), b"").unwrap();
        assert_eq!(marks(dir.path()), 2);

        let other = store(dir.path(), Durability::Batch);
        other.flush().unwrap();
        assert_eq!(marks(dir.path()), 1, "that of the living one");
        one.flush().unwrap();
        assert_eq!(marks(dir.path()), 0);
    }

    #[test]
    fn a_flush_that_failed_is_not_tried_again() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path(), Durability::Batch);
        put(&store, 1, 1);
        let (meta, aside) = (dir.path().join("store/meta"), dir.path().join("aside"));
        fs::rename(&meta, &aside).unwrap();
        store.flush().unwrap_err();
        fs::rename(&aside, &meta).unwrap();
        store.flush().unwrap_err();
        self::store(dir.path(), Durability::Batch).flush().unwrap();
    }
}
