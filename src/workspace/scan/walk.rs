//! Lists what counts in a directory, one level at a time, directories of a level in parallel.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::Path;

use super::ignored::Ignored;
use super::read::OnDisk;
use super::{PROJECT_FILE, Rules};
use crate::fs::{self, Kind, Names, OpenDir, Stat};
use crate::path::{self, RelPath};
use crate::progress::Interrupt;
use crate::store::{self, Store};
use crate::tree::Entry;
use crate::workspace::index::{Cursor, Index, Known, Place};
use crate::workspace::{Error, Result, link, parallel};

const GIT_DIR: &str = ".git";
/// What a killed process may leave behind.
const TEMP_PREFIX: &[u8] = b".esker-tmp-";

/// From how many directories of a level on they are listed side by side.
const MANY_DIRS: usize = 8;
/// What so many have brought home is put together before others are listed.
const DIRS_AT_ONCE: usize = 128;
/// From how many names of a directory on they are looked at side by side.
const MANY_NAMES: usize = 512;

/// What a walk brings home.
#[derive(Default)]
pub(super) struct Walked {
    /// Files to be read, or, of a walk over everything, to be asked the index for.
    pub(super) files: Vec<OnDisk>,
    /// What need not be read.
    pub(super) others: Vec<(RelPath, Entry)>,
    /// What the index knows and is not there.
    pub(super) gone: Vec<Box<str>>,
    /// Directories that are projects of their own, of which nothing counts.
    pub(super) projects: Vec<RelPath>,
}

impl Walked {
    /// Whether it is nothing at all: all is as the index knows it.
    pub(super) fn is_nothing(&self) -> bool {
        self.files.is_empty() && self.others.is_empty() && self.gone.is_empty()
    }

    /// How many paths it has.
    pub(super) fn len(&self) -> usize {
        self.files.len() + self.others.len() + self.gone.len()
    }

    fn append(&mut self, mut other: Self) {
        self.files.append(&mut other.files);
        self.others.append(&mut other.others);
        self.gone.append(&mut other.gone);
        self.projects.append(&mut other.projects);
    }
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

/// The paths that count whatever git ignores, and the directories above them.
struct Tracked {
    paths: BTreeSet<RelPath>,
    above: BTreeSet<RelPath>,
}

/// A walk over all that counts below a directory.
pub(super) struct Walk<'a> {
    pub(super) root: &'a Path,
    pub(super) top: &'a RelPath,
    pub(super) index: &'a Index,
    /// Where everything must be that is not to be read.
    pub(super) store: Option<&'a Store>,
    pub(super) interrupt: &'a Interrupt,
}

/// A walk and what it has to tell apart.
struct Act<'a> {
    walk: &'a Walk<'a>,
    tracked: Tracked,
    /// Whether what is as the index knows it is left out, and what is gone told.
    is_compared: bool,
}

impl Walk<'_> {
    /// All that differs from what the index knows.
    pub(super) fn compare(&self) -> Result<Walked> {
        self.go(Rules::Data, true)
    }

    /// All that counts.
    pub(super) fn collect(&self, rules: Rules<'_>) -> Result<Walked> {
        self.go(rules, false)
    }

    fn go(&self, rules: Rules<'_>, is_compared: bool) -> Result<Walked> {
        let (mode, tracked) = begin(self.top, rules);
        let act = Act {
            walk: self,
            tracked,
            is_compared,
        };
        let around = Ignored::above(self.root, self.top)?;
        let path = self.top.clone();
        let mut level = vec![Dir { path, mode, around }];
        let mut all = Walked::default();
        while !level.is_empty() {
            let mut below = Vec::new();
            for part in level.chunks(DIRS_AT_ONCE) {
                let many = part.len() >= MANY_DIRS;
                let listed = parallel::map(part, many, |dir| act.list(dir, !many))?;
                for (dirs, walked) in listed {
                    below.extend(dirs);
                    all.append(walked);
                }
            }
            level = below;
        }
        Ok(all)
    }
}

