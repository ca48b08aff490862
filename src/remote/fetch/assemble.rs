//! Puts a large file together from its pieces, segment by segment of its recipe. Each piece is proven
//! and written to its place as it comes, so that memory holds a few reads whatever the recipe says.

use std::collections::HashMap;

use crate::fs::TempFile;
use crate::hash::{BlobId, ObjectId, ObjectKind};
use crate::progress::Event;
use crate::store;

use super::super::catalog::Located;
use super::super::decode::Decoded;
use super::super::reads::Read;
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
        let temp = self.store.temp()?;
        let mut start = 0;
        for (id, len) in root.segments {
            let Some((place, bytes)) = self.read_any(id.into())? else {
                return Ok(false);
            };
            let chunks = recipe::decode_segment(len, &bytes);
            let Some(chunks) = self.accept(&place, chunks) else {
                return Ok(false);
            };
            if !self.bring_pieces(&chunks, start, &temp)? {
                return Ok(false);
            }
            start += len;
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

    /// Writes pieces to their places in a file, in whatever order they come; says whether all came.
    fn bring_pieces(&mut self, chunks: &[Chunk], start: u64, temp: &TempFile) -> Result<bool> {
        let mut offsets: HashMap<ObjectId, Vec<u64>> = HashMap::new();
        let mut offset = start;
        for chunk in chunks {
            offsets.entry(chunk.id.into()).or_default().push(offset);
            offset += chunk.len;
        }
        let mut rest: Vec<ObjectId> = offsets.keys().copied().collect();
        while !rest.is_empty() {
            self.sources
                .search(|sources| rest.iter().all(|id| sources.has(*id)))?;
            let places: Option<Vec<Located>> =
                rest.iter().map(|id| self.sources.find(*id)).collect();
            let Some(places) = places else {
                return Ok(false);
            };
            let bad = self.transfer(places, |id, piece| {
                for offset in &offsets[&id] {
                    temp.write_all_at(piece, *offset)?;
                    let bytes = piece.len() as u64;
                    self.progress.event(Event::Advanced { files: 0, bytes });
                }
                Ok(())
            })?;
            rest = bad.iter().map(|place| place.entry.id).collect();
            self.sources.pass_over(bad);
        }
        Ok(true)
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
        let read = Read::new(place);
        let bytes = self.sources.read(&read)?;
        Ok(self.sources.decode(&read, &place, bytes.as_deref()))
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
