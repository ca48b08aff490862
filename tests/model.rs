//! Random pipelines, edits, failures and interruptions against a reference that fits on a page:
//! a stage runs exactly if it never ended well with the same command and the same inputs before.
//! The order must be legal, and so must what ran side by side; and whatever happened on the way,
//! the lock at the end is the one of a project in which nothing ever happened.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::common::Sandbox;

/// A pipeline: stage `n` reads sources and outputs of earlier stages, and writes `o<n>`.
#[derive(Clone, Debug)]
struct Pipeline {
    stages: Vec<Shape>,
}

#[derive(Clone, Debug)]
struct Shape {
    sources: BTreeSet<usize>,
    upstream: BTreeSet<usize>,
    /// Writes only the first byte of what it reads, so that many inputs give the same output.
    narrow: bool,
    mutex: bool,
}

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    Source(usize, u8),
    Command(usize),
    DeleteOut(usize),
    SpoilOut(usize),
    /// The stage fails from now on, or no longer.
    Break(usize, bool),
    /// `esker repro -k`, of all or of one stage with all it needs.
    Repro {
        jobs: usize,
        target: Option<usize>,
    },
    /// A run in which a stage ends esker, with this signal.
    Interrupted(usize, &'static str),
}

const SOURCES: usize = 3;

fn pipeline() -> impl Strategy<Value = Pipeline> {
    let shapes = (1_usize..6).prop_flat_map(|size| {
        let shape = |n: usize| {
            (
                prop::collection::btree_set(0..SOURCES, 1..3),
                prop::collection::btree_set(0..n.max(1), 0..=n.min(2)),
                any::<bool>(),
                prop::bool::weighted(0.3),
            )
                .prop_map(move |(sources, mut upstream, narrow, mutex)| {
                    upstream.retain(|other| *other < n);
                    Shape {
                        sources,
                        upstream,
                        narrow,
                        mutex,
                    }
                })
        };
        (0..size).map(shape).collect::<Vec<_>>()
    });
    shapes.prop_map(|stages| Pipeline { stages })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let stage = 0_usize..6;
    let step = prop_oneof![
        3 => (0..SOURCES, 0_u8..3).prop_map(|(source, value)| Step::Source(source, value)),
        1 => stage.clone().prop_map(Step::Command),
        1 => stage.clone().prop_map(Step::DeleteOut),
        1 => stage.clone().prop_map(Step::SpoilOut),
        1 => (stage.clone(), any::<bool>()).prop_map(|(stage, broken)| Step::Break(stage, broken)),
        4 => (1_usize..4, prop::option::weighted(0.3, stage.clone()))
            .prop_map(|(jobs, target)| Step::Repro { jobs, target }),
        1 => (stage, prop::sample::select(vec!["KILL", "INT"]))
            .prop_map(|(stage, signal)| Step::Interrupted(stage, signal)),
    ];
    prop::collection::vec(step, 1..10)
}

/// The reference.
struct Model {
    pipeline: Pipeline,
    sources: [u8; SOURCES],
    versions: Vec<u32>,
    broken: BTreeSet<usize>,
    /// What a stage wrote when it ended well, by stage, version and input.
    known: BTreeMap<(usize, u32, String), String>,
}

/// What the reference expects of one run.
#[derive(Debug, Default)]
struct Expected {
    begun: BTreeSet<usize>,
    failed: BTreeSet<usize>,
    skipped: BTreeSet<usize>,
}

impl Model {
    fn chosen(&self, target: Option<usize>) -> BTreeSet<usize> {
        let Some(target) = target else {
            return (0..self.pipeline.stages.len()).collect();
        };
        let mut chosen = BTreeSet::from([target]);
        for n in (0..=target).rev() {
            if chosen.contains(&n) {
                chosen.extend(&self.pipeline.stages[n].upstream);
            }
        }
        chosen
    }

