//! `repro`: runs what is stale, restores what is known, and records both.
//!
//! The scheduler says what to look at and what to start; the runner says what ended; this file
//! carries facts between them, the store and the lock, and writes the lock as results come in.

mod absent;
mod circumstances;
mod finish;
mod lint;
mod restore;
mod share;
mod start;

pub use lint::{Warning, WarningKind};

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::mem::{ManuallyDrop, forget};
use std::time::{Duration, Instant};

use super::facts::{Observer, fill_absent};
use super::record::{Record, Stamp};
use super::shared::Shared;
use super::status::ReasonReport;
use super::{Error, Result, Site, World, check_ignore};
use crate::fs;
use crate::path::{DepPath, RelPath};
use crate::pipeline::{
    self, Facts, Graph, Limit, Message, MissingParam, Next, Reason, ReasonKind, Results, Runner,
    Scheduler, Stage, Verdict,
};
use crate::progress::{Event, StageOutcome};
use crate::project::{Held, Lock};
use crate::tree::Entry;
use crate::workspace::{Found, IgnoreRules, Park, Parked, PlacedItem};

/// How to reproduce.
#[derive(Clone, Debug, Default)]
pub struct ReproOptions {
    /// Stages, matrix groups, outputs, paths inside outputs, patterns; none: everything.
    pub targets: Vec<String>,
    /// Only the targets, not what they need.
    pub single: bool,
    /// The targets and all that needs them, not what they need.
    pub downstream: bool,
    /// How many stages at once; none: as configured, else one.
    pub jobs: Option<usize>,
    /// Params that get another value first: `key=value`, `file:key=value`, `+key=value`.
    pub set: Vec<String>,
    /// Only say what would run.
    pub dry_run: bool,
    /// Run even what is fresh.
    pub force: bool,
    /// Go on with what does not need a failed stage.
    pub keep_going: bool,
    /// Neither use nor fill the run cache.
    pub no_run_cache: bool,
    /// What is recorded and not in the workspace counts as it is recorded.
    pub allow_missing: bool,
    /// As `allow_missing`, and what a stage that runs needs comes from a remote.
    pub pull: bool,
}

/// What happened to every stage that was looked at.
#[derive(Debug, Default, serde::Serialize)]
pub struct ReproReport {
    /// Params that got another value first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub set: Vec<super::SetParam>,
    /// In the order they were settled.
    pub stages: Vec<StageRun>,
    /// Blocks of stages that are gone from `esker.toml`, dropped from the lock.
    pub dropped: Vec<String>,
    /// Params that look like secrets, of which only hashes were recorded: `params.yaml:api_token`.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub secrets: BTreeSet<String>,
    /// Whether somebody stopped it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub interrupted: bool,
    /// What is probably not meant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
    /// Metrics files after the run, for the last line of the tale.
    #[serde(skip)]
    pub metrics: Vec<super::metrics::MetricChange>,
    /// What git should commit with the lock: files of the pipeline that it does not have as they
    /// are, relative to the project.
    #[serde(skip)]
    pub to_commit: Vec<String>,
}

impl ReproReport {
    /// Whether any stage got a new block in the lock.
    pub fn recorded(&self) -> bool {
        let new = |run: &StageRun| matches!(run.action, Action::Ran | Action::Restored);
        self.stages.iter().any(new)
    }

    /// Whether a stage failed, or was skipped because of one that did.
    pub fn failed(&self) -> bool {
        let bad = |run: &StageRun| matches!(run.action, Action::Failed | Action::Skipped);
        self.stages.iter().any(bad)
    }
}

/// What happened to one stage.
#[derive(Clone, Debug, serde::Serialize)]
pub struct StageRun {
    /// Its name.
    pub name: String,
    /// What was done.
    pub action: Action,
    /// Why.
    pub reasons: Vec<ReasonReport>,
    /// How long it ran, or had run when what is restored was made.
    pub seconds: f64,
    /// How it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Where the outputs lie that a failed run had written, if it had written any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leavings: Option<String>,
}

