use super::super::render;
use super::{CliError, Exit, Ui, World};
use crate::ops::commit::commit;

/// Record what is on disk, without running anything
///
/// For a stage: its inputs and outputs are recorded as they are, marked as adopted until it
/// really runs. For tracked data: as `esker add`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Stages, outputs, or tracked paths
    #[arg(required = true, value_name = "TARGET")]
    targets: Vec<String>,
}

pub(crate) fn run(args: &Args, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    let report = commit(world, &args.targets)?;
    if ui.json {
        ui.json(&report)?;
        return Ok(Exit::DONE);
    }
    if !report.stages.is_empty() {
        let stages = render::count(report.stages.len() as u64, "stage");
        ui.say(&format!(
            "Adopted {stages} as they are on disk: {}",
            report.stages.join(", ")
        ));
    }
    super::add::tell(ui, &report.paths);
    ui.next("git add esker.lock .gitignore");
    Ok(Exit::DONE)
}
