use crate::common::Sandbox;

/// Scenario 125: nested files, negation and comments.
#[test]
fn the_rule_that_excludes_a_path_is_named_with_file_and_line() {
    let sandbox = Sandbox::project();
    sandbox.write(".eskerignore", "# caches\n*.tmp\n!keep.tmp\n/build/\n");
    sandbox.write("data/.eskerignore", "*.log\n!*.tmp\n");
    insta::assert_snapshot!(
        sandbox.esker("check-ignore -v a.tmp keep.tmp data/x.tmp data/y.log build/deep/file build2"),
        @"
    exit: 0
    --- stdout
    .eskerignore:2:*.tmp	a.tmp
    data/.eskerignore:1:*.log	data/y.log
    .eskerignore:4:/build/	build/deep/file
    "
    );
    insta::assert_snapshot!(sandbox.esker("check-ignore a.tmp data/x.csv data/y.log"), @"
    exit: 0
    --- stdout
    a.tmp
    data/y.log
    ");
    insta::assert_snapshot!(sandbox.esker("check-ignore data/x.csv"), @"exit: 1");
    insta::assert_snapshot!(sandbox.esker("-C data check-ignore --details ../a.tmp y.log"), @"
    exit: 0
    --- stdout
    .eskerignore:2:*.tmp	../a.tmp
    data/.eskerignore:1:*.log	y.log
    ");
    insta::assert_snapshot!(sandbox.ok("check-ignore --json a.tmp keep.tmp"), @r#"
    {
      "v": 1,
      "paths": [
        {
          "path": "a.tmp",
          "ignored": true,
          "rule": {
            "file": ".eskerignore",
            "line": 2,
            "pattern": "*.tmp"
          }
        },
        {
          "path": "keep.tmp",
          "ignored": false
        }
      ]
    }
    "#);
}

/// Scenario 126.
#[test]
fn ignored_files_of_a_tracked_directory_are_not_looked_at() {
    let sandbox = Sandbox::project();
    sandbox.write(".eskerignore", "*.tmp\n");
    sandbox.write("data/a", "a");
    sandbox.write("data/b.tmp", "b");
    sandbox.ok("add data");
    assert!(sandbox.read("esker.lock").contains("files = 1"));
    sandbox.write("data/b.tmp", "changed");
    sandbox.write("data/c.tmp", "new");
    assert_eq!(sandbox.json("status")["data"][0]["state"], "unchanged");
}

#[test]
fn the_ignore_files_of_dvc_are_read_too() {
    let sandbox = Sandbox::project();
    sandbox.write(".dvcignore", "*.tmp\n*.bak\n");
    sandbox.write("data/.eskerignore", "!keep.bak\n");
    for name in ["a", "b.tmp", "c.bak", "keep.bak"] {
        sandbox.write(&format!("data/{name}"), name);
    }
    sandbox.ok("add data");
    sandbox.remove("data");
    sandbox.ok("checkout");
    let back = ["data/.eskerignore", "data/a", "data/keep.bak"];
    for name in back {
        assert!(sandbox.exists(name), "{name}");
    }
    assert!(!sandbox.exists("data/b.tmp") && !sandbox.exists("data/c.bak"));
    insta::assert_snapshot!(sandbox.esker("check-ignore -v data/c.bak data/keep.bak"), @"
    exit: 0
    --- stdout
    .dvcignore:2:*.bak	data/c.bak
    ");
}

/// Scenario 128.
#[test]
fn a_nested_project_is_invisible_to_its_parent() {
    let sandbox = Sandbox::project();
    sandbox.write("data/a", "a");
    sandbox.write("data/inner/file", "b");
    sandbox.ok("-C data/inner init");
    insta::assert_snapshot!(sandbox.esker("add data"), @"
    exit: 0
    --- stderr
    warning: `data/inner` is left out: it is a project of its own, with an `esker.toml`
    + data  1 file  1 B
    next: git add esker.lock .gitignore
    ");
    assert!(sandbox.read("esker.lock").contains("files = 1"));
    insta::assert_snapshot!(sandbox.esker("add data/inner/file"), @"
    exit: 2
    --- stderr
    error[E0315]: `data/inner` is a project of its own

    hint: track it from there: each `esker.toml` is a project of its own
    ");
}

/// Scenario 127.
#[test]
fn what_an_ignore_file_excludes_is_not_added() {
    let sandbox = Sandbox::project();
    sandbox.write(".eskerignore", "*.tmp\n");
    sandbox.write("data/a", "a");
    sandbox.write("data/b.tmp", "b");
    sandbox.ok("add data");
    let lock = sandbox.read("esker.lock");
    insta::assert_snapshot!(sandbox.esker("add data/b.tmp"), @"
    exit: 2
    --- stderr
    error[E0317]: `data/b.tmp` is excluded by .eskerignore:1: `*.tmp`

    hint: remove that line, or put `!` exceptions below it in .eskerignore
    ");
    assert_eq!(sandbox.read("esker.lock"), lock);
}

/// Scenario 127.
#[test]
fn an_output_that_an_ignore_file_excludes_is_refused_before_anything_runs() {
    let sandbox = Sandbox::project();
    sandbox.append(
        "esker.toml",
        "\n[stage.s]\ncmd = \"mkdir out; echo 1 > out/x\"\nouts = [\"out\"]\n",
    );
    sandbox.write(".eskerignore", "out/\n");
    insta::assert_snapshot!(sandbox.esker("repro"), @"
    exit: 2
    --- stderr
    error[E0317]: `out` is excluded by .eskerignore:1: `out/`

    hint: remove that line, or put `!` exceptions below it in .eskerignore
    ");
    assert!(!sandbox.exists("out"));
    sandbox.write(".eskerignore", "");
    sandbox.ok("repro");
    // With the output there, the same rule is known to be about a directory.
    sandbox.write(".eskerignore", "out\n");
    assert_eq!(sandbox.esker("repro").code, 2);
}
