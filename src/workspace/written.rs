//! Files that were put in place a moment ago, and how the index learns of them.

use super::Index;
use super::scan::is_worth_waiting;
use crate::fs::{LinkKind, Stat};
use crate::hash::BlobId;
use crate::path::RelPath;

/// A file that was written.
pub(super) struct Written<'a> {
    pub(super) path: &'a RelPath,
    /// Of the file itself, behind a link.
    pub(super) stat: Stat,
    pub(super) id: BlobId,
    pub(super) link: LinkKind,
}

/// Remembers what was written, and which objects are known to be whole because of that.
pub(super) fn learn(index: &mut Index, files: Vec<Written<'_>>) {
    if files.is_empty() {
        return;
    }
    // An object that shares its file is proven by its stat alone, so that one is worth a wait too.
    let shares = files.iter().any(|file| file.link.shares_file());
    if shares || is_worth_waiting(files.iter().map(|file| &file.stat)) {
        index.wait_out(files.iter().map(|file| &file.stat));
    }
    for file in files {
        index.record(file.path.as_str(), file.stat, file.id);
        if file.link.shares_file() {
            index.record_object(file.id, file.stat);
        }
    }
}
