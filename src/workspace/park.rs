//! Bytes moved out of the way, by rename, so that nothing is ever lost.

use std::io;
use std::path::{Path, PathBuf};

use super::{Error, Result, link};
use crate::fs;
use crate::path::RelPath;

/// A place for one act's parked paths: `<park>/<unix nanos>-<verb>/<path>`.
#[derive(Debug)]
pub struct Park {
    /// Where this act parks.
    pub dir: PathBuf,
}

/// One parked path that can be put back.
#[derive(Debug)]
pub struct Parked {
    /// Where it came from.
    pub path: RelPath,
    /// Where it lies now.
    pub at: PathBuf,
}

/// All that one act parked and that still lies there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedAct {
    /// The name of its place, `<unix nanos>-<verb>`.
    pub id: String,
    /// When it was, in nanoseconds since 1970.
    pub nanos: u64,
    /// The verb.
    pub verb: String,
    /// Files, links and empty directories with their sizes, by path; a directory that holds a
    /// name no path can have counts as one.
    pub paths: Vec<(RelPath, u64)>,
    dir: PathBuf,
}

/// What lies in the park, newest first. What is not esker's is passed over.
pub fn parked_acts(parks: &Path) -> Result<Vec<ParkedAct>> {
    let mut acts = places(parks)?;
    for act in &mut acts {
        list_parked(&act.dir, None, &mut act.paths)?;
        act.paths.sort();
    }
    acts.retain(|act| !act.paths.is_empty());
    Ok(acts)
}

/// Removes for good what was parked before a moment, and says what that was.
pub fn expire_parked(parks: &Path, before: u64) -> Result<Vec<ParkedAct>> {
    let mut expired = parked_acts(parks)?;
    expired.retain(|act| act.nanos < before);
    for act in &expired {
        fs::remove_dir_all(&act.dir)?;
    }
    Ok(expired)
}

impl ParkedAct {
    /// Moves one parked path back to where it was; nothing may be there.
    pub fn restore(&self, root: &Path, path: &RelPath) -> Result<()> {
        link::check_parents(root, path)?;
        let (at, target) = (path.to_path(&self.dir), path.to_path(root));
        if fs::metadata(&at)?.is_none() {
            return Err(missing(&at));
        }
        if fs::metadata(&target)?.is_some() {
            return Err(Error::Occupied(path.clone()));
        }
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        move_new(&at, &target, path)?;
        prune(&at, path);
        Ok(())
    }
}

/// The places of all acts, newest first, without what they hold.
fn places(parks: &Path) -> Result<Vec<ParkedAct>> {
    let mut acts = Vec::new();
    if !fs::metadata(parks)?.is_some_and(|stat| stat.is_dir()) {
        return Ok(acts);
    }
    for name in fs::list_dir(parks)? {
        let dir = parks.join(&name);
        let is_dir = fs::metadata(&dir)?.is_some_and(|stat| stat.is_dir());
        let Some((nanos, verb)) = name.to_str().and_then(|name| name.split_once('-')) else {
            continue;
        };
        if let Ok(nanos) = nanos.parse()
            && is_dir
        {
            acts.push(ParkedAct {
                id: name.to_string_lossy().into_owned(),
                nanos,
                verb: verb.to_owned(),
                paths: Vec::new(),
                dir,
            });
        }
    }
    acts.sort_by(|a, b| (b.nanos, &b.id).cmp(&(a.nanos, &a.id)));
    Ok(acts)
}

