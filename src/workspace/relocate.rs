//! Renames a path of the project, and lets the index follow, so that nothing is read again.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{Error, Index, Result, link, park};
use crate::fs::{self, Metadata};
use crate::hash::BlobId;
use crate::path::RelPath;

/// Renames `from` to `to`, where nothing may be. `files` are those at or below `from` that the
/// index may know.
pub fn relocate(
    root: &Path,
    index: &mut Index,
    from: &RelPath,
    to: &RelPath,
    files: &[RelPath],
) -> Result<()> {
    link::check_parents(root, from)?;
    link::check_parents(root, to)?;
    let target = to.to_path(root);
    if fs::metadata(&target)?.is_some() {
        return Err(Error::Occupied(to.clone()));
    }
    let known = known(root, index, files)?;
    if let Some(dir) = target.parent() {
        fs::create_dir_all(dir)?;
    }
    park::move_new(&from.to_path(root), &target, to)?;
    index.forget(from.as_str());
    let mut moved = Vec::new();
    for (path, before, id) in known {
        let path = path
            .strip_prefix(from)
            .map_or(to.clone(), |below| to.join(&below));
        let now = fs::metadata(&path.to_path(root))?;
        moved.extend(
            now.filter(|now| is_same(&before, now))
                .map(|now| (path, now, id)),
        );
    }
    // A rename counts as a change to the inode, so the stats are as new as can be.
    index.wait_out(moved.iter().map(|(_, stat, _)| stat));
    for (path, stat, id) in moved {
        index.record(path.as_str(), &stat, id);
    }
    Ok(())
}

fn known<'f>(
    root: &Path,
    index: &Index,
    files: &'f [RelPath],
) -> Result<Vec<(&'f RelPath, Metadata, BlobId)>> {
    let mut known = Vec::new();
    for path in files {
        if let Some(stat) = fs::metadata(&path.to_path(root))?
            && let Some(id) = index.lookup(path.as_str(), &stat)
        {
            known.push((path, stat, id));
        }
    }
    Ok(known)
}

fn is_same(before: &Metadata, now: &Metadata) -> bool {
    let facts = |stat: &Metadata| {
        (
            stat.dev(),
            stat.ino(),
            stat.len(),
            stat.mtime(),
            stat.mtime_nsec(),
        )
    };
    facts(before) == facts(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Digest;

    fn path(text: &str) -> RelPath {
        RelPath::parse(text).unwrap()
    }

    #[test]
    fn a_renamed_file_is_still_known() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("project");
        fs::create_dir_all(&root.join("a")).unwrap();
        fs::write_new(&root.join("a/x"), b"x").unwrap();
        let mut index = Index::load(&dir.path().join("index"));
        let stat = fs::metadata(&root.join("a/x")).unwrap().unwrap();
        index.wait_out(std::iter::once(&stat));
        let id = BlobId(Digest::of(b"x"));
        index.record("a/x", &stat, id);
        let files = [path("a/x"), path("a/none")];
        relocate(&root, &mut index, &path("a"), &path("b/c"), &files).unwrap();
        let stat = fs::metadata(&root.join("b/c/x")).unwrap().unwrap();
        assert_eq!(index.lookup("b/c/x", &stat), Some(id));
        assert_eq!(index.lookup("a/x", &stat), None);
        assert!(!root.join("a").exists());
    }

    #[test]
    fn nothing_is_renamed_over_or_through_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let mut index = Index::default();
        for name in ["x", "y"] {
            fs::write_new(&root.join(name), name.as_bytes()).unwrap();
        }
        fs::create_dir_all(&root.join("real")).unwrap();
        fs::symlink(Path::new("real"), &root.join("linked")).unwrap();
        let mut relocate = |to: &str| relocate(root, &mut index, &path("x"), &path(to), &[]);
        assert!(matches!(relocate("y"), Err(Error::Occupied(_))));
        assert!(matches!(relocate("y/z"), Err(Error::Occupied(_))));
        assert!(matches!(relocate("linked/z"), Err(Error::LinkedParent(_))));
        assert_eq!(fs::read(&root.join("y")).unwrap(), b"y");
        assert_eq!(fs::read(&root.join("x")).unwrap(), b"x");
    }
}
