//! `status` and `why`: what differs from the record, in data and in stages.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::mem::ManuallyDrop;
use std::path::PathBuf;

use super::content;
use super::diff::{DataChange, file_change};
use super::facts::{Observer, entries_of};
use super::push::is_zero;
use super::record::Record;
use super::routes::is_asked_for;
use super::standing::standings;
use super::{EditedReport, Result, Site, Standing, World};
use crate::hash::{ContentId, TreeId};
use crate::path::{DepPath, RelPath};
use crate::pipeline::{self, Graph, Reason, ReasonKind, RunRecord, Stage};
use crate::project::layout::{LOCK, MANIFEST};
use crate::project::{Lock, Recorded};
use crate::store;
use crate::tree::{self, Entry, Tree};
use crate::workspace::{self, Found};

/// Data and stages against their record.
#[derive(Debug, serde::Serialize)]
pub struct StatusReport {
    /// Whether all data is unchanged and every stage fresh or frozen.
    pub clean: bool,
    /// Every tracked path and output.
    pub data: Vec<DataStatus>,
    /// Every stage, in the order they would run.
    pub stages: Vec<StageStatus>,
    /// Objects that were edited in place, through files that are links to them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub edited: Vec<EditedReport>,
    /// Files, and directories (ending in `/`), that neither git nor esker knows; `None` if it was
    /// not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub untracked: Option<Vec<String>>,
    /// The remote that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
    /// The configured remotes.
    #[serde(skip)]
    pub remotes: Vec<String>,
}

/// What to compare.
#[derive(Clone, Debug, Default)]
pub struct StatusOptions {
    /// Paths or stages; none: everything.
    pub targets: Vec<String>,
    /// Also list what neither git nor esker knows.
    pub untracked: bool,
    /// Also ask this remote; an empty name is the default.
    pub remote: Option<String>,
    /// Ask the store about all data, not only about what is not in the workspace.
    pub store: bool,
}

/// A tracked path or output.
#[derive(Debug, serde::Serialize)]
pub struct DataStatus {
    /// Where.
    pub path: RelPath,
    /// The stage that writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// The workspace against the lock.
    pub state: DataState,
    /// Whether the store has all of what the lock records; `None` if it was not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_store: Option<bool>,
    /// Whether the remote has it; `None` if it was not asked, or if this stays here.
    pub in_remote: Option<bool>,
    /// What a push and a pull would move, if the remote was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<Standing>,
    /// The lock against HEAD's lock.
    pub head: HeadState,
    /// Whether it is brought only when it is named (`pull = false`).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub on_demand: bool,
    /// How many files of a directory were never put into this workspace, while others were.
    #[serde(skip_serializing_if = "is_zero")]
    pub not_here: u64,
    /// Single files that differ.
    pub changes: Vec<DataChange>,
}

/// The workspace against the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DataState {
    /// Equal.
    Unchanged,
    /// Different.
    Modified,
    /// Not there, or not all of it, and what is there is unchanged.
    Absent,
}

/// The lock against HEAD's lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HeadState {
    /// Equal.
    Unchanged,
    /// Not in HEAD.
    Added,
    /// Different in HEAD.
    Modified,
    /// Only in HEAD.
    Deleted,
}

/// A stage.
#[derive(Clone, Debug, serde::Serialize)]
pub struct StageStatus {
    /// Its name.
    pub name: String,
    /// Whether it would run.
    pub state: StageState,
    /// Whether its record was adopted by `commit`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub adopted: bool,
    /// Whether nothing differs but that recorded data is not in the workspace.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub only_absent: bool,
    /// Why it would run.
    pub reasons: Vec<ReasonReport>,
}

/// Whether a stage would run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StageState {
    /// It would not.
    Fresh,
    /// It would.
    Stale,
    /// It would, for the first time.
    NeverRun,
    /// It is left alone.
    Frozen,
}

/// One reason to run.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct ReasonReport {
    /// What kind.
    pub kind: ReasonKind,
    /// In words.
    pub text: String,
    /// The dependency or output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The param or variable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The params file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<serde_json::Value>,
    /// Now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<serde_json::Value>,
    /// The stage upstream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// Of a directory or a pattern, the single files, if somebody asked why and the store knows
    /// what was there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<DataChange>,
}

