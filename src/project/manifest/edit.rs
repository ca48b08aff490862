//! Changes `[remote.NAME]` in the text of an `esker.toml` or a config, and `[stage.NAME]` in that of
//! an `esker.toml`. The lines that need no change keep their bytes, comments, order and line ends.
//!
//! Tables with lines of their own are edited line by line, since the parser gives up the
//! comments above a key that it removes. Only what stands inside an inline table goes through it.

mod stage;

pub use stage::{OutDraft, StageDraft, with_stage};

use std::ops::Range;

use toml_edit::{Document, Item, Key, Table, TableLike, Value};

use super::paths::{bad_name, is_name};
use super::remote::{has_password, remote, secret_message};
use super::{RemoteKey, RemoteSpec, Setting};
use crate::project::Result;
use crate::project::source::{Section, Source, complaint};

/// The text of a file with `[remote.NAME]` added (or replaced); comments and order stay. A new
/// default takes that from whichever remote had it.
pub fn with_remote(file: &str, text: &str, name: &str, remote: &RemoteSpec) -> Result<String> {
    check(file, name, remote)?;
    let (mark, body) = split_mark(text);
    let mut edited = set_table(file, body, "remote", name, &fields(remote))?;
    if remote.is_default() {
        for other in other_defaults(file, &edited, name)? {
            edited = drop_default(file, &edited, &other)?;
        }
    }
    confirm(file, &edited, name, Some(remote))?;
    Ok(format!("{mark}{edited}"))
}

/// The text of a file with another value of one key of a remote, or without that key. A remote of
/// which nothing more is said is gone.
pub fn with_remote_key(
    file: &str,
    text: &str,
    name: &str,
    key: RemoteKey,
    value: Option<Setting>,
) -> Result<String> {
    let mut remote = read_remote(file, text, name)?.unwrap_or_default();
    remote.set(key, value);
    if remote.is_empty() {
        let without = without_remote(file, text, name)?;
        return Ok(without.unwrap_or_else(|| text.to_owned()));
    }
    with_remote(file, text, name, &remote)
}

/// The text of a file in which a remote has another name; `None` if it has none of that name. The
/// name alone is changed where it stands once; otherwise the remote goes to the end.
pub fn with_renamed_remote(file: &str, text: &str, old: &str, new: &str) -> Result<Option<String>> {
    let (mark, body) = split_mark(text);
    let Some(remote) = read_remote(file, body, old)? else {
        return Ok(None);
    };
    check(file, new, &remote)?;
    let source = Source::new(file, body);
    let document = source.parse()?;
    let remotes = document.get("remote").and_then(Item::as_table);
    let span = remotes.and_then(|remotes| remotes.key(old)?.span());
    if let Some(span) = span {
        let edited = apply(body, vec![(span, new.to_owned())]);
        let is_renamed = confirm(file, &edited, old, None).is_ok()
            && confirm(file, &edited, new, Some(&remote)).is_ok();
        if is_renamed {
            return Ok(Some(format!("{mark}{edited}")));
        }
    }
    let without = without_remote(file, text, old)?.unwrap_or_else(|| text.to_owned());
    with_remote(file, &without, new, &remote).map(Some)
}

/// The text of a file without `[remote.NAME]`; `None` if it has none.
pub fn without_remote(file: &str, text: &str, name: &str) -> Result<Option<String>> {
    let (mark, body) = split_mark(text);
    let source = Source::new(file, body);
    let document = source.parse()?;
    let remotes = document.get("remote").and_then(Item::as_table_like);
    if remotes.is_none_or(|remotes| !remotes.contains_key(name)) {
        return Ok(None);
    }
    let edited = match lines_of_remote(body, &document, name) {
        Some(changes) => apply(body, changes),
        None => through_parser(file, body, "remote", |remotes| {
            remotes.remove(name);
        })?,
    };
    confirm(file, &edited, name, None)?;
    Ok(Some(format!("{mark}{edited}")))
}

