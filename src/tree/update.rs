//! Reading and changing parts of a stored tree by way of the nodes that they touch.
//!
//! Where a leaf ends depends on the keys from its first one on. So from a leaf that is left alone
//! and begins where a leaf begins, everything is as it was until the next change; a changed leaf
//! is cut anew, and so are those after it until a cut falls where there was one. The nodes above
//! the leaves are about a hundredth of a tree. They are all read and made anew; those that come
//! out as they were are no new nodes.

use std::collections::{BTreeMap, BTreeSet};

use super::decode::{Content, Node};
use super::encode::{Child, Level, raise};
use super::read::{check_child, damaged};
use super::{Entry, Error, Fault, Summary};
use crate::hash::TreeId;
use crate::path::RelPath;

/// What becomes of paths: another entry, or none.
pub type Changes = BTreeMap<RelPath, Option<Entry>>;

/// A tree that came out of another.
#[derive(Debug)]
pub struct Updated {
    /// What it is.
    pub summary: Summary,
    /// Its nodes that the other does not have, children before parents.
    pub nodes: Vec<(TreeId, Vec<u8>)>,
}

/// Changes entries of the tree whose root node is `root`. The result is the tree that would be
/// made of all entries anew; like there, a path that is also a directory of another is an error.
pub fn update<E: From<Error>>(
    root: TreeId,
    changes: &Changes,
    load: impl FnMut(TreeId) -> Result<Vec<u8>, E>,
) -> Result<Updated, E> {
    let mut old = Outline::read(root, load)?;
    check_places(&mut old, changes)?;
    let mut nodes = Vec::new();
    let mut known = old.ids();
    // That of an empty tree is neither a leaf nor above one.
    known.insert(root);
    let mut keep = |id: TreeId, bytes: Vec<u8>| {
        if !known.contains(&id) {
            nodes.push((id, bytes));
        }
        Ok(())
    };
    let leaves = leaves(&mut old, changes, &mut keep)?;
    let summary = raise(leaves, &mut keep)?;
    Ok(Updated { summary, nodes })
}

/// The entries at and below a path of the tree whose root node is `root`.
pub fn part<E: From<Error>>(
    root: TreeId,
    path: &RelPath,
    load: impl FnMut(TreeId) -> Result<Vec<u8>, E>,
) -> Result<Vec<(RelPath, Entry)>, E> {
    Outline::read(root, load)?.part(path)
}

/// Whether every node of a tree is there. Leaves are asked for and not read.
pub fn is_whole<E: From<Error>>(
    root: TreeId,
    load: impl FnMut(TreeId) -> Result<Vec<u8>, E>,
    has: impl Fn(TreeId) -> bool,
) -> Result<bool, E> {
    let outline = Outline::read(root, load)?;
    Ok(outline.leaves.iter().all(|leaf| has(leaf.id)))
}

/// A stored tree of which parts are asked for: its nodes but for the leaves, which are read when
/// they are needed. The last one is kept, so that it is best asked in the order of the paths.
pub struct Outline<L> {
    load: L,
    /// By their order.
    leaves: Vec<Child>,
    inner: BTreeSet<TreeId>,
    /// The leaf that was read last, by its place.
    at_hand: Option<(usize, Vec<(RelPath, Entry)>)>,
}

impl<E: From<Error>, L: FnMut(TreeId) -> Result<Vec<u8>, E>> Outline<L> {
    /// Reads the nodes above the leaves of the tree whose root node is `root`.
    pub fn read(root: TreeId, mut load: L) -> Result<Self, E> {
        let node = Node::decode(root, &load(root)?)?;
        let mut outline = Self {
            load,
            leaves: Vec::new(),
            inner: BTreeSet::new(),
            at_hand: None,
        };
        match node.last() {
            _ if node.level > 0 => outline.inner(root, node, true)?,
            Some(last) => outline.leaves.push(Child {
                last: last.as_str().into(),
                id: root,
                files: node.files,
                bytes: node.bytes,
            }),
            None => {}
        }
        Ok(outline)
    }

