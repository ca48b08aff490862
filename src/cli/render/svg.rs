//! A picture as SVG: one file without scripts, fonts or links, for light and dark pages.

use std::fmt::Write;

use super::layers::{Item, Layers, Slot};
use super::picture::{Node, Picture};
use crate::cli::ui::Tone;

const MARGIN: usize = 16;
/// The width that a character of the monospaced font takes, a little more than it needs.
const CHARACTER: usize = 8;
const PADDING: usize = 10;
const BOX_HEIGHT: usize = 28;
const ROW: usize = 40;
const GAP: usize = 56;

const STYLE: &str = "\
  <style>
    .page { fill: #ffffff }
    .box { fill: #f6f8fa; stroke: #8b949e }
    .data { fill: none; stroke: #8b949e; stroke-dasharray: 4 3 }
    .edge { fill: none; stroke: #8b949e; stroke-width: 1.5 }
    .head { fill: #8b949e }
    text { font: 13px ui-monospace, 'DejaVu Sans Mono', monospace; fill: #1f2328; white-space: pre }
    .good { fill: #1a7f37 }
    .warning { fill: #9a6700 }
    .dim { fill: #59636e }
    @media (prefers-color-scheme: dark) {
      .page { fill: #0d1117 }
      .box { fill: #161b22; stroke: #6e7681 }
      .data, .edge { stroke: #6e7681 }
      .head { fill: #6e7681 }
      text { fill: #e6edf3 }
      .good { fill: #3fb950 }
      .warning { fill: #d29922 }
      .dim { fill: #9198a1 }
    }
  </style>";

/// The lines of an SVG document; `None` if the picture is too large.
pub(crate) fn lines(picture: &Picture, title: &str) -> Option<Vec<String>> {
    let layers = Layers::new(picture.nodes.len(), &picture.edges)?;
    let columns = columns(picture, &layers);
    let right = columns.last().map_or(0, |(left, width)| left + width);
    let (width, height) = (right + MARGIN, 2 * MARGIN + ROW * layers.height());
    let mut lines = vec![
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\">"
        ),
        format!("  <title>{}</title>", escape(title)),
        STYLE.to_owned(),
        format!("  <rect class=\"page\" width=\"{width}\" height=\"{height}\"/>"),
    ];
    for (level, layer) in layers.layers.iter().enumerate() {
        for slot in layer {
            lines.extend(edges(&layers, &columns, level, slot));
        }
    }
    for (layer, column) in layers.layers.iter().zip(&columns) {
        for slot in layer {
            if let Item::Node(node) = slot.item {
                lines.extend(node_lines(&picture.nodes[node], *column, slot.row));
            }
        }
    }
    lines.push("</svg>".to_owned());
    Some(lines)
}

/// Where each column begins, and how wide it is.
fn columns(picture: &Picture, layers: &Layers) -> Vec<(usize, usize)> {
    let mut left = MARGIN;
    let mut columns = Vec::new();
    for layer in &layers.layers {
        let widths = layer.iter().map(|slot| match slot.item {
            Item::Node(node) => CHARACTER * picture.nodes[node].width() + 2 * PADDING,
            Item::Pass(_) => 0,
        });
        let width = widths.max().unwrap_or(0);
        columns.push((left, width));
        left += width + GAP;
    }
    columns
}

/// The middle of a row.
fn middle(row: usize) -> usize {
    MARGIN + ROW * row + ROW / 2
}

/// The lines behind a place, each a curve with its head where it arrives at a node.
fn edges(layers: &Layers, columns: &[(usize, usize)], level: usize, slot: &Slot) -> Vec<String> {
    let (left, width) = columns[level];
    let (right, y) = (left + width, middle(slot.row));
    let mut lines = Vec::new();
    if matches!(slot.item, Item::Pass(_)) {
        lines.push(format!(
            "  <path class=\"edge\" d=\"M{left} {y}H{right}\"/>"
        ));
    }
    for next in &slot.next {
        let next = &layers.layers[level + 1][*next];
        let (end, to) = (columns[level + 1].0, middle(next.row));
        let bend = right + GAP / 2;
        let is_node = matches!(next.item, Item::Node(_));
        let tip = if is_node { end - 6 } else { end };
        lines.push(format!(
            "  <path class=\"edge\" d=\"M{right} {y}C{bend} {y} {bend} {to} {tip} {to}\"/>"
        ));
        if is_node {
            lines.push(format!(
                "  <path class=\"head\" d=\"M{end} {to}l-8 -4v8z\"/>"
            ));
        }
    }
    lines
}

fn node_lines(node: &Node, (left, width): (usize, usize), row: usize) -> Vec<String> {
    let class = if node.mark.is_empty() { "data" } else { "box" };
    let top = middle(row) - BOX_HEIGHT / 2;
    let mut text = escape(&node.name);
    for (at, run) in node.mark.iter().enumerate() {
        let blank = if at == 0 { " " } else { "" };
        let class = match run.tone {
            Some(Tone::Good) => "good",
            Some(Tone::Warning) => "warning",
            _ => "dim",
        };
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "{blank}<tspan class=\"{class}\">{}</tspan>",
            escape(&run.text)
        );
    }
    vec![
        format!(
            "  <rect class=\"{class}\" x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{BOX_HEIGHT}\" rx=\"6\"/>"
        ),
        format!(
            "  <text x=\"{}\" y=\"{}\">{text}</text>",
            left + PADDING,
            middle(row) + 5
        ),
    ]
}

/// Text as XML holds it: no control characters, which no document may have.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::layers::tests::graph;
    use super::super::picture::Run;
    use super::*;
    use proptest::prelude::*;

    fn node(name: &str, tone: Option<Tone>) -> Node {
        let mark = tone.map(|_| Run {
            text: "✓".to_owned(),
            tone,
        });
        Node {
            name: name.to_owned(),
            mark: mark.into_iter().collect(),
        }
    }

    #[test]
    fn names_cannot_break_out_of_the_document() {
        let picture = Picture {
            nodes: vec![node("</text><script>\"&\u{1}", Some(Tone::Good))],
            edges: [].into(),
        };
        let text = lines(&picture, "a <b>").unwrap().join("\n");
        assert!(
            text.contains("&lt;/text&gt;&lt;script&gt;&quot;&amp;\u{fffd} <tspan class=\"good\">✓")
        );
        assert!(text.contains("<title>a &lt;b&gt;</title>"));
        assert!(!text.contains("<script"));
    }

    /// The number behind `key="` in a line.
    fn number(line: &str, key: &str) -> usize {
        let (_, rest) = line.split_once(&format!(" {key}=\"")).unwrap();
        rest.split('"').next().unwrap().parse().unwrap()
    }

    proptest! {
        #[test]
        fn boxes_stay_apart_and_every_edge_has_a_head((n_nodes, edges) in graph()) {
            let nodes = (0..n_nodes).map(|n| node(&"x".repeat(n + 1), Some(Tone::Warning)));
            let picture = Picture { nodes: nodes.collect(), edges };
            let lines = lines(&picture, "").unwrap();
            let boxes: Vec<[usize; 4]> = lines.iter().filter(|line| line.contains("class=\"box\""))
                .map(|line| ["x", "y", "width", "height"].map(|key| number(line, key))).collect();
            prop_assert_eq!(boxes.len(), n_nodes);
            let (width, height) = (number(&lines[0], "width"), number(&lines[0], "height"));
            for (at, a) in boxes.iter().enumerate() {
                prop_assert!(a[0] + a[2] <= width && a[1] + a[3] <= height);
                for b in &boxes[at + 1..] {
                    let apart = |axis: usize| a[axis] + a[axis + 2] <= b[axis] || b[axis] + b[axis + 2] <= a[axis];
                    prop_assert!(apart(0) || apart(1), "{:?} {:?}", a, b);
                }
            }
            let targets: std::collections::BTreeSet<usize> = picture.edges.iter().map(|edge| edge.1).collect();
            let heads = lines.iter().filter(|line| line.contains("class=\"head\"")).collect::<std::collections::BTreeSet<_>>();
            prop_assert_eq!(heads.len(), targets.len());
        }
    }
}
