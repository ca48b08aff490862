//! The five promises of the README, as far as a test can hold them.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::common::Sandbox;

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
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
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

/// All byte strings that lie in the workspace, the store or the park.
fn held(sandbox: &Sandbox) -> BTreeSet<Vec<u8>> {
    let mut held = BTreeSet::new();
    for dir in ["project", "project/.git/esker"] {
        if sandbox.root().join(dir).exists() {
            held.extend(sandbox.files(dir).into_values().map(|(bytes, _)| bytes));
        }
    }
    held
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    /// Promise 1: every byte string that was in the workspace and was not deleted or overwritten by
    /// the user is in the workspace, the store or the park.
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
                    if sandbox.path("data").exists() && sandbox.esker("add data").code == 0 {
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
                    let output = sandbox.esker(if force { "checkout --force" } else { "checkout" });
                    prop_assert!([0, 1].contains(&output.code), "{}", output);
                }
                Act::Switch(back) => {
                    let back = u32::from(back).min(commits - 1);
                    sandbox.git("stash --quiet --include-untracked 2>/dev/null || true");
                    sandbox.git(&format!("checkout --quiet main~{back} 2>/dev/null || true"));
                    sandbox.git("checkout --quiet -B main");
                    commits -= back;
                }
            }
            let held = held(&sandbox);
            for bytes in added.iter().chain(&here) {
                prop_assert!(held.contains(bytes), "lost: {}", String::from_utf8_lossy(bytes));
            }
        }
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
