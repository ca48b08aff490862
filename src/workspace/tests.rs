use std::path::{Path, PathBuf};

use super::*;
use crate::fs;
use crate::hash::{BlobId, Digest};
use crate::progress::{Interrupt, Silent};
use crate::tree::Entry;

/// A project, and a store and an index that lie beside it.
pub(super) struct Sandbox {
    dir: tempfile::TempDir,
    pub(super) store: Store,
    pub(super) index: Index,
    pub(super) interrupt: Interrupt,
}

impl Sandbox {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(&dir.path().join("repo/project")).unwrap();
        Self {
            store: Store::open(&dir.path().join("store")),
            index: Index::load(&dir.path().join("state/index")),
            interrupt: Interrupt::new(),
            dir,
        }
    }

    pub(super) fn repo(&self) -> PathBuf {
        self.dir.path().join("repo")
    }

    pub(super) fn root(&self) -> PathBuf {
        self.repo().join("project")
    }

    pub(super) fn park(&self) -> Park {
        Park::new(&self.parks(), "checkout")
    }

    pub(super) fn parks(&self) -> PathBuf {
        self.dir.path().join("parks")
    }

    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    pub(super) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let at = self.at(name);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        fs::remove_file(&at).unwrap();
        fs::write_new(&at, bytes.as_ref()).unwrap();
    }

    pub(super) fn link(&self, name: &str, target: &str) {
        fs::symlink(Path::new(target), &self.at(name)).unwrap();
    }

    pub(super) fn save(&self, bytes: impl AsRef<[u8]>) -> BlobId {
        let id = self.store.put(ObjectKind::Blob, bytes.as_ref()).unwrap();
        BlobId(id.digest)
    }

    pub(super) fn scanner<'a>(&'a mut self, root: &'a Path, store: bool) -> Scanner<'a> {
        Scanner {
            root,
            index: &mut self.index,
            store: &self.store,
            keeps: store,
            passed: None,
            progress: &Silent,
            interrupt: &self.interrupt,
        }
    }

    pub(super) fn scan(&mut self, name: &str, rules: Rules<'_>) -> Result<Found> {
        let root = self.root();
        self.scanner(&root, false).scan(&path(name), rules)
    }

    /// All of a directory that was found.
    pub(super) fn tree(&mut self, name: &str, found: &Found) -> Tree {
        let Found::Dir(dir) = found else {
            panic!("{found:?} is no directory")
        };
        let root = self.root();
        self.scanner(&root, false).tree(&path(name), dir).unwrap()
    }

    /// The tree of the whole project, as far as it lies at `d`.
    pub(super) fn actual(&mut self) -> Tree {
        let dir = path("d");
        let found = self.scan("d", Rules::Data).unwrap();
        let entries = match found {
            Found::Missing => Vec::new(),
            Found::File { id, size, exec } => vec![(dir, Entry::File { id, size, exec })],
            Found::Dir(_) => self.tree("d", &found).below(&dir),
        };
        Tree::new(entries).unwrap()
    }
}

pub(super) fn path(text: &str) -> RelPath {
    RelPath::parse(text).unwrap()
}

pub(super) fn file(bytes: impl AsRef<[u8]>) -> Entry {
    let bytes = bytes.as_ref();
    Entry::File {
        id: BlobId(Digest::of(bytes)),
        size: bytes.len() as u64,
        exec: false,
    }
}

pub(super) fn link_to(target: &str) -> Entry {
    let target = target.to_owned();
    Entry::Symlink { target }
}

pub(super) fn tree(entries: &[(&str, Entry)]) -> Tree {
    let entries = entries.iter();
    Tree::new(
        entries
            .map(|(name, entry)| (path(name), entry.clone()))
            .collect(),
    )
    .unwrap()
}

#[test]
fn a_tree_comes_back_out_of_the_store() {
    let sandbox = Sandbox::new();
    let many: Vec<_> = (0..5_000)
        .map(|number| (path(&format!("dir/{number}")), file(format!("{number}"))))
        .collect();
    for tree in [Tree::default(), Tree::new(many).unwrap()] {
        let id = write_tree(&sandbox.store, &tree).unwrap();
        assert_eq!(id, tree.id());
        assert_eq!(read_tree(&sandbox.store, id).unwrap(), tree);
    }
}

#[test]
fn a_tree_that_is_not_there_is_missing() {
    let sandbox = Sandbox::new();
    let id = TreeId(Digest::of(b"nothing"));
    let error = read_tree(&sandbox.store, id).unwrap_err();
    assert!(matches!(
        error,
        Error::Store(crate::store::Error::Missing(_))
    ));
}
