//! A pattern among the dependencies of a stage, matched component by component.

use globset::{GlobBuilder, GlobMatcher};

use super::{DepPath, Error, RelPath};

/// `conf/*.yaml`, `src/**/*.py`: `*`, `?`, `[ab]` and, beside one of these, `{a,b}` within a
/// component; `**` is any number of components.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// The directory that all matches lie in; `None` is the root.
    base: Option<RelPath>,
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    /// `**`.
    Any,
    One(GlobMatcher),
}

impl DepPath {
    /// Whether it is a pattern, as a dependency means it.
    pub fn is_pattern(&self) -> bool {
        self.as_str().contains(['*', '?', '['])
    }

    /// The pattern that it is; `None` if it is a path.
    pub fn pattern(&self) -> Option<Result<Pattern, Error>> {
        self.is_pattern().then(|| Pattern::new(self))
    }

    /// Whether a path is it, lies in it or holds it; or, of a pattern, whether it matches the path
    /// or may match something in it.
    pub fn touches(&self, path: &RelPath) -> bool {
        match self.pattern() {
            Some(Ok(pattern)) => pattern.matches(path) || pattern.reaches_into(path),
            Some(Err(_)) => false,
            None => self.inside().is_some_and(|inside| inside.overlaps(path)),
        }
    }
}

impl Pattern {
    fn new(path: &DepPath) -> Result<Self, Error> {
        let text = path.as_str();
        let inside = path
            .inside()
            .ok_or_else(|| Error::Outside(text.to_owned()))?;
        let plain = |part: &&str| !part.contains(['*', '?', '[']);
        let base: Vec<&str> = inside.components().take_while(plain).collect();
        let base = (!base.is_empty()).then(|| RelPath::parse(&base.join("/")));
        let mut parts = inside
            .components()
            .map(Part::new)
            .collect::<Result<Vec<_>, _>>()?;
        // What ends in `**` means all that lies below, not the directory itself.
        if matches!(parts.last(), Some(Part::Any)) {
            parts.push(Part::new("*")?);
        }
        let base = base.transpose()?;
        Ok(Self { base, parts })
    }

    /// The directory that all matches lie in; `None` is the root.
    pub fn base(&self) -> Option<&RelPath> {
        self.base.as_ref()
    }

    /// Whether it matches the whole path.
    pub fn matches(&self, path: &RelPath) -> bool {
        self.after(path).contains(&self.parts.len())
    }

    /// Whether something below a directory can match.
    pub fn leads_below(&self, dir: &RelPath) -> bool {
        self.after(dir).iter().any(|at| *at < self.parts.len())
    }

    /// Whether something in a tracked directory or an output is meant: only if the components
    /// name it one by one, since `**/*.py` does not ask for every output.
    pub fn reaches_into(&self, root: &RelPath) -> bool {
        let mut parts = self.parts.iter();
        let named = root.components().all(|name| match parts.next() {
            Some(Part::One(glob)) => glob.is_match(name),
            Some(Part::Any) | None => false,
        });
        named && parts.next().is_some()
    }

    /// How many parts may be used up after the components of a path: all possibilities.
    fn after(&self, path: &RelPath) -> Vec<usize> {
        let mut at = self.with_skips(vec![0]);
        for name in path.components() {
            let mut next = Vec::new();
            for index in at {
                match self.parts.get(index) {
                    Some(Part::Any) => next.push(index),
                    Some(Part::One(glob)) if glob.is_match(name) => next.push(index + 1),
                    Some(Part::One(_)) | None => {}
                }
            }
            at = self.with_skips(next);
        }
        at
    }

    /// A `**` may stand for nothing.
    fn with_skips(&self, mut at: Vec<usize>) -> Vec<usize> {
        let mut seen = 0;
        while let Some(index) = at.get(seen).copied() {
            if matches!(self.parts.get(index), Some(Part::Any)) && !at.contains(&(index + 1)) {
                at.push(index + 1);
            }
            seen += 1;
        }
        at.sort_unstable();
        at.dedup();
        at
    }
}

