//! The client of S3 itself, and whom it trusts.

use std::sync::Arc;

use object_store::ClientOptions;
use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;

use super::{Opening, Service, wire};
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
    let client = |patience: Patience| {
        let keys = Arc::clone(&keys);
        connect(bucket, &place, keys, patience, wire.clone())
    };
    let aws = || format!("https://s3.{}.amazonaws.com", place.region);
    Ok(Service {
        hasty: client(Patience::Short)?,
        patient: client(Patience::Long)?,
        endpoint: place.endpoint.clone().unwrap_or_else(aws),
        elsewhere: format!("the bucket `{bucket}` is not in region `{}`", place.region),
        keys,
    })
}

fn connect(
    bucket: &str,
    place: &Place,
    keys: Arc<Keys>,
    patience: Patience,
    wire: Wire,
) -> Result<Box<dyn ObjectStore>, String> {
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
    match builder.build() {
        Ok(client) => Ok(Box::new(client)),
        Err(error) => Err(root_cause(&error)),
    }
}
