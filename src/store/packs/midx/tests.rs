use super::*;
use proptest::prelude::*;

const GOLDEN: &[u8] = include_bytes!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/fixtures/formats/midx-v1/midx"
));
const PACK: &[u8] = include_bytes!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/fixtures/formats/pack-v1/mixed.pack"
));

/// The index of a store whose only pack is the golden one.
fn golden() -> Midx {
    let (_, index) = crate::pack::Index::decode(PACK).unwrap();
    let mut midx = Midx::default();
    let rows = index
        .located()
        .filter_map(|(offset, entry)| Row::of(0, offset, entry));
    midx.add(&[PackId(Digest::of(PACK))], rows);
    midx
}

fn pack(number: u8) -> PackId {
    PackId(Digest::of(&[number]))
}

fn row(content: u16, pack: u32) -> Row {
    Row {
        id: ObjectId::new(ObjectKind::Blob, Digest::of(&content.to_le_bytes())),
        pack,
        offset: u32::from(content),
        stored_len: 7,
        raw_len: 7,
        codec: Codec::Raw,
    }
}

#[test]
fn the_golden_index_is_read_and_written_the_same() {
    let midx = golden();
    assert!(midx.encode() == GOLDEN);
    assert_eq!(Midx::decode(GOLDEN), Some(midx));
    let found = |kind, bytes: &[u8]| {
        let id = ObjectId::new(kind, ObjectKind::Blob.hash(bytes).unwrap());
        let rows = Midx::decode(GOLDEN).unwrap().find(id).collect::<Vec<_>>();
        rows.iter().map(|row| row.offset).collect::<Vec<_>>()
    };
    assert_eq!(found(ObjectKind::Blob, b"hello\n"), [32]);
    assert_eq!(found(ObjectKind::Blob, b""), [38]);
    assert!(found(ObjectKind::Node, b"hello\n").is_empty());
    assert!(found(ObjectKind::Chunk, &b"esker ".repeat(100)).is_empty());
}

#[test]
fn what_is_damaged_is_refused() {
    // Every bit of what is not the table of counts, and some of those.
    for at in (0..GOLDEN.len()).filter(|at| *at < 80 || *at > GOLDEN.len() - 230 || at % 9973 == 0)
    {
        let mut bytes = GOLDEN.to_vec();
        bytes[at] ^= 1 << (at % 8);
        assert!(Midx::decode(&bytes).is_none(), "{at}");
    }
    for length in (0..GOLDEN.len()).step_by(1009) {
        assert!(Midx::decode(&GOLDEN[..length]).is_none(), "{length}");
    }
}

/// Whoever can write the file can also make its checksum right.
#[test]
fn what_lies_is_refused() {
    let resealed = |at: usize, byte: u8| {
        let mut bytes = GOLDEN[..GOLDEN.len() - 32].to_vec();
        bytes[at] = byte;
        let check = Digest::of(&bytes);
        bytes.extend_from_slice(check.as_bytes());
        bytes
    };
    assert!(Midx::decode(&resealed(0, b'E')).is_some());
    let first_row = GOLDEN.len() - 32 - 4 * ROW_LEN;
    for (what, at, byte) in [
        ("version", 7, b'2'),
        ("more packs", 8, 2),
        ("far more packs", 11, 255),
        ("more rows", 12, 5),
        ("reserved", 16, 1),
        ("a count", 64, 1),
        ("the order of ids", first_row, 255),
        ("a pack that is not there", first_row + 32, 1),
        ("an offset", first_row + 39, 255),
        ("a length", first_row + 42, 255),
        ("the other length", first_row + 45, 255),
        ("a kind", first_row + 46, 9),
        ("a kind that no store keeps", first_row + 46, 1),
        ("a codec", first_row + 47, 2),
    ] {
        assert!(Midx::decode(&resealed(at, byte)).is_none(), "{what}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// However packs come and go, the index is the one that the packs left alone would make.
    #[test]
    fn the_history_of_an_index_does_not_show(
        first in prop::collection::btree_set(0..300_u16, 0..60),
        second in prop::collection::btree_set(0..300_u16, 0..60),
        third in prop::collection::btree_set(0..300_u16, 0..60),
    ) {
        let rows = |of: &BTreeSet<u16>| of.iter().map(|n| row(*n, 0)).collect::<Vec<_>>();
        let mut midx = Midx::default();
        midx.add(&[pack(1)], rows(&first));
        midx.add(&[pack(2)], rows(&second));
        midx.retain(&BTreeSet::from([pack(2)]), |_, _| true);
        midx.add(&[pack(3)], rows(&third));
        let mut expected = Midx::default();
        expected.add(&[pack(2)], rows(&second));
        expected.add(&[pack(3)], rows(&third));
        prop_assert_eq!(&midx, &expected);
        prop_assert_eq!(Midx::decode(&midx.encode()), Some(expected));
        for number in 0..300 {
            let found: Vec<PackId> = midx
                .find(row(number, 0).id)
                .map(|row| midx.packs()[row.pack as usize])
                .collect();
            let holders = [(pack(2), &second), (pack(3), &third)];
            let holders = holders.into_iter().filter(|(_, set)| set.contains(&number));
            prop_assert_eq!(found, holders.map(|(pack, _)| pack).collect::<Vec<_>>());
        }
    }

    /// Also if the ids of a fan are not spread evenly.
    #[test]
    fn the_rows_of_an_id_are_found_where_halving_finds_them(
        ids in prop::collection::vec((any::<u16>(), 0..4_u8), 0..40),
        asked in (any::<u16>(), 0..4_u8),
    ) {
        let digest = |(next, last): (u16, u8)| {
            let mut id = [0; ID_LEN];
            id[2..4].copy_from_slice(&next.to_be_bytes());
            id[ID_LEN - 1] = last;
            Digest::from_bytes(id)
        };
        let mut rows: Vec<[u8; ROW_LEN]> = Vec::new();
        for id in &ids {
            let mut row = [0; ROW_LEN];
            row[..ID_LEN].copy_from_slice(digest(*id).as_bytes());
            rows.push(row);
        }
        rows.sort();
        for asked in ids.iter().copied().chain([asked]) {
            let id = digest(asked);
            let halved = rows.partition_point(|row| row[..ID_LEN] < id.as_bytes()[..]);
            prop_assert_eq!(first_of(&rows, id), halved);
        }
    }
}
