//! TOML, by `toml_edit`.

use std::collections::BTreeMap;
use std::ops::Range;

use toml_edit::{Document, Item, TableLike};

use super::{Problem, too_deep};
use crate::value::{MAX_DEPTH, Value};

type Result<T> = std::result::Result<T, Problem>;

pub(super) fn parse(text: &str) -> Result<Value> {
    let document = Document::parse(text).map_err(|error| {
        let message = error.message().replace('\n', "; ");
        problem(text, error.span(), message)
    })?;
    Reader { text }.table(document.as_table(), 0)
}

fn problem(text: &str, span: Option<Range<usize>>, message: String) -> Problem {
    match span {
        Some(span) => Problem::at_byte(text, span.start, message),
        None => Problem::of_file(message),
    }
}

struct Reader<'t> {
    text: &'t str,
}

impl Reader<'_> {
    fn table(&self, table: &dyn TableLike, depth: usize) -> Result<Value> {
        let mut entries = BTreeMap::new();
        for (key, item) in table.iter() {
            entries.insert(key.to_owned(), self.item(item, depth + 1)?);
        }
        Ok(Value::Table(entries))
    }

    fn item(&self, item: &Item, depth: usize) -> Result<Value> {
        if let Some(table) = item.as_table_like() {
            self.check_depth(item.span(), depth)?;
            return self.table(table, depth);
        }
        if let Item::ArrayOfTables(tables) = item {
            self.check_depth(item.span(), depth + 1)?;
            let tables = tables.iter().map(|table| self.table(table, depth + 1));
            return tables.collect::<Result<_>>().map(Value::List);
        }
        match item.as_value() {
            Some(value) => self.value(value, depth),
            None => Err(problem(
                self.text,
                item.span(),
                "expected a value".to_owned(),
            )),
        }
    }

    fn value(&self, value: &toml_edit::Value, depth: usize) -> Result<Value> {
        use toml_edit::Value as Toml;
        match value {
            Toml::String(text) => Ok(Value::String(text.value().clone())),
            Toml::Integer(number) => Ok(Value::Int(*number.value())),
            Toml::Float(number) => self.float(*number.value(), value),
            Toml::Boolean(truth) => Ok(Value::Bool(*truth.value())),
            Toml::Datetime(date) => Ok(Value::String(date.value().to_string())),
            Toml::Array(items) => {
                self.check_depth(value.span(), depth)?;
                let items = items.iter().map(|item| self.value(item, depth + 1));
                items.collect::<Result<_>>().map(Value::List)
            }
            Toml::InlineTable(table) => {
                self.check_depth(value.span(), depth)?;
                self.table(table, depth)
            }
        }
    }

    /// An infinity must be written as one.
    fn float(&self, number: f64, value: &toml_edit::Value) -> Result<Value> {
        let written = value.span().and_then(|span| self.text.get(span));
        if number.is_infinite() && written.is_some_and(|text| !text.contains("inf")) {
            let message = "larger than any number esker can hold".to_owned();
            return Err(problem(self.text, value.span(), message));
        }
        Ok(Value::Float(number))
    }

    fn check_depth(&self, span: Option<Range<usize>>, depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(problem(self.text, span, too_deep()));
        }
        Ok(())
    }
}
