//! Takes paths out of what is recorded or placed, and puts them in elsewhere: whole blocks as
//! they are, parts of directories by way of their trees. Nothing need be on disk.

use std::collections::BTreeMap;

use super::content;
use super::{Error, Result};
use crate::hash::{ContentId, TreeId};
use crate::path::RelPath;
use crate::project::Recorded;
use crate::store::{self, Store};
use crate::tree::{Entry, Tree};
use crate::workspace::{self, PlacedItem};

/// Entries by their path in the project.
pub(super) type Entries = Vec<(RelPath, Entry)>;

/// What stands for a file or a directory under one path.
pub(super) trait Block: Clone {
    /// All its entries; a tree that the store does not have is an error.
    fn entries(&self, store: &Store, root: &RelPath) -> Result<Entries>;
    /// A file.
    fn of_file(entry: &Entry) -> Option<Self>;
    /// A directory, whose nodes go into the store.
    fn of_tree(store: &Store, tree: &Tree) -> Result<Self>;
    /// Whether it is a directory.
    fn is_dir(&self) -> bool;
}

/// Something taken out.
#[derive(Clone, Debug)]
pub(super) enum Taken<B> {
    /// A whole block.
    Whole(B),
    /// A part of a directory.
    Part(Entries),
}

impl Block for Recorded {
    fn entries(&self, store: &Store, root: &RelPath) -> Result<Entries> {
        let entries = content::entries(store, root, self)?;
        entries.ok_or_else(|| match self.hash.digest() {
            Some(digest) => store::Error::Missing(TreeId(digest).into()).into(),
            None => Error::ForeignHash {
                path: root.clone(),
                hash: self.hash.to_string(),
            },
        })
    }

    fn of_file(entry: &Entry) -> Option<Self> {
        let Entry::File { id, size, exec } = entry else {
            return None;
        };
        Some(Self {
            hash: ContentId::from(*id),
            size: *size,
            files: None,
            exec: *exec,
        })
    }

    fn of_tree(store: &Store, tree: &Tree) -> Result<Self> {
        Ok(Self {
            hash: ContentId::from(workspace::write_tree(store, tree)?),
            size: tree.bytes(),
            files: Some(tree.files()),
            exec: false,
        })
    }

    fn is_dir(&self) -> bool {
        self.files.is_some()
    }
}

impl Block for PlacedItem {
    fn entries(&self, store: &Store, root: &RelPath) -> Result<Entries> {
        match self {
            &Self::File { id, size, exec } => {
                Ok(vec![(root.clone(), Entry::File { id, size, exec })])
            }
            Self::Dir(id) => Ok(workspace::read_tree(store, *id)?.below(root)),
        }
    }

    fn of_file(entry: &Entry) -> Option<Self> {
        match entry {
            &Entry::File { id, size, exec } => Some(Self::File { id, size, exec }),
            Entry::Symlink { .. } | Entry::EmptyDir => None,
        }
    }

    fn of_tree(store: &Store, tree: &Tree) -> Result<Self> {
        Ok(Self::Dir(workspace::write_tree(store, tree)?))
    }

    fn is_dir(&self) -> bool {
        matches!(self, Self::Dir(_))
    }
}

/// The block that a path is, or the nearest one that it lies in.
pub(super) fn holder<B>(blocks: &BTreeMap<RelPath, B>, path: &RelPath) -> Option<RelPath> {
    let mut at_and_above = std::iter::once(path.clone()).chain(path.ancestors());
    at_and_above.find(|root| blocks.contains_key(root))
}

/// What is recorded at a path, which need not be a block of its own; `None` if nothing is.
pub(super) fn look<B: Block>(
    blocks: &BTreeMap<RelPath, B>,
    store: &Store,
    path: &RelPath,
) -> Result<Option<Taken<B>>> {
    let Some(root) = holder(blocks, path) else {
        return Ok(None);
    };
    if root == *path {
        return Ok(Some(Taken::Whole(blocks[&root].clone())));
    }
    if !blocks[&root].is_dir() {
        return Ok(None);
    }
    let mut entries = blocks[&root].entries(store, &root)?;
    entries.retain(|(at, _)| at.starts_with(path));
    Ok((!entries.is_empty()).then_some(Taken::Part(entries)))
}

/// Takes a path out: its block, or its part of the tree of the block it lies in. `None`, and
/// nothing changed, if it is not there.
pub(super) fn take<B: Block>(
    blocks: &mut BTreeMap<RelPath, B>,
    store: &Store,
    path: &RelPath,
) -> Result<Option<Taken<B>>> {
    let taken = look(blocks, store, path)?;
    match (&taken, holder(blocks, path)) {
        (Some(Taken::Whole(_)), _) => {
            blocks.remove(path);
        }
        (Some(Taken::Part(_)), Some(root)) => {
            let mut rest = blocks[&root].entries(store, &root)?;
            rest.retain(|(at, _)| !at.starts_with(path));
            blocks.insert(root.clone(), B::of_tree(store, &tree_of(&root, rest)?)?);
        }
        _ => {}
    }
    Ok(taken)
}

