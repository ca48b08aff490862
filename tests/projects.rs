//! Several projects in one repository: side by side, and one inside another.

use crate::common::Sandbox;

/// `text` and `vision` side by side, `text/inner` inside the first; each tracks its `data`.
fn three() -> Sandbox {
    let sandbox = Sandbox::repository();
    for dir in ["text", "text/inner", "vision"] {
        sandbox.write(&format!("{dir}/data"), format!("data of {dir}"));
        sandbox.ok(&format!("-C {dir} init"));
        sandbox.ok(&format!("-C {dir} add data"));
    }
    sandbox.commit("Three projects");
    sandbox
}

/// A stage that copies the data of a project.
const COPY: &str = "\n[stage.copy]\ncmd = \"echo copy >> $RUNS; cat data > copy\"\ndeps = [\"data\"]\nouts = [\"copy\"]\n";

#[test]
fn a_verb_runs_in_every_project_from_anywhere() {
    let sandbox = three();
    sandbox.remove("text/inner/data");
    sandbox.write("vision/data", "changed");
    for dir in [".", "text/inner", "vision"] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(sandbox.esker(&format!("-C {dir} status --all-projects")), @"
            exit: 0
            --- stdout
            text:
            Data:   up to date
            Remote: none configured

            text/inner:
            Data:
              - data  (not in the workspace)
            Remote: none configured

            vision:
            Data:
              ~ data
            Remote: none configured
            --- stderr
            text/inner:
            next: esker checkout

            vision:
            next: esker add data    (or `esker checkout data` to go back)
            ");
        }
    }
    let output = sandbox.esker("-C vision status --check");
    assert_eq!(output.code, 1, "{output}");
    let output = sandbox.esker("-C text status --check");
    assert_eq!(
        output.code, 0,
        "without the flag, the nearest alone: {output}"
    );
}

