//! Everything that this clone has not forgotten: what any ref, reflog, stash, worktree or index
//! leads to. Garbage is what none of it needs.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::process::{Command, Stdio};

use git2::{Oid, Repository, Sort};

use super::{Asked, Git, Result};

/// What this clone remembers of one file.
#[derive(Debug, Default)]
pub struct Remembered {
    commits: HashSet<Oid>,
    /// The distinct contents of the file, in all commits and indexes.
    pub contents: Vec<Vec<u8>>,
}

/// Why a clone cannot tell which commits nobody needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blind {
    /// Its history is cut off.
    Shallow,
    /// It fetches some branches only.
    SomeBranches,
    /// Its remotes could not be asked for what is new.
    FetchFailed,
}

impl Remembered {
    /// Whether a commit, in hexadecimal digits, is reachable.
    pub fn reaches(&self, commit: &str) -> bool {
        Oid::from_str(commit).is_ok_and(|commit| self.commits.contains(&commit))
    }
}

impl Git {
    /// Walks everything that is not forgotten, and collects the versions of a file (its path from
    /// the top of the working tree).
    pub fn remembered(&self, path: &str) -> Result<Remembered> {
        let mut remembered = Remembered::default();
        let mut blobs = BTreeSet::new();
        let mut tips = BTreeSet::new();
        for repository in with_worktrees(&self.common_dir)? {
            tips.extend(tips_of(&repository)?);
            let index = repository.index().asked("read an index")?;
            // Stages above 0 are the sides of a conflict.
            let staged = (0..4).filter_map(|stage| index.get_path(Path::new(path), stage));
            blobs.extend(staged.map(|entry| entry.id));
        }
        for commit in find_commits(&self.repository, tips)? {
            let commit = commit?;
            remembered.commits.insert(commit);
            blobs.extend(self.blob_in(commit, path)?);
        }
        for blob in blobs {
            let blob = self
                .repository
                .find_blob(blob)
                .asked("read a file of a commit")?;
            remembered.contents.push(blob.content().to_vec());
        }
        Ok(remembered)
    }

    /// Whether a commit, in hexadecimal digits, is in this clone at all.
    pub fn has_commit(&self, commit: &str) -> bool {
        Oid::from_str(commit).is_ok_and(|commit| self.repository.find_commit(commit).is_ok())
    }

    /// Asks all remotes for what is new, so that what others keep is known here; then says what
    /// this clone does not see. The `git` program does it, with the credentials it has.
    pub fn look_around(&self) -> Result<Option<Blind>> {
        if self.repository.is_shallow() {
            return Ok(Some(Blind::Shallow));
        }
        let action = "list the remotes";
        let names = self.repository.remotes().asked(action)?;
        let names: Vec<&str> = names.iter().flatten().flatten().collect();
        for name in &names {
            let remote = self.repository.find_remote(name).asked(action)?;
            let all = remote.refspecs().any(|spec| {
                spec.direction() == git2::Direction::Fetch
                    && spec.src().is_ok_and(|source| source == "refs/heads/*")
            });
            if !all {
                return Ok(Some(Blind::SomeBranches));
            }
        }
        if names.is_empty() || self.fetch_all() {
            return Ok(None);
        }
        Ok(Some(Blind::FetchFailed))
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the room that may call git for its transport"
    )]
    fn fetch_all(&self) -> bool {
        let status = Command::new("git")
            .args(["fetch", "--all", "--quiet", "--no-auto-maintenance"])
            .current_dir(&self.workdir)
            .env("GIT_TERMINAL_PROMPT", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    }
}

/// The repository of each worktree of a clone, that of the clone itself last. A worktree whose
/// directory is gone counts until git prunes it.
pub(super) fn with_worktrees(common_dir: &Path) -> Result<Vec<Repository>> {
    let action = "open a worktree";
    let main = Repository::open(common_dir).map_err(|source| super::refused(common_dir, source))?;
    let names = main.worktrees().asked(action)?;
    let mut repositories = Vec::new();
    for name in names.iter().flatten().flatten() {
        let git_dir = common_dir.join("worktrees").join(name);
        repositories.push(Repository::open(&git_dir).asked(action)?);
    }
    repositories.push(main);
    Ok(repositories)
}

/// All commits that some tips lead to. One that is gone leads nowhere: a reflog may name what has
/// been pruned.
pub(super) fn find_commits<'r>(
    repository: &'r Repository,
    tips: BTreeSet<Oid>,
) -> Result<impl Iterator<Item = Result<Oid>> + 'r> {
    let action = "walk the history";
    let mut walk = repository.revwalk().asked(action)?;
    walk.set_sorting(Sort::NONE).asked(action)?;
    for tip in tips {
        if repository.find_commit(tip).is_ok() {
            walk.push(tip).asked(action)?;
        }
    }
    Ok(walk.map(move |commit| commit.asked(action)))
}

