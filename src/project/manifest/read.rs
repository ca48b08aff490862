//! Reads `esker.toml`: the root, `[project]`, `[env]` and `[metrics]`.

use std::collections::{BTreeMap, BTreeSet};

use super::paths::{Seen, dep_path, normal, plain, rel_path};
use super::{DataSpec, DepSpec, Goal, Manifest, fill, remote, stage};
use crate::path::{DepPath, Patterns, RelPath};
use crate::project::layout::MANIFEST;
use crate::project::source::{Section, Source, Text, complaint};
use crate::project::{Error, Result};
use crate::value::KeyPath;

pub(super) const PROJECT: [&str; 4] = ["id", "name", "esker", "params"];
pub(super) const ENV: [&str; 5] = ["shell", "run", "deps", "set", "pass"];
pub(super) const DATA: [&str; 4] = ["desc", "remote", "push", "pull"];
pub(super) const METRICS: [&str; 2] = ["files", "goal"];

pub(super) const SECTIONS: [&str; 6] = ["project", "env", "data", "stage", "metrics", "remote"];
const LATER_SECTIONS: [&str; 1] = ["plot"];
const LOCAL_SECTIONS: [&str; 5] = ["store", "trust", "core", "hooks", "run_cache"];

pub(super) fn manifest(text: &str) -> Result<Manifest> {
    let source = Source::new(MANIFEST, text);
    let document = source.read()?;
    let root = Section::root(&source, &document);
    // First of all, since a newer file may hold anything else that is unknown here.
    check_version(&root)?;
    check_sections(&root)?;
    let project = project(&root)?;
    let environment = environment(&root)?;
    let (metrics, goals) = metrics(&root)?;
    let stages = match root.section("stage")? {
        Some(section) => stage::stages(&section)?,
        None => BTreeMap::new(),
    };
    let remotes = match root.section("remote")? {
        Some(section) => remote::remotes(&section)?,
        None => BTreeMap::new(),
    };
    Ok(Manifest {
        id: project.id,
        name: project.name,
        params: project.params,
        shell: environment.shell,
        env: environment.set,
        run: environment.run,
        env_deps: environment.deps,
        pass: environment.pass,
        data: data(&root)?,
        stages,
        metrics,
        goals,
        remotes,
    })
}

struct Project {
    id: String,
    name: Option<String>,
    params: Vec<DepPath>,
}

#[derive(Default)]
struct Environment {
    shell: Option<Vec<String>>,
    run: Vec<String>,
    deps: Vec<DepSpec>,
    set: BTreeMap<String, String>,
    pass: BTreeSet<String>,
}

fn check_version(root: &Section<'_>) -> Result<()> {
    let Some(project) = root.section("project")? else {
        return Ok(());
    };
    let Some(wanted) = project.text("esker")? else {
        return Ok(());
    };
    let known = env!("CARGO_PKG_VERSION");
    let minimum = wanted.text.strip_prefix(">=").and_then(|text| {
        let text = text.trim_start();
        version(text)
    });
    let Some(minimum) = minimum else {
        return Err(wanted.error("`project.esker` must look like `>=0.1` or `>=0.1.2`"));
    };
    if version(known).is_some_and(|known| known < minimum) {
        return Err(Error::ManifestTooNew {
            wanted: wanted.text.to_owned(),
            known: known.to_owned(),
            at: Box::new(wanted.location()),
        });
    }
    Ok(())
}

/// Two or three numbers; what follows a `-` (a pre-release) does not count.
fn version(text: &str) -> Option<[u32; 3]> {
    let text = text.split('-').next()?;
    let mut numbers = [0; 3];
    let parts: Vec<&str> = text.split('.').collect();
    if !(2..=3).contains(&parts.len()) {
        return None;
    }
    for (number, part) in numbers.iter_mut().zip(parts) {
        if !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        *number = part.parse().ok()?;
    }
    Some(numbers)
}

fn check_sections(root: &Section<'_>) -> Result<()> {
    let local = root
        .entries()
        .find(|entry| LOCAL_SECTIONS.contains(&entry.key.text));
    if let Some(entry) = local {
        let name = entry.key.text;
        let message = format!("`[{name}]` belongs to the config of a clone, not to `{MANIFEST}`");
        return Err(entry.key.error(message));
    }
    root.only(&SECTIONS, &LATER_SECTIONS)
}

fn project(root: &Section<'_>) -> Result<Project> {
    let unmade = format!("`{MANIFEST}` has no `[project] id`: it was not made by `esker init`");
    let Some(section) = root.section("project")? else {
        return Err(complaint(MANIFEST, &unmade, None));
    };
    section.only(&PROJECT, &[])?;
    let Some(id) = section.text("id")? else {
        return Err(section.error(unmade));
    };
    let digit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    if id.text.len() != 32 || !id.text.bytes().all(digit) {
        return Err(id.error("`project.id` must have 32 lower-case hexadecimal digits"));
    }
    let params = match section.texts("params")? {
        Some(texts) => params_files(&texts)?,
        None => vec![DepPath::parse("params.yaml").expect("a name without a slash is a path")],
    };
    Ok(Project {
        id: id.text.to_owned(),
        name: section.text("name")?.map(|name| name.text.to_owned()),
        params,
    })
}

