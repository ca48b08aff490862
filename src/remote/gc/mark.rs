//! What snapshots need: every object that their roots reach, whichever pack holds it.

use std::collections::HashSet;

use crate::hash::{BlobId, ObjectId, ObjectKind, TreeId};
use crate::remote::catalog::Located;
use crate::remote::link::Link;
use crate::remote::snapshot::{RootId, Snapshot};
use crate::remote::{Result, reads, recipe};
use crate::store::Store;
use crate::tree;

use super::look::Look;

/// How many objects are in memory at once: the longest are nodes and parts of recipes.
const BATCH: usize = 256;

/// Follows the roots of snapshots. Tree nodes that the store has are not read from the remote.
pub(super) fn mark<'s>(
    link: &Link<'_>,
    store: &Store,
    look: &Look,
    snapshots: impl IntoIterator<Item = &'s Snapshot>,
) -> Result<HashSet<ObjectId>> {
    let mut marking = Marking {
        link,
        store,
        look,
        live: HashSet::new(),
        nodes: Vec::new(),
        files: Vec::new(),
    };
    for root in snapshots
        .into_iter()
        .flat_map(|snapshot| snapshot.roots.iter())
    {
        match root {
            RootId::File(id) => marking.take_file(id),
            RootId::Tree(id) => marking.take_node(id),
        }
    }
    while !marking.nodes.is_empty() {
        let from = marking.nodes.len().saturating_sub(BATCH);
        let nodes = marking.nodes.split_off(from);
        marking.read_nodes(nodes)?;
    }
    marking.read_recipes()?;
    Ok(marking.live)
}

/// Those of the needed objects that lie nowhere: they were lost before, or never sent.
pub(super) fn missing(look: &Look, live: &HashSet<ObjectId>) -> Vec<ObjectId> {
    let lies_nowhere = |id: &&ObjectId| {
        let is_cut = id.kind == ObjectKind::Blob && live.contains(&recipe_of(BlobId(id.digest)));
        !is_cut && look.catalog.find(**id).is_empty()
    };
    let mut missing: Vec<_> = live.iter().filter(lies_nowhere).copied().collect();
    missing.sort();
    missing
}

pub(in crate::remote) fn recipe_of(file: BlobId) -> ObjectId {
    ObjectId::new(ObjectKind::RecipeRoot, file.0)
}

struct Marking<'a> {
    link: &'a Link<'a>,
    store: &'a Store,
    look: &'a Look,
    live: HashSet<ObjectId>,
    nodes: Vec<TreeId>,
    files: Vec<BlobId>,
}

impl Marking<'_> {
    fn take_node(&mut self, id: TreeId) {
        if self.live.insert(id.into()) {
            self.nodes.push(id);
        }
    }

    /// A file lies there whole, or as a recipe: both ways are kept.
    fn take_file(&mut self, id: BlobId) {
        let recipe = recipe_of(id);
        let is_cut = !self.look.catalog.find(recipe).is_empty();
        self.live.insert(id.into());
        if is_cut && self.live.insert(recipe) {
            self.files.push(id);
        }
    }

    fn read_nodes(&mut self, ids: Vec<TreeId>) -> Result<()> {
        self.link.check_interrupt()?;
        let mut absent = Vec::new();
        for id in ids {
            match self.store.read(id) {
                Ok(bytes) => self.enter(id, &bytes)?,
                Err(_) => absent.push(id),
            }
        }
        let ids = absent.iter().map(|id| ObjectId::from(*id)).collect();
        let mut found = Vec::new();
        read_any(self.link, self.look, ids, |id, bytes| {
            found.push((id, bytes));
        })?;
        for (id, bytes) in found {
            self.enter(TreeId(id.digest), &bytes)?;
        }
        Ok(())
    }

    fn enter(&mut self, id: TreeId, bytes: &[u8]) -> Result<()> {
        let refs = tree::node_refs(id, bytes)?;
        refs.children
            .into_iter()
            .for_each(|child| self.take_node(child));
        refs.files
            .into_iter()
            .for_each(|(file, _)| self.take_file(file));
        Ok(())
    }

    /// Keeps all parts of every recipe for a file, since nobody knows which one a reader takes.
    fn read_recipes(&mut self) -> Result<()> {
        let files = std::mem::take(&mut self.files);
        let roots = files.iter().flat_map(|file| {
            let places = self.look.catalog.find(recipe_of(*file));
            places.iter().copied()
        });
        let roots: Vec<Located> = roots.collect();
        let mut segments = HashSet::new();
        for places in roots.chunks(BATCH) {
            for (place, bytes) in reads::all(self.link, &self.look.catalog, places.to_vec())? {
                let file = BlobId(place.entry.id.digest);
                let parts = bytes.map(|bytes| recipe::root_parts(file, &bytes));
                segments.extend(parts.into_iter().flatten().flatten());
            }
        }
        let mut segments: Vec<ObjectId> = segments.into_iter().map(ObjectId::from).collect();
        segments.sort();
        self.live.extend(&segments);
        for ids in segments.chunks(BATCH) {
            let (live, look) = (&mut self.live, self.look);
            read_any(self.link, look, ids.to_vec(), |_, bytes| {
                let parts = recipe::segment_parts(&bytes).unwrap_or_default();
                live.extend(parts.into_iter().map(ObjectId::from));
            })?;
        }
        Ok(())
    }
}

/// Reads objects, each from the first place that really has it.
pub(in crate::remote) fn read_any(
    link: &Link<'_>,
    look: &Look,
    ids: Vec<ObjectId>,
    mut take: impl FnMut(ObjectId, Vec<u8>),
) -> Result<()> {
    let mut rest: HashSet<ObjectId> = ids.into_iter().collect();
    for turn in 0.. {
        // Good places first: what is condemned may go away at any moment.
        let place = |id: &ObjectId| {
            let all = look.catalog.find(*id).iter();
            let condemned = all.filter(|place| look.log.condemns(look.catalog.pack(place).id));
            look.good_places(*id).chain(condemned).nth(turn).copied()
        };
        let places: Vec<Located> = rest.iter().filter_map(place).collect();
        if places.is_empty() {
            break;
        }
        for (place, bytes) in reads::all(link, &look.catalog, places)? {
            if let Some(bytes) = bytes {
                rest.remove(&place.entry.id);
                take(place.entry.id, bytes);
            }
        }
    }
    Ok(())
}
