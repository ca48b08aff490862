//! A TOML text that people wrote, read key by key, so that every complaint knows its place.
//! Knows TOML and places, not which keys there are.

mod section;

pub(super) use section::{ListItem, Section};

use std::fmt::Write;
use std::ops::Range;
use std::path::Path;

use toml_edit::Document;

use super::manifest::Location;
use super::{Error, Result};
use crate::fs;

/// The largest text that is read: people write nothing near it, and it bounds all that follows.
const MAX_BYTES: u64 = 16 << 20;

/// How many bytes of a line are shown before a place, and from it on. Lines that people write
/// are shorter; without a bound, a list of a million items in one line would cost its square.
const SHOWN: usize = 300;

/// The longest message: it may quote what the text holds.
const MAX_MESSAGE: usize = 500;

/// A text and the name people know it by.
pub(super) struct Source<'a> {
    file: &'a str,
    text: &'a str,
    /// Where each line begins.
    lines: Vec<usize>,
}

/// A string or a key, and where it stands.
#[derive(Clone)]
pub(super) struct Text<'a> {
    pub(super) source: &'a Source<'a>,
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

impl<'a> Source<'a> {
    pub(super) fn new(file: &'a str, text: &'a str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0).chain(ends.map(|(at, _)| at + 1));
        Self {
            file,
            text,
            lines: lines.collect(),
        }
    }

    pub(super) fn parse(&self) -> Result<Document<&'a str>> {
        Document::parse(self.text).map_err(|error| {
            let at = error.span().map(|span| self.location(&span));
            let message = format!("not TOML: {}", error.message());
            complaint(self.file, &message, at)
        })
    }

    /// The place of a span. Of a very long line only what surrounds the place is kept, and the
    /// column counts from there.
    pub(super) fn location(&self, span: &Range<usize>) -> Location {
        let start = self.text.floor_char_boundary(span.start);
        let line = self.lines.partition_point(|begin| *begin <= start);
        let begin = self.lines[line - 1];
        let end = self
            .lines
            .get(line)
            .map_or(self.text.len(), |next| next - 1);
        let end = end - usize::from(self.text[begin..end].ends_with('\r'));
        let start = start.min(end);
        let near = start.saturating_sub(SHOWN).max(begin);
        let begin = self.text.ceil_char_boundary(near);
        let end = self.text.floor_char_boundary(end.min(start + SHOWN));
        let until = self.text.floor_char_boundary(span.end).clamp(start, end);
        let before = &self.text[begin..start];
        let text = &self.text[begin..end];
        let is_plain = text.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
        Location {
            file: self.file.to_owned(),
            line,
            column: before.chars().count() + 1,
            width: self.text[start..until].chars().count().max(1),
            text: match is_plain {
                true => text.to_owned(),
                false => text.chars().map(harmless).collect(),
            },
        }
    }

    pub(super) fn error(&self, span: &Range<usize>, message: impl AsRef<str>) -> Error {
        complaint(self.file, message.as_ref(), Some(self.location(span)))
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
        let mut at = self.location();
        at.text = format!("{}{key} = …", " ".repeat(at.column - 1));
        at.width = key.chars().count();
        complaint(self.source.file, message, Some(at))
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
            let at = source.location(&span);
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
                let place = source.location(&(start..end));
                assert!(place.line <= 2 && place.column >= 1 && place.width >= 1);
            }
        }
    }

    #[test]
    fn of_a_long_line_only_what_surrounds_the_place_is_kept() {
        let text = format!("{}x{}", "é".repeat(1000), "ü".repeat(1000));
        let at = Source::new("x", &text).location(&(2000..2001));
        assert_eq!((at.line, at.width), (1, 1));
        assert_eq!(at.text.chars().nth(at.column - 1), Some('x'));
        assert!(at.text.len() <= 2 * SHOWN + 4);
    }

    #[test]
    fn many_places_in_one_line_cost_little() {
        let items = "\"a\",".repeat(30_000);
        let text = format!("x = [{items}]");
        let source = Source::new("x", &text);
        let document = source.parse().unwrap();
        let texts = Section::root(&source, &document).texts("x").unwrap();
        let kept: usize = texts
            .unwrap()
            .iter()
            .map(|text| text.location().text.len())
            .sum();
        assert!(kept <= 30_000 * 2 * SHOWN);
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
