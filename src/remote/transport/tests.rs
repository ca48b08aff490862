//! One contract for all transports, run over memory and directories here and over a real S3
//! server in [`s3_server_tests`].

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use proptest::prelude::*;

use super::*;

#[path = "azure_server_tests.rs"]
pub(crate) mod azure_server_tests;
#[path = "bad_line_tests.rs"]
mod bad_line_tests;
#[path = "careless_s3_tests.rs"]
pub(crate) mod careless_s3_tests;
#[path = "../../../tests/servers/google.rs"]
pub(crate) mod google;
#[path = "http_tests.rs"]
pub(crate) mod http_tests;
#[path = "issuer.rs"]
pub(crate) mod issuer;
#[path = "proxy.rs"]
pub(crate) mod proxy;
#[path = "s3_server_tests.rs"]
pub(crate) mod s3_server_tests;
#[path = "../../../tests/servers/serving.rs"]
pub(crate) mod serving;
#[path = "ssh_server_tests.rs"]
pub(crate) mod ssh_server_tests;

pub(crate) fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn keys(transport: &dyn Transport, prefix: &str) -> Vec<String> {
    let listed = transport.list(prefix).unwrap();
    listed.into_iter().map(|listed| listed.key).collect()
}

fn directory(root: &Path) -> Directory {
    let address = Address {
        name: "shelf".to_owned(),
        url: root.to_str().unwrap().to_owned(),
        ..Address::default()
    };
    Directory::open(&address).unwrap()
}

/// What every transport must do, on an empty remote that is there.
pub(super) fn keeps_the_contract(transport: &dyn Transport) {
    keeps_all_but_writers_apart(transport);
    what_is_there_is_not_replaced(transport);
    one_of_many_wins(transport);
}

/// What even a store without a real `put_if_absent` must do.
fn keeps_all_but_writers_apart(transport: &dyn Transport) {
    nothing_is_there(transport);
    what_is_put_can_be_read(transport);
    a_large_body_arrives(transport);
    ranges_are_exact(transport, transport);
    lists_by_prefix_in_order(transport);
    lists_more_than_a_page(transport);
    deletes_twice(transport);
    refuses_strange_keys(transport);
    no_part_is_ever_seen(transport);
}

fn nothing_is_there(transport: &dyn Transport) {
    nothing_can_be_read(transport);
    assert_eq!(transport.list("none/").unwrap(), []);
    assert_eq!(transport.list("").unwrap(), []);
    transport.delete("none").unwrap();
}

fn nothing_can_be_read(transport: &dyn Transport) {
    assert_eq!(transport.get("none").unwrap(), None);
    assert_eq!(transport.get("none/at/all").unwrap(), None);
    assert_eq!(transport.get_range("none", 0, 1).unwrap(), None);
    assert!(
        !transport
            .stream("none", 0, 1, &mut |_| panic!("nothing"))
            .unwrap()
    );
    assert_eq!(transport.get_range("none", 0, 0).unwrap(), None);
    assert_eq!(transport.head("none").unwrap(), None);
}

fn what_is_put_can_be_read(transport: &dyn Transport) {
    transport.put("put/a", &bytes("one")).unwrap();
    assert_eq!(transport.get("put/a").unwrap().unwrap(), "one");
    assert_eq!(transport.head("put/a").unwrap(), Some(3));
    transport.put("put/a", &bytes("second")).unwrap();
    assert_eq!(transport.get("put/a").unwrap().unwrap(), "second");
    assert!(transport.put_if_absent("put/b", &bytes("new")).unwrap());
    assert_eq!(transport.get("put/b").unwrap().unwrap(), "new");
    transport.put("put/empty", &bytes("")).unwrap();
    assert_eq!(transport.get("put/empty").unwrap().unwrap(), "");
    assert_eq!(transport.head("put/empty").unwrap(), Some(0));
    // A directory of a directory remote is no object.
    assert_eq!(transport.get("put").unwrap(), None);
    assert_eq!(transport.head("put").unwrap(), None);
}

fn what_is_there_is_not_replaced(transport: &dyn Transport) {
    assert!(transport.put_if_absent("once/a", &bytes("first")).unwrap());
    assert!(!transport.put_if_absent("once/a", &bytes("second")).unwrap());
    assert_eq!(transport.get("once/a").unwrap().unwrap(), "first");
    assert_eq!(keys(transport, "once/"), ["once/a"]);
}

