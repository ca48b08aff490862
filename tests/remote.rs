use crate::common::Sandbox;

fn with_remote() -> Sandbox {
    let sandbox = Sandbox::pipeline();
    sandbox.write("photos/a.bin", vec![7; 100_000]);
    sandbox.write("photos/deep/tool", "#!/bin/sh\n");
    sandbox.sh("chmod +x photos/deep/tool && ln -s tool photos/deep/link && mkdir photos/empty");
    sandbox.ok("add photos");
    sandbox.ok("repro");
    sandbox.ok("remote add store ../remote --default");
    sandbox.commit("Run");
    sandbox
}

#[test]
fn what_is_pushed_can_be_pulled_into_a_fresh_clone() {
    let sandbox = with_remote();
    insta::assert_snapshot!(sandbox.esker("push"), @"
    exit: 0
    --- stderr
    Pushed 6 files to `store`: 97.8 KiB as 2.31 KiB in 5 objects (compression saved 97.6 KiB)
    ");
    insta::assert_snapshot!(sandbox.esker("push"), @"
    exit: 0
    --- stderr
    Nothing to push: `store` has everything
    ");
    let clone = sandbox.clone_to("clone");
    let pulled = clone.esker("pull");
    insta::assert_snapshot!(pulled, @"
    exit: 0
    --- stderr
    Pulled 6 files from `store`: 97.8 KiB as 1.37 KiB (compression saved 97.6 KiB)
    Switched 5 paths (data/raw.txt, eval, model, photos, prepared.txt): 7 files written, 97.8 KiB
    ");
    assert_eq!(clone.files(), sandbox.files("project"));
    insta::assert_snapshot!(clone.esker("pull"), @"
    exit: 0
    --- stderr
    Nothing to fetch: the store has everything
    Nothing to switch: the workspace matches the record
    ");
    sandbox.runs();
    clone.ok("repro");
    assert!(sandbox.runs().is_empty(), "nothing is left to run");
    assert!(
        clone
            .sh("test -d photos/empty && readlink photos/deep/link")
            .contains("tool")
    );
}

#[test]
fn what_is_not_to_be_pushed_stays_here() {
    let sandbox = Sandbox::pipeline();
    sandbox.write("secret.bin", "nobody else's\n");
    sandbox.ok("add secret.bin");
    sandbox.append("esker.toml", "\n[data.\"secret.bin\"]\npush = false\n");
    sandbox.edit(
        "esker.toml",
        "outs = [\"model\"]",
        "outs = [{ path = \"model\", push = false }]",
    );
    sandbox.ok("repro");
    sandbox.ok("remote add store ../remote --default");
    sandbox.commit("Run");
    sandbox.ok("push");
    let clone = sandbox.clone_to("clone");
    let pulled = clone.esker("pull --json");
    assert_eq!(pulled.code, 3, "{pulled}");
    for (path, travels) in [
        ("data/raw.txt", true),
        ("secret.bin", false),
        ("model", false),
    ] {
        let is_there = sandbox.root().join("clone").join(path).exists();
        assert_eq!(is_there, travels, "{path}");
        assert!(
            travels || pulled.stdout.contains(path),
            "{path} is named\n{pulled}"
        );
    }
}

#[test]
fn a_thousand_small_files_make_few_objects() {
    let sandbox = Sandbox::project();
    for number in 0..1000 {
        sandbox.write(
            &format!("data/{}/{number}.txt", number % 10),
            format!("file number {number}"),
        );
    }
    sandbox.ok("add data");
    sandbox.ok("remote add store ../remote");
    sandbox.commit("Data");
    let report = sandbox.json("push");
    assert_eq!(report["files"], 1000);
    let mut objects = sandbox.files("remote");
    // The name of the newest snapshot is a convenience for web servers.
    objects.retain(|key, _| !key.ends_with("/head"));
    assert!(objects.len() <= 10, "{:?}", objects.keys());
    assert_eq!(report["objects"], objects.len());
    let clone = sandbox.clone_to("clone");
    let report = clone.esker("pull --json");
    assert!(report.stdout.contains("\"files\": 1000"), "{report}");
    assert_eq!(clone.files(), sandbox.files("project"));
}

#[test]
fn a_small_change_sends_little() {
    let sandbox = Sandbox::project();
    sandbox.write(
        "big/base.bin",
        (0..2_000_000_u32)
            .flat_map(u32::to_le_bytes)
            .collect::<Vec<u8>>(),
    );
    sandbox.write("big/note", "one");
    sandbox.ok("add big");
    sandbox.ok("remote add store ../remote");
    sandbox.commit("One");
    sandbox.ok("push");
    sandbox.write("big/note", "two");
    sandbox.ok("add big");
    sandbox.commit("Two");
    let report = sandbox.json("push");
    assert!(report["sent_bytes"].as_u64().unwrap() < 10_000, "{report}");
    let clone = sandbox.clone_to("clone");
    clone.ok("pull");
    assert_eq!(clone.files(), sandbox.files("project"));
}

#[test]
fn a_large_file_travels_in_pieces_and_comes_back_whole() {
    let sandbox = Sandbox::project();
    let mut state = 1_u64;
    let bytes: Vec<u8> = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state.to_be_bytes()[0]
    })
    .take(9 * 1024 * 1024 + 5)
    .collect();
    sandbox.write("model.bin", bytes);
    sandbox.ok("add model.bin");
    sandbox.ok("remote add store ../remote");
    sandbox.commit("Model");
    sandbox.ok("push");
    let clone = sandbox.clone_to("clone");
    clone.ok("pull");
    assert_eq!(clone.files(), sandbox.files("project"));
}

#[test]
fn older_commits_travel_too() {
    let sandbox = Sandbox::project();
    sandbox.write("data", "one");
    sandbox.ok("add data");
    sandbox.commit("One");
    sandbox.write("data", "two");
    sandbox.ok("add data");
    sandbox.ok("remote add store ../remote");
    sandbox.commit("Two");
    sandbox.ok("push");
    let clone = sandbox.clone_to("clone");
    clone.ok("fetch --all-commits");
    clone.sh("git checkout --quiet HEAD~");
    clone.ok("checkout");
    assert_eq!(clone.sh("cat data"), "one");
}

#[test]
fn one_path_can_be_pulled_alone() {
    let sandbox = with_remote();
    sandbox.ok("push");
    let clone = sandbox.clone_to("clone");
    clone.ok("pull data/raw.txt");
    let files = clone.files();
    assert!(files.contains_key("data/raw.txt") && !files.contains_key("photos/a.bin"));
}

#[test]
fn what_the_remote_lacks_is_named_and_the_rest_is_had() {
    let sandbox = Sandbox::project();
    sandbox.write("a", "a");
    sandbox.ok("add a");
    sandbox.ok("remote add store ../remote");
    sandbox.commit("One");
    sandbox.ok("push");
    sandbox.write("b", "b");
    sandbox.ok("add b");
    sandbox.commit("Two");
    let clone = sandbox.clone_to("clone");
    insta::assert_snapshot!(clone.esker("pull"), @"
    exit: 3
    --- stderr
    Pulled 1 file from `store`: 1 B as 523 B
      ! b  not on the remote (b3:10e5cf3d3c8a)
    Switched 1 path (a): 1 file written, 1 B
    ");
    assert_eq!(clone.sh("cat a"), "a");
}

#[test]
fn a_damaged_pack_is_never_taken_for_data() {
    let sandbox = with_remote();
    sandbox.ok("push");
    sandbox.sh("cd ../remote && for pack in p/*/*; do chmod +w $pack; printf 'XXXX' | dd of=$pack bs=1 seek=80 conv=notrunc status=none; done");
    let clone = sandbox.clone_to("clone");
    let output = clone.esker("pull");
    assert_eq!(output.code, 3, "{output}");
    assert!(output.stderr.contains("damaged"), "{output}");
}

#[test]
fn data_that_is_nowhere_here_cannot_be_pushed() {
    let sandbox = with_remote();
    sandbox.sh("rm -rf .git/esker/store");
    let output = sandbox.esker("push");
    assert_eq!(output.code, 3, "{output}");
}

#[test]
fn a_dry_run_sends_nothing() {
    let sandbox = with_remote();
    insta::assert_snapshot!(sandbox.esker("push --dry-run"), @"
    exit: 0
    --- stderr
    Would push 6 files to `store`: 97.8 KiB
    ");
    assert!(!sandbox.root().join("remote").exists());
}

#[test]
fn remotes_come_and_go_and_comments_stay() {
    let sandbox = Sandbox::project();
    sandbox.append("esker.toml", "# a comment of mine\n");
    insta::assert_snapshot!(sandbox.esker("remote add one ../one"), @"
    exit: 0
    --- stderr
    Added remote `one` to esker.toml: ../one
    next: esker push
    ");
    insta::assert_snapshot!(sandbox.esker("remote add two s3://bucket/prefix --default --region eu-west-1"), @"
    exit: 0
    --- stderr
    Added remote `two` to esker.toml: s3://bucket/prefix (default)
    next: esker push
    ");
    insta::assert_snapshot!(sandbox.esker("remote list"), @"
    exit: 0
    --- stdout
    one  ../one              esker.toml
    two  s3://bucket/prefix  esker.toml  default
    ");
    insta::assert_snapshot!(sandbox.ok("remote list --json"), @r#"
    {
      "v": 1,
      "remotes": [
        {
          "name": "one",
          "url": "../one",
          "default": false,
          "from": "project",
          "keys": {
            "url": {
              "value": "../one",
              "from": "project"
            }
          }
        },
        {
          "name": "two",
          "url": "s3://bucket/prefix",
          "default": true,
          "from": "project",
          "keys": {
            "default": {
              "value": true,
              "from": "project"
            },
            "region": {
              "value": "eu-west-1",
              "from": "project"
            },
            "url": {
              "value": "s3://bucket/prefix",
              "from": "project"
            }
          }
        }
      ]
    }
    "#);
    insta::assert_snapshot!(sandbox.esker("remote add one elsewhere"), @"
    exit: 2
    --- stderr
    error[E0404]: a remote `one` exists already: ../one

    hint: take another name, or change it: esker remote set one KEY VALUE
    ");
    insta::assert_snapshot!(sandbox.esker("remote add bad/name elsewhere"), @"
    exit: 2
    --- stderr
    error[E0405]: `bad/name` is no name for a remote: use letters, digits, `-` and `_`
    ");
    insta::assert_snapshot!(sandbox.esker("remote remove two"), @"
    exit: 0
    --- stderr
    Removed remote `two` from esker.toml; what it holds stays
    ");
    insta::assert_snapshot!(sandbox.esker("remote remove tow"), @"
    exit: 2
    --- stderr
    error[E0403]: no remote `tow`

    hint: esker remote list
    ");
    assert!(sandbox.read("esker.toml").contains("# a comment of mine\n"));
}

#[test]
fn a_remote_that_is_not_mounted_is_named() {
    let sandbox = with_remote();
    let clone = sandbox.clone_to("clone");
    insta::assert_snapshot!(clone.esker("pull"), @"
    exit: 4
    --- stderr
    error[E0415]: directory `$ROOT/remote` of remote `store` does not exist

    hint: if it is a mount, mount it; if nothing was pushed yet: esker push
    ");
    insta::assert_snapshot!(clone.esker("status"), @"
    exit: 0
    --- stdout
    Stages: nothing changed; their data is not all in the workspace
    Data:
      - data/raw.txt  (neither in the workspace nor in the store)
      - eval  (neither in the workspace nor in the store)
      - model  (neither in the workspace nor in the store)
      - photos  (neither in the workspace nor in the store)
      - prepared.txt  (neither in the workspace nor in the store)
    --- stderr
    next: esker pull
    ");
    assert_eq!(
        clone.esker("status --check").code,
        0,
        "absence is not a change"
    );
}

#[test]
fn a_remote_is_changed_and_renamed_where_it_stands() {
    let sandbox = Sandbox::project();
    sandbox.ok("remote add one ../one --default");
    sandbox.append("esker.toml", "# the last word\n");
    insta::assert_snapshot!(sandbox.esker("remote set one region eu-west-1"), @"
    exit: 0
    --- stderr
    Set `region` of `one` to eu-west-1
    ");
    insta::assert_snapshot!(sandbox.esker("remote modify one url s3://bucket/x"), @"
    exit: 0
    --- stderr
    Set `url` of `one` to s3://bucket/x
    ");
    insta::assert_snapshot!(sandbox.esker("remote set one region --unset"), @"
    exit: 0
    --- stderr
    Took `region` out of `one`
    ");
    let config = sandbox.path(".git/esker/config.toml");
    std::fs::create_dir_all(config.parent().unwrap()).unwrap();
    std::fs::write(&config, "core.remote = \"one\"\n").unwrap();
    insta::assert_snapshot!(sandbox.esker("remote rename one two"), @"
    exit: 0
    --- stderr
    Renamed remote `one` to `two`
    ");
    assert_eq!(
        std::fs::read_to_string(&config).unwrap(),
        "core.remote = \"two\"\n"
    );
    let text = sandbox.read("esker.toml");
    let expected = "[remote.two]\nurl = \"s3://bucket/x\"\ndefault = true\n# the last word\n";
    assert!(text.ends_with(expected), "{text}");
}

#[test]
fn a_change_of_a_remote_that_cannot_be_changes_nothing() {
    let sandbox = Sandbox::project();
    sandbox.ok("remote add one ../one");
    sandbox.ok("remote add two ../two");
    let before = sandbox.read("esker.toml");
    insta::assert_snapshot!(sandbox.esker("remote set one colour red"), @"
    exit: 2
    --- stderr
    error[E0407]: a remote has no key `colour`; it has `url`, `default`, `account_name`, `endpoint_url`, `region`, `profile`, `ca_bundle`, `path_style`, `sse`, `sse_kms_key_id`, `acl`, `jobs`
    ");
    insta::assert_snapshot!(sandbox.esker("remote set tow region x"), @"
    exit: 2
    --- stderr
    error[E0403]: no remote `tow`

    hint: did you mean `two`?
    ");
    let refused = [
        ("remote set one default maybe", "E0407"),
        ("remote set one url --unset", "E0407"),
        ("remote set one endpoint_url http://me:secret@host", "E0201"),
        ("remote rename one two", "E0404"),
        ("remote rename one bad/name", "E0405"),
        ("remote rename three four", "E0403"),
        ("remote trust three", "E0403"),
    ];
    for (line, code) in refused {
        let output = sandbox.esker(line);
        assert_eq!(output.code, 2, "{line}\n{output}");
        assert!(output.stderr.contains(code), "{line}\n{output}");
        assert!(!output.stderr.contains("me:secret"), "{output}");
    }
    assert_eq!(sandbox.read("esker.toml"), before);
}

#[test]
fn a_machine_that_only_git_speaks_for_is_not_signed_in_to() {
    let mut sandbox = Sandbox::pipeline();
    sandbox.set("ESKER_SSH", "/nonexistent/ssh");
    sandbox.ok("remote add far ssh://ada@Far.example:2222/srv/data");
    sandbox.commit("Remote");
    let here = sandbox.esker("push");
    assert!(
        here.stderr.contains("cannot run `/nonexistent/ssh`"),
        "{here}"
    );
    let clone = sandbox.clone_to("clone");
    let there = clone.esker("pull");
    assert!(
        there.stderr.contains("is at `ssh://far.example:2222`"),
        "{there}"
    );
    clone.ok("remote trust far");
    let there = clone.esker("pull");
    assert!(
        there.stderr.contains("cannot run `/nonexistent/ssh`"),
        "{there}"
    );
}
