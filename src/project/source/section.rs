//! A table of a text, read key by key. The caller knows which keys there are and asks for each;
//! what is unknown, not yet built, or of the wrong type becomes an error at its place.

use std::ops::Range;
use std::sync::Arc;

use super::tree::{self, Node, Table, Value};
use super::{Location, Source, Text};
use crate::project::{Error, Result};
use crate::suggest::closest;
use crate::value::Value as Data;

/// A table of a text, with its title as people write it (`stage.train`; the root has none).
pub(in crate::project) struct Section<'a> {
    source: &'a Arc<Source>,
    title: String,
    at: Range<usize>,
    table: &'a Table<'a>,
}

/// A key, and where it stands.
pub(in crate::project) struct Entry<'a> {
    pub(in crate::project) key: Text<'a>,
    item: &'a Node<'a>,
}

/// One item of a list that may hold tables.
pub(in crate::project) enum ListItem<'a> {
    Text(Text<'a>),
    Section(Section<'a>),
}

impl<'a> Section<'a> {
    pub(in crate::project) fn root(source: &'a Arc<Source>, table: &'a Table<'a>) -> Self {
        Self {
            source,
            title: String::new(),
            at: 0..0,
            table,
        }
    }

    /// Complains about the section as a whole.
    pub(in crate::project) fn error(&self, message: impl AsRef<str>) -> Error {
        self.source.error(&self.at, message)
    }

    pub(in crate::project) fn location(&self) -> Location {
        self.source.location(&self.at)
    }

    /// The name that people know its file by.
    pub(in crate::project) fn file(&self) -> &'a str {
        &self.source.file
    }

    pub(in crate::project) fn title(&self) -> &str {
        &self.title
    }

    /// All that stands in it, in the order of the text.
    pub(in crate::project) fn entries(&self) -> impl Iterator<Item = Entry<'a>> + use<'a> {
        let source = self.source;
        self.table.0.iter().map(|entry| Entry::new(source, entry))
    }

    /// Complains about the first key that is neither `known` nor refused by the caller. Keys of
    /// `later` are part of the design and not built yet.
    pub(in crate::project) fn only(&self, known: &[&str], later: &[&str]) -> Result<()> {
        let is_known = |name: &str| known.contains(&name);
        if self.table.0.iter().all(|entry| is_known(&entry.key)) {
            return Ok(());
        }
        for entry in self.entries() {
            let name = entry.key.text;
            if is_known(name) {
                continue;
            }
            let shown = self.shown(&entry);
            if later.contains(&name) {
                let message = format!("{shown} is not in this version of esker");
                return Err(entry.key.error(message));
            }
            return Err(self.unknown(&entry, &shown, known));
        }
        Ok(())
    }

    pub(in crate::project) fn section(&self, key: &str) -> Result<Option<Section<'a>>> {
        self.find(key, |entry| self.section_of(entry))
    }

    /// All that stands in it, each of which must be a table.
    pub(in crate::project) fn sections(
        &self,
    ) -> impl Iterator<Item = Result<(Text<'a>, Section<'a>)>> {
        self.entries()
            .map(|entry| Ok((entry.key.clone(), self.section_of(&entry)?)))
    }

    pub(in crate::project) fn text(&self, key: &str) -> Result<Option<Text<'a>>> {
        self.find(key, |entry| self.text_of(entry))
    }

    /// A string where a list of them, which the caller has looked for, would do as well.
    pub(in crate::project) fn text_or_list(&self, key: &str) -> Result<Option<Text<'a>>> {
        self.find(key, |entry| {
            self.text_as(entry, "a string or a list of strings")
        })
    }

    /// The string that an entry must hold.
    pub(in crate::project) fn text_of(&self, entry: &Entry<'a>) -> Result<Text<'a>> {
        self.text_as(entry, "a string")
    }

    /// The table that an entry must hold.
    pub(in crate::project) fn section_of(&self, entry: &Entry<'a>) -> Result<Section<'a>> {
        let table = entry.item.table();
        let table = table.ok_or_else(|| self.wrong_type(entry, "a table"))?;
        Ok(self.below(entry, entry.header(), table))
    }

    pub(in crate::project) fn flag(&self, key: &str, default: bool) -> Result<bool> {
        Ok(self.given_flag(key)?.unwrap_or(default))
    }

    pub(in crate::project) fn given_flag(&self, key: &str) -> Result<Option<bool>> {
        self.find(key, |entry| match entry.item.value {
            Value::Truth(truth) => Ok(truth),
            _ => Err(self.wrong_type(entry, "`true` or `false`")),
        })
    }

    pub(in crate::project) fn number(&self, key: &str, allowed: Range<i64>) -> Result<Option<i64>> {
        let want = format!(
            "a whole number from {} to {}",
            allowed.start,
            allowed.end - 1
        );
        self.find(key, |entry| {
            let Value::Integer(number) = entry.item.value else {
                return Err(self.wrong_type(entry, &want));
            };
            let number = number.filter(|number| allowed.contains(number));
            number.ok_or_else(|| entry.value().error(format!("`{key}` must be {want}")))
        })
    }

    /// A list of strings; with `tables`, tables may stand between them.
    pub(in crate::project) fn items(
        &self,
        key: &str,
        tables: bool,
    ) -> Result<Option<Vec<ListItem<'a>>>> {
        self.find(key, |entry| {
            let list = entry.item.list();
            let list = list.ok_or_else(|| self.wrong_type(entry, "a list of strings"))?;
            list.iter()
                .map(|value| self.list_item(key, value, tables))
                .collect()
        })
    }

    pub(in crate::project) fn texts(&self, key: &str) -> Result<Option<Vec<Text<'a>>>> {
        let items = self.items(key, false)?;
        Ok(items.map(|items| items.into_iter().filter_map(ListItem::into_text).collect()))
    }

    /// A list of tables, inline or under headers of their own.
    pub(in crate::project) fn tables(&self, key: &str) -> Result<Option<Vec<Section<'a>>>> {
        self.find(key, |entry| {
            let tables = self.tables_of(entry);
            tables.ok_or_else(|| self.wrong_type(entry, "a list of tables"))
        })
    }

    fn tables_of(&self, entry: &Entry<'a>) -> Option<Vec<Section<'a>>> {
        let items = entry.item.list()?.iter();
        let tables = items.map(|item| Some(self.below(entry, item.span.range(), item.table()?)));
        tables.collect()
    }

    fn below(&self, entry: &Entry<'a>, at: Range<usize>, table: &'a Table<'a>) -> Section<'a> {
        Section {
            source: self.source,
            title: self.path_of(entry.key.text),
            at,
            table,
        }
    }

    /// The list that an entry must hold: any values, and where each stands.
    pub(in crate::project) fn values_of(&self, entry: &Entry<'a>) -> Result<Vec<(Data, Location)>> {
        let list = entry.item.list();
        let list = list.ok_or_else(|| self.wrong_type(entry, "a list"))?;
        let value =
            |item: &Node<'_>| Ok((self.data(item)?, self.source.location(&item.span.range())));
        list.iter().map(value).collect()
    }

    /// The value that an entry holds, of any type but a date.
    pub(in crate::project) fn value_of(&self, entry: &Entry<'a>) -> Result<Data> {
        if entry.has_header() {
            return Err(entry.value().error(NO_DATES));
        }
        self.data(entry.item)
    }

    /// A value of any type but a date. The parser of TOML has bounded the depth.
    fn data(&self, node: &Node<'_>) -> Result<Data> {
        let refuse = |message: &str| self.source.error(&node.span.range(), message);
        Ok(match &node.value {
            Value::Text(text) => Data::String(text.clone().into_owned()),
            Value::Integer(number) => {
                Data::Int(number.ok_or_else(|| refuse("a number beyond 64 bits"))?)
            }
            Value::Float(number) => Data::Float(number.ok_or_else(|| refuse("not a number"))?),
            Value::Truth(truth) => Data::Bool(*truth),
            Value::Date => return Err(refuse(NO_DATES)),
            Value::List(items) => {
                let items = items.iter().map(|item| self.data(item));
                Data::List(items.collect::<Result<_>>()?)
            }
            Value::Table(table) => {
                let entries = table.0.iter();
                let entries =
                    entries.map(|entry| Ok((entry.key.to_string(), self.data(&entry.node)?)));
                Data::Table(entries.collect::<Result<_>>()?)
            }
        })
    }

    /// Whether the value of a key is a list.
    pub(in crate::project) fn is_list(&self, key: &str) -> bool {
        let entry = self.table.get(key);
        entry.is_some_and(|entry| entry.node.list().is_some())
    }

    fn text_as(&self, entry: &Entry<'a>, want: &str) -> Result<Text<'a>> {
        let text = self.string(entry.item);
        text.ok_or_else(|| self.wrong_type(entry, want))
    }

    fn find<T>(&self, key: &str, read: impl Fn(&Entry<'a>) -> Result<T>) -> Result<Option<T>> {
        let entry = self.table.get(key);
        let entry = entry.map(|entry| Entry::new(self.source, entry));
        entry.map(|entry| read(&entry)).transpose()
    }

    fn list_item(&self, key: &str, value: &'a Node<'a>, tables: bool) -> Result<ListItem<'a>> {
        if let Some(text) = self.string(value) {
            return Ok(ListItem::Text(text));
        }
        match value.table() {
            Some(table) if tables => Ok(ListItem::Section(Section {
                source: self.source,
                title: self.path_of(key),
                at: value.span.range(),
                table,
            })),
            _ => {
                let found = described(value);
                let message = format!("each item of `{key}` must be a string, not {found}");
                Err(self.source.error(&value.span.range(), message))
            }
        }
    }

    fn string(&self, value: &'a Node<'a>) -> Option<Text<'a>> {
        Some(Text {
            source: self.source,
            text: value.text()?,
            span: value.span.range(),
        })
    }

    fn wrong_type(&self, entry: &Entry<'a>, want: &str) -> Error {
        let found = described(entry.item);
        let path = self.path_of(entry.key.text);
        entry
            .value()
            .error(format!("`{path}` must be {want}, not {found}"))
    }

    fn unknown(&self, entry: &Entry<'a>, shown: &str, known: &[&str]) -> Error {
        let message = match (self.title.as_str(), entry.is_table()) {
            ("", true) => format!("unknown section {shown}"),
            ("", false) => format!("unknown key {shown} outside any section"),
            (title, _) => format!("unknown key {shown} in `[{title}]`"),
        };
        let word = closest(entry.key.text, known.iter().copied()).map(str::to_owned);
        entry.key.error(message).suggesting(word)
    }

    fn shown(&self, entry: &Entry<'a>) -> String {
        let name = entry.key.text;
        if self.title.is_empty() && entry.is_table() {
            format!("`[{name}]`")
        } else {
            format!("`{name}`")
        }
    }

    fn path_of(&self, key: &str) -> String {
        if self.title.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.title)
        }
    }
}

