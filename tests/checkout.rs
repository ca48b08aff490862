use crate::common::Sandbox;

fn two_versions() -> Sandbox {
    let sandbox = Sandbox::project();
    sandbox.write("data/a", "a one");
    sandbox.write("data/sub/b", "b one");
    sandbox.write("tool", "#!/bin/sh\n");
    sandbox.sh("chmod +x tool");
    sandbox.ok("add data tool");
    sandbox.commit("One");
    sandbox.git("tag one");
    sandbox.write("data/a", "a two");
    sandbox.remove("data/sub");
    sandbox.write("data/c", "c two");
    sandbox.ok("add data");
    sandbox.commit("Two");
    sandbox
}

#[test]
fn deleted_data_comes_back_with_its_mode() {
    let sandbox = two_versions();
    let before = sandbox.files("project");
    sandbox.remove("data");
    sandbox.remove("tool");
    insta::assert_snapshot!(sandbox.esker("checkout"), @"
    exit: 0
    --- stderr
    Switched 2 paths (data, tool): 3 files written, 20 B
    ");
    assert_eq!(sandbox.files("project"), before);
    insta::assert_snapshot!(sandbox.esker("checkout"), @"
    exit: 0
    --- stderr
    Nothing to switch: the workspace matches the record
    ");
}

#[test]
fn another_commit_switches_files_in_and_out() {
    let sandbox = two_versions();
    sandbox.git("checkout --quiet one");
    insta::assert_snapshot!(sandbox.esker("checkout"), @"
    exit: 0
    --- stderr
    Switched 1 path (data): 2 files written, 10 B, 1 file removed
    ");
    assert_eq!(sandbox.read("data/a"), "a one");
    assert_eq!(sandbox.read("data/sub/b"), "b one");
    assert!(!sandbox.exists("data/c"));
    sandbox.git("checkout --quiet main");
    sandbox.ok("checkout");
    assert_eq!(sandbox.read("data/a"), "a two");
    assert!(!sandbox.exists("data/sub"), "emptied directories go too");
}

#[test]
fn unsaved_bytes_are_never_overwritten() {
    let sandbox = two_versions();
    sandbox.write("data/a", "precious");
    sandbox.remove("data/c");
    let before = sandbox.files("project");
    insta::assert_snapshot!(sandbox.esker("checkout"), @"
    exit: 1
    --- stderr
    error[E0301]: checkout would overwrite bytes that are saved nowhere
      ~ data/a   8 B
      nothing was touched

    hint: keep it with `esker add data/a` (a stage's output: `esker commit`), or move it out of the way with `--force`
    ");
    assert_eq!(
        sandbox.files("project"),
        before,
        "all refusals come before any write"
    );
}

#[test]
fn force_parks_what_it_overwrites() {
    let sandbox = two_versions();
    sandbox.write("data/a", "precious");
    insta::assert_snapshot!(sandbox.esker("checkout --force"), @"
    exit: 0
    --- stderr
    Switched 1 path (data): 1 file written, 5 B
    Moved 1 path out of the way; to have it back: esker undo --last
    ");
    assert_eq!(sandbox.read("data/a"), "a two");
    let parked = sandbox.sh("grep -rl precious .git/esker/*/park");
    assert!(parked.ends_with("data/a\n"), "{parked}");
}

#[test]
fn one_path_of_a_directory_can_be_had_alone() {
    let sandbox = two_versions();
    sandbox.remove("data");
    sandbox.remove("tool");
    sandbox.ok("checkout data/c");
    assert!(sandbox.exists("data/c") && !sandbox.exists("data/a") && !sandbox.exists("tool"));
    insta::assert_snapshot!(sandbox.esker("checkout dat"), @"
    exit: 2
    --- stderr
    error[E0307]: esker tracks nothing at `dat`

    hint: did you mean `data`?
    ");
}

#[test]
fn a_revision_gives_data_and_leaves_the_lock() {
    let sandbox = two_versions();
    let lock = sandbox.read("esker.lock");
    insta::assert_snapshot!(sandbox.esker("checkout --rev one data"), @"
    exit: 0
    --- stderr
    Switched 1 path (data): 2 files written, 10 B, 1 file removed
    The lock still records another state; `esker checkout` goes back, `esker add` or `esker commit` keeps 6908ac5's
    ");
    assert_eq!(sandbox.read("data/sub/b"), "b one");
    assert_eq!(sandbox.read("esker.lock"), lock);
    insta::assert_snapshot!(sandbox.esker("checkout --rev nowhere"), @"
    exit: 2
    --- stderr
    error[E0105]: no commit `nowhere` in this repository

    hint: git log --oneline --all
    ");
    sandbox.ok("checkout");
    assert_eq!(sandbox.read("data/a"), "a two");
}

#[test]
fn files_that_nobody_recorded_stay() {
    let sandbox = two_versions();
    sandbox.write("data/notes", "mine");
    sandbox.git("checkout --quiet one");
    insta::assert_snapshot!(sandbox.esker("checkout"), @"
    exit: 0
    --- stderr
    Switched 1 path (data): 2 files written, 10 B, 1 file removed
      ? data/notes  (not recorded; left as it is)
    ");
    assert_eq!(sandbox.read("data/notes"), "mine");
}

#[test]
fn what_the_store_lacks_is_named_and_the_rest_is_had() {
    let sandbox = two_versions();
    let hash = blake3::hash(b"a two").to_hex();
    sandbox.sh(&format!(
        "rm -f .git/esker/store/objects/{}/{}",
        &hash[..2],
        &hash[2..]
    ));
    sandbox.remove("data");
    insta::assert_snapshot!(sandbox.esker("checkout"), @"
    exit: 3
    --- stderr
    Switched 1 path (data): 1 file written, 5 B
      ! data/a  not in the store
    ");
    assert_eq!(sandbox.read("data/c"), "c two");
}

#[test]
fn a_corrupt_object_is_never_put_in_place() {
    let sandbox = two_versions();
    let hash = blake3::hash(b"a two").to_hex();
    let object = format!(".git/esker/store/objects/{}/{}", &hash[..2], &hash[2..]);
    sandbox.sh(&format!(
        "chmod +w {object} && printf 'a bad' > {object} && chmod -w {object}"
    ));
    sandbox.remove("data");
    let output = sandbox.esker("checkout");
    assert_eq!(output.code, 3, "{output}");
    assert!(output.stderr.contains("corrupt"), "{output}");
    assert!(!sandbox.exists("data/a"));
    assert!(
        sandbox
            .sh("ls .git/esker/store/quarantine")
            .contains(&hash[..8])
    );
}

#[test]
fn a_directory_may_become_a_file_and_the_reverse() {
    let sandbox = Sandbox::project();
    sandbox.write("data/x/deep", "directory");
    sandbox.ok("add data");
    sandbox.commit("One");
    sandbox.remove("data/x");
    sandbox.write("data/x", "file");
    sandbox.ok("add data");
    sandbox.commit("Two");
    sandbox.git("checkout --quiet HEAD~");
    sandbox.ok("checkout");
    assert_eq!(sandbox.read("data/x/deep"), "directory");
    sandbox.git("checkout --quiet main");
    sandbox.ok("checkout");
    assert_eq!(sandbox.read("data/x"), "file");
}

#[test]
fn links_and_empty_directories_come_back() {
    let sandbox = Sandbox::project();
    sandbox.write("data/file", "x");
    sandbox.sh("ln -s file data/link && mkdir -p data/empty");
    sandbox.ok("add data");
    sandbox.remove("data");
    sandbox.ok("checkout");
    assert_eq!(sandbox.sh("readlink data/link"), "file\n");
    assert!(sandbox.path("data/empty").is_dir());
    sandbox.sh("ln -s ../../outside data/bad");
    insta::assert_snapshot!(sandbox.esker("add data"), @"
    exit: 2
    --- stderr
    error[E0312]: `data/bad` is a link to `../../outside`, which lies outside the directory being tracked

    hint: put the content itself there, or exclude the link in `.eskerignore`
    ");
}

/// Scenario 28.
#[test]
fn unchanged_files_keep_their_inodes() {
    let sandbox = two_versions();
    sandbox.write("data/c", "c three");
    let inode = |name: &str| sandbox.sh(&format!("stat -c %i {name}"));
    let before = [inode("data/a"), inode("tool")];
    sandbox.ok("checkout --force");
    assert_eq!(sandbox.read("data/c"), "c two");
    assert_eq!([inode("data/a"), inode("tool")], before);
}

/// Scenario 30.
#[test]
fn of_several_targets_those_that_can_be_had_are_had() {
    let sandbox = two_versions();
    let hash = blake3::hash(b"#!/bin/sh\n").to_hex();
    sandbox.sh(&format!(
        "rm -f .git/esker/store/objects/{}/{}",
        &hash[..2],
        &hash[2..]
    ));
    sandbox.remove("data");
    sandbox.remove("tool");
    insta::assert_snapshot!(sandbox.esker("checkout tool data"), @"
    exit: 3
    --- stderr
    Switched 1 path (data): 2 files written, 10 B
      ! tool  not in the store
    ");
    assert_eq!(sandbox.read("data/a"), "a two");
}

/// Scenario 32: the tracked directory itself is empty.
#[test]
fn an_empty_tracked_directory_comes_back() {
    let sandbox = Sandbox::project();
    sandbox.sh("mkdir empty");
    sandbox.ok("add empty");
    sandbox.remove("empty");
    sandbox.ok("checkout");
    assert!(sandbox.path("empty").is_dir());
    assert_eq!(sandbox.json("status")["clean"], true);
}

/// Scenario 26, over two branches.
#[test]
fn switching_branches_switches_their_data() {
    let sandbox = two_versions();
    sandbox.git("checkout --quiet -b other one");
    sandbox.ok("checkout");
    sandbox.write("extra/x", "x");
    sandbox.remove("tool");
    sandbox.ok("remove tool");
    sandbox.ok("add extra");
    sandbox.commit("Other");
    sandbox.git("checkout --quiet main");
    insta::assert_snapshot!(sandbox.esker("checkout"), @"
    exit: 0
    --- stderr
    Switched 3 paths (data, extra, tool): 3 files written, 20 B, 2 files removed
    ");
    assert!(!sandbox.exists("extra") && sandbox.exists("tool"));
    sandbox.git("checkout --quiet other");
    sandbox.ok("checkout");
    assert_eq!(sandbox.read("extra/x"), "x");
    assert!(!sandbox.exists("tool"));
}

/// Scenario 33.
#[test]
fn a_stage_wins_over_an_output_of_its_name() {
    let sandbox = Sandbox::project();
    sandbox.append(
        "esker.toml",
        "\n[stage.a]\ncmd = \"echo 1 > b\"\nouts = [\"b\"]\n\n[stage.b]\ncmd = \"echo 2 > c\"\nouts = [\"c\"]\n",
    );
    sandbox.ok("repro b");
    assert!(sandbox.exists("c") && !sandbox.exists("b"));
    sandbox.ok("repro ./b");
    assert!(sandbox.exists("b"));
}
