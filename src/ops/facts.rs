//! Looks at the disk for the pipeline: what each stage depends on, asks for and has written.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use litemap::LiteMap;

use super::content::{
    dep_hash, found_entries, recorded_dir, stored, to_dep_hash, to_recorded, touched, write_nodes,
};
use super::partial::{self, Completed};
use super::{EditedReport, Result, Site, links};
use crate::fs;
use crate::metrics;
use crate::path::{DepPath, RelPath};
use crate::pipeline::{self, Facts, Graph, MissingParam, Stage};
use crate::project::{DepHash, Lock, Recorded};
use crate::tree::{Entry, Tree};
use crate::value::{Leaves, Value};
use crate::workspace::{Found, Index, Passed, Placed, Rules, Scanner};

type Params = LiteMap<DepPath, Leaves>;

/// Looks at paths, each at most once until it is told that they changed.
pub(super) struct Observer<'s> {
    pub(super) site: &'s Site<'s>,
    pub(super) index: Index,
    /// Objects that turned out to be edited in place.
    pub(super) edited: Vec<EditedReport>,
    /// What esker tracks or writes, sorted: counts although git ignores it.
    managed: Vec<RelPath>,
    recorded: BTreeMap<RelPath, Recorded>,
    /// What was put in place last, read when it is asked for.
    placed: OnceCell<Placed>,
    passed: Passed,
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
        let managed: BTreeSet<&RelPath> = lock.data.keys().chain(outs).collect();
        Self {
            site,
            index: site.index(),
            edited: Vec::new(),
            recorded: owned(stored(lock)),
            placed: OnceCell::new(),
            managed: managed.into_iter().cloned().collect(),
            passed: Passed::default(),
            deps: BTreeMap::new(),
            outs: BTreeMap::new(),
            params: BTreeMap::new(),
            no_params: BTreeSet::new(),
            assumed: None,
        }
    }

    /// Reads what stages depend on together, as far as that pays ([`Scanner::scan_ahead`]).
    pub(super) fn look_ahead<'g>(&mut self, stages: impl Iterator<Item = &'g Stage>) {
        let managed = &self.managed;
        let is_managed = |path: &RelPath| managed.binary_search(path).is_ok();
        let deps = stages.flat_map(|stage| &stage.deps);
        let deps = deps.filter(|dep| !dep.inside().is_some_and(|path| is_managed(&path)));
        let mut scanner = Scanner {
            passed: Some(&mut self.passed),
            ..self.site.scanner(&mut self.index)
        };
        self.deps.extend(scanner.scan_ahead(deps));
    }

    /// All that decides whether a stage is fresh, and the params it misses.
    pub(super) fn facts(&mut self, stage: &Stage) -> Result<(Facts, Vec<MissingParam>)> {
        let mut facts = self.read_deps(stage)?;
        facts.outs = self.outs(stage)?;
        let (params, missing) = self.params(stage)?;
        facts.params = params;
        if let Some(lock) = &self.assumed {
            fill_absent(self.site, lock, stage, &mut facts);
        }
        Ok((facts, missing))
    }

    /// What lies at the outputs of a stage.
    pub(super) fn outs(&mut self, stage: &Stage) -> Result<LiteMap<RelPath, Option<Recorded>>> {
        let mut outs = LiteMap::with_capacity(stage.outs.len());
        for path in &stage.outs {
            outs.insert(path.clone(), self.whole(path)?);
        }
        Ok(outs)
    }

    /// What a stage reads, as it is now.
    pub(super) fn inputs(&mut self, stage: &Stage) -> Result<LiteMap<DepPath, Option<DepHash>>> {
        let mut facts = self.read_deps(stage)?;
        if let Some(lock) = &self.assumed {
            fill_absent(self.site, lock, stage, &mut facts);
        }
        Ok(facts.deps)
    }

    fn read_deps(&mut self, stage: &Stage) -> Result<Facts> {
        let mut facts = Facts::default();
        facts.deps.reserve(stage.deps.len());
        for path in &stage.deps {
            let hash = self.dep_hash(path)?;
            facts.deps.insert(path.clone(), hash);
        }
        Ok(facts)
    }

    /// The params that a stage asks for, and those that it misses.
    pub(super) fn params(&mut self, stage: &Stage) -> Result<(Params, Vec<MissingParam>)> {
        self.read_params(stage)?;
        let defaults = &self.site.manifest.params;
        Ok(pipeline::collect_params(stage, defaults, &self.params))
    }

    /// What lies at a dependency. One that is tracked or an output as a whole is looked at once.
    pub(super) fn dep(&mut self, path: &DepPath) -> Result<&Found> {
        if let Some(path) = self.managed_dep(path) {
            return self.out(&path);
        }
        if !self.deps.contains_key(path) {
            let mut scanner = Scanner {
                passed: Some(&mut self.passed),
                ..self.site.scanner(&mut self.index)
            };
            let found = scanner.scan_dep(path, &self.managed)?;
            self.deps.insert(path.clone(), found);
        }
        Ok(&self.deps[path])
    }

    /// The dependency as a path that is tracked or an output as a whole.
    fn managed_dep(&self, path: &DepPath) -> Option<RelPath> {
        let inside = path.inside();
        inside.filter(|path| self.managed.binary_search(path).is_ok())
    }

    /// What a dependency is now; `None` if it is not there, or not all of it.
    fn dep_hash(&mut self, path: &DepPath) -> Result<Option<DepHash>> {
        if let Some(path) = self.managed_dep(path) {
            return Ok(self.whole(&path)?.map(|recorded| dep_hash(&recorded)));
        }
        let roots = touched(&self.recorded, path).into_iter();
        for root in roots.cloned().collect::<Vec<_>>() {
            let mut absent = self.absent_parts(&root)?.into_iter();
            if absent.any(|(absent, _)| path.touches(&absent)) {
                return Ok(None);
            }
        }
        Ok(to_dep_hash(self.dep(path)?))
    }

    /// What lies at an output or a tracked path, as it would be recorded. A directory of which only
    /// a part was ever put here, and of which that part is unchanged, counts as absent.
    pub(super) fn whole(&mut self, path: &RelPath) -> Result<Option<Recorded>> {
        let now = to_recorded(self.out(path)?);
        if now.is_none() || now.as_ref() == self.recorded.get(path) {
            return Ok(now);
        }
        match self.completed(path)? {
            None => Ok(now),
            Some(all) => {
                let whole = recorded_dir(all.into_tree(path)?.summary());
                Ok(Some(whole).filter(|whole| Some(whole) != self.recorded.get(path)))
            }
        }
    }

    /// What lies in a directory together with what was never put there; `None` if nothing was left
    /// out.
    pub(super) fn completed(&mut self, path: &RelPath) -> Result<Option<Completed>> {
        let left_out = self.left_out(path)?;
        if left_out.is_empty() {
            return Ok(None);
        }
        Ok(partial::completed(&self.entries(path)?, left_out))
    }

    /// What is recorded in a directory of which a part is here, and was never put there.
    fn absent_parts(&mut self, path: &RelPath) -> Result<Vec<(RelPath, Entry)>> {
        let mut left_out = self.left_out(path)?;
        if !left_out.is_empty() {
            let there: BTreeMap<_, _> = self.entries(path)?.into_iter().collect();
            left_out.retain(|(path, _)| !there.contains_key(path));
        }
        Ok(left_out)
    }

    fn left_out(&mut self, path: &RelPath) -> Result<Vec<(RelPath, Entry)>> {
        match self.recorded.get(path) {
            Some(recorded) => partial::left_out(&self.site.store, path, recorded, self.placed()),
            None => Ok(Vec::new()),
        }
    }

    /// Whether nothing is at a recorded path, or not all of it, since that was never put there.
    pub(super) fn is_absent(&mut self, path: &RelPath) -> Result<bool> {
        Ok(is_absent(self.site, path) || !self.absent_parts(path)?.is_empty())
    }

    fn placed(&self) -> &Placed {
        self.placed.get_or_init(|| load_placed(self.site))
    }

    /// What lies at an output or a tracked path.
    pub(super) fn out(&mut self, path: &RelPath) -> Result<&Found> {
        if !self.outs.contains_key(path) {
            let mut scanner = Scanner {
                passed: Some(&mut self.passed),
                ..self.site.scanner(&mut self.index)
            };
            let found = scanner.scan(path, Rules::Data)?;
            self.take_out_edited(path, &found)?;
            self.outs.insert(path.clone(), found);
        }
        Ok(&self.outs[path])
    }

    /// Takes objects out of the store that were edited through what lies at a path.
    fn take_out_edited(&mut self, path: &RelPath, found: &Found) -> Result<()> {
        let site = self.site;
        if !site.store.shares_files() {
            return Ok(());
        }
        let placed = self.placed.get_or_init(|| load_placed(site));
        let recorded = self.recorded.get(path);
        let index = &mut self.index;
        let edited = links::take_out_edited(site, index, path, found, recorded, placed)?;
        self.edited.extend(edited);
        Ok(())
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

    /// Puts the trees of what a stage reads into the store, so that the next time somebody asks why
    /// it would run, what changed in a directory or among the matches of a pattern has a name.
    /// Those of tracked data and outputs are there already.
    pub(super) fn write_inputs(&mut self, stage: &Stage) -> Result<()> {
        for dep in &stage.deps {
            if let (None, Some(path)) = (self.managed_dep(dep), dep.inside()) {
                let found = self.dep(dep)?.clone();
                self.write_nodes(&path, &found)?;
            }
        }
        Ok(())
    }

    /// What lies at a dependency that is a directory or a pattern, file by file, by paths of the
    /// project; `None` if it is neither.
    pub(super) fn dep_entries(&mut self, dep: &DepPath) -> Result<Option<Vec<(RelPath, Entry)>>> {
        let (Found::Dir(dir), Some(path)) = (self.dep(dep)?.clone(), dep.inside()) else {
            return Ok(None);
        };
        let tree = self.site.scanner(&mut self.index).tree(&path, &dir)?;
        Ok(Some(entries_of(dep, &path, tree)))
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

    /// Takes for seen what was put in place a moment ago.
    pub(super) fn take_for(&mut self, found: BTreeMap<RelPath, Found>) {
        self.outs.extend(found);
    }

    /// Forgets what was seen at, above and below paths that changed.
    pub(super) fn forget(&mut self, paths: &[RelPath]) {
        self.passed.clear();
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
        self.passed.clear();
        for path in &stage.deps {
            self.deps.remove(path);
            if let Some(path) = self.managed_dep(path) {
                self.outs.remove(&path);
            }
        }
    }

    /// Forgets everything, because somebody else may have changed anything.
    pub(super) fn forget_all(&mut self) {
        self.passed.clear();
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

/// The entries of a dependency's tree: what matches a pattern stands there by its whole path.
pub(super) fn entries_of(dep: &DepPath, path: &RelPath, tree: Tree) -> Vec<(RelPath, Entry)> {
    match dep.is_pattern() {
        true => {
            let entries = tree.iter();
            entries
                .map(|(path, entry)| (path.clone(), entry.clone()))
                .collect()
        }
        false => tree.into_below(path),
    }
}

/// A damaged one is told by whoever writes it.
fn load_placed(site: &Site<'_>) -> Placed {
    Placed::load(&site.layout.placed()).unwrap_or_default()
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
        let mut parts = touched(&stored, path).into_iter();
        let is_partly_absent = parts.any(|root| *root != inside && is_absent(site, root));
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
