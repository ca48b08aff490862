//! The end of a run: its outputs into the store, its block into the lock; or, after a failure,
//! everything as it was.

use std::collections::BTreeMap;
use std::time::Instant;

use super::{Action, Failure, Repro, Running, in_full};
use crate::ops::content::{to_placed, to_recorded};
use crate::ops::metrics::numbers_of;
use crate::ops::{Error, Result};
use crate::path::{DepPath, RelPath};
use crate::pipeline::{Ended, Exit, Stage};
use crate::progress::StageOutcome;
use crate::project::StageRecord;
use crate::workspace::{Found, Park};

impl Repro<'_> {
    /// Takes the end of a stage's command. Says whether the stage is done well.
    pub(super) fn finish(&mut self, ended: Ended) -> Result<bool> {
        let name = &ended.stage;
        let graph = self.graph;
        let stage = graph.known(name);
        let running = self.running.remove(name).expect("only started stages end");
        self.observer.forget(&stage.outs);
        let failure = match failure(&ended, &running) {
            Some(failure) => Some(failure),
            None => self
                .take_in(stage, &running, &ended)
                .unwrap_or_else(|error| {
                    let message = match error {
                        Error::Interrupted => error.to_string(),
                        _ => in_full(&error),
                    };
                    Some(Failure::Other { message })
                }),
        };
        let Some(failure) = failure else {
            self.tell_ran(stage, ended.seconds);
            self.settle(name, Action::Ran, &running.reasons, ended.seconds, None);
            self.drop_parked(running)?;
            return Ok(true);
        };
        let run = self.run_record(stage, "", (&running.id, running.started), &ended);
        let reasons = running.reasons.clone();
        let leavings = self.put_back(name, running)?;
        // It is for people: a disk that the command filled must not keep the outputs away.
        let _ = run.save(&self.site.layout.runs());
        self.fail(name, &reasons, failure);
        if let Some(run) = self.report.stages.last_mut() {
            run.leavings = leavings;
        }
        Ok(false)
    }

    /// Stores what a stage wrote and records it, unless something is wrong with it.
    fn take_in(
        &mut self,
        stage: &Stage,
        running: &Running,
        ended: &Ended,
    ) -> Result<Option<Failure>> {
        let changed = self.changed_inputs(stage, running)?;
        if !changed.is_empty() {
            return Ok(Some(Failure::InputsChanged { deps: changed }));
        }
        let mut found = BTreeMap::new();
        for path in &stage.outs {
            found.insert(path.clone(), self.observer.take_out(stage, path)?.clone());
        }
        // Before the old outputs go: another stage may have written the bytes of one of them.
        self.site.store.settle()?;
        let absent = found.iter().filter(|(_, found)| **found == Found::Missing);
        let absent: Vec<RelPath> = absent.map(|(path, _)| path.clone()).collect();
        if !absent.is_empty() {
            return Ok(Some(Failure::NotWritten { outs: absent }));
        }
        let metrics = numbers_of(&mut self.observer, &stage.outs)?;
        let outs = found.iter();
        let outs = outs.filter_map(|(path, found)| Some((path.clone(), to_recorded(found)?)));
        let record = stage.record(&running.facts, outs.collect(), metrics)?;
        self.keep_result(stage, &record, running, ended)?;
        if self.site.store.shares_files() {
            for path in found.keys().filter(|path| !record.unstored.contains(*path)) {
                self.written.extend(self.observer.entries(path)?);
            }
        }
        self.record(stage, record, &found)?;
        Ok(None)
    }

    /// Puts a stage's block into the lock, the trees of its inputs and outputs into the store.
    pub(super) fn record(
        &mut self,
        stage: &Stage,
        record: StageRecord,
        found: &BTreeMap<RelPath, Found>,
    ) -> Result<()> {
        for (path, found) in found {
            self.observer.write_nodes(path, found)?;
            let item = to_placed(found).filter(|_| !record.unstored.contains(path));
            self.placed.insert(path.clone(), item);
        }
        self.observer.write_inputs(stage)?;
        self.lock.stages.insert(stage.name.clone(), record);
        self.unsaved_stages.insert(stage.name.clone());
        self.unsaved.get_or_insert_with(Instant::now);
        Ok(())
    }

    /// Gives a fresh stage a new block if only what of its outputs is stored has changed.
    pub(super) fn settle_storing(&mut self, stage: &Stage) -> Result<()> {
        let Some(record) = self.lock.stages.get(&stage.name) else {
            return Ok(());
        };
        if record.unstored == stage.unstored() || stage.spec.frozen {
            return Ok(());
        }
        let mut record = record.clone();
        let mut found = BTreeMap::new();
        for path in &stage.outs {
            found.insert(path.clone(), self.observer.take_out(stage, path)?.clone());
        }
        if found.values().any(|found| *found == Found::Missing) {
            return Ok(());
        }
        self.site.store.settle()?;
        record.unstored = stage.unstored();
        record.run = record.run_line(&stage.name);
        record.mixed = false;
        self.record(stage, record, &found)
    }

    fn keep_result(
        &mut self,
        stage: &Stage,
        record: &StageRecord,
        running: &Running,
        ended: &Ended,
    ) -> Result<()> {
        let run = self.run_record(stage, &record.run, (&running.id, running.started), ended);
        run.save(&self.site.layout.runs())?;
        if !self.options.no_run_cache && is_function(stage) {
            self.results.put(record.run_key(), record)?;
        }
        Ok(())
    }

    /// Inputs that are no longer what they were when the command started.
    fn changed_inputs(&mut self, stage: &Stage, running: &Running) -> Result<Vec<DepPath>> {
        self.observer.forget_deps(stage);
        let now = self.observer.inputs(stage)?.into_iter();
        let changed = now.filter(|(path, hash)| running.facts.deps.get(path) != Some(hash));
        Ok(changed.map(|(path, _)| path).collect())
    }

    /// Puts old outputs back in the place of what a failed run left, which is parked in turn.
    /// Says where.
    pub(super) fn put_back(&mut self, name: &str, running: Running) -> Result<Option<String>> {
        let graph = self.graph;
        let stage = graph.known(name);
        let root = &self.site.layout.root;
        let leavings = Park::new(&self.site.layout.park(), &format!("failed-{name}"));
        let mut left = false;
        for path in &stage.outs {
            left |= leavings.park(root, path)?.is_some();
        }
        for (parked, _) in running.parked {
            Park::restore(root, parked)?;
        }
        self.observer.forget(&stage.outs);
        Ok(left.then(|| leavings.dir.display().to_string()))
    }

    /// Drops old outputs whose bytes are in the store; the others stay parked.
    pub(super) fn drop_parked(&self, running: Running) -> Result<()> {
        for (parked, saved) in running.parked {
            if saved {
                running.park.discard(parked)?;
            }
        }
        Ok(())
    }

    fn tell_ran(&self, stage: &Stage, seconds: f64) {
        let outs = self.lock.stages[&stage.name].outs.iter();
        let outs: Vec<(String, u64)> = outs
            .map(|(path, out)| (path.to_string(), out.size))
            .collect();
        let outcome = StageOutcome::Ran {
            seconds,
            outs: &outs,
        };
        self.tell_finished(&stage.name, outcome);
    }
}

/// Whether what a stage writes follows from its inputs alone, so that the run cache may answer
/// for it: not if it goes on from its old outputs.
pub(super) fn is_function(stage: &Stage) -> bool {
    let mut outs = stage.spec.outs.iter();
    !stage.spec.always && !outs.any(|out| out.options.keep)
}

/// How a command failed, if it did.
fn failure(ended: &Ended, running: &Running) -> Option<Failure> {
    let lines = ended.tail.iter();
    let tail = lines
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect();
    Some(match &ended.exit {
        Ok(Exit::Code(0)) => return None,
        Ok(Exit::Code(code)) => Failure::Exit { code: *code, tail },
        Ok(Exit::Signal(signal)) => Failure::Signal {
            signal: *signal,
            tail,
        },
        Ok(Exit::TimedOut) => Failure::TimedOut {
            limit: running.limit.map_or(0.0, |limit| limit.after.as_secs_f64()),
            tail,
        },
        Err(error) => Failure::Start {
            message: in_full(error),
        },
    })
}
