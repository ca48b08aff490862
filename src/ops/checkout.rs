//! `checkout`: puts recorded data into the workspace, and never over bytes saved nowhere.

use std::collections::{BTreeMap, BTreeSet};

use super::content::{self, Missing, stored};
use super::routes::is_asked_for;
use super::selection::Selection;
use super::{Error, Result, Site, World, links};
use crate::hash::{BlobId, TreeId};
use crate::path::RelPath;
use crate::project::{Lock, Recorded};
use crate::tree::{Entry, Tree};
use crate::workspace::{self, CheckoutPlan, Index, Park, Placed, PlacedItem, Rules};

pub use crate::workspace::Relinked;

/// What to check out.
#[derive(Clone, Debug, Default)]
pub struct CheckoutOptions {
    /// Paths as typed; none: all.
    pub paths: Vec<String>,
    /// The commit whose record is wanted; none: the lock on disk.
    pub rev: Option<String>,
    /// Park what is in the way instead of refusing.
    pub force: bool,
    /// Also give unchanged files the kind of link that this clone prefers.
    pub relink: bool,
}

/// What a checkout did.
#[derive(Debug, Default, serde::Serialize)]
pub struct CheckoutReport {
    /// The commit whose record was taken, shortened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rev: Option<String>,
    /// Tracked paths and outputs of which something was written or removed.
    pub switched: Vec<RelPath>,
    /// Files written.
    pub written: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files removed.
    pub removed: u64,
    /// Paths parked because of `force`, and where.
    pub parked: Vec<RelPath>,
    /// Where they were parked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub park: Option<String>,
    /// Files that neither side knows, left as they are.
    pub left: Vec<RelPath>,
    /// What the store does not have, and somebody asked for (see `pull = false`).
    pub missing: Vec<Missing>,
    /// What relinking did, if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relinked: Option<Relinked>,
}

/// Checks out what a person asked for.
pub fn checkout(world: &World<'_>, options: &CheckoutOptions) -> Result<CheckoutReport> {
    let site = Site::open(world)?;
    let _guard = site.guard()?;
    let rev = options
        .rev
        .as_deref()
        .map(|name| site.git.rev(name))
        .transpose()?;
    let lock = match &rev {
        Some(rev) => site.lock_at(rev)?,
        None => site.lock()?,
    };
    let selection = Selection::of(site.stored_paths(&lock, &options.paths)?);
    let mut report = switch(&site, &lock, &selection, options.force)?;
    report.rev = rev.map(|rev| rev.short().to_owned());
    if options.relink {
        report.relinked = Some(relink(&site, &lock, &selection)?);
    }
    Ok(report)
}

/// Relinks all files at the targets that hold what is recorded.
fn relink(site: &Site<'_>, lock: &Lock, selection: &Selection) -> Result<Relinked> {
    let mut index = site.index();
    let mut files = Vec::new();
    for (root, recorded) in stored(lock) {
        files.extend(content::entries(&site.store, &root, recorded)?.unwrap_or_default());
    }
    files.retain(|(path, _)| selection.has(path));
    // What is about to be all that is left of a file must be safe on disk.
    site.store.flush()?;
    let relinked = links::relink_all(site, &mut index, &files)?;
    let _ = index.save(&site.layout.index());
    Ok(relinked)
}

/// Makes the workspace hold what is selected of what a lock records. The caller holds the guard.
pub(super) fn switch(
    site: &Site<'_>,
    lock: &Lock,
    selection: &Selection,
    force: bool,
) -> Result<CheckoutReport> {
    let mut index = site.index();
    let mut placed = Placed::load(&site.layout.placed())?;
    let mut sides = gather(site, lock, selection, &placed, &mut index)?;
    let saved = |id: BlobId| site.store.has(id);
    let plan = workspace::plan(&sides.wanted, &sides.actual, &sides.placed, &saved);
    if !plan.refuse.is_empty() && !force {
        return Err(Error::Refused(plan.refuse));
    }
    if force {
        super::undo::expire_old(site)?;
    }
    workspace::check_checkout(&plan, &sides.actual, &site.layout.root, &site.store)?;
    sides.forget_compared(&plan);
    let park = force.then(|| Park::new(&site.layout.park(), "checkout"));
    let applied = workspace::apply(
        &plan,
        &site.layout.root,
        &site.store,
        &mut index,
        park.as_ref(),
        site.world.progress,
        site.world.interrupt,
    );
    // Also after a failure: what was written need not be read again by the next try.
    let _ = index.save(&site.layout.index());
    let applied = applied?;
    update_placed(site, &mut placed, &sides, &plan)?;
    placed.save(&site.layout.placed())?;
    let mut missing = sides.missing_trees;
    missing.extend(plan.missing.iter().map(|(path, id)| Missing {
        path: path.clone(),
        hash: format!("b3:{id}"),
    }));
    missing.retain(|missing| is_asked_for(site, &missing.path, &selection.targets));
    let parked_at = park.filter(|_| !applied.parked.is_empty());
    Ok(CheckoutReport {
        rev: None,
        switched: touched_roots(&plan, &sides.roots),
        written: applied.written,
        bytes: applied.bytes,
        removed: applied.removed,
        parked: applied.parked,
        park: parked_at.map(|park| park.dir.display().to_string()),
        left: plan.left,
        missing,
        relinked: None,
    })
}

