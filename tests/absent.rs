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
