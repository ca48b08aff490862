//! Puts large files together from their pieces, as their recipes say. Each piece is proven and written
//! to its place as it comes; memory holds a few reads and a few segments of recipes, whatever these say.
//! What a fetch that was cut short has brought is gone on with: pieces that are there prove themselves.

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use crate::fs::TempFile;
use crate::hash::{BlobId, ChunkId, Digest, ObjectId, ObjectKind, RecipeId};
use crate::store;

use super::super::catalog::Located;
use super::super::decode::Decoded;
use super::super::recipe::{self, Chunk, RecipeRoot};
use super::super::{Error, Result, layout};
use super::Fetch;

/// So many files are put together at once, and so many segments of their recipes are followed.
const AT_ONCE: usize = 32;

/// A file that one of its recipes is tried for.
struct Attempt {
    /// Where the root of the recipe lies.
    place: Located,
    root: RecipeRoot,
    temp: TempFile,
    /// Whether an earlier fetch has begun it, so that pieces may be there.
    is_resumed: bool,
    is_broken: bool,
}

impl Attempt {
    /// Whether it is worth flushing before it is whole.
    fn is_large(&self) -> bool {
        const LARGE: u64 = 64 << 20;
        self.root.segments.iter().map(|(_, len)| len).sum::<u64>() >= LARGE
    }
}

/// A segment of a recipe, and the part of the file that it covers.
#[derive(Clone, Copy)]
struct Part {
    /// The number of the attempt.
    attempt: usize,
    start: u64,
    len: u64,
    segment: RecipeId,
}

