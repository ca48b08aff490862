use super::*;
use std::fs::{Permissions, set_permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::hash::{BlobId, RecipeId, TreeId};
use proptest::prelude::*;

/// A store, and a directory beside it for files.
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
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::replace(&path, bytes).unwrap();
        path
    }

    /// Changes the bytes of an object behind the store's back.
    fn damage(&self, id: ObjectId, bytes: &[u8]) {
        self.store.settle().unwrap();
        let path = self.store.path_of(id).unwrap();
        set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let mut file = std::fs::File::create(&path).unwrap();
        file.write_all(bytes).unwrap();
    }

    fn names(&self, dir: &str) -> Vec<String> {
        let path = self.path("store").join(dir);
        let names = fs::list_dir(&path).unwrap_or_default().into_iter();
        let names = names.map(|name| name.into_string().unwrap());
        // Marks have tests of their own.
        names.filter(|name| !name.ends_with(".unflushed")).collect()
    }
}

fn blob(bytes: &[u8]) -> BlobId {
    BlobId(Digest::of(bytes))
}

fn bytes_of(size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    let mut state = 1_u32;
    for byte in &mut bytes {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = (state >> 24) as u8;
    }
    bytes
}

#[test]
fn objects_lie_where_the_layout_says_and_are_read_only() {
    let place = Place::new();
    let cases = [
        (ObjectKind::Blob, "objects"),
        (ObjectKind::Node, "meta"),
        (ObjectKind::RecipeSegment, "meta"),
    ];
    for (kind, dir) in cases {
        let id = place.store.put(kind, b"some bytes").unwrap();
        assert_eq!(Some(id.digest), kind.hash(b"some bytes"));
        place.store.settle().unwrap();
        let hex = id.digest.to_hex();
        let path = place.path(&format!("store/{dir}/{}/{}", &hex[..2], &hex[2..]));
        let metadata = std::fs::metadata(&path).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o7777, 0o444);
        assert_eq!(fs::read(&path).unwrap(), b"some bytes");
        assert!(place.store.has(id));
        assert_eq!(place.store.read(id).unwrap(), b"some bytes");
    }
    assert!(place.names("tmp").is_empty());
}

#[test]
fn what_is_there_is_not_written_again() {
    let place = Place::new();
    let file = place.write("file", b"x");
    let id = place.store.put(ObjectKind::Blob, b"x").unwrap();
    place.store.settle().unwrap();
    let path = place.store.path_of(id).unwrap();
    let inode = || std::fs::metadata(&path).unwrap().ino();
    let before = inode();
    place.store.put(ObjectKind::Blob, b"x").unwrap();
    place.store.put_file(&file, &|_| true).unwrap();
    place.store.settle().unwrap();
    assert_eq!(inode(), before);
}

#[test]
fn an_object_that_a_power_cut_left_empty_is_healed() {
    let place = Place::new();
    for size in [10, 200 << 10] {
        let bytes = bytes_of(size);
        let file = place.write("file", &bytes);
        let stored = place.store.put_file(&file, &|_| true).unwrap();
        place.damage(stored.id.into(), b"");
        place.store.put_file(&file, &|_| true).unwrap();
        assert_eq!(place.store.read(stored.id).unwrap(), bytes);
    }
}

#[test]
fn files_of_every_size_are_stored_under_their_own_hash() {
    let place = Place::new();
    for size in [
        0,
        1,
        4096,
        128 << 10,
        (128 << 10) + 1,
        (4 << 20) + 1,
        9 << 20,
    ] {
        let bytes = bytes_of(size);
        let file = place.write("file", &bytes);
        let stored = place.store.put_file(&file, &|_| true).unwrap();
        let expected = Stored {
            id: blob(&bytes),
            size: size as u64,
        };
        assert_eq!(stored, expected);
        assert!(place.store.read(stored.id).unwrap() == bytes);
        assert!(fs::read(&file).unwrap() == bytes);
        place.store.settle().unwrap();
        let object = std::fs::metadata(place.store.path_of(stored.id.into()).unwrap()).unwrap();
        assert_eq!(object.permissions().mode() & 0o7777, 0o444);
    }
    assert!(place.names("tmp").is_empty());
}

