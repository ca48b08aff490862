//! The commands, one file each: arguments (whose comments are the help) and one function.

mod add;
mod check_ignore;
mod checkout;
mod commit;
mod completion;
mod dag;
mod demo;
mod diff;
mod doctor;
mod du;
mod everywhere;
mod fetch;
mod fsck;
mod gc;
mod hook;
mod init;
mod install;
mod lock;
mod ls;
mod metrics;
mod mv;
mod params;
mod pull;
mod push;
mod remote;
mod remove;
mod repro;
mod root;
mod stage;
mod status;
mod undo;
mod uninstall;
mod unprotect;
mod why;

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};

use super::error::CliError;
use super::exit::Exit;
use super::ui::{Ui, When};
use crate::ops::World;
use everywhere::Everywhere;

/// Versions data and pipelines for machine learning beside your git commits
///
/// esker records data, parameters and pipeline stages in `esker.lock`, beside each git commit,
/// exactly enough to have them again. Run `esker demo` to watch the whole of it at work.
#[derive(Debug, Parser)]
#[command(name = "esker", version, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 the answer is no, 2 could not do it, 3 data missing or corrupt, \
4 a remote refused or could not be reached, 70 a bug in esker, 130 interrupted (143 by SIGTERM)";

/// Flags that every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Common options")]
pub(crate) struct Common {
    /// Run as if started in this directory
    #[arg(short = 'C', long, global = true, value_name = "DIR")]
    pub(crate) cd: Option<PathBuf>,
    /// Print the answer as one JSON document
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say only what was asked for, and errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Draw no progress bars
    #[arg(long, global = true)]
    pub(crate) no_progress: bool,
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub(crate) color: When,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Init(init::Args),
    Add(add::Args),
    #[command(visible_alias = "rm")]
    Remove(remove::Args),
    #[command(visible_alias = "move")]
    Mv(mv::Args),
    #[command(visible_alias = "st")]
    Status(status::Args),
    Checkout(checkout::Args),
    Commit(commit::Args),
    Undo(undo::Args),
    Unprotect(unprotect::Args),
    Ls(ls::Args),
    Du(du::Args),
    Lock(lock::Args),
    Stage(stage::Args),
    Repro(repro::Args),
    Dag(dag::Args),
    Why(why::Args),
    Diff(diff::Args),
    Params(params::Args),
    Metrics(metrics::Args),
    Remote(remote::Args),
    Push(push::Args),
    Fetch(fetch::Args),
    Pull(pull::Args),
    Install(install::Args),
    Uninstall(uninstall::Args),
    CheckIgnore(check_ignore::Args),
    Fsck(fsck::Args),
    Gc(gc::Args),
    Doctor(doctor::Args),
    Root(root::Args),
    Completion(completion::Args),
    Demo(demo::Args),
    #[command(hide = true)]
    Hook(hook::Args),
}

/// Runs a command in the nearest project, or in every one.
pub(crate) fn run(command: &Command, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    match command.everywhere().is_some_and(Everywhere::is_asked) {
        true => everywhere::run(command, ui, world),
        false => run_here(command, ui, world),
    }
}

impl Command {
    /// The flag of commands that can act on every project.
    fn everywhere(&self) -> Option<&Everywhere> {
        Some(match self {
            Self::Status(args) => &args.everywhere,
            Self::Checkout(args) => &args.everywhere,
            Self::Ls(args) => &args.everywhere,
            Self::Du(args) => &args.everywhere,
            Self::Lock(args) => &args.everywhere,
            Self::Stage(args) => return args.everywhere(),
            Self::Repro(args) => &args.everywhere,
            Self::Dag(args) => &args.everywhere,
            Self::Diff(args) => &args.everywhere,
            Self::Params(args) => &args.everywhere,
            Self::Metrics(args) => &args.everywhere,
            Self::Push(args) => &args.everywhere,
            Self::Fetch(args) => &args.everywhere,
            Self::Pull(args) => &args.everywhere,
            Self::Fsck(args) => &args.everywhere,
            _ => return None,
        })
    }
}

fn run_here(command: &Command, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    match command {
        Command::Init(args) => init::run(args, ui, world),
        Command::Add(args) => add::run(args, ui, world),
        Command::Remove(args) => remove::run(args, ui, world),
        Command::Mv(args) => mv::run(args, ui, world),
        Command::Status(args) => status::run(args, ui, world),
        Command::Checkout(args) => checkout::run(args, ui, world),
        Command::Commit(args) => commit::run(args, ui, world),
        Command::Undo(args) => undo::run(args, ui, world),
        Command::Unprotect(args) => unprotect::run(args, ui, world),
        Command::Ls(args) => ls::run(args, ui, world),
        Command::Du(args) => du::run(args, ui, world),
        Command::Lock(args) => lock::run(args, ui, world),
        Command::Stage(args) => stage::run(args, ui, world),
        Command::Repro(args) => repro::run(args, ui, world),
        Command::Dag(args) => dag::run(args, ui, world),
        Command::Why(args) => why::run(args, ui, world),
        Command::Diff(args) => diff::run(args, ui, world),
        Command::Params(args) => params::run(args, ui, world),
        Command::Metrics(args) => metrics::run(args, ui, world),
        Command::Remote(args) => remote::run(args, ui, world),
        Command::Push(args) => push::run(args, ui, world),
        Command::Fetch(args) => fetch::run(args, ui, world),
        Command::Pull(args) => pull::run(args, ui, world),
        Command::Install(args) => install::run(args, ui, world),
        Command::Uninstall(args) => uninstall::run(args, ui, world),
        Command::CheckIgnore(args) => check_ignore::run(args, ui, world),
        Command::Fsck(args) => fsck::run(args, ui, world),
        Command::Gc(args) => gc::run(args, ui, world),
        Command::Doctor(args) => doctor::run(args, ui, world),
        Command::Root(args) => root::run(args, ui, world),
        Command::Completion(args) => completion::run(args),
        Command::Demo(args) => demo::run(args, ui, world),
        Command::Hook(args) => Ok(hook::run(args, ui, world)),
    }
}

/// The reference of all commands as Markdown: `docs/cli.md`.
pub fn reference() -> String {
    let mut text = "# The commands of esker\n\n".to_owned();
    text.push_str("Generated from the program: the tests fail when this page is stale.\n\n");
    text.push_str(EXIT_CODES);
    text.push_str(".\n");
    let mut root = Cli::command().term_width(96);
    root.build();
    describe(&mut root, 2, &mut text);
    text
}

fn describe(command: &mut clap::Command, level: usize, text: &mut String) {
    let name = command
        .get_bin_name()
        .unwrap_or(command.get_name())
        .to_owned();
    let help = command.render_long_help().to_string();
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    text.push_str(&format!(
        "\n{} `{name}`\n\n```text\n{}\n```\n",
        "#".repeat(level),
        help.join("\n").trim_end()
    ));
    for sub in command.get_subcommands_mut() {
        if !sub.is_hide_set() && sub.get_name() != "help" {
            describe(sub, (level + 1).min(4), text);
        }
    }
}
