//! Changes one value in the text of a params file. All other bytes stay: comments, order, line
//! ends. What cannot be changed so that the file then says exactly what was meant is refused.

mod outline;
mod toml;
mod write;

#[cfg(test)]
mod tests;

use super::{Error, Format, Result, format_of, parse};
use crate::value::{KeyPath, Value};

/// The text with another value at a key. `None` stands where the key is not there yet and was not
/// to be added.
pub fn edit(name: &str, text: &str, key: &KeyPath, value: &Value, add: bool) -> Result<String> {
    let format = format_of(name).ok_or_else(|| Error::UnknownFormat(name.to_owned()))?;
    let old = parse(name, text.as_bytes())?;
    let refuse = |reason: &str| Error::NotChanged {
        file: name.to_owned(),
        key: key.to_string(),
        reason: reason.to_owned(),
    };
    let is_new = old.get(key).is_none();
    if is_new && !add {
        return Err(refuse("there is no such key"));
    }
    let (mark, body) = text.split_at(text.len() - text.trim_start_matches('\u{feff}').len());
    let edited = match format {
        Format::Toml => toml::edited(body, key, value),
        Format::Yaml | Format::Json => outline::edited(body, format, key, value),
    };
    let edited = mark.to_owned() + &edited.map_err(|reason| refuse(&reason))?;
    let mut wanted = old;
    let placed = put(&mut wanted, key.segments(), value);
    // The last word: an edit that does not read back as it was meant is never written.
    match parse(name, edited.as_bytes()) {
        Ok(found) if placed && found == wanted => Ok(edited),
        _ => Err(refuse("its text cannot be changed where it stands")),
    }
}

/// Puts a value at a key, making the tables above it; says `false` if something else is there.
fn put(target: &mut Value, key: &[String], value: &Value) -> bool {
    let Some((first, rest)) = key.split_first() else {
        *target = value.clone();
        return true;
    };
    if matches!(target, Value::Null) {
        *target = Value::Table([].into());
    }
    let Value::Table(table) = target else {
        return false;
    };
    put(
        table.entry(first.clone()).or_insert(Value::Null),
        rest,
        value,
    )
}
