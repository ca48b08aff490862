//! Who is writing or reading which paths of this clone right now.
//!
//! Each process keeps its claims in one file, locked (`flock`) for as long as they count: so they die
//! with the process, however that ends, and what nobody locks is removed by the next one who looks.
//! The file only grows while there are any: a line for each claim, and one when it is given back.
//! Who looks or claims holds a lock on the whole table for that moment. A claim is taken whole or
//! not at all and nobody waits while holding the table: so two processes cannot wait for each other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Result;
use crate::fs::{self, LockGuard, LockedFile};

/// The version that is written and read.
const VERSION: u32 = 2;
/// The name of the table's own lock.
const TABLE: &str = "table";
/// The longest file that is read.
const MAX_CLAIMS: u64 = 16 * 1024 * 1024;
/// A file that grew beyond this is written again without what was given back.
const LONG: u64 = 256 * 1024;

/// The claims of a clone, all its worktrees and projects together.
///
/// What one value of this has claimed never stands in its own way. A process id would not do to
/// tell that: two containers may share a workspace, and have the same.
#[derive(Debug)]
pub struct Claims {
    dir: PathBuf,
    own: Arc<Own>,
}

/// The claims of one process.
#[derive(Debug)]
struct Own {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Made for the first claim.
    file: Option<LockedFile>,
    /// What stands there and was not given back, by number.
    held: BTreeMap<u64, Claim>,
    next: u64,
    /// When the file is written again.
    limit: u64,
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
    own: Arc<Own>,
    number: u64,
}

/// The first line of a file: whose claims these are.
#[derive(serde::Serialize, serde::Deserialize)]
struct Head {
    v: u32,
    #[serde(flatten)]
    holder: Holder,
}

/// Each of the others.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
enum Line {
    /// A claim was given back.
    Over { over: u64 },
    /// A claim.
    Taken {
        number: u64,
        #[serde(flatten)]
        claim: Claim,
    },
}

impl Claims {
    /// The claims that lie in a directory.
    pub fn new(dir: PathBuf) -> Self {
        let name = u64::from_le_bytes(fs::random_bytes());
        let own = Own {
            path: dir.join(format!("{name:016x}")),
            state: Mutex::default(),
        };
        let own = Arc::new(own);
        Self { dir, own }
    }

    /// Takes a claim for a command line, or says who has something of it.
    pub fn take(&self, wanted: &Claim, command: &str) -> Result<std::result::Result<Held, Holder>> {
        let _table = LockGuard::acquire(&self.dir.join(TABLE))?;
        for name in fs::list_dir(&self.dir)? {
            let path = self.dir.join(&name);
            if name == TABLE || path == self.own.path {
                continue;
            }
            if LockGuard::try_acquire(&path, "")?.is_some() {
                // Its process is gone. If it cannot be removed, the next one tries again.
                let _ = fs::remove_file(&path);
            } else if let Some(holder) = conflict(wanted, &path) {
                return Ok(Err(holder));
            }
        }
        let number = self.own.add(wanted, command)?;
        let own = Arc::clone(&self.own);
        Ok(Ok(Held { own, number }))
    }
}

impl Own {
    /// Notes a claim. The caller has the table, so that nobody reads the file meanwhile.
    fn add(&self, claim: &Claim, command: &str) -> Result<u64> {
        let mut guard = self.state();
        let state = &mut *guard;
        let number = state.next;
        let file = match &mut state.file {
            Some(file) => file,
            none => {
                state.limit = LONG;
                none.insert(LockedFile::create(&self.path, &head(command))?)
            }
        };
        if file.size() > state.limit {
            let held = state.held.iter();
            let held = held.flat_map(|(number, claim)| taken(*number, claim));
            let text: Vec<u8> = head(command).into_iter().chain(held).collect();
            file.rewrite(&text)?;
            state.limit = LONG.max(2 * file.size());
        }
        file.append(&taken(number, claim))?;
        state.held.insert(number, claim.clone());
        state.next += 1;
        Ok(number)
    }

