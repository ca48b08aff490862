//! The edge: arguments, rendering, hints and exit codes. The only room that knows that a terminal
//! exists, and the only one that gives advice.

mod commands;
mod error;
pub mod exit;
#[cfg(feature = "failpoints")]
mod fail_points;
mod progress;
mod render;
mod ui;

pub use commands::reference;
pub use exit::Exit;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser;

use crate::ops::World;
use crate::progress::Interrupt;
use commands::Cli;
use error::CliError;
use ui::Ui;

/// Whether the last wish to stop came by SIGTERM.
static TERMINATED: AtomicBool = AtomicBool::new(false);

/// Runs the command line and says how it ended.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let ui = Ui::new(&cli.common);
    #[cfg(feature = "failpoints")]
    fail_points::arm();
    let result = run(&cli, &ui);
    ui.say_now();
    #[cfg(feature = "failpoints")]
    fail_points::tell();
    let exit = match result {
        Ok(exit) => exit,
        Err(error) if error.is_broken_pipe() => Exit::DONE,
        Err(error) => {
            ui.error(&error);
            Exit(error.exit)
        }
    };
    match exit {
        Exit(exit::INTERRUPTED) if TERMINATED.load(Ordering::SeqCst) => Exit(exit::TERMINATED),
        exit => exit,
    }
    .into()
}

fn run(cli: &Cli, ui: &Ui) -> Result<Exit, CliError> {
    let interrupt = Arc::new(Interrupt::new());
    watch_signals(&interrupt);
    let progress = progress::for_ui(ui);
    let command = called();
    let world = World {
        cwd: directory(cli.common.cd.as_deref())?,
        var: &variable,
        command: &command,
        progress: &*progress,
        interrupt: &interrupt,
    };
    let exit = commands::run(&cli.command, ui, &world)?;
    Ok(match interrupt.is_requested() {
        true => Exit(exit::INTERRUPTED),
        false => exit,
    })
}

/// Reads a variable of the environment; an empty one counts as none.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the edge, where the environment is read"
)]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The command line on one line, as a person would have typed it.
fn called() -> String {
    let words = std::env::args_os().skip(1).map(|word| {
        let word = word.to_string_lossy();
        match word.contains(char::is_whitespace) || word.is_empty() {
            true => format!("'{word}'"),
            false => word.into_owned(),
        }
    });
    let words: Vec<String> = ["esker".to_owned()].into_iter().chain(words).collect();
    words.join(" ")
}

fn directory(cd: Option<&std::path::Path>) -> Result<std::path::PathBuf, CliError> {
    let cwd = std::env::current_dir().map_err(|error| CliError::cwd(&error))?;
    Ok(cd.map_or(cwd.clone(), |dir| cwd.join(dir)))
}

/// Turns SIGINT and SIGTERM into a wish to stop: the first is forwarded to running stages, the
/// second kills them.
fn watch_signals(interrupt: &Arc<Interrupt>) {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let Ok(mut signals) = signal_hook::iterator::Signals::new([SIGINT, SIGTERM]) else {
        return;
    };
    let interrupt = Arc::clone(interrupt);
    std::thread::spawn(move || {
        for signal in signals.forever() {
            TERMINATED.store(signal == SIGTERM, Ordering::SeqCst);
            interrupt.request();
        }
    });
}

/// Help and version go to stdout and are done; all else is a usage error.
fn usage(error: &clap::Error) -> ExitCode {
    // A closed pipe is no reason to complain.
    let _ = error.print();
    match error.use_stderr() {
        true => Exit(exit::CANNOT).into(),
        false => Exit::DONE.into(),
    }
}
