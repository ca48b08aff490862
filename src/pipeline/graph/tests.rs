use super::*;
use crate::pipeline::testing::{Build, graph, names, paths, try_graph};
use proptest::prelude::*;

fn reviews() -> Vec<Build> {
    vec![
        Build::stage("prepare")
            .line(2)
            .deps(&["src/prepare.py", "data/raw"])
            .outs(&["data/prepared"]),
        Build::stage("train")
            .line(10)
            .deps(&["src/train.py", "data/prepared/train.csv"])
            .outs(&["models/model.pkl"]),
        Build::stage("evaluate")
            .line(20)
            .deps(&["@train", "data"])
            .outs(&["eval"]),
    ]
}

fn called<'g>(stages: impl Iterator<Item = &'g Stage>) -> BTreeSet<String> {
    stages.map(|stage| stage.name.clone()).collect()
}

fn order(graph: &Graph) -> Vec<&str> {
    graph.in_order().map(|stage| stage.name.as_str()).collect()
}

#[test]
fn edges_follow_paths_in_both_directions_and_names() {
    let mut stages = reviews();
    stages.push(Build::stage("setup"));
    stages.push(
        Build::stage("report")
            .deps(&["eval/metrics.json"])
            .needs(&["setup"]),
    );
    let graph = graph(&stages);
    let table = [
        ("prepare", names(&[])),
        // inside an output
        ("train", names(&["prepare"])),
        // around an output, and by name
        ("evaluate", names(&["prepare", "train"])),
        ("report", names(&["evaluate", "setup"])),
        ("nobody", names(&[])),
    ];
    for (name, upstream) in table {
        assert_eq!(called(graph.upstream(name)), upstream, "{name}");
    }
    assert_eq!(
        called(graph.downstream("prepare")),
        names(&["evaluate", "train"])
    );
    assert_eq!(
        order(&graph),
        ["prepare", "setup", "train", "evaluate", "report"]
    );
}

#[test]
fn a_reference_to_a_stage_reads_all_it_writes() {
    let graph = graph(&[
        Build::stage("a").outs(&["y", "x"]),
        Build::stage("b").deps(&["@a", "x", "../lib.py", "x"]),
    ]);
    let deps: Vec<&str> = graph.known("b").deps.iter().map(DepPath::as_str).collect();
    assert_eq!(deps, ["../lib.py", "x", "y"]);
    assert_eq!(graph.known("a").outs, paths(&["x", "y"]));
}

#[test]
fn a_reference_to_a_stage_without_outputs_still_orders() {
    let graph = graph(&[Build::stage("b"), Build::stage("a").deps(&["@b"])]);
    assert_eq!(order(&graph), ["b", "a"]);
}

