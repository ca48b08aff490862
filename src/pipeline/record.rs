//! Run records: what happened when a stage ran. Not in the lock; its `run` line names them.
//! `docs/format.md`, section "Run record", is the specification.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{Environment, Error, Result};
use crate::fs;

/// The version that is written and read.
const VERSION: u32 = 1;
/// The largest record that is read.
const MAX_RECORD: u64 = 1024 * 1024;

/// One run of one stage.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct RunRecord {
    /// The version of this form: 1.
    pub v: u32,
    /// The stage.
    pub stage: String,
    /// The run line of the block that it recorded; empty if it failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub run: String,
    /// What it was called while it ran (`ESKER_RUN_ID`): 16 hex digits, drawn by chance, because
    /// the run line is known only afterwards. Its output is in `<id>.log`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// When it started, in nanoseconds since 1970.
    pub started: u64,
    /// How long it took.
    pub seconds: f64,
    /// The exit code of its last script, as a shell tells it: 128 and more is a signal; 124 if
    /// its time was over.
    pub exit: i32,
    /// The machine.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub host: String,
    /// The most memory that one of its processes held at once, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory: Option<u64>,
    /// What it ran in.
    #[serde(default)]
    pub environment: Environment,
    /// The commit that was checked out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Files of git that were not as in that commit: the first thousand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uncommitted: Vec<String>,
}

impl RunRecord {
    /// Writes `<runs>/<run>.json`, or `<runs>/failed-<stage>.json` for a run that failed. The log
    /// of the record that stood there goes with it.
    pub fn save(&self, runs: &Path) -> Result<()> {
        let (path, old) = match self.run.is_empty() {
            true => (
                failed(runs, &self.stage),
                Self::load_failed(runs, &self.stage),
            ),
            false => {
                let path = path(runs, &self.run)
                    .ok_or_else(|| Error::Result(format!("`{}` is no run line", self.run)))?;
                (path, Self::load(runs, &self.run))
            }
        };
        let mut json = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::Result(format!("no JSON: {error}")))?;
        json.push(b'\n');
        // Not flushed: what a crash may cost is a line of `why`, never a byte of data.
        let mut temp = fs::TempFile::new_in(runs)?;
        temp.write_all(&json)?;
        temp.persist(&path)?;
        let log = old.filter(|old| old.id != self.id);
        if let Some(log) = log.and_then(|old| log_of(runs, &old.id)) {
            // It is for people; one that stays harms nobody.
            let _ = fs::remove_file(&log);
        }
        Ok(())
    }

    /// The name and the bytes of the record that a run line names, as [`RunRecord::save`] wrote it.
    pub fn file(runs: &Path, run: &str) -> Option<(String, Vec<u8>)> {
        let path = path(runs, run)?;
        Self::load(runs, run)?;
        Some((format!("{run}.json"), fs::read(&path).ok()?))
    }

    /// Whether a record of this name is kept.
    pub fn is_kept(runs: &Path, name: &str) -> bool {
        let run = name.strip_suffix(".json");
        run.is_some_and(|run| Self::load(runs, run).is_some())
    }

    /// Keeps a record that came from elsewhere, if it is what its name says and none of that run is
    /// here. Yields whether it was kept.
    pub fn take(runs: &Path, name: &str, bytes: &[u8]) -> Result<bool> {
        let record = parse(bytes).filter(|record| format!("{}.json", record.run) == name);
        let path = record.and_then(|record| path(runs, &record.run));
        let Some(path) = path.filter(|_| !Self::is_kept(runs, name)) else {
            return Ok(false);
        };
        let mut temp = fs::TempFile::new_in(runs)?;
        temp.write_all(bytes)?;
        temp.persist(&path)?;
        Ok(true)
    }

    /// Where its output is.
    pub fn log(&self, runs: &Path) -> Option<PathBuf> {
        log_of(runs, &self.id)
    }

    /// Reads the record of the last run of a stage that failed.
    pub fn load_failed(runs: &Path, stage: &str) -> Option<Self> {
        read(&failed(runs, stage)).filter(|record| record.run.is_empty() && record.stage == stage)
    }

    /// Reads the record that a run line names; `None` if there is none or it cannot be read.
    pub fn load(runs: &Path, run: &str) -> Option<Self> {
        read(&path(runs, run)?).filter(|record| record.run == run)
    }
}

