use super::*;
use proptest::prelude::*;

const WHOLE: &str = r#"# A whole one.
[project]
id = "0123456789abcdef0123456789abcdef"
name = "reviews"
esker = ">=0.1"
params = ["params.yaml", "./conf/more.toml"]

[env]
shell = ["sh", "-ec"]
set = { PYTHONHASHSEED = "0", OMP_NUM_THREADS = "1" }

[stage.prepare]
cmd = ["python src/prepare.py", "true"]
deps = ["./src/prepare.py", "data/raw/", "../shared/lib.py"]
outs = ["data/prepared", { path = "tables" }]

[stage.train]
desc = "Fit the classifier"
cmd = "python src/train.py"
wdir = "src/"
deps = ["@prepare", "./@odd"]
params = ["train.lr", "conf/extra.yaml:lr", "conf/extra.yaml:*", "x.json:model.\"v1:2\".lr"]
outs = ["models/model.pkl", { path = "runs", keep = true, store = false, push = false, remote = "s3" }]
env = { OMP_NUM_THREADS = "4" }
frozen = true
always = true
needs = ["prepare"]
timeout = "1h30m"
mutex = ["gpu0", "disk"]

[metrics]
files = ["eval/metrics.json", "./runs/*/m.json"]
goal = { auc = "max", val.loss = "min", "val.f1" = "max" }

[remote.s3]
url = "s3://acme-ml/reviews"
default = true
endpoint_url = "http://127.0.0.1:8333"
region = "eu-west-1"
profile = "ml"

[remote.nas]
url = "/mnt/nas"
"#;

#[test]
fn the_project_and_its_environment_are_read() {
    let manifest = Manifest::parse(WHOLE).unwrap();
    assert_eq!(manifest.id, ID);
    assert_eq!(manifest.name.as_deref(), Some("reviews"));
    let files: Vec<&str> = manifest.params.iter().map(DepPath::as_str).collect();
    assert_eq!(files, ["params.yaml", "conf/more.toml"]);
    assert_eq!(manifest.shell.as_ref().unwrap(), &["sh", "-ec"]);
    assert_eq!(manifest.env["PYTHONHASHSEED"], "0");
    // What `[env]` gives to every stage comes in when stages are made of what is written.
    assert!(plain_stages(&manifest)["prepare"].env.is_empty());
}

#[test]
fn a_stage_is_read_with_the_place_of_each_item() {
    let manifest = Manifest::parse(WHOLE).unwrap();
    let train = &plain_stages(&manifest)["train"];
    assert_eq!(train.desc.as_deref(), Some("Fit the classifier"));
    assert_eq!(train.cmd, Command::One("python src/train.py".to_owned()));
    assert_eq!(train.wdir.as_ref().unwrap().as_str(), "src");
    assert!(train.frozen && train.always);
    assert_eq!(train.env["OMP_NUM_THREADS"], "4");
    assert_eq!(manifest.env["PYTHONHASHSEED"], "0");
    let place = |at: &Location| {
        let at = at.excerpt();
        (at.line, at.column, at.width)
    };
    assert_eq!(place(&train.at), (17, 1, 13));
    assert_eq!(train.at.excerpt().text, "[stage.train]");
    assert_eq!(train.at.excerpt().file, "esker.toml");
    assert_eq!(place(&train.deps[0].at), (21, 9, 10));
    assert_eq!(train.needs[0].0, "prepare");
    assert_eq!(place(&train.needs[0].1), (27, 10, 9));
    let odd = DepPath::parse("@odd").unwrap();
    let targets: Vec<&DepTarget> = train.deps.iter().map(|dep| &dep.target).collect();
    let expected = [DepTarget::Stage("prepare".to_owned()), DepTarget::Path(odd)];
    assert_eq!(targets, expected.iter().collect::<Vec<_>>());
}

