//! `lock --check` and `lock --resolve`: the record by itself, without data, store or network.

use super::facts::read_values;
use super::status::{ReasonReport, StageState, StageStatus};
use super::{Result, Site, World, content};
use crate::fs;
use crate::path::DepPath;
use crate::pipeline::{self, Facts, Stage};
use crate::project::layout::LOCK;
use crate::project::lock::{Resolved, Side};
use crate::project::{DepHash, Lock, StageRecord};
use crate::workspace::Index;

/// Whether the lock says what `esker.toml`, git's files and the params say.
#[derive(Debug, serde::Serialize)]
pub struct LockCheckReport {
    /// Whether it does.
    pub clean: bool,
    /// Stages that differ.
    pub stages: Vec<StageStatus>,
    /// Stages that the lock records and `esker.toml` no longer has.
    pub gone: Vec<String>,
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

/// Compares the lock with all that git holds. What is absent counts as recorded.
pub fn lock_check(world: &World<'_>) -> Result<LockCheckReport> {
    let site = Site::open(world)?;
    let lock = site.lock()?;
    let graph = site.graph(&lock)?;
    let mut index = site.index();
    let mut stages = Vec::new();
    for name in graph.order() {
        let stage = &graph.stages()[&name];
        let record = lock.stages.get(&name);
        let facts = facts(&site, &mut index, &lock, stage, record)?;
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
                name,
            });
        }
    }
    let gone = lock
        .stages
        .keys()
        .filter(|name| !graph.stages().contains_key(*name));
    let gone: Vec<String> = gone.cloned().collect();
    let _ = index.save(&site.layout.index());
    Ok(LockCheckReport {
        clean: stages.is_empty() && gone.is_empty(),
        stages,
        gone,
    })
}

/// Settles the conflict markers in the lock. The choice takes whole blocks, never parts of one.
pub fn lock_resolve(world: &World<'_>, choice: Option<Side>) -> Result<ResolveReport> {
    let site = Site::open(world)?;
    let _guard = site.guard_record()?;
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

fn facts(
    site: &Site<'_>,
    index: &mut Index,
    lock: &Lock,
    stage: &Stage,
    record: Option<&StageRecord>,
) -> Result<Facts> {
    let mut facts = Facts::default();
    for path in &stage.deps {
        let hash = dep_hash(site, index, lock, path, record)?;
        facts.deps.insert(path.clone(), hash);
    }
    for path in &stage.outs {
        let recorded = record.and_then(|record| record.outs.get(path));
        facts.outs.insert(path.clone(), recorded.cloned());
    }
    let defaults = &site.manifest.params;
    let named = stage
        .spec
        .params
        .iter()
        .filter_map(|param| param.file.as_ref());
    let mut files = std::collections::BTreeMap::new();
    for file in named.chain(defaults) {
        if let Some(value) = read_values(site, file)? {
            files.insert(file.clone(), value);
        }
    }
    facts.params = pipeline::collect_params(stage, defaults, &files).0;
    Ok(facts)
}

/// What a dependency is, without looking at data: what esker stores counts as its own block
/// records it, a file of git as it is on disk.
fn dep_hash(
    site: &Site<'_>,
    index: &mut Index,
    lock: &Lock,
    path: &DepPath,
    record: Option<&StageRecord>,
) -> Result<Option<DepHash>> {
    let recorded = || record.and_then(|record| record.deps.get(path)).cloned();
    if path.is_pattern() {
        let stored = content::stored(lock);
        if stored.keys().any(|root| path.touches(root)) {
            return Ok(recorded());
        }
    } else if let Some(inside) = path.inside() {
        let stored = content::stored(lock);
        if let Some(source) = stored.get(&inside) {
            return Ok(Some(content::dep_hash(source)));
        }
        if stored.keys().any(|root| root.overlaps(&inside)) {
            return Ok(recorded());
        }
    }
    let found = site.scanner(index).scan_dep(path, &[])?;
    Ok(content::to_dep_hash(&found).or_else(recorded))
}
