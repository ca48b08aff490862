use super::super::exit;
use super::super::ui::Tone;
use super::{CliError, Exit, Ui, World, checkout, everywhere, push};
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
    let ended = everywhere::each(ui, world, |ui, world| {
        switch(name, ui, world);
        Exit::DONE
    });
    match ended {
        // A revision from before there was a project has nothing to switch.
        Ok(_) | Err(ops::Error::Project(project::Error::NoProject)) => {}
        Err(error) => ui.error(&CliError::from(error)),
    }
}

fn switch(name: &str, ui: &Ui, world: &World<'_>) {
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
        Err(error) => ui.error(&CliError::from(error)),
    }
}

/// Sends what it can of every project, and stops the push if anything is left.
fn pre_push(ui: &Ui, world: &World<'_>) -> Exit {
    match everywhere::each(ui, world, send) {
        Ok(Exit::DONE) | Err(ops::Error::Project(project::Error::NoProject)) => Exit::DONE,
        Ok(_) => stopped(ui),
        Err(error) => {
            ui.error(&CliError::from(error));
            stopped(ui)
        }
    }
}

fn send(ui: &Ui, world: &World<'_>) -> Exit {
    let outcome = match before_push(world) {
        Ok(Some(outcome)) => outcome,
        Ok(None) => return Exit::DONE,
        Err(error) => {
            ui.error(&CliError::from(error));
            return Exit(exit::NO);
        }
    };
    for report in outcome.each() {
        if report.objects > 0 {
            ui.say(&format!("esker: {}", push::summary(report)));
        }
        push::tell_missing(ui, &report.missing, "here");
    }
    let is_whole = outcome.is_whole() && outcome.failed.is_empty();
    for failed in outcome.failed {
        ui.error(&push::failure(failed));
    }
    Exit::when(!is_whole, exit::NO)
}

fn stopped(ui: &Ui) -> Exit {
    ui.say(&format!(
        "{} this push was stopped, because the data of its commits cannot be sent; \
         `git push --no-verify` pushes without it",
        ui.paint(Tone::Bad, "esker:")
    ));
    Exit(exit::NO)
}
