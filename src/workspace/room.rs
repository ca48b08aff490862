//! Whether the disk has the room that an act needs, asked before the act begins.
//!
//! Only what surely cannot be done is refused: where the answer depends on what the disk shares,
//! the disk is asked.

use std::path::Path;

use super::{CheckoutPlan, Error, Result};
use crate::fs;
use crate::progress::{Event, Progress};
use crate::store::Store;
use crate::tree::{Entry, Tree};

/// Fails if the store has no room for files that are new to it. `sizes` are those of all files
/// that will be read; `unknown` tells, by reading them, how many bytes the store really lacks,
/// and is asked only if there is no room for all.
pub(super) fn check_add(
    store: &Store,
    root: &Path,
    sizes: u64,
    unknown: impl FnOnce() -> Result<u64>,
) -> Result<()> {
    let free = store.free_space()?;
    if sizes <= free || store.shares_blocks(root) {
        return Ok(());
    }
    let needed = unknown()?;
    if needed <= free {
        return Ok(());
    }
    let at = root.to_path_buf();
    Err(Error::NoRoom { needed, free, at })
}

/// What is copied into the store beyond this is told of before it begins.
const MUCH: u64 = 10 << 30;

/// Tells that much will take its space twice, once in the workspace and once in the store. Links
/// to objects free one of the two afterwards.
pub(super) fn tell_doubling(store: &Store, root: &Path, sizes: u64, progress: &dyn Progress) {
    if sizes > MUCH && !store.shares_files() && !store.shares_blocks(root) {
        progress.event(Event::Doubling { bytes: sizes });
    }
}

/// Fails if the workspace has no room for what a plan would write, less what it would free.
pub fn check_checkout(
    plan: &CheckoutPlan,
    actual: &Tree,
    root: &Path,
    store: &Store,
) -> Result<()> {
    let refused = plan.refuse.iter();
    let refused = refused.filter_map(|refusal| refusal.wanted.as_ref());
    let written = plan.create.iter().chain(&plan.replace);
    let written = written.map(|(_, entry)| entry).chain(refused);
    let written = written.map(|entry| match entry {
        // What becomes a link to its object takes no room.
        Entry::File { size, exec, .. } if store.may_link(*size, *exec) => 0,
        entry => size(entry),
    });
    let written: u64 = written.fold(0, u64::saturating_add);
    if written == 0 {
        return Ok(());
    }
    let replaced = plan.replace.iter().map(|(path, _)| path);
    let freed = replaced.chain(&plan.remove);
    let freed: u64 = freed
        .filter_map(|path| actual.get(path))
        .map(size)
        .fold(0, u64::saturating_add);
    let needed = written.saturating_sub(freed);
    let free = fs::free_space(root)?;
    if needed <= free || store.shares_blocks(root) {
        return Ok(());
    }
    let at = root.to_path_buf();
    Err(Error::NoRoom { needed, free, at })
}

fn size(entry: &Entry) -> u64 {
    match entry {
        Entry::File { size, .. } => *size,
        Entry::Symlink { .. } | Entry::EmptyDir => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::{BlobId, Digest};
    use crate::path::RelPath;

    const HUGE: u64 = 1 << 60;

    fn file(size: u64) -> (RelPath, Entry) {
        let id = BlobId(Digest::of(&size.to_le_bytes()));
        let exec = false;
        let path = RelPath::parse("file").unwrap();
        (path, Entry::File { id, size, exec })
    }

    #[derive(Default)]
    struct Told(std::sync::Mutex<Vec<u64>>);

    impl Progress for Told {
        fn event(&self, event: Event<'_>) {
            if let Event::Doubling { bytes } = event {
                self.0.lock().unwrap().push(bytes);
            }
        }
    }

    #[test]
    fn more_than_ten_gibibytes_are_not_copied_unannounced() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store"));
        let shares = store.shares_blocks(dir.path());
        let told = Told::default();
        tell_doubling(&store, dir.path(), MUCH, &told);
        tell_doubling(&store, dir.path(), MUCH + 1, &told);
        let linking = store.with_links(&[fs::LinkKind::Symlink]);
        tell_doubling(&linking, dir.path(), MUCH + 2, &told);
        let expected = if shares { vec![] } else { vec![MUCH + 1] };
        assert_eq!(*told.0.lock().unwrap(), expected);
    }

    #[test]
    fn what_becomes_a_link_needs_no_room() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store"));
        let plan = CheckoutPlan {
            create: vec![file(HUGE)],
            ..CheckoutPlan::default()
        };
        let linking = store.with_links(&[fs::LinkKind::Hardlink]);
        check_checkout(&plan, &Tree::default(), dir.path(), &linking).unwrap();
    }

    #[test]
    fn more_than_any_disk_has_is_refused_unless_it_is_shared_or_replaces_as_much() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store"));
        let shares = store.shares_blocks(dir.path());
        let refused =
            |result: Result<()>| matches!(result, Err(Error::NoRoom { needed: HUGE, .. }));

        let plan = CheckoutPlan {
            create: vec![file(HUGE)],
            ..CheckoutPlan::default()
        };
        let nothing = Tree::new(Vec::new()).unwrap();
        let checked = check_checkout(&plan, &nothing, dir.path(), &store);
        assert_eq!(refused(checked), !shares);

        let plan = CheckoutPlan {
            replace: vec![file(HUGE)],
            ..CheckoutPlan::default()
        };
        let as_much = Tree::new(vec![file(HUGE - 1)]).unwrap();
        check_checkout(&plan, &as_much, dir.path(), &store).unwrap();

        let added = check_add(&store, dir.path(), HUGE, || Ok(HUGE));
        assert_eq!(refused(added), !shares);
        check_add(&store, dir.path(), HUGE, || Ok(0)).unwrap();
        check_add(&store, dir.path(), 0, || panic!("there is room")).unwrap();
    }
}
