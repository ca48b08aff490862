//! `install`, `uninstall`, and what the hooks themselves do.

use std::path::Path;

use super::checkout::{CheckoutReport, switch};
use super::push::{PushReport, TransferOptions, push};
use super::selection::Selection;
use super::{Result, Site, World};
use crate::git::{self, Git, HookReport};

/// Installs the hooks into this clone.
pub fn install(world: &World<'_>, program: &Path) -> Result<HookReport> {
    let git = Git::discover(&world.cwd)?;
    Ok(git::install_hooks(&git, program)?)
}

/// Removes them again.
pub fn uninstall(world: &World<'_>) -> Result<HookReport> {
    let git = Git::discover(&world.cwd)?;
    Ok(git::uninstall_hooks(&git)?)
}

/// Switches data after git switched: checks out what the lock records now, from the store alone.
/// `None` for a checkout in the midst of a rebase or merge, when the lock may change again at once;
/// the hooks at their end find git busy too, and switch all the same.
pub fn after_switch(world: &World<'_>, hook: &str) -> Result<Option<CheckoutReport>> {
    let site = Site::open(world)?;
    if hook == "post-checkout" && site.git.is_busy() {
        return Ok(None);
    }
    let _guard = site.guard()?;
    let lock = site.lock()?;
    switch(&site, &lock, &Selection::default(), false).map(Some)
}

/// Sends data before git sends commits. `None` if the project has no remote: then there is
/// nowhere to send to, and nothing to stop.
pub fn before_push(world: &World<'_>) -> Result<Option<PushReport>> {
    let site = Site::open(world)?;
    if site.manifest.remotes.is_empty() {
        return Ok(None);
    }
    push(world, &TransferOptions::default()).map(Some)
}
