//! Paths and names as people write them in `esker.toml`: `./x` and `x/` are `x`, all else must
//! be normal.

use std::collections::BTreeSet;

use super::Location;
use super::written::OPENING;
use crate::path::{DepPath, RelPath};
use crate::project::source::Text;
use crate::project::{Error, Result};

/// What a list has named so far.
#[derive(Default)]
pub(super) struct Seen {
    names: BTreeSet<String>,
    /// Whether the list has one item, which cannot stand there twice.
    is_alone: bool,
}

/// A text with a place, to complain about.
pub(super) trait Complain {
    fn text(&self) -> &str;
    fn location(&self) -> Location;
    fn error(&self, message: impl AsRef<str>) -> Error;
}

impl Complain for Text<'_> {
    fn text(&self) -> &str {
        self.text
    }

    fn location(&self) -> Location {
        Text::location(self)
    }

    fn error(&self, message: impl AsRef<str>) -> Error {
        Text::error(self, message)
    }
}

/// Refuses an expression where nothing is filled in.
pub(super) fn plain(text: &Text<'_>) -> Result<()> {
    if text.text.contains(OPENING) {
        let message = "nothing is filled in here: `${{ … }}` stands in `cmd`, `deps`, `params`, \
                       `outs` and `env` of a stage";
        return Err(text.error_at(OPENING, message));
    }
    Ok(())
}

/// A dependency or params file.
pub(super) fn dep_path(text: &impl Complain, field: &str) -> Result<DepPath> {
    no_pattern(text, field)?;
    dep_or_pattern(text)
}

/// A dependency or params file, or a pattern.
pub(super) fn dep_or_pattern(text: &impl Complain) -> Result<DepPath> {
    let path = DepPath::parse(normal(text.text()));
    let path = path.map_err(|error| text.error(error.to_string()))?;
    match path.pattern().transpose() {
        Ok(_) => Ok(path),
        Err(error) => Err(text.error(error.to_string())),
    }
}

/// A path inside the project.
pub(super) fn rel_path(text: &impl Complain, field: &str) -> Result<RelPath> {
    no_pattern(text, field)?;
    RelPath::parse(normal(text.text())).map_err(|error| text.error(error.to_string()))
}

/// Drops a leading `./` and a trailing `/`.
pub(super) fn normal(text: &str) -> &str {
    let mut rest = text;
    while let Some(inner) = rest.strip_prefix("./") {
        rest = inner;
    }
    match rest.strip_suffix('/') {
        Some(inner) if !inner.is_empty() => inner,
        _ => rest,
    }
}

/// Whether a stage or remote may have this name: `[A-Za-z0-9_][A-Za-z0-9_-]{0,63}`.
pub(super) fn is_name(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.len() <= 64
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|b| word(b) || b == b'-')
}

/// Refuses a name, saying what names are made of.
pub(super) fn check_name(text: &impl Complain, name: &str, noun: &str) -> Result<()> {
    if is_name(name) {
        return Ok(());
    }
    Err(text.error(bad_name(name, noun)))
}

/// Refuses what can name neither a stage nor a cell of one (`train@linear`).
pub(super) fn check_stage(text: &impl Complain, name: &str) -> Result<()> {
    let (stage, cell) = name.split_once('@').unwrap_or((name, "_"));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    match is_name(stage) && !cell.is_empty() && cell.bytes().all(plain) {
        true => Ok(()),
        false => Err(text.error(bad_name(name, "stage"))),
    }
}

pub(super) fn bad_name(name: &str, noun: &str) -> String {
    format!(
        "`{name}` cannot name a {noun}: a name has up to 64 letters, digits, `_` and `-`, and \
         does not begin with `-`"
    )
}

impl Seen {
    /// Nothing yet, of a list of that length.
    pub(super) fn among(length: usize) -> Self {
        Self {
            names: BTreeSet::new(),
            is_alone: length == 1,
        }
    }

    /// All that was named.
    pub(super) fn into_names(self) -> BTreeSet<String> {
        self.names
    }

    /// Takes an item by its normal form, unless that was there before; says where it stands.
    pub(super) fn once(
        &mut self,
        text: &impl Complain,
        normal: impl FnOnce() -> String,
        field: &str,
    ) -> Result<Location> {
        if !self.is_alone {
            let normal = normal();
            if self.names.contains(&normal) {
                return Err(text.error(format!("`{normal}` stands twice in `{field}`")));
            }
            self.names.insert(normal);
        }
        Ok(text.location())
    }
}

fn no_pattern(text: &impl Complain, field: &str) -> Result<()> {
    if text.text().contains(['*', '?', '[']) {
        let message = format!("a pattern cannot stand in `{field}`: only in `deps`");
        return Err(text.error(message));
    }
    Ok(())
}
