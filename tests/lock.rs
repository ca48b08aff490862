use crate::common::Sandbox;

#[test]
fn check_needs_no_data() {
    let sandbox = Sandbox::pipeline();
    sandbox.ok("repro");
    sandbox.commit("Run");
    let clone = sandbox.clone_to("clone");
    insta::assert_snapshot!(clone.esker("lock --check"), @"
    exit: 0
    --- stdout
    The lock says what the project says
    ");
    clone.sh("sed -i 's/lr: 0.1/lr: 0.2/' params.yaml");
    insta::assert_snapshot!(clone.esker("lock --check"), @"
    exit: 1
    --- stdout
    ~ train  train.lr 0.1 → 0.2 (params.yaml)
    --- stderr
    next: esker repro
    ");
}

#[test]
fn an_edited_block_never_ran_in_this_combination() {
    let sandbox = Sandbox::pipeline();
    sandbox.ok("repro");
    sandbox.edit("params.yaml", "lr: 0.1", "lr: 0.2");
    sandbox.edit("esker.lock", "\"train.lr\" = 0.1", "\"train.lr\" = 0.2");
    insta::assert_snapshot!(sandbox.esker("lock --check"), @"
    exit: 1
    --- stdout
    ~ train  never ran in this combination
    --- stderr
    next: esker repro
    ");
}

/// Two branches that both ran the pipeline with another rate, merged by git.
fn merged() -> Sandbox {
    let sandbox = Sandbox::pipeline();
    sandbox.ok("repro");
    sandbox.commit("Run");
    sandbox.git("checkout --quiet -b theirs");
    sandbox.edit("params.yaml", "lr: 0.1", "lr: 0.2");
    sandbox.ok("repro");
    sandbox.write("extra", "theirs");
    sandbox.ok("add extra");
    sandbox.commit("Theirs");
    sandbox.git("checkout --quiet main");
    sandbox.ok("checkout");
    sandbox.edit("params.yaml", "lr: 0.1", "lr: 0.3");
    sandbox.ok("repro");
    sandbox.commit("Ours");
    let merge = sandbox.try_sh("git merge --quiet theirs");
    assert_eq!(merge.code, 1, "{merge}");
    sandbox
}

#[test]
fn conflicts_are_settled_by_whole_blocks() {
    let sandbox = merged();
    insta::assert_snapshot!(sandbox.esker("status"), @"
    exit: 1
    --- stderr
    error[E0503]: `esker.lock` has merge conflicts
      esker.lock:14

    hint: esker lock --resolve --ours    (or --theirs)
    ");
    insta::assert_snapshot!(sandbox.esker("lock --resolve"), @"
    exit: 1
    --- stdout
    Changed on both sides:
      stage evaluate
      stage train
    --- stderr
    next: esker lock --resolve --ours    (or --theirs)
    ");
    insta::assert_snapshot!(sandbox.esker("lock --resolve --theirs"), @"
    exit: 0
    --- stderr
      stage evaluate  taken from theirs
      stage train  taken from theirs
    Resolved `esker.lock`
    next: git add esker.lock && esker checkout
    ");
    sandbox.git("checkout --theirs params.yaml");
    let lock = sandbox.read("esker.lock");
    assert!(
        lock.contains("\"train.lr\" = 0.2") && !lock.contains("0.3") && lock.contains("extra"),
        "{lock}"
    );
    assert_eq!(sandbox.esker("lock --check").code, 0);
    sandbox.ok("checkout");
    assert_eq!(sandbox.json("status")["clean"], true);
}

#[test]
fn resolving_without_conflicts_changes_nothing() {
    let sandbox = Sandbox::pipeline();
    let lock = sandbox.read("esker.lock");
    sandbox.ok("lock --resolve --ours");
    assert_eq!(sandbox.read("esker.lock"), lock);
    assert_eq!(sandbox.esker("lock").code, 2);
}

#[test]
fn a_merge_of_two_branches_that_ran_a_stage_is_never_fresh() {
    // Edits of the two branches, one of which may reach the block of `train` in a way that git
    // merges cleanly: the param on one side, the script on the other.
    let edits = [
        ("params.yaml", "lr: 0.1", "lr: 0.2"),
        ("train.sh", "mkdir model;", "mkdir model; : again;"),
        ("esker.toml", "sh train.sh", "sh ./train.sh"),
    ];
    for (n, ours) in edits.iter().enumerate() {
        for theirs in &edits[n + 1..] {
            let sandbox = Sandbox::pipeline();
            sandbox.ok("repro");
            sandbox.commit("Base");
            for (branch, (file, old, new)) in [("other", theirs), ("main", ours)] {
                match branch {
                    "main" => sandbox.git("checkout --quiet main"),
                    branch => sandbox.git(&format!("checkout --quiet -b {branch}")),
                };
                sandbox.edit(file, old, new);
                sandbox.ok("repro");
                sandbox.commit(branch);
            }
            let merge = sandbox.try_sh("git merge --quiet other");
            if merge.code == 0 {
                let status = sandbox.json("status train");
                assert_eq!(status["stages"][0]["state"], "stale", "{ours:?} {theirs:?}");
            } else {
                assert!(sandbox.read("esker.lock").contains("<<<<<<<"), "{merge}");
                assert_eq!(sandbox.esker("status").code, 1);
                sandbox.ok("lock --resolve --ours");
            }
            // Either way, a run makes it whole: the stage is what both sides ask for.
            sandbox.runs();
            sandbox.ok("repro");
            assert_eq!(sandbox.runs().first().map(String::as_str), Some("train"));
            assert_eq!(sandbox.json("lock --check")["clean"], true);
        }
    }
}

#[test]
fn two_branches_that_tracked_a_directory_and_a_file_in_it_are_told_apart() {
    let sandbox = Sandbox::project();
    sandbox.git("checkout --quiet -b part");
    sandbox.write("d/a", "a");
    sandbox.ok("add d/a");
    sandbox.git("add esker.lock && git commit --quiet --message Part");
    let part = sandbox.read("esker.lock");
    sandbox.git("checkout --quiet main");
    sandbox.write("d/b", "b");
    sandbox.ok("add d");
    let whole = sandbox.read("esker.lock");
    let block = &part[part.find("[data").unwrap()..];
    sandbox.write("esker.lock", format!("{whole}\n{block}"));
    for line in ["status", "checkout", "add d", "push"] {
        let output = sandbox.esker(line);
        assert!(
            output.code == 2 && output.stderr.contains("E0305"),
            "{line}: {output}"
        );
        assert!(
            output.stderr.contains("esker remove d/a"),
            "{line}: {output}"
        );
    }
    sandbox.ok("remove d/a");
    assert_eq!(sandbox.read("esker.lock"), whole);
    assert_eq!(sandbox.json("status")["data"][0]["state"], "unchanged");
}
