//! Git hooks: written beside existing ones, which run first.
//!
//! Each hook is a small shell script that calls `<program> hook <name> <git's arguments>`. A hook
//! of others is renamed to `<name>.before-esker` and run first, with the same arguments and, where
//! git gives any, the same standard input.
//!
//! - `post-*`: the exit status is that of the earlier hook; esker's part never fails git.
//! - `pre-push`: an earlier hook that fails stops the push before esker is asked; else the exit
//!   status is esker's.
//! - No binary at the path it had when the hooks were written: `esker` on `PATH` is taken; none
//!   there either is one line on standard error and no failure.
//! - While esker's part runs, `ESKER_HOOK` holds the name of the hook. Git commands below it still
//!   run the hooks of others, but not esker's part again.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::fs;

use super::{Error, Git, Result};

/// The hooks that esker installs.
const HOOKS: [&str; 4] = ["post-checkout", "post-merge", "post-rewrite", "pre-push"];

/// The second line of a hook of esker's, up to its version.
const MARKER: &[u8] = b"# esker hook v";

/// What installing or uninstalling did.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct HookReport {
    /// Hooks that are in place now, or that were removed.
    pub hooks: Vec<String>,
    /// Hooks of others that are kept and run first, or that got their names back.
    pub chained: Vec<String>,
    /// Where they lie.
    pub dir: String,
}

/// Installs post-checkout, post-merge, post-rewrite and pre-push. `program` is the absolute
/// path of the binary. Done again, it only writes what differs.
pub fn install_hooks(git: &Git, program: &Path) -> Result<HookReport> {
    let dir = git.hooks_dir()?;
    let mut to_keep = Vec::new();
    for name in HOOKS {
        if Hook::at(&dir, name)?.must_be_kept()? {
            to_keep.push(name);
        }
    }
    fs::create_dir_all(&dir)?;
    let mut report = HookReport::in_dir(&dir);
    for name in HOOKS {
        let hook = Hook::at(&dir, name)?;
        hook.install(&script(name, program), to_keep.contains(&name))?;
        report.hooks.push(name.to_owned());
        if exists(&hook.kept)? {
            report.chained.push(name.to_owned());
        }
    }
    Ok(report)
}

/// Removes them again; hooks of others get their names back. A hook that somebody has put in the
/// place of esker's stays as it is.
pub fn uninstall_hooks(git: &Git) -> Result<HookReport> {
    let dir = git.hooks_dir()?;
    let mut report = HookReport::in_dir(&dir);
    for name in HOOKS {
        let hook = Hook::at(&dir, name)?;
        if hook.state == State::Foreign {
            continue;
        }
        if exists(&hook.kept)? {
            fs::rename(&hook.kept, &hook.path)?;
            report.chained.push(name.to_owned());
        } else {
            fs::remove_file(&hook.path)?;
        }
        if hook.state == State::Ours {
            report.hooks.push(name.to_owned());
        }
    }
    Ok(report)
}

impl HookReport {
    fn in_dir(dir: &Path) -> Self {
        Self {
            dir: dir.display().to_string(),
            ..Self::default()
        }
    }
}

/// Who wrote the hook that lies there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    None,
    Ours,
    Foreign,
}

/// The place of one hook.
struct Hook {
    path: PathBuf,
    kept: PathBuf,
    state: State,
}

impl Hook {
    fn at(dir: &Path, name: &str) -> Result<Self> {
        let path = dir.join(name);
        Ok(Self {
            kept: dir.join(kept_name(name)),
            state: state(&path)?,
            path,
        })
    }

    fn must_be_kept(&self) -> Result<bool> {
        if self.state != State::Foreign {
            return Ok(false);
        }
        if exists(&self.kept)? {
            return Err(Error::HookTaken {
                hook: self.path.clone(),
                kept: self.kept.clone(),
            });
        }
        Ok(true)
    }

    fn install(&self, script: &[u8], keep: bool) -> Result<()> {
        if keep {
            fs::rename(&self.path, &self.kept)?;
        }
        let written = write(&self.path, script);
        if written.is_err() && keep {
            // The failure is what the caller must hear of, not a second one on the way back.
            let _ = fs::rename(&self.kept, &self.path);
        }
        written
    }
}

