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

/// A push that folds small packs into its own sends what the remote has. When it dies, the next one
/// folds too, but what has arrived is not sent once more.
#[test]
fn a_push_that_dies_while_it_folds_is_taken_up_again() {
    let here = Clone::new();
    let remote = Shared::default();
    let mut files = small_files(10);
    let mut bases: Vec<Vec<Root>> = Vec::new();
    for number in 0..33 {
        files.insert(format!("more-{number:02}"), noise(number, 60_000));
        bases.insert(0, vec![here.tree("data", &files)]);
        let pushed = here.push_with(&remote.remote(), &[&bases[0]], &bases[1..], false);
        assert!(pushed.unwrap().sent_bytes < 100_000, "nothing is folded");
    }
    files.insert("new".into(), noise(99, 60_000));
    let roots = vec![here.tree("data", &files)];
    let push = |to: &Shared| here.push_with(&to.remote(), &[&roots], &bases, false);
    let before = remote.keys("p/").len();
    let whole = push(&remote.copy()).unwrap();
    assert!(whole.sent_bytes > 33 * 60_000, "all is folded");
    for write in 2..=5 {
        let copy = remote.copy();
        copy.fail_at(write);
        push(&copy).unwrap_err();
        assert_eq!(copy.keys("p/").len() - before, (write - 1).min(3));
        let arrived = copy.bytes() - remote.bytes();
        copy.fail_at(0);
        let pushed = push(&copy).unwrap();
        assert!(
            pushed.sent_bytes <= whole.sent_bytes - arrived + 20_000,
            "{write}: {} of {} after {arrived}",
            pushed.sent_bytes,
            whole.sent_bytes
        );
        let there = Clone::new();
        there.fetch(&copy.remote(), &roots);
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
