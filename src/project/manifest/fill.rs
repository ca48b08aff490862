//! Makes a stage of what is written of it, once its expressions are filled in: paths, params and
//! scripts are read from the texts that then stand there.

use std::collections::BTreeMap;

use super::paths::{Complain, Seen, check_stage, dep_or_pattern, dep_path, rel_path};
use super::written::{Slot, Written, WrittenCommand, WrittenStage};
use super::{Command, DepSpec, DepTarget, Location, OutSpec, ParamSpec, StageSpec};
use crate::path::DepPath;
use crate::project::layout::{LOCK, MANIFEST};
use crate::project::source::complaint;
use crate::project::{Error, Result};
use crate::value::KeyPath;

/// What esker or git write themselves, and no stage may claim.
const NOT_OUTS: [&str; 5] = [
    MANIFEST,
    LOCK,
    ".eskerignore",
    ".gitignore",
    ".gitattributes",
];

/// A text as it stands after filling in, at the place of what was written.
struct Filled<'a> {
    text: String,
    at: &'a Location,
}

/// Gives the texts that a written one stands for: one, or for a list as many as it has.
type Fill<'f, E> = &'f mut dyn FnMut(&Written, Slot) -> std::result::Result<Vec<String>, E>;

impl WrittenStage {
    /// The stage with its expressions filled in by `fill`. `set` is what `[env] set` gives to
    /// every stage.
    pub fn filled<E: From<Error>>(
        &self,
        set: &BTreeMap<String, String>,
        fill: Fill<'_, E>,
    ) -> std::result::Result<StageSpec, E> {
        Ok(StageSpec {
            at: self.at.clone(),
            desc: self.desc.clone(),
            cmd: self.command(fill)?,
            wdir: self.wdir.clone(),
            deps: list(&self.deps, Slot::Dep, fill, |text, seen| dep(text, seen))?,
            params: list(&self.params, Slot::Param, fill, param)?,
            outs: self.filled_outs(fill)?,
            env: self.environment(set, fill)?,
            frozen: self.frozen,
            always: self.always,
            needs: self.needs.clone(),
            timeout: self.timeout,
            mutex: self.mutex.clone(),
        })
    }

    /// The stage without the texts in which something is to be filled in, and without `[env] set`.
    pub(super) fn as_far_as_plain(&self) -> Result<StageSpec> {
        let mut plain = |written: &Written, _| {
            let plain = written.is_plain().then(|| written.text.clone());
            Ok(plain.into_iter().collect())
        };
        self.filled::<Error>(&BTreeMap::new(), &mut plain)
    }

    fn command<E: From<Error>>(&self, fill: Fill<'_, E>) -> std::result::Result<Command, E> {
        let slot = match &self.cmd {
            WrittenCommand::One(_) => Slot::Cmd,
            WrittenCommand::Many(_) => Slot::CmdItem,
        };
        let mut scripts = Vec::new();
        for written in self.cmd.texts() {
            for text in fill(written, slot)? {
                let at = &written.at;
                scripts.push(script(Filled { text, at })?);
            }
        }
        Ok(match self.cmd {
            WrittenCommand::One(_) => Command::One(scripts.pop().unwrap_or_default()),
            WrittenCommand::Many(_) => Command::Many(scripts),
        })
    }

    fn filled_outs<E: From<Error>>(
        &self,
        fill: Fill<'_, E>,
    ) -> std::result::Result<Vec<OutSpec>, E> {
        let (mut outs, mut seen) = (Vec::new(), Seen::default());
        for (written, options) in &self.outs {
            for text in fill(written, Slot::Out)? {
                let at = &written.at;
                let text = Filled { text, at };
                let path = rel_path(&text, "outs")?;
                if NOT_OUTS.contains(&path.name()) {
                    let message = format!("`{path}` cannot be an output of a stage");
                    return Err(text.error(message).into());
                }
                let at = seen.once(&text, path.to_string(), "outs")?;
                let options = options.clone();
                outs.push(OutSpec { at, path, options });
            }
        }
        Ok(outs)
    }

