//! `kill -9` of push and pull at moments that chance decides: the next run ends complete, what had
//! arrived is not sent again, but for the packs that were under way, and the remote is whole.
//!
//! Beside a directory the moment is a step that changes the disk, on S3 a number of bytes on the
//! line to the server. `crash.rs` goes through every step of a small push and pull; here the data
//! makes packs of all kinds, and one run after the other is killed.

use std::path::Path;
use std::process::Stdio;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::common::{Line, S3, Sandbox};

/// The longest pack holds this file.
const LARGE: usize = 5 << 20;
/// What is under way beside the longest pack, since several are sent and received at once: the
/// packs of the other files, and headers, lists, indexes, segments and snapshots.
const BESIDES: u64 = 2 << 20;

/// So many on one remote.
const MOST_ROUNDS: u64 = 6;

/// Kills at least so many runs.
fn kill(wanted: u64, make: fn(u64) -> Kills) {
    let (mut kills, mut remotes) = (0, 0);
    while kills < wanted {
        remotes += 1;
        kills += make(remotes).some_rounds(wanted - kills);
    }
    #[expect(
        clippy::print_stderr,
        reason = "who calls it wants to know the numbers"
    )]
    {
        eprintln!("{kills} killed on {remotes} remotes");
    }
}

struct Kills {
    sandbox: Sandbox,
    /// The line to the server; without one the remote is the directory `../remote`.
    line: Option<Line>,
    chance: u64,
}

/// A run that was perhaps killed.
struct Run {
    was_killed: bool,
    /// Bytes on the line, in each direction.
    up: u64,
    down: u64,
    /// How far it came: steps, or bytes on the line.
    length: u64,
}

/// All runs until one was not killed.
#[derive(Default)]
struct Runs {
    kills: u64,
    up: u64,
    down: u64,
    length: u64,
}

impl Kills {
    /// Kills so many runs, in rounds that each end with data that has arrived. Says how many.
    fn some_rounds(mut self, wanted: u64) -> u64 {
        let usual = self.round(0, None);
        assert_eq!(usual.kills, 0);
        let mut kills = 0;
        // Later a push would fold, which is longer than usual.
        for turn in 1..=MOST_ROUNDS {
            if kills < wanted {
                kills += self.round(turn, Some(&usual)).kills;
            }
        }
        kills
    }

    /// New data goes to the remote and into an empty clone. Without what is usual nobody is killed.
    fn round(&mut self, turn: u64, usual: Option<&Round>) -> Round {
        self.make_data(turn);
        let before = self.stored();
        let here = self.sandbox.path("");
        let push = self.until_done(&here, "push", usual.map(|usual| usual.push.length));
        let stored = self.stored() - before;
        self.sandbox.git(&format!("clone --quiet . ../clone{turn}"));
        let there = self.sandbox.root().join(format!("clone{turn}"));
        let pull = self.until_done(&there, "pull", usual.map(|usual| usual.pull.length));
        let mut came = self.sandbox.files(&format!("clone{turn}"));
        // What a killed one was about to put in place is swept up when it is a day old.
        came.retain(|name, _| !name.contains(".esker-tmp-"));
        assert!(came == self.sandbox.files("project"), "turn {turn}");
        std::fs::remove_dir_all(there).unwrap();
        self.sandbox.ok("fsck --remote --data");
        let round = Round {
            kills: push.kills + pull.kills,
            push,
            pull,
            stored,
        };
        if let Some(usual) = usual {
            round.is_not_more_than(usual);
        }
        round
    }

    /// Small files, longer ones and one that is cut into chunks, which nobody has seen before.
    fn make_data(&mut self, turn: u64) {
        for number in 0..150 {
            self.write(&format!("data/small/{number}"), 4_000);
        }
        for number in 0..10 {
            self.write(&format!("data/longer/{number}"), 100_000);
        }
        self.write("data/large", LARGE);
        self.sandbox.ok("add data");
        self.sandbox.commit(&format!("Turn {turn}"));
    }

    fn write(&mut self, path: &str, length: usize) {
        let bytes: Vec<u8> = (0..length).map(|_| self.below(256) as u8).collect();
        self.sandbox.write(path, bytes);
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        (self.chance >> 20) % limit
    }

    /// The bytes of all packs, where they can be seen.
    fn stored(&self) -> u64 {
        if self.line.is_some() || !self.sandbox.root().join("remote").exists() {
            return 0;
        }
        let files = self.sandbox.files("remote").into_iter();
        let packs = files.filter(|(name, _)| name.starts_with("p/"));
        packs.map(|(_, (bytes, _))| bytes.len() as u64).sum()
    }

