use super::super::render::{self, Align};
use super::{CliError, Exit, Ui, World};
use crate::ops::undo::{self, ActReport, ParkReport, UndoReport, WhichAct};

/// List what was moved out of the way, or put it back
///
/// `checkout --force`, and runs that failed, move what is saved nowhere into the park, and it is
/// kept there for 14 days. Without arguments this lists it, newest first. What stands in the way
/// of an undo is moved into the park in turn: every undo can be undone.
///
/// Examples:
///   esker undo
///   esker undo --last
///   esker undo 2 data/labels.csv
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// What to put back: its number in the list, then paths; none: all of it
    #[arg(value_name = "N [PATH]")]
    words: Vec<String>,
    /// Put back the newest
    #[arg(long, conflicts_with = "expire")]
    last: bool,
    /// Remove what is older than 14 days now
    #[arg(long, conflicts_with = "words")]
    expire: bool,
}

pub(crate) fn run(args: &Args, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    if args.expire {
        return expire(ui, world);
    }
    let (which, paths) = match (&args.words[..], args.last) {
        (paths, true) => (WhichAct::Last, paths),
        ([], false) => return list(ui, &undo::parked(world)?),
        ([name, paths @ ..], false) => (WhichAct::Named(name.clone()), paths),
    };
    let report = undo::undo(world, &which, paths)?;
    match ui.json {
        true => ui.json(&report)?,
        false => tell(ui, &report),
    }
    Ok(Exit::DONE)
}

fn expire(ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    let report = undo::expire(world)?;
    if ui.json {
        ui.json(&report)?;
    } else if report.acts == 0 {
        ui.say(&format!(
            "Nothing in the park is older than {} days",
            undo::KEPT_DAYS
        ));
    } else {
        let acts = render::count(report.acts as u64, "act");
        ui.say(&format!(
            "Removed {acts} for good, {}",
            render::size(report.size)
        ));
    }
    Ok(Exit::DONE)
}

fn list(ui: &Ui, report: &ParkReport) -> Result<Exit, CliError> {
    if ui.json {
        return ui.json(report).map(|()| Exit::DONE);
    }
    if report.acts.is_empty() {
        ui.say("Nothing is parked");
        return Ok(Exit::DONE);
    }
    let rows: Vec<Vec<String>> = report.acts.iter().map(row).collect();
    let align = [
        Align::Right,
        Align::Left,
        Align::Left,
        Align::Right,
        Align::Right,
    ];
    for line in render::table(&rows, &align) {
        ui.answer(&line)?;
    }
    ui.next("esker undo N    (or `esker undo --last`)");
    Ok(Exit::DONE)
}

fn row(act: &ActReport) -> Vec<String> {
    const SHOWN: usize = 3;
    let names = act
        .paths
        .iter()
        .take(SHOWN)
        .map(|parked| parked.path.as_str());
    let mut names = names.collect::<Vec<_>>().join(", ");
    if act.paths.len() > SHOWN {
        names.push_str(&format!(" and {} more", act.paths.len() - SHOWN));
    }
    vec![
        act.number.to_string(),
        format!("{} ago", ago(act.seconds_ago)),
        act.verb.clone(),
        render::count(act.paths.len() as u64, "path"),
        render::size(act.size),
        names,
    ]
}

fn ago(seconds: u64) -> String {
    match seconds / 86_400 {
        0 => {
            #[expect(clippy::cast_precision_loss, reason = "less than a day")]
            let seconds = seconds as f64;
            render::duration(seconds)
        }
        days => render::count(days, "day"),
    }
}

fn tell(ui: &Ui, report: &UndoReport) {
    const SHOWN: usize = 10;
    let restored = render::count(report.restored.len() as u64, "path");
    ui.say(&format!(
        "Put back {restored} that `{}` had moved away",
        report.verb
    ));
    for path in report.restored.iter().take(SHOWN) {
        ui.say(&format!("  + {path}"));
    }
    if report.restored.len() > SHOWN {
        ui.say(&format!("  + … and {} more", report.restored.len() - SHOWN));
    }
    if !report.parked.is_empty() {
        let parked = render::count(report.parked.len() as u64, "path");
        ui.say(&format!(
            "Moved {parked} out of the way; to have it back: esker undo --last"
        ));
    }
}
