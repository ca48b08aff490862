//! Putting small things together.

use std::collections::BTreeSet;

use super::rewrite::Copies;
use super::{Packs, dir};
use crate::fs;
use crate::hash::{Digest, PackId};
use crate::pack::{Entry, TARGET_LEN};
use crate::store::Result;
use crate::store::upkeep::Loose;

/// A pack that is shorter than this is small.
const SMALL: u64 = 8 << 20;
/// So many small packs may be there. Less where every step is tested.
pub(in crate::store) const MANY: usize = if cfg!(feature = "failpoints") { 2 } else { 32 };

impl Packs {
    /// Small packs that together make one of the usual length; none while there are few.
    pub(in crate::store) fn small(&self) -> Result<BTreeSet<PackId>> {
        let packs = dir::list(&self.root)?;
        let mut small = Vec::new();
        for pack in packs {
            let stat = fs::metadata(&dir::path_of(&self.root, pack))?;
            let length = stat.map(|stat| stat.len()).filter(|length| *length < SMALL);
            small.extend(length.map(|length| (length, pack)));
        }
        if small.len() <= MANY {
            return Ok(BTreeSet::new());
        }
        small.sort();
        let mut sum = 0;
        let chosen = small.into_iter().take_while(|(length, _)| {
            sum += length;
            sum <= TARGET_LEN
        });
        Ok(chosen.map(|(_, pack)| pack).collect())
    }

    /// Puts loose objects, and what lies in some packs, into new ones. Yields the loose objects
    /// that are in packs now, and not needed any more. What is pending must be settled.
    pub(in crate::store) fn fold<'l>(
        &self,
        loose: &'l [Loose],
        packs: &BTreeSet<PackId>,
    ) -> Result<Vec<&'l Loose>> {
        let mut state = self.state();
        let mut copies = Copies::without(&self.unflushed, &BTreeSet::new());
        let mut folded = Vec::new();
        for object in loose {
            let bytes = fs::read_if_exists(&object.path)?;
            // A damaged one is left to whoever reads it.
            let good = |bytes: &Vec<u8>| Digest::of(bytes) == object.id.0;
            if let Some(bytes) = bytes.filter(good) {
                copies.add(Entry::raw(object.id.into(), &bytes), &bytes)?;
                folded.push(object);
            }
        }
        self.replace(&mut state, packs, copies)?;
        Ok(folded)
    }
}