    fn environment<E: From<Error>>(
        &self,
        set: &BTreeMap<String, String>,
        fill: Fill<'_, E>,
    ) -> std::result::Result<BTreeMap<String, String>, E> {
        let mut env = set.clone();
        for (name, written) in &self.env {
            for text in fill(written, Slot::Env)? {
                let at = &written.at;
                let text = Filled { text, at };
                env.insert(name.clone(), variable(&text)?.to_owned());
            }
        }
        Ok(env)
    }
}

/// What a variable may hold.
pub(super) fn variable(text: &impl Complain) -> Result<&str> {
    if text.text().contains('\0') {
        return Err(text.error("a variable cannot hold a NUL byte"));
    }
    Ok(text.text())
}

/// Reads the items of a list, none of which may stand there twice.
fn list<T, E: From<Error>>(
    items: &[Written],
    slot: Slot,
    fill: Fill<'_, E>,
    read: fn(&Filled<'_>, &mut Seen) -> Result<T>,
) -> std::result::Result<Vec<T>, E> {
    let (mut list, mut seen) = (Vec::new(), Seen::default());
    for written in items {
        for text in fill(written, slot)? {
            let at = &written.at;
            list.push(read(&Filled { text, at }, &mut seen)?);
        }
    }
    Ok(list)
}

fn script(text: Filled<'_>) -> Result<String> {
    if text.text.trim().is_empty() {
        return Err(text.error("`cmd` is empty"));
    }
    if text.text.contains('\0') {
        return Err(text.error("`cmd` holds a NUL byte"));
    }
    Ok(text.text)
}

pub(super) fn dep(text: &impl Complain, seen: &mut Seen) -> Result<DepSpec> {
    let target = dep_target(text)?;
    let shown = match &target {
        DepTarget::Path(path) => path.to_string(),
        DepTarget::Stage(name) => format!("@{name}"),
    };
    let at = seen.once(text, shown, "deps")?;
    Ok(DepSpec { at, target })
}

fn dep_target(text: &impl Complain) -> Result<DepTarget> {
    let Some(name) = text.text().strip_prefix('@') else {
        return dep_or_pattern(text).map(DepTarget::Path);
    };
    check_stage(text, name)?;
    Ok(DepTarget::Stage(name.to_owned()))
}

fn param(text: &Filled<'_>, seen: &mut Seen) -> Result<ParamSpec> {
    let (file, key) = file_and_key(text)?;
    let file_shown = file.as_ref().map(|file| format!("{file}:"));
    let key_shown = key.as_ref().map_or("*".to_owned(), ToString::to_string);
    let shown = file_shown.unwrap_or_default() + &key_shown;
    let at = seen.once(text, shown, "params")?;
    Ok(ParamSpec { at, file, key })
}

/// A param as people write it: the file, if there is one, and the key. Splits at the first `:`
/// outside quotes, so that a quoted segment of a key may hold one.
pub fn split_param(text: &str) -> (Option<&str>, &str) {
    match colon(text) {
        None => (None, text),
        Some(at) => (Some(&text[..at]), &text[at + 1..]),
    }
}

fn file_and_key(text: &Filled<'_>) -> Result<(Option<DepPath>, Option<KeyPath>)> {
    let (file, key) = split_param(&text.text);
    let file = match file {
        Some(file) => {
            let (text, at) = (file.to_owned(), text.at);
            Some(dep_path(&Filled { text, at }, "params")?)
        }
        None => None,
    };
    if key == "*" {
        if file.is_none() {
            return Err(text.error("`*` needs a file before it, like `params.yaml:*`"));
        }
        return Ok((file, None));
    }
    let key = key.parse::<KeyPath>();
    Ok((
        file,
        Some(key.map_err(|error| text.error(error.to_string()))?),
    ))
}

fn colon(text: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b':' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

impl Complain for Filled<'_> {
    fn text(&self) -> &str {
        &self.text
    }

    fn location(&self) -> Location {
        self.at.clone()
    }

    fn error(&self, message: impl AsRef<str>) -> Error {
        complaint(MANIFEST, message.as_ref(), Some(self.at.clone()))
    }
}