#[test]
fn unknown_stages_are_named_with_a_guess() {
    for stage in [
        Build::stage("x").line(7).deps(&["@trian"]),
        Build::stage("x").line(7).needs(&["trian"]),
    ] {
        match try_graph(&[Build::stage("train"), stage], &[]) {
            Err(Error::UnknownStage {
                stage,
                missing,
                at,
                suggestion,
            }) => {
                assert_eq!(
                    (stage.as_str(), missing.as_str(), at.excerpt().line),
                    ("x", "trian", 7)
                );
                assert_eq!(suggestion.as_deref(), Some("train"));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn two_outputs_in_one_place_are_told_in_the_order_of_the_file() {
    let table: [(&[&str], &[&str]); 4] = [
        (&["data"], &["data"]),
        (&["data"], &["data/x/y"]),
        (&["data/x/y"], &["data"]),
        (&["data-x", "data.y", "data"], &["data/x"]),
    ];
    for (first_outs, second_outs) in table {
        // The names sort the other way round.
        let first = Build::stage("z").line(4).outs(first_outs);
        let second = Build::stage("a").line(21).outs(second_outs);
        match try_graph(&[second, first], &[]) {
            Err(Error::OverlappingOuts { first, second }) => {
                assert_eq!((first.0.as_str(), first.2.excerpt().line), ("z", 4));
                assert_eq!((second.0.as_str(), second.2.excerpt().line), ("a", 21));
                assert_eq!(first.1, *first_outs.last().unwrap());
                assert_eq!(second.1, second_outs[0]);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn one_stage_may_not_overlap_itself() {
    let result = try_graph(&[Build::stage("a").outs(&["x", "x/y"])], &[]);
    assert!(matches!(result, Err(Error::OverlappingOuts { .. })));
}

#[test]
fn outputs_are_not_tracked_as_well() {
    for tracked in ["data/prepared", "data/prepared/x", "data"] {
        match try_graph(&reviews(), &["other", tracked]) {
            Err(Error::OutIsTracked { stage, path, at }) => {
                assert_eq!(
                    (stage.as_str(), path.as_str()),
                    ("prepare", "data/prepared")
                );
                assert_eq!(at.excerpt().line, 2);
            }
            other => panic!("{tracked}: {other:?}"),
        }
    }
    assert!(try_graph(&reviews(), &["data/raw", "data/prepared.txt"]).is_ok());
}

#[test]
fn circles_are_named_from_their_smallest_stage() {
    let circle = |stages: &[Build]| match try_graph(stages, &[]) {
        Err(Error::Cycle { names, ties }) => {
            let tied: Vec<&String> = ties.iter().map(|tie| &tie.stage).collect();
            assert_eq!(tied, names[..names.len() - 1].iter().collect::<Vec<_>>());
            let lines = ties
                .iter()
                .map(|tie| tie.at.excerpt().line)
                .collect::<Vec<_>>();
            (names.join(" "), lines)
        }
        other => panic!("{other:?}"),
    };
    let around = [
        Build::stage("tail").line(1).deps(&["c"]),
        Build::stage("b").line(2).deps(&["a"]).outs(&["b"]),
        Build::stage("a").line(3).deps(&["c"]).outs(&["a"]),
        Build::stage("c").line(4).deps(&["b"]).outs(&["c"]),
        Build::stage("free").line(5),
    ];
    assert_eq!(circle(&around), ("a c b a".to_owned(), vec![3, 4, 2]));
    // A tail whose name comes first is no part of the circle.
    let tail = [
        Build::stage("a").line(1).needs(&["c"]),
        Build::stage("c").line(2).needs(&["d"]),
        Build::stage("d").line(3).needs(&["c"]),
    ];
    assert_eq!(circle(&tail), ("c d c".to_owned(), vec![2, 3]));
    for alone in [
        Build::stage("a").deps(&["x"]).outs(&["x"]),
        Build::stage("a").deps(&["x/y"]).outs(&["x"]),
        Build::stage("a").deps(&["x"]).outs(&["x/y"]),
        Build::stage("a").needs(&["a"]),
        Build::stage("a").deps(&["@a"]),
    ] {
        assert_eq!(circle(&[alone]), ("a a".to_owned(), vec![1]));
    }
}

#[test]
fn a_circle_says_what_ties_each_stage_to_the_next() {
    let said = |stages: &[Build]| match try_graph(stages, &[]) {
        Err(Error::Cycle { ties, .. }) => {
            let said = ties.into_iter().map(|tie| (tie.needs, tie.out));
            said.map(|(needs, out)| format!("{needs} {}", out.unwrap_or_default()))
                .collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    // By a path around, a path inside, a pattern, a name of all cells, and `needs`.
    let stages = [
        Build::stage("a").deps(&["free", "b"]).outs(&["a/x", "a/y"]),
        Build::stage("b")
            .deps(&["c/deep/in"])
            .outs(&["b/one", "b/two"]),
        Build::stage("c")
            .deps(&["*/x.csv", "d/*.csv"])
            .outs(&["c/deep"]),
        Build::stage("d").deps(&["@e"]).outs(&["d"]),
        Build::stage("e@1").needs(&["a"]).outs(&["e"]),
    ];
    assert_eq!(said(&stages), ["b b/one", "c c/deep", "d d", "e@1 ", "a "]);
}

#[test]
fn a_target_is_a_stage_or_something_one_writes() {
    let mut stages = reviews();
    stages.push(Build::stage("eval").outs(&["train"]));
    let graph = graph(&stages);
    let table = [
        ("train", "train"),
        // The output `train` of `eval`.
        ("./train", "eval"),
        // A slash says path.
        ("train/", "eval"),
        ("data/prepared", "prepare"),
        ("data/prepared/deep/x.csv", "prepare"),
        ("data/../eval/metrics.json", "evaluate"),
    ];
    for (target, stage) in table {
        assert_eq!(graph.target(target).unwrap().name, stage, "{target}");
    }
    let table = [
        ("trian", Some("train")),
        ("data/prepare", Some("data/prepared")),
        ("model.pkl", Some("models/model.pkl")),
        ("data", Some("data/prepared")),
        ("../x", None),
        ("/abs", None),
        ("", None),
    ];
    for (target, guess) in table {
        match graph.target(target) {
            Err(Error::UnknownTarget { suggestion, .. }) => {
                assert_eq!(suggestion.as_deref(), guess, "{target}");
            }
            other => panic!("{target}: {other:?}"),
        }
    }
}

#[test]
fn every_source_is_written_tracked_or_there() {
    let graph = graph(&reviews());
    let all = names(&["prepare", "train", "evaluate"]);
    let check = |names: &BTreeSet<String>, tracked: &[&str], there: &[&str]| {
        graph.check_sources(names, &paths(tracked), &|path| {
            there.contains(&path.as_str())
        })
    };
    let sources = ["src/prepare.py", "src/train.py"];
    assert!(check(&all, &["data/raw"], &sources).is_ok());
    // Tracked below or above, though nothing is on disk.
    assert!(check(&all, &["data/raw/x.csv"], &sources).is_ok());
    assert!(check(&names(&["train"]), &["src"], &[]).is_ok());
    assert!(check(&names(&["nobody"]), &[], &[]).is_ok());
    match check(&all, &[], &sources) {
        Err(Error::MissingDep { stage, path, .. }) => {
            assert_eq!((stage.as_str(), path.as_str()), ("prepare", "data/raw"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_missing_source_comes_with_what_may_have_been_meant() {
    let table = [
        (
            "data/prepare",
            Some(("data/prepared", "written by `prepare`")),
        ),
        ("data/rau", Some(("data/raw", "tracked by esker"))),
        // Its own output is never what a stage meant to read.
        ("model", None),
        ("../outside", None),
    ];
    for (dep, guess) in table {
        let stages = [
            Build::stage("prepare").outs(&["data/prepared"]),
            Build::stage("train").line(7).deps(&[dep]).outs(&["models"]),
        ];
        let result =
            graph(&stages).check_sources(&names(&["train"]), &paths(&["data/raw"]), &|_| false);
        match result {
            Err(Error::MissingDep {
                path,
                at,
                suggestion,
                ..
            }) => {
                assert_eq!((path.as_str(), at.excerpt().line), (dep, 7));
                let guess = guess.map(|(path, who)| (path.to_owned(), who.to_owned()));
                assert_eq!(suggestion, guess);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_frozen_stage_needs_no_sources() {
    let mut stage = Build::stage("old").deps(&["gone"]);
    stage.spec.frozen = true;
    assert!(
        graph(&[stage])
            .check_sources(&names(&["old"]), &[], &|_| false)
            .is_ok()
    );
}

#[test]
fn ten_thousand_stages_in_a_chain_are_no_deep_stack() {
    let name = |n: usize| format!("s{n:05}");
    let mut stages: Vec<Build> = (0..10_000)
        .map(|n: usize| {
            let stage = Build::stage(&name(n)).outs(&[&name(n)]);
            let before = n.checked_sub(1).map(name);
            stage.deps(&before.iter().map(String::as_str).collect::<Vec<_>>())
        })
        .collect();
    let chain = graph(&stages);
    assert_eq!(order(&chain).len(), 10_000);
    assert_eq!(chain.with_upstream(&names(&["s09999"])).len(), 10_000);
    assert_eq!(chain.with_downstream(&names(&["s00000"])).len(), 10_000);
    stages[0] = Build::stage("s00000").deps(&["s09999"]).outs(&["s00000"]);
    match try_graph(&stages, &[]) {
        Err(Error::Cycle { names, .. }) => assert_eq!(names.len(), 10_001),
        other => panic!("{other:?}"),
    }
}

/// Any edges among up to seven stages, circles included.
fn edges() -> impl Strategy<Value = Vec<BTreeSet<usize>>> {
    (1_usize..8).prop_flat_map(|size| {
        prop::collection::vec(prop::collection::btree_set(0..size, 0..3), size)
    })
}

proptest! {
    #[test]
    fn an_order_is_legal_or_there_is_a_real_circle(edges in edges()) {
        let stages: Vec<Build> = edges.iter().enumerate().map(|(n, needs)| {
            let deps: Vec<String> = needs.iter().map(|m| format!("out{m}")).collect();
            let deps: Vec<&str> = deps.iter().map(String::as_str).collect();
            Build::stage(&format!("s{n}")).outs(&[&format!("out{n}")]).deps(&deps)
        }).collect();
        let needs = |a: &str, b: &str| {
            let number = |name: &str| name[1..].parse::<usize>().unwrap();
            edges[number(a)].contains(&number(b))
        };
        match try_graph(&stages, &[]) {
            Ok(graph) => {
                let order = order(&graph);
                prop_assert_eq!(order.len(), edges.len());
                for (place, name) in order.iter().enumerate() {
                    for later in &order[place..] {
                        prop_assert!(!needs(name, later), "{} before {}", name, later);
                    }
                }
                for (number, needs) in edges.iter().enumerate() {
                    let needs: Vec<String> = needs.iter().map(|n| format!("s{n}")).collect();
                    let needs: Vec<&str> = needs.iter().map(String::as_str).collect();
                    prop_assert_eq!(called(graph.upstream(&format!("s{number}"))), names(&needs));
                }
                for name in &order {
                    let one = names(&[name]);
                    for other in graph.with_upstream(&one) {
                        let back = graph.with_downstream(&BTreeSet::from([other]));
                        prop_assert!(back.contains(*name));
                    }
                }
            }
            Err(Error::Cycle { names, .. }) => {
                prop_assert_eq!(names.first(), names.last());
                for pair in names.windows(2) {
                    prop_assert!(needs(&pair[0], &pair[1]));
                }
                let once: BTreeSet<&String> = names.iter().collect();
                prop_assert_eq!(once.len(), names.len() - 1);
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}
