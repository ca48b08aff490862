//! The stat index: what a file held when its stat was last seen.
//!
//! A file is taken for unchanged when its size, times, inode, device and execute bit are what
//! they were. That proves nothing about a file that was changed twice within one tick of the
//! file system's clock. So nothing is remembered whose times lie closer to the stamp than a
//! guard; the stamp is the file system's own time, read off a fresh file before any content is
//! read ("racy clean", as git has it). The stamp's file lies beside the index; a file on another
//! file system has another clock, and is never remembered.
//!
//! Of a directory that is tracked as a whole, links and empty directories are remembered too,
//! and the directory is *sealed*: the index names the tree that all of its records below the
//! directory make. A walk that finds each of these records on disk as it stands, and nothing
//! else that counts, has therefore found that tree, and need neither build nor hash it. Which
//! names count is decided by the walk each time, so that a changed rule file shows as files that
//! came or went. Whatever changes a record breaks the seals of all directories above it.

mod cursor;
mod objects;
mod records;
mod stamp;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub(super) use self::cursor::{Cursor, Place};
use self::records::Records;
use self::stamp::{Clock, Stamp};
use super::Result;
use crate::fs::{self, Kind, Stat, TempFile};
use crate::hash::BlobId;
use crate::path::RelPath;
use crate::tree::{Entry, Summary};

/// A file of changes that would be larger than this, or than a quarter of the index, is not written: the
/// whole index is, once more.
const MAX_DELTA: usize = 128 << 10;
/// So many changes are worked into the bytes of the index, where they take half of the memory.
const MANY_CHANGES: usize = 1 << 17;

/// What was learnt since the index was last written whole; `None` is forgotten.
type Changes = BTreeMap<Box<str>, Option<Known>>;
/// The trees of sealed directories.
type Seals = BTreeMap<Box<str>, Summary>;

/// Remembers ids by path and stat. A cache: losing it costs a rehash and nothing else.
#[derive(Debug, Default)]
pub struct Index {
    /// What was read from disk, or is to be written there whole.
    saved: Records,
    /// Whether that is no longer what is on disk.
    is_new: bool,
    changes: Changes,
    seals: Seals,
    /// Whether anything differs from the files on disk.
    is_dirty: bool,
    /// Where stamps are taken; an index that was not loaded has none and remembers nothing.
    clock: Option<Clock>,
    stamp: Option<Stamp>,
}

/// What is remembered of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// A file.
    File(Record),
    /// A link and its target.
    Link(Box<str>),
    /// A directory with nothing in it.
    EmptyDir,
}

/// The stat of a file and what the file held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    size: u64,
    mtime: i64,
    ctime: i64,
    inode: u64,
    device: u64,
    exec: bool,
    pub(super) id: BlobId,
}

impl Index {
    /// Reads an index; a missing, damaged or foreign one is an empty one. Changes to another
    /// index than the one that is there are none.
    pub fn load(path: &Path) -> Self {
        let read = |path: &Path| {
            let bytes = fs::read_if_exists(path).ok().flatten();
            bytes.and_then(Records::parse)
        };
        let is_whole = |records: &Records| records.base() == [0; 32];
        let saved = read(path).filter(is_whole).unwrap_or_default();
        let delta = read(&delta_of(path));
        let delta = delta.filter(|delta| delta.base() == saved.checksum() && !is_whole(delta));
        let mut clock = path.parent().map(|dir| Clock::new(dir.to_path_buf()));
        Self {
            changes: delta.as_ref().map(Records::changes).unwrap_or_default(),
            seals: delta.as_ref().unwrap_or(&saved).seals(),
            saved,
            is_new: false,
            is_dirty: false,
            stamp: clock.as_mut().and_then(Clock::read),
            clock,
        }
    }