#[test]
fn only_regular_files_are_stored() {
    let place = Place::new();
    let missing = place
        .store
        .put_file(&place.path("none"), &|_| true)
        .unwrap_err();
    assert!(matches!(missing, Error::Fs(error) if fs::is_missing(&error.source)));
    let directory = place
        .store
        .put_file(place.dir.path(), &|_| true)
        .unwrap_err();
    assert!(matches!(directory, Error::NotAFile(path) if path == place.dir.path()));
}

/// Files of the kernel say that they are empty and then are not, just like one that grows
/// between a look at it and its reading.
#[cfg(target_os = "linux")]
#[test]
fn a_file_that_is_not_what_it_was_is_refused() {
    let place = Place::new();
    let path = Path::new("/proc/self/status");
    let error = place.store.put_file(path, &|_| true).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`/proc/self/status` changed while it was being added"
    );
    assert_eq!(place.store.list().unwrap(), []);
}

#[test]
fn a_file_that_changes_once_is_read_again_and_one_that_never_rests_is_refused() {
    let place = Place::new();
    for size in [100, 300 << 10] {
        let (old, new) = (vec![b'o'; size], vec![b'n'; size]);
        let path = place.path("file");
        let changes = std::cell::Cell::new(0);
        let store_while_changing = |n_changes: u64| {
            fs::replace(&path, &old).unwrap();
            changes.set(0);
            place.store.put_file_watched(&path, &|_| true, || {
                if changes.get() < n_changes {
                    changes.set(changes.get() + 1);
                    let mut file = std::fs::File::options().write(true).open(&path).unwrap();
                    file.write_all(&new).unwrap();
                    // The clock of the file system may be too coarse to show it.
                    let later = std::time::Duration::from_secs(changes.get());
                    file.set_modified(std::time::UNIX_EPOCH + later).unwrap();
                }
            })
        };
        assert_eq!(store_while_changing(0).unwrap().id, blob(&old));
        place.store.remove(&[blob(&old).into()].into()).unwrap();
        assert_eq!(store_while_changing(1).unwrap().id, blob(&new));
        let refused = store_while_changing(2).unwrap_err();
        assert!(matches!(refused, Error::Changed(of) if of == path));
        assert!(!place.store.has(blob(&old)));
    }
    assert!(place.names("tmp").is_empty());
}

#[test]
fn a_file_that_grows_is_stored_as_it_was_at_one_moment_or_refused() {
    let place = Place::new();
    let pattern = bytes_of(8 << 20);
    let path = place.write("log", b"");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = fs::append(&path).unwrap();
            for piece in pattern.chunks(64 << 10) {
                file.write_all(piece).unwrap();
            }
            done.store(true, Ordering::SeqCst);
        });
        while !done.load(Ordering::SeqCst) {
            match place.store.put_file(&path, &|_| true) {
                Ok(stored) => {
                    let bytes = place.store.read(stored.id).unwrap();
                    assert_eq!(bytes.len() as u64, stored.size);
                    assert!(pattern.starts_with(&bytes));
                }
                Err(error) => assert!(matches!(error, Error::Changed(_)), "{error}"),
            }
        }
    });
    assert_eq!(
        place.store.put_file(&path, &|_| true).unwrap().id,
        blob(&pattern)
    );
    place.store.settle().unwrap();
    assert!(place.names("tmp").is_empty());
}

#[test]
fn damage_is_found_named_and_kept_aside() {
    let place = Place::new();
    for kind in [ObjectKind::Blob, ObjectKind::Node] {
        let id = place.store.put(kind, b"good").unwrap();
        place.damage(id, b"evil");
        let error = place.store.read(id).unwrap_err();
        let found = kind.hash(b"evil").unwrap();
        assert!(
            matches!(error, Error::Corrupt { id: of, found: hash } if of == id && hash == found)
        );
        assert!(!place.store.has(id));
        assert!(matches!(place.store.read(id), Err(Error::Missing(of)) if of == id));
        place.store.put(kind, b"good").unwrap();
        assert_eq!(place.store.read(id).unwrap(), b"good");
    }
    let kept = place.names("quarantine");
    assert_eq!(kept.len(), 2);
    for name in kept {
        let path = place.path("store/quarantine").join(name);
        assert_eq!(fs::read(&path).unwrap(), b"evil");
    }
}

