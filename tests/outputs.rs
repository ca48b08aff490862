//! What becomes of the outputs of stages that are kept in another way than usual.

use crate::common::Sandbox;

fn project(stages: &str) -> Sandbox {
    let sandbox = Sandbox::project();
    sandbox.append("esker.toml", stages);
    sandbox
}

/// A counter that goes on from what it wrote the last time, and fails on demand.
fn counter() -> Sandbox {
    let sandbox = project(
        r#"
[stage.count]
cmd = "echo count >> $RUNS; mkdir -p log; echo $(cat step) >> log/lines; [ ! -e broken ]"
deps = ["step"]
outs = [{ path = "log", keep = true }]
"#,
    );
    sandbox.write("step", "one");
    sandbox
}

#[test]
fn a_kept_output_is_found_in_its_place_and_put_back_after_a_failure() {
    let sandbox = counter();
    sandbox.ok("repro");
    sandbox.write("step", "two");
    sandbox.ok("repro");
    assert_eq!(sandbox.read("log/lines"), "one\ntwo\n");
    sandbox.write("step", "three");
    sandbox.write("broken", "");
    assert_eq!(sandbox.esker("repro").code, 1);
    assert_eq!(sandbox.read("log/lines"), "one\ntwo\n");
    assert_eq!(
        sandbox.sh("cat .git/esker/*/park/*failed-count/log/lines"),
        "one\ntwo\nthree\n"
    );
}

#[test]
fn a_kept_output_never_comes_from_the_run_cache() {
    let sandbox = counter();
    sandbox.ok("repro");
    sandbox.write("step", "two");
    sandbox.ok("repro");
    sandbox.write("step", "one");
    sandbox.ok("repro");
    // The same inputs as the first time, but not the same old output.
    assert_eq!(sandbox.runs(), ["count", "count", "count"]);
    assert_eq!(sandbox.read("log/lines"), "one\ntwo\none\n");
}

/// A stage whose report git keeps, and one that reads it.
fn report() -> Sandbox {
    let sandbox = project(
        r#"
[stage.report]
cmd = "echo report >> $RUNS; cat input > report.txt"
deps = ["input"]
outs = [{ path = "report.txt", store = false }]

[stage.sum]
cmd = "echo sum >> $RUNS; cksum < report.txt > sum.txt"
deps = ["report.txt"]
outs = ["sum.txt"]
"#,
    );
    sandbox.write("input", "first");
    sandbox
}

#[test]
fn only_the_hash_of_an_unstored_output_is_recorded() {
    let sandbox = report();
    let output = sandbox.esker("repro");
    assert!(
        output.stderr.contains("next: git add") && output.stderr.contains("report.txt"),
        "{output}"
    );
    let lock = sandbox.read("esker.lock");
    let block = lock.split("[stage.report.outs.\"report.txt\"]").nth(1);
    insta::assert_snapshot!(block.unwrap().split("\n\n").next().unwrap(), @r#"
    hash = "b3:22896bcbc3d1c76a0b90c4c3523dbea532ad63196fafdbd52cced52200d3dae4"
    size = 5
    store = false
    "#);
    assert!(!sandbox.read(".gitignore").contains("report"));
    assert_eq!(sandbox.json("status")["clean"], true);
    // Checkout leaves it alone, whatever was there before.
    sandbox.commit("Report");
    sandbox.remove("report.txt");
    sandbox.ok("checkout");
    assert!(!sandbox.exists("report.txt"));
    // A small one comes back from the run cache, with what reads it.
    sandbox.runs();
    sandbox.ok("repro");
    assert_eq!(sandbox.read("report.txt"), "first");
    sandbox.write("input", "second");
    sandbox.ok("repro");
    sandbox.write("input", "first");
    sandbox.ok("repro");
    assert_eq!(sandbox.runs(), ["report", "sum"]);
    assert_eq!(sandbox.read("report.txt"), "first");
}

#[test]
fn an_unstored_output_does_not_travel() {
    let sandbox = report();
    sandbox.sh("mkdir ../remote");
    sandbox.ok("remote add store ../remote --default");
    sandbox.ok("repro");
    let report = sandbox.json("push");
    assert_eq!(report["files"], 1, "{report}");
    sandbox.commit("Report");
    let clone = sandbox.clone_to("clone");
    clone.ok("pull");
    assert_eq!(clone.sh("cat report.txt"), "first");
    sandbox.runs();
    clone.ok("repro");
    assert!(sandbox.runs().is_empty());
}

#[test]
fn to_store_or_not_reruns_nothing() {
    let sandbox = report();
    sandbox.ok("repro");
    sandbox.runs();
    let before = sandbox.read("esker.lock");
    sandbox.edit("esker.toml", ", store = false", "");
    assert_eq!(sandbox.json("status")["clean"], true);
    sandbox.ok("repro");
    assert!(!sandbox.read("esker.lock").contains("store = false"));
    assert!(sandbox.read(".gitignore").contains("/report.txt"));
    sandbox.remove("report.txt");
    sandbox.ok("checkout");
    assert_eq!(sandbox.read("report.txt"), "first");
    sandbox.edit(
        "esker.toml",
        "\"report.txt\" }",
        "\"report.txt\", store = false }",
    );
    sandbox.ok("repro");
    assert_eq!(sandbox.read("esker.lock"), before);
    assert!(sandbox.runs().is_empty());
    // It was placed by a checkout once; that must not make the next one take it away.
    sandbox.ok("checkout");
    assert!(sandbox.exists("report.txt"));
}
