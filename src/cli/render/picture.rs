//! A graph as people see it: nodes with a mark behind their name, drawn from left to right.

use std::collections::BTreeSet;

use super::layers::{Item, Layers, Net};
use crate::cli::ui::Tone;

/// Text of one tone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// The text.
    pub(crate) text: String,
    /// What it is; most is nothing special.
    pub(crate) tone: Option<Tone>,
}

/// A node.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// What it is called.
    pub(crate) name: String,
    /// What stands behind the name; nothing, behind data.
    pub(crate) mark: Vec<Run>,
}

/// A graph without circles.
#[derive(Clone, Debug, Default)]
pub(crate) struct Picture {
    /// The nodes.
    pub(crate) nodes: Vec<Node>,
    /// Who is needed by whom, by number.
    pub(crate) edges: BTreeSet<(usize, usize)>,
}

/// The characters that lines are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strokes {
    /// Box drawing.
    Unicode,
    /// `-`, `|`, `+` and `>`.
    Ascii,
}

/// Drawn lines.
#[derive(Clone, Debug)]
pub(crate) struct Drawing {
    /// From top to bottom.
    pub(crate) lines: Vec<Vec<Run>>,
    /// The length of the longest.
    pub(crate) width: usize,
}

impl Node {
    /// How many characters it takes.
    pub(crate) fn width(&self) -> usize {
        self.name_width()
            + if self.mark.is_empty() {
                0
            } else {
                1 + self.mark_width()
            }
    }

    fn mark_width(&self) -> usize {
        self.mark.iter().map(|run| run.text.chars().count()).sum()
    }

    fn name_width(&self) -> usize {
        self.name.chars().count()
    }
}

impl Picture {
    /// Draws the picture; `None` if it is too large for that.
    pub(crate) fn draw(&self, strokes: Strokes) -> Option<Drawing> {
        let layers = Layers::new(self.nodes.len(), &self.edges)?;
        let mut canvas = Canvas {
            cells: vec![Vec::new(); layers.height()],
            strokes,
        };
        let mut left = 0;
        for (level, layer) in layers.layers.iter().enumerate() {
            let column = self.column(layer.iter().map(|slot| slot.item));
            let right = left + column.width;
            for slot in layer {
                let end = match slot.item {
                    Item::Node(node) => {
                        canvas.node(slot.row, left, &self.nodes[node], column.names)
                    }
                    Item::Pass(_) => left,
                };
                if !slot.next.is_empty() {
                    let start = if end == left { left } else { end + 1 };
                    canvas.horizontal(slot.row, start, right + 2);
                }
            }
            if let Some(gap) = layers.gaps.get(level) {
                left = canvas.gap(gap, right);
                for slot in &layers.layers[level + 1] {
                    let is_target = gap.iter().any(|net| net.to.contains(&slot.row));
                    match slot.item {
                        Item::Node(_) if is_target => canvas.arrow(slot.row, left),
                        Item::Node(_) => {}
                        Item::Pass(_) => canvas.horizontal(slot.row, left - 3, left),
                    }
                }
            }
        }
        Some(canvas.finish())
    }

    /// How wide the names and the whole of a column are.
    fn column(&self, items: impl Iterator<Item = Item>) -> Column {
        let nodes = items.filter_map(|item| match item {
            Item::Node(node) => Some(&self.nodes[node]),
            Item::Pass(_) => None,
        });
        let (mut names, mut bare, mut marks) = (0, 0, 0);
        for node in nodes {
            match node.mark_width() {
                0 => bare = bare.max(node.name_width()),
                mark => {
                    names = names.max(node.name_width());
                    marks = marks.max(mark + 1);
                }
            }
        }
        Column {
            names,
            width: bare.max(names + marks),
        }
    }
}

struct Column {
    names: usize,
    width: usize,
}

/// One character on the way to a drawing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cell {
    stroke: Option<Stroke>,
    text: char,
    tone: Option<Tone>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stroke {
    Horizontal,
    Vertical,
    Joint,
}

