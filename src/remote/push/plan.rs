//! What must be sent, from what the locks need and what the remote holds.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::hash::{BlobId, ObjectId, ObjectKind, PackId, TreeId};
use crate::pack::{ENTRY_LEN, HEADER_LEN, MAX_RAW_LEN, MIXED_LEN, TARGET_LEN, TRAILER_LEN};
use crate::store::Store;

use super::super::catalog::Catalog;
use super::super::snapshot::{PackRef, RootId, Snapshot};
use super::super::walk::{Found, walk};
use super::super::{Content, Result};
use super::Task;

/// Blobs below this length go into packs of their own, so that whoever pulls one of those packs
/// may keep it as it is.
const SMALL_BLOB: u64 = 32 * 1024;

/// A pack that is full is as long as this at least.
const SHORT_PACK: u64 = 16 << 20;
/// So many packs keep a line busy; more of them, only because each is as long as packs become.
const DOZEN: u64 = 12;

/// What must be sent. Everything is in the order of paths.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) nodes: Vec<(TreeId, u64)>,
    /// Files below 32 KiB.
    pub(super) small: Vec<(BlobId, u64)>,
    /// Files up to 4 MiB.
    pub(super) medium: Vec<(BlobId, u64)>,
    /// Files that are cut into chunks.
    pub(super) large: Vec<(BlobId, u64)>,
    /// What neither the store nor the remote has.
    pub(super) missing: HashSet<ObjectId>,
    /// The packs of the remote that hold the rest.
    pub(super) packs: BTreeMap<PackId, PackRef>,
    /// Files whose content is new to the remote.
    pub(super) files: u64,
    /// Their bytes.
    pub(super) bytes: u64,
}

/// Who is known to need an id: a base, which then holds it with all below, or these locks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    Base(usize),
    Wanted,
}

impl Plan {
    /// Plans without touching the remote.
    pub(super) fn make(task: &Task<'_>, bases: &[Snapshot], held: &Catalog) -> Result<Self> {
        let roots: BTreeSet<_> = task.wanted.iter().flat_map(|lock| &lock.roots).collect();
        let mut owners = HashMap::new();
        claim_bases(task, bases, &mut owners)?;
        let mut used = BTreeSet::new();
        let mut enter = |id| match owners.get(&id) {
            Some(Owner::Base(number)) => {
                used.insert(*number);
                false
            }
            Some(Owner::Wanted) => false,
            None => {
                owners.insert(id, Owner::Wanted);
                true
            }
        };
        let mut plan = Self::default();
        let roots = roots.into_iter().map(|root| root.content);
        walk(task.store, roots, &mut enter, &mut |found| {
            task.link.check_interrupt()?;
            plan.take(task.store, held, found)
        })?;
        let packs = used.into_iter().flat_map(|number| &bases[number].packs);
        plan.packs.extend(packs.map(|pack| (pack.id, pack.clone())));
        Ok(plan)
    }

    /// How long all files are that are looked at.
    pub(super) fn length(&self) -> u64 {
        let files = [&self.small, &self.medium, &self.large];
        let files = files.into_iter().flatten();
        files.map(|(_, length)| length).sum()
    }

