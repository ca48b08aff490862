//! What a collection sees: the log, then the snapshots, then the packs, each asked for after the
//! answer of the one before. A snapshot that it does not see will see what it condemns.

use std::collections::BTreeMap;

use crate::hash::{ObjectId, PackId, SnapshotId};
use crate::remote::catalog::{Catalog, Located};
use crate::remote::link::Link;
use crate::remote::segment::PackEntries;
use crate::remote::snapshot::Snapshot;
use crate::remote::transport::Listed;
use crate::remote::{Result, layout};

use super::log::Log;

/// A remote, as far as a collection needs to know it.
pub(in crate::remote) struct Look {
    pub(in crate::remote) log: Log,
    /// When each record of the log was written, in seconds since 1970.
    pub(in crate::remote) written: BTreeMap<u64, u64>,
    /// The snapshots that are not dropped.
    pub(in crate::remote) snapshots: BTreeMap<SnapshotId, Snapshot>,
    /// The dropped ones that still lie there: their keys.
    pub(in crate::remote) dropped: Vec<String>,
    pub(in crate::remote) packs: BTreeMap<PackId, Listed>,
    /// What the packs hold.
    pub(in crate::remote) catalog: Catalog,
    /// Segments that list no pack which is there: their keys.
    pub(in crate::remote) hollow: Vec<String>,
}

impl Look {
    pub(in crate::remote) fn take(link: &Link<'_>) -> Result<Self> {
        let mut log = Log::default();
        link.read_log(&mut log)?;
        let (snapshots, dropped) = link.live_snapshots(&log)?;
        Self::of(link, log, snapshots, dropped)
    }

    /// The same for who changes nothing: a snapshot that cannot be read is noted.
    pub(in crate::remote) fn take_readable(link: &Link<'_>) -> Result<Self> {
        let mut log = Log::default();
        link.read_log(&mut log)?;
        let snapshots = link.readable_snapshots(&log)?;
        Self::of(link, log, snapshots, Vec::new())
    }

    fn of(
        link: &Link<'_>,
        log: Log,
        snapshots: BTreeMap<SnapshotId, Snapshot>,
        dropped: Vec<String>,
    ) -> Result<Self> {
        let written = link.log_times()?;
        // Packs are put before the segment that lists them. So a segment that was there before the
        // packs were listed, and lists none of these, lists what is gone.
        let segments = link.segments_by_key()?;
        let packs = link.listed_packs()?;
        let mut look = Self {
            log,
            written,
            snapshots,
            dropped,
            packs,
            catalog: Catalog::default(),
            hollow: Vec::new(),
        };
        look.read_indexes(link, segments)?;
        Ok(look)
    }

    /// Where an object lies, in packs that nobody condemned.
    pub(in crate::remote) fn good_places(&self, id: ObjectId) -> impl Iterator<Item = &Located> {
        let places = self.catalog.find(id).iter();
        places.filter(|place| !self.log.condemns(self.catalog.pack(place).id))
    }

    /// The condemned packs that still lie there.
    pub(in crate::remote) fn condemned(&self) -> impl Iterator<Item = (PackId, &Listed)> {
        let packs = self.packs.iter();
        packs.filter_map(|(id, listed)| self.log.condemns(*id).then_some((*id, listed)))
    }

    /// Reads what every pack holds: from the segments, and from its own end where none lists it.
    fn read_indexes(&mut self, link: &Link<'_>, segments: Vec<Segment>) -> Result<()> {
        // The catalog is sorted anew by each extension, so it is extended once.
        let mut listed = Vec::new();
        for (key, segment) in segments {
            let (there, gone): (Vec<_>, Vec<_>) =
                segment.into_iter().partition(|pack| self.is_there(pack));
            if there.is_empty() && !gone.is_empty() {
                self.hollow.push(key);
            }
            listed.extend(there);
        }
        self.catalog.extend(listed);
        let unlisted = self
            .packs
            .iter()
            .filter(|(id, _)| !self.catalog.knows(**id));
        let unlisted: Vec<_> = unlisted.map(|(id, listed)| (*id, listed.size)).collect();
        let read = link.map(unlisted, |(id, size)| link.own_index(id, size))?;
        self.catalog.extend(read.into_iter().flatten());
        Ok(())
    }

    fn is_there(&self, pack: &PackEntries) -> bool {
        self.packs
            .get(&pack.id)
            .is_some_and(|listed| listed.size == pack.size)
    }
}

/// A segment and its key.
type Segment = (String, Vec<PackEntries>);

/// The key of a pack, for messages.
pub(in crate::remote) fn key_of(pack: PackId) -> String {
    layout::pack(pack)
}