/// New text for a part of the old.
type Change = (Range<usize>, String);

/// The keys of a table in order, each with its value; `None` is to be absent.
type Field = (&'static str, Option<Value>);

fn check(file: &str, name: &str, remote: &RemoteSpec) -> Result<()> {
    let refuse = |message: String| Err(complaint(file, &message, None));
    if !is_name(name) {
        return refuse(bad_name(name, "remote"));
    }
    for (key, value) in remote.iter() {
        if value.as_text().is_some_and(has_password) {
            let what = format!("the password in `{}`", key.name());
            return refuse(secret_message(&what, file));
        }
    }
    Ok(())
}

/// Makes `[section.NAME]` say what `fields` say; a new one stands below its siblings.
fn set_table(
    file: &str,
    body: &str,
    section: &str,
    name: &str,
    fields: &[Field],
) -> Result<String> {
    let source = Source::new(file, body);
    let document = source.parse()?;
    if !document.contains_key(section) {
        return Ok(appended(body, &format!("{section}.{name}"), fields));
    }
    let changes = table_of(&document, section, name).and_then(|table| changes(body, table, fields));
    if let Some(changes) = changes {
        return Ok(apply(body, changes));
    }
    through_parser(file, body, section, |tables| {
        match tables.get_mut(name).and_then(Item::as_table_like_mut) {
            Some(table) => fill(table, fields),
            None => {
                let mut table = Table::new();
                fill(&mut table, fields);
                tables.insert(name, Item::Table(table));
            }
        }
    })
}

fn other_defaults(file: &str, body: &str, name: &str) -> Result<Vec<String>> {
    let source = Source::new(file, body);
    let document = source.parse()?;
    let remotes = document.get("remote").and_then(Item::as_table_like);
    let is_default = |item: &Item| item.get("default").is_some();
    let others = remotes.into_iter().flat_map(TableLike::iter);
    Ok(others
        .filter(|(other, item)| *other != name && is_default(item))
        .map(|(other, _)| other.to_owned())
        .collect())
}

fn drop_default(file: &str, body: &str, name: &str) -> Result<String> {
    let source = Source::new(file, body);
    let document = source.parse()?;
    let table = table_of(&document, "remote", name);
    let entry = table.and_then(|table| table.get_key_value("default"));
    if let Some(lines) = entry.and_then(|(key, item)| entry_lines(body, key, item)) {
        return Ok(apply(body, vec![(lines, String::new())]));
    }
    through_parser(file, body, "remote", |remotes| {
        let table = remotes.get_mut(name).and_then(Item::as_table_like_mut);
        table.and_then(|table| table.remove("default"));
    })
}

/// A table that is written in lines of its own, under a header or with dotted keys.
fn table_of<'a>(document: &'a Document<&str>, section: &str, name: &str) -> Option<&'a Table> {
    document.get(section)?.as_table()?.get(name)?.as_table()
}

fn fields(remote: &RemoteSpec) -> [Field; RemoteKey::ALL.len()] {
    RemoteKey::ALL.map(|key| {
        let value = remote.get(key).map(|value| match value {
            Setting::Text(text) => text.as_str().into(),
            Setting::Flag(flag) => (*flag).into(),
            Setting::Number(number) => (*number).into(),
        });
        (key.name(), value)
    })
}

