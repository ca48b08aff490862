use super::super::exit;
use super::super::render::{self, Align};
use super::everywhere::Everywhere;
use super::{CliError, Exit, Ui, World};
use crate::ops::metrics::{MetricsDiffReport, MetricsShowReport, metrics_diff, metrics_show};

/// Show or compare metrics
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: MetricsCommand,
    #[command(flatten)]
    pub(super) everywhere: Everywhere,
}

#[derive(Debug, clap::Subcommand)]
enum MetricsCommand {
    /// Show the metrics of the workspace or a commit
    Show(ShowArgs),
    /// Show how metrics moved between two commits, or a commit and the workspace
    Diff(DiffArgs),
}

#[derive(Debug, clap::Args)]
struct ShowArgs {
    /// A revision; none: the workspace
    #[arg(value_name = "REV")]
    rev: Option<String>,
    /// As a Markdown table
    #[arg(long)]
    md: bool,
}

#[derive(Debug, clap::Args)]
struct DiffArgs {
    /// Revisions; none: HEAD against the workspace
    #[arg(value_name = "REV", num_args = 0..=2)]
    revs: Vec<String>,
    /// Also show metrics that did not move
    #[arg(long)]
    all: bool,
    /// Exit with 1 if a metric with a goal got worse
    #[arg(long)]
    check: bool,
    /// As a Markdown table
    #[arg(long)]
    md: bool,
}

pub(crate) fn run(args: &Args, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    match &args.command {
        MetricsCommand::Show(args) => show(args, ui, world),
        MetricsCommand::Diff(args) => diff(args, ui, world),
    }
}

fn show(args: &ShowArgs, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    let report = metrics_show(world, args.rev.as_deref())?;
    if ui.json {
        ui.json(&report)?;
    } else if report.metrics.is_empty() && report.errors.is_empty() {
        ui.say("No metrics: name files below `[metrics]` in esker.toml");
    } else {
        print(
            ui,
            args.md,
            &show_rows(&report),
            &[Align::Left, Align::Left, Align::Right],
        )?;
        for error in &report.errors {
            ui.warn(&format!("`{}`: {}", error.file, error.message));
        }
    }
    Ok(Exit::when(!report.errors.is_empty(), exit::CANNOT))
}

fn show_rows(report: &MetricsShowReport) -> Vec<Vec<String>> {
    let mut rows = vec![["file", "metric", &report.rev].map(str::to_owned).to_vec()];
    for (file, leaves) in &report.metrics {
        let leaves = leaves.iter();
        rows.extend(
            leaves.map(|(key, value)| {
                vec![file.to_string(), key.clone(), render::metric(Some(value))]
            }),
        );
    }
    rows
}

fn diff(args: &DiffArgs, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    let report = metrics_diff(world, &args.revs, args.all)?;
    if ui.json {
        ui.json(&report)?;
    } else if report.changes.is_empty() {
        ui.say(&format!(
            "No metric moved between {} and {}",
            report.from, report.to
        ));
    } else {
        let align = [
            Align::Left,
            Align::Left,
            Align::Right,
            Align::Right,
            Align::Right,
            Align::Left,
        ];
        print(ui, args.md, &diff_rows(&report), &align)?;
    }
    Ok(Exit::when(args.check && report.got_worse(), exit::NO))
}

fn diff_rows(report: &MetricsDiffReport) -> Vec<Vec<String>> {
    let head = ["file", "metric", &report.from, &report.to, "change", ""];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(report.changes.iter().map(|change| {
        let better = match change.better {
            Some(true) => "better",
            Some(false) => "worse",
            None => "",
        };
        vec![
            change.file.to_string(),
            change.key.clone(),
            render::metric(change.old.as_ref()),
            render::metric(change.new.as_ref()),
            change
                .delta
                .map(|delta| format!("{delta:+.4}"))
                .unwrap_or_default(),
            better.to_owned(),
        ]
    }));
    rows
}

fn print(ui: &Ui, md: bool, rows: &[Vec<String>], align: &[Align]) -> Result<(), CliError> {
    let lines = match md {
        true => render::markdown(rows, align),
        false => render::table(rows, align),
    };
    lines.iter().try_for_each(|line| ui.answer(line))
}
