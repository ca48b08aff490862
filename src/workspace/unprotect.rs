//! Makes linked and read-only files ordinary ones.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::{Result, link};
use crate::fs::{self, Metadata};
use crate::path::RelPath;

/// Replaces every file at and below a path that is read-only, has another name, or is a link to
/// a file elsewhere, by a copy of its own that may be written. Says which it were. Links that
/// are data (relative, inside) stay, and so do git's directories and nested projects.
pub fn unprotect(root: &Path, path: &RelPath) -> Result<Vec<RelPath>> {
    link::check_parents(root, path)?;
    let mut freed = Vec::new();
    let mut todo = vec![path.clone()];
    while let Some(at) = todo.pop() {
        let Some(stat) = fs::metadata(&at.to_path(root))? else {
            continue;
        };
        if stat.is_dir() {
            todo.extend(children(root, &at, *path != at)?);
        } else if free(root, path, &at, &stat)? {
            freed.push(at);
        }
    }
    freed.sort();
    Ok(freed)
}

fn children(root: &Path, dir: &RelPath, is_below: bool) -> Result<Vec<RelPath>> {
    let at = dir.to_path(root);
    let is_project = fs::metadata(&at.join(super::scan::PROJECT_FILE))?.is_some();
    if is_below && is_project {
        return Ok(Vec::new());
    }
    // A name that no path can have is none of ours.
    let child = |name: &std::ffi::OsString| Some(dir.join(&RelPath::parse(name.to_str()?).ok()?));
    Ok(fs::list_dir(&at)?.iter().filter_map(child).collect())
}

fn free(root: &Path, top: &RelPath, path: &RelPath, stat: &Metadata) -> Result<bool> {
    let at = path.to_path(root);
    if stat.is_symlink() {
        let text = fs::read_link(&at)?;
        let below = path.strip_prefix(top);
        let is_data = text.to_str().zip(below.as_ref());
        if is_data.is_some_and(|(text, below)| link::stays_inside(below, text)) {
            return Ok(false);
        }
        let leads_to_file = at.metadata().is_ok_and(|stat| stat.is_file());
        return if leads_to_file {
            copy_in_place(&at).map(|()| true)
        } else {
            Ok(false)
        };
    }
    if !stat.is_file() {
        return Ok(false);
    }
    if stat.nlink() > 1 {
        return copy_in_place(&at).map(|()| true);
    }
    let is_read_only = stat.permissions().mode() & 0o200 == 0;
    if is_read_only {
        fs::set_executable(&at, fs::is_executable(stat))?;
    }
    Ok(is_read_only)
}

/// Puts a writable copy of what can be read at a path in its place, in one step.
pub(super) fn copy_in_place(at: &Path) -> Result<()> {
    let temp = at.with_file_name(fs::temp_name());
    let made = (|| {
        fs::copy(at, &temp)?;
        let source = fs::Context::context(at.metadata(), "look at", at)?;
        fs::set_executable(&temp, fs::is_executable(&source))?;
        let flushed = fs::open(&temp)?.sync_data();
        fs::Context::context(flushed, "flush", &temp)?;
        fs::rename(&temp, at)
    })();
    if made.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&temp);
    }
    Ok(made?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::parse(text).unwrap()
    }

    #[test]
    fn every_file_is_its_own_and_objects_stay() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("project");
        fs::create_dir_all(&root.join("data/sub")).unwrap();
        let object = dir.path().join("object");
        fs::write_new(&object, b"bytes").unwrap();
        fs::set_executable(&object, true).unwrap();
        fs::set_read_only(&object).unwrap();
        let at = |name: &str| root.join(name);
        std::fs::hard_link(&object, at("data/hard")).unwrap();
        fs::symlink(&object, &at("data/sub/soft")).unwrap();
        fs::symlink(Path::new("sub/soft"), &at("data/own")).unwrap();
        fs::symlink(Path::new("nowhere"), &at("data/dangling")).unwrap();
        fs::write_new(&at("data/plain"), b"plain").unwrap();
        fs::write_new(&at("data/locked"), b"locked").unwrap();
        fs::set_read_only(&at("data/locked")).unwrap();
        let freed = unprotect(&root, &path("data")).unwrap();
        let names: Vec<&str> = freed.iter().map(RelPath::as_str).collect();
        assert_eq!(names, ["data/hard", "data/locked", "data/sub/soft"]);
        for name in names {
            let stat = fs::metadata(&at(name)).unwrap().unwrap();
            assert!(stat.is_file() && stat.nlink() == 1, "{name}");
            assert_eq!(stat.permissions().mode() & 0o200, 0o200, "{name}");
        }
        assert_eq!(fs::read(&at("data/sub/soft")).unwrap(), b"bytes");
        let object = fs::metadata(&object).unwrap().unwrap();
        assert_eq!(
            (object.nlink(), object.permissions().mode() & 0o222),
            (1, 0)
        );
        assert!(fs::metadata(&at("data/own")).unwrap().unwrap().is_symlink());
        assert_eq!(unprotect(&root, &path("data")).unwrap(), []);
        assert_eq!(unprotect(&root, &path("none")).unwrap(), []);
    }
}
