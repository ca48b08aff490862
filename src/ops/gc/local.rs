//! `gc` of the store of this clone, and of its run cache, run records and park.
//!
//! What is needed is what a record names: in any commit that git remembers, in an index, in a
//! workspace, of any clone that uses the store; and results that are young. All else that is old
//! enough goes. The plan is made beside others; for the act itself the store is held alone and all is
//! looked at once more, so that what somebody has begun to need meanwhile stays.
//! `docs/design/0008-local-garbage-collection.md` tells why.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::time::Duration;

use super::mark::{Marked, mark};
use super::roots::{CloneReport, Roots};
use crate::fs::{self, LockGuard};
use crate::hash::{Digest, ObjectId, ObjectKind};
use crate::ops::{Error, Result, Site, World, undo};
use crate::path::RelPath;
use crate::pipeline;
use crate::store::{Amount, Garbage};
use crate::workspace;

const DAY: u64 = 24 * 60 * 60;
/// How long results and run records are kept that no record needs, in days.
pub const RESULT_DAYS: u64 = 30;

/// How to collect.
#[derive(Clone, Debug)]
pub struct LocalGcOptions {
    /// Objects younger than this stay.
    pub min_age: Duration,
    /// Clones that cannot be looked at and are not to be asked any more.
    pub forget: Vec<PathBuf>,
    /// Go on although listings are damaged or missing.
    pub allow_missing: bool,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// What was collected, or would be.
#[derive(Debug, Default, serde::Serialize)]
pub struct LocalGcReport {
    /// Where the store lies.
    pub store: PathBuf,
    /// Who uses it.
    pub clones: Vec<CloneReport>,
    /// Each object that goes, the largest first.
    pub objects: Vec<ObjectReport>,
    /// Files that go.
    pub files: Amount,
    /// Listings and lists of pieces that go.
    pub listings: Amount,
    /// Results of the run cache that go.
    pub results: Amount,
    /// Run records and logs that go.
    pub runs: Amount,
    /// Acts in the park that go, and their bytes.
    pub parked: Amount,
    /// Objects that no record names and that are too young to go.
    pub young: Amount,
    /// Objects that no record names and that lie in packs of what is needed.
    pub scattered: Amount,
    /// Objects that stay.
    pub kept: Amount,
    /// Listings that are needed and damaged or missing.
    pub lost: Vec<String>,
    /// Whether it was really done.
    pub applied: bool,
}

impl LocalGcReport {
    /// Whether there is anything to do.
    pub fn has_work(&self) -> bool {
        self.goes().iter().any(|amount| amount.objects > 0)
    }

    /// The bytes that become free.
    pub fn bytes(&self) -> u64 {
        self.goes().iter().map(|amount| amount.bytes).sum()
    }

    /// All that goes.
    fn goes(&self) -> [Amount; 5] {
        [
            self.files,
            self.listings,
            self.results,
            self.runs,
            self.parked,
        ]
    }
}

/// An object that goes.
#[derive(Debug, serde::Serialize)]
pub struct ObjectReport {
    /// Its id.
    pub hash: String,
    /// Its bytes.
    pub size: u64,
    /// Where it was, if something still says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<RelPath>,
}

/// Collects. `approve` is shown what would be done; without it, it is done at once.
pub fn local_gc(
    world: &World<'_>,
    options: &LocalGcOptions,
    approve: Option<&mut dyn FnMut(&LocalGcReport) -> bool>,
) -> Result<LocalGcReport> {
    let site = Site::open(world)?;
    let approved = match (approve, options.dry_run) {
        (None, false) => None,
        (approve, _) => {
            let plan = Plan::make(&site, options, None)?;
            let report = plan.report(&site)?;
            let is_wanted = approve.is_none_or(|approve| approve(&report));
            if options.dry_run || !report.has_work() || !is_wanted {
                return Ok(report);
            }
            Some(plan.garbage.objects().map(|(id, _)| id).collect())
        }
    };
    let alone = hold_alone(&site)?;
    let plan = Plan::make(&site, options, approved.as_ref())?;
    let mut report = plan.report(&site)?;
    plan.apply(&site, &mut report)?;
    drop(alone);
    // Not before: who writes a record may be waiting for the store.
    let _record = site.record_guard()?;
    undo::expire_old(&site)?;
    report.applied = true;
    Ok(report)
}

/// Waits until nobody uses the store.
fn hold_alone(site: &Site<'_>) -> Result<LockGuard> {
    site.wait_for("the store", || {
        let alone = site.store.try_hold_alone(site.world.command)?;
        Ok(alone.ok_or(None))
    })
}

/// What to remove.
struct Plan {
    roots: Roots,
    marked: Marked,
    garbage: Garbage,
    results: Vec<pipeline::Entry>,
    runs: Vec<(PathBuf, u64)>,
}

impl Plan {
    /// Looks at everything; of objects, only those that were approved count as garbage, if any
    /// were.
    fn make(
        site: &Site<'_>,
        options: &LocalGcOptions,
        approved: Option<&HashSet<ObjectId>>,
    ) -> Result<Self> {
        let now = fs::now_nanos();
        let old_results = now.saturating_sub(RESULT_DAYS * DAY * 1_000_000_000);
        let mut roots = Roots::gather(site, &options.forget)?;
        let results = roots.take_results(site, old_results)?;
        let marked = mark(site, &roots)?;
        if !marked.lost.is_empty() && !options.allow_missing {
            return Err(Error::ListingsLost(marked.lost));
        }
        let is_needed = |id: ObjectId| {
            let is_approved = approved.is_none_or(|approved| approved.contains(&id));
            marked.live.contains(&id.digest) || !is_approved
        };
        let age = u64::try_from(options.min_age.as_nanos()).unwrap_or(u64::MAX);
        let garbage = site.store.garbage(now.saturating_sub(age), &is_needed)?;
        let is_named = |run: &str| roots.runs.contains(run);
        let runs = pipeline::old_runs(&site.layout.runs(), old_results, &is_named)?;
        Ok(Self {
            roots,
            marked,
            garbage,
            results,
            runs,
        })
    }

