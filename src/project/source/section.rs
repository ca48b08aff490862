//! A table of a text, read key by key. The caller knows which keys there are and asks for each;
//! what is unknown, not yet built, or of the wrong type becomes an error at its place.

use std::ops::Range;
use std::sync::Arc;

use toml_edit::{Document, Item, Key, Table, TableLike, Value};

use super::{Location, Source, Text};
use crate::project::{Error, Result};
use crate::suggest::closest;
use crate::value::Value as Data;

/// A table of a text, with its title as people write it (`stage.train`; the root has none).
pub(in crate::project) struct Section<'a> {
    source: &'a Arc<Source>,
    title: String,
    at: Range<usize>,
    table: &'a dyn TableLike,
}

/// A key, and where it stands.
pub(in crate::project) struct Entry<'a> {
    pub(in crate::project) key: Text<'a>,
    item: &'a Item,
}

/// One item of a list that may hold tables.
pub(in crate::project) enum ListItem<'a> {
    Text(Text<'a>),
    Section(Section<'a>),
}

impl<'a> Section<'a> {
    pub(in crate::project) fn root(source: &'a Arc<Source>, document: &'a Document<&str>) -> Self {
        Self {
            source,
            title: String::new(),
            at: 0..0,
            table: document.as_table(),
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
        let (source, table) = (self.source, self.table);
        let fields = table
            .iter()
            .filter_map(|(name, _)| table.get_key_value(name));
        fields.map(|(key, item)| Entry::new(source, key, item))
    }

    /// Complains about the first key that is neither `known` nor refused by the caller. Keys of
    /// `later` are part of the design and not built yet.
    pub(in crate::project) fn only(&self, known: &[&str], later: &[&str]) -> Result<()> {
        for entry in self.entries() {
            let name = entry.key.text;
            if known.contains(&name) {
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
        let table = entry.item.as_table_like();
        let table = table.ok_or_else(|| self.wrong_type(entry, "a table"))?;
        let header = entry.item.as_table().and_then(Table::span);
        Ok(Section {
            source: self.source,
            title: self.path_of(entry.key.text),
            at: header.unwrap_or_else(|| entry.key.span.clone()),
            table,
        })
    }

    pub(in crate::project) fn flag(&self, key: &str, default: bool) -> Result<bool> {
        let flag = self.find(key, |entry| {
            let value = entry.item.as_bool();
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
            let number = entry.item.as_integer();
            let number = number.ok_or_else(|| self.wrong_type(entry, &want))?;
            if !allowed.contains(&number) {
                let message = format!("`{key}` must be {want}");
                return Err(entry.value().error(message));
            }
            Ok(number)
        })
    }

    /// A list of strings; with `tables`, tables may stand between them.
    pub(in crate::project) fn items(
        &self,
        key: &str,
        tables: bool,
    ) -> Result<Option<Vec<ListItem<'a>>>> {
        self.find(key, |entry| {
            let list = entry.item.as_array();
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
        let section = |table: &'a dyn TableLike, span: Option<Range<usize>>| Section {
            source: self.source,
            title: self.path_of(entry.key.text),
            at: span.unwrap_or_else(|| entry.key.span.clone()),
            table,
        };
        if let Some(tables) = entry.item.as_array_of_tables() {
            let tables = tables.iter().map(|table| section(table, table.span()));
            return Some(tables.collect());
        }
        let tables = entry.item.as_array()?.iter().map(|value| {
            let table = value.as_inline_table()?;
            Some(section(table, value.span()))
        });
        tables.collect()
    }

    /// The list that an entry must hold: any values, and where each stands.
    pub(in crate::project) fn values_of(&self, entry: &Entry<'a>) -> Result<Vec<(Data, Location)>> {
        let list = entry.item.as_array();
        let list = list.ok_or_else(|| self.wrong_type(entry, "a list"))?;
        let values = list.iter().map(|value| {
            let span = value.span().unwrap_or_else(|| self.at.clone());
            let at = self.source.location(&span);
            match data(value) {
                Some(data) => Ok((data, at)),
                None => Err(self.source.error(&span, NO_DATES)),
            }
        });
        values.collect()
    }

    /// The value that an entry holds, of any type but a date.
    pub(in crate::project) fn value_of(&self, entry: &Entry<'a>) -> Result<Data> {
        let value = entry.item.as_value().and_then(data);
        value.ok_or_else(|| entry.value().error(NO_DATES))
    }

    /// Whether the value of a key is a list.
    pub(in crate::project) fn is_list(&self, key: &str) -> bool {
        self.table.get(key).is_some_and(Item::is_array)
    }

    fn text_as(&self, entry: &Entry<'a>, want: &str) -> Result<Text<'a>> {
        let text = entry.item.as_value().and_then(|value| self.string(value));
        text.ok_or_else(|| self.wrong_type(entry, want))
    }

    fn find<T>(&self, key: &str, read: impl Fn(&Entry<'a>) -> Result<T>) -> Result<Option<T>> {
        let found = self.table.get_key_value(key);
        let entry = found.map(|(key, item)| Entry::new(self.source, key, item));
        entry.map(|entry| read(&entry)).transpose()
    }

    fn list_item(&self, key: &str, value: &'a Value, tables: bool) -> Result<ListItem<'a>> {
        if let Some(text) = self.string(value) {
            return Ok(ListItem::Text(text));
        }
        let span = value.span().unwrap_or_else(|| self.at.clone());
        match value.as_inline_table() {
            Some(table) if tables => Ok(ListItem::Section(Section {
                source: self.source,
                title: self.path_of(key),
                at: span,
                table,
            })),
            _ => {
                let found = described(value.type_name());
                let message = format!("each item of `{key}` must be a string, not {found}");
                Err(self.source.error(&span, message))
            }
        }
    }

    fn string(&self, value: &'a Value) -> Option<Text<'a>> {
        Some(Text {
            source: self.source,
            text: value.as_str()?,
            span: value.span().unwrap_or_else(|| self.at.clone()),
        })
    }

    fn wrong_type(&self, entry: &Entry<'a>, want: &str) -> Error {
        let found = described(entry.item.type_name());
        let path = self.path_of(entry.key.text);
        entry
            .value()
            .error(format!("`{path}` must be {want}, not {found}"))
    }

    fn unknown(&self, entry: &Entry<'a>, shown: &str, known: &[&str]) -> Error {
        let message = match (self.title.as_str(), entry.item.is_table_like()) {
            ("", true) => format!("unknown section {shown}"),
            ("", false) => format!("unknown key {shown} outside any section"),
            (title, _) => format!("unknown key {shown} in `[{title}]`"),
        };
        let word = closest(entry.key.text, known.iter().copied()).map(str::to_owned);
        entry.key.error(message).suggesting(word)
    }

    fn shown(&self, entry: &Entry<'a>) -> String {
        let name = entry.key.text;
        if self.title.is_empty() && entry.item.is_table_like() {
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
    fn new(source: &'a Arc<Source>, key: &'a Key, item: &'a Item) -> Self {
        let span = key.span().or_else(|| item.span()).unwrap_or_default();
        let text = key.get();
        Self {
            key: Text { source, text, span },
            item,
        }
    }

    pub(in crate::project) fn is_table(&self) -> bool {
        self.item.is_table_like()
    }

    /// The value's text, if it is a string.
    pub(in crate::project) fn as_str(&self) -> Option<&'a str> {
        self.item.as_str()
    }

    /// Where the value stands, or the key of a table.
    fn value(&self) -> Text<'a> {
        let span = self.item.as_value().and_then(Value::span);
        Text {
            span: span.unwrap_or_else(|| self.key.span.clone()),
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

/// A value of any type but a date. The parser of TOML has bounded the depth.
fn data(value: &Value) -> Option<Data> {
    match value {
        Value::String(text) => Some(Data::String(text.value().clone())),
        Value::Integer(number) => Some(Data::Int(*number.value())),
        Value::Float(number) => Some(Data::Float(*number.value())),
        Value::Boolean(truth) => Some(Data::Bool(*truth.value())),
        Value::Datetime(_) => None,
        Value::Array(items) => {
            let items: Option<Vec<Data>> = items.iter().map(data).collect();
            items.map(Data::List)
        }
        Value::InlineTable(table) => {
            let entries = table.iter();
            let entries = entries.map(|(key, value)| Some((key.to_owned(), data(value)?)));
            let entries: Option<std::collections::BTreeMap<String, Data>> = entries.collect();
            entries.map(Data::Table)
        }
    }
}

fn described(type_name: &str) -> &'static str {
    match type_name {
        "string" => "a string",
        "integer" => "an integer",
        "float" => "a float",
        "boolean" => "a boolean",
        "datetime" => "a date",
        "array" => "a list",
        "array of tables" => "a list of tables",
        _ => "a table",
    }
}
