//! The local content-addressed store: put, open, has, list, remove. Knows only objects; unaware
//! of trees, of paths in the project, and of text formats.
//!
//! An object is one read-only file that appears whole, by rename, and never changes:
//! `objects/ab/<62 hex>` holds the raw bytes of a file, `meta/ab/<62 hex>` a node of a tree or a
//! segment of a recipe. The directory says how a file is hashed. What is found damaged moves to
//! `quarantine/`, so that its name is free for good bytes and nothing is thrown away. Chunks and
//! recipe roots live in packs only: a large file is one blob here.

mod get;
mod list;
mod put;

pub use put::Stored;

use std::path::{Path, PathBuf};

use crate::fs;
use crate::hash::{Digest, ObjectId, ObjectKind};

/// A handle on a store directory.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

/// What can go wrong in a store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk failed.
    #[error(transparent)]
    Fs(#[from] fs::Error),
    /// The store does not hold it.
    #[error("{0} is not in the store")]
    Missing(ObjectId),
    /// Its bytes are not what its name says; it was moved to quarantine.
    #[error("object {id} is corrupt: its bytes hash to b3:{found}")]
    Corrupt {
        /// The object asked for.
        id: ObjectId,
        /// What its bytes hash to.
        found: Digest,
    },
    /// Bytes from elsewhere are not those they were said to be; nothing was stored.
    #[error("the bytes brought for {id} hash to b3:{found}")]
    Mismatch {
        /// The object they were brought for.
        id: ObjectId,
        /// What they hash to.
        found: Digest,
    },
    /// The file changed while it was read.
    #[error("`{}` changed while it was being added", .0.display())]
    Changed(PathBuf),
    /// Not a regular file.
    #[error("`{}` is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// Objects of this kind are never stored here.
    #[error("the local store keeps no objects of kind {0:?}")]
    NotKept(ObjectKind),
}

/// The result of asking a store.
pub type Result<T> = std::result::Result<T, Error>;

const OBJECTS: &str = "objects";
const META: &str = "meta";
const QUARANTINE: &str = "quarantine";
const TEMP: &str = "tmp";

impl Store {
    /// Opens a store; its directories are made when something is put.
    pub fn open(root: &Path) -> Self {
        Self {
            root: root.to_path_buf(),
        }
    }

    /// Whether an object is there (by name; its bytes are checked when read).
    pub fn has(&self, id: impl Into<ObjectId>) -> bool {
        let path = self.path_of(id.into());
        path.is_ok_and(|path| is_file(&path))
    }

    /// Removes an object; none is fine.
    pub fn remove(&self, id: ObjectId) -> Result<()> {
        match self.path_of(id) {
            Ok(path) => Ok(fs::remove_file(&path)?),
            Err(_) => Ok(()),
        }
    }

    /// Makes everything put so far survive a power cut: one flush of the file system.
    ///
    /// Call it after content is put and before anything durable names that content.
    pub fn flush(&self) -> Result<()> {
        match fs::metadata(&self.root)? {
            Some(_) => Ok(fs::sync_file_system(&self.root)?),
            None => Ok(()),
        }
    }

    fn path_of(&self, id: ObjectId) -> Result<PathBuf> {
        let dir = match id.kind {
            ObjectKind::Blob => OBJECTS,
            ObjectKind::Node | ObjectKind::RecipeSegment => META,
            ObjectKind::Chunk | ObjectKind::RecipeRoot => return Err(Error::NotKept(id.kind)),
        };
        let hex = id.digest.to_hex();
        let (fan, name) = hex.split_at(2);
        let mut path = self.root.join(dir);
        path.extend([fan, name]);
        Ok(path)
    }
}

/// A failure to look counts as absence: the attempt to read will tell why.
fn is_file(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_some_and(|found| found.is_file()))
}

#[cfg(test)]
mod tests;
