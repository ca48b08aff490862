//! Files of the workspace that are links into the store. Pains 22 and 26; scenarios 6, 31, 34, 35
//! and 37.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::common::Sandbox;

/// Long enough to be linked: shorter files lie in packs.
fn long(text: &str) -> String {
    text.repeat(40_000 / text.len() + 1)
}

fn linking(kinds: &str) -> Sandbox {
    let sandbox = Sandbox::project();
    configure(&sandbox, &format!("links = {kinds}"));
    sandbox
}

fn configure(sandbox: &Sandbox, text: &str) {
    sandbox.write(".git/esker/config.toml", format!("[store]\n{text}\n"));
}

fn object(sandbox: &Sandbox, text: &str) -> PathBuf {
    let hex = blake3::hash(text.as_bytes()).to_hex();
    let (fan, name) = hex.split_at(2);
    sandbox.path(&format!(".git/esker/store/objects/{fan}/{name}"))
}

/// What a file is: `hardlink`, `symlink`, or `file`, and its mode.
fn kind(sandbox: &Sandbox, path: &str) -> String {
    let stat = sandbox.path(path).symlink_metadata().unwrap();
    let kind = match (stat.is_symlink(), stat.nlink()) {
        (true, _) => "symlink",
        (_, 1) => "file",
        _ => "hardlink",
    };
    let stat = sandbox.path(path).metadata().unwrap();
    format!("{kind} {:o}", stat.permissions().mode() & 0o777)
}

