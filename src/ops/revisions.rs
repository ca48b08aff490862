//! Two sides to compare: commits, or the workspace.

use super::{Result, Site};
use crate::git::Rev;
use crate::project::Lock;

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// A commit.
    Commit(Rev),
    /// A repository without a commit yet: nothing is recorded.
    Nothing,
    /// What is on disk.
    Workspace,
}

impl Side {
    /// The name people know it by.
    pub(super) fn name(&self) -> String {
        match self {
            // A merge base has no name but its hash.
            Self::Commit(rev) if rev.name == rev.commit => rev.short().to_owned(),
            Self::Commit(rev) => rev.name.clone(),
            Self::Nothing => "nothing".to_owned(),
            Self::Workspace => "workspace".to_owned(),
        }
    }

    /// What this side's lock records.
    pub(super) fn lock(&self, site: &Site<'_>) -> Result<Lock> {
        match self {
            Self::Commit(rev) => site.lock_at(rev),
            Self::Nothing => Ok(Lock::default()),
            Self::Workspace => site.lock(),
        }
    }

    /// The bytes of a git file on this side.
    pub(super) fn read(&self, site: &Site<'_>, path: &str) -> Result<Option<Vec<u8>>> {
        match self {
            Self::Commit(rev) => site.read_at(rev, path),
            Self::Nothing => Ok(None),
            Self::Workspace => {
                let path = crate::path::DepPath::parse(path)?;
                Ok(crate::fs::read_if_exists(&path.to_path(&site.layout.root))?)
            }
        }
    }
}

/// Reads `[A [B]]`: nothing is HEAD against the workspace, `A` is A against the workspace, and
/// `A...B` begins at the merge base of the two.
pub(super) fn sides(site: &Site<'_>, revs: &[String]) -> Result<(Side, Side)> {
    let commit = |name: &str| site.git.rev(name).map(Side::Commit);
    match revs {
        [] => {
            let head = site.git.head()?;
            Ok((head.map_or(Side::Nothing, Side::Commit), Side::Workspace))
        }
        [range] if range.contains("...") => {
            let (a, b) = range.split_once("...").unwrap_or((range, ""));
            let a = site.git.rev(if a.is_empty() { "HEAD" } else { a })?;
            let b = site.git.rev(if b.is_empty() { "HEAD" } else { b })?;
            let base = site.git.merge_base(&a, &b)?.unwrap_or(a);
            Ok((Side::Commit(base), Side::Commit(b)))
        }
        [a] => Ok((commit(a)?, Side::Workspace)),
        [a, b, ..] => Ok((commit(a)?, commit(b)?)),
    }
}
