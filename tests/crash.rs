//! Promise 1 under kill -9, a failing and a full disk: every verb that writes is stopped at each
//! step that changes the disk, and must leave the old state or the new one, and go on from there.
//!
//! A step is counted by `src/fs/fail.rs`, which the feature `failpoints` puts in.

use std::collections::BTreeMap;

use crate::common::Sandbox;

/// How a step fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// As with `kill -9`.
    Abort,
    /// One error of the disk.
    Error,
    /// The disk is full from this step on.
    Enospc,
}

/// A command on a prepared sandbox.
struct Scenario {
    before: Sandbox,
    line: &'static str,
    /// Whether all that is recorded is in the store before and after.
    complete: bool,
    /// Whether the store may put what it holds elsewhere; all of it must be recorded then, so that
    /// `fsck` misses what is gone.
    repacks: bool,
    /// Only every so many steps are tried.
    every: u64,
    /// What else must hold when it has gone through at last.
    finally: fn(&Sandbox),
}

/// What the command does when nobody disturbs it.
struct Undisturbed {
    lock: Option<Vec<u8>>,
    files: BTreeMap<String, (Vec<u8>, bool)>,
    steps: u64,
}

impl Scenario {
    fn new(mut before: Sandbox, line: &'static str) -> Self {
        // One thread, so that the n-th step is the same in every run.
        before.set("RAYON_NUM_THREADS", "1");
        Self {
            before,
            line,
            complete: true,
            repacks: false,
            every: 1,
            finally: |_| {},
        }
    }

    /// Fails at each step in turn: as `kill -9` at all of them, in the other ways at every
    /// `stride`-th.
    fn stop_at_each_step(&self, stride: u64) {
        let wanted = self.undisturbed();
        assert!(wanted.steps > 5, "only {} steps", wanted.steps);
        for how in [How::Abort, How::Error, How::Enospc] {
            let every = if how == How::Abort { 1 } else { stride };
            // The file system's clock makes a few steps more or less; all of them must be hit.
            let mut at = 1;
            while self.stop_at(at, how, &wanted) {
                at += every * self.every;
            }
            assert!(
                at + 10 * self.every > wanted.steps,
                "{how:?} stopped early, at {at}"
            );
        }
    }

    fn undisturbed(&self) -> Undisturbed {
        let sandbox = self.before.copy();
        let count = sandbox.root().join("steps");
        let env = [("ESKER_FAIL_COUNT", count.to_str().unwrap())];
        let output = sandbox.esker_with(self.line, &env);
        assert_eq!(output.code, 0, "{output}");
        (self.finally)(&sandbox);
        Undisturbed {
            lock: std::fs::read(sandbox.path("esker.lock")).ok(),
            files: sandbox.workspace(),
            steps: std::fs::read_to_string(count).unwrap().parse().unwrap(),
        }
    }

    /// Whether there was such a step at all.
    fn stop_at(&self, at: u64, how: How, wanted: &Undisturbed) -> bool {
        let sandbox = self.before.copy();
        let count = sandbox.root().join("steps");
        let env = [
            ("ESKER_FAIL_AT", at.to_string()),
            ("ESKER_FAIL_HOW", format!("{how:?}").to_lowercase()),
            ("ESKER_FAIL_COUNT", count.to_str().unwrap().to_owned()),
        ];
        let env: Vec<(&str, &str)> = env
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let output = sandbox.esker_with(self.line, &env);
        let steps = std::fs::read_to_string(count).ok();
        if steps.is_some_and(|steps| steps.parse::<u64>().unwrap() < at) {
            assert_eq!(output.code, 0, "{output}");
            return false;
        }
        let what = format!("`esker {}`, {how:?} at step {at}\n{output}", self.line);
        match how {
            How::Abort => assert_eq!(output.code, -1, "{what}"),
            How::Error | How::Enospc => {
                assert!([0, 1, 2, 3, 4].contains(&output.code), "{what}");
            }
        }
        if how == How::Enospc && output.code == 2 {
            assert!(output.stderr.contains("E0902"), "{what}");
        }
        if output.code == 0 {
            // What failed may be left out only if nobody misses it.
            assert_eq!(sandbox.workspace(), wanted.files, "{what}");
        }
        self.check(&sandbox, wanted, &what);
        true
    }

