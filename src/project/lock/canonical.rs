//! Reads a lock as esker writes it, line by line, many times faster than any TOML can be read.
//!
//! It takes nothing but the one text of a lock (`docs/format.md`, "Its one text"): whatever else is
//! met, a person's edit or damage, ends it, and the reader of all TOML begins anew. So it never
//! complains, and what it does read, that one reads in the same way.

use std::borrow::Cow;
use std::collections::BTreeMap;

use litemap::LiteMap;

use super::read::{is_stage_name, to_value};
use super::write::HEAD;
use super::{DepHash, Lock, Recorded, StageRecord, run_line};
use crate::path::{DepPath, RelPath};
use crate::project::manifest::Command;
use crate::value::{Leaves, Value, unquote_prefix};

/// Reads a lock; `None` if it is not in the written form.
pub(super) fn parse(text: &str) -> Option<Lock> {
    let mut lines = Lines {
        rest: text.strip_prefix(HEAD)?.strip_prefix("version = 1\n")?,
    };
    let mut lock = Lock::default();
    while let Some(name) = lines.header(["data."]) {
        let path = RelPath::parse(&whole(name, key)?).ok()?;
        insert(&mut lock.data, path, lines.recorded()?)?;
    }
    let mut stages: Vec<(String, StageRecord)> = Vec::new();
    while let Some(block) = lines.rest.strip_prefix('\n') {
        let header = lines.header(["stage."])?;
        let name = whole(header, key)?;
        let follows = stages.last().is_none_or(|(last, _)| **last < *name);
        if !follows || !is_stage_name(&name) {
            return None;
        }
        stages.push((name.into_owned(), lines.stage(header, block)?));
    }
    // They are in order, so that the nodes of the map come out full.
    lock.stages = stages.into_iter().collect();
    lines.rest.is_empty().then_some(lock)
}

struct Lines<'t> {
    rest: &'t str,
}

