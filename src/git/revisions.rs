//! Names of commits, and sets of them.

use std::collections::BTreeMap;

use git2::{ErrorCode, ObjectType, Oid, Reference, ReferenceType, Sort};

use super::{Asked, Error, Git, Result};

/// By time, but never a parent before its child.
const NEWEST_FIRST: Sort = Sort::TOPOLOGICAL.union(Sort::TIME);

/// A commit that a person named, or that a walk found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rev {
    /// What was typed (`HEAD`, `v0.1`); the commit itself when nobody named it.
    pub name: String,
    /// The commit, 40 (or 64) hex digits.
    pub commit: String,
}

impl Rev {
    /// The first 7 digits of the commit.
    pub fn short(&self) -> &str {
        self.commit.get(..7).unwrap_or(&self.commit)
    }
}

/// A set of commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Tips of all branches, local and remote-tracking.
    Branches,
    /// All tags.
    Tags,
    /// Everything reachable from any ref.
    All,
}

impl Git {
    /// The name of the branch that HEAD is on, born or not; `None` when detached.
    pub fn branch(&self) -> Option<String> {
        let head = self.repository.find_reference("HEAD").ok()?;
        let target = String::from_utf8_lossy(head.symbolic_target_bytes()?).into_owned();
        let name = target.strip_prefix("refs/heads/");
        Some(name.unwrap_or(&target).to_owned())
    }

    /// HEAD, if it has a commit.
    pub fn head(&self) -> Result<Option<Rev>> {
        let action = "read HEAD";
        match self.repository.head() {
            Ok(head) => {
                let commit = head.peel_to_commit().asked(action)?;
                Ok(Some(rev("HEAD", commit.id())))
            }
            Err(error) if is_unborn(&error) => Ok(None),
            Err(source) => Err(Error::Git { action, source }),
        }
    }

    /// The commit that a name stands for: a branch, a tag, a hash, `HEAD~2`, …; not a range.
    pub fn rev(&self, name: &str) -> Result<Rev> {
        // libgit2 reads `@{…}` but not git's short form of HEAD.
        let spec = match name.strip_prefix('@') {
            Some(rest) if !rest.starts_with('{') => format!("HEAD{rest}"),
            _ => name.to_owned(),
        };
        let found = self.repository.revparse_single(&spec);
        match found.and_then(|object| object.peel_to_commit()) {
            Ok(commit) => Ok(rev(name, commit.id())),
            Err(error) if is_unknown(&error) => Err(Error::UnknownRev(name.to_owned())),
            Err(source) => Err(Error::Git {
                action: "read the revision",
                source,
            }),
        }
    }

    /// The merge base of two commits; its name is its hash.
    pub fn merge_base(&self, a: &Rev, b: &Rev) -> Result<Option<Rev>> {
        match self.repository.merge_base(oid(a)?, oid(b)?) {
            Ok(base) => Ok(Some(nameless(base))),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(source) => Err(Error::Git {
                action: "find the merge base",
                source,
            }),
        }
    }

    /// Commits reachable from HEAD but from no remote-tracking branch, newest first. All of them
    /// when there is no remote-tracking branch. A shallow clone knows only those it has.
    pub fn unpublished(&self) -> Result<Vec<Rev>> {
        let Some(head) = self.head()? else {
            return Ok(Vec::new());
        };
        let published = self.commits_of("refs/remotes/*")?;
        self.walk(&[oid(&head)?], published.into_values(), NEWEST_FIRST)?
            .collect()
    }

    /// HEAD and all its ancestors, newest first, at most `limit`.
    pub fn ancestors(&self, limit: usize) -> Result<Vec<Rev>> {
        let Some(head) = self.head()? else {
            return Ok(Vec::new());
        };
        // Asked for any order but its own, libgit2 reads the whole history first.
        self.walk(&[oid(&head)?], [], Sort::NONE)?
            .take(limit)
            .collect()
    }

