//! `add`: takes files and directories into the store and records them.

use super::content::{found_entries, to_placed, to_recorded};
use super::{Error, Result, Site, World, check_ignore, did_you_mean, globs, init, reshape};
use crate::fs;
use crate::path::RelPath;
use crate::pipeline::Graph;
use crate::project::{Lock, Recorded};
use crate::tree::{Entry, Tree};
use crate::workspace::{self, Found, Index, Placed, Rules};

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
    };
    let mut report = AddReport {
        paths: Vec::new(),
        dry_run: options.dry_run,
    };
    for path in &paths {
        if options.force {
            work.index.forget(path.as_str());
        }
        report.paths.push(work.add_one(&mut lock, path)?);
    }
    if options.dry_run {
        let _ = work.index.save(&site.layout.index());
        return Ok(report);
    }
    site.save(&lock)?;
    work.placed.save(&site.layout.placed())?;
    let _ = work.index.save(&site.layout.index());
    Ok(report)
}

/// Records what is on disk at a tracked path; also for `commit`.
pub(super) struct Work<'s> {
    pub(super) site: &'s Site<'s>,
    pub(super) index: Index,
    pub(super) placed: Placed,
    /// Look, and write nothing.
    pub(super) dry_run: bool,
}

impl Work<'_> {
    pub(super) fn add_one(&mut self, lock: &mut Lock, path: &RelPath) -> Result<Added> {
        self.site.check_interrupt()?;
        let holder = lock
            .data
            .keys()
            .find(|root| path.starts_with(root))
            .cloned();
        let (root, found) = match holder {
            Some(root) if root != *path => {
                let entries = self.look_inside(&root, path)?;
                let found = self.merge_into(&lock.data[&root], &root, path, entries)?;
                (root, found)
            }
            _ => match self.look(path)? {
                Found::Missing => return Err(self.not_there(path)),
                found => (path.clone(), found),
            },
        };
        if self.dry_run {
            return Ok(record(lock, root, &found));
        }
        if let Found::Dir(tree) = &found {
            workspace::write_tree(&self.site.store, tree)?;
        }
        if let Some(item) = to_placed(&self.site.store, &found)? {
            self.placed.paths.insert(root.clone(), item);
        }
        Ok(record(lock, root, &found))
    }

    fn look(&mut self, path: &RelPath) -> Result<Found> {
        let mut scanner = match self.dry_run {
            true => self.site.scanner(&mut self.index),
            false => self.site.storing_scanner(&mut self.index),
        };
        Ok(scanner.scan(path, Rules::Data)?)
    }

    /// What a tracked directory holds at a path. A link there is a link of that directory, and only
    /// a look at the whole of it says whether it leads to something in it.
    fn look_inside(&mut self, root: &RelPath, path: &RelPath) -> Result<Vec<(RelPath, Entry)>> {
        let at = path.to_path(&self.site.layout.root);
        if !fs::metadata(&at)?.is_some_and(|found| found.is_symlink()) {
            let found = self.look(path)?;
            return Ok(found_entries(path, &found));
        }
        let mut scanner = self.site.scanner(&mut self.index);
        let all = found_entries(root, &scanner.scan(root, Rules::Data)?);
        let here = all.into_iter().filter(|(at, _)| at.starts_with(path));
        Ok(here.collect())
    }

    /// The recorded tree of a directory with one path of it replaced by what is on disk; the
    /// rest need not be on disk.
    fn merge_into(
        &self,
        recorded: &Recorded,
        root: &RelPath,
        path: &RelPath,
        found: Vec<(RelPath, Entry)>,
    ) -> Result<Found> {
        let old = super::content::entries(&self.site.store, root, recorded)?;
        let missing = || crate::store::Error::Missing(recorded_node(recorded));
        let old = old.ok_or_else(missing)?;
        if found.is_empty() && !old.iter().any(|(at, _)| at.starts_with(path)) {
            return Err(self.not_there(path));
        }
        let mut entries: Vec<_> = old
            .into_iter()
            .filter(|(at, _)| !at.starts_with(path))
            .collect();
        entries.extend(found);
        let entries = entries
            .into_iter()
            .filter_map(|(at, entry)| Some((at.strip_prefix(root)?, entry)))
            .collect();
        Ok(Found::Dir(Tree::new(entries)?))
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

fn recorded_node(recorded: &Recorded) -> crate::hash::ObjectId {
    let digest = recorded.hash.digest();
    let digest = digest.unwrap_or(crate::hash::Digest::from_bytes([0; 32]));
    crate::hash::TreeId(digest).into()
}

fn record(lock: &mut Lock, path: RelPath, found: &Found) -> Added {
    let recorded = to_recorded(found).expect("a missing path was refused above");
    let change = match lock.data.get(&path) {
        None => AddChange::Added,
        Some(old) if *old == recorded => AddChange::Unchanged,
        Some(_) => AddChange::Modified,
    };
    let names = found_entries(&path, found);
    let names = names.into_iter().map(|(path, _)| path);
    let added = Added {
        hash: recorded.hash.to_string(),
        size: recorded.size,
        files: recorded.files,
        change,
        not_ignored: !crate::git::can_be_ignored(&path),
        not_for_windows: names.filter(|path| !fits_windows(path)).collect(),
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
    let there = fs::metadata(&path.to_path(&site.layout.root))?.is_some();
    let excluded = there.then(|| check_ignore::rule(site, path, false));
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
fn fits_windows(path: &RelPath) -> bool {
    const DEVICES: [&str; 22] = [
        "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8",
        "com9", "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
    ];
    path.components().all(|name| {
        let stem = name.split('.').next().unwrap_or(name).to_ascii_lowercase();
        let bad = |c: char| c.is_control() || r#"<>:"\|?*"#.contains(c);
        !name.contains(bad) && !name.ends_with([' ', '.']) && !DEVICES.contains(&stem.as_str())
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
            assert_eq!(fits_windows(&RelPath::parse(name).unwrap()), fits, "{name}");
        }
    }
}