/// What stands in the place of a file, in a word.
pub(in crate::workspace) fn special_name(stat: impl Into<Stat>) -> &'static str {
    kind_name(stat.into().kind)
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Fifo => "fifo",
        Kind::Socket => "socket",
        _ => "device",
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

/// What was seen under a name.
struct Seen {
    mode: Mode,
    what: What,
}

enum What {
    File(Stat),
    Link,
    Dir,
}

impl Act<'_> {
    /// Lists a directory, its names side by side if that is worth it and nobody else does so.
    fn list(&self, dir: &Dir, alone: bool) -> Result<(Vec<Dir>, Walked)> {
        if self.walk.interrupt.is_requested() {
            return Err(Error::Interrupted);
        }
        let at = dir.path.to_path(self.walk.root);
        let open = match OpenDir::open(&at) {
            // Removed since its own directory was listed.
            Err(error) if fs::is_missing(&error.source) => return Ok(self.none(dir)),
            open => open?,
        };
        let mut names = open.names()?;
        let is_top = dir.path == *self.walk.top;
        if !is_top && is_project(&open, &names)? {
            let (dirs, mut walked) = self.none(dir);
            walked.projects.push(dir.path.clone());
            return Ok((dirs, walked));
        }
        names.retain(|name| !is_temporary(name));
        if names.is_empty() && !is_top && dir.mode == Mode::Data {
            return Ok(self.empty(dir));
        }
        let inside = dir.around.enter_listed(&at, &names)?;
        let numbers: Vec<usize> = (0..names.len()).collect();
        let many = alone && names.len() >= MANY_NAMES;
        let seen = parallel::map(&numbers, many, |number| {
            let (name, kind) = (names.name(*number), names.kind(*number));
            self.look(dir, &inside, &open, name, kind)
        })?;
        let mut join = Join::new(self, dir);
        if !is_top {
            join.is_no_entry();
        }
        for (number, seen) in seen.into_iter().enumerate() {
            let Some(seen) = seen else { continue };
            join.take(names.name(number), seen, &at, &inside)?;
        }
        Ok(join.end())
    }

    fn look(
        &self,
        dir: &Dir,
        inside: &Ignored,
        open: &OpenDir,
        name: &OsStr,
        kind: Option<Kind>,
    ) -> Result<Option<Seen>> {
        if name == GIT_DIR {
            return Ok(None);
        }
        let mut stat = None;
        if kind.is_none() {
            stat = open.stat(name)?;
        }
        let Some(kind) = kind.or(stat.map(|stat| stat.kind)) else {
            return Ok(None);
        };
        let Some(mode) = self.mode_of(dir, inside, open, name, kind == Kind::Dir) else {
            return Ok(None);
        };
        let what = match kind {
            Kind::Dir => What::Dir,
            Kind::Link => match behind(&open.path().join(name))? {
                Behind::Elsewhere => What::Link,
                Behind::Object(stat) => What::File(stat),
                Behind::Nothing => return Ok(None),
            },
            Kind::File => match stat.map_or_else(|| open.stat(name), |stat| Ok(Some(stat)))? {
                None => return Ok(None),
                Some(stat) => return of_stat(&dir.path, name, mode, stat).map(Some),
            },
            kind => return Err(special(&dir.path, name, kind)),
        };
        Ok(Some(Seen { mode, what }))
    }

    /// By which rules something counts; `None` if it does not.
    fn mode_of(
        &self,
        dir: &Dir,
        inside: &Ignored,
        open: &OpenDir,
        name: &OsStr,
        is_dir: bool,
    ) -> Option<Mode> {
        if dir.mode == Mode::Data {
            let is_ignored =
                inside.esker_has_rules() && inside.by_esker(&open.path().join(name), is_dir);
            return (!is_ignored).then_some(Mode::Data);
        }
        let path = join(&dir.path, name).ok();
        let path = path.as_ref();
        if path.is_some_and(|path| self.tracked.paths.contains(path)) {
            return Some(Mode::Data);
        }
        let at = open.path().join(name);
        let is_free = || !inside.by_git(&at, is_dir) && !inside.by_esker(&at, is_dir);
        if dir.mode == Mode::Dependency && is_free() {
            return Some(Mode::Dependency);
        }
        let above = path.is_some_and(|path| self.tracked.above.contains(path));
        (is_dir && above).then_some(Mode::TrackedOnly)
    }

    /// A directory that is not there, or does not count.
    fn none(&self, dir: &Dir) -> (Vec<Dir>, Walked) {
        let mut join = Join::new(self, dir);
        join.is_no_entry();
        join.end()
    }

    /// A directory that holds nothing at all.
    fn empty(&self, dir: &Dir) -> (Vec<Dir>, Walked) {
        let mut join = Join::new(self, dir);
        let known = self.walk.index.known(dir.path.as_str());
        if !self.is_compared || known != Some(Known::EmptyDir) {
            let entry = (dir.path.clone(), Entry::EmptyDir);
            join.walked.others.push(entry);
        }
        join.end()
    }
}

