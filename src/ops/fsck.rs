//! `fsck`: whether the store holds what it should, whole. Damage is an answer, not an error.

mod inspect;
mod remote;
mod repair;

pub use remote::{Lost, Needer, RemoteFsckOptions, RemoteFsckReport, fsck_remote};

pub use crate::remote::CheckDepth;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::content::stored;
use super::{Result, Site, World, partial};
use crate::hash::{BlobId, Digest, ObjectId, ObjectKind, TreeId};
use crate::path::RelPath;
use crate::remote::Content;
use crate::store::Store;
use crate::workspace::{Placed, PlacedItem};

/// How closely to look, and what to do about it.
#[derive(Clone, Copy, Debug, Default)]
pub struct FsckOptions {
    /// How closely.
    pub depth: Depth,
    /// Bring back what can be had from the workspace or a remote.
    pub repair: bool,
}

/// How closely to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// Names and sizes.
    Quick,
    /// And every node of every tree, and all that they name.
    #[default]
    Trees,
    /// And every byte of so many hundredths of the files.
    Data(u8),
}

impl serde::Serialize for Depth {
    fn serialize<S: serde::Serializer>(
        &self,
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::Quick => "quick",
            Self::Trees => "trees",
            Self::Data(_) => "data",
        })
    }
}

/// What was found.
#[derive(Debug, serde::Serialize)]
pub struct FsckReport {
    /// How closely was looked.
    pub depth: Depth,
    /// Objects in the store.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects of which every byte was read.
    pub read: u64,
    /// How many objects are damaged.
    pub damaged: u64,
    /// How many are missing.
    pub missing: u64,
    /// How many are recorded and neither here nor ever put into this workspace: that is no damage.
    pub not_here: u64,
    /// How many of both are whole again.
    pub repaired: u64,
    /// Each of them.
    pub problems: Vec<Problem>,
    /// Packs of which the own list of what they hold is damaged.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub packs: Vec<String>,
    /// Whether these were written again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub packs_rewritten: bool,
    /// Paths recorded with the hashes of another tool, which the store does not know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unchecked: Vec<RelPath>,
}

impl FsckReport {
    /// Whether all is well, or well again.
    pub fn is_clean(&self) -> bool {
        let has_lists = self.packs.is_empty() || self.packs_rewritten;
        self.damaged + self.missing == self.repaired && has_lists
    }
}

/// An object that is not as it should be.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Problem {
    /// Its id.
    pub hash: String,
    /// What it is.
    pub kind: Kind,
    /// What is wrong.
    pub state: State,
    /// What its bytes hash to, if it is damaged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// Whether it was moved to quarantine, which frees its name for good bytes.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub quarantined: bool,
    /// Who needs it: paths, or those of a directory whose listing it is. None, if neither the
    /// lock, nor the last commit's, nor the workspace does.
    pub needed_by: BTreeSet<RelPath>,
    /// Whose record names it.
    pub records: BTreeSet<Record>,
    /// Where good bytes came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repaired: Option<Source>,
}

/// What an object holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A file.
    File,
    /// A part of the listing of a directory.
    Listing,
    /// A part of the list of pieces of a large file.
    Recipe,
}

/// What is wrong with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Its bytes are not what its name says.
    Damaged,
    /// It is needed and not there.
    Missing,
}

/// What may need an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Record {
    /// The lock on disk.
    Lock,
    /// The lock of the last commit.
    Head,
    /// What was last put into the workspace.
    Placed,
}

/// Where good bytes came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The file in the workspace still has them.
    Workspace,
    /// A remote has them.
    Remote,
}

type Problems = BTreeMap<ObjectId, Problem>;

/// Something that a record names.
struct Need {
    record: Record,
    path: RelPath,
    content: Content,
    /// What of a directory was never put into this workspace, while other files of it were, so that
    /// it may well not be in the store.
    never_here: Rc<BTreeSet<RelPath>>,
}

