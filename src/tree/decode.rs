//! Reading one node: bytes from anywhere in, values that keep every rule out.

use super::format::{
    Cutter, FLAG_EXEC, HEADER_LEN, KIND_EMPTY_DIR, KIND_FILE, KIND_SYMLINK, MAGIC, MAX_LEVEL,
    MAX_NODE, VERSION, is_target,
};
use super::reader::Reader;
use super::{Entry, Error, Fault};
use crate::hash::{BlobId, Context, Digest, TreeId};
use crate::path::{MAX_PATH, RelPath};

/// Lists the ids a node names, after checking its bytes: its children, or its files.
/// For walks that need no paths (what a push must send, what a pull must fetch).
#[derive(Debug, PartialEq, Eq)]
pub struct NodeRefs {
    /// Child nodes of an internal node.
    pub children: Vec<TreeId>,
    /// Files of a leaf: id and size.
    pub files: Vec<(BlobId, u64)>,
}

/// Reads the references of one node.
pub fn node_refs(id: TreeId, bytes: &[u8]) -> Result<NodeRefs, Error> {
    let node = Node::decode(id, bytes)?;
    let mut refs = NodeRefs {
        children: Vec::new(),
        files: Vec::new(),
    };
    match node.content {
        Content::Internal(children) => {
            refs.children = children.into_iter().map(|child| child.id).collect();
        }
        Content::Leaf(entries) => {
            refs.files
                .extend(entries.iter().filter_map(|(_, entry)| match entry {
                    Entry::File { id, size, .. } => Some((*id, *size)),
                    Entry::Symlink { .. } | Entry::EmptyDir => None,
                }));
        }
    }
    Ok(refs)
}

/// A node that keeps every rule that can be checked without its neighbours, but for paths that
/// are also directories of others, which a walk over all leaves finds.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) level: u8,
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) content: Content,
    /// Whether the rule ends the node after its last entry. Only the last node of a level may
    /// end without.
    pub(super) is_full: bool,
}

/// What a node holds.
#[derive(Debug)]
pub(super) enum Content {
    Leaf(Vec<(RelPath, Entry)>),
    Internal(Vec<Child>),
}

/// What a parent says of a node.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) last: RelPath,
    pub(super) id: TreeId,
    pub(super) files: u64,
    pub(super) bytes: u64,
}

impl Node {
    /// Reads a node and checks that it is the one that `id` names.
    pub(super) fn decode(id: TreeId, bytes: &[u8]) -> Result<Self, Error> {
        let damaged = |fault| Error::Node { id, fault };
        if bytes.len() > MAX_NODE {
            return Err(damaged(Fault::TooLarge));
        }
        if TreeId(Digest::derive(Context::TreeNode, bytes)) != id {
            return Err(damaged(Fault::Hash));
        }
        let (header, reader) = Header::decode(bytes).map_err(damaged)?;
        if header.version > VERSION {
            let version = header.version;
            return Err(Error::Newer { id, version });
        }
        Self::decode_body(&header, reader).map_err(damaged)
    }

    fn decode_body(header: &Header, mut reader: Reader<'_>) -> Result<Self, Fault> {
        header.check(reader.rest().len())?;
        let mut keys = Keys::new(header.level);
        let content = if header.level == 0 {
            Content::Leaf(leaf(header.count, &mut keys, &mut reader)?)
        } else {
            Content::Internal(internal(header.count, &mut keys, &mut reader)?)
        };
        if !reader.rest().is_empty() {
            return Err(Fault::TrailingBytes);
        }
        let node = Self {
            level: header.level,
            files: header.files,
            bytes: header.bytes,
            content,
            is_full: keys.is_full,
        };
        if node.sums() != Some((header.files, header.bytes)) {
            return Err(Fault::Totals);
        }
        Ok(node)
    }

    fn sums(&self) -> Option<(u64, u64)> {
        let add = |sums: (u64, u64), files: u64, bytes: u64| {
            Some((sums.0.checked_add(files)?, sums.1.checked_add(bytes)?))
        };
        match &self.content {
            Content::Leaf(entries) => entries.iter().try_fold((0, 0), |sums, (_, entry)| {
                add(sums, entry.files(), entry.bytes())
            }),
            Content::Internal(children) => children
                .iter()
                .try_fold((0, 0), |sums, child| add(sums, child.files, child.bytes)),
        }
    }

    /// The last path at or below it; `None` for the empty leaf.
    pub(super) fn last(&self) -> Option<&RelPath> {
        match &self.content {
            Content::Leaf(entries) => entries.last().map(|(path, _)| path),
            Content::Internal(children) => children.last().map(|child| &child.last),
        }
    }
}

struct Header {
    version: u8,
    level: u8,
    count: u32,
    files: u64,
    bytes: u64,
    reserved: u16,
}

