//! The JSON Schema of `esker.toml` (draft-07), made from the keys that the parser knows, so that
//! neither can have one that the other has not; and both judge the same texts alike.
//!
//! `ESKER_WRITE_DOCS=1 cargo test schema` writes it to `docs/`.

use serde_json::{Value as Json, json};

use super::super::matrix::LISTS;
use super::super::read as reader;
use super::super::remote::ACLS;
use super::super::stage::{KNOWN, KNOWN_OUT};
use super::*;

const SCHEMA: &str = "docs/esker-toml.schema.json";
const NAME: &str = "^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$";

/// A table with exactly these keys.
fn table(keys: &[&str], required: &[&str], schema: fn(&str) -> Json) -> Json {
    let properties = keys.iter().map(|key| ((*key).to_owned(), schema(key)));
    json!({
        "type": "object",
        "properties": properties.collect::<serde_json::Map<_, _>>(),
        "required": required,
        "additionalProperties": false,
    })
}

/// A table of tables with names of their own.
fn named(pattern: &str, each: &Json) -> Json {
    json!({ "type": "object", "patternProperties": { pattern: each }, "additionalProperties": false })
}

fn about(text: &str, mut schema: Json) -> Json {
    schema["description"] = text.into();
    schema
}

fn text() -> Json {
    json!({ "type": "string" })
}

fn texts() -> Json {
    json!({ "type": "array", "items": { "type": "string", "minLength": 1 }, "uniqueItems": true })
}

fn names() -> Json {
    json!({ "type": "array", "items": { "type": "string", "pattern": NAME }, "uniqueItems": true })
}

fn flag(default: bool) -> Json {
    json!({ "type": "boolean", "default": default })
}

fn argv() -> Json {
    json!({ "type": "array", "items": { "type": "string" }, "minItems": 1 })
}

fn variables() -> Json {
    json!({
        "type": "object",
        "patternProperties": { "^(?!ESKER_)[^=]+$": { "type": "string" } },
        "additionalProperties": false,
    })
}

fn no_such(key: &str) -> Json {
    panic!("the parser knows `{key}`, and the schema does not say what it is")
}

fn project(key: &str) -> Json {
    match key {
        "id" => about(
            "Names this project on shared remotes",
            json!({ "type": "string", "pattern": "^[0-9a-f]{32}$" }),
        ),
        "name" => about("What people call the project", text()),
        "esker" => about(
            "The oldest esker that may be used",
            json!({ "type": "string", "pattern": r"^>= *[0-9]+\.[0-9]+(\.[0-9]+)?$" }),
        ),
        "params" => about("Where params are looked for when no file is named", texts()),
        other => no_such(other),
    }
}

fn environment(key: &str) -> Json {
    match key {
        "shell" => about("Runs each script of a command", argv()),
        "run" => about("Put before the shell", argv()),
        "deps" => about("Read by every stage", texts()),
        "set" => about("Variables of every stage, recorded", variables()),
        "pass" => about(
            "Variables of the caller that expressions may name, never recorded",
            texts(),
        ),
        other => no_such(other),
    }
}

fn data(key: &str) -> Json {
    match key {
        "desc" => about("One line for people", text()),
        "remote" => about(
            "The one remote it travels to",
            json!({ "type": "string", "pattern": NAME }),
        ),
        "push" => about("Whether it travels to remotes", flag(true)),
        "pull" => about("Whether it is brought without being named", flag(true)),
        other => no_such(other),
    }
}

fn stage(key: &str) -> Json {
    match key {
        "desc" => about("One line for people", text()),
        "matrix" => about("A stage for each combination of values", matrix()),
        "cmd" => about(
            "A script, or several run in order",
            json!({ "anyOf": [
            { "type": "string", "pattern": r"\S" },
            { "type": "array", "items": { "type": "string", "pattern": r"\S" }, "minItems": 1 },
        ] }),
        ),
        "wdir" => about(
            "Where the command runs",
            json!({ "type": "string", "minLength": 1 }),
        ),
        "deps" => about("What it reads: paths, patterns, @STAGE", texts()),
        "params" => about("KEY, FILE:KEY or FILE:*", texts()),
        "outs" => about(
            "What it writes",
            json!({ "type": "array", "items": { "anyOf": [
            { "type": "string", "minLength": 1 },
            table(&KNOWN_OUT, &["path"], out),
        ] } }),
        ),
        "env" => about("Variables of this stage, recorded", variables()),
        "frozen" => about("Never run", flag(false)),
        "always" => about("Run every time", flag(false)),
        "needs" => about(
            "Stages that must come before",
            json!({
                "type": "array",
                "items": { "type": "string", "pattern": "^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}(@[A-Za-z0-9._-]+)?$" },
                "uniqueItems": true,
            }),
        ),
        "timeout" => about(
            "How long its commands may take, like 90s or 1h30m",
            json!({
                "type": "string",
                "pattern": "^(?=[0-9])([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$",
            }),
        ),
        "mutex" => about(
            "Never at the same time as another holder of one of these names",
            names(),
        ),
        other => no_such(other),
    }
}

