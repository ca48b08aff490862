//! A store that several clones use, perhaps of several users: its directories, who uses it, and
//! what keeps a user out.
//!
//! It is the directories that share: in one that is setgid and that its group may write to, every
//! directory is made likewise, whatever the umask says. So a clone that was not told of sharing
//! does not shut out the others. Files are read-only for all, and are replaced and removed by
//! whoever may write to their directory.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::upkeep::UPKEEP;
use super::users::USE;
use super::{Error, META, OBJECTS, QUARANTINE, Result, Store, TEMP, packs};
use crate::fs::{self, Metadata};
use crate::hash::Digest;

/// The mode of the directories of a store for a group.
const SHARED: u32 = 0o2775;
/// The mode of all that is finished.
const FILE: u32 = 0o444;
/// The mode of a lock that all users take.
const LOCK: u32 = 0o664;
const ROOTS: &str = "roots";

/// How the directories of a store for a group are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sharing {
    /// Their mode.
    pub mode: u32,
    /// Their group.
    pub group: u32,
}

/// Something that keeps a user of the group out of a part of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The directory or file.
    pub path: PathBuf,
    /// Who it belongs to.
    pub owner: u32,
    mode: u32,
    group: Option<u32>,
}

impl Store {
    /// Where it lies.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether its directory is there, or can be made: only the last directory of the path ever
    /// is. One of which more is missing lies on a disk that is not mounted, as like as not.
    pub fn check_place(&self) -> Result<()> {
        let parent = self.root.parent();
        match self.root.is_dir() || parent.is_none_or(Path::is_dir) {
            true => Ok(()),
            false => Err(Error::NoDirectory(self.root.clone())),
        }
    }

    /// Makes its directories for all users of a group, if that is asked for, or if its directory
    /// says so itself.
    pub fn share(&self, asked: bool) -> Result<()> {
        let mode = match self.sharing(asked)? {
            Some(sharing) => sharing.mode,
            None if asked => SHARED,
            None => return Ok(()),
        };
        let made = || -> fs::Result<()> {
            fs::create_dir_with_mode(&self.root, mode)?;
            for dir in [OBJECTS, META, packs::PACKS, QUARANTINE, TEMP, ROOTS] {
                fs::create_dir_with_mode(&self.root.join(dir), mode)?;
            }
            // Whoever makes them, all of them take these locks.
            for name in [UPKEEP, USE] {
                let lock = self.root.join(TEMP).join(name);
                if fs::metadata(&lock)?.is_none() && fs::create_new(&lock).is_ok() {
                    fs::set_mode(&lock, LOCK, None)?;
                }
            }
            Ok(())
        };
        made().map_err(|error| self.denied(error))
    }

    /// Notes that a clone uses this store, by the path of its git directory, so that a collection
    /// of garbage can ask it what it needs.
    pub fn register(&self, clone: &Path) -> Result<()> {
        let (text, name) = root_name(clone);
        let dir = self.root.join(ROOTS);
        let path = dir.join(name);
        if fs::metadata(&path)?.is_some() {
            return Ok(());
        }
        let mut temp = self.temp()?;
        let mut named = || -> fs::Result<()> {
            temp.write_all(&text)?;
            fs::set_read_only(temp.path())?;
            fs::create_dir_inheriting(&dir)
        };
        named().map_err(|error| self.denied(error))?;
        temp.persist(&path).map_err(|error| self.denied(error))
    }

    /// The git directories of the clones that use it: those that are registered, and the one that
    /// it lies in, if it lies in one.
    pub fn clones(&self) -> Result<BTreeSet<PathBuf>> {
        let mut clones = BTreeSet::new();
        let is_git = |dir: &&Path| dir.join("HEAD").is_file() && dir.join("objects").is_dir();
        let around = self.root.ancestors().skip(1).find(is_git);
        clones.extend(around.map(Path::to_path_buf));
        let dir = self.root.join(ROOTS);
        if fs::metadata(&dir)?.is_none() {
            return Ok(clones);
        }
        for name in fs::list_dir(&dir)? {
            if fs::is_temporary(&name) {
                continue;
            }
            let text = fs::read(&dir.join(name))?;
            let path = text.strip_suffix(b"\n").unwrap_or(&text);
            clones.insert(PathBuf::from(OsStr::from_bytes(path)));
        }
        Ok(clones)
    }

    /// Forgets that a clone uses this store.
    pub fn forget(&self, clone: &Path) -> Result<()> {
        let path = self.root.join(ROOTS).join(root_name(clone).1);
        Ok(fs::remove_file(&path)?)
    }

    /// How its directories are if it is one for a group, or should be one; `None` if not, or if
    /// it is not there yet.
    pub fn sharing(&self, asked: bool) -> Result<Option<Sharing>> {
        let root = fs::metadata(&self.root)?.filter(Metadata::is_dir);
        Ok(root.and_then(|root| {
            let is_shared = fs::is_for_group(&root);
            (asked || is_shared).then(|| Sharing {
                mode: match is_shared {
                    true => root.permissions().mode() & 0o7777,
                    false => SHARED,
                },
                group: root.gid(),
            })
        }))
    }

