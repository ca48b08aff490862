//! YAML, and JSON, which it includes: where each value stands, by the events of its parser.

use saphyr_parser::{Event, Parser, Span};

use super::write;
use crate::metrics::Format;
use crate::value::{KeyPath, Value};

/// A value and where it stands, in characters.
struct Node {
    start: usize,
    end: usize,
    /// In braces or brackets, or a scalar.
    is_compact: bool,
    /// Those of a table.
    entries: Option<Vec<Entry>>,
}

type Events<'i> = std::vec::IntoIter<(Event<'i>, Span)>;

struct Entry {
    name: String,
    start: usize,
    end: usize,
    value: Node,
}

pub(super) fn edited(
    text: &str,
    format: Format,
    key: &KeyPath,
    value: &Value,
) -> Result<String, String> {
    let chars: Vec<char> = text.chars().collect();
    let root = outline(text)?;
    let mut node = root.as_ref();
    for (depth, name) in key.segments().iter().enumerate() {
        let Some(table) = node else { break };
        let entries = table.entries.as_ref();
        let entries = entries.ok_or_else(|| {
            let above = KeyPath::new(key.segments()[..depth].to_vec());
            format!("`{above}` is no table")
        })?;
        match entries.iter().find(|entry| entry.name == *name) {
            Some(entry) if depth + 1 == key.segments().len() => {
                let new = write::text(format, value);
                let new = new.ok_or_else(|| "JSON cannot say this value".to_owned())?;
                return Ok(replaced(&chars, entry, &new));
            }
            Some(entry) => node = Some(&entry.value),
            None => {
                let (name, below) = (&key.segments()[depth], &key.segments()[depth + 1..]);
                let value = below.iter().rev().fold(value.clone(), |value, name| {
                    Value::Table([(name.clone(), value)].into())
                });
                let new = write::text(format, &value);
                let new = new.ok_or_else(|| "JSON cannot say this value".to_owned())?;
                let line = format!("{}: {new}", write::key(format, name));
                return Ok(added(&chars, table, entries, &line));
            }
        }
    }
    match root {
        Some(_) => Err("it is no table".to_owned()),
        None => edited(&format!("{text}{{}}\n"), format, key, value),
    }
}

fn replaced(chars: &[char], entry: &Entry, new: &str) -> String {
    let node = &entry.value;
    if node.is_compact && node.start < node.end {
        return splice(chars, node.start, node.end, new);
    }
    // A value over several lines, or none at all: all from the colon on.
    let colon = (entry.end..chars.len())
        .find(|at| chars[*at] == ':')
        .map_or(entry.end, |at| at + 1);
    let end = node.end.max(colon);
    splice(chars, colon, end, &format!(" {new}"))
}

fn added(chars: &[char], table: &Node, entries: &[Entry], line: &str) -> String {
    let newline = if chars.contains(&'\r') { "\r\n" } else { "\n" };
    let line_start = |at: usize| {
        let before = chars[..at].iter().rposition(|c| *c == '\n');
        before.map_or(0, |newline| newline + 1)
    };
    let Some(last) = entries.last() else {
        // `{}`
        return splice(chars, table.start + 1, table.end - 1, line);
    };
    let start = line_start(last.start);
    let indent: String = chars[start..last.start].iter().collect();
    let has_own_line = indent.chars().all(char::is_whitespace);
    let end = last.value.end.max(last.end);
    if table.is_compact {
        let gap = if has_own_line {
            format!("{newline}{indent}")
        } else {
            " ".to_owned()
        };
        return splice(chars, end, end, &format!(",{gap}{line}"));
    }
    let indent = " ".repeat(last.start - start);
    let rest = chars[end..].iter().position(|c| *c == '\n');
    match rest {
        Some(rest) => splice(
            chars,
            end + rest + 1,
            end + rest + 1,
            &format!("{indent}{line}{newline}"),
        ),
        None => splice(
            chars,
            chars.len(),
            chars.len(),
            &format!("{newline}{indent}{line}{newline}"),
        ),
    }
}

fn splice(chars: &[char], start: usize, end: usize, new: &str) -> String {
    let before = chars[..start].iter();
    let after = chars[end..].iter();
    before
        .copied()
        .chain(new.chars())
        .chain(after.copied())
        .collect()
}

/// The outline of the one document; `None` if there is nothing in it.
fn outline(text: &str) -> Result<Option<Node>, String> {
    let mut events = Vec::new();
    for event in Parser::new_from_str(text) {
        events.push(event.map_err(|error| error.info().to_owned())?);
    }
    events.retain(|(event, _)| {
        let is_frame = matches!(event, Event::DocumentStart(_) | Event::DocumentEnd);
        !is_frame
            && !matches!(
                event,
                Event::Nothing | Event::StreamStart | Event::StreamEnd
            )
    });
    let chars: Vec<char> = text.chars().collect();
    let mut events = events.into_iter();
    let first = events.next();
    Ok(first.map(|(event, span)| node(&chars, &event, span, &mut events)))
}

/// Reads a value whose first event is given. Whoever read the file before has bounded the depth.
fn node<'i>(chars: &[char], event: &Event<'i>, span: Span, rest: &mut Events<'i>) -> Node {
    let start = span.start.index();
    let is_list = matches!(event, Event::SequenceStart(..));
    if !is_list && !matches!(event, Event::MappingStart(..)) {
        let end = trimmed(chars, start, span.end.index());
        return Node {
            start,
            end,
            is_compact: true,
            entries: None,
        };
    }
    let is_compact = matches!(chars.get(start), Some('{' | '['));
    let (mut entries, mut end) = (Vec::new(), start);
    while let Some((event, span)) = rest.next() {
        if matches!(event, Event::SequenceEnd | Event::MappingEnd) {
            if is_compact {
                // Its span may go on to the end of a comment behind it.
                let at = span.start.index();
                let is_closing = matches!(chars.get(at), Some('}' | ']'));
                end = if is_closing { at + 1 } else { span.end.index() };
            }
            break;
        }
        let (first, name) = (node(chars, &event, span, rest), name_of(event));
        end = first.end;
        if is_list {
            continue;
        }
        if let Some((event, span)) = rest.next() {
            let value = node(chars, &event, span, rest);
            end = end.max(value.end);
            entries.push(Entry {
                name,
                start: first.start,
                end: first.end,
                value,
            });
        }
    }
    Node {
        start,
        end,
        is_compact,
        entries: (!is_list).then_some(entries),
    }
}

fn name_of(event: Event<'_>) -> String {
    match event {
        Event::Scalar(text, ..) => text.into_owned(),
        _ => String::new(),
    }
}

/// The end of a value without the blanks that the parser counts with it.
fn trimmed(chars: &[char], start: usize, end: usize) -> usize {
    let end = end.min(chars.len());
    let blank = chars[start.min(end)..end].iter().rev();
    end - blank.take_while(|c| c.is_whitespace()).count()
}
