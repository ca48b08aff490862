use super::super::exit;
use super::super::render;
use super::super::ui::Tone;
use super::everywhere::Everywhere;
use super::{CliError, Exit, Ui, World};
use crate::ops::status::{
    DataState, DataStatus, HeadState, StageState, StageStatus, StatusOptions, StatusReport, status,
};

/// Show what differs from the record
///
/// Compares tracked data and outputs with `esker.lock`, the lock with git's HEAD, and says for
/// every stage whether it would run and why. Reads no more than it must, and changes nothing.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Paths or stages; none: everything
    #[arg(value_name = "TARGET", conflicts_with = "all_projects")]
    targets: Vec<String>,
    /// Exit with 1 if anything is changed or would run (data that is merely absent is no change)
    #[arg(long)]
    check: bool,
    /// Also ask a remote, by default the default one, what a push and a pull would move
    #[arg(long, value_name = "NAME", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "")]
    remote: Option<String>,
    /// Also list what neither git nor esker knows, one line a directory
    #[arg(short, long)]
    untracked: bool,
    #[command(flatten)]
    pub(super) everywhere: Everywhere,
}

pub(crate) fn run(args: &Args, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    let options = StatusOptions {
        targets: args.targets.clone(),
        untracked: args.untracked,
        remote: args.remote.clone(),
        // People see it of absent data alone; programs are told of all.
        store: ui.json,
    };
    let report = status(world, &options)?;
    if ui.json {
        ui.json(&report)?;
    } else {
        show(ui, &report)?;
    }
    Ok(Exit::when(args.check && is_changed(&report), exit::NO))
}

fn is_changed(report: &StatusReport) -> bool {
    let data = report
        .data
        .iter()
        .any(|data| data.state == DataState::Modified);
    data || report
        .stages
        .iter()
        .any(|stage| would_run(stage) && !stage.only_absent)
}

fn would_run(stage: &StageStatus) -> bool {
    matches!(stage.state, StageState::Stale | StageState::NeverRun)
}

fn show(ui: &Ui, report: &StatusReport) -> Result<(), CliError> {
    show_stages(ui, &report.stages)?;
    show_data(ui, &report.data)?;
    if let Some(untracked) = &report.untracked {
        show_untracked(ui, untracked)?;
    }
    if let Some(remote) = &report.remote {
        show_remote(ui, remote, &report.data)?;
    }
    if report.remotes.is_empty() {
        ui.answer("Remote: none configured")?;
    }
    advise(ui, report);
    Ok(())
}

fn show_stages(ui: &Ui, stages: &[StageStatus]) -> Result<(), CliError> {
    if stages.is_empty() {
        return Ok(());
    }
    let would_run = || stages.iter().filter(|stage| would_run(stage));
    let stale: Vec<&StageStatus> = would_run().filter(|stage| !stage.only_absent).collect();
    match stale.len() {
        0 if would_run().next().is_some() => {
            ui.answer("Stages: nothing changed; their data is not all in the workspace")?;
        }
        0 => ui.answer("Stages: up to date")?,
        n => ui.answer(&format!("Stages: {n} of {} would run", stages.len()))?,
    }
    let width = stale
        .iter()
        .map(|stage| stage.name.chars().count())
        .max()
        .unwrap_or(0);
    for stage in stale {
        let mut reasons = stage.reasons.iter();
        let first = reasons
            .next()
            .map(|reason| reason.text.as_str())
            .unwrap_or_default();
        let mark = ui.paint_answer(Tone::Warning, "~");
        ui.answer(&format!("  {mark} {:<width$}  {first}", stage.name))?;
        for reason in reasons {
            ui.answer(&format!("    {:<width$}  {}", "", reason.text))?;
        }
    }
    for stage in stages.iter().filter(|stage| stage.adopted) {
        ui.answer(&format!(
            "  {}: adopted by `esker commit`, never run here",
            stage.name
        ))?;
    }
    for stage in stages
        .iter()
        .filter(|stage| stage.state == StageState::Frozen)
    {
        ui.answer(&format!("  {}: frozen", stage.name))?;
    }
    Ok(())
}

