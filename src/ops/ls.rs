//! `ls`: what is recorded, whether or not it is on disk.

use super::content::{self, Missing};
use super::{Error, Result, Site, World, did_you_mean};
use crate::path::RelPath;
use crate::project::{Lock, Recorded};
use crate::tree::Entry;

/// What to list.
#[derive(Clone, Debug, Default)]
pub struct LsOptions {
    /// A path as typed; none: every tracked path and output.
    pub path: Option<String>,
    /// The commit whose record is listed; none: the lock on disk.
    pub rev: Option<String>,
    /// Every file below, not one level.
    pub recursive: bool,
}

/// What is recorded.
#[derive(Debug, Default, serde::Serialize)]
pub struct LsReport {
    /// The commit whose record it is, shortened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rev: Option<String>,
    /// By path.
    pub entries: Vec<LsEntry>,
    /// Directories whose listing is not in the store.
    pub missing: Vec<Missing>,
}

/// One recorded path.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct LsEntry {
    /// The path.
    pub path: RelPath,
    /// What it is.
    pub kind: LsKind,
    /// Its bytes, for a directory those of all files in it.
    pub size: u64,
    /// The files in a directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
    /// Its id; directories inside a tracked one have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// Where a link points.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Whether a file is executable.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub exec: bool,
    /// The stage that writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
}

/// What a recorded path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LsKind {
    /// A file.
    File,
    /// A directory.
    Dir,
    /// A link.
    Link,
}

/// Lists the record.
pub fn ls(world: &World<'_>, options: &LsOptions) -> Result<LsReport> {
    let site = Site::open(world)?;
    let rev = options.rev.as_deref();
    let rev = rev.map(|name| site.git.rev(name)).transpose()?;
    let lock = match &rev {
        Some(rev) => site.lock_at(rev)?,
        None => site.lock()?,
    };
    let path = options.path.as_deref();
    let path = match path.map(|text| site.path(text)).transpose() {
        Err(Error::WholeProject(_)) => None,
        path => path?,
    };
    let mut report = LsReport {
        rev: rev.map(|rev| rev.short().to_owned()),
        ..LsReport::default()
    };
    let mut known = path.is_none();
    for (root, recorded) in content::stored(&lock) {
        let tracked = Tracked {
            root: &root,
            recorded,
            stage: content::recorded_writer(&lock, &root),
        };
        match &path {
            Some(path) if path.starts_with(&root) => {
                known |= tracked.list(&site, &mut report, path, options.recursive)?;
            }
            Some(path) if !root.starts_with(path) => {}
            _ if options.recursive => {
                known |= tracked.list(&site, &mut report, &root, true)?;
            }
            _ => {
                known = true;
                report.entries.push(tracked.entry());
            }
        }
    }
    match path.filter(|_| !known) {
        Some(path) => Err(not_recorded(&lock, &path, options)),
        None => Ok(report),
    }
}

fn not_recorded(lock: &Lock, path: &RelPath, options: &LsOptions) -> Error {
    let stored = content::stored(lock);
    Error::NotTracked {
        suggestion: did_you_mean(path.as_str(), stored.keys().map(RelPath::as_str)),
        target: options.path.clone().unwrap_or_default(),
    }
}

/// A tracked path or output.
struct Tracked<'l> {
    root: &'l RelPath,
    recorded: &'l Recorded,
    stage: Option<String>,
}

impl Tracked<'_> {
    fn entry(&self) -> LsEntry {
        LsEntry {
            path: self.root.clone(),
            kind: match self.recorded.files {
                Some(_) => LsKind::Dir,
                None => LsKind::File,
            },
            size: self.recorded.size,
            files: self.recorded.files,
            hash: Some(self.recorded.hash.to_string()),
            target: None,
            exec: self.recorded.exec,
            stage: self.stage.clone(),
        }
    }

    /// Lists what lies at or below a path inside: all of it, or one level. Says whether anything
    /// is recorded there, which is so for an empty directory too.
    fn list(
        &self,
        site: &Site<'_>,
        report: &mut LsReport,
        path: &RelPath,
        recursive: bool,
    ) -> Result<bool> {
        if self.recorded.files.is_none() {
            let is_it = path == self.root;
            report.entries.extend(is_it.then(|| self.entry()));
            return Ok(is_it);
        }
        let Some(entries) = content::entries(&site.store, self.root, self.recorded)? else {
            report.missing.push(Missing {
                path: self.root.clone(),
                hash: self.recorded.hash.to_string(),
            });
            return Ok(true);
        };
        let mut known = false;
        for (at, entry) in entries.iter().filter(|(at, _)| at.starts_with(path)) {
            known = true;
            let child = at.strip_prefix(path);
            let child = child.as_ref().and_then(|below| below.components().next());
            match child {
                // An empty directory that was asked for has nothing in it.
                None if *entry == Entry::EmptyDir => {}
                Some(name) if !recursive => {
                    let child = path.join(&RelPath::parse(name)?);
                    add_level(report, child, at, entry, self.stage.as_ref());
                }
                _ => report.entries.push(leaf(at, entry, self.stage.clone())),
            }
        }
        Ok(known)
    }
}

/// Adds an entry to a list of one level: itself, or to the sums of the directory it lies in.
fn add_level(
    report: &mut LsReport,
    child: RelPath,
    at: &RelPath,
    entry: &Entry,
    stage: Option<&String>,
) {
    let new = leaf(at, entry, stage.cloned());
    if child == *at {
        report.entries.push(new);
        return;
    }
    let files = u64::from(*entry != Entry::EmptyDir);
    let known = report.entries.iter_mut().rev();
    match known.into_iter().find(|known| known.path == child) {
        Some(dir) => {
            dir.size += new.size;
            dir.files = dir.files.map(|n_files| n_files + files);
        }
        None => report.entries.push(LsEntry {
            path: child,
            kind: LsKind::Dir,
            files: Some(files),
            hash: None,
            target: None,
            exec: false,
            ..new
        }),
    }
}

fn leaf(path: &RelPath, entry: &Entry, stage: Option<String>) -> LsEntry {
    let empty = LsEntry {
        path: path.clone(),
        kind: LsKind::Dir,
        size: 0,
        files: None,
        hash: None,
        target: None,
        exec: false,
        stage,
    };
    match entry {
        Entry::File { id, size, exec } => LsEntry {
            kind: LsKind::File,
            size: *size,
            hash: Some(format!("b3:{id}")),
            exec: *exec,
            ..empty
        },
        Entry::Symlink { target } => LsEntry {
            kind: LsKind::Link,
            target: Some(target.clone()),
            ..empty
        },
        Entry::EmptyDir => LsEntry {
            files: Some(0),
            ..empty
        },
    }
}
