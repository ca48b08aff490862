//! The project that a verb works on, as it was found.

use std::collections::BTreeMap;
use std::mem::ManuallyDrop;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::record::Record;
use super::{Error, Result, did_you_mean};
use crate::fs::{self, LockGuard};
use crate::git::{self, Git, Rev};
use crate::path::RelPath;
use crate::pipeline::{self, Graph};
use crate::progress::{Event, Interrupt, Progress};
use crate::project::layout::{LOCK, MANIFEST};
use crate::project::{
    Claim, Claims, Config, Held, Holder, Layout, Lock, Manifest, Remotes, StageSpec,
};
use crate::store::{self, Entered, Store};
use crate::workspace::{self, Index, Scanner};

/// What lies outside the project: where the command was given, what its environment says, who
/// listens, and who may ask it to stop.
pub struct World<'w> {
    /// The directory the command was given in.
    pub cwd: PathBuf,
    /// Reads a variable of the environment.
    pub var: &'w (dyn Fn(&str) -> Option<String> + Sync),
    /// What was called, for those who have to wait for it.
    pub command: &'w str,
    /// Who listens.
    pub progress: &'w dyn Progress,
    /// Who may ask to stop.
    pub interrupt: &'w Interrupt,
}

impl<'w> World<'w> {
    /// The same world as seen from another directory, with another listener.
    pub fn within(&self, cwd: PathBuf, progress: &'w dyn Progress) -> Self {
        Self {
            cwd,
            progress,
            ..*self
        }
    }
}

/// A project, its repository and its store.
pub struct Site<'w> {
    /// What lies outside.
    pub world: &'w World<'w>,
    /// The repository.
    pub git: Git,
    /// Where everything lies.
    pub layout: Layout,
    /// What people wrote.
    pub manifest: Manifest,
    /// Settings of this clone.
    pub config: Config,
    /// The remotes, as both name them.
    pub remotes: Remotes,
    /// The objects.
    pub store: Store,
    /// What this and other eskers have claimed.
    pub claims: Claims,
    /// The directory the command was given in, below the project's root; `None` is the root or
    /// a place outside.
    pub within: Option<RelPath>,
}

/// The right to change all of a project, until it is dropped.
#[derive(Debug)]
pub struct Guard {
    _record: LockGuard,
    _claim: Held,
}

/// Where a project lies, before anything of it is read.
struct Place {
    git: Git,
    cwd: PathBuf,
    root: PathBuf,
}

impl Place {
    fn find(world: &World<'_>) -> Result<Self> {
        let git = Git::discover(&world.cwd)?;
        let cwd = canonical(&world.cwd);
        let root = Layout::find_root(&cwd, git.workdir())?;
        Ok(Self { git, cwd, root })
    }
}

impl<'w> Site<'w> {
    /// Finds the project at or above the current directory.
    pub fn open(world: &'w World<'w>) -> Result<Self> {
        Self::at(world, Place::find(world)?)
    }

    /// The same, and what is recorded: both are read at the same time. Neither is ever freed: it
    /// would take longer than much of what is done with them, right before the process ends.
    pub(super) fn open_with_record(
        world: &'w World<'w>,
    ) -> Result<(ManuallyDrop<Self>, ManuallyDrop<Record>)> {
        let place = Place::find(world)?;
        let lock = place.root.join(LOCK);
        std::thread::scope(|scope| {
            let record = scope.spawn(|| Record::read(&lock));
            let site = Self::at(world, place);
            let record = record.join().unwrap_or_else(|panic| resume_unwind(panic));
            Ok((ManuallyDrop::new(site?), ManuallyDrop::new(record?)))
        })
    }

