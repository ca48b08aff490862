use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::common::{S3, Sandbox};

const DAY: u64 = 24 * 60 * 60;

/// A project whose remote holds two versions of a file, the second on a branch of its own.
fn with_two_versions() -> Sandbox {
    let sandbox = Sandbox::project();
    sandbox.ok("remote add store ../remote --default");
    sandbox.write("data.bin", vec![1; 50_000]);
    sandbox.ok("add data.bin");
    sandbox.commit("First");
    sandbox.ok("push");
    sandbox.git("switch --quiet --create side");
    sandbox.write("data.bin", vec![2; 60_000]);
    sandbox.ok("add data.bin");
    sandbox.commit("Second");
    sandbox.ok("push");
    sandbox.git("switch --quiet main");
    sandbox.ok("checkout --force");
    sandbox
}

fn later(sandbox: &Sandbox, line: &str, days: u64) -> crate::common::Output {
    let seconds = (days * DAY).to_string();
    sandbox.esker_with(line, &[("ESKER_CLOCK_AHEAD", &seconds)])
}

#[test]
fn what_git_has_forgotten_goes_in_two_runs() {
    let sandbox = with_two_versions();
    insta::assert_snapshot!(later(&sandbox, "gc -r store --confirm store", 40), @"
    exit: 0
    --- stderr
    Nothing to collect on `store`: 2 packs (328 B) stay
    ");
    sandbox.git("branch --quiet -D side");
    let kept = later(&sandbox, "gc -r store --confirm store", 40);
    assert!(
        kept.stderr.contains("Nothing to collect"),
        "the reflog leads there\n{kept}"
    );
    sandbox.git("reflog expire --expire=all --all");
    let young = later(&sandbox, "gc -r store --confirm store", 29);
    assert!(young.stderr.contains("Nothing to collect"), "{young}");

    insta::assert_snapshot!(later(&sandbox, "gc -r store --dry-run", 40), @"
    exit: 0
    --- stderr
      - snapshot of f114be9, 40 days old  nothing leads to that commit any more
      ~ 1 pack (164 B)  to be condemned: nobody needs them; a later run deletes them
    Would condemn 164 B on `store`, for a later run to free; 1 pack (164 B) stay
    ");
    let first = later(&sandbox, "gc -r store --confirm store", 40);
    assert_eq!(first.code, 0, "{first}");
    let waiting = later(&sandbox, "gc -r store --confirm store", 0);
    assert!(
        waiting.stderr.contains("deleted when the grace is over"),
        "{waiting}"
    );
    insta::assert_snapshot!(later(&sandbox, "gc -r store --confirm store", 42), @"
    exit: 0
    --- stderr
      - 1 pack (164 B)  deleted: condemned by an earlier run
    Freed 164 B on `store`; 1 pack (164 B) stay
    ");
    let clone = sandbox.clone_to("clone");
    clone.ok("pull");
    assert_eq!(clone.files(), sandbox.files("project"));
}

#[test]
fn a_worktree_a_stash_and_the_index_keep_what_they_need() {
    for keep in [
        "git worktree add --quiet --detach ../tree side",
        "git checkout --quiet side -- esker.lock && git stash --quiet",
        "git checkout --quiet side -- esker.lock && git restore --worktree esker.lock",
    ] {
        let sandbox = with_two_versions();
        sandbox.sh(keep);
        sandbox
            .git("branch --quiet -D side && git reflog expire --expire=all HEAD refs/heads/main");
        let report = later(&sandbox, "gc -r store --json --dry-run", 40);
        assert!(
            report.stdout.contains("\"dropped\": []"),
            "{keep}\n{report}"
        );
    }
}

#[test]
fn a_clone_that_does_not_see_everything_drops_nothing() {
    let sandbox = with_two_versions();
    sandbox.git("branch --quiet -D side && git reflog expire --expire=all --all");
    sandbox.git("remote add origin ../nowhere");
    let blind = later(&sandbox, "gc -r store --dry-run", 40);
    assert!(blind.stderr.contains("`git fetch --all` failed"), "{blind}");
    assert!(blind.stderr.contains("Nothing to collect"), "{blind}");
    sandbox.git("config remote.origin.fetch +refs/heads/main:refs/remotes/origin/main");
    let blind = later(&sandbox, "gc -r store --dry-run", 40);
    assert!(blind.stderr.contains("some branches only"), "{blind}");
}

#[test]
fn a_commit_that_was_never_seen_here_counts_as_needed() {
    let sandbox = with_two_versions();
    let clone = sandbox.clone_to("clone");
    clone.sh("git config user.name Bo && git config user.email bo@example.com");
    std::fs::write(sandbox.root().join("clone/data.bin"), vec![3; 70_000]).unwrap();
    clone.ok("add data.bin");
    clone.sh("git commit --quiet --all --message Third");
    clone.ok("push");
    let kept = later(&sandbox, "gc -r store --dry-run --json", 40);
    assert!(kept.stdout.contains("\"dropped\": []"), "{kept}");
    let asked = later(
        &sandbox,
        "gc -r store --dry-run --json --forget-unknown 35",
        40,
    );
    assert!(asked.stdout.contains("\"days\": 40"), "{asked}");
    let usage = sandbox.esker("gc -r store --forget-unknown 3");
    assert_eq!(usage.code, 2, "{usage}");
}

#[test]
fn nobody_is_asked_without_a_terminal() {
    let sandbox = with_two_versions();
    insta::assert_snapshot!(sandbox.esker("gc -r store"), @"
    exit: 2
    --- stderr
    error[E0905]: gc changes a remote that others use

    hint: there is no terminal to ask on: add `--confirm store`
    ");
    let wrong = sandbox.esker("gc -r store --confirm other");
    assert_eq!(wrong.code, 2, "{wrong}");
}

/// What a stress run counts.
#[derive(Default)]
struct Counts {
    deleted: AtomicU64,
    moved: AtomicU64,
    mended: AtomicU64,
    pushed: AtomicU64,
}

fn stress_seconds() -> u64 {
    std::env::var("ESKER_STRESS_SECONDS").map_or(180, |text| text.parse().unwrap())
}

/// Eight clones push overlapping data, a third of the pushes are killed, and two collections
/// without grace run all the time. Gives back the counts and the pushes that cannot be pulled.
fn stress(sandbox: &Sandbox, env: &[(&str, &str)]) -> (Counts, Vec<String>) {
    let end = Instant::now() + Duration::from_secs(stress_seconds());
    let counts = Counts::default();
    let promised = Mutex::new(BTreeMap::new());
    let is_over = AtomicBool::new(false);
    // Before the first push there is no remote to collect from.
    sandbox.write("data/first", "first");
    sandbox.ok("add data");
    sandbox.commit("First");
    sandbox.ok("push");
    for number in 0..8 {
        sandbox.git(&format!("clone --quiet . ../c{number}"));
    }
    std::thread::scope(|scope| {
        let pushers: Vec<_> = (0..8)
            .map(|number| {
                let (counts, promised) = (&counts, &promised);
                scope.spawn(move || push_until(sandbox, number, end, env, counts, promised))
            })
            .collect();
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::SeqCst) {
                    collect_once(sandbox, &counts);
                }
            });
        }
        pushers
            .into_iter()
            .for_each(|pusher| pusher.join().unwrap());
        is_over.store(true, Ordering::SeqCst);
    });
    let promised = promised.into_inner().unwrap();
    let broken = promised
        .iter()
        .filter(|(commit, number)| !can_be_pulled(sandbox, commit, **number))
        .map(|(commit, number)| format!("{commit} of c{number}"));
    (counts, broken.collect())
}

