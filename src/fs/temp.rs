//! Files and directories that appear whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::fail::{self, Needs, step};
use super::{Context, Result};

/// How the name of everything temporary begins.
pub(super) const TEMP_PREFIX: &str = ".esker-tmp-";

/// A file that nobody sees under its name until [`TempFile::persist`].
///
/// Its temporary name lies in the directory it is made in, so that the final rename stays in
/// one file system; it carries the process id and chance, so that two processes never share it.
/// Dropped unpersisted, it is removed; but one that is to be gone on with stays.
#[derive(Debug)]
pub struct TempFile {
    file: File,
    path: PathBuf,
    stays: bool,
}

impl TempFile {
    /// Makes an empty file in a directory, which is created if need be.
    pub fn new_in(dir: &Path) -> Result<Self> {
        super::create_dir_all(dir)?;
        let path = dir.join(temp_name());
        step(Needs::Room, "create", &path)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .context("create", &path)?;
        Ok(Self {
            file,
            path,
            stays: false,
        })
    }

    /// Goes on with the file for this purpose (letters and digits) that somebody began in a
    /// directory and who is gone, or begins one. It stays until it is persisted or given up. Says
    /// whether something may be in it already.
    pub fn resume_in(dir: &Path, purpose: &str) -> Result<(Self, bool)> {
        let path = dir.join(format!("{}.{purpose}", temp_name()));
        let begun = begun_in(dir, |other| other == purpose)?;
        let taken = begun
            .iter()
            .find_map(|old| take_over(old, &path).transpose());
        if let Some(file) = taken.transpose()? {
            let stays = true;
            return Ok((Self { file, path, stays }, true));
        }
        let mut temp = Self::new_in(dir)?;
        // Without locks it can be made all the same, but nobody will go on with it.
        let _ = temp.file.try_lock();
        std::fs::rename(&temp.path, &path).context("rename", &temp.path)?;
        temp.path = path;
        temp.stays = true;
        Ok((temp, false))
    }

    /// Has it removed when it is dropped.
    pub fn give_up(&mut self) {
        self.stays = false;
    }

    /// Takes its name away at once: it is gone as soon as it is closed, even by a kill.
    pub fn unname(&mut self) -> Result<()> {
        self.stays = true;
        super::remove_file(&self.path)
    }

    /// Where it lies for now.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The open file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Writes all bytes at the end.
    pub fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        fail::write_all(&self.file, bytes, &self.path)
    }

    /// Writes all bytes at an offset.
    pub fn write_all_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        fail::write_all_at(&self.file, bytes, offset, &self.path)
    }

    /// Asks the disk to keep the bytes.
    pub fn sync(&self) -> Result<()> {
        step(Needs::Nothing, "flush", &self.path)?;
        self.file.sync_data().context("flush", &self.path)
    }

    /// Gives it its name, replacing what was there.
    pub fn persist(mut self, target: &Path) -> Result<()> {
        step(Needs::Nothing, "replace", target)?;
        std::fs::rename(&self.path, target).context("replace", target)?;
        self.stays = true;
        Ok(())
    }

    /// Gives it its name unless that name is taken; says whether it got it.
    pub fn persist_new(mut self, target: &Path) -> Result<bool> {
        step(Needs::Nothing, "create", target)?;
        // The second name goes, whatever it was made for.
        self.stays = false;
        match std::fs::hard_link(&self.path, target) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error).context("create", target),
        }
    }
}

/// The bytes on the disk of what was begun in a directory for such purposes and not finished.
pub fn begun_bytes(dir: &Path, is_wanted: impl Fn(&str) -> bool) -> Result<u64> {
    let mut bytes = 0;
    for path in begun_in(dir, is_wanted)? {
        let found = super::metadata(&path)?;
        // The kernel counts in blocks of 512 bytes; what is not written yet takes none.
        bytes += found.map_or(0, |found| found.blocks() * 512);
    }
    Ok(bytes)
}

fn begun_in(dir: &Path, is_wanted: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>> {
    let names = match super::list_dir(dir) {
        Err(error) if super::is_missing(&error.source) => return Ok(Vec::new()),
        names => names?,
    };
    let begun = names.into_iter().filter(|name| {
        let rest = name
            .to_str()
            .and_then(|name| name.strip_prefix(TEMP_PREFIX));
        let purpose = rest.and_then(|rest| rest.split_once('.'));
        purpose.is_some_and(|(_, purpose)| is_wanted(purpose))
    });
    Ok(begun.map(|name| dir.join(name)).collect())
}

/// Takes a file from who is gone; `None` if somebody has it, or has just finished it.
fn take_over(old: &Path, path: &Path) -> Result<Option<File>> {
    let Ok(file) = OpenOptions::new().read(true).write(true).open(old) else {
        return Ok(None);
    };
    // Who works on it holds the lock. The name is never used again: if it is still there, the
    // file that was opened has not become anything else meanwhile.
    if file.try_lock().is_err() {
        return Ok(None);
    }
    step(Needs::Nothing, "rename", old)?;
    match std::fs::rename(old, path) {
        Ok(()) => Ok(Some(file)),
        Err(error) if super::is_missing(&error) => Ok(None),
        Err(error) => Err(error).context("rename", old),
    }
}

impl Write for TempFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        fail::write(&self.file, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if !self.stays {
            // Nothing can be done about a failure here, and a sweeper will find the name.
            let _ = super::remove_file(&self.path);
        }
    }
}

/// A directory that is removed with all below it when dropped.
#[derive(Debug)]
pub struct TempDir(PathBuf);

impl TempDir {
    /// Makes an empty directory in another.
    pub fn new_in(dir: &Path) -> Result<Self> {
        let path = dir.join(temp_name());
        super::create_dir_all(&path)?;
        Ok(Self(path))
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = super::remove_dir_all(&self.0);
    }
}

/// Replaces a file in one step: the bytes reach the disk, then the name is switched, then the
/// directory is flushed. A crash leaves the old bytes or the new. The mode of an old file stays.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut temp = TempFile::new_in(dir)?;
    temp.write_all(bytes)?;
    if let Ok(old) = std::fs::metadata(path) {
        let mode = old.permissions();
        step(Needs::Nothing, "change", path)?;
        temp.file.set_permissions(mode).context("change", path)?;
    }
    temp.sync()?;
    temp.persist(path)?;
    super::sync_dir(dir)
}

/// Whether a name is one of those that unfinished things have.
pub fn is_temporary(name: &std::ffi::OsStr) -> bool {
    name.as_encoded_bytes().starts_with(TEMP_PREFIX.as_bytes())
}

/// A name that nothing else has, for something that is renamed when it is whole. It tells the
/// process that made it, so that what a killed one left behind can be known for that.
pub fn temp_name() -> String {
    let chance = u64::from_le_bytes(super::random_bytes());
    format!("{TEMP_PREFIX}{}-{chance:016x}", std::process::id())
}
