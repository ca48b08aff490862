//! Learns what files hold: from the index, else by reading them, all cores at once.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::Scanner;
use crate::fs::{self, Context, Stat};
use crate::hash::{BlobId, Hasher};
use crate::path::DepPath;
use crate::progress::{Event, Interrupt, Work};
use crate::store::{self, OnRead, Store, Stored};
use crate::tree::Entry;
use crate::workspace::{Error, Index, Result, parallel, room};

/// Files of at least this size are read one after the other, each hashed on all cores; smaller
/// ones are read side by side, each on one.
pub(super) const LARGE: u64 = 32 << 20;
const LARGE_BUFFER: usize = 4 << 20;
/// Small enough that hashing a buffer starts no work on other cores.
const SMALL_BUFFER: usize = 128 << 10;
/// Reading this much again next time costs more than waiting a few milliseconds now.
const WORTH_WAITING_BYTES: u64 = 4 << 20;
const WORTH_WAITING_FILES: usize = 256;

/// A file whose id is asked for.
pub(super) struct OnDisk {
    /// What the index calls it.
    pub(super) path: DepPath,
    /// Where its bytes are, if a link stands at the path.
    pub(super) target: Option<PathBuf>,
    /// Taken before it is read.
    pub(super) stat: Stat,
}

impl OnDisk {
    /// The file, once it was read.
    pub(super) fn entry(&self, read: &Stored) -> Entry {
        let (id, size, exec) = (read.id, read.size, self.stat.exec);
        Entry::File { id, size, exec }
    }
}

/// So many files are read before what they held goes into the index.
const AT_ONCE: usize = 1 << 16;

impl Scanner<'_> {
    /// Reads files, and tells what they held one after the other: nothing of one that is gone.
    pub(super) fn read_files(
        &mut self,
        files: Vec<OnDisk>,
        tell: impl FnMut(&mut Index, OnDisk, Option<Stored>),
    ) -> Result<()> {
        if files.is_empty() {
            return Ok(());
        }
        if let Some(store) = self.keep_in() {
            self.check_room(store, &files)?;
        }
        self.prepare(&files);
        self.progress.event(Event::Started {
            work: Work::Hash,
            files: files.len() as u64,
            bytes: files.iter().map(|file| file.stat.size).sum(),
        });
        let read = self.read_in_parts(files, tell);
        self.progress.event(Event::Finished);
        read
    }

    fn read_in_parts(
        &mut self,
        mut files: Vec<OnDisk>,
        mut tell: impl FnMut(&mut Index, OnDisk, Option<Stored>),
    ) -> Result<()> {
        let mut result = Ok(());
        // From the back, so that what is done takes no room any longer.
        while result.is_ok() && !files.is_empty() {
            let part = files.split_off(files.len().saturating_sub(AT_ONCE));
            result = self.read_all(&part).map(|read| {
                for (file, read) in part.into_iter().zip(read) {
                    match read {
                        Some(read) => self.index.record(file.path.as_str(), file.stat, read.id),
                        None => self.index.forget_one(file.path.as_str()),
                    }
                    tell(self.index, file, read);
                }
            });
            files.shrink_to_fit();
        }
        result
    }

    /// Fails before the first byte is stored if there is no room for all. Near the limit the
    /// files are hashed first, since the store may have most of them.
    fn check_room(&self, store: &Store, files: &[OnDisk]) -> Result<()> {
        let sizes = files.iter().map(|file| file.stat.size);
        let sizes = sizes.fold(0, u64::saturating_add);
        room::tell_doubling(store, self.root, sizes, self.progress);
        room::check_add(store, self.root, sizes, || {
            let mut lacking = BTreeMap::new();
            for file in files {
                let at = file.target.clone();
                let at = at.unwrap_or_else(|| file.path.to_path(self.root));
                let found = match hash(&at, &until(self.interrupt)) {
                    // Removed since it was listed.
                    Err(Error::Fs(error)) if fs::is_missing(&error.source) => continue,
                    found => found?,
                };
                if !store.has(found.id) {
                    lacking.insert(found.id, found.size);
                }
            }
            Ok(lacking.into_values().fold(0, u64::saturating_add))
        })
    }

    /// What a file holds, if the index knows and, where it is to be kept, the store has it.
    pub(super) fn known(&self, file: &OnDisk) -> Option<Stored> {
        let id = self.index.lookup(file.path.as_str(), file.stat)?;
        let stored = self.keep_in().is_none_or(|store| store.has(id));
        let size = file.stat.size;
        stored.then_some(Stored { id, size })
    }

    /// Takes the stamp that the files about to be read are judged by. Where many bytes were
    /// written a moment ago (the outputs of a stage), it waits until they can be remembered.
    fn prepare(&mut self, files: &[OnDisk]) {
        if files.iter().any(|file| self.index.is_racy(file.stat)) {
            self.index.restamp();
        }
        let racy = files.iter().map(|file| file.stat);
        let racy: Vec<Stat> = racy.filter(|stat| self.index.is_racy(stat)).collect();
        if is_worth_waiting(racy.iter()) {
            self.index.wait_out(racy.iter());
        }
    }

    fn read_all(&self, files: &[OnDisk]) -> Result<Vec<Option<Stored>>> {
        let bytes = files.iter().map(|file| file.stat.size).sum();
        let is_large = |file: &OnDisk| file.stat.size >= LARGE;
        let many = parallel::is_worth(files.len(), bytes);
        let mut all = parallel::map(files, many, |file| {
            if is_large(file) {
                return Ok(None);
            }
            self.read(file)
        })?;
        for (file, read) in files.iter().zip(&mut all) {
            if is_large(file) {
                *read = self.read(file)?;
            }
        }
        Ok(all)
    }

    fn read(&self, file: &OnDisk) -> Result<Option<Stored>> {
        let at = file.target.clone();
        let at = at.unwrap_or_else(|| file.path.to_path(self.root));
        let size = file.stat.size;
        let told = AtomicU64::new(0);
        let on_read = |bytes| {
            if size >= LARGE {
                // A file that changed is read again, and is no longer for that.
                let before = told.fetch_add(bytes, Ordering::Relaxed);
                let bytes = bytes.min(size.saturating_sub(before));
                self.progress.event(Event::Advanced { files: 0, bytes });
            }
            !self.interrupt.is_requested()
        };
        let read = match self.keep_in() {
            _ if self.interrupt.is_requested() => Err(Error::Interrupted),
            Some(store) => store.put_file(&at, &on_read).map_err(Error::Store),
            None => hash(&at, &on_read),
        };
        let bytes = size.saturating_sub(told.load(Ordering::Relaxed));
        self.progress.event(Event::Advanced { files: 1, bytes });
        match read {
            Err(Error::Store(store::Error::Interrupted)) => Err(Error::Interrupted),
            Err(Error::Fs(error) | Error::Store(store::Error::Fs(error)))
                if fs::is_missing(&error.source) && fs::metadata(&at)?.is_none() =>
            {
                Ok(None)
            }
            read => read.map(Some),
        }
    }
}