impl From<&Reason> for ReasonReport {
    fn from(reason: &Reason) -> Self {
        Self {
            kind: reason.kind,
            text: pipeline::describe(reason),
            path: reason.path.clone(),
            key: reason.key.clone(),
            file: reason.file.clone(),
            old: reason.old.as_ref().map(crate::value::Value::to_json),
            new: reason.new.as_ref().map(crate::value::Value::to_json),
            stage: reason.stage.clone(),
            changes: Vec::new(),
        }
    }
}

/// One stage, its reasons and its last run.
#[derive(Debug, serde::Serialize)]
pub struct WhyReport {
    /// Its state and reasons.
    #[serde(flatten)]
    pub status: StageStatus,
    /// The stages above it that would run, each after all it needs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub upstream: Vec<StageStatus>,
    /// The run that its record names, if this clone ran it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_run: Option<RunRecord>,
    /// The last run that failed, if none succeeded since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<RunRecord>,
    /// Where the output of runs is kept.
    #[serde(skip)]
    pub runs: PathBuf,
}

/// Compares everything, or what the targets narrow it down to.
pub fn status(world: &World<'_>, options: &StatusOptions) -> Result<StatusReport> {
    let (site, record) = Site::open_with_record(world)?;
    let Record { lock, bytes, .. } = &*record;
    let graph = ManuallyDrop::new(site.graph(lock)?);
    let chosen = Chosen::new(&site, lock, &graph, options)?;
    let head = head_lock(&site, lock, bytes)?;
    let mut observer = Observer::new(&site, lock, &graph);
    let sides = Sides {
        site: &site,
        lock,
        head: content::stored(&head),
        ask_store: options.store,
    };
    let mut data = Vec::new();
    for (path, recorded) in content::stored(lock) {
        if chosen.has_path(&path) {
            let mut status = sides.status(&mut observer, path, recorded)?;
            chosen.narrow(&mut status);
            data.push(status);
        }
    }
    data.extend(only_in_head(&head, lock, &chosen));
    data.sort_by(|a, b| a.path.cmp(&b.path));
    let remote = match &options.remote {
        Some(name) => Some(ask_remote(&site, name, lock, &mut data)?),
        None => None,
    };
    let mut stages = stage_statuses(&mut observer, lock, &graph)?;
    stages.retain(|stage| chosen.has_stage(&stage.name));
    observer.save_index();
    let data_clean = |status: &DataStatus| {
        status.state == DataState::Unchanged || status.head == HeadState::Deleted
    };
    let stage_clean =
        |stage: &StageStatus| matches!(stage.state, StageState::Fresh | StageState::Frozen);
    Ok(StatusReport {
        clean: data.iter().all(data_clean) && stages.iter().all(stage_clean),
        data,
        stages,
        edited: observer.edited,
        untracked: match options.untracked {
            true => Some(untracked(&site, lock, &graph, &chosen)?),
            false => None,
        },
        remote,
        remotes: site.remotes.names().map(str::to_owned).collect(),
    })
}

/// Notes how each path stands with a remote; yields the remote's name.
fn ask_remote(site: &Site<'_>, name: &str, lock: &Lock, data: &mut [DataStatus]) -> Result<String> {
    let (name, standings) = standings(site, name, lock)?;
    for status in data {
        status.remote = standings.get(&status.path).copied();
        status.in_remote = status.remote.map(|standing| standing.complete);
    }
    Ok(name)
}

