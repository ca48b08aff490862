//! `remote add`, `list`, `set`, `rename`, `remove`, `trust`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::push::normal;
use super::{Error, Result, Site, World, did_you_mean};
use crate::fs;
use crate::project::{
    self, Config, Manifest, Origin, Remote, RemoteKey, RemoteSpec, Setting, layout::MANIFEST,
    manifest,
};

/// A configured remote.
#[derive(Debug, serde::Serialize)]
pub struct RemoteEntry {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// Whether it is used when none is named.
    pub default: bool,
    /// The file that says where it is.
    pub from: Origin,
    /// What is said of it, by key.
    pub keys: BTreeMap<&'static str, RemoteValue>,
    /// The place that would be shown keys, and that nobody has trusted in this clone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub untrusted: Option<String>,
}

/// What is said of a remote.
#[derive(Debug, serde::Serialize)]
pub struct RemoteValue {
    /// The value.
    pub value: Setting,
    /// The file that says it.
    pub from: Origin,
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

/// Adds a remote to a file. In `esker.toml` a directory is kept as it was typed, if it is absolute,
/// else made relative to the project; in a config it is made absolute.
pub fn remote_add(
    world: &World<'_>,
    name: &str,
    mut remote: RemoteSpec,
    origin: Origin,
) -> Result<RemoteEntry> {
    let site = Site::open(world)?;
    check_new(&site, name, origin)?;
    let typed = remote.url().unwrap_or_default().to_owned();
    let is_relative = !typed.contains("://") && !typed.starts_with('/');
    if origin == Origin::Project
        && is_relative
        && let Some(within) = &site.within
    {
        let url = Setting::Text(format!("{within}/{typed}"));
        remote.set(RemoteKey::Url, Some(url));
    }
    for key in RemoteKey::ALL {
        let value = remote.get(key).cloned();
        remote.set(key, value.map(|value| at_home(&site, origin, key, value)));
    }
    change(&site, origin, |file, text| {
        manifest::with_remote(file, text, name, &remote).map(Some)
    })?;
    let site = Site::open(world)?;
    if let Some(remote) = site.remotes.get(name) {
        site.trust(remote)?;
    }
    Ok(entry(&Site::open(world)?, name))
}

/// Gives one key of a remote a value, or takes it out.
pub fn remote_set(
    world: &World<'_>,
    name: &str,
    key: &str,
    value: Option<&str>,
    origin: Origin,
) -> Result<RemoteEntry> {
    let site = Site::open(world)?;
    check_known(&site, name, origin)?;
    let key = RemoteKey::of(key).ok_or_else(|| {
        let all = RemoteKey::ALL.map(RemoteKey::name).join("`, `");
        Error::RemoteKey(format!("a remote has no key `{key}`; it has `{all}`"))
    })?;
    if key == RemoteKey::Url && value.is_none() && origin == Origin::Project {
        return Err(Error::RemoteKey("a remote cannot be without `url`".into()));
    }
    let value = value.map(|typed| key.setting(typed)).transpose();
    let value = value.map_err(Error::RemoteKey)?;
    let value = value.map(|value| at_home(&site, origin, key, value));
    change(&site, origin, |file, text| {
        manifest::with_remote_key(file, text, name, key, value).map(Some)
    })?;
    let site = Site::open(world)?;
    if origin == Origin::Project {
        site.trust_typed(name, key)?;
    }
    Ok(entry(&site, name))
}

/// Gives a remote another name, also where this clone has it as its default, or has keys of it.
pub fn remote_rename(
    world: &World<'_>,
    old: &str,
    new: &str,
    origin: Origin,
) -> Result<RemoteEntry> {
    let site = Site::open(world)?;
    check_in(&site, old, origin)?;
    check_new(&site, new, origin)?;
    let in_config = |file: &str, text: &str| {
        let text = Config::with_renamed_remote(text, old, new)?;
        let renamed = manifest::with_renamed_remote(file, &text, old, new)?;
        Ok(Some(renamed.unwrap_or(text)))
    };
    if origin == Origin::Project {
        change(&site, origin, |file, text| {
            manifest::with_renamed_remote(file, text, old, new)
        })?;
        change(&site, Origin::Local, in_config)?;
    } else {
        change(&site, origin, in_config)?;
    }
    Ok(entry(&Site::open(world)?, new))
}

/// Says yes, for this clone, to the place that `esker.toml` names. Yields that place; none if the
/// remote shows its keys to nobody but a cloud, or where its user has said so.
pub fn remote_trust(world: &World<'_>, name: &str) -> Result<TrustReport> {
    let site = Site::open(world)?;
    let (name, remote) = site.remote(Some(name))?;
    site.trust(remote)?;
    Ok(TrustReport {
        name,
        endpoint: carried_endpoint(remote),
    })
}

/// Lists the remotes.
pub fn remote_list(world: &World<'_>) -> Result<RemotesReport> {
    let site = Site::open(world)?;
    let names = site.remotes.names();
    let remotes = names.map(|name| entry(&site, name)).collect();
    Ok(RemotesReport { remotes })
}

/// Removes a remote from a file; what it holds stays. Yields its name and whether another file
/// speaks of it still.
pub fn remote_remove(world: &World<'_>, name: &str, origin: Origin) -> Result<RemovedRemote> {
    let site = Site::open(world)?;
    check_in(&site, name, origin)?;
    change(&site, origin, |file, text| {
        manifest::without_remote(file, text, name)
    })?;
    let others = said_in(&site, name).filter(|other| *other != origin);
    Ok(RemovedRemote {
        name: name.to_owned(),
        from: origin,
        others: others.collect(),
    })
}

/// A remote that was taken out of a file.
#[derive(Debug, serde::Serialize)]
pub struct RemovedRemote {
    /// Its name.
    pub name: String,
    /// The file.
    pub from: Origin,
    /// Files that still speak of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Origin>,
}

fn entry(site: &Site<'_>, name: &str) -> RemoteEntry {
    // Of one with a few keys alone there is nothing more to say.
    let unknown = Remote::default();
    let remote = site.remotes.get(name).unwrap_or(&unknown);
    let keys = remote.values().map(|(key, value, from)| {
        let value = value.clone();
        (key.name(), RemoteValue { value, from })
    });
    RemoteEntry {
        name: name.to_owned(),
        url: remote.url().to_owned(),
        default: site.remotes.default(&site.config) == Some(name),
        from: remote.origin(),
        keys: keys.collect(),
        untrusted: site.untrusted(remote),
    }
}

/// A path that was typed for a config counts from where it was typed.
fn at_home(site: &Site<'_>, origin: Origin, key: RemoteKey, value: Setting) -> Setting {
    match value {
        Setting::Text(text)
            if origin != Origin::Project && key.is_path(&text) && !text.starts_with("~/") =>
        {
            Setting::Text(normal(site.world.cwd.join(text)))
        }
        value => value,
    }
}

/// The files that speak of a remote.
fn said_in(site: &Site<'_>, name: &str) -> impl Iterator<Item = Origin> {
    let project = site.manifest.remotes.contains_key(name);
    let configs = site.config.remotes.iter();
    let configs = configs.filter(|(_, remotes)| remotes.contains_key(name));
    let project = project.then_some(Origin::Project);
    project
        .into_iter()
        .chain(configs.map(|(origin, _)| *origin))
}

/// Refuses a name that cannot be, or that this clone knows already.
fn check_new(site: &Site<'_>, name: &str, origin: Origin) -> Result<()> {
    if !is_name(name) {
        return Err(Error::RemoteName(name.to_owned()));
    }
    let is_near =
        |other: Origin| matches!(other, Origin::Local | Origin::Project) || other == origin;
    match said_in(site, name).find(|other| is_near(*other)) {
        None => Ok(()),
        Some(_) => Err(Error::RemoteExists {
            name: name.to_owned(),
            url: site.remotes.get(name).map(|remote| remote.url().to_owned()),
        }),
    }
}

/// Refuses a remote that a file does not speak of.
fn check_in(site: &Site<'_>, name: &str, origin: Origin) -> Result<()> {
    if said_in(site, name).any(|other| other == origin) {
        return Ok(());
    }
    match said_in(site, name).next() {
        Some(found) => Err(Error::RemoteElsewhere {
            name: name.to_owned(),
            asked: origin,
            found,
        }),
        None => Err(site.unknown(name)),
    }
}

/// Refuses a remote of which nothing can be said in a file: `esker.toml` has whole ones.
fn check_known(site: &Site<'_>, name: &str, origin: Origin) -> Result<()> {
    match said_in(site, name).next() {
        Some(_) if origin != Origin::Project => Ok(()),
        _ => check_in(site, name, origin),
    }
}

fn is_name(name: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    !name.is_empty() && name.len() <= 64 && name.chars().all(good)
}

/// The place that `esker.toml` names, if the remote shows its keys there.
fn carried_endpoint(remote: &Remote) -> Option<String> {
    let (endpoint, origin) = remote.endpoint()?;
    (origin == Origin::Project).then_some(endpoint)
}

/// Rewrites a file, once the new text is known to be one of its kind.
fn change(
    site: &Site<'_>,
    origin: Origin,
    edit: impl FnOnce(&str, &str) -> project::Result<Option<String>>,
) -> Result<()> {
    let path = match origin {
        Origin::Project => site.layout.manifest(),
        _ => config_file(site, origin)?,
    };
    let file = match origin {
        Origin::Project => MANIFEST.to_owned(),
        _ => path.display().to_string(),
    };
    let old = fs::read_if_exists(&path)?.unwrap_or_default();
    let old = String::from_utf8_lossy(&old);
    let Some(new) = edit(&file, &old)?.filter(|new| *new != old) else {
        return Ok(());
    };
    match origin {
        Origin::Project => drop(Manifest::parse(&new)?),
        _ => Config::check(&file, &new)?,
    }
    fs::replace(&path, new.as_bytes())?;
    Ok(())
}

/// The config that a remote is written into. Of people who keep theirs elsewhere and a link to it,
/// the file that is meant, not the link.
fn config_file(site: &Site<'_>, origin: Origin) -> Result<PathBuf> {
    let path = Config::file(&site.layout, site.world.var, origin);
    let path = path.ok_or_else(|| {
        let message =
            "there is no place for your config: neither `XDG_CONFIG_HOME` nor `HOME` is set";
        Error::RemoteKey(message.to_owned())
    })?;
    Ok(path.canonicalize().unwrap_or(path))
}

impl Site<'_> {
    /// The remote of a name; without one the clone's default, the project's, or the only one.
    pub(super) fn remote(&self, name: Option<&str>) -> Result<(String, &Remote)> {
        let name = self.remote_name(name)?;
        match self.remotes.get(&name) {
            Some(remote) => Ok((name, remote)),
            None => Err(self.unknown(&name)),
        }
    }