impl<'t> Lines<'t> {
    /// The rest of the next header, if that begins so; the blank line before it goes too.
    fn header<const N: usize>(&mut self, begin: [&str; N]) -> Option<&'t str> {
        let mut rest = self.rest.strip_prefix("\n[")?;
        for part in begin {
            rest = rest.strip_prefix(part)?;
        }
        let (line, rest) = rest.split_once('\n')?;
        let name = line.strip_suffix(']')?;
        self.rest = rest;
        Some(name)
    }

    /// The next line of a table; `None` behind the last one.
    fn line(&mut self) -> Option<&'t str> {
        let (line, rest) = self.rest.split_once('\n')?;
        if line.is_empty() {
            return None;
        }
        self.rest = rest;
        Some(line)
    }

    /// The value of a line that must be the next one.
    fn value(&mut self, key: &str) -> Option<&'t str> {
        self.value_if(key)?
    }

    /// The value of a line that may be the next one.
    fn value_if(&mut self, key: &str) -> Option<Option<&'t str>> {
        let Some(rest) = self.rest.strip_prefix(key) else {
            return Some(None);
        };
        let (value, rest) = rest.strip_prefix(" = ")?.split_once('\n')?;
        self.rest = rest;
        Some(Some(value))
    }

    /// The block of the stage whose header says so, and was the beginning of `block`. What the run
    /// line binds together stands in the text as it would be written to be hashed: all before it,
    /// and all from the tables up to the metrics.
    fn stage(&mut self, header: &str, block: &'t str) -> Option<StageRecord> {
        let mut record = StageRecord {
            cmd: self.command()?,
            ..StageRecord::default()
        };
        if let Some(wdir) = self.value_if("wdir")? {
            record.wdir = Some(RelPath::parse(&whole(wdir, string)?).ok()?.to_string());
        }
        let head = self.read_of(block);
        record.run = whole(self.value("run")?, string)?.into_owned();
        let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if record.run.len() != 16 || !record.run.bytes().all(digit) {
            return None;
        }
        record.adopted = self.truth("adopted")?;
        let tables = self.rest;
        self.tables(header, &mut record)?;
        let tables = self.read_of(tables);
        record.mixed = record.run != run_line(&[head.as_bytes(), tables.as_bytes()]);
        self.metrics(header, &mut record)?;
        Some(record)
    }

    /// What of a text that reaches to the end is read by now.
    fn read_of(&self, text: &'t str) -> &'t str {
        &text[..text.len() - self.rest.len()]
    }

    fn command(&mut self) -> Option<Command> {
        let value = self.value("cmd")?;
        match value {
            "[]" => return Some(Command::Many(Vec::new())),
            "[" => {}
            _ => return Some(Command::One(whole(value, string)?.into_owned())),
        }
        let mut scripts = Vec::new();
        loop {
            match self.line()? {
                "]" if scripts.is_empty() => return None,
                "]" => return Some(Command::Many(scripts)),
                line => {
                    let script = line.strip_prefix("  ")?.strip_suffix(',')?;
                    scripts.push(whole(script, string)?.into_owned());
                }
            }
        }
    }

    /// The tables of a stage but for its metrics, in their order.
    fn tables(&mut self, header: &str, record: &mut StageRecord) -> Option<()> {
        if let Some(rest) = self.header(["stage.", header, ".deps"]) {
            self.entries(rest, |key, value| {
                append(
                    &mut record.deps,
                    DepPath::parse(&key).ok()?,
                    dep_hash(value)?,
                )
            })?;
        }
        if let Some(rest) = self.header(["stage.", header, ".env"]) {
            self.entries(rest, |key, value| {
                let value = whole(value, string)?.into_owned();
                append(&mut record.env, key.into_owned(), value)
            })?;
        }
        while let Some(name) = self.header(["stage.", header, ".params."]) {
            let file = DepPath::parse(&whole(name, key)?).ok()?;
            append(&mut record.params, file, self.leaves()?)?;
        }
        while let Some(name) = self.header(["stage.", header, ".outs."]) {
            let path = RelPath::parse(&whole(name, key)?).ok()?;
            append(&mut record.outs, path.clone(), self.recorded()?)?;
            match self.value_if("store")? {
                None => {}
                Some("false") => drop(record.unstored.insert(path)),
                Some(_) => return None,
            }
        }
        Some(())
    }

    fn metrics(&mut self, header: &str, record: &mut StageRecord) -> Option<()> {
        while let Some(name) = self.header(["stage.", header, ".metrics."]) {
            let file = RelPath::parse(&whole(name, key)?).ok()?;
            let leaves = self.leaves()?;
            let number =
                |value: &Value| matches!(value, Value::Bool(_)) || value.as_f64().is_some();
            if !leaves.values().all(number) {
                return None;
            }
            append(&mut record.metrics, file, leaves)?;
        }
        Some(())
    }

    /// The lines of a table, of which there is one at least. `rest` is what stands in its header
    /// behind its name: nothing.
    fn entries(
        &mut self,
        rest: &str,
        mut take: impl FnMut(Cow<'t, str>, &'t str) -> Option<()>,
    ) -> Option<()> {
        if !rest.is_empty() || self.rest.is_empty() || self.rest.starts_with('\n') {
            return None;
        }
        while let Some(line) = self.line() {
            let (key, rest) = key(line)?;
            take(key, rest.strip_prefix(" = ")?)?;
        }
        Some(())
    }

    fn leaves(&mut self) -> Option<Leaves> {
        let mut leaves = Leaves::new();
        self.entries("", |key, text| {
            let value = value(text)?;
            if matches!(&value, Value::Table(table) if !table.is_empty()) {
                return None;
            }
            insert(&mut leaves, key.parse().ok()?, value)
        })?;
        Some(leaves)
    }

    fn recorded(&mut self) -> Option<Recorded> {
        let recorded = Recorded {
            hash: whole(self.value("hash")?, string)?.parse().ok()?,
            size: count(self.value("size")?)?,
            files: match self.value_if("files")? {
                Some(text) => Some(count(text)?),
                None => None,
            },
            exec: self.truth("exec")?,
        };
        (!recorded.exec || recorded.files.is_none()).then_some(recorded)
    }

    /// A flag, which is written only if it is true.
    fn truth(&mut self, key: &str) -> Option<bool> {
        match self.value_if(key)? {
            None => Some(false),
            Some("true") => Some(true),
            Some(_) => None,
        }
    }
}

/// Puts in what must come after all that is there; so nothing can stand twice.
fn insert<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: V) -> Option<()> {
    if map.last_key_value().is_some_and(|(last, _)| *last >= key) {
        return None;
    }
    map.insert(key, value);
    Some(())
}

