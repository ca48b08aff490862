//! JSON as RFC 8259 has it, with three words that Python writes: `NaN`, `Infinity`, `-Infinity`.
//!
//! It is read here and not by `serde_json`, which rounds whole numbers beyond 64 bits and takes
//! the last of two equal keys.

use std::collections::BTreeMap;

use super::{Problem, number, too_deep};
use crate::value::{MAX_DEPTH, Value};

type Result<T> = std::result::Result<T, Problem>;

pub(super) fn parse(text: &str) -> Result<Value> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0)?;
    reader.skip_space();
    if reader.at < text.len() {
        return Err(reader.problem("expected nothing more"));
    }
    Ok(value)
}

struct Reader<'t> {
    text: &'t str,
    /// Always on a character boundary.
    at: usize,
}

impl<'t> Reader<'t> {
    fn value(&mut self, depth: usize) -> Result<Value> {
        self.skip_space();
        match self.peek() {
            Some(b'{' | b'[') if depth >= MAX_DEPTH => Err(self.problem(too_deep())),
            Some(b'{') => self.table(depth + 1),
            Some(b'[') => self.list(depth + 1),
            Some(b'"') => self.string().map(Value::String),
            Some(byte) if byte.is_ascii_alphanumeric() || byte == b'-' => self.word(),
            Some(_) => Err(self.problem("expected a value")),
            None => Err(self.problem("expected a value, found the end")),
        }
    }

    fn table(&mut self, depth: usize) -> Result<Value> {
        let mut table = BTreeMap::new();
        self.at += 1;
        if self.takes(b'}') {
            return Ok(Value::Table(table));
        }
        loop {
            self.skip_space();
            let key_at = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.problem("expected a key in quotes"));
            }
            let key = self.string()?;
            if !self.takes(b':') {
                return Err(self.problem("expected `:`"));
            }
            let value = self.value(depth)?;
            if table.contains_key(&key) {
                let message = format!("the key `{}` stands twice", key.escape_debug());
                return Err(Problem::at_byte(self.text, key_at, message));
            }
            table.insert(key, value);
            if self.takes(b'}') {
                return Ok(Value::Table(table));
            }
            if !self.takes(b',') {
                return Err(self.problem("expected `,` or `}`"));
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value> {
        let mut list = Vec::new();
        self.at += 1;
        if self.takes(b']') {
            return Ok(Value::List(list));
        }
        loop {
            list.push(self.value(depth)?);
            if self.takes(b']') {
                return Ok(Value::List(list));
            }
            if !self.takes(b',') {
                return Err(self.problem("expected `,` or `]`"));
            }
        }
    }

    /// Finds the end of the string; what is inside is `serde_json`'s to read.
    fn string(&mut self) -> Result<String> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut end = start + 1;
        while bytes.get(end).is_some_and(|byte| *byte != b'"') {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        let quoted = self.text.get(start..=end);
        let quoted = quoted.ok_or_else(|| self.problem("the text in quotes has no end"))?;
        let string = serde_json::from_str(quoted).map_err(|error| {
            let message = error.to_string();
            let message = message
                .split(" at line")
                .next()
                .unwrap_or_default()
                .to_owned();
            self.problem(message)
        })?;
        self.at = end + 1;
        Ok(string)
    }

    fn word(&mut self) -> Result<Value> {
        let rest = &self.text[self.at..];
        let in_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.' | '_');
        let word = &rest[..rest.find(|c| !in_word(c)).unwrap_or(rest.len())];
        let value = match word {
            "null" => Ok(Value::Null),
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            "NaN" => Ok(Value::Float(f64::NAN)),
            "Infinity" => Ok(Value::Float(f64::INFINITY)),
            "-Infinity" => Ok(Value::Float(f64::NEG_INFINITY)),
            _ if is_number(word) => number::decimal(word),
            _ => Err(format!("`{}` is not a value", word.escape_debug())),
        };
        let value = value.map_err(|message| self.problem(message))?;
        self.at += word.len();
        Ok(value)
    }

    fn takes(&mut self, byte: u8) -> bool {
        self.skip_space();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn problem(&self, message: impl Into<String>) -> Problem {
        Problem::at_byte(self.text, self.at, message)
    }
}

/// `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`
fn is_number(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let exponent = exponent.map(|text| text.strip_prefix(['+', '-']).unwrap_or(text));
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(digits)
}
