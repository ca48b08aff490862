//! `gc`: removes what nobody needs any more, from a remote or from the store of this clone.

mod local;
mod mark;
mod roots;

pub use local::{LocalGcOptions, LocalGcReport, ObjectReport, RESULT_DAYS, local_gc};
pub use roots::{CloneReport, CloneState};

pub use crate::store::Amount;

use std::collections::HashSet;
use std::time::Duration;

use super::push::{connect, jobs, project_id, roots};
use super::{Result, Site, World};
use crate::fs;
use crate::git::{Blind, Remembered};
use crate::hash::{Digest, hex};
use crate::project::Lock;
use crate::project::layout::LOCK;
use crate::remote::{self, Claim, CollectOptions, Collected, Content};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// A snapshot younger than this is never dropped: its commit may not have been pushed yet, and a
/// push of the same data may be relying on it.
const MIN_AGE_DAYS: u64 = 30;

/// What to collect.
#[derive(Clone, Debug)]
pub struct GcOptions {
    /// The remote's name; none: the default.
    pub remote: Option<String>,
    /// How many transfers at once; none: as configured.
    pub jobs: Option<usize>,
    /// How long condemned packs stay.
    pub grace: Duration,
    /// Packs younger than this are left alone.
    pub min_age: Duration,
    /// Also drop snapshots of this project whose commits this clone does not know (pushed from a
    /// workspace, or by somebody else), if they are so many days old.
    pub forget_unknown: Option<u64>,
    /// Only say what would be done.
    pub dry_run: bool,
}

impl Default for GcOptions {
    fn default() -> Self {
        Self {
            remote: None,
            jobs: None,
            grace: DAY,
            min_age: 7 * DAY,
            forget_unknown: None,
            dry_run: false,
        }
    }
}

/// What was collected, or would be.
#[derive(Debug, Default, serde::Serialize)]
pub struct GcReport {
    /// The remote's name.
    pub remote: String,
    /// Snapshots of commits that git has forgotten.
    pub dropped: Vec<Dropped>,
    /// Packs that nobody needs: they go at a later run.
    pub condemned: Packs,
    /// Packs that were condemned before, and are gone.
    pub deleted: Packs,
    /// Packs that were condemned before, and stay until the grace is over.
    pub waiting: Packs,
    /// Packs that nobody needs and that are too young to be condemned.
    pub young: Packs,
    /// Condemned packs of which something that is needed cannot be read.
    pub stuck: Packs,
    /// Packs that stay.
    pub kept: Packs,
    /// Objects copied out of packs that are gone.
    pub rescued: u64,
    /// Ids of what snapshots need and no pack holds.
    pub missing: Vec<String>,
    /// Keys of objects that are not what they should be, with what is wrong.
    pub damaged: Vec<(String, String)>,
    /// Why no snapshot was dropped, if that could not be judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blind: Option<&'static str>,
    /// Whether it was really done.
    pub applied: bool,
}

/// A snapshot that keeps nothing any more.
#[derive(Debug, serde::Serialize)]
pub struct Dropped {
    /// Its name.
    pub snapshot: String,
    /// The commit that it belonged to.
    pub commit: String,
    /// How many days ago it was pushed.
    pub days: u64,
}

/// Some packs, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Packs {
    /// How many.
    pub packs: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Collects the garbage of a remote. `approve` is shown what would be done.
pub fn gc(
    world: &World<'_>,
    options: &GcOptions,
    approve: &mut dyn FnMut(&GcReport) -> bool,
) -> Result<GcReport> {
    let site = Site::open(world)?;
    let (name, remote) = connect(&site, options.remote.as_deref())?;
    remote.check_collectable(&site.layout.probes())?;
    let judge = Judge::new(&site, options.forget_unknown)?;
    let collected = remote.collect(
        &site.store,
        (
            &CollectOptions {
                grace: options.grace,
                min_age: options.min_age,
                dry_run: options.dry_run,
            },
            jobs(&site, &remote, options.jobs),
        ),
        &|claim| judge.is_unneeded(claim),
        &mut |plan| approve(&judge.report(&name, plan.clone())),
        world.progress,
        world.interrupt,
    )?;
    Ok(judge.report(&name, collected))
}

