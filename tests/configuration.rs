//! What `esker.toml` says of stages, in real runs: matrices, expressions, params, the environment.

use crate::common::Sandbox;

const NOTHING: [&str; 0] = [];

const MATRIX: &str = r#"
[stage.prepare]
cmd = "echo prepare >> $RUNS; echo ready > ready.txt"
outs = ["ready.txt"]

[stage.train]
matrix = { model = ["linear", "gbm"], depth = [1, 2], exclude = [{ model = "linear", depth = 2 }] }
cmd = "echo ${{ matrix.model }} ${{ matrix.depth }} >> $RUNS; echo ${{ params.train.lr }} > models/${{ matrix.model }}-${{ matrix.depth }}"
deps = ["conf/${{ matrix.model }}.yaml", "@prepare"]
params = ["conf/${{ matrix.model }}.yaml:*"]
outs = ["models/${{ matrix.model }}-${{ matrix.depth }}"]

[stage.compare]
cmd = "echo compare >> $RUNS; cat models/* > compared.txt"
deps = ["@train"]
outs = ["compared.txt"]
"#;

fn matrix() -> Sandbox {
    let sandbox = Sandbox::project();
    sandbox.write("params.yaml", "train:\n  lr: 0.001\n");
    sandbox.write("conf/linear.yaml", "penalty: l2\n");
    sandbox.write("conf/gbm.yaml", "leaves: 31\n");
    sandbox.append("esker.toml", MATRIX);
    sandbox
}

/// A project with this text at the end of its `esker.toml`.
fn project(text: &str) -> Sandbox {
    let sandbox = Sandbox::project();
    sandbox.append("esker.toml", text);
    sandbox
}

