//! `du`: how much each tracked path takes, in the record, on disk and in the store.

use std::collections::BTreeMap;
use std::path::Path;

use super::content;
use super::{Result, Site, World};
use crate::fs;
use crate::hash::BlobId;
use crate::path::RelPath;
use crate::project::Recorded;
use crate::tree::Entry;

/// What is taken.
#[derive(Debug, serde::Serialize)]
pub struct DuReport {
    /// By path.
    pub paths: Vec<DuPath>,
    /// Of all of them; what several share counts once in the store.
    pub total: Sizes,
}

/// One tracked path or output.
#[derive(Debug, serde::Serialize)]
pub struct DuPath {
    /// The path.
    pub path: RelPath,
    /// What it takes.
    #[serde(flatten)]
    pub sizes: Sizes,
    /// Whether the store lacks its listing or some of its files.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub incomplete: bool,
}

/// Bytes in three places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Sizes {
    /// As recorded.
    pub recorded: u64,
    /// On disk, ignored files too.
    pub disk: u64,
    /// In the store; equal files count once.
    pub store: u64,
}

/// Measures tracked paths and outputs; none named: all. Reads no content.
pub fn du(world: &World<'_>, typed: &[String]) -> Result<DuReport> {
    let site = Site::open(world)?;
    let lock = site.lock()?;
    let targets = site.stored_paths(&lock, typed)?;
    let mut paths = Vec::new();
    let mut total = Sizes::default();
    let mut all = BTreeMap::new();
    for (root, recorded) in content::stored(&lock) {
        for path in within(&root, &targets) {
            let (measured, blobs) = measure(&site, &root, recorded, path)?;
            total.recorded += measured.sizes.recorded;
            total.disk += measured.sizes.disk;
            all.extend(blobs);
            paths.push(measured);
        }
    }
    total.store = all.values().sum();
    Ok(DuReport { paths, total })
}

/// What is asked for of a tracked path: all of it, parts of it, or nothing.
fn within<'p>(root: &'p RelPath, targets: &'p [RelPath]) -> Vec<&'p RelPath> {
    let whole = targets.is_empty() || targets.iter().any(|target| root.starts_with(target));
    match whole {
        true => vec![root],
        false => targets
            .iter()
            .filter(|target| target.starts_with(root))
            .collect(),
    }
}

/// What a path takes that is tracked or lies in a tracked directory, and the files of it that
/// the store has.
fn measure(
    site: &Site<'_>,
    root: &RelPath,
    recorded: &Recorded,
    path: &RelPath,
) -> Result<(DuPath, BTreeMap<BlobId, u64>)> {
    let mut blobs = BTreeMap::new();
    let known = match recorded.hash.digest() {
        Some(_) => content::entries(&site.store, root, recorded)?,
        None => None,
    };
    let mut incomplete = known.is_none();
    let mut bytes = 0;
    for (at, entry) in known.unwrap_or_default() {
        let Entry::File { id, size, .. } = entry else {
            continue;
        };
        if !at.starts_with(path) {
            continue;
        }
        bytes += size;
        if site.store.has(id) {
            blobs.insert(id, size);
        } else {
            incomplete = true;
        }
    }
    let sizes = Sizes {
        recorded: if path == root { recorded.size } else { bytes },
        disk: on_disk(&path.to_path(&site.layout.root))?,
        store: blobs.values().sum(),
    };
    let path = path.clone();
    let measured = DuPath {
        path,
        sizes,
        incomplete,
    };
    Ok((measured, blobs))
}

/// The bytes of all files at and below a path; links count nothing and are not followed.
fn on_disk(at: &Path) -> Result<u64> {
    let mut bytes = 0;
    let mut todo = vec![at.to_path_buf()];
    while let Some(at) = todo.pop() {
        match fs::metadata(&at)? {
            Some(stat) if stat.is_dir() => {
                let names = fs::list_dir(&at)?;
                todo.extend(names.into_iter().map(|name| at.join(name)));
            }
            Some(stat) if stat.is_file() => bytes += stat.len(),
            _ => {}
        }
    }
    Ok(bytes)
}
