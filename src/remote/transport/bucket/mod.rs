//! A remote in a bucket of a cloud: of S3, or of what speaks S3, of Google Cloud Storage,
//! or in a container of Azure.
//!
//! The client is `object_store`; everything async ends here. What the service answers is turned
//! into the errors of the room: a refused key is told from a missing bucket, and both from a
//! service that nobody reached. What is different from cloud to cloud is in a file of its own,
//! which makes the clients and a [`Service`].

mod azure;
mod federated;
mod gcs;
mod named;
mod s3;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};

use super::credentials::Identity;
use super::driver::Driver;
use super::failure::{Failure, Kind, Status, or_absent, root_cause};
use super::incoming::{self, Incoming};
use super::wire::{STALL, Wire};
use super::{
    Listed, MAX_OBJECT_BYTES, Take, Traffic, Transport, Writing, check_key, check_prefix, too_large,
};
use crate::fs;
use crate::remote::{Address, Error, Result};

/// What stands before `://` in the url of a bucket.
pub(super) const SCHEMES: [&str; 3] = ["s3", "az", "gs"];

/// A body is sent in pieces of this size: each one that goes is a sign of life.
const PIECE_BYTES: usize = 128 << 10;

/// More objects than any remote has; a listing that goes on after them is not one.
const MAX_LISTED: usize = 4_000_000;

/// How often a put is tried that met another one under way (409), or broke off.
const PUT_TRIES: u32 = 6;

/// A remote in a bucket.
#[derive(Debug)]
pub struct Bucket {
    remote: String,
    url: String,
    place: Place,
    service: Service,
    answered: AtomicBool,
    bucket_seen: AtomicBool,
    // The last one, because fields are dropped in order: the clients close their connections
    // before what drives them ends.
    driver: Driver,
}

/// Where in a cloud a remote is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    scheme: &'static str,
    bucket: String,
    prefix: String,
}

/// What a cloud is to a bucket.
#[derive(Debug)]
struct Service {
    /// For as long as nobody has answered: it gives up within seconds.
    hasty: Box<dyn ObjectStore>,
    /// For a service that has answered before: it outlasts a bad minute.
    patient: Box<dyn ObjectStore>,
    /// The same for what is written, if more is said with that.
    writing: Option<Box<dyn ObjectStore>>,
    /// Where it answers.
    endpoint: String,
    /// What it means when it sends one elsewhere.
    elsewhere: String,
    /// The key that was last used.
    keys: Arc<dyn Identity>,
    /// What the clients have sent and received.
    traffic: Arc<Traffic>,
}

/// What it takes to make the clients of a cloud.
struct Opening<'a> {
    address: &'a Address,
    var: &'a dyn Fn(&str) -> Option<String>,
    place: &'a Place,
    driver: &'a Driver,
    stall: Duration,
}

/// What a client of this endpoint needs to know of the network; the error is for people.
fn wire(endpoint: &str, opening: &Opening<'_>) -> std::result::Result<Wire, String> {
    if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
        return Err(format!(
            "the endpoint `{endpoint}` begins neither with `https://` nor with `http://`"
        ));
    }
    let wire = Wire::to(endpoint, opening.address, opening.var, opening.stall)?;
    Ok(wire.without_redirects())
}

impl Bucket {
    /// Takes `s3://bucket/prefix` and the like. Nothing is sent.
    pub fn open(address: &Address, var: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        Self::open_with(address, var, STALL)
    }

    /// The same, with another limit on the time in which nothing moves.
    pub(super) fn open_with(
        address: &Address,
        var: &dyn Fn(&str) -> Option<String>,
        stall: Duration,
    ) -> Result<Self> {
        let protocol = |detail: String| Error::Protocol {
            remote: address.name.clone(),
            detail,
        };
        let place = Place::parse(&address.url).ok_or_else(|| {
            let scheme = super::scheme(&address.url).unwrap_or_default();
            protocol(format!("its url is not like `{scheme}://BUCKET/PREFIX`"))
        })?;
        let driver = Driver::start(&address.name).map_err(|error| protocol(root_cause(&error)))?;
        let opening = Opening {
            address,
            var,
            place: &place,
            driver: &driver,
            stall,
        };
        let service = match place.scheme {
            "az" => azure::open(&opening),
            "gs" => gcs::open(&opening),
            _ => s3::open(&opening),
        };
        Ok(Self {
            remote: address.name.clone(),
            url: address.url.clone(),
            service: service.map_err(protocol)?,
            place,
            answered: AtomicBool::new(false),
            bucket_seen: AtomicBool::new(false),
            driver,
        })
    }

