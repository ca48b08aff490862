use std::path::PathBuf;

use super::*;
use crate::remote::transport::tests::google::{BUCKET, Google};
use crate::remote::transport::tests::s3_server_tests::{assert_refused, failures};
use crate::remote::transport::tests::ssh_server_tests::run;
use crate::remote::transport::tests::{bytes, keeps_the_contract};
use crate::remote::transport::{Bucket, Transport};
use crate::remote::{Address, Error};

/// A service account with a key of its own.
struct Account {
    dir: tempfile::TempDir,
}

impl Account {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let script = format!(
            "cd {} && openssl genrsa -out key.pem 2048 && openssl rsa -in key.pem -pubout -out public.pem",
            dir.path().display()
        );
        run("sh", &["-c", &script]);
        let key = fs::read(&dir.path().join("key.pem")).unwrap();
        let file = serde_json::json!({
            "type": "service_account",
            "private_key": String::from_utf8(key).unwrap(),
            "private_key_id": "the-key",
            "client_email": "esker@acme.example",
        });
        let text = file.to_string();
        fs::write_new(&dir.path().join("account.json"), text.as_bytes()).unwrap();
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn open(&self, google: &Google, bucket: &str) -> Bucket {
        let path = self.path("account.json").display().to_string();
        Bucket::open(&address(google, bucket), &|name| {
            (name == "GOOGLE_APPLICATION_CREDENTIALS").then(|| path.clone())
        })
        .unwrap()
    }
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
    let (google, account) = (Google::start(), Account::new());
    let spool = tempfile::tempdir().unwrap();
    keeps_the_contract(&account.open(&google, BUCKET), spool.path());
}

/// The token is signed by the account itself, and by nobody else.
#[test]
fn a_service_account_signs_its_own_token() {
    let (google, account) = (Google::start(), Account::new());
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
    fs::write_new(&account.path("signed"), signed.as_bytes()).unwrap();
    fs::write_new(&account.path("signature"), &base64(signature)).unwrap();
    let script = format!(
        "cd {} && openssl dgst -sha256 -verify public.pem -signature signature signed",
        account.dir.path().display()
    );
    run("sh", &["-c", &script]);
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
    let (google, account) = (Google::start(), Account::new());
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
    let (google, account) = (Google::start(), Account::new());
    for (act, error) in failures(&account.open(&google, "elsewhere")) {
        let Error::NoBucket { bucket, .. } = &error else {
            panic!("{act}: {error:?}");
        };
        assert_eq!(bucket, "elsewhere");
    }
}

#[test]
fn google_is_asked_again_when_it_has_trouble() {
    let (google, account) = (Google::start(), Account::new());
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
    let (google, account) = (Google::start(), Account::new());
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
    let (google, files) = (
        Google::start(),
        [
            "hunter2",
            r#"{"type": "external_account", "secret": "hunter2"}"#,
        ],
    );
    for text in files {
        fs::replace(&path, text.as_bytes()).unwrap();
        let path = path.display().to_string();
        let error = Bucket::open(&address(&google, BUCKET), &|name| {
            (name == "GOOGLE_APPLICATION_CREDENTIALS").then(|| path.clone())
        });
        let error = error.unwrap_err().to_string();
        assert!(error.contains("GOOGLE_APPLICATION_CREDENTIALS"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}
