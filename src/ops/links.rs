//! Links between the workspace and the store: making them, and noticing what was edited through
//! them.

use super::content;
use super::{Result, Site};
use crate::path::RelPath;
use crate::progress::Event;
use crate::project::Recorded;
use crate::tree::{Entry, Tree};
use crate::workspace::{self, Edited, Found, Index, Placed, Relinked, Rules};

/// An object that is no longer in the store, because it was edited in place.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct EditedReport {
    /// The file it was edited through, which is what it was made.
    pub path: RelPath,
    /// The id of the object.
    pub hash: String,
}

/// Makes files links to their objects, where this clone wants links. Comes after the lock is
/// saved: only then are the objects safe on disk.
pub(super) fn relink(
    site: &Site<'_>,
    index: &mut Index,
    files: &[(RelPath, Entry)],
) -> Result<Relinked> {
    // What was taken in by reflink is as it should be.
    let is_done = || site.store.prefers_reflink() && site.store.shares_blocks(&site.layout.root);
    if !site.store.shares_files() || is_done() {
        return Ok(Relinked::default());
    }
    relink_all(site, index, files)
}

/// Gives files the way of sharing bytes with the store that this clone prefers.
pub(super) fn relink_all(
    site: &Site<'_>,
    index: &mut Index,
    files: &[(RelPath, Entry)],
) -> Result<Relinked> {
    let (root, interrupt) = (&site.layout.root, site.world.interrupt);
    Ok(workspace::relink(
        root,
        &site.store,
        index,
        files,
        interrupt,
    )?)
}

/// Takes objects out of the store that were edited through files at a path that are links to
/// them, and tells of each. Files should hold what is recorded, or what was last put there.
pub(super) fn take_out_edited(
    site: &Site<'_>,
    index: &mut Index,
    path: &RelPath,
    found: &Found,
    recorded: Option<&Recorded>,
    placed: &Placed,
) -> Result<Vec<EditedReport>> {
    let now = content::to_recorded(found);
    if !site.store.shares_files() || now.as_ref() == recorded {
        return Ok(Vec::new());
    }
    // What cannot be read here is told by whoever needs it.
    let recorded = recorded.map(|recorded| content::entries(&site.store, path, recorded));
    let mut expected = recorded
        .and_then(std::result::Result::ok)
        .flatten()
        .unwrap_or_default();
    let items = placed.paths.iter().filter(|(root, _)| root.overlaps(path));
    let items = items.map(|(root, item)| (root.clone(), item.clone()));
    let here = Placed {
        paths: items.collect(),
    };
    let here = here.to_tree(&site.store).unwrap_or_default();
    expected.extend(
        here.iter()
            .map(|(path, entry)| (path.clone(), entry.clone())),
    );
    let found = content::found_entries(&mut site.scanner(index), path, found)?;
    let actual = Tree::new(found)?;
    let edited = workspace::take_out_edited(&site.layout.root, &site.store, &expected, &actual)?;
    Ok(edited.iter().map(|edited| tell(site, edited)).collect())
}

/// Does so for everything that the lock records.
pub(super) fn find_edited(site: &Site<'_>) -> Result<()> {
    if !site.store.shares_files() {
        return Ok(());
    }
    let lock = site.lock()?;
    let placed = Placed::load(&site.layout.placed())?;
    let mut index = site.index();
    for (path, recorded) in content::stored(&lock) {
        site.check_interrupt()?;
        // What cannot be read is told by those that need it.
        let Ok(found) = site.scanner(&mut index).scan(&path, Rules::Data) else {
            continue;
        };
        take_out_edited(site, &mut index, &path, &found, Some(recorded), &placed)?;
    }
    let _ = index.save(&site.layout.index());
    Ok(())
}

fn tell(site: &Site<'_>, edited: &Edited) -> EditedReport {
    let hash = format!("b3:{}", edited.id);
    site.world.progress.event(Event::ObjectEdited {
        path: edited.path.as_str(),
        object: &hash,
    });
    EditedReport {
        path: edited.path.clone(),
        hash,
    }
}
