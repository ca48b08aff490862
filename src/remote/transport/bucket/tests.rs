//! Answers that no healthy server gives. What a real one says is in `s3_server_tests`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;
use std::thread::JoinHandle;

use super::*;

/// A service that gives the answers of a list, one a connection, and then hangs up.
struct Script {
    endpoint: String,
    asked: Arc<Mutex<Vec<String>>>,
    thread: JoinHandle<()>,
}

impl Script {
    fn start(answers: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        let thread = std::thread::spawn(move || {
            for answer in answers {
                let (stream, _) = listener.accept().unwrap();
                log.lock().unwrap().push(serve(&stream, &answer));
            }
        });
        Self {
            endpoint,
            asked,
            thread,
        }
    }

    fn open(&self) -> Bucket {
        let address = Address {
            name: "s3".to_owned(),
            url: "s3://esk/p".to_owned(),
            endpoint_url: Some(self.endpoint.clone()),
            ..Address::default()
        };
        Bucket::open(&address, &variables).unwrap()
    }

    /// The request lines, after every answer was given.
    fn finish(self) -> Vec<String> {
        self.thread.join().unwrap();
        let asked = self.asked.lock().unwrap();
        asked.clone()
    }
}

pub(super) fn variables(name: &str) -> Option<String> {
    let value = match name {
        "AWS_ACCESS_KEY_ID" => "AKIAIOSFODNN7Q2D",
        "AWS_SECRET_ACCESS_KEY" => "secret",
        "AWS_EC2_METADATA_DISABLED" => "true",
        _ => return None,
    };
    Some(value.to_owned())
}

fn serve(mut stream: &TcpStream, answer: &str) -> String {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        lines.push(line.trim().to_lowercase());
    }
    let length = lines
        .iter()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    std::io::copy(&mut reader.take(length), &mut std::io::sink()).unwrap();
    stream.write_all(answer.as_bytes()).unwrap();
    lines[0].clone()
}

fn answer(status: &str, code: &str) -> String {
    let body = format!("<Error><Code>{code}</Code><Message>So it is.</Message></Error>");
    format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// An answer to HEAD, or one whose body never comes.
fn bare(status: &str, length: u64) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\netag: \"e\"\r\n\
         last-modified: Tue, 01 Jul 2025 00:00:00 GMT\r\n\r\n"
    )
}

fn body() -> Bytes {
    Bytes::from_static(b"x")
}

#[test]
fn a_service_that_is_busy_at_first_is_asked_again() {
    let busy = || answer("503 Slow Down", "SlowDown");
    let script = Script::start(vec![
        busy(),
        busy(),
        busy(),
        busy(),
        answer("404 Not Found", "NoSuchKey"),
    ]);
    assert_eq!(script.open().get("a").unwrap(), None);
    assert_eq!(script.finish(), ["get /esk/p/a http/1.1"; 5]);
}

