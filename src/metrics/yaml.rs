//! YAML 1.2 with its core schema: `no`, `yes`, `on` and `off` are text, `0o17` is a number.
//!
//! The grammar is `saphyr-parser`'s; what its events mean is decided here, because its own loader
//! neither bounds the depth nor keeps large numbers. An alias is expanded, up to [`MAX_COPIED`].
//! `<<` is a key like any other. A file has one document. A tag that the core schema does not
//! have is an error.

use std::borrow::Cow;
use std::collections::BTreeMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};

use super::{Problem, number, too_deep};
use crate::value::{MAX_DEPTH, Value};

type Result<T> = std::result::Result<T, Problem>;

/// How much anchors and aliases may copy in all: one for each value, one for each byte of text.
const MAX_COPIED: usize = 4 * 1024 * 1024;

pub(super) fn parse(text: &str) -> Result<Value> {
    let mut reader = Reader::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| at(*error.marker(), error.info()))?;
        reader.take(event, span.start)?;
    }
    Ok(reader.done.unwrap_or(Value::Null))
}

#[derive(Default)]
struct Reader {
    /// Lists and tables not yet at their end, outermost first.
    open: Vec<Open>,
    done: Option<Value>,
    documents: usize,
    /// What anchors name; absent while the value is not at its end.
    anchors: BTreeMap<usize, Value>,
    copied: usize,
}

struct Open {
    anchor: usize,
    inside: Inside,
}

enum Inside {
    List(Vec<Value>),
    Table {
        entries: BTreeMap<String, Value>,
        key: Option<String>,
    },
}