/// The changes that make the lines of a table say what `fields` say; new keys stand last,
/// written like the key before them.
fn changes(body: &str, table: &Table, fields: &[Field]) -> Option<Vec<Change>> {
    let mut end = line_end(body, table.span()?.end);
    let mut prefix = "";
    for (name, item) in table {
        let key = table.key(name)?;
        let lines = entry_lines(body, key, item)?;
        if lines.end >= end {
            prefix = &body[lines.start..key.span()?.start];
            end = lines.end;
        }
    }
    let newline = newline_of(body);
    let (mut changes, mut added) = (Vec::new(), String::new());
    for (name, value) in fields {
        match (table.get_key_value(name), value) {
            (Some((_, item)), Some(value)) if is_same(item, value) => {}
            (Some((_, item)), Some(value)) => {
                changes.push((item.as_value()?.span()?, value.to_string()));
            }
            (Some((key, item)), None) => {
                changes.push((entry_lines(body, key, item)?, String::new()));
            }
            (None, Some(value)) => added += &format!("{prefix}{name} = {value}{newline}"),
            (None, None) => {}
        }
    }
    if !added.is_empty() && !body[..end].ends_with('\n') {
        added = format!("{newline}{}", added.trim_end());
    }
    changes.push((end..end, added));
    Some(changes)
}

/// What to cut so that a remote is gone, if it has lines of its own.
fn lines_of_remote(body: &str, document: &Document<&str>, name: &str) -> Option<Vec<Change>> {
    let remotes = document.get("remote")?.as_table()?;
    let (key, item) = remotes.get_key_value(name)?;
    let Some(table) = item.as_table() else {
        return Some(vec![(entry_lines(body, key, item)?, String::new())]);
    };
    let header = table.span()?;
    let mut entries = Vec::new();
    for (name, item) in table {
        entries.push((entry_lines(body, table.key(name)?, item)?, String::new()));
    }
    if !body[header.clone()].starts_with('[') {
        return Some(entries);
    }
    let ends = entries.iter().map(|(lines, _)| lines.end);
    let end = ends.fold(line_end(body, header.end), usize::max);
    // The blank lines that parted it from what comes next go too.
    let mut after = end;
    while after < body.len() && body[after..line_end(body, after)].trim().is_empty() {
        after = line_end(body, after);
    }
    let start = line_start(body, header.start);
    let start = if after == body.len() {
        body[..start].trim_end().len()
    } else {
        start
    };
    let rest = if after == body.len() && start > 0 {
        newline_of(body)
    } else {
        ""
    };
    Some(vec![(start..after, rest.to_owned())])
}

/// The lines of a key and its value; `None` for a table.
fn entry_lines(body: &str, key: &Key, item: &Item) -> Option<Range<usize>> {
    let value = item.as_value()?.span()?;
    Some(line_start(body, key.span()?.start)..line_end(body, value.end))
}

fn line_start(body: &str, at: usize) -> usize {
    body[..at].rfind('\n').map_or(0, |at| at + 1)
}

fn line_end(body: &str, at: usize) -> usize {
    body[at..].find('\n').map_or(body.len(), |end| at + end + 1)
}

fn newline_of(body: &str) -> &'static str {
    let first = body.split_inclusive('\n').next();
    if first.is_some_and(|line| line.ends_with("\r\n")) {
        "\r\n"
    } else {
        "\n"
    }
}

/// Whether a key has this value, however it is written.
fn is_same(item: &Item, value: &Value) -> bool {
    item.as_value().is_some_and(|found| is_equal(found, value))
}

fn is_equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::String(one), Value::String(other)) => one.value() == other.value(),
        (Value::Boolean(one), Value::Boolean(other)) => one.value() == other.value(),
        (Value::Integer(one), Value::Integer(other)) => one.value() == other.value(),
        (Value::Array(one), Value::Array(other)) => {
            let mut pairs = one.iter().zip(other);
            one.len() == other.len() && pairs.all(|(one, other)| is_equal(one, other))
        }
        (Value::InlineTable(one), Value::InlineTable(other)) => {
            let has = |(key, value)| one.get(key).is_some_and(|found| is_equal(found, value));
            one.len() == other.len() && other.iter().all(has)
        }
        _ => false,
    }
}

/// Changes apply from the last to the first, so that none moves another.
fn apply(body: &str, mut changes: Vec<Change>) -> String {
    changes.sort_by_key(|(range, _)| (range.start, range.end));
    let mut edited = body.to_owned();
    for (range, text) in changes.iter().rev() {
        edited.replace_range(range.clone(), text);
    }
    edited
}