/// The same for a sorted list.
fn append<K: Ord, V>(map: &mut LiteMap<K, V>, key: K, value: V) -> Option<()> {
    map.try_append(key, value).is_none().then_some(())
}

/// Reads a text to its end.
fn whole<'t>(
    text: &'t str,
    read: impl Fn(&'t str) -> Option<(Cow<'t, str>, &'t str)>,
) -> Option<Cow<'t, str>> {
    let (read, rest) = read(text)?;
    rest.is_empty().then_some(read)
}

/// A bare key or a string, and what follows it.
fn key(text: &str) -> Option<(Cow<'_, str>, &str)> {
    if text.starts_with('"') {
        return string(text);
    }
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let end = text.bytes().position(|byte| !bare(byte));
    let (key, rest) = text.split_at(end.unwrap_or(text.len()));
    (!key.is_empty()).then_some((Cow::Borrowed(key), rest))
}

/// A string in quotes, and what follows it.
fn string(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let body = text.strip_prefix('"')?;
    let control = |byte: u8| byte < 0x20 || byte == 0x7f;
    let special = |byte: u8| matches!(byte, b'"' | b'\\') || control(byte);
    let end = body.bytes().position(special)?;
    match body.as_bytes()[end] {
        b'"' => Some((Cow::Borrowed(&body[..end]), &body[end + 1..])),
        b'\\' if !body.bytes().any(control) => {
            let (text, rest) = unquote_prefix(text)?;
            Some((Cow::Owned(text), rest))
        }
        _ => None,
    }
}

fn dep_hash(text: &str) -> Option<DepHash> {
    let text = whole(text, string)?;
    let (id, exec) = match text.strip_suffix("+x") {
        Some(id) => (id, true),
        None => (&*text, false),
    };
    let hash = id.parse().ok()?;
    Some(DepHash { hash, exec })
}

fn count(text: &str) -> Option<u64> {
    match number(text)? {
        Value::Int(number) => u64::try_from(number).ok(),
        _ => None,
    }
}

/// A value of a params or metrics file. Those that are rare are left to the reader of TOML.
fn value(text: &str) -> Option<Value> {
    match text.as_bytes().first()? {
        b'"' => whole(text, string).map(|text| Value::String(text.into_owned())),
        b't' if text == "true" => Some(Value::Bool(true)),
        b'f' if text == "false" => Some(Value::Bool(false)),
        _ => number(text).or_else(|| to_value(&text.parse().ok()?)),
    }
}

/// A number of digits, perhaps with a fraction and an exponent.
fn number(text: &str) -> Option<Value> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let n_whole = digits(unsigned);
    let (whole, mut rest) = unsigned.split_at(n_whole);
    if n_whole == 0 || (n_whole > 1 && whole.starts_with('0')) {
        return None;
    }
    if rest.is_empty() {
        return text.parse().ok().map(Value::Int);
    }
    for begin in [".", "e"] {
        if let Some(part) = rest.strip_prefix(begin) {
            let part = match begin {
                "e" => part.strip_prefix('-').unwrap_or(part),
                _ => part,
            };
            let n_digits = digits(part);
            if n_digits == 0 {
                return None;
            }
            rest = &part[n_digits..];
        }
    }
    let number: f64 = text.parse().ok()?;
    (rest.is_empty() && number.is_finite()).then_some(Value::Float(number))
}

