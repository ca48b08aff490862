//! `gc` of the store of a clone. Pains 42 and 43; scenarios 105 to 111.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::common::{Output, Sandbox};

const DAY: u64 = 24 * 60 * 60;
const FORGET: &str = "reflog expire --expire=all --all";

/// Calls esker some days from now.
fn later(sandbox: &Sandbox, line: &str, days: u64) -> Output {
    let seconds = (days * DAY).to_string();
    sandbox.esker_with(line, &[("ESKER_CLOCK_AHEAD", &seconds)])
}

fn collect(sandbox: &Sandbox) -> Output {
    let output = later(sandbox, "gc --yes", 40);
    assert_eq!(output.code, 0, "{output}");
    output
}

/// A file of several versions: `one` in a commit, `two` on a branch, `three` added and nowhere
/// committed, `four` in the workspace.
fn with_versions() -> Sandbox {
    let sandbox = Sandbox::project();
    for (text, branch) in [("one", "main"), ("two", "side")] {
        sandbox.git(&format!("checkout --quiet -B {branch}"));
        sandbox.write("data.bin", text.repeat(20_000));
        sandbox.ok("add data.bin");
        sandbox.commit(text);
    }
    sandbox.git("checkout --quiet main");
    sandbox.ok("checkout");
    for text in ["three", "four"] {
        sandbox.write("data.bin", text.repeat(20_000));
        sandbox.ok("add data.bin");
    }
    sandbox
}

fn has(sandbox: &Sandbox, text: &str) -> bool {
    let bytes = text.repeat(20_000).into_bytes();
    let store = sandbox.local().into_iter();
    let mut objects = store.filter(|(name, _)| name.starts_with("store/objects"));
    objects.any(|(_, (object, _))| object == bytes)
}

