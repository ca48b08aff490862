use super::{CliError, Exit, Ui, World};
use crate::ops::Site;

/// Print the directory of the project
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    let site = Site::open(world)?;
    let root = site.layout.root.display().to_string();
    match ui.json {
        true => ui.json(&serde_json::json!({ "root": root }))?,
        false => ui.answer(&root)?,
    }
    Ok(Exit::DONE)
}
