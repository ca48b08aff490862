//! Files as git sees them: at a commit, in the index, ignored, changed.

use std::collections::BTreeSet;
use std::path::Path;

use git2::{ErrorCode, ObjectType, Oid, StatusOptions, StatusShow};

use super::revisions::oid;
use super::{Asked, Error, Git, Result, Rev};

/// Locks, params and metrics are far smaller; a commit of a stranger may hold anything.
const MAX_FILE: u64 = 256 << 20;

/// The bits of a tree entry's mode that tell a plain file (executable or not) from a link.
const MODE_KIND: i32 = 0o170_000;
const MODE_FILE: i32 = 0o100_000;

/// The sides of a file in conflict; one that a side does not have is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conflict {
    /// The file before either side changed it.
    pub base: Option<Vec<u8>>,
    /// The file of the branch merged into.
    pub ours: Option<Vec<u8>>,
    /// The file of the branch being merged.
    pub theirs: Option<Vec<u8>>,
}

impl Git {
    /// The bytes of a file at a commit; the path is relative to the working tree. `None` where
    /// the commit has no such path, or a directory, a link or a submodule there.
    pub fn read_at(&self, rev: &Rev, path: &str) -> Result<Option<Vec<u8>>> {
        let Some(blob) = self.blob_at(rev, path)? else {
            return Ok(None);
        };
        let action = "read a file of a commit";
        let objects = self.repository.odb().asked(action)?;
        let (size, _) = objects.read_header(blob).asked(action)?;
        let size = u64::try_from(size).unwrap_or(u64::MAX);
        if size > MAX_FILE {
            let path = path.to_owned();
            return Err(Error::TooLarge { path, size });
        }
        let blob = self.repository.find_blob(blob).asked(action)?;
        Ok(Some(blob.content().to_vec()))
    }

    /// The three sides of a file that a merge left in conflict; `None` if it is not in conflict.
    pub fn conflict(&self, path: &str) -> Result<Option<Conflict>> {
        let action = "read the index";
        let mut index = self.repository.index().asked(action)?;
        index.read(false).asked(action)?;
        let stage = |number: i32| -> Result<Option<Vec<u8>>> {
            let Some(entry) = index.get_path(Path::new(path), number) else {
                return Ok(None);
            };
            let blob = self.repository.find_blob(entry.id).asked(action)?;
            Ok(Some(blob.content().to_vec()))
        };
        let conflict = Conflict {
            base: stage(1)?,
            ours: stage(2)?,
            theirs: stage(3)?,
        };
        let any = conflict.ours.is_some() || conflict.theirs.is_some();
        Ok(any.then_some(conflict))
    }

    fn blob_at(&self, rev: &Rev, path: &str) -> Result<Option<Oid>> {
        self.blob_in(oid(rev)?, path)
    }

    /// The file at a path of a commit.
    pub(super) fn blob_in(&self, commit: Oid, path: &str) -> Result<Option<Oid>> {
        let action = "read a commit";
        let commit = self.repository.find_commit(commit).asked(action)?;
        let tree = commit.tree().asked(action)?;
        match tree.get_path(Path::new(path)) {
            Ok(entry) => {
                let is_file = entry.kind() == Some(ObjectType::Blob)
                    && entry.filemode() & MODE_KIND == MODE_FILE;
                Ok(is_file.then(|| entry.id()))
            }
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(source) => Err(Error::Git { action, source }),
        }
    }

    /// The paths in git's index at or below a path (relative to the working tree; empty is the
    /// top), sorted.
    pub fn tracked_below(&self, path: &str) -> Result<Vec<String>> {
        let action = "read the index";
        let mut index = self.repository.index().asked(action)?;
        // libgit2 keeps the index of an open repository; another process may have changed it.
        index.read(false).asked(action)?;
        let path = path.trim_end_matches('/').as_bytes();
        let mut found = BTreeSet::new();
        for entry in index.iter() {
            if is_at_or_below(&entry.path, path) {
                found.insert(String::from_utf8_lossy(&entry.path).into_owned());
            }
        }
        Ok(found.into_iter().collect())
    }

