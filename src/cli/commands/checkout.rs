use super::super::exit;
use super::super::render;
use super::super::ui::Tone;
use super::everywhere::Everywhere;
use super::{CliError, Exit, Ui, World};
use crate::ops::Missing;
use crate::ops::checkout::{CheckoutOptions, CheckoutReport, Relinked, checkout};

/// How many paths are named before the rest is counted.
const SHOWN: usize = 10;

/// Put recorded data into the workspace
///
/// Makes tracked data and outputs what `esker.lock` records. git's files stay. Bytes that are
/// saved nowhere are never overwritten: then nothing is touched, and the paths are named.
///
/// Examples:
///   esker checkout
///   esker checkout data/raw/2024.csv
///   esker checkout --rev v0.1 models     (the lock stays; `esker checkout` goes back)
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Paths; none: everything
    #[arg(value_name = "PATH", conflicts_with = "all_projects")]
    paths: Vec<String>,
    /// Take the record of this commit instead of the lock on disk
    #[arg(long, value_name = "REV")]
    rev: Option<String>,
    /// Move what is in the way and saved nowhere into the park, instead of refusing
    #[arg(short, long)]
    force: bool,
    /// Also give unchanged files the kind of link that `[store] links` prefers
    #[arg(long)]
    relink: bool,
    #[command(flatten)]
    pub(super) everywhere: Everywhere,
}

pub(crate) fn run(args: &Args, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    let report = checkout(
        world,
        &CheckoutOptions {
            paths: args.paths.clone(),
            rev: args.rev.clone(),
            force: args.force,
            relink: args.relink,
        },
    )?;
    if ui.json {
        ui.json(&report)?;
    } else {
        tell(ui, &report);
        if let Some(relinked) = &report.relinked {
            tell_relinked(ui, relinked);
        }
        if let Some(rev) = &report.rev {
            ui.say(&format!(
                "The lock still records another state; `esker checkout` goes back, `esker add` or `esker commit` keeps {rev}'s"
            ));
        }
    }
    Ok(Exit::when(!report.missing.is_empty(), exit::DATA))
}

fn tell_relinked(ui: &Ui, relinked: &Relinked) {
    let changed = render::count(relinked.changed, "file");
    let links = render::links(&relinked.links);
    let links = links
        .map(|links| format!(": {links} now"))
        .unwrap_or_default();
    ui.say(&format!("Relinked {changed}{links}"));
}

/// The outcome in a few lines: also for `pull`.
pub(super) fn tell(ui: &Ui, report: &CheckoutReport) {
    tell_switched(ui, report);
    tell_missing(ui, &report.missing);
}

/// The outcome without what is missing, for `pull`, which has named that already.
pub(super) fn tell_switched(ui: &Ui, report: &CheckoutReport) {
    if report.switched.is_empty() && report.missing.is_empty() {
        ui.say("Nothing to switch: the workspace matches the record");
    } else if !report.switched.is_empty() {
        ui.say(&summary(report));
    }
    tell_rest(ui, report);
}

pub(super) fn summary(report: &CheckoutReport) -> String {
    let paths: Vec<&str> = report
        .switched
        .iter()
        .map(crate::path::RelPath::as_str)
        .collect();
    let mut text = format!(
        "Switched {} ({})",
        render::count(paths.len() as u64, "path"),
        paths.join(", ")
    );
    let written = render::count(report.written, "file");
    text.push_str(&format!(
        ": {written} written, {}",
        render::size(report.bytes)
    ));
    if report.removed > 0 {
        text.push_str(&format!(
            ", {} removed",
            render::count(report.removed, "file")
        ));
    }
    text
}

fn tell_rest(ui: &Ui, report: &CheckoutReport) {
    if report.park.is_some() {
        let parked = render::count(report.parked.len() as u64, "path");
        ui.say(&format!(
            "Moved {parked} out of the way; to have it back: esker undo --last"
        ));
    }
    for path in report.left.iter().take(SHOWN) {
        ui.say(&format!("  ? {path}  (not recorded; left as it is)"));
    }
    if report.left.len() > SHOWN {
        ui.say(&format!("  ? … and {} more", report.left.len() - SHOWN));
    }
}

fn tell_missing(ui: &Ui, missing: &[Missing]) {
    for item in missing.iter().take(SHOWN) {
        let mark = ui.paint(Tone::Bad, "!");
        ui.say(&format!("  {mark} {}  not in the store", item.path));
    }
    if missing.len() > SHOWN {
        ui.say(&format!("  ! … and {} more", missing.len() - SHOWN));
    }
}
