//! What a remote says that it holds, by its index alone: names and sizes of packs, snapshots, and
//! index segments where snapshots do not do.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::hash::{ObjectId, ObjectKind, PackId};
use crate::store::Store;

use super::catalog::Catalog;
use super::format::Access;
use super::gc::log::Log;
use super::link::Link;
use super::snapshot::{RootId, Roots, Snapshot};
use super::walk::{Found, walk};
use super::{Content, Error, Result, Root};

/// What a remote says that it holds.
#[derive(Debug, Default)]
pub struct Presence {
    /// Roots of which it holds all.
    whole: HashSet<RootId>,
    /// Where single objects lie, if that had to be looked up.
    catalog: Catalog,
}

/// What a remote lacks of something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lacks {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Listings.
    pub listings: u64,
    /// Listings that the store does not have either, so that nobody knows what they name.
    pub unknown: u64,
}

impl Lacks {
    /// Whether it lacks nothing.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl Presence {
    pub(super) fn look(link: &Link<'_>, locks: &[Vec<Root>]) -> Result<Self> {
        let mut presence = Self::default();
        match link.format(Access::Read) {
            Ok(Some(_)) => {}
            // A push makes the directory, so there is nothing yet.
            Ok(None) | Err(Error::MissingDirectory { .. }) => return Ok(presence),
            Err(error) => return Err(error),
        }
        let mut log = Log::default();
        link.read_log(&mut log)?;
        let locks: Vec<Roots> = locks.iter().map(Roots::new).collect();
        let keys: BTreeSet<_> = locks.iter().map(Roots::key).collect();
        let snapshots = link.snapshots_of(keys.into_iter().collect(), &log)?;
        if !link.can_list() {
            presence.take(&snapshots, &|_| true);
            return Ok(presence);
        }
        let packs = link.packs()?;
        let is_whole = |snapshot: &Snapshot| {
            let mut packs_of = snapshot.packs.iter();
            packs_of.all(|pack| packs.get(&pack.id) == Some(&pack.size) && !log.condemns(pack.id))
        };
        presence.take(&snapshots, &is_whole);
        let is_known = |presence: &Self| {
            let mut roots = locks.iter().flat_map(Roots::iter);
            roots.all(|root| presence.whole.contains(&root))
        };
        if !is_known(&presence) {
            presence.take(&link.all_snapshots()?, &is_whole);
        }
        if !is_known(&presence) {
            presence.read_segments(link, &packs, &log)?;
        }
        Ok(presence)
    }

    pub(super) fn of_index(link: &Link<'_>) -> Result<Self> {
        let mut presence = Self::default();
        if link.format(Access::Read)?.is_some() && link.can_list() {
            let mut log = Log::default();
            link.read_log(&mut log)?;
            presence.read_segments(link, &link.packs()?, &log)?;
        }
        Ok(presence)
    }

    /// Reads the index segments, as far as the packs that they list are there.
    fn read_segments(
        &mut self,
        link: &Link<'_>,
        packs: &HashMap<PackId, u64>,
        log: &Log,
    ) -> Result<()> {
        let mut listed = link.segments()?;
        listed.retain(|pack| packs.get(&pack.id) == Some(&pack.size) && !log.condemns(pack.id));
        self.catalog.extend(listed);
        Ok(())
    }

    fn take(&mut self, snapshots: &[Snapshot], is_whole: &dyn Fn(&Snapshot) -> bool) {
        let whole = snapshots.iter().filter(|snapshot| is_whole(snapshot));
        self.whole
            .extend(whole.flat_map(|snapshot| snapshot.roots.iter()));
    }

    /// Whether it holds an object, whole or in pieces.
    pub fn has(&self, id: ObjectId) -> bool {
        let has = |id: ObjectId| !self.catalog.find(id).is_empty();
        has(id)
            || id.kind == ObjectKind::Blob && has(ObjectId::new(ObjectKind::RecipeRoot, id.digest))
    }

    /// What it lacks of something that a lock names.
    pub fn lacks(&self, store: &Store, root: &Root) -> Result<Lacks> {
        self.lacks_with(store, root, &|_| false)
    }

    /// The same, without what can be had elsewhere.
    pub fn lacks_with(
        &self,
        store: &Store,
        root: &Root,
        elsewhere: &dyn Fn(ObjectId) -> bool,
    ) -> Result<Lacks> {
        match self.whole.contains(&RootId::of(root.content)) {
            true => Ok(Lacks::default()),
            false => lacks(store, root, &|id| self.has(id) || elsewhere(id)),
        }
    }
}

/// What a store lacks of something that a lock names.
pub fn lacks_here(store: &Store, root: &Root) -> Result<Lacks> {
    lacks(store, root, &|id| store.has(id))
}

/// What is lacking below a root, as far as the store knows its listings. Of a directory of which it
/// has nothing, the lock knows how many files it has.
fn lacks(store: &Store, root: &Root, has: &dyn Fn(ObjectId) -> bool) -> Result<Lacks> {
    let mut lacks = Lacks::default();
    let mut seen = HashSet::new();
    walk(
        store,
        [root.content],
        &mut |id| seen.insert(id),
        &mut |found| {
            match found {
                Found::Node(id, _) => lacks.listings += u64::from(!has(id.into())),
                Found::AbsentNode(_) => lacks.unknown += 1,
                Found::File(id, _) if has(id.into()) => {}
                Found::File(_, size) => {
                    lacks.files += 1;
                    lacks.bytes += size;
                }
            }
            Ok(())
        },
    )?;
    if let Content::Tree { id, files, bytes } = root.content
        && !store.has(id)
    {
        (lacks.files, lacks.bytes) = (files, bytes);
    }
    Ok(lacks)
}
