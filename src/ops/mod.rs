//! The verbs, one file each: gather, plan, apply, report.
//!
//! Only this room sees several of the rooms below at once, and only it carries a value from one
//! to the next. Every verb returns a report without a word for people in it; `cli` renders it.
//! Unaware of terminals, colours and arguments.

pub mod add;
pub mod check_ignore;
pub mod checkout;
pub mod commit;
mod content;
pub mod dag;
pub mod diff;
pub mod doctor;
pub mod du;
mod facts;
pub mod fetch;
pub mod fsck;
pub mod gc;
mod globs;
pub mod hooks;
pub mod init;
mod links;
pub mod lock;
pub mod ls;
pub mod metrics;
pub mod mv;
pub mod params;
mod partial;
pub mod projects;
pub mod push;
mod record;
pub mod remotes;
pub mod remove;
pub mod repro;
mod reshape;
mod revisions;
mod routes;
mod selection;
mod set;
mod shared;
mod site;
pub mod stages;
mod standing;
pub mod status;
pub mod undo;
pub mod unprotect;

pub use content::Missing;
pub use links::EditedReport;
pub use set::SetParam;
pub use site::{Site, World};
pub use standing::{Standing, Travel};

use crate::path::RelPath;
use crate::project::Origin;
use crate::workspace::Refusal;

