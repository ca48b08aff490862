//! A remote behind a plain web server: what was pushed to a directory or a bucket, for readers.
//!
//! It is read by GET with ranges and HEAD, without credentials. It cannot list and cannot be
//! written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use object_store::http::{HttpBuilder, HttpStore};
use object_store::path::Path as ObjectPath;
use object_store::{ClientOptions, ObjectStoreExt};

use super::credentials::Missing;
use super::driver::{Driver, Patience};
use super::failure::{Failure, or_absent, root_cause};
use super::incoming::{self, Incoming};
use super::wire::{STALL, Wire};
use super::{Listed, Take, Traffic, Transport, Writing, check_key, too_large};
use crate::remote::{Address, Error, Result};

type Answer<T> = std::result::Result<T, Failure>;

/// A remote behind a web server.
#[derive(Debug)]
pub struct Http {
    remote: String,
    url: String,
    /// For as long as nobody has answered: it gives up within seconds.
    hasty: HttpStore,
    /// For a server that has answered before: it outlasts a bad minute.
    patient: HttpStore,
    answered: AtomicBool,
    traffic: Arc<Traffic>,
    // The last one: the clients close their connections before what drives them ends.
    driver: Driver,
}

impl Http {
    /// Takes `https://host/path`, or `http://`. Nothing is sent.
    pub fn open(address: &Address, var: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let protocol = |detail: String| Error::Protocol {
            remote: address.name.clone(),
            detail,
        };
        if address.url.contains(['?', '#', '@']) {
            return Err(protocol(
                "its url is not like `https://HOST/PATH`".to_owned(),
            ));
        }
        let url = address.url.trim_end_matches('/');
        let wire = Wire::to(url, address, var, STALL).map_err(protocol)?;
        let client = |patience: Patience| {
            HttpBuilder::new()
                .with_url(url)
                .with_retry(patience.retry())
                .with_client_options(ClientOptions::new().with_allow_http(wire.is_plain))
                .with_http_connector(wire.clone())
                .build()
                .map_err(|error| protocol(root_cause(&error)))
        };
        Ok(Self {
            remote: address.name.clone(),
            url: url.to_owned(),
            hasty: client(Patience::Short)?,
            patient: client(Patience::Long)?,
            answered: AtomicBool::new(false),
            traffic: Arc::clone(&wire.traffic),
            driver: Driver::start(&address.name).map_err(|error| protocol(root_cause(&error)))?,
        })
    }

    fn location(&self, key: &str) -> Result<ObjectPath> {
        check_key(&self.remote, key)?;
        ObjectPath::parse(key).map_err(|error| self.protocol(root_cause(&error)))
    }

    /// Asks, in haste as long as nobody has answered.
    fn ask<T>(&self, request: impl AsyncFn(&HttpStore) -> object_store::Result<T>) -> Answer<T> {
        let client = match self.answered.load(Ordering::Relaxed) {
            true => &self.patient,
            false => &self.hasty,
        };
        let answer = self.driver.run(request(client));
        let answer = answer.map_err(|error| Failure::read(&error));
        if matches!(answer, Ok(_) | Err(Failure::Status(_))) {
            self.answered.store(true, Ordering::Relaxed);
        }
        answer
    }

    fn or_absent<T>(&self, answer: Answer<T>) -> Result<Option<T>> {
        or_absent(answer).map_err(|failure| self.refuse(failure))
    }

    fn refuse(&self, failure: Failure) -> Error {
        match failure {
            Failure::Silence(detail) | Failure::Cut(detail) => Error::Unreachable {
                remote: self.remote.clone(),
                url: self.url.clone(),
                detail,
            },
            Failure::Status(status) => {
                self.protocol(format!("{} answered {}", self.url, status.describe()))
            }
            Failure::Credentials(Missing { detail, .. }) | Failure::Other(detail) => {
                self.protocol(detail)
            }
        }
    }

    fn protocol(&self, detail: String) -> Error {
        Error::Protocol {
            remote: self.remote.clone(),
            detail,
        }
    }

    fn read_only<T>(&self) -> Result<T> {
        Err(Error::ReadOnly {
            remote: self.remote.clone(),
            url: self.url.clone(),
        })
    }
}

impl Transport for Http {
    fn writing(&self) -> Result<Writing> {
        Ok(Writing::Never)
    }

    fn get(&self, key: &str) -> Result<Option<Bytes>> {
        let location = self.location(key)?;
        let answer = self.ask(async |client| incoming::whole(client, &location).await);
        match self.or_absent(answer)? {
            None => Ok(None),
            Some((_, Some(bytes))) => Ok(Some(bytes)),
            Some((whole, None)) => Err(too_large(&self.remote, key, whole)),
        }
    }

    fn stream(&self, key: &str, offset: u64, len: u64, take: &mut Take<'_>) -> Result<bool> {
        let location = self.location(key)?;
        if let Some(incoming) = Incoming::new(offset, len, take) {
            let answer = self.ask(async |client| incoming.follow(client, &location).await);
            let came = incoming.settle(answer, |failure| self.refuse(failure))?;
            if let Some(came) = came {
                return Ok(came);
            }
        }
        let whole = self.head(key)?;
        incoming::explain((&self.remote, key), (offset, len), whole, || {
            self.protocol(format!("{} does not send parts of files", self.url))
        })
    }

    fn put(&self, key: &str, _: &Bytes) -> Result<()> {
        self.location(key)?;
        self.read_only()
    }

    fn put_if_absent(&self, key: &str, _: &Bytes) -> Result<bool> {
        self.location(key)?;
        self.read_only()
    }

    fn can_list(&self) -> bool {
        false
    }

    fn list(&self, _: &str) -> Result<Vec<Listed>> {
        Err(self.protocol(format!("{} cannot say what it holds", self.url)))
    }

    fn head(&self, key: &str) -> Result<Option<u64>> {
        let location = self.location(key)?;
        let answer = self.ask(async |client| client.head(&location).await);
        Ok(self.or_absent(answer)?.map(|meta| meta.size))
    }

    fn traffic(&self) -> Option<&Traffic> {
        Some(&self.traffic)
    }

    fn delete(&self, key: &str) -> Result<()> {
        self.location(key)?;
        self.read_only()
    }
}
