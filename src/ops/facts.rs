//! Looks at the disk for the pipeline: what each stage depends on, asks for and has written.

use std::collections::{BTreeMap, BTreeSet};

use super::content::{dep_hash, found_entries, stored, to_dep_hash, to_recorded, write_nodes};
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
    /// What is absent counts as this lock records it.
    pub(super) assumed: Option<Lock>,
}

impl<'s> Observer<'s> {
    /// Starts with nothing seen.
    pub(super) fn new(site: &'s Site<'s>, lock: &Lock, graph: &Graph) -> Self {
        let outs = graph.stages().values().flat_map(|stage| stage.outs.iter());
        Self {
            site,
            index: site.index(),
            edited: Vec::new(),
            recorded: owned(stored(lock)),
            // A damaged one is told by whoever writes it.
            placed: Placed::load(&site.layout.placed()).unwrap_or_default(),
            managed: lock.data.keys().chain(outs).cloned().collect(),
            deps: BTreeMap::new(),
            outs: BTreeMap::new(),
            params: BTreeMap::new(),
            no_params: BTreeSet::new(),
            assumed: None,
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
        if let Some(lock) = &self.assumed {
            fill_absent(self.site, lock, stage, &mut facts);
        }
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

    /// Reads an output anew, and stores it unless only its hash is wanted. Small ones are stored
    /// all the same: they never leave this clone, but the run cache can bring them back.
    pub(super) fn take_out(&mut self, stage: &Stage, path: &RelPath) -> Result<&Found> {
        const SMALL: u64 = 16 * 1024 * 1024;
        if !stage.options(path).store {
            self.forget(std::slice::from_ref(path));
            let recorded = to_recorded(self.out(path)?);
            if recorded.is_none_or(|recorded| recorded.size > SMALL) {
                return self.out(path);
            }
        }
        self.store(path)
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

    /// Forgets everything, because somebody else may have changed anything.
    pub(super) fn forget_all(&mut self) {
        self.deps.clear();
        self.outs.clear();
        self.params.clear();
        self.no_params.clear();
    }

    /// The files that a stage's params are looked for in.
    pub(super) fn params_files<'a>(&'a self, stage: &'a Stage) -> Vec<&'a DepPath> {
        let params = &stage.spec.params;
        let named = params.iter().filter_map(|param| param.file.as_ref());
        let uses_defaults = params.iter().any(|param| param.file.is_none());
        let defaults = self.site.manifest.params.iter();
        named.chain(defaults.filter(|_| uses_defaults)).collect()
    }

    /// Writes the stat index; a failure costs only time, so it is not told.
    pub(super) fn save_index(&mut self) {
        let _ = self.index.save(&self.site.layout.index());
    }

    fn read_params(&mut self, stage: &Stage) -> Result<()> {
        let files: Vec<DepPath> = self.params_files(stage).into_iter().cloned().collect();
        for file in files {
            if !self.params.contains_key(&file) && !self.no_params.contains(&file) {
                match read_values(self.site, &file)? {
                    Some(value) => {
                        self.params.insert(file, value);
                    }
                    None => {
                        self.no_params.insert(file);
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

/// Puts what a lock records in the place of what is absent.
pub(super) fn fill_absent(site: &Site<'_>, lock: &Lock, stage: &Stage, facts: &mut Facts) {
    let record = lock.stages.get(&stage.name);
    let stored = stored(lock);
    for (path, hash) in &mut facts.deps {
        let Some(inside) = path.inside() else {
            continue;
        };
        let mut parts = stored.keys().filter(|root| **root != inside);
        let is_partly_absent = parts.any(|root| path.touches(root) && is_absent(site, root));
        if hash.is_none() || is_partly_absent {
            let recorded = || record.and_then(|record| record.deps.get(path)).cloned();
            let source = stored.get(&inside);
            *hash = source.map(|source| dep_hash(source)).or_else(recorded);
        }
    }
    for (path, out) in &mut facts.outs {
        if out.is_none() {
            *out = record.and_then(|record| record.outs.get(path)).cloned();
        }
    }
}

/// Whether nothing is at a path.
pub(super) fn is_absent(site: &Site<'_>, path: &RelPath) -> bool {
    let at = path.to_path(&site.layout.root);
    at.symlink_metadata().is_err()
}

/// Reads a file of values from disk; `None` if there is none.
pub(super) fn read_values(site: &Site<'_>, file: &DepPath) -> Result<Option<Value>> {
    let bytes = fs::read_if_exists(&file.to_path(&site.layout.root))?;
    Ok(bytes
        .map(|bytes| metrics::parse(file.as_str(), &bytes))
        .transpose()?)
}
