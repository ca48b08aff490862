//! Recipes: of which chunks a large file is made. `docs/format.md`, section "Recipe".
//!
//! A recipe is a hint. Readers take any cut, and prove the whole file in the end.

use crate::hash::{BlobId, ChunkId, Context, Digest, RecipeId};
use crate::pack::MAX_RAW_LEN;

use super::decode::{Decoded, Reader, put_varint};

const MAGIC: &[u8] = b"ESKR\x01";
const SEGMENT: u8 = 0;
const ROOT: u8 = 1;
/// The shortest id and varint together.
const ITEM_LEN: usize = 33;
/// A segment may end after so many chunks, where their ids say so.
const SEGMENT_MIN: usize = 512;
/// A segment has at most so many chunks.
const SEGMENT_MAX: usize = 16_384;

/// A piece of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) id: ChunkId,
    pub(super) len: u64,
}

/// The root of a recipe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RecipeRoot {
    pub(super) file: BlobId,
    pub(super) size: u64,
    /// The segments, each with the bytes of the file that it covers.
    pub(super) segments: Vec<(RecipeId, u64)>,
}

/// A recipe as it is stored.
#[derive(Debug)]
pub(super) struct Encoded {
    pub(super) root: Vec<u8>,
    pub(super) segments: Vec<(RecipeId, Vec<u8>)>,
}

/// Writes the recipe of a file. Where a segment ends depends on the chunks near its end alone,
/// so that a local edit rewrites one or two segments.
pub(super) fn encode(file: BlobId, chunks: &[Chunk]) -> Encoded {
    let mut segments = Vec::new();
    let mut covered = Vec::new();
    let mut rest = chunks;
    while !rest.is_empty() {
        let (segment, after) = rest.split_at(segment_end(rest));
        let bytes = encode_segment(segment);
        let id = RecipeId(Digest::derive(Context::Recipe, &bytes));
        covered.push((id, segment.iter().map(|chunk| chunk.len).sum()));
        segments.push((id, bytes));
        rest = after;
    }
    let root = RecipeRoot {
        file,
        size: chunks.iter().map(|chunk| chunk.len).sum(),
        segments: covered,
    };
    Encoded {
        root: encode_root(&root),
        segments,
    }
}

/// Reads the root found for a file of a known length.
pub(super) fn decode_root(file: BlobId, size: u64, bytes: &[u8]) -> Decoded<RecipeRoot> {
    let mut reader = Reader::new(bytes);
    read_head(&mut reader, ROOT)?;
    let count = u32::from_le_bytes(reader.array()?) as usize;
    if reader.u64()? != size {
        return Err("it is of a file of another length");
    }
    reader.expect(file.0.as_bytes(), "it is of another file")?;
    let segments = read_items(&mut reader, count, size)?;
    reader.end()?;
    let segments = segments
        .into_iter()
        .map(|(digest, len)| (RecipeId(digest), len))
        .collect();
    Ok(RecipeRoot {
        file,
        size,
        segments,
    })
}

/// Reads a segment that covers a known number of bytes.
pub(super) fn decode_segment(size: u64, bytes: &[u8]) -> Decoded<Vec<Chunk>> {
    let mut reader = Reader::new(bytes);
    read_head(&mut reader, SEGMENT)?;
    let count = u32::from_le_bytes(reader.array()?) as usize;
    if count > SEGMENT_MAX {
        return Err("it has too many chunks");
    }
    let chunks = read_items(&mut reader, count, size)?;
    reader.end()?;
    if chunks.iter().any(|(_, len)| *len > MAX_RAW_LEN as u64) {
        return Err("a chunk is longer than 4 MiB");
    }
    let as_chunk = |(digest, len)| Chunk {
        id: ChunkId(digest),
        len,
    };
    Ok(chunks.into_iter().map(as_chunk).collect())
}

/// The segments that the root of a recipe names, whatever the length of its file.
pub(super) fn root_parts(file: BlobId, bytes: &[u8]) -> Decoded<Vec<RecipeId>> {
    let mut reader = Reader::new(bytes);
    read_head(&mut reader, ROOT)?;
    reader.u32()?;
    let size = reader.u64()?;
    let root = decode_root(file, size, bytes)?;
    Ok(root.segments.into_iter().map(|(id, _)| id).collect())
}

/// The chunks that a segment of a recipe names, whatever it covers.
pub(super) fn segment_parts(bytes: &[u8]) -> Decoded<Vec<ChunkId>> {
    let mut reader = Reader::new(bytes);
    read_head(&mut reader, SEGMENT)?;
    let count = reader.u32()? as usize;
    if count > reader.remaining() / ITEM_LEN {
        return Err("it counts more items than it has bytes for");
    }
    let mut chunks = Vec::with_capacity(count);
    for _ in 0..count {
        chunks.push(ChunkId(Digest::from_bytes(reader.array()?)));
        reader.varint()?;
    }
    reader.end()?;
    Ok(chunks)
}

