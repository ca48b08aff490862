//! Garbage collection of a remote, safe beside pushes without a clock and without a lock.
//!
//! A pack that nobody needs is *condemned*: from then on no push relies on it. A later run, which
//! lists the snapshots after that, copies what turned out to be needed after all and deletes the
//! pack. A push publishes its snapshot and then reads the log; a sweep appends to the log and then
//! lists the snapshots: so one of the two always sees the other, however long either sleeps.
//! `model` checks this in every order of requests; `docs/design/` tells why it is so.

pub(super) mod log;
pub(super) mod look;
pub(super) mod mark;
#[cfg(test)]
mod model;
mod plan;
mod rescue;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::fs;
use crate::hash::{Digest, ObjectId, PackId, SnapshotId};
use crate::progress::{Event, Progress, Work};
use crate::store::Store;

use super::Result;
use super::format::Access;
use super::link::Link;
use super::snapshot::Snapshot;

use self::log::Record;
use self::look::{Look, key_of};
use self::plan::Plan;

/// How often a run begins again because somebody else wrote to the log meanwhile.
const MAX_TRIES: usize = 10;

/// How to collect.
pub struct CollectOptions {
    /// Condemned packs stay at least so long, for readers that are under way.
    pub grace: Duration,
    /// Packs younger than this are left alone: a push may be about to need them.
    pub min_age: Duration,
    /// Only plan.
    pub dry_run: bool,
}

/// A snapshot as those who know git judge it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Its name.
    pub id: SnapshotId,
    /// The project that pushed it.
    pub project: [u8; 16],
    /// The commit it belongs to, zero-padded; zeros for a workspace.
    pub commit: [u8; 32],
    /// When it was made, in nanoseconds since 1970, by the clock of its writer.
    pub created: u64,
    /// The ids of the files and directories that it keeps.
    pub roots: Vec<Digest>,
}

/// A pack and how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackSize {
    /// Its name.
    pub id: PackId,
    /// Its bytes.
    pub size: u64,
}

/// What a run would do, or did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Snapshots that keep nothing any more.
    pub dropped: Vec<Claim>,
    /// Packs that are condemned in this run.
    pub condemned: Vec<PackSize>,
    /// Packs that were condemned before and go away in this run.
    pub deleted: Vec<PackSize>,
    /// Packs that were condemned before and stay a while yet.
    pub waiting: Vec<PackSize>,
    /// Packs that nobody needs and that are too young to be condemned.
    pub young: Vec<PackSize>,
    /// Condemned packs that hold something needed which cannot be read there, nor elsewhere.
    pub stuck: Vec<PackSize>,
    /// Packs that stay, and their bytes.
    pub kept: u64,
    /// The bytes of the packs that stay.
    pub kept_bytes: u64,
    /// Objects copied out of packs that go away.
    pub rescued: u64,
    /// Whether something was really done.
    pub applied: bool,
    /// What snapshots need and no pack holds.
    pub missing: Vec<ObjectId>,
    /// Objects that are not what they should be: their keys and what is wrong.
    pub damaged: Vec<(String, String)>,
}

/// Collects. `is_unneeded` judges snapshots; `approve` is shown the plan and may turn it down.
pub(super) fn collect(
    link: &Link<'_>,
    store: &Store,
    options: &CollectOptions,
    is_unneeded: &dyn Fn(&Claim) -> bool,
    approve: &mut dyn FnMut(&Collected) -> bool,
    progress: &dyn Progress,
) -> Result<Collected> {
    let Some(format) = link.format(Access::Write)? else {
        return Ok(Collected::default());
    };
    if !format.is_collectable() {
        return Err(link.protocol("it was made by an esker that does not push beside a collection"));
    }
    let mut approved = options.dry_run;
    for _ in 0..MAX_TRIES {
        let (look, plan) = make_plan(link, store, options, is_unneeded, progress)?;
        if !approved {
            approved = approve(&plan.report);
        }
        if options.dry_run || !approved {
            return Ok(with_damage(link, plan.report));
        }
        if let Some(done) = apply(link, look, plan, progress)? {
            return Ok(with_damage(link, done));
        }
    }
    Err(link.protocol("its log is written by too many collections at once; try again later"))
}

fn make_plan(
    link: &Link<'_>,
    store: &Store,
    options: &CollectOptions,
    is_unneeded: &dyn Fn(&Claim) -> bool,
    progress: &dyn Progress,
) -> Result<(Look, Plan)> {
    progress.event(Event::Started {
        work: Work::Verify,
        files: 0,
        bytes: 0,
    });
    let look = Look::take(link);
    let plan = look.and_then(|look| {
        let plan = Plan::make(link, store, &look, options, is_unneeded)?;
        Ok((look, plan))
    });
    progress.event(Event::Finished);
    plan
}

/// Does what was planned; `None` if somebody else wrote to the log, so that it must be planned
/// again. What is done by then does no harm.
fn apply(
    link: &Link<'_>,
    mut look: Look,
    plan: Plan,
    progress: &dyn Progress,
) -> Result<Option<Collected>> {
    let mut done = plan.report;
    let dropped: Vec<SnapshotId> = done.dropped.iter().map(|claim| claim.id).collect();
    if !append(link, &mut look, Record::Drop(dropped))? {
        return Ok(None);
    }
    let rescued = rescue::rescue(link, &look, &plan.live, &plan.sweep, progress)?;
    if !append(link, &mut look, Record::Move(rescued.moves))? {
        return Ok(None);
    }
    done.rescued = rescued.objects;
    let is_stuck = |pack: &PackSize| rescued.stuck.contains(&pack.id);
    let (stuck, deleted) = done.deleted.into_iter().partition(is_stuck);
    done.stuck.extend::<Vec<_>>(stuck);
    done.deleted = deleted;
    let packs: Vec<PackId> = done.deleted.iter().map(|pack| pack.id).collect();
    link.map(packs, |pack| link.delete(&key_of(pack)))?;
    let condemned = done.condemned.iter().map(|pack| pack.id).collect();
    if !append(link, &mut look, Record::Condemn(condemned))? {
        return Ok(None);
    }
    // Names that nobody asks for any more.
    let names = look.dropped.into_iter().chain(look.hollow).collect();
    link.map(names, |key: String| link.delete(&key))?;
    done.applied = true;
    Ok(Some(done))
}

/// Appends a record that says something; says whether it may be built upon.
fn append(link: &Link<'_>, look: &mut Look, record: Record) -> Result<bool> {
    Ok(record.is_empty() || link.append_log(&mut look.log, record)?)
}

fn with_damage(link: &Link<'_>, collected: Collected) -> Collected {
    Collected {
        damaged: link.damage(),
        ..collected
    }
}

impl Claim {
    fn of(id: SnapshotId, snapshot: &Snapshot) -> Self {
        Self {
            id,
            project: snapshot.project,
            commit: snapshot.commit,
            created: snapshot.created,
            roots: snapshot.roots.iter().map(|root| root.digest()).collect(),
        }
    }
}

/// Whether something that was written at a time (in seconds) is at least so old.
fn is_older(written: u64, age: Duration) -> bool {
    let now = fs::now_nanos() / 1_000_000_000;
    now.saturating_sub(written) >= age.as_secs()
}
