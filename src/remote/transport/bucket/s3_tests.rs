//! What reaches the wire of what is said of an S3 remote.

use std::net::TcpStream;
use std::sync::Mutex;

use super::*;
use crate::remote::transport::bucket::tests::variables;
use crate::remote::transport::tests::serving::{Request, answer, listen};
use crate::remote::transport::{Bucket, Transport};

/// A service that takes whatever comes, has nothing, and remembers what it was asked.
#[derive(Default)]
struct Listener(Vec<Request>);

impl Listener {
    fn serve(&mut self, stream: &TcpStream, request: &Request) {
        let is_head = request.line.starts_with("HEAD ");
        match request.line.starts_with("PUT ") {
            true => answer(stream, "200 OK", "etag: \"e\"\r\n", b"", false),
            false => {
                let body = b"<Error><Code>NoSuchKey</Code></Error>";
                answer(stream, "404 Not Found", "", body, is_head);
            }
        }
        self.0.push(Request {
            line: request.line.clone(),
            headers: request.headers.clone(),
            body: Vec::new(),
        });
    }
}

/// What a remote asks for when it writes an object and reads another.
fn asked(address: Address) -> Vec<Request> {
    let heard = Arc::new(Mutex::new(Listener::default()));
    let endpoint = listen(&heard, Listener::serve);
    let bucket = open(&Address {
        endpoint_url: Some(endpoint),
        ..address
    });
    let bucket = bucket.unwrap();
    let body = bytes::Bytes::from("bytes");
    bucket.put("a", &body).unwrap();
    assert!(bucket.put_if_absent("b", &body).unwrap());
    assert_eq!(bucket.get("c").unwrap(), None);
    bucket.delete("d").unwrap();
    std::mem::take(&mut heard.lock().unwrap().0)
}

fn open(address: &Address) -> crate::remote::Result<Bucket> {
    let address = Address {
        name: "s3".to_owned(),
        url: "s3://esk/p".to_owned(),
        ..address.clone()
    };
    Bucket::open(&address, &variables)
}

fn said(request: &Request, header: &str) -> Option<String> {
    request.headers.get(header).cloned()
}

#[test]
fn encryption_and_grants_are_asked_for_with_what_is_written() {
    let asked = asked(Address {
        sse: Some("aws:kms".to_owned()),
        sse_kms_key_id: Some("alias/esker".to_owned()),
        acl: Some("bucket-owner-full-control".to_owned()),
        ..Address::default()
    });
    let headers = [
        ("x-amz-acl", "bucket-owner-full-control"),
        ("x-amz-server-side-encryption", "aws:kms"),
        ("x-amz-server-side-encryption-aws-kms-key-id", "alias/esker"),
    ];
    let mut n_written = 0;
    for request in &asked {
        let writes = request.line.starts_with("PUT ");
        n_written += usize::from(writes);
        let signed = said(request, "authorization").unwrap();
        for (header, value) in headers {
            let expected = writes.then(|| value.to_owned());
            assert_eq!(said(request, header), expected, "{} {header}", request.line);
            assert_eq!(
                signed.contains(header),
                writes,
                "{}: {signed}",
                request.line
            );
        }
    }
    assert_eq!(n_written, 2);
}

#[test]
fn the_server_alone_encrypts_if_nothing_is_said_of_a_key() {
    let asked = asked(Address {
        sse: Some("AES256".to_owned()),
        ..Address::default()
    });
    let written: Vec<&Request> = asked
        .iter()
        .filter(|request| request.line.starts_with("PUT "))
        .collect();
    assert_eq!(written.len(), 2);
    for request in written {
        let sse = said(request, "x-amz-server-side-encryption");
        assert_eq!(sse.as_deref(), Some("AES256"));
        assert_eq!(
            said(request, "x-amz-server-side-encryption-aws-kms-key-id"),
            None
        );
        assert_eq!(said(request, "x-amz-acl"), None);
    }
}

#[test]
fn nothing_more_is_said_unless_it_is_asked_for() {
    for request in asked(Address::default()) {
        let more = ["x-amz-acl", "x-amz-server-side-encryption"];
        assert!(more.iter().all(|header| said(&request, header).is_none()));
        let place = request.line.split(' ').nth(1).unwrap();
        assert!(place.starts_with("/esk/p/"), "{}", request.line);
    }
}

#[test]
fn a_bucket_stands_before_the_name_of_a_host() {
    let cases = [
        ("https://s3.lab", "https://esk.s3.lab"),
        ("http://s3.lab:8333", "http://esk.s3.lab:8333"),
        ("https://s3.lab/path", "https://esk.s3.lab/path"),
    ];
    for (endpoint, expected) in cases {
        assert_eq!(in_host("esk", endpoint).as_deref(), Ok(expected));
    }
    for endpoint in [
        "http://127.0.0.1:8333",
        "http://[::1]:8333",
        "https://10.0.0.1",
    ] {
        let error = open(&Address {
            path_style: Some(false),
            endpoint_url: Some(endpoint.to_owned()),
            ..Address::default()
        });
        let error = error.unwrap_err().to_string();
        assert!(error.contains("path_style = false"), "{error}");
    }
}
