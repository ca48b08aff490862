//! `remote add`, `remote list`, `remote remove`.

use super::{Error, Result, Site, World, did_you_mean};
use crate::fs;
use crate::project::{Manifest, RemoteSpec, manifest};

/// A configured remote.
#[derive(Debug, serde::Serialize)]
pub struct RemoteEntry {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// Whether it is used when none is named.
    pub default: bool,
}

/// All remotes.
#[derive(Debug, serde::Serialize)]
pub struct RemotesReport {
    /// By name.
    pub remotes: Vec<RemoteEntry>,
}

/// Adds a remote to `esker.toml`. A directory is kept as it was typed, if it is absolute, else
/// made relative to the project.
pub fn remote_add(world: &World<'_>, name: &str, mut remote: RemoteSpec) -> Result<RemoteEntry> {
    let site = Site::open(world)?;
    if !is_name(name) {
        return Err(Error::RemoteName(name.to_owned()));
    }
    if let Some(old) = site.manifest.remotes.get(name) {
        return Err(Error::RemoteExists {
            name: name.to_owned(),
            url: old.url.clone(),
        });
    }
    let is_relative = !remote.url.contains("://") && !remote.url.starts_with('/');
    if is_relative && let Some(within) = &site.within {
        remote.url = format!("{within}/{}", remote.url);
    }
    change(&site, |text| {
        manifest::with_remote(text, name, &remote).map(Some)
    })?;
    Ok(entry(name, &remote))
}

/// Lists the remotes.
pub fn remote_list(world: &World<'_>) -> Result<RemotesReport> {
    let site = Site::open(world)?;
    let remotes = site.manifest.remotes.iter();
    let default = site.remote_name(None).ok();
    let remotes = remotes.map(|(name, remote)| RemoteEntry {
        default: default.as_deref() == Some(name),
        ..entry(name, remote)
    });
    Ok(RemotesReport {
        remotes: remotes.collect(),
    })
}

/// Removes a remote from `esker.toml`; what it holds stays.
pub fn remote_remove(world: &World<'_>, name: &str) -> Result<RemoteEntry> {
    let site = Site::open(world)?;
    let remote = site.remote(Some(name))?.1.clone();
    change(&site, |text| manifest::without_remote(text, name))?;
    Ok(entry(name, &remote))
}

fn entry(name: &str, remote: &RemoteSpec) -> RemoteEntry {
    RemoteEntry {
        name: name.to_owned(),
        url: remote.url.clone(),
        default: remote.default,
    }
}

fn is_name(name: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    !name.is_empty() && name.len() <= 64 && name.chars().all(good)
}

/// Rewrites `esker.toml`, once the new text is known to be one.
fn change(
    site: &Site<'_>,
    edit: impl FnOnce(&str) -> crate::project::Result<Option<String>>,
) -> Result<()> {
    let path = site.layout.manifest();
    let old = String::from_utf8_lossy(&fs::read(&path)?).into_owned();
    if let Some(new) = edit(&old)? {
        Manifest::parse(&new)?;
        fs::replace(&path, new.as_bytes())?;
    }
    Ok(())
}

impl Site<'_> {
    /// The remote of a name; without one the clone's default, the project's, or the only one.
    pub(super) fn remote(&self, name: Option<&str>) -> Result<(String, &RemoteSpec)> {
        let name = self.remote_name(name)?;
        let remotes = &self.manifest.remotes;
        match remotes.get(&name) {
            Some(remote) => Ok((name, remote)),
            None => Err(Error::UnknownRemote {
                suggestion: did_you_mean(&name, remotes.keys().map(String::as_str)),
                name,
            }),
        }
    }

    fn remote_name(&self, name: Option<&str>) -> Result<String> {
        let remotes = &self.manifest.remotes;
        match name.or_else(|| self.config.default_remote(&self.manifest)) {
            Some(name) => Ok(name.to_owned()),
            None if remotes.is_empty() => Err(Error::NoRemote),
            None => Err(Error::NoDefaultRemote(remotes.keys().cloned().collect())),
        }
    }
}
