//! Files and directories that appear whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::fail::{self, Needs, step};
use super::{Context, Result};

/// How the name of everything temporary begins.
pub(super) const TEMP_PREFIX: &str = ".esker-tmp-";

/// A file that nobody sees under its name until [`TempFile::persist`].
///
/// Its temporary name lies in the directory it is made in, so that the final rename stays in
/// one file system; it carries the process id and chance, so that two processes never share it.
/// Dropped unpersisted, it is removed.
#[derive(Debug)]
pub struct TempFile {
    file: File,
    path: PathBuf,
    done: bool,
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
            done: false,
        })
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
        self.done = true;
        Ok(())
    }

    /// Gives it its name unless that name is taken; says whether it got it.
    pub fn persist_new(self, target: &Path) -> Result<bool> {
        step(Needs::Nothing, "create", target)?;
        match std::fs::hard_link(&self.path, target) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error).context("create", target),
        }
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
        if !self.done {
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
