use crate::common::Sandbox;

/// A tracked file and a tracked directory, all in the store.
fn tracked() -> Sandbox {
    let sandbox = Sandbox::project();
    sandbox.write("data/a", "file a");
    sandbox.write("data/sub/b", "file b");
    sandbox.write("model", "the model");
    sandbox.ok("add data model");
    sandbox.commit("Data");
    sandbox
}

/// The object with these bytes, as a path in the project.
fn object(bytes: &str) -> String {
    let hash = blake3::hash(bytes.as_bytes()).to_hex();
    format!(".git/esker/store/objects/{}/{}", &hash[..2], &hash[2..])
}

fn damage(sandbox: &Sandbox, object: &str, bytes: &str) {
    sandbox.sh(&format!(
        "chmod +w {object} && printf '{bytes}' > {object} && chmod -w {object}"
    ));
}

/// The file of the one listing in the store.
fn listing(sandbox: &Sandbox) -> String {
    sandbox
        .sh("find .git/esker/store/meta -type f")
        .trim()
        .to_owned()
}

#[test]
fn a_whole_store_is_well_at_every_depth() {
    let sandbox = tracked();
    insta::assert_snapshot!(sandbox.esker("fsck --quick"), @"
    exit: 0
    --- stdout
    Checked 4 objects, 129 B (names and sizes): all is well
    ");
    insta::assert_snapshot!(sandbox.esker("fsck"), @"
    exit: 0
    --- stdout
    Checked 4 objects, 129 B (listings read): all is well
    ");
    insta::assert_snapshot!(sandbox.esker("fsck --data"), @"
    exit: 0
    --- stdout
    Checked 4 objects, 129 B (every byte read): all is well
    ");
    insta::assert_snapshot!(sandbox.esker("fsck --data --quick"), @"
    exit: 2
    --- stderr
    error: the argument '--data[=<N%>]' cannot be used with '--quick'

    Usage: esker fsck --data[=<N%>]

    For more information, try '--help'.
    ");
}

#[test]
fn an_empty_project_is_well() {
    insta::assert_snapshot!(Sandbox::project().esker("fsck --data"), @"
    exit: 0
    --- stdout
    Checked 0 objects, 0 B (every byte read): all is well
    ");
    let unborn = Sandbox::repository();
    unborn.ok("init");
    assert_eq!(unborn.esker("fsck").code, 0);
}

#[test]
fn a_damaged_object_is_named_with_who_needs_it_and_put_aside() {
    let sandbox = tracked();
    damage(&sandbox, &object("file b"), "file x");
    insta::assert_snapshot!(sandbox.esker("fsck"), @"
    exit: 0
    --- stdout
    Checked 4 objects, 129 B (listings read): all is well
    ");
    insta::assert_snapshot!(sandbox.esker("fsck --data"), @"
    exit: 3
    --- stdout
      ! data/sub/b  file b3:3b41ecbef4f4a1b6 is damaged and was moved to quarantine
    Checked 4 objects, 129 B (every byte read): 1 damaged
    --- stderr
    next: esker fsck --repair
    ");
    let kept = sandbox.sh("cat .git/esker/store/quarantine/*");
    assert_eq!(kept, "file x", "nothing is thrown away");
    insta::assert_snapshot!(sandbox.esker("fsck --json"), @r#"
    exit: 3
    --- stdout
    {
      "v": 1,
      "depth": "trees",
      "objects": 3,
      "bytes": 123,
      "read": 1,
      "damaged": 0,
      "missing": 1,
      "not_here": 0,
      "repaired": 0,
      "problems": [
        {
          "hash": "b3:3b41ecbef4f4a1b68544cee3f8d10ded32dc92c7848a3eae09781b547f4e0cfa",
          "kind": "file",
          "state": "missing",
          "needed_by": [
            "data/sub/b"
          ],
          "records": [
            "lock",
            "head",
            "placed"
          ]
        }
      ]
    }
    "#);
}

#[test]
fn a_cut_object_is_seen_by_its_size() {
    let sandbox = tracked();
    damage(&sandbox, &object("the model"), "");
    insta::assert_snapshot!(sandbox.esker("fsck --quick"), @"
    exit: 3
    --- stdout
      ! model  file b3:f1c1e5d3dafc6f65 is damaged and was moved to quarantine
    Checked 4 objects, 120 B (names and sizes): 1 damaged
    --- stderr
    next: esker fsck --repair
    ");
}

#[test]
fn the_workspace_heals_files_and_listings() {
    let sandbox = tracked();
    damage(&sandbox, &object("file a"), "bad");
    sandbox.sh(&format!("rm -f {}", object("the model")));
    let listing = listing(&sandbox);
    damage(&sandbox, &listing, "ESKT");
    sandbox.sh(&format!("rm -f {}", object("file b")));
    insta::assert_snapshot!(sandbox.esker("fsck --data --repair"), @"
    exit: 0
    --- stdout
      ✓ data  listing b3:1b0da2a210f33c64 is damaged and was moved to quarantine; restored from the workspace
      ✓ data/a  file b3:ab5b0afb71c45687 is damaged and was moved to quarantine; restored from the workspace
      ✓ data/sub/b  file b3:3b41ecbef4f4a1b6 is not in the store; restored from the workspace
      ✓ model  file b3:f1c1e5d3dafc6f65 is not in the store; restored from the workspace
    Checked 2 objects, 7 B (every byte read): 2 damaged, 2 missing, 4 repaired
    ");
    insta::assert_snapshot!(sandbox.esker("fsck --data"), @"
    exit: 0
    --- stdout
    Checked 4 objects, 129 B (every byte read): all is well
    ");
}

#[test]
fn a_file_that_is_no_longer_the_same_heals_nothing() {
    let sandbox = tracked();
    sandbox.sh(&format!("rm -f {}", object("the model")));
    sandbox.write("model", "my modem");
    insta::assert_snapshot!(sandbox.esker("fsck --repair"), @"
    exit: 3
    --- stdout
      ! model  file b3:f1c1e5d3dafc6f65 is not in the store
    Checked 3 objects, 120 B (listings read): 1 missing
    ");
    assert!(
        !sandbox.exists(&object("my modem")),
        "nothing else was stored"
    );
}

#[test]
fn a_remote_heals_what_the_workspace_cannot() {
    let sandbox = tracked();
    sandbox.ok("remote add store ../remote --default");
    sandbox.ok("push");
    damage(&sandbox, &object("file a"), "bad");
    let listing = listing(&sandbox);
    damage(&sandbox, &listing, "ESKT");
    sandbox.remove("data");
    insta::assert_snapshot!(sandbox.esker("fsck --data"), @"
    exit: 3
    --- stdout
      ! (needed by no listing that can be read)  file b3:ab5b0afb71c45687 is damaged and was moved to quarantine
      ! data  listing b3:1b0da2a210f33c64 is damaged and was moved to quarantine
    Checked 4 objects, 22 B (every byte read): 2 damaged
    --- stderr
    next: esker fsck --repair
    ");
    insta::assert_snapshot!(sandbox.esker("fsck --repair"), @"
    exit: 0
    --- stdout
      ✓ data  listing b3:1b0da2a210f33c64 is not in the store; fetched again
    Checked 2 objects, 15 B (listings read): 1 missing, 1 repaired
    ");
    sandbox.ok("fsck --data");
    sandbox.ok("checkout");
    assert_eq!(sandbox.read("data/a"), "file a");
}

#[test]
fn what_only_the_last_commit_or_nobody_needs_is_told_apart() {
    let sandbox = tracked();
    sandbox.write("model", "a newer model");
    sandbox.ok("add model");
    damage(&sandbox, &object("the model"), "bad");
    insta::assert_snapshot!(sandbox.esker("fsck --data"), @"
    exit: 3
    --- stdout
      ! model (last commit)  file b3:f1c1e5d3dafc6f65 is damaged and was moved to quarantine
    Checked 5 objects, 136 B (every byte read): 1 damaged
    --- stderr
    next: esker fsck --repair
    ");
    sandbox.commit("Newer");
    sandbox.write("model", "the newest model");
    sandbox.ok("add model");
    sandbox.commit("Newest");
    damage(&sandbox, &object("a newer model"), "bad");
    insta::assert_snapshot!(sandbox.esker("fsck --data"), @"
    exit: 3
    --- stdout
      ! (needed by no current record)  file b3:54e0ebaac632c05c is damaged and was moved to quarantine
    Checked 5 objects, 139 B (every byte read): 1 damaged
    --- stderr
    next: esker fsck --repair
    ");
}

#[test]
fn a_clone_without_data_says_what_it_lacks() {
    let sandbox = tracked();
    let clone = sandbox.clone_to("clone");
    insta::assert_snapshot!(clone.esker("fsck"), @"
    exit: 3
    --- stdout
      ! data  listing b3:1b0da2a210f33c64 is not in the store
      ! model  file b3:f1c1e5d3dafc6f65 is not in the store
    Checked 0 objects, 0 B (listings read): 2 missing
    --- stderr
    next: esker fsck --repair
    ");
}

#[test]
fn what_a_dead_process_left_is_swept_after_a_day() {
    let sandbox = tracked();
    let left = ".esker-tmp-2000000000-0123456789abcdef";
    let places = [
        ".git/esker/store/tmp",
        ".git/esker/00000000000000000000000000000000",
        ".",
    ];
    for place in places {
        let path = format!("{place}/{left}");
        sandbox.sh(&format!(
            "mkdir -p {place} && touch -d '2 days ago' {path} && touch {path}0"
        ));
    }
    sandbox.write("data/c", "file c");
    sandbox.sh(&format!("touch data/{left}"));
    sandbox.ok("add data");
    for place in places {
        assert!(!sandbox.exists(&format!("{place}/{left}")), "{place}");
        assert!(
            sandbox.exists(&format!("{place}/{left}0")),
            "{place}: it may be in use"
        );
    }
    assert!(!sandbox.ok("status").contains("tmp"), "no scan sees them");
}

#[test]
fn damage_in_a_store_that_cannot_be_written_is_not_called_repaired() {
    let sandbox = tracked();
    damage(&sandbox, &object("file a"), "bad");
    // A file where the directory should be stands for every reason why nothing can be moved.
    sandbox.sh("touch .git/esker/store/quarantine");
    let output = sandbox.esker("fsck --data --repair");
    assert_eq!(output.code, 3, "{output}");
    assert!(output.stdout.contains("cannot be written"), "{output}");
    let report = sandbox.json("fsck --data");
    assert_eq!(report["problems"][0]["needed_by"][0], "data/a");
    assert_eq!(report["repaired"], 0);
}

#[test]
fn a_pack_that_would_be_lost_with_the_index_over_all_is_named_and_written_again() {
    let sandbox = Sandbox::project();
    sandbox.sh("mkdir data && for n in $(seq 300); do echo $n > data/$n; done");
    sandbox.ok("add data");
    let pack = sandbox.sh("ls .git/esker/store/packs/*.pack");
    let pack = pack.trim();
    sandbox.sh(&format!(
        "chmod +w {pack} && printf x | dd of={pack} bs=1 conv=notrunc seek=$(($(stat -c %s {pack}) - 1)) 2> /dev/null"
    ));
    assert_eq!(sandbox.esker("fsck").code, 0, "nobody looked");
    let name: String = std::path::Path::new(pack)
        .file_name()
        .and_then(|name| name.to_str())
        .map(|name| name.chars().take(16).collect())
        .unwrap();
    let masked = |args: &str| sandbox.esker(args).to_string().replace(&name, "[PACK]");
    insta::assert_snapshot!(masked("fsck --data"), @"
    exit: 3
    --- stdout
      ! pack [PACK]…  its own list of what it holds is damaged
    Checked 301 objects, 12.2 KiB (every byte read): 1 badly listed
    --- stderr
    next: esker fsck --data --repair
    ");
    insta::assert_snapshot!(masked("fsck --data --repair"), @"
    exit: 0
    --- stdout
      ✓ pack [PACK]…  its own list of what it holds is damaged; written again
    Checked 301 objects, 12.2 KiB (every byte read): 1 badly listed
    ");
    assert_eq!(sandbox.esker("fsck --data").code, 0);
    sandbox.sh("rm .git/esker/store/packs/midx");
    sandbox.ok("fsck --data");
}