fn out(key: &str) -> Json {
    match key {
        "path" => about("Which output", json!({ "type": "string", "minLength": 1 })),
        "keep" => about("The command finds the old output in its place", flag(false)),
        "store" => about("false: only its hash is recorded", flag(true)),
        "push" => about("Whether it travels to remotes", flag(true)),
        "remote" => data("remote"),
        other => no_such(other),
    }
}

fn matrix() -> Json {
    let combination = json!({ "type": "object", "minProperties": 1 });
    let combinations = json!({ "type": "array", "items": combination });
    let lists = LISTS;
    let lists = lists.map(|key| (key.to_owned(), combinations.clone()));
    json!({
        "type": "object",
        "properties": lists.into_iter().collect::<serde_json::Map<_, _>>(),
        "patternProperties": { "^(?!(exclude|include)$)[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$": { "type": "array", "minItems": 1 } },
        "additionalProperties": false,
        "minProperties": 1,
    })
}

fn metrics(key: &str) -> Json {
    match key {
        "files" => about("Paths or patterns", texts()),
        "goal" => about(
            "Which way a metric should go",
            json!({ "$ref": "#/definitions/goal" }),
        ),
        other => no_such(other),
    }
}

fn remote_key(key: &str) -> Json {
    match key {
        "url" => about(
            "A directory, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX, ssh://HOST/PATH or https://HOST/PATH",
            json!({ "type": "string", "pattern": r"\S" }),
        ),
        "default" => about("Used when no remote is named", flag(false)),
        "account_name" => about(
            "The storage account of Azure",
            json!({ "type": "string", "pattern": r"\S" }),
        ),
        "endpoint_url" => about(
            "A server other than that of the cloud",
            json!({ "type": "string", "pattern": r"\S" }),
        ),
        "region" => about("The region", json!({ "type": "string", "pattern": r"\S" })),
        "profile" => about(
            "The profile of the shared AWS configuration",
            json!({ "type": "string", "pattern": r"\S" }),
        ),
        "ca_bundle" => about(
            "A PEM file with more authorities to trust",
            json!({ "type": "string", "pattern": r"\S" }),
        ),
        "path_style" => about(
            "For S3: the path names the bucket, not the host",
            flag(true),
        ),
        "sse" => about(
            "For S3: how the server encrypts what it keeps",
            json!({ "enum": ["AES256", "aws:kms"] }),
        ),
        "sse_kms_key_id" => about(
            "For S3: the key of aws:kms",
            json!({ "type": "string", "pattern": r"\S" }),
        ),
        "acl" => about(
            "For S3: who may do what with the objects",
            json!({ "enum": ACLS }),
        ),
        "jobs" => about(
            "Transfers at once",
            json!({ "type": "integer", "minimum": 1, "maximum": 256 }),
        ),
        other => no_such(other),
    }
}

fn section(key: &str) -> Json {
    match key {
        "project" => table(&reader::PROJECT, &["id"], project),
        "env" => table(&reader::ENV, &[], environment),
        "data" => named("^[^/]", &table(&reader::DATA, &[], data)),
        "stage" => named(NAME, &table(&KNOWN, &["cmd"], stage)),
        "metrics" => table(&reader::METRICS, &[], metrics),
        "remote" => named(
            NAME,
            &table(&RemoteKey::ALL.map(RemoteKey::name), &["url"], remote_key),
        ),
        other => no_such(other),
    }
}

fn schema() -> Json {
    let mut schema = table(&reader::SECTIONS, &["project"], section);
    schema["$schema"] = "http://json-schema.org/draft-07/schema#".into();
    schema["title"] = "esker.toml".into();
    schema["definitions"] = json!({ "goal": {
        "type": "object",
        "additionalProperties": { "anyOf": [{ "enum": ["max", "min"] }, { "$ref": "#/definitions/goal" }] },
    } });
    schema
}

