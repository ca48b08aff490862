//! Decides what a checkout would do, from three trees alone; then does it.
//!
//! Every byte that a checkout takes away is in the store or in the park: the plan asks for it,
//! and the application looks again just before each act, since files may have changed after the
//! scan that the plan is made of.

mod apply;
mod plan;
mod write;

pub use self::apply::apply;
pub use self::plan::plan;

use crate::hash::BlobId;
use crate::path::RelPath;
use crate::tree::Entry;

/// What a checkout would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckoutPlan {
    /// To be written where nothing is.
    pub create: Vec<(RelPath, Entry)>,
    /// To be written over bytes that are saved.
    pub replace: Vec<(RelPath, Entry)>,
    /// To be removed: put there earlier, saved, and no longer wanted.
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
