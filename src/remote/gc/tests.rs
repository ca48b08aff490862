//! Collection of a remote in memory: what goes, what stays, and pushes at the same time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::*;
use crate::progress::{Interrupt, Silent};
use crate::remote::tests::{Clone, Shared, noise, sample};
use crate::remote::transport::{Listed, Take, Transport, Writing};
use crate::remote::{Address, Remote, Root, layout};

const AT_ONCE: CollectOptions = CollectOptions {
    grace: Duration::ZERO,
    min_age: Duration::ZERO,
    dry_run: false,
};

fn run(remote: &Remote, clone: &Clone, options: &CollectOptions, unneeded: &[u8]) -> Collected {
    let is_unneeded = |claim: &Claim| unneeded.contains(&claim.commit[0]);
    let collected = remote.collect(
        &clone.store,
        (options, 1),
        &is_unneeded,
        &mut |_| true,
        &Silent,
        &Interrupt::new(),
    );
    collected.unwrap()
}

/// Pushes locks with the commits 1, 2, … under projects of their own.
fn push_each(clone: &mut Clone, remote: &Remote, locks: &[Vec<Root>]) {
    for (number, roots) in (1..).zip(locks) {
        clone.project = [number; 16];
        clone.push_as(remote, roots, number).unwrap();
    }
}

#[test]
fn what_snapshots_need_stays_and_the_rest_goes_in_two_runs() {
    let shared = Shared::default();
    let remote = shared.remote();
    let mut clone = Clone::new();
    let mut other = sample(&clone);
    other[0] = clone.file("model.pkl", &noise(20, 50_000));
    other[2] = clone.file("data/large.bin", &noise(30, 9_500_000));
    let locks = [sample(&clone), other];
    push_each(&mut clone, &remote, &locks);
    let before = shared.keys(layout::PACKS).len();
    assert_eq!(run(&remote, &clone, &AT_ONCE, &[]).condemned, []);
    assert_eq!(
        shared.keys(layout::GC_LOG),
        Vec::<String>::new(),
        "nothing to say"
    );

    let first = run(&remote, &clone, &AT_ONCE, &[2]);
    assert_eq!(first.dropped.len(), 1);
    assert!(!first.condemned.is_empty());
    assert_eq!(
        shared.keys(layout::PACKS).len(),
        before,
        "nothing is deleted yet"
    );
    let second = run(&remote, &clone, &AT_ONCE, &[]);
    assert_eq!(second.deleted, first.condemned);
    assert_eq!((second.rescued, &second.missing), (0, &Vec::new()));
    let third = run(&remote, &clone, &AT_ONCE, &[]);
    assert_eq!((third.deleted, third.condemned), (vec![], vec![]));

    let empty = Clone::new();
    let fetched = empty.fetch(&remote, &locks[0]);
    assert_eq!((fetched.missing, fetched.damaged), (vec![], vec![]));
    assert_eq!(empty.contents(&locks[0]), clone.contents(&locks[0]));
    let gone = Clone::new().fetch(&remote, &locks[1]);
    assert!(!gone.missing.is_empty(), "nobody needed it");
}

/// Somebody may forget the first commit and never see the second.
#[test]
fn a_commit_with_the_data_of_another_keeps_it_by_itself() {
    let shared = Shared::default();
    let (remote, clone) = (shared.remote(), Clone::new());
    let roots = sample(&clone);
    clone.push_as(&remote, &roots, 1).unwrap();
    let again = clone.push_as(&remote, &roots, 1).unwrap();
    assert_eq!(again.objects, 0, "the commit has its snapshot");
    let other = clone.push_as(&remote, &roots, 2).unwrap();
    assert_eq!(other.objects, 1, "the data is there");

    let first = run(&remote, &clone, &AT_ONCE, &[1]);
    assert_eq!((first.dropped.len(), first.condemned), (1, vec![]));
    run(&remote, &clone, &AT_ONCE, &[]);
    let empty = Clone::new();
    empty.fetch(&remote, &roots);
    assert_eq!(empty.contents(&roots), clone.contents(&roots));
}

