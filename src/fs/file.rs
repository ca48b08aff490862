//! Single acts on single paths, each with an error that names the path.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::Deref;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::fail::{self, Needs, step};
use super::{Context, Result};

pub use std::fs::Metadata;

/// Whether an error only says that the path is not there.
pub fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Opens a file for reading.
pub fn open(path: &Path) -> Result<File> {
    File::open(path).context("open", path)
}

/// Reads a whole file.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).context("read", path)
}

/// Reads a whole file; `None` if there is none.
pub fn read_if_exists(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(error).context("read", path),
    }
}

/// What lies at a path, without following a link there; `None` if nothing does.
pub fn metadata(path: &Path) -> Result<Option<Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(error).context("look at", path),
    }
}

/// Where a symbolic link points.
pub fn read_link(path: &Path) -> Result<std::path::PathBuf> {
    fs::read_link(path).context("read", path)
}

/// The names in a directory, sorted by bytes.
pub fn list_dir(path: &Path) -> Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path).context("list", path)? {
        names.push(entry.context("list", path)?.file_name());
    }
    names.sort();
    Ok(names)
}

/// Creates a directory and all above it.
pub fn create_dir_all(path: &Path) -> Result<()> {
    // To look is much cheaper than to fail, and most of them are there.
    if path.is_dir() {
        return Ok(());
    }
    step(Needs::Room, "create", path)?;
    fs::create_dir_all(path).context("create", path)
}

/// Writes a new file; an existing one is an error.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let file = create_new(path)?;
    fail::write_all(&file, bytes, path)
}

/// A new file, open for reading and writing. All that is written to it counts as a step.
#[derive(Debug)]
pub struct NewFile(File);

impl NewFile {
    /// Writes all bytes at an offset. `path` is for the error.
    pub fn write_all_at(&self, bytes: &[u8], offset: u64, path: &Path) -> Result<()> {
        fail::write_all_at(&self.0, bytes, offset, path)
    }

    /// The file itself.
    pub(super) fn into_file(self) -> File {
        self.0
    }
}

impl Deref for NewFile {
    type Target = File;

    fn deref(&self) -> &File {
        &self.0
    }
}

/// Opens a new file for writing; an existing one is an error.
pub fn create_new(path: &Path) -> Result<NewFile> {
    step(Needs::Room, "create", path)?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    options.open(path).map(NewFile).context("create", path)
}

/// Lets an empty open file share the blocks of another. Says whether that was possible: it needs
/// one file system, and one that can.
pub fn reflink(from: &File, to: &File) -> bool {
    reflink_copy::reflink_file(from, to).is_ok()
}

/// Opens a file for writing at its end, creating it if need be.
pub fn append(path: &Path) -> Result<File> {
    step(Needs::Room, "open", path)?;
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .context("open", path)
}

/// Renames, replacing a file that is in the way.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    step(Needs::Nothing, "rename", from)?;
    fs::rename(from, to).context("rename", from)
}

/// Renames a file or link unless the new name is taken; says whether it got it.
pub fn rename_new(from: &Path, to: &Path) -> Result<bool> {
    step(Needs::Nothing, "create", to)?;
    let (here, flags) = (rustix::fs::CWD, rustix::fs::RenameFlags::NOREPLACE);
    let error: io::Error = match rustix::fs::renameat_with(here, from, here, to, flags) {
        Ok(()) => return Ok(true),
        Err(error) => error.into(),
    };
    match error.kind() {
        io::ErrorKind::AlreadyExists => Ok(false),
        // Some file systems cannot promise it; a look before the act is the best there is.
        io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported => {
            if metadata(to)?.is_some() {
                return Ok(false);
            }
            rename(from, to).map(|()| true)
        }
        _ => Err(error).context("create", to),
    }
}