fn exists(path: &Path) -> Result<bool> {
    Ok(fs::metadata(path)?.is_some())
}

fn state(path: &Path) -> Result<State> {
    let Some(metadata) = fs::metadata(path)? else {
        return Ok(State::None);
    };
    if !metadata.is_file() {
        return Ok(State::Foreign);
    }
    let script = fs::read(path)?;
    let second = script.split(|byte| *byte == b'\n').nth(1);
    let is_ours = second.is_some_and(|line| line.starts_with(MARKER));
    Ok(if is_ours { State::Ours } else { State::Foreign })
}

fn write(path: &Path, script: &[u8]) -> Result<()> {
    if let Some(metadata) = fs::metadata(path)?
        && fs::is_executable(&metadata)
        && fs::read(path)? == script
    {
        return Ok(());
    }
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut temp = fs::TempFile::new_in(dir)?;
    temp.write_all(script)?;
    fs::set_executable(temp.path(), true)?;
    temp.sync()?;
    temp.persist(path)?;
    Ok(fs::sync_dir(dir)?)
}

fn kept_name(name: &str) -> String {
    format!("{name}.before-esker")
}

fn script(name: &str, program: &Path) -> Vec<u8> {
    let body = match name {
        "pre-push" => PRE_PUSH,
        "post-rewrite" => POST_WITH_INPUT,
        _ => POST,
    };
    let [head, tail] = [HEAD, &format!("{FIND}{body}")].map(|part| part.replace("@NAME@", name));
    [
        head.as_bytes(),
        b"program=",
        &shell_quote(program.as_os_str().as_bytes()),
        b"\n",
        tail.as_bytes(),
    ]
    .concat()
}

/// One word for a POSIX shell, whatever bytes are in it.
fn shell_quote(word: &[u8]) -> Vec<u8> {
    let mut quoted = vec![b'\''];
    for byte in word {
        match byte {
            b'\'' => quoted.extend_from_slice(br"'\''"),
            _ => quoted.push(*byte),
        }
    }
    quoted.push(b'\'');
    quoted
}

const HEAD: &str = r#"#!/bin/sh
# esker hook v1
# Written by `esker install`; `esker uninstall` takes it away again.
# A hook that was here before lies beside this one as `@NAME@.before-esker` and runs first.
"#;

/// Sets `earlier` to the hook of others, if there is one that git would run, and `program` to the
/// binary, or to nothing.
const FIND: &str = r#"earlier=${0%/*}/@NAME@.before-esker
if [ ! -f "$earlier" ] || [ ! -x "$earlier" ]; then earlier=; fi
if [ ! -f "$program" ] || [ ! -x "$program" ]; then
    program=$(command -v esker) || program=
fi
if [ -n "$ESKER_HOOK" ]; then
    program=
elif [ -z "$program" ]; then
    echo "esker: not found, so @NAME@ does nothing for data; run \`esker install\` again, or delete the hook $0" >&2
fi
"#;

const POST: &str = r#"status=0
if [ -n "$earlier" ]; then "$earlier" "$@" || status=$?; fi
if [ -n "$program" ]; then ESKER_HOOK=@NAME@ "$program" hook @NAME@ "$@" || :; fi
exit "$status"
"#;

/// The `x` keeps the newlines at the end, which `$(…)` would cut off.
const POST_WITH_INPUT: &str = r#"status=0
input=$(cat; echo x)
input=${input%x}
if [ -n "$earlier" ]; then printf '%s' "$input" | "$earlier" "$@" || status=$?; fi
if [ -n "$program" ]; then printf '%s' "$input" | ESKER_HOOK=@NAME@ "$program" hook @NAME@ "$@" || :; fi
exit "$status"
"#;

const PRE_PUSH: &str = r#"input=$(cat; echo x)
input=${input%x}
if [ -n "$earlier" ]; then printf '%s' "$input" | "$earlier" "$@" || exit; fi
if [ -n "$program" ]; then printf '%s' "$input" | ESKER_HOOK=@NAME@ "$program" hook @NAME@ "$@"; fi
"#;

#[cfg(test)]
mod tests;
