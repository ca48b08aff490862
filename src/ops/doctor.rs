//! `doctor`: what a bug report needs, and what is not as it should be.

use std::path::Path;

use super::projects::projects;
use super::{Result, Site, World};
use crate::fs;
use crate::git::Git;
use crate::store::{self, Flaw, Sharing};

/// What was looked at.
#[derive(Debug, serde::Serialize)]
pub struct DoctorReport {
    /// The version of esker.
    pub version: &'static str,
    /// The operating system and processor.
    pub platform: String,
    /// Everything that was checked.
    pub checks: Vec<Check>,
}

impl DoctorReport {
    /// Whether nothing is wrong.
    pub fn is_healthy(&self) -> bool {
        self.checks.iter().all(|check| check.ok)
    }
}

/// One thing that was looked at.
#[derive(Debug, serde::Serialize)]
pub struct Check {
    /// What.
    pub name: &'static str,
    /// Whether it is as it should be.
    pub ok: bool,
    /// What was found.
    pub detail: String,
}

/// Looks at everything and stops at nothing. What is wrong with the owners and modes of a shared
/// store is mended if that is asked for, and may be done.
pub fn doctor(world: &World<'_>, fix: bool) -> Result<DoctorReport> {
    let mut checks = vec![git_check(world)];
    match Site::open(world) {
        Ok(site) => checks.extend(site_checks(&site, fix)),
        Err(error) => checks.push(failed("project", &error)),
    }
    Ok(DoctorReport {
        version: env!("CARGO_PKG_VERSION"),
        platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        checks,
    })
}

fn git_check(world: &World<'_>) -> Check {
    match Git::discover(&world.cwd) {
        Ok(git) => passed("git", git.workdir().display().to_string()),
        Err(error) => failed("git", &error.into()),
    }
}

fn site_checks(site: &Site<'_>, fix: bool) -> Vec<Check> {
    let mut checks = vec![
        passed("project", site.layout.root.display().to_string()),
        projects_check(site),
        lock_check(site),
    ];
    let shared = shared_check(site, fix);
    checks.push(store_check(site));
    checks.extend(shared);
    checks.extend([hooks_check(site), remotes_check(site)]);
    checks
}

/// How many there are in the repository; two of one id would share what this clone remembers.
fn projects_check(site: &Site<'_>) -> Check {
    match projects(site.world) {
        Ok(projects) => passed("projects", format!("{} in this repository", projects.len())),
        Err(error) => failed("projects", &error),
    }
}

fn lock_check(site: &Site<'_>) -> Check {
    let checked = site.lock().and_then(|lock| {
        let graph = site.graph(&lock)?;
        Ok(format!(
            "{} tracked paths, {} stages",
            lock.data.len(),
            graph.stages().len()
        ))
    });
    match checked {
        Ok(detail) => passed("esker.lock", detail),
        Err(error) => failed("esker.lock", &error),
    }
}

/// Tries to write, because modes and owners do not tell all.
fn store_check(site: &Site<'_>) -> Check {
    let tried = site.prepare_store().and_then(|()| Ok(site.store.temp()?));
    match tried {
        Ok(_) => passed("store", site.store.root().display().to_string()),
        Err(error) => failed("store", &error),
    }
}

/// Whether all users of its group can use a shared store; nothing for one that is not shared.
fn shared_check(site: &Site<'_>, fix: bool) -> Option<Check> {
    const NAME: &str = "shared";
    let looked = || -> store::Result<Option<(Sharing, Vec<Flaw>)>> {
        let sharing = site.store.sharing(site.config.shared)?;
        let flaws = sharing.map(|sharing| Ok((sharing, site.store.flaws(sharing)?)));
        flaws.transpose()
    };
    let (sharing, found) = match looked() {
        Ok(found) => found?,
        Err(error) => return Some(failed(NAME, &error.into())),
    };
    let n_found = found.len();
    let left = match fix {
        true => site.store.mend(found),
        false => found,
    };
    let detail = match left.first() {
        None if n_found > 0 => format!("mended {n_found} owners or modes"),
        None => "all of it can be used by its group".to_owned(),
        Some(first) => flawed(site.store.root(), sharing, first, left.len(), fix),
    };
    let ok = left.is_empty();
    let name = NAME;
    Some(Check { name, ok, detail })
}

fn flawed(root: &Path, sharing: Sharing, first: &Flaw, n: usize, fixed: bool) -> String {
    let root = root.display();
    let Sharing { mode, group } = sharing;
    let step = match fixed {
        false => "`esker doctor --fix` mends what is yours".to_owned(),
        true => format!(
            "as root: chgrp -R {group} {root} && find {root} -type d -exec chmod {mode:o} {{}} + && find {root} -type f -exec chmod 444 {{}} +"
        ),
    };
    let Flaw { path, owner, .. } = first;
    let at = path.display();
    format!(
        "{n} with an owner or mode that shuts the group out, the first is `{at}` of user {owner}; {step}"
    )
}

fn hooks_check(site: &Site<'_>) -> Check {
    let dir = match site.git.hooks_dir() {
        Ok(dir) => dir,
        Err(error) => return failed("hooks", &error.into()),
    };
    let hook = fs::read_if_exists(&dir.join("post-checkout"));
    let installed = hook
        .ok()
        .flatten()
        .is_some_and(|bytes| String::from_utf8_lossy(&bytes).contains("esker hook"));
    let detail = match installed {
        true => "installed",
        false => "not installed in this clone (`esker install`)",
    };
    passed("hooks", detail.to_owned())
}

fn remotes_check(site: &Site<'_>) -> Check {
    let remotes = site.remotes.iter();
    let remotes: Vec<String> = remotes
        .map(|(name, remote)| format!("{name} {}", remote.url()))
        .collect();
    match remotes.is_empty() {
        true => passed("remotes", "none configured".to_owned()),
        false => passed("remotes", remotes.join(", ")),
    }
}

fn passed(name: &'static str, detail: String) -> Check {
    Check {
        name,
        ok: true,
        detail,
    }
}

fn failed(name: &'static str, error: &super::Error) -> Check {
    let mut detail = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        detail.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    Check {
        name,
        ok: false,
        detail,
    }
}