    /// Runs the chosen stages; if that was interrupted, only these got to their end.
    fn repro(&mut self, target: Option<usize>, ended: Option<&BTreeSet<usize>>) -> Expected {
        let mut expected = Expected::default();
        let mut outs: BTreeMap<usize, String> = BTreeMap::new();
        for n in self.chosen(target) {
            let shape = &self.pipeline.stages[n];
            if !shape.upstream.iter().all(|other| outs.contains_key(other)) {
                expected.skipped.insert(n);
                continue;
            }
            let sources = shape.sources.iter().map(|n| self.sources[*n].to_string());
            let upstream = shape.upstream.iter().map(|other| outs[other].clone());
            let input: String = sources.chain(upstream).collect();
            let key = (n, self.versions[n], input.clone());
            if let Some(out) = self.known.get(&key) {
                outs.insert(n, out.clone());
                continue;
            }
            expected.begun.insert(n);
            let cut_short = ended.is_some_and(|ended| !ended.contains(&n));
            if cut_short || self.broken.contains(&n) {
                expected.failed.insert(n);
                continue;
            }
            let out = match shape.narrow {
                true => input[..1].to_owned(),
                false => input,
            };
            self.known.insert(key, out.clone());
            outs.insert(n, out);
        }
        expected
    }
}

/// A sandbox that plays the same steps.
struct Play {
    sandbox: Sandbox,
    pipeline: Pipeline,
}

impl Play {
    fn new(pipeline: &Pipeline) -> Self {
        let mut sandbox = Sandbox::project();
        let control = sandbox.root().join("control");
        std::fs::create_dir(&control).unwrap();
        sandbox.set("CONTROL", control.to_str().unwrap());
        Self {
            sandbox,
            pipeline: pipeline.clone(),
        }
    }

    /// Writes `esker.toml` and the sources.
    fn write(&self, model: &Model) {
        let head = self.sandbox.read("esker.toml");
        let head = head.split("\n[stage.").next().unwrap();
        let mut text = head.to_owned();
        for (n, shape) in self.pipeline.stages.iter().enumerate() {
            text.push_str(&stage_text(n, shape, model.versions[n]));
        }
        self.sandbox.write("esker.toml", text);
        for (n, value) in model.sources.iter().enumerate() {
            self.sandbox.write(&format!("s{n}"), value.to_string());
        }
    }

    fn control(&self, name: &str, present: bool) {
        let path = self.sandbox.root().join("control").join(name);
        match present {
            true => std::fs::write(path, "").unwrap(),
            false => drop(std::fs::remove_file(path)),
        }
    }

    /// Checks what ran against what was expected, by the log that the stages wrote themselves.
    fn check(&self, log: &[String], expected: &Expected, jobs: usize) {
        let mut open: BTreeSet<usize> = BTreeSet::new();
        let mut begun: BTreeSet<usize> = BTreeSet::new();
        for line in log {
            let (word, n) = line.split_once(' ').unwrap();
            let n: usize = n.parse().unwrap();
            if word == "end" {
                assert!(open.remove(&n), "{log:?}");
                continue;
            }
            let shape = &self.pipeline.stages[n];
            let must_be_over = shape.upstream.iter().all(|other| !open.contains(other));
            let later = |other: &usize| expected.begun.contains(other) && !begun.contains(other);
            assert!(
                must_be_over && !shape.upstream.iter().any(later),
                "{n} began before what it needs was over: {log:?}"
            );
            let clash = |other: &usize| self.pipeline.stages[*other].mutex;
            assert!(!shape.mutex || !open.iter().any(clash), "{log:?}");
            assert!(begun.insert(n), "{n} ran twice: {log:?}");
            open.insert(n);
            assert!(open.len() <= jobs, "too many at once: {log:?}");
        }
        assert_eq!(begun, expected.begun, "what ran");
    }

    /// Runs everything, one after another, with a stage that ends esker should it come to run.
    fn interrupted(&self, model: &mut Model, n: usize, signal: &str) {
        let name = format!("{signal}.{n}");
        self.control(&name, true);
        let output = self.sandbox.try_sh("exec esker repro -k");
        let log = self.sandbox.runs();
        let control = self.sandbox.root().join("control").join(&name);
        if control.exists() {
            // It had nothing to run there.
            self.control(&name, false);
            assert_ne!(output.code, 130, "{output}");
            self.check(&log, &model.repro(None, None), 1);
            return;
        }
        assert_eq!(
            output.code,
            if signal == "KILL" { -1 } else { 130 },
            "{output}"
        );
        assert_eq!(log.last(), Some(&format!("begin {n}")));
        let ended = log.iter().filter_map(|line| line.strip_prefix("end "));
        let ended: BTreeSet<usize> = ended.map(|n| n.parse().unwrap()).collect();
        model.repro(None, Some(&ended));
    }

