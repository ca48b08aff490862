use super::super::exit;
use super::super::render;
use super::everywhere::Everywhere;
use super::push::{Transfer, tell_missing};
use super::{CliError, Exit, Ui, World};
use crate::ops::fetch::{FetchReport, fetch};

/// Bring data from a remote into the store, without touching the workspace
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Paths; none: all that the lock records
    #[arg(value_name = "PATH", conflicts_with = "all_projects")]
    paths: Vec<String>,
    #[command(flatten)]
    transfer: Transfer,
    #[command(flatten)]
    pub(super) everywhere: Everywhere,
}

pub(crate) fn run(args: &Args, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    let report = fetch(world, &args.paths, &args.transfer.options(false))?;
    if ui.json {
        ui.json(&report)?;
    } else {
        ui.say(&summary(&report, "Fetched"));
        tell_trouble(ui, &report);
    }
    Ok(Exit::when(!report.missing.is_empty(), exit::DATA))
}

/// Names what is damaged on the remote, and what could not be had.
pub(super) fn tell_trouble(ui: &Ui, report: &FetchReport) {
    for damaged in &report.damaged {
        ui.warn(&format!(
            "`{}` on `{}` is damaged: {}",
            damaged.object, report.remote, damaged.reason
        ));
    }
    tell_missing(ui, &report.missing, "on the remote");
}

pub(super) fn summary(report: &FetchReport, verb: &str) -> String {
    if report.objects == 0 && report.missing.is_empty() {
        return "Nothing to fetch: the store has everything".to_owned();
    }
    let files = render::count(report.files, "file");
    let (bytes, received) = (
        render::size(report.bytes),
        render::size(report.received_bytes),
    );
    format!(
        "{verb} {files} from `{}`: {bytes} as {received}",
        report.remote
    )
}
