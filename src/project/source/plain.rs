//! Reads TOML as most people write it in `esker.toml`, many times faster than all of TOML can be
//! read.
//!
//! It takes headers, keys with one name, strings without escapes, whole numbers, booleans, lists and
//! tables on one line, and comments. Whatever else is met, be it the rest of TOML or a mistake, ends
//! it, and the reader of all TOML begins anew. So it never complains, and what it does read, that one
//! reads in the same way.

use std::borrow::Cow;

use super::tree::{Entry, Node, Table, Value};

/// How deep lists and inline tables may lie in each other.
const DEPTH: usize = 8;
/// Where so many keys stand, the next header must go on with the last one.
const MANY: usize = 64;

/// Reads a text; `None` if it holds anything else.
pub(super) fn read(text: &str) -> Option<Table<'_>> {
    let odd = |byte: u8| (byte < b' ' && !matches!(byte, b'\n' | b'\t')) || byte == 0x7f;
    if text.bytes().any(odd) {
        return None;
    }
    let mut reader = Reader { text, at: 0 };
    let mut root = Table::default();
    reader.entries(&mut root)?;
    while reader.at < text.len() {
        let table = reader.header(&mut root)?;
        reader.entries(table)?;
    }
    has_each_once(&root).then_some(root)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    /// The lines of a table, up to the next header or the end.
    fn entries(&mut self, table: &mut Table<'a>) -> Option<()> {
        loop {
            self.skip_lines();
            if matches!(self.peek(), None | Some(b'[')) {
                return Some(());
            }
            table.0.push(self.entry(DEPTH)?);
            self.end_line()?;
        }
    }

    /// Opens the table of a header.
    fn header<'t>(&mut self, root: &'t mut Table<'a>) -> Option<&'t mut Table<'a>> {
        let begin = self.at;
        self.take(b'[')?;
        let mut table = root;
        loop {
            self.skip_blanks();
            let from = self.at;
            let key = self.key()?;
            let key_span = from..self.at;
            self.skip_blanks();
            let is_last = match self.peek()? {
                b'.' => false,
                b']' => true,
                _ => return None,
            };
            self.at += 1;
            // The table of a header is new; those above it may be there.
            let known = place(table, &key, is_last)?;
            let span = if is_last {
                begin..self.at
            } else {
                key_span.clone()
            };
            let at = known.unwrap_or(table.0.len());
            if known.is_none() {
                table.0.push(Entry {
                    key,
                    key_span: key_span.clone().into(),
                    node: Node {
                        value: Value::Table(Table::default()),
                        span: span.into(),
                    },
                });
            }
            let Entry { key_span, node, .. } = table.0.get_mut(at)?;
            // Of a table that is a value, all stands in its braces.
            let is_open = node.span.range().start <= key_span.range().start;
            let Value::Table(below) = &mut node.value else {
                return None;
            };
            if !is_open {
                return None;
            }
            table = below;
            if is_last {
                self.end_line()?;
                return Some(table);
            }
        }
    }

    fn entry(&mut self, depth: usize) -> Option<Entry<'a>> {
        let from = self.at;
        let key = self.key()?;
        let key_span = (from..self.at).into();
        self.skip_blanks();
        self.take(b'=')?;
        self.skip_blanks();
        let node = self.node(depth)?;
        Some(Entry {
            key,
            key_span,
            node,
        })
    }

    fn key(&mut self) -> Option<Cow<'a, str>> {
        if let Some(quote @ (b'"' | b'\'')) = self.peek() {
            return self.string(quote).map(Cow::Borrowed);
        }
        let bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let key = self.take_while(bare);
        (!key.is_empty()).then_some(Cow::Borrowed(key))
    }

    fn node(&mut self, depth: usize) -> Option<Node<'a>> {
        let begin = self.at;
        let value = match self.peek()? {
            quote @ (b'"' | b'\'') => Value::Text(Cow::Borrowed(self.text(quote)?)),
            b'[' => Value::List(self.list(depth.checked_sub(1)?)?),
            b'{' => Value::Table(self.table(depth.checked_sub(1)?)?),
            _ => self.word()?,
        };
        let span = (begin..self.at).into();
        Some(Node { value, span })
    }

    /// A boolean or a whole number.
    fn word(&mut self) -> Option<Value<'a>> {
        let ends = |byte: u8| matches!(byte, b' ' | b'\t' | b'\n' | b',' | b']' | b'}' | b'#');
        match self.take_while(|byte| !ends(byte)) {
            "true" => Some(Value::Truth(true)),
            "false" => Some(Value::Truth(false)),
            digits => {
                let is_whole = digits == "0" || !digits.starts_with('0');
                let is_number = is_whole && digits.bytes().all(|byte| byte.is_ascii_digit());
                let number = is_number.then(|| digits.parse().ok()).flatten();
                number.map(|number| Value::Integer(Some(number)))
            }
        }
    }

    fn list(&mut self, depth: usize) -> Option<Vec<Node<'a>>> {
        self.take(b'[')?;
        let mut items = Vec::new();
        loop {
            self.skip_lines();
            if self.take(b']').is_some() {
                return Some(items);
            }
            // Most lists have one item.
            if items.is_empty() {
                items.reserve_exact(1);
            }
            items.push(self.node(depth)?);
            self.skip_lines();
            if self.take(b',').is_none() {
                self.take(b']')?;
                return Some(items);
            }
        }
    }

    fn table(&mut self, depth: usize) -> Option<Table<'a>> {
        self.take(b'{')?;
        let mut table = Table::default();
        self.skip_blanks();
        if self.take(b'}').is_some() {
            return Some(table);
        }
        loop {
            self.skip_blanks();
            table.0.push(self.entry(depth)?);
            self.skip_blanks();
            if self.take(b',').is_none() {
                self.take(b'}')?;
                return Some(table);
            }
        }
    }

    /// A string, which may have several lines.
    fn text(&mut self, quote: u8) -> Option<&'a str> {
        let fence = if quote == b'"' { "\"\"\"" } else { "'''" };
        let Some(body) = self.rest().strip_prefix(fence) else {
            return self.string(quote);
        };
        let (body, rest) = body.split_once(fence)?;
        let is_plain = quote == b'\'' || !body.contains('\\');
        if !is_plain || rest.as_bytes().first() == Some(&quote) {
            return None;
        }
        self.at = self.text.len() - rest.len();
        Some(body.strip_prefix('\n').unwrap_or(body))
    }

    /// A string on one line, without escapes.
    fn string(&mut self, quote: u8) -> Option<&'a str> {
        self.take(quote)?;
        let text = self.take_while(|byte| byte != quote && byte != b'\n');
        self.take(quote)?;
        // Two quotes and a third one begin another kind of string.
        let is_other = text.is_empty() && self.peek() == Some(quote);
        let is_plain = quote == b'\'' || !text.contains('\\');
        (is_plain && !is_other).then_some(text)
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// Bytes of a kind, which end where a character does: with one that is ASCII.
    fn take_while(&mut self, is_of_it: impl Fn(u8) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.bytes().position(|byte| !is_of_it(byte));
        let taken = &rest[..end.unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }

    fn skip_blanks(&mut self) {
        self.take_while(|byte| matches!(byte, b' ' | b'\t'));
    }

    /// Skips blanks, comments and ends of lines.
    fn skip_lines(&mut self) {
        loop {
            self.take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n'));
            if self.peek() != Some(b'#') {
                return;
            }
            self.take_while(|byte| byte != b'\n');
        }
    }

    /// Nothing but a comment may follow on the line.
    fn end_line(&mut self) -> Option<()> {
        self.skip_blanks();
        if self.peek() == Some(b'#') {
            self.take_while(|byte| byte != b'\n');
        }
        matches!(self.peek(), None | Some(b'\n')).then_some(())
    }
}

