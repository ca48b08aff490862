//! Touching the disk: errors that name their path, atomic replacement, the lock guard, and
//! copying by reflink where that is possible. Knows nothing about esker.
//!
//! This is the only room that may call the writing functions of `std::fs`.

#![expect(clippy::disallowed_methods, reason = "this is the room that writes")]

mod clock;
mod dir;
mod fail;
mod file;
mod flush;
mod flusher;
mod group;
mod guard;
mod link;
mod room;
mod sweep;
mod temp;

#[cfg(feature = "failpoints")]
pub use clock::put_clock_forward;
pub use clock::{meanwhile, now_nanos, random_bytes};
pub use dir::{Kind, Names, OpenDir, Stat};
#[cfg(feature = "failpoints")]
pub use fail::{FailHow, arm_fail_points, count_steps};
pub use file::{
    Metadata, NewFile, append, copy, create_dir_all, create_new, is_executable, is_missing, links,
    list_dir, metadata, modified_nanos, open, read, read_if_exists, read_link, reflink,
    remove_dir_all, remove_dir_if_empty, remove_file, rename, rename_new, set_executable,
    set_read_only, symlink, sync_dir, sync_file, write_new,
};
pub use flush::{Durability, FLUSHES_ALL_AT_ONCE, sync_file_system};
pub use flusher::Flusher;
pub use group::{create_dir_inheriting, create_dir_with_mode, is_for_group, set_mode};
pub use guard::{Holder, LockGuard, LockedFile, SharedGuard};
pub use link::{LinkKind, hard_link, is_same_file, try_symlink};
pub use room::{free_space, shares_blocks};
pub use sweep::{is_abandoned, sweep};
pub use temp::{TempDir, TempFile, begun_bytes, is_temporary, replace, temp_name};

use std::io;
use std::path::{Path, PathBuf};

/// An I/O error that says what was being done, and to which path.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} `{}`", path.display())]
pub struct Error {
    /// The verb of the failed act: `read`, `create`, …
    pub action: &'static str,
    /// The path it was done to.
    pub path: PathBuf,
    /// What the operating system said.
    #[source]
    pub source: io::Error,
}

/// The result of touching the disk.
pub type Result<T> = std::result::Result<T, Error>;

/// Names the act and the path on a bare I/O result.
pub trait Context<T> {
    /// Turns the error of `action` on `path` into an [`Error`].
    fn context(self, action: &'static str, path: &Path) -> Result<T>;
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, action: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| Error {
            action,
            path: path.to_path_buf(),
            source,
        })
    }
}

#[cfg(test)]
mod tests;
