//! Remotes that lost, mixed up or forged something: what comes is right, or it does not come.

use super::*;
use crate::hash::{ChunkId, PackId};
use crate::pack::{Frame, PackKind, Writer};
use crate::remote::recipe::Chunk;
use crate::remote::segment::PackEntries;
use proptest::prelude::*;

/// Fetches, and checks that all that is not named as missing is there and right.
fn fetch_checked(remote: &Shared, here: &Clone, roots: &[Root]) -> Fetched {
    let there = Clone::new();
    let interrupt = Interrupt::new();
    let fetched = remote
        .remote()
        .fetch(&there.store, roots, &at_once(2), &Silent, &interrupt);
    for (id, _) in there.store.list().unwrap() {
        assert_eq!(there.store.read(id).unwrap(), here.store.read(id).unwrap());
    }
    let fetched = fetched.unwrap_or_default();
    if !fetched.missing.is_empty() || fetched.objects == 0 {
        return fetched;
    }
    assert_eq!(there.contents(roots), here.contents(roots));
    fetched
}

#[test]
fn snapshots_and_segments_stand_in_for_each_other() {
    for lost in ["snap/", "idx/"] {
        let here = Clone::new();
        let remote = Shared::default();
        let roots = sample(&here);
        here.push(&remote.remote(), &roots);
        remote.remove(lost);
        let fetched = fetch_checked(&remote, &here, &roots);
        assert_eq!((fetched.files, fetched.missing), (304, vec![]), "{lost}");
    }
}

#[test]
fn a_lost_pack_is_told_and_the_rest_comes() {
    let here = Clone::new();
    let roots = sample(&here);
    let complete = Shared::default();
    here.push(&complete.remote(), &roots);
    for lost in complete.keys("p/") {
        let remote = Shared::default();
        for key in complete.keys("").iter().filter(|key| **key != lost) {
            remote.write(key, complete.read(key));
        }
        let fetched = fetch_checked(&remote, &here, &roots);
        assert!(!fetched.missing.is_empty());
        assert!(fetched.damaged.iter().any(|(key, _)| *key == lost));
    }
}

/// The next push notices that a pack is gone, and sends again what was in it.
#[test]
fn a_push_heals_a_lost_pack() {
    let here = Clone::new();
    let roots = sample(&here);
    let remote = Shared::default();
    here.push(&remote.remote(), &roots);
    remote.0.memory.delete(&remote.keys("p/")[0]).unwrap();
    assert!(here.push(&remote.remote(), &roots).objects > 0);
    let fetched = fetch_checked(&remote, &here, &roots);
    assert_eq!((fetched.files, fetched.missing), (304, vec![]));
}

#[test]
fn a_second_copy_is_used_when_the_first_is_damaged() {
    let here = Clone::new();
    let roots = sample(&here);
    let remote = Shared::default();
    here.push(&remote.remote(), &roots);
    let damaged = remote.keys("p/");
    let saved = remote.keys("");
    remote.remove("idx/");
    remote.remove("snap/");
    here.push(&remote.remote(), &roots);
    assert!(remote.keys("").len() >= saved.len());
    for key in &damaged {
        let mut bytes = remote.read(key);
        for at in (32..bytes.len() - 2000).step_by(97) {
            bytes[at] ^= 4;
        }
        remote.write(key, bytes);
    }
    let fetched = fetch_checked(&remote, &here, &roots);
    assert_eq!((fetched.files, fetched.missing), (304, vec![]));
}

#[test]
fn objects_in_each_others_places_do_no_harm() {
    let here = Clone::new();
    let roots = sample(&here);
    let complete = Shared::default();
    here.push(&complete.remote(), &roots);
    let keys = complete.keys("");
    for (one, other) in keys.iter().zip(keys.iter().skip(1)) {
        let remote = Shared::default();
        for key in &keys {
            remote.write(key, complete.read(key));
        }
        remote.write(one, complete.read(other));
        remote.write(other, complete.read(one));
        fetch_checked(&remote, &here, &roots);
    }
}

fn frame(kind: ObjectKind, raw: &[u8]) -> Frame<'static> {
    let id = ObjectId::new(kind, kind.hash(raw).unwrap());
    Frame::encode(id, raw.to_vec()).unwrap()
}

