//! What the clones of a store may ever want back from it.
//!
//! Ids are taken from records as text: whatever stands there like an id counts. So records of a
//! newer version, or with conflict markers in them, keep what they name as well.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use crate::fs::{self, Kind, OpenDir};
use crate::git;
use crate::hash::Digest;
use crate::ops::content::stored;
use crate::ops::{Error, Result, Site};
use crate::pipeline::{Entry, Results};
use crate::project::Lock;
use crate::project::layout::{LOCK, MANIFEST};
use crate::store;

/// A clone that uses the store.
#[derive(Clone, Debug, serde::Serialize)]
pub struct CloneReport {
    /// Its git directory.
    pub path: PathBuf,
    /// Whether it is asked.
    pub state: CloneState,
}

/// Whether a clone is asked what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CloneState {
    /// It is.
    Asked,
    /// It was removed.
    Gone,
    /// It is not to be asked any more.
    Forgotten,
}

impl CloneReport {
    /// Whether what it needs is kept.
    pub fn is_asked(&self) -> bool {
        self.state == CloneState::Asked
    }
}

/// What is needed, by name.
#[derive(Debug, Default)]
pub(super) struct Roots {
    /// Ids that records name: of files, of listings, and of much that no store holds.
    pub(super) names: HashSet<Digest>,
    /// Those of them that are known to be listings.
    pub(super) trees: HashSet<Digest>,
    /// Run lines.
    pub(super) runs: HashSet<String>,
    /// Who was asked.
    pub(super) clones: Vec<CloneReport>,
}

impl Roots {
    /// Asks all clones that use the store.
    pub(super) fn gather(site: &Site<'_>, forget: &[PathBuf]) -> Result<Self> {
        let mut roots = Self::default();
        let own = site.git.common_dir();
        let mut clones = site.store.clones()?;
        clones.insert(own.to_path_buf());
        for path in clones {
            site.check_interrupt()?;
            let state = match path != own && forget.contains(&path) {
                true => CloneState::Forgotten,
                false => roots.ask(site, &path)?,
            };
            roots.clones.push(CloneReport { path, state });
        }
        Ok(roots)
    }

    /// Takes the results of all clones that are needed or young. Yields the others of this one.
    pub(super) fn take_results(&mut self, site: &Site<'_>, before: u64) -> Result<Vec<Entry>> {
        let mut old = Vec::new();
        let mut named = Vec::new();
        let asked = self.clones.iter().filter(|clone| clone.is_asked());
        for clone in asked {
            let dir = clone.path.join("esker/results");
            for entry in (Results { dir }).all()? {
                let outs = entry.record.iter().flat_map(|record| record.outs.values());
                let ids: Vec<Digest> = outs.filter_map(|out| out.hash.digest()).collect();
                let is_needed = ids.iter().any(|id| self.names.contains(id));
                if entry.modified >= before || is_needed {
                    named.extend(ids);
                } else if clone.path == site.git.common_dir() {
                    old.push(entry);
                }
            }
        }
        self.names.extend(named);
        Ok(old)
    }

    fn ask(&mut self, site: &Site<'_>, path: &Path) -> Result<CloneState> {
        let unseen = |source: Error| Error::CloneUnseen {
            clone: path.to_path_buf(),
            source: Box::new(source),
        };
        match is_gone(path) {
            Ok(true) => return Ok(CloneState::Gone),
            Ok(false) => {}
            Err(error) => return Err(unseen(error.into())),
        }
        match self.ask_clone(site, path) {
            Ok(()) => Ok(CloneState::Asked),
            Err(Error::Interrupted) => Err(Error::Interrupted),
            Err(error) => Err(unseen(error)),
        }
    }

    /// What lies in a workspace may go into git and come back from there. So workspaces are looked
    /// at before git and after it: what moves meanwhile is seen on one side at least.
    fn ask_clone(&mut self, site: &Site<'_>, path: &Path) -> Result<()> {
        let clone = git::Clone::open(path)?;
        let mut places = Places::default();
        for dir in clone.workdirs() {
            self.look_through(site, &dir, &mut places)?;
        }
        for git_dir in clone.git_dirs() {
            self.read_state(site, &git_dir)?;
        }
        self.take_all(clone.staged(LOCK)?);
        self.take_all(clone.committed(LOCK)?);
        self.take_all(clone.staged(LOCK)?);
        for dir in &places.projects {
            if let Some(bytes) = fs::read_if_exists(&dir.join(LOCK))? {
                self.take(&bytes);
            }
        }
        Ok(())
    }

