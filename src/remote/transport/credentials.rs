//! Where the key for S3 comes from, and what else a profile says.
//!
//! `aws-config` knows every source that the tools of AWS know: static keys, `credential_process`,
//! single sign-on, assumed roles, web identity, containers, instances. This file puts them in
//! order, remembers which one answered (a refused key must be named together with its source),
//! and hands them to `object_store`, which has no profiles of its own.
//!
//! A profile that the remote names beats the environment, as in boto. Only when it names none do
//! the variables come first.

use std::error::Error as StdError;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_credential_types::credential_fn::provide_credentials_fn;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_runtime::env_config::EnvConfigValue;
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_smithy_runtime_api::client::result::ConnectorError;
use futures::lock::Mutex as AsyncMutex;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;

use super::issuers::http_client;
use super::printable;
use super::wire::Wire;
use crate::fs;
use crate::remote::{Address, Lack};

pub(super) type Var<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Credentials are fetched anew when they have less than this left, so that no request that was
/// signed in time arrives too late.
const RENEWAL: Duration = Duration::from_secs(5 * 60);

/// After so long those who could not hand out a new key are asked again, while the old one is good.
const PAUSE: Duration = Duration::from_secs(30);

/// No chain of profiles that borrow keys from one another is longer; one that is goes round in a circle.
const MAX_BORROWED: usize = 20;

/// Where the service is, and where it is signed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The region.
    pub(super) region: String,
    /// The endpoint, if it is not the one of AWS for the region.
    pub(super) endpoint: Option<String>,
}

impl Place {
    /// Takes each of the two from the first that names it: the remote, the environment, the
    /// profile.
    pub(super) async fn find(address: &Address, var: Var<'_>) -> Self {
        let name = profile_name(address, var).unwrap_or_else(|| "default".to_owned());
        let files = profile_files(var);
        let (fs, env) = (Default::default(), Default::default());
        // A file that cannot be parsed is reported when it is asked for the key.
        let sections = aws_config::profile::load(&fs, &env, &files, Some(name.into()));
        let sections = sections.await.ok();
        let profile = |key: &str, service: &str| {
            let value = EnvConfigValue::new().profile(key).service_id(service);
            let found = value.load(&env, sections.as_ref())?;
            Some(found.0.into_owned())
        };
        let region = address.region.clone();
        let endpoint = address.endpoint_url.clone();
        Self {
            region: region
                .or_else(|| non_empty(var, "AWS_REGION"))
                .or_else(|| non_empty(var, "AWS_DEFAULT_REGION"))
                .or_else(|| profile("region", "s3"))
                .unwrap_or_else(|| "us-east-1".to_owned()),
            endpoint: endpoint
                .or_else(|| non_empty(var, "AWS_ENDPOINT_URL_S3"))
                .or_else(|| non_empty(var, "AWS_ENDPOINT_URL"))
                .or_else(|| profile("endpoint_url", "s3"))
                .map(|endpoint| endpoint.trim_end_matches('/').to_owned()),
        }
    }
}

/// The key in use, as far as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Used {
    /// The first and last characters of the access key id; none before the first request.
    pub(super) key_id: Option<String>,
    /// Where it was found, or the first place where it would be looked for.
    pub(super) source: String,
}

/// Who signs the requests.
#[async_trait::async_trait]
pub(super) trait Identity: fmt::Debug + Send + Sync {
    /// The key that was last used, as far as it may be shown.
    fn used(&self) -> Used;

    /// Which key is in use: a number that changes with the key. Without one it asks for one.
    async fn edition(&self) -> Result<u64, Missing>;

    /// Asks for another key in place of this edition, which was refused; says whether there is
    /// one.
    async fn renew(&self, edition: u64) -> Result<bool, Missing>;
}

/// No credentials could be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Missing {
    /// Where they were looked for.
    pub(super) source: String,
    /// Why there are none.
    pub(super) detail: String,
    /// What it takes to have some.
    pub(super) lack: Lack,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no credentials from {}: {}", self.source, self.detail)
    }
}

impl StdError for Missing {}

/// The sources of credentials, in the order in which they are asked, and the last answer.
#[derive(Debug)]
pub(super) struct Keys {
    sources: Vec<Source>,
    cached: AsyncMutex<Option<Cached>>,
    /// Counts the keys that were taken up, each once for each change.
    edition: AtomicU64,
    used: Mutex<Used>,
}

#[derive(Debug)]
struct Source {
    name: String,
    provider: SharedCredentialsProvider,
    /// The profile that it is, if it is one.
    profile: Option<Profile>,
}