/// The commits that refs, HEAD and all reflogs name.
pub(super) fn tips_of(repository: &Repository) -> Result<Vec<Oid>> {
    let action = "list the refs";
    let mut tips = Vec::new();
    let mut names = vec!["HEAD".to_owned()];
    for reference in repository.references().asked(action)? {
        let reference = reference.asked(action)?;
        // What is no commit (a tag of a file) leads to none.
        tips.extend(reference.peel_to_commit().map(|commit| commit.id()));
        names.push(String::from_utf8_lossy(reference.name_bytes()).into_owned());
    }
    // Unborn, or detached where no ref is.
    tips.extend(
        repository
            .head()
            .and_then(|head| head.peel_to_commit())
            .map(|commit| commit.id()),
    );
    for name in names {
        let Ok(reflog) = repository.reflog(&name) else {
            continue;
        };
        tips.extend(
            reflog
                .iter()
                .flat_map(|entry| [entry.id_old(), entry.id_new()]),
        );
    }
    tips.retain(|tip| !tip.is_zero());
    Ok(tips)
}

#[cfg(test)]
mod tests {
    use super::super::tests::Sandbox;
    use super::*;

    fn contents(git: &Git) -> Vec<String> {
        let remembered = git.remembered("lock").unwrap();
        let texts = remembered.contents.into_iter();
        let mut texts: Vec<_> = texts
            .map(|bytes| String::from_utf8(bytes).unwrap())
            .collect();
        texts.sort();
        texts
    }

    #[test]
    fn what_anything_leads_to_is_remembered_until_nothing_does() {
        let sandbox = Sandbox::new();
        sandbox.write("lock", "one");
        sandbox.commit("one");
        sandbox.git(&["switch", "-q", "-c", "side"]);
        sandbox.write("lock", "two");
        let two = sandbox.commit("two");
        sandbox.git(&["switch", "-q", "main"]);
        let git = sandbox.open();
        assert_eq!(contents(&git), ["one", "two"]);

        sandbox.git(&["branch", "-q", "-D", "side"]);
        assert!(
            git.remembered("lock").unwrap().reaches(&two),
            "by the reflog of HEAD"
        );
        let tree = sandbox.outside().join("tree");
        let tree = tree.to_str().unwrap();
        sandbox.git(&["worktree", "add", "-q", "--detach", tree, &two]);
        sandbox.git(&["reflog", "expire", "--expire=all", "--all"]);
        assert_eq!(contents(&git), ["one", "two"], "by another worktree");
        sandbox.git(&["worktree", "remove", "--force", tree]);
        assert_eq!(contents(&git), ["one"]);
        assert!(git.has_commit(&two) && !git.remembered("lock").unwrap().reaches(&two));
        assert!(!git.has_commit(&"0".repeat(40)));

        sandbox.write("lock", "staged");
        sandbox.git(&["add", "lock"]);
        assert_eq!(contents(&sandbox.open()), ["one", "staged"]);
        sandbox.git(&["stash", "-q"]);
        assert_eq!(contents(&sandbox.open()), ["one", "staged"], "by the stash");
        sandbox.git(&["stash", "drop", "-q"]);
        assert_eq!(contents(&sandbox.open()), ["one"]);
    }

    #[test]
    fn a_clone_knows_what_it_does_not_see() {
        let sandbox = Sandbox::new();
        sandbox.write("lock", "one");
        sandbox.commit("one");
        sandbox.commit("two");
        assert_eq!(sandbox.open().look_around().unwrap(), None, "no remotes");
        let url = format!("file://{}", sandbox.root().display());
        let clone = |name: &str, options: &[&str]| {
            let to = sandbox.outside().join(name);
            let mut arguments = vec!["clone", "-q"];
            arguments.extend(options);
            arguments.extend([url.as_str(), to.to_str().unwrap()]);
            sandbox.git(&arguments);
            Git::discover(&to).unwrap()
        };
        assert_eq!(clone("whole", &[]).look_around().unwrap(), None);
        let shallow = clone("shallow", &["--depth", "1", "--no-single-branch"]);
        assert_eq!(shallow.look_around().unwrap(), Some(Blind::Shallow));
        let single = clone("single", &["--single-branch"]);
        assert_eq!(single.look_around().unwrap(), Some(Blind::SomeBranches));
        let lost = clone("lost", &[]);
        fs_rename(&sandbox);
        assert_eq!(lost.look_around().unwrap(), Some(Blind::FetchFailed));
    }

    fn fs_rename(sandbox: &Sandbox) {
        let away = sandbox.outside().join("away");
        crate::fs::rename(&sandbox.root(), &away).unwrap();
    }
}
