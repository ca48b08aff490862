//! The bytes of an index file: in, and searched in place; out. `docs/format.md`, section
//! "index, index.delta and placed", describes them.
//!
//! What is known is one record each, sorted by name; after them stand the records of the sealed
//! directories, sorted in the same way. All have one size, and their names stand in one heap.

use std::ops::Range;

use rayon::prelude::*;

use super::{Changes, Known, Record, Seals};
use crate::hash::{BlobId, Digest, Hasher, TreeId};
use crate::tree::Summary;

/// So many records are checked by several threads; to start them takes longer than to check fewer.
const WORTH_THREADS: usize = 16 << 10;
const MAGIC: &[u8; 8] = b"ESKINDEX";
const VERSION: u32 = 1;
const HEADER: usize = 72;
const BASE_AT: usize = 40;
const RECORD: usize = 88;
const CHECKSUM: usize = 32;
const NAME_AT: usize = 48;
const ID_AT: usize = 56;

const EXEC: u64 = 1;
/// What a record is of, in the flags.
const KIND: u64 = 0b1110;
const KIND_FILE: u64 = 0;
const KIND_LINK: u64 = 2;
const KIND_EMPTY_DIR: u64 = 4;
const KIND_FORGOTTEN: u64 = 6;
const KIND_SEALED: u64 = 8;

/// Records by name, as the bytes of an index file.
#[derive(Debug, Default)]
pub(super) struct Records {
    bytes: Vec<u8>,
    count: usize,
    n_seals: usize,
}

impl Records {
    /// Takes the bytes of a file if they are whole and follow every rule.
    pub(super) fn parse(bytes: Vec<u8>) -> Option<Self> {
        let body = bytes.len().checked_sub(CHECKSUM)?;
        let known = body >= HEADER
            && bytes.starts_with(MAGIC)
            && u64_at(&bytes, 8) == u64::from(VERSION)
            && checksum(&bytes[..body]).as_bytes()[..] == bytes[body..];
        if !known {
            return None;
        }
        let number = |at| usize::try_from(u64_at(&bytes, at)).ok();
        let (count, n_seals, names) = (number(16)?, number(24)?, number(32)?);
        let needed = count.checked_add(n_seals)?.checked_mul(RECORD)?;
        if needed.checked_add(names)? != body - HEADER {
            return None;
        }
        let records = Self {
            bytes,
            count,
            n_seals,
        };
        records.is_sound().then_some(records)
    }

    /// The bytes of the file.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many bytes the file has.
    pub(super) fn n_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Whether no name is known.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The checksum at the end of the file; zeros if there is none.
    pub(super) fn checksum(&self) -> [u8; CHECKSUM] {
        self.bytes.last_chunk().copied().unwrap_or_default()
    }

    /// The checksum of the file whose records these are changes to; zeros in a whole one.
    pub(super) fn base(&self) -> [u8; CHECKSUM] {
        let base = self.bytes.get(BASE_AT..).and_then(<[u8]>::first_chunk);
        base.copied().unwrap_or_default()
    }

    /// What is known of a name.
    pub(super) fn get(&self, name: &[u8]) -> Option<Known> {
        let at = self.first_not_below(name);
        (at < self.count && self.name(at) == name)
            .then(|| self.known(at))
            .flatten()
    }

    /// Where the records stand whose names begin with `prefix`, which ends in `/`.
    pub(super) fn below(&self, prefix: &[u8]) -> Range<usize> {
        let first = self.first_not_below(prefix);
        // No other byte stands between `/` and `0`.
        let mut after = prefix.to_vec();
        after.pop();
        after.push(b'0');
        first..self.first_not_below(&after)
    }

    /// The first record whose name is not below `name`.
    pub(super) fn first_not_below(&self, name: &[u8]) -> usize {
        self.search(0..self.count, name)
    }

