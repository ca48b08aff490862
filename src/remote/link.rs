//! One conversation with a remote: its transport, how much at once, whether to stop, and how
//! many bytes went each way.
//!
//! What a remote holds are hints. An object that is not what it should be is noted and then
//! treated as if it were not there; only what the connection says is an error.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use crate::fs;
use crate::hash::{Digest, PackId, RootsKey, SegmentId, SnapshotId};
use crate::pack;
use crate::progress::Interrupt;

use super::format::{Access, Format, Refusal};
use super::gc::log::{Log, Record, UNKNOWN_KIND};
use super::reads::cost;
use super::segment::{self, PackEntries};
use super::snapshot::{PackRef, Snapshot};
use super::transport::{Listed, Take, Traffic, Transport, Writing};
use super::{Error, Remote, Result, layout, parallel, probe};

/// The most snapshots that are read in search of a root.
const MAX_SNAPSHOTS: usize = 1_000;
/// The most snapshots of one key that are read.
const MAX_TWINS: usize = 64;

/// For more keys than this, one listing of all snapshots is cheaper than one for each.
const MANY_KEYS: usize = 64;

/// A conversation.
pub(super) struct Link<'a> {
    remote: &'a Remote,
    pub(super) jobs: usize,
    pub(super) interrupt: &'a Interrupt,
    received: AtomicU64,
    sent: AtomicU64,
    written: AtomicU64,
    /// Whether the store itself keeps two writers apart; the probe says.
    exclusive: AtomicBool,
    damage: Mutex<BTreeMap<String, String>>,
}

impl<'a> Link<'a> {
    pub(super) fn new(remote: &'a Remote, jobs: usize, interrupt: &'a Interrupt) -> Self {
        Self {
            remote,
            jobs: jobs.max(1),
            interrupt,
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            written: AtomicU64::new(0),
            exclusive: AtomicBool::new(true),
            damage: Mutex::default(),
        }
    }

