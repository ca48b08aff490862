use super::super::render::{self, Align};
use super::everywhere::Everywhere;
use super::{CliError, Exit, Ui, World};
use crate::ops::du::{Sizes, du};

/// Show how much tracked data and outputs take
///
/// For each tracked path: the bytes that are recorded, that lie on disk, and that lie in the
/// store. Files with equal content lie in the store once, and count once in the total.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Tracked paths, or paths above them; none: all
    #[arg(value_name = "PATH", conflicts_with = "all_projects")]
    paths: Vec<String>,
    #[command(flatten)]
    pub(super) everywhere: Everywhere,
}

pub(crate) fn run(args: &Args, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    let report = du(world, &args.paths)?;
    if ui.json {
        return ui.json(&report).map(|()| Exit::DONE);
    }
    if report.paths.is_empty() {
        ui.say("Nothing is tracked here");
        return Ok(Exit::DONE);
    }
    let head = ["recorded", "on disk", "in store", ""];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for path in &report.paths {
        let note = if path.incomplete {
            "  (not all in the store)"
        } else {
            ""
        };
        rows.push(row(path.sizes, format!("{}{note}", path.path)));
    }
    rows.push(row(report.total, "total".to_owned()));
    let align = [Align::Right, Align::Right, Align::Right];
    for line in render::table(&rows, &align) {
        ui.answer(&line)?;
    }
    Ok(Exit::DONE)
}

fn row(sizes: Sizes, name: String) -> Vec<String> {
    let Sizes {
        recorded,
        disk,
        store,
    } = sizes;
    let mut row: Vec<String> = [recorded, disk, store].map(render::size).to_vec();
    row.push(name);
    row
}