#[cfg(test)]
mod tests {
    use super::super::{read, strategy};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn other_forms_of_the_same_are_left_to_the_reader_of_toml() {
        let id = "b3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        let text = format!(
            "{HEAD}version = 1\n\n[data.a]\nhash = \"{id}\"\nsize = 0\n\n[stage.s]\ncmd = [\n  \"x\",\n]\n\
             run = \"0123456789abcdef\"\n\n[stage.s.deps]\n\"a b\" = \"{id}+x\"\nc = \"{id}\"\n\n\
             [stage.s.env]\nA = \"\\u0001\"\n\n[stage.s.params.p]\na = 1\n\n[stage.s.outs.o]\nhash = \"{id}\"\nsize = 0\nexec = true\n"
        );
        let lock = parse(&text).expect("this is the written form");
        assert_eq!(lock, read::toml(&text).unwrap());
        let table = [
            (HEAD, ""),
            ("version = 1\n", "version = 1 \n"),
            ("version = 1", "version = 2"),
            ("\n\n[data.a]", "\n[data.a]"),
            ("[data.a]", "[ data.a ]"),
            ("[data.a]", "[data.\"../a\"]"),
            ("[data.a]", "[data.a.b]"),
            ("size = 0\n", "size = 00\n"),
            ("size = 0\n", "size = 0.0\n"),
            ("size = 0\n", "size = 9223372036854775808\n"),
            ("size = 0\n", "files = 0\nsize = 0\n"),
            ("exec = true", "exec = false"),
            ("exec = true", "files = 1\nexec = true"),
            ("exec = true\n", "exec = true"),
            ("exec = true\n", "exec = true\n\n"),
            ("exec = true\n", "exec = true\r\n"),
            ("exec = true\n", "exec = true # so\n"),
            ("[stage.s]", "[stage.-s]"),
            ("[stage.s.deps]", "[stage.t.deps]"),
            ("[stage.s.deps]", "[stage.s.depsx]"),
            ("[stage.s.env]\nA = \"\\u0001\"\n", "[stage.s.env]\n"),
            ("[stage.s.env]\n", "[stage.s.env]\nA = \"\"\n"),
            ("[stage.s.env]", "[stage.s.deps]"),
            ("\\u0001", "\u{1}"),
            ("\\u0001", "\\ud800"),
            ("0123456789abcdef", "0123456789ABCDEF"),
            ("c = \"b3", "a = \"b3"),
            ("c = \"b3", "c = 'b3"),
            ("  \"x\",\n", ""),
            ("a = 1\n", "a = \n"),
            ("a = 1\n", "a = {b = 1}\n"),
            ("a = 1\n", "a = 1\n<<<<<<< ours\n"),
        ];
        for (old, new) in table {
            let other = text.replacen(old, new, 1);
            assert_ne!(other, text, "{old}");
            assert_eq!(parse(&other), None, "{other}");
        }
    }

    #[test]
    fn numbers_are_those_of_toml() {
        let table = [
            "0",
            "-0",
            "7",
            "-7",
            "007",
            "+7",
            "1_0",
            "0x1",
            "1.",
            ".1",
            "1.5",
            "-1.5",
            "1e5",
            "1e-5",
            "1.0e05",
            "1e",
            "1.e1",
            "1e999",
            "9223372036854775807",
            "9223372036854775808",
            "nan",
            "-inf",
            "1 ",
            " 1",
            "--1",
            "1-",
        ];
        for text in table {
            if let Some(number) = number(text) {
                let toml = text.parse().ok().and_then(|value| to_value(&value));
                assert_eq!(Some(number), toml, "{text}");
            }
        }
        for text in ["0", "-7", "1.5", "1e-5", "9223372036854775807"] {
            assert!(number(text).is_some(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(lock in strategy::lock()) {
            let text = lock.to_text();
            prop_assert_eq!(parse(&text), Some(lock));
        }

        #[test]
        fn what_is_read_after_an_edit_is_what_toml_says(
            lock in strategy::lock(),
            edits in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>(), "[ \n\"\\[\\].=a01e,{}#\\\\-]{0,3}"), 1..4),
        ) {
            let mut text: Vec<char> = lock.to_text().chars().collect();
            for (at, replaces, new) in edits {
                let at = at.index(text.len());
                text.splice(at..at + usize::from(replaces), new.chars());
            }
            let text: String = text.into_iter().collect();
            if let Some(lock) = parse(&text) {
                prop_assert_eq!(read::toml(&text).unwrap(), lock, "{}", text);
            }
        }

        #[test]
        fn what_is_read_after_lines_moved_is_what_toml_says(
            lock in strategy::lock(),
            moves in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<bool>()), 1..3),
        ) {
            let text = lock.to_text();
            let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
            for (from, to, stays) in moves {
                let from = from.index(lines.len());
                let line = lines[from];
                if !stays {
                    lines.remove(from);
                }
                lines.insert(to.index(lines.len() + 1), line);
            }
            let text = lines.concat();
            if let Some(lock) = parse(&text) {
                prop_assert_eq!(read::toml(&text).unwrap(), lock, "{}", text);
            }
        }
    }
}