    fn at(world: &'w World<'w>, place: Place) -> Result<Self> {
        let Place { git, cwd, root } = place;
        let manifest = Manifest::load(&root.join(MANIFEST))?;
        let layout = Layout {
            workdir: git.workdir().to_path_buf(),
            shared: git.common_dir().join("esker"),
            local: git.dir().join("esker").join(&manifest.id),
            root,
        };
        let config = Config::load(&layout, world.var)?;
        let place = config.store.clone().unwrap_or_else(|| layout.store());
        let usual = store::Settings::default();
        let settings = store::Settings {
            durability: config.durability.unwrap_or(usual.durability),
            pack_below: config.pack_below.unwrap_or(usual.pack_below),
        };
        let mut store = Store::with(&place, settings);
        if let Some(links) = &config.links {
            store = store.with_links(links);
        }
        let claims = Claims::new(layout.claims());
        let remotes = Remotes::new(&manifest, &config);
        let within = cwd.strip_prefix(&layout.root).ok();
        let within = within.and_then(|path| RelPath::from_native(path).ok());
        Ok(Self {
            world,
            git,
            layout,
            manifest,
            config,
            remotes,
            store,
            claims,
            within,
        })
    }

    /// Takes the right to change all of this project, waiting for other eskers if need be: those
    /// that run stages are over with them then. Sees to it that the store can be used.
    pub fn guard(&self) -> Result<Guard> {
        let guard = self.guard_without_store()?;
        self.prepare_store()?;
        Ok(guard)
    }

    /// The same, for what needs no store.
    pub fn guard_without_store(&self) -> Result<Guard> {
        let everything = Claim {
            writes: vec![self.layout.root.clone()],
            ..Claim::default()
        };
        let mut told = None;
        // The claim comes first: who has it waits for the record only as long as others write it.
        let claim = self.retry(|| {
            let claim = self.claim(&everything)?;
            Ok(claim
                .map_err(|holder| self.tell_waiting(&mut told, &holder))
                .ok())
        })?;
        let record = self.record_guard()?;
        self.sweep();
        Ok(Guard {
            _record: record,
            _claim: claim,
        })
    }

    /// Takes the right to change this project's record, for a moment.
    pub fn record_guard(&self) -> Result<LockGuard> {
        self.hold(&self.layout.guard())
    }

    /// Claims paths and names, or says who has some of them. Inside of a stage nobody can wait for
    /// that: the esker that runs the stage has claims too, and waits for the stage.
    pub fn claim(&self, wanted: &Claim) -> Result<std::result::Result<Held, Holder>> {
        let taken = self.claims.take(wanted, self.world.command)?;
        match (taken, (self.world.var)("ESKER_STAGE")) {
            (Err(holder), Some(stage)) => Err(Error::InsideStage {
                stage,
                what: self.shown(&holder),
                holder: holder.command,
            }),
            (taken, _) => Ok(taken),
        }
    }

    /// What somebody has, as it is called in this project; the project itself is nothing.
    fn shown(&self, holder: &Holder) -> String {
        let root = self.layout.root.display().to_string();
        let what = holder.what.strip_prefix(&root).unwrap_or(&holder.what);
        what.trim_start_matches('/').to_owned()
    }

    /// Tells for whom this esker waits, once for each.
    pub fn tell_waiting(&self, told: &mut Option<u32>, holder: &Holder) {
        if told.replace(holder.pid) != Some(holder.pid) {
            self.world.progress.event(Event::Waiting {
                holder: Some((holder.pid, &holder.command)),
                what: &self.shown(holder),
            });
        }
    }

    /// Takes a lock file; while another process holds it, waits, and says for whom. An interrupt
    /// ends the wait.
    pub(super) fn hold(&self, path: &Path) -> Result<LockGuard> {
        self.wait_for("", || {
            let guard = LockGuard::try_acquire(path, self.world.command)?;
            Ok(guard.ok_or_else(|| LockGuard::holder(path)))
        })
    }

    /// Tries until something is had; while somebody else has it, waits, and says for whom, once.
    pub(super) fn wait_for<T>(
        &self,
        what: &str,
        mut attempt: impl FnMut() -> Result<std::result::Result<T, Option<fs::Holder>>>,
    ) -> Result<T> {
        let mut is_told = false;
        self.retry(|| {
            let holder = match attempt()? {
                Ok(had) => return Ok(Some(had)),
                Err(holder) => holder,
            };
            if !std::mem::replace(&mut is_told, true) {
                let holder = holder.as_ref();
                let holder = holder.map(|holder| (holder.pid, &*holder.command));
                let progress = self.world.progress;
                progress.event(Event::Waiting { holder, what });
            }
            Ok(None)
        })
    }

