//! Puts a large file together from its pieces, segment by segment of its recipe, so that memory
//! holds a few pieces whatever the recipe says.

use crate::fs::TempFile;
use crate::hash::{BlobId, ObjectId, ObjectKind};
use crate::progress::Event;
use crate::store;

use super::super::catalog::Located;
use super::super::decode::Decoded;
use super::super::reads::{self, Read};
use super::super::recipe::{self, Chunk};
use super::super::{Result, layout};
use super::Fetch;

impl Fetch<'_> {
    /// Tries every recipe for a file; says whether one of them gave it.
    pub(super) fn assemble(&mut self, file: BlobId, size: u64) -> Result<bool> {
        let root_id = ObjectId::new(ObjectKind::RecipeRoot, file.0);
        loop {
            self.sources.search(|sources| sources.has(root_id))?;
            let Some(place) = self.sources.find(root_id) else {
                return Ok(false);
            };
            if self.try_recipe(file, size, place)? {
                return Ok(true);
            }
            self.sources.pass_over([place]);
        }
    }

    /// Follows one recipe. The file is proven when it enters the store.
    fn try_recipe(&mut self, file: BlobId, size: u64, place: Located) -> Result<bool> {
        let Some(bytes) = self.read_one(place)? else {
            return Ok(false);
        };
        let root = recipe::decode_root(file, size, &bytes);
        let Some(root) = self.accept(&place, root) else {
            return Ok(false);
        };
        let mut temp = self.store.temp()?;
        for (id, len) in root.segments {
            let Some((place, bytes)) = self.read_any(id.into())? else {
                return Ok(false);
            };
            let chunks = recipe::decode_segment(len, &bytes);
            let Some(chunks) = self.accept(&place, chunks) else {
                return Ok(false);
            };
            if !self.append(&chunks, &mut temp)? {
                return Ok(false);
            }
        }
        match self.store.adopt(file, temp) {
            Ok(()) => {
                self.progress.event(Event::Advanced { files: 1, bytes: 0 });
                Ok(true)
            }
            Err(store::Error::Mismatch { found, .. }) => {
                let reason = format!("a recipe for b3:{file} makes b3:{found}");
                self.note_damage(&place, &reason);
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Appends pieces to a file, reading several ranges at once.
    fn append(&mut self, chunks: &[Chunk], temp: &mut TempFile) -> Result<bool> {
        self.sources
            .search(|sources| chunks.iter().all(|chunk| sources.has(chunk.id.into())))?;
        let places: Option<Vec<Located>> = chunks
            .iter()
            .map(|chunk| self.sources.find(chunk.id.into()))
            .collect();
        let Some(places) = places else {
            return Ok(false);
        };
        let reads = reads::plan_in_order(&places);
        let mut chunks = chunks.iter();
        for some in reads.chunks(self.link.jobs) {
            let pieces = reads::map(self.link, some.to_vec(), |read| self.read_pieces(&read))?;
            for (piece, chunk) in pieces.into_iter().flatten().zip(chunks.by_ref()) {
                if !self.append_piece(chunk, piece, temp)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn append_piece(
        &mut self,
        chunk: &Chunk,
        piece: Option<Vec<u8>>,
        temp: &mut TempFile,
    ) -> Result<bool> {
        let piece = match piece {
            Some(piece) => piece,
            None => match self.read_any(chunk.id.into())? {
                Some((_, piece)) => piece,
                None => return Ok(false),
            },
        };
        if piece.len() as u64 != chunk.len {
            return Ok(false);
        }
        temp.write_all(&piece)?;
        self.progress.event(Event::Advanced {
            files: 0,
            bytes: chunk.len,
        });
        Ok(true)
    }

    fn read_pieces(&self, read: &Read) -> Result<Vec<Option<Vec<u8>>>> {
        let bytes = self.sources.read(read)?;
        let places = read.places.iter();
        Ok(places
            .map(|place| self.sources.decode(read, place, bytes.as_deref()))
            .collect())
    }

    /// Reads an object from the first place that really has it.
    fn read_any(&mut self, id: ObjectId) -> Result<Option<(Located, Vec<u8>)>> {
        loop {
            self.sources.search(|sources| sources.has(id))?;
            let Some(place) = self.sources.find(id) else {
                return Ok(None);
            };
            if let Some(bytes) = self.read_one(place)? {
                return Ok(Some((place, bytes)));
            }
            self.sources.pass_over([place]);
        }
    }

    fn read_one(&self, place: Located) -> Result<Option<Vec<u8>>> {
        self.link.check_interrupt()?;
        let reads = reads::plan_in_order(&[place]);
        let pieces = self.read_pieces(&reads[0])?;
        Ok(pieces.into_iter().flatten().next())
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
