use crate::common::Sandbox;

#[test]
fn an_empty_project_is_clean() {
    let sandbox = Sandbox::project();
    insta::assert_snapshot!(sandbox.esker("status"), @"
    exit: 0
    --- stdout
    Data:   nothing tracked
    Remote: none configured
    ");
    insta::assert_snapshot!(sandbox.ok("status --json"), @r#"
    {
      "v": 1,
      "clean": true,
      "data": [],
      "stages": []
    }
    "#);
}

#[test]
fn changes_inside_a_directory_are_named_one_by_one() {
    let sandbox = Sandbox::project();
    for name in ["keep", "edit", "drop", "move"] {
        sandbox.write(&format!("data/{name}"), format!("{name} content"));
    }
    sandbox.ok("add data");
    sandbox.commit("Data");
    sandbox.write("data/edit", "edited content");
    sandbox.remove("data/drop");
    sandbox.sh("mv data/move data/moved");
    sandbox.write("data/new", "new content!");
    insta::assert_snapshot!(sandbox.esker("status"), @"
    exit: 0
    --- stdout
    Data:
      ~ data
          - data/drop  12 B
          ~ data/edit  12 B → 14 B
          → data/moved  (was data/move)  12 B
          + data/new  12 B
    Remote: none configured
    --- stderr
    next: esker add data    (or `esker checkout data` to go back)
    ");
    assert_eq!(sandbox.esker("status --check").code, 1);
    insta::assert_snapshot!(sandbox.ok("status --json"), @r#"
    {
      "v": 1,
      "clean": false,
      "data": [
        {
          "path": "data",
          "state": "modified",
          "in_store": true,
          "in_remote": null,
          "head": "unchanged",
          "changes": [
            {
              "path": "data/drop",
              "kind": "deleted",
              "old_hash": "b3:02be7be4aa76740fc761bde31b5fb2c9b70b512837022009fc1dabafecffc08f",
              "old_size": 12
            },
            {
              "path": "data/edit",
              "kind": "modified",
              "old_hash": "b3:4a5274e56c43d21fd3b2055478fe9c9ff026ec718d8659b6815677f461fcf318",
              "new_hash": "b3:df049820ab340c40109d56555bb8577a342db337de67ba6ebb8132cd2df6e24a",
              "old_size": 12,
              "new_size": 14
            },
            {
              "path": "data/moved",
              "kind": "renamed",
              "from": "data/move",
              "old_hash": "b3:a253fef3be1769bfd8f273c39a051fdc79322a1db72d19448bd040f20a2a15d4",
              "new_hash": "b3:a253fef3be1769bfd8f273c39a051fdc79322a1db72d19448bd040f20a2a15d4",
              "old_size": 12,
              "new_size": 12
            },
            {
              "path": "data/new",
              "kind": "added",
              "new_hash": "b3:cb0f1f31370ede5c76879a26425f98c8b893a8e12bd53e812e4659fd171ad8b2",
              "new_size": 12
            }
          ]
        }
      ],
      "stages": []
    }
    "#);
}

#[test]
fn absent_data_is_no_change_for_check() {
    let sandbox = Sandbox::project();
    sandbox.write("data/a", "a");
    sandbox.ok("add data");
    sandbox.commit("Data");
    sandbox.remove("data");
    insta::assert_snapshot!(sandbox.esker("status --check"), @"
    exit: 0
    --- stdout
    Data:
      - data  (not in the workspace)
    Remote: none configured
    --- stderr
    next: esker checkout
    ");
}

#[test]
fn stages_say_why_they_would_run() {
    let sandbox = Sandbox::pipeline();
    insta::assert_snapshot!(sandbox.esker("status"), @"
    exit: 0
    --- stdout
    Stages: 3 of 3 would run
      ~ prepare   first run
      ~ train     first run
      ~ evaluate  first run
    Data:   up to date
    Remote: none configured
    --- stderr
    next: esker repro
    ");
    sandbox.ok("repro");
    insta::assert_snapshot!(sandbox.esker("status"), @"
    exit: 0
    --- stdout
    Stages: up to date
    Data:   up to date
    Lock:   not committed: eval (new), model (new), prepared.txt (new)
    Remote: none configured
    ");
    sandbox.commit("Run");
    insta::assert_snapshot!(sandbox.esker("status"), @"
    exit: 0
    --- stdout
    Stages: up to date
    Data:   up to date
    Remote: none configured
    ");
    sandbox.edit("params.yaml", "lr: 0.1", "lr: 0.003");
    insta::assert_snapshot!(sandbox.esker("status"), @"
    exit: 0
    --- stdout
    Stages: 2 of 3 would run
      ~ train     train.lr 0.1 → 0.003 (params.yaml)
      ~ evaluate  after train
    Data:   up to date
    Remote: none configured
    --- stderr
    next: esker repro
    ");
    insta::assert_snapshot!(sandbox.ok("status --json evaluate train"), @r#"
    {
      "v": 1,
      "clean": false,
      "data": [
        {
          "path": "eval",
          "stage": "evaluate",
          "state": "unchanged",
          "in_store": true,
          "in_remote": null,
          "head": "unchanged",
          "changes": []
        },
        {
          "path": "model",
          "stage": "train",
          "state": "unchanged",
          "in_store": true,
          "in_remote": null,
          "head": "unchanged",
          "changes": []
        }
      ],
      "stages": [
        {
          "name": "train",
          "state": "stale",
          "reasons": [
            {
              "kind": "param-changed",
              "text": "train.lr 0.1 → 0.003 (params.yaml)",
              "key": "train.lr",
              "file": "params.yaml",
              "old": 0.1,
              "new": 0.003
            }
          ]
        },
        {
          "name": "evaluate",
          "state": "stale",
          "reasons": [
            {
              "kind": "upstream",
              "text": "after train",
              "stage": "train"
            }
          ]
        }
      ]
    }
    "#);
}

#[test]
fn why_explains_one_stage() {
    let sandbox = Sandbox::pipeline();
    insta::assert_snapshot!(sandbox.esker("why train"), @"
    exit: 0
    --- stdout
    train would run for the first time
      prepare would run first:
        first run
    ");
    sandbox.ok("repro");
    insta::assert_snapshot!(sandbox.esker("why train"), @"
    exit: 0
    --- stdout
    train is up to date: nothing it depends on has changed
    It last ran for [time]
      on [machine]
      at commit [commit]
    ");
    sandbox.edit("params.yaml", "lr: 0.1", "lr: 0.003");
    sandbox.append("train.sh", "# a comment\n");
    insta::assert_snapshot!(sandbox.esker("why model/weights"), @"
    exit: 0
    --- stdout
    train would run, because:
      train.sh changed
      train.lr 0.1 → 0.003 (params.yaml)
    It last ran for [time]
      on [machine]
      at commit [commit]
    ");
    insta::assert_snapshot!(sandbox.esker("why evaluate"), @"
    exit: 0
    --- stdout
    evaluate would run, because:
      after train
      train would run first:
        train.sh changed
        train.lr 0.1 → 0.003 (params.yaml)
    It last ran for [time]
      on [machine]
      at commit [commit]
    ");
    insta::assert_snapshot!(sandbox.esker("why evalute"), @"
    exit: 2
    --- stderr
    error[E0208]: no stage or output `evalute`

    hint: did you mean `evaluate`?
    ");
}

#[test]
fn targets_narrow_it_down() {
    let sandbox = Sandbox::project();
    sandbox.write("a/x", "x");
    sandbox.write("b/y", "y");
    sandbox.ok("add a b");
    sandbox.write("a/x", "changed");
    sandbox.write("b/y", "changed");
    let status = sandbox.json("status b");
    assert_eq!(status["data"].as_array().unwrap().len(), 1);
    assert_eq!(status["data"][0]["path"], "b");
    insta::assert_snapshot!(sandbox.esker("status c"), @"
    exit: 2
    --- stderr
    error[E0307]: esker tracks nothing at `c`

    hint: esker status
    ");
}

#[test]
fn a_path_inside_a_directory_narrows_its_changes_down() {
    let sandbox = Sandbox::project();
    for name in ["a", "sub/b", "sub/c", "sub2/d"] {
        sandbox.write(&format!("data/{name}"), name);
    }
    sandbox.ok("add data");
    sandbox.commit("Data");
    sandbox.write("data/a", "changed");
    sandbox.write("data/sub/b", "changed");
    sandbox.sh("mv data/sub/c data/moved");
    insta::assert_snapshot!(sandbox.ok("status data/sub"), @"
    Data:
      ~ data
          → data/moved  (was data/sub/c)  5 B
          ~ data/sub/b  5 B → 7 B
    Remote: none configured
    ");
    assert_eq!(sandbox.esker("status --check data/sub2").code, 0);
    assert_eq!(sandbox.json("status data/sub2")["clean"], true);
    let all = sandbox.json("status data")["data"][0]["changes"].clone();
    assert_eq!(all.as_array().unwrap().len(), 3);
}

#[test]
fn an_edit_of_the_same_size_right_after_add_is_seen() {
    let sandbox = Sandbox::project();
    for round in 0..20 {
        sandbox.write("data", format!("{round:04}"));
        sandbox.ok("add data");
        sandbox.write("data", format!("{:04}", round + 5000));
        assert_eq!(
            sandbox.json("status")["data"][0]["state"],
            "modified",
            "round {round}"
        );
    }
}

/// Scenario 44.
#[test]
fn what_nobody_knows_is_listed_one_line_a_directory() {
    let sandbox = Sandbox::pipeline();
    sandbox.ok("repro");
    sandbox.commit("Run");
    for name in [
        "new.csv",
        "more/a",
        "more/deep/b",
        "data/other.txt",
        "inner/esker.toml",
    ] {
        sandbox.write(name, "x");
    }
    sandbox.write("ignored/x", "x");
    sandbox.append(".gitignore", "/ignored/\n");
    insta::assert_snapshot!(sandbox.esker("status --untracked"), @"
    exit: 0
    --- stdout
    Stages: up to date
    Data:   up to date
    Untracked (by git and by esker):
      ? data/other.txt
      ? more/
      ? new.csv
    Remote: none configured
    ");
    let below = sandbox.json("status --untracked more/deep data");
    assert_eq!(
        below["untracked"],
        serde_json::json!(["data/other.txt", "more/"])
    );
    assert_eq!(below["data"].as_array().unwrap().len(), 1);
    assert!(sandbox.json("status").get("untracked").is_none());
    sandbox.ok("add new.csv more data/other.txt");
    insta::assert_snapshot!(sandbox.esker("status -u"), @"
    exit: 0
    --- stdout
    Stages: up to date
    Data:   up to date
    Lock:   not committed: data/other.txt (new), more (new), new.csv (new)
    Untracked: nothing
    Remote: none configured
    ");
}

#[test]
fn a_project_that_git_does_not_know_yet_lists_its_own_files() {
    let sandbox = Sandbox::repository();
    sandbox.write("sub/new.csv", "x");
    sandbox.write("sub/dir/a", "x");
    sandbox.write("beside/x", "x");
    sandbox.ok("-C sub init");
    let status = sandbox.json("-C sub status --untracked");
    assert_eq!(status["untracked"], serde_json::json!(["dir/", "new.csv"]));
}

/// Scenario 42.
#[test]
fn a_file_that_became_a_directory_is_deleted_and_added() {
    let sandbox = Sandbox::project();
    sandbox.write("data/x", "file");
    sandbox.write("y/deep", "directory");
    sandbox.ok("add data y");
    sandbox.commit("Data");
    sandbox.remove("data/x");
    sandbox.write("data/x/inside", "other");
    sandbox.remove("y");
    sandbox.write("y", "a file");
    insta::assert_snapshot!(sandbox.esker("status"), @"
    exit: 0
    --- stdout
    Data:
      ~ data
          - data/x  4 B
          + data/x/inside  5 B
      ~ y
          + y  6 B
          - y/deep  9 B
    Remote: none configured
    --- stderr
    next: esker add data    (or `esker checkout data` to go back)
    ");
}

/// Scenario 43: equal contents pair up in the order of their names.
#[test]
fn renames_of_equal_files_pair_up_the_same_way_every_time() {
    let sandbox = Sandbox::project();
    for name in ["a", "b", "c"] {
        sandbox.write(&format!("data/{name}"), "same");
    }
    sandbox.ok("add data");
    sandbox.sh("cd data && mv a z && mv b y");
    insta::assert_snapshot!(sandbox.esker("status"), @"
    exit: 0
    --- stdout
    Data:
      ~ data
          → data/y  (was data/a)  4 B
          → data/z  (was data/b)  4 B
    Lock:   not committed: data (new)
    Remote: none configured
    --- stderr
    next: esker add data    (or `esker checkout data` to go back)
    ");
}

/// Scenario 41: nothing but the lock is here.
#[test]
fn a_listing_that_the_store_lacks_is_no_crash() {
    let sandbox = Sandbox::project();
    sandbox.write("data/a", "a");
    sandbox.ok("add data");
    sandbox.commit("Data");
    sandbox.sh("rm -rf .git/esker");
    sandbox.write("data/a", "changed");
    let status = sandbox.json("status");
    assert_eq!(status["data"][0]["state"], "modified");
    assert_eq!(status["data"][0]["in_store"], false);
    sandbox.remove("data");
    insta::assert_snapshot!(sandbox.esker("status"), @"
    exit: 0
    --- stdout
    Data:
      - data  (neither in the workspace nor in the store)
    Remote: none configured
    ");
}

/// Scenario 40: HEAD, the lock and the workspace all differ.
#[test]
fn the_lock_against_head_and_the_workspace_against_the_lock_are_told_apart() {
    let sandbox = Sandbox::project();
    sandbox.write("data/a", "one");
    sandbox.ok("add data");
    sandbox.commit("One");
    sandbox.write("data/a", "two");
    sandbox.ok("add data");
    sandbox.write("data/a", "three");
    insta::assert_snapshot!(sandbox.esker("status"), @"
    exit: 0
    --- stdout
    Data:
      ~ data
          ~ data/a  3 B → 5 B
    Lock:   not committed: data (changed)
    Remote: none configured
    --- stderr
    next: esker add data    (or `esker checkout data` to go back)
    ");
    let data = &sandbox.json("status")["data"][0];
    assert_eq!(
        (&data["head"], &data["state"]),
        (&"modified".into(), &"modified".into())
    );
}