    /// The same within a range, of which the first few are looked at first.
    pub(super) fn search(&self, range: Range<usize>, name: &[u8]) -> usize {
        let (mut low, mut high) = (range.start, range.end);
        let mut step = 1;
        while low + step < high && self.name(low + step) < name {
            low += step;
            step *= 2;
        }
        high = high.min(low + step + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.name(middle) < name {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// All changes that the file of a delta holds.
    pub(super) fn changes(&self) -> Changes {
        let name = |at| std::str::from_utf8(self.name(at)).unwrap_or_default();
        (0..self.count)
            .map(|at| (name(at).into(), self.known(at)))
            .collect()
    }

    /// All directories that are sealed.
    pub(super) fn seals(&self) -> Seals {
        let seal = |at| {
            let name = std::str::from_utf8(self.name(at)).ok()?;
            let sealed = Summary {
                root: TreeId(self.digest(at)),
                files: self.field(at, 1),
                bytes: self.field(at, 0),
            };
            Some((name.into(), sealed))
        };
        let all = self.count..self.count + self.n_seals;
        all.filter_map(seal).collect()
    }

    /// The whole name of a record: of a link, without its target.
    pub(super) fn name(&self, at: usize) -> &[u8] {
        let text = self.text(at);
        match self.kind(at) == KIND_LINK {
            true => text.split(|byte| *byte == 0).next().unwrap_or_default(),
            false => text,
        }
    }

    /// The record of a file; `None` if it is of something else.
    pub(super) fn file(&self, at: usize) -> Option<Record> {
        (self.kind(at) == KIND_FILE).then(|| Record {
            size: self.field(at, 0),
            mtime: self.field(at, 1).cast_signed(),
            ctime: self.field(at, 2).cast_signed(),
            inode: self.field(at, 3),
            device: self.field(at, 4),
            exec: self.field(at, 5) & EXEC != 0,
            id: BlobId(self.digest(at)),
        })
    }

    /// What a record says; `None` if it is that something is forgotten.
    pub(super) fn known(&self, at: usize) -> Option<Known> {
        match self.kind(at) {
            KIND_FILE => self.file(at).map(Known::File),
            KIND_LINK => {
                let target = &self.text(at)[self.name(at).len() + 1..];
                std::str::from_utf8(target)
                    .ok()
                    .map(|target| Known::Link(target.into()))
            }
            KIND_EMPTY_DIR => Some(Known::EmptyDir),
            _ => None,
        }
    }

    /// Whether every name lies in the heap, is text, and stands in order, and every kind is one.
    fn is_sound(&self) -> bool {
        let all = self.count + self.n_seals;
        let heap = self.heap();
        let Ok(text) = std::str::from_utf8(&self.bytes[heap.clone()]) else {
            return false;
        };
        let starts_well = all == 0 || self.text_range(0).start == heap.start;
        let is_sound = |at: usize| {
            let range = self.text_range(at);
            let inside = heap.start <= range.start && range.start < range.end;
            inside
                && range.end <= heap.end
                && text.is_char_boundary(range.start - heap.start)
                && self.kind_fits(at)
        };
        let ascends = |at: usize| at == self.count || self.name(at - 1) < self.name(at);
        if all < WORTH_THREADS {
            return starts_well && (0..all).all(is_sound) && (1..all).all(ascends);
        }
        starts_well
            && (0..all).into_par_iter().with_min_len(4096).all(is_sound)
            && (1..all).into_par_iter().with_min_len(4096).all(ascends)
    }

    fn kind_fits(&self, at: usize) -> bool {
        let n_zeros = || self.text(at).iter().filter(|byte| **byte == 0).count();
        let is_seal = at >= self.count;
        match self.kind(at) {
            KIND_LINK => {
                let text = self.text(at);
                !is_seal && n_zeros() == 1 && !text.starts_with(&[0]) && !text.ends_with(&[0])
            }
            KIND_SEALED => is_seal,
            KIND_FILE | KIND_EMPTY_DIR | KIND_FORGOTTEN => !is_seal,
            _ => false,
        }
    }

    fn heap(&self) -> Range<usize> {
        let records = (self.count + self.n_seals) * RECORD;
        HEADER + records..self.bytes.len().saturating_sub(CHECKSUM)
    }

    fn text_range(&self, at: usize) -> Range<usize> {
        let heap = self.heap();
        let offset = |at: usize| {
            let offset = u64_at(&self.bytes, HEADER + at * RECORD + NAME_AT);
            usize::try_from(offset).map_or(usize::MAX, |offset| heap.start.saturating_add(offset))
        };
        let end = if at + 1 < self.count + self.n_seals {
            offset(at + 1)
        } else {
            heap.end
        };
        offset(at)..end
    }

    fn text(&self, at: usize) -> &[u8] {
        &self.bytes[self.text_range(at)]
    }

    fn kind(&self, at: usize) -> u64 {
        self.field(at, 5) & KIND
    }

    fn field(&self, at: usize, number: usize) -> u64 {
        u64_at(&self.bytes, HEADER + at * RECORD + 8 * number)
    }

    fn digest(&self, at: usize) -> Digest {
        let start = HEADER + at * RECORD + ID_AT;
        let mut id = [0; 32];
        id.copy_from_slice(&self.bytes[start..start + 32]);
        Digest::from_bytes(id)
    }

    /// Takes over a record as it stands.
    fn copy(&self, at: usize, file: &mut Builder) {
        let start = HEADER + at * RECORD;
        file.raw(&self.bytes[start..start + RECORD], self.text(at));
    }
}

/// The file of these records with changes made to them.
pub(super) fn whole(saved: &Records, changes: &Changes, seals: &Seals) -> Records {
    let room = saved.n_bytes() + n_delta_bytes(changes, seals);
    let mut file = Builder::new(saved.count + changes.len() + seals.len(), room);
    let mut at = 0;
    for (name, change) in changes {
        while at < saved.count && saved.name(at) < name.as_bytes() {
            saved.copy(at, &mut file);
            at += 1;
        }
        if at < saved.count && saved.name(at) == name.as_bytes() {
            at += 1;
        }
        if change.is_some() {
            file.push(name, change.as_ref());
        }
    }
    for at in at..saved.count {
        saved.copy(at, &mut file);
    }
    file.finish([0; 32], seals)
}

/// The file that holds the changes alone.
pub(super) fn delta(saved: &Records, changes: &Changes, seals: &Seals) -> Records {
    let n_bytes = n_delta_bytes(changes, seals);
    let mut file = Builder::new(changes.len() + seals.len(), n_bytes);
    for (name, change) in changes {
        file.push(name, change.as_ref());
    }
    file.finish(saved.checksum(), seals)
}

/// About how many bytes [`delta`] has, never fewer than it has.
pub(super) fn n_delta_bytes(changes: &Changes, seals: &Seals) -> usize {
    let target = |change: &Option<Known>| match change {
        Some(Known::Link(target)) => target.len() + 1,
        _ => 0,
    };
    let changes = changes.iter();
    let changes: usize = changes
        .map(|(name, change)| RECORD + name.len() + target(change))
        .sum();
    let seals: usize = seals.keys().map(|name| RECORD + name.len()).sum();
    HEADER + changes + seals + CHECKSUM
}

/// An index file being written: the records go to its front, the names wait for their place.
struct Builder {
    bytes: Vec<u8>,
    names: Vec<u8>,
    count: usize,
}

impl Builder {
    fn new(n_records: usize, n_bytes: usize) -> Self {
        let mut bytes = Vec::with_capacity(n_bytes);
        bytes.resize(HEADER, 0);
        let records = HEADER + n_records * RECORD;
        Self {
            bytes,
            names: Vec::with_capacity(n_bytes.saturating_sub(records)),
            count: 0,
        }
    }

    fn push(&mut self, name: &str, known: Option<&Known>) {
        let mut record = [0; RECORD];
        let flags = match known {
            None => KIND_FORGOTTEN,
            Some(Known::EmptyDir) => KIND_EMPTY_DIR,
            Some(Known::Link(_)) => KIND_LINK,
            Some(Known::File(file)) => {
                put(&mut record, 0, file.size);
                put(&mut record, 1, file.mtime.cast_unsigned());
                put(&mut record, 2, file.ctime.cast_unsigned());
                put(&mut record, 3, file.inode);
                put(&mut record, 4, file.device);
                record[ID_AT..].copy_from_slice(file.id.0.as_bytes());
                KIND_FILE | if file.exec { EXEC } else { 0 }
            }
        };
        put(&mut record, 5, flags);
        self.raw(&record, name.as_bytes());
        if let Some(Known::Link(target)) = known {
            self.names.push(0);
            self.names.extend_from_slice(target.as_bytes());
        }
    }

    fn raw(&mut self, record: &[u8], text: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(record);
        put(&mut self.bytes[start..], 6, self.names.len() as u64);
        self.names.extend_from_slice(text);
        self.count += 1;
    }

    fn finish(mut self, base: [u8; 32], seals: &Seals) -> Records {
        let count = self.count;
        for (name, sealed) in seals {
            let mut record = [0; RECORD];
            put(&mut record, 0, sealed.bytes);
            put(&mut record, 1, sealed.files);
            put(&mut record, 5, KIND_SEALED);
            record[ID_AT..].copy_from_slice(sealed.root.0.as_bytes());
            self.raw(&record, name.as_bytes());
        }
        let Self {
            mut bytes, names, ..
        } = self;
        bytes[..8].copy_from_slice(MAGIC);
        let sizes = [count as u64, seals.len() as u64, names.len() as u64];
        for (number, field) in [VERSION.into()].into_iter().chain(sizes).enumerate() {
            put(&mut bytes, 1 + number, field);
        }
        bytes[BASE_AT..HEADER].copy_from_slice(&base);
        bytes.extend_from_slice(&names);
        drop(names);
        let checksum = checksum(&bytes);
        bytes.extend_from_slice(checksum.as_bytes());
        Records {
            bytes,
            count,
            n_seals: seals.len(),
        }
    }
}

fn put(bytes: &mut [u8], number: usize, field: u64) {
    bytes[8 * number..8 * number + 8].copy_from_slice(&field.to_le_bytes());
}

fn checksum(bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::new();
    hasher.update(bytes);
    hasher.finish()
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut field = [0; 8];
    field.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(field)
}
