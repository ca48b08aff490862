//! TOML, by the places that its parser tells.

use toml_edit::{Document, DocumentMut, Item, Table, TableLike};

use super::write;
use crate::metrics::Format;
use crate::value::{KeyPath, Value};

pub(super) fn edited(text: &str, key: &KeyPath, value: &Value) -> Result<String, String> {
    let new = write::text(Format::Toml, value);
    let new = new.ok_or_else(|| "TOML cannot say this value".to_owned())?;
    let document = Document::parse(text).map_err(|error| error.message().to_owned())?;
    match find(document.as_item(), key.segments()) {
        Some(old) => {
            let span = old.as_value().and_then(toml_edit::Value::span);
            let span = span.ok_or_else(|| "it is a table: set one of its keys".to_owned())?;
            Ok(format!("{}{new}{}", &text[..span.start], &text[span.end..]))
        }
        None => added(text, key, &new),
    }
}

fn find<'a>(item: &'a Item, key: &[String]) -> Option<&'a Item> {
    key.iter()
        .try_fold(item, |item, name| item.as_table_like()?.get(name))
}

fn added(text: &str, key: &KeyPath, new: &str) -> Result<String, String> {
    let (name, above) = key.segments().split_last().expect("a key has a segment");
    let mut document: DocumentMut = text
        .parse()
        .map_err(|error: toml_edit::TomlError| error.message().to_owned())?;
    let mut table: &mut dyn TableLike = document.as_table_mut();
    for name in above {
        if !table.contains_key(name) {
            let mut new = Table::new();
            new.set_implicit(true);
            table.insert(name, Item::Table(new));
        }
        let item = table.get_mut(name).and_then(Item::as_table_like_mut);
        table = item.ok_or_else(|| format!("`{name}` is no table"))?;
    }
    let value: toml_edit::Value = new
        .parse()
        .map_err(|error: toml_edit::TomlError| error.message().to_owned())?;
    table.insert(name, Item::Value(value));
    let edited = document.to_string();
    // The parser turns all line ends into one kind.
    Ok(match text.contains("\r\n") {
        true => edited.replace('\n', "\r\n"),
        false => edited,
    })
}
