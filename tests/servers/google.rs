//! Google Cloud Storage for tests: the part of its XML API that esker uses, as Google's public pages
//! describe it, over objects in memory. It takes no request that is not as they say.
//!
//! No server of it can be had for tests. What is known comes from these pages below
//! `https://cloud.google.com/storage/docs/xml-api/`:
//!
//! - `put-object-upload`, `get-object-download`, `get-object-metadata`, `delete-object`: words,
//!   headers and statuses. A PUT answers 200, a DELETE 204, a part 206.
//! - `get-bucket-list`: the listing with `list-type=2`, at most 1,000 keys a page.
//! - `reference-headers`: `x-goog-if-generation-match`, where 0 asks that there is no object;
//!   `x-goog-generation`, `x-goog-stored-content-length`.
//! - `reference-status`: the names of errors, and the document that tells them.
//!
//! It also plays those who hand out tokens: the metadata service of a machine, the exchange of federated tokens,
//! and the service account that one of those may speak for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::serving::{Request, answer, decode, listen};

/// Objects of a page.
const PAGE: usize = 1000;

/// The one bucket that is there. Its name has a letter that is written otherwise in a URL.
pub(crate) const BUCKET: &str = "esker-test";

/// What somebody else says of whoever runs the tests.
pub(crate) const SUBJECT: &str = "a subject/of=another";

/// The cloud.
pub(crate) struct Google {
    /// Where it listens.
    pub(crate) endpoint: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, (u64, Vec<u8>)>,
    generation: u64,
    tokens: Vec<String>,
    /// What was asked of those who hand out tokens.
    asked: Vec<String>,
    revoked: BTreeSet<String>,
    /// After so many requests for objects, all tokens that were shown are revoked.
    revocation: Option<usize>,
    /// Says this instead of what was asked for, so often.
    refusal: Option<(usize, &'static str, &'static str)>,
    served: usize,
}

impl Google {
    /// Starts it. It ends with the process of the test.
    pub(crate) fn start() -> Self {
        let state = Arc::default();
        let endpoint = listen(&state, State::serve);
        Self { endpoint, state }
    }

    /// From now on it answers so many requests with this status and this name of an error.
    pub(crate) fn refuse(&self, times: usize, status: &'static str, code: &'static str) {
        self.state.lock().unwrap().refusal = Some((times, status, code));
    }

    /// What was asked of those who hand out tokens.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.state.lock().unwrap().asked.clone()
    }

    /// After so many more requests none of the tokens is taken that were shown.
    pub(crate) fn revoke_after(&self, requests: usize) {
        let mut state = self.state.lock().unwrap();
        state.revocation = Some(state.served + requests);
    }

    /// The tokens that it was shown, each once for each change.
    pub(crate) fn tokens(&self) -> Vec<String> {
        self.state.lock().unwrap().tokens.clone()
    }

    /// How many requests it has answered.
    pub(crate) fn served(&self) -> usize {
        self.state.lock().unwrap().served
    }
}

