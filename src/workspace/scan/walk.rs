//! Lists what counts in a directory, one level at a time, directories of a level in parallel.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use super::ignored::Ignored;
use super::{PROJECT_FILE, Rules};
use crate::fs::{self, Metadata};
use crate::path::{self, RelPath};
use crate::progress::Interrupt;
use crate::workspace::{Error, Result, link, parallel};

const GIT_DIR: &str = ".git";
/// What a killed process may leave behind.
const TEMP_PREFIX: &[u8] = b".esker-tmp-";

/// From how many directories of a level on they are listed side by side.
const MANY_DIRS: usize = 8;
/// From how many names of a directory on they are looked at side by side.
const MANY_NAMES: usize = 512;

/// Something that counts.
pub(super) enum Item {
    /// A file and its stat.
    File(Metadata),
    /// A link that stays inside.
    Link(String),
    /// A directory that holds nothing at all.
    EmptyDir,
}

/// By which rules a directory is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Data,
    Dependency,
    /// An ignored directory that is read for the tracked paths below it alone.
    TrackedOnly,
}

/// A directory to be listed.
struct Dir {
    path: RelPath,
    mode: Mode,
    around: Ignored,
}

/// What a listed directory holds.
enum Listed {
    Item(RelPath, Item),
    Dir(Dir),
}

/// The paths that count whatever git ignores, and the directories above them.
struct Tracked {
    paths: BTreeSet<RelPath>,
    above: BTreeSet<RelPath>,
}

struct Walk<'a> {
    root: &'a Path,
    top: &'a RelPath,
    tracked: Tracked,
    interrupt: &'a Interrupt,
}

/// Everything that counts below `top`, sorted by path.
pub(super) fn walk(
    root: &Path,
    top: &RelPath,
    rules: Rules<'_>,
    interrupt: &Interrupt,
) -> Result<Vec<(RelPath, Item)>> {
    let (mode, tracked) = begin(top, rules);
    let walk = Walk {
        root,
        top,
        tracked,
        interrupt,
    };
    let around = Ignored::above(root, top)?;
    let path = top.clone();
    let mut level = vec![Dir { path, mode, around }];
    let mut items = Vec::new();
    while !level.is_empty() {
        let listed = parallel::map(&level, level.len() >= MANY_DIRS, |dir| walk.list(dir))?;
        level.clear();
        for listed in listed.into_iter().flatten() {
            match listed {
                Listed::Item(path, item) => items.push((path, item)),
                Listed::Dir(dir) => level.push(dir),
            }
        }
    }
    items.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(items)
}

/// What stands in the place of a file, in a word.
pub(in crate::workspace) fn special_name(stat: &Metadata) -> &'static str {
    let kind = stat.file_type();
    if kind.is_fifo() {
        "fifo"
    } else if kind.is_socket() {
        "socket"
    } else {
        "device"
    }
}

fn begin(top: &RelPath, rules: Rules<'_>) -> (Mode, Tracked) {
    let mut tracked = Tracked {
        paths: BTreeSet::new(),
        above: BTreeSet::new(),
    };
    let Rules::Dependency(paths) = rules else {
        return (Mode::Data, tracked);
    };
    if paths.iter().any(|path| top.starts_with(path)) {
        return (Mode::Data, tracked);
    }
    for path in paths.iter().filter(|path| path.starts_with(top)) {
        tracked.above.extend(path.ancestors());
        tracked.paths.insert(path.clone());
    }
    (Mode::Dependency, tracked)
}

impl Walk<'_> {
    fn list(&self, dir: &Dir) -> Result<Vec<Listed>> {
        if self.interrupt.is_requested() {
            return Err(Error::Interrupted);
        }
        let at = dir.path.to_path(self.root);
        let names = match fs::list_dir(&at) {
            // Removed since its own directory was listed.
            Err(error) if fs::is_missing(&error.source) => return Ok(Vec::new()),
            names => names?,
        };
        if dir.path != *self.top && is_project(&at, &names)? {
            return Ok(Vec::new());
        }
        let names: Vec<&OsString> = names.iter().filter(|name| !is_temporary(name)).collect();
        if names.is_empty() && dir.path != *self.top && dir.mode == Mode::Data {
            return Ok(vec![Listed::Item(dir.path.clone(), Item::EmptyDir)]);
        }
        let inside = dir.around.enter(&at)?;
        let listed = parallel::map(&names, names.len() >= MANY_NAMES, |name| {
            self.look(dir, &inside, &at.join(name), name)
        })?;
        Ok(listed.into_iter().flatten().collect())
    }

    fn look(&self, dir: &Dir, inside: &Ignored, at: &Path, name: &OsStr) -> Result<Option<Listed>> {
        if name == GIT_DIR {
            return Ok(None);
        }
        let Some(stat) = fs::metadata(at)? else {
            return Ok(None);
        };
        let path = join(&dir.path, name);
        let mode = self.mode_of(dir.mode, path.as_ref().ok(), inside, at, stat.is_dir());
        let Some(mode) = mode else {
            return Ok(None);
        };
        let path = path?;
        if stat.is_dir() {
            let around = inside.clone();
            return Ok(Some(Listed::Dir(Dir { path, mode, around })));
        }
        if stat.is_symlink() {
            let item = self.link(&path, at)?;
            return Ok(Some(Listed::Item(path, item)));
        }
        if !stat.is_file() {
            let what = special_name(&stat);
            return Err(Error::Special { path, what });
        }
        Ok(Some(Listed::Item(path, Item::File(stat))))
    }

    /// By which rules something counts; `None` if it does not.
    fn mode_of(
        &self,
        mode: Mode,
        path: Option<&RelPath>,
        inside: &Ignored,
        at: &Path,
        is_dir: bool,
    ) -> Option<Mode> {
        if mode == Mode::Data {
            return (!inside.by_esker(at, is_dir)).then_some(Mode::Data);
        }
        if path.is_some_and(|path| self.tracked.paths.contains(path)) {
            return Some(Mode::Data);
        }
        let is_free = || !inside.by_git(at, is_dir) && !inside.by_esker(at, is_dir);
        if mode == Mode::Dependency && is_free() {
            return Some(Mode::Dependency);
        }
        let above = path.is_some_and(|path| self.tracked.above.contains(path));
        (is_dir && above).then_some(Mode::TrackedOnly)
    }

    fn link(&self, path: &RelPath, at: &Path) -> Result<Item> {
        let target = fs::read_link(at)?;
        let Some(text) = target.to_str() else {
            let name = format!("{path} -> {}", target.to_string_lossy());
            return Err(path::Error::NotUtf8(name).into());
        };
        let below = path.strip_prefix(self.top);
        if !below.is_some_and(|below| link::stays_inside(&below, text)) {
            let (path, target) = (path.clone(), text.to_owned());
            return Err(Error::LinkOutside { path, target });
        }
        Ok(Item::Link(text.to_owned()))
    }
}

fn join(dir: &RelPath, name: &OsStr) -> Result<RelPath> {
    let Some(name) = name.to_str() else {
        let name = format!("{dir}/{}", name.to_string_lossy());
        return Err(path::Error::NotUtf8(name).into());
    };
    Ok(RelPath::parse(&format!("{dir}/{name}"))?)
}

fn is_project(at: &Path, names: &[OsString]) -> Result<bool> {
    if !names.iter().any(|name| name == PROJECT_FILE) {
        return Ok(false);
    }
    let stat = fs::metadata(&at.join(PROJECT_FILE))?;
    Ok(stat.is_some_and(|stat| stat.is_file()))
}

fn is_temporary(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(TEMP_PREFIX)
}
