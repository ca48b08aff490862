//! Checking a remote: whether the packs hold, readable, all that its snapshots need.
//!
//! What is damaged and lies elsewhere too, or is needed by nobody, is told and is no loss. A
//! collection may run meanwhile: when something is amiss and the log has grown, all is looked at
//! again.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::fs;
use crate::hash::{BlobId, ObjectId, ObjectKind, PackId, TreeId};
use crate::progress::{Event, Progress, Work};
use crate::store::Store;
use crate::tree;

use super::catalog::Located;
use super::format::Access;
use super::gc::look::Look;
use super::gc::mark::{read_any, recipe_of};
use super::link::Link;
use super::snapshot::{RootId, Snapshot};
use super::{Result, layout, reads, recipe};

/// How many objects are in memory at once while listings are read.
const BATCH: usize = 256;
const MAX_TRIES: usize = 3;

/// How closely to look at a remote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckDepth {
    /// Names and sizes.
    Quick,
    /// And every listing, and whether all that they name lies somewhere.
    Listings,
    /// And so many hundredths of all packs, read whole.
    Data(u8),
}

/// What was found on a remote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Snapshots that count.
    pub snapshots: u64,
    /// Packs that nobody has condemned, and their bytes.
    pub packs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that the snapshots need.
    pub objects: u64,
    /// Frames that were read and proven.
    pub read: u64,
    /// What snapshots need and cannot be read anywhere there, with whether some pack says that it
    /// holds it.
    pub lost: Vec<(ObjectId, bool)>,
    /// The commits of the snapshots that need something that is lost; zeros for a workspace.
    pub commits: Vec<[u8; 32]>,
    /// Objects that are not what they should be: their keys and what is wrong.
    pub damaged: Vec<(String, String)>,
    /// Packs that something was amiss with.
    pub distrusted: HashSet<PackId>,
}

/// Looks at a remote.
pub(super) fn check(
    link: &Link<'_>,
    store: &Store,
    depth: CheckDepth,
    progress: &dyn Progress,
) -> Result<Checked> {
    if link.format(Access::Read)?.is_none() {
        return Ok(Checked::default());
    }
    if !link.can_list() {
        return Err(link.protocol("what it holds cannot be listed, so it cannot be checked"));
    }
    let mut tries = 0;
    loop {
        let look = Look::take_readable(link)?;
        let before = look.log.number;
        let mut check = Check::new(link, store, look, progress);
        let checked = check.run(depth)?;
        let is_clean = checked.lost.is_empty() && checked.damaged.is_empty();
        tries += 1;
        if is_clean || tries == MAX_TRIES {
            return Ok(checked);
        }
        link.read_log(&mut check.look.log)?;
        if check.look.log.number == before {
            return Ok(checked);
        }
        link.forget_damage();
    }
}

struct Check<'a> {
    link: &'a Link<'a>,
    store: &'a Store,
    look: Look,
    progress: &'a dyn Progress,
    /// What is needed.
    live: HashSet<ObjectId>,
    /// Listings that no pack yields, and the roots of recipes.
    unreadable: HashSet<ObjectId>,
    /// Frames that do not hold what they should: pack and offset.
    bad: HashSet<(PackId, u64)>,
    read: u64,
}

impl<'a> Check<'a> {
    fn new(link: &'a Link<'a>, store: &'a Store, look: Look, progress: &'a dyn Progress) -> Self {
        Self {
            link,
            store,
            look,
            progress,
            live: HashSet::new(),
            unreadable: HashSet::new(),
            bad: HashSet::new(),
            read: 0,
        }
    }

