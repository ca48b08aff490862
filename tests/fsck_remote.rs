//! `fsck --remote`, `status --remote` and `lock --check --remote`. Pains 27 and 35; scenario 45.

use std::path::PathBuf;

use crate::common::Sandbox;

/// A project whose remote holds a directory of many small files, a file in one piece and one in
/// several.
fn pushed() -> Sandbox {
    let sandbox = Sandbox::project();
    sandbox.ok("remote add store ../remote --default");
    for file in 0..300 {
        sandbox.write(&format!("data/{file}"), format!("file {file}").repeat(200));
    }
    sandbox.write("large", noise(5 << 20));
    sandbox.write("model", noise(200_000));
    sandbox.ok("add data large model");
    sandbox.commit("Data");
    sandbox.ok("push");
    sandbox
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64 ^ length as u64;
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.push(state as u8);
    }
    bytes
}

fn packs(sandbox: &Sandbox) -> Vec<PathBuf> {
    let found = sandbox.sh("find ../remote/p -type f | sort");
    let paths = found.lines().map(|path| sandbox.path(path));
    paths.collect()
}

/// Changes one byte of a file: in a pack, one of the first object.
fn damage(path: &PathBuf) {
    damage_at(path, 40);
}

fn damage_at(path: &PathBuf, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 1;
    let mut mode = std::fs::metadata(path).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o644);
    std::fs::set_permissions(path, mode).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// The names of packs are drawn by chance, and those of commits follow from all that `init` writes.
fn masked(output: &crate::common::Output) -> String {
    let pack = regex::Regex::new("p/[0-9a-f]{2}/[0-9a-f]{64}").unwrap();
    let commit = regex::Regex::new(r"\([0-9a-f]{7}\)").unwrap();
    let said = output.to_string();
    let said = pack.replace_all(&said, "p/PACK");
    commit.replace_all(&said, "(COMMIT)").into_owned()
}

fn clone_pulls(sandbox: &Sandbox) {
    sandbox.sh("rm -rf ../fresh");
    sandbox.git("clone --quiet . ../fresh");
    sandbox.sh("cd ../fresh && esker pull --quiet");
    for file in ["data/7", "large", "model"] {
        let fresh = std::fs::read(sandbox.root().join("fresh").join(file)).unwrap();
        assert!(
            fresh == std::fs::read(sandbox.path(file)).unwrap(),
            "{file}"
        );
    }
}

#[test]
fn a_remote_that_is_whole_is_well_at_any_depth() {
    let sandbox = pushed();
    for (line, words) in [
        ("fsck --remote --quick", "names and sizes"),
        ("fsck --remote=store", "listings read"),
        ("fsck --remote --data", "every byte read"),
        ("fsck --remote --data=10%", "10% of the packs read"),
    ] {
        let said = sandbox.ok(line);
        assert!(
            said.contains(words) && said.contains("all is well"),
            "{said}"
        );
    }
    let empty = Sandbox::project();
    empty.ok("remote add store ../remote --default");
    std::fs::create_dir(empty.root().join("remote")).unwrap();
    assert!(empty.ok("fsck --remote").contains("0 snapshots"));
    for wrong in [
        "fsck --remote --data=0",
        "fsck --data=101%",
        "fsck --quick --data",
    ] {
        assert_eq!(sandbox.esker(wrong).code, 2, "{wrong}");
    }
}

/// Each pack in turn is damaged in its midst, cut short, or gone.
#[test]
fn whatever_is_lost_is_named_and_sent_again() {
    type Harm = fn(&PathBuf);
    let harms: [(&str, Harm); 3] = [
        ("damaged", damage),
        ("cut", |path| {
            let bytes = std::fs::read(path).unwrap();
            std::fs::remove_file(path).unwrap();
            std::fs::write(path, &bytes[..bytes.len() - 10]).unwrap();
        }),
        ("gone", |path| std::fs::remove_file(path).unwrap()),
    ];
    for (how, harm) in harms {
        let n_packs = packs(&pushed()).len();
        assert!(n_packs >= 4, "{n_packs}");
        // A pack that is not whole is treated the same, whatever it holds.
        let n_packs = if how == "damaged" { n_packs } else { 1 };
        for number in 0..n_packs {
            let sandbox = pushed();
            harm(&packs(&sandbox)[number]);
            let what = format!("{how}, pack {number}");
            let report = sandbox.esker("fsck --remote --data --json");
            assert_eq!(report.code, 3, "{what}\n{report}");
            let json: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
            let problems = json["problems"].as_array().unwrap();
            assert!(!problems.is_empty(), "{what}\n{report}");
            for problem in problems {
                assert_eq!(problem["in_store"], true, "{what}\n{report}");
                assert!(
                    !problem["needed_by"].as_array().unwrap().is_empty(),
                    "{what}\n{report}"
                );
            }
            let repaired = sandbox.esker("fsck --remote --data --repair");
            assert_eq!(repaired.code, 0, "{what}\n{repaired}");
            assert_eq!(sandbox.esker("fsck --remote --data").code, 0, "{what}");
            clone_pulls(&sandbox);
        }
    }
}

