//! Writing packs again: without what is removed, and several small ones as one.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use super::dir::{self, PackFile};
use super::midx::Row;
use super::{Packs, State};
use crate::fs;
use crate::hash::{ObjectId, PackId};
use crate::pack::{self, Entry, Index, TARGET_LEN};
use crate::store::Result;
use crate::store::unflushed::Unflushed;

/// Frames on their way into new packs.
pub(super) struct Copies<'a> {
    unflushed: &'a Unflushed,
    /// What is not to be copied, or was.
    done: HashSet<ObjectId>,
    filling: Option<PackFile>,
    made: Vec<PackId>,
}

impl Packs {
    /// Writes the packs that hold some of these objects again without them, each once. What is
    /// pending must be settled.
    pub(in crate::store) fn remove(&self, ids: &BTreeSet<ObjectId>) -> Result<()> {
        let mut state = self.state();
        let (midx, _) = state.loaded(&self.root)?;
        let rows = ids.iter().flat_map(|id| midx.find(*id));
        let packs = rows.map(|row| midx.packs()[row.pack as usize]).collect();
        let copies = Copies::without(&self.unflushed, ids);
        self.replace(&mut state, &packs, copies)
    }

    /// Writes one pack again without these objects; other packs may hold them still.
    pub(in crate::store) fn write_without(
        &self,
        pack: PackId,
        ids: &BTreeSet<ObjectId>,
    ) -> Result<()> {
        let mut state = self.state();
        let copies = Copies::without(&self.unflushed, ids);
        self.replace(&mut state, &BTreeSet::from([pack]), copies)
    }

    /// Removes packs with all that they hold.
    pub(in crate::store) fn remove_whole(
        &self,
        packs: impl IntoIterator<Item = PackId>,
    ) -> Result<()> {
        let mut state = self.state();
        for pack in packs {
            state.open.remove(&pack);
            fs::remove_file(&dir::path_of(&self.root, pack))?;
        }
        state.midx = None;
        state.loaded(&self.root).map(|_| ())
    }

    /// The packs that are there, with their lengths and stats.
    pub(in crate::store) fn present(&self) -> Result<Vec<(PackId, u64, fs::Metadata)>> {
        let mut present = Vec::new();
        for pack in dir::list(&self.root)? {
            if let Some(stat) = fs::metadata(&dir::path_of(&self.root, pack))? {
                present.push((pack, stat.len(), stat));
            }
        }
        Ok(present)
    }

    /// What a pack says that it holds.
    pub(in crate::store) fn entries_of(&self, pack: PackId) -> Result<Vec<Entry>> {
        let index = dir::entries(&self.root, pack)?;
        Ok(index.map_or_else(Vec::new, |index| index.entries().to_vec()))
    }

    /// Puts what lies in some packs into new ones, after what is in those already. The old ones
    /// go when the disk has the new ones, whatever the durability: what they hold may be old.
    pub(super) fn replace(
        &self,
        state: &mut State,
        packs: &BTreeSet<PackId>,
        mut copies: Copies<'_>,
    ) -> Result<()> {
        for pack in packs {
            self.copy_frames(state, *pack, &mut copies)?;
        }
        copies.finish()?;
        for pack in packs {
            state.open.remove(pack);
            fs::remove_file(&dir::path_of(&self.root, *pack))?;
        }
        // Built from the packs that are there now.
        state.midx = None;
        state.loaded(&self.root).map(|_| ())
    }

    /// A frame that is damaged is left out, and its bytes are in the quarantine.
    fn copy_frames(&self, state: &mut State, pack: PackId, copies: &mut Copies<'_>) -> Result<()> {
        let rows = state.rows_of(&self.root, pack)?;
        let Some(file) = state.file(&self.root, pack)? else {
            return Ok(());
        };
        for row in rows {
            let place = (pack, row.offset);
            if state.damaged.contains(&place) || copies.done.contains(&row.id) {
                continue;
            }
            let offset = u64::from(row.offset);
            let bytes = super::read_range(&self.root, pack, &file, offset, row.stored_len)?;
            if pack::unpack(row.id, row.codec, row.raw_len, &bytes).is_ok() {
                let entry = Entry::new(row.id, row.codec, row.raw_len, &bytes);
                copies.add(entry, &bytes)?;
            } else {
                dir::quarantine_frame(&self.root, row.id, pack, row.offset, &bytes);
            }
        }
        Ok(())
    }

    /// The packs whose own lists lack what the index over all packs knows of them: were that index
    /// lost, so would be what they hold.
    pub(in crate::store) fn badly_listed(&self) -> Result<BTreeSet<PackId>> {
        let mut state = self.state();
        let (midx, _) = state.loaded(&self.root)?;
        let list = |pack: &PackId| -> Result<HashSet<(ObjectId, u64)>> {
            let index = dir::own_index(&self.root, *pack)?;
            let located = index.iter().flat_map(Index::located);
            Ok(located.map(|(offset, entry)| (entry.id, offset)).collect())
        };
        let lists: Vec<_> = midx.packs().iter().map(list).collect::<Result<_>>()?;
        let lacks = |row: &Row| !lists[row.pack as usize].contains(&(row.id, row.offset.into()));
        let lacking = midx.rows().filter(lacks);
        Ok(lacking.map(|row| midx.packs()[row.pack as usize]).collect())
    }
}

impl State {
    /// What a pack holds: as it says itself, or else as the index over all packs knows it. One of
    /// which neither knows anything goes to the quarantine.
    fn rows_of(&mut self, root: &Path, pack: PackId) -> Result<Vec<Row>> {
        if let Some(index) = dir::own_index(root, pack)? {
            let located = index.located();
            let rows = located.filter_map(|(offset, entry)| Row::of(0, offset, entry));
            return Ok(rows.collect());
        }
        let (midx, _) = self.loaded(root)?;
        let is_here = |row: &Row| midx.packs()[row.pack as usize] == pack;
        let rows: Vec<Row> = midx.rows().filter(is_here).collect();
        if rows.is_empty() {
            dir::set_aside(root, pack);
        }
        Ok(rows)
    }
}

impl<'a> Copies<'a> {
    /// Begins with nothing; these objects are left out.
    pub(super) fn without(unflushed: &'a Unflushed, ids: &BTreeSet<ObjectId>) -> Self {
        Self {
            unflushed,
            done: ids.iter().copied().collect(),
            filling: None,
            made: Vec::new(),
        }
    }

    /// Appends a frame, unless its object is there.
    pub(super) fn add(&mut self, entry: Entry, bytes: &[u8]) -> Result<()> {
        if !self.done.insert(entry.id) {
            return Ok(());
        }
        let has_room = |pack: &PackFile| pack.has_room(entry.stored_len, TARGET_LEN);
        if !self.filling.as_ref().is_none_or(has_room) {
            self.name()?;
        }
        let filling = match &mut self.filling {
            Some(filling) => filling,
            none => none.insert(dir::begin(self.unflushed)?),
        };
        dir::written(self.unflushed, filling.append(entry, bytes)).map(|_| ())
    }

    fn name(&mut self) -> Result<()> {
        if let Some(filling) = self.filling.take() {
            self.made.push(dir::publish(self.unflushed, filling)?);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<()> {
        self.name()?;
        for pack in &self.made {
            fs::sync_file(&dir::path_of(self.unflushed.root(), *pack))?;
        }
        if self.made.is_empty() {
            return Ok(());
        }
        Ok(dir::sync(self.unflushed.root())?)
    }
}
