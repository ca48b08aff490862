//! What `.gitignore`, git's own `info/exclude` and `.eskerignore` exclude.
//!
//! The rules that a person keeps for all their repositories (`core.excludesFile`) are left out:
//! they would make one person's dependency differ from another's.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::fs;
use crate::path::RelPath;

const GIT_FILE: &str = ".gitignore";
const ESKER_FILE: &str = ".eskerignore";

/// All rules that hold in one directory.
#[derive(Clone, Debug, Default)]
pub(super) struct Ignored {
    git: Layers,
    esker: Layers,
}

/// Rule files, innermost first: the first that has something to say decides.
type Layers = Option<Arc<Layer>>;

#[derive(Debug)]
struct Layer {
    rules: Gitignore,
    above: Layers,
}

impl Ignored {
    /// The rules that hold in a directory of the project, without those of its own files. git's
    /// begin at the top of the repository, esker's at the project.
    pub(super) fn above(root: &Path, dir: &RelPath) -> fs::Result<Self> {
        let mut ignored = Self::default();
        let top = repository_top(root);
        if let Some(top) = top {
            ignored.git = add(None, top, &exclude_file(top))?;
            let mut outer: Vec<&Path> = root.ancestors().skip(1).collect();
            outer.retain(|dir| dir.starts_with(top));
            for dir in outer.into_iter().rev() {
                ignored.git = add(ignored.git, dir, &dir.join(GIT_FILE))?;
            }
        }
        let mut ignored = ignored.enter(root)?;
        let mut parents: Vec<RelPath> = dir.ancestors().collect();
        parents.reverse();
        for parent in parents {
            ignored = ignored.enter(&parent.to_path(root))?;
        }
        Ok(ignored)
    }

    /// The rules inside a directory: those around it, and those of its own files.
    pub(super) fn enter(&self, dir: &Path) -> fs::Result<Self> {
        Ok(Self {
            git: add(self.git.clone(), dir, &dir.join(GIT_FILE))?,
            esker: add(self.esker.clone(), dir, &dir.join(ESKER_FILE))?,
        })
    }

    /// Whether git ignores a path in this directory.
    pub(super) fn by_git(&self, path: &Path, is_dir: bool) -> bool {
        decide(&self.git, path, is_dir)
    }

    /// Whether esker ignores a path in this directory.
    pub(super) fn by_esker(&self, path: &Path, is_dir: bool) -> bool {
        decide(&self.esker, path, is_dir)
    }
}

/// The nearest directory at or above that holds a `.git`.
pub(super) fn repository_top(root: &Path) -> Option<&Path> {
    root.ancestors().find(|dir| dir.join(".git").exists())
}

fn decide(layers: &Layers, path: &Path, is_dir: bool) -> bool {
    let layers = std::iter::successors(layers.as_ref(), |layer| layer.above.as_ref());
    layers
        .map(|layer| layer.rules.matched(path, is_dir))
        .find(|decision| !decision.is_none())
        .is_some_and(|decision| decision.is_ignore())
}

/// Puts the rules of a file, if it is one, over others. A line that is no pattern is passed
/// over, as git does.
fn add(above: Layers, dir: &Path, file: &Path) -> fs::Result<Layers> {
    if !fs::metadata(file)?.is_some_and(|stat| stat.is_file()) {
        return Ok(above);
    }
    let Some(bytes) = fs::read_if_exists(file)? else {
        return Ok(above);
    };
    let text = String::from_utf8_lossy(&bytes);
    let mut builder = GitignoreBuilder::new(dir);
    for line in text.trim_start_matches('\u{feff}').lines() {
        let _ = builder.add_line(None, line);
    }
    match builder.build() {
        Ok(rules) => Ok(Some(Arc::new(Layer { rules, above }))),
        Err(_) => Ok(above),
    }
}

/// Where git keeps the excludes of one clone; in a worktree, `.git` is a file that says where
/// git's directory is, and `commondir` in there says where the shared one is.
fn exclude_file(top: &Path) -> PathBuf {
    let mut git_dir = top.join(".git");
    if let Some(text) = read_line(&git_dir) {
        git_dir = top.join(text.strip_prefix("gitdir:").unwrap_or_default().trim());
    }
    if let Some(text) = read_line(&git_dir.join("commondir")) {
        git_dir = git_dir.join(text.trim());
    }
    git_dir.join("info/exclude")
}

fn read_line(file: &Path) -> Option<String> {
    let is_file = file.metadata().is_ok_and(|stat| stat.is_file());
    let bytes = is_file.then(|| fs::read(file).ok()).flatten()?;
    let text = String::from_utf8(bytes).ok()?;
    Some(text.lines().next().unwrap_or_default().to_owned())
}