/// What was done to a stage; a dry run says what would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It ran.
    Ran,
    /// Its outputs came from the run cache.
    Restored,
    /// It was fresh.
    Unchanged,
    /// It failed.
    Failed,
    /// Something above it failed.
    Skipped,
}

/// How a stage failed.
#[derive(Clone, Debug, serde::Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Failure {
    /// Its command ended with this code.
    Exit {
        /// The code.
        code: i32,
        /// Its last lines.
        tail: Vec<String>,
    },
    /// Its command was killed by this signal.
    Signal {
        /// The signal.
        signal: i32,
        /// Its last lines.
        tail: Vec<String>,
    },
    /// Its command was ended because its time was over.
    TimedOut {
        /// How many seconds it had.
        limit: f64,
        /// Its last lines.
        tail: Vec<String>,
    },
    /// Its command could not be started.
    Start {
        /// Why.
        message: String,
    },
    /// It did not write these outputs.
    NotWritten {
        /// Which.
        outs: Vec<RelPath>,
    },
    /// These inputs changed while it ran, so what it read is not known.
    InputsChanged {
        /// Which.
        deps: Vec<DepPath>,
    },
    /// Something else, before or after the command.
    Other {
        /// What.
        message: String,
    },
}

/// Reproduces the targets.
pub fn repro(world: &World<'_>, options: &ReproOptions) -> Result<ReproReport> {
    let (site, mut record) = Site::open_with_record(world)?;
    let set = set_params(&site, &options.set)?;
    if !set.is_empty() {
        // That may have waited for an esker that recorded something.
        record = ManuallyDrop::new(site.record()?);
    }
    let graph = ManuallyDrop::new(site.graph(&record.lock)?);
    let wanted = wanted(&site, &graph, options)?;
    refuse_ignored(&site, &graph, &wanted)?;
    let before = super::metrics::recorded(&record.lock);
    let mut repro = Repro::new(&site, &graph, ManuallyDrop::into_inner(record), options);
    repro.check_inputs(&wanted)?;
    let jobs = options.jobs.or(site.config.jobs).unwrap_or(1).max(1);
    world.progress.event(Event::Planned {
        stages: wanted.len(),
        jobs,
    });
    if options.dry_run {
        return repro.dry_run(&wanted);
    }
    repro.tidy()?;
    repro.drop_gone();
    let outcome = repro.run(&wanted, jobs);
    repro.save(true)?;
    let linked = super::links::relink(&site, &mut repro.observer.index, &repro.written);
    repro.observer.save_index();
    outcome.and(linked)?;
    let recorded = repro.report.recorded();
    if recorded {
        site.tend_store();
        site.sweep();
    }
    let in_git = match recorded || repro.report.failed() {
        true => site.git.tracked_below("")?.into_iter().collect(),
        false => BTreeSet::new(),
    };
    if !repro.report.interrupted {
        repro.report.warnings = repro.lint(&in_git)?;
    }
    let mut report = repro.report;
    report.set = set;
    report.secrets = secrets(&report, &repro.lock);
    let after = super::metrics::recorded(&repro.lock);
    report.metrics = super::metrics::moved(&site, &before, &after);
    if recorded {
        report.to_commit = to_commit(&site, &graph, &repro.lock, &in_git)?;
    }
    // As [`Site::open_with_record`] has it.
    forget(repro.lock);
    Ok(report)
}

/// Gives params other values, while no other esker reads them.
fn set_params(site: &Site<'_>, set: &[String]) -> Result<Vec<super::SetParam>> {
    if set.is_empty() {
        return Ok(Vec::new());
    }
    let _guard = site.guard()?;
    let done = super::set::set(site, set)?;
    for param in &done {
        site.world.progress.event(Event::ParamSet {
            what: &param.text,
            file: param.file.as_str(),
        });
    }
    Ok(done)
}

