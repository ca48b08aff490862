//! Every project of a git repository: each `esker.toml` is one, with its own lock and graph.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{Error, Result, World};
use crate::git::Git;
use crate::project::layout::MANIFEST;
use crate::project::{self, Manifest};

/// A project of the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Its directory as git names it, `.` for the top.
    pub name: String,
    /// Its directory.
    pub root: PathBuf,
}

/// The projects of the repository that holds the current directory, by name. What git ignores is
/// not looked into, so that tracked data is not either.
pub fn projects(world: &World<'_>) -> Result<Vec<Project>> {
    let git = Git::discover(&world.cwd)?;
    let mut found = BTreeMap::new();
    for file in git.files_named(MANIFEST)? {
        let dir = file.strip_suffix(MANIFEST).unwrap_or(&file);
        let root = git.workdir().join(dir);
        if root.join(MANIFEST).is_file() {
            let name = match dir.trim_end_matches('/') {
                "" => ".",
                dir => dir,
            };
            found.insert(name.to_owned(), root);
        }
    }
    let found = found.into_iter().map(|(name, root)| Project { name, root });
    let found: Vec<Project> = found.collect();
    if found.is_empty() {
        return Err(project::Error::NoProject.into());
    }
    tell_apart(&found)?;
    Ok(found)
}

/// Projects of one id would share what this clone remembers of each. One that cannot be read is
/// left to the verb, which says why.
fn tell_apart(projects: &[Project]) -> Result<()> {
    let mut ids: BTreeMap<String, &Project> = BTreeMap::new();
    for project in projects {
        let Ok(manifest) = Manifest::load(&project.root.join(MANIFEST)) else {
            continue;
        };
        if let Some(first) = ids.insert(manifest.id, project) {
            return Err(Error::SameProject {
                first: first.name.clone(),
                second: project.name.clone(),
            });
        }
    }
    Ok(())
}
