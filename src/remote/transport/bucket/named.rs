//! Credentials that `object_store` finds by itself, together with where they come from: a key that
//! is refused, or not to be had, must be named.

use std::fmt::Debug;
use std::sync::Arc;

use object_store::CredentialProvider;

use super::Identity;
use crate::remote::transport::credentials::{Missing, Used};
use crate::remote::transport::failure::root_cause;

/// A source of credentials that has a name.
#[derive(Debug)]
pub(super) struct Named<C> {
    /// What people call it.
    pub(super) source: String,
    /// What asks it, and asks again before what it gave has expired.
    pub(super) provider: Arc<dyn CredentialProvider<Credential = C>>,
}

#[async_trait::async_trait]
impl<C: Debug + Send + Sync> CredentialProvider for Named<C> {
    type Credential = C;

    async fn get_credential(&self) -> object_store::Result<Arc<C>> {
        let given = self.provider.get_credential().await;
        given.map_err(|error| object_store::Error::Generic {
            store: "credentials",
            source: Box::new(Missing {
                source: self.source.clone(),
                detail: root_cause(&error),
                login: None,
            }),
        })
    }
}

impl<C: Debug + Send + Sync> Identity for Named<C> {
    fn used(&self) -> Used {
        Used {
            key_id: None,
            source: self.source.clone(),
        }
    }
}
