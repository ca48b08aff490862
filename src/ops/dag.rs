//! `dag`: the graph of data and stages, with states.

use super::facts::Observer;
use super::status::{StageState, stage_statuses};
use super::{Result, Site, World};
use crate::path::DepPath;
use crate::pipeline::Graph;
use crate::project::Lock;

/// The graph.
#[derive(Debug, serde::Serialize)]
pub struct DagReport {
    /// Stages, and the tracked data they read.
    pub nodes: Vec<DagNode>,
    /// From whom to whom.
    pub edges: Vec<DagEdge>,
}

/// A stage, or tracked data.
#[derive(Debug, serde::Serialize)]
pub struct DagNode {
    /// Its name or path.
    pub name: String,
    /// The state of a stage; data has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<StageState>,
    /// How far right it stands: after all it needs.
    pub level: usize,
}

/// Who is needed by whom.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct DagEdge {
    /// The one that is needed.
    pub from: String,
    /// The one that needs it.
    pub to: String,
}

/// Draws up the graph: tracked data first, then stages in the order they would run.
pub fn dag(world: &World<'_>) -> Result<DagReport> {
    let site = Site::open(world)?;
    let lock = site.lock()?;
    let graph = site.graph(&lock)?;
    let mut observer = Observer::new(&site, &lock, &graph);
    let statuses = stage_statuses(&mut observer, &lock, &graph)?;
    observer.save_index();
    let edges = edges(&graph, &lock);
    let mut nodes: Vec<DagNode> = lock
        .data
        .keys()
        .filter(|path| edges.iter().any(|edge| edge.from == path.as_str()))
        .map(|path| DagNode {
            name: path.to_string(),
            state: None,
            level: 0,
        })
        .collect();
    for status in statuses {
        let above = edges.iter().filter(|edge| edge.to == status.name);
        let levels = above.filter_map(|edge| nodes.iter().find(|node| node.name == edge.from));
        let level = levels.map(|node| node.level + 1).max().unwrap_or(0);
        nodes.push(DagNode {
            name: status.name,
            state: Some(status.state),
            level,
        });
    }
    Ok(DagReport { nodes, edges })
}

fn edges(graph: &Graph, lock: &Lock) -> Vec<DagEdge> {
    let mut edges = Vec::new();
    for (name, stage) in graph.stages() {
        let above = graph.upstream(name).iter().cloned();
        let reads = |path: &DepPath, data: &crate::path::RelPath| {
            path.inside().is_some_and(|path| path.overlaps(data))
        };
        let data = lock.data.keys();
        let data = data.filter(|data| stage.deps.iter().any(|dep| reads(dep, data)));
        edges.extend(
            above
                .chain(data.map(ToString::to_string))
                .map(|from| DagEdge {
                    from,
                    to: name.clone(),
                }),
        );
    }
    edges.sort();
    edges
}
