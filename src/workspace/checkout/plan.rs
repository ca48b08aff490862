//! The decision: three trees and what the store has in, a plan out. Nothing is read or written.

use super::{CheckoutPlan, Refusal};
use crate::hash::BlobId;
use crate::path::RelPath;
use crate::tree::{Entry, Tree};

/// Compares what is wanted, what is there, and what was put there last. All three are trees of
/// the whole project. `saved` says whether the store has a file.
///
/// Where a file stands in the place of a wanted directory, or the reverse, all that is in the
/// way must be removed by the plan; what cannot be is refused, also if neither side knows it.
pub fn plan(
    wanted: &Tree,
    actual: &Tree,
    placed: &Tree,
    saved: &dyn Fn(BlobId) -> bool,
) -> CheckoutPlan {
    let sides = Sides {
        wanted: Side::new(wanted),
        actual: Side::new(actual),
        placed: Side::new(placed),
        saved,
    };
    let mut plan = CheckoutPlan::default();
    for (path, want) in wanted.iter() {
        match sides.actual.get(path) {
            Some(there) if there == want => {}
            Some(there) => sides.change(path, want, there, &mut plan),
            None => sides.create(path, want, &mut plan),
        }
    }
    for (path, there) in actual.iter() {
        if sides.wanted.get(path).is_none() {
            sides.take_away(path, there, &mut plan);
        }
    }
    plan.refuse.sort_by(|one, other| one.path.cmp(&other.path));
    plan
}

/// A tree that can be asked what lies below a path.
struct Side<'a>(Vec<(&'a RelPath, &'a Entry)>);

struct Sides<'a> {
    wanted: Side<'a>,
    actual: Side<'a>,
    placed: Side<'a>,
    saved: &'a dyn Fn(BlobId) -> bool,
}

/// What becomes of something that is there and not wanted.
enum Fate {
    /// It stays, and is told of.
    Left,
    /// It stays, as a directory that wanted paths lie in.
    Absorbed,
    Removed,
    Refused,
}

impl<'a> Side<'a> {
    fn new(tree: &'a Tree) -> Self {
        Self(tree.iter().collect())
    }

    fn get(&self, path: &RelPath) -> Option<&'a Entry> {
        let at = self.0.binary_search_by(|(other, _)| (*other).cmp(path));
        at.ok().map(|at| self.0[at].1)
    }

    fn below(&self, path: &RelPath) -> &[(&'a RelPath, &'a Entry)] {
        // `0` is the byte after `/`.
        let [first, end] = ['/', '0'].map(|after| {
            let bound = format!("{path}{after}");
            self.0
                .partition_point(|(other, _)| other.as_str() < bound.as_str())
        });
        &self.0[first..end]
    }
}

impl Sides<'_> {
    /// Something is there, and something else is wanted.
    fn change(&self, path: &RelPath, want: &Entry, there: &Entry, plan: &mut CheckoutPlan) {
        if is_same_file(want, there) {
            plan.replace.push((path.clone(), want.clone()));
        } else if let Some(id) = self.missing(want) {
            plan.missing.push((path.clone(), id));
        } else if self.is_saved(there) {
            plan.replace.push((path.clone(), want.clone()));
        } else {
            plan.refuse.push(Refusal {
                path: path.clone(),
                actual: there.clone(),
                wanted: Some(want.clone()),
            });
        }
    }

    /// Nothing is at the very path.
    fn create(&self, path: &RelPath, want: &Entry, plan: &mut CheckoutPlan) {
        if let Some(id) = self.missing(want) {
            plan.missing.push((path.clone(), id));
        } else if *want != Entry::EmptyDir || self.will_be_empty(path) {
            plan.create.push((path.clone(), want.clone()));
        }
    }

    /// Whether a wanted empty directory must be made: it is not there, or taking away what is
    /// in it would take it too.
    fn will_be_empty(&self, dir: &RelPath) -> bool {
        let inside = self.actual.below(dir);
        let goes = |(path, there): &(&RelPath, &Entry)| {
            matches!(self.fate(path, there), Fate::Removed | Fate::Refused)
        };
        inside.is_empty() || inside.iter().any(goes)
    }

    /// Something is there that is not wanted.
    fn take_away(&self, path: &RelPath, there: &Entry, plan: &mut CheckoutPlan) {
        match self.fate(path, there) {
            Fate::Absorbed => {}
            Fate::Left => plan.left.push(path.clone()),
            Fate::Removed => plan.remove.push(path.clone()),
            Fate::Refused => plan.refuse.push(Refusal {
                path: path.clone(),
                actual: there.clone(),
                wanted: None,
            }),
        }
    }

    fn fate(&self, path: &RelPath, there: &Entry) -> Fate {
        if *there == Entry::EmptyDir {
            return self.fate_of_empty_dir(path);
        }
        let known = self.placed.get(path).is_some();
        match (known, self.is_saved(there)) {
            (true, true) => Fate::Removed,
            (true, false) => Fate::Refused,
            (false, _) if self.is_in_the_way(path) => Fate::Refused,
            (false, _) => Fate::Left,
        }
    }

    fn fate_of_empty_dir(&self, path: &RelPath) -> Fate {
        let known = self.placed.get(path).is_some() || !self.placed.below(path).is_empty();
        if !self.wanted.below(path).is_empty() {
            Fate::Absorbed
        } else if known || self.blocks_above(path) {
            Fate::Removed
        } else {
            Fate::Left
        }
    }

    /// Whether a path that will be written needs this one to be gone.
    fn is_in_the_way(&self, path: &RelPath) -> bool {
        let below = self.wanted.below(path).iter();
        let mut written = below.filter(|(_, want)| self.missing(want).is_none());
        self.blocks_above(path) || written.next().is_some()
    }

    /// Whether a file or link will be written at a directory above this path.
    fn blocks_above(&self, path: &RelPath) -> bool {
        path.ancestors().any(|above| {
            let want = self.wanted.get(&above);
            want.is_some_and(|want| *want != Entry::EmptyDir && self.missing(want).is_none())
        })
    }

    fn is_saved(&self, there: &Entry) -> bool {
        match there {
            Entry::File { id, .. } => (self.saved)(*id),
            Entry::Symlink { .. } | Entry::EmptyDir => true,
        }
    }

    /// The id of a wanted file that the store does not have.
    fn missing(&self, want: &Entry) -> Option<BlobId> {
        match want {
            Entry::File { id, .. } if !(self.saved)(*id) => Some(*id),
            _ => None,
        }
    }
}

/// Whether two files differ in the execute bit alone, so that no byte is at stake.
fn is_same_file(one: &Entry, other: &Entry) -> bool {
    match (one, other) {
        (Entry::File { id: one, .. }, Entry::File { id: other, .. }) => one == other,
        _ => false,
    }
}
