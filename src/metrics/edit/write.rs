//! The text of a value in a params file. In YAML it means the same to readers of YAML 1.1, as
//! most of Python's are, and of YAML 1.2: `0.001` and `1.0e-05`, never `1e-5`; `"no"`, never `no`.

use crate::metrics::Format;
use crate::value::Value;

/// Words that some YAML takes for something else.
const WORDS: [&str; 12] = [
    "y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf", "infinity",
];

/// The text of a value; `None` if the format has none.
pub(super) fn text(format: Format, value: &Value) -> Option<String> {
    match format {
        Format::Toml => toml(value),
        Format::Json => json(value),
        Format::Yaml => Some(yaml(value)),
    }
}

/// The text of a key.
pub(super) fn key(format: Format, name: &str) -> String {
    match format {
        Format::Toml => crate::value::quote_key(name),
        Format::Json => quoted(name),
        Format::Yaml => string(name),
    }
}

fn toml(value: &Value) -> Option<String> {
    let fits = |value: &Value| toml(value).is_some();
    match value {
        Value::Null | Value::BigInt(_) => None,
        Value::List(items) if !items.iter().all(fits) => None,
        // A table is written as the lock writes it, but for the one that the lock must escape.
        Value::Table(table) if !table.values().all(fits) || table.contains_key("json") => None,
        _ => Some(value.to_lock_text()),
    }
}

fn json(value: &Value) -> Option<String> {
    let list =
        |items: Vec<String>, open: &str, close: &str| format!("{open}{}{close}", items.join(", "));
    match value {
        Value::Float(number) if !number.is_finite() => None,
        Value::Float(_) => Some(value.to_lock_text()),
        Value::BigInt(digits) => Some(digits.to_string()),
        Value::List(items) => {
            let items: Option<Vec<String>> = items.iter().map(json).collect();
            items.map(|items| list(items, "[", "]"))
        }
        Value::Table(table) => {
            let entries = table.iter();
            let entries =
                entries.map(|(key, value)| Some(format!("{}: {}", quoted(key), json(value)?)));
            let entries: Option<Vec<String>> = entries.collect();
            entries.map(|entries| list(entries, "{", "}"))
        }
        _ => Some(value.to_json().to_string()),
    }
}

fn yaml(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Float(number) => float(*number),
        Value::BigInt(digits) => digits.to_string(),
        Value::String(text) => string(text),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(yaml).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Table(table) => {
            let entries = table.iter();
            let entries = entries.map(|(key, value)| format!("{}: {}", string(key), yaml(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        Value::Bool(_) | Value::Int(_) => value.to_lock_text(),
    }
}

/// YAML 1.1 wants a point and a sign: `1e-5` is a string there.
fn float(number: f64) -> String {
    if number.is_nan() {
        return ".nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let text = Value::Float(number).to_lock_text();
    let Some((digits, exponent)) = text.split_once('e') else {
        return text;
    };
    let digits = match digits.contains('.') {
        true => digits.to_owned(),
        false => format!("{digits}.0"),
    };
    match exponent.strip_prefix('-') {
        Some(exponent) => format!("{digits}e-{exponent:0>2}"),
        None => format!("{digits}e+{exponent:0>2}"),
    }
}

/// Without quotes only what every YAML takes for text.
fn string(text: &str) -> String {
    let starts = text.chars().next().is_some_and(|c| c.is_ascii_alphabetic());
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ' ');
    let word = WORDS.contains(&text.to_ascii_lowercase().as_str());
    if starts && text.chars().all(plain) && !word && text.trim_end() == text {
        text.to_owned()
    } else {
        quoted(text)
    }
}

/// What JSON quotes, YAML reads alike.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
