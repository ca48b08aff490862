//! What is pushed can be fetched, and nothing is sent twice.

use super::*;

#[test]
fn what_is_pushed_is_fetched() {
    let (here, there) = (Clone::new(), Clone::new());
    let roots = sample(&here);
    let remote = Shared::default();
    let pushed = here.push(&remote.remote(), &roots);
    assert_eq!((pushed.files, pushed.missing), (304, vec![]));
    assert_eq!(pushed.objects as usize, remote.keys("").len());
    let fetched = there.fetch(&remote.remote(), &roots);
    assert_eq!((fetched.missing, fetched.damaged), (vec![], vec![]));
    assert_eq!((fetched.files, fetched.bytes), (pushed.files, pushed.bytes));
    assert_eq!(there.contents(&roots), here.contents(&roots));
    assert_eq!(there.fetch(&remote.remote(), &roots), Fetched::default());
}

#[test]
fn a_directory_is_a_remote() {
    let (here, there) = (Clone::new(), Clone::new());
    let dir = tempfile::tempdir().unwrap();
    let address = Address {
        name: "disk".into(),
        url: dir.path().join("made/by/push").display().to_string(),
        ..Address::default()
    };
    let remote = Remote::open(&address, &|_| None).unwrap();
    let roots = sample(&here);
    let interrupt = Interrupt::new();
    let fetched = remote.fetch(&there.store, &roots, &at_once(1), &Silent, &interrupt);
    assert!(matches!(fetched, Err(Error::MissingDirectory { .. })));
    let planned = here.push_with(&remote, &[&roots], &[], true).unwrap();
    assert_eq!((planned.files, planned.objects), (304, 0));
    assert!(crate::fs::list_dir(dir.path()).unwrap().is_empty());
    here.push(&remote, &roots);
    there.fetch(&remote, &roots);
    assert_eq!(there.contents(&roots), here.contents(&roots));
}

#[test]
fn a_thousand_small_files_are_few_objects() {
    let (here, there) = (Clone::new(), Clone::new());
    let roots = [here.tree("data", &small_files(1000))];
    let remote = Shared::default();
    let pushed = here.push(&remote.remote(), &roots);
    assert_eq!((pushed.files, pushed.objects), (1000, 4));
    assert_eq!(remote.keys("p/").len(), 1, "all fits into one mixed pack");
    assert!(remote.count_requests() <= 7);
    there.fetch(&remote.remote(), &roots);
    assert_eq!(there.contents(&roots), here.contents(&roots));
    assert!(remote.count_requests() <= 7);
}

#[test]
fn nothing_new_sends_nothing() {
    let here = Clone::new();
    let roots = sample(&here);
    let remote = Shared::default();
    here.push(&remote.remote(), &roots);
    let keys = remote.keys("");
    assert_eq!(here.push(&remote.remote(), &roots), Pushed::default());
    assert_eq!(remote.keys(""), keys);
}

#[test]
fn another_project_adds_its_own_snapshot_only() {
    let here = Clone::new();
    let roots = sample(&here);
    let remote = Shared::default();
    here.push(&remote.remote(), &roots);
    let other = Clone {
        project: [8; 16],
        ..here
    };
    let pushed = other.push(&remote.remote(), &roots);
    assert_eq!((pushed.files, pushed.objects), (0, 1));
    assert_eq!(remote.keys("snap/").len(), 2);
}

#[test]
fn a_change_sends_what_changed() {
    let (here, there) = (Clone::new(), Clone::new());
    let mut files = small_files(2000);
    let old = vec![here.tree("data", &files)];
    let remote = Shared::default();
    here.push(&remote.remote(), &old);
    files.insert("05/new.txt".into(), b"new\n".to_vec());
    let new = vec![here.tree("data", &files)];
    let bases = [old];
    let pushed = here
        .push_with(&remote.remote(), &[&new], &bases, false)
        .unwrap();
    assert_eq!((pushed.files, pushed.bytes, pushed.objects), (1, 4, 3));
    there.fetch(&remote.remote(), &new);
    assert_eq!(there.contents(&new), here.contents(&new));
}

