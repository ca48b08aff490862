//! Locks for property tests.

use proptest::collection::btree_map;
use proptest::prelude::*;

use super::{DepHash, Lock, Recorded, StageRecord};
use crate::hash::{ContentId, Digest};
use crate::path::{DepPath, RelPath};
use crate::project::manifest::Command;
use crate::value::{Leaves, Value, strategy};

/// Any lock that can be recorded, with most blocks mixed.
pub(crate) fn lock() -> impl Strategy<Value = Lock> {
    let data = btree_map(rel_path(), recorded(), 0..4);
    let stages = btree_map("[A-Za-z0-9_][a-z0-9_-]{0,3}(@[a-z.]{1,3})?", stage(), 0..4);
    (data, stages).prop_map(|(data, mut stages)| {
        for (name, record) in &mut stages {
            record.mixed = record.run != record.run_line(name);
        }
        Lock { data, stages }
    })
}

/// Any stage, with the `run` line of some other.
pub(crate) fn stage() -> impl Strategy<Value = StageRecord> {
    let ran = (
        command(),
        prop::option::of(rel_path().prop_map(|path| path.to_string())),
        "[0-9a-f]{16}",
        any::<bool>(),
        btree_map(strategy::text(), strategy::text(), 0..3),
    );
    let files = (
        btree_map(dep_path(), dep_hash(), 0..3),
        btree_map(dep_path(), leaves(strategy::leaves()), 0..3),
        btree_map(rel_path(), recorded(), 0..3),
        btree_map(rel_path(), leaves(numbers()), 0..3),
    );
    (ran, files).prop_map(
        |((cmd, wdir, run, adopted, env), (deps, params, outs, metrics))| StageRecord {
            cmd,
            wdir,
            run,
            mixed: false,
            adopted,
            deps: deps.into_iter().collect(),
            env: env.into_iter().collect(),
            params: params.into_iter().collect(),
            // Some of them, so that both kinds are met.
            unstored: outs.keys().skip(1).step_by(2).cloned().collect(),
            outs: outs.into_iter().collect(),
            metrics: metrics.into_iter().collect(),
        },
    )
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        strategy::text().prop_map(Command::One),
        prop::collection::vec(strategy::text(), 0..3).prop_map(Command::Many),
    ]
}

fn leaves(leaves: impl Strategy<Value = Leaves>) -> impl Strategy<Value = Leaves> {
    leaves.prop_filter("files without leaves are not written", |leaves| {
        !leaves.is_empty()
    })
}

fn numbers() -> impl Strategy<Value = Leaves> {
    strategy::leaves().prop_map(|mut leaves| {
        leaves.retain(|_, value| matches!(value, Value::Bool(_)) || value.as_f64().is_some());
        leaves
    })
}

fn recorded() -> impl Strategy<Value = Recorded> {
    let size = 0..=i64::MAX.unsigned_abs();
    let kind = prop_oneof![
        Just((None, false)),
        Just((None, true)),
        (0_u64..9).prop_map(|files| (Some(files), false)),
    ];
    (id(), size, kind).prop_map(|(hash, size, (files, exec))| Recorded {
        hash,
        size,
        files,
        exec,
    })
}

fn dep_hash() -> impl Strategy<Value = DepHash> {
    (id(), any::<bool>()).prop_map(|(hash, exec)| DepHash { hash, exec })
}

fn id() -> impl Strategy<Value = ContentId> {
    prop_oneof![
        any::<[u8; 32]>().prop_map(|bytes| ContentId::B3(Digest::from_bytes(bytes))),
        "md5:[0-9a-f]{32}".prop_map(|text| text.parse().expect("a foreign id")),
    ]
}

fn rel_path() -> impl Strategy<Value = RelPath> {
    let text = prop_oneof!["[a-c]{1,2}(/[a-c]{1,2}){0,2}", strategy::text()];
    text.prop_filter_map("not a path", |text| RelPath::parse(&text).ok())
}

fn dep_path() -> impl Strategy<Value = DepPath> {
    let text = prop_oneof!["(\\.\\./){0,2}[a-c]{1,2}", strategy::text()];
    text.prop_filter_map("not a path", |text| DepPath::parse(&text).ok())
}