struct Canvas {
    cells: Vec<Vec<Cell>>,
    strokes: Strokes,
}

const BLANK: Cell = Cell {
    stroke: None,
    text: ' ',
    tone: None,
};

impl Canvas {
    /// Writes a node, its name filled up to `names` if a mark follows. Returns where it ends.
    fn node(&mut self, row: usize, left: usize, node: &Node, names: usize) -> usize {
        let mut at = left;
        let mut write = |text: &str, tone| {
            for text in text.chars() {
                let stroke = None;
                self.put(row, at, Cell { stroke, text, tone });
                at += 1;
            }
        };
        write(&node.name, None);
        if !node.mark.is_empty() {
            write(&" ".repeat(names - node.name_width() + 1), None);
        }
        for run in &node.mark {
            write(&run.text, run.tone);
        }
        at
    }

    /// Draws a line over `from..to` where there is none yet.
    fn horizontal(&mut self, row: usize, from: usize, to: usize) {
        let text = match self.strokes {
            Strokes::Unicode => '─',
            Strokes::Ascii => '-',
        };
        for at in from..to {
            if self.cell(row, at).stroke.is_none() {
                self.put(row, at, stroke(Stroke::Horizontal, text));
            }
        }
    }

    /// The head of an arrow and a blank before what begins at `left`.
    fn arrow(&mut self, row: usize, left: usize) {
        let text = match self.strokes {
            Strokes::Unicode => '▶',
            Strokes::Ascii => '>',
        };
        self.put(row, left - 2, stroke(Stroke::Horizontal, text));
        self.put(row, left - 1, BLANK);
    }

    /// Draws all lines between a column that ends at `right` and the next. Returns where that begins:
    ///
    /// ```text
    /// node ─┬─┬─▶ node      a blank, a line, each track and a line, an arrow, a blank
    /// ```
    fn gap(&mut self, nets: &[Net], right: usize) -> usize {
        let n_tracks = nets.iter().filter_map(|net| net.track).max();
        let n_tracks = n_tracks.map_or(0, |last| last + 1);
        let column = |track: usize| right + 2 + 2 * track;
        let end = right + 4 + 2 * n_tracks;
        for net in nets {
            let turn = net.track.map_or(end - 2, column);
            for row in &net.from {
                self.horizontal(*row, right + 1, turn);
            }
            for row in &net.to {
                self.horizontal(*row, turn, end - 2);
            }
        }
        // Verticals come last: where they only cross a line, they stay whole.
        for net in nets {
            if let Some(track) = net.track {
                self.vertical(net, column(track));
            }
        }
        end
    }

    fn vertical(&mut self, net: &Net, column: usize) {
        let (top, bottom) = net.span();
        for row in top..=bottom {
            let is_joint = net.from.contains(&row) || net.to.contains(&row);
            let is_line = |cell: Cell| cell.stroke.is_some_and(|s| s != Stroke::Vertical);
            let left = is_joint && is_line(self.cell(row, column - 1));
            let right = is_joint && is_line(self.cell(row, column + 1));
            let text = joint(self.strokes, [left, right, row > top, row < bottom]);
            let kind = match is_joint {
                true => Stroke::Joint,
                false => Stroke::Vertical,
            };
            self.put(row, column, stroke(kind, text));
        }
    }

    fn cell(&self, row: usize, at: usize) -> Cell {
        self.cells[row].get(at).copied().unwrap_or(BLANK)
    }

    fn put(&mut self, row: usize, at: usize, cell: Cell) {
        let cells = &mut self.cells[row];
        if cells.len() <= at {
            cells.resize(at + 1, BLANK);
        }
        cells[at] = cell;
    }

    fn finish(self) -> Drawing {
        let width = self.cells.iter().map(Vec::len).max().unwrap_or(0);
        let lines = self.cells.iter().map(|cells| runs(cells)).collect();
        Drawing { lines, width }
    }
}

