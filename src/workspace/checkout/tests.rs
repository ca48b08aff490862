use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::fs;
use crate::hash::{BlobId, Digest};
use crate::progress::Silent;
use crate::store;
use crate::tree::Tree;
use crate::workspace::tests::{Sandbox, file, link_to, path, tree};
use crate::workspace::{Error, Index, Park, Result};

/// What the store of a table test has: everything but contents that begin with `unsaved`.
fn saved(id: BlobId) -> bool {
    let unsaved = ["unsaved", "unsaved 2"];
    !unsaved
        .iter()
        .any(|text| BlobId(Digest::of(text.as_bytes())) == id)
}

fn exec(bytes: &str) -> Entry {
    match file(bytes) {
        Entry::File { id, size, .. } => Entry::File {
            id,
            size,
            exec: true,
        },
        other => other,
    }
}

fn decide(
    wanted: &[(&str, Entry)],
    actual: &[(&str, Entry)],
    placed: &[(&str, Entry)],
) -> CheckoutPlan {
    plan(&tree(wanted), &tree(actual), &tree(placed), &saved)
}

/// A plan as one short line a path, sorted.
fn summary(plan: &CheckoutPlan) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(plan.create.iter().map(|(path, _)| format!("create {path}")));
    lines.extend(
        plan.replace
            .iter()
            .map(|(path, _)| format!("replace {path}")),
    );
    lines.extend(plan.remove.iter().map(|path| format!("remove {path}")));
    lines.extend(
        plan.refuse
            .iter()
            .map(|refusal| format!("refuse {}", refusal.path)),
    );
    lines.extend(
        plan.missing
            .iter()
            .map(|(path, _)| format!("missing {path}")),
    );
    lines.extend(plan.left.iter().map(|path| format!("left {path}")));
    lines.sort();
    lines
}

#[test]
fn one_path_is_decided_by_three_sides() {
    let [one, two] = ["one", "two"].map(file);
    let unsaved = || Some(file("unsaved"));
    // wanted, there, placed, plan
    let cases = [
        (Some(one.clone()), Some(one.clone()), None, ""),
        (unsaved(), unsaved(), None, ""),
        (Some(one.clone()), None, None, "create d"),
        (Some(one.clone()), None, Some(two.clone()), "create d"),
        (Some(Entry::EmptyDir), None, None, "create d"),
        (Some(link_to("x")), None, None, "create d"),
        (unsaved(), None, None, "missing d"),
        (Some(one.clone()), Some(two.clone()), None, "replace d"),
        (Some(one.clone()), Some(link_to("x")), None, "replace d"),
        (Some(one.clone()), Some(Entry::EmptyDir), None, "replace d"),
        (Some(Entry::EmptyDir), Some(one.clone()), None, "replace d"),
        (Some(one.clone()), unsaved(), Some(one.clone()), "refuse d"),
        (unsaved(), Some(two.clone()), None, "missing d"),
        (unsaved(), Some(file("unsaved 2")), None, "missing d"),
        (Some(exec("unsaved")), unsaved(), None, "replace d"),
        (None, Some(one.clone()), None, "left d"),
        (None, Some(one.clone()), Some(two), "remove d"),
        (None, unsaved(), Some(one.clone()), "refuse d"),
        (None, Some(Entry::EmptyDir), Some(one.clone()), "remove d"),
        (None, None, Some(one), ""),
    ];
    for (wanted, actual, placed, expected) in cases {
        let case = format!("{wanted:?} {actual:?} {placed:?}");
        let side = |entry: Option<Entry>| entry.map(|entry| ("d", entry));
        let [wanted, actual, placed] =
            [wanted, actual, placed].map(|entry| Vec::from_iter(side(entry)));
        assert_eq!(
            summary(&decide(&wanted, &actual, &placed)).join(" "),
            expected,
            "{case}"
        );
    }
}

/// Paths as words; `!` before one means that its content is not in the store, `/` after one an
/// empty directory.
fn side(text: &str) -> Vec<(&str, Entry)> {
    text.split_whitespace()
        .map(
            |word| match (word.strip_prefix('!'), word.strip_suffix('/')) {
                (Some(path), _) => (path, file("unsaved")),
                (_, Some(path)) => (path, Entry::EmptyDir),
                _ => (word, file(word)),
            },
        )
        .collect()
}

