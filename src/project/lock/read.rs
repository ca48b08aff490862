//! Reads a lock from any TOML that says the same, and checks all of it.
//!
//! The grammar of TOML is `toml_edit`'s; every key, type, path, id and number is checked here,
//! because a lock may come from anyone.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use litemap::LiteMap;
use toml_edit::{Document, InlineTable, Item, Key, TableLike};

use super::{DepHash, Lock, Recorded, StageRecord, VERSION, canonical, resolve};
use crate::path::{DepPath, RelPath};
use crate::project::layout::LOCK;
use crate::project::manifest::Command;
use crate::project::source::Source;
use crate::project::{Error, Result};
use crate::value::{KeyPath, Leaves, Value};

/// No lock is larger, in bytes: a million tracked paths take less.
const MAX_TEXT: usize = 256 * 1024 * 1024;

pub(super) fn parse(text: &str) -> Result<Lock> {
    if text.len() > MAX_TEXT {
        let message = format!("it is larger than {MAX_TEXT} bytes");
        return Err(Reader { text }.damaged(None, message));
    }
    // A conflict marker is nothing that esker writes, so that looking for one can wait.
    if let Some(lock) = canonical::parse(text) {
        return Ok(lock);
    }
    match resolve::first_marker(text) {
        Some(line) => Err(Error::LockConflict { line }),
        None => toml(text),
    }
}

/// Reads any TOML.
pub(super) fn toml(text: &str) -> Result<Lock> {
    let reader = Reader { text };
    let document = Document::parse(text).map_err(|error| {
        let message = error.message().replace('\n', "; ");
        reader.damaged(error.span(), message)
    })?;
    reader.lock(document.as_table())
}

/// Whether a text names a stage, or a cell of one.
pub(super) fn is_stage_name(text: &str) -> bool {
    let (stage, cell) = text.split_once('@').unwrap_or((text, "_"));
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let starts = stage.bytes().next().is_some_and(word);
    starts
        && stage.len() <= 64
        && stage.bytes().all(|byte| word(byte) || byte == b'-')
        && !cell.is_empty()
        && cell
            .bytes()
            .all(|byte| word(byte) || matches!(byte, b'-' | b'.'))
}

/// A key and what it stands for.
#[derive(Clone, Copy)]
struct Field<'d> {
    key: &'d Key,
    item: &'d Item,
}

impl Field<'_> {
    fn span(self) -> Option<Range<usize>> {
        self.item.span().or_else(|| self.key.span())
    }
}

struct Reader<'t> {
    text: &'t str,
}