#[test]
fn paths_lose_a_leading_dot_and_a_trailing_slash() {
    let manifest = Manifest::parse(WHOLE).unwrap();
    let prepare = &plain_stages(&manifest)["prepare"];
    let paths: Vec<String> = prepare
        .deps
        .iter()
        .map(|dep| match &dep.target {
            DepTarget::Path(path) => path.to_string(),
            DepTarget::Stage(name) => panic!("{name}"),
        })
        .collect();
    assert_eq!(paths, ["src/prepare.py", "data/raw", "../shared/lib.py"]);
    let outs: Vec<&str> = prepare.outs.iter().map(|out| out.path.as_str()).collect();
    assert_eq!(outs, ["data/prepared", "tables"]);
    assert_eq!(prepare.cmd.scripts(), ["python src/prepare.py", "true"]);
    for root in [".", "./"] {
        let text = format!("[stage.a]\ncmd = \"x\"\nwdir = \"{root}\"\n");
        assert_eq!(plain(&parse(&text).stages["a"]).wdir, None);
    }
}

#[test]
fn params_are_a_key_or_a_file_and_a_key_or_a_whole_file() {
    let manifest = Manifest::parse(WHOLE).unwrap();
    let shown: Vec<(Option<String>, Option<Vec<String>>)> = plain_stages(&manifest)["train"]
        .params
        .iter()
        .map(|param| {
            let key = param.key.as_ref().map(|key| key.segments().to_vec());
            (param.file.as_ref().map(ToString::to_string), key)
        })
        .collect();
    let key = |segments: &[&str]| Some(segments.iter().map(|s| (*s).to_owned()).collect());
    let file = |name: &str| Some(name.to_owned());
    let expected = [
        (None, key(&["train", "lr"])),
        (file("conf/extra.yaml"), key(&["lr"])),
        (file("conf/extra.yaml"), None),
        (file("x.json"), key(&["model", "v1:2", "lr"])),
    ];
    assert_eq!(shown, expected);
}

#[test]
fn a_stage_says_how_it_runs_and_how_its_outputs_are_kept() {
    let manifest = Manifest::parse(WHOLE).unwrap();
    let train = &plain_stages(&manifest)["train"];
    assert_eq!(train.timeout, Some(Duration::from_secs(5400)));
    assert_eq!(train.mutex, ["gpu0", "disk"]);
    assert_eq!(train.outs[0].options, OutOptions::default());
    let runs = OutOptions {
        keep: true,
        store: false,
        push: false,
        remote: Some("s3".to_owned()),
    };
    assert_eq!(train.outs[1].options, runs);
}

#[test]
fn times_are_whole_numbers_with_units() {
    let cases = [
        ("90s", 90),
        ("2h", 7200),
        ("1d2h3m4s", 93_784),
        ("60m", 3600),
    ];
    for (time, seconds) in cases {
        let text = format!("[stage.a]\ncmd = \"x\"\ntimeout = \"{time}\"\n");
        let found = plain(&parse(&text).stages["a"]).timeout;
        assert_eq!(found, Some(Duration::from_secs(seconds)), "{time}");
    }
}

#[test]
fn goals_nest_with_and_without_quotes() {
    let manifest = Manifest::parse(WHOLE).unwrap();
    assert_eq!(manifest.metrics, ["eval/metrics.json", "runs/*/m.json"]);
    let goals: Vec<(&str, Goal)> = manifest
        .goals
        .iter()
        .map(|(key, goal)| (key.as_str(), *goal))
        .collect();
    let expected = [
        ("auc", Goal::Max),
        ("val.f1", Goal::Max),
        ("val.loss", Goal::Min),
    ];
    assert_eq!(goals, expected);
}

#[test]
fn remotes_are_read() {
    let manifest = Manifest::parse(WHOLE).unwrap();
    let s3 = &manifest.remotes["s3"];
    let text = |key| s3.get(key).and_then(Setting::as_text);
    assert_eq!(s3.url(), Some("s3://acme-ml/reviews"));
    assert_eq!(text(RemoteKey::EndpointUrl), Some("http://127.0.0.1:8333"));
    assert_eq!(text(RemoteKey::Region), Some("eu-west-1"));
    assert_eq!(text(RemoteKey::Profile), Some("ml"));
    assert!(s3.is_default() && !manifest.remotes["nas"].is_default());
}

#[test]
fn params_yaml_is_the_default_unless_a_list_is_written() {
    assert_eq!(parse("").params, [DepPath::parse("params.yaml").unwrap()]);
    assert!(parse("params = []\n").params.is_empty());
}

