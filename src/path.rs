//! Paths inside a project: parsed once, always `/`, never `..`.
//!
//! A [`RelPath`] is safe to join to a directory: whatever text it came from (a command line, a
//! tree from a hostile remote), it cannot climb out, and it cannot name git's own directory
//! under any spelling that some file system folds together (CVE-2014-9390 and its kin).
//! A [`DepPath`] may climb, because a dependency may lie beside the project.
//!
//! This room never touches the disk.

mod filter;
mod pattern;

pub use filter::Filter;
pub use pattern::Pattern;

use std::borrow::Borrow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

/// The longest component that any common file system takes, in bytes.
pub const MAX_COMPONENT: usize = 255;
/// The longest path that a tree may hold, in bytes.
pub const MAX_PATH: usize = 4096;

/// Why a text is no path of a project.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// Nothing is left of it.
    #[error("the path is empty")]
    Empty,
    /// Begins with `/`.
    #[error("`{0}` is absolute")]
    Absolute(String),
    /// Climbs out of the project.
    #[error("`{0}` lies outside the project")]
    Outside(String),
    /// Has `//`, `/.`, or `..` inside.
    #[error("`{0}` has an empty, `.` or `..` component")]
    NotNormal(String),
    /// Holds a NUL byte.
    #[error("`{}` holds a NUL byte", .0.escape_debug())]
    Nul(String),
    /// A component or the whole is too long.
    #[error("`{0}` is too long: {MAX_COMPONENT} bytes a component, {MAX_PATH} in all")]
    TooLong(String),
    /// A component is git's or esker's own.
    #[error("`{0}` names a directory that git or esker keeps for itself")]
    Reserved(String),
    /// A name that is not UTF-8.
    #[error("`{0}` is not UTF-8")]
    NotUtf8(String),
    /// A glob that cannot be read.
    #[error("`{glob}` is not a pattern: {reason}")]
    Pattern {
        /// The text of the pattern.
        glob: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// A path below a project's root: relative, `/`-separated, normal, never empty.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelPath(Arc<str>);

impl RelPath {
    /// Takes a text that must already be normal, as files and remotes hold it.
    pub fn parse(text: &str) -> Result<Self, Error> {
        check(text)?;
        Ok(Self(text.into()))
    }

    /// Takes what a person typed in the directory `within` (`None` is the root): `./`, `..`, and
    /// a trailing `/` are resolved by text alone. `Ok(None)` is the root itself.
    pub fn resolve(within: Option<&Self>, typed: &str) -> Result<Option<Self>, Error> {
        if typed.is_empty() {
            return Err(Error::Empty);
        }
        if typed.starts_with('/') {
            return Err(Error::Absolute(typed.to_owned()));
        }
        let mut parts: Vec<&str> = within
            .map(|dir| dir.components().collect())
            .unwrap_or_default();
        for part in typed.split('/') {
            match part {
                "" | "." => {}
                ".." if parts.pop().is_none() => return Err(Error::Outside(typed.to_owned())),
                ".." => {}
                _ => parts.push(part),
            }
        }
        if parts.is_empty() {
            return Ok(None);
        }
        Self::parse(&parts.join("/")).map(Some)
    }

    /// Takes a relative path of the operating system, component by component.
    pub fn from_native(path: &Path) -> Result<Self, Error> {
        let text = path
            .to_str()
            .ok_or_else(|| Error::NotUtf8(path.to_string_lossy().into_owned()))?;
        Self::parse(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The components, outermost first.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// The last component.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The directory it lies in; `None` when that is the root.
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(dir, _)| Self(dir.into()))
    }

    /// All directories above it, nearest first, without the root.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> {
        std::iter::successors(self.parent(), Self::parent)
    }

    /// Joins a path below this one.
    pub fn join(&self, below: &Self) -> Self {
        Self(format!("{}/{}", self.0, below.0).into())
    }

    /// Whether it is `dir` itself or lies below it.
    pub fn starts_with(&self, dir: &Self) -> bool {
        let rest = self.0.strip_prefix(&*dir.0);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// What is left of it below `dir`; `None` when it is `dir` or lies elsewhere.
    pub fn strip_prefix(&self, dir: &Self) -> Option<Self> {
        let rest = self.0.strip_prefix(&*dir.0)?.strip_prefix('/')?;
        Some(Self(rest.into()))
    }

    /// Whether one of the two holds the other.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.starts_with(other) || other.starts_with(self)
    }

    /// Where it lies on disk.
    pub fn to_path(&self, root: &Path) -> PathBuf {
        root.join(&*self.0)
    }
}