/// The three sides of a checkout, as far as they are selected, and what they come from.
struct Sides<'a> {
    /// Every tracked path of either side.
    roots: Vec<RelPath>,
    /// The tracked paths that are wanted, as they are recorded.
    wanted_roots: BTreeMap<RelPath, Recorded>,
    selection: &'a Selection,
    wanted: Tree,
    actual: Tree,
    placed: Tree,
    /// What was placed, outside the selection and the roots too, if there is any of that.
    placed_everywhere: Tree,
    /// What was placed of what the store has lost: it has been here.
    lost: Vec<(RelPath, Entry)>,
    /// Directories whose listing the store does not have.
    missing_trees: Vec<Missing>,
}

impl Sides<'_> {
    /// Lets go of what has served: with a million files each side takes a hundred megabytes, and
    /// the act needs them for itself.
    fn forget_compared(&mut self, plan: &CheckoutPlan) {
        let missing = plan.missing.iter().map(|(path, _)| path);
        let lost = missing.filter_map(|path| Some((path.clone(), self.placed.get(path)?.clone())));
        self.lost = lost.collect();
        self.actual = Tree::default();
        self.placed = Tree::default();
        if self.all_lies_there(plan) {
            self.wanted = Tree::default();
        }
    }

    /// Whether the workspace will hold all that is recorded, so that the records say it.
    fn all_lies_there(&self, plan: &CheckoutPlan) -> bool {
        self.selection.is_everything() && plan.missing.is_empty()
    }
}

fn gather<'a>(
    site: &Site<'_>,
    lock: &Lock,
    selection: &'a Selection,
    placed: &Placed,
    index: &mut Index,
) -> Result<Sides<'a>> {
    let chosen = |root: &RelPath| selection.touches(root);
    let mut wanted = Vec::new();
    let mut wanted_roots = BTreeMap::new();
    let mut missing_trees = Vec::new();
    let recorded = stored(lock);
    for (root, recorded) in &recorded {
        if !chosen(root) {
            continue;
        }
        match content::entries(&site.store, root, recorded)? {
            Some(entries) => {
                wanted.push(entries);
                wanted_roots.insert(root.clone(), (*recorded).clone());
            }
            None => missing_trees.push(Missing {
                path: root.clone(),
                hash: recorded.hash.to_string(),
            }),
        }
    }
    let unknown = |root: &RelPath| {
        missing_trees
            .iter()
            .any(|missing| missing.path.overlaps(root))
    };
    let mut roots: Vec<RelPath> = placed
        .paths
        .keys()
        .filter(|root| chosen(root))
        .cloned()
        .collect();
    roots.extend(wanted_roots.keys().cloned());
    roots.retain(|root| !unknown(root));
    roots.sort();
    roots.dedup();
    let mut actual = Vec::new();
    let mut scanner = site.scanner(index);
    for root in outermost(&roots) {
        let found = scanner.scan(root, Rules::Data)?;
        let record = recorded.get(root).copied();
        actual.push(content::found_entries(&mut scanner, root, &found)?);
        links::take_out_edited(site, scanner.index, root, &found, record, placed)?;
    }
    let (placed_here, placed_everywhere) = placed_sides(site, placed, &roots, selection)?;
    Ok(Sides {
        wanted: selection.restrict(Tree::new(joined(wanted))?)?,
        actual: selection.restrict(Tree::new(joined(actual))?)?,
        placed: selection.restrict(placed_here)?,
        selection,
        roots,
        wanted_roots,
        placed_everywhere,
        lost: Vec::new(),
        missing_trees,
    })
}

