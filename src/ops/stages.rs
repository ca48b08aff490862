//! `stage list`: the stages as written. `stage add`: one more of them.

use super::{Error, Result, Site, World};
use crate::fs;
use crate::path::{Patterns, RelPath};
use crate::project::Manifest;
use crate::project::manifest::{self, OutDraft, StageDraft, split_param};

/// All stages.
#[derive(Debug, serde::Serialize)]
pub struct StagesReport {
    /// In the order they would run.
    pub stages: Vec<StageEntry>,
}

/// One stage.
#[derive(Debug, serde::Serialize)]
pub struct StageEntry {
    /// Its name.
    pub name: String,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desc: Option<String>,
    /// Its commands.
    pub cmd: Vec<String>,
    /// What it reads.
    pub deps: Vec<String>,
    /// What it writes.
    pub outs: Vec<String>,
    /// Whether it is left alone.
    pub frozen: bool,
}

/// Lists the stages, each after all it needs.
pub fn stage_list(world: &World<'_>) -> Result<StagesReport> {
    let site = Site::open(world)?;
    let graph = site.graph(&site.lock()?)?;
    let stages = graph.in_order().map(|stage| StageEntry {
        name: stage.name.clone(),
        desc: stage.spec.desc.clone(),
        cmd: stage.spec.cmd.scripts().to_vec(),
        deps: stage.deps.iter().map(ToString::to_string).collect(),
        outs: stage.outs.iter().map(ToString::to_string).collect(),
        frozen: stage.spec.frozen,
    });
    Ok(StagesReport {
        stages: stages.collect(),
    })
}

/// What was written into `esker.toml`.
#[derive(Debug, serde::Serialize)]
pub struct StageAdded {
    /// The stage.
    pub name: String,
    /// Whether it took the place of another.
    pub replaced: bool,
    /// Its command.
    pub cmd: String,
    /// What it reads, as written.
    pub deps: Vec<String>,
    /// The params it reads, as written.
    pub params: Vec<String>,
    /// What it writes.
    pub outs: Vec<String>,
    /// Files that are new among those of `[metrics]`.
    pub metrics: Vec<String>,
}

/// Writes a stage into `esker.toml`, if the file then makes sense; an existing one only if it is to
/// be replaced. Paths are as they were typed here. `metrics` are outputs too.
pub fn stage_add(
    world: &World<'_>,
    name: &str,
    typed: &StageDraft,
    metrics: &[OutDraft],
    replace: bool,
) -> Result<StageAdded> {
    let mut site = Site::open(world)?;
    let replaced = site.manifest.stages.contains_key(name);
    if replaced && !replace {
        return Err(Error::StageExists(name.to_owned()));
    }
    let mut draft = from_root(&site, typed)?;
    let files = add_metrics(&site, &mut draft, metrics)?;
    let path = site.layout.manifest();
    let old = String::from_utf8_lossy(&fs::read(&path)?).into_owned();
    let new = manifest::with_stage(&old, name, &draft, &files).map_err(not_written)?;
    site.manifest = Manifest::parse(&new)?;
    site.graph(&site.lock()?).map_err(not_written)?;
    fs::replace(&path, new.as_bytes())?;
    Ok(StageAdded {
        name: name.to_owned(),
        replaced,
        cmd: draft.cmd,
        deps: draft.deps,
        params: draft.params,
        outs: draft.outs.into_iter().map(|out| out.path).collect(),
        metrics: files,
    })
}

fn not_written(error: impl Into<Error>) -> Error {
    Error::StageNotWritten(Box::new(error.into()))
}

/// The draft with all paths as `esker.toml` names them.
fn from_root(site: &Site<'_>, typed: &StageDraft) -> Result<StageDraft> {
    let mut draft = typed.clone();
    for dep in &mut draft.deps {
        *dep = path_from_root(site, dep)?;
    }
    for out in &mut draft.outs {
        out.path = path_from_root(site, &out.path)?;
    }
    if let Some(wdir) = &mut draft.wdir {
        *wdir = path_from_root(site, wdir)?;
    }
    draft.params.clear();
    for text in &typed.params {
        draft.params.extend(params_from_root(site, text)?);
    }
    Ok(draft)
}

/// Makes outputs of metrics files, but for those inside an output. Yields those that `[metrics]`
/// does not name yet.
fn add_metrics(
    site: &Site<'_>,
    draft: &mut StageDraft,
    metrics: &[OutDraft],
) -> Result<Vec<String>> {
    let known = Patterns::new(site.manifest.metrics.iter().map(String::as_str))?;
    let mut new = Vec::new();
    for file in metrics {
        let path = path_from_root(site, &file.path)?;
        let parsed = RelPath::parse(&path)?;
        let holds = |out: &OutDraft| {
            let out = RelPath::parse(out.path.trim_end_matches('/'));
            out.is_ok_and(|out| parsed.starts_with(&out))
        };
        if !draft.outs.iter().any(holds) {
            draft.outs.push(OutDraft {
                path: path.clone(),
                ..file.clone()
            });
        }
        if !known.matches(&parsed) && !new.contains(&path) {
            new.push(path);
        }
    }
    Ok(new)
}

/// A path that was typed in the current directory as it is called from the project's root. What
/// begins with `@` or an expression is no path of this directory.
fn path_from_root(site: &Site<'_>, typed: &str) -> Result<String> {
    if typed.starts_with('@') || typed.starts_with(manifest::OPENING) {
        return Ok(typed.to_owned());
    }
    if typed.starts_with('/') {
        return Ok(site.path(typed)?.to_string());
    }
    let within = site.within.iter().flat_map(RelPath::components);
    let (mut parts, mut climbed): (Vec<&str>, usize) = (within.collect(), 0);
    for part in typed.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.pop().is_none() => climbed += 1,
            ".." => {}
            part => parts.push(part),
        }
    }
    let path = [vec![".."; climbed], parts].concat().join("/");
    Ok(match path.chars().next() {
        None => ".".to_owned(),
        Some('@') => format!("./{path}"),
        Some(_) => path,
    })
}

/// `lr,momentum` and `conf/a.yaml:lr,momentum` are two params each, `conf/a.yaml:` is all of them.
fn params_from_root(site: &Site<'_>, typed: &str) -> Result<Vec<String>> {
    let (file, keys) = split_param(typed);
    let file = match file {
        Some(file) => format!("{}:", path_from_root(site, file)?),
        None => String::new(),
    };
    if keys.is_empty() {
        return Ok(vec![format!("{file}*")]);
    }
    let keys = if keys.contains('"') {
        vec![keys]
    } else {
        keys.split(',').collect()
    };
    Ok(keys.iter().map(|key| format!("{file}{key}")).collect())
}
