//! The graph of stages: edges by path, by containment in both directions, by `@stage` and `needs`.

mod circle;
mod order;
mod places;
mod targets;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use litemap::LiteMap;

pub use self::circle::Tie;
use self::order::Edges;
use self::places::Places;
use super::{Error, Result};
use crate::path::{DepPath, RelPath};
use crate::project::manifest::DepTarget;
use crate::project::{Location, StageSpec};
use crate::suggest::{closest, closest_path};

/// A stage with its references resolved.
#[derive(Clone, Debug)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// As written.
    pub spec: Arc<StageSpec>,
    /// Paths it reads, `@stage` replaced by that stage's outputs; sorted, unique.
    pub deps: Vec<DepPath>,
    /// Paths it writes; sorted.
    pub outs: Vec<RelPath>,
}

impl Stage {
    fn new(name: String, spec: Arc<StageSpec>, deps: Vec<DepPath>) -> Self {
        let outs: BTreeSet<RelPath> = spec.outs.iter().map(|out| out.path.clone()).collect();
        Self {
            name,
            spec,
            deps,
            outs: outs.into_iter().collect(),
        }
    }
}

/// All stages and who needs whom. Stages are numbered by name.
#[derive(Clone, Debug)]
pub struct Graph {
    stages: LiteMap<String, Stage>,
    upstream: Edges,
    downstream: Edges,
    outs: Places<Out>,
    order: Vec<usize>,
}

type Specs = LiteMap<String, Arc<StageSpec>>;

/// Who writes a path, and where that is said.
#[derive(Clone, Debug)]
struct Out {
    stage: usize,
    at: Location,
}

impl Graph {
    /// Ties all stages together and checks them. `tracked` are the paths of `esker add`.
    pub fn build(specs: BTreeMap<String, Arc<StageSpec>>, tracked: &[RelPath]) -> Result<Self> {
        let specs: Specs = specs.into_iter().collect();
        check_references(&specs)?;
        let outs = claim_outs(&specs)?;
        check_tracked(&specs, &places(tracked))?;
        let deps: Vec<Vec<DepPath>> = specs.values().map(|spec| deps(spec, &specs)).collect();
        let stages = specs.into_iter().zip(deps);
        let stages: LiteMap<String, Stage> = stages
            .map(|((name, spec), deps)| (name.clone(), Stage::new(name, spec, deps)))
            .collect();
        let needed = stages
            .values()
            .map(|stage| needed_by(stage, &stages, &outs));
        let upstream: Edges = needed.collect();
        let downstream = order::reversed(&upstream);
        let order = order::sorted(&upstream, &downstream).map_err(|circle| {
            let circle: Vec<&Stage> = circle
                .into_iter()
                .map(|at| &stages.as_slice()[at].1)
                .collect();
            let names = circle.iter().map(|stage| stage.name.clone()).collect();
            let ties = circle::ties(&circle);
            Error::Cycle { names, ties }
        })?;
        Ok(Self {
            stages,
            upstream,
            downstream,
            outs,
            order,
        })
    }

    /// All stages by name.
    pub fn stages(&self) -> &LiteMap<String, Stage> {
        &self.stages
    }

    /// The stages this one needs directly.
    pub fn upstream(&self, name: &str) -> impl Iterator<Item = &Stage> {
        self.tied(&self.upstream, name)
    }

    /// The stages that need this one directly.
    pub fn downstream(&self, name: &str) -> impl Iterator<Item = &Stage> {
        self.tied(&self.downstream, name)
    }

    /// All stages, each after all it needs; among equals by name.
    pub fn in_order(&self) -> impl Iterator<Item = &Stage> {
        self.order.iter().map(|number| self.stage(*number))
    }

    /// These stages and all they need, directly or not.
    pub fn with_upstream(&self, names: &BTreeSet<String>) -> BTreeSet<String> {
        self.reached(&self.upstream, names)
    }

    /// These stages and all that need them, directly or not.
    pub fn with_downstream(&self, names: &BTreeSet<String>) -> BTreeSet<String> {
        self.reached(&self.downstream, names)
    }

    /// The stage of a name that is known to be one.
    ///
    /// # Panics
    /// When it is none.
    pub fn known(&self, name: &str) -> &Stage {
        self.stages.get(name).expect("the name of a stage")
    }

    fn stage(&self, number: usize) -> &Stage {
        &self.stages.as_slice()[number].1
    }

    fn tied<'g>(&'g self, edges: &'g Edges, name: &str) -> impl Iterator<Item = &'g Stage> {
        let number = self.stages.find_index(name).ok();
        let tied = number.into_iter().flat_map(|number| &edges[number]);
        tied.map(|number| self.stage(*number))
    }

