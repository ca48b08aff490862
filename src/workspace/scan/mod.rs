//! Reads files and directories into ids and trees.

mod glob;
mod ignored;
mod read;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

pub use self::ignored::{IgnoreRule, IgnoreRules};
pub(super) use self::read::{hash, is_worth_waiting, until};
pub(super) use self::walk::special_name;

use self::read::OnDisk;
use self::walk::{Walk, Walked};
use super::index::Known;
use super::{Error, FoundDir, Index, Result, has_tree, link, node_of};
use crate::fs::{self, Kind, Metadata, OpenDir, Stat};
use crate::hash::{BlobId, ObjectKind, TreeId};
use crate::path::{DepPath, RelPath};
use crate::progress::{Event, Interrupt, Progress};
use crate::store::{Store, Stored};
use crate::tree::{self, Encoder, Entry, Summary, Tree};

/// The file that makes a directory a project. (Its contents are no business of this room.)
pub(super) const PROJECT_FILE: &str = "esker.toml";

/// So many changes, or a sixteenth of all files if that is more, are worked into the tree that is
/// known; with more of them it is made anew.
const MANY_CHANGES: u64 = 64;

/// What lies at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Missing,
    /// A file.
    File {
        /// Its id.
        id: BlobId,
        /// Its length.
        size: u64,
        /// Whether its owner may execute it.
        exec: bool,
    },
    /// A directory and all that counts in it.
    Dir(FoundDir),
}

/// Which files of a directory count.
#[derive(Clone, Copy, Debug)]
pub enum Rules<'a> {
    /// Tracked data and outputs: all but what `.eskerignore` excludes.
    Data,
    /// Dependencies: neither what `.gitignore` nor what `.eskerignore` excludes, plus these
    /// tracked paths and outputs wherever they lie below. Empty directories do not count, since
    /// git does not keep them and another clone would not have them.
    Dependency(&'a [RelPath]),
}

/// Reads paths of one project. Files that the index knows unchanged are not read again. If it
/// keeps, what is read is stored in the same pass (files the index knows but the store lacks too).
pub struct Scanner<'a> {
    /// The project's directory.
    pub root: &'a Path,
    /// Remembers what files held.
    pub index: &'a mut Index,
    /// Where the nodes of known trees are, and where to put what is read.
    pub store: &'a Store,
    /// Whether to store what is read.
    pub keeps: bool,
    /// Directories that need not be looked at again, if they are remembered.
    pub passed: Option<&'a mut Passed>,
    /// Told of every file.
    pub progress: &'a dyn Progress,
    /// Looked at between files.
    pub interrupt: &'a Interrupt,
}

/// Directories on the way to what was scanned that neither lead outside nor are projects of their own:
/// for those who scan many paths of a few directories while nothing moves them.
#[derive(Debug, Default)]
pub struct Passed {
    dirs: BTreeSet<RelPath>,
    /// The project's directory: the system need not walk there for every path.
    root: Option<OpenDir>,
}

impl Passed {
    /// Forgets all: something moved.
    pub fn clear(&mut self) {
        self.dirs.clear();
    }

    fn stat(&mut self, root: &Path, path: &RelPath) -> Result<Option<Stat>> {
        let dir = match self.root.take() {
            Some(dir) => dir,
            None => OpenDir::open(root)?,
        };
        let dir = self.root.insert(dir);
        Ok(dir.stat(path.as_str().as_ref())?)
    }

    /// The directories above a path that were not come by yet. Who has come by one has come by all
    /// that is above it.
    fn new_above(&self, path: &RelPath) -> Vec<RelPath> {
        let above = std::iter::successors(above(path.as_str()), |dir| above(dir));
        let new = above.take_while(|dir| !self.dirs.contains(*dir)).count();
        path.ancestors().take(new).collect()
    }
}

