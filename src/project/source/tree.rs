//! A text of TOML as tables in the order of the text, with the place of every key and value.

use std::borrow::Cow;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A table: keys and values in the order of the text, each key once.
#[derive(Debug, Default, PartialEq)]
pub(in crate::project) struct Table<'a>(pub(super) Vec<Entry<'a>>);

/// A key and its value.
#[derive(Debug, PartialEq)]
pub(super) struct Entry<'a> {
    pub(super) key: Cow<'a, str>,
    pub(super) key_span: Span,
    pub(super) node: Node<'a>,
}

/// A value and its place. That of a table is its header; of one that nothing but the headers of
/// others opens, its key in the first of them.
#[derive(Debug, PartialEq)]
pub(super) struct Node<'a> {
    pub(super) value: Value<'a>,
    pub(super) span: Span,
}

#[derive(Debug, PartialEq)]
pub(super) enum Value<'a> {
    Text(Cow<'a, str>),
    /// `None` has more than 64 bits.
    Integer(Option<i64>),
    /// `None` is no number that a `f64` can be.
    Float(Option<f64>),
    Truth(bool),
    Date,
    List(Vec<Node<'a>>),
    Table(Table<'a>),
}

/// A range of bytes. There are many, and no text is near 4 GiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    begin: u32,
    end: u32,
}

impl Span {
    pub(super) fn range(self) -> Range<usize> {
        self.begin as usize..self.end as usize
    }
}

impl From<Range<usize>> for Span {
    fn from(range: Range<usize>) -> Self {
        let short = |at| u32::try_from(at).unwrap_or(u32::MAX);
        Self {
            begin: short(range.start),
            end: short(range.end),
        }
    }
}

impl<'a> Table<'a> {
    pub(super) fn get(&self, key: &str) -> Option<&Entry<'a>> {
        self.0.iter().find(|entry| entry.key == key)
    }
}

impl<'a> Node<'a> {
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn list(&self) -> Option<&[Node<'a>]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    pub(super) fn table(&self) -> Option<&Table<'a>> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }
}

impl<'a> From<DeTable<'a>> for Table<'a> {
    fn from(table: DeTable<'a>) -> Self {
        let entries = table.into_iter().map(|(key, value)| Entry {
            key_span: key.span().into(),
            key: key.into_inner(),
            node: value.into(),
        });
        let mut entries: Vec<Entry<'_>> = entries.collect();
        entries.sort_by_key(|entry| entry.key_span.begin);
        Self(entries)
    }
}

impl<'a> From<Spanned<DeValue<'a>>> for Node<'a> {
    fn from(value: Spanned<DeValue<'a>>) -> Self {
        let span = value.span().into();
        let value = match value.into_inner() {
            DeValue::String(text) => Value::Text(text),
            DeValue::Integer(number) => {
                Value::Integer(i64::from_str_radix(number.as_str(), number.radix()).ok())
            }
            DeValue::Float(number) => Value::Float(number.as_str().parse().ok()),
            DeValue::Boolean(truth) => Value::Truth(truth),
            DeValue::Datetime(_) => Value::Date,
            DeValue::Array(items) => Value::List(items.into_iter().map(Node::from).collect()),
            DeValue::Table(table) => Value::Table(table.into()),
        };
        Self { value, span }
    }
}
