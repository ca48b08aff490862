//! What an answer of a cloud, or of a plain server, that is no success means.
//!
//! `object_store` keeps the status and the body of such an answer in a type that cannot be named
//! from outside, so they are read from its text. The version is pinned, and the tests against a
//! real server would notice another wording.

use std::error::Error as StdError;

use object_store::client::{HttpError, HttpErrorKind};

use super::credentials::Missing;
use super::printable;

/// Codes that say `no` to the one who asks, whatever status they come with.
const DENYING_CODES: [&str; 4] = [
    "AccessDenied",
    "InvalidAccessKeyId",
    "InvalidToken",
    "SignatureDoesNotMatch",
];

/// Codes that say that a key was good once.
const EXPIRED_CODES: [&str; 3] = [
    "ExpiredToken",
    "ExpiredTokenException",
    "TokenRefreshRequired",
];

/// The same in the sentence in which Azure tells what is wrong with a shared access signature.
const EXPIRED_SIGNATURE: &str = "Signature not valid in the specified time frame";

/// The same in which it says that a request is from another time.
const LATE_REQUEST: &str = "Request date header too old";

/// Where S3 and Azure tell more.
const MORE: [&str; 3] = ["Region", "ServerTime", "AuthenticationErrorDetail"];

/// Why a request did not succeed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// There was no key to sign it with.
    Credentials(Missing),
    /// Nobody was there to ask.
    Silence(String),
    /// The connection broke, or nothing moved on it any more: what was asked for may be done.
    Cut(String),
    /// The answer was not 2xx.
    Status(Status),
    /// The answer made no sense.
    Other(String),
}

/// An answer that was not 2xx.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Status {
    /// The number.
    pub(super) number: u16,
    /// The service's own word for it; an answer to HEAD has none.
    pub(super) code: Option<String>,
    /// The service's sentence.
    pub(super) message: Option<String>,
    /// What the document adds: the region of the bucket, what the clock of the service says, or what exactly
    /// Azure has against it.
    pub(super) more: Option<String>,
}

/// What the caller can do about an answer that was not 2xx.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The object is not there.
    NoObject,
    /// The bucket is not there.
    NoBucket,
    /// The one who asks may not.
    Denied,
    /// The one who asks might have, but not any more.
    Expired,
    /// The clock of the one who asks is wrong.
    Clock,
    /// The bucket is somewhere else.
    Elsewhere,
    /// An object is in the way.
    Exists,
    /// Somebody else writes the same object now.
    Conflict,
    /// The service has trouble of its own.
    Trouble,
    /// Anything else.
    Unknown,
}

impl Failure {
    /// Reads an error of the client, from the outside in.
    pub(super) fn read(error: &object_store::Error) -> Self {
        let mut next: Option<&(dyn StdError + 'static)> = Some(error);
        while let Some(error) = next {
            if let Some(missing) = error.downcast_ref::<Missing>() {
                return Self::Credentials(missing.clone());
            }
            if let Some(error) = error.downcast_ref::<HttpError>() {
                let text = root_cause(error);
                return match error.kind() {
                    HttpErrorKind::Connect => Self::Silence(text),
                    _ => Self::Cut(text),
                };
            }
            if let Some(status) = Status::parse(&error.to_string()) {
                return Self::Status(status);
            }
            next = error.source();
        }
        // What was part of an answer about several objects has no text of its own.
        if matches!(error, object_store::Error::NotFound { .. }) {
            return Self::Status(Status {
                number: 404,
                code: None,
                message: None,
                more: None,
            });
        }
        Self::Other(root_cause(error))
    }

    /// What kind of answer it was, if it was one.
    pub(super) fn kind(&self) -> Option<Kind> {
        match self {
            Self::Status(status) => Some(status.kind()),
            _ => None,
        }
    }

    /// Whether the service said no without a word of explanation, as it must to HEAD.
    pub(super) fn is_mute(&self) -> bool {
        matches!(self, Self::Status(Status { code: None, number, .. }) if *number < 500)
    }
}

/// `None` if the object is not there.
pub(super) fn or_absent<T>(answer: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(failure) if failure.kind() == Some(Kind::NoObject) => Ok(None),
        Err(failure) => Err(failure),
    }
}

impl Status {
    /// Reads the text that `object_store` makes of such an answer.
    fn parse(text: &str) -> Option<Self> {
        if text.starts_with("Received redirect without LOCATION") {
            return Some(Self {
                number: 301,
                code: None,
                message: None,
                more: None,
            });
        }
        if text.starts_with("Bulk delete request failed for key ") {
            let (_, code) = text.rsplit_once("(code: ")?;
            return Some(Self {
                number: code.strip_suffix(')')?.parse().ok()?,
                code: None,
                message: None,
                more: None,
            });
        }
        let rest = text.strip_prefix("Server returned non-2xx status code: ")?;
        Some(Self {
            number: rest.get(..3)?.parse().ok()?,
            code: element(rest, "Code").filter(|code| is_word(code)),
            message: element(rest, "Message"),
            more: MORE.iter().find_map(|name| element(rest, name)),
        })
    }

