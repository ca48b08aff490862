//! What each error is called, how the program ends with it, and what to do about it.

use std::path::Path;

use super::super::exit::{BUG, CANNOT, DATA, INTERRUPTED, NO};
use super::super::render;
use super::{CliError, remote};
use crate::hash::hex;
use crate::ops::Error;
use crate::path::RelPath;
use crate::project::Excerpt;
use crate::tree::Entry;
use crate::workspace::Refusal;
use crate::{git, metrics, path, pipeline, project, store, workspace};

/// Names an error and says what to do.
pub(super) fn advise(error: &Error) -> CliError {
    let text = error.to_string();
    match error {
        Error::Fs(_) => CliError::new("E0901", CANNOT, text),
        Error::Path(error) => path_error(error, text),
        Error::Tree(_) => CliError::new("E0508", DATA, text),
        Error::Project(error) => project_error(error, text),
        Error::Store(error) => store_error(error, text),
        Error::Git(error) => git_error(error, text),
        Error::Metrics(error) => metrics_error(error, text),
        Error::Workspace(error) => workspace_error(error, text),
        Error::Pipeline(error) => pipeline_error(error, text),
        Error::Remote(error) => remote::remote_error(error, text),
        Error::StageNotWritten(error) => {
            advise(error).detail("`esker.toml` would say so; nothing was written")
        }
        Error::Interrupted => CliError::new("E0904", INTERRUPTED, text)
            .detail("what was finished is kept; run it again to go on"),
        Error::CloneUnseen { .. } | Error::ListingsLost(_) => collecting_error(error, text),
        _ => own_error(error, text),
    }
}

fn own_error(error: &Error, text: String) -> CliError {
    match error {
        Error::AlreadyAProject(_) => {
            CliError::new("E0103", CANNOT, text).hint("see what it tracks: esker status")
        }
        Error::SameProject { second, .. } => CliError::new("E0108", CANNOT, text).hint(format!(
            "if one is a copy of the other, write another id into {}: {}",
            manifest_of(second),
            fresh_id()
        )),
        Error::LockIgnored => CliError::new("E0104", CANNOT, text)
            .hint("find the rule with `git check-ignore -v esker.lock`, and remove it"),
        Error::NoRemote
        | Error::NoDefaultRemote(_)
        | Error::UnknownRemote { .. }
        | Error::RemoteExists { .. }
        | Error::RemoteElsewhere { .. }
        | Error::RemoteWithoutUrl { .. }
        | Error::Untrusted { .. }
        | Error::RemoteKey(_)
        | Error::RemoteName(_) => remote::configuration_error(error, text),
        Error::ForeignHash { .. } => CliError::new("E0507", CANNOT, text),
        Error::MalformedSet { .. } => CliError::new("E0215", CANNOT, text)
            .detail("nothing was changed")
            .hint("write `--set KEY=VALUE`, or `--set FILE:KEY=VALUE`"),
        Error::UnknownParam {
            suggestion,
            having,
            typed,
            ..
        } => unknown_param(text, typed, having.first(), suggestion.as_deref()),
        Error::StageExists(name) => CliError::new("E0216", CANNOT, text)
            .detail("nothing was changed")
            .hint(format!(
                "change `[stage.{name}]` in esker.toml, or replace all of it with `--force`"
            )),
        Error::InsideStage { .. } => CliError::new("E0217", CANNOT, text)
            .detail("nothing was changed: it would wait for the stage, and the stage for it")
            .hint(
                "name in `outs` what the stage writes, or call esker before or after `esker repro`",
            ),
        Error::NothingToCommit { stage, .. } => CliError::new("E0211", CANNOT, text)
            .hint(format!("run it instead: esker repro {stage}")),
        Error::DataChanged(paths) => CliError::new("E0308", NO, text)
            .details(paths.iter().map(|path| format!("~ {path}")))
            .detail("nothing has run")
            .hint(format!(
                "record it with `esker add {}`, or go back with `esker checkout`",
                first(paths)
            )),
        Error::DataAbsent(paths) => CliError::new("E0309", DATA, text)
            .details(paths.iter().map(|path| format!("- {path}")))
            .detail("nothing has run")
            .hint("esker checkout    (or `esker pull`, if this clone never had it)"),
        _ => tracking_error(error, text),
    }
}