/// Lists what lies at a path of a park (`None` is the place itself), depth first.
fn list_parked(
    place: &Path,
    path: Option<&RelPath>,
    found: &mut Vec<(RelPath, u64)>,
) -> Result<()> {
    let at = path.map_or(place.to_path_buf(), |path| path.to_path(place));
    let Some(stat) = fs::metadata(&at)? else {
        return Ok(());
    };
    if !stat.is_dir() {
        let size = if stat.is_file() { stat.len() } else { 0 };
        found.extend(path.map(|path| (path.clone(), size)));
        return Ok(());
    }
    let names = fs::list_dir(&at)?;
    let child = |name: &std::ffi::OsString| {
        let name = RelPath::parse(name.to_str()?).ok()?;
        Some(path.map_or(name.clone(), |dir| dir.join(&name)))
    };
    let children: Vec<Option<RelPath>> = names.iter().map(child).collect();
    let mut below = Vec::new();
    for child in children.iter().flatten() {
        list_parked(place, Some(child), &mut below)?;
    }
    // An empty directory, or one that can only come back whole.
    let whole = names.is_empty() || children.contains(&None);
    match path {
        Some(path) if whole => {
            found.push((path.clone(), below.iter().map(|(_, size)| size).sum()));
        }
        _ => found.extend(below),
    }
    Ok(())
}

impl Park {
    /// Names a fresh place; nothing is created until something is parked.
    pub fn new(parks: &Path, verb: &str) -> Self {
        let mut nanos = fs::now_nanos();
        let mut dir = place(parks, nanos, verb);
        while dir.symlink_metadata().is_ok() {
            nanos = nanos.wrapping_add(1);
            dir = place(parks, nanos, verb);
        }
        Self { dir }
    }

    /// Moves a file or directory of the project away; `None` if nothing is there.
    pub fn park(&self, root: &Path, path: &RelPath) -> Result<Option<Parked>> {
        link::check_parents(root, path)?;
        let from = path.to_path(root);
        if fs::metadata(&from)?.is_none() {
            return Ok(None);
        }
        let at = self.free_place(path)?;
        move_new(&from, &at, path)?;
        let path = path.clone();
        Ok(Some(Parked { path, at }))
    }

    /// Copies a file or directory there and leaves it (for outputs that a run updates).
    pub fn copy(&self, root: &Path, path: &RelPath) -> Result<Option<Parked>> {
        link::check_parents(root, path)?;
        let from = path.to_path(root);
        if fs::metadata(&from)?.is_none() {
            return Ok(None);
        }
        let at = self.free_place(path)?;
        copy_all(&from, &at, path)?;
        let path = path.clone();
        Ok(Some(Parked { path, at }))
    }

    /// Puts a parked path back, replacing what a failed run left in its place.
    pub fn restore(root: &Path, parked: Parked) -> Result<()> {
        let Parked { path, at } = parked;
        link::check_parents(root, &path)?;
        let target = path.to_path(root);
        if fs::metadata(&at)?.is_none() {
            // What was parked is gone: what a failed run left is better than nothing.
            return Err(missing(&at));
        }
        remove_all(&target)?;
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        move_new(&at, &target, &path)?;
        prune(&at, &path);
        Ok(())
    }

    /// Drops a parked path whose bytes are safe elsewhere, and the place if it is empty then.
    pub fn discard(&self, parked: Parked) -> Result<()> {
        let Parked { path, at } = parked;
        remove_all(&at)?;
        prune(&at, &path);
        Ok(())
    }

    /// Where `path` can lie: below this act's place, or below a neighbour of it if that name is
    /// taken, so that nothing parked is ever written over.
    fn free_place(&self, path: &RelPath) -> Result<PathBuf> {
        let mut dir = self.dir.clone();
        let mut n_tries = 0_u32;
        loop {
            let at = path.to_path(&dir);
            let parent = at.parent().unwrap_or(&dir);
            let open = match fs::create_dir_all(parent) {
                Ok(()) => fs::metadata(&at)?.is_none(),
                Err(error) if is_occupied(&error.source) && n_tries < 1_000 => false,
                Err(error) => return Err(error.into()),
            };
            if open {
                return Ok(at);
            }
            n_tries += 1;
            dir = next_place(&self.dir, n_tries);
        }
    }
}

fn place(parks: &Path, nanos: u64, verb: &str) -> PathBuf {
    parks.join(format!("{nanos}-{verb}"))
}

