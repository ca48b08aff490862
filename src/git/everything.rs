//! Everything that a clone may ever want back: all versions of a file of some name, wherever in the
//! tree they lie, that a ref, a reflog, a stash, an index or an unfinished act leads to.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use git2::{ObjectType, Oid, Repository};

use super::remembered::{find_commits, tips_of, with_worktrees};
use super::{Asked, Error, Result};
use crate::fs;

/// Files in a git directory that name commits which nothing else may lead to.
const UNFINISHED: [&str; 8] = [
    "ORIG_HEAD",
    "MERGE_HEAD",
    "MERGE_AUTOSTASH",
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
    "rebase-merge/autostash",
    "rebase-apply/autostash",
    "rebase-merge/orig-head",
];

/// A clone, by its git directory, with all its worktrees.
pub struct Clone {
    repositories: Vec<Repository>,
}

impl Clone {
    /// Opens the clone whose git directory this is.
    pub fn open(common_dir: &Path) -> Result<Self> {
        let repositories = with_worktrees(common_dir)?;
        Ok(Self { repositories })
    }

    /// The git directories: the clone's own, and one for each other worktree.
    pub fn git_dirs(&self) -> Vec<PathBuf> {
        let dirs = self.repositories.iter().map(Repository::path);
        dirs.map(Path::to_path_buf).collect()
    }

    /// The tops of the working trees.
    pub fn workdirs(&self) -> Vec<PathBuf> {
        let dirs = self.repositories.iter().filter_map(Repository::workdir);
        dirs.map(Path::to_path_buf).collect()
    }

    /// The versions in the indexes of all worktrees, those of a conflict too.
    pub fn staged(&self, name: &str) -> Result<Vec<Vec<u8>>> {
        let mut blobs = BTreeSet::new();
        for repository in &self.repositories {
            let mut index = repository.index().asked("read an index")?;
            index.read(false).asked("read an index")?;
            let is_named = |path: &[u8]| {
                let rest = path.strip_suffix(name.as_bytes());
                rest.is_some_and(|rest| rest.is_empty() || rest.ends_with(b"/"))
            };
            let entries = index.iter().filter(|entry| is_named(&entry.path));
            blobs.extend(entries.map(|entry| entry.id));
        }
        self.contents(blobs)
    }

    /// The versions in all commits that anything leads to.
    pub fn committed(&self, name: &str) -> Result<Vec<Vec<u8>>> {
        let mut tips = BTreeSet::new();
        for repository in &self.repositories {
            tips.extend(tips_of(repository)?);
            tips.extend(unfinished(repository.path())?);
        }
        let main = self.main();
        let (mut blobs, mut seen) = (BTreeSet::new(), HashSet::new());
        for commit in find_commits(main, tips)? {
            let commit = main.find_commit(commit?).asked("read a commit")?;
            blobs_in(main, commit.tree_id(), name, &mut seen, &mut blobs)?;
        }
        self.contents(blobs)
    }

    fn main(&self) -> &Repository {
        self.repositories.last().expect("a clone has a repository")
    }

    fn contents(&self, blobs: BTreeSet<Oid>) -> Result<Vec<Vec<u8>>> {
        let read = |blob| -> std::result::Result<Vec<u8>, git2::Error> {
            Ok(self.main().find_blob(blob)?.content().to_vec())
        };
        let contents = blobs.into_iter().map(read);
        contents
            .collect::<std::result::Result<_, _>>()
            .asked("read a file of a commit")
    }
}

/// The files of a name in a tree and below. Trees that were seen are passed over: most of one
/// commit is that of the one before.
fn blobs_in(
    repository: &Repository,
    root: Oid,
    name: &str,
    seen: &mut HashSet<Oid>,
    blobs: &mut BTreeSet<Oid>,
) -> Result<()> {
    let mut todo = vec![root];
    while let Some(id) = todo.pop() {
        if !seen.insert(id) {
            continue;
        }
        let tree = repository.find_tree(id).asked("read a tree")?;
        for entry in &tree {
            match entry.kind() {
                Some(ObjectType::Tree) => todo.push(entry.id()),
                Some(ObjectType::Blob) if entry.name_bytes() == name.as_bytes() => {
                    blobs.insert(entry.id());
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Commits that acts which are not over (a rebase, a merge) will come back to.
fn unfinished(git_dir: &Path) -> Result<Vec<Oid>> {
    let mut tips = Vec::new();
    for name in UNFINISHED {
        let Some(bytes) = fs::read_if_exists(&git_dir.join(name)).map_err(Error::Fs)? else {
            continue;
        };
        let text = String::from_utf8_lossy(&bytes);
        let words = text.split_whitespace();
        tips.extend(words.filter_map(|word| Oid::from_str(word).ok()));
    }
    Ok(tips)
}

#[cfg(test)]
mod tests {
    use super::super::tests::Sandbox;
    use super::*;

    fn all(sandbox: &Sandbox) -> Vec<String> {
        let clone = Clone::open(sandbox.open().common_dir()).unwrap();
        let contents = [clone.staged("lock"), clone.committed("lock")];
        let contents = contents.into_iter().flat_map(Result::unwrap);
        let texts = contents.map(|bytes| String::from_utf8(bytes).unwrap());
        let texts: BTreeSet<String> = texts.collect();
        texts.into_iter().collect()
    }

    #[test]
    fn files_of_the_name_are_found_wherever_they_lay() {
        let sandbox = Sandbox::new();
        sandbox.write("lock", "top");
        sandbox.write("a/b/lock", "deep");
        sandbox.write("a/lock.txt", "no");
        sandbox.write("a/clock", "no");
        sandbox.commit("one");
        sandbox.git(&["rm", "-q", "-r", "a"]);
        sandbox.write("c/lock", "later");
        sandbox.commit("two");
        sandbox.write("d/lock", "staged");
        sandbox.git(&["add", "d"]);
        assert_eq!(all(&sandbox), ["deep", "later", "staged", "top"]);
    }

    #[test]
    fn a_worktree_whose_directory_is_gone_still_keeps_what_it_had() {
        let sandbox = Sandbox::new();
        sandbox.write("lock", "one");
        sandbox.commit("one");
        let tree = sandbox.outside().join("tree");
        sandbox.git(&["worktree", "add", "-q", "--detach", tree.to_str().unwrap()]);
        let git = |args: &[&str]| {
            let tree = ["-C", tree.to_str().unwrap()];
            sandbox.git(&[&tree[..], args].concat());
        };
        fs::replace(&tree.join("lock"), b"two").unwrap();
        git(&["commit", "-q", "-a", "-m", "two"]);
        fs::replace(&tree.join("lock"), b"three").unwrap();
        git(&["add", "lock"]);
        fs::remove_dir_all(&tree).unwrap();
        assert_eq!(all(&sandbox), ["one", "three", "two"]);
    }

    #[test]
    fn what_a_rebase_put_aside_is_kept() {
        let sandbox = Sandbox::new();
        sandbox.write("lock", "one");
        sandbox.commit("one");
        sandbox.write("lock", "aside");
        sandbox.git(&["stash", "-q"]);
        let stash = sandbox.git(&["rev-parse", "stash@{0}"]);
        sandbox.git(&["stash", "drop", "-q"]);
        assert_eq!(all(&sandbox), ["one"]);
        let dir = sandbox.open().common_dir().join("rebase-merge");
        fs::create_dir_all(&dir).unwrap();
        fs::write_new(&dir.join("autostash"), stash.as_bytes()).unwrap();
        assert_eq!(all(&sandbox), ["aside", "one"]);
    }
}