/// No base, no common history: the index segments say what is there.
#[test]
fn content_that_is_there_is_not_sent_again() {
    let (here, there) = (Clone::new(), Clone::new());
    let remote = Shared::default();
    let files = small_files(100);
    here.push(&remote.remote(), &[here.tree("data", &files)]);
    let elsewhere = Clone::new();
    let mut more = files.clone();
    more.insert("extra".into(), b"extra".to_vec());
    let large = elsewhere.file("large", &noise(9, 5_000_000));
    let roots = vec![elsewhere.tree("other", &more), large];
    let pushed = elsewhere.push(&remote.remote(), &roots);
    assert_eq!(pushed.files, 2);
    there.fetch(&remote.remote(), &roots);
    assert_eq!(there.contents(&roots), elsewhere.contents(&roots));
}

#[test]
fn an_edit_of_a_large_file_sends_the_changed_chunks() {
    let (here, there) = (Clone::new(), Clone::new());
    let remote = Shared::default();
    let mut bytes = noise(1, 21_000_000);
    let old = vec![here.file("large", &bytes)];
    here.push(&remote.remote(), &old);
    bytes.splice(9_000_000..9_000_000, *b"a row that was not there before");
    bytes[16_000_000] ^= 1;
    bytes.extend_from_slice(b"and more");
    let new = vec![here.file("large", &bytes)];
    for bases in [vec![], vec![old.clone()]] {
        let copy = Shared::default();
        for key in remote.keys("") {
            copy.write(&key, remote.read(&key));
        }
        let pushed = here
            .push_with(&copy.remote(), &[&new], &bases, false)
            .unwrap();
        assert_eq!(pushed.files, 1);
        assert!(pushed.sent_bytes < 1 << 20, "{pushed:?}");
        let there = Clone::new();
        let fetched = there.fetch(&copy.remote(), &new);
        assert_eq!((fetched.files, fetched.damaged), (1, vec![]));
        assert_eq!(there.contents(&new), here.contents(&new));
    }
    there.fetch(&remote.remote(), &old);
    assert_eq!(there.contents(&old), here.contents(&old));
}

/// A remote says how files are cut for it, and a remote that nobody can obey is good enough.
#[test]
fn a_remote_names_the_chunker() {
    let here = Clone::new();
    let roots = vec![here.file("large", &noise(1, 9_000_000))];
    let chunks_of = |chunker: &str| {
        let remote = Shared::default();
        let format = format::Format::new([1; 16]).encode();
        let format = String::from_utf8(format).unwrap();
        let format = format.replace(chunker::DEFAULT, chunker);
        remote.write(layout::FORMAT, format.into_bytes());
        here.push(&remote.remote(), &roots);
        let there = Clone::new();
        there.fetch(&remote.remote(), &roots);
        assert_eq!(there.contents(&roots), here.contents(&roots));
        let segment = remote.read(&remote.keys("idx/")[0]);
        let packs = segment::decode(&segment).unwrap();
        let entries = packs.iter().flat_map(|pack| &pack.entries);
        let chunks = entries.filter(|entry| entry.id.kind == ObjectKind::Chunk);
        chunks.count()
    };
    assert_eq!(chunks_of("fixed-4m"), 3);
    let default = chunks_of(chunker::DEFAULT);
    assert_eq!(chunks_of("what-comes-later"), default);
    assert!(chunks_of("fastcdc-1024-1024-4096") < default);
}

#[test]
fn a_file_that_repeats_itself_is_sent_once() {
    let (here, there) = (Clone::new(), Clone::new());
    let remote = Shared::default();
    let mut bytes = vec![0; 30_000_000];
    bytes.extend(noise(1, 5_000_000));
    bytes.extend_from_within(..);
    let roots = vec![here.file("large", &bytes)];
    let pushed = here.push(&remote.remote(), &roots);
    assert!(pushed.sent_bytes < 7_000_000, "{pushed:?}");
    let fetched = there.fetch(&remote.remote(), &roots);
    assert_eq!((fetched.files, fetched.bytes), (1, 70_000_000));
    assert!(fetched.received_bytes < 7_000_000, "{fetched:?}");
    assert_eq!(there.contents(&roots), here.contents(&roots));
}

