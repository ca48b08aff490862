use super::super::exit;
use super::super::render;
use super::everywhere::Everywhere;
use super::{CliError, Exit, Ui, World};
use crate::ops::Standing;
use crate::ops::lock::{lock_check, lock_resolve};
use crate::project::lock::Side;

/// Check the lock, or settle its merge conflicts
///
/// `--check` compares `esker.lock` with `esker.toml`, the params and git's files. It needs no
/// data, no store and no network, so it fits a CI job in a fresh clone. With `--remote` it also
/// asks a remote whether it holds all that the lock names, by its index alone, and ends with 3 if
/// it does not.
///
/// `--resolve` settles the conflict markers that a merge left. A block that only one side changed
/// is taken as it is; one that both changed is taken whole from the side you name.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("act").required(true))]
pub(crate) struct Args {
    /// Exit with 1, and say why, if the lock does not say what the project says
    #[arg(long, group = "act")]
    check: bool,
    /// With `--check`: also ask this remote, by default the default one
    #[arg(long, value_name = "NAME", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "", conflicts_with = "resolve")]
    remote: Option<String>,
    /// Settle merge conflicts
    #[arg(long, group = "act")]
    resolve: bool,
    /// Take blocks that both sides changed from the branch merged into
    #[arg(long, requires = "resolve", conflicts_with = "theirs")]
    ours: bool,
    /// Take blocks that both sides changed from the branch being merged
    #[arg(long, requires = "resolve")]
    theirs: bool,
    #[command(flatten)]
    pub(super) everywhere: Everywhere,
}

pub(crate) fn run(args: &Args, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    match args.check {
        true => check(args, ui, world),
        false => resolve(args, ui, world),
    }
}

fn check(args: &Args, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    let report = lock_check(world, args.remote.as_deref())?;
    let is_missing = !report.missing.is_empty();
    if ui.json {
        ui.json(&report)?;
    } else if report.clean {
        ui.answer("The lock says what the project says")?;
        if let Some(remote) = &report.remote {
            ui.answer(&format!("`{remote}` holds all that it names"))?;
        }
    } else {
        for (path, standing) in &report.missing {
            let remote = report.remote.as_deref().unwrap_or_default();
            ui.answer(&format!("! {path}  {}", lacking(standing, remote)))?;
        }
        for stage in &report.stages {
            let reasons: Vec<&str> = stage
                .reasons
                .iter()
                .map(|reason| reason.text.as_str())
                .collect();
            ui.answer(&format!("~ {}  {}", stage.name, reasons.join(", ")))?;
        }
        for name in &report.gone {
            ui.answer(&format!("- {name}  no longer in `esker.toml`"))?;
        }
        match is_missing {
            true => ui.next("esker push    (in a clone that has it)"),
            false => ui.next("esker repro"),
        }
    }
    match is_missing {
        true => Ok(Exit(exit::DATA)),
        false => Ok(Exit::when(!report.clean, exit::NO)),
    }
}

/// What a remote lacks of a path.
fn lacking(standing: &Standing, remote: &str) -> String {
    let (push, lost) = (standing.push, standing.lost);
    let files = render::count(push.files + lost.files, "file");
    let size = render::size(push.bytes + lost.bytes);
    match standing.unknown {
        true => format!("not known to be whole on `{remote}` ({files}, {size})"),
        false => format!("not on `{remote}`: {files}, {size}"),
    }
}

fn resolve(args: &Args, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    let choice = match (args.ours, args.theirs) {
        (true, _) => Some(Side::Ours),
        (_, true) => Some(Side::Theirs),
        _ => None,
    };
    let report = lock_resolve(world, choice)?;
    if ui.json {
        ui.json(&report)?;
    } else if report.open.is_empty() {
        for block in &report.chosen {
            let side = if args.theirs { "theirs" } else { "ours" };
            ui.say(&format!("  {block}  taken from {side}"));
        }
        for stage in &report.mixed {
            ui.say(&format!(
                "  {stage}  dropped: git had mixed both sides; `esker repro` restores or reruns it"
            ));
        }
        ui.say("Resolved `esker.lock`");
        ui.next("git add esker.lock && esker checkout");
    } else {
        ui.answer("Changed on both sides:")?;
        for block in &report.open {
            ui.answer(&format!("  {block}"))?;
        }
        ui.next("esker lock --resolve --ours    (or --theirs)");
    }
    Ok(Exit::when(!report.open.is_empty(), exit::NO))
}