impl Borrow<str> for RelPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl FromStr for RelPath {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl serde::Serialize for RelPath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// A path relative to a project that may lie beside it: `../shared/lib.py`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DepPath(Arc<str>);

impl DepPath {
    /// Takes normal text with any number of leading `../`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut rest = text;
        while let Some(inner) = rest.strip_prefix("../") {
            rest = inner;
        }
        check(rest)?;
        Ok(Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same path, if it lies inside the project.
    pub fn inside(&self) -> Option<RelPath> {
        (!self.0.starts_with("../")).then(|| RelPath(Arc::clone(&self.0)))
    }

    /// Where it lies on disk.
    pub fn to_path(&self, root: &Path) -> PathBuf {
        let mut base = root.to_path_buf();
        let mut rest = &*self.0;
        while let Some(inner) = rest.strip_prefix("../") {
            base.pop();
            rest = inner;
        }
        base.join(rest)
    }
}

impl From<RelPath> for DepPath {
    fn from(path: RelPath) -> Self {
        Self(path.0)
    }
}

impl fmt::Display for DepPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DepPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl serde::Serialize for DepPath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// A set of shell-like patterns over paths: `*` stays inside a component, `**` crosses them.
#[derive(Clone, Debug)]
pub struct Patterns(globset::GlobSet);

impl Patterns {
    /// Compiles the patterns; a plain path matches itself.
    pub fn new<'a>(globs: impl IntoIterator<Item = &'a str>) -> Result<Self, Error> {
        let mut set = globset::GlobSetBuilder::new();
        for text in globs {
            let glob = globset::GlobBuilder::new(text)
                .literal_separator(true)
                .build()
                .map_err(|error| Error::Pattern {
                    glob: text.to_owned(),
                    reason: error.kind().to_string(),
                })?;
            set.add(glob);
        }
        let set = set.build().map_err(|error| Error::Pattern {
            glob: error.glob().unwrap_or_default().to_owned(),
            reason: error.kind().to_string(),
        })?;
        Ok(Self(set))
    }

