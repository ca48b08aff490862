//! A door in front of a real Azure server, for those who show a token: that one knows keys and signatures alone
//! without TLS. Whoever shows a good token goes on with a signature.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use super::serving::{Request, answer, listen};

/// The door.
pub(crate) struct Door {
    /// Where it listens.
    pub(crate) endpoint: String,
    state: Arc<Mutex<State>>,
}

struct State {
    server: String,
    signature: String,
    shown: Vec<String>,
    /// How many of those are not taken any more.
    revoked: usize,
    served: usize,
    /// After so many requests all tokens that were shown are revoked.
    revocation: Option<usize>,
}

impl Door {
    /// A door to a server, which goes on with that signature. It ends with the process of the test.
    pub(crate) fn to(server: &str, signature: &str) -> Self {
        let (_, rest) = server.split_once("://").unwrap();
        let (host, account) = rest.split_once('/').unwrap();
        let state = State {
            server: host.to_owned(),
            signature: signature.to_owned(),
            shown: Vec::new(),
            revoked: 0,
            served: 0,
            revocation: None,
        };
        let state = Arc::new(Mutex::new(state));
        let endpoint = format!("{}/{account}", listen(&state, State::serve));
        Self { endpoint, state }
    }

    /// The tokens that it was shown, each once.
    pub(crate) fn shown(&self) -> Vec<String> {
        self.state().shown.clone()
    }

    /// How many requests there were.
    pub(crate) fn served(&self) -> usize {
        self.state().served
    }

    /// After so many more requests none of the tokens is taken that were shown.
    pub(crate) fn revoke_after(&self, requests: usize) {
        let mut state = self.state();
        state.revocation = Some(state.served + requests);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    fn serve(&mut self, mut stream: &TcpStream, request: &Request) {
        if self.revocation.is_some_and(|after| self.served >= after) {
            self.revocation = None;
            self.revoked = self.shown.len();
        }
        self.served += 1;
        let shown = request.headers.get("authorization");
        let token = shown.and_then(|shown| shown.strip_prefix("Bearer token-"));
        if let Some(token) = token
            && !self.shown.iter().any(|shown| shown == token)
        {
            self.shown.push(token.to_owned());
        }
        let is_good = |token| {
            self.shown[self.revoked..]
                .iter()
                .any(|shown| shown == token)
        };
        if !token.is_some_and(is_good) {
            let body = b"<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>InvalidAuthenticationInfo</Code>\
                         <Message>Server failed to authenticate the request.</Message></Error>";
            let headers = "content-type: application/xml\r\n";
            let is_head = request.line.starts_with("HEAD ");
            return answer(stream, "401 Unauthorized", headers, body, is_head);
        }
        let joint = if request.line.contains('?') { '&' } else { '?' };
        let mut text = format!("{}{joint}{} HTTP/1.1\r\n", request.line, self.signature);
        for (name, value) in &request.headers {
            if name != "authorization" && name != "connection" {
                text.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        text.push_str("connection: close\r\n\r\n");
        let mut server = TcpStream::connect(&self.server).unwrap();
        server
            .write_all(&[text.as_bytes(), &request.body].concat())
            .unwrap();
        // Who asked may be gone.
        let _ = std::io::copy(&mut server, &mut stream);
        let _ = stream.shutdown(Shutdown::Both);
    }
}
