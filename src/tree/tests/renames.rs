//! Which deletion goes with which addition.

use super::*;

/// `(from, to)` of the renames, and the paths of what is left.
fn renames(old: &[(&str, &str)], new: &[(&str, &str)]) -> (Vec<(String, String)>, Vec<String>) {
    let build = |side: &[(&str, &str)]| {
        let entries = side.iter().map(|(at, content)| (path(at), file(content)));
        Tree::new(entries.collect()).unwrap()
    };
    let (mut pairs, mut left) = (Vec::new(), Vec::new());
    for change in find_renames(diff(&build(old), &build(new))) {
        match change.from {
            Some(from) => {
                assert_eq!(change.kind, ChangeKind::Renamed);
                assert_eq!(change.old, change.new);
                pairs.push((from.to_string(), change.path.to_string()));
            }
            None => left.push(change.path.to_string()),
        }
    }
    (pairs, left)
}

/// Paths with their contents, or with their new paths.
type Pairs = &'static [(&'static str, &'static str)];
/// Old, new, renames, and the paths left.
type Case = (Pairs, Pairs, Pairs, &'static [&'static str]);

#[test]
fn equal_content_is_paired_by_name_and_then_in_order() {
    let cases: [Case; 7] = [
        (
            &[("a/z", "1"), ("b/y", "1")],
            &[("c/1", "1"), ("c/2", "1")],
            &[("a/z", "c/1"), ("b/y", "c/2")],
            &[],
        ),
        (&[("a", "1")], &[("b", "1")], &[("a", "b")], &[]),
        (&[("a", "1")], &[("b", "2")], &[], &["a", "b"]),
        (&[("a", "")], &[("b", "")], &[], &["a", "b"]),
        (
            &[("x/a", "1"), ("x/b", "1")],
            &[("y/b", "1"), ("y/c", "1")],
            &[("x/b", "y/b"), ("x/a", "y/c")],
            &[],
        ),
        (
            &[("a", "1")],
            &[("b", "1"), ("c", "1")],
            &[("a", "b")],
            &["c"],
        ),
        (
            &[("a", "1"), ("b", "1")],
            &[("a", "2"), ("c", "1")],
            &[("b", "c")],
            &["a"],
        ),
    ];
    for (old, new, pairs, left) in cases {
        let seen = renames(old, new);
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect();
        assert_eq!(seen.0, pairs, "{old:?} {new:?}");
        assert_eq!(seen.1, left, "{old:?} {new:?}");
    }
}

#[test]
fn what_stayed_is_no_origin() {
    let (pairs, left) = renames(&[("a", "1")], &[("a", "1"), ("b", "1")]);
    assert_eq!((pairs, left), (vec![], vec!["b".to_owned()]));
}
