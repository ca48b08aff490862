//! Dotted keys and their one text.

use std::fmt;
use std::str::FromStr;

use super::quote;
use super::text::unquote_prefix;

/// A dotted key: `train.lr`, `model."v1.2".lr`.
///
/// Ordered by its text, as the lock is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyPath {
    // First, so that the derived order is that of the text. Different segments never have the
    // same text.
    text: Box<str>,
    segments: Vec<String>,
}

/// A text that is no key.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a key like `train.lr`")]
pub struct KeyError(pub String);

impl KeyPath {
    /// Makes a key of its segments, outermost first.
    pub fn new(segments: Vec<String>) -> Self {
        let texts: Vec<String> = segments.iter().map(|name| segment_text(name)).collect();
        Self {
            text: texts.join(".").into(),
            segments,
        }
    }

    /// The segments, outermost first.
    pub fn segments(&self) -> &[String] {
        &self.segments
    }

    /// The text, as people write it and as the lock holds it.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.text, f)
    }
}

impl FromStr for KeyPath {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        split(text)
            .map(Self::new)
            .ok_or_else(|| KeyError(text.to_owned()))
    }
}

impl serde::Serialize for KeyPath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

fn segment_text(segment: &str) -> String {
    if segment.is_empty() || segment.contains(['.', '"']) {
        quote(segment)
    } else {
        segment.to_owned()
    }
}

fn split(text: &str) -> Option<Vec<String>> {
    let mut segments = Vec::new();
    let mut rest = text;
    loop {
        let (segment, after) = first_segment(rest)?;
        segments.push(segment);
        if after.is_empty() {
            return Some(segments);
        }
        rest = after.strip_prefix('.')?;
    }
}

fn first_segment(text: &str) -> Option<(String, &str)> {
    if text.starts_with('"') {
        return unquote_prefix(text);
    }
    let end = text.find('.').unwrap_or(text.len());
    let (segment, after) = text.split_at(end);
    let plain = !segment.is_empty() && !segment.contains('"');
    plain.then(|| (segment.to_owned(), after))
}
