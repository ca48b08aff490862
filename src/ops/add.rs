//! `add`: takes files and directories into the store and records them.

use std::collections::{BTreeMap, BTreeSet};

use super::content::{found_entries, recorded_dir, to_placed, to_recorded, write_nodes};
use super::push::is_zero;
use super::{
    EditedReport, Error, Result, Site, World, check_ignore, did_you_mean, globs, init, links,
    partial, reshape,
};
use crate::fs::{self, LinkKind};
use crate::hash::TreeId;
use crate::path::RelPath;
use crate::pipeline::Graph;
use crate::project::{Lock, Recorded};
use crate::store::Taken;
use crate::tree::{self, Entry, Outline, Updated};
use crate::workspace::{self, Found, IgnoreRules, Index, Placed, PlacedItem, Rules};

/// What to add.
#[derive(Clone, Debug, Default)]
pub struct AddOptions {
    /// Paths as typed, or patterns that the shell left alone.
    pub paths: Vec<String>,
    /// Read every file, also where its stat says that it is unchanged.
    pub force: bool,
    /// Say what would be recorded, and write nothing.
    pub dry_run: bool,
}

/// What `add` did.
#[derive(Debug, serde::Serialize)]
pub struct AddReport {
    /// Every path that was named, or the tracked directory it lies in.
    pub paths: Vec<Added>,
    /// Bytes that the store took in, by how.
    pub stored: Taken,
    /// How many of the files are links to objects now, by kind.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub links: BTreeMap<LinkKind, u64>,
    /// Objects that were edited in place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub edited: Vec<EditedReport>,
    /// Whether nothing was written, because it was asked what would be.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// One path that was added.
#[derive(Debug, serde::Serialize)]
pub struct Added {
    /// The path.
    pub path: RelPath,
    /// Its id now.
    pub hash: String,
    /// Bytes in all.
    pub size: u64,
    /// How many files, for a directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
    /// How that differs from what was recorded.
    pub change: AddChange,
    /// How many files of a directory stay recorded although they are not here: they were never put
    /// into this workspace.
    #[serde(skip_serializing_if = "is_zero")]
    pub not_here: u64,
    /// Whether git cannot be told to ignore it, because its name holds a line end.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub not_ignored: bool,
    /// Names that Windows cannot hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_for_windows: Vec<RelPath>,
}

/// How a path's record changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AddChange {
    /// It was not tracked.
    Added,
    /// It was, with other content.
    Modified,
    /// It was, with this content.
    Unchanged,
}

/// Adds paths.
pub fn add(world: &World<'_>, options: &AddOptions) -> Result<AddReport> {
    let site = Site::open(world)?;
    let _guard = site.guard()?;
    let mut lock = site.lock()?;
    let graph = site.graph(&lock)?;
    let mut paths = Vec::new();
    let recorded = |path: &RelPath| {
        let found = reshape::look(&lock.data, &site.store, path);
        found.is_ok_and(|found| found.is_some())
    };
    for text in &options.paths {
        for path in globs::expand(&site, text, recorded)? {
            check(&site, &lock, &graph, &path)?;
            paths.push(path);
        }
    }
    paths.sort();
    paths.dedup();
    let mut work = Work {
        index: site.index(),
        placed: Placed::load(&site.layout.placed())?,
        site: &site,
        dry_run: options.dry_run,
        files: Vec::new(),
        edited: Vec::new(),
    };
    if options.force {
        for path in &paths {
            work.index.forget(path.as_str());
        }
    }
    let mut report = AddReport {
        paths: work.add(&mut lock, &paths)?,
        stored: Taken::default(),
        links: BTreeMap::new(),
        edited: Vec::new(),
        dry_run: options.dry_run,
    };
    if options.dry_run {
        let _ = work.index.save(&site.layout.index());
        return Ok(report);
    }
    site.save(&lock)?;
    work.placed.save(&site.layout.placed())?;
    report.links = links::relink(&site, &mut work.index, &work.files)?.links;
    let _ = work.index.save(&site.layout.index());
    site.tend_store();
    report.stored = site.store.taken();
    report.edited = work.edited;
    Ok(report)
}

