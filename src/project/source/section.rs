//! A table of a text, read key by key. The caller knows which keys there are and asks for each;
//! what is unknown, not yet built, or of the wrong type becomes an error at its place.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::{Location, Source, Text};
use crate::project::{Error, Result};
use crate::suggest::closest;
use crate::value::Value as Data;

/// A table of a text, with its title as people write it (`stage.train`; the root has none).
pub(in crate::project) struct Section<'a> {
    source: &'a Arc<Source>,
    title: String,
    at: Range<usize>,
    table: &'a DeTable<'a>,
}

/// A value as it is written, and where it stands.
type Node<'a> = Spanned<DeValue<'a>>;

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
    pub(in crate::project) fn root(source: &'a Arc<Source>, table: &'a DeTable<'a>) -> Self {
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

    pub(in crate::project) fn title(&self) -> &str {
        &self.title
    }

    /// All that stands in it, in the order of the text.
    pub(in crate::project) fn entries(&self) -> impl Iterator<Item = Entry<'a>> + use<'a> {
        let source = self.source;
        let mut entries: Vec<_> = self.table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let entries = entries.into_iter();
        entries.map(|(key, item)| Entry::new(source, key, item))
    }

    /// Complains about the first key that is neither `known` nor refused by the caller. Keys of
    /// `later` are part of the design and not built yet.
    pub(in crate::project) fn only(&self, known: &[&str], later: &[&str]) -> Result<()> {
        let is_known = |name: &str| known.contains(&name);
        if self.table.keys().all(|key| is_known(key.get_ref())) {
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
    pub(in crate::project) fn sections(&self) -> Result<Vec<(Text<'a>, Section<'a>)>> {
        self.entries()
            .map(|entry| Ok((entry.key.clone(), self.section_of(&entry)?)))
            .collect()
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
        let table = entry.item.get_ref().as_table();
        let table = table.ok_or_else(|| self.wrong_type(entry, "a table"))?;
        Ok(self.below(entry, entry.header(), table))
    }

    pub(in crate::project) fn flag(&self, key: &str, default: bool) -> Result<bool> {
        let flag = self.find(key, |entry| {
            let value = entry.item.get_ref().as_bool();
            value.ok_or_else(|| self.wrong_type(entry, "`true` or `false`"))
        });
        Ok(flag?.unwrap_or(default))
    }

    pub(in crate::project) fn number(&self, key: &str, allowed: Range<i64>) -> Result<Option<i64>> {
        let want = format!(
            "a whole number from {} to {}",
            allowed.start,
            allowed.end - 1
        );
        self.find(key, |entry| {
            let DeValue::Integer(number) = entry.item.get_ref() else {
                return Err(self.wrong_type(entry, &want));
            };
            let number = integer(number).filter(|number| allowed.contains(number));
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
            let list = entry.item.get_ref().as_array();
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
        let items = entry.item.get_ref().as_array()?.iter();
        let tables = items.map(|item| {
            let table = item.get_ref().as_table()?;
            Some(self.below(entry, item.span(), table))
        });
        tables.collect()
    }

    fn below(&self, entry: &Entry<'a>, at: Range<usize>, table: &'a DeTable<'a>) -> Section<'a> {
        Section {
            source: self.source,
            title: self.path_of(entry.key.text),
            at,
            table,
        }
    }

    /// The list that an entry must hold: any values, and where each stands.
    pub(in crate::project) fn values_of(&self, entry: &Entry<'a>) -> Result<Vec<(Data, Location)>> {
        let list = entry.item.get_ref().as_array();
        let list = list.ok_or_else(|| self.wrong_type(entry, "a list"))?;
        let value = |item: &Node<'_>| Ok((self.data(item)?, self.source.location(&item.span())));
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
        let refuse = |message: &str| self.source.error(&node.span(), message);
        Ok(match node.get_ref() {
            DeValue::String(text) => Data::String(text.clone().into_owned()),
            DeValue::Integer(number) => {
                let number = integer(number);
                Data::Int(number.ok_or_else(|| refuse("a number beyond 64 bits"))?)
            }
            DeValue::Float(number) => {
                let number = number.as_str().parse();
                Data::Float(number.map_err(|_| refuse("not a number"))?)
            }
            DeValue::Boolean(truth) => Data::Bool(*truth),
            DeValue::Datetime(_) => return Err(refuse(NO_DATES)),
            DeValue::Array(items) => {
                let items = items.iter().map(|item| self.data(item));
                Data::List(items.collect::<Result<_>>()?)
            }
            DeValue::Table(table) => {
                let entries = table.iter();
                let entries = entries.map(|(key, item)| {
                    let key = key.get_ref().clone().into_owned();
                    Ok((key, self.data(item)?))
                });
                Data::Table(entries.collect::<Result<_>>()?)
            }
        })
    }

    /// Whether the value of a key is a list.
    pub(in crate::project) fn is_list(&self, key: &str) -> bool {
        let item = self.table.get(key);
        item.is_some_and(|item| item.get_ref().is_array())
    }

    fn text_as(&self, entry: &Entry<'a>, want: &str) -> Result<Text<'a>> {
        let text = self.string(entry.item);
        text.ok_or_else(|| self.wrong_type(entry, want))
    }

    fn find<T>(&self, key: &str, read: impl Fn(&Entry<'a>) -> Result<T>) -> Result<Option<T>> {
        let found = self.table.get_key_value(key);
        let entry = found.map(|(key, item)| Entry::new(self.source, key, item));
        entry.map(|entry| read(&entry)).transpose()
    }

    fn list_item(&self, key: &str, value: &'a Node<'a>, tables: bool) -> Result<ListItem<'a>> {
        if let Some(text) = self.string(value) {
            return Ok(ListItem::Text(text));
        }
        match value.get_ref().as_table() {
            Some(table) if tables => Ok(ListItem::Section(Section {
                source: self.source,
                title: self.path_of(key),
                at: value.span(),
                table,
            })),
            _ => {
                let found = described(value.get_ref());
                let message = format!("each item of `{key}` must be a string, not {found}");
                Err(self.source.error(&value.span(), message))
            }
        }
    }

    fn string(&self, value: &'a Node<'a>) -> Option<Text<'a>> {
        Some(Text {
            source: self.source,
            text: value.get_ref().as_str()?,
            span: value.span(),
        })
    }

    fn wrong_type(&self, entry: &Entry<'a>, want: &str) -> Error {
        let found = described(entry.item.get_ref());
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
    fn new(source: &'a Arc<Source>, key: &'a Spanned<Cow<'a, str>>, item: &'a Node<'a>) -> Self {
        Self {
            key: Text {
                source,
                text: key.get_ref(),
                span: key.span(),
            },
            item,
        }
    }

    pub(in crate::project) fn is_table(&self) -> bool {
        is_table(self.item)
    }

    /// The value's text, if it is a string.
    pub(in crate::project) fn as_str(&self) -> Option<&'a str> {
        self.item.get_ref().as_str()
    }

    /// Whether it is a table that a header or a dotted key opens, so that the table does not stand
    /// behind its key.
    fn has_header(&self) -> bool {
        self.item.span().start <= self.key.span.start
    }

    /// The header of a table, or the key of an inline one.
    fn header(&self) -> Range<usize> {
        match self.has_header() {
            true => self.item.span(),
            false => self.key.span.clone(),
        }
    }

    /// Where the value stands, or the key of a table.
    fn value(&self) -> Text<'a> {
        let span = match self.has_header() {
            true => self.key.span.clone(),
            false => self.item.span(),
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

fn integer(number: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

fn is_table(node: &Node<'_>) -> bool {
    node.get_ref().is_table()
}

fn described(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(items) if !items.is_empty() && items.iter().all(is_table) => {
            "a list of tables"
        }
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
