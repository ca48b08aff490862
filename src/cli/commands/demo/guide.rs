//! The guide of the demo: prints each command, runs it, and keeps account of every claim.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::project;
use super::{CliError, Ui};
use crate::cli::exit;
use crate::cli::ui::Tone;
use crate::fs;
use crate::hash::Digest;

/// Variables that would make the demo behave as the caller's repository or settings do.
const FOREIGN: [&str; 12] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_CEILING_DIRECTORIES",
    "ESKER_STORE",
    "ESKER_REMOTE",
    "ESKER_JOBS",
    "ESKER_HOOK",
    "PYTHONDONTWRITEBYTECODE",
];

type Files = BTreeMap<&'static str, Digest>;

/// Leads through the demo.
pub(super) struct Guide<'u> {
    ui: &'u Ui,
    dir: PathBuf,
    /// The directory below `dir` that commands run in.
    place: String,
    path: std::ffi::OsString,
    claims: Vec<(String, bool)>,
    remembered: BTreeMap<String, Files>,
    chapters: usize,
}

/// Fails with one clear error if git or Python is missing.
pub(super) fn check_tools() -> Result<(), CliError> {
    for (tool, hint) in [
        ("git", "install git, for example: apt-get install git"),
        (
            "python3",
            "install Python 3, for example: apt-get install python3",
        ),
    ] {
        let found = command(tool)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !found.is_ok_and(|status| status.success()) {
            return Err(CliError::demo(
                &format!("the demo needs `{tool}`, which is not here"),
                hint,
            ));
        }
    }
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the demo types commands as a person would"
)]
fn command(program: &str) -> Command {
    Command::new(program)
}

impl<'u> Guide<'u> {
    /// Begins in `DIR/penguins`. The running program is the first `esker` on the path.
    pub(super) fn new(ui: &'u Ui, dir: &Path) -> Result<Self, CliError> {
        let own = |error: fs::Error| CliError::from(crate::ops::Error::from(error));
        let program = std::env::current_exe().map_err(|error| CliError::cwd(&error))?;
        fs::create_dir_all(&dir.join("penguins")).map_err(own)?;
        let old = crate::cli::variable("PATH").unwrap_or_default();
        let bin = dir.join(".bin");
        fs::create_dir_all(&bin).map_err(own)?;
        fs::symlink(&program, &bin.join("esker")).map_err(own)?;
        let mut path = bin.into_os_string();
        path.push(":");
        path.push(old);
        Ok(Self {
            ui,
            dir: dir.to_path_buf(),
            place: "penguins".to_owned(),
            path,
            claims: Vec::new(),
            remembered: BTreeMap::new(),
            chapters: 0,
        })
    }

    pub(super) fn chapter(&mut self, title: &str) -> Result<(), CliError> {
        self.chapters += 1;
        let title = format!("{}. {title}", self.chapters);
        self.ui
            .answer(&format!("\n{}", self.ui.paint_answer(Tone::Bold, &title)))
    }

    pub(super) fn tell(&self, text: &str) -> Result<(), CliError> {
        self.ui.answer(&format!(
            "\n{}",
            self.ui.paint_answer(Tone::Dim, &format!("# {text}"))
        ))
    }

    /// Continues in another directory.
    pub(super) fn enter(&mut self, place: &str) {
        self.place = place.to_owned();
    }

    /// Prints a command and runs it in front of everybody.
    pub(super) fn run(&self, line: &str) -> Result<(), CliError> {
        self.show(line)?;
        self.quietly(line)
    }

    /// Runs a command without printing it.
    pub(super) fn quietly(&self, line: &str) -> Result<(), CliError> {
        let status = self
            .shell(line)
            .status()
            .map_err(|error| self.not_started(line, &error))?;
        match status.success() {
            true => Ok(()),
            false => Err(self.failed(line, &status.to_string())),
        }
    }

