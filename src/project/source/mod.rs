//! A TOML text that people wrote, read key by key, so that every complaint knows its place.
//! Knows TOML and places, not which keys there are.

mod plain;
mod section;
mod tree;

pub(super) use section::{ListItem, Section};

use std::fmt::{self, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use toml::de::DeTable;
use toml_edit::Document;

use self::tree::Table;
use super::{Error, Result};
use crate::fs;

/// The largest text that is read: people write nothing near it, and it bounds all that follows.
const MAX_BYTES: u64 = 16 << 20;

/// How many bytes of a line are shown before a place, and from it on. Lines that people write
/// are shorter.
const SHOWN: usize = 300;

/// The longest message: it may quote what the text holds.
const MAX_MESSAGE: usize = 500;

/// A text and the name people know it by.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Source {
    file: String,
    text: String,
}

/// A place in a text that people wrote. There is one for whatever may have to be complained about,
/// so it is no more than a span until somebody wants to see it.
#[derive(Clone, PartialEq, Eq)]
pub struct Location {
    source: Arc<Source>,
    span: Range<usize>,
}

/// What people are shown of a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// The file as people know it (`esker.toml`).
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1; within `text`, should that be cut.
    pub column: usize,
    /// How many characters to underline.
    pub width: usize,
    /// The whole line; of a very long one, what surrounds the place.
    pub text: String,
}

/// A string or a key, and where it stands.
#[derive(Clone)]
pub(super) struct Text<'a> {
    pub(super) source: &'a Arc<Source>,
    pub(super) text: &'a str,
    pub(super) span: Range<usize>,
}

/// Reads a whole text; `None` if there is no such file.
pub(super) fn read_text(file: &str, path: &Path) -> Result<Option<String>> {
    let refuse = |message: String| Err(complaint(file, &message, None));
    let Some(metadata) = fs::metadata(path)? else {
        return Ok(None);
    };
    if metadata.len() > MAX_BYTES {
        return refuse(format!("`{file}` is larger than {MAX_BYTES} bytes"));
    }
    match String::from_utf8(fs::read(path)?) {
        Ok(text) => Ok(Some(text)),
        Err(error) => {
            let good = error.utf8_error().valid_up_to();
            let line = error.as_bytes()[..good].iter().filter(|b| **b == b'\n');
            refuse(format!("line {} is not UTF-8", line.count() + 1))
        }
    }
}

impl Source {
    pub(super) fn new(file: &str, text: &str) -> Arc<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Arc::new(Self {
            file: file.to_owned(),
            text: text.to_owned(),
        })
    }

    /// The text as a tree of spans, to be read.
    pub(super) fn read(self: &Arc<Self>) -> Result<Table<'_>> {
        if let Some(table) = plain::read(&self.text) {
            return Ok(table);
        }
        let read = DeTable::parse(self.text.as_str());
        let read = read.map_err(|error| self.not_toml(error.span(), error.message()));
        Ok(read?.into_inner().into())
    }

    /// The text with all that stands between its values, to be edited.
    pub(super) fn parse(self: &Arc<Self>) -> Result<Document<&str>> {
        let parsed = Document::parse(self.text.as_str());
        parsed.map_err(|error| self.not_toml(error.span(), error.message()))
    }

    fn not_toml(self: &Arc<Self>, span: Option<Range<usize>>, message: &str) -> Error {
        let at = span.map(|span| self.location(&span));
        complaint(&self.file, &format!("not TOML: {message}"), at)
    }

    pub(super) fn location(self: &Arc<Self>, span: &Range<usize>) -> Location {
        Location {
            source: Arc::clone(self),
            span: span.clone(),
        }
    }

    pub(super) fn error(self: &Arc<Self>, span: &Range<usize>, message: impl AsRef<str>) -> Error {
        complaint(&self.file, message.as_ref(), Some(self.location(span)))
    }
}

impl Location {
    /// How far from the beginning of its text it stands.
    pub fn begin(&self) -> usize {
        self.span.start
    }

    /// What to show of it. Of a very long line only what surrounds the place is kept, and the
    /// column counts from there.
    pub fn excerpt(&self) -> Excerpt {
        let Source { file, text } = &*self.source;
        let start = text.floor_char_boundary(self.span.start);
        let n_lines_before = text[..start].bytes().filter(|byte| *byte == b'\n').count();
        let begin = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let end = end - usize::from(text[begin..end].ends_with('\r'));
        let start = start.min(end);
        let begin = text.ceil_char_boundary(start.saturating_sub(SHOWN).max(begin));
        let end = text.floor_char_boundary(end.min(start + SHOWN));
        let until = text.floor_char_boundary(self.span.end).clamp(start, end);
        Excerpt {
            file: file.clone(),
            line: n_lines_before + 1,
            column: text[begin..start].chars().count() + 1,
            width: text[start..until].chars().count().max(1),
            text: text[begin..end].chars().map(harmless).collect(),
        }
    }

