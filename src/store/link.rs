//! Objects as files of the workspace: copies, or links to the object itself.
//!
//! Only objects that lie in files of their own can be linked to, and only those that are never
//! moved into packs: blobs of at least the length below which packs are used. An object has the
//! mode 0444, so what is executable is copied.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{OBJECTS, Result, Store, pieces};
use crate::fs::{self, LinkKind, Metadata};
use crate::hash::{BlobId, Digest, ObjectId};

/// Bytes of files that were taken in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Taken {
    /// By sharing their blocks.
    pub reflinked: u64,
    /// By copying them.
    pub copied: u64,
}

/// What was taken in since the store was opened.
#[derive(Debug, Default)]
pub(super) struct Tally {
    reflinked: AtomicU64,
    copied: AtomicU64,
}

impl Tally {
    pub(super) fn add(&self, link: LinkKind, bytes: u64) {
        let count = match link {
            LinkKind::Reflink => &self.reflinked,
            _ => &self.copied,
        };
        count.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// The object that a symbolic link leads to, if it leads into a store: judged by its text alone,
/// so that a link into a store that was moved is still known for what it is.
pub fn linked_object(target: &Path) -> Option<BlobId> {
    let name = target.file_name()?.to_str()?;
    let dir = target.parent()?;
    let fan = dir.file_name()?.to_str()?;
    let in_objects = dir.parent()?.file_name()? == OBJECTS;
    let is_id = target.is_absolute() && in_objects && fan.len() == 2;
    let digest = is_id.then(|| format!("{fan}{name}").parse::<Digest>());
    Some(BlobId(digest?.ok()?))
}

impl Store {
    /// The same store, which hands out objects in these ways, tried in order. What cannot be done
    /// in any of them is copied.
    pub fn with_links(mut self, links: &[LinkKind]) -> Self {
        let ends = links.iter().position(|link| *link == LinkKind::Copy);
        self.links = links[..ends.unwrap_or(links.len())].into();
        self
    }

    /// Whether files of the workspace may be links to objects.
    pub fn shares_files(&self) -> bool {
        self.links.iter().any(|link| link.shares_file())
    }

    /// Whether sharing blocks is the first thing that is tried.
    pub fn prefers_reflink(&self) -> bool {
        self.links.first() == Some(&LinkKind::Reflink)
    }

    /// Whether a file may become a link to its object.
    pub fn may_link(&self, size: u64, exec: bool) -> bool {
        self.shares_files() && !exec && self.is_long(size)
    }

    /// The ways that are better than this one, in order; all, if it is none of them.
    pub fn better_links(&self, than: LinkKind) -> &[LinkKind] {
        let at = self.links.iter().position(|link| *link == than);
        &self.links[..at.unwrap_or(self.links.len())]
    }

    /// Whether this is a way in which it hands out objects.
    pub fn uses(&self, link: LinkKind) -> bool {
        link == LinkKind::Copy || self.links.contains(&link)
    }

    /// The bytes that were taken in so far.
    pub fn taken(&self) -> Taken {
        Taken {
            reflinked: self.tally.reflinked.load(Ordering::Relaxed),
            copied: self.tally.copied.load(Ordering::Relaxed),
        }
    }

    /// Puts a blob at a new path, in the first way that works, and says which that was. A copy
    /// has the mode of new files, a link that of the object. `is_sound` is asked before a link is
    /// made whether an object with this stat is known to be whole; if not, it is read.
    pub fn place(
        &self,
        id: BlobId,
        target: &Path,
        exec: bool,
        is_sound: &dyn Fn(&Metadata) -> bool,
    ) -> Result<LinkKind> {
        // One file made, and filled in either way, is cheaper than two tries.
        if *self.links == [LinkKind::Reflink] {
            return self.copy_to(id, target, true);
        }
        match self.try_place(&self.links, id, target, exec, is_sound)? {
            Some(link) => Ok(link),
            None => self.copy_to(id, target, false),
        }
    }

    /// Puts a blob at a new path in the first of these ways that works; `None` if none does.
    pub fn try_place(
        &self,
        links: &[LinkKind],
        id: BlobId,
        target: &Path,
        exec: bool,
        is_sound: &dyn Fn(&Metadata) -> bool,
    ) -> Result<Option<LinkKind>> {
        for link in links {
            let done = match link {
                LinkKind::Copy => false,
                LinkKind::Reflink => self.reflink_to(id, target)?,
                LinkKind::Hardlink | LinkKind::Symlink => {
                    !exec && self.link_to(*link, id, target, is_sound)?
                }
            };
            if done {
                return Ok(Some(*link));
            }
        }
        Ok(None)
    }

    /// Where the object lies that is, or would be, a file of its own.
    pub fn object_path(&self, id: BlobId) -> Result<PathBuf> {
        self.path_of(id.into())
    }

    /// The stat of an object that is a file of its own.
    pub fn object_stat(&self, id: BlobId) -> Result<Option<Metadata>> {
        let stat = fs::metadata(&self.object_path(id)?)?;
        Ok(stat.filter(Metadata::is_file))
    }

    /// Whether an open file is the very object, not one that is equal to it.
    pub(super) fn is_object(&self, id: BlobId, file: &std::fs::File) -> Result<bool> {
        let object = self.object_stat(id)?;
        Ok(object
            .zip(file.metadata().ok())
            .is_some_and(|(object, file)| fs::is_same_file(&object, &file)))
    }

    /// Whether blobs of this length never lie in packs, nor are moved into one.
    fn is_long(&self, size: u64) -> bool {
        size >= self.pack_below.max(1) as u64
    }

    fn reflink_to(&self, id: BlobId, target: &Path) -> Result<bool> {
        let path = self.object_path(id)?;
        if self.object_stat(id)?.is_none() {
            return Ok(false);
        }
        let done = fs::reflink(&fs::open(&path)?, &*fs::create_new(target)?);
        if !done {
            fs::remove_file(target)?;
        }
        Ok(done)
    }

    fn link_to(
        &self,
        link: LinkKind,
        id: BlobId,
        target: &Path,
        is_sound: &dyn Fn(&Metadata) -> bool,
    ) -> Result<bool> {
        let object = self.object_path(id)?;
        let Some(stat) = self
            .object_stat(id)?
            .filter(|stat| self.is_long(stat.len()))
        else {
            return Ok(false);
        };
        if !is_sound(&stat) {
            self.prove(id, &object)?;
        }
        // Somebody else's that may be written to is no object to share.
        let read_only = stat.permissions().mode() & 0o777 == 0o444;
        if !read_only && fs::set_read_only(&object).is_err() {
            return Ok(false);
        }
        Ok(match link {
            LinkKind::Hardlink => fs::hard_link(&object, target)?,
            _ => fs::try_symlink(&object, target)?,
        })
    }

    /// Reads an object that is a file of its own; a damaged one goes to quarantine.
    fn prove(&self, id: BlobId, object: &Path) -> Result<()> {
        let found = pieces::hash_all(&fs::open(object)?, object, &|_, _| Ok(()))?;
        match found == id.0 {
            true => Ok(()),
            false => Err(self.quarantine(ObjectId::from(id), found)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::store::Error;

    const PACKED: usize = 32 << 10;
    const ALL: [LinkKind; 2] = [LinkKind::Hardlink, LinkKind::Symlink];

    fn put(store: &Store, size: usize) -> BlobId {
        let id = store.put(crate::hash::ObjectKind::Blob, &vec![b'x'; size]);
        store.settle().unwrap();
        BlobId(id.unwrap().digest)
    }

    #[test]
    fn links_are_known_by_their_text() {
        let hex = Digest::of(b"x").to_hex();
        let (fan, name) = hex.split_at(2);
        let known = |target: String| linked_object(Path::new(&target));
        let id = Some(BlobId(Digest::of(b"x")));
        assert_eq!(known(format!("/any/objects/{fan}/{name}")), id);
        for other in [
            format!("objects/{fan}/{name}"),
            format!("/any/meta/{fan}/{name}"),
            format!("/any/objects/{hex}"),
            format!("/any/objects/{fan}/{name}0"),
            format!("/any/objects/{}/{}", &hex[..1], &hex[1..]),
            "/etc/passwd".to_owned(),
            "/".to_owned(),
        ] {
            assert_eq!(known(other.clone()), None, "{other}");
        }
    }

    #[test]
    fn long_objects_that_are_not_executable_are_linked_to() {
        let dir = tempfile::tempdir().unwrap();
        let known = |_: &Metadata| true;
        for link in ALL {
            let root = dir.path().join(link.name());
            let store = Store::open(&root).with_links(&[link, LinkKind::Copy, LinkKind::Reflink]);
            for (size, exec, expected) in [
                (PACKED, false, link),
                (PACKED, true, LinkKind::Copy),
                (PACKED - 1, false, LinkKind::Copy),
                (0, false, LinkKind::Copy),
            ] {
                let id = put(&store, size);
                let target = root.join(format!("{size}-{exec}"));
                assert_eq!(store.place(id, &target, exec, &known).unwrap(), expected);
                assert_eq!(store.may_link(size as u64, exec), expected == link);
                assert_eq!(std::fs::read(&target).unwrap(), vec![b'x'; size]);
                let mode = target.metadata().unwrap().mode() & 0o222;
                assert_eq!(mode == 0, expected == link);
            }
        }
    }

    #[test]
    fn an_object_that_is_not_known_to_be_whole_is_read_before_it_is_linked_to() {
        let dir = tempfile::tempdir().unwrap();
        for link in ALL {
            let root = dir.path().join(link.name());
            let store = Store::open(&root).with_links(&[link]);
            let id = put(&store, PACKED);
            let path = store.object_path(id).unwrap();
            let writable = std::fs::Permissions::from_mode(0o644);
            std::fs::set_permissions(&path, writable).unwrap();
            fs::append(&path)
                .unwrap()
                .set_len(PACKED as u64 + 1)
                .unwrap();
            let target = root.join("target");
            let refused = store.place(id, &target, false, &|_| false);
            assert!(matches!(refused, Err(Error::Corrupt { .. })), "{refused:?}");
            assert!(!target.exists() && !store.has(id));
        }
    }

    #[test]
    fn what_is_better_is_what_stands_before() {
        let store = Store::open(Path::new("/nowhere"));
        use LinkKind::{Copy, Hardlink, Reflink, Symlink};
        let store = store.with_links(&[Reflink, Hardlink, Copy, Symlink]);
        assert_eq!(store.better_links(Hardlink), [Reflink]);
        assert_eq!(store.better_links(Copy), [Reflink, Hardlink]);
        assert_eq!(store.better_links(Symlink), [Reflink, Hardlink]);
        assert!(store.uses(Copy) && store.uses(Hardlink) && !store.uses(Symlink));
    }

    #[test]
    fn an_object_that_is_put_through_a_link_to_it_stays_the_same_file() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).with_links(&[LinkKind::Hardlink]);
        // More than passes through memory.
        let id = put(&store, 1 << 20);
        let target = dir.path().join("target");
        store.place(id, &target, false, &|_| true).unwrap();
        let inode = || store.object_stat(id).unwrap().unwrap().ino();
        let before = inode();
        assert_eq!(store.put_file(&target, &|_| true).unwrap().id, id);
        assert_eq!(inode(), before);
    }
}
