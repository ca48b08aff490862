//! Putting objects in.

use std::cell::Cell;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{Error, Result, Store, TEMP, pieces};
use crate::fs::{self, Context, Flusher, LinkKind, TempFile};
use crate::hash::{BlobId, Digest, ObjectId, ObjectKind};

/// Files up to this size pass through memory, so that one that is already stored costs no write.
const IN_MEMORY: u64 = 128 << 10;

/// What a file was when it was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its id.
    pub id: BlobId,
    /// Its length.
    pub size: u64,
}

/// Is told of bytes that were read, of a large file piece by piece and from any thread; says whether
/// to go on.
pub type OnRead<'a> = dyn Fn(u64) -> bool + Sync + 'a;

impl Store {
    /// Stores bytes and returns their id. Not flushed: see [`Store::flush`].
    pub fn put(&self, kind: ObjectKind, bytes: &[u8]) -> Result<ObjectId> {
        let digest = kind.hash(bytes).ok_or(Error::NotKept(kind))?;
        let id = ObjectId::new(kind, digest);
        self.put_hashed(id, bytes)?;
        Ok(id)
    }

    /// Stores a file: copies (by reflink if it can), hashes the copy, and gives it its name.
    /// A file that changes meanwhile is tried once more, then refused.
    pub fn put_file(&self, path: &Path, on_read: &OnRead<'_>) -> Result<Stored> {
        self.put_file_watched(path, on_read, || {})
    }

    /// Takes over bytes that are already in a temporary file made by [`Store::resume`], after
    /// checking that they hash to `id`.
    pub fn adopt(&self, id: BlobId, mut temp: TempFile) -> Result<()> {
        let found = pieces::hash_all(temp.file(), temp.path(), &|_, _| Ok(()))?;
        if found != id.0 {
            temp.give_up();
            let id = id.into();
            return Err(Error::Mismatch { id, found });
        }
        self.name(id.into(), temp)
    }

    /// A temporary file on the store's file system.
    pub fn temp(&self) -> Result<TempFile> {
        let temp = TempFile::new_in(&self.root.join(TEMP));
        temp.map_err(|error| self.denied(error))
    }

    /// What has come so far of an object that is brought in pieces, by whoever began it and is
    /// gone; and whether anything may have come.
    pub fn resume(&self, id: BlobId) -> Result<(TempFile, bool)> {
        let resumed = TempFile::resume_in(&self.root.join(TEMP), &id.0.to_hex());
        resumed.map_err(|error| self.denied(error))
    }

