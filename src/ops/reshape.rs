//! Takes paths out of what is recorded or placed, and puts them in elsewhere: whole blocks as
//! they are, parts of directories by way of their trees. Nothing need be on disk.

use std::collections::BTreeMap;

use super::content;
use super::{Error, Result};
use crate::hash::{ContentId, TreeId};
use crate::path::RelPath;
use crate::project::Recorded;
use crate::store::{self, Store};
use crate::tree::{self, Changes, Entry, Summary, Tree};
use crate::workspace::{self, PlacedItem};

/// Entries by their path in the project.
pub(super) type Entries = Vec<(RelPath, Entry)>;

/// What stands for a file or a directory under one path.
pub(super) trait Block: Clone {
    /// All its entries; a tree that the store does not have is an error.
    fn entries(&self, store: &Store, root: &RelPath) -> Result<Entries>;
    /// A file.
    fn of_file(entry: &Entry) -> Option<Self>;
    /// A directory, whose nodes are in the store.
    fn of_dir(tree: Summary) -> Self;
    /// The tree of a directory at `root`; `None` of a file.
    fn tree(&self, root: &RelPath) -> Result<Option<TreeId>>;
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

    fn of_dir(tree: Summary) -> Self {
        content::recorded_dir(tree)
    }

    fn tree(&self, root: &RelPath) -> Result<Option<TreeId>> {
        let digest = self.hash.digest().ok_or_else(|| Error::ForeignHash {
            path: root.clone(),
            hash: self.hash.to_string(),
        })?;
        Ok(self.files.map(|_| TreeId(digest)))
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

    fn of_dir(tree: Summary) -> Self {
        Self::Dir(tree.root)
    }

    fn tree(&self, _: &RelPath) -> Result<Option<TreeId>> {
        Ok(match self {
            Self::File { .. } => None,
            Self::Dir(root) => Some(*root),
        })
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
    let (Some(tree), Some(below)) = (blocks[&root].tree(&root)?, path.strip_prefix(&root)) else {
        return Ok(None);
    };
    let part = part_of(store, tree, &below)?.into_iter();
    let part: Entries = part.map(|(at, entry)| (root.join(&at), entry)).collect();
    Ok((!part.is_empty()).then_some(Taken::Part(part)))
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
        (Some(Taken::Part(part)), Some(root)) => {
            let gone = part.iter();
            let gone = gone.filter_map(|(at, _)| Some((at.strip_prefix(&root)?, None)));
            change(blocks, store, root.clone(), &gone.collect())?;
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
    let mut changes = opened(store, &blocks[&root], &root, to)?;
    changes.extend(moved.into_iter().filter_map(|(at, entry)| {
        let at = at.strip_prefix(from).map_or(to.clone(), |at| to.join(&at));
        Some((at.strip_prefix(&root)?, Some(entry)))
    }));
    change(blocks, store, root, &changes)
}

/// The empty directories of a block that are empty no longer once something is at a path.
fn opened<B: Block>(store: &Store, block: &B, root: &RelPath, path: &RelPath) -> Result<Changes> {
    let mut changes = Changes::new();
    let tree = dir_of(block, root, path)?;
    let dirs = std::iter::once(path.clone()).chain(path.ancestors());
    for dir in dirs.filter_map(|dir| dir.strip_prefix(root)) {
        if part_of(store, tree, &dir)? == [(dir.clone(), Entry::EmptyDir)] {
            changes.insert(dir, None);
        }
    }
    Ok(changes)
}

/// The entries at and below a path of a tree.
fn part_of(store: &Store, tree: TreeId, below: &RelPath) -> Result<Entries> {
    let load = |id| workspace::node_of(store, id);
    Ok(tree::part(tree, below, load)?)
}

/// The tree of the block at `root`, which must be a directory for something to lie at `path`.
pub(super) fn dir_of<B: Block>(block: &B, root: &RelPath, path: &RelPath) -> Result<TreeId> {
    block.tree(root)?.ok_or_else(|| {
        let (above, path) = (root.clone(), path.clone());
        tree::Error::NotADirectory { above, path }.into()
    })
}

/// Changes the tree of a block.
fn change<B: Block>(
    blocks: &mut BTreeMap<RelPath, B>,
    store: &Store,
    root: RelPath,
    changes: &Changes,
) -> Result<()> {
    let tree = dir_of(&blocks[&root], &root, &root)?;
    let updated = tree::update(tree, changes, |id| workspace::node_of(store, id))?;
    workspace::put_nodes(store, &updated)?;
    blocks.insert(root, B::of_dir(updated.summary));
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
        _ => {
            let below = entries.iter().cloned();
            let below = below.filter_map(|(at, entry)| Some((at.strip_prefix(from)?, entry)));
            let tree = Tree::new(below.collect())?;
            workspace::write_tree(store, &tree)?;
            Ok(Some(B::of_dir(tree.summary())))
        }
    }
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

    fn dir_of_tree(store: &Store, tree: &Tree) -> Recorded {
        workspace::write_tree(store, tree).unwrap();
        Recorded::of_dir(tree.summary())
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
                (path("dir"), dir_of_tree(&store, &tree)),
                (path("file"), Recorded::of_file(&file("file")).unwrap()),
                (path("empty"), dir_of_tree(&store, &Tree::default())),
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
