//! Order in a graph of names: topological sorting, circles, reach and levels. All loops, no
//! recursion: a chain of any length must not end on the stack.

use std::collections::{BTreeMap, BTreeSet};

/// For each name, names it is tied to.
pub(super) type Edges = BTreeMap<String, BTreeSet<String>>;

/// The same edges the other way round. Both ends of every edge must be names.
pub(super) fn reversed(edges: &Edges) -> Edges {
    let mut reversed: Edges = edges
        .keys()
        .map(|name| (name.clone(), BTreeSet::new()))
        .collect();
    for (name, others) in edges {
        for other in others {
            reversed
                .entry(other.clone())
                .or_default()
                .insert(name.clone());
        }
    }
    reversed
}

/// All names, each after all it needs, among those that could come next by name; or, if there
/// is no such order, a circle.
pub(super) fn sorted(upstream: &Edges, downstream: &Edges) -> Result<Vec<String>, Vec<String>> {
    let mut missing: BTreeMap<&str, usize> = upstream
        .iter()
        .map(|(name, needed)| (name.as_str(), needed.len()))
        .collect();
    let mut ready: BTreeSet<&str> = missing
        .iter()
        .filter(|(_, count)| **count == 0)
        .map(|(name, _)| *name)
        .collect();
    let mut order = Vec::with_capacity(upstream.len());
    while let Some(name) = ready.pop_first() {
        missing.remove(name);
        order.push(name.to_owned());
        for next in downstream.get(name).into_iter().flatten() {
            if let Some(count) = missing.get_mut(next.as_str()) {
                *count -= 1;
                if *count == 0 {
                    ready.insert(next);
                }
            }
        }
    }
    let left: BTreeSet<&str> = missing.into_keys().collect();
    circle(upstream, &left).map_or(Ok(order), Err)
}

/// A circle among the names that no order could place: each of them needs another of them, so
/// walking on must come back. The smallest name stands first and once more at the end.
fn circle(upstream: &Edges, left: &BTreeSet<&str>) -> Option<Vec<String>> {
    let mut walked: Vec<&str> = Vec::new();
    let mut position: BTreeMap<&str, usize> = BTreeMap::new();
    let mut name = *left.first()?;
    while !position.contains_key(name) {
        position.insert(name, walked.len());
        walked.push(name);
        name = upstream
            .get(name)?
            .iter()
            .map(String::as_str)
            .find(|needed| left.contains(needed))?;
    }
    let mut circle = walked.split_off(position[name]);
    let smallest = circle.iter().enumerate().min_by_key(|(_, name)| **name)?.0;
    circle.rotate_left(smallest);
    circle.push(circle[0]);
    Some(circle.into_iter().map(str::to_owned).collect())
}

/// These names and all that can be reached from them; names that are not there are left out.
pub(super) fn reached(edges: &Edges, from: &BTreeSet<String>) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&String> = from
        .iter()
        .filter(|name| edges.contains_key(*name))
        .collect();
    while let Some(name) = open.pop() {
        if reached.insert(name.clone()) {
            open.extend(edges.get(name).into_iter().flatten());
        }
    }
    reached
}

/// Names by the length of the longest chain above them, each level in the given order.
pub(super) fn levels(order: &[String], upstream: &Edges) -> Vec<Vec<String>> {
    let mut levels: Vec<Vec<String>> = Vec::new();
    let mut level_of: BTreeMap<&str, usize> = BTreeMap::new();
    for name in order {
        let above = upstream.get(name).into_iter().flatten();
        let level = above
            .filter_map(|needed| level_of.get(needed.as_str()))
            .max()
            .map_or(0, |level| level + 1);
        level_of.insert(name, level);
        if levels.len() == level {
            levels.push(Vec::new());
        }
        levels[level].push(name.clone());
    }
    levels
}
