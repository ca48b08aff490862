use std::os::unix::fs::MetadataExt;

use proptest::prelude::*;

use super::*;
use crate::hash::Digest;

fn id(bytes: &[u8]) -> BlobId {
    BlobId(Digest::of(bytes))
}

fn stat(path: &Path) -> Metadata {
    fs::metadata(path).unwrap().unwrap()
}

/// A file in a fresh directory, and an index beside it whose stamp lies after the file.
fn settled(bytes: &[u8]) -> (tempfile::TempDir, PathBuf, Index) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write_new(&file, bytes).unwrap();
    let mut index = Index::load(&dir.path().join("state/index"));
    index.wait_out([stat(&file)].iter());
    (dir, file, index)
}

#[test]
fn what_is_recorded_is_found_again_after_saving() {
    let (dir, file, mut index) = settled(b"content");
    let at = dir.path().join("state/index");
    index.record("file", &stat(&file), id(b"content"));
    assert_eq!(index.lookup("file", &stat(&file)), Some(id(b"content")));
    index.save(&at).unwrap();
    let loaded = Index::load(&at);
    assert_eq!(loaded.lookup("file", &stat(&file)), Some(id(b"content")));
    assert_eq!(loaded.lookup("fil", &stat(&file)), None);
    assert_eq!(fs::list_dir(at.parent().unwrap()).unwrap(), ["index"]);
}

#[test]
fn an_unchanged_index_is_not_written() {
    let (dir, file, mut index) = settled(b"content");
    let at = dir.path().join("state/index");
    index.record("file", &stat(&file), id(b"content"));
    index.save(&at).unwrap();
    let before = stat(&at).ino();
    let mut index = Index::load(&at);
    index.wait_out([stat(&file)].iter());
    index.record("file", &stat(&file), id(b"content"));
    index.save(&at).unwrap();
    assert_eq!(stat(&at).ino(), before);
}

#[test]
fn any_difference_in_the_stat_is_a_change() {
    let (_dir, file, mut index) = settled(b"content");
    let now = stat(&file);
    index.record("file", &now, id(b"content"));
    let record = index.get("file").unwrap();
    let changed = [
        Record {
            size: record.size + 1,
            ..record
        },
        Record {
            mtime: record.mtime + 1,
            ..record
        },
        Record {
            ctime: record.ctime + 1,
            ..record
        },
        Record {
            inode: record.inode + 1,
            ..record
        },
        Record {
            device: record.device + 1,
            ..record
        },
        Record {
            exec: !record.exec,
            ..record
        },
    ];
    assert!(record.matches(&now));
    for record in changed {
        assert!(!record.matches(&now), "{record:?}");
    }
}

#[test]
fn another_name_of_the_file_is_no_change() {
    let (dir, file, mut index) = settled(b"content");
    index.record("file", &stat(&file), id(b"content"));
    std::fs::hard_link(&file, dir.path().join("other")).unwrap();
    assert_eq!(index.lookup("file", &stat(&file)), Some(id(b"content")));
}

#[test]
fn a_fresh_file_is_not_remembered() {
    let (dir, _, mut index) = settled(b"");
    let fresh = dir.path().join("fresh");
    fs::write_new(&fresh, b"one").unwrap();
    index.restamp();
    index.record("fresh", &stat(&fresh), id(b"one"));
    assert_eq!(index.lookup("fresh", &stat(&fresh)), None);
    assert!(index.is_racy(&stat(&fresh)));
}

#[test]
fn a_rewrite_of_the_same_size_right_after_is_always_seen() {
    use std::io::{Seek, Write};
    let (dir, path, mut index) = settled(b"aaaa");
    let mut file = std::fs::File::options().write(true).open(&path).unwrap();
    let mut content = *b"aaaa";
    let mut n_remembered = 0;
    for turn in 0..1_000_u32 {
        let before = stat(&path);
        if turn % 50 == 0 {
            index.wait_out([before.clone()].iter());
        } else {
            index.restamp();
        }
        index.record("file", &before, id(&content));
        n_remembered += u32::from(index.lookup("file", &stat(&path)).is_some());
        content = turn.to_le_bytes();
        file.rewind().unwrap();
        file.write_all(&content).unwrap();
        let seen = index.lookup("file", &stat(&path));
        assert!(seen.is_none() || seen == Some(id(&content)), "turn {turn}");
    }
    assert!(n_remembered >= 20, "{n_remembered}");
    drop(dir);
}