    fn location(&self, key: &str) -> Result<ObjectPath> {
        check_key(&self.remote, key)?;
        let path = format!("{}{key}", self.base());
        ObjectPath::parse(path).map_err(|error| self.protocol(root_cause(&error)))
    }

    /// What stands before every key.
    fn base(&self) -> String {
        if self.place.prefix.is_empty() {
            String::new()
        } else {
            format!("{}/", self.place.prefix)
        }
    }

    /// Sends a small request, in haste as long as nobody has answered.
    fn ask<T>(
        &self,
        request: &impl AsyncFn(&dyn ObjectStore) -> object_store::Result<T>,
    ) -> std::result::Result<T, Failure> {
        if !self.answered.load(Ordering::Relaxed) {
            let answer = self.signed(|| self.driver.run(request(&*self.service.hasty)));
            let troubled = matches!(&answer, Err(failure) if failure.kind() == Some(Kind::Trouble));
            if !troubled {
                return answer;
            }
        }
        self.signed(|| self.driver.run(request(&*self.service.patient)))
    }

    /// Sends a request; once more if the key has expired, and those who hand them out have another.
    fn signed<T>(
        &self,
        request: impl Fn() -> object_store::Result<T>,
    ) -> std::result::Result<T, Failure> {
        let keys = &self.service.keys;
        let edition = self.driver.run(keys.edition());
        let edition = edition.map_err(Failure::Credentials)?;
        let answer = self.note(request());
        if !matches!(&answer, Err(Failure::Status(status)) if status.is_stale()) {
            return answer;
        }
        match self.driver.run(keys.renew(edition)) {
            Ok(true) => self.note(request()),
            Ok(false) => answer,
            Err(missing) => Err(Failure::Credentials(missing)),
        }
    }

    /// Remembers that the service answered, be it with an error, and that the bucket is there.
    fn note<T>(&self, answer: object_store::Result<T>) -> std::result::Result<T, Failure> {
        let answer = answer.map_err(|error| Failure::read(&error));
        if matches!(answer, Ok(_) | Err(Failure::Status(_))) {
            self.answered.store(true, Ordering::Relaxed);
        }
        if answer.is_ok() {
            self.bucket_seen.store(true, Ordering::Relaxed);
        }
        answer
    }

    fn size(&self, location: &ObjectPath) -> std::result::Result<u64, Failure> {
        let failure = match self.ask(&async |client| client.head(location).await) {
            Ok(meta) => return Ok(meta.size),
            Err(failure) => failure,
        };
        let explained = !failure.is_mute()
            || (failure.kind() == Some(Kind::NoObject) && self.bucket_seen.load(Ordering::Relaxed));
        if explained {
            return Err(failure);
        }
        // The answer to HEAD has no body, so it cannot say why. One byte by GET can.
        let first = || incoming::part(0..1);
        let found = self.ask(&async |client| client.get_opts(location, first()).await)?;
        Ok(found.meta.size)
    }

    fn send(&self, key: &str, body: &Bytes, mode: &PutMode) -> Result<bool> {
        let location = self.location(key)?;
        if body.len() as u64 > MAX_OBJECT_BYTES {
            return Err(too_large(&self.remote, key, body.len() as u64));
        }
        self.wake(&location)?;
        let payload = pieces(body);
        let mut tries = 1;
        loop {
            let client = self.service.writing.as_ref();
            let client = client.unwrap_or(&self.service.patient);
            let sent = self.signed(|| {
                let options = PutOptions::from(mode.clone());
                let sent = client.put_opts(&location, payload.clone(), options);
                self.driver.run(sent)
            });
            let Err(failure) = sent else {
                return Ok(true);
            };
            // The client itself does not repeat what may have had its effect. Here it may: who
            // then finds its own object in the way is told that it was there.
            let again = matches!(failure.kind(), Some(Kind::Conflict))
                || matches!(failure, Failure::Cut(_));
            match failure.kind() {
                Some(Kind::Exists) => return Ok(false),
                _ if again && tries < PUT_TRIES => self.pause(tries),
                _ => return Err(self.refuse(failure)),
            }
            tries += 1;
        }
    }

