//! A directory as it was found on disk.

use crate::hash::TreeId;
use crate::tree::{Summary, Tree, Updated};

/// A directory and what counts in it: its tree in short. What it holds is asked of the scanner
/// that found it, since it mostly is what the index knows already.
#[derive(Clone, Debug)]
pub struct FoundDir {
    /// Its tree.
    pub summary: Summary,
    /// All of the tree, if the index does not know it.
    pub(super) tree: Option<Tree>,
    /// Nodes of it that may not be in the store.
    pub(super) nodes: Vec<(TreeId, Vec<u8>)>,
}

impl From<Summary> for FoundDir {
    fn from(summary: Summary) -> Self {
        Self {
            summary,
            tree: None,
            nodes: Vec::new(),
        }
    }
}

impl From<Updated> for FoundDir {
    fn from(updated: Updated) -> Self {
        Self {
            summary: updated.summary,
            tree: None,
            nodes: updated.nodes,
        }
    }
}

impl From<Tree> for FoundDir {
    fn from(tree: Tree) -> Self {
        Self {
            summary: tree.summary(),
            tree: Some(tree),
            nodes: Vec::new(),
        }
    }
}

impl PartialEq for FoundDir {
    fn eq(&self, other: &Self) -> bool {
        self.summary == other.summary
    }
}

impl Eq for FoundDir {}
