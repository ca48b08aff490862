//! Fetch: brings what some roots need and the store lacks, and proves every byte of it.
//!
//! The ids come from the lock; from there the chain goes through nodes to files, and nothing that
//! the remote says can break it. Where an object lies is only ever a hint: a place that does not
//! yield what its id names is passed over for the next.

mod assemble;
mod sources;

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::hash::{BlobId, ObjectId, ObjectKind, TreeId};
use crate::pack::Entry;
use crate::path::RelPath;
use crate::progress::{Event, Progress, Work};
use crate::store::Store;
use crate::tree;

use super::catalog::Located;
use super::format::Access;
use super::link::Link;
use super::meter::{Meter, Way};
use super::reads;
use super::walk::{self, Found, Nodes, Overlay, name_missing, walk};
use super::{Content, Economy, Error, FetchOptions, Fetched, Result, Root, is_content};

use sources::Sources;

/// Brings what these roots need and the store lacks.
pub(super) fn fetch(
    link: &Link<'_>,
    store: &Store,
    roots: &[Root],
    options: &FetchOptions<'_>,
    progress: &dyn Progress,
) -> Result<Fetched> {
    let meter = Meter::new(progress, link.traffic(), Way::Down);
    let mut fetch = Fetch {
        link,
        store,
        overlay: options.dry_run.then(|| Overlay::new(store)),
        progress,
        meter: &meter,
        sources: Sources::new(link, roots, options.locks),
        seen: HashSet::new(),
        nodes: Vec::new(),
        files: Vec::new(),
        missing: HashSet::new(),
        travelled: Travelled::default(),
        fetched: Fetched::default(),
    };
    let mut sorted: Vec<&Root> = roots.iter().collect();
    sorted.sort();
    fetch.look(sorted.into_iter().map(|root| root.content))?;
    // Where all listings are here, nobody need be asked for files that are not wanted.
    let is_listed = fetch.nodes.is_empty();
    if is_listed {
        fetch.leave_out(roots, options.keep)?;
    }
    if fetch.nodes.is_empty() && fetch.files.is_empty() {
        return Ok(fetch.fetched);
    }
    if link.format(Access::Read)?.is_none() {
        fetch.sources.give_up();
    }
    if !is_listed {
        fetch.bring_nodes()?;
        fetch.leave_out(roots, options.keep)?;
    }
    match options.dry_run {
        true => fetch.find_files()?,
        false => fetch.bring_files()?,
    }
    if fetch.fetched.objects > 0 && !options.dry_run {
        store.flush()?;
    }
    Ok(Fetched {
        received_bytes: match options.dry_run {
            true => 0,
            false => link.received(),
        },
        economy: match options.dry_run {
            true => Economy::default(),
            false => fetch.travelled.economy(fetch.fetched.bytes),
        },
        missing: name_missing(fetch.trees(), roots, &fetch.missing),
        damaged: fetch.sources.damage()?,
        ..fetch.fetched
    })
}

/// A fetch under way.
struct Fetch<'a> {
    link: &'a Link<'a>,
    store: &'a Store,
    /// Takes the nodes that come, if nothing is to be written.
    overlay: Option<Overlay<'a>>,
    progress: &'a dyn Progress,
    meter: &'a Meter<'a>,
    sources: Sources<'a>,
    /// What was looked at in the store.
    seen: HashSet<ObjectId>,
    /// Nodes that the store lacks.
    nodes: Vec<TreeId>,
    /// Files that the store lacks, with the lengths that the lock or a tree gives them.
    files: Vec<(BlobId, u64)>,
    /// What no source has.
    missing: HashSet<ObjectId>,
    travelled: Travelled,
    fetched: Fetched,
}

/// The content that came: how long it is, and how long it was on the way.
#[derive(Default)]
struct Travelled {
    raw: AtomicU64,
    stored: AtomicU64,
}

impl Travelled {
    fn count(&self, entry: &Entry) {
        if is_content(entry.id) {
            let (raw, stored) = (entry.raw_len.into(), entry.stored_len.into());
            self.raw.fetch_add(raw, Ordering::Relaxed);
            self.stored.fetch_add(stored, Ordering::Relaxed);
        }
    }

    fn economy(&self, files: u64) -> Economy {
        let (raw, stored) = (&self.raw, &self.stored);
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Economy::new(files, read(raw), read(stored))
    }
}

