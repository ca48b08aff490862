//! The keys of a remote's objects. `docs/format.md`, section "Remotes".

use crate::hash::{PackId, RootsKey, RunKey, SegmentId, SnapshotId};

/// What the remote is.
pub(super) const FORMAT: &str = "format.json";
/// Where all packs lie.
pub(super) const PACKS: &str = "p/";
/// Where all index segments lie.
pub(super) const SEGMENTS: &str = "idx/";
/// Where all snapshots lie.
pub(super) const SNAPSHOTS: &str = "snap/";
/// What is written twice to find out whether the second writer is told.
pub(super) const PROBE: &str = "probe";
/// Where results of the run cache lie.
pub(super) const RESULTS: &str = "run/";
/// Where garbage collection keeps its log.
pub(super) const GC_LOG: &str = "gc/";

pub(super) fn pack(id: PackId) -> String {
    format!("{PACKS}{}/{id}", id.0.short(2))
}

pub(super) fn segment(id: SegmentId) -> String {
    format!("{SEGMENTS}{id}")
}

pub(super) fn snapshots_of(key: RootsKey) -> String {
    format!("{SNAPSHOTS}{key}/")
}

pub(super) fn snapshot(key: RootsKey, id: SnapshotId) -> String {
    format!("{SNAPSHOTS}{key}/{id}")
}

/// Where the newest snapshot of a key is named.
pub(super) fn head_of(key: RootsKey) -> String {
    format!("{SNAPSHOTS}{key}/head")
}

/// Where the results of a key lie.
pub(super) fn results_of(key: RunKey) -> String {
    format!("{RESULTS}{}/{key}/", key.0.short(2))
}

pub(super) fn result(key: RunKey, name: &str) -> String {
    format!("{}{name}", results_of(key))
}

pub(super) fn log(number: u64) -> String {
    format!("{GC_LOG}{number:016}")
}

/// Reads the number of a record of the log from its key.
pub(super) fn parse_log(key: &str) -> Option<u64> {
    let number = key.strip_prefix(GC_LOG)?.parse().ok()?;
    (number > 0 && log(number) == key).then_some(number)
}

/// Reads the id of a pack from its key; anything else that lies there is none of ours.
pub(super) fn parse_pack(key: &str) -> Option<PackId> {
    let (_, name) = key.strip_prefix(PACKS)?.split_once('/')?;
    let id = name.parse().ok()?;
    (pack(id) == key).then_some(id)
}

/// Reads the id of a segment from its key.
pub(super) fn parse_segment(key: &str) -> Option<SegmentId> {
    key.strip_prefix(SEGMENTS)?.parse().ok()
}

/// Reads both names of a snapshot from its key.
pub(super) fn parse_snapshot(key: &str) -> Option<(RootsKey, SnapshotId)> {
    let (roots, id) = key.strip_prefix(SNAPSHOTS)?.split_once('/')?;
    Some((roots.parse().ok()?, id.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Digest;

    #[test]
    fn keys_are_read_as_they_are_written() {
        let digest = Digest::of(b"");
        let hex = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        let (roots, id) = (RootsKey(digest), SnapshotId(digest));
        assert_eq!(pack(PackId(digest)), format!("p/af/{hex}"));
        assert_eq!(segment(SegmentId(digest)), format!("idx/{hex}"));
        assert_eq!(snapshot(roots, id), format!("snap/{hex}/{hex}"));
        assert_eq!(snapshots_of(roots), format!("snap/{hex}/"));
        assert_eq!(parse_pack(&pack(PackId(digest))), Some(PackId(digest)));
        assert_eq!(
            parse_segment(&segment(SegmentId(digest))),
            Some(SegmentId(digest))
        );
        assert_eq!(parse_snapshot(&snapshot(roots, id)), Some((roots, id)));
        let golden = include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/fixtures/formats/run-cache-v1/shared.txt"
        ));
        let names = golden.lines().map(|line| {
            let parts: Vec<&str> = line.split('/').collect();
            result(RunKey(parts[2].parse().unwrap()), parts[3])
        });
        assert_eq!(
            names.collect::<Vec<_>>(),
            golden.lines().collect::<Vec<_>>()
        );
        assert_eq!(log(17), "gc/0000000000000017");
        assert_eq!(parse_log(&log(17)), Some(17));
    }

    #[test]
    fn foreign_keys_are_none_of_ours() {
        let hex = Digest::of(b"").to_hex();
        for key in [
            format!("p/ag/{hex}"),
            format!("p/{hex}"),
            format!("p/af/{hex}x"),
            format!("p/AF/{}", hex.to_uppercase()),
            "idx/README".into(),
            "gc/17".into(),
            "gc/0000000000000000".into(),
            "gc/+000000000000017".into(),
            format!("snap/{hex}"),
            format!("snap/{hex}/head"),
            String::new(),
        ] {
            assert_eq!(parse_pack(&key), None, "{key}");
            assert_eq!(parse_segment(&key), None, "{key}");
            assert_eq!(parse_snapshot(&key), None, "{key}");
            assert_eq!(parse_log(&key), None, "{key}");
        }
    }
}