#[test]
fn what_is_needed_of_a_condemned_pack_is_copied_before_it_goes() {
    let shared = Shared::default();
    let remote = shared.remote();
    let mut clone = Clone::new();
    let locks = [sample(&clone)];
    push_each(&mut clone, &remote, &locks);
    // As a push does that published after this collection had listed the snapshots.
    let packs = shared.keys(layout::PACKS);
    let ids = packs
        .iter()
        .filter_map(|key| layout::parse_pack(key))
        .collect();
    let interrupt = Interrupt::new();
    let link = Link::new(&remote, 1, &interrupt);
    let mut log = log::Log::default();
    assert!(link.append_log(&mut log, Record::Condemn(ids)).unwrap());

    let planned = CollectOptions {
        dry_run: true,
        ..AT_ONCE
    };
    let plan = run(&remote, &clone, &planned, &[]);
    assert_eq!((plan.deleted.len(), plan.applied), (packs.len(), false));
    assert_eq!(shared.keys(layout::PACKS), packs);
    let done = run(&remote, &clone, &AT_ONCE, &[]);
    assert!(done.applied && done.rescued > 300);
    let now = shared.keys(layout::PACKS);
    assert!(
        now.iter().all(|key| !packs.contains(key)),
        "all of them went"
    );
    let empty = Clone::new();
    let fetched = empty.fetch(&remote, &locks[0]);
    assert_eq!((fetched.missing, fetched.damaged), (vec![], vec![]));
    assert_eq!(empty.contents(&locks[0]), clone.contents(&locks[0]));
}

#[test]
fn nothing_goes_before_its_time_or_without_being_understood() {
    let shared = Shared::default();
    let remote = shared.remote();
    let mut clone = Clone::new();
    let locks = [sample(&clone)];
    push_each(&mut clone, &remote, &locks);
    let hour = Duration::from_secs(3600);
    let young = CollectOptions {
        min_age: hour,
        ..AT_ONCE
    };
    let report = run(&remote, &clone, &young, &[1]);
    assert_eq!(
        (report.condemned.len(), report.young.is_empty()),
        (0, false)
    );
    let patient = CollectOptions {
        grace: hour,
        ..AT_ONCE
    };
    let condemned = run(&remote, &clone, &patient, &[]).condemned;
    assert!(!condemned.is_empty());
    let report = run(&remote, &clone, &patient, &[]);
    assert_eq!(
        (report.deleted, report.waiting),
        (vec![], condemned.clone())
    );

    // A pack that does not say what it holds is left alone, condemned or not.
    let key = key_of(condemned[0].id);
    let mut bytes = shared.read(&key);
    let end = bytes.len() - 1;
    bytes[end] ^= 1;
    shared.write(&key, bytes);
    shared.remove(layout::SEGMENTS);
    let report = run(&remote, &clone, &AT_ONCE, &[]);
    assert_eq!(report.stuck, condemned[..1]);
    assert!(report.damaged.iter().any(|(damaged, _)| *damaged == key));
    assert!(shared.keys(layout::PACKS).contains(&key));
}

#[test]
fn a_record_or_a_snapshot_that_cannot_be_read_stops_everything() {
    let shared = Shared::default();
    let remote = shared.remote();
    let mut clone = Clone::new();
    let locks = [sample(&clone)];
    push_each(&mut clone, &remote, &locks);
    let collect = || {
        let all = |_: &Claim| true;
        let interrupt = Interrupt::new();
        let store = &clone.store;
        remote.collect(
            store,
            (&AT_ONCE, 1),
            &all,
            &mut |_| true,
            &Silent,
            &interrupt,
        )
    };
    let snapshot = shared.keys(layout::SNAPSHOTS)[0].clone();
    let good = shared.read(&snapshot);
    shared.write(&snapshot, b"ESKSNAP1".to_vec());
    assert!(collect().is_err());
    shared.write(&snapshot, good);
    shared.write(&layout::log(2), b"ESKLOG01".to_vec());
    assert!(collect().is_err(), "the first record is missing");
    shared.write(&layout::log(1), b"ESKLOG01".to_vec());
    assert!(collect().is_err(), "the first record is damaged");
    assert!(clone.push_as(&remote, &locks[0], 1).is_err());
}

