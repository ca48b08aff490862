//! The terminal: where answers and messages go, and how they are coloured.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;

use super::commands::Common;
use super::error::CliError;
use super::variable;

/// Writes for people or for programs, as the common flags ask.
#[derive(Clone, Debug)]
pub(crate) struct Ui {
    /// Answers are one JSON document on stdout.
    pub(crate) json: bool,
    /// Only errors and answers.
    pub(crate) quiet: bool,
    /// Whether stderr is a terminal that may be drawn on.
    pub(crate) draws: bool,
    stdout_colour: bool,
    stderr_colour: bool,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// On a terminal, unless `NO_COLOR` is set or it is a dumb one
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What a piece of text is, which decides its colour.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tone {
    Good,
    Bad,
    Warning,
    Hint,
    Dim,
    Bold,
}

impl Ui {
    pub(crate) fn new(common: &Common) -> Self {
        let dumb = variable("NO_COLOR").is_some() || variable("TERM").as_deref() == Some("dumb");
        let forced = variable("FORCE_COLOR").is_some() && variable("NO_COLOR").is_none();
        let colour = |terminal: bool| match common.color {
            When::Always => true,
            When::Never => false,
            When::Auto => forced || (terminal && !dumb),
        };
        let terminal = io::stderr().is_terminal();
        let wanted = !common.no_progress && variable("ESKER_NO_PROGRESS").is_none();
        Self {
            json: common.json,
            quiet: common.quiet,
            draws: terminal && wanted && !common.json && !common.quiet,
            stdout_colour: colour(io::stdout().is_terminal()),
            stderr_colour: colour(terminal),
        }
    }

    /// Whether messages are coloured.
    pub(crate) fn colours(&self) -> bool {
        self.stderr_colour
    }

    /// Writes a line of the answer.
    pub(crate) fn answer(&self, line: &str) -> Result<(), CliError> {
        writeln!(io::stdout().lock(), "{line}").map_err(CliError::output)
    }

    /// Writes the answer as one JSON document, with its version first.
    pub(crate) fn json(&self, report: &impl serde::Serialize) -> Result<(), CliError> {
        #[derive(serde::Serialize)]
        struct Document<'a, T> {
            v: u32,
            #[serde(flatten)]
            report: &'a T,
        }
        let text = serde_json::to_string_pretty(&Document { v: 1, report });
        self.answer(&text.map_err(CliError::json)?)
    }

    /// Writes a line that is not the answer; nothing if quiet, or if the answer is JSON.
    pub(crate) fn say(&self, line: &str) {
        if !self.quiet && !self.json {
            // A closed stderr leaves nobody to tell.
            let _ = writeln!(io::stderr().lock(), "{line}");
        }
    }

    /// Names the one next step.
    pub(crate) fn next(&self, step: &str) {
        self.say(&format!("{} {step}", self.paint(Tone::Hint, "next:")));
    }

    /// Writes a warning.
    pub(crate) fn warn(&self, line: &str) {
        if !self.json {
            let _ = writeln!(
                io::stderr().lock(),
                "{} {line}",
                self.paint(Tone::Warning, "warning:")
            );
        }
    }

    /// Writes an error: for people with its places and hints, or as one JSON object.
    pub(crate) fn error(&self, error: &CliError) {
        let mut stderr = io::stderr().lock();
        let text = match self.json {
            true => error.to_json(),
            false => error.to_text(&|tone, text| self.paint(tone, text)),
        };
        let _ = writeln!(stderr, "{text}");
    }

    /// Colours text that goes to stderr.
    pub(crate) fn paint(&self, tone: Tone, text: &str) -> String {
        paint(self.stderr_colour, tone, text)
    }

    /// Colours text that goes to stdout.
    pub(crate) fn paint_answer(&self, tone: Tone, text: &str) -> String {
        paint(self.stdout_colour, tone, text)
    }
}

fn paint(colour: bool, tone: Tone, text: &str) -> String {
    if !colour {
        return text.to_owned();
    }
    let code = match tone {
        Tone::Good => "32",
        Tone::Bad => "1;31",
        Tone::Warning => "33",
        Tone::Hint => "36",
        Tone::Dim => "2",
        Tone::Bold => "1",
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}
