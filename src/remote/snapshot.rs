//! Snapshots: the claim that the packs they list hold all that one lock stands for.
//! `docs/format.md`, section "Snapshot".

use std::collections::BTreeMap;

use crate::hash::{BlobId, Context, Digest, PackId, RootsKey, SnapshotId, TreeId};
use crate::pack::PackKind;

use super::decode::{Decoded, Reader, put_varint, split_checksum};
use super::segment::check_size;
use super::{Content, Root};

const MAGIC: &[u8] = b"ESKSNAP1";
const ROOT_LEN: usize = 56;
const PACK_LEN: usize = 50;
const MAX_PATH: usize = crate::path::MAX_PATH;

/// A snapshot object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Snapshot {
    /// Chance, so that every snapshot has a name of its own.
    pub(super) nonce: [u8; 16],
    /// The project that pushed it.
    pub(super) project: [u8; 16],
    /// The commit that it belongs to, zero-padded; zeros for a workspace.
    pub(super) commit: [u8; 32],
    /// When it was made, in nanoseconds since 1970.
    pub(super) created: u64,
    /// The last record of the garbage collection's log that its writer had read.
    pub(super) log_number: u64,
    /// What it holds.
    pub(super) roots: Roots,
    /// Where: together these packs hold everything, and perhaps more.
    pub(super) packs: Vec<PackRef>,
}

/// A pack as a snapshot names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PackRef {
    pub(super) id: PackId,
    /// How many frames it has.
    pub(super) count: u32,
    pub(super) kind: PackKind,
    pub(super) size: u64,
    /// The first path stored in it; empty is unknown.
    pub(super) low: String,
    /// The last path stored in it; empty is unknown.
    pub(super) high: String,
}

/// The roots of a lock as a set: what they are, wherever they lie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Roots(BTreeMap<RootId, Totals>);

/// What a root is, ordered as the key of a snapshot needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum RootId {
    File(BlobId),
    Tree(TreeId),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Totals {
    files: u64,
    bytes: u64,
}

impl Roots {
    /// Takes the roots of a lock, whatever their paths are.
    pub(super) fn new<'a>(roots: impl IntoIterator<Item = &'a Root>) -> Self {
        let with_totals = |root: &Root| match root.content {
            Content::File { id, size } => (
                RootId::File(id),
                Totals {
                    files: 1,
                    bytes: size,
                },
            ),
            Content::Tree { id, files, bytes } => (RootId::Tree(id), Totals { files, bytes }),
        };
        Self(roots.into_iter().map(with_totals).collect())
    }

    /// The key that every lock of these roots computes.
    pub(super) fn key(&self) -> RootsKey {
        let mut bytes = Vec::with_capacity(self.0.len() * 33);
        for root in self.0.keys() {
            bytes.push(root.kind());
            bytes.extend_from_slice(root.digest().as_bytes());
        }
        RootsKey(Digest::derive(Context::LockRoots, &bytes))
    }

    pub(super) fn contains(&self, root: RootId) -> bool {
        self.0.contains_key(&root)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = RootId> {
        self.0.keys().copied()
    }
}

impl RootId {
    pub(super) fn of(content: Content) -> Self {
        match content {
            Content::File { id, .. } => Self::File(id),
            Content::Tree { id, .. } => Self::Tree(id),
        }
    }

    fn kind(self) -> u8 {
        match self {
            Self::File(_) => 0,
            Self::Tree(_) => 1,
        }
    }

    pub(super) fn digest(self) -> Digest {
        match self {
            Self::File(id) => id.0,
            Self::Tree(id) => id.0,
        }
    }
}

