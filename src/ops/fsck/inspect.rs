//! Looking: at every object by itself, then from the records to all that they need.

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::path::Path;

use rayon::prelude::*;

use super::super::{Error, Result, Site};
use super::{Depth, Need, Problems, State, note, note_damage};
use crate::fs::{self, Context};
use crate::hash::{BlobId, Digest, Hasher, ObjectId, ObjectKind, TreeId};
use crate::path::RelPath;
use crate::progress::{Event, Work};
use crate::remote::Content;
use crate::store::{self, Store};
use crate::tree::{self, Entry, Tree};
use crate::workspace;

/// How much of a file is read at a time.
const BUFFER: usize = 256 << 10;

/// What a look at the store found.
pub(super) struct Inspected {
    pub(super) objects: u64,
    pub(super) bytes: u64,
    pub(super) read: u64,
    pub(super) problems: Problems,
    /// How many objects are needed and not there, and were never put into this workspace.
    pub(super) not_here: u64,
}

/// Looks as closely as asked for.
pub(super) fn inspect(site: &Site<'_>, depth: Depth, needs: &[Need]) -> Result<Inspected> {
    let objects = site.store.list()?;
    let is_read = |kind| match (kind, depth) {
        (ObjectKind::Blob, Depth::Data(percent)) => is_drawn(percent),
        (ObjectKind::Blob, _) => false,
        _ => depth >= Depth::Trees,
    };
    let to_read: Vec<(ObjectId, u64)> = objects
        .iter()
        .filter(|(id, _)| is_read(id.kind))
        .copied()
        .collect();
    let mut problems = Problems::new();
    for (id, found) in read_all(site, &to_read)? {
        note_damage(&site.store, &mut problems, id, found);
    }
    let not_here = reach(site, depth, needs, &mut problems)?;
    Ok(Inspected {
        not_here,
        objects: objects.len() as u64,
        bytes: objects.iter().map(|(_, size)| size).sum(),
        read: to_read.len() as u64,
        problems,
    })
}

/// Whether chance picks something that it picks so many times of a hundred.
fn is_drawn(percent: u8) -> bool {
    percent >= 100 || u64::from_le_bytes(fs::random_bytes()) % 100 < u64::from(percent)
}

/// Reads objects whole; yields those that are damaged, with what their bytes hash to.
fn read_all(
    site: &Site<'_>,
    objects: &[(ObjectId, u64)],
) -> Result<Vec<(ObjectId, Option<Digest>)>> {
    let (store, progress, interrupt) = (&site.store, site.world.progress, site.world.interrupt);
    progress.event(Event::Started {
        work: Work::Verify,
        files: objects.len() as u64,
        bytes: objects.iter().map(|(_, size)| size).sum(),
    });
    let damaged: Result<Vec<Option<_>>> = objects
        .par_iter()
        .map(|(id, size)| {
            if interrupt.is_requested() {
                return Err(Error::Interrupted);
            }
            let damage = damage(store, *id)?;
            progress.event(Event::Advanced {
                files: 1,
                bytes: *size,
            });
            Ok(damage.map(|found| (*id, found)))
        })
        .collect();
    progress.event(Event::Finished);
    Ok(damaged?.into_iter().flatten().collect())
}