#[test]
fn one_kind_of_object_is_not_taken_for_another() {
    let place = Place::new();
    let id = place.store.put(ObjectKind::Blob, b"x").unwrap();
    assert!(!place.store.has(TreeId(id.digest)));
    let node = place.store.put(ObjectKind::Node, b"x").unwrap();
    assert!(!place.store.has(BlobId(node.digest)));
    for kind in [ObjectKind::Chunk, ObjectKind::RecipeRoot] {
        let id = ObjectId::new(kind, id.digest);
        assert!(matches!(place.store.put(kind, b"x"), Err(Error::NotKept(of)) if of == kind));
        assert!(matches!(place.store.read(id), Err(Error::NotKept(of)) if of == kind));
        assert!(!place.store.has(id));
        place.store.remove(&[id].into()).unwrap();
    }
    assert_eq!(place.store.read(node).unwrap(), b"x");
}

#[test]
fn a_copy_is_an_ordinary_new_file() {
    let place = Place::new();
    for size in [0, 3, 5 << 20] {
        let bytes = bytes_of(size);
        let id = place.store.put(ObjectKind::Blob, &bytes).unwrap();
        let target = place.path(&format!("copy-{size}"));
        place
            .store
            .copy_to(BlobId(id.digest), &target, true)
            .unwrap();
        assert!(fs::read(&target).unwrap() == bytes);
        let mode = std::fs::metadata(&target).unwrap().permissions().mode();
        assert_eq!(mode & 0o311, 0o200, "{mode:o}");
    }
}

#[test]
fn a_copy_replaces_nothing_and_leaves_nothing_half_done() {
    let place = Place::new();
    let id = place.store.put(ObjectKind::Blob, b"new").unwrap();
    let taken = place.write("taken", b"old");
    assert!(
        place
            .store
            .copy_to(BlobId(id.digest), &taken, true)
            .is_err()
    );
    assert_eq!(fs::read(&taken).unwrap(), b"old");

    let target = place.path("target");
    let missing = place
        .store
        .copy_to(blob(b"other"), &target, true)
        .unwrap_err();
    assert!(matches!(missing, Error::Missing(_)));
    assert!(fs::metadata(&target).unwrap().is_none());
}

#[test]
fn a_damaged_object_is_not_copied_unless_the_disk_shares_its_blocks() {
    let place = Place::new();
    let id = place.store.put(ObjectKind::Blob, b"good").unwrap();
    place.damage(id, b"evil");
    let probe = place.write("probe", b"probe");
    let can_reflink = fs::reflink(
        &fs::open(&probe).unwrap(),
        &fs::create_new(&place.path("probed")).unwrap(),
    );
    let target = place.path("target");
    let result = place.store.copy_to(BlobId(id.digest), &target, true);
    if can_reflink {
        result.unwrap();
    } else {
        assert!(matches!(result, Err(Error::Corrupt { id: of, .. }) if of == id));
        assert!(fs::metadata(&target).unwrap().is_none());
        assert!(!place.store.has(id));
        assert_eq!(place.names("quarantine").len(), 1);
    }
}

#[test]
fn bytes_from_elsewhere_are_checked_before_they_get_a_name() {
    let place = Place::new();
    let brought = |bytes: &[u8]| {
        let mut temp = place.store.temp().unwrap();
        temp.write_all(bytes).unwrap();
        temp
    };
    let id = blob(b"right");
    let error = place.store.adopt(id, brought(b"wrong")).unwrap_err();
    assert!(matches!(error, Error::Mismatch { found, .. } if found == Digest::of(b"wrong")));
    assert!(!place.store.has(id));
    place.store.adopt(id, brought(b"right")).unwrap();
    assert_eq!(place.store.read(id).unwrap(), b"right");
    assert!(place.names("tmp").is_empty());
}