impl Snapshot {
    /// The bytes, and the name that they have.
    pub(super) fn encode(&self) -> (SnapshotId, Vec<u8>) {
        let mut out = Vec::new();
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&self.nonce);
        out.extend_from_slice(self.roots.key().0.as_bytes());
        out.extend_from_slice(&self.project);
        out.extend_from_slice(&self.commit);
        out.extend_from_slice(&self.created.to_le_bytes());
        out.extend_from_slice(&self.log_number.to_le_bytes());
        put_u32(&mut out, self.roots.0.len());
        put_u32(&mut out, self.packs.len());
        for (root, totals) in &self.roots.0 {
            out.extend_from_slice(&[root.kind(), 0, 0, 0, 0, 0, 0, 0]);
            out.extend_from_slice(&totals.files.to_le_bytes());
            out.extend_from_slice(&totals.bytes.to_le_bytes());
            out.extend_from_slice(root.digest().as_bytes());
        }
        for pack in &self.packs {
            out.extend_from_slice(pack.id.0.as_bytes());
            out.extend_from_slice(&pack.count.to_le_bytes());
            out.extend_from_slice(&u32::from(pack.kind as u8).to_le_bytes());
            out.extend_from_slice(&pack.size.to_le_bytes());
            for path in [&pack.low, &pack.high] {
                put_varint(&mut out, path.len() as u64);
                out.extend_from_slice(path.as_bytes());
            }
        }
        let id = Digest::of(&out);
        out.extend_from_slice(id.as_bytes());
        (SnapshotId(id), out)
    }

    /// Reads the bytes that lie at `snap/<key>/<id>`.
    pub(super) fn decode(key: RootsKey, id: SnapshotId, bytes: &[u8]) -> Decoded<Self> {
        let body = split_checksum(bytes)?;
        if bytes[body.len()..] != *id.0.as_bytes() {
            return Err("its name is not its hash");
        }
        let mut reader = Reader::new(body);
        reader.expect(MAGIC, "it does not begin with `ESKSNAP1`")?;
        let nonce = reader.array()?;
        reader.expect(key.0.as_bytes(), "its key is not the one it lies under")?;
        let (project, commit) = (reader.array()?, reader.array()?);
        let (created, log_number) = (reader.u64()?, reader.u64()?);
        let (root_count, pack_count) = (reader.u32()? as usize, reader.u32()? as usize);
        if root_count > reader.remaining() / ROOT_LEN || pack_count > reader.remaining() / PACK_LEN
        {
            return Err("it counts more items than it has bytes for");
        }
        let roots = decode_roots(&mut reader, root_count)?;
        if roots.key() != key {
            return Err("its roots are not those of its key");
        }
        let packs = (0..pack_count)
            .map(|_| decode_pack(&mut reader))
            .collect::<Decoded<Vec<_>>>()?;
        reader.end()?;
        Ok(Self {
            nonce,
            project,
            commit,
            created,
            log_number,
            roots,
            packs,
        })
    }
}

fn decode_roots(reader: &mut Reader<'_>, count: usize) -> Decoded<Roots> {
    let mut roots = BTreeMap::new();
    for _ in 0..count {
        let kind = reader.byte()?;
        reader.zeros(7)?;
        let totals = Totals {
            files: reader.u64()?,
            bytes: reader.u64()?,
        };
        let digest = Digest::from_bytes(reader.array()?);
        let root = match kind {
            0 => RootId::File(BlobId(digest)),
            1 => RootId::Tree(TreeId(digest)),
            _ => return Err("a root has an unknown kind"),
        };
        if roots
            .last_key_value()
            .is_some_and(|(last, _)| *last >= root)
        {
            return Err("its roots are not sorted");
        }
        roots.insert(root, totals);
    }
    Ok(Roots(roots))
}

fn decode_pack(reader: &mut Reader<'_>) -> Decoded<PackRef> {
    let id = PackId(Digest::from_bytes(reader.array()?));
    let count = reader.u32()?;
    let kind = u8::try_from(reader.u32()?).ok().and_then(PackKind::from_u8);
    let kind = kind.ok_or("a pack has an unknown kind")?;
    let size = reader.u64()?;
    check_size(size, count)?;
    Ok(PackRef {
        id,
        count,
        kind,
        size,
        low: decode_path(reader)?,
        high: decode_path(reader)?,
    })
}

fn decode_path(reader: &mut Reader<'_>) -> Decoded<String> {
    let length = usize::try_from(reader.varint()?).unwrap_or(usize::MAX);
    if length > MAX_PATH {
        return Err("a path is too long");
    }
    let bytes = reader.take(length)?;
    let text = std::str::from_utf8(bytes).map_err(|_| "a path is not UTF-8")?;
    Ok(text.to_owned())
}

