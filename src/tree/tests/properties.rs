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
}
