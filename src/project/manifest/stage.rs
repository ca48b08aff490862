//! `[stage.NAME]`, key by key.

use std::collections::BTreeMap;
use std::time::Duration;

use super::paths::{Seen, check_name, dep_path, normal, plain, rel_path};
use super::{Command, DepSpec, DepTarget, Location, OutOptions, OutSpec, ParamSpec, StageSpec};
use crate::path::{DepPath, RelPath};
use crate::project::Result;
use crate::project::layout::{LOCK, MANIFEST};
use crate::project::source::{ListItem, Section, Text};
use crate::value::KeyPath;

pub(super) const KNOWN: [&str; 12] = [
    "desc", "cmd", "wdir", "deps", "params", "outs", "env", "frozen", "always", "needs", "timeout",
    "mutex",
];
pub(super) const KNOWN_OUT: [&str; 5] = ["path", "keep", "store", "push", "remote"];
pub(super) const LATER: [&str; 3] = ["matrix", "exclude", "include"];

/// What esker or git write themselves, and no stage may claim.
const NOT_OUTS: [&str; 5] = [
    MANIFEST,
    LOCK,
    ".eskerignore",
    ".gitignore",
    ".gitattributes",
];

/// Reads `[stage]`; `set` is what `[env] set` gives to every stage.
pub(super) fn stages(
    section: &Section<'_>,
    set: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, StageSpec>> {
    let mut stages = BTreeMap::new();
    for (name, section) in section.sections()? {
        check_name(&name, name.text, "stage")?;
        stages.insert(name.text.to_owned(), stage(&section, set)?);
    }
    Ok(stages)
}

/// Reads a table of environment variables.
pub(super) fn environment(section: &Section<'_>) -> Result<BTreeMap<String, String>> {
    let mut variables = BTreeMap::new();
    for entry in section.entries() {
        let (name, value) = (&entry.key, section.text_of(&entry)?);
        plain(&value)?;
        if name.text.is_empty() || name.text.contains(['=', '\0']) {
            return Err(name.error(format!("`{}` cannot name a variable", name.text)));
        }
        if name.text.starts_with("ESKER_") {
            return Err(name.error(format!("`{}` is set by esker itself", name.text)));
        }
        if value.text.contains('\0') {
            return Err(value.error("a variable cannot hold a NUL byte"));
        }
        variables.insert(name.text.to_owned(), value.text.to_owned());
    }
    Ok(variables)
}

fn stage(section: &Section<'_>, set: &BTreeMap<String, String>) -> Result<StageSpec> {
    section.only(&KNOWN, &LATER)?;
    let mut env = set.clone();
    if let Some(section) = section.section("env")? {
        env.extend(environment(&section)?);
    }
    Ok(StageSpec {
        at: section.location(),
        desc: section.text("desc")?.map(|text| text.text.to_owned()),
        cmd: command(section)?,
        wdir: wdir(section)?,
        deps: deps(section)?,
        params: params(section)?,
        outs: outs(section)?,
        env,
        frozen: section.flag("frozen", false)?,
        always: section.flag("always", false)?,
        needs: needs(section)?,
        timeout: timeout(section)?,
        mutex: mutex(section)?,
    })
}

fn command(section: &Section<'_>) -> Result<Command> {
    let script = |text: Text<'_>| {
        plain(&text)?;
        if text.text.trim().is_empty() {
            return Err(text.error("`cmd` is empty"));
        }
        if text.text.contains('\0') {
            return Err(text.error("`cmd` holds a NUL byte"));
        }
        Ok(text.text.to_owned())
    };
    if section.is_list("cmd") {
        let texts = section.texts("cmd")?.unwrap_or_default();
        if texts.is_empty() {
            return Err(section.error(format!("`cmd` of `[{}]` is empty", section.title())));
        }
        let scripts = texts.into_iter().map(script).collect::<Result<_>>()?;
        return Ok(Command::Many(scripts));
    }
    match section.text_or_list("cmd")? {
        Some(text) => script(text).map(Command::One),
        None => Err(section.error(format!("`[{}]` has no `cmd`", section.title()))),
    }
}

fn wdir(section: &Section<'_>) -> Result<Option<RelPath>> {
    let Some(text) = section.text("wdir")? else {
        return Ok(None);
    };
    plain(&text)?;
    if matches!(normal(text.text), "." | "") && !text.text.is_empty() {
        return Ok(None);
    }
    rel_path(&text, "wdir").map(Some)
}

fn deps(section: &Section<'_>) -> Result<Vec<DepSpec>> {
    let mut seen = Seen::default();
    let texts = section.texts("deps")?.unwrap_or_default();
    texts
        .into_iter()
        .map(|text| {
            plain(&text)?;
            let target = dep_target(&text)?;
            let shown = match &target {
                DepTarget::Path(path) => path.to_string(),
                DepTarget::Stage(name) => format!("@{name}"),
            };
            let at = seen.once(&text, shown, "deps")?;
            Ok(DepSpec { at, target })
        })
        .collect()
}