fn segment_end(chunks: &[Chunk]) -> usize {
    let is_end = |chunk: &Chunk| {
        let [low, high, ..] = *chunk.id.0.as_bytes();
        u16::from_le_bytes([low, high]) & 511 == 0
    };
    let last = chunks.len().min(SEGMENT_MAX);
    (SEGMENT_MIN..last)
        .find(|length| is_end(&chunks[length - 1]))
        .unwrap_or(last)
}

fn encode_segment(chunks: &[Chunk]) -> Vec<u8> {
    let mut out = head(SEGMENT, chunks.len());
    for chunk in chunks {
        out.extend_from_slice(chunk.id.0.as_bytes());
        put_varint(&mut out, chunk.len);
    }
    out
}

fn encode_root(root: &RecipeRoot) -> Vec<u8> {
    let mut out = head(ROOT, root.segments.len());
    out.extend_from_slice(&root.size.to_le_bytes());
    out.extend_from_slice(root.file.0.as_bytes());
    for (id, len) in &root.segments {
        out.extend_from_slice(id.0.as_bytes());
        put_varint(&mut out, *len);
    }
    out
}

fn head(level: u8, count: usize) -> Vec<u8> {
    let count = u32::try_from(count).expect("a file has less than four milliards of chunks");
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&[level, 0, 0]);
    out.extend_from_slice(&count.to_le_bytes());
    out
}

fn read_head(reader: &mut Reader<'_>, level: u8) -> Decoded<()> {
    reader.expect(MAGIC, "it does not begin with `ESKR` and version 1")?;
    reader.expect(&[level], "it is the wrong level of a recipe")?;
    reader.zeros(2)
}