    fn reached(&self, edges: &Edges, names: &BTreeSet<String>) -> BTreeSet<String> {
        let numbers = names
            .iter()
            .filter_map(|name| self.stages.find_index(name).ok());
        let reached = order::reached(edges, numbers).into_iter();
        reached
            .map(|number| self.stage(number).name.clone())
            .collect()
    }

    /// The stage that writes a path, or a directory that holds it.
    pub fn writer(&self, path: &RelPath) -> Option<&Stage> {
        let (_, out) = self.outs.holding(path)?;
        Some(self.stage(out.stage))
    }

    /// Whether a stage writes a path, a directory that holds it, or something in it.
    pub fn is_written_at(&self, path: &RelPath) -> bool {
        self.outs.overlapping(path).is_some()
    }

    /// The stage that a target names: a stage, an output, or a path inside one (`./x` is always a path).
    pub fn target(&self, text: &str) -> Result<&Stage> {
        // No stage name holds a `/`, so `./x` is never one.
        if let Some(stage) = self.stages.get(text) {
            return Ok(stage);
        }
        let path = RelPath::resolve(None, text).ok().flatten();
        path.and_then(|path| self.writer(&path))
            .ok_or_else(|| Error::UnknownTarget {
                target: text.to_owned(),
                suggestion: self.suggest_target(text),
            })
    }

    /// Checks that every dependency of these stages is written by a stage, tracked, or on disk
    /// (`exists`). Frozen stages need nothing.
    pub fn check_sources(
        &self,
        names: &BTreeSet<String>,
        tracked: &[RelPath],
        exists: &dyn Fn(&DepPath) -> bool,
    ) -> Result<()> {
        let tracked = places(tracked);
        let stages = names.iter().filter_map(|name| self.stages.get(name));
        for stage in stages.filter(|stage| !stage.spec.frozen) {
            for dep in &stage.spec.deps {
                let DepTarget::Path(path) = &dep.target else {
                    continue;
                };
                if !exists(path) && !self.is_written(path, &tracked) {
                    return Err(Error::MissingDep {
                        stage: stage.name.clone(),
                        path: path.to_string(),
                        at: Box::new(dep.at.clone()),
                        suggestion: self.suggest_source(stage, path, &tracked),
                    });
                }
            }
        }
        Ok(())
    }

    /// Whether a stage writes it or something in it, or it is tracked or holds what is.
    fn is_written(&self, path: &DepPath, tracked: &Places<()>) -> bool {
        if path.is_pattern() {
            let mut known = touched(path, tracked);
            return touched(path, &self.outs).next().is_some() || known.next().is_some();
        }
        path.inside().is_some_and(|path| {
            self.outs.overlapping(&path).is_some() || tracked.overlapping(&path).is_some()
        })
    }

    fn suggest_source(
        &self,
        stage: &Stage,
        path: &DepPath,
        tracked: &Places<()>,
    ) -> Option<(String, String)> {
        let writer = |out: &Out| &self.stage(out.stage).name;
        let others = self
            .outs
            .iter()
            .filter(|(_, out)| *writer(out) != stage.name);
        let known = others.map(|(path, _)| path);
        let known = known.chain(tracked.iter().map(|(path, ())| path));
        let found = closest_path(path.as_str(), known)?;
        let written = self.outs.iter().find(|(path, _)| *path == found);
        let who = written.map_or_else(
            || "tracked by esker".to_owned(),
            |(_, out)| format!("written by `{}`", writer(out)),
        );
        Some((found.to_owned(), who))
    }

    fn suggest_target(&self, text: &str) -> Option<String> {
        closest(text, names(&self.stages))
            .or_else(|| closest_path(text, self.outs.iter().map(|(path, _)| path)))
            .map(str::to_owned)
    }
}

/// The numbers of the stage of this name, or of all cells of the one with a matrix.
fn group<T>(stages: &LiteMap<String, T>, name: &str) -> impl Iterator<Item = usize> {
    let own = stages.find_index(name).ok();
    let cells = format!("{name}@");
    let begin = stages.find_index(&cells).unwrap_or_else(|next| next);
    let cells = stages.as_slice()[begin..]
        .iter()
        .take_while(|(found, _)| found.starts_with(&cells));
    own.into_iter().chain(begin..begin + cells.count())
}

/// All names that stages go by: their own, and those of matrices.
fn names<T>(stages: &LiteMap<String, T>) -> impl Iterator<Item = &str> + Clone {
    let own = stages.as_slice().iter().map(|(name, _)| name.as_str());
    let matrices = own.clone().filter_map(|name| name.split_once('@'));
    own.chain(matrices.map(|(name, _)| name))
}

