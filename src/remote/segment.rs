//! Index segments: which pack holds which objects. Hints, rebuildable from the packs.
//! `docs/format.md`, section "Index segment".

use crate::hash::{Digest, PackId, SegmentId};
use crate::pack::{self, ENTRY_LEN, HEADER_LEN, MAX_ENTRIES, MAX_LEN, PackKind};

use super::decode::{Decoded, Reader, split_checksum};

const MAGIC: &[u8] = b"ESKIDX01";
const PACK_LEN: usize = 48;

/// A pack and what it holds, in the order of its frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PackEntries {
    pub(super) id: PackId,
    pub(super) size: u64,
    pub(super) kind: PackKind,
    pub(super) entries: Vec<pack::Entry>,
}

/// The bytes of a segment, and its name.
pub(super) fn encode(packs: &[PackEntries]) -> (SegmentId, Vec<u8>) {
    let frames: usize = packs.iter().map(|pack| pack.entries.len()).sum();
    let mut out = Vec::with_capacity(48 + packs.len() * PACK_LEN + frames * ENTRY_LEN);
    out.extend_from_slice(MAGIC);
    put_u32(&mut out, packs.len());
    out.extend_from_slice(&[0; 4]);
    for pack in packs {
        out.extend_from_slice(pack.id.0.as_bytes());
        out.extend_from_slice(&pack.size.to_le_bytes());
        put_u32(&mut out, pack.entries.len());
        out.extend_from_slice(&[pack.kind as u8, 0, 0, 0]);
        for entry in &pack.entries {
            entry.encode(&mut out);
        }
    }
    let checksum = Digest::of(&out);
    out.extend_from_slice(checksum.as_bytes());
    (SegmentId(Digest::of(&out)), out)
}

/// Reads a segment, refusing packs that cannot be.
pub(super) fn decode(bytes: &[u8]) -> Decoded<Vec<PackEntries>> {
    let mut reader = Reader::new(split_checksum(bytes)?);
    reader.expect(MAGIC, "it does not begin with `ESKIDX01`")?;
    let count = u32::from_le_bytes(reader.array()?) as usize;
    reader.zeros(4)?;
    if count > reader.remaining() / PACK_LEN {
        return Err("it counts more packs than it has bytes for");
    }
    let packs = (0..count)
        .map(|_| decode_pack(&mut reader))
        .collect::<Decoded<Vec<_>>>()?;
    reader.end()?;
    Ok(packs)
}

fn decode_pack(reader: &mut Reader<'_>) -> Decoded<PackEntries> {
    let id = PackId(Digest::from_bytes(reader.array()?));
    let size = reader.u64()?;
    let count = reader.u32()?;
    let kind = PackKind::from_u8(reader.byte()?).ok_or("a pack has an unknown kind")?;
    reader.zeros(3)?;
    check_size(size, count)?;
    if count as usize > reader.remaining() / ENTRY_LEN {
        return Err("it counts more objects than it has bytes for");
    }
    let entries = (0..count)
        .map(|_| pack::Entry::decode(&reader.array()?).map_err(|_| "an entry cannot be"))
        .collect::<Decoded<Vec<_>>>()?;
    let stored = entries.iter().map(|entry| u64::from(entry.stored_len));
    if HEADER_LEN as u64 + stored.sum::<u64>() + pack::tail_len(count) != size {
        return Err("a pack's size is not the sum of its parts");
    }
    Ok(PackEntries {
        id,
        size,
        kind,
        entries,
    })
}

/// Refuses the size and count of a pack that no pack can have.
pub(super) fn check_size(size: u64, count: u32) -> Decoded<()> {
    if count as usize > MAX_ENTRIES || size > MAX_LEN {
        return Err("a pack is larger than a pack may be");
    }
    if size < HEADER_LEN as u64 + pack::tail_len(count) {
        return Err("a pack is smaller than its index");
    }
    Ok(())
}

