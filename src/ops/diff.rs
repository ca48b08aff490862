//! `diff`: which data differs between two commits, or a commit and the workspace's record.

use super::content::{self, stored};
use super::revisions::{Side, sides};
use super::{Result, Site, World};
use crate::hash::ContentId;
use crate::path::RelPath;
use crate::project::{Lock, Recorded};
use crate::tree::{self, ChangeKind, Entry, Tree};
use crate::workspace::{Index, Rules};

/// What differs.
#[derive(Debug, serde::Serialize)]
pub struct DiffReport {
    /// The old side.
    pub from: String,
    /// The new side.
    pub to: String,
    /// Every path that differs.
    pub changes: Vec<DataChange>,
}

/// One path that differs.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct DataChange {
    /// Where.
    pub path: RelPath,
    /// How.
    pub kind: ChangeKind,
    /// The old name of a renamed path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<RelPath>,
    /// The old id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_hash: Option<String>,
    /// The new id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_hash: Option<String>,
    /// The old size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_size: Option<u64>,
    /// The new size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_size: Option<u64>,
    /// Set for a directory whose listing is not here, so that single files cannot be named.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub whole: bool,
}

/// Compares the data of two sides, all of it or some paths; each must be known on either side.
pub fn diff(world: &World<'_>, revs: &[String], paths: &[String]) -> Result<DiffReport> {
    let site = Site::open(world)?;
    let (from, to) = sides(&site, revs)?;
    let targets = targets(&site, &from.lock(&site)?, &to.lock(&site)?, paths)?;
    let old = Listing::of(&site, &from)?;
    let new = Listing::of(&site, &to)?;
    let mut changes = compare(old, new)?;
    let is_chosen = |path: &RelPath| targets.iter().any(|target| target.overlaps(path));
    changes.retain(|change| {
        targets.is_empty() || is_chosen(&change.path) || change.from.as_ref().is_some_and(is_chosen)
    });
    Ok(DiffReport {
        from: from.name(),
        to: to.name(),
        changes,
    })
}

fn targets(site: &Site<'_>, old: &Lock, new: &Lock, typed: &[String]) -> Result<Vec<RelPath>> {
    let one = |text: &String| {
        let text = std::slice::from_ref(text);
        site.stored_paths(new, text)
            .or_else(|error| site.stored_paths(old, text).map_err(|_| error))
    };
    let all: Vec<Vec<RelPath>> = typed.iter().map(one).collect::<Result<_>>()?;
    Ok(all.into_iter().flatten().collect())
}

/// The data of one side: entries where they are known, whole directories where they are not.
struct Listing {
    entries: Vec<(RelPath, Entry)>,
    whole: Vec<(RelPath, Recorded)>,
}

impl Listing {
    fn of(site: &Site<'_>, side: &Side) -> Result<Self> {
        let lock = side.lock(site)?;
        match side {
            Side::Workspace => Self::on_disk(site, &lock),
            _ => Self::recorded(site, &lock),
        }
    }

    fn recorded(site: &Site<'_>, lock: &Lock) -> Result<Self> {
        let mut listing = Self {
            entries: Vec::new(),
            whole: Vec::new(),
        };
        for (path, recorded) in stored(lock) {
            match content::entries(&site.store, &path, recorded)? {
                Some(entries) => listing.entries.extend(entries),
                None => listing.whole.push((path, recorded.clone())),
            }
        }
        Ok(listing)
    }

    fn on_disk(site: &Site<'_>, lock: &Lock) -> Result<Self> {
        let mut index: Index = site.index();
        let mut entries = Vec::new();
        for path in stored(lock).keys() {
            let mut scanner = site.scanner(&mut index);
            let found = scanner.scan(path, Rules::Data)?;
            entries.extend(content::found_entries(&mut scanner, path, &found)?);
        }
        let _ = index.save(&site.layout.index());
        Ok(Self {
            entries,
            whole: Vec::new(),
        })
    }

    /// Takes out what lies at or below a path, as one recorded whole.
    fn take_whole(&mut self, path: &RelPath) -> Result<Option<(ContentId, u64)>> {
        if let Some(at) = self.whole.iter().position(|(whole, _)| whole == path) {
            let (_, recorded) = self.whole.swap_remove(at);
            return Ok(Some((recorded.hash, recorded.size)));
        }
        let (inside, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.entries)
            .into_iter()
            .partition(|(at, _)| at.starts_with(path));
        self.entries = rest;
        if let [(_, Entry::File { id, size, .. })] = &inside[..]
            && inside[0].0 == *path
        {
            return Ok(Some((ContentId::from(*id), *size)));
        }
        if inside.is_empty() {
            return Ok(None);
        }
        let below = inside.into_iter();
        let below = below.filter_map(|(at, entry)| Some((at.strip_prefix(path)?, entry)));
        let tree = Tree::new(below.collect())?;
        Ok(Some((ContentId::from(tree.id()), tree.bytes())))
    }
}

fn compare(mut old: Listing, mut new: Listing) -> Result<Vec<DataChange>> {
    let unknown = old.whole.iter().chain(&new.whole);
    let unknown: std::collections::BTreeSet<RelPath> =
        unknown.map(|(path, _)| path.clone()).collect();
    let mut changes = Vec::new();
    for path in unknown {
        let (before, after) = (old.take_whole(&path)?, new.take_whole(&path)?);
        if before != after {
            changes.push(whole_change(path, before, after));
        }
    }
    let files = tree::diff(&Tree::new(old.entries)?, &Tree::new(new.entries)?);
    changes.extend(tree::find_renames(files).into_iter().map(file_change));
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(changes)
}

fn whole_change(
    path: RelPath,
    old: Option<(ContentId, u64)>,
    new: Option<(ContentId, u64)>,
) -> DataChange {
    let kind = match (&old, &new) {
        (None, _) => ChangeKind::Added,
        (_, None) => ChangeKind::Deleted,
        _ => ChangeKind::Modified,
    };
    let id = |side: &Option<(ContentId, u64)>| side.as_ref().map(|(id, _)| id.to_string());
    DataChange {
        path,
        kind,
        from: None,
        old_hash: id(&old),
        new_hash: id(&new),
        old_size: old.map(|(_, size)| size),
        new_size: new.map(|(_, size)| size),
        whole: true,
    }
}

pub(super) fn file_change(change: tree::Change) -> DataChange {
    let hash = |entry: &Option<Entry>| match entry {
        Some(Entry::File { id, .. }) => Some(format!("b3:{id}")),
        _ => None,
    };
    let size = |entry: &Option<Entry>| match entry {
        Some(Entry::File { size, .. }) => Some(*size),
        _ => None,
    };
    DataChange {
        old_hash: hash(&change.old),
        new_hash: hash(&change.new),
        old_size: size(&change.old),
        new_size: size(&change.new),
        path: change.path,
        kind: change.kind,
        from: change.from,
        whole: false,
    }
}