#[test]
fn an_index_without_a_place_remembers_nothing() {
    let (_dir, file, _) = settled(b"content");
    let mut index = Index::default();
    index.wait_out([stat(&file)].iter());
    index.record("file", &stat(&file), id(b"content"));
    assert_eq!(index.lookup("file", &stat(&file)), None);
}

#[test]
fn forgetting_a_path_forgets_what_is_below_and_no_more() {
    let (dir, file, mut index) = settled(b"content");
    let at = dir.path().join("state/index");
    let names = ["a", "a-b", "a/x", "a/y/z", "ab", "b/x", "b/y"];
    let left = |index: &Index| -> Vec<&str> {
        let found = names.into_iter();
        found
            .filter(|name| index.lookup(name, &stat(&file)).is_some())
            .collect()
    };
    for (number, name) in names.iter().enumerate() {
        index.record(name, &stat(&file), id(b"content"));
        if number == 3 {
            index.save(&at).unwrap();
        }
    }
    assert_eq!(left(&index), names);
    index.forget("a");
    index.keep_only("b", &["b/y"]);
    assert_eq!(left(&index), ["a-b", "ab", "b/y"]);
    index.save(&at).unwrap();
    assert_eq!(left(&Index::load(&at)), ["a-b", "ab", "b/y"]);
}

#[test]
fn a_damaged_index_is_an_empty_one() {
    let (dir, file, mut index) = settled(b"content");
    let at = dir.path().join("index");
    for name in ["a", "b"] {
        index.record(name, &stat(&file), id(b"content"));
    }
    index.save(&at).unwrap();
    let good = fs::read(&at).unwrap();
    for cut in 0..good.len() {
        assert!(Records::parse(good[..cut].to_vec()).is_none(), "{cut}");
    }
    for position in 0..good.len() {
        let mut bad = good.clone();
        bad[position] ^= 1;
        assert!(Records::parse(bad).is_none(), "{position}");
    }
    fs::replace(&at, &good[1..]).unwrap();
    assert_eq!(Index::load(&at).lookup("a", &stat(&file)), None);
}

fn records() -> impl Strategy<Value = BTreeMap<Box<str>, Option<Record>>> {
    let record = any::<(u64, i64, i64, u64, u64, bool, [u8; 32])>().prop_map(
        |(size, mtime, ctime, inode, device, exec, id)| Record {
            size,
            mtime,
            ctime,
            inode,
            device,
            exec,
            id: BlobId(Digest::from_bytes(id)),
        },
    );
    let name = "[a-c/é]{1,6}".prop_map(String::into_boxed_str);
    proptest::collection::btree_map(name, proptest::option::of(record), 0..20)
}

/// Bytes that begin like an index and end with the right checksum, so that what lies between is
/// really looked at.
fn nearly_an_index() -> impl Strategy<Value = Vec<u8>> {
    (
        0_u64..4,
        0_u64..40,
        proptest::collection::vec(any::<u8>(), 0..400),
    )
        .prop_map(|(count, names, body)| {
            let mut bytes = b"ESKINDEX\x01\0\0\0\0\0\0\0".to_vec();
            bytes.extend(count.to_le_bytes());
            bytes.extend(names.to_le_bytes());
            let length = usize::try_from(count * 88 + names).unwrap();
            bytes.extend(body.iter().chain(&[0; 512]).take(length));
            let checksum = Digest::of(&bytes);
            bytes.extend(checksum.as_bytes());
            bytes
        })
}

proptest! {
    #[test]
    fn merging_is_what_a_map_does(first in records(), second in records()) {
        let saved = Records::parse(Records::default().merge(&first)).unwrap();
        let merged = Records::parse(saved.merge(&second)).unwrap();
        let mut expected = first;
        expected.extend(second);
        for (name, record) in &expected {
            prop_assert_eq!(merged.get(name), *record);
        }
        let n_there = expected.values().flatten().count();
        prop_assert_eq!(merged.names_below("").len(), n_there);
    }

    #[test]
    fn hostile_bytes_do_no_harm(bytes in nearly_an_index()) {
        if let Some(records) = Records::parse(bytes) {
            for name in records.names_below("") {
                prop_assert!(records.get(&name).is_some());
            }
            let copy = records.merge(&BTreeMap::new());
            prop_assert!(Records::parse(copy).is_some());
        }
    }
}
