//! Errors as people meet them: what happened, where, what is safe, and the one next step.
//!
//! Rooms below say what failed; only this one advises, because only the edge knows commands.

mod advice;
mod remote;

use std::io;

use super::exit;
use super::ui::Tone;
use crate::ops;
use crate::project::{Excerpt, Location};

/// An error with its stable code, its exit code, its places and its hints.
#[derive(Debug)]
pub(crate) struct CliError {
    /// The exit code.
    pub(crate) exit: u8,
    /// The stable code, `E0203`.
    code: &'static str,
    message: String,
    /// Lines that say where, indented under the message.
    details: Vec<String>,
    hint: Option<String>,
    broken_pipe: bool,
}

/// An error for programs.
#[derive(serde::Serialize)]
pub(crate) struct Body<'a> {
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    details: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

impl CliError {
    fn new(code: &'static str, exit: u8, message: String) -> Self {
        Self {
            exit,
            code,
            message,
            details: Vec::new(),
            hint: None,
            broken_pipe: false,
        }
    }

    /// The current directory or the program itself cannot be found.
    pub(crate) fn cwd(error: &io::Error) -> Self {
        Self::new(
            "E0901",
            exit::CANNOT,
            format!("cannot find where this runs: {error}"),
        )
    }

    /// stdout failed.
    pub(crate) fn output(error: io::Error) -> Self {
        Self {
            broken_pipe: error.kind() == io::ErrorKind::BrokenPipe,
            ..Self::new(
                "E0901",
                exit::CANNOT,
                format!("cannot write the answer: {error}"),
            )
        }
    }

    /// A report could not be written as JSON.
    pub(crate) fn json(error: serde_json::Error) -> Self {
        Self::new(
            "E0970",
            exit::BUG,
            format!("cannot write the answer as JSON: {error}"),
        )
    }

    /// A graph that no picture can hold.
    pub(crate) fn too_large(n_nodes: usize) -> Self {
        let message = format!("the graph of {n_nodes} nodes is too large for a picture");
        Self {
            hint: Some("name a stage, to draw only what it needs, or take `--dot`".to_owned()),
            ..Self::new("E0240", exit::CANNOT, message)
        }
    }

    /// Nobody is there to be asked.
    pub(crate) fn confirmation(message: &str, flag: &str) -> Self {
        Self::new("E0905", exit::CANNOT, message.to_owned())
            .hint(format!("there is no terminal to ask on: add `{flag}`"))
    }

    /// The demo cannot go on.
    pub(crate) fn demo(message: &str, hint: &str) -> Self {
        Self {
            hint: Some(hint.to_owned()),
            ..Self::new("E0980", exit::CANNOT, message.to_owned())
        }
    }

    /// Whether the reader of the answer went away, which is no error.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        self.broken_pipe
    }

    /// As people read it.
    pub(crate) fn to_text(&self, paint: &dyn Fn(Tone, &str) -> String) -> String {
        let head = paint(Tone::Bad, &format!("error[{}]", self.code));
        let mut lines = vec![format!("{head}: {}", self.message)];
        lines.extend(
            self.details
                .iter()
                .map(|detail| format!("  {detail}").trim_end().to_owned()),
        );
        if let Some(hint) = &self.hint {
            lines.push(String::new());
            lines.push(format!("{} {hint}", paint(Tone::Hint, "hint:")));
        }
        lines.join("\n")
    }

    /// As programs read it: one object.
    pub(crate) fn to_json(&self) -> String {
        #[derive(serde::Serialize)]
        struct Document<'a> {
            v: u32,
            error: Body<'a>,
        }
        let error = self.body();
        // Strings always serialise.
        serde_json::to_string(&Document { v: 1, error }).unwrap_or_default()
    }

    /// What programs are told of it.
    pub(crate) fn body(&self) -> Body<'_> {
        Body {
            code: self.code,
            message: &self.message,
            details: &self.details,
            hint: self.hint.as_deref(),
        }
    }

    /// The same with a line more.
    pub(crate) fn with_detail(self, line: String) -> Self {
        self.detail(line)
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn suggest(self, suggestion: Option<&str>) -> Self {
        match suggestion {
            Some(word) => self.hint(format!("did you mean `{word}`?")),
            None => self,
        }
    }

    fn detail(mut self, line: impl Into<String>) -> Self {
        self.details.push(line.into());
        self
    }

    fn details(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.details.extend(lines);
        self
    }

    /// Shows a line of a file with a caret under the place.
    fn at(self, location: &Location, note: &str) -> Self {
        self.shows(&location.excerpt(), note)
    }

    fn shows(self, at: &Excerpt, note: &str) -> Self {
        let head = format!("{}:{}   ", at.file, at.line);
        let text = at.text.trim_start();
        let cut = at.text.chars().count() - text.chars().count();
        let column = at.column.saturating_sub(1).saturating_sub(cut);
        let blank = " ".repeat(head.chars().count() + column);
        let carets = "^".repeat(at.width);
        self.detail(format!("{head}{text}"))
            .detail(format!("{blank}{carets} {note}").trim_end())
    }
}

impl From<ops::Error> for CliError {
    fn from(error: ops::Error) -> Self {
        let mut advised = advice::advise(&error);
        let mut cause = std::error::Error::source(&error);
        // A transparent error has its inner error's text already; what lies below is the cause.
        while let Some(inner) = cause {
            let text = inner.to_string();
            if text != advised.message {
                advised.details.push(format!("caused by: {text}"));
            }
            cause = inner.source();
        }
        if is_disk_full(&error) {
            advised.code = "E0902";
            advised.exit = exit::CANNOT;
            advised.hint = Some("free some space and run it again: nothing was lost".to_owned());
        }
        advised
    }
}

fn is_disk_full(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source())
        .filter_map(|error| error.downcast_ref::<io::Error>())
        .any(|error| {
            matches!(
                error.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            )
        })
}
