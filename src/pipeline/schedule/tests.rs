use super::*;
use crate::pipeline::testing::{Build, graph, names};
use proptest::prelude::*;

/// `a` needs nothing, `b` and `c` need `a`, `d` needs `b` and `c`.
fn diamond() -> Graph {
    graph(&[
        Build::stage("a"),
        Build::stage("b").needs(&["a"]),
        Build::stage("c").needs(&["a"]),
        Build::stage("d").needs(&["b", "c"]),
    ])
}

fn check(name: &str) -> Next {
    Next::Check(name.to_owned())
}

fn run(name: &str) -> Next {
    Next::Run(name.to_owned())
}

/// A stage that is looked at, stale, and started.
fn starts(scheduler: &mut Scheduler, name: &str) {
    assert_eq!(scheduler.next(), check(name));
    scheduler.checked(name, Verdict::Stale);
    assert_eq!(scheduler.next(), run(name));
}

/// A stage that is looked at, with nothing to do.
fn settles(scheduler: &mut Scheduler, name: &str) {
    assert_eq!(scheduler.next(), check(name));
    scheduler.checked(name, Verdict::Settled);
}

#[test]
fn what_is_settled_opens_the_way_without_running() {
    let mut scheduler = Scheduler::new(&diamond(), &names(&["a", "b", "c", "d"]), 1, false);
    for name in ["a", "b", "c", "d"] {
        assert_eq!(scheduler.next(), check(name));
        scheduler.checked(name, Verdict::Settled);
    }
    assert_eq!(scheduler.next(), Next::Done);
    assert!(scheduler.skipped().is_empty());
}

#[test]
fn one_job_runs_at_a_time_and_downstream_waits_for_its_bytes() {
    let mut scheduler = Scheduler::new(&diamond(), &names(&["a", "b", "c", "d"]), 1, false);
    assert_eq!(scheduler.next(), check("a"));
    assert_eq!(scheduler.next(), Next::Wait);
    scheduler.checked("a", Verdict::Stale);
    assert_eq!(scheduler.next(), run("a"));
    assert_eq!(scheduler.next(), Next::Wait);
    scheduler.finished("a", true);
    assert_eq!(scheduler.next(), check("b"));
    scheduler.checked("b", Verdict::Stale);
    assert_eq!(scheduler.next(), run("b"));
    // Checks take no place.
    assert_eq!(scheduler.next(), check("c"));
    scheduler.checked("c", Verdict::Stale);
    assert_eq!(scheduler.next(), Next::Wait);
    scheduler.finished("b", true);
    assert_eq!(scheduler.next(), run("c"));
    assert_eq!(scheduler.next(), Next::Wait);
    scheduler.finished("c", true);
    assert_eq!(scheduler.next(), check("d"));
    scheduler.checked("d", Verdict::Settled);
    assert_eq!(scheduler.next(), Next::Done);
}

#[test]
fn what_is_over_can_be_taken_up_again() {
    let mut scheduler = Scheduler::new(&diamond(), &names(&["a", "b", "c", "d"]), 2, false);
    for name in ["a", "b"] {
        settles(&mut scheduler, name);
    }
    // `c` lacks what `a` wrote. `b` depends on that too, so it is looked at once more.
    assert_eq!(scheduler.next(), check("c"));
    assert_eq!(
        scheduler.reopen("c", &names(&["a"])).unwrap(),
        ["a", "b", "c", "d"]
    );
    starts(&mut scheduler, "a");
    assert_eq!(scheduler.next(), Next::Wait);
    scheduler.finished("a", true);
    starts(&mut scheduler, "b");
    // While `b` reads it, nobody may write it.
    assert_eq!(scheduler.next(), check("c"));
    assert_eq!(scheduler.reopen("c", &names(&["a"])), None);
    scheduler.hold("c");
    scheduler.finished("b", true);
    assert!(scheduler.retry());
    assert_eq!(scheduler.next(), check("c"));
    assert_eq!(scheduler.reopen("c", &names(&["a"])).unwrap().len(), 4);
    assert_eq!(scheduler.next(), check("a"));
    scheduler.checked("a", Verdict::Failed);
    assert_eq!(scheduler.next(), Next::Done);
    assert_eq!(scheduler.skipped(), ["b", "c", "d"]);
}

