//! How much the disk has left, and whether a copy needs any of it.

use std::path::Path;

use super::{Context, Result, TempFile, fail};

/// How many bytes can still be written to the file system of a path, by us. What does not exist
/// yet is asked for at the nearest directory above it.
pub fn free_space(path: &Path) -> Result<u64> {
    if let Some(room) = fail::pretended_room() {
        return Ok(room);
    }
    let there = path.ancestors().find(|dir| dir.exists());
    let there = there.filter(|dir| !dir.as_os_str().is_empty());
    let there = there.unwrap_or(Path::new("."));
    let system = rustix::fs::statvfs(there)
        .map_err(std::io::Error::from)
        .context("look at", there)?;
    Ok(system.f_bavail.saturating_mul(system.f_frsize))
}

/// Whether a file copied from one directory to another shares its blocks, and so needs no room:
/// tried with a small file. A failure counts as no.
pub fn shares_blocks(from: &Path, to: &Path) -> bool {
    let tried = || -> Result<bool> {
        let mut source = TempFile::new_in(from)?;
        source.write_all(&[1; 4096])?;
        let copy = TempFile::new_in(to)?;
        Ok(super::reflink(source.file(), copy.file()))
    };
    tried().unwrap_or(false)
}
