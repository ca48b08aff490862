//! Which params a stage reads: picks leaves out of parsed params files.

use litemap::LiteMap;

use std::collections::BTreeMap;

use crate::hash::{Context, Digest};
use crate::path::DepPath;
use crate::pipeline::Stage;
use crate::project::{Location, ParamSpec};
use crate::suggest::closest_key;
use crate::value::{KeyPath, Leaves, Value};

/// A param that a stage asks for and no file has.
#[derive(Clone, Debug)]
pub struct MissingParam {
    /// The stage.
    pub stage: String,
    /// The key.
    pub key: String,
    /// The files that were looked through.
    pub files: Vec<String>,
    /// Those of them that have the key, if it is more than one: then nobody can say which is
    /// meant.
    pub having: Vec<String>,
    /// Why no file can have it, if not only because the key is not there.
    pub why: Option<String>,
    /// Where it is asked for.
    pub at: Location,
    /// A key that may have been meant.
    pub suggestion: Option<String>,
}

impl MissingParam {
    /// What is wrong.
    pub(crate) fn message(&self) -> String {
        let asks = match self.key.as_str() {
            "*" => format!("`{}` asks for all params of a file", self.stage),
            key => format!("`{}` asks for the param `{key}`", self.stage),
        };
        let (files, having) = (self.files.join(", "), self.having.join(", "));
        match (&self.why, self.having.is_empty(), self.files.len()) {
            (_, false, _) => format!("{asks}, which several files have: {having}"),
            (Some(why), ..) => format!("{asks}, but {why}"),
            (None, true, 1) => format!("{asks}, which {files} does not have"),
            (None, true, _) => format!("{asks}, which none of these has: {files}"),
        }
    }
}

/// Why none of some files can have a key (`None`: all that is in one): it does not exist, or there
/// is something else than a table where the key must lie. `None` if the key is merely not there.
pub fn why_lost(
    key: Option<&KeyPath>,
    searched: &[DepPath],
    files: &BTreeMap<DepPath, Value>,
) -> Option<String> {
    let absent = searched.iter().filter(|file| !files.contains_key(*file));
    let absent: Vec<String> = absent.map(|file| format!("`{file}`")).collect();
    if absent.len() == searched.len() {
        return match &absent[..] {
            [] => None,
            [file] => Some(format!("{file} does not exist")),
            all => Some(format!("none of {} exists", all.join(", "))),
        };
    }
    searched.iter().find_map(|file| {
        let value = files.get(file)?;
        let (above, value) = match key {
            Some(key) => value.blocking(key)?,
            None if is_table(value) => return None,
            None => (None, value),
        };
        let kind = value.kind();
        Some(match above {
            Some(above) => format!("`{above}` is {kind} in `{file}`, not a table"),
            None => format!("`{file}` holds {kind}, not a table"),
        })
    })
}

/// Whether it can have keys: an empty file is an empty table.
fn is_table(value: &Value) -> bool {
    matches!(value, Value::Table(_) | Value::Null)
}

/// Picks the leaves a stage asks for out of the params files. Returns them by file, and what is
/// missing.
///
/// `files` holds those that exist, parsed. A key that names no file is taken from the one default
/// file that has it; a key of a table stands for all leaves below. What looks like a secret is
/// recorded as its hash.
pub fn collect_params(
    stage: &Stage,
    defaults: &[DepPath],
    files: &BTreeMap<DepPath, Value>,
) -> (LiteMap<DepPath, Leaves>, Vec<MissingParam>) {
    let mut found: LiteMap<DepPath, Leaves> = LiteMap::new();
    let mut missing = Vec::new();
    for spec in &stage.spec.params {
        let searched = spec.file.as_ref().map_or(defaults, std::slice::from_ref);
        let mut having = pick(spec.key.as_ref(), searched, files);
        match having.len() {
            1 => {
                let (file, leaves) = having.remove(0);
                if !leaves.is_empty() {
                    found.entry(file.clone()).or_default().extend(leaves);
                }
            }
            _ => missing.push(miss(stage, spec, searched, files, &having)),
        }
    }
    for (_, leaves) in &mut found {
        for (key, value) in leaves.iter_mut().filter(|(key, _)| is_secret(key)) {
            *value = hidden(key, value);
        }
    }
    (found, missing)
}

/// Whether a key sounds like that of a secret.
pub fn is_secret(key: &KeyPath) -> bool {
    let Some(name) = key.segments().last() else {
        return false;
    };
    let name = name.to_lowercase();
    let parts = ["token", "secret", "password"];
    name.ends_with("_key") || parts.iter().any(|part| name.contains(part))
}

/// A value as it may be shown: what sounds like a secret, itself or in a table, as its hash.
pub fn without_secrets(key: &KeyPath, value: &Value) -> Value {
    match value {
        _ if is_secret(key) => hidden(key, value),
        Value::Table(table) => {
            let shown = table.iter().map(|(name, value)| {
                let segments = key.segments().iter().cloned();
                let key = KeyPath::new(segments.chain([name.clone()]).collect());
                (name.clone(), without_secrets(&key, value))
            });
            Value::Table(shown.collect())
        }
        value => value.clone(),
    }
}

/// What is recorded of a secret: enough to see that it changed.
fn hidden(key: &KeyPath, value: &Value) -> Value {
    let text = format!("{key}\0{}", value.to_lock_text());
    let digest = Digest::derive(Context::Secret, text.as_bytes());
    Value::String(format!("hash:{}", digest.short(16)))
}

/// The leaves at a key (all, if there is none) in each file that has it.
fn pick<'a>(
    key: Option<&KeyPath>,
    searched: &'a [DepPath],
    files: &BTreeMap<DepPath, Value>,
) -> Vec<(&'a DepPath, Leaves)> {
    let having = searched.iter().filter_map(|file| {
        let value = files.get(file)?;
        let leaves = match key {
            Some(key) => value.leaves_at(key)?,
            None if is_table(value) => value.leaves(),
            None => return None,
        };
        Some((file, leaves))
    });
    having.collect()
}

fn miss(
    stage: &Stage,
    spec: &ParamSpec,
    searched: &[DepPath],
    files: &BTreeMap<DepPath, Value>,
    having: &[(&DepPath, Leaves)],
) -> MissingParam {
    let wanted = spec.key.as_ref().map(KeyPath::to_string);
    let known: Vec<String> = searched
        .iter()
        .filter_map(|file| files.get(file))
        .flat_map(keys_of)
        .collect();
    let suggestion = wanted
        .as_deref()
        .and_then(|wanted| closest_key(wanted, known.iter().map(String::as_str)))
        .map(str::to_owned);
    MissingParam {
        stage: stage.name.clone(),
        key: wanted.unwrap_or_else(|| "*".to_owned()),
        files: searched.iter().map(DepPath::to_string).collect(),
        having: having.iter().map(|(file, _)| file.to_string()).collect(),
        why: why_lost(spec.key.as_ref(), searched, files),
        at: spec.at.clone(),
        suggestion,
    }
}

/// All keys of a params file, those of tables too.
pub(in crate::pipeline) fn keys_of(file: &Value) -> Vec<String> {
    let leaves = file.leaves();
    leaves.keys().flat_map(with_tables).collect()
}

/// A key and the keys of all tables around it.
fn with_tables(key: &KeyPath) -> Vec<String> {
    let segments = key.segments();
    (1..=segments.len())
        .map(|n_segments| KeyPath::new(segments[..n_segments].to_vec()).to_string())
        .collect()
}
