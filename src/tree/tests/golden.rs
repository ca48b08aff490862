//! The vectors of `fixtures/formats/tree-v1`, which an implementation written from
//! `docs/format.md` alone has made.

use super::*;

const EMPTY: &[u8] = include_bytes!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/fixtures/formats/tree-v1/empty.node"
));
const SMALL: &[u8] = include_bytes!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/fixtures/formats/tree-v1/small.node"
));
const ROOTS: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/fixtures/formats/tree-v1/roots.txt"
));

fn golden_root(name: &str) -> TreeId {
    let line = ROOTS
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap().parse().unwrap()
}

fn small() -> Tree {
    let exec = Entry::File {
        id: BlobId(Digest::of(b"bin/run")),
        size: 7,
        exec: true,
    };
    let z = Entry::File {
        id: BlobId(Digest::of(b"")),
        size: 1 << 40,
        exec: false,
    };
    tree(&[
        ("README.md", file("README.md")),
        ("bin/run", exec),
        ("bin/tool", link("run")),
        ("data/empty", Entry::EmptyDir),
        ("data/raw-1.csv", file("data/raw-1.csv")),
        ("data/raw/1.csv", file("data/raw/1.csv")),
        ("data/raw/ünï.csv", file("data/raw/ünï.csv")),
        ("z", z),
    ])
}

fn large() -> Tree {
    let entry = |i: usize| {
        let entry = if i % 100 == 99 {
            link(&format!("f{:05}.bin", i - 1))
        } else if i.is_multiple_of(250) {
            Entry::EmptyDir
        } else {
            let id = BlobId(Digest::of(i.to_string().as_bytes()));
            Entry::File {
                id,
                size: 37 * i as u64,
                exec: i % 5 == 1,
            }
        };
        (path(&format!("d{:02}/f{i:05}.bin", i % 17)), entry)
    };
    Tree::new((0..5000).map(entry).collect()).unwrap()
}

pub(super) fn deep() -> Tree {
    let rest = format!("/{}", "x".repeat(249)).repeat(16);
    let entry = |i: usize| {
        let id = BlobId(Digest::of(i.to_string().as_bytes()));
        (
            path(&format!("{i:05}{rest}")),
            Entry::File {
                id,
                size: i as u64,
                exec: false,
            },
        )
    };
    Tree::new((0..4400).map(entry).collect()).unwrap()
}

#[test]
fn one_node_is_what_the_format_says_byte_for_byte() {
    for (name, tree, bytes) in [("empty", Tree::default(), EMPTY), ("small", small(), SMALL)] {
        let encoded = tree.encode();
        assert_eq!(encoded.root, golden_root(name));
        assert_eq!(encoded.nodes, [(encoded.root, bytes.to_vec())]);
        assert_eq!(decode(&encoded).unwrap(), tree);
    }
}

#[test]
fn many_nodes_are_cut_where_the_format_says() {
    for (name, tree, n_nodes) in [("large", large(), 6), ("deep", deep(), 74)] {
        let encoded = tree.encode();
        assert_eq!(encoded.root, golden_root(name));
        assert_eq!(encoded.nodes.len(), n_nodes);
        assert_eq!(decode(&encoded).unwrap(), tree);
    }
}

/// A node that is not the last of its level is a tree of its own, and ends where the rule ends it.
#[test]
fn a_tree_that_ends_where_a_node_ends_has_no_empty_node() {
    let leaves = wide("", 4000, "x").encode().nodes;
    let nodes = deep().encode().nodes;
    let middle = nodes.iter().position(|(_, bytes)| bytes[5] == 1).unwrap();
    for nodes in [&leaves[..1], &nodes[..=middle]] {
        let (root, _) = nodes.last().unwrap();
        let alone = decode_from(*root, nodes.iter().cloned().collect()).unwrap();
        let encoded = alone.encode();
        assert_eq!(encoded.root, *root);
        assert_eq!(encoded.nodes.len(), alone_len(nodes, *root));
    }
}

/// How many of these nodes the tree of one of them has.
fn alone_len(nodes: &[(TreeId, Vec<u8>)], root: TreeId) -> usize {
    let bytes = nodes
        .iter()
        .find_map(|(id, bytes)| (*id == root).then_some(bytes));
    1 + node_refs(root, bytes.unwrap()).unwrap().children.len()
}