/// Checks that every `@stage` and every `needs` names a stage.
fn check_references(specs: &Specs) -> Result<()> {
    for (stage, spec) in specs {
        let by_data = spec.deps.iter().filter_map(|dep| match &dep.target {
            DepTarget::Stage(name) => Some((name, &dep.at)),
            DepTarget::Path(_) => None,
        });
        let by_order = spec.needs.iter().map(|(name, at)| (name, at));
        for (name, at) in by_data.chain(by_order) {
            if group(specs, name).next().is_none() {
                return Err(Error::UnknownStage {
                    stage: stage.clone(),
                    missing: name.clone(),
                    at: Box::new(at.clone()),
                    suggestion: closest(name, names(specs)).map(str::to_owned),
                });
            }
        }
    }
    Ok(())
}

/// Gives every output to its stage; two that overlap are an error, told in the order of the file.
fn claim_outs(specs: &Specs) -> Result<Places<Out>> {
    let specs = specs.as_slice();
    let all = specs.iter().enumerate();
    let mut claims: Vec<_> = all
        .flat_map(|(stage, (_, spec))| spec.outs.iter().map(move |out| (stage, out)))
        .collect();
    claims.sort_by_key(|(_, out)| out.at.begin());
    let mut outs: Places<Out> = Places::new();
    for (stage, out) in claims {
        if let Some((path, first)) = outs.overlapping(&out.path) {
            let at = Box::new(first.at.clone());
            return Err(Error::OverlappingOuts {
                first: (specs[first.stage].0.clone(), path.to_owned(), at),
                second: (
                    specs[stage].0.clone(),
                    out.path.to_string(),
                    Box::new(out.at.clone()),
                ),
            });
        }
        let claim = Out {
            stage,
            at: out.at.clone(),
        };
        outs.insert(&out.path, claim);
    }
    Ok(outs)
}

fn check_tracked(specs: &Specs, tracked: &Places<()>) -> Result<()> {
    for (stage, spec) in specs {
        let clash = |path| tracked.overlapping(path).is_some();
        if let Some(out) = spec.outs.iter().find(|out| clash(&out.path)) {
            return Err(Error::OutIsTracked {
                stage: stage.clone(),
                path: out.path.to_string(),
                at: Box::new(out.at.clone()),
            });
        }
    }
    Ok(())
}

/// What a stage reads, `@stage` replaced by what that stage writes. All references must be checked
/// already.
fn deps(spec: &StageSpec, specs: &Specs) -> Vec<DepPath> {
    let mut deps = BTreeSet::new();
    for dep in &spec.deps {
        match &dep.target {
            DepTarget::Path(path) => deps.extend([path.clone()]),
            DepTarget::Stage(other) => {
                let all = specs.as_slice();
                let outs = group(specs, other).flat_map(|number| &all[number].1.outs);
                deps.extend(outs.map(|out| DepPath::from(out.path.clone())));
            }
        }
    }
    deps.into_iter().collect()
}

/// The stages that must come before: those it names, and those that write what it reads, a
/// directory around it, or something inside it. A stage that reads its own output needs itself.
fn needed_by(stage: &Stage, stages: &LiteMap<String, Stage>, outs: &Places<Out>) -> Vec<usize> {
    let by_data = stage.spec.deps.iter().filter_map(|dep| match &dep.target {
        DepTarget::Stage(name) => Some(name),
        DepTarget::Path(_) => None,
    });
    let by_order = stage.spec.needs.iter().map(|(name, _)| name);
    let named = by_data.chain(by_order).flat_map(|name| group(stages, name));
    let mut needed: Vec<usize> = named.collect();
    for dep in &stage.deps {
        needed.extend(writers(dep, outs).into_iter().map(|out| out.stage));
    }
    needed.sort_unstable();
    needed.dedup();
    needed
}

/// The outputs that a dependency is, lies in, holds, or matches.
fn writers<'o>(dep: &DepPath, outs: &'o Places<Out>) -> Vec<&'o Out> {
    if dep.is_pattern() {
        return touched(dep, outs).collect();
    }
    let Some(path) = dep.inside() else {
        return Vec::new();
    };
    let held = outs.holding(&path).into_iter().chain(outs.below(&path));
    held.map(|(_, out)| out).collect()
}

/// What lies at the paths that a pattern touches.
fn touched<'p, T>(pattern: &DepPath, places: &'p Places<T>) -> impl Iterator<Item = &'p T> {
    let is_touched = |path: &str| RelPath::parse(path).is_ok_and(|path| pattern.touches(&path));
    places
        .iter()
        .filter(move |(path, _)| is_touched(path))
        .map(|(_, value)| value)
}

fn places(paths: &[RelPath]) -> Places<()> {
    let mut places = Places::new();
    for path in paths {
        places.insert(path, ());
    }
    places
}
