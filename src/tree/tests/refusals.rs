//! Every rule that a reader must refuse to see broken, each with bytes that break it.

use super::raw::{Raw, decode_nodes, id_of, varint};
use super::*;
use crate::tree::format::MAX_LEVEL;

fn fault_of(nodes: &[Vec<u8>]) -> Fault {
    match decode_nodes(nodes).unwrap_err() {
        Error::Node { fault, .. } => fault,
        other => panic!("{other}"),
    }
}

fn refuse(what: &str, raw: &Raw, expected: &Fault) {
    let bytes = raw.to_bytes();
    assert_eq!(fault_of(std::slice::from_ref(&bytes)), *expected, "{what}");
    let Err(Error::Node { fault, .. }) = node_refs(id_of(&bytes), &bytes) else {
        panic!("{what}: references are read");
    };
    assert_eq!(fault, *expected, "{what}: references");
}

fn with_head(at: usize, byte: u8) -> Raw {
    let mut raw = Raw::new(0).file(0, "a", 1);
    raw.head[at] = byte;
    raw
}

#[test]
fn made_by_hand_is_as_good() {
    let raw = Raw::new(0).file(0, "a", 1).dir(0, "b").file(1, "c", 300);
    let tree = decode_nodes(&[raw.to_bytes()]).unwrap();
    assert_eq!(tree.encode().nodes[0].1, raw.to_bytes());
}

#[test]
fn headers() {
    refuse("magic", &with_head(0, b'e'), &Fault::Magic);
    refuse("version 0", &with_head(4, 0), &Fault::Magic);
    refuse("zeros", &with_head(6, 1), &Fault::Reserved);
    refuse("zeros", &with_head(7, 1), &Fault::Reserved);
    refuse("level", &with_head(5, MAX_LEVEL + 1), &Fault::Level);
    let newer = with_head(4, 2).to_bytes();
    assert!(matches!(
        decode_nodes(&[newer]),
        Err(Error::Newer { version: 2, .. })
    ));
    for length in 0..28 {
        let bytes = with_head(0, b'E').to_bytes()[..length].to_vec();
        assert_eq!(fault_of(&[bytes]), Fault::CutShort, "{length}");
    }
}

#[test]
fn the_wrong_bytes() {
    let bytes = Raw::new(0).to_bytes();
    let id = TreeId(Digest::of(&bytes));
    let error = decode_from(id, [(id, bytes)].into()).unwrap_err();
    assert!(matches!(
        error,
        Error::Node {
            fault: Fault::Hash,
            ..
        }
    ));
    assert_eq!(error.to_string(), format!("tree node {id} is damaged"));
    refuse(
        "too large",
        &Raw::new(0).with(&vec![0; MAX_NODE]),
        &Fault::TooLarge,
    );
}

#[test]
fn counts() {
    let good = Raw::new(0).file(0, "a", 1).dir(0, "b");
    for count in [3, 13, u32::MAX] {
        let raw = Raw {
            count,
            ..good.clone()
        };
        let expected = if count == 3 {
            Fault::CutShort
        } else {
            Fault::Count
        };
        refuse("more", &raw, &expected);
    }
    refuse(
        "fewer",
        &Raw {
            count: 1,
            ..good.clone()
        },
        &Fault::TrailingBytes,
    );
    refuse("trailing", &good.clone().with(&[0]), &Fault::TrailingBytes);
    for cut in 1..=good.body.len() {
        let mut raw = good.clone();
        raw.body.truncate(good.body.len() - cut);
        let fault = fault_of(&[raw.to_bytes()]);
        assert!(
            matches!(fault, Fault::CutShort | Fault::Count),
            "{cut}: {fault}"
        );
    }
    refuse("nothing above", &Raw::new(1), &Fault::TooFew);
}

