//! Writes a pack front to back.

use std::io::Write;

use crate::hash::{Hasher, PackId};

use super::index::encode_tail;
use super::{
    Entry, Error, Frame, HASHED_ALONE, HEADER_LEN, Header, MAX_ENTRIES, MAX_LEN, MIXED_LEN,
    PackKind, Result, tail_len,
};

/// Streams a pack into a writer and hashes it on the way, some frames at a time. Few bytes wait in
/// memory, however long the pack is.
pub struct Writer<W> {
    out: W,
    hasher: Hasher,
    /// What is not written yet.
    buffer: Vec<u8>,
    header: [u8; HEADER_LEN],
    kind: PackKind,
    entries: Vec<Entry>,
    offset: u64,
}

/// A pack that was written to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Its name.
    pub id: PackId,
    /// What it holds, by kind.
    pub kind: PackKind,
    /// Its length.
    pub length: u64,
    /// What it holds, in the order of its frames.
    pub entries: Vec<Entry>,
}

impl<W: Write> Writer<W> {
    /// Begins a pack. The nonce must come from chance.
    pub fn new(out: W, kind: PackKind, nonce: [u8; 16]) -> Result<Self> {
        let header = Header { kind, nonce }.encode();
        let mut writer = Self {
            out,
            hasher: Hasher::new(),
            buffer: Vec::with_capacity(HASHED_ALONE),
            header,
            kind,
            entries: Vec::new(),
            offset: HEADER_LEN as u64,
        };
        writer.write(&header)?;
        Ok(writer)
    }

    /// How long the pack would be if it ended now.
    pub fn length(&self) -> u64 {
        self.offset + self.entries.len() as u64 * super::ENTRY_LEN as u64 + tail_len(0)
    }

    /// Whether a frame of `stored_len` bytes still fits below `limit` and the format's limits.
    pub fn has_room(&self, stored_len: u32, limit: u64) -> bool {
        let length = self.length() + u64::from(stored_len) + super::ENTRY_LEN as u64;
        let within = match self.kind {
            PackKind::Mixed => length < MIXED_LEN,
            _ => length <= MAX_LEN,
        };
        within && length <= limit && self.entries.len() < MAX_ENTRIES
    }

    /// Appends a frame.
    pub fn add(&mut self, frame: &Frame<'_>) -> Result<()> {
        self.append(frame.entry, &frame.bytes).map(|_| ())
    }

    /// Appends a frame and says where it begins. `bytes` must be as long as the entry says.
    pub fn append(&mut self, entry: Entry, bytes: &[u8]) -> Result<u64> {
        assert_eq!(entry.stored_len as usize, bytes.len(), "another frame");
        if !self.has_room(entry.stored_len, MAX_LEN) {
            return Err(Error::Full(entry.id));
        }
        self.write(bytes)?;
        let offset = self.offset;
        self.offset += bytes.len() as u64;
        self.entries.push(entry);
        Ok(offset)
    }

    /// Where the next frame would begin.
    pub fn frames_end(&self) -> u64 {
        self.offset
    }

    /// Where the pack goes.
    pub fn out(&self) -> &W {
        &self.out
    }

    /// The bytes of the pack that are not in [`Writer::out`] yet.
    pub fn unwritten(&self) -> &[u8] {
        &self.buffer
    }

    /// Writes what is there so far.
    pub fn flush(&mut self) -> Result<()> {
        for piece in self.buffer.chunks(HASHED_ALONE) {
            self.hasher.update(piece);
        }
        self.out.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    /// Writes index and trailer, and gives the writer back.
    pub fn finish(mut self) -> Result<(Finished, W)> {
        let tail = encode_tail(&self.header, &self.entries, self.offset);
        self.write(&tail)?;
        self.flush()?;
        self.out.flush()?;
        let finished = Finished {
            id: PackId(self.hasher.finish()),
            kind: self.kind,
            length: self.offset + tail.len() as u64,
            entries: self.entries,
        };
        Ok((finished, self.out))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if self.buffer.len() + bytes.len() > HASHED_ALONE {
            self.flush()?;
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }
}
