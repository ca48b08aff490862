//! Where a fetch looks, from the nearest to the last: the snapshots of the very roots, their meta
//! packs before the others, then snapshots that share a root, then all index segments.

use std::collections::{BTreeMap, HashSet};

use crate::hash::{ObjectId, PackId, RootsKey};

use super::super::catalog::{Catalog, Located, may_hold_meta};
use super::super::gc::log::Log;
use super::super::link::Link;
use super::super::snapshot::{PackRef, Roots, Snapshot};
use super::super::{Result, Root, layout};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Snapshots,
    MetaPacks,
    OtherPacks,
    SharedRoots,
    Segments,
    Nowhere,
}

/// The places that are known so far, and where to look for more.
pub(super) struct Sources<'a> {
    link: &'a Link<'a>,
    roots: Roots,
    /// Under which names the roots may have been pushed.
    keys: Vec<RootsKey>,
    next: Step,
    /// Packs of snapshots whose indexes are not read yet.
    pending: BTreeMap<PackId, PackRef>,
    catalog: Catalog,
    /// Places that did not hold what they should, by pack and offset.
    bad: HashSet<(u32, u64)>,
    /// The log of garbage collection, as far as it was asked for.
    log: Log,
}

impl<'a> Sources<'a> {
    pub(super) fn new(link: &'a Link<'a>, roots: &[Root], locks: &[Vec<Root>]) -> Self {
        let roots = Roots::new(roots);
        let of_locks = locks.iter().map(|lock| Roots::new(lock).key());
        let mut keys: Vec<_> = std::iter::once(roots.key()).chain(of_locks).collect();
        let mut seen = HashSet::new();
        keys.retain(|key| seen.insert(*key));
        Self {
            link,
            roots,
            keys,
            next: Step::Snapshots,
            pending: BTreeMap::new(),
            catalog: Catalog::default(),
            bad: HashSet::new(),
            log: Log::default(),
        }
    }

    /// Nothing is to be had.
    pub(super) fn give_up(&mut self) {
        self.next = Step::Nowhere;
    }

    pub(super) fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// A place where an object should lie.
    pub(super) fn find(&self, id: ObjectId) -> Option<Located> {
        let mut places = self.catalog.find(id).iter();
        places
            .find(|place| !self.bad.contains(&(place.pack, place.offset)))
            .copied()
    }

    pub(super) fn has(&self, id: ObjectId) -> bool {
        self.find(id).is_some()
    }

    /// Never again looks at these places.
    pub(super) fn pass_over(&mut self, places: impl IntoIterator<Item = Located>) {
        let places = places.into_iter().map(|place| (place.pack, place.offset));
        self.bad.extend(places);
    }

    /// Looks in one source after the other until `enough` is so, or there are no more.
    pub(super) fn search(&mut self, enough: impl Fn(&Self) -> bool) -> Result<()> {
        while !enough(self) && self.next != Step::Nowhere {
            self.step()?;
        }
        Ok(())
    }

    fn step(&mut self) -> Result<()> {
        self.next = match self.next {
            Step::Snapshots => {
                let snapshots = self.link.snapshots_of(self.keys.clone(), &Log::default())?;
                self.expect_packs(snapshots);
                Step::MetaPacks
            }
            Step::MetaPacks => {
                self.read_pending(|pack| may_hold_meta(pack.kind))?;
                Step::OtherPacks
            }
            Step::OtherPacks => {
                self.read_pending(|_| true)?;
                Step::SharedRoots
            }
            Step::SharedRoots => {
                let mut snapshots = self.link.all_snapshots()?;
                let shares = |snapshot: &Snapshot| {
                    snapshot.roots.iter().any(|root| self.roots.contains(root))
                };
                snapshots.retain(shares);
                self.expect_packs(snapshots);
                self.read_pending(|_| true)?;
                Step::Segments
            }
            Step::Segments => {
                self.catalog.extend(self.link.segments()?);
                match self.log_went_on()? {
                    true => Step::Snapshots,
                    false => Step::Nowhere,
                }
            }
            Step::Nowhere => Step::Nowhere,
        };
        Ok(())
    }

    /// Whether packs are gone because garbage was collected since the last look: what they held
    /// is elsewhere then.
    fn log_went_on(&mut self) -> Result<bool> {
        if self.link.damage().is_empty() {
            return Ok(false);
        }
        let before = self.log.number;
        self.link.read_log(&mut self.log)?;
        if self.log.number == before {
            return Ok(false);
        }
        let damaged = self.link.damage();
        let gone = damaged
            .iter()
            .filter_map(|(key, _)| layout::parse_pack(key));
        let targets = self.log.targets(gone).into_iter();
        let unknown = targets.filter(|pack| !self.catalog.knows(*pack));
        let read = self
            .link
            .map(unknown.collect(), |pack| self.link.unlisted_index(pack))?;
        self.catalog.extend(read.into_iter().flatten());
        Ok(true)
    }

    /// What is wrong on the remote, without the packs that were collected.
    pub(super) fn damage(&mut self) -> Result<Vec<(String, String)>> {
        let mut damage = self.link.damage();
        if !damage.is_empty() {
            self.link.read_log(&mut self.log)?;
        }
        let is_collected =
            |key: &str| layout::parse_pack(key).is_some_and(|pack| self.log.condemns(pack));
        damage.retain(|(key, _)| !is_collected(key));
        Ok(damage)
    }

    fn expect_packs(&mut self, snapshots: Vec<Snapshot>) {
        let packs = snapshots.into_iter().flat_map(|snapshot| snapshot.packs);
        let unknown = packs.filter(|pack| !self.catalog.knows(pack.id));
        self.pending.extend(unknown.map(|pack| (pack.id, pack)));
    }

    fn read_pending(&mut self, which: impl Fn(&PackRef) -> bool) -> Result<()> {
        let pending = std::mem::take(&mut self.pending);
        let (now, later): (BTreeMap<_, _>, BTreeMap<_, _>) =
            pending.into_iter().partition(|(_, pack)| which(pack));
        self.pending = later;
        let read = self.link.entries(now.into_values().collect())?;
        self.catalog.extend(read);
        Ok(())
    }
}