fn unknown_param(
    text: String,
    typed: &str,
    having: Option<&impl std::fmt::Display>,
    suggestion: Option<&str>,
) -> CliError {
    let error = CliError::new("E0209", CANNOT, text).detail("nothing was changed");
    match having {
        Some(file) => error.hint(format!("name the file: --set {file}:{typed}")),
        None => {
            let key = typed.trim_start_matches('+');
            error
                .hint(format!("to add it: --set +{key}"))
                .suggest(suggestion)
        }
    }
}

fn manifest_of(project: &str) -> String {
    match project {
        "." => "`esker.toml`".to_owned(),
        project => format!("`{project}/esker.toml`"),
    }
}

fn fresh_id() -> String {
    hex(&crate::fs::random_bytes::<16>())
}

fn tracking_error(error: &Error, text: String) -> CliError {
    match error {
        Error::Refused(refusals) => {
            let path = first_refused(refusals);
            refused("E0301", refusals, text)
                .hint(format!("keep it with `esker add {path}` (a stage's output: `esker commit`), or move it out of the way with `--force`"))
        }
        Error::NotThere { suggestion, .. } => {
            CliError::new("E0302", CANNOT, text).suggest(suggestion.as_deref())
        }
        Error::TrackedByGit { path, files } => CliError::new("E0303", CANNOT, text)
            .detail(format!(
                "{} of it in git's index",
                render::count(*files as u64, "file")
            ))
            .hint(format!(
                "hand it over to esker: git rm -r --cached {path} && esker add {path}"
            )),
        Error::StageOutput { stage, .. } => CliError::new("E0304", CANNOT, text).hint(format!(
            "`esker repro {stage}` records it, or `esker commit {stage}` as it is"
        )),
        Error::Ignored { rule, .. } => CliError::new("E0317", CANNOT, text).hint(format!(
            "remove that line, or put `!` exceptions below it in {}",
            rule.file
        )),
        Error::HoldsTracked { tracked, path } => CliError::new("E0305", CANNOT, text).hint(
            format!("track its parts apart, or first: esker remove {tracked} && esker add {path}"),
        ),
        Error::NotTracked { suggestion, .. } => CliError::new("E0307", CANNOT, text)
            .hint("esker status")
            .suggest(suggestion.as_deref()),
        Error::PartSelected(path) => CliError::new("E0408", CANNOT, text).hint(format!(
            "--exclude /{path}    (or let the patterns take all of it)"
        )),
        Error::NothingMatches(_) => CliError::new("E0302", CANNOT, text)
            .hint("`*` stays inside a directory, `**` crosses them; see what is there with `ls`"),
        Error::WholeProject(_) => {
            CliError::new("E0306", CANNOT, text).hint("name files or directories in it")
        }
        Error::OwnFile(_) => CliError::new("E0306", CANNOT, text).hint("leave it to git"),
        _ => moving_error(error, text),
    }
}

/// What `gc` refuses.
fn collecting_error(error: &Error, text: String) -> CliError {
    match error {
        Error::CloneUnseen { clone, source } => unseen(clone, source, text),
        _ => CliError::new("E0512", DATA, text)
            .detail("which files they name is not known; nothing was removed")
            .hint(
                "bring them back: esker fsck --repair, or esker fetch --all-commits; \
                 to go on without what only they name: esker gc --allow-missing",
            ),
    }
}

/// A clone that a collection must ask, and cannot.
fn unseen(clone: &Path, source: &Error, text: String) -> CliError {
    let error = CliError::new("E0513", CANNOT, text)
        .detail("what it needs is not known; nothing was removed")
        .detail(source.to_string());
    let clone = clone.display();
    match source {
        Error::Git(git::Error::Owner { .. }) => error.hint(format!(
            "if you trust it: git config --global --add safe.directory {clone}"
        )),
        _ => error.hint(format!(
            "let somebody collect who may read it; if nobody uses it any more: \
             esker gc --forget {clone}"
        )),
    }
}

