use super::super::render;
use super::{CliError, Exit, Ui, World};
use crate::ops::unprotect::unprotect;

/// Make tracked files that are links or read-only ordinary, writable ones
///
/// A file that shares its bytes with the store by a hard or symbolic link must not be edited in
/// place; this puts a copy there. What is in the store stays as it is.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Tracked paths, or paths inside or above them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
}

pub(crate) fn run(args: &Args, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    let report = unprotect(world, &args.paths)?;
    if ui.json {
        return ui.json(&report).map(|()| Exit::DONE);
    }
    match report.paths.len() {
        0 => ui.say("Nothing to do: every file may be edited"),
        n => ui.say(&format!(
            "{} may be edited now",
            render::count(n as u64, "file")
        )),
    }
    Ok(Exit::DONE)
}
