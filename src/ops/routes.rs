//! Where what is recorded travels to: `remote`, `push` and `pull` of outputs and tracked data.

use std::collections::{BTreeMap, BTreeSet};

use super::push::roots;
use super::{Result, Site};
use crate::path::RelPath;
use crate::pipeline::Graph;
use crate::project::Lock;
use crate::remote::Root;

/// Which paths have a remote of their own, and which stay at home.
#[derive(Debug, Default)]
pub(super) struct Routes {
    /// `remote = "NAME"`.
    own: BTreeMap<RelPath, String>,
    /// `push = false`.
    staying: BTreeSet<RelPath>,
}

/// A remote, and who goes there.
#[derive(Debug)]
pub(super) struct Destination<'r> {
    /// The remote's name.
    pub(super) name: String,
    /// Whether it is the one of all that has no remote of its own.
    is_main: bool,
    routes: &'r Routes,
}

impl Routes {
    /// The routes of a project.
    pub(super) fn new(site: &Site<'_>, lock: &Lock) -> Result<Self> {
        Ok(Self::of(site, &site.graph(lock)?))
    }

    /// The same, with the graph at hand.
    pub(super) fn of(site: &Site<'_>, graph: &Graph) -> Self {
        let mut routes = Self::default();
        for (path, data) in &site.manifest.data {
            routes.take(path, data.push, data.remote.as_deref());
        }
        for stage in graph.stages().values() {
            for out in &stage.outs {
                let options = stage.options(out);
                routes.take(out, options.push, options.remote.as_deref());
            }
        }
        routes
    }

    fn take(&mut self, path: &RelPath, push: bool, remote: Option<&str>) {
        if !push {
            self.staying.insert(path.clone());
        }
        if let Some(remote) = remote {
            self.own.insert(path.clone(), remote.to_owned());
        }
    }

    /// Whether a path goes to any remote.
    pub(super) fn travels(&self, path: &RelPath) -> bool {
        !self.staying.contains(path)
    }

    /// What a lock names and remotes hold.
    pub(super) fn travelling(&self, lock: &Lock) -> Result<Vec<Root>> {
        let mut roots = roots(lock)?;
        roots.retain(|root| self.travels(&root.path));
        Ok(roots)
    }

    /// The remotes that some roots travel to, the main one first. If somebody asked for one, that
    /// is the main one and the only one: what has another of its own stays out of it.
    pub(super) fn destinations<'a>(
        &self,
        site: &Site<'_>,
        asked: Option<&str>,
        roots: impl IntoIterator<Item = &'a Root>,
    ) -> Result<Vec<Destination<'_>>> {
        let (mut names, mut has_main) = (BTreeSet::new(), asked.is_some());
        for root in roots {
            match self.own.get(&root.path) {
                Some(name) => drop(names.insert(name.as_str())),
                None => has_main = true,
            }
        }
        let mut found = Vec::new();
        if has_main || names.is_empty() {
            let (name, _) = site.remote(asked)?;
            names.remove(name.as_str());
            found.push(self.destination(&name, true));
        }
        if asked.is_none() {
            found.extend(names.into_iter().map(|name| self.destination(name, false)));
        }
        Ok(found)
    }

    fn destination(&self, name: &str, is_main: bool) -> Destination<'_> {
        Destination {
            name: name.to_owned(),
            is_main,
            routes: self,
        }
    }
}

impl Destination<'_> {
    /// The roots that travel to this remote.
    pub(super) fn of(&self, roots: &[Root]) -> Vec<Root> {
        let goes = |root: &&Root| match self.routes.own.get(&root.path) {
            Some(name) => *name == self.name,
            None => self.is_main,
        };
        roots.iter().filter(goes).cloned().collect()
    }

    /// What of a lock travels to this remote.
    pub(super) fn travelling(&self, lock: &Lock) -> Result<Vec<Root>> {
        Ok(self.of(&self.routes.travelling(lock)?))
    }
}

/// Whether a path is to be brought: nobody has to bring tracked data with `pull = false` unless it,
/// or something in it, was named.
pub(super) fn is_asked_for(site: &Site<'_>, path: &RelPath, targets: &[RelPath]) -> bool {
    let mut data = site.manifest.data.iter();
    let unasked = data.find(|(root, data)| !data.pull && path.starts_with(root));
    unasked.is_none_or(|(root, _)| targets.iter().any(|target| target.starts_with(root)))
}
