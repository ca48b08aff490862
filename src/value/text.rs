//! The one text of a value in the lock, and the text that people are shown.
//! `docs/format.md`, section "esker.lock", specifies the first.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{Value, positive_zero};

/// The text of a TOML basic string: quoted, with as few escapes as there can be.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    push_quoted(&mut out, text);
    out
}

/// Appends what [`quote`] gives.
pub fn push_quoted(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.bytes().position(is_escaped) {
        out.push_str(&rest[..at]);
        push_escaped(out, rest.as_bytes()[at]);
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('"');
}

fn is_escaped(byte: u8) -> bool {
    byte < 0x20 || matches!(byte, b'"' | b'\\' | 0x7f)
}

/// The text of a TOML key: bare where that is allowed, else as [`quote`] writes it.
pub fn quote_key(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    push_key(&mut out, text);
    out
}

/// Appends what [`quote_key`] gives.
pub fn push_key(out: &mut String, text: &str) {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !text.is_empty() && text.bytes().all(bare) {
        out.push_str(text);
    } else {
        push_quoted(out, text);
    }
}

/// Reads a quoted string at the beginning of a text; returns it and what follows.
pub fn unquote_prefix(text: &str) -> Option<(String, &str)> {
    let body = text.strip_prefix('"')?;
    let mut out = String::new();
    let mut chars = body.chars();
    loop {
        match chars.next()? {
            '"' => return Some((out, chars.as_str())),
            '\\' => out.push(unescape(&mut chars)?),
            c => out.push(c),
        }
    }
}

impl Value {
    /// The one text of this value in the lock: a TOML value, `{ json = "…" }` where TOML has none.
    pub fn to_lock_text(&self) -> String {
        let mut out = String::new();
        write_value(&mut out, self);
        out
    }

    /// Reads what [`Value::to_lock_text`] puts into `{ json = "…" }`; `None` if it never would.
    pub fn from_escape(json: &str) -> Option<Self> {
        if json == "null" {
            return Some(Self::Null);
        }
        if json.starts_with('{') {
            return one_json_key(json);
        }
        Self::from_digits(json)
            .filter(|value| matches!(value, Self::BigInt(text) if **text == *json))
    }

    /// A short text for people: strings without quotes where that is clear.
    pub fn to_display(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::BigInt(digits) => digits.to_string(),
            Self::String(text) if is_clear(text) => text.clone(),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(Self::to_display).collect();
                format!("[{}]", items.join(", "))
            }
            Self::Table(table) => {
                let entries: Vec<String> = table
                    .iter()
                    .map(|(key, value)| format!("{}: {}", quote_key(key), value.to_display()))
                    .collect();
                format!("{{{}}}", entries.join(", "))
            }
            scalar => scalar.to_lock_text(),
        }
    }
}

/// Whether a string without quotes could be taken for nothing else.
fn is_clear(text: &str) -> bool {
    let other = matches!(text, "" | "null" | "true" | "false" | "~") || text.parse::<f64>().is_ok();
    let trimmed = text.trim() == text;
    let plain = |c: char| !c.is_control() && !matches!(c, '"' | '\\' | ',' | '[' | ']' | '{' | '}');
    !other && trimmed && text.chars().all(plain)
}

fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::Null => write_escape(out, "null"),
        Value::BigInt(digits) => write_escape(out, digits),
        Value::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Value::Int(number) => push(out, format_args!("{number}")),
        Value::Float(number) => write_float(out, *number),
        Value::String(text) => out.push_str(&quote(text)),
        Value::List(items) => write_list(out, items),
        Value::Table(table) => write_table(out, table),
    }
}

fn write_list(out: &mut String, items: &[Value]) {
    out.push('[');
    for (index, item) in items.iter().enumerate() {
        out.push_str(if index == 0 { "" } else { ", " });
        write_value(out, item);
    }
    out.push(']');
}

fn write_table(out: &mut String, table: &BTreeMap<String, Value>) {
    if table.is_empty() {
        out.push_str("{}");
        return;
    }
    // A table that looks like the escape of another value is escaped itself, so that each text
    // has one meaning.
    if let Some(text) = looks_like_escape(table) {
        write_escape(out, &format!("{{\"json\":{}}}", quote_json(text)));
        return;
    }
    out.push_str("{ ");
    for (index, (key, value)) in table.iter().enumerate() {
        out.push_str(if index == 0 { "" } else { ", " });
        out.push_str(&quote_key(key));
        out.push_str(" = ");
        write_value(out, value);
    }
    out.push_str(" }");
}

fn write_escape(out: &mut String, json: &str) {
    out.push_str("{ json = ");
    out.push_str(&quote(json));
    out.push_str(" }");
}

fn looks_like_escape(table: &BTreeMap<String, Value>) -> Option<&str> {
    match table.get("json") {
        Some(Value::String(text)) if table.len() == 1 => Some(text),
        _ => None,
    }
}

/// Reads `{"json":"…"}`, only as it is written.
fn one_json_key(json: &str) -> Option<Value> {
    let table: BTreeMap<String, String> = serde_json::from_str(json).ok()?;
    let text = table.get("json").filter(|_| table.len() == 1)?;
    let written = format!("{{\"json\":{}}}", quote_json(text));
    let value = Value::String(text.clone());
    (written == json).then(|| Value::Table(BTreeMap::from([("json".to_owned(), value)])))
}

fn quote_json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The shortest decimal text that reads back as the same number: plain from 1e-4 up to, not
/// including, 1e16, else with an exponent; always with `.` or `e`.
fn write_float(out: &mut String, number: f64) {
    if number.is_nan() {
        out.push_str("nan");
    } else {
        push(out, format_args!("{:?}", positive_zero(number)));
    }
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a string takes all text");
}

fn push_escaped(out: &mut String, byte: u8) {
    match byte {
        b'"' => out.push_str("\\\""),
        b'\\' => out.push_str("\\\\"),
        0x8 => out.push_str("\\b"),
        b'\t' => out.push_str("\\t"),
        b'\n' => out.push_str("\\n"),
        0xc => out.push_str("\\f"),
        b'\r' => out.push_str("\\r"),
        _ => push(out, format_args!("\\u{byte:04X}")),
    }
}

fn unescape(chars: &mut std::str::Chars<'_>) -> Option<char> {
    match chars.next()? {
        '"' => Some('"'),
        '\\' => Some('\\'),
        'b' => Some('\u{8}'),
        't' => Some('\t'),
        'n' => Some('\n'),
        'f' => Some('\u{c}'),
        'r' => Some('\r'),
        'u' => unescape_hex(chars, 4),
        'U' => unescape_hex(chars, 8),
        _ => None,
    }
}

fn unescape_hex(chars: &mut std::str::Chars<'_>, digits: usize) -> Option<char> {
    let hex = chars.as_str().get(..digits)?;
    let plain = hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    let code = u32::from_str_radix(hex, 16).ok().filter(|_| plain)?;
    *chars = chars.as_str()[digits..].chars();
    char::from_u32(code)
}
