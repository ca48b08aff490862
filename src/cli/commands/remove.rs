use super::super::render::{self, Align};
use super::super::ui::Tone;
use super::{CliError, Exit, Ui, World};
use crate::ops::remove::{OnDisk, RemoveOptions, RemoveReport, remove};

/// Stop tracking files and directories
///
/// Drops them from `esker.lock` and from the list that git ignores. The data stays on disk,
/// and in the store for older commits. A path inside a tracked directory is dropped from that
/// directory's record.
///
/// Examples:
///   esker remove data/raw
///   esker remove --delete data/raw    (from disk too, if the store holds every byte of it)
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Tracked files and directories, or paths inside them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
    /// Also delete the data, after proving that the store holds every byte of it as it is on disk
    #[arg(long)]
    delete: bool,
}

pub(crate) fn run(args: &Args, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    let options = RemoveOptions {
        paths: args.paths.clone(),
        delete: args.delete,
    };
    let report = remove(world, &options)?;
    if ui.json {
        ui.json(&report)?;
    } else {
        tell(ui, &report);
    }
    Ok(Exit::DONE)
}

fn tell(ui: &Ui, report: &RemoveReport) {
    let mark = ui.paint(Tone::Warning, "-");
    let rows: Vec<Vec<String>> = report
        .paths
        .iter()
        .map(|removed| {
            let disk = match removed.disk {
                OnDisk::Kept => "kept on disk",
                OnDisk::Deleted => "deleted from disk",
                OnDisk::PartlyDeleted => "deleted from disk, but for files that were not tracked",
                OnDisk::Absent => "was not on disk",
            };
            vec![
                format!("{mark} {}", removed.path),
                render::count(removed.files.unwrap_or(1), "file"),
                render::size(removed.size),
                disk.to_owned(),
            ]
        })
        .collect();
    for line in render::table(&rows, &[Align::Left, Align::Right, Align::Right]) {
        ui.say(&line);
    }
    for removed in report.paths.iter().filter(|path| !path.stages.is_empty()) {
        let stages = removed.stages.join(", ");
        ui.warn(&format!(
            "esker.toml still names `{}`: {stages}",
            removed.path
        ));
    }
    ui.next("git add esker.lock .gitignore");
}
