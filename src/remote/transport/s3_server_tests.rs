//! Against a real S3 server, which `tests/run.sh` starts and names in `ESKER_TEST_S3`.

use bytes::Bytes;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{bytes, keeps_the_contract};
use crate::fs;
use crate::remote::transport::{Bucket, Listed, Transport, open};
use crate::remote::{Address, Error};

/// The server that the tests share, and a place in it that no other test uses.
pub(crate) struct Server {
    /// Where it is.
    pub(crate) endpoint: String,
    /// A bucket that is there.
    pub(crate) bucket: String,
    /// One who may do everything.
    pub(crate) admin: Pair,
    /// One who may read the bucket.
    pub(crate) reader: Pair,
}

/// A key id and its secret.
pub(crate) type Pair = (String, String);

/// An environment of a test's own.
pub(crate) type Variables = BTreeMap<&'static str, String>;

impl Server {
    /// Finds the server.
    ///
    /// # Panics
    /// If there is none: a test that did not run must not look like one that passed.
    pub(crate) fn find() -> Self {
        Self {
            endpoint: required("ESKER_TEST_S3"),
            bucket: required("ESKER_TEST_S3_BUCKET"),
            admin: (
                required("ESKER_TEST_S3_KEY_ID"),
                required("ESKER_TEST_S3_SECRET"),
            ),
            reader: (
                required("ESKER_TEST_S3_READER_KEY_ID"),
                required("ESKER_TEST_S3_READER_SECRET"),
            ),
        }
    }

    /// A remote in an empty place of the bucket.
    pub(crate) fn address(&self) -> Address {
        let chance = u64::from_le_bytes(fs::random_bytes());
        Address {
            name: "s3".to_owned(),
            url: format!("s3://{}/test-{chance:016x}/remote", self.bucket),
            endpoint_url: Some(self.endpoint.clone()),
            ..Address::default()
        }
    }

    /// The variables that hold a key.
    pub(crate) fn variables(pair: &Pair) -> Variables {
        Variables::from([
            ("AWS_ACCESS_KEY_ID", pair.0.clone()),
            ("AWS_SECRET_ACCESS_KEY", pair.1.clone()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ])
    }

    fn open(&self, address: &Address) -> Bucket {
        connect(address, &Self::variables(&self.admin))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the server is started outside, and only the environment can say where"
)]
pub(crate) fn required(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("`{name}` is not set: this test needs a real server, run `./tests/run.sh`")
    })
}

fn connect(address: &Address, variables: &Variables) -> Bucket {
    Bucket::open(address, &|name| variables.get(name).cloned()).unwrap()
}

/// Every act on a remote that must fail as a whole.
pub(crate) fn failures(transport: &dyn Transport) -> Vec<(&'static str, Error)> {
    let results = [
        ("get", transport.get("a").map(|_| ())),
        ("get_range", transport.get_range("a", 0, 1).map(|_| ())),
        ("head", transport.head("a").map(|_| ())),
        ("list", transport.list("p/").map(|_| ())),
        ("put", transport.put("a", &bytes("x"))),
        (
            "put_if_absent",
            transport.put_if_absent("a", &bytes("x")).map(|_| ()),
        ),
    ];
    results
        .into_iter()
        .map(|(act, result)| (act, result.expect_err(act)))
        .collect()
}

#[track_caller]
fn assert_denied(failure: &(&str, Error), code: &str, id: &str, source: &str) {
    assert_eq!(assert_refused(failure, Some(code), Some(id), source), "s3");
}

/// It was the key that was refused. Yields the remote that it was refused by; what is not known
/// beforehand is not compared.
#[track_caller]
pub(crate) fn assert_refused(
    (act, error): &(&str, Error),
    expected_code: Option<&str>,
    expected_id: Option<&str>,
    expected_source: &str,
) -> String {
    let Error::Denied {
        remote,
        code,
        key_id,
        key_source,
        ..
    } = error
    else {
        panic!("{act}: {error:?}");
    };
    if let Some(expected) = expected_code {
        assert_eq!(code.as_deref(), Some(expected), "{act}");
    }
    assert_eq!(key_id.as_deref(), expected_id, "{act}");
    assert_eq!(key_source, expected_source, "{act}");
    remote.clone()
}

#[test]
fn a_server_takes_what_is_asked_for_with_encryption_and_grants() {
    let server = Server::find();
    let address = Address {
        sse: Some("AES256".to_owned()),
        acl: Some("private".to_owned()),
        ..server.address()
    };
    let bucket = server.open(&address);
    bucket.put("a", &bytes("one")).unwrap();
    assert!(!bucket.put_if_absent("a", &bytes("two")).unwrap());
    assert_eq!(bucket.get("a").unwrap().unwrap(), "one");
    bucket.delete("a").unwrap();
    assert_eq!(bucket.get("a").unwrap(), None);
}

#[test]
fn s3_keeps_the_contract() {
    let server = Server::find();
    keeps_the_contract(&server.open(&server.address()));
}

