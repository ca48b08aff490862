//! Decides what a checkout would do, from three trees alone; then does it.

mod apply;
mod plan;

pub use apply::apply;
pub use plan::plan;

use crate::hash::BlobId;
use crate::path::RelPath;
use crate::tree::Entry;

/// What a checkout would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckoutPlan {
    /// To be written where nothing is, or only what is to be removed or refused.
    pub create: Vec<(RelPath, Entry)>,
    /// To be written over bytes that are saved.
    pub replace: Vec<(RelPath, Entry)>,
    /// To be removed: saved, and no longer wanted.
    pub remove: Vec<RelPath>,
    /// In the way, and saved nowhere.
    pub refuse: Vec<Refusal>,
    /// Wanted, but not in the store.
    pub missing: Vec<(RelPath, BlobId)>,
    /// Known to neither side; stays.
    pub left: Vec<RelPath>,
}

/// A path that a checkout will not touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Where.
    pub path: RelPath,
    /// What is there now.
    pub actual: Entry,
    /// What was to be written there; `None`: it was to be removed.
    pub wanted: Option<Entry>,
}

/// What a checkout did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Files and links written.
    pub written: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files and links removed.
    pub removed: u64,
    /// Paths moved into the park.
    pub parked: Vec<RelPath>,
}

#[cfg(test)]
mod tests;
