//! The same travels as in `remote.rs`, to a real server of Azure, and the ways it can say no.

use crate::common::Sandbox;

fn var(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("`{name}` is not set: run ./tests/run.sh, which starts the Azure server")
    })
}

/// A project with a remote in a place of its own.
fn with_remote() -> Sandbox {
    let mut sandbox = Sandbox::pipeline();
    sandbox.set("AZURE_STORAGE_KEY", &var("ESKER_TEST_AZURE_KEY"));
    let id = sandbox.root().file_name().unwrap().to_str().unwrap();
    sandbox.ok(&format!(
        "remote add cloud az://{}/test-{}-{} --default --account-name {} --endpoint-url {}",
        var("ESKER_TEST_AZURE_CONTAINER"),
        std::process::id(),
        id.replace('.', ""),
        var("ESKER_TEST_AZURE_ACCOUNT"),
        var("ESKER_TEST_AZURE"),
    ));
    sandbox.ok("repro");
    sandbox.commit("Run");
    sandbox
}

#[test]
fn what_is_pushed_to_azure_can_be_pulled_into_a_fresh_clone() {
    let sandbox = with_remote();
    let pushed = sandbox.json("push");
    assert_eq!(pushed["missing"].as_array().unwrap().len(), 0, "{pushed}");
    assert_eq!(sandbox.json("push")["objects"], 0, "nothing new");
    let clone = sandbox.clone_to("clone");
    let untrusted = clone.esker("pull");
    assert!(untrusted.stderr.contains("E0406"), "{untrusted}");
    clone.ok("remote trust cloud");
    clone.ok("pull");
    assert_eq!(clone.files(), sandbox.files("project"));
    clone.ok("fsck --remote --data");
}

#[test]
fn a_key_of_azure_that_is_refused_or_missing_is_explained() {
    let mut sandbox = with_remote();
    let wrong = "d3Jvbmcga2V5IG9mIGFuIGFjY291bnQgaW4gYSB0ZXN0";
    sandbox.set("AZURE_STORAGE_KEY", wrong);
    let output = sandbox.esker("push");
    assert_eq!(output.code, 4, "{output}");
    for part in [
        "E0412",
        "AZURE_STORAGE_KEY",
        "Storage Blob Data Contributor",
    ] {
        assert!(output.stderr.contains(part), "{output}");
    }
    assert!(!output.stderr.contains(wrong), "{output}");
    sandbox.set("AZURE_STORAGE_KEY", "");
    // Nobody listens there, as on a machine that is none of Azure's.
    sandbox.set("IDENTITY_ENDPOINT", "http://127.0.0.1:1/token");
    let output = sandbox.esker("push");
    assert_eq!(output.code, 4, "{output}");
    for part in ["E0413", "the identity of this machine", "az login"] {
        assert!(output.stderr.contains(part), "{output}");
    }
    sandbox.ok("remote set cloud account_name --unset");
    let output = sandbox.esker("push");
    assert!(
        output.stderr.contains("`AZURE_STORAGE_ACCOUNT`"),
        "{output}"
    );
}

/// What `az` says is taken; the real one takes a person to sign in.
#[test]
fn the_login_of_the_command_line_of_azure_is_asked() {
    use std::os::unix::fs::PermissionsExt;
    let mut sandbox = with_remote();
    sandbox.set("AZURE_STORAGE_KEY", "");
    let (home, bin) = (sandbox.root().join("azure"), sandbox.root().join("bin"));
    for dir in [&home, &bin] {
        std::fs::create_dir_all(dir).unwrap();
    }
    std::fs::write(home.join("azureProfile.json"), "{}").unwrap();
    let az = bin.join("az");
    std::fs::write(
        &az,
        "#!/bin/sh\necho \"$@\" >&2\necho sign in first >&2\nexit 1\n",
    )
    .unwrap();
    std::fs::set_permissions(&az, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap();
    sandbox.set("PATH", &format!("{}:{path}", bin.display()));
    sandbox.set("AZURE_CONFIG_DIR", home.to_str().unwrap());
    let output = sandbox.esker("push");
    assert_eq!(output.code, 4, "{output}");
    for part in [
        "E0413",
        "the login of `az`",
        "account get-access-token",
        "sign in first",
    ] {
        assert!(output.stderr.contains(part), "{output}");
    }
}
