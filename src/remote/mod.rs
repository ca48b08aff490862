//! Remotes: packs, index segments and snapshots on a plain object store; what a push must send
//! and a fetch must bring. Unaware of the lock, the workspace and git.

mod catalog;
mod check;
mod chunker;
mod decode;
mod fetch;
mod format;
mod gc;
mod layout;
mod link;
mod meter;
mod parallel;
mod presence;
mod probe;
mod push;
mod reads;
mod recipe;
mod results;
mod segment;
mod snapshot;
mod walk;

pub mod transport;

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::hash::{BlobId, ObjectId, ObjectKind, PackId, RunKey, TreeId};
use crate::path::RelPath;
use crate::progress::{Interrupt, Progress};
use crate::store::Store;

pub use check::{CheckDepth, Checked};
pub use gc::{Claim, CollectOptions, Collected, PackSize};
pub use presence::{Lacks, Presence, lacks_here};
#[cfg(feature = "failpoints")]
pub use push::stop_validating;
pub use walk::name_missing;

use link::Link;
use transport::Transport;

/// What can go wrong with a remote.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk failed.
    #[error(transparent)]
    Fs(#[from] crate::fs::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// A tree cannot be read.
    #[error(transparent)]
    Tree(#[from] crate::tree::Error),
    /// A pack cannot be made.
    #[error(transparent)]
    Pack(#[from] crate::pack::Error),
    /// Nobody answers there, or not in time.
    #[error("cannot reach remote `{remote}` ({url}): {detail}")]
    Unreachable {
        /// The remote's name.
        remote: String,
        /// Where it should be.
        url: String,
        /// What the connection said.
        detail: String,
    },
    /// The remote knows the key and refuses it, or does not know it.
    #[error(
        "remote `{remote}` ({url}) refused the access key{} from {key_source}{}",
        prefixed(" ", key_id.as_deref()),
        prefixed(": ", code.as_deref())
    )]
    Denied {
        /// The remote's name.
        remote: String,
        /// Where it is.
        url: String,
        /// The service's own word for it, such as `InvalidAccessKeyId`.
        code: Option<String>,
        /// The key, shortened.
        key_id: Option<String>,
        /// Where the key was taken from: a variable or a profile.
        key_source: String,
    },
    /// The key was good once, and whoever hands them out has no other.
    #[error(
        "remote `{remote}` ({url}) says that the access key{} from {key_source} has expired",
        prefixed(" ", key_id.as_deref()),
    )]
    Expired {
        /// The remote's name.
        remote: String,
        /// Where it is.
        url: String,
        /// The key, shortened.
        key_id: Option<String>,
        /// Where the key was taken from.
        key_source: String,
    },
    /// No access key was found.
    #[error("no access key for remote `{remote}` ({url}) in {key_source}: {detail}")]
    NoCredentials {
        /// The remote's name.
        remote: String,
        /// Where it is.
        url: String,
        /// Where a key was looked for.
        key_source: String,
        /// What the search said.
        detail: String,
        /// What it takes to have one.
        lack: Box<Lack>,
    },
    /// The bucket is in another region.
    #[error("remote `{remote}`: {detail}, but in `{region}`")]
    Elsewhere {
        /// The remote's name.
        remote: String,
        /// Where it is not.
        detail: String,
        /// Where it is.
        region: String,
    },
    /// The clock of this machine is wrong.
    #[error(
        "the clock of this machine is too far from that of remote `{remote}` ({url}){}",
        prefixed(", which says ", time.as_deref())
    )]
    Clock {
        /// The remote's name.
        remote: String,
        /// Where it is.
        url: String,
        /// What the other clock says.
        time: Option<String>,
    },
    /// The bucket does not exist.
    #[error("bucket `{bucket}` of remote `{remote}` does not exist")]
    NoBucket {
        /// The remote's name.
        remote: String,
        /// The bucket.
        bucket: String,
    },
    /// The directory of a remote does not exist.
    #[error("directory `{path}` of remote `{remote}` does not exist")]
    MissingDirectory {
        /// The remote's name.
        remote: String,
        /// The directory.
        path: String,
    },
    /// A remote that can only be read.
    #[error("remote `{remote}` ({url}) can only be read")]
    ReadOnly {
        /// The remote's name.
        remote: String,
        /// Where it is.
        url: String,
    },
    /// A url of a kind that this version cannot talk to.
    #[error("remote `{remote}` has the url `{url}`, which is of no kind that esker knows")]
    UnknownScheme {
        /// The remote's name.
        remote: String,
        /// The url.
        url: String,
    },
    /// An object's bytes are not what its name or its format says.
    #[error("object `{object}` of remote `{remote}` is damaged: {reason}")]
    Damaged {
        /// The remote's name.
        remote: String,
        /// The object's key.
        object: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The store has not the room that the files need; none was fetched.
    #[error("this needs {needed} bytes, and {free} are free")]
    NoRoom {
        /// How many bytes are needed.
        needed: u64,
        /// How many are free.
        free: u64,
    },
    /// The remote was written by a newer version.
    #[error("remote `{remote}` needs a newer esker: {reason}")]
    TooNew {
        /// The remote's name.
        remote: String,
        /// What is not known here.
        reason: String,
    },
    /// The remote answered what its protocol does not allow.
    #[error("remote `{remote}` failed: {detail}")]
    Protocol {
        /// The remote's name.
        remote: String,
        /// What it answered.
        detail: String,
    },
    /// Somebody asked to stop.
    #[error("interrupted")]
    Interrupted,
}

