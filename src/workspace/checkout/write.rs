//! Writing files and links: beside their place, then by rename.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{Applied, CheckoutPlan};
use crate::fs::{self, LinkKind, Metadata, Stat, TempDir};
use crate::hash::BlobId;
use crate::path::RelPath;
use crate::progress::{Event, Interrupt, Progress, Work};
use crate::store::Store;
use crate::tree::Entry;
use crate::workspace::written::{Written, learn};
use crate::workspace::{Error, Index, Park, Result, link, parallel, scan};

/// So many files are written before the index learns of them.
const BATCH: usize = 1 << 16;

/// Something to be written.
pub(super) struct Write<'a> {
    pub(super) path: &'a RelPath,
    pub(super) entry: &'a Entry,
    /// Whether it replaces what is there.
    pub(super) over: bool,
}

/// All that a checkout works with.
pub(super) struct Desk<'a> {
    pub(super) root: &'a Path,
    pub(super) store: &'a Store,
    pub(super) index: &'a mut Index,
    pub(super) park: Option<&'a Park>,
    pub(super) progress: &'a dyn Progress,
    pub(super) interrupt: &'a Interrupt,
}

impl<'a> Write<'a> {
    /// All writes of a plan, sorted by path.
    pub(super) fn all(plan: &'a CheckoutPlan) -> Vec<Self> {
        let made = |over| move |(path, entry): &'a (RelPath, Entry)| Self { path, entry, over };
        let parked = plan.refuse.iter().filter_map(|refusal| {
            let entry = refusal.wanted.as_ref()?;
            let path = &refusal.path;
            Some(Self {
                path,
                entry,
                over: false,
            })
        });
        let created = plan.create.iter().map(made(false));
        let replaced = plan.replace.iter().map(made(true));
        let mut writes: Vec<Self> = created.chain(replaced).chain(parked).collect();
        writes.sort_by(|one, other| one.path.cmp(other.path));
        writes
    }

    pub(super) fn size(&self) -> u64 {
        match self.entry {
            Entry::File { size, .. } => *size,
            Entry::Symlink { .. } | Entry::EmptyDir => 0,
        }
    }
}