    /// The beginning of a line, for stages that tests build by hand.
    #[cfg(test)]
    pub(crate) fn of_line(line: usize) -> Self {
        let text = "\n".repeat(line - 1);
        Source::new("esker.toml", &text).location(&(line - 1..line - 1))
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Excerpt {
            file, line, column, ..
        } = self.excerpt();
        write!(f, "{file}:{line}:{column}")
    }
}

impl<'a> Text<'a> {
    pub(super) fn location(&self) -> Location {
        self.source.location(&self.span)
    }

    /// Complains about the whole.
    pub(super) fn error(&self, message: impl AsRef<str>) -> Error {
        self.source.error(&self.span, message)
    }

    /// Complains about the first place inside where `part` stands as it is.
    pub(super) fn error_at(&self, part: &str, message: impl AsRef<str>) -> Error {
        let raw = self.source.text.get(self.span.clone());
        let found = raw.and_then(|raw| raw.find(part));
        let span = found.map_or(self.span.clone(), |at| {
            let start = self.span.start + at;
            start..start + part.len()
        });
        self.source.error(&span, message)
    }

    /// The places from each `opening` to the next `closing`, as they stand in the file.
    pub(super) fn places_between(&self, opening: &str, closing: &str) -> Vec<Location> {
        let raw = self.source.text.get(self.span.clone()).unwrap_or_default();
        let starts = raw.match_indices(opening);
        let places = starts.map(|(at, _)| {
            let length = raw[at..].find(closing).map(|end| end + closing.len());
            let start = self.span.start + at;
            let span = start..start + length.unwrap_or(opening.len());
            self.source.location(&span)
        });
        places.collect()
    }

    /// Complains about a key without showing what stands behind it, or anything else of its line.
    pub(super) fn error_about_secret(&self, key: &str, message: &str) -> Error {
        let at = self.location().excerpt();
        let before = "\n".repeat(at.line - 1) + &" ".repeat(at.column - 1);
        let span = before.len()..before.len() + key.len();
        let silent = Source::new(&at.file, &format!("{before}{key} = …"));
        silent.error(&span, message)
    }
}

/// An error without what stands in the text that could steer a terminal.
pub(super) fn complaint(file: &str, message: &str, at: Option<Location>) -> Error {
    let mut clean = String::new();
    for c in message.chars() {
        if clean.len() >= MAX_MESSAGE {
            clean.push('…');
            break;
        }
        if c.is_control() {
            let _ = write!(clean, "{}", c.escape_default());
        } else {
            clean.push(c);
        }
    }
    Error::Manifest {
        file: file.to_owned(),
        message: clean,
        at: at.map(Box::new),
        suggestion: None,
    }
}

/// The column of a character must not move, so each control character becomes one other.
fn harmless(c: char) -> char {
    if c.is_control() && c != '\t' {
        char::REPLACEMENT_CHARACTER
    } else {
        c
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_counted_in_characters_of_its_line() {
        let source = Source::new("x", "\u{feff}é = 1\r\n\tö = [ ]\n");
        let place = |span: Range<usize>| {
            let at = source.location(&span).excerpt();
            (at.line, at.column, at.width, at.text)
        };
        let first = || "é = 1".to_owned();
        assert_eq!(place(0..2), (1, 1, 1, first()));
        assert_eq!(place(5..6), (1, 5, 1, first()));
        // The end of a line, and what lies beyond the text.
        assert_eq!(place(7..8), (1, 6, 1, first()));
        assert_eq!(place(9..16), (2, 2, 6, "\tö = [ ]".to_owned()));
        assert_eq!(place(99..120), (3, 1, 1, String::new()));
    }

    #[test]
    fn any_span_has_a_place() {
        let source = Source::new("x", "é\n");
        for start in 0..6 {
            for end in 0..6 {
                let place = source.location(&(start..end)).excerpt();
                assert!(place.line <= 2 && place.column >= 1 && place.width >= 1);
            }
        }
    }

    #[test]
    fn of_a_long_line_only_what_surrounds_the_place_is_kept() {
        let text = format!("{}x{}", "é".repeat(1000), "ü".repeat(1000));
        let at = Source::new("x", &text).location(&(2000..2001)).excerpt();
        assert_eq!((at.line, at.width), (1, 1));
        assert_eq!(at.text.chars().nth(at.column - 1), Some('x'));
        assert!(at.text.len() <= 2 * SHOWN + 4);
    }

    #[test]
    fn messages_are_short_and_harmless() {
        let error = complaint("x", &"\u{1b}é".repeat(1000), None).to_string();
        assert!(error.len() < MAX_MESSAGE + 16 && !error.contains('\u{1b}'));
    }

    #[test]
    fn a_file_too_large_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("big");
        let file = std::fs::File::create(&path).unwrap();
        file.set_len(MAX_BYTES + 1).unwrap();
        let error = read_text("big", &path).unwrap_err().to_string();
        assert_eq!(error, "`big` is larger than 16777216 bytes");
        assert_eq!(read_text("none", &dir.path().join("none")).unwrap(), None);
    }
}
