//! Builds packs into the spool and sends them while the next is being built.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use crate::fs::TempFile;
use crate::hash::{ObjectKind, PackId};
use crate::pack;
use crate::progress::{Event, Work};

use super::super::meter::{Meter, Way};
use super::super::segment::PackEntries;
use super::super::snapshot::PackRef;
use super::super::transport::Body;
use super::super::{Result, layout};
use super::Task;
use super::build::build;
use super::plan::Plan;
use super::spool::Spool;
use super::survey::Survey;

/// Three packs being sent and one being built are 256 MiB, whatever is asked for.
const MAX_UPLOADS: usize = 3;

/// What was sent.
#[derive(Default)]
pub(super) struct Sent {
    /// The new packs.
    pub(super) packs: Vec<PackEntries>,
    /// Packs of the remote that hold chunks which were not sent again.
    pub(super) used: BTreeMap<PackId, PackRef>,
}

/// A pack that is ready to be sent. Its file goes away with it.
pub(super) struct Built {
    pub(super) temp: TempFile,
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
        let uploads = task.link.jobs.min(MAX_UPLOADS);
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
        let built = build((task, meter), plan, &survey.held, spool, &stop, sender);
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
        let body = Body::File {
            path: built.temp.path().to_path_buf(),
            len: finished.length,
        };
        let pack = PackEntries {
            id: finished.id,
            size: finished.length,
            kind: finished.kind,
            entries: finished.entries,
        };
        let (files, bytes) = content(&pack);
        meter.under_way(pack.size, bytes, || {
            task.link.put(&layout::pack(pack.id), &body)
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
