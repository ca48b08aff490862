use std::collections::{BTreeMap, BTreeSet};

use super::super::render::picture::{Drawing, Node, Picture, Run, Strokes};
use super::super::render::svg;
use super::super::ui::Tone;
use super::everywhere::Everywhere;
use super::{CliError, Exit, Ui, World};
use crate::ops::dag::{DagNode, DagOptions, DagReport, dag};
use crate::ops::status::StageState;

/// Draw the graph of data and stages, with states
///
/// From left to right: tracked data, then each stage behind all it needs. The cells of a matrix
/// become one node where the drawing would be wider than the terminal, and what is still too
/// wide becomes a list. Neither happens to a pipe: `esker dag | less -S` shows all of it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only these stages, matrices, outputs or patterns, and all they need
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// What stages write, in place of the stages
    #[arg(long)]
    outs: bool,
    /// As a Mermaid diagram
    #[arg(long, group = "form")]
    mermaid: bool,
    /// As a Mermaid diagram in a Markdown code block
    #[arg(long, group = "form")]
    md: bool,
    /// As a Graphviz graph
    #[arg(long, group = "form")]
    dot: bool,
    /// As an SVG image, for light and dark pages
    #[arg(long, group = "form")]
    svg: bool,
    #[command(flatten)]
    pub(super) everywhere: Everywhere,
}

pub(crate) fn run(args: &Args, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    let options = DagOptions {
        targets: args.targets.clone(),
        outs: args.outs,
    };
    let report = dag(world, &options)?;
    let lines = match args {
        _ if ui.json => return ui.json(&report).map(|()| Exit::DONE),
        Args { mermaid: true, .. } => mermaid(&report),
        Args { dot: true, .. } => dot(&report),
        Args { md: true, .. } => {
            let mut lines = vec!["```mermaid".to_owned()];
            lines.extend(mermaid(&report));
            lines.push("```".to_owned());
            lines
        }
        Args { svg: true, .. } => image(&report)?,
        _ => drawing(ui, &report),
    };
    for line in lines {
        ui.answer(&line)?;
    }
    Ok(Exit::DONE)
}

fn image(report: &DagReport) -> Result<Vec<String>, CliError> {
    let whole = picture(&Groups::single(report), report, Strokes::Unicode);
    let svg = svg::lines(&whole, "The pipeline").or_else(|| {
        let groups = Groups::collapsed(report)?;
        svg::lines(&picture(&groups, report, Strokes::Unicode), "The pipeline")
    });
    svg.ok_or_else(|| CliError::too_large(report.nodes.len()))
}

/// The lines for a terminal: the whole, or matrices as one node each, or a list.
fn drawing(ui: &Ui, report: &DagReport) -> Vec<String> {
    let strokes = match ui.is_utf8() {
        true => Strokes::Unicode,
        false => Strokes::Ascii,
    };
    let columns = ui.columns().unwrap_or(usize::MAX);
    let fits = |drawing: &Drawing| drawing.width <= columns;
    let draw = |groups: &Groups| picture(groups, report, strokes).draw(strokes).filter(fits);
    let whole = draw(&Groups::single(report));
    let drawn = whole.or_else(|| Groups::collapsed(report).and_then(|groups| draw(&groups)));
    let lines = drawn.map_or_else(|| list(report, strokes), |drawing| drawing.lines);
    let paint = |run: &Run| match run.tone {
        Some(tone) => ui.paint_answer(tone, &run.text),
        None => run.text.clone(),
    };
    let mut lines: Vec<String> = lines
        .iter()
        .map(|runs| runs.iter().map(paint).collect())
        .collect();
    lines.extend(legend(report, strokes));
    lines
}

/// One line a node: its state, its name, what it needs.
fn list(report: &DagReport, strokes: Strokes) -> Vec<Vec<Run>> {
    let mut above: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for edge in &report.edges {
        above.entry(&edge.to).or_default().push(&edge.from);
    }
    let plain = |text: String| Run { text, tone: None };
    let line = |node: &DagNode| {
        let mut runs = match node.state {
            Some(state) => vec![mark(state, strokes), plain(format!(" {}", node.name))],
            None => vec![plain(node.name.clone())],
        };
        if let Some(above) = above.get(node.name.as_str()) {
            let arrow = match strokes {
                Strokes::Unicode => "←",
                Strokes::Ascii => "<-",
            };
            runs.push(Run {
                text: format!("  {arrow} {}", above.join(", ")),
                tone: Some(Tone::Dim),
            });
        }
        runs
    };
    report.nodes.iter().map(line).collect()
}

