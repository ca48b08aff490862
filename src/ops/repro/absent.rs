//! Recorded data that is not in the workspace: it counts as recorded (`--allow-missing`), and
//! comes when a stage that must run reads it (`--pull`).

use std::collections::BTreeSet;

use super::{Failure, Repro};
use crate::ops::content::{self, stored};
use crate::ops::routes::Routes;
use crate::ops::selection::Selection;
use crate::ops::{Result, checkout, fetch, push};
use crate::path::RelPath;
use crate::pipeline::{Reason, Scheduler, Stage, Verdict};
use crate::project::{Claim, Recorded};
use crate::remote::Root;

/// What a stage reads and nobody has.
pub(super) struct Lack {
    /// The stages that could make all of it again.
    producers: BTreeSet<String>,
    lost: Vec<RelPath>,
    /// Why the stage must run.
    reasons: Vec<Reason>,
}

impl Repro<'_> {
    /// Whether what is absent counts as recorded.
    pub(super) fn absence_counts(&self) -> bool {
        self.options.allow_missing || self.options.pull
    }

    /// Brings what a stage reads and is absent into the workspace, from the store or, if asked
    /// to, a remote: each path as a whole or not at all. `None` if another esker has some of it,
    /// else what could not be had.
    pub(super) fn bring_inputs(&mut self, stage: &Stage) -> Result<Option<Vec<RelPath>>> {
        let is_read = |path: &RelPath| stage.deps.iter().any(|dep| dep.touches(path));
        let mut absent: Vec<(RelPath, Recorded)> = Vec::new();
        for (path, recorded) in stored(&self.lock) {
            if is_read(&path) && self.observer.is_absent(&path)? {
                absent.push((path, recorded.clone()));
            }
        }
        if absent.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let root = &self.site.layout.root;
        let writes = absent.iter().map(|(path, _)| path.to_path(root));
        let wanted = Claim {
            writes: writes.collect(),
            ..Claim::default()
        };
        if !self.claim(stage, &wanted)? {
            return Ok(None);
        }
        self.fetch(&absent)?;
        let (mut paths, mut lost) = (Vec::new(), Vec::new());
        for (path, recorded) in absent {
            match self.is_here(&path, &recorded)? {
                true => paths.push(path),
                false => lost.push(path),
            }
        }
        if !paths.is_empty() {
            let guard = self.site.record_guard()?;
            let selection = Selection::of(paths.clone());
            checkout::switch(self.site, &self.lock, &selection, false)?;
            drop(guard);
            self.observer.forget(&paths);
        }
        Ok(Some(lost))
    }

    /// Whether the store has all of a recorded path.
    fn is_here(&self, path: &RelPath, recorded: &Recorded) -> Result<bool> {
        let store = &self.site.store;
        let entries = content::entries(store, path, recorded)?;
        Ok(entries.is_some_and(|entries| content::all_saved(store, &entries)))
    }

    pub(super) fn lack(&self, lost: Vec<RelPath>, reasons: Vec<Reason>) -> Lack {
        let mut producers = BTreeSet::new();
        for path in &lost {
            let writer = self.graph.writer(path);
            match writer.filter(|stage| !self.reopened.contains(&stage.name)) {
                Some(stage) if self.options.pull => drop(producers.insert(stage.name.clone())),
                // It would be in vain.
                _ => {
                    producers.clear();
                    break;
                }
            }
        }
        Lack {
            producers,
            lost,
            reasons,
        }
    }

    /// Has stages run after all, before one that lacks what they wrote: each once. If there are
    /// none, that one fails.
    pub(super) fn reopen(&mut self, scheduler: &mut Scheduler, stage: &str, lack: Lack) {
        match scheduler.reopen(stage, &lack.producers) {
            None => {
                self.claims.remove(stage);
                scheduler.hold(stage);
            }
            Some(stages) if stages.is_empty() => {
                let lost = lack.lost.iter().map(|path| format!("`{path}`"));
                let lost: Vec<String> = lost.collect();
                let message = match &lost[..] {
                    [path] => format!("its dependency {path} is missing"),
                    paths => format!("its dependencies {} are missing", paths.join(", ")),
                };
                self.fail(stage, &lack.reasons, Failure::Other { message });
                scheduler.checked(stage, Verdict::Failed);
            }
            Some(stages) => {
                for name in stages {
                    self.claims.remove(&name);
                    self.stale.remove(&name);
                }
                self.reopened.extend(lack.producers);
            }
        }
    }

    /// Brings what the store lacks of some paths, if that was asked for. What the remote does
    /// not have stays absent.
    pub(super) fn fetch(&self, paths: &[(RelPath, Recorded)]) -> Result<()> {
        match self.options.pull {
            true => self.fetch_now(paths),
            false => Ok(()),
        }
    }

    /// Brings what the store lacks of some paths.
    pub(super) fn fetch_now(&self, paths: &[(RelPath, Recorded)]) -> Result<()> {
        let mut roots: Vec<Root> = Vec::new();
        for (path, recorded) in paths {
            if !self.is_here(path, recorded)? {
                roots.push(push::root(path.clone(), recorded)?);
            }
        }
        if !roots.is_empty() {
            let routes = Routes::of(self.site, self.graph);
            let locks = [routes.travelling(&self.lock)?];
            let options = push::TransferOptions::default();
            let selection = Selection::default();
            fetch::bring(self.site, &routes, (&roots, &selection), &locks, &options)?;
        }
        Ok(())
    }
}
