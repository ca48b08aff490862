//! Stages built by hand, for the tests of this room.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Graph, Result};
use crate::path::{DepPath, RelPath};
use crate::project::manifest::DepTarget;
use crate::project::{Command, DepSpec, Location, OutOptions, OutSpec, ParamSpec, StageSpec};
use crate::value::KeyPath;

/// A stage under construction; `@x` among its dependencies is a stage.
#[derive(Clone, Debug)]
pub(super) struct Build {
    pub(super) name: String,
    pub(super) spec: StageSpec,
}

impl Build {
    /// A stage with a name and a command.
    pub(super) fn stage(name: &str) -> Self {
        let spec = StageSpec {
            at: Location::of_line(1),
            desc: None,
            cmd: Command::One(format!("run {name}")),
            wdir: None,
            deps: Vec::new(),
            params: Vec::new(),
            outs: Vec::new(),
            env: BTreeMap::new(),
            frozen: false,
            always: false,
            needs: Vec::new(),
            timeout: None,
            mutex: Vec::new(),
        };
        let name = name.to_owned();
        Self { name, spec }
    }

    /// Puts the whole stage at a line.
    pub(super) fn line(mut self, line: usize) -> Self {
        self.spec.at = Location::of_line(line);
        self
    }

    pub(super) fn deps(mut self, deps: &[&str]) -> Self {
        let at = &self.spec.at;
        let dep = |text: &&str| DepSpec {
            at: at.clone(),
            target: match text.strip_prefix('@') {
                Some(stage) => DepTarget::Stage(stage.to_owned()),
                None => DepTarget::Path(DepPath::parse(text).unwrap()),
            },
        };
        self.spec.deps = deps.iter().map(dep).collect();
        self
    }

    pub(super) fn outs(mut self, outs: &[&str]) -> Self {
        let at = &self.spec.at;
        let out = |text: &&str| OutSpec {
            at: at.clone(),
            path: RelPath::parse(text).unwrap(),
            options: OutOptions::default(),
        };
        self.spec.outs = outs.iter().map(out).collect();
        self
    }

    pub(super) fn needs(mut self, needs: &[&str]) -> Self {
        let at = &self.spec.at;
        let need = |text: &&str| ((*text).to_owned(), at.clone());
        self.spec.needs = needs.iter().map(need).collect();
        self
    }

    pub(super) fn mutex(mut self, names: &[&str]) -> Self {
        self.spec.mutex = names.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    /// `key`, `file:key`, or `file:*`; keys without quotes.
    pub(super) fn params(mut self, params: &[&str]) -> Self {
        let at = &self.spec.at;
        let param = |text: &&str| {
            let (file, key) = text.split_once(':').map_or((None, *text), |(file, key)| {
                (Some(DepPath::parse(file).unwrap()), key)
            });
            let key = (key != "*").then(|| key_path(key));
            let at = at.clone();
            ParamSpec { at, file, key }
        };
        self.spec.params = params.iter().map(param).collect();
        self
    }
}

/// A key without quotes.
pub(super) fn key_path(text: &str) -> KeyPath {
    KeyPath::new(text.split('.').map(str::to_owned).collect())
}

/// A set of names.
pub(super) fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Builds the graph of stages, with these tracked paths.
pub(super) fn try_graph(stages: &[Build], tracked: &[&str]) -> Result<Graph> {
    let stages = stages.iter().cloned();
    let specs = stages
        .map(|stage| (stage.name, Arc::new(stage.spec)))
        .collect();
    Graph::build(specs, &paths(tracked))
}

/// Builds the graph of stages that are in order.
pub(super) fn graph(stages: &[Build]) -> Graph {
    try_graph(stages, &[]).unwrap()
}

/// Paths by their texts.
pub(super) fn paths(texts: &[&str]) -> Vec<RelPath> {
    let paths = texts.iter().map(|text| RelPath::parse(text).unwrap());
    paths.collect()
}
