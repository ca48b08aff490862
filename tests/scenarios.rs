//! What `docs/scenarios.md` lists and no other file of tests has: odd names, odd files, odd places.

use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;

use crate::common::{Output, Sandbox};

/// A tracked file `f` and a tracked directory `d`, committed.
fn tracked() -> Sandbox {
    let sandbox = Sandbox::project();
    sandbox.write("f", "file f");
    sandbox.write("d/a", "file a");
    sandbox.write("d/b", "file b");
    sandbox.ok("add f d");
    sandbox.commit("Data");
    sandbox
}

/// Runs esker as a user whom modes bind: as this one, or as nobody if this is root.
fn unprivileged(sandbox: &Sandbox, line: &str) -> Output {
    if std::fs::metadata(sandbox.root()).unwrap().uid() != 0 {
        return sandbox.esker(line);
    }
    let program = env!("CARGO_BIN_EXE_esker");
    sandbox.sh(&format!(
        "cp {program} ../esker-copy; chown -R 65534:65534 .."
    ));
    let output = sandbox.try_sh(&format!(
        "setpriv --reuid 65534 --regid 65534 --clear-groups ../esker-copy {line}"
    ));
    sandbox.sh("chown -R 0:0 ..");
    output
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn what_takes_the_place_of_tracked_data_is_named_and_left() {
    for place in ["f", "d/a", "d"] {
        for (kind, code) in [
            ("a fifo", "E0311"),
            ("a socket", "E0311"),
            ("a link", "E0312"),
        ] {
            let sandbox = tracked();
            sandbox.remove(place);
            match kind {
                "a fifo" => drop(sandbox.sh(&format!("mkfifo {place}"))),
                // The name stays when nobody listens any more.
                "a socket" => drop(UnixListener::bind(sandbox.path(place)).unwrap()),
                _ => drop(sandbox.sh(&format!("ln -s /etc {place}"))),
            }
            let lock = sandbox.read("esker.lock");
            let lines = [
                "status".to_owned(),
                "checkout --force".to_owned(),
                format!("add {place}"),
            ];
            for line in lines {
                let output = sandbox.esker(&line);
                let named = output.stderr.contains(code)
                    && output.stderr.contains(&format!("`{place}` is {kind}"));
                assert!(output.code == 2 && named, "{line}, {kind}: {output}");
            }
            assert_eq!(sandbox.read("esker.lock"), lock);
            assert!(sandbox.exists(place));
            sandbox.sh(&format!("rm {place}"));
            sandbox.ok("checkout");
            assert_eq!(sandbox.json("status")["clean"], true, "{place}, {kind}");
        }
    }
}

#[test]
fn a_directory_in_the_place_of_a_file_goes_into_the_park() {
    for place in ["f", "d/a"] {
        let sandbox = tracked();
        sandbox.remove(place);
        sandbox.write(&format!("{place}/inside"), "precious");
        assert_eq!(sandbox.esker("checkout").code, 1);
        sandbox.ok("checkout --force");
        assert!(sandbox.path(place).is_file());
        sandbox.ok("undo --last");
        assert_eq!(sandbox.read(&format!("{place}/inside")), "precious");
    }
}

const ODD_NAMES: [&str; 11] = [
    "new\nline",
    "colon:x",
    "😀.csv",
    "Case",
    "case",
    "tab\there",
    "\u{1b}[31mred",
    "back\\slash",
    "\"quote\"",
    "$(touch x)",
    "é",
];

#[test]
fn any_name_goes_to_a_remote_and_comes_back() {
    let sandbox = Sandbox::project();
    let longest = ["x".repeat(255), "é".repeat(127)];
    let names = ODD_NAMES
        .into_iter()
        .chain(longest.iter().map(String::as_str));
    for name in names.clone() {
        sandbox.write(name, name);
        sandbox.write(&format!("dir/{name}"), name);
        assert_eq!(sandbox.esker_args(&["add", name]).code, 0, "{name:?}");
    }
    sandbox.ok("add dir");
    sandbox.ok("remote add store ../remote");
    sandbox.ok("push");
    sandbox.git("add esker.toml esker.lock .gitignore && git commit --quiet --message All");
    let clone = sandbox.clone_to("clone");
    clone.ok("pull");
    let files = clone.files();
    for name in names {
        for path in [name.to_owned(), format!("dir/{name}")] {
            assert_eq!(files[&path].0, name.as_bytes(), "{path:?}");
        }
    }
    assert!(!sandbox.exists("x"), "no name is ever run");
}

#[test]
fn a_file_that_comes_and_goes_is_recorded_whole_or_not_at_all() {
    let sandbox = tracked();
    sandbox.sh("( while [ -d d ] && ! [ -e ../stop ]; do echo x > d/v; rm -f d/v; done ) > /dev/null 2>&1 &");
    for _ in 0..20 {
        let output = sandbox.esker("add --force d");
        let named = output.stderr.contains("d/v");
        assert!(output.code == 0 || named, "{output}");
    }
    sandbox.sh("touch ../stop");
    let report = sandbox.json("fsck --data");
    assert_eq!(
        (&report["damaged"], &report["missing"]),
        (&0.into(), &0.into()),
        "{report}"
    );
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_nothing_is_recorded() {
    let sandbox = tracked();
    let lock = sandbox.read("esker.lock");
    sandbox.write("d/secret", "x");
    sandbox.sh("chmod 000 d/secret");
    let output = unprivileged(&sandbox, "add d");
    assert_eq!(output.code, 2, "{output}");
    assert!(
        output.stderr.contains("E0901") && output.stderr.contains("d/secret"),
        "{output}"
    );
    assert_eq!(sandbox.read("esker.lock"), lock);
}

#[test]
fn a_store_that_cannot_be_written_can_be_read() {
    let sandbox = tracked();
    sandbox.sh("chmod -R a-w .git/esker/store; rm -r d");
    let output = unprivileged(&sandbox, "checkout");
    assert_eq!(output.code, 0, "{output}");
    assert_eq!(sandbox.read("d/a"), "file a");
    sandbox.write("f", "changed");
    let lock = sandbox.read("esker.lock");
    let output = unprivileged(&sandbox, "add f");
    assert!(
        output.code == 2 && output.stderr.contains("/store/"),
        "{output}"
    );
    assert_eq!(sandbox.read("esker.lock"), lock);
    let output = unprivileged(&sandbox, "doctor");
    assert!(
        output.code == 1 && output.stdout.contains("✗ store"),
        "{output}"
    );
    sandbox.sh("chmod -R u+w .git/esker/store");
}

#[test]
fn a_store_that_is_gone_is_told_of_and_filled_again() {
    let sandbox = tracked();
    sandbox.ok("remote add store ../remote");
    sandbox.ok("push");
    sandbox.sh("rm -rf .git/esker/store");
    assert_eq!(sandbox.esker("status").code, 0);
    sandbox.remove("f");
    let output = sandbox.esker("checkout");
    assert!(
        output.code == 3 && output.stderr.contains("f  not in the store"),
        "{output}"
    );
    sandbox.ok("pull");
    assert_eq!(sandbox.read("f"), "file f");
    sandbox.sh("rm -rf .git/esker/store; touch .git/esker/store");
    sandbox.write("f", "changed");
    let output = sandbox.esker("add f");
    assert!(
        output.code == 2 && output.stderr.contains("E0901"),
        "{output}"
    );
}

#[test]
fn a_store_may_lie_on_another_file_system() {
    let mut sandbox = tracked();
    let here = sandbox.root().metadata().unwrap().dev();
    let elsewhere = ["/dev/shm", "/tmp", "/var/tmp"]
        .into_iter()
        .find(|dir| std::fs::metadata(dir).is_ok_and(|found| found.dev() != here));
    let elsewhere = tempfile::tempdir_in(elsewhere.expect("two file systems")).unwrap();
    sandbox.set("ESKER_STORE", elsewhere.path().to_str().unwrap());
    sandbox.write("f", "changed");
    sandbox.ok("add f d");
    sandbox.commit("Elsewhere");
    for path in ["f", "d"] {
        sandbox.remove(path);
    }
    sandbox.ok("checkout");
    assert_eq!(
        (sandbox.read("f"), sandbox.read("d/a")),
        ("changed".into(), "file a".into())
    );
    assert_eq!(sandbox.esker("fsck --data").code, 0);
}

/// Many small files, which the store keeps in one pack, and a remote that has them too.
fn packed() -> Sandbox {
    let sandbox = Sandbox::project();
    for n in 0..300 {
        sandbox.write(&format!("d/{n}"), format!("file {n}"));
    }
    sandbox.ok("add d");
    sandbox.ok("remote add store ../remote --default");
    sandbox.ok("push");
    sandbox
}

#[test]
fn damage_in_a_pack_of_the_store_is_found_and_healed_from_a_remote() {
    let sandbox = packed();
    sandbox.sh("p=$(ls .git/esker/store/packs/*.pack); chmod +w $p; printf '\\377\\377\\377' | dd of=$p bs=1 seek=300 conv=notrunc 2>&1");
    sandbox.remove("d");
    let output = sandbox.esker("fsck --data");
    assert!(
        output.code == 3 && output.stdout.contains("quarantine"),
        "{output}"
    );
    assert_eq!(sandbox.esker("checkout").code, 3);
    sandbox.ok("pull");
    assert_eq!(sandbox.read("d/299"), "file 299");
    assert_eq!(sandbox.files("project/d").len(), 300);
    assert_eq!(sandbox.esker("fsck --data").code, 0);
}

#[test]
fn damage_in_what_esker_remembers_is_found_out() {
    let sandbox = packed();
    sandbox.sh("rm .git/esker/store/packs/midx; echo garbage > .git/esker/store/packs/midx; echo garbage > $(echo .git/esker/*/index)");
    assert_eq!(sandbox.json("status")["data"][0]["state"], "unchanged");
    sandbox.remove("d");
    sandbox.ok("checkout");
    assert_eq!(sandbox.esker("fsck --data").code, 0);
    sandbox.sh("echo garbage > $(echo .git/esker/*/placed)");
    let output = sandbox.esker("checkout");
    assert!(
        output.code == 3 && output.stderr.contains("E0509"),
        "{output}"
    );
    sandbox.sh("rm .git/esker/*/placed");
    sandbox.ok("checkout");
}

/// Scenario 22: one write of the lock for all targets, or none.
#[test]
fn a_commit_of_several_stages_is_one_write() {
    let sandbox = Sandbox::project();
    sandbox.append(
        "esker.toml",
        "\n[stage.s]\ncmd = \"echo 1 > o\"\nouts = [\"o\"]\n\n[stage.t]\ncmd = \"echo 1 > p\"\nouts = [\"p\"]\n",
    );
    sandbox.write("o", "by hand");
    let output = sandbox.esker("commit s t");
    assert!(
        output.code == 2 && output.stderr.contains("`p` is missing"),
        "{output}"
    );
    assert!(!sandbox.exists("esker.lock"));
    sandbox.write("p", "by hand");
    sandbox.ok("commit s t");
    assert_eq!(
        sandbox.read("esker.lock").matches("adopted = true").count(),
        2
    );
}

/// Scenario 25.
#[test]
fn a_push_from_a_part_sends_the_part_alone() {
    let sandbox = packed();
    sandbox.commit("Data");
    let clone = sandbox.clone_to("clone");
    clone.ok("pull d/7");
    clone.sh("echo changed > d/7");
    clone.ok("add d/7");
    let report = json(&clone.ok("push --json"));
    assert_eq!(report["files"], 1, "{report}");
    // A pack with the file and the listing, its index and a snapshot; nothing for 299 others.
    assert!(report["objects"].as_u64().unwrap() <= 4, "{report}");
    assert!(report["sent_bytes"].as_u64().unwrap() < 20_000, "{report}");
    assert_eq!(clone.sh("ls d"), "7\n");
}

/// Scenarios 38 and 39.
#[test]
fn a_check_says_no_with_all_reasons_of_a_stage_together() {
    let sandbox = Sandbox::project();
    sandbox.append(
        "esker.toml",
        "\n[stage.s]\ncmd = \"echo 1 > o\"\nouts = [\"o\"]\n",
    );
    sandbox.ok("repro");
    sandbox.ok("status --quiet --check");
    sandbox.edit("esker.toml", "echo 1 >", "echo  1 >");
    sandbox.remove("o");
    let output = sandbox.esker("status --quiet --check");
    assert_eq!(output.code, 1, "{output}");
    let stage = &sandbox.json("status")["stages"][0];
    let kinds: Vec<&str> = stage["reasons"]
        .as_array()
        .unwrap()
        .iter()
        .map(|reason| reason["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["cmd", "out-missing"]);
}

/// Scenarios 46, 47 and 48.
#[test]
fn a_diff_of_nothing_is_empty_and_of_the_unknown_an_error() {
    let sandbox = Sandbox::repository();
    sandbox.ok("init");
    sandbox.write("a", "a");
    sandbox.ok("add a");
    let before_the_first_commit = sandbox.json("diff");
    assert_eq!(before_the_first_commit["changes"][0]["kind"], "added");
    sandbox.commit("One");
    sandbox.write("b", "b");
    sandbox.ok("add b");
    assert_eq!(
        sandbox.json("diff HEAD HEAD")["changes"],
        serde_json::json!([])
    );
    assert_eq!(
        json(&sandbox.ok("diff --json -- b"))["changes"][0]["path"],
        "b"
    );
    let output = sandbox.esker("diff -- c");
    assert!(
        output.code == 2 && output.stderr.contains("E0307"),
        "{output}"
    );
    let output = Sandbox::empty().esker("diff");
    assert!(
        output.code == 2 && output.stderr.contains("E0101"),
        "{output}"
    );
}

/// Pain 54: bytes are bytes.
#[test]
fn line_ends_are_part_of_the_data() {
    let sandbox = Sandbox::project();
    sandbox.git("config core.autocrlf true");
    sandbox.write("dos", "a\r\nb\r\n");
    sandbox.ok("add dos");
    let hash = blake3::hash(b"a\r\nb\r\n").to_hex();
    assert!(sandbox.read("esker.lock").contains(hash.as_str()));
    sandbox.remove("dos");
    sandbox.ok("checkout");
    assert_eq!(sandbox.read("dos"), "a\r\nb\r\n");
}
