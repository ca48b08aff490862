//! Places the nodes of a graph in layers from left to right: each after all it needs, in an order
//! with few crossings, in rows that keep chains straight. Knows neither terminals nor stages.
//!
//! The steps are those of Sugiyama: layers by the longest path, places for edges that pass a layer
//! by, sweeps that sort each layer by the mean place of its neighbours, then rows. Lines between two
//! layers run in *tracks*: what has the same targets shares one, so that a fan-out and a fan-in of any
//! size is one line.

use std::collections::{BTreeMap, BTreeSet};

/// A graph of more nodes and bends, or more edges than this is not for eyes.
const MAX_SLOTS: usize = 5_000;
const MAX_EDGES: usize = 10_000;
/// How often the layers are sorted anew; few graphs change after the fourth time.
const SWEEPS: usize = 8;

/// What stands at a place of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// The node of this number.
    Node(usize),
    /// Edges of this node on their way further right.
    Pass(usize),
}

/// A place in a layer.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    /// Who has it.
    pub(crate) item: Item,
    /// The row, from 0 at the top; each has one place of a layer at most.
    pub(crate) row: usize,
    /// The places of the next layer it is tied to, by their position there.
    pub(crate) next: Vec<usize>,
}

/// Places of one layer that are tied to all of some places of the next.
#[derive(Clone, Debug)]
pub(crate) struct Net {
    /// Rows on the left.
    pub(crate) from: BTreeSet<usize>,
    /// Rows on the right.
    pub(crate) to: BTreeSet<usize>,
    /// The track of its vertical line; a line that is straight has none.
    pub(crate) track: Option<usize>,
}

/// A graph in layers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layers {
    /// From left to right; the places of each from top to bottom.
    pub(crate) layers: Vec<Vec<Slot>>,
    /// The lines behind each layer.
    pub(crate) gaps: Vec<Vec<Net>>,
}

impl Layers {
    /// Lays out nodes `0..n_nodes`; an edge leads to the node that needs the other. `None` if there
    /// is a circle, or too much to draw.
    pub(crate) fn new(n_nodes: usize, edges: &BTreeSet<(usize, usize)>) -> Option<Self> {
        if n_nodes > MAX_SLOTS || edges.len() > MAX_EDGES {
            return None;
        }
        let levels = levels(n_nodes, edges)?;
        let mut draft = Draft::new(&levels, edges)?;
        draft.reduce_crossings();
        let (mut rows, mut gaps) = draft.rows();
        if let Some(straight) = draft.straighten(&rows) {
            (rows, gaps) = straight;
        }
        Some(Self {
            layers: draft.slots(&rows),
            gaps,
        })
    }

    /// How many rows there are.
    pub(crate) fn height(&self) -> usize {
        let rows = self.layers.iter().flatten().map(|slot| slot.row + 1);
        rows.max().unwrap_or(0)
    }
}

impl Net {
    /// The topmost and the lowest row of its lines.
    pub(crate) fn span(&self) -> (usize, usize) {
        let rows = || self.from.iter().chain(&self.to).copied();
        (rows().min().unwrap_or(0), rows().max().unwrap_or(0))
    }

    fn is_straight(&self) -> bool {
        self.from.len() == 1 && self.from == self.to
    }
}

/// The layer of each node: behind all it needs. What needs nothing stands right before the first
/// that needs it, so that no line is longer than it must be.
fn levels(n_nodes: usize, edges: &BTreeSet<(usize, usize)>) -> Option<Vec<usize>> {
    let mut missing = vec![0_usize; n_nodes];
    let mut targets = vec![Vec::new(); n_nodes];
    for &(from, to) in edges {
        missing[to] += 1;
        targets[from].push(to);
    }
    let is_source: Vec<bool> = missing.iter().map(|count| *count == 0).collect();
    let mut ready: Vec<usize> = (0..n_nodes).filter(|node| is_source[*node]).collect();
    let mut levels = vec![0; n_nodes];
    let mut n_placed = 0;
    while let Some(node) = ready.pop() {
        n_placed += 1;
        for &target in &targets[node] {
            levels[target] = levels[target].max(levels[node] + 1);
            missing[target] -= 1;
            if missing[target] == 0 {
                ready.push(target);
            }
        }
    }
    for node in (0..n_nodes).filter(|node| is_source[*node]) {
        let first = targets[node].iter().map(|target| levels[*target]).min();
        levels[node] = first.map_or(0, |first| first - 1);
    }
    (n_placed == n_nodes).then_some(levels)
}

