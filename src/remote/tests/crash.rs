//! A push that dies, a remote that refuses, a wish to stop.

use super::*;

/// Kills the connection at every write in turn. Whatever had reached the remote is used by the
/// next push, nothing is lost, and nothing is claimed too early.
#[test]
fn a_push_that_dies_is_taken_up_again() {
    let whole = {
        let here = Clone::new();
        here.push(&Shared::default().remote(), &sample(&here))
    };
    for write in 1..=usize::try_from(whole.objects).unwrap() {
        let (here, there) = (Clone::new(), Clone::new());
        let remote = Shared::default();
        let roots = sample(&here);
        remote.fail_at(write);
        let failed = here.push_with(&remote.remote(), &[&roots], &[], false);
        assert!(matches!(failed, Err(Error::Unreachable { .. })), "{write}");
        assert!(remote.keys("snap/").is_empty());
        let packs = remote.keys("p/").len();
        remote.fail_at(0);
        let pushed = here.push(&remote.remote(), &roots);
        let objects = whole.objects as usize + 1 - write;
        assert!(
            pushed.objects as usize <= objects,
            "{write}: {packs} packs were there"
        );
        assert_eq!(
            remote.keys("").len(),
            whole.objects as usize,
            "nothing twice"
        );
        there.fetch(&remote.remote(), &roots);
        assert_eq!(there.contents(&roots), here.contents(&roots));
    }
}

#[test]
fn the_spool_is_empty_after_a_push() {
    let here = Clone::new();
    here.push(&Shared::default().remote(), &sample(&here));
    let spool = here.spool();
    let names = crate::fs::list_dir(&spool).unwrap();
    for dir in &names {
        assert!(crate::fs::list_dir(&spool.join(dir)).unwrap().is_empty());
    }
}

#[test]
fn an_interrupt_is_a_clean_error() {
    let (here, there) = (Clone::new(), Clone::new());
    let remote = Shared::default();
    let roots = sample(&here);
    here.push(&remote.remote(), &roots);
    let stop = Interrupt::new();
    stop.request();
    let fetched = remote
        .remote()
        .fetch(&there.store, &roots, &at_once(4), &Silent, &stop);
    assert!(matches!(fetched, Err(Error::Interrupted)));
    let wanted = [Wanted {
        roots: vec![here.file("other", b"other")],
        commit: [0; 32],
    }];
    let options = PushOptions {
        project: [7; 16],
        bases: &[],
        spool: &here.spool(),
        memory: &here.memory(),
        jobs: 4,
        distrusted: &HashSet::new(),
        dry_run: false,
    };
    let before = remote.keys("");
    let pushed = remote
        .remote()
        .push(&here.store, &wanted, &options, &Silent, &stop);
    assert!(matches!(pushed, Err(Error::Interrupted)));
    assert_eq!(remote.keys(""), before);
}

#[test]
fn a_remote_of_later_versions_is_refused() {
    let here = Clone::new();
    let roots = vec![here.file("file", b"file")];
    let changes = [
        ("\"format\":1", "\"format\":2"),
        ("\"gc-log\"", "\"later\""),
        ("\"min_writer\":1", "\"min_writer\":2"),
    ];
    for (from, to) in changes {
        let remote = Shared::default();
        here.push(&remote.remote(), &roots);
        let format = String::from_utf8(remote.read("format.json")).unwrap();
        remote.write("format.json", format.replace(from, to).into_bytes());
        let refused = here.push_with(&remote.remote(), &[&roots], &[], false);
        assert!(matches!(refused, Err(Error::TooNew { .. })), "{to}");
    }
    let remote = Shared::default();
    here.push(&remote.remote(), &roots);
    let mut record = gc::log::Record::Condemn(Vec::new()).encode(1, [0; 16]);
    record[32] = 9;
    record.truncate(record.len() - 32);
    let checksum = Digest::of(&record);
    record.extend_from_slice(checksum.as_bytes());
    remote.write("gc/0000000000000001", record);
    let refused = here.push_with(&remote.remote(), &[&roots], &[], false);
    assert!(matches!(refused, Err(Error::TooNew { .. })));
}

#[test]
fn a_corrupt_object_of_the_store_is_not_sent() {
    for bytes in [b"small".to_vec(), noise(1, 5_000_000)] {
        let here = Clone::new();
        let remote = Shared::default();
        let roots = vec![here.file("file", &bytes)];
        here.store.settle().unwrap();
        let id = Digest::of(&bytes);
        let store = here.dir.path().join("store/objects");
        let object = store.join(id.short(2)).join(&id.to_hex()[2..]);
        crate::fs::remove_file(&object).unwrap();
        let mut wrong = bytes.clone();
        wrong[3] ^= 1;
        crate::fs::write_new(&object, &wrong).unwrap();
        let refused = here.push_with(&remote.remote(), &[&roots], &[], false);
        let corrupt = matches!(
            refused,
            Err(Error::Store(crate::store::Error::Corrupt { .. }))
        );
        assert!(corrupt, "{refused:?}");
        assert!(remote.keys("snap/").is_empty());
    }
}
