//! The run cache: what a stage yielded, by all that went in.
//!
//! An entry is named by the hash of its own bytes and lies under the key that its own block
//! yields, so that a damaged entry, or one put under a key it does not belong to, is found out
//! by reading it. `docs/format.md`, section "Run cache", is the specification.

use std::path::{Path, PathBuf};

use super::{Error, Result};
use crate::fs;
use crate::hash::{Digest, RunKey};
use crate::project::{Lock, StageRecord};

/// The name under which the one stage of an entry stands, whatever stage it was.
const NAME: &str = "result";
/// The largest entry that is read.
const MAX_ENTRY: u64 = 64 * 1024 * 1024;

/// A directory of results: `aa/<key>/<entry id>`, each entry the lock text of one stage block.
#[derive(Clone, Debug)]
pub struct Results {
    /// Where it lies.
    pub dir: PathBuf,
}

impl Results {
    /// All results under a key, newest first. Unreadable entries are left out.
    ///
    /// `run` of what is returned belongs to the name `result`: whoever records it for a stage
    /// sets it again, as [`Stage::record`](super::Stage::record) does.
    pub fn get(&self, key: RunKey) -> Result<Vec<StageRecord>> {
        let dir = self.key_dir(key);
        let names = match fs::list_dir(&dir) {
            Err(error) if fs::is_missing(&error.source) => return Ok(Vec::new()),
            names => names?,
        };
        let mut entries = Vec::new();
        for name in names {
            let id = name.to_str().and_then(|name| name.parse::<Digest>().ok());
            if let Some(id) = id
                && let Some(entry) = read(&dir.join(name), id, key)
            {
                entries.push(entry);
            }
        }
        entries.sort_by(|(old, _), (new, _)| new.cmp(old));
        Ok(entries.into_iter().map(|(_, record)| record).collect())
    }

    /// Keeps a result; one that is there already becomes the newest.
    ///
    /// `run` is written for the name `result`, so that equal results of stages with different
    /// names are one entry. A block that `commit` adopted is no result of a run and is not kept.
    pub fn put(&self, key: RunKey, record: &StageRecord) -> Result<()> {
        if record.adopted {
            return Ok(());
        }
        if record.run_key() != key {
            let message = format!("its key is {}, not {key}", record.run_key());
            return Err(Error::Result(message));
        }
        let text = entry_text(record);
        let dir = self.key_dir(key);
        let mut temp = fs::TempFile::new_in(&dir)?;
        temp.write_all(text.as_bytes())?;
        temp.persist(&dir.join(Digest::of(text.as_bytes()).to_hex()))?;
        Ok(())
    }

    /// The entry that is kept of this very result, if it is: its name and its bytes.
    pub fn entry(&self, record: &StageRecord) -> Result<Option<(String, Vec<u8>)>> {
        let text = entry_text(record);
        let name = Digest::of(text.as_bytes()).to_hex();
        let is_kept = self.has(record.run_key(), &name)?;
        Ok(is_kept.then(|| (name, text.into_bytes())))
    }

    /// Whether an entry of this name is kept.
    pub fn has(&self, key: RunKey, name: &str) -> Result<bool> {
        Ok(fs::metadata(&self.key_dir(key).join(name))?.is_some())
    }

    /// Keeps an entry that came from elsewhere, if it is what its name and its key say. Yields
    /// whether it is.
    pub fn take(&self, key: RunKey, name: &str, bytes: &[u8]) -> Result<bool> {
        let id = name.parse::<Digest>().ok();
        let Some(id) = id.filter(|id| record_of(bytes, *id, key).is_some()) else {
            return Ok(false);
        };
        let dir = self.key_dir(key);
        let mut temp = fs::TempFile::new_in(&dir)?;
        temp.write_all(bytes)?;
        temp.persist(&dir.join(id.to_hex()))?;
        Ok(true)
    }