#[test]
fn what_was_begun_is_gone_on_with_by_one_alone() {
    let place = Place::new();
    let id = blob(b"begun");
    let (first, is_resumed) = place.store.resume(id).unwrap();
    assert!(!is_resumed);
    first.write_all_at(b"be", 0).unwrap();
    let (second, is_resumed) = place.store.resume(id).unwrap();
    assert!(!is_resumed, "somebody is at work on the first");
    drop(first);
    assert!(place.store.begun(|begun| begun == id).unwrap() > 0);
    let other = blob(b"another");
    assert_eq!(place.store.begun(|begun| begun == other).unwrap(), 0);
    let (third, is_resumed) = place.store.resume(id).unwrap();
    assert!(is_resumed);
    third.write_all_at(b"gun", 2).unwrap();
    place.store.adopt(id, third).unwrap();
    assert_eq!(place.store.read(id).unwrap(), b"begun");
    let error = place.store.adopt(other, second).unwrap_err();
    assert!(matches!(error, Error::Mismatch { .. }));
    assert!(place.names("tmp").is_empty(), "nobody goes on with that");
}

#[test]
fn the_list_holds_all_objects_and_nothing_else() {
    let place = Place::new();
    assert_eq!(place.store.list().unwrap(), []);
    let store = &place.store;
    let mut expected = vec![
        (store.put(ObjectKind::Blob, b"").unwrap(), 0),
        (store.put(ObjectKind::Blob, b"ab").unwrap(), 2),
        (store.put(ObjectKind::Node, b"ESKT").unwrap(), 4),
        (store.put(ObjectKind::RecipeSegment, b"ESKR!").unwrap(), 5),
    ];
    expected.sort();
    for junk in ["objects/zz/x", "objects/file", "meta/ab/.nfs0001"] {
        let path = place.path("store").join(junk);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write_new(&path, b"junk").unwrap();
    }
    assert_eq!(store.list().unwrap(), expected);
    for (id, _) in expected {
        store.remove(&[id].into()).unwrap();
        store.remove(&[id].into()).unwrap();
        assert!(!store.has(id));
    }
    assert_eq!(store.list().unwrap(), []);
}

#[test]
fn flushing_works_with_and_without_a_store() {
    let place = Place::new();
    place.store.flush().unwrap();
    let id = place.store.put(ObjectKind::Blob, b"x").unwrap();
    place.store.flush().unwrap();
    assert!(place.store.has(id));
}

#[test]
fn many_threads_store_the_same_files() {
    let place = Place::new();
    let files: Vec<PathBuf> = (0..20)
        .map(|i| place.write(&format!("file-{i}"), &bytes_of(i * 20_000)))
        .collect();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for file in &files {
                    place.store.put_file(file, &|_| true).unwrap();
                }
            });
        }
    });
    let objects = place.store.list().unwrap();
    assert_eq!(objects.len(), 20);
    for (id, size) in objects {
        assert_eq!(place.store.read(id).unwrap().len() as u64, size);
    }
}

#[test]
fn a_store_that_cannot_be_written_still_says_what_is_damaged() {
    let place = Place::new();
    let id = RecipeId(
        place
            .store
            .put(ObjectKind::RecipeSegment, b"x")
            .unwrap()
            .digest,
    );
    place.damage(id.into(), b"y");
    // A file where the directory should be stands for every reason why nothing can be moved.
    fs::write_new(&place.path("store/quarantine"), b"").unwrap();
    assert!(matches!(place.store.read(id), Err(Error::Corrupt { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_put_comes_out(objects in prop::collection::vec((0..3_usize, any::<Vec<u8>>()), 0..12)) {
        let place = Place::new();
        let kinds = [ObjectKind::Blob, ObjectKind::Node, ObjectKind::RecipeSegment];
        let mut put = std::collections::BTreeMap::new();
        for (kind, bytes) in objects {
            put.insert(place.store.put(kinds[kind], &bytes).unwrap(), bytes);
        }
        for (id, bytes) in &put {
            prop_assert_eq!(&place.store.read(*id).unwrap(), bytes);
        }
        prop_assert_eq!(place.store.list().unwrap().len(), put.len());
    }
}
