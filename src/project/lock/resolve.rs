//! Settles conflicts block by block, from the three sides or from conflict markers alone.
//!
//! A stage's block is taken whole or left out, never mixed: between the markers git has merged
//! lines of both sides where they did not touch, so that a block put together from such a text
//! may never have run. Its `run` line tells.

use std::collections::BTreeSet;

use super::{Lock, StageRecord};
use crate::project::{Error, Result};
use crate::value::{quote, quote_key};

/// A side of a merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The branch merged into.
    Ours,
    /// The branch being merged.
    Theirs,
}

/// What came of settling conflicts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resolved {
    /// The settled lock; blocks in `open` are taken from ours.
    pub lock: Lock,
    /// Blocks changed on both sides (`data "x"`, `stage train`) that the choice settled.
    pub chosen: Vec<String>,
    /// Blocks changed on both sides that no choice was given for.
    pub open: Vec<String>,
    /// Stages that the lock does not hold, because the text has lost their whole block: git had
    /// merged lines of both sides into it.
    pub mixed: Vec<String>,
}

/// The line of the first conflict marker, from 1. No line of a lock begins like one.
pub(super) fn first_marker(text: &str) -> Option<usize> {
    let line = text.lines().position(|line| marker(line).is_some())?;
    Some(line + 1)
}

pub(super) fn merge(base: &Lock, ours: &Lock, theirs: &Lock, choice: Option<Side>) -> Resolved {
    let sides = Sides {
        ours,
        theirs,
        before: Before::Known(base),
        choice,
    };
    sides.settle(|_, _| true)
}

pub(super) fn resolve(text: &str, choice: Option<Side>) -> Result<Resolved> {
    if first_marker(text).is_none() {
        return Ok(Resolved {
            lock: Lock::parse(text)?,
            ..Resolved::default()
        });
    }
    let texts = split(text)?;
    let ours = parse_side(&texts.ours, "ours")?;
    let theirs = parse_side(&texts.theirs, "theirs")?;
    // What an older merge left as a base may itself hold conflicts; then it tells nothing.
    let base = texts.base.and_then(|base| Lock::parse(&base).ok());
    let before = match &base {
        Some(base) => Before::Known(base),
        None => Before::Unknown(&texts.removed),
    };
    let sides = Sides {
        ours: &ours,
        theirs: &theirs,
        before,
        choice,
    };
    Ok(sides.settle(|name, record| record.run == record.run_line(name)))
}

/// A side has lines of its own, so that places in it mean nothing to people.
fn parse_side(text: &str, side: &str) -> Result<Lock> {
    Lock::parse(text).map_err(|error| match error {
        Error::LockDamaged { message, .. } => Error::LockDamaged {
            message: format!("the conflict's side `{side}`: {message}"),
            at: None,
        },
        other => other,
    })
}

/// What is known of the time before both sides changed.
enum Before<'l> {
    Known(&'l Lock),
    /// Only the headers of blocks that one side removed.
    Unknown(&'l BTreeSet<String>),
}

struct Sides<'l> {
    ours: &'l Lock,
    theirs: &'l Lock,
    before: Before<'l>,
    choice: Option<Side>,
}

/// Whose block is taken.
enum Verdict {
    Same,
    Only(Side),
    Both,
}

impl Sides<'_> {
    /// `whole` says whether a stage's block that differs is one that was recorded.
    fn settle(&self, whole: impl Fn(&str, &StageRecord) -> bool) -> Resolved {
        let mut out = Resolved::default();
        let paths: BTreeSet<_> = self
            .ours
            .data
            .keys()
            .chain(self.theirs.data.keys())
            .collect();
        for path in paths {
            let header = header("data", path.as_str());
            let verdict = self.verdict(&header, |lock| lock.data.get(path));
            let label = || format!("data {}", quote(path.as_str()));
            if let Some(recorded) = self.side(&verdict, label, &mut out).data.get(path) {
                out.lock.data.insert(path.clone(), recorded.clone());
            }
        }
        let names: BTreeSet<_> = self
            .ours
            .stages
            .keys()
            .chain(self.theirs.stages.keys())
            .collect();
        for name in names {
            let header = header("stage", name);
            let verdict = self.verdict(&header, |lock| lock.stages.get(name));
            let label = || format!("stage {name}");
            let taken = self.side(&verdict, label, &mut out).stages.get(name);
            match taken {
                Some(record) if matches!(verdict, Verdict::Same) || whole(name, record) => {
                    out.lock.stages.insert(name.clone(), record.clone());
                }
                Some(_) => out.mixed.push(label()),
                None => {}
            }
        }
        out
    }

    fn verdict<'s, B: PartialEq + 's>(
        &'s self,
        header: &str,
        block: impl Fn(&'s Lock) -> Option<&'s B>,
    ) -> Verdict {
        let (ours, theirs) = (block(self.ours), block(self.theirs));
        if ours == theirs {
            return Verdict::Same;
        }
        match self.before {
            Before::Known(base) if block(base) == ours => Verdict::Only(Side::Theirs),
            Before::Known(base) if block(base) == theirs => Verdict::Only(Side::Ours),
            Before::Known(_) => Verdict::Both,
            // A block that only one side has was added there, unless the other removed it:
            // keeping it loses nothing.
            Before::Unknown(removed) if removed.contains(header) => Verdict::Both,
            Before::Unknown(_) if theirs.is_none() => Verdict::Only(Side::Ours),
            Before::Unknown(_) if ours.is_none() => Verdict::Only(Side::Theirs),
            Before::Unknown(_) => Verdict::Both,
        }
    }

    /// The lock to take a block from; notes a block that both sides changed.
    fn side(&self, verdict: &Verdict, label: impl Fn() -> String, out: &mut Resolved) -> &Lock {
        let side = match (verdict, self.choice) {
            (Verdict::Same, _) => Side::Ours,
            (Verdict::Only(side), _) => *side,
            (Verdict::Both, Some(side)) => {
                out.chosen.push(label());
                side
            }
            (Verdict::Both, None) => {
                out.open.push(label());
                Side::Ours
            }
        };
        match side {
            Side::Ours => self.ours,
            Side::Theirs => self.theirs,
        }
    }
}

