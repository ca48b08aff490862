//! A remote in memory, for tests of what runs on top of a transport.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::{Listed, Take, Transport, Writing, check_key, check_prefix, too_short};
use crate::fs;
use crate::remote::Result;

const REMOTE: &str = "memory";

#[derive(Debug)]
struct Stored {
    bytes: Bytes,
    modified: u64,
}

impl Stored {
    fn now(bytes: Bytes) -> Self {
        let modified = fs::now_nanos() / 1_000_000_000;
        Self { bytes, modified }
    }
}

/// A remote that dies with its process.
#[derive(Debug, Default)]
pub struct Memory {
    /// Whether `put_if_absent` is a mere `put`, as on some servers.
    careless: bool,
    objects: Mutex<BTreeMap<String, Stored>>,
}

impl Memory {
    /// One whose `put_if_absent` is a mere `put`.
    pub(crate) fn careless() -> Self {
        Self {
            careless: true,
            ..Self::default()
        }
    }

    fn objects(&self) -> MutexGuard<'_, BTreeMap<String, Stored>> {
        // No caller can leave the map half changed, so a panic elsewhere does not spoil it.
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transport for Memory {
    fn writing(&self) -> Result<Writing> {
        Ok(match self.careless {
            true => Writing::Unproven(REMOTE.to_owned()),
            false => Writing::Exclusive,
        })
    }

    fn get(&self, key: &str) -> Result<Option<Bytes>> {
        check_key(REMOTE, key)?;
        Ok(self.objects().get(key).map(|stored| stored.bytes.clone()))
    }

    fn stream(&self, key: &str, offset: u64, len: u64, take: &mut Take<'_>) -> Result<bool> {
        let Some(object) = self.get(key)? else {
            return Ok(false);
        };
        let size = object.len() as u64;
        let end = offset.checked_add(len).filter(|end| *end <= size);
        let end = end.ok_or_else(|| too_short(REMOTE, key, size, offset, len))?;
        take(&object[offset as usize..end as usize])?;
        Ok(true)
    }

    fn put(&self, key: &str, body: &Bytes) -> Result<()> {
        check_key(REMOTE, key)?;
        let stored = Stored::now(body.clone());
        self.objects().insert(key.to_owned(), stored);
        Ok(())
    }

    fn put_if_absent(&self, key: &str, body: &Bytes) -> Result<bool> {
        check_key(REMOTE, key)?;
        let bytes = body.clone();
        match self.objects().entry(key.to_owned()) {
            Entry::Occupied(mut entry) if self.careless => {
                entry.insert(Stored::now(bytes));
                Ok(true)
            }
            Entry::Occupied(_) => Ok(false),
            Entry::Vacant(entry) => {
                entry.insert(Stored::now(bytes));
                Ok(true)
            }
        }
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>> {
        check_prefix(REMOTE, prefix)?;
        let objects = self.objects();
        let found = objects.iter().filter(|(key, _)| key.starts_with(prefix));
        Ok(found
            .map(|(key, stored)| Listed {
                key: key.clone(),
                size: stored.bytes.len() as u64,
                modified: stored.modified,
            })
            .collect())
    }

    fn head(&self, key: &str) -> Result<Option<u64>> {
        Ok(self.get(key)?.map(|bytes| bytes.len() as u64))
    }

    fn delete(&self, key: &str) -> Result<()> {
        check_key(REMOTE, key)?;
        self.objects().remove(key);
        Ok(())
    }
}
