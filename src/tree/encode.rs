//! Writing a tree as nodes.

use std::convert::Infallible;

use super::Entry;
use super::format::{
    Cutter, FLAG_EXEC, HEADER_LEN, KIND_EMPTY_DIR, KIND_FILE, KIND_SYMLINK, MAGIC, VERSION,
};
use super::order::shared_len;
use crate::hash::{Context, Digest, TreeId};
use crate::path::RelPath;

/// What a tree is, in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The id of its root node.
    pub root: TreeId,
    /// How many files and links it has.
    pub files: u64,
    /// How many bytes its files have.
    pub bytes: u64,
}

/// A tree as it is stored: its nodes by id, children before parents; the root is the last.
#[derive(Debug)]
pub struct Encoded {
    /// The id of the root node.
    pub root: TreeId,
    /// All nodes.
    pub nodes: Vec<(TreeId, Vec<u8>)>,
}

/// Cuts sorted entries into leaves, the leaves into nodes above them, until one is left.
pub(super) fn encode(entries: &[(RelPath, Entry)]) -> Encoded {
    let mut nodes = Vec::new();
    let mut encoder = Encoder::new(|id, bytes| {
        nodes.push((id, bytes));
        Ok::<_, Infallible>(())
    });
    let encoded = entries
        .iter()
        .try_for_each(|(path, entry)| encoder.push(path.as_str(), entry))
        .and_then(|()| encoder.finish());
    let Ok(summary) = encoded;
    let root = summary.root;
    Encoded { root, nodes }
}

/// Takes the entries of a tree one after another and hands over each node as soon as it ends, so
/// that neither the entries nor the nodes of a large tree need be held at once.
pub struct Encoder<S> {
    leaves: Level,
    children: Vec<Child>,
    sink: S,
}

impl<E, S: FnMut(TreeId, Vec<u8>) -> Result<(), E>> Encoder<S> {
    /// Begins a tree, whose nodes go to `sink`: children before parents, the root last.
    pub fn new(sink: S) -> Self {
        Self {
            leaves: Level::new(0),
            children: Vec::new(),
            sink,
        }
    }

    /// Takes the next entry. Paths ascend, and none is a directory of another.
    pub fn push(&mut self, path: &str, entry: &Entry) -> Result<(), E> {
        if let Some(leaf) = self.leaves.push_entry(path, entry) {
            self.children.push(leaf.hand_over(&mut self.sink)?);
        }
        Ok(())
    }

    /// Ends the tree.
    pub fn finish(mut self) -> Result<Summary, E> {
        // An empty tree is one empty leaf.
        if !self.leaves.is_empty() || self.children.is_empty() {
            let leaf = self.leaves.end();
            self.children.push(leaf.hand_over(&mut self.sink)?);
        }
        raise(self.children, &mut self.sink)
    }
}

/// Puts nodes above some leaves until one is left.
pub(super) fn raise<E>(
    mut children: Vec<Child>,
    sink: &mut impl FnMut(TreeId, Vec<u8>) -> Result<(), E>,
) -> Result<Summary, E> {
    let mut level = 0;
    while children.len() > 1 {
        level += 1;
        let mut nodes = Level::new(level);
        let mut parents = Vec::new();
        for child in &children {
            if let Some(node) = nodes.push_child(child) {
                parents.push(node.hand_over(sink)?);
            }
        }
        if !nodes.is_empty() {
            parents.push(nodes.end().hand_over(sink)?);
        }
        children = parents;
    }
    let root = &children[0];
    Ok(Summary {
        root: root.id,
        files: root.files,
        bytes: root.bytes,
    })
}

/// What a parent says of a node.
#[derive(Clone, Debug)]
pub(super) struct Child {
    pub(super) last: Vec<u8>,
    pub(super) id: TreeId,
    pub(super) files: u64,
    pub(super) bytes: u64,
}

/// A node that has ended.
pub(super) struct Ended {
    pub(super) child: Child,
    bytes: Vec<u8>,
}