    /// Whether no content is to be sent.
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
            && self.small.is_empty()
            && self.medium.is_empty()
            && self.large.is_empty()
    }

    /// Whether everything fits into one mixed pack, even if nothing can be compressed.
    pub(super) fn is_mixed(&self) -> bool {
        let whole = self.small.iter().chain(&self.medium);
        let lengths = whole
            .map(|(_, length)| *length)
            .chain(self.nodes.iter().map(|(_, length)| *length));
        let frames: u64 = lengths.map(|length| length + ENTRY_LEN as u64).sum();
        self.large.is_empty() && frames + ((HEADER_LEN + TRAILER_LEN) as u64) < MIXED_LEN
    }

    /// How long packs become: shorter where there is less, so that the first is soon on its way and
    /// several are at once.
    pub(super) fn pack_len(&self) -> u64 {
        let files = self.small.iter().chain(&self.medium).chain(&self.large);
        let bytes: u64 = files.map(|(_, length)| length).sum();
        (bytes / DOZEN).clamp(SHORT_PACK, TARGET_LEN)
    }

    fn take(&mut self, store: &Store, held: &Catalog, found: Found) -> Result<()> {
        match found {
            Found::AbsentNode(id) => {
                self.missing.insert(id.into());
            }
            Found::Node(id, length) => {
                if !self.is_held(held, id.into()) {
                    self.nodes.push((id, length));
                }
            }
            Found::File(id, _) => {
                if !self.is_held(held, id.into()) {
                    self.take_file(store, held, id)?;
                }
            }
        }
        Ok(())
    }

    /// A lock may be wrong about a length, the store is not.
    fn take_file(&mut self, store: &Store, held: &Catalog, id: BlobId) -> Result<()> {
        let Some(length) = store.length(id)? else {
            self.missing.insert(id.into());
            return Ok(());
        };
        if length > MAX_RAW_LEN as u64 {
            self.large.push((id, length));
        } else if length >= SMALL_BLOB {
            self.medium.push((id, length));
        } else {
            self.small.push((id, length));
        }
        // A recipe says nothing about its chunks, so such a file is looked at, but it is not new.
        if held
            .find(ObjectId::new(ObjectKind::RecipeRoot, id.0))
            .is_empty()
        {
            self.files += 1;
            self.bytes += length;
        }
        Ok(())
    }

    fn is_held(&mut self, held: &Catalog, id: ObjectId) -> bool {
        let Some(place) = held.find(id).first() else {
            return false;
        };
        let pack = held.pack(place);
        self.packs.entry(pack.id).or_insert_with(|| pack.clone());
        true
    }
}

/// Notes everything below the roots of bases, as far as the store knows their trees. When the
/// roots alone say that nothing is new, that is all there is to know.
fn claim_bases(
    task: &Task<'_>,
    bases: &[Snapshot],
    owners: &mut HashMap<ObjectId, Owner>,
) -> Result<()> {
    for (number, base) in bases.iter().enumerate() {
        for root in base.roots.iter() {
            owners.entry(object(root)).or_insert(Owner::Base(number));
        }
    }
    let wanted = task.wanted.iter().flat_map(|lock| &lock.roots);
    let mut wanted = wanted.map(|root| object(RootId::of(root.content)));
    if wanted.all(|id| owners.contains_key(&id)) {
        return Ok(());
    }
    let mut entered = HashSet::new();
    for (number, base) in bases.iter().enumerate() {
        let mut enter = |id| {
            owners.entry(id).or_insert(Owner::Base(number));
            entered.insert(id)
        };
        let roots = base.roots.iter().map(content);
        walk(task.store, roots, &mut enter, &mut |_| {
            task.link.check_interrupt()
        })?;
    }
    Ok(())
}

fn object(root: RootId) -> ObjectId {
    match root {
        RootId::File(id) => id.into(),
        RootId::Tree(id) => id.into(),
    }
}

/// A root for a walk that looks at ids alone.
fn content(root: RootId) -> Content {
    match root {
        RootId::File(id) => Content::File { id, size: 0 },
        RootId::Tree(id) => Content::Tree {
            id,
            files: 0,
            bytes: 0,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Digest;

    #[test]
    fn packs_are_as_long_as_there_is_much() {
        let mib = 1 << 20;
        for (bytes, expected) in [
            (0, SHORT_PACK),
            (192 * mib, SHORT_PACK),
            (384 * mib, 32 * mib),
            (768 * mib, TARGET_LEN),
            (1 << 50, TARGET_LEN),
        ] {
            let plan = Plan {
                large: vec![(BlobId(Digest::of(b"large")), bytes)],
                ..Plan::default()
            };
            assert_eq!(plan.pack_len(), expected, "{bytes}");
        }
    }
}
