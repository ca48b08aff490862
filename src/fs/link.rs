//! The ways in which two names can share one content.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::str::FromStr;

use super::fail::{Needs, step};
use super::{Context, Result};

/// How a file comes by the content of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkKind {
    /// A file of its own that shares blocks until one of the two is written to.
    Reflink,
    /// A file of its own.
    Copy,
    /// Another name of the same file.
    Hardlink,
    /// The path of the other file.
    Symlink,
}

impl LinkKind {
    /// Whether writing to one writes to the other.
    pub fn shares_file(self) -> bool {
        matches!(self, Self::Hardlink | Self::Symlink)
    }

    /// As people write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reflink => "reflink",
            Self::Copy => "copy",
            Self::Hardlink => "hardlink",
            Self::Symlink => "symlink",
        }
    }
}

impl FromStr for LinkKind {
    type Err = ();

    fn from_str(text: &str) -> std::result::Result<Self, ()> {
        let all = [Self::Reflink, Self::Copy, Self::Hardlink, Self::Symlink];
        all.into_iter().find(|kind| kind.name() == text).ok_or(())
    }
}

/// Gives a file another name; says whether that was possible. It needs one file system, and on
/// Linux a file that is one's own or may be written (`fs.protected_hardlinks`).
pub fn hard_link(file: &Path, name: &Path) -> Result<bool> {
    step(Needs::Room, "create", name)?;
    where_possible(fs::hard_link(file, name)).context("create", name)
}

/// Makes a symbolic link where the file system has them; says whether it did.
pub fn try_symlink(target: &Path, link: &Path) -> Result<bool> {
    step(Needs::Room, "create", link)?;
    where_possible(std::os::unix::fs::symlink(target, link)).context("create", link)
}

/// Whether two stats are those of one file.
pub fn is_same_file(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

fn where_possible(made: io::Result<()>) -> io::Result<bool> {
    match made {
        Ok(()) => Ok(true),
        Err(error) => match error.kind() {
            io::ErrorKind::CrossesDevices
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::TooManyLinks
            | io::ErrorKind::Unsupported => Ok(false),
            _ => Err(error),
        },
    }
}