fn dep_target(text: &Text<'_>) -> Result<DepTarget> {
    let Some(name) = text.text.strip_prefix('@') else {
        return dep_path(text, "deps").map(DepTarget::Path);
    };
    check_name(text, name, "stage")?;
    Ok(DepTarget::Stage(name.to_owned()))
}

fn params(section: &Section<'_>) -> Result<Vec<ParamSpec>> {
    let mut seen = Seen::default();
    let texts = section.texts("params")?.unwrap_or_default();
    texts
        .into_iter()
        .map(|text| {
            plain(&text)?;
            let (file, key) = param(&text)?;
            let file_shown = file.as_ref().map(|file| format!("{file}:"));
            let key_shown = key.as_ref().map_or("*".to_owned(), ToString::to_string);
            let shown = file_shown.unwrap_or_default() + &key_shown;
            let at = seen.once(&text, shown, "params")?;
            Ok(ParamSpec { at, file, key })
        })
        .collect()
}

/// Splits at the first `:` outside quotes, so that a quoted segment of a key may hold one.
fn param(text: &Text<'_>) -> Result<(Option<DepPath>, Option<KeyPath>)> {
    let (file, key) = match colon(text.text) {
        None => (None, text.text),
        Some(at) => (Some(&text.text[..at]), &text.text[at + 1..]),
    };
    let file = match file {
        Some(file) => {
            let part = Text {
                text: file,
                ..text.clone()
            };
            Some(dep_path(&part, "params")?)
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

fn outs(section: &Section<'_>) -> Result<Vec<OutSpec>> {
    let mut seen = Seen::default();
    let items = section.items("outs", true)?.unwrap_or_default();
    items
        .into_iter()
        .map(|item| {
            let (text, options) = out_text(item)?;
            plain(&text)?;
            let path = rel_path(&text, "outs")?;
            if NOT_OUTS.contains(&path.name()) {
                return Err(text.error(format!("`{path}` cannot be an output of a stage")));
            }
            let at = seen.once(&text, path.to_string(), "outs")?;
            Ok(OutSpec { at, path, options })
        })
        .collect()
}

fn out_text(item: ListItem<'_>) -> Result<(Text<'_>, OutOptions)> {
    let section = match item {
        ListItem::Text(text) => return Ok((text, OutOptions::default())),
        ListItem::Section(section) => section,
    };
    section.only(&KNOWN_OUT, &[])?;
    let path = section.text("path")?;
    let path = path.ok_or_else(|| section.error("a table in `outs` has no `path`"))?;
    let options = OutOptions {
        keep: section.flag("keep", false)?,
        store: section.flag("store", true)?,
        push: section.flag("push", true)?,
        remote: remote_name(&section)?,
    };
    Ok((path, options))
}

/// The name of a remote, which may stand in the settings of a clone alone.
fn remote_name(section: &Section<'_>) -> Result<Option<String>> {
    let Some(text) = section.text("remote")? else {
        return Ok(None);
    };
    check_name(&text, text.text, "remote")?;
    Ok(Some(text.text.to_owned()))
}

fn timeout(section: &Section<'_>) -> Result<Option<Duration>> {
    let Some(text) = section.text("timeout")? else {
        return Ok(None);
    };
    let duration = duration(text.text);
    let refuse = || {
        text.error(format!(
            "`{}` is not a time like `90s` or `1h30m`",
            text.text
        ))
    };
    duration.ok_or_else(refuse).map(Some)
}

/// Whole numbers with their units, largest first, each unit once: `2h`, `1h30m`, `90s`.
fn duration(text: &str) -> Option<Duration> {
    const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];
    let (mut rest, mut seconds) = (text, 0_u64);
    for (unit, worth) in UNITS {
        let Some((number, after)) = rest.split_once(unit) else {
            continue;
        };
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number: u64 = number.parse().ok()?;
        seconds = seconds.checked_add(number.checked_mul(worth)?)?;
        rest = after;
    }
    (rest.is_empty() && seconds > 0).then(|| Duration::from_secs(seconds))
}

fn mutex(section: &Section<'_>) -> Result<Vec<String>> {
    let mut seen = Seen::default();
    let texts = section.texts("mutex")?.unwrap_or_default();
    let names = texts.into_iter().map(|text| {
        check_name(&text, text.text, "mutex")?;
        seen.once(&text, text.text.to_owned(), "mutex")?;
        Ok(text.text.to_owned())
    });
    names.collect()
}

fn needs(section: &Section<'_>) -> Result<Vec<(String, Location)>> {
    let mut seen = Seen::default();
    let texts = section.texts("needs")?.unwrap_or_default();
    texts
        .into_iter()
        .map(|text| {
            plain(&text)?;
            check_name(&text, text.text, "stage")?;
            let at = seen.once(&text, text.text.to_owned(), "needs")?;
            Ok((text.text.to_owned(), at))
        })
        .collect()
}
