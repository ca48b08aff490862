//! `remove`: stops tracking. What is on disk stays there, unless asked and saved.

use std::io::Read;

use rayon::prelude::*;

use super::content::{found_entries, readers, writer};
use super::reshape::{self, Taken};
use super::{Error, Result, Site, World, did_you_mean};
use crate::fs::{self, Context};
use crate::hash::{BlobId, Hasher};
use crate::path::RelPath;
use crate::project::{Lock, Recorded};
use crate::store::Store;
use crate::tree::{Entry, Tree};
use crate::workspace::{self, CheckoutPlan, Index, Placed, Rules};

/// What to stop tracking.
#[derive(Clone, Debug, Default)]
pub struct RemoveOptions {
    /// Paths as typed.
    pub paths: Vec<String>,
    /// Also remove it from disk, once the store is known to hold every byte.
    pub delete: bool,
}

/// What is no longer tracked.
#[derive(Debug, serde::Serialize)]
pub struct RemoveReport {
    /// By path.
    pub paths: Vec<Removed>,
}

/// One path that is no longer tracked.
#[derive(Debug, serde::Serialize)]
pub struct Removed {
    /// The path.
    pub path: RelPath,
    /// The tracked directory it was taken out of, if it was not tracked by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out_of: Option<RelPath>,
    /// Bytes that were recorded.
    pub size: u64,
    /// Files that were recorded, for a directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
    /// What became of it on disk.
    pub disk: OnDisk,
    /// Stages that depend on it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<String>,
}

/// What became of a path on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnDisk {
    /// It is where it was.
    Kept,
    /// It is gone.
    Deleted,
    /// Tracked files are gone; ignored ones are where they were.
    PartlyDeleted,
    /// It was not there.
    Absent,
}

/// Stops tracking paths. Nothing changes unless all of it can be done.
pub fn remove(world: &World<'_>, options: &RemoveOptions) -> Result<RemoveReport> {
    let site = Site::open(world)?;
    let _guard = site.guard()?;
    let mut lock = site.lock_as_it_is()?;
    let paths = targets(&site, &lock, &options.paths)?;
    let mut index = site.index();
    let deletions = match options.delete {
        true => plan_deletions(&site, &mut index, &paths)?,
        false => Vec::new(),
    };
    let mut placed = Placed::load(&site.layout.placed())?;
    let mut report = RemoveReport { paths: Vec::new() };
    for path in &paths {
        let out_of = reshape::holder(&lock.data, path).filter(|root| root != path);
        let taken = reshape::take(&mut lock.data, &site.store, path)?;
        let taken = taken.ok_or_else(|| not_tracked(&lock, path, path.as_str()))?;
        forget_placed(&site.store, &mut placed, path)?;
        report.paths.push(removed(&site, path, out_of, &taken)?);
    }
    site.store.flush()?;
    // What is deleted is in the store, and recorded until all of it is gone: after a crash the
    // same command goes on.
    for plan in &deletions {
        delete(&site, &mut index, plan)?;
    }
    // Placed first: a path that it names and the lock does not would go with the next checkout.
    placed.save(&site.layout.placed())?;
    site.save(&lock)?;
    let _ = index.save(&site.layout.index());
    if options.delete {
        for removed in &mut report.paths {
            removed.disk = after_deletion(&site, removed)?;
        }
    }
    Ok(report)
}

/// The paths that are tracked, the outermost of those that lie in each other.
fn targets(site: &Site<'_>, lock: &Lock, typed: &[String]) -> Result<Vec<RelPath>> {
    let mut paths = Vec::new();
    for text in typed {
        let path = site.path(text)?;
        check_tracked(site, lock, &path, text)?;
        paths.push(path);
    }
    paths.sort();
    paths.dedup();
    let all = paths.clone();
    paths.retain(|path| !path.ancestors().any(|dir| all.contains(&dir)));
    Ok(paths)
}

/// Fails unless a path is tracked data, or recorded in a tracked directory.
pub(super) fn check_tracked(
    site: &Site<'_>,
    lock: &Lock,
    path: &RelPath,
    typed: &str,
) -> Result<()> {
    if reshape::look(&lock.data, &site.store, path)?.is_some() {
        return Ok(());
    }
    if let Some(stage) = writer(site, path)? {
        let path = path.clone();
        return Err(Error::WrittenByStage { path, stage });
    }
    Err(not_tracked(lock, path, typed))
}

fn not_tracked(lock: &Lock, path: &RelPath, typed: &str) -> Error {
    let names = || lock.data.keys().map(RelPath::as_str);
    let below = lock.data.keys().find(|tracked| tracked.starts_with(path));
    let below = below.map(RelPath::to_string);
    Error::NotTracked {
        target: typed.to_owned(),
        suggestion: below.or_else(|| did_you_mean(path.as_str(), names())),
    }
}