#[test]
fn what_is_not_over_or_not_needed_is_not_taken_up() {
    let graph = graph(&[
        Build::stage("a"),
        Build::stage("b").needs(&["a"]),
        Build::stage("x"),
    ]);
    let mut scheduler = Scheduler::new(&graph, &names(&["b", "x"]), 1, false);
    assert_eq!(scheduler.next(), check("b"));
    // Outside of what is wanted, not over, and nothing to do with it.
    for other in ["a", "b", "x"] {
        assert_eq!(
            scheduler.reopen("b", &names(&[other])).unwrap().len(),
            0,
            "{other}"
        );
    }
    scheduler.checked("b", Verdict::Settled);
    assert_eq!(scheduler.next(), check("x"));
    assert_eq!(scheduler.reopen("x", &names(&["b"])).unwrap().len(), 0);
    scheduler.checked("x", Verdict::Settled);
    assert_eq!(scheduler.next(), Next::Done);
}

#[test]
fn a_failure_lets_running_stages_finish_and_starts_nothing() {
    let mut scheduler = Scheduler::new(&diamond(), &names(&["b", "c", "d"]), 2, false);
    for name in ["b", "c"] {
        assert_eq!(scheduler.next(), check(name));
        scheduler.checked(name, Verdict::Stale);
        assert_eq!(scheduler.next(), run(name));
    }
    scheduler.finished("b", false);
    assert_eq!(scheduler.next(), Next::Wait);
    scheduler.finished("c", true);
    assert_eq!(scheduler.next(), Next::Done);
    assert_eq!(scheduler.skipped(), ["d"]);
}

#[test]
fn keeping_going_gives_up_only_what_depends_on_the_failure() {
    let graph = graph(&[
        Build::stage("a"),
        Build::stage("b").needs(&["a"]),
        Build::stage("c").needs(&["b"]),
        Build::stage("x"),
        Build::stage("y").needs(&["x"]),
    ]);
    let mut scheduler = Scheduler::new(&graph, &names(&["a", "b", "c", "x", "y"]), 1, true);
    assert_eq!(scheduler.next(), check("a"));
    scheduler.checked("a", Verdict::Failed);
    for name in ["x", "y"] {
        assert_eq!(scheduler.next(), check(name));
        scheduler.checked(name, Verdict::Settled);
    }
    assert_eq!(scheduler.next(), Next::Done);
    assert_eq!(scheduler.skipped(), ["b", "c"]);
}

#[test]
fn after_a_stop_a_late_check_starts_nothing() {
    let mut scheduler = Scheduler::new(&diamond(), &names(&["a", "b"]), 1, true);
    assert_eq!(scheduler.next(), check("a"));
    scheduler.stop();
    scheduler.checked("a", Verdict::Stale);
    assert_eq!(scheduler.next(), Next::Done);
    assert_eq!(scheduler.skipped(), ["a", "b"]);
}

#[test]
fn after_a_stop_a_settled_stage_opens_nothing() {
    let mut scheduler = Scheduler::new(&diamond(), &names(&["a", "b"]), 1, true);
    assert_eq!(scheduler.next(), check("a"));
    scheduler.stop();
    scheduler.checked("a", Verdict::Settled);
    assert_eq!(scheduler.next(), Next::Done);
    assert_eq!(scheduler.skipped(), ["b"]);
}

