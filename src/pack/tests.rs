use std::borrow::Cow;

use super::*;
use crate::hash::{Digest, ObjectKind};
use proptest::prelude::*;

const GOLDEN: &[u8] = include_bytes!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/fixtures/formats/pack-v1/mixed.pack"
));
const NONCE: [u8; 16] = *b"sixteen of nonce";

fn id_of(kind: ObjectKind, raw: &[u8]) -> ObjectId {
    let digest = kind.hash(raw).unwrap_or(Digest::of(b"the whole file"));
    ObjectId::new(kind, digest)
}

fn pack_of(kind: PackKind, objects: &[(ObjectKind, Vec<u8>)]) -> (Finished, Vec<u8>) {
    let mut writer = Writer::new(Vec::new(), kind, NONCE).unwrap();
    for (kind, raw) in objects {
        let frame = Frame::encode(id_of(*kind, raw), raw.clone()).unwrap();
        writer.add(&frame).unwrap();
    }
    writer.finish().unwrap()
}

fn frames_of<'a>(index: &'a Index, pack: &'a [u8]) -> Vec<(ObjectId, Result<Vec<u8>>)> {
    index
        .located()
        .map(|(offset, entry)| {
            let start = usize::try_from(offset).unwrap();
            let bytes = &pack[start..start + entry.stored_len as usize];
            (entry.id, decode_frame(entry, bytes).map(Cow::into_owned))
        })
        .collect()
}

/// One object of every kind, one of them worth compressing.
fn golden_objects() -> Vec<(ObjectKind, Vec<u8>)> {
    vec![
        (ObjectKind::Blob, b"hello\n".to_vec()),
        (ObjectKind::Blob, Vec::new()),
        (ObjectKind::Chunk, b"esker ".repeat(100)),
        (ObjectKind::Node, b"ESKT, said the node".to_vec()),
        (ObjectKind::RecipeRoot, b"ESKR, said the root".to_vec()),
        (
            ObjectKind::RecipeSegment,
            b"ESKR, said the segment".to_vec(),
        ),
    ]
}

/// The same bytes whichever objects this thread has compressed before.
#[test]
fn a_frame_depends_on_its_object_alone() {
    for raw in [vec![b'a'; 100_000], b"ab".repeat(50), vec![b'c'; 300_000]] {
        let frame = Frame::encode(id_of(ObjectKind::Blob, &raw), &raw).unwrap();
        assert_eq!(frame.bytes, zstd::bulk::compress(&raw, 3).unwrap());
    }
}

#[test]
fn the_golden_pack_is_read_and_written_the_same() {
    let (finished, written) = pack_of(PackKind::Mixed, &golden_objects());
    assert_eq!(written, GOLDEN);
    assert_eq!(
        finished.id.to_string(),
        "69ea23e185e7a3a39486361a7b390e05130c708ed80c72f1dbd53c98548a12d1"
    );
    let (header, index) = Index::decode(GOLDEN).unwrap();
    assert_eq!((header.kind, header.nonce), (PackKind::Mixed, NONCE));
    assert_eq!(index.entries(), finished.entries);
    assert_eq!(index.entries()[2].codec, Codec::Zstd);
    for ((kind, raw), (id, read)) in golden_objects().iter().zip(frames_of(&index, GOLDEN)) {
        assert_eq!((id, read.unwrap()), (id_of(*kind, raw), raw.clone()));
    }
}

#[test]
fn every_flipped_bit_is_noticed() {
    let good: Vec<_> = golden_objects().into_iter().map(|(_, raw)| raw).collect();
    for position in 0..GOLDEN.len() * 8 {
        let mut pack = GOLDEN.to_vec();
        pack[position / 8] ^= 1 << (position % 8);
        let Ok((_, index)) = Index::decode(&pack) else {
            continue;
        };
        let read = frames_of(&index, &pack);
        let wrong = read.iter().filter(|(_, result)| result.is_err()).count();
        assert_eq!(wrong, 1, "bit {position} went unnoticed");
        for ((_, result), good) in read.into_iter().zip(&good) {
            assert!(result.map_or(true, |bytes| bytes == *good));
        }
    }
}

#[test]
fn a_truncated_pack_is_refused() {
    for length in 0..GOLDEN.len() {
        assert!(Index::decode(&GOLDEN[..length]).is_err(), "{length}");
    }
}

#[test]
fn the_index_is_read_from_the_tail_alone() {
    let length = GOLDEN.len() as u64;
    let tail = usize::try_from(length - tail_len(6)).unwrap();
    let index = Index::decode_tail(&GOLDEN[tail..], length).unwrap();
    assert_eq!(index, Index::decode(GOLDEN).unwrap().1);
    assert!(Index::decode_tail(&GOLDEN[tail + 1..], length).is_err());
    assert!(Index::decode_tail(&GOLDEN[tail..], length + 1).is_err());
}

