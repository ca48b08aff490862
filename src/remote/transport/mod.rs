//! The few acts that esker asks of an object store, over a directory, memory or S3.
//!
//! A transport moves named bytes. It knows nothing of packs, snapshots or what a key means, and
//! it is blocking: parallel transfers are plain threads that share one transport. What is async
//! inside (S3) stays inside.

mod bucket;
mod credentials;
mod directory;
mod driver;
mod failure;
mod http;
mod incoming;
mod issuers;
#[cfg(test)]
mod memory;
mod ssh;
mod wire;

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::{Address, Error, Result};

pub use bucket::Bucket;
pub use directory::Directory;
pub use http::Http;
#[cfg(test)]
pub use memory::Memory;
pub use ssh::Ssh;

/// The most bytes an object may have (`docs/format.md`, section "Remotes"). A larger one is
/// refused before memory is taken for it.
pub const MAX_OBJECT_BYTES: u64 = 256 << 20;

/// Takes more of what is read. An error ends the reading.
pub type Take<'a> = dyn FnMut(&[u8]) -> Result<()> + 'a;

/// A flat store of named, immutable byte strings.
///
/// Keys are `/`-separated names of `A-Z a-z 0-9 . _ -`; no name is empty, `.` or `..`, and the
/// first one is not `tmp`. A prefix is empty or ends with `/`.
pub trait Transport: Send + Sync {
    /// What may be relied on when writing.
    fn writing(&self) -> Result<Writing>;

    /// Reads an object; `None` if there is none.
    fn get(&self, key: &str) -> Result<Option<Bytes>>;

    /// Hands over exactly `len` bytes from `offset` on, in order and as they come; says whether there
    /// is such an object. [`Error::Damaged`] if it has not that many bytes.
    fn stream(&self, key: &str, offset: u64, len: u64, take: &mut Take<'_>) -> Result<bool>;

    /// Reads a range whole; `None` if there is no such object.
    fn get_range(&self, key: &str, offset: u64, len: u64) -> Result<Option<Bytes>> {
        let mut bytes = Vec::new();
        let is_there = self.stream(key, offset, len, &mut |part| {
            bytes.extend_from_slice(part);
            Ok(())
        })?;
        Ok(is_there.then(|| bytes.into()))
    }

    /// Writes an object whole, replacing one that is there.
    fn put(&self, key: &str, body: &Bytes) -> Result<()>;

    /// Writes an object whole unless one of that key is there; says whether it was written. Of
    /// many that try at once, one at most is told so (see [`Writing`] for who promises that).
    /// After a lost answer the one that won may be told that it lost: who must know compares the
    /// bytes.
    fn put_if_absent(&self, key: &str, body: &Bytes) -> Result<bool>;

    /// Whether it can say what is there.
    fn can_list(&self) -> bool {
        true
    }

    /// All objects whose keys begin with a prefix, sorted by key.
    fn list(&self, prefix: &str) -> Result<Vec<Listed>>;

    /// The length of an object; `None` if there is none.
    fn head(&self, key: &str) -> Result<Option<u64>>;

    /// Removes an object; none is fine.
    fn delete(&self, key: &str) -> Result<()>;

    /// What has gone over the line so far, if that is counted while it goes.
    fn traffic(&self) -> Option<&Traffic> {
        None
    }
}

/// Counts what goes over a line, tries that fail included.
#[derive(Debug, Default)]
pub struct Traffic {
    sent: AtomicU64,
    received: AtomicU64,
}

impl Traffic {
    /// How many bytes went out.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// How many bytes came in.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// More went out.
    pub fn count_sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// More came in.
    pub fn count_received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// What a transport promises of its writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Writing {
    /// `put_if_absent` never replaces an object.
    Exclusive,
    /// Nothing can be written there.
    Never,
    /// Servers of this kind differ: some answer a `put_if_absent` as if it were a `put`. What one
    /// does is found out once and remembered under this name of it.
    Unproven(String),
}

/// An object in a listing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// Its length.
    pub size: u64,
    /// When it was written, by the clock of the store: seconds since 1970.
    pub modified: u64,
}

/// Opens the transport that an address asks for. `var` reads the environment. Nothing is sent.
pub fn open(address: &Address, var: &dyn Fn(&str) -> Option<String>) -> Result<Box<dyn Transport>> {
    match scheme(&address.url) {
        None | Some("file") => Ok(Box::new(Directory::open(address)?)),
        Some("http" | "https") => Ok(Box::new(Http::open(address, var)?)),
        Some("ssh") => Ok(Box::new(Ssh::open(address, var)?)),
        Some(scheme) if bucket::SCHEMES.contains(&scheme) => {
            Ok(Box::new(Bucket::open(address, var)?))
        }
        Some(_) => Err(unknown_scheme(address)),
    }
}

/// What stands before `://`, if it could be a scheme at all.
fn scheme(url: &str) -> Option<&str> {
    let (scheme, _) = url.split_once("://")?;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    (!scheme.is_empty() && scheme.bytes().all(legal)).then_some(scheme)
}

fn unknown_scheme(address: &Address) -> Error {
    Error::UnknownScheme {
        remote: address.name.clone(),
        url: address.url.clone(),
    }
}

/// Refuses a key that could leave the remote or clash with the directory layout.
fn check_key(remote: &str, key: &str) -> Result<()> {
    let legal = key.len() <= 900 && key.split('/').all(is_name) && !is_reserved(key);
    legal.then_some(()).ok_or_else(|| Error::Protocol {
        remote: remote.to_owned(),
        detail: format!("`{key}` cannot be the name of an object"),
    })
}

/// Refuses a prefix that is not a whole number of names.
fn check_prefix(remote: &str, prefix: &str) -> Result<()> {
    if prefix.is_empty() {
        return Ok(());
    }
    match prefix.strip_suffix('/') {
        Some(dir) => check_key(remote, dir),
        None => Err(Error::Protocol {
            remote: remote.to_owned(),
            detail: format!("`{prefix}` cannot be listed: it does not end with `/`"),
        }),
    }
}

fn is_name(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !name.is_empty() && name.len() <= 255 && name != "." && name != ".." && name.bytes().all(legal)
}

/// A directory remote keeps what is under way in `tmp/`.
fn is_reserved(key: &str) -> bool {
    key.split('/').next() == Some("tmp")
}

fn too_large(remote: &str, key: &str, size: u64) -> Error {
    Error::Damaged {
        remote: remote.to_owned(),
        object: key.to_owned(),
        reason: format!("it has {size} bytes, more than any object of esker"),
    }
}

fn too_short(remote: &str, key: &str, size: u64, offset: u64, len: u64) -> Error {
    Error::Damaged {
        remote: remote.to_owned(),
        object: key.to_owned(),
        reason: format!("it has {size} bytes, too few for {len} from {offset} on"),
    }
}

/// A stranger's words, on one line and fit to be shown on a terminal.
fn printable(text: &str) -> String {
    let mut shown = String::new();
    for letter in text.trim().chars().take(300) {
        match letter {
            '\n' | '\r' | '\t' => shown.push(' '),
            letter if letter.is_control() => {}
            letter => shown.push(letter),
        }
    }
    shown
}

#[cfg(test)]
pub(crate) mod tests;
