use std::collections::BTreeMap;

use litemap::LiteMap;

use proptest::prelude::*;

use super::*;
use crate::hash::{ContentId, Digest};
use crate::path::{DepPath, RelPath};
use crate::pipeline::testing::{Build, graph, key_path};
use crate::pipeline::{Error, Stage};
use crate::project::{Command, DepHash, Recorded, StageRecord};
use crate::value::{Leaves, Value};

fn rel(text: &str) -> RelPath {
    RelPath::parse(text).unwrap()
}

fn dep(text: &str) -> DepPath {
    DepPath::parse(text).unwrap()
}

fn hash(text: &str) -> DepHash {
    DepHash {
        hash: ContentId::B3(Digest::of(text.as_bytes())),
        exec: false,
    }
}

fn file(text: &str) -> Recorded {
    Recorded {
        hash: hash(text).hash,
        size: text.len() as u64,
        files: None,
        exec: false,
    }
}

fn leaves(leaves: &[(&str, Value)]) -> Leaves {
    let leaves = leaves.iter();
    leaves
        .map(|(key, value)| (key_path(key), value.clone()))
        .collect()
}

fn stage(build: Build) -> Stage {
    let name = build.name.clone();
    graph(&[build]).stages()[&name].clone()
}

fn train() -> Build {
    let mut build = Build::stage("train")
        .deps(&["data", "src/train.py"])
        .params(&["train.lr"])
        .outs(&["model"]);
    build.spec.env.insert("THREADS".to_owned(), "1".to_owned());
    build
}

/// What is on disk after `train` ran.
fn facts() -> Facts {
    let params = leaves(&[("train.lr", Value::Float(0.01))]);
    Facts {
        deps: [
            (dep("data"), Some(hash("data"))),
            (dep("src/train.py"), Some(hash("code"))),
        ]
        .into_iter()
        .collect(),
        params: [(dep("params.yaml"), params)].into_iter().collect(),
        outs: [(rel("model"), Some(file("model")))].into_iter().collect(),
    }
}

fn recorded() -> StageRecord {
    let outs = [(rel("model"), file("model"))];
    stage(train())
        .record(&facts(), outs.into_iter().collect(), LiteMap::new())
        .unwrap()
}

fn said(stage: &Stage, facts: &Facts, recorded: &StageRecord) -> Vec<String> {
    let reasons = assess(stage, facts, Some(recorded));
    reasons.iter().map(describe).collect()
}

#[test]
fn a_stage_that_just_ran_is_fresh() {
    assert_eq!(said(&stage(train()), &facts(), &recorded()), [""; 0]);
    let mut adopted = recorded();
    adopted.adopted = true;
    assert_eq!(said(&stage(train()), &facts(), &adopted), [""; 0]);
}

#[test]
fn without_a_record_nothing_else_matters() {
    let mut always = train();
    always.spec.always = true;
    let reasons = assess(&stage(always), &Facts::default(), None);
    assert_eq!(reasons, [Reason::new(ReasonKind::NeverRun)]);
    assert_eq!(describe(&reasons[0]), "first run");
}

type Change = fn(&mut Build, &mut Facts, &mut StageRecord);

const CHANGES: [(Change, &str); 16] = [
    (
        |build, _, _| build.spec.cmd = Command::One("run  train".to_owned()),
        "cmd changed",
    ),
    (
        |build, _, _| build.spec.cmd = Command::Many(vec!["run train".to_owned()]),
        "cmd changed",
    ),
    (
        |build, _, _| build.spec.wdir = Some(rel("src")),
        "wdir . → src",
    ),
    (
        |build, _, _| drop(build.spec.env.insert("THREADS".to_owned(), "2".to_owned())),
        "env THREADS 1 → 2",
    ),
    (
        |build, _, _| drop(build.spec.env.insert("A".to_owned(), "x".to_owned())),
        "env A x added",
    ),
    (
        |build, _, _| drop(build.spec.env.insert("THREADS".to_owned(), " ".to_owned())),
        "env THREADS 1 → \" \"",
    ),
    (
        |build, _, _| build.spec.env.clear(),
        "env THREADS 1 removed",
    ),
    (
        |_, facts, _| drop(facts.deps.insert(dep("data"), Some(hash("new")))),
        "data changed",
    ),
    (
        |_, facts, _| {
            let exec = DepHash {
                exec: true,
                ..hash("code")
            };
            facts.deps.insert(dep("src/train.py"), Some(exec));
        },
        "src/train.py changed",
    ),
    (
        |_, facts, _| drop(facts.deps.insert(dep("data"), None)),
        "data missing",
    ),
    (
        |build, _, _| *build = build.clone().deps(&["src/train.py"]),
        "data removed from deps",
    ),
    (
        |_, facts, _| {
            let new = leaves(&[("train.lr", Value::Float(0.003))]);
            facts.params.insert(dep("params.yaml"), new);
        },
        "train.lr 0.01 → 0.003 (params.yaml)",
    ),
    (
        |_, facts, _| facts.params.clear(),
        "train.lr 0.01 removed (params.yaml)",
    ),
    (
        |_, facts, _| drop(facts.outs.insert(rel("model"), Some(file("mine")))),
        "model changed outside esker repro",
    ),
    (
        |_, facts, _| drop(facts.outs.insert(rel("model"), None)),
        "model missing",
    ),
    (
        |_, _, recorded| recorded.mixed = true,
        "never ran in this combination",
    ),
];

