//! Azure Blob Storage: the account, where its key comes from, and the client.
//!
//! A key that somebody has set comes first, then a service principal, then a login, and last the
//! identity of the machine. The first that is there is used, and no other: what answers next would
//! be another identity.

use std::path::Path;
use std::sync::Arc;

use object_store::azure::{AzureConfigKey, AzureCredentialProvider, MicrosoftAzureBuilder};
use object_store::{ClientOptions, ObjectStore};

use super::named::Named;
use super::{Opening, Service, wire};
use crate::fs;
use crate::remote::transport::credentials::{Var, non_empty};
use crate::remote::transport::driver::Patience;
use crate::remote::transport::failure::root_cause;
use crate::remote::transport::wire::Wire;

/// The variables that may hold the key of the account: what the tools of Azure, its libraries for
/// Python and `object_store` call it.
const KEYS: [&str; 3] = [
    "AZURE_STORAGE_KEY",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_ACCESS_KEY",
];

/// The same for a shared access signature.
const SIGNATURES: [&str; 2] = ["AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_SAS_KEY"];

/// Makes the clients; sends nothing. The error is for people.
pub(super) fn open(opening: &Opening<'_>) -> Result<Service, String> {
    let var = opening.var;
    let named = opening.address.account_name.clone();
    let connection = Connection::read(var)?.filter(|connection| {
        named
            .as_ref()
            .is_none_or(|named| *named == connection.account)
    });
    let account = account(named, connection.as_ref(), var)?;
    let asked = opening.address.endpoint_url.clone();
    let endpoint = asked
        .or_else(|| Some(connection.as_ref()?.endpoint.clone()))
        .unwrap_or_else(|| format!("https://{account}.blob.core.windows.net"));
    let endpoint = endpoint.trim_end_matches('/').to_owned();
    let wire = wire(&endpoint, opening)?;
    let source = Source::find(connection, var)?;
    let builder = |patience: Patience| {
        MicrosoftAzureBuilder::new()
            .with_account(&account)
            .with_container_name(&opening.place.bucket)
            .with_endpoint(endpoint.clone())
            .with_client_options(ClientOptions::new().with_allow_http(wire.is_plain))
            .with_retry(patience.retry())
    };
    let asking = builder(Patience::Short).with_http_connector(source.wire(wire.clone()));
    let name = source.name.clone();
    let keys = Arc::new(Named::new(&name, move || source.provider(asking.clone()))?);
    let client = |patience: Patience| -> Result<Box<dyn ObjectStore>, String> {
        let keys: AzureCredentialProvider = Arc::clone(&keys) as _;
        let builder = builder(patience).with_credentials(keys);
        let client = builder.with_http_connector(wire.clone()).build();
        Ok(Box::new(client.map_err(|error| root_cause(&error))?))
    };
    Ok(Service {
        hasty: client(Patience::Short)?,
        patient: client(Patience::Long)?,
        writing: None,
        elsewhere: format!("the account `{account}` is not there"),
        traffic: Arc::clone(&wire.traffic),
        endpoint,
        keys,
    })
}

/// The name becomes a part of a host that is shown keys: it must be no more than a name.
fn account(
    named: Option<String>,
    connection: Option<&Connection>,
    var: Var<'_>,
) -> Result<String, String> {
    let account = named
        .or_else(|| Some(connection?.account.clone()))
        .or_else(|| non_empty(var, "AZURE_STORAGE_ACCOUNT"))
        .or_else(|| non_empty(var, "AZURE_STORAGE_ACCOUNT_NAME"));
    let account = account.ok_or(
        "its storage account is named neither by `account_name` below the remote nor by \
         `AZURE_STORAGE_ACCOUNT`",
    )?;
    if is_account(&account) {
        return Ok(account);
    }
    Err(format!(
        "`{account}` cannot be the name of a storage account: it has 3 to 24 small letters and digits"
    ))
}

fn is_account(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (3..=24).contains(&name.len()) && name.bytes().all(legal)
}

/// What `AZURE_STORAGE_CONNECTION_STRING` says, as the portal of Azure hands it out.
struct Connection {
    account: String,
    endpoint: String,
    key: (AzureConfigKey, String),
}

impl Connection {
    const NAME: &str = "AZURE_STORAGE_CONNECTION_STRING";

    fn read(var: Var<'_>) -> Result<Option<Self>, String> {
        let Some(text) = non_empty(var, Self::NAME) else {
            return Ok(None);
        };
        Self::parse(&text).map(Some)
    }

    /// The values are not shown: one of them is a secret.
    fn parse(text: &str) -> Result<Self, String> {
        let part = |name: &str| {
            let parts = text.split(';').filter_map(|part| part.split_once('='));
            let mut values = parts.filter(|(key, _)| key.trim().eq_ignore_ascii_case(name));
            values.next().map(|(_, value)| value.trim().to_owned())
        };
        let lacks = |what: &str| format!("`{}` has no {what}", Self::NAME);
        let account = part("AccountName").ok_or_else(|| lacks("`AccountName`"))?;
        let key = match (part("AccountKey"), part("SharedAccessSignature")) {
            (Some(key), _) => (AzureConfigKey::AccessKey, key),
            (None, Some(signature)) => (AzureConfigKey::SasKey, signature),
            (None, None) => return Err(lacks("`AccountKey` and no `SharedAccessSignature`")),
        };
        let suffix = part("EndpointSuffix").unwrap_or_else(|| "core.windows.net".to_owned());
        let scheme = part("DefaultEndpointsProtocol").unwrap_or_else(|| "https".to_owned());
        let usual = || format!("{scheme}://{account}.blob.{suffix}");
        let endpoint = part("BlobEndpoint").unwrap_or_else(usual);
        Ok(Self {
            account,
            endpoint,
            key,
        })
    }
}

