//! `--all-projects`: a verb in every project of the repository, one after the other.

use super::super::progress;
use super::{CliError, Command, Exit, Ui, World};
use crate::ops::projects::projects;

/// The flag of commands that can act on more than the nearest project.
#[derive(Debug, clap::Args)]
pub(super) struct Everywhere {
    /// Act on every project of the git repository, one after the other
    #[arg(short = 'P', long, global = true)]
    all_projects: bool,
}

impl Everywhere {
    pub(super) fn is_asked(&self) -> bool {
        self.all_projects
    }
}

/// The answer of all projects as JSON; each has its name beside its own report.
#[derive(serde::Serialize)]
struct Answers {
    projects: Vec<serde_json::Value>,
}

/// Runs a command in each project. An error ends it for that project alone.
pub(super) fn run(command: &Command, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    let mut worst = Exit::DONE;
    let mut answers = Vec::new();
    for project in projects(world)? {
        let part = ui.part(&project.name);
        let exit = in_project(command, &part, world, project.root)?;
        worst = worst.or_worse(exit);
        answers.extend(part.into_answer());
        if world.interrupt.is_requested() {
            break;
        }
    }
    if ui.json {
        ui.json(&Answers { projects: answers })?;
    }
    Ok(worst)
}

/// The same as [`run`] for a git hook, which says nothing of a lone project's name.
pub(super) fn each(
    ui: &Ui,
    world: &World<'_>,
    mut act: impl FnMut(&Ui, &World<'_>) -> Exit,
) -> Result<Exit, crate::ops::Error> {
    let projects = projects(world)?;
    let several = projects.len() > 1;
    let mut worst = Exit::DONE;
    for project in projects {
        let part = match several {
            true => ui.part(&project.name),
            false => ui.clone(),
        };
        let progress = progress::for_ui(&part);
        let exit = act(&part, &world.within(project.root, &*progress));
        worst = worst.or_worse(exit);
    }
    Ok(worst)
}

fn in_project(
    command: &Command,
    part: &Ui,
    world: &World<'_>,
    root: std::path::PathBuf,
) -> Result<Exit, CliError> {
    let progress = progress::for_ui(part);
    match super::run_here(command, part, &world.within(root, &*progress)) {
        Err(error) if !error.is_broken_pipe() => {
            part.error(&error);
            Ok(Exit(error.exit))
        }
        ended => ended,
    }
}
