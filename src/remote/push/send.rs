//! Builds packs in memory and sends them while the next is being built.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::hash::{ObjectKind, PackId};
use crate::pack;
use crate::progress::{Event, Work};

use super::super::meter::{Meter, Way};
use super::super::segment::PackEntries;
use super::super::snapshot::PackRef;
use super::super::{Result, layout};
use super::Task;
use super::build::build;
use super::plan::Plan;
use super::spool::Spool;
use super::survey::Survey;

/// Packs in memory at once, the one that is being built included, whatever is asked for.
const MAX_IN_MEMORY: u64 = 256 << 20;

/// What was sent.
#[derive(Default)]
pub(super) struct Sent {
    /// The new packs.
    pub(super) packs: Vec<PackEntries>,
    /// Packs of the remote that hold chunks which were not sent again.
    pub(super) used: BTreeMap<PackId, PackRef>,
}

/// A pack that is ready to be sent.
pub(super) struct Built {
    pub(super) bytes: Bytes,
    pub(super) finished: pack::Finished,
}

/// Sends all that the plan names.
pub(super) fn send(task: &Task<'_>, plan: &Plan, survey: &Survey, spool: &Spool) -> Result<Sent> {
    if plan.is_empty() {
        return Ok(Sent::default());
    }
    let meter = Meter::new(task.progress, task.link.traffic(), Way::Up);
    task.progress.event(Event::Started {
        work: Work::Upload,
        files: plan.files,
        bytes: plan.length(),
    });
    let sent = meter.during(|| send_all(task, (plan, survey), spool, &meter));
    task.progress.event(Event::Finished);
    sent
}

fn send_all(
    task: &Task<'_>,
    (plan, survey): (&Plan, &Survey),
    spool: &Spool,
    meter: &Meter<'_>,
) -> Result<Sent> {
    let stop = AtomicBool::new(false);
    // Nothing waits in the channel: a pack that is built is held back until somebody sends it.
    let (sender, receiver) = sync_channel(0);
    let receiver = Arc::new(Mutex::new(receiver));
    let (built, uploaded) = std::thread::scope(|scope| {
        let uploads = uploads(task.link.jobs, plan.pack_len());
        let workers: Vec<_> = (0..uploads)
            .map(|_| {
                let receiver = Arc::clone(&receiver);
                let stop = &stop;
                scope.spawn(move || {
                    let result = upload_all(task, spool, &receiver, meter);
                    result.inspect_err(|_| stop.store(true, Ordering::SeqCst))
                })
            })
            .collect();
        // With the last worker goes the receiver, so that the builder never waits for nobody.
        drop(receiver);
        let built = build((task, meter), plan, &survey.held, &stop, sender);
        let uploaded: Vec<_> = workers.into_iter().map(|worker| worker.join()).collect();
        (built, uploaded)
    });
    let mut sent = Sent::default();
    for result in uploaded {
        match result {
            Ok(packs) => sent.packs.extend(packs?),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
    sent.used = built?;
    sent.packs.sort_by_key(|pack| pack.id);
    Ok(sent)
}

/// How many packs of a length may be on their way at once, while the next is being built.
fn uploads(jobs: usize, pack_len: u64) -> usize {
    let fitting = usize::try_from(MAX_IN_MEMORY / pack_len).unwrap_or(usize::MAX);
    jobs.min(fitting.saturating_sub(1)).max(1)
}

fn upload_all(
    task: &Task<'_>,
    spool: &Spool,
    receiver: &Mutex<Receiver<Built>>,
    meter: &Meter<'_>,
) -> Result<Vec<PackEntries>> {
    let next = || {
        let receiver = receiver.lock().unwrap_or_else(PoisonError::into_inner);
        receiver.recv().ok()
    };
    let mut packs = Vec::new();
    while let Some(built) = next() {
        let finished = built.finished;
        let pack = PackEntries {
            id: finished.id,
            size: finished.length,
            kind: finished.kind,
            entries: finished.entries,
        };
        let (files, bytes) = content(&pack);
        meter.under_way(pack.size, bytes, || {
            task.link.put(&layout::pack(pack.id), &built.bytes)
        })?;
        spool.note(&pack)?;
        meter.advance(files, bytes);
        packs.push(pack);
    }
    Ok(packs)
}

/// How many files a pack makes whole, and how long the content in it is.
fn content(pack: &PackEntries) -> (u64, u64) {
    let (mut files, mut bytes) = (0, 0);
    for entry in &pack.entries {
        match entry.id.kind {
            ObjectKind::Blob => {
                files += 1;
                bytes += u64::from(entry.raw_len);
            }
            ObjectKind::Chunk => bytes += u64::from(entry.raw_len),
            ObjectKind::RecipeRoot => files += 1,
            ObjectKind::Node | ObjectKind::RecipeSegment => {}
        }
    }
    (files, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::TARGET_LEN;

    #[test]
    fn packs_in_memory_are_bounded_whatever_is_asked_for() {
        for (jobs, pack_len, expected) in [
            (1, TARGET_LEN, 1),
            (4, TARGET_LEN, 3),
            (100, TARGET_LEN, 3),
            (8, 16 << 20, 8),
            (100, 16 << 20, 15),
            (100, MAX_IN_MEMORY, 1),
        ] {
            assert_eq!(uploads(jobs, pack_len), expected, "{jobs} of {pack_len}");
        }
    }
}
