//! Directories of which only a part was ever put into the workspace: the rest was left out of a
//! pull, or could not be had. What was never here is not deleted when it is not here.

use std::collections::BTreeSet;

use super::Result;
use super::content::tree;
use crate::hash::TreeId;
use crate::path::RelPath;
use crate::project::Recorded;
use crate::store::Store;
use crate::tree::{Entry, Tree};
use crate::workspace::{Placed, PlacedItem};

/// What a record has in a directory and what was last placed there has not. Nothing, if nothing was
/// placed: then all that counts is what is there.
pub(super) fn left_out(
    store: &Store,
    root: &RelPath,
    recorded: &Recorded,
    placed: &Placed,
) -> Result<Vec<(RelPath, Entry)>> {
    let recorded = recorded.files.and(recorded.hash.digest()).map(TreeId);
    let (Some(recorded), Some(PlacedItem::Dir(placed))) = (recorded, placed.paths.get(root)) else {
        return Ok(Vec::new());
    };
    if recorded == *placed {
        return Ok(Vec::new());
    }
    let (Some(recorded), Some(placed)) = (tree(store, recorded)?, tree(store, *placed)?) else {
        return Ok(Vec::new());
    };
    let all = recorded.into_below(root).into_iter();
    let placed: BTreeSet<RelPath> = placed.iter().map(|(path, _)| root.join(path)).collect();
    Ok(all.filter(|(path, _)| !placed.contains(path)).collect())
}

/// What was found in a directory, together with what was never put there.
pub(super) struct Completed {
    /// All entries, in no order.
    pub(super) entries: Vec<(RelPath, Entry)>,
    /// How many of them were never there.
    pub(super) n_added: u64,
}

impl Completed {
    /// The same as the tree of the directory `root`.
    pub(super) fn into_tree(self, root: &RelPath) -> Result<Tree> {
        let below = self.entries.into_iter();
        let below = below.filter_map(|(at, entry)| Some((at.strip_prefix(root)?, entry)));
        Ok(Tree::new(below.collect())?)
    }
}

/// What was found in a directory and, where nothing is in the way, what was left out there. `None`
/// if that adds nothing.
pub(super) fn completed(
    found: &[(RelPath, Entry)],
    left_out: Vec<(RelPath, Entry)>,
) -> Option<Completed> {
    let is_there = |entry: &Entry| *entry != Entry::EmptyDir;
    let there = found.iter().filter(|(_, entry)| is_there(entry));
    let there: BTreeSet<&RelPath> = there.map(|(path, _)| path).collect();
    let dirs: BTreeSet<RelPath> = found
        .iter()
        .flat_map(|(path, _)| path.ancestors())
        .collect();
    let has_room = |path: &RelPath| {
        let is_blocked = path.ancestors().any(|above| there.contains(&above));
        !is_blocked && !there.contains(path) && !dirs.contains(path)
    };
    let mut added = left_out;
    added.retain(|(path, _)| has_room(path));
    let filled: BTreeSet<RelPath> = added
        .iter()
        .flat_map(|(path, _)| path.ancestors().chain([path.clone()]))
        .collect();
    // An empty directory is one no longer when something in it is missing.
    let is_kept = |(path, entry): &&(RelPath, Entry)| is_there(entry) || !filled.contains(path);
    let n_added = added.len() as u64;
    added.extend(found.iter().filter(is_kept).cloned());
    (n_added > 0).then_some(Completed {
        entries: added,
        n_added,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::{BlobId, Digest};

    fn entries(text: &str) -> Vec<(RelPath, Entry)> {
        let entry = |word: &str| match word.strip_suffix('/') {
            Some(dir) => (RelPath::parse(dir).unwrap(), Entry::EmptyDir),
            None => {
                let id = BlobId(Digest::of(word.as_bytes()));
                let (size, exec) = (1, false);
                (
                    RelPath::parse(word).unwrap(),
                    Entry::File { id, size, exec },
                )
            }
        };
        text.split_whitespace().map(entry).collect()
    }

    #[test]
    fn what_was_left_out_is_added_where_nothing_is_in_the_way() {
        let table = [
            ("d/a", "d/b d/c/x", "d/a d/b d/c/x"),
            ("d/a", "", ""),
            ("d/a", "d/a", ""),
            ("d/a", "d/a/b", ""),
            ("d/a/b", "d/a d/c", "d/a/b d/c"),
            ("d/a/", "d/a/b", "d/a/b"),
            ("d/a/ d/b/", "d/a/b", "d/a/b d/b"),
            ("d/", "d/e/", "d/e"),
        ];
        for (found, left_out, expected) in table {
            let completed = completed(&entries(found), entries(left_out));
            let all = completed.map(|all| Tree::new(all.entries).unwrap());
            let names: Vec<String> = all
                .iter()
                .flat_map(Tree::iter)
                .map(|(path, _)| path.to_string())
                .collect();
            assert_eq!(names.join(" "), expected, "{found} + {left_out}");
        }
    }
}
