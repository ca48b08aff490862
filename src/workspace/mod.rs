//! What is on disk: `scan` into ids and trees, the stat index that remembers them, and the
//! checkout plan and its application. Unaware of the lock, of stages, and of remotes.

mod checkout;
mod edited;
mod found;
mod index;
mod link;
mod parallel;
mod park;
mod placed;
mod relink;
mod relocate;
mod room;
mod scan;
mod unprotect;
mod written;

pub use checkout::{Applied, CheckoutPlan, Refusal, apply, plan};
pub use edited::{Edited, take_out_edited};
pub use found::FoundDir;
pub use index::Index;
pub use link::{is_to_object, stays_inside};
pub use park::{Park, Parked, ParkedAct, expire_parked, parked_acts};
pub use placed::{Placed, PlacedItem};
pub use relink::{Relinked, relink};
pub use relocate::relocate;
pub use room::check_checkout;
pub use scan::{Found, IgnoreRule, IgnoreRules, Passed, Rules, Scanner};
pub use unprotect::unprotect;

use std::path::PathBuf;

use crate::hash::{ObjectKind, TreeId};
use crate::path::{DepPath, RelPath};
use crate::store::Store;
use crate::tree::{self, Tree, Updated};

/// What can go wrong in the workspace.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk failed.
    #[error(transparent)]
    Fs(#[from] crate::fs::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// A tree cannot be.
    #[error(transparent)]
    Tree(#[from] tree::Error),
    /// A name that no tree can hold.
    #[error(transparent)]
    Path(#[from] crate::path::Error),
    /// Neither file, directory nor link.
    #[error("`{path}` is a {what}, which cannot be tracked")]
    Special {
        /// Where.
        path: RelPath,
        /// What it is: `fifo`, `socket`, `device`.
        what: &'static str,
    },
    /// A link that leads out of the directory it is in, or is absolute.
    #[error("`{path}` is a link to `{target}`, which lies outside the directory being tracked")]
    LinkOutside {
        /// Where.
        path: RelPath,
        /// Where it points.
        target: String,
    },
    /// A link in the place of a file, which leads to no regular file.
    #[error("`{path}` is a link to `{target}`, which is no regular file")]
    LinkNotFile {
        /// Where.
        path: RelPath,
        /// Where it points.
        target: String,
    },
    /// A dependency beside the project that is no plain file, or lies outside the repository.
    #[error("`{0}` is not a plain file inside the git repository")]
    DepNotFile(DepPath),
    /// The path is, or lies in, a directory with its own `esker.toml`.
    #[error("`{0}` is a project of its own")]
    Nested(RelPath),
    /// A directory above a path that is to be written or moved is a link.
    #[error("`{0}` is a link; nothing is written or removed through it")]
    LinkedParent(RelPath),
    /// Something nobody knew of stands where a path is to be written.
    #[error("`{0}` cannot be written: something else is there")]
    Occupied(RelPath),
    /// Bytes that would be lost.
    #[error("`{0}` holds bytes that are saved nowhere")]
    Unsaved(RelPath),
    /// The disk has not the room that this needs; nothing was written.
    #[error("this needs {needed} bytes, and {free} are free")]
    NoRoom {
        /// How many bytes are needed.
        needed: u64,
        /// How many are free.
        free: u64,
        /// Where they are needed.
        at: PathBuf,
    },
    /// The file that says what was put where cannot be read.
    #[error("`{}` is damaged: {reason}", path.display())]
    Placed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Somebody asked to stop.
    #[error("interrupted")]
    Interrupted,
}

/// The result of acting in the workspace.
pub type Result<T> = std::result::Result<T, Error>;

/// Reads a tree out of the store, every node checked.
pub fn read_tree(store: &Store, root: TreeId) -> Result<Tree> {
    Tree::decode(root, |id| node_of(store, id))
}

/// Reads the bytes of one node of a tree out of the store.
pub fn node_of(store: &Store, id: TreeId) -> Result<Vec<u8>> {
    Ok(store.read(id)?)
}

/// Puts the new nodes of a changed tree into the store.
pub fn put_nodes(store: &Store, updated: &Updated) -> Result<()> {
    for (_, bytes) in &updated.nodes {
        store.put(ObjectKind::Node, bytes)?;
    }
    Ok(())
}

/// Whether the store has every node of a tree.
fn has_tree(store: &Store, root: TreeId) -> Result<bool> {
    match tree::is_whole(root, |id| node_of(store, id), |id| store.has(id)) {
        Err(Error::Store(_) | Error::Tree(_)) => Ok(false),
        is_whole => is_whole,
    }
}

/// Puts a tree's nodes into the store, children before parents.
pub fn write_tree(store: &Store, tree: &Tree) -> Result<TreeId> {
    let encoded = tree.encode();
    for (_, bytes) in &encoded.nodes {
        store.put(ObjectKind::Node, bytes)?;
    }
    Ok(encoded.root)
}

#[cfg(test)]
mod tests;
