use super::{CliError, Exit, Ui, World};
use crate::ops::hooks::uninstall;

/// Remove the git hooks from this clone
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    let report = uninstall(world)?;
    if ui.json {
        ui.json(&report)?;
    } else if report.hooks.is_empty() {
        ui.say("No hooks of esker are installed");
    } else {
        ui.say(&format!("Removed git hooks: {}", report.hooks.join(", ")));
    }
    Ok(Exit::DONE)
}
