//! What killed processes left in a store.

use super::{Store, TEMP};
use crate::fs;

impl Store {
    /// Removes what processes left behind that died more than a day ago.
    pub fn sweep(&self) {
        fs::sweep(&self.root.join(TEMP));
    }
}
