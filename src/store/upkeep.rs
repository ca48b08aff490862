//! Keeping a store in few files: small objects in files of their own go into a pack, and small
//! packs become one.
//!
//! It is done at the end of an act that wrote, when it is due, and never much at a time. What lies
//! in a new pack stays where it was until the disk has the pack, so that it may be stopped anywhere
//! and done by several processes at once.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::{OBJECTS, Result, Store, TEMP};
use crate::fs::{self, LinkKind, LockGuard};
use crate::hash::{BlobId, Digest, PackId};
use crate::pack::{MAX_ENTRIES, TARGET_LEN};

/// The small objects in these of the 256 directories are counted, since ids are spread evenly.
const SAMPLE: [&str; 4] = ["00", "40", "80", "c0"];
/// The lock of who is at it, in `tmp/`.
pub(super) const UPKEEP: &str = "upkeep";
/// How many there may be in the sample: about a thousand in all. Less where every step is tested.
const FEW_IN_SAMPLE: usize = if cfg!(feature = "failpoints") { 1 } else { 16 };

/// An object in a file of its own.
pub(super) struct Loose {
    pub(super) id: BlobId,
    pub(super) path: PathBuf,
    size: u64,
}

impl Store {
    /// Puts small things together, if there are many by now. It writes one pack at most. The next
    /// act that writes goes on where this one stops, also if it was killed.
    pub fn tend(&self) -> Result<()> {
        self.settle()?;
        let loose = self.small_loose()?;
        let packs = self.packs.small()?;
        if loose.is_empty() && packs.is_empty() {
            return Ok(());
        }
        // Nothing is lost without it; twice the work would be done.
        let lock = self.root.join(TEMP).join(UPKEEP);
        let Some(_lock) = LockGuard::try_acquire(&lock, "upkeep")? else {
            return Ok(());
        };
        let folded = self.packs.fold(&loose, &packs)?;
        self.unflushed.flush()?;
        for object in folded {
            fs::remove_file(&object.path)?;
        }
        Ok(())
    }

    /// The packs that are whole by the index over all packs alone: their own lists of what they hold are
    /// damaged.
    pub fn badly_listed(&self) -> Result<BTreeSet<PackId>> {
        self.packs.badly_listed()
    }

    /// Writes packs again, each with a list of what it holds.
    pub fn write_again(&self, packs: &BTreeSet<PackId>) -> Result<()> {
        self.packs.fold(&[], packs).map(|_| ())
    }