impl Fetch<'_> {
    /// Puts files together; yields those for which no recipe would do.
    pub(super) fn assemble(&mut self, files: &[(BlobId, u64)]) -> Result<HashSet<ObjectId>> {
        let mut lost = HashSet::new();
        for some in files.chunks(AT_ONCE) {
            let rest = self.assemble_some(some.to_vec())?;
            lost.extend(rest.into_iter().map(|(id, _)| ObjectId::from(id)));
        }
        Ok(lost)
    }

    /// Tries one recipe for each file, then the next for those that failed.
    fn assemble_some(&mut self, mut rest: Vec<(BlobId, u64)>) -> Result<Vec<(BlobId, u64)>> {
        loop {
            self.sources
                .search(|sources| rest.iter().all(|(id, _)| sources.has(root_of(*id))))?;
            let roots = rest
                .iter()
                .filter_map(|(id, size)| Some((self.sources.find(root_of(*id))?, *size)));
            let roots: Vec<(Located, u64)> = roots.collect();
            if roots.is_empty() {
                return Ok(rest);
            }
            let done = self.try_recipes(&roots)?;
            rest.retain(|(id, _)| !done.contains(id));
            let places = roots.into_iter().map(|(place, _)| place);
            let failed = places.filter(|place| !done.contains(&file_of(place)));
            self.sources.pass_over(failed);
        }
    }

    /// Follows some recipes, each of another file. A file is proven when it enters the store.
    fn try_recipes(&mut self, roots: &[(Located, u64)]) -> Result<HashSet<BlobId>> {
        let mut attempts = self.read_roots(roots)?;
        let parts: Vec<Part> = (0..)
            .zip(&attempts)
            .flat_map(|(number, attempt)| parts_of(number, &attempt.root))
            .collect();
        let large = attempts.iter().filter(|attempt| attempt.is_large());
        let flusher = self.store.flusher(large.map(|attempt| &attempt.temp))?;
        let followed = flusher.during(|| {
            let mut parts = parts.chunks(AT_ONCE);
            parts.try_for_each(|some| self.follow(some, &mut attempts))
        });
        let followed = followed.map_err(Error::from).flatten();
        // A disk that takes no more gets its room back; after all else one can go on from here.
        let is_disk = matches!(followed, Err(Error::Fs(_)));
        for attempt in &mut attempts {
            if is_disk || attempt.is_broken {
                attempt.temp.give_up();
            }
        }
        followed?;
        let mut done = HashSet::new();
        for attempt in attempts.into_iter().filter(|attempt| !attempt.is_broken) {
            let file = attempt.root.file;
            if self.adopt(attempt)? {
                done.insert(file);
            }
        }
        Ok(done)
    }

    fn read_roots(&self, roots: &[(Located, u64)]) -> Result<Vec<Attempt>> {
        let found = Mutex::new(HashMap::new());
        let places = roots.iter().map(|(place, _)| *place).collect();
        self.transfer(places, &|id, raw| {
            keep_in(&found, id, raw);
            Ok(())
        })?;
        let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut attempts = Vec::new();
        for (place, size) in roots {
            let bytes = found.get(&place.entry.id);
            let root = bytes.map(|bytes| recipe::decode_root(file_of(place), *size, bytes));
            if let Some(root) = root.and_then(|root| self.accept(place, root)) {
                let (temp, is_resumed) = self.store.resume(root.file)?;
                attempts.push(Attempt {
                    place: *place,
                    root,
                    temp,
                    is_resumed,
                    is_broken: false,
                });
            }
        }
        Ok(attempts)
    }

    /// Writes the pieces of some parts to their places, in whatever order they come.
    fn follow(&mut self, parts: &[Part], attempts: &mut [Attempt]) -> Result<()> {
        let parts = parts
            .iter()
            .filter(|part| !attempts[part.attempt].is_broken);
        let parts: Vec<Part> = parts.copied().collect();
        let segments = self.read_segments(&parts)?;
        let mut pieces: HashMap<ObjectId, Vec<(usize, u64)>> = HashMap::new();
        for part in &parts {
            let attempt = &mut attempts[part.attempt];
            let Some(chunks) = self.chunks_of(part, attempt, &segments) else {
                attempt.is_broken = true;
                continue;
            };
            for (id, offset) in self.absent(attempt, part.start, &chunks) {
                let places = pieces.entry(id.into()).or_default();
                places.push((part.attempt, offset));
            }
        }
        let meter = self.meter;
        let lost = self.bring(pieces.keys().copied().collect(), |id, piece| {
            for (attempt, offset) in &pieces[&id] {
                attempts[*attempt].temp.write_all_at(piece, *offset)?;
                meter.advance(0, piece.len() as u64);
            }
            Ok(())
        })?;
        for (attempt, _) in lost.iter().flat_map(|id| &pieces[id]) {
            attempts[*attempt].is_broken = true;
        }
        Ok(())
    }

    /// The pieces that are not in the file yet, and where they belong.
    fn absent(&self, attempt: &Attempt, start: u64, chunks: &[Chunk]) -> Vec<(ChunkId, u64)> {
        let placed = chunks.iter().scan(start, |next, chunk| {
            let offset = *next;
            *next += chunk.len;
            Some((*chunk, offset))
        });
        let placed: Vec<(Chunk, u64)> = placed.collect();
        let absent = placed.par_iter().filter(|(chunk, offset)| {
            let is_there = attempt.is_resumed && holds(&attempt.temp, chunk, *offset);
            if is_there {
                self.meter.advance(0, chunk.len);
            }
            !is_there
        });
        absent.map(|(chunk, offset)| (chunk.id, *offset)).collect()
    }

    fn read_segments(&mut self, parts: &[Part]) -> Result<HashMap<ObjectId, Vec<u8>>> {
        let found = Mutex::new(HashMap::new());
        let ids: HashSet<ObjectId> = parts.iter().map(|part| part.segment.into()).collect();
        self.bring(ids.into_iter().collect(), |id, raw| {
            keep_in(&found, id, raw);
            Ok(())
        })?;
        Ok(found.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn chunks_of(
        &self,
        part: &Part,
        attempt: &Attempt,
        segments: &HashMap<ObjectId, Vec<u8>>,
    ) -> Option<Vec<Chunk>> {
        let bytes = segments.get(&part.segment.into())?;
        self.accept(&attempt.place, recipe::decode_segment(part.len, bytes))
    }

    fn adopt(&self, attempt: Attempt) -> Result<bool> {
        let file = attempt.root.file;
        match self.store.adopt(file, attempt.temp) {
            Ok(()) => {
                self.meter.advance(1, 0);
                Ok(true)
            }
            Err(store::Error::Mismatch { found, .. }) => {
                let reason = format!("a recipe for b3:{file} makes b3:{found}");
                self.note_damage(&attempt.place, &reason);
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn accept<T>(&self, place: &Located, decoded: Decoded<T>) -> Option<T> {
        let noted = decoded.inspect_err(|reason| self.note_damage(place, reason));
        noted.ok()
    }

    fn note_damage(&self, place: &Located, reason: &str) {
        let key = layout::pack(self.sources.catalog().pack(place).id);
        self.link.note_damage(&key, reason);
    }
}

/// Where the root of a recipe for a file is looked for.
pub(super) fn root_of(file: BlobId) -> ObjectId {
    ObjectId::new(ObjectKind::RecipeRoot, file.0)
}

fn file_of(root: &Located) -> BlobId {
    BlobId(root.entry.id.digest)
}

fn parts_of(attempt: usize, root: &RecipeRoot) -> impl Iterator<Item = Part> {
    let segments = root.segments.iter();
    segments.scan(0, move |next, (segment, len)| {
        let start = *next;
        *next += len;
        Some(Part {
            attempt,
            start,
            len: *len,
            segment: *segment,
        })
    })
}

/// Whether a file has this piece at this offset. What cannot be read is brought again.
fn holds(temp: &TempFile, chunk: &Chunk, offset: u64) -> bool {
    let Ok(len) = usize::try_from(chunk.len) else {
        return false;
    };
    let mut piece = vec![0; len];
    let read = temp.file().read_exact_at(&mut piece, offset);
    read.is_ok() && Digest::of(&piece) == chunk.id.0
}

fn keep_in(found: &Mutex<HashMap<ObjectId, Vec<u8>>>, id: ObjectId, raw: &[u8]) {
    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
    found.insert(id, raw.to_vec());
}