#[test]
fn a_remote_at_the_root_of_a_bucket_sees_its_keys() {
    let server = Server::find();
    let address = server.address();
    let below = server.open(&address);
    below.put("p/a", &bytes("x")).unwrap();
    let mut root = address.clone();
    let (url, place) = address.url.split_at("s3://".len() + server.bucket.len());
    root.url = format!("{url}/");
    let place = place.trim_start_matches('/');
    let listed = server.open(&root).list(&format!("{place}/")).unwrap();
    let key = format!("{place}/p/a");
    let modified = listed[0].modified;
    assert!(modified > 1_700_000_000, "{modified}");
    assert_eq!(
        listed,
        [Listed {
            key,
            size: 1,
            modified
        }]
    );
}

#[test]
fn a_large_body_arrives_whole_from_many_threads() {
    let server = Server::find();
    let transport = server.open(&server.address());
    let body: Bytes = (0..9_000_001_u32).map(|n| (n / 7) as u8).collect();
    std::thread::scope(|scope| {
        for number in 0..4 {
            let (transport, body) = (&transport, &body);
            scope.spawn(move || {
                let key = format!("p/{number}");
                assert!(transport.put_if_absent(&key, body).unwrap());
                assert_eq!(transport.get(&key).unwrap().unwrap(), body);
                let part = transport.get_range(&key, 8_999_990, 11).unwrap().unwrap();
                assert_eq!(&part[..], &body[8_999_990..]);
            });
        }
    });
}

#[test]
fn a_wrong_secret_is_denied_and_named() {
    let server = Server::find();
    let pair = (server.admin.0.clone(), "not the secret".to_owned());
    let transport = connect(&server.address(), &Server::variables(&pair));
    for failure in failures(&transport) {
        assert_denied(
            &failure,
            "SignatureDoesNotMatch",
            "eske…dmin",
            "AWS_ACCESS_KEY_ID",
        );
        assert!(!format!("{:?}", failure.1).contains("not the secret"));
    }
}

#[test]
fn a_wrong_key_id_is_denied_and_named() {
    let server = Server::find();
    let pair = ("AKIAIOSFODNN7Q2D".to_owned(), server.admin.1.clone());
    let transport = connect(&server.address(), &Server::variables(&pair));
    for failure in failures(&transport) {
        assert_denied(
            &failure,
            "InvalidAccessKeyId",
            "AKIA…7Q2D",
            "AWS_ACCESS_KEY_ID",
        );
    }
}

#[test]
fn a_reader_may_read_and_not_write() {
    let server = Server::find();
    let address = server.address();
    server.open(&address).put("p/a", &bytes("content")).unwrap();
    let reader = connect(&address, &Server::variables(&server.reader));
    assert_eq!(reader.get("p/a").unwrap().unwrap(), "content");
    assert_eq!(reader.head("p/b").unwrap(), None);
    assert_eq!(reader.list("p/").unwrap().len(), 1);
    let refused = [
        ("put", reader.put("p/b", &bytes("x")).unwrap_err()),
        (
            "put_if_absent",
            reader.put_if_absent("p/b", &bytes("x")).unwrap_err(),
        ),
        ("delete", reader.delete("p/a").unwrap_err()),
    ];
    for failure in &refused {
        assert_denied(failure, "AccessDenied", "eske…read", "AWS_ACCESS_KEY_ID");
    }
    assert_eq!(reader.head("p/b").unwrap(), None);
}

#[test]
fn a_missing_bucket_is_named() {
    let server = Server::find();
    let mut address = server.address();
    address.url = "s3://no-such-bucket/p".to_owned();
    for (act, error) in failures(&server.open(&address)) {
        let Error::NoBucket { remote, bucket } = &error else {
            panic!("{act}: {error:?}");
        };
        assert_eq!((remote.as_str(), bucket.as_str()), ("s3", "no-such-bucket"));
    }
}

#[test]
fn the_first_word_to_a_missing_bucket_is_enough() {
    let server = Server::find();
    let mut address = server.address();
    address.url = "s3://no-such-bucket".to_owned();
    let error = server.open(&address).head("a").unwrap_err();
    assert!(matches!(error, Error::NoBucket { .. }), "{error:?}");
}

#[test]
fn nobody_at_the_port_is_reported_within_seconds() {
    let mut address = Address {
        name: "s3".to_owned(),
        url: "s3://bucket/p".to_owned(),
        ..Address::default()
    };
    // A port that nobody uses, and that the kernel never draws for another test.
    let endpoint = "http://127.0.0.1:1".to_owned();
    address.endpoint_url = Some(endpoint.clone());
    let pair = ("eskeradmin".to_owned(), "eskersecret".to_owned());
    let transport = connect(&address, &Server::variables(&pair));
    let started = Instant::now();
    for (act, error) in failures(&transport) {
        let Error::Unreachable { url, detail, .. } = &error else {
            panic!("{act}: {error:?}");
        };
        assert_eq!(url, "s3://bucket/p");
        assert!(detail.starts_with(&endpoint), "{detail}");
        assert!(detail.contains("refused"), "{detail}");
    }
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "six acts took too long"
    );
}

