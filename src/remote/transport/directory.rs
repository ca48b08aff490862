//! A remote in a directory: on a disk, a mounted share, a stick.
//!
//! An object is a file whose path below the directory is its key. It is written under `tmp/`
//! of the remote, flushed, and then given its name, so that nobody ever sees a part of one.

use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::{
    Listed, MAX_OBJECT_BYTES, Take, Transport, Writing, check_key, check_prefix, is_name,
    is_reserved, too_large, too_short, unknown_scheme,
};
use crate::fs::{self, Context, TempFile};
use crate::remote::{Address, Error, Result};

/// So much of a file is read at once.
const PART_BYTES: u64 = 1 << 20;

/// A remote in a directory.
#[derive(Debug)]
pub struct Directory {
    remote: String,
    root: PathBuf,
}

impl Directory {
    /// Takes a plain absolute path or `file:///path`. The directory may not exist yet: the first
    /// write makes it.
    pub fn open(address: &Address) -> Result<Self> {
        let path = address.url.strip_prefix("file://").unwrap_or(&address.url);
        let root = PathBuf::from(path);
        if !root.is_absolute() {
            return Err(unknown_scheme(address));
        }
        Ok(Self {
            remote: address.name.clone(),
            root,
        })
    }

    /// Where an object lies.
    fn path(&self, key: &str) -> Result<PathBuf> {
        check_key(&self.remote, key)?;
        Ok(self.root.join(key))
    }

    /// The length of the object at a path. A remote that is not there at all is an error: with
    /// it, everything on it would look as if it had been lost.
    fn size(&self, path: &Path) -> Result<Option<u64>> {
        match fs::metadata(path)? {
            Some(metadata) if metadata.is_file() => Ok(Some(metadata.len())),
            Some(_) => Ok(None),
            None => self.check_root().map(|()| None),
        }
    }

    fn check_root(&self) -> Result<()> {
        // A link to a directory is as good as one, so this looks through it: `/.` does.
        match fs::metadata(&self.root.join("."))? {
            Some(_) => Ok(()),
            None => Err(Error::MissingDirectory {
                remote: self.remote.clone(),
                path: self.root.display().to_string(),
            }),
        }
    }

    /// Writes a body beside the objects, under a name that is none of theirs.
    fn stage(&self, body: &Bytes) -> Result<TempFile> {
        let mut temp = TempFile::new_in(&self.root.join("tmp"))?;
        temp.write_all(body)?;
        temp.sync()?;
        Ok(temp)
    }

    /// Makes the directory of an object, with names that survive a crash.
    fn make_dir(&self, path: &Path) -> Result<PathBuf> {
        let dir = path.parent().unwrap_or(&self.root).to_path_buf();
        if fs::metadata(&dir)?.is_some() {
            return Ok(dir);
        }
        fs::create_dir_all(&dir)?;
        let above = dir.ancestors().skip(1);
        for ancestor in above.take_while(|ancestor| ancestor.starts_with(&self.root)) {
            fs::sync_dir(ancestor)?;
        }
        Ok(dir)
    }

    /// Adds the objects below a directory to a listing.
    fn collect(&self, dir: &Path, prefix: &str, found: &mut Vec<Listed>) -> Result<()> {
        let names = match fs::list_dir(dir) {
            Ok(names) => names,
            Err(error) if fs::is_missing(&error.source) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        for name in names {
            // What is not a key is not esker's: a `lost+found`, a desktop's hidden file.
            let Ok(name) = std::str::from_utf8(name.as_bytes()) else {
                continue;
            };
            let key = format!("{prefix}{name}");
            if !is_name(name) || is_reserved(&key) {
                continue;
            }
            let path = dir.join(name);
            match fs::metadata(&path)? {
                Some(metadata) if metadata.is_dir() => {
                    self.collect(&path, &format!("{key}/"), found)?;
                }
                Some(metadata) if metadata.is_file() => found.push(Listed {
                    key,
                    size: metadata.len(),
                    modified: u64::try_from(metadata.mtime()).unwrap_or(0),
                }),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Transport for Directory {
    fn writing(&self) -> Result<Writing> {
        Ok(Writing::Exclusive)
    }

    fn get(&self, key: &str) -> Result<Option<Bytes>> {
        let path = self.path(key)?;
        match self.size(&path)? {
            None => Ok(None),
            Some(size) if size > MAX_OBJECT_BYTES => Err(too_large(&self.remote, key, size)),
            Some(_) => Ok(fs::read_if_exists(&path)?.map(Bytes::from)),
        }
    }

    fn stream(&self, key: &str, offset: u64, len: u64, take: &mut Take<'_>) -> Result<bool> {
        let path = self.path(key)?;
        let Some(size) = self.size(&path)? else {
            return Ok(false);
        };
        let end = offset.checked_add(len).filter(|end| *end <= size);
        if end.is_none() || len > MAX_OBJECT_BYTES {
            return Err(too_short(&self.remote, key, size, offset, len));
        }
        let file = match fs::open(&path) {
            // A collection took it away just now.
            Err(error) if fs::is_missing(&error.source) => return Ok(false),
            opened => opened?,
        };
        let mut buffer = vec![0; PART_BYTES.min(len) as usize];
        let mut left = len;
        while left > 0 {
            let part = &mut buffer[..PART_BYTES.min(left) as usize];
            match file.read_exact_at(part, offset + len - left) {
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                    return Err(too_short(&self.remote, key, size, offset, len));
                }
                read => read.context("read", &path)?,
            }
            left -= part.len() as u64;
            take(part)?;
        }
        Ok(true)
    }

    fn put(&self, key: &str, body: &Bytes) -> Result<()> {
        let path = self.path(key)?;
        let temp = self.stage(body)?;
        let dir = self.make_dir(&path)?;
        temp.persist(&path)?;
        fs::sync_dir(&dir)?;
        Ok(())
    }

    fn put_if_absent(&self, key: &str, body: &Bytes) -> Result<bool> {
        let path = self.path(key)?;
        if fs::metadata(&path)?.is_some() {
            return Ok(false);
        }
        let temp = self.stage(body)?;
        let dir = self.make_dir(&path)?;
        let written = temp.persist_new(&path)?;
        fs::sync_dir(&dir)?;
        Ok(written)
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>> {
        check_prefix(&self.remote, prefix)?;
        self.check_root()?;
        let mut found = Vec::new();
        self.collect(&self.root.join(prefix), prefix, &mut found)?;
        found.sort();
        Ok(found)
    }

    fn head(&self, key: &str) -> Result<Option<u64>> {
        self.size(&self.path(key)?)
    }

    fn delete(&self, key: &str) -> Result<()> {
        let path = self.path(key)?;
        self.check_root()?;
        fs::remove_file(&path)?;
        if let Some(dir) = path.parent().filter(|dir| dir.is_dir()) {
            fs::sync_dir(dir)?;
        }
        Ok(())
    }
}
