//! What differs between two trees.

use std::collections::{BTreeMap, VecDeque};

use super::{Entry, Tree};
use crate::hash::BlobId;
use crate::path::RelPath;

/// How a path differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// Only the new side has it.
    Added,
    /// Both have it, with other content, mode or kind.
    Modified,
    /// Only the old side has it.
    Deleted,
    /// Deleted under one name and added, with equal content, under another.
    Renamed,
}

/// One path that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where.
    pub path: RelPath,
    /// How.
    pub kind: ChangeKind,
    /// The old name of a renamed path.
    pub from: Option<RelPath>,
    /// What was there.
    pub old: Option<Entry>,
    /// What is there.
    pub new: Option<Entry>,
}

/// All paths that differ, by path; never [`ChangeKind::Renamed`].
pub fn diff(old: &Tree, new: &Tree) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut old = old.iter().peekable();
    let mut new = new.iter().peekable();
    loop {
        let change = match (old.peek(), new.peek()) {
            (None, None) => return changes,
            (Some((a, _)), Some((b, _))) if a == b => old.next().zip(new.next()).and_then(modified),
            (Some((a, _)), Some((b, _))) if a > b => new.next().map(added),
            (None, Some(_)) => new.next().map(added),
            (Some(_), _) => old.next().map(deleted),
        };
        changes.extend(change);
    }
}

type Place<'a> = (&'a RelPath, &'a Entry);

fn modified(((path, old), (_, new)): (Place<'_>, Place<'_>)) -> Option<Change> {
    (old != new).then(|| change(path, ChangeKind::Modified, Some(old), Some(new)))
}

fn added((path, entry): Place<'_>) -> Change {
    change(path, ChangeKind::Added, None, Some(entry))
}

fn deleted((path, entry): Place<'_>) -> Change {
    change(path, ChangeKind::Deleted, Some(entry), None)
}

fn change(path: &RelPath, kind: ChangeKind, old: Option<&Entry>, new: Option<&Entry>) -> Change {
    Change {
        path: path.clone(),
        kind,
        from: None,
        old: old.cloned(),
        new: new.cloned(),
    }
}

/// Pairs deletions with additions of equal content into renames, in a fixed order.
///
/// A file that kept its name is paired before one that did not, then the first deletion goes
/// with the first addition. Empty files are all alike and are never paired.
pub fn find_renames(changes: Vec<Change>) -> Vec<Change> {
    let origins = origins(&changes);
    let taken: Vec<usize> = origins.values().copied().collect();
    let mut is_taken = vec![false; changes.len()];
    taken.iter().for_each(|at| is_taken[*at] = true);

    let sources: BTreeMap<usize, (RelPath, Option<Entry>)> = origins
        .iter()
        .map(|(to, from)| {
            (
                *to,
                (changes[*from].path.clone(), changes[*from].old.clone()),
            )
        })
        .collect();
    let mut renamed = Vec::with_capacity(changes.len() - taken.len());
    for (at, mut change) in changes.into_iter().enumerate() {
        if is_taken[at] {
            continue;
        }
        if let Some((from, old)) = sources.get(&at) {
            change.kind = ChangeKind::Renamed;
            change.from = Some(from.clone());
            change.old.clone_from(old);
        }
        renamed.push(change);
    }
    renamed
}

/// For each addition that is a rename, the deletion it came from; both by their place in the list.
fn origins(changes: &[Change]) -> BTreeMap<usize, usize> {
    let deletions = || contents(changes, ChangeKind::Deleted, |change| &change.old);
    let additions = || contents(changes, ChangeKind::Added, |change| &change.new);

    let mut named: BTreeMap<(BlobId, &str), VecDeque<usize>> = BTreeMap::new();
    for (at, id) in deletions() {
        let key = (id, changes[at].path.name());
        named.entry(key).or_default().push_back(at);
    }
    let mut origins = BTreeMap::new();
    for (at, id) in additions() {
        let same_name = named.get_mut(&(id, changes[at].path.name()));
        if let Some(from) = same_name.and_then(VecDeque::pop_front) {
            origins.insert(at, from);
        }
    }

    let mut left: BTreeMap<BlobId, VecDeque<usize>> = BTreeMap::new();
    let mut rest: Vec<(usize, BlobId)> = named
        .iter()
        .flat_map(|((id, _), places)| places.iter().map(|at| (*at, *id)))
        .collect();
    rest.sort_unstable();
    for (at, id) in rest {
        left.entry(id).or_default().push_back(at);
    }
    for (at, id) in additions() {
        if !origins.contains_key(&at)
            && let Some(from) = left.get_mut(&id).and_then(VecDeque::pop_front)
        {
            origins.insert(at, from);
        }
    }
    origins
}

/// The files, not empty, on one side of the changes of one kind.
fn contents<'a>(
    changes: &'a [Change],
    kind: ChangeKind,
    side: fn(&Change) -> &Option<Entry>,
) -> impl Iterator<Item = (usize, BlobId)> + 'a {
    let of_kind = changes
        .iter()
        .enumerate()
        .filter(move |(_, change)| change.kind == kind);
    of_kind.filter_map(move |(at, change)| match side(change) {
        Some(Entry::File { id, size, .. }) if *size > 0 => Some((at, *id)),
        _ => None,
    })
}
