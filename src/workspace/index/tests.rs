use std::os::unix::fs::MetadataExt;

use proptest::prelude::*;

use super::*;
use crate::fs::Metadata;
use crate::hash::{Digest, TreeId};

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
    let Some(Known::File(record)) = index.known("file") else {
        panic!("no file")
    };
    let now = Stat::from(&now);
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
    index.forget_one("b/x");
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

/// An index that is large enough for a small change to be written beside it.
fn large(dir: &Path) -> (PathBuf, Index) {
    let at = dir.join("state/index");
    let file = dir.join("file");
    fs::write_new(&file, b"content").unwrap();
    let mut index = Index::load(&at);
    index.wait_out([stat(&file)].iter());
    for number in 0..2_000 {
        index.record(&format!("d/{number}"), &stat(&file), id(b"content"));
    }
    index.seal("d", summary(1));
    index.save(&at).unwrap();
    (at, index)
}

fn summary(number: u64) -> Summary {
    Summary {
        root: TreeId(Digest::of(&number.to_le_bytes())),
        files: number,
        bytes: number / 3,
    }
}

#[test]
fn a_small_change_is_written_beside_a_large_index() {
    let dir = tempfile::tempdir().unwrap();
    let (at, mut index) = large(dir.path());
    let whole = fs::read(&at).unwrap();
    let delta = at.with_extension("delta");
    index.forget_one("d/7");
    index.learn("d/link", Known::Link("7".into()));
    index.learn("e/none", Known::EmptyDir);
    index.seal("d", summary(2));
    index.save(&at).unwrap();
    assert_eq!(fs::read(&at).unwrap(), whole);
    assert!(fs::read(&delta).unwrap().len() < 1_000);

    let loaded = Index::load(&at);
    assert_eq!(loaded.known("d/7"), None);
    assert_eq!(loaded.known("d/link"), Some(Known::Link("7".into())));
    assert_eq!(loaded.known("e/none"), Some(Known::EmptyDir));
    assert_eq!(loaded.known("d/8"), index.known("d/8"));
    assert_eq!(loaded.sealed("d"), Some(summary(2)));

    // Without it, or with one that says nothing true, the index is what it was.
    let good = fs::read(&delta).unwrap();
    for bad in [&good[..good.len() - 1], b"", &whole] {
        fs::replace(&delta, bad).unwrap();
        let loaded = Index::load(&at);
        assert!(loaded.known("d/7").is_some() && loaded.known("d/link").is_none());
        assert_eq!(loaded.sealed("d"), Some(summary(1)));
    }
    // Nor is it an index by itself, or that of another.
    fs::replace(&at, &good).unwrap();
    assert_eq!(Index::load(&at).known("d/8"), None);
}

#[test]
fn many_changes_are_written_into_the_index() {
    let dir = tempfile::tempdir().unwrap();
    let (at, mut index) = large(dir.path());
    index.forget_one("d/7");
    index.save(&at).unwrap();
    let old_delta = fs::read(&at.with_extension("delta")).unwrap();
    for number in 0..2_000 {
        index.learn(&format!("e/{number}"), Known::EmptyDir);
    }
    index.save(&at).unwrap();
    // The old changes are still beside it, and count no more.
    assert_eq!(fs::read(&at.with_extension("delta")).unwrap(), old_delta);
    let loaded = Index::load(&at);
    assert_eq!(loaded.known("e/1999"), Some(Known::EmptyDir));
    assert_eq!(loaded.known("d/7"), None);
    assert!(loaded.known("d/8").is_some() && loaded.changes.is_empty());
}

#[test]
fn very_many_changes_are_worked_in_before_they_are_written() {
    let dir = tempfile::tempdir().unwrap();
    let (at, mut index) = large(dir.path());
    let n_more = MANY_CHANGES + 3;
    for number in 0..n_more {
        index.learn(&format!("e/{number}"), Known::EmptyDir);
    }
    assert_eq!(index.changes.len(), 3);
    let count = |index: &Index| Cursor::new(index, "e").count();
    assert_eq!(count(&index), n_more);
    index.save(&at).unwrap();
    let loaded = Index::load(&at);
    assert_eq!(count(&loaded), n_more);
    assert!(loaded.known("d/8").is_some() && loaded.changes.is_empty());
}

