//! The index over all packs of a store: where every object lies. `docs/format.md`, section
//! "Local store".

use std::collections::BTreeSet;

use crate::hash::{Digest, ObjectId, ObjectKind, PackId};
use crate::pack::{Codec, Entry, MAX_LEN, MAX_RAW_LEN};

const MAGIC: &[u8; 8] = b"ESKMIDX1";
const HEADER_LEN: usize = 32;
const ID_LEN: usize = 32;
const ROW_LEN: usize = 48;
/// One count for every value of the first two bytes of an id.
const FANS: usize = 1 << 16;

/// Where one object lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) id: ObjectId,
    /// The number of its pack.
    pub(super) pack: u32,
    pub(super) offset: u32,
    pub(super) stored_len: u32,
    pub(super) raw_len: u32,
    pub(super) codec: Codec,
}

/// Where every object lies, sorted by id. An object that lies in several packs has several rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Midx {
    packs: Vec<PackId>,
    rows: Vec<[u8; ROW_LEN]>,
    /// How many rows begin with these two bytes or less.
    fans: Vec<u32>,
}

impl Default for Midx {
    fn default() -> Self {
        Self {
            packs: Vec::new(),
            rows: Vec::new(),
            fans: vec![0; FANS],
        }
    }
}

impl Midx {
    /// The packs, by number.
    pub(super) fn packs(&self) -> &[PackId] {
        &self.packs
    }

    /// The rows of all objects.
    pub(super) fn rows(&self) -> impl Iterator<Item = Row> {
        self.rows.iter().filter_map(Row::decode)
    }

    /// The rows of one object.
    pub(super) fn find(&self, id: ObjectId) -> impl Iterator<Item = Row> {
        let fan = fan_of(id.digest.as_bytes());
        let end = self.fans[fan] as usize;
        let begin = fan.checked_sub(1).map_or(0, |fan| self.fans[fan] as usize);
        let rows = &self.rows[begin..end];
        let rows = rows[first_of(rows, id.digest)..]
            .iter()
            .map_while(Row::decode);
        rows.take_while(move |row| row.id.digest == id.digest)
            .filter(move |row| row.id == id)
    }

    /// Takes in packs; the rows are given with the numbers of packs in this list.
    pub(super) fn add(&mut self, packs: &[PackId], rows: impl IntoIterator<Item = Row>) {
        let before = as_u32(self.packs.len());
        self.packs.extend_from_slice(packs);
        let numbered = rows.into_iter().map(|row| Row {
            pack: before + row.pack,
            ..row
        });
        self.rows.extend(numbered.map(|row| row.encode()));
        // A stable sort joins runs that are sorted already, which the old rows are.
        self.rows.sort();
        // Objects without bytes may lie at the same place.
        self.rows.dedup();
        self.fans = fans(&self.rows);
    }

    /// Forgets packs, and rows for which `keep` says so.
    pub(super) fn retain(&mut self, packs: &BTreeSet<PackId>, keep: impl Fn(PackId, u32) -> bool) {
        let (mut kept, mut numbers) = (Vec::new(), Vec::new());
        for pack in &self.packs {
            let is_kept = packs.contains(pack);
            numbers.push(is_kept.then_some(as_u32(kept.len())));
            kept.extend(is_kept.then_some(*pack));
        }
        let rows = self.rows.iter().filter_map(|row| {
            let row = Row::decode(row)?;
            let pack = numbers[row.pack as usize]?;
            let row = Row { pack, ..row };
            keep(kept[pack as usize], row.offset).then(|| row.encode())
        });
        let mut rows: Vec<_> = rows.collect();
        rows.sort();
        self.fans = fans(&rows);
        (self.packs, self.rows) = (kept, rows);
    }

    /// The bytes of the file.
    pub(super) fn encode(&self) -> Vec<u8> {
        let length = HEADER_LEN + ID_LEN * (self.packs.len() + 1) + 4 * FANS;
        let mut bytes = Vec::with_capacity(length + ROW_LEN * self.rows.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&as_u32(self.packs.len()).to_le_bytes());
        bytes.extend_from_slice(&as_u32(self.rows.len()).to_le_bytes());
        bytes.resize(HEADER_LEN, 0);
        for pack in &self.packs {
            bytes.extend_from_slice(pack.0.as_bytes());
        }
        for fan in &self.fans {
            bytes.extend_from_slice(&fan.to_le_bytes());
        }
        bytes.extend_from_slice(self.rows.as_flattened());
        let check = Digest::of(&bytes);
        bytes.extend_from_slice(check.as_bytes());
        bytes
    }