/// Explains one stage.
pub fn why(world: &World<'_>, target: &str) -> Result<WhyReport> {
    let site = Site::open(world)?;
    let lock = site.lock()?;
    let graph = site.graph(&lock)?;
    let name = graph.target(target)?.name.clone();
    let mut observer = Observer::new(&site, &lock, &graph);
    let mut statuses = stage_statuses(&mut observer, &lock, &graph)?;
    let above = graph.with_upstream(&BTreeSet::from([name.clone()]));
    statuses.retain(|status| above.contains(&status.name));
    for reason in statuses.iter_mut().flat_map(|status| &mut status.reasons) {
        reason.changes = changes_behind(&mut observer, reason)?;
    }
    observer.save_index();
    let (own, above): (Vec<_>, Vec<_>) =
        statuses.into_iter().partition(|status| status.name == name);
    let would_run =
        |status: &StageStatus| matches!(status.state, StageState::Stale | StageState::NeverRun);
    let runs = site.layout.runs();
    let run = lock.stages.get(&name);
    let last_run = run.and_then(|record| RunRecord::load(&runs, &record.run));
    let since = last_run.as_ref().map_or(0, |run| run.started);
    let failure = RunRecord::load_failed(&runs, &name);
    Ok(WhyReport {
        status: own
            .into_iter()
            .next()
            .expect("every stage of the graph has a status"),
        upstream: above.into_iter().filter(would_run).collect(),
        last_run,
        last_failure: failure.filter(|failure| failure.started > since),
        runs,
    })
}

/// The single files behind a directory or a pattern that changed. None if the store does not know
/// what was there: another clone recorded it.
fn changes_behind(observer: &mut Observer<'_>, reason: &ReasonReport) -> Result<Vec<DataChange>> {
    if !matches!(reason.kind, ReasonKind::DepChanged | ReasonKind::OutChanged) {
        return Ok(Vec::new());
    }
    let dep = reason.path.as_deref().map(DepPath::parse).transpose()?;
    let old = reason.old.as_ref().and_then(serde_json::Value::as_str);
    let old = old.and_then(|hash| hash.parse::<ContentId>().ok()?.digest());
    let (Some(dep), Some(old)) = (dep, old) else {
        return Ok(Vec::new());
    };
    let (Some(path), Some(found)) = (dep.inside(), observer.dep_entries(&dep)?) else {
        return Ok(Vec::new());
    };
    match workspace::read_tree(&observer.site.store, TreeId(old)) {
        Ok(tree) => file_changes(entries_of(&dep, &path, tree), found),
        Err(workspace::Error::Store(store::Error::Missing(_))) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// The state of every stage, each after all it needs. Below a stale stage everything is stale.
pub(super) fn stage_statuses(
    observer: &mut Observer<'_>,
    lock: &Lock,
    graph: &Graph,
) -> Result<Vec<StageStatus>> {
    let mut statuses: Vec<StageStatus> = Vec::new();
    let mut stale: BTreeSet<String> = BTreeSet::new();
    observer.look_ahead(graph.in_order());
    for stage in graph.in_order() {
        let name = &stage.name;
        let (facts, _) = observer.facts(stage)?;
        let record = lock.stages.get(name);
        let mut reasons = pipeline::assess(stage, &facts, record);
        let never = reasons
            .iter()
            .any(|reason| reason.kind == ReasonKind::NeverRun);
        if !stage.spec.frozen && !never {
            let above = graph.upstream(name).map(|above| &above.name);
            let above = above.filter(|above| stale.contains(*above));
            reasons.extend(above.map(|above| Reason::upstream(above)));
        }
        let state = stage_state(stage, &reasons);
        if matches!(state, StageState::Stale | StageState::NeverRun) {
            stale.insert(name.clone());
        }
        statuses.push(StageStatus {
            name: name.clone(),
            state,
            adopted: record.is_some_and(|record| record.adopted),
            only_absent: only_absent(&reasons, &statuses),
            reasons: reasons.iter().map(ReasonReport::from).collect(),
        });
    }
    Ok(statuses)
}

/// Whether the reasons name nothing but recorded data that is not in the workspace, here or
/// above.
fn only_absent(reasons: &[Reason], above: &[StageStatus]) -> bool {
    let absent_above = |name: &str| {
        above
            .iter()
            .any(|stage| stage.name == name && stage.only_absent)
    };
    let absent = |reason: &Reason| match reason.kind {
        ReasonKind::DepMissing | ReasonKind::OutMissing => true,
        ReasonKind::Upstream => reason.stage.as_deref().is_some_and(absent_above),
        _ => false,
    };
    !reasons.is_empty() && reasons.iter().all(absent)
}

fn stage_state(stage: &Stage, reasons: &[Reason]) -> StageState {
    let never = reasons
        .iter()
        .any(|reason| reason.kind == ReasonKind::NeverRun);
    match (stage.spec.frozen, reasons.is_empty()) {
        (true, _) => StageState::Frozen,
        (false, true) => StageState::Fresh,
        (false, false) if never => StageState::NeverRun,
        (false, false) => StageState::Stale,
    }
}

/// What HEAD records: mostly what is recorded now, whose bytes these are.
fn head_lock<'l>(site: &Site<'_>, lock: &'l Lock, bytes: &[u8]) -> Result<Cow<'l, Lock>> {
    let head = site.git.head()?;
    let head = head.map(|head| site.read_at(&head, LOCK)).transpose()?;
    Ok(match head.flatten() {
        Some(head) if head == bytes => Cow::Borrowed(lock),
        Some(head) => Cow::Owned(Lock::from_bytes(&head)?),
        None => Cow::Owned(Lock::default()),
    })
}

/// What the data of a workspace is compared with.
struct Sides<'a> {
    site: &'a Site<'a>,
    lock: &'a Lock,
    head: BTreeMap<RelPath, &'a Recorded>,
    ask_store: bool,
}

impl Sides<'_> {
    fn status(
        &self,
        observer: &mut Observer<'_>,
        path: RelPath,
        recorded: &Recorded,
    ) -> Result<DataStatus> {
        let state = match observer.whole(&path)? {
            None => DataState::Absent,
            Some(now) if now == *recorded => DataState::Unchanged,
            Some(_) => DataState::Modified,
        };
        // What is as it was recorded needs neither listing nor store: that is the common case,
        // and it costs no more than the look at the disk.
        let ask_store = self.ask_store || state == DataState::Absent;
        let known = match recorded.hash.digest() {
            Some(_) if ask_store || state == DataState::Modified => {
                content::entries(&self.site.store, &path, recorded)?
            }
            _ => None,
        };
        let changes = match (&known, state) {
            (Some(known), DataState::Modified) => {
                let found = match observer.completed(&path)? {
                    Some(all) => all.entries,
                    None => observer.entries(&path)?,
                };
                file_changes(known.clone(), found)?
            }
            _ => Vec::new(),
        };
        let is_there = *observer.out(&path)? != Found::Missing;
        let not_here = match state {
            DataState::Modified | DataState::Absent if is_there => observer.completed(&path)?,
            _ => None,
        };
        let saved = || known.is_some_and(|known| content::all_saved(&self.site.store, &known));
        Ok(DataStatus {
            stage: content::recorded_writer(self.lock, &path),
            state,
            in_store: ask_store.then(saved),
            in_remote: None,
            remote: None,
            head: head_state(&self.head, &path, recorded),
            on_demand: !is_asked_for(self.site, &path, &[]),
            not_here: not_here.map_or(0, |all| all.n_added),
            changes,
            path,
        })
    }
}

