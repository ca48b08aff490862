//! Patterns that a shell left to esker: `add 'data/*.csv'`.

use super::{Error, Result, Site, init};
use crate::fs;
use crate::path::{Patterns, RelPath};
use crate::project::layout::MANIFEST;

/// The paths on disk that a typed text means: itself, or, if nothing of that name is there or
/// recorded and it is a pattern, what it matches, as a shell would: names that begin with a dot
/// only where the pattern does. Nothing matched is an error.
pub(super) fn expand(
    site: &Site<'_>,
    typed: &str,
    known: impl Fn(&RelPath) -> bool,
) -> Result<Vec<RelPath>> {
    let path = site.path(typed)?;
    let is_there = fs::metadata(&path.to_path(&site.layout.root))?.is_some();
    if is_there || !has_pattern(path.as_str()) || known(&path) {
        return Ok(vec![path]);
    }
    let (dir, pattern) = split(site, &path)?;
    let mut found = Vec::new();
    let walk = Walk::new(site, &pattern)?;
    walk.list(dir.as_ref(), None, &mut found)?;
    found.retain(|path| !init::is_own_file(path));
    found.sort();
    // What lies in a directory that matches is part of it.
    let all: std::collections::BTreeSet<RelPath> = found.iter().cloned().collect();
    found.retain(|path| !path.ancestors().any(|dir| all.contains(&dir)));
    match found.is_empty() {
        true => Err(Error::NothingMatches(typed.to_owned())),
        false => Ok(found),
    }
}

fn has_pattern(text: &str) -> bool {
    text.contains(['*', '?', '[', '{'])
}

/// The directory that a pattern begins in, and the components that are left of it. A directory
/// with a name like a pattern is taken for itself.
fn split(site: &Site<'_>, path: &RelPath) -> Result<(Option<RelPath>, Vec<String>)> {
    let mut dir: Option<RelPath> = None;
    let mut parts = path.components().peekable();
    while let Some(part) = parts.peek() {
        let name = RelPath::parse(part)?;
        let next = dir.as_ref().map_or(name.clone(), |dir| dir.join(&name));
        let stat = fs::metadata(&next.to_path(&site.layout.root))?;
        if has_pattern(part) && !stat.is_some_and(|stat| stat.is_dir()) {
            break;
        }
        dir = Some(next);
        parts.next();
    }
    Ok((dir, parts.map(str::to_owned).collect()))
}

struct Walk<'s> {
    site: &'s Site<'s>,
    pattern: Vec<String>,
    whole: Patterns,
    /// For each depth, what a directory must match for something below it to match; none from
    /// the first `**` on.
    prefixes: Vec<Patterns>,
}

impl<'s> Walk<'s> {
    fn new(site: &'s Site<'s>, pattern: &[String]) -> Result<Self> {
        let n_plain = pattern.iter().position(|part| part.contains("**"));
        let n_plain = n_plain.unwrap_or(pattern.len());
        let prefix = |depth: usize| Patterns::new([pattern[..depth].join("/").as_str()]);
        let prefixes = (1..=n_plain).map(prefix);
        Ok(Self {
            site,
            whole: Patterns::new([pattern.join("/").as_str()])?,
            prefixes: prefixes.collect::<std::result::Result<_, _>>()?,
            pattern: pattern.to_vec(),
        })
    }

    /// Lists a directory; `below` is what of it lies below the one the pattern begins in.
    fn list(
        &self,
        dir: Option<&RelPath>,
        below: Option<&RelPath>,
        found: &mut Vec<RelPath>,
    ) -> Result<()> {
        self.site.check_interrupt()?;
        let root = &self.site.layout.root;
        let at = dir.map_or(root.clone(), |dir| dir.to_path(root));
        let is_project = fs::metadata(&at.join(MANIFEST))?.is_some();
        if dir.is_some() && is_project || fs::metadata(&at)?.is_none() {
            return Ok(());
        }
        for name in fs::list_dir(&at)? {
            // git's own directory, and names that cannot be tracked, are passed over.
            let Some(name) = name.to_str().and_then(|name| RelPath::parse(name).ok()) else {
                continue;
            };
            let path = dir.map_or(name.clone(), |dir| dir.join(&name));
            let below = below.map_or(name.clone(), |below| below.join(&name));
            if self.is_hidden(&below) {
                continue;
            }
            if self.whole.matches(&below) {
                found.push(path.clone());
            }
            let stat = fs::metadata(&path.to_path(root))?;
            if stat.is_some_and(|stat| stat.is_dir()) && self.leads_on(&below) {
                self.list(Some(&path), Some(&below), found)?;
            }
        }
        Ok(())
    }

    fn leads_on(&self, below: &RelPath) -> bool {
        let depth = below.components().count();
        match self.prefixes.get(depth - 1) {
            Some(prefix) => depth < self.pattern.len() && prefix.matches(below),
            None => self.prefixes.len() < self.pattern.len(),
        }
    }

    fn is_hidden(&self, below: &RelPath) -> bool {
        let depth = below.components().count();
        let asked = |part: &String| part.starts_with('.');
        let part = match depth <= self.prefixes.len() {
            true => self.pattern.get(depth - 1),
            // Somewhere below a `**`: any component that asks for a dot may mean this one.
            false => self
                .pattern
                .iter()
                .skip(self.prefixes.len())
                .find(|p| asked(p)),
        };
        below.name().starts_with('.') && !part.is_some_and(asked)
    }
}