    /// Reads the bytes of the file. It can be built again from the packs, so why it is not as it
    /// should be does not matter.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, check) = bytes.split_last_chunk::<ID_LEN>()?;
        if Digest::of(body).as_bytes() != check {
            return None;
        }
        let (header, body) = body.split_first_chunk::<HEADER_LEN>()?;
        let (magic, header) = header.split_first_chunk::<8>()?;
        let (n_packs, header) = header.split_first_chunk::<4>()?;
        let (n_rows, zeros) = header.split_first_chunk::<4>()?;
        if magic != MAGIC || zeros.iter().any(|zero| *zero != 0) {
            return None;
        }
        let ids_len = ID_LEN.checked_mul(u32::from_le_bytes(*n_packs) as usize)?;
        let (ids, body) = body.split_at_checked(ids_len)?;
        let (fan_bytes, body) = body.split_at_checked(4 * FANS)?;
        let (rows, rest) = body.as_chunks::<ROW_LEN>();
        if !rest.is_empty() || rows.len() != u32::from_le_bytes(*n_rows) as usize {
            return None;
        }
        let ids = ids.as_chunks::<ID_LEN>().0.iter();
        let midx = Self {
            packs: ids.map(|id| PackId(Digest::from_bytes(*id))).collect(),
            fans: fans(rows),
            rows: rows.to_vec(),
        };
        let told = fan_bytes.as_chunks::<4>().0.iter();
        let is_good = told
            .map(|fan| u32::from_le_bytes(*fan))
            .eq(midx.fans.iter().copied())
            && midx.rows.is_sorted_by(|row, next| row < next)
            && midx.rows.iter().all(|row| midx.may_hold(row));
        is_good.then_some(midx)
    }

    fn may_hold(&self, row: &[u8; ROW_LEN]) -> bool {
        Row::decode(row).is_some_and(|row| {
            (row.pack as usize) < self.packs.len()
                && u64::from(row.offset) + u64::from(row.stored_len) <= MAX_LEN
                && row.stored_len as usize <= MAX_RAW_LEN
                && row.raw_len as usize <= MAX_RAW_LEN
        })
    }
}

impl Row {
    /// The row of a frame; objects of a kind that no store is asked for have none.
    pub(super) fn of(pack: u32, offset: u64, entry: &Entry) -> Option<Self> {
        if !is_kept(entry.id.kind) {
            return None;
        }
        Some(Self {
            id: entry.id,
            pack,
            offset: u32::try_from(offset).ok()?,
            stored_len: entry.stored_len,
            raw_len: entry.raw_len,
            codec: entry.codec,
        })
    }

    fn encode(&self) -> [u8; ROW_LEN] {
        let mut bytes = [0; ROW_LEN];
        bytes[..32].copy_from_slice(self.id.digest.as_bytes());
        bytes[32..36].copy_from_slice(&self.pack.to_le_bytes());
        bytes[36..40].copy_from_slice(&self.offset.to_le_bytes());
        bytes[40..43].copy_from_slice(&self.stored_len.to_le_bytes()[..3]);
        bytes[43..46].copy_from_slice(&self.raw_len.to_le_bytes()[..3]);
        bytes[46] = self.id.kind as u8;
        bytes[47] = self.codec as u8;
        bytes
    }

    fn decode(bytes: &[u8; ROW_LEN]) -> Option<Self> {
        let (digest, rest) = bytes.split_first_chunk::<32>()?;
        let (pack, rest) = rest.split_first_chunk::<4>()?;
        let (offset, rest) = rest.split_first_chunk::<4>()?;
        let &[s0, s1, s2, r0, r1, r2, kind, codec] = rest else {
            return None;
        };
        let kind = ObjectKind::from_u8(kind).filter(|kind| is_kept(*kind))?;
        Some(Self {
            id: ObjectId::new(kind, Digest::from_bytes(*digest)),
            pack: u32::from_le_bytes(*pack),
            offset: u32::from_le_bytes(*offset),
            stored_len: u32::from_le_bytes([s0, s1, s2, 0]),
            raw_len: u32::from_le_bytes([r0, r1, r2, 0]),
            codec: match codec {
                0 => Codec::Raw,
                1 => Codec::Zstd,
                _ => return None,
            },
        })
    }
}

fn is_kept(kind: ObjectKind) -> bool {
    use ObjectKind::{Blob, Node, RecipeSegment};
    matches!(kind, Blob | Node | RecipeSegment)
}

/// Where the rows of an id begin, or would, among those of its fan. Ids are spread evenly, so a guess
/// from its next two bytes is off by few rows, which lie side by side in memory; halving looks at
/// places far apart.
fn first_of(rows: &[[u8; ROW_LEN]], id: Digest) -> usize {
    let id = id.as_bytes();
    let is_before = |at: usize| rows[at][..ID_LEN] < id[..];
    let mut at = (rows.len() * usize::from(u16::from_be_bytes([id[2], id[3]]))) >> 16;
    while at > 0 && !is_before(at - 1) {
        at -= 1;
    }
    while at < rows.len() && is_before(at) {
        at += 1;
    }
    at
}

fn fan_of(id: &[u8]) -> usize {
    usize::from(id[0]) << 8 | usize::from(id[1])
}

fn fans(rows: &[[u8; ROW_LEN]]) -> Vec<u32> {
    let mut fans = vec![0; FANS];
    for row in rows {
        fans[fan_of(row)] += 1;
    }
    let mut sum = 0;
    for fan in &mut fans {
        sum += *fan;
        *fan = sum;
    }
    fans
}

fn as_u32(count: usize) -> u32 {
    u32::try_from(count).expect("a store of more than four billion objects")
}

#[cfg(test)]
mod tests;
