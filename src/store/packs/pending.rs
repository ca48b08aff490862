//! Blobs that were put and are not in `packs/` yet.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::thread::JoinHandle;

use super::dir::{self, PackFile};
use super::midx::Row;
use crate::fs::Context;
use crate::hash::{BlobId, Digest, ObjectId, ObjectKind, PackId};
use crate::pack::{Codec, Entry, TARGET_LEN};
use crate::store::Result;
use crate::store::unflushed::Unflushed;

/// Packs being written, straight into their files: memory holds what their indexes will say. One at
/// most is being filled, and one being flushed and named; who fills the next before that is done
/// waits, so that no long queue of them builds up.
#[derive(Default)]
pub(super) struct Pending {
    places: HashMap<Digest, Spot>,
    full: Vec<Full>,
    filling: Option<PackFile>,
    /// Names the last of `full`.
    naming: Option<JoinHandle<Result<PackId>>>,
}

/// Where a blob lies: in a full pack, or in the one after them all, which is being filled.
#[derive(Clone, Copy)]
struct Spot {
    pack: u32,
    offset: u32,
    length: u32,
}

/// The bytes of a blob, or where they are now.
pub(super) enum Found {
    Bytes(Vec<u8>),
    OnDisk(PackId, Row),
}

enum Full {
    Unnamed(File),
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

    pub(super) fn find(&self, id: ObjectId) -> Result<Option<Found>> {
        let Some(spot) = self.spot(id) else {
            return Ok(None);
        };
        Ok(match (self.full.get(spot.pack as usize), &self.filling) {
            (Some(Full::OnDisk(pack)), _) => Some(Found::OnDisk(*pack, spot.row(id.digest))),
            (Some(Full::Unnamed(file)), _) => Some(Found::Bytes(spot.read(file)?)),
            (None, Some(filling)) => Some(Found::Bytes(spot.read_unfinished(filling)?)),
            (None, None) => None,
        })
    }

    /// Forgets a blob; its bytes stay where they are.
    pub(super) fn forget(&mut self, id: ObjectId) {
        if self.spot(id).is_some() {
            self.places.remove(&id.digest);
        }
    }

    /// Adds a blob that is not there yet. After a failure nothing of what is pending can be relied
    /// upon.
    pub(super) fn add(
        &mut self,
        unflushed: &Arc<Unflushed>,
        entry: Entry,
        bytes: &[u8],
    ) -> Result<()> {
        let has_room = |pack: &PackFile| pack.has_room(entry.stored_len, TARGET_LEN);
        if !self.filling.as_ref().is_none_or(has_room) {
            self.name_full(unflushed)?;
        }
        let filling = match &mut self.filling {
            Some(filling) => filling,
            none => none.insert(dir::begin(unflushed)?),
        };
        let offset = dir::written(unflushed, filling.append(entry, bytes))?;
        let spot = Spot {
            pack: self.full.len() as u32,
            offset: u32::try_from(offset).expect("a pack is at most 64 MiB long"),
            length: entry.stored_len,
        };
        self.places.insert(entry.id.digest, spot);
        Ok(())
    }

    /// All blobs, if they are fewer than that.
    pub(super) fn few(&self, limit: usize) -> Option<Vec<BlobId>> {
        if self.places.len() >= limit || !self.full.is_empty() {
            return None;
        }
        Some(self.places.keys().copied().map(BlobId).collect())
    }

    /// Writes all packs to their ends and yields them, and what they hold.
    pub(super) fn finish(&mut self, unflushed: &Unflushed) -> Result<(Vec<PackId>, Vec<Row>)> {
        self.wait()?;
        if let Some(filling) = self.filling.take() {
            let pack = dir::publish(unflushed, filling)?;
            self.full.push(Full::OnDisk(pack));
        }
        let packs = self.full.iter().filter_map(|full| match full {
            Full::OnDisk(pack) => Some(*pack),
            Full::Unnamed(_) => None,
        });
        let places = self.places.iter();
        let rows = places.map(|(digest, spot)| spot.row(*digest));
        Ok((packs.collect(), rows.collect()))
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn spot(&self, id: ObjectId) -> Option<Spot> {
        let places = Some(&self.places).filter(|_| id.kind == ObjectKind::Blob);
        places?.get(&id.digest).copied()
    }

    /// Lets a thread finish the pack that is full.
    fn name_full(&mut self, unflushed: &Arc<Unflushed>) -> Result<()> {
        self.wait()?;
        let Some(mut filling) = self.filling.take() else {
            return Ok(());
        };
        dir::written(unflushed, filling.flush())?;
        let temp = filling.out().file();
        let file = temp.file().try_clone().context("open", temp.path())?;
        self.full.push(Full::Unnamed(file));
        let unflushed = Arc::clone(unflushed);
        let publish = move || dir::publish(&unflushed, filling);
        self.naming = Some(std::thread::spawn(publish));
        Ok(())
    }

    /// Waits until the last full pack has its name.
    fn wait(&mut self) -> Result<()> {
        let Some(naming) = self.naming.take() else {
            return Ok(());
        };
        let pack = match naming.join() {
            Ok(pack) => pack?,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        if let Some(last) = self.full.last_mut() {
            *last = Full::OnDisk(pack);
        }
        Ok(())
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(naming) = self.naming.take() {
            // Nobody is left to hear of a failure; nothing relies on the pack.
            let _ = naming.join();
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

    fn read(self, file: &File) -> Result<Vec<u8>> {
        let mut bytes = vec![0; self.length as usize];
        file.read_exact_at(&mut bytes, self.offset.into())
            .context("read", std::path::Path::new("a pack being written"))?;
        Ok(bytes)
    }

    /// A frame is either written whole, or not at all yet.
    fn read_unfinished(self, pack: &PackFile) -> Result<Vec<u8>> {
        let written = pack.frames_end() - pack.unwritten().len() as u64;
        match u64::from(self.offset).checked_sub(written) {
            Some(begin) => {
                let begin = begin as usize;
                Ok(pack.unwritten()[begin..begin + self.length as usize].to_vec())
            }
            None => self.read(pack.out().file().file()),
        }
    }
}
