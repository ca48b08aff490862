//! The cells of a matrix: all combinations, less what `exclude` names, then what `include` adds,
//! by the rules of GitHub Actions.

use std::collections::{BTreeMap, BTreeSet};

use super::{Error, Result, Unresolved};
use crate::project::Location;
use crate::project::manifest::{Axis, Combination, Matrix};
use crate::value::Value;

/// More cells than this are a mistake.
const MAX_CELLS: usize = 10_000;

/// A cell of a matrix, or a stage that has none.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    /// `train@linear`.
    pub(super) name: String,
    /// What `matrix.x` stands for.
    pub(super) values: BTreeMap<String, Value>,
}

/// A combination of values on its way to a cell.
struct Draft<'a> {
    /// What it is called by, in order.
    named: Vec<&'a Value>,
    values: BTreeMap<String, Value>,
    at: &'a Location,
}

impl Cell {
    /// A stage without a matrix.
    pub(super) fn whole(name: &str) -> Self {
        let (name, values) = (name.to_owned(), BTreeMap::new());
        Self { name, values }
    }
}

/// All cells of a stage, in the order of the file.
pub(super) fn cells(stage: &str, matrix: &Matrix) -> Result<Vec<Cell>> {
    let refuse = |at: &Location, message: String| unresolved(stage, at, message);
    let count = matrix.axes.iter().map(|axis| axis.values.len());
    let count = count.fold(1_usize, usize::saturating_mul);
    if count.saturating_add(matrix.include.len()) > MAX_CELLS {
        let message = format!("the matrix of `{stage}` has more than {MAX_CELLS} cells");
        return Err(refuse(&matrix.at, message));
    }
    let mut drafts = product(matrix);
    drafts.retain(|draft| !matrix.exclude.iter().any(|out| is_like(&draft.values, out)));
    include(matrix, &mut drafts);
    if drafts.is_empty() {
        let message = format!("the matrix of `{stage}` has no cell left");
        return Err(refuse(&matrix.at, message));
    }
    let (mut cells, mut seen) = (Vec::new(), BTreeSet::new());
    for draft in drafts {
        let names = draft.named.iter().map(|value| name_of(value));
        let Some(names) = names.collect::<Option<Vec<String>>>() else {
            let wrong = draft.named.iter().find(|value| name_of(value).is_none());
            let shown = wrong.map(|value| value.to_display()).unwrap_or_default();
            let message = format!(
                "`{shown}` cannot name a cell: write `{{ name = \"…\", value = … }}`, the name of \
                 letters, digits, `.`, `_` and `-`"
            );
            return Err(refuse(draft.at, message));
        };
        let name = format!("{stage}@{}", names.join("-"));
        if !seen.insert(name.clone()) {
            return Err(refuse(
                draft.at,
                format!("two cells would be called `{name}`"),
            ));
        }
        let values = draft.values;
        cells.push(Cell { name, values });
    }
    Ok(cells)
}

/// Every combination of a value of each axis, the last axis fastest.
fn product(matrix: &Matrix) -> Vec<Draft<'_>> {
    if matrix.axes.is_empty() {
        return Vec::new();
    }
    let at = &matrix.at;
    let none = Draft {
        named: Vec::new(),
        values: BTreeMap::new(),
        at,
    };
    matrix.axes.iter().fold(vec![none], |drafts, axis| {
        let drafts = drafts.iter();
        drafts.flat_map(|draft| extended(draft, axis)).collect()
    })
}

fn extended<'a>(draft: &Draft<'a>, axis: &'a Axis) -> impl Iterator<Item = Draft<'a>> {
    axis.values.iter().map(|(value, at)| {
        let mut named = draft.named.clone();
        named.push(value);
        let mut values = draft.values.clone();
        values.insert(axis.name.clone(), value.clone());
        Draft { named, values, at }
    })
}

/// Adds each entry to all combinations of which it changes no axis; one that fits none is a cell
/// of its own, called by its axes (by all it has, if it has none of them).
fn include<'a>(matrix: &'a Matrix, drafts: &mut Vec<Draft<'a>>) {
    let is_axis = |name: &String| matrix.axes.iter().any(|axis| axis.name == *name);
    let n_original = drafts.len();
    for entry in &matrix.include {
        let own = entry.values.iter().filter(|(name, _)| is_axis(name));
        let axes = Combination {
            at: entry.at.clone(),
            values: own.cloned().collect(),
        };
        let mut fits = false;
        for draft in &mut drafts[..n_original] {
            if is_like(&draft.values, &axes) {
                fits = true;
                let new = entry.values.iter().filter(|(name, _)| !is_axis(name));
                draft.values.extend(new.cloned());
            }
        }
        if !fits {
            drafts.push(Draft {
                named: names_of(matrix, entry),
                values: entry.values.iter().cloned().collect(),
                at: &entry.at,
            });
        }
    }
}

fn names_of<'a>(matrix: &Matrix, entry: &'a Combination) -> Vec<&'a Value> {
    let of = |axis: &Axis| entry.values.iter().find(|(name, _)| *name == axis.name);
    let named: Vec<&Value> = matrix
        .axes
        .iter()
        .filter_map(of)
        .map(|(_, value)| value)
        .collect();
    match named.is_empty() {
        true => entry.values.iter().map(|(_, value)| value).collect(),
        false => named,
    }
}

/// Whether a combination has all these values; one with a name of its own may go by that.
fn is_like(values: &BTreeMap<String, Value>, wanted: &Combination) -> bool {
    let named = |value: &Value| match value {
        Value::Table(table) => table.get("name").cloned(),
        _ => None,
    };
    wanted.values.iter().all(|(name, wanted)| {
        let value = values.get(name);
        value.is_some_and(|value| value == wanted || named(value).as_ref() == Some(wanted))
    })
}

fn name_of(value: &Value) -> Option<String> {
    let text = match value {
        Value::Table(table) => match table.get("name")? {
            Value::String(name) => name.clone(),
            _ => return None,
        },
        Value::String(text) => text.clone(),
        Value::Int(_) | Value::Float(_) | Value::Bool(_) => value.to_lock_text(),
        Value::Null | Value::BigInt(_) | Value::List(_) => return None,
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (!text.is_empty() && text.len() <= 64 && text.bytes().all(plain)).then_some(text)
}

fn unresolved(stage: &str, at: &Location, message: String) -> Error {
    Error::Unresolved(Box::new(Unresolved {
        stage: stage.to_owned(),
        message,
        at: at.clone(),
        suggestion: None,
    }))
}
