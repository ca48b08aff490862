use super::*;
use proptest::prelude::*;

fn key(text: &str) -> KeyPath {
    text.parse().unwrap()
}

/// What is typed, as the command line reads it.
fn value(text: &str) -> Value {
    parse("x.yaml", text.as_bytes()).unwrap()
}

fn edited(name: &str, text: &str, at: &str, new: &str) -> String {
    let (at, add) = at.strip_prefix('+').map_or((at, false), |at| (at, true));
    match edit(name, text, &key(at), &value(new), add) {
        Ok(text) => text,
        Err(error) => error.to_string(),
    }
}

const YAML: &str = "\
# The rates.
train:   # of training
  lr: 0.1     # the rate
  name: \"a b\"
  sizes: [1, 2]  # in layers
  layers:
    - 1
    - 2
  deep: {a: 1, b: {c: 2}}
  empty:
other: &base 5
again: *base
";

#[test]
fn yaml_keeps_its_comments_order_and_all_other_bytes() {
    let table = [
        ("train.lr", "0.003", "lr: 0.1 ", "lr: 0.003 "),
        ("train.lr", "1e-3", "lr: 0.1 ", "lr: 0.001 "),
        ("train.lr", "1e-5", "lr: 0.1 ", "lr: 1.0e-05 "),
        ("train.lr", "1e20", "lr: 0.1 ", "lr: 1.0e+20 "),
        ("train.lr", "no", "lr: 0.1 ", "lr: \"no\" "),
        ("train.lr", "'1'", "lr: 0.1 ", "lr: \"1\" "),
        ("train.lr", "1:30", "lr: 0.1 ", "lr: \"1:30\" "),
        ("train.lr", "null", "lr: 0.1 ", "lr: null "),
        ("train.name", "gbm", "\"a b\"", "gbm"),
        ("train.sizes", "[3]", "[1, 2]", "[3]"),
        (
            "train.layers",
            "[3]",
            "layers:\n    - 1\n    - 2\n",
            "layers: [3]\n",
        ),
        ("train.deep.b.c", "7", "c: 2", "c: 7"),
        ("train.empty", "1", "empty:\n", "empty: 1\n"),
        ("again", "6", "*base", "6"),
        ("+train.more", "x", "  empty:\n", "  empty:\n  more: x\n"),
        (
            "+train.deep.d",
            "[1, no]",
            "{c: 2}}",
            "{c: 2}, d: [1, \"no\"]}",
        ),
        ("+new.a.b", "1", "*base\n", "*base\nnew: {a: {b: 1}}\n"),
        ("+train.lr", "2", "lr: 0.1 ", "lr: 2 "),
    ];
    for (at, new, old, expected) in table {
        let found = edited("p.yaml", YAML, at, new);
        assert_eq!(found, YAML.replacen(old, expected, 1), "{at} {new}");
    }
}

#[test]
fn json_and_toml_too() {
    let json = "{\n  \"a\": {\n    \"lr\": 0.1\n  },\n  \"b\": [1]\n}\n";
    let toml = "# c\na.lr = 0.1 # rate\n[t]\nx = \"y\" # why\n";
    let table = [
        ("p.json", json, "a.lr", "1e-3", "0.1", "0.001"),
        ("p.json", json, "a.lr", "no", "0.1", "\"no\""),
        ("p.json", json, "b", "null", "[1]", "null"),
        ("p.json", json, "+a.x", "1", "0.1\n", "0.1,\n    \"x\": 1\n"),
        ("p.json", "{}", "+a", "1", "{}", "{\"a\": 1}"),
        ("p.json", "{\"a\": 1}", "+b", "x", "1}", "1, \"b\": \"x\"}"),
        ("p.toml", toml, "a.lr", "1e-5", "0.1", "1e-5"),
        ("p.toml", toml, "t.x", "[1, z]", "\"y\"", "[1, \"z\"]"),
        (
            "p.toml",
            toml,
            "+t.z",
            "true",
            "# why\n",
            "# why\nz = true\n",
        ),
        (
            "p.toml",
            toml,
            "+u.v.w",
            "1",
            "# why\n",
            "# why\n\n[u.v]\nw = 1\n",
        ),
        ("p.toml", "a = 1\r\nb = 2\r\n", "a", "3", "1", "3"),
        (
            "p.toml",
            "a = 1\r\nb = 2\r\n",
            "+c",
            "3",
            "b = 2\r\n",
            "b = 2\r\nc = 3\r\n",
        ),
        (
            "p.yaml",
            "a: 1\r\nb: 2\r\n",
            "+c",
            "3",
            "b: 2\r\n",
            "b: 2\r\nc: 3\r\n",
        ),
        ("p.yaml", "a: 1", "+c", "3", "1", "1\nc: 3\n"),
        ("p.yaml", "", "+c", "3", "", "{c: 3}\n"),
        ("p.yaml", "# é\n\u{feff}", "+c", "3", "", ""),
    ];
    for (name, text, at, new, old, expected) in &table[..table.len() - 1] {
        let found = edited(name, text, at, new);
        assert_eq!(found, text.replacen(old, expected, 1), "{name} {at} {new}");
    }
}