#[test]
fn a_changed_record_breaks_the_seals_above_it_and_no_others() {
    let (dir, file, mut index) = settled(b"content");
    let at = dir.path().join("state/index");
    let all = ["a", "a/b", "a/b-c", "b"];
    let seal = |index: &mut Index| {
        for name in all {
            index.record(&format!("{name}/x"), &stat(&file), id(b"content"));
        }
        for name in all {
            index.seal(name, summary(3));
        }
    };
    let sealed = |index: &Index| -> Vec<&str> {
        let names = all.into_iter();
        names.filter(|name| index.sealed(name).is_some()).collect()
    };
    seal(&mut index);
    index.save(&at).unwrap();
    assert_eq!(sealed(&Index::load(&at)), all);
    index.record("a/b/x", &stat(&file), id(b"content"));
    assert_eq!(sealed(&index), all);
    index.record("a/b/x", &stat(&file), id(b"other"));
    assert_eq!(sealed(&index), ["a/b-c", "b"]);
    seal(&mut index);
    index.forget_one("a/b-c/x");
    assert_eq!(sealed(&index), ["a/b", "b"]);
    seal(&mut index);
    index.forget("a/b");
    assert_eq!(sealed(&index), ["a/b-c", "b"]);
    index.learn("b/new", Known::EmptyDir);
    assert_eq!(sealed(&index), ["a/b-c"]);
}

#[test]
fn the_golden_index_and_its_delta_are_read_and_written() {
    const INDEX: &[u8] = include_bytes!("../../../fixtures/formats/index-v1/index");
    const DELTA: &[u8] = include_bytes!("../../../fixtures/formats/index-v1/index.delta");
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("index");
    fs::write_new(&at, INDEX).unwrap();
    let index = Index::load(&at);
    let file = |name: &str, inode, exec| {
        Some(Known::File(Record {
            size: name.len() as u64,
            mtime: 1_700_000_000_123_456_789,
            ctime: 1_700_000_000_123_456_790,
            inode,
            device: 2049,
            exec,
            id: id(name.as_bytes()),
        }))
    };
    let known = |index: &Index| ["data/a.csv", "data/b.csv"].map(|name| index.known(name));
    assert_eq!(known(&index), [file("data/a.csv", 7, false), None]);
    assert_eq!(index.known("data/none"), Some(Known::EmptyDir));
    assert_eq!(index.known("data/run"), file("data/run", 8, true));
    assert_eq!(index.known("data/to"), Some(Known::Link("a.csv".into())));
    assert_eq!(index.known("src/ü.py"), file("src/ü.py", 9, false));
    let sealed = |index: &Index| index.sealed("data").map(|tree| tree.root.0);
    assert_eq!(sealed(&index), Some(Digest::of(b"the tree")));
    let all = index.saved.changes();
    let again = records::whole(&Records::default(), &all, &index.seals);
    assert_eq!(again.bytes(), INDEX);

    fs::write_new(&at.with_extension("delta"), DELTA).unwrap();
    let index = Index::load(&at);
    assert_eq!(known(&index), [None, file("data/b.csv", 10, false)]);
    assert_eq!(index.known("data/run"), file("data/run", 8, true));
    assert_eq!(sealed(&index), Some(Digest::of(b"another tree")));
    let again = records::delta(&index.saved, &index.changes, &index.seals);
    assert_eq!(again.bytes(), DELTA);
}

fn known() -> impl Strategy<Value = Known> {
    let record = any::<(u64, i64, i64, u64, u64, bool, [u8; 32])>().prop_map(
        |(size, mtime, ctime, inode, device, exec, id)| {
            Known::File(Record {
                size,
                mtime,
                ctime,
                inode,
                device,
                exec,
                id: BlobId(Digest::from_bytes(id)),
            })
        },
    );
    prop_oneof![
        4 => record,
        1 => "[a-c./é]{1,5}".prop_map(|target| Known::Link(target.into())),
        1 => Just(Known::EmptyDir),
    ]
}

fn changes() -> impl Strategy<Value = Changes> {
    let name = "[a-c/é-]{1,6}".prop_map(String::into_boxed_str);
    proptest::collection::btree_map(name, proptest::option::of(known()), 0..20)
}