/// How long the content is that the packs of a remote hold.
fn content_of(remote: &Shared) -> u64 {
    let segments = remote.keys("idx/").into_iter();
    let packs = segments.flat_map(|key| segment::decode(&remote.read(&key)).unwrap());
    let entries = packs.flat_map(|pack| pack.entries);
    let content = entries.filter(|entry| is_content(entry.id));
    content.map(|entry| u64::from(entry.stored_len)).sum()
}

#[test]
fn what_travels_and_what_need_not_are_all_there_is() {
    let here = Clone::new();
    let remote = Shared::default();
    let mut bytes = vec![0; 6_000_000];
    bytes.extend(noise(1, 12_000_000));
    let table = |rows: usize| "a row like all the others\n".repeat(rows).into_bytes();
    let mut roots = vec![
        here.tree("small", &small_files(40)),
        here.file("large", &bytes),
        here.file("table", &table(40_000)),
    ];
    let mut held = 0;
    // At first, then with a change of each kind.
    for round in 0..2 {
        let pushed = here.push(&remote.remote(), &roots);
        let economy = pushed.economy;
        let sent = content_of(&remote) - held;
        held += sent;
        let spared = economy.reused_bytes + economy.compression_saved_bytes;
        assert_eq!(pushed.bytes, spared + sent, "{pushed:?}");
        assert!(sent < pushed.sent_bytes, "{pushed:?}");
        assert!(economy.compression_saved_bytes > 500_000, "{pushed:?}");
        assert_eq!(economy.reused_bytes > 11_000_000, round == 1, "{pushed:?}");
        let there = Clone::new();
        let fetched = there.fetch(&remote.remote(), &roots);
        let economy = fetched.economy;
        let spared = economy.reused_bytes + economy.compression_saved_bytes;
        let came = fetched.bytes - spared;
        assert!(came < fetched.received_bytes, "{fetched:?}");
        assert!(
            came <= held && came + 100_000 > fetched.received_bytes,
            "{fetched:?}"
        );
        bytes.splice(9_000_000..9_000_000, *b"a row that was not there before");
        roots[1] = here.file("large", &bytes);
        roots[2] = here.file("table", &table(40_001));
    }
    let again = here.push(&remote.remote(), &roots[..1]);
    assert_eq!(
        again.economy,
        Economy::default(),
        "nothing new, nothing saved"
    );
    let planned = here
        .push_with(&remote.remote(), &[&roots], &[], true)
        .unwrap();
    assert_eq!(planned.economy, Economy::default(), "nothing travelled");
}

/// The chunks of a file that was edited often lie in many packs; neither what these hold nor the chunks
/// themselves are asked for one by one.
#[test]
fn a_file_of_many_versions_takes_few_requests() {
    let (here, there) = (Clone::new(), Clone::new());
    let remote = Shared::default();
    let mut bytes = noise(1, 20_000_000);
    let mut bases: Vec<Vec<Root>> = Vec::new();
    for version in 0..6 {
        remote.count_requests();
        for place in (1..20).map(|place| place * 1_000_000 + version * 10_000) {
            bytes[place] ^= 1;
        }
        let roots = vec![here.file("large", &bytes)];
        here.push_with(&remote.remote(), &[&roots], &bases, false)
            .unwrap();
        bases.insert(0, roots);
        let requests = remote.count_requests();
        assert!(requests <= 11 + 3 * version, "{requests} for {version}");
    }
    there.fetch(&remote.remote(), &bases[0]);
    let requests = remote.count_requests();
    assert!(requests <= 20, "{requests}");
    assert_eq!(there.contents(&bases[0]), here.contents(&bases[0]));
}

