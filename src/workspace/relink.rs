//! Gives files that are what they should be another way of sharing bytes with the store.

use std::collections::BTreeMap;
use std::path::Path;

use super::written::{Written, learn};
use super::{Index, Result, link, parallel, scan};
use crate::fs::{self, LinkKind, Metadata, Stat};
use crate::hash::BlobId;
use crate::path::RelPath;
use crate::progress::Interrupt;
use crate::store::{self, Store};
use crate::tree::Entry;

/// How the files of some paths share bytes with the store now.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Relinked {
    /// Files by what they are: hard links and symbolic ones only, since one cannot tell a reflink
    /// from a copy.
    pub links: BTreeMap<LinkKind, u64>,
    /// Files that were replaced.
    pub changed: u64,
}

/// Replaces files that hold what is recorded by links of the kind that the store prefers. What
/// holds something else, or is not there, stays. The objects must be safe on disk: they may be
/// all that is left of a file.
pub fn relink(
    root: &Path,
    store: &Store,
    index: &mut Index,
    files: &[(RelPath, Entry)],
    interrupt: &Interrupt,
) -> Result<Relinked> {
    let work = Relink {
        root,
        store,
        index,
        interrupt,
    };
    let many = parallel::is_worth(files.len(), 0);
    let outcomes = parallel::map(files, many, |(path, entry)| work.relink_one(path, entry))?;
    let mut relinked = Relinked::default();
    let mut written = Vec::new();
    for outcome in outcomes {
        let link = match outcome {
            Outcome::Kept(link) => link,
            Outcome::Replaced(file) => {
                relinked.changed += 1;
                let link = file.link;
                written.push(*file);
                Some(link)
            }
        };
        if let Some(link) = link.filter(|link| link.shares_file()) {
            *relinked.links.entry(link).or_default() += 1;
        }
    }
    learn(index, written);
    Ok(relinked)
}

/// What became of a file.
enum Outcome<'a> {
    /// It stays what it is.
    Kept(Option<LinkKind>),
    Replaced(Box<Written<'a>>),
}

/// What stands at a path.
struct There {
    /// Of the file itself, behind a link.
    stat: Metadata,
    link: LinkKind,
    /// Whether it leads where it should.
    right: bool,
}

struct Relink<'a> {
    root: &'a Path,
    store: &'a Store,
    index: &'a Index,
    interrupt: &'a Interrupt,
}

impl Relink<'_> {
    fn relink_one<'p>(&self, path: &'p RelPath, entry: &Entry) -> Result<Outcome<'p>> {
        let Entry::File { id, exec, .. } = *entry else {
            return Ok(Outcome::Kept(None));
        };
        if self.interrupt.is_requested() {
            return Err(super::Error::Interrupted);
        }
        link::check_parents(self.root, path)?;
        let at = path.to_path(self.root);
        let Some(there) = self.look(&at, id)? else {
            return Ok(Outcome::Kept(None));
        };
        let kept = Outcome::Kept(Some(there.link));
        let may_stay = there.right && self.store.uses(there.link);
        let better = match there.right {
            true => self.store.better_links(there.link),
            false => self.store.better_links(LinkKind::Copy),
        };
        if may_stay && better.is_empty() || !self.holds(path, &at, &there, id)? {
            return Ok(kept);
        }
        let temp = at.with_file_name(fs::temp_name());
        let placed = self.place(better, may_stay, id, exec, &temp, &at);
        if placed.is_err() {
            // The first error is the one to tell.
            let _ = fs::remove_file(&temp);
        }
        let Some(link) = placed? else {
            return Ok(kept);
        };
        let stat = fs::Context::context(at.metadata(), "look at", &at)?;
        Ok(Outcome::Replaced(Box::new(Written {
            path,
            stat: Stat::from(&stat),
            id,
            link,
        })))
    }

    /// What stands at a path, if it is a file or a link to an object.
    fn look(&self, at: &Path, id: BlobId) -> Result<Option<There>> {
        let Some(stat) = fs::metadata(at)? else {
            return Ok(None);
        };
        if stat.is_file() {
            let object = self.store.object_stat(id)?;
            let is_object = object.is_some_and(|object| fs::is_same_file(&object, &stat));
            let link = match is_object {
                true => LinkKind::Hardlink,
                false => LinkKind::Copy,
            };
            return Ok(Some(There {
                stat,
                link,
                right: true,
            }));
        }
        if !stat.is_symlink() {
            return Ok(None);
        }
        let target = fs::read_link(at)?;
        let right = target == self.store.object_path(id)?;
        let there = store::linked_object(&target)
            .and(link::object_stat(at)?)
            .map(|stat| There {
                stat,
                link: LinkKind::Symlink,
                right,
            });
        Ok(there)
    }

    fn holds(&self, path: &RelPath, at: &Path, there: &There, id: BlobId) -> Result<bool> {
        if let Some(known) = self.index.lookup(path.as_str(), &there.stat) {
            return Ok(known == id);
        }
        Ok(scan::hash(at, &scan::until(self.interrupt))?.id == id)
    }

    /// Puts the object in place of the file, in one of the better ways; if what is there may not
    /// stay and none of them works, as a copy.
    fn place(
        &self,
        better: &[LinkKind],
        may_stay: bool,
        id: BlobId,
        exec: bool,
        temp: &Path,
        at: &Path,
    ) -> Result<Option<LinkKind>> {
        let sound = |stat: &Metadata| self.index.knows_object(id, stat);
        let link = match self.store.try_place(better, id, temp, exec, &sound)? {
            None if may_stay => return Ok(None),
            None => self.store.place(id, temp, exec, &sound)?,
            Some(link) => link,
        };
        if !link.shares_file() {
            fs::set_executable(temp, exec)?;
        }
        fs::rename(temp, at)?;
        Ok(Some(link))
    }
}
