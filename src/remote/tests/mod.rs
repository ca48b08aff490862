//! Push and fetch against each other, over a remote in memory and one in a directory.

mod azure;
mod careless;
mod crash;
mod hostile;
mod http;
mod push_fetch;
mod s3_server_tests;
mod ssh;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ::bytes::Bytes;

use super::transport::{Listed, Memory, Take, Writing};
use super::*;
use crate::hash::{Digest, ObjectKind};
use crate::progress::Silent;
use crate::tree::{Entry, Tree};

/// A store of its own, with what a clone would have beside it.
pub(super) struct Clone {
    dir: tempfile::TempDir,
    pub(super) store: Store,
    pub(super) project: [u8; 16],
}

impl Clone {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store"));
        let project = [7; 16];
        Self {
            dir,
            store,
            project,
        }
    }

    fn spool(&self) -> PathBuf {
        self.dir.path().join("spool")
    }

    fn memory(&self) -> PathBuf {
        self.dir.path().join("probes.json")
    }

    pub(super) fn file(&self, path: &str, bytes: &[u8]) -> Root {
        let source = self.dir.path().join("source");
        let _ = crate::fs::remove_file(&source);
        crate::fs::write_new(&source, bytes).unwrap();
        let stored = self.store.put_file(&source, &|_| true).unwrap();
        let (id, size) = (stored.id, stored.size);
        let path = RelPath::parse(path).unwrap();
        let content = Content::File { id, size };
        Root { path, content }
    }

    pub(super) fn tree(&self, path: &str, files: &BTreeMap<String, Vec<u8>>) -> Root {
        let entries = files.iter().map(|(name, bytes)| {
            let Content::File { id, size } = self.file(name, bytes).content else {
                panic!("a file is a file");
            };
            let exec = false;
            (
                RelPath::parse(name).unwrap(),
                Entry::File { id, size, exec },
            )
        });
        let tree = Tree::new(entries.collect()).unwrap();
        let encoded = tree.encode();
        for (_, bytes) in &encoded.nodes {
            self.store.put(ObjectKind::Node, bytes).unwrap();
        }
        let content = Content::Tree {
            id: encoded.root,
            files: tree.files(),
            bytes: tree.bytes(),
        };
        let path = RelPath::parse(path).unwrap();
        Root { path, content }
    }

    fn push_with(
        &self,
        remote: &Remote,
        locks: &[&[Root]],
        bases: &[Vec<Root>],
        dry_run: bool,
    ) -> Result<Pushed> {
        let wanted: Vec<_> = (1..)
            .zip(locks)
            .map(|(number, roots)| Wanted {
                roots: roots.to_vec(),
                commit: [number; 32],
            })
            .collect();
        let options = PushOptions {
            project: self.project,
            bases,
            spool: &self.spool(),
            memory: &self.memory(),
            jobs: 4,
            distrusted: &HashSet::new(),
            dry_run,
        };
        remote.push(&self.store, &wanted, &options, &Silent, &Interrupt::new())
    }

    /// Pushes one lock as that of a commit.
    pub(super) fn push_as(&self, remote: &Remote, roots: &[Root], commit: u8) -> Result<Pushed> {
        let wanted = Wanted {
            roots: roots.to_vec(),
            commit: [commit; 32],
        };
        let options = PushOptions {
            project: self.project,
            bases: &[],
            spool: &self.spool(),
            memory: &self.memory(),
            jobs: 1,
            distrusted: &HashSet::new(),
            dry_run: false,
        };
        remote.push(&self.store, &[wanted], &options, &Silent, &Interrupt::new())
    }

    pub(super) fn push(&self, remote: &Remote, roots: &[Root]) -> Pushed {
        self.push_with(remote, &[roots], &[], false).unwrap()
    }

    pub(super) fn fetch(&self, remote: &Remote, roots: &[Root]) -> Fetched {
        let interrupt = Interrupt::new();
        let fetched = remote.fetch(&self.store, roots, &at_once(4), &Silent, &interrupt);
        fetched.unwrap()
    }

    /// The files of some roots, by path, all read from the store and proven there.
    pub(super) fn contents(&self, roots: &[Root]) -> BTreeMap<String, Vec<u8>> {
        let mut contents = BTreeMap::new();
        for root in roots {
            let path = root.path.as_str();
            match root.content {
                Content::File { id, .. } => {
                    contents.insert(path.to_owned(), self.store.read(id).unwrap());
                }
                Content::Tree { id, .. } => {
                    let load = |id| self.store.read(id).map_err(Error::from);
                    for (below, entry) in Tree::decode(id, load).unwrap().iter() {
                        if let Entry::File { id, .. } = entry {
                            let bytes = self.store.read(*id).unwrap();
                            contents.insert(format!("{path}/{below}"), bytes);
                        }
                    }
                }
            }
        }
        contents
    }
}

