//! The reference says what the code does.

use super::*;
use crate::project::manifest::read as reader;

const REFERENCE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/esker-toml.md"));

/// The examples of the reference, each as a whole `esker.toml`.
pub(super) fn examples() -> Vec<String> {
    let examples = REFERENCE.split("```toml\n").skip(1);
    let examples = examples.map(|rest| rest.split("```").next().unwrap());
    let whole = |example: &str| match example.contains("[project]") {
        true => example.to_owned(),
        false => with_project(example),
    };
    examples.map(whole).collect()
}

#[test]
fn each_example_is_read() {
    let examples = examples();
    assert_eq!(examples.len(), 9);
    for example in examples {
        if let Err(error) = Manifest::parse(&example) {
            panic!("{}\n{example}", shown(&error));
        }
    }
}

#[test]
fn each_key_has_a_row_and_each_row_a_key() {
    let sections = [
        ("## `[project]`", reader::PROJECT.to_vec()),
        ("## `[env]`", reader::ENV.to_vec()),
        ("## `[data.\"PATH\"]`", reader::DATA.to_vec()),
        ("## `[stage.NAME]`", stage::KNOWN.to_vec()),
        ("### A table in `outs`", stage::KNOWN_OUT.to_vec()),
        ("## `[metrics]`", reader::METRICS.to_vec()),
        (
            "## `[remote.NAME]`",
            RemoteKey::ALL.map(RemoteKey::name).to_vec(),
        ),
    ];
    for (title, mut known) in sections {
        let (_, text) = REFERENCE.split_once(title).unwrap();
        let rows = text.lines().skip_while(|line| !line.starts_with("|---"));
        let mut documented: Vec<&str> = rows
            .skip(1)
            .take_while(|line| line.starts_with("| `"))
            .map(|line| line.split('`').nth(1).unwrap())
            .collect();
        documented.sort_unstable();
        known.sort_unstable();
        assert_eq!(documented, known, "{title}");
    }
}

#[test]
fn each_error_of_the_table_is_said() {
    let (_, table) = REFERENCE
        .split_once("| written | said |\n|---|---|\n")
        .unwrap();
    let rows: Vec<&str> = table
        .lines()
        .take_while(|line| line.starts_with('|'))
        .collect();
    assert!(rows.len() > 25);
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        let [written, said] = cells[..] else {
            panic!("{row}")
        };
        let [written, said] = [written, said].map(|cell| {
            let inner = cell.trim().strip_prefix("``").unwrap();
            inner.strip_suffix("``").unwrap().trim()
        });
        let found = refusal(&format!("{written}\n[project]\nid = \"{ID}\"\n"));
        assert_eq!(found.lines().next().unwrap(), said, "{row}");
    }
}