    /// All entries, also those that cannot be read.
    pub fn all(&self) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for fan in dirs(&self.dir)? {
            for dir in dirs(&fan)? {
                let name = dir.file_name().and_then(|name| name.to_str());
                let Some(key) = name.and_then(|name| name.parse().ok()) else {
                    continue;
                };
                for name in fs::list_dir(&dir)? {
                    entries.extend(Entry::look_at(dir.join(name), RunKey(key))?);
                }
            }
        }
        Ok(entries)
    }

    fn key_dir(&self, key: RunKey) -> PathBuf {
        let hex = key.to_string();
        self.dir.join(&hex[..2]).join(hex)
    }
}

/// An entry as it lies there.
#[derive(Debug)]
pub struct Entry {
    path: PathBuf,
    /// When it was put, in nanoseconds since 1970.
    pub modified: u64,
    /// Its bytes.
    pub size: u64,
    /// What it says, if that can be read.
    pub record: Option<StageRecord>,
}

impl Entry {
    fn look_at(path: PathBuf, key: RunKey) -> Result<Option<Self>> {
        let name = path.file_name().and_then(|name| name.to_str());
        let id = name.and_then(|name| name.parse::<Digest>().ok());
        let stat = fs::metadata(&path)?.filter(fs::Metadata::is_file);
        let (Some(id), Some(stat)) = (id, stat) else {
            return Ok(None);
        };
        Ok(Some(Self {
            modified: fs::modified_nanos(&stat),
            size: stat.len(),
            record: read(&path, id, key).map(|(_, record)| record),
            path,
        }))
    }

    /// Removes it.
    pub fn remove(&self) -> Result<()> {
        fs::remove_file(&self.path)?;
        // Directories that are not empty, or come and go, are no harm.
        for dir in self.path.ancestors().skip(1).take(2) {
            if !fs::remove_dir_if_empty(dir).unwrap_or(false) {
                break;
            }
        }
        Ok(())
    }
}

/// The directories in a directory; none if it is not there.
fn dirs(dir: &Path) -> Result<Vec<PathBuf>> {
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let paths = fs::list_dir(dir)?.into_iter().map(|name| dir.join(name));
    Ok(paths.filter(|path| path.is_dir()).collect())
}

fn entry_text(record: &StageRecord) -> String {
    let mut record = record.clone();
    record.run = record.run_line(NAME);
    let mut lock = Lock::default();
    lock.stages.insert(NAME.to_owned(), record);
    lock.to_text()
}

/// When an entry was put: by the clock of the file system, then by id.
type Age = (i64, i64, Digest);

/// Reads an entry and when it was put; `None` unless it is exactly what its name and its key say.
fn read(path: &Path, id: Digest, key: RunKey) -> Option<(Age, StageRecord)> {
    use std::os::unix::fs::MetadataExt;
    let metadata = fs::metadata(path).ok()??;
    if !metadata.is_file() || metadata.len() > MAX_ENTRY {
        return None;
    }
    let record = record_of(&fs::read(path).ok()?, id, key)?;
    let age = (metadata.mtime(), metadata.mtime_nsec(), id);
    Some((age, record))
}