    /// Runs a command for its answer.
    pub(super) fn json(&self, line: &str) -> Result<String, CliError> {
        let output = self
            .shell(line)
            .output()
            .map_err(|error| self.not_started(line, &error))?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(self.failed(line, &String::from_utf8_lossy(&output.stderr))),
        }
    }

    /// Runs a command in front of everybody and keeps what it says on stderr.
    fn overhear(&self, line: &str) -> Result<String, CliError> {
        let started = self.shell(line).stderr(Stdio::piped()).spawn();
        let mut child = started.map_err(|error| self.not_started(line, &error))?;
        let mut tale = String::new();
        for said in child
            .stderr
            .take()
            .map(BufReader::new)
            .into_iter()
            .flat_map(BufRead::lines)
        {
            let said = said.map_err(|error| self.not_started(line, &error))?;
            self.ui.say(&said);
            tale.push_str(&said);
            tale.push('\n');
        }
        let status = child
            .wait()
            .map_err(|error| self.not_started(line, &error))?;
        match status.success() {
            true => Ok(tale),
            false => Err(self.failed(line, &status.to_string())),
        }
    }

    pub(super) fn write_project(&self) -> Result<(), CliError> {
        for (path, bytes) in project::FILES {
            let path = self.here().join(path);
            let dir = path.parent().unwrap_or(&self.dir);
            fs::create_dir_all(dir)
                .and_then(|()| fs::write_new(&path, bytes))
                .map_err(|error| CliError::from(crate::ops::Error::from(error)))?;
        }
        Ok(())
    }

    pub(super) fn append_stages(&self) -> Result<(), CliError> {
        let path = self.here().join("esker.toml");
        let own = |error: fs::Error| CliError::from(crate::ops::Error::from(error));
        let mut text = fs::read(&path).map_err(own)?;
        text.push(b'\n');
        text.extend(project::STAGES.as_bytes());
        fs::replace(&path, &text).map_err(own)
    }

    /// Keeps the hashes of all data under a name.
    pub(super) fn remember(&mut self, name: &str) -> Result<(), CliError> {
        let files = self.files()?;
        self.remembered.insert(name.to_owned(), files);
        Ok(())
    }

    /// Claims something, to be told at the end.
    pub(super) fn claim(&mut self, what: &str, holds: bool) {
        self.claims.push((what.to_owned(), holds));
    }

    /// Claims that all data here is what it was when it was remembered.
    pub(super) fn claim_same(&mut self, what: &str, name: &str) -> Result<(), CliError> {
        let holds = self.files()? == self.remembered[name];
        self.claim(what, holds);
        Ok(())
    }

    /// Runs a reproduction in front of everybody and claims what it did, stage by stage.
    pub(super) fn run_and_claim_actions(
        &mut self,
        line: &str,
        what: &str,
        actions: &[&str],
    ) -> Result<(), CliError> {
        self.show(line)?;
        let tale = self.overhear(line)?;
        let done: Vec<&str> = tale.lines().filter_map(action_of).collect();
        self.claim(what, done == actions);
        Ok(())
    }

    /// Prints the verdict on every claim; says whether all hold.
    pub(super) fn verdict(&mut self) -> Result<bool, CliError> {
        self.chapter("What was claimed, and whether it is so")?;
        self.ui.answer("")?;
        for (what, holds) in &self.claims {
            let mark = match holds {
                true => self.ui.paint_answer(Tone::Good, "✓"),
                false => self.ui.paint_answer(Tone::Bad, "✗"),
            };
            self.ui.answer(&format!("{mark} {what}"))?;
        }
        let broken = self.claims.iter().filter(|(_, holds)| !holds).count();
        self.ui.answer("")?;
        match broken {
            0 => self.ui.answer(&format!(
                "All {} claims hold. The project is in {}",
                self.claims.len(),
                self.dir.display()
            ))?,
            n => self
                .ui
                .answer(&format!("{n} of {} claims do not hold", self.claims.len()))?,
        }
        Ok(broken == 0)
    }

    fn show(&self, line: &str) -> Result<(), CliError> {
        let prompt = self.ui.paint_answer(Tone::Hint, "$");
        self.ui.answer(&format!(
            "\n{prompt} {}",
            self.ui.paint_answer(Tone::Bold, line)
        ))?;
        std::io::stdout().flush().map_err(CliError::output)
    }

    fn here(&self) -> PathBuf {
        self.dir.join(&self.place)
    }

    /// A shell in the current place, without the caller's git settings.
    fn shell(&self, line: &str) -> Command {
        let mut shell = command("sh");
        for name in FOREIGN {
            shell.env_remove(name);
        }
        shell
            .args(["-c", line])
            .current_dir(self.here())
            .stdin(Stdio::null())
            .env("PATH", &self.path)
            .env(
                if self.ui.colours() {
                    "FORCE_COLOR"
                } else {
                    "NO_COLOR"
                },
                "1",
            )
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_NAME", "esker demo")
            .env("GIT_AUTHOR_EMAIL", "demo@localhost")
            .env("GIT_COMMITTER_NAME", "esker demo")
            .env("GIT_COMMITTER_EMAIL", "demo@localhost");
        shell
    }

    fn files(&self) -> Result<Files, CliError> {
        let hash = |path: &'static str| {
            let bytes = fs::read(&self.here().join(path));
            let bytes = bytes.map_err(|error| CliError::from(crate::ops::Error::from(error)))?;
            Ok((path, Digest::of(&bytes)))
        };
        project::DATA.into_iter().map(hash).collect()
    }

    fn not_started(&self, line: &str, error: &std::io::Error) -> CliError {
        self.failed(line, &error.to_string())
    }

    fn failed(&self, line: &str, why: &str) -> CliError {
        let kept = format!("what was built is in {}", self.dir.display());
        let mut error = CliError::demo(&format!("`{line}` failed: {}", why.trim()), &kept);
        error.exit = exit::NO;
        error
    }
}

/// What a line of the tale says was done to a stage.
fn action_of(line: &str) -> Option<&'static str> {
    // A coloured mark stands between escape sequences.
    let mark = line.chars().find(|c| !c.is_ascii())?;
    match mark {
        '·' => Some("unchanged"),
        '✓' => Some("ran"),
        '↺' => Some("restored"),
        '✗' => Some("failed"),
        _ => None,
    }
}
