//! Fills packs: reads objects from the store, proves and compresses them on all cores, and cuts
//! large files into chunks.

use std::collections::{BTreeMap, HashSet};
use std::io::Read;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;

use bytes::Bytes;
use rayon::prelude::*;

use crate::fs::{self, Context};
use crate::hash::{BlobId, ChunkId, Digest, Hasher, ObjectId, ObjectKind, PackId};
use crate::pack::{Frame, PackKind, Writer};
use crate::store;

use super::super::catalog::{Catalog, Located};
use super::super::meter::Meter;
use super::super::recipe::{self, Chunk};
use super::super::snapshot::PackRef;
use super::super::{Error, Result};
use super::Task;
use super::plan::Plan;
use super::send::Built;

/// How many bytes, and how many objects, are read and compressed at once.
const BATCH_BYTES: u64 = 16 << 20;
const BATCH_OBJECTS: usize = 1024;

/// Packs all that the plan names, and hands over pack by pack. Yields the packs of the remote
/// that hold what was left out.
pub(super) fn build(
    (task, meter): (&Task<'_>, &Meter<'_>),
    plan: &Plan,
    held: &Catalog,
    stop: &AtomicBool,
    sender: SyncSender<Built>,
) -> Result<BTreeMap<PackId, PackRef>> {
    let mut builder = Builder {
        task,
        meter,
        held,
        stop,
        sender,
        mixed: plan.is_mixed(),
        pack_len: plan.pack_len(),
        open: None,
        used: BTreeMap::new(),
        chunks: HashSet::new(),
        recipes: Vec::new(),
    };
    builder.add_objects(PackKind::Blobs, &plan.small)?;
    builder.end_kind()?;
    builder.add_objects(PackKind::Blobs, &plan.medium)?;
    builder.end_kind()?;
    for (id, _) in &plan.large {
        builder.add_large(*id)?;
    }
    builder.end_kind()?;
    builder.add_objects(PackKind::Meta, &plan.nodes)?;
    builder.add_recipes()?;
    builder.finish_pack()?;
    Ok(builder.used)
}

struct Builder<'a> {
    task: &'a Task<'a>,
    meter: &'a Meter<'a>,
    held: &'a Catalog,
    stop: &'a AtomicBool,
    sender: SyncSender<Built>,
    /// Whether everything goes into one pack.
    mixed: bool,
    /// How long a pack becomes.
    pack_len: u64,
    open: Option<Writer<Vec<u8>>>,
    used: BTreeMap<PackId, PackRef>,
    /// The chunks that this push has sent already.
    chunks: HashSet<ChunkId>,
    /// Recipes wait for the pack of nodes.
    recipes: Vec<Frame<'static>>,
}