    fn repro(&self, expected: &Expected, jobs: usize, target: Option<usize>) {
        let target = target.map(|n| format!("t{n}")).unwrap_or_default();
        let report = self.sandbox.json(&format!("repro -k -j {jobs} {target}"));
        self.check(&self.sandbox.runs(), expected, jobs);
        for stage in report["stages"].as_array().unwrap() {
            let n: usize = stage["name"].as_str().unwrap()[1..].parse().unwrap();
            let action = stage["action"].as_str().unwrap();
            let right = match action {
                "failed" => expected.failed.contains(&n),
                "skipped" => expected.skipped.contains(&n),
                "ran" => expected.begun.contains(&n) && !expected.failed.contains(&n),
                _ => !expected.begun.contains(&n) && !expected.skipped.contains(&n),
            };
            assert!(right, "t{n} {action}, but {expected:?}");
        }
    }
}

/// A stage that logs its beginning and end, and does what the files in `$CONTROL` say.
fn stage_text(n: usize, shape: &Shape, version: u32) -> String {
    let sources = shape.sources.iter().map(|n| format!("s{n}"));
    let upstream = shape.upstream.iter().map(|n| format!("o{n}"));
    let deps: Vec<String> = sources.chain(upstream).collect();
    let narrow = if shape.narrow { "| head -c 1" } else { "" };
    let mutex = if shape.mutex { "mutex = [\"m\"]\n" } else { "" };
    let quoted: Vec<String> = deps.iter().map(|dep| format!("\"{dep}\"")).collect();
    format!(
        r#"
[stage.t{n}]
cmd = """
: {version}
echo begin {n} >> $RUNS
cat {} {narrow} > o{n} || true
for signal in KILL INT; do
  if [ -e $CONTROL/$signal.{n} ]; then rm $CONTROL/$signal.{n}; kill -$signal $PPID; exec sleep 1000; fi
done
echo end {n} >> $RUNS
[ ! -e $CONTROL/broken.{n} ]
"""
deps = [{}]
outs = ["o{n}"]
{mutex}"#,
        deps.join(" "),
        quoted.join(", "),
    )
}

fn play(pipeline: &Pipeline, steps: &[Step]) {
    let size = pipeline.stages.len();
    let mut model = Model {
        pipeline: pipeline.clone(),
        sources: [0; SOURCES],
        versions: vec![0; size],
        broken: BTreeSet::new(),
        known: BTreeMap::new(),
    };
    let play = Play::new(pipeline);
    play.write(&model);
    for step in steps {
        match step {
            Step::Source(source, value) => model.sources[*source] = *value,
            Step::Command(n) => model.versions[n % size] += 1,
            Step::DeleteOut(n) => drop(std::fs::remove_file(
                play.sandbox.path(&format!("o{}", n % size)),
            )),
            Step::SpoilOut(n) => play.sandbox.write(&format!("o{}", n % size), "spoiled"),
            Step::Break(n, broken) => {
                let n = n % size;
                play.control(&format!("broken.{n}"), *broken);
                match broken {
                    true => drop(model.broken.insert(n)),
                    false => drop(model.broken.remove(&n)),
                }
            }
            Step::Repro { jobs, target } => {
                let target = target.map(|n| n % size);
                let expected = model.repro(target, None);
                play.repro(&expected, *jobs, target);
            }
            Step::Interrupted(n, signal) => {
                play.interrupted(&mut model, n % size, signal);
            }
        }
        play.write(&model);
    }
    for n in std::mem::take(&mut model.broken) {
        play.control(&format!("broken.{n}"), false);
    }
    let expected = model.repro(None, None);
    play.repro(&expected, 2, None);

    let oracle = Play::new(pipeline);
    oracle.write(&model);
    oracle.sandbox.ok("repro");
    assert_eq!(
        play.sandbox.read("esker.lock"),
        oracle.sandbox.read("esker.lock")
    );
    assert_eq!(
        play.sandbox.files("project"),
        oracle.sandbox.files("project")
    );
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 16,
        max_shrink_iters: 20,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]
    #[test]
    fn exactly_the_right_stages_run_whatever_happens(pipeline in pipeline(), steps in steps()) {
        play(&pipeline, &steps);
    }
}
