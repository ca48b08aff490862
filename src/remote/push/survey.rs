//! What the remote holds already, as far as a push needs to know.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::fs;
use crate::hash::{PackId, RootsKey, SnapshotId};
use crate::pack::PackKind;

use super::super::Result;
use super::super::catalog::Catalog;
use super::super::gc::log::Log;
use super::super::segment::PackEntries;
use super::super::snapshot::{PackRef, Roots, Snapshot};
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
}

impl Survey {
    /// Looks at a remote that is not empty. What the log condemns counts as gone.
    pub(super) fn take(task: &Task<'_>, spool: &Spool, log: &Log) -> Result<Self> {
        let link = task.link;
        let mut packs = link.packs()?;
        packs.retain(|pack, _| !log.condemns(*pack) && !task.options.distrusted.contains(pack));
        let there = |id: PackId, size: u64| packs.get(&id) == Some(&size);
        let mut bases = link.snapshots_of(keys(task), log)?;
        bases.retain(|base| base.packs.iter().all(|pack| there(pack.id, pack.size)));
        let mut unindexed = spool.notes()?;
        unindexed.retain(|pack| there(pack.id, pack.size));
        let mut held = Catalog::default();
        held.extend(unindexed.iter().cloned());
        let mut survey = Self {
            recent: recent(task, &bases),
            read_segments: false,
            bases,
            held,
            unindexed,
            packs,
        };
        if survey.bases.is_empty() {
            survey.read_segments(task)?;
        }
        Ok(survey)
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
pub(super) fn plan(task: &Task<'_>, mut survey: Survey) -> Result<(Survey, Plan)> {
    let mut plan = Plan::make(task, &survey.bases, &survey.held)?;
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

/// The keys of the wanted locks, then of those that may serve as bases.
fn keys(task: &Task<'_>) -> Vec<RootsKey> {
    let wanted = task.wanted.iter().map(|lock| &lock.roots);
    let bases = task.options.bases.iter().take(MAX_BASES);
    let mut seen = BTreeMap::new();
    let keys = wanted.chain(bases).map(|roots| Roots::new(roots).key());
    keys.filter(|key| seen.insert(*key, ()).is_none()).collect()
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