impl State {
    fn serve(&mut self, stream: &TcpStream, request: &Request) {
        let (method, place) = request.line.split_once(' ').unwrap();
        if let Some((status, body)) = self.issue(place, request) {
            let headers = "content-type: application/json\r\n";
            return answer(stream, status, headers, body.to_string().as_bytes(), false);
        }
        if self.revocation.is_some_and(|after| self.served >= after) {
            self.revocation = None;
            self.revoked.extend(self.tokens.clone());
        }
        self.served += 1;
        let refuse = |status: &str, code: &str| {
            let body = format!(
                "<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code>\
                 <Message>So it is.</Message></Error>"
            );
            let headers = "content-type: application/xml; charset=UTF-8\r\n";
            answer(stream, status, headers, body.as_bytes(), method == "HEAD");
        };
        let shown = request.headers.get("authorization");
        let Some(token) = shown.and_then(|shown| shown.strip_prefix("Bearer ")) else {
            return refuse("401 Unauthorized", "AuthenticationRequired");
        };
        if self.tokens.last().is_none_or(|last| last != token) {
            self.tokens.push(token.to_owned());
        }
        if self.revoked.contains(token) {
            return refuse("401 Unauthorized", "AuthenticationRequired");
        }
        if let Some((times, status, code)) = &mut self.refusal
            && *times > 0
        {
            *times -= 1;
            return refuse(status, code);
        }
        let (path, query) = place.split_once('?').unwrap_or((place, ""));
        let mut parts = path.splitn(3, '/').map(decode).skip(1);
        if parts.next().as_deref() != Some(BUCKET) {
            return refuse("404 Not Found", "NoSuchBucket");
        }
        match (method, parts.next()) {
            ("GET", None) => self.list(stream, query),
            ("PUT", Some(key)) => match self.put(&key, request) {
                Ok(headers) => answer(stream, "200 OK", &headers, b"", false),
                Err((status, code)) => refuse(status, code),
            },
            ("DELETE", Some(key)) => match self.objects.remove(&key) {
                Some(_) => answer(stream, "204 No Content", "", b"", false),
                None => refuse("404 Not Found", "NoSuchKey"),
            },
            ("GET" | "HEAD", Some(key)) => match self.get(&key, request) {
                Ok((status, headers, body)) => {
                    answer(stream, status, &headers, &body, method == "HEAD");
                }
                Err((status, code)) => refuse(status, code),
            },
            _ => refuse("405 Method Not Allowed", "MethodNotAllowed"),
        }
    }

    /// What those who hand out tokens answer; none if it is not for them.
    fn issue(
        &mut self,
        place: &str,
        request: &Request,
    ) -> Option<(&'static str, serde_json::Value)> {
        const MACHINE: &str = "/computeMetadata/v1/instance/service-accounts/default/token";
        let header = |name: &str| request.headers.get(name).map_or("", String::as_str);
        let number = self.asked.len() + 1;
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let token = match place.split('?').next() {
            Some(MACHINE) if header("metadata-flavor") == "Google" => {
                serde_json::json!({"access_token": format!("machine-{number}"),
                    "expires_in": 3599, "token_type": "Bearer"})
            }
            Some("/subject") if header("x-caller") == "esker" => {
                return Some(("200 OK", serde_json::json!({"value": SUBJECT})));
            }
            Some("/exchange") if decode(&body).contains(&format!("subject_token={SUBJECT}")) => {
                serde_json::json!({"access_token": format!("federated-{number}"),
                    "expires_in": 3599, "token_type": "Bearer",
                    "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"})
            }
            Some("/speak") if header("authorization").starts_with("Bearer federated-") => {
                serde_json::json!({"accessToken": format!("account-{number}"),
                    "expireTime": "2099-01-01T00:00:00Z"})
            }
            Some(MACHINE | "/subject" | "/exchange" | "/speak") => {
                let refusal = serde_json::json!({"error": "invalid_grant"});
                return Some(("400 Bad Request", refusal));
            }
            _ => return None,
        };
        self.asked.push(format!("{place} {}", decode(&body)));
        Some(("200 OK", token))
    }

    fn put(
        &mut self,
        key: &str,
        request: &Request,
    ) -> Result<String, (&'static str, &'static str)> {
        let header = |name: &str| request.headers.get(name).map(String::as_str);
        if header("content-length").is_none() {
            return Err(("411 Length Required", "MissingContentLength"));
        }
        match header("x-goog-if-generation-match") {
            Some("0") if self.objects.contains_key(key) => {
                return Err(("412 Precondition Failed", "PreconditionFailed"));
            }
            None | Some("0") => {}
            Some(_) => return Err(("400 Bad Request", "InvalidArgument")),
        }
        // The condition of S3 means nothing here: who sends it alone is not kept from anything.
        if header("if-none-match").is_some() {
            return Err(("400 Bad Request", "InvalidArgument"));
        }
        self.generation += 1;
        let object = (self.generation, request.body.clone());
        let headers = described(&object);
        self.objects.insert(key.to_owned(), object);
        Ok(headers)
    }

