use super::super::exit;
use super::{CliError, Exit, Ui, World};
use crate::ops::check_ignore::check_ignore;

/// Say which of some paths `.eskerignore` or `.dvcignore` excludes
///
/// Prints the excluded ones, as `git check-ignore` does, and ends with 1 if there is none.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Paths; they need not exist
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
    /// Also print the file, the line and the pattern that exclude each
    #[arg(short, long, short_alias = 'd', alias = "details")]
    verbose: bool,
}

pub(crate) fn run(args: &Args, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    let report = check_ignore(world, &args.paths)?;
    let any = report.paths.iter().any(|path| path.ignored);
    if ui.json {
        ui.json(&report)?;
        return Ok(Exit::when(!any, exit::NO));
    }
    for path in &report.paths {
        let Some(rule) = &path.rule else { continue };
        match args.verbose {
            true => ui.answer(&format!(
                "{}:{}:{}\t{}",
                rule.file, rule.line, rule.pattern, path.path
            ))?,
            false => ui.answer(&path.path)?,
        }
    }
    Ok(Exit::when(!any, exit::NO))
}
