//! The local content-addressed store: put, open, has, list, remove. Knows only objects; unaware
//! of trees, of paths in the project, and of text formats.
//!
//! An object appears whole, by rename, and never changes. Most are a read-only file each:
//! `objects/ab/<62 hex>` holds the raw bytes of a file, `meta/ab/<62 hex>` a node of a tree or a
//! segment of a recipe. The directory says how a file is hashed. Small blobs that come in numbers
//! lie together in `packs/`, in packs as a remote holds them; both ways are legal for every size.
//! What is found damaged goes to `quarantine/`, so that its name is free for good bytes and
//! nothing is thrown away. Chunks and recipe roots are never asked for here: a large file is one
//! blob. `docs/format.md`, section "Local store".

mod collect;
mod get;
mod link;
mod list;
mod packs;
mod pieces;
mod put;
mod room;
mod share;
mod unflushed;
mod upkeep;
mod users;

pub use collect::{Amount, Garbage};
pub use get::Blob;
pub use link::{Taken, linked_object};
pub use put::{OnRead, Stored};
pub use share::{Flaw, Sharing};
pub use users::Entered;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::packs::Packs;
use self::unflushed::Unflushed;

use crate::fs::{self, Durability, LinkKind};
use crate::hash::{Digest, ObjectId, ObjectKind};

/// A handle on a store directory. Small blobs that were put are on their way into a pack; all clones of a handle see them at once, other processes after [`Store::settle`].
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
    packs: Arc<Packs>,
    unflushed: Arc<Unflushed>,
    pack_below: usize,
    /// How objects become files of the workspace, in the order in which that is tried; what is
    /// left is to copy.
    links: Arc<[LinkKind]>,
    tally: Arc<link::Tally>,
    share: Arc<users::Share>,
}

/// How a store is kept.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// What a flush does.
    pub durability: Durability,
    /// Blobs shorter than this lie in packs when they come in numbers; at most [`Settings::MOST`].
    pub pack_below: u64,
}

impl Settings {
    /// The most that `pack_below` may be.
    pub const MOST: u64 = 1 << 20;
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            // `docs/design/0003-pack-threshold.md`
            pack_below: 32 << 10,
        }
    }
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
    /// It was asked to stop in the middle of a file, of which nothing was kept.
    #[error("interrupted")]
    Interrupted,
    /// Not a regular file.
    #[error("`{}` is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// It may not be written to.
    #[error("cannot write to the store `{}`", root.display())]
    Unwritable {
        /// Where it lies.
        root: PathBuf,
        /// What could not be done.
        source: fs::Error,
    },
    /// Neither its directory nor the one above is there.
    #[error("the store `{}` is not there", .0.display())]
    NoDirectory(PathBuf),
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
        Self::with(root, Settings::default())
    }

    /// Opens a store that is kept in this way.
    pub fn with(root: &Path, settings: Settings) -> Self {
        let unflushed = Arc::new(Unflushed::new(root, settings.durability));
        Self {
            root: root.to_path_buf(),
            packs: Arc::new(Packs::new(root, Arc::clone(&unflushed))),
            unflushed,
            pack_below: settings.pack_below.min(Settings::MOST) as usize,
            links: Arc::new([LinkKind::Reflink]),
            tally: Arc::default(),
            share: Arc::default(),
        }
    }

    /// Whether an object is there (by name; its bytes are checked when read). A failure to look
    /// counts as absence: the attempt to read will tell why.
    pub fn has(&self, id: impl Into<ObjectId>) -> bool {
        matches!(self.length(id), Ok(Some(_)))
    }

    /// The length of an object, if it is there.
    pub fn length(&self, id: impl Into<ObjectId>) -> Result<Option<u64>> {
        let id = id.into();
        if let Some(length) = self.packs.length(id)? {
            return Ok(Some(length));
        }
        let found = fs::metadata(&self.path_of(id)?)?.filter(fs::Metadata::is_file);
        match found {
            Some(found) => Ok(Some(found.len())),
            // Another process may have moved it into a pack since the packs were looked at.
            None if self.packs.refresh_if_changed()? => self.packs.length(id),
            None => Ok(None),
        }
    }

    /// Removes objects; those that are not there are passed over. A pack that holds some of them
    /// is written again without them, once.
    pub fn remove(&self, ids: &BTreeSet<ObjectId>) -> Result<()> {
        self.settle()?;
        self.packs.remove(ids)?;
        for path in ids.iter().filter_map(|id| self.path_of(*id).ok()) {
            fs::remove_file(&path)?;
        }
        Ok(())
    }

    /// Brings everything put so far into files, so that a killed process loses none of it.
    ///
    /// Call it before bytes that the store [has](Store::has) are overwritten elsewhere.
    pub fn settle(&self) -> Result<()> {
        self.packs
            .settle(|id, bytes| self.put_loose(id.into(), bytes))
    }

    /// Makes everything put so far survive a power cut, as the [`Settings`] say. A flush that
    /// failed is not tried again.
    ///
    /// Call it after content is put and before anything durable names that content.
    pub fn flush(&self) -> Result<()> {
        self.settle()?;
        self.unflushed.flush()
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

#[cfg(test)]
mod tests;
