//! Recorded data that is not in the workspace: it counts as recorded (`--allow-missing`), and
//! comes when a stage that must run reads it (`--pull`).

use super::Repro;
use crate::ops::content::{self, stored};
use crate::ops::facts::is_absent;
use crate::ops::routes::Routes;
use crate::ops::{Result, checkout, fetch, push};
use crate::path::RelPath;
use crate::pipeline::Stage;
use crate::project::{Claim, Recorded};
use crate::remote::Root;

impl Repro<'_> {
    /// Whether what is absent counts as recorded.
    pub(super) fn absence_counts(&self) -> bool {
        self.options.allow_missing || self.options.pull
    }

    /// Brings what a stage reads and is absent into the workspace, from the store or, if asked
    /// to, a remote. Says `None` if another esker has some of it, else whether anything came.
    pub(super) fn bring_inputs(&mut self, stage: &Stage) -> Result<Option<bool>> {
        let is_read = |path: &RelPath| stage.deps.iter().any(|dep| dep.touches(path));
        let absent = stored(&self.lock).into_iter();
        let absent = absent.filter(|(path, _)| is_read(path) && is_absent(self.site, path));
        let absent: Vec<(RelPath, Recorded)> = absent
            .map(|(path, recorded)| (path, recorded.clone()))
            .collect();
        if absent.is_empty() {
            return Ok(Some(false));
        }
        let root = &self.site.layout.root;
        let writes = absent.iter().map(|(path, _)| path.to_path(root));
        let wanted = Claim {
            writes: writes.collect(),
            ..Claim::default()
        };
        if !self.claim(stage, &wanted)? {
            return Ok(None);
        }
        self.fetch(&absent)?;
        let paths: Vec<RelPath> = absent.into_iter().map(|(path, _)| path).collect();
        let guard = self.site.record_guard()?;
        checkout::switch(self.site, &self.lock, &paths, false)?;
        drop(guard);
        self.observer.forget(&paths);
        Ok(Some(true))
    }

    /// Brings what the store lacks of some paths, if that was asked for. What the remote does
    /// not have stays absent.
    pub(super) fn fetch(&self, paths: &[(RelPath, Recorded)]) -> Result<()> {
        if !self.options.pull {
            return Ok(());
        }
        let mut roots: Vec<Root> = Vec::new();
        for (path, recorded) in paths {
            let here = content::entries(&self.site.store, path, recorded)?;
            if !here.is_some_and(|entries| content::all_saved(&self.site.store, &entries)) {
                roots.push(push::root(path.clone(), recorded)?);
            }
        }
        if !roots.is_empty() {
            let routes = Routes::of(self.site, self.graph);
            let locks = [routes.travelling(&self.lock)?];
            let options = push::TransferOptions::default();
            fetch::bring(self.site, &routes, &roots, &locks, &options)?;
        }
        Ok(())
    }
}
