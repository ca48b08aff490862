use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self as disk, Permissions};
use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;
use rayon::prelude::*;

use super::*;
use crate::hash::ObjectKind;
use crate::store::{Error, Store};

/// Does something to the bytes of a file.
type Change<'a> = &'a dyn Fn(&mut Vec<u8>);

/// A store in a directory that goes away.
struct Place {
    dir: tempfile::TempDir,
    store: Store,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store"));
        Self { dir, store }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("store").join(name)
    }

    /// What another process sees.
    fn reopened(&self) -> Store {
        Store::open(&self.dir.path().join("store"))
    }

    fn names(&self, dir: &str) -> Vec<String> {
        let names = fs::list_dir(&self.path(dir)).unwrap_or_default();
        let names = names.into_iter().map(|name| name.into_string().unwrap());
        // Marks have tests of their own.
        names.filter(|name| !name.ends_with(".unflushed")).collect()
    }

    fn packs(&self) -> Vec<PathBuf> {
        let names = self.names("packs").into_iter();
        let packs = names.filter(|name| name.ends_with(".pack"));
        packs.map(|name| self.path("packs").join(name)).collect()
    }

    /// A store with one pack, and what is in it.
    fn with_pack() -> (Self, Vec<BlobId>) {
        let place = Self::new();
        let ids = (0..300).map(|n| put(&place.store, &blob(n))).collect();
        place.store.flush().unwrap();
        assert_eq!(place.packs().len(), 1);
        (place, ids)
    }
}

fn blob(number: usize) -> Vec<u8> {
    format!("blob {number} ")
        .into_bytes()
        .repeat(number % 50)
        .into_iter()
        .chain(number.to_le_bytes())
        .collect()
}

fn put(store: &Store, bytes: &[u8]) -> BlobId {
    BlobId(store.put(ObjectKind::Blob, bytes).unwrap().digest)
}

/// Changes bytes of a file behind the store's back.
fn overwrite(path: &Path, change: impl Fn(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    disk::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
    fs::replace(path, &bytes).unwrap();
}

/// Where the bytes of a blob lie in the one pack of a store.
fn frame_of(place: &Place, id: BlobId) -> u32 {
    let midx = dir::load(&place.path(""), &HashSet::new()).unwrap();
    midx.find(id.into()).next().unwrap().offset
}

fn is_whole(store: &Store, ids: &[BlobId]) -> bool {
    ids.iter()
        .enumerate()
        .all(|(number, id)| store.read(*id).is_ok_and(|bytes| bytes == blob(number)))
}

#[test]
fn what_is_put_is_seen_at_once_here_and_after_settling_elsewhere() {
    for count in [1, FEW - 1, FEW, 3 * FEW] {
        let place = Place::new();
        let ids: Vec<BlobId> = (0..count).map(|n| put(&place.store, &blob(n))).collect();
        assert!(is_whole(&place.store.clone(), &ids));
        assert_eq!(place.store.list().unwrap().len(), count);
        assert!(!place.reopened().has(ids[0]));

        place.store.settle().unwrap();
        for store in [&place.store, &place.reopened()] {
            assert!(is_whole(store, &ids));
            assert_eq!(store.list().unwrap().len(), count);
            assert_eq!(store.length(ids[0]).unwrap(), Some(blob(0).len() as u64));
        }
        assert_eq!(place.packs().len(), usize::from(count >= FEW), "{count}");
        assert_eq!(place.names("objects").is_empty(), count >= FEW);
        assert!(place.names("tmp").is_empty());
    }
}

#[test]
fn many_small_files_make_few_files() {
    let place = Place::new();
    for number in 0..10_000_usize {
        put(&place.store, &number.to_le_bytes().repeat(512));
    }
    place.store.flush().unwrap();
    let packs = place.names("packs");
    assert!(packs.len() <= 3, "{packs:?}");
    assert!(place.names("objects").is_empty());
    let ids = place.reopened().list().unwrap();
    assert_eq!(ids.len(), 10_000);
    for number in (0..10_000_usize).step_by(777) {
        let bytes = number.to_le_bytes().repeat(512);
        let id = BlobId(Digest::of(&bytes));
        assert_eq!(place.reopened().read(id).unwrap(), bytes);
    }
}

#[test]
fn packs_that_are_full_are_written_while_the_next_is_filled() {
    let place = Place::new();
    let bytes = |number: usize| number.to_le_bytes().repeat(4000);
    let count = (2 * pack::TARGET_LEN as usize + (1 << 20)) / 32_000;
    let ids: Vec<BlobId> = (0..count).map(|n| put(&place.store, &bytes(n))).collect();
    let whole = |store: &Store| {
        let ids = ids.iter().enumerate().step_by(50);
        ids.into_iter()
            .all(|(number, id)| store.read(*id).unwrap() == bytes(number))
    };
    assert!(whole(&place.store));
    place.store.flush().unwrap();
    assert!(whole(&place.store) && whole(&place.reopened()));
    assert_eq!(place.packs().len(), 3);
    for path in place.packs() {
        let bytes = fs::read(&path).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert_eq!(Digest::of(&bytes).to_hex(), name);
        let (header, index) = pack::Index::decode(&bytes).unwrap();
        assert_eq!(header.kind, pack::PackKind::Blobs);
        assert!(index.length() <= pack::TARGET_LEN);
        let mode = disk::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o444);
    }
}