fn file_changes(
    known: Vec<(RelPath, Entry)>,
    found: Vec<(RelPath, Entry)>,
) -> Result<Vec<DataChange>> {
    let old = Tree::new(known)?;
    let new = Tree::new(found)?;
    let changes = tree::find_renames(tree::diff(&old, &new));
    Ok(changes.into_iter().map(file_change).collect())
}

fn head_state(
    head: &BTreeMap<RelPath, &Recorded>,
    path: &RelPath,
    recorded: &Recorded,
) -> HeadState {
    match head.get(path) {
        None => HeadState::Added,
        Some(old) if *old == recorded => HeadState::Unchanged,
        Some(_) => HeadState::Modified,
    }
}

/// Paths that HEAD records and the lock no longer does.
fn only_in_head(head: &Lock, lock: &Lock, chosen: &Chosen) -> Vec<DataStatus> {
    let now: BTreeMap<RelPath, &Recorded> = content::stored(lock);
    let gone = content::stored(head).into_keys();
    gone.filter(|path| !now.contains_key(path) && chosen.has_path(path))
        .map(|path| DataStatus {
            stage: content::recorded_writer(head, &path),
            state: DataState::Absent,
            in_store: Some(false),
            in_remote: None,
            remote: None,
            head: HeadState::Deleted,
            on_demand: false,
            not_here: 0,
            changes: Vec::new(),
            path,
        })
        .collect()
}