/// Places by number, while their order is sought.
struct Draft {
    items: Vec<Item>,
    next: Vec<Vec<usize>>,
    previous: Vec<Vec<usize>>,
    /// The places of each layer, from top to bottom.
    layers: Vec<Vec<usize>>,
    /// Where each place stands in its layer.
    position: Vec<usize>,
}

impl Draft {
    fn new(levels: &[usize], edges: &BTreeSet<(usize, usize)>) -> Option<Self> {
        let n_layers = levels.iter().max().map_or(0, |last| last + 1);
        let mut draft = Self {
            items: (0..levels.len()).map(Item::Node).collect(),
            next: vec![Vec::new(); levels.len()],
            previous: vec![Vec::new(); levels.len()],
            layers: vec![Vec::new(); n_layers],
            position: Vec::new(),
        };
        for (node, level) in levels.iter().enumerate() {
            draft.layers[*level].push(node);
        }
        // The edges of a node share the places they pass.
        let mut passes: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for &(from, to) in edges {
            let chain = passes.entry(from).or_default();
            let n_needed = levels[to] - levels[from] - 1;
            while chain.len() < n_needed {
                let level = levels[from] + 1 + chain.len();
                let before = chain.last().copied().unwrap_or(from);
                chain.push(draft.pass(from, level, before));
                if draft.items.len() > MAX_SLOTS {
                    return None;
                }
            }
            let before = n_needed.checked_sub(1).map_or(from, |last| chain[last]);
            draft.tie(before, to);
        }
        draft.position = vec![0; draft.items.len()];
        draft.number();
        Some(draft)
    }

    fn pass(&mut self, node: usize, level: usize, before: usize) -> usize {
        let slot = self.items.len();
        self.items.push(Item::Pass(node));
        self.next.push(Vec::new());
        self.previous.push(Vec::new());
        self.layers[level].push(slot);
        self.tie(before, slot);
        slot
    }

    fn tie(&mut self, from: usize, to: usize) {
        self.next[from].push(to);
        self.previous[to].push(from);
    }

    fn number(&mut self) {
        for layer in &self.layers {
            for (at, slot) in layer.iter().enumerate() {
                self.position[*slot] = at;
            }
        }
    }

    /// Sorts layer after layer by the neighbours in the one before, then the other way, and keeps
    /// the best order that was met.
    fn reduce_crossings(&mut self) {
        let mut best = (self.crossings(), self.layers.clone());
        for sweep in 0..SWEEPS {
            if best.0 == 0 {
                break;
            }
            let n_layers = self.layers.len();
            for step in 1..n_layers {
                match sweep % 2 {
                    0 => self.sort_layer(step, true),
                    _ => self.sort_layer(n_layers - 1 - step, false),
                }
            }
            let crossings = self.crossings();
            if crossings < best.0 {
                best = (crossings, self.layers.clone());
            }
        }
        self.layers = best.1;
        self.number();
    }

    fn sort_layer(&mut self, level: usize, by_previous: bool) {
        let neighbours = if by_previous {
            &self.previous
        } else {
            &self.next
        };
        // What has no neighbours keeps its place.
        #[expect(clippy::cast_precision_loss, reason = "there are at most MAX_SLOTS")]
        let mean = |slot: &usize| {
            let around = &neighbours[*slot];
            let sum: usize = around.iter().map(|other| self.position[*other]).sum();
            match around.len() {
                0 => self.position[*slot] as f64,
                count => sum as f64 / count as f64,
            }
        };
        let mut sorted: Vec<(f64, usize)> = self.layers[level]
            .iter()
            .map(|slot| (mean(slot), *slot))
            .collect();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.layers[level] = sorted.into_iter().map(|(_, slot)| slot).collect();
        for (at, slot) in self.layers[level].iter().enumerate() {
            self.position[*slot] = at;
        }
    }