fn collect_once(sandbox: &Sandbox, counts: &Counts) {
    let line = "gc -r store --confirm store --grace 0s --min-age 0s --json";
    let output = sandbox.esker(line);
    let Ok(report) = serde_json::from_str::<serde_json::Value>(&output.stdout) else {
        // Two collections may get too much in each other's way, and say so.
        assert!(output.stderr.contains("too many collections"), "{output}");
        return;
    };
    let deleted = report["deleted"]["packs"].as_u64().unwrap();
    counts.deleted.fetch_add(deleted, Ordering::SeqCst);
    let moved = u64::from(report["rescued"].as_u64().unwrap() > 0);
    counts.moved.fetch_add(moved, Ordering::SeqCst);
}

fn push_until(
    sandbox: &Sandbox,
    number: u64,
    end: Instant,
    env: &[(&str, &str)],
    counts: &Counts,
    promised: &Mutex<BTreeMap<String, u64>>,
) {
    let dir = sandbox.root().join(format!("c{number}"));
    let mut seed = number + 1;
    for turn in 0_u64.. {
        if Instant::now() >= end {
            return;
        }
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        for file in 0..3 {
            // Few contents, so that clones push the same ones; noise, so that they take room.
            let content = (seed >> (20 + 4 * file)) % 40;
            let path = dir.join(format!("data/f{file}"));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, noise(content, 20_000)).unwrap();
        }
        sandbox.sh(&format!(
            "cd ../c{number} && esker add data --quiet && git add -A && \
             git commit --quiet --allow-empty -m {turn}"
        ));
        let mut push = sandbox.command_in(&dir, "push --json");
        push.envs(env.iter().copied());
        let child = push
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        if seed >> 60 < 5 {
            // At some moment of the push, which is over in some dozens of milliseconds.
            let moment = Duration::from_millis((seed >> 40) % 60);
            std::thread::sleep(moment);
            let _ = Command::new("kill")
                .args(["-9", &child.id().to_string()])
                .status();
        }
        let output = child.wait_with_output().unwrap();
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let is_expected = output.status.code().is_none() || said.contains("collected faster");
            assert!(is_expected, "{said}");
            continue;
        }
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        counts
            .mended
            .fetch_add(report["mended"].as_u64().unwrap().min(1), Ordering::SeqCst);
        counts.pushed.fetch_add(1, Ordering::SeqCst);
        let commit = sandbox.sh(&format!("git -C ../c{number} rev-parse HEAD"));
        promised
            .lock()
            .unwrap()
            .insert(commit.trim().to_owned(), number);
    }
}