#[test]
fn what_is_in_the_way_goes_or_is_refused() {
    let cases = [
        // wanted, there, placed, plan
        ("d/a", "d", "d", "create d/a, remove d"),
        ("d/a", "!d", "d", "create d/a, refuse d"),
        ("d/a", "d", "", "create d/a, refuse d"),
        ("!d/a", "d", "", "left d, missing d/a"),
        (
            "d",
            "d/a d/b",
            "d/a d/b",
            "create d, remove d/a, remove d/b",
        ),
        ("d", "d/a d/b", "d/a", "create d, refuse d/b, remove d/a"),
        (
            "d",
            "d/a !d/b",
            "d/a d/b",
            "create d, refuse d/b, remove d/a",
        ),
        ("!d", "d/a d/b", "d/a", "left d/b, missing d, remove d/a"),
        ("d", "d/e/", "", "create d, remove d/e"),
        ("d/a", "d/", "", "create d/a"),
        ("d/e/", "d/", "d/", "create d/e"),
        ("d/", "d/a", "", "left d/a"),
        ("d/", "d/a", "d/a", "create d, remove d/a"),
        ("d/", "d/a d/b", "d/a", "create d, left d/b, remove d/a"),
        ("", "d/", "d/a", "remove d"),
        ("", "d/e/", "", "left d/e"),
        (
            "d/a/x",
            "d/a d/a-b",
            "d/a",
            "create d/a/x, left d/a-b, remove d/a",
        ),
    ];
    for (wanted, actual, placed, expected) in cases {
        let plan = decide(&side(wanted), &side(actual), &side(placed));
        let case = format!("{wanted} | {actual} | {placed}");
        assert_eq!(summary(&plan).join(", "), expected, "{case}");
    }
}

impl Sandbox {
    fn plan(&mut self, wanted: &Tree, placed: &Tree) -> CheckoutPlan {
        let actual = self.actual();
        plan(wanted, &actual, placed, &|id| self.store.has(id))
    }

    fn apply(&mut self, plan: &CheckoutPlan, park: Option<&Park>) -> Result<Applied> {
        let root = self.root();
        let (store, interrupt) = (&self.store, &self.interrupt);
        apply(
            plan,
            &root,
            store,
            &mut self.index,
            park,
            &Silent,
            interrupt,
        )
    }

    fn checkout(&mut self, wanted: &[(&str, Entry)], placed: &[(&str, Entry)]) -> Result<Applied> {
        let plan = self.plan(&tree(wanted), &tree(placed));
        self.apply(&plan, None)
    }
}

#[test]
fn files_links_and_directories_come_and_go() {
    let mut sandbox = Sandbox::new();
    for content in ["one", "two", "three"] {
        sandbox.save(content);
    }
    let first = [
        ("d/deep/one", file("one")),
        ("d/empty/e", Entry::EmptyDir),
        ("d/link", link_to("deep/one")),
        ("d/run", exec("two")),
    ];
    let applied = sandbox.checkout(&first, &[]).unwrap();
    let expected = Applied {
        written: 3,
        bytes: 6,
        ..Applied::default()
    };
    assert_eq!(applied, expected);
    assert_eq!(sandbox.actual(), tree(&first));
    assert_eq!(
        summary(&sandbox.plan(&tree(&first), &tree(&first))),
        [""; 0]
    );
    let second = [
        ("d/deep", file("three")),
        ("d/link/now/dir", file("one")),
        ("d/run", file("two")),
    ];
    let applied = sandbox.checkout(&second, &first).unwrap();
    assert_eq!((applied.written, applied.removed), (3, 2));
    assert_eq!(sandbox.actual(), tree(&second));
    assert!(!sandbox.at("d/empty").exists());
    sandbox.checkout(&first, &second).unwrap();
    assert_eq!(sandbox.actual(), tree(&first));
    sandbox.checkout(&[], &first).unwrap();
    assert_eq!(fs::list_dir(&sandbox.root()).unwrap(), [""; 0]);
    assert_eq!(fs::list_dir(&sandbox.repo()).unwrap(), ["project"]);
}

#[test]
fn the_index_knows_what_was_written_if_that_is_much() {
    let mut sandbox = Sandbox::new();
    let id = sandbox.save("one");
    let names: Vec<String> = (0..256).map(|n| format!("d/{n}")).collect();
    let many: Vec<_> = names.iter().map(|name| (&**name, file("one"))).collect();
    sandbox.checkout(&many, &[]).unwrap();
    let stat = fs::metadata(&sandbox.at("d/0")).unwrap().unwrap();
    assert_eq!(sandbox.index.lookup("d/0", &stat), Some(id));
    sandbox.checkout(&[], &many).unwrap();
    assert_eq!(sandbox.index.lookup("d/0", &stat), None);
}

