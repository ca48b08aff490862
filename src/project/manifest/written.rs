//! `[stage.NAME]` as people wrote it: texts that may hold `${{ … }}`, and the matrix they are
//! filled in for. What may stand in an expression is no business of this room.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Location, OutOptions, StageSpec};
use crate::path::RelPath;
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

/// The command of a stage as written.
#[derive(Clone, Debug)]
pub enum WrittenCommand {
    /// `cmd = "…"`.
    One(Written),
    /// `cmd = ["…", "…"]`.
    Many(Vec<Written>),
}

/// `[stage.NAME]` as written.
#[derive(Clone, Debug)]
pub struct WrittenStage {
    /// Where its header stands.
    pub at: Location,
    /// `desc`.
    pub desc: Option<String>,
    /// `matrix`.
    pub matrix: Option<Matrix>,
    /// `cmd`.
    pub cmd: WrittenCommand,
    /// `wdir`, if not the root.
    pub wdir: Option<RelPath>,
    /// `deps`.
    pub deps: Vec<Written>,
    /// `params`.
    pub params: Vec<Written>,
    /// `outs`.
    pub outs: Vec<(Written, OutOptions)>,
    /// `env`, without `[env] set`.
    pub env: BTreeMap<String, Written>,
    /// `frozen`.
    pub frozen: bool,
    /// `always`.
    pub always: bool,
    /// `needs`, with the place of each.
    pub needs: Vec<(String, Location)>,
    /// `timeout`.
    pub timeout: Option<Duration>,
    /// `mutex`.
    pub mutex: Vec<String>,
    /// The stage itself, where nothing is to be filled in: of most there is one cell, as written.
    pub plain: Option<Arc<StageSpec>>,
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
        !self.text.contains(OPENING)
    }
}

impl WrittenCommand {
    /// Its texts in order.
    pub fn texts(&self) -> &[Written] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts,
        }
    }
}

impl WrittenStage {
    /// All its texts that may hold expressions.
    pub fn texts(&self) -> impl Iterator<Item = &Written> {
        let outs = self.outs.iter().map(|(text, _)| text);
        self.cmd
            .texts()
            .iter()
            .chain(&self.deps)
            .chain(&self.params)
            .chain(outs)
            .chain(self.env.values())
    }
}
