//! Flushes files while they are written: the disk then works beside what brings the bytes, and the
//! flush at the end finds little left.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use super::{Context, Result, TempFile, meanwhile};

/// How long bytes may lie in memory before they are flushed.
const INTERVAL: Duration = Duration::from_millis(200);

/// The files that are flushed.
#[derive(Debug)]
pub struct Flusher(Vec<(File, PathBuf)>);

impl Flusher {
    /// Flushes nothing yet.
    pub fn new<'a>(files: impl Iterator<Item = &'a TempFile>) -> Result<Self> {
        let again = |temp: &TempFile| {
            let file = temp.file().try_clone().context("open", temp.path())?;
            Ok((file, temp.path().to_path_buf()))
        };
        files.map(again).collect::<Result<_>>().map(Self)
    }

    /// Does work, and flushes the files meanwhile. The system tells of bytes that it could not write
    /// only once: who is not told here need not ask again.
    pub fn during<R>(&self, work: impl FnOnce() -> R) -> Result<R> {
        if self.0.is_empty() {
            return Ok(work());
        }
        let (done, failure) = meanwhile(INTERVAL, || self.flush().err(), work);
        failure.map_or(Ok(done), Err)
    }

    fn flush(&self) -> Result<()> {
        let mut files = self.0.iter();
        files.try_for_each(|(file, path)| file.sync_data().context("flush", path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_done_while_its_files_are_flushed() {
        let dir = tempfile::tempdir().unwrap();
        let temp = TempFile::new_in(dir.path()).unwrap();
        let flusher = Flusher::new([&temp].into_iter()).unwrap();
        let done = flusher.during(|| temp.write_all_at(b"bytes", 0).map(|()| 7));
        assert_eq!(done.unwrap().unwrap(), 7);
        assert_eq!(std::fs::read(temp.path()).unwrap(), b"bytes");
        let nothing = Flusher::new(std::iter::empty()).unwrap();
        assert_eq!(nothing.during(|| 8).unwrap(), 8);
    }

    #[test]
    fn a_failure_to_flush_is_told() {
        let (end, _other) = std::io::pipe().unwrap();
        let pipe = File::from(std::os::fd::OwnedFd::from(end));
        let flusher = Flusher(vec![(pipe, PathBuf::from("pipe"))]);
        assert_eq!(flusher.flush().unwrap_err().action, "flush");
    }
}
