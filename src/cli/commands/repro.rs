use super::super::exit;
use super::super::render;
use super::super::ui::Tone;
use super::everywhere::Everywhere;
use super::{CliError, Exit, Ui, World};
use crate::ops::metrics::MetricChange;
use crate::ops::repro::{
    Action, Failure, ReproOptions, ReproReport, StageRun, Warning, WarningKind, repro,
};

/// Run the stages that are stale
///
/// Looks at every stage in order. A stage whose command, inputs, params and outputs are as
/// recorded is left alone. One that ran before with the same inputs has its outputs restored.
/// Any other runs; old outputs are moved aside first and put back if it fails.
///
/// Examples:
///   esker repro
///   esker repro train -j 4
///   esker repro 'models/*.pkl' --single
///   esker repro --dry-run
///   esker repro --set train.lr=0.01
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Stages, outputs, paths inside outputs, or patterns; none: everything
    #[arg(value_name = "TARGET", conflicts_with = "all_projects")]
    targets: Vec<String>,
    /// Only the targets, not what they need
    #[arg(short, long, alias = "single-item", requires = "targets")]
    single: bool,
    /// The targets and all that needs them, not what they need
    #[arg(long, requires = "targets", conflicts_with = "single")]
    downstream: bool,
    /// Run so many stages at once
    #[arg(short, long, value_name = "N")]
    jobs: Option<usize>,
    /// Give a param another value first, in its file: `train.lr=0.1`, `conf/a.yaml:lr=0.1`; `+key=…`
    /// adds one
    #[arg(
        short = 'S',
        long,
        value_name = "KEY=VALUE",
        conflicts_with = "dry_run"
    )]
    set: Vec<String>,
    /// Only say what would run, and why
    #[arg(short = 'n', long, alias = "dry")]
    dry_run: bool,
    /// Run stages even if they are fresh
    #[arg(short, long)]
    force: bool,
    /// After a failure, go on with what does not need the failed stage
    #[arg(short, long)]
    keep_going: bool,
    /// Neither restore from the run cache nor add to it
    #[arg(long)]
    no_run_cache: bool,
    /// Take recorded data that is not in the workspace for unchanged; a stage that runs gets what
    /// it reads from the store
    #[arg(long)]
    allow_missing: bool,
    /// As --allow-missing, and fetch from the remote what the stages that run read; what it does
    /// not have is made again by the stages that write it
    #[arg(long)]
    pull: bool,
    #[command(flatten)]
    pub(super) everywhere: Everywhere,
}

pub(crate) fn run(args: &Args, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    let report = repro(
        world,
        &ReproOptions {
            targets: args.targets.clone(),
            single: args.single,
            downstream: args.downstream,
            jobs: args.jobs,
            set: args.set.clone(),
            dry_run: args.dry_run,
            force: args.force,
            keep_going: args.keep_going,
            no_run_cache: args.no_run_cache,
            allow_missing: args.allow_missing,
            pull: args.pull,
        },
    )?;
    if ui.json {
        ui.json(&report)?;
    } else if args.dry_run {
        show_plan(ui, &report)?;
    } else {
        tell(ui, &report);
    }
    let exit = Exit::when(report.failed(), exit::NO);
    Ok(if report.interrupted {
        Exit(exit::INTERRUPTED)
    } else {
        exit
    })
}

fn show_plan(ui: &Ui, report: &ReproReport) -> Result<(), CliError> {
    let n = of(report, Action::Ran).len();
    ui.answer(&format!(
        "{n} of {} would run",
        render::count(report.stages.len() as u64, "stage")
    ))?;
    for stage in of(report, Action::Ran) {
        let reasons: Vec<&str> = stage
            .reasons
            .iter()
            .map(|reason| reason.text.as_str())
            .collect();
        ui.answer(&format!("  ~ {:<11} {}", stage.name, reasons.join(", ")))?;
    }
    Ok(())
}

fn of(report: &ReproReport, action: Action) -> Vec<&StageRun> {
    report
        .stages
        .iter()
        .filter(|stage| stage.action == action)
        .collect()
}

fn tell(ui: &Ui, report: &ReproReport) {
    for name in &report.dropped {
        ui.say(&format!(
            "- {name}  no longer in `esker.toml`: dropped from the lock"
        ));
    }
    for stage in of(report, Action::Failed) {
        tell_failure(ui, stage);
    }
    for param in &report.secrets {
        let head = ui.paint(Tone::Bad, "warning");
        ui.say(&format!(
            "{head}: `{param}` looks like a secret: only its hash is recorded. Pass it on by `[env] pass` instead"
        ));
    }
    for warning in &report.warnings {
        ui.warn(&mistake(warning));
    }
    ui.say(&closing(report));
    if report.recorded() && !report.failed() && !report.interrupted {
        ui.next(&commit_line(&report.to_commit));
    }
}

