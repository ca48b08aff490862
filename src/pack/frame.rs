//! One object as a frame, and the entry of the index that describes it.

use std::borrow::Cow;
use std::cell::RefCell;
use std::io;

use zstd::bulk::Compressor;

use crate::hash::{Digest, ObjectId, ObjectKind};

use super::{ENTRY_LEN, Error, MAX_RAW_LEN, Result};

const LEVEL: i32 = 3;
const ZSTD_MAGIC: [u8; 4] = 0xFD2F_B528_u32.to_le_bytes();
const MAX_WINDOW: u64 = 8 << 20;

/// How the bytes of a frame are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Codec {
    /// As they are.
    Raw = 0,
    /// As one zstd frame.
    Zstd = 1,
}

/// What the index says of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// The object.
    pub id: ObjectId,
    /// The length of the frame.
    pub stored_len: u32,
    /// The length of the object.
    pub raw_len: u32,
    /// How the frame is kept.
    pub codec: Codec,
    /// The crc32c of the frame.
    pub crc: u32,
}

/// An object ready to be written into a pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What the index will say.
    pub entry: Entry,
    /// The bytes of the frame: those of the object itself, if they stay as they are.
    pub bytes: Cow<'a, [u8]>,
}

impl<'a> Frame<'a> {
    /// Compresses an object, unless that saves less than three hundredths. The caller vouches
    /// that `raw` is what `id` names.
    pub fn encode(id: ObjectId, raw: impl Into<Cow<'a, [u8]>>) -> Result<Self> {
        let raw = raw.into();
        if raw.len() > MAX_RAW_LEN {
            return Err(Error::Full(id));
        }
        let raw_len = as_u32(raw.len());
        let (codec, bytes) = match compress(&raw)? {
            None => (Codec::Raw, raw),
            Some(packed) => (Codec::Zstd, Cow::Owned(packed)),
        };
        let entry = Entry::new(id, codec, raw_len, &bytes);
        Ok(Self { entry, bytes })
    }
}

/// What a thread compresses with: to make a compressor takes longer than a small object.
struct Press {
    compressor: Compressor<'static>,
    /// Takes what comes out, before it is known whether that is less.
    out: Vec<u8>,
}

/// Compresses, unless that saves less than three hundredths.
fn compress(raw: &[u8]) -> io::Result<Option<Vec<u8>>> {
    thread_local! {
        static PRESS: RefCell<Option<Press>> = const { RefCell::new(None) };
    }
    PRESS.with_borrow_mut(|made| {
        let press = match made {
            Some(press) => press,
            None => made.insert(Press {
                compressor: Compressor::new(LEVEL)?,
                out: Vec::new(),
            }),
        };
        press.out.clear();
        press
            .out
            .reserve(zstd::zstd_safe::compress_bound(raw.len()));
        let len = press.compressor.compress_to_buffer(raw, &mut press.out)?;
        Ok((len * 100 <= raw.len() * 97).then(|| press.out.clone()))
    })
}

/// Turns the bytes of a frame back into the object. Everything the entry says is checked: the
/// crc, both lengths, and the id, except that a recipe root cannot prove itself.
pub fn decode_frame<'a>(entry: &Entry, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>> {
    let damaged = |reason| Error::Frame {
        id: entry.id,
        reason,
    };
    entry.check().map_err(damaged)?;
    if bytes.len() != entry.stored_len as usize {
        return Err(damaged("its length is not the one in the index"));
    }
    if crc32c::crc32c(bytes) != entry.crc {
        return Err(damaged("its crc is not the one in the index"));
    }
    unpack(entry.id, entry.codec, entry.raw_len, bytes)
}

/// Turns the bytes of a frame back into the object where no crc is at hand: its length and its id
/// are checked, and the id proves more than a crc.
pub fn unpack(id: ObjectId, codec: Codec, raw_len: u32, bytes: &[u8]) -> Result<Cow<'_, [u8]>> {
    let damaged = |reason| Error::Frame { id, reason };
    let raw = match codec {
        Codec::Raw => Cow::Borrowed(bytes),
        Codec::Zstd => Cow::Owned(decompress(bytes, raw_len as usize).map_err(damaged)?),
    };
    if raw.len() != raw_len as usize {
        return Err(damaged("its object has another length"));
    }
    match id.kind.hash(&raw) {
        Some(found) if found != id.digest => Err(damaged("its bytes have another hash")),
        _ => Ok(raw),
    }
}

impl Entry {
    /// The entry of an object of at most 4 MiB that is kept as it is. The caller vouches that
    /// `raw` is what `id` names.
    pub fn raw(id: ObjectId, raw: &[u8]) -> Self {
        Self::new(id, Codec::Raw, as_u32(raw.len()), raw)
    }

