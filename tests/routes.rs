//! `remote` and `pull` of outputs and tracked data.

use crate::common::Sandbox;

/// A pipeline with the remote `store`, and `big` for a tracked directory and the model.
fn two_remotes() -> Sandbox {
    let sandbox = Sandbox::pipeline();
    sandbox.write("data/photos/a.bin", vec![7; 100_000]);
    sandbox.ok("add data/photos");
    sandbox.edit(
        "esker.toml",
        "outs = [\"model\"]",
        "outs = [{ path = \"model\", remote = \"big\" }]",
    );
    sandbox.append(
        "esker.toml",
        "\n[data.\"data/photos\"]\nremote = \"big\"\n\n[remote.store]\nurl = \"../store\"\ndefault = true\n\
         \n[remote.big]\nurl = \"../big\"\n",
    );
    sandbox.ok("repro");
    sandbox.commit("Run");
    sandbox.runs();
    sandbox
}

#[test]
fn what_has_a_remote_of_its_own_goes_there_and_comes_from_there() {
    let sandbox = two_remotes();
    insta::assert_snapshot!(sandbox.esker("push --dry-run"), @"
    exit: 0
    --- stderr
    Would push 3 files to `store`: 48 B
    Would push 2 files to `big`: 97.7 KiB
    ");
    insta::assert_snapshot!(sandbox.esker("push"), @"
    exit: 0
    --- stderr
    Pushed 3 files to `store`: 48 B as 1.45 KiB in 5 objects
    Pushed 2 files to `big`: 97.7 KiB as 1.22 KiB in 4 objects (compression saved 97.6 KiB)
    ");
    insta::assert_snapshot!(sandbox.esker("push"), @"
    exit: 0
    --- stderr
    Nothing to push: `store` has everything
    Nothing to push: `big` has everything
    ");
    let clone = sandbox.clone_to("clone");
    insta::assert_snapshot!(clone.esker("pull"), @"
    exit: 0
    --- stderr
    Pulled 3 files from `store`: 48 B as 759 B
    Pulled 2 files from `big`: 97.7 KiB as 796 B (compression saved 97.6 KiB)
    Switched 5 paths (data/photos, data/raw.txt, eval, model, prepared.txt): 5 files written, 97.8 KiB
    ");
    assert_eq!(clone.files(), sandbox.files("project"));
    insta::assert_snapshot!(clone.esker("pull"), @"
    exit: 0
    --- stderr
    Nothing to fetch: the store has everything
    Nothing to switch: the workspace matches the record
    ");
    clone.ok("repro");
    assert!(sandbox.runs().is_empty(), "nothing is left to run");
    let report = sandbox.json("push");
    assert_eq!(report["remote"], "store");
    assert_eq!(report["others"][0]["remote"], "big");
}

#[test]
fn a_remote_that_is_named_is_for_the_rest_alone() {
    let sandbox = two_remotes();
    sandbox.ok("remote add other ../other");
    insta::assert_snapshot!(sandbox.esker("push --remote other"), @"
    exit: 0
    --- stderr
    Pushed 3 files to `other`: 48 B as 1.45 KiB in 5 objects
    ");
    assert!(!sandbox.root().join("big").exists());
    insta::assert_snapshot!(sandbox.esker("push --remote big"), @"
    exit: 0
    --- stderr
    Pushed 5 files to `big`: 97.8 KiB as 2.14 KiB in 5 objects (compression saved 97.6 KiB)
    ");
    let clone = sandbox.clone_to("clone");
    clone.sh("cp ../project/esker.toml .");
    // From the one that was named comes what it may have.
    let pulled = clone.esker("pull --remote other");
    assert_eq!(pulled.code, 3, "{pulled}");
    let there = clone.files();
    for (path, is_there) in [
        ("prepared.txt", true),
        ("eval/metrics.json", true),
        ("model/weights", false),
        ("data/photos/a.bin", false),
    ] {
        assert_eq!(there.contains_key(path), is_there, "{path}");
    }
    insta::assert_snapshot!(clone.esker("pull model data/photos"), @"
    exit: 0
    --- stderr
    Pulled 2 files from `big`: 97.7 KiB as 1.47 KiB (compression saved 97.6 KiB)
    Switched 2 paths (data/photos, model): 2 files written, 97.7 KiB
    ");
}

#[test]
fn a_remote_of_its_own_must_be_one() {
    let sandbox = two_remotes();
    sandbox.ok("remote remove big");
    let pushed = sandbox.esker("push");
    assert_eq!(pushed.code, 2, "{pushed}");
    assert!(
        pushed.stderr.contains("E0403") && pushed.stderr.contains("`big`"),
        "{pushed}"
    );
}

#[test]
fn stages_and_repairs_get_their_data_from_where_it_is() {
    let sandbox = two_remotes();
    sandbox.ok("push");
    let clone = sandbox.clone_to("clone");
    clone.sh("echo '# more' >> evaluate.sh");
    clone.ok("repro --pull");
    assert_eq!(sandbox.runs(), ["evaluate"]);
    assert!(clone.files().contains_key("model/weights"));
    assert!(!clone.files().contains_key("data/photos/a.bin"));
    // What the store lost comes back from the remote of its path.
    sandbox.sh("rm -r data/photos model .git/esker/store");
    let repaired = sandbox.esker("fsck --repair");
    sandbox.ok("checkout");
    assert!(sandbox.exists("model/weights"), "{repaired}");
    assert!(sandbox.exists("data/photos/a.bin"));
}

#[test]
fn data_that_is_not_to_be_pulled_comes_when_it_is_named() {
    let sandbox = two_remotes();
    sandbox.edit(
        "esker.toml",
        "[data.\"data/photos\"]\n",
        "[data.\"data/photos\"]\npull = false\n",
    );
    sandbox.commit("Not these");
    sandbox.ok("push");
    let clone = sandbox.clone_to("clone");
    insta::assert_snapshot!(clone.esker("pull"), @"
    exit: 0
    --- stderr
    Pulled 3 files from `store`: 48 B as 759 B
    Pulled 1 file from `big`: 52 B as 702 B
    Switched 4 paths (data/raw.txt, eval, model, prepared.txt): 4 files written, 100 B
    ");
    insta::assert_snapshot!(clone.esker("status"), @"
    exit: 0
    --- stdout
    Stages: up to date
    Data:
      - data/photos  (not here: `pull = false`)
    ");
    insta::assert_snapshot!(clone.esker("checkout"), @"
    exit: 0
    --- stderr
    Nothing to switch: the workspace matches the record
    ");
    // A directory around it does not name it.
    clone.ok("pull data");
    assert!(!clone.files().contains_key("data/photos/a.bin"));
    let missed = clone.esker("checkout data/photos");
    assert_eq!(missed.code, 3, "{missed}");
    insta::assert_snapshot!(clone.esker("pull data/photos/a.bin"), @"
    exit: 0
    --- stderr
    Pulled 1 file from `big`: 97.7 KiB as 672 B (compression saved 97.6 KiB)
    Switched 1 path (data/photos): 1 file written, 97.7 KiB
    ");
    assert!(clone.files().contains_key("data/photos/a.bin"));
    // Once it is here, it is switched as all else.
    clone.sh("rm -r data/photos");
    clone.ok("checkout");
    assert!(clone.files().contains_key("data/photos/a.bin"));
    insta::assert_snapshot!(clone.esker("status"), @"
    exit: 0
    --- stdout
    Stages: up to date
    Data:   up to date
    ");
}

#[test]
fn a_remote_that_fails_does_not_keep_others_from_what_is_theirs() {
    let sandbox = two_remotes();
    // The main one: where its directory should be is a file.
    std::fs::write(sandbox.root().join("store"), "").unwrap();
    insta::assert_snapshot!(sandbox.esker("push"), @"
    exit: 2
    --- stderr
    Pushed 2 files to `big`: 97.7 KiB as 1.22 KiB in 4 objects (compression saved 97.6 KiB)
    error[E0901]: cannot create `$ROOT/store/tmp`
      caused by: Not a directory (os error 20)
      nothing more was sent to `store`
    ");
    let json = sandbox.esker("push --json");
    assert_eq!(json.code, 2, "{json}");
    insta::assert_snapshot!(json.stdout, @r#"
    {
      "v": 1,
      "remote": "big",
      "files": 0,
      "bytes": 0,
      "objects": 0,
      "sent_bytes": 0,
      "reused_bytes": 0,
      "compression_saved_bytes": 0,
      "mended": 0,
      "complete": 1,
      "missing": [],
      "failed": [
        {
          "remote": "store",
          "error": {
            "code": "E0901",
            "message": "cannot create `$ROOT/store/tmp`",
            "details": [
              "caused by: Not a directory (os error 20)",
              "nothing more was sent to `store`"
            ]
          }
        }
      ]
    }
    "#);
    // All of them.
    std::fs::remove_dir_all(sandbox.root().join("big")).unwrap();
    std::fs::write(sandbox.root().join("big"), "").unwrap();
    insta::assert_snapshot!(sandbox.esker("push"), @"
    exit: 2
    --- stderr
    error[E0901]: cannot create `$ROOT/store/tmp`
      caused by: Not a directory (os error 20)
      nothing more was sent to `store`
    error[E0901]: cannot create `$ROOT/big/tmp`
      caused by: Not a directory (os error 20)
      nothing more was sent to `big`
    ");
    // One that is no remote does not keep the main one either.
    std::fs::remove_file(sandbox.root().join("store")).unwrap();
    sandbox.edit("esker.toml", "[remote.big]", "[remote.bigger]");
    insta::assert_snapshot!(sandbox.esker("push"), @"
    exit: 2
    --- stderr
    Pushed 3 files to `store`: 48 B as 1.45 KiB in 5 objects
    error[E0403]: no remote `big`
      nothing more was sent to `big`

    hint: did you mean `bigger`?
    ");
}

#[test]
fn what_other_remotes_have_comes_before_a_failure_is_told() {
    let sandbox = two_remotes();
    sandbox.ok("push");
    let clone = sandbox.clone_to("clone");
    std::fs::rename(sandbox.root().join("store"), sandbox.root().join("aside")).unwrap();
    std::fs::create_dir(sandbox.root().join("store")).unwrap();
    std::fs::write(sandbox.root().join("store/format.json"), "nonsense").unwrap();
    insta::assert_snapshot!(clone.esker("pull"), @"
    exit: 3
    --- stderr
    error[E0506]: object `format.json` of remote `store` is damaged: expected ident at line 1 column 2
      nothing of it was taken for data

    hint: push again from a clone that has the data
    ");
    assert_eq!(clone.files().get("data/photos/a.bin"), None);
    std::fs::remove_dir_all(sandbox.root().join("store")).unwrap();
    std::fs::rename(sandbox.root().join("aside"), sandbox.root().join("store")).unwrap();
    insta::assert_snapshot!(clone.esker("pull"), @"
    exit: 0
    --- stderr
    Pulled 3 files from `store`: 48 B as 759 B
    Switched 5 paths (data/photos, data/raw.txt, eval, model, prepared.txt): 5 files written, 97.8 KiB
    ");
    assert_eq!(clone.files(), sandbox.files("project"));
}

#[test]
fn git_sends_nothing_while_one_remote_of_several_lacks_its_data() {
    let sandbox = two_remotes();
    sandbox.sh("git init --quiet --bare ../origin.git && git remote add origin ../origin.git");
    sandbox.ok("install");
    std::fs::write(sandbox.root().join("store"), "").unwrap();
    let push = sandbox.try_sh("git push --quiet origin main");
    assert_ne!(push.code, 0, "{push}");
    assert!(
        push.stderr.contains("esker: Pushed 2 files to `big`"),
        "{push}"
    );
    assert!(
        push.stderr.contains("nothing more was sent to `store`"),
        "{push}"
    );
    std::fs::remove_file(sandbox.root().join("store")).unwrap();
    sandbox.git("push --quiet origin main");
}
