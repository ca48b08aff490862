//! Google Cloud Storage, by its XML API: where the token comes from, and the client.
//!
//! The credentials are the *application default* ones: the file that the environment names, else the
//! file that `gcloud` has written, else the service account of the machine. The first that is there
//! is used, and no other.

use std::path::Path;
use std::sync::Arc;

use object_store::gcp::{GcpCredentialProvider, GoogleCloudStorageBuilder};
use object_store::{ClientOptions, ObjectStore};

use super::federated::{External, Federated};
use super::named::Named;
use super::{Opening, Service, wire};
use crate::fs;
use crate::remote::transport::credentials::{Var, non_empty};
use crate::remote::transport::driver::Patience;
use crate::remote::transport::failure::root_cause;
use crate::remote::transport::printable;
use crate::remote::transport::wire::Wire;

/// The types of files with credentials that work.
const KINDS: &str = "`service_account`, `authorized_user` and `external_account`";

/// Where the service is for everybody.
const ENDPOINT: &str = "https://storage.googleapis.com";

/// Makes the clients; sends nothing. The error is for people.
pub(super) fn open(opening: &Opening<'_>) -> Result<Service, String> {
    let asked = opening.address.endpoint_url.as_deref();
    let endpoint = asked.unwrap_or(ENDPOINT).trim_end_matches('/').to_owned();
    let wire = wire(&endpoint, opening)?;
    let source = Source::find(opening.var);
    let builder = |patience: Patience| {
        GoogleCloudStorageBuilder::new()
            .with_bucket_name(&opening.place.bucket)
            .with_base_url(&endpoint)
            .with_client_options(ClientOptions::new().with_allow_http(wire.is_plain))
            .with_retry(patience.retry())
    };
    let issuer = match source.path {
        Some(_) => wire.clone(),
        None => wire.clone().into_machine(),
    };
    let asking = builder(Patience::Short).with_http_connector(issuer.clone());
    let name = source.name.clone();
    let keys = Arc::new(Named::new(&name, move || {
        source.provider(asking.clone(), &issuer)
    })?);
    let client = |patience: Patience| -> Result<Box<dyn ObjectStore>, String> {
        let keys: GcpCredentialProvider = Arc::clone(&keys) as _;
        let builder = builder(patience).with_credentials(keys);
        let client = builder.with_http_connector(wire.clone()).build();
        Ok(Box::new(client.map_err(|error| root_cause(&error))?))
    };
    Ok(Service {
        hasty: client(Patience::Short)?,
        patient: client(Patience::Long)?,
        writing: None,
        elsewhere: format!("the bucket `{}` is not there", opening.place.bucket),
        traffic: Arc::clone(&wire.traffic),
        endpoint,
        keys,
    })
}

/// Where the credentials come from.
struct Source {
    name: String,
    /// The file that has them; without one the machine has.
    path: Option<String>,
}

impl Source {
    /// The first that the environment has.
    fn find(var: Var<'_>) -> Self {
        const NAME: &str = "GOOGLE_APPLICATION_CREDENTIALS";
        if let Some(path) = non_empty(var, NAME) {
            return Self {
                name: NAME.to_owned(),
                path: Some(path),
            };
        }
        let dir = non_empty(var, "CLOUDSDK_CONFIG")
            .or_else(|| Some(format!("{}/.config/gcloud", non_empty(var, "HOME")?)));
        let path = dir.map(|dir| format!("{dir}/application_default_credentials.json"));
        match path.filter(|path| matches!(fs::metadata(Path::new(path)), Ok(Some(_)))) {
            Some(path) => Self {
                name: "the login of `gcloud`".to_owned(),
                path: Some(path),
            },
            None => Self {
                name: "the service account of this machine".to_owned(),
                path: None,
            },
        }
    }

    fn provider(
        &self,
        builder: GoogleCloudStorageBuilder,
        wire: &Wire,
    ) -> Result<GcpCredentialProvider, String> {
        let unusable = |reason: String| format!("{} cannot be used: {reason}", self.name);
        let builder = match &self.path {
            Some(path) => match Kind::of(Path::new(path)).map_err(unusable)? {
                Kind::Key => builder.with_application_credentials(path),
                Kind::External(external) => {
                    return Ok(Arc::new(Federated::new(external, wire.clone())));
                }
            },
            None => builder,
        };
        let client = builder.build();
        let client = client.map_err(|error| unusable(root_cause(&error)))?;
        Ok(Arc::clone(client.credentials()))
    }
}

/// What a file with credentials is.
enum Kind {
    /// A key or a login, which the client reads by itself.
    Key,
    /// Somebody else vouches.
    External(External),
}

impl Kind {
    fn of(path: &Path) -> Result<Self, String> {
        let text = fs::read(path).map_err(|error| format!("{error}: {}", error.source))?;
        let shown = path.display();
        let document: serde_json::Value =
            serde_json::from_slice(&text).map_err(|_| format!("`{shown}` is not JSON"))?;
        let kind = document.get("type").and_then(serde_json::Value::as_str);
        match kind {
            Some("service_account" | "authorized_user") => Ok(Self::Key),
            Some("external_account") => match serde_json::from_value(document) {
                Ok(external) => Ok(Self::External(external)),
                Err(error) => Err(format!("`{shown}`: {error}")),
            },
            _ => Err(format!(
                "`{shown}` is of the type `{}`; what works is {KINDS}",
                printable(kind.unwrap_or_default())
            )),
        }
    }
}

#[cfg(test)]
#[path = "gcs_tests.rs"]
mod tests;
