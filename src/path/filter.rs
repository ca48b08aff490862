//! `--include` and `--exclude`: which paths are meant, in the language of `.gitignore`.

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::{Error, RelPath};

/// Paths that are included, all if nothing is, less those that are excluded. Patterns are read as
/// git reads those of a `.gitignore` at the root of the project: what matches a directory matches
/// all that lies in it.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// `None` is everything.
    include: Option<Gitignore>,
    exclude: Option<Gitignore>,
}

impl Filter {
    /// Takes the patterns of each kind, in the order in which they were given.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self, Error> {
        Ok(Self {
            include: rules(include)?,
            exclude: rules(exclude)?,
        })
    }

    /// Whether nothing was asked for, so that all is meant.
    pub fn is_everything(&self) -> bool {
        self.include.is_none() && self.exclude.is_none()
    }

    /// Whether only what matches is meant.
    pub fn includes(&self) -> bool {
        self.include.is_some()
    }

    /// Whether a file is meant.
    pub fn has(&self, path: &RelPath) -> bool {
        let matches = |rules: &Gitignore| {
            let found = rules.matched_path_or_any_parents(path.as_str(), false);
            found.is_ignore()
        };
        self.include.as_ref().is_none_or(matches) && !self.exclude.as_ref().is_some_and(matches)
    }

    /// Whether all that lies in a directory is meant, whatever that is.
    pub fn takes(&self, path: &RelPath) -> bool {
        let matches = |rules: &Gitignore| {
            let found = rules.matched_path_or_any_parents(path.as_str(), true);
            found.is_ignore()
        };
        self.exclude.is_none() && self.include.as_ref().is_none_or(matches)
    }

    /// Whether nothing in a directory, nor itself if it is a file, can be meant.
    pub fn leaves_out(&self, path: &RelPath) -> bool {
        // A `!` may take back what lies below.
        let excludes = self.exclude.as_ref();
        excludes.is_some_and(|rules| {
            let found = rules.matched_path_or_any_parents(path.as_str(), true);
            rules.num_whitelists() == 0 && found.is_ignore()
        })
    }
}

fn rules(patterns: &[String]) -> Result<Option<Gitignore>, Error> {
    let mut builder = GitignoreBuilder::new("");
    // A slip that git lets pass would select nothing.
    builder.allow_unclosed_class(false);
    for pattern in patterns {
        let refuse = |reason: String| Error::Pattern {
            glob: pattern.clone(),
            reason,
        };
        let text = pattern.strip_prefix("./").unwrap_or(pattern);
        let before = text.trim_start();
        if before.is_empty() || before.starts_with('#') {
            return Err(refuse("it names nothing".to_owned()));
        }
        let added = builder.add_line(None, text);
        added.map_err(|error| refuse(error.to_string()))?;
    }
    let built = builder.build().map_err(|error| Error::Pattern {
        glob: patterns.join(" "),
        reason: error.to_string(),
    })?;
    Ok((!patterns.is_empty()).then_some(built))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(include: &[&str], exclude: &[&str]) -> Filter {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let (include, exclude): (Vec<String>, Vec<String>) = (owned(include), owned(exclude));
        Filter::new(&include, &exclude).unwrap()
    }

    fn path(text: &str) -> RelPath {
        RelPath::parse(text).unwrap()
    }

    #[test]
    fn patterns_mean_what_they_mean_in_a_gitignore() {
        let table: [(&[&str], &[&str], &str, bool); 16] = [
            (&[], &[], "data/a.jpg", true),
            (&["*.jpg"], &[], "data/a.jpg", true),
            (&["*.jpg"], &[], "data/a.png", false),
            (&["data"], &[], "data/x/a.png", true),
            (&["data/x/"], &[], "data/x/a.png", true),
            (&["a.png/"], &[], "data/a.png", false),
            (&["/data/*.png"], &[], "data/a.png", true),
            (&["/data/*.png"], &[], "data/x/a.png", false),
            (&["data/**/a.*"], &[], "data/x/y/a.png", true),
            (&["./data/x"], &[], "data/x/a.png", true),
            (&["*.png", "*.jpg"], &[], "b.jpg", true),
            (&[], &["*.ckpt"], "runs/1/a.ckpt", false),
            (&["runs"], &["*.ckpt"], "runs/1/a.log", true),
            (&["runs"], &["*.ckpt"], "runs/1/a.ckpt", false),
            (&[], &["*.ckpt", "!best.ckpt"], "runs/best.ckpt", true),
            (&["*", "!*.tmp"], &[], "a.tmp", false),
        ];
        for (include, exclude, text, expected) in table {
            let has = filter(include, exclude).has(&path(text));
            assert_eq!(has, expected, "{include:?} {exclude:?} {text}");
        }
    }

    #[test]
    fn a_directory_is_left_out_when_nothing_in_it_can_be_meant() {
        let dir = path("runs/1");
        assert!(filter(&[], &["runs"]).leaves_out(&dir));
        assert!(filter(&[], &["1/"]).leaves_out(&dir));
        assert!(!filter(&[], &["*.ckpt"]).leaves_out(&dir));
        assert!(!filter(&["data"], &[]).leaves_out(&dir), "nobody can tell");
        assert!(!filter(&[], &["runs", "!runs/1/keep"]).leaves_out(&dir));
    }

    #[test]
    fn what_names_nothing_is_refused() {
        for bad in ["", "  ", "# note", "a[", "{a"] {
            assert!(Filter::new(&[bad.to_owned()], &[]).is_err(), "{bad}");
        }
    }
}
