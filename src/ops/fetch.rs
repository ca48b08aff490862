//! `fetch` and `pull`: bring what a lock needs, and put it in place.

use std::collections::BTreeSet;

use super::checkout::{CheckoutReport, switch};
use super::content::Missing;
use super::push::{TransferOptions, commits, connect, jobs, roots, staying, travelling};
use super::{Result, Site, World};
use crate::path::RelPath;
use crate::project::Lock;
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

/// Brings what the workspace's lock (or those of the commits asked for) needs into the store.
pub fn fetch(
    world: &World<'_>,
    paths: &[String],
    options: &TransferOptions,
) -> Result<FetchReport> {
    let site = Site::open(world)?;
    let lock = site.lock()?;
    let targets = site.stored_paths(&lock, paths)?;
    let mut wanted: BTreeSet<Root> = chosen(&lock, &targets)?.into_iter().collect();
    let staying = staying(&site, &lock)?;
    let mut locks = vec![travelling(&lock, &staying)?];
    for rev in commits(&site, &options.also, false)? {
        let lock = site.lock_at(&rev)?;
        wanted.extend(roots(&lock)?);
        locks.push(travelling(&lock, &staying)?);
    }
    let wanted: Vec<Root> = wanted.into_iter().collect();
    bring(&site, &wanted, &locks, options)
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
    let locks = [travelling(&lock, &staying(&site, &lock)?)?];
    let fetched = bring(&site, &chosen(&lock, &targets)?, &locks, options)?;
    let checkout = switch(&site, &lock, &targets, force)?;
    Ok(PullReport { fetched, checkout })
}

fn chosen(lock: &Lock, targets: &[RelPath]) -> Result<Vec<Root>> {
    let mut roots = roots(lock)?;
    let wanted = |root: &Root| targets.iter().any(|target| target.overlaps(&root.path));
    roots.retain(|root| targets.is_empty() || wanted(root));
    Ok(roots)
}

/// Brings what some roots need and the store lacks; they stand in these locks.
pub(super) fn bring(
    site: &Site<'_>,
    roots: &[Root],
    locks: &[Vec<Root>],
    options: &TransferOptions,
) -> Result<FetchReport> {
    site.prepare_store()?;
    let (name, remote) = connect(site, options.remote.as_deref())?;
    let fetched = remote.fetch(
        &site.store,
        roots,
        locks,
        jobs(site, options.jobs),
        site.world.progress,
        site.world.interrupt,
    )?;
    site.store.flush()?;
    site.tend_store();
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
    })
}