fn removed(
    site: &Site<'_>,
    path: &RelPath,
    out_of: Option<RelPath>,
    taken: &Taken<Recorded>,
) -> Result<Removed> {
    let (size, files) = totals(path, taken);
    let there = fs::metadata(&path.to_path(&site.layout.root))?.is_some();
    Ok(Removed {
        path: path.clone(),
        out_of,
        size,
        files,
        disk: if there { OnDisk::Kept } else { OnDisk::Absent },
        stages: readers(site, path)?,
    })
}

/// Bytes, and for a directory files.
pub(super) fn totals(path: &RelPath, taken: &Taken<Recorded>) -> (u64, Option<u64>) {
    let entries = match taken {
        Taken::Whole(recorded) => return (recorded.size, recorded.files),
        Taken::Part(entries) => entries,
    };
    let bytes = entries.iter().map(|(_, entry)| match entry {
        Entry::File { size, .. } => *size,
        Entry::Symlink { .. } | Entry::EmptyDir => 0,
    });
    let files = entries
        .iter()
        .filter(|(_, entry)| *entry != Entry::EmptyDir);
    let is_file = matches!(&entries[..], [(at, entry)] if at == path && *entry != Entry::EmptyDir);
    (bytes.sum(), (!is_file).then_some(files.count() as u64))
}

/// Drops what was placed at and below a path. A tree that the store lost counts as nothing.
fn forget_placed(store: &Store, placed: &mut Placed, path: &RelPath) -> Result<()> {
    match reshape::take(&mut placed.paths, store, path) {
        Err(Error::Workspace(workspace::Error::Store(crate::store::Error::Missing(_)))) => {
            if let Some(root) = reshape::holder(&placed.paths, path) {
                placed.paths.remove(&root);
            }
            Ok(())
        }
        taken => taken.map(|_| ()),
    }
}

fn plan_deletions(
    site: &Site<'_>,
    index: &mut Index,
    paths: &[RelPath],
) -> Result<Vec<CheckoutPlan>> {
    let mut plans = Vec::new();
    for path in paths {
        plans.push(plan_deletion(site, index, path)?);
    }
    let refused: Vec<_> = plans.iter().flat_map(|plan| plan.refuse.clone()).collect();
    match refused.is_empty() {
        true => Ok(plans),
        false => Err(Error::NotSaved(refused)),
    }
}

fn plan_deletion(site: &Site<'_>, index: &mut Index, path: &RelPath) -> Result<CheckoutPlan> {
    let at = path.to_path(&site.layout.root);
    let Some(stat) = fs::metadata(&at)? else {
        return Ok(CheckoutPlan::default());
    };
    if stat.is_symlink() && !workspace::is_to_object(&at)? {
        // It goes, and what it leads to stays.
        return Ok(CheckoutPlan {
            remove: vec![path.clone()],
            ..CheckoutPlan::default()
        });
    }
    let mut scanner = site.scanner(index);
    let found = scanner.scan(path, Rules::Data)?;
    let actual = Tree::new(found_entries(&mut scanner, path, &found)?)?;
    let saved = |id: BlobId| site.store.has(id);
    let plan = workspace::plan(&Tree::default(), &actual, &actual, &saved);
    if plan.refuse.is_empty() {
        verify(&site.store, &actual)?;
    }
    Ok(plan)
}

/// Reads what the store has of these files: a name alone proves nothing.
fn verify(store: &Store, tree: &Tree) -> Result<()> {
    let ids = tree.iter().filter_map(|(_, entry)| match entry {
        Entry::File { id, .. } => Some(*id),
        Entry::Symlink { .. } | Entry::EmptyDir => None,
    });
    let ids: std::collections::BTreeSet<BlobId> = ids.collect();
    let ids: Vec<BlobId> = ids.into_iter().collect();
    ids.into_par_iter().try_for_each(|id| verify_one(store, id))
}

fn verify_one(store: &Store, id: BlobId) -> Result<()> {
    let mut blob = store.open_blob(id)?;
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 128 << 10];
    loop {
        let read = blob.read(&mut buffer);
        match read.context("read", std::path::Path::new(&format!("b3:{id}")))? {
            0 => break,
            n_read => hasher.update(&buffer[..n_read]),
        }
    }
    let found = hasher.finish();
    match found == id.0 {
        true => Ok(()),
        false => Err(store.quarantine(id.into(), found).into()),
    }
}

fn delete(site: &Site<'_>, index: &mut Index, plan: &CheckoutPlan) -> Result<()> {
    workspace::apply(
        plan,
        &site.layout.root,
        &site.store,
        index,
        None,
        site.world.progress,
        site.world.interrupt,
    )?;
    Ok(())
}

fn after_deletion(site: &Site<'_>, removed: &Removed) -> Result<OnDisk> {
    let there = fs::metadata(&removed.path.to_path(&site.layout.root))?.is_some();
    Ok(match (removed.disk, there) {
        (OnDisk::Absent, _) => OnDisk::Absent,
        (_, true) => OnDisk::PartlyDeleted,
        (_, false) => OnDisk::Deleted,
    })
}
