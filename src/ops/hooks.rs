//! `install`, `uninstall`, and what the hooks themselves do.

use std::path::Path;

use super::checkout::{CheckoutReport, switch};
use super::push::{PushOutcome, TransferOptions, push};
use super::selection::Selection;
use super::{Result, Site, World};
use crate::git::{self, Git, HookReport};
use crate::project::{Origin, Remote};

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
/// nowhere to send to, and nothing to stop. Remotes that a user or a machine has for whatever
/// project count only if one of them is the default.
pub fn before_push(world: &World<'_>) -> Result<Option<PushOutcome>> {
    let site = Site::open(world)?;
    let is_own = |remote: &Remote| remote.is_in(Origin::Project) || remote.is_in(Origin::Local);
    let has_own = site.remotes.iter().any(|(_, remote)| is_own(remote));
    if !has_own && site.remotes.default(&site.config).is_none() {
        return Ok(None);
    }
    push(world, &TransferOptions::default()).map(Some)
}
