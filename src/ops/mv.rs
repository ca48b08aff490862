//! `mv`: renames tracked data, on disk and in the record.

use super::content::{readers, to_recorded, writer};
use super::remove::{check_tracked, totals};
use super::reshape::{self, Taken};
use super::{Error, Result, Site, World, init};
use crate::fs;
use crate::path::RelPath;
use crate::project::{Lock, Recorded};
use crate::tree::Entry;
use crate::workspace::{self, Index, Placed, Rules};

/// What was renamed.
#[derive(Debug, serde::Serialize)]
pub struct MoveReport {
    /// What it was called.
    pub from: RelPath,
    /// What it is called.
    pub to: RelPath,
    /// Bytes that are recorded.
    pub size: u64,
    /// Files that are recorded, for a directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
    /// Whether it was renamed on disk too, now or by an earlier run that was cut short.
    pub on_disk: bool,
    /// Stages that depend on the old name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<String>,
}

/// Renames tracked data, or a path inside a tracked directory. An existing directory as the
/// target means: into it, under the old name.
pub fn mv(world: &World<'_>, from: &str, to: &str) -> Result<MoveReport> {
    let site = Site::open(world)?;
    let _guard = site.guard()?;
    let mut lock = site.lock()?;
    let source = site.path(from)?;
    check_tracked(&site, &lock, &source, from)?;
    let mut index = site.index();
    let done = done_before(&site, &mut index, &lock, &source, to)?;
    let target = match &done {
        Some(target) => target.clone(),
        None => target(&site, &lock, &source, to)?,
    };
    check_target(&site, &lock, &source, &target, done.is_some())?;

    let taken = reshape::take(&mut lock.data, &site.store, &source)?;
    let taken = taken.expect("it was looked up above");
    let (size, files) = totals(&source, &taken);
    let known = files_of(&site, &source, &taken);
    check_links(&lock, &source, &target, &taken)?;
    reshape::put(&mut lock.data, &site.store, &source, &target, taken)?;
    let mut placed = Placed::load(&site.layout.placed())?;
    move_placed(&site, &mut placed, &source, &target)?;
    site.store.flush()?;

    // The disk first: if it ends here, the same command finds the target in place and goes on.
    let root = &site.layout.root;
    let there = fs::metadata(&source.to_path(root))?.is_some();
    if there {
        workspace::relocate(root, &mut index, &source, &target, &known)?;
        let dir = reshape::holder(&lock.data, &source);
        prune(root, &source, dir.as_ref())?;
    }
    placed.save(&site.layout.placed())?;
    site.save(&lock)?;
    let _ = index.save(&site.layout.index());
    Ok(MoveReport {
        stages: readers(&site, &source)?,
        from: source,
        to: target,
        size,
        files,
        on_disk: there || done.is_some(),
    })
}

/// The target, if the source is gone from disk and the target holds what is recorded for it: an
/// earlier run, or its owner, has renamed it.
fn done_before(
    site: &Site<'_>,
    index: &mut Index,
    lock: &Lock,
    source: &RelPath,
    to: &str,
) -> Result<Option<RelPath>> {
    let root = &site.layout.root;
    if fs::metadata(&source.to_path(root))?.is_some() {
        return Ok(None);
    }
    let recorded = match reshape::look(&lock.data, &site.store, source)? {
        Some(Taken::Whole(recorded)) => Some(recorded),
        Some(Taken::Part(entries)) => reshape::block_of::<Recorded>(&site.store, source, &entries)?,
        None => None,
    };
    let Some(exact) = resolve(site, to)? else {
        let inside = RelPath::parse(source.name())?;
        return is_there(site, index, recorded.as_ref(), inside);
    };
    let below = exact.join(&RelPath::parse(source.name())?);
    match is_there(site, index, recorded.as_ref(), exact)? {
        None => is_there(site, index, recorded.as_ref(), below),
        found => Ok(found),
    }
}

fn is_there(
    site: &Site<'_>,
    index: &mut Index,
    recorded: Option<&Recorded>,
    path: RelPath,
) -> Result<Option<RelPath>> {
    let stat = fs::metadata(&path.to_path(&site.layout.root))?;
    // Only what could be it is read.
    let could_be = |recorded: &&Recorded| match recorded.files {
        Some(_) => stat.as_ref().is_some_and(fs::Metadata::is_dir),
        None => stat
            .as_ref()
            .is_some_and(|stat| stat.is_file() && stat.len() == recorded.size),
    };
    let Some(recorded) = recorded.filter(could_be) else {
        return Ok(None);
    };
    let found = site.scanner(index).scan(&path, Rules::Data)?;
    Ok((to_recorded(&found).as_ref() == Some(recorded)).then_some(path))
}