/// A section of the shared configuration of AWS.
#[derive(Clone, Debug)]
struct Profile {
    name: String,
    files: EnvConfigFiles,
    config: ProviderConfig,
}

/// The files are read each time: what is in them may have been renewed meanwhile.
impl ProvideCredentials for Profile {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let provider = ProfileFileCredentialsProvider::builder()
            .configure(&self.config)
            .profile_files(self.files.clone())
            .profile_name(&self.name)
            .build();
        future::ProvideCredentials::new(async move { provider.provide_credentials().await })
    }
}

#[derive(Debug)]
struct Cached {
    credential: Arc<AwsCredential>,
    renew_at: Option<SystemTime>,
    expiry: Option<SystemTime>,
}

impl Keys {
    /// Lines up the sources; asks none of them yet.
    pub(super) fn new(address: &Address, var: Var<'_>, region: &str, wire: &Wire) -> Self {
        let sources = sources(address, var, region, wire);
        let source = sources
            .first()
            .map_or_else(String::new, |source| source.name.clone());
        let used = Used {
            key_id: None,
            source,
        };
        Self {
            sources,
            cached: AsyncMutex::new(None),
            edition: AtomicU64::new(0),
            used: Mutex::new(used),
        }
    }

    /// Asks one source after the other. One that has nothing passes the question on; one that
    /// fails ends it, so that a broken profile is never papered over by another identity.
    async fn load(&self) -> Result<Credentials, Missing> {
        for source in &self.sources {
            let error = match source.provider.provide_credentials().await {
                Ok(credentials) => {
                    self.remember(&source.name, credentials.access_key_id());
                    return Ok(credentials);
                }
                Err(error) => error,
            };
            let name = &source.name;
            let is_last = self.sources.last().is_some_and(|last| last.name == *name);
            let passes = matches!(error, CredentialsError::CredentialsNotLoaded(_));
            if is_last || !passes {
                let is_alone = self.sources.len() == 1;
                return Err(match explain(&error) {
                    Some(detail) if is_alone || !passes => source.missing(&error, detail).await,
                    _ => self.nothing_found(),
                });
            }
        }
        Err(self.nothing_found())
    }

    fn nothing_found(&self) -> Missing {
        let detail = match self.sources.len() {
            1 => "it does not exist, or has no key",
            _ => "none of them exists and has a key",
        };
        Missing {
            source: self.names(),
            detail: detail.to_owned(),
            lack: Lack::Key,
        }
    }

    fn remember(&self, name: &str, key_id: &str) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        *used = Used {
            key_id: Some(shorten(key_id)),
            source: name.to_owned(),
        };
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self
            .sources
            .iter()
            .map(|source| source.name.as_str())
            .collect();
        names.join(", ")
    }
}

#[async_trait::async_trait]
impl CredentialProvider for Keys {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let given = self.current().await;
        given.map_err(|missing| object_store::Error::Generic {
            store: "S3",
            source: Box::new(missing),
        })
    }
}

#[async_trait::async_trait]
impl Identity for Keys {
    fn used(&self) -> Used {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.clone()
    }

    async fn edition(&self) -> Result<u64, Missing> {
        if self.edition.load(Ordering::SeqCst) == 0 {
            self.current().await?;
        }
        Ok(self.edition.load(Ordering::SeqCst))
    }

    async fn renew(&self, edition: u64) -> Result<bool, Missing> {
        let mut cached = self.cached.lock().await;
        if self.edition.load(Ordering::SeqCst) == edition {
            let credentials = self.load().await?;
            self.take_up(&mut cached, &credentials);
        }
        Ok(self.edition.load(Ordering::SeqCst) != edition)
    }
}

impl Keys {
    async fn current(&self) -> Result<Arc<AwsCredential>, Missing> {
        let mut cached = self.cached.lock().await;
        let now = now();
        if let Some(cached) = cached.as_ref().filter(|cached| !cached.is_due(now)) {
            return Ok(Arc::clone(&cached.credential));
        }
        match self.load().await {
            Ok(credentials) => Ok(self.take_up(&mut cached, &credentials)),
            // What is left of the old one is better than nothing.
            Err(missing) => match cached.as_mut().filter(|cached| cached.is_good(now)) {
                Some(cached) => {
                    cached.renew_at = Some(now + PAUSE);
                    Ok(Arc::clone(&cached.credential))
                }
                None => Err(missing),
            },
        }
    }