/// Records what is on disk at a tracked path; also for `commit`.
pub(super) struct Work<'s> {
    pub(super) site: &'s Site<'s>,
    pub(super) index: Index,
    pub(super) placed: Placed,
    /// Look, and write nothing.
    pub(super) dry_run: bool,
    /// What was found on disk and stored.
    pub(super) files: Vec<(RelPath, Entry)>,
    /// Objects that turned out to be edited in place.
    pub(super) edited: Vec<EditedReport>,
}

impl Work<'_> {
    /// Adds paths. All that lie in one tracked directory are worked into it at once.
    pub(super) fn add(&mut self, lock: &mut Lock, paths: &[RelPath]) -> Result<Vec<Added>> {
        let mut added = Vec::new();
        let mut inside: BTreeMap<RelPath, Vec<&RelPath>> = BTreeMap::new();
        for path in paths {
            match reshape::holder(&lock.data, path) {
                Some(root) if root != *path => inside.entry(root).or_default().push(path),
                _ => added.push(self.add_whole(lock, path)?),
            }
        }
        for (root, paths) in inside {
            added.push(self.add_inside(lock, root, &paths)?);
        }
        added.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(added)
    }

    fn add_whole(&mut self, lock: &mut Lock, path: &RelPath) -> Result<Added> {
        let found = self.scan(path)?;
        if found == Found::Missing {
            return Err(self.not_there(path));
        }
        let before = lock.data.get(path);
        let (recorded, not_here) = self.complete(before, path, &found)?;
        let mut misfits = Vec::new();
        let mut scanner = self.site.storing_scanner(&mut self.index);
        match &found {
            Found::Dir(dir) => scanner.each_name(path, dir, |below| {
                if !fits_windows(below) {
                    misfits.extend(RelPath::parse(below).map(|below| path.join(&below)));
                }
            })?,
            _ if !fits_windows(path.as_str()) => misfits.push(path.clone()),
            _ => {}
        }
        if !self.dry_run {
            write_nodes(&mut scanner, path, &found)?;
            self.note_stored(lock.data.get(path), path, &found)?;
            let item = to_placed(&found).map(|item| (path.clone(), item));
            self.placed.paths.extend(item);
        }
        let recorded = recorded.or_else(|| to_recorded(&found));
        let recorded = recorded.expect("a missing path was refused above");
        let added = record(lock, path.clone(), recorded, misfits);
        Ok(Added { not_here, ..added })
    }

    /// What is to be recorded of a directory of which a part was never put here: that part as it was
    /// recorded. `None` if there is no such part; and how many files it has.
    pub(super) fn complete(
        &mut self,
        recorded: Option<&Recorded>,
        path: &RelPath,
        found: &Found,
    ) -> Result<(Option<Recorded>, u64)> {
        let (Some(recorded), Found::Dir(_)) = (recorded, found) else {
            return Ok((None, 0));
        };
        let store = &self.site.store;
        let left_out = partial::left_out(store, path, recorded, &self.placed)?;
        if left_out.is_empty() {
            return Ok((None, 0));
        }
        let entries = found_entries(&mut self.site.scanner(&mut self.index), path, found)?;
        let Some(all) = partial::completed(&entries, left_out) else {
            return Ok((None, 0));
        };
        let (n_files, tree) = (all.n_added, all.into_tree(path)?);
        if !self.dry_run {
            workspace::write_tree(store, &tree)?;
        }
        Ok((Some(recorded_dir(tree.summary())), n_files))
    }

    /// Works paths into the tree of the tracked directory that they lie in, of which the rest need
    /// not be on disk.
    fn add_inside(&mut self, lock: &mut Lock, root: RelPath, paths: &[&RelPath]) -> Result<Added> {
        let site = self.site;
        let tree = reshape::dir_of(&lock.data[&root], &root, paths[0])?;
        let load = |id| workspace::node_of(&site.store, id);
        let mut recorded = Outline::read(tree, load)?;
        let store = &site.store;
        let left_out = partial::left_out(store, &root, &lock.data[&root], &self.placed)?;
        let left_out: BTreeSet<RelPath> = left_out.into_iter().map(|(path, _)| path).collect();
        let mut changes = tree::Changes::new();
        let mut filled = BTreeSet::new();
        for path in paths {
            let new = self.look_inside(&root, path)?;
            let below = path.strip_prefix(&root);
            let below = below.expect("the root is the directory that holds it");
            let mut old = recorded.part(&below)?;
            // What was never put here is not deleted.
            old.retain(|(at, _)| !left_out.contains(&root.join(at)));
            if new.is_empty() && old.is_empty() {
                return Err(self.not_there(path));
            }
            changes.extend(old.into_iter().map(|(at, _)| (at, None)));
            if !new.is_empty() {
                filled.extend(below.ancestors());
            }
            let new = new.into_iter();
            changes
                .extend(new.filter_map(|(at, entry)| Some((at.strip_prefix(&root)?, Some(entry)))));
        }
        // What was an empty directory is one no longer.
        for dir in filled {
            if recorded.get(&dir)? == Some(Entry::EmptyDir) {
                changes.insert(dir, None);
            }
        }
        let updated = tree::update(tree, &changes, load)?;
        self.record_update(lock, (root, tree), &changes, &updated)
    }

    /// What a tracked directory holds at a path. A link there is a link of that directory, and only
    /// a look at the whole of it says whether it leads to something in it.
    fn look_inside(&mut self, root: &RelPath, path: &RelPath) -> Result<Vec<(RelPath, Entry)>> {
        let at = path.to_path(&self.site.layout.root);
        let is_link = fs::metadata(&at)?.is_some_and(|found| found.is_symlink());
        if !is_link || workspace::is_to_object(&at)? {
            let found = self.scan(path)?;
            let entries = found_entries(&mut self.site.scanner(&mut self.index), path, &found)?;
            self.note_stored(None, path, &found)?;
            return Ok(entries);
        }
        let mut scanner = self.site.scanner(&mut self.index);
        let found = scanner.scan(root, Rules::Data)?;
        let all = found_entries(&mut scanner, root, &found)?.into_iter();
        Ok(all.filter(|(at, _)| at.starts_with(path)).collect())
    }

    /// Remembers what was stored, to make links of it later, and what was edited in place.
    fn note_stored(
        &mut self,
        recorded: Option<&Recorded>,
        path: &RelPath,
        found: &Found,
    ) -> Result<()> {
        if self.dry_run {
            return Ok(());
        }
        let Self { site, index, .. } = self;
        let edited = links::take_out_edited(site, index, path, found, recorded, &self.placed)?;
        self.edited.extend(edited);
        if site.store.shares_files() {
            let files = found_entries(&mut site.scanner(index), path, found)?;
            self.files.extend(files);
        }
        Ok(())
    }

    /// What lies in a directory after some changes. If only a part of what was recorded was put
    /// there, it is that part that changes.
    fn update_placed(
        &self,
        recorded: TreeId,
        root: &RelPath,
        changes: &tree::Changes,
        updated: &Updated,
    ) -> Result<TreeId> {
        let store = &self.site.store;
        let placed = match self.placed.paths.get(root) {
            Some(PlacedItem::Dir(placed)) if *placed != recorded => *placed,
            _ => return Ok(updated.summary.root),
        };
        let updated = tree::update(placed, changes, |id| workspace::node_of(store, id))?;
        workspace::put_nodes(store, &updated)?;
        Ok(updated.summary.root)
    }

    fn record_update(
        &mut self,
        lock: &mut Lock,
        (root, tree): (RelPath, TreeId),
        changes: &tree::Changes,
        updated: &Updated,
    ) -> Result<Added> {
        if !self.dry_run {
            workspace::put_nodes(&self.site.store, updated)?;
            let placed = self.update_placed(tree, &root, changes, updated)?;
            self.placed
                .paths
                .insert(root.clone(), PlacedItem::Dir(placed));
        }
        let new = changes.iter().filter(|(_, entry)| entry.is_some());
        let misfits = new.filter(|(at, _)| !fits_windows(at.as_str()));
        let misfits = misfits.map(|(at, _)| root.join(at)).collect();
        Ok(record(lock, root, recorded_dir(updated.summary), misfits))
    }

    fn scan(&mut self, path: &RelPath) -> Result<Found> {
        self.site.check_interrupt()?;
        let mut scanner = match self.dry_run {
            true => self.site.scanner(&mut self.index),
            false => self.site.storing_scanner(&mut self.index),
        };
        Ok(scanner.scan(path, Rules::Data)?)
    }

    fn not_there(&self, path: &RelPath) -> Error {
        let dir = path.parent().map_or_else(
            || self.site.layout.root.clone(),
            |dir| dir.to_path(&self.site.layout.root),
        );
        let names = fs::list_dir(&dir).unwrap_or_default();
        let names: Vec<String> = names
            .iter()
            .filter_map(|name| name.to_str())
            .map(|name| match path.parent() {
                Some(dir) => format!("{dir}/{name}"),
                None => name.to_owned(),
            })
            .collect();
        Error::NotThere {
            path: path.clone(),
            suggestion: did_you_mean(path.as_str(), names.iter().map(String::as_str)),
        }
    }
}

