//! Who uses the store right now, so that a collection removes nothing that somebody is about to
//! name.
//!
//! Between the moment in which an act stores something, or finds it stored, and the one in which a
//! record says so, nothing but the act itself knows that it is needed. So who works with a store has
//! a share of the lock `tmp/use` until all is recorded, and a collection has the lock alone. It is a
//! lock of the kernel: a killed process does not keep it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::{Result, Store, TEMP};
use crate::fs::{Holder, LockGuard, SharedGuard};

/// The lock, in `tmp/`.
pub(super) const USE: &str = "use";

/// The share that all handles on a store have together.
#[derive(Debug, Default)]
pub(super) struct Share(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    guard: Option<SharedGuard>,
    /// When the last collection was, as of the moment in which the share was given back.
    left: Option<SystemTime>,
}

/// What came of asking for a share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entered {
    /// It is had. What is known of the store still holds.
    Same,
    /// It is had, and since it was given back there was a collection: what was found in the store
    /// before may be gone.
    Collected,
    /// A collection is under way; by which process, if the lock says so.
    Busy(Option<Holder>),
}

impl Store {
    /// Takes a share, unless this handle has one. To be had before anything is put, or relied upon
    /// because it is there.
    pub fn enter(&self) -> Result<Entered> {
        let mut state = self.used();
        if state.guard.is_some() {
            return Ok(Entered::Same);
        }
        let path = self.root.join(TEMP).join(USE);
        let taken = SharedGuard::try_acquire(&path).map_err(|error| self.denied(error))?;
        let Some(guard) = taken else {
            return Ok(Entered::Busy(LockGuard::holder(&path)));
        };
        let is_same = state.left.is_none() || state.left == guard.last_alone();
        state.guard = Some(guard);
        drop(state);
        // Packs may have come and gone meanwhile.
        self.packs.refresh_if_changed()?;
        Ok(match is_same {
            true => Entered::Same,
            false => Entered::Collected,
        })
    }

    /// Gives the share back, so that a collection may have its turn. All that was stored must be
    /// recorded by then.
    pub fn leave(&self) {
        let mut state = self.used();
        if let Some(guard) = state.guard.take() {
            state.left = guard.last_alone();
        }
    }

    /// Takes the store for a collection; `None` while anybody has a share.
    pub fn try_hold_alone(&self, command: &str) -> Result<Option<LockGuard>> {
        let path = self.root.join(TEMP).join(USE);
        LockGuard::try_acquire(&path, command).map_err(|error| self.denied(error))
    }

    fn used(&self) -> MutexGuard<'_, State> {
        // No panic leaves it half changed.
        self.share.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_back_is_told_of_a_collection() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path());
        assert_eq!(store.enter().unwrap(), Entered::Same);
        let other = Store::open(dir.path());
        assert_eq!(other.enter().unwrap(), Entered::Same);
        assert!(
            Store::open(dir.path())
                .try_hold_alone("gc")
                .unwrap()
                .is_none()
        );
        other.leave();
        assert!(
            Store::open(dir.path())
                .try_hold_alone("gc")
                .unwrap()
                .is_none()
        );
        store.leave();
        assert_eq!(store.enter().unwrap(), Entered::Same);
        store.leave();

        let gc = Store::open(dir.path());
        let alone = gc.try_hold_alone("esker gc").unwrap();
        let busy = store.enter().unwrap();
        assert!(matches!(busy, Entered::Busy(Some(holder)) if holder.command == "esker gc"));
        drop(alone);
        assert_eq!(store.enter().unwrap(), Entered::Collected);
        store.leave();
        assert_eq!(store.enter().unwrap(), Entered::Same);
    }
}
