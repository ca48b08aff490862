use crate::common::Sandbox;

/// A stage that reads a pattern, a directory of git's, tracked data and an output of another.
fn project() -> Sandbox {
    let sandbox = Sandbox::project();
    for name in ["a", "b", "c"] {
        sandbox.write(&format!("conf/{name}.yaml"), "x: 1\n");
        sandbox.write(&format!("src/deep/{name}.py"), "print(1)\n");
        sandbox.write(&format!("data/raw/{name}.csv"), "1\n");
    }
    sandbox.append(
        "esker.toml",
        "\n[stage.first]\ncmd = \"cp -r data/raw out\"\ndeps = [\"data/raw\"]\nouts = [\"out\"]\n\
         \n[stage.last]\ncmd = \"true\"\ndeps = [\"conf/*.yaml\", \"src\", \"out\"]\n",
    );
    sandbox.ok("add data/raw");
    sandbox.ok("repro");
    sandbox.commit("All");
    sandbox
}

#[test]
fn the_files_behind_patterns_and_directories_are_named() {
    let sandbox = project();
    sandbox.write("conf/a.yaml", "x: 22\n");
    sandbox.write("conf/d.yaml", "x: 4\n");
    sandbox.remove("conf/b.yaml");
    sandbox.sh("mv src/deep/a.py src/z.py");
    sandbox.write("out/c.csv", "333\n");
    for number in 0..9 {
        sandbox.write(&format!("data/raw/{number}.csv"), format!("{number}"));
    }
    insta::assert_snapshot!(sandbox.ok("why last"), @"
    last would run, because:
      conf/*.yaml changed
        ~ conf/a.yaml  5 B → 6 B
        - conf/b.yaml  5 B
        + conf/d.yaml  5 B
      out changed
        ~ out/c.csv  2 B → 4 B
      src changed
        → src/z.py  (was src/deep/a.py)  9 B
      after first
      first would run first:
        data/raw changed
          + data/raw/0.csv  1 B
          + data/raw/1.csv  1 B
          + data/raw/2.csv  1 B
          + data/raw/3.csv  1 B
          + data/raw/4.csv  1 B
          … and 4 more
        out changed outside esker repro
          ~ out/c.csv  2 B → 4 B
    It last ran for [time]
      on [machine]
      at commit [commit], 1 file not committed
    ");
    let why = sandbox.json("why last");
    assert_eq!(
        why["upstream"][0]["reasons"][0]["changes"]
            .as_array()
            .unwrap()
            .len(),
        9
    );
    assert_eq!(why["reasons"][0]["changes"][0]["kind"], "modified");
    // Neither other commands nor a clone that recorded nothing have them.
    assert!(sandbox.json("status")["stages"][0]["reasons"][0]["changes"].is_null());
    let clone = sandbox.clone_to("clone");
    clone.sh("echo 'x: 0' > conf/a.yaml");
    insta::assert_snapshot!(clone.ok("why last"), @"
    last would run, because:
      conf/*.yaml changed
      out missing
      after first
      first would run first:
        data/raw missing
        out missing
    ");
}

#[test]
fn what_was_adopted_or_restored_can_be_named_as_well() {
    let sandbox = project();
    sandbox.write("conf/a.yaml", "x: 2\n");
    sandbox.ok("commit last");
    sandbox.write("conf/b.yaml", "x: 2\n");
    assert!(sandbox.ok("why last").contains("    ~ conf/b.yaml"));
    sandbox.ok("repro");
    sandbox.write("conf/b.yaml", "x: 1\n");
    sandbox.write("conf/a.yaml", "x: 1\n");
    sandbox.ok("repro");
    sandbox.remove("conf/c.yaml");
    assert!(sandbox.ok("why last").contains("    - conf/c.yaml"));
}
