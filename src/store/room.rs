//! The room that a store has, and what killed processes left in it.

use std::path::Path;

use super::{Result, Store, TEMP};
use crate::fs;

impl Store {
    /// How many bytes can still be written to it.
    pub fn free_space(&self) -> Result<u64> {
        Ok(fs::free_space(&self.root)?)
    }

    /// Whether what is taken in from a directory, or put there, needs no room because both
    /// share their blocks.
    pub fn shares_blocks(&self, dir: &Path) -> bool {
        fs::shares_blocks(&self.root.join(TEMP), dir)
    }

    /// Removes what processes left behind that died more than a day ago.
    pub fn sweep(&self) {
        fs::sweep(&self.root.join(TEMP));
    }
}
