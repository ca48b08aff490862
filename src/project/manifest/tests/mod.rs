//! Tests of `esker.toml`: what is read, what is refused and where, and what edits leave alone.

mod docs;
mod edit;
mod read;
mod refuse;
mod schema;

use super::*;
use crate::project::Error;

const ID: &str = "0123456789abcdef0123456789abcdef";

/// A manifest with a project section before this text.
fn with_project(text: &str) -> String {
    format!("[project]\nid = \"{ID}\"\n{text}")
}

fn parse(text: &str) -> Manifest {
    match Manifest::parse(&with_project(text)) {
        Ok(manifest) => manifest,
        Err(error) => panic!("{error:?}"),
    }
}

/// The stages of a manifest without a matrix or an expression.
fn plain_stages(manifest: &Manifest) -> BTreeMap<String, StageSpec> {
    let stages = manifest.stages.iter();
    stages
        .map(|(name, stage)| (name.clone(), plain(stage).clone()))
        .collect()
}

fn plain(stage: &Declared) -> &StageSpec {
    match stage {
        Declared::Plain(spec) => spec,
        Declared::Template(written) => panic!("{written:?}"),
    }
}

/// How the edge will print it, nearly.
fn refusal(text: &str) -> String {
    let error = match Manifest::parse(text) {
        Ok(manifest) => panic!("{manifest:?}"),
        Err(error) => error,
    };
    shown(&error)
}

fn shown(error: &Error) -> String {
    let (at, word) = match error {
        Error::Manifest { at, suggestion, .. } => (at.as_deref(), suggestion.as_deref()),
        Error::ManifestTooNew { at, .. } => (Some(&**at), None),
        other => panic!("{other:?}"),
    };
    let mut text = error.to_string();
    if let Some(at) = at.map(Location::excerpt) {
        let carets = "^".repeat(at.width);
        let indent = " ".repeat(at.column - 1);
        text += &format!("\n{}:{}\n{}\n{indent}{carets}", at.file, at.line, at.text);
    }
    if let Some(word) = word {
        text += &format!("\n? {word}");
    }
    text
}
