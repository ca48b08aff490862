//! The header, the index and the trailer of a pack.

use crate::hash::Digest;

use super::{
    ENTRY_LEN, Entry, Error, HEADER_LEN, MAX_ENTRIES, MAX_LEN, MIXED_LEN, PackKind, Result,
    TRAILER_LEN,
};

const MAGIC: &[u8; 8] = b"ESKPACK1";
const END_MAGIC: &[u8; 8] = b"ESKPEND1";

/// The first bytes of a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the pack holds.
    pub kind: PackKind,
    /// Chance, so that every pack that is built has a name of its own.
    pub nonce: [u8; 16],
}

/// What a pack holds, in the order of its frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    entries: Vec<Entry>,
    check: Digest,
    length: u64,
}

/// How many frames the trailer of a pack announces, if it is a trailer and may do so.
pub fn announced_entries(trailer: &[u8; TRAILER_LEN]) -> Option<u32> {
    let [a, b, c, d, ..] = *trailer;
    let count = u32::from_le_bytes([a, b, c, d]);
    (trailer.ends_with(END_MAGIC) && count as usize <= MAX_ENTRIES).then_some(count)
}

/// How many bytes at the end of a pack of `entries` frames make up index and trailer.
pub fn tail_len(entries: u32) -> u64 {
    ENTRY_LEN as u64 * u64::from(entries) + TRAILER_LEN as u64
}

impl Header {
    /// The bytes.
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8] = self.kind as u8;
        bytes[16..].copy_from_slice(&self.nonce);
        bytes
    }

    /// Reads the bytes.
    pub fn decode(bytes: &[u8; HEADER_LEN]) -> Result<Self> {
        if &bytes[..8] != MAGIC {
            return Err(Error::Malformed("the first bytes are not `ESKPACK1`"));
        }
        let kind = PackKind::from_u8(bytes[8]).ok_or(Error::Malformed("an unknown kind"))?;
        if bytes[9..16] != [0; 7] {
            return Err(Error::Malformed("the header's reserved bytes are not zero"));
        }
        let mut nonce = [0; 16];
        nonce.copy_from_slice(&bytes[16..]);
        Ok(Self { kind, nonce })
    }
}

impl Index {
    /// Reads a whole pack, frames aside.
    pub fn decode(pack: &[u8]) -> Result<(Header, Self)> {
        let header = pack
            .first_chunk::<HEADER_LEN>()
            .ok_or(Error::Malformed("it is too short"))?;
        let index = Self::decode_tail(pack, pack.len() as u64)?;
        Ok((index.check_header(header)?, index))
    }

    /// Reads the index from bytes that end where the pack ends, given the pack's length. They
    /// must hold the index and the trailer: [`tail_len`] bytes or more.
    ///
    /// The checksum covers the header too, which is not in these bytes, so it is not checked
    /// here: [`decode_frame`](super::decode_frame) proves what matters, and
    /// [`Index::check_header`] proves the rest.
    pub fn decode_tail(tail: &[u8], length: u64) -> Result<Self> {
        let (front, trailer) = tail
            .split_last_chunk::<TRAILER_LEN>()
            .ok_or(Error::Malformed("it is too short"))?;
        let (count, offset, check) = decode_trailer(trailer, length)?;
        let index = front
            .len()
            .checked_sub(count * ENTRY_LEN)
            .and_then(|start| front.get(start..))
            .ok_or(Error::Malformed("the index is longer than what was read"))?;
        let (chunks, _) = index.as_chunks::<ENTRY_LEN>();
        let entries = chunks
            .iter()
            .map(Entry::decode)
            .collect::<Result<Vec<_>>>()?;
        let index = Self {
            entries,
            check,
            length,
        };
        if index.frames_end() != offset {
            return Err(Error::Malformed("the frames do not end at the index"));
        }
        Ok(index)
    }

    /// Reads the header and checks the checksum over header and index.
    pub fn check_header(&self, header: &[u8; HEADER_LEN]) -> Result<Header> {
        if checksum(header, &encode_entries(&self.entries)) != self.check {
            return Err(Error::Malformed("the checksum of header and index differs"));
        }
        let header = Header::decode(header)?;
        if header.kind == PackKind::Mixed && self.length >= MIXED_LEN {
            return Err(Error::Malformed("a mixed pack of 1 MiB or more"));
        }
        Ok(header)
    }

    /// The entries, in the order of the frames.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entries with the offsets of their frames.
    pub fn located(&self) -> impl Iterator<Item = (u64, &Entry)> {
        located(&self.entries)
    }

    /// The length of the whole pack.
    pub fn length(&self) -> u64 {
        self.length
    }

    fn frames_end(&self) -> u64 {
        let stored = self.entries.iter().map(|entry| u64::from(entry.stored_len));
        HEADER_LEN as u64 + stored.sum::<u64>()
    }
}

/// Entries with the offsets of their frames, which follow from the lengths before.
pub(super) fn located(entries: &[Entry]) -> impl Iterator<Item = (u64, &Entry)> {
    entries.iter().scan(HEADER_LEN as u64, |next, entry| {
        let offset = *next;
        *next += u64::from(entry.stored_len);
        Some((offset, entry))
    })
}

/// The index and the trailer that end a pack.
pub(super) fn encode_tail(header: &[u8; HEADER_LEN], entries: &[Entry], offset: u64) -> Vec<u8> {
    let mut tail = encode_entries(entries);
    let check = checksum(header, &tail);
    let count = u32::try_from(entries.len()).expect("a pack holds at most 65,536 frames");
    tail.extend_from_slice(&count.to_le_bytes());
    tail.extend_from_slice(&[0; 4]);
    tail.extend_from_slice(&offset.to_le_bytes());
    tail.extend_from_slice(check.as_bytes());
    tail.extend_from_slice(&(offset + tail_len(count)).to_le_bytes());
    tail.extend_from_slice(END_MAGIC);
    tail
}

fn encode_entries(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(entries.len() * ENTRY_LEN + TRAILER_LEN);
    for entry in entries {
        entry.encode(&mut bytes);
    }
    bytes
}

fn checksum(header: &[u8; HEADER_LEN], index: &[u8]) -> Digest {
    let mut hasher = crate::hash::Hasher::new();
    hasher.update(header);
    for piece in index.chunks(super::HASHED_ALONE) {
        hasher.update(piece);
    }
    hasher.finish()
}

/// Yields the number of entries, where the index begins, and the checksum.
fn decode_trailer(trailer: &[u8; TRAILER_LEN], length: u64) -> Result<(usize, u64, Digest)> {
    let field = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&trailer[at..at + 8]);
        u64::from_le_bytes(bytes)
    };
    if &trailer[56..] != END_MAGIC {
        return Err(Error::Malformed("the last bytes are not `ESKPEND1`"));
    }
    if field(48) != length || length > MAX_LEN {
        return Err(Error::Malformed("its length is not the one in the trailer"));
    }
    // The upper half of this field is reserved and zero, so a wrong one shows as a huge count.
    let count = field(0);
    if count > MAX_ENTRIES as u64 {
        return Err(Error::Malformed("more frames than a pack may hold"));
    }
    let offset = field(8);
    let tail = count * ENTRY_LEN as u64 + TRAILER_LEN as u64;
    if offset.checked_add(tail) != Some(length) || offset < HEADER_LEN as u64 {
        return Err(Error::Malformed("the index does not fill the pack's end"));
    }
    let mut check = [0; 32];
    check.copy_from_slice(&trailer[16..48]);
    let count = usize::try_from(count).expect("at most 65,536");
    Ok((count, offset, Digest::from_bytes(check)))
}
