use super::super::render::{self, Align};
use super::{CliError, Exit, Ui, World};
use crate::ops::remotes::{
    remote_add, remote_list, remote_remove, remote_rename, remote_set, remote_trust,
};
use crate::project::RemoteSpec;

/// Add, list, change or remove remotes
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
    /// Change one key of a remote in `esker.toml`
    #[command(alias = "modify")]
    Set(SetArgs),
    /// Give a remote another name
    Rename {
        /// Its name
        old: String,
        /// Its name from now on
        new: String,
    },
    /// Let this clone show its keys to the place that a remote names
    ///
    /// A server other than that of the cloud (`endpoint_url`) and a machine behind `ssh://` may be named by a
    /// file that came with a clone or a pull request. Before esker signs in there, somebody must
    /// have said yes once in this clone; who adds or sets a remote has.
    Trust {
        /// Its name
        name: String,
    },
    /// Remove a remote from `esker.toml`; what it holds stays
    #[command(alias = "rm")]
    Remove {
        /// Its name
        name: String,
    },
}

/// Secrets have no place here: credentials come from the environment, profiles, logins and the rest
/// of the usual chain of each cloud.
#[derive(Debug, clap::Args)]
struct AddArgs {
    /// A short name
    name: String,
    /// A directory, `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`, `ssh://user@host/path`, or, to pull from only, `https://host/path`
    url: String,
    /// Use it when no remote is named
    #[arg(short, long)]
    default: bool,
    /// For Azure: the storage account
    #[arg(long, value_name = "NAME")]
    account_name: Option<String>,
    /// For S3, Google Cloud and Azure: a server other than that of the cloud
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
    /// For S3: the region
    #[arg(long)]
    region: Option<String>,
    /// For S3: the profile of the shared AWS config, used alone
    #[arg(long)]
    profile: Option<String>,
    /// A file with authorities to trust besides those of the system, from the project's root
    #[arg(long, value_name = "FILE")]
    ca_bundle: Option<String>,
}

#[derive(Debug, clap::Args)]
struct SetArgs {
    /// Its name
    name: String,
    /// `url`, `default`, `account_name`, `endpoint_url`, `region`, `profile` or `ca_bundle`
    key: String,
    /// The value
    #[arg(required_unless_present = "unset")]
    value: Option<String>,
    /// Take the key out
    #[arg(long, conflicts_with = "value")]
    unset: bool,
}

pub(crate) fn run(args: &Args, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    match &args.command {
        RemoteCommand::Add(args) => add(args, ui, world),
        RemoteCommand::List => list(ui, world),
        RemoteCommand::Set(args) => {
            let set = remote_set(world, &args.name, &args.key, args.value.as_deref())?;
            let done = match &args.value {
                Some(value) => format!("Set `{}` of `{}` to {value}", args.key, set.name),
                None => format!("Took `{}` out of `{}`", args.key, set.name),
            };
            done_with(ui, &set, &done)
        }
        RemoteCommand::Rename { old, new } => {
            let renamed = remote_rename(world, old, new)?;
            done_with(ui, &renamed, &format!("Renamed remote `{old}` to `{new}`"))
        }
        RemoteCommand::Trust { name } => {
            let trusted = remote_trust(world, name)?;
            let done = match &trusted.endpoint {
                Some(endpoint) => format!("Trusted `{endpoint}` in this clone"),
                None => format!("Nothing to trust: `{name}` needs none"),
            };
            done_with(ui, &trusted, &done)
        }
        RemoteCommand::Remove { name } => {
            let removed = remote_remove(world, name)?;
            let done = format!("Removed remote `{name}` from esker.toml; what it holds stays");
            done_with(ui, &removed, &done)
        }
    }
}

fn done_with(ui: &Ui, report: &impl serde::Serialize, done: &str) -> Result<Exit, CliError> {
    if ui.json {
        ui.json(report)?;
    }
    ui.say(done);
    Ok(Exit::DONE)
}

fn add(args: &AddArgs, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    let spec = RemoteSpec {
        url: args.url.clone(),
        default: args.default,
        account_name: args.account_name.clone(),
        endpoint_url: args.endpoint_url.clone(),
        region: args.region.clone(),
        profile: args.profile.clone(),
        ca_bundle: args.ca_bundle.clone(),
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
            let default = remote.default.then_some("default");
            let trust = remote.untrusted.map(|_| "not trusted");
            let notes: Vec<&str> = default.into_iter().chain(trust).collect();
            vec![remote.name, remote.url, notes.join(", ")]
        })
        .collect();
    for line in render::table(&rows, &[Align::Left, Align::Left]) {
        ui.answer(&line)?;
    }
    Ok(Exit::DONE)
}