    fn check(&self, sandbox: &Sandbox, wanted: &Undisturbed, what: &str) {
        let lock = std::fs::read(sandbox.path("esker.lock")).ok();
        let old = std::fs::read(self.before.path("esker.lock")).ok();
        assert!(lock == old || lock == wanted.lock, "torn lock: {what}");
        let held = sandbox.held();
        let owed = owed(&self.before).into_iter();
        for (place, bytes) in owed.filter(|(place, _)| !self.repacks || !place.starts_with("store"))
        {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            assert!(held.contains(&bytes), "lost {place} ({text}): {what}");
        }
        let status = sandbox.esker("status");
        assert_eq!(status.code, 0, "{status}{what}");
        self.check_store(sandbox, what);
        let again = sandbox.esker(self.line);
        assert_eq!(again.code, 0, "again: {again}{what}");
        let files = sandbox.workspace();
        assert_eq!(files, wanted.files, "again: {again}{what}");
        self.check_store(sandbox, what);
        (self.finally)(sandbox);
    }

    fn check_store(&self, sandbox: &Sandbox, what: &str) {
        let report = sandbox.json("fsck --data");
        assert_eq!(report["damaged"], 0, "{report}\n{what}");
        if self.complete {
            assert_eq!(report["missing"], 0, "{report}\n{what}");
        }
    }
}

/// All byte strings of before that are the user's, not esker's own notes.
fn owed(before: &Sandbox) -> Vec<(String, Vec<u8>)> {
    let own = ["esker.lock", ".gitignore"];
    let data = before.workspace().into_iter();
    let data = data.filter(|(name, _)| !own.contains(&name.as_str()));
    let kept = before.local().into_iter().filter(|(name, _)| {
        name.starts_with("store/objects")
            || name.starts_with("store/packs")
            || name.contains("/park/")
    });
    let all = data.chain(kept);
    all.map(|(name, (bytes, _))| (name, bytes)).collect()
}

/// A tracked directory with two commits of it, the second in the workspace.
fn two_commits() -> Sandbox {
    let sandbox = Sandbox::project();
    sandbox.write("data/keep", "keep");
    sandbox.write("data/replace", "old");
    sandbox.write("data/sub/remove", "remove");
    sandbox.ok("add data");
    sandbox.commit("One");
    sandbox.git("tag one");
    sandbox.write("data/replace", "new");
    sandbox.remove("data/sub");
    sandbox.write("data/create", "create");
    sandbox.ok("add data");
    sandbox.commit("Two");
    sandbox
}

fn add_new_file() -> Scenario {
    let sandbox = Sandbox::project();
    sandbox.write("one", "one");
    sandbox.ok("add one");
    sandbox.write("two", "two");
    Scenario::new(sandbox, "add two")
}

fn add_large_file() -> Scenario {
    let sandbox = Sandbox::project();
    // More than passes through memory.
    sandbox.write("large", vec![b'x'; 300_000]);
    Scenario::new(sandbox, "add large")
}

fn add_changed_directory() -> Scenario {
    let sandbox = two_commits();
    sandbox.write("data/replace", "newer");
    sandbox.remove("data/keep");
    sandbox.write("data/deep/er", "deeper");
    sandbox.sh("ln -s replace data/link && mkdir data/empty");
    Scenario::new(sandbox, "add data")
}

fn add_inside_a_directory() -> Scenario {
    let sandbox = two_commits();
    sandbox.write("data/sub/inside", "inside");
    sandbox.remove("data/create");
    Scenario::new(sandbox, "add data/sub")
}

fn checkout_another_commit() -> Scenario {
    let sandbox = two_commits();
    sandbox.git("checkout --quiet one");
    Scenario::new(sandbox, "checkout")
}

fn checkout_by_force() -> Scenario {
    let sandbox = two_commits();
    sandbox.write("data/replace", "saved nowhere");
    sandbox.write("data/create", "saved nowhere either");
    sandbox.write("data/mine", "mine");
    sandbox.git("checkout --quiet one");
    Scenario::new(sandbox, "checkout --force")
}