fn put_u32(out: &mut Vec<u8>, count: usize) {
    let count = u32::try_from(count).expect("no lock has four milliards of anything");
    out.extend_from_slice(&count.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::RelPath;
    use proptest::prelude::*;

    const GOLDEN: &[u8] = include_bytes!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/fixtures/formats/snapshot-v1/two-roots.snapshot"
    ));

    fn root(path: &str, content: Content) -> Root {
        let path = RelPath::parse(path).unwrap();
        Root { path, content }
    }

    fn file(path: &str, bytes: &[u8]) -> Root {
        let (id, size) = (BlobId(Digest::of(bytes)), bytes.len() as u64);
        root(path, Content::File { id, size })
    }

    fn tree(path: &str, seed: &[u8]) -> Root {
        let id = TreeId(Digest::of(seed));
        root(
            path,
            Content::Tree {
                id,
                files: 3,
                bytes: 700,
            },
        )
    }

    fn golden() -> Snapshot {
        let pack = |seed: u8, kind, low: &str, high: &str| PackRef {
            id: PackId(Digest::of(&[seed])),
            count: u32::from(seed),
            kind,
            size: 1000 * u64::from(seed),
            low: low.to_owned(),
            high: high.to_owned(),
        };
        Snapshot {
            nonce: *b"sixteen of nonce",
            project: *b"0123456789abcdef",
            commit: [0xC0; 32],
            created: 1_700_000_000_000_000_000,
            log_number: 0,
            roots: Roots::new([&tree("data/raw", b"tree"), &file("model.pkl", b"hello\n")]),
            packs: vec![
                pack(5, PackKind::Blobs, "data/raw/a.csv", "model.pkl"),
                pack(2, PackKind::Meta, "", ""),
            ],
        }
    }

    fn names(bytes: &[u8]) -> (RootsKey, SnapshotId) {
        let key = *bytes[24..].first_chunk().unwrap();
        let id = *bytes.last_chunk().unwrap();
        (
            RootsKey(Digest::from_bytes(key)),
            SnapshotId(Digest::from_bytes(id)),
        )
    }

    #[test]
    fn the_golden_snapshot_is_read_and_written_the_same() {
        let (id, bytes) = golden().encode();
        assert_eq!(bytes, GOLDEN);
        assert_eq!(names(GOLDEN), (golden().roots.key(), id));
        let (key, id) = names(GOLDEN);
        let texts = [key.to_string(), id.to_string()];
        let expected = [
            "a785054f0a699203607422b91944a5a384ebd5761b86aa1153d2a3cf36c8114b",
            "37e79c23052737124222d426012e1c84891c5129558019439417a5229951bccd",
        ];
        assert_eq!(texts, expected);
        assert_eq!(Snapshot::decode(key, id, GOLDEN), Ok(golden()));
    }

    #[test]
    fn the_key_is_that_of_a_set() {
        let (a, b) = (file("a", b"1"), file("b", b"2"));
        let (again, tree) = (file("c", b"1"), tree("t", b"1"));
        let key = Roots::new([&a, &b]).key();
        assert_eq!(Roots::new([&b, &a, &again]).key(), key);
        assert_ne!(Roots::new([&a]).key(), key);
        assert_ne!(Roots::new([&tree]).key(), Roots::new([&a]).key());
        assert_eq!(
            Roots::default().key().0,
            Digest::derive(Context::LockRoots, b"")
        );
    }

    #[test]
    fn damage_is_noticed() {
        let (key, id) = names(GOLDEN);
        for position in 0..GOLDEN.len() {
            let mut bytes = GOLDEN.to_vec();
            bytes[position] ^= 0x10;
            assert!(Snapshot::decode(key, id, &bytes).is_err(), "{position}");
            assert!(Snapshot::decode(key, id, &GOLDEN[..position]).is_err());
        }
        let other = RootsKey(Digest::of(b""));
        assert!(Snapshot::decode(other, id, GOLDEN).is_err());
        let other = SnapshotId(Digest::of(b""));
        assert!(Snapshot::decode(key, other, GOLDEN).is_err());
    }

    fn decode_sealed(body: &[u8]) -> Decoded<Snapshot> {
        let id = Digest::of(body);
        let bytes = [body, id.as_bytes()].concat();
        let key = body.get(24..).and_then(<[u8]>::first_chunk);
        let key = RootsKey(Digest::from_bytes(*key.unwrap_or(&[0; 32])));
        Snapshot::decode(key, SnapshotId(id), &bytes)
    }

    #[test]
    fn hostile_snapshots_are_refused() {
        let body = &GOLDEN[..GOLDEN.len() - 32];
        assert!(decode_sealed(body).is_ok());
        let roots = 128;
        let packs = roots + 2 * ROOT_LEN;
        let changes: [(usize, &[u8]); 11] = [
            (0, b"ESKSNAP2"),
            (120, &u32::MAX.to_le_bytes()),
            (124, &u32::MAX.to_le_bytes()),
            (120, &1_u32.to_le_bytes()),
            (roots, &[2]),
            (roots, &[1]),
            (roots + 1, &[1]),
            (packs + 32, &u32::MAX.to_le_bytes()),
            (packs + 36, &[4]),
            (packs + 40, &u64::MAX.to_le_bytes()),
            (packs + 48, &[0xFF, 0xFF, 0xFF]),
        ];
        for (at, change) in changes {
            let mut body = body.to_vec();
            body[at..at + change.len()].copy_from_slice(change);
            assert!(decode_sealed(&body).is_err(), "{at}");
        }
        assert!(decode_sealed(&[body, b"x"].concat()).is_err());
    }

    proptest! {
        #[test]
        fn snapshots_survive_their_bytes(
            nonce: [u8; 16],
            commit: [u8; 32],
            created: u64,
            files in prop::collection::vec(any::<u8>(), 0..6),
            packs in prop::collection::vec((any::<u8>(), "[a-z/é]{0,9}"), 0..6),
        ) {
            let roots: Vec<_> = files.iter().map(|byte| file("x", &[*byte])).collect();
            let packs = packs
                .iter()
                .map(|(seed, path)| PackRef {
                    id: PackId(Digest::of(&[*seed])),
                    count: u32::from(*seed),
                    kind: PackKind::Chunks,
                    size: 96 + 48 * u64::from(*seed) + created % 1000,
                    low: path.clone(),
                    high: path.clone(),
                })
                .collect();
            let roots = Roots::new(&roots);
            let snapshot = Snapshot { nonce, commit, created, roots, packs, ..golden() };
            let (id, bytes) = snapshot.encode();
            prop_assert_eq!(Snapshot::decode(snapshot.roots.key(), id, &bytes), Ok(snapshot));
        }

        #[test]
        fn random_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = decode_sealed(&body);
            let _ = decode_sealed(&[MAGIC, &body].concat());
        }
    }
}
