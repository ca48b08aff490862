//! Stages: their graph, when one is stale and why, in which order they run, how a command is
//! run, and the run cache. Never looks at the disk for data: `ops` hands in [`Facts`]. Unaware
//! of scanning, checkout and remotes.

mod environment;
mod graph;
mod record;
mod resolve;
mod results;
mod runner;
mod schedule;
mod stale;

#[cfg(test)]
mod testing;

pub use environment::{Environment, host};
pub use graph::{Graph, Stage, Tie};
pub use record::{RunRecord, old_runs};
pub use resolve::{Unresolved, fill_passed, needs_params, resolve};
pub use results::{Entry, Results};
pub use runner::{Ended, Exit, Job, Limit, Message, Runner, interpreter_of, interpreter_version};
pub use schedule::{Next, Scheduler, Verdict};
pub use stale::{
    Facts, MissingParam, Reason, ReasonKind, assess, collect_params, describe, is_secret, why_lost,
    without_secrets,
};

use crate::project::Location;

/// What can be wrong with a pipeline.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk failed.
    #[error(transparent)]
    Fs(#[from] crate::fs::Error),
    /// A filled-in text of a stage says something that cannot be.
    #[error(transparent)]
    Project(#[from] crate::project::Error),
    /// `esker.toml` says something that no stage can be made of.
    #[error("{}", .0.message)]
    Unresolved(Box<Unresolved>),
    /// A command uses a variable of `[env] pass` that is not set.
    #[error("the command of `{stage}` uses `env.{name}`, which is not set")]
    UnsetVariable {
        /// The stage.
        stage: String,
        /// The variable.
        name: String,
        /// Where the stage stands.
        at: Box<Location>,
    },
    /// A dependency that is not there, that no stage writes and nothing tracks.
    #[error("{}", match path.contains(['*', '?', '[']) {
        true => format!("`{stage}` needs `{path}`, which matches nothing"),
        false => format!("`{stage}` needs `{path}`, which does not exist"),
    })]
    MissingDep {
        /// The stage.
        stage: String,
        /// The path.
        path: String,
        /// Where it is asked for.
        at: Box<Location>,
        /// A path that may have been meant, and who has it: (`data/prepared`, `written by `prepare``).
        suggestion: Option<(String, String)>,
    },
    /// `@name` or `needs` names no stage.
    #[error("`{stage}` refers to a stage `{missing}`, which does not exist")]
    UnknownStage {
        /// The stage that refers.
        stage: String,
        /// The name it uses.
        missing: String,
        /// Where.
        at: Box<Location>,
        /// A stage that may have been meant.
        suggestion: Option<String>,
    },
    /// Two outputs overlap.
    #[error("two stages write into the same place")]
    OverlappingOuts {
        /// Stage, path, and place of the first.
        first: (String, String, Box<Location>),
        /// Stage, path, and place of the second (may be the same stage).
        second: (String, String, Box<Location>),
    },
    /// An output is also tracked with `add`.
    #[error("`{path}` is an output of `{stage}` and also tracked by `esker add`")]
    OutIsTracked {
        /// The stage.
        stage: String,
        /// The path.
        path: String,
        /// Where it is declared.
        at: Box<Location>,
    },
    /// Stages need each other in a circle.
    #[error("the stages need each other in a circle: {}", .names.join(" → "))]
    Cycle {
        /// The circle, first name repeated at the end.
        names: Vec<String>,
        /// What ties each stage of it to the next.
        ties: Vec<Tie>,
    },
    /// A target that names neither stage nor output.
    #[error("no stage or output `{target}`")]
    UnknownTarget {
        /// What was asked for.
        target: String,
        /// What may have been meant.
        suggestion: Option<String>,
    },
    /// A param that no file has.
    #[error("{}", .0.message())]
    MissingParam(Box<MissingParam>),
    /// A command could not be started at all.
    #[error("cannot start `{program}`")]
    Spawn {
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A stage runs in a directory that is not there.
    #[error("`{stage}` runs in `{}`, which does not exist", dir.display())]
    NoDirectory {
        /// The stage.
        stage: String,
        /// The directory.
        dir: std::path::PathBuf,
    },
    /// A dependency is missing when a run is to be recorded, or a declared output was not written.
    #[error("`{stage}` cannot be recorded: `{path}` does not exist")]
    NothingToRecord {
        /// The stage.
        stage: String,
        /// The dependency or output.
        path: String,
    },
    /// A result or a run record cannot be kept.
    #[error("cannot keep the result of a run: {0}")]
    Result(String),
}

/// The result of deciding about stages.
pub type Result<T> = std::result::Result<T, Error>;
