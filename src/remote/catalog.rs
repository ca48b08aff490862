//! Where objects lie: which frame of which pack holds them.

use std::collections::HashMap;

use crate::hash::{ObjectId, PackId};
use crate::pack::{self, PackKind};

use super::segment::PackEntries;
use super::snapshot::PackRef;

/// A frame in a pack of the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Located {
    pub(super) entry: pack::Entry,
    /// The number of the pack in the catalog.
    pub(super) pack: u32,
    /// Where the frame begins.
    pub(super) offset: u64,
}

impl Located {
    /// Where the frame ends.
    pub(super) fn end(&self) -> u64 {
        self.offset.saturating_add(self.entry.stored_len.into())
    }
}

/// Objects by id, each with all places where it lies.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    packs: Vec<PackRef>,
    numbers: HashMap<PackId, u32>,
    /// Sorted by id.
    located: Vec<Located>,
}

impl Catalog {
    /// Takes in packs with what they hold; one that is known already is passed over.
    pub(super) fn extend(&mut self, packs: impl IntoIterator<Item = PackEntries>) {
        let before = self.located.len();
        for pack in packs {
            self.add(&pack);
        }
        if self.located.len() > before {
            let order = |place: &Located| (place.entry.id, place.pack, place.offset);
            self.located.sort_unstable_by_key(order);
        }
    }

    pub(super) fn knows(&self, pack: PackId) -> bool {
        self.numbers.contains_key(&pack)
    }

    /// All places where an object lies.
    pub(super) fn find(&self, id: impl Into<ObjectId>) -> &[Located] {
        let id = id.into();
        let start = self.located.partition_point(|place| place.entry.id < id);
        let rest = &self.located[start..];
        let length = rest.partition_point(|place| place.entry.id == id);
        &rest[..length]
    }

    /// Every place, by object.
    pub(super) fn all(&self) -> impl Iterator<Item = &Located> {
        self.located.iter()
    }

    pub(super) fn pack(&self, place: &Located) -> &PackRef {
        &self.packs[place.pack as usize]
    }

    fn add(&mut self, pack: &PackEntries) {
        if self.knows(pack.id) {
            return;
        }
        let number = u32::try_from(self.packs.len()).expect("packs are listed in memory");
        self.numbers.insert(pack.id, number);
        self.packs.push(pack.as_ref());
        let mut offset = pack::HEADER_LEN as u64;
        for entry in &pack.entries {
            self.located.push(Located {
                entry: *entry,
                pack: number,
                offset,
            });
            offset += u64::from(entry.stored_len);
        }
    }
}

impl PackEntries {
    /// The pack as a snapshot names it.
    pub(super) fn as_ref(&self) -> PackRef {
        PackRef {
            id: self.id,
            count: u32::try_from(self.entries.len()).expect("a pack has at most 65,536 frames"),
            kind: self.kind,
            size: self.size,
            low: String::new(),
            high: String::new(),
        }
    }

    /// Whether this is the pack that a snapshot names.
    pub(super) fn is(&self, pack: &PackRef) -> bool {
        (self.id, self.size) == (pack.id, pack.size) && self.entries.len() == pack.count as usize
    }

    /// A pack that a snapshot names, with the index that was read from it.
    pub(super) fn of(pack: &PackRef, index: &pack::Index) -> Self {
        Self {
            id: pack.id,
            size: pack.size,
            kind: pack.kind,
            entries: index.entries().to_vec(),
        }
    }
}

/// Whether packs of a kind may hold tree nodes and recipes.
pub(super) fn may_hold_meta(kind: PackKind) -> bool {
    matches!(kind, PackKind::Meta | PackKind::Mixed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::{Digest, ObjectKind};

    fn pack(seed: u8, objects: &[u8]) -> PackEntries {
        let entries = objects.iter().map(|object| pack::Entry {
            id: ObjectId::new(ObjectKind::Blob, Digest::of(&[*object])),
            stored_len: 10,
            raw_len: 10,
            codec: pack::Codec::Raw,
            crc: 0,
        });
        PackEntries {
            id: PackId(Digest::of(&[seed])),
            size: 1000,
            kind: PackKind::Blobs,
            entries: entries.collect(),
        }
    }

    #[test]
    fn an_object_is_found_wherever_it_lies() {
        let mut catalog = Catalog::default();
        catalog.extend([pack(1, &[10, 11]), pack(2, &[11, 12])]);
        catalog.extend([pack(3, &[11]), pack(1, &[10, 11])]);
        let id = |object: u8| ObjectId::new(ObjectKind::Blob, Digest::of(&[object]));
        let places = |object| -> Vec<_> {
            let found = catalog.find(id(object)).iter();
            found.map(|at| (catalog.pack(at).id, at.offset)).collect()
        };
        let name = |seed: u8| PackId(Digest::of(&[seed]));
        assert_eq!(places(10), [(name(1), 32)]);
        assert_eq!(places(11), [(name(1), 42), (name(2), 32), (name(3), 32)]);
        assert_eq!(places(13), []);
        let chunk = ObjectId::new(ObjectKind::Chunk, id(10).digest);
        assert!(catalog.find(chunk).is_empty());
    }
}
