//! `check-ignore`: which line of which ignore file excludes a path.

use super::{Result, Site, World};
use crate::fs;
use crate::path::RelPath;
use crate::workspace::{IgnoreRule, IgnoreRules};

/// What was asked about.
#[derive(Debug, serde::Serialize)]
pub struct CheckIgnoreReport {
    /// In the order they were asked for.
    pub paths: Vec<CheckedPath>,
}

/// One path and what excludes it.
#[derive(Debug, serde::Serialize)]
pub struct CheckedPath {
    /// The path as it was typed.
    pub path: String,
    /// Whether anything does.
    pub ignored: bool,
    /// The rule that does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<RuleReport>,
}

/// A line of an ignore file.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RuleReport {
    /// The file, relative to the project.
    pub file: String,
    /// The line; 1 is the first.
    pub line: usize,
    /// What it says.
    pub pattern: String,
}

/// Looks every path up; none of them need be there.
pub fn check_ignore(world: &World<'_>, typed: &[String]) -> Result<CheckIgnoreReport> {
    let site = Site::open(world)?;
    let mut rules = IgnoreRules::new(&site.layout.root);
    let mut paths = Vec::new();
    for text in typed {
        let path = site.path(text)?;
        let is_dir = |stat: Option<fs::Metadata>| {
            text.ends_with('/') || stat.is_some_and(|stat| stat.is_dir())
        };
        let rule = rule(&site, &mut rules, &path, is_dir)?;
        paths.push(CheckedPath {
            path: text.clone(),
            ignored: rule.is_some(),
            rule,
        });
    }
    Ok(CheckIgnoreReport { paths })
}

/// The rule that excludes a path of the project from tracked data. `is_dir` says, of what is there,
/// whether the path counts as a directory.
pub(super) fn rule(
    site: &Site<'_>,
    rules: &mut IgnoreRules<'_>,
    path: &RelPath,
    is_dir: impl FnOnce(Option<fs::Metadata>) -> bool,
) -> Result<Option<RuleReport>> {
    let root = &site.layout.root;
    let is_dir = || Ok(is_dir(fs::metadata(&path.to_path(root))?));
    let rule = rules.excluding(path, is_dir)?;
    let report = |rule: IgnoreRule| {
        let file = rule.file.strip_prefix(root).unwrap_or(&rule.file);
        RuleReport {
            file: file.display().to_string(),
            line: rule.line,
            pattern: rule.pattern,
        }
    };
    Ok(rule.map(report))
}
