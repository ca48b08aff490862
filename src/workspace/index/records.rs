//! The index file: bytes in, records out.
//!
//! ```text
//! "ESKINDEX" | u32 version = 1 | u32 0 | u64 count | u64 length of the names
//! record*count: u64 size | i64 mtime | i64 ctime | u64 inode | u64 device | u64 flags | u64 name | id[32]
//! names | BLAKE3 of all before it
//! ```
//! Integers are little-endian, times are nanoseconds, bit 0 of `flags` is the execute bit. A
//! name begins at its record's offset and ends where the next begins; names increase by bytes.
//! The file is kept as it is and searched in place.

use std::collections::BTreeMap;
use std::ops::Range;

use super::Record;
use crate::hash::{BlobId, Digest, Hasher};

const MAGIC: &[u8; 8] = b"ESKINDEX";
const VERSION: u32 = 1;
const HEADER: usize = 32;
const RECORD: usize = 88;
const CHECKSUM: usize = 32;
const NAME_AT: usize = 48;
const ID_AT: usize = 56;

/// Records by name, as the bytes of an index file.
#[derive(Debug, Default)]
pub(super) struct Records {
    bytes: Vec<u8>,
    count: usize,
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
        let count = usize::try_from(u64_at(&bytes, 16)).ok()?;
        let names = usize::try_from(u64_at(&bytes, 24)).ok()?;
        let needed = count.checked_mul(RECORD)?.checked_add(names)?;
        if needed != body - HEADER {
            return None;
        }
        let records = Self { bytes, count };
        records.names_are_sorted().then_some(records)
    }

    /// The record of a name.
    pub(super) fn get(&self, name: &str) -> Option<Record> {
        let at = self.first_not_below(name.as_bytes());
        (at < self.count && self.name(at) == name.as_bytes()).then(|| self.record(at))
    }

    /// All names that begin with `prefix`.
    pub(super) fn names_below(&self, prefix: &str) -> Vec<Box<str>> {
        let first = self.first_not_below(prefix.as_bytes());
        (first..self.count)
            .map(|at| self.name(at))
            .take_while(|name| name.starts_with(prefix.as_bytes()))
            .filter_map(|name| std::str::from_utf8(name).ok().map(Box::from))
            .collect()
    }

    /// The file that holds these records with changes made to them; `None` takes one out.
    pub(super) fn merge(&self, changes: &BTreeMap<Box<str>, Option<Record>>) -> Vec<u8> {
        let mut file = Builder::default();
        let mut at = 0;
        for (name, change) in changes {
            while at < self.count && self.name(at) < name.as_bytes() {
                file.push(self.name(at), &self.record(at));
                at += 1;
            }
            if at < self.count && self.name(at) == name.as_bytes() {
                at += 1;
            }
            if let Some(record) = change {
                file.push(name.as_bytes(), record);
            }
        }
        for at in at..self.count {
            file.push(self.name(at), &self.record(at));
        }
        file.finish()
    }

    fn first_not_below(&self, name: &[u8]) -> usize {
        let (mut low, mut high) = (0, self.count);
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

    fn names_are_sorted(&self) -> bool {
        let heap = self.heap();
        let inside = |range: Range<usize>| {
            heap.start <= range.start && range.start < range.end && range.end <= heap.end
        };
        (self.count == 0 || self.name_range(0).start == heap.start)
            && (0..self.count).all(|at| inside(self.name_range(at)))
            && (1..self.count).all(|at| self.name(at - 1) < self.name(at))
    }

    fn heap(&self) -> Range<usize> {
        HEADER + self.count * RECORD..self.bytes.len().saturating_sub(CHECKSUM)
    }

    fn name_range(&self, at: usize) -> Range<usize> {
        let heap = self.heap();
        let offset = |at: usize| {
            let offset = u64_at(&self.bytes, HEADER + at * RECORD + NAME_AT);
            usize::try_from(offset).map_or(usize::MAX, |offset| heap.start.saturating_add(offset))
        };
        let end = if at + 1 < self.count {
            offset(at + 1)
        } else {
            heap.end
        };
        offset(at)..end
    }

    fn name(&self, at: usize) -> &[u8] {
        &self.bytes[self.name_range(at)]
    }

    fn record(&self, at: usize) -> Record {
        let start = HEADER + at * RECORD;
        let field = |number: usize| u64_at(&self.bytes, start + 8 * number);
        let mut id = [0; 32];
        id.copy_from_slice(&self.bytes[start + ID_AT..start + RECORD]);
        Record {
            size: field(0),
            mtime: field(1).cast_signed(),
            ctime: field(2).cast_signed(),
            inode: field(3),
            device: field(4),
            exec: field(5) & 1 != 0,
            id: BlobId(Digest::from_bytes(id)),
        }
    }
}

/// An index file being written.
#[derive(Default)]
struct Builder {
    count: u64,
    records: Vec<u8>,
    names: Vec<u8>,
}

impl Builder {
    fn push(&mut self, name: &[u8], record: &Record) {
        let fields = [
            record.size,
            record.mtime.cast_unsigned(),
            record.ctime.cast_unsigned(),
            record.inode,
            record.device,
            u64::from(record.exec),
            self.names.len() as u64,
        ];
        for field in fields {
            self.records.extend_from_slice(&field.to_le_bytes());
        }
        self.records.extend_from_slice(record.id.0.as_bytes());
        self.names.extend_from_slice(name);
        self.count += 1;
    }

    fn finish(self) -> Vec<u8> {
        let mut file =
            Vec::with_capacity(HEADER + self.records.len() + self.names.len() + CHECKSUM);
        file.extend_from_slice(MAGIC);
        for field in [VERSION.into(), self.count, self.names.len() as u64] {
            file.extend_from_slice(&u64::to_le_bytes(field));
        }
        file.extend_from_slice(&self.records);
        file.extend_from_slice(&self.names);
        let checksum = checksum(&file);
        file.extend_from_slice(checksum.as_bytes());
        file
    }
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