#[test]
#[expect(clippy::disallowed_methods, reason = "asks how the test was called")]
fn the_schema_in_the_docs_is_that_of_the_parser() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(SCHEMA);
    let made = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    if std::env::var_os("ESKER_WRITE_DOCS").is_some() {
        crate::fs::replace(&path, made.as_bytes()).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(kept, made, "write it: ESKER_WRITE_DOCS=1 cargo test schema");
    let first = Manifest::template(ID, "x", Some("../schema.json"));
    assert_eq!(first.lines().next(), Some("#:schema ../schema.json"));
    let without = Manifest::template(ID, "x", None);
    assert_eq!(first.split_once('\n').unwrap().1, without);
}

/// Whether a value is as a schema says: what of draft-07 is used above, and an error for any
/// other word, so that nothing is passed over.
fn fits(root: &Json, schema: &Json, value: &Json) -> bool {
    let rules = schema.as_object().unwrap();
    rules
        .iter()
        .all(|(rule, wanted)| rule_holds(root, schema, rule, wanted, value))
}

fn rule_holds(root: &Json, schema: &Json, rule: &str, wanted: &Json, value: &Json) -> bool {
    let list = || wanted.as_array().unwrap().iter();
    match rule {
        "$schema" | "$id" | "title" | "description" | "default" | "definitions" | "properties"
        | "patternProperties" => true,
        "type" => match wanted.as_str().unwrap() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64(),
            other => panic!("{other}"),
        },
        "required" => value
            .as_object()
            .is_none_or(|object| list().all(|key| object.contains_key(key.as_str().unwrap()))),
        "additionalProperties" => value.as_object().is_none_or(|object| {
            object
                .iter()
                .all(|(key, value)| property_fits(root, schema, key, value))
        }),
        "items" => value
            .as_array()
            .is_none_or(|items| items.iter().all(|item| fits(root, wanted, item))),
        "minItems" => value
            .as_array()
            .is_none_or(|items| items.len() as u64 >= wanted.as_u64().unwrap()),
        "uniqueItems" => value
            .as_array()
            .is_none_or(|items| (1..items.len()).all(|at| !items[..at].contains(&items[at]))),
        "minimum" => value
            .as_i64()
            .is_none_or(|number| number >= wanted.as_i64().unwrap()),
        "maximum" => value
            .as_i64()
            .is_none_or(|number| number <= wanted.as_i64().unwrap()),
        "minProperties" => value
            .as_object()
            .is_none_or(|object| object.len() as u64 >= wanted.as_u64().unwrap()),
        "minLength" => value
            .as_str()
            .is_none_or(|text| text.chars().count() as u64 >= wanted.as_u64().unwrap()),
        "pattern" => value
            .as_str()
            .is_none_or(|text| matches(wanted.as_str().unwrap(), text)),
        "enum" => list().any(|one| one == value),
        "anyOf" => list().any(|one| fits(root, one, value)),
        "$ref" => {
            let place = wanted.as_str().unwrap().trim_start_matches('#');
            fits(root, root.pointer(place).unwrap(), value)
        }
        other => panic!("`{other}` is not known here"),
    }
}

fn property_fits(root: &Json, schema: &Json, key: &str, value: &Json) -> bool {
    if let Some(own) = schema["properties"].get(key) {
        return fits(root, own, value);
    }
    let patterns = schema["patternProperties"].as_object();
    let mut patterns = patterns.into_iter().flatten();
    if let Some((_, own)) = patterns.find(|(pattern, _)| matches(pattern, key)) {
        return fits(root, own, value);
    }
    match &schema["additionalProperties"] {
        Json::Bool(allowed) => *allowed,
        other => fits(root, other, value),
    }
}

/// The three lookaheads that the schema uses are beyond the regex crate.
fn matches(pattern: &str, text: &str) -> bool {
    let (ahead, rest) = match pattern.strip_prefix("^(?") {
        Some(rest) => rest.split_at(
            rest.find("[A-Z")
                .or(rest.find("[^="))
                .or(rest.find("([0-9]+d"))
                .unwrap(),
        ),
        None => ("", pattern),
    };
    let ahead_holds = match ahead {
        "" => true,
        "!ESKER_)" => !text.starts_with("ESKER_"),
        "!(exclude|include)$)" => text != "exclude" && text != "include",
        "=[0-9])" => text.starts_with(|c: char| c.is_ascii_digit()),
        other => panic!("{other}"),
    };
    let rest = if ahead.is_empty() {
        rest.to_owned()
    } else {
        format!("^{rest}")
    };
    ahead_holds && regex::Regex::new(&rest).unwrap().is_match(text)
}

/// Whether the schema takes a text, and whether the parser does.
fn judged(text: &str) -> (bool, bool) {
    let value: toml::Table = toml::from_str(text).unwrap();
    let schema = schema();
    let value = serde_json::to_value(value).unwrap();
    (
        fits(&schema, &schema, &value),
        Manifest::parse(text).is_ok(),
    )
}

