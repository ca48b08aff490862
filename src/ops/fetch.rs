//! `fetch` and `pull`: bring what a lock needs, and put it in place.

use std::collections::BTreeSet;

use super::checkout::{CheckoutReport, switch};
use super::content::Missing;
use super::push::{TransferOptions, commits, connect, is_zero, jobs, roots};
use super::routes::{Destination, Routes, is_asked_for};
use super::selection::Selection;
use super::shared::Shared;
use super::{Error, Result, Site, World};
use crate::hash::RunKey;
use crate::path::RelPath;
use crate::project::{Lock, StageRecord};
use crate::remote::{FetchOptions, Root};

/// What came, or would come.
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
    /// Bytes of these files that need not come: an earlier fetch had brought them, or they stand in
    /// the files several times.
    pub reused_bytes: u64,
    /// By how much compression made shorter what came of the files.
    pub compression_saved_bytes: u64,
    /// What the remote does not have.
    pub missing: Vec<Missing>,
    /// Objects of the remote that are not what they should be; nothing of them was taken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<Damaged>,
    /// Results of the run cache that came, if they are shared.
    #[serde(skip_serializing_if = "is_zero")]
    pub results: u64,
    /// Whether nothing really came.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// Whether none of its files is one of those that were asked for.
    #[serde(skip)]
    unmatched: bool,
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
    /// What was put in place; nothing, if it was only asked what would come.
    pub checkout: Option<CheckoutReport>,
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
    let selection = options.selection(site.stored_paths(&lock, paths)?)?;
    let mut wanted: BTreeSet<Root> = chosen(&site, &lock, &selection)?.into_iter().collect();
    let routes = Routes::new(&site, &lock)?;
    let mut locks = vec![routes.travelling(&lock)?];
    for rev in commits(&site, &options.also, false)? {
        let lock = site.lock_at(&rev)?;
        wanted.extend(chosen(&site, &lock, &selection)?);
        locks.push(routes.travelling(&lock)?);
    }
    let wanted: Vec<Root> = wanted.into_iter().collect();
    let mut report = bring(&site, &routes, (&wanted, &selection), &locks, options)?;
    report.results = bring_results(&site, &lock, &selection, options)?;
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
    let _guard = match options.dry_run {
        true => None,
        false => Some(site.guard()?),
    };
    let lock = site.lock()?;
    let selection = options.selection(site.stored_paths(&lock, paths)?)?;
    let routes = Routes::new(&site, &lock)?;
    let wanted = chosen(&site, &lock, &selection)?;
    let locks = [routes.travelling(&lock)?];
    let mut fetched = bring(&site, &routes, (&wanted, &selection), &locks, options)?;
    fetched.results = bring_results(&site, &lock, &selection, options)?;
    let checkout = match options.dry_run {
        true => None,
        false => Some(switch(&site, &lock, &selection, force)?),
    };
    Ok(PullReport { fetched, checkout })
}

/// Brings the results that others have of the stages of a lock, if this clone wants them; none if
/// only some paths were asked for.
fn bring_results(
    site: &Site<'_>,
    lock: &Lock,
    selection: &Selection,
    options: &TransferOptions,
) -> Result<u64> {
    if !selection.is_everything() || options.dry_run {
        return Ok(0);
    }
    let keys: BTreeSet<RunKey> = lock.stages.values().map(StageRecord::run_key).collect();
    let keys: Vec<RunKey> = keys.into_iter().collect();
    Shared::open(site, options.remote.as_deref()).bring(&keys)
}

/// What may hold something that is selected, less what is to be named first and was not.
fn chosen(site: &Site<'_>, lock: &Lock, selection: &Selection) -> Result<Vec<Root>> {
    let mut roots = roots(lock)?;
    roots.retain(|root| selection.touches(&root.path));
    roots.retain(|root| is_asked_for(site, &root.path, &selection.targets));
    Ok(roots)
}

/// Brings what some roots need and the store lacks, as far as it is selected, each from its remote;
/// they stand in these locks. A remote that fails does not keep the others from what they have; its
/// error is told then, or that of the first of several.
pub(super) fn bring(
    site: &Site<'_>,
    routes: &Routes,
    wanted: (&[Root], &Selection),
    locks: &[Vec<Root>],
    options: &TransferOptions,
) -> Result<FetchReport> {
    let (roots, selection) = wanted;
    if !options.dry_run {
        site.prepare_store()?;
    }
    let (mut reports, mut failure) = (Vec::new(), None);
    for destination in routes.destinations(site, options.remote.as_deref(), roots)? {
        match bring_from(site, &destination, wanted, locks, options) {
            Ok(report) => reports.push(report),
            Err(error) => {
                site.check_interrupt()?;
                failure.get_or_insert(error);
            }
        }
    }
    if !options.dry_run {
        site.store.flush()?;
        site.tend_store();
    }
    if let Some(error) = failure {
        return Err(error);
    }
    if selection.includes() && reports.iter().all(|report| report.unmatched) {
        return Err(Error::NothingMatches(options.include.join(" ")));
    }
    let mut report = reports.remove(0);
    report.others = reports;
    Ok(report)
}

fn bring_from(
    site: &Site<'_>,
    destination: &Destination<'_>,
    (roots, selection): (&[Root], &Selection),
    locks: &[Vec<Root>],
    options: &TransferOptions,
) -> Result<FetchReport> {
    let (name, remote) = connect(site, Some(&destination.name))?;
    let locks: Vec<Vec<Root>> = locks.iter().map(|roots| destination.of(roots)).collect();
    let keep = |path: &RelPath| selection.has(path);
    let fetched = remote.fetch(
        &site.store,
        &destination.of(roots),
        &FetchOptions {
            locks: &locks,
            jobs: jobs(site, &remote, options.jobs),
            keep: match selection.is_everything() {
                true => None,
                false => Some(&keep),
            },
            dry_run: options.dry_run,
        },
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
        reused_bytes: fetched.economy.reused_bytes,
        compression_saved_bytes: fetched.economy.compression_saved_bytes,
        missing: missing.collect(),
        damaged: damaged.collect(),
        results: 0,
        dry_run: options.dry_run,
        unmatched: fetched.unmatched,
        others: Vec::new(),
    })
}