#[test]
fn each_change_has_its_reason() {
    for (change, expected) in CHANGES {
        let (mut build, mut facts, mut recorded) = (train(), facts(), recorded());
        change(&mut build, &mut facts, &mut recorded);
        assert_eq!(said(&stage(build), &facts, &recorded), [expected]);
    }
}

#[test]
fn what_nobody_told_of_is_missing() {
    let said = said(&stage(train()), &Facts::default(), &recorded());
    let expected = [
        "data missing",
        "src/train.py missing",
        "train.lr 0.01 removed (params.yaml)",
        "model missing",
    ];
    assert_eq!(said, expected);
}

#[test]
fn reasons_stand_in_one_order() {
    let mut build = train()
        .deps(&["src/train.py", "b", "a"])
        .outs(&["other", "new"]);
    build.spec.cmd = Command::One("else".to_owned());
    build.spec.wdir = Some(rel("src"));
    build.spec.env = [("B".to_owned(), "x".to_owned())].into();
    build.spec.always = true;
    let mut facts = facts();
    facts.deps.insert(dep("src/train.py"), Some(hash("new")));
    facts.deps.insert(dep("a"), Some(hash("a")));
    let params = leaves(&[("z", Value::Int(1)), ("a", Value::Null)]);
    facts.params = [(dep("params.yaml"), params)].into_iter().collect();
    facts.outs.insert(rel("other"), None);
    let mut recorded = recorded();
    recorded.outs.insert(rel("other"), file("other"));
    recorded.mixed = true;
    let expected = [
        "cmd changed",
        "wdir . → src",
        "env B x added",
        "env THREADS 1 removed",
        "a added to deps",
        "b added to deps",
        "data removed from deps",
        "src/train.py changed",
        "a null added (params.yaml)",
        "train.lr 0.01 removed (params.yaml)",
        "z 1 added (params.yaml)",
        "model removed from outs",
        "new added to outs",
        "other missing",
        "never ran in this combination",
        "always runs",
    ];
    assert_eq!(said(&stage(build), &facts, &recorded), expected);
}

#[test]
fn a_reason_carries_both_sides() {
    let mut now = facts();
    now.deps.insert(dep("data"), Some(hash("new")));
    let reasons = assess(&stage(train()), &now, Some(&recorded()));
    let expected = Reason {
        path: Some("data".to_owned()),
        old: Some(Value::String(hash("data").to_string())),
        new: Some(Value::String(hash("new").to_string())),
        ..Reason::new(ReasonKind::DepChanged)
    };
    assert_eq!(reasons, [expected]);
    let kind = serde_json::to_string(&reasons[0].kind).unwrap();
    assert_eq!(kind, "\"dep-changed\"");
}

#[test]
fn values_that_read_alike_are_told_apart() {
    let mut now = facts();
    now.params = [(
        dep("p.toml"),
        leaves(&[("a", Value::Int(1)), ("n", Value::Float(f64::NAN))]),
    )]
    .into_iter()
    .collect();
    let mut before = now.clone();
    before.params = [(
        dep("p.toml"),
        leaves(&[
            ("a", Value::String("1".to_owned())),
            ("n", Value::Float(f64::NAN)),
        ]),
    )]
    .into_iter()
    .collect();
    let stage = stage(train());
    let outs = [(rel("model"), file("model"))];
    let recorded = stage
        .record(&before, outs.into_iter().collect(), LiteMap::new())
        .unwrap();
    let said = said(&stage, &now, &recorded);
    assert_eq!(said.len(), 1);
    assert_eq!(said[0], "a \"1\" → 1 (p.toml)");
}

