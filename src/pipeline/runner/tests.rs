use super::*;
use rustix::process::Signal;
use std::path::Path;
use std::time::Instant;

const LONG: Duration = Duration::from_secs(30);

/// All that a finished job told.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) out: Vec<String>,
    pub(super) err: Vec<String>,
    pub(super) exit: Result<Exit>,
    tail: Vec<Vec<u8>>,
}

pub(super) fn job(dir: &Path, scripts: &[&str]) -> Job {
    Job {
        stage: "train".to_owned(),
        scripts: scripts.iter().map(|script| (*script).to_owned()).collect(),
        shell: vec!["sh".to_owned(), "-ec".to_owned()],
        plain: false,
        dir: dir.to_path_buf(),
        env: Vec::new(),
        log: dir.join("logs/train.log"),
        limit: None,
    }
}

fn wait(runner: &Runner) -> Told {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    loop {
        match runner.recv_timeout(LONG).expect("the job says something") {
            Message::Output { line, stderr, .. } => {
                let line = String::from_utf8_lossy(&line).into_owned();
                if stderr { &mut err } else { &mut out }.push(line);
            }
            Message::Exited(Ended { exit, tail, .. }) => {
                return Told {
                    out,
                    err,
                    exit,
                    tail,
                };
            }
        }
    }
}

/// Waits for the first line.
fn first_line(runner: &Runner) -> String {
    match runner.recv_timeout(LONG) {
        Some(Message::Output { line, .. }) => String::from_utf8(line).unwrap(),
        other => panic!("no line, but {other:?}"),
    }
}

pub(super) fn told_by(job: Job) -> Told {
    let mut runner = Runner::new();
    runner.start(job);
    wait(&runner)
}

fn run(scripts: &[&str]) -> Told {
    let dir = tempfile::tempdir().unwrap();
    told_by(job(dir.path(), scripts))
}

fn is_alive(pid: &str) -> bool {
    // A zombie that nobody reaped yet is dead all the same.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

/// Waits until a process is gone; a killed one needs a moment.
fn assert_ends(pid: &str) {
    let deadline = Instant::now() + LONG;
    while is_alive(pid) {
        assert!(Instant::now() < deadline, "process {pid} still lives");
        std::thread::yield_now();
    }
}

#[test]
fn each_stream_keeps_its_order_and_lands_in_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let mut runner = Runner::new();
    runner.start(job(
        dir.path(),
        &["echo 1; echo a >&2; echo 2; printf 'b\\nc' >&2", "echo 3"],
    ));
    assert_eq!(runner.running(), 1);
    let told = wait(&runner);
    assert_eq!(runner.running(), 0);
    assert_eq!(told.out, ["1", "2", "3"]);
    assert_eq!(told.err, ["a", "b", "c"]);
    assert_eq!(told.exit.unwrap(), Exit::Code(0));
    let log = std::fs::read_to_string(dir.path().join("logs/train.log")).unwrap();
    let mut lines: Vec<&str> = log.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["1", "2", "3", "a", "b", "c"]);
}

#[test]
fn the_first_failure_ends_the_job() {
    let told = run(&["echo one", "echo two; exit 7", "echo three"]);
    assert_eq!(told.out, ["one", "two"]);
    assert_eq!(told.exit.unwrap(), Exit::Code(7));
}

#[test]
fn each_script_has_a_shell_of_its_own() {
    let told = run(&["cd /; X=1", "pwd | grep -qv '^/$'; echo \"x${X:-}\""]);
    assert_eq!(told.out, ["x"]);
}

#[test]
fn nothing_to_run_is_success() {
    assert_eq!(run(&[]).exit.unwrap(), Exit::Code(0));
}

#[test]
fn only_the_last_twenty_lines_are_kept() {
    let told = run(&["for n in $(seq 30); do echo $n; done; exit 1"]);
    assert_eq!(told.out.len(), 30);
    assert_eq!(told.tail.len(), 20);
    assert_eq!(told.tail[0], b"11");
    assert_eq!(told.tail[19], b"30");
}

#[test]
fn the_environment_is_passed_and_stdin_is_empty() {
    let dir = tempfile::tempdir().unwrap();
    let mut runner = Runner::new();
    let mut job = job(
        dir.path(),
        &["echo \"$ESKER_STAGE\"; wc -c; test -n \"$PATH\""],
    );
    job.env = vec![("ESKER_STAGE".to_owned(), "train it".to_owned())];
    runner.start(job);
    let told = wait(&runner);
    assert_eq!(told.out[0], "train it");
    assert_eq!(told.out[1].trim(), "0");
    assert_eq!(told.exit.unwrap(), Exit::Code(0));
}