    /// Runs it again and again until it is not killed.
    fn until_done(&mut self, dir: &Path, verb: &str, length: Option<u64>) -> Runs {
        let mut runs = Runs::default();
        loop {
            let moment = length.map_or(0, |length| 1 + self.below(length));
            let run = self.run(dir, verb, moment);
            runs.up += run.up;
            runs.down += run.down;
            runs.length = run.length;
            if !run.was_killed {
                return runs;
            }
            runs.kills += 1;
        }
    }

    /// Runs it, and kills it when it has come so far; 0 is never.
    fn run(&self, dir: &Path, verb: &str, moment: u64) -> Run {
        let count = self.sandbox.root().join("steps");
        let mut command = self.sandbox.command_in(dir, verb);
        command
            .env("ESKER_FAIL_COUNT", &count)
            .env("ESKER_FAIL_HOW", "pause");
        if self.line.is_none() {
            command.env("ESKER_FAIL_AT", moment.to_string());
        }
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = Pid::from_child(&child);
        if let Some(line) = &self.line {
            line.kill_after(moment, pid);
        }
        if is_stopped(pid) {
            kill_process(pid, Signal::KILL).unwrap();
        }
        // Before the process is reaped, so that the line kills nobody else.
        let (up, down) = self.line.as_ref().map_or((0, 0), Line::stop);
        let output = child.wait_with_output().unwrap();
        let was_killed = output.status.code().is_none();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(was_killed || output.status.success(), "{verb}: {said}");
        let steps = || std::fs::read_to_string(&count).unwrap().parse().unwrap();
        let length = match (&self.line, was_killed) {
            (Some(_), _) => up + down,
            (None, true) => moment,
            (None, false) => steps(),
        };
        Run {
            was_killed,
            up,
            down,
            length,
        }
    }
}

/// What a round took.
struct Round {
    kills: u64,
    push: Runs,
    pull: Runs,
    /// The bytes of the packs that came to lie on the remote.
    stored: u64,
}

impl Round {
    /// The whole, and for each kill the packs that were under way.
    fn is_not_more_than(&self, usual: &Self) {
        let limit = |whole: u64, kills: u64| whole + kills * (LARGE as u64 + BESIDES);
        let sent = (self.push.up, limit(usual.push.up, self.push.kills));
        assert!(sent.0 <= sent.1, "sent {sent:?}");
        let stored = (self.stored, limit(usual.stored, self.push.kills));
        assert!(stored.0 <= stored.1, "stored {stored:?}");
        let received = (self.pull.down, limit(usual.pull.down, self.pull.kills));
        assert!(received.0 <= received.1, "received {received:?}");
    }
}

/// Waits until a process stops or ends.
fn is_stopped(pid: Pid) -> bool {
    let options = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    let status = waitid(WaitId::Pid(pid), options).unwrap().unwrap();
    status.stopped()
}

fn beside_a_directory(seed: u64) -> Kills {
    let sandbox = Sandbox::project();
    sandbox.ok("remote add store ../remote --default");
    sandbox.commit("Remote");
    Kills {
        sandbox,
        line: None,
        chance: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15),
    }
}

fn beside_a_server(seed: u64) -> Kills {
    let mut sandbox = Sandbox::project();
    let mut server = S3::server();
    let line = Line::to(&server.endpoint);
    server.endpoint = line.endpoint.clone();
    server.attach(&mut sandbox);
    // All the clones trust the server.
    sandbox.sh("mkdir -p ../home/.config/esker && cp .git/esker/config.toml ../home/.config/esker");
    sandbox.commit("Remote");
    Kills {
        sandbox,
        line: Some(line),
        chance: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15),
    }
}

#[test]
fn a_transfer_beside_a_directory_is_taken_up_again() {
    kill(10, beside_a_directory);
}

#[test]
fn a_transfer_beside_a_server_is_taken_up_again() {
    kill(10, beside_a_server);
}

#[test]
#[ignore = "some minutes: run it by name with --run-ignored only"]
fn two_hundred_transfers_beside_a_directory() {
    kill(200, beside_a_directory);
}

#[test]
#[ignore = "some minutes: run it by name with --run-ignored only"]
fn two_hundred_transfers_beside_a_server() {
    kill(200, beside_a_server);
}
