//! The same travels as in `remote.rs`, to a real S3 server, and all the ways it can say no.

use crate::common::{S3, Sandbox};

fn with_remote() -> (S3, Sandbox, String) {
    let server = S3::server();
    let mut sandbox = Sandbox::pipeline();
    let prefix = server.attach(&mut sandbox);
    sandbox.ok("repro");
    sandbox.commit("Run");
    (server, sandbox, prefix)
}

#[test]
fn what_is_pushed_can_be_pulled_into_a_fresh_clone() {
    let (_, sandbox, _) = with_remote();
    let pushed = sandbox.json("push");
    assert_eq!(pushed["missing"].as_array().unwrap().len(), 0, "{pushed}");
    assert_eq!(sandbox.json("push")["objects"], 0, "nothing new");
    let clone = sandbox.clone_to("clone");
    clone.ok("remote trust s3");
    clone.ok("pull");
    assert_eq!(clone.files(), sandbox.files("project"));
}

#[test]
fn a_thousand_small_files_make_few_objects() {
    let server = S3::server();
    let mut sandbox = Sandbox::project();
    for number in 0..1000 {
        sandbox.write(
            &format!("data/{number}.txt"),
            format!("file number {number}"),
        );
    }
    server.attach(&mut sandbox);
    sandbox.ok("add data");
    sandbox.commit("Data");
    let report = sandbox.json("push");
    assert!(report["objects"].as_u64().unwrap() <= 10, "{report}");
    let clone = sandbox.clone_to("clone");
    clone.ok("remote trust s3");
    clone.ok("pull");
    assert_eq!(clone.files(), sandbox.files("project"));
}

#[test]
fn a_wrong_secret_names_where_the_key_came_from() {
    let (_, mut sandbox, _) = with_remote();
    sandbox.set("AWS_SECRET_ACCESS_KEY", "wrong");
    let output = sandbox.esker("push");
    assert_eq!(output.code, 4, "{output}");
    assert!(
        output.stderr.contains("E0412") && output.stderr.contains("AWS_ACCESS_KEY_ID"),
        "{output}"
    );
}

#[test]
fn a_wrong_key_in_a_profile_names_the_profile() {
    let (server, mut sandbox, _) = with_remote();
    std::fs::create_dir_all(sandbox.root().join("home/.aws")).unwrap();
    std::fs::write(
        sandbox.root().join("home/.aws/credentials"),
        "[team]\naws_access_key_id = AKIAWRONGWRONG7Q2D\naws_secret_access_key = wrong\n",
    )
    .unwrap();
    server.keys(&mut sandbox);
    sandbox.ok(&format!(
        "remote add other s3://{}/other --endpoint-url {} --region us-east-1 --profile team",
        server.bucket, server.endpoint
    ));
    let output = sandbox.esker("push -r other");
    assert_eq!(output.code, 4, "{output}");
    assert!(output.stderr.contains("profile `team`"), "{output}");
    assert!(
        !output.stderr.contains("AKIAWRONGWRONG7Q2D"),
        "keys are shortened: {output}"
    );
}

#[test]
fn no_key_at_all_says_where_it_looked() {
    let (_, mut sandbox, _) = with_remote();
    sandbox.set("AWS_ACCESS_KEY_ID", "");
    sandbox.set("AWS_SECRET_ACCESS_KEY", "");
    let output = sandbox.esker("push");
    assert_eq!(output.code, 4, "{output}");
}

#[test]
fn a_missing_bucket_is_named() {
    let (server, sandbox, _) = with_remote();
    sandbox.ok(&format!(
        "remote add nowhere s3://no-such-bucket/x --endpoint-url {} --region us-east-1",
        server.endpoint
    ));
    let output = sandbox.esker("push -r nowhere");
    assert_eq!(output.code, 4, "{output}");
    assert!(output.stderr.contains("no-such-bucket"), "{output}");
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let (_, sandbox, _) = with_remote();
    sandbox
        .ok("remote add down s3://bucket/x --endpoint-url http://127.0.0.1:1 --region us-east-1");
    let output = sandbox.esker("push -r down");
    assert_eq!(output.code, 4, "{output}");
    assert!(output.stderr.contains("127.0.0.1:1"), "{output}");
}

/// A clone that brings the address of a server along does not show it the keys of whoever cloned.
#[test]
fn a_server_that_only_git_speaks_for_is_shown_no_keys() {
    let (server, sandbox, prefix) = with_remote();
    sandbox.ok("push");
    let clone = sandbox.clone_to("clone");
    let refused = clone.esker("pull");
    assert_eq!(refused.code, 4, "{refused}");
    let said = [
        "error[E0406]",
        &server.endpoint,
        "nothing was sent there",
        "hint: if that is right: esker remote trust s3",
    ];
    for text in said {
        assert!(refused.stderr.contains(text), "{refused}");
    }
    let listed = clone.ok("remote list");
    assert_eq!(
        listed,
        format!("s3  {prefix}  esker.toml  default, not trusted\n")
    );
    let trusted = clone.esker("remote trust s3");
    let expected = format!("Trusted `{}` in this clone", server.endpoint);
    assert!(trusted.stderr.contains(&expected), "{trusted}");
    clone.ok("remote trust s3");
    clone.ok("pull");
    assert_eq!(clone.files(), sandbox.files("project"));
    // Another place under the same name is another question.
    clone.sh("sed -i 's|endpoint_url = .*|endpoint_url = \"http://127.0.0.1:1\"|' esker.toml");
    assert_eq!(clone.esker("push").code, 4);
    assert!(clone.esker("push").stderr.contains("E0406"));
}
