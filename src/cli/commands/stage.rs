use super::super::render::{self, Align};
use super::everywhere::Everywhere;
use super::{CliError, Exit, Ui, World};
use crate::ops::stages::stage_list;

/// Show the stages
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: StageCommand,
    #[command(flatten)]
    pub(super) everywhere: Everywhere,
}

#[derive(Debug, clap::Subcommand)]
enum StageCommand {
    /// List the stages in the order they would run
    List,
}

pub(crate) fn run(args: &Args, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    let StageCommand::List = args.command;
    let report = stage_list(world)?;
    if ui.json {
        ui.json(&report)?;
        return Ok(Exit::DONE);
    }
    let rows: Vec<Vec<String>> = report
        .stages
        .into_iter()
        .map(|stage| {
            let what = stage.desc.unwrap_or_else(|| stage.cmd.join(" && "));
            let frozen = if stage.frozen { " (frozen)" } else { "" };
            vec![stage.name, format!("{what}{frozen}")]
        })
        .collect();
    for line in render::table(&rows, &[Align::Left, Align::Left]) {
        ui.answer(&line)?;
    }
    Ok(Exit::DONE)
}
