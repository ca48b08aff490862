//! Puts a pack together in memory.

use crate::hash::{Hasher, PackId};

use super::index::encode_tail;
use super::{
    ENTRY_LEN, Entry, HASHED_ALONE, HEADER_LEN, Header, MAX_ENTRIES, PackKind, TARGET_LEN, tail_len,
};

/// A pack in memory that any number of threads may read. Unlike a [`Writer`](super::Writer) it
/// hashes nothing before it is finished, so that adding a frame is as cheap as copying it.
pub struct Builder {
    header: [u8; HEADER_LEN],
    /// Header and frames.
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

impl Builder {
    /// Begins a pack in a buffer, whose bytes are dropped. The nonce must come from chance.
    pub fn new(kind: PackKind, nonce: [u8; 16], mut buffer: Vec<u8>) -> Self {
        let header = Header { kind, nonce }.encode();
        buffer.clear();
        buffer.extend_from_slice(&header);
        Self {
            header,
            bytes: buffer,
            entries: Vec::new(),
        }
    }

    /// Whether a frame of this length still fits into a pack of the usual length.
    pub fn has_room(&self, stored_len: u32) -> bool {
        let index = (self.entries.len() + 1) * ENTRY_LEN;
        let length = self.bytes.len() as u64 + u64::from(stored_len) + index as u64 + tail_len(0);
        length <= TARGET_LEN && self.entries.len() < MAX_ENTRIES
    }

    /// Appends a frame and says where it begins. `bytes` must be as long as the entry says, and
    /// there must be room.
    pub fn add(&mut self, entry: Entry, bytes: &[u8]) -> u32 {
        assert!(self.has_room(entry.stored_len), "the pack is full");
        assert_eq!(entry.stored_len as usize, bytes.len(), "another frame");
        let offset = u32::try_from(self.bytes.len()).expect("a pack is at most 64 MiB long");
        self.bytes.extend_from_slice(bytes);
        self.entries.push(entry);
        offset
    }

    /// Header and frames.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The entries, in the order of the frames.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The name of the pack, and what follows its frames.
    pub fn finish(&self) -> (PackId, Vec<u8>) {
        let tail = encode_tail(&self.header, &self.entries, self.bytes.len() as u64);
        let mut hasher = Hasher::new();
        for piece in self
            .bytes
            .chunks(HASHED_ALONE)
            .chain(tail.chunks(HASHED_ALONE))
        {
            hasher.update(piece);
        }
        (PackId(hasher.finish()), tail)
    }

    /// Gives the buffer back.
    pub fn into_buffer(self) -> Vec<u8> {
        self.bytes
    }
}
