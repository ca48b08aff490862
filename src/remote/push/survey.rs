//! What the remote holds already, as far as a push needs to know.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::fs;
use crate::hash::{PackId, RootsKey, SnapshotId};
use crate::pack::PackKind;

use super::super::catalog::Catalog;
use super::super::gc::log::Log;
use super::super::reads::cost;
use super::super::segment::PackEntries;
use super::super::snapshot::{PackRef, Roots, Snapshot};
use super::super::{Result, Root};
use super::Task;
use super::plan::Plan;
use super::spool::Spool;

/// How many older locks are looked for.
const MAX_BASES: usize = 32;
/// A pack below this length is small.
const SMALL_PACK: u64 = 8 << 20;
/// So many small packs may stand in a snapshot before a push folds them into its own.
const MAX_SMALL_PACKS: usize = 32;
const DAY_NANOS: u64 = 24 * 60 * 60 * 1_000_000_000;

/// A snapshot that need not be written again.
#[derive(Clone)]
pub(super) struct Recent {
    pub(super) id: SnapshotId,
    pub(super) packs: BTreeSet<PackId>,
}

/// What the remote holds.
#[derive(Default)]
pub(super) struct Survey {
    /// What this project wrote a snapshot of within a day: the key, and the commit it belongs to.
    pub(super) recent: BTreeMap<(RootsKey, [u8; 32]), Recent>,
    /// Snapshots whose packs are all there, those of the wanted locks first, then newest first.
    pub(super) bases: Vec<Snapshot>,
    /// Objects that are there one by one: nothing is said about what is below them.
    pub(super) held: Catalog,
    /// Packs that an earlier push sent and no segment lists.
    pub(super) unindexed: Vec<PackEntries>,
    packs: HashMap<PackId, u64>,
    read_segments: bool,
    /// Older locks that were not asked for.
    older: Vec<RootsKey>,
}

impl Survey {
    /// Looks at a remote that is not empty. What the log condemns counts as gone.
    pub(super) fn take(task: &Task<'_>, spool: &Spool, log: &Log) -> Result<Self> {
        let link = task.link;
        let mut packs = link.packs()?;
        packs.retain(|pack, _| !log.condemns(*pack) && !task.options.distrusted.contains(pack));
        let mut unindexed = spool.notes()?;
        unindexed.retain(|pack| packs.get(&pack.id) == Some(&pack.size));
        let mut held = Catalog::default();
        held.extend(unindexed.iter().cloned());
        let (wanted, older) = keys(task);
        let mut survey = Self {
            held,
            unindexed,
            packs,
            older,
            ..Self::default()
        };
        survey.ask_for(task, wanted, log)?;
        survey.recent = recent(task, &survey.bases);
        survey.find_base(task, log)?;
        if survey.bases.is_empty() {
            survey.read_segments(task)?;
        }
        Ok(survey)
    }

    /// Asks for older locks, the newest alone at first, until one of them was pushed.
    fn find_base(&mut self, task: &Task<'_>, log: &Log) -> Result<()> {
        let mut count = 1;
        while self.bases.is_empty() && !self.older.is_empty() {
            let rest = self.older.split_off(count.min(self.older.len()));
            let some = std::mem::replace(&mut self.older, rest);
            self.ask_for(task, some, log)?;
            count *= 4;
        }
        Ok(())
    }

    /// Takes the snapshots of these keys as bases, if all their packs are there.
    fn ask_for(&mut self, task: &Task<'_>, keys: Vec<RootsKey>, log: &Log) -> Result<()> {
        let mut found = task.link.snapshots_of(keys, log)?;
        let there = |pack: &PackRef| self.packs.get(&pack.id) == Some(&pack.size);
        found.retain(|base| base.packs.iter().all(there));
        self.bases.extend(found);
        Ok(())
    }

    /// Whether what the other older locks may hold of a plan's content is worth asking for them.
    fn is_worth_asking(&self, plan: &Plan) -> bool {
        // Their names, and what they say.
        let requests = self.older.iter().flat_map(|_| [0, 0]);
        !self.older.is_empty() && (!plan.missing.is_empty() || plan.bytes > cost(requests))
    }

    /// The same, and every object that is there one by one.
    pub(super) fn take_all(task: &Task<'_>, spool: &Spool, log: &Log) -> Result<Self> {
        let mut survey = Self::take(task, spool, log)?;
        if !survey.read_segments {
            survey.read_segments(task)?;
        }
        Ok(survey)
    }