fn a_large_body_arrives(transport: &dyn Transport) {
    let content: Bytes = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    assert!(transport.put_if_absent("large/a", &content).unwrap());
    assert_eq!(transport.get("large/a").unwrap().unwrap(), content);
    transport.put("large/b", &content).unwrap();
    assert_eq!(transport.head("large/b").unwrap(), Some(3_000_000));
    let mut came = Vec::new();
    let is_there = transport.stream("large/a", 7, 2_999_990, &mut |part| {
        came.extend_from_slice(part);
        Ok(())
    });
    assert!(is_there.unwrap());
    assert!(came == content[7..2_999_997]);
    let mut times = 0;
    let refused = transport.stream("large/a", 0, 3_000_000, &mut |_| {
        times += 1;
        Err(Error::Interrupted)
    });
    assert!(matches!(refused, Err(Error::Interrupted)), "{refused:?}");
    assert_eq!(times, 1, "who takes no more is asked no more");
}

/// What one writes, another (or the same) reads in parts.
fn ranges_are_exact(writer: &dyn Transport, transport: &dyn Transport) {
    writer.put("range", &bytes("0123456789")).unwrap();
    let cases = [
        (0, 10, "0123456789"),
        (0, 1, "0"),
        (9, 1, "9"),
        (3, 4, "3456"),
    ];
    for (offset, len, expected) in cases {
        let part = transport.get_range("range", offset, len).unwrap().unwrap();
        assert_eq!(part, expected, "{len} from {offset}");
    }
    for offset in [0, 5, 10] {
        assert_eq!(
            transport.get_range("range", offset, 0).unwrap().unwrap(),
            ""
        );
    }
    let beyond = [
        (0, 11),
        (9, 2),
        (10, 1),
        (11, 0),
        (1000, 5),
        (u64::MAX, 1),
        (u64::MAX, 0),
        (0, u64::MAX),
        (u64::MAX, u64::MAX),
    ];
    for (offset, len) in beyond {
        let error = transport.get_range("range", offset, len).unwrap_err();
        assert!(
            matches!(error, Error::Damaged { .. }),
            "{len} from {offset}: {error}"
        );
    }
    writer.put("range-empty", &bytes("")).unwrap();
    assert_eq!(
        transport.get_range("range-empty", 0, 0).unwrap().unwrap(),
        ""
    );
    assert!(transport.get_range("range-empty", 0, 1).is_err());
}

fn lists_by_prefix_in_order(transport: &dyn Transport) {
    for key in ["list/b", "list/a/x", "list/a-z", "list/a/b/c", "list0"] {
        transport.put(key, &bytes(key)).unwrap();
    }
    let all = ["list/a-z", "list/a/b/c", "list/a/x", "list/b"];
    assert_eq!(keys(transport, "list/"), all);
    assert_eq!(keys(transport, "list/a/"), ["list/a/b/c", "list/a/x"]);
    assert_eq!(keys(transport, "lis/"), [""; 0]);
    assert_eq!(keys(transport, "list/b/"), [""; 0]);
    let sizes: Vec<u64> = transport
        .list("list/")
        .unwrap()
        .iter()
        .map(|listed| listed.size)
        .collect();
    assert_eq!(sizes, all.map(|key| key.len() as u64));
    assert!(transport.list("list").is_err(), "not a whole name");
    assert!(transport.list("/").is_err());
    assert!(transport.list("list/../").is_err());
}

/// S3 sends 1,000 keys a page.
fn lists_more_than_a_page(transport: &dyn Transport) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= 1100 {
                        return;
                    }
                    let key = format!("many/{:02x}/{number}", number % 256);
                    assert!(transport.put_if_absent(&key, &bytes("x")).unwrap());
                }
            });
        }
    });
    let listed = keys(transport, "many/");
    assert_eq!(listed.len(), 1100);
    assert!(listed.is_sorted());
    assert_eq!(keys(transport, "many/ff/").len(), 4);
}

fn deletes_twice(transport: &dyn Transport) {
    transport.put("delete/a", &bytes("x")).unwrap();
    for _ in 0..2 {
        transport.delete("delete/a").unwrap();
        assert_eq!(transport.get("delete/a").unwrap(), None);
        assert_eq!(keys(transport, "delete/"), [""; 0]);
    }
    assert!(transport.put_if_absent("delete/a", &bytes("y")).unwrap());
}

fn refuses_strange_keys(transport: &dyn Transport) {
    let strange = [
        "", "/", "a/", "/a", "a//b", ".", "..", "a/../b", "a/./b", "a b", "a\0b", "a\\b", "é",
        "tmp", "tmp/a", "a%2fb",
    ];
    for key in strange {
        assert!(transport.get(key).is_err(), "{key:?}");
        assert!(transport.get_range(key, 0, 1).is_err(), "{key:?}");
        assert!(transport.head(key).is_err(), "{key:?}");
        assert!(transport.put(key, &bytes("")).is_err(), "{key:?}");
        assert!(transport.put_if_absent(key, &bytes("")).is_err(), "{key:?}");
        assert!(transport.delete(key).is_err(), "{key:?}");
    }
}

