//! Digests, the typed ids over them, and the streaming hasher.
//!
//! Every object of esker is named by a 32-byte BLAKE3 hash. A file is named by the plain
//! hash of its bytes, so that `b3sum FILE` prints the id that esker shows. All else that is
//! hashed uses `derive_key` with a context of its own ([`Context`]), so that a tree node can
//! never be mistaken for a file of the same bytes. `docs/format.md`, section "Ids", lists them.
//!
//! This room knows neither files nor formats.

use std::fmt;
use std::io;
use std::str::FromStr;

/// What can be wrong with the text of an id.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// Not exactly 64 lower-case hexadecimal digits.
    #[error("`{0}` is not a hash of 64 lower-case hexadecimal digits")]
    NotHex(String),
    /// Neither `b3:<64 hex>` nor another `prefix:<hex>` form.
    #[error("`{0}` is not an id like `b3:<64 hex digits>`")]
    NotAnId(String),
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).expect("half a byte is a digit");
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits.map(digit).collect()
}

/// A BLAKE3 hash: 32 bytes, shown as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Wraps 32 bytes that are already a hash.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Hashes bytes that name themselves: a file, a pack, a segment.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// Hashes bytes of one kind, apart from equal bytes of every other kind.
    pub fn derive(context: Context, bytes: &[u8]) -> Self {
        Self::derive_all(context, &[bytes])
    }

    /// The same of bytes that lie in several places.
    pub fn derive_all(context: Context, parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(context.as_str());
        for part in parts {
            hasher.update(part);
        }
        Self(*hasher.finalize().as_bytes())
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 hexadecimal digits.
    pub fn to_hex(self) -> String {
        self.to_string()
    }

    /// The first `digits` hexadecimal digits, for people.
    pub fn short(self, digits: usize) -> String {
        let mut hex = self.to_hex();
        hex.truncate(digits);
        hex
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let lower = text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let hash = blake3::Hash::from_hex(text).ok().filter(|_| lower);
        hash.map(|hash| Self(*hash.as_bytes()))
            .ok_or_else(|| Error::NotHex(text.to_owned()))
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The `derive_key` contexts of format version 1. They are part of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// A node of a tree.
    TreeNode,
    /// A recipe segment.
    Recipe,
    /// The key of a snapshot: the sorted roots of one lock.
    LockRoots,
    /// The key of the run cache.
    RunKey,
    /// The `run` line of a stage in the lock.
    Run,
    /// What stands in the lock for a param that looks like a secret.
    Secret,
}

impl Context {
    const fn as_str(self) -> &'static str {
        match self {
            Self::TreeNode => "esker v1 tree node",
            Self::Recipe => "esker v1 recipe",
            Self::LockRoots => "esker v1 lock roots",
            Self::RunKey => "esker v1 run key",
            Self::Run => "esker v1 run",
            Self::Secret => "esker v1 secret",
        }
    }
}

macro_rules! typed_ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        #[serde(transparent)]
        pub struct $name(pub Digest);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0.short(12))
            }
        }

        impl FromStr for $name {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self, Error> {
                text.parse().map(Self)
            }
        }
    )*};
}

typed_ids! {
    /// Names the bytes of a file: their plain BLAKE3.
    BlobId;
    /// Names a node of a tree; the id of a tree is the id of its root node.
    TreeId;
    /// Names a piece of a large file: its plain BLAKE3.
    ChunkId;
    /// Names a segment of a recipe.
    RecipeId;
    /// Names a pack: the plain BLAKE3 of the whole pack.
    PackId;
    /// Names an index segment of a remote.
    SegmentId;
    /// Names a snapshot object of a remote.
    SnapshotId;
    /// The set of roots that one lock stands for.
    RootsKey;
    /// All that enters a run of a stage: the key of the run cache.
    RunKey;
}

/// What kind of object an id names; the numbers are those of a pack's index.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum ObjectKind {
    /// A whole file.
    Blob = 0,
    /// A piece of a large file.
    Chunk = 1,
    /// A node of a tree.
    Node = 2,
    /// The list of segments of one large file, found under the id of that file.
    RecipeRoot = 3,
    /// A list of chunks.
    RecipeSegment = 4,
}

