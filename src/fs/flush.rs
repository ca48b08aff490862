//! Flushing everything at once.

use std::path::Path;

use super::Result;

/// How surely what was written outlives a power cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Each file is flushed before it gets its name.
    Full,
    /// What belongs together is flushed together, before anything names it.
    #[default]
    Batch,
    /// Nothing is flushed.
    None,
}

/// Whether [`sync_file_system`] flushes the bytes of every file. Where it does not, whoever
/// writes a file that must last flushes it himself.
pub const FLUSHES_ALL_AT_ONCE: bool = cfg!(target_os = "linux");

/// Makes all that was written so far to the file system of a directory survive a power cut.
#[cfg(target_os = "linux")]
pub fn sync_file_system(dir: &Path) -> Result<()> {
    use super::Context;
    use super::fail::{Needs, step};
    step(Needs::Nothing, "flush", dir)?;
    let file = super::open(dir)?;
    rustix::fs::syncfs(&file)
        .map_err(std::io::Error::from)
        .context("flush", dir)
}

/// Makes the names in a directory, and in those below it, survive a power cut.
#[cfg(not(target_os = "linux"))]
pub fn sync_file_system(dir: &Path) -> Result<()> {
    for name in super::list_dir(dir)? {
        let below = dir.join(name);
        if super::metadata(&below)?.is_some_and(|found| found.is_dir()) {
            sync_file_system(&below)?;
        }
    }
    super::sync_dir(dir)
}
