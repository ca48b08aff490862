//! Where what a lock names stands with a remote: what it lacks, and what the store lacks. By names
//! and indexes alone.

use std::collections::BTreeMap;

use super::push::{connect, jobs};
use super::routes::Routes;
use super::{Result, Site};
use crate::path::RelPath;
use crate::project::Lock;
use crate::remote::{self, Lacks};

/// What would travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Travel {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// How a path stands with a remote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Standing {
    /// Whether the remote has all of it.
    pub complete: bool,
    /// What it lacks and the store has.
    pub push: Travel,
    /// What it has and the store lacks.
    pub pull: Travel,
    /// What neither has.
    pub lost: Travel,
    /// Whether the listing is neither here nor vouched for by what was pushed with it, so that
    /// nobody can tell.
    pub unknown: bool,
}

/// The main remote's name, and each path of a lock that travels.
pub(super) type Standings = (String, BTreeMap<RelPath, Standing>);

/// Asks the remotes that a lock travels to, each once for all paths: the one that is named, or, if
/// the name is empty, the default one and those that some paths have of their own.
pub(super) fn standings(site: &Site<'_>, name: &str, lock: &Lock) -> Result<Standings> {
    let name = Some(name).filter(|name| !name.is_empty());
    let routes = Routes::new(site, lock)?;
    let travelling = routes.travelling(lock)?;
    let mut standings = BTreeMap::new();
    let destinations = routes.destinations(site, name, &travelling)?;
    for destination in &destinations {
        let (_, remote) = connect(site, Some(&destination.name))?;
        let roots = destination.of(&travelling);
        let presence = remote.presence(
            std::slice::from_ref(&roots),
            jobs(site, &remote, None),
            site.world.interrupt,
        )?;
        for root in roots {
            site.check_interrupt()?;
            let there = presence.lacks(&site.store, &root)?;
            let here = remote::lacks_here(&site.store, &root)?;
            let both = presence.lacks_with(&site.store, &root, &|id| site.store.has(id))?;
            standings.insert(root.path, standing(there, here, both));
        }
    }
    let main = destinations.into_iter().next();
    Ok((main.map(|main| main.name).unwrap_or_default(), standings))
}

/// From what is lacking there, here, and in both places.
fn standing(there: Lacks, here: Lacks, both: Lacks) -> Standing {
    let minus = |all: Lacks, part: Lacks| Travel {
        files: all.files.saturating_sub(part.files),
        bytes: all.bytes.saturating_sub(part.bytes),
    };
    Standing {
        complete: there.is_nothing(),
        push: minus(there, both),
        pull: minus(here, both),
        lost: Travel {
            files: both.files,
            bytes: both.bytes,
        },
        unknown: there.unknown > 0,
    }
}