impl ObjectKind {
    /// Reads the number of a pack's index; `None` is a kind of a later version.
    pub fn from_u8(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Blob),
            1 => Some(Self::Chunk),
            2 => Some(Self::Node),
            3 => Some(Self::RecipeRoot),
            4 => Some(Self::RecipeSegment),
            _ => None,
        }
    }

    /// Hashes bytes of this kind. A recipe root has no hash of its own: it is found under the
    /// id of the file it describes, and proven by that file.
    pub fn hash(self, bytes: &[u8]) -> Option<Digest> {
        match self {
            Self::Blob | Self::Chunk => Some(Digest::of(bytes)),
            Self::Node => Some(Digest::derive(Context::TreeNode, bytes)),
            Self::RecipeSegment => Some(Digest::derive(Context::Recipe, bytes)),
            Self::RecipeRoot => None,
        }
    }
}

/// Names any object that a store or a pack can hold.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ObjectId {
    /// What it is, and so how it is hashed.
    pub kind: ObjectKind,
    /// Its hash.
    pub digest: Digest,
}

impl ObjectId {
    /// Names an object of a kind.
    pub const fn new(kind: ObjectKind, digest: Digest) -> Self {
        Self { kind, digest }
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b3:{}", self.digest)
    }
}

impl From<BlobId> for ObjectId {
    fn from(id: BlobId) -> Self {
        Self::new(ObjectKind::Blob, id.0)
    }
}

impl From<TreeId> for ObjectId {
    fn from(id: TreeId) -> Self {
        Self::new(ObjectKind::Node, id.0)
    }
}

impl From<ChunkId> for ObjectId {
    fn from(id: ChunkId) -> Self {
        Self::new(ObjectKind::Chunk, id.0)
    }
}

impl From<RecipeId> for ObjectId {
    fn from(id: RecipeId) -> Self {
        Self::new(ObjectKind::RecipeSegment, id.0)
    }
}

/// The id of data as the lock writes it: `b3:<64 hex>`, or a foreign `md5:<32 hex>` and the
/// like, which esker reads and keeps but never makes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContentId {
    /// esker's own: of a file its [`BlobId`], of a directory its [`TreeId`].
    B3(Digest),
    /// Another tool's, kept as it stands.
    Foreign(Box<str>),
}

impl ContentId {
    /// esker's own hash, if it is one.
    pub fn digest(&self) -> Option<Digest> {
        match self {
            Self::B3(digest) => Some(*digest),
            Self::Foreign(_) => None,
        }
    }
}

impl From<BlobId> for ContentId {
    fn from(id: BlobId) -> Self {
        Self::B3(id.0)
    }
}

impl From<TreeId> for ContentId {
    fn from(id: TreeId) -> Self {
        Self::B3(id.0)
    }
}