/// What the marks that were drawn mean.
fn legend(report: &DagReport, strokes: Strokes) -> Option<String> {
    let all = [StageState::Fresh, StageState::Stale, StageState::Frozen];
    let meanings = all.into_iter().filter_map(|state| {
        let is_same = |node: &&DagNode| node.state.map(symbol) == Some(symbol(state));
        let node = report.nodes.iter().rfind(is_same)?;
        let name = node.stage.as_ref().unwrap_or(&node.name);
        let meaning = match state {
            StageState::Fresh => "up to date".to_owned(),
            StageState::Frozen => "frozen".to_owned(),
            _ => format!("would run (esker why {name})"),
        };
        Some(format!("{} {meaning}", mark(state, strokes).text))
    });
    let meanings: Vec<String> = meanings.collect();
    (!meanings.is_empty()).then(|| meanings.join("   "))
}

fn symbol(state: StageState) -> &'static str {
    match state {
        StageState::Fresh => "✓",
        StageState::Stale | StageState::NeverRun => "~",
        StageState::Frozen => "*",
    }
}

fn mark(state: StageState, strokes: Strokes) -> Run {
    let (text, tone) = match (symbol(state), strokes) {
        ("✓", Strokes::Ascii) => ("ok", Tone::Good),
        ("✓", _) => ("✓", Tone::Good),
        ("~", _) => ("~", Tone::Warning),
        (other, _) => (other, Tone::Dim),
    };
    Run {
        text: text.to_owned(),
        tone: Some(tone),
    }
}

/// Nodes of the report that are drawn as one.
struct Groups {
    /// The group of each node.
    of: Vec<usize>,
    /// The nodes of each group.
    members: Vec<Vec<usize>>,
}

impl Groups {
    fn single(report: &DagReport) -> Self {
        Self {
            of: (0..report.nodes.len()).collect(),
            members: (0..report.nodes.len()).map(|node| vec![node]).collect(),
        }
    }

    /// The cells of each matrix together; `None` if there is no matrix.
    fn collapsed(report: &DagReport) -> Option<Self> {
        let (mut of, mut members) = (Vec::new(), Vec::<Vec<usize>>::new());
        let mut known = BTreeMap::new();
        for (at, node) in report.nodes.iter().enumerate() {
            let fresh = members.len();
            let group = matrix(node).map_or(fresh, |name| *known.entry(name).or_insert(fresh));
            if group == fresh {
                members.push(Vec::new());
            }
            members[group].push(at);
            of.push(group);
        }
        (members.len() < of.len()).then_some(Self { of, members })
    }
}

/// The stage whose matrix has this cell.
fn matrix(node: &DagNode) -> Option<&str> {
    let stage = node.stage.as_ref().unwrap_or(&node.name);
    node.state?;
    stage.split_once('@').map(|(name, _)| name)
}

fn picture(groups: &Groups, report: &DagReport, strokes: Strokes) -> Picture {
    let numbers: BTreeMap<&str, usize> = report
        .nodes
        .iter()
        .enumerate()
        .map(|(at, node)| (node.name.as_str(), groups.of[at]))
        .collect();
    let ends = |from: &str, to: &str| Some((*numbers.get(from)?, *numbers.get(to)?));
    let edges = report.edges.iter();
    let edges = edges.filter_map(|edge| ends(&edge.from, &edge.to));
    Picture {
        nodes: groups
            .members
            .iter()
            .map(|members| node(members, report, strokes))
            .collect(),
        edges: edges.filter(|(from, to)| from != to).collect(),
    }
}

/// `train ✓`, or `train ×6 (4 ✓ 2 ~)`.
fn node(members: &[usize], report: &DagReport, strokes: Strokes) -> Node {
    let first = &report.nodes[members[0]];
    let count = members.len();
    let state = |at: &usize| report.nodes[*at].state;
    let states: Vec<StageState> = members.iter().filter_map(state).collect();
    let Some(name) = matrix(first).filter(|_| count > 1) else {
        // A line end or a tab in a path would tear the drawing.
        let harmless = |c: char| if c.is_control() { '\u{fffd}' } else { c };
        return Node {
            name: first.name.chars().map(harmless).collect(),
            mark: states.iter().map(|state| mark(*state, strokes)).collect(),
        };
    };
    let times = match strokes {
        Strokes::Unicode => '×',
        Strokes::Ascii => 'x',
    };
    let marks: BTreeSet<&str> = states.iter().map(|state| symbol(*state)).collect();
    let mut runs = Vec::new();
    for state in [StageState::Fresh, StageState::Stale, StageState::Frozen] {
        let count = states.iter().filter(|s| symbol(**s) == symbol(state));
        let count = count.count();
        if count > 0 && marks.len() == 1 {
            runs.push(mark(state, strokes));
        } else if count > 0 {
            let before = if runs.is_empty() { "(" } else { " " };
            runs.push(Run {
                text: format!("{before}{count} "),
                tone: None,
            });
            runs.push(mark(state, strokes));
        }
    }
    if marks.len() > 1 {
        let text = ")".to_owned();
        runs.push(Run { text, tone: None });
    }
    Node {
        name: format!("{name} {times}{count}"),
        mark: runs,
    }
}

