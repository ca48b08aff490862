//! Listing what is there.

use std::io::Read;
use std::path::Path;

use super::{META, OBJECTS, Result, Store};
use crate::fs::{self, Context};
use crate::hash::{Digest, ObjectId, ObjectKind};

impl Store {
    /// All objects with their sizes, in the order of their ids. Files whose names are no ids are
    /// passed over.
    pub fn list(&self) -> Result<Vec<(ObjectId, u64)>> {
        let mut objects = Vec::new();
        for dir in [OBJECTS, META] {
            list_fans(&self.root.join(dir), dir, &mut objects)?;
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

fn list_fans(dir: &Path, kind: &str, objects: &mut Vec<(ObjectId, u64)>) -> Result<()> {
    for fan in names(dir)? {
        let fan_dir = dir.join(&fan);
        for name in names(&fan_dir)? {
            let path = fan_dir.join(&name);
            let Ok(digest) = format!("{fan}{name}").parse::<Digest>() else {
                continue;
            };
            let Some(found) = fs::metadata(&path)?.filter(fs::Metadata::is_file) else {
                continue;
            };
            let kind = match kind {
                OBJECTS => ObjectKind::Blob,
                _ => kind_of_meta(&path)?,
            };
            objects.push((ObjectId::new(kind, digest), found.len()));
        }
    }
    Ok(())
}

/// The names in a directory; none if it is not there, or is no directory.
fn names(dir: &Path) -> Result<Vec<String>> {
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
