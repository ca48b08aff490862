//! An exclusive lock between processes that dies with its holder and says who that is.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::fail::{Needs, step, write_all, write_all_at};
use super::{Context, Result};

/// More of a lock file is not read: it is a hint, and a stranger may have written it.
const MAX_HINT: u64 = 4096;
/// As much of a command is shown, in characters.
const MAX_COMMAND: usize = 120;

/// The right to change what a lock file stands for, held until it is dropped.
///
/// The kernel holds the lock (`flock`), so a killed process never leaves a stale one behind. The
/// file's text names the holder's process and command for those who wait. It is a hint alone:
/// nothing is decided by it.
#[derive(Debug)]
pub struct LockGuard {
    _file: File,
}

/// A share of a lock file that any number of processes may have, unless one has a [`LockGuard`].
///
/// Nothing is noted in the file, so a share can be had of one that may only be read.
#[derive(Debug)]
pub struct SharedGuard {
    file: File,
}

/// Who holds a lock, as far as the lock file can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// What was called, on one line.
    pub command: String,
}

impl LockGuard {
    /// Waits for the lock: for those that are held for a moment alone.
    pub fn acquire(path: &Path) -> Result<Self> {
        let file = open(path)?;
        file.lock().context("lock", path)?;
        Ok(Self { _file: file })
    }

    /// Takes the lock if nobody holds it, and notes in its file that `command` does.
    pub fn try_acquire(path: &Path, command: &str) -> Result<Option<Self>> {
        let file = open(path)?;
        match file.try_lock() {
            Ok(()) => {
                // Who waits is not told for whom, then: no reason to do without the lock.
                let _ = note(&file, path, command);
                Ok(Some(Self { _file: file }))
            }
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(error)) => Err(error).context("lock", path),
        }
    }

    /// Who holds the lock. `None` if the file does not say, or names a process that is gone.
    pub fn holder(path: &Path) -> Option<Holder> {
        let mut text = Vec::new();
        let file = File::open(path).ok()?;
        file.take(MAX_HINT).read_to_end(&mut text).ok()?;
        let holder = Holder::parse(&String::from_utf8_lossy(&text))?;
        holder.is_alive().then_some(holder)
    }
}

/// A file that its maker alone writes to, and keeps locked as long as it counts. Removed when it is
/// dropped.
#[derive(Debug)]
pub struct LockedFile {
    file: File,
    path: PathBuf,
    len: u64,
}

impl LockedFile {
    /// Makes a new file, locked before it has its content.
    pub fn create(path: &Path, bytes: &[u8]) -> Result<Self> {
        let file = super::create_new(path)?;
        file.lock().context("lock", path)?;
        let mut locked = Self {
            file: file.into_file(),
            path: path.to_path_buf(),
            len: 0,
        };
        locked.append(bytes)?;
        Ok(locked)
    }

    /// Adds bytes: all of them or none.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let added = write_all_at(&self.file, bytes, self.len, &self.path);
        match added {
            Ok(()) => self.len += bytes.len() as u64,
            // If even that fails, who reads it finds half a line.
            Err(_) => drop(self.file.set_len(self.len)),
        }
        added
    }

    /// How long it is.
    pub fn size(&self) -> u64 {
        self.len
    }

    /// Begins again with other content. Nobody may be reading it.
    pub fn rewrite(&mut self, bytes: &[u8]) -> Result<()> {
        step(Needs::Nothing, "truncate", &self.path)?;
        self.file.set_len(0).context("truncate", &self.path)?;
        self.len = 0;
        self.append(bytes)
    }
}

impl Drop for LockedFile {
    fn drop(&mut self) {
        // If it cannot be removed, it is unlocked all the same.
        let _ = super::remove_file(&self.path);
    }
}

impl SharedGuard {
    /// Takes a share if nobody holds the lock alone.
    pub fn try_acquire(path: &Path) -> Result<Option<Self>> {
        let file = match File::open(path) {
            Err(error) if super::is_missing(&error) => open(path)?,
            file => file.context("open", path)?,
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(Some(Self { file })),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(error)) => Err(error).context("lock", path),
        }
    }

    /// When somebody last took the lock alone, in a form that only compares.
    pub fn last_alone(&self) -> Option<std::time::SystemTime> {
        self.file.metadata().ok()?.modified().ok()
    }
}

