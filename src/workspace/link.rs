//! Links: what may be stored of them, and that nothing is written through one.

use std::path::Path;

use super::{Error, Result};
use crate::fs::{self, Metadata};
use crate::path::RelPath;
use crate::store;

/// Whether a link resolves, by text alone, inside the directory that `link` is relative to.
pub fn stays_inside(link: &RelPath, target: &str) -> bool {
    if target.is_empty() || target.starts_with('/') || target.contains('\0') {
        return false;
    }
    let mut depth = link.components().count() - 1;
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." if depth == 0 => return false,
            ".." => depth -= 1,
            _ => depth += 1,
        }
    }
    true
}

/// Whether a link is one of esker's own: it stands for the object that it leads to.
pub fn is_to_object(at: &Path) -> Result<bool> {
    Ok(store::linked_object(&fs::read_link(at)?).is_some())
}

/// The stat of a file, behind a link if there is one; `None` if the link leads nowhere.
pub(super) fn object_stat(at: &Path) -> Result<Option<Metadata>> {
    match at.metadata() {
        Ok(stat) => Ok(Some(stat).filter(Metadata::is_file)),
        Err(error) if fs::is_missing(&error) => Ok(None),
        Err(error) => Ok(fs::Context::context(Err(error), "look at", at)?),
    }
}

/// Checks that every directory above `path` that exists is a real one, so that what is done to
/// `path` is done inside the project.
pub(super) fn check_parents(root: &Path, path: &RelPath) -> Result<()> {
    let mut parents: Vec<RelPath> = path.ancestors().collect();
    parents.reverse();
    for parent in parents {
        match fs::metadata(&parent.to_path(root))? {
            None => return Ok(()),
            Some(stat) if stat.is_dir() => {}
            Some(stat) if stat.is_symlink() => return Err(Error::LinkedParent(parent)),
            Some(_) => return Err(Error::Occupied(parent)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_judged_by_their_text() {
        let cases = [
            ("a", "b", true),
            ("a", "./b//c", true),
            ("a", "b/../c", true),
            ("a", "../b", false),
            ("a", "b/../../c", false),
            ("d/a", "../b", true),
            ("d/a", "../../b", false),
            ("d/a", "/etc/passwd", false),
            ("a", "", false),
        ];
        for (link, target, expected) in cases {
            let link = RelPath::parse(link).unwrap();
            assert_eq!(stays_inside(&link, target), expected, "{link} -> {target}");
        }
    }

    #[test]
    fn a_linked_or_occupied_parent_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(&dir.path().join("real")).unwrap();
        fs::symlink(Path::new("real"), &dir.path().join("linked")).unwrap();
        fs::write_new(&dir.path().join("real/file"), b"").unwrap();
        let check = |text: &str| check_parents(dir.path(), &RelPath::parse(text).unwrap());
        assert!(check("real/x").is_ok() && check("none/at/all").is_ok() && check("linked").is_ok());
        assert!(
            matches!(check("linked/x/y"), Err(Error::LinkedParent(at)) if at.as_str() == "linked")
        );
        assert!(
            matches!(check("real/file/x"), Err(Error::Occupied(at)) if at.as_str() == "real/file")
        );
    }
}
