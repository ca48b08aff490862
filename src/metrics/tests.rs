use super::*;
use crate::value::{MAX_DIGITS, strategy};
use proptest::prelude::*;

fn read(name: &str, text: &str) -> Value {
    parse(name, text.as_bytes()).unwrap_or_else(|error| panic!("{text}\n{error}"))
}

fn lock_text(name: &str, text: &str) -> String {
    read(name, text).to_lock_text()
}

fn problem(name: &str, text: &str) -> String {
    match parse(name, text.as_bytes()) {
        Err(Error::Syntax { file, message, .. }) => {
            assert_eq!(file, name);
            message
        }
        other => panic!("{text}\n{other:?}"),
    }
}

#[test]
fn the_name_decides_the_format() {
    for name in [
        "params.yaml",
        "a.b/params.YML",
        "x.toml",
        ".json",
        "dir/m.Json",
    ] {
        assert!(is_readable(name), "{name}");
    }
    for name in ["params.py", "yaml", "a.yaml/b", "params.yaml.bak", ""] {
        assert!(!is_readable(name), "{name}");
        assert!(matches!(parse(name, b"{}"), Err(Error::UnknownFormat(n)) if n == name));
    }
}

#[test]
fn the_same_values_are_read_from_each_format() {
    let json =
        r#"{"train": {"lr": 0.003, "layers": [64, 32], "name": "adam"}, "seed": 7, "on": true}"#;
    let toml = "seed = 7\non = true\n[train]\nlr = 0.003\nlayers = [64, 32]\nname = 'adam'\n";
    let yaml = "train:\n  lr: 0.003\n  layers: [64, 32]\n  name: adam\nseed: 7\non: true\n";
    let value = read("p.json", json);
    assert_eq!(read("p.toml", toml), value);
    assert_eq!(read("p.yaml", yaml), value);
    assert_eq!(read("p.yaml", json), value);
    assert_eq!(read("p.json", &format!("\u{feff}{json}")), value);
}