/// What it takes to have a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lack {
    /// Somebody must sign in to this profile.
    Login(String),
    /// Whoever hands it out must be reached.
    Connection,
    /// A key must be there in the first place, or a right to get one.
    Key,
}

fn prefixed(prefix: &str, text: Option<&str>) -> String {
    text.map(|text| format!("{prefix}{text}"))
        .unwrap_or_default()
}

/// The result of talking to a remote.
pub type Result<T> = std::result::Result<T, Error>;

/// Where a remote is and how it is reached.
#[derive(Clone, Debug, Default)]
pub struct Address {
    /// The name people gave it.
    pub name: String,
    /// A directory (absolute here), or a url.
    pub url: String,
    /// For Azure.
    pub account_name: Option<String>,
    /// Another server than that of the cloud.
    pub endpoint_url: Option<String>,
    /// For S3.
    pub region: Option<String>,
    /// For S3.
    pub profile: Option<String>,
    /// A file with authorities to trust besides those of the system.
    pub ca_bundle: Option<PathBuf>,
    /// For S3: whether the path names the bucket (as it does if nothing is said), not the host.
    pub path_style: Option<bool>,
    /// For S3: how the server encrypts what it keeps, `AES256` or `aws:kms`.
    pub sse: Option<String>,
    /// For S3: the key of `aws:kms`, if not the usual one.
    pub sse_kms_key_id: Option<String>,
    /// For S3: who may do what with the objects.
    pub acl: Option<String>,
    /// How many transfers at once it is good for.
    pub jobs: Option<usize>,
}

/// Something that a lock names and a remote should hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Root {
    /// The path in the project, for the order of packs and for messages.
    pub path: RelPath,
    /// What it is.
    pub content: Content,
}

/// A file or a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Content {
    /// A file.
    File {
        /// Its id.
        id: BlobId,
        /// Its length.
        size: u64,
    },
    /// A directory.
    Tree {
        /// The id of its root node.
        id: TreeId,
        /// How many files.
        files: u64,
        /// How many bytes.
        bytes: u64,
    },
}

/// One lock to be pushed.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Its stored, pushed paths.
    pub roots: Vec<Root>,
    /// The commit it belongs to, 32 bytes zero-padded; zeros for the workspace.
    pub commit: [u8; 32],
}