impl Reader {
    fn take(&mut self, event: Event<'_>, mark: Marker) -> Result<()> {
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                match self.documents {
                    1 => Ok(()),
                    _ => Err(at(mark, "a second document begins; one is read")),
                }
            }
            Event::SequenceStart(anchor, tag) => {
                check_tag(tag.as_deref(), "seq", mark)?;
                self.open(anchor, Inside::List(Vec::new()), mark)
            }
            Event::MappingStart(anchor, tag) => {
                check_tag(tag.as_deref(), "map", mark)?;
                let entries = BTreeMap::new();
                self.open(anchor, Inside::Table { entries, key: None }, mark)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(mark),
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                self.scalar(text, plain, anchor, tag.as_deref(), mark)
            }
            Event::Alias(anchor) => {
                let value = self.anchors.get(&anchor);
                let missing = || at(mark, "an alias stands inside of what it names");
                let value = value.cloned().ok_or_else(missing)?;
                self.check_copy(&value, mark)?;
                if self.open.len() + depth(&value) > MAX_DEPTH {
                    return Err(at(mark, too_deep()));
                }
                self.put(value, mark)
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn open(&mut self, anchor: usize, inside: Inside, mark: Marker) -> Result<()> {
        if self.expects_key() {
            return Err(at(mark, "a key must be text or a number"));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(at(mark, too_deep()));
        }
        self.open.push(Open { anchor, inside });
        Ok(())
    }

    fn close(&mut self, mark: Marker) -> Result<()> {
        let Some(open) = self.open.pop() else {
            return Err(at(mark, "something ends that has not begun"));
        };
        let value = match open.inside {
            Inside::List(items) => Value::List(items),
            Inside::Table { entries, .. } => Value::Table(entries),
        };
        self.remember(open.anchor, &value, mark)?;
        self.put(value, mark)
    }

    /// As a key, a scalar is its text as written.
    fn scalar(
        &mut self,
        text: Cow<'_, str>,
        plain: bool,
        anchor: usize,
        tag: Option<&Tag>,
        mark: Marker,
    ) -> Result<()> {
        let value = if self.expects_key() {
            check_tag(tag, "str", mark)?;
            Value::String(text.into_owned())
        } else {
            resolve(text, plain, tag).map_err(|message| at(mark, message))?
        };
        self.remember(anchor, &value, mark)?;
        self.put(value, mark)
    }

    fn put(&mut self, value: Value, mark: Marker) -> Result<()> {
        match self.open.last_mut().map(|open| &mut open.inside) {
            None => self.done = Some(value),
            Some(Inside::List(items)) => items.push(value),
            Some(Inside::Table { entries, key }) => match key.take() {
                Some(name) => {
                    entries.insert(name, value);
                }
                None => *key = Some(new_key(entries, value, mark)?),
            },
        }
        Ok(())
    }

    fn expects_key(&self) -> bool {
        let inside = self.open.last().map(|open| &open.inside);
        matches!(inside, Some(Inside::Table { key: None, .. }))
    }

    /// Anchors are numbered from 1.
    fn remember(&mut self, anchor: usize, value: &Value, mark: Marker) -> Result<()> {
        if anchor > 0 {
            self.check_copy(value, mark)?;
            self.anchors.insert(anchor, value.clone());
        }
        Ok(())
    }

    /// A few nested aliases can stand for more values than any memory holds.
    fn check_copy(&mut self, value: &Value, mark: Marker) -> Result<()> {
        self.copied += weight(value);
        if self.copied > MAX_COPIED {
            return Err(at(mark, "anchors and aliases stand for too much"));
        }
        Ok(())
    }
}

fn new_key(entries: &BTreeMap<String, Value>, value: Value, mark: Marker) -> Result<String> {
    let Value::String(name) = value else {
        return Err(at(mark, "a key must be text or a number"));
    };
    if entries.contains_key(&name) {
        let message = format!("the key `{}` stands twice", name.escape_debug());
        return Err(at(mark, message));
    }
    Ok(name)
}

fn weight(value: &Value) -> usize {
    match value {
        Value::String(text) => 1 + text.len(),
        Value::List(items) => 1 + items.iter().map(weight).sum::<usize>(),
        Value::Table(table) => {
            let entries = table.iter().map(|(key, value)| key.len() + weight(value));
            1 + entries.sum::<usize>()
        }
        _ => 1,
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::List(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Table(table) => 1 + table.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn check_tag(tag: Option<&Tag>, expected: &str, mark: Marker) -> Result<()> {
    match tag {
        Some(tag) if !is_core(tag, expected) && !is_bare(tag) => Err(at(mark, unknown_tag(tag))),
        _ => Ok(()),
    }
}

fn is_core(tag: &Tag, name: &str) -> bool {
    tag.is_yaml_core_schema() && tag.suffix == name
}

/// `!` alone says that nothing is to be guessed.
fn is_bare(tag: &Tag) -> bool {
    format!("{}{}", tag.handle, tag.suffix) == "!"
}

fn unknown_tag(tag: &Tag) -> String {
    let name = match tag.is_yaml_core_schema() {
        true => format!("!!{}", tag.suffix),
        false => format!("{}{}", tag.handle, tag.suffix),
    };
    format!("the tag `{}` is not known here", name.escape_debug())
}

fn resolve(
    text: Cow<'_, str>,
    plain: bool,
    tag: Option<&Tag>,
) -> std::result::Result<Value, String> {
    let Some(tag) = tag else {
        return match plain {
            true => guess(text),
            false => Ok(Value::String(text.into_owned())),
        };
    };
    if is_bare(tag) || is_core(tag, "str") {
        return Ok(Value::String(text.into_owned()));
    }
    let value = guess(Cow::Borrowed(&text))?;
    let fits = match value {
        Value::Null => is_core(tag, "null"),
        Value::Bool(_) => is_core(tag, "bool"),
        Value::Int(_) | Value::BigInt(_) => is_core(tag, "int"),
        Value::Float(_) => is_core(tag, "float"),
        _ => false,
    };
    match value {
        value if fits => Ok(value),
        Value::Int(_) | Value::BigInt(_) if is_core(tag, "float") => {
            number::decimal(&format!("{text}.0"))
        }
        _ if ["null", "bool", "int", "float"]
            .iter()
            .any(|name| is_core(tag, name)) =>
        {
            Err(format!(
                "`{}` is not of the type `!!{}`",
                text.escape_debug(),
                tag.suffix
            ))
        }
        _ => Err(unknown_tag(tag)),
    }
}

/// What a plain scalar is in the core schema, section 10.3.2 of YAML 1.2.2.
fn guess(text: Cow<'_, str>) -> std::result::Result<Value, String> {
    let value = match &*text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" => Value::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Value::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Value::Float(f64::NEG_INFINITY),
        word => match base_digits(word) {
            Some((digits, base)) => number::in_base(digits, base)?,
            None if is_decimal(word) => number::decimal(word)?,
            None => Value::String(text.into_owned()),
        },
    };
    Ok(value)
}

fn base_digits(text: &str) -> Option<(&str, u32)> {
    let (digits, base) = match text.strip_prefix("0o") {
        Some(digits) => (digits, 8),
        None => (text.strip_prefix("0x")?, 16),
    };
    let fits = !digits.is_empty() && digits.chars().all(|c| c.is_digit(base));
    fits.then_some((digits, base))
}

/// `[-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`
fn is_decimal(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let some_digits = |text: &str| !text.is_empty() && digits(text);
    let mantissa_fits = match mantissa.split_once('.') {
        Some(("", fraction)) => some_digits(fraction),
        Some((whole, fraction)) => some_digits(whole) && digits(fraction),
        None => some_digits(mantissa),
    };
    let exponent = exponent.map(|text| text.strip_prefix(['-', '+']).unwrap_or(text));
    mantissa_fits && exponent.is_none_or(some_digits)
}

fn at(mark: Marker, message: impl Into<String>) -> Problem {
    Problem {
        at: Some((mark.line(), mark.col() + 1)),
        message: message.into(),
    }
}