/// Removes a file or link; none is fine.
pub fn remove_file(path: &Path) -> Result<()> {
    step(Needs::Nothing, "remove", path)?;
    match fs::remove_file(path) {
        Err(error) if !is_missing(&error) => Err(error).context("remove", path),
        _ => Ok(()),
    }
}

/// Removes a directory with all below it; none is fine.
pub fn remove_dir_all(path: &Path) -> Result<()> {
    #[cfg(feature = "failpoints")]
    remove_below(path)?;
    step(Needs::Nothing, "remove", path)?;
    match fs::remove_dir_all(path) {
        Err(error) if !is_missing(&error) => Err(error).context("remove", path),
        _ => Ok(()),
    }
}

/// Empties a directory step by step, so that a test can stop in the midst of it.
#[cfg(feature = "failpoints")]
fn remove_below(path: &Path) -> Result<()> {
    if !metadata(path)?.is_some_and(|found| found.is_dir()) {
        return Ok(());
    }
    for name in list_dir(path)? {
        let below = path.join(name);
        match metadata(&below)? {
            Some(found) if found.is_dir() => remove_dir_all(&below)?,
            _ => remove_file(&below)?,
        }
    }
    Ok(())
}

/// Removes a directory if nothing is in it; says whether it is gone.
pub fn remove_dir_if_empty(path: &Path) -> Result<bool> {
    step(Needs::Nothing, "remove", path)?;
    match fs::remove_dir(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(false),
        Err(error) if is_missing(&error) => Ok(true),
        Err(error) => Err(error).context("remove", path),
    }
}

/// Makes a symbolic link.
pub fn symlink(target: &Path, link: &Path) -> Result<()> {
    step(Needs::Room, "create", link)?;
    std::os::unix::fs::symlink(target, link).context("create", link)
}

/// Copies the bytes of a file to a new one: by reflink where the file system can, so that it
/// costs neither time nor space, else byte by byte. Says whether it was a reflink.
pub fn copy(from: &Path, to: &Path) -> Result<bool> {
    fail::copy_step(from, to)?;
    let reflinked = reflink_copy::reflink_or_copy(from, to).context("copy", from)?;
    Ok(reflinked.is_none())
}

/// When a file got its bytes, in nanoseconds since 1970.
pub fn modified_nanos(metadata: &Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let part = |value: i64| u64::try_from(value).unwrap_or(0);
    let seconds = part(metadata.mtime()).saturating_mul(1_000_000_000);
    seconds.saturating_add(part(metadata.mtime_nsec()))
}

/// Whether the owner may execute the file.
pub fn is_executable(metadata: &Metadata) -> bool {
    metadata.mode() & 0o100 != 0
}

/// How many names a file has.
pub fn links(metadata: &Metadata) -> u64 {
    metadata.nlink()
}

/// Gives a file the mode of new files, with or without the execute bits that go with its read
/// bits.
pub fn set_executable(path: &Path, executable: bool) -> Result<()> {
    let old = fs::metadata(path).context("look at", path)?.mode() & 0o777;
    let readable = old & 0o444;
    let mode = if executable {
        old | (readable >> 2)
    } else {
        old & !0o111
    };
    let mode = mode | 0o200;
    if mode == old {
        return Ok(());
    }
    step(Needs::Nothing, "change", path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).context("change", path)
}

/// Takes all write bits from a file.
pub fn set_read_only(path: &Path) -> Result<()> {
    step(Needs::Nothing, "change", path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o444)).context("change", path)
}

/// Asks the disk to keep the bytes of a file.
pub fn sync_file(path: &Path) -> Result<()> {
    step(Needs::Nothing, "flush", path)?;
    File::open(path)
        .and_then(|file| file.sync_data())
        .context("flush", path)
}

/// Asks the disk to keep the names in a directory.
pub fn sync_dir(path: &Path) -> Result<()> {
    step(Needs::Nothing, "flush", path)?;
    File::open(path)
        .and_then(|dir| dir.sync_all())
        .context("flush", path)
}