    /// Whether any pattern matches the whole path.
    pub fn matches(&self, path: &RelPath) -> bool {
        self.0.is_match(path.as_str())
    }
}

fn check(text: &str) -> Result<(), Error> {
    let owned = || text.to_owned();
    if text.is_empty() {
        return Err(Error::Empty);
    }
    if text.starts_with('/') {
        return Err(Error::Absolute(owned()));
    }
    if text.contains('\0') {
        return Err(Error::Nul(owned()));
    }
    if text.len() > MAX_PATH {
        return Err(Error::TooLong(owned()));
    }
    for part in text.split('/') {
        match part {
            ".." => return Err(Error::Outside(owned())),
            "" | "." => return Err(Error::NotNormal(owned())),
            _ if part.len() > MAX_COMPONENT => return Err(Error::TooLong(owned())),
            _ if is_reserved(part) => return Err(Error::Reserved(owned())),
            _ => {}
        }
    }
    Ok(())
}

const RESERVED: [&str; 3] = [".git", ".esker", "git~1"];

/// Whether some file system would take this component for `.git` or `.esker`: case is folded,
/// the characters that HFS+ ignores are left out, trailing dots and spaces are dropped as NTFS
/// does, and `git~1` is its short name.
fn is_reserved(component: &str) -> bool {
    if component.is_ascii() {
        let name = component.trim_end_matches(['.', ' ']);
        return RESERVED.iter().any(|word| name.eq_ignore_ascii_case(word));
    }
    let folded: String = component
        .chars()
        .filter(|c| !is_ignored_by_hfs(*c))
        .flat_map(char::to_lowercase)
        .collect();
    let folded = folded.trim_end_matches(['.', ' ']);
    RESERVED.contains(&folded)
}

fn is_ignored_by_hfs(c: char) -> bool {
    matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_safe_paths_are_paths() {
        for good in [
            "a",
            "a/b",
            "data/raw.csv",
            ".hidden",
            "a b",
            "日本/x",
            "..a",
            "a\\b",
            "git",
            "x.git",
        ] {
            assert_eq!(RelPath::parse(good).unwrap().as_str(), good);
        }
        let long = "x".repeat(256);
        let bad = [
            "",
            "/",
            "/a",
            ".",
            "..",
            "a/..",
            "../a",
            "a//b",
            "a/",
            "./a",
            "a/./b",
            "a\0b",
            &long,
            ".git",
            "a/.GIT/b",
            ".gi\u{200d}t",
            "GIT~1",
            ".esker/x",
            ".git. ",
            ".git.",
        ];
        for text in bad {
            assert!(RelPath::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_people_type_is_resolved_by_text() {
        let within = RelPath::parse("src/deep").unwrap();
        let cases = [
            ("x", Some("src/deep/x")),
            ("./x/", Some("src/deep/x")),
            ("../x", Some("src/x")),
            ("../..", None),
            (".", Some("src/deep")),
            ("../../data//raw", Some("data/raw")),
        ];
        for (typed, expected) in cases {
            let path = RelPath::resolve(Some(&within), typed).unwrap();
            assert_eq!(path.as_ref().map(RelPath::as_str), expected, "{typed}");
        }
        assert!(matches!(
            RelPath::resolve(Some(&within), "../../.."),
            Err(Error::Outside(_))
        ));
        assert!(matches!(
            RelPath::resolve(None, "/etc"),
            Err(Error::Absolute(_))
        ));
    }

    #[test]
    fn prefixes_respect_components() {
        let [a, ab, a_dash] = ["a", "a/b", "a-b"].map(|text| RelPath::parse(text).unwrap());
        assert!(ab.starts_with(&a) && a.starts_with(&a) && !a_dash.starts_with(&a));
        assert_eq!(ab.strip_prefix(&a).unwrap().as_str(), "b");
        assert_eq!(a.strip_prefix(&a), None);
        assert!(a.overlaps(&ab) && !a_dash.overlaps(&ab));
        assert_eq!(ab.ancestors().collect::<Vec<_>>(), [a]);
    }

    #[test]
    fn dependencies_may_climb_but_only_at_the_front() {
        let dep = DepPath::parse("../../lib/x.py").unwrap();
        assert_eq!(dep.to_path(Path::new("/r/a/b")), Path::new("/r/lib/x.py"));
        assert_eq!(dep.inside(), None);
        assert_eq!(
            DepPath::parse("lib/x.py")
                .unwrap()
                .inside()
                .unwrap()
                .as_str(),
            "lib/x.py"
        );
        assert!(DepPath::parse("a/../b").is_err() && DepPath::parse("..").is_err());
    }

    #[test]
    fn patterns_keep_to_components() {
        let patterns = Patterns::new(["eval/*.json", "out/**/m.json"]).unwrap();
        let cases = [
            ("eval/m.json", true),
            ("eval/x/m.json", false),
            ("out/a/b/m.json", true),
        ];
        for (path, expected) in cases {
            assert_eq!(
                patterns.matches(&RelPath::parse(path).unwrap()),
                expected,
                "{path}"
            );
        }
        assert!(Patterns::new(["a["]).is_err());
    }

    proptest! {
        #[test]
        fn no_path_leaves_its_root(text in "[a-c./\\\\\u{200d}GIgit~1]{0,20}") {
            if let Ok(path) = RelPath::parse(&text) {
                let joined = path.to_path(Path::new("/root"));
                prop_assert!(joined.starts_with("/root") && joined != Path::new("/root"));
                prop_assert!(joined.components().all(|part| part != std::path::Component::ParentDir));
                prop_assert!(path.components().all(|part| !part.eq_ignore_ascii_case(".git")));
            }
        }

        #[test]
        fn resolving_normal_text_changes_nothing(text in "[a-c]{1,3}(/[a-c]{1,3}){0,3}") {
            let path = RelPath::parse(&text).unwrap();
            prop_assert_eq!(RelPath::resolve(None, &text).unwrap(), Some(path));
        }
    }
}
