//! What a pattern among dependencies matches, as one tree of paths from the root.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::ignored::Ignored;
use super::{Found, PROJECT_FILE, Rules, Scanner};
use crate::fs;
use crate::path::{Pattern, RelPath};
use crate::tree::{Entry, Tree};
use crate::workspace::{Error, Result};

impl Scanner<'_> {
    /// Reads what a pattern matches: of `tracked` paths and outputs, those that it names (a
    /// directory with all in it) or that it names something in; and all other files that neither
    /// git nor esker ignores. Nothing is `Missing`.
    pub fn scan_pattern(&mut self, pattern: &Pattern, tracked: &[RelPath]) -> Result<Found> {
        let mut entries = Vec::new();
        for path in tracked {
            if pattern.matches(path) {
                entries.extend(self.below(path, Rules::Data)?);
            } else if pattern.reaches_into(path) {
                let all = self.below(path, Rules::Data)?;
                entries.extend(all.into_iter().filter(|(path, _)| pattern.matches(path)));
            }
        }
        let is_tracked = |path: &RelPath| tracked.iter().any(|root| root.overlaps(path));
        let inside = pattern.base().is_some_and(|base| {
            let mut held = tracked.iter();
            held.any(|root| base.starts_with(root))
        });
        let free = if inside {
            BTreeSet::new()
        } else {
            self.list_free(pattern)?
        };
        for path in free.into_iter().filter(|path| !is_tracked(path)) {
            entries.extend(self.below(&path, Rules::Dependency(&[]))?);
        }
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        entries.dedup_by(|(one, _), (other, _)| one == other);
        match entries.is_empty() {
            true => Ok(Found::Missing),
            false => Ok(Found::Dir(Tree::new(entries)?.into())),
        }
    }

    /// What lies at a path, by whole paths.
    fn below(&mut self, path: &RelPath, rules: Rules<'_>) -> Result<Vec<(RelPath, Entry)>> {
        Ok(match self.scan(path, rules)? {
            Found::Missing => Vec::new(),
            Found::Dir(dir) => self.tree(path, &dir)?.into_below(path),
            Found::File { id, size, exec } => {
                vec![(path.clone(), Entry::File { id, size, exec })]
            }
        })
    }

    /// The files that nobody ignores and that match, directories without a match not entered.
    fn list_free(&self, pattern: &Pattern) -> Result<BTreeSet<RelPath>> {
        let mut found = BTreeSet::new();
        let around = match pattern.base() {
            Some(base) => Ignored::above(self.root, base)?,
            None => Ignored::around(self.root)?,
        };
        let mut open: Vec<(Option<RelPath>, Ignored)> = vec![(pattern.base().cloned(), around)];
        while let Some((dir, around)) = open.pop() {
            if self.interrupt.is_requested() {
                return Err(Error::Interrupted);
            }
            let at = dir
                .as_ref()
                .map_or(self.root.to_path_buf(), |dir| dir.to_path(self.root));
            let Some(names) = names(dir.is_some(), &at)? else {
                continue;
            };
            let inside = around.enter(&at)?;
            for name in names {
                let at = at.join(name.as_str());
                let path = dir.as_ref().map_or(name.clone(), |dir| dir.join(&name));
                let Some(stat) = fs::metadata(&at)? else {
                    continue;
                };
                let is_dir = stat.is_dir();
                if inside.by_git(&at, is_dir) || inside.by_esker(&at, is_dir) {
                    continue;
                }
                if is_dir && pattern.leads_below(&path) {
                    open.push((Some(path), inside.clone()));
                } else if !is_dir && pattern.matches(&path) {
                    found.insert(path);
                }
            }
        }
        Ok(found)
    }
}

/// The names in a directory that paths can have; `None` if it is none, or a project of its own.
fn names(is_below: bool, at: &std::path::Path) -> Result<Option<Vec<RelPath>>> {
    let nested: PathBuf = at.join(PROJECT_FILE);
    if is_below && fs::metadata(&nested)?.is_some() {
        return Ok(None);
    }
    if !fs::metadata(at)?.is_some_and(|stat| stat.is_dir()) {
        return Ok(None);
    }
    let names = fs::list_dir(at)?.into_iter();
    // git's own directory, and names that nothing tracked can have, match nothing.
    let names = names.filter_map(|name| RelPath::parse(name.to_str()?).ok());
    Ok(Some(names.collect()))
}
