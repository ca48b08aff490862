//! Every source of keys that AWS knows, and what is said when one has none. The keys are handed out by
//! a small AWS on the loopback address, which looks for them in every request before a real S3
//! server gets it.

use std::io::{BufRead, BufReader};

use crate::common::{Output, S3, Sandbox};
use crate::servers::amazon::{ASSERTION, Amazon, Behind, CONTAINER, LOGIN, RENEWAL, WRITTEN};

/// A project with a remote behind that AWS, whose every service is found by the environment.
struct Project {
    amazon: Amazon,
    sandbox: Sandbox,
}

impl Project {
    fn new() -> Self {
        let server = S3::server();
        let amazon = Amazon::start(Behind {
            endpoint: server.endpoint.clone(),
            pair: (server.key_id.clone(), server.secret.clone()),
        });
        let mut sandbox = Sandbox::project();
        let place = sandbox.root().file_name().unwrap().to_str().unwrap();
        sandbox.ok(&format!(
            "remote add s3 s3://{}/test-{}-{} --default --endpoint-url {}",
            server.bucket,
            std::process::id(),
            place.replace('.', ""),
            amazon.endpoint
        ));
        for (name, path) in [
            ("AWS_ENDPOINT_URL_STS", "/sts"),
            ("AWS_ENDPOINT_URL_SSO", "/portal"),
            ("AWS_ENDPOINT_URL_SSO_OIDC", "/oidc"),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", ""),
        ] {
            sandbox.set(name, &format!("{}{path}", amazon.endpoint));
        }
        sandbox.write("data.txt", "some text\n");
        sandbox.ok("add data.txt");
        sandbox.commit("Data");
        Self { amazon, sandbox }
    }

    fn set(&mut self, name: &str, value: &str) {
        self.sandbox.set(name, value);
    }