    /// Objects that belong into a pack, of which there is one at most; none while they are few.
    fn small_loose(&self) -> Result<Vec<Loose>> {
        if self.uses(LinkKind::Symlink) {
            // No object knows which links of a workspace lead to it.
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for fan in SAMPLE {
            self.small_in(fan, &mut found)?;
        }
        if found.len() <= FEW_IN_SAMPLE {
            return Ok(Vec::new());
        }
        found.clear();
        let mut bytes = 0;
        for fan in 0..=u8::MAX {
            let before = found.len();
            self.small_in(&format!("{fan:02x}"), &mut found)?;
            bytes += found[before..].iter().map(|loose| loose.size).sum::<u64>();
            if found.len() >= MAX_ENTRIES / 2 || bytes >= TARGET_LEN / 2 {
                break;
            }
        }
        Ok(found)
    }

    fn small_in(&self, fan: &str, found: &mut Vec<Loose>) -> Result<()> {
        let dir = self.root.join(OBJECTS).join(fan);
        if self.pack_below == 0 || fs::metadata(&dir)?.is_none() {
            return Ok(());
        }
        for name in fs::list_dir(&dir)? {
            let digest = name.to_str().map(|name| format!("{fan}{name}"));
            let Some(id) = digest.and_then(|hex| hex.parse::<Digest>().ok()) else {
                continue;
            };
            let (id, path) = (BlobId(id), dir.join(name));
            // One that has other names is shared with a workspace.
            let small = fs::metadata(&path)?.filter(|stat| {
                stat.is_file() && stat.len() < self.pack_below as u64 && fs::links(stat) == 1
            });
            if let Some(stat) = small {
                let size = stat.len();
                found.push(Loose { id, path, size });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::hash::ObjectKind;
    use crate::store::Settings;
    use crate::store::packs::MANY;

    struct Place(tempfile::TempDir);

    impl Place {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn open(&self) -> Store {
            Store::open(&self.0.path().join("store"))
        }

        fn count(&self, dir: &str) -> usize {
            let dir = self.0.path().join("store").join(dir);
            fs::list_dir(&dir).unwrap_or_default().len()
        }

        fn packs(&self) -> usize {
            // The index is no pack.
            self.count("packs").saturating_sub(1)
        }

        fn loose(&self) -> usize {
            let fans = 0..=u8::MAX;
            fans.map(|fan| self.count(&format!("objects/{fan:02x}")))
                .sum()
        }
    }

    fn bytes(number: usize) -> Vec<u8> {
        format!("object {number}").into_bytes()
    }

    /// Puts as many acts do, each some.
    fn put(store: &Store, acts: usize, each: usize) -> Vec<BlobId> {
        let mut ids = Vec::new();
        for act in 0..acts {
            for number in act * each..(act + 1) * each {
                let id = store.put(ObjectKind::Blob, &bytes(number)).unwrap();
                ids.push(BlobId(id.digest));
            }
            store.flush().unwrap();
        }
        ids
    }

    fn all_there(store: &Store, ids: &[BlobId]) -> bool {
        let listed = store.list().unwrap();
        let good = ids.iter().enumerate().all(|(number, id)| {
            let bytes = bytes(number);
            store.length(*id).unwrap() == Some(bytes.len() as u64)
                && store.read(*id).unwrap() == bytes
        });
        good && listed.len() == ids.len()
    }

    #[test]
    fn many_small_objects_go_into_a_pack_and_few_stay() {
        let place = Place::new();
        let store = place.open();
        let few = FEW_IN_SAMPLE * 20;
        put(&store, 1, few);
        store.tend().unwrap();
        assert_eq!((place.loose(), place.packs()), (few, 0));

        let ids = put(&store, 10, 200);
        // Another process that looked at the store before.
        let other = place.open();
        assert!(other.has(ids[0]) && other.list().unwrap().len() == ids.len());
        store.tend().unwrap();
        assert_eq!((place.loose(), place.packs()), (0, 1));
        for store in [&store, &other, &place.open()] {
            assert!(all_there(store, &ids));
        }
        store.tend().unwrap();
        assert_eq!((place.loose(), place.packs()), (0, 1));
    }

    #[test]
    fn many_small_packs_become_one_and_few_stay() {
        let place = Place::new();
        let store = place.open();
        put(&store, MANY, 256);
        store.tend().unwrap();
        assert_eq!(place.packs(), MANY);

        let ids = put(&store, MANY + 1, 256);
        let other = place.open();
        assert!(other.has(ids[0]));
        store.tend().unwrap();
        assert_eq!((place.loose(), place.packs()), (0, 1));
        for store in [&store, &other, &place.open()] {
            assert!(all_there(store, &ids));
        }
    }

    #[test]
    fn what_is_damaged_large_or_shared_stays_where_it_is() {
        let place = Place::new();
        let store = place.open();
        let ids = put(&store, 10, 200);
        let path = |id: BlobId| store.path_of(id.into()).unwrap();
        fs::remove_file(&path(ids[0])).unwrap();
        fs::write_new(&path(ids[0]), b"damaged").unwrap();
        std::fs::hard_link(path(ids[1]), place.0.path().join("link")).unwrap();
        let large = store.put(ObjectKind::Blob, &[1; 32 << 10]).unwrap();
        store.tend().unwrap();
        assert_eq!((place.loose(), place.packs()), (3, 1));
        assert_eq!(store.length(large).unwrap(), Some(32 << 10));
        assert!(store.read(ids[0]).is_err());
    }

    #[test]
    fn where_nothing_is_packed_nothing_is_put_together() {
        let place = Place::new();
        let settings = Settings {
            pack_below: 0,
            ..Settings::default()
        };
        let store = Store::with(&place.0.path().join("store"), settings);
        put(&store, 4, 300);
        store.tend().unwrap();
        assert_eq!((place.loose(), place.packs()), (1200, 0));
    }

    #[test]
    fn an_object_that_symbolic_links_may_lead_to_stays() {
        let place = Place::new();
        let store = place.open().with_links(&[LinkKind::Symlink]);
        let ids = put(&store, 10, 200);
        store.tend().unwrap();
        assert_eq!((place.loose(), place.packs()), (2000, 0));
        place.open().tend().unwrap();
        assert_eq!((place.loose(), place.packs()), (0, 1));
        assert!(all_there(&store, &ids));
    }

    #[test]
    fn several_processes_may_tend_while_others_read() {
        let place = Place::new();
        let ids = put(&place.open(), MANY + 1, 256);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let store = place.open();
                while !done.load(Ordering::SeqCst) {
                    assert!(all_there(&store, &ids));
                }
            });
            let tending: Vec<_> = (0..3)
                .map(|_| scope.spawn(|| place.open().tend().unwrap()))
                .collect();
            for tending in tending {
                tending.join().unwrap();
            }
            done.store(true, Ordering::SeqCst);
            reader.join().unwrap();
        });
        assert!(all_there(&place.open(), &ids));
        assert_eq!(place.packs(), 1);
    }
}
