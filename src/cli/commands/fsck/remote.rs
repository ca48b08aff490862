//! `fsck` of a remote.

use super::super::super::exit;
use super::super::super::render;
use super::super::super::ui::Tone;
use super::{CliError, Exit, Ui, World};
use crate::ops::fsck::{
    CheckDepth, Kind, Lost, RemoteFsckOptions, RemoteFsckReport, State, fsck_remote,
};

pub(super) fn run(
    options: &RemoteFsckOptions,
    ui: &Ui,
    world: &World<'_>,
) -> Result<Exit, CliError> {
    let report = fsck_remote(world, options)?;
    let is_clean = report.is_clean();
    if ui.json {
        ui.json(&report)?;
    } else {
        tell(ui, &report, options.depth)?;
        let is_here = |lost: &Lost| lost.in_store && !lost.repaired;
        if !options.repair && report.problems.iter().any(is_here) {
            ui.next(&format!("esker fsck --remote={} --repair", report.remote));
        }
    }
    Ok(Exit::when(!is_clean, exit::DATA))
}

fn tell(ui: &Ui, report: &RemoteFsckReport, depth: CheckDepth) -> Result<(), CliError> {
    for lost in &report.problems {
        let mark = match lost.repaired {
            true => ui.paint_answer(Tone::Good, "✓"),
            false => ui.paint_answer(Tone::Bad, "!"),
        };
        ui.answer(&format!("  {mark} {}", describe(lost)))?;
    }
    for damaged in &report.damaged {
        let end = match report.is_proven && !damaged.object.starts_with("snap/") {
            true => "; what is needed of it and not named above lies elsewhere",
            false => "",
        };
        ui.answer(&format!("  ~ {}  {}{end}", damaged.object, damaged.reason))?;
    }
    ui.answer(&summary(report, depth))
}

/// `data/a  file b3:6f1d… is damaged; the store has it`
fn describe(lost: &Lost) -> String {
    const SHOWN: usize = 19;
    let what = match lost.kind {
        Kind::Listing => "listing",
        Kind::File | Kind::Recipe => "file",
    };
    let state = match lost.state {
        State::Damaged => "is damaged",
        State::Missing => "is missing",
    };
    let copies = match (lost.repaired, lost.in_store, lost.in_remotes.first()) {
        (true, ..) => "; sent again".to_owned(),
        (false, true, _) => "; the store has it".to_owned(),
        (false, false, Some(remote)) => format!("; `{remote}` has it"),
        (false, false, None) => "; no other copy is known here".to_owned(),
    };
    let hash: String = lost.hash.chars().take(SHOWN).collect();
    format!("{}  {what} {hash} {state}{copies}", needed_by(lost))
}

/// Who needs it: the first path, with the commit if it is not the lock on disk, and how many more.
fn needed_by(lost: &Lost) -> String {
    let mut needers = lost.needed_by.iter();
    let Some(first) = needers.next() else {
        return "(needed by a record that this clone does not have)".to_owned();
    };
    let commit = match &first.commit {
        Some(commit) => format!(" ({commit:.7})"),
        None => String::new(),
    };
    let more = match needers.filter(|needer| needer.path != first.path).count() {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    format!("{}{commit}{more}", first.path)
}

fn summary(report: &RemoteFsckReport, depth: CheckDepth) -> String {
    let looked = match depth {
        CheckDepth::Quick => "names and sizes".to_owned(),
        CheckDepth::Listings => "listings read".to_owned(),
        CheckDepth::Data(100) => "every byte read".to_owned(),
        CheckDepth::Data(percent) => format!("listings and {percent}% of the packs read"),
    };
    let count = |state: State| {
        let lost = report.problems.iter().filter(|lost| lost.state == state);
        lost.count() as u64
    };
    let amiss = report.damaged.len() as u64;
    let parts: Vec<String> = [
        (count(State::Damaged), "damaged"),
        (count(State::Missing), "missing"),
        (report.repaired, "repaired"),
    ]
    .iter()
    .filter(|(n, _)| *n > 0)
    .map(|(n, word)| format!("{n} {word}"))
    .collect();
    let verdict = match (parts.is_empty(), amiss) {
        (true, 0) => "all is well".to_owned(),
        (true, n) => format!("{} not as they should be", render::count(n, "object")),
        (false, _) => parts.join(", "),
    };
    format!(
        "Checked {} and {} ({}) on `{}` ({looked}): {verdict}",
        render::count(report.snapshots, "snapshot"),
        render::count(report.packs, "pack"),
        render::size(report.bytes),
        report.remote
    )
}
