//! The directories `packs/` and `quarantine/`: which packs are there, what they hold, and what of
//! it is damaged.

use std::collections::{BTreeSet, HashSet};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::midx::{Midx, Row};
use crate::fs::{self, Context, TempFile};
use crate::hash::{Digest, ObjectId, PackId};
use crate::pack::{self, HEADER_LEN, Index, PackKind, TRAILER_LEN, Writer};
use crate::store::share::denied;
use crate::store::unflushed::Unflushed;
use crate::store::{QUARANTINE, Result, TEMP};

pub(in crate::store) const PACKS: &str = "packs";
const MIDX: &str = "midx";
const EXTENSION: &str = ".pack";

/// Where a pack lies.
pub(super) fn path_of(root: &Path, pack: PackId) -> PathBuf {
    root.join(PACKS).join(format!("{pack}{EXTENSION}"))
}

/// The packs that are there, by their names.
pub(super) fn list(root: &Path) -> Result<BTreeSet<PackId>> {
    let names = names(&root.join(PACKS))?.into_iter();
    Ok(names
        .filter_map(|name| name.strip_suffix(EXTENSION)?.parse().ok())
        .collect())
}

/// When a pack was last added or taken away, if there is any.
pub(super) fn changed(root: &Path) -> Result<Option<SystemTime>> {
    let found = fs::metadata(&root.join(PACKS))?;
    Ok(found.and_then(|found| found.modified().ok()))
}

/// What the packs hold: by the index where it knows a pack, else by what the pack itself says.
/// An index that is not up to date is written again.
pub(super) fn load(root: &Path, damaged: &HashSet<(PackId, u32)>) -> Result<Midx> {
    let present = list(root)?;
    let path = root.join(PACKS).join(MIDX);
    let saved = match present.is_empty() {
        true => None,
        false => fs::read_if_exists(&path)?,
    };
    let mut midx = saved
        .and_then(|bytes| Midx::decode(&bytes))
        .unwrap_or_default();
    let known: BTreeSet<PackId> = midx.packs().iter().copied().collect();
    if known == present && known.len() == midx.packs().len() {
        return Ok(midx);
    }
    midx.retain(&present, |pack, offset| !damaged.contains(&(pack, offset)));
    let (mut packs, mut rows) = (Vec::new(), Vec::new());
    for pack in present.difference(&known) {
        if let Some(entries) = entries(root, *pack)? {
            let number = packs.len() as u32;
            let entries = entries.located();
            rows.extend(entries.filter_map(|(offset, entry)| Row::of(number, offset, entry)));
            packs.push(*pack);
        }
    }
    midx.add(&packs, rows);
    save(root, &midx);
    Ok(midx)
}

/// Writes the index. It can always be built again, so a failure (a store that may only be read, a
/// full disk) costs time alone.
pub(super) fn save(root: &Path, midx: &Midx) {
    let write = || -> Result<()> {
        let mut temp = TempFile::new_in(&root.join(TEMP))?;
        temp.write_all(&midx.encode())?;
        fs::set_read_only(temp.path())?;
        Ok(temp.persist(&root.join(PACKS).join(MIDX))?)
    };
    let _ = write();
}

/// A pack on its way into a file.
pub(super) type PackFile = Writer<LateFile>;

/// A temporary file of the store that is made for its first byte: few blobs never need one.
pub(super) struct LateFile {
    root: PathBuf,
    temp: Option<TempFile>,
}

impl LateFile {
    /// The file that was written to.
    pub(super) fn file(&self) -> &TempFile {
        self.temp.as_ref().expect(WRITTEN)
    }
}

/// Who asks for the file has flushed what is written first, the header of the pack.
const WRITTEN: &str = "something was written";

impl Write for LateFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let temp = match &mut self.temp {
            Some(temp) => temp,
            none => {
                let made = TempFile::new_in(&self.root.join(TEMP));
                none.insert(made.map_err(|error| error.source)?)
            }
        };
        temp.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Begins a pack.
pub(super) fn begin(unflushed: &Unflushed) -> Result<PackFile> {
    let root = unflushed.root().to_path_buf();
    let file = LateFile { root, temp: None };
    written(
        unflushed,
        Writer::new(file, PackKind::Blobs, fs::random_bytes()),
    )
}

/// Ends a pack and gives it its name once the disk has all of it.
pub(super) fn publish(unflushed: &Unflushed, pack: PackFile) -> Result<PackId> {
    let (finished, file) = written(unflushed, pack.finish())?;
    let temp = file.temp.expect(WRITTEN);
    fs::set_read_only(temp.path())?;
    if unflushed.is_wanted() {
        temp.sync()?;
    }
    let root = unflushed.root();
    let path = path_of(root, finished.id);
    fs::create_dir_all(&root.join(PACKS))?;
    unflushed.note(&path)?;
    let named = temp.persist(&path);
    named.map_err(|error| denied(root, error))?;
    Ok(finished.id)
}

