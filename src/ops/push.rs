//! `push`: sends what commits need and nobody else has.

use std::collections::HashSet;
use std::path::PathBuf;

use super::content::{Missing, stored};
use super::routes::{Destination, Routes};
use super::selection::Selection;
use super::{Error, Result, Site, World, shared};
use crate::git::{Rev, Which};
use crate::hash::{BlobId, PackId, TreeId};
use crate::path::{Filter, RelPath};
use crate::project::{self, Config, Lock, Recorded, RemoteKey};
use crate::remote::{Address, Content, PushOptions, Remote, Root, Wanted};

#[cfg(feature = "failpoints")]
pub use crate::remote::stop_validating;

/// How many ancestors are asked whether the remote knows them already.
const MOST_BASES: usize = 32;

/// What travels, and from or to where.
#[derive(Clone, Debug, Default)]
pub struct TransferOptions {
    /// The remote's name; none: the default.
    pub remote: Option<String>,
    /// How many transfers at once; none: as configured.
    pub jobs: Option<usize>,
    /// Commits besides the usual ones.
    pub also: Vec<Which>,
    /// Only say what would travel.
    pub dry_run: bool,
    /// Only what matches one of these patterns; none: all.
    pub include: Vec<String>,
    /// Not what matches one of these.
    pub exclude: Vec<String>,
}

impl TransferOptions {
    /// What lies at and below some paths (none: everywhere) and passes the patterns.
    pub(super) fn selection(&self, targets: Vec<RelPath>) -> Result<Selection> {
        let filter = Filter::new(&self.include, &self.exclude)?;
        Ok(Selection::new(targets, filter))
    }
}

/// What was sent.
#[derive(Debug, serde::Serialize)]
pub struct PushReport {
    /// The remote's name.
    pub remote: String,
    /// Files whose content was new there.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects written to the remote.
    pub objects: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
    /// Bytes of these files that need not be sent: they were there already, in other files, or
    /// stand in the files several times.
    pub reused_bytes: u64,
    /// By how much compression made shorter what was sent of the files.
    pub compression_saved_bytes: u64,
    /// How often it had to publish again because garbage was collected meanwhile.
    pub mended: usize,
    /// How many locks (commits and the workspace) the remote holds whole now.
    pub complete: usize,
    /// What could not be sent, because it is not here.
    pub missing: Vec<Missing>,
    /// Whether nothing was really sent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// Results of the run cache that were new there, if they are shared.
    #[serde(skip_serializing_if = "is_zero")]
    pub results: u64,
    /// What was sent to remotes that some paths have of their own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<PushReport>,
}

impl PushReport {
    /// What was sent to each remote.
    pub fn each(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.others)
    }
}

/// How a push to one or several remotes ended.
#[derive(Debug)]
pub struct PushOutcome {
    /// What was sent; `None` if nothing could be sent to any of several.
    pub report: Option<PushReport>,
    /// The remotes, of several, that could not be pushed to.
    pub failed: Vec<FailedPush>,
}

/// A remote that could not be pushed to.
#[derive(Debug)]
pub struct FailedPush {
    /// Its name.
    pub remote: String,
    /// Why.
    pub error: Error,
}

impl PushOutcome {
    /// What was sent to each remote that could be pushed to.
    pub fn each(&self) -> impl Iterator<Item = &PushReport> {
        self.report.iter().flat_map(PushReport::each)
    }

    /// Whether the store had all that was to be sent there.
    pub fn is_whole(&self) -> bool {
        self.each().all(|report| report.missing.is_empty())
    }
}

/// Sends the workspace's lock, the locks of commits not yet published, and of those asked for. Of
/// several remotes, one that fails does not keep the others from what is theirs.
pub fn push(world: &World<'_>, options: &TransferOptions) -> Result<PushOutcome> {
    let site = Site::open(world)?;
    let mut locks = Vec::new();
    for rev in commits(&site, &options.also, true)? {
        locks.push((site.lock_at(&rev)?, Some(rev)));
    }
    let lock = site.lock()?;
    let routes = Routes::new(&site, &lock)?;
    // Last, so that the snapshot of a lock that is committed names the commit.
    locks.push((lock, None));
    let selection = options.selection(Vec::new())?;
    let mut all = Vec::new();
    for (lock, _) in &locks {
        all.extend(chosen(&site, &selection, routes.travelling(lock)?)?);
    }
    if selection.includes() && all.is_empty() {
        return Err(Error::NothingMatches(options.include.join(" ")));
    }
    let spool = site.layout.spool();
    let _guard = match options.dry_run || all.is_empty() {
        true => None,
        false => Some(site.hold(&spool.join("lock"))?),
    };
    let destinations = routes.destinations(&site, options.remote.as_deref(), &all)?;
    let mut outcome = push_to_each(&site, &destinations, &locks, options)?;
    // What was left out is not there, so nobody could use a result with it.
    if let Some(report) = &mut outcome.report
        && outcome.failed.is_empty()
        && !options.dry_run
        && selection.is_everything()
    {
        let missing = report.each().flat_map(|report| &report.missing);
        let missing = missing.map(|missing| &missing.path).collect();
        let locks = locks.iter().map(|(lock, _)| lock);
        report.results = shared::share(&site, &report.remote, &routes, locks, &missing)?;
    }
    Ok(outcome)
}

