//! The act: parks what is refused, clears the way, writes, then removes.

use std::collections::BTreeSet;
use std::path::Path;

use super::write::{Desk, Write};
use super::{Applied, CheckoutPlan};
use crate::fs;
use crate::path::RelPath;
use crate::progress::{Interrupt, Progress};
use crate::store::Store;
use crate::tree::Entry;
use crate::workspace::{Error, Index, Park, Result, link};

/// Carries a plan out: writes, then removals; refused paths are parked if `park` is given, else
/// the plan must have none. Missing ones are left alone. The index learns what was written.
///
/// Each file appears whole, by a rename. What is taken away is looked at once more, and the
/// checkout stops at a file that was changed since the plan was made and is saved nowhere. It
/// can be stopped anywhere and planned again.
pub fn apply(
    plan: &CheckoutPlan,
    root: &Path,
    store: &Store,
    index: &mut Index,
    park: Option<&Park>,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Applied> {
    let mut applied = Applied::default();
    // What the store says it has may lie in memory so far, and bytes are about to go.
    store.settle()?;
    park_refused(plan, root, index, park, &mut applied)?;
    let writes = Write::all(plan);
    let mut desk = Desk {
        root,
        store,
        index,
        park,
        progress,
        interrupt,
    };
    let (first, last): (Vec<&RelPath>, Vec<&RelPath>) = plan
        .remove
        .iter()
        .partition(|path| is_in_the_way(path, &writes));
    applied.removed += desk.remove_all(&first)?;
    desk.write_files(&writes, &mut applied)?;
    desk.write_links(&writes, &mut applied)?;
    applied.removed += desk.remove_all(&last)?;
    desk.make_dirs(&writes)?;
    Ok(applied)
}

fn park_refused(
    plan: &CheckoutPlan,
    root: &Path,
    index: &mut Index,
    park: Option<&Park>,
    applied: &mut Applied,
) -> Result<()> {
    for refusal in &plan.refuse {
        let Some(park) = park else {
            return Err(Error::Unsaved(refusal.path.clone()));
        };
        if park.park(root, &refusal.path)?.is_some() {
            applied.parked.push(refusal.path.clone());
        }
        index.forget(refusal.path.as_str());
    }
    prune(root, plan.refuse.iter().map(|refusal| &refusal.path));
    Ok(())
}

/// Whether a path must be gone before something can be written: a file where a directory will
/// be, or the reverse. `writes` is sorted.
fn is_in_the_way(path: &RelPath, writes: &[Write<'_>]) -> bool {
    let find = |other: &RelPath| writes.binary_search_by(|write| write.path.cmp(other));
    let above = path.ancestors().any(|above| {
        let at = find(&above);
        at.is_ok_and(|at| *writes[at].entry != Entry::EmptyDir)
    });
    let dir = format!("{path}/");
    let first = writes.partition_point(|write| write.path.as_str() < dir.as_str());
    above
        || writes
            .get(first)
            .is_some_and(|write| write.path.starts_with(path))
}

/// Removes the directories that are empty because of what was taken out of them. What stays is
/// no harm, so failures are passed over.
fn prune<'a>(root: &Path, paths: impl Iterator<Item = &'a RelPath>) {
    let parents: BTreeSet<RelPath> = paths.filter_map(RelPath::parent).collect();
    for parent in parents.iter().rev() {
        for dir in std::iter::once(parent.clone()).chain(parent.ancestors()) {
            let at = dir.to_path(root);
            let safe = link::check_parents(root, &dir).is_ok();
            let is_dir = fs::metadata(&at).is_ok_and(|stat| stat.is_some_and(|stat| stat.is_dir()));
            if !safe || is_dir && !fs::remove_dir_if_empty(&at).unwrap_or(false) {
                break;
            }
        }
    }
}

impl Desk<'_> {
    /// Removes paths; says how many files and links were really there.
    fn remove_all(&mut self, paths: &[&RelPath]) -> Result<u64> {
        let mut n_gone = 0;
        for path in paths {
            if self.interrupt.is_requested() {
                return Err(Error::Interrupted);
            }
            if self.remove(path)? {
                self.index.forget(path.as_str());
                n_gone += 1;
            }
        }
        prune(self.root, paths.iter().copied());
        Ok(n_gone)
    }

    fn remove(&self, path: &RelPath) -> Result<bool> {
        match link::check_parents(self.root, path) {
            // What was to be removed is gone, and so is the directory it was in.
            Err(Error::Occupied(_)) => return Ok(false),
            checked => checked?,
        }
        let at = path.to_path(self.root);
        let Some(stat) = fs::metadata(&at)? else {
            return Ok(false);
        };
        if stat.is_dir() {
            fs::remove_dir_if_empty(&at)?;
            return Ok(false);
        }
        self.prove_saved(path, &stat)?;
        fs::remove_file(&at)?;
        Ok(true)
    }

    fn make_dirs(&self, writes: &[Write<'_>]) -> Result<()> {
        let dirs = writes
            .iter()
            .filter(|write| *write.entry == Entry::EmptyDir);
        for Write { path, over, .. } in dirs {
            link::check_parents(self.root, path)?;
            let at = path.to_path(self.root);
            match fs::metadata(&at)? {
                Some(stat) if stat.is_dir() => continue,
                Some(stat) if *over => {
                    self.prove_saved(path, &stat)?;
                    fs::remove_file(&at)?;
                }
                Some(_) => return Err(Error::Occupied((*path).clone())),
                None => {}
            }
            fs::create_dir_all(&at)?;
        }
        Ok(())
    }
}