    /// Flushes such files while they are written, unless nothing is to be flushed.
    pub fn flusher<'a>(&self, temps: impl Iterator<Item = &'a TempFile>) -> Result<Flusher> {
        let flushes = self.unflushed.is_wanted();
        Ok(Flusher::new(temps.filter(|_| flushes))?)
    }

    /// The bytes on the disk of such objects that [`Store::resume`] has begun.
    pub fn begun(&self, is_wanted: impl Fn(BlobId) -> bool) -> Result<u64> {
        let is_wanted = |hex: &str| hex.parse().is_ok_and(|id| is_wanted(BlobId(id)));
        Ok(fs::begun_bytes(&self.root.join(TEMP), is_wanted)?)
    }

    /// Calls `copied` between a copy and the look that decides whether it is good, which is when
    /// tests change the file.
    pub(super) fn put_file_watched(
        &self,
        path: &Path,
        on_read: &OnRead<'_>,
        copied: impl Fn(),
    ) -> Result<Stored> {
        for _ in 0..2 {
            if let Some(stored) = self.try_put_file(path, on_read, &copied)? {
                return Ok(stored);
            }
        }
        Err(Error::Changed(path.to_path_buf()))
    }

    /// Stores what the file holds now; `None` if it was changed meanwhile.
    fn try_put_file(
        &self,
        path: &Path,
        on_read: &OnRead<'_>,
        copied: impl Fn(),
    ) -> Result<Option<Stored>> {
        let mut file = fs::open(path)?;
        let before = State::of(&file, path)?;
        if before.size <= IN_MEMORY.max(self.pack_below as u64) {
            let mut buffer = BUFFER.take();
            let stored = self.put_small(&mut file, path, &before, &mut buffer, copied);
            BUFFER.set(buffer);
            return stored;
        }
        let temp = self.temp()?;
        let hash = copy(&file, path, &temp, before.size, on_read)?;
        copied();
        let Some(hash) = hash else {
            return Ok(None);
        };
        // Only a copy of which nobody changed a byte while it was made may be given a name: each
        // byte of a torn one was in the file, but never all of them at once.
        if State::of(&file, path)? != before {
            return Ok(None);
        }
        let (link, hash) = hash;
        let (id, size) = (BlobId(hash), before.size);
        if !self.is_object(id, &file)? {
            self.name(id.into(), temp)?;
            self.tally.add(link, size);
        }
        Ok(Some(Stored { id, size }))
    }

    /// Stores a file that fits into memory; `None` if it was changed meanwhile.
    fn put_small(
        &self,
        file: &mut File,
        path: &Path,
        before: &State,
        buffer: &mut Vec<u8>,
        copied: impl Fn(),
    ) -> Result<Option<Stored>> {
        let size = before.size as usize;
        // Room for one byte more than is expected shows that the file grew.
        if buffer.len() <= size {
            buffer.resize(size + 1, 0);
        }
        let n_read = read_until(file, path, &mut buffer[..=size], size)?;
        copied();
        if n_read != size || State::of(file, path)? != *before {
            return Ok(None);
        }
        let bytes = &buffer[..size];
        let id = BlobId(Digest::of(bytes));
        self.put_hashed(id.into(), bytes)?;
        let size = before.size;
        Ok(Some(Stored { id, size }))
    }

    /// Stores bytes whose hash is known.
    fn put_hashed(&self, id: ObjectId, bytes: &[u8]) -> Result<()> {
        if self.has_whole(id, bytes.len() as u64)? {
            return Ok(());
        }
        if id.kind == ObjectKind::Blob {
            self.tally.add(LinkKind::Copy, bytes.len() as u64);
        }
        if id.kind == ObjectKind::Blob && bytes.len() < self.pack_below {
            return self.packs.put(BlobId(id.digest), bytes);
        }
        self.put_loose(id, bytes)
    }

    /// Stores bytes in a file of their own.
    pub(super) fn put_loose(&self, id: ObjectId, bytes: &[u8]) -> Result<()> {
        let mut temp = self.temp()?;
        temp.write_all(bytes)?;
        self.name(id, temp)
    }

    /// Gives a finished file its name in the store. An equal object that is there already is
    /// replaced, which costs nothing and heals one that a power cut left empty.
    fn name(&self, id: ObjectId, temp: TempFile) -> Result<()> {
        let path = self.path_of(id)?;
        fs::set_read_only(temp.path())?;
        if self.unflushed.comes_first() {
            temp.sync()?;
        }
        let dir = path.parent().map_or(Ok(()), fs::create_dir_inheriting);
        dir.map_err(|error| self.denied(error))?;
        self.unflushed.note(&path)?;
        temp.persist(&path).map_err(|error| self.denied(error))
    }

    /// Whether an object is there with all its bytes, in a file of its own. A power cut before [`Store::flush`] can
    /// leave a name without them; such an object must be written again, not trusted.
    fn has_whole(&self, id: ObjectId, size: u64) -> Result<bool> {
        let found = fs::metadata(&self.path_of(id)?)?;
        Ok(found.is_some_and(|found| found.is_file() && found.len() == size))
    }
}

thread_local! {
    /// Holds one small file after the other.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// What changes when somebody writes to a file.
#[derive(PartialEq, Eq)]
struct State {
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl State {
    fn of(file: &File, path: &Path) -> Result<Self> {
        let metadata = file.metadata().context("look at", path)?;
        if !metadata.is_file() {
            return Err(Error::NotAFile(path.to_path_buf()));
        }
        Ok(Self {
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

/// Copies the first `size` bytes of a file, by reflink if it can, and hashes the copy; says which it
/// was. `None`: the copy is shorter.
fn copy(
    from: &File,
    path: &Path,
    to: &TempFile,
    size: u64,
    on_read: &OnRead<'_>,
) -> Result<Option<(LinkKind, Digest)>> {
    let tell = |piece: &[u8]| match on_read(piece.len() as u64) {
        true => Ok(()),
        false => Err(Error::Interrupted),
    };
    if fs::reflink(from, to.file()) {
        let hash = pieces::hash(to.file(), to.path(), size, &|piece, _| tell(piece))?;
        return Ok(hash.map(|hash| (LinkKind::Reflink, hash)));
    }
    let hash = pieces::hash(from, path, size, &|piece, offset| {
        to.write_all_at(piece, offset)?;
        tell(piece)
    })?;
    Ok(hash.map(|hash| (LinkKind::Copy, hash)))
}

/// Reads until that many bytes are there, or the file ends; says how many there are.
fn read_until(file: &mut File, path: &Path, buffer: &mut [u8], enough: usize) -> Result<usize> {
    let mut n_read = 0;
    loop {
        let more = read_some(file, path, &mut buffer[n_read..])?;
        n_read += more;
        if more == 0 || n_read >= enough {
            return Ok(n_read);
        }
    }
}

fn read_some(file: &mut impl Read, path: &Path, buffer: &mut [u8]) -> Result<usize> {
    loop {
        match file.read(buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            result => return Ok(result.context("read", path)?),
        }
    }
}
