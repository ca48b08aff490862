//! esker's block in `.gitignore`, and its line in `.gitattributes`.

use std::collections::BTreeSet;

use crate::path::RelPath;

const BEGIN: &str = "# esker: begin";
const END: &str = "# esker: end";

/// The text of a `.gitignore` with exactly one block that ignores `paths` (sorted by their bytes,
/// one `/path` a line, glob characters escaped); all other lines stay. No paths: no block.
///
/// The block stands where the first one stood, else at the end, and has the line ends of the
/// first line of the file. A path of which [`can_be_ignored`] is false is left out.
pub fn ignore_block(old: &str, paths: &[RelPath]) -> String {
    let end_of_line = end_of_line(old);
    let lines: Vec<&str> = old.split_inclusive('\n').collect();
    let (kept, place) = without_blocks(&lines);
    let (before, after) = kept.split_at(place.unwrap_or(kept.len()));
    let mut text = before.concat();
    let paths: BTreeSet<&RelPath> = paths.iter().filter(|path| can_be_ignored(path)).collect();
    if !paths.is_empty() {
        finish_line(&mut text, end_of_line);
        let patterns = paths.into_iter().map(pattern);
        for line in [BEGIN.to_owned()].into_iter().chain(patterns) {
            text.push_str(&line);
            text.push_str(end_of_line);
        }
        text.push_str(END);
        text.push_str(end_of_line);
    }
    text.push_str(&after.concat());
    text
}

/// Whether a line of `.gitignore` can name a path: not one with a newline in it.
pub fn can_be_ignored(path: &RelPath) -> bool {
    !path.as_str().contains('\n')
}

/// The text of a `.gitattributes` with a line; unchanged if it is there.
pub fn ensure_attribute(old: &str, line: &str) -> String {
    if old.lines().any(|present| present.trim() == line) {
        return old.to_owned();
    }
    let end_of_line = end_of_line(old);
    let mut text = old.to_owned();
    finish_line(&mut text, end_of_line);
    text.push_str(line);
    text.push_str(end_of_line);
    text
}

/// The lines outside all blocks, and how many of them stand before the first block.
///
/// A merge of two branches with the `union` driver can leave two blocks, or one marker twice; so
/// a block ends at the last end marker before the next begin marker. A begin marker that no end
/// marker follows takes nothing but itself away: what stands below it may be a person's.
fn without_blocks<'a>(lines: &[&'a str]) -> (Vec<&'a str>, Option<usize>) {
    let mut kept = Vec::new();
    let mut place = None;
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        if is_marker(line, BEGIN) {
            place.get_or_insert(kept.len());
            let rest = &lines[at + 1..];
            let length = rest.iter().position(|line| is_marker(line, END));
            at += length.map_or(0, |length| length + 1);
        } else if is_marker(line, END) {
            place.get_or_insert(kept.len());
        } else {
            kept.push(*line);
        }
        at += 1;
    }
    (kept, place)
}

fn is_marker(line: &str, marker: &str) -> bool {
    line.trim() == marker
}

fn end_of_line(text: &str) -> &'static str {
    let first = text.split_inclusive('\n').next().unwrap_or_default();
    if first.ends_with("\r\n") {
        "\r\n"
    } else {
        "\n"
    }
}

fn finish_line(text: &mut String, end_of_line: &str) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push_str(end_of_line);
    }
}