    /// Tries again and again until something is had. An interrupt ends it.
    fn retry<T>(&self, mut attempt: impl FnMut() -> Result<Option<T>>) -> Result<T> {
        const GLANCE: Duration = Duration::from_millis(50);
        loop {
            if let Some(had) = attempt()? {
                return Ok(had);
            }
            if self.world.interrupt.wait(GLANCE) {
                return Err(Error::Interrupted);
            }
        }
    }

    /// Sees to it that the store can be used, before anything is put into it.
    pub fn prepare_store(&self) -> Result<()> {
        let clone = self.git.common_dir();
        let is_own = self.store.root().starts_with(clone);
        if !is_own {
            self.store.check_place()?;
        }
        let shared = self.store.share(self.config.shared);
        let prepared = shared.map_err(Error::from).and_then(|()| {
            self.enter_store()?;
            if is_own {
                return Ok(());
            }
            Ok(self.store.register(clone)?)
        });
        match prepared {
            // It may still be read from. Whoever must write to it will be told.
            Err(Error::Store(store::Error::Unwritable { .. })) => Ok(()),
            prepared => prepared,
        }
    }

    /// Takes a share of the store, so that nothing is collected that is found there, waiting for
    /// a collection if need be. Says whether there was one since the share was given back.
    pub(super) fn enter_store(&self) -> Result<bool> {
        self.wait_for("the store", || {
            Ok(match self.store.enter()? {
                Entered::Same => Ok(false),
                Entered::Collected => Ok(true),
                Entered::Busy(holder) => Err(holder),
            })
        })
    }

    /// Removes what killed processes left behind where esker writes for itself, and puts there what
    /// a fresh clone lacks.
    pub fn sweep(&self) {
        self.store.sweep();
        // A comfort for editors: whatever is wrong with it is no reason to stop.
        let _ = super::init::keep_schema(&self.layout.schema());
        let Layout { root, local, .. } = &self.layout;
        let dirs = [self.layout.tmp(), self.layout.spool(), self.layout.runs()];
        for dir in [root, local].into_iter().chain(&dirs) {
            fs::sweep(dir);
        }
    }

    /// Fails if somebody asked to stop.
    pub fn check_interrupt(&self) -> Result<()> {
        if self.world.interrupt.is_requested() {
            return Err(Error::Interrupted);
        }
        Ok(())
    }

    /// What is recorded now.
    pub fn lock(&self) -> Result<Lock> {
        Ok(self.record()?.lock)
    }

    /// The same, and what it was read from.
    pub(super) fn record(&self) -> Result<Record> {
        Record::read(&self.layout.lock())
    }

    /// What is recorded now, even if it cannot be.
    pub fn lock_as_it_is(&self) -> Result<Lock> {
        Ok(Lock::load(&self.layout.lock())?)
    }

    /// What a commit records; a commit without a lock records nothing.
    pub fn lock_at(&self, rev: &Rev) -> Result<Lock> {
        match self.read_at(rev, LOCK)? {
            Some(bytes) => Ok(Lock::from_bytes(&bytes)?),
            None => Ok(Lock::default()),
        }
    }

    /// The bytes of a file of this project at a commit.
    pub fn read_at(&self, rev: &Rev, path: &str) -> Result<Option<Vec<u8>>> {
        match self.repo_path(path) {
            Some(path) => Ok(self.git.read_at(rev, &path)?),
            None => Ok(None),
        }
    }

    /// A path of this project as git names it: relative to the top of the working tree, `../`
    /// resolved. `None` if it climbs out of the repository.
    pub fn repo_path(&self, path: &str) -> Option<String> {
        let prefix = self.layout.root.strip_prefix(&self.layout.workdir).ok()?;
        let prefix = prefix.to_str().filter(|text| !text.is_empty());
        let within = prefix.map(RelPath::parse).transpose().ok()?;
        let path = RelPath::resolve(within.as_ref(), path).ok()??;
        Some(path.as_str().to_owned())
    }

    /// The graph of all stages.
    pub fn graph(&self, lock: &Lock) -> Result<Graph> {
        let tracked: Vec<RelPath> = lock.data.keys().cloned().collect();
        Ok(Graph::build(self.stages()?, &tracked)?)
    }