/// Records and logs of runs that were written before a moment (in nanoseconds since 1970) and whose
/// run line nobody names, with their sizes.
pub fn old_runs(
    runs: &Path,
    before: u64,
    is_named: &dyn Fn(&str) -> bool,
) -> Result<Vec<(PathBuf, u64)>> {
    let mut files = Vec::new();
    let mut kept_logs = BTreeSet::new();
    if !runs.is_dir() {
        return Ok(files);
    }
    for name in fs::list_dir(runs)? {
        let path = runs.join(&name);
        let Some(stat) = fs::metadata(&path)?.filter(fs::Metadata::is_file) else {
            continue;
        };
        let name = name.to_string_lossy();
        let run = name.strip_suffix(".json");
        let is_kept = fs::modified_nanos(&stat) >= before || run.is_some_and(is_named);
        let is_ours = run.is_some_and(|run| is_hex(run) || run.starts_with("failed-"))
            || name.strip_suffix(".log").is_some_and(is_hex);
        if is_kept {
            let record = run.and_then(|_| read(&path));
            kept_logs.extend(record.and_then(|record| log_of(runs, &record.id)));
        } else if is_ours {
            files.push((path, stat.len()));
        }
    }
    files.retain(|(path, _)| !kept_logs.contains(path));
    Ok(files)
}

fn read(path: &Path) -> Option<RunRecord> {
    let metadata = fs::metadata(path).ok()??;
    if !metadata.is_file() || metadata.len() > MAX_RECORD {
        return None;
    }
    parse(&fs::read(path).ok()?)
}

fn parse(bytes: &[u8]) -> Option<RunRecord> {
    let record: RunRecord = serde_json::from_slice(bytes).ok()?;
    (record.v == VERSION).then_some(record)
}

/// Where the last failure of a stage is told. No name of a stage holds a `/`.
fn failed(runs: &Path, stage: &str) -> PathBuf {
    runs.join(format!("failed-{}.json", stage.replace('/', "_")))
}

/// Where the record of a run line lies; `None` for a text that is none and could point anywhere.
fn path(runs: &Path, run: &str) -> Option<PathBuf> {
    is_hex(run).then(|| runs.join(format!("{run}.json")))
}

/// Where the output of a run lies.
pub(super) fn log_of(runs: &Path, id: &str) -> Option<PathBuf> {
    is_hex(id).then(|| runs.join(format!("{id}.log")))
}

fn is_hex(text: &str) -> bool {
    let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.len() == 16 && text.bytes().all(hex)
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
            id: "00112233445566ff".to_owned(),
            started: 1_700_000_000_123_456_789,
            seconds: 72.25,
            exit: 0,
            host: "gpu-3".to_owned(),
            peak_memory: Some(1_234_567_168),
            environment: Environment {
                os: "Linux 6.1.0".to_owned(),
                arch: "x86_64".to_owned(),
                interpreter: Some("Python 3.12.1".to_owned()),
                files: [("uv.lock".to_owned(), "b3:00".to_owned())].into(),
                gpu_driver: Some("535.161.07".to_owned()),
                image: None,
            },
            commit: Some("0123456789abcdef0123456789abcdef01234567".to_owned()),
            uncommitted: vec!["src/train.py".to_owned()],
        }
    }

    #[test]
    fn a_failure_is_kept_until_the_next_one_and_its_log_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let failed = |id: &str, exit| RunRecord {
            run: String::new(),
            id: id.to_owned(),
            exit,
            ..record()
        };
        let (first, second) = (
            failed("00000000000000aa", 1),
            failed("00000000000000bb", 137),
        );
        for run in [&first, &second] {
            fs::write_new(&run.log(dir.path()).unwrap(), b"words").unwrap();
            run.save(dir.path()).unwrap();
            assert_eq!(
                RunRecord::load_failed(dir.path(), "train").as_ref(),
                Some(run)
            );
        }
        assert!(!first.log(dir.path()).unwrap().exists());
        assert!(second.log(dir.path()).unwrap().exists());
        assert_eq!(RunRecord::load_failed(dir.path(), "other"), None);
        assert_eq!(RunRecord::load(dir.path(), &record().run), None);
    }

    #[test]
    fn a_record_of_few_words_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let text =
            r#"{"v":1,"stage":"s","run":"9f2c6a0b41d7e853","started":1,"seconds":2.5,"exit":0}"#;
        fs::write_new(&dir.path().join("9f2c6a0b41d7e853.json"), text.as_bytes()).unwrap();
        let read = RunRecord::load(dir.path(), "9f2c6a0b41d7e853").unwrap();
        assert_eq!((read.seconds, read.log(dir.path())), (2.5, None));
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
        for run in ["../../etc/passwd", "9F2C6A0B41D7E853", "0/../0/../000000"] {
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
            let record = RunRecord { stage, run, started, seconds, exit, ..record() };
            record.save(dir.path()).unwrap();
            prop_assert_eq!(RunRecord::load(dir.path(), &record.run), Some(record));
        }
    }
}
