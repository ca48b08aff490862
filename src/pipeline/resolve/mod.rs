//! Makes stages of what `esker.toml` says: a stage for each cell of a matrix, with every
//! `${{ … }}` filled in. Pure: from the manifest and the values of the default params files.
//!
//! What a variable that is only passed on holds is never filled in here, since it must not be
//! recorded: its expression stays in the text, and [`fill_passed`] replaces it when the command
//! is about to start. Nothing else leaves an expression in a text, and no value may bring one.

mod expression;
mod fill;
mod matrix;

#[cfg(test)]
mod tests;

pub use fill::fill_passed;

use std::collections::BTreeMap;
use std::sync::Arc;

use self::expression::{Context, Piece};
use self::fill::Filler;
use self::matrix::Cell;
use super::{Error, Result};
use crate::path::DepPath;
use crate::project::manifest::{Declared, WrittenStage};
use crate::project::{Location, Manifest, ParamSpec, StageSpec};
use crate::value::Value;

/// Something in `esker.toml` that no stage can be made of.
#[derive(Clone, Debug)]
pub struct Unresolved {
    /// The stage, or the cell.
    pub stage: String,
    /// What is wrong.
    pub message: String,
    /// Where.
    pub at: Location,
    /// A word that may have been meant.
    pub suggestion: Option<String>,
}

/// Whether the values of the default params files are needed to make the stages.
pub fn needs_params(manifest: &Manifest) -> bool {
    let templates = manifest.stages.values().filter_map(Declared::template);
    let texts = templates.flat_map(|written| written.texts.all());
    texts.filter(|text| !text.is_plain()).any(|text| {
        let pieces = expression::pieces(&text.text).unwrap_or_default();
        pieces.iter().any(
            |piece| matches!(piece, Piece::Expression(found) if found.context == Context::Params),
        )
    })
}

/// All stages by name, those with a matrix as their cells. `files` holds the default params files
/// that exist.
pub fn resolve(
    manifest: &Manifest,
    files: &BTreeMap<DepPath, Value>,
) -> Result<BTreeMap<String, Arc<StageSpec>>> {
    let adds_nothing = manifest.env.is_empty() && manifest.env_deps.is_empty();
    let mut stages = Vec::with_capacity(manifest.stages.len());
    for (name, declared) in &manifest.stages {
        match declared {
            Declared::Plain(spec) if adds_nothing => stages.push((name.clone(), Arc::clone(spec))),
            Declared::Plain(spec) => {
                let spec = within(manifest, StageSpec::clone(spec));
                stages.push((name.clone(), Arc::new(spec)));
            }
            Declared::Template(written) => {
                let cells = match &written.matrix {
                    Some(matrix) => matrix::cells(name, matrix)?,
                    None => vec![Cell::whole(name)],
                };
                for cell in cells {
                    let spec = filled(manifest, files, written, &cell)?;
                    stages.push((cell.name, Arc::new(within(manifest, spec))));
                }
            }
        }
    }
    Ok(stages.into_iter().collect())
}

fn filled(
    manifest: &Manifest,
    files: &BTreeMap<DepPath, Value>,
    written: &WrittenStage,
    cell: &Cell,
) -> Result<StageSpec> {
    let mut filler = Filler::new(manifest, files, written, cell);
    let mut spec = written.filled::<Error>(&mut |text, slot| filler.fill(text, slot))?;
    let listed = spec.params.len();
    for used in filler.used {
        let is_listed = |param: &ParamSpec| param.key == used.key && param.file == used.file;
        if !spec.params[..listed].iter().any(is_listed) {
            spec.params.push(used);
        }
    }
    Ok(spec)
}

/// The stage with what `[env]` gives to every one.
fn within(manifest: &Manifest, mut spec: StageSpec) -> StageSpec {
    for (name, value) in &manifest.env {
        spec.env
            .entry(name.clone())
            .or_insert_with(|| value.clone());
    }
    let own = spec.deps.len();
    for dep in &manifest.env_deps {
        if spec.deps[..own]
            .iter()
            .all(|other| other.target != dep.target)
        {
            spec.deps.push(dep.clone());
        }
    }
    spec
}