/// Where the credentials come from.
struct Source {
    name: String,
    options: Vec<(AzureConfigKey, String)>,
    /// Who hands them out, if that may be asked without TLS.
    plain: Option<Issuer>,
}

/// Those who are asked without TLS.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Issuer {
    /// The metadata service of the machine, which answers at once or is not there.
    Machine,
    /// A server that the environment names with `http://`.
    Named,
}

impl Source {
    /// The first that the environment has.
    fn find(connection: Option<Connection>, var: Var<'_>) -> Result<Self, String> {
        if let Some(connection) = connection {
            return Ok(Self::of(Connection::NAME, vec![connection.key]));
        }
        let first = |names: &[&'static str]| {
            let mut found = names.iter();
            found.find_map(|name| Some((*name, non_empty(var, name)?)))
        };
        if let Some((name, key)) = first(&KEYS) {
            return Ok(Self::of(name, vec![(AzureConfigKey::AccessKey, key)]));
        }
        if let Some((name, signature)) = first(&SIGNATURES) {
            return Ok(Self::of(name, vec![(AzureConfigKey::SasKey, signature)]));
        }
        if let Some(secret) = non_empty(var, "AZURE_CLIENT_SECRET") {
            let secret = (AzureConfigKey::ClientSecret, secret);
            return Self::principal("AZURE_CLIENT_SECRET", secret, var);
        }
        if let Some(path) = non_empty(var, "AZURE_FEDERATED_TOKEN_FILE") {
            let token = (AzureConfigKey::FederatedTokenFile, path);
            return Self::principal("AZURE_FEDERATED_TOKEN_FILE", token, var);
        }
        if has_login(var) {
            let cli = (AzureConfigKey::UseAzureCli, "true".to_owned());
            return Ok(Self::of("the login of `az`", vec![cli]));
        }
        let mut options = Vec::new();
        let client_id = non_empty(var, "AZURE_CLIENT_ID");
        options.extend(client_id.map(|id| (AzureConfigKey::ClientId, id)));
        let endpoint = non_empty(var, "IDENTITY_ENDPOINT");
        options.extend(endpoint.map(|endpoint| (AzureConfigKey::MsiEndpoint, endpoint)));
        Ok(Self {
            plain: Some(Issuer::Machine),
            ..Self::of("the identity of this machine", options)
        })
    }

    fn of(name: &str, options: Vec<(AzureConfigKey, String)>) -> Self {
        Self {
            name: name.to_owned(),
            options,
            plain: None,
        }
    }

    /// A service principal is a secret and two names; with one of them missing it is an error
    /// rather than a reason to go on.
    fn principal(
        name: &str,
        secret: (AzureConfigKey, String),
        var: Var<'_>,
    ) -> Result<Self, String> {
        let required = |key: AzureConfigKey, variable: &str| match non_empty(var, variable) {
            Some(value) => Ok((key, value)),
            None => Err(format!("`{name}` is set and `{variable}` is not")),
        };
        let mut options = vec![
            secret,
            required(AzureConfigKey::ClientId, "AZURE_CLIENT_ID")?,
            required(AzureConfigKey::AuthorityId, "AZURE_TENANT_ID")?,
        ];
        let authority = non_empty(var, "AZURE_AUTHORITY_HOST");
        let is_plain = authority
            .as_ref()
            .is_some_and(|host| host.starts_with("http://"));
        options.extend(authority.map(|host| (AzureConfigKey::AuthorityHost, host)));
        Ok(Self {
            plain: is_plain.then_some(Issuer::Named),
            ..Self::of(name, options)
        })
    }

    /// How the issuer of the credentials is reached.
    fn wire(&self, wire: Wire) -> Wire {
        match self.plain {
            Some(Issuer::Machine) => wire.into_machine(),
            Some(Issuer::Named) => wire.without_tls(),
            None => wire,
        }
    }

    fn provider(&self, builder: MicrosoftAzureBuilder) -> Result<AzureCredentialProvider, String> {
        let options = self.options.iter();
        let builder = options.fold(builder, |builder, (key, value)| {
            builder.with_config(*key, value)
        });
        let client = builder.build();
        let client = client
            .map_err(|error| format!("`{}` cannot be used: {}", self.name, root_cause(&error)))?;
        Ok(Arc::clone(client.credentials()))
    }
}

/// Whether somebody has signed in with `az login`: it keeps the accounts in a file.
fn has_login(var: Var<'_>) -> bool {
    let dir = non_empty(var, "AZURE_CONFIG_DIR")
        .or_else(|| Some(format!("{}/.azure", non_empty(var, "HOME")?)));
    dir.is_some_and(|dir| {
        let profile = Path::new(&dir).join("azureProfile.json");
        matches!(fs::metadata(&profile), Ok(Some(_)))
    })
}

#[cfg(test)]
#[path = "azure_tests.rs"]
mod tests;
