//! A sandbox without outside influence: an own home, a cleared environment, a fixed identity and
//! a fixed clock for git.

#[cfg(feature = "failpoints")]
mod copy;
#[cfg(feature = "failpoints")]
mod line;
mod output;
mod proxy;
mod s3;

#[cfg(feature = "failpoints")]
pub(crate) use line::Line;
pub(crate) use output::Output;
pub(crate) use proxy::listening_proxy;
pub(crate) use s3::S3;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Three stages in plain shell. Each adds its name to the file `$RUNS` when it really runs.
pub(crate) const STAGES: &str = r#"
[stage.prepare]
cmd = "echo prepare >> $RUNS; tr a-z A-Z < data/raw.txt > prepared.txt"
deps = ["data/raw.txt"]
outs = ["prepared.txt"]

[stage.train]
cmd = "echo train >> $RUNS; sh train.sh"
deps = ["train.sh", "prepared.txt"]
params = ["params.yaml:train.lr"]
outs = ["model"]

[stage.evaluate]
cmd = "echo evaluate >> $RUNS; mkdir eval; sh evaluate.sh > eval/metrics.json"
deps = ["evaluate.sh", "model"]
outs = ["eval"]

[metrics]
files = ["eval/metrics.json"]
goal = { score = "max", loss = "min" }
"#;

/// A directory with a home and a project, and the program under test.
pub(crate) struct Sandbox {
    _dir: tempfile::TempDir,
    /// The directory below the sandbox that commands run in.
    place: PathBuf,
    env: BTreeMap<String, String>,
}

impl Sandbox {
    /// An empty directory `project`, not even a git repository.
    pub(crate) fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let place = root.join("project");
        std::fs::create_dir_all(&place).unwrap();
        std::fs::create_dir_all(root.join("home")).unwrap();
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        let env = [
            ("HOME", text(root.join("home"))),
            ("RUNS", text(root.join("runs.log"))),
            ("PATH", path_with_esker(&root)),
            ("LC_ALL", "C.UTF-8".to_owned()),
            ("TZ", "UTC".to_owned()),
            ("GIT_CONFIG_NOSYSTEM", "1".to_owned()),
            ("ESKER_SYSTEM_CONFIG", text(root.join("system.toml"))),
            ("GIT_AUTHOR_NAME", "Ada".to_owned()),
            ("GIT_AUTHOR_EMAIL", "ada@example.com".to_owned()),
            ("GIT_AUTHOR_DATE", "2026-01-01T00:00:00Z".to_owned()),
            ("GIT_COMMITTER_NAME", "Ada".to_owned()),
            ("GIT_COMMITTER_EMAIL", "ada@example.com".to_owned()),
            ("GIT_COMMITTER_DATE", "2026-01-01T00:00:00Z".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ];
        let env = env
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        Self {
            _dir: dir,
            place,
            env,
        }
    }

    /// The name of the directory that commands run in.
    pub(crate) fn place(&self) -> &str {
        self.place.file_name().unwrap().to_str().unwrap()
    }

    /// A git repository.
    pub(crate) fn repository() -> Self {
        let sandbox = Self::empty();
        sandbox.git("init --quiet --initial-branch main");
        sandbox
    }

