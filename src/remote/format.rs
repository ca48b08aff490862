//! `format.json`: what a remote is, and who may use it. `docs/format.md`, section "Remotes".

use serde::{Deserialize, Serialize};

use super::chunker::{self, Chunker};
use crate::hash::hex;

/// The features of the format that this version knows.
const KNOWN_FEATURES: &[&str] = &[GC_LOG];
/// Writers look at the log of garbage collection after they have published. Where this is not
/// said, somebody may push who does not.
const GC_LOG: &str = "gc-log";
/// The version of the format that this version reads and writes.
const VERSION: u32 = 1;

/// The content of `format.json`, in the order of its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Format {
    format: u32,
    /// Names the remote, wherever it moves: 32 hexadecimal digits.
    pub(super) uuid: String,
    chunker: String,
    features: Vec<String>,
    min_reader: u32,
    min_writer: u32,
}

/// What this version cannot do with a remote.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is no `format.json`.
    Damaged(String),
    /// It was written by a newer version.
    TooNew(String),
}

/// What somebody wants to do with a remote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

impl Format {
    /// The format of a new remote.
    pub(super) fn new(uuid: [u8; 16]) -> Self {
        Self {
            format: VERSION,
            uuid: hex(&uuid),
            chunker: chunker::DEFAULT.to_owned(),
            features: vec![GC_LOG.to_owned()],
            min_reader: VERSION,
            min_writer: VERSION,
        }
    }

    /// Whether garbage may be collected there.
    pub(super) fn is_collectable(&self) -> bool {
        self.features.iter().any(|feature| feature == GC_LOG)
    }

    /// How large files are cut for this remote. One that is not known is a hint for others: readers take
    /// any cut.
    pub(super) fn chunker(&self) -> Chunker {
        Chunker::parse(&self.chunker).unwrap_or_default()
    }

    /// One line of JSON.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).expect("strings and numbers always serialise");
        bytes.push(b'\n');
        bytes
    }

    /// Reads and judges. A newer version may have keys of its own, so the version is looked at
    /// before anything else, and keys that are not known are passed over.
    pub(super) fn decode(bytes: &[u8], access: Access) -> Result<Self, Refusal> {
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let damaged = |error: serde_json::Error| Refusal::Damaged(error.to_string());
        let Version { format } = serde_json::from_slice(bytes).map_err(damaged)?;
        if format > VERSION {
            return Err(Refusal::TooNew(format!("its format is version {format}")));
        }
        if format != VERSION {
            return Err(Refusal::Damaged(format!("there is no format {format}")));
        }
        let read: Self = serde_json::from_slice(bytes).map_err(damaged)?;
        read.check(access)?;
        Ok(read)
    }

    fn check(&self, access: Access) -> Result<(), Refusal> {
        let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if self.uuid.len() != 32 || !self.uuid.bytes().all(hex) {
            return Err(Refusal::Damaged("its uuid is not 32 hex digits".into()));
        }
        let mut features = self.features.iter();
        if let Some(unknown) = features.find(|name| !KNOWN_FEATURES.contains(&name.as_str())) {
            let reason = format!("it uses the feature `{}`", unknown.escape_debug());
            return Err(Refusal::TooNew(reason));
        }
        let (minimum, what) = match access {
            Access::Read => (self.min_reader, "read"),
            Access::Write => (self.min_writer, "write"),
        };
        if minimum > VERSION {
            let reason = format!("only format {minimum} and later may {what} it");
            return Err(Refusal::TooNew(reason));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: &[u8] = include_bytes!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/fixtures/formats/format-json-v1/format.json"
    ));

    #[test]
    fn the_golden_bytes_are_read_and_written_the_same() {
        let format = Format::new(*b"0123456789abcdef");
        assert_eq!(format.encode(), GOLDEN);
        assert_eq!(Format::decode(GOLDEN, Access::Write), Ok(format));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let good = String::from_utf8(GOLDEN.to_vec()).unwrap();
        let too_new = [
            good.replace("\"format\":1", "\"format\":2"),
            good.replace("\"gc-log\"", "\"gc-log\",\"later\""),
            good.replace("\"min_reader\":1", "\"min_reader\":2"),
            "{\"format\":9,\"anything\":[]}".to_owned(),
        ];
        for text in &too_new {
            let read = Format::decode(text.as_bytes(), Access::Read);
            assert!(matches!(read, Err(Refusal::TooNew(_))), "{text}");
        }
        let damaged = [
            String::new(),
            "{}".into(),
            "[1]".into(),
            good.replace("\"format\":1", "\"format\":0"),
            good.replace("\"format\":1", "\"format\":-1"),
            good.replace("3031", "zz"),
            good.replace("3031", ""),
            good.replace(",\"min_writer\":1", ""),
        ];
        for text in &damaged {
            let read = Format::decode(text.as_bytes(), Access::Read);
            assert!(matches!(read, Err(Refusal::Damaged(_))), "{text}");
        }
    }

    #[test]
    fn a_remote_for_newer_writers_may_still_be_read() {
        let good = String::from_utf8(GOLDEN.to_vec()).unwrap();
        let text = good.replace("\"min_writer\":1", "\"min_writer\":2");
        assert!(Format::decode(text.as_bytes(), Access::Read).is_ok());
        let refused = Format::decode(text.as_bytes(), Access::Write);
        assert!(matches!(refused, Err(Refusal::TooNew(_))));
    }

    #[test]
    fn keys_of_later_versions_are_passed_over() {
        let good = String::from_utf8(GOLDEN.to_vec()).unwrap();
        let text = good.replace("{\"format\"", "{\"later\":{},\"format\"");
        assert!(Format::decode(text.as_bytes(), Access::Read).is_ok());
    }
}
