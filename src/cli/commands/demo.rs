//! `demo`: the whole main job on a small real project, told as a transcript and checked at its end.

mod guide;
mod project;

use std::path::{Path, PathBuf};

use super::super::exit;
use super::{CliError, Exit, Ui, World};
use crate::fs;
use guide::Guide;

/// Watch the whole of esker at work, on a small real project
///
/// Makes a git repository with the Palmer penguins data and four stages of plain Python, and takes
/// it through tracking, reproducing, changing, comparing, pushing, cloning and pulling. Every
/// command is printed before it runs, and every claim is checked at the end. Needs git and
/// Python 3, and no network.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to build it: a directory that is empty or not there yet
    #[arg(default_value = "esker-demo", value_name = "DIR")]
    dir: PathBuf,
}

pub(crate) fn run(args: &Args, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    guide::check_tools()?;
    let dir = empty_dir(&world.cwd.join(&args.dir))?;
    let mut guide = Guide::new(ui, &dir)?;
    walk(&mut guide)?;
    let holds = guide.verdict()?;
    Ok(Exit::when(!holds, exit::NO))
}

fn empty_dir(dir: &Path) -> Result<PathBuf, CliError> {
    let used = dir.exists() && !fs::list_dir(dir).is_ok_and(|names| names.is_empty());
    if used {
        return Err(CliError::demo(
            &format!("`{}` is there already", dir.display()),
            "name another directory: esker demo DIR",
        ));
    }
    fs::create_dir_all(dir).map_err(|error| CliError::from(crate::ops::Error::from(error)))?;
    Ok(dir.canonicalize().unwrap_or_else(|_| dir.to_path_buf()))
}

/// The tour, stop by stop.
fn walk(guide: &mut Guide<'_>) -> Result<(), CliError> {
    track(guide)?;
    reproduce(guide)?;
    change(guide)?;
    go_back(guide)?;
    share(guide)?;
    switch(guide)
}

fn track(guide: &mut Guide<'_>) -> Result<(), CliError> {
    guide.chapter("Track data")?;
    guide.tell("A git repository with 344 penguins in a CSV file, and four Python scripts.")?;
    guide.quietly("git init --quiet --initial-branch main")?;
    guide.write_project()?;
    guide.run("ls data src")?;
    guide.run("esker init")?;
    guide.run("esker add data/penguins.csv")?;
    guide.run("cat esker.lock")
}

fn reproduce(guide: &mut Guide<'_>) -> Result<(), CliError> {
    guide.chapter("Reproduce")?;
    guide.tell("The stages stand in esker.toml: what each runs, reads and writes.")?;
    guide.append_stages()?;
    guide.run("tail -n 16 esker.toml")?;
    guide.run("esker dag")?;
    guide.run("esker repro")?;
    guide.run("git add . && git commit --quiet --message 'First model' && git tag v1")?;
    guide.remember("v1")?;
    guide.tell("Nothing has changed, so nothing runs:")?;
    guide.run_and_claim_actions(
        "esker repro",
        "a second `esker repro` runs nothing",
        &["unchanged"; 4],
    )
}

fn change(guide: &mut Guide<'_>) -> Result<(), CliError> {
    guide.chapter("Change a parameter, and see what it does")?;
    guide.run(&project::set_learning_rate("0.1", "1.0"))?;
    guide.run("esker status")?;
    let status = guide.json("esker status --json")?;
    guide.claim(
        "`esker status` names the parameter with its old and new value",
        status.contains("train.learning_rate 0.1 → 1.0"),
    );
    guide.run("esker why evaluate")?;
    let actions = ["unchanged", "unchanged", "ran", "ran"];
    guide.run_and_claim_actions(
        "esker repro",
        "only what the parameter reaches runs again",
        &actions,
    )?;
    guide.run("esker params diff")?;
    guide.run("esker metrics diff")?;
    let better = guide.json("esker metrics diff --json")?;
    guide.claim(
        "the accuracy got better",
        better.contains("\"better\": true"),
    );
    guide.run("git commit --quiet --all --message 'Learn faster' && git tag v2")?;
    guide.remember("v2")
}

fn go_back(guide: &mut Guide<'_>) -> Result<(), CliError> {
    guide.chapter("Go back: what is known is not computed again")?;
    guide.run(&project::set_learning_rate("1.0", "0.1"))?;
    let actions = ["unchanged", "unchanged", "restored", "restored"];
    guide.run_and_claim_actions(
        "esker repro",
        "going back restores instead of running",
        &actions,
    )?;
    guide.claim_same("restored outputs are those of the first run", "v1")?;
    guide.run("git restore . && esker checkout")?;
    guide.claim_same(
        "`esker checkout` brings the second run's outputs back",
        "v2",
    )
}

fn share(guide: &mut Guide<'_>) -> Result<(), CliError> {
    guide.chapter("Share it")?;
    guide.tell(
        "A remote is a directory or an S3 bucket. This one is a directory beside the project.",
    )?;
    guide.run("esker remote add store ../remote --default")?;
    guide.run("git commit --quiet --all --message 'Add a remote'")?;
    guide.run("esker push")?;
    guide.run("cd .. && git clone --quiet penguins clone")?;
    guide.tell("The clone has git's files and the lock, but no data:")?;
    guide.enter("clone");
    guide.run("esker status")?;
    guide.run("esker pull")?;
    guide.claim_same("after a pull the clone has the same bytes", "v2")?;
    let actions = ["unchanged"; 4];
    guide.run_and_claim_actions("esker repro", "the clone has nothing to run", &actions)
}

fn switch(guide: &mut Guide<'_>) -> Result<(), CliError> {
    guide.chapter("Switch: data follows git")?;
    guide.run("esker install")?;
    guide.run("esker fetch --all-tags")?;
    guide.run("git checkout --quiet v1")?;
    guide.claim_same("`git checkout v1` brings the data of v1 back", "v1")?;
    guide.run("esker metrics show")?;
    guide.run("git checkout --quiet main")?;
    guide.claim_same("`git checkout main` brings the newest data back", "v2")
}
