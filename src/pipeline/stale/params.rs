//! Which params a stage reads: picks leaves out of parsed params files.

use std::collections::BTreeMap;

use crate::path::DepPath;
use crate::pipeline::Stage;
use crate::project::{Location, ParamSpec};
use crate::suggest::closest;
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
    /// Where it is asked for.
    pub at: Location,
    /// A key that may have been meant.
    pub suggestion: Option<String>,
}

/// Picks the leaves a stage asks for out of the params files. Returns them by file, and what is
/// missing.
///
/// `files` holds those that exist, parsed. A key that names no file is taken from the first of
/// the default files that has it; a key of a table stands for all leaves below.
pub fn collect_params(
    stage: &Stage,
    defaults: &[DepPath],
    files: &BTreeMap<DepPath, Value>,
) -> (BTreeMap<DepPath, Leaves>, Vec<MissingParam>) {
    let mut found: BTreeMap<DepPath, Leaves> = BTreeMap::new();
    let mut missing = Vec::new();
    for spec in &stage.spec.params {
        let searched = spec.file.as_ref().map_or(defaults, std::slice::from_ref);
        match pick(spec.key.as_ref(), searched, files) {
            Some((_, leaves)) if leaves.is_empty() => {}
            Some((file, leaves)) => found.entry(file.clone()).or_default().extend(leaves),
            None => missing.push(miss(stage, spec, searched, files)),
        }
    }
    (found, missing)
}

/// The leaves at a key (all, if there is none) in the first file that has it.
fn pick<'a>(
    key: Option<&KeyPath>,
    searched: &'a [DepPath],
    files: &BTreeMap<DepPath, Value>,
) -> Option<(&'a DepPath, Leaves)> {
    searched.iter().find_map(|file| {
        let value = files.get(file)?;
        let leaves = match key {
            Some(key) => value.leaves_at(key)?,
            None => value.leaves(),
        };
        Some((file, leaves))
    })
}

fn miss(
    stage: &Stage,
    spec: &ParamSpec,
    searched: &[DepPath],
    files: &BTreeMap<DepPath, Value>,
) -> MissingParam {
    let wanted = spec.key.as_ref().map(KeyPath::to_string);
    let known: Vec<String> = searched
        .iter()
        .filter_map(|file| files.get(file))
        .flat_map(Value::leaves)
        .flat_map(|(key, _)| with_tables(&key))
        .collect();
    let suggestion = wanted
        .as_deref()
        .and_then(|wanted| closest(wanted, known.iter().map(String::as_str)))
        .map(str::to_owned);
    MissingParam {
        stage: stage.name.clone(),
        key: wanted.unwrap_or_else(|| "*".to_owned()),
        files: searched.iter().map(DepPath::to_string).collect(),
        at: spec.at.clone(),
        suggestion,
    }
}

/// A key and the keys of all tables around it.
fn with_tables(key: &KeyPath) -> Vec<String> {
    let segments = key.segments();
    (1..=segments.len())
        .map(|n_segments| KeyPath::new(segments[..n_segments].to_vec()).to_string())
        .collect()
}
