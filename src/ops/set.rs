//! `repro --set`: other values in the params files, before anything runs.

use std::collections::BTreeMap;

use super::{Error, Result, Site};
use crate::fs;
use crate::metrics;
use crate::path::DepPath;
use crate::pipeline;
use crate::project::manifest::split_param;
use crate::suggest::closest_key;
use crate::value::{KeyPath, Value};

/// A param that got another value.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct SetParam {
    /// The params file.
    pub file: DepPath,
    /// The key.
    pub key: String,
    /// Before; absent if it was not there. What sounds like a secret stands here as its hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<serde_json::Value>,
    /// After, in the same way.
    pub new: serde_json::Value,
    /// The change in words, without what looks like a secret.
    #[serde(skip)]
    pub text: String,
}

/// One `key=value`, `file:key=value` or `+key=value`, read.
struct Wish<'t> {
    file: Option<DepPath>,
    key: KeyPath,
    value: Value,
    add: bool,
    typed: &'t str,
}

/// Writes other values into params files. All are judged before the first file is written.
pub(super) fn set(site: &Site<'_>, typed: &[String]) -> Result<Vec<SetParam>> {
    let mut texts: BTreeMap<DepPath, String> = BTreeMap::new();
    let mut done = Vec::new();
    for typed in typed {
        let wish = Wish::read(typed)?;
        let file = wish.choose(site, &mut texts)?;
        let text = &texts[&file];
        let old = parse(&file, text)?.get(&wish.key).cloned();
        let edited = metrics::edit(file.as_str(), text, &wish.key, &wish.value, wish.add)?;
        done.push(SetParam {
            file: file.clone(),
            key: wish.key.to_string(),
            text: in_words(&wish.key, old.as_ref(), &wish.value),
            old: old.map(|old| pipeline::without_secrets(&wish.key, &old).to_json()),
            new: pipeline::without_secrets(&wish.key, &wish.value).to_json(),
        });
        texts.insert(file, edited);
    }
    for (file, text) in &texts {
        let path = file.to_path(&site.layout.root);
        if fs::read_if_exists(&path)?.as_deref() != Some(text.as_bytes()) {
            fs::replace(&path, text.as_bytes())?;
        }
    }
    Ok(done)
}

/// `train.lr 0.1 → 0.003`, `train.lr 0.003 added`, `train.lr 0.1, as before`.
fn in_words(key: &KeyPath, old: Option<&Value>, new: &Value) -> String {
    if pipeline::is_secret(key) {
        return format!("{key} (not shown)");
    }
    let display = |value| pipeline::without_secrets(key, value).to_display();
    let shown = display(new);
    match old {
        None => format!("{key} {shown} added"),
        Some(old) if old == new => format!("{key} {shown}, as before"),
        Some(old) => format!("{key} {} → {shown}", display(old)),
    }
}

impl<'t> Wish<'t> {
    fn read(typed: &'t str) -> Result<Self> {
        let malformed = |reason: String| Error::MalformedSet {
            typed: typed.to_owned(),
            reason,
        };
        let (add, rest) = match typed.strip_prefix('+') {
            Some(rest) => (true, rest),
            None => (false, typed),
        };
        let (name, value) = rest
            .split_once('=')
            .ok_or_else(|| malformed("there is no `=`".to_owned()))?;
        let (file, key) = split_param(name);
        let file = file.map(DepPath::parse).transpose();
        Ok(Self {
            file: file.map_err(|error| malformed(error.to_string()))?,
            key: key
                .parse()
                .map_err(|error: crate::value::KeyError| malformed(error.to_string()))?,
            // As a params file in YAML would hold it.
            value: metrics::parse("value.yaml", value.as_bytes()).map_err(|_| {
                malformed(format!(
                    "`{value}` is no value: quote it, as in '\"{value}\"'"
                ))
            })?,
            add,
            typed,
        })
    }

    /// The file it is about: the one named, else the one default file that has the key.
    fn choose(&self, site: &Site<'_>, texts: &mut BTreeMap<DepPath, String>) -> Result<DepPath> {
        let searched = match &self.file {
            Some(file) => vec![file.clone()],
            None => site.manifest.params.clone(),
        };
        let (mut having, mut known, mut files) = (Vec::new(), Vec::new(), BTreeMap::new());
        for file in &searched {
            let Some(text) = text_of(site, texts, file)? else {
                continue;
            };
            let values = parse(file, &text)?;
            if values.get(&self.key).is_some() {
                having.push(file.clone());
            }
            known.extend(values.leaves().into_keys().map(|key| key.to_string()));
            files.insert(file.clone(), values);
        }
        match (&having[..], &searched[..]) {
            ([file], _) => Ok(file.clone()),
            ([], [file]) if self.add => {
                texts.entry(file.clone()).or_default();
                Ok(file.clone())
            }
            _ => Err(Error::UnknownParam {
                typed: self.typed.to_owned(),
                reason: self.lost(&having, &searched, &files),
                suggestion: closest_key(self.key.as_str(), known.iter().map(String::as_str))
                    .map(str::to_owned),
                having: having.iter().map(ToString::to_string).collect(),
            }),
        }
    }

    fn lost(
        &self,
        having: &[DepPath],
        searched: &[DepPath],
        files: &BTreeMap<DepPath, Value>,
    ) -> String {
        let list = |files: &[DepPath]| {
            let names: Vec<&str> = files.iter().map(DepPath::as_str).collect();
            names.join(", ")
        };
        if !having.is_empty() {
            return format!("several files have `{}`: {}", self.key, list(having));
        }
        let why = pipeline::why_lost(Some(&self.key), searched, files);
        why.unwrap_or_else(|| format!("no `{}` in {}", self.key, list(searched)))
    }
}

/// The text of a params file as it would be by now.
fn text_of(
    site: &Site<'_>,
    texts: &mut BTreeMap<DepPath, String>,
    file: &DepPath,
) -> Result<Option<String>> {
    if let Some(text) = texts.get(file) {
        return Ok(Some(text.clone()));
    }
    let Some(bytes) = fs::read_if_exists(&file.to_path(&site.layout.root))? else {
        return Ok(None);
    };
    // Says where it is no UTF-8, and all else that is wrong with it.
    metrics::parse(file.as_str(), &bytes)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    texts.insert(file.clone(), text.clone());
    Ok(Some(text))
}

fn parse(file: &DepPath, text: &str) -> Result<Value> {
    Ok(metrics::parse(file.as_str(), text.as_bytes())?)
}
