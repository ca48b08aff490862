//! `unprotect`: makes tracked files that are links or read-only ordinary ones.

use super::{Result, Site, World, content};
use crate::path::RelPath;
use crate::workspace;

/// What was made writable.
#[derive(Debug, serde::Serialize)]
pub struct UnprotectReport {
    /// Files that are copies of their own now.
    pub paths: Vec<RelPath>,
}

/// Makes every file of tracked paths and outputs, or of paths inside or above them, one that may
/// be edited in place.
pub fn unprotect(world: &World<'_>, typed: &[String]) -> Result<UnprotectReport> {
    let site = Site::open(world)?;
    let _guard = site.guard()?;
    let lock = site.lock()?;
    let mut report = UnprotectReport { paths: Vec::new() };
    for path in site.stored_paths(&lock, typed)? {
        // Of a path above tracked ones, only those are ours.
        for root in content::stored(&lock).into_keys() {
            let inside = match root.starts_with(&path) {
                true => root,
                false if path.starts_with(&root) => path.clone(),
                false => continue,
            };
            site.check_interrupt()?;
            report
                .paths
                .extend(workspace::unprotect(&site.layout.root, &inside)?);
        }
    }
    report.paths.sort();
    report.paths.dedup();
    Ok(report)
}
