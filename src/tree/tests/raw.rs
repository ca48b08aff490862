//! Nodes made by hand, right and wrong ones.

use super::*;
use crate::hash::Context;

/// A node with every field open to lies.
#[derive(Clone)]
pub(super) struct Raw {
    pub(super) head: [u8; 8],
    pub(super) count: u32,
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) body: Vec<u8>,
}

impl Raw {
    /// A node whose header is right for an empty body.
    pub(super) fn new(level: u8) -> Self {
        let head = [b'E', b'S', b'K', b'T', 1, level, 0, 0];
        Self {
            head,
            count: 0,
            files: 0,
            bytes: 0,
            body: vec![],
        }
    }

    /// Adds the beginning of an entry as it is given.
    pub(super) fn key(mut self, shared: usize, suffix: &str) -> Self {
        self.count += 1;
        varint(&mut self.body, shared as u64);
        varint(&mut self.body, suffix.len() as u64);
        self.body.extend(suffix.as_bytes());
        self
    }

    /// Adds bytes as they are given.
    pub(super) fn with(mut self, bytes: &[u8]) -> Self {
        self.body.extend(bytes);
        self
    }

    /// Adds a file of a leaf.
    pub(super) fn file(self, shared: usize, suffix: &str, size: u64) -> Self {
        let mut raw = self.key(shared, suffix).with(&[0, 0]);
        varint(&mut raw.body, size);
        raw.files += 1;
        raw.bytes = raw.bytes.wrapping_add(size);
        raw.with(&[7; 32])
    }

    /// Adds an empty directory, which takes the fewest bytes.
    pub(super) fn dir(self, shared: usize, suffix: &str) -> Self {
        self.key(shared, suffix).with(&[2])
    }

    /// Adds a child of a node above the leaves.
    pub(super) fn child(
        self,
        shared: usize,
        suffix: &str,
        id: TreeId,
        files: u64,
        bytes: u64,
    ) -> Self {
        let mut raw = self.key(shared, suffix).with(id.0.as_bytes());
        varint(&mut raw.body, files);
        varint(&mut raw.body, bytes);
        raw.files = raw.files.wrapping_add(files);
        raw.bytes = raw.bytes.wrapping_add(bytes);
        raw
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.head.to_vec();
        bytes.extend(self.count.to_le_bytes());
        bytes.extend(self.files.to_le_bytes());
        bytes.extend(self.bytes.to_le_bytes());
        bytes.extend(&self.body);
        bytes
    }
}

pub(super) fn varint(body: &mut Vec<u8>, mut number: u64) {
    loop {
        let byte = number as u8 & 0x7f;
        number >>= 7;
        body.push(if number == 0 { byte } else { byte | 0x80 });
        if number == 0 {
            return;
        }
    }
}

pub(super) fn id_of(bytes: &[u8]) -> TreeId {
    TreeId(Digest::derive(Context::TreeNode, bytes))
}

/// Reads the tree whose only node, or whose root, is the last of these.
pub(super) fn decode_nodes(nodes: &[Vec<u8>]) -> Result<Tree, Error> {
    let root = id_of(nodes.last().unwrap());
    decode_from(
        root,
        nodes
            .iter()
            .map(|bytes| (id_of(bytes), bytes.clone()))
            .collect(),
    )
}