/// Where a key of a header stands already, if it does. `None` gives up: what must be new is there, or
/// the look would take long.
fn place(table: &Table<'_>, key: &str, must_be_new: bool) -> Option<Option<usize>> {
    let last = table.0.len().checked_sub(1);
    if let Some(last) = last
        && table.0[last].key == key
    {
        return (!must_be_new).then_some(Some(last));
    }
    if must_be_new {
        // Whether it is there is seen at the end, for all of them together.
        return Some(None);
    }
    if table.0.len() > MANY {
        return None;
    }
    Some(table.0.iter().position(|entry| entry.key == key))
}

/// Whether no key stands twice in a table, here or below.
fn has_each_once(table: &Table<'_>) -> bool {
    let mut keys: Vec<&str> = table.0.iter().map(|entry| &*entry.key).collect();
    keys.sort_unstable();
    let is_once = keys.windows(2).all(|pair| pair[0] != pair[1]);
    is_once && table.0.iter().all(|entry| is_sound(&entry.node))
}

fn is_sound(node: &Node<'_>) -> bool {
    match &node.value {
        Value::Table(table) => has_each_once(table),
        Value::List(items) => items.iter().all(is_sound),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use toml::de::DeTable;

    fn whole(text: &str) -> Option<Table<'_>> {
        Some(DeTable::parse(text).ok()?.into_inner().into())
    }

    #[test]
    fn what_people_write_is_read_here() {
        for text in [
            "",
            "# nothing\n",
            "a = 1",
            "[project]\nid = 'x' # here\nname = \"é 😀\"\n\n[ stage . \"a b\" ]\ncmd = '''\none\ntwo\n'''\n",
            "[stage.a]\ncmd = \"\"\"x\n\"y\"\n\"\"\"\ndeps = [ # why\n  \"a\", 'b',\n  \n]\nouts = [\"x\", {path = \"y\", keep = true}]\n\
             [stage.a.env]\nA = \"\"\n[stage.b]\ntimeout = ''\n[metrics]\ngoal = { auc = \"max\", \"val.f1\" = \"min\" }\nn = 9223372036854775807\nz = 0\ne = {}\nl = [[], [[1]]]\n",
            "[a.b]\n[a.c]\n[d]\n[a.e]\n",
        ] {
            let found = read(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(Some(found), whole(text), "{text}");
        }
    }

    #[test]
    fn all_else_is_left_to_the_reader_of_all_toml() {
        for text in [
            "a.b = 1",
            "a = 1.5",
            "a = -1",
            "a = 1_0",
            "a = 01",
            "a = 0x1",
            "a = 1979-05-27",
            "a = inf",
            "a = \"\\n\"",
            "a = \"\"\"\\\n\"\"\"",
            "a = \"\"\"x\"\"\"\"",
            "a = 'x' 'y'",
            "a = \"x",
            "a = '\n'",
            "a = 9223372036854775808",
            "a = {b = 1,}",
            "a = {\nb = 1}",
            "a = {b = 1, b = 2}",
            "a = [1 2]",
            "a = [,]",
            "a = [1",
            "a = [[[[[[[[[1]]]]]]]]]",
            "a = 1\na = 2",
            "a = 1\r\n",
            "a = \"\u{7}\"",
            "a",
            "a =",
            "= 1",
            "\"\"\"a\"\"\" = 1",
            "[[a]]",
            "[a",
            "[]",
            "[a]]",
            "[a.]",
            "[a] b = 1",
            "[a]\n[b]\n[a]",
            "[a.b]\n[a]",
            "a = 1\n[a]",
            "a = 1\n[a.b]",
            "a = {}\n[a.b]",
            "a = []\n[a.b]",
            "a = {}\n[a]",
            "[a]\nb = {}\n[a.b.c]",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    fn document() -> impl Strategy<Value = String> {
        let name = || prop::sample::select(vec!["a", "b", "stage", "'c d'", "\"é\"", "a.b", "''"]);
        let scalar = prop::sample::select(vec![
            "1",
            "0",
            "00",
            "true",
            "'x'",
            "\"y\"",
            "\"\"",
            "'''\nz'''",
            "\"\"\"\n\n\"\"\"",
            "\"\\t\"",
            "1.5",
            "1e3",
            "''''x'''",
            "\"\"\"\"x\"\"\"",
            "'''x''''",
            "2020-01-01",
            "-1",
            "nan",
            "tru",
            "'",
            "\"#\"",
        ]);
        let value = scalar
            .prop_map(str::to_owned)
            .prop_recursive(3, 8, 3, move |inner| {
                prop_oneof![
                    prop::collection::vec(inner.clone(), 0..3)
                        .prop_map(|items| format!("[{}]", items.join(", "))),
                    prop::collection::vec(inner.clone(), 0..3)
                        .prop_map(|items| format!("[ # x\n{} ,\n]", items.join("\n, "))),
                    prop::collection::vec((name(), inner), 0..3).prop_map(|entries| {
                        let entries: Vec<String> = entries
                            .iter()
                            .map(|(name, value)| format!("{name} = {value}"))
                            .collect();
                        format!("{{ {} }}", entries.join(", "))
                    }),
                ]
            });
        let line = prop_oneof![
            4 => (name(), value).prop_map(|(name, value)| format!("{name} = {value}")),
            3 => prop::collection::vec(name(), 1..4).prop_map(|names| format!("[{}]", names.join("."))),
            1 => name().prop_map(|name| format!("[[{name}]]")),
            1 => Just("# text".to_owned()),
            1 => Just(" \t".to_owned()),
        ];
        let end = prop::sample::select(vec!["\n", "\n", "\n", " # x\n", "\r\n", " ", ""]);
        let lines = prop::collection::vec((line, end), 0..8);
        lines.prop_map(|lines| {
            lines
                .iter()
                .map(|(line, end)| format!("{line}{end}"))
                .collect()
        })
    }

    proptest! {
        #[test]
        fn it_reads_as_the_reader_of_all_toml_does_or_not_at_all(text in document()) {
            if let Some(found) = read(&text) {
                prop_assert_eq!(Some(found), whole(&text), "{}", text);
            }
        }

        #[test]
        fn nor_does_any_text_confuse_it(text in "[\\[\\]{}=,.#\"'\\\\ \\n\\tab01é]{0,24}") {
            if let Some(found) = read(&text) {
                prop_assert_eq!(Some(found), whole(&text), "{}", text);
            }
        }
    }
}