impl fmt::Display for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::B3(digest) => {
                f.write_str("b3:")?;
                digest.fmt(f)
            }
            Self::Foreign(text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ContentId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let not_an_id = || Error::NotAnId(text.to_owned());
        let (prefix, hex) = text.split_once(':').ok_or_else(not_an_id)?;
        if prefix == "b3" {
            return hex.parse().map(Self::B3).map_err(|_| not_an_id());
        }
        let plain = |part: &str, lower: fn(&u8) -> bool| {
            !part.is_empty() && part.len() <= 128 && part.as_bytes().iter().all(lower)
        };
        let known_prefix = plain(prefix, |b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let known_hex = plain(hex, |b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !known_prefix || !known_hex {
            return Err(not_an_id());
        }
        Ok(Self::Foreign(text.into()))
    }
}

impl serde::Serialize for ContentId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Hashes bytes as they stream by; also a [`io::Write`].
#[derive(Default)]
pub struct Hasher(blake3::Hasher);

impl Hasher {
    /// Starts a plain hash.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in more bytes, on all cores when there are many.
    pub fn update(&mut self, bytes: &[u8]) {
        const WORTH_THREADS: usize = 256 * 1024;
        if bytes.len() >= WORTH_THREADS {
            self.0.update_rayon(bytes);
        } else {
            self.0.update(bytes);
        }
    }

    /// The hash of all bytes so far.
    pub fn finish(&self) -> Digest {
        Digest(*self.0.finalize().as_bytes())
    }
}

/// Pieces of this length, and a last one that may be shorter, can be hashed one by one. It is what
/// the own cache of a core holds.
pub const PIECE_LEN: usize = 256 << 10;

/// What is known of one piece of a string of bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct PieceHash(blake3::hazmat::ChainingValue);

impl PieceHash {
    /// Hashes the piece of this number, from 0, of a string that has more than one. All but the
    /// last are [`PIECE_LEN`] long, and none is empty.
    pub fn of(number: u64, bytes: &[u8]) -> Self {
        use blake3::hazmat::HasherExt;
        let mut hasher = blake3::Hasher::new();
        hasher.set_input_offset(number * PIECE_LEN as u64);
        Self(hasher.update(bytes).finalize_non_root())
    }

    /// The hash of the whole string, from all its pieces, of which there are at least two.
    pub fn join(pieces: &[Self]) -> Digest {
        use blake3::hazmat::{Mode, merge_subtrees_root};
        let (left, right) = halves(pieces);
        let (left, right) = (subtree(left), subtree(right));
        Digest(*merge_subtrees_root(&left, &right, Mode::Hash).as_bytes())
    }
}

fn subtree(pieces: &[PieceHash]) -> blake3::hazmat::ChainingValue {
    use blake3::hazmat::{Mode, merge_subtrees_non_root};
    if let [piece] = pieces {
        return piece.0;
    }
    let (left, right) = halves(pieces);
    merge_subtrees_non_root(&subtree(left), &subtree(right), Mode::Hash)
}

/// The left side of a node of BLAKE3 is the largest power of two that leaves something.
fn halves(pieces: &[PieceHash]) -> (&[PieceHash], &[PieceHash]) {
    pieces.split_at(pieces.len().next_power_of_two() / 2)
}

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_file_is_named_as_b3sum_names_it() {
        let empty = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        assert_eq!(Digest::of(b"").to_hex(), empty);
        assert_eq!(Hasher::new().finish().to_hex(), empty);
    }

    #[test]
    fn equal_bytes_of_different_kinds_have_different_ids() {
        let hashes = [
            ObjectKind::Blob.hash(b"x"),
            ObjectKind::Node.hash(b"x"),
            ObjectKind::RecipeSegment.hash(b"x"),
        ];
        assert!(hashes[0] != hashes[1] && hashes[1] != hashes[2] && hashes[0] != hashes[2]);
    }

    #[test]
    fn the_text_of_an_id_is_strict() {
        let hex = Digest::of(b"").to_hex();
        let good = [
            format!("b3:{hex}"),
            "md5:d41d8cd98f00b204e9800998ecf8427e".into(),
        ];
        for text in &good {
            assert_eq!(text.parse::<ContentId>().unwrap().to_string(), *text);
        }
        let bad = [
            hex.clone(),
            format!("b3:{}", hex.to_uppercase()),
            format!("b3:{}", &hex[1..]),
            "b3:".into(),
            "md5:".into(),
            "md5:xyz".into(),
            ":00".into(),
            "MD5:00".into(),
            "md5:../../etc".into(),
        ];
        for text in &bad {
            assert!(text.parse::<ContentId>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn digests_survive_their_text(bytes: [u8; 32]) {
            let digest = Digest::from_bytes(bytes);
            prop_assert_eq!(digest.to_hex().parse(), Ok(digest));
        }

        #[test]
        fn pieces_make_the_hash_of_the_whole(n_pieces in 2_usize..9, last in 1..=PIECE_LEN) {
            let length = (n_pieces - 1) * PIECE_LEN + last;
            let bytes: Vec<u8> = (0..length as u32).map(|n| n.to_le_bytes()[n as usize % 3]).collect();
            let pieces = bytes.chunks(PIECE_LEN).zip(0..);
            let pieces: Vec<PieceHash> = pieces.map(|(piece, n)| PieceHash::of(n, piece)).collect();
            prop_assert_eq!(PieceHash::join(&pieces), Digest::of(&bytes));
        }

        #[test]
        fn streaming_equals_hashing_at_once(bytes: Vec<u8>, cut in 0_usize..100) {
            let cut = cut.min(bytes.len());
            let mut hasher = Hasher::new();
            hasher.update(&bytes[..cut]);
            hasher.update(&bytes[cut..]);
            prop_assert_eq!(hasher.finish(), Digest::of(&bytes));
        }
    }
}
