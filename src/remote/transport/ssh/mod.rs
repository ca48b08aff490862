//! A remote on a machine that is reached by `ssh`: SFTP through the user's own program.
//!
//! An object is a file, as in a directory remote, and both may look at the same one. It is written
//! under `tmp/`, flushed, and then gets its name: by a hard link, which is refused if the name is
//! taken, or by a rename, which replaces. So nobody sees a part of it. `docs/design/0005-ssh.md`.

mod packet;
mod session;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use self::packet::Attributes;
use self::session::{Answer, Failure, Session};
use super::{
    Listed, MAX_OBJECT_BYTES, Take, Traffic, Transport, Writing, check_key, check_prefix, is_name,
    is_reserved, too_large, too_short,
};
use crate::fs;
use crate::remote::{Address, Error, Result};

/// So much of a file is handed over at once; asked for, it is in smaller pieces.
const PART_BYTES: u64 = 4 << 20;

/// How often a request is made anew over a new connection, after the old one broke.
const TRIES: u32 = 4;

/// Directories that are listed at once: a server has few handles to give away.
const DIRS_AT_ONCE: usize = 64;

const HARDLINK: &str = "hardlink@openssh.com";
const POSIX_RENAME: &str = "posix-rename@openssh.com";
const FSYNC: &str = "fsync@openssh.com";

/// A remote behind `ssh`.
#[derive(Debug)]
pub struct Ssh {
    remote: String,
    url: String,
    program: String,
    place: Place,
    session: Mutex<Option<Arc<Session>>>,
    traffic: Arc<Traffic>,
}

/// What stands in `ssh://user@host:port/path`.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    user: Option<String>,
    host: String,
    port: Option<u16>,
    /// Absolute, or from where the server puts the user.
    root: String,
}

impl Ssh {
    /// Takes `ssh://user@host:port/path`, or `ssh://host/~/path` for one below the home
    /// directory. Nothing is sent. `ESKER_SSH` names another program than `ssh`.
    pub fn open(address: &Address, var: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let place = Place::parse(&address.url).ok_or_else(|| Error::Protocol {
            remote: address.name.clone(),
            detail: "its url is not like `ssh://USER@HOST/PATH`".to_owned(),
        })?;
        let program = var("ESKER_SSH").filter(|program| !program.is_empty());
        Ok(Self {
            remote: address.name.clone(),
            url: address.url.clone(),
            program: program.unwrap_or_else(|| "ssh".to_owned()),
            place,
            session: Mutex::new(None),
            traffic: Arc::default(),
        })
    }

    fn path(&self, key: &str) -> Result<String> {
        check_key(&self.remote, key)?;
        Ok(self.below(key))
    }

    fn below(&self, key: &str) -> String {
        format!("{}/{key}", self.place.root)
    }

    /// Does something over the connection, and once more over a new one if that breaks. What is
    /// done twice does no harm.
    fn with<T>(&self, act: impl Fn(&Session) -> Answer<T>) -> Result<Answer<T>> {
        let mut tries = 1;
        loop {
            let session = self.session()?;
            match act(&session) {
                Err(Failure::Lost(_)) if tries < TRIES => self.forget(&session),
                Err(failure @ (Failure::Lost(_) | Failure::Nonsense)) => {
                    return Err(self.refuse(failure));
                }
                answer => return Ok(answer),
            }
            tries += 1;
        }
    }

    fn session(&self) -> Result<Arc<Session>> {
        let mut held = self.held();
        if let Some(session) = &*held {
            return Ok(Arc::clone(session));
        }
        let started = Session::start(&self.program, &self.place, &self.traffic);
        let session = Arc::new(started.map_err(|failure| self.refuse(failure))?);
        *held = Some(Arc::clone(&session));
        Ok(session)
    }

    /// A connection that is gone is nobody's any more, unless somebody has made a new one.
    fn forget(&self, lost: &Arc<Session>) {
        let mut held = self.held();
        if held
            .as_ref()
            .is_some_and(|session| Arc::ptr_eq(session, lost))
        {
            *held = None;
        }
    }

