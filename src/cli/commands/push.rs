use super::super::error::Body;
use super::super::exit;
use super::super::render;
use super::super::ui::Tone;
use super::everywhere::Everywhere;
use super::{CliError, Exit, Ui, World};
use crate::git::Which;
use crate::ops::Missing;
use crate::ops::push::{FailedPush, PushOutcome, PushReport, TransferOptions, push};

/// Send data to a remote
///
/// Sends what the workspace's lock needs, and the locks of commits that no remote-tracking
/// branch has yet. What the remote has already is not sent again. Data and outputs with `remote`
/// go to that one alone, those with `push = false` nowhere. A remote of several that fails does not keep
/// the others from what is theirs; the exit code is that of the worst. `--include` and `--exclude` take a tracked
/// directory or an output as a whole or leave it out.
///
/// At the end stands how many files are new there, how long they are, and how many bytes were sent in how many
/// objects; what was there already, in other files, and what compression saved is why that is less. With
/// `--json` these are `files`, `bytes`, `sent_bytes`, `objects`, `reused_bytes` and `compression_saved_bytes`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    transfer: Transfer,
    #[command(flatten)]
    pub(super) everywhere: Everywhere,
}

/// Flags of all commands that talk to a remote.
#[derive(Debug, clap::Args)]
pub(super) struct Transfer {
    /// The remote for all that has none of its own in esker.toml; none: the default one
    #[arg(short, long, value_name = "NAME")]
    remote: Option<String>,
    /// Transfer so many objects at once
    #[arg(short, long, value_name = "N")]
    jobs: Option<usize>,
    /// Also the tips of all branches
    #[arg(short = 'a', long)]
    all_branches: bool,
    /// Also all tags
    #[arg(short = 'T', long)]
    all_tags: bool,
    /// Also every commit of every branch and tag
    #[arg(short = 'A', long)]
    all_commits: bool,
    /// Only what matches, as a line of a .gitignore at the project's root would; may be repeated
    #[arg(long, value_name = "PATTERN")]
    include: Vec<String>,
    /// Not what matches; may be repeated, and goes before --include
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// Only say what would travel, and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

impl Transfer {
    pub(super) fn options(&self) -> TransferOptions {
        let also = [
            (self.all_branches, Which::Branches),
            (self.all_tags, Which::Tags),
            (self.all_commits, Which::All),
        ];
        let also = also.into_iter().filter(|(asked, _)| *asked);
        TransferOptions {
            remote: self.remote.clone(),
            jobs: self.jobs,
            also: also.map(|(_, which)| which).collect(),
            dry_run: self.dry_run,
            include: self.include.clone(),
            exclude: self.exclude.clone(),
        }
    }
}

/// The answer of a push, as programs read it.
#[derive(serde::Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    report: Option<&'a PushReport>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed: Vec<Failed<'a>>,
}

/// A remote that could not be pushed to.
#[derive(serde::Serialize)]
struct Failed<'a> {
    remote: &'a str,
    error: Body<'a>,
}

pub(crate) fn run(args: &Args, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    let outcome = push(world, &args.transfer.options())?;
    let whole = Exit::when(!outcome.is_whole(), exit::DATA);
    if !ui.json {
        outcome.each().for_each(|report| tell(ui, report));
    }
    let PushOutcome { report, failed } = outcome;
    let failed = failed.into_iter();
    let failed: Vec<(String, CliError)> = failed
        .map(|failed| (failed.remote.clone(), failure(failed)))
        .collect();
    if ui.json {
        ui.json(&Answer {
            report: report.as_ref(),
            failed: failed
                .iter()
                .map(|(remote, error)| Failed {
                    remote,
                    error: error.body(),
                })
                .collect(),
        })?;
    } else {
        failed.iter().for_each(|(_, error)| ui.error(error));
    }
    let exits = failed.iter().map(|(_, error)| Exit(error.exit));
    Ok(exits.fold(whole, Exit::or_worse))
}

fn tell(ui: &Ui, report: &PushReport) {
    ui.say(&summary(report));
    tell_missing(ui, &report.missing, "here");
    if report.results > 0 {
        let results = render::count(report.results, "result");
        ui.say(&format!("Shared {results} of the run cache"));
    }
}

/// The error of one remote of several.
pub(super) fn failure(failed: FailedPush) -> CliError {
    let detail = format!("nothing more was sent to `{}`", failed.remote);
    CliError::from(failed.error).with_detail(detail)
}

pub(super) fn summary(report: &PushReport) -> String {
    let files = render::count(report.files, "file");
    let (bytes, sent) = (render::size(report.bytes), render::size(report.sent_bytes));
    let objects = render::count(report.objects, "object");
    if report.dry_run {
        return format!("Would push {files} to `{}`: {bytes}", report.remote);
    }
    if report.complete == 0 {
        let remote = &report.remote;
        return format!("Nothing to push: nothing that is recorded goes to `{remote}`");
    }
    if report.files == 0 && report.objects == 0 {
        return format!("Nothing to push: `{}` has everything", report.remote);
    }
    let economy = economy(report.reused_bytes, "there", report.compression_saved_bytes);
    format!(
        "Pushed {files} to `{}`: {bytes} as {sent} in {objects}{economy}",
        report.remote
    )
}

/// Why fewer bytes travelled than there are in the files, if that is so.
pub(super) fn economy(reused: u64, place: &str, saved: u64) -> String {
    let reused = (reused > 0).then(|| format!("{} were {place} already", render::size(reused)));
    let saved = (saved > 0).then(|| format!("compression saved {}", render::size(saved)));
    let reasons: Vec<String> = reused.into_iter().chain(saved).collect();
    match reasons.is_empty() {
        true => String::new(),
        false => format!(" ({})", reasons.join(", ")),
    }
}

/// Names what could not be sent: also what `fetch` and `pull` could not have.
pub(super) fn tell_missing(ui: &Ui, missing: &[Missing], place: &str) {
    const SHOWN: usize = 10;
    for item in missing.iter().take(SHOWN) {
        let mark = ui.paint(Tone::Bad, "!");
        ui.say(&format!(
            "  {mark} {}  not {place} ({:.15})",
            item.path, item.hash
        ));
    }
    if missing.len() > SHOWN {
        ui.say(&format!("  ! … and {} more", missing.len() - SHOWN));
    }
}