#[test]
fn a_refused_path_stops_all_unless_it_can_be_parked() {
    let mut sandbox = Sandbox::new();
    sandbox.save("one");
    sandbox.write("d/x", "mine");
    sandbox.write("d/y", "mine too");
    let wanted = tree(&[("d/new", file("one")), ("d/x", file("one"))]);
    let placed = tree(&[("d/x", file("old")), ("d/y", file("old"))]);
    let plan = sandbox.plan(&wanted, &placed);
    assert_eq!(summary(&plan), ["create d/new", "refuse d/x", "refuse d/y"]);
    let before = sandbox.actual();
    let error = sandbox.apply(&plan, None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`d/x` holds bytes that are saved nowhere"
    );
    assert_eq!(sandbox.actual(), before);
    let park = sandbox.park();
    let applied = sandbox.apply(&plan, Some(&park)).unwrap();
    assert_eq!(applied.parked, [path("d/x"), path("d/y")]);
    assert_eq!(sandbox.actual(), wanted);
    assert_eq!(fs::read(&park.dir.join("d/x")).unwrap(), b"mine");
    assert_eq!(fs::read(&park.dir.join("d/y")).unwrap(), b"mine too");
}

#[test]
fn what_changed_after_the_plan_is_not_lost() {
    // Whether a file is wanted, what is at `d/x` when the plan is made, what is written then.
    let cases = [
        (true, None, "d/x"),
        (true, None, "d/x/y"),
        (true, Some("two"), "d/x"),
        (false, Some("two"), "d/x"),
        (false, Some("mind"), "d/x"),
    ];
    for (is_wanted, actual, written) in cases {
        let mut sandbox = Sandbox::new();
        sandbox.save("one");
        sandbox.save("two");
        sandbox.save("mind");
        if let Some(content) = actual {
            sandbox.write("d/x", content);
        }
        let wanted = [("d/x", file("one"))];
        let wanted = tree(if is_wanted { &wanted } else { &[] });
        let plan = sandbox.plan(&wanted, &tree(&[("d/x", file("two"))]));
        sandbox.write(written, "mine");
        let before = sandbox.actual();
        let error = sandbox.apply(&plan, None).unwrap_err();
        assert!(
            matches!(error, Error::Unsaved(_) | Error::Occupied(_)),
            "{error}"
        );
        assert_eq!(sandbox.actual(), before);
    }
}

#[test]
fn ignored_files_in_the_way_stop_it_or_are_parked() {
    let mut sandbox = Sandbox::new();
    sandbox.save("one");
    sandbox.write("d/x/ignored", "mine");
    sandbox.write(".eskerignore", "ignored\n");
    let wanted = tree(&[("d/x", file("one"))]);
    let plan = sandbox.plan(&wanted, &Tree::default());
    assert_eq!(summary(&plan), ["create d/x"]);
    assert!(matches!(
        sandbox.apply(&plan, None),
        Err(Error::Occupied(_))
    ));
    assert_eq!(fs::read(&sandbox.at("d/x/ignored")).unwrap(), b"mine");
    let park = sandbox.park();
    sandbox.apply(&plan, Some(&park)).unwrap();
    assert_eq!(fs::read(&park.dir.join("d/x/ignored")).unwrap(), b"mine");
    assert_eq!(sandbox.actual(), wanted);
}

#[test]
fn nothing_is_written_or_removed_through_a_link() {
    let mut sandbox = Sandbox::new();
    sandbox.save("one");
    let outside = sandbox.repo().join("outside");
    fs::create_dir_all(&outside).unwrap();
    fs::write_new(&outside.join("x"), b"one").unwrap();
    fs::symlink(&outside, &sandbox.at("d")).unwrap();
    let created = CheckoutPlan {
        create: vec![(path("d/new"), file("one"))],
        ..CheckoutPlan::default()
    };
    let removed = CheckoutPlan {
        remove: vec![path("d/x")],
        ..CheckoutPlan::default()
    };
    let linked = CheckoutPlan {
        create: vec![(path("d/l"), link_to("x")), (path("d/e"), Entry::EmptyDir)],
        ..CheckoutPlan::default()
    };
    for plan in [created, removed, linked] {
        let result = sandbox.apply(&plan, None);
        assert!(matches!(result, Err(Error::LinkedParent(_))), "{result:?}");
    }
    assert_eq!(fs::list_dir(&outside).unwrap(), ["x"]);
}