#[test]
fn yaml_is_of_version_1_2() {
    let cases = [
        ("no", "\"no\""),
        (
            "[yes, on, off, y, Yes]",
            r#"["yes", "on", "off", "y", "Yes"]"#,
        ),
        (
            "[true, True, FALSE, tRUE]",
            r#"[true, true, false, "tRUE"]"#,
        ),
        (
            "[~, null, NULL, nUll, ]",
            r#"[{ json = "null" }, { json = "null" }, { json = "null" }, "nUll"]"#,
        ),
        ("", r#"{ json = "null" }"#),
        ("# only a comment", r#"{ json = "null" }"#),
        ("[0o17, 0x1F, 017, +7, -0]", "[15, 31, 17, 7, 0]"),
        (
            "[1_000, 0b1, 0o8, -0x1, 1:30]",
            r#"["1_000", "0b1", "0o8", "-0x1", "1:30"]"#,
        ),
        (
            "[1e3, 1., .5, -.5E-3, 1.5e+2]",
            "[1000.0, 1.0, 0.5, -0.0005, 150.0]",
        ),
        (
            "[., e5, 1e, +, 1.2.3]",
            r#"[".", "e5", "1e", "+", "1.2.3"]"#,
        ),
        (
            "[.inf, -.Inf, +.INF, .nan, inf, nan]",
            r#"[inf, -inf, inf, nan, "inf", "nan"]"#,
        ),
        ("9223372036854775808", r#"{ json = "9223372036854775808" }"#),
        ("0xffffffffffffffff", r#"{ json = "18446744073709551615" }"#),
        ("2024-01-31", "\"2024-01-31\""),
        ("['1', \"2\", !!str 3, ! 4]", r#"["1", "2", "3", "4"]"#),
        (
            "[!!int 5, !!float 5, !!bool true, !!null '']",
            r#"[5, 5.0, true, { json = "null" }]"#,
        ),
        ("|\n  two\n  lines\n", r#""two\nlines\n""#),
        (
            "1: a\n2.50: b\n~: c\nno: d",
            r#"{ 1 = "a", "2.50" = "b", no = "d", "~" = "c" }"#,
        ),
        ("a: &x {b: 1}\nc: *x", "{ a = { b = 1 }, c = { b = 1 } }"),
        ("&k key: *k", r#"{ key = "key" }"#),
        ("<<: {a: 1}", r#"{ "<<" = { a = 1 } }"#),
        ("%YAML 1.2\n---\na: 1\n...\n", "{ a = 1 }"),
        ("!!map {a: !!seq [1]}", "{ a = [1] }"),
    ];
    for (text, expected) in cases {
        assert_eq!(lock_text("p.yaml", text), expected, "{text}");
    }
}

#[test]
fn yaml_that_is_not_clear_is_an_error_with_its_place() {
    let cases = [
        (
            "a: 1\nb: 2\na: 3\n",
            "line 3, column 1: the key `a` stands twice",
        ),
        (
            "1: x\n'1': y\n",
            "line 2, column 1: the key `1` stands twice",
        ),
        (
            "a: 1\n---\nb: 2\n",
            "line 2, column 1: a second document begins; one is read",
        ),
        (
            "[a]: 1\n",
            "line 1, column 1: a key must be text or a number",
        ),
        (
            "a: &x 1\n*x : 2\n",
            "line 2, column 1: a key must be text or a number",
        ),
        (
            "a: &x [*x]\n",
            "line 1, column 8: an alias stands inside of what it names",
        ),
        (
            "a: !!python/tuple [1]\n",
            "line 1, column 4: the tag `!!python/tuple` is not known here",
        ),
        (
            "a: !env X\n",
            "line 1, column 4: the tag `!env` is not known here",
        ),
        (
            "a: !!int x\n",
            "line 1, column 4: `x` is not of the type `!!int`",
        ),
        (
            "a: 1e999\n",
            "line 1, column 4: `1e999` is larger than any number esker can hold",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(problem("p.yaml", text), expected, "{text}");
    }
    assert!(problem("p.yaml", "a: [1\n").starts_with("line 2, column 1: "));
    assert!(problem("p.yaml", "a: *nobody\n").starts_with("line 1, column 4: "));
}

#[test]
fn aliases_cannot_grow_without_bound() {
    let mut bomb = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n".to_owned();
    for level in 1..12 {
        let below = format!("*a{}", level - 1);
        let items = [below.as_str(); 9].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{items}]\n"));
    }
    assert!(problem("p.yaml", &bomb).contains("anchors and aliases stand for too much"));
    let long = "x".repeat(1024 * 1024);
    let texts = format!("a: &a {long}\nb: [*a, *a, *a, *a]\n");
    assert!(problem("p.yaml", &texts).contains("anchors and aliases stand for too much"));
    let mut deep = "a0: &a0 [1]\n".to_owned();
    for level in 1..=MAX_DEPTH {
        deep.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
    }
    assert!(problem("p.yaml", &deep).contains("nested deeper"));
}

#[test]
fn json_is_read_exactly() {
    let cases = [
        ("[1, 1.0, -0, 1e2, -1.5E-3]", "[1, 1.0, 0, 100.0, -0.0015]"),
        ("[NaN, Infinity, -Infinity]", "[nan, inf, -inf]"),
        (
            "18446744073709551616",
            r#"{ json = "18446744073709551616" }"#,
        ),
        (r#""\u00e9\ud83d\ude00\n\/""#, r#""é😀\n/""#),
        (" \t\r\n{ } ", "{}"),
        ("[]", "[]"),
        (
            r#"{"a": null, "b\"": [true, false]}"#,
            r#"{ a = { json = "null" }, "b\"" = [true, false] }"#,
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(lock_text("m.json", text), expected, "{text}");
    }
}

#[test]
fn json_that_is_not_json_is_an_error_with_its_place() {
    let cases = [
        ("", "line 1, column 1: expected a value, found the end"),
        (
            "{\"é\": 1,\n \"b\": 2,\n  \"é\": 3}",
            "line 3, column 3: the key `é` stands twice",
        ),
        ("[1,]", "line 1, column 4: expected a value"),
        ("{\"a\": 1,}", "line 1, column 9: expected a key in quotes"),
        ("{\"a\" 1}", "line 1, column 6: expected `:`"),
        ("[1 2]", "line 1, column 4: expected `,` or `]`"),
        ("{\"a\": 1 \"b\"}", "line 1, column 9: expected `,` or `}`"),
        ("1 1", "line 1, column 3: expected nothing more"),
        ("01", "line 1, column 1: `01` is not a value"),
        ("+1", "line 1, column 1: expected a value"),
        ("1.", "line 1, column 1: `1.` is not a value"),
        ("nan", "line 1, column 1: `nan` is not a value"),
        (
            "1e400",
            "line 1, column 1: `1e400` is larger than any number esker can hold",
        ),
        ("\"a", "line 1, column 1: the text in quotes has no end"),
        ("\"a\\", "line 1, column 1: the text in quotes has no end"),
        ("\"\\q\"", "line 1, column 1: invalid escape"),
        ("\"\\é\"", "line 1, column 1: invalid escape"),
        (
            "\"\\ud800\"",
            "line 1, column 1: unexpected end of hex escape",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(problem("m.json", text), expected, "{text}");
    }
    let digits = "9".repeat(MAX_DIGITS + 1);
    assert!(problem("m.json", &digits).contains("more than 1000 digits"));
}

#[test]
fn toml_is_read_with_dates_as_text() {
    let text = "d = 1979-05-27T07:32:00Z\nt = 07:32:00\n[[runs]]\na.b = +inf\n[[runs]]\n[x.y]\nz = { k = -nan }\n";
    let expected = concat!(
        r#"{ d = "1979-05-27T07:32:00Z", runs = [{ a = { b = inf } }, {}], "#,
        r#"t = "07:32:00", x = { y = { z = { k = nan } } } }"#
    );
    assert_eq!(lock_text("p.toml", text), expected);
    assert_eq!(
        problem("p.toml", "a = 1\na = 2\n"),
        "line 2, column 1: duplicate key"
    );
    assert!(problem("p.toml", "é = 'x'\n").starts_with("line 1, column 1: "));
    assert!(problem("p.toml", "a = 1e999\n").starts_with("line 1, column 5: "));
    assert!(problem("p.toml", "a = 9223372036854775808\n").starts_with("line 1, column 5: "));
}

#[test]
fn depth_is_bounded_in_each_format() {
    let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    for n in [1, MAX_DEPTH] {
        assert_eq!(lock_text("x.json", &nested(n)), nested(n));
        assert_eq!(lock_text("x.yaml", &nested(n)), nested(n));
        assert_eq!(
            lock_text("x.toml", &format!("a = {}", nested(n))),
            format!("{{ a = {} }}", nested(n))
        );
    }
    for n in [MAX_DEPTH + 1, 100_000] {
        assert!(problem("x.json", &nested(n)).contains("nested deeper"));
        problem("x.yaml", &nested(n));
        problem("x.toml", &format!("a = {}", nested(n)));
        problem("x.toml", &format!("{} = 1", vec!["a"; n + 1].join(".")));
        problem("x.toml", &format!("[{}]", vec!["a"; n + 1].join(".")));
    }
    assert!(problem("x.yaml", &nested(MAX_DEPTH + 1)).contains("nested deeper"));
    assert!(problem("x.yaml", &"- ".repeat(100_000)).contains("nested deeper"));
    assert!(problem("x.yaml", &"{a: ".repeat(MAX_DEPTH + 1)).contains("nested deeper"));
    assert!(problem("x.json", &"{\"a\":".repeat(100_000)).contains("nested deeper"));
}

#[test]
fn a_problem_comes_with_its_line() {
    let place = |name: &str, bytes: &[u8]| match parse(name, bytes) {
        Err(Error::Syntax { at, .. }) => at.map(|at| (at.line, at.column, at.text)),
        other => panic!("{other:?}"),
    };
    let at = |line, column, text: &str| Some((line, column, text.to_owned()));
    assert_eq!(
        place("x.json", b"{\r\n\t\"\xc3\xa9\": ?}\r\n"),
        at(2, 7, "\t\"é\": ?}")
    );
    assert_eq!(
        place("x.toml", b"\xef\xbb\xbfa = \x1b"),
        at(1, 5, "a = \u{fffd}")
    );
    assert_eq!(
        place("x.yaml", b"a: 1\nb: ok \xff\n"),
        at(2, 7, "b: ok \u{fffd}")
    );
    assert_eq!(place("x.yaml", b"\xef\xbb\xbf\xff"), at(1, 1, "\u{fffd}"));
    // What ends too soon is wrong behind its end.
    assert_eq!(place("x.json", b"{\n"), at(2, 1, ""));
    // Of a long line, what is near.
    let long = format!("{{\"a\": {}?{}", " ".repeat(5000), " x".repeat(5000));
    let (line, column, text) = place("x.json", long.as_bytes()).unwrap();
    assert_eq!((line, text.chars().nth(column - 1)), (1, Some('?')));
    assert!(text.len() <= 200);
}

#[test]
fn bytes_that_are_no_text_are_an_error() {
    for name in ["x.json", "x.yaml", "x.toml"] {
        let result = parse(name, b"ab\xff");
        assert!(
            matches!(result, Err(Error::Syntax { message, .. }) if message == "line 1, column 3: not UTF-8")
        );
    }
    let large = vec![b' '; MAX_SIZE + 1];
    assert!(
        matches!(parse("x.json", &large), Err(Error::Syntax { message, .. }) if message.contains("larger"))
    );
}

#[test]
fn metrics_are_numbers_and_booleans() {
    let text = r#"{"auc": 0.9, "n": 3, "ok": true, "name": "x", "list": [1], "none": null, "in": {"a": NaN}}"#;
    let leaves = numbers(&read("m.json", text));
    let keys: Vec<String> = leaves.keys().map(ToString::to_string).collect();
    assert_eq!(keys, ["auc", "in.a", "n", "ok"]);
    assert!(numbers(&Value::Int(1)).is_empty());
}

#[test]
fn goals_say_what_is_better() {
    use Direction::{Max, Min};
    let nan = f64::NAN;
    let cases = [
        (0.5, 0.75, Some(Max), 0.25, Some(true)),
        (0.5, 0.75, Some(Min), 0.25, Some(false)),
        (0.75, 0.5, Some(Max), -0.25, Some(false)),
        (0.75, 0.5, Some(Min), -0.25, Some(true)),
        (0.5, 0.75, None, 0.25, None),
        (0.5, 0.5, Some(Max), 0.0, None),
        (nan, nan, Some(Max), 0.0, None),
        (f64::INFINITY, f64::INFINITY, Some(Min), 0.0, None),
        (0.0, f64::INFINITY, Some(Min), f64::INFINITY, Some(false)),
    ];
    for (old, new, goal, delta, better) in cases {
        let moved = movement(Some(&Value::Float(old)), Some(&Value::Float(new)), goal);
        assert_eq!(
            moved,
            Some(Movement { delta, better }),
            "{old} {new} {goal:?}"
        );
    }
    let becomes =
        |old, new, goal| movement(Some(&Value::Float(old)), Some(&Value::Float(new)), goal);
    assert_eq!(becomes(1.0, nan, Some(Min)).unwrap().better, Some(false));
    assert_eq!(becomes(nan, 1.0, Some(Max)).unwrap().better, Some(true));
    assert_eq!(becomes(nan, 1.0, None).unwrap().better, None);
}

#[test]
fn only_numbers_move() {
    let (one, two) = (Value::Int(i64::MAX - 1), Value::Int(i64::MAX));
    assert_eq!(movement(Some(&one), Some(&two), None).unwrap().delta, 1.0);
    assert_eq!(movement(None, Some(&one), None), None);
    assert_eq!(movement(Some(&one), None, None), None);
    assert_eq!(movement(Some(&Value::Bool(true)), Some(&one), None), None);
    let moved = movement(
        Some(&Value::Int(1)),
        Some(&Value::Float(1.0)),
        Some(Direction::Max),
    );
    assert_eq!(
        moved,
        Some(Movement {
            delta: 0.0,
            better: None
        })
    );
}

/// What JSON of any other writer can hold.
fn json_value() -> impl Strategy<Value = serde_json::Value> {
    strategy::value().prop_map(|value| value.to_json())
}

proptest! {
    #[test]
    fn what_another_writer_of_json_writes_is_read(json in json_value(), pretty: bool) {
        let text = match pretty {
            true => serde_json::to_string_pretty(&json).unwrap(),
            false => json.to_string(),
        };
        prop_assert_eq!(read("x.json", &text).to_json(), json.clone());
    }

    #[test]
    fn the_lock_text_of_a_table_is_toml(table in prop::collection::btree_map(strategy::text(), "[a-z]{0,3}", 0..4)) {
        let text: String = table
            .iter()
            .map(|(key, value)| format!("{} = {}\n", crate::value::quote_key(key), crate::value::quote(value)))
            .collect();
        let expected = table.into_iter().map(|(key, value)| (key, Value::String(value)));
        prop_assert_eq!(read("x.toml", &text), Value::Table(expected.collect()));
    }

    #[test]
    fn no_text_breaks_a_reader(text in "[-a-c0-9.:&*!\"'{}\\[\\],\n |>#%~?\\\\eé=_]{0,40}") {
        for name in ["x.yaml", "x.json", "x.toml"] {
            if let Ok(value) = parse(name, text.as_bytes()) {
                let _ = (value.leaves(), value.to_json(), value.to_display());
            }
        }
    }

    #[test]
    fn no_bytes_break_a_reader(bytes: Vec<u8>) {
        for name in ["x.yaml", "x.json", "x.toml"] {
            let _ = parse(name, &bytes);
        }
    }
}
