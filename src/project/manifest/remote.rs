//! `[remote.NAME]`, and the rule that no secret stands in a file that git carries.

use std::collections::BTreeMap;

use super::RemoteSpec;
use super::paths::check_name;
use crate::project::Result;
use crate::project::layout::MANIFEST;
use crate::project::source::Section;

pub(super) const KNOWN: [&str; 7] = [
    "url",
    "default",
    "account_name",
    "endpoint_url",
    "region",
    "profile",
    "ca_bundle",
];
pub(super) const LATER: [&str; 5] = ["path_style", "sse", "sse_kms_key_id", "acl", "jobs"];

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
pub(super) fn remotes(section: &Section<'_>) -> Result<BTreeMap<String, RemoteSpec>> {
    let mut remotes = BTreeMap::new();
    let mut default = None;
    for found in section.sections() {
        let (name, section) = found?;
        check_name(&name, name.text, "remote")?;
        let remote = remote(&section)?;
        if remote.default
            && let Some(other) = default.replace(name.text)
        {
            let message = format!("`{other}` and `{}` are both the default remote", name.text);
            return Err(name.error(message));
        }
        remotes.insert(name.text.to_owned(), remote);
    }
    Ok(remotes)
}

/// Reads `[remote.NAME]`.
pub(super) fn remote(section: &Section<'_>) -> Result<RemoteSpec> {
    refuse_secrets(section)?;
    section.only(&KNOWN, &LATER)?;
    let text = |key| -> Result<Option<String>> {
        let Some(text) = section.text(key)? else {
            return Ok(None);
        };
        super::paths::plain(&text)?;
        if text.text.trim().is_empty() || text.text.contains(char::is_control) {
            return Err(text.error(format!("`{key}` is empty or holds a control character")));
        }
        Ok(Some(text.text.to_owned()))
    };
    let url = text("url")?;
    Ok(RemoteSpec {
        url: url.ok_or_else(|| section.error(format!("`[{}]` has no `url`", section.title())))?,
        default: section.flag("default", false)?,
        account_name: text("account_name")?,
        endpoint_url: text("endpoint_url")?,
        region: text("region")?,
        profile: text("profile")?,
        ca_bundle: text("ca_bundle")?,
    })
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
pub(super) fn secret_message(what: &str) -> String {
    format!("{what} is a secret, and secrets never belong in `{MANIFEST}`")
}

fn refuse_secrets(section: &Section<'_>) -> Result<()> {
    for entry in section.entries() {
        let key = entry.key.text;
        let name = key.to_lowercase().replace('-', "_");
        if SECRETS.iter().any(|part| name.contains(part)) {
            let message = secret_message(&format!("`{key}`"));
            return Err(entry.key.error_about_secret(key, &message));
        }
        if entry.as_str().is_some_and(has_password) {
            let message = secret_message(&format!("the password in `{key}`"));
            return Err(entry.key.error_about_secret(key, &message));
        }
    }
    Ok(())
}
