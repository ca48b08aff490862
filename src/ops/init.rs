//! `init`: makes a project of a directory in a git repository.

use std::path::Path;

use super::{Error, Result, World};
use crate::fs;
use crate::git::{self, Git};
use crate::hash::hex;
use crate::path::RelPath;
use crate::project::Manifest;
use crate::project::layout::{LOCK, MANIFEST, SCHEMA};

/// What `init` made.
#[derive(Debug, serde::Serialize)]
pub struct InitReport {
    /// The project's name.
    pub name: String,
    /// The branch it was made on.
    pub branch: Option<String>,
    /// Files written or changed, below the project.
    pub files: Vec<String>,
}

/// Writes `esker.toml`, and the line that lets two branches' ignore lists merge.
pub fn init(world: &World<'_>) -> Result<InitReport> {
    let git = Git::discover(&world.cwd)?;
    let root = world
        .cwd
        .canonicalize()
        .unwrap_or_else(|_| world.cwd.clone());
    let manifest = root.join(MANIFEST);
    if fs::metadata(&manifest)?.is_some() {
        return Err(Error::AlreadyAProject(root.display().to_string()));
    }
    let lock = root.join(LOCK);
    let lock = lock.strip_prefix(git.workdir()).unwrap_or(&lock);
    if git.is_ignored(&lock.to_string_lossy())? {
        return Err(Error::LockIgnored);
    }
    let name = root
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_else(|| "project".to_owned());
    let schema = schema_from(&git, &root);
    let text = Manifest::template(&new_id(), &name, schema.as_deref());
    fs::write_new(&manifest, text.as_bytes())?;
    keep_schema(&git.common_dir().join("esker").join(SCHEMA))?;
    let mut files = vec![MANIFEST.to_owned()];
    let attributes = root.join(".gitattributes");
    let old = fs::read_if_exists(&attributes)?.unwrap_or_default();
    let old = String::from_utf8_lossy(&old);
    let new = git::ensure_attribute(&old, ".gitignore merge=union");
    if new != old {
        fs::replace(&attributes, new.as_bytes())?;
        files.push(".gitattributes".to_owned());
    }
    Ok(InitReport {
        name,
        branch: git.branch(),
        files,
    })
}

/// The schema as it is called from the project. `None` in a linked worktree or a submodule, whose
/// `.git` is a file: no path that is true in every clone leads to the schema there.
fn schema_from(git: &Git, root: &Path) -> Option<String> {
    if git.common_dir() != git.workdir().join(".git") {
        return None;
    }
    let below = root.strip_prefix(git.workdir()).ok()?;
    let up = "../".repeat(below.components().count());
    Some(format!("./{up}.git/esker/{SCHEMA}"))
}

/// Puts this version's schema of `esker.toml` to a path, unless it is there. It is for editors alone.
pub(super) fn keep_schema(path: &Path) -> Result<()> {
    let text = Manifest::SCHEMA.as_bytes();
    if fs::read_if_exists(path)?.as_deref() != Some(text) {
        fs::replace(path, text)?;
    }
    Ok(())
}

/// Files of a project that are never data.
pub(super) fn is_own_file(path: &RelPath) -> bool {
    matches!(
        path.as_str(),
        MANIFEST | LOCK | ".gitignore" | ".gitattributes" | ".eskerignore" | ".dvcignore"
    )
}

fn new_id() -> String {
    hex(&fs::random_bytes::<16>())
}
