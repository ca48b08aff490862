//! Getting objects out, checked.

use std::fs::File;
use std::path::Path;

use super::put::copy_hashing;
use super::{Error, QUARANTINE, Result, Store};
use crate::fs::{self, Context};
use crate::hash::{BlobId, Digest, ObjectId};

impl Store {
    /// Reads a whole object and checks it.
    pub fn read(&self, id: impl Into<ObjectId>) -> Result<Vec<u8>> {
        let id = id.into();
        let path = self.path_of(id)?;
        let bytes = fs::read_if_exists(&path)?.ok_or(Error::Missing(id))?;
        let found = id.kind.hash(&bytes).ok_or(Error::NotKept(id.kind))?;
        if found != id.digest {
            return Err(self.quarantine(id, found));
        }
        Ok(bytes)
    }

    /// Opens a blob for reading in pieces; the reader checks the bytes itself, and hands one that
    /// is damaged to [`Store::quarantine`].
    pub fn open_blob(&self, id: BlobId) -> Result<File> {
        let path = self.path_of(id.into())?;
        match File::open(&path) {
            Err(error) if fs::is_missing(&error) => Err(Error::Missing(id.into())),
            result => Ok(result.context("open", &path)?),
        }
    }

    /// Copies a blob to a new file (by reflink if it can, else hashing what it copies). When it
    /// fails, the new file is gone again.
    pub fn copy_to(&self, id: BlobId, target: &Path) -> Result<()> {
        let mut object = self.open_blob(id)?;
        let mut copy = fs::create_new(target)?;
        let result = self.fill(id, &mut object, &mut copy, target);
        if result.is_err() {
            // The first error is the one to tell.
            let _ = fs::remove_file(target);
        }
        result
    }

    /// Moves a damaged object out of the way and returns the error that says so. Its bytes are
    /// kept: they may be the last that are left of something.
    pub fn quarantine(&self, id: ObjectId, found: Digest) -> Error {
        let corrupt = Error::Corrupt { id, found };
        let Ok(path) = self.path_of(id) else {
            return corrupt;
        };
        let chance = u64::from_le_bytes(fs::random_bytes());
        let name = format!("{}.{chance:016x}", id.digest);
        let dir = self.root.join(QUARANTINE);
        // That the object is damaged matters more than that it could not be moved, as in a
        // store that we may only read.
        let _ = fs::create_dir_all(&dir).and_then(|()| fs::rename(&path, &dir.join(name)));
        corrupt
    }

    fn fill(&self, id: BlobId, object: &mut File, copy: &mut File, target: &Path) -> Result<()> {
        // A reflink is taken without reading; `fsck` reads what lies in the store.
        if fs::reflink(object, copy) {
            return Ok(());
        }
        let size = object.metadata().context("look at", target)?.len();
        let (found, _) = copy_hashing(object, target, copy, size)?;
        if found != id.0 {
            return Err(self.quarantine(id.into(), found));
        }
        Ok(())
    }
}
