//! Keeps the rooms of `src/` to the table of `docs/architecture.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What the table says of a room.
struct Room {
    level: u32,
    may_import: BTreeSet<String>,
}

#[test]
fn rooms_import_only_what_the_table_allows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/architecture.md")).unwrap();
    let rooms = rooms(&page);
    for (name, room) in &rooms {
        for import in &room.may_import {
            let below = rooms
                .get(import)
                .is_some_and(|other| other.level < room.level);
            assert!(
                below,
                "the table lets `{name}` import `{import}`, which is not below it"
            );
        }
    }
    let mut seen = BTreeSet::new();
    let mut wrong = BTreeSet::new();
    for file in rust_files(&root.join("src")) {
        let inside = file.strip_prefix(root.join("src")).unwrap();
        let name = inside.iter().next().unwrap().to_str().unwrap();
        let name = name.trim_end_matches(".rs").to_owned();
        if ["lib", "main"].contains(&name.as_str()) {
            continue;
        }
        let allowed = rooms.get(&name).map(|room| &room.may_import);
        for import in imports(&fs::read_to_string(&file).unwrap()) {
            // The one place that turns the errors of all rooms into advice.
            let is_advice = inside.starts_with("cli/error");
            if import != name && !is_advice && allowed.is_none_or(|set| !set.contains(&import)) {
                wrong.insert(format!("{} uses `crate::{import}`", inside.display()));
            }
        }
        seen.insert(name);
    }
    assert!(wrong.is_empty(), "docs/architecture.md forbids: {wrong:#?}");
    let listed: BTreeSet<String> = rooms.into_keys().collect();
    assert_eq!(seen, listed, "the rooms of src/ and those of the table");
}

/// The rows `| level | room | may import | … |`, names in backticks.
fn rooms(page: &str) -> BTreeMap<String, Room> {
    let mut rooms = BTreeMap::new();
    for line in page.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let Ok(level) = cells[1].parse() else {
            continue;
        };
        let name = quoted(cells[2]).pop_first().unwrap();
        let may_import = quoted(cells[3]);
        let twice = rooms.insert(name, Room { level, may_import });
        assert!(twice.is_none(), "{line}");
    }
    rooms
}

fn quoted(cell: &str) -> BTreeSet<String> {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// The rooms that a file names: `crate::room…` and `crate::{room…, room…}`, comments left out.
fn imports(text: &str) -> BTreeSet<String> {
    let code = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("//"));
    let code: String = code.collect();
    let mut found = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let mut depth = 0;
        for (at, c) in rest.char_indices() {
            depth += i32::from(c == '{') - i32::from(c == '}');
            let starts_name = at == 0 && depth == 0 || depth == 1 && matches!(c, '{' | ',');
            if starts_name {
                found.insert(leading_name(rest[at..].trim_start_matches(['{', ',', ' '])));
            }
            if depth == 0 {
                break;
            }
        }
    }
    found.remove("");
    found
}

fn leading_name(text: &str) -> String {
    let is_name = |c: &char| c.is_alphanumeric() || *c == '_';
    text.chars().take_while(is_name).collect()
}

#[test]
fn every_form_of_an_import_is_seen() {
    let text = "use crate::fs::{self, Context};\n// crate::comment\nuse crate::{\n    hash::{A, B},\n    path,\n};\nfn f(x: crate::tree::Tree) -> crate::Top;\n";
    let expected = ["Top", "fs", "hash", "path", "tree"].map(str::to_owned);
    assert_eq!(imports(text), BTreeSet::from(expected));
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
