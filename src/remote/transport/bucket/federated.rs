//! Federated identities at Google: somebody else vouches for whoever runs this, as the CI of GitHub or a
//! cluster does. What they say is exchanged for a token, and that one, if the file asks for it, for
//! a token of a service account.
//!
//! The file is of the type `external_account` (<https://google.aip.dev/auth/4117>). What the other one
//! says is taken from a file or a URL.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::lock::Mutex;
use http::{Method, Request, header};
use object_store::client::{HttpConnector, HttpRequestBody};
use object_store::gcp::GcpCredential;
use object_store::{ClientOptions, CredentialProvider};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep};

use crate::fs;
use crate::remote::transport::failure::root_cause;
use crate::remote::transport::printable;
use crate::remote::transport::wire::Wire;

/// What is asked for: to read and write objects.
const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.full_control";

/// What it takes to ask for a token of a service account.
const PLATFORM_SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// For so long a token of a service account is asked for, as Google's own tools do.
const LIFETIME: u64 = 3600;

/// A token is asked for anew when it has less than this left.
const RENEWAL: Duration = Duration::from_secs(5 * 60);

/// How often somebody who is not there, or has trouble, is asked.
const TRIES: u32 = 3;

/// What the file says.
#[derive(Debug, Deserialize)]
pub(super) struct External {
    audience: String,
    subject_token_type: String,
    token_url: String,
    service_account_impersonation_url: Option<String>,
    credential_source: Vouched,
}

/// Where it stands what the other one says.
#[derive(Debug, Deserialize)]
struct Vouched {
    file: Option<String>,
    url: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    format: Format,
}

#[derive(Debug, Default, Deserialize)]
struct Format {
    /// The field of a JSON document; without it the text is all.
    subject_token_field_name: Option<String>,
}

/// The answer to an exchange.
#[derive(Deserialize)]
struct Exchanged {
    access_token: String,
    expires_in: Option<u64>,
}

/// The answer of a service account.
#[derive(Deserialize)]
struct Impersonated {
    #[serde(rename = "accessToken")]
    access_token: String,
}

/// Exchanges tokens, and keeps the last one.
#[derive(Debug)]
pub(super) struct Federated {
    external: External,
    wire: Wire,
    cached: Mutex<Option<Cached>>,
}

#[derive(Debug)]
struct Cached {
    credential: Arc<GcpCredential>,
    renew_at: Instant,
}

#[async_trait::async_trait]
impl CredentialProvider for Federated {
    type Credential = GcpCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<GcpCredential>> {
        let mut cached = self.cached.lock().await;
        let good = |cached: &&Cached| Instant::now() < cached.renew_at;
        if let Some(cached) = cached.as_ref().filter(good) {
            return Ok(Arc::clone(&cached.credential));
        }
        let asked = Instant::now();
        let given = self.token().await;
        let (bearer, lifetime) = given.map_err(|reason| object_store::Error::Generic {
            store: "GCS",
            source: reason.into(),
        })?;
        let credential = Arc::new(GcpCredential { bearer });
        *cached = Some(Cached {
            credential: Arc::clone(&credential),
            renew_at: asked + Duration::from_secs(lifetime).saturating_sub(RENEWAL),
        });
        Ok(credential)
    }
}

impl Federated {
    /// A source that has asked nobody yet.
    pub(super) fn new(external: External, wire: Wire) -> Self {
        Self {
            external,
            wire,
            cached: Mutex::new(None),
        }
    }

    /// A token, and for how many seconds it is good.
    async fn token(&self) -> Result<(String, u64), String> {
        let External {
            audience,
            subject_token_type,
            token_url,
            service_account_impersonation_url: account,
            ..
        } = &self.external;
        let subject = self.subject().await?;
        let form = form(&[
            (
                "grant_type",
                "urn:ietf:params:oauth:grant-type:token-exchange",
            ),
            ("audience", audience),
            (
                "scope",
                if account.is_some() {
                    PLATFORM_SCOPE
                } else {
                    SCOPE
                },
            ),
            (
                "requested_token_type",
                "urn:ietf:params:oauth:token-type:access_token",
            ),
            ("subject_token_type", subject_token_type),
            ("subject_token", &subject),
        ]);
        let head = BTreeMap::from([("content-type", "application/x-www-form-urlencoded")]);
        let exchanged: Exchanged = self.ask(Method::POST, token_url, &head, form).await?;
        let Some(account) = account else {
            return Ok((
                exchanged.access_token,
                exchanged.expires_in.unwrap_or(LIFETIME),
            ));
        };
        let bearer = format!("Bearer {}", exchanged.access_token);
        let head = BTreeMap::from([
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
        ]);
        let body = serde_json::json!({"scope": [SCOPE], "lifetime": format!("{LIFETIME}s")});
        let body = body.to_string();
        let given: Impersonated = self.ask(Method::POST, account, &head, body).await?;
        Ok((given.access_token, LIFETIME))
    }

