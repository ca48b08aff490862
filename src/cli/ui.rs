//! The terminal: where answers and messages go, and how they are coloured.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

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
    /// Whether both streams are one terminal.
    one_screen: bool,
    part: Option<Arc<Part>>,
    /// Whether a part was begun on stdout and on stderr.
    begun: Arc<[AtomicBool; 2]>,
    soon: Arc<Mutex<Soon>>,
}

/// Lines for stderr that need not be written one by one.
#[derive(Debug, Default)]
struct Soon {
    lines: String,
    since: Option<Instant>,
}

/// How long a line may wait for others.
const SOON: Duration = Duration::from_millis(50);

/// One project's part of an answer about several.
#[derive(Debug)]
struct Part {
    name: String,
    /// Whether stdout and stderr were told the name.
    named: [AtomicBool; 2],
    /// What the project answered, for programs.
    answer: Mutex<Option<serde_json::Value>>,
}

/// One of the two streams.
#[derive(Clone, Copy, Debug)]
enum Stream {
    Out,
    Err,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
        let screen = io::stdout().is_terminal();
        let wanted = !common.no_progress && variable("ESKER_NO_PROGRESS").is_none();
        Self {
            json: common.json,
            quiet: common.quiet,
            draws: terminal && wanted && !common.json && !common.quiet,
            stdout_colour: colour(screen),
            stderr_colour: colour(terminal),
            one_screen: screen && terminal,
            part: None,
            begun: Arc::default(),
            soon: Arc::default(),
        }
    }

    /// The same for one project of several, whose name stands above what is said of it.
    pub(crate) fn part(&self, name: &str) -> Self {
        let part = Part {
            name: name.to_owned(),
            named: Default::default(),
            answer: Mutex::default(),
        };
        Self {
            part: Some(Arc::new(part)),
            soon: Arc::default(),
            ..self.clone()
        }
    }

    /// What a part answered for programs: one object, with the name of its project.
    pub(crate) fn into_answer(self) -> Option<serde_json::Value> {
        let part = self.part?;
        let mut answer = part.answer.lock().ok()?.take()?;
        let name = part.name.clone();
        answer
            .as_object_mut()?
            .insert("project".to_owned(), name.into());
        Some(answer)
    }

    /// What comes before anything that is written: the lines that wait, and the name of a part.
    fn begin(&self, stream: Stream) -> io::Result<()> {
        self.say_now();
        self.name_part(stream)
    }

    /// Names the project of a part before the first that is said of it on a stream, or on both if
    /// they are one terminal.
    fn name_part(&self, stream: Stream) -> io::Result<()> {
        let Some(part) = self.part.as_deref().filter(|_| !self.json) else {
            return Ok(());
        };
        let screen = if self.one_screen { Stream::Out } else { stream } as usize;
        if part.named[screen].swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let blank = match self.begun[screen].swap(true, Ordering::Relaxed) {
            true => "\n",
            false => "",
        };
        match stream {
            Stream::Out => {
                let name = part.head(self.stdout_colour);
                writeln!(io::stdout().lock(), "{blank}{name}")
            }
            Stream::Err => {
                let name = part.head(self.stderr_colour);
                writeln!(io::stderr().lock(), "{blank}{name}")
            }
        }
    }

    /// How many columns the answer may take: `COLUMNS`, else those of the terminal. Without
    /// either there is no bound.
    pub(crate) fn columns(&self) -> Option<usize> {
        let wanted = variable("COLUMNS").and_then(|text| text.parse().ok());
        let terminal = || {
            let stdout = io::stdout();
            let size = rustix::termios::tcgetwinsize(stdout.lock()).ok()?;
            Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
        };
        wanted.or_else(terminal)
    }

    /// Whether the locale says that more than ASCII can be shown.
    pub(crate) fn is_utf8(&self) -> bool {
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
            .into_iter()
            .find_map(variable);
        let locale = locale.unwrap_or_default().to_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    }

    /// Whether messages are coloured.
    pub(crate) fn colours(&self) -> bool {
        self.stderr_colour
    }

    /// Writes a line of the answer.
    pub(crate) fn answer(&self, line: &str) -> Result<(), CliError> {
        let begun = self.begin(Stream::Out);
        begun
            .and_then(|()| print(&harmless(line)))
            .map_err(CliError::output)
    }

    /// Passes on what a stage printed, as it is.
    pub(crate) fn pass_on(&self, bytes: &[u8], stderr: bool) {
        // A closed stream leaves nobody to tell, and the stage goes on.
        let _ = match stderr || self.json || self.quiet {
            true => self
                .begin(Stream::Err)
                .and_then(|()| io::stderr().lock().write_all(bytes)),
            false => self
                .begin(Stream::Out)
                .and_then(|()| io::stdout().lock().write_all(bytes)),
        };
    }

    /// Writes the answer as one JSON document, with its version first; a part only keeps it.
    pub(crate) fn json(&self, report: &impl serde::Serialize) -> Result<(), CliError> {
        #[derive(serde::Serialize)]
        struct Document<'a, T> {
            v: u32,
            #[serde(flatten)]
            report: &'a T,
        }
        if let Some(part) = &self.part {
            part.keep(serde_json::to_value(report).map_err(CliError::json)?);
            return Ok(());
        }
        let text = serde_json::to_string_pretty(&Document { v: 1, report });
        print(&text.map_err(CliError::json)?).map_err(CliError::output)
    }

    /// Writes a line that is not the answer; nothing if quiet, or if the answer is JSON.
    pub(crate) fn say(&self, line: &str) {
        if !self.quiet && !self.json {
            self.tell(line);
        }
    }

    /// The same, of which there may be thousands at once: they are written together.
    pub(crate) fn say_soon(&self, line: &str) {
        if self.quiet || self.json {
            return;
        }
        let mut soon = self.soon.lock().unwrap_or_else(PoisonError::into_inner);
        soon.lines.push_str(&harmless(line));
        soon.lines.push('\n');
        let since = *soon.since.get_or_insert_with(Instant::now);
        drop(soon);
        if since.elapsed() > SOON {
            self.say_now();
        }
    }

    /// Writes the lines that wait.
    pub(crate) fn say_now(&self) {
        let mut soon = self.soon.lock().unwrap_or_else(PoisonError::into_inner);
        let Soon { lines, .. } = std::mem::take(&mut *soon);
        if !lines.is_empty() {
            // A closed stderr leaves nobody to tell.
            let named = self.name_part(Stream::Err);
            let _ = named.and_then(|()| io::stderr().lock().write_all(lines.as_bytes()));
        }
    }

    /// Names the one next step.
    pub(crate) fn next(&self, step: &str) {
        self.say(&format!("{} {step}", self.paint(Tone::Hint, "next:")));
    }

    /// Writes a warning.
    pub(crate) fn warn(&self, line: &str) {
        if !self.json {
            self.tell(&format!("{} {line}", self.paint(Tone::Warning, "warning:")));
        }
    }

    /// Writes an error: for people with its places and hints, or as one JSON object. In a part, it
    /// is the answer of that project.
    pub(crate) fn error(&self, error: &CliError) {
        match (&self.part, self.json) {
            (Some(part), true) => part.keep_error(error),
            // A closed stderr leaves nobody to tell.
            (None, true) => drop(writeln!(io::stderr().lock(), "{}", error.to_json())),
            (_, false) => self.tell(&error.to_text(&|tone, text| self.paint(tone, text))),
        }
    }

    fn tell(&self, line: &str) {
        // A closed stderr leaves nobody to tell. It has no buffer: the line goes there as one.
        let begun = self.begin(Stream::Err);
        let line = format!("{}\n", harmless(line));
        let _ = begun.and_then(|()| io::stderr().lock().write_all(line.as_bytes()));
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

impl Part {
    fn head(&self, colour: bool) -> String {
        paint(colour, Tone::Bold, &format!("{}:", self.name))
    }

    fn keep(&self, answer: serde_json::Value) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
    }

    fn keep_error(&self, error: &CliError) {
        // Strings always serialise.
        let body = serde_json::to_value(error.body()).unwrap_or_default();
        self.keep(serde_json::json!({ "error": body }));
    }
}