    /// What of it is not as it must be in a store for a group.
    pub fn flaws(&self, sharing: Sharing) -> Result<Vec<Flaw>> {
        let mut flaws = Vec::new();
        let mut todo = vec![self.root.clone()];
        while let Some(path) = todo.pop() {
            let Some(stat) = fs::metadata(&path)? else {
                continue;
            };
            // What cannot be listed is one of the flaws; what is in quarantine or not finished may
            // be as it is.
            let is_closed = [QUARANTINE, TEMP]
                .iter()
                .any(|dir| path == self.root.join(dir));
            if let Ok(names) = fs::list_dir(&path)
                && !is_closed
            {
                let names = names.iter().filter(|name| !fs::is_temporary(name));
                todo.extend(names.map(|name| path.join(name)));
            }
            flaws.extend(flaw(path, &stat, sharing));
        }
        flaws.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(flaws)
    }

    /// Mends what it may; says what is left.
    pub fn mend(&self, flaws: Vec<Flaw>) -> Vec<Flaw> {
        let is_left = |flaw: &Flaw| fs::set_mode(&flaw.path, flaw.mode, flaw.group).is_err();
        flaws.into_iter().filter(is_left).collect()
    }

    /// Tells a store that may not be written to from other failures of the disk.
    pub(super) fn denied(&self, error: fs::Error) -> Error {
        denied(&self.root, error)
    }
}

/// Tells a store that may not be written to from other failures of the disk.
pub(super) fn denied(root: &Path, source: fs::Error) -> Error {
    let kind = source.source.kind();
    match kind {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Error::Unwritable {
            root: root.to_path_buf(),
            source,
        },
        _ => Error::Fs(source),
    }
}

/// What the file that registers a clone holds, and its name.
fn root_name(clone: &Path) -> (Vec<u8>, String) {
    let mut text = clone.as_os_str().as_bytes().to_vec();
    text.push(b'\n');
    let name = Digest::of(&text).to_hex();
    (text, name)
}

fn flaw(path: PathBuf, stat: &Metadata, sharing: Sharing) -> Option<Flaw> {
    let (mode, group) = match stat.is_dir() {
        true => (sharing.mode, Some(sharing.group)),
        // All may read it, so its group does not matter.
        false => (FILE, None),
    };
    let is_mode = stat.permissions().mode() & 0o7777 == mode;
    let is_group = group.is_none_or(|group| group == stat.gid());
    let is_good = stat.is_symlink() || is_mode && is_group;
    (!is_good).then(|| Flaw {
        path,
        owner: stat.uid(),
        mode,
        group: group.filter(|_| !is_group),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::ObjectKind;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn directories_are_for_the_group_whatever_the_umask() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store"));
        store.share(false).unwrap();
        assert!(!store.root().exists(), "not asked for");
        store.share(true).unwrap();
        store.put(ObjectKind::Node, b"node").unwrap();
        let sharing = store.sharing(true).unwrap().unwrap();
        assert_eq!(sharing.mode, 0o2775);
        assert_eq!(store.flaws(sharing).unwrap(), []);
        // A mode of one's own is passed on.
        let closed = Store::open(&dir.path().join("closed"));
        fs::create_dir_with_mode(closed.root(), 0o2770).unwrap();
        closed.share(false).unwrap();
        closed.put(ObjectKind::Node, b"node").unwrap();
        let fans = fs::list_dir(&closed.root().join(META)).unwrap();
        assert_eq!(mode(&closed.root().join(META).join(&fans[0])), 0o2770);
    }

    #[test]
    fn flaws_are_found_and_mended() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store"));
        store.share(true).unwrap();
        store.register(Path::new("/some/clone/.git")).unwrap();
        store.register(Path::new("/some/clone/.git")).unwrap();
        let roots = store.root().join(ROOTS);
        let names = fs::list_dir(&roots).unwrap();
        assert_eq!(names.len(), 1);
        let root = roots.join(&names[0]);
        assert_eq!(fs::read(&root).unwrap(), b"/some/clone/.git\n");
        let clone = PathBuf::from("/some/clone/.git");
        assert_eq!(store.clones().unwrap(), [clone].into());
        fs::set_mode(&root, 0o640, None).unwrap();
        fs::set_mode(&roots, 0o755, None).unwrap();
        let sharing = store.sharing(false).unwrap().unwrap();
        let flaws = store.flaws(sharing).unwrap();
        let paths: Vec<&Path> = flaws.iter().map(|flaw| flaw.path.as_path()).collect();
        assert_eq!(paths, [&roots, &root]);
        assert_eq!(store.mend(flaws), []);
        assert_eq!((mode(&roots), mode(&root)), (0o2775, 0o444));
        assert_eq!(store.flaws(sharing).unwrap(), []);
        store.forget(Path::new("/some/clone/.git")).unwrap();
        assert_eq!(store.clones().unwrap(), BTreeSet::new());
    }

    #[test]
    fn a_store_in_a_clone_is_used_by_it() {
        let dir = tempfile::tempdir().unwrap();
        let git = dir.path().join(".git");
        fs::create_dir_all(&git.join("objects")).unwrap();
        fs::write_new(&git.join("HEAD"), b"ref: refs/heads/main\n").unwrap();
        let store = Store::open(&git.join("esker/store"));
        assert_eq!(store.clones().unwrap(), [git].into());
    }

    #[test]
    fn only_the_last_directory_of_the_path_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let place = |path: &str| Store::open(&dir.path().join(path)).check_place();
        place("store").unwrap();
        assert!(matches!(place("mount/store"), Err(Error::NoDirectory(_))));
    }
}
