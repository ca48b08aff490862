//! Every way the text of a project can be wrong: one clear message, the documented exit code, and
//! nothing changed on disk.

use crate::common::{Output, Sandbox};

/// Runs a command that must change no file.
fn harmless(sandbox: &Sandbox, line: &str) -> Output {
    let before = sandbox.files("project");
    let output = sandbox.esker(line);
    assert_eq!(sandbox.files("project"), before, "{output}");
    output
}

fn with(text: &str) -> Sandbox {
    let sandbox = Sandbox::pipeline();
    sandbox.append("esker.toml", text);
    sandbox
}

#[test]
fn outside_of_a_repository_and_of_a_project() {
    insta::assert_snapshot!(harmless(&Sandbox::empty(), "status"), @"
    exit: 2
    --- stderr
    error[E0101]: `$ROOT/project` is not inside a git working tree

    hint: git init
    ");
    insta::assert_snapshot!(harmless(&Sandbox::repository(), "status"), @"
    exit: 2
    --- stderr
    error[E0102]: no `esker.toml` here or in any directory above, up to the top of the git repository

    hint: esker init
    ");
}

#[test]
fn a_missing_dependency() {
    let sandbox = with(
        "[stage.report]\ncmd = \"cat evla/metrics.json\"\ndeps = [\"prepared.text\"]\nouts = [\"r\"]\n",
    );
    insta::assert_snapshot!(harmless(&sandbox, "repro"), @r#"
    exit: 2
    --- stderr
    error[E0203]: `report` needs `prepared.text`, which does not exist
      esker.toml:52   deps = ["prepared.text"]
                              ^^^^^^^^^^^^^^^ no stage writes it, nothing tracks it

    hint: did you mean `prepared.txt` (written by `prepare`)?
    "#);
}

#[test]
fn two_stages_that_write_one_output() {
    let sandbox = with("[stage.again]\ncmd = \"true\"\nouts = [\"model/weights\"]\n");
    insta::assert_snapshot!(harmless(&sandbox, "repro"), @r#"
    exit: 2
    --- stderr
    error[E0207]: two stages write into the same place
      esker.toml:40   outs = ["model"]
                              ^^^^^^^ by `train`
      esker.toml:52   outs = ["model/weights"]
                              ^^^^^^^^^^^^^^^ by `again`

    hint: give each its own output
    "#);
}

#[test]
fn a_circle() {
    let sandbox = with(
        "[stage.a]\ncmd = \"true\"\ndeps = [\"b.out\"]\nouts = [\"a.out\"]\n[stage.b]\ncmd = \"true\"\ndeps = [\"a.out\"]\nouts = [\"b.out\"]\n",
    );
    insta::assert_snapshot!(harmless(&sandbox, "status"), @r#"
    exit: 2
    --- stderr
    error[E0205]: the stages need each other in a circle: a → b → a
      esker.toml:52   deps = ["b.out"]
                              ^^^^^^^ `a` reads what `b` writes: `b.out`
      esker.toml:56   deps = ["a.out"]
                              ^^^^^^^ `b` reads what `a` writes: `a.out`

    hint: take one of these out
    "#);
}

#[test]
fn keys_that_are_unknown_or_from_later() {
    let sandbox = with("[stage.x]\ncmd = \"true\"\ndepz = [\"a\"]\n");
    insta::assert_snapshot!(harmless(&sandbox, "status"), @r#"
    exit: 2
    --- stderr
    error[E0201]: unknown key `depz` in `[stage.x]`
      esker.toml:52   depz = ["a"]
                      ^^^^

    hint: did you mean `deps`?
    "#);
    let sandbox = with("[plot.roc]\nfrom = \"eval/roc.json\"\n");
    insta::assert_snapshot!(harmless(&sandbox, "status"), @"
    exit: 2
    --- stderr
    error[E0201]: `[plot]` is not in this version of esker
      esker.toml:50   [plot.roc]
                       ^^^^
    ");
    let sandbox = with("[remote.r]\nurl = \"s3://b/p\"\nsecret_access_key = \"hunter2\"\n");
    let output = harmless(&sandbox, "push");
    assert!(!output.stderr.contains("hunter2"), "{output}");
    insta::assert_snapshot!(output, @"
    exit: 2
    --- stderr
    error[E0201]: `secret_access_key` is a secret, and secrets never belong in `esker.toml`
      esker.toml:52   secret_access_key = …
                      ^^^^^^^^^^^^^^^^^
    ");
}

#[test]
fn text_that_is_no_toml() {
    let sandbox = with("[stage.x\n");
    insta::assert_snapshot!(harmless(&sandbox, "repro"), @"
    exit: 2
    --- stderr
    error[E0201]: not TOML: unclosed table, expected `]`
      esker.toml:50   [stage.x
                              ^
    ");
}

#[test]
fn a_damaged_lock() {
    let sandbox = Sandbox::pipeline();
    sandbox.edit("esker.lock", "hash = \"b3:", "hash = \"b3:x");
    insta::assert_snapshot!(harmless(&sandbox, "status"), @r#"
    exit: 3
    --- stderr
    error[E0502]: `esker.lock` is damaged: `hash` must be an id like `b3:<64 hex digits>`
      esker.lock:5   hash = "b3:x36c1b41ebea3b6a447c4ff24af93dfa56834c4f7947e3b4f9bf02fbfd6a53850"
                            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    hint: take the last committed one: git restore esker.lock
    "#);
    sandbox.write("esker.lock", "not toml");
    insta::assert_snapshot!(harmless(&sandbox, "repro"), @"
    exit: 3
    --- stderr
    error[E0502]: `esker.lock` is damaged: key with no value, expected `=`
      esker.lock:1   not toml
                         ^

    hint: take the last committed one: git restore esker.lock
    ");
}

#[test]
fn a_lock_of_a_newer_version() {
    let sandbox = Sandbox::pipeline();
    sandbox.edit("esker.lock", "version = 1", "version = 2");
    insta::assert_snapshot!(harmless(&sandbox, "status"), @"
    exit: 2
    --- stderr
    error[E0504]: `esker.lock` has version 2, this esker reads up to 1

    hint: upgrade esker
    ");
}

#[test]
fn a_remote_that_is_not_configured_or_not_there() {
    let sandbox = Sandbox::pipeline();
    insta::assert_snapshot!(harmless(&sandbox, "push"), @"
    exit: 2
    --- stderr
    error[E0401]: no remote is configured

    hint: esker remote add NAME URL
    ");
    sandbox.ok("remote add store ../nowhere");
    insta::assert_snapshot!(harmless(&sandbox, "push -r stroe"), @"
    exit: 2
    --- stderr
    error[E0403]: no remote `stroe`

    hint: did you mean `store`?
    ");
    insta::assert_snapshot!(harmless(&sandbox, "pull"), @"
    exit: 0
    --- stderr
    Nothing to fetch: the store has everything
    Nothing to switch: the workspace matches the record
    ");
    sandbox.ok("remote add web ftp://example.com/x");
    insta::assert_snapshot!(harmless(&sandbox, "push -r web"), @"
    exit: 2
    --- stderr
    error[E0416]: remote `web` has the url `ftp://example.com/x`, which is of no kind that esker knows

    hint: this version knows directories, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX, ssh://USER@HOST/PATH and, to pull from, https://HOST/PATH
    ");
}

#[test]
fn a_missing_param() {
    let sandbox = Sandbox::pipeline();
    sandbox.edit("esker.toml", "params.yaml:train.lr", "params.yaml:train.rl");
    let output = sandbox.esker("repro");
    insta::assert_snapshot!(output, @r#"
    exit: 2
    --- stderr
    error[E0209]: `train` asks for the param `train.rl`, which params.yaml does not have
      esker.toml:39   params = ["params.yaml:train.rl"]
                                ^^^^^^^^^^^^^^^^^^^^^^

    hint: did you mean `train.lr`?
    "#);
}

#[test]
fn a_params_file_that_cannot_be_read() {
    let sandbox = Sandbox::pipeline();
    sandbox.write("params.yaml", "train: [");
    insta::assert_snapshot!(harmless(&sandbox, "status"), @"
    exit: 2
    --- stderr
    error[E0210]: cannot parse `params.yaml`: line 2, column 1: while parsing a node, did not find expected node content
      params.yaml:2
                      ^
    ");
}

#[test]
fn a_params_file_of_each_format_is_shown_where_it_breaks() {
    let sandbox = Sandbox::pipeline();
    sandbox.edit("esker.toml", "params.yaml:train.lr", "p.json:lr");
    sandbox.write("p.json", "{\"lr\": 0.1,\n \"epochs\" 3}\n");
    insta::assert_snapshot!(harmless(&sandbox, "repro"), @r#"
    exit: 2
    --- stderr
    error[E0210]: cannot parse `p.json`: line 2, column 11: expected `:`
      p.json:2   "epochs" 3}
                          ^
    "#);
    sandbox.edit("esker.toml", "p.json:lr", "p.toml:lr");
    sandbox.write("p.toml", "lr = 0.1\nlr = 0.2\n");
    insta::assert_snapshot!(harmless(&sandbox, "repro"), @"
    exit: 2
    --- stderr
    error[E0210]: cannot parse `p.toml`: line 2, column 1: duplicate key
      p.toml:2   lr = 0.2
                 ^
    ");
    sandbox.edit("esker.toml", "p.toml:lr", "p.yaml:lr");
    sandbox.write("p.yaml", b"lr: 0.1 # \xe9t\xe9\n");
    insta::assert_snapshot!(harmless(&sandbox, "lock --check"), @"
    exit: 2
    --- stderr
    error[E0210]: cannot parse `p.yaml`: line 1, column 11: not UTF-8
      p.yaml:1   lr: 0.1 # �t�
                           ^
    ");
}

#[test]
fn a_params_file_that_is_missing_or_has_something_else_there() {
    let sandbox = Sandbox::pipeline();
    sandbox.edit("esker.toml", "params.yaml:train.lr", "conf/gone.yaml:lr");
    insta::assert_snapshot!(harmless(&sandbox, "repro"), @r#"
    exit: 2
    --- stderr
    error[E0209]: `train` asks for the param `lr`, but `conf/gone.yaml` does not exist
      esker.toml:39   params = ["conf/gone.yaml:lr"]
                                ^^^^^^^^^^^^^^^^^^^
    "#);
    sandbox.edit(
        "esker.toml",
        "conf/gone.yaml:lr",
        "params.yaml:train.lr.base",
    );
    insta::assert_snapshot!(harmless(&sandbox, "repro"), @r#"
    exit: 2
    --- stderr
    error[E0209]: `train` asks for the param `train.lr.base`, but `train.lr` is a number in `params.yaml`, not a table
      esker.toml:39   params = ["params.yaml:train.lr.base"]
                                ^^^^^^^^^^^^^^^^^^^^^^^^^^^

    hint: did you mean `train.lr`?
    "#);
    insta::assert_snapshot!(harmless(&sandbox, "repro --set lr=1"), @"
    exit: 2
    --- stderr
    error[E0209]: `--set lr=1`: no `lr` in params.yaml
      nothing was changed

    hint: did you mean `train.lr`?
    ");
    insta::assert_snapshot!(harmless(&sandbox, "repro --set conf/gone.yaml:lr=1"), @"
    exit: 2
    --- stderr
    error[E0209]: `--set conf/gone.yaml:lr=1`: `conf/gone.yaml` does not exist
      nothing was changed

    hint: to add it: --set +conf/gone.yaml:lr=1
    ");
    sandbox.edit(
        "esker.toml",
        "sh train.sh",
        "sh train.sh ${{ params.train.lr.base }}",
    );
    insta::assert_snapshot!(harmless(&sandbox, "status"), @r#"
    exit: 2
    --- stderr
    error[E0213]: `params.train.lr.base` cannot be filled in: `train.lr` is a number in `params.yaml`, not a table
      esker.toml:37   cmd = "echo train >> $RUNS; sh train.sh ${{ params.train.lr.base }}"
                                                              ^^^^^^^^^^^^^^^^^^^^^^^^^^^

    hint: did you mean `params.train.lr`?
    "#);
}

#[test]
fn errors_have_a_json_form() {
    let sandbox = Sandbox::pipeline();
    insta::assert_snapshot!(harmless(&sandbox, "push --json"), @r#"
    exit: 2
    --- stderr
    {"v":1,"error":{"code":"E0401","message":"no remote is configured","hint":"esker remote add NAME URL"}}
    "#);
}