    /// Reads the index segments, as far as the packs that they list are there.
    fn read_segments(&mut self, task: &Task<'_>) -> Result<()> {
        self.read_segments = true;
        let mut listed = task.link.segments()?;
        listed.retain(|pack| self.packs.get(&pack.id) == Some(&pack.size));
        let indexed: BTreeSet<PackId> = listed.iter().map(|pack| pack.id).collect();
        self.unindexed.retain(|pack| !indexed.contains(&pack.id));
        self.held.extend(listed);
        Ok(())
    }

    /// Reads the indexes of packs, so that what they hold is known one by one.
    fn read_indexes(&mut self, task: &Task<'_>, packs: Vec<PackRef>) -> Result<()> {
        self.held.extend(task.link.entries(packs)?);
        Ok(())
    }
}

/// Plans, and learns more of the remote where the plan needs it. A large file that changed is
/// looked up chunk by chunk, for which the indexes of the bases' packs are read.
pub(super) fn plan(task: &Task<'_>, mut survey: Survey, log: &Log) -> Result<(Survey, Plan)> {
    let mut plan = Plan::make(task, &survey.bases, &survey.held)?;
    if survey.is_worth_asking(&plan) {
        let older = std::mem::take(&mut survey.older);
        survey.ask_for(task, older, log)?;
        plan = Plan::make(task, &survey.bases, &survey.held)?;
    }
    let is_used = !survey.packs.is_empty();
    if is_used && !plan.missing.is_empty() && !survey.read_segments {
        survey.read_segments(task)?;
        plan = Plan::make(task, &survey.bases, &survey.held)?;
    }
    if let Some(folded) = fold(task, &survey, &plan)? {
        return Ok(folded);
    }
    if !plan.large.is_empty() {
        let packs = survey.bases.iter().flat_map(|base| &base.packs);
        let unread = packs
            .filter(|pack| !matches!(pack.kind, PackKind::Blobs) && !survey.held.knows(pack.id));
        // Bases share most of their packs.
        let unread: BTreeMap<_, _> = unread.map(|pack| (pack.id, pack.clone())).collect();
        survey.read_indexes(task, unread.into_values().collect())?;
    }
    Ok((survey, plan))
}

/// When a snapshot would list too many small packs, plans to send their content again, together:
/// so lists stay short although nothing is ever removed here. Only if the store has all of it.
fn fold(task: &Task<'_>, survey: &Survey, plan: &Plan) -> Result<Option<(Survey, Plan)>> {
    let (small, others): (Vec<_>, Vec<_>) = plan
        .packs
        .values()
        .cloned()
        .partition(|pack| pack.size < SMALL_PACK);
    if small.len() <= MAX_SMALL_PACKS || plan.is_empty() {
        return Ok(None);
    }
    let mut folded = Survey {
        recent: survey.recent.clone(),
        unindexed: survey.unindexed.clone(),
        packs: survey.packs.clone(),
        read_segments: true,
        ..Survey::default()
    };
    // What a push that died sent already, while it folded too, is not sent once more.
    folded.held.extend(survey.unindexed.iter().cloned());
    folded.read_indexes(task, others)?;
    let mut again = Plan::make(task, &folded.bases, &folded.held)?;
    if !again.missing.is_empty() {
        return Ok(None);
    }
    // What is only sent once more is not new.
    (again.files, again.bytes) = (plan.files, plan.bytes);
    Ok(Some((folded, again)))
}

/// The keys of the wanted locks, and of those that may serve as bases.
fn keys(task: &Task<'_>) -> (Vec<RootsKey>, Vec<RootsKey>) {
    let mut seen = HashSet::new();
    let mut new = |roots: &[Root]| Some(Roots::new(roots).key()).filter(|key| seen.insert(*key));
    let wanted = task.wanted.iter().filter_map(|lock| new(&lock.roots));
    let wanted: Vec<RootsKey> = wanted.collect();
    let bases = task.options.bases.iter().take(MAX_BASES);
    (wanted, bases.filter_map(|roots| new(roots)).collect())
}

/// A snapshot goes when nobody remembers its commit any more, so it stands in for those of the same
/// commit alone, although its data would do for all.
fn recent(task: &Task<'_>, bases: &[Snapshot]) -> BTreeMap<(RootsKey, [u8; 32]), Recent> {
    let now = fs::now_nanos();
    let own = bases.iter().filter(|base| {
        base.project == task.options.project && now.abs_diff(base.created) < DAY_NANOS
    });
    let recent = own.map(|base| {
        let packs = base.packs.iter().map(|pack| pack.id).collect();
        let id = base.encode().0;
        ((base.roots.key(), base.commit), Recent { id, packs })
    });
    recent.collect()
}
