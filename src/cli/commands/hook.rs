use super::super::exit;
use super::super::ui::Tone;
use super::{CliError, Exit, Ui, World, checkout, push};
use crate::ops::hooks::{after_switch, before_push};
use crate::{ops, project};

/// Do what a git hook asks for
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The hook
    name: String,
    /// What git gave it
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

pub(crate) fn run(args: &Args, ui: &Ui, world: &World<'_>) -> Exit {
    match args.name.as_str() {
        "pre-push" => pre_push(ui, world),
        _ => {
            post(&args.name, ui, world);
            Exit::DONE
        }
    }
}

/// Never fails git: whatever goes wrong is told, and git goes on.
fn post(name: &str, ui: &Ui, world: &World<'_>) {
    match after_switch(world, name) {
        Ok(Some(report)) => {
            if !report.switched.is_empty() {
                ui.say(&format!("esker: {}", checkout::summary(&report)));
            }
            if !report.missing.is_empty() {
                let n = report.missing.len();
                ui.say(&format!(
                    "esker: {n} paths are not in the store; `esker pull` brings them"
                ));
            }
        }
        Ok(None) => {}
        // A revision from before there was a project has nothing to switch.
        Err(ops::Error::Project(project::Error::NoProject)) => {}
        Err(error) => ui.error(&CliError::from(error)),
    }
}

fn pre_push(ui: &Ui, world: &World<'_>) -> Exit {
    let report = match before_push(world) {
        Ok(Some(report)) => report,
        Ok(None) | Err(ops::Error::Project(project::Error::NoProject)) => return Exit::DONE,
        Err(error) => {
            ui.error(&CliError::from(error));
            return stopped(ui);
        }
    };
    if !report.missing.is_empty() {
        push::tell_missing(ui, &report.missing, "here");
        return stopped(ui);
    }
    if report.objects > 0 {
        ui.say(&format!("esker: {}", push::summary(&report)));
    }
    Exit::DONE
}

fn stopped(ui: &Ui) -> Exit {
    ui.say(&format!(
        "{} this push was stopped, because the data of its commits cannot be sent; \
         `git push --no-verify` pushes without it",
        ui.paint(Tone::Bad, "esker:")
    ));
    Exit(exit::NO)
}
