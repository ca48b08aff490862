//! Tests of trees: values here, goldens, refusals and properties beside it.

mod golden;
mod properties;
mod raw;
mod refusals;
mod renames;

use std::collections::BTreeMap;

use super::*;
use crate::hash::Digest;

fn path(text: &str) -> RelPath {
    RelPath::parse(text).unwrap()
}

fn file(content: &str) -> Entry {
    Entry::File {
        id: BlobId(Digest::of(content.as_bytes())),
        size: content.len() as u64,
        exec: false,
    }
}

fn link(target: &str) -> Entry {
    Entry::Symlink {
        target: target.to_owned(),
    }
}

fn tree(entries: &[(&str, Entry)]) -> Tree {
    let entries = entries
        .iter()
        .map(|(text, entry)| (path(text), entry.clone()));
    Tree::new(entries.collect()).unwrap()
}

/// A tree of many files whose names have nothing in common, so that it has several leaves.
fn wide(prefix: &str, n_files: usize, content: &str) -> Tree {
    let entry = |i: usize| {
        let name = Digest::of(&i.to_le_bytes());
        (path(&format!("{prefix}{name}{name}")), file(content))
    };
    Tree::new((0..n_files).map(entry).collect()).unwrap()
}

/// Reads a tree back from its nodes.
fn decode(encoded: &Encoded) -> Result<Tree, Error> {
    decode_from(encoded.root, encoded.nodes.iter().cloned().collect())
}

fn decode_from(root: TreeId, mut nodes: BTreeMap<TreeId, Vec<u8>>) -> Result<Tree, Error> {
    Tree::decode(root, |id| Ok::<_, Error>(nodes.remove(&id).unwrap()))
}

#[test]
fn entries_are_found_and_counted() {
    let tree = tree(&[
        ("b/link", link("a")),
        ("a", file("1")),
        ("b/a", file("22")),
        ("c", Entry::EmptyDir),
    ]);
    let paths: Vec<_> = tree.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["a", "b/a", "b/link", "c"]);
    assert_eq!((tree.files(), tree.bytes()), (3, 3));
    assert_eq!(tree.get(&path("b/a")), Some(&file("22")));
    assert_eq!(tree.get(&path("b")), None);
    assert!(!tree.is_empty() && Tree::default().is_empty());
}

#[test]
fn impossible_entries_make_no_tree() {
    let long = "x".repeat(4096);
    let huge = Entry::File {
        id: BlobId(Digest::of(b"")),
        size: u64::MAX,
        exec: false,
    };
    let new = |entries: &[(&str, &Entry)]| {
        let entries = entries
            .iter()
            .map(|(text, entry)| (path(text), (*entry).clone()));
        Tree::new(entries.collect()).unwrap_err()
    };
    let one = file("1");
    assert!(
        matches!(new(&[("a", &one), ("b", &one), ("a", &one)]), Error::Duplicate(at) if at == path("a"))
    );
    let below = new(&[("a/b", &one), ("a-b", &one), ("a", &Entry::EmptyDir)]);
    assert_eq!(
        below.to_string(),
        "`a/b` cannot lie below `a`, which is not a directory"
    );
    for target in ["", "a\0b", &long] {
        assert!(
            matches!(new(&[("a", &link(target))]), Error::Target(_)),
            "{target:?}"
        );
    }
    assert!(matches!(new(&[("a", &huge), ("b", &one)]), Error::TooLarge));
    let deep = path(&vec!["x"; 2048].join("/"));
    let joined = Tree::new(vec![(deep.join(&path("y")), one.clone())]).unwrap_err();
    assert!(matches!(joined, Error::Path(path::Error::TooLong(_))));
}

