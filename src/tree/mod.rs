//! Trees: the files of a directory as one sorted list, its canonical bytes cut into nodes by
//! content-defined boundaries, and what differs between two. Unaware of disks and formats of text.
//!
//! A tree has exactly one encoding: who built it, in which order, and from what earlier tree
//! never shows in its id. `docs/format.md`, section "Tree", gives the bytes.

mod decode;
mod diff;
mod encode;
mod format;
mod order;
mod read;
mod reader;
mod update;

pub use decode::{NodeRefs, node_refs};
pub use diff::{Change, ChangeKind, diff, find_renames};
pub use encode::{Encoded, Encoder, Summary};
pub use format::MAX_NODE;
pub use update::{Changes, Outline, Updated, is_whole, part, update};

use crate::hash::{BlobId, TreeId};
use crate::path::{self, RelPath};
use order::{Clash, PathOrder};

/// What lies at a path of a tree.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Entry {
    /// A file.
    File {
        /// Its content.
        id: BlobId,
        /// Its length in bytes.
        size: u64,
        /// Whether its owner may execute it.
        exec: bool,
    },
    /// A symbolic link, relative and resolving inside the tree. Whoever writes links to a disk
    /// checks that again: the format itself only bounds the length of the target.
    Symlink {
        /// Where it points.
        target: String,
    },
    /// A directory with nothing in it.
    EmptyDir,
}

/// A sorted list of paths and what lies there.
///
/// No path is there twice, none is also a directory of another, and the sizes have a sum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    entries: Vec<(RelPath, Entry)>,
}

/// What is wrong with entries or node bytes.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Two entries have one path.
    #[error("`{0}` is there twice")]
    Duplicate(RelPath),
    /// A path is also a directory of another.
    #[error("`{path}` cannot lie below `{above}`, which is not a directory")]
    NotADirectory {
        /// The path above.
        above: RelPath,
        /// The path below it.
        path: RelPath,
    },
    /// A path became too long when it was put below a directory.
    #[error(transparent)]
    Path(#[from] path::Error),
    /// A link that points nowhere or whose target is too long.
    #[error(
        "the link `{0}` has a target that is empty, holds a NUL byte or exceeds {max} bytes",
        max = format::MAX_TARGET
    )]
    Target(RelPath),
    /// More files or bytes than a tree can count, or more paths than is sane.
    #[error("the tree is too large")]
    TooLarge,
    /// A node of a later version of the format.
    #[error("tree node {id} has version {version}, which is newer than this esker")]
    Newer {
        /// The node.
        id: TreeId,
        /// Its version.
        version: u8,
    },
    /// Node bytes that break a rule of the format.
    #[error("tree node {id} is damaged")]
    Node {
        /// The node.
        id: TreeId,
        /// The rule it breaks.
        #[source]
        fault: Fault,
    },
}

/// The rules of the format that node bytes can break.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Fault {
    /// The bytes are not those that the id names.
    #[error("its bytes have another hash")]
    Hash,
    /// More than [`MAX_NODE`] bytes.
    #[error("it is larger than {MAX_NODE} bytes")]
    TooLarge,
    /// Ends in the middle of something.
    #[error("it is cut short")]
    CutShort,
    /// Goes on after its last entry.
    #[error("bytes follow its last entry")]
    TrailingBytes,
    /// Does not begin as a node does.
    #[error("it does not begin with `ESKT` and a version")]
    Magic,
    /// Bits that must be zero are not.
    #[error("reserved bits are set")]
    Reserved,
    /// A level above 7, or not the one below the parent's.
    #[error("its level is wrong")]
    Level,
    /// A count that its bytes cannot hold.
    #[error("it claims more entries than its bytes can hold")]
    Count,
    /// A node without entries that is not the whole tree, or a root with one child.
    #[error("it has fewer entries than a node at its place has")]
    TooFew,
    /// A number that has a shorter encoding or exceeds 64 bits.
    #[error("a number is not in its shortest form")]
    Varint,
    /// A key shares fewer or more bytes with the one before than it says.
    #[error("a key does not share the longest prefix with the one before")]
    Shared,
    /// A key longer than any path.
    #[error("a key is longer than {max} bytes", max = path::MAX_PATH)]
    KeyTooLong,
    /// A key that is no path.
    #[error(transparent)]
    Path(#[from] path::Error),
    /// A key that is not UTF-8, or a target.
    #[error("a key or target is not UTF-8")]
    NotUtf8,
    /// A key that does not come after the one before, here or in the node before.
    #[error("its keys do not ascend")]
    Order,
    /// A path that is also a directory of another.
    #[error("`{0}` is a directory and is not")]
    NotADirectory(String),
    /// A kind of entry that version 1 does not have.
    #[error("an entry has an unknown kind")]
    Kind,
    /// A target that is empty, holds a NUL byte, or is longer than 4,095 bytes.
    #[error("a link has no possible target")]
    Target,
    /// Sums that differ from what they sum, or do not fit.
    #[error("its totals are not those of its entries")]
    Totals,
    /// A child whose last key or totals are not what the parent says.
    #[error("it is not the node that its parent describes")]
    Child,
    /// Not cut where the rule cuts.
    #[error("it does not end where the rule ends a node")]
    Boundary,
}