/// An entry of the run cache, or the record of a run, as it lies on a remote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedResult {
    /// The key of what went in.
    pub key: RunKey,
    /// Its name below that.
    pub name: String,
    /// What it says.
    pub bytes: Vec<u8>,
}

/// An open remote.
pub struct Remote {
    address: Address,
    transport: Box<dyn Transport>,
}

/// Why fewer bytes travelled than there are in the files. Trees, indexes and all else that is not
/// content are no part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Economy {
    /// Bytes of the files that did not travel: they were there already, in other files or from an
    /// earlier try, or stand in the files several times.
    pub reused_bytes: u64,
    /// By how much what travelled was shorter than what it stands for.
    pub compression_saved_bytes: u64,
}

impl Economy {
    /// What follows from the length of all files that came to be there, and of the pieces of content
    /// that travelled: as they are, and on the way. What only travelled once more is not counted as if
    /// it had been there.
    fn new(files: u64, raw: u64, stored: u64) -> Self {
        Self {
            reused_bytes: files.saturating_sub(raw),
            compression_saved_bytes: raw.saturating_sub(stored),
        }
    }
}

/// Whether an object is content, whole or a piece.
fn is_content(id: ObjectId) -> bool {
    matches!(id.kind, ObjectKind::Blob | ObjectKind::Chunk)
}

/// What a push did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Files whose content was new there.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects written to the remote.
    pub objects: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
    /// Why that is not all of it.
    pub economy: Economy,
    /// How often it had to publish again because garbage was collected meanwhile.
    pub mended: usize,
    /// What could not be sent because the store does not have it.
    pub missing: Vec<(RelPath, ObjectId)>,
}

/// What a fetch did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Files that came.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that came, nodes and files.
    pub objects: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// Why that is not all of them.
    pub economy: Economy,
    /// Whether no file at all is one of those that are wanted, here or there.
    pub unmatched: bool,
    /// What the remote does not have.
    pub missing: Vec<(RelPath, ObjectId)>,
    /// Objects on the remote that are not what they should be: their keys and what is wrong. What
    /// another object could give instead is not missing.
    pub damaged: Vec<(String, String)>,
}

/// How to fetch.
#[derive(Clone, Copy, Default)]
pub struct FetchOptions<'a> {
    /// The locks that the roots stand in, whole: they say under which names somebody may have
    /// pushed them.
    pub locks: &'a [Vec<Root>],
    /// How many transfers at once.
    pub jobs: usize,
    /// Which files are wanted, by their path in the project; none: all. Listings always come.
    pub keep: Option<&'a dyn Fn(&RelPath) -> bool>,
    /// Only look.
    pub dry_run: bool,
}

/// How to push.
pub struct PushOptions<'a> {
    /// The project's id.
    pub project: [u8; 16],
    /// Older locks, newest first, whose snapshots may serve as bases.
    pub bases: &'a [Vec<Root>],
    /// A directory for packs under way. The caller sees to it that one push at a time uses it.
    pub spool: &'a Path,
    /// A file that remembers which stores keep writers apart.
    pub memory: &'a Path,
    /// How many transfers at once.
    pub jobs: usize,
    /// Packs that count as if they were not there, since something is amiss with them.
    pub distrusted: &'a HashSet<PackId>,
    /// Only plan.
    pub dry_run: bool,
}

impl Remote {
    /// Connects. `var` reads the environment. Nothing is written; a remote without
    /// `format.json` is empty and fine.
    pub fn open(address: &Address, var: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        Ok(Self {
            address: address.clone(),
            transport: transport::open(address, var)?,
        })
    }

    /// How many transfers at once it is said to be good for.
    pub fn jobs(&self) -> Option<usize> {
        self.address.jobs
    }