impl Ended {
    pub(super) fn hand_over<E>(
        self,
        sink: &mut impl FnMut(TreeId, Vec<u8>) -> Result<(), E>,
    ) -> Result<Child, E> {
        sink(self.child.id, self.bytes)?;
        Ok(self.child)
    }
}

fn put_entry(body: &mut Vec<u8>, entry: &Entry) {
    match entry {
        Entry::File { id, size, exec } => {
            body.extend([KIND_FILE, if *exec { FLAG_EXEC } else { 0 }]);
            put_varint(body, *size);
            body.extend_from_slice(id.0.as_bytes());
        }
        Entry::Symlink { target } => {
            body.push(KIND_SYMLINK);
            put_len(body, target.len());
            body.extend_from_slice(target.as_bytes());
        }
        Entry::EmptyDir => body.push(KIND_EMPTY_DIR),
    }
}

/// The nodes of one level, filled from left to right.
pub(super) struct Level {
    level: u8,
    cutter: Cutter,
    count: u32,
    files: u64,
    bytes: u64,
    last: Vec<u8>,
    suffix_len: usize,
    body: Vec<u8>,
}

impl Level {
    pub(super) fn new(level: u8) -> Self {
        Self {
            level,
            cutter: Cutter::new(level),
            count: 0,
            files: 0,
            bytes: 0,
            last: Vec::new(),
            suffix_len: 0,
            body: Vec::new(),
        }
    }

    /// Whether the node at hand has no entry yet.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Takes an entry of a leaf; hands out the leaf if it ends with that.
    pub(super) fn push_entry(&mut self, path: &str, entry: &Entry) -> Option<Ended> {
        self.key(path.as_bytes());
        put_entry(&mut self.body, entry);
        self.files += entry.files();
        self.bytes += entry.bytes();
        self.ends_after(entry.target_len()).then(|| self.end())
    }

    /// Takes a node of the level below; hands out its parent if that ends with it.
    fn push_child(&mut self, child: &Child) -> Option<Ended> {
        self.key(&child.last);
        self.body.extend_from_slice(child.id.0.as_bytes());
        put_varint(&mut self.body, child.files);
        put_varint(&mut self.body, child.bytes);
        self.files += child.files;
        self.bytes += child.bytes;
        self.ends_after(0).then(|| self.end())
    }

    /// Begins an entry.
    fn key(&mut self, key: &[u8]) {
        let shared = shared_len(&self.last, key);
        let suffix = &key[shared..];
        put_len(&mut self.body, shared);
        put_len(&mut self.body, suffix.len());
        self.body.extend_from_slice(suffix);
        self.suffix_len = suffix.len();
        self.last.truncate(shared);
        self.last.extend_from_slice(suffix);
        self.count += 1;
    }

    /// Ends an entry; says whether the node ends with it.
    fn ends_after(&mut self, target_len: usize) -> bool {
        self.cutter
            .takes_last(&self.last, self.suffix_len, target_len)
    }

    /// Names the node, and makes room for the next.
    pub(super) fn end(&mut self) -> Ended {
        let next = Self::new(self.level);
        let node = std::mem::replace(self, next);
        let mut bytes = Vec::with_capacity(HEADER_LEN + node.body.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend([VERSION, node.level, 0, 0]);
        bytes.extend(node.count.to_le_bytes());
        bytes.extend(node.files.to_le_bytes());
        bytes.extend(node.bytes.to_le_bytes());
        bytes.extend_from_slice(&node.body);
        let child = Child {
            last: node.last,
            id: TreeId(Digest::derive(Context::TreeNode, &bytes)),
            files: node.files,
            bytes: node.bytes,
        };
        Ended { child, bytes }
    }
}

fn put_len(body: &mut Vec<u8>, length: usize) {
    put_varint(body, length as u64);
}

/// LEB128: seven bits a byte, lowest first, the high bit set on all but the last.
fn put_varint(body: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        body.push(number as u8 | 0x80);
        number >>= 7;
    }
    body.push(number as u8);
}