impl Reader<'_> {
    fn lock(&self, root: &dyn TableLike) -> Result<Lock> {
        self.version(root)?;
        let mut lock = Lock::default();
        for field in fields(root) {
            match field.key.get() {
                "version" => {}
                "data" => lock.data.extend(self.recorded_by_path(field, false)?.0),
                "stage" => lock.stages = self.stages(field)?,
                _ => return Err(self.unknown(field)),
            }
        }
        Ok(lock)
    }

    /// Comes first: a newer lock may hold anything else.
    fn version(&self, root: &dyn TableLike) -> Result<()> {
        let Some((key, item)) = root.get_key_value("version") else {
            return Err(self.damaged(None, "it has no `version`"));
        };
        match item.as_integer() {
            Some(VERSION) => Ok(()),
            Some(found) if found > VERSION => Err(Error::LockTooNew {
                found,
                known: VERSION,
            }),
            _ => Err(self.wrong(Field { key, item }, "1")),
        }
    }

    fn stages(&self, owner: Field<'_>) -> Result<BTreeMap<String, StageRecord>> {
        let mut stages = BTreeMap::new();
        for field in self.table(owner)? {
            let name = field.key.get();
            if !is_stage_name(name) {
                return Err(self.at_key(field, format!("`{}` is no stage", name.escape_debug())));
            }
            let mut record = self.stage(field)?;
            record.mixed = record.run != record.run_line(name);
            stages.insert(name.to_owned(), record);
        }
        Ok(stages)
    }

    fn stage(&self, owner: Field<'_>) -> Result<StageRecord> {
        let mut record = StageRecord::default();
        let mut cmd = None;
        let mut run = None;
        for field in self.table(owner)? {
            match field.key.get() {
                "cmd" => cmd = Some(self.command(field)?),
                "wdir" => record.wdir = Some(self.wdir(field)?),
                "run" => run = Some(self.run(field)?),
                "adopted" => record.adopted = self.truth(field)?,
                "deps" => record.deps = self.deps(field)?,
                "env" => record.env = self.env(field)?,
                "params" => record.params = self.params(field)?,
                "outs" => (record.outs, record.unstored) = self.recorded_by_path(field, true)?,
                "metrics" => record.metrics = self.metrics(field)?,
                _ => return Err(self.unknown(field)),
            }
        }
        record.cmd = cmd.ok_or_else(|| self.missing(owner, "cmd"))?;
        record.run = run.ok_or_else(|| self.missing(owner, "run"))?;
        Ok(record)
    }

    fn command(&self, field: Field<'_>) -> Result<Command> {
        if let Some(script) = field.item.as_str() {
            return Ok(Command::One(script.to_owned()));
        }
        let items = field.item.as_array();
        let scripts = items.and_then(|items| items.iter().map(|item| item.as_str()).collect());
        let scripts: Vec<&str> =
            scripts.ok_or_else(|| self.wrong(field, "text or a list of texts"))?;
        Ok(Command::Many(
            scripts.into_iter().map(str::to_owned).collect(),
        ))
    }

    fn wdir(&self, field: Field<'_>) -> Result<String> {
        let text = self.string(field)?;
        RelPath::parse(text)
            .map(|path| path.to_string())
            .map_err(|error| self.damaged(field.span(), error.to_string()))
    }

    /// It also names a file, so that nothing else may pass.
    fn run(&self, field: Field<'_>) -> Result<String> {
        let text = self.string(field)?;
        let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 16 || !text.bytes().all(digit) {
            return Err(self.wrong(field, "16 hexadecimal digits"));
        }
        Ok(text.to_owned())
    }

    fn deps(&self, owner: Field<'_>) -> Result<LiteMap<DepPath, DepHash>> {
        let mut deps = LiteMap::new();
        for field in self.table(owner)? {
            let text = self.string(field)?;
            let (id, exec) = match text.strip_suffix("+x") {
                Some(id) => (id, true),
                None => (text, false),
            };
            let hash = id
                .parse()
                .map_err(|_| self.wrong(field, "an id like `b3:<64 hex digits>`"))?;
            deps.insert(self.dep_path(field)?, DepHash { hash, exec });
        }
        Ok(deps)
    }

    fn env(&self, owner: Field<'_>) -> Result<LiteMap<String, String>> {
        let fields = self.table(owner)?.into_iter();
        let entry = |field: Field<'_>| {
            let value = self.string(field)?;
            Ok((field.key.get().to_owned(), value.to_owned()))
        };
        fields.map(entry).collect()
    }

    fn params(&self, owner: Field<'_>) -> Result<LiteMap<DepPath, Leaves>> {
        let mut params = LiteMap::new();
        for field in self.table(owner)? {
            let leaves = self.leaves(field)?;
            if !leaves.is_empty() {
                params.insert(self.dep_path(field)?, leaves);
            }
        }
        Ok(params)
    }

    fn metrics(&self, owner: Field<'_>) -> Result<LiteMap<RelPath, Leaves>> {
        let mut metrics = LiteMap::new();
        for field in self.table(owner)? {
            let leaves = self.leaves(field)?;
            let number =
                |value: &Value| matches!(value, Value::Bool(_)) || value.as_f64().is_some();
            if !leaves.values().all(number) {
                return Err(self.at_key(field, "metrics are numbers and booleans"));
            }
            if !leaves.is_empty() {
                metrics.insert(self.rel_path(field)?, leaves);
            }
        }
        Ok(metrics)
    }

    fn leaves(&self, owner: Field<'_>) -> Result<Leaves> {
        let mut leaves = Leaves::new();
        for field in self.table(owner)? {
            let key: KeyPath = field
                .key
                .get()
                .parse()
                .map_err(|error: crate::value::KeyError| self.at_key(field, error.to_string()))?;
            let value = self.leaf(field)?;
            if leaves.insert(key, value).is_some() {
                return Err(self.at_key(field, "the key stands twice"));
            }
        }
        Ok(leaves)
    }

    fn leaf(&self, field: Field<'_>) -> Result<Value> {
        let value = field.item.as_value().and_then(to_value);
        let value = value.ok_or_else(|| self.wrong(field, "a value as esker writes it"))?;
        match value {
            Value::Table(table) if !table.is_empty() => {
                Err(self.wrong(field, "one value: a table stands key by key"))
            }
            value => Ok(value),
        }
    }

    /// What is recorded of each path, and the paths whose content is not stored.
    fn recorded_by_path(
        &self,
        owner: Field<'_>,
        may_be_unstored: bool,
    ) -> Result<(LiteMap<RelPath, Recorded>, BTreeSet<RelPath>)> {
        let (mut all, mut unstored) = (LiteMap::new(), BTreeSet::new());
        for field in self.table(owner)? {
            let path = self.rel_path(field)?;
            let (recorded, is_stored) = self.recorded(field, may_be_unstored)?;
            all.insert(path.clone(), recorded);
            if !is_stored {
                unstored.insert(path);
            }
        }
        Ok((all, unstored))
    }

    fn recorded(&self, owner: Field<'_>, may_be_unstored: bool) -> Result<(Recorded, bool)> {
        let (mut hash, mut size, mut files, mut exec) = (None, None, None, false);
        let mut is_stored = true;
        for field in self.table(owner)? {
            match field.key.get() {
                "hash" => {
                    let id = self.string(field)?.parse();
                    hash =
                        Some(id.map_err(|_| self.wrong(field, "an id like `b3:<64 hex digits>`"))?);
                }
                "size" => size = Some(self.count(field)?),
                "files" => files = Some(self.count(field)?),
                "exec" => exec = self.truth(field)?,
                "store" if may_be_unstored => is_stored = self.truth(field)?,
                _ => return Err(self.unknown(field)),
            }
        }
        if exec && files.is_some() {
            return Err(self.at_key(owner, "a directory is never `exec`"));
        }
        let recorded = Recorded {
            hash: hash.ok_or_else(|| self.missing(owner, "hash"))?,
            size: size.ok_or_else(|| self.missing(owner, "size"))?,
            files,
            exec,
        };
        Ok((recorded, is_stored))
    }

    fn table<'d>(&self, field: Field<'d>) -> Result<Vec<Field<'d>>> {
        let table = field.item.as_table_like();
        table
            .map(fields)
            .ok_or_else(|| self.wrong(field, "a table"))
    }

    fn string<'d>(&self, field: Field<'d>) -> Result<&'d str> {
        field.item.as_str().ok_or_else(|| self.wrong(field, "text"))
    }

    fn truth(&self, field: Field<'_>) -> Result<bool> {
        let truth = field.item.as_bool();
        truth.ok_or_else(|| self.wrong(field, "`true` or `false`"))
    }

    fn count(&self, field: Field<'_>) -> Result<u64> {
        let number = field.item.as_integer();
        let number = number.and_then(|number| u64::try_from(number).ok());
        number.ok_or_else(|| self.wrong(field, "a whole number from 0"))
    }

    fn rel_path(&self, field: Field<'_>) -> Result<RelPath> {
        RelPath::parse(field.key.get()).map_err(|error| self.at_key(field, error.to_string()))
    }

    fn dep_path(&self, field: Field<'_>) -> Result<DepPath> {
        DepPath::parse(field.key.get()).map_err(|error| self.at_key(field, error.to_string()))
    }

    fn unknown(&self, field: Field<'_>) -> Error {
        let key = field.key.get().escape_debug();
        self.at_key(field, format!("`{key}` is no key of this version"))
    }

    fn missing(&self, owner: Field<'_>, key: &str) -> Error {
        let name = owner.key.get().escape_debug();
        self.at_key(owner, format!("`{name}` has no `{key}`"))
    }

    fn wrong(&self, field: Field<'_>, expected: &str) -> Error {
        let key = field.key.get().escape_debug();
        self.damaged(field.span(), format!("`{key}` must be {expected}"))
    }

    fn at_key(&self, field: Field<'_>, message: impl Into<String>) -> Error {
        self.damaged(field.key.span().or_else(|| field.item.span()), message)
    }

    fn damaged(&self, span: Option<Range<usize>>, message: impl Into<String>) -> Error {
        Error::LockDamaged {
            message: message.into(),
            at: span.map(|span| Box::new(Source::new(LOCK, self.text).location(&span))),
        }
    }
}