impl Holder {
    /// `PID COMMAND` on the first line; what a terminal could take for an order is left out.
    fn parse(text: &str) -> Option<Self> {
        let (pid, command) = text.lines().next()?.split_once(' ')?;
        let visible = command.chars().filter(|c| !c.is_control());
        let command: String = visible.take(MAX_COMMAND).collect();
        Some(Self {
            pid: pid.parse().ok()?,
            command: (!command.trim().is_empty()).then_some(command)?,
        })
    }

    fn is_alive(&self) -> bool {
        let pid = i32::try_from(self.pid).ok();
        let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) else {
            return false;
        };
        // A process of somebody else is alive too, but may not be asked.
        !matches!(
            rustix::process::test_kill_process(pid),
            Err(rustix::io::Errno::SRCH)
        )
    }
}

fn note(file: &File, path: &Path, command: &str) -> Result<()> {
    step(Needs::Nothing, "truncate", path)?;
    file.set_len(0).context("truncate", path)?;
    let line = format!("{} {}\n", std::process::id(), command.replace('\n', " "));
    write_all(file, line.as_bytes(), path)
}

fn open(path: &Path) -> Result<File> {
    // One that is there is to be had on a full disk too.
    match OpenOptions::new().write(true).open(path) {
        Err(error) if super::is_missing(&error) => {}
        file => return file.context("open", path),
    }
    if let Some(dir) = path.parent() {
        super::create_dir_all(dir)?;
    }
    step(Needs::Room, "open", path)?;
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .context("open", path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_has_one_holder_and_dies_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let long_before = "1 a much longer command than the next one\n";
        super::super::write_new(&path, long_before.as_bytes()).unwrap();
        let guard = LockGuard::try_acquire(&path, "esker add\ndata").unwrap();
        assert!(LockGuard::try_acquire(&path, "other").unwrap().is_none());
        let holder = Holder {
            pid: std::process::id(),
            command: "esker add data".to_owned(),
        };
        assert_eq!(LockGuard::holder(&path), Some(holder));
        drop(guard);
        assert!(LockGuard::try_acquire(&path, "other").unwrap().is_some());
    }

    #[test]
    fn shares_go_together_and_not_with_who_is_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let share = || SharedGuard::try_acquire(&path).unwrap();
        let (one, two) = (share(), share());
        assert!(one.is_some() && two.is_some());
        let alone = || LockGuard::try_acquire(&path, "esker gc").unwrap();
        assert!(alone().is_none());
        drop(one);
        assert!(alone().is_none());
        let before = two.as_ref().unwrap().last_alone();
        drop(two);
        let gc = alone().unwrap();
        assert!(share().is_none());
        assert_eq!(LockGuard::holder(&path).unwrap().command, "esker gc");
        drop(gc);
        assert!(share().unwrap().last_alone() > before);
    }

    #[test]
    fn a_lock_file_that_says_nothing_of_use_names_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        assert_eq!(LockGuard::holder(&path), None);
        // The highest process id that Linux gives is below the last one.
        let useless: [&[u8]; 8] = [
            b"",
            b"\n",
            b"12",
            b"x esker add",
            b"-1 esker add",
            b"0 esker add",
            b"\xff\xfe 7 \0",
            b"2000000000 esker add\n",
        ];
        for text in useless {
            super::super::replace(&path, text).unwrap();
            assert_eq!(LockGuard::holder(&path), None, "{text:?}");
        }
    }

    #[test]
    fn a_holder_is_one_short_line_without_orders_to_a_terminal() {
        let text = format!("7 esker \u{1b}[31madd {}\nmore", "x".repeat(5000));
        let holder = Holder::parse(&text).unwrap();
        assert_eq!(holder.pid, 7);
        assert!(
            holder.command.starts_with("esker [31madd xxx"),
            "{holder:?}"
        );
        assert_eq!(holder.command.chars().count(), MAX_COMMAND);
    }
}