/// Recipes are read together, and so are the pieces of several files.
#[test]
fn many_large_files_are_fetched_in_few_requests() {
    let (here, there) = (Clone::new(), Clone::new());
    let remote = Shared::default();
    let file = |number: u64| {
        let bytes = noise(number, 4_200_000 + number as usize);
        here.file(&format!("{number:02}"), &bytes)
    };
    let roots: Vec<Root> = (0..9).map(file).collect();
    here.push(&remote.remote(), &roots);
    remote.count_requests();
    let fetched = there.fetch(&remote.remote(), &roots);
    assert_eq!((fetched.files, fetched.damaged), (9, vec![]));
    let requests = remote.count_requests();
    assert!(requests <= 11, "{requests}, with three packs of chunks");
    assert_eq!(there.contents(&roots), here.contents(&roots));
}

#[test]
fn several_locks_share_their_packs() {
    let (here, there) = (Clone::new(), Clone::new());
    let remote = Shared::default();
    let one = vec![here.tree("data", &small_files(50))];
    let two = vec![
        here.tree("data", &small_files(51)),
        here.file("model", b"m"),
    ];
    let pushed = here.push_with(&remote.remote(), &[&one, &two, &one], &[], false);
    assert_eq!(pushed.unwrap().files, 52);
    assert_eq!(remote.keys("snap/").len(), 2);
    assert_eq!((remote.keys("p/").len(), remote.keys("idx/").len()), (1, 1));
    for roots in [&one, &two] {
        there.fetch(&remote.remote(), roots);
        assert_eq!(there.contents(roots), here.contents(roots));
    }
}

#[test]
fn some_roots_of_a_lock_may_be_fetched() {
    let here = Clone::new();
    let remote = Shared::default();
    let roots = sample(&here);
    here.push(&remote.remote(), &roots);
    for root in &roots {
        let there = Clone::new();
        let some = std::slice::from_ref(root);
        let fetched = there.fetch(&remote.remote(), some);
        assert_eq!((fetched.missing, fetched.damaged), (vec![], vec![]));
        assert_eq!(there.contents(some), here.contents(some));
    }
}

#[test]
fn a_few_files_do_not_cost_a_whole_pack() {
    let (here, there) = (Clone::new(), Clone::new());
    let remote = Shared::default();
    let mut files: BTreeMap<_, _> = (0..60)
        .map(|number| (format!("{number:02}"), noise(number, 100_000)))
        .collect();
    let roots = vec![here.tree("data", &files)];
    here.push(&remote.remote(), &roots);
    there.tree("data", &files.split_off("01"));
    let fetched = there.fetch(&remote.remote(), &roots);
    assert_eq!(fetched.files, 1);
    assert!(fetched.received_bytes < 150_000, "{fetched:?}");
    assert_eq!(there.contents(&roots), here.contents(&roots));
}

#[test]
fn what_the_store_lacks_is_named_and_the_rest_is_sent() {
    let here = Clone::new();
    let remote = Shared::default();
    let roots = vec![
        here.tree("data", &small_files(20)),
        here.file("lost.bin", b"lost"),
        here.file("kept.bin", b"kept"),
    ];
    let lost: Vec<ObjectId> = [&b"lost"[..], b"file 3\n"]
        .iter()
        .map(|bytes| ObjectId::new(ObjectKind::Blob, Digest::of(bytes)))
        .collect();
    for id in &lost {
        here.store.remove(&[*id].into()).unwrap();
    }
    let pushed = here.push(&remote.remote(), &roots);
    let named: Vec<_> = pushed
        .missing
        .iter()
        .map(|(path, id)| (path.as_str(), *id))
        .collect();
    assert_eq!(named, [("data/03/3.txt", lost[1]), ("lost.bin", lost[0])]);
    assert_eq!(pushed.files, 20);
    assert!(
        remote.keys("snap/").is_empty(),
        "a snapshot would claim too much"
    );

    let there = Clone::new();
    let fetched = there.fetch(&remote.remote(), &roots);
    assert_eq!(fetched.missing, pushed.missing);
    assert_eq!(fetched.files, 20);

    here.tree("data", &small_files(20));
    here.file("lost.bin", b"lost");
    let pushed = here.push(&remote.remote(), &roots);
    assert_eq!((pushed.files, pushed.missing), (2, vec![]));
    there.fetch(&remote.remote(), &roots);
    assert_eq!(there.contents(&roots), here.contents(&roots));
}

