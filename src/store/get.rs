//! Getting objects out, checked.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use super::packs::Held;
use super::{Error, QUARANTINE, Result, Store, pieces};
use crate::fs::{self, Context, LinkKind};
use crate::hash::{BlobId, Digest, ObjectId};

/// A blob opened for reading in pieces.
#[derive(Debug)]
pub enum Blob {
    /// It came from a pack, and its bytes were checked.
    InMemory(Cursor<Vec<u8>>),
    /// It is a file of its own, which the reader checks.
    Loose(File),
}

impl Read for Blob {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::InMemory(bytes) => bytes.read(buffer),
            Self::Loose(file) => file.read(buffer),
        }
    }
}

impl Store {
    /// Reads a whole object and checks it.
    pub fn read(&self, id: impl Into<ObjectId>) -> Result<Vec<u8>> {
        let id = id.into();
        let path = self.path_of(id)?;
        self.get(
            id,
            || {
                let Some(bytes) = fs::read_if_exists(&path)? else {
                    return Ok(None);
                };
                let found = id.kind.hash(&bytes).ok_or(Error::NotKept(id.kind))?;
                if found != id.digest {
                    return Err(self.quarantine(id, found));
                }
                Ok(Some(bytes))
            },
            |bytes| bytes,
        )
    }

    /// Opens a blob for reading in pieces. The reader checks the bytes itself, and hands a blob
    /// that is damaged to [`Store::quarantine`].
    pub fn open_blob(&self, id: BlobId) -> Result<Blob> {
        let id = id.into();
        let path = self.path_of(id)?;
        self.get(
            id,
            || match File::open(&path) {
                Err(error) if fs::is_missing(&error) => Ok(None),
                file => Ok(Some(Blob::Loose(file.context("open", &path)?))),
            },
            |bytes| Blob::InMemory(Cursor::new(bytes)),
        )
    }

    /// Copies a blob to a new file (by reflink if that is allowed and possible, else hashing what
    /// it copies); says which. When it fails, the new file is gone again.
    pub(super) fn copy_to(&self, id: BlobId, target: &Path, reflink: bool) -> Result<LinkKind> {
        let blob = self.open_blob(id)?;
        let copy = fs::create_new(target)?;
        let result = match blob {
            Blob::InMemory(bytes) => Ok(copy.write_all_at(bytes.get_ref(), 0, target)?),
            // A reflink is taken without reading; `fsck` reads what lies in the store.
            Blob::Loose(object) if reflink && fs::reflink(&object, &copy) => {
                return Ok(LinkKind::Reflink);
            }
            Blob::Loose(object) => self.fill(id, &object, &copy, target),
        };
        if result.is_err() {
            // The first error is the one to tell.
            let _ = fs::remove_file(target);
        }
        result.map(|()| LinkKind::Copy)
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

    /// Gets an object from where it lies: a pack, else a file of its own, else a pack that another
    /// process made meanwhile.
    fn get<T>(
        &self,
        id: ObjectId,
        loose: impl Fn() -> Result<Option<T>>,
        packed: impl Fn(Vec<u8>) -> T,
    ) -> Result<T> {
        // Once more at most: what is looked for may change all the time.
        let mut refreshed = false;
        loop {
            let held = self.packs.read(id)?;
            if let Held::Whole(bytes) = held {
                return Ok(packed(bytes));
            }
            if let Some(object) = loose()? {
                return Ok(object);
            }
            if let Held::Damaged(found) = held {
                return Err(Error::Corrupt { id, found });
            }
            if refreshed || !self.packs.refresh()? {
                return Err(Error::Missing(id));
            }
            refreshed = true;
        }
    }

    fn fill(&self, id: BlobId, object: &File, copy: &fs::NewFile, target: &Path) -> Result<()> {
        let found = pieces::hash_all(object, target, &|piece, offset| {
            Ok(copy.write_all_at(piece, offset, target)?)
        })?;
        if found != id.0 {
            return Err(self.quarantine(id.into(), found));
        }
        Ok(())
    }
}
