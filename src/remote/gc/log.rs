//! The log of garbage collection: what was condemned, where its content went, which snapshots
//! were dropped. `docs/format.md`, section "Log of garbage collection".
//!
//! Records are numbered from 1 on without gaps, and each is put only if its number is free. So
//! whoever appends has read every record before it.

use std::collections::{BTreeMap, BTreeSet};

use crate::hash::{Digest, PackId, SnapshotId};
use crate::remote::decode::{Decoded, Reader, split_checksum};

const MAGIC: &[u8] = b"ESKLOG01";
const CONDEMN: u8 = 1;
const MOVE: u8 = 2;
const DROP: u8 = 3;
const ID_LEN: usize = 32;
/// Why a record of a later version cannot be read.
pub(in crate::remote) const UNKNOWN_KIND: &str = "its log has a record of an unknown kind";

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::remote) enum Record {
    /// Nobody may rely on these packs any more. They never come back.
    Condemn(Vec<PackId>),
    /// The first of each is condemned; what is needed of it lies in the second.
    Move(Vec<(PackId, PackId)>),
    /// These snapshots keep nothing any more.
    Drop(Vec<SnapshotId>),
}

/// What the log says as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::remote) struct Log {
    /// The number of its last record; 0 is an empty log.
    pub(in crate::remote) number: u64,
    /// Each with the record that condemned it first.
    pub(in crate::remote) condemned: BTreeMap<PackId, u64>,
    pub(in crate::remote) moved: BTreeMap<PackId, BTreeSet<PackId>>,
    pub(in crate::remote) dropped: BTreeSet<SnapshotId>,
}

impl Record {
    /// The bytes of a record. The nonce makes out whose record lies under a number.
    pub(in crate::remote) fn encode(&self, number: u64, nonce: [u8; 16]) -> Vec<u8> {
        let (kind, ids): (u8, Vec<Digest>) = match self {
            Self::Condemn(packs) => (CONDEMN, packs.iter().map(|pack| pack.0).collect()),
            Self::Move(moves) => {
                let pairs = moves.iter().flat_map(|(from, to)| [from.0, to.0]);
                (MOVE, pairs.collect())
            }
            Self::Drop(snapshots) => (DROP, snapshots.iter().map(|id| id.0).collect()),
        };
        let count = ids.len() / ids_per_item(kind);
        let mut out = Vec::with_capacity(76 + ids.len() * ID_LEN);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(&number.to_le_bytes());
        out.extend_from_slice(&[kind, 0, 0, 0, 0, 0, 0, 0]);
        let count = u32::try_from(count).expect("a record lists what one listing held");
        out.extend_from_slice(&count.to_le_bytes());
        for id in &ids {
            out.extend_from_slice(id.as_bytes());
        }
        let checksum = Digest::of(&out);
        out.extend_from_slice(checksum.as_bytes());
        out
    }

    /// Reads the record that lies under a number. One of a later kind cannot be passed over.
    pub(in crate::remote) fn decode(number: u64, bytes: &[u8]) -> Decoded<Self> {
        let mut reader = Reader::new(split_checksum(bytes)?);
        reader.expect(MAGIC, "it does not begin with `ESKLOG01`")?;
        reader.take(16)?;
        reader.expect(
            &number.to_le_bytes(),
            "its number is not the one in its name",
        )?;
        let kind = reader.byte()?;
        reader.zeros(7)?;
        let count = reader.u32()? as usize;
        if !(CONDEMN..=DROP).contains(&kind) {
            return Err(UNKNOWN_KIND);
        }
        if count > reader.remaining() / (ID_LEN * ids_per_item(kind)) {
            return Err("it counts more items than it has bytes for");
        }
        let mut ids = (0..count * ids_per_item(kind))
            .map(|_| reader.array().map(Digest::from_bytes))
            .collect::<Decoded<Vec<_>>>()?
            .into_iter();
        reader.end()?;
        Ok(match kind {
            CONDEMN => Self::Condemn(ids.map(PackId).collect()),
            DROP => Self::Drop(ids.map(SnapshotId).collect()),
            _ => {
                let mut moves = Vec::with_capacity(count);
                while let (Some(from), Some(to)) = (ids.next(), ids.next()) {
                    moves.push((PackId(from), PackId(to)));
                }
                Self::Move(moves)
            }
        })
    }
}

impl Record {
    /// Whether it says nothing.
    pub(in crate::remote) fn is_empty(&self) -> bool {
        match self {
            Self::Condemn(packs) => packs.is_empty(),
            Self::Move(moves) => moves.is_empty(),
            Self::Drop(snapshots) => snapshots.is_empty(),
        }
    }
}