#[test]
fn bytes_that_are_no_text_pass() {
    let dir = tempfile::tempdir().unwrap();
    let mut runner = Runner::new();
    runner.start(job(dir.path(), &["printf '\\377\\000x\\n'"]));
    let Some(Message::Output { line, .. }) = runner.recv_timeout(LONG) else {
        panic!("no output");
    };
    assert_eq!(line, b"\xff\0x");
}

#[test]
fn a_signal_is_not_an_exit_code() {
    assert_eq!(run(&["kill -9 $$"]).exit.unwrap(), Exit::Signal(9));
}

#[test]
fn what_cannot_start_says_what() {
    let dir = tempfile::tempdir().unwrap();
    let mut runner = Runner::new();
    let mut no_program = job(dir.path(), &["true"]);
    no_program.shell = vec!["/nowhere/sh".to_owned()];
    runner.start(no_program);
    let error = wait(&runner).exit.unwrap_err();
    assert_eq!(error.to_string(), "cannot start `/nowhere/sh`");

    let mut no_shell = job(dir.path(), &["true"]);
    no_shell.shell = Vec::new();
    runner.start(no_shell);
    assert!(matches!(wait(&runner).exit, Err(Error::Spawn { .. })));

    runner.start(job(dir.path(), &["echo 'a\0b'"]));
    assert!(matches!(wait(&runner).exit, Err(Error::Spawn { .. })));

    let mut no_dir = job(dir.path(), &["true"]);
    no_dir.dir = dir.path().join("nowhere");
    runner.start(no_dir);
    assert!(matches!(wait(&runner).exit, Err(Error::NoDirectory { .. })));

    assert_eq!(runner.running(), 0);
}

#[test]
fn a_log_is_made_for_the_first_line_and_is_worth_no_failure() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(
        told_by(job(dir.path(), &["true"])).exit.unwrap(),
        Exit::Code(0)
    );
    assert!(!dir.path().join("logs").exists());
    std::fs::create_dir(dir.path().join("log")).unwrap();
    let mut no_log = job(dir.path(), &["echo 1; echo 2"]);
    no_log.log = dir.path().join("log");
    let told = told_by(no_log);
    assert_eq!(
        (told.out, told.exit.unwrap()),
        (vec!["1".into(), "2".into()], Exit::Code(0))
    );
}

#[test]
fn a_child_in_the_background_ends_with_its_script() {
    let start = Instant::now();
    // It holds both pipes open.
    let told = run(&["sleep 1000 & echo $!", "echo next"]);
    assert_eq!(told.exit.unwrap(), Exit::Code(0));
    assert_eq!(told.out[1], "next");
    assert_ends(&told.out[0]);
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_silent_child_in_the_background_ends_too() {
    let told = run(&["sleep 1000 >/dev/null 2>&1 & echo $!"]);
    assert_eq!(told.exit.unwrap(), Exit::Code(0));
    assert_ends(&told.out[0]);
}

#[test]
fn a_child_that_ignores_the_request_to_end_is_killed() {
    let told = run(&["(trap '' TERM; while :; do sleep 0.1; done) & echo $!"]);
    assert_eq!(told.exit.unwrap(), Exit::Code(0));
    assert_ends(&told.out[0]);
}

#[test]
fn a_child_that_never_stops_printing_cannot_hold_the_end_off() {
    let told = run(&["(trap '' TERM; while :; do echo y; done) & echo $!"]);
    assert_eq!(told.exit.unwrap(), Exit::Code(0));
}

#[test]
fn a_child_that_ends_a_moment_later_may_finish() {
    // As `tee` behind a process substitution does.
    let told = run(&["(trap '' TERM; sleep 0.05; echo late) &"]);
    assert_eq!(told.out, ["late"]);
}

#[test]
fn a_child_in_another_session_is_not_waited_for() {
    let script = "setsid sh -c 'touch up; exec sleep 1000' & echo $!; until test -e up; do :; done";
    let told = run(&[script]);
    assert_eq!(told.exit.unwrap(), Exit::Code(0));
    let pid: i32 = told.out[0].parse().unwrap();
    // It is out of reach of the runner, so this test ends it.
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, Signal::KILL).unwrap();
}

