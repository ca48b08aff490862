//! What the runs of one call share: for their records.

use std::collections::BTreeMap;

use super::Repro;
use crate::ops::content::to_recorded;
use crate::ops::{Result, status};
use crate::path::{DepPath, RelPath};
use crate::pipeline::{
    self, Ended, Environment, Exit, RunRecord, Stage, interpreter_of, interpreter_version,
};

/// How many uncommitted files are named.
const MAX_UNCOMMITTED: usize = 1000;
/// Files that pin the packages of a project.
const PINS: [&str; 3] = ["uv.lock", "poetry.lock", "environment.yml"];

/// The machine, the commit and the packages, looked at when the first stage starts.
pub(super) struct Circumstances {
    host: String,
    environment: Environment,
    commit: Option<String>,
    uncommitted: Vec<String>,
    /// What belonged to nobody.
    pub(super) nobodys: Vec<String>,
    /// Versions by interpreter.
    interpreters: BTreeMap<&'static str, Option<String>>,
}

impl Repro<'_> {
    pub(super) fn look_around(&mut self) -> Result<()> {
        if self.circumstances.is_some() {
            return Ok(());
        }
        let git = &self.site.git;
        let mut uncommitted = git.uncommitted()?;
        uncommitted.truncate(MAX_UNCOMMITTED);
        let commit = git.head()?.map(|head| head.commit);
        let mut environment = Environment::of_this_machine();
        environment.files = self.pins()?;
        self.circumstances = Some(Circumstances {
            host: pipeline::host(),
            environment,
            commit,
            uncommitted,
            nobodys: status::nobodys(self.site, &self.lock, self.graph)?,
            interpreters: BTreeMap::new(),
        });
        Ok(())
    }

    /// The hashes of the files that pin packages.
    fn pins(&mut self) -> Result<BTreeMap<String, String>> {
        let names = crate::fs::list_dir(&self.site.layout.root)?;
        let names = names.iter().filter_map(|name| name.to_str());
        let is_pin = |name: &&str| {
            PINS.contains(name) || (name.starts_with("requirements") && name.ends_with(".txt"))
        };
        let mut pins = BTreeMap::new();
        for name in names.filter(is_pin) {
            let path = DepPath::from(RelPath::parse(name)?);
            let found = self
                .site
                .scanner(&mut self.observer.index)
                .scan_dep(&path, &[])?;
            if let Some(recorded) = to_recorded(&found) {
                pins.insert(name.to_owned(), recorded.hash.to_string());
            }
        }
        Ok(pins)
    }

    /// The record of a run that is over; `run` is the run line of its block, if it has one.
    pub(super) fn run_record(
        &mut self,
        stage: &Stage,
        run: &str,
        (id, started): (&str, u64),
        ended: &Ended,
    ) -> RunRecord {
        let mut record = RunRecord {
            v: 1,
            stage: stage.name.clone(),
            run: run.to_owned(),
            id: id.to_owned(),
            started,
            seconds: ended.seconds,
            exit: exit_code(&ended.exit),
            peak_memory: ended.peak_memory,
            ..RunRecord::default()
        };
        if let Some(around) = &mut self.circumstances {
            record.host.clone_from(&around.host);
            record.commit.clone_from(&around.commit);
            record.uncommitted.clone_from(&around.uncommitted);
            record.environment = around.environment.clone();
            // Asked after the run, when the interpreter is warm and nobody waits for it.
            let program = interpreter_of(stage.spec.cmd.scripts());
            record.environment.interpreter = program.and_then(|program| {
                let known = around.interpreters.entry(program);
                known
                    .or_insert_with(|| interpreter_version(&self.site.manifest.run, program))
                    .clone()
            });
        }
        record
    }
}

/// As a shell tells it.
fn exit_code(exit: &pipeline::Result<Exit>) -> i32 {
    match exit {
        Ok(Exit::Code(code)) => *code,
        Ok(Exit::Signal(signal)) => 128 + signal,
        Ok(Exit::TimedOut) => 124,
        Err(_) => 127,
    }
}