    /// The entry of an object that is kept as these bytes.
    pub fn new(id: ObjectId, codec: Codec, raw_len: u32, bytes: &[u8]) -> Self {
        Self {
            id,
            stored_len: as_u32(bytes.len()),
            raw_len,
            codec,
            crc: crc32c::crc32c(bytes),
        }
    }

    /// Appends the 48 bytes of the index.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.id.digest.as_bytes());
        out.extend_from_slice(&self.stored_len.to_le_bytes());
        out.extend_from_slice(&self.raw_len.to_le_bytes());
        out.extend_from_slice(&[self.id.kind as u8, self.codec as u8, 0, 0]);
        out.extend_from_slice(&self.crc.to_le_bytes());
    }

    /// Reads the 48 bytes of the index, refusing what no frame can be.
    pub fn decode(bytes: &[u8; ENTRY_LEN]) -> Result<Self> {
        let (digest, rest) = split::<32>(bytes);
        let (stored_len, rest) = split::<4>(rest);
        let (raw_len, rest) = split::<4>(rest);
        let ([kind, codec, zero @ ..], rest) = split::<4>(rest);
        let (crc, _) = split::<4>(rest);
        let kind = ObjectKind::from_u8(kind).ok_or(Error::Malformed("an unknown object type"))?;
        let codec = match codec {
            0 => Codec::Raw,
            1 => Codec::Zstd,
            _ => return Err(Error::Malformed("an unknown codec")),
        };
        if zero != [0, 0] {
            return Err(Error::Malformed("an entry's reserved bytes are not zero"));
        }
        let entry = Self {
            id: ObjectId::new(kind, Digest::from_bytes(digest)),
            stored_len: u32::from_le_bytes(stored_len),
            raw_len: u32::from_le_bytes(raw_len),
            codec,
            crc: u32::from_le_bytes(crc),
        };
        entry.check().map_err(Error::Malformed)?;
        Ok(entry)
    }

    fn check(&self) -> std::result::Result<(), &'static str> {
        if self.raw_len as usize > MAX_RAW_LEN {
            return Err("an object is longer than 4 MiB");
        }
        match self.codec {
            Codec::Raw if self.stored_len != self.raw_len => {
                Err("a raw frame has another length than its object")
            }
            Codec::Zstd if self.stored_len >= self.raw_len => {
                Err("a compressed frame is not shorter than its object")
            }
            _ => Ok(()),
        }
    }
}

/// Takes apart a front that is known to be there.
fn split<const N: usize>(bytes: &[u8]) -> ([u8; N], &[u8]) {
    let (front, rest) = bytes
        .split_first_chunk::<N>()
        .expect("the lengths of an entry's fields sum up to its length");
    (*front, rest)
}

/// Decompresses exactly one zstd frame whose header announces exactly `raw_len` bytes, into a
/// buffer of that length: a bomb is refused before it goes off.
fn decompress(bytes: &[u8], raw_len: usize) -> std::result::Result<Vec<u8>, &'static str> {
    check_zstd_header(bytes)?;
    let announced = zstd::zstd_safe::get_frame_content_size(bytes)
        .map_err(|_| "its zstd header is unreadable")?
        .ok_or("its zstd header names no content size")?;
    if announced != raw_len as u64 {
        return Err("its zstd content size is not the one in the index");
    }
    let length = zstd::zstd_safe::find_frame_compressed_size(bytes)
        .map_err(|_| "its zstd frame is unreadable")?;
    if length != bytes.len() {
        return Err("bytes follow its zstd frame");
    }
    let raw = zstd::bulk::decompress(bytes, raw_len).map_err(|_| "its zstd frame is unreadable")?;
    if raw.len() != raw_len {
        return Err("it decompresses to another length");
    }
    Ok(raw)
}

/// Reads the descriptor of RFC 8878, section 3.1.1.1: no dictionary, and a window of at most 8 MiB.
fn check_zstd_header(bytes: &[u8]) -> std::result::Result<(), &'static str> {
    let Some(&[a, b, c, d, descriptor, window]) = bytes.first_chunk::<6>() else {
        return Err("it is too short for a zstd frame");
    };
    if [a, b, c, d] != ZSTD_MAGIC {
        return Err("it is no zstd frame");
    }
    if descriptor & 0b11 != 0 {
        return Err("it asks for a zstd dictionary");
    }
    let single_segment = descriptor & 0b10_0000 != 0;
    let base = 1_u64 << (10 + (window >> 3));
    if !single_segment && base + base / 8 * u64::from(window & 7) > MAX_WINDOW {
        return Err("its zstd window is larger than 8 MiB");
    }
    Ok(())
}

fn as_u32(length: usize) -> u32 {
    u32::try_from(length).expect("a frame is at most 4 MiB long")
}
