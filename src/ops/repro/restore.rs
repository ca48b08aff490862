//! Restoring a stage from the run cache, through the checkout path.

use litemap::LiteMap;

use std::collections::BTreeMap;

use super::finish::is_function;
use super::{Action, Checked, Repro};
use crate::hash::{BlobId, ContentId, Digest};
use crate::ops::Result;
use crate::ops::content::{all_saved, entries, to_found};
use crate::ops::shared::Shared;
use crate::path::RelPath;
use crate::pipeline::{
    Facts, MissingParam, Reason, ReasonKind, RunRecord, Scheduler, Stage, Verdict,
};
use crate::progress::StageOutcome;
use crate::project::{Claim, Recorded, StageRecord};
use crate::store;
use crate::tree::{Entry, Tree};
use crate::workspace::{self, Found, Park};

type Entries = Vec<(RelPath, Entry)>;

/// So many stages are restored together at most, so that something is told now and then.
const AT_ONCE: usize = 256;

/// A stage whose result the run cache knows.
pub(super) struct Known<'s> {
    stage: &'s Stage,
    reasons: Vec<Reason>,
    /// The block it gets.
    record: StageRecord,
    wanted: Entries,
}

impl<'s> Repro<'s> {
    /// Where results of others are looked for.
    fn shared(&mut self) -> &mut Shared<'s> {
        let site = self.site;
        self.shared.get_or_insert_with(|| Shared::open(site, None))
    }

    /// Keeps a stage for [`Repro::restore_gathered`] if the run cache knows it; says whether it
    /// does. Nothing is claimed yet.
    pub(super) fn gather(
        &mut self,
        stage: &'s Stage,
        (checked, missing): &(Checked, Vec<MissingParam>),
    ) -> Result<bool> {
        let Checked::Stale(reasons, facts) = checked else {
            return Ok(false);
        };
        let cannot_run = !missing.is_empty() || facts.deps.values().any(Option::is_none);
        if cannot_run || self.gathered.len() == AT_ONCE {
            return Ok(false);
        }
        // What comes from far away comes stage by stage.
        if self.absence_counts() || self.shared().is_open() {
            return Ok(false);
        }
        let known = self.known(stage, facts, reasons)?;
        let is_known = known.is_some();
        self.gathered.extend(known);
        Ok(is_known)
    }

    /// Restores what was gathered and tells the scheduler; says whether there was any. All of it
    /// is claimed and put in place in one step: to do so costs as much for one stage as for many.
    pub(super) fn restore_gathered(&mut self, scheduler: &mut Scheduler) -> Result<bool> {
        let gathered = std::mem::take(&mut self.gathered);
        if gathered.is_empty() {
            return Ok(false);
        }
        let stages: Vec<&'s Stage> = gathered.iter().map(|known| known.stage).collect();
        let verdict = if self.site.world.interrupt.is_requested() {
            // Stopped, the scheduler leaves alone what is stale.
            scheduler.stop();
            Some(Verdict::Stale)
        } else {
            let restored = self.restore_together(gathered)?;
            restored.then_some(Verdict::Settled)
        };
        for stage in stages {
            match verdict {
                Some(verdict) => scheduler.checked(&stage.name, verdict),
                None => {
                    let looked = self.look(stage);
                    self.check(stage, looked, scheduler)?;
                }
            }
        }
        Ok(true)
    }

    /// Restores stages unless something changed since they were looked at, or somebody else has
    /// what one of them needs: then each has to be looked at by itself.
    fn restore_together(&mut self, known: Vec<Known<'s>>) -> Result<bool> {
        let mut wanted = Claim::default();
        for known in &known {
            let paths = self.paths_of(known.stage);
            wanted.reads.extend(paths.reads);
            wanted.writes.extend(paths.writes);
        }
        let Ok(claim) = self.site.claim(&wanted)? else {
            return Ok(false);
        };
        if self.reload()? {
            self.observer.forget_all();
            return Ok(false);
        }
        if !self.place(&known)? {
            return Ok(false);
        }
        self.over.push(claim);
        for known in known {
            self.settle_restored(known)?;
        }
        Ok(true)
    }

    /// Restores a stage that is claimed, if the run cache knows it. Says whether it did.
    pub(super) fn restore(
        &mut self,
        stage: &'s Stage,
        facts: &Facts,
        reasons: &[Reason],
    ) -> Result<bool> {
        let Some(known) = self.known(stage, facts, reasons)? else {
            return Ok(false);
        };
        let is_placed = self.place(std::slice::from_ref(&known))?;
        if is_placed {
            self.settle_restored(known)?;
        }
        Ok(is_placed)
    }

    fn known(
        &mut self,
        stage: &'s Stage,
        facts: &Facts,
        reasons: &[Reason],
    ) -> Result<Option<Known<'s>>> {
        let forced = reasons
            .iter()
            .any(|reason| reason.kind == ReasonKind::Forced);
        if forced || self.options.force || self.options.no_run_cache || !is_function(stage) {
            return Ok(None);
        }
        let result = self.find_result(stage, facts)?;
        Ok(result.map(|(record, wanted)| Known {
            stage,
            reasons: reasons.to_vec(),
            record,
            wanted,
        }))
    }

    /// Records what was put in place: what the block says, since that is what was written.
    fn settle_restored(&mut self, known: Known<'_>) -> Result<()> {
        let Known {
            stage,
            reasons,
            record,
            ..
        } = known;
        let found = record.outs.iter();
        let found = found.map(|(path, out)| Ok((path.clone(), to_found(path, out)?)));
        let found = found.collect::<Result<BTreeMap<RelPath, Found>>>()?;
        let run = RunRecord::load(&self.site.layout.runs(), &record.run);
        self.record(stage, record, &found)?;
        self.observer.take_for(found);
        let saved_seconds = run.map(|run| run.seconds);
        let seconds = saved_seconds.unwrap_or(0.0);
        self.settle(&stage.name, Action::Restored, &reasons, seconds, None);
        self.tell_finished(&stage.name, StageOutcome::Restored { saved_seconds });
        Ok(())
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
        let asked = stage.record(facts, outs.collect(), LiteMap::new())?;
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

    /// Puts the outputs in place. What is in the way and saved nowhere goes to the park. Says
    /// `false` if the store turns out not to have them: then the commands have to run.
    fn place(&mut self, known: &[Known<'_>]) -> Result<bool> {
        let (mut wanted, mut actual, mut outs) = (Vec::new(), Vec::new(), Vec::new());
        for known in known {
            wanted.extend_from_slice(&known.wanted);
            for path in &known.stage.outs {
                actual.extend(self.observer.entries(path)?);
                outs.push(path.clone());
            }
        }
        let wanted = Tree::new(wanted)?;
        let actual = Tree::new(actual)?;
        let saved = |id: BlobId| self.site.store.has(id);
        // What lies at an output belongs to the stage, so all of it counts as placed.
        let plan = workspace::plan(&wanted, &actual, &actual, &saved);
        let act = match known {
            [one] => format!("restore-{}", one.stage.name),
            _ => "restore".to_owned(),
        };
        let placed = workspace::apply(
            &plan,
            &self.site.layout.root,
            &self.site.store,
            &mut self.observer.index,
            Some(&Park::new(&self.site.layout.park(), &act)),
            self.site.world.progress,
            self.site.world.interrupt,
        );
        self.observer.forget(&outs);
        match placed {
            Err(workspace::Error::Store(store::Error::Corrupt { .. })) => Ok(false),
            placed => Ok(placed.map(|_| true)?),
        }
    }
}