#[test]
fn a_mutex_keeps_stages_apart_and_lets_others_pass() {
    let graph = graph(&[
        Build::stage("a").mutex(&["gpu0"]),
        Build::stage("b").mutex(&["gpu0", "gpu1"]),
        Build::stage("c"),
    ]);
    let mut scheduler = Scheduler::new(&graph, &names(&["a", "b", "c"]), 3, false);
    assert_eq!(scheduler.next(), check("a"));
    scheduler.checked("a", Verdict::Stale);
    assert_eq!(scheduler.next(), run("a"));
    for name in ["b", "c"] {
        assert_eq!(scheduler.next(), check(name));
        scheduler.checked(name, Verdict::Stale);
    }
    assert_eq!(scheduler.next(), run("c"));
    assert_eq!(scheduler.next(), Next::Wait);
    scheduler.finished("a", true);
    assert_eq!(scheduler.next(), run("b"));
}

#[test]
fn what_another_process_has_is_tried_again_and_takes_no_place() {
    let mut scheduler = Scheduler::new(&diamond(), &names(&["b", "c", "d"]), 1, false);
    assert_eq!(scheduler.next(), check("b"));
    scheduler.hold("b");
    assert_eq!(scheduler.next(), check("c"));
    scheduler.checked("c", Verdict::Stale);
    assert_eq!(scheduler.next(), run("c"));
    scheduler.hold("c");
    assert_eq!(scheduler.next(), Next::Wait);
    assert!(scheduler.retry());
    assert!(!scheduler.retry());
    for name in ["b", "c"] {
        assert_eq!(scheduler.next(), check(name));
        scheduler.checked(name, Verdict::Settled);
    }
    assert_eq!(scheduler.next(), check("d"));
    scheduler.hold("d");
    scheduler.stop();
    assert_eq!(scheduler.next(), Next::Done);
    assert_eq!(scheduler.skipped(), ["d"]);
}

#[test]
fn no_jobs_is_one_job() {
    let mut scheduler = Scheduler::new(&diamond(), &names(&["a"]), 0, false);
    assert_eq!(scheduler.next(), check("a"));
    scheduler.checked("a", Verdict::Stale);
    assert_eq!(scheduler.next(), run("a"));
}

#[test]
#[should_panic(expected = "answers come only for stages that were asked for")]
fn an_answer_nobody_asked_for_is_a_bug() {
    Scheduler::new(&diamond(), &names(&["a"]), 1, false).finished("a", true);
}

#[test]
fn ten_thousand_stages_in_a_chain_fail_without_a_deep_stack() {
    let stages: Vec<Build> = (0..10_000)
        .map(|n: usize| {
            let stage = Build::stage(&format!("s{n:05}"));
            match n.checked_sub(1) {
                Some(before) => stage.needs(&[&format!("s{before:05}")]),
                None => stage,
            }
        })
        .collect();
    let graph = graph(&stages);
    let wanted: BTreeSet<String> = graph.stages().keys().cloned().collect();
    let mut scheduler = Scheduler::new(&graph, &wanted, 4, true);
    assert_eq!(scheduler.next(), check("s00000"));
    scheduler.checked("s00000", Verdict::Failed);
    assert_eq!(scheduler.next(), Next::Done);
    assert_eq!(scheduler.skipped().len(), 9_999);
}

/// A graph, and what will happen to its stages.
#[derive(Clone, Debug)]
struct Story {
    /// For each stage, stages before it that it needs.
    needs: Vec<BTreeSet<usize>>,
    wanted: Vec<bool>,
    /// Which of two mutexes each stage takes.
    mutexes: Vec<BTreeSet<usize>>,
    /// How often each stage is held before it is checked.
    holds: Vec<usize>,
    verdicts: Vec<Verdict>,
    succeeds: Vec<bool>,
    /// Which of the running stages ends next; taken modulo their number.
    ends: Vec<usize>,
    jobs: usize,
    keep_going: bool,
    /// After how many steps somebody interrupts.
    stop_after: Option<usize>,
}