    /// Why there is no remote of this name.
    fn unknown(&self, name: &str) -> Error {
        let origin = said_in(self, name).next();
        let suggestion = did_you_mean(name, self.remotes.names());
        let name = name.to_owned();
        match origin {
            Some(origin) => Error::RemoteWithoutUrl { name, origin },
            None => Error::UnknownRemote { name, suggestion },
        }
    }

    /// Refuses a place that only a file which git carries speaks for: a pull request must not send
    /// the keys of whoever checks it out to a place of its choice.
    pub(super) fn check_trust(&self, name: &str, remote: &Remote) -> Result<()> {
        match self.untrusted(remote) {
            None => Ok(()),
            Some(endpoint) => Err(Error::Untrusted {
                name: name.to_owned(),
                endpoint,
            }),
        }
    }

    fn untrusted(&self, remote: &Remote) -> Option<String> {
        let endpoint = carried_endpoint(remote);
        endpoint.filter(|endpoint| !self.config.trusted.contains(endpoint))
    }

    /// Whoever types the place that will see the keys has said yes to it.
    fn trust_typed(&self, name: &str, key: RemoteKey) -> Result<()> {
        let remote = self.remotes.get(name);
        match remote.filter(|remote| remote.endpoint_key() == Some(key)) {
            Some(remote) => self.trust(remote),
            None => Ok(()),
        }
    }

    fn trust(&self, remote: &Remote) -> Result<()> {
        match self.untrusted(remote) {
            None => Ok(()),
            Some(endpoint) => change(self, Origin::Local, |_, text| {
                Config::with_trusted(text, &endpoint).map(Some)
            }),
        }
    }

    fn remote_name(&self, name: Option<&str>) -> Result<String> {
        match name.or_else(|| self.remotes.default(&self.config)) {
            Some(name) => Ok(name.to_owned()),
            None => Err(match self.remotes.names().next() {
                None => Error::NoRemote,
                Some(_) => {
                    let names = self.remotes.names().map(str::to_owned);
                    Error::NoDefaultRemote(names.collect())
                }
            }),
        }
    }
}
