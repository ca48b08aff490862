//! Sharing a workspace with other eskers: claims of paths while stages run, and a record that
//! others write too.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use super::{Checked, Looked, Repro};
use crate::ops::Result;
use crate::ops::record::{Record, stamp};
use crate::path::DepPath;
use crate::pipeline::{MissingParam, Stage};
use crate::project::{Claim, Lock};
use crate::workspace::Placed;

impl Repro<'_> {
    /// Has the paths of a stage claimed if it is not fresh; `None` if another esker has some of
    /// them. What is fresh needs no claim, so that looking costs nothing.
    pub(super) fn claim_unless_fresh(
        &mut self,
        stage: &Stage,
        first: Looked,
    ) -> Result<Option<(Checked, Vec<MissingParam>)>> {
        if matches!(first, Ok((Checked::Fresh, _))) {
            return first.map(Some);
        }
        let wanted = self.paths_of(stage);
        if !self.claim(stage, &wanted)? {
            return Ok(None);
        }
        let waited = self.waiting.remove(&stage.name).is_some();
        if self.reload()? || waited || first.is_err() {
            // Another esker may have done in the meantime what would be done here.
            self.observer.forget_all();
            return self.look(stage).map(Some);
        }
        first.map(Some)
    }

    /// Claims what a stage must have for itself while it runs. If another esker has it, the
    /// paths are given back too, so that nobody waits while somebody waits for them.
    pub(super) fn claim_mutexes(&mut self, stage: &Stage) -> Result<bool> {
        if stage.spec.mutex.is_empty() {
            return Ok(true);
        }
        let wanted = Claim {
            names: stage.spec.mutex.clone(),
            ..Claim::default()
        };
        let taken = self.claim(stage, &wanted)?;
        if !taken {
            self.claims.remove(&stage.name);
        }
        Ok(taken)
    }

    pub(super) fn claim(&mut self, stage: &Stage, wanted: &Claim) -> Result<bool> {
        match self.site.claim(wanted)? {
            Ok(held) => {
                let claims = self.claims.entry(stage.name.clone()).or_default();
                claims.push(held);
                Ok(true)
            }
            Err(holder) => {
                let told = self.waiting.entry(stage.name.clone()).or_default();
                self.site.tell_waiting(told, &holder);
                Ok(false)
            }
        }
    }

    pub(super) fn paths_of(&self, stage: &Stage) -> Claim {
        let root = &self.site.layout.root;
        let params = self.observer.params_files(stage);
        let reads = stage.deps.iter().chain(params);
        Claim {
            reads: reads.map(|path| base(path).to_path(root)).collect(),
            writes: stage.outs.iter().map(|path| path.to_path(root)).collect(),
            names: Vec::new(),
        }
    }

    /// Gives back the claims of a stage that is over: at once if nothing of it is recorded, else
    /// when it is, so that who waits for it finds it in the record.
    pub(super) fn give_back(&mut self, stage: &str, recorded: bool) {
        let claims = self.claims.remove(stage);
        if recorded {
            self.over.extend(claims.into_iter().flatten());
        }
    }

    /// Lets a collection of the store have its turn while commands run, unless something is stored
    /// that no record names yet.
    pub(super) fn leave_store(&self) {
        if self.unsaved.is_none() {
            self.site.store.leave();
        }
    }

    /// Takes the store again. After a collection nobody knows whether the bytes of what was moved
    /// aside are still there, so it stays in the park.
    pub(super) fn enter_store(&mut self) -> Result<()> {
        if self.site.enter_store()? {
            let parked = self.running.values_mut().flat_map(|run| &mut run.parked);
            parked.for_each(|(_, saved)| *saved = false);
        }
        Ok(())
    }

    /// Writes the record if it changed: at most twice a second, and at the end. A killed process
    /// loses nothing but these milliseconds, and the next run finds them in the run cache.
    pub(super) fn save(&mut self, now: bool) -> Result<()> {
        const OFTEN: Duration = Duration::from_millis(500);
        let due = self
            .unsaved
            .is_some_and(|since: Instant| now || since.elapsed() >= OFTEN);
        if !due {
            return Ok(());
        }
        let guard = self.site.record_guard()?;
        self.reload()?;
        self.site.save(&self.lock)?;
        self.stamp = stamp(&self.site.layout.lock())?;
        let path = self.site.layout.placed();
        let mut placed = Placed::load(&path)?;
        for (path, item) in std::mem::take(&mut self.placed) {
            match item {
                Some(item) => placed.paths.insert(path, item),
                None => placed.paths.remove(&path),
            };
        }
        placed.save(&path)?;
        drop(guard);
        self.unsaved = None;
        self.unsaved_stages.clear();
        self.over.clear();
        Ok(())
    }

    /// Reads the lock again if somebody else wrote it, and keeps what is not saved yet. Says
    /// whether somebody did.
    pub(super) fn reload(&mut self) -> Result<bool> {
        let now = stamp(&self.site.layout.lock())?;
        if now == self.stamp {
            return Ok(false);
        }
        let Record { lock, stamp, .. } = self.site.record()?;
        let ours = std::mem::replace(&mut self.lock, lock);
        self.stamp = stamp;
        let Lock { stages, .. } = ours;
        let unsaved = stages.into_iter();
        let unsaved = unsaved.filter(|(name, _)| self.unsaved_stages.contains(name));
        self.lock.stages.extend(unsaved);
        for name in &self.report.dropped {
            self.lock.stages.remove(name);
        }
        Ok(true)
    }
}

/// What a claim can name: of a pattern, the directory that it looks through.
fn base(path: &DepPath) -> Cow<'_, DepPath> {
    if !path.is_pattern() {
        return Cow::Borrowed(path);
    }
    let dirs = path.as_str().split('/');
    let fixed: Vec<&str> = dirs
        .take_while(|name| !name.contains(['*', '?', '[']))
        .collect();
    // A pattern at the top looks through the whole project, which no reader can claim: what it
    // finds is compared again after the run.
    let base = DepPath::parse(&fixed.join("/"));
    base.map_or(Cow::Borrowed(path), Cow::Owned)
}