/// Pulls into an empty clone.
fn can_be_pulled(sandbox: &Sandbox, commit: &str, number: u64) -> bool {
    let line = format!(
        "rm -rf ../pulled && git clone --quiet ../c{number} ../pulled && cd ../pulled && \
         git checkout --quiet {commit} && esker pull --quiet && esker fsck --data --quiet"
    );
    sandbox.try_sh(&line).code == 0
}

fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = (seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes
}

fn check_stress(sandbox: &Sandbox) {
    let (counts, broken) = stress(sandbox, &[]);
    let count = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
    let said = format!(
        "{} pushes, {} of them mended; {} packs deleted, {} runs moved something",
        count(&counts.pushed),
        count(&counts.mended),
        count(&counts.deleted),
        count(&counts.moved)
    );
    #[expect(
        clippy::print_stderr,
        reason = "who calls it wants to know the numbers"
    )]
    {
        eprintln!("{said}");
    }
    assert_eq!(broken, Vec::<String>::new());
    // So many in three minutes.
    let least = |n: u64| n * stress_seconds() / 180;
    assert!(count(&counts.deleted) >= least(100), "{said}");
    assert!(count(&counts.moved) >= least(10), "{said}");
    assert!(count(&counts.mended) >= least(10), "{said}");
}

#[test]
#[ignore = "three minutes of eight pushers: run it by name with --run-ignored all"]
fn stress_in_a_directory() {
    let sandbox = Sandbox::project();
    sandbox.ok("remote add store ../remote --default");
    sandbox.commit("Remote");
    check_stress(&sandbox);
}

#[test]
#[ignore = "three minutes of eight pushers: run it by name with --run-ignored all"]
fn stress_on_s3() {
    let mut sandbox = Sandbox::project();
    S3::server().attach(&mut sandbox);
    sandbox.ok("remote add store ../unused");
    let text = sandbox
        .read("esker.toml")
        .replace("[remote.store]", "[remote.unused]");
    sandbox.write("esker.toml", text.replace("[remote.s3]", "[remote.store]"));
    // All the clones trust the server.
    sandbox.sh("mkdir -p ../home/.config/esker && cp .git/esker/config.toml ../home/.config/esker");
    sandbox.commit("Remote");
    check_stress(&sandbox);
}

#[test]
#[ignore = "three minutes of eight pushers: run it by name with --run-ignored all"]
fn stress_without_validation_loses_data() {
    let sandbox = Sandbox::project();
    sandbox.ok("remote add store ../remote --default");
    sandbox.commit("Remote");
    let (_, broken) = stress(&sandbox, &[("ESKER_NO_VALIDATION", "1")]);
    assert!(!broken.is_empty(), "nothing was lost without it");
}
