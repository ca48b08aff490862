//! Listing what is there.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::{META, OBJECTS, Result, Store};
use crate::fs::{self, Context, Metadata};
use crate::hash::{Digest, ObjectId, ObjectKind};

impl Store {
    /// All objects with their sizes, in the order of their ids. Files whose names are no ids are
    /// passed over.
    pub fn list(&self) -> Result<Vec<(ObjectId, u64)>> {
        let mut objects = Vec::new();
        for dir in [OBJECTS, META] {
            each_file(&self.root.join(dir), dir, &mut |id, _, found| {
                objects.push((id, found.len()));
            })?;
        }
        // After the files: another process may move an object from there into a pack meanwhile,
        // and never the other way.
        self.packs.refresh()?;
        objects.extend(self.packs.list()?);
        objects.sort_by_key(|(id, _)| *id);
        // One that lies in several places is one object.
        objects.dedup_by_key(|(id, _)| *id);
        Ok(objects)
    }
}

/// A callback for the files of a store.
type OnFile<'a> = &'a mut dyn FnMut(ObjectId, PathBuf, &Metadata);

/// Goes through the objects that are files of their own.
pub(super) fn each_file(dir: &Path, kind: &str, found: OnFile<'_>) -> Result<()> {
    for fan in names(dir)? {
        let fan_dir = dir.join(&fan);
        for name in names(&fan_dir)? {
            let path = fan_dir.join(&name);
            let Ok(digest) = format!("{fan}{name}").parse::<Digest>() else {
                continue;
            };
            let Some(stat) = fs::metadata(&path)?.filter(Metadata::is_file) else {
                continue;
            };
            let kind = match kind {
                OBJECTS => ObjectKind::Blob,
                _ => kind_of_meta(&path)?,
            };
            found(ObjectId::new(kind, digest), path, &stat);
        }
    }
    Ok(())
}

/// The names in a directory; none if it is not there, or is no directory.
pub(super) fn names(dir: &Path) -> Result<Vec<String>> {
    if !fs::metadata(dir)?.is_some_and(|found| found.is_dir()) {
        return Ok(Vec::new());
    }
    let names = fs::list_dir(dir)?.into_iter();
    Ok(names.filter_map(|name| name.into_string().ok()).collect())
}

/// Nodes and recipes lie side by side; their first bytes tell them apart.
fn kind_of_meta(path: &Path) -> Result<ObjectKind> {
    let mut magic = Vec::new();
    let file = fs::open(path)?;
    file.take(4).read_to_end(&mut magic).context("read", path)?;
    Ok(match magic.as_slice() {
        b"ESKR" => ObjectKind::RecipeSegment,
        _ => ObjectKind::Node,
    })
}
