//! One job from its first script to its last line, on a thread of its own.
//!
//! Each script has three more threads: one reads stdout, one reads stderr, one waits for the
//! process. All three tell the job's thread, which is the only one to act.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, waitid};

use super::groups::{Groups, Started};
use super::{Ended, Error, Exit, Job, Limit, Message, Result, lines, system};
use crate::fs;

/// How many lines are kept to show after a failure.
const TAIL: usize = 20;
/// How many lines of one script may wait for the job's thread.
const MAX_WAITING: usize = 64;

/// What a script's threads tell.
enum Event {
    Line { line: Vec<u8>, stderr: bool },
    StreamEnded,
    LeaderEnded,
}

/// What happens to a process group whose leader is over and whose pipes are still open: the
/// signal to send, and how long to wait before it. Children that end by themselves a moment
/// later (`tee` behind a process substitution) are left in peace.
const FAREWELL: [Step; 3] = [
    (Some(Signal::TERM), Duration::from_millis(250)),
    (Some(Signal::KILL), Duration::from_secs(2)),
    (None, Duration::from_millis(250)),
];

/// A signal to send, and how long to wait before it.
type Step = (Option<Signal>, Duration);

/// Runs all scripts of a job and tells its end.
pub(super) fn run(job: &Job, number: u64, groups: &Groups, sender: &SyncSender<Message>) {
    let start = Instant::now();
    let mut output = Output {
        job,
        sender,
        log: None,
        tail: VecDeque::new(),
        deadline: job.limit.map(|limit| start + limit.after),
        peak: None,
    };
    let exit = run_scripts(job, number, groups, &mut output);
    groups.close(number);
    let message = Message::Exited(Ended {
        stage: job.stage.clone(),
        exit,
        seconds: start.elapsed().as_secs_f64(),
        peak_memory: output.peak,
        tail: output.tail.into(),
    });
    // Nobody listens any more when the runner is dropped, and then nobody needs to know.
    let _ = sender.send(message);
}

fn run_scripts(job: &Job, number: u64, groups: &Groups, output: &mut Output<'_>) -> Result<Exit> {
    if let Some(dir) = job.log.parent() {
        fs::create_dir_all(dir)?;
    }
    output.log = Some(fs::append(&job.log)?);
    if !job.dir.is_dir() {
        return Err(Error::NoDirectory {
            stage: job.stage.clone(),
            dir: job.dir.clone(),
        });
    }
    for script in &job.scripts {
        let exit = run_script(job, script, number, groups, output).map_err(|source| {
            let program = job.shell.first().cloned().unwrap_or_default();
            Error::Spawn { program, source }
        })?;
        if exit != Exit::Code(0) {
            return Ok(exit);
        }
    }
    Ok(Exit::Code(0))
}

fn run_script(
    job: &Job,
    script: &str,
    number: u64,
    groups: &Groups,
    output: &mut Output<'_>,
) -> io::Result<Exit> {
    let mut command = command(job, script)?;
    let child = match groups.spawn(number, &mut command)? {
        Started::Child(child) => child,
        Started::Signalled(signal) => return Ok(Exit::Signal(signal.as_raw())),
    };
    let mut script = Script {
        child,
        number,
        groups,
        reaped: false,
    };
    let events = script.watch()?;
    let in_time = script.listen(&events, &limit_steps(job.limit, output.deadline), output);
    let (status, peak) = script.reap()?;
    output.peak = output.peak.max(Some(peak));
    Ok(if in_time {
        exit(status)
    } else {
        Exit::TimedOut
    })
}

/// What happens to a script that is still there when its time is over.
fn limit_steps(limit: Option<Limit>, deadline: Option<Instant>) -> Vec<Step> {
    let (Some(limit), Some(deadline)) = (limit, deadline) else {
        return Vec::new();
    };
    let left = deadline.saturating_duration_since(Instant::now());
    let at_last = FAREWELL[FAREWELL.len() - 1];
    vec![
        (Some(Signal::TERM), left),
        (Some(Signal::KILL), limit.grace),
        at_last,
    ]
}

#[expect(
    clippy::disallowed_methods,
    reason = "stages are what this room is there to run"
)]
fn command(job: &Job, script: &str) -> io::Result<Command> {
    let (program, arguments) = job
        .shell
        .split_first()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the shell is empty"))?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .arg(script)
        .current_dir(&job.dir)
        .envs(job.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    Ok(command)
}

fn exit(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or_default()),
    }
}

/// A script that runs, and with it whatever it starts. Dropped before it was reaped (a thread
/// could not be started), it is killed.
struct Script<'a> {
    child: Child,
    number: u64,
    groups: &'a Groups,
    reaped: bool,
}

