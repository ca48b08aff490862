//! The protocol of push and collection as small state machines, checked in every order of their
//! requests. Each agent may sleep for ever or die at any step: that is an order in which it does
//! not act again. What is checked in every state that can be reached: whatever a push has
//! reported as done can be read.
//!
//! The store is linearizable, a request is one step, and what a snapshot reaches is a set of ids:
//! trees and recipes only say which. `docs/design/0006-garbage-collection.md` tells the protocol;
//! each of its rules is broken here once, and the check must then find a loss.

use std::collections::{HashSet, VecDeque};

/// A set of ids, packs or snapshots, by number.
type Set = u16;

const fn only(number: usize) -> Set {
    1 << number
}

fn numbers(set: Set) -> impl Iterator<Item = usize> {
    (0..16).filter(move |number| set & only(*number) != 0)
}

/// What may be wrong with the protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rule {
    /// Nothing is.
    Whole,
    /// A push reports success without a last look at the log.
    NoValidation,
    /// A condemned pack that turns out to be needed is taken back instead of copied.
    TakeBack,
    /// A pack is deleted before the record that says where its content is.
    DeleteFirst,
    /// A collection lists the snapshots before it reads the log.
    ListFirst,
    /// A drop takes all snapshots of the same roots.
    DropRoots,
    /// What is condemned is deleted by the same look at the snapshots.
    AtOnce,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Record {
    Condemn(Set),
    /// Condemned, and what is needed of it lies in these.
    Move(usize, Set),
    TakeBack(usize),
    Drop(Set),
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Snapshot {
    ids: Set,
    packs: Set,
    /// Whether its push has reported success.
    promised: bool,
}

#[derive(Clone, PartialEq, Eq, Hash, Default)]
struct Store {
    /// The ids in each pack that was ever there.
    packs: Vec<Set>,
    /// Those that are there.
    there: Set,
    snapshots: Vec<Snapshot>,
    log: Vec<Record>,
}

impl Store {
    fn put(&mut self, ids: Set) -> usize {
        self.packs.push(ids);
        let pack = self.packs.len() - 1;
        self.there |= only(pack);
        pack
    }

    /// The ids that some packs hold.
    fn ids(&self, packs: Set) -> Set {
        numbers(packs).fold(0, |ids, pack| ids | self.packs[pack])
    }

    /// Appends only if nobody has since `read` records.
    fn append(&mut self, read: usize, record: Record) -> bool {
        let alone = self.log.len() == read;
        if alone {
            self.log.push(record);
        }
        alone
    }

    fn condemned(&self, read: usize) -> Set {
        self.log[..read]
            .iter()
            .fold(0, |condemned, record| match record {
                Record::Condemn(packs) => condemned | packs,
                Record::Move(pack, _) => condemned | only(*pack),
                Record::TakeBack(pack) => condemned & !only(*pack),
                Record::Drop(_) => condemned,
            })
    }

    fn dropped(&self, read: usize, rule: Rule) -> Set {
        let named = self.log[..read]
            .iter()
            .fold(0, |dropped, record| match record {
                Record::Drop(snapshots) => dropped | snapshots,
                _ => dropped,
            });
        if rule != Rule::DropRoots {
            return named;
        }
        let same = |one: usize| {
            numbers(named).any(|other| self.snapshots[one].ids == self.snapshots[other].ids)
        };
        (0..self.snapshots.len())
            .filter(|number| same(*number))
            .fold(0, |set, number| set | only(number))
    }

    /// What whoever holds a lock finds: the packs of its snapshot, and from those that are gone
    /// on to where the log says that their content went.
    fn readable(&self, snapshot: &Snapshot) -> Set {
        let mut seen = snapshot.packs;
        loop {
            let next = self.log.iter().fold(seen, |seen, record| match record {
                Record::Move(pack, targets) if seen & only(*pack) != 0 => seen | targets,
                _ => seen,
            });
            if next == seen {
                return self.ids(seen & self.there);
            }
            seen = next;
        }
    }

    /// Only drops that name a snapshot release it from its promise.
    fn keeps_its_promises(&self) -> bool {
        let dropped = self.dropped(self.log.len(), Rule::Whole);
        let mut kept = self.snapshots.iter().enumerate();
        kept.all(|(number, snapshot)| {
            let bound = snapshot.promised && dropped & only(number) == 0;
            !bound || snapshot.ids & !self.readable(snapshot) == 0
        })
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Push {
    ReadLog,
    List { read: usize },
    Send { read: usize, held: Set },
    Publish { read: usize, packs: Set },
    Validate { snapshot: usize },
    Over,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Pusher {
    ids: Set,
    /// Those that it can send itself; the others it knows from elsewhere.
    local: Set,
    rounds: u8,
    at: Push,
}

impl Pusher {
    fn new(ids: Set, local: Set) -> Self {
        Self {
            ids,
            local,
            rounds: 3,
            at: Push::ReadLog,
        }
    }

    fn step(&mut self, store: &mut Store, rule: Rule) {
        self.at = match self.at.clone() {
            Push::ReadLog => Push::List {
                read: store.log.len(),
            },
            Push::List { read } => {
                let held = store.there & !store.condemned(read);
                Push::Send { read, held }
            }
            Push::Send { read, held } => self.send(store, read, held),
            Push::Publish { read: _, packs } => {
                let ids = self.ids;
                let promised = rule == Rule::NoValidation;
                store.snapshots.push(Snapshot {
                    ids,
                    packs,
                    promised,
                });
                let snapshot = store.snapshots.len() - 1;
                if promised {
                    Push::Over
                } else {
                    Push::Validate { snapshot }
                }
            }
            Push::Validate { snapshot } => self.validate(store, snapshot),
            Push::Over => Push::Over,
        };
    }

    /// Sends what no live pack holds: from its own store, else out of a condemned pack that can
    /// still be read.
    fn send(&self, store: &mut Store, read: usize, held: Set) -> Push {
        let lacking = self.ids & !store.ids(held);
        let readable = store.ids(store.there) | self.local;
        if lacking & !readable != 0 {
            // Not there (any more): a push that fails promises nothing.
            return Push::Over;
        }
        let mut packs = 0;
        for id in numbers(self.ids & !lacking) {
            let holder = numbers(held).find(|pack| store.packs[*pack] & only(id) != 0);
            packs |= holder.map_or(0, only);
        }
        if lacking != 0 {
            packs |= only(store.put(lacking));
        }
        Push::Publish { read, packs }
    }

    fn validate(&mut self, store: &mut Store, snapshot: usize) -> Push {
        let read = store.log.len();
        if store.snapshots[snapshot].packs & store.condemned(read) == 0 {
            store.snapshots[snapshot].promised = true;
            return Push::Over;
        }
        if self.rounds == 0 {
            return Push::Over;
        }
        self.rounds -= 1;
        Push::List { read }
    }
}

/// What a collection has seen, and what it still has to sweep.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Look {
    read: usize,
    live: Set,
    there: Set,
    todo: Set,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Collect {
    Begin,
    /// The log is read.
    ListSnapshots(usize),
    /// The snapshots are listed, and the log is not read: only if the rule is broken.
    ReadLog(Set),
    ListPacks(usize, Set),
    Sweep(Look),
    /// What is needed of a condemned pack lies in these.
    Forward(Look, usize, Set),
    Delete(Look, usize),
    Condemn(Look),
    Over,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Collector {
    runs: u8,
    at: Collect,
}

impl Collector {
    fn new(runs: u8) -> Self {
        Self {
            runs,
            at: Collect::Begin,
        }
    }

    fn step(&mut self, store: &mut Store, rule: Rule) {
        self.at = match self.at.clone() {
            Collect::Begin => self.begin(store, rule),
            Collect::ListSnapshots(read) => Collect::ListPacks(read, live(store, read, rule)),
            Collect::ReadLog(live) => Collect::ListPacks(store.log.len(), live),
            Collect::ListPacks(read, live) => {
                let there = store.there;
                let todo = there & store.condemned(read);
                Collect::Sweep(Look {
                    read,
                    live,
                    there,
                    todo,
                })
            }
            Collect::Sweep(look) => sweep(store, rule, look),
            Collect::Forward(look, pack, targets) => forward(store, rule, look, pack, targets),
            Collect::Delete(look, pack) => {
                store.there &= !only(pack);
                Collect::Sweep(look)
            }
            Collect::Condemn(look) => condemn(store, rule, look),
            Collect::Over => Collect::Over,
        };
    }

    fn begin(&mut self, store: &Store, rule: Rule) -> Collect {
        if self.runs == 0 {
            return Collect::Over;
        }
        self.runs -= 1;
        let read = store.log.len();
        match rule {
            Rule::ListFirst => Collect::ReadLog(live(store, read, rule)),
            _ => Collect::ListSnapshots(read),
        }
    }
}

/// Takes the next condemned pack: brings what is needed of it into one that is not, and finds out
/// where all of it lies then.
fn sweep(store: &mut Store, rule: Rule, mut look: Look) -> Collect {
    let Some(pack) = numbers(look.todo).next() else {
        return Collect::Condemn(look);
    };
    look.todo &= !only(pack);
    let needed = store.packs[pack] & look.live;
    if needed == 0 {
        return Collect::Delete(look, pack);
    }
    if rule == Rule::TakeBack {
        let taken = store.append(look.read, Record::TakeBack(pack));
        look.read += 1;
        return match taken {
            true => Collect::Sweep(look),
            false => Collect::Begin,
        };
    }
    let good = look.there & !store.condemned(look.read) & !only(pack);
    let mut targets = 0;
    for id in numbers(needed & store.ids(good)) {
        let holder = numbers(good).find(|pack| store.packs[*pack] & only(id) != 0);
        targets |= holder.map_or(0, only);
    }
    let lacking = needed & !store.ids(good);
    if lacking != 0 && store.there & only(pack) == 0 {
        // Another collection was faster.
        return Collect::Begin;
    }
    if lacking != 0 {
        targets |= only(store.put(lacking));
    }
    if rule == Rule::DeleteFirst {
        store.there &= !only(pack);
    }
    Collect::Forward(look, pack, targets)
}

fn forward(store: &mut Store, rule: Rule, mut look: Look, pack: usize, targets: Set) -> Collect {
    if !store.append(look.read, Record::Move(pack, targets)) {
        return Collect::Begin;
    }
    look.read += 1;
    match rule {
        Rule::DeleteFirst => Collect::Sweep(look),
        _ => Collect::Delete(look, pack),
    }
}

fn condemn(store: &mut Store, rule: Rule, mut look: Look) -> Collect {
    let unneeded = numbers(look.there & !store.condemned(look.read))
        .filter(|pack| store.packs[*pack] & look.live == 0)
        .fold(0, |set, pack| set | only(pack));
    let condemned = unneeded != 0 && store.append(look.read, Record::Condemn(unneeded));
    if condemned && rule == Rule::AtOnce {
        look.read += 1;
        look.todo = unneeded;
        return Collect::Sweep(look);
    }
    Collect::Begin
}

/// The ids that snapshots need which the log has not dropped.
fn live(store: &Store, read: usize, rule: Rule) -> Set {
    let dropped = store.dropped(read, rule);
    let kept = (0..store.snapshots.len()).filter(|number| dropped & only(*number) == 0);
    kept.fold(0, |ids, number| ids | store.snapshots[number].ids)
}

/// Drops one snapshot that git no longer knows.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Dropper {
    snapshot: usize,
    read: Option<usize>,
    over: bool,
}

impl Dropper {
    fn new(snapshot: usize) -> Self {
        Self {
            snapshot,
            read: None,
            over: false,
        }
    }

    fn step(&mut self, store: &mut Store) {
        match self.read {
            _ if self.over => {}
            None => self.read = Some(store.log.len()),
            Some(read) => {
                self.over = store.append(read, Record::Drop(only(self.snapshot)));
                self.read = None;
            }
        }
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct World {
    store: Store,
    pushers: Vec<Pusher>,
    collectors: Vec<Collector>,
    droppers: Vec<Dropper>,
}

impl World {
    /// What each agent's next step makes of it.
    fn next(&self, rule: Rule) -> Vec<Self> {
        let mut worlds = Vec::new();
        for number in 0..self.pushers.len() {
            let mut world = self.clone();
            world.pushers[number].step(&mut world.store, rule);
            worlds.push(world);
        }
        for number in 0..self.collectors.len() {
            let mut world = self.clone();
            world.collectors[number].step(&mut world.store, rule);
            worlds.push(world);
        }
        for number in 0..self.droppers.len() {
            let mut world = self.clone();
            world.droppers[number].step(&mut world.store);
            worlds.push(world);
        }
        worlds
    }
}

/// What the search found.
struct Checked {
    states: usize,
    lost: bool,
    /// Whether some push had to validate again, some pack was forwarded, and one was deleted.
    validated_again: bool,
    forwarded: bool,
    deleted: bool,
}

/// Looks at every state that can be reached, until one breaks a promise.
fn check(world: World, rule: Rule) -> Checked {
    let mut checked = Checked {
        states: 0,
        lost: false,
        validated_again: false,
        forwarded: false,
        deleted: false,
    };
    let mut seen = HashSet::new();
    let mut todo = VecDeque::from([world.clone()]);
    seen.insert(world);
    while let Some(world) = todo.pop_front() {
        checked.states += 1;
        let store = &world.store;
        checked.validated_again |= world.pushers.iter().any(|pusher| pusher.rounds < 3);
        checked.forwarded |= store
            .log
            .iter()
            .any(|record| matches!(record, Record::Move(..)));
        checked.deleted |= store.there.count_ones() < store.packs.len() as u32;
        if !store.keeps_its_promises() {
            checked.lost = true;
            return checked;
        }
        for next in world.next(rule) {
            // Only those that differ: an agent at its end changes nothing.
            if !seen.contains(&next) {
                seen.insert(next.clone());
                todo.push_back(next);
            }
        }
    }
    checked
}

const X: Set = only(0);
const Y: Set = only(1);

/// A pack that an old snapshot needs, and one that a push left which died.
fn store() -> Store {
    let mut store = Store::default();
    let needed = store.put(X);
    store.put(Y);
    store.snapshots.push(Snapshot {
        ids: X,
        packs: only(needed),
        promised: true,
    });
    store
}

fn world(pushers: &[Pusher], runs: &[u8], drops: bool) -> World {
    World {
        store: store(),
        pushers: pushers.to_vec(),
        collectors: runs.iter().map(|runs| Collector::new(*runs)).collect(),
        droppers: if drops {
            vec![Dropper::new(0)]
        } else {
            Vec::new()
        },
    }
}

#[test]
fn a_push_beside_two_collections_keeps_its_promise() {
    for local in [Y, 0] {
        let checked = check(world(&[Pusher::new(Y, local)], &[2, 1], false), Rule::Whole);
        assert!(!checked.lost, "lost with {local} at hand");
        assert!(checked.forwarded && checked.deleted && checked.validated_again);
        assert!(checked.states > 1_000, "{} states", checked.states);
    }
}

#[test]
fn a_push_beside_a_collection_and_a_drop_keeps_its_promise() {
    for local in [X | Y, Y, 0] {
        let checked = check(world(&[Pusher::new(X | Y, local)], &[2], true), Rule::Whole);
        assert!(!checked.lost, "lost with {local} at hand");
        assert!(checked.forwarded && checked.deleted && checked.validated_again);
    }
}

#[test]
fn two_pushes_beside_a_collection_keep_their_promises() {
    let pushers = [Pusher::new(X | Y, X | Y), Pusher::new(Y, 0)];
    let checked = check(world(&pushers, &[2], false), Rule::Whole);
    assert!(!checked.lost);
    assert!(checked.deleted && checked.validated_again);
}

/// The larger worlds, for a machine with some minutes and some GiB.
#[test]
#[ignore = "millions of states, for some minutes: run it by name with --run-ignored all"]
fn more_of_all_of_them_keep_their_promises() {
    let one = [Pusher::new(X | Y, Y)];
    let two = [Pusher::new(X | Y, X | Y), Pusher::new(X | Y, Y)];
    for (pushers, runs, drops) in [(&one[..], [2, 2], true), (&two[..], [2, 1], true)] {
        let checked = check(world(pushers, &runs, drops), Rule::Whole);
        assert!(!checked.lost);
        assert!(checked.states > 100_000, "{} states", checked.states);
    }
}

#[test]
fn without_any_one_of_its_rules_the_protocol_loses_data() {
    let cases: [(Rule, Set, &[u8], bool); 6] = [
        (Rule::NoValidation, Y, &[2], false),
        (Rule::TakeBack, Y, &[2, 2], false),
        (Rule::DeleteFirst, Y, &[2], false),
        (Rule::ListFirst, Y, &[1, 1], false),
        (Rule::DropRoots, X, &[2], true),
        (Rule::AtOnce, Y, &[1], false),
    ];
    for (rule, ids, runs, drops) in cases {
        let world = world(&[Pusher::new(ids, ids)], runs, drops);
        let whole = check(world.clone(), Rule::Whole);
        assert!(!whole.lost, "{rule:?} is not what loses");
        let found = check(world, rule);
        assert!(
            found.lost,
            "{rule:?} was not found in {} states",
            found.states
        );
    }
}