    /// Makes sure that somebody answers before a body is sent with patience.
    fn wake(&self, location: &ObjectPath) -> Result<()> {
        if self.answered.load(Ordering::Relaxed) {
            return Ok(());
        }
        match self.ask(&async |client| client.head(location).await) {
            Err(failure @ (Failure::Silence(_) | Failure::Cut(_) | Failure::Credentials(_))) => {
                Err(self.refuse(failure))
            }
            _ => Ok(()),
        }
    }

    /// Waits a random while, longer each time.
    fn pause(&self, tries: u32) {
        let chance = u64::from(u16::from_le_bytes(fs::random_bytes()));
        let limit = 100_u64 << tries.min(6);
        let pause = Duration::from_millis(chance % limit);
        self.driver.run(async { tokio::time::sleep(pause).await });
    }

    /// `None` if the object is not there.
    fn or_absent<T>(&self, answer: std::result::Result<T, Failure>) -> Result<Option<T>> {
        or_absent(answer).map_err(|failure| self.refuse(failure))
    }

    /// Turns what a service said into what a person should know.
    fn refuse(&self, failure: Failure) -> Error {
        match failure {
            Failure::Credentials(missing) => Error::NoCredentials {
                remote: self.remote.clone(),
                url: self.url.clone(),
                key_source: missing.source,
                detail: missing.detail,
                lack: Box::new(missing.lack),
            },
            Failure::Silence(detail) | Failure::Cut(detail) => {
                self.unreachable(format!("{}: {detail}", self.endpoint()))
            }
            Failure::Status(status) => self.refuse_status(status),
            Failure::Other(detail) => self.protocol(detail),
        }
    }

    fn refuse_status(&self, status: Status) -> Error {
        let answer = format!("{} answered {}", self.endpoint(), status.describe());
        match status.kind() {
            Kind::NoBucket => Error::NoBucket {
                remote: self.remote.clone(),
                bucket: self.place.bucket.clone(),
            },
            Kind::Denied => {
                let used = self.service.keys.used();
                Error::Denied {
                    remote: self.remote.clone(),
                    url: self.url.clone(),
                    code: status.code,
                    key_id: used.key_id,
                    key_source: used.source,
                }
            }
            Kind::Expired => {
                let used = self.service.keys.used();
                Error::Expired {
                    remote: self.remote.clone(),
                    url: self.url.clone(),
                    key_id: used.key_id,
                    key_source: used.source,
                }
            }
            Kind::Elsewhere => self.elsewhere(&answer, status.region()),
            Kind::Clock => Error::Clock {
                remote: self.remote.clone(),
                url: self.url.clone(),
                time: status.time(),
            },
            Kind::Trouble => self.unreachable(answer),
            Kind::NoObject | Kind::Exists | Kind::Conflict | Kind::Unknown => self.protocol(answer),
        }
    }

    fn elsewhere(&self, answer: &str, region: Option<&str>) -> Error {
        let not_there = &self.service.elsewhere;
        match region.filter(|region| !not_there.contains(&format!("`{region}`"))) {
            Some(region) => Error::Elsewhere {
                remote: self.remote.clone(),
                detail: not_there.clone(),
                region: region.to_owned(),
            },
            None => self.protocol(format!("{answer}: {not_there}")),
        }
    }

    fn endpoint(&self) -> &str {
        &self.service.endpoint
    }

    fn unreachable(&self, detail: String) -> Error {
        Error::Unreachable {
            remote: self.remote.clone(),
            url: self.url.clone(),
            detail,
        }
    }

    fn protocol(&self, detail: String) -> Error {
        Error::Protocol {
            remote: self.remote.clone(),
            detail,
        }
    }
}

