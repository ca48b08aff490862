//! An exclusive lock between processes that dies with its holder.

use std::fs::{File, OpenOptions};
use std::path::Path;

use super::fail::{Needs, step};
use super::{Context, Result};

/// The right to change what a lock file stands for, held until it is dropped.
///
/// The kernel holds the lock (`flock`), so a killed process never leaves a stale one behind.
#[derive(Debug)]
pub struct LockGuard {
    _file: File,
}

impl LockGuard {
    /// Waits for the lock.
    pub fn acquire(path: &Path) -> Result<Self> {
        let file = open(path)?;
        file.lock().context("lock", path)?;
        Ok(Self { _file: file })
    }

    /// Takes the lock if nobody holds it.
    pub fn try_acquire(path: &Path) -> Result<Option<Self>> {
        let file = open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(error)) => Err(error).context("lock", path),
        }
    }
}

fn open(path: &Path) -> Result<File> {
    if let Some(dir) = path.parent() {
        super::create_dir_all(dir)?;
    }
    step(Needs::Room, "open", path)?;
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .context("open", path)
}
