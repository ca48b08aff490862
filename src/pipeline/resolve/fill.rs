//! Fills expressions in.

use std::collections::BTreeMap;

use super::expression::{Context, Expression, Malformed, Piece, pieces};
use super::matrix::Cell;
use super::{Error, Result, Unresolved};
use crate::path::DepPath;
use crate::pipeline::{Stage, stale};
use crate::project::manifest::{OPENING, Slot, Written, WrittenStage};
use crate::project::{Location, Manifest, ParamSpec};
use crate::suggest::{closest, closest_key};
use crate::value::{KeyPath, Value};

/// Fills the texts of one cell, and notes which params it used.
pub(super) struct Filler<'a> {
    manifest: &'a Manifest,
    files: &'a BTreeMap<DepPath, Value>,
    written: &'a WrittenStage,
    cell: &'a Cell,
    /// The params that were filled in, which are recorded like those that a stage lists.
    pub(super) used: Vec<ParamSpec>,
}

/// What an expression stands for.
enum Filling {
    Value(Value),
    /// A text of its own, perhaps with expressions that stay.
    Text(String),
}

impl<'a> Filler<'a> {
    pub(super) fn new(
        manifest: &'a Manifest,
        files: &'a BTreeMap<DepPath, Value>,
        written: &'a WrittenStage,
        cell: &'a Cell,
    ) -> Self {
        let used = Vec::new();
        Self {
            manifest,
            files,
            written,
            cell,
            used,
        }
    }

    /// The texts that a written one stands for: several where a list stands alone in a list.
    pub(super) fn fill(&mut self, written: &Written, slot: Slot) -> Result<Vec<String>> {
        if written.is_plain() {
            return Ok(vec![written.text.clone()]);
        }
        let pieces = pieces(&written.text).map_err(|Malformed { nth, message }| {
            self.unresolved(place(written, nth), message, None)
        })?;
        if let [Piece::Expression(alone)] = &pieces[..]
            && matches!(slot, Slot::CmdItem | Slot::Dep | Slot::Param | Slot::Out)
            && let Filling::Value(Value::List(items)) =
                self.look_up(alone, place(written, 0), slot)?
        {
            let texts = items.iter();
            let texts = texts.map(|item| self.text_of(item, alone, place(written, 0)));
            return texts.collect();
        }
        let (mut filled, mut nth) = (String::new(), 0);
        for piece in &pieces {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Expression(expression) => {
                    let at = place(written, nth);
                    match self.look_up(expression, at, slot)? {
                        Filling::Text(text) => filled.push_str(&text),
                        Filling::Value(value) => {
                            filled.push_str(&self.text_of(&value, expression, at)?);
                        }
                    }
                    nth += 1;
                }
            }
        }
        Ok(vec![filled])
    }

    fn look_up(&mut self, expression: &Expression, at: &Location, slot: Slot) -> Result<Filling> {
        match expression.context {
            Context::Matrix => self.matrix(expression, at).map(Filling::Value),
            Context::Params => self.param(expression, at).map(Filling::Value),
            Context::Env => self.variable(expression, at, slot).map(Filling::Text),
        }
    }

    fn matrix(&self, expression: &Expression, at: &Location) -> Result<Value> {
        if let Some(value) = self.cell.get(&expression.key) {
            return Ok(value.clone());
        }
        let shown = expression.shown();
        let known = self.cell.values.keys().map(String::as_str);
        let suggestion =
            closest(expression.key.as_str(), known).map(|name| format!("matrix.{name}"));
        Err(self.unresolved(
            at,
            format!("`{}` has no `{shown}`", self.cell.name),
            suggestion,
        ))
    }

    /// A param of the one default file that has it.
    fn param(&mut self, expression: &Expression, at: &Location) -> Result<Value> {
        let defaults = self.manifest.params.iter();
        let has = |file: &&DepPath| {
            let value = self.files.get(file);
            value.is_some_and(|value| value.get(&expression.key).is_some())
        };
        let having: Vec<&DepPath> = defaults.filter(has).collect();
        let [file] = having[..] else {
            return Err(self.lost_param(expression, at, &having));
        };
        if stale::is_secret(&expression.key) {
            let message = format!(
                "`{}` looks like a secret, and what is filled in is recorded",
                expression.shown()
            );
            return Err(self.unresolved(at, message, None));
        }
        self.used.push(ParamSpec {
            at: at.clone(),
            file: Some(file.clone()),
            key: Some(expression.key.clone()),
        });
        let value = self.files[file].get(&expression.key);
        Ok(value
            .expect("the file was chosen because it has the key")
            .clone())
    }

    fn lost_param(&self, expression: &Expression, at: &Location, having: &[&DepPath]) -> Error {
        let shown = expression.shown();
        let list = |files: &[&DepPath]| {
            let names: Vec<String> = files.iter().map(|file| format!("`{file}`")).collect();
            names.join(", ")
        };
        if !having.is_empty() {
            let message = format!(
                "`{shown}` is in several default params files: {}",
                list(having)
            );
            return self.unresolved(at, message, None);
        }
        let searched: Vec<&DepPath> = self.manifest.params.iter().collect();
        let files = searched.iter().filter_map(|file| self.files.get(*file));
        let known: Vec<String> = files.flat_map(stale::keys_of).collect();
        let suggestion = closest_key(expression.key.as_str(), known.iter().map(String::as_str));
        let suggestion = suggestion.map(|key| format!("params.{key}"));
        let why = stale::why_lost(Some(&expression.key), &self.manifest.params, self.files);
        let message = match (searched.is_empty(), why) {
            (true, _) => format!("`{shown}`: `[project] params` names no file"),
            (false, Some(why)) => format!("`{shown}` cannot be filled in: {why}"),
            (false, None) => format!(
                "`{shown}` is in no default params file: {}",
                list(&searched)
            ),
        };
        self.unresolved(at, message, suggestion)
    }

    /// A variable of the stage or of `[env] set`; of one that is passed on, its expression.
    /// Between the variables of one stage there is no order, so they see only `[env]`.
    fn variable(&mut self, expression: &Expression, at: &Location, slot: Slot) -> Result<String> {
        let name = expression.key.segments().join(".");
        let written = self.written;
        if slot != Slot::Env
            && let Some(own) = written.texts.env.get(&name)
        {
            let text = self.fill(own, Slot::Env)?.concat();
            return match text.contains(OPENING) {
                true => self.passed(text, &name, at, slot),
                false => Ok(text),
            };
        }
        if let Some(value) = self.manifest.env.get(&name) {
            return Ok(value.clone());
        }
        if self.manifest.pass.contains(&name) {
            return self.passed(format!("${{{{ env.{name} }}}}"), &name, at, slot);
        }
        let known = self
            .manifest
            .env
            .keys()
            .chain(&self.manifest.pass)
            .chain(written.texts.env.keys());
        let suggestion = closest(&name, known.map(String::as_str));
        let suggestion = suggestion.map(|name| format!("env.{name}"));
        let message = format!(
            "`env.{name}` is a variable that neither `[env] set` and `pass` nor the stage names"
        );
        Err(self.unresolved(at, message, suggestion))
    }

    fn passed(&self, text: String, name: &str, at: &Location, slot: Slot) -> Result<String> {
        if matches!(slot, Slot::Cmd | Slot::CmdItem | Slot::Env) {
            return Ok(text);
        }
        let message = format!(
            "`env.{name}` is passed on and never recorded, so it cannot stand in a path or a param"
        );
        Err(self.unresolved(at, message, None))
    }

    fn text_of(&self, value: &Value, expression: &Expression, at: &Location) -> Result<String> {
        let shown = expression.shown();
        let refuse = |what: &str| Err(self.unresolved(at, format!("`{shown}` {what}"), None));
        match value {
            Value::List(_) => refuse("is a list, which can only stand alone in a list"),
            Value::Table(_) => refuse("is a table, which cannot be filled in"),
            Value::Null => refuse("is null, which cannot be filled in"),
            Value::String(text) if text.contains(OPENING) => {
                refuse("holds an expression itself, and those are not filled in")
            }
            Value::String(text) => Ok(text.clone()),
            Value::BigInt(digits) => Ok(digits.to_string()),
            Value::Bool(_) | Value::Int(_) | Value::Float(_) => Ok(value.to_lock_text()),
        }
    }

    fn unresolved(
        &self,
        at: &Location,
        message: impl Into<String>,
        suggestion: Option<String>,
    ) -> Error {
        Error::Unresolved(Box::new(Unresolved {
            stage: self.cell.name.clone(),
            message: message.into(),
            at: at.clone(),
            suggestion,
        }))
    }
}

