//! The packets of SFTP, version 3 (draft-ietf-secsh-filexfer-02), as far as a remote needs them.

use bytes::{Buf, Bytes};

pub(super) const INIT: u8 = 1;
pub(super) const VERSION: u8 = 2;
pub(super) const OPEN: u8 = 3;
pub(super) const CLOSE: u8 = 4;
pub(super) const READ: u8 = 5;
pub(super) const WRITE: u8 = 6;
pub(super) const LSTAT: u8 = 7;
pub(super) const OPENDIR: u8 = 11;
pub(super) const READDIR: u8 = 12;
pub(super) const REMOVE: u8 = 13;
pub(super) const MKDIR: u8 = 14;
pub(super) const STAT: u8 = 17;
pub(super) const RENAME: u8 = 18;
pub(super) const EXTENDED: u8 = 200;
const STATUS: u8 = 101;
const HANDLE: u8 = 102;
const DATA: u8 = 103;
const NAME: u8 = 104;
const ATTRS: u8 = 105;

/// Flags of `OPEN`.
pub(super) const FOR_READING: u32 = 0x01;
/// Writing a file that must not be there yet.
pub(super) const FOR_A_NEW_FILE: u32 = 0x02 | 0x08 | 0x20;

/// Status codes.
pub(super) const OK: u32 = 0;
pub(super) const END: u32 = 1;
pub(super) const NO_SUCH_FILE: u32 = 2;

/// More than any server sends in one packet.
pub(super) const MAX_PACKET: usize = 512 << 10;

const IS_FILE: u32 = 0o100_000;
const IS_DIR: u32 = 0o040_000;
const KIND: u32 = 0o170_000;

/// What a server answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Status { code: u32, text: String },
    Handle(Bytes),
    Data(Bytes),
    Names(Vec<(Bytes, Attributes)>),
    Attributes(Attributes),
}

/// What a server says of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Attributes {
    pub(super) size: u64,
    /// When it was written, in seconds since 1970.
    pub(super) modified: u32,
    mode: Option<u32>,
}

impl Attributes {
    /// Whether it is a plain file. A server that does not tell has nothing else.
    pub(super) fn is_file(self) -> bool {
        self.mode.is_none_or(|mode| mode & KIND == IS_FILE)
    }

    pub(super) fn is_dir(self) -> bool {
        self.mode.is_some_and(|mode| mode & KIND == IS_DIR)
    }
}

/// The fields of a request.
#[derive(Default)]
pub(super) struct Fields(Vec<u8>);

impl Fields {
    pub(super) fn u32(mut self, value: u32) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(super) fn u64(mut self, value: u64) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        let len = u32::try_from(bytes.len()).expect("names and pieces are short");
        self.0.extend_from_slice(&len.to_be_bytes());
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    /// A whole packet. The id of `INIT` is its version.
    pub(super) fn packet(self, kind: u8, id: u32) -> Vec<u8> {
        let len = u32::try_from(self.0.len() + 5).expect("packets are short");
        let mut packet = Vec::with_capacity(self.0.len() + 9);
        packet.extend_from_slice(&len.to_be_bytes());
        packet.push(kind);
        packet.extend_from_slice(&id.to_be_bytes());
        packet.extend_from_slice(&self.0);
        packet
    }
}

/// Reads the answer to a request: its id, and what it is. `None` is not SFTP.
pub(super) fn reply(mut packet: Bytes) -> Option<(u32, Reply)> {
    let kind = packet.try_get_u8().ok()?;
    let id = packet.try_get_u32().ok()?;
    let reply = match kind {
        STATUS => Reply::Status {
            code: packet.try_get_u32().ok()?,
            // Old servers leave the text out.
            text: string(&mut packet)
                .map(|text| String::from_utf8_lossy(&text).into_owned())
                .unwrap_or_default(),
        },
        HANDLE => Reply::Handle(string(&mut packet)?),
        DATA => Reply::Data(string(&mut packet)?),
        NAME => Reply::Names(names(&mut packet)?),
        ATTRS => Reply::Attributes(attributes(&mut packet)?),
        _ => return None,
    };
    Some((id, reply))
}

