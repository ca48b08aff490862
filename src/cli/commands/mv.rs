use super::super::render;
use super::super::ui::Tone;
use super::{CliError, Exit, Ui, World};
use crate::ops::mv::mv;

/// Rename tracked data
///
/// Renames it on disk and in `esker.lock`; the list that git ignores follows. An existing
/// directory as the target means: into it. Also works inside a tracked directory, between two,
/// and for data that is not on disk.
///
/// Examples:
///   esker mv data/raw.csv data/reviews.csv
///   esker mv data/raw.csv archive/
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// A tracked file or directory, or a path inside one
    #[arg(value_name = "FROM")]
    from: String,
    /// Its new name, or the directory to put it into
    #[arg(value_name = "TO")]
    to: String,
}

pub(crate) fn run(args: &Args, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    let report = mv(world, &args.from, &args.to)?;
    if ui.json {
        ui.json(&report)?;
        return Ok(Exit::DONE);
    }
    let note = match report.on_disk {
        true => "",
        false => "  (not on disk: only the record)",
    };
    ui.say(&format!(
        "{} {}  (was {})  {}{note}",
        ui.paint(Tone::Good, "→"),
        report.to,
        report.from,
        render::size(report.size)
    ));
    if !report.stages.is_empty() {
        let stages = report.stages.join(", ");
        ui.warn(&format!(
            "esker.toml still names `{}`: {stages}",
            report.from
        ));
    }
    ui.next("git add esker.lock .gitignore");
    Ok(Exit::DONE)
}