#[test]
fn keys() {
    let new = || Raw::new(0);
    let after_ab = || new().file(0, "ab", 1);
    refuse("first shares", &new().file(1, "a", 1), &Fault::Shared);
    refuse(
        "shares too much",
        &after_ab().file(3, "c", 1),
        &Fault::Shared,
    );
    refuse(
        "shares too little",
        &after_ab().file(0, "ac", 1),
        &Fault::Shared,
    );
    refuse(
        "shares huge",
        &after_ab().file(usize::MAX, "c", 1),
        &Fault::CutShort,
    );
    refuse("no suffix", &after_ab().file(2, "", 1), &Fault::Order);
    refuse("empty", &new().file(0, "", 1), &Fault::Order);
    refuse("descends", &after_ab().file(1, "a", 1), &Fault::Order);
    refuse(
        "long form",
        &new().key(0, "a").with(&[0, 0, 0x81, 0]).with(&[7; 32]),
        &Fault::Varint,
    );
    let long = "x/".repeat(2048) + "x";
    refuse("long", &new().file(0, &long, 1), &Fault::KeyTooLong);
    let halves = new().file(0, "é", 1).key(1, "").with(&[]);
    let mut torn = halves;
    torn.body.pop();
    torn.body.extend([1, 0xff, 2]);
    refuse("not utf-8", &torn, &Fault::NotUtf8);
}

#[test]
fn paths() {
    let names = [
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "../a",
        "a/../b",
        "a/./b",
        "a\0",
        ".git/hooks/x",
        "a/.GIT",
        ".esker",
        "git~1",
    ];
    for name in names {
        let bytes = Raw::new(0).file(0, name, 1).to_bytes();
        assert!(matches!(fault_of(&[bytes]), Fault::Path(_)), "{name:?}");
    }
    let wide_name = "x".repeat(256);
    let bytes = Raw::new(1)
        .child(0, &wide_name, TreeId(Digest::of(b"")), 1, 1)
        .to_bytes();
    assert!(matches!(
        fault_of(&[bytes]),
        Fault::Path(path::Error::TooLong(_))
    ));
}

#[test]
fn entries() {
    let new = || Raw::new(0);
    refuse("kind", &new().key(0, "a").with(&[3]), &Fault::Kind);
    refuse(
        "flags",
        &new().key(0, "a").with(&[0, 2, 1]).with(&[7; 32]),
        &Fault::Reserved,
    );
    let target = |target: &[u8]| {
        let mut raw = new().key(0, "a").with(&[1]);
        varint(&mut raw.body, target.len() as u64);
        raw.files = 1;
        raw.with(target)
    };
    refuse("empty target", &target(b""), &Fault::Target);
    refuse("nul target", &target(b"a\0"), &Fault::Target);
    refuse("long target", &target(&[b'x'; 4096]), &Fault::Target);
    refuse("target not utf-8", &target(&[0xff]), &Fault::NotUtf8);
    assert!(decode_nodes(&[target(&[b'x'; 4095]).to_bytes()]).is_ok());
}

#[test]
fn sums() {
    let good = Raw::new(0).file(0, "a", 1).dir(0, "b");
    refuse(
        "files",
        &Raw {
            files: 2,
            ..good.clone()
        },
        &Fault::Totals,
    );
    refuse("bytes", &Raw { bytes: 2, ..good }, &Fault::Totals);
    let overflow = Raw::new(0).file(0, "a", u64::MAX).file(0, "b", 1);
    refuse("overflow", &overflow, &Fault::Totals);
    let id = TreeId(Digest::of(b""));
    let above = Raw::new(1)
        .child(0, "a", id, u64::MAX, 0)
        .child(0, "b", id, 1, 0);
    refuse("overflow above", &above, &Fault::Totals);
}

#[test]
fn a_file_as_a_directory() {
    let raw = Raw::new(0)
        .file(0, "a", 1)
        .file(1, "-b", 1)
        .file(1, "/b", 1);
    let fault = fault_of(&[raw.to_bytes()]);
    assert_eq!(fault, Fault::NotADirectory("a".to_owned()));
}