/// A remote in memory that tests look into, and that fails when it is told to.
#[derive(Clone, Default)]
pub(super) struct Shared(Arc<Inner>);

#[derive(Default)]
struct Inner {
    memory: Memory,
    /// The number of the write that fails, and all after it; 0 is none.
    fail_at: AtomicUsize,
    writes: AtomicUsize,
    requests: AtomicUsize,
}

impl Shared {
    pub(super) fn remote(&self) -> Remote {
        let address = Address {
            name: "mem".into(),
            url: "memory:".into(),
            ..Address::default()
        };
        Remote {
            address,
            transport: Box::new(self.clone()),
        }
    }

    /// What is there and never changes: all but the names of the newest snapshots.
    pub(super) fn keys(&self, prefix: &str) -> Vec<String> {
        let listed = self.0.memory.list(prefix).unwrap();
        let keys = listed.into_iter().map(|object| object.key);
        keys.filter(|key| !key.ends_with("/head")).collect()
    }

    pub(super) fn read(&self, key: &str) -> Vec<u8> {
        self.0.memory.get(key).unwrap().unwrap().to_vec()
    }

    pub(super) fn write(&self, key: &str, bytes: Vec<u8>) {
        self.0.memory.put(key, &bytes.into()).unwrap();
    }

    /// Another one with all that is there.
    fn copy(&self) -> Self {
        let copy = Self::default();
        for listed in self.0.memory.list("").unwrap() {
            copy.write(&listed.key, self.read(&listed.key));
        }
        copy
    }

    /// The bytes of all that is there.
    fn bytes(&self) -> u64 {
        let listed = self.0.memory.list("").unwrap();
        listed.iter().map(|object| object.size).sum()
    }

    pub(super) fn remove(&self, prefix: &str) {
        for key in self.keys(prefix) {
            self.0.memory.delete(&key).unwrap();
        }
    }

    fn fail_at(&self, write: usize) {
        self.0.writes.store(0, Ordering::SeqCst);
        self.0.fail_at.store(write, Ordering::SeqCst);
    }

    fn count_requests(&self) -> usize {
        self.0.requests.swap(0, Ordering::SeqCst)
    }

    fn request(&self) -> &Memory {
        self.0.requests.fetch_add(1, Ordering::SeqCst);
        &self.0.memory
    }
}

impl Transport for Shared {
    fn writing(&self) -> Result<Writing> {
        self.0.memory.writing()
    }
    fn get(&self, key: &str) -> Result<Option<Bytes>> {
        self.request().get(key)
    }
    fn stream(&self, key: &str, offset: u64, len: u64, take: &mut Take<'_>) -> Result<bool> {
        self.request().stream(key, offset, len, take)
    }
    fn put(&self, key: &str, body: &Bytes) -> Result<()> {
        self.request().put(key, body)
    }
    fn put_if_absent(&self, key: &str, body: &Bytes) -> Result<bool> {
        let number = self.0.writes.fetch_add(1, Ordering::SeqCst) + 1;
        let fail_at = self.0.fail_at.load(Ordering::SeqCst);
        if fail_at != 0 && number >= fail_at {
            return Err(Error::Unreachable {
                remote: "mem".into(),
                url: "memory:".into(),
                detail: "told to fail".into(),
            });
        }
        self.request().put_if_absent(key, body)
    }
    fn list(&self, prefix: &str) -> Result<Vec<Listed>> {
        self.request().list(prefix)
    }
    fn head(&self, key: &str) -> Result<Option<u64>> {
        self.request().head(key)
    }
    fn delete(&self, key: &str) -> Result<()> {
        self.request().delete(key)
    }
}

/// Bytes that do not compress and differ by seed.
pub(super) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

fn small_files(count: usize) -> BTreeMap<String, Vec<u8>> {
    let file = |number| {
        (
            format!("{:02}/{number}.txt", number % 37),
            format!("file {number}\n").into_bytes(),
        )
    };
    (0..count).map(file).collect()
}

/// A file, a directory and a large file, as a lock names them.
pub(super) fn sample(clone: &Clone) -> Vec<Root> {
    let mut files = small_files(300);
    files.insert("big.bin".into(), noise(1, 200_000));
    files.insert("empty".into(), Vec::new());
    files.insert("same.txt".into(), b"file 7\n".to_vec());
    vec![
        clone.file("model.pkl", &noise(2, 40_000)),
        clone.tree("data/raw", &files),
        clone.file("data/large.bin", &noise(3, 9_000_000)),
    ]
}

/// A fetch with so many transfers at once.
fn at_once(jobs: usize) -> FetchOptions<'static> {
    FetchOptions {
        jobs,
        ..FetchOptions::default()
    }
}
