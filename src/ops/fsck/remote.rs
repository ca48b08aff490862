//! `fsck --remote`: whether a remote holds what was pushed to it, whole.

use std::collections::{BTreeSet, HashSet};

use super::super::push::{TransferOptions, connect, jobs, push_to, roots};
use super::super::routes::Routes;
use super::super::{Result, Site, World};
use crate::git::Rev;
use crate::hash::{ObjectId, ObjectKind};
use crate::path::RelPath;
use crate::project::Lock;
use crate::remote::{CheckDepth, Checked, Remote, name_missing};

use super::super::fetch::Damaged;
use super::{Kind, State};

/// So many locks of commits are looked through for who needs what is lost.
const MOST_COMMITS: usize = 64;

/// How to look at a remote, and what to do about it.
#[derive(Clone, Debug)]
pub struct RemoteFsckOptions {
    /// Its name; empty: the default.
    pub remote: String,
    /// How closely.
    pub depth: CheckDepth,
    /// Send again what is lost there and is here.
    pub repair: bool,
}

/// What was found.
#[derive(Debug, serde::Serialize)]
pub struct RemoteFsckReport {
    /// The remote's name.
    pub remote: String,
    /// Snapshots that count.
    pub snapshots: u64,
    /// Packs that count.
    pub packs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that the snapshots need.
    pub objects: u64,
    /// Objects that were read and proven.
    pub read: u64,
    /// What snapshots need and cannot be read there.
    pub problems: Vec<Lost>,
    /// Objects of the remote that are not what they should be.
    pub damaged: Vec<Damaged>,
    /// How many of the problems there are no more.
    pub repaired: u64,
    /// Bytes sent for that.
    pub sent_bytes: u64,
    /// Whether every listing was read, so that what is damaged and no problem is needed by nobody
    /// or lies elsewhere too.
    #[serde(skip)]
    pub is_proven: bool,
}

impl RemoteFsckReport {
    /// Whether all is well, or well again.
    pub fn is_clean(&self) -> bool {
        // A snapshot that cannot be read may have needed anything.
        let is_loss = |damaged: &Damaged| !self.is_proven || damaged.object.starts_with("snap/");
        self.problems.len() as u64 == self.repaired && !self.damaged.iter().any(is_loss)
    }
}

/// An object that a remote should hold and does not.
#[derive(Debug, serde::Serialize)]
pub struct Lost {
    #[serde(skip)]
    id: ObjectId,
    /// Its id.
    pub hash: String,
    /// What it is.
    pub kind: Kind,
    /// What is wrong.
    pub state: State,
    /// Who needs it, as far as records that are here say so.
    pub needed_by: BTreeSet<Needer>,
    /// Whether the store has it whole.
    pub in_store: bool,
    /// Other remotes that say that they have it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub in_remotes: Vec<String>,
    /// Whether it was sent again.
    pub repaired: bool,
}

/// A path of a record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Needer {
    /// The path.
    pub path: RelPath,
    /// The commit whose lock names it; none is the lock on disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}

type Locks = Vec<(Lock, Option<Rev>)>;

/// Looks at a remote, and repairs it if that is asked for.
pub fn fsck_remote(world: &World<'_>, options: &RemoteFsckOptions) -> Result<RemoteFsckReport> {
    let site = Site::open(world)?;
    let asked = Some(options.remote.as_str()).filter(|name| !name.is_empty());
    let (name, remote) = connect(&site, asked)?;
    let checked = look(&site, &remote, options.depth)?;
    let locks = locks(&site, &checked)?;
    let mut report = report(&site, name.clone(), options.depth, &checked);
    for (lock, rev) in &locks {
        name_needers(&site, &mut report, lock, rev.as_ref())?;
    }
    find_copies(&site, &name, &mut report)?;
    if options.repair && !report.problems.is_empty() {
        repair(
            &site,
            &remote,
            options.depth,
            (&locks, &checked),
            &mut report,
        )?;
    }
    Ok(report)
}

fn look(site: &Site<'_>, remote: &Remote, depth: CheckDepth) -> Result<Checked> {
    let (progress, interrupt) = (site.world.progress, site.world.interrupt);
    Ok(remote.check(
        &site.store,
        depth,
        jobs(site, remote, None),
        progress,
        interrupt,
    )?)
}

fn report(
    site: &Site<'_>,
    remote: String,
    depth: CheckDepth,
    checked: &Checked,
) -> RemoteFsckReport {
    let lost = checked.lost.iter().map(|(id, is_there)| Lost {
        id: *id,
        hash: id.to_string(),
        kind: match id.kind {
            ObjectKind::Node => Kind::Listing,
            _ => Kind::File,
        },
        state: match is_there {
            true => State::Damaged,
            false => State::Missing,
        },
        needed_by: BTreeSet::new(),
        in_store: site.store.has(*id),
        in_remotes: Vec::new(),
        repaired: false,
    });
    let damaged = checked.damaged.iter().map(|(object, reason)| Damaged {
        object: object.clone(),
        reason: reason.clone(),
    });
    RemoteFsckReport {
        remote,
        snapshots: checked.snapshots,
        packs: checked.packs,
        bytes: checked.bytes,
        objects: checked.objects,
        read: checked.read,
        problems: lost.collect(),
        damaged: damaged.collect(),
        repaired: 0,
        sent_bytes: 0,
        is_proven: depth != CheckDepth::Quick,
    }
}

