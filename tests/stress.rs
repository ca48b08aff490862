//! Pushes beside collections, for minutes: what was pushed is there. Run by name.
//!
//! Eight clones push data that overlaps, two collections without grace and without regard to age
//! run all the time. Every other push is of a commit that is forgotten at once, so that what it
//! sent becomes garbage while others rely on it. Of the rest, some are killed at a step that
//! chance decides, and some stop there until collections have gone by.

use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::common::{S3, Sandbox};

const PUSHERS: u64 = 8;
/// Somebody who forgets a commit has it dropped at once.
const FORTY_DAYS: &str = "3456000";
/// What a push stops for is over long before.
const STUCK: Duration = Duration::from_secs(180);

/// A stress run and what it counts.
struct Stress<'s> {
    sandbox: &'s Sandbox,
    /// More variables for each push.
    env: &'s [(&'s str, &'s str)],
    end: Instant,
    /// The steps that change the disk in a push.
    steps: u64,
    started: AtomicU64,
    collections: Mutex<u64>,
    collected: Condvar,
    is_over: AtomicBool,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    collections: AtomicU64,
    deleted: AtomicU64,
    forwards: AtomicU64,
    pushes: AtomicU64,
    stopped: AtomicU64,
    killed: AtomicU64,
    mended: AtomicU64,
}

impl Counts {
    fn say(&self) -> String {
        format!(
            "{} pushes, {} of them stopped on the way, {} mended; {} killed; \
             {} collections, {} packs deleted, {} runs moved something",
            get(&self.pushes),
            get(&self.stopped),
            get(&self.mended),
            get(&self.killed),
            get(&self.collections),
            get(&self.deleted),
            get(&self.forwards)
        )
    }
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::SeqCst)
}

fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::SeqCst);
}

/// How long they push.
fn seconds(usual: u64) -> u64 {
    std::env::var("ESKER_STRESS_SECONDS").map_or(usual, |text| text.parse().unwrap())
}

/// Chance that is the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) % limit
    }
}

fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut chance = Chance((seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    (0..length).map(|_| chance.below(256) as u8).collect()
}

/// What happens to a push on its way.
enum Fate {
    Undisturbed,
    /// Killed before this step.
    Killed(u64),
    /// Stopped before this step, until so many collections are over.
    Stopped(u64, u64),
}

impl<'s> Stress<'s> {
    /// Runs it, and gives back what kept commits need and nobody can bring.
    fn run(
        sandbox: &'s Sandbox,
        seconds: u64,
        env: &'s [(&'s str, &'s str)],
    ) -> (Counts, Vec<String>) {
        let stress = Stress {
            sandbox,
            env,
            steps: prepare(sandbox),
            end: Instant::now() + Duration::from_secs(seconds),
            started: AtomicU64::new(0),
            collections: Mutex::new(0),
            collected: Condvar::new(),
            is_over: AtomicBool::new(false),
            counts: Counts::default(),
        };
        std::thread::scope(|scope| {
            let pusher = |number| {
                let stress = &stress;
                scope.spawn(move || stress.push_until_the_end(number))
            };
            let pushers: Vec<_> = (0..PUSHERS).map(pusher).collect();
            for _ in 0..2 {
                scope.spawn(|| stress.collect_until_all_is_over());
            }
            let ended: Vec<_> = pushers.into_iter().map(|pusher| pusher.join()).collect();
            stress.is_over.store(true, Ordering::SeqCst);
            ended.into_iter().for_each(Result::unwrap);
        });
        let broken = std::thread::scope(|scope| {
            let bring = |number| scope.spawn(move || cannot_be_brought(sandbox, number));
            let brought: Vec<_> = (0..PUSHERS).map(bring).collect();
            brought
                .into_iter()
                .flat_map(|broken| broken.join().unwrap())
                .collect()
        });
        (stress.counts, broken)
    }

    fn collect_until_all_is_over(&self) {
        while !self.is_over.load(Ordering::SeqCst) {
            self.collect_once();
            *self.collections.lock().unwrap() += 1;
            self.collected.notify_all();
        }
    }

    fn collect_once(&self) {
        let line = "gc -r store --confirm store --grace 0s --min-age 0s --json";
        let output = self
            .sandbox
            .esker_with(line, &[("ESKER_CLOCK_AHEAD", FORTY_DAYS)]);
        let Ok(report) = serde_json::from_str::<serde_json::Value>(&output.stdout) else {
            // Two collections may get too much in each other's way, and say so.
            assert!(output.stderr.contains("too many collections"), "{output}");
            return;
        };
        assert!(report["blind"].is_null(), "{output}");
        let deleted = report["deleted"]["packs"].as_u64().unwrap();
        add(&self.counts.collections, 1);
        add(&self.counts.deleted, deleted);
        add(
            &self.counts.forwards,
            u64::from(report["rescued"].as_u64().unwrap() > 0),
        );
    }

    fn wait_for_collections(&self, more: u64) {
        let now = self.collections.lock().unwrap();
        let wanted = *now + more;
        let (_now, waited) = self
            .collected
            .wait_timeout_while(now, STUCK, |count| *count < wanted)
            .unwrap();
        assert!(!waited.timed_out(), "the collections came to an end");
    }

    fn push_until_the_end(&self, number: u64) {
        let dir = self.sandbox.root().join(format!("c{number}"));
        let mut chance = Chance((number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        for turn in 0.. {
            if Instant::now() >= self.end {
                return;
            }
            self.commit(&dir, number, turn, &mut chance);
            if chance.below(2) == 0 {
                // Whoever collects knows this commit, and that nothing leads to it.
                let fetch = "git -c gc.auto=0 fetch --quiet --no-write-fetch-head";
                self.sandbox.sh(&format!("{fetch} ../c{number} HEAD"));
                self.push(&dir, &Fate::Undisturbed);
                continue;
            }
            let step = 1 + chance.below(self.steps);
            let fate = match chance.below(6) {
                0 => Fate::Undisturbed,
                1 => Fate::Killed(step),
                _ => Fate::Stopped(step, 1 + chance.below(4)),
            };
            if self.push(&dir, &fate) {
                let name = format!("kept-{turn}");
                self.sandbox
                    .sh(&format!("git -C ../c{number} branch {name}"));
            }
        }
    }

    /// Commits some contents that all clones take at the time, and one that nobody else has. The
    /// commit has no ancestor with data, so a push finds what is there object by object.
    fn commit(&self, dir: &Path, number: u64, turn: u64, chance: &mut Chance) {
        let era = self.started.fetch_add(1, Ordering::SeqCst) / 12;
        std::fs::create_dir_all(dir.join("data")).unwrap();
        for file in 0..3 {
            let content = era * 6 + chance.below(6);
            let path = dir.join(format!("data/f{file}"));
            std::fs::write(path, noise(content, 30_000)).unwrap();
        }
        std::fs::write(dir.join("data/own"), format!("{number} {turn}")).unwrap();
        self.sandbox.sh(&format!(
            "cd ../c{number} && git checkout --quiet --detach empty && esker add data --quiet && \
             git add -A && git commit --quiet -m 'Turn {turn} of {number}'"
        ));
    }

    /// Pushes; says whether it reported success.
    fn push(&self, dir: &Path, fate: &Fate) -> bool {
        let mut command = self.sandbox.command_in(dir, "push --json");
        command.envs(self.env.iter().copied());
        let (how, step) = match fate {
            Fate::Undisturbed => ("abort", 0),
            Fate::Killed(step) => ("abort", *step),
            Fate::Stopped(step, _) => ("pause", *step),
        };
        command
            .env("ESKER_FAIL_HOW", how)
            .env("ESKER_FAIL_AT", step.to_string());
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        if let Fate::Stopped(_, collections) = fate {
            let pid = Pid::from_child(&child);
            if is_stopped(pid) {
                self.wait_for_collections(*collections);
                kill_process(pid, Signal::CONT).unwrap();
                add(&self.counts.stopped, 1);
            }
        }
        self.count(&child.wait_with_output().unwrap(), fate)
    }

    fn count(&self, output: &Output, fate: &Fate) -> bool {
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let was_killed = output.status.code().is_none() && matches!(fate, Fate::Killed(_));
            assert!(was_killed || said.contains("collected faster"), "{said}");
            add(&self.counts.killed, 1);
            return false;
        }
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        add(&self.counts.pushes, 1);
        add(
            &self.counts.mended,
            report["mended"].as_u64().unwrap().min(1),
        );
        true
    }
}

/// Waits until a process stops or ends.
fn is_stopped(pid: Pid) -> bool {
    let options = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    let status = waitid(WaitId::Pid(pid), options).unwrap().unwrap();
    status.stopped()
}

/// Makes the remote, and a clone for each pusher. Says how many steps a push has.
fn prepare(sandbox: &Sandbox) -> u64 {
    sandbox.commit("Remote");
    sandbox.git("tag empty");
    // Before the first push there is no remote to collect from.
    sandbox.write("data/first", "first");
    sandbox.ok("add data");
    sandbox.commit("First");
    let count = sandbox.root().join("steps");
    let path = count.to_str().unwrap();
    let pushed = sandbox.esker_with("push", &[("ESKER_FAIL_COUNT", path)]);
    assert_eq!(pushed.code, 0, "{pushed}");
    for number in 0..PUSHERS {
        sandbox.git(&format!("clone --quiet . ../c{number}"));
    }
    std::fs::read_to_string(count).unwrap().parse().unwrap()
}

/// Brings all commits that a clone kept into an empty one, and pulls the last of them into another:
/// what neither finds.
fn cannot_be_brought(sandbox: &Sandbox, number: u64) -> Vec<String> {
    let kept =
        "git for-each-ref --format='%(refname:short)' --sort=creatordate 'refs/heads/kept-*'";
    let kept = sandbox.sh(&format!("cd ../c{number} && {kept}"));
    let Some(last) = kept.lines().last() else {
        return Vec::new();
    };
    let all = format!(
        "git clone --quiet ../c{number} ../all{number} && cd ../all{number} && \
         git checkout --quiet --detach empty && esker fetch --all-branches"
    );
    let one = format!(
        "git clone --quiet --branch {last} ../c{number} ../one{number} && cd ../one{number} && \
         esker pull && esker fsck --data"
    );
    let outputs = [all, one].map(|line| sandbox.try_sh(&line));
    let failed = outputs.iter().filter(|output| output.code != 0);
    failed
        .map(|output| format!("of c{number}: {output}"))
        .collect()
}

#[expect(
    clippy::print_stderr,
    reason = "who calls it wants to know the numbers"
)]
fn say(counts: &Counts) {
    eprintln!("{}", counts.say());
}

