//! `lock --check` and `lock --resolve`: the record by itself, without data, store or network.

use std::collections::BTreeMap;
use std::mem::ManuallyDrop;

use super::facts::read_values;
use super::standing::standings;
use super::status::{ReasonReport, StageState, StageStatus};
use super::{Result, Site, Standing, World, content};
use crate::fs;
use crate::path::{DepPath, RelPath};
use crate::pipeline::{self, Facts, Graph, Stage};
use crate::project::layout::LOCK;
use crate::project::lock::{Resolved, Side};
use crate::project::{DepHash, Lock, Recorded, StageRecord};
use crate::value::Value;
use crate::workspace::{Found, Index, Passed, Scanner};

/// Whether the lock says what `esker.toml`, git's files and the params say.
#[derive(Debug, serde::Serialize)]
pub struct LockCheckReport {
    /// Whether it does.
    pub clean: bool,
    /// Stages that differ.
    pub stages: Vec<StageStatus>,
    /// Stages that the lock records and `esker.toml` no longer has.
    pub gone: Vec<String>,
    /// The remote that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
    /// Paths that it does not hold whole.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub missing: BTreeMap<RelPath, Standing>,
}

/// What came of settling merge conflicts.
#[derive(Debug, serde::Serialize)]
pub struct ResolveReport {
    /// Blocks that both sides changed, settled as asked.
    pub chosen: Vec<String>,
    /// Blocks that both sides changed and nobody chose for; then nothing was written.
    pub open: Vec<String>,
    /// Stages dropped, because git had merged lines of both sides into one block.
    pub mixed: Vec<String>,
}

/// Compares the lock with all that git holds. What is absent counts as recorded. A remote, if one is
/// named (an empty name is the default), must hold all that the lock names.
pub fn lock_check(world: &World<'_>, remote: Option<&str>) -> Result<LockCheckReport> {
    let (site, record) = Site::open_with_record(world)?;
    let lock = &record.lock;
    let graph = ManuallyDrop::new(site.graph(lock)?);
    let mut known = Known {
        site: &site,
        index: site.index(),
        stored: content::stored(lock),
        passed: Passed::default(),
        deps: BTreeMap::new(),
        params: BTreeMap::new(),
    };
    known.look_ahead(&graph);
    let mut stages = Vec::new();
    for stage in graph.in_order() {
        let record = lock.stages.get(&stage.name);
        let facts = known.facts(stage, record)?;
        let reasons = pipeline::assess(stage, &facts, record);
        let wrong: Vec<_> = reasons
            .iter()
            .filter(|reason| reason.kind != pipeline::ReasonKind::Always)
            .map(ReasonReport::from)
            .collect();
        if !wrong.is_empty() && !stage.spec.frozen {
            stages.push(StageStatus {
                state: match record {
                    Some(_) => StageState::Stale,
                    None => StageState::NeverRun,
                },
                adopted: record.is_some_and(|record| record.adopted),
                only_absent: false,
                reasons: wrong,
                name: stage.name.clone(),
            });
        }
    }
    let gone = lock
        .stages
        .keys()
        .filter(|name| !graph.stages().contains_key(*name));
    let gone: Vec<String> = gone.cloned().collect();
    let _ = known.index.save(&site.layout.index());
    let (remote, mut missing) = match remote {
        Some(name) => {
            let (name, standings) = standings(&site, name, lock)?;
            (Some(name), standings)
        }
        None => (None, BTreeMap::new()),
    };
    missing.retain(|_, standing| !standing.complete);
    Ok(LockCheckReport {
        clean: stages.is_empty() && gone.is_empty() && missing.is_empty(),
        remote,
        missing,
        stages,
        gone,
    })
}

/// Settles the conflict markers in the lock. The choice takes whole blocks, never parts of one.
pub fn lock_resolve(world: &World<'_>, choice: Option<Side>) -> Result<ResolveReport> {
    let site = Site::open(world)?;
    let _guard = site.guard_without_store()?;
    let Resolved {
        lock,
        chosen,
        open,
        mixed,
    } = settle(&site, choice)?;
    if open.is_empty() {
        site.save(&lock)?;
    }
    Ok(ResolveReport {
        chosen,
        open,
        mixed,
    })
}

