//! Where everything of a project lies.

use std::path::{Path, PathBuf};

use super::{Error, Result};

/// The name of what people write.
pub const MANIFEST: &str = "esker.toml";
/// The name of what esker writes.
pub const LOCK: &str = "esker.lock";

/// The name of the JSON Schema for editors, in `<git common dir>/esker`.
pub const SCHEMA: &str = "esker-toml.schema.json";

/// The directories of one project in one clone.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The project: where `esker.toml` lies.
    pub root: PathBuf,
    /// The top of git's working tree.
    pub workdir: PathBuf,
    /// `<git common dir>/esker`: shared by all worktrees.
    pub shared: PathBuf,
    /// `<git dir of the worktree>/esker/<project id>`.
    pub local: PathBuf,
}

impl Layout {
    /// The nearest directory at or above `from` that has an `esker.toml`, no higher than `top`.
    pub fn find_root(from: &Path, top: &Path) -> Result<PathBuf> {
        from.ancestors()
            .take_while(|dir| dir.starts_with(top))
            .find(|dir| dir.join(MANIFEST).is_file())
            .map(Path::to_path_buf)
            .ok_or(Error::NoProject)
    }
    /// The JSON Schema of `esker.toml`.
    pub fn schema(&self) -> PathBuf {
        self.shared.join(SCHEMA)
    }
    /// `esker.toml`.
    pub fn manifest(&self) -> PathBuf {
        self.root.join(MANIFEST)
    }
    /// `esker.lock`.
    pub fn lock(&self) -> PathBuf {
        self.root.join(LOCK)
    }
    /// The store, unless configured elsewhere.
    pub fn store(&self) -> PathBuf {
        self.shared.join("store")
    }
    /// The run cache.
    pub fn results(&self) -> PathBuf {
        self.shared.join("results")
    }
    /// Run records and logs.
    pub fn runs(&self) -> PathBuf {
        self.shared.join("runs")
    }
    /// Who is writing or reading what, in all worktrees of this clone.
    pub fn claims(&self) -> PathBuf {
        self.shared.join("claims")
    }
    /// Config of this clone.
    pub fn config(&self) -> PathBuf {
        self.shared.join("config.toml")
    }
    /// What is known of the stores behind remotes.
    pub fn probes(&self) -> PathBuf {
        self.shared.join("probes.json")
    }
    /// The stat index.
    pub fn index(&self) -> PathBuf {
        self.local.join("index")
    }
    /// What esker last put where.
    pub fn placed(&self) -> PathBuf {
        self.local.join("placed")
    }
    /// Bytes that were overwritten on demand or moved out of the way of a run.
    pub fn park(&self) -> PathBuf {
        self.local.join("park")
    }
    /// Packs under way.
    pub fn spool(&self) -> PathBuf {
        self.local.join("spool")
    }
    /// Temporary files.
    pub fn tmp(&self) -> PathBuf {
        self.local.join("tmp")
    }
    /// The lock file that guards writing this project's state.
    pub fn guard(&self) -> PathBuf {
        self.local.join("guard")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs;

    #[test]
    fn the_nearest_manifest_upward_is_the_project() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path();
        let deep = top.join("outer/inner/src");
        fs::create_dir_all(&deep).unwrap();
        assert!(matches!(
            Layout::find_root(&deep, top),
            Err(Error::NoProject)
        ));
        fs::write_new(&top.join("outer/esker.toml"), b"").unwrap();
        assert_eq!(Layout::find_root(&deep, top).unwrap(), top.join("outer"));
        fs::write_new(&top.join("outer/inner/esker.toml"), b"").unwrap();
        let inner = top.join("outer/inner");
        assert_eq!(Layout::find_root(&deep, top).unwrap(), inner);
        assert_eq!(Layout::find_root(&inner, top).unwrap(), inner);
    }

    #[test]
    fn a_manifest_above_the_top_of_git_is_not_seen() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("repository");
        fs::create_dir_all(&top.join("sub")).unwrap();
        fs::write_new(&dir.path().join("esker.toml"), b"").unwrap();
        let error = Layout::find_root(&top.join("sub"), &top).unwrap_err();
        assert!(error.to_string().starts_with("no `esker.toml` here"));
        // A directory of that name is no manifest either.
        fs::create_dir_all(&top.join("esker.toml")).unwrap();
        assert!(Layout::find_root(&top.join("sub"), &top).is_err());
    }

    #[test]
    fn people_see_two_files_and_the_rest_lies_with_git() {
        let layout = Layout {
            root: "/r/p".into(),
            workdir: "/r".into(),
            shared: "/r/.git/esker".into(),
            local: "/r/.git/worktrees/w/esker/id".into(),
        };
        for path in [layout.manifest(), layout.lock()] {
            assert_eq!(path.parent(), Some(Path::new("/r/p")));
        }
        let shared = [
            layout.store(),
            layout.results(),
            layout.runs(),
            layout.claims(),
            layout.config(),
        ];
        let local = [
            layout.index(),
            layout.placed(),
            layout.park(),
            layout.spool(),
            layout.tmp(),
            layout.guard(),
        ];
        assert!(
            shared
                .iter()
                .all(|path| path.parent() == Some(&layout.shared))
        );
        assert!(
            local
                .iter()
                .all(|path| path.parent() == Some(&layout.local))
        );
        let all: std::collections::BTreeSet<&PathBuf> = shared.iter().chain(&local).collect();
        assert_eq!(all.len(), shared.len() + local.len());
    }
}