    fn held(&self) -> MutexGuard<'_, Option<Arc<Session>>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refuse(&self, failure: Failure) -> Error {
        match failure {
            Failure::Lost(detail) => Error::Unreachable {
                remote: self.remote.clone(),
                url: self.url.clone(),
                detail,
            },
            Failure::Status { text, .. } => self.protocol(format!("the server said `{text}`")),
            Failure::Nonsense => self.protocol("the server does not speak SFTP 3".to_owned()),
        }
    }

    fn protocol(&self, detail: String) -> Error {
        Error::Protocol {
            remote: self.remote.clone(),
            detail,
        }
    }

    /// `None` if there is nothing of that name. A remote that is not there at all is an error.
    fn or_absent<T>(&self, answer: Answer<T>) -> Result<Option<T>> {
        match answer {
            Ok(value) => Ok(Some(value)),
            Err(failure) if is_missing(&failure) => self.check_root().map(|()| None),
            Err(failure) => Err(self.refuse(failure)),
        }
    }

    fn check_root(&self) -> Result<()> {
        match self.with(|session| session.stat(&self.place.root))? {
            Ok(_) => Ok(()),
            Err(failure) if is_missing(&failure) => Err(Error::MissingDirectory {
                remote: self.remote.clone(),
                path: self.place.root.clone(),
            }),
            Err(failure) => Err(self.refuse(failure)),
        }
    }

    fn size(&self, path: &str) -> Result<Option<u64>> {
        let answer = self.with(|session| session.lstat(path))?;
        let found = self.or_absent(answer)?;
        Ok(found
            .filter(|found| found.is_file())
            .map(|found| found.size))
    }

    fn read(&self, path: &str, offset: u64, len: u64) -> Result<Option<Vec<u8>>> {
        let answer = self.with(|session| {
            let handle = session.open(path, packet::FOR_READING)?;
            let bytes = session.read(&handle, offset, len)?;
            session.close(&handle)?;
            Ok(bytes)
        })?;
        self.or_absent(answer)
    }

    /// Writes a body beside the objects and gives it its name by `publish`.
    fn store<T>(
        &self,
        key: &str,
        body: &Bytes,
        publish: impl Fn(&Session, &str, &str) -> Answer<T>,
    ) -> Result<T> {
        let path = self.path(key)?;
        let answer = self.with(|session| {
            let temp = format!("tmp/{}", fs::temp_name());
            let temp = self.below(&temp);
            let handle = self.in_directory(session, &temp, || {
                session.open(&temp, packet::FOR_A_NEW_FILE)
            })?;
            let published = self.fill(session, &handle, body).and_then(|()| {
                self.in_directory(session, &path, || publish(session, &temp, &path))
            });
            // After a rename it is not there any more, and that is fine.
            let _ = session.act(packet::REMOVE, &[&temp]);
            published
        })?;
        answer.map_err(|failure| self.refuse(failure))
    }

    fn fill(&self, session: &Session, handle: &Bytes, body: &Bytes) -> Answer<()> {
        session.write(handle, body)?;
        if session.knows(FSYNC) {
            session.extended(FSYNC, |fields| fields.bytes(handle))?;
        }
        session.close(handle)
    }

    /// Does something to a path, and once more after its directory was made.
    fn in_directory<T>(
        &self,
        session: &Session,
        path: &str,
        act: impl Fn() -> Answer<T>,
    ) -> Answer<T> {
        match act() {
            Err(failure) if is_missing(&failure) => {
                make_parents(session, path);
                act()
            }
            answer => answer,
        }
    }

    /// What lies in some directories: their keys and what they are.
    fn names(&self, dirs: &[String]) -> Result<Vec<(String, Attributes)>> {
        let answer = self.with(|session| list_each(session, dirs, |dir| self.below(dir)))?;
        answer.map_err(|failure| self.refuse(failure))
    }
}

