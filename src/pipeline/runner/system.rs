//! The two things that the standard library cannot ask of the system.

#![expect(
    unsafe_code,
    reason = "a hook between fork and exec, and `wait4`, have no safe form"
)]

use std::io::{self, PipeWriter, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

/// Makes the process lead a session of its own, and so a process group. It has no terminal then:
/// what asks for one fails at once instead of being stopped for ever. The process announces its
/// group to the watcher itself, before it becomes the command: so there is no moment at which it
/// runs and nobody would end it.
pub(super) fn lead_session(command: &mut Command, watcher: Arc<PipeWriter>) {
    let announce = move || {
        let group = rustix::process::setsid()?;
        let mut line = [b' '; 16];
        let text = decimal(group.as_raw_nonzero().get(), &mut line);
        (&*watcher).write_all(text)
    };
    // SAFETY: between fork and exec the hook makes two system calls and touches nothing but its
    // own stack: it neither allocates nor locks.
    unsafe {
        command.pre_exec(announce);
    }
}

/// `+`, a number and a line end, written at the end of `line`.
fn decimal(number: i32, line: &mut [u8; 16]) -> &[u8] {
    let mut rest = number.unsigned_abs();
    let mut at = line.len() - 1;
    line[at] = b'\n';
    while at > 1 && (rest > 0 || line[at] == b'\n') {
        at -= 1;
        line[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    line[at - 1] = b'+';
    &line[at - 1..]
}

/// Something that can be read once a process is over. The process stays a zombie, so that its id
/// keeps naming its group and no other.
pub(super) fn end_of(process: Pid) -> io::Result<OwnedFd> {
    #[cfg(target_os = "linux")]
    if let Ok(end) = rustix::process::pidfd_open(process, rustix::process::PidfdFlags::empty()) {
        return Ok(end);
    }
    end_by_thread(process)
}

/// The same where the kernel has nothing for it: a pipe that a thread closes.
fn end_by_thread(process: Pid) -> io::Result<OwnedFd> {
    let (end, writer) = io::pipe()?;
    std::thread::Builder::new().spawn(move || {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        let _ = rustix::io::retry_on_intr(|| waitid(WaitId::Pid(process), options));
        drop(writer);
    })?;
    Ok(end.into())
}

/// Reaps a process: how it ended, and the most memory that it, or any one process that it waited
/// for, held at once, in bytes.
pub(super) fn reap(child: &Child) -> io::Result<(ExitStatus, u64)> {
    let pid = libc::pid_t::try_from(child.id()).map_err(io::Error::other)?;
    let mut status = 0;
    // SAFETY: `rusage` is plain numbers, for which zero is a value, and both places are valid to
    // write to while `wait4` runs.
    let (found, usage) = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        let found = again(|| libc::wait4(pid, &raw mut status, 0, &raw mut usage));
        (found, usage)
    };
    if found != pid {
        return Err(io::Error::last_os_error());
    }
    let peak = u64::try_from(usage.ru_maxrss).unwrap_or(0);
    // Linux counts in KiB, macOS in bytes.
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    Ok((ExitStatus::from_raw(status), peak.saturating_mul(unit)))
}

/// Calls again what a signal cut short.
fn again(mut call: impl FnMut() -> libc::pid_t) -> libc::pid_t {
    loop {
        let found = call();
        if found >= 0 || io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return found;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_process_can_be_waited_for_in_two_ways() {
        for end_of in [end_of, end_by_thread] {
            #[expect(clippy::disallowed_methods, reason = "a test of what a process does")]
            let mut cat = Command::new("cat")
                .stdin(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            let end = end_of(Pid::from_child(&cat)).unwrap();
            let is_over = |timeout: Option<&rustix::event::Timespec>| {
                let flags = rustix::event::PollFlags::IN;
                let mut fds = [rustix::event::PollFd::new(&end, flags)];
                rustix::event::poll(&mut fds, timeout).unwrap() == 1
            };
            let at_once = rustix::event::Timespec::default();
            assert!(!is_over(Some(&at_once)));
            drop(cat.stdin.take());
            assert!(is_over(None));
            assert!(cat.wait().unwrap().success());
        }
    }

    #[test]
    fn a_number_is_announced_in_full() {
        for number in [1, 9, 10, 32_768, 4_194_304, i32::MAX] {
            let mut line = [b' '; 16];
            assert_eq!(
                decimal(number, &mut line),
                format!("+{number}\n").as_bytes()
            );
        }
    }
}