#[test]
fn any_way_to_write_a_table_will_do() {
    let ways = [
        "[stage.a]\ncmd = \"x\"\nenv.A = \"1\"\n",
        "[stage]\na = { cmd = \"x\", env = { A = \"1\" } }\n",
        "[stage]\na.cmd = \"x\"\na.env.A = \"1\"\n",
        "[stage.a]\ncmd = 'x'\n[stage.a.env]\nA = '''1'''\n",
    ];
    for text in ways {
        let stages = plain_stages(&parse(text));
        assert_eq!(stages["a"].cmd, Command::One("x".to_owned()), "{text}");
        assert_eq!(stages["a"].env["A"], "1", "{text}");
    }
}

#[test]
fn marks_and_line_ends_of_other_systems_move_no_place() {
    let text = format!("\u{feff}{}", WHOLE.replace('\n', "\r\n"));
    let unix = Manifest::parse(WHOLE).unwrap();
    let other = Manifest::parse(&text).unwrap();
    assert_eq!(format!("{unix:?}"), format!("{other:?}"));
}

#[test]
fn older_and_equal_requirements_are_met() {
    for wanted in [">=0.1", ">= 0.1", ">=0.1.0", ">=0.0.99"] {
        parse(&format!("esker = \"{wanted}\"\n"));
    }
}

#[test]
fn what_init_writes_reads_back_and_its_lesson_too() {
    let text = Manifest::template(ID, "a \"quoted\"\nname", None);
    let manifest = Manifest::parse(&text).unwrap();
    assert_eq!(manifest.id, ID);
    assert_eq!(manifest.name.as_deref(), Some("a \"quoted\"\nname"));
    assert!(manifest.stages.is_empty() && manifest.remotes.is_empty());

    // Comments that hold TOML, uncommented, are a working project.
    let text = Manifest::template(ID, "reviews", None);
    let lesson: String = text
        .lines()
        .map(|line| line.strip_prefix("# ").unwrap_or(line))
        .filter(|line| line.starts_with('[') || line.contains(" = "))
        .map(|line| format!("{line}\n"))
        .collect();
    let manifest = Manifest::parse(&lesson).unwrap();
    assert_eq!(plain(&manifest.stages["train"]).outs.len(), 2);
    assert_eq!(manifest.goals["log_loss"], Goal::Min);
    assert!(manifest.remotes["shared"].is_default());
    assert!(text.lines().all(|line| line.chars().count() <= 100));
}

#[test]
fn a_file_is_loaded_or_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("esker.toml");
    let error = Manifest::load(&path).unwrap_err();
    assert_eq!(error.to_string(), "there is no `esker.toml`");
    crate::fs::replace(&path, WHOLE.as_bytes()).unwrap();
    assert_eq!(Manifest::load(&path).unwrap().id, ID);
    crate::fs::replace(&path, b"# \xff").unwrap();
    let error = Manifest::load(&path).unwrap_err();
    assert_eq!(error.to_string(), "line 1 is not UTF-8");
}

proptest! {
    #[test]
    fn the_template_holds_any_name(name in any::<String>()) {
        let manifest = Manifest::parse(&Manifest::template(ID, &name, None)).unwrap();
        prop_assert_eq!(manifest.name, Some(name));
    }

    #[test]
    fn no_text_panics_and_every_place_lies_in_it(
        parts in proptest::collection::vec(
            prop::sample::select(vec![
                "[project]", "[stage.a]", "[stage.é]", "[remote.r]", "[metrics]", "[env]", "\n",
                "\r\n", "id", "cmd", "deps", "outs", "params", "url", "goal", "set", " = ", "\"é\"",
                "\"x/../y\"", "'''\n'''", "[", "]", "{", "}", ",", ".", "1", "true", "\"a:b\"",
                "#é", "\u{feff}", "\"${{ x }}\"", "\"*\"", "[[", "token", "\u{7}", "\"",
            ]),
            0..40,
        ),
    ) {
        let text = parts.concat();
        if let Err(Error::Manifest { at: Some(at), message, .. }) = Manifest::parse(&text) {
            let at = at.excerpt();
            let line = text.split('\n').nth(at.line - 1).unwrap();
            prop_assert!(at.column <= line.chars().count() + 1);
            prop_assert!(at.width >= 1 && at.column + at.width <= line.chars().count() + 2);
            prop_assert!(!message.contains(char::is_control));
        }
    }

    #[test]
    fn no_bytes_panic(text in any::<String>()) {
        let _ = Manifest::parse(&text);
        let _ = Manifest::parse(&with_project(&text));
    }
}