impl Scanner<'_> {
    /// Reads a path of the project. A link at `path` itself is followed if it leads to a regular
    /// file inside the project, else it is an error. `.git` and nested projects (a directory
    /// below with its own `esker.toml`) never count.
    pub fn scan(&mut self, path: &RelPath, rules: Rules<'_>) -> Result<Found> {
        let Some((stat, target)) = locate(self.root, path, self.passed.as_deref_mut())? else {
            return Ok(Found::Missing);
        };
        match stat.kind {
            Kind::Dir => self.scan_dir(path, rules).map(Found::Dir),
            Kind::File => {
                let path = DepPath::from(path.clone());
                self.scan_file(OnDisk { path, target, stat })
            }
            _ => {
                let (path, what) = (path.clone(), special_name(stat));
                Err(Error::Special { path, what })
            }
        }
    }

    /// Reads a dependency, which may lie beside the project (then: a plain file).
    pub fn scan_dep(&mut self, path: &DepPath, tracked: &[RelPath]) -> Result<Found> {
        if let Some(pattern) = path.pattern() {
            return self.scan_pattern(&pattern?, tracked);
        }
        if let Some(inside) = path.inside() {
            return self.scan(&inside, Rules::Dependency(tracked));
        }
        let at = path.to_path(self.root);
        if fs::metadata(&at)?.is_none() {
            return Ok(Found::Missing);
        }
        let not_file = || Error::DepNotFile(path.clone());
        let top = ignored::repository_top(self.root).ok_or_else(not_file)?;
        let target = resolve(&at)?.filter(|target| target.starts_with(real(top)));
        let target = target.ok_or_else(not_file)?;
        let stat = fs::metadata(&target)?.filter(Metadata::is_file);
        let stat = stat.ok_or_else(not_file)?;
        self.scan_file(OnDisk {
            path: path.clone(),
            target: Some(target),
            stat: Stat::from(&stat),
        })
    }

    /// All that counts in a directory that was found.
    pub fn tree(&mut self, dir: &RelPath, found: &FoundDir) -> Result<Tree> {
        if let Some(tree) = &found.tree {
            return Ok(tree.clone());
        }
        // What was learnt in there since breaks the seal.
        if self.index.sealed(dir.as_str()) == Some(found.summary) {
            return Ok(Tree::new(self.index.entries(dir.as_str()))?);
        }
        self.scan_every(dir, Rules::Data)
    }

    /// Tells the path of all that counts in a directory that was found, below that directory.
    pub fn each_name(
        &mut self,
        dir: &RelPath,
        found: &FoundDir,
        mut tell: impl FnMut(&str),
    ) -> Result<()> {
        if found.tree.is_none() && self.index.sealed(dir.as_str()) == Some(found.summary) {
            return self.index.each_entry(dir.as_str(), |below, _| {
                tell(below);
                Ok(())
            });
        }
        let tree = self.tree(dir, found)?;
        tree.iter().for_each(|(below, _)| tell(below.as_str()));
        Ok(())
    }

    /// Puts the nodes of a directory that was found into the store, as far as they are not there.
    pub fn write_tree(&mut self, dir: &RelPath, found: &FoundDir) -> Result<()> {
        let store = self.store;
        let put = |_, bytes: Vec<u8>| put_node(store, &bytes);
        for (_, bytes) in &found.nodes {
            put_node(store, bytes)?;
        }
        let root = found.summary.root;
        if found.tree.is_none() && has_tree(store, root)? {
            return Ok(());
        }
        if found.tree.is_none() && self.index.sealed(dir.as_str()) == Some(found.summary) {
            self.encode(dir, put)?;
            return Ok(());
        }
        super::write_tree(store, &self.tree(dir, found)?)?;
        Ok(())
    }

    fn keep_in(&self) -> Option<&Store> {
        self.keeps.then_some(self.store)
    }

    /// Reads dependencies together, as far as they are plain files of the project, if nothing is known
    /// of any file: in a clone that was just made. All others are left to who scans them.
    pub fn scan_ahead<'p>(
        &mut self,
        deps: impl Iterator<Item = &'p DepPath>,
    ) -> BTreeMap<DepPath, Found> {
        if !self.index.is_empty() {
            return BTreeMap::new();
        }
        let plain = deps.filter(|dep| dep.pattern().is_none());
        let paths: BTreeSet<RelPath> = plain.filter_map(DepPath::inside).collect();
        let mut files = Vec::new();
        for path in paths {
            let located = locate(self.root, &path, self.passed.as_deref_mut());
            if let Ok(Some((stat, target))) = located
                && stat.kind == Kind::File
            {
                let path = DepPath::from(path);
                files.push(OnDisk { path, target, stat });
            }
        }
        let mut found = BTreeMap::new();
        let read = self.read_files(files, |_, file, read| {
            if let Some(Stored { id, size }) = read {
                let exec = file.stat.exec;
                found.insert(file.path, Found::File { id, size, exec });
            }
        });
        // Whatever it was happens again where it can be told of a path.
        drop(read);
        found
    }

    fn scan_file(&mut self, file: OnDisk) -> Result<Found> {
        let exec = file.stat.exec;
        let mut held = self.known(&file);
        if held.is_none() {
            self.read_files(vec![file], |_, _, read| held = read)?;
        }
        Ok(
            held.map_or(Found::Missing, |Stored { id, size }| Found::File {
                id,
                size,
                exec,
            }),
        )
    }

    fn scan_dir(&mut self, dir: &RelPath, rules: Rules<'_>) -> Result<FoundDir> {
        let is_tracked = match rules {
            Rules::Data => true,
            Rules::Dependency(tracked) => tracked.contains(dir),
        };
        if !is_tracked {
            return Ok(self.scan_every(dir, rules)?.into());
        }
        let walked = self.walk(dir).compare()?;
        if self.keep_in().is_some() {
            for path in &walked.projects {
                let path = path.as_str();
                self.progress.event(Event::ProjectInside { path });
            }
        }
        match self.index.sealed(dir.as_str()) {
            Some(summary) if walked.is_nothing() => Ok(summary.into()),
            before => self.scan_changed(dir, before, walked),
        }
    }

    fn walk<'s>(&'s self, top: &'s RelPath) -> Walk<'s> {
        Walk {
            root: self.root,
            top,
            index: self.index,
            store: self.keep_in(),
            interrupt: self.interrupt,
        }
    }

    /// Everything in a directory, one by one.
    fn scan_every(&mut self, dir: &RelPath, rules: Rules<'_>) -> Result<Tree> {
        let walked = self.walk(dir).collect(rules)?;
        let below = |path: &RelPath| path.strip_prefix(dir).unwrap_or_else(|| path.clone());
        let others = walked.others.into_iter();
        let mut entries: Vec<_> = others.map(|(path, entry)| (below(&path), entry)).collect();
        // A file that vanished between the listing and the reading is simply not there.
        self.read_files(walked.files, |_, file, read| {
            let path = file.path.inside().map(|path| below(&path));
            entries.extend(path.zip(read.map(|read| file.entry(&read))));
        })?;
        Ok(Tree::new(entries)?)
    }

    /// A directory that is not what the index knows, which then learns it.
    fn scan_changed(
        &mut self,
        dir: &RelPath,
        before: Option<Summary>,
        walked: Walked,
    ) -> Result<FoundDir> {
        let n_changes = walked.len() as u64;
        let few = before.filter(|before| n_changes <= MANY_CHANGES.max(before.files / 16));
        let mut changes = tree::Changes::new();
        let mut change = |path: &RelPath, entry: Option<&Entry>| {
            if few.is_some()
                && let Some(below) = path.strip_prefix(dir)
            {
                changes.insert(below, entry.cloned());
            }
        };
        for name in walked.gone {
            self.index.forget_one(&name);
            if let Ok(path) = RelPath::parse(&name) {
                change(&path, None);
            }
        }
        for (path, entry) in walked.others {
            change(&path, Some(&entry));
            let known = match entry {
                Entry::Symlink { target } => Known::Link(target.into()),
                _ => Known::EmptyDir,
            };
            self.index.learn(path.as_str(), known);
        }
        // What changed a moment ago cannot be remembered.
        let mut racy = Vec::new();
        self.read_files(walked.files, |index, file, read| {
            let Some(path) = file.path.inside() else {
                return;
            };
            let entry = read.map(|read| file.entry(&read));
            change(&path, entry.as_ref());
            if index.lookup(path.as_str(), file.stat).is_none() {
                racy.extend(path.strip_prefix(dir).zip(entry));
            }
        })?;
        if !racy.is_empty() {
            let mut entries = self.index.entries(dir.as_str());
            entries.append(&mut racy);
            return Ok(Tree::new(entries)?.into());
        }
        let found = match few {
            Some(before) => self.update(dir, before, &changes)?,
            None => self.encode(dir, |_, _| Ok(()))?.into(),
        };
        self.index.seal(dir.as_str(), found.summary);
        Ok(found)
    }

    /// The tree of a directory, by way of the nodes of what it was; of all that is in it if the
    /// store does not have these.
    fn update(&self, dir: &RelPath, before: Summary, changes: &tree::Changes) -> Result<FoundDir> {
        match tree::update(before.root, changes, |id| node_of(self.store, id)) {
            Ok(updated) => Ok(updated.into()),
            Err(Error::Store(_) | Error::Tree(_)) => Ok(self.encode(dir, |_, _| Ok(()))?.into()),
            Err(error) => Err(error),
        }
    }

    /// Makes the tree of all that the index knows of a directory.
    fn encode(
        &self,
        dir: &RelPath,
        sink: impl FnMut(TreeId, Vec<u8>) -> Result<()>,
    ) -> Result<Summary> {
        let mut encoder = Encoder::new(sink);
        self.index
            .each_entry(dir.as_str(), |below, entry| encoder.push(below, &entry))?;
        encoder.finish()
    }
}