/// What `remove`, `mv` and `undo` refuse.
fn moving_error(error: &Error, text: String) -> CliError {
    match error {
        Error::NotSaved(refusals) => {
            let path = first_refused(refusals);
            refused("E0318", refusals, text).hint(format!(
                "save it first with `esker add {path}`, or keep it on disk: leave `--delete` out"
            ))
        }
        Error::WrittenByStage { stage, .. } => CliError::new("E0304", CANNOT, text)
            .hint(format!("change `outs` of `[stage.{stage}]` in esker.toml")),
        Error::TargetExists {
            tracked: true,
            path,
        } => CliError::new("E0319", NO, text)
            .detail("it is tracked; nothing was touched")
            .hint(format!("take another name, or first: esker remove {path}")),
        Error::TargetExists { .. } => CliError::new("E0319", NO, text)
            .detail("nothing was touched")
            .hint("take another name, or move it out of the way"),
        Error::MoveIntoItself { .. } => CliError::new("E0320", CANNOT, text)
            .detail("the new name is the old one, or lies inside it"),
        Error::NoSuchAct(_) | Error::NotParked(_) => {
            CliError::new("E0321", CANNOT, text).hint("esker undo    (lists it)")
        }
        Error::NothingParked => CliError::new("E0321", CANNOT, text),
        _ => CliError::new("E0900", CANNOT, text),
    }
}

fn first(paths: &[RelPath]) -> &str {
    paths.first().map(RelPath::as_str).unwrap_or_default()
}

fn first_refused(refusals: &[Refusal]) -> &str {
    let first = refusals.first();
    first
        .map(|refusal| refusal.path.as_str())
        .unwrap_or_default()
}

fn refused(code: &'static str, refusals: &[Refusal], text: String) -> CliError {
    const SHOWN: usize = 10;
    let line = |refusal: &Refusal| {
        let size = match &refusal.actual {
            Entry::File { size, .. } => render::size(*size),
            Entry::Symlink { .. } => "link".to_owned(),
            Entry::EmptyDir => "empty directory".to_owned(),
        };
        format!("~ {}   {size}", refusal.path)
    };
    let more = refusals.len().saturating_sub(SHOWN);
    let more = (more > 0).then(|| format!("… and {more} more"));
    CliError::new(code, NO, text)
        .details(refusals.iter().take(SHOWN).map(line))
        .details(more)
        .detail("nothing was touched")
}

fn path_error(error: &path::Error, text: String) -> CliError {
    match error {
        path::Error::Outside(_) | path::Error::Absolute(_) => CliError::new("E0310", CANNOT, text)
            .hint("esker tracks what lies below `esker.toml`; see where that is: esker root"),
        _ => CliError::new("E0314", CANNOT, text),
    }
}

fn project_error(error: &project::Error, text: String) -> CliError {
    match error {
        project::Error::Fs(_) => CliError::new("E0901", CANNOT, text),
        project::Error::NoProject => CliError::new("E0102", CANNOT, text).hint("esker init"),
        project::Error::Manifest {
            at,
            suggestion,
            file,
            ..
        } => {
            let error = CliError::new("E0201", CANNOT, text).suggest(suggestion.as_deref());
            match at {
                Some(at) => error.at(at, ""),
                None => error.detail(file.clone()),
            }
        }
        project::Error::ManifestTooNew { at, .. } => CliError::new("E0202", CANNOT, text)
            .at(at, "")
            .hint("upgrade esker"),
        project::Error::LockDamaged { at, .. } => {
            let error = CliError::new("E0502", DATA, text)
                .hint("take the last committed one: git restore esker.lock");
            match at {
                Some(at) => error.at(at, ""),
                None => error,
            }
        }
        project::Error::LockConflict { line } => CliError::new("E0503", NO, text)
            .detail(format!("esker.lock:{line}"))
            .hint("esker lock --resolve --ours    (or --theirs)"),
        project::Error::LockTooNew { .. } => {
            CliError::new("E0504", CANNOT, text).hint("upgrade esker")
        }
    }
}

