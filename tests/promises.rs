//! The five promises of the README, as far as a test can hold them.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::common::{Output, Sandbox};

/// What a person may do between two looks at the disk.
#[derive(Clone, Debug)]
enum Act {
    Write(u8, u8),
    Delete(u8),
    Add,
    Commit,
    Checkout(bool),
    Switch(u8),
    Remove(bool),
    Move(u8, u8),
    Undo,
    /// The esker in this act is killed at this step of its writing.
    Kill(u8, Box<Act>),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let killed = prop_oneof![
        Just(Act::Add),
        any::<bool>().prop_map(Act::Checkout),
        (0..4_u8).prop_map(Act::Switch),
    ];
    let act = prop_oneof![
        3 => (1..40_u8, killed).prop_map(|(at, act)| Act::Kill(at, Box::new(act))),
        4 => (0..4_u8, any::<u8>()).prop_map(|(file, content)| Act::Write(file, content)),
        1 => (0..4_u8).prop_map(Act::Delete),
        2 => Just(Act::Add),
        2 => Just(Act::Commit),
        2 => any::<bool>().prop_map(Act::Checkout),
        2 => (0..4_u8).prop_map(Act::Switch),
        1 => any::<bool>().prop_map(Act::Remove),
        2 => (0..4_u8, 0..4_u8).prop_map(|(from, to)| Act::Move(from, to)),
        1 => Just(Act::Undo),
    ];
    prop::collection::vec(act, 1..14)
}

const FILES: [&str; 4] = ["data/a", "data/b", "data/sub/c", "data/sub/d"];

/// Every case starts a dozen programs, so there are fewer than usual; `PROPTEST_CASES` asks for
/// more.
fn cases() -> u32 {
    ProptestConfig::default().cases.div_ceil(20)
}

/// Runs esker; with the fail points built in, it is killed at a step of its writing (0: never).
fn run(sandbox: &Sandbox, line: &str, kill_at: u8) -> Output {
    sandbox.esker_with(line, &[("ESKER_FAIL_AT", &kill_at.to_string())])
}

fn checkout(sandbox: &Sandbox, force: bool, kill_at: u8) {
    let line = if force {
        "checkout --force"
    } else {
        "checkout"
    };
    let output = run(sandbox, line, kill_at);
    let was_killed = output.code == -1 && kill_at > 0;
    assert!(was_killed || [0, 1].contains(&output.code), "{output}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    /// Promise 1: every byte string that was in the workspace and was not deleted or overwritten by
    /// the user is in the workspace, the store or the park; also when esker is killed on the way.
    #[test]
    fn no_byte_is_ever_lost(acts in acts()) {
        let sandbox = Sandbox::project();
        sandbox.write("data/a", "first");
        sandbox.ok("add data");
        sandbox.commit("First");
        // What was added is owed for ever; what only lies in the workspace, until the user
        // overwrites or deletes it himself.
        let mut added: BTreeSet<Vec<u8>> = BTreeSet::new();
        let mut commits = 1_u32;
        for act in acts {
            // git would take what esker no longer tracks.
            let is_tracked = std::fs::read_to_string(sandbox.path(".gitignore")).is_ok_and(|text| text.contains("/data\n"));
            let here: BTreeSet<Vec<u8>> = FILES.iter().filter_map(|file| std::fs::read(sandbox.path(file)).ok()).collect();
            let (at, act) = match act {
                Act::Kill(at, act) => (at, *act),
                act => (0, act),
            };
            match act {
                Act::Write(file, content) => {
                    sandbox.write(FILES[file as usize], format!("content {content}"));
                    continue;
                }
                Act::Delete(file) => {
                    let _ = std::fs::remove_file(sandbox.path(FILES[file as usize]));
                    continue;
                }
                Act::Add => {
                    if sandbox.path("data").exists() && run(&sandbox, "add data", at).code == 0 {
                        added.extend(here.iter().cloned());
                    }
                }
                Act::Commit | Act::Switch(_) if !is_tracked => continue,
                Act::Remove(delete) => {
                    let output = sandbox.esker(if delete { "remove --delete data" } else { "remove data" });
                    prop_assert!([0, 1, 2].contains(&output.code), "{}", output);
                }
                Act::Move(from, to) => {
                    let output = sandbox.esker(&format!("mv {} {}", FILES[from as usize], FILES[to as usize]));
                    prop_assert!([0, 1, 2].contains(&output.code), "{}", output);
                }
                Act::Undo => {
                    let output = sandbox.esker("undo --last");
                    prop_assert!([0, 2].contains(&output.code), "{}", output);
                }
                Act::Commit => {
                    sandbox.commit("More");
                    commits += 1;
                }
                Act::Checkout(force) => {
                    checkout(&sandbox, force, at);
                }
                Act::Switch(back) => {
                    let back = u32::from(back).min(commits - 1);
                    sandbox.git("stash --quiet --include-untracked 2>/dev/null || true");
                    sandbox.git(&format!("checkout --quiet main~{back} 2>/dev/null || true"));
                    sandbox.git("checkout --quiet -B main");
                    commits -= back;
                    if at > 0 {
                        checkout(&sandbox, false, at);
                    }
                }
                Act::Kill(..) => unreachable!("a kill holds no other"),
            }
            let held = sandbox.held();
            for bytes in added.iter().chain(&here) {
                prop_assert!(held.contains(bytes), "lost: {}", String::from_utf8_lossy(bytes));
            }
        }
        let report = sandbox.json("fsck --data");
        prop_assert_eq!(&report["damaged"], 0, "{}", report);
    }
}

/// Promise 3: nothing lies in the workspace but the three files, and git sees only those.
#[test]
fn the_workspace_holds_plain_files_only() {
    let sandbox = Sandbox::pipeline();
    sandbox.ok("repro");
    let files: BTreeSet<String> = sandbox.files("project").into_keys().collect();
    let expected = [
        ".gitattributes",
        ".gitignore",
        "data/raw.txt",
        "esker.lock",
        "esker.toml",
        "eval/metrics.json",
        "evaluate.sh",
        "model/weights",
        "params.yaml",
        "prepared.txt",
        "train.sh",
    ];
    assert_eq!(files, expected.map(str::to_owned).into());
}

/// Promise 5: a refused act names the path, says what is safe, and gives one next step.
#[test]
fn a_refusal_says_what_where_and_what_next() {
    let sandbox = Sandbox::project();
    sandbox.write("data", "one");
    sandbox.ok("add data");
    sandbox.write("data", "two");
    let output = sandbox.esker("checkout");
    for part in ["error[E0301]", "~ data", "nothing was touched", "hint:"] {
        assert!(output.stderr.contains(part), "{part}: {output}");
    }
}
