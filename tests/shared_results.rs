//! `[run_cache] remote`: results of stages that travel.

use crate::common::{Clone, Sandbox};

const SHARE: &str = "printf '[run_cache]\\nremote = true\\n' >> .git/esker/config.toml";

/// A pipeline that ran with two learning rates, pushed each time, by a clone that shares.
fn pushed() -> Sandbox {
    let sandbox = Sandbox::pipeline();
    sandbox.ok("remote add store ../remote --default");
    sandbox.sh(SHARE);
    sandbox.ok("repro");
    sandbox.commit("First");
    insta::assert_snapshot!(sandbox.esker("push"), @"
    exit: 0
    --- stderr
    Pushed 4 files to `store`: 100 B as 1.81 KiB in 5 objects
    Shared 3 results of the run cache
    ");
    sandbox.ok("repro --set train.lr=0.2");
    sandbox.ok("push");
    sandbox.git("checkout --quiet .");
    sandbox.runs();
    sandbox
}

fn shares(clone: &Clone<'_>) {
    clone.sh(&format!("mkdir -p .git/esker && {SHARE}"));
}

#[test]
fn what_somebody_ran_nobody_runs_again() {
    let sandbox = pushed();
    insta::assert_snapshot!(sandbox.esker("push"), @"
    exit: 0
    --- stderr
    Nothing to push: `store` has everything
    ");
    let clone = sandbox.clone_to("clone");
    shares(&clone);
    insta::assert_snapshot!(clone.esker("pull"), @"
    exit: 0
    --- stderr
    Pulled 4 files from `store`: 100 B as 1.01 KiB
    Pulled 3 results for the run cache
    Switched 4 paths (data/raw.txt, eval, model, prepared.txt): 4 files written, 100 B
    ");
    // The lock of this result was never committed.
    clone.sh("sed -i 's/lr: 0.1/lr: 0.2/' params.yaml");
    insta::assert_snapshot!(clone.esker("repro"), @"
    exit: 0
    --- stderr
    · prepare     unchanged
    ↺ train       same inputs as before: restored from the run cache ([time] saved)
    ↺ evaluate    same inputs as before: restored from the run cache ([time] saved)
    Restored 2 stages ([time] saved), 1 unchanged: loss 0.5000, score 0.2000 (+0.1000)
    next: git add esker.lock params.yaml && git commit
    ");
    assert!(sandbox.runs().is_empty());
    assert!(clone.sh("cat model/weights").contains("lr: 0.2"));
    // The record of the run came along.
    let why = clone.ok("why train");
    assert!(why.contains("It last ran for"), "{why}");
    // A second time it is at home.
    clone.sh("rm -r ../remote && sed -i 's/lr: 0.2/lr: 0.1/' params.yaml");
    clone.ok("repro");
    assert!(sandbox.runs().is_empty());
}

#[test]
fn nothing_is_shared_unasked() {
    let sandbox = pushed();
    let clone = sandbox.clone_to("clone");
    clone.ok("pull");
    clone.sh("sed -i 's/lr: 0.1/lr: 0.2/' params.yaml");
    clone.ok("repro");
    assert_eq!(sandbox.runs(), ["train", "evaluate"]);
    sandbox.sh("rm -r ../remote");
    clone.ok("push");
    assert!(!sandbox.root().join("remote/run").exists());
}

#[test]
fn what_is_no_result_or_has_no_data_is_a_miss() {
    let sandbox = pushed();
    let clone = sandbox.clone_to("clone");
    shares(&clone);
    clone.ok("pull");
    // Every entry is damaged.
    sandbox.sh("cp -r ../remote ../whole; chmod -R u+w ../remote; find ../remote/run -type f | while read f; do echo x >> $f; done");
    clone.sh("sed -i 's/lr: 0.1/lr: 0.2/' params.yaml");
    clone.ok("repro train");
    assert_eq!(sandbox.runs(), ["train"]);
    assert!(!clone.ok("why train").contains("uncommitted"));
    // The entries are fine, what they name is gone.
    let other = sandbox.clone_to("other");
    shares(&other);
    other.ok("pull");
    sandbox.sh("rm -r ../remote && mv ../whole ../remote && rm -r ../remote/p");
    other.sh("sed -i 's/lr: 0.1/lr: 0.2/' params.yaml");
    other.ok("repro train");
    assert_eq!(sandbox.runs(), ["train"]);
    assert_eq!(clone.sh("cat model/weights"), other.sh("cat model/weights"));
}

#[test]
fn a_remote_that_is_gone_costs_a_warning() {
    let sandbox = pushed();
    let clone = sandbox.clone_to("clone");
    shares(&clone);
    clone.ok("pull");
    clone.sh("sed -i 's|url = .*|url = \"https://127.0.0.1:1/x\"|' esker.toml; sed -i 's/lr: 0.1/lr: 0.3/' params.yaml");
    let output = clone.esker("repro");
    assert_eq!(output.code, 0, "{output}");
    assert_eq!(
        output
            .stderr
            .matches("warning: no results of others: ")
            .count(),
        1,
        "{output}"
    );
    assert_eq!(sandbox.runs(), ["train", "evaluate"]);
}

#[test]
fn results_whose_data_stays_at_home_stay_there_too() {
    let sandbox = Sandbox::pipeline();
    sandbox.ok("remote add store ../remote --default");
    sandbox.sh(SHARE);
    sandbox.edit(
        "esker.toml",
        "outs = [\"model\"]",
        "outs = [{ path = \"model\", push = false }]",
    );
    sandbox.edit(
        "esker.toml",
        "outs = [\"prepared.txt\"]",
        "outs = [{ path = \"prepared.txt\", store = false }]",
    );
    sandbox.ok("repro");
    let report = sandbox.json("push");
    assert_eq!(report["results"], 1, "{report}");
    sandbox.ok("commit evaluate");
    sandbox.sh("rm -r ../remote");
    // What was adopted is no result of a run.
    assert!(sandbox.json("push")["results"].is_null());
}