    fn crossings(&self) -> usize {
        self.layers
            .iter()
            .map(|layer| self.crossings_of(layer))
            .sum()
    }

    /// How many pairs of lines behind a layer cross: the inversions in the order of their ends.
    fn crossings_of(&self, layer: &[usize]) -> usize {
        let mut seen: Vec<usize> = Vec::new();
        let mut crossings = 0;
        for slot in layer {
            let mut ends: Vec<usize> = self.next[*slot]
                .iter()
                .map(|next| self.position[*next])
                .collect();
            ends.sort_unstable();
            let above = |end: &usize| seen.len() - seen.partition_point(|other| other <= end);
            crossings += ends.iter().map(above).sum::<usize>();
            for end in ends {
                seen.insert(seen.partition_point(|other| *other <= end), end);
            }
        }
        crossings
    }

    /// A row for each place, and the lines between the layers. A layer stands as high as its
    /// neighbours on the left allow; where its lines would then run into each other, lower.
    fn rows(&self) -> (Vec<usize>, Vec<Vec<Net>>) {
        let mut rows = vec![0; self.items.len()];
        let mut gaps = Vec::new();
        for (level, layer) in self.layers.iter().enumerate() {
            let Some(before) = level.checked_sub(1).map(|before| &self.layers[before]) else {
                self.set_rows(layer, 0, &mut rows);
                continue;
            };
            // Below all rows on the left nothing is in the way.
            let below = before.iter().map(|slot| rows[*slot] + 1).max().unwrap_or(0);
            for shift in [0, 1, 2, below] {
                self.set_rows(layer, shift, &mut rows);
                if let Some(gap) = gap(self.nets(before, &rows)) {
                    gaps.push(gap);
                    break;
                }
            }
        }
        (rows, gaps)
    }

    /// Rows in which what leads to one place alone stands as low as that, so that long lines bend
    /// once; `None` if lines would then run into each other.
    fn straighten(&self, rows: &[usize]) -> Option<(Vec<usize>, Vec<Vec<Net>>)> {
        let mut rows = rows.to_vec();
        for layer in self.layers.iter().rev() {
            let mut limit = usize::MAX;
            for slot in layer.iter().rev() {
                if let [next] = self.next[*slot].as_slice() {
                    rows[*slot] = rows[*next].min(limit).max(rows[*slot]);
                }
                limit = rows[*slot].saturating_sub(1);
            }
        }
        let before = self.layers.iter().take(self.layers.len().saturating_sub(1));
        let gaps: Option<_> = before.map(|layer| gap(self.nets(layer, &rows))).collect();
        Some((rows, gaps?))
    }

    fn set_rows(&self, layer: &[usize], shift: usize, rows: &mut [usize]) {
        let mut free = 0;
        for slot in layer {
            let mut around: Vec<usize> = self.previous[*slot].iter().map(|s| rows[*s]).collect();
            around.sort_unstable();
            let middle = around.len().saturating_sub(1) / 2;
            let wanted = around.get(middle).copied().unwrap_or(0);
            rows[*slot] = free.max(wanted + shift);
            free = rows[*slot] + 1;
        }
    }

    fn nets(&self, layer: &[usize], rows: &[usize]) -> Vec<Net> {
        let mut nets: BTreeMap<BTreeSet<usize>, BTreeSet<usize>> = BTreeMap::new();
        for slot in layer.iter().filter(|slot| !self.next[**slot].is_empty()) {
            let to = self.next[*slot].iter().map(|next| rows[*next]).collect();
            nets.entry(to).or_default().insert(rows[*slot]);
        }
        let nets = nets.into_iter();
        nets.map(|(to, from)| Net {
            from,
            to,
            track: None,
        })
        .collect()
    }

    fn slots(&self, rows: &[usize]) -> Vec<Vec<Slot>> {
        let slot = |slot: &usize| {
            let next = self.next[*slot].iter();
            let mut next: Vec<usize> = next.map(|next| self.position[*next]).collect();
            next.sort_unstable();
            Slot {
                item: self.items[*slot],
                row: rows[*slot],
                next,
            }
        };
        let layers = self.layers.iter();
        layers
            .map(|layer| layer.iter().map(slot).collect())
            .collect()
    }
}