    /// What it means.
    pub(super) fn kind(&self) -> Kind {
        match (self.number, self.code.as_deref()) {
            (_, Some("NoSuchBucket" | "ContainerNotFound")) => Kind::NoBucket,
            (404, _) => Kind::NoObject,
            (_, Some("PermanentRedirect" | "AuthorizationHeaderMalformed")) => Kind::Elsewhere,
            (_, Some(code)) if EXPIRED_CODES.contains(&code) => Kind::Expired,
            (403, _) if self.adds(EXPIRED_SIGNATURE) => Kind::Expired,
            (_, Some("RequestTimeTooSkewed")) => Kind::Clock,
            (403, _) if self.adds(LATE_REQUEST) => Kind::Clock,
            (_, Some(code)) if DENYING_CODES.contains(&code) => Kind::Denied,
            (401 | 403, _) => Kind::Denied,
            (300..=303 | 305..=399, _) => Kind::Elsewhere,
            (304 | 412, _) | (_, Some("BlobAlreadyExists")) => Kind::Exists,
            (409, _) => Kind::Conflict,
            (408 | 429 | 500.., _) => Kind::Trouble,
            _ => Kind::Unknown,
        }
    }

    /// Whether what it adds begins so.
    fn adds(&self, start: &str) -> bool {
        let more = self.more.as_ref();
        more.is_some_and(|more| more.starts_with(start))
    }

    /// The region that the bucket is in, if it can be the name of one.
    pub(super) fn region(&self) -> Option<&str> {
        self.more.as_deref().filter(|region| is_region(region))
    }

    /// What the clock of the service says.
    pub(super) fn time(self) -> Option<String> {
        self.more
            .filter(|time| time.starts_with(|first: char| first.is_ascii_digit()))
    }

    /// Whether another key might do: this one has expired, or was not taken for one.
    pub(super) fn is_stale(&self) -> bool {
        self.number == 401 || self.kind() == Kind::Expired
    }

    /// `503 SlowDown: Reduce your request rate`.
    pub(super) fn describe(&self) -> String {
        let mut text = self.number.to_string();
        if let Some(code) = &self.code {
            text = format!("{text} {code}");
        }
        if let Some(message) = &self.message {
            text = format!("{text}: {message}");
        }
        text
    }
}

/// The innermost error says what happened; those around it only that something did.
pub(super) fn root_cause(error: &dyn StdError) -> String {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    printable(&root.to_string())
}

/// The text of the first XML element of that name. The bodies in question are a dozen lines that
/// every service writes alike.
fn element(text: &str, name: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (value, _) = rest.split_once(&format!("</{name}>"))?;
    let value = printable(value.trim());
    (!value.is_empty()).then_some(value)
}

/// Whether this can be the name of a region.
pub(super) fn is_region(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=64).contains(&text.len()) && text.bytes().all(legal)
}

