//! `esker dag`: the graph in the terminal, and in the forms that other programs draw.

use crate::common::Sandbox;

#[test]
fn the_drawing_shows_states() {
    let sandbox = Sandbox::pipeline();
    sandbox.ok("repro prepare");
    insta::assert_snapshot!(sandbox.esker("dag"), @"
    exit: 0
    --- stdout
    data/raw.txt ─▶ prepare ✓ ─▶ train ~ ─▶ evaluate ~
    ✓ up to date   ~ would run (esker why evaluate)
    ");
    insta::assert_snapshot!(sandbox.ok("dag --mermaid"), @r#"
    flowchart LR
        n0[("data/raw.txt")]
        n1["prepare ✓"]
        n2["train ~"]
        n3["evaluate ~"]
        n0 --> n1
        n1 --> n2
        n2 --> n3
    "#);
    insta::assert_snapshot!(sandbox.ok("dag --dot"), @r#"
    digraph esker {
        rankdir=LR;
        n0 [label="data/raw.txt", shape=cylinder];
        n1 [label="prepare ✓", shape=box];
        n2 [label="train ~", shape=box];
        n3 [label="evaluate ~", shape=box];
        n0 -> n1;
        n1 -> n2;
        n2 -> n3;
    }
    "#);
}

#[test]
fn a_matrix_that_does_not_fit_becomes_one_node() {
    let sandbox = Sandbox::project();
    sandbox.write("data/raw.txt", "some text\n");
    sandbox.append(
        "esker.toml",
        r#"
[stage.prepare]
cmd = "cp data/raw.txt prepared.txt"
deps = ["data/raw.txt"]
outs = ["prepared.txt"]

[stage.train]
matrix = { model = ["linear", "gbm"] }
cmd = "cp prepared.txt ${{ matrix.model }}.txt"
deps = ["prepared.txt"]
outs = ["${{ matrix.model }}.txt"]

[stage.evaluate]
cmd = "cat linear.txt gbm.txt > score.txt"
deps = ["linear.txt", "gbm.txt"]
outs = ["score.txt"]
"#,
    );
    sandbox.ok("add data/raw.txt");
    sandbox.ok("repro train@linear");
    insta::assert_snapshot!(sandbox.ok("dag"), @"
    data/raw.txt ─▶ prepare ✓ ─┬─▶ train@gbm    ~ ─┬─▶ evaluate ~
                               └─▶ train@linear ✓ ─┘
    ✓ up to date   ~ would run (esker why evaluate)
    ");
    insta::assert_snapshot!(sandbox.ok("dag train"), @"
    data/raw.txt ─▶ prepare ✓ ─┬─▶ train@gbm    ~
                               └─▶ train@linear ✓
    ✓ up to date   ~ would run (esker why train@gbm)
    ");
    let narrow = |columns: &str| sandbox.esker_with("dag", &[("COLUMNS", columns)]).stdout;
    assert_eq!(narrow("61"), sandbox.ok("dag"));
    assert!(narrow("60").lines().count() > 4, "a list");
    // Names that are longer than their counts.
    sandbox.edit(
        "esker.toml",
        "\"linear\", \"gbm\"",
        "\"linear-with-intercept\", \"linear\"",
    );
    sandbox.edit(
        "esker.toml",
        "\"linear.txt\", \"gbm.txt\"",
        "\"linear.txt\", \"linear-with-intercept.txt\"",
    );
    insta::assert_snapshot!(narrow("70"), @"
    data/raw.txt ─▶ prepare ✓ ─▶ train ×2 (1 ✓ 1 ~) ─▶ evaluate ~
    ✓ up to date   ~ would run (esker why evaluate)
    ");
}

#[test]
fn what_does_not_fit_becomes_a_list() {
    let sandbox = Sandbox::pipeline();
    sandbox.ok("repro prepare");
    let narrow = |columns: &str, locale: &str| {
        let env = [("COLUMNS", columns), ("LC_ALL", locale)];
        sandbox.esker_with("dag", &env).stdout
    };
    assert_eq!(narrow("50", "C.UTF-8"), sandbox.ok("dag"));
    insta::assert_snapshot!(narrow("49", "C.UTF-8"), @"
    data/raw.txt
    ✓ prepare  ← data/raw.txt
    ~ train  ← prepare
    ~ evaluate  ← train
    ✓ up to date   ~ would run (esker why evaluate)
    ");
    insta::assert_snapshot!(narrow("80", "C"), @"
    data/raw.txt -> prepare ok -> train ~ -> evaluate ~
    ok up to date   ~ would run (esker why evaluate)
    ");
    insta::assert_snapshot!(narrow("20", "C"), @"
    data/raw.txt
    ok prepare  <- data/raw.txt
    ~ train  <- prepare
    ~ evaluate  <- train
    ok up to date   ~ would run (esker why evaluate)
    ");
}

#[test]
fn colour_only_repeats_the_mark() {
    let sandbox = Sandbox::pipeline();
    sandbox.ok("repro prepare");
    let colour = sandbox.ok("--color always dag");
    assert!(colour.contains("prepare \u{1b}[32m✓\u{1b}[0m ─▶ train \u{1b}[33m~\u{1b}[0m"));
    let bare = regex::Regex::new("\u{1b}\\[[0-9]*m").unwrap();
    assert_eq!(bare.replace_all(&colour, ""), sandbox.ok("dag"));
}

#[test]
fn targets_limit_it_to_what_they_need() {
    let sandbox = Sandbox::pipeline();
    insta::assert_snapshot!(sandbox.ok("dag train"), @"
    data/raw.txt ─▶ prepare ~ ─▶ train ~
    ~ would run (esker why train)
    ");
    insta::assert_snapshot!(sandbox.ok("dag prepared.txt"), @"
    data/raw.txt ─▶ prepare ~
    ~ would run (esker why prepare)
    ");
    let nobody = sandbox.esker("dag nobody");
    assert_eq!(nobody.code, 2);
    assert!(nobody.stderr.contains("nobody"), "{}", nobody.stderr);
}

#[test]
fn outputs_can_take_the_place_of_stages() {
    let sandbox = Sandbox::pipeline();
    sandbox.ok("repro prepare");
    insta::assert_snapshot!(sandbox.ok("dag --outs"), @"
    data/raw.txt ─▶ prepared.txt ✓ ─▶ model ~ ─▶ eval ~
    ✓ up to date   ~ would run (esker why evaluate)
    ");
    let json: serde_json::Value = serde_json::from_str(&sandbox.ok("dag --outs --json")).unwrap();
    assert_eq!(json["v"], 1);
    let node = &json["nodes"][1];
    assert_eq!(
        (&node["name"], &node["stage"]),
        (&"prepared.txt".into(), &"prepare".into())
    );
    assert_eq!(
        (&node["state"], &node["level"]),
        (&"fresh".into(), &1.into())
    );
    assert_eq!(
        json["edges"][2],
        serde_json::json!({"from": "prepared.txt", "to": "model"})
    );
}

#[test]
fn an_image_holds_every_node_and_no_script() {
    let sandbox = Sandbox::pipeline();
    let svg = sandbox.ok("dag --svg");
    for text in [
        "data/raw.txt",
        ">evaluate <tspan class=\"warning\">~<",
        "prefers-color-scheme: dark",
    ] {
        assert!(svg.contains(text), "{text}: {svg}");
    }
    assert!(!svg.contains("<script") && !svg.contains("url("));
    assert_eq!(svg, sandbox.ok("dag --svg"));
}

#[test]
fn a_project_without_stages_has_nothing_to_draw() {
    let sandbox = Sandbox::project();
    assert_eq!(sandbox.ok("dag"), "");
    assert!(sandbox.ok("dag --svg").contains("<svg"));
}
