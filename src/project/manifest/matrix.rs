//! `matrix` of a stage.

use super::paths::{check_name, is_name};
use super::written::{Axis, Combination, Matrix};
use crate::project::Result;
use crate::project::source::Section;
use crate::suggest::closest;

/// What is no axis.
pub(super) const LISTS: [&str; 2] = ["exclude", "include"];

/// Reads `[stage.NAME.matrix]`.
pub(super) fn matrix(stage: &Section<'_>) -> Result<Option<Matrix>> {
    let Some(section) = stage.section("matrix")? else {
        return Ok(None);
    };
    let matrix = Matrix {
        at: section.location(),
        axes: axes(&section)?,
        exclude: combinations(&section, "exclude")?,
        include: combinations(&section, "include")?,
    };
    check_exclude(&section, &matrix)?;
    if matrix.axes.is_empty() && matrix.include.is_empty() {
        return Err(section.error(format!("`{}` names no values", section.title())));
    }
    Ok(Some(matrix))
}

fn axes(section: &Section<'_>) -> Result<Vec<Axis>> {
    let mut axes = Vec::new();
    for entry in section.entries() {
        if LISTS.contains(&entry.key.text) {
            continue;
        }
        check_name(&entry.key, entry.key.text, "value of a matrix")?;
        let values = section.values_of(&entry)?;
        if values.is_empty() {
            return Err(entry
                .key
                .error(format!("`{}` has no values", entry.key.text)));
        }
        axes.push(Axis {
            name: entry.key.text.to_owned(),
            values,
        });
    }
    Ok(axes)
}

fn combinations(section: &Section<'_>, key: &str) -> Result<Vec<Combination>> {
    let tables = section.tables(key)?.unwrap_or_default();
    let combinations = tables.into_iter().map(|table| {
        let mut values = Vec::new();
        for entry in table.entries() {
            if !is_name(entry.key.text) {
                let message = format!("`{}` cannot name a value of a matrix", entry.key.text);
                return Err(entry.key.error(message));
            }
            values.push((entry.key.text.to_owned(), table.value_of(&entry)?));
        }
        if values.is_empty() {
            return Err(table.error(format!("an empty table in `{key}`")));
        }
        let at = table.location();
        Ok(Combination { at, values })
    });
    combinations.collect()
}

/// What `exclude` names must be there to be left out.
fn check_exclude(section: &Section<'_>, matrix: &Matrix) -> Result<()> {
    let known: Vec<&str> = matrix.axes.iter().map(|axis| axis.name.as_str()).collect();
    for table in section.tables("exclude")?.unwrap_or_default() {
        let unknown = table
            .entries()
            .find(|entry| !known.contains(&entry.key.text));
        if let Some(entry) = unknown {
            let name = entry.key.text;
            let message = format!("`exclude` names `{name}`, which the matrix does not have");
            return Err(entry
                .key
                .error(message)
                .suggesting(closest(name, known).map(str::to_owned)));
        }
    }
    Ok(())
}
