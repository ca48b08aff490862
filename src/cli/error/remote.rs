//! What to do when a remote is not the one that was meant, refuses, is not there, or is damaged.

use super::super::exit::{CANNOT, DATA, REMOTE};
use super::{CliError, advice};
use crate::ops;
use crate::project::Origin;
use crate::remote::{Error, Lack};

/// Names an error of what is said of remotes, and says what to do.
pub(super) fn configuration_error(error: &ops::Error, text: String) -> CliError {
    use ops::Error;
    match error {
        Error::NoRemote => CliError::new("E0401", CANNOT, text).hint("esker remote add NAME URL"),
        Error::NoDefaultRemote(_) => CliError::new("E0402", CANNOT, text)
            .hint("name one with `--remote`, or write `default = true` below one in esker.toml"),
        Error::UnknownRemote { suggestion, .. } => CliError::new("E0403", CANNOT, text)
            .hint("esker remote list")
            .suggest(suggestion.as_deref()),
        Error::RemoteExists { name, .. } => CliError::new("E0404", CANNOT, text).hint(format!(
            "take another name, or change it: esker remote set {name} KEY VALUE"
        )),
        Error::RemoteElsewhere { found, .. } => {
            CliError::new("E0409", CANNOT, text).hint(match found {
                Origin::Local => "add `--local`",
                Origin::Project => "leave `--local` and `--user` out",
                Origin::User => "add `--user`",
                Origin::System => "its owner changes that file by hand",
            })
        }
        Error::RemoteWithoutUrl { .. } => CliError::new("E0410", CANNOT, text)
            .hint("if the name is right, the project has no such remote here: esker remote list"),
        Error::Untrusted { name, .. } => CliError::new("E0406", REMOTE, text)
            .detail("nothing was sent there")
            .hint(format!("if that is right: esker remote trust {name}")),
        Error::RemoteName(_) => CliError::new("E0405", CANNOT, text),
        _ => CliError::new("E0407", CANNOT, text),
    }
}

/// Names an error of a remote and says what to do.
pub(super) fn remote_error(error: &Error, text: String) -> CliError {
    match error {
        Error::Store(error) => advice::store_error(error, text),
        Error::Fs(_) => CliError::new("E0901", CANNOT, text),
        Error::Tree(_) => CliError::new("E0508", DATA, text),
        Error::Pack(_) => CliError::new("E0506", DATA, text),
        Error::Interrupted => advice::advise(&ops::Error::Interrupted),
        Error::Unreachable { .. } => CliError::new("E0411", REMOTE, text)
            .detail("what was sent or received is kept; run it again to go on")
            .hint("check the url with `esker remote list`, and the network"),
        Error::Denied {
            remote,
            url,
            key_source,
            ..
        } => CliError::new("E0412", REMOTE, text).hint(denied(remote, url, key_source)),
        Error::Expired { key_source, .. } => CliError::new("E0420", REMOTE, text)
            .detail("what was sent or received is kept; run it again to go on")
            .hint(expired(key_source)),
        Error::NoCredentials {
            url,
            key_source,
            lack,
            ..
        } => CliError::new("E0413", REMOTE, text).hint(match &**lack {
            Lack::Login(profile) => format!("aws sso login --profile {profile}"),
            Lack::Connection => "check the network; HTTPS_PROXY names a proxy, and AWS_CA_BUNDLE an authority to trust".to_owned(),
            Lack::Key => no_credentials(url, key_source).to_owned(),
        }),
        Error::Elsewhere { remote, region, .. } => CliError::new("E0421", REMOTE, text)
            .hint(format!("esker remote set {remote} region {region}")),
        Error::Clock { .. } => CliError::new("E0422", REMOTE, text)
            .hint("compare it with what `date --utc` says here, and set the clock of this machine"),
        Error::NoBucket { .. } => CliError::new("E0414", REMOTE, text)
            .hint("create it, or correct the url in esker.toml"),
        Error::MissingDirectory { .. } => CliError::new("E0415", REMOTE, text)
            .hint("if it is a mount, mount it; if nothing was pushed yet: esker push"),
        Error::UnknownScheme { .. } => CliError::new("E0416", CANNOT, text)
            .hint("this version knows directories, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX, ssh://USER@HOST/PATH and, to pull from, https://HOST/PATH"),
        Error::NoRoom { needed, free } => advice::no_room(*needed, *free),
        Error::ReadOnly { .. } => CliError::new("E0419", REMOTE, text)
            .hint("push to where the server takes its files from, and pull from here"),
        Error::TooNew { .. } => CliError::new("E0417", REMOTE, text).hint("upgrade esker"),
        Error::Protocol { .. } => CliError::new("E0418", REMOTE, text),
        Error::Damaged { .. } => CliError::new("E0506", DATA, text)
            .detail("nothing of it was taken for data")
            .hint("push again from a clone that has the data"),
    }
}

fn no_credentials(url: &str, key_source: &str) -> &'static str {
    match url.split_once("://") {
        Some(("az", _)) => {
            "sign in with `az login`, or set AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN"
        }
        Some(("gs", _)) => {
            "sign in with `gcloud auth application-default login`, or name the key file of a service account in \
             GOOGLE_APPLICATION_CREDENTIALS"
        }
        _ if key_source.starts_with("profile `")
            && key_source.ends_with('`')
            && key_source != "profile `default`" =>
        {
            "correct that profile in ~/.aws/config or ~/.aws/credentials, or name another: profile = \"…\""
        }
        _ => {
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile below the remote: profile = \"…\""
        }
    }
}

fn expired(key_source: &str) -> String {
    if key_source == "AWS_ACCESS_KEY_ID" {
        return "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN to a new key"
            .to_owned();
    }
    if key_source.starts_with("AZURE_STORAGE_") {
        return format!("make a new shared access signature, and set {key_source} to it");
    }
    match key_source.split('`').nth(1) {
        Some(profile) => format!(
            "write a new key into that profile, or sign in again: aws sso login --profile {profile}"
        ),
        None => "sign in again".to_owned(),
    }
}

fn denied(remote: &str, url: &str, key_source: &str) -> String {
    if url.starts_with("az://") {
        return "check that key, and its rights on the container; for whoever signed in to push, that is \
                the role `Storage Blob Data Contributor`"
            .to_owned();
    }
    if url.starts_with("gs://") {
        return "check that login, and its rights on the bucket: to push takes the role `Storage Object User`"
            .to_owned();
    }
    match key_source.starts_with("profile") {
        true => format!(
            "check the keys of that profile, or name another below `[remote.{remote}]`: profile = \"…\""
        ),
        false => format!(
            "check that key, or name a profile below `[remote.{remote}]`, which beats the environment: profile = \"…\""
        ),
    }
}
