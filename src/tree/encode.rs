//! Writing a tree as nodes.

use super::Entry;
use super::format::{
    Cutter, FLAG_EXEC, HEADER_LEN, KIND_EMPTY_DIR, KIND_FILE, KIND_SYMLINK, MAGIC, VERSION,
};
use super::order::shared_len;
use crate::hash::{Context, Digest, TreeId};
use crate::path::RelPath;

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
    let mut children = leaves(entries, &mut nodes);
    let mut level = 0;
    while children.len() > 1 {
        level += 1;
        children = parents(level, &children, &mut nodes);
    }
    let root = children[0].id;
    Encoded { root, nodes }
}

/// What a parent says of a node.
struct Child<'a> {
    last: &'a str,
    id: TreeId,
    files: u64,
    bytes: u64,
}

type Nodes = Vec<(TreeId, Vec<u8>)>;

fn leaves<'a>(entries: &'a [(RelPath, Entry)], nodes: &mut Nodes) -> Vec<Child<'a>> {
    let mut leaf = NodeWriter::new(0);
    let mut children = Vec::new();
    for (path, entry) in entries {
        leaf.key(path.as_str());
        put_entry(&mut leaf.body, entry);
        leaf.files += entry.files();
        leaf.bytes += entry.bytes();
        if leaf.ends_after(entry.target_len()) {
            children.push(leaf.finish(nodes));
        }
    }
    // An empty tree is one empty leaf.
    if leaf.count > 0 || children.is_empty() {
        children.push(leaf.finish(nodes));
    }
    children
}

fn parents<'a>(level: u8, below: &[Child<'a>], nodes: &mut Nodes) -> Vec<Child<'a>> {
    let mut node = NodeWriter::new(level);
    let mut children = Vec::new();
    for child in below {
        node.key(child.last);
        node.body.extend_from_slice(child.id.0.as_bytes());
        put_varint(&mut node.body, child.files);
        put_varint(&mut node.body, child.bytes);
        node.files += child.files;
        node.bytes += child.bytes;
        if node.ends_after(0) {
            children.push(node.finish(nodes));
        }
    }
    if node.count > 0 {
        children.push(node.finish(nodes));
    }
    children
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

/// The node being filled, from left to right.
struct NodeWriter<'a> {
    level: u8,
    cutter: Cutter,
    count: u32,
    files: u64,
    bytes: u64,
    last: &'a str,
    suffix_len: usize,
    body: Vec<u8>,
}

impl<'a> NodeWriter<'a> {
    fn new(level: u8) -> Self {
        Self {
            level,
            cutter: Cutter::new(level),
            count: 0,
            files: 0,
            bytes: 0,
            last: "",
            suffix_len: 0,
            body: Vec::new(),
        }
    }

    /// Begins an entry.
    fn key(&mut self, key: &'a str) {
        let shared = shared_len(self.last, key);
        let suffix = &key.as_bytes()[shared..];
        put_len(&mut self.body, shared);
        put_len(&mut self.body, suffix.len());
        self.body.extend_from_slice(suffix);
        self.suffix_len = suffix.len();
        self.last = key;
        self.count += 1;
    }

    /// Ends an entry; says whether the node ends with it.
    fn ends_after(&mut self, target_len: usize) -> bool {
        self.cutter
            .takes_last(self.last, self.suffix_len, target_len)
    }

    /// Names the node, and makes room for the next.
    fn finish(&mut self, nodes: &mut Nodes) -> Child<'a> {
        let next = Self::new(self.level);
        let node = std::mem::replace(self, next);
        let mut bytes = Vec::with_capacity(HEADER_LEN + node.body.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend([VERSION, node.level, 0, 0]);
        bytes.extend(node.count.to_le_bytes());
        bytes.extend(node.files.to_le_bytes());
        bytes.extend(node.bytes.to_le_bytes());
        bytes.extend_from_slice(&node.body);
        let id = TreeId(Digest::derive(Context::TreeNode, &bytes));
        nodes.push((id, bytes));
        Child {
            last: node.last,
            id,
            files: node.files,
            bytes: node.bytes,
        }
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
