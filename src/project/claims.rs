//! Who is writing or reading which paths of this clone right now.
//!
//! Every claim is a file of its own, locked (`flock`) by the process that made it for as long as
//! it counts: so a claim dies with its process, however that ends, and what nobody locks is
//! removed by the next one who looks. Who looks or claims holds a lock on the whole table for
//! that moment. A claim is taken whole or not at all and nobody waits while holding the table:
//! so two processes cannot wait for each other.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::Result;
use crate::fs::{self, LockGuard};

/// The version that is written and read.
const VERSION: u32 = 1;
/// The name of the table's own lock.
const TABLE: &str = "table";
/// The largest claim that is read.
const MAX_CLAIM: u64 = 16 * 1024 * 1024;

/// The claims of a clone, all its worktrees and projects together.
///
/// What one value of this has claimed never stands in its own way. A process id would not do to
/// tell that: two containers may share a workspace, and have the same.
#[derive(Debug)]
pub struct Claims {
    dir: PathBuf,
    owner: String,
}

/// What somebody wants, or has.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Claim {
    /// Paths that are read: others may read them too.
    pub reads: Vec<PathBuf>,
    /// Paths that are written, with all below them: nobody else may have anything there.
    pub writes: Vec<PathBuf>,
    /// Names of what only one may have.
    pub names: Vec<String>,
}

/// Who has what somebody else wants.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Holder {
    /// Its process.
    pub pid: u32,
    /// Its command line.
    pub command: String,
    /// The path or name that both want.
    #[serde(skip)]
    pub what: String,
}

/// A claim that counts until it is dropped.
#[derive(Debug)]
pub struct Held {
    path: PathBuf,
    _lock: LockGuard,
}

/// A claim as it lies in its file.
#[derive(serde::Serialize, serde::Deserialize)]
struct Record {
    v: u32,
    owner: String,
    #[serde(flatten)]
    holder: Holder,
    #[serde(flatten)]
    claim: Claim,
}

impl Claims {
    /// The claims that lie in a directory.
    pub fn new(dir: PathBuf) -> Self {
        let owner = u64::from_le_bytes(fs::random_bytes());
        Self {
            dir,
            owner: format!("{owner:016x}"),
        }
    }

    /// Takes a claim for a command line, or says who has something of it.
    pub fn take(&self, wanted: &Claim, command: &str) -> Result<std::result::Result<Held, Holder>> {
        let _table = LockGuard::acquire(&self.dir.join(TABLE))?;
        for name in fs::list_dir(&self.dir)? {
            let path = self.dir.join(&name);
            if name == TABLE || self.is_own(&name) {
                continue;
            }
            if LockGuard::try_acquire(&path, "")?.is_some() {
                // Its process is gone. If it cannot be removed, the next one tries again.
                let _ = fs::remove_file(&path);
            } else if let Some(holder) = self.conflict(wanted, &path) {
                return Ok(Err(holder));
            }
        }
        let record = Record {
            v: VERSION,
            owner: self.owner.clone(),
            holder: Holder {
                pid: std::process::id(),
                command: command.to_owned(),
                what: String::new(),
            },
            claim: wanted.clone(),
        };
        let text = serde_json::to_vec(&record).expect("a claim is plain text");
        let name = u64::from_le_bytes(fs::random_bytes());
        let path = self.dir.join(format!("{}-{name:016x}", self.owner));
        let lock = LockGuard::create(&path, &text)?;
        Ok(Ok(Held { path, _lock: lock }))
    }

    /// Whether the name of a claim says that it is ours: it counts for others only, and a run of a
    /// thousand stages must not look through a thousand of them for each.
    fn is_own(&self, name: &OsStr) -> bool {
        let name = name.as_encoded_bytes();
        name.starts_with(self.owner.as_bytes())
    }

