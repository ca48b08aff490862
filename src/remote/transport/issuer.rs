//! A small cloud for tests: it hands out tokens, and keeps objects for those who show the newest one.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

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
    objects: BTreeMap<String, Vec<u8>>,
}

/// A request, read whole.
#[derive(Default)]
pub(crate) struct Request {
    /// The word and the place, as in `GET /a?b=c`.
    pub(crate) line: String,
    /// The headers, names in small letters.
    pub(crate) headers: BTreeMap<String, String>,
    /// What came after them.
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// Reads one; none if nobody asks any more.
    pub(crate) fn read(reader: &mut impl BufRead) -> Option<Self> {
        let mut request = Self::default();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            match line.split_once(": ") {
                _ if request.line.is_empty() => {
                    let (line, _) = line.rsplit_once(' ')?;
                    line.clone_into(&mut request.line);
                }
                Some((name, value)) => {
                    let name = name.to_ascii_lowercase();
                    request.headers.insert(name, value.to_owned());
                }
                None => return None,
            }
        }
        let length = request.headers.get("content-length");
        let length = length.map_or(0, |length| length.parse().unwrap());
        reader.take(length).read_to_end(&mut request.body).ok()?;
        Some(request)
    }
}

/// Writes an answer; the one to HEAD has no body, whatever length it names.
pub(crate) fn answer(
    mut stream: &TcpStream,
    status: &str,
    headers: &str,
    body: &[u8],
    is_head: bool,
) {
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n",
        body.len()
    );
    let body = if is_head { &[] } else { body };
    // Who asked may be gone.
    let _ = stream.write_all(&[head.as_bytes(), body].concat());
}

/// Has requests served one at a time, on a port of its own, until the process of the test ends. Yields
/// where.
pub(crate) fn listen<S: Send + 'static>(
    state: &Arc<Mutex<S>>,
    serve: fn(&mut S, &TcpStream, &Request),
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let shared = Arc::clone(state);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let state = Arc::clone(&shared);
            std::thread::spawn(move || {
                let mut reader = BufReader::new(&stream);
                while let Some(request) = Request::read(&mut reader) {
                    serve(&mut state.lock().unwrap(), &stream, &request);
                }
            });
        }
    });
    endpoint
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
        let wanted = format!("Bearer token-{}", self.asked.len());
        if request.headers.get("authorization") != Some(&wanted) {
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
