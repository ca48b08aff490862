//! Finds objects that were edited through files of the workspace that are links to them.
//!
//! Modes prove nothing: a file can be made writable, and root needs not even that. What proves it
//! is that the file is the object, and holds something else than the object's name says.

use std::path::Path;

use super::{Result, link, unprotect};
use crate::fs;
use crate::hash::BlobId;
use crate::path::RelPath;
use crate::store::{self, Store};
use crate::tree::{Entry, Tree};

/// An object that was edited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edited {
    /// The file it was edited through.
    pub path: RelPath,
    /// The object.
    pub id: BlobId,
}

/// Takes objects that were edited through a file out of the store. `expected` says which files
/// should hold what, `actual` what they were just seen to hold. The bytes of the files stay: in
/// the place of symbolic links they are put as files.
pub fn take_out_edited(
    root: &Path,
    store: &Store,
    expected: &[(RelPath, Entry)],
    actual: &Tree,
) -> Result<Vec<Edited>> {
    let mut edited = Vec::new();
    for (path, entry) in expected {
        let (Entry::File { id, .. }, Some(Entry::File { id: now, .. })) = (entry, actual.get(path))
        else {
            continue;
        };
        if id == now {
            continue;
        }
        let at = path.to_path(root);
        let id = linked_to(&at)?.unwrap_or(*id);
        if id != *now && is_object(store, &at, id)? {
            let path = path.clone();
            edited.push((Edited { path, id }, *now));
        }
    }
    edited.sort_by(|(one, _), (other, _)| (&one.path, one.id).cmp(&(&other.path, other.id)));
    edited.dedup();
    // All of them first: an object that is gone leaves nothing behind a symbolic link.
    for (Edited { path, .. }, _) in &edited {
        let at = path.to_path(root);
        if fs::metadata(&at)?.is_some_and(|stat| stat.is_symlink()) {
            unprotect::copy_in_place(&at)?;
        }
    }
    for (Edited { id, .. }, now) in &edited {
        // The error that it returns is what is told here.
        let _ = store.quarantine((*id).into(), now.0);
    }
    Ok(edited.into_iter().map(|(edited, _)| edited).collect())
}

/// The object that a symbolic link names.
fn linked_to(at: &Path) -> Result<Option<BlobId>> {
    let is_link = fs::metadata(at)?.is_some_and(|stat| stat.is_symlink());
    let target = is_link.then(|| fs::read_link(at)).transpose()?;
    Ok(target.and_then(|target| store::linked_object(&target)))
}

fn is_object(store: &Store, at: &Path, id: BlobId) -> Result<bool> {
    let file = link::object_stat(at)?;
    let object = store.object_stat(id)?;
    Ok(file
        .zip(object)
        .is_some_and(|(file, object)| fs::is_same_file(&file, &object)))
}
