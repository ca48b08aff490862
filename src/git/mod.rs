//! Asks the git repository: where it is, revisions, files at a revision, refs, what is tracked
//! or ignored; installs hooks; keeps esker's block in `.gitignore`. Runs in process (libgit2);
//! the `git` program is only for network transport. Knows nothing of esker's formats.

use std::path::{Path, PathBuf};

use git2::{ErrorCode, Repository, RepositoryOpenFlags, RepositoryState};

use crate::fs::Context;

mod everything;
mod files;
mod hooks;
mod ignore;
mod remembered;
mod revisions;

pub use self::ignore::{can_be_ignored, ensure_attribute, ignore_block};
pub use everything::Clone;
pub use files::Conflict;
pub use hooks::{HookReport, install_hooks, uninstall_hooks};
pub use remembered::{Blind, Remembered};
pub use revisions::{Rev, Which};

/// What git could not do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk failed.
    #[error(transparent)]
    Fs(#[from] crate::fs::Error),
    /// Not inside a git working tree.
    #[error("`{}` is not inside a git working tree", .0.display())]
    NoRepository(PathBuf),
    /// The repository belongs to somebody else, and `safe.directory` does not name it.
    #[error("the git repository around `{}` belongs to another user", dir.display())]
    Owner {
        /// The directory that was asked about.
        dir: PathBuf,
        /// What libgit2 said.
        #[source]
        source: git2::Error,
    },
    /// No commit of that name.
    #[error("no commit `{0}` in this repository")]
    UnknownRev(String),
    /// A file of a commit is far larger than anything esker reads from git.
    #[error("`{path}` has {size} bytes in git, more than esker reads from there")]
    TooLarge {
        /// The path, relative to the working tree.
        path: String,
        /// Its size.
        size: u64,
    },
    /// A hook of others would have to be moved to a name that is taken.
    #[error("cannot keep the hook `{}`: `{}` is already there", hook.display(), kept.display())]
    HookTaken {
        /// The hook that is in the way.
        hook: PathBuf,
        /// The name it would get.
        kept: PathBuf,
    },
    /// libgit2 failed.
    #[error("git could not {action}")]
    Git {
        /// What was asked.
        action: &'static str,
        /// What libgit2 said.
        #[source]
        source: git2::Error,
    },
}

/// The result of asking git.
pub type Result<T> = std::result::Result<T, Error>;

/// Says what was asked of libgit2 when it fails.
trait Asked<T> {
    fn asked(self, action: &'static str) -> Result<T>;
}

impl<T> Asked<T> for std::result::Result<T, git2::Error> {
    fn asked(self, action: &'static str) -> Result<T> {
        self.map_err(|source| Error::Git { action, source })
    }
}

/// An open repository with a working tree.
pub struct Git {
    repository: Repository,
    workdir: PathBuf,
    dir: PathBuf,
    common_dir: PathBuf,
}

impl Git {
    /// Opens the repository that holds a directory.
    ///
    /// The search goes upward as git's own does: it stops at the end of the file system and at a
    /// directory of `GIT_CEILING_DIRECTORIES`. `GIT_DIR` is not read: inside a hook it names the
    /// repository that git is working on, which need not be the one around `dir`.
    pub fn discover(dir: &Path) -> Result<Self> {
        Self::discover_below(dir, &ceilings())
    }

    fn discover_below(dir: &Path, ceilings: &[PathBuf]) -> Result<Self> {
        let dir = canonical(dir)?;
        let repository = Repository::open_ext(&dir, RepositoryOpenFlags::empty(), ceilings)
            .map_err(|source| refused(&dir, source))?;
        let Some(workdir) = repository.workdir() else {
            return Err(Error::NoRepository(dir));
        };
        let workdir = canonical(workdir)?;
        let common_dir = canonical(repository.commondir())?;
        // `core.worktree` can put the working tree elsewhere; and `.git` is not part of it, unless
        // a linked working tree was put in there.
        let is_in_git = dir.starts_with(&common_dir) && !workdir.starts_with(&common_dir);
        if is_in_git || !dir.starts_with(&workdir) {
            return Err(Error::NoRepository(dir));
        }
        Ok(Self {
            workdir,
            dir: canonical(repository.path())?,
            common_dir,
            repository,
        })
    }

    /// The top of the working tree (canonical).
    pub fn workdir(&self) -> &Path {
        &self.workdir
    }

    /// The git directory of this worktree (canonical).
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The git directory that all worktrees share (canonical).
    pub fn common_dir(&self) -> &Path {
        &self.common_dir
    }

    /// The directory git looks for hooks in (`core.hooksPath` honoured; it need not exist).
    pub fn hooks_dir(&self) -> Result<PathBuf> {
        let action = "read `core.hooksPath`";
        let config = self.repository.config().asked(action)?;
        match config.get_path("core.hooksPath") {
            Ok(path) if path.as_os_str().is_empty() => Ok(self.common_dir.join("hooks")),
            // Git runs hooks at the top of the working tree; a relative path starts there.
            Ok(path) => Ok(self.workdir.join(path)),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(self.common_dir.join("hooks")),
            Err(source) => Err(Error::Git { action, source }),
        }
    }

    /// Whether a rebase, merge, cherry-pick or the like is under way in this worktree. A bisect
    /// is not: each of its steps is an ordinary checkout.
    ///
    /// Git calls `post-merge` and, at the end of a rebase, `post-rewrite` before it takes its
    /// marks away: inside those two hooks the answer is `true` although the work is done.
    pub fn is_busy(&self) -> bool {
        !matches!(
            self.repository.state(),
            RepositoryState::Clean | RepositoryState::Bisect
        )
    }
}

fn canonical(path: &Path) -> Result<PathBuf> {
    Ok(path.canonicalize().context("find", path)?)
}

fn refused(dir: &Path, source: git2::Error) -> Error {
    let dir = dir.to_path_buf();
    match source.code() {
        ErrorCode::NotFound => Error::NoRepository(dir),
        ErrorCode::Owner => Error::Owner { dir, source },
        _ => Error::Git {
            action: "open the repository",
            source,
        },
    }
}

/// libgit2 reads this variable only together with `GIT_DIR`, which must not count here.
#[expect(
    clippy::disallowed_methods,
    reason = "git's own variable, part of how git finds a repository"
)]
fn ceilings() -> Vec<PathBuf> {
    let list = std::env::var_os("GIT_CEILING_DIRECTORIES").unwrap_or_default();
    std::env::split_paths(&list)
        .filter(|dir| dir.is_absolute())
        .collect()
}

#[cfg(test)]
mod tests;