    /// What the other one says of whoever runs this.
    async fn subject(&self) -> Result<String, String> {
        let source = &self.external.credential_source;
        let text = match (&source.file, &source.url) {
            (Some(path), _) => fs::read(Path::new(path)).map_err(|error| error.to_string())?,
            (None, Some(url)) => {
                let headers = source.headers.iter();
                let head = headers.map(|(name, value)| (name.as_str(), value.as_str()));
                self.send(Method::GET, url, &head.collect(), String::new())
                    .await?
            }
            (None, None) => {
                return Err("its `credential_source` is neither a file nor a URL".to_owned());
            }
        };
        let unfit =
            || "what its `credential_source` yields is not in the format that it names".to_owned();
        let text = String::from_utf8(text).map_err(|_| unfit())?;
        let Some(field) = &source.format.subject_token_field_name else {
            return Ok(text.trim().to_owned());
        };
        let document: serde_json::Value = serde_json::from_str(&text).map_err(|_| unfit())?;
        let subject = document.get(field).and_then(serde_json::Value::as_str);
        subject.map(str::to_owned).ok_or_else(unfit)
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        url: &str,
        head: &BTreeMap<&str, &str>,
        body: String,
    ) -> Result<T, String> {
        let answer = self.send(method, url, head, body).await?;
        serde_json::from_slice(&answer).map_err(|_| format!("{url} did not answer with a token"))
    }

    /// Sends a request until somebody answers who has no trouble.
    async fn send(
        &self,
        method: Method,
        url: &str,
        head: &BTreeMap<&str, &str>,
        body: String,
    ) -> Result<Vec<u8>, String> {
        let mut tries = 1;
        loop {
            match self
                .send_once(method.clone(), url, head, body.clone())
                .await
            {
                Ok((status, answer)) if status.is_success() => return Ok(answer),
                Ok((status, _)) if status.is_server_error() && tries < TRIES => {}
                Ok((status, answer)) => {
                    let words = printable(&String::from_utf8_lossy(&answer));
                    return Err(format!("{url} answered {}: {words}", status.as_u16()));
                }
                Err(_) if tries < TRIES => {}
                Err(reason) => return Err(format!("{url}: {reason}")),
            }
            sleep(Duration::from_millis(100 << tries)).await;
            tries += 1;
        }
    }

    async fn send_once(
        &self,
        method: Method,
        url: &str,
        head: &BTreeMap<&str, &str>,
        body: String,
    ) -> Result<(http::StatusCode, Vec<u8>), String> {
        let wire = match url.starts_with("http://") {
            true => self.wire.clone().without_tls(),
            false => self.wire.clone(),
        };
        let client = wire.connect(&ClientOptions::new());
        let client = client.map_err(|error| root_cause(&error))?;
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in head {
            request = request.header(*name, *value);
        }
        let request = request
            .header(header::CONTENT_LENGTH, body.len())
            .body(HttpRequestBody::from(body.into_bytes()));
        let request = request.map_err(|error| root_cause(&error))?;
        let answer = client.execute(request).await;
        let answer = answer.map_err(|error| root_cause(&error))?;
        let status = answer.status();
        let body = answer.into_body().bytes().await;
        let body = body.map_err(|error| root_cause(&error))?;
        Ok((status, body.to_vec()))
    }
}

/// `a=b&c=d`, with whatever is not a letter or a digit written as bytes.
fn form(parts: &[(&str, &str)]) -> String {
    let written = |text: &str| -> String {
        text.bytes()
            .map(|byte| match byte.is_ascii_alphanumeric() {
                true => char::from(byte).to_string(),
                false => format!("%{byte:02X}"),
            })
            .collect()
    };
    let parts: Vec<String> = parts
        .iter()
        .map(|(name, value)| format!("{}={}", written(name), written(value)))
        .collect();
    parts.join("&")
}
