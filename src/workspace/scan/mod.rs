//! Reads files and directories into ids and trees.

mod ignored;
mod read;
mod walk;

use std::path::{Path, PathBuf};

pub use self::ignored::{IgnoreRule, ignore_rule};
pub(super) use self::read::hash;
pub(super) use self::walk::special_name;

use self::read::OnDisk;
use self::walk::Item;
use super::{Error, Index, Result};
use crate::fs::{self, Metadata};
use crate::hash::BlobId;
use crate::path::{DepPath, RelPath};
use crate::progress::{Interrupt, Progress};
use crate::store::Store;
use crate::tree::{Entry, Tree};

/// The file that makes a directory a project. (Its contents are no business of this room.)
pub(super) const PROJECT_FILE: &str = "esker.toml";

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
    Dir(Tree),
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

/// Reads paths of one project. Files that the index knows unchanged are not read again. With a
/// store, what is read is stored in the same pass (files the index knows but the store lacks too).
pub struct Scanner<'a> {
    /// The project's directory.
    pub root: &'a Path,
    /// Remembers what files held.
    pub index: &'a mut Index,
    /// Where to put what is read, if anywhere.
    pub store: Option<&'a Store>,
    /// Told of every file.
    pub progress: &'a dyn Progress,
    /// Looked at between files.
    pub interrupt: &'a Interrupt,
}

impl Scanner<'_> {
    /// Reads a path of the project. A link at `path` itself is followed if it leads to a regular
    /// file inside the project, else it is an error. `.git` and nested projects (a directory
    /// below with its own `esker.toml`) never count.
    pub fn scan(&mut self, path: &RelPath, rules: Rules<'_>) -> Result<Found> {
        let Some((stat, target)) = locate(self.root, path)? else {
            return Ok(Found::Missing);
        };
        if stat.is_dir() {
            return self.scan_dir(path, rules).map(Found::Dir);
        }
        if !stat.is_file() {
            let (path, what) = (path.clone(), special_name(&stat));
            return Err(Error::Special { path, what });
        }
        let path = DepPath::from(path.clone());
        self.scan_file(OnDisk { path, target, stat })
    }

    /// Reads a dependency, which may lie beside the project (then: a plain file).
    pub fn scan_dep(&mut self, path: &DepPath, tracked: &[RelPath]) -> Result<Found> {
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
            stat,
        })
    }

    fn scan_file(&mut self, file: OnDisk) -> Result<Found> {
        let exec = fs::is_executable(&file.stat);
        let read = self.identify(&[file])?.pop().flatten();
        Ok(read.map_or(Found::Missing, |read| Found::File {
            id: read.id,
            size: read.size,
            exec,
        }))
    }

    fn scan_dir(&mut self, dir: &RelPath, rules: Rules<'_>) -> Result<Tree> {
        let items = walk::walk(self.root, dir, rules, self.interrupt)?;
        let mut entries = Vec::with_capacity(items.len());
        let mut files = Vec::with_capacity(items.len());
        for (path, item) in items {
            let below = path.strip_prefix(dir).unwrap_or_else(|| path.clone());
            match item {
                Item::EmptyDir => entries.push((below, Entry::EmptyDir)),
                Item::Link(target) => entries.push((below, Entry::Symlink { target })),
                Item::File(stat) => files.push(OnDisk {
                    path: path.into(),
                    target: None,
                    stat,
                }),
            }
        }
        if matches!(rules, Rules::Data) {
            let seen: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
            self.index.keep_only(dir.as_str(), &seen);
        }
        let read = self.identify(&files)?;
        for (file, read) in files.iter().zip(read) {
            let below = file.path.inside().and_then(|path| path.strip_prefix(dir));
            // A file that vanished between the listing and the reading is simply not there.
            if let (Some(below), Some(read)) = (below, read) {
                let exec = fs::is_executable(&file.stat);
                let (id, size) = (read.id, read.size);
                entries.push((below, Entry::File { id, size, exec }));
            }
        }
        Ok(Tree::new(entries)?)
    }
}

/// The stat of what is at a path, and, where a link led to it, the file behind the link.
fn locate(root: &Path, path: &RelPath) -> Result<Option<(Metadata, Option<PathBuf>)>> {
    let at = path.to_path(root);
    let Some(stat) = fs::metadata(&at)? else {
        return Ok(None);
    };
    for dir in path.ancestors() {
        let stat = fs::metadata(&dir.to_path(root))?;
        if stat.is_some_and(|stat| stat.is_symlink()) {
            // What lies behind a linked directory counts only if that is inside too.
            follow(root, &dir)?;
        }
        refuse_nested(root, &dir)?;
    }
    if stat.is_dir() {
        refuse_nested(root, path)?;
    }
    if !stat.is_symlink() {
        return Ok(Some((stat, None)));
    }
    let target = follow(root, path)?;
    match fs::metadata(&target)? {
        Some(stat) if stat.is_file() => Ok(Some((stat, Some(target)))),
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