/// The two files of AWS, in a directory of their own.
struct Files {
    dir: tempfile::TempDir,
}

impl Files {
    fn new(config: &str, credentials: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write_new(&dir.path().join("config"), config.as_bytes()).unwrap();
        fs::write_new(&dir.path().join("credentials"), credentials.as_bytes()).unwrap();
        Self { dir }
    }

    fn path(&self, name: &str) -> String {
        let path: PathBuf = self.dir.path().join(name);
        path.to_str().unwrap().to_owned()
    }

    fn variables(&self) -> Variables {
        Variables::from([
            ("AWS_CONFIG_FILE", self.path("config")),
            ("AWS_SHARED_CREDENTIALS_FILE", self.path("credentials")),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ])
    }
}

fn section(name: &str, pair: &Pair) -> String {
    let (key_id, secret) = pair;
    format!("[{name}]\naws_access_key_id = {key_id}\naws_secret_access_key = {secret}\n")
}

#[test]
fn a_profile_brings_the_key_and_the_endpoint() {
    let server = Server::find();
    let config = format!(
        "[profile team]\nregion = eu-central-1\nendpoint_url = {}/\n",
        server.endpoint
    );
    let files = Files::new(&config, &section("team", &server.admin));
    let mut address = server.address();
    address.endpoint_url = None;

    let mut named = address.clone();
    named.profile = Some("team".to_owned());
    let transport = connect(&named, &files.variables());
    transport.put("p/a", &bytes("x")).unwrap();

    let mut variables = files.variables();
    variables.insert("AWS_PROFILE", "team".to_owned());
    let transport = connect(&address, &variables);
    assert_eq!(transport.get("p/a").unwrap().unwrap(), "x");
}

#[test]
fn a_profile_that_the_remote_names_beats_the_environment() {
    let server = Server::find();
    let files = Files::new("", &section("team", &server.admin));
    let mut variables = files.variables();
    variables.insert("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7Q2D".to_owned());
    variables.insert("AWS_SECRET_ACCESS_KEY", "wrong".to_owned());
    let mut address = server.address();
    let denied = connect(&address, &variables).get("a").unwrap_err();
    assert_denied(
        &("get", denied),
        "InvalidAccessKeyId",
        "AKIA…7Q2D",
        "AWS_ACCESS_KEY_ID",
    );
    address.profile = Some("team".to_owned());
    assert_eq!(connect(&address, &variables).get("a").unwrap(), None);
}

#[test]
fn a_wrong_key_in_a_profile_names_the_profile() {
    let server = Server::find();
    let wrong = ("AKIAIOSFODNN7Q2D".to_owned(), "wrong".to_owned());
    let credentials = section("default", &wrong) + &section("team", &wrong);
    let files = Files::new("", &credentials);
    let mut address = server.address();
    let cases = [
        (None, "profile `default`"),
        (Some("team"), "profile `team`"),
    ];
    for (profile, source) in cases {
        address.profile = profile.map(str::to_owned);
        for failure in failures(&connect(&address, &files.variables())) {
            assert_denied(&failure, "InvalidAccessKeyId", "AKIA…7Q2D", source);
        }
    }
}

#[test]
fn a_program_named_by_a_profile_brings_the_key() {
    let server = Server::find();
    let (key_id, secret) = &server.admin;
    let answer =
        format!(r#"{{"Version": 1, "AccessKeyId": "{key_id}", "SecretAccessKey": "{secret}"}}"#);
    let files = Files::new("", "");
    fs::write_new(Path::new(&files.path("answer.json")), answer.as_bytes()).unwrap();
    let config = format!(
        "[profile tool]\ncredential_process = cat \"{}\"\n",
        files.path("answer.json")
    );
    fs::replace(Path::new(&files.path("config")), config.as_bytes()).unwrap();
    let mut address = server.address();
    address.profile = Some("tool".to_owned());
    let transport = connect(&address, &files.variables());
    assert_eq!(transport.get("a").unwrap(), None);
}

#[test]
fn many_transports_leave_no_thread_behind() {
    let server = Server::find();
    let threads = || {
        std::fs::read_dir("/proc/self/task").map_or(0, |tasks| {
            tasks
                .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok())
                .filter(|name| name.starts_with("leak-test"))
                .count()
        })
    };
    assert_eq!(threads(), 0);
    let address = Address {
        name: "leak-test".to_owned(),
        ..server.address()
    };
    for _ in 0..5 {
        let variables = Server::variables(&server.admin);
        let transport = open(&address, &|name| variables.get(name).cloned()).unwrap();
        assert_eq!(transport.get("a").unwrap(), None);
        assert!(cfg!(not(target_os = "linux")) || threads() > 0);
        drop(transport);
        // A thread that was waited for is listed until the kernel has put it away; one that was
        // left behind is listed for ever.
        while threads() > 0 {
            std::thread::yield_now();
        }
    }
}