#[test]
fn parts_and_wholes_are_inverse() {
    let part = tree(&[("a", file("1")), ("b/c", link("../a"))]);
    let around = [
        ("d-x", file("2")),
        ("d0", Entry::EmptyDir),
        ("a", file("3")),
    ];
    let around = around.map(|(text, entry)| (path(text), entry));
    for part in [part, Tree::default()] {
        let mut entries = part.below(&path("d"));
        entries.extend(around.clone());
        let whole = Tree::new(entries).unwrap();
        assert_eq!(whole.subtree(&path("d")), Some(part));
        for nothing in ["d-x", "d-", "e", "d/a/x"] {
            assert_eq!(whole.subtree(&path(nothing)), None, "{nothing}");
        }
        assert_eq!(whole.subtree(&path("d0")), Some(Tree::default()));
    }
}

#[test]
fn a_subtree_has_the_id_of_the_directory_alone() {
    let alone = wide("", 500, "x");
    let mut entries = alone.below(&path("some/dir"));
    entries.push((path("some/other"), file("y")));
    let whole = Tree::new(entries).unwrap();
    assert_eq!(whole.subtree(&path("some/dir")).unwrap().id(), alone.id());
}

#[test]
fn differences_are_named_by_path() {
    let exec = Entry::File {
        id: BlobId(Digest::of(b"1")),
        size: 1,
        exec: true,
    };
    let old = tree(&[
        ("a", file("1")),
        ("b", file("1")),
        ("c", file("1")),
        ("d", link("a")),
        ("e", file("1")),
    ]);
    let new = tree(&[
        ("a", file("2")),
        ("b", exec),
        ("c", file("1")),
        ("d/x", file("1")),
        ("f", file("1")),
    ]);
    let changes = diff(&old, &new);
    let seen: Vec<_> = changes
        .iter()
        .map(|change| (change.path.as_str(), change.kind))
        .collect();
    use ChangeKind::{Added, Deleted, Modified};
    assert_eq!(
        seen,
        [
            ("a", Modified),
            ("b", Modified),
            ("d", Deleted),
            ("d/x", Added),
            ("e", Deleted),
            ("f", Added)
        ]
    );
    assert_eq!(changes[0].old, Some(file("1")));
    assert_eq!(changes[0].new, Some(file("2")));
    assert!(changes.iter().all(|change| change.from.is_none()));
}

#[test]
fn the_references_of_a_node_need_no_paths() {
    let small = tree(&[
        ("a", file("1")),
        ("b", link("a")),
        ("c", Entry::EmptyDir),
        ("d", file("22")),
    ]);
    let encoded = small.encode();
    let refs = node_refs(encoded.root, &encoded.nodes[0].1).unwrap();
    let ids =
        ["1", "22"].map(|content| (BlobId(Digest::of(content.as_bytes())), content.len() as u64));
    assert_eq!(
        refs,
        NodeRefs {
            children: vec![],
            files: ids.to_vec()
        }
    );

    let encoded = wide("", 4000, "x").encode();
    let (root, leaves) = encoded.nodes.split_last().unwrap();
    let refs = node_refs(root.0, &root.1).unwrap();
    assert!(leaves.len() > 1);
    assert_eq!(
        refs.children,
        leaves.iter().map(|(id, _)| *id).collect::<Vec<_>>()
    );
    assert!(refs.files.is_empty());
}

#[test]
fn adding_a_file_rewrites_little() {
    let old = wide("", 8000, "x");
    let mut entries: Vec<_> = old
        .iter()
        .map(|(path, entry)| (path.clone(), entry.clone()))
        .collect();
    entries.push((path("5/new"), file("new")));
    let new = Tree::new(entries).unwrap().encode();
    let old: BTreeMap<_, _> = old.encode().nodes.into_iter().collect();
    let fresh = new
        .nodes
        .iter()
        .filter(|(id, _)| !old.contains_key(id))
        .count();
    assert!(old.len() > 8, "{} nodes", old.len());
    // Its leaf and the root; a few more only if a leaf that was cut by its weight moves its end.
    assert!(fresh <= 4, "{fresh} of {} nodes are new", new.nodes.len());
}
