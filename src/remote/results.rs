//! Results of the run cache on a remote, by the keys of what went in. What an entry says is not
//! known here, and nothing of it is believed: whoever takes one checks it.

use bytes::Bytes;

use super::format::Access;
use super::link::Link;
use super::{Result, SharedResult, layout};
use crate::hash::RunKey;

/// The longest entry that is brought.
const MAX_BYTES: u64 = 1 << 20;
/// The most that is brought of one key: the newest.
const MAX_OF_ONE_KEY: usize = 16;

/// Writes those that are not there. Yields how many were new.
pub(super) fn put(link: &Link<'_>, results: &[SharedResult]) -> Result<u64> {
    if results.is_empty() || link.format(Access::Write)?.is_none() {
        return Ok(0);
    }
    let items: Vec<&SharedResult> = results.iter().collect();
    let written = link.map(items, |result| {
        let key = layout::result(result.key, &result.name);
        if link.transport().head(&key)?.is_some() {
            return Ok(false);
        }
        link.put(&key, &Bytes::from(result.bytes.clone()))
    })?;
    Ok(written.into_iter().filter(|written| *written).count() as u64)
}

/// Brings what lies under some keys and is not `known`, for each key the oldest first.
pub(super) fn get(
    link: &Link<'_>,
    keys: &[RunKey],
    known: &(dyn Fn(RunKey, &str) -> bool + Sync),
) -> Result<Vec<SharedResult>> {
    if !link.transport().can_list() {
        return Err(link.protocol("it cannot say which results it has"));
    }
    let found = link.map(keys.to_vec(), |key| {
        let mut listed = link.transport().list(&layout::results_of(key))?;
        listed.retain(|object| object.size <= MAX_BYTES);
        listed.sort_by(|one, other| (other.modified, &other.key).cmp(&(one.modified, &one.key)));
        listed.truncate(MAX_OF_ONE_KEY);
        let mut results = Vec::new();
        for object in listed.iter().rev() {
            let Some(name) = object
                .key
                .rsplit('/')
                .next()
                .filter(|name| !known(key, name))
            else {
                continue;
            };
            if let Some(bytes) = link.transport().get(&object.key)? {
                results.push(SharedResult {
                    key,
                    name: name.to_owned(),
                    bytes: bytes.to_vec(),
                });
            }
        }
        Ok(results)
    })?;
    Ok(found.into_iter().flatten().collect())
}
