use super::*;
use crate::remote::transport::tests::google::{Account, BUCKET, Google, SUBJECT};
use crate::remote::transport::tests::s3_server_tests::{assert_refused, failures};
use crate::remote::transport::tests::{bytes, keeps_the_contract};
use crate::remote::transport::{Bucket, Transport};
use crate::remote::{Address, Error};

/// A service account, and a place for its files.
struct Signed {
    account: Account,
    _dir: tempfile::TempDir,
}

impl Signed {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            account: Account::new(dir.path()),
            _dir: dir,
        }
    }

    fn open(&self, google: &Google, bucket: &str) -> Bucket {
        open(google, bucket, &self.account.path("account.json")).unwrap()
    }
}

fn open(google: &Google, bucket: &str, file: &Path) -> Result<Bucket, Error> {
    let path = file.display().to_string();
    Bucket::open(&address(google, bucket), &|name| {
        (name == "GOOGLE_APPLICATION_CREDENTIALS").then(|| path.clone())
    })
}

fn address(google: &Google, bucket: &str) -> Address {
    Address {
        name: "gs".to_owned(),
        url: format!("gs://{bucket}/p/q"),
        endpoint_url: Some(google.endpoint.clone()),
        ..Address::default()
    }
}

#[test]
fn google_keeps_the_contract() {
    let (google, account) = (Google::start(), Signed::new());
    keeps_the_contract(&account.open(&google, BUCKET));
}

/// The token is signed by the account itself, and by nobody else.
#[test]
fn a_service_account_signs_its_own_token() {
    let (google, account) = (Google::start(), Signed::new());
    account.open(&google, BUCKET).put("a", &bytes("x")).unwrap();
    let [token] = &google.tokens()[..] else {
        panic!("one token is enough");
    };
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    let json = |part: &str| -> serde_json::Value { serde_json::from_slice(&base64(part)).unwrap() };
    let (header, claims) = (json(header), json(claims));
    assert_eq!(header["alg"], "RS256");
    assert_eq!(header["kid"], "the-key");
    for name in ["iss", "sub"] {
        assert_eq!(claims[name], "esker@acme.example");
    }
    let scope = claims["scope"].as_str().unwrap();
    assert!(
        scope.starts_with("https://www.googleapis.com/auth/"),
        "{scope}"
    );
    let lifetime = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
    assert_eq!(lifetime, 3600);
    let account = &account.account;
    fs::write_new(&account.path("signed"), signed.as_bytes()).unwrap();
    fs::write_new(&account.path("signature"), &base64(signature)).unwrap();
    account.run("openssl dgst -sha256 -verify public.pem -signature signature signed");
}

/// What is written with `-` and `_`, and without the end.
fn base64(text: &str) -> Vec<u8> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (mut bytes, mut held, mut bits) = (Vec::new(), 0_u32, 0);
    for letter in text.bytes() {
        let value = LETTERS.iter().position(|known| *known == letter).unwrap();
        held = (held << 6) | u32::try_from(value).unwrap();
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits).to_le_bytes()[0]);
        }
    }
    bytes
}

#[test]
fn who_may_not_is_told_which_login_that_was() {
    let (google, account) = (Google::start(), Signed::new());
    let bucket = account.open(&google, BUCKET);
    for (status, code) in [
        ("403 Forbidden", "AccessDenied"),
        ("401 Unauthorized", "AuthenticationRequired"),
    ] {
        google.refuse(usize::MAX, status, code);
        for failure in failures(&bucket) {
            let source = "GOOGLE_APPLICATION_CREDENTIALS";
            assert_refused(&failure, Some(code), None, source);
        }
    }
}

#[test]
fn a_missing_bucket_of_google_is_named() {
    let (google, account) = (Google::start(), Signed::new());
    for (act, error) in failures(&account.open(&google, "elsewhere")) {
        let Error::NoBucket { bucket, .. } = &error else {
            panic!("{act}: {error:?}");
        };
        assert_eq!(bucket, "elsewhere");
    }
}

#[test]
fn google_is_asked_again_when_it_has_trouble() {
    let (google, account) = (Google::start(), Signed::new());
    let bucket = account.open(&google, BUCKET);
    bucket.put("a", &bytes("x")).unwrap();
    for (status, code) in [
        ("429 Too Many Requests", "SlowDown"),
        ("503 Service Unavailable", "ServiceUnavailable"),
    ] {
        let before = google.served();
        google.refuse(2, status, code);
        assert_eq!(bucket.get("a").unwrap().unwrap(), "x");
        assert_eq!(google.served() - before, 3, "{status}");
    }
}

#[test]
fn an_object_in_the_way_at_google_is_no_error() {
    let (google, account) = (Google::start(), Signed::new());
    let bucket = account.open(&google, BUCKET);
    assert!(bucket.put_if_absent("a", &bytes("x")).unwrap());
    assert!(!bucket.put_if_absent("a", &bytes("y")).unwrap());
    google.refuse(1, "412 Precondition Failed", "PreconditionFailed");
    assert!(!bucket.put_if_absent("b", &bytes("x")).unwrap());
}

#[test]
fn the_first_source_of_google_is_used_and_named() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join(".config/gcloud");
    fs::create_dir_all(&dir).unwrap();
    let path = home.path().display().to_string();
    let find = |named: Option<&str>| {
        let var = |name: &str| match name {
            "HOME" => Some(path.clone()),
            "GOOGLE_APPLICATION_CREDENTIALS" => named.map(str::to_owned),
            _ => None,
        };
        Source::find(&var).name
    };
    assert_eq!(find(None), "the service account of this machine");
    fs::write_new(&dir.join("application_default_credentials.json"), b"{}").unwrap();
    assert_eq!(find(None), "the login of `gcloud`");
    assert_eq!(find(Some("  ")), "the login of `gcloud`");
    assert_eq!(find(Some("/key.json")), "GOOGLE_APPLICATION_CREDENTIALS");
}

