//! The locks of `fixtures/formats/lock-v1`, made by another implementation from
//! `docs/format.md`. They never change: a new version of the format adds a folder.

use super::Lock;

macro_rules! golden {
    ($name:literal) => {
        include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/fixtures/formats/lock-v1/",
            $name
        ))
    };
}

const LOCKS: [(&str, &str); 5] = [
    ("empty.lock", golden!("empty.lock")),
    ("data.lock", golden!("data.lock")),
    ("pipeline.lock", golden!("pipeline.lock")),
    ("odd.lock", golden!("odd.lock")),
    ("unstored.lock", golden!("unstored.lock")),
];

#[test]
fn golden_locks_are_read_and_written_byte_for_byte() {
    for (name, text) in LOCKS {
        let lock = Lock::parse(text).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert_eq!(lock.to_text(), text, "{name}");
    }
    let count = |index: usize| {
        let lock = Lock::parse(LOCKS[index].1).unwrap();
        (lock.data.len(), lock.stages.len())
    };
    let counts = [(0, 0), (5, 0), (1, 3), (0, 2), (0, 1)];
    assert_eq!([0, 1, 2, 3, 4].map(count), counts);
    let unstored = Lock::parse(LOCKS[4].1).unwrap();
    let unstored: Vec<&str> = unstored.stages["report"]
        .unstored
        .iter()
        .map(|path| path.as_str())
        .collect();
    assert_eq!(unstored, ["plots", "report.md", "report.sh"]);
}

/// Each line: lock, stage, run line, run key.
#[test]
fn golden_run_lines_and_run_keys_are_those_of_the_file() {
    let mut found = String::new();
    for (name, text) in LOCKS {
        for (stage, record) in Lock::parse(text).unwrap().stages {
            assert_eq!(record.run, record.run_line(&stage), "{name}: {stage}");
            let line = format!("{name} {stage} {} {}\n", record.run, record.run_key());
            found.push_str(&line);
        }
    }
    assert_eq!(found, golden!("keys.txt"));
}
