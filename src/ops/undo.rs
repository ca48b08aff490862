//! `undo`: lists what was moved out of the way, and puts it back.

use super::{Error, Result, Site, World};
use crate::fs;
use crate::path::RelPath;
use crate::workspace::{self, Found, Index, Park, ParkedAct, Rules};

/// How long parked bytes are kept, in days.
pub const KEPT_DAYS: u64 = 14;

const DAY: u64 = 24 * 60 * 60 * 1_000_000_000;

/// What lies in the park.
#[derive(Debug, serde::Serialize)]
pub struct ParkReport {
    /// Newest first.
    pub acts: Vec<ActReport>,
    /// Days until it is removed for good.
    pub kept_days: u64,
}

/// All that one act parked.
#[derive(Debug, serde::Serialize)]
pub struct ActReport {
    /// Its place in the list; 1 is the newest.
    pub number: usize,
    /// Its name, which stays when newer ones come.
    pub id: String,
    /// The verb that parked it.
    pub verb: String,
    /// Seconds since 1970.
    pub time: u64,
    /// Seconds since then.
    pub seconds_ago: u64,
    /// Bytes in all.
    pub size: u64,
    /// What it parked.
    pub paths: Vec<ParkedReport>,
}

/// One parked file, link or empty directory.
#[derive(Debug, serde::Serialize)]
pub struct ParkedReport {
    /// Where it was.
    pub path: RelPath,
    /// Its bytes.
    pub size: u64,
}

/// Which act to take back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhichAct {
    /// The newest.
    Last,
    /// By its place in the list, or its name.
    Named(String),
}

/// What was put back.
#[derive(Debug, serde::Serialize)]
pub struct UndoReport {
    /// The act that was taken back.
    pub id: String,
    /// Its verb.
    pub verb: String,
    /// Paths that are where they were.
    pub restored: Vec<RelPath>,
    /// Paths that were there and were saved nowhere: parked in turn.
    pub parked: Vec<RelPath>,
}

/// What was removed for good.
#[derive(Debug, serde::Serialize)]
pub struct ExpireReport {
    /// How many acts.
    pub acts: usize,
    /// Their bytes.
    pub size: u64,
}

/// Lists the park.
pub fn parked(world: &World<'_>) -> Result<ParkReport> {
    let site = Site::open(world)?;
    let now = fs::now_nanos();
    let acts = workspace::parked_acts(&site.layout.park())?;
    let acts = acts.into_iter().enumerate();
    Ok(ParkReport {
        acts: acts.map(|(at, act)| report(at + 1, act, now)).collect(),
        kept_days: KEPT_DAYS,
    })
}

/// Puts back what one act parked, all of it or some paths. What is in the way is parked in turn,
/// unless the store has it.
pub fn undo(world: &World<'_>, which: &WhichAct, typed: &[String]) -> Result<UndoReport> {
    let site = Site::open(world)?;
    let _guard = site.guard()?;
    let act = find(&site, which)?;
    let wanted = choose(&site, &act, typed)?;
    refuse_links(&site, &wanted)?;
    let mut index = site.index();
    let park = Park::new(&site.layout.park(), "undo");
    let mut report = UndoReport {
        id: act.id.clone(),
        verb: act.verb.clone(),
        restored: Vec::new(),
        parked: Vec::new(),
    };
    for path in wanted {
        site.check_interrupt()?;
        clear(&site, &mut index, &park, &path, &mut report.parked)?;
        index.forget(path.as_str());
        act.restore(&site.layout.root, &path)?;
        report.restored.push(path);
    }
    let _ = index.save(&site.layout.index());
    Ok(report)
}

/// Removes what is older than it is kept. The caller holds the guard: nothing that a run has
/// moved aside and still needs is in the park then.
pub(super) fn expire_old(site: &Site<'_>) -> Result<ExpireReport> {
    let before = fs::now_nanos().saturating_sub(KEPT_DAYS * DAY);
    let expired = workspace::expire_parked(&site.layout.park(), before)?;
    Ok(ExpireReport {
        acts: expired.len(),
        size: expired.iter().map(size).sum(),
    })
}

