//! Why a stage would run: one reason as data, and in words.

use crate::value::Value;

/// Why a stage would run. The names are those of the JSON; the order is that in which reasons
/// are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReasonKind {
    /// Nothing is recorded; then it is the only reason.
    NeverRun,
    /// The command differs.
    Cmd,
    /// The directory to run in differs.
    Wdir,
    /// A recorded variable differs, is new or is gone.
    Env,
    /// A dependency has another hash.
    DepChanged,
    /// A dependency is not recorded.
    DepAdded,
    /// A recorded dependency is no longer one.
    DepRemoved,
    /// A recorded dependency is not on disk.
    DepMissing,
    /// A param has another value.
    ParamChanged,
    /// A param is not recorded.
    ParamAdded,
    /// A recorded param is no longer asked for.
    ParamRemoved,
    /// An output is declared and not recorded, or the other way round.
    OutList,
    /// An output is not what the recorded run wrote.
    OutChanged,
    /// A recorded output is not on disk.
    OutMissing,
    /// The block is not one that any run wrote: a merge mixed it, or someone edited it.
    Combination,
    /// A stage above will run.
    Upstream,
    /// It is declared so, or has nothing to compare.
    Always,
    /// Someone asked for it.
    Forced,
}

/// One reason, with what it is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Reason {
    /// What kind.
    pub kind: ReasonKind,
    /// The dependency or output.
    pub path: Option<String>,
    /// The param or variable.
    pub key: Option<String>,
    /// The params file.
    pub file: Option<String>,
    /// Before: a value, a hash, a command; of an output that is no longer declared, its path.
    pub old: Option<Value>,
    /// Now: a value, a hash, a command; of an output that is newly declared, its path.
    pub new: Option<Value>,
    /// The stage upstream.
    pub stage: Option<String>,
}

impl Reason {
    /// A reason of this kind, about nothing yet.
    pub fn new(kind: ReasonKind) -> Self {
        Self {
            kind,
            path: None,
            key: None,
            file: None,
            old: None,
            new: None,
            stage: None,
        }
    }

    /// That a stage above will run.
    pub fn upstream(stage: &str) -> Self {
        Self {
            stage: Some(stage.to_owned()),
            ..Self::new(ReasonKind::Upstream)
        }
    }

    pub(super) fn path<T: ToString + ?Sized>(mut self, path: &T) -> Self {
        self.path = Some(path.to_string());
        self
    }

    pub(super) fn key<T: ToString + ?Sized>(mut self, key: &T) -> Self {
        self.key = Some(key.to_string());
        self
    }

    pub(super) fn file<T: ToString + ?Sized>(mut self, file: &T) -> Self {
        self.file = Some(file.to_string());
        self
    }

    pub(super) fn values(mut self, old: Option<Value>, new: Option<Value>) -> Self {
        self.old = old;
        self.new = new;
        self
    }

    /// Where it stands among the reasons of a stage: all about dependencies together, by path,
    /// and all about params together, by file and key.
    pub(super) fn place(&self) -> (ReasonKind, [Option<&str>; 3]) {
        use ReasonKind::{DepAdded, DepChanged, DepMissing, DepRemoved};
        use ReasonKind::{ParamAdded, ParamChanged, ParamRemoved};
        let group = match self.kind {
            DepAdded | DepRemoved | DepMissing => DepChanged,
            ParamAdded | ParamRemoved => ParamChanged,
            kind => kind,
        };
        let about = [&self.path, &self.file, &self.key];
        (group, about.map(Option::as_deref))
    }
}

/// One reason in words: `train.lr 0.01 → 0.003 (params.yaml)`.
pub fn describe(reason: &Reason) -> String {
    let path = reason.path.as_deref().unwrap_or_default();
    match reason.kind {
        ReasonKind::NeverRun => "first run".to_owned(),
        ReasonKind::Cmd => "cmd changed".to_owned(),
        ReasonKind::Wdir => wdir(reason),
        ReasonKind::Env => format!("env {}", change(reason)),
        ReasonKind::DepChanged => format!("{path} changed"),
        ReasonKind::DepAdded => format!("{path} added to deps"),
        ReasonKind::DepRemoved => format!("{path} removed from deps"),
        ReasonKind::DepMissing | ReasonKind::OutMissing => format!("{path} missing"),
        ReasonKind::ParamChanged | ReasonKind::ParamAdded | ReasonKind::ParamRemoved => {
            let file = reason.file.as_deref().unwrap_or_default();
            format!("{} ({file})", change(reason))
        }
        ReasonKind::OutList if reason.new.is_some() => format!("{path} added to outs"),
        ReasonKind::OutList => format!("{path} removed from outs"),
        ReasonKind::OutChanged => format!("{path} changed outside esker repro"),
        ReasonKind::Combination => "never ran in this combination".to_owned(),
        ReasonKind::Upstream => format!("after {}", reason.stage.as_deref().unwrap_or_default()),
        ReasonKind::Always => "always runs".to_owned(),
        ReasonKind::Forced => "forced".to_owned(),
    }
}

/// `train.lr 0.01 → 0.003`, `train.lr 0.003 added`, `train.lr 0.003 removed`.
fn change(reason: &Reason) -> String {
    let key = reason.key.as_deref().unwrap_or_default();
    let show = |value: &Value| match value {
        // All that the environment holds is text, so quotes around `1` would say nothing.
        Value::String(text) if reason.kind == ReasonKind::Env && is_plain(text) => text.clone(),
        value => value.to_display(),
    };
    match (&reason.old, &reason.new) {
        (Some(old), Some(new)) => format!("{key} {} → {}", show(old), show(new)),
        (Some(old), None) => format!("{key} {} removed", show(old)),
        (None, Some(new)) => format!("{key} {} added", show(new)),
        (None, None) => format!("{key} changed"),
    }
}

/// Whether a text can stand in a sentence as it is.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.trim() == text && !text.contains(char::is_control)
}

fn wdir(reason: &Reason) -> String {
    let show = |value: &Option<Value>| match value {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_display(),
        None => ".".to_owned(),
    };
    format!("wdir {} → {}", show(&reason.old), show(&reason.new))
}
