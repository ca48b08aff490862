use super::super::render::{self, Align};
use super::everywhere::Everywhere;
use super::{CliError, Exit, Ui, World};
use crate::ops::params::{ParamsReport, params_diff};

/// Compare params
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: ParamsCommand,
    #[command(flatten)]
    pub(super) everywhere: Everywhere,
}

#[derive(Debug, clap::Subcommand)]
enum ParamsCommand {
    /// Show the params that differ between two commits, or a commit and the workspace
    Diff(DiffArgs),
}

#[derive(Debug, clap::Args)]
struct DiffArgs {
    /// Revisions; none: HEAD against the workspace
    #[arg(value_name = "REV", num_args = 0..=2)]
    revs: Vec<String>,
    /// As a Markdown table
    #[arg(long)]
    md: bool,
}

pub(crate) fn run(args: &Args, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    let ParamsCommand::Diff(args) = &args.command;
    let report = params_diff(world, &args.revs)?;
    if ui.json {
        ui.json(&report)?;
    } else if report.changes.is_empty() {
        ui.say(&format!(
            "No param differs between {} and {}",
            report.from, report.to
        ));
    } else {
        for line in lines(&report, args.md) {
            ui.answer(&line)?;
        }
    }
    Ok(Exit::DONE)
}

fn lines(report: &ParamsReport, md: bool) -> Vec<String> {
    let head = ["file", "param", &report.from, &report.to].map(str::to_owned);
    let mut rows = vec![head.to_vec()];
    rows.extend(report.changes.iter().map(|change| {
        vec![
            change.file.to_string(),
            change.key.clone(),
            render::value(change.old.as_ref()),
            render::value(change.new.as_ref()),
        ]
    }));
    let align = [Align::Left, Align::Left, Align::Right, Align::Right];
    match md {
        true => render::markdown(&rows, &align),
        false => render::table(&rows, &align),
    }
}
