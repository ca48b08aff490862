//! What a set of roots reaches, as far as the local store knows its trees.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use crate::hash::{BlobId, ObjectId, ObjectKind, TreeId};
use crate::path::RelPath;
use crate::store::{self, Store};
use crate::tree::{self, Entry, Tree};

use super::{Content, Result, Root};

/// Something that a walk comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A node that the store has, with its length.
    Node(TreeId, u64),
    /// A node that the store does not have; what is below it stays unknown.
    AbsentNode(TreeId),
    /// A file, which the store may or may not have.
    File(BlobId, u64),
}

/// Where nodes of trees are read.
pub trait Nodes {
    /// The bytes of a node; `None` if it is not there.
    fn node(&self, id: TreeId) -> Result<Option<Vec<u8>>>;
}

impl Nodes for Store {
    fn node(&self, id: TreeId) -> Result<Option<Vec<u8>>> {
        match self.read(id) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(store::Error::Missing(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// A store, and nodes that came and must not be put into it.
pub(super) struct Overlay<'a> {
    store: &'a Store,
    came: Mutex<HashMap<TreeId, Vec<u8>>>,
}

impl<'a> Overlay<'a> {
    pub(super) fn new(store: &'a Store) -> Self {
        let came = Mutex::default();
        Self { store, came }
    }

    pub(super) fn take(&self, id: TreeId, bytes: &[u8]) {
        let mut came = self.came.lock().unwrap_or_else(PoisonError::into_inner);
        came.insert(id, bytes.to_vec());
    }
}

impl Nodes for Overlay<'_> {
    fn node(&self, id: TreeId) -> Result<Option<Vec<u8>>> {
        let came = self.came.lock().unwrap_or_else(PoisonError::into_inner);
        match came.get(&id) {
            Some(bytes) => Ok(Some(bytes.clone())),
            None => self.store.node(id),
        }
    }
}

/// Walks from roots, in their order and then in the order of paths. `enter` is asked about every
/// id before it is visited: what it turns down is passed over, with all below.
pub(super) fn walk(
    nodes: &dyn Nodes,
    roots: impl IntoIterator<Item = Content>,
    enter: &mut dyn FnMut(ObjectId) -> bool,
    visit: &mut dyn FnMut(Found) -> Result<()>,
) -> Result<()> {
    for root in roots {
        match root {
            Content::File { id, size } if enter(id.into()) => visit(Found::File(id, size))?,
            Content::File { .. } => {}
            Content::Tree { id, .. } => walk_tree(nodes, id, enter, visit)?,
        }
    }
    Ok(())
}

fn walk_tree(
    nodes: &dyn Nodes,
    root: TreeId,
    enter: &mut dyn FnMut(ObjectId) -> bool,
    visit: &mut dyn FnMut(Found) -> Result<()>,
) -> Result<()> {
    // The last of the stack comes next, so children are pushed from the last to the first.
    let mut stack = vec![root];
    while let Some(id) = stack.pop() {
        if !enter(id.into()) {
            continue;
        }
        let Some(bytes) = nodes.node(id)? else {
            visit(Found::AbsentNode(id))?;
            continue;
        };
        visit(Found::Node(id, bytes.len() as u64))?;
        let refs = tree::node_refs(id, &bytes)?;
        stack.extend(refs.children.into_iter().rev());
        for (file, size) in refs.files {
            if enter(file.into()) {
                visit(Found::File(file, size))?;
            }
        }
    }
    Ok(())
}

/// The entries of a tree of which all nodes are there.
pub(super) fn decode(nodes: &dyn Nodes, root: TreeId) -> Result<Tree> {
    Tree::decode(root, |id| {
        let missing = || store::Error::Missing(id.into()).into();
        nodes.node(id)?.ok_or_else(missing)
    })
}

/// Says at which paths of these roots the given objects are missed. An object that no readable
/// tree names is told at the root that must hold it.
pub fn name_missing(
    nodes: &dyn Nodes,
    roots: &[Root],
    missing: &HashSet<ObjectId>,
) -> Vec<(RelPath, ObjectId)> {
    let mut named = BTreeSet::new();
    if missing.is_empty() {
        return Vec::new();
    }
    for root in roots {
        match root.content {
            Content::File { id, .. } if missing.contains(&id.into()) => {
                named.insert((root.path.clone(), id.into()));
            }
            Content::File { .. } => {}
            Content::Tree { id, .. } => {
                let found = missing_in_tree(nodes, id, missing);
                let joined = found.into_iter().map(|(below, id)| match below {
                    Some(below) => (root.path.join(&below), id),
                    None => (root.path.clone(), id),
                });
                named.extend(joined);
            }
        }
    }
    named.into_iter().collect()
}

fn missing_in_tree(
    nodes: &dyn Nodes,
    root: TreeId,
    missing: &HashSet<ObjectId>,
) -> Vec<(Option<RelPath>, ObjectId)> {
    if let Ok(tree) = decode(nodes, root) {
        let found = tree.iter().filter_map(|(path, entry)| match entry {
            Entry::File { id, .. } if missing.contains(&ObjectId::from(*id)) => {
                Some((Some(path.clone()), ObjectId::from(*id)))
            }
            _ => None,
        });
        let mut found: Vec<_> = found.collect();
        if missing.iter().any(|id| id.kind == ObjectKind::Node) {
            let is_node = |(_, id): &(_, ObjectId)| id.kind == ObjectKind::Node;
            found.extend(
                missing_below(nodes, root, missing)
                    .into_iter()
                    .filter(is_node),
            );
        }
        return found;
    }
    missing_below(nodes, root, missing)
}

/// The same without paths, as far as listings can be read.
fn missing_below(
    nodes: &dyn Nodes,
    root: TreeId,
    missing: &HashSet<ObjectId>,
) -> Vec<(Option<RelPath>, ObjectId)> {
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    let _unreadable = walk_tree(
        nodes,
        root,
        &mut |id| {
            if missing.contains(&id) {
                found.push((None, id));
            }
            seen.insert(id)
        },
        &mut |_| Ok(()),
    );
    found
}
