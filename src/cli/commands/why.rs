use super::super::render;
use super::{CliError, Exit, Ui, World};
use crate::ops::status::{StageState, why};

/// Explain why a stage would run, or why not
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
        ui.answer(&format!("  {}", reason.text))?;
    }
    for stage in &report.upstream {
        ui.answer(&format!("  {} would run first:", stage.name))?;
        for reason in &stage.reasons {
            ui.answer(&format!("    {}", reason.text))?;
        }
    }
    if report.status.adopted {
        ui.answer("Its record was adopted by `esker commit`, not made by a run")?;
    }
    if let Some(run) = &report.last_run {
        ui.answer(&format!(
            "It last ran for {}",
            render::duration(run.seconds)
        ))?;
    }
    Ok(Exit::DONE)
}
