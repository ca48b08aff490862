//! The same travels as in `remote.rs`, to a Google Cloud Storage in memory, and the ways it can say no.

use crate::common::Sandbox;
use crate::servers::Tokens;
use crate::servers::google::{Account, BUCKET, Google};

/// A project with a remote there.
fn with_remote() -> (Google, Sandbox) {
    let google = Google::start();
    let mut sandbox = Sandbox::pipeline();
    // Whoever comes without a file comes as the machine.
    let (_, host) = google.endpoint.split_once("://").unwrap();
    sandbox.set("GCE_METADATA_HOST", host);
    sandbox.ok(&format!(
        "remote add cloud gs://{BUCKET}/line --default --endpoint-url {}",
        google.endpoint
    ));
    sandbox.ok("repro");
    sandbox.commit("Run");
    (google, sandbox)
}

#[test]
fn what_is_pushed_to_google_can_be_pulled_into_a_fresh_clone() {
    let (google, mut sandbox) = with_remote();
    let dir = sandbox.root().join("account");
    std::fs::create_dir_all(&dir).unwrap();
    let account = Account::new(&dir);
    let file = account.path("account.json").display().to_string();
    sandbox.set("GOOGLE_APPLICATION_CREDENTIALS", &file);
    sandbox.travels("cloud", || {
        google.refuse(2, "503 Service Unavailable", "ServiceUnavailable");
    });
    assert!(
        google.asked().is_empty(),
        "the account signs its own tokens"
    );
}

/// A token of a machine that is revoked is asked for again, wherever in a push that is.
#[test]
fn a_token_of_google_that_is_revoked_is_renewed() {
    let (google, sandbox) = with_remote();
    sandbox.ok("push");
    let tokens = Tokens {
        served: &|| google.served(),
        seen: &|| google.asked().len(),
        revoke_after: &|requests| google.revoke_after(requests),
    };
    tokens.are_renewed(&sandbox);
    let clone = sandbox.clone_to("clone");
    clone.ok("remote trust cloud");
    clone.ok("pull");
    assert_eq!(clone.files(), sandbox.files("project"));
}

#[test]
fn what_google_refuses_is_explained() {
    let (google, mut sandbox) = with_remote();
    google.refuse(usize::MAX, "403 Forbidden", "AccessDenied");
    let output = sandbox.esker("push");
    assert_eq!(output.code, 4, "{output}");
    for part in [
        "E0412",
        "the service account of this machine",
        "Storage Object User",
    ] {
        assert!(output.stderr.contains(part), "{part}: {output}");
    }
    assert_eq!(google.tokens().len(), 1);
    let file = sandbox.root().join("login.json");
    std::fs::write(&file, r#"{"type": "impersonated_service_account"}"#).unwrap();
    sandbox.set("GOOGLE_APPLICATION_CREDENTIALS", file.to_str().unwrap());
    let output = sandbox.esker("push");
    assert_eq!(output.code, 4, "{output}");
    for part in [
        "E0418",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "`external_account`",
    ] {
        assert!(output.stderr.contains(part), "{part}: {output}");
    }
}
