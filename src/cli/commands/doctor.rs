use super::super::exit;
use super::super::ui::Tone;
use super::{CliError, Exit, Ui, World};
use crate::ops::doctor::doctor;

/// Check that esker can work here, and print what a bug report needs
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Mend the owners and modes of a shared store, as far as they are yours
    #[arg(long)]
    fix: bool,
}

pub(crate) fn run(args: &Args, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    let report = doctor(world, args.fix)?;
    if ui.json {
        ui.json(&report)?;
    } else {
        ui.answer(&format!("esker {} on {}", report.version, report.platform))?;
        for check in &report.checks {
            let mark = match check.ok {
                true => ui.paint_answer(Tone::Good, "✓"),
                false => ui.paint_answer(Tone::Bad, "✗"),
            };
            ui.answer(&format!("{mark} {:<11} {}", check.name, check.detail))?;
        }
    }
    Ok(Exit::when(!report.is_healthy(), exit::NO))
}
