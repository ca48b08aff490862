//! What holds for all trees and all bytes.

use super::raw::{decode_nodes, id_of};
use super::*;
use proptest::prelude::*;
use proptest::sample::Index;

fn any_entry() -> impl Strategy<Value = Entry> {
    let file = (any::<u8>(), 0..u64::MAX >> 8, any::<bool>());
    prop_oneof![
        8 => file.prop_map(|(content, size, exec)| Entry::File { id: BlobId(Digest::of(&[content])), size, exec }),
        1 => "[a-z./]{1,8}".prop_map(|target| Entry::Symlink { target }),
        1 => Just(Entry::EmptyDir),
    ]
}

/// Entries of which some paths clash; those that do are left out.
fn any_tree() -> impl Strategy<Value = Tree> {
    let entries = prop::collection::btree_map("[ab](-?/?[abü]){0,4}", any_entry(), 0..24);
    entries.prop_map(|entries| {
        let mut kept: Vec<(RelPath, Entry)> = Vec::new();
        for (text, entry) in entries {
            let new = path(&text);
            if kept.iter().all(|(old, _)| !new.overlaps(old)) {
                kept.push((new, entry));
            }
        }
        Tree::new(kept).unwrap()
    })
}

fn entries(tree: &Tree) -> Vec<(RelPath, Entry)> {
    tree.iter()
        .map(|(path, entry)| (path.clone(), entry.clone()))
        .collect()
}

fn apply(changes: Vec<Change>, tree: &Tree) -> Tree {
    let mut map: BTreeMap<_, _> = entries(tree).into_iter().collect();
    for change in changes {
        assert_eq!(
            map.get(&change.path),
            change.old.as_ref().filter(|_| change.from.is_none())
        );
        if let Some(from) = change.from {
            assert_eq!(map.remove(&from), change.old);
        }
        match change.new {
            Some(new) => map.insert(change.path, new),
            None => map.remove(&change.path),
        };
    }
    Tree::new(map.into_iter().collect()).unwrap()
}

/// The last key of each leaf.
fn boundaries(tree: &Tree) -> Vec<RelPath> {
    let nodes = tree.encode().nodes.into_iter();
    let nodes = nodes.map(|(id, bytes)| decode::Node::decode(id, &bytes).unwrap());
    let leaves = nodes.filter(|node| node.level == 0);
    leaves.filter_map(|leaf| leaf.last().cloned()).collect()
}

/// Names that fill several leaves: long ones, so that not too many are needed.
fn name(number: u16) -> RelPath {
    let (dir, rest) = (number % 7, number / 7);
    path(&format!("{dir}/{}{rest:04}", "x".repeat(200)))
}

/// A tree of several leaves and levels, and what becomes of it.
fn large_tree_and_changes() -> impl Strategy<Value = (Tree, Changes)> {
    let numbers = prop::collection::btree_set(0_u16..4_000, 0..1_500);
    let edit = (0_u16..4_400, prop::option::weighted(0.6, any_entry()));
    let edits = prop::collection::vec(edit, 0..40);
    let cut = prop::option::of((0_u16..4_000, 0_u16..2_000));
    (numbers, edits, cut).prop_map(|(numbers, edits, cut)| {
        let old: Vec<_> = numbers
            .iter()
            .map(|number| (name(*number), Entry::EmptyDir))
            .collect();
        let mut changes = Changes::new();
        if let Some((start, length)) = cut {
            let gone = start..start.saturating_add(length);
            let all = old.iter().enumerate();
            let all = all.filter(|(at, _)| gone.contains(&(*at as u16)));
            changes.extend(all.map(|(_, (path, _))| (path.clone(), None)));
        }
        changes.extend(edits.into_iter().map(|(number, new)| (name(number), new)));
        (Tree::new(old).unwrap(), changes)
    })
}

fn changed(old: &Tree, changes: &Changes) -> Result<Tree, Error> {
    let mut map: BTreeMap<_, _> = entries(old).into_iter().collect();
    for (path, entry) in changes {
        match entry {
            Some(entry) => map.insert(path.clone(), entry.clone()),
            None => map.remove(path),
        };
    }
    Tree::new(map.into_iter().collect())
}

/// Changes a tree by its nodes; the result is what all entries make anew, and its nodes are the
/// new ones alone.
fn check_update(old: &Tree, changes: &Changes) -> Result<(), TestCaseError> {
    let encoded = old.encode();
    let root = encoded.root;
    let mut nodes: BTreeMap<_, _> = encoded.nodes.into_iter().collect();
    let load = |id| Ok::<_, Error>(nodes[&id].clone());
    let (updated, expected) = match (update(root, changes, load), changed(old, changes)) {
        (Ok(updated), Ok(expected)) => (updated, expected),
        (Err(Error::NotADirectory { .. }), Err(Error::NotADirectory { .. })) => return Ok(()),
        other => return Err(TestCaseError::fail(format!("{other:?}"))),
    };
    prop_assert_eq!(updated.summary, expected.summary());
    let needed: std::collections::BTreeSet<TreeId> = expected
        .encode()
        .nodes
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    for (id, bytes) in updated.nodes {
        prop_assert!(needed.contains(&id));
        prop_assert!(nodes.insert(id, bytes).is_none(), "an old node");
    }
    let read = Tree::decode(updated.summary.root, |id| {
        Ok::<_, Error>(nodes[&id].clone())
    });
    prop_assert_eq!(read.unwrap(), expected);
    Ok(())
}