    /// Who made the claim in a file, if it cannot go together with what is wanted. One that
    /// cannot be read goes with nothing.
    fn conflict(&self, wanted: &Claim, path: &Path) -> Option<Holder> {
        let Some(record) = read(path) else {
            // It was given back while it was looked at, or is of a newer version.
            return fs::metadata(path).ok().flatten().map(|_| Holder {
                pid: 0,
                command: "another esker".to_owned(),
                what: path.display().to_string(),
            });
        };
        let what = clash(wanted, &record.claim).filter(|_| record.owner != self.owner)?;
        Some(Holder {
            what,
            ..record.holder
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // If it cannot be removed, it is unlocked all the same.
        let _ = fs::remove_file(&self.path);
    }
}

fn read(path: &Path) -> Option<Record> {
    let metadata = fs::metadata(path).ok()??;
    if !metadata.is_file() || metadata.len() > MAX_CLAIM {
        return None;
    }
    let record: Record = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    (record.v == VERSION).then_some(record)
}

/// The first thing that two claims cannot both have.
fn clash(wanted: &Claim, held: &Claim) -> Option<String> {
    let path = |ours: &[PathBuf], theirs: &[PathBuf]| {
        let overlaps = |ours: &&PathBuf| {
            let mut theirs = theirs.iter();
            theirs.any(|theirs| ours.starts_with(theirs) || theirs.starts_with(ours))
        };
        let path = ours.iter().find(overlaps);
        path.map(|path| path.display().to_string())
    };
    let name = wanted.names.iter().find(|name| held.names.contains(name));
    path(&wanted.writes, &held.writes)
        .or_else(|| path(&wanted.writes, &held.reads))
        .or_else(|| path(&wanted.reads, &held.writes))
        .or_else(|| name.cloned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn claims() -> (tempfile::TempDir, Claims) {
        let dir = tempfile::tempdir().unwrap();
        let claims = Claims::new(dir.path().join("claims"));
        (dir, claims)
    }

    /// `r:a/b`, `w:a` or `n:gpu0`.
    fn claim(text: &str) -> Claim {
        let mut claim = Claim::default();
        for word in text.split_whitespace() {
            let (kind, what) = word.split_at(2);
            match kind {
                "r:" => claim.reads.push(PathBuf::from("/p").join(what)),
                "w:" => claim.writes.push(PathBuf::from("/p").join(what)),
                _ => claim.names.push(what.to_owned()),
            }
        }
        claim
    }

    #[test]
    fn readers_share_and_a_writer_is_alone_with_all_below() {
        let table = [
            ("r:a", "r:a", None),
            ("r:a", "r:a/b", None),
            ("w:a", "w:b", None),
            ("w:a", "w:ab", None),
            ("w:a", "w:a", Some("/p/a")),
            ("w:a", "w:a/b", Some("/p/a/b")),
            ("w:a/b", "w:a", Some("/p/a")),
            ("w:a/b", "r:a", Some("/p/a")),
            ("r:a/b", "w:a", Some("/p/a")),
            ("r:a w:b", "r:a w:c", None),
            ("n:gpu0", "n:gpu1", None),
            ("n:gpu0", "n:gpu1 n:gpu0", Some("gpu0")),
        ];
        for (first, second, expected) in table {
            let (_dir, claims) = claims();
            let _held = claims.take(&claim(first), "esker").unwrap().unwrap();
            // What is one's own is never in the way.
            claims.take(&claim(second), "esker").unwrap().unwrap();
            let other = Claims::new(claims.dir.clone());
            let taken = other.take(&claim(second), "esker").unwrap();
            let what = taken.err().map(|holder| {
                assert_eq!(holder.pid, std::process::id());
                holder.what
            });
            assert_eq!(what.as_deref(), expected, "{first} | {second}");
        }
    }

    #[test]
    fn what_is_given_back_or_left_by_the_dead_is_free() {
        let (_dir, claims) = claims();
        let held = claims.take(&claim("w:a"), "esker").unwrap().unwrap();
        let other = Claims::new(claims.dir.clone());
        assert!(other.take(&claim("w:a"), "esker").unwrap().is_err());
        drop(held);
        // As a killed process leaves it: the file is there, and nobody locks it.
        let text = r#"{"v":1,"owner":"0","pid":1,"command":"esker repro","reads":[],"writes":["/p/a"],"names":[]}"#;
        fs::write_new(&claims.dir.join("00"), text.as_bytes()).unwrap();
        let held = claims.take(&claim("w:a"), "esker").unwrap().unwrap();
        assert_eq!(fs::list_dir(&claims.dir).unwrap().len(), 2);
        drop(held);
        assert_eq!(fs::list_dir(&claims.dir).unwrap(), [TABLE]);
    }

    #[test]
    fn what_cannot_be_read_goes_with_nothing() {
        let (_dir, claims) = claims();
        fs::create_dir_all(&claims.dir).unwrap();
        let _newer = LockGuard::create(&claims.dir.join("00"), b"{\"v\":2}").unwrap();
        assert!(claims.take(&claim("w:a"), "esker").unwrap().is_err());
    }

    fn any_claim() -> impl Strategy<Value = Claim> {
        let word = prop::sample::select(vec![
            "r:a", "r:b", "r:a/x", "r:a/x/y", "w:a", "w:b", "w:a/x", "w:a/x/y", "w:c", "n:m",
        ]);
        prop::collection::vec(word, 0..4).prop_map(|words| claim(&words.join(" ")))
    }

    proptest! {
        #[test]
        fn a_clash_is_one_from_both_sides(a in any_claim(), b in any_claim()) {
            prop_assert_eq!(clash(&a, &b).is_some(), clash(&b, &a).is_some());
        }
    }
}
