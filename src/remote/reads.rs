//! Which bytes of packs to read for some frames: whole packs, or ranges over small gaps.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::pack::decode_frame;

use super::catalog::{Catalog, Located};
use super::link::Link;
use super::{Result, layout, parallel};

/// A gap of so many bytes costs less than another request.
const MAX_GAP: u64 = 1 << 20;
/// The longest range, unless a pack is read whole.
const MAX_RANGE: u64 = 16 << 20;
/// When so many hundredths of a pack are needed, it is read whole.
const WHOLE_PERCENT: u64 = 60;
/// How much may be in memory at once, whatever is asked for.
const MAX_IN_FLIGHT: u64 = 256 << 20;
/// About how much is read at once by those who look at much of a remote.
const BATCH_BYTES: u64 = 32 << 20;

/// One range of one pack, and the frames in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) offset: u64,
    pub(super) len: u64,
    /// Never empty, all of one pack.
    pub(super) places: Vec<Located>,
}

impl Read {
    fn new(place: Located) -> Self {
        Self {
            offset: place.offset,
            len: u64::from(place.entry.stored_len),
            places: vec![place],
        }
    }

    fn end(&self) -> u64 {
        self.offset + self.len
    }

    /// Takes in a frame behind it in the same pack, if it is near and the range stays short.
    fn join(&mut self, place: Located, max_gap: u64, max_range: u64) -> bool {
        let end = place.offset + u64::from(place.entry.stored_len);
        let gap = place.offset.saturating_sub(self.end());
        let len = self.end().max(end) - self.offset;
        if gap > max_gap || len > max_range {
            return false;
        }
        self.len = len;
        self.places.push(place);
        true
    }
}

/// Parts of a list whose objects together are about as long as is read at once.
pub(super) fn batches(places: impl IntoIterator<Item = Located>) -> Vec<Vec<Located>> {
    let mut batches: Vec<Vec<Located>> = Vec::new();
    let mut bytes = u64::MAX;
    for place in places {
        let length = u64::from(place.entry.raw_len.max(place.entry.stored_len));
        if bytes.saturating_add(length) > BATCH_BYTES {
            batches.push(Vec::new());
            bytes = 0;
        }
        bytes += length;
        batches.last_mut().expect("one was pushed").push(place);
    }
    batches
}

/// What it costs to read objects of these lengths: each is a request as well.
pub(super) fn cost(lengths: impl Iterator<Item = u64>) -> u64 {
    lengths.map(|length| length + MAX_GAP).sum()
}

/// Plans the reads for frames in any order.
pub(super) fn plan(catalog: &Catalog, places: Vec<Located>) -> Vec<Read> {
    let mut by_pack: BTreeMap<u32, Vec<Located>> = BTreeMap::new();
    for place in places {
        by_pack.entry(place.pack).or_default().push(place);
    }
    let mut reads = Vec::new();
    for mut places in by_pack.into_values() {
        places.sort_unstable_by_key(|place| place.offset);
        let size = catalog.pack(&places[0]).size;
        let needed: u64 = places
            .iter()
            .map(|place| u64::from(place.entry.stored_len))
            .sum();
        let (max_gap, max_range) = match needed * 100 >= size * WHOLE_PERCENT {
            true => (u64::MAX, u64::MAX),
            false => (MAX_GAP, MAX_RANGE),
        };
        let first = reads.len();
        for place in places {
            let last = reads[first..].last_mut();
            if !last.is_some_and(|read: &mut Read| read.join(place, max_gap, max_range)) {
                reads.push(Read::new(place));
            }
        }
    }
    reads
}

/// Does work to every read, as many at once as memory allows.
pub(super) fn map<R: Send>(
    link: &Link<'_>,
    reads: Vec<Read>,
    work: impl Fn(Read) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let longest = reads.iter().map(|read| read.len).max().unwrap_or(0).max(1);
    let fitting = usize::try_from(MAX_IN_FLIGHT / longest).unwrap_or(usize::MAX);
    let jobs = link.jobs.min(fitting.max(1));
    parallel::map(reads, jobs, link.interrupt, work)
}

/// Reads what a plan says; `None` if it is not there.
pub(super) fn read(link: &Link<'_>, catalog: &Catalog, read: &Read) -> Result<Option<Bytes>> {
    let key = layout::pack(catalog.pack(&read.places[0]).id);
    link.range(&key, read.offset, read.len)
}

/// Takes the bytes of a frame out of what was read.
pub(super) fn frame<'a>(read: &Read, place: &Located, bytes: &'a [u8]) -> Option<&'a [u8]> {
    let start = usize::try_from(place.offset - read.offset).ok()?;
    bytes.get(start..start + place.entry.stored_len as usize)
}

