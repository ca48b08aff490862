//! A circle of stages, told by what ties each to the next.

use super::Stage;
use crate::project::Location;
use crate::project::manifest::DepTarget;

/// Why one stage needs another.
#[derive(Clone, Debug)]
pub struct Tie {
    /// The stage that needs.
    pub stage: String,
    /// The stage that is needed.
    pub needs: String,
    /// The output of the latter that the former reads, if it does not need it by its name.
    pub out: Option<String>,
    /// The dependency, or the item of `needs`, that says so.
    pub at: Location,
}

/// What ties each stage of a circle to the next.
pub(super) fn ties(circle: &[&Stage]) -> Vec<Tie> {
    let pairs = circle.windows(2);
    pairs.map(|pair| tie(pair[0], pair[1])).collect()
}

fn tie(stage: &Stage, needed: &Stage) -> Tie {
    let is_named = |name: &str| {
        let cell = needed.name.strip_prefix(name);
        cell.is_some_and(|cell| cell.is_empty() || cell.starts_with('@'))
    };
    let by_data = stage.spec.deps.iter().find_map(|dep| match &dep.target {
        DepTarget::Stage(name) => is_named(name).then_some((None, &dep.at)),
        DepTarget::Path(path) => {
            let out = needed.outs.iter().find(|out| path.touches(out))?;
            Some((Some(out.to_string()), &dep.at))
        }
    });
    let by_order = || {
        let (_, at) = stage.spec.needs.iter().find(|(name, _)| is_named(name))?;
        Some((None, at))
    };
    let (out, at) = by_data.or_else(by_order).unwrap_or((None, &stage.spec.at));
    Tie {
        stage: stage.name.clone(),
        needs: needed.name.clone(),
        out,
        at: at.clone(),
    }
}