fn story() -> impl Strategy<Value = Story> {
    let size = 1_usize..9;
    size.prop_flat_map(|size| {
        let needs: Vec<_> = (0..size)
            .map(|n| prop::collection::btree_set(0..n.max(1), 0..=n.min(3)))
            .collect();
        let verdict = prop_oneof![
            2 => Just(Verdict::Settled),
            5 => Just(Verdict::Stale),
            1 => Just(Verdict::Failed),
        ];
        (
            needs,
            prop::collection::vec(prop::bool::weighted(0.8), size),
            prop::collection::vec(prop::collection::btree_set(0_usize..2, 0..2), size),
            prop::collection::vec(prop_oneof![4 => Just(0), 1 => 1_usize..3], size),
            prop::collection::vec(verdict, size),
            prop::collection::vec(prop::bool::weighted(0.8), size),
            prop::collection::vec(any::<usize>(), size),
            1_usize..4,
            any::<bool>(),
            prop::option::weighted(0.2, 0_usize..12),
        )
            .prop_map(
                |(
                    needs,
                    wanted,
                    mutexes,
                    holds,
                    verdicts,
                    succeeds,
                    ends,
                    jobs,
                    keep_going,
                    stop_after,
                )| Story {
                    needs,
                    wanted,
                    mutexes,
                    holds,
                    verdicts,
                    succeeds,
                    ends,
                    jobs,
                    keep_going,
                    stop_after,
                },
            )
    })
}

/// How a stage ended, as the reference sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Well,
    Failed,
}

/// Plays a story against the scheduler and checks every step by the rules alone.
struct Play<'a> {
    story: &'a Story,
    ended: BTreeMap<usize, End>,
    running: Vec<usize>,
    asked: BTreeSet<usize>,
    /// How often each stage was held; those in `held` were not tried again yet.
    times_held: BTreeMap<usize, usize>,
    held: BTreeSet<usize>,
    stopped: bool,
}

