//! Directories that all users of a group may write to, whatever anybody's umask is.

use std::fs::{self, Metadata, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::fail::{Needs, step};
use super::{Context, Result, create_dir_all, metadata, rename, temp_name};

/// Whether a directory passes on its group, and that group may write to it.
pub fn is_for_group(dir: &Metadata) -> bool {
    dir.is_dir() && dir.permissions().mode() & 0o2020 == 0o2020
}

/// Makes a directory with exactly this mode; one that is there stays as it is. Nobody sees it
/// with another mode.
pub fn create_dir_with_mode(path: &Path, mode: u32) -> Result<()> {
    let is_there = || metadata(path).map(|stat| stat.is_some_and(|stat| stat.is_dir()));
    if is_there()? {
        return Ok(());
    }
    let temp = path.with_file_name(temp_name());
    step(Needs::Room, "create", path)?;
    fs::create_dir(&temp).context("create", path)?;
    let made = set_mode(&temp, mode, None).and_then(|()| rename(&temp, path));
    if made.is_err() {
        let _ = fs::remove_dir(&temp);
        // Another process may have made it meanwhile.
        if is_there()? {
            return Ok(());
        }
    }
    made
}

/// Makes a directory; in one that is for a group, it is too.
pub fn create_dir_inheriting(path: &Path) -> Result<()> {
    if metadata(path)?.is_some_and(|stat| stat.is_dir()) {
        return Ok(());
    }
    let above = path.parent().map(metadata).transpose()?.flatten();
    match above.filter(is_for_group) {
        Some(above) => create_dir_with_mode(path, above.permissions().mode() & 0o7777),
        None => create_dir_all(path),
    }
}

/// Gives a file or directory a mode, and a group before it.
pub fn set_mode(path: &Path, mode: u32, group: Option<u32>) -> Result<()> {
    step(Needs::Nothing, "change", path)?;
    let group = group.map(rustix::fs::Gid::from_raw);
    if group.is_some() {
        let changed = rustix::fs::chown(path, None, group);
        changed
            .map_err(std::io::Error::from)
            .context("change", path)?;
    }
    fs::set_permissions(path, Permissions::from_mode(mode)).context("change", path)
}