/// Merges the three sides that git keeps of a lock in conflict; where git has none (a conflict
/// made by hand, or one that was staged already), works from the markers alone.
fn settle(site: &Site<'_>, choice: Option<Side>) -> Result<Resolved> {
    let path = site.repo_path(LOCK).unwrap_or_default();
    if let Some(conflict) = site.git.conflict(&path)? {
        let parse = |side: Option<Vec<u8>>| match side {
            Some(bytes) => Lock::from_bytes(&bytes),
            None => Ok(Lock::default()),
        };
        let (base, ours) = (parse(conflict.base)?, parse(conflict.ours)?);
        return Ok(Lock::merge(&base, &ours, &parse(conflict.theirs)?, choice));
    }
    let text = fs::read_if_exists(&site.layout.lock())?.unwrap_or_default();
    Ok(Lock::resolve(&String::from_utf8_lossy(&text), choice)?)
}

/// What is known without looking at data, each looked up once.
struct Known<'s> {
    site: &'s Site<'s>,
    index: Index,
    stored: BTreeMap<RelPath, &'s Recorded>,
    passed: Passed,
    /// Plain files that were read before they were asked for.
    deps: BTreeMap<DepPath, Found>,
    /// Values by file; `None` is a file that is not there.
    params: BTreeMap<DepPath, Option<Value>>,
}

impl Known<'_> {
    /// Reads the files of git that stages depend on together, as far as that pays.
    fn look_ahead(&mut self, graph: &Graph) {
        let deps = graph.stages().values().flat_map(|stage| &stage.deps);
        let of_git = deps.filter(|dep| content::touched(&self.stored, dep).is_empty());
        let mut scanner = Scanner {
            passed: Some(&mut self.passed),
            ..self.site.scanner(&mut self.index)
        };
        self.deps = scanner.scan_ahead(of_git);
    }

    fn facts(&mut self, stage: &Stage, record: Option<&StageRecord>) -> Result<Facts> {
        let mut facts = Facts::default();
        for path in &stage.deps {
            let hash = self.dep_hash(path, record)?;
            facts.deps.insert(path.clone(), hash);
        }
        for path in &stage.outs {
            let recorded = record.and_then(|record| record.outs.get(path));
            facts.outs.insert(path.clone(), recorded.cloned());
        }
        let defaults = &self.site.manifest.params;
        let params = &stage.spec.params;
        let mut files = BTreeMap::new();
        for file in params.iter().filter_map(|param| param.file.as_ref()) {
            files.extend(self.values(file)?);
        }
        if params.iter().any(|param| param.file.is_none()) {
            for file in defaults {
                files.extend(self.values(file)?);
            }
        }
        facts.params = pipeline::collect_params(stage, defaults, &files).0;
        Ok(facts)
    }

    fn values(&mut self, file: &DepPath) -> Result<Option<(DepPath, Value)>> {
        if !self.params.contains_key(file) {
            let values = read_values(self.site, file)?;
            self.params.insert(file.clone(), values);
        }
        let values = self.params[file].clone();
        Ok(values.map(|values| (file.clone(), values)))
    }

    /// What a dependency is, without looking at data: what esker stores counts as its own block
    /// records it, a file of git as it is on disk.
    fn dep_hash(
        &mut self,
        path: &DepPath,
        record: Option<&StageRecord>,
    ) -> Result<Option<DepHash>> {
        let recorded = || record.and_then(|record| record.deps.get(path)).cloned();
        let inside = path.inside();
        if let Some(source) = inside.and_then(|inside| self.stored.get(&inside)) {
            return Ok(Some(content::dep_hash(source)));
        }
        if !content::touched(&self.stored, path).is_empty() {
            return Ok(recorded());
        }
        if let Some(found) = self.deps.get(path) {
            return Ok(content::to_dep_hash(found));
        }
        let mut scanner = Scanner {
            passed: Some(&mut self.passed),
            ..self.site.scanner(&mut self.index)
        };
        let found = scanner.scan_dep(path, &[])?;
        Ok(content::to_dep_hash(&found).or_else(recorded))
    }
}
