//! Asks an interpreter which version it is.

use std::process::{Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

/// Programs whose version is worth a record.
const KNOWN: [&str; 6] = ["python", "python3", "Rscript", "julia", "node", "ruby"];

/// The first interpreter that some scripts name.
pub fn interpreter_of(scripts: &[String]) -> Option<&'static str> {
    let words = scripts
        .iter()
        .flat_map(|script| script.split(|c: char| !(c.is_alphanumeric() || "._/-".contains(c))));
    let mut known = words.filter_map(|word| {
        let name = word.rsplit('/').next().unwrap_or(word);
        KNOWN.into_iter().find(|known| *known == name)
    });
    known.next()
}

/// What `PROGRAM --version` says, started by way of `before` (`uv run`); `None` if it says
/// nothing within five seconds.
pub fn interpreter_version(before: &[String], program: &str) -> Option<String> {
    const PATIENCE: Duration = Duration::from_secs(5);
    let words = before.iter().map(String::as_str).chain([program]);
    let words: Vec<String> = words.map(str::to_owned).collect();
    let (sender, receiver) = sync_channel(1);
    thread::Builder::new()
        .spawn(move || sender.send(ask(&words)))
        .ok()?;
    receiver.recv_timeout(PATIENCE).ok()?
}

#[expect(
    clippy::disallowed_methods,
    reason = "this room starts what belongs to stages"
)]
fn ask(words: &[String]) -> Option<String> {
    let (program, arguments) = words.split_first()?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .arg("--version")
        .stdin(Stdio::null());
    let output = command.output().ok()?;
    let said = if output.stdout.is_empty() {
        output.stderr
    } else {
        output.stdout
    };
    let text = String::from_utf8_lossy(&said);
    let line = text.lines().next()?.trim();
    (output.status.success() && !line.is_empty()).then(|| line.chars().take(100).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interpreter_is_found_as_a_word_of_its_own() {
        let table = [
            ("python src/train.py", Some("python")),
            ("cd src && /usr/bin/python3 -m train", Some("python3")),
            ("Rscript a.R; python b.py", Some("Rscript")),
            ("echo pythonic python2", None),
            ("sh run.sh", None),
        ];
        for (script, expected) in table {
            assert_eq!(interpreter_of(&[script.to_owned()]), expected, "{script}");
        }
    }

    #[test]
    fn it_says_its_version_or_nothing() {
        let said = interpreter_version(&["env".to_owned()], "python3").unwrap();
        assert!(said.starts_with("Python 3."), "{said}");
        assert_eq!(interpreter_version(&[], "/nowhere/python"), None);
        assert_eq!(interpreter_version(&["false".to_owned()], "python"), None);
    }
}