    /// A project of esker in a git repository, committed.
    pub(crate) fn project() -> Self {
        let sandbox = Self::repository();
        sandbox.ok("init");
        // The id is drawn by chance; commits are to have the same hashes in every run.
        let text = sandbox.read("esker.toml");
        let id = regex::Regex::new(r#"id = "[0-9a-f]{32}""#).unwrap();
        let fixed = format!("id = \"{}\"", "00".repeat(16));
        sandbox.write("esker.toml", &*id.replace(&text, fixed));
        sandbox.commit("Start");
        sandbox
    }

    /// A project with tracked data, three stages and params; nothing has run yet.
    pub(crate) fn pipeline() -> Self {
        let sandbox = Self::project();
        sandbox.write("data/raw.txt", "some text\n");
        sandbox.write(
            "params.yaml",
            "train:\n  lr: 0.1   # the rate\n  epochs: 3\n",
        );
        sandbox.write(
            "train.sh",
            "mkdir model; cat prepared.txt params.yaml > model/weights\n",
        );
        sandbox.write("evaluate.sh", "lr=$(grep lr: params.yaml | tr -dc 0-9.); echo \"{\\\"score\\\": $lr, \\\"loss\\\": 0.5}\"\n");
        sandbox.append("esker.toml", STAGES);
        sandbox.ok("add data/raw.txt");
        sandbox.commit("Stages");
        sandbox
    }

    /// Runs esker; words are split at blanks.
    pub(crate) fn esker(&self, line: &str) -> Output {
        let words: Vec<&str> = line.split_whitespace().collect();
        self.esker_args(&words)
    }

    /// Runs esker with these arguments.
    pub(crate) fn esker_args(&self, args: &[&str]) -> Output {
        let mut command = self.command(env!("CARGO_BIN_EXE_esker"));
        command.args(args);
        Output::of(command, self.root())
    }

    /// Runs esker with more variables; words are split at blanks.
    pub(crate) fn esker_with(&self, line: &str, env: &[(&str, &str)]) -> Output {
        let mut command = self.command(env!("CARGO_BIN_EXE_esker"));
        command
            .args(line.split_whitespace())
            .envs(env.iter().copied());
        Output::of(command, self.root())
    }

    /// Starts esker and leaves it running; its stderr can be read.
    pub(crate) fn start(&self, line: &str) -> std::process::Child {
        let mut command = self.command(env!("CARGO_BIN_EXE_esker"));
        command
            .args(line.split_whitespace())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// Runs esker, which must end with 0; returns what it says on stdout.
    pub(crate) fn ok(&self, line: &str) -> String {
        let output = self.esker(line);
        assert_eq!(output.code, 0, "esker {line}\n{output}");
        output.stdout
    }

    /// Runs esker for its JSON answer, whatever the exit code.
    pub(crate) fn json(&self, line: &str) -> serde_json::Value {
        let output = self.esker(&format!("{line} --json"));
        serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}\n{output}"))
    }

    /// Runs git, which must succeed; returns what it says on stdout.
    pub(crate) fn git(&self, line: &str) -> String {
        self.sh(&format!("git {line}"))
    }

    /// Runs a shell command, which must succeed; returns what it says on stdout.
    pub(crate) fn sh(&self, line: &str) -> String {
        let output = self.try_sh(line);
        assert_eq!(output.code, 0, "{line}\n{output}");
        output.stdout
    }

    /// Runs a shell command.
    pub(crate) fn try_sh(&self, line: &str) -> Output {
        let mut command = self.command("sh");
        command.args(["-c", line]);
        Output::of(command, self.root())
    }

    /// Commits everything in git's reach.
    pub(crate) fn commit(&self, message: &str) {
        self.git(&format!(
            "add --all && git commit --quiet --allow-empty --message '{message}'"
        ));
    }

    /// Writes a file of the project, with the directories above it.
    pub(crate) fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Adds to the end of a file of the project.
    pub(crate) fn append(&self, path: &str, text: &str) {
        let old = std::fs::read_to_string(self.path(path)).unwrap_or_default();
        self.write(path, old + text);
    }

    /// Replaces a text that must be there.
    pub(crate) fn edit(&self, path: &str, old: &str, new: &str) {
        let text = self.read(path);
        assert!(text.contains(old), "`{path}` has no `{old}`:\n{text}");
        self.write(path, text.replace(old, new));
    }

    /// Reads a text file of the project.
    pub(crate) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    pub(crate) fn exists(&self, path: &str) -> bool {
        self.path(path).symlink_metadata().is_ok()
    }

    pub(crate) fn remove(&self, path: &str) {
        let path = self.path(path);
        match path.is_dir() {
            true => std::fs::remove_dir_all(path).unwrap(),
            false => std::fs::remove_file(path).unwrap(),
        }
    }

    /// A path of the project.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.place.join(path)
    }

    /// The sandbox itself, above the project.
    pub(crate) fn root(&self) -> &Path {
        self.place.parent().unwrap()
    }