impl Transport for Ssh {
    fn writing(&self) -> Result<Writing> {
        let has_links = self.session()?.knows(HARDLINK);
        Ok(match has_links {
            true => Writing::Exclusive,
            false => Writing::Unproven(self.url.clone()),
        })
    }

    fn get(&self, key: &str) -> Result<Option<Bytes>> {
        let path = self.path(key)?;
        match self.size(&path)? {
            None => Ok(None),
            Some(size) if size > MAX_OBJECT_BYTES => Err(too_large(&self.remote, key, size)),
            // Objects do not change, so this is all of it.
            Some(size) => Ok(self.read(&path, 0, size)?.map(Bytes::from)),
        }
    }

    fn stream(&self, key: &str, offset: u64, len: u64, take: &mut Take<'_>) -> Result<bool> {
        let path = self.path(key)?;
        let Some(size) = self.size(&path)? else {
            return Ok(false);
        };
        let end = offset.checked_add(len).filter(|end| *end <= size);
        if end.is_none() || len > MAX_OBJECT_BYTES {
            return Err(too_short(&self.remote, key, size, offset, len));
        }
        let mut left = len;
        while left > 0 {
            let part = left.min(PART_BYTES);
            match self.read(&path, offset + len - left, part)? {
                None => return Ok(false),
                Some(bytes) if bytes.len() as u64 == part => take(&bytes)?,
                Some(_) => return Err(too_short(&self.remote, key, size, offset, len)),
            }
            left -= part;
        }
        Ok(true)
    }

    fn put(&self, key: &str, body: &Bytes) -> Result<()> {
        self.store(key, body, |session, temp, path| {
            if session.knows(POSIX_RENAME) {
                return session.extended(POSIX_RENAME, |fields| fields.text(temp).text(path));
            }
            // Version 3 has no rename that replaces.
            match session.act(packet::RENAME, &[temp, path]) {
                Err(Failure::Status { .. }) if session.lstat(path).is_ok() => {
                    session.act(packet::REMOVE, &[path])?;
                    session.act(packet::RENAME, &[temp, path])
                }
                answer => answer,
            }
        })
    }