fn one_of_many_wins(transport: &dyn Transport) {
    const RACERS: usize = 32;
    for round in 0..5 {
        let key = format!("race/{round}");
        let barrier = std::sync::Barrier::new(RACERS);
        let winners: Vec<usize> = std::thread::scope(|scope| {
            let (key, barrier) = (&key, &barrier);
            let racers: Vec<_> = (0..RACERS)
                .map(|racer| {
                    scope.spawn(move || {
                        barrier.wait();
                        let won = transport.put_if_absent(key, &bytes(&racer.to_string()));
                        won.unwrap().then_some(racer)
                    })
                })
                .collect();
            let finished = racers.into_iter().filter_map(|racer| racer.join().unwrap());
            finished.collect()
        });
        assert_eq!(winners.len(), 1, "{winners:?} all won");
        let content = transport.get(&key).unwrap().unwrap();
        assert_eq!(content, winners[0].to_string());
    }
}

fn no_part_is_ever_seen(transport: &dyn Transport) {
    const LEN: u64 = 4 << 20;
    let body = Bytes::from(vec![7; LEN as usize]);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                for number in 0..6 {
                    let key = format!("whole/{number}");
                    if let Some(size) = transport.head(&key).unwrap() {
                        assert_eq!(size, LEN);
                        assert_eq!(transport.get(&key).unwrap().unwrap().len() as u64, LEN);
                    }
                }
                let listed = transport.list("whole/").unwrap();
                assert!(listed.iter().all(|listed| listed.size == LEN));
            }
        });
        for number in 0..6 {
            let key = format!("whole/{number}");
            assert!(transport.put_if_absent(&key, &body).unwrap());
            // What is written is listed at once.
            assert_eq!(keys(transport, "whole/").len(), number + 1);
        }
        done.store(true, Ordering::Release);
    });
}

#[test]
fn memory_keeps_the_contract() {
    keeps_the_contract(&Memory::default());
}

#[test]
fn careless_memory_keeps_the_rest_of_it() {
    let transport = Memory::careless();
    keeps_all_but_writers_apart(&transport);
    assert!(transport.put_if_absent("put/a", &bytes("third")).unwrap());
}

#[test]
fn a_directory_keeps_the_contract() {
    let root = tempfile::tempdir().unwrap();
    keeps_the_contract(&directory(root.path()));
    let tmp = std::fs::read_dir(root.path().join("tmp")).unwrap();
    assert_eq!(tmp.count(), 0, "something was left in tmp");
}

#[test]
fn a_missing_directory_is_an_error_until_the_first_write() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("not/yet");
    let transport = directory(&root);
    let missing = [
        transport.get("a").map(|_| ()),
        transport.get_range("a", 0, 1).map(|_| ()),
        transport.head("a").map(|_| ()),
        transport.list("").map(|_| ()),
        transport.list("a/").map(|_| ()),
        transport.delete("a"),
    ];
    for result in missing {
        let error = result.unwrap_err();
        assert!(matches!(error, Error::MissingDirectory { .. }), "{error}");
    }
    assert!(!root.exists(), "reading made it");
    assert!(transport.put_if_absent("p/a", &bytes("x")).unwrap());
    assert_eq!(transport.get("p/a").unwrap().unwrap(), "x");
    assert_eq!(transport.get("p/b").unwrap(), None);
}

#[test]
fn a_file_is_no_directory_remote() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("file");
    std::fs::File::create(&root).unwrap();
    let transport = directory(&root);
    assert!(transport.get("a").is_err());
    assert!(transport.list("").is_err());
    assert!(transport.put("a", &bytes("x")).is_err());
    assert!(root.is_file());
}

#[test]
fn a_directory_may_be_a_link_and_hold_strangers() {
    let dir = tempfile::tempdir().unwrap();
    let (real, link) = (dir.path().join("real"), dir.path().join("link"));
    std::fs::DirBuilder::new().create(&real).unwrap();
    symlink(&real, &link).unwrap();
    let transport = directory(&link);
    transport.put("p/a", &bytes("x")).unwrap();
    for stranger in ["Desktop Icon", "caf\u{e9}"] {
        std::fs::File::create(real.join(stranger)).unwrap();
    }
    symlink("/etc", real.join("etc")).unwrap();
    symlink("nowhere", real.join("dangling")).unwrap();
    assert_eq!(keys(&transport, ""), ["p/a"]);
    // A link is no object, wherever it points.
    assert_eq!(transport.get("dangling").unwrap(), None);
    assert_eq!(transport.get("etc").unwrap(), None);
}