fn push_to_each(
    site: &Site<'_>,
    destinations: &[Destination<'_>],
    locks: &[(Lock, Option<Rev>)],
    options: &TransferOptions,
) -> Result<PushOutcome> {
    let (mut reports, mut failed) = (Vec::new(), Vec::new());
    for destination in destinations {
        match push_to(site, destination, locks, options, &HashSet::new()) {
            Ok(report) => reports.push(report),
            Err(error) if destinations.len() == 1 || site.check_interrupt().is_err() => {
                return Err(error);
            }
            Err(error) => failed.push(FailedPush {
                remote: destination.name.clone(),
                error,
            }),
        }
    }
    let mut reports = reports.into_iter();
    let mut report = reports.next();
    if let Some(report) = &mut report {
        report.others = reports.collect();
    }
    Ok(PushOutcome { report, failed })
}

/// Sends what goes to one remote, without relying on some of its packs. The caller holds the spool.
pub(super) fn push_to(
    site: &Site<'_>,
    destination: &Destination<'_>,
    locks: &[(Lock, Option<Rev>)],
    options: &TransferOptions,
    distrusted: &HashSet<PackId>,
) -> Result<PushReport> {
    let selection = options.selection(Vec::new())?;
    let wanted = wanted(site, locks, destination, &selection)?;
    if wanted.is_empty() {
        return Ok(nothing(destination.name.clone(), options.dry_run));
    }
    let (name, remote) = connect(site, Some(&destination.name))?;
    let bases = bases(site, destination)?;
    let pushed = remote.push(
        &site.store,
        &wanted,
        &PushOptions {
            project: project_id(&site.manifest.id),
            bases: &bases,
            spool: &site.layout.spool(),
            memory: &site.layout.probes(),
            jobs: jobs(site, &remote, options.jobs),
            distrusted,
            dry_run: options.dry_run,
        },
        site.world.progress,
        site.world.interrupt,
    )?;
    let missing = pushed.missing.into_iter().map(|(path, id)| Missing {
        path,
        hash: id.to_string(),
    });
    Ok(PushReport {
        files: pushed.files,
        bytes: pushed.bytes,
        objects: pushed.objects,
        sent_bytes: pushed.sent_bytes,
        reused_bytes: pushed.economy.reused_bytes,
        compression_saved_bytes: pushed.economy.compression_saved_bytes,
        mended: pushed.mended,
        complete: wanted.len(),
        missing: missing.collect(),
        ..nothing(name, options.dry_run)
    })
}

fn nothing(remote: String, dry_run: bool) -> PushReport {
    PushReport {
        remote,
        files: 0,
        bytes: 0,
        objects: 0,
        sent_bytes: 0,
        reused_bytes: 0,
        compression_saved_bytes: 0,
        mended: 0,
        complete: 0,
        missing: Vec::new(),
        dry_run,
        results: 0,
        others: Vec::new(),
    }
}

/// The commits whose locks are meant: those asked for, and for a push those not yet published.
pub(super) fn commits(site: &Site<'_>, also: &[Which], unpublished: bool) -> Result<Vec<Rev>> {
    let mut revs = Vec::new();
    if unpublished {
        revs.extend(site.git.unpublished()?);
    }
    for which in also {
        revs.extend(site.git.commits(*which)?);
    }
    revs.sort_by(|a, b| a.commit.cmp(&b.commit));
    revs.dedup_by(|a, b| a.commit == b.commit);
    Ok(revs)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
pub(super) fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Connects to a remote by name.
pub(super) fn connect(site: &Site<'_>, name: Option<&str>) -> Result<(String, Remote)> {
    let (name, spec) = site.remote(name)?;
    site.check_trust(&name, spec)?;
    if let Some(contradiction) = spec.contradiction() {
        let message = format!("remote `{name}` cannot be: {contradiction}");
        return Err(Error::RemoteKey(message));
    }
    let address = address(site, &name, spec);
    Ok((name, Remote::open(&address, site.world.var)?))
}

/// Where a remote is; a directory is taken from the project's root.
fn address(site: &Site<'_>, name: &str, spec: &project::Remote) -> Address {
    let url = spec.url();
    let url = url.strip_prefix("file://").unwrap_or(url).to_owned();
    let text = |key| spec.text(key).map(str::to_owned);
    let url = match url.contains("://") {
        true => url,
        false => normal(site.layout.root.join(url)),
    };
    Address {
        name: name.to_owned(),
        url,
        account_name: text(RemoteKey::AccountName),
        endpoint_url: text(RemoteKey::EndpointUrl),
        region: text(RemoteKey::Region),
        profile: text(RemoteKey::Profile),
        ca_bundle: text(RemoteKey::CaBundle).map(|path| site.layout.root.join(path)),
        path_style: spec.flag(RemoteKey::PathStyle),
        sse: text(RemoteKey::Sse),
        sse_kms_key_id: text(RemoteKey::SseKmsKeyId),
        acl: text(RemoteKey::Acl),
        jobs: spec.jobs(),
    }
}

/// A path without `.` and `..`, by text alone.
pub(super) fn normal(path: PathBuf) -> String {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                parts.pop();
            }
            std::path::Component::CurDir => {}
            part => parts.push(part),
        }
    }
    parts.display().to_string()
}

