//! `[stage.NAME]` as people wrote it: texts that may hold `${{ … }}`, and the matrix they are
//! filled in for. What may stand in an expression is no business of this room.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Location, OutOptions, StageSpec};
use crate::project::source::Text;
use crate::value::Value;

/// What begins an expression.
pub const OPENING: &str = "${{";
/// What ends an expression.
pub const CLOSING: &str = "}}";

/// A text that may hold expressions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Where it stands.
    pub at: Location,
    /// The text.
    pub text: String,
    /// Where each expression in it stands.
    pub expressions: Vec<Location>,
}

/// What `[stage.NAME]` says.
#[derive(Clone, Debug)]
pub enum Declared {
    /// The stage itself: nothing is to be filled in.
    Plain(Arc<StageSpec>),
    /// What one stage or more are made of.
    Template(Box<WrittenStage>),
}

/// A stage with a matrix or with expressions.
#[derive(Clone, Debug)]
pub struct WrittenStage {
    /// `matrix`.
    pub matrix: Option<Matrix>,
    /// What may hold expressions.
    pub texts: Texts<Written>,
    /// All else. What the texts say is not in it yet.
    pub rest: StageSpec,
}

/// The texts of a stage that may hold expressions.
#[derive(Clone, Debug)]
pub struct Texts<T> {
    /// `cmd`.
    pub cmd: Scripts<T>,
    /// `deps`.
    pub deps: Vec<T>,
    /// `params`.
    pub params: Vec<T>,
    /// `outs`.
    pub outs: Vec<(T, OutOptions)>,
    /// `env`, without `[env] set`.
    pub env: BTreeMap<String, T>,
}

/// The command of a stage.
#[derive(Clone, Debug)]
pub enum Scripts<T> {
    /// `cmd = "…"`.
    One(T),
    /// `cmd = ["…", "…"]`.
    Many(Vec<T>),
}

/// Where in a stage a text stands; decides what may be filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// `cmd = "…"`.
    Cmd,
    /// An item of `cmd = […]`.
    CmdItem,
    /// An item of `deps`.
    Dep,
    /// An item of `params`.
    Param,
    /// An item of `outs`.
    Out,
    /// A value of `env`.
    Env,
}

/// `matrix`: a stage for each combination of values.
#[derive(Clone, Debug)]
pub struct Matrix {
    /// Where it stands.
    pub at: Location,
    /// Names and their values, in the order of the file.
    pub axes: Vec<Axis>,
    /// Combinations that are left out.
    pub exclude: Vec<Combination>,
    /// Values added to combinations, and combinations of their own.
    pub include: Vec<Combination>,
}

/// One name of a matrix and the values it takes.
#[derive(Clone, Debug)]
pub struct Axis {
    /// The name.
    pub name: String,
    /// The values and where each stands.
    pub values: Vec<(Value, Location)>,
}

/// Names with a value each.
#[derive(Clone, Debug)]
pub struct Combination {
    /// Where it stands.
    pub at: Location,
    /// In the order of the file.
    pub values: Vec<(String, Value)>,
}

impl Written {
    /// Takes a text with its places.
    pub(super) fn new(text: &Text<'_>) -> Self {
        Self {
            at: text.location(),
            text: text.text.to_owned(),
            expressions: text.places_between(OPENING, CLOSING),
        }
    }

    /// Whether nothing in it is to be filled in.
    pub fn is_plain(&self) -> bool {
        is_plain(&self.text)
    }
}

/// Whether nothing in a text is to be filled in.
pub(super) fn is_plain(text: &str) -> bool {
    !text.contains(OPENING)
}

impl Declared {
    /// What stages are made of, if that is needed.
    pub fn template(&self) -> Option<&WrittenStage> {
        match self {
            Self::Plain(_) => None,
            Self::Template(written) => Some(written),
        }
    }
}

impl<T> Scripts<T> {
    fn as_slice(&self) -> &[T] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts,
        }
    }
}

impl<T> Texts<T> {
    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &T> {
        let outs = self.outs.iter().map(|(text, _)| text);
        let cmd = self.cmd.as_slice().iter();
        cmd.chain(&self.deps)
            .chain(&self.params)
            .chain(outs)
            .chain(self.env.values())
    }

    /// The same texts as something else.
    pub(super) fn map<U>(self, to: impl Fn(T) -> U) -> Texts<U> {
        let list = |texts: Vec<T>| texts.into_iter().map(&to).collect();
        let outs = self.outs.into_iter();
        let env = self.env.into_iter();
        Texts {
            cmd: match self.cmd {
                Scripts::One(text) => Scripts::One(to(text)),
                Scripts::Many(texts) => Scripts::Many(list(texts)),
            },
            deps: list(self.deps),
            params: list(self.params),
            outs: outs.map(|(text, options)| (to(text), options)).collect(),
            env: env.map(|(name, text)| (name, to(text))).collect(),
        }
    }
}
