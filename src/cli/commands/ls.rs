use super::super::exit;
use super::super::render::{self, Align};
use super::super::ui::Tone;
use super::everywhere::Everywhere;
use super::{CliError, Exit, Ui, World};
use crate::ops::ls::{LsEntry, LsKind, LsOptions, ls};

/// List tracked data and outputs as they are recorded
///
/// Reads `esker.lock` and the listings in the store; nothing need be on disk. Without a path:
/// every tracked path and output. With one: what lies in it.
///
/// Examples:
///   esker ls
///   esker ls -R data/raw
///   esker ls --rev v0.1 models
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// A tracked path, or one inside or above tracked paths
    #[arg(value_name = "PATH", conflicts_with = "all_projects")]
    path: Option<String>,
    /// List the record of this commit instead of the lock on disk
    #[arg(long, value_name = "REV")]
    rev: Option<String>,
    /// List every file, not one level
    #[arg(short = 'R', long)]
    recursive: bool,
    #[command(flatten)]
    pub(super) everywhere: Everywhere,
}

pub(crate) fn run(args: &Args, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    let report = ls(
        world,
        &LsOptions {
            path: args.path.clone(),
            rev: args.rev.clone(),
            recursive: args.recursive,
        },
    )?;
    let exit = Exit::when(!report.missing.is_empty(), exit::DATA);
    if ui.json {
        return ui.json(&report).map(|()| exit);
    }
    let has_dirs = report.entries.iter().any(|entry| entry.files.is_some());
    let rows = report.entries.iter().map(|entry| row(entry, has_dirs));
    let rows: Vec<Vec<String>> = rows.collect();
    let align = [Align::Right, Align::Right, Align::Left];
    let columns = if has_dirs { &align[..] } else { &align[1..] };
    for line in render::table(&rows, columns) {
        ui.answer(&line)?;
    }
    if rows.is_empty() && report.missing.is_empty() {
        ui.say("Nothing is tracked here");
    }
    for missing in &report.missing {
        let mark = ui.paint(Tone::Bad, "!");
        ui.say(&format!(
            "{mark} {}  its listing is not in the store",
            missing.path
        ));
    }
    if !report.missing.is_empty() {
        ui.next("esker fetch");
    }
    Ok(exit)
}

fn row(entry: &LsEntry, has_dirs: bool) -> Vec<String> {
    let files = entry.files.map(|files| render::count(files, "file"));
    let slash = if entry.kind == LsKind::Dir { "/" } else { "" };
    let target = entry.target.as_deref();
    let target = target.map(|target| format!(" -> {target}"));
    let mut row = vec![render::size(entry.size)];
    row.extend(has_dirs.then(|| files.unwrap_or_default()));
    row.push(format!(
        "{}{slash}{}",
        entry.path,
        target.unwrap_or_default()
    ));
    row
}
