//! Runs commands, each in its own process group, and reports their output line by line. Knows no
//! graph and no lock.
//!
//! Every job has a thread of its own ([`job`]), which owns the job's log and its last lines, and
//! tells the one owner of the [`Runner`] what happens through a channel. The channel is bounded:
//! a command that prints faster than anybody reads is slowed down by its own pipe.
//!
//! When a script is over, what it left running in its process group is ended, so that no stage
//! writes outputs after they were hashed and nothing outlives esker; not even if that is killed
//! ([`watcher`]). A child that made itself a session of its own is out of reach; its output is no
//! longer waited for. Scripts have no terminal: what asks for one fails at once.

mod direct;
mod groups;
mod interpreter;
mod job;
mod lines;
mod system;
mod watcher;

#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

pub use self::interpreter::{interpreter_of, interpreter_version};

use self::groups::Groups;
use super::{Error, Result};

/// How many messages may wait for their reader.
const MAX_WAITING: usize = 256;

/// A command to run.
#[derive(Clone, Debug)]
pub struct Job {
    /// The stage it belongs to.
    pub stage: String,
    /// Scripts, run one after another until one fails.
    pub scripts: Vec<String>,
    /// The shell, ready for a script as its last argument.
    pub shell: Vec<String>,
    /// Whether a script that is one plain command may be started without it.
    pub plain: bool,
    /// Where to run.
    pub dir: PathBuf,
    /// Variables on top of the caller's environment.
    pub env: Vec<(String, String)>,
    /// Where all output is kept.
    pub log: PathBuf,
    /// How long all scripts together may take.
    pub limit: Option<Limit>,
}

/// How long a job may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// After this time, its process group is asked to end (SIGTERM).
    pub after: Duration,
    /// After so much more, it is killed.
    pub grace: Duration,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// With a code; 0 is success.
    Code(i32),
    /// Killed by a signal, or not started any more because of one.
    Signal(i32),
    /// Ended because its time was over.
    TimedOut,
}

/// What a worker tells.
#[derive(Debug)]
pub enum Message {
    /// A stage printed a line.
    Output {
        /// Which stage.
        stage: String,
        /// The line without its end.
        line: Vec<u8>,
        /// Whether on stderr.
        stderr: bool,
    },
    /// A stage is over.
    Exited(Ended),
}

/// The end of a job.
#[derive(Debug)]
pub struct Ended {
    /// Which stage.
    pub stage: String,
    /// How; an error if it could not be started.
    pub exit: Result<Exit>,
    /// How long it took.
    pub seconds: f64,
    /// The most memory that one of its processes held at once, in bytes.
    pub peak_memory: Option<u64>,
    /// Its last 20 lines.
    pub tail: Vec<Vec<u8>>,
}

/// Runs jobs on threads and hands their messages to one owner. Dropped, it kills what still runs.
pub struct Runner {
    sender: SyncSender<Message>,
    receiver: Receiver<Message>,
    groups: Arc<Groups>,
    started: u64,
    running: Cell<usize>,
    /// Ends of jobs that the machine had no thread for.
    unstarted: RefCell<Vec<Message>>,
}

impl Runner {
    /// Runs nothing yet.
    pub fn new() -> Self {
        let (sender, receiver) = sync_channel(MAX_WAITING);
        Self {
            sender,
            receiver,
            groups: Arc::default(),
            started: 0,
            running: Cell::new(0),
            unstarted: RefCell::default(),
        }
    }

    /// Starts a job.
    pub fn start(&mut self, job: Job) {
        let number = self.started;
        self.started += 1;
        self.running.set(self.running.get() + 1);
        self.groups.open(number);
        let groups = Arc::clone(&self.groups);
        let sender = self.sender.clone();
        let stage = job.stage.clone();
        let thread = std::thread::Builder::new();
        let spawned = thread.spawn(move || job::run(&job, number, &groups, &sender));
        if let Err(source) = spawned {
            self.groups.close(number);
            let program = "a thread".to_owned();
            self.unstarted.get_mut().push(Message::Exited(Ended {
                stage,
                exit: Err(Error::Spawn { program, source }),
                seconds: 0.0,
                peak_memory: None,
                tail: Vec::new(),
            }));
        }
    }

    /// Waits for the next message, at most so long.
    pub fn recv_timeout(&self, timeout: Duration) -> Option<Message> {
        let unstarted = self.unstarted.borrow_mut().pop();
        let message = unstarted.or_else(|| self.receiver.recv_timeout(timeout).ok())?;
        if matches!(message, Message::Exited(_)) {
            self.running.set(self.running.get() - 1);
        }
        Some(message)
    }

    /// Sends a signal to every running process group. Scripts of these jobs that have not begun
    /// yet will not begin.
    pub fn signal(&self, signal: rustix::process::Signal) {
        self.groups.signal(signal);
    }

    /// How many jobs run: those whose end was not received yet.
    pub fn running(&self) -> usize {
        self.running.get()
    }
}

impl Default for Runner {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.groups.signal(rustix::process::Signal::KILL);
    }
}
