//! Push: what a remote needs to hold all that some locks stand for, and the sending of it.
//!
//! The order of writing is packs, index segment, snapshots, and then a look at the log of garbage
//! collection: a pack that was condemned meanwhile is relied upon no more, and what it held is
//! found elsewhere or sent again. A push that dies on the way leaves packs that nothing names, and
//! in the spool a note of each, by which the next push finds them.

mod build;
mod plan;
mod send;
mod spool;
mod survey;

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::fs;
use crate::hash::{ObjectId, PackId, SnapshotId};
use crate::path::RelPath;
use crate::progress::Progress;
use crate::store::Store;

use super::chunker::Chunker;
use super::format::{Access, Format};
use super::gc::log::Log;
use super::link::Link;
use super::segment::{self, PackEntries};
use super::snapshot::{PackRef, Roots, Snapshot};
use super::walk::name_missing;
use super::{
    Economy, Error, FetchOptions, PushOptions, Pushed, Result, Wanted, fetch, is_content, layout,
};

use plan::Plan;
use send::Sent;
use spool::Spool;
use survey::Survey;

/// How often what was published is mended because of a collection at the same time.
const MAX_MENDED: usize = 5;
/// Two million entries of 48 bytes are 96 MiB.
const MAX_SEGMENT_OBJECTS: usize = 2 << 20;

/// What is asked of a push, for all its steps.
struct Task<'a> {
    link: &'a Link<'a>,
    store: &'a Store,
    wanted: Vec<&'a Wanted>,
    chunker: Chunker,
    options: &'a PushOptions<'a>,
    progress: &'a dyn Progress,
}

/// What a lock lacks in the store: where, and what.
type Missing = Vec<(RelPath, ObjectId)>;

/// Sends what these locks need.
pub(super) fn push(
    link: &Link<'_>,
    store: &Store,
    wanted: &[Wanted],
    options: &PushOptions<'_>,
    progress: &dyn Progress,
) -> Result<Pushed> {
    let with_roots = wanted.iter().filter(|lock| !lock.roots.is_empty());
    let wanted: Vec<_> = with_roots.collect();
    if wanted.is_empty() {
        return Ok(Pushed::default());
    }
    link.check_writable()?;
    let format = read_format(link)?;
    let task = Task {
        link,
        store,
        wanted,
        chunker: format.as_ref().map(Format::chunker).unwrap_or_default(),
        options,
        progress,
    };
    let mut log = Log::default();
    if options.dry_run {
        let survey = match &format {
            Some(format) => {
                link.read_log(&mut log)?;
                Survey::take(&task, &Spool::of(options.spool, format), &log)?
            }
            None => Survey::default(),
        };
        let (_, plan) = survey::plan(&task, survey, &log)?;
        return Ok(report(&task, &plan, &missing_of(&task, &plan)));
    }
    link.prepare_writes(options.memory)?;
    let (spool, survey) = match format {
        Some(format) => {
            let spool = Spool::of(options.spool, &format);
            link.read_log(&mut log)?;
            let survey = Survey::take(&task, &spool, &log)?;
            (spool, survey)
        }
        None => {
            let format = create_format(link)?;
            let spool = Spool::of(options.spool, &format);
            (spool, Survey::default())
        }
    };
    let mut published = publish(&task, &spool, survey::plan(&task, survey, &log)?, &log)?;
    let mut mended = 0;
    // A snapshot that was written before this look is seen by every sweep that begins after.
    while !holds(link, &mut log, &published.relied)? {
        if mended == MAX_MENDED {
            return Err(link.protocol("its garbage is collected faster than this can be sent"));
        }
        mended += 1;
        published = mend(&task, &spool, &log, published)?;
    }
    Ok(Pushed {
        mended,
        economy: published.economy,
        ..report(&task, &published.plan, &published.missing)
    })
}

/// What stands on the remote now.
struct Published {
    plan: Plan,
    economy: Economy,
    missing: Vec<Missing>,
    relied: Relied,
}

/// What keeps the pushed data on the remote.
#[derive(Default)]
struct Relied {
    /// The packs that it lies in.
    packs: BTreeSet<PackId>,
    /// The snapshots that name them.
    snapshots: BTreeSet<SnapshotId>,
}

/// Whether nobody has condemned or dropped what was published.
fn holds(link: &Link<'_>, log: &mut Log, relied: &Relied) -> Result<bool> {
    #[cfg(feature = "failpoints")]
    if IS_BLIND.load(std::sync::atomic::Ordering::SeqCst) {
        return Ok(true);
    }
    link.read_log(log)?;
    let is_condemned = relied.packs.iter().any(|pack| log.condemns(*pack));
    let is_dropped = relied.snapshots.iter().any(|id| log.dropped.contains(id));
    Ok(!is_condemned && !is_dropped)
}

/// Whether pushes report success without the last look: for the test that this loses data.
#[cfg(feature = "failpoints")]
static IS_BLIND: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

/// Breaks the protocol: for tests alone.
#[cfg(feature = "failpoints")]
pub fn stop_validating() {
    IS_BLIND.store(true, std::sync::atomic::Ordering::SeqCst);
}