impl Play<'_> {
    fn name(number: usize) -> String {
        format!("s{number}")
    }

    fn needs(&self, number: usize) -> impl Iterator<Item = usize> {
        let needs = self.story.needs[number].iter().copied();
        needs.filter(move |needed| *needed != number && self.story.wanted[*needed])
    }

    /// Stages that the rules allow to check now.
    fn may_check(&self) -> Vec<usize> {
        (0..self.story.needs.len())
            .filter(|n| self.story.wanted[*n] && !self.asked.contains(n) && !self.stopped)
            .filter(|n| !self.held.contains(n))
            .filter(|n| {
                self.needs(*n)
                    .all(|m| self.ended.get(&m) == Some(&End::Well))
            })
            .collect()
    }

    /// Whether a stale stage waits although there is a free place.
    fn wastes_a_place(&self) -> bool {
        let queued = self.asked.iter().filter(|n| {
            self.story.verdicts[**n] == Verdict::Stale
                && !self.ended.contains_key(n)
                && !self.running.contains(n)
                && self.mutexes_are_free(**n)
        });
        !self.stopped && self.running.len() < self.story.jobs && queued.count() > 0
    }

    fn mutexes_are_free(&self, number: usize) -> bool {
        let mutexes = &self.story.mutexes;
        let mut running = self.running.iter();
        running.all(|other| mutexes[*other].is_disjoint(&mutexes[number]))
    }

    fn end(&mut self, number: usize, end: End) {
        let before = self.ended.insert(number, end);
        assert_eq!(before, None, "{number} ended twice");
        self.stopped |= end == End::Failed && !self.story.keep_going;
    }

    fn play(&mut self, scheduler: &mut Scheduler) {
        let mut ends = self.story.ends.iter();
        for step in 0.. {
            if self.story.stop_after == Some(step) {
                scheduler.stop();
                self.stopped = true;
            }
            let wasteful = self.wastes_a_place();
            let next = scheduler.next();
            assert!(
                !wasteful || matches!(next, Next::Run(_)),
                "a place stays empty"
            );
            match next {
                Next::Check(name) => self.check(scheduler, &name),
                Next::Run(name) => self.run(&name),
                Next::Wait => {
                    assert!(self.may_check().is_empty(), "waits although it could check");
                    if !std::mem::take(&mut self.held).is_empty() && !self.stopped {
                        assert!(scheduler.retry());
                        continue;
                    }
                    let index = ends.next().unwrap() % self.running.len();
                    let number = self.running.remove(index);
                    let ok = self.story.succeeds[number];
                    scheduler.finished(&Self::name(number), ok);
                    self.end(number, if ok { End::Well } else { End::Failed });
                }
                Next::Done => return,
            }
        }
    }

    fn check(&mut self, scheduler: &mut Scheduler, name: &str) {
        let number: usize = name[1..].parse().unwrap();
        assert!(self.may_check().contains(&number), "{name} is not ready");
        let times = self.times_held.entry(number).or_default();
        if *times < self.story.holds[number] {
            *times += 1;
            self.held.insert(number);
            scheduler.hold(name);
            return;
        }
        self.asked.insert(number);
        let verdict = self.story.verdicts[number];
        scheduler.checked(name, verdict);
        match verdict {
            Verdict::Settled => self.end(number, End::Well),
            Verdict::Failed => self.end(number, End::Failed),
            Verdict::Stale => {}
        }
    }

    fn run(&mut self, name: &str) {
        let number: usize = name[1..].parse().unwrap();
        assert!(!self.stopped, "{name} starts after a stop");
        assert!(self.asked.contains(&number) && !self.ended.contains_key(&number));
        assert!(!self.running.contains(&number), "{name} runs twice");
        assert!(
            self.mutexes_are_free(number),
            "{name} takes what another has"
        );
        assert_eq!(self.story.verdicts[number], Verdict::Stale);
        self.running.push(number);
        assert!(self.running.len() <= self.story.jobs, "too many at once");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn every_wanted_stage_ends_exactly_once_by_the_rules(story in story()) {
        let stages: Vec<Build> = story.needs.iter().enumerate().map(|(number, needs)| {
            let needs: Vec<String> = needs.iter().filter(|n| **n != number).map(|n| Play::name(*n)).collect();
            let needs: Vec<&str> = needs.iter().map(String::as_str).collect();
            let mutexes: Vec<String> = story.mutexes[number].iter().map(|n| format!("m{n}")).collect();
            let mutexes: Vec<&str> = mutexes.iter().map(String::as_str).collect();
            Build::stage(&Play::name(number)).needs(&needs).mutex(&mutexes)
        }).collect();
        let graph = graph(&stages);
        let numbers: Vec<usize> = (0..story.needs.len()).filter(|n| story.wanted[*n]).collect();
        let wanted: BTreeSet<String> = numbers.iter().map(|n| Play::name(*n)).collect();
        let mut scheduler = Scheduler::new(&graph, &wanted, story.jobs, story.keep_going);
        let mut play = Play {
            story: &story,
            ended: BTreeMap::new(),
            running: Vec::new(),
            asked: BTreeSet::new(),
            times_held: BTreeMap::new(),
            held: BTreeSet::new(),
            stopped: false,
        };
        play.play(&mut scheduler);

        prop_assert!(play.running.is_empty(), "done while something runs");
        prop_assert_eq!(scheduler.next(), Next::Done);
        let ended: BTreeSet<String> = play.ended.keys().map(|n| Play::name(*n)).collect();
        let skipped: BTreeSet<String> = scheduler.skipped().into_iter().collect();
        prop_assert!(ended.is_disjoint(&skipped));
        let all: BTreeSet<String> = ended.union(&skipped).cloned().collect();
        prop_assert_eq!(&all, &wanted);
        if !play.stopped {
            // Only what stands below a failure may be left.
            let failed: BTreeSet<String> = play.ended.iter()
                .filter(|(_, end)| **end == End::Failed).map(|(n, _)| Play::name(*n)).collect();
            for name in &skipped {
                let number: usize = name[1..].parse().unwrap();
                let blocked = play.needs(number)
                    .any(|n| failed.contains(&Play::name(n)) || skipped.contains(&Play::name(n)));
                prop_assert!(blocked, "{} was given up for nothing", name);
            }
        }
    }
}