fn seals() -> impl Strategy<Value = Seals> {
    let name = "[a-c/]{1,3}".prop_map(String::into_boxed_str);
    proptest::collection::btree_map(name, any::<u64>().prop_map(summary), 0..4)
}

/// Bytes that begin like an index and end with the right checksum, so that what lies between is
/// really looked at.
fn nearly_an_index() -> impl Strategy<Value = Vec<u8>> {
    (
        0_u64..4,
        0_u64..3,
        0_u64..40,
        proptest::collection::vec(any::<u8>(), 0..400),
    )
        .prop_map(|(count, seals, names, body)| {
            let mut bytes = b"ESKINDEX\x01\0\0\0\0\0\0\0".to_vec();
            for field in [count, seals, names] {
                bytes.extend(field.to_le_bytes());
            }
            bytes.extend([0; 32]);
            let length = usize::try_from((count + seals) * 88 + names).unwrap();
            bytes.extend(body.iter().chain(&[0; 512]).take(length));
            let checksum = Digest::of(&bytes);
            bytes.extend(checksum.as_bytes());
            bytes
        })
}

/// What a reader makes of the bytes.
fn parsed(records: &Records) -> Records {
    Records::parse(records.bytes().to_vec()).unwrap()
}

/// An index of what was saved and of what was learnt since.
fn index_of(saved: &Changes, changes: &Changes) -> Index {
    Index {
        saved: records::whole(&Records::default(), saved, &Seals::new()),
        changes: changes.clone(),
        ..Index::default()
    }
}

proptest! {
    #[test]
    fn merging_is_what_a_map_does(first in changes(), second in changes(), seals in seals()) {
        let saved = parsed(&records::whole(&Records::default(), &first, &seals));
        prop_assert_eq!(saved.seals(), seals.clone());
        let merged = parsed(&records::whole(&saved, &second, &seals));
        let delta = parsed(&records::delta(&saved, &second, &seals));
        prop_assert!(delta.n_bytes() <= records::n_delta_bytes(&second, &seals));
        prop_assert_eq!(delta.changes(), second.clone());
        prop_assert_eq!(delta.seals(), seals);
        prop_assert_eq!(delta.base(), saved.checksum());
        let mut expected = first;
        expected.extend(second);
        for (name, known) in &expected {
            prop_assert_eq!(&merged.get(name.as_bytes()), known);
        }
        expected.retain(|_, known| known.is_some());
        prop_assert_eq!(merged.changes(), expected);
    }

    #[test]
    fn a_cursor_goes_through_what_is_saved_and_learnt(
        first in changes(), second in changes(), dir in "[a-c]", skip in "[a-c/é-]{0,5}",
    ) {
        let index = index_of(&first, &second);
        let mut all = first;
        all.extend(second);
        let prefix = format!("{dir}/");
        let mut expected: Vec<_> = all
            .into_iter()
            .filter_map(|(name, known)| Some((name, known?)))
            .filter(|(name, _)| name.starts_with(&prefix))
            .collect();
        let walk = |mut cursor: Cursor<'_>| {
            let mut found = Vec::new();
            while let Some((name, place)) = cursor.next() {
                let name = std::str::from_utf8(name).unwrap();
                found.push((Box::<str>::from(name), cursor.known(place).unwrap()));
            }
            found
        };
        prop_assert_eq!(walk(Cursor::new(&index, &dir)), expected.clone());
        let mut cursor = Cursor::new(&index, &dir);
        let from = format!("{prefix}{skip}");
        cursor.skip_to(&from);
        expected.retain(|(name, _)| **name >= *from);
        prop_assert_eq!(walk(cursor), expected);
    }

    #[test]
    fn hostile_bytes_do_no_harm(bytes in nearly_an_index()) {
        if let Some(records) = Records::parse(bytes) {
            for (name, known) in records.changes() {
                prop_assert_eq!(records.get(name.as_bytes()), known);
            }
            let copy = records::whole(&records, &Changes::new(), &records.seals());
            prop_assert!(Records::parse(copy.bytes().to_vec()).is_some());
        }
    }
}