    /// All branch tips (local and remote-tracking), all tags, or all commits of any ref. Tips
    /// come by the name of their ref, one for each commit, all commits newest first.
    pub fn commits(&self, which: Which) -> Result<Vec<Rev>> {
        match which {
            Which::Branches => {
                let mut tips = self.commits_of("refs/heads/*")?;
                tips.extend(self.commits_of("refs/remotes/*")?);
                Ok(named(tips))
            }
            Which::Tags => Ok(named(self.commits_of("refs/tags/*")?)),
            Which::All => {
                let mut tips: Vec<Oid> = self.commits_of("refs/*")?.into_values().collect();
                if let Some(head) = self.head()? {
                    // Detached, it may stand where no ref does.
                    tips.push(oid(&head)?);
                }
                self.walk(&tips, [], NEWEST_FIRST)?.collect()
            }
        }
    }

    /// The commits that the refs of a glob point at, by the full name of the ref.
    fn commits_of(&self, glob: &str) -> Result<BTreeMap<String, Oid>> {
        let action = "list the refs";
        let mut commits = BTreeMap::new();
        for reference in self.repository.references_glob(glob).asked(action)? {
            let reference = reference.asked(action)?;
            if let Some(commit) = commit_of(&reference)? {
                let name = String::from_utf8_lossy(reference.name_bytes()).into_owned();
                commits.insert(name, commit);
            }
        }
        Ok(commits)
    }

    fn walk(
        &self,
        tips: &[Oid],
        hidden: impl IntoIterator<Item = Oid>,
        order: Sort,
    ) -> Result<impl Iterator<Item = Result<Rev>>> {
        let action = "walk the history";
        let mut walk = self.repository.revwalk().asked(action)?;
        walk.set_sorting(order).asked(action)?;
        for tip in tips {
            walk.push(*tip).asked(action)?;
        }
        for commit in hidden {
            walk.hide(commit).asked(action)?;
        }
        Ok(walk.map(move |found| found.map(nameless).asked(action)))
    }
}

/// The commit of a rev that this room made.
pub(super) fn oid(rev: &Rev) -> Result<Oid> {
    Oid::from_str(&rev.commit).map_err(|_| Error::UnknownRev(rev.name.clone()))
}

fn rev(name: &str, commit: Oid) -> Rev {
    Rev {
        name: name.to_owned(),
        commit: commit.to_string(),
    }
}

fn nameless(commit: Oid) -> Rev {
    rev(&commit.to_string(), commit)
}

/// Names each commit once, by the first of its refs.
fn named(tips: BTreeMap<String, Oid>) -> Vec<Rev> {
    let mut seen = std::collections::BTreeSet::new();
    let mut revs = Vec::new();
    for (name, commit) in tips {
        if seen.insert(commit) {
            revs.push(rev(short_name(&name), commit));
        }
    }
    revs
}

fn short_name(reference: &str) -> &str {
    ["refs/heads/", "refs/remotes/", "refs/tags/"]
        .iter()
        .find_map(|prefix| reference.strip_prefix(prefix))
        .unwrap_or(reference)
}

/// The commit behind a ref; `None` for a tag of something else, and for a symbolic ref whose
/// target is gone (`origin/HEAD` after the default branch was renamed).
fn commit_of(reference: &Reference<'_>) -> Result<Option<Oid>> {
    let action = "read a ref";
    let direct = match reference.resolve() {
        Ok(direct) => direct,
        Err(error)
            if error.code() == ErrorCode::NotFound
                && reference.kind() == Some(ReferenceType::Symbolic) =>
        {
            return Ok(None);
        }
        Err(source) => return Err(Error::Git { action, source }),
    };
    let object = direct.peel(ObjectType::Any).asked(action)?;
    Ok((object.kind() == Some(ObjectType::Commit)).then(|| object.id()))
}

fn is_unborn(error: &git2::Error) -> bool {
    matches!(error.code(), ErrorCode::UnbornBranch | ErrorCode::NotFound)
}

fn is_unknown(error: &git2::Error) -> bool {
    matches!(
        error.code(),
        ErrorCode::NotFound | ErrorCode::InvalidSpec | ErrorCode::Ambiguous | ErrorCode::Peel
    ) || error.class() == git2::ErrorClass::Invalid
}

#[cfg(test)]
mod tests;