/// How many transfers at once: as somebody asks now, else as is said of the remote, else of all.
pub(super) fn jobs(site: &Site<'_>, remote: &Remote, asked: Option<usize>) -> usize {
    at_once(asked, remote.jobs(), &site.config)
}

fn at_once(asked: Option<usize>, remote: Option<usize>, config: &Config) -> usize {
    const USUAL: usize = 8;
    asked
        .or(config.jobs_asked)
        .or(remote)
        .or(config.jobs)
        .unwrap_or(USUAL)
        .clamp(1, 256)
}

/// What a lock needs from the store, as a remote sees it.
pub(super) fn roots(lock: &Lock) -> Result<Vec<Root>> {
    let stored = stored(lock).into_iter();
    stored
        .map(|(path, recorded)| root(path, recorded))
        .collect()
}

pub(super) fn root(path: RelPath, recorded: &Recorded) -> Result<Root> {
    let digest = recorded.hash.digest().ok_or_else(|| Error::ForeignHash {
        path: path.clone(),
        hash: recorded.hash.to_string(),
    })?;
    let content = match recorded.files {
        Some(files) => Content::Tree {
            id: TreeId(digest),
            files,
            bytes: recorded.size,
        },
        None => Content::File {
            id: BlobId(digest),
            size: recorded.size,
        },
    };
    Ok(Root { path, content })
}

/// One entry for each distinct lock that names anything for a remote.
fn wanted(
    site: &Site<'_>,
    locks: &[(Lock, Option<Rev>)],
    destination: &Destination<'_>,
    selection: &Selection,
) -> Result<Vec<Wanted>> {
    let mut wanted: Vec<Wanted> = Vec::new();
    for (lock, rev) in locks {
        let roots = chosen(site, selection, destination.travelling(lock)?)?;
        if roots.is_empty() || wanted.iter().any(|other| other.roots == roots) {
            continue;
        }
        let commit = rev
            .as_ref()
            .map_or([0; 32], |rev| commit_bytes(&rev.commit));
        wanted.push(Wanted { roots, commit });
    }
    Ok(wanted)
}

/// The roots that are selected. Each counts as a whole: a remote keeps what a snapshot needs, and a
/// snapshot says of a directory that all of it is there.
fn chosen(site: &Site<'_>, selection: &Selection, roots: Vec<Root>) -> Result<Vec<Root>> {
    let mut chosen = Vec::new();
    for root in roots {
        if selection.has_whole(&site.store, &root)? {
            chosen.push(root);
        }
    }
    Ok(chosen)
}

fn bases(site: &Site<'_>, destination: &Destination<'_>) -> Result<Vec<Vec<Root>>> {
    let mut bases: Vec<Vec<Root>> = Vec::new();
    for rev in site.git.ancestors(MOST_BASES * 4)? {
        // A commit whose lock cannot be read is no base, and no reason to stop.
        let lock = site.lock_at(&rev);
        let Ok(roots) = lock.and_then(|lock| destination.travelling(&lock)) else {
            continue;
        };
        if !roots.is_empty() && !bases.contains(&roots) {
            bases.push(roots);
        }
        if bases.len() == MOST_BASES {
            break;
        }
    }
    Ok(bases)
}

fn commit_bytes(hex: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    decode_hex(hex, &mut bytes);
    bytes
}

pub(super) fn project_id(hex: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    decode_hex(hex, &mut bytes);
    bytes
}

fn decode_hex(hex: &str, bytes: &mut [u8]) {
    for (at, byte) in bytes.iter_mut().enumerate() {
        let digits = hex.get(at * 2..at * 2 + 2);
        *byte = digits
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
            .unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_asks_now_goes_before_what_is_said_of_a_remote() {
        let config = |jobs_asked: Option<usize>, jobs| Config {
            jobs_asked,
            jobs: jobs_asked.or(jobs),
            ..Config::default()
        };
        let cases = [
            (None, None, config(None, None), 8),
            (None, None, config(None, Some(4)), 4),
            (None, Some(2), config(None, Some(4)), 2),
            (None, Some(2), config(Some(3), Some(4)), 3),
            (Some(1), Some(2), config(Some(3), Some(4)), 1),
            (Some(0), None, config(None, None), 1),
            (Some(9999), None, config(None, None), 256),
        ];
        for (asked, remote, config, expected) in cases {
            assert_eq!(at_once(asked, remote, &config), expected);
        }
    }
}
