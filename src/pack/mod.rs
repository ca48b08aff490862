//! Packs: frames, header, index and trailer, zstd and crc. Bytes in, bytes out: unaware of disks,
//! remotes and trees. `docs/format.md`, section "Pack".
//!
//! A [`Writer`] streams a pack and hashes it on the way; an [`Index`] is read from the last bytes
//! of one; [`decode_frame`] turns the bytes of a frame back into the object and proves it.

mod frame;
mod index;
mod writer;

pub use frame::{Codec, Entry, Frame, decode_frame, unpack};
pub use index::{Header, Index, announced_entries, tail_len};
pub use writer::{Finished, Writer};

use std::io;

use crate::hash::ObjectId;

/// Bytes before the first frame.
pub const HEADER_LEN: usize = 32;
/// Bytes of one entry of the index.
pub const ENTRY_LEN: usize = 48;
/// Bytes after the index.
pub const TRAILER_LEN: usize = 64;
/// The longest object that one frame may hold.
pub const MAX_RAW_LEN: usize = 4 << 20;
/// The most frames that one pack may hold.
pub const MAX_ENTRIES: usize = 65_536;
/// The longest pack.
pub const MAX_LEN: u64 = 256 << 20;
/// The length that writers aim at.
pub const TARGET_LEN: u64 = 64 << 20;
/// A mixed pack is shorter than this.
pub const MIXED_LEN: u64 = 1 << 20;
/// Hashing this much at once starts no work on other threads. Whoever finishes a pack or reads an
/// index may hold what those threads wait for.
const HASHED_ALONE: usize = 128 << 10;

/// What can be wrong with a pack, or with what should go into one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The pack could not be written.
    #[error("cannot write a pack")]
    Write(#[from] io::Error),
    /// Header, index or trailer break a rule.
    #[error("not a pack: {0}")]
    Malformed(&'static str),
    /// A frame is not what the index says.
    #[error("the frame of {id} is damaged: {reason}")]
    Frame {
        /// What the index calls it.
        id: ObjectId,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// The pack would pass a limit of the format.
    #[error("{0} is too large for the pack")]
    Full(ObjectId),
}

/// The result of reading or writing packs.
pub type Result<T> = std::result::Result<T, Error>;

/// What a pack holds; readers take it as a hint where to look first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum PackKind {
    /// Whole files.
    Blobs = 0,
    /// Pieces of large files.
    Chunks = 1,
    /// Tree nodes and recipes.
    Meta = 2,
    /// Anything; a small pack.
    Mixed = 3,
}

impl PackKind {
    /// Reads the number of a header; `None` is a kind of a later version.
    pub fn from_u8(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Blobs),
            1 => Some(Self::Chunks),
            2 => Some(Self::Meta),
            3 => Some(Self::Mixed),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