pub(super) fn store_error(error: &store::Error, text: String) -> CliError {
    match error {
        store::Error::Fs(_) => CliError::new("E0901", CANNOT, text),
        store::Error::Missing(_) => CliError::new("E0505", DATA, text).hint("esker pull"),
        store::Error::Corrupt { .. } => CliError::new("E0501", DATA, text)
            .detail("it was moved to the store's quarantine")
            .hint("`esker pull` fetches a good copy, if a remote has one"),
        store::Error::Mismatch { .. } => {
            CliError::new("E0506", DATA, text).detail("nothing was kept of it")
        }
        store::Error::Changed(_) => {
            CliError::new("E0313", NO, text).hint("run it again when nothing writes there")
        }
        store::Error::Unwritable { .. } => CliError::new("E0510", CANNOT, text)
            .hint("esker doctor    (says what is wrong with its owners and modes)"),
        store::Error::NoDirectory(root) => CliError::new("E0511", CANNOT, text)
            .detail("nothing was changed")
            .hint(format!(
                "mount its disk, or make it: mkdir -p {}",
                root.display()
            )),
        store::Error::Interrupted => advise(&Error::Interrupted),
        store::Error::NotAFile(_) => CliError::new("E0311", CANNOT, text),
        store::Error::NotKept(_) => CliError::new("E0970", BUG, text),
    }
}

fn git_error(error: &git::Error, text: String) -> CliError {
    match error {
        git::Error::NoRepository(_) => CliError::new("E0101", CANNOT, text).hint("git init"),
        git::Error::UnknownRev(_) => {
            CliError::new("E0105", CANNOT, text).hint("git log --oneline --all")
        }
        git::Error::Owner { dir, .. } => CliError::new("E0106", CANNOT, text).hint(format!(
            "if you trust it: git config --global --add safe.directory {}",
            dir.display()
        )),
        git::Error::HookTaken { .. } => CliError::new("E0107", CANNOT, text)
            .hint("move one of the two away, then install again"),
        git::Error::Fs(_) => CliError::new("E0901", CANNOT, text),
        git::Error::TooLarge { .. } | git::Error::Git { .. } => {
            CliError::new("E0903", CANNOT, text)
        }
    }
}

fn metrics_error(error: &metrics::Error, text: String) -> CliError {
    match error {
        metrics::Error::Fs(_) => CliError::new("E0901", CANNOT, text),
        metrics::Error::UnknownFormat(_) => {
            CliError::new("E0210", CANNOT, text).hint("name it `.yaml`, `.toml` or `.json`")
        }
        metrics::Error::NotChanged { .. } => {
            CliError::new("E0215", CANNOT, text).detail("nothing was changed")
        }
        metrics::Error::Syntax { file, at, .. } => {
            let error = CliError::new("E0210", CANNOT, text);
            match at {
                Some(at) => error.shows(&excerpt(file, at), ""),
                None => error,
            }
        }
    }
}

fn excerpt(file: &str, at: &metrics::Place) -> Excerpt {
    Excerpt {
        file: file.to_owned(),
        line: at.line,
        column: at.column,
        width: 1,
        text: at.text.clone(),
    }
}

fn workspace_error(error: &workspace::Error, text: String) -> CliError {
    match error {
        workspace::Error::Fs(_) => CliError::new("E0901", CANNOT, text),
        workspace::Error::Store(error) => store_error(error, text),
        workspace::Error::Tree(_) => CliError::new("E0508", DATA, text),
        workspace::Error::Path(error) => path_error(error, text),
        workspace::Error::Interrupted => advise(&Error::Interrupted),
        workspace::Error::Special { .. } | workspace::Error::DepNotFile(_) => {
            CliError::new("E0311", CANNOT, text).hint("remove it, or exclude it in `.eskerignore`")
        }
        workspace::Error::LinkOutside { .. } | workspace::Error::LinkNotFile { .. } => {
            CliError::new("E0312", CANNOT, text)
                .hint("put the content itself there, or exclude the link in `.eskerignore`")
        }
        workspace::Error::Nested(_) => CliError::new("E0315", CANNOT, text)
            .hint("track it from there: each `esker.toml` is a project of its own"),
        workspace::Error::LinkedParent(_) => CliError::new("E0316", NO, text)
            .hint("replace the link by a directory, then run it again"),
        workspace::Error::Occupied(_) | workspace::Error::Unsaved(_) => {
            CliError::new("E0301", NO, text).hint("run it again: it goes on where it stopped")
        }
        workspace::Error::NoRoom { needed, free, at } => {
            no_room(*needed, *free).detail(format!("at {}", at.display()))
        }
        workspace::Error::Placed { .. } => CliError::new("E0509", DATA, text)
            .hint("remove that file: esker then treats what is in the workspace as yours"),
    }
}