/// Ids that hold whatever a name has.
fn ids(report: &DagReport) -> BTreeMap<&str, String> {
    let nodes = report.nodes.iter().enumerate();
    nodes
        .map(|(at, node)| (node.name.as_str(), format!("n{at}")))
        .collect()
}

fn label(node: &DagNode) -> String {
    let state = node.state.map(symbol).unwrap_or_default();
    format!("{} {state}", node.name).trim_end().to_owned()
}

fn mermaid(report: &DagReport) -> Vec<String> {
    let ids = ids(report);
    let mut lines = vec!["flowchart LR".to_owned()];
    lines.extend(report.nodes.iter().map(|node| {
        let label = label(node).replace('"', "#quot;");
        match node.state {
            None => format!("    {}[(\"{label}\")]", ids[node.name.as_str()]),
            Some(_) => format!("    {}[\"{label}\"]", ids[node.name.as_str()]),
        }
    }));
    lines.extend(report.edges.iter().map(|edge| {
        let (from, to) = (&ids[edge.from.as_str()], &ids[edge.to.as_str()]);
        format!("    {from} --> {to}")
    }));
    lines
}

fn dot(report: &DagReport) -> Vec<String> {
    let ids = ids(report);
    let mut lines = vec!["digraph esker {".to_owned(), "    rankdir=LR;".to_owned()];
    lines.extend(report.nodes.iter().map(|node| {
        let label = label(node).replace('\\', "\\\\").replace('"', "\\\"");
        let shape = if node.state.is_none() {
            "cylinder"
        } else {
            "box"
        };
        let id = &ids[node.name.as_str()];
        format!("    {id} [label=\"{label}\", shape={shape}];")
    }));
    lines.extend(report.edges.iter().map(|edge| {
        let (from, to) = (&ids[edge.from.as_str()], &ids[edge.to.as_str()]);
        format!("    {from} -> {to};")
    }));
    lines.push("}".to_owned());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::dag::DagEdge;

    /// A matrix of three between two stages.
    fn report(cells: [StageState; 3]) -> DagReport {
        let node = |name: &str, state, level| DagNode {
            name: name.to_owned(),
            state,
            stage: None,
            level,
        };
        let names = ["train@a", "train@b", "train@c"];
        let mut nodes = vec![
            node("data@raw", None, 0),
            node("prepare", Some(StageState::Fresh), 1),
        ];
        let cells = names.iter().zip(cells);
        nodes.extend(cells.map(|(name, state)| node(name, Some(state), 2)));
        nodes.push(node("evaluate", Some(StageState::Stale), 3));
        let mut edges = vec![("data@raw", "prepare")];
        edges.extend(names.map(|name| ("prepare", name)));
        edges.extend(names.map(|name| (name, "evaluate")));
        let edge = |(from, to): (&str, &str)| DagEdge {
            from: from.to_owned(),
            to: to.to_owned(),
        };
        DagReport {
            nodes,
            edges: edges.into_iter().map(edge).collect(),
        }
    }

    fn collapsed(report: &DagReport, strokes: Strokes) -> String {
        let groups = Groups::collapsed(report).unwrap();
        let drawing = picture(&groups, report, strokes).draw(strokes).unwrap();
        let runs = drawing.lines.concat();
        runs.into_iter().map(|run| run.text).collect()
    }

    #[test]
    fn the_cells_of_a_matrix_become_one_node_with_counts() {
        use StageState::{Fresh, Frozen, NeverRun, Stale};
        let table = [
            ([Fresh, Fresh, Fresh], "train ×3 ✓"),
            ([Fresh, Stale, NeverRun], "train ×3 (1 ✓ 2 ~)"),
            ([Frozen, Fresh, Stale], "train ×3 (1 ✓ 1 ~ 1 *)"),
        ];
        for (cells, train) in table {
            assert_eq!(
                collapsed(&report(cells), Strokes::Unicode),
                format!("data@raw ─▶ prepare ✓ ─▶ {train} ─▶ evaluate ~")
            );
        }
        assert_eq!(
            collapsed(&report([Fresh, Fresh, Stale]), Strokes::Ascii),
            "data@raw -> prepare ok -> train x3 (2 ok 1 ~) -> evaluate ~"
        );
    }

    #[test]
    fn without_a_matrix_there_is_nothing_to_collapse() {
        let mut report = report([StageState::Fresh; 3]);
        report.nodes.retain(|node| !node.name.starts_with("train"));
        assert!(Groups::collapsed(&report).is_none());
    }
}