#[test]
fn a_tree_without_its_root_node_is_named_by_its_path() {
    let (here, there) = (Clone::new(), Clone::new());
    let remote = Shared::default();
    let root = here.tree("data/raw", &small_files(20));
    let Content::Tree { id, .. } = root.content else {
        panic!("a tree is a tree");
    };
    here.store.remove(&[id.into()].into()).unwrap();
    let pushed = here.push(&remote.remote(), std::slice::from_ref(&root));
    assert_eq!(pushed.missing, [(root.path.clone(), id.into())]);
    let fetched = there.fetch(&remote.remote(), std::slice::from_ref(&root));
    assert_eq!(fetched.missing, [(root.path, id.into())]);
}

/// A clone that never pulled the data pushes a lock that names it: the remote has it.
#[test]
fn what_only_the_remote_has_is_not_missing() {
    let (here, there, third) = (Clone::new(), Clone::new(), Clone::new());
    let remote = Shared::default();
    let data = here.tree("data", &small_files(20));
    let old = vec![data.clone()];
    here.push(&remote.remote(), &old);
    let new = vec![data, there.file("model", b"model")];
    let pushed = there
        .push_with(&remote.remote(), &[&new], &[old], false)
        .unwrap();
    assert_eq!((pushed.files, pushed.missing), (1, vec![]));
    let fetched = third.fetch(&remote.remote(), &new);
    assert_eq!((fetched.files, fetched.missing), (21, vec![]));
}

#[test]
fn a_plan_writes_nothing() {
    let here = Clone::new();
    let remote = Shared::default();
    let roots = sample(&here);
    let planned = here
        .push_with(&remote.remote(), &[&roots], &[], true)
        .unwrap();
    assert_eq!(
        (planned.files, planned.objects, planned.sent_bytes),
        (304, 0, 0)
    );
    assert!(remote.keys("").is_empty());
    here.push(&remote.remote(), &roots);
    let planned = here
        .push_with(&remote.remote(), &[&roots], &[], true)
        .unwrap();
    assert_eq!(planned, Pushed::default());
}

/// Of many older locks, one is enough where little is new; where much is, all are asked for.
#[test]
fn older_locks_are_asked_for_as_far_as_it_pays() {
    let here = Clone::new();
    let remote = Shared::default();
    let mut bases: Vec<Vec<Root>> = Vec::new();
    let mut push = |roots: Vec<Root>| {
        remote.count_requests();
        let pushed = here.push_with(&remote.remote(), &[&roots], &bases, false);
        bases.insert(0, roots);
        (pushed.unwrap(), remote.count_requests())
    };
    for number in 0..20 {
        let (_, requests) = push(vec![here.file("small", &noise(number, 100))]);
        assert!(requests <= 12, "{requests} for {number}");
    }
    let large = noise(100, 90_000_000);
    push(vec![here.file("large", &large)]);
    for number in 20..24 {
        push(vec![here.file("small", &noise(number, 100))]);
    }
    // Back to what an older one had.
    let small = here.file("small", &noise(30, 100));
    let (pushed, requests) = push(vec![here.file("large", &large), small]);
    assert!(pushed.sent_bytes < 10_000, "{pushed:?}");
    assert!(requests > 30, "{requests}");
}