/// Everything that can stop a verb.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk failed.
    #[error(transparent)]
    Fs(#[from] crate::fs::Error),
    /// A text is no path.
    #[error(transparent)]
    Path(#[from] crate::path::Error),
    /// A tree cannot be.
    #[error(transparent)]
    Tree(#[from] crate::tree::Error),
    /// What `--set` was given is no `key=value`.
    #[error("`--set {typed}` is not like `train.lr=0.1`: {reason}")]
    MalformedSet {
        /// What was typed.
        typed: String,
        /// What is wrong with it.
        reason: String,
    },
    /// `--set` names a param that no file has, or several.
    #[error("`--set {typed}`: {reason}")]
    UnknownParam {
        /// What was typed.
        typed: String,
        /// Why nobody knows which one is meant.
        reason: String,
        /// A key that may have been meant.
        suggestion: Option<String>,
        /// The files that have it, if there are several.
        having: Vec<String>,
    },
    /// `stage add` of a stage that is there.
    #[error("a stage `{0}` exists already")]
    StageExists(String),
    /// `stage add` of what would make no sense of `esker.toml`.
    #[error(transparent)]
    StageNotWritten(Box<Error>),
    /// A command of a stage called an esker that needs what the one around it has.
    #[error("the stage `{stage}` called this, and `{holder}` {}", match what.is_empty() {
        true => "is at work in this project".to_owned(),
        false => format!("has `{what}`"),
    })]
    InsideStage {
        /// The stage.
        stage: String,
        /// The path or mutex; empty is the whole project.
        what: String,
        /// The command line of who has it.
        holder: String,
    },
    /// A project's text cannot be read.
    #[error(transparent)]
    Project(#[from] crate::project::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// Git could not say.
    #[error(transparent)]
    Git(#[from] crate::git::Error),
    /// A params or metrics file cannot be read.
    #[error(transparent)]
    Metrics(#[from] crate::metrics::Error),
    /// The workspace failed.
    #[error(transparent)]
    Workspace(#[from] crate::workspace::Error),
    /// The pipeline cannot be.
    #[error(transparent)]
    Pipeline(#[from] crate::pipeline::Error),
    /// A remote failed.
    #[error(transparent)]
    Remote(#[from] crate::remote::Error),
    /// `init` where there is a project.
    #[error("`{0}` is an esker project already")]
    AlreadyAProject(String),
    /// Two projects that call themselves the same.
    #[error("the projects `{first}` and `{second}` have the same id")]
    SameProject {
        /// One.
        first: String,
        /// The other.
        second: String,
    },
    /// Git ignores the lock, so it would never be committed.
    #[error("git ignores `esker.lock`, which has to be committed")]
    LockIgnored,
    /// A path that is not there.
    #[error("`{path}` does not exist")]
    NotThere {
        /// The path.
        path: RelPath,
        /// A neighbour with a similar name.
        suggestion: Option<String>,
    },
    /// The project itself was named where a path in it is needed.
    #[error("`{0}` is the project itself")]
    WholeProject(String),
    /// A file that esker or git keeps.
    #[error("`{0}` is one of the project's own files")]
    OwnFile(RelPath),
    /// `add` of what git has.
    #[error("git already tracks `{path}`")]
    TrackedByGit {
        /// The path that was to be added.
        path: RelPath,
        /// How many files of it git has.
        files: usize,
    },
    /// `add` of what a stage writes.
    #[error("`{path}` is an output of the stage `{stage}`")]
    StageOutput {
        /// The path.
        path: RelPath,
        /// Who writes it.
        stage: String,
    },
    /// `add` of what an ignore file excludes.
    #[error("`{path}` is excluded by {}:{}: `{}`", rule.file, rule.line, rule.pattern)]
    Ignored {
        /// The path.
        path: RelPath,
        /// The line that excludes it.
        rule: check_ignore::RuleReport,
    },
    /// `add` of a directory with tracked paths in it.
    #[error("`{path}` holds `{tracked}`, which is tracked by itself")]
    HoldsTracked {
        /// The path that was to be added.
        path: RelPath,
        /// The tracked path below it.
        tracked: RelPath,
    },
    /// A target that is neither tracked nor an output nor a stage.
    #[error("esker tracks nothing at `{target}`")]
    NotTracked {
        /// What was asked for.
        target: String,
        /// What may have been meant.
        suggestion: Option<String>,
    },
    /// What a stage writes is not for `remove` or `mv`.
    #[error("`{path}` is an output of the stage `{stage}`")]
    WrittenByStage {
        /// The path.
        path: RelPath,
        /// Who writes it, or something in it.
        stage: String,
    },
    /// `mv` to where something is.
    #[error("`{path}` exists already")]
    TargetExists {
        /// The target.
        path: RelPath,
        /// Whether it is tracked.
        tracked: bool,
    },
    /// `mv` of a path to itself or below itself.
    #[error("`{from}` cannot be moved to `{to}`")]
    MoveIntoItself {
        /// The source.
        from: RelPath,
        /// The target.
        to: RelPath,
    },
    /// `remove --delete` of what the store does not have.
    #[error("bytes that are saved nowhere would be deleted")]
    NotSaved(Vec<Refusal>),
    /// Unsaved bytes are in the way.
    #[error("checkout would overwrite bytes that are saved nowhere")]
    Refused(Vec<Refusal>),
    /// `undo` of an act that is not in the park.
    #[error("nothing in the park is called `{0}`")]
    NoSuchAct(String),
    /// `undo` with an empty park.
    #[error("nothing is parked")]
    NothingParked,
    /// `undo` of a path that the act did not park.
    #[error("`{0}` is not among what was parked")]
    NotParked(RelPath),
    /// A pattern that matches nothing.
    #[error("nothing matches `{0}`")]
    NothingMatches(String),
    /// A push of a part of a directory.
    #[error("the patterns select a part of `{0}`, which a remote holds as a whole or not at all")]
    PartSelected(RelPath),
    /// Tracked data differs from its record, so a run would use what no record names.
    #[error("tracked data differs from its record")]
    DataChanged(Vec<RelPath>),
    /// Tracked data is not on disk.
    #[error("tracked data is not in the workspace")]
    DataAbsent(Vec<RelPath>),
    /// A clone that uses the store cannot say what it needs.
    #[error("cannot look at `{}`, which uses this store", clone.display())]
    CloneUnseen {
        /// Its git directory.
        clone: std::path::PathBuf,
        /// Why.
        source: Box<Self>,
    },
    /// Listings that are needed are damaged or missing: nobody knows which files they need.
    #[error("the store has not all listings that it needs: {}", .0.join(", "))]
    ListingsLost(Vec<String>),
    /// No remote is configured.
    #[error("no remote is configured")]
    NoRemote,
    /// Several remotes and no default.
    #[error("several remotes and none is the default: {}", .0.join(", "))]
    NoDefaultRemote(Vec<String>),
    /// No remote of that name.
    #[error("no remote `{name}`")]
    UnknownRemote {
        /// The name.
        name: String,
        /// A remote that may have been meant.
        suggestion: Option<String>,
    },
    /// A remote of that name exists.
    #[error("a remote `{name}` exists already{}", match url {
        Some(url) => format!(": {url}"),
        None => String::new(),
    })]
    RemoteExists {
        /// The name.
        name: String,
        /// Where it is, if anybody says so.
        url: Option<String>,
    },
    /// A remote is not in the file that was to be changed.
    #[error("remote `{name}` stands in {}, not in {}", file_of(*found), file_of(*asked))]
    RemoteElsewhere {
        /// The name.
        name: String,
        /// The file that was to be changed.
        asked: Origin,
        /// The file that has it.
        found: Origin,
    },
    /// Of a remote there are a few keys, and no url.
    #[error("nothing says where remote `{name}` is: {} has other keys of it", file_of(*origin))]
    RemoteWithoutUrl {
        /// The name.
        name: String,
        /// The file that has the keys.
        origin: Origin,
    },
    /// A file that git carries names a place that nobody here has said yes to.
    #[error(
        "remote `{name}` is at `{endpoint}`, and a file that git carries says so: nobody has \
         trusted that place in this clone"
    )]
    Untrusted {
        /// The remote.
        name: String,
        /// The place.
        endpoint: String,
    },
    /// A remote has no key of this name, or it cannot have this value.
    #[error("{0}")]
    RemoteKey(String),
    /// A name that no remote can have.
    #[error("`{0}` is no name for a remote: use letters, digits, `-` and `_`")]
    RemoteName(String),
    /// A lock entry of another tool's hash, which this version cannot move.
    #[error("`{path}` is recorded as `{hash}`, which this version cannot check out or send")]
    ForeignHash {
        /// The path.
        path: RelPath,
        /// Its id.
        hash: String,
    },
    /// A stage whose outputs cannot be adopted.
    #[error("`{stage}` cannot be recorded: `{path}` is missing")]
    NothingToCommit {
        /// The stage.
        stage: String,
        /// The missing path.
        path: String,
    },
    /// Somebody asked to stop.
    #[error("interrupted")]
    Interrupted,
}

/// The result of a verb.
pub type Result<T> = std::result::Result<T, Error>;

/// A file that speaks of remotes, in words.
fn file_of(origin: Origin) -> &'static str {
    match origin {
        Origin::Local => "the config of this clone",
        Origin::Project => "`esker.toml`",
        Origin::User => "your config",
        Origin::System => "the config of this machine",
    }
}

/// The name that may have been meant.
fn did_you_mean<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    crate::suggest::closest(word, names).map(str::to_owned)
}
