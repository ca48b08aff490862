//! `repro --pull` and `--allow-missing`: what is not in the workspace.

use crate::common::{Clone, Sandbox};

/// A project that ran and was pushed; all of it is committed.
fn pushed() -> Sandbox {
    let sandbox = Sandbox::pipeline();
    sandbox.sh("mkdir ../remote");
    sandbox.ok("remote add store ../remote --default");
    sandbox.ok("repro");
    sandbox.ok("push");
    sandbox.commit("Run");
    sandbox.runs();
    sandbox
}

fn exists(clone: &Clone<'_>, path: &str) -> bool {
    clone.files().keys().any(|name| name.starts_with(path))
}

#[test]
fn what_is_absent_and_unchanged_runs_nothing() {
    let sandbox = pushed();
    let clone = sandbox.clone_to("clone");
    assert_eq!(clone.esker("repro").code, 3);
    let output = clone.esker("repro --allow-missing");
    insta::assert_snapshot!(output, @"
    exit: 0
    --- stderr
    · prepare     unchanged
    · train       unchanged
    · evaluate    unchanged
    Nothing to do: 3 unchanged
    ");
    assert!(!exists(&clone, "model") && !exists(&clone, "data"));
    // As CI asks it.
    insta::assert_snapshot!(clone.esker("repro --allow-missing --dry-run"), @"
    exit: 0
    --- stdout
    0 of 3 stages would run
    ");
    clone.sh("sed -i 's/lr: 0.1/lr: 0.2/' params.yaml");
    insta::assert_snapshot!(clone.esker("repro --allow-missing --dry-run"), @"
    exit: 0
    --- stdout
    2 of 3 stages would run
      ~ train       train.lr 0.1 → 0.2 (params.yaml)
      ~ evaluate    after train
    ");
    assert!(sandbox.runs().is_empty());
}

#[test]
fn a_stage_that_must_run_pulls_what_it_reads_and_no_more() {
    let sandbox = pushed();
    let clone = sandbox.clone_to("clone");
    clone.sh("echo '# a comment' >> evaluate.sh");
    // Without a remote in the game, it says what is missing.
    let output = clone.esker("repro --allow-missing");
    assert_eq!(output.code, 1, "{output}");
    assert!(
        output.stderr.contains("its dependency `model` is missing"),
        "{output}"
    );
    let output = clone.esker("repro --pull");
    assert_eq!(output.code, 0, "{output}");
    assert_eq!(sandbox.runs(), ["evaluate"]);
    assert!(exists(&clone, "model/weights") && exists(&clone, "eval"));
    assert!(!exists(&clone, "data/raw.txt") && !exists(&clone, "prepared.txt"));
}

#[test]
fn what_the_store_has_comes_without_a_remote() {
    let sandbox = pushed();
    let clone = sandbox.clone_to("clone");
    clone.ok("fetch");
    clone.sh("echo '# a comment' >> evaluate.sh");
    clone.ok("repro --allow-missing");
    assert_eq!(sandbox.runs(), ["evaluate"]);
    assert!(!exists(&clone, "prepared.txt"));
}

#[test]
fn a_result_is_restored_from_the_remote_before_anything_runs() {
    let sandbox = pushed();
    sandbox.edit("params.yaml", "lr: 0.1", "lr: 0.2");
    sandbox.ok("repro");
    sandbox.runs();
    // The store of this clone is lost, its run cache is not.
    sandbox.sh("rm -rf .git/esker/store model eval prepared.txt");
    sandbox.edit("params.yaml", "lr: 0.2", "lr: 0.1");
    let output = sandbox.esker("repro --pull");
    assert_eq!(output.code, 0, "{output}");
    assert!(sandbox.runs().is_empty(), "{output}");
    assert!(sandbox.exists("model/weights"));
}

#[test]
fn what_no_remote_has_is_made_again() {
    let sandbox = Sandbox::pipeline();
    sandbox.sh("mkdir ../remote");
    sandbox.ok("remote add store ../remote --default");
    sandbox.edit(
        "esker.toml",
        "outs = [\"prepared.txt\"]",
        "outs = [{ path = \"prepared.txt\", push = false }]",
    );
    sandbox.edit(
        "esker.toml",
        "outs = [\"model\"]",
        "outs = [{ path = \"model\", push = false }]",
    );
    sandbox.ok("repro");
    sandbox.ok("push");
    sandbox.commit("Run");
    sandbox.runs();
    let clone = sandbox.clone_to("clone");
    // Nothing that must run needs it.
    clone.ok("repro --pull");
    assert!(sandbox.runs().is_empty());
    clone.sh("echo '# a comment' >> evaluate.sh");
    insta::assert_snapshot!(clone.esker("repro --pull"), @"
    exit: 0
    --- stderr
    · prepare     unchanged
    · train       unchanged
    ▶ prepare     prepared.txt missing
    ✓ prepare     [time]  prepared.txt 10 B
    ▶ train       model missing
    ✓ train       [time]  model 52 B
    ▶ evaluate    evaluate.sh changed
    ✓ evaluate    [time]  eval 28 B
    Ran 3 stages in [time]: loss 0.5000, score 0.1000
    next: git add esker.lock evaluate.sh && git commit
    ");
    assert_eq!(sandbox.runs(), ["prepare", "train", "evaluate"]);
    let lock = clone.sh("cat esker.lock");
    clone.ok("repro");
    assert_eq!(clone.sh("cat esker.lock"), lock);
    assert!(sandbox.runs().is_empty());
}

#[test]
fn what_can_be_made_again_by_nobody_is_named() {
    let sandbox = pushed();
    sandbox.edit(
        "esker.toml",
        "outs = [\"model\"]",
        "outs = [{ path = \"model\", push = false }]",
    );
    sandbox.sh("rm -r ../remote && mkdir ../remote");
    sandbox.ok("push");
    sandbox.commit("The model stays here");
    // The one that writes it is not to run.
    let clone = sandbox.clone_to("single");
    clone.sh("echo '# a comment' >> evaluate.sh");
    let output = clone.esker("repro --pull --single evaluate");
    assert_eq!(output.code, 1, "{output}");
    assert!(
        output.stderr.contains("its dependency `model` is missing"),
        "{output}"
    );
    // It is frozen.
    let clone = sandbox.clone_to("frozen");
    clone.sh("echo '# a comment' >> evaluate.sh; sed -i 's/^.stage.train.$/&\\nfrozen = true/' esker.toml");
    let output = clone.esker("repro --pull -k");
    assert_eq!(output.code, 1, "{output}");
    assert!(
        output.stderr.contains("its dependency `model` is missing"),
        "{output}"
    );
    // It needs tracked data that is lost.
    sandbox.edit(
        "esker.toml",
        "outs = [\"prepared.txt\"]",
        "outs = [{ path = \"prepared.txt\", push = false }]",
    );
    sandbox.append("esker.toml", "\n[data.\"data/raw.txt\"]\npush = false\n");
    sandbox.sh("rm -r ../remote && mkdir ../remote");
    sandbox.ok("push");
    sandbox.commit("All stays here");
    let clone = sandbox.clone_to("lost");
    clone.sh("echo '# a comment' >> evaluate.sh");
    let output = clone.esker("repro --pull");
    assert_eq!(output.code, 1, "{output}");
    assert!(
        output
            .stderr
            .contains("`prepare` cannot run: its dependency `data/raw.txt` is missing"),
        "{output}"
    );
    assert!(sandbox.runs().is_empty());
}

#[test]
fn stages_side_by_side_wait_for_what_is_made_again() {
    let sandbox = Sandbox::project();
    sandbox.sh("mkdir ../remote");
    sandbox.ok("remote add store ../remote --default");
    sandbox.append(
        "esker.toml",
        "\n[stage.a]\ncmd = \"echo a >> $RUNS; echo 1 > a1; echo 2 > a2\"\n\
         outs = [{ path = \"a1\", push = false }, \"a2\"]\n\
         \n[stage.left]\ncmd = \"echo left >> $RUNS; cat left.txt a1 > l\"\ndeps = [\"left.txt\", \"a1\"]\nouts = [\"l\"]\n\
         \n[stage.right]\ncmd = \"echo right >> $RUNS; cat right.txt a2 > r\"\ndeps = [\"right.txt\", \"a2\"]\nouts = [\"r\"]\n\
         \n[stage.same]\ncmd = \"echo same >> $RUNS; cat a2 > s\"\ndeps = [\"a2\"]\nouts = [\"s\"]\n",
    );
    sandbox.write("left.txt", "1");
    sandbox.write("right.txt", "1");
    sandbox.ok("repro");
    sandbox.ok("push");
    sandbox.commit("Run");
    sandbox.runs();
    let clone = sandbox.clone_to("clone");
    clone.sh("echo 2 > left.txt; echo 2 > right.txt");
    let output = clone.esker("repro --pull -j 4 --json");
    assert_eq!(output.code, 0, "{output}");
    let mut runs = sandbox.runs();
    runs.sort();
    runs.dedup();
    assert_eq!(runs, ["a", "left", "right"]);
    // Each stage is told of once, by what was done to it at last.
    let report: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    let stages = report["stages"].as_array().unwrap();
    let mut told: Vec<&str> = stages
        .iter()
        .map(|run| run["name"].as_str().unwrap())
        .collect();
    told.sort_unstable();
    assert_eq!(told, ["a", "left", "right", "same"]);
    assert_eq!(clone.esker("repro --allow-missing").code, 0);
    assert!(sandbox.runs().is_empty());
}