fn next_place(dir: &Path, step: u32) -> PathBuf {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    let (nanos, verb) = name.split_once('-').unwrap_or((&name, "park"));
    let nanos: u64 = nanos.parse().unwrap_or_default();
    dir.with_file_name(format!("{}-{verb}", nanos.wrapping_add(step.into())))
}

fn is_occupied(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory
    )
}

fn missing(at: &Path) -> Error {
    Error::Fs(fs::Error {
        action: "find",
        path: at.to_path_buf(),
        source: io::ErrorKind::NotFound.into(),
    })
}

/// Moves to a name that is free: by rename, or across file systems by a flushed copy.
pub(super) fn move_new(from: &Path, to: &Path, path: &RelPath) -> Result<()> {
    let is_dir = fs::metadata(from)?.is_some_and(|stat| stat.is_dir());
    let renamed = if is_dir {
        fs::rename(from, to).map(|()| true)
    } else {
        fs::rename_new(from, to)
    };
    match renamed {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::Occupied(path.clone())),
        Err(error) if error.source.kind() == io::ErrorKind::CrossesDevices => {
            copy_all(from, to, path)?;
            remove_all(from)
        }
        Err(error) => Err(error.into()),
    }
}

/// Copies a file, a link, or a directory with all below it, and asks the disk to keep it.
fn copy_all(from: &Path, to: &Path, path: &RelPath) -> Result<()> {
    let mut todo = vec![(from.to_path_buf(), to.to_path_buf())];
    while let Some((from, to)) = todo.pop() {
        let Some(stat) = fs::metadata(&from)? else {
            continue;
        };
        if stat.is_dir() {
            fs::create_dir_all(&to)?;
            for name in fs::list_dir(&from)? {
                todo.push((from.join(&name), to.join(&name)));
            }
        } else if stat.is_symlink() {
            fs::symlink(&fs::read_link(&from)?, &to)?;
        } else if stat.is_file() {
            copy_file(&from, &to, &stat)?;
        } else {
            let (path, what) = (path.clone(), super::scan::special_name(&stat));
            return Err(Error::Special { path, what });
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path, stat: &fs::Metadata) -> Result<()> {
    fs::copy(from, to)?;
    fs::set_executable(to, fs::is_executable(stat))?;
    Ok(fs::sync_file(to)?)
}

fn remove_all(at: &Path) -> Result<()> {
    match fs::metadata(at)? {
        Some(stat) if stat.is_dir() => Ok(fs::remove_dir_all(at)?),
        Some(_) => Ok(fs::remove_file(at)?),
        None => Ok(()),
    }
}

/// Removes the directories between a parked path and its park that are empty now. They hold
/// nothing, so a failure is no harm.
fn prune(at: &Path, path: &RelPath) {
    let n_levels = path.components().count();
    for dir in at.ancestors().skip(1).take(n_levels) {
        if !fs::remove_dir_if_empty(dir).unwrap_or(false) {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sandbox(tempfile::TempDir);

    impl Sandbox {
        fn new() -> Self {
            let sandbox = Self(tempfile::tempdir().unwrap());
            fs::create_dir_all(&sandbox.root().join("dir/deep")).unwrap();
            sandbox.write("dir/deep/file", b"bytes");
            fs::set_executable(&sandbox.root().join("dir/deep/file"), true).unwrap();
            fs::symlink(Path::new("deep/file"), &sandbox.root().join("dir/link")).unwrap();
            sandbox
        }
        fn root(&self) -> PathBuf {
            self.0.path().join("project")
        }
        fn parks(&self) -> PathBuf {
            self.0.path().join("parks")
        }
        fn write(&self, name: &str, bytes: &[u8]) {
            fs::replace(&self.root().join(name), bytes).unwrap();
        }
        fn is_whole(&self) -> bool {
            let file = self.root().join("dir/deep/file");
            fs::read(&file).unwrap() == b"bytes"
                && fs::is_executable(&fs::metadata(&file).unwrap().unwrap())
                && fs::read_link(&self.root().join("dir/link")).unwrap() == Path::new("deep/file")
        }
    }

    fn path(text: &str) -> RelPath {
        RelPath::parse(text).unwrap()
    }

    #[test]
    fn a_parked_directory_comes_back_over_what_a_run_left() {
        let sandbox = Sandbox::new();
        let park = Park::new(&sandbox.parks(), "repro");
        assert!(!sandbox.parks().exists());
        assert!(park.park(&sandbox.root(), &path("none")).unwrap().is_none());
        let parked = park.park(&sandbox.root(), &path("dir")).unwrap().unwrap();
        assert_eq!(parked.at, park.dir.join("dir"));
        assert!(!sandbox.root().join("dir").exists());
        sandbox.write("dir", b"left by a failed run");
        Park::restore(&sandbox.root(), parked).unwrap();
        assert!(sandbox.is_whole());
        assert!(!park.dir.exists() && sandbox.parks().exists());
    }

    #[test]
    fn a_copy_leaves_the_path_and_undoes_its_change() {
        let sandbox = Sandbox::new();
        let park = Park::new(&sandbox.parks(), "repro");
        let parked = park.copy(&sandbox.root(), &path("dir")).unwrap().unwrap();
        assert!(sandbox.is_whole());
        sandbox.write("dir/deep/file", b"changed");
        Park::restore(&sandbox.root(), parked).unwrap();
        assert!(sandbox.is_whole());
    }

    #[test]
    fn a_discarded_path_is_gone_with_its_place() {
        let sandbox = Sandbox::new();
        let park = Park::new(&sandbox.parks(), "repro");
        let file = park.park(&sandbox.root(), &path("dir/deep/file")).unwrap();
        let link = park.park(&sandbox.root(), &path("dir/link")).unwrap();
        park.discard(file.unwrap()).unwrap();
        assert!(park.dir.join("dir/link").symlink_metadata().is_ok());
        park.discard(link.unwrap()).unwrap();
        assert!(!park.dir.exists());
    }

    #[test]
    fn the_same_path_parked_twice_is_there_twice() {
        let sandbox = Sandbox::new();
        let park = Park::new(&sandbox.parks(), "checkout");
        let bytes: [&[u8]; 3] = [b"one", b"two", b"three"];
        let mut places = Vec::new();
        for bytes in bytes {
            sandbox.write("x", bytes);
            places.push(park.park(&sandbox.root(), &path("x")).unwrap().unwrap().at);
        }
        // A file is parked where this directory would have to be.
        fs::create_dir_all(&sandbox.root().join("x")).unwrap();
        sandbox.write("x/y", b"four");
        let below = park.park(&sandbox.root(), &path("x/y")).unwrap().unwrap();
        assert_eq!(fs::read(&below.at).unwrap(), b"four");
        for (place, bytes) in places.iter().zip(bytes) {
            assert_eq!(fs::read(place).unwrap(), bytes);
        }
    }

    #[test]
    fn two_parks_with_one_name_do_not_mix() {
        let sandbox = Sandbox::new();
        let first = Park::new(&sandbox.parks(), "checkout");
        let second = Park {
            dir: first.dir.clone(),
        };
        sandbox.write("x", b"one");
        let one = first.park(&sandbox.root(), &path("x")).unwrap().unwrap();
        sandbox.write("x", b"two");
        let two = second.park(&sandbox.root(), &path("x")).unwrap().unwrap();
        assert_eq!(fs::read(&one.at).unwrap(), b"one");
        assert_eq!(fs::read(&two.at).unwrap(), b"two");
    }

    #[test]
    fn nothing_is_parked_through_a_link() {
        let sandbox = Sandbox::new();
        let outside = sandbox.0.path().join("outside");
        fs::create_dir_all(&outside).unwrap();
        fs::write_new(&outside.join("x"), b"mine").unwrap();
        fs::symlink(&outside, &sandbox.root().join("out")).unwrap();
        let park = Park::new(&sandbox.parks(), "checkout");
        let error = park.park(&sandbox.root(), &path("out/x")).unwrap_err();
        assert!(matches!(error, Error::LinkedParent(_)));
        assert_eq!(fs::read(&outside.join("x")).unwrap(), b"mine");
    }

    #[test]
    fn what_was_parked_is_listed_newest_first() {
        let sandbox = Sandbox::new();
        assert_eq!(parked_acts(&sandbox.parks()).unwrap(), []);
        sandbox.write("x", b"one");
        let first = Park::new(&sandbox.parks(), "checkout");
        first.park(&sandbox.root(), &path("x")).unwrap();
        fs::create_dir_all(&sandbox.root().join("dir/empty")).unwrap();
        let second = Park::new(&sandbox.parks(), "failed-train");
        second.park(&sandbox.root(), &path("dir")).unwrap();
        // What is not esker's.
        fs::write_new(&sandbox.parks().join("17-file"), b"").unwrap();
        fs::create_dir_all(&sandbox.parks().join("no-time/x")).unwrap();
        let acts = parked_acts(&sandbox.parks()).unwrap();
        let told: Vec<String> = acts
            .iter()
            .map(|act| {
                let paths = act.paths.iter();
                let paths = paths.map(|(path, size)| format!("{path}:{size}"));
                format!("{} {}", act.verb, paths.collect::<Vec<_>>().join(" "))
            })
            .collect();
        let expected = [
            "failed-train dir/deep/file:5 dir/empty:0 dir/link:0",
            "checkout x:3",
        ];
        assert_eq!(told, expected);
        for parked in &acts[0].paths {
            acts[0].restore(&sandbox.root(), &parked.0).unwrap();
        }
        assert!(sandbox.is_whole() && sandbox.root().join("dir/empty").is_dir());
        assert!(!second.dir.exists());
        assert!(acts[0].restore(&sandbox.root(), &path("dir/link")).is_err());
    }

    #[test]
    fn a_directory_with_a_name_that_no_path_has_comes_back_whole() {
        let sandbox = Sandbox::new();
        fs::create_dir_all(&sandbox.root().join("dir/deep/.git")).unwrap();
        let park = Park::new(&sandbox.parks(), "checkout");
        park.park(&sandbox.root(), &path("dir")).unwrap();
        let acts = parked_acts(&sandbox.parks()).unwrap();
        let paths: Vec<&str> = acts[0]
            .paths
            .iter()
            .map(|(path, _)| path.as_str())
            .collect();
        assert_eq!(paths, ["dir/deep", "dir/link"]);
        for (path, _) in &acts[0].paths {
            acts[0].restore(&sandbox.root(), path).unwrap();
        }
        assert!(sandbox.is_whole() && sandbox.root().join("dir/deep/.git").is_dir());
    }

    #[test]
    fn only_what_is_old_expires() {
        let sandbox = Sandbox::new();
        sandbox.write("x", b"one");
        let old = Park {
            dir: sandbox.parks().join("1000-checkout"),
        };
        old.park(&sandbox.root(), &path("x")).unwrap();
        sandbox.write("x", b"two");
        let new = Park::new(&sandbox.parks(), "checkout");
        new.park(&sandbox.root(), &path("x")).unwrap();
        let expired = expire_parked(&sandbox.parks(), 2000).unwrap();
        assert_eq!(expired.len(), 1);
        assert!(!old.dir.exists() && new.dir.join("x").exists());
    }

    #[test]
    fn a_lost_parked_path_leaves_what_is_there() {
        let sandbox = Sandbox::new();
        let at = sandbox.parks().join("gone");
        let path = path("dir");
        assert!(Park::restore(&sandbox.root(), Parked { path, at }).is_err());
        assert!(sandbox.is_whole());
    }
}