/// Reads ids with lengths, each at least 1, that sum up to `size`.
fn read_items(reader: &mut Reader<'_>, count: usize, size: u64) -> Decoded<Vec<(Digest, u64)>> {
    if count > reader.remaining() / ITEM_LEN {
        return Err("it counts more items than it has bytes for");
    }
    let mut left = size;
    let mut items = Vec::with_capacity(count);
    for _ in 0..count {
        let digest = Digest::from_bytes(reader.array()?);
        let length = reader.varint()?;
        left = match length {
            0 => return Err("an item has no bytes"),
            _ => left
                .checked_sub(length)
                .ok_or("its lengths are too large")?,
        };
        items.push((digest, length));
    }
    if left == 0 {
        Ok(items)
    } else {
        Err("its lengths are too small")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOLDEN_ROOT: &[u8] = include_bytes!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/fixtures/formats/recipe-v1/root"
    ));
    const GOLDEN_SEGMENT: &[u8] = include_bytes!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/fixtures/formats/recipe-v1/segment"
    ));

    fn chunk(seed: u32, len: u64) -> Chunk {
        let id = ChunkId(Digest::of(&seed.to_le_bytes()));
        Chunk { id, len }
    }

    #[test]
    fn the_parts_are_known_without_the_length() {
        let root = decode_root(golden_file(), golden_size(), GOLDEN_ROOT).unwrap();
        let parts = root_parts(golden_file(), GOLDEN_ROOT).unwrap();
        assert_eq!(parts, [root.segments[0].0]);
        let chunks = segment_parts(GOLDEN_SEGMENT).unwrap();
        assert_eq!(chunks, [1, 2, 3].map(|seed| chunk(seed, 1).id));
        assert!(root_parts(golden_file(), GOLDEN_SEGMENT).is_err());
        assert!(segment_parts(&GOLDEN_SEGMENT[..40]).is_err());
    }

    fn golden_size() -> u64 {
        (8 << 20) + 77
    }

    fn golden_file() -> BlobId {
        BlobId(Digest::of(b"a large file"))
    }

    #[test]
    fn the_golden_recipe_is_read_and_written_the_same() {
        let chunks = [chunk(1, 4 << 20), chunk(2, 4 << 20), chunk(3, 77)];
        let size = (8 << 20) + 77;
        let encoded = encode(golden_file(), &chunks);
        assert_eq!(encoded.root, GOLDEN_ROOT);
        let [(id, bytes)] = &encoded.segments[..] else {
            panic!("three chunks are one segment");
        };
        assert_eq!(bytes, GOLDEN_SEGMENT);
        let name = "1e9c363a9c65fe0947965e5fb53846f512881be74aefc9179a7af0f4f6b07a7c";
        assert_eq!(id.to_string(), name);
        let root = decode_root(golden_file(), size, GOLDEN_ROOT).unwrap();
        assert_eq!(root.segments, [(*id, size)]);
        assert_eq!(decode_segment(size, GOLDEN_SEGMENT), Ok(chunks.to_vec()));
    }

    #[test]
    fn lengths_must_agree() {
        let size = (8 << 20) + 77;
        assert!(decode_root(golden_file(), size + 1, GOLDEN_ROOT).is_err());
        assert!(decode_root(BlobId(Digest::of(b"")), size, GOLDEN_ROOT).is_err());
        assert!(decode_segment(size + 1, GOLDEN_SEGMENT).is_err());
        assert!(decode_segment(size - 1, GOLDEN_SEGMENT).is_err());
        let too_long = encode_segment(&[chunk(1, (4 << 20) + 1)]);
        assert!(decode_segment((4 << 20) + 1, &too_long).is_err());
        let empty = encode_segment(&[chunk(1, 0), chunk(2, 5)]);
        assert!(decode_segment(5, &empty).is_err());
        let wraps = encode_segment(&[chunk(1, u64::MAX), chunk(2, 6)]);
        assert!(decode_segment(5, &wraps).is_err());
        assert!(decode_segment(5, &encode_segment(&[chunk(2, 5)])).is_ok());
    }

    #[test]
    fn hostile_recipes_are_refused() {
        let size = (8 << 20) + 77;
        for position in 0..12 {
            let mut bytes = GOLDEN_SEGMENT.to_vec();
            bytes[position] ^= 0x10;
            assert!(decode_segment(size, &bytes).is_err(), "{position}");
        }
        for position in 0..52 {
            let mut bytes = GOLDEN_ROOT.to_vec();
            bytes[position] ^= 0x10;
            assert!(decode_root(golden_file(), size, &bytes).is_err());
        }
        for length in 0..GOLDEN_SEGMENT.len() {
            assert!(decode_segment(size, &GOLDEN_SEGMENT[..length]).is_err());
        }
        let junk = [GOLDEN_SEGMENT, b"x"].concat();
        assert!(decode_segment(size, &junk).is_err());
        assert!(decode_segment(size, GOLDEN_ROOT).is_err());
        let mut large = GOLDEN_SEGMENT.to_vec();
        large[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(decode_segment(size, &large).is_err());
    }

    #[test]
    fn a_local_edit_rewrites_few_segments() {
        let mut chunks: Vec<_> = (0..60_000).map(|seed| chunk(seed, 1)).collect();
        let old = encode(golden_file(), &chunks);
        let longest = old.segments.iter().map(|(_, bytes)| bytes.len()).max();
        assert!(longest.unwrap() <= 12 + SEGMENT_MAX * ITEM_LEN);
        let sizes: Vec<_> = old.segments.iter().map(|(_, bytes)| bytes.len()).collect();
        assert!(sizes.len() > 30, "{sizes:?}");
        chunks.insert(100, chunk(70_000, 1));
        let new = encode(golden_file(), &chunks);
        let kept = new
            .segments
            .iter()
            .filter(|(id, _)| old.segments.iter().any(|(o, _)| o == id));
        assert!(kept.count() >= old.segments.len() - 2);
    }

    #[test]
    fn an_empty_file_has_no_segments() {
        let encoded = encode(golden_file(), &[]);
        let root = decode_root(golden_file(), 0, &encoded.root).unwrap();
        assert!(root.segments.is_empty() && encoded.segments.is_empty());
    }

    proptest! {
        #[test]
        fn recipes_survive_their_bytes(lengths in prop::collection::vec(1_u64..=4 << 20, 0..40)) {
            let chunks: Vec<_> = (0..).zip(&lengths).map(|(n, len)| chunk(n, *len)).collect();
            let size = lengths.iter().sum();
            let encoded = encode(golden_file(), &chunks);
            let root = decode_root(golden_file(), size, &encoded.root).unwrap();
            let mut read = Vec::new();
            for ((id, len), (stored, bytes)) in root.segments.iter().zip(&encoded.segments) {
                prop_assert_eq!(id, stored);
                read.extend(decode_segment(*len, bytes).unwrap());
            }
            prop_assert_eq!(read, chunks);
        }

        #[test]
        fn random_bytes_never_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            size: u64,
            level in 0_u8..2,
        ) {
            let headed = [MAGIC, &[level, 0, 0], &bytes].concat();
            for bytes in [&bytes, &headed] {
                let _ = decode_root(golden_file(), size, bytes);
                let _ = decode_segment(size, bytes);
            }
        }
    }
}
