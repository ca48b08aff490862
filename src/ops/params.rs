//! `params diff`: which params differ between two sides.

use std::collections::BTreeSet;

use super::revisions::{Side, sides};
use super::{Result, Site, World};
use crate::metrics;
use crate::path::DepPath;
use crate::project::Lock;
use crate::value::{self, Leaves};

/// What differs.
#[derive(Debug, serde::Serialize)]
pub struct ParamsReport {
    /// The old side.
    pub from: String,
    /// The new side.
    pub to: String,
    /// Every leaf that differs.
    pub changes: Vec<ParamChange>,
}

/// One leaf that differs.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct ParamChange {
    /// The params file.
    pub file: DepPath,
    /// The key.
    pub key: String,
    /// Before; absent if it was not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<serde_json::Value>,
    /// After; absent if it is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<serde_json::Value>,
}

/// Compares the params files of two sides: the default files, those that stages name, and those
/// that either side's lock names.
pub fn params_diff(world: &World<'_>, revs: &[String]) -> Result<ParamsReport> {
    let site = Site::open(world)?;
    let (from, to) = sides(&site, revs)?;
    let mut changes = Vec::new();
    for file in files(&site, &from.lock(&site)?, &to.lock(&site)?)? {
        let old = leaves(&site, &from, &file)?;
        let new = leaves(&site, &to, &file)?;
        changes.extend(
            value::diff(&old, &new)
                .into_iter()
                .map(|change| ParamChange {
                    file: file.clone(),
                    key: change.key.to_string(),
                    old: change.old.map(|value| value.to_json()),
                    new: change.new.map(|value| value.to_json()),
                }),
        );
    }
    Ok(ParamsReport {
        from: from.name(),
        to: to.name(),
        changes,
    })
}

fn files(site: &Site<'_>, old: &Lock, new: &Lock) -> Result<BTreeSet<DepPath>> {
    let locks = old.stages.values().chain(new.stages.values());
    let recorded = locks.flat_map(|stage| stage.params.keys());
    let stages = site.stages()?;
    let params = stages.values().flat_map(|stage| &stage.params);
    let named = params.filter_map(|param| param.file.as_ref());
    let all = site.manifest.params.iter().chain(recorded).chain(named);
    Ok(all.cloned().collect())
}

fn leaves(site: &Site<'_>, side: &Side, file: &DepPath) -> Result<Leaves> {
    match side.read(site, file.as_str())? {
        Some(bytes) => Ok(metrics::parse(file.as_str(), &bytes)?.leaves()),
        None => Ok(Leaves::new()),
    }
}
