//! A small AWS for tests: whatever hands out keys, in front of a real S3 server.
//!
//! Security tokens, single sign-on, the metadata service of a machine and that of a container are played,
//! as their public references describe them. What they hand out is looked for in every request
//! for S3: the signature is computed again from the secret, and the session token must be the one that
//! belongs to the key. What passes is signed anew for the real server and goes on to it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use super::serving::{Request, answer, decode, listen};
use super::signature::{Pair, sign, verify};

/// The key that somebody has written down: a base for roles.
pub(crate) const WRITTEN: (&str, &str) = ("AKIAWRITTENDOWN00001", "secret-of-the-written");
/// What a trusted issuer says of whoever runs the tests.
pub(crate) const ASSERTION: &str = "the-assertion";
/// What a container shows to get its key.
pub(crate) const CONTAINER: &str = "the-container";
/// A login that is good.
pub(crate) const LOGIN: &str = "login-1";
/// What renews a login that is over.
pub(crate) const RENEWAL: &str = "renewal-1";

const FOREVER: &str = "2099-01-01T00:00:00Z";
const FOREVER_MILLISECONDS: u64 = 4_070_908_800_000;

/// The cloud.
pub(crate) struct Amazon {
    /// Where it listens.
    pub(crate) endpoint: String,
    state: Arc<Mutex<State>>,
}

/// A real S3 server.
pub(crate) struct Behind {
    /// Where it is, `http://…`.
    pub(crate) endpoint: String,
    /// The key that it knows.
    pub(crate) pair: Pair,
}

struct State {
    behind: Behind,
    region: &'static str,
    elsewhere: &'static str,
    /// The secret of each key, and the session token that belongs to it.
    keys: BTreeMap<String, Key>,
    issued: usize,
    asked: Vec<String>,
    shown: BTreeSet<String>,
    served: usize,
    received: usize,
    /// After so many requests for S3 the keys of that time have expired.
    expiry: Option<usize>,
    /// And so have the logins.
    logins_end: bool,
    logins_are_over: bool,
    /// A clock that is not right.
    is_skewed: bool,
}

struct Key {
    secret: String,
    token: Option<String>,
    has_expired: bool,
}

impl Amazon {
    /// Starts it. It ends with the process of the test.
    pub(crate) fn start(behind: Behind) -> Self {
        let written = Key {
            secret: WRITTEN.1.to_owned(),
            token: None,
            has_expired: false,
        };
        let state = State {
            behind,
            region: "us-east-1",
            elsewhere: "AuthorizationHeaderMalformed",
            keys: BTreeMap::from([(WRITTEN.0.to_owned(), written)]),
            issued: 0,
            asked: Vec::new(),
            shown: BTreeSet::new(),
            served: 0,
            received: 0,
            logins_end: false,
            logins_are_over: false,
            expiry: None,
            is_skewed: false,
        };
        let state = Arc::new(Mutex::new(state));
        let endpoint = listen(&state, State::serve);
        Self { endpoint, state }
    }

    /// A temporary key, as somebody would copy it from a page: id, secret and session token.
    pub(crate) fn issue(&self) -> [String; 3] {
        self.state().issue()
    }

