//! Whether a store keeps two writers of one name apart.
//!
//! Some servers that speak S3 take `If-None-Match: *` and write all the same, with the answer of a
//! success. The only way to know is to try: the same small object is written twice, and the second
//! writer must be told that it is there. The answer is remembered, so a clone asks a store once.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::fs;

use super::transport::{Transport, Writing};
use super::{Result, layout};

/// What the object says to whoever finds it.
const TEXT: &str = "esker writes this twice, to see whether this store keeps writers apart.\n";

/// More bytes than the file of the answers can have.
const MAX_MEMORY: usize = 1 << 20;

/// The file of the answers.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Memory {
    version: u32,
    /// By the name that a transport gives its store.
    put_if_absent: BTreeMap<String, bool>,
}

/// Asks the memory, else the store itself.
pub(super) fn is_exclusive(transport: &dyn Transport, memory: &Path) -> Result<bool> {
    let store = match transport.writing()? {
        Writing::Exclusive => return Ok(true),
        Writing::Never => return Ok(false),
        Writing::Unproven(store) => store,
    };
    let mut known = Memory::load(memory)?;
    if let Some(answer) = known.put_if_absent.get(&store) {
        return Ok(*answer);
    }
    let answer = ask(transport)?;
    known.put_if_absent.insert(store, answer);
    known.save(memory)?;
    Ok(answer)
}

/// One who is told that the object is there has the answer, be it at the first write: another
/// clone may have asked before. So the object stays, and costs each later clone one request.
fn ask(transport: &dyn Transport) -> Result<bool> {
    let body = Bytes::from_static(TEXT.as_bytes());
    for _ in 0..2 {
        if !transport.put_if_absent(layout::PROBE, &body)? {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Memory {
    /// What cannot be read is not known: it is only asked again.
    fn load(path: &Path) -> Result<Self> {
        let bytes = fs::read_if_exists(path)?.unwrap_or_default();
        let read = bytes.len() <= MAX_MEMORY;
        let read = read.then(|| serde_json::from_slice(&bytes).ok()).flatten();
        let current = read.filter(|memory: &Self| memory.version == 1);
        Ok(current.unwrap_or(Self {
            version: 1,
            put_if_absent: BTreeMap::new(),
        }))
    }

    fn save(&self, path: &Path) -> Result<()> {
        let mut bytes =
            serde_json::to_vec_pretty(self).expect("text and booleans always serialise");
        bytes.push(b'\n');
        Ok(fs::replace(path, &bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::transport::Memory as Objects;

    #[test]
    fn a_careless_store_is_found_out_and_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let memory = dir.path().join("shared/probes.json");
        let careless = Objects::careless();
        assert!(!is_exclusive(&careless, &memory).unwrap());
        assert_eq!(careless.head("probe").unwrap(), Some(TEXT.len() as u64));
        careless.delete("probe").unwrap();
        assert!(!is_exclusive(&careless, &memory).unwrap());
        assert_eq!(careless.head("probe").unwrap(), None, "it was asked again");
        let text = "{\n  \"version\": 1,\n  \"put_if_absent\": {\n    \"memory\": false\n  }\n}\n";
        assert_eq!(fs::read(&memory).unwrap(), text.as_bytes());
    }

    #[test]
    fn a_store_that_promises_is_not_asked() {
        let dir = tempfile::tempdir().unwrap();
        let memory = dir.path().join("probes.json");
        let careful = Objects::default();
        assert!(is_exclusive(&careful, &memory).unwrap());
        assert_eq!(careful.head("probe").unwrap(), None);
        assert_eq!(fs::read_if_exists(&memory).unwrap(), None);
        // Asked all the same, it gives the right answer, the first time and later.
        assert!(ask(&careful).unwrap() && ask(&careful).unwrap());
    }

    #[test]
    fn a_memory_that_is_damaged_or_newer_is_asked_anew() {
        let dir = tempfile::tempdir().unwrap();
        let memory = dir.path().join("probes.json");
        let texts = [
            "",
            "{",
            "[]",
            "{\"version\":2,\"put_if_absent\":{\"memory\":true}}",
            "{\"version\":1,\"put_if_absent\":{\"memory\":1}}",
        ];
        for text in texts {
            fs::replace(&memory, text.as_bytes()).unwrap();
            assert!(
                !is_exclusive(&Objects::careless(), &memory).unwrap(),
                "{text}"
            );
        }
    }
}
