//! What esker last put at each tracked path: the baseline of the next checkout.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::{Error, Result, read_tree};
use crate::fs;
use crate::hash::{BlobId, TreeId};
use crate::path::RelPath;
use crate::store::{self, Store};
use crate::tree::{Entry, Tree};

const VERSION: u64 = 1;

/// Tracked paths and what was put there: the id of a file, or of a tree in the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placed {
    /// By path.
    pub paths: BTreeMap<RelPath, PlacedItem>,
}

/// What was put at one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlacedItem {
    /// A file.
    File {
        /// Its id.
        id: BlobId,
        /// Its length.
        size: u64,
        /// Whether it is executable.
        exec: bool,
    },
    /// A directory.
    Dir(TreeId),
}

impl Placed {
    /// Reads it; a missing one is empty. A damaged one is an error naming the file.
    pub fn load(path: &Path) -> Result<Self> {
        let Some(bytes) = fs::read_if_exists(path)? else {
            return Ok(Self::default());
        };
        parse(&bytes).map_err(|reason| Error::Placed {
            path: path.to_path_buf(),
            reason,
        })
    }

    /// Writes it in one step.
    pub fn save(&self, path: &Path) -> Result<()> {
        let paths: Map<String, Value> = self
            .paths
            .iter()
            .map(|(path, item)| (path.to_string(), item.to_json()))
            .collect();
        let text = json!({ "version": VERSION, "paths": paths });
        Ok(fs::replace(path, format!("{text:#}\n").as_bytes())?)
    }

    /// All entries of all paths as one tree of the project. A tree the store no longer has
    /// counts as nothing placed.
    pub fn to_tree(&self, store: &Store) -> Result<Tree> {
        let mut entries = Vec::new();
        for (path, item) in &self.paths {
            match item {
                &PlacedItem::File { id, size, exec } => {
                    entries.push((path.clone(), Entry::File { id, size, exec }));
                }
                PlacedItem::Dir(id) => match read_tree(store, *id) {
                    Ok(tree) => entries.append(&mut tree.into_below(path)),
                    Err(Error::Store(store::Error::Missing(_))) => {}
                    Err(error) => return Err(error),
                },
            }
        }
        Ok(Tree::new(entries)?)
    }
}

impl PlacedItem {
    fn to_json(&self) -> Value {
        match self {
            Self::File { id, size, exec } => json!({ "file": id, "size": size, "exec": exec }),
            Self::Dir(id) => json!({ "dir": id }),
        }
    }

    fn from_json(value: &Value) -> Option<Self> {
        let fields = value.as_object()?;
        if fields.len() == 1 {
            let id = fields.get("dir")?.as_str()?.parse().ok()?;
            return Some(Self::Dir(id));
        }
        let item = Self::File {
            id: fields.get("file")?.as_str()?.parse().ok()?,
            size: fields.get("size")?.as_u64()?,
            exec: fields.get("exec")?.as_bool()?,
        };
        (fields.len() == 3).then_some(item)
    }
}

fn parse(bytes: &[u8]) -> std::result::Result<Placed, String> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    match value.get("version").and_then(Value::as_u64) {
        Some(VERSION) => {}
        Some(newer) if newer > VERSION => {
            return Err(format!("version {newer} is newer than this esker"));
        }
        _ => return Err("it has no version".to_owned()),
    }
    let paths = value.get("paths").and_then(Value::as_object);
    let paths = paths.ok_or("it has no paths")?;
    let mut placed = Placed::default();
    for (text, item) in paths {
        let path = RelPath::parse(text).map_err(|error| error.to_string())?;
        let item = PlacedItem::from_json(item)
            .ok_or_else(|| format!("`{text}` is neither a file nor a directory"))?;
        placed.paths.insert(path, item);
    }
    Ok(placed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Digest;
    use crate::workspace::write_tree;

    fn path(text: &str) -> RelPath {
        RelPath::parse(text).unwrap()
    }

    fn file(content: &[u8], exec: bool) -> PlacedItem {
        PlacedItem::File {
            id: BlobId(Digest::of(content)),
            size: content.len() as u64,
            exec,
        }
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("placed");
        assert_eq!(Placed::load(&at).unwrap(), Placed::default());
        let mut placed = Placed::default();
        placed.paths.insert(path("m.pkl"), file(b"model", true));
        placed.paths.insert(path("d \"q\"/x"), file(b"", false));
        let tree = TreeId(Digest::of(b"any"));
        placed.paths.insert(path("raw"), PlacedItem::Dir(tree));
        placed.save(&at).unwrap();
        assert_eq!(Placed::load(&at).unwrap(), placed);
    }

    #[test]
    fn damage_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("placed");
        let hex = Digest::of(b"").to_hex();
        let cases = [
            (String::new(), "EOF"),
            ("{".to_owned(), "EOF"),
            ("[]".to_owned(), "no version"),
            (r#"{"version":0,"paths":{}}"#.to_owned(), "no version"),
            (r#"{"version":2,"paths":{}}"#.to_owned(), "newer"),
            (r#"{"version":1}"#.to_owned(), "no paths"),
            (r#"{"version":1,"paths":{"../x":{}}}"#.to_owned(), "outside"),
            (
                r#"{"version":1,"paths":{"x":{"dir":"zz"}}}"#.to_owned(),
                "neither",
            ),
            (r#"{"version":1,"paths":{"x":7}}"#.to_owned(), "neither"),
            (
                format!(
                    r#"{{"version":1,"paths":{{"x":{{"file":"{hex}","size":-1,"exec":true}}}}}}"#
                ),
                "neither",
            ),
        ];
        for (text, expected) in cases {
            fs::replace(&at, text.as_bytes()).unwrap();
            let message = Placed::load(&at).unwrap_err().to_string();
            assert!(message.contains("placed` is damaged"), "{message}");
            assert!(message.contains(expected), "{text}: {message}");
        }
    }

    #[test]
    fn a_tree_the_store_lost_counts_as_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path());
        let entry = Entry::File {
            id: BlobId(Digest::of(b"x")),
            size: 1,
            exec: false,
        };
        let tree = Tree::new(vec![(path("x"), entry.clone())]).unwrap();
        let mut placed = Placed::default();
        let id = write_tree(&store, &tree).unwrap();
        placed.paths.insert(path("kept"), PlacedItem::Dir(id));
        let lost = TreeId(Digest::of(b"lost"));
        placed.paths.insert(path("lost"), PlacedItem::Dir(lost));
        placed.paths.insert(path("file"), file(b"y", false));
        let all = placed.to_tree(&store).unwrap();
        let paths: Vec<&str> = all.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["file", "kept/x"]);
        assert_eq!(all.get(&path("kept/x")), Some(&entry));
    }
}
