//! What nobody needs, and its removal. Whoever collects knows what is needed, and has the store
//! for itself ([`Store::try_hold_alone`]).
//!
//! All but one kind of step needs no room: files go, then packs of which nothing is needed. A pack
//! that holds a little of what is needed is written again without the rest, if there is room for it.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;

use super::{META, OBJECTS, QUARANTINE, Result, Store, list};
use crate::fs;
use crate::hash::{Digest, ObjectId, PackId};

/// Packs are written again if at least one part in so many is garbage.
const WORTH_WRITING: u64 = 4;

/// Some objects, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Amount {
    /// How many.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Amount {
    fn add(&mut self, bytes: u64) {
        self.objects += 1;
        self.bytes += bytes;
    }
}

/// What lies in a store and nobody needs.
#[derive(Debug, Default)]
pub struct Garbage {
    /// Listings first: one without its files is worse than files without their listing.
    loose: Vec<(ObjectId, u64, PathBuf)>,
    packs: Vec<PackGarbage>,
    /// What is needed by nobody and too young to go.
    pub young: Amount,
    /// What is needed by nobody and lies among what is: it goes when there is more of it.
    pub scattered: Amount,
    /// What is needed.
    pub kept: Amount,
}

#[derive(Debug)]
struct PackGarbage {
    id: PackId,
    objects: Vec<(ObjectId, u64)>,
    /// Nothing else is in it.
    is_all: bool,
}

impl Garbage {
    /// What goes, with its sizes.
    pub fn objects(&self) -> impl Iterator<Item = (ObjectId, u64)> {
        let loose = self.loose.iter().map(|(id, size, _)| (*id, *size));
        let packed = self.packs.iter().flat_map(|pack| &pack.objects);
        loose.chain(packed.copied())
    }
}

impl Store {
    /// What is not needed and was there before a moment, in nanoseconds since 1970.
    pub fn garbage(&self, before: u64, is_needed: &dyn Fn(ObjectId) -> bool) -> Result<Garbage> {
        let mut garbage = Garbage::default();
        for dir in [META, OBJECTS] {
            list::each_file(&self.root.join(dir), dir, &mut |id, path, stat| {
                let size = stat.len();
                if is_needed(id) {
                    garbage.kept.add(size);
                } else if fs::modified_nanos(stat) >= before {
                    garbage.young.add(size);
                } else {
                    garbage.loose.push((id, size, path));
                }
            })?;
        }
        for (id, length, stat) in self.packs.present()? {
            let is_young = fs::modified_nanos(&stat) >= before;
            self.look_through(id, length, is_young, is_needed, &mut garbage)?;
        }
        Ok(garbage)
    }

    fn look_through(
        &self,
        id: PackId,
        length: u64,
        is_young: bool,
        is_needed: &dyn Fn(ObjectId) -> bool,
        garbage: &mut Garbage,
    ) -> Result<()> {
        let mut objects = Vec::new();
        let (mut stored, mut is_all) = (0, true);
        for entry in self.packs.entries_of(id)? {
            let size = u64::from(entry.raw_len);
            if is_needed(entry.id) {
                is_all = false;
                garbage.kept.add(size);
            } else {
                stored += u64::from(entry.stored_len);
                objects.push((entry.id, size));
            }
        }
        if objects.is_empty() {
            return Ok(());
        }
        let other = match (is_young, is_all || stored * WORTH_WRITING >= length) {
            (true, _) => &mut garbage.young,
            (false, false) => &mut garbage.scattered,
            (false, true) => {
                garbage.packs.push(PackGarbage {
                    id,
                    objects,
                    is_all,
                });
                return Ok(());
            }
        };
        objects.iter().for_each(|(_, size)| other.add(*size));
        Ok(())
    }

    /// Removes garbage. Yields what stayed because there was no room to write its pack again.
    pub fn discard(&self, garbage: Garbage) -> Result<Amount> {
        for (_, _, path) in &garbage.loose {
            fs::remove_file(path)?;
        }
        let (whole, parts): (Vec<_>, Vec<_>) =
            garbage.packs.into_iter().partition(|pack| pack.is_all);
        self.packs.remove_whole(whole.iter().map(|pack| pack.id))?;
        let mut stayed = Amount::default();
        for pack in parts {
            let ids: BTreeSet<ObjectId> = pack.objects.iter().map(|(id, _)| *id).collect();
            match self.packs.write_without(pack.id, &ids) {
                Err(error) if error.is_for_room() => {
                    pack.objects.iter().for_each(|(_, size)| stayed.add(*size));
                }
                written => written?,
            }
        }
        Ok(stayed)
    }