#[test]
fn frozen_stages_look_at_outputs_only() {
    let mut build = train();
    build.spec.cmd = Command::One("else".to_owned());
    build.spec.always = true;
    build.spec.frozen = true;
    let stage = stage(build);
    let mut facts = facts();
    facts.deps.insert(dep("data"), None);
    let mut recorded = recorded();
    recorded.mixed = true;
    assert_eq!(said(&stage, &facts, &recorded), [""; 0]);
    facts.outs.insert(rel("model"), None);
    assert_eq!(said(&stage, &facts, &recorded), ["model missing"]);
}

#[test]
fn a_stage_of_nothing_but_a_command_always_runs() {
    let bare = stage(Build::stage("ping"));
    let nothing = Facts::default();
    let record = |stage: &Stage, outs: LiteMap<RelPath, Recorded>| {
        stage.record(&nothing, outs, LiteMap::new()).unwrap()
    };
    let recorded = record(&bare, LiteMap::new());
    assert_eq!(said(&bare, &nothing, &recorded), ["always runs"]);

    // One with outputs runs once.
    let maker = stage(Build::stage("make").outs(&["x"]));
    let recorded = record(&maker, [(rel("x"), file("x"))].into_iter().collect());
    let facts = Facts {
        outs: [(rel("x"), Some(file("x")))].into_iter().collect(),
        ..Facts::default()
    };
    assert_eq!(said(&maker, &facts, &recorded), [""; 0]);
}

#[test]
fn reasons_of_other_stages_have_words_too() {
    assert_eq!(describe(&Reason::upstream("train")), "after train");
    assert_eq!(describe(&Reason::new(ReasonKind::Forced)), "forced");
}

