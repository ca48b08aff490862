//! How work tells of its progress, and how it is asked to stop.
//!
//! Rooms below the edge never print. They hand [`Event`]s to a [`Progress`]; a terminal, a plain
//! log and silence are three implementors, and only `cli` knows the first two.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// What is being done, for the word that is shown before a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Reading files to learn their ids, perhaps storing them on the way.
    Hash,
    /// Writing files into the workspace.
    Checkout,
    /// Building packs.
    Pack,
    /// Sending to a remote.
    Upload,
    /// Receiving from a remote.
    Download,
    /// Reading objects of the store to prove them.
    Verify,
}

/// Something that happened.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A piece of work begins; totals of 0 are not known.
    Started {
        /// What kind of work.
        work: Work,
        /// How many files or objects there will be.
        files: u64,
        /// How many bytes there will be.
        bytes: u64,
    },
    /// More of the current work is done.
    Advanced {
        /// Files or objects since the last event.
        files: u64,
        /// Bytes since the last event.
        bytes: u64,
    },
    /// The current work is over.
    Finished,
    /// Another process holds what this one needs; it waits.
    Waiting {
        /// Its id and what was called, if that is known.
        holder: Option<(u32, &'a str)>,
        /// The path, or the name of the mutex, that both want; empty is the whole project.
        what: &'a str,
    },
    /// Much is about to be copied into the store, and will take its space twice.
    Doubling {
        /// How many bytes.
        bytes: u64,
    },
    /// An object was edited through a file that is a link to it, and is no longer in the store.
    ObjectEdited {
        /// The file, which stays as it is.
        path: &'a str,
        /// The id of the object, whose bytes are gone.
        object: &'a str,
    },
    /// A directory that is taken into the store has a project in it, which is left out.
    ProjectInside {
        /// The directory of that project.
        path: &'a str,
    },
    /// A param got another value in its file, because somebody asked for it.
    ParamSet {
        /// The change, in words.
        what: &'a str,
        /// The file.
        file: &'a str,
    },
    /// Results of stages that others share cannot be had now; nothing else stops for that.
    NoSharedResults {
        /// Why.
        reason: &'a str,
    },
    /// The stages that will be looked at are known.
    Planned {
        /// How many will be looked at.
        stages: usize,
        /// How many may run at once.
        jobs: usize,
    },
    /// Somebody asked to stop, and running stages were told.
    Stopping {
        /// How many run.
        stages: usize,
        /// Whether they were killed, not asked.
        killed: bool,
    },
    /// A stage starts to run.
    StageStarted {
        /// Its name.
        stage: &'a str,
        /// Why, in words.
        reason: &'a str,
    },
    /// A stage printed a line.
    StageOutput {
        /// Its name.
        stage: &'a str,
        /// The line, without its end.
        line: &'a [u8],
        /// Whether it came on stderr.
        stderr: bool,
    },
    /// A stage is done with.
    StageFinished {
        /// Its name.
        stage: &'a str,
        /// How it ended.
        outcome: StageOutcome<'a>,
    },
}

/// How a stage ended, as it is told while others still run.
#[derive(Clone, Copy, Debug)]
pub enum StageOutcome<'a> {
    /// It was fresh.
    Unchanged,
    /// It ran.
    Ran {
        /// For how long.
        seconds: f64,
        /// Its outputs: path and size in bytes.
        outs: &'a [(String, u64)],
    },
    /// Its outputs came from the run cache.
    Restored {
        /// What the run took when it really ran, if that is known.
        saved_seconds: Option<f64>,
    },
    /// It failed.
    Failed,
    /// It was not tried, because something above it failed.
    Skipped,
}

/// Something that listens to events. Called from several threads.
pub trait Progress: Sync {
    /// Takes note of an event; must not block for long.
    fn event(&self, event: Event<'_>);
}

/// Listens to nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn event(&self, _: Event<'_>) {}
}

/// A wish to stop, made by signals and looked at between steps of work.
#[derive(Debug, Default)]
pub struct Interrupt {
    times: AtomicU32,
    /// For those who wait; work under way looks at the number alone.
    asked: (Mutex<()>, Condvar),
}

impl Interrupt {
    /// A wish not yet made.
    pub const fn new() -> Self {
        Self {
            times: AtomicU32::new(0),
            asked: (Mutex::new(()), Condvar::new()),
        }
    }

    /// Asks all work to stop at its next safe point. Asking again asks harder.
    pub fn request(&self) {
        let (lock, asked) = &self.asked;
        let _held = lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.times.fetch_add(1, Ordering::SeqCst);
        asked.notify_all();
    }

    /// Whether somebody asked.
    pub fn is_requested(&self) -> bool {
        self.times() > 0
    }

    /// How often somebody asked: the second time, running commands are killed.
    pub fn times(&self) -> u32 {
        self.times.load(Ordering::SeqCst)
    }

    /// Waits so long, or until somebody asks; says whether somebody has asked.
    pub fn wait(&self, time: Duration) -> bool {
        let (lock, asked) = &self.asked;
        let held = lock.lock().unwrap_or_else(PoisonError::into_inner);
        // How the wait ended does not matter: the number says it.
        let _ = asked.wait_timeout_while(held, time, |()| !self.is_requested());
        self.is_requested()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_to_stop_are_counted() {
        let interrupt = Interrupt::new();
        assert!(!interrupt.is_requested());
        interrupt.request();
        interrupt.request();
        assert!(interrupt.is_requested());
        assert_eq!(interrupt.times(), 2);
    }

    #[test]
    fn a_wish_to_stop_ends_a_wait() {
        let interrupt = Interrupt::new();
        assert!(!interrupt.wait(Duration::from_millis(1)));
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| interrupt.wait(Duration::from_secs(3600)));
            interrupt.request();
            assert!(waits.join().unwrap());
        });
        assert!(interrupt.wait(Duration::from_secs(3600)));
    }
}