impl Script<'_> {
    /// Starts the three threads.
    fn watch(&mut self) -> io::Result<Receiver<Event>> {
        let (sender, events) = sync_channel(MAX_WAITING);
        if let Some(stdout) = self.child.stdout.take() {
            read_stream(stdout, false, sender.clone())?;
        }
        if let Some(stderr) = self.child.stderr.take() {
            read_stream(stderr, true, sender.clone())?;
        }
        let leader = Pid::from_child(&self.child);
        thread::Builder::new().spawn(move || {
            // The leader stays a zombie, so that its id keeps naming this group and no other.
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            let _ = rustix::io::retry_on_intr(|| waitid(WaitId::Pid(leader), options));
            let _ = sender.send(Event::LeaderEnded);
        })?;
        Ok(events)
    }

    /// Hands on output until the leader is over and both streams have ended, or the farewell
    /// to what the leader left behind is. Says whether the leader ended before its time was over.
    fn listen(&self, events: &Receiver<Event>, limit: &[Step], output: &mut Output<'_>) -> bool {
        let mut open_streams = 2;
        let (mut ended, mut in_time) = (false, true);
        let mut steps = limit.iter();
        let mut step = next_step(&mut steps);
        while open_streams > 0 || !ended {
            match receive(events, step.map(|(_, deadline)| deadline)) {
                Ok(Event::Line { line, stderr }) => output.take(line, stderr),
                Ok(Event::StreamEnded) => open_streams -= 1,
                Ok(Event::LeaderEnded) => {
                    ended = true;
                    steps = FAREWELL.iter();
                    step = next_step(&mut steps);
                }
                Err(RecvTimeoutError::Timeout) => {
                    in_time &= ended;
                    if let Some((Some(signal), _)) = step {
                        self.groups.end(self.number, signal);
                    }
                    step = next_step(&mut steps);
                    if step.is_none() {
                        return in_time;
                    }
                }
                // All three threads are over.
                Err(RecvTimeoutError::Disconnected) => return in_time,
            }
        }
        in_time
    }

    /// Ends what is left of the group, and takes the leader's exit status.
    fn reap(&mut self) -> io::Result<(ExitStatus, u64)> {
        self.groups.end(self.number, Signal::TERM);
        self.groups.end(self.number, Signal::KILL);
        self.groups.forget_leader(self.number);
        self.reaped = true;
        system::reap(&self.child)
    }
}

impl Drop for Script<'_> {
    fn drop(&mut self) {
        if !self.reaped {
            let _ = self.reap();
        }
    }
}

fn next_step(steps: &mut std::slice::Iter<'_, Step>) -> Option<(Option<Signal>, Instant)> {
    let (signal, patience) = steps.next()?;
    Some((*signal, Instant::now() + *patience))
}

/// Waits for an event, for ever if there is no deadline. A deadline in the past is a timeout
/// even if there are events, so that a child that never stops printing cannot hold it off.
fn receive(
    events: &Receiver<Event>,
    deadline: Option<Instant>,
) -> std::result::Result<Event, RecvTimeoutError> {
    let Some(deadline) = deadline else {
        return events.recv().map_err(|_| RecvTimeoutError::Disconnected);
    };
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(RecvTimeoutError::Timeout);
    }
    events.recv_timeout(left)
}

fn read_stream(
    stream: impl Read + Send + 'static,
    stderr: bool,
    sender: SyncSender<Event>,
) -> io::Result<()> {
    thread::Builder::new().spawn(move || {
        // A pipe that cannot be read has ended as far as anybody can tell.
        let _ = lines::cut(stream, &mut |line| {
            sender.send(Event::Line { line, stderr }).is_ok()
        });
        let _ = sender.send(Event::StreamEnded);
    })?;
    Ok(())
}

/// Where the lines of a job go.
struct Output<'a> {
    job: &'a Job,
    sender: &'a SyncSender<Message>,
    log: Option<File>,
    tail: VecDeque<Vec<u8>>,
    /// When the time of the job is over.
    deadline: Option<Instant>,
    /// The most memory that a process of the job held.
    peak: Option<u64>,
}

impl Output<'_> {
    fn take(&mut self, line: Vec<u8>, stderr: bool) {
        if let Some(log) = &mut self.log {
            let mut bytes = line.clone();
            bytes.push(b'\n');
            if log.write_all(&bytes).is_err() {
                // A full disk must not end a run of hours for the sake of its log.
                self.log = None;
            }
        }
        if self.tail.len() == TAIL {
            self.tail.pop_front();
        }
        self.tail.push_back(line.clone());
        let stage = self.job.stage.clone();
        let _ = self.sender.send(Message::Output {
            stage,
            line,
            stderr,
        });
    }
}