    /// Whether git ignores a path (relative to the working tree). A path that does not exist yet
    /// counts as a file unless it ends in `/`. The index is not asked: a tracked file may match.
    pub fn is_ignored(&self, path: &str) -> Result<bool> {
        self.repository
            .is_path_ignored(path)
            .asked("read the ignore rules")
    }

    /// What lies below a directory (relative to the working tree; empty is the top) and is neither
    /// tracked nor ignored, sorted. A directory of which nothing is tracked is one entry, ending
    /// in `/`, unless it holds the one that was asked about.
    pub fn untracked(&self, below: &str) -> Result<Vec<String>> {
        let below = below.trim_end_matches('/');
        let found = self.find_untracked(below, false)?;
        let is_above = |entry: &str| {
            let entry = entry.strip_suffix('/');
            entry.is_some_and(|entry| is_at_or_below(below.as_bytes(), entry.as_bytes()))
        };
        if !found.iter().any(|entry| is_above(entry)) {
            return Ok(found);
        }
        // Nothing in there is tracked: one entry for each name.
        let mut names = BTreeSet::new();
        for entry in self.find_untracked(below, true)? {
            let inside = entry.strip_prefix(below).unwrap_or(&entry);
            let inside = inside.trim_start_matches('/');
            names.insert(match inside.split_once('/') {
                Some((dir, _)) => format!("{below}/{dir}/"),
                None => format!("{below}/{inside}"),
            });
        }
        Ok(names.into_iter().collect())
    }

    fn find_untracked(&self, below: &str, recurse: bool) -> Result<Vec<String>> {
        let mut options = StatusOptions::new();
        options.include_untracked(true).include_ignored(false);
        options.recurse_untracked_dirs(recurse);
        options.disable_pathspec_match(true);
        if !below.is_empty() {
            options.pathspec(below);
        }
        let action = "look for untracked files";
        let statuses = self.repository.statuses(Some(&mut options)).asked(action)?;
        let new = statuses
            .iter()
            .filter(|entry| entry.status().is_wt_new())
            .map(|entry| String::from_utf8_lossy(entry.path_bytes()).into_owned());
        let new: BTreeSet<String> = new.collect();
        Ok(new.into_iter().collect())
    }

    /// Files of this name anywhere in the working tree, but for those that git ignores; sorted. One
    /// that is in the index need not be on disk.
    pub fn files_named(&self, name: &str) -> Result<Vec<String>> {
        let is_named = |path: &String| path.rsplit('/').next() == Some(name);
        let mut options = StatusOptions::new();
        options.include_untracked(true).include_ignored(false);
        options.recurse_untracked_dirs(true);
        options.show(StatusShow::Workdir);
        options.pathspec(name).pathspec(format!("*/{name}"));
        let action = "look for untracked files";
        let statuses = self.repository.statuses(Some(&mut options)).asked(action)?;
        let new = statuses
            .iter()
            .map(|entry| String::from_utf8_lossy(entry.path_bytes()).into_owned());
        let mut found: BTreeSet<String> = new.filter(is_named).collect();
        found.extend(self.tracked_below("")?.into_iter().filter(is_named));
        Ok(found.into_iter().collect())
    }

    /// Files of git that differ from HEAD, untracked ones left out; sorted.
    pub fn uncommitted(&self) -> Result<Vec<String>> {
        let mut options = StatusOptions::new();
        options.include_untracked(false).include_ignored(false);
        let statuses = self
            .repository
            .statuses(Some(&mut options))
            .asked("compare the working tree with HEAD")?;
        let paths: BTreeSet<String> = statuses
            .iter()
            .map(|entry| String::from_utf8_lossy(entry.path_bytes()).into_owned())
            .collect();
        Ok(paths.into_iter().collect())
    }
}

fn is_at_or_below(entry: &[u8], path: &[u8]) -> bool {
    path.is_empty()
        || entry
            .strip_prefix(path)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}
