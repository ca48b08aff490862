//! Blobs that were put and are not in `packs/` yet.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use super::dir;
use super::midx::Row;
use crate::fs;
use crate::hash::{BlobId, Digest, ObjectId, ObjectKind, PackId};
use crate::pack::{Builder, Codec, Entry, PackKind};
use crate::store::Result;
use crate::store::unflushed::Unflushed;

/// Packs being filled and written. One at most is being filled and one being written; who fills
/// the next before that is done waits, so that memory does not grow with what is added.
#[derive(Default)]
pub(super) struct Pending {
    places: HashMap<Digest, Spot>,
    full: Vec<Full>,
    filling: Option<Builder>,
    /// Writes the last of `full`.
    writing: Option<JoinHandle<Result<PackId>>>,
    /// A buffer of the length of a pack.
    spare: Vec<u8>,
}

/// Where a blob lies: in a full pack, or in the one after them all, which is being filled.
#[derive(Clone, Copy)]
struct Spot {
    pack: u32,
    offset: u32,
    length: u32,
}

/// The bytes of a blob, or where they are now.
pub(super) enum Found<'a> {
    InMemory(&'a [u8]),
    OnDisk(PackId, Row),
}

enum Full {
    InMemory(Arc<Builder>),
    OnDisk(PackId),
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub(super) fn length(&self, id: ObjectId) -> Option<u64> {
        Some(self.spot(id)?.length.into())
    }

    pub(super) fn list(&self) -> impl Iterator<Item = (ObjectId, u64)> {
        let places = self.places.iter();
        places.map(|(digest, spot)| (BlobId(*digest).into(), u64::from(spot.length)))
    }

    pub(super) fn find(&self, id: ObjectId) -> Option<Found<'_>> {
        let spot = self.spot(id)?;
        Some(match self.full.get(spot.pack as usize) {
            Some(Full::InMemory(builder)) => Found::InMemory(slice(builder, spot)),
            Some(Full::OnDisk(pack)) => Found::OnDisk(*pack, spot.row(id.digest)),
            None => Found::InMemory(slice(self.filling.as_ref()?, spot)),
        })
    }

    /// Forgets a blob; its bytes stay where they are.
    pub(super) fn forget(&mut self, id: ObjectId) {
        if self.spot(id).is_some() {
            self.places.remove(&id.digest);
        }
    }

    /// Adds a blob that is not there yet.
    pub(super) fn add(
        &mut self,
        root: &Path,
        unflushed: &Arc<Unflushed>,
        entry: Entry,
        bytes: &[u8],
    ) -> Result<()> {
        let has_room = |builder: &Builder| builder.has_room(entry.stored_len);
        if !self.filling.as_ref().is_none_or(has_room) {
            self.write_full(root, unflushed)?;
        }
        let spare = &mut self.spare;
        let builder = self.filling.get_or_insert_with(|| {
            Builder::new(PackKind::Blobs, fs::random_bytes(), std::mem::take(spare))
        });
        let spot = Spot {
            pack: self.full.len() as u32,
            offset: builder.add(entry, bytes),
            length: entry.stored_len,
        };
        self.places.insert(entry.id.digest, spot);
        Ok(())
    }

    /// All blobs, if they are fewer than that.
    pub(super) fn few(&self, limit: usize) -> Option<Vec<(BlobId, &[u8])>> {
        let builder = self.filling.as_ref()?;
        if self.places.len() >= limit || !self.full.is_empty() {
            return None;
        }
        let places = self.places.iter();
        let blobs = places.map(|(digest, spot)| (BlobId(*digest), slice(builder, *spot)));
        Some(blobs.collect())
    }

    /// Writes all packs to their ends and yields them, and what they hold.
    pub(super) fn finish(
        &mut self,
        root: &Path,
        unflushed: &Unflushed,
    ) -> Result<(Vec<PackId>, Vec<Row>)> {
        self.wait()?;
        if let Some(builder) = self.filling.take() {
            self.full.push(Full::InMemory(Arc::new(builder)));
        }
        let mut packs = Vec::new();
        for full in &mut self.full {
            let pack = match full {
                Full::OnDisk(pack) => *pack,
                // The last one, and one that could not be written at first.
                Full::InMemory(builder) => dir::publish(root, unflushed, builder)?,
            };
            *full = Full::OnDisk(pack);
            packs.push(pack);
        }
        let places = self.places.iter();
        let rows = places.map(|(digest, spot)| spot.row(*digest));
        Ok((packs, rows.collect()))
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn spot(&self, id: ObjectId) -> Option<Spot> {
        let places = Some(&self.places).filter(|_| id.kind == ObjectKind::Blob);
        places?.get(&id.digest).copied()
    }

    /// Lets a thread write the pack that is full.
    fn write_full(&mut self, root: &Path, unflushed: &Arc<Unflushed>) -> Result<()> {
        self.wait()?;
        let Some(builder) = self.filling.take() else {
            return Ok(());
        };
        let builder = Arc::new(builder);
        self.full.push(Full::InMemory(Arc::clone(&builder)));
        let root = root.to_path_buf();
        let unflushed = Arc::clone(unflushed);
        let publish = move || dir::publish(&root, &unflushed, &builder);
        self.writing = Some(std::thread::spawn(publish));
        Ok(())
    }

    /// Waits until the last full pack is written. One that could not be stays in memory.
    fn wait(&mut self) -> Result<()> {
        let Some(writing) = self.writing.take() else {
            return Ok(());
        };
        let pack = match writing.join() {
            Ok(pack) => pack?,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        let last = self.full.last_mut();
        let written = last.map(|last| std::mem::replace(last, Full::OnDisk(pack)));
        if let Some(Full::InMemory(builder)) = written {
            let builder = Arc::into_inner(builder);
            self.spare = builder.map(Builder::into_buffer).unwrap_or_default();
        }
        Ok(())
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(writing) = self.writing.take() {
            // Nobody is left to hear of a failure; nothing relies on the pack.
            let _ = writing.join();
        }
    }
}

impl Spot {
    fn row(self, digest: Digest) -> Row {
        Row {
            id: BlobId(digest).into(),
            pack: self.pack,
            offset: self.offset,
            stored_len: self.length,
            raw_len: self.length,
            codec: Codec::Raw,
        }
    }
}

fn slice(builder: &Builder, spot: Spot) -> &[u8] {
    let begin = spot.offset as usize;
    &builder.bytes()[begin..begin + spot.length as usize]
}