#[test]
fn what_no_record_names_goes_when_it_is_old() {
    let sandbox = with_versions();
    insta::assert_snapshot!(sandbox.esker("gc --yes"), @"
    exit: 0
    --- stderr
      · 1 object (97.7 KiB)  named by no record, but stored in the last 14 days (--min-age)
    Nothing to collect: 3 objects (195 KiB) stay, for 1 clone
    ");
    insta::assert_snapshot!(later(&sandbox, "gc --dry-run", 40), @"
    exit: 0
    --- stderr
      - 1 file (97.7 KiB)  no commit, index or workspace names them
          b3:10e5f5a8709122d1  97.7 KiB
    Would free 97.7 KiB; 3 objects (195 KiB) stay, for 1 clone
    ");
    assert!(has(&sandbox, "three"));
    insta::assert_snapshot!(collect(&sandbox), @"
    exit: 0
    --- stderr
      - 1 file (97.7 KiB)  no commit, index or workspace names them
          b3:10e5f5a8709122d1  97.7 KiB
    Freed 97.7 KiB; 3 objects (195 KiB) stay, for 1 clone
    ");
    let kept = ["one", "two", "three", "four"].map(|text| has(&sandbox, text));
    assert_eq!(kept, [true, true, false, true]);
    insta::assert_snapshot!(collect(&sandbox), @"
    exit: 0
    --- stderr
    Nothing to collect: 3 objects (195 KiB) stay, for 1 clone
    ");

    sandbox.git("branch --quiet -D side");
    collect(&sandbox);
    assert!(has(&sandbox, "two"), "by the reflog");
    sandbox.git(FORGET);
    let report = later(&sandbox, "gc --yes --json", 40);
    let report: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
    assert_eq!(report["applied"], true);
    assert_eq!(report["files"]["objects"], 1);
    assert_eq!(report["objects"][0]["size"], 60_000);
    assert!(!has(&sandbox, "two") && has(&sandbox, "one") && has(&sandbox, "four"));
}

#[test]
fn a_worktree_a_stash_an_index_and_a_conflict_keep_what_they_need() {
    for keep in [
        "git worktree add --quiet --detach ../tree side",
        "git worktree add --quiet --detach ../tree side && rm -r ../tree",
        "git worktree add --quiet --detach ../tree main && git show side:esker.lock > ../tree/esker.lock",
        "git checkout --quiet --force side -- esker.lock && git stash --quiet",
        "git checkout --quiet --force side -- esker.lock && git restore --source main esker.lock",
        "git show side:esker.lock > kept && git restore esker.lock && (echo '<<<<<<<' && cat kept) > esker.lock",
        "mkdir deep && git show side:esker.lock > deep/esker.lock",
    ] {
        let sandbox = with_versions();
        sandbox.sh(keep);
        sandbox.git("branch --quiet -D side");
        sandbox.git("reflog expire --expire=all HEAD refs/heads/main");
        collect(&sandbox);
        assert!(has(&sandbox, "two"), "{keep}");
    }
}

#[test]
fn nobody_is_asked_without_a_terminal() {
    let sandbox = with_versions();
    insta::assert_snapshot!(sandbox.esker("gc"), @"
    exit: 2
    --- stderr
    error[E0905]: gc removes objects from the store

    hint: there is no terminal to ask on: add `--yes`
    ");
    for wrong in [
        "gc --confirm x",
        "gc -r store --yes",
        "gc --forget-unknown 40",
    ] {
        assert_eq!(sandbox.esker(wrong).code, 2, "{wrong}");
    }
}

/// Two clones that share a store, each with a version of its own.
fn shared() -> Sandbox {
    let sandbox = Sandbox::project();
    let store = sandbox.root().join("store");
    sandbox.git("clone --quiet . ../clone");
    for (clone, text) in [("../clone", "clone"), (".", "project")] {
        let config = format!("[store]\npath = \"{}\"\n", store.display());
        sandbox.write(&format!("{clone}/.git/esker/config.toml"), config);
        sandbox.write(&format!("{clone}/data.bin"), text.repeat(20_000));
        sandbox.sh(&format!("cd {clone} && esker add data.bin"));
    }
    sandbox
}

#[test]
fn every_clone_of_a_shared_store_is_asked() {
    let sandbox = shared();
    let held = || {
        let files = sandbox.files("store").into_iter();
        let objects = files.filter(|(name, _)| name.starts_with("objects"));
        objects.count()
    };
    collect(&sandbox);
    assert_eq!(held(), 2);

    // One that cannot be read.
    sandbox.sh("mv ../clone/.git/HEAD ../HEAD");
    let refused = later(&sandbox, "gc --yes", 40);
    assert_eq!((refused.code, held()), (2, 2), "{refused}");
    for part in ["E0513", "clone/.git", "nothing was removed", "gc --forget"] {
        assert!(refused.stderr.contains(part), "{refused}");
    }
    // One on a disk that is not mounted.
    sandbox.sh("mv ../HEAD ../clone/.git/HEAD && mv ../clone ../aside && mkdir ../clone");
    let refused = later(&sandbox, "gc --yes", 40);
    assert_eq!((refused.code, held()), (2, 2), "{refused}");
    // One that was removed.
    sandbox.sh("rmdir ../clone");
    let plan = later(&sandbox, "gc --dry-run", 40);
    assert!(plan.stderr.contains("clone/.git  is gone"), "{plan}");
    assert_eq!(held(), 2);
    let done = collect(&sandbox);
    assert!(done.stderr.contains("clone/.git  is gone"), "{done}");
    assert_eq!(held(), 1);
    assert!(!collect(&sandbox).stderr.contains("clone/.git"));
}

#[test]
fn a_clone_is_forgotten_by_name_alone() {
    let sandbox = shared();
    sandbox.sh("mv ../clone/.git/HEAD ../HEAD");
    let clone = sandbox.root().join("clone/.git");
    let line = format!("gc --yes --forget {}", clone.display());
    let done = later(&sandbox, &line, 40);
    assert_eq!(done.code, 0, "{done}");
    assert!(done.stderr.contains("is not asked any more"), "{done}");
    // Itself is always asked.
    let own = sandbox.path(".git").canonicalize().unwrap();
    collect(&sandbox);
    let line = format!("gc --yes --forget {}", own.display());
    assert_eq!(later(&sandbox, &line, 40).code, 0);
    assert_eq!(sandbox.json("fsck")["missing"], 0);
}

#[test]
fn a_clone_whose_store_is_used_by_others_is_asked_too() {
    let sandbox = Sandbox::project();
    sandbox.write("data.bin", vec![1; 50_000]);
    sandbox.ok("add data.bin");
    sandbox.git("clone --quiet . ../clone");
    let store = sandbox.path(".git/esker/store");
    let config = format!("[store]\npath = \"{}\"\n", store.display());
    sandbox.write("../clone/.git/esker/config.toml", config);
    let days = (40 * DAY).to_string();
    sandbox.sh(&format!(
        "cd ../clone && ESKER_CLOCK_AHEAD={days} esker gc --yes"
    ));
    assert_eq!(sandbox.json("fsck")["missing"], 0);
}

/// Pain 43.
#[test]
fn results_are_kept_for_a_month_or_while_they_are_needed() {
    let sandbox = Sandbox::pipeline();
    sandbox.ok("repro");
    sandbox.commit("One");
    sandbox.edit("params.yaml", "0.1", "0.2");
    sandbox.ok("repro");
    sandbox.edit("params.yaml", "0.2", "0.3");
    sandbox.ok("repro");
    sandbox.commit("Three");
    sandbox.runs();
    let results = || {
        let files = sandbox.local().into_keys();
        files.filter(|name| name.starts_with("results/")).count()
    };
    assert_eq!(results(), 5 + 2);

    later(&sandbox, "gc --yes", 20);
    sandbox.ok("repro -S train.lr=0.2");
    assert_eq!(sandbox.runs(), Vec::<String>::new(), "young");
    sandbox.git("restore params.yaml esker.lock");
    sandbox.ok("checkout");
    // How long the runs took has one digit more or less.
    let sizes = regex::Regex::new(r"(records \(|Freed )[^);]*").unwrap();
    let said = collect(&sandbox).to_string();
    insta::assert_snapshot!(sizes.replace_all(&said, "${1}SIZE"), @"
    exit: 0
    --- stderr
      - 2 files (80 B)  no commit, index or workspace names them
          b3:5317b460db7631d2  77 B  was eval
          b3:ccd987af0e37e188  72 B  was model
          b3:38e025c75f4cd75d  52 B
          b3:e29f36e695a14c98  28 B
      - 2 listings (149 B)  no commit, index or workspace names them
      - 2 results (1.12 KiB)  of the run cache, older than 30 days, of data that no record names
      - 2 run records (SIZE)  or log, older than 30 days, that no record names
    Freed SIZE; 10 objects (478 B) stay, for 1 clone
    ");
    assert_eq!(results(), 5);
    sandbox.ok("repro -S train.lr=0.1");
    assert_eq!(sandbox.runs(), Vec::<String>::new(), "a commit names it");
    sandbox.ok("repro -S train.lr=0.2");
    assert_eq!(sandbox.runs(), ["train", "evaluate"]);
    assert_eq!(sandbox.json("fsck --data")["missing"], 0);
}

#[test]
fn parked_bytes_and_run_records_go_when_they_are_old() {
    let sandbox = Sandbox::pipeline();
    sandbox.ok("repro");
    sandbox.commit("One");
    sandbox.write("data/raw.txt", "other\n");
    sandbox.ok("checkout --force");
    let has = |part: &str| sandbox.local().keys().any(|name| name.contains(part));
    later(&sandbox, "gc --yes", 13);
    assert!(has("/park/"));
    later(&sandbox, "gc --yes", 15);
    assert!(!has("/park/"));
    collect(&sandbox);
    assert!(has("runs/"), "the lock names them");
    sandbox.git("reset --quiet --hard HEAD~1");
    sandbox.git(FORGET);
    sandbox.sh("rm -f .git/ORIG_HEAD");
    collect(&sandbox);
    assert!(!has("runs/"));
}

/// Scenario 109.
#[test]
fn a_listing_that_is_damaged_stops_it() {
    let sandbox = Sandbox::project();
    sandbox.write("data/a", vec![1; 50_000]);
    sandbox.ok("add data");
    sandbox.commit("One");
    sandbox.sh("f=$(find .git/esker/store/meta -type f) && chmod u+w $f && echo x >> $f");
    let refused = later(&sandbox, "gc --yes", 40);
    assert_eq!(refused.code, 3, "{refused}");
    assert!(refused.stderr.contains("E0512"), "{refused}");
    // It is in quarantine by now.
    let again = later(&sandbox, "gc --yes", 40);
    assert_eq!(again.code, 3, "{again}");
    assert_eq!(sandbox.json("fsck --repair")["repaired"], 1);
    collect(&sandbox);
    assert_eq!(sandbox.json("fsck --data")["missing"], 0);

    sandbox.sh("rm $(find .git/esker/store/meta -type f)");
    assert_eq!(later(&sandbox, "gc --yes", 40).code, 3);
    let again = later(&sandbox, "gc --yes --allow-missing", 40);
    assert_eq!(again.code, 0, "{again}");
    assert!(again.stderr.contains("what only it names is not kept"));
    // One that was never brought here is no reason to stop.
    sandbox.sh("rm -r .git/esker/store/quarantine");
    collect(&sandbox);
}

#[test]
fn a_file_of_the_workspace_that_is_a_link_keeps_its_object() {
    let sandbox = Sandbox::project();
    sandbox.write(".git/esker/config.toml", "store.links = [\"symlink\"]\n");
    sandbox.write("data.bin", vec![7; 50_000]);
    sandbox.ok("add data.bin");
    assert!(sandbox.path("data.bin").is_symlink());
    // As it is after git has gone to a commit without it.
    sandbox.remove("esker.lock");
    sandbox.sh("rm .git/esker/*/placed");
    collect(&sandbox);
    assert_eq!(
        std::fs::read(sandbox.path("data.bin")).unwrap().len(),
        50_000
    );
}

/// A run of hours does not keep others from collecting, and loses nothing by it.
#[test]
fn it_may_be_called_while_a_stage_runs() {
    let sandbox = Sandbox::project();
    // Bytes in the store that no record names, in the place of the output.
    sandbox.write("out", "old".repeat(20_000));
    sandbox.ok("add out");
    sandbox.ok("remove out");
    sandbox.append(
        "esker.toml",
        "[stage.gc]\ncmd = \"esker gc --yes --min-age 0s && echo new > out\"\nouts = [\"out\"]\n",
    );
    sandbox.ok("repro");
    assert_eq!(sandbox.read("out"), "new\n");
    let held = sandbox.held();
    assert!(held.contains("old".repeat(20_000).as_bytes()), "parked");
    assert_eq!(sandbox.json("fsck --data")["missing"], 0);
}

/// What git does between two collections.
#[derive(Clone, Copy, Debug)]
enum Act {
    Write(u8),
    Commit,
    Branch(u8),
    Switch(u8),
    Delete(u8),
    Tag(u8),
    Stash,
    Pop,
    Forget,
    Collect,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => (0..6_u8).prop_map(Act::Write),
        4 => Just(Act::Commit),
        1 => (0..3_u8).prop_map(Act::Branch),
        2 => (0..3_u8).prop_map(Act::Switch),
        1 => (0..3_u8).prop_map(Act::Delete),
        1 => (0..2_u8).prop_map(Act::Tag),
        1 => Just(Act::Stash),
        1 => Just(Act::Pop),
        1 => Just(Act::Forget),
        3 => Just(Act::Collect),
    ];
    prop::collection::vec(act, 1..16)
}

fn do_git(sandbox: &Sandbox, act: Act) {
    let name = |number: u8| ["main", "side", "other"][number as usize];
    let line = match act {
        Act::Write(content) => {
            // Some lie in files of their own, some in packs.
            for file in 0..260 {
                sandbox.write(&format!("data/{file}"), format!("{file} {}", content / 2));
            }
            sandbox.write("data/large", format!("{content} ").repeat(20_000));
            "true".to_owned()
        }
        Act::Commit => "esker add data && git commit -qam more".to_owned(),
        Act::Branch(number) => format!("git branch {}", name(number)),
        Act::Switch(number) => format!("git switch -q {} && esker checkout", name(number)),
        Act::Delete(number) => format!("git branch -D {}", name(number)),
        Act::Tag(number) => format!("git tag -f tag{number}"),
        Act::Stash => "esker add data && git stash -q".to_owned(),
        Act::Pop => "git stash pop -q".to_owned(),
        Act::Forget => format!("git {FORGET}"),
        Act::Collect => return,
    };
    // What cannot be done now is not done.
    sandbox.try_sh(&line);
}

/// All commits that something leads to, and what a checkout of each puts in place.
fn commits(sandbox: &Sandbox) -> Vec<String> {
    let commits = sandbox.git("log --all --reflog --format=%H");
    let commits: BTreeSet<&str> = commits.lines().collect();
    commits.into_iter().map(str::to_owned).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_commit_that_git_remembers_can_be_checked_out(acts in acts()) {
        let sandbox = Sandbox::project();
        do_git(&sandbox, Act::Write(0));
        sandbox.ok("add data");
        sandbox.commit("First");
        for act in acts {
            do_git(&sandbox, act);
            if matches!(act, Act::Collect) {
                collect(&sandbox);
            }
        }
        collect(&sandbox);
        // A stash may have met what it cannot be applied to.
        sandbox.git("reset --quiet --hard");
        prop_assert_eq!(&sandbox.json("fsck --data")["missing"], 0);
        for commit in commits(&sandbox) {
            let clone = sandbox.root().join("tree");
            sandbox.git(&format!("worktree add -q --detach {} {commit}", clone.display()));
            sandbox.sh(&format!("cd {} && if test -e esker.lock; then esker checkout; fi", clone.display()));
            sandbox.git(&format!("worktree remove --force {}", clone.display()));
        }
    }
}
