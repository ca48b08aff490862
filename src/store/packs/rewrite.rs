//! Taking objects out of packs.

use std::collections::BTreeSet;

use super::{Packs, State, dir};
use crate::fs;
use crate::hash::{ObjectId, PackId};
use crate::pack::{Builder, PackKind};
use crate::store::Result;

impl Packs {
    /// Writes the packs that hold an object again without it. What is pending must be settled.
    pub(in crate::store) fn remove(&self, id: ObjectId) -> Result<()> {
        let mut state = self.state();
        let (midx, _) = state.loaded(&self.root)?;
        let packs = midx.find(id).map(|row| midx.packs()[row.pack as usize]);
        let packs: BTreeSet<PackId> = packs.collect();
        for pack in &packs {
            self.write_without(&mut state, *pack, id)?;
        }
        if !packs.is_empty() {
            // Built from the packs that are there now.
            state.midx = None;
        }
        Ok(())
    }

    fn write_without(&self, state: &mut State, pack: PackId, id: ObjectId) -> Result<()> {
        let index = dir::entries(&self.root, pack)?;
        let (Some(index), Some(file)) = (index, state.file(&self.root, pack)?) else {
            return Ok(());
        };
        let mut builder = Builder::new(PackKind::Blobs, fs::random_bytes(), Vec::new());
        for (offset, entry) in index.located() {
            if entry.id != id {
                let bytes = super::read_range(&self.root, pack, &file, offset, entry.stored_len)?;
                builder.add(*entry, &bytes);
            }
        }
        if !builder.entries().is_empty() {
            dir::publish(&self.root, &self.unflushed, &builder)?;
        }
        state.open.remove(&pack);
        Ok(fs::remove_file(&dir::path_of(&self.root, pack))?)
    }
}
