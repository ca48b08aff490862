//! Values for property tests.

use proptest::prelude::*;

use super::{KeyPath, Leaves, Value};

/// Texts with what tends to break writers: quotes, dots, control characters, markers.
pub(crate) fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z_-]{1,6}",
        "[ -~]{0,8}",
        ".{0,6}",
        "[\"\\\\.\n\r\t\u{0}\u{7f}#=\\[\\]{}']{0,5}",
        Just("json".to_owned()),
        Just("<<<<<<< x".to_owned()),
    ]
}

/// Any value.
pub(crate) fn value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        "-?[1-9][0-9]{19,40}".prop_map(|digits| Value::BigInt(digits.into())),
        any::<f64>().prop_map(Value::Float),
        prop::num::f64::ANY.prop_map(Value::Float),
        text().prop_map(Value::String),
    ];
    scalar.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            prop::collection::btree_map(text(), inner, 0..4).prop_map(Value::Table),
        ]
    })
}

/// Any key.
pub(crate) fn key() -> impl Strategy<Value = KeyPath> {
    prop::collection::vec(text(), 1..4).prop_map(KeyPath::new)
}

/// Leaves of some table.
pub(crate) fn leaves() -> impl Strategy<Value = Leaves> {
    prop::collection::btree_map(text(), value(), 0..5)
        .prop_map(|table| Value::Table(table).leaves())
}