    /// Every level is one less than the one above and none exceeds 7, so this does not go deep.
    fn inner(&mut self, id: TreeId, node: Node, is_last: bool) -> Result<(), E> {
        if !is_last && !node.is_full {
            return Err(damaged(id, Fault::Boundary).into());
        }
        self.inner.insert(id);
        let level = node.level;
        let Content::Internal(children) = node.content else {
            return Err(damaged(id, Fault::Level).into());
        };
        let n_children = children.len();
        for (at, child) in children.into_iter().enumerate() {
            if level > 1 {
                let node = Node::decode(child.id, &(self.load)(child.id)?)?;
                check_child(level, &child, &node).map_err(|fault| damaged(child.id, fault))?;
                self.inner(child.id, node, is_last && at + 1 == n_children)?;
                continue;
            }
            let last = child.last.as_str().as_bytes().to_vec();
            if self.leaves.last().is_some_and(|before| before.last >= last) {
                return Err(damaged(id, Fault::Order).into());
            }
            let (id, files, bytes) = (child.id, child.files, child.bytes);
            self.leaves.push(Child {
                last,
                id,
                files,
                bytes,
            });
        }
        Ok(())
    }

    fn ids(&self) -> BTreeSet<TreeId> {
        let leaves = self.leaves.iter().map(|leaf| leaf.id);
        leaves.chain(self.inner.iter().copied()).collect()
    }

    /// The entries of a leaf.
    fn leaf(&mut self, at: usize) -> Result<&[(RelPath, Entry)], E> {
        if self.at_hand.as_ref().is_none_or(|(place, _)| *place != at) {
            let entries = self.read_leaf(at)?;
            self.at_hand = Some((at, entries));
        }
        let entries = self.at_hand.as_ref().map(|(_, entries)| &entries[..]);
        Ok(entries.unwrap_or_default())
    }

    fn read_leaf(&mut self, at: usize) -> Result<Vec<(RelPath, Entry)>, E> {
        let Child {
            id, files, bytes, ..
        } = self.leaves[at];
        let node = Node::decode(id, &(self.load)(id)?)?;
        let is_last = at + 1 == self.leaves.len();
        if !is_last && !node.is_full {
            return Err(damaged(id, Fault::Boundary).into());
        }
        let Content::Leaf(entries) = node.content else {
            return Err(damaged(id, Fault::Level).into());
        };
        let key = |entry: Option<&(RelPath, Entry)>| {
            let path = entry.map(|(path, _)| path.as_str().as_bytes());
            path.unwrap_or_default().to_vec()
        };
        let is_child = key(entries.last()) == self.leaves[at].last;
        if !is_child || (node.files, node.bytes) != (files, bytes) {
            return Err(damaged(id, Fault::Child).into());
        }
        if at > 0 && key(entries.first()) <= self.leaves[at - 1].last {
            return Err(damaged(id, Fault::Order).into());
        }
        Ok(entries)
    }

    /// The entries at and below a path.
    pub fn part(&mut self, path: &RelPath) -> Result<Vec<(RelPath, Entry)>, E> {
        let own = self.get(path)?.map(|entry| (path.clone(), entry));
        let mut part: Vec<_> = own.into_iter().collect();
        part.extend(self.below(&format!("{path}/"))?);
        Ok(part)
    }

    /// What lies at a path.
    pub fn get(&mut self, path: &RelPath) -> Result<Option<Entry>, E> {
        let at = self.leaf_from(path.as_str());
        if at == self.leaves.len() {
            return Ok(None);
        }
        let leaf = self.leaf(at)?;
        let found = leaf.binary_search_by(|(other, _)| other.cmp(path));
        Ok(found.ok().map(|at| leaf[at].1.clone()))
    }

    /// The leaf that a path is in or would be in, unless that is after the last.
    fn leaf_from(&self, path: &str) -> usize {
        let is_before = |leaf: &Child| leaf.last.as_slice() < path.as_bytes();
        self.leaves.partition_point(is_before)
    }

