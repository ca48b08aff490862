//! `gc` of the store of this clone.

use std::time::Duration;

use super::super::super::exit;
use super::super::super::render;
use super::{Args, CliError, DAY, Exit, Ui, World, ask, can_ask};
use crate::ops::gc::{Amount, CloneState, LocalGcOptions, LocalGcReport, RESULT_DAYS, local_gc};
use crate::ops::undo::KEPT_DAYS;

/// How long objects are left alone that nobody needs, in days.
const MIN_AGE_DAYS: u64 = 14;
/// So many of the largest objects are named.
const SHOWN: usize = 10;

/// What is shown of an amount: how much, of what, and why it goes or stays.
type Line = (&'static str, u64, &'static str, u64, String);

pub(super) fn run(args: &Args, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    if !args.dry_run && !args.yes && !can_ask(ui) {
        let message = "gc removes objects from the store";
        return Err(CliError::confirmation(message, "--yes"));
    }
    let min_age = args
        .min_age
        .unwrap_or(Duration::from_secs(MIN_AGE_DAYS * DAY));
    let options = LocalGcOptions {
        min_age,
        forget: args.forget.clone(),
        allow_missing: args.allow_missing,
        dry_run: args.dry_run,
    };
    let mut is_refused = false;
    let mut approve = |plan: &LocalGcReport| {
        if plan.has_work() && !args.dry_run {
            tell(ui, plan, min_age);
            let question = format!("Free {}? [y/N] ", render::size(plan.bytes()));
            is_refused = !matches!(ask(&question).as_str(), "y" | "Y" | "yes");
        }
        !is_refused
    };
    let report = match args.yes {
        true => local_gc(world, &options, None)?,
        false => local_gc(world, &options, Some(&mut approve))?,
    };
    if ui.json {
        ui.json(&report)?;
    } else if is_refused {
        ui.say("Nothing was done");
    } else if report.applied && !args.yes {
        // What goes was shown when it was asked for.
        ui.say(&summary(&report));
    } else {
        tell(ui, &report, min_age);
    }
    Ok(Exit::when(is_refused, exit::NO))
}

fn tell(ui: &Ui, report: &LocalGcReport, min_age: Duration) {
    for clone in &report.clones {
        let why = match clone.state {
            CloneState::Asked => continue,
            CloneState::Gone => "is gone: what it alone needed is not kept",
            CloneState::Forgotten => "is not asked any more: what it alone needed is not kept",
        };
        ui.say(&format!("  ! {}  {why}", clone.path.display()));
    }
    for id in &report.lost {
        ui.say(&format!(
            "  ! {id:.22}  a listing that is needed and cannot be read: what only it names is not kept"
        ));
    }
    for (mark, n, noun, bytes, why) in lines(report, min_age) {
        if n > 0 {
            let (count, size) = (render::count(n, noun), render::size(bytes));
            ui.say(&format!("  {mark} {count} ({size})  {why}"));
        }
        if noun == "file" {
            tell_largest(ui, report);
        }
    }
    ui.say(&summary(report));
}

fn lines(report: &LocalGcReport, min_age: Duration) -> [Line; 7] {
    let unnamed = "no commit, index or workspace names them";
    let days = min_age.as_secs() / DAY;
    let age = match days {
        0 => format!("{}s", min_age.as_secs()),
        days => render::count(days, "day"),
    };
    let line =
        |mark, amount: Amount, noun, why: String| (mark, amount.objects, noun, amount.bytes, why);
    [
        line("-", report.files, "file", unnamed.to_owned()),
        line("-", report.listings, "listing", unnamed.to_owned()),
        line(
            "-",
            report.results,
            "result",
            format!(
                "of the run cache, older than {RESULT_DAYS} days, of data that no record names"
            ),
        ),
        line(
            "-",
            report.runs,
            "run record",
            format!("or log, older than {RESULT_DAYS} days, that no record names"),
        ),
        line(
            "-",
            report.parked,
            "act",
            format!("in the park, older than {KEPT_DAYS} days"),
        ),
        line(
            "·",
            report.young,
            "object",
            format!("named by no record, but stored in the last {age} (--min-age)"),
        ),
        line(
            "·",
            report.scattered,
            "object",
            "named by no record, among many that are: they go when there are more".to_owned(),
        ),
    ]
}

fn tell_largest(ui: &Ui, report: &LocalGcReport) {
    for object in report.objects.iter().take(SHOWN) {
        let path = object.path.as_ref().map(|path| format!("  was {path}"));
        let (hash, size) = (&object.hash, render::size(object.size));
        ui.say(&format!(
            "      {hash:.19}  {size}{}",
            path.unwrap_or_default()
        ));
    }
    let more = report.objects.len().saturating_sub(SHOWN);
    if more > 0 {
        ui.say(&format!("      and {more} more (--json lists them)"));
    }
}

fn summary(report: &LocalGcReport) -> String {
    let asked = report.clones.iter().filter(|clone| clone.is_asked());
    let clones = render::count(asked.count() as u64, "clone");
    let kept = format!(
        "{} ({}) stay, for {clones}",
        render::count(report.kept.objects, "object"),
        render::size(report.kept.bytes)
    );
    if !report.has_work() {
        return format!("Nothing to collect: {kept}");
    }
    let verb = match report.applied {
        true => "Freed",
        false => "Would free",
    };
    format!("{verb} {}; {kept}", render::size(report.bytes()))
}
