//! Small blobs, many to a file: what lies in `packs/`, and what was put a moment ago and is on its
//! way there. All handles on a store share one of these.

mod dir;
mod fold;
mod midx;
mod pending;
mod rewrite;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

pub(super) use self::dir::PACKS;
#[cfg(test)]
pub(super) use self::fold::MANY;
use self::midx::{Midx, Row};
use self::pending::{Found, Pending};
use super::Result;
use super::unflushed::Unflushed;
use crate::fs::{self, Context};
use crate::hash::{BlobId, Digest, ObjectId, PackId};
use crate::pack::{self, Entry};

/// Acts that put fewer small blobs than this leave them as files of their own.
pub(super) const FEW: usize = 256;
/// How many packs are kept open for reading.
const OPEN_FILES: usize = 64;

/// The packs of one store.
pub(super) struct Packs {
    root: PathBuf,
    unflushed: Arc<Unflushed>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What lies in `packs/`; read when it is first asked for.
    midx: Option<Midx>,
    /// When `packs/` was changed last, before it was looked at.
    changed: Option<SystemTime>,
    /// Frames that turned out to be damaged: pack and offset.
    damaged: HashSet<(PackId, u32)>,
    /// What was put and is not in `packs/` yet.
    pending: Pending,
    open: HashMap<PackId, Arc<File>>,
}

/// An object that was asked for.
pub(super) enum Held {
    /// It is in no pack.
    Absent,
    /// Its bytes.
    Whole(Vec<u8>),
    /// All frames that should hold it hold something else, which hashes to this.
    Damaged(Digest),
}

/// Where the bytes of an object are to be had.
enum Place {
    Nowhere,
    Memory(Vec<u8>),
    Disk(PackId, Arc<File>, Row),
}

impl std::fmt::Debug for Packs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packs")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

impl Packs {
    pub(super) fn new(root: &Path, unflushed: Arc<Unflushed>) -> Self {
        Self {
            root: root.to_path_buf(),
            unflushed,
            state: Mutex::default(),
        }
    }

    /// The length of an object, if a pack holds it.
    pub(super) fn length(&self, id: ObjectId) -> Result<Option<u64>> {
        self.state().length(&self.root, id)
    }

    /// All objects and their lengths.
    pub(super) fn list(&self) -> Result<Vec<(ObjectId, u64)>> {
        let mut state = self.state();
        let mut objects: Vec<_> = state.pending.list().collect();
        let (midx, damaged) = state.loaded(&self.root)?;
        let rows = midx.rows().filter(|row| is_good(midx, damaged, row));
        objects.extend(rows.map(|row| (row.id, u64::from(row.raw_len))));
        Ok(objects)
    }

    /// Keeps a blob in memory until enough are there for a pack, or until [`Packs::settle`].
    pub(super) fn put(&self, id: BlobId, bytes: &[u8]) -> Result<()> {
        let entry = Entry::raw(id.into(), bytes);
        let mut state = self.state();
        if state.length(&self.root, id.into())?.is_some() {
            return Ok(());
        }
        let added = state.pending.add(&self.unflushed, entry, bytes);
        if added.is_err() {
            state.pending.clear();
        }
        added
    }

    /// Brings all that was put into files. Few blobs are handed to `keep_loose` instead. After a
    /// failure, what was not in files yet is not there at all.
    pub(super) fn settle(&self, keep_loose: impl Fn(BlobId, &[u8]) -> Result<()>) -> Result<()> {
        let mut state = self.state();
        if state.pending.is_empty() {
            return Ok(());
        }
        let settled = match state.pending.few(FEW) {
            Some(ids) => state.settle_loose(&ids, keep_loose),
            None => state.settle_packed(&self.unflushed),
        };
        state.pending.clear();
        settled
    }

    /// Reads an object and proves it. A damaged frame is passed over from then on, and its bytes
    /// are copied to the quarantine: there may be another frame that is good.
    pub(super) fn read(&self, id: ObjectId) -> Result<Held> {
        let mut held = Held::Absent;
        loop {
            // The lock is not held while the disk is read.
            let place = self.state().place(&self.root, id)?;
            let (pack, file, row) = match place {
                Place::Nowhere => return Ok(held),
                Place::Memory(bytes) => return Ok(Held::Whole(bytes)),
                Place::Disk(pack, file, row) => (pack, file, row),
            };
            let bytes = read_range(&self.root, pack, &file, row.offset.into(), row.stored_len)?;
            match pack::unpack(id, row.codec, row.raw_len, &bytes) {
                Ok(raw) => return Ok(Held::Whole(raw.into_owned())),
                Err(_) => {
                    held = Held::Damaged(id.kind.hash(&bytes).unwrap_or(id.digest));
                    dir::quarantine_frame(&self.root, id, pack, row.offset, &bytes);
                    let mut state = self.state();
                    state.damaged.insert((pack, row.offset));
                    state.pending.forget(id);
                }
            }
        }
    }

