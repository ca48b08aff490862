//! The file system's own clock, and how far it can be trusted.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use crate::fs::{Stat, TempFile};

const SECOND: i64 = 1_000_000_000;
/// Longer than a tick of any kernel's clock.
const SHORT_GUARD: i64 = 20_000_000;
/// For file systems that keep whole seconds or two (FAT), or another machine's time.
const LONG_GUARD: i64 = 2 * SECOND;
/// A stamp may lag by a tick.
const TICK: i64 = 10_000_000;

/// A moment by the clock of one file system.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    nanos: i64,
    device: u64,
    guard: i64,
}

/// Where the clock of a file system is read.
#[derive(Debug)]
pub(super) struct Clock {
    dir: PathBuf,
    /// A file that may be written to again, where that says as much as a new one.
    file: Option<TempFile>,
}

impl Clock {
    /// Reads the clock of what a directory lies on.
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir, file: None }
    }

    /// Reads the clock off a file that is written to now; `None` where none can be made.
    pub(super) fn read(&mut self) -> Option<Stamp> {
        let file = match &mut self.file {
            Some(file) => {
                file.write_all_at(b"x", 0).ok()?;
                file
            }
            none => none.insert(TempFile::new_in(&self.dir).ok()?),
        };
        let stat = Stat::from(&file.file().metadata().ok()?);
        let nanos = stat.mtime;
        let precise = nanos % SECOND != 0 && is_precise(file.file());
        match precise {
            true if stat.n_links > 0 => file.unname().ok()?,
            true => {}
            false => self.file = None,
        }
        Some(Stamp {
            nanos,
            device: stat.device,
            guard: if precise { SHORT_GUARD } else { LONG_GUARD },
        })
    }
}

impl Stamp {
    /// Whether the file was last changed so long before this moment that every later change
    /// gives it other times.
    pub(super) fn is_after(&self, stat: &Stat) -> bool {
        let limit = self.nanos.saturating_sub(self.guard_for(stat));
        stat.device == self.device && stat.mtime.max(stat.ctime) < limit
    }

    /// How long until a new stamp would be after all of these; `None` if it is already, or if
    /// no short wait is enough.
    pub(super) fn wait_for(&self, stats: impl Iterator<Item = Stat>) -> Option<Duration> {
        let soon = self.nanos.saturating_add(TICK);
        let newest = stats
            .filter(|stat| stat.device == self.device && self.guard_for(stat) == SHORT_GUARD)
            .map(|stat| stat.mtime.max(stat.ctime))
            .filter(|time| *time <= soon)
            .max()?;
        let wait = newest + SHORT_GUARD - self.nanos;
        let nanos = u64::try_from(wait).ok()?;
        Some(Duration::from_nanos(
            nanos.saturating_add(TICK.unsigned_abs()),
        ))
    }

    fn guard_for(&self, stat: &Stat) -> i64 {
        let whole_seconds = stat.mtime % SECOND == 0 && stat.ctime % SECOND == 0;
        if whole_seconds {
            LONG_GUARD
        } else {
            self.guard
        }
    }
}

/// Whether the file system is a local one that keeps fine times by this machine's clock.
#[cfg(target_os = "linux")]
fn is_precise(file: &File) -> bool {
    const EXT: u32 = 0xef53;
    const XFS: u32 = 0x5846_5342;
    const BTRFS: u32 = 0x9123_683e;
    const TMPFS: u32 = 0x0102_1994;
    const OVERLAY: u32 = 0x794c_7630;
    const ZFS: u32 = 0x2fc1_2fc1;
    const F2FS: u32 = 0xf2f5_2010;
    const BCACHEFS: u32 = 0xca45_1a4e;
    let known = [EXT, XFS, BTRFS, TMPFS, OVERLAY, ZFS, F2FS, BCACHEFS];
    let kind = rustix::fs::fstatfs(file).map(|system| system.f_type);
    // The type of the field differs between targets; magic numbers have 32 bits on all.
    kind.is_ok_and(|kind| {
        known
            .iter()
            .any(|magic| i128::from(*magic) == i128::from(kind) & 0xffff_ffff)
    })
}

#[cfg(not(target_os = "linux"))]
fn is_precise(_: &File) -> bool {
    false
}