    fn report(&self, site: &Site<'_>) -> Result<LocalGcReport> {
        let paths = self.paths();
        let mut report = LocalGcReport {
            store: site.store.root().to_path_buf(),
            clones: self.roots.clones.clone(),
            young: self.garbage.young,
            scattered: self.garbage.scattered,
            kept: self.garbage.kept,
            lost: self.marked.lost.clone(),
            results: amount(self.results.iter().map(|entry| entry.size)),
            runs: amount(self.runs.iter().map(|(_, size)| *size)),
            ..LocalGcReport::default()
        };
        let mut seen = HashSet::new();
        for (id, size) in self.garbage.objects().filter(|(id, _)| seen.insert(*id)) {
            let sum = match id.kind {
                ObjectKind::Blob => &mut report.files,
                _ => &mut report.listings,
            };
            sum.objects += 1;
            sum.bytes += size;
            report.objects.push(ObjectReport {
                hash: id.to_string(),
                size,
                path: paths.get(&id.digest).map(|path| (*path).clone()),
            });
        }
        let order = |one: &ObjectReport, other: &ObjectReport| {
            (other.size, &one.hash).cmp(&(one.size, &other.hash))
        };
        report.objects.sort_by(order);
        let before = fs::now_nanos().saturating_sub(undo::KEPT_DAYS * DAY * 1_000_000_000);
        let acts = workspace::parked_acts(&site.layout.park())?.into_iter();
        let old = acts.filter(|act| act.nanos < before);
        report.parked = amount(old.map(|act| act.paths.iter().map(|(_, size)| size).sum()));
        Ok(report)
    }

    /// Where outputs were that only old results name.
    fn paths(&self) -> HashMap<Digest, &RelPath> {
        let records = self
            .results
            .iter()
            .filter_map(|entry| entry.record.as_ref());
        let outs: BTreeMap<&RelPath, _> = records.flat_map(|record| &record.outs).collect();
        let named = outs.into_iter();
        named
            .filter_map(|(path, out)| Some((out.hash.digest()?, path)))
            .collect()
    }

    /// Removes it: what names data before the data.
    fn apply(self, site: &Site<'_>, report: &mut LocalGcReport) -> Result<()> {
        for entry in &self.results {
            entry.remove()?;
        }
        for (path, _) in &self.runs {
            fs::remove_file(path)?;
        }
        site.check_interrupt()?;
        let stayed = site.store.discard(self.garbage)?;
        report.files.objects = report.files.objects.saturating_sub(stayed.objects);
        report.files.bytes = report.files.bytes.saturating_sub(stayed.bytes);
        report.scattered.objects += stayed.objects;
        report.scattered.bytes += stayed.bytes;
        let gone = self.roots.clones.iter().filter(|clone| !clone.is_asked());
        for clone in gone {
            site.store.forget(&clone.path)?;
        }
        site.store.sweep();
        Ok(())
    }
}

fn amount(sizes: impl Iterator<Item = u64>) -> Amount {
    sizes.fold(Amount::default(), |sum, size| Amount {
        objects: sum.objects + 1,
        bytes: sum.bytes + size,
    })
}
