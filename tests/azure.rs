//! The same travels as in `remote.rs`, to a real server of Azure, and the ways it can say no.

use std::os::unix::fs::PermissionsExt;

use crate::common::Sandbox;
use crate::servers::bearer::Door;
use crate::servers::{Tokens, change};

fn var(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("`{name}` is not set: run ./tests/run.sh, which starts the Azure server")
    })
}

/// A project with a remote in a place of its own.
fn with_remote() -> Sandbox {
    let mut sandbox = with_remote_at(&var("ESKER_TEST_AZURE"));
    sandbox.set("AZURE_STORAGE_KEY", &var("ESKER_TEST_AZURE_KEY"));
    sandbox
}

fn with_remote_at(endpoint: &str) -> Sandbox {
    let sandbox = Sandbox::pipeline();
    let id = sandbox.root().file_name().unwrap().to_str().unwrap();
    sandbox.ok(&format!(
        "remote add cloud az://{}/test-{}-{} --default --account-name {} --endpoint-url {endpoint}",
        var("ESKER_TEST_AZURE_CONTAINER"),
        std::process::id(),
        id.replace('.', ""),
        var("ESKER_TEST_AZURE_ACCOUNT"),
    ));
    sandbox.ok("repro");
    sandbox.commit("Run");
    sandbox
}

/// Somebody has signed in with a program `az`, which does this.
fn sign_in(sandbox: &mut Sandbox, script: &str) {
    let (home, bin) = (sandbox.root().join("azure"), sandbox.root().join("bin"));
    for dir in [&home, &bin] {
        std::fs::create_dir_all(dir).unwrap();
    }
    std::fs::write(home.join("azureProfile.json"), "{}").unwrap();
    let az = bin.join("az");
    std::fs::write(&az, format!("#!/bin/sh\n{script}")).unwrap();
    std::fs::set_permissions(&az, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap();
    sandbox.set("PATH", &format!("{}:{path}", bin.display()));
    sandbox.set("AZURE_CONFIG_DIR", home.to_str().unwrap());
}

#[test]
fn what_is_pushed_to_azure_can_be_pulled_into_a_fresh_clone() {
    let sandbox = with_remote();
    sandbox.travels("cloud", || {});
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
    let mut sandbox = with_remote();
    sandbox.set("AZURE_STORAGE_KEY", "");
    sign_in(
        &mut sandbox,
        "echo \"$@\" >&2\necho sign in first >&2\nexit 1\n",
    );
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

/// Hands out a new token each time, until a file is there.
const AZ: &str = r#"
[ "$1 $2 $3 $4" = "account get-access-token --output json" ] || exit 9
[ ! -e "$AZURE_CONFIG_DIR/over" ] || { echo "run az login" >&2; exit 1; }
echo asked >> "$AZURE_CONFIG_DIR/asked"
number=$(wc -l < "$AZURE_CONFIG_DIR/asked")
printf '{"accessToken": "token-%s", "expiresOn": "2099-01-01 00:00:00.000000", ' "$number"
printf '"subscription": "s", "tenant": "t", "tokenType": "Bearer"}\n'
"#;

#[test]
fn a_login_of_azure_that_is_revoked_is_renewed_or_the_next_push_goes_on() {
    let door = Door::to(&var("ESKER_TEST_AZURE"), &var("ESKER_TEST_AZURE_SAS"));
    let mut sandbox = with_remote_at(&door.endpoint);
    sign_in(&mut sandbox, AZ);
    sandbox.ok("push");
    let tokens = Tokens {
        served: &|| door.served(),
        seen: &|| door.shown().len(),
        revoke_after: &|requests| door.revoke_after(requests),
    };
    let requests = tokens.are_renewed(&sandbox);
    change(&sandbox, 2000);
    door.revoke_after(requests / 2);
    let over = sandbox.root().join("azure/over");
    // The login ends with the token: whoever asks for the second one is told to sign in.
    sign_in(
        &mut sandbox,
        &format!("{AZ}touch \"$AZURE_CONFIG_DIR/over\"\n"),
    );
    let output = sandbox.esker("push");
    assert_eq!(output.code, 4, "{output}");
    for part in ["E0413", "the login of `az`", "run az login"] {
        assert!(output.stderr.contains(part), "{part}: {output}");
    }
    std::fs::remove_file(over).unwrap();
    sandbox.ok("push");
    let clone = sandbox.clone_to("clone");
    clone.ok("remote trust cloud");
    std::fs::remove_file(sandbox.root().join("azure/over")).unwrap();
    clone.ok("pull");
    assert_eq!(clone.files(), sandbox.files("project"));
}