/// Makes the names of packs survive a power cut.
pub(super) fn sync(root: &Path) -> fs::Result<()> {
    fs::sync_dir(&root.join(PACKS))
}

/// What writing a pack yields: only the disk can fail.
pub(super) fn written<T>(unflushed: &Unflushed, result: pack::Result<T>) -> Result<T> {
    match result {
        Ok(value) => Ok(value),
        Err(pack::Error::Write(error)) => {
            let root = unflushed.root();
            let error = Err(error).context("write", &root.join(TEMP));
            error.map_err(|error| denied(root, error))
        }
        Err(other) => unreachable!("frames are short and there was room: {other}"),
    }
}

/// What a pack says it holds; `None` if it is gone. One that is no pack goes to the quarantine.
pub(super) fn entries(root: &Path, pack: PackId) -> Result<Option<Index>> {
    let index = own_index(root, pack)?;
    if index.is_none() {
        set_aside(root, pack);
    }
    Ok(index)
}

/// What a pack says it holds; `None` if it is gone, or its list cannot be read.
pub(super) fn own_index(root: &Path, pack: PackId) -> Result<Option<Index>> {
    let path = path_of(root, pack);
    let file = match File::open(&path) {
        Err(error) if fs::is_missing(&error) => return Ok(None),
        file => file.context("open", &path)?,
    };
    let length = file.metadata().context("look at", &path)?.len();
    read_index(&file, &path, length)
}

/// Moves a pack to the quarantine. Where nothing can be moved, it stays and is passed over every time.
pub(super) fn set_aside(root: &Path, pack: PackId) {
    let path = path_of(root, pack);
    let aside = root.join(QUARANTINE);
    if path.exists() {
        let _ = fs::create_dir_all(&aside)
            .and_then(|()| fs::rename(&path, &aside.join(format!("{pack}{EXTENSION}"))));
    }
}

fn read_index(file: &File, path: &Path, length: u64) -> Result<Option<Index>> {
    let shortest = (HEADER_LEN + TRAILER_LEN) as u64;
    if !(shortest..=pack::MAX_LEN).contains(&length) {
        return Ok(None);
    }
    let (mut header, mut trailer) = ([0; HEADER_LEN], [0; TRAILER_LEN]);
    file.read_exact_at(&mut header, 0).context("read", path)?;
    file.read_exact_at(&mut trailer, length - TRAILER_LEN as u64)
        .context("read", path)?;
    let tail_len = pack::announced_entries(&trailer).map(pack::tail_len);
    let Some(tail_len) = tail_len.filter(|tail_len| *tail_len <= length) else {
        return Ok(None);
    };
    let mut tail = vec![0; tail_len as usize];
    file.read_exact_at(&mut tail, length - tail_len)
        .context("read", path)?;
    let index = Index::decode_tail(&tail, length).ok();
    Ok(index.filter(|index| index.check_header(&header).is_ok()))
}

/// Copies a damaged frame to the quarantine. The name of the copy remembers where the frame lies,
/// so that no process takes it for good again.
pub(super) fn quarantine_frame(root: &Path, id: ObjectId, pack: PackId, offset: u32, bytes: &[u8]) {
    let dir = root.join(QUARANTINE);
    let name = format!("{}.{pack}.{offset}", id.digest);
    // That the object is damaged matters more than that it could not be copied, as into a store
    // that we may only read.
    let path = dir.join(name);
    let _ = fs::create_dir_all(&dir)
        .and_then(|()| fs::write_new(&path, bytes))
        .and_then(|()| fs::set_read_only(&path));
}

/// The frames of which a copy lies in the quarantine.
pub(super) fn damaged_frames(root: &Path) -> Result<Vec<(PackId, u32)>> {
    let names = names(&root.join(QUARANTINE))?;
    Ok(names.iter().filter_map(|name| frame_of(name)).collect())
}

fn frame_of(name: &str) -> Option<(PackId, u32)> {
    let (id, place) = name.split_once('.')?;
    let (pack, offset) = place.split_once('.')?;
    id.parse::<Digest>().ok()?;
    Some((pack.parse().ok()?, offset.parse().ok()?))
}

/// The names in a directory; none if it is not there, or is no directory.
fn names(dir: &Path) -> Result<Vec<String>> {
    if !fs::metadata(dir)?.is_some_and(|found| found.is_dir()) {
        return Ok(Vec::new());
    }
    let names = fs::list_dir(dir)?.into_iter();
    Ok(names.filter_map(|name| name.into_string().ok()).collect())
}
