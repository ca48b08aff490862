//! Where large files are cut: where their content says so, and not at multiples of a length, so that
//! an edit moves the cuts near it and no others. `docs/format.md`, section "Chunkers".
//!
//! This is FastCDC: a gear hash, a least and a largest length, and a border that is harder to meet
//! before the average length than after it. The table of the gear hash comes from BLAKE3, and the hash
//! always covers the 64 bytes before a cut, so that a few lines define every cut.

use std::sync::LazyLock;

use crate::hash::Digest;
use crate::pack::MAX_RAW_LEN;

/// How this version cuts, unless a remote says otherwise.
pub(super) const DEFAULT: &str = "fastcdc-16-64-256";
/// How many bytes before a cut decide on it: each is shifted out of the hash 64 bytes later.
const WINDOW: usize = 64;
/// The least length that a remote may ask for, in KiB: a large file must not become millions of chunks.
const LEAST_KIB: usize = 16;
const MAX_KIB: usize = MAX_RAW_LEN >> 10;

/// What each byte adds to the hash.
static GEAR: LazyLock<[u64; 256]> = LazyLock::new(|| {
    std::array::from_fn(|byte| {
        let digest = Digest::of(&[byte as u8]);
        let (first, _) = digest
            .as_bytes()
            .split_first_chunk()
            .expect("it has 32 bytes");
        u64::from_le_bytes(*first)
    })
});

/// A way to cut files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunker {
    min: usize,
    average: usize,
    max: usize,
}

impl Default for Chunker {
    fn default() -> Self {
        Self::parse(DEFAULT).expect("it is the name of one")
    }
}

impl Chunker {
    /// Reads the name that stands in `format.json`; `None` is none that this version knows.
    pub(super) fn parse(name: &str) -> Option<Self> {
        if name == "fixed-4m" {
            return Some(Self::new(MAX_KIB, MAX_KIB, MAX_KIB));
        }
        let sizes = name.strip_prefix("fastcdc-")?.split('-');
        let sizes: Vec<usize> = sizes.map(|size| size.parse().ok()).collect::<Option<_>>()?;
        let [min, average, max] = sizes[..] else {
            return None;
        };
        let ascending = LEAST_KIB <= min && min <= average && average <= max && max <= MAX_KIB;
        ascending.then(|| Self::new(min, average, max))
    }

    /// Of lengths in KiB.
    const fn new(min: usize, average: usize, max: usize) -> Self {
        Self {
            min: min << 10,
            average: average << 10,
            max: max << 10,
        }
    }

    /// Cuts off the front of some bytes of a file every chunk that no later byte can change; at the end
    /// of the file, all of them.
    pub(super) fn cut<'a>(&self, bytes: &'a [u8], is_end: bool) -> Vec<&'a [u8]> {
        let mut chunks = Vec::new();
        let mut rest = bytes;
        while rest.len() >= self.max || is_end && !rest.is_empty() {
            let (chunk, after) = rest.split_at(self.next_len(rest));
            chunks.push(chunk);
            rest = after;
        }
        chunks
    }

    /// How long the chunk is that begins here, if the file goes on for its largest length or ends here.
    fn next_len(&self, bytes: &[u8]) -> usize {
        let end = bytes.len().min(self.max);
        if end <= self.min {
            return end;
        }
        // The first place for a cut is after `min` bytes; those before it only fill the window.
        let first = self.min - 1;
        let middle = end.min(self.average - 1);
        let rare = (1 << 62) / self.average as u64;
        let mut hash = 0;
        roll(&mut hash, &bytes[self.min - WINDOW..first], 0);
        roll(&mut hash, &bytes[first..middle], rare)
            .or_else(|| {
                roll(&mut hash, &bytes[middle..end], rare * 16).map(|at| middle - first + at)
            })
            .map_or(end, |at| self.min + at)
    }
}