fn put_u32(out: &mut Vec<u8>, count: usize) {
    let count = u32::try_from(count).expect("no push makes four milliards of anything");
    out.extend_from_slice(&count.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::{ObjectId, ObjectKind};
    use proptest::prelude::*;

    const GOLDEN: &[u8] = include_bytes!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/fixtures/formats/segment-v1/two-packs.segment"
    ));
    const GOLDEN_PACK: &[u8] = include_bytes!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/fixtures/formats/pack-v1/mixed.pack"
    ));

    fn pack_of(seed: u8, kind: PackKind, lengths: &[u16]) -> PackEntries {
        let entries: Vec<_> = lengths
            .iter()
            .map(|length| pack::Entry {
                id: ObjectId::new(ObjectKind::Blob, Digest::of(&[seed, *length as u8])),
                stored_len: u32::from(*length),
                raw_len: u32::from(*length),
                codec: pack::Codec::Raw,
                crc: u32::from(*length) * 7,
            })
            .collect();
        let stored: u64 = lengths.iter().map(|length| u64::from(*length)).sum();
        let count = u32::try_from(lengths.len()).unwrap();
        PackEntries {
            id: PackId(Digest::of(&[seed])),
            size: 32 + stored + pack::tail_len(count),
            kind,
            entries,
        }
    }

    fn golden() -> Vec<PackEntries> {
        let (header, index) = pack::Index::decode(GOLDEN_PACK).unwrap();
        let mixed = PackEntries {
            id: PackId(Digest::of(GOLDEN_PACK)),
            size: GOLDEN_PACK.len() as u64,
            kind: header.kind,
            entries: index.entries().to_vec(),
        };
        vec![mixed, pack_of(7, PackKind::Chunks, &[300, 4])]
    }

    #[test]
    fn the_golden_segment_is_read_and_written_the_same() {
        let (id, bytes) = encode(&golden());
        assert_eq!(bytes, GOLDEN);
        let name = "0225f5af416298378530c5a15bdc62190ac8d4af04654428f58e7df71bd8c635";
        assert_eq!(id.to_string(), name);
        assert_eq!(decode(GOLDEN).unwrap(), golden());
    }

    #[test]
    fn damage_is_noticed() {
        for position in 0..GOLDEN.len() {
            let mut bytes = GOLDEN.to_vec();
            bytes[position] ^= 0x10;
            assert!(decode(&bytes).is_err(), "{position}");
            assert!(decode(&GOLDEN[..position]).is_err(), "{position}");
        }
    }

    /// Bytes that a hostile writer could make: the checksum agrees.
    fn sealed(body: &[u8]) -> Vec<u8> {
        [body, Digest::of(body).as_bytes()].concat()
    }

    #[test]
    fn hostile_segments_are_refused() {
        let body = &GOLDEN[..GOLDEN.len() - 32];
        assert!(decode(&sealed(body)).is_ok());
        let changes: [(usize, &[u8]); 8] = [
            (0, b"ESKIDX02"),
            (8, &u32::MAX.to_le_bytes()),
            (8, &1_u32.to_le_bytes()),
            (12, &[1]),
            (48, &u64::MAX.to_le_bytes()),
            (56, &u32::MAX.to_le_bytes()),
            (60, &[4]),
            (61, &[1]),
        ];
        for (at, change) in changes {
            let mut body = body.to_vec();
            body[at..at + change.len()].copy_from_slice(change);
            assert!(decode(&sealed(&body)).is_err(), "{at}");
        }
        assert!(decode(&sealed(&[body, b"x"].concat())).is_err());
    }

    proptest! {
        #[test]
        fn segments_survive_their_bytes(
            packs in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u16>(), 0..9)), 0..5),
        ) {
            let packs: Vec<_> = packs
                .iter()
                .map(|(seed, lengths)| pack_of(*seed, PackKind::Blobs, lengths))
                .collect();
            let (id, bytes) = encode(&packs);
            prop_assert_eq!(id.0, Digest::of(&bytes));
            prop_assert_eq!(decode(&bytes), Ok(packs));
        }

        #[test]
        fn random_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&body);
            let _ = decode(&sealed(&[MAGIC, &body].concat()));
        }
    }
}
