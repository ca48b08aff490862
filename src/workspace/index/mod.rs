//! The stat index: what a file held when its stat was last seen.
//!
//! A file is taken for unchanged when its size, times, inode, device and execute bit are what
//! they were. That proves nothing about a file that was changed twice within one tick of the
//! file system's clock. So nothing is remembered whose times lie closer to the stamp than a
//! guard; the stamp is the file system's own time, read off a fresh file before any content is
//! read ("racy clean", as git has it). The stamp's file lies beside the index; a file on another
//! file system has another clock, and is never remembered.

mod records;
mod stamp;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use self::records::Records;
use self::stamp::Stamp;
use super::Result;
use crate::fs::{self, Metadata, TempFile};
use crate::hash::BlobId;

/// Remembers ids by path and stat. A cache: losing it costs a rehash and nothing else.
#[derive(Debug, Default)]
pub struct Index {
    /// What was read from disk.
    saved: Records,
    /// What was learnt since; `None` is forgotten.
    changes: BTreeMap<Box<str>, Option<Record>>,
    /// Where stamps are taken; an index that was not loaded has none and remembers nothing.
    dir: Option<PathBuf>,
    stamp: Option<Stamp>,
}

/// The stat of a file and what the file held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Record {
    size: u64,
    mtime: i64,
    ctime: i64,
    inode: u64,
    device: u64,
    exec: bool,
    id: BlobId,
}

impl Index {
    /// Reads an index; a missing, damaged or foreign one is an empty one.
    pub fn load(path: &Path) -> Self {
        let bytes = fs::read_if_exists(path).ok().flatten();
        let dir = path.parent().map(Path::to_path_buf);
        Self {
            saved: bytes.and_then(Records::parse).unwrap_or_default(),
            changes: BTreeMap::new(),
            stamp: dir.as_deref().and_then(Stamp::take),
            dir,
        }
    }

    /// What the file holds, if its stat is unchanged and not racy. `path` is project-relative text
    /// (a `DepPath`).
    pub fn lookup(&self, path: &str, stat: &Metadata) -> Option<BlobId> {
        let record = self.get(path)?;
        record.matches(stat).then_some(record.id)
    }

    /// Remembers. `stat` must have been taken before the file was read.
    pub fn record(&mut self, path: &str, stat: &Metadata, id: BlobId) {
        let trusted = stat.is_file() && self.stamp.is_some_and(|stamp| stamp.is_after(stat));
        if !trusted {
            self.forget_one(path);
            return;
        }
        let record = Record::new(stat, id);
        if self.get(path) != Some(record) {
            self.changes.insert(path.into(), Some(record));
        }
    }

    /// Forgets a path and all below it.
    pub fn forget(&mut self, path: &str) {
        self.forget_one(path);
        let dir = format!("{path}/");
        for name in self.names_below(&dir) {
            self.forget_one(&name);
        }
    }

    /// Writes it if it changed. It is not flushed: after a crash it is a damaged one, so none.
    pub fn save(&mut self, path: &Path) -> Result<()> {
        if self.changes.is_empty() {
            return Ok(());
        }
        let bytes = self.saved.merge(&self.changes);
        let mut temp = TempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
        temp.write_all(&bytes)?;
        temp.persist(path)?;
        self.saved = Records::parse(bytes).unwrap_or_default();
        self.changes.clear();
        Ok(())
    }

    /// Takes a new stamp: what was last changed well before this moment can be remembered. Must
    /// come before the first read of what will be recorded.
    pub(super) fn restamp(&mut self) {
        self.stamp = self.dir.as_deref().and_then(Stamp::take);
    }

    /// Takes a new stamp that is as late as the newest of `stats` asks for, if a short wait gets
    /// there: cheaper than reading all of them again next time.
    pub(super) fn wait_out<'a>(&mut self, stats: impl Iterator<Item = &'a Metadata>) {
        self.restamp();
        let wait = self.stamp.and_then(|stamp| stamp.wait_for(stats));
        if let Some(wait) = wait {
            std::thread::sleep(wait);
            self.restamp();
        }
    }

    /// Whether `record` would not remember a file with this stat.
    pub(super) fn is_racy(&self, stat: &Metadata) -> bool {
        self.stamp.is_some_and(|stamp| !stamp.is_after(stat))
    }

    /// Forgets what lies below a directory and is not in `seen`, which is sorted.
    pub(super) fn keep_only(&mut self, dir: &str, seen: &[&str]) {
        for name in self.names_below(&format!("{dir}/")) {
            if seen.binary_search(&&*name).is_err() {
                self.forget_one(&name);
            }
        }
    }

    fn get(&self, path: &str) -> Option<Record> {
        match self.changes.get(path) {
            Some(change) => *change,
            None => self.saved.get(path),
        }
    }

    fn forget_one(&mut self, path: &str) {
        if self.saved.get(path).is_some() {
            self.changes.insert(path.into(), None);
        } else {
            self.changes.remove(path);
        }
    }

    /// All names that begin with `dir`, which ends in `/`.
    fn names_below(&self, dir: &str) -> Vec<Box<str>> {
        let from = (
            std::ops::Bound::Included(dir),
            std::ops::Bound::Unbounded::<&str>,
        );
        let learnt = self.changes.range::<str, _>(from);
        let learnt = learnt.map(|(name, _)| name.clone());
        let learnt = learnt.take_while(|name| name.starts_with(dir));
        let mut names = self.saved.names_below(dir);
        names.extend(learnt);
        names
    }
}

impl Record {
    fn new(stat: &Metadata, id: BlobId) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self {
            size: stat.len(),
            mtime: stamp::modified(stat),
            ctime: stamp::changed(stat),
            inode: stat.ino(),
            device: stat.dev(),
            exec: fs::is_executable(stat),
            id,
        }
    }

    fn matches(&self, stat: &Metadata) -> bool {
        use std::os::unix::fs::MetadataExt;
        let mut now = Self::new(stat, self.id);
        if stat.nlink() > 1 {
            // Making or removing another name of the file changes its ctime.
            now.ctime = self.ctime;
        }
        stat.is_file() && now == *self
    }
}

#[cfg(test)]
mod tests;
