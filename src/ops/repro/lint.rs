//! The classic mistakes in a stage, told after it ran.

use std::collections::BTreeSet;

use super::{Action, Repro, has_at_or_below};
use crate::ops::{Result, content, status};
use crate::path::{DepPath, RelPath};
use crate::pipeline::Stage;

/// Endings of files that are programs.
const SCRIPTS: [&str; 12] = [
    ".py", ".sh", ".bash", ".R", ".r", ".jl", ".ipynb", ".js", ".ts", ".pl", ".rb", ".sql",
];

/// Something that is probably not meant.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Warning {
    /// What.
    pub kind: WarningKind,
    /// The stage, if it is one's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// The path.
    pub path: String,
}

/// What is probably not meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WarningKind {
    /// A script that `cmd` names is not among `deps`.
    UndeclaredScript,
    /// Git tracks an output that the store keeps.
    OutInGit,
    /// Git ignores a dependency that nothing writes and nothing tracks.
    DepIgnored,
    /// It appeared while stages ran, and belongs to nobody.
    Stray,
}

impl Repro<'_> {
    /// Looks at the stages that were not fresh, and at what appeared meanwhile.
    pub(super) fn lint(&self, in_git: &BTreeSet<String>) -> Result<Vec<Warning>> {
        let mut warnings = Vec::new();
        for run in &self.report.stages {
            if matches!(run.action, Action::Ran | Action::Restored | Action::Failed) {
                self.lint_stage(&self.graph.stages()[&run.name], in_git, &mut warnings)?;
            }
        }
        let warning = |path| Warning {
            kind: WarningKind::Stray,
            stage: None,
            path,
        };
        warnings.extend(self.strays()?.into_iter().map(warning));
        Ok(warnings)
    }

    fn lint_stage(
        &self,
        stage: &Stage,
        in_git: &BTreeSet<String>,
        warnings: &mut Vec<Warning>,
    ) -> Result<()> {
        let mut warn = |kind, path: String| {
            warnings.push(Warning {
                kind,
                stage: Some(stage.name.clone()),
                path,
            });
        };
        for path in self.undeclared_scripts(stage) {
            warn(WarningKind::UndeclaredScript, path.to_string());
        }
        for path in &stage.outs {
            let name = self.site.repo_path(path.as_str()).unwrap_or_default();
            if stage.options(path).store && has_at_or_below(in_git, &name) {
                warn(WarningKind::OutInGit, path.to_string());
            }
        }
        let paths = stage.deps.iter().filter(|dep| !dep.is_pattern());
        for path in paths.filter_map(DepPath::inside) {
            let name = self.site.repo_path(path.as_str()).unwrap_or_default();
            let is_had = has_at_or_below(in_git, &name)
                || self.graph.is_written_at(&path)
                || !content::overlapping(&self.lock.data, &path).is_empty();
            if !is_had && self.site.git.is_ignored(&name)? {
                warn(WarningKind::DepIgnored, path.to_string());
            }
        }
        Ok(())
    }

    /// Files that the commands name and that are neither read nor written by declaration.
    fn undeclared_scripts(&self, stage: &Stage) -> BTreeSet<RelPath> {
        let root = &self.site.layout.root;
        let words = stage.spec.cmd.scripts().iter();
        let words = words.flat_map(|script| script.split(|c: char| !is_part_of_path(c)));
        let scripts = words.filter(|word| SCRIPTS.iter().any(|ending| word.ends_with(ending)));
        let paths = scripts.filter_map(|word| {
            RelPath::resolve(stage.spec.wdir.as_ref(), word)
                .ok()
                .flatten()
        });
        let declared = |path: &RelPath| {
            let mut deps = stage.deps.iter();
            deps.any(|dep| dep.touches(path)) || stage.outs.iter().any(|out| out.overlaps(path))
        };
        paths
            .filter(|path| !declared(path) && path.to_path(root).is_file())
            .collect()
    }

    /// What belongs to nobody and was not there when the first stage started. What compilers of
    /// Python leave beside their sources is no news to anybody.
    fn strays(&self) -> Result<Vec<String>> {
        let Some(around) = &self.circumstances else {
            return Ok(Vec::new());
        };
        let mut now = status::nobodys(self.site, &self.lock, self.graph)?;
        now.retain(|name| !around.nobodys.contains(name) && !name.ends_with("__pycache__/"));
        Ok(now)
    }
}

fn is_part_of_path(c: char) -> bool {
    c.is_alphanumeric() || "._/-+@".contains(c)
}
