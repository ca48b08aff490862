//! The client of S3 itself, and whom it trusts.

use std::sync::Arc;
use std::time::Duration;

use object_store::ClientOptions;
use object_store::aws::{AmazonS3, AmazonS3Builder};

use crate::remote::Address;
use crate::remote::transport::credentials::{Keys, Place};
use crate::remote::transport::driver::Patience;
use crate::remote::transport::failure::root_cause;
use crate::remote::transport::wire::Wire;

/// Builds a client; sends nothing. The error is for people.
pub(super) fn connect(
    bucket: &str,
    place: &Place,
    keys: Arc<Keys>,
    patience: Patience,
    wire: Wire,
) -> Result<AmazonS3, String> {
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(&place.region)
        .with_credentials(keys)
        // Only what the builder itself asks is read from here; the rest is in the wire.
        .with_client_options(ClientOptions::new().with_allow_http(wire.is_plain))
        .with_http_connector(wire)
        .with_disable_bulk_delete(true)
        .with_retry(patience.retry());
    if let Some(endpoint) = &place.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    builder.build().map_err(|error| root_cause(&error))
}

/// What a client of this place needs to know of the network.
pub(super) fn wire(
    place: &Place,
    address: &Address,
    var: &dyn Fn(&str) -> Option<String>,
    stall: Duration,
) -> Result<Wire, String> {
    let endpoint = place.endpoint.as_deref().unwrap_or("https://");
    if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
        return Err(format!(
            "the endpoint `{endpoint}` begins neither with `https://` nor with `http://`"
        ));
    }
    Wire::to(endpoint, address, var, stall)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::fs;
    use crate::remote::transport::wire::STALL;

    #[test]
    fn an_endpoint_needs_a_scheme() {
        let place = |endpoint: Option<&str>| Place {
            region: "r".to_owned(),
            endpoint: endpoint.map(str::to_owned),
        };
        let none = |_: &str| None;
        for endpoint in [None, Some("https://s3"), Some("http://127.0.0.1:1")] {
            assert!(wire(&place(endpoint), &Address::default(), &none, STALL).is_ok());
        }
        for endpoint in ["s3.example", "ftp://x", ""] {
            assert!(wire(&place(Some(endpoint)), &Address::default(), &none, STALL).is_err());
        }
    }

    #[test]
    fn a_bundle_of_certificates_must_hold_some() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place {
            region: "r".to_owned(),
            endpoint: None,
        };
        let with = |path: &Path, is_key: bool| {
            let text = path.to_str().unwrap().to_owned();
            let var = move |name: &str| (name == "AWS_CA_BUNDLE").then(|| text.clone());
            let address = Address {
                ca_bundle: is_key.then(|| path.to_owned()),
                ..Address::default()
            };
            wire(&place, &address, &var, STALL).map(|_| ())
        };
        let (absent, empty) = (dir.path().join("absent"), dir.path().join("empty"));
        fs::write_new(&empty, b"").unwrap();
        for path in [absent, empty] {
            for (is_key, name) in [(false, "AWS_CA_BUNDLE"), (true, "ca_bundle")] {
                let error = with(&path, is_key).unwrap_err();
                let start = format!("`{name}` cannot be used");
                assert!(error.starts_with(&start), "{error}");
                assert!(error.contains(path.to_str().unwrap()), "{error}");
            }
        }
    }
}