/// What an entry says; `None` unless it is exactly what its name and its key say.
fn record_of(bytes: &[u8], id: Digest, key: RunKey) -> Option<StageRecord> {
    if Digest::of(bytes) != id {
        return None;
    }
    let mut lock = Lock::parse(std::str::from_utf8(bytes).ok()?).ok()?;
    let record = lock.stages.remove(NAME)?;
    let alone = lock == Lock::default();
    let sound = !record.adopted && record.run == record.run_line(NAME) && record.run_key() == key;
    (alone && sound).then_some(record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::ContentId;
    use crate::path::{DepPath, RelPath};
    use crate::pipeline::testing::key_path;
    use crate::project::lock::strategy;
    use crate::project::{Command, DepHash, Recorded};
    use crate::value::Value;
    use proptest::prelude::*;
    use std::time::{Duration, SystemTime};

    fn id(text: &str) -> ContentId {
        ContentId::B3(Digest::of(text.as_bytes()))
    }

    /// A run of a stage that wrote a model of these bytes.
    fn record(model: &str) -> StageRecord {
        let mut record = StageRecord {
            cmd: Command::One("python train.py".to_owned()),
            ..StageRecord::default()
        };
        let dep = DepHash {
            hash: id("code"),
            exec: false,
        };
        record.deps.insert(DepPath::parse("train.py").unwrap(), dep);
        let out = Recorded {
            hash: id(model),
            size: model.len() as u64,
            files: None,
            exec: false,
        };
        record.outs.insert(RelPath::parse("model").unwrap(), out);
        let leaves = [(key_path("auc"), Value::Float(0.5))];
        let metrics = RelPath::parse("metrics.json").unwrap();
        record.metrics.insert(metrics, leaves.into());
        record.run = record.run_line("train");
        record
    }

    fn results() -> (tempfile::TempDir, Results) {
        let dir = tempfile::tempdir().unwrap();
        let results = Results {
            dir: dir.path().join("results"),
        };
        (dir, results)
    }

    fn models(results: &Results, key: RunKey) -> Vec<ContentId> {
        let found = results.get(key).unwrap();
        let outs = found.into_iter().flat_map(|record| record.outs);
        outs.map(|(_, out)| out.hash).collect()
    }

    /// Sets the age of an entry.
    fn touch(results: &Results, record: &StageRecord, seconds: u64) {
        let name = Digest::of(entry_text(record).as_bytes()).to_hex();
        let path = results.key_dir(record.run_key()).join(name);
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
        file.set_modified(time).unwrap();
    }

    #[test]
    fn a_result_comes_back_under_what_went_in() {
        let (_dir, results) = results();
        let record = record("m");
        assert!(results.get(record.run_key()).unwrap().is_empty());
        results.put(record.run_key(), &record).unwrap();
        let mut found = results.get(record.run_key()).unwrap();
        assert_eq!(found.len(), 1);
        found[0].run = found[0].run_line("train");
        assert_eq!(found[0], record);
        let other = RunKey(Digest::of(b"other"));
        assert!(results.get(other).unwrap().is_empty());
    }

    #[test]
    fn equal_results_of_two_names_are_one_entry() {
        let (_dir, results) = results();
        let mut record = record("m");
        results.put(record.run_key(), &record).unwrap();
        record.run = record.run_line("renamed");
        results.put(record.run_key(), &record).unwrap();
        assert_eq!(results.get(record.run_key()).unwrap().len(), 1);
    }

    #[test]
    fn the_newest_comes_first_and_putting_again_is_new() {
        let (_dir, results) = results();
        let (first, second) = (record("first"), record("second"));
        let key = first.run_key();
        assert_eq!(key, second.run_key());
        for (record, seconds) in [(&first, 1), (&second, 2)] {
            results.put(key, record).unwrap();
            touch(&results, record, seconds);
        }
        assert_eq!(models(&results, key), [id("second"), id("first")]);
        results.put(key, &first).unwrap();
        assert_eq!(models(&results, key), [id("first"), id("second")]);
        // Of one age, they still have an order.
        touch(&results, &first, 7);
        touch(&results, &second, 7);
        let once = models(&results, key);
        assert_eq!(models(&results, key), once);
    }

    #[test]
    fn what_commit_adopted_is_not_a_result() {
        let (_dir, results) = results();
        let mut record = record("m");
        record.adopted = true;
        results.put(record.run_key(), &record).unwrap();
        assert!(results.get(record.run_key()).unwrap().is_empty());
    }

    #[test]
    fn a_result_is_not_kept_under_another_key() {
        let (_dir, results) = results();
        let put = results.put(RunKey(Digest::of(b"x")), &record("m"));
        assert!(matches!(put, Err(Error::Result(_))));
        assert!(!results.dir.exists());
    }

    #[test]
    fn damaged_and_forged_entries_are_left_out() {
        let (_dir, results) = results();
        let honest = record("m");
        let key = honest.run_key();
        results.put(key, &honest).unwrap();
        let dir = results.key_dir(key);

        let mut other_key = honest.clone();
        other_key.cmd = Command::One("rm -rf ~".to_owned());
        let mut adopted = honest.clone();
        adopted.adopted = true;
        let text = entry_text(&honest);
        let run = format!("run = \"{}\"", honest.run_line(NAME));
        let forged = [
            entry_text(&other_key),
            entry_text(&adopted),
            text.replace(&run, "run = \"0000000000000000\""),
            text.replace("stage.result", "stage.train"),
            text.replace("version = 1", "version = 2"),
            text.replace(
                "version = 1\n",
                &format!(
                    "version = 1\n\n[data.x]\nhash = \"{}\"\nsize = 1\n",
                    id("x")
                ),
            ),
            "no lock".to_owned(),
            String::new(),
        ];
        for forged in &forged {
            assert_ne!(*forged, text);
            let name = Digest::of(forged.as_bytes()).to_hex();
            fs::write_new(&dir.join(name), forged.as_bytes()).unwrap();
        }
        // Under names that are not their hash, or no hash at all.
        fs::write_new(&dir.join(Digest::of(b"y").to_hex()), text.as_bytes()).unwrap();
        fs::write_new(&dir.join(".esker-tmp-1-2"), text.as_bytes()).unwrap();
        let not_text = b"\xff";
        fs::write_new(&dir.join(Digest::of(not_text).to_hex()), not_text).unwrap();
        std::fs::create_dir(dir.join(Digest::of(b"z").to_hex())).unwrap();
        assert_eq!(models(&results, key), [id("m")]);
    }

    #[test]
    fn an_entry_goes_elsewhere_as_it_is_and_nothing_else_is_taken() {
        let (_dir, here) = results();
        let (_other, there) = results();
        let record = record("m");
        let key = record.run_key();
        assert_eq!(here.entry(&record).unwrap(), None);
        here.put(key, &record).unwrap();
        let (name, bytes) = here.entry(&record).unwrap().unwrap();
        assert!(here.has(key, &name).unwrap());
        let other = RunKey(Digest::of(b"other"));
        let mut adopted = record.clone();
        adopted.adopted = true;
        let forged = entry_text(&adopted);
        let forged_name = Digest::of(forged.as_bytes()).to_hex();
        let table: [(RunKey, &str, &[u8]); 5] = [
            (other, &name, &bytes),
            (key, "../../x", &bytes),
            (key, &Digest::of(b"x").to_hex(), &bytes),
            (key, &name, &bytes[1..]),
            (key, &forged_name, forged.as_bytes()),
        ];
        for (key, name, bytes) in table {
            assert!(!there.take(key, name, bytes).unwrap(), "{name}");
        }
        assert!(!there.dir.exists());
        assert!(there.take(key, &name, &bytes).unwrap());
        assert_eq!(there.get(key).unwrap(), here.get(key).unwrap());
    }

    #[test]
    fn an_entry_without_end_is_not_read() {
        let (_dir, results) = results();
        let key = record("m").run_key();
        let dir = results.key_dir(key);
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join(Digest::of(b"huge").to_hex());
        let file = std::fs::File::create(path).unwrap();
        file.set_len(1 << 40).unwrap();
        assert!(results.get(key).unwrap().is_empty());
    }

    #[test]
    fn the_bytes_of_an_entry_are_those_of_the_format() {
        let text = include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/fixtures/formats/run-cache-v1/entry.lock"
        ));
        let names = include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/fixtures/formats/run-cache-v1/names.txt"
        ));
        let record = record("m");
        let id = Digest::of(entry_text(&record).as_bytes());
        assert_eq!(entry_text(&record), text);
        let expected = format!("key {}\nentry {id}\n", record.run_key());
        assert_eq!(names, expected);
    }

    proptest! {
        #[test]
        fn any_result_comes_back(mut record in strategy::stage()) {
            let (_dir, results) = results();
            record.adopted = false;
            results.put(record.run_key(), &record).unwrap();
            let mut found = results.get(record.run_key()).unwrap();
            prop_assert_eq!(found.len(), 1);
            found[0].run.clone_from(&record.run);
            prop_assert_eq!(&found[0], &record);
        }

        #[test]
        fn bytes_that_are_no_entry_are_no_result(bytes: Vec<u8>) {
            let (_dir, results) = results();
            let key = record("m").run_key();
            let dir = results.key_dir(key);
            fs::create_dir_all(&dir).unwrap();
            fs::write_new(&dir.join(Digest::of(&bytes).to_hex()), &bytes).unwrap();
            prop_assert!(results.get(key).unwrap().is_empty());
        }
    }
}
