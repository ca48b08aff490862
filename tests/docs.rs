use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn every_error_code_stands_in_the_page_and_the_reverse() {
    let mut in_source = BTreeSet::new();
    for text in error_sources() {
        in_source.extend(codes(&text));
    }
    assert!(in_source.len() > 50, "{in_source:?}");
    let in_page: BTreeSet<String> = rows_of_errors().into_keys().collect();
    assert_eq!(in_page, in_source);
}

#[test]
fn the_page_gives_the_exit_code_of_every_error() {
    let numbers = exit_codes();
    let rows = rows_of_errors();
    let mut n_compared = 0;
    for text in error_sources() {
        for (code, name) in codes_with_exits(&text) {
            assert_eq!(rows[&code], numbers[&name], "{code}");
            n_compared += 1;
        }
    }
    assert!(n_compared > 50, "{n_compared}");
}

#[test]
fn every_relative_link_leads_to_a_file() {
    let mut n_links = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for link in links(&text) {
            if link.contains("://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match file {
                "" => page.clone(),
                file => page.parent().unwrap().join(file),
            };
            assert!(target.exists(), "{}: `{link}`", page.display());
            if !anchor.is_empty() {
                let there = anchors(&fs::read_to_string(&target).unwrap());
                assert!(there.contains(anchor), "{}: `{link}`", page.display());
            }
            n_links += 1;
        }
    }
    assert!(n_links > 20, "{n_links}");
}

#[test]
fn every_command_of_a_session_exists() {
    let reference = fs::read_to_string(root().join("docs/cli.md")).unwrap();
    let known: BTreeSet<&str> = reference
        .lines()
        .filter(|line| line.starts_with("##"))
        .filter_map(|line| line.split('`').nth(1)?.strip_prefix("esker "))
        .collect();
    assert!(known.contains("remote add"), "{known:?}");
    let mut n_commands = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for command in commands(&text) {
            let there = known.contains(command[0].as_str());
            assert!(there, "{}: `esker {}`", page.display(), command.join(" "));
            let has_subcommands = known
                .iter()
                .any(|name| name.starts_with(&format!("{} ", command[0])));
            let both = command.join(" ");
            let whole = !has_subcommands || known.contains(both.as_str());
            assert!(whole, "{}: `esker {both}`", page.display());
            n_commands += 1;
        }
    }
    assert!(n_commands > 20, "{n_commands}");
}

#[test]
fn every_test_that_a_scenario_names_exists() {
    let page = fs::read_to_string(root().join("docs/scenarios.md")).unwrap();
    let mut n_tests = 0;
    for row in page.lines().filter(|line| line.starts_with("| ")) {
        let code = row.split('`').skip(1).step_by(2);
        for name in code.filter(|code| code.contains("::")) {
            let (room, function) = name.rsplit_once("::").unwrap();
            let head = format!("fn {function}(");
            let is_there = sources(room).iter().any(|text| text.contains(&head));
            assert!(is_there, "`{name}`");
            n_tests += 1;
        }
    }
    assert!(n_tests > 70, "{n_tests}");
}

/// The files that a module named `a::b::tests` may lie in.
fn sources(module: &str) -> Vec<String> {
    let path = module.replace("::", "/");
    let outer = path.strip_suffix("/tests").unwrap_or(&path);
    let places = [
        format!("tests/{path}.rs"),
        format!("src/{path}.rs"),
        format!("src/{path}/mod.rs"),
        format!("src/{outer}.rs"),
        format!("src/{outer}/mod.rs"),
    ];
    let texts = places
        .iter()
        .map(|place| fs::read_to_string(root().join(place)));
    texts.filter_map(Result::ok).collect()
}