/// Where an expression stands; the whole text, if its places could not be told.
fn place(written: &Written, nth: usize) -> &Location {
    written.expressions.get(nth).unwrap_or(&written.at)
}

/// A text of a stage with the variables that are passed on filled in, as `var` knows them. What
/// comes of it is for the command alone: it is neither recorded nor shown.
pub fn fill_passed(
    stage: &Stage,
    text: &str,
    var: &dyn Fn(&str) -> Option<String>,
) -> Result<String> {
    let mut filled = String::new();
    for piece in pieces(text).unwrap_or_default() {
        match piece {
            Piece::Text(text) => filled.push_str(text),
            Piece::Expression(expression) => {
                let name = expression.key.segments().join(".");
                let value = var(&name).ok_or_else(|| Error::UnsetVariable {
                    stage: stage.name.clone(),
                    name,
                    at: Box::new(stage.spec.at.clone()),
                })?;
                filled.push_str(&value);
            }
        }
    }
    Ok(filled)
}

impl Cell {
    /// What `matrix.KEY` stands for: of a value with a name of its own, the value.
    fn get(&self, key: &KeyPath) -> Option<&Value> {
        let (axis, below) = key.segments().split_first()?;
        let value = self.values.get(axis)?;
        if below.is_empty() {
            return Some(match value {
                Value::Table(table) => table.get("value").unwrap_or(value),
                _ => value,
            });
        }
        value.get(&KeyPath::new(below.to_vec()))
    }
}
