//! Push: what a remote needs to hold all that some locks stand for, and the sending of it.
//!
//! The order of writing is packs, index segment, snapshots, and then a look at the log of garbage
//! collection. A push that dies on the way leaves packs that nothing names, and in the spool a
//! note of each, by which the next push finds them.

mod build;
mod plan;
mod send;
mod spool;
mod survey;

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::fs;
use crate::hash::ObjectId;
use crate::path::RelPath;
use crate::progress::Progress;
use crate::store::Store;

use super::format::{Access, Format};
use super::link::Link;
use super::segment::{self, PackEntries};
use super::snapshot::{PackRef, Roots, Snapshot};
use super::transport::Body;
use super::walk::name_missing;
use super::{Error, PushOptions, Pushed, Result, Wanted, layout};

use plan::Plan;
use send::Sent;
use spool::Spool;
use survey::Survey;

/// Two million entries of 48 bytes are 96 MiB.
const MAX_SEGMENT_OBJECTS: usize = 2 << 20;

/// What is asked of a push, for all its steps.
struct Task<'a> {
    link: &'a Link<'a>,
    store: &'a Store,
    wanted: Vec<&'a Wanted>,
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
    let task = Task {
        link,
        store,
        wanted: with_roots.collect(),
        options,
        progress,
    };
    if task.wanted.is_empty() {
        return Ok(Pushed::default());
    }
    link.check_writable()?;
    let format = read_format(link)?;
    if options.dry_run {
        let survey = match &format {
            Some(format) => Survey::take(&task, &Spool::peek(options.spool, format))?,
            None => Survey::default(),
        };
        let (_, plan) = survey::plan(&task, survey)?;
        return Ok(report(&task, &plan, &missing_of(&task, &plan)));
    }
    apply(&task, format)
}

fn apply(task: &Task<'_>, format: Option<Format>) -> Result<Pushed> {
    task.link.prepare_writes(task.options.memory)?;
    let (spool, survey) = match format {
        Some(format) => {
            let spool = Spool::open(task.options.spool, &format)?;
            let survey = Survey::take(task, &spool)?;
            (spool, survey)
        }
        None => {
            let format = create_format(task.link)?;
            let spool = Spool::open(task.options.spool, &format)?;
            (spool, Survey::default())
        }
    };
    let (survey, plan) = survey::plan(task, survey)?;
    let missing = missing_of(task, &plan);
    let sent = send::send(task, &plan, &survey, &spool)?;
    publish_segment(task, &survey, &sent, &spool)?;
    publish_snapshots(task, &survey, &plan, &sent, &missing)?;
    // A snapshot that was written before this look is seen by every collection that begins after.
    task.link.check_log()?;
    Ok(report(task, &plan, &missing))
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
    if link.put(layout::FORMAT, &Body::Bytes(format.encode().into()))? {
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
fn publish_segment(task: &Task<'_>, survey: &Survey, sent: &Sent, spool: &Spool) -> Result<()> {
    let mut packs: Vec<_> = survey.unindexed.iter().chain(&sent.packs).collect();
    while !packs.is_empty() {
        let some: Vec<_> = packs.drain(..segment_len(&packs)).cloned().collect();
        let (id, bytes) = segment::encode(&some);
        let body = Body::Bytes(Bytes::from(bytes));
        task.link.put(&layout::segment(id), &body)?;
        for pack in &some {
            spool.forget(pack.id)?;
        }
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

/// Writes one snapshot for every distinct lock that is whole on the remote now.
fn publish_snapshots(
    task: &Task<'_>,
    survey: &Survey,
    plan: &Plan,
    sent: &Sent,
    missing: &[Missing],
) -> Result<()> {
    let mut packs = plan.packs.clone();
    packs.extend(sent.used.clone());
    packs.extend(sent.packs.iter().map(|pack| (pack.id, pack.as_ref())));
    let packs: Vec<PackRef> = packs.into_values().collect();
    let mut done = BTreeSet::new();
    for (lock, missing) in task.wanted.iter().zip(missing) {
        let roots = Roots::new(&lock.roots);
        let key = roots.key();
        if !missing.is_empty() || survey.recent.contains(&key) || !done.insert(key) {
            continue;
        }
        let snapshot = Snapshot {
            nonce: fs::random_bytes(),
            project: task.options.project,
            commit: lock.commit,
            created: fs::now_nanos(),
            log_number: 0,
            roots,
            packs: packs.clone(),
        };
        let (id, bytes) = snapshot.encode();
        let body = Body::Bytes(Bytes::from(bytes));
        task.link.put(&layout::snapshot(key, id), &body)?;
        task.link.put_head(key, id);
    }
    Ok(())
}

fn report(task: &Task<'_>, plan: &Plan, missing: &[Missing]) -> Pushed {
    let missing: BTreeSet<_> = missing.iter().flatten().cloned().collect();
    Pushed {
        files: plan.files,
        bytes: plan.bytes,
        objects: task.link.written(),
        sent_bytes: task.link.sent(),
        missing: missing.into_iter().collect(),
    }
}
