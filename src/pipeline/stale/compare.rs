//! The listener of the walk that compares with the recorded block and writes reasons.

use litemap::LiteMap;

use super::reason::{Reason, ReasonKind};
use super::walk::{Facts, Part, walk};
use crate::path::{DepPath, RelPath};
use crate::pipeline::Stage;
use crate::project::{Command, DepHash, Recorded, StageRecord};
use crate::value::{KeyPath, Value};

/// Why the stage would run; empty: it is fresh. Frozen stages look at outputs only.
///
/// The reasons stand in the order of [`ReasonKind`], then by path, file and key. A stage that was
/// never recorded has that one reason.
pub fn assess(stage: &Stage, facts: &Facts, recorded: Option<&StageRecord>) -> Vec<Reason> {
    let Some(recorded) = recorded else {
        return vec![Reason::new(ReasonKind::NeverRun)];
    };
    let mut comparison = Comparison::with(recorded);
    walk(stage, facts, &mut |part| comparison.take(part));
    let mut reasons = comparison.finish();
    if recorded.mixed {
        reasons.push(Reason::new(ReasonKind::Combination));
    }
    if stage.spec.always || is_bare(stage, facts) {
        reasons.push(Reason::new(ReasonKind::Always));
    }
    if stage.spec.frozen {
        reasons.retain(|reason| {
            matches!(reason.kind, ReasonKind::OutChanged | ReasonKind::OutMissing)
        });
    }
    reasons.sort_by(|a, b| a.place().cmp(&b.place()));
    reasons
}

/// A stage that reads nothing and writes nothing that esker could compare: only running it tells
/// whether there is something to do.
fn is_bare(stage: &Stage, facts: &Facts) -> bool {
    stage.deps.is_empty()
        && stage.outs.is_empty()
        && stage.spec.params.is_empty()
        && facts.params.is_empty()
}

/// What was recorded, each until the walk has met it.
struct Unmet<K, V>(LiteMap<K, Option<V>>);

impl<K: Ord, V> Unmet<K, V> {
    fn of(recorded: impl IntoIterator<Item = (K, V)>) -> Self {
        let recorded = recorded.into_iter();
        Self(recorded.map(|(key, value)| (key, Some(value))).collect())
    }

    /// What was recorded, the first time that it is asked for.
    fn meet(&mut self, key: &K) -> Option<V> {
        self.0.get_mut(key)?.take()
    }

    fn left(self) -> impl Iterator<Item = (K, V)> {
        let all = self.0.into_iter();
        all.filter_map(|(key, value)| Some((key, value?)))
    }
}

/// What of the recorded block the walk has not met yet, and the reasons so far.
struct Comparison<'a> {
    cmd: &'a Command,
    wdir: Option<&'a str>,
    env: Unmet<&'a String, &'a String>,
    deps: Unmet<&'a DepPath, &'a DepHash>,
    params: Unmet<(&'a DepPath, &'a KeyPath), &'a Value>,
    outs: Unmet<&'a RelPath, &'a Recorded>,
    reasons: Vec<Reason>,
}

impl<'a> Comparison<'a> {
    fn with(recorded: &'a StageRecord) -> Self {
        let leaves = recorded
            .params
            .iter()
            .flat_map(|(file, leaves)| leaves.iter().map(move |(key, value)| ((file, key), value)));
        Self {
            cmd: &recorded.cmd,
            wdir: recorded.wdir.as_deref(),
            env: Unmet::of(&recorded.env),
            deps: Unmet::of(&recorded.deps),
            params: Unmet::of(leaves),
            outs: Unmet::of(&recorded.outs),
            reasons: Vec::new(),
        }
    }

    fn take(&mut self, part: Part<'a>) {
        match part {
            Part::Cmd(cmd) => self.cmd(cmd),
            Part::Wdir(wdir) => self.wdir(wdir.map(RelPath::as_str)),
            Part::Env(name, value) => self.env(name, value),
            Part::Dep(path, now) => self.dep(path, now),
            Part::Param(file, key, value) => self.param(file, key, value),
            Part::Out(path, now) => self.out(path, now),
        }
    }

    fn cmd(&mut self, now: &Command) {
        if now != self.cmd {
            let reason = Reason::new(ReasonKind::Cmd);
            self.reasons
                .push(reason.values(Some(command(self.cmd)), Some(command(now))));
        }
    }

    fn wdir(&mut self, now: Option<&str>) {
        if now != self.wdir {
            let reason = Reason::new(ReasonKind::Wdir);
            self.reasons
                .push(reason.values(self.wdir.map(text), now.map(text)));
        }
    }

    fn env(&mut self, name: &'a String, now: &str) {
        let old = self.env.meet(&name);
        if old.is_none_or(|old| old != now) {
            let reason = Reason::new(ReasonKind::Env).key(name);
            self.reasons
                .push(reason.values(old.map(text), Some(text(now))));
        }
    }

    fn dep(&mut self, path: &'a DepPath, now: Option<&DepHash>) {
        let old = self.deps.meet(&path);
        let kind = match (old, now) {
            (Some(old), Some(now)) if old == now => return,
            (Some(_), Some(_)) => ReasonKind::DepChanged,
            (Some(_), None) => ReasonKind::DepMissing,
            (None, _) => ReasonKind::DepAdded,
        };
        let reason = Reason::new(kind).path(path);
        self.reasons
            .push(reason.values(old.map(text), now.map(text)));
    }

    fn param(&mut self, file: &'a DepPath, key: &'a KeyPath, now: &Value) {
        let old = self.params.meet(&(file, key));
        let kind = match old {
            Some(old) if old == now => return,
            Some(_) => ReasonKind::ParamChanged,
            None => ReasonKind::ParamAdded,
        };
        let reason = Reason::new(kind).file(file).key(key);
        self.reasons
            .push(reason.values(old.cloned(), Some(now.clone())));
    }

    fn out(&mut self, path: &'a RelPath, now: Option<&Recorded>) {
        let old = self.outs.meet(&path);
        let (kind, new) = match (old, now) {
            (Some(old), Some(now)) if old == now => return,
            (Some(_), Some(now)) => (ReasonKind::OutChanged, Some(text(&now.hash))),
            (Some(_), None) => (ReasonKind::OutMissing, None),
            (None, _) => (ReasonKind::OutList, Some(text(path))),
        };
        let old = old.map(|old| text(&old.hash));
        self.reasons
            .push(Reason::new(kind).path(path).values(old, new));
    }

    /// Whatever the walk did not meet is gone from the stage.
    fn finish(mut self) -> Vec<Reason> {
        for (name, old) in self.env.left() {
            let reason = Reason::new(ReasonKind::Env).key(name);
            self.reasons.push(reason.values(Some(text(old)), None));
        }
        for (path, old) in self.deps.left() {
            let reason = Reason::new(ReasonKind::DepRemoved).path(path);
            self.reasons.push(reason.values(Some(text(old)), None));
        }
        for ((file, key), old) in self.params.left() {
            let reason = Reason::new(ReasonKind::ParamRemoved).file(file).key(key);
            self.reasons.push(reason.values(Some(old.clone()), None));
        }
        for (path, _) in self.outs.left() {
            let reason = Reason::new(ReasonKind::OutList).path(path);
            self.reasons.push(reason.values(Some(text(path)), None));
        }
        self.reasons
    }
}

fn command(command: &Command) -> Value {
    match command {
        Command::One(script) => text(script),
        Command::Many(scripts) => Value::List(scripts.iter().map(text).collect()),
    }
}

fn text<T: ToString + ?Sized>(text: &T) -> Value {
    Value::String(text.to_string())
}