#[test]
fn what_cannot_be_said_or_is_not_there_is_refused() {
    let refused = |name: &str, text: &str, at: &str, new: &str, reason: &str| {
        let shown = at.trim_start_matches('+');
        let expected = format!("cannot set `{shown}` in `{name}`: {reason}");
        assert_eq!(edited(name, text, at, new), expected);
    };
    refused("p.yaml", YAML, "train.lrr", "1", "there is no such key");
    refused("p.yaml", YAML, "+train.lr.x", "1", "`train.lr` is no table");
    refused("p.toml", "a = 1\n", "+a.b", "1", "`a` is no table");
    refused(
        "p.toml",
        "a = 1\n",
        "a",
        "null",
        "TOML cannot say this value",
    );
    refused(
        "p.json",
        "{\"a\": 1}",
        "a",
        ".nan",
        "JSON cannot say this value",
    );
    refused(
        "p.toml",
        "[a]\nb = 1\n",
        "a",
        "1",
        "it is a table: set one of its keys",
    );
    refused("p.yaml", "- 1\n", "+a", "1", "`` is no table");
    refused(
        "p.yaml",
        "a: |\n  long\n  text\n",
        "a",
        "1",
        "its text cannot be changed where it stands",
    );
}

#[test]
fn text_is_quoted_where_any_yaml_could_take_it_for_something_else() {
    let quoted = [
        "no",
        "Yes",
        "ON",
        "n",
        "Null",
        "~",
        "1",
        "1.5",
        "1e5",
        "0x1f",
        "0o17",
        "1_000",
        "1:30",
        "2026-01-01",
        ".inf",
        "",
        " a",
        "a ",
        "a: b",
        "a #b",
        "- a",
        "@a",
        "{a",
        "nan",
        "!x",
    ];
    for text in quoted {
        let found = write::text(Format::Yaml, &Value::String(text.to_owned())).unwrap();
        assert!(found.starts_with('"'), "{text}: {found}");
        assert_eq!(value(&found), Value::String(text.to_owned()));
    }
    for text in ["gbm", "a b", "models/x-1.pkl", "v1.2"] {
        let found = write::text(Format::Yaml, &Value::String(text.to_owned())).unwrap();
        assert_eq!(found, text);
    }
}

proptest! {
    #[test]
    fn what_was_set_reads_back_and_nothing_else_changed(
        file in prop::collection::btree_map(crate::value::strategy::text(), crate::value::strategy::value(), 1..4).prop_map(Value::Table),
        new in crate::value::strategy::value(),
        pick in any::<prop::sample::Index>(),
    ) {
        let leaves = file.leaves();
        prop_assume!(!leaves.is_empty());
        let at = leaves.keys().nth(pick.index(leaves.len())).unwrap();
        for (name, format) in [("p.yaml", Format::Yaml), ("p.json", Format::Json), ("p.toml", Format::Toml)] {
            let Some(text) = write::text(format, &file).filter(|_| format != Format::Toml) else {
                continue;
            };
            // `edit` itself compares what it wrote with what was meant.
            if let Ok(edited) = edit(name, &text, at, &new, false) {
                let found = parse(name, edited.as_bytes()).unwrap();
                prop_assert_eq!(found.get(at), Some(&new));
            } else {
                prop_assert!(write::text(format, &new).is_none(), "{} {} {}", text, at, new.to_display());
            }
        }
    }
}
