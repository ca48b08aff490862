use super::super::render;
use super::everywhere::Everywhere;
use super::{CliError, Exit, Ui, World};
use crate::ops::diff::diff;

/// Compare the data of two commits, or of a commit and the workspace
///
/// Without revisions: HEAD against the workspace. With one: that commit against the workspace.
/// `A...B` compares B with the commit where it parted from A. Renames are found by content.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Revisions, as git names them
    #[arg(value_name = "REV", num_args = 0..=2)]
    revs: Vec<String>,
    /// Compare only these paths, given behind `--`
    #[arg(value_name = "PATH", last = true, conflicts_with = "all_projects")]
    paths: Vec<String>,
    #[command(flatten)]
    pub(super) everywhere: Everywhere,
}

pub(crate) fn run(args: &Args, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    let report = diff(world, &args.revs, &args.paths)?;
    if ui.json {
        ui.json(&report)?;
        return Ok(Exit::DONE);
    }
    for change in &report.changes {
        ui.answer(&render::change(change))?;
    }
    if report.changes.is_empty() {
        ui.say(&format!(
            "No data differs between {} and {}",
            report.from, report.to
        ));
    }
    Ok(Exit::DONE)
}
