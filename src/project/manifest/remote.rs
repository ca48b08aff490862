//! `[remote.NAME]`, in `esker.toml` and in the config of a clone, a user or a machine; and the rule
//! that no secret stands in any of them.

use std::collections::BTreeMap;

use super::paths::check_name;
use crate::project::Result;
use crate::project::layout::MANIFEST;
use crate::project::source::{Section, Text};

/// A key of `[remote.NAME]`, in the order in which they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RemoteKey {
    /// `url`: a directory, or a url.
    Url,
    /// `default`: whether it is used when none is named.
    Default,
    /// `account_name`, for Azure: the storage account.
    AccountName,
    /// `endpoint_url`: another server than that of the cloud.
    EndpointUrl,
    /// `region`, for S3.
    Region,
    /// `profile`, for S3: that of the shared AWS config.
    Profile,
    /// `ca_bundle`: a file with authorities to trust besides those of the system.
    CaBundle,
    /// `path_style`, for S3: whether the path names the bucket, not the host.
    PathStyle,
    /// `sse`, for S3: how the server encrypts what it keeps.
    Sse,
    /// `sse_kms_key_id`, for S3: with which key.
    SseKmsKeyId,
    /// `acl`, for S3: who may do what with the objects.
    Acl,
    /// `jobs`: how many transfers at once.
    Jobs,
}

/// What values a key may have.
enum Kind {
    /// A text.
    Text,
    /// One of these texts.
    Word(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// A number up to this one.
    Number(i64),
}

/// The grants that S3 has a name for.
pub(super) const ACLS: [&str; 7] = [
    "private",
    "public-read",
    "public-read-write",
    "authenticated-read",
    "aws-exec-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
];

/// No line gains from more transfers at once.
const MAX_JOBS: i64 = 256;

/// The value of a key.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(untagged)]
pub enum Setting {
    /// A string.
    Text(String),
    /// `true` or `false`.
    Flag(bool),
    /// A whole number.
    Number(i64),
}

/// What one file says of a remote: all of it, or some keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemoteSpec(BTreeMap<RemoteKey, Setting>);

impl RemoteKey {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Url,
        Self::Default,
        Self::AccountName,
        Self::EndpointUrl,
        Self::Region,
        Self::Profile,
        Self::CaBundle,
        Self::PathStyle,
        Self::Sse,
        Self::SseKmsKeyId,
        Self::Acl,
        Self::Jobs,
    ];

    fn kind(self) -> Kind {
        match self {
            Self::Default | Self::PathStyle => Kind::Flag,
            Self::Jobs => Kind::Number(MAX_JOBS),
            Self::Sse => Kind::Word(&["AES256", "aws:kms"]),
            Self::Acl => Kind::Word(&ACLS),
            _ => Kind::Text,
        }
    }

    /// Whether it means something to S3 alone, so that elsewhere it must not be passed over.
    pub fn is_for_s3(self) -> bool {
        matches!(
            self,
            Self::PathStyle | Self::Sse | Self::SseKmsKeyId | Self::Acl
        )
    }

    /// Whether this value of it is a path.
    pub fn is_path(self, text: &str) -> bool {
        match self {
            Self::Url => !text.contains("://"),
            Self::CaBundle => true,
            _ => false,
        }
    }

    /// How it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Url => "url",
            Self::Default => "default",
            Self::AccountName => "account_name",
            Self::EndpointUrl => "endpoint_url",
            Self::Region => "region",
            Self::Profile => "profile",
            Self::CaBundle => "ca_bundle",
            Self::PathStyle => "path_style",
            Self::Sse => "sse",
            Self::SseKmsKeyId => "sse_kms_key_id",
            Self::Acl => "acl",
            Self::Jobs => "jobs",
        }
    }

    /// The key of a name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.name() == name)
    }

    /// The value that somebody typed; the error is for people.
    pub fn setting(self, typed: &str) -> std::result::Result<Setting, String> {
        let must = |want: String| Err(format!("`{}` must be {want}", self.name()));
        match (self.kind(), typed) {
            (Kind::Flag, "true") => Ok(Setting::Flag(true)),
            (Kind::Flag, "false") => Ok(Setting::Flag(false)),
            (Kind::Flag, _) => must("`true` or `false`".to_owned()),
            (Kind::Number(most), _) => match typed.parse() {
                Ok(number) if (1..=most).contains(&number) => Ok(Setting::Number(number)),
                _ => must(format!("a whole number from 1 to {most}")),
            },
            (Kind::Word(words), _) if !words.contains(&typed) => must(one_of(words)),
            (Kind::Word(_) | Kind::Text, _) => Ok(Setting::Text(typed.to_owned())),
        }
    }

    /// What is wrong with a text, in a file that travels with git or in one that does not.
    fn wrong(self, text: &str, travels: bool) -> Option<String> {
        let name = self.name();
        if text.trim().is_empty() || text.contains(char::is_control) {
            return Some(format!("`{name}` is empty or holds a control character"));
        }
        if let Kind::Word(words) = self.kind()
            && !words.contains(&text)
        {
            return Some(format!("`{name}` must be {}", one_of(words)));
        }
        // A relative path counts from the project, and a config is for many of them.
        let is_fixed = text.starts_with('/') || text.starts_with("~/");
        (self.is_path(text) && !travels && !is_fixed)
            .then(|| format!("`{name}` must be absolute or begin with `~/` here"))
    }
}

