use super::super::render::{self, Align};
use super::everywhere::Everywhere;
use super::{CliError, Exit, Ui, World};
use crate::ops::stages::{stage_add, stage_list};
use crate::project::manifest::{OutDraft, StageDraft};

/// Show the stages, or write a new one
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: StageCommand,
}

#[derive(Debug, clap::Subcommand)]
enum StageCommand {
    /// List the stages in the order they would run
    List(ListArgs),
    Add(Box<AddArgs>),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    everywhere: Everywhere,
}

/// Write a stage into `esker.toml`
///
/// Whatever it can say, `esker.toml` can be made to say by hand, and more: see `esker-toml.md`.
/// All that stands there stays as it is, with comments and order. Nothing is written if the file
/// would not make sense with it, and nothing runs.
///
/// Paths count from the current directory. The command runs in the directory of `esker.toml`,
/// unless `--wdir` names another. One word is a shell script as it stands; of several, each is
/// quoted where the shell needs it.
///
/// Examples:
///   esker stage add prepare -d src/prepare.py -d data/raw -o data/prepared python src/prepare.py
///   esker stage add train -d src/train.py -d @prepare -p train.lr,train.epochs -o model.pkl \
///     -m eval/metrics.json 'python src/train.py > train.log'
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
struct AddArgs {
    /// Its name: letters, digits, `_` and `-`
    name: String,
    /// The command
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD")]
    cmd: Vec<String>,
    /// What it reads: a file, a directory, a pattern, or `@STAGE` for all outputs of a stage
    #[arg(short, long, value_name = "PATH")]
    deps: Vec<String>,
    /// What it writes
    #[arg(short, long, value_name = "PATH")]
    outs: Vec<String>,
    /// What it writes and git keeps (`store = false`)
    #[arg(short = 'O', long, value_name = "PATH", alias = "outs-no-cache")]
    outs_no_store: Vec<String>,
    /// What it writes, finding what it wrote the last time in its place (`keep = true`)
    #[arg(long, value_name = "PATH", alias = "outs-persist")]
    outs_keep: Vec<String>,
    /// Params it reads: `KEY`, `FILE:KEY` or `FILE:` for all of a file; several keys with commas
    #[arg(short, long, value_name = "PARAM")]
    params: Vec<String>,
    /// A metrics file that it writes: an output, and named in `[metrics]`
    #[arg(short, long, value_name = "FILE")]
    metrics: Vec<String>,
    /// A metrics file that it writes and git keeps
    #[arg(short = 'M', long, value_name = "FILE", alias = "metrics-no-cache")]
    metrics_no_store: Vec<String>,
    /// The directory it runs in
    #[arg(short, long, value_name = "DIR")]
    wdir: Option<String>,
    /// A variable of its environment, recorded
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,
    /// A stage that must come before it, although it reads nothing of that
    #[arg(long, value_name = "STAGE")]
    needs: Vec<String>,
    /// One line for people
    #[arg(long, value_name = "TEXT")]
    desc: Option<String>,
    /// Run it every time
    #[arg(long, alias = "always-changed")]
    always: bool,
    /// Replace all of a stage that has this name
    #[arg(short, long)]
    force: bool,
}

impl Args {
    /// The flag of what can act on every project.
    pub(super) fn everywhere(&self) -> Option<&Everywhere> {
        match &self.command {
            StageCommand::List(args) => Some(&args.everywhere),
            StageCommand::Add(_) => None,
        }
    }
}

pub(crate) fn run(args: &Args, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    match &args.command {
        StageCommand::List(_) => list(ui, world),
        StageCommand::Add(args) => add(args, ui, world),
    }
}

fn list(ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    let report = stage_list(world)?;
    if ui.json {
        ui.json(&report)?;
        return Ok(Exit::DONE);
    }
    let rows: Vec<Vec<String>> = report
        .stages
        .into_iter()
        .map(|stage| {
            let what = stage.desc.unwrap_or_else(|| stage.cmd.join(" && "));
            let frozen = if stage.frozen { " (frozen)" } else { "" };
            vec![stage.name, format!("{what}{frozen}")]
        })
        .collect();
    for line in render::table(&rows, &[Align::Left, Align::Left]) {
        ui.answer(&line)?;
    }
    Ok(Exit::DONE)
}

fn add(args: &AddArgs, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    let outs = drafts(&args.outs, true, false)
        .chain(drafts(&args.outs_no_store, false, false))
        .chain(drafts(&args.outs_keep, true, true));
    let draft = StageDraft {
        desc: args.desc.clone(),
        cmd: script(&args.cmd),
        wdir: args.wdir.clone(),
        deps: args.deps.clone(),
        params: args.params.clone(),
        outs: outs.collect(),
        env: args.env.iter().cloned().collect(),
        needs: args.needs.clone(),
        always: args.always,
    };
    let metrics = drafts(&args.metrics, true, false);
    let metrics: Vec<OutDraft> = metrics
        .chain(drafts(&args.metrics_no_store, false, false))
        .collect();
    let added = stage_add(world, &args.name, &draft, &metrics, args.force)?;
    if ui.json {
        ui.json(&added)?;
        return Ok(Exit::DONE);
    }
    let name = &added.name;
    ui.say(&match added.replaced {
        true => format!("Replaced `[stage.{name}]` in esker.toml"),
        false => format!("Added `[stage.{name}]` to esker.toml"),
    });
    if !added.metrics.is_empty() {
        let files = added.metrics.join(", ");
        ui.say(&format!("Added to the metrics files: {files}"));
    }
    ui.next(&format!("esker repro {name}"));
    Ok(Exit::DONE)
}

fn drafts(paths: &[String], store: bool, keep: bool) -> impl Iterator<Item = OutDraft> {
    paths.iter().map(move |path| OutDraft {
        path: path.clone(),
        keep,
        store,
    })
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("there is no `=`")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// The words of a command as one script: a single one as it stands, several as the shell would
/// read them back.
fn script(words: &[String]) -> String {
    match words {
        [script] => script.clone(),
        words => {
            let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
            words.join(" ")
        }
    }
}

fn quoted(word: &str) -> String {
    // `${{ … }}` is filled in before the shell reads it.
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:,@%+".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}
