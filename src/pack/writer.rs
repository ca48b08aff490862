//! Writes a pack front to back.

use std::io::Write;

use crate::hash::{Hasher, PackId};

use super::index::encode_tail;
use super::{
    Entry, Error, Frame, HEADER_LEN, Header, MAX_ENTRIES, MAX_LEN, MIXED_LEN, PackKind, Result,
    tail_len,
};

/// Streams a pack into a writer and hashes it on the way.
pub struct Writer<W> {
    out: W,
    hasher: Hasher,
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
    pub fn add(&mut self, frame: &Frame) -> Result<()> {
        if !self.has_room(frame.entry.stored_len, MAX_LEN) {
            return Err(Error::Full(frame.entry.id));
        }
        self.write(&frame.bytes)?;
        self.offset += frame.bytes.len() as u64;
        self.entries.push(frame.entry);
        Ok(())
    }

    /// Writes index and trailer, and gives the writer back.
    pub fn finish(mut self) -> Result<(Finished, W)> {
        let tail = encode_tail(&self.header, &self.entries, self.offset);
        self.write(&tail)?;
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
        self.hasher.update(bytes);
        Ok(self.out.write_all(bytes)?)
    }
}