impl Part {
    fn new(text: &str) -> Result<Self, Error> {
        if text == "**" {
            return Ok(Self::Any);
        }
        let refuse = |reason: String| Error::Pattern {
            glob: text.to_owned(),
            reason,
        };
        if text.contains("**") {
            return Err(refuse("`**` stands alone between two `/`".to_owned()));
        }
        let plain = !text.contains(['*', '?', '[']);
        let text_of = if plain {
            globset::escape(text)
        } else {
            text.to_owned()
        };
        let glob = GlobBuilder::new(&text_of).literal_separator(true).build();
        let glob = glob.map_err(|error| refuse(error.kind().to_string()))?;
        Ok(Self::One(glob.compile_matcher()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::Patterns;
    use proptest::prelude::*;

    fn pattern(text: &str) -> Pattern {
        DepPath::parse(text).unwrap().pattern().unwrap().unwrap()
    }

    fn path(text: &str) -> RelPath {
        RelPath::parse(text).unwrap()
    }

    #[test]
    fn components_are_matched_one_by_one() {
        let table = [
            ("conf/*.yaml", "conf/a.yaml", true),
            ("conf/*.yaml", "conf/x/a.yaml", false),
            ("conf/**/*.yaml", "conf/a.yaml", true),
            ("conf/**/*.yaml", "conf/x/y/a.yaml", true),
            ("**/*.py", "a.py", true),
            ("a/**", "a", false),
            ("a/**", "a/b/c", true),
            ("**/b/**/c*", "a/b/x/cd", true),
            ("?/[ab].{x,y}", "q/a.y", true),
            ("?/[ab].{x,y}", "q/c.y", false),
            ("a{b}/*", "a{b}/c", true),
            ("a{b}/*", "ab/c", false),
        ];
        for (glob, text, expected) in table {
            assert_eq!(
                pattern(glob).matches(&path(text)),
                expected,
                "{glob} {text}"
            );
        }
        let bases = [
            ("conf/*.yaml", Some("conf")),
            ("a/b/**", Some("a/b")),
            ("*.py", None),
        ];
        for (glob, base) in bases {
            assert_eq!(pattern(glob).base().map(RelPath::as_str), base, "{glob}");
        }
        for bad in ["a[", "a**", "../*.py", "a/{b,c*"] {
            assert!(
                DepPath::parse(bad).unwrap().pattern().unwrap().is_err(),
                "{bad}"
            );
        }
    }

    #[test]
    fn two_stars_do_not_ask_for_what_lies_in_every_output() {
        let table = [
            ("data/*/part.csv", "data/a", true),
            ("data/a/*.csv", "data/a", true),
            ("data/a/**/*.csv", "data/a", true),
            ("data/**/*.csv", "data/a", false),
            ("data/*.csv", "data/a", false),
            ("data/*", "data/a", true),
            ("data/**", "data/a", true),
        ];
        for (glob, out, expected) in table {
            let dep = DepPath::parse(glob).unwrap();
            assert_eq!(dep.touches(&path(out)), expected, "{glob} {out}");
        }
        assert!(pattern("data/**/*.csv").leads_below(&path("data/a/b")));
        assert!(!pattern("data/*.csv").leads_below(&path("data/a")));
        assert!(pattern("data/*.csv").leads_below(&path("data")));
    }

    proptest! {
        #[test]
        fn whole_matches_agree_with_the_other_matcher(
            parts in proptest::collection::vec("[ab]|\\*|\\?|a\\*|\\*\\*|[ab]b?", 1..5),
            names in proptest::collection::vec("[ab]{1,2}", 1..5),
        ) {
            let glob = parts.join("/");
            prop_assume!(glob.contains(['*', '?']));
            let path = path(&names.join("/"));
            let other = Patterns::new([glob.as_str()]).unwrap();
            prop_assert_eq!(pattern(&glob).matches(&path), other.matches(&path), "{} {}", glob, path);
        }
    }
}
