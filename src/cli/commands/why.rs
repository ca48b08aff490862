use std::path::Path;

use super::super::render;
use super::{CliError, Exit, Ui, World};
use crate::ops::status::{ReasonReport, StageState, why};
use crate::pipeline::RunRecord;

/// Explain why a stage would run, or why not
///
/// Names what changed since it was recorded: of a directory or a pattern among its dependencies, the
/// single files too, if this clone recorded it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A stage, an output, or a path inside one
    #[arg(value_name = "STAGE")]
    target: String,
}

pub(crate) fn run(args: &Args, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    let report = why(world, &args.target)?;
    if ui.json {
        ui.json(&report)?;
        return Ok(Exit::DONE);
    }
    let name = &report.status.name;
    match report.status.state {
        StageState::Fresh => ui.answer(&format!(
            "{name} is up to date: nothing it depends on has changed"
        ))?,
        StageState::Frozen => ui.answer(&format!(
            "{name} is frozen: it does not run whatever changes"
        ))?,
        StageState::Stale => ui.answer(&format!("{name} would run, because:"))?,
        StageState::NeverRun => ui.answer(&format!("{name} would run for the first time"))?,
    }
    let told = report.status.state == StageState::NeverRun;
    for reason in report.status.reasons.iter().filter(|_| !told) {
        show_reason(ui, reason, "  ")?;
    }
    for stage in &report.upstream {
        ui.answer(&format!("  {} would run first:", stage.name))?;
        for reason in &stage.reasons {
            show_reason(ui, reason, "    ")?;
        }
    }
    if report.status.adopted {
        ui.answer("Its record was adopted by `esker commit`, not made by a run")?;
    }
    if let Some(run) = &report.last_run {
        let time = render::duration(run.seconds);
        ui.answer(&format!("It last ran for {time}"))?;
        show_run(ui, run, &report.runs)?;
    }
    if let Some(run) = &report.last_failure {
        let (time, exit) = (render::duration(run.seconds), run.exit);
        ui.answer(&format!(
            "Its last try failed after {time}, with exit code {exit}"
        ))?;
        show_run(ui, run, &report.runs)?;
    }
    Ok(Exit::DONE)
}

/// A reason, and the first files behind it.
fn show_reason(ui: &Ui, reason: &ReasonReport, indent: &str) -> Result<(), CliError> {
    const SHOWN: usize = 5;
    ui.answer(&format!("{indent}{}", reason.text))?;
    for change in reason.changes.iter().take(SHOWN) {
        ui.answer(&format!("{indent}  {}", render::change(change)))?;
    }
    match reason.changes.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => ui.answer(&format!("{indent}  … and {more} more")),
    }
}

/// Where a run was, what it ran in, and where its output lies.
fn show_run(ui: &Ui, run: &RunRecord, runs: &Path) -> Result<(), CliError> {
    let around = &run.environment;
    let mut machine = vec![run.host.clone(), around.os.clone(), around.arch.clone()];
    machine.extend(around.interpreter.clone());
    machine.extend(
        around
            .gpu_driver
            .as_ref()
            .map(|version| format!("GPU driver {version}")),
    );
    machine.extend(around.image.as_ref().map(|image| format!("image {image}")));
    machine.extend(
        run.peak_memory
            .map(|bytes| format!("{} of memory", render::size(bytes))),
    );
    machine.retain(|part| !part.is_empty());
    if !machine.is_empty() {
        ui.answer(&format!("  on {}", machine.join(", ")))?;
    }
    if !around.files.is_empty() {
        let short = |(name, hash): (&String, &String)| format!("{name} {}", cut(hash, 11));
        let files: Vec<String> = around.files.iter().map(short).collect();
        ui.answer(&format!("  with {}", files.join(", ")))?;
    }
    if let Some(commit) = &run.commit {
        let changed = match run.uncommitted.len() as u64 {
            0 => String::new(),
            n => format!(", {} not committed", render::count(n, "file")),
        };
        ui.answer(&format!("  at commit {}{changed}", cut(commit, 7)))?;
    }
    match run.log(runs).filter(|log| log.exists()) {
        Some(log) => ui.answer(&format!("  log: {}", log.display())),
        None => Ok(()),
    }
}

fn cut(text: &str, length: usize) -> &str {
    text.get(..length).unwrap_or(text)
}