fn mistake(warning: &Warning) -> String {
    let path = &warning.path;
    let stage = warning.stage.as_deref().unwrap_or_default();
    match warning.kind {
        WarningKind::UndeclaredScript => format!(
            "`{stage}` names `{path}` in its `cmd`, but not in its `deps`: a change of it reruns nothing"
        ),
        WarningKind::OutInGit => format!(
            "git tracks `{path}`, an output of `{stage}`: `git rm -r --cached {path}`, or set `store = false`"
        ),
        WarningKind::DepIgnored => format!(
            "`{stage}` reads `{path}`, which git ignores and nothing tracks: no clone will have it (`esker add {path}`)"
        ),
        WarningKind::Stray => {
            format!("`{path}` appeared while stages ran, and belongs to none: is it an output?")
        }
    }
}

/// How to commit what belongs together; a long list is git's to gather.
fn commit_line(files: &[String]) -> String {
    const SHOWN: usize = 6;
    match files.len() {
        0 => "git commit".to_owned(),
        1..=SHOWN => format!("git add {} && git commit", files.join(" ")),
        _ => "git add --all && git commit".to_owned(),
    }
}

fn tell_failure(ui: &Ui, stage: &StageRun) {
    let Some(failure) = &stage.failure else {
        return;
    };
    let (what, tail) = describe(failure);
    let head = ui.paint(Tone::Bad, "error");
    let safe = "nothing was recorded, and its outputs are as before";
    ui.say(&format!("\n{head}: `{}` {what}; {safe}", stage.name));
    for line in tail {
        ui.say(&format!("  │ {line}"));
    }
    if let Some(leavings) = &stage.leavings {
        ui.say(&format!("  what it had written lies in {leavings}"));
    }
    ui.say("");
}

fn describe(failure: &Failure) -> (String, &[String]) {
    let list = |items: Vec<String>| items.join(", ");
    match failure {
        Failure::Exit { code, tail } => (format!("failed with exit code {code}"), tail),
        Failure::Signal { signal, tail } => (format!("was killed by signal {signal}"), tail),
        Failure::TimedOut { limit, tail } => {
            let limit = render::duration(*limit);
            (
                format!("ran longer than its `timeout` of {limit}, and was ended"),
                tail,
            )
        }
        Failure::Start { message } => (format!("could not be started: {message}"), &[]),
        Failure::NotWritten { outs } => {
            let outs = outs.iter().map(|path| format!("`{path}`")).collect();
            (format!("did not write {}", list(outs)), &[])
        }
        Failure::InputsChanged { deps } => {
            let deps = deps.iter().map(|path| format!("`{path}`")).collect();
            (
                format!("read {}, which changed while it ran", list(deps)),
                &[],
            )
        }
        Failure::Other { message } => (format!("cannot run: {message}"), &[]),
    }
}

fn closing(report: &ReproReport) -> String {
    let (ran, restored) = (of(report, Action::Ran), of(report, Action::Restored));
    let unchanged = of(report, Action::Unchanged).len() as u64;
    let seconds =
        |stages: &[&StageRun]| render::duration(stages.iter().map(|stage| stage.seconds).sum());
    let mut parts = Vec::new();
    if !ran.is_empty() {
        parts.push(format!(
            "ran {} in {}",
            render::count(ran.len() as u64, "stage"),
            seconds(&ran)
        ));
    }
    if !restored.is_empty() {
        let saved = seconds(&restored);
        parts.push(format!(
            "restored {} ({saved} saved)",
            render::count(restored.len() as u64, "stage")
        ));
    }
    if unchanged > 0 {
        parts.push(format!("{unchanged} unchanged"));
    }
    for (action, word) in [(Action::Failed, "failed"), (Action::Skipped, "not tried")] {
        match of(report, action).len() {
            0 => {}
            n => parts.push(format!("{n} {word}")),
        }
    }
    if parts.is_empty() {
        return "No stages to run: write some into esker.toml".to_owned();
    }
    let mut text = parts.join(", ");
    text[..1].make_ascii_uppercase();
    if ran.is_empty() && restored.is_empty() && !report.failed() {
        return format!("Nothing to do: {text}");
    }
    let metrics: Vec<String> = report.metrics.iter().map(metric).collect();
    if !metrics.is_empty() && !report.failed() {
        text.push_str(&format!(": {}", metrics.join(", ")));
    }
    text
}

fn metric(change: &MetricChange) -> String {
    let mut text = format!("{} {}", change.key, render::metric(change.new.as_ref()));
    if let Some(delta) = change.delta.filter(|delta| *delta != 0.0) {
        let worse = if change.better == Some(false) {
            ", worse"
        } else {
            ""
        };
        text.push_str(&format!(" ({delta:+.4}{worse})"));
    }
    text
}