    /// All stages, cells of matrices apart, with every expression filled in.
    pub fn stages(&self) -> Result<BTreeMap<String, Arc<StageSpec>>> {
        let mut files = BTreeMap::new();
        if pipeline::needs_params(&self.manifest) {
            for file in &self.manifest.params {
                if let Some(values) = super::facts::read_values(self, file)? {
                    files.insert(file.clone(), values);
                }
            }
        }
        Ok(pipeline::resolve(&self.manifest, &files)?)
    }

    /// Takes a path that a person typed in the current directory.
    pub fn path(&self, typed: &str) -> Result<RelPath> {
        let relative = match Path::new(typed).is_absolute() {
            true => {
                let outside = || crate::path::Error::Outside(typed.to_owned());
                let below = Path::new(typed).strip_prefix(&self.layout.root);
                let below = below.map_err(|_| outside())?;
                RelPath::resolve(None, below.to_str().ok_or_else(outside)?)?
            }
            false => RelPath::resolve(self.within.as_ref(), typed)?,
        };
        relative.ok_or_else(|| Error::WholeProject(typed.to_owned()))
    }

    /// Fails at a path that is another project or lies in one.
    pub fn refuse_nested(&self, path: &RelPath) -> Result<()> {
        for dir in path.ancestors().chain([path.clone()]) {
            let manifest = dir.to_path(&self.layout.root).join(MANIFEST);
            if fs::metadata(&manifest)?.is_some_and(|found| found.is_file()) {
                return Err(workspace::Error::Nested(dir).into());
            }
        }
        Ok(())
    }

    /// Takes paths that must be tracked, be outputs, hold such paths or lie inside them.
    pub fn stored_paths(&self, lock: &Lock, typed: &[String]) -> Result<Vec<RelPath>> {
        let stored = super::content::stored(lock);
        let known = |path: &RelPath| stored.keys().any(|root| root.overlaps(path));
        typed
            .iter()
            .map(|text| {
                let path = self.path(text)?;
                if known(&path) {
                    return Ok(path);
                }
                let names = stored.keys().map(RelPath::as_str);
                Err(Error::NotTracked {
                    target: text.clone(),
                    suggestion: did_you_mean(path.as_str(), names),
                })
            })
            .collect()
    }

    /// A scanner that only looks.
    pub fn scanner<'i>(&'i self, index: &'i mut Index) -> Scanner<'i> {
        Scanner {
            root: &self.layout.root,
            index,
            store: &self.store,
            keeps: false,
            passed: None,
            progress: self.world.progress,
            interrupt: self.world.interrupt,
        }
    }

    /// A scanner that stores what it reads.
    pub fn storing_scanner<'i>(&'i self, index: &'i mut Index) -> Scanner<'i> {
        Scanner {
            keeps: true,
            ..self.scanner(index)
        }
    }

    /// Reads the stat index.
    pub fn index(&self) -> Index {
        Index::load(&self.layout.index())
    }

    /// Writes the lock after all it names is safe on disk, then the ignore list that follows
    /// from it. Says whether the lock changed.
    pub fn save(&self, lock: &Lock) -> Result<bool> {
        self.store.flush()?;
        let changed = lock.save(&self.layout.lock())?;
        self.save_ignores(lock)?;
        Ok(changed)
    }

    /// Keeps the store in few files, at the end of an act that may have stored much. It is no
    /// part of the act, so a failure is left to the next one.
    pub(super) fn tend_store(&self) {
        let _ = self.store.tend();
    }

    fn save_ignores(&self, lock: &Lock) -> Result<()> {
        let paths: Vec<RelPath> = super::content::stored(lock).into_keys().collect();
        let file = self.layout.root.join(".gitignore");
        let old = fs::read_if_exists(&file)?.unwrap_or_default();
        let old = String::from_utf8_lossy(&old);
        let new = git::ignore_block(&old, &paths);
        if new != old {
            fs::replace(&file, new.as_bytes())?;
        }
        Ok(())
    }
}

/// The real path of a directory; itself where that cannot be had.
fn canonical(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}
