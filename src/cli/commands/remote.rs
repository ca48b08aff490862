use std::collections::BTreeMap;

use super::super::render::{self, Align};
use super::{CliError, Exit, Ui, World};
use crate::ops::remotes::{
    RemoteEntry, RemovedRemote, remote_add, remote_list, remote_remove, remote_rename, remote_set,
    remote_trust,
};
use crate::project::{Origin, RemoteKey, RemoteSpec, Setting};

/// Add, list, change or remove remotes
///
/// A remote stands in `esker.toml`, for everybody, or with `--local` in the config of this clone, or
/// with `--user` in that of its user. These two may have a few keys of a remote that `esker.toml`
/// names, too: a profile of one's own, say. What the config of this clone says goes before
/// `esker.toml`, and that before the config of the user.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: RemoteCommand,
}

#[derive(Debug, clap::Subcommand)]
enum RemoteCommand {
    /// Add a remote
    Add(AddArgs),
    /// List the remotes, and which file says where each is
    List,
    /// Change one key of a remote
    #[command(alias = "modify")]
    Set(SetArgs),
    /// Give a remote another name, also where this clone has it as its default, or has keys of it
    Rename {
        /// Its name
        old: String,
        /// Its name from now on
        new: String,
        #[command(flatten)]
        file: File,
    },
    /// Let this clone show its keys to the place that a remote names
    ///
    /// A server other than that of the cloud (`endpoint_url`) and a machine behind `ssh://` may be named by a
    /// file that came with a clone or a pull request. Before esker signs in there, somebody must
    /// have said yes once in this clone; who adds or sets a remote has. What stands in the config of this
    /// clone, its user or its machine needs none.
    Trust {
        /// Its name
        name: String,
    },
    /// Remove a remote from the file that names it; what it holds stays
    #[command(alias = "rm")]
    Remove {
        /// Its name
        name: String,
        #[command(flatten)]
        file: File,
    },
}

/// The file that is to be changed.
#[derive(Debug, clap::Args)]
struct File {
    /// In the config of this clone, which does not travel with git
    #[arg(long, conflicts_with = "user")]
    local: bool,
    /// In your config, for all projects
    #[arg(long)]
    user: bool,
}

impl File {
    fn origin(&self) -> Origin {
        match (self.local, self.user) {
            (true, _) => Origin::Local,
            (_, true) => Origin::User,
            _ => Origin::Project,
        }
    }
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
    #[command(flatten)]
    file: File,
}

#[derive(Debug, clap::Args)]
struct SetArgs {
    /// Its name
    name: String,
    /// A key of `[remote.NAME]` in `esker.toml`, like `url`, `default`, `profile`, `sse` or `jobs`
    key: String,
    /// The value
    #[arg(required_unless_present = "unset")]
    value: Option<String>,
    /// Take the key out
    #[arg(long, conflicts_with = "value")]
    unset: bool,
    #[command(flatten)]
    file: File,
}

pub(crate) fn run(args: &Args, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    match &args.command {
        RemoteCommand::Add(args) => add(args, ui, world),
        RemoteCommand::List => list(ui, world),
        RemoteCommand::Set(args) => set(args, ui, world),
        RemoteCommand::Rename { old, new, file } => {
            let renamed = remote_rename(world, old, new, file.origin())?;
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
        RemoteCommand::Remove { name, file } => {
            let removed = remote_remove(world, name, file.origin())?;
            done_with(ui, &removed, &removal(&removed))
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

/// A file in words.
fn named(origin: Origin) -> &'static str {
    match origin {
        Origin::Local => "the config of this clone",
        Origin::Project => "esker.toml",
        Origin::User => "your config",
        Origin::System => "the config of this machine",
    }
}

fn add(args: &AddArgs, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    let text = |key, text: &Option<String>| Some((key, Setting::Text(text.clone()?)));
    let url = Some((RemoteKey::Url, Setting::Text(args.url.clone())));
    let values = [
        url,
        args.default
            .then_some((RemoteKey::Default, Setting::Flag(true))),
        text(RemoteKey::AccountName, &args.account_name),
        text(RemoteKey::EndpointUrl, &args.endpoint_url),
        text(RemoteKey::Region, &args.region),
        text(RemoteKey::Profile, &args.profile),
        text(RemoteKey::CaBundle, &args.ca_bundle),
    ];
    let spec = RemoteSpec::from_iter(values.into_iter().flatten());
    let origin = args.file.origin();
    let added = remote_add(world, &args.name, spec, origin)?;
    if ui.json {
        ui.json(&added)?;
        return Ok(Exit::DONE);
    }
    let default = if args.default { " (default)" } else { "" };
    ui.say(&format!(
        "Added remote `{}` to {}: {}{default}",
        added.name,
        named(origin),
        added.url
    ));
    ui.next("esker push");
    Ok(Exit::DONE)
}

fn set(args: &SetArgs, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    let origin = args.file.origin();
    let SetArgs { name, key, .. } = args;
    let set = remote_set(world, name, key, args.value.as_deref(), origin)?;
    let place = match origin {
        Origin::Project => String::new(),
        _ => format!(" in {}", named(origin)),
    };
    let done = match &args.value {
        Some(value) => format!("Set `{key}` of `{name}` to {value}{place}"),
        None => format!("Took `{key}` out of `{name}`{place}"),
    };
    done_with(ui, &set, &done)?;
    let meant = set.keys.get(key.as_str());
    if let Some(value) = meant.filter(|value| value.from != origin) {
        ui.say(&format!(
            "{} says it too, and is used here",
            named(value.from)
        ));
    }
    Ok(Exit::DONE)
}

fn removal(removed: &RemovedRemote) -> String {
    let mut done = format!(
        "Removed remote `{}` from {}; what it holds stays",
        removed.name,
        named(removed.from)
    );
    let others: Vec<&str> = removed.others.iter().map(|other| named(*other)).collect();
    if !others.is_empty() {
        done += &format!(". It stands in {} too", others.join(" and "));
    }
    done
}

fn list(ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    let report = remote_list(world)?;
    if ui.json {
        ui.json(&report)?;
        return Ok(Exit::DONE);
    }
    let rows = report.remotes.into_iter().map(|remote| {
        let default = remote.default.then_some("default");
        let trust = remote.untrusted.as_ref().map(|_| "not trusted");
        let notes: Vec<&str> = default.into_iter().chain(trust).collect();
        let files = files(&remote);
        vec![remote.name, remote.url, files, notes.join(", ")]
    });
    let rows: Vec<Vec<String>> = rows.collect();
    for line in render::table(&rows, &[Align::Left, Align::Left, Align::Left]) {
        ui.answer(&line)?;
    }
    Ok(Exit::DONE)
}

/// The file that says where a remote is, and which keys come from others.
fn files(remote: &RemoteEntry) -> String {
    let mut others: BTreeMap<Origin, Vec<&str>> = BTreeMap::new();
    let keys = remote.keys.iter();
    for (key, value) in keys.filter(|(_, value)| value.from != remote.from) {
        others.entry(value.from).or_default().push(key);
    }
    let short = |origin| match origin {
        Origin::Local => "this clone",
        Origin::Project => "esker.toml",
        Origin::User => "user",
        Origin::System => "machine",
    };
    let others = others.into_iter();
    let others = others.map(|(origin, keys)| format!("{} ({})", short(origin), keys.join(", ")));
    let first = short(remote.from).to_owned();
    let all: Vec<String> = std::iter::once(first).chain(others).collect();
    all.join(" + ")
}