#[test]
fn the_answer_of_all_is_one_document() {
    let sandbox = three();
    sandbox.write("text/inner/esker.toml", "[stage.x");
    let output = sandbox.esker("status -P --json");
    assert_eq!((output.code, output.stderr.as_str()), (2, ""), "{output}");
    let answer: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(answer["v"], 1);
    let projects = answer["projects"].as_array().unwrap();
    let names: Vec<&str> = projects
        .iter()
        .map(|part| part["project"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["text", "text/inner", "vision"]);
    assert_eq!(projects[0]["data"][0]["path"], "data");
    assert_eq!(projects[1]["error"]["code"], "E0201");
    assert_eq!(projects[2]["clean"], true);
}

#[test]
fn an_error_ends_it_for_its_project_alone_and_the_gravest_code_stays() {
    let sandbox = three();
    sandbox.write("text/esker.toml", "[stage.x");
    sandbox.write("text/inner/esker.lock", "damaged");
    sandbox.remove("vision/data");
    let output = sandbox.esker("checkout -P");
    assert_eq!(output.code, 3, "{output}");
    for part in [
        "text:\nerror[E0201]",
        "text/inner:\nerror[E0502]",
        "vision:\nSwitched 1 path",
    ] {
        assert!(output.stderr.contains(part), "{part}: {output}");
    }
    assert!(sandbox.exists("vision/data"));
}

#[test]
fn a_project_inside_another_is_none_of_its_business() {
    let sandbox = three();
    sandbox.write("text/inner/new", "x");
    let status = sandbox.json("-C text status --untracked");
    assert_eq!(status["data"].as_array().unwrap().len(), 1, "{status}");
    assert_eq!(status["untracked"].as_array().unwrap().len(), 0, "{status}");
    for line in ["add inner", "add inner/data", "add inner/new"] {
        let output = sandbox.esker(&format!("-C text {line}"));
        assert!(
            output.code == 2 && output.stderr.contains("E0315"),
            "{line}: {output}"
        );
    }
    sandbox.write("text/more/a", "x");
    sandbox.sh("mv text/inner text/more/inner");
    sandbox.ok("-C text add more");
    assert_eq!(sandbox.ok("-C text ls -R more"), "1 B  more/a\n");
}

#[test]
fn stages_run_in_their_projects() {
    let sandbox = three();
    for dir in ["text", "vision"] {
        sandbox.append(&format!("{dir}/esker.toml"), COPY);
    }
    insta::assert_snapshot!(sandbox.esker("-C text/inner repro -P"), @"
    exit: 0
    --- stderr
    text:
    ▶ copy        first run
    ✓ copy        [time]  copy 12 B
    Ran 1 stage in [time]
    next: git add esker.toml esker.lock .gitignore && git commit

    text/inner:
    No stages to run: write some into esker.toml

    vision:
    ▶ copy        first run
    ✓ copy        [time]  copy 14 B
    Ran 1 stage in [time]
    next: git add esker.toml esker.lock .gitignore && git commit
    ");
    assert_eq!(sandbox.read("vision/copy"), "data of vision");
    assert_eq!(sandbox.runs().len(), 2);
    let lines = [
        "lock --check -P",
        "lock -P --check",
        "stage list -P",
        "dag -P",
        "diff -P",
        "ls -P",
        "du -P",
        "fsck -P",
        "params diff -P",
        "metrics -P show",
        "metrics diff -P",
    ];
    for line in lines {
        let output = sandbox.esker(line);
        assert_eq!(output.code, 0, "{line}: {output}");
        let answer = sandbox.json(line);
        assert_eq!(
            answer["projects"].as_array().unwrap().len(),
            3,
            "{line}: {answer}"
        );
    }
}

#[test]
fn a_clone_gets_the_data_of_all_projects() {
    let sandbox = three();
    for dir in ["text", "text/inner", "vision"] {
        let up = "../".repeat(dir.split('/').count() + 1);
        sandbox.ok(&format!("-C {dir} remote add store {up}remote"));
    }
    sandbox.commit("A remote");
    sandbox.ok("push -P");
    let clone = sandbox.clone_to("clone");
    clone.ok("fetch -P");
    clone.ok("pull -P");
    let all = sandbox.files("project");
    assert_eq!(clone.files(), all);
}

#[test]
fn targets_belong_to_one_project() {
    let sandbox = three();
    for line in [
        "status -P data",
        "checkout -P data",
        "repro -P copy",
        "pull -P data",
        "diff -P -- data",
    ] {
        let output = sandbox.esker(line);
        assert_eq!(output.code, 2, "{line}: {output}");
        assert!(
            output.stderr.contains("cannot be used with"),
            "{line}: {output}"
        );
    }
    let output = sandbox.esker("add -P data");
    assert_eq!(output.code, 2, "{output}");
}

#[test]
fn no_project_anywhere_is_an_error() {
    let output = Sandbox::repository().esker("status -P");
    assert!(
        output.code == 2 && output.stderr.contains("E0102"),
        "{output}"
    );
}

#[test]
fn a_copied_project_is_told_to_take_an_id_of_its_own() {
    let sandbox = three();
    sandbox.sh("cp -r vision copy");
    for line in ["status -P", "-C copy doctor"] {
        let output = sandbox.esker(line);
        assert_ne!(output.code, 0, "{output}");
        let all = format!("{output}");
        assert!(
            all.contains("the projects `copy` and `vision` have the same id"),
            "{all}"
        );
    }
}

#[test]
fn the_hooks_act_on_every_project() {
    let sandbox = three();
    sandbox.git("init --quiet --bare ../origin.git && git remote add origin ../origin.git");
    sandbox.ok("-C vision remote add store ../../remote");
    sandbox.ok("-C text/inner remote add store ../../../remote");
    sandbox.ok("-C vision install");
    sandbox.commit("Remotes");
    sandbox.git("checkout --quiet -b other");
    for dir in ["text/inner", "vision"] {
        sandbox.write(&format!("{dir}/data"), "of the other branch");
        sandbox.ok(&format!("-C {dir} add data"));
    }
    sandbox.commit("Other");
    let output = sandbox.try_sh("git checkout --quiet main");
    insta::assert_snapshot!(output, @"
    exit: 0
    --- stderr
    text/inner:
    esker: Switched 1 path (data): 1 file written, 18 B

    vision:
    esker: Switched 1 path (data): 1 file written, 14 B
    ");
    assert_eq!(sandbox.read("text/inner/data"), "data of text/inner");
    let output = sandbox.try_sh("git push --quiet origin main");
    assert_eq!(output.code, 0, "{output}");
    let pushed = output.stderr.matches("esker: Pushed").count();
    assert_eq!(pushed, 2, "{output}");
}