/// Whoever fills a pack reads what is in it so far from its file and from what waits in memory.
#[test]
fn all_frames_of_a_pack_being_written_can_be_read() {
    let bytes: Vec<u8> = (0..=255).cycle().take(300 << 10).collect();
    let mut writer = Writer::new(Vec::new(), PackKind::Blobs, NONCE).unwrap();
    let mut frames = Vec::new();
    for number in 0..200_usize {
        let raw = &bytes[number..number + number * 1501 % (299 << 10)];
        let entry = Entry::raw(id_of(ObjectKind::Blob, raw), raw);
        assert_eq!(
            unpack(entry.id, entry.codec, entry.raw_len, raw).unwrap(),
            raw
        );
        assert!(unpack(entry.id, entry.codec, entry.raw_len + 1, raw).is_err());
        frames.push((writer.append(entry, raw).unwrap() as usize, raw));
        let so_far = [writer.out().as_slice(), writer.unwritten()].concat();
        assert_eq!(so_far.len() as u64, writer.frames_end());
        assert!(
            frames
                .iter()
                .all(|(at, raw)| so_far[*at..].starts_with(raw))
        );
        // A frame is not torn between the two.
        let written = writer.out().len();
        let torn = |(at, raw): &(usize, &[u8])| *at < written && at + raw.len() > written;
        assert!(!frames.iter().any(torn));
    }
    let (finished, pack) = writer.finish().unwrap();
    assert_eq!(finished.id.0, Digest::of(&pack));
    assert_eq!(Index::decode(&pack).unwrap().1.entries(), finished.entries);
}

#[test]
fn what_hardly_shrinks_is_kept_raw() {
    let noise: Vec<u8> = (0..200_u64)
        .flat_map(|n| *Digest::of(&n.to_le_bytes()).as_bytes())
        .collect();
    for (raw, codec) in [
        (noise, Codec::Raw),
        (Vec::new(), Codec::Raw),
        (vec![7; 1000], Codec::Zstd),
        (vec![0; MAX_RAW_LEN], Codec::Zstd),
    ] {
        let frame = Frame::encode(id_of(ObjectKind::Blob, &raw), raw.clone()).unwrap();
        assert_eq!(frame.entry.codec, codec);
        assert_eq!(decode_frame(&frame.entry, &frame.bytes).unwrap(), raw);
    }
}

#[test]
fn limits_hold_when_writing() {
    let raw = vec![0; MAX_RAW_LEN + 1];
    let id = id_of(ObjectKind::Blob, &raw);
    assert!(matches!(Frame::encode(id, raw), Err(Error::Full(_))));

    let noise: Vec<u8> = (0..32_768_u64)
        .flat_map(|n| *Digest::of(&n.to_le_bytes()).as_bytes())
        .collect();
    let frame = Frame::encode(id_of(ObjectKind::Blob, &noise), noise).unwrap();
    let mut writer = Writer::new(Vec::new(), PackKind::Mixed, NONCE).unwrap();
    assert!(matches!(writer.add(&frame), Err(Error::Full(_))));
    let mut writer = Writer::new(Vec::new(), PackKind::Blobs, NONCE).unwrap();
    assert!(!writer.has_room(frame.entry.stored_len, 1 << 20));
    writer.add(&frame).unwrap();
    let length = writer.length();
    assert_eq!(writer.finish().unwrap().0.length, length);
}

#[test]
fn a_pack_of_too_many_frames_is_refused() {
    let frame = Frame::encode(id_of(ObjectKind::Blob, b""), Vec::new()).unwrap();
    let mut writer = Writer::new(Vec::new(), PackKind::Blobs, NONCE).unwrap();
    for _ in 0..MAX_ENTRIES {
        writer.add(&frame).unwrap();
    }
    assert!(matches!(writer.add(&frame), Err(Error::Full(_))));
    let (_, pack) = writer.finish().unwrap();
    assert_eq!(Index::decode(&pack).unwrap().1.entries().len(), MAX_ENTRIES);
}

