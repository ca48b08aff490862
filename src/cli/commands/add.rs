use super::super::render::{self, Align};
use super::super::ui::Tone;
use super::{CliError, Exit, Ui, World};
use crate::ops::add::{AddChange, AddOptions, AddReport, Added, add};

/// Track files and directories
///
/// Copies their content into the store (without extra disk space where the file system can
/// share blocks), records them in `esker.lock`, and tells git to ignore them. The files stay
/// where they are. A path inside a tracked directory updates that directory's record.
///
/// Examples:
///   esker add data/raw
///   esker add data/raw/2024.csv models/base.bin
///   esker add 'data/*.csv'    (quoted, esker matches it; each match is tracked by itself)
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Files and directories, or patterns
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
    /// Read every file again, also those that look unchanged
    #[arg(short, long)]
    force: bool,
    /// Say what would be recorded, and write nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

pub(crate) fn run(args: &Args, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    let options = AddOptions {
        paths: args.paths.clone(),
        force: args.force,
        dry_run: args.dry_run,
    };
    let report = add(world, &options)?;
    if ui.json {
        ui.json(&report)?;
        return Ok(Exit::DONE);
    }
    tell(ui, &report.paths);
    if report.dry_run {
        ui.say("Nothing was written: this was a dry run");
        return Ok(Exit::DONE);
    }
    tell_links(ui, &report);
    let changed = report
        .paths
        .iter()
        .any(|path| path.change != AddChange::Unchanged);
    if changed {
        ui.next("git add esker.lock .gitignore");
    }
    Ok(Exit::DONE)
}

/// How the bytes are shared between workspace and store, where that matters to anybody.
fn tell_links(ui: &Ui, report: &AddReport) {
    const MUCH: u64 = 64 << 20;
    if let Some(links) = render::links(&report.links) {
        ui.say(&format!(
            "{links} into the store now: read-only, until `esker unprotect` makes copies"
        ));
        return;
    }
    let stored = report.stored;
    if stored.reflinked >= MUCH {
        let size = render::size(stored.reflinked);
        ui.say(&format!("{size} shared with the store by reflink"));
    }
    if stored.copied >= MUCH {
        let size = render::size(stored.copied);
        ui.say(&format!("{size} copied into the store"));
    }
}

/// One line a path: also for what `commit` adopts.
pub(super) fn tell(ui: &Ui, paths: &[Added]) {
    let rows: Vec<Vec<String>> = paths
        .iter()
        .map(|path| {
            let mark = match path.change {
                AddChange::Added => ui.paint(Tone::Good, "+"),
                AddChange::Modified => ui.paint(Tone::Warning, "~"),
                AddChange::Unchanged => "·".to_owned(),
            };
            let files = render::count(path.files.unwrap_or(1), "file");
            let kept = match path.not_here {
                0 => None,
                n => Some(format!("{n} of them not here")),
            };
            let unchanged = matches!(path.change, AddChange::Unchanged);
            let unchanged = unchanged.then(|| "unchanged".to_owned());
            let notes: Vec<String> = unchanged.into_iter().chain(kept).collect();
            let cells = [
                format!("{mark} {}", path.path),
                files,
                render::size(path.size),
            ];
            let mut row = cells.to_vec();
            row.push(notes.join(", "));
            row
        })
        .collect();
    for line in render::table(&rows, &[Align::Left, Align::Right, Align::Right]) {
        ui.say(&line);
    }
    for path in paths.iter().filter(|path| path.not_ignored) {
        ui.warn(&format!(
            "git cannot be told to ignore {:?}: never `git add` it",
            path.path
        ));
    }
    for path in paths.iter().flat_map(|path| &path.not_for_windows) {
        ui.warn(&format!("Windows cannot hold a file named `{path}`"));
    }
}
