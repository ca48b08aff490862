//! From the names that records hold to all that they need.

use std::collections::HashSet;

use super::roots::Roots;
use crate::hash::{Digest, TreeId};
use crate::ops::{Result, Site};
use crate::store;
use crate::tree;

/// What is needed.
#[derive(Debug, Default)]
pub(super) struct Marked {
    /// Ids of whatever kind.
    pub(super) live: HashSet<Digest>,
    /// Listings that are needed and cannot be read, so that nobody knows what they need. A
    /// directory that was never brought here is none of them.
    pub(super) lost: Vec<String>,
}

/// Follows the names through all listings.
pub(super) fn mark(site: &Site<'_>, roots: &Roots) -> Result<Marked> {
    let quarantined = site.store.quarantined()?;
    let mut marked = Marked {
        live: roots.names.clone(),
        lost: Vec::new(),
    };
    let mut todo = Vec::new();
    for name in &roots.names {
        let id = TreeId(*name);
        if site.store.has(id) {
            todo.push(id);
        } else if roots.trees.contains(name) && quarantined.contains(name) {
            marked.lost.push(id.to_string());
        }
    }
    while let Some(id) = todo.pop() {
        site.check_interrupt()?;
        let refs = match site.store.read(id) {
            Ok(bytes) => tree::node_refs(id, &bytes).ok(),
            Err(store::Error::Missing(_) | store::Error::Corrupt { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let Some(refs) = refs else {
            marked.lost.push(id.to_string());
            continue;
        };
        let files = refs.files.into_iter().map(|(file, _)| file.0);
        marked.live.extend(files);
        let children = refs.children.into_iter();
        todo.extend(children.filter(|child| marked.live.insert(child.0)));
    }
    marked.lost.sort();
    Ok(marked)
}