    /// The ids of what was found damaged and lies in quarantine.
    pub fn quarantined(&self) -> Result<HashSet<Digest>> {
        let names = list::names(&self.root.join(QUARANTINE))?;
        let ids = names.iter().filter_map(|name| name.split_once('.'));
        Ok(ids.filter_map(|(id, _)| id.parse().ok()).collect())
    }
}

impl super::Error {
    /// Whether there was no room on the disk.
    fn is_for_room(&self) -> bool {
        matches!(self, Self::Fs(error) if is_full(&error.source))
    }
}

fn is_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::{BlobId, ObjectKind};

    struct Place(tempfile::TempDir);

    impl Place {
        fn store(&self) -> Store {
            Store::open(&self.0.path().join("store"))
        }

        fn packs(&self) -> usize {
            let names = fs::list_dir(&self.0.path().join("store/packs")).unwrap_or_default();
            names.len().saturating_sub(1)
        }
    }

    fn put(store: &Store, numbers: std::ops::Range<usize>, length: usize) -> Vec<BlobId> {
        let put = |number: usize| {
            let bytes = number.to_le_bytes().repeat(length);
            BlobId(store.put(ObjectKind::Blob, &bytes).unwrap().digest)
        };
        let ids = numbers.map(put).collect();
        store.flush().unwrap();
        ids
    }

    fn later() -> u64 {
        fs::now_nanos() + 1_000_000_000
    }

    /// Files, a pack of which nothing, one of which little and one of which most is needed.
    #[test]
    fn what_is_not_needed_goes_and_the_rest_stays_whole() {
        let place = Place(tempfile::tempdir().unwrap());
        let store = place.store();
        let loose = put(&store, 0..10, 8192);
        let nothing = put(&store, 1000..1300, 10);
        let little = put(&store, 2000..2300, 10);
        let most = put(&store, 3000..3300, 10);
        assert_eq!(place.packs(), 3);
        let needed: Vec<BlobId> = [&loose[..5], &little[..100], &most[..290]].concat();
        let needed: BTreeSet<ObjectId> = needed.into_iter().map(ObjectId::from).collect();
        let is_needed = |id: ObjectId| needed.contains(&id);

        let young = store.garbage(0, &is_needed).unwrap();
        assert_eq!((young.objects().count(), young.young.objects), (0, 515));
        let garbage = store.garbage(later(), &is_needed).unwrap();
        assert_eq!(garbage.objects().count(), 5 + 300 + 200);
        assert_eq!(garbage.scattered.objects, 10);
        assert_eq!(garbage.kept.objects, needed.len() as u64);
        assert_eq!(store.discard(garbage).unwrap(), Amount::default());
        assert_eq!(place.packs(), 2);
        for store in [&store, &place.store()] {
            let is_whole = |id: &ObjectId| store.read(*id).is_ok();
            assert!(needed.iter().all(is_whole));
            assert!(!store.has(nothing[0]) && !store.has(loose[5]) && !store.has(little[100]));
            assert!(store.has(most[290]));
        }
        let again = place.store().garbage(later(), &is_needed).unwrap();
        assert_eq!(again.objects().count(), 0);
        // What was removed can be put again.
        assert_eq!(put(&store, 1000..1300, 10), nothing);
        assert!(place.store().read(nothing[7]).is_ok());
    }

    #[test]
    fn another_handle_puts_again_what_a_collection_took() {
        let place = Place(tempfile::tempdir().unwrap());
        let store = place.store();
        store.enter().unwrap();
        let ids = put(&store, 0..300, 10);
        store.leave();
        let gc = place.store();
        let alone = gc.try_hold_alone("gc").unwrap().unwrap();
        gc.discard(gc.garbage(later(), &|_| false).unwrap())
            .unwrap();
        drop(alone);
        store.enter().unwrap();
        put(&store, 0..300, 10);
        assert!(ids.iter().all(|id| place.store().read(*id).is_ok()));
    }

    #[test]
    fn the_ids_of_what_is_in_quarantine_are_known() {
        let place = Place(tempfile::tempdir().unwrap());
        let store = place.store();
        let id = put(&store, 0..1, 8192)[0];
        store.quarantine(id.into(), Digest::of(b"other"));
        assert_eq!(store.quarantined().unwrap(), [id.0].into());
    }
}
