//! What the lock of a project records, as it was read from its file.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{Error, Result};
use crate::fs;
use crate::project::Lock;

/// A lock, and what it was read from.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// What is recorded.
    pub(super) lock: Lock,
    /// The bytes that say so; none if there is no file.
    pub(super) bytes: Vec<u8>,
    /// The state of the file at that time, or before.
    pub(super) stamp: Stamp,
}

/// The state of a file: replacing it gives it another one. `None` if there is no file.
pub(super) type Stamp = Option<(u64, i64, i64, u64)>;

impl Record {
    /// Reads a lock; none is an empty one. Two branches that git has merged may have tracked a
    /// directory and something in it: nothing goes on from there but `remove`.
    pub(super) fn read(path: &Path) -> Result<Self> {
        // Comes before what it is the stamp of: a lock replaced in between is read again then.
        let stamp = stamp(path)?;
        let Some(bytes) = fs::read_if_exists(path)? else {
            return Ok(Self::default());
        };
        let lock = Lock::from_bytes(&bytes)?;
        for tracked in lock.data.keys() {
            if let Some(path) = tracked.ancestors().find(|dir| lock.data.contains_key(dir)) {
                let tracked = tracked.clone();
                return Err(Error::HoldsTracked { path, tracked });
            }
        }
        Ok(Self { lock, bytes, stamp })
    }
}

/// The state of a file now.
pub(super) fn stamp(path: &Path) -> Result<Stamp> {
    let found = fs::metadata(path)?;
    Ok(found.map(|stat| (stat.ino(), stat.mtime(), stat.mtime_nsec(), stat.len())))
}
