//! `esker.toml`: what people ask for. Every key is known or an error that points at it.
//! Knows neither what is on disk nor how stages depend on each other.
//! `docs/esker-toml.md` is its reference.

mod edit;
mod fill;
mod matrix;
mod paths;
mod read;
mod remote;
mod stage;
mod template;
mod written;

pub use edit::{
    OutDraft, StageDraft, with_remote, with_remote_key, with_renamed_remote, with_stage,
    without_remote,
};
pub use fill::split_param;
pub(in crate::project) use remote::remotes;
pub use remote::{RemoteKey, RemoteSpec, Setting};
pub use stage::duration;
pub use written::{
    Axis, CLOSING, Combination, Declared, Matrix, OPENING, Scripts, Slot, Texts, Written,
    WrittenStage,
};

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::time::Duration;

use super::Result;
use super::layout::MANIFEST;
use super::source::{Location, complaint, read_text};
use crate::path::{DepPath, RelPath};
use crate::value::KeyPath;

/// A command: one shell script, or several run one after another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `cmd = "…"`.
    One(String),
    /// `cmd = ["…", "…"]`.
    Many(Vec<String>),
}

impl Default for Command {
    fn default() -> Self {
        Self::One(String::new())
    }
}

impl Command {
    /// The scripts in order.
    pub fn scripts(&self) -> &[String] {
        match self {
            Self::One(script) => std::slice::from_ref(script),
            Self::Many(scripts) => scripts,
        }
    }
}

/// A parsed `esker.toml`.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The 32 hex digits that name this project's snapshots on shared remotes.
    pub id: String,
    /// `[project] name`.
    pub name: Option<String>,
    /// Default params files, in order; `params.yaml` unless written.
    pub params: Vec<DepPath>,
    /// `[env] shell`.
    pub shell: Option<Vec<String>>,
    /// `[env] set`.
    pub env: BTreeMap<String, String>,
    /// `[env] run`: what is put before the shell.
    pub run: Vec<String>,
    /// `[env] deps`: read by every stage.
    pub env_deps: Vec<DepSpec>,
    /// `[env] pass`: variables that expressions may name and nothing records.
    pub pass: BTreeSet<String>,
    /// `[data."PATH"]`.
    pub data: BTreeMap<RelPath, DataSpec>,
    /// Stages by name.
    pub stages: BTreeMap<String, Declared>,
    /// `[metrics] files`: paths or patterns.
    pub metrics: Vec<String>,
    /// `[metrics] goal`, by the text of the metric's key.
    pub goals: BTreeMap<String, Goal>,
    /// `[remote.NAME]`.
    pub remotes: BTreeMap<String, RemoteSpec>,
}

/// `[data."PATH"]`: options of a tracked path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataSpec {
    /// Where its header stands.
    pub at: Location,
    /// `desc`.
    pub desc: Option<String>,
    /// `remote`: the one remote it travels to.
    pub remote: Option<String>,
    /// `push`: whether it travels to remotes.
    pub push: bool,
    /// `pull`: whether it is brought without being named.
    pub pull: bool,
}

/// Whether a metric should grow or shrink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// More is better.
    Max,
    /// Less is better.
    Min,
}

/// A stage, or a cell of one with a matrix, with all expressions filled in.
#[derive(Clone, Debug)]
pub struct StageSpec {
    /// Where its header stands.
    pub at: Location,
    /// `desc`.
    pub desc: Option<String>,
    /// `cmd`.
    pub cmd: Command,
    /// `wdir`, if not the root.
    pub wdir: Option<RelPath>,
    /// `deps`.
    pub deps: Vec<DepSpec>,
    /// `params`.
    pub params: Vec<ParamSpec>,
    /// `outs`.
    pub outs: Vec<OutSpec>,
    /// `env` (already merged over `[env] set`).
    pub env: BTreeMap<String, String>,
    /// `frozen`.
    pub frozen: bool,
    /// `always`.
    pub always: bool,
    /// `needs`, with the place of each.
    pub needs: Vec<(String, Location)>,
    /// `timeout`: how long its commands may take together.
    pub timeout: Option<Duration>,
    /// `mutex`: names of what no other stage may hold meanwhile.
    pub mutex: Vec<String>,
}

/// One item of `deps`.
#[derive(Clone, Debug)]
pub struct DepSpec {
    /// Where it stands.
    pub at: Location,
    /// What it names.
    pub target: DepTarget,
}

/// What a dependency names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DepTarget {
    /// A file or directory.
    Path(DepPath),
    /// `@stage`: all outputs of a stage.
    Stage(String),
}

impl fmt::Display for DepTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.fmt(f),
            Self::Stage(name) => write!(f, "@{name}"),
        }
    }
}

/// One item of `params`: `key`, `file:key`, or `file:*`.
#[derive(Clone, Debug)]
pub struct ParamSpec {
    /// Where it stands.
    pub at: Location,
    /// The file; `None` looks through the default files.
    pub file: Option<DepPath>,
    /// The key; `None` is the whole file.
    pub key: Option<KeyPath>,
}

/// One item of `outs`.
#[derive(Clone, Debug)]
pub struct OutSpec {
    /// Where it stands.
    pub at: Location,
    /// Which path.
    pub path: RelPath,
    /// How it is kept.
    pub options: OutOptions,
}

/// How an output is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutOptions {
    /// `keep`: the command finds the old output in its place.
    pub keep: bool,
    /// `store`: whether its content is stored, ignored by git, pushed and checked out.
    pub store: bool,
    /// `push`: whether it travels to remotes.
    pub push: bool,
    /// `remote`: the one remote it travels to.
    pub remote: Option<String>,
}

impl Default for OutOptions {
    fn default() -> Self {
        Self {
            keep: false,
            store: true,
            push: true,
            remote: None,
        }
    }
}

impl Manifest {
    /// Reads the text of an `esker.toml`.
    pub fn parse(text: &str) -> Result<Self> {
        read::manifest(text)
    }

    /// Reads the file.
    pub fn load(path: &Path) -> Result<Self> {
        let text = read_text(MANIFEST, path)?;
        let missing = || complaint(MANIFEST, &format!("there is no `{MANIFEST}`"), None);
        Self::parse(&text.ok_or_else(missing)?)
    }

    /// The JSON Schema of the file, for editors.
    pub const SCHEMA: &str = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/docs/esker-toml.schema.json"
    ));

    /// What `init` writes: a fresh id, the name, where the schema lies, and comments that teach.
    pub fn template(id: &str, name: &str, schema: Option<&str>) -> String {
        template::text(id, name, schema)
    }
}

#[cfg(test)]
mod tests;
