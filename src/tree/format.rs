//! The constants of a node, and the rule that says after which entry a node ends.

use crate::hash::Digest;

/// The first bytes of every node.
pub(super) const MAGIC: [u8; 4] = *b"ESKT";
/// The version of the format.
pub(super) const VERSION: u8 = 1;
/// Magic, version, level, two zero bytes, count, files, bytes.
pub(super) const HEADER_LEN: usize = 28;
/// The highest level a node may have.
pub(super) const MAX_LEVEL: u8 = 7;
/// The most bytes a node may have.
pub const MAX_NODE: usize = 1 << 20;
/// The longest target of a link.
pub(super) const MAX_TARGET: usize = 4095;

/// The kinds of entries of a leaf.
pub(super) const KIND_FILE: u8 = 0;
pub(super) const KIND_SYMLINK: u8 = 1;
pub(super) const KIND_EMPTY_DIR: u8 = 2;
/// The one flag of a file.
pub(super) const FLAG_EXEC: u8 = 1;

const WEIGHT_OF_ENTRY: usize = 40;
const MIN_WEIGHT: usize = 16 << 10;
const MAX_WEIGHT: usize = 256 << 10;
/// One key in 1,024 may end a node, so that a node weighs about 64 KiB.
const CHANCE_MASK: u16 = 1023;

/// Whether a link can point there.
pub(super) fn is_target(target: &str) -> bool {
    !target.is_empty() && target.len() <= MAX_TARGET && !target.contains('\0')
}

/// Decides after which entries a node ends. It sees keys and targets, never contents, so that
/// changing a file moves no boundary; the encoder cuts by it and the decoder checks by it.
#[derive(Debug)]
pub(super) struct Cutter {
    level: u8,
    weight: usize,
}

impl Cutter {
    /// Starts at the first entry of a level.
    pub(super) fn new(level: u8) -> Self {
        Self { level, weight: 0 }
    }

    /// Takes one more entry into the node; says whether the node ends after it.
    pub(super) fn takes_last(&mut self, key: &[u8], suffix_len: usize, target_len: usize) -> bool {
        self.weight += suffix_len + WEIGHT_OF_ENTRY + target_len;
        let ends = self.weight >= MAX_WEIGHT
            || (self.weight >= MIN_WEIGHT && may_end_node(self.level, key));
        if ends {
            self.weight = 0;
        }
        ends
    }
}

/// Each level looks at bits of its own, so that a key that ends a leaf does not end its parent.
fn may_end_node(level: u8, key: &[u8]) -> bool {
    let digest = Digest::of(key);
    let at = 2 * usize::from(level);
    let bits = &digest.as_bytes()[at..at + 2];
    u16::from_le_bytes([bits[0], bits[1]]) & CHANCE_MASK == 0
}
