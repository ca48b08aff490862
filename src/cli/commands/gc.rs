mod local;

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use super::super::exit;
use super::super::render;
use super::{CliError, Exit, Ui, World};
use crate::ops::gc::{Dropped, GcOptions, GcReport, Packs, gc};
use crate::project::manifest::duration;

const DAY: u64 = 24 * 60 * 60;

/// Remove what nobody needs any more, from the store or from a remote
///
/// First shows what would go, and why, then asks.
///
/// In the store, everything stays that a record names: in any commit that a branch, tag, reflog,
/// stash or worktree leads to, in an index, or in a workspace, of any clone that uses this store.
/// So do results of the run cache for 30 days, and everything that was stored in the last 14.
///
/// On a remote, data stays that any snapshot there needs. A snapshot is dropped only if it is of
/// this project, 30 days old, and of a commit that no branch, tag, reflog, stash or worktree leads
/// to any more; commits that this clone never saw count as needed. Packs that nobody needs are
/// condemned in one run and deleted in a later one, when the grace is over. Pushes and pulls may go
/// on meanwhile; what one of them turns out to need is kept.
///
/// Examples:
///   esker gc --dry-run
///   esker gc                             (the store)
///   esker gc --yes                       (without a terminal)
///   esker gc --remote s3
///   esker gc --remote s3 --confirm s3    (without a terminal)
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// The remote; without it, the store of this clone
    #[arg(short, long, value_name = "NAME")]
    remote: Option<String>,
    /// Only say what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Do it without asking
    #[arg(short, long, conflicts_with = "remote")]
    yes: bool,
    /// Leave alone what is younger than this: objects of the store 14d, packs of a remote, which a
    /// push may be about to need, 7d
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    min_age: Option<Duration>,
    /// Ask this clone no more what it needs: its git directory, as a refusal names it
    #[arg(long, value_name = "CLONE", conflicts_with = "remote")]
    forget: Vec<PathBuf>,
    /// Go on although listings are damaged or missing: what only they name goes too
    #[arg(long, conflicts_with = "remote")]
    allow_missing: bool,
    /// Do it on a remote without asking; the name of the remote again
    #[arg(long, value_name = "NAME", requires = "remote")]
    confirm: Option<String>,
    /// How long condemned packs stay on a remote, for pulls that are under way: 24h, 30m, 0s
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = parse_time)]
    grace: Duration,
    /// Also drop snapshots of commits that this clone does not know, if they are so many days
    /// old (30 at least)
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u64).range(30..))]
    #[arg(requires = "remote")]
    forget_unknown: Option<u64>,
    /// Transfer so many objects at once
    #[arg(short, long, value_name = "N", requires = "remote")]
    jobs: Option<usize>,
}

pub(crate) fn run(args: &Args, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    match &args.remote {
        Some(remote) => run_remote(remote, args, ui, world),
        None => local::run(args, ui, world),
    }
}

fn run_remote(remote: &str, args: &Args, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    let is_confirmed = args.confirm.as_deref() == Some(remote);
    if !args.dry_run && !is_confirmed && !can_ask(ui) {
        let flag = format!("--confirm {remote}");
        return Err(CliError::confirmation(
            "gc changes a remote that others use",
            &flag,
        ));
    }
    let mut is_refused = false;
    let report = gc(world, &options(remote, args), &mut |plan| {
        if is_confirmed || !has_work(plan) {
            return true;
        }
        tell(ui, plan);
        is_refused = ask("Type the name of the remote to go on: ") != remote;
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

/// Whether somebody is there to be asked.
fn can_ask(ui: &Ui) -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal() && !ui.json
}

fn options(remote: &str, args: &Args) -> GcOptions {
    GcOptions {
        remote: Some(remote.to_owned()),
        jobs: args.jobs,
        grace: args.grace,
        min_age: args.min_age.unwrap_or(Duration::from_secs(7 * DAY)),
        forget_unknown: args.forget_unknown,
        dry_run: args.dry_run,
    }
}

fn has_work(plan: &GcReport) -> bool {
    plan.condemned.packs + plan.deleted.packs > 0 || !plan.dropped.is_empty()
}

/// Asks a question; what was typed, or nothing.
fn ask(question: &str) -> String {
    let _ = write!(io::stderr(), "{question}");
    let mut line = String::new();
    match io::stdin().lock().read_line(&mut line) {
        Ok(_) => line.trim().to_owned(),
        Err(_) => String::new(),
    }
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