#[test]
fn nothing_is_recorded_when_something_is_missing() {
    let stage = stage(train());
    let outs: LiteMap<RelPath, Recorded> = [(rel("model"), file("model"))].into_iter().collect();
    let mut no_dep = facts();
    no_dep.deps.insert(dep("data"), None);
    let table = [
        (no_dep, outs.clone(), "data"),
        (facts(), LiteMap::new(), "model"),
    ];
    for (facts, outs, missing) in table {
        match stage.record(&facts, outs, LiteMap::new()) {
            Err(Error::NothingToRecord { stage, path }) => {
                assert_eq!((stage.as_str(), path.as_str()), ("train", missing));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn only_what_is_declared_is_recorded() {
    let mut more = facts();
    more.deps.insert(dep("other"), Some(hash("other")));
    more.params.insert(dep("empty.yaml"), Leaves::new());
    let outs = [(rel("model"), file("model")), (rel("other"), file("other"))];
    let metrics = [(rel("model"), Leaves::new())];
    let record = stage(train())
        .record(
            &more,
            outs.into_iter().collect(),
            metrics.into_iter().collect(),
        )
        .unwrap();
    assert_eq!(record, recorded());
    assert_eq!(record.run, record.run_line("train"));
}

fn params_file(entries: &[(&str, Value)]) -> Value {
    let entries = entries.iter();
    let entries = entries.map(|(key, value)| ((*key).to_owned(), value.clone()));
    Value::Table(entries.collect())
}

#[test]
fn params_are_picked_by_key_file_and_default() {
    let inner = params_file(&[("lr", Value::Int(1)), ("deep", params_file(&[]))]);
    let files: BTreeMap<DepPath, Value> = [
        (dep("a.yaml"), params_file(&[("x", Value::Null)])),
        (
            dep("b.toml"),
            params_file(&[("x", Value::Int(2)), ("train", inner)]),
        ),
        (dep("empty.json"), params_file(&[])),
    ]
    .into();
    let defaults = [dep("gone.yaml"), dep("a.yaml"), dep("b.toml")];
    let b = |entries: &[(&str, Value)]| (dep("b.toml"), leaves(entries));
    let train = [
        ("train.lr", Value::Int(1)),
        ("train.deep", params_file(&[])),
    ];
    let table = [
        // Null is a value.
        (
            "a.yaml:x",
            vec![(dep("a.yaml"), leaves(&[("x", Value::Null)]))],
        ),
        ("b.toml:x", vec![b(&[("x", Value::Int(2))])]),
        ("train", vec![b(&train)]),
        ("train.lr", vec![b(&train[..1])]),
        (
            "b.toml:*",
            vec![b(&[
                ("x", Value::Int(2)),
                ("train.lr", Value::Int(1)),
                ("train.deep", params_file(&[])),
            ])],
        ),
        ("empty.json:*", vec![]),
    ];
    for (param, expected) in table {
        let stage = stage(Build::stage("s").params(&[param]));
        let (found, missing) = collect_params(&stage, &defaults, &files);
        assert!(missing.is_empty(), "{param}: {missing:?}");
        assert_eq!(found, expected.into_iter().collect(), "{param}");
    }
    let both = stage(Build::stage("s").params(&["train.lr", "b.toml:x"]));
    let (found, _) = collect_params(&both, &defaults, &files);
    assert_eq!(found[&dep("b.toml")].len(), 2);
}

#[test]
fn a_param_that_several_default_files_have_is_no_ones() {
    let files = ["a.yaml", "b.yaml"].map(|file| (dep(file), params_file(&[("x", Value::Null)])));
    let defaults = [dep("a.yaml"), dep("gone.yaml"), dep("b.yaml")];
    let stage = stage(Build::stage("s").params(&["x"]));
    let (found, missing) = collect_params(&stage, &defaults, &files.into());
    assert!(found.is_empty());
    assert_eq!(
        missing[0].message(),
        "`s` asks for the param `x`, which several files have: a.yaml, b.yaml"
    );
}

#[test]
fn what_looks_like_a_secret_is_recorded_as_its_hash() {
    let value = |text: &str| Value::String(text.to_owned());
    let file = |secret: &str| {
        let names = [
            "api_Token",
            "db.secret_url",
            "PASSWORD",
            "access_key",
            "keys",
            "tokens",
        ];
        let entries: Vec<(&str, Value)> = names.iter().map(|name| (*name, value(secret))).collect();
        BTreeMap::from([(dep("p.yaml"), params_file(&entries))])
    };
    let recorded = |secret: &str| {
        let stage = stage(Build::stage("s").params(&["p.yaml:*"]));
        collect_params(&stage, &[], &file(secret))
            .0
            .remove(&dep("p.yaml"))
            .unwrap()
    };
    let (one, other) = (recorded("hunter2"), recorded("hunter3"));
    let plain: Vec<&str> = one
        .iter()
        .filter(|(_, found)| **found == value("hunter2"))
        .map(|(key, _)| key.as_str())
        .collect();
    assert_eq!(plain, ["keys"]);
    assert_eq!(one, recorded("hunter2"));
    let changed = one.iter().filter(|(key, found)| other[*key] != **found);
    assert_eq!(changed.count(), one.len());
    // Equal secrets of two keys do not show that they are equal.
    let hashes: std::collections::BTreeSet<String> =
        one.values().map(Value::to_lock_text).collect();
    assert_eq!(hashes.len(), one.len());
    let first = one.values().next().unwrap().to_display();
    assert!(first.starts_with("hash:") && first.len() == 21, "{first}");
}

#[test]
fn a_param_that_no_file_has_comes_with_a_guess() {
    let inner = params_file(&[("epochs", Value::Int(1))]);
    let files: BTreeMap<DepPath, Value> =
        [(dep("params.yaml"), params_file(&[("train", inner)]))].into();
    let defaults = [dep("params.yaml"), dep("gone.yaml")];
    let table: [(&str, &str, &[&str], Option<&str>); 5] = [
        (
            "train.epoch",
            "train.epoch",
            &["params.yaml", "gone.yaml"],
            Some("train.epochs"),
        ),
        (
            "trian",
            "trian",
            &["params.yaml", "gone.yaml"],
            Some("train"),
        ),
        (
            "train.epochs.x",
            "train.epochs.x",
            &["params.yaml", "gone.yaml"],
            Some("train.epochs"),
        ),
        (
            "gone.yaml:train.epochs",
            "train.epochs",
            &["gone.yaml"],
            None,
        ),
        ("gone.yaml:*", "*", &["gone.yaml"], None),
    ];
    for (param, key, looked, guess) in table {
        let stage = stage(Build::stage("s").line(9).params(&[param]));
        let (found, missing) = collect_params(&stage, &defaults, &files);
        assert!(found.is_empty());
        assert_eq!(missing.len(), 1);
        assert_eq!(
            (missing[0].stage.as_str(), missing[0].at.excerpt().line),
            ("s", 9)
        );
        assert_eq!(missing[0].key, key);
        assert_eq!(missing[0].files, looked);
        assert_eq!(missing[0].suggestion.as_deref(), guess, "{param}");
    }
}

/// A param, the default files, and what is said of it.
const LOST: [(&str, &[&str], &str); 10] = [
    (
        "a.yaml:train.epochs",
        &[],
        "the param `train.epochs`, which a.yaml does not have",
    ),
    (
        "a.yaml:train.lr.x.y",
        &[],
        "the param `train.lr.x.y`, but `train.lr` is a number in `a.yaml`, not a table",
    ),
    (
        "train.tags.0",
        &["empty.yaml", "a.yaml"],
        "the param `train.tags.0`, but `train.tags` is a list in `a.yaml`, not a table",
    ),
    (
        "no.x",
        &["a.yaml"],
        "the param `no.x`, but `no` is null in `a.yaml`, not a table",
    ),
    (
        "list.json:x",
        &[],
        "the param `x`, but `list.json` holds a list, not a table",
    ),
    (
        "list.json:*",
        &[],
        "all params of a file, but `list.json` holds a list, not a table",
    ),
    (
        "gone.yaml:*",
        &[],
        "all params of a file, but `gone.yaml` does not exist",
    ),
    (
        "x",
        &["gone.yaml"],
        "the param `x`, but `gone.yaml` does not exist",
    ),
    (
        "x",
        &["gone.yaml", "lost.yaml"],
        "the param `x`, but none of `gone.yaml`, `lost.yaml` exists",
    ),
    (
        "x",
        &["gone.yaml", "empty.yaml"],
        "the param `x`, which none of these has: gone.yaml, empty.yaml",
    ),
];

#[test]
fn a_param_that_is_not_there_says_what_is_there_instead() {
    let train = params_file(&[("lr", Value::Int(1)), ("tags", Value::List(vec![]))]);
    let files = [
        (
            "a.yaml",
            params_file(&[("train", train), ("no", Value::Null)]),
        ),
        ("list.json", Value::List(vec![])),
        ("empty.yaml", Value::Null),
    ];
    let files: BTreeMap<DepPath, Value> = files.map(|(file, value)| (dep(file), value)).into();
    for (param, defaults, expected) in LOST {
        let defaults: Vec<DepPath> = defaults.iter().map(|file| dep(file)).collect();
        let stage = stage(Build::stage("s").params(&[param]));
        let (found, missing) = collect_params(&stage, &defaults, &files);
        assert!(found.is_empty(), "{param}");
        assert_eq!(missing[0].message(), format!("`s` asks for {expected}"));
    }
    let stage = stage(Build::stage("s").params(&["empty.yaml:*"]));
    assert!(collect_params(&stage, &[], &files).1.is_empty());
}

/// A small world, so that chance often makes two equal things.
#[derive(Clone, Debug)]
struct World {
    cmd: bool,
    wdir: bool,
    env: LiteMap<String, String>,
    deps: LiteMap<DepPath, Option<DepHash>>,
    params: LiteMap<DepPath, Leaves>,
    outs: LiteMap<RelPath, Recorded>,
    metrics: LiteMap<RelPath, Leaves>,
}

fn world() -> impl Strategy<Value = World> {
    let word = || prop_oneof![Just("a".to_owned()), Just("b".to_owned())];
    let value = prop_oneof![
        Just(Value::Int(1)),
        Just(Value::Float(1.0)),
        Just(Value::Float(f64::NAN)),
        Just(Value::Null),
        Just(Value::Table(BTreeMap::new())),
    ];
    let some_leaves =
        prop::collection::btree_map(word().prop_map(|key| key_path(&key)), value, 1..3);
    let dep_hash = (word(), any::<bool>()).prop_map(|(text, exec)| DepHash {
        exec,
        ..hash(&text)
    });
    let deps = prop::collection::btree_map(
        word().prop_map(|path| dep(&path)),
        prop::option::weighted(0.9, dep_hash),
        0..3,
    );
    let recorded = (word(), any::<bool>()).prop_map(|(text, exec)| Recorded {
        exec,
        ..file(&text)
    });
    (
        any::<bool>(),
        any::<bool>(),
        prop::collection::btree_map(word(), word(), 0..3),
        deps,
        prop::collection::btree_map(
            word().prop_map(|path| dep(&path)),
            some_leaves.clone(),
            0..3,
        ),
        prop::collection::btree_map(word().prop_map(|path| rel(&path)), recorded, 0..3),
        prop::collection::btree_map(word().prop_map(|path| rel(&path)), some_leaves, 0..2),
    )
        .prop_map(|(cmd, wdir, env, deps, params, outs, metrics)| World {
            cmd,
            wdir,
            env: env.into_iter().collect(),
            deps: deps.into_iter().collect(),
            params: params.into_iter().collect(),
            outs: outs.into_iter().collect(),
            metrics: metrics.into_iter().collect(),
        })
}

impl World {
    /// This world with some of its parts from another.
    fn mixed(&self, other: &Self, parts: &[bool]) -> Self {
        let pick = |part: usize| if parts[part] { other } else { self };
        Self {
            cmd: pick(0).cmd,
            wdir: pick(1).wdir,
            env: pick(2).env.clone(),
            deps: pick(3).deps.clone(),
            params: pick(4).params.clone(),
            outs: pick(5).outs.clone(),
            metrics: pick(6).metrics.clone(),
        }
    }

    fn stage(&self) -> Stage {
        let mut build = Build::stage("s");
        build.spec.cmd = Command::One(self.cmd.to_string());
        build.spec.wdir = self.wdir.then(|| rel("src"));
        build.spec.env = self.env.clone().into_iter().collect();
        Stage {
            name: build.name,
            spec: build.spec.into(),
            deps: self.deps.keys().cloned().collect(),
            outs: self.outs.keys().cloned().collect(),
        }
    }

    fn facts(&self) -> Facts {
        let outs = self.outs.iter();
        Facts {
            deps: self.deps.clone(),
            params: self.params.clone(),
            outs: outs
                .map(|(path, out)| (path.clone(), Some(out.clone())))
                .collect(),
        }
    }

    /// The record of a run in this world; a missing dependency is not recorded.
    fn record(&self) -> StageRecord {
        let mut there = self.clone();
        there.deps.retain(|_, dep| dep.is_some());
        there
            .stage()
            .record(&there.facts(), self.outs.clone(), self.metrics.clone())
            .unwrap()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn a_stage_is_fresh_exactly_when_it_would_be_recorded_the_same(
        now in world(),
        other in world(),
        parts in prop::collection::vec(prop::bool::weighted(0.15), 7),
        disk in prop::collection::vec(prop::bool::weighted(0.15), 7),
        lost_out in prop::bool::weighted(0.1),
        forged in prop::bool::weighted(0.1),
        adopted: bool,
    ) {
        let stage = now.stage();
        let mut facts = now.facts();
        facts.outs = now.mixed(&other, &disk).facts().outs;
        if lost_out && let Some((_, out)) = facts.outs.iter_mut().next() {
            *out = None;
        }
        let mut recorded = now.mixed(&other, &parts).record();
        recorded.adopted = adopted;
        if forged {
            recorded.mixed = true;
        }

        let would = stage.record(&facts, recorded.outs.clone(), recorded.metrics.clone());
        let same_block = would.is_ok_and(|would| StageRecord { adopted, ..would } == recorded);
        let same_outs = recorded.outs.iter()
            .all(|(path, out)| facts.outs.get(path).and_then(Option::as_ref) == Some(out));
        let mut reasons = assess(&stage, &facts, Some(&recorded));
        reasons.retain(|reason| reason.kind != ReasonKind::Always);
        prop_assert_eq!(reasons.is_empty(), same_block && same_outs, "{:?}", reasons);
        let mut sorted = reasons.clone();
        sorted.sort_by(|a, b| a.place().cmp(&b.place()));
        prop_assert_eq!(sorted, reasons);
    }

    #[test]
    fn every_reason_has_words(
        now in world(),
        other in world(),
    ) {
        for reason in assess(&now.stage(), &now.facts(), Some(&other.record())) {
            let text = describe(&reason);
            prop_assert!(!text.is_empty() && !text.contains('\n') && text.trim() == text, "{}", text);
        }
    }
}