fn checkout_directory_for_file() -> Scenario {
    let sandbox = Sandbox::project();
    sandbox.write("data/x/deep", "directory");
    sandbox.write("data/y", "file");
    sandbox.ok("add data");
    sandbox.commit("One");
    sandbox.git("tag one");
    sandbox.remove("data");
    sandbox.write("data/x", "file instead");
    sandbox.write("data/y/deep", "directory instead");
    sandbox.ok("add data");
    sandbox.commit("Two");
    sandbox.git("checkout --quiet one");
    Scenario::new(sandbox, "checkout")
}

/// One stage with a file and a directory as outputs, which has run once.
fn stage() -> Sandbox {
    let sandbox = Sandbox::project();
    sandbox.write("in.txt", "first");
    sandbox.append(
        "esker.toml",
        "[stage.copy]\ncmd = \"mkdir out && cp in.txt out/a && cat in.txt in.txt > b\"\ndeps = [\"in.txt\"]\nouts = [\"b\", \"out\"]\n",
    );
    sandbox.ok("repro");
    sandbox.commit("Run");
    sandbox
}

fn make_links(sandbox: &Sandbox) {
    sandbox.write(".git/esker/config.toml", "store.links = [\"hardlink\"]\n");
}

fn is_linked(sandbox: &Sandbox) {
    use std::os::unix::fs::MetadataExt;
    // A killed process may have left another name.
    assert!(sandbox.path("large").metadata().unwrap().nlink() >= 2);
}

fn add_as_a_link() -> Scenario {
    let mut scenario = add_large_file();
    make_links(&scenario.before);
    scenario.finally = is_linked;
    scenario
}

fn relink() -> Scenario {
    let sandbox = add_large_file().before;
    sandbox.ok("add large");
    make_links(&sandbox);
    let mut scenario = Scenario::new(sandbox, "checkout --relink");
    scenario.finally = is_linked;
    scenario
}

fn commit_outputs() -> Scenario {
    let sandbox = stage();
    sandbox.write("out/a", "by hand");
    sandbox.write("out/c", "another");
    Scenario::new(sandbox, "commit copy")
}

fn repro_again() -> Scenario {
    let sandbox = stage();
    sandbox.write("in.txt", "second");
    Scenario::new(sandbox, "repro")
}

/// The outputs on disk are not the recorded ones: their bytes are in the store nowhere.
fn repro_over_changed_outputs() -> Scenario {
    let sandbox = stage();
    sandbox.write("in.txt", "second");
    sandbox.write("out/a", "changed by hand");
    sandbox.write("b", "this too");
    Scenario::new(sandbox, "repro")
}

fn with_remote() -> Sandbox {
    let sandbox = two_commits();
    sandbox.write("file", "file");
    sandbox.ok("add file");
    sandbox.ok("remote add store ../remote --default");
    sandbox.commit("Remote");
    sandbox
}

fn push() -> Scenario {
    let mut scenario = Scenario::new(with_remote(), "push");
    scenario.finally = |sandbox| {
        let mut clone = sandbox.copy();
        clone.clone_to("clone");
        clone.enter("clone");
        clone.ok("pull");
        let expected = clone.files("project");
        assert_eq!(clone.files("clone"), expected);
    };
    scenario
}

fn pull() -> Scenario {
    let mut sandbox = with_remote();
    sandbox.ok("push");
    sandbox.clone_to("clone");
    sandbox.enter("clone");
    let mut scenario = Scenario::new(sandbox, "pull");
    // What is recorded is not here until it is pulled.
    scenario.complete = false;
    scenario
}

/// A directory of small files.
fn small_files(sandbox: &Sandbox, dir: &str, files: usize) {
    for file in 0..files {
        let name = format!("{dir}/{file}");
        sandbox.write(&name, format!("this is {name}"));
    }
}

fn count(sandbox: &Sandbox, dir: &str) -> usize {
    let files = sandbox.local();
    files.keys().filter(|name| name.starts_with(dir)).count()
}

/// An act that leaves more small packs than there may be (two, where steps are counted) puts them
/// together.
fn add_and_merge_packs() -> Scenario {
    let sandbox = Sandbox::project();
    for dir in ["one", "two"] {
        small_files(&sandbox, dir, 256);
        sandbox.ok(&format!("add {dir}"));
        sandbox.remove(dir);
    }
    small_files(&sandbox, "three", 256);
    let mut scenario = Scenario::new(sandbox, "add three");
    assert_eq!(count(&scenario.before, "store/packs"), 2 + 1);
    scenario.repacks = true;
    // All that is stored is read again after each of them.
    scenario.every = 5;
    // Killed while it takes the old ones away, it leaves few enough of them.
    scenario.finally = |sandbox| {
        let packs = count(sandbox, "store/packs");
        assert!(packs <= 2 + 1, "{packs} packs");
    };
    scenario
}