    fn take_up(
        &self,
        cached: &mut Option<Cached>,
        credentials: &Credentials,
    ) -> Arc<AwsCredential> {
        let credential = Arc::new(AwsCredential {
            key_id: credentials.access_key_id().to_owned(),
            secret_key: credentials.secret_access_key().to_owned(),
            token: credentials.session_token().map(str::to_owned),
        });
        if cached
            .as_ref()
            .is_none_or(|cached| cached.credential != credential)
        {
            self.edition.fetch_add(1, Ordering::SeqCst);
        }
        let expiry = credentials.expiry();
        *cached = Some(Cached {
            credential: Arc::clone(&credential),
            renew_at: expiry.map(|expiry| expiry.checked_sub(RENEWAL).unwrap_or(expiry)),
            expiry,
        });
        credential
    }
}

impl Cached {
    fn is_due(&self, now: SystemTime) -> bool {
        self.renew_at.is_some_and(|renew_at| now >= renew_at)
    }

    fn is_good(&self, now: SystemTime) -> bool {
        self.expiry.is_none_or(|expiry| now < expiry)
    }
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(fs::now_nanos())
}

/// The sources that this remote and this environment allow.
///
/// The last three read further variables by themselves, from the process; they are asked only
/// if `var` shows them.
fn sources(address: &Address, var: Var<'_>, region: &str, wire: &Wire) -> Vec<Source> {
    let config = ProviderConfig::without_region()
        .with_region(Some(Region::new(region.to_owned())))
        .with_behavior_version(Some(BehaviorVersion::latest()))
        .with_http_client(http_client(wire));
    let near = || {
        let machine = wire.clone().into_machine();
        config.clone().with_http_client(http_client(&machine))
    };
    if let Some(profile) = &address.profile {
        return vec![profile_source(profile, var, &config)];
    }
    let mut sources = Vec::new();
    sources.extend(environment_source(var));
    let profile = profile_name(address, var).unwrap_or_else(|| "default".to_owned());
    sources.push(profile_source(&profile, var, &config));
    sources.extend(web_identity_source(var, &config));
    let container = [
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ];
    if let Some(name) = container.iter().find(|name| non_empty(var, name).is_some()) {
        let provider = EcsCredentialsProvider::builder().configure(&near());
        sources.push(source(name, provider.build()));
    }
    let disabled = non_empty(var, "AWS_EC2_METADATA_DISABLED");
    if !disabled.is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        let provider = ImdsCredentialsProvider::builder().configure(&near());
        sources.push(source("the role of this machine", provider.build()));
    }
    sources
}

/// The keys that stand in variables. A key id without its secret is an error rather than a
/// reason to go on: what would answer next is another identity.
fn environment_source(var: Var<'_>) -> Option<Source> {
    const NAME: &str = "AWS_ACCESS_KEY_ID";
    let key_id = non_empty(var, NAME)?;
    let Some(secret) = non_empty(var, "AWS_SECRET_ACCESS_KEY") else {
        return Some(half_a_source(NAME, "`AWS_SECRET_ACCESS_KEY` is not set"));
    };
    let token = non_empty(var, "AWS_SESSION_TOKEN");
    let credentials = Credentials::new(key_id, secret, token, None, "environment");
    Some(source(NAME, credentials))
}

/// Somebody who is vouched for, as in Kubernetes. Without the name of the role it is an error, for the
/// same reason.
fn web_identity_source(var: Var<'_>, config: &ProviderConfig) -> Option<Source> {
    const NAME: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
    non_empty(var, NAME)?;
    if non_empty(var, "AWS_ROLE_ARN").is_none() {
        return Some(half_a_source(NAME, "`AWS_ROLE_ARN` is not set"));
    }
    let provider = WebIdentityTokenCredentialsProvider::builder().configure(config);
    Some(source(NAME, provider.build()))
}

fn half_a_source(name: &str, reason: &'static str) -> Source {
    let refuse = move || async move { Err(CredentialsError::invalid_configuration(reason)) };
    source(name, provide_credentials_fn(refuse))
}

fn profile_source(name: &str, var: Var<'_>, config: &ProviderConfig) -> Source {
    let profile = Profile {
        name: name.to_owned(),
        files: profile_files(var),
        config: config.clone(),
    };
    Source {
        profile: Some(profile.clone()),
        ..source(&format!("profile `{name}`"), profile)
    }
}

fn source(name: &str, provider: impl ProvideCredentials + 'static) -> Source {
    Source {
        name: name.to_owned(),
        provider: SharedCredentialsProvider::new(provider),
        profile: None,
    }
}