/// Said before the first byte is written.
pub(super) fn no_room(needed: u64, free: u64) -> CliError {
    let (needed, free) = (render::size(needed), render::size(free));
    let text = format!("the disk is too full: this needs {needed}, {free} are free");
    CliError::new("E0902", CANNOT, text)
        .detail("nothing was changed")
        .hint("free some space, or keep the store on another disk: ESKER_STORE, or `[store] path` in its config")
}

fn pipeline_error(error: &pipeline::Error, text: String) -> CliError {
    match error {
        pipeline::Error::MissingDep { at, suggestion, .. } => {
            let error = CliError::new("E0203", CANNOT, text)
                .at(at, "no stage writes it, nothing tracks it");
            match suggestion {
                Some((path, who)) => error.hint(format!("did you mean `{path}` ({who})?")),
                None => error,
            }
        }
        pipeline::Error::UnknownStage { at, suggestion, .. } => {
            CliError::new("E0204", CANNOT, text)
                .at(at, "no stage of this name")
                .suggest(suggestion.as_deref())
        }
        pipeline::Error::Project(error) => project_error(error, text),
        pipeline::Error::Unresolved(found) => CliError::new("E0213", CANNOT, text)
            .at(&found.at, "")
            .suggest(found.suggestion.as_deref()),
        pipeline::Error::UnsetVariable { at, name, .. } => CliError::new("E0214", CANNOT, text)
            .at(at, "")
            .hint(format!("set it: export {name}=…")),
        pipeline::Error::UnknownTarget { suggestion, .. } => CliError::new("E0208", CANNOT, text)
            .hint("esker stage list")
            .suggest(suggestion.as_deref()),
        pipeline::Error::MissingParam(missing) => CliError::new("E0209", CANNOT, text)
            .at(&missing.at, "")
            .suggest(missing.suggestion.as_deref()),
        pipeline::Error::Fs(_) | pipeline::Error::Spawn { .. } | pipeline::Error::Result(_) => {
            CliError::new("E0901", CANNOT, text)
        }
        pipeline::Error::NoDirectory { .. } => CliError::new("E0212", CANNOT, text),
        pipeline::Error::NothingToRecord { .. } => CliError::new("E0211", CANNOT, text),
        _ => graph_error(error, text),
    }
}

fn graph_error(error: &pipeline::Error, text: String) -> CliError {
    match error {
        pipeline::Error::OverlappingOuts { first, second } => {
            let by = |stage: &str| format!("by `{stage}`");
            CliError::new("E0207", CANNOT, text)
                .at(&first.2, &by(&first.0))
                .at(&second.2, &by(&second.0))
                .hint("give each its own output")
        }
        pipeline::Error::OutIsTracked { at, path, .. } => CliError::new("E0206", CANNOT, text)
            .at(at, "")
            .hint(format!(
                "stop tracking it with `esker remove {path}`, or take the output from the stage"
            )),
        pipeline::Error::Cycle { ties, .. } => {
            let error = CliError::new("E0205", CANNOT, text);
            let error = ties.iter().fold(error, |error, tie| {
                let (stage, needs) = (&tie.stage, &tie.needs);
                let note = match &tie.out {
                    Some(out) => format!("`{stage}` reads what `{needs}` writes: `{out}`"),
                    None => format!("`{stage}` comes after `{needs}`"),
                };
                error.at(&tie.at, &note)
            });
            error.hint("take one of these out")
        }
        _ => CliError::new("E0900", CANNOT, text),
    }
}