/// Reads an object. One that is damaged goes to quarantine and is told, with its real hash.
fn damage(store: &Store, id: ObjectId) -> Result<Option<Option<Digest>>> {
    let read = match id.kind {
        ObjectKind::Blob => read_blob(store, BlobId(id.digest)),
        _ => store.read(id).map(Some),
    };
    match read {
        Ok(Some(bytes)) if id.kind == ObjectKind::Node => {
            // Bytes that hash to their name and are no node were never written by esker.
            let bad = tree::node_refs(TreeId(id.digest), &bytes).is_err();
            Ok(bad.then_some(None))
        }
        Ok(_) => Ok(None),
        Err(store::Error::Corrupt { found, .. }) => Ok(Some(Some(found))),
        // Removed or put into quarantine by somebody else since it was listed.
        Err(store::Error::Missing(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn read_blob(store: &Store, id: BlobId) -> store::Result<Option<Vec<u8>>> {
    let mut object = store.open_blob(id)?;
    let name = id.to_string();
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        let n_read = object.read(&mut buffer).context("read", Path::new(&name))?;
        if n_read == 0 {
            break;
        }
        hasher.update(&buffer[..n_read]);
    }
    let found = hasher.finish();
    if found == id.0 {
        return Ok(None);
    }
    Err(store.quarantine(id.into(), found))
}

/// Follows the records to everything they need, and notes what is not there. What is known to
/// be damaged learns who needs it. Yields how many objects are not there and never were in the
/// workspace.
pub(super) fn reach(
    site: &Site<'_>,
    depth: Depth,
    needs: &[Need],
    problems: &mut Problems,
) -> Result<u64> {
    let sizes: HashMap<ObjectId, u64> = site.store.list()?.into_iter().collect();
    let mut reach = Reach {
        site,
        sizes,
        sound: HashSet::new(),
        not_here: HashSet::new(),
        problems,
    };
    for need in needs {
        site.check_interrupt()?;
        match need.content {
            Content::File { id, size } => reach.file(id, size, &need.path, need)?,
            Content::Tree { id, .. } if depth == Depth::Quick => {
                reach.object(id.into(), &need.path, need);
            }
            Content::Tree { id, .. } => reach.tree(id, need)?,
        }
    }
    let problems = reach.problems;
    let not_here = reach.not_here.iter();
    Ok(not_here.filter(|id| !problems.contains_key(id)).count() as u64)
}

struct Reach<'a> {
    site: &'a Site<'a>,
    sizes: HashMap<ObjectId, u64>,
    /// Files whose length surprised, and who are what their name says all the same.
    sound: HashSet<BlobId>,
    /// Needed and not there, and never in the workspace.
    not_here: HashSet<ObjectId>,
    problems: &'a mut Problems,
}

impl Reach<'_> {
    fn object(&mut self, id: ObjectId, path: &RelPath, need: &Need) {
        let is_bad = self.problems.contains_key(&id);
        let is_absent = !self.sizes.contains_key(&id);
        if !is_bad && is_absent && need.never_here.contains(path) {
            self.not_here.insert(id);
        } else if is_bad || is_absent {
            let problem = note(self.problems, id, State::Missing);
            problem.needed_by.insert(path.clone());
            problem.records.insert(need.record);
        }
    }

    /// A length that is not the recorded one is reason enough to read the file.
    fn file(&mut self, id: BlobId, size: u64, path: &RelPath, need: &Need) -> Result<()> {
        let there = self.sizes.get(&id.into()).copied();
        if there.is_some_and(|there| there != size) && !self.sound.contains(&id) {
            match damage(&self.site.store, id.into())? {
                Some(found) => {
                    note_damage(&self.site.store, self.problems, id.into(), found);
                }
                None => {
                    self.sound.insert(id);
                }
            }
        }
        self.object(id.into(), path, need);
        Ok(())
    }

    fn tree(&mut self, root: TreeId, need: &Need) -> Result<()> {
        match workspace::read_tree(&self.site.store, root) {
            Ok(tree) => self.entries(&tree, need),
            // Its nodes, each by itself, tell what can still be known.
            Err(
                workspace::Error::Store(store::Error::Missing(_) | store::Error::Corrupt { .. })
                | workspace::Error::Tree(_),
            ) => self.nodes(root, need),
            Err(error) => Err(error.into()),
        }
    }

    fn entries(&mut self, tree: &Tree, need: &Need) -> Result<()> {
        for (below, entry) in tree.iter() {
            if let Entry::File { id, size, .. } = entry {
                let at = |path: &RelPath| path.join(below);
                self.file(*id, *size, &at(&need.path), need)?;
            }
        }
        Ok(())
    }

    fn nodes(&mut self, root: TreeId, need: &Need) -> Result<()> {
        let mut seen = HashSet::new();
        let mut todo = vec![root];
        while let Some(id) = todo.pop() {
            if !seen.insert(id) {
                continue;
            }
            let refs = match self.site.store.read(id) {
                Ok(bytes) => tree::node_refs(id, &bytes).ok(),
                Err(store::Error::Missing(_)) => None,
                Err(store::Error::Corrupt { found, .. }) => {
                    note_damage(&self.site.store, self.problems, id.into(), Some(found));
                    None
                }
                Err(error) => return Err(Error::from(error)),
            };
            let Some(refs) = refs else {
                self.sizes.remove(&id.into());
                self.object(id.into(), &need.path, need);
                continue;
            };
            todo.extend(refs.children);
            for (file, size) in refs.files {
                self.file(file, size, &need.path, need)?;
            }
        }
        Ok(())
    }
}