/// Fails if an ignore file excludes an output, which could then not be seen. One that is not there
/// yet may become a directory.
fn refuse_ignored(site: &Site<'_>, graph: &Graph, wanted: &BTreeSet<String>) -> Result<()> {
    let stages = wanted.iter().filter_map(|name| graph.stages().get(name));
    let mut rules = IgnoreRules::new(&site.layout.root);
    for out in stages.flat_map(|stage| &stage.outs) {
        let may_be_dir = |stat: Option<fs::Metadata>| stat.is_none_or(|stat| stat.is_dir());
        if let Some(rule) = check_ignore::rule(site, &mut rules, out, may_be_dir)? {
            let path = out.clone();
            return Err(Error::Ignored { path, rule });
        }
    }
    Ok(())
}

/// A reproduction under way.
struct Repro<'s> {
    site: &'s Site<'s>,
    graph: &'s Graph,
    options: &'s ReproOptions,
    lock: Lock,
    observer: Observer<'s>,
    /// What was put in place and is not saved yet.
    placed: BTreeMap<RelPath, Option<PlacedItem>>,
    results: Results,
    runner: Runner,
    stale: BTreeMap<String, (Vec<Reason>, Facts)>,
    /// What is to be restored next, all of it together.
    gathered: Vec<restore::Known<'s>>,
    running: BTreeMap<String, Running>,
    circumstances: Option<circumstances::Circumstances>,
    /// How many wishes to stop were passed on to running stages.
    forwarded: u32,
    unsaved: Option<Instant>,
    /// Files that stages wrote, to be links once they are safe in the store.
    written: Vec<(RelPath, Entry)>,
    unsaved_stages: BTreeSet<String>,
    /// The state of the lock file that `lock` was read from, or written to.
    stamp: Stamp,
    /// What other eskers must leave alone, by stage.
    claims: BTreeMap<String, Vec<Held>>,
    /// Claims of stages that are over and not saved yet.
    over: Vec<Held>,
    /// Stages that must run because what they wrote is needed and nowhere to be had.
    reopened: BTreeSet<String>,
    /// Results of others, once they are looked for.
    shared: Option<Shared<'s>>,
    /// Stages that another esker keeps waiting, and for which process that was told.
    waiting: BTreeMap<String, Option<u32>>,
    report: ReproReport,
}

/// A stage whose command runs.
struct Running {
    facts: Facts,
    reasons: Vec<Reason>,
    /// Old outputs, moved aside; those whose bytes are in the store may be dropped afterwards.
    parked: Vec<(Parked, bool)>,
    park: Park,
    /// What the run is called while it runs.
    id: String,
    started: u64,
    limit: Option<Limit>,
}

/// What came of the check of a stage.
enum Answer {
    Verdict(Verdict),
    /// Another esker has what it needs.
    Held,
    /// It must run, and what it reads is nowhere to be had, but could be made again.
    Lacks(absent::Lack),
}

/// What looking at a stage found, and the params that it misses.
type Looked = Result<(Checked, Vec<MissingParam>)>;

/// What a stage is.
enum Checked {
    Fresh,
    Stale(Vec<Reason>, Facts),
}

impl<'s> Repro<'s> {
    fn new(
        site: &'s Site<'s>,
        graph: &'s Graph,
        Record { lock, stamp, .. }: Record,
        options: &'s ReproOptions,
    ) -> Self {
        Self {
            observer: Observer::new(site, &lock, graph),
            placed: BTreeMap::new(),
            results: Results {
                dir: site.layout.results(),
            },
            runner: Runner::new(),
            stale: BTreeMap::new(),
            gathered: Vec::new(),
            running: BTreeMap::new(),
            circumstances: None,
            forwarded: 0,
            unsaved: None,
            written: Vec::new(),
            unsaved_stages: BTreeSet::new(),
            stamp,
            claims: BTreeMap::new(),
            over: Vec::new(),
            reopened: BTreeSet::new(),
            shared: None,
            waiting: BTreeMap::new(),
            report: ReproReport::default(),
            site,
            graph,
            options,
            lock,
        }
    }

    /// Removes what nobody needs any more, before anything of this run is moved aside.
    fn tidy(&self) -> Result<()> {
        let _guard = self.site.record_guard()?;
        self.site.prepare_store()?;
        super::undo::expire_old(self.site)?;
        Ok(())
    }