    /// Finds all locks in a workspace, and all links into the store.
    fn look_through(&mut self, site: &Site<'_>, top: &Path, places: &mut Places) -> Result<()> {
        if !top.is_dir() {
            // A worktree that was removed; git keeps the rest of it.
            return Ok(());
        }
        let mut todo = vec![top.to_path_buf()];
        while let Some(dir) = todo.pop() {
            site.check_interrupt()?;
            let names = match OpenDir::open(&dir).and_then(|open| open.names()) {
                // Removed meanwhile, or closed to us: nothing of esker's is in there.
                Err(error) if dir != top && may_pass(&error) => continue,
                names => names?,
            };
            for at in 0..names.len() {
                let name = names.name(at);
                let path = dir.join(name);
                match names.kind(at).or_else(|| kind_of(&path)) {
                    Some(Kind::Dir) if name != ".git" => todo.push(path),
                    Some(Kind::Link) => self.take_link(&path),
                    Some(Kind::File) if name == LOCK || name == MANIFEST => {
                        places.projects.insert(dir.clone());
                    }
                    _ => {}
                }
            }
        }
        for dir in &places.projects {
            if let Some(bytes) = fs::read_if_exists(&dir.join(LOCK))? {
                self.take(&bytes);
            }
        }
        Ok(())
    }

    /// What esker itself knows of a worktree: what it put where, and what it moved away.
    fn read_state(&mut self, site: &Site<'_>, git_dir: &Path) -> Result<()> {
        let dir = git_dir.join("esker");
        if !dir.is_dir() {
            return Ok(());
        }
        for project in fs::list_dir(&dir)? {
            let project = dir.join(project);
            if let Some(bytes) = fs::read_if_exists(&project.join("placed"))? {
                self.take(&bytes);
            }
            self.look_through(site, &project.join("park"), &mut Places::default())?;
        }
        Ok(())
    }

    fn take_link(&mut self, path: &Path) {
        let target = fs::read_link(path).ok();
        let object = target.and_then(|target| store::linked_object(&target));
        self.names.extend(object.map(|id| id.0));
    }

    fn take_all(&mut self, records: Vec<Vec<u8>>) {
        records.iter().for_each(|bytes| self.take(bytes));
    }

    fn take(&mut self, bytes: &[u8]) {
        let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        for word in bytes.split(|byte| !is_hex(byte)) {
            let word = || std::str::from_utf8(word).unwrap_or_default();
            match word().len() {
                64 => self.names.extend(word().parse::<Digest>()),
                16 => {
                    self.runs.insert(word().to_owned());
                }
                _ => {}
            }
        }
        if let Ok(lock) = Lock::from_bytes(bytes) {
            let stored = stored(&lock).into_values();
            let dirs = stored.filter(|recorded| recorded.files.is_some());
            self.trees.extend(dirs.filter_map(|dir| dir.hash.digest()));
        }
    }
}

/// Directories of a clone that are projects.
#[derive(Default)]
struct Places {
    projects: BTreeSet<PathBuf>,
}

fn kind_of(path: &Path) -> Option<Kind> {
    let stat = fs::metadata(path).ok()??;
    Some(fs::Stat::from(&stat).kind)
}

fn may_pass(error: &fs::Error) -> bool {
    fs::is_missing(&error.source) || error.source.kind() == std::io::ErrorKind::PermissionDenied
}

/// Whether a clone was removed: the directory that it lay in is there, and holds other things. One
/// that is empty may be the place of a disk that is not mounted.
fn is_gone(git_dir: &Path) -> fs::Result<bool> {
    if fs::metadata(git_dir)?.is_some() {
        return Ok(false);
    }
    // The top of the working tree, and the directory around it.
    for dir in git_dir.ancestors().skip(1).take(2) {
        if fs::metadata(dir)?.is_some_and(|stat| stat.is_dir()) {
            return Ok(!fs::list_dir(dir)?.is_empty());
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_in_any_text() {
        let mut roots = Roots::default();
        let id = |byte: u8| Digest::of(&[byte]);
        let text = format!(
            "<<<<<<< ours\nhash = \"b3:{}\"\n{{\"dir\": \"{}\"}}\nrun = \"00112233445566ff\"\n{}0\n",
            id(1),
            id(2),
            id(3)
        );
        roots.take(text.as_bytes());
        roots.take(b"\xff\xfe\0");
        assert_eq!(roots.names, [id(1), id(2)].into());
        assert_eq!(roots.runs, ["00112233445566ff".to_owned()].into());
    }

    #[test]
    fn a_clone_is_gone_if_its_neighbours_are_there() {
        let dir = tempfile::tempdir().unwrap();
        let clone = dir.path().join("disk/clone");
        let git = clone.join(".git");
        assert!(!is_gone(&git).unwrap(), "a disk that is not there");
        fs::create_dir_all(&dir.path().join("disk")).unwrap();
        assert!(!is_gone(&git).unwrap(), "a disk that is not mounted");
        fs::write_new(&dir.path().join("disk/other"), b"").unwrap();
        assert!(is_gone(&git).unwrap());
        fs::create_dir_all(&clone).unwrap();
        assert!(!is_gone(&git).unwrap(), "a clone that is not mounted");
        fs::write_new(&clone.join("file"), b"").unwrap();
        assert!(is_gone(&git).unwrap());
        fs::create_dir_all(&git).unwrap();
        assert!(!is_gone(&git).unwrap());
    }
}