fn is_word(text: &str) -> bool {
    text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::Lack;

    fn status(number: u16, code: Option<&str>) -> Status {
        Status {
            number,
            code: code.map(str::to_owned),
            message: None,
            more: None,
        }
    }

    #[test]
    fn reads_the_status_and_the_code() {
        let text = "Server returned non-2xx status code: 403 Forbidden: <?xml version=\"1.0\"?>\n\
                    <Error><Code>InvalidAccessKeyId</Code><Message>No\u{1b}[31m such key.</Message>\
                    </Error>";
        let status = Status::parse(text).unwrap();
        assert_eq!(status.number, 403);
        assert_eq!(status.code.as_deref(), Some("InvalidAccessKeyId"));
        assert_eq!(status.kind(), Kind::Denied);
        assert_eq!(
            status.describe(),
            "403 InvalidAccessKeyId: No[31m such key."
        );
    }

    #[test]
    fn reads_the_status_of_a_part_of_an_answer() {
        let text = "Bulk delete request failed for key a (code: 1): This request is not authorized \
                    to perform this operation. (code: 403)";
        assert_eq!(Status::parse(text), Some(status(403, None)));
        let not_there = object_store::Error::NotFound {
            path: "a".to_owned(),
            source: "gone".into(),
        };
        assert_eq!(Failure::read(&not_there).kind(), Some(Kind::NoObject));
    }

    #[test]
    fn other_texts_are_no_status() {
        let texts = [
            "",
            "HTTP error: request failed",
            "Server returned non-2xx status code: ",
            "Server returned non-2xx status code: abc",
            "Bulk delete request failed for key a: no reason",
            "Server returned non-2xx status code: 4é",
        ];
        for text in texts {
            assert_eq!(Status::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_azure_adds_to_a_refusal_tells_why() {
        let answer = |detail: &str| {
            format!(
                "Server returned non-2xx status code: 403 Forbidden: <Error><Code>AuthenticationFailed</Code>\
                 <Message>Server failed to authenticate the request.</Message>\
                 <AuthenticationErrorDetail>{detail}</AuthenticationErrorDetail></Error>"
            )
        };
        let over = answer(
            "Signature not valid in the specified time frame: Start [Wed, 01 Jan 2025 00:00:00 GMT] - \
             Expiry [Thu, 02 Jan 2025 00:00:00 GMT] - Current [Fri, 03 Jan 2025 00:00:00 GMT]",
        );
        assert_eq!(Status::parse(&over).unwrap().kind(), Kind::Expired);
        let late = answer("Request date header too old: 'Wed, 01 Jan 2025 00:00:00 GMT'");
        let late = Status::parse(&late).unwrap();
        assert_eq!(late.kind(), Kind::Clock);
        assert_eq!(late.time(), None);
        let wrong = answer("Signature did not match. String to sign used was rl");
        assert_eq!(Status::parse(&wrong).unwrap().kind(), Kind::Denied);
    }

    #[test]
    fn a_region_is_read_if_it_can_be_one() {
        let read = |region: &str| {
            let text = format!(
                "Server returned non-2xx status code: 400 Bad Request: <Error>\
                 <Code>AuthorizationHeaderMalformed</Code><Region>{region}</Region></Error>"
            );
            Status::parse(&text).unwrap().region().map(str::to_owned)
        };
        assert_eq!(read("eu-west-1").as_deref(), Some("eu-west-1"));
        for region in ["", "eu west", "$(reboot)", "EU", &"a".repeat(65)] {
            assert_eq!(read(region), None, "{region}");
        }
    }

    #[test]
    fn a_code_that_is_no_word_is_dropped() {
        let text = "Server returned non-2xx status code: 400 Bad Request: <Code>a b</Code>";
        assert_eq!(Status::parse(text).unwrap(), status(400, None));
    }

    #[test]
    fn tells_the_kinds_apart() {
        let cases = [
            (404, None, Kind::NoObject),
            (404, Some("NoSuchKey"), Kind::NoObject),
            (404, Some("NoSuchBucket"), Kind::NoBucket),
            (404, Some("ContainerNotFound"), Kind::NoBucket),
            (404, Some("BlobNotFound"), Kind::NoObject),
            (403, Some("AuthenticationFailed"), Kind::Denied),
            (409, Some("BlobAlreadyExists"), Kind::Exists),
            (409, Some("LeaseIdMissing"), Kind::Conflict),
            (403, None, Kind::Denied),
            (401, None, Kind::Denied),
            (400, Some("ExpiredToken"), Kind::Expired),
            (403, Some("ExpiredToken"), Kind::Expired),
            (400, Some("TokenRefreshRequired"), Kind::Expired),
            (403, Some("RequestTimeTooSkewed"), Kind::Clock),
            (400, Some("AuthorizationHeaderMalformed"), Kind::Elsewhere),
            (301, Some("PermanentRedirect"), Kind::Elsewhere),
            (307, None, Kind::Elsewhere),
            (304, None, Kind::Exists),
            (412, Some("PreconditionFailed"), Kind::Exists),
            (409, Some("ConditionalRequestConflict"), Kind::Conflict),
            (408, None, Kind::Trouble),
            (429, None, Kind::Trouble),
            (503, Some("SlowDown"), Kind::Trouble),
            (400, Some("InvalidRequest"), Kind::Unknown),
            (416, Some("InvalidRange"), Kind::Unknown),
        ];
        for (number, code, kind) in cases {
            assert_eq!(status(number, code).kind(), kind, "{number} {code:?}");
        }
    }

    #[test]
    fn finds_missing_credentials_below_the_surface() {
        let missing = Missing {
            source: "profile `x`".to_owned(),
            detail: "no such profile".to_owned(),
            lack: Lack::Key,
        };
        let error = object_store::Error::Generic {
            store: "S3",
            source: Box::new(missing.clone()),
        };
        assert_eq!(Failure::read(&error), Failure::Credentials(missing));
    }

    #[test]
    fn the_root_cause_is_the_innermost() {
        let inner = std::io::Error::other("the wire broke");
        let error = object_store::Error::Generic {
            store: "S3",
            source: Box::new(std::io::Error::other(inner)),
        };
        assert_eq!(
            Failure::read(&error),
            Failure::Other("the wire broke".to_owned())
        );
    }
}