/// Takes bytes into the hash until it is below a border; says at which byte.
fn roll(hash: &mut u64, bytes: &[u8], border: u64) -> Option<usize> {
    let gear = &*GEAR;
    bytes.iter().position(|byte| {
        *hash = (*hash << 1).wrapping_add(gear[usize::from(*byte)]);
        *hash < border
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::noise;
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    const GOLDEN: &str = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/fixtures/formats/chunker-v1/cuts.txt"
    ));
    /// The smallest that there is, so that tests cut few bytes into many chunks.
    const SMALL: Chunker = Chunker::new(16, 16, 64);

    fn lengths(chunks: &[&[u8]]) -> Vec<usize> {
        chunks.iter().map(|chunk| chunk.len()).collect()
    }

    /// The golden bytes are what `printf esker | b3sum --raw --length N` prints.
    fn golden_bytes(length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"esker").finalize_xof().fill(&mut bytes);
        bytes
    }

    #[test]
    fn the_golden_cuts_are_made() {
        let mut seen = HashSet::new();
        for line in GOLDEN.lines() {
            let (name, cuts) = line.split_once(' ').unwrap();
            let cuts: Vec<usize> = cuts.split(' ').map(|cut| cut.parse().unwrap()).collect();
            let bytes = golden_bytes(cuts.iter().sum());
            let chunker = Chunker::parse(name).unwrap();
            assert_eq!(lengths(&chunker.cut(&bytes, true)), cuts, "{name}");
            seen.insert(name);
        }
        assert!(seen.contains(DEFAULT) && seen.len() == 3, "{seen:?}");
    }

    #[test]
    fn names_that_make_no_sense_are_not_known() {
        assert_eq!(Chunker::parse(DEFAULT), Some(Chunker::default()));
        assert_eq!(Chunker::parse("fixed-4m").unwrap().max, MAX_RAW_LEN);
        assert!(Chunker::parse("fastcdc-16-16-16").is_some());
        assert!(Chunker::parse("fastcdc-4096-4096-4096").is_some());
        for name in [
            "",
            "later",
            "fastcdc-",
            "fastcdc-64-256",
            "fastcdc-16-64-256-1",
            "fastcdc-15-256-1024",
            "fastcdc-64-256-4097",
            "fastcdc-256-64-1024",
            "fastcdc-64-1024-256",
            "fastcdc-64-x-1024",
            "fastcdc-64-256-99999999999999999999",
        ] {
            assert_eq!(Chunker::parse(name), None, "{name}");
        }
    }

    #[test]
    fn chunks_are_about_as_long_as_asked_for() {
        let bytes = noise(1, 6 << 20);
        let chunker = Chunker::new(16, 64, 256);
        let found = lengths(&chunker.cut(&bytes, true));
        let (_, all_but_last) = found.split_last().unwrap();
        assert!(
            all_but_last
                .iter()
                .all(|len| (16 << 10..=256 << 10).contains(len))
        );
        let average = bytes.len() / found.len();
        assert!((48 << 10..96 << 10).contains(&average), "{average}");
    }

    /// Where nothing ever differs there is no cut but the last possible one.
    #[test]
    fn equal_bytes_make_equal_chunks() {
        let zeros = vec![0; 200 << 10];
        let found = lengths(&SMALL.cut(&zeros, true));
        assert_eq!(found, [64 << 10, 64 << 10, 64 << 10, 8 << 10]);
    }

    #[test]
    fn an_edit_changes_the_chunks_near_it_alone() {
        let old = noise(2, 2 << 20);
        let known: HashSet<&[u8]> = SMALL.cut(&old, true).into_iter().collect();
        for (number, at) in (0..2 << 20).step_by(131_071).enumerate() {
            let mut new = old.clone();
            match number % 3 {
                0 => drop(new.splice(at..at, noise(3, 1000))),
                1 => drop(new.drain(at..(at + 1000).min(old.len()))),
                _ => new[at] ^= 1,
            }
            let chunks = SMALL.cut(&new, true);
            let changed = chunks.iter().filter(|chunk| !known.contains(**chunk));
            let changed = changed.count();
            assert!(changed <= 8, "{changed} of {} at {at}", chunks.len());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn cuts_do_not_depend_on_how_a_file_is_read(
            seed: u64,
            length in 0_usize..600_000,
            reads in prop::collection::vec(1_usize..200_000, 1..9),
        ) {
            let bytes = noise(seed, length);
            let whole = SMALL.cut(&bytes, true);
            prop_assert_eq!(whole.concat(), bytes.clone());
            let mut uncut = Vec::new();
            let mut found = Vec::new();
            let mut rest = &bytes[..];
            for read in reads.iter().cycle() {
                let (more, after) = rest.split_at((*read).min(rest.len()));
                rest = after;
                uncut.extend_from_slice(more);
                let chunks = SMALL.cut(&uncut, rest.is_empty());
                found.extend(lengths(&chunks));
                let cut: usize = lengths(&chunks).iter().sum();
                uncut.drain(..cut);
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(found, lengths(&whole));
        }
    }
}