    fn get(
        &self,
        key: &str,
        request: &Request,
    ) -> Result<(&'static str, String, Vec<u8>), (&'static str, &'static str)> {
        let Some(object) = self.objects.get(key) else {
            return Err(("404 Not Found", "NoSuchKey"));
        };
        let headers = described(object);
        let Some(range) = request.headers.get("range") else {
            return Ok(("200 OK", headers, object.1.clone()));
        };
        let (first, last) = range
            .strip_prefix("bytes=")
            .unwrap()
            .split_once('-')
            .unwrap();
        let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
        let len = object.1.len();
        if first >= len {
            return Err(("416 Requested Range Not Satisfiable", "InvalidRange"));
        }
        let last = last.min(len - 1);
        let headers = format!("{headers}content-range: bytes {first}-{last}/{len}\r\n");
        Ok((
            "206 Partial Content",
            headers,
            object.1[first..=last].to_vec(),
        ))
    }

    fn list(&self, stream: &TcpStream, query: &str) {
        let parameters: BTreeMap<String, String> = query
            .split('&')
            .filter_map(|part| part.split_once('='))
            .map(|(name, value)| (decode(name), decode(value)))
            .collect();
        assert_eq!(parameters.get("list-type").map(String::as_str), Some("2"));
        let prefix = parameters.get("prefix").map_or("", String::as_str);
        let after = parameters.get("continuation-token");
        let mut found = self
            .objects
            .iter()
            .filter(|(key, _)| key.starts_with(prefix) && after.is_none_or(|after| *key > after));
        let page: Vec<_> = found.by_ref().take(PAGE).collect();
        let mut body = format!(
            "<?xml version='1.0' encoding='UTF-8'?>\
             <ListBucketResult xmlns='http://doc.s3.amazonaws.com/2006-03-01'>\
             <Name>{BUCKET}</Name><Prefix>{prefix}</Prefix><KeyCount>{}</KeyCount>\
             <IsTruncated>{}</IsTruncated>",
            page.len(),
            found.next().is_some()
        );
        if let Some((last, _)) = page.last().filter(|_| page.len() == PAGE) {
            let _ = write!(
                body,
                "<NextContinuationToken>{last}</NextContinuationToken>"
            );
        }
        for (key, (generation, bytes)) in page {
            let _ = write!(
                body,
                "<Contents><Key>{key}</Key><Generation>{generation}</Generation>\
                 <MetaGeneration>1</MetaGeneration>\
                 <LastModified>2025-07-01T00:00:00.000Z</LastModified>\
                 <ETag>\"{generation}\"</ETag><Size>{}</Size></Contents>",
                bytes.len()
            );
        }
        body.push_str("</ListBucketResult>");
        let headers = "content-type: application/xml; charset=UTF-8\r\n";
        answer(stream, "200 OK", headers, body.as_bytes(), false);
    }
}

fn described((generation, bytes): &(u64, Vec<u8>)) -> String {
    format!(
        "etag: \"{generation}\"\r\nlast-modified: Tue, 01 Jul 2025 00:00:00 GMT\r\n\
         x-goog-generation: {generation}\r\nx-goog-metageneration: 1\r\n\
         x-goog-stored-content-encoding: identity\r\n\
         x-goog-stored-content-length: {}\r\n",
        bytes.len()
    )
}

/// A service account with a key of its own.
pub(crate) struct Account {
    dir: PathBuf,
}

impl Account {
    /// Makes one, with its files in that directory.
    pub(crate) fn new(dir: &Path) -> Self {
        let account = Self {
            dir: dir.to_owned(),
        };
        account.run(
            "openssl genrsa -out key.pem 2048 && openssl rsa -in key.pem -pubout -out public.pem",
        );
        let key = std::fs::read_to_string(account.path("key.pem")).unwrap();
        let file = serde_json::json!({
            "type": "service_account",
            "private_key": key,
            "private_key_id": "the-key",
            "client_email": "esker@acme.example",
        });
        let path = account.path("account.json");
        let mut written = std::fs::File::create(path).unwrap();
        written.write_all(file.to_string().as_bytes()).unwrap();
        account
    }

    /// One of its files: `account.json` is what Google hands out.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Runs a command among its files.
    #[expect(clippy::disallowed_methods, reason = "tests run programs as people do")]
    pub(crate) fn run(&self, script: &str) {
        let mut command = std::process::Command::new("sh");
        let output = command.args(["-c", script]).current_dir(&self.dir).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{script}: {output:?}");
    }
}