#[test]
fn a_file_without_credentials_is_named_and_not_shown() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key.json");
    let google = Google::start();
    let files = [
        ("hunter2", "is not JSON"),
        (
            r#"{"type": "service_account", "secret": "hunter2"}"#,
            "private_key",
        ),
        (
            r#"{"type": "external_account", "secret": "hunter2"}"#,
            "audience",
        ),
        (
            r#"{"type": "impersonated_service_account", "secret": "hunter2"}"#,
            "`impersonated_service_account`; what works is `service_account`, `authorized_user` and `external_account`",
        ),
    ];
    for (text, part) in files {
        fs::replace(&path, text.as_bytes()).unwrap();
        let error = open(&google, BUCKET, &path).unwrap_err().to_string();
        assert!(error.contains("GOOGLE_APPLICATION_CREDENTIALS"), "{error}");
        assert!(error.contains(part), "{part}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

/// A file for somebody else's word, which is to be had from there.
fn external(google: &Google, source: &serde_json::Value, account: bool) -> serde_json::Value {
    let mut file = serde_json::json!({
        "type": "external_account",
        "audience": "//iam.googleapis.com/pool",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": format!("{}/exchange", google.endpoint),
        "credential_source": source,
    });
    if account {
        file["service_account_impersonation_url"] = format!("{}/speak", google.endpoint).into();
    }
    file
}

#[test]
fn the_word_of_somebody_else_is_exchanged_for_a_token() {
    let dir = tempfile::tempdir().unwrap();
    let (path, word) = (dir.path().join("file.json"), dir.path().join("word"));
    let google = Google::start();
    let url = format!("{}/subject", google.endpoint);
    let json = serde_json::json!({"type": "json", "subject_token_field_name": "value"});
    let sources = [
        (SUBJECT.to_owned() + "\n", serde_json::json!({"file": word})),
        (
            serde_json::json!({"value": SUBJECT}).to_string(),
            serde_json::json!({"file": word, "format": json}),
        ),
        (
            String::new(),
            serde_json::json!({"url": url, "headers": {"X-Caller": "esker"}, "format": json}),
        ),
    ];
    for (text, source) in sources {
        for account in [false, true] {
            fs::replace(&word, text.as_bytes()).unwrap();
            let file = external(&google, &source, account).to_string();
            fs::replace(&path, file.as_bytes()).unwrap();
            let before = google.asked().len();
            let bucket = open(&google, BUCKET, &path).unwrap();
            bucket.put("a", &bytes("x")).unwrap();
            assert_eq!(bucket.get("a").unwrap().unwrap(), "x");
            let asked = &google.asked()[before..];
            assert_eq!(
                asked.len(),
                if account { 2 } else { 1 },
                "one token is enough: {asked:?}"
            );
            let scope = if account {
                "auth/cloud-platform"
            } else {
                "auth/devstorage.full_control"
            };
            for part in [
                "grant-type:token-exchange",
                "audience=//iam.googleapis.com/pool",
                scope,
            ] {
                assert!(asked[0].contains(part), "{part}: {asked:?}");
            }
            let shown = google.tokens().pop().unwrap();
            assert!(
                shown.starts_with(if account { "account-" } else { "federated-" }),
                "{shown}"
            );
        }
    }
}

#[test]
fn a_word_that_nobody_believes_or_gives_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (path, word) = (dir.path().join("file.json"), dir.path().join("word"));
    fs::write_new(&word, b"forged").unwrap();
    let google = Google::start();
    let sources = [
        (serde_json::json!({"file": word}), "/exchange answered 400"),
        (
            serde_json::json!({"file": dir.path().join("absent")}),
            "absent",
        ),
        (
            serde_json::json!({"environment_id": "aws1"}),
            "neither a file nor a URL",
        ),
        (
            serde_json::json!({"file": word, "format": {"type": "json", "subject_token_field_name": "v"}}),
            "not in the format",
        ),
        (
            serde_json::json!({"url": "http://127.0.0.1:1/x"}),
            "http://127.0.0.1:1/x",
        ),
    ];
    for (source, part) in sources {
        let file = external(&google, &source, false).to_string();
        fs::replace(&path, file.as_bytes()).unwrap();
        let error = open(&google, BUCKET, &path).unwrap().get("a").unwrap_err();
        let Error::NoCredentials {
            key_source, detail, ..
        } = &error
        else {
            panic!("{error:?}");
        };
        assert_eq!(key_source, "GOOGLE_APPLICATION_CREDENTIALS");
        assert!(detail.contains(part), "{part}: {detail}");
        assert!(!detail.contains("forged"), "{detail}");
    }
}

#[test]
fn a_token_that_is_revoked_is_exchanged_again() {
    let dir = tempfile::tempdir().unwrap();
    let (path, word) = (dir.path().join("file.json"), dir.path().join("word"));
    fs::write_new(&word, SUBJECT.as_bytes()).unwrap();
    let google = Google::start();
    let file = external(&google, &serde_json::json!({"file": word}), true);
    fs::write_new(&path, file.to_string().as_bytes()).unwrap();
    let bucket = open(&google, BUCKET, &path).unwrap();
    bucket.put("a", &bytes("x")).unwrap();
    google.revoke_after(0);
    assert_eq!(bucket.get("a").unwrap().unwrap(), "x");
    assert_eq!(google.tokens(), ["account-2", "account-4"]);
}
