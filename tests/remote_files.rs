//! Remotes, and single keys of them, in the config of a clone and of its user.

use crate::common::{Sandbox, listening_proxy};

/// A project whose `esker.toml` names a bucket on a server of its own.
fn named_by_git() -> Sandbox {
    let sandbox = Sandbox::project();
    sandbox.append(
        "esker.toml",
        "\n[remote.lab]\nurl = \"s3://reviews/main\"\nendpoint_url = \"http://127.0.0.1:1\"\nregion = \"eu\"\n",
    );
    sandbox
}

#[test]
fn a_clone_and_a_user_have_keys_of_their_own() {
    let sandbox = named_by_git();
    let before = sandbox.read("esker.toml");
    insta::assert_snapshot!(sandbox.esker("remote set lab profile me --local"), @"
    exit: 0
    --- stderr
    Set `profile` of `lab` to me in the config of this clone
    ");
    insta::assert_snapshot!(sandbox.esker("remote set lab region us --user"), @"
    exit: 0
    --- stderr
    Set `region` of `lab` to us in your config
    esker.toml says it too, and is used here
    ");
    insta::assert_snapshot!(sandbox.esker("remote set lab ca_bundle ca.pem --user"), @"
    exit: 0
    --- stderr
    Set `ca_bundle` of `lab` to ca.pem in your config
    ");
    insta::assert_snapshot!(sandbox.esker("remote list"), @"
    exit: 0
    --- stdout
    lab  s3://reviews/main  esker.toml + this clone (profile) + user (ca_bundle)  default, not trusted
    ");
    insta::assert_snapshot!(sandbox.ok("remote list --json").replace(sandbox.root().to_str().unwrap(), "$ROOT"), @r#"
    {
      "v": 1,
      "remotes": [
        {
          "name": "lab",
          "url": "s3://reviews/main",
          "default": true,
          "from": "project",
          "keys": {
            "ca_bundle": {
              "value": "$ROOT/project/ca.pem",
              "from": "user"
            },
            "endpoint_url": {
              "value": "http://127.0.0.1:1",
              "from": "project"
            },
            "profile": {
              "value": "me",
              "from": "local"
            },
            "region": {
              "value": "eu",
              "from": "project"
            },
            "url": {
              "value": "s3://reviews/main",
              "from": "project"
            }
          },
          "untrusted": "http://127.0.0.1:1"
        }
      ]
    }
    "#);
    assert_eq!(sandbox.read("esker.toml"), before);
    insta::assert_snapshot!(sandbox.read(".git/esker/config.toml"), @r#"
    [remote.lab]
    profile = "me"
    "#);
    insta::assert_snapshot!(sandbox.esker("remote set lab profile --unset --local"), @"
    exit: 0
    --- stderr
    Took `profile` out of `lab` in the config of this clone
    ");
    assert_eq!(sandbox.read(".git/esker/config.toml"), "");
}

#[test]
fn a_remote_of_the_clone_is_used_and_needs_no_trust() {
    let mut sandbox = Sandbox::pipeline();
    sandbox.set("ESKER_SSH", "/nonexistent/ssh");
    sandbox.ok("remote add far ssh://far.example/srv --local");
    let push = sandbox.esker("push");
    assert!(
        push.stderr.contains("cannot run `/nonexistent/ssh`"),
        "{push}"
    );
    assert!(!sandbox.read("esker.toml").contains("far"));
    assert_eq!(
        sandbox.read(".git/esker/config.toml"),
        "[remote.far]\nurl = \"ssh://far.example/srv\"\n"
    );
    insta::assert_snapshot!(sandbox.esker("remote trust far"), @"
    exit: 0
    --- stderr
    Nothing to trust: `far` needs none
    ");
    // Whoever clones knows nothing of it.
    sandbox.commit("No remote");
    let clone = sandbox.clone_to("clone");
    let pull = clone.esker("pull");
    assert!(pull.stderr.contains("E0401"), "{pull}");
}

#[test]
fn a_server_of_esker_toml_needs_trust_whoever_says_the_rest() {
    let sandbox = named_by_git();
    sandbox.write("data.bin", "bytes");
    sandbox.ok("add data.bin");
    sandbox.ok("remote set lab profile me --local");
    sandbox.ok("remote set lab region us --local");
    let push = sandbox.esker("push");
    assert_eq!(push.code, 4, "{push}");
    assert!(push.stderr.contains("E0406"), "{push}");
    let again = sandbox.esker("remote set lab endpoint_url http://127.0.0.1:2 --local");
    assert_eq!(again.code, 0, "{again}");
    let push = sandbox.esker_with(
        "push",
        &[("AWS_ACCESS_KEY_ID", "k"), ("AWS_SECRET_ACCESS_KEY", "s")],
    );
    assert!(!push.stderr.contains("E0406"), "{push}");
    // Neither another bucket nor taking that back is a yes to the server of esker.toml.
    sandbox.ok("remote set lab endpoint_url --unset --local");
    sandbox.ok("remote set lab url s3://mine/x --local");
    let push = sandbox.esker("push");
    assert!(push.stderr.contains("E0406"), "{push}");
    sandbox.ok("remote set lab url s3://ours/x");
    let push = sandbox.esker("push");
    assert!(push.stderr.contains("E0406"), "{push}");
    sandbox.ok("remote set lab endpoint_url http://127.0.0.1:3");
    let push = sandbox.esker("push");
    assert!(!push.stderr.contains("E0406"), "{push}");
}

#[test]
fn a_directory_in_a_config_is_where_it_was_typed() {
    let sandbox = Sandbox::project();
    sandbox.write("data/a.bin", "bytes");
    sandbox.ok("add data");
    insta::assert_snapshot!(sandbox.try_sh("cd data && esker remote add mine ../../store --local --default"), @"
    exit: 0
    --- stderr
    Added remote `mine` to the config of this clone: $ROOT/store (default)
    next: esker push
    ");
    let text = sandbox.read(".git/esker/config.toml");
    let expected = format!("url = \"{}/store\"\n", sandbox.root().display());
    assert!(text.contains(&expected), "{text}");
    sandbox.ok("push");
    assert!(sandbox.root().join("store").is_dir());
    sandbox.ok("remote add home ~/store --user");
    let user = std::fs::read_to_string(sandbox.root().join("home/.config/esker/config.toml"));
    assert_eq!(user.unwrap(), "[remote.home]\nurl = \"~/store\"\n");
    let list = sandbox.json("remote list");
    assert_eq!(list["remotes"][0]["url"], "$ROOT/home/store", "{list}");
    assert_eq!(list["remotes"][0]["from"], "user", "{list}");
}

#[test]
fn a_rename_takes_along_what_the_clone_says() {
    let sandbox = named_by_git();
    sandbox.ok("remote set lab profile me --local");
    let config = sandbox.read(".git/esker/config.toml");
    sandbox.write(
        ".git/esker/config.toml",
        format!("core.remote = \"lab\"\n{config}"),
    );
    sandbox.ok("remote rename lab shared");
    insta::assert_snapshot!(sandbox.read(".git/esker/config.toml"), @r#"
    core.remote = "shared"
    [remote.shared]
    profile = "me"
    "#);
    insta::assert_snapshot!(sandbox.esker("remote list"), @"
    exit: 0
    --- stdout
    shared  s3://reviews/main  esker.toml + this clone (profile)  default, not trusted
    ");
    insta::assert_snapshot!(sandbox.esker("remote remove shared"), @"
    exit: 0
    --- stderr
    Removed remote `shared` from esker.toml; what it holds stays. It stands in the config of this clone too
    ");
    insta::assert_snapshot!(sandbox.esker("push -r shared"), @"
    exit: 2
    --- stderr
    error[E0410]: nothing says where remote `shared` is: the config of this clone has other keys of it

    hint: if the name is right, the project has no such remote here: esker remote list
    ");
    sandbox.ok("remote remove shared --local");
    assert_eq!(sandbox.ok("remote list"), "");
}

#[test]
fn a_default_of_the_clone_goes_before_that_of_the_project() {
    let sandbox = Sandbox::project();
    sandbox.ok("remote add team ../team --default");
    sandbox.ok("remote add mine ../mine --local");
    let list = sandbox.ok("remote list");
    assert!(
        list.trim_end().ends_with("esker.toml  default"),
        "the project's is not in doubt\n{list}"
    );
    sandbox.ok("remote set mine default true --local");
    sandbox.write("data.bin", "bytes");
    sandbox.ok("add data.bin");
    let report = sandbox.json("push");
    assert_eq!(report["remote"], "mine");
    assert!(!sandbox.root().join("team").exists());
}

#[test]
fn the_file_that_is_not_meant_is_named() {
    let sandbox = Sandbox::project();
    sandbox.ok("remote add team ../team");
    sandbox.ok("remote add mine ../mine --local");
    insta::assert_snapshot!(sandbox.esker("remote set mine region x"), @"
    exit: 2
    --- stderr
    error[E0409]: remote `mine` stands in the config of this clone, not in `esker.toml`

    hint: add `--local`
    ");
    insta::assert_snapshot!(sandbox.esker("remote remove team --local"), @"
    exit: 2
    --- stderr
    error[E0409]: remote `team` stands in `esker.toml`, not in the config of this clone

    hint: leave `--local` and `--user` out
    ");
    insta::assert_snapshot!(sandbox.esker("remote add team ../other --local"), @"
    exit: 2
    --- stderr
    error[E0404]: a remote `team` exists already: ../team

    hint: take another name, or change it: esker remote set team KEY VALUE
    ");
    for (line, code) in [
        ("remote set none region x --local", "E0403"),
        ("remote rename team new --user", "E0409"),
        ("remote rename team mine", "E0404"),
        ("remote set team colour red --local", "E0407"),
        (
            "remote set team endpoint_url http://me:secret@host --local",
            "E0201",
        ),
        ("remote add x ../x --local --user", "cannot be used with"),
    ] {
        let output = sandbox.esker(line);
        assert_eq!(output.code, 2, "{line}\n{output}");
        assert!(output.stderr.contains(code), "{line}\n{output}");
        assert!(!output.stderr.contains("me:secret"), "{output}");
    }
    // A link to where somebody keeps the settings stays one.
    sandbox.sh("mkdir -p ../home/.config/esker ../dotfiles && touch ../dotfiles/esker.toml && ln -s ../../../dotfiles/esker.toml ../home/.config/esker/config.toml");
    sandbox.ok("remote set team region x --user");
    assert_eq!(
        sandbox.sh("cat ../dotfiles/esker.toml"),
        "[remote.team]\nregion = \"x\"\n"
    );
    assert!(
        sandbox
            .sh("readlink ../home/.config/esker/config.toml")
            .contains("dotfiles")
    );
}

#[test]
fn remotes_for_all_projects_do_not_stop_a_git_push() {
    let sandbox = Sandbox::pipeline();
    sandbox.sh("git init --quiet --bare ../origin.git && git remote add origin ../origin.git");
    sandbox.ok("install");
    sandbox.ok("remote add one ../one --user");
    sandbox.ok("remote add two ../two --user");
    sandbox.git("push --quiet origin main");
    assert!(!sandbox.root().join("one").exists());
    // One that is meant is used.
    sandbox.ok("remote set one default true --user");
    sandbox.sh("echo x > note && git add note && git commit --quiet --message Note");
    sandbox.git("push --quiet origin main");
    assert!(sandbox.root().join("one").exists());
}

#[test]
fn a_bucket_may_be_named_by_the_host() {
    for (path_style, expected) in [
        (
            "false",
            [
                "http://reviews.storage.lab:8333/main/",
                "reviews.storage.lab:8333",
            ],
        ),
        (
            "true",
            ["http://storage.lab:8333/reviews/main/", "storage.lab:8333"],
        ),
    ] {
        let (proxy, asked) = listening_proxy();
        let mut sandbox = Sandbox::project();
        sandbox.set("AWS_ACCESS_KEY_ID", "k");
        sandbox.set("AWS_SECRET_ACCESS_KEY", "s");
        sandbox.set("http_proxy", &proxy);
        sandbox.write("data.bin", "bytes");
        sandbox.ok("add data.bin");
        sandbox.ok("remote add lab s3://reviews/main --endpoint-url http://storage.lab:8333");
        sandbox.ok(&format!("remote set lab path_style {path_style}"));
        let push = sandbox.esker("push");
        assert!(push.stderr.contains("E0412"), "{push}");
        let (line, host) = asked.recv().unwrap();
        assert!(line.contains(expected[0]), "{line}");
        assert_eq!(host, expected[1]);
    }
}

#[test]
fn keys_that_make_no_sense_together_are_refused_before_anything_is_sent() {
    let sandbox = Sandbox::project();
    sandbox.write("data.bin", "bytes");
    sandbox.ok("add data.bin");
    sandbox.ok("remote add store ../store");
    sandbox.ok("remote set store sse AES256 --local");
    insta::assert_snapshot!(sandbox.esker("push"), @"
    exit: 2
    --- stderr
    error[E0407]: remote `store` cannot be: `sse` is for S3 alone, not for `../store`
    ");
    assert!(!sandbox.root().join("store").exists());
    sandbox.ok("remote set store sse --unset --local");
    sandbox.ok("remote set store jobs 3");
    sandbox.ok("push");
    insta::assert_snapshot!(sandbox.esker("remote set store sse none"), @"
    exit: 2
    --- stderr
    error[E0407]: `sse` must be one of `AES256`, `aws:kms`
    ");
    insta::assert_snapshot!(sandbox.esker("remote set store jobs many"), @"
    exit: 2
    --- stderr
    error[E0407]: `jobs` must be a whole number from 1 to 256
    ");
}