/// Gives each net its track. Where the line of a net begins in the row in which lines of others
/// end, it has to turn off before they arrive: `None` if two wait for each other.
fn gap(mut nets: Vec<Net>) -> Option<Vec<Net>> {
    let mut comes_before = vec![Vec::new(); nets.len()];
    let mut n_before = vec![0_usize; nets.len()];
    for (at, net) in nets
        .iter()
        .enumerate()
        .filter(|(_, net)| !net.is_straight())
    {
        for (other_at, other) in nets.iter().enumerate() {
            if other_at != at && !other.is_straight() && !net.from.is_disjoint(&other.to) {
                comes_before[at].push(other_at);
                n_before[other_at] += 1;
            }
        }
    }
    let place = |nets: &[Net], at: usize| (nets[at].to.len() == 1, nets[at].span(), at);
    let mut ready: BTreeSet<_> = (0..nets.len())
        .filter(|at| n_before[*at] == 0)
        .map(|at| place(&nets, at))
        .collect();
    let mut first = vec![0_usize; nets.len()];
    let mut taken: Vec<Vec<(usize, usize)>> = Vec::new();
    let mut n_placed = 0;
    while let Some((_, span, at)) = ready.pop_first() {
        n_placed += 1;
        if !nets[at].is_straight() {
            let track = free_track(&mut taken, first[at], span);
            nets[at].track = Some(track);
            for &later in &comes_before[at] {
                first[later] = first[later].max(track + 1);
            }
        }
        for &later in &comes_before[at] {
            n_before[later] -= 1;
            if n_before[later] == 0 {
                ready.insert(place(&nets, later));
            }
        }
    }
    (n_placed == nets.len()).then_some(nets)
}