/// What was placed at some paths, and everywhere; none of the latter if that is no more.
fn placed_sides(
    site: &Site<'_>,
    placed: &Placed,
    roots: &[RelPath],
    selection: &Selection,
) -> Result<(Tree, Tree)> {
    let all = placed.to_tree(&site.store)?;
    let is_known = |path: &RelPath| roots.iter().any(|root| path.starts_with(root));
    if selection.is_everything() && placed.paths.keys().all(is_known) {
        return Ok((all, Tree::default()));
    }
    let here = all.iter().filter(|(path, _)| is_known(path));
    let here = here.map(|(path, entry)| (path.clone(), entry.clone()));
    Ok((Tree::new(here.collect())?, all))
}

/// The paths that lie below no other of a sorted list.
fn outermost(roots: &[RelPath]) -> Vec<&RelPath> {
    let mut kept: Vec<&RelPath> = Vec::new();
    for root in roots {
        if !kept.iter().any(|outer| root.starts_with(outer)) {
            kept.push(root);
        }
    }
    kept
}

/// Records what lies in the workspace now as the baseline of the next checkout: the wanted
/// entries that could be had of what is selected, those that were lost since they were placed, and
/// what was placed before of the rest.
fn update_placed(
    site: &Site<'_>,
    placed: &mut Placed,
    sides: &Sides<'_>,
    plan: &CheckoutPlan,
) -> Result<()> {
    if sides.all_lies_there(plan) {
        // All that is recorded lies there, by the trees that were read.
        for root in &sides.roots {
            match sides.wanted_roots.get(root).and_then(recorded_item) {
                Some(item) => placed.paths.insert(root.clone(), item),
                None => placed.paths.remove(root),
            };
        }
        return Ok(());
    }
    let absent: BTreeSet<&RelPath> = plan.missing.iter().map(|(path, _)| path).collect();
    let wanted = sides
        .wanted
        .iter()
        .filter(|(path, _)| !absent.contains(path));
    let before = sides
        .placed_everywhere
        .iter()
        .filter(|(path, _)| !sides.selection.has(path));
    let after: Vec<(RelPath, Entry)> = wanted
        .chain(before)
        .map(|(path, entry)| (path.clone(), entry.clone()))
        .chain(sides.lost.iter().cloned())
        .collect();
    for root in &sides.roots {
        let below = after.iter().filter(|(path, _)| path.starts_with(root));
        let below: Vec<(RelPath, Entry)> = below.cloned().collect();
        match placed_item(site, root, sides.wanted_roots.get(root), below)? {
            Some(item) => placed.paths.insert(root.clone(), item),
            None => placed.paths.remove(root),
        };
    }
    Ok(())
}

/// What is recorded, as it is placed.
fn recorded_item(recorded: &Recorded) -> Option<PlacedItem> {
    let digest = recorded.hash.digest()?;
    Some(match recorded.files {
        Some(_) => PlacedItem::Dir(TreeId(digest)),
        None => PlacedItem::File {
            id: BlobId(digest),
            size: recorded.size,
            exec: recorded.exec,
        },
    })
}

/// Lists put behind one another; a single one stays as it is.
fn joined(lists: Vec<Vec<(RelPath, Entry)>>) -> Vec<(RelPath, Entry)> {
    let mut lists = lists.into_iter();
    let mut all = lists.next().unwrap_or_default();
    lists.for_each(|mut list| all.append(&mut list));
    all
}

fn placed_item(
    site: &Site<'_>,
    root: &RelPath,
    wanted: Option<&Recorded>,
    entries: Vec<(RelPath, Entry)>,
) -> Result<Option<PlacedItem>> {
    if let [(path, Entry::File { id, size, exec })] = &entries[..]
        && path == root
    {
        let (id, size, exec) = (*id, *size, *exec);
        return Ok(Some(PlacedItem::File { id, size, exec }));
    }
    if entries.is_empty() && wanted.is_none_or(|wanted| wanted.files.is_none()) {
        return Ok(None);
    }
    let below = entries
        .into_iter()
        .filter_map(|(path, entry)| Some((path.strip_prefix(root)?, entry)));
    let tree = Tree::new(below.collect())?;
    Ok(Some(PlacedItem::Dir(workspace::write_tree(
        &site.store,
        &tree,
    )?)))
}

fn touched_roots(plan: &CheckoutPlan, roots: &[RelPath]) -> Vec<RelPath> {
    let written = plan
        .create
        .iter()
        .chain(&plan.replace)
        .map(|(path, _)| path);
    let refused = plan.refuse.iter().map(|refusal| &refusal.path);
    let touched: Vec<&RelPath> = written.chain(&plan.remove).chain(refused).collect();
    let hit = |root: &&RelPath| touched.iter().any(|path| path.starts_with(root));
    roots.iter().filter(hit).cloned().collect()
}