fn stroke(stroke: Stroke, text: char) -> Cell {
    Cell {
        stroke: Some(stroke),
        text,
        tone: None,
    }
}

/// The character that has these arms: left, right, up, down.
fn joint(strokes: Strokes, arms: [bool; 4]) -> char {
    let [left, right, up, down] = arms;
    if strokes == Strokes::Ascii {
        return match (left || right, up || down) {
            (true, false) => '-',
            (false, _) => '|',
            (true, true) => '+',
        };
    }
    match (left, right, up, down) {
        (true, true, true, true) => '┼',
        (true, true, true, false) => '┴',
        (true, true, false, true) => '┬',
        (true, true, false, false) | (true, false, false, false) | (false, true, false, false) => {
            '─'
        }
        (true, false, true, true) => '┤',
        (true, false, true, false) => '┘',
        (true, false, false, true) => '┐',
        (false, true, true, true) => '├',
        (false, true, true, false) => '└',
        (false, true, false, true) => '┌',
        (false, false, _, _) => '│',
    }
}

fn runs(cells: &[Cell]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for cell in cells {
        match runs.last_mut() {
            Some(run) if run.tone == cell.tone => run.text.push(cell.text),
            _ => runs.push(Run {
                text: cell.text.to_string(),
                tone: cell.tone,
            }),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::super::layers::tests::graph;
    use super::*;
    use proptest::prelude::*;

    fn picture(names: &[&str], edges: &[(usize, usize)]) -> Picture {
        let node = |name: &&str| {
            let (name, mark) = name.split_once(' ').unwrap_or((name, ""));
            let mark = Some(mark).filter(|mark| !mark.is_empty());
            Node {
                name: name.to_owned(),
                mark: mark.into_iter().map(plain).collect(),
            }
        };
        Picture {
            nodes: names.iter().map(node).collect(),
            edges: edges.iter().copied().collect(),
        }
    }

    fn plain(text: &str) -> Run {
        let text = text.to_owned();
        Run { text, tone: None }
    }

    fn text(picture: &Picture, strokes: Strokes) -> Vec<String> {
        let drawing = picture.draw(strokes).unwrap();
        let line = |runs: &Vec<Run>| runs.iter().map(|run| run.text.as_str()).collect();
        drawing.lines.iter().map(line).collect()
    }

    #[test]
    fn a_fan_out_and_a_fan_in_share_their_lines() {
        let names = [
            "data/raw",
            "prepare ✓",
            "train@linear ✓",
            "train@gbm ~",
            "evaluate ~",
        ];
        let edges = [(0, 1), (1, 2), (1, 3), (2, 4), (3, 4)];
        let picture = picture(&names, &edges);
        assert_eq!(
            text(&picture, Strokes::Unicode),
            [
                "data/raw ─▶ prepare ✓ ─┬─▶ train@linear ✓ ─┬─▶ evaluate ~",
                "                       └─▶ train@gbm    ~ ─┘",
            ]
        );
        assert_eq!(
            text(&picture, Strokes::Ascii),
            [
                "data/raw -> prepare ✓ -+-> train@linear ✓ -+-> evaluate ~",
                "                       +-> train@gbm    ~ -+",
            ]
        );
    }

    #[test]
    fn a_long_edge_passes_below_what_it_skips() {
        let picture = picture(&["a", "b", "c", "lone"], &[(0, 1), (1, 2), (0, 2)]);
        assert_eq!(
            text(&picture, Strokes::Unicode),
            ["a ────┬─▶ b ─┬─▶ c", "lone  └──────┘"]
        );
    }

    #[test]
    fn lines_that_only_cross_do_not_touch() {
        let edges = [(0, 3), (0, 4), (0, 5), (1, 4), (1, 5), (2, 3), (2, 5)];
        let picture = picture(&["a", "b", "c", "x", "y", "z"], &edges);
        insta::assert_snapshot!(text(&picture, Strokes::Unicode).join("\n"), @"
        a ─────┐
        b ─┬───┼─▶ y
        c ─│─┬─┼─▶ x
           └─┴─┴─▶ z
        ");
    }

    #[test]
    fn a_picture_without_nodes_has_no_lines() {
        assert_eq!(text(&picture(&[], &[]), Strokes::Unicode), [""; 0]);
    }

    /// The nodes that can be reached by walking right along lines from the end of another.
    fn reached(lines: &[Vec<char>], row: usize, column: usize) -> BTreeSet<String> {
        let at = |row: usize, column: usize| {
            let line = lines.get(row);
            line.and_then(|line| line.get(column))
                .copied()
                .unwrap_or(' ')
        };
        let (mut open, mut seen) = (vec![(row, column, 'r')], BTreeSet::new());
        let mut names = BTreeSet::new();
        while let Some((row, column, heading)) = open.pop() {
            if !seen.insert((row, column, heading)) {
                continue;
            }
            let mut step = |heading| match heading {
                'r' => open.push((row, column + 1, 'r')),
                'u' => open.push((row - 1, column, 'u')),
                _ => open.push((row + 1, column, 'd')),
            };
            match (at(row, column), heading) {
                ('▶', _) => {
                    let name = lines[row][column + 2..].iter();
                    names.insert(name.take_while(|c| **c != ' ').collect());
                }
                ('│', heading) => step(heading),
                ('─', 'r') => step('r'),
                (joint, _) => {
                    let arms = match joint {
                        '┼' => "rud",
                        '┴' => "ru",
                        '┬' => "rd",
                        '┤' => "ud",
                        '┘' => "u",
                        '┐' => "d",
                        '├' => "rud",
                        '└' => "ru",
                        '┌' => "rd",
                        other => panic!("`{other}` at {row}, {column}"),
                    };
                    let back = match heading {
                        'u' => 'd',
                        'd' => 'u',
                        _ => 'l',
                    };
                    arms.chars().filter(|arm| *arm != back).for_each(step);
                }
            }
        }
        names
    }

    proptest! {
        #[test]
        fn every_edge_connects_and_no_node_is_drawn_over((n_nodes, edges) in graph()) {
            let names: Vec<String> = (0..n_nodes).map(|node| format!("n{node}{}", "x".repeat(node % 3))).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let edges_list: Vec<(usize, usize)> = edges.iter().copied().collect();
            let lines = text(&picture(&names, &edges_list), Strokes::Unicode);
            let all = lines.join("\n");
            let lines: Vec<Vec<char>> = lines.iter().map(|line| line.chars().collect()).collect();
            let words: Vec<&str> = all.split([' ', '\n']).filter(|word| word.starts_with('n')).collect();
            prop_assert_eq!(words.len(), n_nodes, "{}", all);
            for (node, name) in names.iter().enumerate() {
                prop_assert!(words.contains(name), "{}: {}", name, all);
                let row = all.lines().position(|line| line.split(' ').any(|word| word == *name)).unwrap();
                let line: String = lines[row].iter().collect();
                let start = line.split(' ').scan(0, |at, word| {
                    let here = *at;
                    *at += word.chars().count() + 1;
                    Some((here, word))
                }).find(|(_, word)| word == name).unwrap().0;
                // An arrow leads to all that need something, and to nothing else.
                let has_arrow = start >= 2 && lines[row][start - 2] == '▶';
                prop_assert_eq!(has_arrow, edges.iter().any(|(_, to)| *to == node), "{}", all);
                let targets: Vec<&str> = edges.iter().filter(|(from, _)| *from == node).map(|(_, to)| names[*to]).collect();
                let end = start + name.chars().count() + 1;
                prop_assert_eq!(lines[row].get(end) == Some(&'─'), !targets.is_empty(), "{}", all);
                if !targets.is_empty() {
                    let reached = reached(&lines, row, end);
                    for target in targets {
                        prop_assert!(reached.contains(target), "{} to {}: {}", name, target, all);
                    }
                }
            }
        }
    }
}