/// A pattern that matches one path and nothing else: anchored by its `/`, which also keeps `#`
/// and `!` from meaning something. Git and libgit2 cut blanks from the end of a line, both cut a
/// carriage return there even after a backslash, and libgit2 ends a pattern at a vertical tab or
/// a form feed.
fn pattern(path: &RelPath) -> String {
    let text = path.as_str();
    let stem = text.trim_end_matches([' ', '\t']);
    let mut pattern = String::from("/");
    for (at, c) in text.char_indices() {
        let is_last = at + c.len_utf8() == text.len();
        match c {
            '\r' if is_last => pattern.push_str("[\r]"),
            '\\' | '*' | '?' | '[' | '\u{b}' | '\u{c}' => pattern.extend(['\\', c]),
            ' ' | '\t' if at >= stem.len() => pattern.extend(['\\', c]),
            _ => pattern.push(c),
        }
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::tests::Sandbox;
    use proptest::prelude::*;

    fn paths(texts: &[&str]) -> Vec<RelPath> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn the_block_is_sorted_and_replaced_in_place() {
        let two = paths(&["models/m.bin", "data/raw", "models/m.bin"]);
        let block = "# esker: begin\n/data/raw\n/models/m.bin\n# esker: end\n";
        let cases = [
            ("", block.to_owned()),
            ("*.log\n", format!("*.log\n{block}")),
            ("*.log", format!("*.log\n{block}")),
            (
                "a\n# esker: begin\n/old\n# esker: end\nb",
                format!("a\n{block}b"),
            ),
            (
                "a\n# esker: begin\n/x\n# esker: end\nb\n# esker: begin\n/y\n# esker: end\n",
                format!("a\n{block}b\n"),
            ),
            // An end marker is gone: what a person wrote stays.
            ("# esker: begin\n/x\n*.log\n", format!("{block}/x\n*.log\n")),
            ("a\n# esker: end\nb\n", format!("a\n{block}b\n")),
        ];
        for (old, expected) in cases {
            let new = ignore_block(old, &two);
            assert_eq!(new, expected, "{old:?}");
            assert_eq!(ignore_block(&new, &two), new, "again: {old:?}");
        }
    }

    #[test]
    fn without_paths_there_is_no_block() {
        let old = "a\n# esker: begin\n/x\n# esker: end\nb\n";
        assert_eq!(ignore_block(old, &[]), "a\nb\n");
        assert_eq!(ignore_block("a", &[]), "a");
        assert_eq!(ignore_block("", &paths(&["a\nb"])), "");
    }

    #[test]
    fn a_file_of_windows_keeps_its_line_ends() {
        let new = ignore_block("a\r\nb", &paths(&["x"]));
        assert_eq!(new, "a\r\nb\r\n# esker: begin\r\n/x\r\n# esker: end\r\n");
        assert_eq!(ignore_block(&new, &[]), "a\r\nb\r\n");
        assert_eq!(ensure_attribute("a b\r\n", "c d"), "a b\r\nc d\r\n");
    }

    #[test]
    fn an_attribute_is_added_once() {
        let line = ".gitignore merge=union";
        let cases = [
            ("", ".gitignore merge=union\n"),
            ("*.x binary", "*.x binary\n.gitignore merge=union\n"),
            (
                "  .gitignore merge=union \n*.x y\n",
                "  .gitignore merge=union \n*.x y\n",
            ),
        ];
        for (old, expected) in cases {
            assert_eq!(ensure_attribute(old, line), expected);
        }
    }

    /// The paths of `all` that the real git ignores.
    fn ignored_by_git(sandbox: &Sandbox, all: &[RelPath]) -> Vec<String> {
        let names: Vec<&str> = all.iter().map(RelPath::as_str).collect();
        let arguments = ["check-ignore", "--no-index", "-z", "--stdin"];
        let input = names.join("\0");
        let output = sandbox.git_reading(&sandbox.root(), &arguments, input.as_bytes());
        assert_ne!(output.status.code(), Some(128), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        text.split_terminator('\0').map(str::to_owned).collect()
    }

    /// Names that mean something in `.gitignore`, each followed by one that a careless pattern
    /// for it would match too.
    const HARD: [&str; 32] = [
        "a*b",
        "aXb",
        "what?",
        "whatX",
        "[ab]",
        "a",
        "x[",
        "x",
        "#hash",
        "hash",
        "!not",
        "not",
        "back\\slash",
        "backslash",
        "end ",
        "end",
        "two  ",
        "two ",
        "tab\t",
        "tab",
        "cr\r",
        "cr",
        "\u{b}vt",
        "vt",
        "v\u{c}t",
        "v",
        "**",
        "é日本",
        "b\\ ",
        "b\\",
        "d/e f/g",
        "e f/g",
    ];

    #[test]
    fn git_ignores_exactly_the_named_paths() {
        for eol in ["", "old\r\n"] {
            let sandbox = Sandbox::new();
            let all = paths(&HARD);
            let wanted: Vec<RelPath> = all.iter().step_by(2).cloned().collect();
            sandbox.write(".gitignore", &ignore_block(eol, &wanted));
            let expected: Vec<&str> = wanted.iter().map(RelPath::as_str).collect();
            assert_eq!(ignored_by_git(&sandbox, &all), expected);
        }
    }

    #[test]
    fn libgit2_ignores_exactly_the_named_paths() {
        for eol in ["", "old\r\n"] {
            let sandbox = Sandbox::new();
            let all = paths(&HARD);
            let wanted: Vec<RelPath> = all.iter().step_by(2).cloned().collect();
            sandbox.write(".gitignore", &ignore_block(eol, &wanted));
            let git = sandbox.open();
            let ignored = |path: &&RelPath| git.is_ignored(path.as_str()).unwrap();
            let found: Vec<RelPath> = all.iter().filter(ignored).cloned().collect();
            assert_eq!(found, wanted);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn any_name_is_ignored_alone(names in prop::collection::btree_set("[a*?\\[\\]!#\\\\ \t\r~é/-]{1,8}", 1..40)) {
            let all: Vec<RelPath> = names.iter().filter_map(|name| RelPath::parse(name).ok()).collect();
            let wanted: Vec<RelPath> = all.iter().step_by(2).cloned().collect();
            // What lies below an ignored path is ignored with it.
            let expected: Vec<String> = all
                .iter()
                .filter(|path| wanted.iter().any(|dir| path.starts_with(dir)))
                .map(ToString::to_string)
                .collect();
            let sandbox = Sandbox::new();
            for path in &wanted {
                // Only a directory can have something below it.
                if all.iter().any(|other| other != path && other.starts_with(path)) {
                    crate::fs::create_dir_all(&path.to_path(&sandbox.root())).unwrap();
                }
            }
            sandbox.write(".gitignore", &ignore_block("", &wanted));
            prop_assert_eq!(ignored_by_git(&sandbox, &all), expected);
        }

        #[test]
        fn the_rest_of_the_file_stays(old in "([a-c]{0,3}\n){0,5}", names in prop::collection::vec("[a-c]{1,3}", 0..4)) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let new = ignore_block(&old, &paths(&names));
            prop_assert_eq!(ignore_block(&new, &[]), old);
            prop_assert_eq!(ignore_block(&new, &paths(&names)), new);
        }
    }
}