impl Builder<'_> {
    fn add_objects<I: Into<ObjectId> + Copy + Sync>(
        &mut self,
        kind: PackKind,
        objects: &[(I, u64)],
    ) -> Result<()> {
        let store = self.task.store;
        for batch in batches(objects) {
            let read = |(id, _): &(I, u64)| -> Result<Frame<'static>> {
                let raw = store.read(*id)?;
                Ok(Frame::encode((*id).into(), raw)?)
            };
            let frames: Vec<_> = batch.par_iter().map(read).collect::<Result<_>>()?;
            self.add_frames(kind, frames)?;
        }
        Ok(())
    }

    /// Cuts a file into chunks. Its recipe is kept only if the chunks together are that file.
    fn add_large(&mut self, id: BlobId) -> Result<()> {
        let mut file = self.task.store.open_blob(id)?;
        let mut hasher = Hasher::new();
        let mut chunks = Vec::new();
        let mut uncut = Vec::with_capacity(BATCH_BYTES as usize);
        let mut is_end = false;
        while !is_end {
            is_end = fill(&mut file, &mut uncut, id)?;
            let pieces = self.task.chunker.cut(&uncut, is_end);
            let cut = pieces.iter().map(|piece| piece.len()).sum();
            hasher.update(&uncut[..cut]);
            self.add_pieces(pieces, &mut chunks)?;
            uncut.drain(..cut);
        }
        let found = hasher.finish();
        if found != id.0 {
            let id = id.into();
            return Err(store::Error::Corrupt { id, found }.into());
        }
        self.keep_recipe(id, &chunks)
    }

    /// Packs those pieces that the remote lacks, and lists all of them.
    fn add_pieces(&mut self, pieces: Vec<&[u8]>, chunks: &mut Vec<Chunk>) -> Result<()> {
        let named: Vec<_> = pieces
            .into_par_iter()
            .map(|piece| (ChunkId(Digest::of(piece)), piece))
            .collect();
        let mut new = Vec::new();
        for (id, piece) in named {
            let len = piece.len() as u64;
            chunks.push(Chunk { id, len });
            if let Some(place) = self.held.find(id).first() {
                let place = *place;
                self.use_pack(&place);
                self.meter.advance(0, len);
            } else if self.chunks.insert(id) {
                new.push((id, piece));
            } else {
                self.meter.advance(0, len);
            }
        }
        let frames = new
            .into_par_iter()
            .map(|(id, piece)| Ok(Frame::encode(id.into(), piece)?))
            .collect::<Result<Vec<_>>>()?;
        self.add_frames(PackKind::Chunks, frames)
    }

    fn keep_recipe(&mut self, id: BlobId, chunks: &[Chunk]) -> Result<()> {
        let encoded = recipe::encode(id, chunks);
        for (segment, bytes) in encoded.segments {
            self.keep_meta(segment.into(), bytes)?;
        }
        self.keep_meta(ObjectId::new(ObjectKind::RecipeRoot, id.0), encoded.root)
    }

    /// Keeps a piece of a recipe unless the remote has it. The id of a root does not name its
    /// bytes, so there the length and the crc must agree too: else it is another recipe for the
    /// same file, and both are welcome.
    fn keep_meta(&mut self, id: ObjectId, bytes: Vec<u8>) -> Result<()> {
        let frame = Frame::encode(id, bytes)?;
        let equal = |place: &&Located| {
            id.kind != ObjectKind::RecipeRoot
                || (place.entry.raw_len, place.entry.crc) == (frame.entry.raw_len, frame.entry.crc)
        };
        match self.held.find(id).iter().find(equal).copied() {
            Some(place) => self.use_pack(&place),
            None => self.recipes.push(frame),
        }
        Ok(())
    }

    fn add_recipes(&mut self) -> Result<()> {
        let recipes = std::mem::take(&mut self.recipes);
        self.add_frames(PackKind::Meta, recipes)
    }

    fn use_pack(&mut self, place: &Located) {
        let pack = self.held.pack(place);
        self.used.entry(pack.id).or_insert_with(|| pack.clone());
    }

    fn add_frames(&mut self, kind: PackKind, frames: Vec<Frame<'_>>) -> Result<()> {
        for frame in frames {
            let full = |writer: &Writer<_>| !writer.has_room(frame.entry.stored_len, self.pack_len);
            if self.open.as_ref().is_some_and(full) {
                self.finish_pack()?;
            }
            let mut writer = match self.open.take() {
                Some(writer) => writer,
                None => self.begin_pack(kind)?,
            };
            writer.add(&frame)?;
            self.open = Some(writer);
        }
        self.task.link.check_interrupt()
    }

    /// What comes next is of another kind, which has packs of its own.
    fn end_kind(&mut self) -> Result<()> {
        if self.mixed {
            Ok(())
        } else {
            self.finish_pack()
        }
    }

    fn begin_pack(&mut self, kind: PackKind) -> Result<Writer<Vec<u8>>> {
        let kind = if self.mixed { PackKind::Mixed } else { kind };
        // With room for all of it, so that it never moves; what is not written takes no memory.
        let out = Vec::with_capacity(self.pack_len as usize);
        Ok(Writer::new(out, kind, fs::random_bytes())?)
    }

    fn finish_pack(&mut self) -> Result<()> {
        let Some(writer) = self.open.take() else {
            return Ok(());
        };
        let (finished, bytes) = writer.finish()?;
        let bytes = Bytes::from(bytes);
        let handed = self.sender.send(Built { bytes, finished });
        // The one who failed to send it says why; here it is enough to stop.
        if handed.is_err() || self.stop.load(Ordering::SeqCst) {
            return Err(Error::Interrupted);
        }
        Ok(())
    }
}

/// Reads on until as much waits to be cut as is worked on at once; says whether the file ends here.
fn fill(file: &mut impl Read, uncut: &mut Vec<u8>, id: BlobId) -> Result<bool> {
    let room = BATCH_BYTES - uncut.len() as u64;
    let n_read = file
        .take(room)
        .read_to_end(uncut)
        .context("read", &PathBuf::from(id.to_string()))?;
    Ok((n_read as u64) < room)
}

/// Parts of a list whose objects together are about as long as is read at once.
fn batches<I>(objects: &[(I, u64)]) -> impl Iterator<Item = &[(I, u64)]> {
    let mut rest = objects;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |(_, length): &(I, u64)| {
            bytes += length;
            bytes <= BATCH_BYTES
        };
        let fitting = rest.iter().take(BATCH_OBJECTS).take_while({
            let mut fits = fits;
            move |object| fits(object)
        });
        let count = fitting.count().max(1).min(rest.len());
        let (batch, after) = rest.split_at(count);
        rest = after;
        (!batch.is_empty()).then_some(batch)
    })
}
