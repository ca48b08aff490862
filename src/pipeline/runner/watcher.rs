//! Ends the process groups of stages when esker itself is killed.
//!
//! A process that dies by `kill -9` cleans up nothing. So the first stage that runs starts one
//! small shell, in a session of its own, that reads the groups under way from a pipe: `+7` is
//! alive, `-7` is over. The pipe ends when esker does, however it does; then what is left is
//! killed. `PR_SET_PDEATHSIG` would reach a stage's shell alone, not what that has started.

use std::io::{self, PipeWriter, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::Pid;

/// Ignores what a terminal or a shell sends to everybody, so that it is there to the end.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
groups=' '
while read -r line; do
  case $line in
    +*) groups="$groups${line#+} " ;;
    -*) groups="${groups%% ${line#-} *} ${groups#* ${line#-} }" ;;
  esac
done
for group in $groups; do kill -KILL "-$group"; done
"#;

/// The watcher, started when it is first asked for.
#[derive(Default)]
pub(super) struct Watcher(Mutex<Option<Running>>);

struct Running {
    shell: Child,
    pipe: Arc<PipeWriter>,
}

impl Watcher {
    /// Where a new process group announces itself.
    pub(super) fn pipe(&self) -> io::Result<Arc<PipeWriter>> {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if running.is_none() {
            *running = Some(start()?);
        }
        let pipe = running.as_ref().map(|running| Arc::clone(&running.pipe));
        pipe.ok_or_else(|| io::Error::other("no watcher"))
    }

    /// A group is over.
    pub(super) fn forget(&self, group: Pid) {
        let running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = &*running {
            // Without a watcher there is nobody who would have to forget.
            let line = format!("-{}\n", group.as_raw_nonzero());
            let _ = (&*running.pipe).write_all(line.as_bytes());
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let running = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(Running { mut shell, pipe }) = running.take() {
            drop(pipe);
            let _ = shell.wait();
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "it belongs to the stages that this room is there to run"
)]
fn start() -> io::Result<Running> {
    use std::os::unix::process::CommandExt;
    let (reader, pipe) = io::pipe()?;
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", SCRIPT])
        .current_dir("/")
        .stdin(reader)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    Ok(Running {
        shell: command.spawn()?,
        pipe: Arc::new(pipe),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_that_are_over_are_left_alone() {
        // What the script would kill, as text: the shell's own words instead of `kill`.
        let script = SCRIPT.replace("kill -KILL", "echo");
        let input = "+7\n+42\n+421\n-42\n+4\n-7\n+9\n-9\n";
        #[expect(clippy::disallowed_methods, reason = "a test of what the shell does")]
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &script]).stdin(Stdio::piped());
        let mut shell = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut stdin = shell.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
        drop(stdin);
        let output = shell.wait_with_output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "-421\n-4\n");
    }
}
