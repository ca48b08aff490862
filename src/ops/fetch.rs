//! `fetch` and `pull`: bring what a lock needs, and put it in place.

use std::collections::BTreeSet;

use super::checkout::{CheckoutReport, switch};
use super::content::Missing;
use super::push::{TransferOptions, commits, connect, is_zero, jobs, roots};
use super::routes::{Destination, Routes, is_asked_for};
use super::shared::Shared;
use super::{Result, Site, World};
use crate::hash::RunKey;
use crate::path::RelPath;
use crate::project::{Lock, StageRecord};
use crate::remote::Root;

/// What came.
#[derive(Debug, serde::Serialize)]
pub struct FetchReport {
    /// The remote's name.
    pub remote: String,
    /// Files that came.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that came.
    pub objects: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// What the remote does not have.
    pub missing: Vec<Missing>,
    /// Objects of the remote that are not what they should be; nothing of them was taken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<Damaged>,
    /// Results of the run cache that came, if they are shared.
    #[serde(skip_serializing_if = "is_zero")]
    pub results: u64,
    /// What came from remotes that some paths have of their own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<FetchReport>,
}

/// A bad object of a remote.
#[derive(Debug, serde::Serialize)]
pub struct Damaged {
    /// Its key.
    pub object: String,
    /// What is wrong with it.
    pub reason: String,
}

/// What came, and what was put in place.
#[derive(Debug, serde::Serialize)]
pub struct PullReport {
    /// What came.
    #[serde(flatten)]
    pub fetched: FetchReport,
    /// What was put in place.
    pub checkout: CheckoutReport,
}

impl FetchReport {
    /// What came from each remote.
    pub fn each(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.others)
    }

    /// Whether the remotes had all of it.
    pub fn is_whole(&self) -> bool {
        self.each().all(|report| report.missing.is_empty())
    }
}

/// Brings what the workspace's lock (or those of the commits asked for) needs into the store.
pub fn fetch(
    world: &World<'_>,
    paths: &[String],
    options: &TransferOptions,
) -> Result<FetchReport> {
    let site = Site::open(world)?;
    let lock = site.lock()?;
    let targets = site.stored_paths(&lock, paths)?;
    let mut wanted: BTreeSet<Root> = chosen(&site, &lock, &targets)?.into_iter().collect();
    let routes = Routes::new(&site, &lock)?;
    let mut locks = vec![routes.travelling(&lock)?];
    for rev in commits(&site, &options.also, false)? {
        let lock = site.lock_at(&rev)?;
        wanted.extend(chosen(&site, &lock, &[])?);
        locks.push(routes.travelling(&lock)?);
    }
    let wanted: Vec<Root> = wanted.into_iter().collect();
    let mut report = bring(&site, &routes, &wanted, &locks, options)?;
    report.results = bring_results(&site, &lock, &targets, options)?;
    Ok(report)
}

/// Brings what the lock needs, then checks it out.
pub fn pull(
    world: &World<'_>,
    paths: &[String],
    options: &TransferOptions,
    force: bool,
) -> Result<PullReport> {
    let site = Site::open(world)?;
    let _guard = site.guard()?;
    let lock = site.lock()?;
    let targets = site.stored_paths(&lock, paths)?;
    let routes = Routes::new(&site, &lock)?;
    let (wanted, locks) = (chosen(&site, &lock, &targets)?, [routes.travelling(&lock)?]);
    let mut fetched = bring(&site, &routes, &wanted, &locks, options)?;
    fetched.results = bring_results(&site, &lock, &targets, options)?;
    let checkout = switch(&site, &lock, &targets, force)?;
    Ok(PullReport { fetched, checkout })
}

/// Brings the results that others have of the stages of a lock, if this clone wants them; none if
/// only some paths were asked for.
fn bring_results(
    site: &Site<'_>,
    lock: &Lock,
    targets: &[RelPath],
    options: &TransferOptions,
) -> Result<u64> {
    if !targets.is_empty() {
        return Ok(0);
    }
    let keys: BTreeSet<RunKey> = lock.stages.values().map(StageRecord::run_key).collect();
    let keys: Vec<RunKey> = keys.into_iter().collect();
    Shared::open(site, options.remote.as_deref()).bring(&keys)
}

/// What was named; of nothing that was, all that is not to be named first.
fn chosen(site: &Site<'_>, lock: &Lock, targets: &[RelPath]) -> Result<Vec<Root>> {
    let mut roots = roots(lock)?;
    let wanted = |root: &Root| targets.iter().any(|target| target.overlaps(&root.path));
    roots.retain(|root| targets.is_empty() || wanted(root));
    roots.retain(|root| is_asked_for(site, &root.path, targets));
    Ok(roots)
}

/// Brings what some roots need and the store lacks, each from its remote; they stand in these
/// locks.
pub(super) fn bring(
    site: &Site<'_>,
    routes: &Routes,
    roots: &[Root],
    locks: &[Vec<Root>],
    options: &TransferOptions,
) -> Result<FetchReport> {
    site.prepare_store()?;
    let mut reports = Vec::new();
    for destination in routes.destinations(site, options.remote.as_deref(), roots)? {
        reports.push(bring_from(site, &destination, roots, locks, options)?);
    }
    site.store.flush()?;
    site.tend_store();
    let mut report = reports.remove(0);
    report.others = reports;
    Ok(report)
}

fn bring_from(
    site: &Site<'_>,
    destination: &Destination<'_>,
    roots: &[Root],
    locks: &[Vec<Root>],
    options: &TransferOptions,
) -> Result<FetchReport> {
    let (name, remote) = connect(site, Some(&destination.name))?;
    let locks: Vec<Vec<Root>> = locks.iter().map(|roots| destination.of(roots)).collect();
    let fetched = remote.fetch(
        &site.store,
        &destination.of(roots),
        &locks,
        jobs(site, options.jobs),
        site.world.progress,
        site.world.interrupt,
    )?;
    let missing = fetched.missing.into_iter().map(|(path, id)| Missing {
        path,
        hash: id.to_string(),
    });
    let damaged = fetched.damaged.into_iter();
    let damaged = damaged.map(|(object, reason)| Damaged { object, reason });
    Ok(FetchReport {
        remote: name,
        files: fetched.files,
        bytes: fetched.bytes,
        objects: fetched.objects,
        received_bytes: fetched.received_bytes,
        missing: missing.collect(),
        damaged: damaged.collect(),
        results: 0,
        others: Vec::new(),
    })
}