/// Reads on until somebody asks to stop.
pub(in crate::workspace) fn until(interrupt: &Interrupt) -> impl Fn(u64) -> bool + Sync {
    |_| !interrupt.is_requested()
}

/// Whether so much was written a moment ago that a wait until it can be remembered pays.
pub(in crate::workspace) fn is_worth_waiting<'m>(stats: impl Iterator<Item = &'m Stat>) -> bool {
    let (files, bytes) = stats.fold((0, 0), |(files, bytes), stat| {
        (files + 1, bytes + stat.size)
    });
    bytes >= WORTH_WAITING_BYTES || files >= WORTH_WAITING_FILES
}

/// Hashes a file without storing it.
pub(in crate::workspace) fn hash(at: &Path, on_read: &OnRead<'_>) -> Result<Stored> {
    let mut file = fs::open(at)?;
    let length = file.metadata().context("look at", at)?.len();
    let mut buffer = vec![0; buffer_size(length)];
    let mut hasher = Hasher::new();
    let mut size = 0;
    loop {
        let n_read = match file.read(&mut buffer) {
            Ok(0) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read.context("read", at)?,
        };
        hasher.update(&buffer[..n_read]);
        size += n_read as u64;
        if !on_read(n_read as u64) {
            return Err(Error::Interrupted);
        }
        // There was room for more.
        if size == length && n_read < buffer.len() {
            break;
        }
    }
    let id = BlobId(hasher.finish());
    Ok(Stored { id, size })
}

/// A small file and the end of it are seen by one read; a large one is hashed on all cores.
fn buffer_size(length: u64) -> usize {
    match usize::try_from(length) {
        Ok(length) if length < SMALL_BUFFER => length + 1,
        _ if length < LARGE => SMALL_BUFFER,
        _ => LARGE_BUFFER,
    }
}