#[test]
fn a_signal_ends_every_job_and_starts_no_next_script() {
    let dir = tempfile::tempdir().unwrap();
    let mut runner = Runner::new();
    // No fork: a shell that is just starting a child can lose a signal to it.
    runner.start(job(dir.path(), &["echo up; exec sleep 1000", "echo next"]));
    assert_eq!(first_line(&runner), "up");
    runner.signal(Signal::INT);
    let told = wait(&runner);
    assert_eq!(told.exit.unwrap(), Exit::Signal(2));
    assert!(told.out.is_empty());
}

#[test]
fn a_script_that_survives_a_signal_is_the_last_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut runner = Runner::new();
    let survivor = "trap 'echo saved; exit 0' TERM; sleep 1000 & echo up; wait";
    runner.start(job(dir.path(), &[survivor, "echo next"]));
    assert_eq!(first_line(&runner), "up");
    runner.signal(Signal::TERM);
    let told = wait(&runner);
    assert_eq!(told.out, ["saved"]);
    assert_eq!(told.exit.unwrap(), Exit::Signal(15));
}

#[test]
fn jobs_run_side_by_side() {
    let dir = tempfile::tempdir().unwrap();
    let mut runner = Runner::new();
    // Each waits for the other, so neither ends unless both run.
    for (mine, other) in [("a", "b"), ("b", "a")] {
        let script = format!("echo > {mine}; until test -e {other}; do sleep 0.01; done");
        let mut job = job(dir.path(), &[&script]);
        job.stage = mine.to_owned();
        runner.start(job);
    }
    assert_eq!(runner.running(), 2);
    for _ in 0..2 {
        assert_eq!(wait(&runner).exit.unwrap(), Exit::Code(0));
    }
}

#[test]
fn a_dropped_runner_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let mut runner = Runner::new();
    runner.start(job(dir.path(), &["trap '' TERM INT; echo $$; sleep 1000"]));
    let pid = first_line(&runner);
    drop(runner);
    assert_ends(&pid);
}

#[test]
fn nobody_says_anything_when_nothing_runs() {
    assert!(Runner::new().recv_timeout(Duration::ZERO).is_none());
}

fn limited(dir: &Path, script: &str, milliseconds: u64) -> Job {
    let short = Duration::from_millis(milliseconds);
    Job {
        limit: Some(Limit {
            after: short,
            grace: short,
        }),
        ..job(dir, &[script, "echo next"])
    }
}

#[test]
fn a_job_over_its_time_is_asked_to_end_with_all_it_started() {
    let dir = tempfile::tempdir().unwrap();
    let mut runner = Runner::new();
    runner.start(limited(dir.path(), "sleep 1000 & echo $!; wait", 100));
    let told = wait(&runner);
    assert_eq!(told.exit.unwrap(), Exit::TimedOut);
    assert_eq!(told.out.len(), 1, "{:?}", told.out);
    assert_ends(&told.out[0]);
}

#[test]
fn a_job_that_ignores_the_end_of_its_time_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut runner = Runner::new();
    let stubborn = "trap '' TERM; echo $$; while :; do sleep 1000; done";
    runner.start(limited(dir.path(), stubborn, 100));
    let told = wait(&runner);
    assert_eq!(told.exit.unwrap(), Exit::TimedOut);
    assert_ends(&told.out[0]);
}

#[test]
fn a_job_within_its_time_ends_as_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let mut runner = Runner::new();
    runner.start(limited(dir.path(), "exit 3", 60_000));
    assert_eq!(wait(&runner).exit.unwrap(), Exit::Code(3));
}

#[test]
fn a_script_leads_a_session_of_its_own_so_that_it_has_no_terminal() {
    let told = run(&["read -r _ _ _ _ group session _ < /proc/$$/stat; echo $$ $group $session"]);
    let ids: Vec<&str> = told.out[0].split(' ').collect();
    assert!(ids[0] == ids[1] && ids[1] == ids[2], "{ids:?}");
}

#[test]
fn the_peak_of_memory_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut runner = Runner::new();
    // A string of 64 MiB in the shell itself.
    runner.start(job(
        dir.path(),
        &["x=$(head -c 67108864 /dev/zero | tr '\\0' x); test ${#x} = 67108864"],
    ));
    match runner.recv_timeout(LONG) {
        Some(Message::Exited(Ended {
            exit, peak_memory, ..
        })) => {
            assert_eq!(exit.unwrap(), Exit::Code(0));
            let peak = peak_memory.unwrap();
            assert!((64 << 20..4 << 30).contains(&peak), "{peak}");
        }
        other => panic!("no end, but {other:?}"),
    }
}