/// The threads that put wait for the thread that writes a full pack, so that one must not wait
/// for them: it once did, to hash a long index.
#[test]
fn threads_of_the_pool_fill_packs_with_long_indexes() {
    let place = Place::new();
    (0..140_000_u32).into_par_iter().for_each(|number| {
        put(&place.store, &number.to_le_bytes());
    });
    place.store.flush().unwrap();
    assert_eq!(place.packs().len(), 3);
    fs::remove_file(&place.path("packs/midx")).unwrap();
    let store = place.reopened();
    let whole = (0..140_000_u32)
        .into_par_iter()
        .step_by(1000)
        .all(|number| {
            let bytes = number.to_le_bytes();
            store.read(BlobId(Digest::of(&bytes))).unwrap() == bytes
        });
    assert!(whole);
}

#[test]
fn what_a_pack_holds_is_not_stored_again() {
    let (place, ids) = Place::with_pack();
    let again = place.reopened();
    for number in 0..ids.len() {
        put(&again, &blob(number));
    }
    again.flush().unwrap();
    assert_eq!(place.packs().len(), 1);
    assert!(place.names("objects").is_empty());
}

#[test]
fn a_process_that_dies_leaves_a_store_as_it_was() {
    let (place, ids) = Place::with_pack();
    {
        let dying = place.reopened();
        let bytes = |number: usize| (number ^ 0xFFFF_FFFF).to_le_bytes().repeat(4000);
        for number in 0..(pack::TARGET_LEN as usize / 32_000 + 10) {
            put(&dying, &bytes(number));
        }
    }
    // The pack that was full may be there; nothing names what is in it.
    let store = place.reopened();
    assert!(is_whole(&store, &ids));
    for (id, length) in store.list().unwrap() {
        assert_eq!(store.read(id).unwrap().len() as u64, length);
    }
}

#[test]
fn an_index_that_is_lost_or_damaged_is_built_again() {
    let (place, ids) = Place::with_pack();
    let path = place.path("packs/midx");
    let good = fs::read(&path).unwrap();
    let damages: [&dyn Fn(); 4] = [
        &|| fs::remove_file(&path).unwrap(),
        &|| overwrite(&path, Vec::clear),
        &|| overwrite(&path, |bytes| bytes.truncate(1000)),
        &|| overwrite(&path, |bytes| bytes[40] ^= 1),
    ];
    for damage in damages {
        damage();
        assert!(is_whole(&place.reopened(), &ids));
        assert!(fs::read(&path).unwrap() == good);
    }
}

#[test]
fn a_pack_whose_own_list_is_damaged_is_found_and_written_again() {
    for write_again in [true, false] {
        let (place, ids) = Place::with_pack();
        assert!(place.store.badly_listed().unwrap().is_empty());
        let pack = *dir::list(&place.path("")).unwrap().first().unwrap();
        let path = dir::path_of(&place.path(""), pack);
        overwrite(&path, |bytes| *bytes.last_mut().unwrap() ^= 1);
        let store = place.reopened();
        assert_eq!(store.badly_listed().unwrap(), [pack].into());
        let mut left = &ids[..];
        if write_again {
            store.write_again(&[pack].into()).unwrap();
        } else {
            // Whatever writes a pack again mends it.
            store.remove(&[ids[299].into()].into()).unwrap();
            left = &ids[..299];
        }
        assert!(store.badly_listed().unwrap().is_empty());
        fs::remove_file(&place.path("packs/midx")).unwrap();
        assert!(is_whole(&place.reopened(), left));
        assert!(!path.exists());
    }
}

