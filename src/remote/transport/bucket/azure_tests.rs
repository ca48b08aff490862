use std::collections::BTreeMap;

use super::*;
use crate::remote::transport::tests::bytes;
use crate::remote::transport::tests::issuer::Issuer as Server;
use crate::remote::transport::{Bucket, Transport};
use crate::remote::{Address, Error};

type Variables<'a> = BTreeMap<&'a str, &'a str>;

fn find<'a>(variables: &[(&'a str, &'a str)]) -> Result<String, String> {
    let variables: Variables<'_> = variables.iter().copied().collect();
    let var = |name: &str| variables.get(name).map(|value| (*value).to_owned());
    Source::find(Connection::read(&var)?, &var).map(|source| source.name)
}

#[test]
fn the_first_source_is_used_and_named() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().to_str().unwrap();
    fs::write_new(&home.path().join("azureProfile.json"), b"{}").unwrap();
    let all = [
        (
            "AZURE_STORAGE_CONNECTION_STRING",
            "AccountName=acme;AccountKey=a2V5",
        ),
        ("AZURE_STORAGE_KEY", "a2V5"),
        ("AZURE_STORAGE_ACCOUNT_KEY", "a2V5"),
        ("AZURE_STORAGE_ACCESS_KEY", "a2V5"),
        ("AZURE_STORAGE_SAS_TOKEN", "sig=x"),
        ("AZURE_STORAGE_SAS_KEY", "sig=x"),
        ("AZURE_CLIENT_SECRET", "s"),
        ("AZURE_FEDERATED_TOKEN_FILE", "/token"),
        ("AZURE_CONFIG_DIR", path),
    ];
    let rest = [("AZURE_CLIENT_ID", "id"), ("AZURE_TENANT_ID", "tenant")];
    for skipped in 0..all.len() {
        let variables = [&all[skipped..], &rest[..]].concat();
        let expected = match all[skipped].0 {
            "AZURE_CONFIG_DIR" => "the login of `az`",
            name => name,
        };
        assert_eq!(find(&variables).unwrap(), expected);
    }
    assert_eq!(find(&rest).unwrap(), "the identity of this machine");
    let blank = [("AZURE_STORAGE_KEY", " "), ("HOME", "/nowhere")];
    assert_eq!(find(&blank).unwrap(), "the identity of this machine");
}

#[test]
fn half_a_principal_is_an_error_that_names_the_rest() {
    let error = find(&[("AZURE_CLIENT_SECRET", "hunter2")]).unwrap_err();
    assert_eq!(
        error,
        "`AZURE_CLIENT_SECRET` is set and `AZURE_CLIENT_ID` is not"
    );
    let variables = [
        ("AZURE_FEDERATED_TOKEN_FILE", "/t"),
        ("AZURE_CLIENT_ID", "i"),
    ];
    assert_eq!(
        find(&variables).unwrap_err(),
        "`AZURE_FEDERATED_TOKEN_FILE` is set and `AZURE_TENANT_ID` is not"
    );
}