/// Puts the names of a directory beside what the index knows of it; both ascend.
struct Join<'a> {
    act: &'a Act<'a>,
    dir: &'a Dir,
    known: Cursor<'a>,
    /// How long what all names in the index begin with is.
    prefix: usize,
    dirs: Vec<Dir>,
    walked: Walked,
}

impl<'a> Join<'a> {
    fn new(act: &'a Act<'a>, dir: &'a Dir) -> Self {
        Self {
            known: Cursor::new(act.walk.index, dir.path.as_str()),
            prefix: dir.path.as_str().len() + 1,
            act,
            dir,
            dirs: Vec::new(),
            walked: Walked::default(),
        }
    }

    /// What the index knows by the name of the directory itself is gone.
    fn is_no_entry(&mut self) {
        let name = self.dir.path.as_str();
        if self.act.is_compared && self.act.walk.index.known(name).is_some() {
            self.walked.gone.push(name.into());
        }
    }

    /// Takes the next name.
    fn take(&mut self, name: &OsStr, seen: Seen, at: &Path, inside: &Ignored) -> Result<()> {
        let bytes = name.as_encoded_bytes();
        self.pass(Some(bytes));
        let known = self.known.peek();
        let known = known.filter(|(known, _)| &known[self.prefix..] == bytes);
        if known.is_some() {
            self.known.next();
        }
        let place = known.map(|(_, place)| place);
        match seen.what {
            What::File(stat) => self.file(name, stat, place),
            What::Link => self.link(name, &at.join(name), place),
            What::Dir => {
                let (path, mode) = (join(&self.dir.path, name)?, seen.mode);
                let around = inside.clone();
                self.dirs.push(Dir { path, mode, around });
                Ok(())
            }
        }
    }

    fn file(&mut self, name: &OsStr, stat: Stat, place: Option<Place<'_>>) -> Result<()> {
        let record = place.and_then(|place| self.known.file(place));
        let record = record.filter(|record| record.matches(&stat));
        let is_stored = |id| self.act.walk.store.is_none_or(|store| store.has(id));
        match record.filter(|record| is_stored(record.id)) {
            Some(_) if self.act.is_compared => {}
            Some(record) => {
                let path = join(&self.dir.path, name)?;
                self.walked.others.push((path, record.entry()));
            }
            None => self.walked.files.push(OnDisk {
                path: join(&self.dir.path, name)?.into(),
                target: None,
                stat,
            }),
        }
        Ok(())
    }

    fn link(&mut self, name: &OsStr, at: &Path, place: Option<Place<'_>>) -> Result<()> {
        let path = join(&self.dir.path, name)?;
        let target = link_target(self.act.walk.top, &path, at)?;
        let known = place.and_then(|place| self.known.known(place));
        if !self.act.is_compared || known != Some(Known::Link(target.as_str().into())) {
            self.walked.others.push((path, Entry::Symlink { target }));
        }
        Ok(())
    }

