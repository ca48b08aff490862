//! Reading a whole tree: every node against its parent, its neighbours and the rule of cutting.

use super::decode::{Child, Content, Node};
use super::order::PathOrder;
use super::{Entry, Error, Fault};
use crate::hash::TreeId;
use crate::path::RelPath;

/// How much one tree may unfold to. Keys share their beginnings, so a few megabytes of nodes
/// can stand for gigabytes of paths; nobody who made them by hand shall fill our memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The bytes of all paths together.
    pub(super) path_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            path_bytes: 2 << 30,
        }
    }
}

/// Reads all entries of the tree whose root node is `root`.
pub(super) fn read<E: From<Error>>(
    root: TreeId,
    load: impl FnMut(TreeId) -> Result<Vec<u8>, E>,
    limits: Limits,
) -> Result<Vec<(RelPath, Entry)>, E> {
    let mut walk = Walk {
        load,
        limits,
        order: PathOrder::default(),
        entries: Vec::new(),
        path_bytes: 0,
    };
    walk.root(root)?;
    Ok(walk.entries)
}

struct Walk<L> {
    load: L,
    limits: Limits,
    order: PathOrder,
    entries: Vec<(RelPath, Entry)>,
    path_bytes: usize,
}

impl<E: From<Error>, L: FnMut(TreeId) -> Result<Vec<u8>, E>> Walk<L> {
    fn root(&mut self, id: TreeId) -> Result<(), E> {
        let node = self.node(id)?;
        if let Content::Internal(children) = &node.content
            && children.len() < 2
        {
            return Err(damaged(id, Fault::TooFew).into());
        }
        self.content(id, node, true)
    }

    /// Reads on below a node. Every level is one less than the one above and none exceeds 7, so
    /// this does not go deep.
    fn content(&mut self, id: TreeId, node: Node, is_last: bool) -> Result<(), E> {
        if !is_last && !node.is_full {
            return Err(damaged(id, Fault::Boundary).into());
        }
        let level = node.level;
        match node.content {
            Content::Leaf(entries) => Ok(self.leaf(id, entries)?),
            Content::Internal(children) => {
                let n_children = children.len();
                for (at, child) in children.into_iter().enumerate() {
                    let is_last = is_last && at + 1 == n_children;
                    self.child(level, &child, is_last)?;
                }
                Ok(())
            }
        }
    }

    fn child(&mut self, level: u8, child: &Child, is_last: bool) -> Result<(), E> {
        let node = self.node(child.id)?;
        check_child(level, child, &node).map_err(|fault| damaged(child.id, fault))?;
        self.content(child.id, node, is_last)
    }

    fn node(&mut self, id: TreeId) -> Result<Node, E> {
        let bytes = (self.load)(id)?;
        Ok(Node::decode(id, &bytes)?)
    }

    fn leaf(&mut self, id: TreeId, entries: Vec<(RelPath, Entry)>) -> Result<(), Error> {
        for (path, entry) in entries {
            let previous = self.entries.last().map(|(path, _)| path.as_str());
            self.order
                .follow(previous, path.as_str())
                .map_err(|clash| damaged(id, Fault::from_clash(clash, &path)))?;
            self.path_bytes += path.as_str().len();
            if self.path_bytes > self.limits.path_bytes {
                return Err(Error::TooLarge);
            }
            self.entries.push((path, entry));
        }
        Ok(())
    }
}

/// Checks a node against what its parent says of it.
pub(super) fn check_child(level: u8, child: &Child, node: &Node) -> Result<(), Fault> {
    if node.level + 1 != level {
        return Err(Fault::Level);
    }
    // Only a tree of nothing has an empty leaf.
    let last = node.last().ok_or(Fault::TooFew)?;
    if *last != child.last || (node.files, node.bytes) != (child.files, child.bytes) {
        return Err(Fault::Child);
    }
    Ok(())
}

pub(super) fn damaged(id: TreeId, fault: Fault) -> Error {
    Error::Node { id, fault }
}