impl Transport for Bucket {
    fn writing(&self) -> Result<Writing> {
        let Place {
            scheme,
            bucket,
            prefix,
        } = &self.place;
        let place = format!("{scheme}://{bucket}/{prefix} on {}", self.endpoint());
        Ok(Writing::Unproven(place))
    }

    fn get(&self, key: &str) -> Result<Option<Bytes>> {
        let location = self.location(key)?;
        let answer = self.ask(&async |client| incoming::whole(client, &location).await);
        match self.or_absent(answer)? {
            None => Ok(None),
            Some((_, Some(bytes))) => Ok(Some(bytes)),
            Some((whole, None)) => Err(too_large(&self.remote, key, whole)),
        }
    }

    fn stream(&self, key: &str, offset: u64, len: u64, take: &mut Take<'_>) -> Result<bool> {
        let location = self.location(key)?;
        if let Some(incoming) = Incoming::new(offset, len, take) {
            let answer = self.ask(&async |client| incoming.follow(client, &location).await);
            let came = incoming.settle(answer, |failure| self.refuse(failure))?;
            if let Some(came) = came {
                return Ok(came);
            }
        }
        let whole = self.head(key)?;
        incoming::explain((&self.remote, key), (offset, len), whole, || {
            self.protocol(format!(
                "{} does not send a part of `{key}`",
                self.endpoint()
            ))
        })
    }

    fn put(&self, key: &str, body: &Bytes) -> Result<()> {
        self.send(key, body, &PutMode::Overwrite).map(|_| ())
    }

    fn put_if_absent(&self, key: &str, body: &Bytes) -> Result<bool> {
        self.send(key, body, &PutMode::Create)
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>> {
        check_prefix(&self.remote, prefix)?;
        let base = self.base();
        let below = format!("{base}{prefix}");
        let below = ObjectPath::parse(below.trim_end_matches('/'))
            .map_err(|error| self.protocol(root_cause(&error)))?;
        let answer = self.ask(&async |client| {
            let mut found = Vec::new();
            let mut listing = client.list(Some(&below));
            while let Some(meta) = listing.try_next().await? {
                let key = meta.location.as_ref().strip_prefix(&base);
                // What is not a key is not esker's.
                let key = key.filter(|key| check_key("", key).is_ok());
                found.extend(key.map(|key| Listed {
                    key: key.to_owned(),
                    size: meta.size,
                    modified: u64::try_from(meta.last_modified.timestamp()).unwrap_or(0),
                }));
                if found.len() > MAX_LISTED {
                    break;
                }
            }
            Ok(found)
        });
        let mut found = answer.map_err(|failure| self.refuse(failure))?;
        if found.len() > MAX_LISTED {
            return Err(self.protocol(format!("`{prefix}` lists more than {MAX_LISTED} objects")));
        }
        found.sort();
        Ok(found)
    }

    fn head(&self, key: &str) -> Result<Option<u64>> {
        let location = self.location(key)?;
        self.or_absent(self.size(&location))
    }

    fn traffic(&self) -> Option<&Traffic> {
        Some(&self.service.traffic)
    }

    fn delete(&self, key: &str) -> Result<()> {
        let location = self.location(key)?;
        let answer = self.ask(&async |client| client.delete(&location).await);
        self.or_absent(answer).map(|_| ())
    }
}

impl Place {
    /// The parts of `scheme://bucket/prefix`.
    fn parse(url: &str) -> Option<Self> {
        let scheme = *SCHEMES
            .iter()
            .find(|scheme| super::scheme(url) == Some(scheme))?;
        let (_, rest) = url.split_once("://")?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let is_bucket = (1..=255).contains(&bucket.len()) && bucket.bytes().all(legal);
        let prefix = prefix.trim_matches('/');
        let is_prefix = prefix.len() <= 512 && ObjectPath::parse(prefix).is_ok();
        (is_bucket && is_prefix).then(|| Self {
            scheme,
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        })
    }
}

/// The pieces of a body, which share its memory.
fn pieces(body: &Bytes) -> PutPayload {
    let mut rest = body.clone();
    let pieces = std::iter::from_fn(move || {
        let piece = rest.split_to(rest.len().min(PIECE_BYTES));
        (!piece.is_empty()).then_some(piece)
    });
    pieces.collect()
}

#[cfg(test)]
mod tests;
