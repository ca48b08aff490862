//! Carrying out a plan.
//!
//! What is refused goes to the park, if there is one. What stands in the way of something
//! wanted goes first; then everything is written, each file under a temporary name beside its
//! target; then the rest is removed, and directories that this empties.

use std::path::Path;

use rayon::prelude::*;

use super::{Applied, CheckoutPlan};
use crate::fs;
use crate::path::RelPath;
use crate::progress::{Event, Interrupt, Progress, Work};
use crate::store::Store;
use crate::tree::Entry;
use crate::workspace::{Error, Index, Park, Result, link};

/// Carries a plan out: writes, then removals; refused paths are parked if `park` is given, else
/// the plan must have none. Missing ones are left alone. The index learns what was written.
///
/// One file that cannot be written does not stop the others; the first error is returned.
pub fn apply(
    plan: &CheckoutPlan,
    root: &Path,
    store: &Store,
    index: &mut Index,
    park: Option<&Park>,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Applied> {
    let mut work = Applying {
        root,
        store,
        progress,
        interrupt,
        applied: Applied::default(),
    };
    work.park_refused(plan, park)?;
    let (first, rest) = in_the_way(plan);
    work.remove(&first, index)?;
    let written = work.write(plan);
    work.learn(plan, index);
    written?;
    work.remove(&rest, index)?;
    work.make_empty_dirs(plan)?;
    Ok(work.applied)
}

struct Applying<'a> {
    root: &'a Path,
    store: &'a Store,
    progress: &'a dyn Progress,
    interrupt: &'a Interrupt,
    applied: Applied,
}

impl Applying<'_> {
    fn park_refused(&mut self, plan: &CheckoutPlan, park: Option<&Park>) -> Result<()> {
        for refusal in &plan.refuse {
            let park = park.ok_or_else(|| Error::Unsaved(refusal.path.clone()))?;
            if park.park(self.root, &refusal.path)?.is_some() {
                self.applied.parked.push(refusal.path.clone());
            }
        }
        Ok(())
    }

    fn remove(&mut self, paths: &[&RelPath], index: &mut Index) -> Result<()> {
        for path in paths {
            link::check_parents(self.root, path)?;
            let at = path.to_path(self.root);
            match fs::metadata(&at)? {
                Some(stat) if stat.is_dir() => {
                    fs::remove_dir_if_empty(&at)?;
                }
                Some(_) => {
                    fs::remove_file(&at)?;
                    self.applied.removed += 1;
                }
                None => {}
            }
            index.forget(path.as_str());
            self.prune(path);
        }
        Ok(())
    }

    /// Removes the directories above a removed path that it leaves empty. A failure is no harm.
    fn prune(&self, path: &RelPath) {
        for dir in path.ancestors() {
            if !fs::remove_dir_if_empty(&dir.to_path(self.root)).unwrap_or(false) {
                break;
            }
        }
    }

    fn write(&mut self, plan: &CheckoutPlan) -> Result<()> {
        let files: Vec<_> = to_write(plan).collect();
        if files.is_empty() {
            return Ok(());
        }
        let bytes = files.iter().map(|file| size(file.entry)).sum();
        self.progress.event(Event::Started {
            work: Work::Checkout,
            files: files.len() as u64,
            bytes,
        });
        let results: Vec<Result<()>> = files.par_iter().map(|file| self.write_one(file)).collect();
        self.progress.event(Event::Finished);
        for (file, result) in files.iter().zip(&results) {
            if result.is_ok() {
                self.applied.written += 1;
                self.applied.bytes += size(file.entry);
            }
        }
        results.into_iter().collect()
    }

    fn write_one(&self, file: &ToWrite<'_>) -> Result<()> {
        if self.interrupt.is_requested() {
            return Err(Error::Interrupted);
        }
        link::check_parents(self.root, file.path)?;
        let at = file.path.to_path(self.root);
        let dir = at.parent().unwrap_or(self.root);
        fs::create_dir_all(dir)?;
        let temp = dir.join(fs::temp_name());
        let made = self
            .make(file.entry, &temp)
            .and_then(|()| publish(file, &temp, &at));
        if made.is_err() {
            // The first error is the one to tell.
            let _ = fs::remove_file(&temp);
        }
        self.progress.event(Event::Advanced {
            files: 1,
            bytes: size(file.entry),
        });
        made
    }

    fn make(&self, entry: &Entry, temp: &Path) -> Result<()> {
        match entry {
            Entry::File { id, exec, .. } => {
                self.store.copy_to(*id, temp)?;
                fs::set_executable(temp, *exec)?;
            }
            Entry::Symlink { target } => fs::symlink(Path::new(target), temp)?,
            Entry::EmptyDir => {}
        }
        Ok(())
    }

    /// Remembers what was written, so that it is not read again.
    fn learn(&self, plan: &CheckoutPlan, index: &mut Index) {
        let mut learnt = Vec::new();
        for file in to_write(plan) {
            let stat = fs::metadata(&file.path.to_path(self.root)).ok().flatten();
            if let (Entry::File { id, size, exec }, Some(stat)) = (file.entry, stat) {
                let is_it =
                    stat.is_file() && stat.len() == *size && fs::is_executable(&stat) == *exec;
                learnt.extend(is_it.then_some((file.path, *id, stat)));
            }
        }
        index.wait_out(learnt.iter().map(|(_, _, stat)| stat));
        for (path, id, stat) in learnt {
            index.record(path.as_str(), &stat, id);
        }
    }

    fn make_empty_dirs(&self, plan: &CheckoutPlan) -> Result<()> {
        let wanted = plan.create.iter().chain(&plan.replace);
        for (path, entry) in wanted {
            if *entry == Entry::EmptyDir {
                link::check_parents(self.root, path)?;
                let at = path.to_path(self.root);
                if fs::metadata(&at)?.is_some_and(|stat| !stat.is_dir()) {
                    fs::remove_file(&at)?;
                }
                fs::create_dir_all(&at)?;
            }
        }
        Ok(())
    }
}

