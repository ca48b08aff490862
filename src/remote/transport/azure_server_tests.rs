//! Against a real server of Azure's blob storage, which `tests/run.sh` starts and names in
//! `ESKER_TEST_AZURE`.

use super::proxy::{Fault, Proxy};
use super::s3_server_tests::{Variables, assert_refused, failures, required};
use super::*;
use crate::fs;

/// The server that the tests share, and a place in it that no other test uses.
pub(crate) struct Azure {
    endpoint: String,
    account: String,
    container: String,
}

impl Azure {
    /// Finds the server.
    ///
    /// # Panics
    /// If there is none: a test that did not run must not look like one that passed.
    pub(crate) fn find() -> Self {
        Self {
            endpoint: required("ESKER_TEST_AZURE"),
            account: required("ESKER_TEST_AZURE_ACCOUNT"),
            container: required("ESKER_TEST_AZURE_CONTAINER"),
        }
    }

    /// A remote in an empty place of the container.
    pub(crate) fn address(&self) -> Address {
        let chance = u64::from_le_bytes(fs::random_bytes());
        Address {
            name: "az".to_owned(),
            url: format!("az://{}/test-{chance:016x}/remote", self.container),
            account_name: Some(self.account.clone()),
            endpoint_url: Some(self.endpoint.clone()),
            ..Address::default()
        }
    }

    /// The variables of one who may do everything.
    pub(crate) fn variables() -> Variables {
        Variables::from([("AZURE_STORAGE_KEY", required("ESKER_TEST_AZURE_KEY"))])
    }

    fn open(&self) -> Bucket {
        connect(&self.address(), &Self::variables())
    }
}

fn connect(address: &Address, variables: &Variables) -> Bucket {
    Bucket::open(address, &|name| variables.get(name).cloned()).unwrap()
}

#[test]
fn azure_keeps_the_contract() {
    keeps_the_contract(&Azure::find().open());
}

#[test]
fn a_signature_for_the_container_is_enough() {
    let address = Azure::find().address();
    let all = Variables::from([("AZURE_STORAGE_SAS_TOKEN", required("ESKER_TEST_AZURE_SAS"))]);
    let all = connect(&address, &all);
    assert!(all.put_if_absent("p/a", &bytes("content")).unwrap());
    assert!(!all.put_if_absent("p/a", &bytes("other")).unwrap());
    assert_eq!(keys(&all, "p/"), ["p/a"]);
    let signature = required("ESKER_TEST_AZURE_READER_SAS");
    // The portal of Azure writes it with a question mark.
    let reader = Variables::from([("AZURE_STORAGE_SAS_TOKEN", format!("?{signature}"))]);
    let reader = connect(&address, &reader);
    assert_eq!(reader.get("p/a").unwrap().unwrap(), "content");
    assert_eq!(reader.get_range("p/a", 3, 4).unwrap().unwrap(), "tent");
    assert_eq!(reader.head("p/b").unwrap(), None);
    let refused = [
        ("put", reader.put("p/b", &bytes("x"))),
        (
            "put_if_absent",
            reader.put_if_absent("p/b", &bytes("x")).map(|_| ()),
        ),
        ("delete", reader.delete("p/a")),
    ];
    for (act, result) in refused {
        let error = result.expect_err(act);
        assert_refused(&(act, error), None, None, "AZURE_STORAGE_SAS_TOKEN");
    }
    all.delete("p/a").unwrap();
    assert_eq!(all.head("p/a").unwrap(), None);
}

#[test]
fn a_connection_string_brings_the_account_the_key_and_the_server() {
    let azure = Azure::find();
    let mut address = azure.address();
    (address.account_name, address.endpoint_url) = (None, None);
    let text = format!(
        "DefaultEndpointsProtocol=http;AccountName={};AccountKey={};BlobEndpoint={};",
        azure.account,
        required("ESKER_TEST_AZURE_KEY"),
        azure.endpoint
    );
    let variables = Variables::from([("AZURE_STORAGE_CONNECTION_STRING", text)]);
    let transport = connect(&address, &variables);
    transport.put("p/a", &bytes("x")).unwrap();
    assert_eq!(transport.get("p/a").unwrap().unwrap(), "x");
}

#[test]
fn a_wrong_key_of_azure_is_denied_and_never_shown() {
    let wrong = "d3Jvbmcga2V5IG9mIGFuIGFjY291bnQgaW4gYSB0ZXN0";
    for name in ["AZURE_STORAGE_KEY", "AZURE_STORAGE_ACCOUNT_KEY"] {
        let variables = Variables::from([(name, wrong.to_owned())]);
        let transport = connect(&Azure::find().address(), &variables);
        for failure in failures(&transport) {
            assert_refused(&failure, Some("AuthorizationFailure"), None, name);
            assert!(!format!("{:?}", failure.1).contains(wrong));
        }
    }
}

#[test]
fn a_wrong_signature_is_denied_and_never_shown() {
    let signature = required("ESKER_TEST_AZURE_SAS").replace("sig=", "sig=AAAA");
    let variables = Variables::from([("AZURE_STORAGE_SAS_TOKEN", signature)]);
    let transport = connect(&Azure::find().address(), &variables);
    for failure in failures(&transport) {
        assert_refused(
            &failure,
            Some("AuthorizationFailure"),
            None,
            "AZURE_STORAGE_SAS_TOKEN",
        );
        assert!(!format!("{:?}", failure.1).contains("sig="));
    }
}

#[test]
fn a_missing_container_is_named() {
    let mut address = Azure::find().address();
    address.url = "az://no-such-container/p".to_owned();
    let transport = connect(&address, &Azure::variables());
    for (act, error) in failures(&transport) {
        let Error::NoBucket { bucket, .. } = &error else {
            panic!("{act}: {error:?}");
        };
        assert_eq!(bucket, "no-such-container");
    }
}

#[test]
fn an_upload_to_azure_goes_on_after_the_connection_was_cut() {
    let azure = Azure::find();
    let direct = azure.address();
    let (_, rest) = azure.endpoint.split_once("://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let proxy = Proxy::start(host, Fault::CutUp(1_000_000), 3);
    let over = Address {
        endpoint_url: Some(format!("http://{}/{path}", proxy.address())),
        ..direct.clone()
    };
    let content: Vec<u8> = (0..3_000_000).map(|n: u32| (n / 3) as u8).collect();
    let body = Bytes::from(content.clone());
    let (over, direct) = (
        connect(&over, &Azure::variables()),
        connect(&direct, &Azure::variables()),
    );
    over.put_if_absent("p/a", &body).unwrap();
    assert_eq!(direct.get("p/a").unwrap().unwrap(), content);
    assert!(proxy.connections() > 3, "{}", proxy.connections());
}

#[test]
fn a_server_of_azure_that_hangs_is_given_up() {
    let azure = Azure::find();
    let (_, rest) = azure.endpoint.split_once("://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let proxy = Proxy::start(host, Fault::FreezeDown(0), usize::MAX);
    let address = Address {
        endpoint_url: Some(format!("http://{}/{path}", proxy.address())),
        ..azure.address()
    };
    let variables = Azure::variables();
    let var = |name: &str| variables.get(name).cloned();
    let stall = std::time::Duration::from_millis(200);
    let over = Bucket::open_with(&address, &var, stall).unwrap();
    let error = over.get("p/a").unwrap_err();
    let Error::Unreachable { detail, .. } = &error else {
        panic!("{error:?}");
    };
    assert!(
        detail.ends_with("nothing moved for 0.2 seconds"),
        "{detail}"
    );
}