/// What was typed as a target; `None` is the project itself.
fn resolve(site: &Site<'_>, typed: &str) -> Result<Option<RelPath>> {
    match site.path(typed) {
        Ok(path) => Ok(Some(path)),
        Err(Error::WholeProject(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn target(site: &Site<'_>, lock: &Lock, source: &RelPath, typed: &str) -> Result<RelPath> {
    let root = &site.layout.root;
    let name = RelPath::parse(source.name())?;
    let Some(path) = resolve(site, typed)? else {
        return Ok(name);
    };
    let is_dir = |path: &RelPath| {
        let stat = fs::metadata(&path.to_path(root))?;
        Ok::<_, Error>(stat.is_some_and(|stat| stat.is_dir()))
    };
    let recorded = match reshape::look(&lock.data, &site.store, &path)? {
        Some(taken) => totals(&path, &taken).1.is_some(),
        None => false,
    };
    // `x/` for something that is not there asks for a directory to put a file into.
    let asked = typed.ends_with('/') && !is_dir(source)?;
    match path != *source && (is_dir(&path)? || recorded || asked) {
        true => Ok(path.join(&name)),
        false => Ok(path),
    }
}

fn check_target(
    site: &Site<'_>,
    lock: &Lock,
    source: &RelPath,
    target: &RelPath,
    done: bool,
) -> Result<()> {
    if target.starts_with(source) {
        let (from, to) = (source.clone(), target.clone());
        return Err(Error::MoveIntoItself { from, to });
    }
    if init::is_own_file(target) {
        return Err(Error::OwnFile(target.clone()));
    }
    if let Some(stage) = writer(site, target)? {
        let path = target.clone();
        return Err(Error::WrittenByStage { path, stage });
    }
    site.refuse_nested(target)?;
    let there = fs::metadata(&target.to_path(&site.layout.root))?.is_some();
    let tracked = reshape::look(&lock.data, &site.store, target)?.is_some();
    if tracked || (there && !done) {
        let path = target.clone();
        return Err(Error::TargetExists { path, tracked });
    }
    check_record(site, lock, source, target)
}

/// Whether the record can hold the target.
fn check_record(site: &Site<'_>, lock: &Lock, source: &RelPath, target: &RelPath) -> Result<()> {
    let below = |tracked: &&RelPath| tracked.starts_with(target);
    if let Some(tracked) = lock.data.keys().find(below) {
        return Err(Error::HoldsTracked {
            path: target.clone(),
            tracked: tracked.clone(),
        });
    }
    for dir in target.ancestors().filter(|dir| dir != source) {
        let held = reshape::look(&lock.data, &site.store, &dir)?;
        if held.is_some_and(|held| totals(&dir, &held).1.is_none()) {
            let (path, tracked) = (dir, true);
            return Err(Error::TargetExists { path, tracked });
        }
    }
    let repo_path = site.repo_path(target.as_str());
    let in_git = repo_path.map(|path| site.git.tracked_below(&path));
    let files = in_git.transpose()?.map_or(0, |files| files.len());
    match files {
        0 => Ok(()),
        files => Err(Error::TrackedByGit {
            path: target.clone(),
            files,
        }),
    }
}

/// A link must lead to something in the directory it will be part of.
fn check_links(
    lock: &Lock,
    source: &RelPath,
    target: &RelPath,
    taken: &Taken<Recorded>,
) -> Result<()> {
    let Taken::Part(entries) = taken else {
        return Ok(());
    };
    let root = reshape::holder(&lock.data, target).unwrap_or_else(|| target.clone());
    for (path, entry) in entries {
        let Entry::Symlink { target: link } = entry else {
            continue;
        };
        let at = path.strip_prefix(source);
        let at = at.map_or(target.clone(), |below| target.join(&below));
        let inside = at.strip_prefix(&root);
        if !inside.is_some_and(|at| workspace::stays_inside(&at, link)) {
            let (path, target) = (path.clone(), link.clone());
            return Err(workspace::Error::LinkOutside { path, target }.into());
        }
    }
    Ok(())
}

/// The files that the index may know. A listing that is not here costs a second reading, no more.
fn files_of(site: &Site<'_>, source: &RelPath, taken: &Taken<Recorded>) -> Vec<RelPath> {
    let entries = match taken {
        Taken::Whole(recorded) => super::content::entries(&site.store, source, recorded),
        Taken::Part(entries) => Ok(Some(entries.clone())),
    };
    let entries = entries.ok().flatten().unwrap_or_default();
    let files = entries.into_iter();
    let files = files.filter(|(_, entry)| matches!(entry, Entry::File { .. }));
    files.map(|(path, _)| path).collect()
}

/// Lets the baseline of the next checkout follow. A tree that the store lost counts as nothing.
fn move_placed(
    site: &Site<'_>,
    placed: &mut Placed,
    source: &RelPath,
    target: &RelPath,
) -> Result<()> {
    let mut moved = placed.paths.clone();
    let result = reshape::take(&mut moved, &site.store, source).and_then(|taken| match taken {
        Some(taken) => reshape::put(&mut moved, &site.store, source, target, taken),
        None => Ok(()),
    });
    match result {
        Ok(()) => placed.paths = moved,
        Err(Error::Workspace(workspace::Error::Store(crate::store::Error::Missing(_)))) => {
            let touched = |root: &RelPath| source.starts_with(root) || target.starts_with(root);
            placed.paths.retain(|root, _| !touched(root));
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Removes the directories of a tracked directory that the move emptied: the record has none.
fn prune(root: &std::path::Path, source: &RelPath, tracked: Option<&RelPath>) -> Result<()> {
    let Some(tracked) = tracked else {
        return Ok(());
    };
    let inside = |dir: &RelPath| dir != tracked && dir.starts_with(tracked);
    for dir in source.ancestors().take_while(inside) {
        if !fs::remove_dir_if_empty(&dir.to_path(root))? {
            break;
        }
    }
    Ok(())
}