impl Setting {
    /// The string, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Flag(_) | Self::Number(_) => None,
        }
    }
}

impl RemoteSpec {
    /// The value of a key.
    pub fn get(&self, key: RemoteKey) -> Option<&Setting> {
        self.0.get(&key)
    }

    /// Gives a key a value, or takes it out.
    pub fn set(&mut self, key: RemoteKey, value: Option<Setting>) {
        match value {
            Some(value) => drop(self.0.insert(key, value)),
            None => drop(self.0.remove(&key)),
        }
    }

    /// All keys that have a value.
    pub fn iter(&self) -> impl Iterator<Item = (RemoteKey, &Setting)> {
        self.0.iter().map(|(key, value)| (*key, value))
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where it is, if that is said.
    pub fn url(&self) -> Option<&str> {
        self.get(RemoteKey::Url)?.as_text()
    }

    /// Whether it is said to be the default.
    pub fn is_default(&self) -> bool {
        self.get(RemoteKey::Default) == Some(&Setting::Flag(true))
    }
}

impl FromIterator<(RemoteKey, Setting)> for RemoteSpec {
    fn from_iter<I: IntoIterator<Item = (RemoteKey, Setting)>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

fn one_of(words: &[&str]) -> String {
    format!("one of `{}`", words.join("`, `"))
}

/// Parts of keys whose values open doors.
const SECRETS: [&str; 8] = [
    "access_key",
    "account_key",
    "api_key",
    "private_key",
    "credential",
    "passw",
    "secret",
    "token",
];

/// Reads `[remote]`.
pub(in crate::project) fn remotes(section: &Section<'_>) -> Result<BTreeMap<String, RemoteSpec>> {
    let mut remotes = BTreeMap::new();
    let mut default = None;
    for found in section.sections() {
        let (name, section) = found?;
        check_name(&name, name.text, "remote")?;
        let remote = remote(&section)?;
        if remote.is_default()
            && let Some(other) = default.replace(name.text)
        {
            let message = format!("`{other}` and `{}` are both the default remote", name.text);
            return Err(name.error(message));
        }
        remotes.insert(name.text.to_owned(), remote);
    }
    Ok(remotes)
}

/// Reads `[remote.NAME]`. In `esker.toml` it is whole; elsewhere it may be a few keys of one that
/// another file names.
pub(super) fn remote(section: &Section<'_>) -> Result<RemoteSpec> {
    refuse_secrets(section)?;
    section.only(&RemoteKey::ALL.map(RemoteKey::name), &[])?;
    let travels = section.file() == MANIFEST;
    let mut remote = RemoteSpec::default();
    for key in RemoteKey::ALL {
        let value = match key.kind() {
            Kind::Flag => section.given_flag(key.name())?.map(Setting::Flag),
            Kind::Number(most) => {
                let number = section.number(key.name(), 1..most + 1)?;
                number.map(Setting::Number)
            }
            Kind::Text | Kind::Word(_) => match section.text(key.name())? {
                Some(text) => Some(Setting::Text(checked(key, &text, travels)?.to_owned())),
                None => None,
            },
        };
        remote.set(key, value);
    }
    if travels && remote.url().is_none() {
        return Err(section.error(format!("`[{}]` has no `url`", section.title())));
    }
    Ok(remote)
}

fn checked<'a>(key: RemoteKey, text: &Text<'a>, travels: bool) -> Result<&'a str> {
    super::paths::plain(text)?;
    match key.wrong(text.text, travels) {
        Some(message) => Err(text.error(message)),
        None => Ok(text.text),
    }
}

/// Whether a URL carries a password: `scheme://user:password@host`. A password may hold a
/// slash; a port may not be taken for one.
pub(super) fn has_password(url: &str) -> bool {
    let Some((_, rest)) = url.split_once("://") else {
        return false;
    };
    let Some((user, rest)) = rest.split_once(':') else {
        return false;
    };
    let Some((password, _)) = rest.rsplit_once('@') else {
        return false;
    };
    let port = password
        .split_once('/')
        .is_some_and(|(port, _)| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()));
    !user.contains('/') && !password.is_empty() && !port
}

/// What is said of a secret, without saying it.
pub(super) fn secret_message(what: &str, file: &str) -> String {
    format!("{what} is a secret, and secrets never belong in `{file}`")
}

fn refuse_secrets(section: &Section<'_>) -> Result<()> {
    let file = section.file();
    for entry in section.entries() {
        let key = entry.key.text;
        let name = key.to_lowercase().replace('-', "_");
        if SECRETS.iter().any(|part| name.contains(part)) {
            let message = secret_message(&format!("`{key}`"), file);
            return Err(entry.key.error_about_secret(key, &message));
        }
        if entry.as_str().is_some_and(has_password) {
            let message = secret_message(&format!("the password in `{key}`"), file);
            return Err(entry.key.error_about_secret(key, &message));
        }
    }
    Ok(())
}
