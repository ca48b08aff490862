//! `[stage.NAME]`, key by key.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::fill::variable;
use super::matrix::matrix;
use super::paths::{Seen, check_name, check_stage, normal, plain, rel_path};
use super::written::{Written, WrittenCommand, WrittenStage};
use super::{Location, OutOptions};
use crate::path::RelPath;
use crate::project::Result;
use crate::project::source::{ListItem, Section, Text};

pub(super) const KNOWN: [&str; 13] = [
    "desc", "matrix", "cmd", "wdir", "deps", "params", "outs", "env", "frozen", "always", "needs",
    "timeout", "mutex",
];
pub(super) const KNOWN_OUT: [&str; 5] = ["path", "keep", "store", "push", "remote"];

/// Reads `[stage]`.
pub(super) fn stages(section: &Section<'_>) -> Result<BTreeMap<String, WrittenStage>> {
    let mut stages = BTreeMap::new();
    for (name, section) in section.sections()? {
        check_name(&name, name.text, "stage")?;
        stages.insert(name.text.to_owned(), stage(&section)?);
    }
    Ok(stages)
}

/// Reads a table of environment variables.
pub(super) fn environment<'a>(section: &Section<'a>) -> Result<Vec<(&'a str, Text<'a>)>> {
    let mut variables = Vec::new();
    for entry in section.entries() {
        let (name, value) = (&entry.key, section.text_of(&entry)?);
        check_variable(name)?;
        variable(&value)?;
        variables.push((name.text, value));
    }
    Ok(variables)
}

/// Refuses what cannot name a variable, or one that esker sets.
pub(super) fn check_variable(name: &Text<'_>) -> Result<()> {
    if name.text.is_empty() || name.text.contains(['=', '\0']) {
        return Err(name.error(format!("`{}` cannot name a variable", name.text)));
    }
    if name.text.starts_with("ESKER_") {
        return Err(name.error(format!("`{}` is set by esker itself", name.text)));
    }
    Ok(())
}

fn stage(section: &Section<'_>) -> Result<WrittenStage> {
    section.only(&KNOWN, &[])?;
    let mut env = BTreeMap::new();
    if let Some(section) = section.section("env")? {
        for (name, value) in environment(&section)? {
            env.insert(name.to_owned(), Written::new(&value));
        }
    }
    let mut stage = WrittenStage {
        at: section.location(),
        desc: section.text("desc")?.map(|text| text.text.to_owned()),
        matrix: matrix(section)?,
        cmd: command(section)?,
        wdir: wdir(section)?,
        deps: written(section, "deps")?,
        params: written(section, "params")?,
        outs: outs(section)?,
        env,
        frozen: section.flag("frozen", false)?,
        always: section.flag("always", false)?,
        needs: needs(section)?,
        timeout: timeout(section)?,
        mutex: mutex(section)?,
        plain: None,
    };
    // Judges all that can be judged before anything is filled in.
    let judged = stage.as_far_as_plain()?;
    let is_plain = stage.matrix.is_none() && stage.texts().all(Written::is_plain);
    stage.plain = is_plain.then(|| Arc::new(judged));
    Ok(stage)
}

fn command(section: &Section<'_>) -> Result<WrittenCommand> {
    if section.is_list("cmd") {
        let texts = written(section, "cmd")?;
        if texts.is_empty() {
            return Err(section.error(format!("`cmd` of `[{}]` is empty", section.title())));
        }
        return Ok(WrittenCommand::Many(texts));
    }
    match section.text_or_list("cmd")? {
        Some(text) => Ok(WrittenCommand::One(Written::new(&text))),
        None => Err(section.error(format!("`[{}]` has no `cmd`", section.title()))),
    }
}

fn written(section: &Section<'_>, key: &str) -> Result<Vec<Written>> {
    let texts = section.texts(key)?.unwrap_or_default();
    Ok(texts.iter().map(Written::new).collect())
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

fn outs(section: &Section<'_>) -> Result<Vec<(Written, OutOptions)>> {
    let items = section.items("outs", true)?.unwrap_or_default();
    let outs = items.into_iter().map(|item| {
        let (text, options) = out_text(item)?;
        Ok((Written::new(&text), options))
    });
    outs.collect()
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
pub(super) fn remote_name(section: &Section<'_>) -> Result<Option<String>> {
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
    let duration = duration(text.text).filter(|time| !time.is_zero());
    let refuse = || {
        text.error(format!(
            "`{}` is not a time like `90s` or `1h30m`",
            text.text
        ))
    };
    duration.ok_or_else(refuse).map(Some)
}

/// Whole numbers with their units, largest first, each unit once: `2h`, `1h30m`, `90s`.
pub fn duration(text: &str) -> Option<Duration> {
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
    (rest.is_empty() && !text.is_empty()).then(|| Duration::from_secs(seconds))
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
            check_stage(&text, text.text)?;
            let at = seen.once(&text, text.text.to_owned(), "needs")?;
            Ok((text.text.to_owned(), at))
        })
        .collect()
}
