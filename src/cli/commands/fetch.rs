use super::super::exit;
use super::super::render;
use super::everywhere::Everywhere;
use super::push::{Transfer, economy, tell_missing};
use super::{CliError, Exit, Ui, World};
use crate::ops::fetch::{FetchReport, fetch};

/// Bring data from a remote into the store, without touching the workspace
///
/// Data and outputs with `remote` in `esker.toml` come from that one; data with `pull = false` comes
/// only when it is named. With `--json`, `files` and `bytes` are what came, `received_bytes` what it took to
/// bring them, `reused_bytes` what of them was here already from a fetch that was cut short, or came once for
/// several places, and `compression_saved_bytes` by how much compression made the rest shorter.
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
    let report = fetch(world, &args.paths, &args.transfer.options())?;
    if ui.json {
        ui.json(&report)?;
    } else {
        tell(ui, &report, "Fetched", "fetch");
    }
    Ok(Exit::when(!report.is_whole(), exit::DATA))
}

/// Says what came, from each remote that gave or lacked something.
pub(super) fn tell(ui: &Ui, report: &FetchReport, done: &str, verb: &str) {
    let would = format!("Would {verb}");
    let verb = if report.dry_run { &would } else { done };
    let told = |report: &&FetchReport| report.objects > 0 || !report.missing.is_empty();
    let told: Vec<&FetchReport> = report.each().filter(told).collect();
    if told.is_empty() {
        ui.say(&summary(report, verb));
    }
    for report in &told {
        ui.say(&summary(report, verb));
    }
    report.each().for_each(|report| tell_trouble(ui, report));
    if report.results > 0 {
        let results = render::count(report.results, "result");
        ui.say(&format!("{verb} {results} for the run cache"));
    }
}

/// Names what is damaged on the remote, and what could not be had.
fn tell_trouble(ui: &Ui, report: &FetchReport) {
    for damaged in &report.damaged {
        ui.warn(&format!(
            "`{}` on `{}` is damaged: {}",
            damaged.object, report.remote, damaged.reason
        ));
    }
    tell_missing(ui, &report.missing, "on the remote");
}

fn summary(report: &FetchReport, verb: &str) -> String {
    if report.objects == 0 && report.missing.is_empty() {
        return "Nothing to fetch: the store has everything".to_owned();
    }
    let files = render::count(report.files, "file");
    let (bytes, received) = (
        render::size(report.bytes),
        render::size(report.received_bytes),
    );
    if report.dry_run {
        return format!("{verb} {files} from `{}`: {bytes}", report.remote);
    }
    let economy = economy(report.reused_bytes, "here", report.compression_saved_bytes);
    format!(
        "{verb} {files} from `{}`: {bytes} as {received}{economy}",
        report.remote
    )
}
