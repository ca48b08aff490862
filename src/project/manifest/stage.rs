//! `[stage.NAME]`, key by key.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::fill::{self, variable};
use super::matrix::matrix;
use super::paths::{Seen, check_name, check_stage, normal, plain, rel_path};
use super::written::{Declared, Scripts, Texts, Written, WrittenStage, is_plain};
use super::{Command, Location, OutOptions, StageSpec};
use crate::path::RelPath;
use crate::project::Result;
use crate::project::source::{ListItem, Section, Text};

pub(super) const KNOWN: [&str; 13] = [
    "desc", "matrix", "cmd", "wdir", "deps", "params", "outs", "env", "frozen", "always", "needs",
    "timeout", "mutex",
];
pub(super) const KNOWN_OUT: [&str; 5] = ["path", "keep", "store", "push", "remote"];

/// Reads `[stage]`.
pub(super) fn stages(section: &Section<'_>) -> Result<BTreeMap<String, Declared>> {
    let stages = section.sections().map(|found| {
        let (name, section) = found?;
        check_name(&name, name.text, "stage")?;
        Ok((name.text.to_owned(), stage(&section)?))
    });
    stages.collect()
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

fn stage(section: &Section<'_>) -> Result<Declared> {
    section.only(&KNOWN, &[])?;
    let matrix = matrix(section)?;
    let (texts, rest) = (texts(section)?, rest(section)?);
    if matrix.is_none() && texts.all().all(|text| is_plain(text.text)) {
        return Ok(Declared::Plain(Arc::new(fill::stage(rest, texts)?)));
    }
    let texts = texts.map(|text| Written::new(&text));
    let written = WrittenStage {
        matrix,
        texts,
        rest,
    };
    written.judge()?;
    Ok(Declared::Template(Box::new(written)))
}

fn texts<'a>(section: &Section<'a>) -> Result<Texts<Text<'a>>> {
    let env = match section.section("env")? {
        Some(section) => environment(&section)?,
        None => Vec::new(),
    };
    let env = env.into_iter();
    Ok(Texts {
        cmd: command(section)?,
        deps: section.texts("deps")?.unwrap_or_default(),
        params: section.texts("params")?.unwrap_or_default(),
        outs: outs(section)?,
        env: env.map(|(name, text)| (name.to_owned(), text)).collect(),
    })
}

/// The stage without what its texts say.
fn rest(section: &Section<'_>) -> Result<StageSpec> {
    Ok(StageSpec {
        at: section.location(),
        desc: section.text("desc")?.map(|text| text.text.to_owned()),
        cmd: Command::default(),
        wdir: wdir(section)?,
        deps: Vec::new(),
        params: Vec::new(),
        outs: Vec::new(),
        env: BTreeMap::new(),
        frozen: section.flag("frozen", false)?,
        always: section.flag("always", false)?,
        needs: needs(section)?,
        timeout: timeout(section)?,
        mutex: mutex(section)?,
    })
}

fn command<'a>(section: &Section<'a>) -> Result<Scripts<Text<'a>>> {
    if section.is_list("cmd") {
        let texts = section.texts("cmd")?.unwrap_or_default();
        if texts.is_empty() {
            return Err(section.error(format!("`cmd` of `[{}]` is empty", section.title())));
        }
        return Ok(Scripts::Many(texts));
    }
    let text = section.text_or_list("cmd")?.map(Scripts::One);
    text.ok_or_else(|| section.error(format!("`[{}]` has no `cmd`", section.title())))
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

fn outs<'a>(section: &Section<'a>) -> Result<Vec<(Text<'a>, OutOptions)>> {
    let items = section.items("outs", true)?.unwrap_or_default();
    items.into_iter().map(out_text).collect()
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
        seen.once(&text, || text.text.to_owned(), "mutex")?;
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
            let at = seen.once(&text, || text.text.to_owned(), "needs")?;
            Ok((text.text.to_owned(), at))
        })
        .collect()
}
