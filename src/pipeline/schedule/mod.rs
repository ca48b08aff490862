//! The scheduler: a pure state machine that is told what happened and says what to do next.
//!
//! Every stage has one [`State`], and [`Scheduler::set`] makes every transition:
//!
//! ```text
//! Waiting → Ready → Checking → Settled
//!                            → Queued → Running → Ran
//!                                               → Failed
//!                            → Failed
//! Checking, Running → Held → Ready
//! Waiting, Ready, Checking, Queued, Held → Skipped
//! Settled, Ran → Waiting
//! ```
//!
//! A stage is held while another process has what it needs; whoever knows that says so
//! ([`Scheduler::hold`]) and asks for another try ([`Scheduler::retry`]). What is over is taken up
//! again if it turns out that what it wrote is needed and nowhere to be had
//! ([`Scheduler::reopen`]).

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use super::Graph;

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Find out whether this stage is fresh; answer with [`Scheduler::checked`].
    Check(String),
    /// Start this stage; answer later with [`Scheduler::finished`].
    Run(String),
    /// Nothing until a running stage ends, or a held one can be tried again.
    Wait,
    /// All is decided.
    Done,
}

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing to do (fresh, or restored from the run cache at once).
    Settled,
    /// It must run.
    Stale,
    /// It cannot run (checking failed).
    Failed,
}

/// Where a stage is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Something it needs is not over yet.
    Waiting,
    /// It can be checked.
    Ready,
    /// Its check was asked for.
    Checking,
    /// It is stale and waits for a free place.
    Queued,
    /// Its run was asked for.
    Running,
    /// Another process has what it needs.
    Held,
    /// Over: nothing to do.
    Settled,
    /// Over: it ran.
    Ran,
    /// Over: its check or its run failed.
    Failed,
    /// Over: never tried.
    Skipped,
}

/// Decides the order of stages.
///
/// Stages are numbered in the order of the graph, so that the smallest number is always the one
/// to take next.
#[derive(Debug)]
pub struct Scheduler {
    names: Vec<String>,
    numbers: BTreeMap<String, usize>,
    states: Vec<State>,
    /// How many stages that each one needs are not over yet.
    missing: Vec<usize>,
    downstream: Vec<Vec<usize>>,
    /// What each one must have for itself alone while it runs.
    mutexes: Vec<BTreeSet<String>>,
    /// What running stages have for themselves.
    taken: BTreeSet<String>,
    /// Stages in one of the states that [`Scheduler::next`] looks at.
    ready: BTreeSet<usize>,
    queued: BTreeSet<usize>,
    held: BTreeSet<usize>,
    n_checking: usize,
    n_running: usize,
    jobs: usize,
    keep_going: bool,
    stopped: bool,
}

impl Scheduler {
    /// Plans these stages of a graph; stages outside `wanted` count as settled. At least one job
    /// may always run.
    pub fn new(graph: &Graph, wanted: &BTreeSet<String>, jobs: usize, keep_going: bool) -> Self {
        let names = graph.in_order().map(|stage| &stage.name);
        let names: Vec<String> = names
            .filter(|name| wanted.contains(*name))
            .cloned()
            .collect();
        let numbers: BTreeMap<String, usize> = names.iter().cloned().zip(0..).collect();
        let mut missing = vec![0; names.len()];
        let mut downstream = vec![Vec::new(); names.len()];
        for (number, name) in names.iter().enumerate() {
            for needed in graph.upstream(name) {
                if let Some(needed) = numbers.get(&needed.name) {
                    downstream[*needed].push(number);
                    missing[number] += 1;
                }
            }
        }
        let mutex = |name: &String| graph.stages()[name].spec.mutex.iter().cloned().collect();
        let mut scheduler = Self {
            mutexes: names.iter().map(mutex).collect(),
            taken: BTreeSet::new(),
            states: vec![State::Waiting; names.len()],
            names,
            numbers,
            missing,
            downstream,
            ready: BTreeSet::new(),
            queued: BTreeSet::new(),
            held: BTreeSet::new(),
            n_checking: 0,
            n_running: 0,
            jobs: jobs.max(1),
            keep_going,
            stopped: false,
        };
        for number in 0..scheduler.states.len() {
            if scheduler.missing[number] == 0 {
                scheduler.set(number, State::Ready);
            }
        }
        scheduler
    }