#[test]
fn an_index_of_other_packs_is_built_again() {
    let (place, ids) = Place::with_pack();
    let (other, others) = Place::with_pack();
    for id in others {
        other.store.remove(&[id.into()].into()).unwrap();
    }
    assert!(other.packs().is_empty());
    let more: Vec<BlobId> = (1000..1300).map(|n| put(&other.store, &blob(n))).collect();
    other.store.flush().unwrap();
    // A pack that was copied here, as another process does that writes its index first.
    let pack = other.packs().remove(0);
    let name = pack.file_name().unwrap();
    fs::copy(&pack, &place.path("packs").join(name)).unwrap();
    let store = place.reopened();
    assert!(is_whole(&store, &ids) && more.iter().all(|id| store.has(*id)));
    // And one that went.
    fs::remove_file(&place.path("packs").join(name)).unwrap();
    let store = place.reopened();
    assert!(is_whole(&store, &ids) && !more.iter().any(|id| store.has(*id)));
}

#[test]
fn an_object_that_another_process_stored_meanwhile_is_found() {
    let (place, ids) = Place::with_pack();
    let other = place.reopened();
    assert!(other.has(ids[0]));
    let new: Vec<BlobId> = (300..900).map(|n| put(&place.store, &blob(n))).collect();
    place.store.flush().unwrap();
    assert_eq!(other.read(new[0]).unwrap(), blob(300));
    // It may also move, as when another process takes something out of its pack.
    let other = place.reopened();
    assert!(other.has(new[1]));
    place.store.remove(&[new[1].into()].into()).unwrap();
    assert_eq!(other.read(new[2]).unwrap(), blob(302));
    assert!(matches!(other.read(new[1]), Err(Error::Missing(_))));
}

#[test]
fn a_damaged_frame_is_found_named_kept_aside_and_healed() {
    let (place, ids) = Place::with_pack();
    let offset = frame_of(&place, ids[7]) as usize;
    overwrite(&place.packs()[0], |bytes| bytes[offset] ^= 1);
    let store = place.reopened();
    assert!(store.has(ids[7]));
    let mut evil = blob(7);
    evil[0] ^= 1;
    let target = place.path("copy");
    let refused = store.copy_to(ids[7], &target, true).unwrap_err();
    assert!(matches!(refused, Error::Corrupt { id, found }
            if id == ids[7].into() && found == Digest::of(&evil)));
    assert!(fs::metadata(&target).unwrap().is_none());
    let kept = place.names("quarantine");
    assert_eq!(
        fs::read(&place.path("quarantine").join(&kept[0])).unwrap(),
        evil
    );

    // From then on it is missing, here and elsewhere, also when the index is built again.
    fs::remove_file(&place.path("packs/midx")).unwrap();
    for store in [&store, &place.reopened()] {
        assert!(!store.has(ids[7]));
        assert!(matches!(store.read(ids[7]), Err(Error::Missing(_))));
        assert_eq!(store.list().unwrap().len(), 299);
        assert!(store.has(ids[6]) && store.has(ids[8]));
    }
    put(&store, &blob(7));
    store.flush().unwrap();
    assert!(is_whole(&store, &ids) && is_whole(&place.reopened(), &ids));
    assert_eq!(place.names("quarantine").len(), 1);
}

#[test]
fn a_second_copy_stands_in_for_a_damaged_one() {
    let (place, ids) = Place::with_pack();
    let offset = frame_of(&place, ids[7]) as usize;
    // Another process that knew nothing of the first pack.
    let other = Place::with_pack().0;
    let pack = other.packs().remove(0);
    overwrite(&place.packs()[0], |bytes| bytes[offset] ^= 1);
    fs::copy(&pack, &place.path("packs").join(pack.file_name().unwrap())).unwrap();
    assert!(is_whole(&place.reopened(), &ids));
    assert!(is_whole(&place.reopened(), &ids));
}

