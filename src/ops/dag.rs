//! `dag`: the graph of data and stages, or of outputs, with states.

use std::collections::{BTreeMap, BTreeSet};

use super::content::overlapping;
use super::facts::Observer;
use super::status::{StageState, stage_statuses};
use super::{Result, Site, World};
use crate::pipeline::{Graph, Stage};
use crate::project::Lock;

/// What to draw.
#[derive(Clone, Debug, Default)]
pub struct DagOptions {
    /// Stages, matrices, outputs or patterns: only these and what they need; none: everything.
    pub targets: Vec<String>,
    /// What stages write in place of the stages.
    pub outs: bool,
}

/// The graph.
#[derive(Debug, serde::Serialize)]
pub struct DagReport {
    /// Stages or outputs, and the tracked data that is read; each after all it needs.
    pub nodes: Vec<DagNode>,
    /// From whom to whom.
    pub edges: Vec<DagEdge>,
}

/// A stage, an output, or tracked data.
#[derive(Debug, serde::Serialize)]
pub struct DagNode {
    /// Its name or path.
    pub name: String,
    /// The state of a stage, or of the one that writes an output; data has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<StageState>,
    /// The stage that writes an output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// How far right it stands: after all it needs.
    pub level: usize,
}

/// Who is needed by whom.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct DagEdge {
    /// The one that is needed.
    pub from: String,
    /// The one that needs it.
    pub to: String,
}

/// Draws up the graph: tracked data first, then stages or outputs in the order of the run.
pub fn dag(world: &World<'_>, options: &DagOptions) -> Result<DagReport> {
    let site = Site::open(world)?;
    let lock = site.lock()?;
    let graph = site.graph(&lock)?;
    let mut wanted = BTreeSet::new();
    for target in &options.targets {
        let path = site.path(target).ok();
        wanted.extend(graph.targets(target, path.as_ref())?);
    }
    let wanted = graph.with_upstream(&wanted);
    let mut observer = Observer::new(&site, &lock, &graph);
    let statuses = stage_statuses(&mut observer, &lock, &graph)?;
    observer.save_index();
    let mut draft = Draft::default();
    for status in statuses {
        if options.targets.is_empty() || wanted.contains(&status.name) {
            let stage = &graph.stages()[&status.name];
            match options.outs {
                true => draft.outs(&graph, &lock, stage, status.state),
                false => draft.stage(&graph, &lock, stage, status.state),
            }
        }
    }
    Ok(draft.report())
}

/// A report that grows stage by stage, each after all it needs.
#[derive(Default)]
struct Draft {
    data: BTreeSet<String>,
    nodes: Vec<DagNode>,
    edges: BTreeSet<DagEdge>,
    levels: BTreeMap<String, usize>,
}

impl Draft {
    fn stage(&mut self, graph: &Graph, lock: &Lock, stage: &Stage, state: StageState) {
        let above = graph.upstream(&stage.name).map(|above| above.name.clone());
        let above: Vec<String> = above.chain(self.data_of(lock, stage)).collect();
        self.node(stage.name.clone(), state, None, &above);
    }

    fn outs(&mut self, graph: &Graph, lock: &Lock, stage: &Stage, state: StageState) {
        let upstream = graph.upstream(&stage.name);
        let written = upstream.flat_map(|above| &above.outs);
        let read = written.filter(|out| stage.deps.iter().any(|dep| dep.touches(out)));
        let mut above: Vec<String> = read.map(ToString::to_string).collect();
        above.extend(self.data_of(lock, stage));
        for out in &stage.outs {
            self.node(out.to_string(), state, Some(&stage.name), &above);
        }
    }

    fn node(&mut self, name: String, state: StageState, stage: Option<&str>, above: &[String]) {
        let levels = above.iter().filter_map(|name| self.levels.get(name));
        let level = levels.max().map_or(0, |level| level + 1);
        self.levels.insert(name.clone(), level);
        self.edges.extend(above.iter().map(|from| DagEdge {
            from: from.clone(),
            to: name.clone(),
        }));
        self.nodes.push(DagNode {
            name,
            state: Some(state),
            stage: stage.map(str::to_owned),
            level,
        });
    }

    /// The tracked paths that a stage reads.
    fn data_of(&mut self, lock: &Lock, stage: &Stage) -> BTreeSet<String> {
        let (patterns, plain): (Vec<_>, Vec<_>) =
            stage.deps.iter().partition(|dep| dep.is_pattern());
        let plain = plain.into_iter().filter_map(|dep| dep.inside());
        let plain = plain.flat_map(|dep| overlapping(&lock.data, &dep));
        let matched = lock.data.keys();
        let matched = matched.filter(|path| patterns.iter().any(|dep| dep.touches(path)));
        let data = plain.map(|(path, _)| path).chain(matched);
        let data: BTreeSet<String> = data.map(ToString::to_string).collect();
        for path in &data {
            self.levels.insert(path.clone(), 0);
            self.data.insert(path.clone());
        }
        data
    }

    fn report(self) -> DagReport {
        let data = self.data.into_iter().map(|name| DagNode {
            name,
            state: None,
            stage: None,
            level: 0,
        });
        DagReport {
            nodes: data.chain(self.nodes).collect(),
            edges: self.edges.into_iter().collect(),
        }
    }
}