fn params_files(texts: &[Text<'_>]) -> Result<Vec<DepPath>> {
    let mut seen = Seen::default();
    texts
        .iter()
        .map(|text| {
            plain(text)?;
            let file = dep_path(text, "params")?;
            seen.once(text, || file.to_string(), "params")?;
            Ok(file)
        })
        .collect()
}

fn environment(root: &Section<'_>) -> Result<Environment> {
    let Some(section) = root.section("env")? else {
        return Ok(Environment::default());
    };
    section.only(&ENV, &[])?;
    let mut set = BTreeMap::new();
    if let Some(section) = section.section("set")? {
        for (name, value) in stage::environment(&section)? {
            plain(&value)?;
            set.insert(name.to_owned(), value.text.to_owned());
        }
    }
    Ok(Environment {
        shell: program(&section, "shell")?,
        run: program(&section, "run")?.unwrap_or_default(),
        deps: environment_deps(&section)?,
        pass: passed(&section, &set)?,
        set,
    })
}

/// A program and its arguments.
fn program(section: &Section<'_>, key: &str) -> Result<Option<Vec<String>>> {
    let Some(texts) = section.texts(key)? else {
        return Ok(None);
    };
    let nameless = format!("`env.{key}` names no program");
    let Some(program) = texts.first() else {
        return Err(section.error(nameless));
    };
    if program.text.is_empty() {
        return Err(program.error(nameless));
    }
    for text in &texts {
        plain(text)?;
        if text.text.contains('\0') {
            return Err(text.error(format!("`env.{key}` holds a NUL byte")));
        }
    }
    Ok(Some(
        texts.iter().map(|text| text.text.to_owned()).collect(),
    ))
}

fn environment_deps(section: &Section<'_>) -> Result<Vec<DepSpec>> {
    let mut seen = Seen::default();
    let texts = section.texts("deps")?.unwrap_or_default();
    let deps = texts.iter().map(|text| {
        plain(text)?;
        if text.text.starts_with('@') {
            return Err(text.error("`env.deps` names paths, and `@` names a stage"));
        }
        fill::dep(text, &mut seen)
    });
    deps.collect()
}

fn passed(section: &Section<'_>, set: &BTreeMap<String, String>) -> Result<BTreeSet<String>> {
    let mut seen = Seen::default();
    for text in section.texts("pass")?.unwrap_or_default() {
        stage::check_variable(&text)?;
        seen.once(&text, || text.text.to_owned(), "pass")?;
        if set.contains_key(text.text) {
            let message = format!("`{}` stands in `set` and in `pass`", text.text);
            return Err(text.error(message));
        }
    }
    Ok(seen.into_names())
}

fn data(root: &Section<'_>) -> Result<BTreeMap<RelPath, DataSpec>> {
    let mut data = BTreeMap::new();
    let Some(section) = root.section("data")? else {
        return Ok(data);
    };
    for found in section.sections() {
        let (key, section) = found?;
        section.only(&DATA, &[])?;
        let path = rel_path(&key, "data")?;
        let spec = DataSpec {
            at: section.location(),
            desc: section.text("desc")?.map(|text| text.text.to_owned()),
            remote: stage::remote_name(&section)?,
            push: section.flag("push", true)?,
            pull: section.flag("pull", true)?,
        };
        if data.insert(path.clone(), spec).is_some() {
            return Err(key.error(format!("`{path}` stands twice in `data`")));
        }
    }
    Ok(data)
}

fn metrics(root: &Section<'_>) -> Result<(Vec<String>, BTreeMap<String, Goal>)> {
    let Some(section) = root.section("metrics")? else {
        return Ok((Vec::new(), BTreeMap::new()));
    };
    section.only(&METRICS, &[])?;
    let (mut files, mut seen) = (Vec::new(), Seen::default());
    for text in section.texts("files")?.unwrap_or_default() {
        let file = metrics_file(&text)?;
        seen.once(&text, || file.clone(), "files")?;
        files.push(file);
    }
    let mut goals = BTreeMap::new();
    if let Some(section) = section.section("goal")? {
        collect_goals(&section, &[], &mut goals)?;
    }
    Ok((files, goals))
}

/// A path or a pattern; whether patterns are sound shows only when they are compiled.
fn metrics_file(text: &Text<'_>) -> Result<String> {
    plain(text)?;
    let file = normal(text.text);
    if file.contains(['*', '?', '[', '{', '\\']) {
        Patterns::new([file]).map_err(|error| text.error(error.to_string()))?;
        let climbs = file.starts_with('/') || file.split('/').any(|part| part == "..");
        if climbs {
            return Err(text.error(format!("`{file}` lies outside the project")));
        }
    } else {
        RelPath::parse(file).map_err(|error| text.error(error.to_string()))?;
    }
    Ok(file.to_owned())
}

/// `goal = { auc = "max", val.loss = "min", "val.f1" = "max" }`: dots nest with and without
/// quotes. The depth is bounded by the parser of TOML.
fn collect_goals(
    section: &Section<'_>,
    above: &[String],
    goals: &mut BTreeMap<String, Goal>,
) -> Result<()> {
    for entry in section.entries() {
        let key = entry.key.text.parse::<KeyPath>();
        let key = key.map_err(|error| entry.key.error(error.to_string()))?;
        let segments = [above, key.segments()].concat();
        if entry.is_table() {
            collect_goals(&section.section_of(&entry)?, &segments, goals)?;
            continue;
        }
        let text = section.text_of(&entry)?;
        let goal = match text.text {
            "max" => Goal::Max,
            "min" => Goal::Min,
            _ => return Err(text.error("a goal must be `max` or `min`")),
        };
        let shown = KeyPath::new(segments).to_string();
        if goals.insert(shown.clone(), goal).is_some() {
            return Err(entry.key.error(format!("`{shown}` has two goals")));
        }
    }
    Ok(())
}
