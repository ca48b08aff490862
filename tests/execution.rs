//! How stages run: what is chosen, side by side, in time, and beside other eskers.

use crate::common::Sandbox;

fn project(stages: &str) -> Sandbox {
    let sandbox = Sandbox::project();
    sandbox.append("esker.toml", stages);
    sandbox
}

/// A chain `a → b → c`, and `x` beside it; each says that it ran.
fn chain() -> Sandbox {
    project(
        r#"
[stage.a]
cmd = "echo a >> $RUNS; echo $RANDOM > out/a"
outs = ["out/a"]
[stage.b]
cmd = "echo b >> $RUNS; cp out/a out/b"
deps = ["out/a"]
outs = ["out/b"]
[stage.c]
cmd = "echo c >> $RUNS; cp out/b other"
deps = ["out/b"]
outs = ["other"]
[stage.x]
cmd = "echo x >> $RUNS; echo x > out/x"
outs = ["out/x"]
"#,
    )
}

#[test]
fn targets_choose_what_runs() {
    let table: [(&str, &[&str]); 9] = [
        ("b", &["a", "b"]),
        ("out/b", &["a", "b"]),
        ("other --single", &["c"]),
        ("b --downstream", &["b", "c"]),
        ("b x -s", &["b", "x"]),
        ("out/* -s", &["a", "b", "x"]),
        ("out -s", &["a", "b", "x"]),
        ("[ab] -s", &["a", "b"]),
        ("./other -s", &["c"]),
    ];
    let sandbox = chain();
    sandbox.ok("repro");
    sandbox.runs();
    for (targets, expected) in table {
        sandbox.ok(&format!("repro --force {targets}"));
        let mut runs = sandbox.runs();
        runs.sort();
        assert_eq!(runs, expected, "{targets}");
    }
    // A path is relative to where it is typed.
    sandbox.ok("-C out repro --force b -s");
    assert_eq!(sandbox.runs(), ["b"]);
    insta::assert_snapshot!(sandbox.esker("repro --single"), @"
    exit: 2
    --- stderr
    error: the following required arguments were not provided:
      <TARGET>...

    Usage: esker repro --single <TARGET>...

    For more information, try '--help'.
    ");
}

#[test]
fn a_stage_that_runs_too_long_is_ended_with_all_it_started() {
    let sandbox = project(
        "[stage.slow]\ncmd = \"echo started; sleep 1000 & echo $! > ../child; wait\"\nouts = [\"out\"]\ntimeout = \"1s\"\n",
    );
    insta::assert_snapshot!(sandbox.esker("repro"), @"
    exit: 1
    --- stdout
      started
    --- stderr
    ▶ slow        first run
    ✗ slow        failed

    error: `slow` ran longer than its `timeout` of [time], and was ended; nothing was recorded, and its outputs are as before
      │ started

    1 failed
    ");
    sandbox.sh("while kill -0 $(cat ../child) 2>/dev/null; do :; done");
}

#[test]
fn stages_with_one_mutex_never_run_together() {
    let stage = |name: &str| {
        format!(
            "[stage.{name}]\ncmd = \"mkdir busy; sleep 0.05; rmdir busy; echo {name} > {name}.out\"\nouts = [\"{name}.out\"]\nmutex = [\"gpu0\"]\n"
        )
    };
    let sandbox = project(&["a", "b", "c"].map(stage).concat());
    let output = sandbox.esker("repro -j 3");
    assert_eq!(output.code, 0, "{output}");
    // Two processes share the mutexes of the clone, too.
    let output = sandbox.try_sh(
        "esker repro --force a & first=$!; esker repro --force b & second=$!; wait $first && wait $second",
    );
    assert_eq!(output.code, 0, "{output}");
}

#[test]
fn a_stage_does_not_outlive_a_killed_esker() {
    let sandbox = project(
        "[stage.long]\ncmd = \"sleep 1000 & echo $! > child; echo $$ > shell; wait\"\nouts = [\"out\"]\n",
    );
    let output = sandbox.try_sh(
        "esker repro & pid=$!; until [ -s shell ]; do :; done; kill -9 $pid; wait $pid; \
         while kill -0 $(cat shell) || kill -0 $(cat child); do :; done 2>/dev/null",
    );
    assert_eq!(output.code, 0, "{output}");
    // Nothing stands in the way of the next one.
    sandbox.edit("esker.toml", "sleep 1000 &", "touch out; true &");
    sandbox.ok("repro");
}

#[test]
fn the_first_interrupt_asks_and_the_second_kills() {
    let sandbox = project(
        "[stage.deaf]\ncmd = \"trap '' INT; touch begun; while :; do sleep 0.01; done\"\nouts = [\"out\"]\n",
    );
    let output = sandbox.try_sh(
        "esker repro 2> log & pid=$!; until [ -e begun ]; do :; done; kill -INT $pid; \
         until grep -q Stopping log; do :; done; kill -INT $pid; wait $pid; code=$?; cat log >&2; exit $code",
    );
    assert_eq!(output.code, 130, "{output}");
    insta::assert_snapshot!(output, @"
    exit: 130
    --- stderr
    ▶ deaf        first run
    Stopping: asked 1 stage to end (Ctrl-C again kills)
    Killed 1 stage
    ✗ deaf        failed

    error: `deaf` was killed by signal 9; nothing was recorded, and its outputs are as before

    1 failed
    ");
}

#[test]
fn lines_of_stages_side_by_side_bear_their_names() {
    let stage = |name: &str| {
        format!(
            "[stage.{name}]\ncmd = \"for n in $(seq 500); do printf 'line of '; echo {name} $n; done; touch {name}.out\"\nouts = [\"{name}.out\"]\n"
        )
    };
    let sandbox = project(&["left", "right"].map(stage).concat());
    let output = sandbox.esker("repro -j 2");
    for name in ["left", "right"] {
        let lines = output.stdout.lines().filter(|line| line.starts_with(name));
        let expected = (1..=500).map(|n| format!("{name} │ line of {name} {n}"));
        assert!(lines.eq(expected), "{output}");
    }
    assert_eq!(output.stdout.lines().count(), 1000);
}

#[test]
fn disjoint_stages_of_two_eskers_run_side_by_side() {
    // Each waits for the other, so neither ends unless both run; both read the same file.
    let stage = |own: &str, other: &str| {
        format!(
            "[stage.{own}]\ncmd = \"touch {own}.began; until [ -e {other}.began ]; do :; done; echo {own} > {own}.out\"\ndeps = [\"shared\"]\nouts = [\"{own}.out\"]\n"
        )
    };
    let sandbox = project(&(stage("left", "right") + &stage("right", "left")));
    sandbox.write("shared", "both read this\n");
    let output = sandbox.try_sh(
        "esker repro left & first=$!; esker repro right & second=$!; wait $first && wait $second",
    );
    assert_eq!(output.code, 0, "{output}");
    // Both are in the record.
    assert_eq!(sandbox.json("status")["clean"], true);
    assert!(sandbox.read("esker.lock").contains("left.out"));
}

#[test]
fn a_path_being_written_is_waited_for_by_name() {
    let sandbox = project(
        r#"
[stage.slow]
cmd = "echo slow >> $RUNS; touch begun; until [ -e go ]; do :; done; echo x > out"
outs = ["out"]
[stage.after]
cmd = "echo after >> $RUNS; cp out copy"
deps = ["out"]
outs = ["copy"]
"#,
    );
    sandbox.write("data.bin", "data");
    let output = sandbox.try_sh(
        "esker repro slow & first=$!; until [ -e begun ]; do :; done; \
         esker repro after 2> second.log & second=$!; until grep -q Waiting second.log; do :; done; \
         esker add data.bin 2> third.log & third=$!; until grep -q Waiting third.log; do :; done; \
         touch go; wait $first && wait $second && wait $third; code=$?; \
         sed \"s/pid $first/pid FIRST/\" second.log third.log >&2; exit $code",
    );
    assert_eq!(output.code, 0, "{output}");
    assert_eq!(sandbox.runs(), ["slow", "after"]);
    assert!(
        output
            .stderr
            .contains("Waiting for `esker repro slow` (pid FIRST), which has `out`"),
        "{output}"
    );
    assert!(
        output.stderr.contains("Waiting for `esker repro"),
        "{output}"
    );
    assert_eq!(sandbox.json("status")["clean"], true);
}

#[test]
fn the_claims_of_the_dead_keep_nobody_waiting() {
    let sandbox = project(
        "[stage.s]\ncmd = \"touch begun; until [ -e go ]; do sleep 0.01; done; echo x > out\"\nouts = [\"out\"]\n",
    );
    let output = sandbox.try_sh(
        "esker repro & pid=$!; until [ -e begun ]; do :; done; kill -9 $pid; wait $pid; touch go; esker repro",
    );
    assert_eq!(output.code, 0, "{output}");
    assert!(!output.stderr.contains("Waiting"), "{output}");
}

/// However many stages wait to run: each claims its paths before.
#[test]
fn many_stages_need_few_open_files() {
    let stages =
        (0..120).map(|n| format!("[stage.s{n}]\ncmd = \"touch o{n}\"\nouts = [\"o{n}\"]\n"));
    let sandbox = project(&stages.collect::<String>());
    let output = sandbox.try_sh("ulimit -n 40; esker repro -q -j2");
    assert_eq!(output.code, 0, "{output}");
    assert_eq!(sandbox.json("status")["clean"], true);
}

#[test]
fn a_run_leaves_a_record_and_its_output() {
    let sandbox = project(
        r#"
[stage.s]
cmd = """
echo "$ESKER_STAGE $ESKER_RUN_ID"
python3 -c 'print("said")'
echo x > out
[ ! -e broken ]
"""
outs = ["out"]
"#,
    );
    sandbox.write("uv.lock", "pins\n");
    sandbox.commit("Pins");
    sandbox.append("esker.toml", "# not committed\n");
    sandbox.ok("repro");
    insta::assert_snapshot!(sandbox.ok("why s"), @"
    s is up to date: nothing it depends on has changed
    It last ran for [time]
      on [machine]
      with uv.lock b3:d6f565ae
      at commit [commit], 1 file not committed
      log: $ROOT/project/.git/esker/runs/[id].log
    ");
    let run = &sandbox.json("why s")["last_run"];
    let log = sandbox.read(&format!(
        ".git/esker/runs/{}.log",
        run["id"].as_str().unwrap()
    ));
    assert_eq!(log, format!("s {}\nsaid\n", run["id"].as_str().unwrap()));
    assert!(run["peak_memory"].as_u64().unwrap() > 1 << 20, "{run}");
    let environment = &run["environment"];
    assert!(
        environment["interpreter"]
            .as_str()
            .unwrap()
            .starts_with("Python 3.")
    );
    assert!(
        environment["files"]["uv.lock"]
            .as_str()
            .unwrap()
            .starts_with("b3:")
    );
    assert_eq!(
        run["commit"].as_str().unwrap(),
        sandbox.git("rev-parse HEAD").trim()
    );
    assert_eq!(run["uncommitted"], serde_json::json!(["esker.toml"]));

    sandbox.write("broken", "");
    assert_eq!(sandbox.esker("repro --force").code, 1);
    let why = sandbox.ok("why s");
    assert!(
        why.contains("Its last try failed after [time], with exit code 1"),
        "{why}"
    );
    assert_eq!(sandbox.json("why s")["last_run"], *run);
    // One that succeeds makes that old news.
    sandbox.remove("broken");
    sandbox.ok("repro --force");
    assert!(!sandbox.ok("why s").contains("last try"));
}