/// Removes what is older than it is kept, now.
pub fn expire(world: &World<'_>) -> Result<ExpireReport> {
    let site = Site::open(world)?;
    let _guard = site.guard_without_store()?;
    expire_old(&site)
}

fn report(number: usize, act: ParkedAct, now: u64) -> ActReport {
    const SECOND: u64 = 1_000_000_000;
    ActReport {
        number,
        size: size(&act),
        time: act.nanos / SECOND,
        seconds_ago: now.saturating_sub(act.nanos) / SECOND,
        paths: act
            .paths
            .iter()
            .map(|(path, size)| ParkedReport {
                path: path.clone(),
                size: *size,
            })
            .collect(),
        id: act.id,
        verb: act.verb,
    }
}

fn size(act: &ParkedAct) -> u64 {
    act.paths.iter().map(|(_, size)| size).sum()
}

fn find(site: &Site<'_>, which: &WhichAct) -> Result<ParkedAct> {
    let mut acts = workspace::parked_acts(&site.layout.park())?;
    let at = match which {
        WhichAct::Last => 0,
        WhichAct::Named(text) => {
            let named = acts.iter().position(|act| act.id == *text);
            let number = text.parse::<usize>().ok();
            let number = number.and_then(|number| number.checked_sub(1));
            let at = named.or(number.filter(|at| *at < acts.len()));
            at.ok_or_else(|| Error::NoSuchAct(text.clone()))?
        }
    };
    match at < acts.len() {
        true => Ok(acts.swap_remove(at)),
        false => Err(Error::NothingParked),
    }
}

fn choose(site: &Site<'_>, act: &ParkedAct, typed: &[String]) -> Result<Vec<RelPath>> {
    let all = || act.paths.iter().map(|(path, _)| path.clone());
    if typed.is_empty() {
        return Ok(all().collect());
    }
    let mut chosen = Vec::new();
    for text in typed {
        let path = site.path(text)?;
        let below: Vec<RelPath> = all().filter(|at| at.starts_with(&path)).collect();
        if below.is_empty() {
            return Err(Error::NotParked(path));
        }
        chosen.extend(below);
    }
    chosen.sort();
    chosen.dedup();
    Ok(chosen)
}

/// Nothing is removed, parked or put back through a link.
fn refuse_links(site: &Site<'_>, paths: &[RelPath]) -> Result<()> {
    for dir in paths.iter().flat_map(RelPath::ancestors) {
        let stat = fs::metadata(&dir.to_path(&site.layout.root))?;
        if stat.is_some_and(|stat| stat.is_symlink()) {
            return Err(workspace::Error::LinkedParent(dir).into());
        }
    }
    Ok(())
}

/// Frees the place of a path: what the store has may go, all else is parked.
fn clear(
    site: &Site<'_>,
    index: &mut Index,
    park: &Park,
    path: &RelPath,
    parked: &mut Vec<RelPath>,
) -> Result<()> {
    let root = &site.layout.root;
    let mut above: Vec<RelPath> = path.ancestors().collect();
    above.reverse();
    for dir in above {
        let stat = fs::metadata(&dir.to_path(root))?;
        if stat.is_some_and(|stat| stat.is_file()) && park.park(root, &dir)?.is_some() {
            index.forget(dir.as_str());
            parked.push(dir);
        }
    }
    let at = path.to_path(root);
    let Some(stat) = fs::metadata(&at)? else {
        return Ok(());
    };
    let saved = match stat.is_file() {
        true => match site.scanner(index).scan(path, Rules::Data)? {
            Found::File { id, .. } => site.store.has(id),
            Found::Missing | Found::Dir(_) => false,
        },
        false => false,
    };
    if saved {
        return Ok(fs::remove_file(&at)?);
    }
    let is_empty = stat.is_dir() && fs::remove_dir_if_empty(&at)?;
    if !is_empty && park.park(root, path)?.is_some() {
        parked.push(path.clone());
    }
    Ok(())
}