/// Puts what was taken from one path in at another: into the tree of the directory that holds
/// it, or as a block of its own.
pub(super) fn put<B: Block>(
    blocks: &mut BTreeMap<RelPath, B>,
    store: &Store,
    from: &RelPath,
    to: &RelPath,
    taken: Taken<B>,
) -> Result<()> {
    let Some(root) = holder(blocks, to) else {
        let block = match taken {
            Taken::Whole(block) => Some(block),
            Taken::Part(entries) => block_of(store, from, &entries)?,
        };
        // A link by itself is not tracked, and counts as nothing placed.
        blocks.extend(block.map(|block| (to.clone(), block)));
        return Ok(());
    };
    let moved = match taken {
        Taken::Whole(block) => block.entries(store, from)?,
        Taken::Part(entries) => entries,
    };
    let mut entries = blocks[&root].entries(store, &root)?;
    // Neither a directory that is empty no longer, nor the mark of a root that was.
    entries.retain(|(at, entry)| *entry != Entry::EmptyDir || !to.starts_with(at));
    entries.extend(moved.into_iter().map(|(at, entry)| {
        let at = at.strip_prefix(from).map_or(to.clone(), |at| to.join(&at));
        (at, entry)
    }));
    blocks.insert(root.clone(), B::of_tree(store, &tree_of(&root, entries)?)?);
    Ok(())
}

/// Entries at and below a path as one block; `None` for a link, which is not tracked by itself.
pub(super) fn block_of<B: Block>(
    store: &Store,
    from: &RelPath,
    entries: &Entries,
) -> Result<Option<B>> {
    match &entries[..] {
        [(at, entry)] if at == from && *entry != Entry::EmptyDir => Ok(B::of_file(entry)),
        _ => B::of_tree(store, &tree_of(from, entries.clone())?).map(Some),
    }
}

/// Entries at and below a directory as its tree.
fn tree_of(root: &RelPath, entries: Entries) -> Result<Tree> {
    let below = entries.into_iter();
    let below = below.filter_map(|(at, entry)| Some((at.strip_prefix(root)?, entry)));
    Ok(Tree::new(below.collect())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::BlobId;

    fn path(text: &str) -> RelPath {
        RelPath::parse(text).unwrap()
    }

    fn file(text: &str) -> Entry {
        Entry::File {
            id: BlobId(crate::hash::Digest::of(text.as_bytes())),
            size: text.len() as u64,
            exec: false,
        }
    }

    struct Blocks {
        _dir: tempfile::TempDir,
        store: Store,
        blocks: BTreeMap<RelPath, Recorded>,
    }

    impl Blocks {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::open(dir.path());
            let tree = ["a", "sub/b", "sub/c"].map(|name| (path(name), file(name)));
            let tree = Tree::new(tree.to_vec()).unwrap();
            let blocks = BTreeMap::from([
                (path("dir"), Recorded::of_tree(&store, &tree).unwrap()),
                (path("file"), Recorded::of_file(&file("file")).unwrap()),
                (
                    path("empty"),
                    Recorded::of_tree(&store, &Tree::default()).unwrap(),
                ),
            ]);
            Self {
                _dir: dir,
                store,
                blocks,
            }
        }

        fn relocate(&mut self, from: &str, to: &str) {
            let (from, to) = (path(from), path(to));
            let taken = take(&mut self.blocks, &self.store, &from).unwrap().unwrap();
            put(&mut self.blocks, &self.store, &from, &to, taken).unwrap();
        }

        /// `path=size`, directories with their entries in brackets.
        fn text(&self) -> String {
            let mut text = Vec::new();
            for (root, block) in &self.blocks {
                let entries = block.entries(&self.store, root).unwrap();
                let names: Vec<String> = entries.iter().map(|(at, _)| at.to_string()).collect();
                text.push(match block.files {
                    Some(n_files) => format!("{root}/{n_files}[{}]", names.join(" ")),
                    None => root.to_string(),
                });
            }
            text.join(" ")
        }
    }

    #[test]
    fn paths_move_within_into_out_of_and_between_directories() {
        let all = "dir/3[dir/a dir/sub/b dir/sub/c] empty/0[empty] file";
        let cases = [
            (
                "file",
                "other",
                "dir/3[dir/a dir/sub/b dir/sub/c] empty/0[empty] other",
            ),
            (
                "file",
                "dir/x/y",
                "dir/4[dir/a dir/sub/b dir/sub/c dir/x/y] empty/0[empty]",
            ),
            (
                "dir/a",
                "dir/sub/a",
                "dir/3[dir/sub/a dir/sub/b dir/sub/c] empty/0[empty] file",
            ),
            (
                "dir/a",
                "out",
                "dir/2[dir/sub/b dir/sub/c] empty/0[empty] file out",
            ),
            (
                "dir/sub",
                "out",
                "dir/1[dir/a] empty/0[empty] file out/2[out/b out/c]",
            ),
            (
                "dir/sub",
                "empty/sub",
                "dir/1[dir/a] empty/2[empty/sub/b empty/sub/c] file",
            ),
            (
                "dir",
                "empty/dir",
                "empty/3[empty/dir/a empty/dir/sub/b empty/dir/sub/c] file",
            ),
            (
                "empty",
                "dir/empty",
                "dir/3[dir/a dir/empty dir/sub/b dir/sub/c] file",
            ),
        ];
        for (from, to, expected) in cases {
            let mut blocks = Blocks::new();
            assert_eq!(blocks.text(), all);
            blocks.relocate(from, to);
            assert_eq!(blocks.text(), expected, "{from} → {to}");
            blocks.relocate(to, from);
            assert_eq!(blocks.text(), all, "{to} → {from}");
        }
    }

    #[test]
    fn what_is_not_there_is_not_taken() {
        let mut blocks = Blocks::new();
        let before = blocks.text();
        for name in ["none", "dir/none", "file/below", "dir/a/below"] {
            let taken = take(&mut blocks.blocks, &blocks.store, &path(name)).unwrap();
            assert!(taken.is_none(), "{name}");
        }
        assert_eq!(blocks.text(), before);
    }
}
