//! Finds the project, and reads and writes its text: `esker.toml`, `esker.lock`, local config;
//! and who has claimed which paths of it.
//! Knows neither git, nor the store, nor processes.

mod claims;
pub mod config;
pub mod layout;
pub mod lock;
pub mod manifest;
pub mod remotes;
mod source;

pub use claims::{Claim, Claims, Held, Holder};
pub use config::Config;
pub use layout::Layout;
pub use lock::{DepHash, Lock, Recorded, StageRecord};
pub use manifest::{
    Command, DataSpec, DepSpec, Goal, Manifest, OutOptions, OutSpec, ParamSpec, RemoteKey,
    RemoteSpec, Setting, StageSpec,
};
pub use remotes::{Origin, Remote, Remotes};
pub use source::{Excerpt, Location};

/// What can go wrong with a project's text.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Reading or writing failed.
    #[error(transparent)]
    Fs(#[from] crate::fs::Error),
    /// `esker.toml` (or local config) says something that cannot be.
    #[error("{message}")]
    Manifest {
        /// The path as people know it.
        file: String,
        /// What is wrong.
        message: String,
        /// Where, if it has a place.
        at: Option<Box<Location>>,
        /// A word that may have been meant.
        suggestion: Option<String>,
    },
    /// `[project] esker` asks for a newer esker.
    #[error("this project wants esker `{wanted}`, this is esker {known}")]
    ManifestTooNew {
        /// The requirement as written.
        wanted: String,
        /// The version of this esker.
        known: String,
        /// Where it is asked for.
        at: Box<Location>,
    },
    /// `esker.lock` cannot be read.
    #[error("`esker.lock` is damaged: {message}")]
    LockDamaged {
        /// What is wrong.
        message: String,
        /// Where, if it has a place.
        at: Option<Box<Location>>,
    },
    /// `esker.lock` holds conflict markers.
    #[error("`esker.lock` has merge conflicts")]
    LockConflict {
        /// The line of the first marker.
        line: usize,
    },
    /// `esker.lock` was written by a newer esker.
    #[error("`esker.lock` has version {found}, this esker reads up to {known}")]
    LockTooNew {
        /// The version it has.
        found: i64,
        /// The newest version known here.
        known: i64,
    },
    /// No `esker.toml` here or above.
    #[error("no `esker.toml` here or in any directory above, up to the top of the git repository")]
    NoProject,
}

/// The result of reading or writing a project's text.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// The same complaint with a word that may have been meant.
    fn suggesting(mut self, word: Option<String>) -> Self {
        if let Self::Manifest { suggestion, .. } = &mut self {
            *suggestion = word;
        }
        self
    }
}
