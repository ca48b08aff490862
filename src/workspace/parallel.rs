//! Doing the same to many things on all cores, where that is worth it.

use rayon::prelude::*;

use super::Result;

/// Does `act` to all items, in parallel if `worth` says so, and gives the results in order. A
/// little work is done at once: handing it to other threads takes longer, above all on a machine
/// that is busy.
pub(super) fn map<'a, T: Sync, R: Send>(
    items: &'a [T],
    worth: bool,
    act: impl Fn(&'a T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    if worth {
        items.par_iter().map(&act).collect()
    } else {
        items.iter().map(act).collect()
    }
}

/// Whether so many files of so many bytes are worth other threads.
pub(super) fn is_worth(n_files: usize, bytes: u64) -> bool {
    const FILES: usize = 64;
    const BYTES: u64 = 1 << 20;
    n_files > 1 && (n_files >= FILES || bytes >= BYTES)
}