impl Source {
    async fn missing(&self, error: &CredentialsError, detail: String) -> Missing {
        let login = match &self.profile {
            Some(profile) if is_about_a_login(&detail) => profile.signs_in().await,
            _ => None,
        };
        let lack = match login {
            Some(profile) => Lack::Login(profile),
            None if is_about_a_connection(error) => Lack::Connection,
            None => Lack::Key,
        };
        Missing {
            source: self.name.clone(),
            detail,
            lack,
        }
    }
}

impl Profile {
    /// The profile whose login is used: this one, or the one whose key it borrows.
    async fn signs_in(&self) -> Option<String> {
        let mut name = self.name.clone();
        let start = Some(name.clone().into());
        let (fs, env) = (Default::default(), Default::default());
        let sections = aws_config::profile::load(&fs, &env, &self.files, start).await;
        let sections = sections.ok()?;
        for _ in 0..MAX_BORROWED {
            let section = sections.get_profile(&name)?;
            let has = |key: &str| section.get(key).is_some();
            if has("sso_session") || has("sso_start_url") {
                return Some(name);
            }
            name = section.get("source_profile")?.to_owned();
        }
        None
    }
}

/// Whether it went wrong for want of a login. The types of these errors cannot be named from outside.
fn is_about_a_login(detail: &str) -> bool {
    const PARTS: [&str; 3] = ["SSO token", "/sso/cache/", "UnauthorizedException"];
    PARTS.iter().any(|part| detail.contains(part))
}

fn profile_name(address: &Address, var: Var<'_>) -> Option<String> {
    let named = address.profile.clone();
    named.or_else(|| non_empty(var, "AWS_PROFILE"))
}

/// The two files of AWS, where the environment says they are.
fn profile_files(var: Var<'_>) -> EnvConfigFiles {
    use EnvConfigFileKind::{Config, Credentials};
    let home = non_empty(var, "HOME").map(PathBuf::from);
    let places = [
        (Config, "AWS_CONFIG_FILE", "~/.aws/config"),
        (
            Credentials,
            "AWS_SHARED_CREDENTIALS_FILE",
            "~/.aws/credentials",
        ),
    ];
    let mut files = EnvConfigFiles::builder();
    for (kind, variable, default) in places {
        let path = non_empty(var, variable).unwrap_or_else(|| default.to_owned());
        let path = expand_home(&path, home.as_deref());
        // A named file must exist, a missing one counts as empty everywhere else in AWS's tools.
        files = match fs::metadata(&path) {
            Ok(Some(_)) => files.with_file(kind, path),
            _ => files.with_contents(kind, ""),
        };
    }
    files.build()
}

fn expand_home(path: &str, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(path),
    }
}

/// A variable that says something.
pub(super) fn non_empty(var: Var<'_>, name: &str) -> Option<String> {
    var(name).filter(|value| !value.trim().is_empty())
}

/// Whether whoever hands the key out was not reached.
fn is_about_a_connection(error: &CredentialsError) -> bool {
    causes(error).any(|cause| cause.is::<ConnectorError>())
}

/// What went wrong, down to the first cause. What says only that something did is left out.
fn explain(error: &CredentialsError) -> Option<String> {
    const EMPTY: [&str; 4] = [
        "an error occurred while loading",
        "dispatch failure",
        "service error",
        "io error",
    ];
    const FEATURE: &str = "cargo feature(s) enabled: credentials-login";
    let mut texts: Vec<String> = Vec::new();
    for cause in causes(error) {
        let text = printable(&cause.to_string());
        if text.contains(FEATURE) {
            return Some("it signs in by `aws login`, which is not in this version".to_owned());
        }
        let is_empty = EMPTY.iter().any(|empty| text.starts_with(empty));
        if !is_empty && !texts.iter().any(|earlier| earlier.contains(&text)) {
            texts.push(text);
        }
    }
    let last = || {
        causes(error)
            .last()
            .map(|cause| printable(&cause.to_string()))
    };
    if texts.is_empty() {
        last()
    } else {
        Some(texts.join(": "))
    }
}

fn causes(error: &CredentialsError) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    std::iter::successors(error.source(), |cause| (**cause).source())
}

/// `AKIA…7Q2D`: enough to know it again. The id is no secret, but logs travel.
fn shorten(key_id: &str) -> String {
    let letters: Vec<char> = key_id.chars().collect();
    if letters.len() <= 8 {
        return key_id.to_owned();
    }
    let head: String = letters.iter().take(4).collect();
    let tail: String = letters.iter().skip(letters.len() - 4).collect();
    format!("{head}…{tail}")
}

#[cfg(test)]
#[path = "credentials_tests.rs"]
mod tests;
