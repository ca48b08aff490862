//! The order of paths in a tree, and the proof that none is a directory of another.

/// Why a path cannot follow those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clash {
    /// It is not above the path before.
    NotAbove,
    /// The first so many bytes of it are a path of the tree, which therefore is no directory.
    Below(usize),
}

/// Watches ascending paths go by.
///
/// A path and those below it need not be neighbours: `a`, `a-b`, `a/b`. So it keeps the lengths
/// of all earlier paths that are prefixes, byte by byte, of the last one. Any directory of a new
/// path that the last path does not have in common with it begins where the two part, hence one
/// look at the stack is enough.
#[derive(Debug, Default)]
pub(super) struct PathOrder {
    prefixes: Vec<usize>,
}

impl PathOrder {
    /// Takes the path that follows `previous`, which was the last one it took.
    pub(super) fn follow(&mut self, previous: Option<&str>, path: &str) -> Result<(), Clash> {
        let shared = previous.map_or(0, |previous| {
            shared_len(previous.as_bytes(), path.as_bytes())
        });
        if previous.is_some_and(|previous| previous >= path) {
            return Err(Clash::NotAbove);
        }
        while self.prefixes.last().is_some_and(|length| *length > shared) {
            self.prefixes.pop();
        }
        if self.prefixes.last() == Some(&shared) && path.as_bytes()[shared] == b'/' {
            return Err(Clash::Below(shared));
        }
        self.prefixes.push(path.len());
        Ok(())
    }
}

/// How many bytes two keys have in common at their beginning.
pub(super) fn shared_len(a: &[u8], b: &[u8]) -> usize {
    let pairs = a.iter().zip(b);
    pairs.take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn first_clash(paths: &[&str]) -> Option<Clash> {
        let mut order = PathOrder::default();
        let mut previous = None;
        for path in paths {
            if let Err(clash) = order.follow(previous, path) {
                return Some(clash);
            }
            previous = Some(path);
        }
        None
    }

    #[test]
    fn a_file_is_no_directory_even_from_afar() {
        let cases: [(&[&str], Option<Clash>); 8] = [
            (&["a", "a/b"], Some(Clash::Below(1))),
            (&["a", "a-b", "a/b"], Some(Clash::Below(1))),
            (&["a", "a-b", "a-b/c"], Some(Clash::Below(3))),
            (&["a/b", "a/b-c", "a/b/c"], Some(Clash::Below(3))),
            (&["a", "a-", "a-/b", "a/b"], Some(Clash::Below(2))),
            (&["a", "a-b", "a0", "ab/c"], None),
            (&["a", "a"], Some(Clash::NotAbove)),
            (&["b", "a"], Some(Clash::NotAbove)),
        ];
        for (paths, expected) in cases {
            assert_eq!(first_clash(paths), expected, "{paths:?}");
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_looking_at_every_pair(paths in prop::collection::btree_set("[ab](-?/?[ab]){0,3}", 0..12)) {
            let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
            let set: BTreeSet<&str> = paths.iter().copied().collect();
            let clash = paths.iter().any(|path| {
                path.match_indices('/').any(|(at, _)| set.contains(&path[..at]))
            });
            prop_assert_eq!(first_clash(&paths).is_some(), clash);
        }
    }
}
