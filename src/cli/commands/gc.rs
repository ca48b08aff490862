use std::io::{self, BufRead, IsTerminal, Write};
use std::time::Duration;

use super::super::exit;
use super::super::render;
use super::{CliError, Exit, Ui, World};
use crate::ops::gc::{Dropped, GcOptions, GcReport, Packs, gc};
use crate::project::manifest::duration;

/// Remove from a remote what nobody needs any more
///
/// First shows what would go, and why, then asks for the name of the remote. Data that any
/// snapshot on the remote needs stays. A snapshot is dropped only if it is of this project, 30
/// days old, and of a commit that no branch, tag, reflog, stash or worktree leads to any more;
/// commits that this clone never saw count as needed.
///
/// Packs that nobody needs are condemned in one run and deleted in a later one, when the grace is
/// over. Pushes and pulls may go on meanwhile; what one of them turns out to need is kept.
///
/// Examples:
///   esker gc --remote s3 --dry-run
///   esker gc --remote s3
///   esker gc --remote s3 --confirm s3    (without a terminal)
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// The remote
    #[arg(short, long, value_name = "NAME")]
    remote: String,
    /// Only say what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Do it without asking; the name of the remote again
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
    /// How long condemned packs stay, for pulls that are under way: 24h, 30m, 0s
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = parse_time)]
    grace: Duration,
    /// Leave packs alone that are younger than this, since a push may be about to need them
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = parse_time)]
    min_age: Duration,
    /// Also drop snapshots of commits that this clone does not know, if they are so many days
    /// old (30 at least)
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u64).range(30..))]
    forget_unknown: Option<u64>,
    /// Transfer so many objects at once
    #[arg(short, long, value_name = "N")]
    jobs: Option<usize>,
}

pub(crate) fn run(args: &Args, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    let is_confirmed = args.confirm.as_deref() == Some(args.remote.as_str());
    let can_ask = io::stdin().is_terminal() && io::stderr().is_terminal() && !ui.json;
    if !args.dry_run && !is_confirmed && !can_ask {
        let flag = format!("--confirm {}", args.remote);
        return Err(CliError::confirmation(
            "gc changes a remote that others use",
            &flag,
        ));
    }
    let mut is_refused = false;
    let report = gc(world, &options(args), &mut |plan| {
        if is_confirmed || !has_work(plan) {
            return true;
        }
        tell(ui, plan);
        is_refused = !ask(&args.remote);
        !is_refused
    })?;
    if ui.json {
        ui.json(&report)?;
    } else if is_refused {
        ui.say("Nothing was done");
    } else {
        tell(ui, &report);
    }
    if is_refused {
        return Ok(Exit(exit::NO));
    }
    let is_damaged = !report.missing.is_empty() || report.stuck.packs > 0;
    Ok(Exit::when(is_damaged, exit::DATA))
}

fn options(args: &Args) -> GcOptions {
    GcOptions {
        remote: Some(args.remote.clone()),
        jobs: args.jobs,
        grace: args.grace,
        min_age: args.min_age,
        forget_unknown: args.forget_unknown,
        dry_run: args.dry_run,
    }
}

fn has_work(plan: &GcReport) -> bool {
    plan.condemned.packs + plan.deleted.packs > 0 || !plan.dropped.is_empty()
}

/// Asks for the name of the remote, which nobody types by mistake.
fn ask(remote: &str) -> bool {
    let _ = write!(io::stderr(), "Type the name of the remote to go on: ");
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).is_ok() && line.trim() == remote
}

fn tell(ui: &Ui, report: &GcReport) {
    for dropped in &report.dropped {
        ui.say(&format!("  - {}", describe(dropped)));
    }
    let (goes, is) = match report.applied {
        true => ("deleted", "condemned now"),
        false => ("to be deleted", "to be condemned"),
    };
    let lines = [
        (
            "-",
            report.deleted,
            format!("{goes}: condemned by an earlier run"),
        ),
        (
            "~",
            report.condemned,
            format!("{is}: nobody needs them; a later run deletes them"),
        ),
        (
            "·",
            report.waiting,
            "condemned before: deleted when the grace is over".to_owned(),
        ),
        (
            "·",
            report.young,
            "needed by nobody, but young (--min-age)".to_owned(),
        ),
        (
            "!",
            report.stuck,
            "condemned, with something needed that cannot be read: they stay".to_owned(),
        ),
    ];
    for (mark, packs, why) in lines.iter().filter(|(_, packs, _)| packs.packs > 0) {
        ui.say(&format!("  {mark} {}  {why}", amount(*packs)));
    }
    for id in &report.missing {
        ui.say(&format!(
            "  ! {id:.22}  needed, and in no pack of the remote"
        ));
    }
    for (key, reason) in &report.damaged {
        ui.say(&format!("  ! {key}  {reason}"));
    }
    if let Some(blind) = report.blind {
        ui.warn(&format!(
            "no snapshot of a known commit is dropped: {}",
            why_blind(blind)
        ));
    }
    ui.say(&summary(report));
}

fn describe(dropped: &Dropped) -> String {
    let days = render::count(dropped.days, "day");
    if dropped.commit.bytes().all(|digit| digit == b'0') {
        return format!("snapshot of a workspace, {days} old");
    }
    format!(
        "snapshot of {:.7}, {days} old  nothing leads to that commit any more",
        dropped.commit
    )
}

fn why_blind(blind: &str) -> &'static str {
    match blind {
        "shallow" => "this clone is shallow and does not know all commits",
        "some-branches" => "this clone fetches some branches only and does not know all commits",
        _ => "`git fetch --all` failed, so others may need commits that are not known here",
    }
}

fn summary(report: &GcReport) -> String {
    let kept = amount(report.kept);
    if !has_work(report) {
        return format!("Nothing to collect on `{}`: {kept} stay", report.remote);
    }
    if report.deleted.packs == 0 {
        let verb = match report.applied {
            true => "Condemned",
            false => "Would condemn",
        };
        let bytes = render::size(report.condemned.bytes);
        let remote = &report.remote;
        return format!("{verb} {bytes} on `{remote}`, for a later run to free; {kept} stay");
    }
    let verb = match report.applied {
        true => "Freed",
        false => "Would free",
    };
    let rescued = match report.rescued {
        0 => String::new(),
        n => format!(", {} copied out of it first", render::count(n, "object")),
    };
    let freed = render::size(report.deleted.bytes);
    format!(
        "{verb} {freed} on `{}`{rescued}; {kept} stay",
        report.remote
    )
}

fn amount(packs: Packs) -> String {
    format!(
        "{} ({})",
        render::count(packs.packs, "pack"),
        render::size(packs.bytes)
    )
}

/// `90s`, `30m`, `24h`, `7d`, `1d12h`.
fn parse_time(text: &str) -> Result<Duration, String> {
    duration(text).ok_or_else(|| format!("`{text}` is no time; write 90s, 30m, 24h or 7d"))
}