fn above(path: &str) -> Option<&str> {
    path.rsplit_once('/').map(|(above, _)| above)
}

/// The stat of what is at a path, and, where a link led to it, the file behind the link.
fn locate(
    root: &Path,
    path: &RelPath,
    passed: Option<&mut Passed>,
) -> Result<Option<(Stat, Option<PathBuf>)>> {
    let mut nowhere = Passed::default();
    let (passed, stat) = match passed {
        Some(passed) => {
            let stat = passed.stat(root, path)?;
            (passed, stat)
        }
        None => {
            let stat = fs::metadata(&path.to_path(root))?;
            (&mut nowhere, stat.as_ref().map(Stat::from))
        }
    };
    let Some(stat) = stat else {
        return Ok(None);
    };
    let new = passed.new_above(path);
    for dir in &new {
        let stat = fs::metadata(&dir.to_path(root))?;
        if stat.is_some_and(|stat| stat.is_symlink()) {
            // What lies behind a linked directory counts only if that is inside too.
            follow(root, dir)?;
        }
        refuse_nested(root, dir)?;
    }
    passed.dirs.extend(new);
    if stat.kind == Kind::Dir {
        refuse_nested(root, path)?;
    }
    if stat.kind != Kind::Link {
        return Ok(Some((stat, None)));
    }
    let at = path.to_path(root);
    if link::is_to_object(&at)? {
        return Ok(link::object_stat(&at)?.map(|stat| (Stat::from(&stat), None)));
    }
    let target = follow(root, path)?;
    match fs::metadata(&target)? {
        Some(stat) if stat.is_file() => Ok(Some((Stat::from(&stat), Some(target)))),
        _ => Err(Error::LinkNotFile {
            path: path.clone(),
            target: link_text(&at)?,
        }),
    }
}