/// Puts a pack of these frames on a remote, and a segment that lists it.
fn plant(remote: &Shared, frames: &[Frame<'_>]) {
    let mut writer = Writer::new(Vec::new(), PackKind::Mixed, [1; 16]).unwrap();
    for frame in frames {
        writer.add(frame).unwrap();
    }
    let (finished, bytes) = writer.finish().unwrap();
    remote.write(&layout::pack(finished.id), bytes);
    let (id, bytes) = segment::encode(&[PackEntries {
        id: finished.id,
        size: finished.length,
        kind: finished.kind,
        entries: finished.entries,
    }]);
    remote.write(&layout::segment(id), bytes);
    let format = format::Format::new([1; 16]).encode();
    remote.write(layout::FORMAT, format);
}

/// The frames of a file in two pieces, under the root of whatever file is named.
fn recipe_frames(file: &Root, pieces: [&[u8]; 2]) -> Vec<Frame<'static>> {
    let Content::File { id, .. } = file.content else {
        panic!("a file is a file");
    };
    let chunks = pieces.map(|piece| Chunk {
        id: ChunkId(Digest::of(piece)),
        len: piece.len() as u64,
    });
    let encoded = recipe::encode(id, &chunks);
    let mut frames: Vec<_> = pieces
        .iter()
        .map(|piece| frame(ObjectKind::Chunk, piece))
        .collect();
    let segments = encoded.segments.iter();
    frames.extend(segments.map(|(_, bytes)| frame(ObjectKind::RecipeSegment, bytes)));
    let root_id = ObjectId::new(ObjectKind::RecipeRoot, id.0);
    frames.push(Frame::encode(root_id, encoded.root).unwrap());
    frames
}

/// Readers know no chunker: any cut will do, for a file of any length.
#[test]
fn any_recipe_is_read() {
    let (here, there) = (Clone::new(), Clone::new());
    let remote = Shared::default();
    let file = here.file("file", b"one and two");
    plant(&remote, &recipe_frames(&file, [b"one", b" and two"]));
    let roots = [file];
    let fetched = there.fetch(&remote.remote(), &roots);
    assert_eq!((fetched.files, fetched.missing), (1, vec![]));
    assert_eq!(there.contents(&roots), here.contents(&roots));
}

#[test]
fn a_forged_recipe_is_found_out_and_the_next_is_tried() {
    let (here, there) = (Clone::new(), Clone::new());
    let remote = Shared::default();
    let file = here.file("file", b"one and two");
    plant(&remote, &recipe_frames(&file, [b"evil", b" or two"]));
    let roots = [file];
    let fetched = there.fetch(&remote.remote(), &roots);
    assert_eq!((fetched.files, fetched.missing.len()), (0, 1));
    assert_eq!(fetched.damaged.len(), 1);
    assert!(there.store.list().unwrap().is_empty());
    let honest = recipe_frames(&roots[0], [b"one", b" and two"]);
    plant(&remote, &honest);
    let fetched = there.fetch(&remote.remote(), &roots);
    assert_eq!((fetched.files, fetched.missing), (1, vec![]));
    assert_eq!(there.contents(&roots), here.contents(&roots));
}

