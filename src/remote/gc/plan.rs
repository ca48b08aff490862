//! What to drop, sweep and condemn, from what a collection sees. Changes nothing.

use std::collections::HashSet;

use crate::hash::{ObjectId, PackId};
use crate::remote::Result;
use crate::remote::catalog::Catalog;
use crate::remote::link::Link;
use crate::store::Store;

use super::look::Look;
use super::mark::{mark, missing};
use super::{Claim, CollectOptions, Collected, PackSize, is_older};

/// A plan: what to say of it, and what to do.
pub(super) struct Plan {
    pub(super) report: Collected,
    /// What is needed.
    pub(super) live: HashSet<ObjectId>,
    /// What the packs hold that go away, by their own word.
    pub(super) sweep: Catalog,
}

impl Plan {
    pub(super) fn make(
        link: &Link<'_>,
        store: &Store,
        look: &Look,
        options: &CollectOptions,
        is_unneeded: &dyn Fn(&Claim) -> bool,
    ) -> Result<Self> {
        let mut report = Collected::default();
        let mut kept = Vec::new();
        for (id, snapshot) in &look.snapshots {
            let claim = Claim::of(*id, snapshot);
            if is_unneeded(&claim) {
                report.dropped.push(claim);
            } else {
                kept.push(snapshot);
            }
        }
        let live = mark(link, store, look, kept)?;
        report.missing = missing(look, &live);
        let sweep = plan_sweep(link, look, options, &mut report)?;
        plan_condemned(link, look, &live, options, &mut report)?;
        count_kept(look, &mut report);
        Ok(Self {
            report,
            live,
            sweep,
        })
    }
}

/// Of the packs that an earlier run condemned, those whose grace is over. Their own indexes are
/// read: what a segment leaves out would be deleted with them.
fn plan_sweep(
    link: &Link<'_>,
    look: &Look,
    options: &CollectOptions,
    report: &mut Collected,
) -> Result<Catalog> {
    let mut ripe = Vec::new();
    for (id, listed) in look.condemned() {
        let number = look
            .log
            .condemned
            .get(&id)
            .copied()
            .unwrap_or(look.log.number);
        let written = look.written.get(&number).copied().unwrap_or(u64::MAX);
        let pack = PackSize {
            id,
            size: listed.size,
        };
        if is_older(written, options.grace) {
            ripe.push(pack);
        } else {
            report.waiting.push(pack);
        }
    }
    let mut sweep = Catalog::default();
    for (pack, index) in own_indexes(link, ripe)? {
        match index {
            Some(index) => {
                report.deleted.push(pack);
                sweep.extend([index]);
            }
            None => report.stuck.push(pack),
        }
    }
    Ok(sweep)
}

/// Of the packs that no needed object lies in, those that are old enough.
fn plan_condemned(
    link: &Link<'_>,
    look: &Look,
    live: &HashSet<ObjectId>,
    options: &CollectOptions,
    report: &mut Collected,
) -> Result<()> {
    let mut needed: HashSet<PackId> = HashSet::new();
    for id in live {
        let places = look.catalog.find(*id).iter();
        needed.extend(places.map(|place| look.catalog.pack(place).id));
    }
    let unneeded = look.packs.iter().filter(|(id, _)| {
        // Of a pack whose index cannot be read nobody knows what it holds.
        look.catalog.knows(**id) && !needed.contains(id) && !look.log.condemns(**id)
    });
    let mut old = Vec::new();
    for (id, listed) in unneeded {
        let pack = PackSize {
            id: *id,
            size: listed.size,
        };
        if is_older(listed.modified, options.min_age) {
            old.push(pack);
        } else {
            report.young.push(pack);
        }
    }
    for (pack, index) in own_indexes(link, old)? {
        let holds_nothing = |index: crate::remote::segment::PackEntries| {
            !index.entries.iter().any(|entry| live.contains(&entry.id))
        };
        if index.is_some_and(holds_nothing) {
            report.condemned.push(pack);
        }
    }
    Ok(())
}

type OwnIndex = (PackSize, Option<crate::remote::segment::PackEntries>);

fn own_indexes(link: &Link<'_>, packs: Vec<PackSize>) -> Result<Vec<OwnIndex>> {
    link.map(packs, |pack| {
        Ok((pack, link.own_index(pack.id, pack.size)?))
    })
}

fn count_kept(look: &Look, report: &mut Collected) {
    let going = report
        .condemned
        .iter()
        .chain(&report.deleted)
        .chain(&report.waiting);
    let going: HashSet<PackId> = going.map(|pack| pack.id).collect();
    let kept = look.packs.iter().filter(|(id, _)| !going.contains(id));
    for (_, listed) in kept {
        report.kept += 1;
        report.kept_bytes += listed.size;
    }
}
