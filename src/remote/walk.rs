//! What a set of roots reaches, as far as the local store knows its trees.

use std::collections::{BTreeSet, HashSet};

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

/// Walks from roots, in their order and then in the order of paths. `enter` is asked about every
/// id before it is visited: what it turns down is passed over, with all below.
pub(super) fn walk(
    store: &Store,
    roots: impl IntoIterator<Item = Content>,
    enter: &mut dyn FnMut(ObjectId) -> bool,
    visit: &mut dyn FnMut(Found) -> Result<()>,
) -> Result<()> {
    for root in roots {
        match root {
            Content::File { id, size } if enter(id.into()) => visit(Found::File(id, size))?,
            Content::File { .. } => {}
            Content::Tree { id, .. } => walk_tree(store, id, enter, visit)?,
        }
    }
    Ok(())
}

fn walk_tree(
    store: &Store,
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
        let Some(bytes) = read_node(store, id)? else {
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

fn read_node(store: &Store, id: TreeId) -> Result<Option<Vec<u8>>> {
    match store.read(id) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(store::Error::Missing(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Says at which paths of these roots the given objects are missed. An object that no readable
/// tree names is told at the root that must hold it.
pub fn name_missing(
    store: &Store,
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
                let found = missing_in_tree(store, id, missing);
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
    store: &Store,
    root: TreeId,
    missing: &HashSet<ObjectId>,
) -> Vec<(Option<RelPath>, ObjectId)> {
    if let Ok(tree) = Tree::decode(root, |id| store.read(id).map_err(super::Error::from)) {
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
                missing_below(store, root, missing)
                    .into_iter()
                    .filter(is_node),
            );
        }
        return found;
    }
    missing_below(store, root, missing)
}

/// The same without paths, as far as listings can be read.
fn missing_below(
    store: &Store,
    root: TreeId,
    missing: &HashSet<ObjectId>,
) -> Vec<(Option<RelPath>, ObjectId)> {
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    let _unreadable = walk_tree(
        store,
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