#[test]
fn a_file_that_is_no_pack_goes_aside() {
    let changes: [Change; 5] = [
        &|bytes| bytes.clear(),
        &|bytes| bytes.truncate(bytes.len() - 1),
        &|bytes| bytes[0] ^= 1,
        &|bytes| *bytes.last_mut().unwrap() ^= 1,
        &|bytes| {
            let count = bytes.len() - 64;
            bytes[count..count + 4].fill(255);
        },
    ];
    for change in changes {
        let (place, ids) = Place::with_pack();
        overwrite(&place.packs()[0], change);
        fs::remove_file(&place.path("packs/midx")).unwrap();
        let store = place.reopened();
        assert!(matches!(store.read(ids[0]), Err(Error::Missing(_))));
        assert_eq!(store.list().unwrap(), []);
        assert!(place.packs().is_empty());
        assert_eq!(place.names("quarantine").len(), 1);
        for number in 0..ids.len() {
            put(&store, &blob(number));
        }
        store.flush().unwrap();
        assert!(is_whole(&place.reopened(), &ids));
    }
}

#[test]
fn a_file_that_is_no_pack_and_cannot_be_moved_is_passed_over() {
    let (place, ids) = Place::with_pack();
    let bad = dir::path_of(&place.path(""), PackId(Digest::of(b"no pack")));
    fs::write_new(&bad, b"no pack").unwrap();
    fs::write_new(&place.path("quarantine"), b"").unwrap();
    let store = place.reopened();
    assert!(is_whole(&store, &ids));
    let missing = store.read(BlobId(Digest::of(b"?")));
    assert!(matches!(missing, Err(Error::Missing(_))));
    assert!(fs::metadata(&bad).unwrap().is_some());
}

/// The index was good when it was written; the pack lost its end since.
#[test]
fn a_pack_that_was_cut_off_yields_no_wrong_bytes() {
    let (place, ids) = Place::with_pack();
    overwrite(&place.packs()[0], |bytes| bytes.truncate(5000));
    let store = place.reopened();
    for (number, id) in ids.iter().enumerate() {
        match store.read(*id) {
            Ok(bytes) => assert_eq!(bytes, blob(number)),
            Err(error) => assert!(matches!(error, Error::Corrupt { .. }), "{error}"),
        }
    }
}

#[test]
fn what_is_removed_is_gone_and_the_rest_stays() {
    let (place, ids) = Place::with_pack();
    place.store.remove(&[ids[3].into()].into()).unwrap();
    for store in [&place.store, &place.reopened()] {
        assert!(!store.has(ids[3]));
        assert_eq!(store.list().unwrap().len(), 299);
        assert!(is_whole(store, &ids[..3]));
        assert_eq!(store.read(ids[4]).unwrap(), blob(4));
    }
    let pending = put(&place.store, b"pending");
    place.store.remove(&[pending.into()].into()).unwrap();
    assert!(!place.store.has(pending));
    for id in ids {
        place.store.remove(&[id.into()].into()).unwrap();
    }
    assert_eq!(place.store.list().unwrap(), []);
    assert!(place.packs().is_empty());
}

#[test]
fn a_pack_that_cannot_be_written_is_said_and_not_counted_on() {
    let place = Place::new();
    let ids: Vec<BlobId> = (0..300).map(|n| put(&place.store, &blob(n))).collect();
    // A file where the directory should be stands for every reason why nothing can be written.
    fs::create_dir_all(place.path("packs").parent().unwrap()).unwrap();
    fs::write_new(&place.path("packs"), b"").unwrap();
    assert!(matches!(place.store.flush(), Err(Error::Fs(_))));
    assert!(!place.store.has(ids[0]) && place.names("tmp").is_empty());
    fs::remove_file(&place.path("packs")).unwrap();
    for number in 0..ids.len() {
        put(&place.store, &blob(number));
    }
    place.store.flush().unwrap();
    assert!(is_whole(&place.reopened(), &ids));
}