    /// Clones the project to a directory beside it and continues there.
    pub(crate) fn clone_to(&self, name: &str) -> Clone<'_> {
        self.git(&format!("clone --quiet . ../{name}"));
        Clone {
            of: self,
            name: name.to_owned(),
        }
    }

    /// Pushes to a remote that `esker.toml` names with its endpoint, and pulls what was pushed into a fresh
    /// clone, which must trust it first.
    #[track_caller]
    pub(crate) fn travels(&self, remote: &str, before_pull: impl FnOnce()) {
        let pushed = self.json("push");
        assert_eq!(pushed["missing"].as_array().unwrap().len(), 0, "{pushed}");
        assert_eq!(self.json("push")["objects"], 0, "nothing new");
        let clone = self.clone_to("clone");
        let untrusted = clone.esker("pull");
        assert!(untrusted.stderr.contains("E0406"), "{untrusted}");
        clone.ok(&format!("remote trust {remote}"));
        before_pull();
        clone.ok("pull");
        assert_eq!(clone.files(), self.files("project"));
        clone.ok("fsck --remote --data");
    }

    /// Sets a variable for all commands to come.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.env.insert(name.to_owned(), value.to_owned());
    }

    /// The stages that have run since the last call, in order.
    pub(crate) fn runs(&self) -> Vec<String> {
        let log = self.root().join("runs.log");
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        let _ = std::fs::remove_file(log);
        text.lines().map(str::to_owned).collect()
    }

    /// Every file below a directory of the sandbox with its bytes and mode, `.git` left out.
    pub(crate) fn files(&self, dir: &str) -> BTreeMap<String, (Vec<u8>, bool)> {
        let mut files = BTreeMap::new();
        let root = self.root().join(dir);
        collect(&root, &root, &mut files);
        files
    }

    /// The files of the directory that commands run in, but for what a killed process left under
    /// a temporary name.
    pub(crate) fn workspace(&self) -> BTreeMap<String, (Vec<u8>, bool)> {
        let mut files = self.files(self.place());
        files.retain(|name, _| !is_temporary(name));
        files
    }

    /// The files that esker keeps beside git's, but for temporary ones.
    pub(crate) fn local(&self) -> BTreeMap<String, (Vec<u8>, bool)> {
        let dir = format!("{}/.git/esker", self.place());
        if !self.root().join(&dir).exists() {
            return BTreeMap::new();
        }
        let mut files = self.files(&dir);
        files.retain(|name, _| !is_temporary(name));
        files
    }

    /// All byte strings that lie in the workspace, the store or the park.
    pub(crate) fn held(&self) -> BTreeSet<Vec<u8>> {
        let all = self
            .workspace()
            .into_values()
            .chain(self.local().into_values());
        all.map(|(bytes, _)| bytes).collect()
    }

    /// A call of esker in another directory of the sandbox, for those who start it themselves.
    #[cfg(feature = "failpoints")]
    pub(crate) fn command_in(&self, dir: &Path, line: &str) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_esker"));
        command.current_dir(dir).args(line.split_whitespace());
        command
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(&self.place)
            .env_clear()
            .envs(&self.env)
            .stdin(Stdio::null());
        command
    }
}

/// A clone beside the project.
pub(crate) struct Clone<'s> {
    of: &'s Sandbox,
    name: String,
}

impl Clone<'_> {
    pub(crate) fn esker(&self, line: &str) -> Output {
        let dir = self.of.root().join(&self.name);
        let line = format!("-C {} {line}", dir.display());
        self.of.esker(&line)
    }

    pub(crate) fn ok(&self, line: &str) -> String {
        let output = self.esker(line);
        assert_eq!(output.code, 0, "esker {line}\n{output}");
        output.stdout
    }

    pub(crate) fn sh(&self, line: &str) -> String {
        self.of.sh(&format!("cd ../{} && {line}", self.name))
    }

    pub(crate) fn files(&self) -> BTreeMap<String, (Vec<u8>, bool)> {
        self.of.files(&self.name)
    }
}

/// A search path with the program under test in front, as `esker`.
fn path_with_esker(root: &Path) -> String {
    let bin = Path::new(env!("CARGO_BIN_EXE_esker")).parent().unwrap();
    let _ = root;
    format!("{}:{}", bin.display(), std::env::var("PATH").unwrap())
}

fn is_temporary(name: &str) -> bool {
    name.contains(".esker-tmp-")
}

fn collect(root: &Path, dir: &Path, files: &mut BTreeMap<String, (Vec<u8>, bool)>) {
    use std::os::unix::fs::PermissionsExt;
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path
            .strip_prefix(root)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        let metadata = path.symlink_metadata().unwrap();
        if metadata.is_symlink() {
            let target = std::fs::read_link(&path).unwrap();
            files.insert(name, (target.into_os_string().into_encoded_bytes(), false));
        } else if metadata.is_dir() {
            if name != ".git" {
                collect(root, &path, files);
            }
        } else {
            let exec = metadata.permissions().mode() & 0o100 != 0;
            files.insert(name, (std::fs::read(&path).unwrap(), exec));
        }
    }
}
