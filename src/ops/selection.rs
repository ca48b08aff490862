//! What of the recorded paths a verb was asked for: paths that were named, and patterns.

use super::content::tree;
use super::{Error, Result};
use crate::path::{Filter, RelPath};
use crate::remote::{Content, Root};
use crate::store::Store;
use crate::tree::Tree;

/// Everything, or what lies at and below some paths, as far as it passes a filter.
#[derive(Clone, Debug, Default)]
pub(super) struct Selection {
    /// None: everywhere.
    pub(super) targets: Vec<RelPath>,
    filter: Filter,
}

impl Selection {
    /// What lies at and below some paths (none: everywhere) and passes a filter.
    pub(super) fn new(targets: Vec<RelPath>, filter: Filter) -> Self {
        Self { targets, filter }
    }

    /// What lies at and below some paths; none: everywhere.
    pub(super) fn of(targets: Vec<RelPath>) -> Self {
        Self::new(targets, Filter::default())
    }

    /// Whether nothing is left out.
    pub(super) fn is_everything(&self) -> bool {
        self.targets.is_empty() && self.filter.is_everything()
    }

    /// Whether only what matches a pattern was asked for.
    pub(super) fn includes(&self) -> bool {
        self.filter.includes()
    }

    /// Whether a file, link or empty directory is meant.
    pub(super) fn has(&self, path: &RelPath) -> bool {
        let named = |target: &RelPath| path.starts_with(target);
        (self.targets.is_empty() || self.targets.iter().any(named)) && self.filter.has(path)
    }

    /// Whether something at or below a recorded path can be meant.
    pub(super) fn touches(&self, root: &RelPath) -> bool {
        let near = |target: &RelPath| target.overlaps(root);
        let named = self.targets.is_empty() || self.targets.iter().any(near);
        named && !self.filter.leaves_out(root)
    }

    /// Whether a recorded path is meant as a whole, as remotes hold it; a part of it is an error.
    pub(super) fn has_whole(&self, store: &Store, root: &Root) -> Result<bool> {
        if self.is_everything() || self.filter.takes(&root.path) {
            return Ok(true);
        }
        let Content::Tree { id, .. } = root.content else {
            return Ok(self.has(&root.path));
        };
        let Some(tree) = tree(store, id)? else {
            // It could not be sent whole, and nobody can tell what of it is meant.
            return Ok(false);
        };
        let tree = tree.into_below(&root.path);
        let n_meant = tree.iter().filter(|(path, _)| self.has(path)).count();
        match n_meant {
            0 => Ok(false),
            n if n == tree.len() => Ok(true),
            _ => Err(Error::PartSelected(root.path.clone())),
        }
    }

    /// The entries of a tree that are meant.
    pub(super) fn restrict(&self, tree: Tree) -> Result<Tree> {
        if self.is_everything() {
            return Ok(tree);
        }
        let entries = tree.iter().filter(|(path, _)| self.has(path));
        let entries = entries.map(|(path, entry)| (path.clone(), entry.clone()));
        Ok(Tree::new(entries.collect())?)
    }
}