#[test]
fn a_link_out_of_the_project_is_not_written() {
    let mut sandbox = Sandbox::new();
    for target in ["/etc/passwd", "../../x"] {
        let result = sandbox.checkout(&[("d/l", link_to(target))], &[]);
        assert!(
            matches!(result, Err(Error::LinkOutside { .. })),
            "{result:?}"
        );
    }
    assert!(sandbox.actual().is_empty());
}

#[test]
fn a_corrupt_object_is_never_put_in_place() {
    let mut sandbox = Sandbox::new();
    sandbox.save("two");
    let id = sandbox.save("one").0.to_hex();
    sandbox.store.settle().unwrap();
    let object = sandbox
        .parks()
        .with_file_name("store/objects")
        .join(&id[..2])
        .join(&id[2..]);
    fs::replace(&object, b"bad").unwrap();
    sandbox.write("d/x", "two");
    let wanted = [("d/x", file("one"))];
    // A reflink is taken without reading; only a real copy is checked.
    match sandbox.checkout(&wanted, &[]) {
        Err(Error::Store(store::Error::Corrupt { .. })) => {
            assert_eq!(fs::read(&sandbox.at("d/x")).unwrap(), b"two");
            assert_eq!(fs::list_dir(&sandbox.at("d")).unwrap(), ["x"]);
        }
        result => assert_eq!(fs::read(&sandbox.at("d/x")).unwrap(), b"bad", "{result:?}"),
    }
}

#[test]
fn an_interrupted_checkout_can_be_finished() {
    let mut sandbox = Sandbox::new();
    sandbox.save("one");
    let wanted = [("d/link", link_to("x")), ("d/x", file("one"))];
    sandbox.interrupt.request();
    let plan = plan(&tree(&wanted), &Tree::default(), &Tree::default(), &|_| {
        true
    });
    assert!(matches!(
        sandbox.apply(&plan, None),
        Err(Error::Interrupted)
    ));
    sandbox.interrupt = crate::progress::Interrupt::new();
    assert!(
        sandbox
            .actual()
            .iter()
            .all(|(_, entry)| *entry == Entry::EmptyDir)
    );
    sandbox.checkout(&wanted, &[]).unwrap();
    assert_eq!(sandbox.actual(), tree(&wanted));
}

#[test]
fn many_files_in_many_directories_come_and_go() {
    let mut sandbox = Sandbox::new();
    let names: Vec<String> = (0..900)
        .map(|number| match number % 3 {
            0 => format!("d/sub{}/{number}", number % 30),
            _ => format!("d/flat/{number}"),
        })
        .collect();
    let wanted: Vec<(&str, Entry)> = names.iter().map(|name| (&**name, file(name))).collect();
    for name in &names {
        sandbox.save(name);
    }
    let applied = sandbox.checkout(&wanted, &[]).unwrap();
    assert_eq!((applied.written, applied.removed), (900, 0));
    assert_eq!(sandbox.actual(), tree(&wanted));
    sandbox.index = Index::default();
    assert_eq!(sandbox.actual(), tree(&wanted));
    let applied = sandbox.checkout(&[], &wanted).unwrap();
    assert_eq!((applied.written, applied.removed), (0, 900));
    assert!(!sandbox.at("d").exists());
}

/// One side of the model: what lies at some paths.
type Model = BTreeMap<&'static str, Thing>;

#[derive(Clone, Copy, Debug)]
enum Thing {
    File(u8, bool),
    Link,
    Dir,
}

const PATHS: [&str; 9] = [
    "d", "d/a", "d/a-b", "d/a/x", "d/a/x/y", "d/b", "d/b/x", "d/b/z", "d/c",
];

fn content(number: u8) -> String {
    format!("content {number}")
}

fn thing() -> impl Strategy<Value = Thing> {
    prop_oneof![
        6 => (0..6_u8, any::<bool>()).prop_map(|(number, exec)| Thing::File(number, exec)),
        1 => Just(Thing::Link),
        2 => Just(Thing::Dir),
    ]
}