    /// The entries whose paths begin with `prefix`.
    fn below(&mut self, prefix: &str) -> Result<Vec<(RelPath, Entry)>, E> {
        let mut found = Vec::new();
        for at in self.leaf_from(prefix)..self.leaves.len() {
            let leaf = self.leaf(at)?;
            let start = leaf.partition_point(|(path, _)| path.as_str() < prefix);
            let hits = leaf[start..]
                .iter()
                .take_while(|(path, _)| path.as_str().starts_with(prefix));
            let n_before = found.len();
            found.extend(hits.cloned());
            if found.len() - n_before < leaf.len() - start {
                break;
            }
        }
        Ok(found)
    }
}

/// Fails if a new path would be a directory of another path, or have one for a directory.
fn check_places<E: From<Error>, L: FnMut(TreeId) -> Result<Vec<u8>, E>>(
    old: &mut Outline<L>,
    changes: &Changes,
) -> Result<(), E> {
    let mut is_dir = BTreeSet::new();
    let new = changes.iter().filter(|(_, entry)| entry.is_some());
    for (path, _) in new {
        if old.get(path)?.is_some() {
            continue;
        }
        for above in path.ancestors() {
            if is_dir.contains(&above) {
                break;
            }
            let entry = match changes.get(&above) {
                Some(change) => change.clone(),
                None => old.get(&above)?,
            };
            if entry.is_some() {
                let path = path.clone();
                return Err(Error::NotADirectory { above, path }.into());
            }
            is_dir.insert(above);
        }
        let mut below = old.below(&format!("{path}/"))?.into_iter();
        if let Some((below, _)) = below.find(|(below, _)| changes.get(below) != Some(&None)) {
            let (above, path) = (path.clone(), below);
            return Err(Error::NotADirectory { above, path }.into());
        }
    }
    Ok(())
}

/// The leaves of the changed tree; new ones are handed to `sink`.
fn leaves<E: From<Error>, L: FnMut(TreeId) -> Result<Vec<u8>, E>>(
    old: &mut Outline<L>,
    changes: &Changes,
    sink: &mut impl FnMut(TreeId, Vec<u8>) -> Result<(), E>,
) -> Result<Vec<Child>, E> {
    let mut changes = changes.iter().peekable();
    let mut level = Level::new(0);
    let mut leaves = Vec::new();
    let n_old = old.leaves.len();
    for at in 0..n_old {
        let leaf = old.leaves[at].clone();
        let ends_before = |path: &RelPath| leaf.last.as_slice() < path.as_str().as_bytes();
        let is_in = |path: &RelPath| at + 1 == n_old || !ends_before(path);
        if level.is_empty() && !changes.peek().is_some_and(|(path, _)| is_in(path)) {
            leaves.push(leaf);
            continue;
        }
        let mut merged = Vec::new();
        for (path, entry) in old.read_leaf(at)? {
            while let Some((new, change)) = changes.next_if(|(new, _)| **new < path) {
                merged.extend(change.clone().map(|entry| (new.clone(), entry)));
            }
            let entry = match changes.next_if(|(new, _)| **new == path) {
                Some((_, change)) => change.clone(),
                None => Some(entry),
            };
            merged.extend(entry.map(|entry| (path, entry)));
        }
        for (path, entry) in merged {
            let ended = level.push_entry(path.as_str(), &entry);
            leaves.extend(ended.map(|leaf| leaf.hand_over(sink)).transpose()?);
        }
    }
    for (path, change) in changes {
        let ended = change.as_ref();
        let ended = ended.and_then(|entry| level.push_entry(path.as_str(), entry));
        leaves.extend(ended.map(|leaf| leaf.hand_over(sink)).transpose()?);
    }
    if !level.is_empty() || leaves.is_empty() {
        leaves.push(level.end().hand_over(sink)?);
    }
    Ok(leaves)
}