/// Knows which snapshots git has forgotten.
struct Judge<'s> {
    site: &'s Site<'s>,
    project: [u8; 16],
    blind: Option<Blind>,
    forget_unknown: Option<u64>,
    remembered: Remembered,
    /// What the locks that are remembered name.
    roots: HashSet<Digest>,
}

impl<'s> Judge<'s> {
    fn new(site: &'s Site<'s>, forget_unknown: Option<u64>) -> Result<Self> {
        let path = site.repo_path(LOCK).unwrap_or_else(|| LOCK.to_owned());
        let blind = site.git.look_around()?;
        let remembered = site.git.remembered(&path)?;
        let mut names = HashSet::new();
        let mut take = |lock: &Lock| -> Result<()> {
            for root in roots(lock)? {
                names.insert(match root.content {
                    Content::File { id, .. } => id.0,
                    Content::Tree { id, .. } => id.0,
                });
            }
            Ok(())
        };
        take(&site.lock()?)?;
        for bytes in &remembered.contents {
            // A lock with conflict markers names nothing that its sides in the index do not.
            if let Ok(lock) = Lock::from_bytes(bytes) {
                take(&lock)?;
            }
        }
        Ok(Self {
            project: project_id(&site.manifest.id),
            site,
            blind,
            forget_unknown,
            remembered,
            roots: names,
        })
    }

    /// Whether a snapshot of this project is old enough, shares no data with what is remembered,
    /// and belongs to a commit that this clone has and nothing leads to any more. A commit that
    /// this clone never saw may be somebody's best work: only if it was asked for.
    fn is_unneeded(&self, claim: &Claim) -> bool {
        let days = days_since(claim.created);
        let commit = commit_of(claim);
        let is_forgotten = match self.site.git.has_commit(&commit) {
            true => self.blind.is_none() && !self.remembered.reaches(&commit),
            false => self.forget_unknown.is_some_and(|limit| days >= limit),
        };
        is_forgotten
            && claim.project == self.project
            && days >= MIN_AGE_DAYS
            && !claim.roots.iter().any(|root| self.roots.contains(root))
    }

    fn report(&self, remote: &str, collected: Collected) -> GcReport {
        let dropped = collected.dropped.iter().map(|claim| Dropped {
            snapshot: claim.id.to_string(),
            commit: commit_of(claim),
            days: days_since(claim.created),
        });
        GcReport {
            remote: remote.to_owned(),
            dropped: dropped.collect(),
            condemned: sum(&collected.condemned),
            deleted: sum(&collected.deleted),
            waiting: sum(&collected.waiting),
            young: sum(&collected.young),
            stuck: sum(&collected.stuck),
            kept: Packs {
                packs: collected.kept,
                bytes: collected.kept_bytes,
            },
            rescued: collected.rescued,
            missing: collected.missing.iter().map(ToString::to_string).collect(),
            damaged: collected.damaged,
            blind: self.blind.map(|blind| match blind {
                Blind::Shallow => "shallow",
                Blind::SomeBranches => "some-branches",
                Blind::FetchFailed => "fetch-failed",
            }),
            applied: collected.applied,
        }
    }
}

/// The commit of a snapshot in hexadecimal digits; zeros for a workspace.
fn commit_of(claim: &Claim) -> String {
    let digits = 40;
    let mut commit = hex(&claim.commit);
    if commit[digits..].bytes().all(|digit| digit == b'0') {
        commit.truncate(digits);
    }
    commit
}

fn sum(packs: &[remote::PackSize]) -> Packs {
    Packs {
        packs: packs.len() as u64,
        bytes: packs.iter().map(|pack| pack.size).sum(),
    }
}

fn days_since(created: u64) -> u64 {
    fs::now_nanos().saturating_sub(created) / 1_000_000_000 / DAY.as_secs()
}