impl<'a> Entry<'a> {
    fn new(source: &'a Arc<Source>, entry: &'a tree::Entry<'a>) -> Self {
        Self {
            key: Text {
                source,
                text: &entry.key,
                span: entry.key_span.range(),
            },
            item: &entry.node,
        }
    }

    pub(in crate::project) fn is_table(&self) -> bool {
        self.item.table().is_some()
    }

    /// The value's text, if it is a string.
    pub(in crate::project) fn as_str(&self) -> Option<&'a str> {
        self.item.text()
    }

    /// Whether it is a table that a header or a dotted key opens, so that the table does not stand
    /// behind its key.
    fn has_header(&self) -> bool {
        self.item.span.range().start <= self.key.span.start
    }

    /// The header of a table, or the key of an inline one.
    fn header(&self) -> Range<usize> {
        match self.has_header() {
            true => self.item.span.range(),
            false => self.key.span.clone(),
        }
    }

    /// Where the value stands, or the key of a table.
    fn value(&self) -> Text<'a> {
        let span = match self.has_header() {
            true => self.key.span.clone(),
            false => self.item.span.range(),
        };
        Text {
            span,
            ..self.key.clone()
        }
    }
}

impl<'a> ListItem<'a> {
    fn into_text(self) -> Option<Text<'a>> {
        match self {
            Self::Text(text) => Some(text),
            Self::Section(_) => None,
        }
    }
}

const NO_DATES: &str = "a date or a section cannot stand here: write a date as a string";

fn described(node: &Node<'_>) -> &'static str {
    match &node.value {
        Value::Text(_) => "a string",
        Value::Integer(_) => "an integer",
        Value::Float(_) => "a float",
        Value::Truth(_) => "a boolean",
        Value::Date => "a date",
        Value::List(items)
            if !items.is_empty() && items.iter().all(|item| item.table().is_some()) =>
        {
            "a list of tables"
        }
        Value::List(_) => "a list",
        Value::Table(_) => "a table",
    }
}
