//! What is known of objects that files of the workspace are links to.
//!
//! Linking needs no reading, so what is linked to must be known to be whole. The stat of an object
//! is remembered beside those of files, under a name that no path has. Its ctime says nothing:
//! every link that is made or removed changes it.

use super::{Index, Known};
use crate::fs::Stat;
use crate::hash::BlobId;

impl Index {
    /// Whether an object with this stat was whole when its stat was last seen.
    pub fn knows_object(&self, id: BlobId, stat: impl Into<Stat>) -> bool {
        let stat = stat.into();
        match self.known(&name(id)) {
            Some(Known::File(record)) => {
                let known = (record.size, record.mtime, record.inode, record.device);
                known == (stat.size, stat.mtime, stat.inode, stat.device)
            }
            _ => false,
        }
    }

    /// Remembers that an object is whole. `stat` must have been taken before it was read.
    pub fn record_object(&mut self, id: BlobId, stat: impl Into<Stat>) {
        self.record(&name(id), stat, id);
    }
}

fn name(id: BlobId) -> String {
    format!("//{}", id.0.to_hex())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs;
    use crate::hash::Digest;

    #[test]
    fn an_object_is_known_until_it_is_written_to() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("object");
        fs::write_new(&at, b"bytes").unwrap();
        let stat = || fs::metadata(&at).unwrap().unwrap();
        let id = BlobId(Digest::of(b"bytes"));
        let mut index = Index::load(&dir.path().join("index"));
        assert!(!index.knows_object(id, &stat()));
        index.wait_out(std::iter::once(&stat()));
        index.record_object(id, &stat());
        // A link changes the ctime alone.
        assert!(fs::hard_link(&at, &dir.path().join("link")).unwrap());
        fs::remove_file(&dir.path().join("link")).unwrap();
        index.save(&dir.path().join("index")).unwrap();
        let index = Index::load(&dir.path().join("index"));
        assert!(index.knows_object(id, &stat()));
        assert!(!index.knows_object(BlobId(Digest::of(b"other")), &stat()));
        let later = stat().modified().unwrap() + std::time::Duration::from_secs(1);
        fs::append(&at).unwrap().set_modified(later).unwrap();
        assert!(!index.knows_object(id, &stat()));
    }
}