    /// Stops before anything runs if an input cannot be had, or is not what its record says.
    fn check_inputs(&mut self, wanted: &BTreeSet<String>) -> Result<()> {
        let stages = wanted.iter().map(|name| &self.graph.stages()[name]);
        self.observer.look_ahead(stages);
        let observer = RefCell::new(&mut self.observer);
        // What cannot be read is there; its stage will say what is wrong with it.
        let exists = |path: &DepPath| {
            let mut observer = observer.borrow_mut();
            !matches!(observer.dep(path), Ok(Found::Missing))
        };
        let tracked: Vec<RelPath> = self.lock.data.keys().cloned().collect();
        self.graph.check_sources(wanted, &tracked, &exists)?;
        self.check_params(wanted)?;
        let (mut changed, mut absent) = (Vec::new(), Vec::new());
        for path in self.tracked_inputs(wanted) {
            match self.observer.whole(&path)? {
                None => absent.push(path),
                Some(now) if now != self.lock.data[&path] => changed.push(path),
                Some(_) => {}
            }
        }
        if self.absence_counts() {
            absent.clear();
        }
        match (absent.is_empty(), changed.is_empty()) {
            (false, _) => Err(Error::DataAbsent(absent)),
            (true, false) => Err(Error::DataChanged(changed)),
            (true, true) => Ok(()),
        }
    }

    /// Params have to be there before anything runs, unless a stage writes their file.
    fn check_params(&mut self, wanted: &BTreeSet<String>) -> Result<()> {
        for name in wanted {
            let stage = &self.graph.stages()[name];
            let (_, missing) = self.observer.params(stage)?;
            let written = |file: &String| {
                let path = DepPath::parse(file).ok().and_then(|path| path.inside());
                path.is_some_and(|path| self.graph.writer(&path).is_some())
            };
            let lost = missing
                .into_iter()
                .find(|param| !param.files.iter().any(written));
            if let Some(param) = lost.filter(|_| !stage.spec.frozen) {
                return Err(pipeline::Error::MissingParam(Box::new(param)).into());
            }
        }
        Ok(())
    }

    fn tracked_inputs(&self, wanted: &BTreeSet<String>) -> Vec<RelPath> {
        let stages = wanted.iter().map(|name| &self.graph.stages()[name]);
        let deps: BTreeSet<&DepPath> = stages.flat_map(|stage| &stage.deps).collect();
        let read = |path: &&RelPath| deps.iter().any(|dep| dep.touches(path));
        self.lock.data.keys().filter(read).cloned().collect()
    }

    /// Blocks of stages that `esker.toml` no longer has leave the lock with this write.
    fn drop_gone(&mut self) {
        let stages = self.graph.stages();
        let gone = self
            .lock
            .stages
            .keys()
            .filter(|name| !stages.contains_key(*name));
        let gone: Vec<String> = gone.cloned().collect();
        for name in &gone {
            self.lock.stages.remove(name);
            self.unsaved = Some(Instant::now());
        }
        self.report.dropped = gone;
    }

    /// Does what the scheduler says until it says that all is done.
    fn run(&mut self, wanted: &BTreeSet<String>, jobs: usize) -> Result<()> {
        let mut scheduler = Scheduler::new(self.graph, wanted, jobs, self.options.keep_going);
        loop {
            if self.site.world.interrupt.is_requested() {
                scheduler.stop();
            }
            let next = scheduler.next();
            let looks_on = matches!(next, Next::Check(_));
            let restored = !looks_on && self.restore_gathered(&mut scheduler)?;
            match next {
                Next::Check(stage) => self.check_or_gather(&stage, &mut scheduler)?,
                Next::Run(stage) => match self.start(&stage) {
                    Ok(true) => {}
                    Ok(false) => scheduler.hold(&stage),
                    Err(error) => {
                        self.fail_to_start(&stage, &error);
                        scheduler.finished(&stage, false);
                    }
                },
                // What was released by it may go on.
                Next::Wait if restored => {}
                Next::Wait => match self.wait(scheduler.holds())? {
                    Some((stage, ok)) => scheduler.finished(&stage, ok),
                    None => drop(scheduler.retry()),
                },
                Next::Done => break,
            }
            self.save(false)?;
        }
        self.tell_skipped(&scheduler.skipped());
        Ok(())
    }

