//! Restoring a stage from the run cache, through the checkout path.

use std::collections::BTreeMap;

use super::finish::is_function;
use super::{Action, Repro};
use crate::hash::{BlobId, ContentId, Digest};
use crate::ops::content::{all_saved, entries};
use crate::ops::shared::Shared;
use crate::ops::{Error, Result};
use crate::path::RelPath;
use crate::pipeline::{Facts, Reason, ReasonKind, RunRecord, Stage};
use crate::progress::StageOutcome;
use crate::project::{Recorded, StageRecord};
use crate::store;
use crate::tree::{Entry, Tree};
use crate::workspace::{self, Park};

type Entries = Vec<(RelPath, Entry)>;

impl<'s> Repro<'s> {
    /// Where results of others are looked for.
    fn shared(&mut self) -> &mut Shared<'s> {
        let site = self.site;
        self.shared.get_or_insert_with(|| Shared::open(site, None))
    }
}

impl Repro<'_> {
    /// Restores a stage if the run cache knows a result of the same inputs whose data is all
    /// here. Says whether it did.
    pub(super) fn restore(
        &mut self,
        stage: &Stage,
        facts: &Facts,
        reasons: &[Reason],
    ) -> Result<bool> {
        let forced = reasons
            .iter()
            .any(|reason| reason.kind == ReasonKind::Forced);
        if forced || self.options.force || self.options.no_run_cache || !is_function(stage) {
            return Ok(false);
        }
        let Some((record, wanted)) = self.find_result(stage, facts)? else {
            return Ok(false);
        };
        match self.place(stage, wanted) {
            // It is no longer in the store, so the result cannot be had: the command has to run.
            Err(Error::Workspace(workspace::Error::Store(store::Error::Corrupt { .. }))) => {
                self.observer.forget(&stage.outs);
                return Ok(false);
            }
            placed => placed?,
        }
        let mut found = BTreeMap::new();
        for path in &stage.outs {
            found.insert(path.clone(), self.observer.out(path)?.clone());
        }
        let run = RunRecord::load(&self.site.layout.runs(), &record.run);
        self.record(stage, record, &found)?;
        let saved_seconds = run.map(|run| run.seconds);
        let seconds = saved_seconds.unwrap_or(0.0);
        self.settle(&stage.name, Action::Restored, reasons, seconds, None);
        self.tell_finished(&stage.name, StageOutcome::Restored { saved_seconds });
        Ok(true)
    }

    /// The newest result whose every byte can be had here, as the record it would make now.
    fn find_result(
        &mut self,
        stage: &Stage,
        facts: &Facts,
    ) -> Result<Option<(StageRecord, Entries)>> {
        let unknown = Recorded {
            hash: ContentId::B3(Digest::from_bytes([0; 32])),
            size: 0,
            files: None,
            exec: false,
        };
        let outs = stage
            .outs
            .iter()
            .map(|path| (path.clone(), unknown.clone()));
        let asked = stage.record(facts, outs.collect(), BTreeMap::new())?;
        let key = asked.run_key();
        let results = self.results.get(key)?;
        let found = self.usable(results)?;
        let found = match found {
            None if self.shared().bring(&[key])? > 0 => {
                let results = self.results.get(key)?;
                self.usable(results)?
            }
            found => found,
        };
        let Some((result, wanted)) = found else {
            return Ok(None);
        };
        let record = stage.record(facts, result.outs, result.metrics)?;
        Ok(Some((record, wanted)))
    }

    /// The newest of some results whose data is all here, by now: that of the first is brought, if
    /// that was asked for.
    fn usable(&mut self, results: Vec<StageRecord>) -> Result<Option<(StageRecord, Entries)>> {
        if let Some(newest) = results.first() {
            let outs = newest.outs.iter();
            let outs: Vec<_> = outs
                .map(|(path, out)| (path.clone(), out.clone()))
                .collect();
            if self.options.pull {
                self.fetch(&outs)?;
            } else if self.shared().is_open()
                && let Err(error) = self.fetch_now(&outs)
            {
                self.shared().give_up(error)?;
            }
        }
        for result in results {
            if let Some(wanted) = self.have_all(&result)? {
                return Ok(Some((result, wanted)));
            }
        }
        Ok(None)
    }

    fn have_all(&self, result: &StageRecord) -> Result<Option<Entries>> {
        let mut wanted = Vec::new();
        for (path, recorded) in &result.outs {
            match entries(&self.site.store, path, recorded)? {
                Some(entries) if all_saved(&self.site.store, &entries) => wanted.extend(entries),
                _ => return Ok(None),
            }
        }
        Ok(Some(wanted))
    }

    /// Puts the outputs in place. What is in the way and saved nowhere goes to the park.
    fn place(&mut self, stage: &Stage, wanted: Entries) -> Result<()> {
        let mut actual = Vec::new();
        for path in &stage.outs {
            actual.extend(self.observer.entries(path)?);
        }
        let wanted = Tree::new(wanted)?;
        let actual = Tree::new(actual)?;
        let saved = |id: BlobId| self.site.store.has(id);
        // What lies at an output belongs to the stage, so all of it counts as placed.
        let plan = workspace::plan(&wanted, &actual, &actual, &saved);
        let park = Park::new(&self.site.layout.park(), &format!("restore-{}", stage.name));
        workspace::apply(
            &plan,
            &self.site.layout.root,
            &self.site.store,
            &mut self.observer.index,
            Some(&park),
            self.site.world.progress,
            self.site.world.interrupt,
        )?;
        self.observer.forget(&stage.outs);
        Ok(())
    }
}
