//! `stage list`: the stages as written.

use super::{Result, Site, World};

/// All stages.
#[derive(Debug, serde::Serialize)]
pub struct StagesReport {
    /// In the order they would run.
    pub stages: Vec<StageEntry>,
}

/// One stage.
#[derive(Debug, serde::Serialize)]
pub struct StageEntry {
    /// Its name.
    pub name: String,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desc: Option<String>,
    /// Its commands.
    pub cmd: Vec<String>,
    /// What it reads.
    pub deps: Vec<String>,
    /// What it writes.
    pub outs: Vec<String>,
    /// Whether it is left alone.
    pub frozen: bool,
}

/// Lists the stages, each after all it needs.
pub fn stage_list(world: &World<'_>) -> Result<StagesReport> {
    let site = Site::open(world)?;
    let graph = site.graph(&site.lock()?)?;
    let order = graph.order().into_iter();
    let stages = order.map(|name| {
        let stage = &graph.stages()[&name];
        StageEntry {
            desc: stage.spec.desc.clone(),
            cmd: stage.spec.cmd.scripts().to_vec(),
            deps: stage.deps.iter().map(ToString::to_string).collect(),
            outs: stage.outs.iter().map(ToString::to_string).collect(),
            frozen: stage.spec.frozen,
            name,
        }
    });
    Ok(StagesReport {
        stages: stages.collect(),
    })
}