    /// Whether the store itself keeps two writers of one name apart, so that at most one is told
    /// that it wrote. A store that does not is good enough for a push and a fetch, but not for
    /// what must be agreed on. It is asked once, by writing; `memory` is the file with the answers.
    pub fn is_exclusive(&self, memory: &Path) -> Result<bool> {
        probe::is_exclusive(&*self.transport, memory)
    }

    /// Sends what these locks need.
    pub fn push(
        &self,
        store: &Store,
        wanted: &[Wanted],
        options: &PushOptions<'_>,
        progress: &dyn Progress,
        interrupt: &Interrupt,
    ) -> Result<Pushed> {
        let link = Link::new(self, options.jobs, interrupt);
        push::push(&link, store, wanted, options, progress)
    }

    /// Sends results of the run cache that are not there. Whoever calls it has sent their data.
    /// Yields how many were new.
    pub fn put_results(
        &self,
        results: &[SharedResult],
        (jobs, memory): (usize, &Path),
        interrupt: &Interrupt,
    ) -> Result<u64> {
        let link = Link::new(self, jobs, interrupt);
        link.prepare_writes(memory)?;
        results::put(&link, results)
    }

    /// Brings the results that lie under some keys and are not `known`, the oldest first. They may
    /// say anything.
    pub fn get_results(
        &self,
        keys: &[RunKey],
        known: &(dyn Fn(RunKey, &str) -> bool + Sync),
        jobs: usize,
        interrupt: &Interrupt,
    ) -> Result<Vec<SharedResult>> {
        results::get(&Link::new(self, jobs, interrupt), keys, known)
    }

    /// Refuses a store that lets one writer of a name overwrite another: a record of the log could
    /// be lost there.
    pub fn check_collectable(&self, memory: &Path) -> Result<()> {
        match self.is_exclusive(memory)? {
            true => Ok(()),
            false => Err(Error::Protocol {
                remote: self.address.name.clone(),
                detail: "it does not keep writers apart, so garbage cannot be collected".to_owned(),
            }),
        }
    }

    /// Collects garbage. `is_unneeded` says which snapshots nobody needs any more; `approve` is
    /// shown what would be done, and may turn it down.
    pub fn collect(
        &self,
        store: &Store,
        (options, jobs): (&CollectOptions, usize),
        is_unneeded: &dyn Fn(&Claim) -> bool,
        approve: &mut dyn FnMut(&Collected) -> bool,
        progress: &dyn Progress,
        interrupt: &Interrupt,
    ) -> Result<Collected> {
        let link = Link::new(self, jobs, interrupt);
        gc::collect(&link, store, options, is_unneeded, approve, progress)
    }

    /// All that its index segments say it holds.
    pub fn index(&self, jobs: usize, interrupt: &Interrupt) -> Result<Presence> {
        let link = Link::new(self, jobs, interrupt);
        Presence::of_index(&link)
    }

    /// Looks whether it holds what its snapshots need. Changes nothing.
    pub fn check(
        &self,
        store: &Store,
        depth: CheckDepth,
        jobs: usize,
        progress: &dyn Progress,
        interrupt: &Interrupt,
    ) -> Result<Checked> {
        let link = Link::new(self, jobs, interrupt);
        check::check(&link, store, depth, progress)
    }

    /// What it says that it holds, as far as these locks are concerned. No data is read.
    pub fn presence(
        &self,
        locks: &[Vec<Root>],
        jobs: usize,
        interrupt: &Interrupt,
    ) -> Result<Presence> {
        let link = Link::new(self, jobs, interrupt);
        Presence::look(&link, locks)
    }

    /// Brings what these roots need and the store lacks.
    pub fn fetch(
        &self,
        store: &Store,
        roots: &[Root],
        options: &FetchOptions<'_>,
        progress: &dyn Progress,
        interrupt: &Interrupt,
    ) -> Result<Fetched> {
        let link = Link::new(self, options.jobs, interrupt);
        fetch::fetch(&link, store, roots, options, progress)
    }
}