fn fields(table: &dyn TableLike) -> Vec<Field<'_>> {
    table
        .iter()
        .filter_map(|(name, _)| table.get_key_value(name))
        .map(|(key, item)| Field { key, item })
        .collect()
}

/// Reads a value; `None` for a date, which a lock holds as text. The reader of TOML has bounded
/// the depth.
pub(super) fn to_value(value: &toml_edit::Value) -> Option<Value> {
    use toml_edit::Value as Toml;
    match value {
        Toml::String(text) => Some(Value::String(text.value().clone())),
        Toml::Integer(number) => Some(Value::Int(*number.value())),
        Toml::Float(number) => Some(Value::Float(*number.value())),
        Toml::Boolean(truth) => Some(Value::Bool(*truth.value())),
        Toml::Datetime(_) => None,
        Toml::Array(items) => {
            let items: Option<Vec<Value>> = items.iter().map(to_value).collect();
            items.map(Value::List)
        }
        Toml::InlineTable(table) => to_table(table),
    }
}

fn to_table(table: &InlineTable) -> Option<Value> {
    let json = table.get("json").and_then(toml_edit::Value::as_str);
    if let Some(json) = json.filter(|_| table.len() == 1) {
        return Value::from_escape(json);
    }
    let entry = |(key, value): (&str, &toml_edit::Value)| Some((key.to_owned(), to_value(value)?));
    let entries: Option<BTreeMap<String, Value>> = table.iter().map(entry).collect();
    entries.map(Value::Table)
}
