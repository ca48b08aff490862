//! `commit`: adopts what is on disk as the record, without running anything.

use litemap::LiteMap;

use super::add::{Added, Work};
use super::content::{to_placed, to_recorded};
use super::facts::Observer;
use super::metrics::numbers_of;
use super::{Error, Result, Site, World, links};
use crate::path::RelPath;
use crate::pipeline::Graph;
use crate::project::Lock;
use crate::workspace::Placed;

/// What was adopted.
#[derive(Debug, Default, serde::Serialize)]
pub struct CommitReport {
    /// Stages whose inputs and outputs were recorded as they are.
    pub stages: Vec<String>,
    /// Tracked paths that were recorded as they are.
    pub paths: Vec<Added>,
}

/// Records targets as they are on disk: stages by name or output, and tracked paths.
pub fn commit(world: &World<'_>, targets: &[String]) -> Result<CommitReport> {
    let site = Site::open(world)?;
    let _guard = site.guard()?;
    let mut lock = site.lock()?;
    let graph = site.graph(&lock)?;
    let mut report = CommitReport::default();
    let mut work = Work {
        index: site.index(),
        placed: Placed::load(&site.layout.placed())?,
        site: &site,
        dry_run: false,
        files: Vec::new(),
        edited: Vec::new(),
    };
    for target in targets {
        if let Some(path) = tracked_path(&site, &lock, target) {
            report.paths.extend(work.add(&mut lock, &[path])?);
            let _ = work.index.save(&site.layout.index());
        } else {
            let stage = graph.target(target)?.name.clone();
            adopt(&site, &mut lock, &graph, &stage, &mut work)?;
            report.stages.push(stage);
        }
    }
    site.save(&lock)?;
    work.placed.save(&site.layout.placed())?;
    let mut index = site.index();
    if links::relink(&site, &mut index, &work.files)?.changed > 0 {
        let _ = index.save(&site.layout.index());
    }
    site.tend_store();
    Ok(report)
}

fn tracked_path(site: &Site<'_>, lock: &Lock, target: &str) -> Option<RelPath> {
    let path = site.path(target).ok()?;
    let held = lock.data.keys().any(|root| path.starts_with(root));
    held.then_some(path)
}

fn adopt(
    site: &Site<'_>,
    lock: &mut Lock,
    graph: &Graph,
    name: &str,
    work: &mut Work<'_>,
) -> Result<()> {
    let stage = graph.known(name);
    let mut observer = Observer::new(site, lock, graph);
    let (facts, missing) = observer.facts(stage)?;
    if let Some(missing) = missing.into_iter().next() {
        return Err(crate::pipeline::Error::MissingParam(Box::new(missing)).into());
    }
    if let Some((path, _)) = facts.deps.iter().find(|(_, hash)| hash.is_none()) {
        return Err(Error::NothingToCommit {
            stage: name.to_owned(),
            path: path.to_string(),
        });
    }
    let mut outs = LiteMap::new();
    for path in &stage.outs {
        let found = observer.take_out(stage, path)?.clone();
        let before = lock.stages.get(name);
        let before = before.and_then(|record| record.outs.get(path));
        let (whole, _) = work.complete(before, path, &found)?;
        let recorded = whole.or_else(|| to_recorded(&found));
        let recorded = recorded.ok_or_else(|| Error::NothingToCommit {
            stage: name.to_owned(),
            path: path.to_string(),
        })?;
        observer.write_nodes(path, &found)?;
        let is_stored = stage.options(path).store;
        match to_placed(&found).filter(|_| is_stored) {
            Some(item) => work.placed.paths.insert(path.clone(), item),
            None => work.placed.paths.remove(path),
        };
        if is_stored && site.store.shares_files() {
            work.files.extend(observer.entries(path)?);
        }
        outs.insert(path.clone(), recorded);
    }
    let metrics = numbers_of(&mut observer, &stage.outs)?;
    let mut record = stage.record(&facts, outs, metrics)?;
    record.adopted = true;
    observer.write_inputs(stage)?;
    lock.stages.insert(name.to_owned(), record);
    observer.save_index();
    Ok(())
}