    /// Waits for the end of a running stage, forwarding interrupts meanwhile; only for a moment
    /// if stages are held.
    fn wait(&mut self, held: bool) -> Result<Option<(String, bool)>> {
        const GLANCE: Duration = Duration::from_millis(100);
        loop {
            self.leave_store();
            match self.runner.recv_timeout(GLANCE) {
                Some(Message::Output {
                    stage,
                    line,
                    stderr,
                }) => {
                    let (stage, line) = (&*stage, &*line);
                    self.tell(Event::StageOutput {
                        stage,
                        line,
                        stderr,
                    });
                }
                Some(Message::Exited(ended)) => {
                    self.enter_store()?;
                    let stage = ended.stage.clone();
                    let ok = self.finish(ended)?;
                    return Ok(Some((stage, ok)));
                }
                None => {
                    self.save(false)?;
                    if held {
                        self.enter_store()?;
                        return Ok(None);
                    }
                }
            }
            self.forward_interrupt();
        }
    }

    /// Asks running stages to end when somebody asked to stop, and kills them the second time.
    fn forward_interrupt(&mut self) {
        let asked = self.site.world.interrupt.times();
        if asked <= self.forwarded {
            return;
        }
        let killed = asked > 1;
        self.runner.signal(match killed {
            true => rustix::process::Signal::KILL,
            false => rustix::process::Signal::INT,
        });
        self.forwarded = asked;
        self.report.interrupted = true;
        let stages = self.running.len();
        if stages > 0 {
            self.tell(Event::Stopping { stages, killed });
        }
    }

    /// Finds out whether a stage is fresh, or leaves it to be restored together with others.
    fn check_or_gather(&mut self, name: &str, scheduler: &mut Scheduler) -> Result<()> {
        let graph = self.graph;
        let stage = graph.known(name);
        let mut looked = self.look(stage);
        if let Ok(looked) = &looked
            && self.gather(stage, looked)?
        {
            return Ok(());
        }
        // Stages are settled, and told of, in the order in which they were looked at.
        if self.restore_gathered(scheduler)? {
            looked = self.look(stage);
        }
        self.check(stage, looked, scheduler)
    }

    /// Settles a stage that was looked at, or has it held if another esker has what it needs.
    fn check(&mut self, stage: &'s Stage, looked: Looked, scheduler: &mut Scheduler) -> Result<()> {
        match self.judge(stage, looked)? {
            Answer::Verdict(verdict) => scheduler.checked(&stage.name, verdict),
            Answer::Held => scheduler.hold(&stage.name),
            Answer::Lacks(lack) => self.reopen(scheduler, &stage.name, lack),
        }
        Ok(())
    }

    /// Says whether a stage is fresh; restores it from the run cache if that knows it.
    fn judge(&mut self, stage: &'s Stage, looked: Looked) -> Result<Answer> {
        let name = &stage.name;
        match self.claim_unless_fresh(stage, looked) {
            Ok(None) => Ok(Answer::Held),
            Ok(Some((Checked::Fresh, _))) => {
                self.settle_storing(stage)?;
                // One that was taken up again has its line already.
                let is_again = !self.reopened.is_empty();
                if !is_again || self.report.stages.iter().all(|run| run.name != *name) {
                    self.settle(name, Action::Unchanged, &[], 0.0, None);
                    self.tell_finished(name, StageOutcome::Unchanged);
                }
                Ok(Answer::Verdict(Verdict::Settled))
            }
            Ok(Some((Checked::Stale(reasons, facts), missing))) => {
                if let Some(message) = cannot_run(&facts, missing) {
                    self.fail(name, &reasons, Failure::Other { message });
                    return Ok(Answer::Verdict(Verdict::Failed));
                }
                if self.restore(stage, &facts, &reasons)? {
                    return Ok(Answer::Verdict(Verdict::Settled));
                }
                self.queue(stage, reasons, facts)
            }
            Err(Error::Interrupted) => Err(Error::Interrupted),
            Err(error) => {
                let message = in_full(&error);
                self.fail(name, &[], Failure::Other { message });
                Ok(Answer::Verdict(Verdict::Failed))
            }
        }
    }