impl Desk<'_> {
    /// Writes all files, and the index learns of them now and then: with a million of them it
    /// takes less memory for what it has learned than a list of what it will learn.
    pub(super) fn write_files(
        &mut self,
        writes: &[Write<'_>],
        applied: &mut Applied,
    ) -> Result<()> {
        let is_file = |write: &&Write<'_>| matches!(write.entry, Entry::File { .. });
        let files: Vec<&Write<'_>> = writes.iter().filter(is_file).collect();
        if files.is_empty() {
            return Ok(());
        }
        self.progress.event(Event::Started {
            work: Work::Checkout,
            files: files.len() as u64,
            bytes: files.iter().map(|write| write.size()).sum(),
        });
        let done = files.chunks(BATCH).try_for_each(|batch| {
            let written = self.write_batch(batch)?;
            applied.written += written.len() as u64;
            applied.bytes += written.iter().map(|file| file.stat.size).sum::<u64>();
            learn(self.index, written);
            Ok(())
        });
        self.progress.event(Event::Finished);
        done
    }

    /// Writes files: directories side by side, and the files of each too.
    fn write_batch<'w>(&self, files: &[&'w Write<'w>]) -> Result<Vec<Written<'w>>> {
        let many = parallel::is_worth(files.len(), files.iter().map(|write| write.size()).sum());
        let mut by_dir: BTreeMap<Option<RelPath>, Vec<&Write<'_>>> = BTreeMap::new();
        for &write in files {
            by_dir.entry(write.path.parent()).or_default().push(write);
        }
        let by_dir: Vec<Vec<&Write<'_>>> = by_dir.into_values().collect();
        let written = parallel::map(&by_dir, many, |files| self.write_dir(files))?;
        Ok(written.into_iter().flatten().collect())
    }

    /// Writes files of one directory.
    fn write_dir<'w>(&self, files: &[&'w Write<'w>]) -> Result<Vec<Written<'w>>> {
        let Some(first) = files.first() else {
            return Ok(Vec::new());
        };
        let temp = self.temp_beside(first.path)?;
        let bytes = files.iter().map(|write| write.size()).sum();
        let many = parallel::is_worth(files.len(), bytes);
        parallel::map(files, many, |write| {
            let written = self.write_file(write, &temp.path().join(write.path.name()))?;
            let bytes = write.size();
            self.progress.event(Event::Advanced { files: 1, bytes });
            Ok(written)
        })
    }

    fn write_file<'w>(&self, write: &'w Write<'w>, temp: &Path) -> Result<Written<'w>> {
        if self.interrupt.is_requested() {
            return Err(Error::Interrupted);
        }
        let Entry::File { id, size, exec } = *write.entry else {
            unreachable!("only files are handed in")
        };
        let at = write.path.to_path(self.root);
        let mut link = LinkKind::Copy;
        let stays = !self.store.may_link(size, exec) && self.is_own_file(&at)?;
        if stays && self.held(write)? == Some(id) {
            fs::set_executable(&at, exec)?;
        } else {
            let sound = |stat: &Metadata| self.index.knows_object(id, stat);
            link = self.store.place(id, temp, exec, &sound)?;
            // The mode of a link is that of the object.
            if !link.shares_file() {
                fs::set_executable(temp, exec)?;
            }
            self.put_in_place(temp, write)?;
        }
        let vanished = || Error::Occupied(write.path.clone());
        Ok(Written {
            path: write.path,
            stat: Stat::from(&link::object_stat(&at)?.ok_or_else(vanished)?),
            id,
            link,
        })
    }

    /// Whether a file has no other name, so that its mode may be changed.
    fn is_own_file(&self, at: &Path) -> Result<bool> {
        let stat = fs::metadata(at)?;
        Ok(stat.is_some_and(|stat| stat.is_file() && stat.nlink() == 1))
    }

    /// Writes all links. They come after the files, so that no file is written through one.
    pub(super) fn write_links(&self, writes: &[Write<'_>], applied: &mut Applied) -> Result<()> {
        for write in writes {
            let Entry::Symlink { target } = write.entry else {
                continue;
            };
            if self.interrupt.is_requested() {
                return Err(Error::Interrupted);
            }
            if !link::stays_inside(write.path, target) {
                let (path, target) = (write.path.clone(), target.clone());
                return Err(Error::LinkOutside { path, target });
            }
            let dir = self.temp_beside(write.path)?;
            let temp = dir.path().join("link");
            fs::symlink(Path::new(target), &temp)?;
            self.put_in_place(&temp, write)?;
            applied.written += 1;
        }
        Ok(())
    }

    /// A directory for unfinished files, in the directory of `path`, which is made if need be.
    fn temp_beside(&self, path: &RelPath) -> Result<TempDir> {
        link::check_parents(self.root, path)?;
        let dir = path.parent().map(|dir| dir.to_path(self.root));
        Ok(TempDir::new_in(dir.as_deref().unwrap_or(self.root))?)
    }

    /// What a file that will be replaced holds; `None` if no file is there.
    fn held(&self, write: &Write<'_>) -> Result<Option<BlobId>> {
        let at = write.path.to_path(self.root);
        match fs::metadata(&at)? {
            Some(stat) if write.over && stat.is_file() => self.id_of(write.path, &stat).map(Some),
            _ => Ok(None),
        }
    }

    /// Gives a finished file or link its name. What it replaces is proven to be saved; over
    /// anything that appeared meanwhile it is not written at all.
    fn put_in_place(&self, temp: &Path, write: &Write<'_>) -> Result<()> {
        let at = write.path.to_path(self.root);
        match fs::metadata(&at)? {
            Some(stat) if stat.is_dir() => self.clear_dir(write.path, &at)?,
            // It leads to an object that is gone, or nothing would be created here.
            Some(stat) if stat.is_symlink() && link::is_to_object(&at)? => {
                return Ok(fs::rename(temp, &at)?);
            }
            Some(stat) if write.over => {
                self.prove_saved(write.path, &stat)?;
                return Ok(fs::rename(temp, &at)?);
            }
            _ => {}
        }
        if fs::rename_new(temp, &at)? {
            return Ok(());
        }
        Err(Error::Occupied(write.path.clone()))
    }

    /// Takes away a directory in which nothing is left that the plan knows of. If something else
    /// is in it (ignored files), it is parked whole, or stays.
    fn clear_dir(&self, path: &RelPath, at: &Path) -> Result<()> {
        if fs::remove_dir_if_empty(at)? {
            return Ok(());
        }
        let park = self.park.ok_or_else(|| Error::Occupied(path.clone()))?;
        park.park(self.root, path)?;
        Ok(())
    }

    /// Checks that the bytes at a path are in the store, whatever the plan was made of.
    pub(super) fn prove_saved(&self, path: &RelPath, stat: &Metadata) -> Result<()> {
        if stat.is_symlink() {
            return Ok(());
        }
        if !stat.is_file() {
            let (path, what) = (path.clone(), scan::special_name(stat));
            return Err(Error::Special { path, what });
        }
        if self.store.has(self.id_of(path, stat)?) {
            return Ok(());
        }
        Err(Error::Unsaved(path.clone()))
    }

    fn id_of(&self, path: &RelPath, stat: &Metadata) -> Result<BlobId> {
        let known = self.index.lookup(path.as_str(), stat);
        let read = || scan::hash(&path.to_path(self.root), &scan::until(self.interrupt));
        known.map_or_else(|| read().map(|read| read.id), Ok)
    }
}