#[test]
fn an_empty_tree_that_stays_empty_has_no_new_node() {
    check_update(&Tree::default(), &Changes::new()).unwrap();
}

proptest! {
    #[test]
    fn decoding_inverts_encoding(tree in any_tree()) {
        let encoded = tree.encode();
        prop_assert_eq!(decode(&encoded).unwrap(), tree);
    }

    #[test]
    fn the_order_of_entries_does_not_matter(tree in any_tree(), seed: u64) {
        let mut shuffled = entries(&tree);
        shuffled.sort_by_key(|(path, _)| Digest::of(format!("{seed}{path}").as_bytes()));
        let again = Tree::new(shuffled).unwrap();
        prop_assert_eq!(again.id(), tree.id());
    }

    #[test]
    fn applying_the_difference_gives_the_other(a in any_tree(), b in any_tree()) {
        let changes = diff(&a, &b);
        prop_assert!(changes.windows(2).all(|pair| pair[0].path < pair[1].path));
        prop_assert!(changes.iter().all(|change| change.old != change.new));
        prop_assert_eq!(changes.is_empty(), a.id() == b.id());
        prop_assert_eq!(&apply(changes.clone(), &a), &b);
        prop_assert_eq!(&apply(find_renames(changes), &a), &b);
    }

    #[test]
    fn a_tree_below_a_directory_is_found_there(tree in any_tree()) {
        let dir = path("some/dir");
        let whole = Tree::new(tree.below(&dir)).unwrap();
        prop_assert_eq!(whole.subtree(&dir), Some(tree));
    }

    #[test]
    fn any_bytes_are_read_or_refused(body: Vec<u8>, level in 0_u8..3, count in 0_u32..8) {
        let mut bytes = b"ESKT\x01".to_vec();
        bytes.extend([level, 0, 0]);
        bytes.extend(count.to_le_bytes());
        bytes.extend([0; 16]);
        bytes.extend(body);
        let result = Tree::decode(id_of(&bytes), |id| {
            if id == id_of(&bytes) { Ok(bytes.clone()) } else { Err(Error::TooLarge) }
        });
        if let Ok(tree) = result {
            prop_assert_eq!(&tree.encode().nodes[0].1, &bytes);
        }
    }

    /// Bytes close to a real node reach deeper than random ones; what is read has no second form.
    #[test]
    fn changed_bytes_are_refused_or_canonical(tree in any_tree(), at: Index, byte: u8, cut: bool) {
        let mut bytes = tree.encode().nodes[0].1.clone();
        let at = at.index(bytes.len());
        if cut { bytes.remove(at); } else { bytes[at] = byte; }
        if let Ok(read) = decode_nodes(std::slice::from_ref(&bytes)) {
            prop_assert_eq!(&read.encode().nodes[0].1, &bytes);
        }
        let _ = node_refs(id_of(&bytes), &bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn content_moves_no_boundary(n_files in 1_usize..3000, content in any::<[u8; 3]>(), step in 1_usize..50) {
        let old = wide("", n_files, "x");
        let change = |(at, (path, entry)): (usize, (RelPath, Entry))| {
            let changed = file(&format!("{content:?}"));
            (path, if at % step == 0 { changed } else { entry })
        };
        let new = entries(&old).into_iter().enumerate().map(change).collect();
        let new = Tree::new(new).unwrap();
        prop_assert_eq!(boundaries(&old), boundaries(&new));
        prop_assert_eq!(decode(&new.encode()).unwrap(), new);
    }

    #[test]
    fn a_changed_tree_is_the_tree_made_anew(
        old in any_tree(),
        edits in prop::collection::btree_map("[ab](-?/?[abü]){0,4}", prop::option::of(any_entry()), 0..6),
    ) {
        let changes = edits.into_iter().map(|(text, entry)| (path(&text), entry));
        check_update(&old, &changes.collect())?;
    }

    #[test]
    fn a_part_is_what_lies_at_and_below_a_path(tree in any_tree(), at in "[ab](-?/?[abü]){0,2}") {
        let encoded = tree.encode();
        let nodes: BTreeMap<_, _> = encoded.nodes.into_iter().collect();
        let at = path(&at);
        let found = part(encoded.root, &at, |id| Ok::<_, Error>(nodes[&id].clone())).unwrap();
        let mut expected = entries(&tree);
        expected.retain(|(path, _)| path.starts_with(&at));
        prop_assert_eq!(found, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_changed_large_tree_is_the_tree_made_anew((old, changes) in large_tree_and_changes()) {
        check_update(&old, &changes)?;
    }

    #[test]
    fn a_part_may_lie_in_several_leaves((tree, _) in large_tree_and_changes(), dir in 0_u8..8) {
        let encoded = tree.encode();
        let root = encoded.root;
        let nodes: BTreeMap<_, _> = encoded.nodes.into_iter().collect();
        let load = |id: TreeId| Ok::<_, Error>(nodes[&id].clone());
        let at = path(&dir.to_string());
        let mut expected = entries(&tree);
        expected.retain(|(path, _)| path.starts_with(&at));
        prop_assert_eq!(part(root, &at, load).unwrap(), expected);
        prop_assert!(is_whole(root, load, |_| true).unwrap());
        let leaves = nodes.values().filter(|bytes| bytes[5] == 0);
        let lost = leaves.map(|bytes| TreeId(Digest::derive(crate::hash::Context::TreeNode, bytes)));
        for lost in lost.filter(|id| *id != root) {
            prop_assert!(!is_whole(root, load, |id| id != lost).unwrap());
        }
    }
}