/// A file or link to be written.
struct ToWrite<'p> {
    path: &'p RelPath,
    entry: &'p Entry,
    /// Whether something that may go is there.
    replace: bool,
}

fn to_write(plan: &CheckoutPlan) -> impl Iterator<Item = ToWrite<'_>> {
    let parked = plan
        .refuse
        .iter()
        .filter_map(|refusal| Some((&refusal.path, refusal.wanted.as_ref()?, false)));
    let create = plan.create.iter().map(|(path, entry)| (path, entry, false));
    let replace = plan.replace.iter().map(|(path, entry)| (path, entry, true));
    create
        .chain(replace)
        .chain(parked)
        .filter(|(_, entry, _)| **entry != Entry::EmptyDir)
        .map(|(path, entry, replace)| ToWrite {
            path,
            entry,
            replace,
        })
}

/// Gives a finished file its name.
fn publish(file: &ToWrite<'_>, temp: &Path, at: &Path) -> Result<()> {
    if !file.replace {
        return match fs::rename_new(temp, at)? {
            true => Ok(()),
            false => Err(Error::Occupied(file.path.clone())),
        };
    }
    let there = fs::metadata(at)?;
    if there.is_some_and(|stat| stat.is_dir()) && !fs::remove_dir_if_empty(at)? {
        return Err(Error::Occupied(file.path.clone()));
    }
    Ok(fs::rename(temp, at)?)
}

/// Parts the removals: first those above or below something to be written, then the others.
fn in_the_way(plan: &CheckoutPlan) -> (Vec<&RelPath>, Vec<&RelPath>) {
    let written: std::collections::BTreeSet<&RelPath> =
        to_write(plan).map(|file| file.path).collect();
    let above: std::collections::BTreeSet<RelPath> =
        written.iter().flat_map(|path| path.ancestors()).collect();
    plan.remove.iter().partition(|path| {
        above.contains(*path) || path.ancestors().any(|dir| written.contains(&dir))
    })
}

fn size(entry: &Entry) -> u64 {
    match entry {
        Entry::File { size, .. } => *size,
        Entry::Symlink { .. } | Entry::EmptyDir => 0,
    }
}