    /// Goes past all that the index knows before a name: none of it is in this directory, but for
    /// what lies in directories below, which have their own turn.
    fn pass(&mut self, name: Option<&[u8]>) {
        while let Some((known, _)) = self.known.peek() {
            let below = &known[self.prefix..];
            if name.is_some_and(|name| below >= name) {
                return;
            }
            let dir = below.iter().position(|byte| *byte == b'/');
            let dir = dir.map(|end| &known[..self.prefix + end]);
            match dir.and_then(|dir| std::str::from_utf8(dir).ok()) {
                Some(dir) if !self.act.is_compared || self.is_listed(dir) => {
                    self.known.skip_to(&format!("{dir}0"));
                }
                _ => {
                    if self.act.is_compared {
                        let name = std::str::from_utf8(known);
                        self.walked.gone.extend(name.map(Box::<str>::from));
                    }
                    self.known.next();
                }
            }
        }
    }

    /// Whether a directory below is one that is walked.
    fn is_listed(&self, path: &str) -> bool {
        let found = self
            .dirs
            .binary_search_by(|dir| dir.path.as_str().cmp(path));
        found.is_ok()
    }

    fn end(mut self) -> (Vec<Dir>, Walked) {
        self.pass(None);
        (self.dirs, self.walked)
    }
}

/// What a link stands for.
enum Behind {
    /// Itself.
    Elsewhere,
    /// The object that it leads to.
    Object(Stat),
    /// An object that is gone.
    Nothing,
}

fn behind(at: &Path) -> Result<Behind> {
    if store::linked_object(&fs::read_link(at)?).is_none() {
        return Ok(Behind::Elsewhere);
    }
    let stat = link::object_stat(at)?;
    Ok(stat.map_or(Behind::Nothing, |stat| Behind::Object(Stat::from(&stat))))
}

/// What a file is that was taken for one by its directory.
fn of_stat(dir: &RelPath, name: &OsStr, mode: Mode, stat: Stat) -> Result<Seen> {
    let what = match stat.kind {
        Kind::File => What::File(stat),
        Kind::Dir => What::Dir,
        Kind::Link => What::Link,
        kind => return Err(special(dir, name, kind)),
    };
    Ok(Seen { mode, what })
}

fn special(dir: &RelPath, name: &OsStr, kind: Kind) -> Error {
    match join(dir, name) {
        Ok(path) => Error::Special {
            path,
            what: kind_name(kind),
        },
        Err(error) => error,
    }
}

/// Where a link points, which must lie inside the directory being walked.
fn link_target(top: &RelPath, path: &RelPath, at: &Path) -> Result<String> {
    let target = fs::read_link(at)?;
    let Some(text) = target.to_str() else {
        let name = format!("{path} -> {}", target.to_string_lossy());
        return Err(path::Error::NotUtf8(name).into());
    };
    let below = path.strip_prefix(top);
    if !below.is_some_and(|below| link::stays_inside(&below, text)) {
        let (path, target) = (path.clone(), text.to_owned());
        return Err(Error::LinkOutside { path, target });
    }
    Ok(text.to_owned())
}

fn join(dir: &RelPath, name: &OsStr) -> Result<RelPath> {
    let Some(name) = name.to_str() else {
        let name = format!("{dir}/{}", name.to_string_lossy());
        return Err(path::Error::NotUtf8(name).into());
    };
    Ok(RelPath::parse(&format!("{dir}/{name}"))?)
}

fn is_project(open: &OpenDir, names: &Names) -> Result<bool> {
    if !names.contains(PROJECT_FILE) {
        return Ok(false);
    }
    let stat = open.stat(OsStr::new(PROJECT_FILE))?;
    Ok(stat.is_some_and(|stat| stat.kind == Kind::File))
}

fn is_temporary(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(TEMP_PREFIX)
}