/// Looks at the store of this clone, and repairs it if that is asked for.
pub fn fsck(world: &World<'_>, options: FsckOptions) -> Result<FsckReport> {
    let site = Site::open(world)?;
    // Before an object is moved to quarantine from behind a symbolic link to it.
    super::links::find_edited(&site)?;
    let (needs, unchecked) = needs(&site)?;
    let mut found = inspect::inspect(&site, options.depth, &needs)?;
    if options.repair && !found.problems.is_empty() {
        repair::repair(&site, &needs, &mut found.problems)?;
    }
    let packs = match options.depth {
        Depth::Data(_) => site.store.badly_listed()?,
        _ => BTreeSet::new(),
    };
    let packs_rewritten = options.repair && !packs.is_empty();
    if packs_rewritten {
        site.store.write_again(&packs)?;
    }
    let mut problems: Vec<Problem> = found.problems.into_values().collect();
    problems.sort_by(|one, other| one.needed_by.cmp(&other.needed_by));
    let count = |test: &dyn Fn(&Problem) -> bool| problems.iter().filter(|p| test(p)).count();
    Ok(FsckReport {
        depth: options.depth,
        objects: found.objects,
        bytes: found.bytes,
        read: found.read,
        damaged: count(&|problem| problem.state == State::Damaged) as u64,
        missing: count(&|problem| problem.state == State::Missing) as u64,
        not_here: found.not_here,
        repaired: count(&|problem| problem.repaired.is_some()) as u64,
        problems,
        packs: packs.iter().map(ToString::to_string).collect(),
        packs_rewritten,
        unchecked,
    })
}

/// Everything that the lock, the last commit's lock and the workspace's baseline name. What is
/// recorded with a foreign hash is told apart.
fn needs(site: &Site<'_>) -> Result<(Vec<Need>, Vec<RelPath>)> {
    let placed = Placed::load(&site.layout.placed())?;
    let lock = site.lock()?;
    let mut never_here = BTreeMap::new();
    for (path, recorded) in stored(&lock) {
        let left_out = partial::left_out(&site.store, &path, recorded, &placed)?;
        let left_out = left_out.into_iter().map(|(path, _)| path);
        never_here.insert(path, Rc::new(left_out.collect()));
    }
    let none: Rc<BTreeSet<RelPath>> = Rc::default();
    let mut locks = vec![(Record::Lock, lock)];
    if let Some(head) = site.git.head()? {
        locks.push((Record::Head, site.lock_at(&head)?));
    }
    let mut needs = Vec::new();
    let mut foreign = BTreeSet::new();
    for (record, lock) in &locks {
        for (path, recorded) in stored(lock) {
            let Some(digest) = recorded.hash.digest() else {
                foreign.insert(path);
                continue;
            };
            let size = recorded.size;
            let content = match recorded.files {
                None => Content::File {
                    id: BlobId(digest),
                    size,
                },
                Some(files) => Content::Tree {
                    id: TreeId(digest),
                    files,
                    bytes: size,
                },
            };
            let record = *record;
            let never_here = never_here.get(&path).unwrap_or(&none);
            needs.push(Need {
                record,
                path,
                content,
                never_here: Rc::clone(never_here),
            });
        }
    }
    needs.extend(placed.paths.into_iter().map(|(path, item)| Need {
        record: Record::Placed,
        path,
        content: placed_content(&item),
        never_here: Rc::clone(&none),
    }));
    Ok((needs, foreign.into_iter().collect()))
}

fn placed_content(item: &PlacedItem) -> Content {
    match *item {
        PlacedItem::File { id, size, .. } => Content::File { id, size },
        PlacedItem::Dir(id) => Content::Tree {
            id,
            files: 0,
            bytes: 0,
        },
    }
}

/// Notes that an object is damaged, and what its bytes really hash to.
fn note_damage(store: &Store, problems: &mut Problems, id: ObjectId, found: Option<Digest>) {
    let problem = note(problems, id, State::Damaged);
    problem.found = found.map(|found| format!("b3:{found}"));
    problem.quarantined = !store.has(id);
}

/// The problem that an object has, noted once.
fn note(problems: &mut Problems, id: ObjectId, state: State) -> &mut Problem {
    problems.entry(id).or_insert_with(|| Problem {
        hash: id.to_string(),
        kind: match id.kind {
            ObjectKind::Blob | ObjectKind::Chunk => Kind::File,
            ObjectKind::Node => Kind::Listing,
            ObjectKind::RecipeRoot | ObjectKind::RecipeSegment => Kind::Recipe,
        },
        state,
        found: None,
        quarantined: false,
        needed_by: BTreeSet::new(),
        records: BTreeSet::new(),
        repaired: None,
    })
}
