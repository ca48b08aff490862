//! Bringing back what is damaged or missing: from the workspace, where a file still has the right
//! bytes, then from a remote. Whatever comes is checked like everything that enters the store.

use std::collections::BTreeSet;

use super::super::fetch::bring;
use super::super::push::TransferOptions;
use super::super::routes::Routes;
use super::super::selection::Selection;
use super::super::{Error, Result, Site};
use super::inspect::reach;
use super::{Depth, Need, Problem, Problems, Source, State};
use crate::fs;
use crate::hash::{BlobId, ObjectKind};
use crate::path::RelPath;
use crate::remote::Root;
use crate::workspace::{Found, Index, Rules};

/// Repairs what can be repaired, and notes at each problem where good bytes came from. What a
/// damaged listing hid is found and repaired on the way.
pub(super) fn repair(site: &Site<'_>, needs: &[Need], problems: &mut Problems) -> Result<()> {
    // Listings first: only they name what lies below.
    listings_from_workspace(site, needs, problems)?;
    reach(site, Depth::Trees, needs, problems)?;
    files_from_workspace(site, problems)?;
    mark(site, problems, Source::Workspace);
    from_remote(site, needs, problems)?;
    reach(site, Depth::Trees, needs, problems)?;
    mark(site, problems, Source::Remote);
    site.store.flush()?;
    Ok(())
}

fn mark(site: &Site<'_>, problems: &mut Problems, source: Source) {
    for (id, problem) in problems.iter_mut() {
        let was_gone = problem.quarantined || problem.state == State::Missing;
        if problem.repaired.is_none() && was_gone && site.store.has(*id) {
            problem.repaired = Some(source);
        }
    }
}

/// Lists directories anew, and keeps those nodes that are needed.
fn listings_from_workspace(site: &Site<'_>, needs: &[Need], problems: &Problems) -> Result<()> {
    let bad: Vec<&Problem> = problems
        .iter()
        .filter(|(id, _)| id.kind == ObjectKind::Node)
        .map(|(_, problem)| problem)
        .collect();
    let dirs: BTreeSet<&RelPath> = needs
        .iter()
        .map(|need| &need.path)
        .filter(|path| bad.iter().any(|problem| problem.needed_by.contains(*path)))
        .collect();
    let mut index = site.index();
    for dir in dirs {
        // What cannot be listed is no help, and no reason to stop.
        let mut scanner = site.scanner(&mut index);
        let Ok(Found::Dir(found)) = scanner.scan(dir, Rules::Data) else {
            continue;
        };
        let tree = scanner.tree(dir, &found)?;
        for (id, bytes) in tree.encode().nodes {
            if problems.contains_key(&id.into()) {
                site.store.put(ObjectKind::Node, &bytes)?;
            }
        }
    }
    Ok(())
}

fn files_from_workspace(site: &Site<'_>, problems: &Problems) -> Result<()> {
    for (id, problem) in problems {
        site.check_interrupt()?;
        if id.kind != ObjectKind::Blob || site.store.has(*id) {
            continue;
        }
        for path in &problem.needed_by {
            if holds(site, path, BlobId(id.digest)) {
                // It is hashed again on the way in: a file that changes now is not taken for it.
                let go_on = |_| !site.world.interrupt.is_requested();
                let at = path.to_path(&site.layout.root);
                site.store.put_file(&at, &go_on)?;
                break;
            }
        }
    }
    Ok(())
}

/// Whether a file of the workspace has these bytes.
fn holds(site: &Site<'_>, path: &RelPath, id: BlobId) -> bool {
    let at = path.to_path(&site.layout.root);
    let is_file = fs::metadata(&at).is_ok_and(|found| found.is_some_and(|found| found.is_file()));
    if !is_file {
        return false;
    }
    let mut index = Index::default();
    let found = site.scanner(&mut index).scan(path, Rules::Data);
    matches!(found, Ok(Found::File { id: there, .. }) if there == id)
}

/// Fetches what is still not there; without a remote there is nothing to fetch from.
fn from_remote(site: &Site<'_>, needs: &[Need], problems: &Problems) -> Result<()> {
    let lost = problems
        .values()
        .filter(|problem| problem.repaired.is_none());
    let paths: BTreeSet<&RelPath> = lost.flat_map(|problem| &problem.needed_by).collect();
    let is_lost = |need: &&Need| paths.iter().any(|path| path.starts_with(&need.path));
    let holders = needs.iter().filter(is_lost).map(|need| Root {
        path: need.path.clone(),
        content: need.content,
    });
    let mut roots: Vec<Root> = holders.collect();
    roots.sort();
    roots.dedup();
    if roots.is_empty() {
        return Ok(());
    }
    let lock = site.lock()?;
    let routes = Routes::new(site, &lock)?;
    let locks = [routes.travelling(&lock)?];
    match bring(
        site,
        &routes,
        (&roots, &Selection::default()),
        &locks,
        &TransferOptions::default(),
    ) {
        Ok(_) | Err(Error::NoRemote) => Ok(()),
        Err(error) => Err(error),
    }
}