    fn run(&mut self, depth: CheckDepth) -> Result<Checked> {
        let mut distrusted = self.check_names();
        if depth != CheckDepth::Quick {
            distrusted.extend(self.check_indexes()?);
            let snapshots = std::mem::take(&mut self.look.snapshots);
            let marked = self.mark(snapshots.values());
            self.look.snapshots = snapshots;
            marked?;
        }
        if let CheckDepth::Data(percent) = depth {
            self.progress.event(Event::Started {
                work: Work::Verify,
                files: 0,
                bytes: 0,
            });
            let read = self.read_packs(percent);
            self.progress.event(Event::Finished);
            read?;
        }
        distrusted.extend(self.bad.iter().map(|(pack, _)| *pack));
        for id in &self.unreadable {
            let places = self.look.good_places(*id);
            distrusted.extend(places.map(|place| self.look.catalog.pack(place).id));
        }
        let lost = self.lost()?;
        let commits = self.commits_that_need(&lost)?;
        let sound = self.look.packs.iter();
        let sound = sound.filter(|(id, _)| !self.look.log.condemns(**id));
        Ok(Checked {
            snapshots: self.look.snapshots.len() as u64,
            packs: sound.clone().count() as u64,
            bytes: sound.map(|(_, listed)| listed.size).sum(),
            objects: self.live.len() as u64,
            read: self.read,
            lost,
            commits,
            damaged: self.link.damage(),
            distrusted,
        })
    }

    /// Whether the packs that snapshots list are there in their sizes. One that the log has
    /// condemned need not be: what was needed of it lies elsewhere.
    fn check_names(&self) -> HashSet<PackId> {
        let mut distrusted = HashSet::new();
        let refs = self
            .look
            .snapshots
            .values()
            .flat_map(|snapshot| &snapshot.packs);
        let refs: BTreeMap<PackId, u64> = refs.map(|pack| (pack.id, pack.size)).collect();
        for (id, size) in refs {
            let there = self.look.packs.get(&id).map(|listed| listed.size);
            if there == Some(size) || self.look.log.condemns(id) {
                continue;
            }
            let reason = match there {
                None => "it is not there, and a snapshot lists it".to_owned(),
                Some(there) => format!("it has {there} bytes and should have {size}"),
            };
            self.link.note_damage(&layout::pack(id), &reason);
            distrusted.insert(id);
        }
        distrusted
    }

    /// Whether packs say themselves what they hold: readers ask them first. What the index segments
    /// say of one that does not can be read all the same.
    fn check_indexes(&self) -> Result<Vec<PackId>> {
        let packs = self.look.packs.iter();
        let packs = packs.filter(|(id, _)| !self.look.log.condemns(**id));
        let packs = packs.map(|(id, listed)| (*id, listed.size)).collect();
        let bad = self.link.map(packs, |(id, size)| {
            Ok(self.link.own_index(id, size)?.is_none().then_some(id))
        })?;
        Ok(bad.into_iter().flatten().collect())
    }

