use crate::common::Sandbox;

fn two_runs() -> Sandbox {
    let sandbox = Sandbox::pipeline();
    sandbox.ok("repro");
    sandbox.commit("One");
    sandbox.git("tag one");
    sandbox.edit("params.yaml", "lr: 0.1", "lr: 0.003");
    sandbox.ok("repro");
    sandbox
}

#[test]
fn params_and_metrics_against_head() {
    let sandbox = two_runs();
    insta::assert_snapshot!(sandbox.esker("params diff"), @"
    exit: 0
    --- stdout
    file         param     HEAD  workspace
    params.yaml  train.lr   0.1      0.003
    ");
    insta::assert_snapshot!(sandbox.ok("params diff --md"), @"
    | file | param | HEAD | workspace |
    | --- | --- | --: | --: |
    | params.yaml | train.lr | 0.1 | 0.003 |
    ");
    insta::assert_snapshot!(sandbox.ok("params diff --json"), @r#"
    {
      "v": 1,
      "from": "HEAD",
      "to": "workspace",
      "changes": [
        {
          "file": "params.yaml",
          "key": "train.lr",
          "old": 0.1,
          "new": 0.003
        }
      ]
    }
    "#);
    insta::assert_snapshot!(sandbox.esker("metrics diff"), @"
    exit: 0
    --- stdout
    file               metric    HEAD  workspace   change
    eval/metrics.json  score   0.1000     0.0030  -0.0970  worse
    ");
    insta::assert_snapshot!(sandbox.ok("metrics diff --all --md"), @"
    | file | metric | HEAD | workspace | change |  |
    | --- | --- | --: | --: | --: | --- |
    | eval/metrics.json | loss | 0.5000 | 0.5000 | +0.0000 |  |
    | eval/metrics.json | score | 0.1000 | 0.0030 | -0.0970 | worse |
    ");
    insta::assert_snapshot!(sandbox.ok("metrics diff --json"), @r#"
    {
      "v": 1,
      "from": "HEAD",
      "to": "workspace",
      "changes": [
        {
          "file": "eval/metrics.json",
          "key": "score",
          "old": 0.1,
          "new": 0.003,
          "delta": -0.097,
          "better": false
        }
      ]
    }
    "#);
    insta::assert_snapshot!(sandbox.ok("metrics show"), @"
    file               metric  workspace
    eval/metrics.json  loss       0.5000
    eval/metrics.json  score      0.0030
    ");
    insta::assert_snapshot!(sandbox.ok("metrics show one --json"), @r#"
    {
      "v": 1,
      "rev": "one",
      "metrics": {
        "eval/metrics.json": {
          "loss": 0.5,
          "score": 0.1
        }
      },
      "errors": []
    }
    "#);
    assert_eq!(
        sandbox.esker("metrics diff --check").code,
        1,
        "the score got worse"
    );
    assert_eq!(sandbox.esker("metrics diff one one --check").code, 0);
}

#[test]
fn metrics_of_a_commit_need_no_data() {
    let sandbox = two_runs();
    sandbox.commit("Two");
    sandbox.sh("rm -rf .git/esker eval model prepared.txt");
    assert!(sandbox.ok("metrics diff one HEAD").contains("0.1000"));
}

#[test]
fn data_between_commits_with_renames() {
    let sandbox = Sandbox::project();
    sandbox.write("data/a", "content of a");
    sandbox.write("data/b", "b");
    sandbox.ok("add data");
    sandbox.commit("One");
    sandbox.sh("mv data/a data/c");
    sandbox.write("data/b", "bb");
    sandbox.write("data/d", "d");
    insta::assert_snapshot!(sandbox.esker("diff"), @"
    exit: 0
    --- stdout
    ~ data/b  1 B → 2 B
    → data/c  (was data/a)  12 B
    + data/d  1 B
    ");
    sandbox.ok("add data");
    sandbox.commit("Two");
    insta::assert_snapshot!(sandbox.esker("diff HEAD~ HEAD"), @"
    exit: 0
    --- stdout
    ~ data/b  1 B → 2 B
    → data/c  (was data/a)  12 B
    + data/d  1 B
    ");
    insta::assert_snapshot!(sandbox.ok("diff HEAD~ HEAD --json"), @r#"
    {
      "v": 1,
      "from": "HEAD~",
      "to": "HEAD",
      "changes": [
        {
          "path": "data/b",
          "kind": "modified",
          "old_hash": "b3:10e5cf3d3c8a4f9f3468c8cc58eea84892a22fdadbc1acb22410190044c1d553",
          "new_hash": "b3:58293e32b140c28c1debf42045417b312d36a6c2b6a649ec381ebe1350e12a87",
          "old_size": 1,
          "new_size": 2
        },
        {
          "path": "data/c",
          "kind": "renamed",
          "from": "data/a",
          "old_hash": "b3:868f9cb2fb38fdef14186d28515ff09bc200eb31c4ae86c8a985ba6b03d7823a",
          "new_hash": "b3:868f9cb2fb38fdef14186d28515ff09bc200eb31c4ae86c8a985ba6b03d7823a",
          "old_size": 12,
          "new_size": 12
        },
        {
          "path": "data/d",
          "kind": "added",
          "new_hash": "b3:d5ede538f628f687e5e0422c7755b503653de2dcd7053ca8791afa5d4787d843",
          "new_size": 1
        }
      ]
    }
    "#);
    insta::assert_snapshot!(sandbox.esker("diff HEAD HEAD"), @"
    exit: 0
    --- stderr
    No data differs between HEAD and HEAD
    ");
    insta::assert_snapshot!(sandbox.esker("diff HEAD..."), @"
    exit: 0
    --- stderr
    No data differs between d2ffdb6 and HEAD
    ");
    sandbox.sh("rm -rf .git/esker/store/meta");
    insta::assert_snapshot!(sandbox.esker("diff HEAD~ HEAD"), @"
    exit: 0
    --- stdout
    ~ data  13 B → 15 B  (directory; its listing is not here)
    ");
}

#[test]
fn a_broken_metrics_file_does_not_hide_the_others() {
    let sandbox = Sandbox::project();
    sandbox.append(
        "esker.toml",
        "[metrics]\nfiles = [\"good.json\", \"bad.json\"]\n",
    );
    sandbox.write("good.json", "{\"auc\": 0.5, \"zero\": 0, \"ok\": false}");
    sandbox.write("bad.json", "{");
    insta::assert_snapshot!(sandbox.esker("metrics show"), @"
    exit: 2
    --- stdout
    file       metric  workspace
    good.json  auc        0.5000
    good.json  ok          false
    good.json  zero            0
    --- stderr
    warning: `bad.json`: cannot parse `bad.json`: line 1, column 2: expected a key in quotes
    ");
}

/// Scenarios 47 and 48.
#[test]
fn paths_narrow_a_diff_down() {
    let sandbox = Sandbox::project();
    sandbox.write("a/x", "x");
    sandbox.write("b", "b");
    sandbox.ok("add a b");
    sandbox.commit("One");
    sandbox.ok("remove b");
    sandbox.write("a/x", "changed");
    sandbox.write("a/y", "new");
    sandbox.write("c", "c");
    sandbox.ok("add a c");
    insta::assert_snapshot!(sandbox.esker("diff -- a/y b"), @"
    exit: 0
    --- stdout
    + a/y  3 B
    - b  1 B
    ");
    insta::assert_snapshot!(sandbox.esker("diff HEAD -- c"), @"
    exit: 0
    --- stdout
    + c  1 B
    ");
    insta::assert_snapshot!(sandbox.esker("diff HEAD HEAD"), @"
    exit: 0
    --- stderr
    No data differs between HEAD and HEAD
    ");
    insta::assert_snapshot!(sandbox.esker("diff -- nothing"), @"
    exit: 2
    --- stderr
    error[E0307]: esker tracks nothing at `nothing`

    hint: esker status
    ");
}

/// Scenario 49: the listing of the old side is nowhere here.
#[test]
fn an_old_listing_that_is_missing_is_told_of() {
    let sandbox = Sandbox::project();
    sandbox.write("a/x", "x");
    sandbox.ok("add a");
    sandbox.commit("One");
    sandbox.sh("rm -rf .git/esker/store");
    sandbox.write("a/x", "changed");
    sandbox.ok("add a");
    insta::assert_snapshot!(sandbox.esker("diff"), @"
    exit: 0
    --- stdout
    ~ a  1 B → 7 B  (directory; its listing is not here)
    ");
}