/// A leaf that the rule ends, with its last key and totals: the first of a tree whose files all
/// begin with `prefix`.
fn full_leaf(first: &[(&str, Entry)], prefix: &str) -> (Vec<u8>, RelPath, u64, u64) {
    let wide = wide(prefix, 4000, "x");
    let mut entries: Vec<_> = wide
        .iter()
        .map(|(path, entry)| (path.clone(), entry.clone()))
        .collect();
    entries.extend(
        first
            .iter()
            .map(|(text, entry)| (path(text), entry.clone())),
    );
    let encoded = Tree::new(entries).unwrap().encode();
    let (id, bytes) = &encoded.nodes[0];
    let leaf = decode::Node::decode(*id, bytes).unwrap();
    assert!(leaf.is_full);
    (
        bytes.clone(),
        leaf.last().unwrap().clone(),
        leaf.files,
        leaf.bytes,
    )
}

/// A tree of the full leaf, and one of the given entries behind it.
fn two_leaves(first: &[(&str, Entry)], second: &[(&str, Entry)]) -> Vec<Vec<u8>> {
    let (leaf, last, files, bytes) = full_leaf(first, "a-");
    let tree = tree(second);
    let behind = tree.encode().nodes[0].1.clone();
    let (end, _) = tree.iter().last().unwrap();
    let shared = order::shared_len(last.as_str().as_bytes(), end.as_str().as_bytes());
    let root = Raw::new(1)
        .child(0, last.as_str(), id_of(&leaf), files, bytes)
        .child(
            shared,
            &end.as_str()[shared..],
            id_of(&behind),
            tree.files(),
            tree.bytes(),
        );
    vec![leaf, behind, root.to_bytes()]
}

#[test]
fn leaves_that_do_not_fit_together() {
    let x = file("x");
    let fine = two_leaves(&[("Z", x.clone())], &[("a/b", x.clone()), ("z", x.clone())]);
    assert_eq!(decode_nodes(&fine).unwrap().encode().nodes.len(), 3);
    let again = two_leaves(&[("Z", x.clone())], &[("Z", x.clone()), ("z", x.clone())]);
    assert_eq!(fault_of(&again), Fault::Order);
    let below = two_leaves(&[("a", x.clone())], &[("a/b", x)]);
    assert_eq!(fault_of(&below), Fault::NotADirectory("a".to_owned()));
}

#[test]
fn children_that_are_not_what_the_parent_says() {
    let (leaf, last, files, bytes) = full_leaf(&[], "a-");
    let behind = Raw::new(0).file(0, "z", 1).to_bytes();
    let root = |key: &str, files, bytes, id| {
        Raw::new(1)
            .child(0, key, id_of(&leaf), files, bytes)
            .child(0, "z", id, 1, 1)
            .to_bytes()
    };
    let fault =
        |root: Vec<u8>| fault_of(&[leaf.clone(), behind.clone(), Raw::new(0).to_bytes(), root]);
    let (key, id) = (last.as_str(), id_of(&behind));
    assert!(decode_nodes(&[leaf.clone(), behind.clone(), root(key, files, bytes, id)]).is_ok());
    assert_eq!(fault(root("a-", files, bytes, id)), Fault::Child);
    assert_eq!(fault(root(key, files + 1, bytes, id)), Fault::Child);
    assert_eq!(fault(root(key, files, bytes - 1, id)), Fault::Child);
    assert_eq!(
        fault(root(key, files, bytes, id_of(&Raw::new(0).to_bytes()))),
        Fault::TooFew
    );
    let mut high = Raw::new(2)
        .child(0, key, id_of(&leaf), files, bytes)
        .child(0, "z", id, 1, 1);
    assert_eq!(fault(high.to_bytes()), Fault::Level);
    high.head[5] = 1;
    assert!(decode_nodes(&[leaf.clone(), behind.clone(), high.to_bytes()]).is_ok());
}