#[test]
fn a_connection_string_is_taken_apart() {
    let connection = Connection::parse(
        "DefaultEndpointsProtocol=https; AccountName=acme ;AccountKey=a2V5==;EndpointSuffix=core.chinacloudapi.cn",
    )
    .unwrap();
    assert_eq!(connection.account, "acme");
    assert_eq!(
        connection.endpoint,
        "https://acme.blob.core.chinacloudapi.cn"
    );
    assert_eq!(
        connection.key,
        (AzureConfigKey::AccessKey, "a2V5==".to_owned())
    );
    let signed = Connection::parse("accountname=acme;sharedaccesssignature=sv=1&sig=x").unwrap();
    assert_eq!(signed.endpoint, "https://acme.blob.core.windows.net");
    assert_eq!(
        signed.key,
        (AzureConfigKey::SasKey, "sv=1&sig=x".to_owned())
    );
    for (text, lack) in [
        ("AccountKey=hunter2", "`AccountName`"),
        ("AccountName=hunter2", "`AccountKey`"),
        ("hunter2", "`AccountName`"),
    ] {
        let error = Connection::parse(text).err().unwrap();
        assert!(error.contains(lack), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

fn open(account: Option<&str>, variables: &[(&str, &str)]) -> Result<Bucket, Error> {
    let variables: Variables<'_> = variables.iter().copied().collect();
    let address = Address {
        name: "az".to_owned(),
        url: "az://container/p".to_owned(),
        account_name: account.map(str::to_owned),
        ..Address::default()
    };
    Bucket::open(&address, &|name| {
        variables.get(name).map(|value| (*value).to_owned())
    })
}

fn refusal(account: Option<&str>, variables: &[(&str, &str)]) -> String {
    match open(account, variables).unwrap_err() {
        Error::Protocol { detail, .. } => detail,
        error => panic!("{error:?}"),
    }
}

/// A name that is more than a name would lead the key to another host.
#[test]
fn an_account_is_a_name_and_nothing_else() {
    for name in ["evil.example/", "a@b", "ACME", "ab", "a.b.c", ""] {
        let refused = refusal(Some(name), &[("AZURE_STORAGE_KEY", "a2V5")]);
        assert!(refused.contains("cannot be the name"), "{refused}");
    }
    let refused = refusal(None, &[("AZURE_STORAGE_KEY", "a2V5")]);
    assert!(refused.contains("`account_name`"), "{refused}");
    let connection = (
        "AZURE_STORAGE_CONNECTION_STRING",
        "AccountName=acme;AccountKey=a2V5;BlobEndpoint=http://127.0.0.1:1",
    );
    let own = open(None, &[connection]).unwrap();
    assert!(format!("{own:?}").contains("http://127.0.0.1:1"));
    // What is said of another account is no help for this one.
    let other = open(Some("other"), &[connection, ("AZURE_STORAGE_KEY", "a2V5")]).unwrap();
    assert!(format!("{other:?}").contains("https://other.blob.core.windows.net"));
}

#[test]
fn a_key_that_is_none_is_named_and_not_shown() {
    let refused = refusal(Some("acme"), &[("AZURE_STORAGE_KEY", "hunter2!")]);
    assert!(
        refused.starts_with("`AZURE_STORAGE_KEY` cannot be used"),
        "{refused}"
    );
    assert!(!refused.contains("hunter2"), "{refused}");
}

/// A remote at a server that checks who asks.
fn at(server: &Server, variables: &[(&str, &str)]) -> Bucket {
    let variables: Variables<'_> = variables.iter().copied().collect();
    let address = Address {
        name: "az".to_owned(),
        url: "az://container/p".to_owned(),
        account_name: Some("acme".to_owned()),
        endpoint_url: Some(server.endpoint.clone()),
        ..Address::default()
    };
    Bucket::open(&address, &|name| {
        variables.get(name).map(|value| (*value).to_owned())
    })
    .unwrap()
}

fn principal(server: &Server) -> Vec<(&'static str, String)> {
    vec![
        ("AZURE_CLIENT_ID", "the-client".to_owned()),
        ("AZURE_TENANT_ID", "the-tenant".to_owned()),
        ("AZURE_AUTHORITY_HOST", server.endpoint.clone()),
    ]
}

#[test]
fn a_principal_asks_for_a_token_and_shows_it() {
    let server = Server::start("/the-tenant/oauth2/v2.0/token", &[3600]);
    let mut variables = principal(&server);
    variables.push(("AZURE_CLIENT_SECRET", "hunter2".to_owned()));
    let variables: Vec<_> = variables.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let bucket = at(&server, &variables);
    bucket.put("a", &bytes("x")).unwrap();
    assert_eq!(bucket.get("a").unwrap().unwrap(), "x");
    let asked = server.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    for part in [
        "client_id=the-client",
        "client_secret=hunter2",
        "grant_type=client_credentials",
        "scope=https%3A%2F%2Fstorage.azure.com%2F.default",
    ] {
        assert!(asked[0].contains(part), "{part}: {asked:?}");
    }
}

#[test]
fn a_federated_token_is_exchanged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    fs::write_new(&path, b"the-assertion").unwrap();
    let server = Server::start("/the-tenant/oauth2/v2.0/token", &[3600]);
    let mut variables = principal(&server);
    let path = path.to_str().unwrap().to_owned();
    variables.push(("AZURE_FEDERATED_TOKEN_FILE", path));
    let variables: Vec<_> = variables.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let bucket = at(&server, &variables);
    bucket.put("a", &bytes("x")).unwrap();
    let asked = server.asked();
    assert!(
        asked[0].contains("client_assertion=the-assertion"),
        "{asked:?}"
    );
}

/// One that is about to expire is not shown any more: the next request asks for another.
#[test]
fn a_token_that_expires_is_asked_for_again() {
    let server = Server::start("/the-tenant/oauth2/v2.0/token", &[60, 60, 3600]);
    let mut variables = principal(&server);
    variables.push(("AZURE_CLIENT_SECRET", "hunter2".to_owned()));
    let variables: Vec<_> = variables.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let bucket = at(&server, &variables);
    // The client waits a moment before it asks again, so the number of puts is not known.
    let mut number = 0;
    while server.asked().len() < 3 {
        let key = format!("p/{number}");
        assert!(bucket.put_if_absent(&key, &bytes("x")).unwrap());
        number += 1;
    }
    assert!(bucket.put_if_absent("last", &bytes("x")).unwrap());
    assert_eq!(server.asked().len(), 3);
}

/// One that is refused before its time, as when somebody has ended the session.
#[test]
fn a_token_that_is_refused_is_asked_for_again_once() {
    let server = Server::start("/the-tenant/oauth2/v2.0/token", &[3600, 3600]);
    let mut variables = principal(&server);
    variables.push(("AZURE_CLIENT_SECRET", "hunter2".to_owned()));
    let variables: Vec<_> = variables.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let bucket = at(&server, &variables);
    bucket.put("a", &bytes("x")).unwrap();
    server.revoke();
    assert!(bucket.put_if_absent("b", &bytes("y")).unwrap());
    assert_eq!(bucket.get("b").unwrap().unwrap(), "y");
    assert_eq!(server.asked().len(), 2);
    server.revoke();
    let error = bucket.get("b").unwrap_err();
    let Error::NoCredentials { key_source, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(key_source, "AZURE_CLIENT_SECRET");
}

#[test]
fn the_identity_of_the_machine_is_asked_without_tls() {
    let server = Server::start("/metadata/identity/oauth2/token", &[3600]);
    let endpoint = format!("{}/metadata/identity/oauth2/token", server.endpoint);
    let bucket = at(
        &server,
        &[
            ("IDENTITY_ENDPOINT", &endpoint),
            ("AZURE_CLIENT_ID", "the-client"),
        ],
    );
    bucket.put("a", &bytes("x")).unwrap();
    let asked = server.asked();
    assert!(
        asked[0].contains("resource=https%3A%2F%2Fstorage.azure.com"),
        "{asked:?}"
    );
    assert!(asked[0].contains("client_id=the-client"), "{asked:?}");
}

#[test]
fn no_token_names_who_did_not_give_it() {
    let server = Server::start("/elsewhere", &[]);
    let mut variables = principal(&server);
    variables.push(("AZURE_CLIENT_SECRET", "hunter2".to_owned()));
    let variables: Vec<_> = variables.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let error = at(&server, &variables).get("a").unwrap_err();
    let Error::NoCredentials {
        key_source, detail, ..
    } = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!(key_source, "AZURE_CLIENT_SECRET");
    assert!(detail.contains("401"), "{detail}");
    assert!(!format!("{error:?}").contains("hunter2"));
}