#[test]
fn lists_of_packs_stay_short() {
    let (here, there) = (Clone::new(), Clone::new());
    let remote = Shared::default();
    let mut files = small_files(10);
    let mut bases: Vec<Vec<Root>> = Vec::new();
    let mut longest = 0;
    for number in 0..40 {
        files.insert(format!("new-{number}"), noise(number, 100));
        let roots = vec![here.tree("data", &files)];
        let pushed = here
            .push_with(&remote.remote(), &[&roots], &bases, false)
            .unwrap();
        assert!(pushed.files <= 11);
        bases.insert(0, roots.clone());
        there.fetch(&remote.remote(), &roots);
        let link_interrupt = Interrupt::new();
        let memory = remote.remote();
        let link = Link::new(&memory, 1, &link_interrupt);
        let key = snapshot::Roots::new(&roots).key();
        let packs = link.snapshots_of(vec![key], &Default::default()).unwrap()[0]
            .packs
            .len();
        longest = longest.max(packs);
    }
    assert!((20..=34).contains(&longest), "{longest}");
    let newest = &bases[0];
    let fresh = Clone::new();
    fresh.fetch(&remote.remote(), newest);
    assert_eq!(fresh.contents(newest), here.contents(newest));
}

/// Of little data the packs are shorter, so that building and sending go side by side.
#[test]
fn packs_are_cut_at_their_target() {
    let (here, there) = (Clone::new(), Clone::new());
    let remote = Shared::default();
    let roots = vec![here.file("large", &noise(1, 70 << 20))];
    here.push(&remote.remote(), &roots);
    let sizes = remote.0.memory.list("p/").unwrap();
    assert_eq!(sizes.len(), 6, "five packs of chunks, one of recipes");
    assert!(sizes.iter().all(|pack| pack.size <= 16 << 20));
    there.fetch(&remote.remote(), &roots);
    assert_eq!(there.contents(&roots), here.contents(&roots));
}

#[test]
fn no_roots_are_no_work() {
    let here = Clone::new();
    let remote = Shared::default();
    assert_eq!(here.push(&remote.remote(), &[]), Pushed::default());
    assert_eq!(here.fetch(&remote.remote(), &[]), Fetched::default());
    assert_eq!(remote.count_requests(), 0);
}

/// A long history that was never pushed asks for many keys.
#[test]
fn many_locks_are_looked_up_at_once() {
    let (here, there) = (Clone::new(), Clone::new());
    let remote = Shared::default();
    let locks: Vec<Vec<Root>> = (0..80)
        .map(|number| vec![here.file("model", &noise(number, 50))])
        .collect();
    let wanted: Vec<&[Root]> = locks.iter().map(Vec::as_slice).collect();
    let pushed = here.push_with(&remote.remote(), &wanted, &[], false);
    assert_eq!(pushed.unwrap().objects, 83);
    remote.count_requests();
    let again = here.push_with(&remote.remote(), &wanted, &[], false);
    assert_eq!(again.unwrap(), Pushed::default());
    assert!(
        remote.count_requests() < 90,
        "one for each snapshot, and a few"
    );
    for roots in &locks {
        there.fetch(&remote.remote(), roots);
        assert_eq!(there.contents(roots), here.contents(roots));
    }
}

/// As a fetch that was killed leaves it: pieces that came, one that did not reach the disk whole,
/// and room for the rest.
#[test]
fn what_came_of_a_large_file_is_not_brought_again() {
    let (here, there) = (Clone::new(), Clone::new());
    let remote = Shared::default();
    let bytes = noise(9, 6_000_000);
    let roots = vec![here.file("large", &bytes)];
    here.push(&remote.remote(), &roots);
    let id = BlobId(Digest::of(&bytes));
    let (begun, _) = there.store.resume(id).unwrap();
    begun.write_all_at(&bytes[..5_000_000], 0).unwrap();
    begun.write_all_at(&[0; 10], 2_500_000).unwrap();
    drop(begun);
    let fetched = there.fetch(&remote.remote(), &roots);
    assert_eq!(there.contents(&roots), here.contents(&roots));
    assert!(fetched.economy.reused_bytes > 4_000_000, "{fetched:?}");
    assert!(
        fetched.received_bytes < 2_000_000,
        "{}",
        fetched.received_bytes
    );
    assert_eq!(there.store.begun(|_| true).unwrap(), 0, "nothing is left");
}
