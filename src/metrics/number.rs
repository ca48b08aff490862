//! Numbers of the three formats.

use crate::value::{MAX_DIGITS, Value};

/// A decimal number as JSON and YAML write it, already checked to look like one.
pub(super) fn decimal(text: &str) -> Result<Value, String> {
    if text.contains(['.', 'e', 'E']) {
        return float(text);
    }
    Value::from_digits(text).ok_or_else(too_many_digits)
}

/// A number of another base, without sign and prefix.
pub(super) fn in_base(digits: &str, base: u32) -> Result<Value, String> {
    u128::from_str_radix(digits, base)
        .ok()
        .and_then(|number| Value::from_digits(&number.to_string()))
        .ok_or_else(|| format!("`{digits}` has more than 128 bits"))
}

fn float(text: &str) -> Result<Value, String> {
    let number: f64 = text
        .parse()
        .map_err(|_| format!("`{text}` is not a number"))?;
    if number.is_infinite() {
        return Err(format!("`{text}` is larger than any number esker can hold"));
    }
    Ok(Value::Float(number))
}

fn too_many_digits() -> String {
    format!("a whole number has more than {MAX_DIGITS} digits")
}
