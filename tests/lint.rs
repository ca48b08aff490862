//! Mistakes that `repro` points at.

use crate::common::Sandbox;

#[test]
fn classic_mistakes_are_pointed_at_once_a_stage_ran() {
    let sandbox = Sandbox::project();
    sandbox.append(
        "esker.toml",
        r#"
[stage.train]
cmd = "sh src/train.sh < input.csv > model; touch scratch.tmp; mkdir -p __pycache__; touch __pycache__/x"
deps = ["input.csv"]
outs = ["model"]

[stage.report]
cmd = "sh report.sh > report.txt"
deps = ["report.sh", "model"]
outs = ["report.txt"]
"#,
    );
    sandbox.write("src/train.sh", "cat\n");
    sandbox.write("report.sh", "cat model\n");
    sandbox.write("input.csv", "1,2\n");
    sandbox.write("report.txt", "old\n");
    sandbox.append(".gitignore", "input.csv\n");
    sandbox.commit("All of it");
    insta::assert_snapshot!(sandbox.esker("repro"), @"
    exit: 0
    --- stderr
    ▶ train       first run
    ✓ train       [time]  model 4 B
    ▶ report      first run
    ✓ report      [time]  report.txt 4 B
    warning: `train` names `src/train.sh` in its `cmd`, but not in its `deps`: a change of it reruns nothing
    warning: `train` reads `input.csv`, which git ignores and nothing tracks: no clone will have it (`esker add input.csv`)
    warning: git tracks `report.txt`, an output of `report`: `git rm -r --cached report.txt`, or set `store = false`
    warning: `scratch.tmp` appeared while stages ran, and belongs to none: is it an output?
    Ran 2 stages in [time]
    next: git add esker.lock .gitignore && git commit
    ");
    // What is unchanged is not told again.
    insta::assert_snapshot!(sandbox.esker("repro"), @"
    exit: 0
    --- stderr
    · train       unchanged
    · report      unchanged
    Nothing to do: 2 unchanged
    ");
    let warnings = &sandbox.json("repro --force train")["warnings"];
    insta::assert_snapshot!(warnings.to_string(), @r#"
    [{"kind":"undeclared-script","path":"src/train.sh","stage":"train"},{"kind":"dep-ignored","path":"input.csv","stage":"train"}]
    "#);
}

#[test]
fn what_git_has_in_spite_of_its_rules_every_clone_has() {
    let sandbox = Sandbox::project();
    sandbox.append(
        "esker.toml",
        "\n[stage.copy]\ncmd = \"cp -r in out\"\ndeps = [\"in\"]\nouts = [\"out\"]\n",
    );
    sandbox.write("in/kept.csv", "1\n");
    sandbox.append(".gitignore", "in\n");
    sandbox.git("add --force in/kept.csv");
    assert!(!sandbox.esker("repro").stderr.contains("warning"));
    sandbox.git("rm --cached -q in/kept.csv");
    assert!(
        sandbox
            .esker("repro --force")
            .stderr
            .contains("no clone will have it")
    );
}

#[test]
fn a_stage_without_mistakes_is_not_accused() {
    let sandbox = Sandbox::pipeline();
    let output = sandbox.esker("repro");
    assert!(!output.stderr.contains("warning"), "{output}");
}
