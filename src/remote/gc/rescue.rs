//! Brings what is needed out of packs that go away.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use bytes::Bytes;

use crate::fs;
use crate::hash::{ObjectId, ObjectKind, PackId};
use crate::pack::{Entry, Frame, PackKind, Writer};
use crate::progress::{Event, Progress, Work};
use crate::remote::catalog::{Catalog, Located};
use crate::remote::link::Link;
use crate::remote::segment::{self, PackEntries};
use crate::remote::{Result, layout, reads};

use super::look::Look;

/// The longest pack that is made here: it is built in memory, so that a full disk is no obstacle.
const PACK_LEN: u64 = 32 << 20;

/// What was brought to safety.
#[derive(Default)]
pub(super) struct Rescued {
    /// For each pack that goes away, where what is needed of it lies.
    pub(super) moves: Vec<(PackId, PackId)>,
    /// Packs that must stay, since something needed in them can be read nowhere.
    pub(super) stuck: BTreeSet<PackId>,
    /// How many objects were copied.
    pub(super) objects: u64,
}

/// An object, and for the root of a recipe which of those for its file.
type Key = (ObjectId, Option<(u32, u32)>);

/// Finds out where the needed objects of these packs lie besides, and copies those that lie
/// nowhere else, or only where they cannot be read.
pub(super) fn rescue(
    link: &Link<'_>,
    look: &Look,
    live: &HashSet<ObjectId>,
    sweep: &Catalog,
    progress: &dyn Progress,
) -> Result<Rescued> {
    let needed: Vec<Located> = sweep
        .all()
        .filter(|place| live.contains(&place.entry.id))
        .copied()
        .collect();
    if needed.is_empty() {
        return Ok(Rescued::default());
    }
    let bytes = needed
        .iter()
        .map(|place| u64::from(place.entry.raw_len))
        .sum();
    progress.event(Event::Started {
        work: Work::Upload,
        files: needed.len() as u64,
        bytes,
    });
    let rescued = find_and_copy(link, look, sweep, &needed, progress);
    progress.event(Event::Finished);
    rescued
}

fn find_and_copy(
    link: &Link<'_>,
    look: &Look,
    sweep: &Catalog,
    needed: &[Located],
    progress: &dyn Progress,
) -> Result<Rescued> {
    let mut homes = find_homes(link, look, needed)?;
    let mut copies = Copies::new(link);
    let homeless: BTreeMap<Key, Located> = needed
        .iter()
        .filter(|place| !homes.contains_key(&key(&place.entry)))
        .map(|place| (key(&place.entry), *place))
        .collect();
    for places in reads::batches(homeless.into_values()) {
        for (place, raw) in reads::all(link, sweep, places)? {
            if let Some(raw) = raw {
                copies.add(Frame::encode(place.entry.id, raw)?, key(&place.entry))?;
            }
            let bytes = place.entry.raw_len.into();
            progress.event(Event::Advanced { files: 1, bytes });
        }
    }
    let objects = copies.publish(&mut homes)?;
    let mut rescued = Rescued {
        objects,
        ..Rescued::default()
    };
    let mut moves = BTreeSet::new();
    for place in needed {
        let from = sweep.pack(place).id;
        match homes.get(&key(&place.entry)) {
            Some(to) => {
                moves.insert((from, *to));
            }
            None => {
                rescued.stuck.insert(from);
            }
        }
    }
    rescued.moves = moves.into_iter().collect();
    Ok(rescued)
}

/// The packs nobody condemned from which the objects can really be read.
fn find_homes(link: &Link<'_>, look: &Look, needed: &[Located]) -> Result<HashMap<Key, PackId>> {
    let keys: BTreeSet<Key> = needed.iter().map(|place| key(&place.entry)).collect();
    let mut homes = HashMap::new();
    for turn in 0.. {
        let place = |wanted: &Key| {
            let mut places = look
                .good_places(wanted.0)
                .filter(|place| key(&place.entry) == *wanted);
            places.nth(turn).copied()
        };
        let rest = keys.iter().filter(|key| !homes.contains_key(*key));
        let places: Vec<Located> = rest.filter_map(place).collect();
        if places.is_empty() {
            break;
        }
        for places in reads::batches(places) {
            for (place, raw) in reads::all(link, &look.catalog, places)? {
                if raw.is_some() {
                    homes.insert(key(&place.entry), look.catalog.pack(&place).id);
                }
            }
        }
    }
    Ok(homes)
}

/// Only equal roots of recipes stand for each other: their id does not name their bytes.
fn key(entry: &Entry) -> Key {
    let is_root = entry.id.kind == ObjectKind::RecipeRoot;
    (entry.id, is_root.then_some((entry.raw_len, entry.crc)))
}

/// New packs for what is copied, one open for each kind.
struct Copies<'a> {
    link: &'a Link<'a>,
    open: BTreeMap<PackKind, (Writer<Vec<u8>>, Vec<Key>)>,
    sent: Vec<(PackEntries, Vec<Key>)>,
}

impl<'a> Copies<'a> {
    fn new(link: &'a Link<'a>) -> Self {
        Self {
            link,
            open: BTreeMap::new(),
            sent: Vec::new(),
        }
    }

    fn add(&mut self, frame: Frame<'_>, key: Key) -> Result<()> {
        let kind = match frame.entry.id.kind {
            ObjectKind::Blob => PackKind::Blobs,
            ObjectKind::Chunk => PackKind::Chunks,
            _ => PackKind::Meta,
        };
        let full =
            |(writer, _): &(Writer<_>, _)| !writer.has_room(frame.entry.stored_len, PACK_LEN);
        if self.open.get(&kind).is_some_and(full) {
            self.send(kind)?;
        }
        let (writer, keys) = match self.open.entry(kind) {
            std::collections::btree_map::Entry::Occupied(open) => open.into_mut(),
            std::collections::btree_map::Entry::Vacant(free) => free.insert((
                Writer::new(Vec::new(), kind, fs::random_bytes())?,
                Vec::new(),
            )),
        };
        writer.add(&frame)?;
        keys.push(key);
        Ok(())
    }

    fn send(&mut self, kind: PackKind) -> Result<()> {
        let Some((writer, keys)) = self.open.remove(&kind) else {
            return Ok(());
        };
        let (finished, bytes) = writer.finish()?;
        let body = Bytes::from(bytes);
        self.link.put(&layout::pack(finished.id), &body)?;
        let pack = PackEntries {
            id: finished.id,
            size: finished.length,
            kind,
            entries: finished.entries,
        };
        self.sent.push((pack, keys));
        Ok(())
    }

    /// Sends what is still open, and the segment that lists all of it. Says how many objects.
    fn publish(mut self, homes: &mut HashMap<Key, PackId>) -> Result<u64> {
        for kind in [PackKind::Blobs, PackKind::Chunks, PackKind::Meta] {
            self.send(kind)?;
        }
        let mut objects = 0;
        for (pack, keys) in &self.sent {
            objects += keys.len() as u64;
            homes.extend(keys.iter().map(|key| (*key, pack.id)));
        }
        let packs: Vec<_> = self.sent.into_iter().map(|(pack, _)| pack).collect();
        if !packs.is_empty() {
            let (id, bytes) = segment::encode(&packs);
            self.link.put(&layout::segment(id), &Bytes::from(bytes))?;
        }
        Ok(objects)
    }
}
