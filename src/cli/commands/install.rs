use super::{CliError, Exit, Ui, World};
use crate::ops::hooks::install;

/// Install the git hooks into this clone
///
/// post-checkout, post-merge and post-rewrite switch data with git, and never make git fail.
/// pre-push sends data before commits are pushed, and stops the push if it cannot. Existing
/// hooks are kept and run first.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    let program = std::env::current_exe().map_err(|error| CliError::cwd(&error))?;
    let report = install(world, &program)?;
    if ui.json {
        ui.json(&report)?;
        return Ok(Exit::DONE);
    }
    ui.say(&format!("Installed git hooks: {}", report.hooks.join(", ")));
    for name in &report.chained {
        ui.say(&format!(
            "  an existing {name} hook was kept and runs first"
        ));
    }
    Ok(Exit::DONE)
}
