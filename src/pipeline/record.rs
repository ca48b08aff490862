//! Run records: what happened when a stage ran. Not in the lock; its `run` line names them.
//! `docs/format.md`, section "Run record", is the specification.

use std::path::{Path, PathBuf};

use super::{Error, Result};
use crate::fs;

/// The version that is written and read.
const VERSION: u32 = 1;
/// The largest record that is read.
const MAX_RECORD: u64 = 1024 * 1024;

/// One run of one stage.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct RunRecord {
    /// The version of this form: 1.
    pub v: u32,
    /// The stage.
    pub stage: String,
    /// The run line.
    pub run: String,
    /// When it started, in nanoseconds since 1970.
    pub started: u64,
    /// How long it took.
    pub seconds: f64,
    /// The exit code of its last script.
    pub exit: i32,
}

impl RunRecord {
    /// Writes `<runs>/<run>.json`.
    pub fn save(&self, runs: &Path) -> Result<()> {
        let path = path(runs, &self.run)
            .ok_or_else(|| Error::Result(format!("`{}` is no run line", self.run)))?;
        let mut json = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::Result(format!("no JSON: {error}")))?;
        json.push(b'\n');
        // Not flushed: what a crash may cost is a line of `why`, never a byte of data.
        let mut temp = fs::TempFile::new_in(runs)?;
        temp.write_all(&json)?;
        temp.persist(&path)?;
        Ok(())
    }

    /// Reads the record that a run line names; `None` if there is none or it cannot be read.
    pub fn load(runs: &Path, run: &str) -> Option<Self> {
        let path = path(runs, run)?;
        let metadata = fs::metadata(&path).ok()??;
        if !metadata.is_file() || metadata.len() > MAX_RECORD {
            return None;
        }
        let record: Self = serde_json::from_slice(&fs::read(&path).ok()?).ok()?;
        (record.v == VERSION && record.run == run).then_some(record)
    }
}

/// Where the record of a run line lies; `None` for a text that is none and could point anywhere.
fn path(runs: &Path, run: &str) -> Option<PathBuf> {
    let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let is_run_line = run.len() == 16 && run.bytes().all(hex);
    is_run_line.then(|| runs.join(format!("{run}.json")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record() -> RunRecord {
        RunRecord {
            v: VERSION,
            stage: "train".to_owned(),
            run: "9f2c6a0b41d7e853".to_owned(),
            started: 1_700_000_000_123_456_789,
            seconds: 72.25,
            exit: 0,
        }
    }

    #[test]
    fn a_record_comes_back_under_its_run_line() {
        let dir = tempfile::tempdir().unwrap();
        let runs = dir.path().join("runs");
        assert_eq!(RunRecord::load(&runs, &record().run), None);
        record().save(&runs).unwrap();
        assert_eq!(RunRecord::load(&runs, &record().run), Some(record()));
        let again = RunRecord {
            seconds: 1.0,
            ..record()
        };
        again.save(&runs).unwrap();
        assert_eq!(RunRecord::load(&runs, &record().run), Some(again));
        assert_eq!(fs::list_dir(&runs).unwrap().len(), 1);
    }

    #[test]
    fn a_run_line_cannot_point_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        for run in [
            "",
            "../../etc/passwd",
            "9F2C6A0B41D7E853",
            "0/../0/../000000",
        ] {
            let record = RunRecord {
                run: run.to_owned(),
                ..record()
            };
            assert!(record.save(dir.path()).is_err(), "{run}");
            assert_eq!(RunRecord::load(dir.path(), run), None);
        }
        assert!(fs::list_dir(dir.path()).unwrap().is_empty());
    }

    #[test]
    fn another_version_or_another_run_is_no_record() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("9f2c6a0b41d7e853.json");
        let good = serde_json::to_string(&record()).unwrap();
        let table = [
            (good.clone(), true),
            (good.replace("\"v\":1", "\"v\":1,\"later\":[]"), true),
            (good.replace("\"v\":1", "\"v\":2"), false),
            (good.replace("9f2c", "0000"), false),
            (good.replace("72.25", "null"), false),
            ("{}".to_owned(), false),
            (String::new(), false),
            (format!("{good}{}", " ".repeat(1024 * 1024)), false),
        ];
        for (text, is_record) in table {
            fs::replace(&path, text.as_bytes()).unwrap();
            let loaded = RunRecord::load(dir.path(), &record().run);
            assert_eq!(loaded.is_some(), is_record, "{text:.100}");
        }
    }

    #[test]
    fn the_bytes_of_a_record_are_those_of_the_format() {
        let dir = tempfile::tempdir().unwrap();
        record().save(dir.path()).unwrap();
        let written = std::fs::read(dir.path().join("9f2c6a0b41d7e853.json")).unwrap();
        let golden = include_bytes!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/fixtures/formats/run-record-v1/9f2c6a0b41d7e853.json"
        ));
        assert_eq!(written, golden);
    }

    proptest! {
        #[test]
        fn any_record_comes_back(
            stage in ".{0,8}", run in "[0-9a-f]{16}", started: u64, quarters: u32, exit: i32,
        ) {
            // Seconds are for people; JSON readers may round the last bit of longer fractions.
            let seconds = f64::from(quarters) / 4.0;
            let dir = tempfile::tempdir().unwrap();
            let record = RunRecord { v: VERSION, stage, run, started, seconds, exit };
            record.save(dir.path()).unwrap();
            prop_assert_eq!(RunRecord::load(dir.path(), &record.run), Some(record));
        }
    }
}