/// The same for small files that each lie by themselves.
fn add_and_fold_files() -> Scenario {
    let sandbox = Sandbox::project();
    let settings = ".git/esker/config.toml";
    sandbox.write(settings, "store.pack_below = \"0 B\"");
    small_files(&sandbox, "many", 250);
    sandbox.ok("add many");
    sandbox.remove("many");
    sandbox.remove(settings);
    sandbox.write("new", "new");
    let mut scenario = Scenario::new(sandbox, "add new");
    assert_eq!(count(&scenario.before, "store/objects"), 250);
    scenario.repacks = true;
    // Most steps remove one file each.
    scenario.every = 23;
    scenario.finally = |sandbox| {
        let files = count(sandbox, "store/objects");
        assert!(files < 250, "{files} files");
        // A second pack, if it was killed before it took anything away.
        assert!(count(sandbox, "store/packs") > 1);
    };
    scenario
}

/// Old results and what only they need, in files and in packs, of which one is written again.
fn collect() -> Scenario {
    let mut sandbox = Sandbox::project();
    small_files(&sandbox, "data", 280);
    sandbox.ok("add data");
    sandbox.remove("data");
    small_files(&sandbox, "data", 140);
    sandbox.write("data/large", "1".repeat(40_000));
    sandbox.ok("add data");
    sandbox.write("data/large", "2".repeat(40_000));
    sandbox.ok("add data");
    sandbox.commit("Data");
    let days = 40 * 24 * 60 * 60;
    sandbox.set("ESKER_CLOCK_AHEAD", &days.to_string());
    let mut scenario = Scenario::new(sandbox, "gc --yes");
    scenario.repacks = true;
    scenario.every = 2;
    // Whatever stopped it, the next one removed all there was.
    scenario.finally = |sandbox| {
        let report = sandbox.json("gc --dry-run");
        assert_eq!(report["objects"].as_array().unwrap().len(), 0, "{report}");
        assert_eq!(report["kept"]["objects"], 140 + 1 + 1, "{report}");
    };
    scenario
}

macro_rules! scenarios {
    ($($name:ident),* $(,)?) => {
        mod each_step {
            $(#[test] fn $name() { super::$name().stop_at_each_step(4); })*
        }

        /// The same, and every step in every way: some minutes.
        mod each_step_and_way {
            $(#[test] #[ignore = "takes minutes"] fn $name() { super::$name().stop_at_each_step(1); })*
        }
    };
}

scenarios!(
    add_new_file,
    add_large_file,
    add_changed_directory,
    add_inside_a_directory,
    add_and_merge_packs,
    add_and_fold_files,
    add_as_a_link,
    relink,
    checkout_another_commit,
    checkout_by_force,
    checkout_directory_for_file,
    commit_outputs,
    repro_again,
    repro_over_changed_outputs,
    push,
    pull,
    collect,
);

#[test]
fn a_disk_that_is_too_small_is_told_before_anything_is_written() {
    let checkout = Scenario::new(two_commits(), "checkout");
    checkout.before.remove("data");
    for scenario in [add_large_file(), checkout, pull()] {
        let sandbox = scenario.before.copy();
        let before = sandbox.files(sandbox.place());
        let output = sandbox.esker_with(scenario.line, &[("ESKER_FAIL_ROOM", "2")]);
        assert_eq!(output.code, 2, "{output}");
        for part in ["E0902", "2 B are free", "nothing was changed"] {
            assert!(output.stderr.contains(part), "{output}");
        }
        assert_eq!(sandbox.files(sandbox.place()), before, "{output}");
    }
}

#[test]
fn what_is_stored_already_needs_no_room() {
    let sandbox = add_large_file().before;
    sandbox.ok("add large");
    sandbox.sh("cp large copy");
    let output = sandbox.esker_with("add copy", &[("ESKER_FAIL_ROOM", "1000")]);
    assert_eq!(output.code, 0, "{output}");
}