impl Fetch<'_> {
    /// Walks as far as the store goes, and notes what it lacks.
    fn look(&mut self, roots: impl IntoIterator<Item = Content>) -> Result<()> {
        let Self {
            link,
            store,
            overlay,
            seen,
            nodes,
            files,
            ..
        } = self;
        let trees: &dyn Nodes = match overlay {
            Some(overlay) => overlay,
            None => *store,
        };
        walk(trees, roots, &mut |id| seen.insert(id), &mut |found| {
            match found {
                Found::AbsentNode(id) => nodes.push(id),
                Found::File(id, size) if !store.has(id) => files.push((id, size)),
                Found::File(..) | Found::Node(..) => {}
            }
            link.check_interrupt()
        })
    }

    fn trees(&self) -> &dyn Nodes {
        match &self.overlay {
            Some(overlay) => overlay,
            None => self.store,
        }
    }

    /// Leaves out the files that are not wanted. Where the listing cannot be had, nobody can tell
    /// which these are, and none is wanted: that listing is missing.
    fn leave_out(&mut self, roots: &[Root], keep: Option<&dyn Fn(&RelPath) -> bool>) -> Result<()> {
        let Some(keep) = keep else {
            return Ok(());
        };
        let mut wanted = HashSet::new();
        for root in roots {
            self.link.check_interrupt()?;
            match root.content {
                Content::File { id, .. } if keep(&root.path) => drop(wanted.insert(id)),
                Content::File { .. } => {}
                Content::Tree { id, .. } => {
                    let tree = walk::decode(self.trees(), id).unwrap_or_default();
                    let files = tree.iter().filter_map(|(path, entry)| match entry {
                        tree::Entry::File { id, .. } => keep(&root.path.join(path)).then_some(*id),
                        _ => None,
                    });
                    wanted.extend(files);
                }
            }
        }
        self.fetched.unmatched = wanted.is_empty() && self.missing.is_empty();
        self.files.retain(|(id, _)| wanted.contains(id));
        Ok(())
    }

    /// Brings nodes level by level, because only a node names those below it.
    fn bring_nodes(&mut self) -> Result<()> {
        while !self.nodes.is_empty() {
            let nodes = std::mem::take(&mut self.nodes);
            let ids = nodes.iter().map(|id| ObjectId::from(*id)).collect();
            let lost = match &self.overlay {
                None => self.keep_all(ids)?,
                Some(_) => self.look_at_all(ids)?,
            };
            let came = nodes
                .iter()
                .filter(|id| !lost.contains(&ObjectId::from(**id)));
            let came: Vec<TreeId> = came.copied().collect();
            self.fetched.objects += came.len() as u64;
            self.missing.extend(lost);
            for id in &came {
                self.seen.remove(&ObjectId::from(*id));
            }
            let below = |id| Content::Tree {
                id,
                files: 0,
                bytes: 0,
            };
            self.look(came.into_iter().map(below))?;
        }
        Ok(())
    }

    fn bring_files(&mut self) -> Result<()> {
        let files = std::mem::take(&mut self.files);
        if files.is_empty() {
            return Ok(());
        }
        let needed = files.iter().map(|(_, size)| *size);
        let needed = needed.fold(0, u64::saturating_add);
        let ids: HashSet<BlobId> = files.iter().map(|(id, _)| *id).collect();
        let begun = self.store.begun(|id| ids.contains(&id))?;
        let needed = needed.saturating_sub(begun);
        let free = self.store.free_space()?;
        if needed > free {
            return Err(Error::NoRoom { needed, free });
        }
        self.progress.event(Event::Started {
            work: Work::Download,
            files: files.len() as u64,
            bytes: files.iter().map(|(_, size)| size).sum(),
        });
        let meter = self.meter;
        let result = meter.during(|| self.bring_each(&files));
        self.progress.event(Event::Finished);
        let lost = result?;
        for (id, size) in files {
            if lost.contains(&id.into()) {
                self.missing.insert(id.into());
            } else {
                self.fetched.objects += 1;
                self.fetched.files += 1;
                self.fetched.bytes += size;
            }
        }
        Ok(())
    }

    /// Counts the files that would come.
    fn find_files(&mut self) -> Result<()> {
        let files = std::mem::take(&mut self.files);
        self.search(&files)?;
        // The listings that were read are no part of what is told.
        self.fetched.objects = 0;
        for (id, size) in files {
            if self.sources.has(id.into()) || self.sources.has(assemble::root_of(id)) {
                self.fetched.objects += 1;
                self.fetched.files += 1;
                self.fetched.bytes += size;
            } else {
                self.missing.insert(id.into());
            }
        }
        Ok(())
    }

    /// Looks for all files, as they are or in pieces.
    fn search(&mut self, files: &[(BlobId, u64)]) -> Result<()> {
        self.sources.search(|sources| {
            let mut ids = files.iter().map(|(id, _)| *id);
            ids.all(|id| sources.has(id.into()) || sources.has(assemble::root_of(id)))
        })
    }

    /// Brings whole files first, then those that lie in pieces.
    fn bring_each(&mut self, files: &[(BlobId, u64)]) -> Result<HashSet<ObjectId>> {
        self.search(files)?;
        let (whole, mut rest): (Vec<_>, Vec<_>) = files
            .iter()
            .partition(|(id, _)| self.sources.has((*id).into()));
        let lost = self.keep_all(whole.iter().map(|(id, _)| (*id).into()).collect())?;
        rest.extend(whole.iter().filter(|(id, _)| lost.contains(&(*id).into())));
        self.assemble(&rest)
    }

    /// Brings objects into the store; yields those that no place has.
    fn keep_all(&mut self, ids: Vec<ObjectId>) -> Result<HashSet<ObjectId>> {
        let (store, meter) = (self.store, self.meter);
        self.bring(ids, |id, raw| {
            store.put(id.kind, raw)?;
            if id.kind == ObjectKind::Blob {
                meter.advance(1, raw.len() as u64);
            }
            Ok(())
        })
    }

    /// Brings nodes and keeps them in memory; yields those that no place has.
    fn look_at_all(&mut self, ids: Vec<ObjectId>) -> Result<HashSet<ObjectId>> {
        let overlay = self.overlay.take();
        let lost = self.bring(ids, |id, raw| {
            if let Some(overlay) = &overlay {
                overlay.take(TreeId(id.digest), raw);
            }
            Ok(())
        });
        self.overlay = overlay;
        lost
    }

    /// Brings objects, each from the first place that really has it, and hands them over in any order.
    /// Yields those that no place has.
    fn bring(
        &mut self,
        ids: Vec<ObjectId>,
        keep: impl Fn(ObjectId, &[u8]) -> Result<()> + Sync,
    ) -> Result<HashSet<ObjectId>> {
        let mut rest = ids;
        loop {
            self.sources
                .search(|sources| rest.iter().all(|id| sources.has(*id)))?;
            let places: Vec<Located> = rest
                .iter()
                .filter_map(|id| self.sources.find(*id))
                .collect();
            if places.is_empty() {
                return Ok(rest.into_iter().collect());
            }
            let bad = self.transfer(places, &keep)?;
            let again: HashSet<ObjectId> = bad.iter().map(|place| place.entry.id).collect();
            rest.retain(|id| again.contains(id) || !self.sources.has(*id));
            self.sources.pass_over(bad);
        }
    }

    /// Reads frames and hands over what is in them; yields those places that did not hold what they
    /// should.
    fn transfer(
        &self,
        places: Vec<Located>,
        keep: &(impl Fn(ObjectId, &[u8]) -> Result<()> + Sync),
    ) -> Result<Vec<Located>> {
        let reads = reads::plan(self.sources.catalog(), places);
        let bad = reads::map(self.link, reads, |read| {
            let entries = read.places.iter().map(|place| &place.entry);
            let content = entries.filter(|entry| is_content(entry.id));
            let content = content.map(|entry| u64::from(entry.raw_len)).sum();
            let take = |place: &Located, raw: Option<Cow<'_, [u8]>>| {
                let Some(raw) = raw else {
                    return Ok(Some(*place));
                };
                keep(place.entry.id, &raw)?;
                self.travelled.count(&place.entry);
                Ok(None)
            };
            self.meter.under_way(read.len, content, || {
                reads::each(self.link, self.sources.catalog(), &read, &take)
            })
        })?;
        Ok(bad.into_iter().flatten().flatten().collect())
    }
}