fn show_data(ui: &Ui, data: &[DataStatus]) -> Result<(), CliError> {
    let changed: Vec<&DataStatus> = data
        .iter()
        .filter(|data| data.state != DataState::Unchanged && data.head != HeadState::Deleted)
        .collect();
    match (data.is_empty(), changed.is_empty()) {
        (true, _) => ui.answer("Data:   nothing tracked")?,
        (false, true) => ui.answer("Data:   up to date")?,
        (false, false) => ui.answer("Data:")?,
    }
    for data in changed {
        let (mark, note) = match data.state {
            DataState::Absent if data.not_here > 0 => ("-", ""),
            DataState::Absent if data.on_demand && data.in_store != Some(true) => {
                ("-", "  (not here: `pull = false`)")
            }
            DataState::Absent if data.in_store == Some(true) => ("-", "  (not in the workspace)"),
            DataState::Absent => ("-", "  (neither in the workspace nor in the store)"),
            _ => ("~", ""),
        };
        let mark = ui.paint_answer(Tone::Warning, mark);
        let part = match data.not_here {
            0 => String::new(),
            n => format!(
                "  ({} of it not in the workspace)",
                render::count(n, "file")
            ),
        };
        ui.answer(&format!("  {mark} {}{note}{part}", data.path))?;
        let single = data.changes.len() == 1 && data.changes[0].path == data.path;
        for change in data.changes.iter().filter(|_| !single) {
            ui.answer(&format!("      {}", render::change(change)))?;
        }
    }
    let uncommitted = data.iter().filter(|data| data.head != HeadState::Unchanged);
    let uncommitted: Vec<String> = uncommitted
        .map(|data| format!("{} ({})", data.path, word(data.head)))
        .collect();
    if !uncommitted.is_empty() {
        ui.answer(&format!(
            "Lock:   not committed: {}",
            uncommitted.join(", ")
        ))?;
    }
    Ok(())
}

/// What a push and a pull would move, path by path.
fn show_remote(ui: &Ui, remote: &str, data: &[DataStatus]) -> Result<(), CliError> {
    let standings = data
        .iter()
        .filter_map(|data| Some((&data.path, data.remote?)));
    let open: Vec<_> = standings
        .filter(|(_, standing)| !standing.complete || standing.pull.files > 0)
        .collect();
    if open.is_empty() {
        return ui.answer(&format!("Remote: `{remote}` and the store have everything"));
    }
    ui.answer(&format!("Remote: `{remote}`"))?;
    for (path, standing) in open {
        let amounts = [
            (standing.push, "to push"),
            (standing.pull, "to pull"),
            (standing.lost, "neither here nor there"),
        ];
        let texts = amounts.iter().filter(|(travel, _)| travel.files > 0);
        let texts = texts.map(|(travel, what)| {
            let files = render::count(travel.files, "file");
            format!("{files} ({}) {what}", render::size(travel.bytes))
        });
        let mut texts: Vec<String> = texts.collect();
        if texts.is_empty() {
            texts.push("its listing to push".to_owned());
        }
        let mark = match standing.complete {
            true => "↓",
            false => "↑",
        };
        let mark = ui.paint_answer(Tone::Warning, mark);
        ui.answer(&format!("  {mark} {path}  {}", texts.join(", ")))?;
    }
    Ok(())
}

fn show_untracked(ui: &Ui, untracked: &[String]) -> Result<(), CliError> {
    if untracked.is_empty() {
        return ui.answer("Untracked: nothing");
    }
    ui.answer("Untracked (by git and by esker):")?;
    for path in untracked {
        ui.answer(&format!("  ? {path}"))?;
    }
    Ok(())
}

fn word(head: HeadState) -> &'static str {
    match head {
        HeadState::Unchanged => "unchanged",
        HeadState::Added => "new",
        HeadState::Modified => "changed",
        HeadState::Deleted => "no longer tracked",
    }
}

/// The one next step: get what is missing, record what changed, run what is stale.
fn advise(ui: &Ui, report: &StatusReport) {
    let kept = report
        .data
        .iter()
        .filter(|data| data.head != HeadState::Deleted);
    let absent: Vec<&DataStatus> = kept
        .clone()
        .filter(|data| data.state == DataState::Absent && data.not_here == 0)
        .collect();
    let comes = |data: &&DataStatus| data.in_store == Some(false) && !data.on_demand;
    let tracked = |data: &&DataStatus| data.state == DataState::Modified && data.stage.is_none();
    if absent.iter().any(comes) && !report.remotes.is_empty() {
        ui.next("esker pull");
    } else if absent.iter().any(|data| data.in_store == Some(true)) {
        ui.next("esker checkout");
    } else if let Some(data) = kept.clone().find(tracked) {
        ui.next(&format!(
            "esker add {}    (or `esker checkout {}` to go back)",
            data.path, data.path
        ));
    } else if report
        .stages
        .iter()
        .any(|stage| would_run(stage) && !stage.only_absent)
    {
        ui.next("esker repro");
    }
}
