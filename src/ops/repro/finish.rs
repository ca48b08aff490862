//! The end of a run: its outputs into the store, its block into the lock; or, after a failure,
//! everything as it was.

use std::collections::BTreeMap;
use std::time::Instant;

use super::{Action, Failure, Repro, Running, in_full};
use crate::ops::content::{to_placed, to_recorded};
use crate::ops::metrics::numbers_of;
use crate::ops::{Error, Result};
use crate::path::{DepPath, RelPath};
use crate::pipeline::{self, Exit, RunRecord, Stage};
use crate::progress::StageOutcome;
use crate::project::StageRecord;
use crate::workspace::{Found, Park};

impl Repro<'_> {
    /// Takes the end of a stage's command. Says whether the stage is done well.
    pub(super) fn finish(
        &mut self,
        name: &str,
        exit: pipeline::Result<Exit>,
        seconds: f64,
        tail: Vec<Vec<u8>>,
    ) -> Result<bool> {
        let graph = self.graph;
        let stage = &graph.stages()[name];
        let running = self.running.remove(name).expect("only started stages end");
        self.observer.forget(&stage.outs);
        let failure = match exit {
            Ok(Exit::Code(0)) => match self.take_in(stage, &running, seconds) {
                Ok(None) => {
                    self.tell_ran(stage, seconds);
                    self.settle(name, Action::Ran, &running.reasons, seconds, None);
                    self.drop_parked(running)?;
                    return Ok(true);
                }
                Ok(Some(failure)) => failure,
                Err(Error::Interrupted) => Failure::Other {
                    message: Error::Interrupted.to_string(),
                },
                Err(error) => Failure::Other {
                    message: in_full(&error),
                },
            },
            Ok(Exit::Code(code)) => Failure::Exit {
                code,
                tail: text(tail),
            },
            Ok(Exit::Signal(signal)) => Failure::Signal {
                signal,
                tail: text(tail),
            },
            Err(error) => Failure::Start {
                message: in_full(&error),
            },
        };
        let reasons = running.reasons.clone();
        let leavings = self.put_back(name, running)?;
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
        seconds: f64,
    ) -> Result<Option<Failure>> {
        let changed = self.changed_inputs(stage, running)?;
        if !changed.is_empty() {
            return Ok(Some(Failure::InputsChanged { deps: changed }));
        }
        let mut found = BTreeMap::new();
        for path in &stage.outs {
            found.insert(path.clone(), self.observer.store(path)?.clone());
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
        self.keep_result(stage, &record, running, seconds)?;
        if self.site.store.shares_files() {
            for path in found.keys() {
                self.written.extend(self.observer.entries(path)?);
            }
        }
        self.record(stage, record, &found)?;
        Ok(None)
    }

    /// Puts a stage's block into the lock, the trees of its outputs into the store.
    pub(super) fn record(
        &mut self,
        stage: &Stage,
        record: StageRecord,
        found: &BTreeMap<RelPath, Found>,
    ) -> Result<()> {
        for (path, found) in found {
            self.observer.write_nodes(path, found)?;
            let item = to_placed(found).map(|item| (path.clone(), item));
            self.placed.paths.extend(item);
        }
        self.lock.stages.insert(stage.name.clone(), record);
        self.unsaved.get_or_insert_with(Instant::now);
        Ok(())
    }

    fn keep_result(
        &self,
        stage: &Stage,
        record: &StageRecord,
        running: &Running,
        seconds: f64,
    ) -> Result<()> {
        let run = RunRecord {
            v: 1,
            stage: stage.name.clone(),
            run: record.run.clone(),
            started: running.started,
            seconds,
            exit: 0,
        };
        run.save(&self.site.layout.runs())?;
        if !self.options.no_run_cache && !stage.spec.always {
            self.results.put(record.run_key(), record)?;
        }
        Ok(())
    }

    /// Inputs that are no longer what they were when the command started.
    fn changed_inputs(&mut self, stage: &Stage, running: &Running) -> Result<Vec<DepPath>> {
        self.observer.forget_deps(stage);
        let (now, _) = self.observer.facts(stage)?;
        let changed = now.deps.into_iter();
        let changed = changed.filter(|(path, hash)| running.facts.deps.get(path) != Some(hash));
        Ok(changed.map(|(path, _)| path).collect())
    }

    /// Puts old outputs back in the place of what a failed run left, which is parked in turn.
    /// Says where.
    pub(super) fn put_back(&mut self, name: &str, running: Running) -> Result<Option<String>> {
        let graph = self.graph;
        let stage = &graph.stages()[name];
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

fn text(lines: Vec<Vec<u8>>) -> Vec<String> {
    let lines = lines.into_iter();
    lines
        .map(|line| String::from_utf8_lossy(&line).into_owned())
        .collect()
}
