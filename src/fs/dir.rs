//! A directory that is held open: its names, and what lies at each, without walking down from the
//! root of the file system for every one of them.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir};

use super::{Context, Result, is_missing};

const SECOND: i64 = 1_000_000_000;
/// Some hundred names for each call of the system.
const BUFFER: usize = 32 << 10;

/// What something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Link,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A device, or what nobody knows.
    Other,
}

/// What the system says of a file without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: Kind,
    /// Its length in bytes.
    pub size: u64,
    /// When its content last changed, in nanoseconds.
    pub mtime: i64,
    /// When its content or its attributes last changed, in nanoseconds.
    pub ctime: i64,
    /// Its number on its device.
    pub inode: u64,
    /// The device it lies on.
    pub device: u64,
    /// How many names it has.
    pub n_links: u64,
    /// Whether its owner may execute it.
    pub exec: bool,
}

impl From<&Metadata> for Stat {
    fn from(stat: &Metadata) -> Self {
        Self {
            kind: kind_of(FileType::from_raw_mode(stat.mode())),
            size: stat.len(),
            mtime: nanos(stat.mtime(), stat.mtime_nsec()),
            ctime: nanos(stat.ctime(), stat.ctime_nsec()),
            inode: stat.ino(),
            device: stat.dev(),
            n_links: stat.nlink(),
            exec: stat.mode() & 0o100 != 0,
        }
    }
}

impl From<&Stat> for Stat {
    fn from(stat: &Stat) -> Self {
        *stat
    }
}

/// The names in a directory, sorted by bytes, and what each is as far as the directory says.
#[derive(Debug, Default)]
pub struct Names {
    text: Vec<u8>,
    spans: Vec<(usize, usize, Option<Kind>)>,
}

impl Names {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// One name, by its place in the order.
    pub fn name(&self, at: usize) -> &OsStr {
        let (start, end, _) = self.spans[at];
        OsStr::from_bytes(&self.text[start..end])
    }

    /// What a name stands for, if the directory says so.
    pub fn kind(&self, at: usize) -> Option<Kind> {
        self.spans[at].2
    }

    /// Whether a name is among them.
    pub fn contains(&self, name: &str) -> bool {
        let text = |span: &(usize, usize, Option<Kind>)| &self.text[span.0..span.1];
        let found = self
            .spans
            .binary_search_by(|span| text(span).cmp(name.as_bytes()));
        found.is_ok()
    }

    /// Drops the names that `keep` does not want.
    pub fn retain(&mut self, keep: impl Fn(&OsStr) -> bool) {
        let text = &self.text;
        self.spans
            .retain(|(start, end, _)| keep(OsStr::from_bytes(&text[*start..*end])));
    }
}

/// A directory that is held open.
#[derive(Debug)]
pub struct OpenDir {
    handle: OwnedFd,
    path: PathBuf,
}

impl OpenDir {
    /// Opens a directory; a link to one is an error.
    pub fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = rustix::fs::open(path, flags, Mode::empty());
        let handle = handle.map_err(Into::into).context("list", path)?;
        let path = path.to_path_buf();
        Ok(Self { handle, path })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its names. May be asked once: the directory is read from where it stands.
    pub fn names(&self) -> Result<Names> {
        let mut names = Names::default();
        let mut buffer = vec![MaybeUninit::uninit(); BUFFER];
        let mut entries = RawDir::new(&self.handle, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(Into::into).context("list", &self.path)?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => None,
                kind => Some(kind_of(kind)),
            };
            let start = names.text.len();
            names.text.extend_from_slice(name);
            names.spans.push((start, names.text.len(), kind));
        }
        let text = &names.text;
        names
            .spans
            .sort_unstable_by(|one, other| text[one.0..one.1].cmp(&text[other.0..other.1]));
        Ok(names)
    }

    /// What lies at a name, without following a link there; `None` if nothing does.
    pub fn stat(&self, name: &OsStr) -> Result<Option<Stat>> {
        let stat = rustix::fs::statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW);
        match stat.map_err(std::io::Error::from) {
            Ok(stat) => Ok(Some(from_system(&stat))),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(error).context("look at", &self.path.join(name)),
        }
    }
}

#[allow(
    clippy::unnecessary_cast,
    clippy::useless_conversion,
    reason = "the types of the fields differ between systems"
)]
fn from_system(stat: &rustix::fs::Stat) -> Stat {
    Stat {
        kind: kind_of(FileType::from_raw_mode(stat.st_mode)),
        size: stat.st_size as u64,
        mtime: nanos(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
        ctime: nanos(stat.st_ctime as i64, stat.st_ctime_nsec as i64),
        inode: stat.st_ino as u64,
        device: stat.st_dev as u64,
        n_links: stat.st_nlink as u64,
        exec: stat.st_mode & 0o100 != 0,
    }
}

fn kind_of(kind: FileType) -> Kind {
    match kind {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Dir,
        FileType::Symlink => Kind::Link,
        FileType::Fifo => Kind::Fifo,
        FileType::Socket => Kind::Socket,
        FileType::CharacterDevice | FileType::BlockDevice | FileType::Unknown => Kind::Other,
    }
}

fn nanos(seconds: i64, nanos: i64) -> i64 {
    seconds.saturating_mul(SECOND).saturating_add(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs;

    #[test]
    fn an_open_directory_says_what_a_walk_from_the_root_says() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in ["b", "a-b", "a b", "ü"] {
            fs::write_new(&at(name), name.as_bytes()).unwrap();
        }
        fs::create_dir_all(&at("a")).unwrap();
        fs::set_executable(&at("b"), true).unwrap();
        fs::symlink(Path::new("b"), &at("link")).unwrap();
        let open = OpenDir::open(dir.path()).unwrap();
        let names = open.names().unwrap();
        let listed: Vec<_> = (0..names.len()).map(|at| names.name(at)).collect();
        assert_eq!(listed, fs::list_dir(dir.path()).unwrap());
        for (number, name) in listed.iter().enumerate() {
            let expected = fs::metadata(&dir.path().join(name)).unwrap().unwrap();
            let stat = open.stat(name).unwrap().unwrap();
            assert_eq!(stat, Stat::from(&expected), "{name:?}");
            assert!(names.kind(number).is_none_or(|kind| kind == stat.kind));
        }
        assert!(names.contains("a-b") && !names.contains("c"));
        assert_eq!(open.stat(OsStr::new("none")).unwrap(), None);
        assert!(OpenDir::open(&at("none")).is_err() && OpenDir::open(&at("b")).is_err());
        fs::symlink(Path::new("a"), &at("to-dir")).unwrap();
        assert!(OpenDir::open(&at("to-dir")).is_err());
    }
}
