mod remote;

use super::super::exit;
use super::super::render;
use super::super::ui::Tone;
use super::everywhere::Everywhere;
use super::{CliError, Exit, Ui, World};
use crate::ops::fsck::{
    CheckDepth, Depth, FsckOptions, FsckReport, Kind, Problem, Record, RemoteFsckOptions, Source,
    State, fsck,
};

/// Check that the store, or a remote, holds what it should, whole
///
/// Reads every listing and looks for everything that `esker.lock`, the last commit's lock and the
/// workspace need. A damaged object is moved to the store's quarantine and named, with who needs
/// it. Ends with 3 if anything is damaged or missing, and could not be repaired.
///
/// With `--remote` it looks at a remote instead: whether its packs hold, readable, all that its
/// snapshots need, whoever pushed them. What is lost is named with who needs it and where a good
/// copy is; `--repair` pushes what the store still has once more. Nothing is removed there.
///
/// Examples:
///   esker fsck
///   esker fsck --data             (reads every byte)
///   esker fsck --data --repair    (and brings back what the workspace or a remote still has)
///   esker fsck --remote=s3        (reads every listing on the remote `s3`)
///   esker fsck --remote --data=5% (and a twentieth of the packs on the default remote)
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Look at a remote, by default the default one
    #[arg(long, value_name = "NAME", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "")]
    remote: Option<String>,
    /// Look at names and sizes only
    #[arg(long, conflicts_with = "data")]
    quick: bool,
    /// Read every object and compare it with its hash; with a percentage, so much of them, drawn
    /// by chance
    #[arg(long, value_name = "N%", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "100%", value_parser = parse_percent)]
    data: Option<u8>,
    /// Bring back what is damaged or missing: from the workspace or the default remote; on a
    /// remote, from the store
    #[arg(long)]
    repair: bool,
    #[command(flatten)]
    pub(super) everywhere: Everywhere,
}

pub(crate) fn run(args: &Args, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    if let Some(remote) = &args.remote {
        let depth = match (args.quick, args.data) {
            // What is lost is known only then.
            (true, _) if args.repair => CheckDepth::Listings,
            (true, _) => CheckDepth::Quick,
            (_, Some(percent)) => CheckDepth::Data(percent),
            _ => CheckDepth::Listings,
        };
        let (remote, repair) = (remote.clone(), args.repair);
        let options = RemoteFsckOptions {
            remote,
            depth,
            repair,
        };
        return remote::run(&options, ui, world);
    }
    let depth = match (args.quick, args.data) {
        (true, _) => Depth::Quick,
        (_, Some(percent)) => Depth::Data(percent),
        _ => Depth::Trees,
    };
    let repair = args.repair;
    let report = fsck(world, FsckOptions { depth, repair })?;
    if ui.json {
        ui.json(&report)?;
    } else {
        tell(ui, &report)?;
        if !report.is_clean() && !repair {
            ui.next(match report.packs.is_empty() {
                true => "esker fsck --repair",
                false => "esker fsck --data --repair",
            });
        }
    }
    Ok(Exit::when(!report.is_clean(), exit::DATA))
}

fn tell(ui: &Ui, report: &FsckReport) -> Result<(), CliError> {
    // A listing that cannot be read hides what it needs.
    let mut listings = report.problems.iter();
    let is_blind = listings.any(|problem| problem.kind == Kind::Listing);
    for problem in &report.problems {
        let mark = match problem.repaired {
            Some(_) => ui.paint_answer(Tone::Good, "✓"),
            None => ui.paint_answer(Tone::Bad, "!"),
        };
        ui.answer(&format!("  {mark} {}", describe(problem, is_blind)))?;
    }
    for pack in &report.packs {
        let (mark, end) = match report.packs_rewritten {
            true => (ui.paint_answer(Tone::Good, "✓"), "; written again"),
            false => (ui.paint_answer(Tone::Bad, "!"), ""),
        };
        ui.answer(&format!(
            "  {mark} pack {}…  its own list of what it holds is damaged{end}",
            &pack[..16]
        ))?;
    }
    for path in &report.unchecked {
        ui.answer(&format!(
            "  ? {path}  recorded with a hash of another tool; not checked"
        ))?;
    }
    ui.answer(&summary(report))
}

/// `data/a  file b3:6f1d… is not in the store`
fn describe(problem: &Problem, is_blind: bool) -> String {
    const SHOWN: usize = 19;
    let what = match problem.kind {
        Kind::File => "file",
        Kind::Listing => "listing",
        Kind::Recipe => "recipe",
    };
    let state = match problem.state {
        State::Damaged if problem.quarantined => "is damaged and was moved to quarantine",
        State::Damaged => "is damaged, and the store cannot be written to move it aside",
        State::Missing => "is not in the store",
    };
    let hash: String = problem.hash.chars().take(SHOWN).collect();
    let end = match problem.repaired {
        Some(Source::Workspace) => "; restored from the workspace",
        Some(Source::Remote) => "; fetched again",
        None => "",
    };
    format!(
        "{}  {what} {hash} {state}{end}",
        needed_by(problem, is_blind)
    )
}

/// Who needs an object: the first path, and how many more.
fn needed_by(problem: &Problem, is_blind: bool) -> String {
    let mut paths = problem.needed_by.iter();
    let Some(first) = paths.next() else {
        return match is_blind {
            true => "(needed by no listing that can be read)".to_owned(),
            false => "(needed by no current record)".to_owned(),
        };
    };
    let more = match paths.count() {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let old = match problem.records.contains(&Record::Lock) {
        true => "",
        false if problem.records.contains(&Record::Head) => " (last commit)",
        false => " (in the workspace)",
    };
    format!("{first}{more}{old}")
}

fn summary(report: &FsckReport) -> String {
    let objects = render::count(report.objects, "object");
    let looked = match report.depth {
        Depth::Quick => "names and sizes",
        Depth::Trees => "listings read",
        Depth::Data(100) => "every byte read",
        Depth::Data(_) => "a part of the bytes read",
    };
    let mut parts = Vec::new();
    for (n, word) in [
        (report.damaged, "damaged"),
        (report.packs.len() as u64, "badly listed"),
        (report.missing, "missing"),
        (report.repaired, "repaired"),
    ] {
        if n > 0 {
            parts.push(format!("{n} {word}"));
        }
    }
    let mut verdict = match parts.is_empty() {
        true => "all is well".to_owned(),
        false => parts.join(", "),
    };
    if report.not_here > 0 {
        let objects = render::count(report.not_here, "object");
        verdict.push_str(&format!("; {objects} never brought here"));
    }
    let size = render::size(report.bytes);
    format!("Checked {objects}, {size} ({looked}): {verdict}")
}

/// `5%`, `5`.
fn parse_percent(text: &str) -> Result<u8, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse().ok();
    let number = number.filter(|number| (1..=100).contains(number));
    number.ok_or_else(|| format!("`{text}` is not between 1% and 100%"))
}
