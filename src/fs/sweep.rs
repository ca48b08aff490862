//! Removes what killed processes left behind.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use super::temp::TEMP_PREFIX;
use super::{Metadata, list_dir, metadata, remove_dir_all, remove_file};

/// What was touched since then may still be in use by a process of another machine.
const AGE: Duration = Duration::from_hours(24);

/// Removes the temporary files and directories right in a directory that are older than a day
/// and whose process is gone. What cannot be removed stays: the next one tries again.
pub fn sweep(dir: &Path) {
    let Ok(names) = list_dir(dir) else {
        return;
    };
    for name in names.iter().filter(|name| is_abandoned(name)) {
        let path = dir.join(name);
        match metadata(&path) {
            Ok(Some(found)) if is_old(&found) => {
                let _ = match found.is_dir() {
                    true => remove_dir_all(&path),
                    false => remove_file(&path),
                };
            }
            _ => {}
        }
    }
}

/// Whether this is the name of something temporary that belongs to no living process.
pub fn is_abandoned(name: &OsStr) -> bool {
    let owner = name
        .to_str()
        .and_then(|name| name.strip_prefix(TEMP_PREFIX))
        .and_then(|rest| rest.split_once('-'))
        .and_then(|(pid, _)| pid.parse().ok())
        .and_then(rustix::process::Pid::from_raw);
    let Some(owner) = owner else {
        return false;
    };
    rustix::process::test_kill_process(owner) == Err(rustix::io::Errno::SRCH)
}

fn is_old(found: &Metadata) -> bool {
    let now = Duration::from_nanos(super::now_nanos());
    let modified = found.modified().ok();
    let modified = modified.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    modified.is_some_and(|at| now.saturating_sub(at) > AGE)
}