/// Where a link finally leads, which must be inside the project.
fn follow(root: &Path, path: &RelPath) -> Result<PathBuf> {
    let at = path.to_path(root);
    let text = link_text(&at)?;
    let (path, target) = (path.clone(), text);
    match resolve(&at)? {
        None => Err(Error::LinkNotFile { path, target }),
        Some(end) if !end.starts_with(real(root)) => Err(Error::LinkOutside { path, target }),
        Some(end) => Ok(end),
    }
}

fn link_text(at: &Path) -> Result<String> {
    Ok(fs::read_link(at)?.to_string_lossy().into_owned())
}

/// A path with all links followed; `None` if it leads nowhere.
fn resolve(at: &Path) -> Result<Option<PathBuf>> {
    match at.canonicalize() {
        Ok(end) => Ok(Some(end)),
        Err(error) if fs::is_missing(&error) => Ok(None),
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            Ok(None)
        }
        Err(error) => Ok(fs::Context::context(Err(error), "follow", at)?),
    }
}

fn put_node(store: &Store, bytes: &[u8]) -> Result<()> {
    store.put(ObjectKind::Node, bytes)?;
    Ok(())
}

fn real(dir: &Path) -> PathBuf {
    dir.canonicalize().unwrap_or_else(|_| dir.to_path_buf())
}

fn refuse_nested(root: &Path, dir: &RelPath) -> Result<()> {
    let stat = fs::metadata(&dir.to_path(root).join(PROJECT_FILE))?;
    if stat.is_some_and(|stat| stat.is_file()) {
        return Err(Error::Nested(dir.clone()));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
