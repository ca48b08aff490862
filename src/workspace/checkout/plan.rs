//! The plan, from values alone.
//!
//! | wanted | there | placed | what happens |
//! |---|---|---|---|
//! | x | x | | nothing |
//! | x | – | | created, if the store has it |
//! | x | y, saved | | replaced, if the store has x |
//! | x | y, unsaved | | refused |
//! | – | y, saved | yes | removed |
//! | – | y, unsaved | yes | refused |
//! | – | y | no | left, unless it stands where a directory or file must be |

use std::collections::{BTreeMap, BTreeSet};

use super::{CheckoutPlan, Refusal};
use crate::hash::BlobId;
use crate::path::RelPath;
use crate::tree::{Entry, Tree};

type Entries<'t> = BTreeMap<&'t RelPath, &'t Entry>;

/// Compares what is wanted, what is there, and what was put there last. All three are trees of
/// the whole project. `saved` says whether the store has a file.
pub fn plan(
    wanted: &Tree,
    actual: &Tree,
    placed: &Tree,
    saved: &dyn Fn(BlobId) -> bool,
) -> CheckoutPlan {
    let sides = Sides {
        wanted: wanted.iter().collect(),
        actual: actual.iter().collect(),
        placed: placed.iter().collect(),
        wanted_paths: wanted.iter().map(|(path, _)| path.as_str()).collect(),
        saved,
    };
    let mut plan = CheckoutPlan::default();
    let paths: BTreeSet<&RelPath> = sides
        .wanted
        .keys()
        .chain(sides.actual.keys())
        .copied()
        .collect();
    for path in paths {
        sides.decide(path, &mut plan);
    }
    sides.clear_the_way(&mut plan);
    plan
}

struct Sides<'t> {
    wanted: Entries<'t>,
    actual: Entries<'t>,
    placed: Entries<'t>,
    /// The wanted paths, sorted.
    wanted_paths: Vec<&'t str>,
    saved: &'t dyn Fn(BlobId) -> bool,
}

impl Sides<'_> {
    /// Whether anything wanted lies below a directory.
    fn wants_below(&self, dir: &RelPath) -> bool {
        // Siblings like `dir-x` sort between `dir` and what lies below it.
        let from = format!("{dir}/");
        let at = self
            .wanted_paths
            .partition_point(|path| *path < from.as_str());
        self.wanted_paths
            .get(at)
            .is_some_and(|path| path.starts_with(&from))
    }

    fn decide(&self, path: &RelPath, plan: &mut CheckoutPlan) {
        match (self.wanted.get(path), self.actual.get(path)) {
            (Some(wanted), Some(actual)) if wanted == actual => {}
            (Some(wanted), actual) => self.decide_wanted(path, wanted, actual.copied(), plan),
            (None, Some(actual)) => self.decide_unwanted(path, actual, plan),
            (None, None) => {}
        }
    }

    fn decide_wanted(
        &self,
        path: &RelPath,
        wanted: &Entry,
        actual: Option<&Entry>,
        plan: &mut CheckoutPlan,
    ) {
        if let Entry::File { id, .. } = wanted
            && !(self.saved)(*id)
        {
            // A file that differs in its mode alone has its bytes on disk.
            let same = matches!(actual, Some(Entry::File { id: there, .. }) if there == id);
            if !same {
                plan.missing.push((path.clone(), *id));
                return;
            }
        }
        match actual {
            None => plan.create.push((path.clone(), wanted.clone())),
            Some(actual) if self.is_safe(actual) || same_bytes(wanted, actual) => {
                plan.replace.push((path.clone(), wanted.clone()));
            }
            Some(actual) => plan.refuse.push(Refusal {
                path: path.clone(),
                actual: actual.clone(),
                wanted: Some(wanted.clone()),
            }),
        }
    }

    fn decide_unwanted(&self, path: &RelPath, actual: &Entry, plan: &mut CheckoutPlan) {
        if *actual == Entry::EmptyDir && self.wants_below(path) {
            // The directory is wanted; it is only empty so far.
            return;
        }
        if !self.placed.contains_key(path) {
            plan.left.push(path.clone());
        } else if self.is_safe(actual) {
            plan.remove.push(path.clone());
        } else {
            plan.refuse.push(Refusal {
                path: path.clone(),
                actual: actual.clone(),
                wanted: None,
            });
        }
    }

    /// Unknown files that stand where a directory must be, or in a directory where a file must
    /// be, cannot be left: they are removed if saved, else refused.
    fn clear_the_way(&self, plan: &mut CheckoutPlan) {
        let files = plan
            .create
            .iter()
            .filter(|(_, entry)| *entry != Entry::EmptyDir);
        let files: BTreeSet<&RelPath> = files.map(|(path, _)| path).collect();
        let blocks = |path: &RelPath| {
            self.wants_below(path) || path.ancestors().any(|dir| files.contains(&dir))
        };
        let (blocking, left): (Vec<RelPath>, Vec<RelPath>) =
            plan.left.iter().cloned().partition(blocks);
        plan.left = left;
        for path in blocking {
            let actual = self.actual[&path];
            if self.is_safe(actual) {
                plan.remove.push(path);
            } else {
                plan.refuse.push(Refusal {
                    actual: actual.clone(),
                    wanted: None,
                    path,
                });
            }
        }
        plan.remove.sort();
        plan.refuse.sort_by(|a, b| a.path.cmp(&b.path));
    }

    /// Whether nothing is lost when this goes.
    fn is_safe(&self, entry: &Entry) -> bool {
        match entry {
            Entry::File { id, .. } => (self.saved)(*id),
            Entry::Symlink { .. } | Entry::EmptyDir => true,
        }
    }
}

fn same_bytes(a: &Entry, b: &Entry) -> bool {
    matches!((a, b), (Entry::File { id: a, .. }, Entry::File { id: b, .. }) if a == b)
}
