//! Which bytes of packs to read for some frames: whole packs, or ranges over small gaps.

use std::borrow::Cow;
use std::collections::BTreeMap;

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
/// So many reads are under way at once at most, whatever is asked for: each may hold a frame in memory.
const MAX_AT_ONCE: usize = 32;
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
        let gap = place.offset.saturating_sub(self.end());
        let len = self.end().max(place.end()) - self.offset;
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

/// Does work to every read, several at once.
pub(super) fn map<R: Send>(
    link: &Link<'_>,
    reads: Vec<Read>,
    work: impl Fn(Read) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    parallel::map(reads, link.jobs.min(MAX_AT_ONCE), link.interrupt, work)
}

/// Reads all of these places, in any order; one that does not hold what it should yields nothing.
pub(super) fn all(
    link: &Link<'_>,
    catalog: &Catalog,
    places: Vec<Located>,
) -> Result<Vec<(Located, Option<Vec<u8>>)>> {
    link.check_interrupt()?;
    let found = map(link, plan(catalog, places), |read| {
        each(link, catalog, &read, &|place, raw| {
            Ok((*place, raw.map(Cow::into_owned)))
        })
    })?;
    Ok(found.into_iter().flatten().collect())
}

/// Reads what a plan says, and hands over each object as soon as it has come; nothing for a place that
/// does not hold what it should.
pub(super) fn each<R>(
    link: &Link<'_>,
    catalog: &Catalog,
    read: &Read,
    take: &impl Fn(&Located, Option<Cow<'_, [u8]>>) -> Result<R>,
) -> Result<Vec<R>> {
    let key = layout::pack(catalog.pack(&read.places[0]).id);
    let mut window = Window::new(read);
    let mut taken = Vec::with_capacity(read.places.len());
    let whole = link.stream(&key, (read.offset, read.len), &mut |part| {
        let (places, start, bytes) = window.grow(part);
        for place in places {
            let frame = frame(place, start, bytes);
            let raw = frame.map(|frame| decode_frame(&place.entry, frame));
            let raw = raw.transpose().unwrap_or_else(|error| {
                link.note_damage(&key, &error.to_string());
                None
            });
            taken.push(take(place, raw)?);
        }
        window.shrink();
        Ok(())
    })?;
    if !whole {
        for place in window.rest {
            taken.push(take(place, None)?);
        }
    }
    Ok(taken)
}

/// The bytes of a frame in those of its pack from `start` on.
fn frame<'a>(place: &Located, start: u64, bytes: &'a [u8]) -> Option<&'a [u8]> {
    let start = usize::try_from(place.offset - start).ok()?;
    bytes.get(start..start + place.entry.stored_len as usize)
}

/// What has come of a read, from the first frame on that was not whole yet.
struct Window<'a> {
    /// Where in the pack the bytes begin.
    start: u64,
    bytes: Vec<u8>,
    /// What was not handed over yet.
    rest: &'a [Located],
}

impl<'a> Window<'a> {
    fn new(read: &'a Read) -> Self {
        Self {
            start: read.offset,
            bytes: Vec::new(),
            rest: &read.places,
        }
    }

    /// Takes in more; yields the frames that are whole now, and the bytes that they are in.
    fn grow(&mut self, part: &[u8]) -> (&'a [Located], u64, &[u8]) {
        self.bytes.extend_from_slice(part);
        let end = self.start + self.bytes.len() as u64;
        let is_whole = |place: &&Located| place.end() <= end;
        let count = self.rest.iter().take_while(is_whole).count();
        let (whole, rest) = self.rest.split_at(count);
        self.rest = rest;
        (whole, self.start, &self.bytes)
    }

    /// Gives up the bytes before the next frame.
    fn shrink(&mut self) {
        let next = self.rest.first().map_or(u64::MAX, |place| place.offset);
        let done = next.saturating_sub(self.start).min(self.bytes.len() as u64);
        self.bytes.drain(..done as usize);
        self.start += done;
    }
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
                prop_assert_eq!(read.end(), last.end());
            }
            let read: Vec<_> = reads.into_iter().flat_map(|read| read.places).collect();
            prop_assert_eq!(read, wanted);
        }

        #[test]
        fn frames_are_handed_over_whole_however_they_come(
            lengths in prop::collection::vec(0..400_000_u32, 1..40),
            overlap in 0..3_u64,
            parts in prop::collection::vec(1..1_500_000_usize, 1..8),
        ) {
            let (_, mut places) = pack(&lengths);
            // An index may lie: frames then lie in one another.
            for place in &mut places {
                place.offset -= (place.offset - 32) / 10 * overlap;
            }
            let end = places.iter().map(Located::end).max().unwrap();
            let bytes: Vec<u8> = (0..end).map(|n| (n * n % 251) as u8).collect();
            let read = Read { offset: 32, len: end - 32, places: places.clone() };
            let (mut window, mut most) = (Window::new(&read), 0);
            let (mut rest, mut next) = (&bytes[32..], parts.iter().cycle());
            let mut handed = Vec::new();
            while !rest.is_empty() {
                let (part, later) = rest.split_at(rest.len().min(*next.next().unwrap()));
                let (whole, start, held) = window.grow(part);
                most = most.max(held.len());
                for place in whole {
                    let frame = frame(place, start, held).unwrap();
                    prop_assert_eq!(frame, &bytes[place.offset as usize..place.end() as usize]);
                }
                handed.extend_from_slice(whole);
                window.shrink();
                rest = later;
            }
            if end > 32 {
                prop_assert_eq!(handed, places);
            }
            prop_assert!(overlap > 0 || most < 1_500_000 + 400_000);
        }
    }
}