/// The first table of its kind goes to the end, below the comments that stand there.
fn appended(body: &str, title: &str, fields: &[Field]) -> String {
    let newline = newline_of(body);
    let mut edited = body.to_owned();
    if !edited.is_empty() && !edited.ends_with('\n') {
        edited += newline;
    }
    if !edited.is_empty()
        && edited
            .lines()
            .next_back()
            .is_some_and(|line| !line.is_empty())
    {
        edited += newline;
    }
    edited += &format!("[{title}]{newline}");
    for (key, value) in fields {
        if let Some(value) = value {
            edited += &format!("{key} = {value}{newline}");
        }
    }
    edited
}

/// Lets the parser edit. It turns line ends into `\n`, so it works on a text that has no
/// others, and [`splice`] brings them back.
fn through_parser(
    file: &str,
    body: &str,
    section: &str,
    edit: impl FnOnce(&mut dyn TableLike),
) -> Result<String> {
    let plain = body.replace("\r\n", "\n");
    let mut document = Source::new(file, &plain).parse()?.into_mut();
    let table = document.get_mut(section).and_then(Item::as_table_like_mut);
    let Some(table) = table else {
        let message = format!("`{section}` must be a table");
        return Err(complaint(file, &message, None));
    };
    edit(table);
    Ok(splice(body, &document.to_string()))
}

fn fill(table: &mut dyn TableLike, fields: &[Field]) {
    for (key, value) in fields {
        let Some(mut value) = value.clone() else {
            table.remove(key);
            continue;
        };
        if table.get(key).is_some_and(|old| is_same(old, &value)) {
            continue;
        }
        match table.get_mut(key).and_then(Item::as_value_mut) {
            Some(old) => {
                *value.decor_mut() = old.decor().clone();
                *old = value;
            }
            None => {
                table.insert(key, Item::Value(value));
            }
        }
    }
}

/// The edited text, with the original's bytes in all lines before and after the change.
fn splice(original: &str, edited: &str) -> String {
    let old: Vec<&str> = original.split_inclusive('\n').collect();
    let new: Vec<&str> = edited.split_inclusive('\n').collect();
    let same = |(old, new): &(&&str, &&str)| old.replace("\r\n", "\n") == **new;
    let head = old.iter().zip(&new).take_while(same).count();
    let (old_rest, new_rest) = (&old[head..], &new[head..]);
    let pairs = old_rest.iter().rev().zip(new_rest.iter().rev());
    let tail = pairs.take_while(same).count();
    let middle = new_rest[..new_rest.len() - tail].concat();
    let middle = middle.replace('\n', newline_of(original));
    let tail = &old_rest[old_rest.len() - tail..];
    [&old[..head].concat(), &middle, &tail.concat()]
        .map(String::as_str)
        .concat()
}

/// The parser skips a byte order mark; the mark stays.
fn split_mark(text: &str) -> (&str, &str) {
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.split_at(text.len() - body.len())
}

/// An edit that does not read back as it was meant is never written.
fn confirm(file: &str, edited: &str, name: &str, expected: Option<&RemoteSpec>) -> Result<()> {
    if read_remote(file, edited, name)?.as_ref() == expected {
        return Ok(());
    }
    let message = format!("`[remote.{name}]` cannot be changed where it stands");
    Err(complaint(file, &message, None))
}

/// What a text says of a remote, whatever else is in it.
fn read_remote(file: &str, text: &str, name: &str) -> Result<Option<RemoteSpec>> {
    let source = Source::new(file, text);
    let document = source.read()?;
    let root = Section::root(&source, &document);
    let section = match root.section("remote")? {
        Some(remotes) => remotes.section(name)?,
        None => None,
    };
    section.map(|section| remote(&section)).transpose()
}
