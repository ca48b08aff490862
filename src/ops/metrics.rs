//! `metrics show` and `metrics diff`: the numbers of a commit or the workspace, and how they moved.

use std::collections::{BTreeMap, BTreeSet};

use litemap::LiteMap;

use super::facts::Observer;
use super::revisions::{Side, sides};
use super::{Result, Site, World};
use crate::fs;
use crate::metrics::{self, Direction};
use crate::path::{Patterns, RelPath};
use crate::project::{Goal, Lock};
use crate::value::{Leaves, Value};

/// The numbers of one side.
#[derive(Debug, serde::Serialize)]
pub struct MetricsShowReport {
    /// Which side.
    pub rev: String,
    /// By file, each leaf by key.
    pub metrics: BTreeMap<RelPath, BTreeMap<String, serde_json::Value>>,
    /// Files that cannot be read, and why; the others are shown all the same.
    pub errors: Vec<MetricsError>,
}

/// A metrics file that cannot be read.
#[derive(Debug, serde::Serialize)]
pub struct MetricsError {
    /// Which file.
    pub file: RelPath,
    /// What is wrong.
    pub message: String,
}

/// How numbers moved.
#[derive(Debug, serde::Serialize)]
pub struct MetricsDiffReport {
    /// The old side.
    pub from: String,
    /// The new side.
    pub to: String,
    /// Every number that differs (all of them if asked).
    pub changes: Vec<MetricChange>,
}

impl MetricsDiffReport {
    /// Whether any number with a goal moved the wrong way.
    pub fn got_worse(&self) -> bool {
        self.changes
            .iter()
            .any(|change| change.better == Some(false))
    }
}

/// One number on two sides.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct MetricChange {
    /// The metrics file.
    pub file: RelPath,
    /// The key.
    pub key: String,
    /// Before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<serde_json::Value>,
    /// After.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<serde_json::Value>,
    /// New minus old, if both are numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delta: Option<f64>,
    /// Whether that is better; `null` without a goal or a movement.
    pub better: Option<bool>,
}

/// Shows the numbers of a commit, or of the workspace.
pub fn metrics_show(world: &World<'_>, rev: Option<&str>) -> Result<MetricsShowReport> {
    let site = Site::open(world)?;
    let side = match rev {
        Some(name) => Side::Commit(site.git.rev(name)?),
        None => Side::Workspace,
    };
    let (numbers, errors) = numbers(&site, &side)?;
    let json = |leaves: Leaves| {
        let leaves = leaves.into_iter();
        leaves
            .map(|(key, value)| (key.to_string(), value.to_json()))
            .collect()
    };
    Ok(MetricsShowReport {
        rev: side.name(),
        metrics: numbers
            .into_iter()
            .map(|(file, leaves)| (file, json(leaves)))
            .collect(),
        errors,
    })
}

/// Compares the numbers of two sides.
pub fn metrics_diff(world: &World<'_>, revs: &[String], all: bool) -> Result<MetricsDiffReport> {
    let site = Site::open(world)?;
    let (from, to) = sides(&site, revs)?;
    let (old, _) = numbers(&site, &from)?;
    let (new, _) = numbers(&site, &to)?;
    let files: BTreeSet<&RelPath> = old.keys().chain(new.keys()).collect();
    let none = Leaves::new();
    let mut changes = Vec::new();
    for file in files {
        let (old, new) = (
            old.get(file).unwrap_or(&none),
            new.get(file).unwrap_or(&none),
        );
        let keys: BTreeSet<_> = old.keys().chain(new.keys()).collect();
        for key in keys {
            let (before, after) = (old.get(key), new.get(key));
            if all || before != after {
                let goal = direction(&site, &key.to_string());
                changes.push(change(file, key.to_string(), before, after, goal));
            }
        }
    }
    Ok(MetricsDiffReport {
        from: from.name(),
        to: to.name(),
        changes,
    })
}

