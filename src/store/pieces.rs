//! Reading a file in pieces on all cores: each is hashed, and handed on, while it is still in the
//! core's own cache, so that copying costs little more than the copy alone.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Error, Result};
use crate::fs::Context;
use crate::hash::{Digest, PIECE_LEN, PieceHash};

/// Below this, starting threads costs more than they save.
const WORTH_THREADS: u64 = 4 << 20;

/// What has been done with a file.
struct Work<'a, K> {
    file: &'a File,
    path: &'a Path,
    size: u64,
    keep: &'a K,
    /// The number of the piece that nobody has taken yet.
    next: AtomicU64,
}

/// Hashes the first `size` bytes of a file, and hands each piece and its offset to `keep`, in any
/// order. `None`: the file is shorter.
pub(super) fn hash(
    file: &File,
    path: &Path,
    size: u64,
    keep: &(impl Fn(&[u8], u64) -> Result<()> + Sync),
) -> Result<Option<Digest>> {
    let work = Work {
        file,
        path,
        size,
        keep,
        next: AtomicU64::new(0),
    };
    if size <= PIECE_LEN as u64 {
        return work.whole();
    }
    // In a thread of the pool, the other cores have files of their own.
    let alone = size < WORTH_THREADS || rayon::current_thread_index().is_some();
    let others = if alone {
        0
    } else {
        rayon::current_num_threads() - 1
    };
    let mut pieces = std::thread::scope(|scope| {
        let others: Vec<_> = (0..others).map(|_| scope.spawn(|| work.some())).collect();
        let mut pieces = work.some()?;
        for other in others {
            let joined = other.join();
            pieces.extend(joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok::<_, Error>(pieces)
    })?;
    if pieces.len() as u64 != work.count() {
        return Ok(None);
    }
    pieces.sort_unstable_by_key(|(number, _)| *number);
    let pieces: Vec<PieceHash> = pieces.into_iter().map(|(_, piece)| piece).collect();
    Ok(Some(PieceHash::join(&pieces)))
}

/// The same for a whole file that nobody should be writing to.
pub(super) fn hash_all(
    file: &File,
    path: &Path,
    keep: &(impl Fn(&[u8], u64) -> Result<()> + Sync),
) -> Result<Digest> {
    let size = file.metadata().context("look at", path)?.len();
    hash(file, path, size, keep)?.ok_or_else(|| Error::Changed(path.to_path_buf()))
}

impl<K: Fn(&[u8], u64) -> Result<()> + Sync> Work<'_, K> {
    fn count(&self) -> u64 {
        self.size.div_ceil(PIECE_LEN as u64)
    }

    fn whole(&self) -> Result<Option<Digest>> {
        let mut buffer = vec![0; self.size as usize];
        if !self.read(&mut buffer, 0)? {
            return Ok(None);
        }
        (self.keep)(&buffer, 0)?;
        Ok(Some(Digest::of(&buffer)))
    }

    /// Takes pieces until none is left, or somebody cannot go on.
    fn some(&self) -> Result<Vec<(u64, PieceHash)>> {
        let pieces = self.take_all();
        if !matches!(pieces, Ok((_, true))) {
            self.next.store(self.count(), Ordering::Relaxed);
        }
        Ok(pieces?.0)
    }

    /// Takes pieces; says whether the file had all of them.
    fn take_all(&self) -> Result<(Vec<(u64, PieceHash)>, bool)> {
        let mut buffer = vec![0; PIECE_LEN];
        let mut pieces = Vec::new();
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.count() {
                return Ok((pieces, true));
            }
            let offset = number * PIECE_LEN as u64;
            let length = (self.size - offset).min(PIECE_LEN as u64) as usize;
            let buffer = &mut buffer[..length];
            if !self.read(buffer, offset)? {
                return Ok((pieces, false));
            }
            pieces.push((number, PieceHash::of(number, buffer)));
            (self.keep)(buffer, offset)?;
        }
    }

    /// Fills the buffer; says whether the file is long enough.
    fn read(&self, buffer: &mut [u8], offset: u64) -> Result<bool> {
        match self.file.read_exact_at(buffer, offset) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
            read => Ok(read.context("read", self.path).map(|()| true)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::fs;

    fn bytes(length: usize) -> Vec<u8> {
        (0..length).map(|n| (n % 251) as u8).collect()
    }

    #[test]
    fn every_byte_is_hashed_and_handed_on_once() {
        let dir = tempfile::tempdir().unwrap();
        for size in [
            0,
            1,
            PIECE_LEN,
            PIECE_LEN + 1,
            3 * PIECE_LEN,
            9 * PIECE_LEN + 77,
        ] {
            let path = dir.path().join(size.to_string());
            fs::write_new(&path, &bytes(size)).unwrap();
            let kept = Mutex::new(vec![0; size]);
            let found = hash(
                &fs::open(&path).unwrap(),
                &path,
                size as u64,
                &|piece, at| {
                    let at = at as usize;
                    kept.lock().unwrap()[at..at + piece.len()].copy_from_slice(piece);
                    Ok(())
                },
            );
            assert_eq!(found.unwrap(), Some(Digest::of(&bytes(size))), "{size}");
            assert!(kept.into_inner().unwrap() == bytes(size));
        }
    }

    #[test]
    fn a_file_that_is_too_short_and_a_failure_end_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write_new(&path, &bytes(9 * PIECE_LEN)).unwrap();
        let file = fs::open(&path).unwrap();
        let longer = 10 * PIECE_LEN as u64;
        let found = hash(&file, &path, longer, &|_, _| Ok(()));
        assert_eq!(found.unwrap(), None);
        let found = hash(&file, &path, longer, &|_, at| match at {
            0 => Ok(()),
            _ => Err(Error::NotAFile(path.clone())),
        });
        assert!(found.is_err());
    }
}