/// What neither git nor esker knows in the whole project.
pub(super) fn nobodys(site: &Site<'_>, lock: &Lock, graph: &Graph) -> Result<Vec<String>> {
    let everything = Chosen {
        all: true,
        paths: Vec::new(),
        stages: BTreeSet::new(),
    };
    untracked(site, lock, graph, &everything)
}

/// What neither git nor esker knows, one entry a directory; nested projects are none of ours.
fn untracked(site: &Site<'_>, lock: &Lock, graph: &Graph, chosen: &Chosen) -> Result<Vec<String>> {
    let root = &site.layout.root;
    let prefix = root.strip_prefix(&site.layout.workdir).unwrap_or(root);
    let prefix = prefix.to_string_lossy().into_owned();
    let outs = graph.stages().values().flat_map(|stage| stage.outs.iter());
    let known: BTreeSet<&RelPath> = lock.data.keys().chain(outs).collect();
    let mut found = Vec::new();
    let mut todo = site.git.untracked(&prefix)?;
    while let Some(name) = todo.pop() {
        let below = name.strip_prefix(&prefix).unwrap_or(&name);
        let below = below.trim_start_matches('/');
        // A name that no path can have is no name of data.
        let Ok(path) = RelPath::parse(below.trim_end_matches('/')) else {
            continue;
        };
        if known
            .iter()
            .any(|root| **root != path && root.starts_with(&path))
        {
            // git knows nothing in there, but esker does.
            todo.extend(site.git.untracked(&name)?);
            continue;
        }
        let is_ours = super::init::is_own_file(&path)
            || known.iter().any(|root| path.starts_with(root))
            || is_nested(site, &path)?;
        if !is_ours && chosen.has_path(&path) {
            found.push(below.to_owned());
        }
    }
    found.sort();
    Ok(found)
}

fn is_nested(site: &Site<'_>, path: &RelPath) -> Result<bool> {
    for dir in std::iter::once(path.clone()).chain(path.ancestors()) {
        let manifest = dir.to_path(&site.layout.root).join(MANIFEST);
        if crate::fs::metadata(&manifest)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What the targets narrow a status down to.
struct Chosen {
    all: bool,
    paths: Vec<RelPath>,
    stages: BTreeSet<String>,
}

impl Chosen {
    fn new(site: &Site<'_>, lock: &Lock, graph: &Graph, options: &StatusOptions) -> Result<Self> {
        let StatusOptions {
            targets, untracked, ..
        } = options;
        let mut chosen = Self {
            all: targets.is_empty(),
            paths: Vec::new(),
            stages: BTreeSet::new(),
        };
        for target in targets {
            match graph.target(target) {
                Ok(stage) => {
                    chosen.stages.insert(stage.name.clone());
                    chosen.paths.extend(stage.outs.iter().cloned());
                }
                Err(_) => chosen.paths.extend(match untracked {
                    // Any path may hold something that nobody knows yet.
                    true => vec![site.path(target)?],
                    false => site.stored_paths(lock, std::slice::from_ref(target))?,
                }),
            }
        }
        Ok(chosen)
    }

    fn has_path(&self, path: &RelPath) -> bool {
        self.all || self.paths.iter().any(|chosen| chosen.overlaps(path))
    }

    /// Leaves of a directory's changes those at the chosen paths inside it.
    fn narrow(&self, status: &mut DataStatus) {
        let is_whole = |chosen: &RelPath| status.path.starts_with(chosen);
        if self.all || self.paths.iter().any(is_whole) {
            return;
        }
        let is_inside = |path: &RelPath| self.paths.iter().any(|chosen| path.starts_with(chosen));
        status.changes.retain(|change| {
            let from = change.from.as_ref();
            change.whole || is_inside(&change.path) || from.is_some_and(is_inside)
        });
        if status.state == DataState::Modified && status.changes.is_empty() {
            status.state = DataState::Unchanged;
        }
    }

    fn has_stage(&self, name: &str) -> bool {
        self.all || self.stages.contains(name)
    }
}