fn change(
    file: &RelPath,
    key: String,
    old: Option<&Value>,
    new: Option<&Value>,
    goal: Option<Direction>,
) -> MetricChange {
    let movement = metrics::movement(old, new, goal);
    MetricChange {
        file: file.clone(),
        key,
        old: old.map(Value::to_json),
        new: new.map(Value::to_json),
        delta: movement.map(|movement| movement.delta),
        better: movement.and_then(|movement| movement.better),
    }
}

/// The goal of a key: of its whole text, else of its last segment.
fn direction(site: &Site<'_>, key: &str) -> Option<Direction> {
    let goals = &site.manifest.goals;
    let last = key.rsplit('.').next().unwrap_or(key);
    let goal = goals.get(key).or_else(|| goals.get(last))?;
    Some(match goal {
        Goal::Max => Direction::Max,
        Goal::Min => Direction::Min,
    })
}

pub(super) type Numbers = BTreeMap<RelPath, Leaves>;

/// The numbers of a side: those the lock records, and those of metrics files that no stage writes.
/// In the workspace, what is on disk counts more than what is recorded.
fn numbers(site: &Site<'_>, side: &Side) -> Result<(Numbers, Vec<MetricsError>)> {
    let lock = side.lock(site)?;
    let recorded = lock.stages.into_values().flat_map(|stage| stage.metrics);
    let mut numbers: Numbers = recorded.collect();
    let mut errors = Vec::new();
    let plain = |text: &String| RelPath::parse(text).ok();
    let mut files: BTreeSet<RelPath> = site.manifest.metrics.iter().filter_map(plain).collect();
    files.extend(numbers.keys().cloned());
    for file in files {
        if *side != Side::Workspace && numbers.contains_key(&file) {
            continue;
        }
        let Some(bytes) = side.read(site, file.as_str())? else {
            continue;
        };
        match metrics::parse(file.as_str(), &bytes) {
            Ok(value) => {
                numbers.insert(file, metrics::numbers(&value));
            }
            Err(error) => errors.push(MetricsError {
                message: error.to_string(),
                file,
            }),
        }
    }
    Ok((numbers, errors))
}

/// The numbers of the metrics files among a stage's outputs, as its record keeps them.
pub(super) fn numbers_of(
    observer: &mut Observer<'_>,
    outs: &[RelPath],
) -> Result<LiteMap<RelPath, Leaves>> {
    let site = observer.site;
    let patterns = Patterns::new(site.manifest.metrics.iter().map(String::as_str))?;
    let mut numbers = LiteMap::new();
    if site.manifest.metrics.is_empty() {
        return Ok(numbers);
    }
    for path in outs {
        for (file, _) in observer.entries(path)? {
            if !patterns.matches(&file) {
                continue;
            }
            let bytes = fs::read(&file.to_path(&site.layout.root))?;
            let leaves = metrics::numbers(&metrics::parse(file.as_str(), &bytes)?);
            if !leaves.is_empty() {
                numbers.insert(file, leaves);
            }
        }
    }
    Ok(numbers)
}

/// The numbers that a lock records.
pub(super) fn recorded(lock: &Lock) -> Numbers {
    let stages = lock.stages.values();
    stages.flat_map(|stage| stage.metrics.clone()).collect()
}

/// The numbers that a reproduction moved, for its closing line: every number of the new lock, with
/// the old one where there is one.
pub(super) fn moved(site: &Site<'_>, old: &Numbers, new: &Numbers) -> Vec<MetricChange> {
    let leaves = new
        .iter()
        .flat_map(|(file, leaves)| leaves.iter().map(move |(key, value)| (file, key, value)));
    leaves
        .map(|(file, key, value)| {
            let before = old.get(file).and_then(|leaves| leaves.get(key));
            let goal = direction(site, &key.to_string());
            change(file, key.to_string(), before, Some(value), goal)
        })
        .collect()
}