/// Reads all of these places, in any order; one that does not hold what it should yields nothing.
pub(super) fn all(
    link: &Link<'_>,
    catalog: &Catalog,
    places: Vec<Located>,
) -> Result<Vec<(Located, Option<Vec<u8>>)>> {
    link.check_interrupt()?;
    let found = map(link, plan(catalog, places), |planned| {
        let bytes = read(link, catalog, &planned)?;
        let take = |place: &Located| {
            let raw = decode(link, catalog, &planned, place, bytes.as_deref());
            (*place, raw)
        };
        Ok(planned.places.iter().map(take).collect::<Vec<_>>())
    })?;
    Ok(found.into_iter().flatten().collect())
}

/// Takes an object out of what was read, if it is that object.
pub(super) fn decode(
    link: &Link<'_>,
    catalog: &Catalog,
    read: &Read,
    place: &Located,
    bytes: Option<&[u8]>,
) -> Option<Vec<u8>> {
    let decoded = decode_frame(&place.entry, frame(read, place, bytes?)?);
    let noted = decoded.inspect_err(|error| {
        let key = layout::pack(catalog.pack(place).id);
        link.note_damage(&key, &error.to_string());
    });
    noted.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::{Digest, ObjectId, ObjectKind, PackId};
    use crate::pack::{Codec, Entry, PackKind};
    use crate::remote::segment::PackEntries;
    use proptest::prelude::*;

    /// A pack with frames of these lengths; the places of all of them.
    fn pack(lengths: &[u32]) -> (Catalog, Vec<Located>) {
        let entries: Vec<_> = (0_u64..)
            .zip(lengths)
            .map(|(number, length)| Entry {
                id: ObjectId::new(ObjectKind::Chunk, Digest::of(&number.to_le_bytes())),
                stored_len: *length,
                raw_len: *length,
                codec: Codec::Raw,
                crc: 0,
            })
            .collect();
        let stored: u64 = lengths.iter().map(|length| u64::from(*length)).sum();
        let mut catalog = Catalog::default();
        catalog.extend([PackEntries {
            id: PackId(Digest::of(b"pack")),
            size: 96 + stored + 48 * lengths.len() as u64,
            kind: PackKind::Chunks,
            entries: entries.clone(),
        }]);
        let places = entries
            .iter()
            .map(|entry| catalog.find(entry.id)[0])
            .collect();
        (catalog, places)
    }

    const MIB: u32 = 1 << 20;

    #[test]
    fn a_pack_that_is_mostly_needed_is_read_whole() {
        let (catalog, places) = pack(&[4 * MIB; 10]);
        let most = [0, 1, 2, 6, 7, 8, 9].map(|number| places[number]).to_vec();
        let reads = plan(&catalog, most);
        assert_eq!(reads.len(), 1);
        assert_eq!((reads[0].offset, reads[0].len), (32, 40 << 20));
    }

    #[test]
    fn ranges_are_merged_over_small_gaps_only() {
        let (catalog, places) = pack(&[MIB, MIB / 2, MIB, 2 * MIB, MIB, 40 * MIB]);
        let some = [0, 2, 4].map(|number| places[number]).to_vec();
        let reads = plan(&catalog, some);
        let spans: Vec<_> = reads.iter().map(|read| (read.offset, read.len)).collect();
        let mib = u64::from(MIB);
        assert_eq!(spans, [(32, mib * 5 / 2), (32 + mib * 9 / 2, mib)]);
    }

    proptest! {
        #[test]
        fn every_frame_is_read_once_and_inside_its_range(
            lengths in prop::collection::vec(0..3 * MIB, 1..40),
            picked in prop::collection::vec(any::<prop::sample::Index>(), 1..40),
        ) {
            let (catalog, places) = pack(&lengths);
            let mut numbers: Vec<_> = picked.iter().map(|pick| pick.index(places.len())).collect();
            numbers.sort_unstable();
            numbers.dedup();
            let wanted: Vec<_> = numbers.iter().map(|number| places[*number]).collect();
            let reads = plan(&catalog, wanted.clone());
            for read in &reads {
                let last = read.places.last().unwrap();
                prop_assert_eq!(read.offset, read.places[0].offset);
                prop_assert_eq!(read.end(), last.offset + u64::from(last.entry.stored_len));
            }
            let read: Vec<_> = reads.into_iter().flat_map(|read| read.places).collect();
            prop_assert_eq!(read, wanted);
        }
    }
}