/// Things at paths none of which is a directory of another.
fn model() -> impl Strategy<Value = Model> {
    let things = proptest::collection::vec((0..PATHS.len(), thing()), 0..7);
    things.prop_map(|things| {
        let mut model = Model::new();
        for (at, thing) in things {
            let free = |other: &&str| !path(other).overlaps(&path(PATHS[at]));
            // A scan does not take a link in the place of a whole directory.
            let scanned = at > 0 || !matches!(thing, Thing::Link);
            if scanned && model.keys().all(free) {
                model.insert(PATHS[at], thing);
            }
        }
        model
    })
}

fn entries(model: &Model) -> Vec<(&'static str, Entry)> {
    let entry = |thing: &Thing| match *thing {
        Thing::File(number, false) => file(content(number)),
        Thing::File(number, true) => exec(&content(number)),
        Thing::Link => link_to("anything"),
        Thing::Dir => Entry::EmptyDir,
    };
    model
        .iter()
        .map(|(path, thing)| (*path, entry(thing)))
        .collect()
}

fn put_on_disk(sandbox: &Sandbox, model: &Model) {
    for (name, thing) in model {
        match thing {
            Thing::File(number, exec) => {
                sandbox.write(name, content(*number));
                fs::set_executable(&sandbox.at(name), *exec).unwrap();
            }
            Thing::Link => {
                fs::create_dir_all(sandbox.at(name).parent().unwrap()).unwrap();
                sandbox.link(name, "anything");
            }
            Thing::Dir => fs::create_dir_all(&sandbox.at(name)).unwrap(),
        }
    }
}

/// The contents of all files below a directory.
fn contents(dir: &Path, found: &mut BTreeSet<Vec<u8>>) {
    for name in fs::list_dir(dir).unwrap_or_default() {
        let at = dir.join(name);
        let stat = fs::metadata(&at).unwrap().unwrap();
        if stat.is_dir() {
            contents(&at, found);
        } else if stat.is_file() {
            found.insert(fs::read(&at).unwrap());
        }
    }
}

fn all_contents(sandbox: &Sandbox) -> BTreeSet<Vec<u8>> {
    let mut found = BTreeSet::new();
    let dirs = [
        sandbox.root(),
        sandbox.parks(),
        sandbox.parks().with_file_name("store"),
    ];
    for dir in dirs {
        contents(&dir, &mut found);
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn no_byte_is_lost_and_what_is_wanted_is_there(
        wanted in model(),
        actual in model(),
        placed in model(),
        stored: [bool; 6],
        force: bool,
    ) {
        let mut sandbox = Sandbox::new();
        // One that remembers nothing is never waited for.
        sandbox.index = Index::default();
        for number in (0..6).filter(|number| stored[usize::from(*number)]) {
            sandbox.save(content(number));
        }
        put_on_disk(&sandbox, &actual);
        let (wanted, placed) = (tree(&entries(&wanted)), tree(&entries(&placed)));
        let before = sandbox.actual();
        prop_assert_eq!(&before, &tree(&entries(&actual)));
        let bytes_before = all_contents(&sandbox);
        let plan = sandbox.plan(&wanted, &placed);
        let park = sandbox.park();
        let result = sandbox.apply(&plan, force.then_some(&park));
        let after = sandbox.actual();
        prop_assert!(all_contents(&sandbox).is_superset(&bytes_before));
        if !force && !plan.refuse.is_empty() {
            prop_assert!(matches!(result, Err(Error::Unsaved(_))), "{:?}", result);
            prop_assert_eq!(after, before);
            return Ok(());
        }
        prop_assert!(result.is_ok(), "{:?} {:?}", result, plan);
        let parked: Vec<_> = plan.refuse.iter().map(|refusal| refusal.path.clone()).collect();
        prop_assert_eq!(result.unwrap().parked, parked);
        for (path, entry) in wanted.iter() {
            let missing = plan.missing.iter().any(|(other, _)| other == path);
            let full = *entry == Entry::EmptyDir && sandbox.at(path.as_str()).is_dir();
            prop_assert!(missing || full || after.get(path) == Some(entry), "{:?} {:?}", path, plan);
        }
        for path in &plan.left {
            prop_assert_eq!(after.get(path), before.get(path));
        }
        // Done once is done: only what was left or could not be had is still told of.
        let again = sandbox.plan(&wanted, &wanted);
        prop_assert!(again.create.is_empty() && again.replace.is_empty(), "{:?}", again);
        prop_assert!(again.remove.is_empty() && again.refuse.is_empty(), "{:?}", again);
    }
}
