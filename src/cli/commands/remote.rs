use super::super::render::{self, Align};
use super::{CliError, Exit, Ui, World};
use crate::ops::remotes::{remote_add, remote_list, remote_remove};
use crate::project::RemoteSpec;

/// Add, list or remove remotes
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: RemoteCommand,
}

#[derive(Debug, clap::Subcommand)]
enum RemoteCommand {
    /// Add a remote to `esker.toml`
    Add(AddArgs),
    /// List the remotes
    List,
    /// Remove a remote from `esker.toml`; what it holds stays
    #[command(alias = "rm")]
    Remove {
        /// Its name
        name: String,
    },
}

/// Secrets have no place here: S3 credentials come from the AWS environment, profiles, SSO and
/// the rest of its usual chain.
#[derive(Debug, clap::Args)]
struct AddArgs {
    /// A short name
    name: String,
    /// A directory, `s3://bucket/prefix`, `ssh://user@host/path`, or, to pull from only, `https://host/path`
    url: String,
    /// Use it when no remote is named
    #[arg(short, long)]
    default: bool,
    /// For S3: a server other than AWS
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
    /// For S3: the region
    #[arg(long)]
    region: Option<String>,
    /// For S3: the profile of the shared AWS config, used alone
    #[arg(long)]
    profile: Option<String>,
}

pub(crate) fn run(args: &Args, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    match &args.command {
        RemoteCommand::Add(args) => add(args, ui, world),
        RemoteCommand::List => list(ui, world),
        RemoteCommand::Remove { name } => {
            let removed = remote_remove(world, name)?;
            if ui.json {
                ui.json(&removed)?;
            }
            ui.say(&format!(
                "Removed remote `{name}` from esker.toml; what it holds stays"
            ));
            Ok(Exit::DONE)
        }
    }
}

fn add(args: &AddArgs, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    let spec = RemoteSpec {
        url: args.url.clone(),
        default: args.default,
        endpoint_url: args.endpoint_url.clone(),
        region: args.region.clone(),
        profile: args.profile.clone(),
    };
    let added = remote_add(world, &args.name, spec)?;
    if ui.json {
        ui.json(&added)?;
        return Ok(Exit::DONE);
    }
    let default = if added.default { " (default)" } else { "" };
    ui.say(&format!(
        "Added remote `{}` to esker.toml: {}{default}",
        added.name, added.url
    ));
    ui.next("esker push");
    Ok(Exit::DONE)
}

fn list(ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    let report = remote_list(world)?;
    if ui.json {
        ui.json(&report)?;
        return Ok(Exit::DONE);
    }
    let rows: Vec<Vec<String>> = report
        .remotes
        .into_iter()
        .map(|remote| {
            let default = if remote.default { "default" } else { "" };
            vec![remote.name, remote.url, default.to_owned()]
        })
        .collect();
    for line in render::table(&rows, &[Align::Left, Align::Left]) {
        ui.answer(&line)?;
    }
    Ok(Exit::DONE)
}
