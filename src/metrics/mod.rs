//! Reads params and metrics files (YAML 1.2, TOML, JSON) into ordered values, and compares
//! metrics by goal. Unaware of stages and of the lock.

mod edit;
mod json;
mod number;
mod toml;
mod yaml;

#[cfg(test)]
mod tests;

pub use edit::edit;

use crate::value::{Leaves, MAX_DEPTH, Value};

/// The largest file of values, in bytes.
pub const MAX_SIZE: usize = 64 * 1024 * 1024;

/// What can be wrong with a params or metrics file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk failed.
    #[error(transparent)]
    Fs(#[from] crate::fs::Error),
    /// Not YAML, TOML or JSON by its name.
    #[error("`{0}` is neither YAML, TOML nor JSON by its name")]
    UnknownFormat(String),
    /// A value that cannot be set.
    #[error("cannot set `{key}` in `{file}`: {reason}")]
    NotChanged {
        /// Which file.
        file: String,
        /// Which key.
        key: String,
        /// Why.
        reason: String,
    },
    /// Cannot be parsed.
    #[error("cannot parse `{file}`: {message}")]
    Syntax {
        /// Which file.
        file: String,
        /// What is wrong, with line and column.
        message: String,
        /// The line, if it has a place.
        at: Option<Box<Place>>,
    },
}

/// A place in a file of values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1; within `text`, should that be cut.
    pub column: usize,
    /// The line; of a very long one, what surrounds the place.
    pub text: String,
}

/// The result of reading a file of values.
pub type Result<T> = std::result::Result<T, Error>;

/// How a metric moved, if both sides are numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Movement {
    /// New minus old.
    pub delta: f64,
    /// Whether that is better, if a goal is known and it moved at all.
    pub better: Option<bool>,
}

/// Which way a metric should go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Up.
    Max,
    /// Down.
    Min,
}

/// A format of files of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Yaml,
    Toml,
    Json,
}

/// What a parser says of a text: where, and what is wrong there.
#[derive(Debug)]
struct Problem {
    /// Line and column, from 1, the column in characters.
    at: Option<(usize, usize)>,
    message: String,
}

/// Whether a file of this name can be read as values.
pub fn is_readable(name: &str) -> bool {
    format_of(name).is_some()
}

/// Reads the bytes of a params or metrics file; its format follows from its name.
///
/// In every format a table has each key once, lists and tables are nested at most
/// [`MAX_DEPTH`] deep, whole numbers have at most [`crate::value::MAX_DIGITS`] digits, and a
/// number that is finite as written stays finite. Dates are text.
pub fn parse(name: &str, bytes: &[u8]) -> Result<Value> {
    let format = format_of(name).ok_or_else(|| Error::UnknownFormat(name.to_owned()))?;
    parse_as(format, bytes).map_err(|problem| Error::Syntax {
        file: name.to_owned(),
        message: problem.to_string(),
        at: problem.place(bytes).map(Box::new),
    })
}

/// The leaves of a metrics file that are numbers or booleans.
pub fn numbers(value: &Value) -> Leaves {
    let mut leaves = value.leaves();
    leaves.retain(|_, leaf| matches!(leaf, Value::Bool(_)) || leaf.as_f64().is_some());
    leaves
}

/// Compares two values of one metric. Becoming nan is worse for any goal, ceasing to be is better.
pub fn movement(
    old: Option<&Value>,
    new: Option<&Value>,
    goal: Option<Direction>,
) -> Option<Movement> {
    let (old, new) = (old?, new?);
    let (before, after) = (old.as_f64()?, new.as_f64()?);
    if old == new {
        return Some(Movement {
            delta: 0.0,
            better: None,
        });
    }
    let delta = match (old, new) {
        (Value::Int(before), Value::Int(after)) => {
            (i128::from(*after) - i128::from(*before)) as f64
        }
        _ => after - before,
    };
    let better = match (before.is_nan(), after.is_nan()) {
        (false, true) => Some(false),
        (true, false) => Some(true),
        _ if delta > 0.0 => Some(goal == Some(Direction::Max)),
        _ if delta < 0.0 => Some(goal == Some(Direction::Min)),
        _ => None,
    };
    Some(Movement {
        delta,
        better: better.filter(|_| goal.is_some()),
    })
}

fn format_of(name: &str) -> Option<Format> {
    let file = name.rsplit('/').next().unwrap_or(name);
    let (_, ending) = file.rsplit_once('.')?;
    match ending.to_ascii_lowercase().as_str() {
        "yaml" | "yml" => Some(Format::Yaml),
        "toml" => Some(Format::Toml),
        "json" => Some(Format::Json),
        _ => None,
    }
}

fn parse_as(format: Format, bytes: &[u8]) -> std::result::Result<Value, Problem> {
    if bytes.len() > MAX_SIZE {
        return Err(Problem::of_file(format!(
            "it is larger than {MAX_SIZE} bytes"
        )));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let (good, _) = bytes.split_at(error.valid_up_to());
        let good = without_mark(&String::from_utf8_lossy(good)).to_owned();
        Problem::at_byte(&good, good.len(), "not UTF-8")
    })?;
    let text = without_mark(text);
    match format {
        Format::Yaml => yaml::parse(text),
        Format::Toml => toml::parse(text),
        Format::Json => json::parse(text),
    }
}

impl Problem {
    fn of_file(message: String) -> Self {
        Self { at: None, message }
    }

    /// The line of the text that it is about.
    fn place(&self, bytes: &[u8]) -> Option<Place> {
        const SHOWN: usize = 100;
        let (line, column) = self.at?;
        let whole = bytes.split(|byte| *byte == b'\n').nth(line - 1);
        let whole = String::from_utf8_lossy(whole.unwrap_or_default());
        let whole = match line {
            1 => without_mark(&whole),
            _ => &whole,
        };
        let cut = column.saturating_sub(SHOWN);
        let near = whole.trim_end().chars().skip(cut).take(2 * SHOWN);
        Some(Place {
            line,
            column: column - cut,
            text: near.map(harmless).collect(),
        })
    }

    /// A problem at a byte of the text.
    fn at_byte(text: &str, at: usize, message: impl Into<String>) -> Self {
        let before = text.get(..at).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        let column = before[line_start..].chars().count() + 1;
        Self {
            at: Some((line, column)),
            message: message.into(),
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some((line, column)) = self.at {
            write!(f, "line {line}, column {column}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// Editors on Windows write a mark that says nothing about UTF-8.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// The column of a character must not move, so each control character becomes one other.
fn harmless(c: char) -> char {
    match c.is_control() && c != '\t' {
        true => char::REPLACEMENT_CHARACTER,
        false => c,
    }
}

fn too_deep() -> String {
    format!("lists and tables are nested deeper than {MAX_DEPTH}")
}
