//! Fail points: every step that changes the disk is counted, and one of them can be made to fail.
//!
//! For the tests of crash safety alone: without the feature `failpoints` nothing of it is there.
//! A step that is to fail has not been done, but for writes, of which one half is.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::{Context, Result};

#[cfg(feature = "failpoints")]
pub use armed::{FailHow, arm_fail_points, count_steps};

/// What a step needs of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// Room for bytes or a name.
    Room,
    /// Nothing: it renames, removes or flushes.
    Nothing,
}

/// Counts a step, and fails in its place if that was asked for.
#[cfg_attr(
    not(feature = "failpoints"),
    expect(clippy::unnecessary_wraps, reason = "nothing fails on demand then")
)]
#[inline]
pub(super) fn step(needs: Needs, action: &'static str, path: &Path) -> Result<()> {
    #[cfg(feature = "failpoints")]
    return armed::step(needs).context(action, path);
    #[cfg(not(feature = "failpoints"))]
    {
        let _ = (needs, action, path);
        Ok(())
    }
}

/// Writes all bytes to a file; one half of them if this step is to fail.
#[inline]
pub(super) fn write_all(mut file: &File, bytes: &[u8], path: &Path) -> Result<()> {
    #[cfg(feature = "failpoints")]
    armed::write_step(file, bytes).context("write", path)?;
    file.write_all(bytes).context("write", path)
}

/// Writes all bytes at an offset of a file; one half of them if this step is to fail.
#[inline]
pub(super) fn write_all_at(file: &File, bytes: &[u8], offset: u64, path: &Path) -> Result<()> {
    #[cfg(feature = "failpoints")]
    armed::write_at_step(file, bytes, offset).context("write", path)?;
    file.write_all_at(bytes, offset).context("write", path)
}

/// Writes some bytes to a file.
#[inline]
pub(super) fn write(mut file: &File, bytes: &[u8]) -> io::Result<usize> {
    #[cfg(feature = "failpoints")]
    armed::write_step(file, bytes)?;
    file.write(bytes)
}

/// Copies a file; one half of it if this step is to fail.
#[cfg_attr(
    not(feature = "failpoints"),
    expect(clippy::unnecessary_wraps, reason = "nothing fails on demand then")
)]
#[inline]
pub(super) fn copy_step(from: &Path, to: &Path) -> Result<()> {
    #[cfg(feature = "failpoints")]
    return armed::copy_step(from, to).context("copy", from);
    #[cfg(not(feature = "failpoints"))]
    {
        let _ = (from, to);
        Ok(())
    }
}

/// The room that a test pretends there is.
#[inline]
pub(super) fn pretended_room() -> Option<u64> {
    #[cfg(feature = "failpoints")]
    return armed::pretended_room();
    #[cfg(not(feature = "failpoints"))]
    None
}

#[cfg(feature = "failpoints")]
mod armed {
    use std::fs::File;
    use std::io::{self, Write};
    use std::os::unix::fs::FileExt;
    use std::path::Path;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use rustix::io::Errno;

    use super::Needs;

    /// How a step fails.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum FailHow {
        /// The process is gone at once, as with `kill -9`.
        Abort,
        /// This one step is an error of the disk.
        Error,
        /// The disk is full: this step, and every later one that needs room.
        Full,
        /// Nothing fails: the process stops before this one step, until somebody continues it.
        Pause,
    }

    struct Plan {
        at: u64,
        how: FailHow,
        room: Option<u64>,
    }

    static PLAN: OnceLock<Plan> = OnceLock::new();
    static STEPS: AtomicU64 = AtomicU64::new(0);

    /// Makes the step of this number fail (0: none), and the disk look as if it had so much room.
    pub fn arm_fail_points(at: u64, how: FailHow, room: Option<u64>) {
        // The first plan holds; there is only one.
        let _ = PLAN.set(Plan { at, how, room });
    }

    /// How many steps there were so far.
    pub fn count_steps() -> u64 {
        STEPS.load(Ordering::SeqCst)
    }

    pub(super) fn pretended_room() -> Option<u64> {
        PLAN.get().and_then(|plan| plan.room)
    }

    /// How the step that is counted now is to fail.
    fn verdict(needs: Needs) -> Option<FailHow> {
        let now = STEPS.fetch_add(1, Ordering::SeqCst) + 1;
        let plan = PLAN.get().filter(|plan| plan.at > 0 && now >= plan.at)?;
        let hit = match plan.how {
            FailHow::Abort | FailHow::Error | FailHow::Pause => now == plan.at,
            FailHow::Full => needs == Needs::Room,
        };
        if hit && plan.how == FailHow::Pause {
            pause();
            return None;
        }
        hit.then_some(plan.how)
    }

    fn pause() {
        use rustix::process::{Signal, getpid, kill_process};
        // One that cannot be stopped goes on, which the tests notice.
        let _ = kill_process(getpid(), Signal::STOP);
    }

    fn fail(how: FailHow) -> io::Error {
        match how {
            FailHow::Abort => std::process::abort(),
            FailHow::Error | FailHow::Pause => Errno::IO.into(),
            FailHow::Full => Errno::NOSPC.into(),
        }
    }

    pub(super) fn step(needs: Needs) -> io::Result<()> {
        verdict(needs).map_or(Ok(()), |how| Err(fail(how)))
    }

    pub(super) fn write_at_step(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        let Some(how) = verdict(Needs::Room) else {
            return Ok(());
        };
        file.write_all_at(&bytes[..bytes.len() / 2], offset)?;
        Err(fail(how))
    }

    pub(super) fn write_step(mut file: &File, bytes: &[u8]) -> io::Result<()> {
        let Some(how) = verdict(Needs::Room) else {
            return Ok(());
        };
        file.write_all(&bytes[..bytes.len() / 2])?;
        Err(fail(how))
    }

    pub(super) fn copy_step(from: &Path, to: &Path) -> io::Result<()> {
        let Some(how) = verdict(Needs::Room) else {
            return Ok(());
        };
        let bytes = std::fs::read(from)?;
        std::fs::write(to, &bytes[..bytes.len() / 2])?;
        Err(fail(how))
    }
}