    /// What has gone over the line, if the transport counts it while it goes.
    pub(super) fn traffic(&self) -> Option<&Traffic> {
        self.remote.transport.traffic()
    }

    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::SeqCst)
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    /// How many objects were written.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::SeqCst)
    }

    /// Objects that are not what they should be, with the reasons.
    pub(super) fn damage(&self) -> Vec<(String, String)> {
        let damage = self.damage.lock().unwrap_or_else(PoisonError::into_inner);
        damage.clone().into_iter().collect()
    }

    /// Forgets what is not as it should be: it is looked at again.
    pub(super) fn forget_damage(&self) {
        let mut damage = self.damage.lock().unwrap_or_else(PoisonError::into_inner);
        damage.clear();
    }

    pub(super) fn note_damage(&self, key: &str, reason: &str) {
        let mut damage = self.damage.lock().unwrap_or_else(PoisonError::into_inner);
        damage
            .entry(key.to_owned())
            .or_insert_with(|| reason.to_owned());
    }

    /// Stops here if somebody asked.
    pub(super) fn check_interrupt(&self) -> Result<()> {
        match self.interrupt.is_requested() {
            true => Err(Error::Interrupted),
            false => Ok(()),
        }
    }

    /// Does work to every item, as many at once as this conversation may.
    pub(super) fn map<T: Send, R: Send>(
        &self,
        items: Vec<T>,
        work: impl Fn(T) -> Result<R> + Sync,
    ) -> Result<Vec<R>> {
        parallel::map(items, self.jobs, self.interrupt, work)
    }

    /// Refuses a remote that nobody can push to.
    pub(super) fn check_writable(&self) -> Result<()> {
        match self.transport().writing()? {
            Writing::Never => Err(Error::ReadOnly {
                remote: self.remote.address.name.clone(),
                url: self.remote.address.url.clone(),
            }),
            Writing::Exclusive | Writing::Unproven(_) => Ok(()),
        }
    }

    /// Finds out, or remembers, how this store keeps writers apart.
    pub(super) fn prepare_writes(&self, memory: &Path) -> Result<()> {
        let exclusive = probe::is_exclusive(self.transport(), memory)?;
        self.exclusive.store(exclusive, Ordering::SeqCst);
        Ok(())
    }

    /// Writes an object unless it is there. Where the store does not keep writers apart, a look
    /// goes before: what two of them still write at once under one name has the same bytes, but
    /// for `format.json`, of which any will do.
    pub(super) fn put(&self, key: &str, body: &Bytes) -> Result<bool> {
        let is_exclusive = self.exclusive.load(Ordering::SeqCst);
        if !is_exclusive && self.transport().head(key)?.is_some() {
            return Ok(false);
        }
        let written = self.transport().put_if_absent(key, body)?;
        if written {
            self.sent.fetch_add(body.len() as u64, Ordering::SeqCst);
            self.written.fetch_add(1, Ordering::SeqCst);
        }
        Ok(written)
    }

    /// Reads a part of an object; one that is too short for it is noted.
    pub(super) fn range(&self, key: &str, offset: u64, len: u64) -> Result<Option<Bytes>> {
        self.tolerate(self.transport().get_range(key, offset, len))
    }

    /// Hands over a part of an object as it comes, and says whether all of it did. An object that is
    /// not there or too short is noted.
    pub(super) fn stream(
        &self,
        key: &str,
        (offset, len): (u64, u64),
        take: &mut Take<'_>,
    ) -> Result<bool> {
        let came = self.transport().stream(key, offset, len, &mut |part| {
            self.count_received(part);
            take(part)
        });
        match came {
            Ok(false) => self.note_damage(key, "it is not there"),
            Err(Error::Damaged { object, reason, .. }) => {
                self.note_damage(&object, &reason);
                return Ok(false);
            }
            _ => {}
        }
        came
    }

    /// What the remote is; `None` if it is empty.
    pub(super) fn format(&self, access: Access) -> Result<Option<Format>> {
        let Some(bytes) = self.transport().get(layout::FORMAT)? else {
            return Ok(None);
        };
        match Format::decode(&bytes, access) {
            Ok(format) => Ok(Some(format)),
            Err(Refusal::TooNew(reason)) => Err(self.too_new(reason)),
            Err(Refusal::Damaged(reason)) => Err(Error::Damaged {
                remote: self.remote.address.name.clone(),
                object: layout::FORMAT.to_owned(),
                reason,
            }),
        }
    }

    /// Reads the records of the log that `log` does not have yet.
    ///
    /// Nothing here is a hint: who cannot read a record does not know what he may rely on.
    pub(super) fn read_log(&self, log: &mut Log) -> Result<()> {
        // Who can only read by name relies on nothing that a collection removes: it looks again.
        if !self.transport().can_list() {
            return Ok(());
        }
        let mut numbers = self.log_numbers()?;
        numbers.retain(|number| *number > log.number);
        let first = log.number + 1;
        if numbers
            .iter()
            .ne((first..).take(numbers.len()).collect::<Vec<_>>().iter())
        {
            return Err(self.log_damage(first, "it is missing, and later ones are there"));
        }
        let records = self.map(numbers, |number| {
            let bytes = self.transport().get(&layout::log(number))?;
            let bytes = bytes.ok_or_else(|| self.log_damage(number, "it is gone"))?;
            self.count_received(&bytes);
            Record::decode(number, &bytes).map_err(|reason| match reason {
                UNKNOWN_KIND => self.too_new(reason.to_owned()),
                reason => self.log_damage(number, reason),
            })
        })?;
        records.into_iter().for_each(|record| log.push(record));
        Ok(())
    }

    /// Appends a record to the log if nobody has since it was read; says whether it stands there.
    pub(super) fn append_log(&self, log: &mut Log, record: Record) -> Result<bool> {
        let number = log.number + 1;
        let key = layout::log(number);
        let bytes = Bytes::from(record.encode(number, fs::random_bytes()));
        // After a lost answer the one who won is told that he lost, so the bytes decide.
        let ours = self.put(&key, &bytes)?
            || self
                .transport()
                .get(&key)?
                .is_some_and(|found| found == bytes);
        if ours {
            log.push(record);
        }
        Ok(ours)
    }

    /// When each record of the log was written, in seconds since 1970.
    pub(super) fn log_times(&self) -> Result<BTreeMap<u64, u64>> {
        let listed = self.transport().list(layout::GC_LOG)?;
        let times = listed.iter().filter_map(|object| {
            let number = layout::parse_log(&object.key)?;
            Some((number, object.modified))
        });
        Ok(times.collect())
    }

    /// All snapshots but those that the log has dropped, and the keys of these. None may be passed
    /// over: who cannot read one does not know what it keeps.
    pub(super) fn live_snapshots(
        &self,
        log: &Log,
    ) -> Result<(BTreeMap<SnapshotId, Snapshot>, Vec<String>)> {
        let names = self.snapshot_names(layout::SNAPSHOTS)?;
        let (dropped, live): (Vec<_>, Vec<_>) = names
            .into_iter()
            .partition(|(_, id)| log.dropped.contains(id));
        let read = self.map(live, |(key, id)| {
            let object = layout::snapshot(key, id);
            let damaged = |reason: &str| Error::Damaged {
                remote: self.remote.address.name.clone(),
                object: object.clone(),
                reason: reason.to_owned(),
            };
            let bytes = self.transport().get(&object)?;
            let bytes = bytes.ok_or_else(|| damaged("it was listed and is gone"))?;
            self.count_received(&bytes);
            let snapshot = Snapshot::decode(key, id, &bytes).map_err(damaged)?;
            Ok((id, snapshot))
        })?;
        let dropped = dropped
            .into_iter()
            .map(|(key, id)| layout::snapshot(key, id));
        Ok((read.into_iter().collect(), dropped.collect()))
    }

    /// Those of the snapshots that the log has not dropped which can be read.
    pub(super) fn readable_snapshots(&self, log: &Log) -> Result<BTreeMap<SnapshotId, Snapshot>> {
        let mut names = self.snapshot_names(layout::SNAPSHOTS)?;
        names.retain(|(_, id)| !log.dropped.contains(id));
        let read = self.map(names, |(key, id)| {
            let object = layout::snapshot(key, id);
            let read = self.hint(&object, |bytes| Snapshot::decode(key, id, bytes))?;
            Ok(read.map(|snapshot| (id, snapshot)))
        })?;
        Ok(read.into_iter().flatten().collect())
    }

    /// All packs that are there.
    pub(super) fn listed_packs(&self) -> Result<BTreeMap<PackId, Listed>> {
        let listed = self.transport().list(layout::PACKS)?.into_iter();
        let packs = listed.filter_map(|object| Some((layout::parse_pack(&object.key)?, object)));
        Ok(packs.collect())
    }

    /// All index segments that can be read, with their keys.
    pub(super) fn segments_by_key(&self) -> Result<Vec<(String, Vec<PackEntries>)>> {
        let listed = self.transport().list(layout::SEGMENTS)?;
        let ids = listed
            .iter()
            .filter_map(|object| layout::parse_segment(&object.key));
        self.map(ids.collect(), |id| {
            Ok((layout::segment(id), self.segment(id)?))
        })
    }

    /// The index of a pack of which the name alone is known; `None` if it is gone.
    pub(super) fn unlisted_index(&self, id: PackId) -> Result<Option<PackEntries>> {
        match self.transport().head(&layout::pack(id))? {
            Some(size) => self.own_index(id, size),
            None => Ok(None),
        }
    }

    /// The index of a pack of which the length alone is known, read from its end.
    pub(super) fn own_index(&self, id: PackId, size: u64) -> Result<Option<PackEntries>> {
        let key = layout::pack(id);
        let trailer_len = pack::TRAILER_LEN as u64;
        let Some(offset) = size.checked_sub(trailer_len) else {
            self.note_damage(&key, "it is too short");
            return Ok(None);
        };
        let trailer = self.range(&key, offset, trailer_len)?;
        let trailer = trailer.as_deref().and_then(|bytes| bytes.first_chunk());
        let Some(count) = trailer.and_then(pack::announced_entries) else {
            self.note_damage(&key, "it does not end as a pack does");
            return Ok(None);
        };
        // Only its header says the kind; any pack may hold what a mixed one may.
        let pack = PackRef {
            id,
            count,
            kind: pack::PackKind::Mixed,
            size,
            low: String::new(),
            high: String::new(),
        };
        let index = self.index(&pack)?;
        Ok(index.map(|index| PackEntries::of(&pack, &index)))
    }

    /// Whether names can be listed.
    pub(super) fn can_list(&self) -> bool {
        self.transport().can_list()
    }

    /// Removes an object.
    pub(super) fn delete(&self, key: &str) -> Result<()> {
        self.transport().delete(key)
    }

    fn log_numbers(&self) -> Result<Vec<u64>> {
        let listed = self.transport().list(layout::GC_LOG)?;
        let numbers = listed
            .iter()
            .filter_map(|object| layout::parse_log(&object.key));
        Ok(numbers.collect())
    }

    fn log_damage(&self, number: u64, reason: &str) -> Error {
        Error::Damaged {
            remote: self.remote.address.name.clone(),
            object: layout::log(number),
            reason: reason.to_owned(),
        }
    }

    fn count_received(&self, bytes: &[u8]) {
        let length = bytes.len() as u64;
        self.received.fetch_add(length, Ordering::SeqCst);
    }

    /// All packs that are there, with their sizes.
    pub(super) fn packs(&self) -> Result<HashMap<PackId, u64>> {
        let listed = self.transport().list(layout::PACKS)?;
        let packs = listed.iter().filter_map(|object| {
            let id = layout::parse_pack(&object.key)?;
            Some((id, object.size))
        });
        Ok(packs.collect())
    }

    /// All snapshots of these keys that the log has not dropped, in the order of the keys.
    pub(super) fn snapshots_of(&self, keys: Vec<RootsKey>, log: &Log) -> Result<Vec<Snapshot>> {
        let mut listed = if !self.transport().can_list() {
            self.map(keys, |key| Ok(self.head_of(key)?.into_iter().collect()))?
        } else if keys.len() > MANY_KEYS {
            let mut listed: BTreeMap<RootsKey, Vec<_>> = BTreeMap::new();
            for (key, id) in self.snapshot_names(layout::SNAPSHOTS)? {
                listed.entry(key).or_default().push((key, id));
            }
            let of_key = |key| listed.remove(key).unwrap_or_default();
            keys.iter().map(of_key).collect::<Vec<_>>()
        } else {
            self.map(keys, |key| self.snapshot_names(&layout::snapshots_of(key)))?
        };
        for names in &mut listed {
            names.retain(|(_, id)| !log.dropped.contains(id));
            names.truncate(MAX_TWINS);
        }
        self.read_snapshots(listed.concat())
    }

    /// Snapshots of any key, as many as may be read.
    pub(super) fn all_snapshots(&self) -> Result<Vec<Snapshot>> {
        let mut names = self.snapshot_names(layout::SNAPSHOTS)?;
        names.truncate(MAX_SNAPSHOTS);
        self.read_snapshots(names)
    }

    /// All index segments.
    pub(super) fn segments(&self) -> Result<Vec<PackEntries>> {
        self.read_segments(self.listed_segments()?)
    }

    /// What these packs hold, as far as it can be read: from the index of each, or from the index
    /// segments, whichever is less to ask for and to read.
    pub(super) fn entries(&self, packs: Vec<PackRef>) -> Result<Vec<PackEntries>> {
        let mut rest: BTreeMap<_, _> = packs.into_iter().map(|pack| (pack.id, pack)).collect();
        let mut entries = Vec::new();
        // The list and one segment are two requests.
        if rest.len() > 2 {
            let listed = self.listed_segments()?;
            let of_segments = listed.iter().map(|segment| segment.size);
            let of_packs = rest.values().map(|pack| pack::tail_len(pack.count));
            if cost(of_segments) < cost(of_packs) {
                entries = self.read_segments(listed)?;
                entries.retain(|pack| rest.get(&pack.id).is_some_and(|wanted| pack.is(wanted)));
                entries.iter().for_each(|pack| drop(rest.remove(&pack.id)));
            }
        }
        let read = self.map(rest.into_values().collect(), |pack| {
            let index = self.index(&pack)?;
            Ok(index.map(|index| PackEntries::of(&pack, &index)))
        })?;
        entries.extend(read.into_iter().flatten());
        Ok(entries)
    }

    fn listed_segments(&self) -> Result<Vec<Listed>> {
        if !self.transport().can_list() {
            return Ok(Vec::new());
        }
        self.transport().list(layout::SEGMENTS)
    }

    fn read_segments(&self, listed: Vec<Listed>) -> Result<Vec<PackEntries>> {
        let ids = listed
            .iter()
            .filter_map(|object| layout::parse_segment(&object.key));
        let read = self.map(ids.collect(), |id| self.segment(id))?;
        Ok(read.into_iter().flatten().collect())
    }

    /// The index of a pack, read from its end alone.
    pub(super) fn index(&self, pack: &PackRef) -> Result<Option<pack::Index>> {
        let key = layout::pack(pack.id);
        let length = pack::tail_len(pack.count);
        let Some(offset) = pack.size.checked_sub(length) else {
            return Ok(None);
        };
        let Some(tail) = self.range(&key, offset, length)? else {
            self.note_damage(&key, "it is not there");
            return Ok(None);
        };
        match pack::Index::decode_tail(&tail, pack.size) {
            Ok(index) => Ok(Some(index)),
            Err(error) => {
                self.note_damage(&key, &error.to_string());
                Ok(None)
            }
        }
    }

    /// Writes under a fixed name which snapshot of a key is the newest, for readers that cannot
    /// list. It is a convenience: a push that cannot write it is whole all the same.
    pub(super) fn put_head(&self, key: RootsKey, id: SnapshotId) {
        let body = Bytes::from(format!("{id}\n"));
        let _ = self.transport().put(&layout::head_of(key), &body);
    }

    fn head_of(&self, key: RootsKey) -> Result<Option<(RootsKey, SnapshotId)>> {
        let id = self.hint(&layout::head_of(key), |bytes| {
            let text = std::str::from_utf8(bytes).ok();
            let id = text.and_then(|text| text.trim_end().parse().ok());
            id.ok_or("it does not name a snapshot")
        })?;
        Ok(id.map(|id| (key, id)))
    }

    fn snapshot_names(&self, prefix: &str) -> Result<Vec<(RootsKey, SnapshotId)>> {
        if !self.transport().can_list() {
            return Ok(Vec::new());
        }
        let listed = self.transport().list(prefix)?;
        let names = listed.iter();
        Ok(names
            .filter_map(|object| layout::parse_snapshot(&object.key))
            .collect())
    }

    fn read_snapshots(&self, names: Vec<(RootsKey, SnapshotId)>) -> Result<Vec<Snapshot>> {
        let read = self.map(names, |(key, id)| {
            let object = layout::snapshot(key, id);
            self.hint(&object, |bytes| Snapshot::decode(key, id, bytes))
        })?;
        Ok(read.into_iter().flatten().collect())
    }

    fn segment(&self, id: SegmentId) -> Result<Vec<PackEntries>> {
        let packs = self.hint(&layout::segment(id), |bytes| {
            if Digest::of(bytes) == id.0 {
                segment::decode(bytes)
            } else {
                Err("its name is not its hash")
            }
        })?;
        Ok(packs.unwrap_or_default())
    }

    fn hint<T>(
        &self,
        key: &str,
        decode: impl FnOnce(&[u8]) -> super::decode::Decoded<T>,
    ) -> Result<Option<T>> {
        let Some(bytes) = self.tolerate(self.transport().get(key))? else {
            return Ok(None);
        };
        let decoded = decode(&bytes).inspect_err(|reason| self.note_damage(key, reason));
        Ok(decoded.ok())
    }

    fn tolerate(&self, read: Result<Option<Bytes>>) -> Result<Option<Bytes>> {
        match read {
            Ok(read) => {
                read.iter().for_each(|bytes| self.count_received(bytes));
                Ok(read)
            }
            Err(Error::Damaged { object, reason, .. }) => {
                self.note_damage(&object, &reason);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// What the remote does that its protocol does not allow.
    pub(super) fn protocol(&self, detail: &str) -> Error {
        Error::Protocol {
            remote: self.remote.address.name.clone(),
            detail: detail.to_owned(),
        }
    }

    fn too_new(&self, reason: String) -> Error {
        Error::TooNew {
            remote: self.remote.address.name.clone(),
            reason,
        }
    }

    pub(super) fn transport(&self) -> &dyn Transport {
        &*self.remote.transport
    }
}