#[test]
fn what_the_reference_shows_fits_the_schema() {
    let examples = docs::examples();
    assert!(examples.len() > 6);
    for example in examples {
        assert_eq!(judged(&example), (true, true), "{example}");
    }
    let lesson = Manifest::template(ID, "x", None);
    assert_eq!(judged(&lesson), (true, true), "{lesson}");
}

/// What both refuse, behind a sound `[project]`.
const WRONG: [&str; 43] = [
    "galaxy = 1\n",
    "[stages.a]\ncmd = \"x\"\n",
    "[plot.roc]\nfrom = \"x\"\n",
    "[env]\nrun = []\n",
    "[env]\nset = { ESKER_X = \"1\" }\n",
    "[env]\nset = { A = 1 }\n",
    "[env]\npass = [\"A\", \"A\"]\n",
    "[data.\"/x\"]\n",
    "[data.x]\npush = \"no\"\n",
    "[data.x]\nremote = \"a b\"\n",
    "[stage.a]\n",
    "[stage.-a]\ncmd = \"x\"\n",
    "[stage.a]\ncmd = []\n",
    "[stage.a]\ncmd = \" \"\n",
    "[stage.a]\ncmd = [\"x\", 1]\n",
    "stage.a = { cmd = \"x\", depz = [] }\n",
    "stage.a = { cmd = \"x\", deps = \"x\" }\n",
    "stage.a = { cmd = \"x\", deps = [1] }\n",
    "stage.a = { cmd = \"x\", params = [\"x\", \"x\"] }\n",
    "stage.a = { cmd = \"x\", outs = [{ keep = true }] }\n",
    "stage.a = { cmd = \"x\", outs = [{ path = \"x\", cache = false }] }\n",
    "stage.a = { cmd = \"x\", outs = [{ path = \"x\", keep = 1 }] }\n",
    "stage.a = { cmd = \"x\", env = { A = true } }\n",
    "stage.a = { cmd = \"x\", frozen = \"no\" }\n",
    "stage.a = { cmd = \"x\", needs = [\"@b\"] }\n",
    "stage.a = { cmd = \"x\", timeout = \"2\" }\n",
    "stage.a = { cmd = \"x\", timeout = \"\" }\n",
    "stage.a = { cmd = \"x\", timeout = 90 }\n",
    "stage.a = { cmd = \"x\", mutex = [\"a b\"] }\n",
    "stage.a = { cmd = \"x\", matrix = {} }\n",
    "stage.a = { cmd = \"x\", matrix = { x = [] } }\n",
    "stage.a = { cmd = \"x\", matrix = { x = 1 } }\n",
    "stage.a = { cmd = \"x\", matrix = { x = [1], include = [{}] } }\n",
    "stage.a = { cmd = \"x\", matrix = { x = [1], exclude = 1 } }\n",
    "[metrics]\ngoal = { auc = \"up\" }\n",
    "[metrics]\ngoal = { a = { b = 1 } }\n",
    "[remote.a]\n",
    "[remote.a]\nurl = \"/x\"\ndefault = 1\n",
    "[remote.a]\nurl = \"/x\"\nregoin = \"x\"\n",
    "[remote.a]\nurl = \"/x\"\nsse = \"aes\"\n",
    "[remote.a]\nurl = \"/x\"\nacl = \"all\"\n",
    "[remote.a]\nurl = \"/x\"\njobs = 0\n",
    "[remote.a]\nurl = \"/x\"\njobs = 257\n",
];

#[test]
fn schema_and_parser_refuse_the_same() {
    for text in WRONG {
        let whole = format!("project.id = \"{ID}\"\n{text}");
        assert_eq!(judged(&whole), (false, false), "{text}");
    }
    for text in [
        "",
        "[project]\nname = \"x\"\n",
        "[project]\nid = \"0\"\n",
        "[project]\nid = 1\n",
    ] {
        assert_eq!(judged(text), (false, false), "{text}");
    }
    let right = [
        "esker = \">= 0.1\"\n",
        "[metrics]\ngoal = { a = { b = \"max\" }, \"c.d\" = \"min\" }\n",
        "[stage.a]\ncmd = [\"x\", \"y\"]\nneeds = [\"b@c-1.0\"]\n",
        "[stage.a]\ncmd = \"x\"\nmatrix = { include = [{ y = 1 }] }\n",
        "[[stage.a.matrix.include]]\ny = 1\n[stage.a]\ncmd = \"x\"\n",
    ];
    for text in right {
        assert_eq!(judged(&with_project(text)), (true, true), "{text}");
    }
}