    /// The same as [`Packs::refresh`], and cheap where nothing changed.
    pub(super) fn refresh_if_changed(&self) -> Result<bool> {
        let changed = dir::changed(&self.root)?;
        if self.state().changed == changed {
            return Ok(false);
        }
        self.refresh()
    }

    /// Looks whether other processes changed what lies in `packs/`; says whether they did.
    pub(super) fn refresh(&self) -> Result<bool> {
        let mut state = self.state();
        state.changed = dir::changed(&self.root)?;
        let present = dir::list(&self.root)?;
        let known = state.midx.as_ref().map_or(&[][..], Midx::packs);
        if present.len() == known.len() && known.iter().all(|pack| present.contains(pack)) {
            return Ok(false);
        }
        state.midx = None;
        state.open.clear();
        Ok(true)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No panic leaves it half changed in a way that matters: what is pending is either
        // named or not.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn settle_loose(
        &mut self,
        ids: &[BlobId],
        keep_loose: impl Fn(BlobId, &[u8]) -> Result<()>,
    ) -> Result<()> {
        for id in ids {
            if let Some(Found::Bytes(bytes)) = self.pending.find((*id).into())? {
                keep_loose(*id, &bytes)?;
            }
        }
        Ok(())
    }

    fn settle_packed(&mut self, unflushed: &Unflushed) -> Result<()> {
        // Where it was read again since, it may know some of the packs.
        let midx = self.midx.take();
        let (packs, rows) = self.pending.finish(unflushed)?;
        let knows = |midx: &Midx| packs.iter().any(|pack| midx.packs().contains(pack));
        if let Some(mut midx) = midx.filter(|midx| !knows(midx)) {
            midx.add(&packs, rows);
            dir::save(unflushed.root(), &midx);
            self.midx = Some(midx);
        }
        Ok(())
    }

    fn loaded(&mut self, root: &Path) -> Result<(&Midx, &HashSet<(PackId, u32)>)> {
        if self.midx.is_none() {
            self.damaged.extend(dir::damaged_frames(root)?);
        }
        let midx = match self.midx.take() {
            Some(midx) => midx,
            None => {
                self.changed = dir::changed(root)?;
                dir::load(root, &self.damaged)?
            }
        };
        Ok((self.midx.insert(midx), &self.damaged))
    }

    fn length(&mut self, root: &Path, id: ObjectId) -> Result<Option<u64>> {
        if let Some(length) = self.pending.length(id) {
            return Ok(Some(length));
        }
        let (midx, damaged) = self.loaded(root)?;
        let row = midx.find(id).find(|row| is_good(midx, damaged, row));
        Ok(row.map(|row| u64::from(row.raw_len)))
    }

    fn place(&mut self, root: &Path, id: ObjectId) -> Result<Place> {
        match self.pending.find(id)? {
            Some(Found::Bytes(bytes)) => return Ok(Place::Memory(bytes)),
            Some(Found::OnDisk(pack, row)) => {
                if let Some(file) = self.file(root, pack)? {
                    return Ok(Place::Disk(pack, file, row));
                }
                self.pending.forget(id);
            }
            None => {}
        }
        for _ in 0..2 {
            let (midx, damaged) = self.loaded(root)?;
            let row = midx.find(id).find(|row| is_good(midx, damaged, row));
            let Some(row) = row else {
                return Ok(Place::Nowhere);
            };
            let pack = midx.packs()[row.pack as usize];
            if let Some(file) = self.file(root, pack)? {
                return Ok(Place::Disk(pack, file, row));
            }
            // Another process took the pack away, and put what it held elsewhere.
            self.midx = None;
        }
        Ok(Place::Nowhere)
    }

    fn file(&mut self, root: &Path, pack: PackId) -> Result<Option<Arc<File>>> {
        if let Some(file) = self.open.get(&pack) {
            return Ok(Some(Arc::clone(file)));
        }
        let path = dir::path_of(root, pack);
        let file = match File::open(&path) {
            Err(error) if fs::is_missing(&error) => return Ok(None),
            file => Arc::new(file.context("open", &path)?),
        };
        if self.open.len() >= OPEN_FILES {
            self.open.clear();
        }
        self.open.insert(pack, Arc::clone(&file));
        Ok(Some(file))
    }
}

fn is_good(midx: &Midx, damaged: &HashSet<(PackId, u32)>, row: &Row) -> bool {
    damaged.is_empty() || !damaged.contains(&(midx.packs()[row.pack as usize], row.offset))
}

/// The bytes of a frame; none where the pack ends before it does.
fn read_range(root: &Path, pack: PackId, file: &File, offset: u64, length: u32) -> Result<Vec<u8>> {
    let mut bytes = vec![0; length as usize];
    match file.read_exact_at(&mut bytes, offset) {
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => bytes.clear(),
        result => result.context("read", &dir::path_of(root, pack))?,
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
