//! Looks at the disk for the pipeline: what each stage depends on, asks for and has written.

use std::collections::{BTreeMap, BTreeSet};

use super::content::{self, found_entries, to_dep_hash, to_recorded, write_nodes};
use super::{EditedReport, Result, Site, links};
use crate::fs;
use crate::metrics;
use crate::path::{DepPath, RelPath};
use crate::pipeline::{self, Facts, Graph, MissingParam, Stage};
use crate::project::{Lock, Recorded};
use crate::tree::Entry;
use crate::value::Value;
use crate::workspace::{Found, Index, Placed, Rules};

/// Looks at paths, each at most once until it is told that they changed.
pub(super) struct Observer<'s> {
    pub(super) site: &'s Site<'s>,
    pub(super) index: Index,
    /// Objects that turned out to be edited in place.
    pub(super) edited: Vec<EditedReport>,
    /// What esker tracks or writes: counts although git ignores it.
    managed: Vec<RelPath>,
    recorded: BTreeMap<RelPath, Recorded>,
    placed: Placed,
    deps: BTreeMap<DepPath, Found>,
    outs: BTreeMap<RelPath, Found>,
    params: BTreeMap<DepPath, Value>,
    /// Params files that are not there.
    no_params: BTreeSet<DepPath>,
}

impl<'s> Observer<'s> {
    /// Starts with nothing seen.
    pub(super) fn new(site: &'s Site<'s>, lock: &Lock, graph: &Graph) -> Self {
        let outs = graph.stages().values().flat_map(|stage| stage.outs.iter());
        Self {
            site,
            index: site.index(),
            edited: Vec::new(),
            recorded: owned(content::stored(lock)),
            // A damaged one is told by whoever writes it.
            placed: Placed::load(&site.layout.placed()).unwrap_or_default(),
            managed: lock.data.keys().chain(outs).cloned().collect(),
            deps: BTreeMap::new(),
            outs: BTreeMap::new(),
            params: BTreeMap::new(),
            no_params: BTreeSet::new(),
        }
    }

    /// All that decides whether a stage is fresh, and the params it misses.
    pub(super) fn facts(&mut self, stage: &Stage) -> Result<(Facts, Vec<MissingParam>)> {
        let mut facts = Facts::default();
        for path in &stage.deps {
            facts
                .deps
                .insert(path.clone(), to_dep_hash(self.dep(path)?));
        }
        for path in &stage.outs {
            facts
                .outs
                .insert(path.clone(), to_recorded(self.out(path)?));
        }
        self.read_params(stage)?;
        let defaults = &self.site.manifest.params;
        let (params, missing) = pipeline::collect_params(stage, defaults, &self.params);
        facts.params = params;
        Ok((facts, missing))
    }

    /// What lies at a dependency. One that is tracked or an output as a whole is looked at once.
    pub(super) fn dep(&mut self, path: &DepPath) -> Result<&Found> {
        let managed = path.inside().filter(|path| self.managed.contains(path));
        if let Some(path) = managed {
            return self.out(&path);
        }
        if !self.deps.contains_key(path) {
            let found = self
                .site
                .scanner(&mut self.index)
                .scan_dep(path, &self.managed)?;
            self.deps.insert(path.clone(), found);
        }
        Ok(&self.deps[path])
    }

    /// What lies at an output or a tracked path.
    pub(super) fn out(&mut self, path: &RelPath) -> Result<&Found> {
        if !self.outs.contains_key(path) {
            let mut scanner = self.site.scanner(&mut self.index);
            let found = scanner.scan(path, Rules::Data)?;
            let recorded = self.recorded.get(path);
            let edited = links::take_out_edited(
                self.site,
                &mut self.index,
                path,
                &found,
                recorded,
                &self.placed,
            )?;
            self.edited.extend(edited);
            self.outs.insert(path.clone(), found);
        }
        Ok(&self.outs[path])
    }

    /// What lies at an output or a tracked path, entry by entry.
    pub(super) fn entries(&mut self, path: &RelPath) -> Result<Vec<(RelPath, Entry)>> {
        let found = self.out(path)?.clone();
        found_entries(&mut self.site.scanner(&mut self.index), path, &found)
    }

    /// Reads a path anew, and stores what it reads.
    pub(super) fn store(&mut self, path: &RelPath) -> Result<&Found> {
        self.forget(std::slice::from_ref(path));
        let mut scanner = self.site.storing_scanner(&mut self.index);
        let found = scanner.scan(path, Rules::Data)?;
        self.outs.insert(path.clone(), found);
        Ok(&self.outs[path])
    }

    /// Puts the nodes of what was found at a path into the store.
    pub(super) fn write_nodes(&mut self, path: &RelPath, found: &Found) -> Result<()> {
        write_nodes(&mut self.site.scanner(&mut self.index), path, found)
    }

    /// Forgets what was seen at, above and below paths that changed.
    pub(super) fn forget(&mut self, paths: &[RelPath]) {
        let touched = |path: &RelPath| paths.iter().any(|changed| changed.overlaps(path));
        self.outs.retain(|path, _| !touched(path));
        self.deps
            .retain(|dep, _| !paths.iter().any(|changed| dep.touches(changed)));
        self.params
            .retain(|path, _| !path.inside().is_some_and(|path| touched(&path)));
        self.no_params
            .retain(|path| !path.inside().is_some_and(|path| touched(&path)));
    }

    /// Forgets what was seen of a stage's dependencies, so that they are looked at again.
    pub(super) fn forget_deps(&mut self, stage: &Stage) {
        for path in &stage.deps {
            self.deps.remove(path);
        }
    }

    /// Writes the stat index; a failure costs only time, so it is not told.
    pub(super) fn save_index(&mut self) {
        let _ = self.index.save(&self.site.layout.index());
    }

    fn read_params(&mut self, stage: &Stage) -> Result<()> {
        let named = stage
            .spec
            .params
            .iter()
            .filter_map(|param| param.file.as_ref());
        let defaults = self.site.manifest.params.iter();
        let uses_defaults = stage.spec.params.iter().any(|param| param.file.is_none());
        let files: Vec<&DepPath> = named.chain(defaults.filter(|_| uses_defaults)).collect();
        for file in files {
            if !self.params.contains_key(file) && !self.no_params.contains(file) {
                match read_values(self.site, file)? {
                    Some(value) => {
                        self.params.insert(file.clone(), value);
                    }
                    None => {
                        self.no_params.insert(file.clone());
                    }
                }
            }
        }
        Ok(())
    }
}

fn owned(recorded: BTreeMap<RelPath, &Recorded>) -> BTreeMap<RelPath, Recorded> {
    let recorded = recorded.into_iter();
    recorded
        .map(|(path, recorded)| (path, recorded.clone()))
        .collect()
}

/// Reads a file of values from disk; `None` if there is none.
pub(super) fn read_values(site: &Site<'_>, file: &DepPath) -> Result<Option<Value>> {
    let bytes = fs::read_if_exists(&file.to_path(&site.layout.root))?;
    Ok(bytes
        .map(|bytes| metrics::parse(file.as_str(), &bytes))
        .transpose()?)
}