/// The names of the extensions in the answer to `INIT`, after its version.
pub(super) fn extensions(mut packet: Bytes) -> Option<Vec<Bytes>> {
    if packet.try_get_u8().ok()? != VERSION || packet.try_get_u32().ok()? < 3 {
        return None;
    }
    let mut names = Vec::new();
    while packet.has_remaining() {
        names.push(string(&mut packet)?);
        string(&mut packet)?;
    }
    Some(names)
}

fn names(packet: &mut Bytes) -> Option<Vec<(Bytes, Attributes)>> {
    let count = packet.try_get_u32().ok()?;
    // Each has at least 12 bytes, so a lie about the count ends soon.
    let mut names = Vec::new();
    for _ in 0..count {
        let name = string(packet)?;
        string(packet)?;
        names.push((name, attributes(packet)?));
    }
    Some(names)
}

fn attributes(packet: &mut Bytes) -> Option<Attributes> {
    let flags = packet.try_get_u32().ok()?;
    let mut found = Attributes::default();
    if flags & 0x01 != 0 {
        found.size = packet.try_get_u64().ok()?;
    }
    if flags & 0x02 != 0 {
        packet.try_get_u64().ok()?;
    }
    if flags & 0x04 != 0 {
        found.mode = Some(packet.try_get_u32().ok()?);
    }
    if flags & 0x08 != 0 {
        packet.try_get_u32().ok()?;
        found.modified = packet.try_get_u32().ok()?;
    }
    if flags & 0x8000_0000 != 0 {
        for _ in 0..packet.try_get_u32().ok()? {
            string(packet)?;
            string(packet)?;
        }
    }
    Some(found)
}

fn string(packet: &mut Bytes) -> Option<Bytes> {
    let len = packet.try_get_u32().ok()? as usize;
    (len <= packet.remaining()).then(|| packet.split_to(len))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_request_has_the_bytes_of_the_draft() {
        let packet = Fields::default()
            .text("/a")
            .u32(FOR_READING)
            .u32(0)
            .packet(OPEN, 7);
        let expected = [
            0, 0, 0, 19, 3, 0, 0, 0, 7, 0, 0, 0, 2, b'/', b'a', 0, 0, 0, 1, 0, 0, 0, 0,
        ];
        assert_eq!(packet, expected);
        assert_eq!(
            Fields::default().packet(INIT, 3),
            [0, 0, 0, 5, 1, 0, 0, 0, 3]
        );
    }

    #[test]
    fn answers_are_read() {
        let status = [&[101, 0, 0, 0, 9, 0, 0, 0, 2, 0, 0, 0, 2][..], b"no"].concat();
        let text = "no".to_owned();
        let code = NO_SUCH_FILE;
        let expected = Some((9, Reply::Status { code, text }));
        assert_eq!(reply(status.into()), expected);
        let file = [
            &[105, 0, 0, 0, 1, 0, 0, 0, 5][..],
            &7_u64.to_be_bytes(),
            &0o100_644_u32.to_be_bytes(),
        ];
        let Some((1, Reply::Attributes(found))) = reply(file.concat().into()) else {
            panic!("no attributes");
        };
        assert!(found.is_file() && !found.is_dir() && found.size == 7);
        let version = [&[2, 0, 0, 0, 3, 0, 0, 0, 1][..], b"x", &[0, 0, 0, 1], b"1"].concat();
        assert_eq!(extensions(version.into()), Some(vec![Bytes::from("x")]));
        assert_eq!(extensions(Bytes::from_static(&[2, 0, 0, 0, 2])), None);
    }

    proptest! {
        /// Whatever a server sends, it is read or refused.
        #[test]
        fn no_answer_breaks_anything(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = reply(bytes.clone().into());
            let _ = extensions(bytes.into());
        }
    }
}
