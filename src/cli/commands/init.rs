use super::{CliError, Exit, Ui, World};
use crate::ops::init::init;

/// Make an esker project of this directory
///
/// Writes `esker.toml`, which you edit, and a line in `.gitattributes` that lets the ignore lists
/// of two branches merge. Must be inside a git working tree.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    let report = init(world)?;
    if ui.json {
        ui.json(&report)?;
        return Ok(Exit::DONE);
    }
    let branch = report.branch.as_deref().unwrap_or("detached HEAD");
    ui.say(&format!(
        "Initialized esker in `{}` (git, branch {branch})",
        report.name
    ));
    for file in &report.files {
        let what = match file.as_str() {
            "esker.toml" => "what you write: stages, metrics, remotes",
            _ => "lets the ignore lists of two branches merge",
        };
        ui.say(&format!("  + {file:<16} {what}"));
    }
    ui.next("esker add <data>");
    Ok(Exit::DONE)
}
