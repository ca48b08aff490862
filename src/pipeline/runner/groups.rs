//! The process groups that run now. A process id is in here only while its process is not reaped,
//! so that a signal can never reach a stranger who got the same id.

use std::collections::BTreeMap;
use std::io;
use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, kill_process_group};

use super::system;
use super::watcher::Watcher;

/// What is known of the jobs that run.
#[derive(Default)]
pub(super) struct Groups {
    jobs: Mutex<BTreeMap<u64, Group>>,
    watcher: Watcher,
}

#[derive(Default)]
struct Group {
    leader: Option<Pid>,
    /// The last signal the job was sent, even between two of its scripts.
    signal: Option<Signal>,
}

/// What came of starting a script.
pub(super) enum Started {
    /// It runs.
    Child(Child),
    /// The job was sent this signal before.
    Signalled(Signal),
}

impl Groups {
    /// A job begins.
    pub(super) fn open(&self, job: u64) {
        self.lock().insert(job, Group::default());
    }

    /// A job is over.
    pub(super) fn close(&self, job: u64) {
        self.lock().remove(&job);
    }

    /// Starts a process that leads a group of its own, unless the job was signalled. The lock is
    /// held meanwhile, so that no signal falls between the two.
    pub(super) fn spawn(&self, job: u64, command: &mut Command) -> io::Result<Started> {
        let mut jobs = self.lock();
        let group = jobs.entry(job).or_default();
        if let Some(signal) = group.signal {
            return Ok(Started::Signalled(signal));
        }
        system::lead_session(command, self.watcher.pipe()?);
        let child = command.spawn()?;
        group.leader = Some(Pid::from_child(&child));
        Ok(Started::Child(child))
    }

    /// Sends a signal to what is left of a job's group.
    pub(super) fn end(&self, job: u64, signal: Signal) {
        if let Some(leader) = self.lock().get(&job).and_then(|group| group.leader) {
            send(leader, signal);
        }
    }

    /// Forgets a leader that is going to be reaped.
    pub(super) fn forget_leader(&self, job: u64) {
        let leader = self
            .lock()
            .get_mut(&job)
            .and_then(|group| group.leader.take());
        if let Some(leader) = leader {
            self.watcher.forget(leader);
        }
    }

    /// Sends a signal to every group, and keeps those jobs from starting anything more.
    pub(super) fn signal(&self, signal: Signal) {
        for group in self.lock().values_mut() {
            group.signal = Some(signal);
            if let Some(leader) = group.leader {
                send(leader, signal);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Group>> {
        // The map is whole between any two statements, so a panic elsewhere does no harm.
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn send(leader: Pid, signal: Signal) {
    // It fails only for a group in which nobody is left, and then there is nothing to do.
    let _ = kill_process_group(leader, signal);
}