fn print(line: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}

/// A line without what could steer a terminal but for colours: a file may have any name.
fn harmless(line: &str) -> Cow<'_, str> {
    let steers = |c: char| c.is_control() && c != '\n' && c != '\t';
    if !line.contains(steers) {
        return Cow::Borrowed(line);
    }
    let mut clean = String::new();
    for (at, c) in line.char_indices() {
        match steers(c) && !is_colour(&line[at..]) {
            true => clean.extend(c.escape_default()),
            false => clean.push(c),
        }
    }
    Cow::Owned(clean)
}

/// Whether a text begins with an order to change the colour.
fn is_colour(text: &str) -> bool {
    let order = text.strip_prefix("\u{1b}[");
    let end = order.map(|order| order.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';'));
    end.is_some_and(|end| end.starts_with('m'))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        for (line, shown) in [
            ("plain é 😀\ttab\nline", "plain é 😀\ttab\nline"),
            ("\u{1b}[1;31mred\u{1b}[0m", "\u{1b}[1;31mred\u{1b}[0m"),
            ("\u{1b}[2Jgone", "\\u{1b}[2Jgone"),
            ("\u{1b}]0;title\u{7}", "\\u{1b}]0;title\\u{7}"),
            ("back\r\u{8}\u{9b}", "back\\r\\u{8}\\u{9b}"),
        ] {
            assert_eq!(harmless(line), shown);
        }
    }
}
