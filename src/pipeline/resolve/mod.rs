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
use crate::project::manifest::WrittenStage;
use crate::project::{DepSpec, Location, Manifest, StageSpec};
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
    let texts = manifest.stages.values().flat_map(WrittenStage::texts);
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
    let mut stages = BTreeMap::new();
    for (name, written) in &manifest.stages {
        if let Some(spec) = written.plain.as_ref().filter(|_| adds_nothing) {
            stages.insert(name.clone(), Arc::clone(spec));
            continue;
        }
        let cells = match &written.matrix {
            Some(matrix) => matrix::cells(name, matrix)?,
            None => vec![Cell::whole(name)],
        };
        for cell in cells {
            let spec = stage(manifest, files, written, &cell)?;
            stages.insert(cell.name, Arc::new(spec));
        }
    }
    Ok(stages)
}

fn stage(
    manifest: &Manifest,
    files: &BTreeMap<DepPath, Value>,
    written: &WrittenStage,
    cell: &Cell,
) -> Result<StageSpec> {
    let mut filler = Filler::new(manifest, files, written, cell);
    let mut spec =
        written.filled::<Error>(&manifest.env, &mut |text, slot| filler.fill(text, slot))?;
    let known = spec.params.clone();
    let is_new = |used: &crate::project::ParamSpec| {
        !known
            .iter()
            .any(|param| param.key == used.key && param.file == used.file)
    };
    spec.params.extend(filler.used.into_iter().filter(is_new));
    let missing: Vec<&DepSpec> = manifest
        .env_deps
        .iter()
        .filter(|dep| spec.deps.iter().all(|other| other.target != dep.target))
        .collect();
    spec.deps
        .extend(missing.into_iter().cloned().collect::<Vec<_>>());
    Ok(spec)
}