    /// Follows all roots. Every listing is read from the remote; where it has none that is whole,
    /// the store may know what it names.
    fn mark<'s>(&mut self, snapshots: impl Iterator<Item = &'s Snapshot>) -> Result<()> {
        let mut nodes = Vec::new();
        let mut files = HashSet::new();
        for root in snapshots.flat_map(|snapshot| snapshot.roots.iter()) {
            match root {
                RootId::File(id) => drop(files.insert(id)),
                RootId::Tree(id) => nodes.push(id),
            }
        }
        nodes.retain(|id| self.live.insert((*id).into()));
        while !nodes.is_empty() {
            self.link.check_interrupt()?;
            let batch = nodes.split_off(nodes.len().saturating_sub(BATCH));
            for (id, bytes) in self.read_listings(&batch)? {
                let refs = tree::node_refs(id, &bytes)?;
                let children = refs.children.into_iter();
                nodes.extend(children.filter(|child| self.live.insert((*child).into())));
                files.extend(refs.files.into_iter().map(|(file, _)| file));
            }
        }
        self.mark_files(files)
    }

    fn read_listings(&mut self, batch: &[TreeId]) -> Result<Vec<(TreeId, Vec<u8>)>> {
        let mut rest: HashSet<ObjectId> = batch.iter().map(|id| (*id).into()).collect();
        let mut found = Vec::new();
        read_any(
            self.link,
            &self.look,
            rest.iter().copied().collect(),
            |id, bytes| {
                rest.remove(&id);
                found.push((TreeId(id.digest), bytes));
            },
        )?;
        self.read += found.len() as u64;
        for id in rest {
            self.unreadable.insert(id);
            if let Ok(bytes) = self.store.read(id) {
                found.push((TreeId(id.digest), bytes));
            }
        }
        Ok(found)
    }

    /// Files lie there whole, or in pieces by a recipe, of which there may be several.
    fn mark_files(&mut self, files: HashSet<BlobId>) -> Result<()> {
        let mut cut = Vec::new();
        for file in files {
            self.live.insert(file.into());
            let recipes = self.look.good_places(recipe_of(file)).copied();
            let recipes: Vec<Located> = recipes.collect();
            if !recipes.is_empty() {
                self.live.insert(recipe_of(file));
                cut.extend(recipes);
            }
        }
        for places in cut.chunks(BATCH) {
            for parts in self.parts_of(places)?.into_values().flatten() {
                self.live.extend(parts);
            }
        }
        Ok(())
    }

    /// For each file the sets of objects, any of which makes it: one for each recipe.
    fn parts_of(&self, places: &[Located]) -> Result<HashMap<BlobId, Vec<Vec<ObjectId>>>> {
        let mut roots = Vec::new();
        for (place, bytes) in reads::all(self.link, &self.look.catalog, places.to_vec())? {
            let file = BlobId(place.entry.id.digest);
            let parts = bytes.and_then(|bytes| recipe::root_parts(file, &bytes).ok());
            roots.extend(parts.map(|parts| (file, parts)));
        }
        let segments: HashSet<ObjectId> = roots
            .iter()
            .flat_map(|(_, parts)| parts.iter().map(|id| ObjectId::from(*id)))
            .collect();
        let mut chunks: HashMap<ObjectId, Vec<ObjectId>> = HashMap::new();
        let ids = segments.into_iter().collect();
        read_any(self.link, &self.look, ids, |id, bytes| {
            let parts = recipe::segment_parts(&bytes).unwrap_or_default();
            chunks.insert(id, parts.into_iter().map(ObjectId::from).collect());
        })?;
        let mut all: HashMap<BlobId, Vec<Vec<ObjectId>>> = HashMap::new();
        for (file, parts) in roots {
            let mut objects = Vec::new();
            for part in parts.into_iter().map(ObjectId::from) {
                objects.push(part);
                objects.extend(chunks.get(&part).into_iter().flatten());
            }
            all.entry(file).or_default().push(objects);
        }
        Ok(all)
    }

    /// Reads packs whole, so many hundredths of them, drawn by chance.
    fn read_packs(&mut self, percent: u8) -> Result<()> {
        let mut by_pack: BTreeMap<PackId, Vec<Located>> = BTreeMap::new();
        for place in self.look.catalog.all() {
            let pack = self.look.catalog.pack(place).id;
            if !self.look.log.condemns(pack) {
                by_pack.entry(pack).or_default().push(*place);
            }
        }
        let mut packs: Vec<Vec<Located>> = by_pack.into_values().collect();
        packs.sort_by_cached_key(|_| u64::from_le_bytes(fs::random_bytes()));
        packs.truncate((packs.len() * usize::from(percent)).div_ceil(100));
        for places in reads::batches(packs.into_iter().flatten()) {
            for (place, raw) in reads::all(self.link, &self.look.catalog, places)? {
                self.read += 1;
                if raw.is_none() {
                    let pack = self.look.catalog.pack(&place).id;
                    self.bad.insert((pack, place.offset));
                }
                self.progress.event(Event::Advanced {
                    files: 1,
                    bytes: place.entry.raw_len.into(),
                });
            }
        }
        Ok(())
    }

    fn is_good(&self, id: ObjectId) -> bool {
        let mut places = self.look.good_places(id);
        !self.unreadable.contains(&id)
            && places.any(|place| {
                let pack = self.look.catalog.pack(place).id;
                !self.bad.contains(&(pack, place.offset))
            })
    }

    /// What is needed and cannot be had. A file that is cut into pieces can, if one of its recipes
    /// and all that this names can.
    fn lost(&self) -> Result<Vec<(ObjectId, bool)>> {
        let is_lost = |id: &&ObjectId| {
            matches!(id.kind, ObjectKind::Blob | ObjectKind::Node) && !self.is_good(**id)
        };
        let (cut, mut lost): (Vec<ObjectId>, Vec<ObjectId>) =
            self.live.iter().filter(is_lost).partition(|id| {
                id.kind == ObjectKind::Blob && self.is_good(recipe_of(BlobId(id.digest)))
            });
        let pieces = self.live.iter().filter(|id| {
            let is_piece = matches!(id.kind, ObjectKind::Chunk | ObjectKind::RecipeSegment);
            is_piece && !self.is_good(**id)
        });
        let pieces: HashSet<ObjectId> = pieces.copied().collect();
        if !pieces.is_empty() {
            lost.extend(self.cut_and_lost(&cut, &pieces)?);
        }
        lost.sort();
        let with_place = |id: ObjectId| {
            let is_there = |id| self.look.good_places(id).next().is_some();
            (id, is_there(id) || is_there(recipe_of(BlobId(id.digest))))
        };
        Ok(lost.into_iter().map(with_place).collect())
    }

    fn cut_and_lost(&self, cut: &[ObjectId], pieces: &HashSet<ObjectId>) -> Result<Vec<ObjectId>> {
        let mut lost = Vec::new();
        for files in cut.chunks(BATCH) {
            let recipes = files.iter().flat_map(|file| {
                let recipe = recipe_of(BlobId(file.digest));
                self.look.good_places(recipe).copied()
            });
            let parts = self.parts_of(&recipes.collect::<Vec<_>>())?;
            let is_whole = |ways: &Vec<Vec<ObjectId>>| {
                let is_whole = |way: &Vec<ObjectId>| !way.iter().any(|id| pieces.contains(id));
                ways.iter().any(is_whole)
            };
            let here = files.iter().filter(|file| {
                let ways = parts.get(&BlobId(file.digest));
                !ways.is_some_and(is_whole)
            });
            lost.extend(here.copied());
        }
        Ok(lost)
    }

    /// The commits of snapshots that need some of these, as far as listings can be read.
    fn commits_that_need(&self, lost: &[(ObjectId, bool)]) -> Result<Vec<[u8; 32]>> {
        if lost.is_empty() {
            return Ok(Vec::new());
        }
        let lost: HashSet<ObjectId> = lost.iter().map(|(id, _)| *id).collect();
        let mut known: HashMap<TreeId, bool> = HashMap::new();
        let mut commits = Vec::new();
        for snapshot in self.look.snapshots.values() {
            let mut needs = false;
            for root in snapshot.roots.iter() {
                needs |= match root {
                    RootId::File(id) => lost.contains(&id.into()),
                    RootId::Tree(id) => self.reaches(id, &lost, &mut known)?,
                };
            }
            if needs {
                commits.push(snapshot.commit);
            }
        }
        commits.sort_unstable();
        commits.dedup();
        Ok(commits)
    }

    /// Whether a listing, or one below it, is lost or names something that is.
    fn reaches(
        &self,
        root: TreeId,
        lost: &HashSet<ObjectId>,
        known: &mut HashMap<TreeId, bool>,
    ) -> Result<bool> {
        if let Some(known) = known.get(&root) {
            return Ok(*known);
        }
        self.link.check_interrupt()?;
        let mut bytes = self.store.read(root).ok();
        if bytes.is_none() {
            read_any(self.link, &self.look, vec![root.into()], |_, found| {
                bytes = Some(found);
            })?;
        }
        let mut reaches = lost.contains(&root.into());
        if let Some(bytes) = bytes {
            let refs = tree::node_refs(root, &bytes)?;
            let mut files = refs.files.into_iter();
            reaches |= files.any(|(file, _)| lost.contains(&file.into()));
            for child in refs.children {
                // Trees are at most eight levels high.
                reaches |= self.reaches(child, lost, known)?;
            }
        }
        known.insert(root, reaches);
        Ok(reaches)
    }
}