/// Recipes that no writer makes: each is named for what is wrong with it, and nothing of it is kept.
#[test]
fn a_recipe_that_cannot_be_is_refused() {
    const MIB: u64 = 1 << 20;
    let (here, there) = (Clone::new(), Clone::new());
    let file = here.file("file", &vec![0; 5 << 20]);
    let Content::File { id, size } = file.content else {
        panic!("a file is a file");
    };
    let chunk = |len| Chunk {
        id: ChunkId(Digest::of(b"a chunk")),
        len,
    };
    let root = |size| recipe::encode(id, &[chunk(size)]).root;
    let root_frame = |root| {
        let id = ObjectId::new(ObjectKind::RecipeRoot, id.0);
        Frame::encode(id, root).unwrap()
    };
    // All of these lengths in one segment, below a root that says it is the file.
    let recipe = |lengths: &[u64]| {
        let mut segment = b"ESKR\x01\0\0\0".to_vec();
        segment.extend_from_slice(&u32::try_from(lengths.len()).unwrap().to_le_bytes());
        for len in lengths {
            segment.extend_from_slice(chunk(*len).id.0.as_bytes());
            decode::put_varint(&mut segment, *len);
        }
        let segment = frame(ObjectKind::RecipeSegment, &segment);
        let mut root = root(size);
        root[52..84].copy_from_slice(segment.entry.id.digest.as_bytes());
        vec![segment, root_frame(root)]
    };
    for (frames, reason) in [
        (recipe(&[5 * MIB]), "a chunk is longer than 4 MiB"),
        (recipe(&[3 * MIB, 3 * MIB]), "its lengths are too large"),
        (recipe(&[3 * MIB, MIB]), "its lengths are too small"),
        (recipe(&[4 * MIB, MIB, 0]), "an item has no bytes"),
        (recipe(&[1; 16_385]), "it has too many chunks"),
        (
            vec![root_frame(root(size + 1))],
            "it is of a file of another length",
        ),
    ] {
        let remote = Shared::default();
        plant(&remote, &frames);
        let fetched = there.fetch(&remote.remote(), std::slice::from_ref(&file));
        assert_eq!((fetched.files, fetched.missing.len()), (0, 1), "{reason}");
        let [(_, found)] = &fetched.damaged[..] else {
            panic!("{reason}: {:?}", fetched.damaged);
        };
        assert_eq!(found, reason);
        assert!(there.store.list().unwrap().is_empty());
    }
}

/// An index that claims an id for a frame that holds something else.
#[test]
fn a_lie_in_an_index_is_found_out() {
    let (here, there) = (Clone::new(), Clone::new());
    let remote = Shared::default();
    let file = here.file("file", b"good");
    let mut lie = frame(ObjectKind::Blob, b"evil");
    lie.entry.id = ObjectId::new(ObjectKind::Blob, Digest::of(b"good"));
    plant(&remote, &[lie]);
    let fetched = there.fetch(&remote.remote(), &[file]);
    assert_eq!((fetched.files, fetched.missing.len()), (0, 1));
    assert_eq!(fetched.damaged.len(), 1);
    assert!(there.store.list().unwrap().is_empty());
}

/// A snapshot that lists a pack which is not there, and a pack of an impossible size.
#[test]
fn a_snapshot_may_claim_what_it_likes() {
    let here = Clone::new();
    let remote = Shared::default();
    let roots = vec![here.file("file", b"good")];
    here.push(&remote.remote(), &roots);
    let pack = snapshot::PackRef {
        id: PackId(Digest::of(b"nowhere")),
        count: 60_000,
        kind: PackKind::Meta,
        size: 200 << 20,
        low: String::new(),
        high: String::new(),
    };
    let forged = snapshot::Snapshot {
        nonce: [0; 16],
        project: [0; 16],
        commit: [0; 32],
        created: u64::MAX,
        log_number: u64::MAX,
        roots: snapshot::Roots::new(&roots),
        packs: vec![pack],
    };
    let (id, bytes) = forged.encode();
    remote.write(&layout::snapshot(forged.roots.key(), id), bytes);
    let fetched = fetch_checked(&remote, &here, &roots);
    assert_eq!((fetched.files, fetched.missing), (1, vec![]));
    assert_eq!(here.push(&remote.remote(), &roots), Pushed::default());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn flipped_bits_and_cut_ends_never_give_wrong_content(
        damage in prop::collection::vec(
            (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0_u8..9),
            1..12,
        ),
    ) {
        let here = Clone::new();
        let mut files = small_files(12);
        files.insert("big".into(), noise(1, 5_000));
        let roots = vec![here.tree("data", &files), here.file("f", b"f")];
        let remote = Shared::default();
        here.push(&remote.remote(), &roots);
        for (key, at, bit) in damage {
            let keys = remote.keys("");
            let key = key.get(&keys);
            let mut bytes = remote.read(key);
            if bytes.is_empty() {
                continue;
            }
            let at = at.index(bytes.len());
            match bit {
                8 => bytes.truncate(at),
                bit => bytes[at] ^= 1 << bit,
            }
            remote.write(key, bytes);
        }
        fetch_checked(&remote, &here, &roots);
        // A push onto such a remote may fail, but it does not panic, and what it reports to be
        // there can be fetched unless an old object in the way is damaged.
        let _ = here.push_with(&remote.remote(), &[&roots], &[], false);
        fetch_checked(&remote, &here, &roots);
    }
}
