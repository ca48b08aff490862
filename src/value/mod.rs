//! Ordered values as params and metrics files hold them: their keys, their one text, and what
//! differs between two. Knows neither files nor TOML's grammar beyond a single value.

mod key;
mod text;

#[cfg(test)]
pub(crate) mod strategy;
#[cfg(test)]
mod tests;

pub use key::{KeyError, KeyPath};
pub use text::{push_key, push_quoted, quote, quote_key, unquote_prefix};

use std::collections::BTreeMap;

/// The deepest nesting of lists and tables that a file of values may have. A lock that records
/// such a value stays within the depth that TOML readers accept.
pub const MAX_DEPTH: usize = 64;
/// The most digits that a whole number may have.
pub const MAX_DIGITS: usize = 1000;

/// A value of a params or metrics file.
///
/// Two values are equal when they have one text in the lock: `nan` equals `nan`, `-0.0` equals
/// `0.0`, and `1` differs from `1.0`.
#[derive(Clone, Debug)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number that fits.
    Int(i64),
    /// A whole number that does not fit, as its digits; [`Value::from_digits`] makes them.
    BigInt(Box<str>),
    /// Any other number.
    Float(f64),
    /// Text; dates are text too.
    String(String),
    /// A list.
    List(Vec<Value>),
    /// A table, sorted by key.
    Table(BTreeMap<String, Value>),
}

/// Leaves by key: all that a table holds, flattened.
pub type Leaves = BTreeMap<KeyPath, Value>;

/// One leaf that differs. An absent side is `None`, which is not [`Value::Null`].
#[derive(Clone, Debug, PartialEq)]
pub struct ValueChange {
    /// Which leaf.
    pub key: KeyPath,
    /// Before.
    pub old: Option<Value>,
    /// After.
    pub new: Option<Value>,
}

/// All leaves that differ, by key.
pub fn diff(old: &Leaves, new: &Leaves) -> Vec<ValueChange> {
    let added = new.keys().filter(|key| !old.contains_key(key));
    let mut keys: Vec<&KeyPath> = old.keys().chain(added).collect();
    keys.sort();
    keys.into_iter()
        .filter(|key| old.get(key) != new.get(key))
        .map(|key| ValueChange {
            key: key.clone(),
            old: old.get(key).cloned(),
            new: new.get(key).cloned(),
        })
        .collect()
}

impl Value {
    /// A whole number from its decimal digits, with or without a sign; `None` if they are none,
    /// or more than [`MAX_DIGITS`].
    pub fn from_digits(text: &str) -> Option<Self> {
        let (negative, digits) = match text.strip_prefix(['-', '+']) {
            Some(digits) => (text.starts_with('-'), digits),
            None => (false, text),
        };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let digits = digits.trim_start_matches('0');
        if digits.len() > MAX_DIGITS {
            return None;
        }
        let sign = if negative { "-" } else { "" };
        let text = match digits {
            "" => "0".to_owned(),
            _ => format!("{sign}{digits}"),
        };
        let small = text.parse().map(Self::Int);
        Some(small.unwrap_or_else(|_| Self::BigInt(text.into())))
    }

    /// The value at a key below this one.
    pub fn get(&self, key: &KeyPath) -> Option<&Value> {
        let mut value = self;
        for segment in key.segments() {
            let Self::Table(table) = value else {
                return None;
            };
            value = table.get(segment)?;
        }
        Some(value)
    }

    /// The first value on the way to a key that is no table, so that nothing can lie below it, and
    /// its key (`None` is this value itself). Nothing at all (`null`) is in nobody's way.
    pub fn blocking(&self, key: &KeyPath) -> Option<(Option<KeyPath>, &Value)> {
        let mut value = self;
        for (depth, segment) in key.segments().iter().enumerate() {
            match value {
                Self::Table(table) => value = table.get(segment)?,
                Self::Null if depth == 0 => return None,
                other => {
                    let above = key.segments()[..depth].to_vec();
                    let above = (depth > 0).then(|| KeyPath::new(above));
                    return Some((above, other));
                }
            }
        }
        None
    }

    /// What it is, in words.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Int(_) | Self::BigInt(_) | Self::Float(_) => "a number",
            Self::String(_) => "text",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }

    /// All leaves below: scalars, lists, and empty tables. A scalar itself has no leaves.
    pub fn leaves(&self) -> Leaves {
        let mut leaves = Leaves::new();
        if let Self::Table(table) = self {
            collect(table, &mut Vec::new(), &mut leaves);
        }
        leaves
    }

    /// The leaves of the value at `key`, each under its full key (`key` itself for a scalar);
    /// `None` if there is no such key.
    pub fn leaves_at(&self, key: &KeyPath) -> Option<Leaves> {
        let mut leaves = Leaves::new();
        match self.get(key)? {
            Self::Table(table) if !table.is_empty() => {
                collect(table, &mut key.segments().to_vec(), &mut leaves);
            }
            leaf => {
                leaves.insert(key.clone(), leaf.clone());
            }
        }
        Some(leaves)
    }

    /// As a number, if it is one.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Int(number) => Some(*number as f64),
            Self::BigInt(digits) => digits.parse().ok(),
            Self::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// As JSON. What its numbers cannot say becomes text: nan and infinities as `nan`, `inf`,
    /// `-inf`, whole numbers beyond 64 bits as their digits.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(truth) => (*truth).into(),
            Self::Int(number) => (*number).into(),
            Self::BigInt(digits) => digits
                .parse::<u64>()
                .map_or_else(|_| (**digits).into(), Into::into),
            Self::Float(number) => serde_json::Number::from_f64(positive_zero(*number))
                .map_or_else(|| self.to_lock_text().into(), Into::into),
            Self::String(text) => text.as_str().into(),
            Self::List(items) => items.iter().map(Self::to_json).collect(),
            Self::Table(table) => {
                let entries = table
                    .iter()
                    .map(|(key, value)| (key.clone(), value.to_json()));
                serde_json::Value::Object(entries.collect())
            }
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::BigInt(a), Self::BigInt(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a == b || (a.is_nan() && b.is_nan()),
            (Self::String(a), Self::String(b)) => a == b,
            (Self::List(a), Self::List(b)) => a == b,
            (Self::Table(a), Self::Table(b)) => a == b,
            _ => false,
        }
    }
}

// Unlike those of floats, equality here is reflexive.
impl Eq for Value {}

/// `-0.0` and `0.0` are one value.
fn positive_zero(number: f64) -> f64 {
    if number == 0.0 { 0.0 } else { number }
}

fn collect(table: &BTreeMap<String, Value>, above: &mut Vec<String>, leaves: &mut Leaves) {
    for (name, value) in table {
        above.push(name.clone());
        match value {
            Value::Table(inner) if !inner.is_empty() => collect(inner, above, leaves),
            leaf => {
                leaves.insert(KeyPath::new(above.clone()), leaf.clone());
            }
        }
        above.pop();
    }
}
