//! The one walk over everything that enters the block of a stage, and the listener that writes
//! that block.

use std::collections::BTreeSet;

use litemap::LiteMap;

use crate::path::{DepPath, RelPath};
use crate::pipeline::{Error, Result, Stage};
use crate::project::{Command, DepHash, OutOptions, Recorded, StageRecord};
use crate::value::{KeyPath, Leaves, Value};

/// What is on disk for one stage, as `ops` found it.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Every dependency; `None` is missing.
    pub deps: LiteMap<DepPath, Option<DepHash>>,
    /// Params by file: the leaves the stage asks for that exist.
    pub params: LiteMap<DepPath, Leaves>,
    /// Every output; `None` is missing.
    pub outs: LiteMap<RelPath, Option<Recorded>>,
}

/// One thing that enters the block of a stage, as it is now.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part<'a> {
    /// What is run.
    Cmd(&'a Command),
    /// Where it is run, if not at the root.
    Wdir(Option<&'a RelPath>),
    /// A variable that is recorded.
    Env(&'a String, &'a String),
    /// Something that is read; `None` is missing.
    Dep(&'a DepPath, Option<&'a DepHash>),
    /// A param by file and key.
    Param(&'a DepPath, &'a KeyPath, &'a Value),
    /// Something that is written, and what is there now; `None` is missing.
    Out(&'a RelPath, Option<&'a Recorded>),
}

/// Tells every part of a stage's block, each once, in the order of the block.
pub(super) fn walk<'a>(stage: &'a Stage, facts: &'a Facts, tell: &mut dyn FnMut(Part<'a>)) {
    tell(Part::Cmd(&stage.spec.cmd));
    tell(Part::Wdir(stage.spec.wdir.as_ref()));
    for (name, value) in &stage.spec.env {
        tell(Part::Env(name, value));
    }
    for path in &stage.deps {
        tell(Part::Dep(
            path,
            facts.deps.get(path).and_then(Option::as_ref),
        ));
    }
    for (file, leaves) in &facts.params {
        for (key, value) in leaves {
            tell(Part::Param(file, key, value));
        }
    }
    for path in &stage.outs {
        tell(Part::Out(
            path,
            facts.outs.get(path).and_then(Option::as_ref),
        ));
    }
}

impl Stage {
    /// How an output is kept.
    pub fn options(&self, out: &RelPath) -> OutOptions {
        let mut outs = self.spec.outs.iter();
        let spec = outs.find(|spec| spec.path == *out);
        spec.map_or_else(OutOptions::default, |spec| spec.options.clone())
    }

    /// The outputs of which only the hash is recorded.
    pub fn unstored(&self) -> BTreeSet<RelPath> {
        let outs = self.spec.outs.iter();
        let outs = outs.filter(|spec| !spec.options.store);
        outs.map(|spec| spec.path.clone()).collect()
    }

    /// The block that a run with these facts records, `run` line set. `outs` is what the run
    /// wrote; what the stage does not declare is left out.
    pub fn record(
        &self,
        facts: &Facts,
        outs: LiteMap<RelPath, Recorded>,
        metrics: LiteMap<RelPath, Leaves>,
    ) -> Result<StageRecord> {
        let mut recorder = Recorder {
            record: StageRecord {
                metrics,
                unstored: self.unstored(),
                ..StageRecord::default()
            },
            outs,
            missing: None,
        };
        walk(self, facts, &mut |part| recorder.take(part));
        let Recorder {
            mut record,
            missing,
            ..
        } = recorder;
        if let Some(path) = missing {
            let stage = self.name.clone();
            return Err(Error::NothingToRecord { stage, path });
        }
        // The lock has no empty tables, so a block with one would differ from itself read back.
        record.metrics.retain(|_, leaves| !leaves.is_empty());
        record.run = record.run_line(&self.name);
        Ok(record)
    }
}

/// Listens to the walk and writes the block.
struct Recorder {
    record: StageRecord,
    outs: LiteMap<RelPath, Recorded>,
    missing: Option<String>,
}

impl Recorder {
    fn take(&mut self, part: Part<'_>) {
        let record = &mut self.record;
        match part {
            Part::Cmd(cmd) => record.cmd = cmd.clone(),
            Part::Wdir(wdir) => record.wdir = wdir.map(RelPath::to_string),
            Part::Env(name, value) => {
                record.env.insert(name.clone(), value.clone());
            }
            Part::Dep(path, Some(hash)) => {
                record.deps.insert(path.clone(), hash.clone());
            }
            Part::Dep(path, None) => self.miss(path.as_str()),
            Part::Param(file, key, value) => {
                let leaves = record.params.entry(file.clone()).or_default();
                leaves.insert(key.clone(), value.clone());
            }
            Part::Out(path, _) => match self.outs.remove(path) {
                Some(recorded) => {
                    record.outs.insert(path.clone(), recorded);
                }
                None => self.miss(path.as_str()),
            },
        }
    }

    fn miss(&mut self, path: &str) {
        self.missing.get_or_insert_with(|| path.to_owned());
    }
}