#[test]
fn many_objects_are_removed_at_once() {
    let (place, ids) = Place::with_pack();
    put(&place.store, b"loose");
    place.store.flush().unwrap();
    let before = place.packs();
    let offset = frame_of(&place, ids[299]) as usize;
    overwrite(&before[0], |bytes| bytes[offset] ^= 1);
    let gone: BTreeSet<ObjectId> = ids[..298].iter().map(|id| (*id).into()).collect();
    place.store.remove(&gone).unwrap();
    for store in [&place.store, &place.reopened()] {
        assert_eq!(store.list().unwrap().len(), 2);
        assert_eq!(store.read(ids[298]).unwrap(), blob(298));
        // What was damaged is not taken for good in its new place.
        assert!(!store.has(ids[299]));
    }
    assert!(place.packs().len() == 1 && place.packs() != before);
    assert_eq!(place.names("quarantine").len(), 1);
}

#[test]
fn two_processes_that_add_at_once_keep_all_of_both() {
    let place = Place::new();
    std::thread::scope(|scope| {
        for begin in [0, 500] {
            let store = place.reopened();
            scope.spawn(move || {
                for round in 0..3 {
                    for number in begin..begin + 1000 {
                        put(&store, &blob(number + 1500 * round));
                    }
                    store.flush().unwrap();
                }
            });
        }
    });
    let ids: Vec<BlobId> = (0..4500).map(|n| BlobId(Digest::of(&blob(n)))).collect();
    assert!(is_whole(&place.reopened(), &ids));
    assert_eq!(place.reopened().list().unwrap().len(), 4500);
}

#[test]
fn threads_share_what_is_pending() {
    let place = Place::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let store = place.store.clone();
            scope.spawn(move || {
                for number in 0..1000 {
                    let id = put(&store, &blob(number));
                    assert_eq!(store.read(id).unwrap(), blob(number));
                    if number % 333 == 0 {
                        store.settle().unwrap();
                    }
                }
            });
        }
    });
    place.store.flush().unwrap();
    let ids: Vec<BlobId> = (0..1000).map(|n| BlobId(Digest::of(&blob(n)))).collect();
    assert!(is_whole(&place.reopened(), &ids));
}

/// What may happen to a store.
#[derive(Clone, Debug)]
enum Act {
    Put(std::ops::Range<usize>),
    Settle,
    Reopen,
    Die,
    Remove(usize),
    LoseIndex,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        3 => (0..2000_usize, 1..600_usize).prop_map(|(at, count)| Act::Put(at..at + count)),
        2 => Just(Act::Settle),
        1 => Just(Act::Reopen),
        1 => Just(Act::Die),
        1 => (0..2600_usize).prop_map(Act::Remove),
        1 => Just(Act::LoseIndex),
    ];
    prop::collection::vec(act, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_store_holds_what_a_map_would(acts in acts()) {
        let mut place = Place::new();
        // What must be there, and what may be.
        let mut settled = BTreeMap::new();
        let mut pending = BTreeMap::new();
        for act in acts {
            match act {
                Act::Put(numbers) => {
                    for number in numbers {
                        pending.insert(put(&place.store, &blob(number)), blob(number));
                    }
                }
                Act::Settle => {
                    place.store.flush().unwrap();
                    settled.append(&mut pending);
                }
                Act::Reopen => {
                    place.store.settle().unwrap();
                    settled.append(&mut pending);
                    place.store = place.reopened();
                }
                Act::Die => {
                    place.store = place.reopened();
                    pending.clear();
                }
                Act::Remove(number) => {
                    let id = BlobId(Digest::of(&blob(number)));
                    place.store.remove(&[id.into()].into()).unwrap();
                    settled.append(&mut pending);
                    settled.remove(&id);
                }
                Act::LoseIndex => fs::remove_file(&place.path("packs/midx")).unwrap(),
            }
            let all = settled.iter().chain(&pending);
            for (id, bytes) in all.step_by(97) {
                prop_assert_eq!(&place.store.read(*id).unwrap(), bytes);
            }
        }
        let mut expected = settled.clone();
        expected.append(&mut pending);
        let listed: Vec<ObjectId> =
            place.store.list().unwrap().into_iter().map(|(id, _)| id).collect();
        let expected: Vec<ObjectId> = expected.into_keys().map(ObjectId::from).collect();
        prop_assert_eq!(listed, expected);
    }
}