/// Frames that a hostile writer could make: the entry agrees with the crc, but not with the rest.
#[test]
fn hostile_frames_are_refused() {
    let raw = b"esker ".repeat(100);
    let good = Frame::encode(id_of(ObjectKind::Blob, &raw), raw.clone()).unwrap();
    assert_eq!(good.entry.codec, Codec::Zstd);
    let mut with_junk = good.bytes.to_vec();
    with_junk.extend_from_slice(b"junk");
    let mut two = good.bytes.to_vec();
    two.extend_from_slice(&zstd::bulk::compress(b"", 3).unwrap());
    let mut large_window = good.bytes.to_vec();
    large_window[4] &= !0b10_0000;
    large_window[5] = 0xFF;
    let mut with_dictionary = good.bytes.to_vec();
    with_dictionary[4] |= 1;
    for bytes in [with_junk, two, large_window, with_dictionary, vec![0; 3]] {
        let entry = Entry {
            stored_len: u32::try_from(bytes.len()).unwrap(),
            crc: crc32c::crc32c(&bytes),
            ..good.entry
        };
        let refused = decode_frame(&entry, &bytes);
        assert!(matches!(refused, Err(Error::Frame { .. })), "{bytes:?}");
    }
    let lies = [
        Entry {
            raw_len: 599,
            ..good.entry
        },
        Entry {
            raw_len: 601,
            ..good.entry
        },
        Entry {
            raw_len: u32::MAX,
            ..good.entry
        },
        Entry {
            codec: Codec::Raw,
            ..good.entry
        },
        Entry {
            id: ObjectId::new(ObjectKind::Node, good.entry.id.digest),
            ..good.entry
        },
        Entry {
            id: id_of(ObjectKind::Blob, b"else"),
            ..good.entry
        },
    ];
    for entry in lies {
        assert!(decode_frame(&entry, &good.bytes).is_err(), "{entry:?}");
    }
}

#[test]
fn a_large_count_allocates_nothing() {
    let mut pack = GOLDEN.to_vec();
    let trailer = pack.len() - TRAILER_LEN;
    for count in [7, 65_537, u32::MAX] {
        pack[trailer..trailer + 4].copy_from_slice(&count.to_le_bytes());
        assert!(Index::decode(&pack).is_err());
    }
}

fn any_kind() -> impl Strategy<Value = ObjectKind> {
    (0_u8..5).prop_map(|number| ObjectKind::from_u8(number).unwrap())
}

fn any_raw() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        (any::<u8>(), 0_usize..3000).prop_map(|(byte, length)| vec![byte; length]),
    ]
}

proptest! {
    #[test]
    fn what_is_packed_is_unpacked(
        objects in prop::collection::vec((any_kind(), any_raw()), 0..12),
    ) {
        let (finished, pack) = pack_of(PackKind::Blobs, &objects);
        prop_assert_eq!(finished.id.0, Digest::of(&pack));
        prop_assert_eq!(finished.length, pack.len() as u64);
        let (_, index) = Index::decode(&pack).unwrap();
        let read: Vec<_> = frames_of(&index, &pack)
            .into_iter()
            .map(|(id, raw)| (id.kind, raw.unwrap()))
            .collect();
        prop_assert_eq!(read, objects);
    }

    #[test]
    fn entries_survive_their_bytes(kind in any_kind(), raw in any_raw()) {
        let entry = Frame::encode(id_of(kind, &raw), raw).unwrap().entry;
        let mut bytes = Vec::new();
        entry.encode(&mut bytes);
        prop_assert_eq!(Entry::decode(bytes.first_chunk().unwrap()).unwrap(), entry);
    }

    #[test]
    fn random_bytes_never_panic(
        mut bytes in prop::collection::vec(any::<u8>(), 0..400),
        honest_end: bool,
        count in 0_u32..5,
        codec_zstd: bool,
    ) {
        if honest_end && bytes.len() >= TRAILER_LEN {
            let length = bytes.len();
            let trailer = length - TRAILER_LEN;
            let offset = (length as u64).saturating_sub(tail_len(count));
            bytes[trailer..trailer + 8].copy_from_slice(&u64::from(count).to_le_bytes());
            bytes[trailer + 8..trailer + 16].copy_from_slice(&offset.to_le_bytes());
            bytes[length - 16..length - 8].copy_from_slice(&(length as u64).to_le_bytes());
            bytes[length - 8..].copy_from_slice(b"ESKPEND1");
        }
        let _ = Index::decode(&bytes);
        let _ = Index::decode_tail(&bytes, bytes.len() as u64);
        let entry = Entry {
            id: id_of(ObjectKind::Blob, b"what nobody can guess"),
            stored_len: u32::try_from(bytes.len()).unwrap(),
            raw_len: 1 << 20,
            codec: if codec_zstd { Codec::Zstd } else { Codec::Raw },
            crc: crc32c::crc32c(&bytes),
        };
        prop_assert!(decode_frame(&entry, &bytes).is_err());
    }

    #[test]
    fn damaged_zstd_never_yields_wrong_content(
        raw in any_raw(),
        position: prop::sample::Index,
        flip in 1_u8..,
    ) {
        let frame = Frame::encode(id_of(ObjectKind::Blob, &raw), raw.clone()).unwrap();
        prop_assume!(!frame.bytes.is_empty());
        let mut bytes = frame.bytes.to_vec();
        bytes[position.index(frame.bytes.len())] ^= flip;
        // The crc is made to agree, so that the checks behind it are what is tested.
        let entry = Entry { crc: crc32c::crc32c(&bytes), ..frame.entry };
        let read = decode_frame(&entry, &bytes);
        prop_assert!(read.map_or(true, |read| read == raw));
    }
}