impl Tree {
    /// Makes a tree of entries in any order. A path twice, or one that is also a directory of
    /// another, is an error.
    pub fn new(mut entries: Vec<(RelPath, Entry)>) -> Result<Self, Error> {
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        check_order(&entries)?;
        check_entries(&entries)?;
        Ok(Self { entries })
    }

    /// All entries, by path.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&RelPath, &Entry)> {
        self.entries.iter().map(|(path, entry)| (path, entry))
    }

    /// What lies at a path.
    pub fn get(&self, path: &RelPath) -> Option<&Entry> {
        let at = self.entries.binary_search_by(|(other, _)| other.cmp(path));
        at.ok().map(|at| &self.entries[at].1)
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many files and links it holds.
    pub fn files(&self) -> u64 {
        self.iter().map(|(_, entry)| entry.files()).sum()
    }

    /// How many bytes its files have.
    pub fn bytes(&self) -> u64 {
        self.iter().map(|(_, entry)| entry.bytes()).sum()
    }

    /// The same entries, each below `dir`; an empty tree becomes an empty directory at `dir`.
    pub fn below(&self, dir: &RelPath) -> Vec<(RelPath, Entry)> {
        self.clone().into_below(dir)
    }

    /// The same of a tree that is needed no longer.
    pub fn into_below(self, dir: &RelPath) -> Vec<(RelPath, Entry)> {
        if self.is_empty() {
            return vec![(dir.clone(), Entry::EmptyDir)];
        }
        let entries = self.entries.into_iter();
        entries
            .map(|(path, entry)| (dir.join(&path), entry))
            .collect()
    }

    /// The part at and below `dir`, with `dir` taken off; `None` if nothing is there or a file is.
    pub fn subtree(&self, dir: &RelPath) -> Option<Tree> {
        if let Some(entry) = self.get(dir) {
            return (*entry == Entry::EmptyDir).then(Self::default);
        }
        let prefix = format!("{dir}/");
        let start = self
            .entries
            .partition_point(|(path, _)| path.as_str() < prefix.as_str());
        let entries: Vec<_> = self.entries[start..]
            .iter()
            .map_while(|(path, entry)| Some((path.strip_prefix(dir)?, entry.clone())))
            .collect();
        (!entries.is_empty()).then_some(Self { entries })
    }

    /// Cuts it into nodes.
    pub fn encode(&self) -> Encoded {
        encode::encode(&self.entries)
    }

    /// The id alone.
    pub fn id(&self) -> TreeId {
        self.encode().root
    }

    /// What it is, in short.
    pub fn summary(&self) -> Summary {
        Summary {
            root: self.id(),
            files: self.files(),
            bytes: self.bytes(),
        }
    }

    /// Reads a tree back. `load` fetches the bytes of a node, which are checked here against
    /// their id and every rule of the format, so that the tree encodes to `root` again.
    pub fn decode<E: From<Error>>(
        root: TreeId,
        load: impl FnMut(TreeId) -> Result<Vec<u8>, E>,
    ) -> Result<Self, E> {
        let entries = read::read(root, load, read::Limits::default())?;
        Ok(Self { entries })
    }
}

impl Entry {
    /// What it adds to the number of files of a tree: links count, empty directories do not.
    fn files(&self) -> u64 {
        u64::from(!matches!(self, Self::EmptyDir))
    }

    /// How much of a link's target weighs when the tree is cut into nodes.
    fn target_len(&self) -> usize {
        match self {
            Self::Symlink { target } => target.len(),
            Self::File { .. } | Self::EmptyDir => 0,
        }
    }

    /// What it adds to the bytes of a tree.
    fn bytes(&self) -> u64 {
        match self {
            Self::File { size, .. } => *size,
            Self::Symlink { .. } | Self::EmptyDir => 0,
        }
    }
}

impl Fault {
    fn from_clash(clash: Clash, path: &RelPath) -> Self {
        match clash {
            Clash::NotAbove => Self::Order,
            Clash::Below(length) => Self::NotADirectory(path.as_str()[..length].to_owned()),
        }
    }
}

fn check_order(entries: &[(RelPath, Entry)]) -> Result<(), Error> {
    let mut order = PathOrder::default();
    let mut previous: Option<&RelPath> = None;
    for (path, _) in entries {
        match order.follow(previous.map(RelPath::as_str), path.as_str()) {
            Ok(()) => previous = Some(path),
            Err(Clash::NotAbove) => return Err(Error::Duplicate(path.clone())),
            Err(Clash::Below(length)) => {
                return Err(Error::NotADirectory {
                    above: RelPath::parse(&path.as_str()[..length])?,
                    path: path.clone(),
                });
            }
        }
    }
    Ok(())
}

fn check_entries(entries: &[(RelPath, Entry)]) -> Result<(), Error> {
    let mut bytes = 0_u64;
    for (path, entry) in entries {
        // `RelPath::join` makes paths that were never parsed as a whole.
        if path.as_str().len() > path::MAX_PATH {
            return Err(path::Error::TooLong(path.to_string()).into());
        }
        if let Entry::Symlink { target } = entry
            && !format::is_target(target)
        {
            return Err(Error::Target(path.clone()));
        }
        bytes = bytes.checked_add(entry.bytes()).ok_or(Error::TooLarge)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