fn record(
    lock: &mut Lock,
    path: RelPath,
    recorded: Recorded,
    not_for_windows: Vec<RelPath>,
) -> Added {
    let change = match lock.data.get(&path) {
        None => AddChange::Added,
        Some(old) if *old == recorded => AddChange::Unchanged,
        Some(_) => AddChange::Modified,
    };
    let added = Added {
        hash: recorded.hash.to_string(),
        size: recorded.size,
        files: recorded.files,
        change,
        not_here: 0,
        not_ignored: !crate::git::can_be_ignored(&path),
        not_for_windows,
        path: path.clone(),
    };
    lock.data.insert(path, recorded);
    added
}

fn check(site: &Site<'_>, lock: &Lock, graph: &Graph, path: &RelPath) -> Result<()> {
    if init::is_own_file(path) {
        return Err(Error::OwnFile(path.clone()));
    }
    site.refuse_nested(path)?;
    let there = fs::metadata(&path.to_path(&site.layout.root))?;
    let is_dir = there.as_ref().is_some_and(fs::Metadata::is_dir);
    let mut rules = IgnoreRules::new(&site.layout.root);
    let excluded = there.map(|_| check_ignore::rule(site, &mut rules, path, |_| is_dir));
    if let Some(rule) = excluded.transpose()?.flatten() {
        let path = path.clone();
        return Err(Error::Ignored { path, rule });
    }
    let outs = graph.stages().values();
    let outs = outs.flat_map(|stage| stage.outs.iter().map(move |out| (out, &stage.name)));
    for (out, stage) in outs {
        if out.overlaps(path) {
            return Err(Error::StageOutput {
                path: path.clone(),
                stage: stage.clone(),
            });
        }
    }
    let below = |tracked: &&RelPath| *tracked != path && tracked.starts_with(path);
    if let Some(tracked) = lock.data.keys().find(below) {
        return Err(Error::HoldsTracked {
            path: path.clone(),
            tracked: tracked.clone(),
        });
    }
    let repo_path = site.repo_path(path.as_str());
    let in_git = repo_path
        .map(|path| site.git.tracked_below(&path))
        .transpose()?;
    match in_git.map_or(0, |files| files.len()) {
        0 => Ok(()),
        files => Err(Error::TrackedByGit {
            path: path.clone(),
            files,
        }),
    }
}

/// Whether Windows can hold a file of this name.
fn fits_windows(path: &str) -> bool {
    const DEVICES: [&str; 22] = [
        "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8",
        "com9", "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
    ];
    path.split('/').all(|name| {
        let stem = name.split('.').next().unwrap_or(name);
        let bad = |c: char| c.is_control() || r#"<>:"\|?*"#.contains(c);
        let ends_badly = name.ends_with([' ', '.']);
        let is_device = matches!(stem.len(), 3 | 4)
            && DEVICES
                .iter()
                .any(|device| stem.eq_ignore_ascii_case(device));
        !name.contains(bad) && !ends_badly && !is_device
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_windows_cannot_hold_are_known() {
        for (name, fits) in [
            ("a/b.csv", true),
            ("a:b", false),
            ("dir/aux.txt", false),
            ("auxiliary", true),
            ("x.", false),
            ("what?", false),
        ] {
            assert_eq!(fits_windows(name), fits, "{name}");
        }
    }
}
