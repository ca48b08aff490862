use crate::common::Sandbox;

/// A project with comments and an order of its own.
fn project() -> Sandbox {
    let sandbox = Sandbox::project();
    let text = format!(
        "# Ours.\n[project]   # odd   spacing\nid = '{}'\n\n# Numbers.\n[metrics]\nfiles = [\n    \"a.json\",  # the first\n]\n\n\
         # First of all.\n[stage.prepare]  # fast\ncmd = 'cp raw.txt prepared.txt'\ndeps = [ 'raw.txt' ]\nouts = ['prepared.txt']\n\n\
         # Last words.\n[remote.nas]\nurl = '/mnt/nas'\n",
        "00".repeat(16)
    );
    sandbox.write("esker.toml", text);
    sandbox.write("raw.txt", "raw\n");
    sandbox.write(
        "train.sh",
        "cat prepared.txt > model; echo '{\"auc\": 1}' > m.json\n",
    );
    sandbox.write("params.yaml", "train:\n  lr: 0.1\n  epochs: 3\n");
    sandbox
}

#[test]
fn a_stage_is_written_below_the_others_and_all_else_stays() {
    let sandbox = project();
    let before = sandbox.read("esker.toml");
    let line = "stage add train -d train.sh -d @prepare -p train.lr,train.epochs -o model -m m.json --desc Fit sh train.sh";
    insta::assert_snapshot!(sandbox.esker(line), @"
    exit: 0
    --- stderr
    Added `[stage.train]` to esker.toml
    Added to the metrics files: m.json
    next: esker repro train
    ");
    let expected = before
        .replace("  # the first\n]", "  # the first\n    \"m.json\",\n]")
        .replace(
            "outs = ['prepared.txt']\n",
            "outs = ['prepared.txt']\n\n[stage.train]\ndesc = \"Fit\"\ncmd = \"sh train.sh\"\n\
             deps = [\"train.sh\", \"@prepare\"]\nparams = [\"train.lr\", \"train.epochs\"]\n\
             outs = [\"model\", \"m.json\"]\n",
        );
    assert_eq!(sandbox.read("esker.toml"), expected);
    sandbox.ok("repro");
    assert_eq!(sandbox.read("model"), "raw\n");
    assert!(sandbox.ok("metrics show").contains("m.json"));
}

#[test]
fn words_of_a_command_are_quoted_and_a_single_one_is_a_script() {
    let sandbox = project();
    let words = [
        "stage", "add", "say", "printf", "%s\\n", "a b", "it's", "--x", "-o",
    ];
    assert_eq!(sandbox.esker_args(&words).code, 0);
    let script = ["stage", "add", "pipe", "cat raw.txt | wc -l"];
    assert_eq!(sandbox.esker_args(&script).code, 0);
    let stages = sandbox.json("stage list")["stages"].clone();
    assert_eq!(stages[0]["cmd"][0], "cat raw.txt | wc -l");
    assert_eq!(
        stages[2]["cmd"][0],
        "printf '%s\\n' 'a b' 'it'\\''s' --x -o"
    );
    let output = sandbox.esker("repro say");
    assert_eq!(output.stdout, "  a b\n  it's\n  --x\n  -o\n");
}

#[test]
fn paths_count_from_where_they_are_typed() {
    let sandbox = Sandbox::project();
    sandbox.sh("mkdir -p sub/deep");
    let line = "-C sub/deep stage add a -d x.py -d ../*.py -d ../../top.py -d ../../../beside.py -d ./@odd \
                -d ${{matrix.m}} -o out -O kept.txt --outs-keep log -p ../conf.yaml:lr,b -p all.yaml: \
                -M ./out/m.json -w . -e N=1 --needs b --always cmd";
    // The stage that it needs is not there yet.
    let refused = sandbox.esker(line);
    insta::assert_snapshot!(refused, @r#"
    exit: 2
    --- stderr
    error[E0213]: `a` has no `matrix.m`
      esker.toml:40   "${{matrix.m}}",
                       ^^^^^^^^^^^^^
      `esker.toml` would say so; nothing was written
    "#);
    let before = sandbox.read("esker.toml");
    sandbox.ok("stage add b true");
    let line = line.replace("-d ${{matrix.m}} ", "");
    let report: serde_json::Value =
        serde_json::from_str(&sandbox.ok(&line.replace("stage add", "stage add --json"))).unwrap();
    let added = sandbox.read("esker.toml");
    let added = added.strip_prefix(&before).unwrap();
    insta::assert_snapshot!(added, @r#"

    [stage.b]
    cmd = "true"

    [stage.a]
    cmd = "cmd"
    wdir = "sub/deep"
    deps = ["sub/deep/x.py", "sub/*.py", "top.py", "../beside.py", "sub/deep/@odd"]
    params = ["sub/conf.yaml:lr", "sub/conf.yaml:b", "sub/deep/all.yaml:*"]
    outs = [
        "sub/deep/out",
        { path = "sub/deep/kept.txt", store = false },
        { path = "sub/deep/log", keep = true },
    ]
    env = { N = "1" }
    always = true
    needs = ["b"]

    [metrics]
    files = ["sub/deep/out/m.json"]
    "#);
    assert_eq!(report["outs"][0], "sub/deep/out");
    assert_eq!(report["replaced"], false);
}

#[test]
fn an_existing_stage_is_replaced_only_by_force() {
    let sandbox = project();
    let before = sandbox.read("esker.toml");
    insta::assert_snapshot!(sandbox.esker("stage add prepare true"), @"
    exit: 2
    --- stderr
    error[E0216]: a stage `prepare` exists already
      nothing was changed

    hint: change `[stage.prepare]` in esker.toml, or replace all of it with `--force`
    ");
    assert_eq!(sandbox.read("esker.toml"), before);
    insta::assert_snapshot!(sandbox.esker("stage add prepare --force -d raw.txt -O prepared.txt sh prepare.sh"), @"
    exit: 0
    --- stderr
    Replaced `[stage.prepare]` in esker.toml
    next: esker repro prepare
    ");
    let expected = before
        .replace("'cp raw.txt prepared.txt'", "\"sh prepare.sh\"")
        .replace(
            "['prepared.txt']",
            "[{ path = \"prepared.txt\", store = false }]",
        );
    assert_eq!(sandbox.read("esker.toml"), expected);
}

#[test]
fn what_would_make_no_sense_is_not_written() {
    let sandbox = project();
    let before = sandbox.read("esker.toml");
    for (line, code, place) in [
        ("stage add no/name true", "E0201", "cannot name a stage"),
        ("stage add a -o prepared.txt true", "E0207", "by `prepare`"),
        (
            "stage add a -d a.txt -o a.txt true",
            "E0205",
            "`a` reads what",
        ),
        (
            "stage add a -d @nobody true",
            "E0204",
            "deps = [\"@nobody\"]",
        ),
        ("stage add a -o ../x true", "E0201", "outs = [\"../x\"]"),
        ("stage add a -o *.x true", "E0201", "outs = [\"*.x\"]"),
        ("stage add a -p : true", "E0201", "params = [\".:*\"]"),
        ("stage add a -e ESKER_X=1 true", "E0201", "ESKER_X"),
        ("stage add a -m . true", "E0314", "component"),
    ] {
        let output = sandbox.esker(line);
        assert_eq!(output.code, 2, "{line}\n{output}");
        for text in [code, place] {
            assert!(output.stderr.contains(text), "{line}: {text}\n{output}");
        }
        assert_eq!(sandbox.read("esker.toml"), before, "{line}");
    }
    assert_eq!(sandbox.esker("stage add a").code, 2);
    assert_eq!(sandbox.esker("stage add -P a true").code, 2);
}
