//! `[stage.NAME]` and the files of `[metrics]`, written for somebody.

use std::collections::BTreeMap;

use toml_edit::{Array, InlineTable, Item, TableLike, Value};

use super::super::paths::{bad_name, is_name};
use super::super::{MANIFEST, Manifest, stage};
use super::{
    Change, Field, appended, apply, changes, fill, is_same, line_start, newline_of, set_table,
    split_mark, table_of, through_parser,
};
use crate::project::Result;
use crate::project::source::{Source, complaint};

/// A list longer than this gets a line for each item.
const WIDE: usize = 88;

/// A stage as it is to be written: texts, which the parser judges when they stand in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StageDraft {
    /// `desc`.
    pub desc: Option<String>,
    /// `cmd`.
    pub cmd: String,
    /// `wdir`.
    pub wdir: Option<String>,
    /// `deps`.
    pub deps: Vec<String>,
    /// `params`.
    pub params: Vec<String>,
    /// `outs`.
    pub outs: Vec<OutDraft>,
    /// `env`.
    pub env: BTreeMap<String, String>,
    /// `needs`.
    pub needs: Vec<String>,
    /// `always`.
    pub always: bool,
}

/// An item of `outs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutDraft {
    /// `path`.
    pub path: String,
    /// `keep`.
    pub keep: bool,
    /// `store`.
    pub store: bool,
}

/// The text with `[stage.NAME]` added or replaced, and with these files among those of
/// `[metrics]`; comments and order stay. It is an `esker.toml` that can be read.
pub fn with_stage(
    text: &str,
    name: &str,
    draft: &StageDraft,
    metrics: &[String],
) -> Result<String> {
    if !is_name(name) {
        return Err(complaint(MANIFEST, &bad_name(name, "stage"), None));
    }
    let (mark, body) = split_mark(text);
    let fields = fields(draft);
    let mut edited = set_table(MANIFEST, body, "stage", name, &fields)?;
    if !metrics.is_empty() {
        edited = with_metrics(&edited, metrics)?;
    }
    Manifest::parse(&edited)?;
    match says(&edited, name, &fields)? {
        true => Ok(format!("{mark}{edited}")),
        false => {
            let message = format!("`[stage.{name}]` cannot be written where it would stand");
            Err(complaint(MANIFEST, &message, None))
        }
    }
}

/// Every key that a stage can have: those that the draft does not speak of are to be absent.
fn fields(draft: &StageDraft) -> Vec<Field> {
    let text = |text: &Option<String>| text.as_deref().map(Value::from);
    let texts = |texts: &[String]| {
        let items = texts.iter().map(|text| Value::from(text.as_str()));
        (!texts.is_empty()).then(|| list(items.collect()))
    };
    let value = |key: &str| match key {
        "desc" => text(&draft.desc),
        "cmd" => Some(draft.cmd.as_str().into()),
        "wdir" => text(&draft.wdir),
        "deps" => texts(&draft.deps),
        "params" => texts(&draft.params),
        "outs" => (!draft.outs.is_empty()).then(|| list(draft.outs.iter().map(out).collect())),
        "env" => (!draft.env.is_empty()).then(|| {
            let variables = draft.env.iter().map(|(name, text)| (name, text.as_str()));
            Value::InlineTable(variables.collect())
        }),
        "needs" => texts(&draft.needs),
        "always" => draft.always.then(|| true.into()),
        _ => None,
    };
    stage::KNOWN.map(|key| (key, value(key))).into()
}

fn out(draft: &OutDraft) -> Value {
    if draft.store && !draft.keep {
        return draft.path.as_str().into();
    }
    let mut table = InlineTable::new();
    table.insert("path", draft.path.as_str().into());
    if draft.keep {
        table.insert("keep", true.into());
    }
    if !draft.store {
        table.insert("store", false.into());
    }
    Value::InlineTable(table)
}

/// A list on one line, or an item a line.
fn list(items: Vec<Value>) -> Value {
    let mut array: Array = items.iter().cloned().collect();
    if array.to_string().len() > WIDE {
        array = items
            .into_iter()
            .map(|item| item.decorated("\n    ", ""))
            .collect();
        array.set_trailing("\n");
        array.set_trailing_comma(true);
    }
    Value::Array(array)
}

/// Adds items to `[metrics] files`, which is made if it is not there.
fn with_metrics(body: &str, files: &[String]) -> Result<String> {
    let files = files.iter().map(|file| Value::from(file.as_str()));
    let files: Vec<Value> = files.collect();
    let fields = [("files", Some(list(files.clone())))];
    let source = Source::new(MANIFEST, body);
    let document = source.parse()?;
    let Some(metrics) = document.get("metrics") else {
        return Ok(appended(body, "metrics", &fields));
    };
    let changes = match metrics.get("files").and_then(Item::as_array) {
        Some(array) => pushed(body, array, &files),
        None => metrics
            .as_table()
            .and_then(|table| changes(body, table, &fields)),
    };
    match changes {
        Some(changes) => Ok(apply(body, changes)),
        None => through_parser(MANIFEST, body, "metrics", |metrics| fill(metrics, &fields)),
    }
}

/// The changes that put items at the end of a list: a line for each if it ends on a line of its own.
fn pushed(body: &str, array: &Array, items: &[Value]) -> Option<Vec<Change>> {
    let joined = |before: &str, after: &str| -> String {
        let items = items.iter();
        items.map(|item| format!("{before}{item}{after}")).collect()
    };
    let span = array.span()?;
    let Some(last) = array.iter().last() else {
        let at = span.start + 1;
        return Some(vec![(
            at..at,
            joined("", ", ").trim_end_matches(", ").to_owned(),
        )]);
    };
    let last = last.span()?;
    let close = line_start(body, span.end);
    if close <= last.end || !body[close..span.end - 1].trim().is_empty() {
        return Some(vec![(last.end..last.end, joined(", ", ""))]);
    }
    let line = line_start(body, last.start);
    let indent = &body[line..last.start];
    let indent = if indent.trim().is_empty() {
        indent
    } else {
        "    "
    };
    let comma = if array.trailing_comma() { "" } else { "," };
    Some(vec![
        (last.end..last.end, comma.to_owned()),
        (
            close..close,
            joined(indent, &format!(",{}", newline_of(body))),
        ),
    ])
}

/// Whether a stage has these keys and values, and no others. An edit that does not read back as it
/// was meant is never written.
fn says(edited: &str, name: &str, fields: &[Field]) -> Result<bool> {
    let source = Source::new(MANIFEST, edited);
    let document = source.parse()?;
    let inline = || document.get("stage")?.get(name)?.as_table_like();
    let table = table_of(&document, "stage", name).map(|table| table as &dyn TableLike);
    let Some(table) = table.or_else(inline) else {
        return Ok(false);
    };
    let is_said = |(key, value): &Field| match (table.get(key), value) {
        (Some(item), Some(value)) => is_same(item, value),
        (None, None) => true,
        _ => false,
    };
    Ok(fields.iter().all(is_said))
}