    /// Takes a stage that must run: with its inputs in place.
    fn queue(&mut self, stage: &Stage, reasons: Vec<Reason>, mut facts: Facts) -> Result<Answer> {
        let name = &stage.name;
        if self.absence_counts() {
            match self.bring_inputs(stage) {
                Ok(None) => {
                    self.claims.remove(name);
                    return Ok(Answer::Held);
                }
                Ok(Some(lost)) if !lost.is_empty() => {
                    let lack = self.lack(lost, reasons);
                    return Ok(Answer::Lacks(lack));
                }
                Ok(Some(_)) => {}
                Err(error) => {
                    let message = in_full(&error);
                    self.fail(name, &reasons, Failure::Other { message });
                    return Ok(Answer::Verdict(Verdict::Failed));
                }
            }
            facts = self.observer.facts(stage)?.0;
            if let Some(message) = cannot_run(&facts, Vec::new()) {
                self.fail(name, &reasons, Failure::Other { message });
                return Ok(Answer::Verdict(Verdict::Failed));
            }
        }
        self.stale.insert(name.clone(), (reasons, facts));
        Ok(Answer::Verdict(Verdict::Stale))
    }

    fn look(&mut self, stage: &Stage) -> Looked {
        let (mut facts, missing) = self.observer.facts(stage)?;
        if self.absence_counts() {
            fill_absent(self.site, &self.lock, stage, &mut facts);
        }
        if self.reopened.contains(&stage.name) {
            facts.outs = self.observer.outs(stage)?;
        }
        let mut reasons = pipeline::assess(stage, &facts, self.lock.stages.get(&stage.name));
        if reasons.is_empty() && self.options.force && !stage.spec.frozen {
            reasons.push(Reason::new(ReasonKind::Forced));
        }
        let runs = !reasons.is_empty() && !stage.spec.frozen;
        let checked = match runs {
            true => Checked::Stale(reasons, facts),
            false => Checked::Fresh,
        };
        Ok((checked, missing))
    }

    /// Says what would run: a stage below one that would run might, so it counts.
    fn dry_run(mut self, wanted: &BTreeSet<String>) -> Result<ReproReport> {
        if self.absence_counts() {
            self.observer.assumed = Some(self.lock.clone());
        }
        let statuses = super::status::stage_statuses(&mut self.observer, &self.lock, self.graph)?;
        for status in statuses {
            if !wanted.contains(&status.name) {
                continue;
            }
            let fresh = status.reasons.is_empty() || self.graph.stages()[&status.name].spec.frozen;
            self.report.stages.push(StageRun {
                action: match fresh && !self.options.force {
                    true => Action::Unchanged,
                    false => Action::Ran,
                },
                name: status.name,
                reasons: status.reasons,
                seconds: 0.0,
                failure: None,
                leavings: None,
            });
        }
        self.observer.save_index();
        Ok(self.report)
    }

    fn settle(
        &mut self,
        name: &str,
        action: Action,
        reasons: &[Reason],
        seconds: f64,
        failure: Option<Failure>,
    ) {
        self.give_back(name, matches!(action, Action::Ran | Action::Restored));
        // Only then can a stage be settled again.
        if !self.reopened.is_empty() {
            self.report.stages.retain(|run| run.name != name);
        }
        self.report.stages.push(StageRun {
            name: name.to_owned(),
            action,
            reasons: reasons.iter().map(ReasonReport::from).collect(),
            seconds,
            failure,
            leavings: None,
        });
    }

    fn fail(&mut self, name: &str, reasons: &[Reason], failure: Failure) {
        self.settle(name, Action::Failed, reasons, 0.0, Some(failure));
        self.tell_finished(name, StageOutcome::Failed);
    }

