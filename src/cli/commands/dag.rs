use super::super::ui::Tone;
use super::everywhere::Everywhere;
use super::{CliError, Exit, Ui, World};
use crate::ops::dag::{DagNode, DagReport, dag};
use crate::ops::status::StageState;

/// Draw the graph of data and stages, with states
///
/// Each line is a stage or tracked data, below all it needs, with what it needs behind it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// As a Mermaid diagram
    #[arg(long, group = "form")]
    mermaid: bool,
    /// As a Mermaid diagram in a Markdown code block
    #[arg(long, group = "form")]
    md: bool,
    /// As a Graphviz graph
    #[arg(long, group = "form")]
    dot: bool,
    #[command(flatten)]
    pub(super) everywhere: Everywhere,
}

pub(crate) fn run(args: &Args, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    let report = dag(world)?;
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
        _ => drawing(ui, &report),
    };
    for line in lines {
        ui.answer(&line)?;
    }
    Ok(Exit::DONE)
}

fn symbol(state: Option<StageState>) -> &'static str {
    match state {
        None => " ",
        Some(StageState::Fresh) => "✓",
        Some(StageState::Stale | StageState::NeverRun) => "~",
        Some(StageState::Frozen) => "*",
    }
}

/// One column a level, left to right, each node on a line of its own; behind it, what it needs.
fn drawing(ui: &Ui, report: &DagReport) -> Vec<String> {
    let level_width = |level: usize| {
        let names = report.nodes.iter().filter(|node| node.level == level);
        names
            .map(|node| node.name.chars().count() + 5)
            .max()
            .unwrap_or(0)
    };
    let mut nodes: Vec<&DagNode> = report.nodes.iter().collect();
    nodes.sort_by_key(|node| node.level);
    let mut lines: Vec<String> = nodes
        .iter()
        .map(|node| {
            let indent: usize = (0..node.level).map(level_width).sum();
            let needs = report.edges.iter().filter(|edge| edge.to == node.name);
            let needs: Vec<&str> = needs.map(|edge| edge.from.as_str()).collect();
            let arrow = if needs.is_empty() { "" } else { "─▶ " };
            let from = match needs.is_empty() {
                true => String::new(),
                false => ui.paint_answer(Tone::Dim, &format!("   ← {}", needs.join(", "))),
            };
            let head = format!("{arrow}{} {}", node.name, symbol(node.state));
            format!("{}{}{from}", " ".repeat(indent), head.trim_end())
        })
        .collect();
    let mut stale = report.nodes.iter().filter(|node| symbol(node.state) == "~");
    lines.push(match stale.next_back() {
        Some(node) => format!("✓ up to date   ~ would run (esker why {})", node.name),
        None => "✓ up to date".to_owned(),
    });
    lines
}

fn ids(report: &DagReport) -> impl Fn(&str) -> String + '_ {
    |name| {
        let at = report.nodes.iter().position(|node| node.name == name);
        format!("n{}", at.unwrap_or(0))
    }
}

fn mermaid(report: &DagReport) -> Vec<String> {
    let id = ids(report);
    let label = |text: &str| text.replace('"', "#quot;");
    let mut lines = vec!["flowchart LR".to_owned()];
    lines.extend(report.nodes.iter().map(|node| {
        let label = label(format!("{} {}", node.name, symbol(node.state)).trim_end());
        match node.state {
            None => format!("    {}[(\"{label}\")]", id(&node.name)),
            Some(_) => format!("    {}[\"{label}\"]", id(&node.name)),
        }
    }));
    let edges = report.edges.iter();
    lines.extend(edges.map(|edge| format!("    {} --> {}", id(&edge.from), id(&edge.to))));
    lines
}

fn dot(report: &DagReport) -> Vec<String> {
    let id = ids(report);
    let label = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    let mut lines = vec!["digraph esker {".to_owned(), "    rankdir=LR;".to_owned()];
    lines.extend(report.nodes.iter().map(|node| {
        let label = label(format!("{} {}", node.name, symbol(node.state)).trim_end());
        let shape = if node.state.is_none() {
            "cylinder"
        } else {
            "box"
        };
        format!("    {} [label=\"{label}\", shape={shape}];", id(&node.name))
    }));
    let edges = report.edges.iter();
    lines.extend(edges.map(|edge| format!("    {} -> {};", id(&edge.from), id(&edge.to))));
    lines.push("}".to_owned());
    lines
}