#[test]
fn a_root_with_one_child() {
    let leaf = Raw::new(0).file(0, "a", 1).to_bytes();
    let root = Raw::new(1).child(0, "a", id_of(&leaf), 1, 1).to_bytes();
    assert_eq!(fault_of(&[leaf, root]), Fault::TooFew);
}

#[test]
fn nodes_that_end_too_early_or_too_late() {
    let early = Raw::new(0).file(0, "a", 1).to_bytes();
    let behind = Raw::new(0).file(0, "b", 1).to_bytes();
    let root = Raw::new(1)
        .child(0, "a", id_of(&early), 1, 1)
        .child(0, "b", id_of(&behind), 1, 1);
    assert_eq!(fault_of(&[early, behind, root.to_bytes()]), Fault::Boundary);

    let entries = wide("", 4000, "x");
    let late = entries
        .iter()
        .fold((Raw::new(0), ""), |(raw, before), (path, _)| {
            let shared = order::shared_len(before.as_bytes(), path.as_str().as_bytes());
            (raw.file(shared, &path.as_str()[shared..], 1), path.as_str())
        });
    refuse("too late", &late.0, &Fault::Boundary);
}

/// Only the last leaf of the whole tree may end without the rule, not the last one of a node in
/// the middle.
#[test]
fn a_leaf_that_ends_too_early_below_a_node_that_does_not() {
    let deep = golden::deep().encode();
    let mut nodes: BTreeMap<TreeId, Vec<u8>> = deep.nodes.iter().cloned().collect();
    let children = |id: TreeId, bytes: &[u8]| match decode::Node::decode(id, bytes).unwrap().content
    {
        decode::Content::Internal(children) => children,
        decode::Content::Leaf(_) => panic!("a leaf"),
    };
    let rebuild = |level: u8, children: &[decode::Child]| {
        let start = (Raw::new(level), "");
        let rebuilt = children.iter().fold(start, |(raw, before), child| {
            let key = child.last.as_str();
            let shared = order::shared_len(before.as_bytes(), key.as_bytes());
            (
                raw.child(shared, &key[shared..], child.id, child.files, child.bytes),
                key,
            )
        });
        rebuilt.0.to_bytes()
    };
    let mut halves = children(deep.root, &nodes[&deep.root]);
    let mut leaves = children(halves[0].id, &nodes[&halves[0].id]);
    assert_eq!(rebuild(2, &halves), nodes[&deep.root]);

    let leaf = leaves.last_mut().unwrap();
    let short = Raw::new(0).file(0, leaf.last.as_str(), 1).to_bytes();
    let (lost_files, lost_bytes) = (leaf.files - 1, leaf.bytes - 1);
    (leaf.id, leaf.files, leaf.bytes) = (id_of(&short), 1, 1);
    nodes.insert(leaf.id, short);
    let half = rebuild(1, &leaves);
    halves[0].id = id_of(&half);
    halves[0].files -= lost_files;
    halves[0].bytes -= lost_bytes;
    nodes.insert(halves[0].id, half);
    let root = rebuild(2, &halves);
    let id = id_of(&root);
    nodes.insert(id, root);
    let error = decode_from(id, nodes).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Node {
                fault: Fault::Boundary,
                ..
            }
        ),
        "{error:?}"
    );
}

#[test]
fn few_bytes_that_unfold_to_many() {
    let stem = "x".repeat(250);
    let entries = (0..50)
        .map(|i| (path(&format!("{stem}{i:02}")), file("x")))
        .collect();
    let encoded = Tree::new(entries).unwrap().encode();
    let bytes = encoded.nodes[0].1.clone();
    let read = |path_bytes| {
        let load = |_| Ok::<_, Error>(bytes.clone());
        read::read(encoded.root, load, read::Limits { path_bytes })
    };
    assert!(matches!(read(252 * 50 - 1), Err(Error::TooLarge)));
    assert_eq!(read(252 * 50).unwrap().len(), 50);
}
