//! The client of S3 itself, and whom it trusts.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use object_store::ClientOptions;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use reqwest::Certificate;

use crate::fs;
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
    var: &dyn Fn(&str) -> Option<String>,
    stall: Duration,
) -> Result<Wire, String> {
    let endpoint = place.endpoint.as_deref().unwrap_or("https://");
    let is_plain = endpoint.starts_with("http://");
    if !is_plain && !endpoint.starts_with("https://") {
        return Err(format!(
            "the endpoint `{endpoint}` begins neither with `https://` nor with `http://`"
        ));
    }
    // `rustls` would read `SSL_CERT_FILE` alone, which the other tools of AWS do not.
    let bundle = var("AWS_CA_BUNDLE").filter(|path| !path.is_empty());
    let authorities = bundle.map(|path| certificates(Path::new(&path)));
    Ok(Wire {
        authorities: authorities.transpose()?.unwrap_or_default(),
        is_plain,
        stall,
    })
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, String> {
    let unusable = |why: String| format!("`AWS_CA_BUNDLE` cannot be used: {why}");
    let pem = fs::read(path).map_err(|error| unusable(format!("{error}: {}", error.source)))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|error| unusable(root_cause(&error)))?;
    if found.is_empty() {
        return Err(unusable(format!("`{}` has no certificate", path.display())));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::transport::wire::STALL;

    #[test]
    fn an_endpoint_needs_a_scheme() {
        let place = |endpoint: Option<&str>| Place {
            region: "r".to_owned(),
            endpoint: endpoint.map(str::to_owned),
        };
        let none = |_: &str| None;
        for endpoint in [None, Some("https://s3"), Some("http://127.0.0.1:1")] {
            assert!(wire(&place(endpoint), &none, STALL).is_ok());
        }
        for endpoint in ["s3.example", "ftp://x", ""] {
            assert!(wire(&place(Some(endpoint)), &none, STALL).is_err());
        }
    }

    #[test]
    fn a_bundle_of_certificates_must_hold_some() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place {
            region: "r".to_owned(),
            endpoint: None,
        };
        let with = |path: &Path| {
            let path = path.to_str().unwrap().to_owned();
            let var = move |name: &str| (name == "AWS_CA_BUNDLE").then(|| path.clone());
            wire(&place, &var, STALL).map(|_| ())
        };
        let (absent, empty) = (dir.path().join("absent"), dir.path().join("empty"));
        fs::write_new(&empty, b"").unwrap();
        for path in [absent, empty] {
            let error = with(&path).unwrap_err();
            assert!(
                error.starts_with("`AWS_CA_BUNDLE` cannot be used"),
                "{error}"
            );
            assert!(error.contains(path.to_str().unwrap()), "{error}");
        }
    }
}
