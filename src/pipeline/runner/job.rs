//! One job from its first script to its last line, on a thread of its own.
//!
//! It waits for three things at once: more on stdout, more on stderr, and the end of the process.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal};

use super::groups::{Groups, Started};
use super::lines::Lines;
use super::{Ended, Error, Exit, Job, Limit, Message, Result, direct, system};
use crate::fs;

/// How many lines are kept to show after a failure.
const TAIL: usize = 20;
/// As much of a stream is read at once.
const BUFFER: usize = 16 * 1024;

/// What a script is watched by.
enum Source {
    /// One of its two streams.
    Stream {
        pipe: File,
        stderr: bool,
        lines: Lines,
    },
    /// Can be read when its leader is over.
    Leader(OwnedFd),
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
        keeps_log: true,
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
    let child = match spawn(job, script, number, groups)? {
        Started::Child(child) => child,
        Started::Signalled(signal) => return Ok(Exit::Signal(signal.as_raw())),
    };
    let mut script = Script {
        child,
        number,
        groups,
        reaped: false,
    };
    let sources = script.sources()?;
    let in_time = script.listen(sources, &limit_steps(job.limit, output.deadline), output)?;
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

fn spawn(job: &Job, script: &str, number: u64, groups: &Groups) -> io::Result<Started> {
    let prepare = |command: &mut Command| {
        let command = command.current_dir(&job.dir).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
    };
    if let Some(mut command) = direct::command(job, script) {
        prepare(&mut command);
        // What is wrong with a program that cannot be started, the shell says best.
        if let Ok(started) = groups.spawn(number, &mut command) {
            return Ok(started);
        }
    }
    let mut command = by_shell(job, script)?;
    prepare(&mut command);
    groups.spawn(number, &mut command)
}

#[expect(
    clippy::disallowed_methods,
    reason = "stages are what this room is there to run"
)]
fn by_shell(job: &Job, script: &str) -> io::Result<Command> {
    let (program, arguments) = job
        .shell
        .split_first()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the shell is empty"))?;
    let mut command = Command::new(program);
    command.args(arguments).arg(script);
    command.envs(job.env.iter().map(|(name, value)| (name, value)));
    Ok(command)
}

fn exit(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or_default()),
    }
}

/// A script that runs, and with it whatever it starts. Dropped before it was reaped (it could not
/// be watched), it is killed.
struct Script<'a> {
    child: Child,
    number: u64,
    groups: &'a Groups,
    reaped: bool,
}

impl Script<'_> {
    fn sources(&mut self) -> io::Result<Vec<Source>> {
        let stream = |pipe: OwnedFd, stderr| Source::Stream {
            pipe: File::from(pipe),
            stderr,
            lines: Lines::default(),
        };
        let stdout = self.child.stdout.take().map(OwnedFd::from);
        let stderr = self.child.stderr.take().map(OwnedFd::from);
        let leader = system::end_of(Pid::from_child(&self.child))?;
        let streams = [
            stdout.map(|pipe| stream(pipe, false)),
            stderr.map(|pipe| stream(pipe, true)),
        ];
        let streams = streams.into_iter().flatten();
        Ok(streams.chain([Source::Leader(leader)]).collect())
    }

    /// Hands on output until the leader is over and both streams have ended, or the farewell
    /// to what the leader left behind is. Says whether the leader ended before its time was over.
    fn listen(
        &self,
        mut sources: Vec<Source>,
        limit: &[Step],
        output: &mut Output<'_>,
    ) -> io::Result<bool> {
        let (mut ended, mut in_time) = (false, true);
        let mut steps = limit.iter();
        let mut step = next_step(&mut steps);
        while !sources.is_empty() {
            let ready = ready(&sources, step.map(|(_, deadline)| deadline))?;
            if ready.is_empty() {
                in_time &= ended;
                if let Some((Some(signal), _)) = step {
                    self.groups.end(self.number, signal);
                }
                step = next_step(&mut steps);
                if step.is_none() {
                    break;
                }
            }
            // From the back, so that the numbers of those before it stay.
            for at in ready.into_iter().rev() {
                if sources[at].read(output) {
                    continue;
                }
                if matches!(sources[at], Source::Leader(_)) {
                    ended = true;
                    steps = FAREWELL.iter();
                    step = next_step(&mut steps);
                }
                sources.remove(at).finish(output);
            }
        }
        Ok(in_time)
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

/// Waits until some sources have something, for ever if there is no deadline, and says which; none:
/// the time is over. A deadline in the past is that even if there is something, so that a child
/// that never stops printing cannot hold it off.
fn ready(sources: &[Source], deadline: Option<Instant>) -> io::Result<Vec<usize>> {
    let fds = sources.iter();
    let fds = fds.map(|source| PollFd::from_borrowed_fd(source.as_fd(), PollFlags::IN));
    let mut fds: Vec<PollFd<'_>> = fds.collect();
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Ok(Vec::new());
        }
        // What is too long for the system is as good as for ever.
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut fds, left.as_ref()) {
            Err(rustix::io::Errno::INTR) | Ok(0) => {}
            found => {
                found?;
                let ready = fds.iter().enumerate();
                let ready = ready.filter(|(_, fd)| !fd.revents().is_empty());
                return Ok(ready.map(|(at, _)| at).collect());
            }
        }
    }
}

impl Source {
    /// Reads what a stream has and hands on its lines; says whether more may come. A pipe that
    /// cannot be read has ended as far as anybody can tell.
    fn read(&mut self, output: &mut Output<'_>) -> bool {
        let Self::Stream {
            pipe,
            stderr,
            lines,
        } = self
        else {
            return false;
        };
        let mut buffer = [0; BUFFER];
        match pipe.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => true,
            Ok(0) | Err(_) => false,
            Ok(n_read) => {
                lines.take(&buffer[..n_read], &mut |line| output.take(line, *stderr));
                true
            }
        }
    }

    fn finish(self, output: &mut Output<'_>) {
        if let Self::Stream { stderr, lines, .. } = self {
            lines.finish(&mut |line| output.take(line, stderr));
        }
    }
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Stream { pipe, .. } => pipe.as_fd(),
            Self::Leader(end) => end.as_fd(),
        }
    }
}

/// Where the lines of a job go.
struct Output<'a> {
    job: &'a Job,
    sender: &'a SyncSender<Message>,
    /// Made for the first line.
    log: Option<File>,
    keeps_log: bool,
    tail: VecDeque<Vec<u8>>,
    /// When the time of the job is over.
    deadline: Option<Instant>,
    /// The most memory that a process of the job held.
    peak: Option<u64>,
}

impl Output<'_> {
    /// Adds a line to the log.
    fn keep(&mut self, line: &[u8]) -> io::Result<()> {
        let log = match &mut self.log {
            Some(log) => log,
            none => {
                let made = self.job.log.parent().map_or(Ok(()), fs::create_dir_all);
                let log = made.and_then(|()| fs::append(&self.job.log));
                none.insert(log.map_err(|error| error.source)?)
            }
        };
        log.write_all(&[line, b"\n"].concat())
    }

    fn take(&mut self, line: Vec<u8>, stderr: bool) {
        // A full disk must not end a run of hours for the sake of its log.
        self.keeps_log = self.keeps_log && self.keep(&line).is_ok();
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