#[test]
fn the_readers_of_pages_see_what_they_should() {
    let text = "[a](b.md) `[no](code)` [c](d.md#e)\n```text\n[no](fence)\n```\n[f](https://g)\n";
    assert_eq!(links(text), ["b.md", "d.md#e", "https://g"]);
    let text = "# One `two`\n```text\n# no\n```\n## esker's A-B.c\n### One two\n";
    let expected = ["eskers-a-bc", "one-two", "one-two-1"].map(str::to_owned);
    assert_eq!(anchors(text), BTreeSet::from(expected));
    let text = "```console\n$ esker add x && esker remote add y\nesker no\n```\n```toml\n$ esker no\n```\n";
    assert_eq!(commands(text), [vec!["add", "x"], vec!["remote", "add"]]);
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The texts of `src/cli/error.rs` and of all below `src/cli/error/`.
fn error_sources() -> Vec<String> {
    let mut files = vec![root().join("src/cli/error.rs")];
    let below = fs::read_dir(root().join("src/cli/error")).unwrap();
    files.extend(below.map(|entry| entry.unwrap().path()));
    let texts = files
        .iter()
        .map(|file| fs::read_to_string(file).unwrap())
        .map(|text| without_comments(&text));
    texts.collect()
}

fn without_comments(text: &str) -> String {
    let lines = text.lines();
    let code = lines.filter(|line| !line.trim_start().starts_with("//"));
    code.collect::<Vec<_>>().join("\n")
}

/// All string literals that are codes.
fn codes(text: &str) -> BTreeSet<String> {
    text.split('"')
        .filter(|part| is_code(part))
        .map(str::to_owned)
        .collect()
}

fn is_code(text: &str) -> bool {
    text.len() == 5 && text.starts_with("E0") && text[1..].bytes().all(|byte| byte.is_ascii_digit())
}

/// Each `"E0101", CANNOT` or `"E0101", exit::CANNOT`: the code, and the constant's name.
fn codes_with_exits(text: &str) -> Vec<(String, String)> {
    let parts: Vec<&str> = text.split('"').collect();
    let pairs = parts.windows(2).filter(|pair| is_code(pair[0]));
    let named = pairs.filter_map(|pair| {
        let after = pair[1].trim_start().strip_prefix(',')?.trim_start();
        let after = after.strip_prefix("exit::").unwrap_or(after);
        let name = after.split(|c: char| !c.is_ascii_uppercase()).next()?;
        (!name.is_empty()).then(|| (pair[0].to_owned(), name.to_owned()))
    });
    named.collect()
}

/// The constants of `src/cli/exit.rs`.
fn exit_codes() -> BTreeMap<String, u8> {
    let text = fs::read_to_string(root().join("src/cli/exit.rs")).unwrap();
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("pub const "));
    let constants = lines.map(|line| {
        let (name, value) = line.split_once(": u8 = ").unwrap();
        let value = value.trim_end_matches(';').parse().unwrap();
        (name.to_owned(), value)
    });
    constants.collect()
}

/// The rows `` | `E0101` | 2 | … | … | `` of `docs/errors.md`.
fn rows_of_errors() -> BTreeMap<String, u8> {
    let page = fs::read_to_string(root().join("docs/errors.md")).unwrap();
    let mut rows = BTreeMap::new();
    for line in page.lines().filter(|line| line.starts_with("| `E")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
        let [code, exit, _, _] = cells[..] else {
            panic!("{line}")
        };
        let code = code.trim().trim_matches('`').to_owned();
        assert!(is_code(&code), "{line}");
        let twice = rows.insert(code, exit.trim().parse().unwrap());
        assert!(twice.is_none(), "{line}");
    }
    rows
}

/// `README.md` and all pages of `docs/`.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![root().join("README.md")];
    let mut dirs = vec![root().join("docs")];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    pages.sort();
    pages
}

/// Each line of a page, with the language of the code block it stands in.
fn lines(text: &str) -> Vec<(Option<&str>, &str)> {
    let mut language = None;
    let mut found = Vec::new();
    for line in text.lines() {
        match (line.trim_start().strip_prefix("```"), language) {
            (Some(name), None) => language = Some(name),
            (Some(_), Some(_)) => language = None,
            (None, _) => found.push((language, line)),
        }
    }
    found
}

/// The targets of `[text](target)`, outside of code.
fn links(text: &str) -> Vec<String> {
    let prose = lines(text)
        .into_iter()
        .filter(|(language, _)| language.is_none());
    let mut found = Vec::new();
    for (_, line) in prose {
        let spoken: String = line.split('`').step_by(2).collect();
        let targets = spoken.split("](").skip(1);
        found.extend(targets.filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())));
    }
    found
}

/// What a link can name in a page: its headings, as they are turned into anchors.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (language, line) in lines(text) {
        let Some((marks, title)) = line.split_once(' ') else {
            continue;
        };
        if language.is_some() || marks.is_empty() || !marks.bytes().all(|byte| byte == b'#') {
            continue;
        }
        let kept = title
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let name: String = kept.collect::<String>().to_lowercase().replace(' ', "-");
        let numbered = (1..).map(|number| format!("{name}-{number}"));
        let free = [name.clone()]
            .into_iter()
            .chain(numbered)
            .find(|name| !found.contains(name));
        found.extend(free);
    }
    found
}

/// The first two words after each `esker` that a `console` block calls.
fn commands(text: &str) -> Vec<Vec<String>> {
    let session = lines(text).into_iter().filter_map(|(language, line)| {
        (language == Some("console"))
            .then_some(line)?
            .strip_prefix("$ ")
    });
    let calls = session.flat_map(|line| line.split(" && "));
    let words = calls.filter_map(|call| call.trim().strip_prefix("esker "));
    let words = words.filter(|rest| !rest.starts_with('-'));
    words
        .map(|rest| rest.split_whitespace().take(2).map(str::to_owned).collect())
        .collect()
}
