//! A map by path that also finds what holds a path, and what lies below it.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::path::RelPath;

/// Values by path.
#[derive(Clone, Debug)]
pub(super) struct Places<T>(BTreeMap<RelPath, T>);

impl<T> Places<T> {
    /// Nothing anywhere.
    pub(super) fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Puts a value at a path.
    pub(super) fn insert(&mut self, path: &RelPath, value: T) {
        self.0.insert(path.clone(), value);
    }

    /// What is at the path, or else at the nearest directory above it.
    pub(super) fn holding(&self, path: &RelPath) -> Option<(&str, &T)> {
        let mut text = path.as_str();
        loop {
            if let Some((key, value)) = self.0.get_key_value(text) {
                return Some((key.as_str(), value));
            }
            text = text.rsplit_once('/')?.0;
        }
    }

    /// What lies below the path, by path.
    pub(super) fn below(&self, path: &RelPath) -> impl Iterator<Item = (&str, &T)> {
        let prefix = [path.as_str(), "/"].concat();
        let from = (Bound::Included(prefix.as_str()), Bound::Unbounded);
        self.0
            .range::<str, _>(from)
            .take_while(move |(key, _)| key.as_str().starts_with(&prefix))
            .map(|(key, value)| (key.as_str(), value))
    }

    /// The first value whose path holds this one or lies below it.
    pub(super) fn overlapping(&self, path: &RelPath) -> Option<(&str, &T)> {
        self.holding(path).or_else(|| self.below(path).next())
    }

    /// Everything, by path.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &T)> + Clone {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path() -> impl Strategy<Value = RelPath> {
        // `-` and `.` sort before `/`, which is what makes prefixes tricky.
        prop::collection::vec("[ab][-.]?", 1..4)
            .prop_map(|parts| RelPath::parse(&parts.join("/")).unwrap())
    }

    proptest! {
        #[test]
        fn lookups_agree_with_looking_at_everything(
            known in prop::collection::btree_set(path(), 0..8),
            wanted in path(),
        ) {
            let mut places = Places::new();
            for path in &known {
                places.insert(path, path.clone());
            }
            let holding = known.iter().filter(|path| wanted.starts_with(path))
                .max_by_key(|path| path.as_str().len());
            prop_assert_eq!(places.holding(&wanted).map(|(_, path)| path), holding);
            let below: Vec<&RelPath> = known.iter()
                .filter(|path| path.starts_with(&wanted) && **path != wanted)
                .collect();
            prop_assert_eq!(places.below(&wanted).map(|(_, path)| path).collect::<Vec<_>>(), below);
            let overlaps = known.iter().any(|path| path.overlaps(&wanted));
            prop_assert_eq!(places.overlapping(&wanted).is_some(), overlaps);
        }
    }
}
