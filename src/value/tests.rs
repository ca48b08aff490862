use super::*;
use proptest::prelude::*;

fn key(text: &str) -> KeyPath {
    text.parse().unwrap()
}

fn table<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Table(entries.map(|(name, value)| (name.to_owned(), value)).into())
}

#[test]
fn each_value_has_one_text() {
    let cases = [
        (Value::Null, r#"{ json = "null" }"#),
        (Value::Bool(true), "true"),
        (Value::Int(-1), "-1"),
        (Value::Int(i64::MIN), "-9223372036854775808"),
        (
            Value::BigInt("9223372036854775808".into()),
            r#"{ json = "9223372036854775808" }"#,
        ),
        (Value::Float(1.0), "1.0"),
        (Value::Float(-0.0), "0.0"),
        (Value::Float(0.003), "0.003"),
        (Value::Float(0.1 + 0.2), "0.30000000000000004"),
        (Value::Float(0.0001), "0.0001"),
        (Value::Float(0.000_099), "9.9e-5"),
        (Value::Float(1e15), "1000000000000000.0"),
        (Value::Float(1e16), "1e16"),
        (Value::Float(1.5e300), "1.5e300"),
        (Value::Float(f64::MAX), "1.7976931348623157e308"),
        (Value::Float(5e-324), "5e-324"),
        (Value::Float(f64::NAN), "nan"),
        (Value::Float(-f64::NAN), "nan"),
        (Value::Float(f64::INFINITY), "inf"),
        (Value::Float(f64::NEG_INFINITY), "-inf"),
        (
            Value::String("a\"\\\n\u{1}\u{7f}é".into()),
            r#""a\"\\\n\u0001\u007Fé""#,
        ),
        (Value::List(vec![]), "[]"),
        (
            Value::List(vec![
                Value::Int(1),
                Value::Null,
                Value::List(vec![Value::Bool(false)]),
            ]),
            r#"[1, { json = "null" }, [false]]"#,
        ),
        (table([]), "{}"),
        (
            Value::List(vec![table([("a b", Value::Int(1)), ("c", table([]))])]),
            r#"[{ "a b" = 1, c = {} }]"#,
        ),
        (
            Value::List(vec![table([("json", Value::String("null".into()))])]),
            r#"[{ json = "{\"json\":\"null\"}" }]"#,
        ),
        (
            Value::List(vec![table([("json", Value::Int(1))])]),
            "[{ json = 1 }]",
        ),
    ];
    for (value, text) in cases {
        assert_eq!(value.to_lock_text(), text);
    }
}

#[test]
fn escapes_are_read_only_as_written() {
    assert_eq!(Value::from_escape("null"), Some(Value::Null));
    let big = "-9223372036854775809";
    assert_eq!(Value::from_escape(big), Some(Value::BigInt(big.into())));
    assert_eq!(
        Value::from_escape(r#"{"json":"x"}"#),
        Some(table([("json", Value::String("x".into()))]))
    );
    let bad = [
        "",
        "1",
        "+9223372036854775808",
        "09223372036854775808",
        "true",
        "[null]",
        " null",
        r#"{"json": "x"}"#,
        r#"{"json":1}"#,
        r#"{"a":"x"}"#,
        "{",
        "1.5",
    ];
    for text in bad {
        assert_eq!(Value::from_escape(text), None, "{text}");
    }
}

#[test]
fn numbers_are_made_of_digits() {
    let cases = [
        ("0", Some(Value::Int(0))),
        ("-0", Some(Value::Int(0))),
        ("+7", Some(Value::Int(7))),
        ("007", Some(Value::Int(7))),
        ("9223372036854775807", Some(Value::Int(i64::MAX))),
        ("-9223372036854775808", Some(Value::Int(i64::MIN))),
        (
            "9223372036854775808",
            Some(Value::BigInt("9223372036854775808".into())),
        ),
        ("", None),
        ("-", None),
        ("+-1", None),
        ("1.0", None),
        ("१", None),
    ];
    for (text, expected) in cases {
        assert_eq!(Value::from_digits(text), expected, "{text}");
    }
    assert!(Value::from_digits(&"9".repeat(MAX_DIGITS)).is_some());
    assert!(Value::from_digits(&"9".repeat(MAX_DIGITS + 1)).is_none());
    assert_eq!(Value::from_digits(&"0".repeat(5000)), Some(Value::Int(0)));
}

#[test]
fn keys_quote_what_would_be_unclear() {
    let cases: [(&[&str], &str); 7] = [
        (&["train", "lr"], "train.lr"),
        (&["model", "v1.2", "lr"], r#"model."v1.2".lr"#),
        (&[""], r#""""#),
        (&["a", ""], r#"a."""#),
        (&["say \"hi\""], r#""say \"hi\"""#),
        (&["a b", "日本"], "a b.日本"),
        (&["a\\b"], "a\\b"),
    ];
    for (segments, text) in cases {
        let path = KeyPath::new(segments.iter().map(|&name| name.to_owned()).collect());
        assert_eq!(path.to_string(), text);
        assert_eq!(key(text), path);
    }
    for bad in [
        "",
        ".",
        "a.",
        ".a",
        "a..b",
        "a\"b",
        "\"a",
        "\"a\"b",
        r#""\x""#,
        r#""\u12"."#,
    ] {
        assert_eq!(
            bad.parse::<KeyPath>(),
            Err(KeyError(bad.to_owned())),
            "{bad}"
        );
    }
    assert_eq!(key(r#""\u00e9\U0001F600""#).segments(), ["é😀"]);
}

#[test]
fn keys_sort_by_their_text() {
    // `-` is less than `.`, so the segment `a-b` comes before what lies below `a`.
    assert!(key("a-b") < key("a.b") && key("a") < key("a-b"));
}

#[test]
fn tables_flatten_to_leaves() {
    let value = table([
        (
            "train",
            table([
                ("lr", Value::Float(0.1)),
                ("steps", Value::List(vec![Value::Int(1)])),
            ]),
        ),
        ("empty", table([])),
        ("none", Value::Null),
    ]);
    let keys: Vec<String> = value.leaves().keys().map(KeyPath::to_string).collect();
    assert_eq!(keys, ["empty", "none", "train.lr", "train.steps"]);
    assert_eq!(value.leaves_at(&key("train")).unwrap().len(), 2);
    assert_eq!(
        value.leaves_at(&key("train.lr")).unwrap()[&key("train.lr")],
        Value::Float(0.1)
    );
    assert_eq!(
        value.leaves_at(&key("empty")).unwrap()[&key("empty")],
        table([])
    );
    assert!(value.leaves_at(&key("train.x")).is_none());
    assert!(value.leaves_at(&key("none.x")).is_none());
    assert!(Value::Int(1).leaves().is_empty());
}

#[test]
fn one_and_one_point_zero_differ_but_nan_is_itself() {
    assert_ne!(Value::Int(1), Value::Float(1.0));
    assert_ne!(Value::Null, table([]));
    assert_eq!(Value::Float(f64::NAN), Value::Float(-f64::NAN));
    assert_eq!(Value::Float(0.0), Value::Float(-0.0));
}

#[test]
fn people_see_plain_text() {
    let cases = [
        (Value::String("adam".into()), "adam"),
        (Value::String("a b".into()), "a b"),
        (Value::String("1".into()), "\"1\""),
        (Value::String("nan".into()), "\"nan\""),
        (Value::String("true".into()), "\"true\""),
        (Value::String(String::new()), "\"\""),
        (Value::String("a, b".into()), "\"a, b\""),
        (Value::String(" a".into()), "\" a\""),
        (Value::String("a\u{1b}[1m".into()), "\"a\\u001B[1m\""),
        (Value::Null, "null"),
        (Value::Float(0.5), "0.5"),
        (
            Value::BigInt("99999999999999999999".into()),
            "99999999999999999999",
        ),
        (
            Value::List(vec![Value::Int(1), Value::String("x".into())]),
            "[1, x]",
        ),
        (table([("a", Value::Int(1))]), "{a: 1}"),
    ];
    for (value, text) in cases {
        assert_eq!(value.to_display(), text);
    }
}

#[test]
fn json_says_what_it_can() {
    let value = Value::List(vec![
        Value::Null,
        Value::Int(-1),
        Value::BigInt("18446744073709551615".into()),
        Value::BigInt("18446744073709551616".into()),
        Value::Float(f64::NAN),
        Value::Float(f64::NEG_INFINITY),
        Value::Float(-0.0),
        table([("a", Value::Bool(true))]),
    ]);
    let expected =
        r#"[null,-1,18446744073709551615,"18446744073709551616","nan","-inf",0.0,{"a":true}]"#;
    assert_eq!(value.to_json().to_string(), expected);
    assert_eq!(
        Value::BigInt("10000000000000000000000".into()).as_f64(),
        Some(1e22)
    );
    assert_eq!(
        (Value::Int(2).as_f64(), Value::Bool(true).as_f64()),
        (Some(2.0), None)
    );
}

#[test]
fn absent_null_and_empty_are_three_things() {
    let old = table([
        ("a", Value::Null),
        ("b", table([])),
        ("same", Value::Float(f64::NAN)),
    ]);
    let new = table([("b", Value::Null), ("same", Value::Float(f64::NAN))]);
    let changes = diff(&old.leaves(), &new.leaves());
    let expected = [
        ValueChange {
            key: key("a"),
            old: Some(Value::Null),
            new: None,
        },
        ValueChange {
            key: key("b"),
            old: Some(table([])),
            new: Some(Value::Null),
        },
    ];
    assert_eq!(changes, expected);
}

proptest! {
    #[test]
    fn keys_survive_their_text(path in strategy::key()) {
        prop_assert_eq!(path.to_string().parse(), Ok(path));
    }

    #[test]
    fn no_text_breaks_the_key_reader(text in strategy::text()) {
        if let Ok(path) = text.parse::<KeyPath>() {
            prop_assert_eq!(path.to_string().parse(), Ok(path));
        }
    }

    #[test]
    fn values_are_equal_when_their_texts_are(a in strategy::value(), b in strategy::value()) {
        prop_assert_eq!(a == b, a.to_lock_text() == b.to_lock_text());
        prop_assert!(a == a.clone());
    }

    #[test]
    fn the_text_of_a_value_is_toml_on_one_line(value in strategy::value()) {
        let text = value.to_lock_text();
        prop_assert!(!text.contains('\n'));
        prop_assert!(toml::from_str::<toml::Table>(&format!("x = {text}")).is_ok(), "{}", text);
    }

    #[test]
    fn floats_come_back(number: f64) {
        let text = Value::Float(number).to_lock_text();
        let back: f64 = text.parse().unwrap();
        prop_assert_eq!(Value::Float(back), Value::Float(number));
        prop_assert!(text.contains(['.', 'e', 'n']));
    }

    #[test]
    fn changes_lead_from_old_to_new(old in strategy::leaves(), new in strategy::leaves()) {
        let mut now = old.clone();
        for change in diff(&old, &new) {
            prop_assert!(change.old != change.new);
            prop_assert_eq!(now.get(&change.key), change.old.as_ref());
            match change.new {
                Some(value) => now.insert(change.key, value),
                None => now.remove(&change.key),
            };
        }
        prop_assert_eq!(now, new);
    }

    #[test]
    fn every_leaf_is_found_by_its_key(value in strategy::value()) {
        for (path, leaf) in value.leaves() {
            prop_assert_eq!(value.get(&path), Some(&leaf));
            let expected = Leaves::from([(path.clone(), leaf)]);
            prop_assert_eq!(value.leaves_at(&path), Some(expected));
        }
    }
}