impl Log {
    /// Takes in the record that comes next.
    pub(in crate::remote) fn push(&mut self, record: Record) {
        self.number += 1;
        match record {
            Record::Condemn(packs) => {
                for pack in packs {
                    self.condemned.entry(pack).or_insert(self.number);
                }
            }
            Record::Move(moves) => {
                for (from, to) in moves {
                    self.condemned.entry(from).or_insert(self.number);
                    self.moved.entry(from).or_default().insert(to);
                }
            }
            Record::Drop(snapshots) => self.dropped.extend(snapshots),
        }
    }

    /// Where the content of packs went, however often it was moved since.
    pub(in crate::remote) fn targets(
        &self,
        packs: impl IntoIterator<Item = PackId>,
    ) -> BTreeSet<PackId> {
        let mut targets = BTreeSet::new();
        let mut todo: Vec<PackId> = packs.into_iter().collect();
        while let Some(pack) = todo.pop() {
            for target in self.moved.get(&pack).into_iter().flatten() {
                if targets.insert(*target) {
                    todo.push(*target);
                }
            }
        }
        targets
    }

    /// Whether nobody may rely on a pack any more.
    pub(in crate::remote) fn condemns(&self, pack: PackId) -> bool {
        self.condemned.contains_key(&pack)
    }
}

fn ids_per_item(kind: u8) -> usize {
    if kind == MOVE { 2 } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NONCE: [u8; 16] = *b"sixteen of nonce";

    fn golden(name: &str) -> Vec<u8> {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/formats/log-v1");
        std::fs::read(format!("{dir}/{name}")).unwrap()
    }

    fn pack(seed: u8) -> PackId {
        PackId(Digest::of(&[seed]))
    }

    fn samples() -> [(&'static str, Record); 3] {
        [
            ("condemn", Record::Condemn(vec![pack(1), pack(2)])),
            ("move", Record::Move(vec![(pack(1), pack(3))])),
            ("drop", Record::Drop(vec![SnapshotId(Digest::of(&[9]))])),
        ]
    }

    #[test]
    fn the_golden_records_are_read_and_written_the_same() {
        for (number, (name, record)) in (1..).zip(samples()) {
            let bytes = golden(name);
            assert_eq!(record.encode(number, NONCE), bytes, "{name}");
            assert_eq!(Record::decode(number, &bytes), Ok(record), "{name}");
        }
    }

    #[test]
    fn damage_is_noticed() {
        let bytes = golden("move");
        for position in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[position] ^= 0x10;
            assert!(Record::decode(2, &damaged).is_err(), "{position}");
            assert!(Record::decode(2, &bytes[..position]).is_err(), "{position}");
        }
        assert!(Record::decode(3, &bytes).is_err(), "under another number");
    }

    /// Bytes that a hostile writer could make: the checksum agrees.
    #[test]
    fn hostile_records_are_refused() {
        let bytes = golden("move");
        let body = &bytes[..bytes.len() - 32];
        let sealed = |body: &[u8]| [body, Digest::of(body).as_bytes()].concat();
        assert!(Record::decode(2, &sealed(body)).is_ok());
        let changes: [(usize, &[u8]); 5] = [
            (7, b"2"),
            (32, &[4]),
            (33, &[1]),
            (40, &u32::MAX.to_le_bytes()),
            (40, &0_u32.to_le_bytes()),
        ];
        for (at, change) in changes {
            let mut body = body.to_vec();
            body[at..at + change.len()].copy_from_slice(change);
            assert!(Record::decode(2, &sealed(&body)).is_err(), "{at}");
        }
    }

    #[test]
    fn the_log_is_what_its_records_say() {
        let mut log = Log::default();
        for (_, record) in samples() {
            log.push(record);
        }
        assert_eq!(log.number, 3);
        assert_eq!(log.condemned, BTreeMap::from([(pack(1), 1), (pack(2), 1)]));
        assert_eq!(log.moved[&pack(1)], BTreeSet::from([pack(3)]));
        assert!(log.condemns(pack(2)) && !log.condemns(pack(3)));
        log.push(Record::Move(vec![(pack(3), pack(4)), (pack(3), pack(5))]));
        assert_eq!(
            log.targets([pack(1)]),
            BTreeSet::from([pack(3), pack(4), pack(5)])
        );
        assert_eq!(log.targets([pack(2)]), BTreeSet::new());
        assert_eq!(log.dropped.len(), 1);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Record::decode(1, &body);
            let sealed = [MAGIC, &body, Digest::of(&[MAGIC, &body].concat()).as_bytes()].concat();
            let _ = Record::decode(1, &sealed);
        }
    }
}
