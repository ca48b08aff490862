//! What `.gitignore`, git's own `info/exclude`, `.eskerignore` and `.dvcignore` exclude.
//!
//! The rules that a person keeps for all their repositories (`core.excludesFile`) are left out:
//! they would make one person's dependency differ from another's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::fs::{self, Names};
use crate::path::RelPath;
use crate::workspace::Result;

const GIT_FILE: &str = ".gitignore";
const ESKER_FILE: &str = ".eskerignore";
/// Read for those who come from DVC; where both speak, `.eskerignore` decides.
const DVC_FILE: &str = ".dvcignore";

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
    file: PathBuf,
    rules: Gitignore,
    above: Layers,
}

/// The line that excludes a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IgnoreRule {
    /// The file it stands in.
    pub file: PathBuf,
    /// Its number; 1 is the first.
    pub line: usize,
    /// Its text.
    pub pattern: String,
}

/// The rules of `.eskerignore` and `.dvcignore` in a project, each file read once.
#[derive(Debug)]
pub struct IgnoreRules<'r> {
    root: &'r Path,
    /// What holds in each directory that was passed; `None` is the root.
    inside: BTreeMap<Option<RelPath>, Layers>,
}

impl<'r> IgnoreRules<'r> {
    /// Has read nothing yet.
    pub fn new(root: &'r Path) -> Self {
        let inside = BTreeMap::new();
        Self { root, inside }
    }

    /// The rule that excludes a path, or a directory above it. Nothing need be on disk there;
    /// `is_dir` is asked only if there are rules.
    pub fn excluding(
        &mut self,
        path: &RelPath,
        is_dir: impl FnOnce() -> fs::Result<bool>,
    ) -> Result<Option<IgnoreRule>> {
        let mut around: Vec<RelPath> = path.ancestors().collect();
        around.reverse();
        let mut inside = self.inside(None, None)?;
        for dir in around {
            if let Some(rule) = rule_of(&inside, &dir.to_path(self.root), true)? {
                return Ok(Some(rule));
            }
            inside = self.inside(Some(dir), inside)?;
        }
        match inside {
            None => Ok(None),
            some => Ok(rule_of(&some, &path.to_path(self.root), is_dir()?)?),
        }
    }

    fn inside(&mut self, dir: Option<RelPath>, around: Layers) -> fs::Result<Layers> {
        if let Some(known) = self.inside.get(&dir) {
            return Ok(known.clone());
        }
        let at = dir.as_ref().map(|dir| dir.to_path(self.root));
        let inside = enter_esker(around, at.as_deref().unwrap_or(self.root))?;
        self.inside.insert(dir, inside.clone());
        Ok(inside)
    }
}

fn rule_of(layers: &Layers, path: &Path, is_dir: bool) -> fs::Result<Option<IgnoreRule>> {
    let layers = std::iter::successors(layers.as_ref(), |layer| layer.above.as_ref());
    for layer in layers {
        match layer.rules.matched(path, is_dir) {
            Match::None => {}
            Match::Whitelist(_) => return Ok(None),
            Match::Ignore(glob) => {
                let bytes = fs::read_if_exists(&layer.file)?.unwrap_or_default();
                let text = String::from_utf8_lossy(&bytes);
                // Of two lines with one text, the last decides.
                let lines: Vec<&str> = rule_lines(&text).collect();
                let at = lines
                    .iter()
                    .rposition(|line| line.trim_end() == glob.original().trim_end());
                return Ok(Some(IgnoreRule {
                    file: layer.file.clone(),
                    line: at.map_or(0, |at| at + 1),
                    pattern: glob.original().to_owned(),
                }));
            }
        }
    }
    Ok(None)
}

impl Ignored {
    /// The rules that hold in a directory of the project, without those of its own files. git's
    /// begin at the top of the repository, esker's at the project.
    pub(super) fn above(root: &Path, dir: &RelPath) -> fs::Result<Self> {
        let mut ignored = Self::around(root)?.enter(root)?;
        let mut parents: Vec<RelPath> = dir.ancestors().collect();
        parents.reverse();
        for parent in parents {
            ignored = ignored.enter(&parent.to_path(root))?;
        }
        Ok(ignored)
    }

    /// The rules that hold in the directory of the project, without those of its own files.
    pub(super) fn around(root: &Path) -> fs::Result<Self> {
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
        Ok(ignored)
    }

    /// The rules inside a directory: those around it, and those of its own files.
    pub(super) fn enter(&self, dir: &Path) -> fs::Result<Self> {
        Ok(Self {
            git: add(self.git.clone(), dir, &dir.join(GIT_FILE))?,
            esker: enter_esker(self.esker.clone(), dir)?,
        })
    }

    /// The same for a directory whose names are known: most have no such file.
    pub(super) fn enter_listed(&self, dir: &Path, names: &Names) -> fs::Result<Self> {
        match [GIT_FILE, ESKER_FILE, DVC_FILE].map(|file| names.contains(file)) {
            [false, false, false] => Ok(self.clone()),
            _ => self.enter(dir),
        }
    }

    /// Whether there is any rule by which esker ignores.
    pub(super) fn esker_has_rules(&self) -> bool {
        self.esker.is_some()
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

fn enter_esker(around: Layers, dir: &Path) -> fs::Result<Layers> {
    let around = add(around, dir, &dir.join(DVC_FILE))?;
    add(around, dir, &dir.join(ESKER_FILE))
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
    for line in rule_lines(&text) {
        let _ = builder.add_line(None, line);
    }
    let file = file.to_path_buf();
    match builder.build() {
        Ok(rules) => Ok(Some(Arc::new(Layer { file, rules, above }))),
        Err(_) => Ok(above),
    }
}

fn rule_lines(text: &str) -> std::str::Lines<'_> {
    text.trim_start_matches('\u{feff}').lines()
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
