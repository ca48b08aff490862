//! Order in a graph of numbers: topological sorting, circles and reach. All loops, no recursion: a
//! chain of any length must not end on the stack.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

/// For each number, those it is tied to, in order.
pub(super) type Edges = Vec<Vec<usize>>;

/// The same edges the other way round.
pub(super) fn reversed(edges: &Edges) -> Edges {
    let mut reversed = vec![Vec::new(); edges.len()];
    for (number, others) in edges.iter().enumerate() {
        for other in others {
            reversed[*other].push(number);
        }
    }
    reversed
}

/// All numbers, each after all it needs, among those that could come next the smallest first; or,
/// if there is no such order, a circle.
pub(super) fn sorted(upstream: &Edges, downstream: &Edges) -> Result<Vec<usize>, Vec<usize>> {
    let mut missing: Vec<usize> = upstream.iter().map(Vec::len).collect();
    let begins = (0..missing.len()).filter(|number| missing[*number] == 0);
    let mut ready: BinaryHeap<_> = begins.map(Reverse).collect();
    let mut order = Vec::with_capacity(missing.len());
    while let Some(Reverse(number)) = ready.pop() {
        order.push(number);
        for next in &downstream[number] {
            missing[*next] -= 1;
            if missing[*next] == 0 {
                ready.push(Reverse(*next));
            }
        }
    }
    circle(upstream, &missing).map_or(Ok(order), Err)
}

/// A circle among the numbers that miss something, so that no order could place them: each of them
/// needs another of them, so walking on must come back. The smallest stands first and once more at
/// the end.
fn circle(upstream: &Edges, missing: &[usize]) -> Option<Vec<usize>> {
    let mut walked: Vec<usize> = Vec::new();
    let mut position = vec![None; missing.len()];
    let mut number = missing.iter().position(|count| *count > 0)?;
    while position[number].is_none() {
        position[number] = Some(walked.len());
        walked.push(number);
        let mut needed = upstream[number].iter().copied();
        number = needed.find(|needed| missing[*needed] > 0)?;
    }
    let mut circle = walked.split_off(position[number]?);
    let smallest = circle
        .iter()
        .enumerate()
        .min_by_key(|(_, number)| **number)?
        .0;
    circle.rotate_left(smallest);
    circle.push(circle[0]);
    Some(circle)
}

/// These numbers and all that can be reached from them.
pub(super) fn reached(edges: &Edges, from: impl IntoIterator<Item = usize>) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<usize> = from.into_iter().collect();
    while let Some(number) = open.pop() {
        if reached.insert(number) {
            open.extend(&edges[number]);
        }
    }
    reached
}
