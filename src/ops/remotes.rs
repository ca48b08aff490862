//! `remote add`, `list`, `set`, `rename`, `remove`, `trust`.

use super::{Error, Result, Site, World, did_you_mean};
use crate::fs;
use crate::project::{Config, Manifest, RemoteSpec, manifest};

/// A configured remote.
#[derive(Debug, serde::Serialize)]
pub struct RemoteEntry {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// Whether it is used when none is named.
    pub default: bool,
    /// The place that would be shown keys, and that nobody has trusted in this clone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub untrusted: Option<String>,
}

/// What was trusted.
#[derive(Debug, serde::Serialize)]
pub struct TrustReport {
    /// The remote's name.
    pub name: String,
    /// The place, if it needs trust at all.
    pub endpoint: Option<String>,
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
    // Whoever types the url has seen it.
    site.trust(&remote)?;
    Ok(entry(name, &remote))
}

/// Gives one key of a remote a value, or takes it out.
pub fn remote_set(
    world: &World<'_>,
    name: &str,
    key: &str,
    value: Option<&str>,
) -> Result<RemoteEntry> {
    let site = Site::open(world)?;
    let (name, old) = site.remote(Some(name))?;
    let mut remote = old.clone();
    set_key(&mut remote, key, value)?;
    change(&site, |text| {
        manifest::with_remote(text, &name, &remote).map(Some)
    })?;
    if matches!(key, "url" | "endpoint_url") {
        site.trust(&remote)?;
    }
    Ok(entry(&name, &remote))
}

fn set_key(remote: &mut RemoteSpec, key: &str, value: Option<&str>) -> Result<()> {
    const KEYS: [&str; 7] = [
        "url",
        "default",
        "account_name",
        "endpoint_url",
        "region",
        "profile",
        "ca_bundle",
    ];
    let text = || value.map(str::to_owned);
    match (key, value) {
        ("url", Some(url)) => url.clone_into(&mut remote.url),
        ("url", None) => return Err(Error::RemoteKey("a remote cannot be without `url`".into())),
        ("default", Some("true")) => remote.default = true,
        ("default", None | Some("false")) => remote.default = false,
        ("default", Some(_)) => {
            return Err(Error::RemoteKey(
                "`default` must be `true` or `false`".into(),
            ));
        }
        ("account_name", _) => remote.account_name = text(),
        ("endpoint_url", _) => remote.endpoint_url = text(),
        ("region", _) => remote.region = text(),
        ("profile", _) => remote.profile = text(),
        ("ca_bundle", _) => remote.ca_bundle = text(),
        _ => {
            let all = KEYS.join("`, `");
            let message = format!("a remote has no key `{key}`; it has `{all}`");
            return Err(Error::RemoteKey(message));
        }
    }
    Ok(())
}

/// Gives a remote another name, also where this clone has it as its default.
pub fn remote_rename(world: &World<'_>, old: &str, new: &str) -> Result<RemoteEntry> {
    let site = Site::open(world)?;
    let (old, remote) = site.remote(Some(old))?;
    if !is_name(new) {
        return Err(Error::RemoteName(new.to_owned()));
    }
    if let Some(other) = site.manifest.remotes.get(new) {
        return Err(Error::RemoteExists {
            name: new.to_owned(),
            url: other.url.clone(),
        });
    }
    change(&site, |text| {
        manifest::with_renamed_remote(text, &old, new, remote).map(Some)
    })?;
    site.change_config(|text| Config::with_renamed_remote(text, &old, new))?;
    Ok(entry(new, remote))
}

/// Says yes, for this clone, to the place that `esker.toml` names. Yields that place; none if the
/// remote shows its keys to nobody but a cloud.
pub fn remote_trust(world: &World<'_>, name: &str) -> Result<TrustReport> {
    let site = Site::open(world)?;
    let (name, remote) = site.remote(Some(name))?;
    site.trust(remote)?;
    Ok(TrustReport {
        name,
        endpoint: remote.endpoint(),
    })
}

/// Lists the remotes.
pub fn remote_list(world: &World<'_>) -> Result<RemotesReport> {
    let site = Site::open(world)?;
    let remotes = site.manifest.remotes.iter();
    let default = site.remote_name(None).ok();
    let remotes = remotes.map(|(name, remote)| RemoteEntry {
        default: default.as_deref() == Some(name),
        untrusted: site.untrusted(remote),
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
        untrusted: None,
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

    /// Refuses a place that only a file which git carries speaks for: a pull request must not send
    /// the keys of whoever checks it out to a place of its choice.
    pub(super) fn check_trust(&self, name: &str, remote: &RemoteSpec) -> Result<()> {
        match self.untrusted(remote) {
            None => Ok(()),
            Some(endpoint) => Err(Error::Untrusted {
                name: name.to_owned(),
                endpoint,
            }),
        }
    }

    fn untrusted(&self, remote: &RemoteSpec) -> Option<String> {
        let endpoint = remote.endpoint();
        endpoint.filter(|endpoint| !self.config.trusted.contains(endpoint))
    }

    fn trust(&self, remote: &RemoteSpec) -> Result<()> {
        match self.untrusted(remote) {
            None => Ok(()),
            Some(endpoint) => self.change_config(|text| Config::with_trusted(text, &endpoint)),
        }
    }

    /// Rewrites the config of this clone, if the change is one.
    fn change_config(
        &self,
        edit: impl FnOnce(&str) -> crate::project::Result<String>,
    ) -> Result<()> {
        let path = self.layout.config();
        let old = fs::read_if_exists(&path)?.unwrap_or_default();
        let old = String::from_utf8_lossy(&old);
        let new = edit(&old)?;
        if new != old {
            fs::replace(&path, new.as_bytes())?;
        }
        Ok(())
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