    /// Whether nothing is remembered yet.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.saved.is_empty()
    }

    /// What the file holds, if its stat is unchanged and not racy. `path` is project-relative text
    /// (a `DepPath`).
    pub fn lookup(&self, path: &str, stat: impl Into<Stat>) -> Option<BlobId> {
        match self.known(path)? {
            Known::File(record) => record.matches(&stat.into()).then_some(record.id),
            Known::Link(_) | Known::EmptyDir => None,
        }
    }

    /// Remembers. `stat` must have been taken before the file was read.
    pub fn record(&mut self, path: &str, stat: impl Into<Stat>, id: BlobId) {
        let stat = stat.into();
        let is_file = stat.kind == Kind::File;
        if is_file && self.stamp.is_some_and(|stamp| stamp.is_after(&stat)) {
            self.learn(path, Known::File(Record::new(&stat, id)));
        } else {
            self.forget_one(path);
        }
    }

    /// Forgets a path and all below it.
    pub fn forget(&mut self, path: &str) {
        self.forget_one(path);
        let below = Cursor::new(self, path);
        let below = below.filter_map(|(name, _)| std::str::from_utf8(name).ok());
        let below: Vec<Box<str>> = below.map(Box::from).collect();
        for name in below {
            self.forget_one(&name);
        }
        let dir = format!("{path}/");
        let is_below = |name: &str| name == path || name.starts_with(&dir);
        self.seals.retain(|name, _| !is_below(name));
    }

    /// Writes it if it changed: the changes alone while they are few, since a large index is
    /// costly to write. It is not flushed: after a crash it is a damaged one, so none.
    pub fn save(&mut self, path: &Path) -> Result<()> {
        if !self.is_dirty {
            return Ok(());
        }
        let n_bytes = records::n_delta_bytes(&self.changes, &self.seals);
        let is_small = n_bytes <= MAX_DELTA.min(self.saved.n_bytes() / 4);
        if !self.is_new && is_small {
            let delta = records::delta(&self.saved, &self.changes, &self.seals);
            write(&delta_of(path), delta.bytes())?;
        } else {
            self.fold();
            // A delta that is there names the index of before, so it counts no longer.
            write(path, self.saved.bytes())?;
            self.is_new = false;
        }
        self.is_dirty = false;
        Ok(())
    }

    /// Works all changes into what is to be written whole.
    fn fold(&mut self) {
        self.saved = records::whole(&self.saved, &self.changes, &self.seals);
        self.changes.clear();
        self.is_new = true;
    }

    /// Takes a new stamp: what was last changed well before this moment can be remembered. Must
    /// come before the first read of what will be recorded.
    pub(super) fn restamp(&mut self) {
        self.stamp = self.clock.as_mut().and_then(Clock::read);
    }

    /// Takes a new stamp that is as late as the newest of `stats` asks for, if a short wait gets
    /// there: cheaper than reading all of them again next time.
    pub(super) fn wait_out(&mut self, stats: impl Iterator<Item = impl Into<Stat>>) {
        self.restamp();
        let wait = self
            .stamp
            .and_then(|stamp| stamp.wait_for(stats.map(Into::into)));
        if let Some(wait) = wait {
            std::thread::sleep(wait);
            self.restamp();
        }
    }

    /// Whether `record` would not remember a file with this stat.
    pub(super) fn is_racy(&self, stat: impl Into<Stat>) -> bool {
        let stat = stat.into();
        self.stamp.is_some_and(|stamp| !stamp.is_after(&stat))
    }

    /// Remembers what lies at a path; what is known already changes nothing.
    pub(super) fn learn(&mut self, path: &str, known: Known) {
        if self.known(path).as_ref() != Some(&known) {
            self.break_seals(path);
            self.changes.insert(path.into(), Some(known));
            self.is_dirty = true;
            if self.changes.len() >= MANY_CHANGES {
                self.fold();
            }
        }
    }

    /// Forgets one path, and not what is below it.
    pub(super) fn forget_one(&mut self, path: &str) {
        if self.known(path).is_none() {
            return;
        }
        self.break_seals(path);
        self.is_dirty = true;
        match self.saved.get(path.as_bytes()) {
            Some(_) => self.changes.insert(path.into(), None),
            None => self.changes.remove(path),
        };
    }

    /// The tree that the records below a directory make, if that is known.
    pub(super) fn sealed(&self, dir: &str) -> Option<Summary> {
        self.seals.get(dir).copied()
    }

    /// Remembers the tree that the records below a directory make.
    pub(super) fn seal(&mut self, dir: &str, tree: Summary) {
        self.is_dirty |= self.sealed(dir) != Some(tree);
        self.seals.insert(dir.into(), tree);
    }

    /// Hands over what is remembered below a directory, in order, by its path in there.
    pub(super) fn each_entry<E>(
        &self,
        dir: &str,
        mut act: impl FnMut(&str, Entry) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let mut cursor = Cursor::new(self, dir);
        while let Some((name, place)) = cursor.next() {
            let below = name.get(dir.len() + 1..).unwrap_or_default();
            // Only an index that somebody made by hand has a name that is no path.
            if let Ok(below) = std::str::from_utf8(below)
                && let Some(known) = cursor.known(place)
            {
                act(below, known.into_entry())?;
            }
        }
        Ok(())
    }

    /// All that is remembered below a directory.
    pub(super) fn entries(&self, dir: &str) -> Vec<(RelPath, Entry)> {
        let mut entries = Vec::new();
        let _ = self.each_entry(dir, |below, entry| {
            entries.extend(RelPath::parse(below).map(|below| (below, entry)));
            Ok::<_, std::convert::Infallible>(())
        });
        entries
    }

    /// What is remembered of a path.
    pub(super) fn known(&self, path: &str) -> Option<Known> {
        match self.changes.get(path) {
            Some(change) => change.clone(),
            None => self.saved.get(path.as_bytes()),
        }
    }

    fn break_seals(&mut self, path: &str) {
        if self.seals.is_empty() {
            return;
        }
        for (at, _) in path.match_indices('/') {
            self.seals.remove(&path[..at]);
        }
    }
}

impl Known {
    /// What lies there, as a tree says it.
    pub(super) fn into_entry(self) -> Entry {
        match self {
            Self::File(record) => record.entry(),
            Self::Link(target) => Entry::Symlink {
                target: target.into(),
            },
            Self::EmptyDir => Entry::EmptyDir,
        }
    }
}

impl Record {
    fn new(stat: &Stat, id: BlobId) -> Self {
        Self {
            size: stat.size,
            mtime: stat.mtime,
            ctime: stat.ctime,
            inode: stat.inode,
            device: stat.device,
            exec: stat.exec,
            id,
        }
    }

    /// Whether the file is as it was.
    pub(super) fn matches(&self, stat: &Stat) -> bool {
        let mut now = Self::new(stat, self.id);
        if stat.n_links > 1 {
            // Making or removing another name of the file changes its ctime.
            now.ctime = self.ctime;
        }
        stat.kind == Kind::File && now == *self
    }

    /// The file, as a tree says it.
    pub(super) fn entry(&self) -> Entry {
        let Self { id, size, exec, .. } = *self;
        Entry::File { id, size, exec }
    }
}

fn delta_of(path: &Path) -> PathBuf {
    path.with_extension("delta")
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut temp = TempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
    temp.write_all(bytes)?;
    Ok(temp.persist(path)?)
}

#[cfg(test)]
mod tests;
