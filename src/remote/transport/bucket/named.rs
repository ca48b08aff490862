//! Credentials that `object_store` finds by itself, together with where they come from: a key that
//! is refused, or not to be had, must be named.

use std::fmt::{self, Debug};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::lock::Mutex as AsyncMutex;
use object_store::CredentialProvider;

use crate::remote::Lack;
use crate::remote::transport::credentials::{Identity, Missing, Used};
use crate::remote::transport::failure::root_cause;

/// What asks for credentials, and asks again before what it was given has expired.
type Provider<C> = Arc<dyn CredentialProvider<Credential = C>>;

/// A source of credentials that has a name.
pub(super) struct Named<C> {
    source: String,
    make: Box<dyn Fn() -> Result<Provider<C>, String> + Send + Sync>,
    provider: Mutex<Provider<C>>,
    last: Mutex<Option<Arc<C>>>,
    /// Counts the credentials that were given, each once for each change.
    edition: AtomicU64,
    renewing: AsyncMutex<()>,
}

impl<C> Debug for Named<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Named").field(&self.source).finish()
    }
}

impl<C: Debug + PartialEq + Send + Sync + 'static> Named<C> {
    /// A source that people call so. `make` makes what asks it: once now, and again when what it gave is
    /// refused.
    pub(super) fn new(
        source: &str,
        make: impl Fn() -> Result<Provider<C>, String> + Send + Sync + 'static,
    ) -> Result<Self, String> {
        Ok(Self {
            source: source.to_owned(),
            provider: Mutex::new(make()?),
            make: Box::new(make),
            last: Mutex::new(None),
            edition: AtomicU64::new(0),
            renewing: AsyncMutex::new(()),
        })
    }

    async fn ask(&self) -> Result<Arc<C>, Missing> {
        let provider = Arc::clone(&lock(&self.provider));
        let given = provider.get_credential().await;
        let given = given.map_err(|error| self.missing(root_cause(&error)))?;
        let mut last = lock(&self.last);
        if last.as_ref().is_none_or(|last| *last != given) {
            self.edition.fetch_add(1, Ordering::SeqCst);
            *last = Some(Arc::clone(&given));
        }
        Ok(given)
    }

    fn missing(&self, detail: String) -> Missing {
        Missing {
            source: self.source.clone(),
            detail,
            lack: Lack::Key,
        }
    }
}

#[async_trait::async_trait]
impl<C: Debug + PartialEq + Send + Sync + 'static> CredentialProvider for Named<C> {
    type Credential = C;

    async fn get_credential(&self) -> object_store::Result<Arc<C>> {
        let given = self.ask().await;
        given.map_err(|missing| object_store::Error::Generic {
            store: "credentials",
            source: Box::new(missing),
        })
    }
}

#[async_trait::async_trait]
impl<C: Debug + PartialEq + Send + Sync + 'static> Identity for Named<C> {
    fn used(&self) -> Used {
        Used {
            key_id: None,
            source: self.source.clone(),
        }
    }

    async fn edition(&self) -> Result<u64, Missing> {
        if self.edition.load(Ordering::SeqCst) == 0 {
            self.ask().await?;
        }
        Ok(self.edition.load(Ordering::SeqCst))
    }

    async fn renew(&self, edition: u64) -> Result<bool, Missing> {
        let _alone = self.renewing.lock().await;
        if self.edition.load(Ordering::SeqCst) == edition {
            // What it gave last it would give again.
            let provider = (self.make)().map_err(|detail| self.missing(detail))?;
            *lock(&self.provider) = provider;
            self.ask().await?;
        }
        Ok(self.edition.load(Ordering::SeqCst) != edition)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
