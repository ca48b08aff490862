//! The client of S3 itself, and whom it trusts.

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use object_store::ClientOptions;
use object_store::ObjectStore;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};

use super::{Opening, Service, wire};
use crate::remote::Address;
use crate::remote::transport::credentials::{Keys, Place};
use crate::remote::transport::driver::Patience;
use crate::remote::transport::failure::root_cause;
use crate::remote::transport::wire::Wire;

/// Makes the clients; sends nothing. The error is for people.
pub(super) fn open(opening: &Opening<'_>) -> Result<Service, String> {
    let (address, var) = (opening.address, opening.var);
    let place = opening.driver.run(Place::find(address, var));
    let wire = wire(place.endpoint.as_deref().unwrap_or("https://"), opening)?;
    let keys = Arc::new(Keys::new(address, var, &place.region, &wire));
    let bucket = &opening.place.bucket;
    let asked = Asked {
        bucket,
        place: &place,
        address,
        keys: &keys,
        wire: &wire,
    };
    let acl = address.acl.as_deref();
    let writing = acl.map(|acl| asked.client(Patience::Long, Some(acl)));
    let aws = || format!("https://s3.{}.amazonaws.com", place.region);
    Ok(Service {
        hasty: asked.client(Patience::Short, None)?,
        patient: asked.client(Patience::Long, None)?,
        writing: writing.transpose()?,
        endpoint: place.endpoint.clone().unwrap_or_else(aws),
        elsewhere: format!("the bucket `{bucket}` is not in region `{}`", place.region),
        traffic: Arc::clone(&wire.traffic),
        keys,
    })
}

/// What all clients of a bucket have in common.
struct Asked<'a> {
    bucket: &'a str,
    place: &'a Place,
    address: &'a Address,
    keys: &'a Arc<Keys>,
    wire: &'a Wire,
}

impl Asked<'_> {
    /// A client. Grants go with all that it asks, so one that has them is for writing alone.
    fn client(
        &self,
        patience: Patience,
        acl: Option<&str>,
    ) -> Result<Box<dyn ObjectStore>, String> {
        let mut options = ClientOptions::new().with_allow_http(self.wire.is_plain);
        if let Some(acl) = acl {
            let value = HeaderValue::from_str(acl).map_err(|error| root_cause(&error))?;
            let name = HeaderName::from_static("x-amz-acl");
            options = options.with_default_headers(HeaderMap::from_iter([(name, value)]));
        }
        let builder = AmazonS3Builder::new()
            .with_bucket_name(self.bucket)
            .with_region(&self.place.region)
            .with_credentials(Arc::clone(self.keys) as _)
            // Only what the builder itself asks is read from here; the rest is in the wire.
            .with_client_options(options)
            .with_http_connector(self.wire.clone())
            .with_disable_bulk_delete(true)
            .with_retry(patience.retry());
        match self.encrypted(self.hosted(builder)?).build() {
            Ok(client) => Ok(Box::new(client)),
            Err(error) => Err(root_cause(&error)),
        }
    }

    /// Says where the bucket is: in the path, unless the address wants it in the name of the host.
    fn hosted(&self, builder: AmazonS3Builder) -> Result<AmazonS3Builder, String> {
        let is_in_host = self.address.path_style == Some(false);
        let builder = builder.with_virtual_hosted_style_request(is_in_host);
        Ok(match &self.place.endpoint {
            Some(endpoint) if is_in_host => builder.with_endpoint(in_host(self.bucket, endpoint)?),
            Some(endpoint) => builder.with_endpoint(endpoint),
            None => builder,
        })
    }

    /// Says how the server is to encrypt what it keeps.
    fn encrypted(&self, mut builder: AmazonS3Builder) -> AmazonS3Builder {
        let asked = [
            ("aws_server_side_encryption", &self.address.sse),
            ("aws_sse_kms_key_id", &self.address.sse_kms_key_id),
        ];
        for (key, value) in asked {
            let key: AmazonS3ConfigKey = key.parse().expect("the client has this key");
            if let Some(value) = value {
                builder = builder.with_config(key, value);
            }
        }
        builder
    }
}

/// The endpoint with the bucket in the name of its host.
fn in_host(bucket: &str, endpoint: &str) -> Result<String, String> {
    let (scheme, place) = endpoint.split_once("://").unwrap_or(("https", endpoint));
    let host = place.split(['/', ':']).next().unwrap_or_default();
    if place.starts_with('[') || host.parse::<IpAddr>().is_ok() {
        return Err(format!(
            "`path_style = false` needs an endpoint with a name that the bucket can stand before, \
             not `{endpoint}`"
        ));
    }
    Ok(format!("{scheme}://{bucket}.{place}"))
}

#[cfg(test)]
#[path = "s3_tests.rs"]
mod tests;