#[test]
fn a_key_that_has_expired_and_is_the_only_one_is_named() {
    let script = Script::start(vec![answer("400 Bad Request", "ExpiredToken")]);
    let error = script.open().get("a").unwrap_err();
    let Error::Expired {
        key_id, key_source, ..
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(key_id.as_deref(), Some("AKIA…7Q2D"));
    assert_eq!(key_source, "AWS_ACCESS_KEY_ID");
    script.finish();
}

#[test]
fn a_mute_denial_is_asked_for_its_reason() {
    let script = Script::start(vec![
        bare("403 Forbidden", 0),
        answer("403 Forbidden", "InvalidAccessKeyId"),
    ]);
    let error = script.open().head("a").unwrap_err();
    let Error::Denied { code, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(code.as_deref(), Some("InvalidAccessKeyId"));
    assert_eq!(
        script.finish(),
        ["head /esk/p/a http/1.1", "get /esk/p/a http/1.1"]
    );
}

#[test]
fn another_region_is_named() {
    for status in ["301 Moved Permanently", "307 Temporary Redirect"] {
        let script = Script::start(vec![bare(status, 0)]);
        let error = script.open().get("a").unwrap_err();
        let Error::Protocol { detail, .. } = &error else {
            panic!("{error:?}");
        };
        assert!(detail.contains("not in region `us-east-1`"), "{detail}");
        script.finish();
    }
}

/// The redirects of S3 say where the bucket is in a header alone, some with a place to go to.
#[test]
fn the_region_of_a_redirect_is_read() {
    for more in ["", "location: http://127.0.0.1:1/elsewhere\r\n"] {
        for status in ["301 Moved Permanently", "307 Temporary Redirect"] {
            let answer = bare(status, 0).replace(
                "etag: \"e\"\r\n",
                &format!("x-amz-bucket-region: eu-west-1\r\n{more}"),
            );
            let script = Script::start(vec![answer]);
            let error = script.open().get("a").unwrap_err();
            let Error::Elsewhere { detail, region, .. } = &error else {
                panic!("{status} {more}: {error:?}");
            };
            assert!(detail.contains("`us-east-1`"), "{detail}");
            assert_eq!(region, "eu-west-1");
            script.finish();
        }
    }
}

#[test]
fn a_clock_that_is_wrong_is_named() {
    let body = "<Error><Code>RequestTimeTooSkewed</Code>\
                <ServerTime>2026-01-01T01:00:00Z</ServerTime></Error>";
    let script = Script::start(vec![
        bare("403 Forbidden", 0),
        format!(
            "HTTP/1.1 403 Forbidden\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        ),
    ]);
    let error = script.open().head("a").unwrap_err();
    let Error::Clock { time, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(time.as_deref(), Some("2026-01-01T01:00:00Z"));
    script.finish();
}

#[test]
fn an_object_in_the_way_is_no_error() {
    let script = Script::start(vec![
        bare("404 Not Found", 0),
        answer("412 Precondition Failed", "PreconditionFailed"),
    ]);
    assert!(!script.open().put_if_absent("a", &body()).unwrap());
    script.finish();
}

#[test]
fn a_conflict_is_tried_again() {
    let conflict = || answer("409 Conflict", "ConditionalRequestConflict");
    let script = Script::start(vec![
        bare("404 Not Found", 0),
        conflict(),
        conflict(),
        bare("200 OK", 0),
    ]);
    assert!(script.open().put_if_absent("a", &body()).unwrap());
    let put = "put /esk/p/a http/1.1";
    assert_eq!(script.finish(), ["head /esk/p/a http/1.1", put, put, put],);
}

#[test]
fn an_object_beyond_all_bounds_takes_no_memory() {
    let script = Script::start(vec![bare("200 OK", u64::MAX / 4)]);
    let error = script.open().get("a").unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error:?}");
    script.finish();
}

#[test]
fn a_whole_object_in_place_of_a_part_is_refused() {
    let script = Script::start(vec![bare("200 OK", 10) + "0123456789", bare("200 OK", 10)]);
    let error = script.open().get_range("a", 2, 3).unwrap_err();
    assert!(matches!(error, Error::Protocol { .. }), "{error:?}");
    script.finish();
}

#[test]
fn nonsense_in_place_of_a_listing_is_refused() {
    let script = Script::start(vec![
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\n<a><b".to_owned(),
    ]);
    let error = script.open().list("p/").unwrap_err();
    assert!(matches!(error, Error::Protocol { .. }), "{error:?}");
    script.finish();
}

#[test]
fn a_listing_leaves_out_what_is_no_key() {
    let entry = |key: &str| {
        format!(
            "<Contents><Key>{key}</Key><Size>1</Size>\
             <LastModified>2025-07-01T00:00:00Z</LastModified></Contents>"
        )
    };
    let keys = ["p/x/b", "p/x/a", "p/x/a b", "p/tmp/a", "elsewhere/a"];
    let body = format!(
        "<ListBucketResult>{}</ListBucketResult>",
        keys.map(entry).concat()
    );
    let script = Script::start(vec![format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )]);
    let listed = script.open().list("").unwrap();
    let keys: Vec<&str> = listed.iter().map(|listed| listed.key.as_str()).collect();
    assert_eq!(keys, ["x/a", "x/b"]);
    script.finish();
}

#[test]
fn splits_urls() {
    let cases = [
        ("s3://bucket", Some(("bucket", ""))),
        ("s3://bucket/", Some(("bucket", ""))),
        ("s3://bucket/a/b", Some(("bucket", "a/b"))),
        ("s3://bucket/a/b/", Some(("bucket", "a/b"))),
        ("s3://acme-ml.eu_1/ä", Some(("acme-ml.eu_1", "ä"))),
        ("s3://", None),
        ("s3:///a", None),
        ("s3://user@bucket/a", None),
        ("s3://bucket/a/../b", None),
        ("s3://bucket/a//b", None),
        ("az://container/a", Some(("container", "a"))),
        ("gs://bucket/a", Some(("bucket", "a"))),
        ("https://bucket/a", None),
    ];
    for (url, expected) in cases {
        let place = Place::parse(url);
        let parts = place
            .as_ref()
            .map(|place| (place.bucket.as_str(), place.prefix.as_str()));
        assert_eq!(parts, expected, "{url}");
    }
}

/// What packs take together is bounded where they are built; here they are not copied.
#[test]
fn the_pieces_of_a_body_share_its_memory() {
    for len in [0, 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES] {
        let body = Bytes::from(vec![9; len]);
        let payload = pieces(&body);
        assert_eq!(payload.content_length(), len);
        let mut next = body.as_ptr();
        for piece in &payload {
            assert!((1..=PIECE_BYTES).contains(&piece.len()), "{len}");
            assert_eq!(piece.as_ptr(), next, "{len}");
            next = next.wrapping_add(piece.len());
        }
    }
}

/// What the network looks like to a client of this endpoint.
fn wire_to(
    endpoint: &str,
    address: &Address,
    var: &dyn Fn(&str) -> Option<String>,
) -> std::result::Result<(), String> {
    let driver = Driver::start("test").unwrap();
    let opening = Opening {
        address,
        var,
        place: &Place::parse("s3://b").unwrap(),
        driver: &driver,
        stall: STALL,
    };
    wire(endpoint, &opening).map(|_| ())
}

#[test]
fn an_endpoint_needs_a_scheme() {
    for endpoint in ["https://s3", "http://127.0.0.1:1"] {
        assert!(wire_to(endpoint, &Address::default(), &|_| None).is_ok());
    }
    for endpoint in ["s3.example", "ftp://x", ""] {
        assert!(wire_to(endpoint, &Address::default(), &|_| None).is_err());
    }
}

#[test]
fn a_bundle_of_certificates_must_hold_some() {
    let dir = tempfile::tempdir().unwrap();
    let with = |path: &std::path::Path, is_key: bool| {
        let text = path.to_str().unwrap().to_owned();
        let var = move |name: &str| (name == "AWS_CA_BUNDLE").then(|| text.clone());
        let address = Address {
            ca_bundle: is_key.then(|| path.to_owned()),
            ..Address::default()
        };
        wire_to("https://s3", &address, &var)
    };
    let (absent, empty) = (dir.path().join("absent"), dir.path().join("empty"));
    fs::write_new(&empty, b"").unwrap();
    for path in [absent, empty] {
        for (is_key, name) in [(false, "AWS_CA_BUNDLE"), (true, "ca_bundle")] {
            let error = with(&path, is_key).unwrap_err();
            let start = format!("`{name}` cannot be used");
            assert!(error.starts_with(&start), "{error}");
            assert!(error.contains(path.to_str().unwrap()), "{error}");
        }
    }
}