/// The lock on disk, the last commit's, and those of the commits whose snapshots lost something.
fn locks(site: &Site<'_>, checked: &Checked) -> Result<Locks> {
    let mut locks = vec![(site.lock()?, None)];
    if checked.lost.is_empty() {
        return Ok(locks);
    }
    let mut revs: Vec<Rev> = site.git.head()?.into_iter().collect();
    for commit in checked.commits.iter().take(MOST_COMMITS) {
        let hex: String = commit.iter().map(|byte| format!("{byte:02x}")).collect();
        let hex = hex.strip_suffix(&"0".repeat(24)).unwrap_or(&hex);
        // One that this clone does not have says nothing here.
        if site.git.has_commit(hex) {
            revs.push(site.git.rev(hex)?);
        }
    }
    revs.dedup_by(|one, other| one.commit == other.commit);
    for rev in revs {
        // A lock that cannot be read names nothing.
        if let Ok(lock) = site.lock_at(&rev) {
            locks.push((lock, Some(rev)));
        }
    }
    Ok(locks)
}

fn name_needers(
    site: &Site<'_>,
    report: &mut RemoteFsckReport,
    lock: &Lock,
    rev: Option<&Rev>,
) -> Result<()> {
    let lost: HashSet<ObjectId> = report.problems.iter().map(|problem| problem.id).collect();
    for (path, id) in name_missing(&site.store, &roots(lock)?, &lost) {
        let commit = rev.map(|rev| rev.commit.clone());
        let found = report.problems.iter_mut().find(|problem| problem.id == id);
        if let Some(problem) = found {
            problem.needed_by.insert(Needer { path, commit });
        }
    }
    Ok(())
}

/// Asks the other remotes what they have of what is lost. One that cannot be asked has nothing.
fn find_copies(site: &Site<'_>, name: &str, report: &mut RemoteFsckReport) -> Result<()> {
    if report.problems.is_empty() {
        return Ok(());
    }
    for other in site.remotes.names().filter(|other| *other != name) {
        site.check_interrupt()?;
        let Ok((_, remote)) = connect(site, Some(other)) else {
            continue;
        };
        let Ok(presence) = remote.index(jobs(site, &remote, None), site.world.interrupt) else {
            continue;
        };
        for problem in &mut report.problems {
            if presence.has(problem.id) {
                problem.in_remotes.push(other.to_owned());
            }
        }
    }
    Ok(())
}

/// Pushes the locks that need what is lost once more, without relying on any pack that something is
/// amiss with. It is a push like any other, so it may run beside a collection. Then looks again.
fn repair(
    site: &Site<'_>,
    remote: &Remote,
    depth: CheckDepth,
    (locks, checked): (&Locks, &Checked),
    report: &mut RemoteFsckReport,
) -> Result<()> {
    let needers: BTreeSet<&Option<String>> = report
        .problems
        .iter()
        .flat_map(|problem| problem.needed_by.iter().map(|needer| &needer.commit))
        .collect();
    let is_needer =
        |rev: &Option<Rev>| needers.contains(&rev.as_ref().map(|rev| rev.commit.clone()));
    let wanted = locks.iter().filter(|(_, rev)| is_needer(rev));
    let wanted: Locks = wanted.cloned().collect();
    let options = TransferOptions {
        remote: Some(report.remote.clone()),
        ..TransferOptions::default()
    };
    let routes = Routes::new(site, &site.lock()?)?;
    let mut all = Vec::new();
    for (lock, _) in &wanted {
        all.extend(routes.travelling(lock)?);
    }
    // What has this remote as its own, or all that goes to the default one; else what goes there by
    // name alone.
    let mut destinations = routes.destinations(site, None, &all)?;
    destinations.extend(routes.destinations(site, Some(&report.remote), &all)?);
    let spool = site.layout.spool();
    let _guard = site.hold(&spool.join("lock"))?;
    for destination in destinations.iter().filter(|one| one.name == report.remote) {
        let pushed = push_to(site, destination, &wanted, &options, &checked.distrusted)?;
        report.sent_bytes += pushed.sent_bytes;
    }
    let again = look(site, remote, depth)?;
    let still: HashSet<ObjectId> = again.lost.iter().map(|(id, _)| *id).collect();
    for problem in &mut report.problems {
        problem.repaired = !still.contains(&problem.id);
        report.repaired += u64::from(problem.repaired);
    }
    Ok(())
}