fn header(kind: &str, name: &str) -> String {
    format!("[{kind}.{}]", quote_key(name))
}

/// A line that git writes around a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Marker {
    Ours,
    Base,
    Theirs,
    End,
}

/// The texts of the sides: what lies outside of conflicts is in each.
#[derive(Default)]
struct Texts {
    ours: String,
    base: Option<String>,
    theirs: String,
    /// Headers in conflicts where the other side has nothing.
    removed: BTreeSet<String>,
}

#[derive(Default)]
struct Conflict {
    ours: String,
    base: Option<String>,
    theirs: String,
}

fn marker(line: &str) -> Option<Marker> {
    let marker = match line.get(..7)? {
        "<<<<<<<" => Marker::Ours,
        "|||||||" => Marker::Base,
        "=======" => Marker::Theirs,
        ">>>>>>>" => Marker::End,
        _ => return None,
    };
    matches!(line.as_bytes().get(7), None | Some(b' ' | b'\r' | b'\n')).then_some(marker)
}

fn split(text: &str) -> Result<Texts> {
    let mut out = Texts {
        base: Some(String::new()),
        ..Texts::default()
    };
    let mut conflict = Conflict::default();
    let mut inside: Option<Marker> = None;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        match (inside, marker(line)) {
            (None, None) => out.push_common(line),
            (None, Some(Marker::Ours)) => inside = Some(Marker::Ours),
            (Some(part), None) => conflict.push(part, line),
            (Some(Marker::Ours), Some(Marker::Base)) => {
                conflict.base = Some(String::new());
                inside = Some(Marker::Base);
            }
            (Some(Marker::Ours | Marker::Base), Some(Marker::Theirs)) => {
                inside = Some(Marker::Theirs);
            }
            (Some(Marker::Theirs), Some(Marker::End)) => {
                out.push_conflict(&std::mem::take(&mut conflict));
                inside = None;
            }
            _ => return Err(unmatched(index + 1)),
        }
    }
    match inside {
        None => Ok(out),
        Some(_) => Err(unmatched(text.lines().count())),
    }
}

fn unmatched(line: usize) -> Error {
    Error::LockDamaged {
        message: format!("the conflict marker before or on line {line} has no match"),
        at: None,
    }
}

impl Texts {
    fn push_common(&mut self, line: &str) {
        self.ours.push_str(line);
        self.theirs.push_str(line);
        if let Some(base) = &mut self.base {
            base.push_str(line);
        }
    }

    fn push_conflict(&mut self, conflict: &Conflict) {
        self.ours.push_str(&conflict.ours);
        self.theirs.push_str(&conflict.theirs);
        let base = self.base.take().zip(conflict.base.as_ref());
        self.base = base.map(|(base, part)| base + part);
        for (side, other) in [
            (&conflict.ours, &conflict.theirs),
            (&conflict.theirs, &conflict.ours),
        ] {
            if other.trim().is_empty() {
                let headers = side.lines().filter(|line| line.starts_with('['));
                self.removed
                    .extend(headers.map(|line| line.trim_end().to_owned()));
            }
        }
    }
}

impl Conflict {
    fn push(&mut self, part: Marker, line: &str) {
        match part {
            Marker::Ours => self.ours.push_str(line),
            Marker::Base => self.base.get_or_insert_default().push_str(line),
            Marker::Theirs | Marker::End => self.theirs.push_str(line),
        }
    }
}
