//! What a lock names, as entries and trees.

use std::collections::BTreeMap;

use super::{Error, Result, Site};
use crate::hash::{BlobId, ContentId, Digest, TreeId};
use crate::path::{DepPath, RelPath};
use crate::project::manifest::DepTarget;
use crate::project::{DepHash, Lock, Recorded};
use crate::store::{self, Store};
use crate::tree::{Entry, Summary, Tree};
use crate::workspace::{self, Found, FoundDir, PlacedItem, Scanner};

/// Something that a verb needed and nobody here has.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Missing {
    /// The path that needs it.
    pub path: RelPath,
    /// Its id.
    pub hash: String,
}

/// Every path whose content the store keeps for a lock: tracked data and outputs.
pub(super) fn stored(lock: &Lock) -> BTreeMap<RelPath, &Recorded> {
    let data = lock.data.iter();
    let stages = lock.stages.values();
    let outs = stages.flat_map(|stage| {
        let outs = stage.outs.iter();
        outs.filter(|(path, _)| !stage.unstored.contains(*path))
    });
    data.chain(outs)
        .map(|(path, recorded)| (path.clone(), recorded))
        .collect()
}

/// The paths that a dependency is, lies in, holds, or may match.
pub(super) fn touched<'m, V>(paths: &'m BTreeMap<RelPath, V>, dep: &DepPath) -> Vec<&'m RelPath> {
    if dep.is_pattern() {
        return paths.keys().filter(|path| dep.touches(path)).collect();
    }
    let inside = dep.inside();
    let near = inside.map(|inside| overlapping(paths, &inside));
    near.unwrap_or_default()
        .into_iter()
        .map(|(path, _)| path)
        .collect()
}

/// What stands at, above and below a path.
pub(super) fn overlapping<'m, V>(
    paths: &'m BTreeMap<RelPath, V>,
    path: &RelPath,
) -> Vec<(&'m RelPath, &'m V)> {
    let above = path.ancestors();
    let above = above.filter_map(|dir| paths.get_key_value(&dir));
    // All that begins with the same text stands together, `a-b` between `a` and `a/b` too.
    let near = paths.range(path.clone()..);
    let near = near.take_while(|(other, _)| other.as_str().starts_with(path.as_str()));
    let below = near.filter(|(other, _)| other.starts_with(path));
    above.chain(below).collect()
}

/// What the store lists for a recorded path; `None` if the tree of a directory is not there.
pub(super) fn entries(
    store: &Store,
    path: &RelPath,
    recorded: &Recorded,
) -> Result<Option<Vec<(RelPath, Entry)>>> {
    let digest = digest(path, recorded)?;
    if recorded.files.is_none() {
        let file = Entry::File {
            id: BlobId(digest),
            size: recorded.size,
            exec: recorded.exec,
        };
        return Ok(Some(vec![(path.clone(), file)]));
    }
    let tree = tree(store, TreeId(digest))?;
    Ok(tree.map(|tree| tree.into_below(path)))
}