    /// What to do next. Runs come before checks, so that no place stays empty.
    #[expect(
        clippy::should_implement_trait,
        reason = "it never ends, and what it says depends on answers in between"
    )]
    pub fn next(&mut self) -> Next {
        if self.n_running < self.jobs
            && let Some(number) = self.startable()
        {
            self.set(number, State::Running);
            return Next::Run(self.names[number].clone());
        }
        if let Some(number) = self.ready.first().copied() {
            self.set(number, State::Checking);
            return Next::Check(self.names[number].clone());
        }
        if self.n_running + self.n_checking + self.held.len() > 0 {
            return Next::Wait;
        }
        Next::Done
    }

    /// Takes the answer to [`Next::Check`].
    ///
    /// # Panics
    /// When that stage was not to be checked.
    pub fn checked(&mut self, stage: &str, verdict: Verdict) {
        let number = self.number(stage, State::Checking);
        match verdict {
            Verdict::Settled => self.set(number, State::Settled),
            Verdict::Stale if self.stopped => self.set(number, State::Skipped),
            Verdict::Stale => self.set(number, State::Queued),
            Verdict::Failed => self.fail(number),
        }
    }

    /// Takes the end of a run.
    ///
    /// # Panics
    /// When that stage was not running.
    pub fn finished(&mut self, stage: &str, ok: bool) {
        let number = self.number(stage, State::Running);
        if ok {
            self.set(number, State::Ran);
        } else {
            self.fail(number);
        }
    }

    /// Puts a stage back that could not be checked or started, because another process has what
    /// it needs. It comes again after [`Scheduler::retry`], from its check on: what the other
    /// process did may have changed the answer.
    ///
    /// # Panics
    /// When that stage was neither to be checked nor to be started.
    pub fn hold(&mut self, stage: &str) {
        let number = self.numbers.get(stage).copied();
        let asked =
            |number: &usize| matches!(self.states[*number], State::Checking | State::Running);
        let number = number
            .filter(asked)
            .expect("only what was asked for can be held");
        let state = if self.stopped {
            State::Skipped
        } else {
            State::Held
        };
        self.set(number, state);
    }

    /// Takes up stages again that are over, because the one that is being checked needs what they
    /// wrote and it is nowhere to be had. That one, and all else that depends on them, comes again
    /// after them, from its check on. Yields what was put back: nothing, if none of them is over;
    /// `None`, with nothing changed, while something that depends on them runs.
    ///
    /// # Panics
    /// When that stage was not to be checked.
    pub fn reopen(&mut self, stage: &str, needed: &BTreeSet<String>) -> Option<Vec<String>> {
        let asking = self.number(stage, State::Checking);
        let needed = needed.iter().filter_map(|name| self.numbers.get(name));
        let needed: Vec<usize> = needed
            .copied()
            .filter(|number| self.is_done(*number))
            .collect();
        let mut below: BTreeSet<usize> = needed.iter().copied().collect();
        let mut open = needed;
        while let Some(number) = open.pop() {
            let next = self.downstream[number].iter().copied();
            open.extend(next.filter(|number| below.insert(*number)));
        }
        let under_way = |number: &usize| match self.states[*number] {
            State::Running => true,
            State::Checking => *number != asking,
            _ => false,
        };
        if below.iter().any(under_way) {
            return None;
        }
        if !below.contains(&asking) {
            return Some(Vec::new());
        }
        below.retain(|number| !matches!(self.states[*number], State::Failed | State::Skipped));
        for number in &below {
            self.set(*number, State::Waiting);
        }
        self.count_missing(&below);
        for number in &below {
            match self.stopped {
                true => self.set(*number, State::Skipped),
                false if self.missing[*number] == 0 => self.set(*number, State::Ready),
                false => {}
            }
        }
        let names = below.iter().map(|number| self.names[*number].clone());
        Some(names.collect())
    }

    /// Tries held stages again. Says whether there were any.
    pub fn retry(&mut self) -> bool {
        let held: Vec<usize> = self.held.iter().copied().collect();
        for number in &held {
            self.set(*number, State::Ready);
        }
        !held.is_empty()
    }

    /// Whether any stage is held.
    pub fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// Starts nothing new from now on (an interrupt, or a failure without `--keep-going`).
    pub fn stop(&mut self) {
        self.stopped = true;
        for number in 0..self.states.len() {
            self.skip(number);
        }
    }

    /// Stages that were never tried because something above failed or all was stopped, by name.
    pub fn skipped(&self) -> Vec<String> {
        let states = self.states.iter().zip(&self.names);
        let skipped = states.filter(|(state, _)| **state == State::Skipped);
        let mut names: Vec<String> = skipped.map(|(_, name)| name.clone()).collect();
        names.sort();
        names
    }

    fn is_done(&self, number: usize) -> bool {
        matches!(self.states[number], State::Settled | State::Ran)
    }

    /// Counts anew how many stages that these need are not over.
    fn count_missing(&mut self, numbers: &BTreeSet<usize>) {
        for number in numbers {
            self.missing[*number] = 0;
        }
        for number in 0..self.states.len() {
            if !self.is_done(number) {
                for next in &self.downstream[number] {
                    self.missing[*next] += usize::from(numbers.contains(next));
                }
            }
        }
    }

    /// The first queued stage whose mutexes are all free.
    fn startable(&self) -> Option<usize> {
        let mut queued = self.queued.iter().copied();
        queued.find(|number| self.mutexes[*number].is_disjoint(&self.taken))
    }

    fn number(&self, stage: &str, state: State) -> usize {
        let number = self.numbers.get(stage).copied();
        number
            .filter(|number| self.states[*number] == state)
            .expect("answers come only for stages that were asked for")
    }

    fn fail(&mut self, number: usize) {
        self.set(number, State::Failed);
        if !self.keep_going {
            self.stop();
            return;
        }
        let mut open = self.downstream[number].clone();
        while let Some(number) = open.pop() {
            if self.skip(number) {
                open.extend(&self.downstream[number]);
            }
        }
    }

    /// Gives up a stage that was not tried yet; says whether it was one.
    fn skip(&mut self, number: usize) -> bool {
        let untried = matches!(
            self.states[number],
            State::Waiting | State::Ready | State::Queued | State::Held
        );
        if untried {
            self.set(number, State::Skipped);
        }
        untried
    }

    /// Makes a transition: the only place that changes a state, and so the only one that keeps
    /// the sets and counts beside the states true.
    fn set(&mut self, number: usize, state: State) {
        match self.states[number] {
            State::Ready => drop(self.ready.remove(&number)),
            State::Queued => drop(self.queued.remove(&number)),
            State::Held => drop(self.held.remove(&number)),
            State::Checking => self.n_checking -= 1,
            State::Running => {
                self.n_running -= 1;
                let given_back = &self.mutexes[number];
                self.taken.retain(|name| !given_back.contains(name));
            }
            _ => {}
        }
        self.states[number] = state;
        match state {
            State::Ready => drop(self.ready.insert(number)),
            State::Queued => drop(self.queued.insert(number)),
            State::Held => drop(self.held.insert(number)),
            State::Checking => self.n_checking += 1,
            State::Running => {
                self.n_running += 1;
                self.taken.extend(self.mutexes[number].iter().cloned());
            }
            State::Settled | State::Ran => self.release(number),
            State::Waiting | State::Failed | State::Skipped => {}
        }
    }

    /// Tells the stages downstream that this one is over and well.
    fn release(&mut self, number: usize) {
        for next in self.downstream[number].clone() {
            self.missing[next] -= 1;
            if self.missing[next] == 0 && self.states[next] == State::Waiting {
                self.set(next, State::Ready);
            }
        }
    }
}
