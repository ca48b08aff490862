//! Makes a stage of what is written of it, once its expressions are filled in: paths, params and
//! scripts are read from the texts that then stand there.

use std::collections::BTreeMap;

use super::paths::{Complain, Seen, check_stage, dep_or_pattern, dep_path, rel_path};
use super::written::{Scripts, Slot, Texts, Written, WrittenStage};
use super::{Command, DepSpec, DepTarget, Location, OutOptions, OutSpec, ParamSpec, StageSpec};
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

/// A part of a text, at the place of the whole.
struct PartOf<'a, T> {
    text: &'a str,
    whole: &'a T,
}

/// Gives the texts that a written one stands for: one, or for a list as many as it has.
type Fill<'f, E> = &'f mut dyn FnMut(&Written, Slot) -> std::result::Result<Vec<String>, E>;

impl WrittenStage {
    /// The stage with its expressions filled in by `fill`, and without `[env] set`.
    pub fn filled<E: From<Error>>(&self, fill: Fill<'_, E>) -> std::result::Result<StageSpec, E> {
        let texts = self.texts.filled(fill)?;
        Ok(stage(self.rest.clone(), texts)?)
    }

    /// Judges all that can be judged before anything is filled in.
    pub(super) fn judge(&self) -> Result<()> {
        let mut plain = |written: &Written, _| {
            let plain = written.is_plain().then(|| written.text.clone());
            Ok(plain.into_iter().collect())
        };
        self.filled::<Error>(&mut plain).map(|_| ())
    }
}

impl Texts<Written> {
    fn filled<E>(&self, fill: Fill<'_, E>) -> std::result::Result<Texts<Filled<'_>>, E> {
        let cmd = match &self.cmd {
            Scripts::One(text) => match filled(text, Slot::Cmd, fill)?.pop() {
                Some(script) => Scripts::One(script),
                None => Scripts::Many(Vec::new()),
            },
            Scripts::Many(texts) => Scripts::Many(all_filled(texts, Slot::CmdItem, fill)?),
        };
        let deps = all_filled(&self.deps, Slot::Dep, fill)?;
        let params = all_filled(&self.params, Slot::Param, fill)?;
        let mut outs = Vec::new();
        for (written, options) in &self.outs {
            let texts = filled(written, Slot::Out, fill)?.into_iter();
            outs.extend(texts.map(|text| (text, options.clone())));
        }
        let mut env = BTreeMap::new();
        for (name, written) in &self.env {
            let texts = filled(written, Slot::Env, fill)?.into_iter();
            env.extend(texts.map(|text| (name.clone(), text)));
        }
        Ok(Texts {
            cmd,
            deps,
            params,
            outs,
            env,
        })
    }
}

fn filled<'w, E>(
    written: &'w Written,
    slot: Slot,
    fill: Fill<'_, E>,
) -> std::result::Result<Vec<Filled<'w>>, E> {
    let at = &written.at;
    let texts = fill(written, slot)?.into_iter();
    Ok(texts.map(|text| Filled { text, at }).collect())
}

fn all_filled<'w, E>(
    written: &'w [Written],
    slot: Slot,
    fill: Fill<'_, E>,
) -> std::result::Result<Vec<Filled<'w>>, E> {
    let mut all = Vec::new();
    for written in written {
        all.extend(filled(written, slot, fill)?);
    }
    Ok(all)
}

/// The stage that these texts make of the rest of one.
pub(super) fn stage<T: Complain>(rest: StageSpec, texts: Texts<T>) -> Result<StageSpec> {
    Ok(StageSpec {
        cmd: command(&texts.cmd)?,
        deps: list(&texts.deps, dep)?,
        params: list(&texts.params, param)?,
        outs: outs(texts.outs)?,
        env: environment(&texts.env)?,
        ..rest
    })
}

fn command<T: Complain>(scripts: &Scripts<T>) -> Result<Command> {
    Ok(match scripts {
        Scripts::One(text) => Command::One(script(text)?),
        Scripts::Many(texts) => Command::Many(texts.iter().map(script).collect::<Result<_>>()?),
    })
}

fn outs<T: Complain>(texts: Vec<(T, OutOptions)>) -> Result<Vec<OutSpec>> {
    let mut seen = Seen::among(texts.len());
    let outs = texts.into_iter().map(|(text, options)| {
        let path = rel_path(&text, "outs")?;
        if NOT_OUTS.contains(&path.name()) {
            return Err(text.error(format!("`{path}` cannot be an output of a stage")));
        }
        let at = seen.once(&text, || path.to_string(), "outs")?;
        Ok(OutSpec { at, path, options })
    });
    outs.collect()
}

fn environment<T: Complain>(texts: &BTreeMap<String, T>) -> Result<BTreeMap<String, String>> {
    let texts = texts.iter();
    texts
        .map(|(name, text)| Ok((name.clone(), variable(text)?.to_owned())))
        .collect()
}

/// What a variable may hold.
pub(super) fn variable(text: &impl Complain) -> Result<&str> {
    if text.text().contains('\0') {
        return Err(text.error("a variable cannot hold a NUL byte"));
    }
    Ok(text.text())
}

/// Reads the items of a list, none of which may stand there twice.
fn list<T: Complain, U>(texts: &[T], read: fn(&T, &mut Seen) -> Result<U>) -> Result<Vec<U>> {
    let mut seen = Seen::among(texts.len());
    texts.iter().map(|text| read(text, &mut seen)).collect()
}

fn script(text: &impl Complain) -> Result<String> {
    if text.text().trim().is_empty() {
        return Err(text.error("`cmd` is empty"));
    }
    if text.text().contains('\0') {
        return Err(text.error("`cmd` holds a NUL byte"));
    }
    Ok(text.text().to_owned())
}

pub(super) fn dep(text: &impl Complain, seen: &mut Seen) -> Result<DepSpec> {
    let target = dep_target(text)?;
    let at = seen.once(text, || target.to_string(), "deps")?;
    Ok(DepSpec { at, target })
}

fn dep_target(text: &impl Complain) -> Result<DepTarget> {
    let Some(name) = text.text().strip_prefix('@') else {
        return dep_or_pattern(text).map(DepTarget::Path);
    };
    check_stage(text, name)?;
    Ok(DepTarget::Stage(name.to_owned()))
}

fn param(text: &impl Complain, seen: &mut Seen) -> Result<ParamSpec> {
    let (file, key) = file_and_key(text)?;
    let shown = || {
        let file = file.as_ref().map(|file| format!("{file}:"));
        let key = key.as_ref().map_or("*".to_owned(), ToString::to_string);
        file.unwrap_or_default() + &key
    };
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

fn file_and_key<T: Complain>(whole: &T) -> Result<(Option<DepPath>, Option<KeyPath>)> {
    let (file, key) = split_param(whole.text());
    let file = file.map(|text| dep_path(&PartOf { text, whole }, "params"));
    let file = file.transpose()?;
    if key == "*" {
        if file.is_none() {
            return Err(whole.error("`*` needs a file before it, like `params.yaml:*`"));
        }
        return Ok((file, None));
    }
    let key = key.parse::<KeyPath>();
    Ok((
        file,
        Some(key.map_err(|error| whole.error(error.to_string()))?),
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

impl<T: Complain> Complain for PartOf<'_, T> {
    fn text(&self) -> &str {
        self.text
    }

    fn location(&self) -> Location {
        self.whole.location()
    }

    fn error(&self, message: impl AsRef<str>) -> Error {
        self.whole.error(message)
    }
}