fn nothing_is_lost(sandbox: &Sandbox) {
    let seconds = seconds(180);
    let (counts, broken) = Stress::run(sandbox, seconds, &[]);
    say(&counts);
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    // So many in three minutes.
    let least = |n: u64| n * seconds / 180;
    assert!(get(&counts.deleted) >= least(100), "{}", counts.say());
    assert!(get(&counts.forwards) >= least(10), "{}", counts.say());
    assert!(get(&counts.mended) >= least(10), "{}", counts.say());
}

fn something_is_lost_without_validation(sandbox: &Sandbox) {
    let (counts, broken) = Stress::run(sandbox, seconds(60), &[("ESKER_NO_VALIDATION", "1")]);
    say(&counts);
    assert!(!broken.is_empty(), "nothing was lost without it");
}

fn with_directory() -> Sandbox {
    let sandbox = Sandbox::project();
    sandbox.ok("remote add store ../remote --default");
    sandbox
}

fn with_server() -> Sandbox {
    let mut sandbox = Sandbox::project();
    S3::server().attach(&mut sandbox);
    sandbox.edit("esker.toml", "[remote.s3]", "[remote.store]");
    // All the clones trust the server.
    sandbox.sh("mkdir -p ../home/.config/esker && cp .git/esker/config.toml ../home/.config/esker");
    sandbox
}

#[test]
#[ignore = "three minutes of eight pushers: run it by name with --run-ignored only"]
fn in_a_directory_nothing_is_lost() {
    nothing_is_lost(&with_directory());
}

#[test]
#[ignore = "three minutes of eight pushers: run it by name with --run-ignored only"]
fn on_s3_nothing_is_lost() {
    nothing_is_lost(&with_server());
}

#[test]
#[ignore = "a minute of eight pushers: run it by name with --run-ignored only"]
fn in_a_directory_data_is_lost_without_validation() {
    something_is_lost_without_validation(&with_directory());
}

#[test]
#[ignore = "a minute of eight pushers: run it by name with --run-ignored only"]
fn on_s3_data_is_lost_without_validation() {
    something_is_lost_without_validation(&with_server());
}