#[test]
fn a_key_below_an_object_is_not_there() {
    let root = tempfile::tempdir().unwrap();
    let transport = directory(root.path());
    transport.put("a", &bytes("x")).unwrap();
    assert_eq!(transport.get("a/b").unwrap(), None);
    assert_eq!(transport.head("a/b").unwrap(), None);
    assert!(transport.put("a/b", &bytes("y")).is_err());
    assert_eq!(transport.get("a").unwrap().unwrap(), "x");
}

#[test]
fn what_is_deleted_while_it_is_read_is_there_or_not() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a");
    let transport = directory(root.path());
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..20_000 {
                crate::fs::write_new(&root.path().join("new"), b"content").unwrap();
                crate::fs::rename(&root.path().join("new"), &path).unwrap();
                crate::fs::remove_file(&path).unwrap();
            }
            is_over.store(true, Ordering::SeqCst);
        });
        while !is_over.load(Ordering::SeqCst) {
            let whole = transport.get("a").unwrap();
            assert!(whole.is_none_or(|bytes| bytes == "content"));
            let part = transport.get_range("a", 1, 3).unwrap();
            assert!(part.is_none_or(|bytes| bytes == "ont"));
        }
    });
}

#[test]
fn an_object_that_is_too_large_takes_no_memory() {
    let root = tempfile::tempdir().unwrap();
    let transport = directory(root.path());
    let file = std::fs::File::create(root.path().join("large")).unwrap();
    file.set_len(MAX_OBJECT_BYTES + 1).unwrap();
    let error = transport.get("large").unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    assert!(
        transport
            .get_range("large", 0, MAX_OBJECT_BYTES + 1)
            .is_err()
    );
    let tail = transport.get_range("large", MAX_OBJECT_BYTES, 1);
    assert_eq!(tail.unwrap().unwrap(), "\0");
}

#[test]
fn a_directory_without_rights_names_the_path() {
    let root = tempfile::tempdir().unwrap();
    let transport = directory(root.path());
    transport.put("a", &bytes("x")).unwrap();
    let locked = std::fs::Permissions::from_mode(0o000);
    std::fs::set_permissions(root.path().join("a"), locked).unwrap();
    // The superuser may read everything; for others the error must name the file.
    if let Err(error) = transport.get("a") {
        assert!(error.to_string().contains("/a`"), "{error}");
    }
}

#[test]
fn a_url_chooses_the_transport() {
    let none = |_: &str| None;
    let at = |url: &str| Address {
        name: "r".to_owned(),
        url: url.to_owned(),
        ..Address::default()
    };
    for url in [
        "/a/b",
        "file:///a/b",
        "s3://bucket",
        "s3://bucket/a/b/",
        "gs://bucket/p",
        "https://host/a/",
        "http://host:8080",
    ] {
        assert!(open(&at(url), &none).is_ok(), "{url}");
    }
    for url in ["ftp://x", "data", "./data", "file://data", ""] {
        let error = open(&at(url), &none).err().unwrap();
        assert!(
            matches!(error, Error::UnknownScheme { .. }),
            "{url}: {error}"
        );
    }
    for url in [
        "s3://",
        "s3:///p",
        "s3://b u",
        "s3://key:secret@bucket/p",
        "s3://b/a//b",
        "s3://b/../c",
    ] {
        let error = open(&at(url), &none).err().unwrap();
        assert!(matches!(error, Error::Protocol { .. }), "{url}: {error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

proptest! {
    /// No key, however it is written, reaches a file outside of the remote.
    #[test]
    fn no_key_leaves_the_directory(key in "[a-z./~\\\\ \0-]{0,12}") {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        if directory(&root).put(&key, &bytes("x")).is_ok() {
            prop_assert!(root.join(&key).is_file());
        }
        let beside: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
        prop_assert!(beside.len() <= 1);
    }

    #[test]
    fn any_range_is_exact_or_refused(
        content in proptest::collection::vec(any::<u8>(), 0..50),
        offset in 0..60_u64,
        len in 0..60_u64,
    ) {
        let root = tempfile::tempdir().unwrap();
        let shelf = directory(root.path());
        let memory = Memory::default();
        let expected = content.get(offset as usize..(offset + len) as usize);
        let transports: [&dyn Transport; 2] = [&shelf, &memory];
        for transport in transports {
            transport.put("a", &Bytes::from(content.clone())).unwrap();
            let part = transport.get_range("a", offset, len).ok().flatten();
            prop_assert_eq!(part.as_deref(), expected);
        }
    }
}
