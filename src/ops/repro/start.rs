//! Starting a stage: old outputs aside, then the command.

use std::time::Duration;

use super::{Failure, Repro, Running, in_full};
use crate::fs;
use crate::ops::content::all_saved;
use crate::ops::{Error, Result};
use crate::pipeline::{self, Job, Limit, Stage};
use crate::progress::Event;
use crate::workspace::{self, Park, Parked};

impl Repro<'_> {
    /// Starts a stage's command; says `false` if another esker has what it needs.
    pub(super) fn start(&mut self, name: &str) -> Result<bool> {
        let graph = self.graph;
        let stage = graph.known(name);
        if !self.claim_mutexes(stage)? {
            self.stale.remove(name);
            return Ok(false);
        }
        let checked = self.stale.remove(name);
        let (reasons, facts) = checked.expect("only stages that were found stale are started");
        let reason = reasons.first().map(pipeline::describe).unwrap_or_default();
        self.tell(Event::StageStarted {
            stage: name,
            reason: &reason,
        });
        self.look_around()?;
        let park = Park::new(&self.site.layout.park(), &format!("repro-{name}"));
        let parked = self.move_outs_aside(stage, &park)?;
        let id = format!("{:016x}", u64::from_le_bytes(fs::random_bytes()));
        // From here on the old outputs are put back if anything goes wrong.
        self.running.insert(
            name.to_owned(),
            Running {
                facts,
                reasons,
                parked,
                park,
                id: id.clone(),
                started: fs::now_nanos(),
                limit: limit(stage),
            },
        );
        let job = self.job(stage, id)?;
        self.runner.start(job);
        Ok(true)
    }

    /// Tells of a stage that could not even be started, and puts its old outputs back.
    pub(super) fn fail_to_start(&mut self, name: &str, error: &Error) {
        let mut message = in_full(error);
        let running = self.running.remove(name);
        let reasons = running
            .as_ref()
            .map(|running| running.reasons.clone())
            .unwrap_or_default();
        if let Some(running) = running
            && let Err(error) = self.put_back(name, running)
        {
            message.push_str(&format!("; and then: {}", in_full(&error)));
        }
        self.fail(name, &reasons, Failure::Other { message });
    }

    fn move_outs_aside(&mut self, stage: &Stage, park: &Park) -> Result<Vec<(Parked, bool)>> {
        let root = &self.site.layout.root;
        let mut parked = Vec::new();
        for path in &stage.outs {
            let saved = all_saved(&self.site.store, &self.observer.entries(path)?);
            let item = match stage.options(path).keep {
                true => {
                    let item = park.copy(root, path)?;
                    // A link would let the command write into the store.
                    workspace::unprotect(root, path)?;
                    item
                }
                false => park.park(root, path)?,
            };
            parked.extend(item.map(|item| (item, saved)));
            if let Some(dir) = path.parent() {
                fs::create_dir_all(&dir.to_path(root))?;
            }
        }
        self.observer.forget(&stage.outs);
        Ok(parked)
    }

    fn job(&self, stage: &Stage, id: String) -> Result<Job> {
        let site = self.site;
        let root = &site.layout.root;
        let dir = stage
            .spec
            .wdir
            .as_ref()
            .map_or_else(|| root.clone(), |dir| dir.to_path(root));
        fs::create_dir_all(&dir)?;
        let fill = |text: &String| pipeline::fill_passed(stage, text, site.world.var);
        let env = stage.spec.env.iter();
        let env = env.map(|(name, text)| Ok((name.clone(), fill(text)?)));
        let mut env = env.collect::<Result<Vec<(String, String)>>>()?;
        env.push(("ESKER_ROOT".to_owned(), root.display().to_string()));
        env.push(("ESKER_STAGE".to_owned(), stage.name.clone()));
        env.push(("ESKER_RUN_ID".to_owned(), id.clone()));
        Ok(Job {
            stage: stage.name.clone(),
            scripts: stage
                .spec
                .cmd
                .scripts()
                .iter()
                .map(fill)
                .collect::<pipeline::Result<_>>()?,
            shell: [
                site.manifest.run.clone(),
                site.manifest.shell.clone().unwrap_or_else(default_shell),
            ]
            .concat(),
            plain: site.manifest.run.is_empty() && site.manifest.shell.is_none(),
            dir,
            env,
            log: site.layout.runs().join(format!("{id}.log")),
            limit: limit(stage),
        })
    }
}

/// What a stage's `timeout` comes to.
fn limit(stage: &Stage) -> Option<Limit> {
    const GRACE: Duration = Duration::from_secs(5);
    stage.spec.timeout.map(|after| Limit {
        after,
        grace: GRACE,
    })
}

/// Bash, strict, where there is one; else the system's shell. No start-up files are read.
fn default_shell() -> Vec<String> {
    let bash = ["/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash"];
    let bash = bash
        .into_iter()
        .find(|path| std::path::Path::new(path).exists());
    let words: &[&str] = match bash {
        Some(bash) => &[bash, "--noprofile", "--norc", "-eo", "pipefail", "-c"],
        None => &["sh", "-ec"],
    };
    words.iter().map(|word| (*word).to_owned()).collect()
}