    fn give_back(&self, number: u64) {
        let mut state = self.state();
        state.held.remove(&number);
        if let Some(file) = &mut state.file {
            // If that cannot be noted, others wait until this process is over.
            let _ = file.append(&line(&Line::Over { over: number }));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn head(command: &str) -> Vec<u8> {
    line(&Head {
        v: VERSION,
        holder: Holder {
            pid: std::process::id(),
            command: command.to_owned(),
            what: String::new(),
        },
    })
}

fn taken(number: u64, claim: &Claim) -> Vec<u8> {
    let claim = claim.clone();
    line(&Line::Taken { number, claim })
}

fn line(value: &impl serde::Serialize) -> Vec<u8> {
    let mut text = serde_json::to_vec(value).expect("a claim is plain text");
    text.push(b'\n');
    text
}

/// Who made the claims in a file, if one of them cannot go together with what is wanted. One that
/// cannot be read goes with nothing.
fn conflict(wanted: &Claim, path: &Path) -> Option<Holder> {
    let Some((holder, claims)) = read(path) else {
        // Its process ended while it was looked at, or is of another version.
        return fs::metadata(path).ok().flatten().map(|_| Holder {
            pid: 0,
            command: "another esker".to_owned(),
            what: path.display().to_string(),
        });
    };
    let what = claims.values().find_map(|claim| clash(wanted, claim))?;
    Some(Holder { what, ..holder })
}

impl Drop for Held {
    fn drop(&mut self) {
        self.own.give_back(self.number);
    }
}

/// The claims in a file. What stands behind the last line end is on its way.
fn read(path: &Path) -> Option<(Holder, BTreeMap<u64, Claim>)> {
    let metadata = fs::metadata(path).ok()??;
    if !metadata.is_file() || metadata.len() > MAX_CLAIMS {
        return None;
    }
    let bytes = fs::read(path).ok()?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n')?;
    let mut lines = bytes[..whole].split(|byte| *byte == b'\n');
    let head: Head = serde_json::from_slice(lines.next()?).ok()?;
    let mut claims = BTreeMap::new();
    for line in lines {
        match serde_json::from_slice(line).ok()? {
            Line::Taken { number, claim } => drop(claims.insert(number, claim)),
            Line::Over { over } => drop(claims.remove(&over)),
        }
    }
    (head.v == VERSION).then_some((head.holder, claims))
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
        let text = [head("esker repro"), taken(0, &claim("w:a"))].concat();
        fs::write_new(&claims.dir.join("00"), &text).unwrap();
        let held = other.take(&claim("w:a"), "esker").unwrap().unwrap();
        assert!(claims.take(&claim("w:a"), "esker").unwrap().is_err());
        assert_eq!(fs::list_dir(&claims.dir).unwrap().len(), 3);
        drop((held, other));
        drop(claims.take(&claim("w:a"), "esker").unwrap().unwrap());
        let dir = claims.dir.clone();
        drop(claims);
        assert_eq!(fs::list_dir(&dir).unwrap(), [TABLE]);
    }

    #[test]
    fn what_cannot_be_read_goes_with_nothing() {
        let (_dir, claims) = claims();
        fs::create_dir_all(&claims.dir).unwrap();
        for text in ["", "{}\n", "{\"v\":3,\"pid\":1,\"command\":\"\"}\n", "x\n"] {
            let _newer = LockedFile::create(&claims.dir.join("00"), text.as_bytes()).unwrap();
            assert!(
                claims.take(&claim("w:a"), "esker").unwrap().is_err(),
                "{text}"
            );
        }
        let half = [
            head("esker"),
            taken(0, &claim("w:b")),
            b"{\"number".to_vec(),
        ]
        .concat();
        let _busy = LockedFile::create(&claims.dir.join("00"), &half).unwrap();
        assert!(claims.take(&claim("w:b"), "esker").unwrap().is_err());
        claims.take(&claim("w:a"), "esker").unwrap().unwrap();
    }

    /// A run of many stages holds many claims, and one file.
    #[test]
    fn many_claims_take_one_file_that_stays_short() {
        let (_dir, claims) = claims();
        let path = |number: usize| claim(&format!("w:{number} r:{}", "long/".repeat(200)));
        let mut held = std::collections::VecDeque::new();
        let mut longest = 0;
        for number in 0..2_000 {
            held.push_back(claims.take(&path(number), "esker").unwrap().unwrap());
            if held.len() > 20 {
                held.pop_front();
            }
            let len = fs::metadata(&claims.own.path).unwrap().unwrap().len();
            longest = longest.max(len);
        }
        assert_eq!(fs::list_dir(&claims.dir).unwrap().len(), 2);
        assert!((LONG..LONG + 4096).contains(&longest), "{longest}");
        let other = Claims::new(claims.dir.clone());
        for number in 1_970..2_000 {
            let taken = other.take(&claim(&format!("w:{number}")), "esker").unwrap();
            assert_eq!(taken.is_err(), number >= 1_980, "{number}");
        }
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