/// Lets requests of several agents through one at a time, in an order that a number decides: the
/// same number, the same order.
#[derive(Default)]
struct Turns {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// What each agent does.
    agents: Vec<Does>,
    chosen: Option<usize>,
    seed: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Does {
    Work,
    Wait,
    Nothing,
}

impl State {
    /// When everybody waits, somebody is chosen.
    fn choose(&mut self) {
        let waiting = |(number, does): (usize, &Does)| (*does == Does::Wait).then_some(number);
        if self.chosen.is_some() || self.agents.contains(&Does::Work) {
            return;
        }
        let waiting: Vec<usize> = self.agents.iter().enumerate().filter_map(waiting).collect();
        if waiting.is_empty() {
            return;
        }
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        self.chosen = Some(waiting[(self.seed >> 8) as usize % waiting.len()]);
    }
}

impl Turns {
    fn new(agents: usize, seed: u64) -> Arc<Self> {
        let state = State {
            agents: vec![Does::Work; agents],
            chosen: None,
            seed: (seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take<T>(&self, agent: usize, request: impl FnOnce() -> T) -> T {
        let mut state = self.state();
        state.agents[agent] = Does::Wait;
        loop {
            state.choose();
            self.changed.notify_all();
            if state.chosen == Some(agent) {
                break;
            }
            state = self.changed.wait(state).unwrap();
        }
        state.chosen = None;
        let answer = request();
        state.agents[agent] = Does::Work;
        answer
    }

    fn leave(&self, agent: usize) {
        let mut state = self.state();
        state.agents[agent] = Does::Nothing;
        state.choose();
        self.changed.notify_all();
    }
}

/// One agent's way to the remote.
#[derive(Clone)]
struct Seat {
    shared: Shared,
    turns: Arc<Turns>,
    agent: usize,
}

impl Seat {
    fn remote(&self) -> Remote {
        Remote {
            address: Address {
                name: "mem".into(),
                url: "memory:".into(),
                ..Address::default()
            },
            transport: Box::new(std::clone::Clone::clone(self)),
        }
    }
}

impl Transport for Seat {
    fn writing(&self) -> Result<Writing> {
        Ok(Writing::Exclusive)
    }
    fn get(&self, key: &str) -> Result<Option<Bytes>> {
        self.turns.take(self.agent, || self.shared.get(key))
    }
    fn stream(&self, key: &str, offset: u64, len: u64, take: &mut Take<'_>) -> Result<bool> {
        self.turns
            .take(self.agent, || self.shared.stream(key, offset, len, take))
    }
    fn put(&self, key: &str, body: &Bytes) -> Result<()> {
        self.turns.take(self.agent, || self.shared.put(key, body))
    }
    fn put_if_absent(&self, key: &str, body: &Bytes) -> Result<bool> {
        self.turns
            .take(self.agent, || self.shared.put_if_absent(key, body))
    }
    fn list(&self, prefix: &str) -> Result<Vec<Listed>> {
        self.turns.take(self.agent, || self.shared.list(prefix))
    }
    fn head(&self, key: &str) -> Result<Option<u64>> {
        self.turns.take(self.agent, || self.shared.head(key))
    }
    fn delete(&self, key: &str) -> Result<()> {
        self.turns.take(self.agent, || self.shared.delete(key))
    }
}

const PUSHERS: usize = 3;
const COLLECTORS: usize = 2;

/// The roots of a lock, and what lies at its paths.
type Promise = (Vec<Root>, BTreeMap<String, Vec<u8>>);

/// What came of one order of requests.
#[derive(Default)]
struct Outcome {
    /// Locks whose push reported success, and that are not given up.
    promised: Vec<Promise>,
    mended: usize,
    deleted: usize,
    moved: usize,
}

/// Three clones push locks that share files, each giving up its older ones, and two collections
/// run again and again beside them.
fn race(seed: u64) -> (Shared, Outcome) {
    let shared = Shared::default();
    let turns = Turns::new(PUSHERS + COLLECTORS, seed);
    let given_up = Mutex::new(BTreeSet::new());
    let outcome = Mutex::new(Outcome::default());
    let seat = |agent| Seat {
        shared: shared.clone(),
        turns: Arc::clone(&turns),
        agent,
    };
    std::thread::scope(|scope| {
        for agent in 0..PUSHERS {
            let (remote, turns) = (seat(agent).remote(), &turns);
            let (given_up, outcome) = (&given_up, &outcome);
            scope.spawn(move || {
                let promised = push_three(&remote, agent as u64, seed, given_up);
                let mut outcome = outcome.lock().unwrap();
                outcome.mended += promised.mended;
                outcome.promised.extend(promised.promised);
                turns.leave(agent);
            });
        }
        for agent in PUSHERS..PUSHERS + COLLECTORS {
            let (remote, turns) = (seat(agent).remote(), &turns);
            let (given_up, outcome) = (&given_up, &outcome);
            scope.spawn(move || {
                let clone = Clone::new();
                for _ in 0..3 {
                    let given_up = given_up.lock().unwrap().clone();
                    let is_unneeded = |claim: &Claim| given_up.contains(&claim.commit[0]);
                    let (store, interrupt) = (&clone.store, Interrupt::new());
                    let mut yes = |_: &Collected| true;
                    let done = remote.collect(
                        store,
                        (&AT_ONCE, 1),
                        &is_unneeded,
                        &mut yes,
                        &Silent,
                        &interrupt,
                    );
                    // With ten collections in each other's way one may give up; it has lost
                    // nothing.
                    let done = done.unwrap_or_default();
                    let mut outcome = outcome.lock().unwrap();
                    outcome.deleted += done.deleted.len();
                    outcome.moved += usize::from(done.rescued > 0);
                }
                turns.leave(agent);
            });
        }
    });
    (shared, outcome.into_inner().unwrap())
}

fn push_three(remote: &Remote, agent: u64, seed: u64, given_up: &Mutex<BTreeSet<u8>>) -> Outcome {
    let mut clone = Clone::new();
    let mut outcome = Outcome::default();
    for turn in 0..3 {
        // Which files depends on all three, so that the pushes share some.
        let files = (0..3).map(|number| {
            let content = (seed.wrapping_mul(31) ^ (agent * 7) ^ (turn * 3)) + number * 2;
            clone.file(&format!("f{number}"), &noise(content % 7, 3_000))
        });
        let roots: Vec<Root> = files.collect();
        let commit = (agent * 3 + turn + 1) as u8;
        clone.project = [commit; 16];
        let older = std::mem::take(&mut outcome.promised);
        given_up.lock().unwrap().extend(
            turn.checked_sub(1)
                .map(|before| (agent * 3 + before + 1) as u8),
        );
        drop(older);
        if let Ok(pushed) = clone.push_as(remote, &roots, commit) {
            outcome.mended += pushed.mended;
            outcome
                .promised
                .push((roots.clone(), clone.contents(&roots)));
        }
    }
    outcome
}

/// How many of the promised locks an empty clone cannot have whole.
fn broken(shared: &Shared, outcome: &Outcome) -> usize {
    let remote = shared.remote();
    let is_broken = |(roots, contents): &&Promise| {
        let empty = Clone::new();
        let fetched = empty.fetch(&remote, roots);
        !fetched.missing.is_empty() || empty.contents(roots) != *contents
    };
    outcome.promised.iter().filter(is_broken).count()
}

#[test]
fn pushes_beside_collections_keep_their_promises_in_many_orders() {
    let (mut mended, mut deleted, mut moved) = (0, 0, 0);
    for seed in 0..60 {
        let (shared, outcome) = race(seed);
        assert_eq!(outcome.promised.len(), PUSHERS, "order {seed}");
        assert_eq!(broken(&shared, &outcome), 0, "order {seed}");
        mended += outcome.mended;
        deleted += outcome.deleted;
        moved += outcome.moved;
    }
    // Else the orders did not reach what is to be shown.
    assert!(
        mended > 5 && deleted > 50 && moved > 5,
        "{mended} {deleted} {moved}"
    );
}
