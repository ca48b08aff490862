//! What the small servers of the tests have in common: requests are read, answers are written.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

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

/// `%2F` as `/`, and so on.
pub(crate) fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if let (b'%', [high, low, after @ ..]) = (first, after) {
            let digits = [*high, *low];
            let digits = std::str::from_utf8(&digits).unwrap();
            bytes.push(u8::from_str_radix(digits, 16).unwrap());
            rest = after;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).unwrap()
}