#[test]
fn what_is_lost_is_told_with_who_needs_it_and_where_a_copy_is() {
    let sandbox = Sandbox::project();
    sandbox.ok("remote add store ../remote --default");
    sandbox.ok("remote add spare ../spare");
    sandbox.write("model", noise(200_000));
    sandbox.ok("add model");
    sandbox.commit("Old");
    sandbox.ok("push");
    sandbox.ok("push -r spare");
    damage(&packs(&sandbox)[0]);
    sandbox.write("model", "new");
    sandbox.ok("add model");
    sandbox.commit("New");
    insta::assert_snapshot!(masked(&sandbox.esker("fsck --remote --data")), @"
    exit: 3
    --- stdout
      ! model (COMMIT)  file b3:1f54d7ced4e0dce4 is damaged; the store has it
      ~ p/PACK  the frame of b3:1f54d7ced4e0dce421756915684fe20ecbe36fcec71bd786312453b276065e22 is damaged: its crc is not the one in the index; what is needed of it and not named above lies elsewhere
    Checked 1 snapshot and 1 pack (195 KiB) on `store` (every byte read): 1 damaged
    --- stderr
    next: esker fsck --remote=store --repair
    ");
    sandbox.sh("rm -rf .git/esker/store/objects");
    insta::assert_snapshot!(masked(&sandbox.esker("fsck --remote --data --repair")), @"
    exit: 3
    --- stdout
      ! model (COMMIT)  file b3:1f54d7ced4e0dce4 is damaged; `spare` has it
      ~ p/PACK  the frame of b3:1f54d7ced4e0dce421756915684fe20ecbe36fcec71bd786312453b276065e22 is damaged: its crc is not the one in the index; what is needed of it and not named above lies elsewhere
    Checked 1 snapshot and 1 pack (195 KiB) on `store` (every byte read): 1 damaged
    ");
    insta::assert_snapshot!(sandbox.esker("fsck --remote=spare --data"), @"
    exit: 0
    --- stdout
    Checked 1 snapshot and 1 pack (195 KiB) on `spare` (every byte read): all is well
    ");
}

#[test]
fn a_pack_that_does_not_say_what_it_holds_is_told_and_no_loss() {
    let sandbox = pushed();
    let pack = &packs(&sandbox)[0];
    let end = std::fs::metadata(pack).unwrap().len() as usize - 70;
    damage_at(pack, end);
    let report = sandbox.esker("fsck --remote");
    assert_eq!(report.code, 0, "{report}");
    assert!(report.stdout.contains("~ p/"), "{report}");
    clone_pulls(&sandbox);
}

#[test]
fn a_snapshot_that_cannot_be_read_is_told() {
    let sandbox = pushed();
    let found = sandbox.sh("find ../remote/snap -type f ! -name head");
    damage(&sandbox.path(found.trim()));
    let report = sandbox.esker("fsck --remote");
    assert_eq!(report.code, 3, "{report}");
    assert!(report.stdout.contains("~ snap/"), "{report}");
}

#[test]
fn a_pack_that_a_snapshot_lists_and_is_gone_is_found_by_its_name() {
    let sandbox = pushed();
    std::fs::remove_file(&packs(&sandbox)[0]).unwrap();
    let report = sandbox.esker("fsck --remote --quick");
    assert_eq!(report.code, 3, "{report}");
    assert!(report.stdout.contains("a snapshot lists it"), "{report}");
}

/// Scenario 45.
#[test]
fn what_a_push_and_a_pull_would_move_is_told_path_by_path() {
    let sandbox = pushed();
    insta::assert_snapshot!(sandbox.ok("status --remote"), @"
    Data:   up to date
    Remote: `store` and the store have everything
    ");
    sandbox.write("data/7", "changed");
    sandbox.write("new", noise(50_000));
    sandbox.ok("add data new");
    sandbox.sh("f=$(find .git/esker/store/objects -size +4M) && rm -f $f");
    insta::assert_snapshot!(sandbox.ok("status --remote=store"), @"
    Data:   up to date
    Lock:   not committed: data (changed), new (new)
    Remote: `store`
      ↑ data  1 file (7 B) to push
      ↓ large  1 file (5.00 MiB) to pull
      ↑ new  1 file (48.8 KiB) to push
    ");
    let report = sandbox.json("status --remote");
    let data = report["data"].as_array().unwrap();
    let of = |path: &str| data.iter().find(|data| data["path"] == path).unwrap();
    assert_eq!(of("data")["in_remote"], false);
    assert_eq!(of("data")["remote"]["push"]["files"], 1);
    assert_eq!(of("large")["in_remote"], true);
    assert_eq!(of("large")["remote"]["pull"]["bytes"], 5 << 20);
    assert_eq!(of("model")["in_remote"], true);
    sandbox.ok("push");
    sandbox.ok("pull");
    assert!(sandbox.ok("status --remote").contains("have everything"));

    // A clone that has nothing yet.
    let clone = sandbox.sh("git clone --quiet . ../fresh && cd ../fresh && esker status --remote");
    assert!(clone.contains("data  300 files"), "{clone}");
    assert!(clone.contains("to pull"), "{clone}");
}

#[test]
fn a_lock_is_checked_against_a_remote_by_its_index() {
    let sandbox = pushed();
    let check = |dir: &str| sandbox.try_sh(&format!("cd {dir} && esker lock --check --remote"));
    assert_eq!(check(".").code, 0);
    sandbox.git("clone --quiet . ../fresh");
    let fresh = check("../fresh");
    assert_eq!(fresh.code, 0, "it needs no data\n{fresh}");
    sandbox.write("model", "new");
    sandbox.ok("add model");
    sandbox.commit("New");
    insta::assert_snapshot!(check("."), @"
    exit: 3
    --- stdout
    ! model  not on `store`: 1 file, 3 B
    --- stderr
    next: esker push    (in a clone that has it)
    ");
    sandbox.sh("cd ../fresh && git pull --quiet");
    let fresh = check("../fresh");
    assert_eq!(fresh.code, 3, "{fresh}");
    assert!(fresh.stdout.contains("! model"), "{fresh}");
    assert!(
        !fresh.stdout.contains("! data"),
        "another lock's snapshot vouches for it\n{fresh}"
    );
    sandbox.ok("push");
    assert_eq!(check("../fresh").code, 0);
    assert_eq!(sandbox.esker("lock --resolve --remote").code, 2);
}

#[test]
fn what_stays_at_home_is_not_missed() {
    let sandbox = Sandbox::project();
    sandbox.ok("remote add store ../remote --default");
    sandbox.append("esker.toml", "[data.\"secret\"]\npush = false\n");
    sandbox.write("secret", "s");
    sandbox.write("open", "o");
    sandbox.ok("add secret open");
    sandbox.ok("push");
    sandbox.ok("lock --check --remote");
    let status = sandbox.json("status --remote");
    assert_eq!(status["data"][0]["in_remote"], true);
    assert_eq!(status["data"][1]["in_remote"], serde_json::Value::Null);
}

#[test]
fn a_directory_that_no_push_has_made_yet_holds_nothing() {
    let sandbox = Sandbox::project();
    sandbox.write("raw.txt", "some text");
    sandbox.ok("add raw.txt");
    sandbox.ok("remote add store ../not-yet --default");
    insta::assert_snapshot!(sandbox.ok("status --remote"), @"
    Data:   up to date
    Lock:   not committed: raw.txt (new)
    Remote: `store`
      ↑ raw.txt  1 file (9 B) to push
    ");
    assert_eq!(sandbox.esker("lock --check --remote").code, 3);
    assert!(!sandbox.root().join("not-yet").exists());
    sandbox.ok("push");
    assert!(sandbox.ok("status --remote").contains("have everything"));
}
