//! A small cloud for tests: it hands out tokens, and keeps objects for those who show the newest one.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::serving::{Request, answer, listen};
use crate::fs;

/// The cloud.
pub(crate) struct Issuer {
    /// Where it listens.
    pub(crate) endpoint: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    path: String,
    lifetimes: Vec<u64>,
    asked: Vec<String>,
    /// Tokens up to this number are not taken any more.
    revoked: usize,
    objects: BTreeMap<String, Vec<u8>>,
}

impl Issuer {
    /// Starts it. It hands out one token at that path for each lifetime, in seconds, and refuses
    /// whoever asks for more. It ends with the process of the test.
    pub(crate) fn start(path: &str, lifetimes: &[u64]) -> Self {
        let state = Arc::new(Mutex::new(State {
            path: path.to_owned(),
            lifetimes: lifetimes.to_vec(),
            ..State::default()
        }));
        let endpoint = listen(&state, State::serve);
        Self { endpoint, state }
    }

    /// Takes none of the tokens any more that are out.
    pub(crate) fn revoke(&self) {
        let mut state = self.state.lock().unwrap();
        state.revoked = state.asked.len();
    }

    /// What was asked of the one who hands out tokens: the place and the body of each request.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.state.lock().unwrap().asked.clone()
    }
}

impl State {
    fn serve(&mut self, stream: &TcpStream, request: &Request) {
        let (method, place) = request.line.split_once(' ').unwrap();
        if place.split('?').next() == Some(&self.path) {
            return self.issue(stream, place, &request.body);
        }
        let newest = self.asked.len();
        let wanted = format!("Bearer token-{newest}");
        if newest <= self.revoked || request.headers.get("authorization") != Some(&wanted) {
            let body = b"<Error><Code>InvalidAuthenticationInfo</Code></Error>";
            return answer(stream, "401 Unauthorized", "", body, method == "HEAD");
        }
        let headers = "etag: \"e\"\r\nlast-modified: Tue, 01 Jul 2025 00:00:00 GMT\r\n";
        match (method, self.objects.get(place)) {
            ("PUT", Some(_)) if request.headers.contains_key("if-none-match") => {
                let body = b"<Error><Code>BlobAlreadyExists</Code></Error>";
                answer(stream, "409 Conflict", "", body, false);
            }
            ("PUT", _) => {
                self.objects.insert(place.to_owned(), request.body.clone());
                answer(stream, "201 Created", headers, b"", false);
            }
            (_, Some(object)) => answer(stream, "200 OK", headers, object, method == "HEAD"),
            (_, None) => {
                let body = b"<Error><Code>BlobNotFound</Code></Error>";
                answer(stream, "404 Not Found", "", body, method == "HEAD");
            }
        }
    }

    fn issue(&mut self, stream: &TcpStream, place: &str, body: &[u8]) {
        let number = self.asked.len();
        let Some(lifetime) = self.lifetimes.get(number) else {
            let body = br#"{"error":"invalid_client"}"#;
            return answer(stream, "401 Unauthorized", "", body, false);
        };
        let body = String::from_utf8_lossy(body);
        self.asked.push(format!("{place} {body}"));
        let now = Duration::from_nanos(fs::now_nanos()).as_secs();
        let token = format!(
            r#"{{"access_token":"token-{}","token_type":"Bearer","expires_in":{lifetime},"expires_on":"{}"}}"#,
            number + 1,
            now + lifetime
        );
        answer(
            stream,
            "200 OK",
            "content-type: application/json\r\n",
            token.as_bytes(),
            false,
        );
    }
}
