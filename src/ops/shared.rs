//! The run cache beyond this clone (`[run_cache] remote`): results of stages go to a remote after their
//! data, and come from there when they are looked for.

use std::collections::BTreeSet;

use super::push::{connect, jobs};
use super::routes::Routes;
use super::{Error, Result, Site};
use crate::hash::RunKey;
use crate::path::RelPath;
use crate::pipeline::{Results, RunRecord};
use crate::progress::Event;
use crate::project::{Lock, StageRecord};
use crate::remote::{self, Remote, SharedResult};

/// Where results of others are looked for.
pub(super) struct Shared<'s> {
    site: &'s Site<'s>,
    results: Results,
    /// `None` once it has turned out that they cannot be had.
    remote: Option<Remote>,
}

impl<'s> Shared<'s> {
    /// Gets ready to look, if this clone wants to.
    pub(super) fn open(site: &'s Site<'s>, remote: Option<&str>) -> Self {
        let mut shared = Self {
            site,
            results: results(site),
            remote: None,
        };
        if site.config.share_results == Some(true) {
            match connect(site, remote) {
                Ok((_, remote)) => shared.remote = Some(remote),
                Err(Error::NoRemote) => {}
                Err(error) => shared.tell(&error),
            }
        }
        shared
    }

    /// Brings what the remote has for these keys into the run cache of this clone, and the records of
    /// the runs. Yields how many results came. A remote that fails is told of once: a stage can run
    /// without it.
    pub(super) fn bring(&mut self, keys: &[RunKey]) -> Result<u64> {
        let Some(remote) = &self.remote else {
            return Ok(0);
        };
        let site = self.site;
        let runs = site.layout.runs();
        let known = |key, name: &str| {
            RunRecord::is_kept(&runs, name) || self.results.has(key, name).unwrap_or(false)
        };
        let found =
            remote.get_results(keys, &known, jobs(site, remote, None), site.world.interrupt);
        let found = match found {
            Ok(found) => found,
            Err(error) => return self.give_up(error.into()).map(|()| 0),
        };
        let mut n_results = 0;
        for SharedResult { key, name, bytes } in found {
            n_results += u64::from(self.results.take(key, &name, &bytes)?);
            RunRecord::take(&runs, &name, &bytes)?;
        }
        Ok(n_results)
    }

    /// Whether results may come.
    pub(super) fn is_open(&self) -> bool {
        self.remote.is_some()
    }

    /// Looks no more, because of an error that is told; only an interrupt is handed on.
    pub(super) fn give_up(&mut self, error: Error) -> Result<()> {
        self.remote = None;
        match error {
            Error::Remote(remote::Error::Interrupted) => Err(error),
            error => {
                self.tell(&error);
                Ok(())
            }
        }
    }

    fn tell(&self, error: &Error) {
        let reason = error.to_string();
        let progress = self.site.world.progress;
        progress.event(Event::NoSharedResults { reason: &reason });
    }
}

/// Sends the results that some locks record, if this clone wants to share them: those that it has
/// itself, and whose data the remotes have by now. Yields how many were new.
pub(super) fn share<'l>(
    site: &Site<'_>,
    remote: &str,
    routes: &Routes,
    locks: impl IntoIterator<Item = &'l Lock>,
    missing: &BTreeSet<&RelPath>,
) -> Result<u64> {
    if site.config.share_results != Some(true) {
        return Ok(0);
    }
    let is_there =
        |path: &RelPath| routes.travels(path) && !missing.iter().any(|lost| lost.overlaps(path));
    let is_shared =
        |record: &&StageRecord| record.unstored.is_empty() && record.outs.keys().all(is_there);
    let (kept, runs) = (results(site), site.layout.runs());
    let (mut seen, mut entries, mut records) = (BTreeSet::new(), Vec::new(), Vec::new());
    let blocks = locks.into_iter().flat_map(|lock| lock.stages.values());
    for block in blocks.filter(is_shared) {
        let key = block.run_key();
        let Some((name, bytes)) = kept.entry(block)? else {
            continue;
        };
        if !seen.insert((block.run.clone(), name.clone())) {
            continue;
        }
        let run = RunRecord::file(&runs, &block.run);
        records.extend(run.map(|(name, bytes)| SharedResult { key, name, bytes }));
        entries.push(SharedResult { key, name, bytes });
    }
    if entries.is_empty() {
        return Ok(0);
    }
    let (_, remote) = connect(site, Some(remote))?;
    let how = (jobs(site, &remote, None), &*site.layout.probes());
    let interrupt = site.world.interrupt;
    // An entry comes last, so that who finds it finds the record of its run too.
    remote.put_results(&records, how, interrupt)?;
    Ok(remote.put_results(&entries, how, interrupt)?)
}

fn results(site: &Site<'_>) -> Results {
    Results {
        dir: site.layout.results(),
    }
}