/// A tree, if the store has it whole.
pub(super) fn tree(store: &Store, id: TreeId) -> Result<Option<Tree>> {
    match workspace::read_tree(store, id) {
        Ok(tree) => Ok(Some(tree)),
        Err(workspace::Error::Store(store::Error::Missing(_))) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What was found, as the lock would record it; `None` if nothing is there.
pub(super) fn to_recorded(found: &Found) -> Option<Recorded> {
    match found {
        Found::Missing => None,
        Found::File { id, size, exec } => Some(Recorded {
            hash: ContentId::from(*id),
            size: *size,
            files: None,
            exec: *exec,
        }),
        Found::Dir(dir) => Some(recorded_dir(dir.summary)),
    }
}

/// What lies at a path where just that was put which a lock records.
pub(super) fn to_found(path: &RelPath, recorded: &Recorded) -> Result<Found> {
    let Recorded {
        size, files, exec, ..
    } = *recorded;
    let digest = digest(path, recorded)?;
    Ok(match files {
        None => Found::File {
            id: BlobId(digest),
            size,
            exec,
        },
        Some(files) => Found::Dir(FoundDir::from(Summary {
            root: TreeId(digest),
            files,
            bytes: size,
        })),
    })
}

/// The hash of a recorded path, unless it is another tool's.
fn digest(path: &RelPath, recorded: &Recorded) -> Result<Digest> {
    recorded.hash.digest().ok_or_else(|| Error::ForeignHash {
        path: path.clone(),
        hash: recorded.hash.to_string(),
    })
}

/// A directory, as the lock would record it.
pub(super) fn recorded_dir(tree: Summary) -> Recorded {
    Recorded {
        hash: ContentId::from(tree.root),
        size: tree.bytes,
        files: Some(tree.files),
        exec: false,
    }
}

/// What was found, as a dependency records it.
pub(super) fn to_dep_hash(found: &Found) -> Option<DepHash> {
    to_recorded(found).map(|recorded| dep_hash(&recorded))
}

/// A record as a dependency on it would stand in the lock.
pub(super) fn dep_hash(recorded: &Recorded) -> DepHash {
    DepHash {
        hash: recorded.hash.clone(),
        exec: recorded.exec,
    }
}

/// What was found, entry by entry.
pub(super) fn found_entries(
    scanner: &mut Scanner<'_>,
    path: &RelPath,
    found: &Found,
) -> Result<Vec<(RelPath, Entry)>> {
    Ok(match found {
        Found::Missing => Vec::new(),
        Found::Dir(dir) => scanner.tree(path, dir)?.into_below(path),
        Found::File { id, size, exec } => {
            let (id, size, exec) = (*id, *size, *exec);
            vec![(path.clone(), Entry::File { id, size, exec })]
        }
    })
}

/// Puts the nodes of the tree that was found into the store.
pub(super) fn write_nodes(scanner: &mut Scanner<'_>, path: &RelPath, found: &Found) -> Result<()> {
    if let Found::Dir(dir) = found {
        scanner.write_tree(path, dir)?;
    }
    Ok(())
}

/// What was found, as the baseline of the next checkout. The nodes of a tree are in the store.
pub(super) fn to_placed(found: &Found) -> Option<PlacedItem> {
    match found {
        Found::Missing => None,
        Found::File { id, size, exec } => Some(PlacedItem::File {
            id: *id,
            size: *size,
            exec: *exec,
        }),
        Found::Dir(dir) => Some(PlacedItem::Dir(dir.summary.root)),
    }
}

/// Whether the store has every file of some entries.
pub(super) fn all_saved(store: &Store, entries: &[(RelPath, Entry)]) -> bool {
    entries.iter().all(|(_, entry)| match entry {
        Entry::File { id, .. } => store.has(*id),
        Entry::Symlink { .. } | Entry::EmptyDir => true,
    })
}

/// The stage that writes a path, something in it, or a directory that holds it.
pub(super) fn writer(site: &Site<'_>, path: &RelPath) -> Result<Option<String>> {
    let mut stages = site.stages()?.into_iter();
    let stage = stages.find(|(_, stage)| stage.outs.iter().any(|out| out.path.overlaps(path)));
    Ok(stage.map(|(name, _)| name))
}

/// The stage whose record has an output at a path.
pub(super) fn recorded_writer(lock: &Lock, path: &RelPath) -> Option<String> {
    let mut stages = lock.stages.iter();
    let stage = stages.find(|(_, record)| record.outs.contains_key(path));
    stage.map(|(name, _)| name.clone())
}

/// The stages with a dependency that is a path, lies in it, or holds it.
pub(super) fn readers(site: &Site<'_>, path: &RelPath) -> Result<Vec<String>> {
    let reads = |target: &DepTarget| match target {
        DepTarget::Path(dep) => dep.touches(path),
        DepTarget::Stage(_) => false,
    };
    let stages = site.stages()?.into_iter();
    let stages = stages.filter(|(_, stage)| stage.deps.iter().any(|dep| reads(&dep.target)));
    Ok(stages.map(|(name, _)| name).collect())
}