#[test]
fn a_matrix_runs_a_stage_for_each_cell() {
    let sandbox = matrix();
    sandbox.ok("repro");
    assert_eq!(
        sandbox.runs(),
        ["prepare", "gbm 1", "gbm 2", "linear 1", "compare"]
    );
    assert_eq!(sandbox.read("compared.txt"), "0.001\n0.001\n0.001\n");
    sandbox.ok("repro");
    assert_eq!(sandbox.runs(), NOTHING);
    let lock = sandbox.read("esker.lock");
    let block = lock
        .split("\n\n")
        .find(|block| block.contains("[stage.\"train@gbm-2\"]\n"));
    insta::assert_snapshot!(block.unwrap(), @r#"
    [stage."train@gbm-2"]
    cmd = "echo gbm 2 >> $RUNS; echo 0.001 > models/gbm-2"
    run = "6646d97048a8f684"
    "#);
    let params: Vec<&str> = lock
        .split("\n\n")
        .filter(|block| block.contains("train@linear-1\".params"))
        .collect();
    insta::assert_snapshot!(params.join("\n"), @r#"
    [stage."train@linear-1".params."conf/linear.yaml"]
    penalty = "l2"
    [stage."train@linear-1".params."params.yaml"]
    "train.lr" = 0.001
    "#);
}

#[test]
fn a_cell_is_stale_by_itself() {
    let sandbox = matrix();
    sandbox.ok("repro");
    sandbox.runs();
    sandbox.edit("conf/gbm.yaml", "31", "63");
    sandbox.ok("repro");
    assert_eq!(sandbox.runs(), ["gbm 1", "gbm 2"]);
    // What the other values were is known.
    sandbox.edit("conf/gbm.yaml", "63", "31");
    sandbox.ok("repro");
    assert_eq!(sandbox.runs(), NOTHING);
    sandbox.edit("params.yaml", "0.001", "0.1");
    insta::assert_snapshot!(sandbox.esker("why train@linear-1"), @"
    exit: 0
    --- stdout
    train@linear-1 would run, because:
      cmd changed
      train.lr 0.001 → 0.1 (params.yaml)
    It last ran for [time]
      on [machine]
      at commit [commit], 1 file not committed
    ");
    // A value more makes a cell more, and touches no other.
    sandbox.edit("params.yaml", "0.1", "0.001");
    sandbox.edit("esker.toml", "depth = [1, 2]", "depth = [3, 1, 2]");
    let before = sandbox.read("esker.lock");
    sandbox.ok("repro");
    assert_eq!(sandbox.runs(), ["gbm 3", "linear 3", "compare"]);
    let after = sandbox.read("esker.lock");
    for block in before
        .split("\n\n")
        .filter(|block| block.contains("train@"))
    {
        assert!(after.contains(block), "{block}");
    }
    // A value less drops its block, and says so.
    sandbox.edit("esker.toml", "depth = [3, 1, 2]", "depth = [1, 2]");
    let output = sandbox.esker("repro");
    assert!(output.stderr.contains("- train@gbm-3"), "{output}");
    assert!(!sandbox.read("esker.lock").contains("gbm-3"));
}

#[test]
fn a_matrix_without_its_value_says_where() {
    let sandbox = project("[stage.a]\ncmd = 'x ${{ matrix.modle }}'\nmatrix = { model = [1] }\n");
    let output = sandbox.esker("repro");
    insta::assert_snapshot!(output, @"
    exit: 2
    --- stderr
    error[E0213]: `a@1` has no `matrix.modle`
      esker.toml:31   cmd = 'x ${{ matrix.modle }}'
                               ^^^^^^^^^^^^^^^^^^^

    hint: did you mean `matrix.model`?
    ");
    assert!(!sandbox.exists("esker.lock"));
}

#[test]
fn params_of_three_formats_say_the_same() {
    let text = "[stage.FORMAT]\ncmd = 'echo x > FORMAT.out'\nparams = ['p.FORMAT:a.b', 'p.FORMAT:l']\nouts = ['FORMAT.out']\n";
    let formats = ["yaml", "toml", "json"];
    let sandbox = project(
        &formats
            .map(|format| text.replace("FORMAT", format))
            .concat(),
    );
    sandbox.write("p.yaml", "a: {b: 1.5, c: 2}\nl: [1, x]\n");
    sandbox.write("p.toml", "a = { b = 1.5, c = 2 }\nl = [1, \"x\"]\n");
    sandbox.write(
        "p.json",
        "{\"a\": {\"b\": 1.5, \"c\": 2}, \"l\": [1, \"x\"]}",
    );
    sandbox.ok("repro");
    let lock = sandbox.read("esker.lock");
    for format in formats {
        let block =
            format!("[stage.{format}.params.\"p.{format}\"]\n\"a.b\" = 1.5\nl = [1, \"x\"]\n");
        assert!(lock.contains(&block), "{lock}");
        // Another key of the file may change freely.
        sandbox.edit(&format!("p.{format}"), "2", "3");
    }
    let output = sandbox.esker("status --check");
    assert_eq!(output.code, 0, "{output}");
}

#[test]
fn the_environment_is_set_read_and_passed_on() {
    let mut sandbox = project(
        r#"
[env]
run = ["env", "WRAPPED=yes"]
deps = ["tools.lock"]
set = { SEED = "7" }
pass = ["TOKEN"]
[stage.a]
cmd = "echo $SEED $WRAPPED $AUTH ${{ env.TOKEN }} ${{ env.SEED }} > out"
env = { AUTH = "Bearer ${{ env.TOKEN }}" }
outs = ["out"]
"#,
    );
    sandbox.write("tools.lock", "1\n");
    let unset = sandbox.esker("repro");
    assert_eq!(unset.code, 1, "{unset}");
    assert!(
        unset.stderr.contains("`env.TOKEN`, which is not set"),
        "{unset}"
    );
    assert!(!sandbox.exists("out"));
    sandbox.set("TOKEN", "hunter2");
    sandbox.ok("repro");
    assert_eq!(sandbox.read("out"), "7 yes Bearer hunter2 hunter2 7\n");
    let lock = sandbox.read("esker.lock");
    assert!(!lock.contains("hunter2"), "{lock}");
    let block = lock.split("\n[stage.a.outs").next().unwrap();
    insta::assert_snapshot!(&block[block.find("[stage.a]").unwrap()..], @r#"
    [stage.a]
    cmd = "echo $SEED $WRAPPED $AUTH ${{ env.TOKEN }} 7 > out"
    run = "69e205a432ba17d1"

    [stage.a.deps]
    "tools.lock" = "b3:50cc1102b1c612e6962547aacdcef9a400d4416ef8dd9388e885991853c400c9"

    [stage.a.env]
    AUTH = "Bearer ${{ env.TOKEN }}"
    SEED = "7"
    "#);
    // Another value of what is passed on, and another wrapper, rerun nothing.
    sandbox.set("TOKEN", "other");
    sandbox.edit("esker.toml", "WRAPPED=yes", "WRAPPED=no");
    let output = sandbox.esker("status --check");
    assert_eq!(output.code, 0, "{output}");
    sandbox.write("tools.lock", "2\n");
    let output = sandbox.esker("why a");
    assert!(output.stdout.contains("tools.lock changed"), "{output}");
}

#[test]
fn a_secret_is_recorded_as_its_hash_with_a_warning() {
    let sandbox =
        project("[stage.a]\ncmd = 'echo x > out'\nparams = ['params.yaml:*']\nouts = ['out']\n");
    sandbox.write("params.yaml", "lr: 1\napi:\n  token: hunter2\n");
    let output = sandbox.esker("repro");
    insta::assert_snapshot!(output, @"
    exit: 0
    --- stderr
    ▶ a           first run
    ✓ a           [time]  out 2 B
    warning: `params.yaml:api.token` looks like a secret: only its hash is recorded. Pass it on by `[env] pass` instead
    Ran 1 stage in [time]
    next: git add esker.toml esker.lock .gitignore params.yaml && git commit
    ");
    let lock = sandbox.read("esker.lock");
    assert!(
        lock.contains("\"api.token\" = \"hash:") && !lock.contains("hunter2"),
        "{lock}"
    );
    sandbox.edit("params.yaml", "hunter2", "hunter3");
    let output = sandbox.esker("status --check");
    assert_eq!(output.code, 1, "{output}");
    assert!(!output.stdout.contains("hunter"), "{output}");
}

const GLOBS: &str = r#"
[stage.prepare]
cmd = "echo prepare >> $RUNS; mkdir -p data/a; echo 1 > data/a/x.csv; echo 2 > data/a/y.txt"
outs = ["data/a"]

[stage.count]
cmd = "echo count >> $RUNS; cat conf/*.yaml data/*/*.csv > count.txt"
deps = ["conf/*.yaml", "data/*/*.csv"]
outs = ["count.txt"]
"#;

#[test]
fn a_glob_is_one_line_and_follows_what_it_matches() {
    let sandbox = project(GLOBS);
    sandbox.write("conf/a.yaml", "a: 1\n");
    sandbox.write("conf/b.yaml", "b: 1\n");
    sandbox.write("conf/deep/c.yaml", "c: 1\n");
    sandbox.ok("repro");
    // What lies in an output is matched too, so its stage comes first.
    assert_eq!(sandbox.runs(), ["prepare", "count"]);
    let lock = sandbox.read("esker.lock");
    let deps = lock
        .split("\n\n")
        .find(|block| block.starts_with("[stage.count.deps]"));
    insta::assert_snapshot!(deps.unwrap(), @r#"
    [stage.count.deps]
    "conf/*.yaml" = "b3:9954f079c0ceac369a1016a05546d0beefd04c406b00c1d69d803e2e960b41e6"
    "data/*/*.csv" = "b3:97b235ea33ceffb37d3c0b0ba28ed6b4344ed20d810b6a1a67de713024b78412"
    "#);
    let fresh = |sandbox: &Sandbox| sandbox.esker("status --check").code == 0;
    assert!(fresh(&sandbox));
    // Not matched: deeper, another ending, ignored.
    sandbox.write("conf/deep/c.yaml", "c: 2\n");
    sandbox.write("conf/a.json", "{}");
    sandbox.write("conf/.gitignore", "local.yaml\n");
    sandbox.write("conf/local.yaml", "x: 1\n");
    assert!(fresh(&sandbox));
    for (file, text) in [("conf/a.yaml", "a: 2\n"), ("conf/new.yaml", "n: 1\n")] {
        sandbox.write(file, text);
        let why = sandbox.ok("why count");
        assert!(why.contains("conf/*.yaml changed"), "{why}");
        sandbox.ok("repro");
        assert_eq!(sandbox.runs(), ["count"]);
    }
    sandbox.commit("Globs");
    let clone = sandbox.clone_to("clone");
    // The data is not there, and counts as it was recorded.
    insta::assert_snapshot!(clone.esker("lock --check"), @"
    exit: 0
    --- stdout
    The lock says what the project says
    ");
}

#[test]
fn a_glob_that_matches_nothing_stops_before_anything_runs() {
    let sandbox = project(GLOBS);
    let output = sandbox.esker("repro");
    insta::assert_snapshot!(output, @r#"
    exit: 2
    --- stderr
    error[E0203]: `count` needs `conf/*.yaml`, which matches nothing
      esker.toml:37   deps = ["conf/*.yaml", "data/*/*.csv"]
                              ^^^^^^^^^^^^^ no stage writes it, nothing tracks it
    "#);
    assert_eq!(sandbox.runs(), NOTHING);
    assert!(!sandbox.exists("esker.lock"));
}

#[test]
fn a_glob_of_tracked_data_follows_it() {
    let sandbox = project(
        "[stage.a]\ncmd = 'cat raw/*/*.csv > out'\ndeps = ['raw/*', 'data/**/*.csv']\nouts = ['out']\n",
    );
    sandbox.write("raw/one/x.csv", "1\n");
    sandbox.write("raw/two/x.csv", "2\n");
    sandbox.write("data/b/c.csv", "3\n");
    sandbox.ok("add raw/one raw/two");
    sandbox.ok("repro");
    sandbox.write("raw/two/y.csv", "2\n");
    let output = sandbox.esker("repro");
    assert_eq!(output.code, 1, "{output}");
    assert!(output.stderr.contains("esker add raw/two"), "{output}");
    sandbox.ok("add raw/two");
    let why = sandbox.ok("why a");
    assert!(
        why.contains("raw/* changed") && !why.contains("data/**"),
        "{why}"
    );
}

#[test]
fn set_changes_a_param_in_its_file_and_runs() {
    let sandbox = Sandbox::pipeline();
    sandbox.ok("repro");
    sandbox.runs();
    let output = sandbox.esker("repro -S train.lr=1e-3");
    let said: Vec<&str> = output.stderr.lines().take(1).collect();
    assert_eq!(said, ["set train.lr 0.1 → 0.001 (params.yaml)"], "{output}");
    assert_eq!(sandbox.runs(), ["train", "evaluate"]);
    assert_eq!(
        sandbox.read("params.yaml"),
        "train:\n  lr: 0.001   # the rate\n  epochs: 3\n"
    );
    sandbox.write("conf/a.json", "{\"x\": 1}");
    let output = sandbox.esker(
        "repro --set conf/a.json:x=no --set +train.name=no --set +train.token=1234567 --set train.epochs=4",
    );
    let said: Vec<&str> = output.stderr.lines().take(4).collect();
    let expected = [
        "set x 1 → no (conf/a.json)",
        "set train.name no added (params.yaml)",
        "set train.token (not shown) (params.yaml)",
        "set train.epochs 3 → 4 (params.yaml)",
    ];
    assert_eq!(said, expected, "{output}");
    assert!(!output.stderr.contains("1234567"), "{output}");
    // Programs are told its hash.
    let report = sandbox.json("repro --set train.token=7654321 --set train.epochs=4");
    let set = report["set"].to_string();
    let hashes = set.matches("\":\"hash:").count();
    assert_eq!(hashes, 2, "{set}");
    assert!(set.contains("\"new\":4") && !set.contains("1234567") && !set.contains("7654321"));
    sandbox.edit("params.yaml", "  token: 7654321\n", "");
    assert_eq!(sandbox.read("conf/a.json"), "{\"x\": \"no\"}");
    assert_eq!(
        sandbox.read("params.yaml"),
        "train:\n  lr: 0.001   # the rate\n  epochs: 4\n  name: \"no\"\n"
    );
    let output =
        sandbox.esker("repro --json --set +conf/a.json:auth={\"a\":1,\"api_key\":\"abc123\"}");
    assert_eq!(output.code, 0, "{output}");
    assert!(!output.to_string().contains("abc123"), "{output}");
    assert!(sandbox.read("conf/a.json").contains("abc123"));
}

#[test]
fn set_changes_nothing_if_one_of_its_wishes_is_wrong() {
    let sandbox = Sandbox::pipeline();
    let before = sandbox.files("project");
    insta::assert_snapshot!(sandbox.esker("repro --set train.epochs=4 --set train.lrr=1"), @"
    exit: 2
    --- stderr
    error[E0209]: `--set train.lrr=1`: no `train.lrr` in params.yaml
      nothing was changed

    hint: did you mean `train.lr`?
    ");
    insta::assert_snapshot!(sandbox.esker("repro --set train.lr"), @"
    exit: 2
    --- stderr
    error[E0215]: `--set train.lr` is not like `train.lr=0.1`: there is no `=`
      nothing was changed

    hint: write `--set KEY=VALUE`, or `--set FILE:KEY=VALUE`
    ");
    insta::assert_snapshot!(sandbox.esker_args(&["repro", "--set", "train.lr=[1"]), @r#"
    exit: 2
    --- stderr
    error[E0215]: `--set train.lr=[1` is not like `train.lr=0.1`: `[1` is no value: quote it, as in '"[1"'
      nothing was changed

    hint: write `--set KEY=VALUE`, or `--set FILE:KEY=VALUE`
    "#);
    insta::assert_snapshot!(sandbox.esker("repro --set +train.lr.x=1"), @"
    exit: 2
    --- stderr
    error[E0215]: cannot set `train.lr.x` in `params.yaml`: `train.lr` is no table
      nothing was changed
    ");
    assert_eq!(sandbox.files("project"), before);
    sandbox.edit(
        "esker.toml",
        "params = [\"params.yaml\"]",
        "params = [\"params.yaml\", \"b.yaml\"]",
    );
    sandbox.write("b.yaml", "train: {lr: 1}\n");
    insta::assert_snapshot!(sandbox.esker("repro --set train.lr=2"), @"
    exit: 2
    --- stderr
    error[E0209]: `--set train.lr=2`: several files have `train.lr`: params.yaml, b.yaml
      nothing was changed

    hint: name the file: --set params.yaml:train.lr=2
    ");
}
