//! What a command said and how it ended, with what differs from run to run made plain.

use std::fmt;
use std::path::Path;
use std::process::Command;

/// All that came of a command.
pub(crate) struct Output {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Output {
    pub(crate) fn of(mut command: Command, root: &Path) -> Self {
        let output = command
            .output()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let plain = |bytes: &[u8]| plain(&String::from_utf8_lossy(bytes), root);
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: plain(&output.stdout),
            stderr: plain(&output.stderr),
        }
    }
}

/// Paths of the sandbox become `$ROOT`, times become `[time]`.
fn plain(text: &str, root: &Path) -> String {
    let text = text.replace(root.to_str().unwrap(), "$ROOT");
    // Times are padded to a column; what follows them stands two blanks on.
    let time = regex::Regex::new(r"\b(\d+m )?\d+(\.\d)?s\b( {2,})?").unwrap();
    let text = time.replace_all(&text, |found: &regex::Captures<'_>| match found.get(3) {
        Some(_) => "[time]  ",
        None => "[time]",
    });
    let text = text.into_owned();
    let nanos = regex::Regex::new(r"/\d{19}-").unwrap();
    let text = nanos.replace_all(&text, "/[nanos]-").into_owned();
    let machine = regex::Regex::new(r"(?m)^  on .+ of memory$").unwrap();
    let text = machine.replace_all(&text, "  on [machine]").into_owned();
    let commit = regex::Regex::new(r"(?m)^  at commit [0-9a-f]{7}\b").unwrap();
    let text = commit
        .replace_all(&text, "  at commit [commit]")
        .into_owned();
    let log = regex::Regex::new(r"/[0-9a-f]{16}\.log").unwrap();
    let text = log.replace_all(&text, "/[id].log").into_owned();
    let end = regex::Regex::new(r"(?m) +$").unwrap();
    end.replace_all(&text, "").into_owned()
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "exit: {}", self.code)?;
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.is_empty() {
                writeln!(f, "--- {name}\n{}", text.trim_end())?;
            }
        }
        Ok(())
    }
}