impl Header {
    fn decode(bytes: &[u8]) -> Result<(Self, Reader<'_>), Fault> {
        let mut reader = Reader::new(bytes);
        if reader.array()? != MAGIC {
            return Err(Fault::Magic);
        }
        let [version, level] = reader.array()?;
        let header = Self {
            version,
            level,
            reserved: u16::from_le_bytes(reader.array()?),
            count: u32::from_le_bytes(reader.array()?),
            files: u64::from_le_bytes(reader.array()?),
            bytes: u64::from_le_bytes(reader.array()?),
        };
        debug_assert_eq!(bytes.len() - reader.rest().len(), HEADER_LEN);
        Ok((header, reader))
    }

    /// Checks the header alone against the length of what follows it, before anything is made
    /// room for.
    fn check(&self, body_len: usize) -> Result<(), Fault> {
        // The shortest entries: an empty directory with a name of one byte; a child.
        let (shortest, fewest) = if self.level == 0 { (4, 0) } else { (37, 1) };
        if self.version != VERSION {
            return Err(Fault::Magic);
        }
        if self.reserved != 0 {
            return Err(Fault::Reserved);
        }
        if self.level > MAX_LEVEL {
            return Err(Fault::Level);
        }
        if self.count < fewest {
            return Err(Fault::TooFew);
        }
        if self.count as usize > body_len / shortest {
            return Err(Fault::Count);
        }
        Ok(())
    }
}

fn leaf(
    count: u32,
    keys: &mut Keys,
    reader: &mut Reader<'_>,
) -> Result<Vec<(RelPath, Entry)>, Fault> {
    let mut entries: Vec<(RelPath, Entry)> = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let path = keys.next(reader)?;
        let entry = entry(reader)?;
        keys.end_entry(&path, entry.target_len());
        entries.push((path, entry));
    }
    Ok(entries)
}

fn internal(count: u32, keys: &mut Keys, reader: &mut Reader<'_>) -> Result<Vec<Child>, Fault> {
    let mut children = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let last = keys.next(reader)?;
        keys.end_entry(&last, 0);
        children.push(Child {
            last,
            id: TreeId(reader.digest()?),
            files: reader.varint()?,
            bytes: reader.varint()?,
        });
    }
    Ok(children)
}

fn entry(reader: &mut Reader<'_>) -> Result<Entry, Fault> {
    match reader.byte()? {
        KIND_FILE => {
            let flags = reader.byte()?;
            if flags & !FLAG_EXEC != 0 {
                return Err(Fault::Reserved);
            }
            Ok(Entry::File {
                exec: flags & FLAG_EXEC != 0,
                size: reader.varint()?,
                id: BlobId(reader.digest()?),
            })
        }
        KIND_SYMLINK => {
            let length = reader.length()?;
            let target = std::str::from_utf8(reader.take(length)?).map_err(|_| Fault::NotUtf8)?;
            if !is_target(target) {
                return Err(Fault::Target);
            }
            Ok(Entry::Symlink {
                target: target.to_owned(),
            })
        }
        KIND_EMPTY_DIR => Ok(Entry::EmptyDir),
        _ => Err(Fault::Kind),
    }
}

/// The keys of one node, as they unfold from what each shares with the one before.
struct Keys {
    last: Vec<u8>,
    suffix_len: usize,
    cutter: Cutter,
    is_full: bool,
}

impl Keys {
    fn new(level: u8) -> Self {
        Self {
            last: Vec::new(),
            suffix_len: 0,
            cutter: Cutter::new(level),
            is_full: false,
        }
    }

    fn next(&mut self, reader: &mut Reader<'_>) -> Result<RelPath, Fault> {
        if self.is_full {
            return Err(Fault::Boundary);
        }
        let shared = reader.length()?;
        let suffix_len = reader.length()?;
        let suffix = reader.take(suffix_len)?;
        if shared + suffix_len > MAX_PATH {
            return Err(Fault::KeyTooLong);
        }
        let old_tail = self.last.get(shared..).ok_or(Fault::Shared)?;
        match (old_tail.first(), suffix.first()) {
            (_, None) => return Err(Fault::Order),
            (Some(old), Some(new)) if old == new => return Err(Fault::Shared),
            (Some(old), Some(new)) if old > new => return Err(Fault::Order),
            _ => {}
        }
        self.last.truncate(shared);
        self.last.extend_from_slice(suffix);
        self.suffix_len = suffix_len;
        let key = std::str::from_utf8(&self.last).map_err(|_| Fault::NotUtf8)?;
        Ok(RelPath::parse(key)?)
    }

    /// Ends the entry whose key was the last, and the node if the rule says so.
    fn end_entry(&mut self, key: &RelPath, target_len: usize) {
        let full = self
            .cutter
            .takes_last(key.as_str().as_bytes(), self.suffix_len, target_len);
        self.is_full = full;
    }
}