/// The first track from `first` on in which no line stands in these rows.
fn free_track(taken: &mut Vec<Vec<(usize, usize)>>, first: usize, span: (usize, usize)) -> usize {
    let is_free = |spans: &Vec<(usize, usize)>| {
        let apart = |other: &(usize, usize)| other.1 < span.0 || span.1 < other.0;
        spans.iter().all(apart)
    };
    let track = (first..taken.len()).find(|track| is_free(&taken[*track]));
    let track = track.unwrap_or(taken.len().max(first));
    while taken.len() <= track {
        taken.push(Vec::new());
    }
    taken[track].push(span);
    track
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    fn layers(n_nodes: usize, edges: &[(usize, usize)]) -> Layers {
        Layers::new(n_nodes, &edges.iter().copied().collect()).unwrap()
    }

    /// The nodes of each layer with their rows.
    fn nodes(layers: &Layers) -> Vec<Vec<(usize, usize)>> {
        let node = |slot: &Slot| match slot.item {
            Item::Node(node) => Some((node, slot.row)),
            Item::Pass(_) => None,
        };
        let layers = layers.layers.iter();
        layers
            .map(|layer| layer.iter().filter_map(node).collect())
            .collect()
    }

    #[test]
    fn layers_follow_the_longest_path_and_sources_stand_close() {
        // (edges, nodes with rows by layer)
        type Row = (
            usize,
            &'static [(usize, usize)],
            &'static [&'static [(usize, usize)]],
        );
        let table: [Row; 5] = [
            (0, &[], &[]),
            (2, &[], &[&[(0, 0), (1, 1)]]),
            (3, &[(0, 1), (1, 2)], &[&[(0, 0)], &[(1, 0)], &[(2, 0)]]),
            // A source that only the last one reads stands right before it.
            (
                4,
                &[(0, 1), (1, 2), (3, 2)],
                &[&[(0, 0)], &[(1, 0), (3, 1)], &[(2, 0)]],
            ),
            // Crossed lines are straightened by order.
            (
                4,
                &[(0, 3), (1, 2)],
                &[&[(0, 0), (1, 1)], &[(3, 0), (2, 1)]],
            ),
        ];
        for (n_nodes, edges, expected) in table {
            let expected: Vec<Vec<(usize, usize)>> =
                expected.iter().map(|layer| layer.to_vec()).collect();
            assert_eq!(nodes(&layers(n_nodes, edges)), expected, "{edges:?}");
        }
    }

    #[test]
    fn a_circle_or_a_giant_is_not_laid_out() {
        let circle = BTreeSet::from([(0, 1), (1, 0)]);
        assert!(Layers::new(2, &circle).is_none());
        assert!(Layers::new(MAX_SLOTS + 1, &BTreeSet::new()).is_none());
        // A chain whose beginning everybody reads has too many bends.
        let n_nodes = 1_000;
        let chain = (1..n_nodes).map(|node| (node - 1, node));
        let edges = chain.chain((0..n_nodes - 1).map(|node| (node, n_nodes - 1)));
        assert!(Layers::new(n_nodes, &edges.collect()).is_none());
    }

    #[test]
    fn a_fan_of_any_size_is_one_track() {
        let out = (1..50).map(|node| (0, node));
        let edges: Vec<(usize, usize)> = out.chain((1..50).map(|node| (node, 50))).collect();
        let layers = layers(51, &edges);
        let n_nets: Vec<usize> = layers.gaps.iter().map(Vec::len).collect();
        assert_eq!(n_nets, [1, 1]);
        assert_eq!(layers.height(), 49);
    }

    /// Edges among up to twelve nodes, from the smaller to the larger number.
    pub(in crate::cli::render) fn graph() -> impl Strategy<Value = (usize, BTreeSet<(usize, usize)>)>
    {
        (1_usize..12).prop_flat_map(|n_nodes| {
            let edge = (0..n_nodes, 0..n_nodes).prop_filter_map("none", |(from, to)| {
                (from != to).then_some((from.min(to), from.max(to)))
            });
            let edges = prop::collection::btree_set(edge, 0..if n_nodes > 1 { 16 } else { 1 });
            (Just(n_nodes), edges)
        })
    }

    proptest! {
        #[test]
        fn every_node_has_a_place_and_every_edge_a_way((n_nodes, edges) in graph()) {
            let layers = Layers::new(n_nodes, &edges).unwrap();
            let mut placed: Vec<usize> = nodes(&layers).concat().into_iter().map(|(node, _)| node).collect();
            placed.sort_unstable();
            prop_assert_eq!(placed, (0..n_nodes).collect::<Vec<_>>());
            for layer in &layers.layers {
                prop_assert!(layer.windows(2).all(|pair| pair[0].row < pair[1].row));
            }
            let mut ways = BTreeSet::new();
            for (level, layer) in layers.layers.iter().enumerate() {
                for slot in layer {
                    let Item::Node(from) = slot.item else { continue };
                    let mut open: Vec<(usize, usize)> = slot.next.iter().map(|at| (level + 1, *at)).collect();
                    while let Some((level, at)) = open.pop() {
                        let slot = &layers.layers[level][at];
                        match slot.item {
                            Item::Node(to) => { ways.insert((from, to)); }
                            Item::Pass(node) => {
                                prop_assert_eq!(node, from);
                                open.extend(slot.next.iter().map(|at| (level + 1, *at)));
                            }
                        }
                    }
                }
            }
            prop_assert_eq!(ways, edges);
        }

        #[test]
        fn lines_of_one_track_never_meet((n_nodes, edges) in graph()) {
            let layers = Layers::new(n_nodes, &edges).unwrap();
            for gap in &layers.gaps {
                for (at, net) in gap.iter().enumerate() {
                    for other in &gap[at + 1..] {
                        let (a, b) = (net.span(), other.span());
                        let apart = a.1 < b.0 || b.1 < a.0;
                        prop_assert!(net.track.is_none() || net.track != other.track || apart);
                        // What ends in a row arrives behind what begins there.
                        for (one, two) in [(net, other), (other, net)] {
                            if let (Some(turns), Some(arrives)) = (one.track, two.track) {
                                prop_assert!(one.from.is_disjoint(&two.to) || turns < arrives);
                            }
                        }
                    }
                }
            }
        }
    }
}