/// Publishes again without the packs that are condemned. What the store lacks is brought while it
/// can still be read.
fn mend(task: &Task<'_>, spool: &Spool, log: &Log, before: Published) -> Result<Published> {
    let mut planned = survey::plan(task, Survey::take_all(task, spool, log)?, log)?;
    if !planned.1.missing.is_empty() {
        let roots = task
            .wanted
            .iter()
            .flat_map(|lock| lock.roots.iter().cloned());
        fetch::fetch(
            task.link,
            task.store,
            &roots.collect::<Vec<_>>(),
            &FetchOptions::default(),
            task.progress,
        )?;
        planned = survey::plan(task, Survey::take_all(task, spool, log)?, log)?;
    }
    let mut published = publish(task, spool, planned, log)?;
    // What is only sent once more is not new.
    (published.plan.files, published.plan.bytes) = (before.plan.files, before.plan.bytes);
    published.economy = before.economy;
    Ok(published)
}

fn publish(
    task: &Task<'_>,
    spool: &Spool,
    (survey, plan): (Survey, Plan),
    log: &Log,
) -> Result<Published> {
    let missing = missing_of(task, &plan);
    let sent = send::send(task, &plan, &survey, spool)?;
    publish_segment(task, &survey, &sent)?;
    let relied = publish_snapshots(task, &survey, &plan, &sent, &missing, log)?;
    // Not before: beside a base nobody reads segments.
    spool.clear()?;
    Ok(Published {
        economy: economy(&plan, &sent),
        plan,
        missing,
        relied,
    })
}

/// By what stands in the packs that were sent.
fn economy(plan: &Plan, sent: &Sent) -> Economy {
    let entries = sent.packs.iter().flat_map(|pack| &pack.entries);
    let content = entries.filter(|entry| is_content(entry.id));
    let (raw, stored) = content.fold((0, 0), |(raw, stored), entry| {
        let (more_raw, more_stored) = (u64::from(entry.raw_len), u64::from(entry.stored_len));
        (raw + more_raw, stored + more_stored)
    });
    Economy::new(plan.bytes, raw, stored)
}

/// A directory that is not there yet is a remote that is empty: the first write makes it.
fn read_format(link: &Link<'_>) -> Result<Option<Format>> {
    match link.format(Access::Write) {
        Err(Error::MissingDirectory { .. }) => Ok(None),
        read => read,
    }
}

/// Writes `format.json`, or takes the one that somebody else wrote at the same moment.
fn create_format(link: &Link<'_>) -> Result<Format> {
    let format = Format::new(fs::random_bytes());
    if link.put(layout::FORMAT, &format.encode().into())? {
        return Ok(format);
    }
    Ok(link.format(Access::Write)?.unwrap_or(format))
}

fn missing_of(task: &Task<'_>, plan: &Plan) -> Vec<Missing> {
    let locks = task.wanted.iter();
    locks
        .map(|lock| name_missing(task.store, &lock.roots, &plan.missing))
        .collect()
}

/// Tells what the new packs hold, together with those of a push that was cut short.
fn publish_segment(task: &Task<'_>, survey: &Survey, sent: &Sent) -> Result<()> {
    let mut packs: Vec<_> = survey.unindexed.iter().chain(&sent.packs).collect();
    while !packs.is_empty() {
        let some: Vec<_> = packs.drain(..segment_len(&packs)).cloned().collect();
        let (id, bytes) = segment::encode(&some);
        task.link.put(&layout::segment(id), &Bytes::from(bytes))?;
    }
    Ok(())
}

/// How many packs go into one segment: all of a push, unless that would be an object larger than
/// readers take.
fn segment_len(packs: &[&PackEntries]) -> usize {
    let mut objects = 0;
    let fitting = packs.iter().take_while(|pack| {
        objects += pack.entries.len();
        objects <= MAX_SEGMENT_OBJECTS
    });
    fitting.count().max(1)
}

/// Writes one snapshot for every distinct lock that is whole on the remote now. Yields what all of
/// them rely on, snapshots that need not be written again included.
fn publish_snapshots(
    task: &Task<'_>,
    survey: &Survey,
    plan: &Plan,
    sent: &Sent,
    missing: &[Missing],
    log: &Log,
) -> Result<Relied> {
    let mut packs = plan.packs.clone();
    packs.extend(sent.used.clone());
    packs.extend(sent.packs.iter().map(|pack| (pack.id, pack.as_ref())));
    let mut relied = Relied {
        packs: packs.keys().copied().collect(),
        ..Relied::default()
    };
    let packs: Vec<PackRef> = packs.into_values().collect();
    let mut done = BTreeSet::new();
    for (lock, missing) in task.wanted.iter().zip(missing) {
        let roots = Roots::new(&lock.roots);
        let key = roots.key();
        if !missing.is_empty() || !done.insert(key) {
            continue;
        }
        if let Some(recent) = survey.recent.get(&(key, lock.commit)) {
            relied.packs.extend(&recent.packs);
            relied.snapshots.insert(recent.id);
            continue;
        }
        let snapshot = Snapshot {
            nonce: fs::random_bytes(),
            project: task.options.project,
            commit: lock.commit,
            created: fs::now_nanos(),
            log_number: log.number,
            roots,
            packs: packs.clone(),
        };
        let (id, bytes) = snapshot.encode();
        task.link
            .put(&layout::snapshot(key, id), &Bytes::from(bytes))?;
        task.link.put_head(key, id);
        relied.snapshots.insert(id);
    }
    Ok(relied)
}

fn report(task: &Task<'_>, plan: &Plan, missing: &[Missing]) -> Pushed {
    let missing: BTreeSet<_> = missing.iter().flatten().cloned().collect();
    Pushed {
        files: plan.files,
        bytes: plan.bytes,
        objects: task.link.written(),
        mended: 0,
        economy: Economy::default(),
        sent_bytes: task.link.sent(),
        missing: missing.into_iter().collect(),
    }
}