    fn tell_skipped(&mut self, names: &[String]) {
        for name in names {
            self.settle(name, Action::Skipped, &[], 0.0, None);
            self.tell_finished(name, StageOutcome::Skipped);
        }
        self.report.interrupted |= self.site.world.interrupt.is_requested();
    }

    fn tell(&self, event: Event<'_>) {
        self.site.world.progress.event(event);
    }

    fn tell_finished(&self, stage: &str, outcome: StageOutcome<'_>) {
        self.tell(Event::StageFinished { stage, outcome });
    }
}

/// The stages that targets name, with all they need unless asked otherwise; no targets: all.
fn wanted(site: &Site<'_>, graph: &Graph, options: &ReproOptions) -> Result<BTreeSet<String>> {
    if options.targets.is_empty() {
        return Ok(graph.stages().keys().cloned().collect());
    }
    let mut names = BTreeSet::new();
    for target in &options.targets {
        let path = site.path(target).ok();
        names.extend(graph.targets(target, path.as_ref())?);
    }
    Ok(match (options.single, options.downstream) {
        (true, _) => names,
        (false, true) => graph.with_downstream(&names),
        (false, false) => graph.with_upstream(&names),
    })
}

/// Params of what was recorded that look like secrets.
fn secrets(report: &ReproReport, lock: &Lock) -> BTreeSet<String> {
    let new = |run: &&StageRun| matches!(run.action, Action::Ran | Action::Restored);
    let runs = report.stages.iter().filter(new);
    let records = runs.filter_map(|run| lock.stages.get(&run.name));
    let params = records.flat_map(|record| &record.params);
    let secrets = params.flat_map(|(file, leaves)| {
        let keys = leaves.keys().filter(|key| pipeline::is_secret(key));
        keys.map(move |key| format!("{file}:{key}"))
    });
    secrets.collect()
}

/// The project's own files, the params and the plain dependencies that git has not, or not as they
/// are: a commit of the lock without them would record what no clone can have.
fn to_commit(
    site: &Site<'_>,
    graph: &Graph,
    lock: &Lock,
    in_git: &BTreeSet<String>,
) -> Result<Vec<String>> {
    let changed: BTreeSet<String> = site.git.uncommitted()?.into_iter().collect();
    let managed = super::content::stored(lock);
    let own = ["esker.toml", "esker.lock", ".gitignore", ".gitattributes"].map(str::to_owned);
    let deps = graph.stages().values().flat_map(|stage| &stage.deps);
    let plain = deps.filter(|dep| {
        let inside = dep.inside();
        inside.is_none_or(|path| super::content::overlapping(&managed, &path).is_empty())
    });
    let params = lock.stages.values().flat_map(|stage| stage.params.keys());
    let unstored = lock.stages.values().flat_map(|stage| &stage.unstored);
    let files = plain.chain(params).map(ToString::to_string);
    let files: BTreeSet<String> = files.chain(unstored.map(ToString::to_string)).collect();
    let mut wanted = Vec::new();
    for file in own.into_iter().chain(files) {
        let Some(path) = site.repo_path(&file) else {
            continue;
        };
        let differs = !has_at_or_below(in_git, &path) || has_at_or_below(&changed, &path);
        if differs && site.layout.root.join(&file).exists() && !site.git.is_ignored(&path)? {
            wanted.push(file);
        }
    }
    Ok(wanted)
}

fn has_at_or_below(paths: &BTreeSet<String>, dir: &str) -> bool {
    let below = format!("{dir}/");
    let next = paths.range(below.clone()..).next();
    paths.contains(dir) || next.is_some_and(|path| path.starts_with(&below))
}

/// Why a stale stage cannot run at all.
fn cannot_run(facts: &Facts, missing: Vec<MissingParam>) -> Option<String> {
    let dep = facts.deps.iter().find(|(_, hash)| hash.is_none());
    if let Some((path, _)) = dep {
        return Some(format!("its dependency `{path}` is missing"));
    }
    let missing = missing.into_iter().next()?;
    Some(pipeline::Error::MissingParam(Box::new(missing)).to_string())
}

/// An error with all its causes on one line.
fn in_full(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.join(": ")
}