    /// What was asked of those who hand out keys.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.state().asked.clone()
    }

    /// The keys that signed what went on to S3.
    pub(crate) fn shown(&self) -> Vec<String> {
        self.state().shown.iter().cloned().collect()
    }

    /// How many requests for S3 there were.
    pub(crate) fn served(&self) -> usize {
        self.state().served
    }

    /// How many bytes of objects came in.
    pub(crate) fn received(&self) -> usize {
        self.state().received
    }

    /// With the keys that expire next all logins end.
    pub(crate) fn end_logins(&self) {
        self.state().logins_end = true;
    }

    /// All keys that are out expire after so many more requests for S3.
    pub(crate) fn expire_after(&self, requests: usize) {
        let mut state = self.state();
        state.expiry = Some(state.served + requests);
    }

    /// The bucket is in this region, and nowhere else; who asks elsewhere is told so by this word.
    pub(crate) fn move_to(&self, region: &'static str, word: &'static str) {
        let mut state = self.state();
        (state.region, state.elsewhere) = (region, word);
    }

    /// From now on the one who asks is an hour late.
    pub(crate) fn skew(&self) {
        self.state().is_skewed = true;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    fn serve(&mut self, stream: &TcpStream, request: &Request) {
        let (method, place) = request.line.split_once(' ').unwrap();
        let path = place.split('?').next().unwrap();
        match (method, path) {
            ("POST", "/sts/" | "/sts") => self.security_tokens(stream, request),
            ("GET", "/portal/federation/credentials") => self.portal(stream, place, request),
            ("POST", "/oidc/token") => self.renewal(stream, request),
            ("GET", "/container") => self.container(stream, request),
            (_, path) if path.starts_with("/latest/") => {
                self.machine(stream, method, path, request);
            }
            _ => self.storage(stream, request),
        }
    }

    fn issue(&mut self) -> [String; 3] {
        self.issued += 1;
        let number = self.issued;
        let id = format!("ASIATEMPORARY{number:07}");
        let (secret, token) = (format!("secret-{number}"), format!("token/{number}+=="));
        let key = Key {
            secret: secret.clone(),
            token: Some(token.clone()),
            has_expired: false,
        };
        self.keys.insert(id.clone(), key);
        [id, secret, token]
    }

    /// `AssumeRole` for whoever has a key, `AssumeRoleWithWebIdentity` for whoever is vouched for.
    fn security_tokens(&mut self, stream: &TcpStream, request: &Request) {
        let form = form(&String::from_utf8_lossy(&request.body));
        let value = |name: &str| form.get(name).map_or("", String::as_str);
        let action = value("Action");
        let by = match action {
            "AssumeRole" => match self.verify(request, "sts", self.region) {
                Ok(id) => id,
                Err((code, _)) => return denied(stream, code),
            },
            "AssumeRoleWithWebIdentity" if value("WebIdentityToken") == ASSERTION => {
                ASSERTION.to_owned()
            }
            _ => return denied(stream, "InvalidIdentityToken"),
        };
        let role = value("RoleArn");
        self.asked.push(format!("{action} {role} by {by}"));
        let [id, secret, token] = self.issue();
        let body = format!(
            "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result>\
             <AssumedRoleUser><AssumedRoleId>AROA:{session}</AssumedRoleId>\
             <Arn>arn:aws:sts::123456789012:assumed-role/reader/{session}</Arn></AssumedRoleUser>\
             <Credentials><AccessKeyId>{id}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>\
             <SessionToken>{token}</SessionToken><Expiration>{FOREVER}</Expiration></Credentials>\
             </{action}Result><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata>\
             </{action}Response>",
            session = value("RoleSessionName"),
        );
        answer(
            stream,
            "200 OK",
            "content-type: text/xml\r\n",
            body.as_bytes(),
            false,
        );
    }

    /// The portal of single sign-on.
    fn portal(&mut self, stream: &TcpStream, place: &str, request: &Request) {
        let (_, query) = place.split_once('?').unwrap_or_default();
        let query = form(query);
        let shown = request.headers.get("x-amz-sso_bearer_token");
        let is_good = |shown: &String| shown == LOGIN || shown == "login-2";
        if self.logins_are_over || !shown.is_some_and(is_good) {
            let headers =
                "x-amzn-errortype: UnauthorizedException\r\ncontent-type: application/json\r\n";
            let body = br#"{"message":"Session token not found or invalid","__type":"com.amazonaws.switchboard.portal#UnauthorizedException"}"#;
            return answer(stream, "401 Unauthorized", headers, body, false);
        }
        let (account, role) = (&query["account_id"], &query["role_name"]);
        self.asked
            .push(format!("portal {account} {role} by {}", shown.unwrap()));
        let [id, secret, token] = self.issue();
        let body = serde_json::json!({"roleCredentials": {
            "accessKeyId": id, "secretAccessKey": secret, "sessionToken": token,
            "expiration": FOREVER_MILLISECONDS,
        }});
        json(stream, &body);
    }

    /// A new login for whoever can renew an old one.
    fn renewal(&mut self, stream: &TcpStream, request: &Request) {
        let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        if body["refreshToken"] != RENEWAL || body["grantType"] != "refresh_token" {
            let headers =
                "x-amzn-errortype: InvalidGrantException\r\ncontent-type: application/json\r\n";
            let body = br#"{"error":"invalid_grant","error_description":"Invalid refresh token provided"}"#;
            return answer(stream, "400 Bad Request", headers, body, false);
        }
        self.asked.push("renewal".to_owned());
        let body = serde_json::json!({
            "accessToken": "login-2", "expiresIn": 28800, "tokenType": "Bearer",
            "refreshToken": "renewal-2",
        });
        json(stream, &body);
    }

    fn container(&mut self, stream: &TcpStream, request: &Request) {
        if request
            .headers
            .get("authorization")
            .is_none_or(|shown| shown != CONTAINER)
        {
            return answer(stream, "401 Unauthorized", "", b"", false);
        }
        self.asked.push("container".to_owned());
        let [id, secret, token] = self.issue();
        let body = serde_json::json!({
            "AccessKeyId": id, "SecretAccessKey": secret, "Token": token, "Expiration": FOREVER,
        });
        json(stream, &body);
    }

    /// The metadata service in its second version; the first one is off.
    fn machine(&mut self, stream: &TcpStream, method: &str, path: &str, request: &Request) {
        const SESSION: &str = "the-session";
        if (method, path) == ("PUT", "/latest/api/token") {
            let ttl = &request.headers["x-aws-ec2-metadata-token-ttl-seconds"];
            let headers = format!("x-aws-ec2-metadata-token-ttl-seconds: {ttl}\r\n");
            return answer(stream, "200 OK", &headers, SESSION.as_bytes(), false);
        }
        let shown = request.headers.get("x-aws-ec2-metadata-token");
        if shown.is_none_or(|shown| shown != SESSION) {
            return answer(stream, "401 Unauthorized", "", b"", false);
        }
        match path.strip_prefix("/latest/meta-data/iam/security-credentials/") {
            Some("") => answer(stream, "200 OK", "", b"worker", false),
            Some("worker") => {
                self.asked.push("machine".to_owned());
                let [id, secret, token] = self.issue();
                let body = serde_json::json!({
                    "Code": "Success", "LastUpdated": "2026-01-01T00:00:00Z", "Type": "AWS-HMAC",
                    "AccessKeyId": id, "SecretAccessKey": secret, "Token": token,
                    "Expiration": FOREVER,
                });
                json(stream, &body);
            }
            _ => answer(stream, "404 Not Found", "", b"", false),
        }
    }

    fn storage(&mut self, stream: &TcpStream, request: &Request) {
        if self.expiry.is_some_and(|after| self.served >= after) {
            self.expiry = None;
            self.logins_are_over = self.logins_end;
            self.keys
                .values_mut()
                .for_each(|key| key.has_expired = true);
        }
        self.served += 1;
        match self.verify(request, "s3", self.region) {
            Ok(id) => {
                self.shown.insert(id);
                self.received += request.body.len();
                self.hand_on(stream, request);
            }
            Err((code, more)) => {
                let status = match code {
                    "PermanentRedirect" => "301 Moved Permanently",
                    "ExpiredToken" | "AuthorizationHeaderMalformed" => "400 Bad Request",
                    _ => "403 Forbidden",
                };
                let headers = format!(
                    "content-type: application/xml\r\nx-amz-bucket-region: {}\r\n",
                    self.region
                );
                let body = format!(
                    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code>\
                     <Message>So it is.</Message>{more}</Error>"
                );
                let is_head = request.line.starts_with("HEAD ");
                answer(stream, status, &headers, body.as_bytes(), is_head);
            }
        }
    }

    /// Whose request it is. The error is the service's word for what is wrong with it, and what more the
    /// document says.
    fn verify(
        &self,
        request: &Request,
        service: &str,
        region: &str,
    ) -> Result<String, (&'static str, String)> {
        let signed = verify(request, service, |id| {
            let key = self.keys.get(id)?;
            Some((key.secret.clone(), key.token.clone()))
        })
        .map_err(|code| (code, String::new()))?;
        if self.is_skewed {
            let more = "<RequestTime>20260101T000000Z</RequestTime>\
                        <ServerTime>2026-01-01T01:00:00Z</ServerTime>\
                        <MaxAllowedSkewMilliseconds>900000</MaxAllowedSkewMilliseconds>";
            return Err(("RequestTimeTooSkewed", more.to_owned()));
        }
        if self.keys[&signed.id].has_expired {
            return Err(("ExpiredToken", String::new()));
        }
        match signed.region == region {
            true => Ok(signed.id),
            false => Err((self.elsewhere, format!("<Region>{region}</Region>"))),
        }
    }

    /// Asks the real server, and gives its answer as it is.
    fn hand_on(&self, mut stream: &TcpStream, request: &Request) {
        let (_, host) = self.behind.endpoint.split_once("://").unwrap();
        let headers = sign(request, host, &self.behind.pair, self.region);
        let mut text = format!("{} HTTP/1.1\r\n", request.line);
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("connection: close\r\n\r\n");
        let mut server = TcpStream::connect(host).unwrap();
        server
            .write_all(&[text.as_bytes(), &request.body].concat())
            .unwrap();
        // Who asked may be gone.
        let _ = std::io::copy(&mut server, &mut stream);
        let _ = stream.shutdown(Shutdown::Both);
    }
}

fn denied(stream: &TcpStream, code: &str) {
    let body = format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
         <Code>{code}</Code><Message>So it is.</Message></Error><RequestId>1</RequestId></ErrorResponse>"
    );
    answer(
        stream,
        "403 Forbidden",
        "content-type: text/xml\r\n",
        body.as_bytes(),
        false,
    );
}

fn json(stream: &TcpStream, body: &serde_json::Value) {
    let body = body.to_string();
    answer(
        stream,
        "200 OK",
        "content-type: application/json\r\n",
        body.as_bytes(),
        false,
    );
}

/// The parts of `a=b&c=d`.
fn form(text: &str) -> BTreeMap<String, String> {
    let parts = text.split('&').filter_map(|part| part.split_once('='));
    parts
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}