    /// Writes a file below the home directory.
    fn home(&self, path: &str, text: &str) -> String {
        let path = self.sandbox.root().join("home").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn config(&self, text: &str) {
        self.home(".aws/config", text);
    }

    /// The profile `base`, with the key that is written down.
    fn credentials(&self) {
        let (id, secret) = WRITTEN;
        let text = format!("[base]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n");
        self.home(".aws/credentials", &text);
    }

    /// Uses the profile `copied`, with a temporary key that somebody has copied into it: this one.
    fn copied_profile(&mut self) -> String {
        let [id, secret, token] = self.amazon.issue();
        self.home(
            ".aws/credentials",
            &format!(
                "[copied]\naws_access_key_id={id}\naws_secret_access_key={secret}\naws_session_token={token}\n"
            ),
        );
        self.set("AWS_PROFILE", "copied");
        id
    }

    /// What `aws sso login` leaves behind for a session, or for the place where it began.
    fn login(&self, session: &str, token: &str, expiry: &str, more: &str) {
        let name = self.sandbox.sh(&format!("printf %s {session} | sha1sum"));
        let name = name.split_whitespace().next().unwrap();
        let text = format!(r#"{{"accessToken": "{token}", "expiresAt": "{expiry}"{more}}}"#);
        self.home(&format!(".aws/sso/cache/{name}.json"), &text);
    }

    /// Pushes, with nothing but this key, and pulls what was pushed.
    #[track_caller]
    fn travels_with(&self, id: &str) {
        self.sandbox.ok("push");
        assert_eq!(self.amazon.shown(), [id], "{:?}", self.amazon.asked());
        let clone = self.sandbox.clone_to("clone");
        clone.ok("remote trust s3");
        clone.ok("pull");
        assert_eq!(clone.files(), self.sandbox.files("project"));
    }

    /// Cannot push for want of a key; nothing is shown to S3.
    #[track_caller]
    fn has_none(&self) -> Output {
        let output = self.sandbox.esker("push");
        assert_eq!(output.code, 4, "{output}");
        assert!(output.stderr.contains("error[E0413]"), "{output}");
        assert_eq!(self.amazon.shown(), [""; 0]);
        output
    }
}

#[track_caller]
fn says(output: &Output, parts: &[&str]) {
    for part in parts {
        assert!(output.stderr.contains(part), "`{part}`: {output}");
    }
}

const FIRST: &str = "ASIATEMPORARY0000001";
const FUTURE: &str = "2099-01-01T00:00:00Z";
const PAST: &str = "2020-01-01T00:00:00Z";

const SSO: &str = "\
[profile team]
sso_session = ours
sso_account_id = 123456789012
sso_role_name = reader
[sso-session ours]
sso_region = us-east-1
sso_start_url = https://example.invalid/start
[profile old]
sso_region = us-east-1
sso_start_url = https://example.invalid/old
sso_account_id = 123456789012
sso_role_name = reader
[profile worker]
role_arn = arn:aws:iam::123456789012:role/worker
source_profile = team
";

#[test]
fn a_temporary_key_in_the_environment_brings_its_token() {
    let mut project = Project::new();
    let [id, secret, token] = project.amazon.issue();
    project.set("AWS_ACCESS_KEY_ID", &id);
    project.set("AWS_SECRET_ACCESS_KEY", &secret);
    let output = project.sandbox.esker("push");
    assert_eq!(output.code, 4, "{output}");
    says(&output, &["E0412", "InvalidToken", "ASIA…0001"]);
    project.set("AWS_SESSION_TOKEN", &token);
    project.travels_with(&id);
}

#[test]
fn a_temporary_key_in_a_profile_brings_its_token() {
    let mut project = Project::new();
    let id = project.copied_profile();
    project.travels_with(&id);
}

#[test]
fn a_role_is_assumed_with_the_key_of_another_profile() {
    let mut project = Project::new();
    project.credentials();
    project.config(
        "[profile worker]\nrole_arn = arn:aws:iam::123456789012:role/worker\nsource_profile = base\n\
         [profile again]\nrole_arn = arn:aws:iam::123456789012:role/again\nsource_profile = worker\n",
    );
    project.set("AWS_PROFILE", "again");
    project.travels_with("ASIATEMPORARY0000002");
    let asked = [
        format!(
            "AssumeRole arn:aws:iam::123456789012:role/worker by {}",
            WRITTEN.0
        ),
        format!("AssumeRole arn:aws:iam::123456789012:role/again by {FIRST}"),
    ];
    assert_eq!(project.amazon.asked()[..2], asked);
}

#[test]
fn a_role_is_assumed_with_the_key_of_the_environment() {
    let mut project = Project::new();
    let (id, secret) = WRITTEN;
    project.set("AWS_ACCESS_KEY_ID", id);
    project.set("AWS_SECRET_ACCESS_KEY", secret);
    project.config(
        "[profile worker]\nrole_arn = arn:aws:iam::123456789012:role/worker\n\
         credential_source = Environment\n",
    );
    project.sandbox.ok("remote set s3 profile worker");
    project.sandbox.commit("Name the profile");
    project.travels_with(FIRST);
}

#[test]
fn a_role_that_may_not_be_assumed_says_so() {
    let mut project = Project::new();
    project.home(
        ".aws/credentials",
        "[base]\naws_access_key_id = AKIAUNKNOWN\naws_secret_access_key = s\n",
    );
    project.config("[profile worker]\nrole_arn = arn:aws:iam::123456789012:role/worker\nsource_profile = base\n");
    project.set("AWS_PROFILE", "worker");
    says(
        &project.has_none(),
        &["profile `worker`", "InvalidAccessKeyId"],
    );
}

#[test]
fn a_login_of_single_sign_on_is_enough() {
    for (profile, session) in [("team", "ours"), ("old", "https://example.invalid/old")] {
        let mut project = Project::new();
        project.config(SSO);
        project.login(session, LOGIN, FUTURE, "");
        project.set("AWS_PROFILE", profile);
        project.travels_with(FIRST);
        let asked = format!("portal 123456789012 reader by {LOGIN}");
        assert_eq!(project.amazon.asked()[0], asked);
    }
}

#[test]
fn a_login_that_is_over_is_renewed() {
    let mut project = Project::new();
    project.config(SSO);
    let more = format!(
        r#", "clientId": "c", "clientSecret": "s", "registrationExpiresAt": "{FUTURE}", "refreshToken": "{RENEWAL}""#
    );
    project.login("ours", "login-0", PAST, &more);
    project.set("AWS_PROFILE", "team");
    project.travels_with(FIRST);
    let asked = ["renewal", "portal 123456789012 reader by login-2"];
    assert_eq!(project.amazon.asked()[..2], asked);
    // The renewed one is kept where the other tools of AWS find it: it was not renewed again.
    assert_eq!(
        project
            .amazon
            .asked()
            .iter()
            .filter(|asked| *asked == "renewal")
            .count(),
        1
    );
}

#[test]
fn a_role_is_assumed_with_single_sign_on() {
    let mut project = Project::new();
    project.config(SSO);
    project.login("ours", LOGIN, FUTURE, "");
    project.set("AWS_PROFILE", "worker");
    project.travels_with("ASIATEMPORARY0000002");
}

/// Whatever keeps a login from being one, the way out is to sign in, to the profile that has it.
#[test]
fn without_a_login_the_way_to_sign_in_is_named() {
    let more = format!(
        r#", "clientId": "c", "clientSecret": "s", "registrationExpiresAt": "{FUTURE}", "refreshToken": "spent""#
    );
    for (profile, session, holder) in [
        ("team", "ours", "team"),
        ("old", "https://example.invalid/old", "old"),
        ("worker", "ours", "team"),
    ] {
        let mut project = Project::new();
        project.config(SSO);
        project.set("AWS_PROFILE", profile);
        let hint = format!("hint: aws sso login --profile {holder}\n");
        let source = format!("profile `{profile}`");
        says(&project.has_none(), &[&hint, &source]);
        // It is over.
        project.login(session, "login-0", PAST, "");
        says(&project.has_none(), &[&hint, &source]);
        // It is over, and cannot be renewed.
        project.login(session, "login-0", PAST, &more);
        says(&project.has_none(), &[&hint, &source]);
        // Somebody has ended it.
        project.login(session, "login-0", FUTURE, "");
        says(&project.has_none(), &[&hint, &source]);
        // What it is in is no login.
        project.login(session, "login-0", "soon", "");
        says(&project.has_none(), &[&hint, &source]);
    }
}

/// To sign in again would be of no use.
#[test]
fn a_portal_that_nobody_reaches_is_not_a_login_that_is_over() {
    let mut project = Project::new();
    project.config(SSO);
    project.login("ours", LOGIN, FUTURE, "");
    project.set("AWS_PROFILE", "team");
    project.set("AWS_ENDPOINT_URL_SSO", "http://127.0.0.1:1");
    let output = project.has_none();
    assert!(!output.stderr.contains("aws sso login"), "{output}");
    says(
        &output,
        &[
            "cannot reach http://127.0.0.1:1: ",
            "hint: check the network",
        ],
    );
}

/// A kind of login that came later, and has nothing to do with single sign-on.
#[test]
fn a_profile_that_cannot_be_used_says_why_and_not_how_this_was_built() {
    let mut project = Project::new();
    project.config("[profile new]\nlogin_session = arn:aws:iam::123456789012:user/ada\n");
    project.set("AWS_PROFILE", "new");
    let output = project.has_none();
    says(
        &output,
        &[
            "in profile `new`: it signs in by `aws login`",
            "hint: correct that profile",
        ],
    );
    assert!(!output.stderr.contains("cargo"), "{output}");
}

#[test]
fn an_identity_that_somebody_vouches_for_is_enough() {
    let mut project = Project::new();
    let path = project.home("token", ASSERTION);
    project.set("AWS_WEB_IDENTITY_TOKEN_FILE", &path);
    project.set("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/pod");
    project.travels_with(FIRST);
    let asked =
        format!("AssumeRoleWithWebIdentity arn:aws:iam::123456789012:role/pod by {ASSERTION}");
    assert_eq!(project.amazon.asked()[0], asked);
}

#[test]
fn an_identity_that_somebody_vouches_for_may_stand_in_a_profile() {
    let mut project = Project::new();
    let path = project.home("token", ASSERTION);
    project.config(&format!(
        "[default]\nrole_arn = arn:aws:iam::123456789012:role/pod\nweb_identity_token_file = {path}\n"
    ));
    project.set("AWS_PROFILE", "default");
    project.travels_with(FIRST);
}

/// The machine would answer next, and it is somebody else.
#[test]
fn half_an_identity_does_not_fall_through_to_the_machine() {
    let mut project = Project::new();
    let path = project.home("token", ASSERTION);
    project.set("AWS_EC2_METADATA_DISABLED", "");
    project.set("AWS_WEB_IDENTITY_TOKEN_FILE", &path);
    says(
        &project.has_none(),
        &["AWS_WEB_IDENTITY_TOKEN_FILE", "`AWS_ROLE_ARN` is not set"],
    );
    project.set("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/pod");
    project.home("token", "forged");
    says(
        &project.has_none(),
        &["AWS_WEB_IDENTITY_TOKEN_FILE", "InvalidIdentityToken"],
    );
}

#[test]
fn a_program_of_a_profile_brings_a_temporary_key() {
    let mut project = Project::new();
    let [id, secret, token] = project.amazon.issue();
    let answer = serde_json::json!({
        "Version": 1, "AccessKeyId": id, "SecretAccessKey": secret, "SessionToken": token,
        "Expiration": FUTURE,
    });
    let path = project.home("two words.json", &answer.to_string());
    project.config(&format!(
        "[profile tool]\ncredential_process = cat \"{path}\"\n"
    ));
    project.set("AWS_PROFILE", "tool");
    project.travels_with(&id);
}

#[test]
fn the_role_of_a_machine_is_asked_for_by_the_second_version() {
    let mut project = Project::new();
    project.set("AWS_EC2_METADATA_DISABLED", "");
    project.travels_with(FIRST);
    assert_eq!(project.amazon.asked()[0], "machine");
}

#[test]
fn a_container_gets_its_key_for_what_it_shows() {
    for is_file in [false, true] {
        let mut project = Project::new();
        let url = format!("{}/container", project.amazon.endpoint);
        project.set("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url);
        let refused = project.has_none();
        says(&refused, &["AWS_CONTAINER_CREDENTIALS_FULL_URI", "401"]);
        match is_file {
            true => {
                let path = project.home("container", CONTAINER);
                project.set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &path);
            }
            false => project.set("AWS_CONTAINER_AUTHORIZATION_TOKEN", CONTAINER),
        }
        project.travels_with(FIRST);
        assert_eq!(project.amazon.asked()[0], "container");
    }
}

impl Project {
    /// New data that cannot be made smaller, so much of it, in a commit.
    fn grow(&self, name: &str, bytes: usize) {
        let mut noise = vec![0; bytes];
        let mut source = blake3::Hasher::new();
        source
            .update(name.as_bytes())
            .finalize_xof()
            .fill(&mut noise);
        self.sandbox.write(name, noise);
        self.sandbox.ok(&format!("add {name}"));
        self.sandbox.commit(name);
    }

    /// The requests of a push of something new.
    fn requests(&self) -> usize {
        self.grow("measured.bin", 1000);
        let before = self.amazon.served();
        self.sandbox.ok("push");
        self.amazon.served() - before
    }

    /// A temporary key that somebody has copied into the environment.
    fn copy(&mut self) -> String {
        let [id, secret, token] = self.amazon.issue();
        self.set("AWS_ACCESS_KEY_ID", &id);
        self.set("AWS_SECRET_ACCESS_KEY", &secret);
        self.set("AWS_SESSION_TOKEN", &token);
        id
    }

    #[track_caller]
    fn is_in_a_fresh_clone(&self, name: &str) {
        let clone = self.sandbox.clone_to(name);
        clone.ok("remote trust s3");
        clone.ok("pull");
        assert_eq!(clone.files(), self.sandbox.files("project"));
    }
}

/// Wherever in a push or a pull the key expires, a machine gets another, once, and goes on.
#[test]
fn a_key_that_expires_at_any_request_is_renewed() {
    let mut project = Project::new();
    project.set("AWS_EC2_METADATA_DISABLED", "");
    let requests = project.requests();
    assert!(requests > 4, "{requests}");
    for after in 0..requests {
        project.grow(&format!("{after}.bin"), 1000);
        let before = project.amazon.asked().len();
        project.amazon.expire_after(after);
        project.sandbox.ok("push");
        let asked = project.amazon.asked().len() - before;
        assert_eq!(
            asked, 2,
            "{after}: the key that it began with, and one more"
        );
    }
    let before = project.amazon.served();
    project.is_in_a_fresh_clone("whole");
    let requests = project.amazon.served() - before;
    for after in 0..requests {
        let before = project.amazon.asked().len();
        project.amazon.expire_after(after);
        project.is_in_a_fresh_clone(&format!("clone-{after}"));
        assert_eq!(project.amazon.asked().len() - before, 2, "{after}");
    }
}

/// Nobody can renew what somebody has copied. Another key goes on where that one stopped.
#[test]
fn a_key_that_expires_and_is_the_only_one_loses_nothing() {
    let mut project = Project::new();
    project.copy();
    let requests = project.requests();
    for after in 0..requests {
        let id = project.copy();
        let short = format!("ASIA…{}", &id[id.len() - 4..]);
        project.grow(&format!("{after}.bin"), 1000);
        project.amazon.expire_after(after);
        let output = project.sandbox.esker("push");
        assert_eq!(output.code, 4, "{after}: {output}");
        says(
            &output,
            &[
                "error[E0420]",
                &short,
                "from AWS_ACCESS_KEY_ID has expired",
                "what was sent or received is kept",
                "hint: set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN",
            ],
        );
        project.copy();
        project.sandbox.ok("push");
        project.is_in_a_fresh_clone(&format!("clone-{after}"));
    }
}

#[test]
fn what_was_sent_before_a_key_expired_is_not_sent_again() {
    let mut project = Project::new();
    project.copy();
    let requests = project.requests();
    project.grow("large.bin", 3_000_000);
    // The last but one request: the pack is there, and nothing that names it.
    project.amazon.expire_after(requests - 2);
    assert_eq!(project.sandbox.esker("push").code, 4);
    let before = project.amazon.received();
    assert!(before > 3_000_000, "{before}");
    project.copy();
    project.sandbox.ok("push");
    let again = project.amazon.received() - before;
    assert!(again < 100_000, "{again}");
    project.is_in_a_fresh_clone("clone");
}

#[test]
fn a_pull_goes_on_where_the_key_expired() {
    let mut project = Project::new();
    project.copy();
    for number in 0..3 {
        project.grow(&format!("{number}.bin"), 1000);
        project.sandbox.ok("push");
    }
    project.is_in_a_fresh_clone("whole");
    let before = project.amazon.served();
    project.is_in_a_fresh_clone("again");
    let requests = project.amazon.served() - before;
    for after in 0..requests {
        project.copy();
        let name = format!("clone-{after}");
        project.sandbox.clone_to(&name).ok("remote trust s3");
        project.amazon.expire_after(after);
        let output = project.sandbox.esker(&format!("-C ../{name} pull"));
        assert_eq!(output.code, 4, "{after}: {output}");
        says(
            &output,
            &["error[E0420]", "from AWS_ACCESS_KEY_ID has expired"],
        );
        project.copy();
        project.sandbox.ok(&format!("-C ../{name} pull"));
        assert_eq!(
            project.sandbox.files(&name),
            project.sandbox.files("project")
        );
    }
}

/// A profile that some tool keeps: the hint is to renew it.
#[test]
fn an_expired_key_in_a_profile_names_the_profile() {
    let mut project = Project::new();
    project.copied_profile();
    project.amazon.expire_after(0);
    let output = project.sandbox.esker("push");
    assert_eq!(output.code, 4, "{output}");
    says(
        &output,
        &[
            "error[E0420]",
            "profile `copied`",
            "hint: write a new key into that profile",
        ],
    );
}

/// The login ended with the key: there is nobody to ask, and the way to sign in is named.
#[test]
fn a_login_that_ends_in_the_middle_of_a_push_says_how_to_go_on() {
    let mut project = Project::new();
    project.config(SSO);
    project.set("AWS_PROFILE", "team");
    project.login("ours", LOGIN, FUTURE, "");
    let requests = project.requests();
    project.grow("more.bin", 1000);
    project.amazon.end_logins();
    project.amazon.expire_after(requests / 2);
    let output = project.sandbox.esker("push");
    assert_eq!(output.code, 4, "{output}");
    says(
        &output,
        &["error[E0413]", "hint: aws sso login --profile team\n"],
    );
}

#[test]
fn a_bucket_in_another_region_is_found_by_the_command_that_is_named() {
    for word in ["PermanentRedirect", "AuthorizationHeaderMalformed"] {
        let mut project = Project::new();
        let id = project.copy();
        project.amazon.move_to("eu-west-1", word);
        project.set("AWS_REGION", "us-west-2");
        let output = project.sandbox.esker("push");
        assert_eq!(output.code, 4, "{output}");
        says(
            &output,
            &[
                "error[E0421]",
                "is not in region `us-west-2`, but in `eu-west-1`",
                "hint: esker remote set s3 region eu-west-1\n",
            ],
        );
        project.sandbox.ok("remote set s3 region eu-west-1");
        project.sandbox.commit("Name the region");
        project.travels_with(&id);
    }
}

#[test]
fn a_clock_that_is_wrong_is_named_with_what_the_other_says() {
    let mut project = Project::new();
    project.copy();
    project.amazon.skew();
    let output = project.sandbox.esker("push");
    assert_eq!(output.code, 4, "{output}");
    says(
        &output,
        &[
            "error[E0422]",
            "the clock of this machine",
            "2026-01-01T01:00:00Z",
            "date --utc",
        ],
    );
    assert!(!output.stderr.contains("key"), "{output}");
}

/// A line with TLS, the certificate of which an authority of its own has signed.
const TLS_LINE: &str = r#"
import socket, ssl, sys, threading
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("cert", "key")
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
def carry(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass
while True:
    client = listener.accept()[0]
    try:
        client = context.wrap_socket(client, server_side=True)
    except OSError:
        continue
    server = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    threading.Thread(target=carry, args=(client, server), daemon=True).start()
    threading.Thread(target=carry, args=(server, client), daemon=True).start()
"#;

/// A process that ends with the test.
struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// As where a company looks into all that goes out: whoever hands out keys is trusted like the bucket.
#[test]
fn a_private_authority_is_trusted_by_those_who_ask_for_keys() {
    let mut project = Project::new();
    project.sandbox.sh("mkdir ../tls && cd ../tls && \
         openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=ca \
         -addext basicConstraints=critical,CA:TRUE && \
         openssl req -newkey rsa:2048 -nodes -keyout key -out request -subj /CN=server && \
         printf 'subjectAltName=IP:127.0.0.1' > extensions && \
         openssl x509 -req -in request -CA ca.pem -CAkey ca.key -CAcreateserial \
         -extfile extensions -out cert");
    let dir = project.sandbox.root().join("tls");
    let (_, port) = project.amazon.endpoint.rsplit_once(':').unwrap();
    let mut line = std::process::Command::new("python3");
    line.args(["-c", TLS_LINE, port]).current_dir(&dir);
    let line = line.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut line = Ended(line);
    let mut said = BufReader::new(line.0.stdout.take().unwrap());
    let mut port = String::new();
    said.read_line(&mut port).unwrap();
    let url = format!("https://127.0.0.1:{}", port.trim());
    project.config(SSO);
    project.login("ours", LOGIN, FUTURE, "");
    project.set("AWS_PROFILE", "worker");
    project.set("AWS_ENDPOINT_URL_SSO", &format!("{url}/portal"));
    project.set("AWS_ENDPOINT_URL_STS", &format!("{url}/sts"));
    project
        .sandbox
        .ok(&format!("remote set s3 endpoint_url {url}"));
    project.sandbox.commit("Name the line");
    let stranger = project.has_none();
    assert!(!stranger.stderr.contains("aws sso login"), "{stranger}");
    let bundle = dir.join("ca.pem").display().to_string();
    project.set("AWS_CA_BUNDLE", &bundle);
    project.travels_with("ASIATEMPORARY0000002");
}