/// Writes in place, as a program does that was let.
fn edit_in_place(sandbox: &Sandbox, path: &str) {
    sandbox.sh(&format!("chmod u+w {path} && echo edited >> {path}"));
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn files_become_links_where_that_is_wanted_and_possible() {
    let scratch = Sandbox::empty();
    let reflinks = scratch.try_sh("echo x > one && cp --reflink=always one two");
    let if_not_reflinks = match reflinks.code {
        0 => "file 644",
        _ => "hardlink 444",
    };
    for (kinds, expected) in [
        (r#"["reflink", "hardlink"]"#, if_not_reflinks),
        (r#"["hardlink"]"#, "hardlink 444"),
        (r#"["symlink", "hardlink"]"#, "symlink 444"),
        (r#"["copy", "hardlink"]"#, "file 644"),
    ] {
        let sandbox = linking(kinds);
        sandbox.write("data/large", long("large"));
        sandbox.write("data/tool", long("#!/bin/sh\n"));
        sandbox.write("data/small", "small");
        sandbox.write("data/empty", "");
        sandbox.sh("umask 022; chmod 755 data/tool; chmod 644 data/large data/small data/empty");
        sandbox.ok("add data");
        let of = |path: &str| kind(&sandbox, path);
        assert_eq!(of("data/large"), expected, "{kinds}");
        for (path, expected) in [
            ("data/tool", "file 755"),
            ("data/small", "file 644"),
            // Scenario 6.
            ("data/empty", "file 644"),
        ] {
            assert_eq!(of(path), expected, "{path}, {kinds}");
        }
        assert_eq!(sandbox.read("data/large"), long("large"));
        assert_eq!(sandbox.json("status")["clean"], true, "{kinds}");
        sandbox.commit("Data");
        sandbox.remove("data");
        sandbox.ok("checkout");
        assert_eq!(of("data/large"), expected, "{kinds}");
        assert_eq!(of("data/tool"), "file 755", "{kinds}");
        assert!(sandbox.exists("data/empty"));
        assert_eq!(sandbox.json("status")["clean"], true, "{kinds}");
    }
}

#[test]
fn add_says_which_links_it_made() {
    let sandbox = linking(r#"["hardlink"]"#);
    sandbox.write("data/one", long("one"));
    sandbox.write("data/two", long("two"));
    sandbox.write("data/small", "small");
    insta::assert_snapshot!(sandbox.esker("add data"), @"
    exit: 0
    --- stderr
    + data  3 files  78.1 KiB
    2 files are hard links into the store now: read-only, until `esker unprotect` makes copies
    next: git add esker.lock .gitignore
    ");
    let report = sandbox.json("add data");
    assert_eq!(report["links"]["hardlink"], 2, "{report}");
    assert_eq!(report["stored"]["copied"], 0, "{report}");
    sandbox.write("more", long("more"));
    configure(&sandbox, r#"links = ["copy"]"#);
    let report = sandbox.json("add more");
    let stored = &report["stored"];
    let bytes = stored["copied"].as_u64().unwrap() + stored["reflinked"].as_u64().unwrap();
    assert_eq!(bytes, long("more").len() as u64, "{report}");
    assert_eq!(report["links"], serde_json::Value::Null);
}

#[test]
fn a_link_that_was_edited_in_place_is_told_and_the_object_is_gone() {
    for kinds in [r#"["hardlink"]"#, r#"["symlink"]"#] {
        for verb in ["status", "checkout", "fsck --data"] {
            edited_then(kinds, verb, false);
        }
        for verb in ["add data", "commit data"] {
            edited_then(kinds, verb, true);
        }
    }
}

/// Edits a link in place, and lets a verb find it, which records what the file holds or not.
fn edited_then(kinds: &str, verb: &str, records: bool) {
    let sandbox = linking(kinds);
    sandbox.write("data/a", long("a"));
    sandbox.write("data/b", long("b"));
    sandbox.ok("add data");
    let object = object(&sandbox, &long("a"));
    assert!(object.exists());
    edit_in_place(&sandbox, "data/a");
    let what = format!("{verb}, {kinds}");
    let output = sandbox.esker(verb);
    let told = "`data/a` is a link into the store and was edited in place";
    assert!(output.stderr.contains(told), "{what}\n{output}");
    let is_lost = ["checkout", "fsck --data"].contains(&verb);
    assert_eq!(output.code, if is_lost { 3 } else { 0 }, "{what}\n{output}");
    assert!(!object.exists(), "{what}");
    let edited = long("a") + "edited\n";
    assert_eq!(sandbox.read("data/a"), edited, "{what}");
    let quarantined = sandbox.sh("cat .git/esker/store/quarantine/*");
    assert_eq!(quarantined, edited, "{what}");
    // It is told once.
    let output = sandbox.esker("status");
    assert!(
        !output.stderr.contains("edited in place"),
        "{what}\n{output}"
    );
    let report = sandbox.json("status");
    let is_recorded = report["data"][0]["state"] == "unchanged";
    assert_eq!(is_recorded, records, "{what}");
    let fsck = sandbox.json("fsck --data");
    assert_eq!(fsck["damaged"], 0, "{what}\n{fsck}");
    assert_eq!(fsck["missing"], u64::from(!records), "{what}\n{fsck}");
    // What was recorded is a link again; else the file may be edited from now on.
    if !records {
        edit_in_place(&sandbox, "data/a");
        assert_eq!(sandbox.json("status")["edited"], serde_json::Value::Null);
    }
}

#[test]
fn all_files_that_share_an_edited_object_are_named() {
    let sandbox = linking(r#"["symlink"]"#);
    sandbox.write("data/a", long("same"));
    sandbox.write("data/b", long("same"));
    sandbox.ok("add data");
    edit_in_place(&sandbox, "data/b");
    let report = sandbox.json("status");
    let paths: Vec<&str> = report["edited"]
        .as_array()
        .unwrap()
        .iter()
        .map(|edited| edited["path"].as_str().unwrap())
        .collect();
    assert_eq!(paths, ["data/a", "data/b"]);
    for path in ["data/a", "data/b"] {
        assert_eq!(sandbox.read(path), long("same") + "edited\n");
    }
}

#[test]
fn a_damaged_object_is_never_linked_to() {
    for kinds in [r#"["hardlink"]"#, r#"["symlink"]"#] {
        let sandbox = linking(kinds);
        sandbox.write("data", long("a"));
        sandbox.ok("add data");
        // Edited and deleted: no file is left to tell of it.
        edit_in_place(&sandbox, "data");
        sandbox.sh("rm data");
        let output = sandbox.esker("checkout");
        assert_eq!(output.code, 3, "{output}");
        assert!(output.stderr.contains("E0501"), "{output}");
        assert!(!sandbox.exists("data"));
    }
}

/// Scenarios 34 and 35.
#[test]
fn unprotect_gives_a_copy_and_add_makes_it_a_link_again() {
    for kinds in [r#"["hardlink"]"#, r#"["symlink"]"#] {
        let sandbox = linking(kinds);
        sandbox.write("data/a", long("a"));
        sandbox.ok("add data");
        let linked = kind(&sandbox, "data/a");
        sandbox.ok("unprotect data");
        assert_eq!(kind(&sandbox, "data/a"), "file 644", "{kinds}");
        assert_eq!(sandbox.json("status")["clean"], true, "{kinds}");
        sandbox.sh("echo edited >> data/a");
        let old = object(&sandbox, &long("a"));
        assert_eq!(std::fs::read_to_string(&old).unwrap(), long("a"));
        assert_eq!(mode(&old), 0o444);
        let output = sandbox.esker("add data");
        assert!(!output.stderr.contains("edited in place"), "{output}");
        assert_eq!(kind(&sandbox, "data/a"), linked, "{kinds}");
        let new = object(&sandbox, &(long("a") + "edited\n"));
        assert!(old.exists() && new.exists());
    }
}

#[test]
fn relink_applies_another_kind_to_unchanged_files() {
    let sandbox = linking(r#"["copy"]"#);
    sandbox.write("data/a", long("a"));
    sandbox.write("data/b", long("b"));
    sandbox.ok("add data");
    sandbox.write("data/b", long("changed"));
    configure(&sandbox, r#"links = ["hardlink"]"#);
    insta::assert_snapshot!(sandbox.esker("checkout --relink data/a"), @"
    exit: 0
    --- stderr
    Nothing to switch: the workspace matches the record
    Relinked 1 file: 1 file is a hard link now
    ");
    assert_eq!(kind(&sandbox, "data/a"), "hardlink 444");
    configure(&sandbox, r#"links = ["symlink"]"#);
    sandbox.ok("add data");
    assert_eq!(kind(&sandbox, "data/b"), "symlink 444");
    configure(&sandbox, r#"links = ["copy"]"#);
    insta::assert_snapshot!(sandbox.esker("checkout --relink"), @"
    exit: 0
    --- stderr
    Nothing to switch: the workspace matches the record
    Relinked 2 files
    ");
    for path in ["data/a", "data/b"] {
        assert_eq!(kind(&sandbox, path), "file 644");
    }
    assert_eq!(sandbox.read("data/b"), long("changed"));
    insta::assert_snapshot!(sandbox.esker("checkout --relink"), @"
    exit: 0
    --- stderr
    Nothing to switch: the workspace matches the record
    Relinked 0 files
    ");
}

/// Scenario 31.
#[test]
fn links_follow_a_store_that_is_moved_or_copied() {
    for (command, line) in [
        ("mv", "checkout"),
        ("mv", "checkout --force"),
        ("mv", "checkout --relink"),
        ("cp -r", "checkout --relink"),
    ] {
        let sandbox = linking(r#"["symlink"]"#);
        sandbox.write("data/a", long("a"));
        sandbox.write("b", long("b"));
        sandbox.ok("add data b");
        sandbox.sh(&format!("{command} .git/esker/store ../store"));
        let store = sandbox.root().join("store");
        let path = store.display();
        configure(
            &sandbox,
            &format!("path = \"{path}\"\nlinks = [\"symlink\"]"),
        );
        let absent = sandbox.json("status")["data"][0]["state"] == "absent";
        assert_eq!(absent, command == "mv");
        sandbox.ok(line);
        for path in ["data/a", "b"] {
            let target = std::fs::read_link(sandbox.path(path)).unwrap();
            assert!(target.starts_with(&store), "{command}, {line}: {target:?}");
        }
        assert_eq!(sandbox.read("data/a"), long("a"));
        let states = sandbox.json("status");
        assert_eq!(states["data"][0]["state"], "unchanged");
        assert_eq!(states["data"][1]["state"], "unchanged");
    }
}

#[test]
fn a_changed_executable_bit_makes_a_copy_and_leaves_the_object() {
    for kinds in [r#"["hardlink"]"#, r#"["symlink"]"#] {
        let sandbox = linking(kinds);
        sandbox.write("tool", long("#!/bin/sh\n"));
        sandbox.ok("add tool");
        sandbox.commit("Plain");
        sandbox.ok("unprotect tool");
        sandbox.sh("chmod 755 tool");
        sandbox.ok("add tool");
        sandbox.commit("Executable");
        assert_eq!(kind(&sandbox, "tool"), "file 755");
        sandbox.git("checkout --quiet HEAD~1");
        sandbox.ok("checkout");
        assert!(kind(&sandbox, "tool").ends_with("link 444"));
        sandbox.git("checkout --quiet main");
        sandbox.ok("checkout");
        assert_eq!(kind(&sandbox, "tool"), "file 755");
        let object = object(&sandbox, &long("#!/bin/sh\n"));
        assert_eq!(mode(&object), 0o444);
    }
}

#[test]
fn where_links_cannot_be_made_files_are_copied() {
    // Another file system, where there is one: a link can be made if and only if there is none.
    let other = tempfile::tempdir_in("/dev/shm").unwrap();
    let sandbox = Sandbox::project();
    let store = other.path().join("store");
    let same = other.path().metadata().unwrap().dev() == sandbox.root().metadata().unwrap().dev();
    configure(
        &sandbox,
        &format!("path = \"{}\"\nlinks = [\"hardlink\"]", store.display()),
    );
    sandbox.write("data", long("a"));
    sandbox.ok("add data");
    let expected = if same { "hardlink 444" } else { "file 644" };
    assert_eq!(kind(&sandbox, "data"), expected);
    sandbox.remove("data");
    sandbox.ok("checkout");
    assert_eq!(kind(&sandbox, "data"), expected);
    configure(
        &sandbox,
        &format!(
            "path = \"{}\"\nlinks = [\"hardlink\", \"symlink\"]",
            store.display()
        ),
    );
    sandbox.ok("checkout --relink");
    let expected = if same { "hardlink 444" } else { "symlink 444" };
    assert_eq!(kind(&sandbox, "data"), expected);
}

#[test]
fn other_verbs_take_a_link_for_the_file_that_it_stands_for() {
    let sandbox = linking(r#"["symlink"]"#);
    sandbox.write("data/a", long("a"));
    sandbox.write("b", long("b"));
    sandbox.ok("add data b");
    let recorded = sandbox.json("ls")["paths"].clone();
    assert_eq!(sandbox.json("du")["total"]["recorded"], 2 * 40_001);
    sandbox.ok("mv b data/b");
    assert_eq!(kind(&sandbox, "data/b"), "symlink 444");
    assert_eq!(sandbox.json("status")["data"][0]["state"], "unchanged");
    sandbox.ok("add --force data");
    assert_eq!(kind(&sandbox, "data/b"), "symlink 444");
    sandbox.ok("remove --delete data");
    assert!(!sandbox.exists("data"), "{recorded}");
    assert!(object(&sandbox, &long("a")).exists());
    let fsck = sandbox.json("fsck --data");
    assert_eq!(fsck["damaged"], 0, "{fsck}");
}

fn stages(kinds: &str) -> Sandbox {
    let sandbox = linking(kinds);
    sandbox.write("model.txt", long("model"));
    sandbox.append(
        "esker.toml",
        r#"
[stage.train]
cmd = "echo train >> $RUNS; cat model.txt > model"
deps = ["model.txt"]
outs = ["model"]
"#,
    );
    sandbox.commit("Stage");
    sandbox
}

/// Scenario 37.
#[test]
fn repro_never_restores_from_an_object_that_was_edited_through_an_output() {
    for kinds in [r#"["hardlink"]"#, r#"["symlink"]"#] {
        for gone in [false, true] {
            let sandbox = stages(kinds);
            sandbox.ok("repro");
            assert!(kind(&sandbox, "model").ends_with("link 444"), "{kinds}");
            assert_eq!(sandbox.runs(), ["train"]);
            edit_in_place(&sandbox, "model");
            if gone {
                sandbox.sh("rm model");
            }
            sandbox.ok("repro");
            assert_eq!(sandbox.runs(), ["train"], "{kinds}, {gone}");
            assert_eq!(sandbox.read("model"), long("model"), "{kinds}, {gone}");
            let fsck = sandbox.json("fsck --data");
            assert_eq!((&fsck["damaged"], &fsck["missing"]), (&0.into(), &0.into()));
            // Undamaged, it is restored, as a link.
            sandbox.sh("rm -f model");
            sandbox.ok("repro");
            assert!(sandbox.runs().is_empty());
            assert!(kind(&sandbox, "model").ends_with("link 444"), "{kinds}");
        }
    }
}

#[test]
fn a_stage_that_writes_in_place_cannot_reach_an_object() {
    for kinds in [r#"["hardlink"]"#, r#"["symlink"]"#] {
        let sandbox = stages(kinds);
        sandbox.ok("repro");
        let old = object(&sandbox, &long("model"));
        // `>` writes into a file that is there.
        sandbox.edit(
            "esker.toml",
            "cat model.txt > model",
            "cat model.txt extra > model",
        );
        sandbox.write("extra", "extra");
        sandbox.ok("repro");
        assert_eq!(std::fs::read_to_string(&old).unwrap(), long("model"));
        assert_eq!(sandbox.read("model"), long("model") + "extra");
        let output = sandbox.esker("status");
        assert!(!output.stderr.contains("edited in place"), "{output}");
    }
}