    fn put_if_absent(&self, key: &str, body: &Bytes) -> Result<bool> {
        if self.head_or_nothing(key)? {
            return Ok(false);
        }
        self.store(key, body, |session, temp, path| {
            let answer = match session.knows(HARDLINK) {
                true => session.extended(HARDLINK, |fields| fields.text(temp).text(path)),
                false => session.act(packet::RENAME, &[temp, path]),
            };
            match answer {
                Ok(()) => Ok(true),
                // The server does not say why; that there is one now is reason enough.
                Err(Failure::Status { .. }) if session.lstat(path).is_ok() => Ok(false),
                Err(failure) => Err(failure),
            }
        })
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>> {
        check_prefix(&self.remote, prefix)?;
        self.check_root()?;
        let mut found = Vec::new();
        let mut dirs = vec![prefix.to_owned()];
        while !dirs.is_empty() {
            let mut below = Vec::new();
            for some in dirs.chunks(DIRS_AT_ONCE) {
                for (key, attributes) in self.names(some)? {
                    // What is not a key is not esker's.
                    if is_reserved(&key) {
                        continue;
                    }
                    if attributes.is_dir() {
                        below.push(format!("{key}/"));
                    } else if attributes.is_file() {
                        found.push(Listed {
                            key,
                            size: attributes.size,
                            modified: attributes.modified.into(),
                        });
                    }
                }
            }
            dirs = below;
        }
        found.sort();
        Ok(found)
    }

    fn head(&self, key: &str) -> Result<Option<u64>> {
        self.size(&self.path(key)?)
    }

    fn traffic(&self) -> Option<&Traffic> {
        Some(&self.traffic)
    }

    fn delete(&self, key: &str) -> Result<()> {
        let path = self.path(key)?;
        let answer = self.with(|session| session.act(packet::REMOVE, &[&path]))?;
        self.or_absent(answer).map(|_| ())
    }
}

impl Ssh {
    /// Whether an object is there; a remote that does not exist yet has none.
    fn head_or_nothing(&self, key: &str) -> Result<bool> {
        match self.head(key) {
            Err(Error::MissingDirectory { .. }) => Ok(false),
            head => Ok(head?.is_some()),
        }
    }
}

/// Lists directories, all of them at once. One that is not there is empty.
fn list_each(
    session: &Session,
    dirs: &[String],
    path: impl Fn(&str) -> String,
) -> Answer<Vec<(String, Attributes)>> {
    let mut opened = Vec::new();
    for dir in dirs {
        let path = path(dir);
        let fields = packet::Fields::default().text(path.trim_end_matches('/'));
        opened.push((dir, session.ask(packet::OPENDIR, fields)?));
    }
    let mut open = Vec::new();
    for (dir, ticket) in opened {
        match ticket.handle() {
            Err(failure) if is_missing(&failure) => {}
            handle => open.push((dir, handle?)),
        }
    }
    let mut found = Vec::new();
    while !open.is_empty() {
        let mut asked = Vec::new();
        for (dir, handle) in open {
            let fields = packet::Fields::default().bytes(&handle);
            let ticket = session.ask(packet::READDIR, fields)?;
            asked.push((dir, handle, ticket));
        }
        open = Vec::new();
        for (dir, handle, ticket) in asked {
            let Some(names) = ticket.names()? else {
                session.close(&handle)?;
                continue;
            };
            found.extend(names.into_iter().filter_map(|(name, attributes)| {
                let name = std::str::from_utf8(&name)
                    .ok()
                    .filter(|name| is_name(name))?;
                Some((format!("{dir}{name}"), attributes))
            }));
            open.push((dir, handle));
        }
    }
    Ok(found)
}

/// Makes the directories above a path. Those that are there are refused, and that is fine.
fn make_parents(session: &Session, path: &str) {
    let slashes = path.match_indices('/').map(|(at, _)| at);
    for end in slashes.filter(|at| *at > 0) {
        let _ = session.act(packet::MKDIR, &[&path[..end]]);
    }
}

fn is_missing(failure: &Failure) -> bool {
    matches!(failure, Failure::Status { code, .. } if *code == packet::NO_SUCH_FILE)
}

impl Place {
    fn parse(url: &str) -> Option<Self> {
        let rest = url.strip_prefix("ssh://")?;
        let (place, path) = rest.split_once('/')?;
        let (user, place) = match place.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, place),
        };
        let (host, port) = split_port(place)?;
        // Neither may be taken for an option of `ssh`, or for two words.
        let is_word = |text: &str| {
            !text.is_empty()
                && !text.starts_with('-')
                && !text.contains(|letter: char| letter.is_whitespace() || letter.is_control())
        };
        let path = path.trim_end_matches('/');
        let root = match path.strip_prefix("~/") {
            Some(below) => below.to_owned(),
            None => format!("/{path}"),
        };
        let is_root = !matches!(root.as_str(), "" | "/" | "/~") && !path.contains(char::is_control);
        (is_word(host) && user.is_none_or(is_word) && is_root).then(|| Self {
            user: user.map(str::to_owned),
            host: host.to_owned(),
            port,
            root,
        })
    }
}

/// A host and its port. An address of version 6 stands in brackets.
fn split_port(place: &str) -> Option<(&str, Option<u16>)> {
    if let Some(rest) = place.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((host, Some(port.parse().ok()?))),
            None if rest.is_empty() => Some((host, None)),
            None => None,
        };
    }
    match place.split_once(':') {
        Some((host, port)) => Some((host, Some(port.parse().ok()?))),
        None => Some((place, None)),
    }
}

#[cfg(test)]
mod tests;
