//! `esker.lock`: what is recorded, read from any TOML order, written in one.
//! `docs/format.md`, section "esker.lock", is its specification.

mod canonical;
mod read;
mod resolve;
mod write;

#[cfg(test)]
mod golden;
#[cfg(test)]
pub(crate) mod strategy;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use litemap::LiteMap;

use super::manifest::Command;
use super::{Error, Result};
use crate::fs;
use crate::hash::{ContentId, Context, Digest, RunKey};
use crate::path::{DepPath, RelPath};
use crate::value::Leaves;

pub use resolve::{Resolved, Side};

/// The version of the format that is written, and the newest that is read.
pub const VERSION: i64 = 1;

/// Everything a lock records.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lock {
    /// Tracked paths.
    pub data: BTreeMap<RelPath, Recorded>,
    /// Stages by name.
    pub stages: BTreeMap<String, StageRecord>,
}

/// What is recorded of one file or directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The id of the file, or of the root of the directory's tree.
    pub hash: ContentId,
    /// Bytes in all; the lock can hold no more than `i64::MAX`.
    pub size: u64,
    /// How many files a directory has; `None` marks a single file.
    pub files: Option<u64>,
    /// Whether a single file is executable.
    pub exec: bool,
}

/// What is recorded of a dependency: `b3:…`, or `b3:…+x` for an executable file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DepHash {
    /// The id.
    pub hash: ContentId,
    /// Whether it is an executable file.
    pub exec: bool,
}

/// What is recorded of one stage. A stage reads and writes a few paths, of which a sorted list costs a
/// tenth of what a node of a tree does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StageRecord {
    /// The command that ran.
    pub cmd: Command,
    /// The directory it ran in, if not the root.
    pub wdir: Option<String>,
    /// The run line: binds the rest of the block together. A lock is readable only with 16
    /// hexadecimal digits here, as [`StageRecord::run_line`] gives them.
    pub run: String,
    /// Whether, as it was read, `run` did not bind the rest together: git has merged lines of two
    /// blocks into one. What esker makes is never so.
    pub mixed: bool,
    /// Whether the outputs were adopted by `commit` instead of written by a run.
    pub adopted: bool,
    /// What it read.
    pub deps: LiteMap<DepPath, DepHash>,
    /// Recorded environment.
    pub env: LiteMap<String, String>,
    /// Params by file, each leaf by key. A file without leaves is not written.
    pub params: LiteMap<DepPath, Leaves>,
    /// What it wrote.
    pub outs: LiteMap<RelPath, Recorded>,
    /// Those of its outputs whose content is not stored: `store = false`.
    pub unstored: BTreeSet<RelPath>,
    /// Numbers of the metrics files it wrote, by file. A file without numbers is not written.
    pub metrics: LiteMap<RelPath, Leaves>,
}

/// The run line of the bytes that it binds together.
fn run_line(parts: &[&[u8]]) -> String {
    Digest::derive_all(Context::Run, parts).short(16)
}

impl std::fmt::Display for DepHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.hash, if self.exec { "+x" } else { "" })
    }
}

impl Lock {
    /// Reads the text of a lock.
    pub fn parse(text: &str) -> Result<Self> {
        read::parse(text)
    }

    /// The one text of this lock.
    pub fn to_text(&self) -> String {
        write::lock_text(self)
    }

    /// Reads a lock file; none is an empty lock.
    pub fn load(path: &Path) -> Result<Self> {
        let Some(bytes) = fs::read_if_exists(path)? else {
            return Ok(Self::default());
        };
        Self::from_bytes(&bytes)
    }

    /// Reads the bytes of a lock, as git keeps them at a revision.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::parse(text),
            Err(error) => Err(Error::LockDamaged {
                message: format!("byte {} is not UTF-8", error.valid_up_to()),
                at: None,
            }),
        }
    }

    /// Writes a lock file in one step, unless it has these bytes already; says whether it wrote.
    pub fn save(&self, path: &Path) -> Result<bool> {
        let text = self.to_text();
        if fs::read_if_exists(path)?.is_some_and(|old| old == text.as_bytes()) {
            return Ok(false);
        }
        fs::replace(path, text.as_bytes())?;
        Ok(true)
    }

    /// Settles conflict markers block by block: where both sides changed a block, `ours` (or
    /// theirs) is taken whole. With `choice` `None`, such blocks are listed in
    /// [`Resolved::open`].
    ///
    /// A text with markers has lost what git merged cleanly around them. Where the three sides
    /// are at hand, [`Lock::merge`] is exact.
    pub fn resolve(text: &str, choice: Option<Side>) -> Result<Resolved> {
        resolve::resolve(text, choice)
    }

    /// Merges two locks block by block: what only one side changed since `base` is taken from
    /// that side, what both changed from the side of `choice`.
    pub fn merge(base: &Self, ours: &Self, theirs: &Self, choice: Option<Side>) -> Resolved {
        resolve::merge(base, ours, theirs, choice)
    }
}

impl StageRecord {
    /// The run line this record should have under this name: the first 16 hex digits of the hash
    /// of the block's bytes without `run`, `adopted` and metrics.
    pub fn run_line(&self, name: &str) -> String {
        let text = write::stage_text(name, self, write::Scope::RunLine);
        run_line(&[text.as_bytes()])
    }

    /// The key of the run cache: what went in, under no name, with the paths that come out.
    pub fn run_key(&self) -> RunKey {
        let text = write::stage_text("_", self, write::Scope::RunKey);
        RunKey(Digest::derive(Context::RunKey, text.as_bytes()))
    }
}
