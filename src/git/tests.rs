use super::*;
use crate::fs;
use std::process::{Command, Output};

/// A repository in a temporary directory, driven by the real `git` with no settings but its own.
pub(super) struct Sandbox {
    dir: tempfile::TempDir,
}

impl Sandbox {
    pub(super) fn new() -> Self {
        let sandbox = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        fs::create_dir_all(&sandbox.root()).unwrap();
        sandbox.git(&["init", "-q", "-b", "main"]);
        sandbox
    }

    /// The top of the working tree; its name needs quoting in a shell.
    pub(super) fn root(&self) -> PathBuf {
        self.outside().join("it's a repo")
    }

    /// A directory outside the repository.
    pub(super) fn outside(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap()
    }

    pub(super) fn open(&self) -> Git {
        Git::discover(&self.root()).unwrap()
    }

    pub(super) fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::replace(&path, text.as_bytes()).unwrap();
    }

    /// Commits everything and gives back the commit.
    pub(super) fn commit(&self, message: &str) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Runs git at the top; it must succeed. Gives back what it printed, trimmed.
    pub(super) fn git(&self, arguments: &[&str]) -> String {
        let output = self.try_git(&self.root(), arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub(super) fn try_git(&self, dir: &Path, arguments: &[&str]) -> Output {
        self.git_reading(dir, arguments, b"")
    }

    /// `PATH` with `bin/` outside the repository first, and without an esker of the machine.
    #[expect(
        clippy::disallowed_methods,
        reason = "the tests must find the real git"
    )]
    fn search_path(&self) -> std::ffi::OsString {
        let path = std::env::var_os("PATH").unwrap();
        let others = std::env::split_paths(&path).filter(|dir| !dir.join("esker").exists());
        let own = self.outside().join("bin");
        std::env::join_paths(std::iter::once(own).chain(others)).unwrap()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the tests compare with the real git"
    )]
    pub(super) fn git_reading(&self, dir: &Path, arguments: &[&str], input: &[u8]) -> Output {
        let input_file = self.outside().join("input");
        fs::replace(&input_file, input).unwrap();
        Command::new("git")
            .args(arguments)
            .current_dir(dir)
            .stdin(fs::open(&input_file).unwrap())
            .env_clear()
            .env("PATH", self.search_path())
            .env("HOME", self.dir.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_NAME", "A")
            .env("GIT_AUTHOR_EMAIL", "a@example.org")
            .env("GIT_AUTHOR_DATE", "1700000000 +0000")
            .env("GIT_COMMITTER_NAME", "A")
            .env("GIT_COMMITTER_EMAIL", "a@example.org")
            .env("GIT_COMMITTER_DATE", "1700000000 +0000")
            .env("GIT_EDITOR", "true")
            .output()
            .unwrap()
    }
}

#[test]
fn a_repository_is_found_from_below_with_canonical_paths() {
    let sandbox = Sandbox::new();
    sandbox.write("a/b/file", "x");
    let link = sandbox.outside().join("link");
    fs::symlink(&sandbox.root(), &link).unwrap();
    for dir in [sandbox.root(), sandbox.root().join("a/b"), link.join("a")] {
        let git = Git::discover(&dir).unwrap();
        assert_eq!(git.workdir(), sandbox.root());
        assert_eq!(git.dir(), sandbox.root().join(".git"));
        assert_eq!(git.common_dir(), git.dir());
    }
}

#[test]
fn the_search_stops_below_a_ceiling() {
    let sandbox = Sandbox::new();
    let deep = sandbox.root().join("a/b");
    fs::create_dir_all(&deep).unwrap();
    let ceiling = [sandbox.root().join("a")];
    let refused = Git::discover_below(&deep, &ceiling).map(|_| ());
    assert!(matches!(refused, Err(Error::NoRepository(_))));
    // As with git, a ceiling says nothing about a search that starts in it.
    assert!(Git::discover_below(&ceiling[0], &ceiling).is_ok());
    assert!(Git::discover_below(&ceiling[0], &[sandbox.root()]).is_err());
    assert!(Git::discover_below(&deep, &[sandbox.outside()]).is_ok());
}

/// Only the superuser can give a directory away; so the error is made by hand, as libgit2 makes it.
#[test]
fn a_repository_of_somebody_else_is_said_to_be_one() {
    let source = git2::Error::new(
        ErrorCode::Owner,
        git2::ErrorClass::Config,
        "repository path '/r' is not owned by current user",
    );
    let error = refused(Path::new("/r"), source);
    assert_eq!(
        error.to_string(),
        "the git repository around `/r` belongs to another user"
    );
}

#[test]
fn without_a_working_tree_there_is_no_repository() {
    let sandbox = Sandbox::new();
    let bare = sandbox.outside().join("bare.git");
    sandbox.git(&["init", "-q", "--bare", bare.to_str().unwrap()]);
    let inside_git = sandbox.root().join(".git");
    for dir in [sandbox.outside(), bare, inside_git] {
        let refused = Git::discover(&dir).map(|_| ()).unwrap_err();
        assert!(
            matches!(&refused, Error::NoRepository(at) if *at == dir),
            "{refused}"
        );
    }
    let nowhere = Git::discover(&sandbox.outside().join("nowhere"));
    assert!(matches!(nowhere.map(|_| ()), Err(Error::Fs(_))));
}

#[test]
fn a_worktree_has_its_own_directory_and_shares_the_common_one() {
    let sandbox = Sandbox::new();
    sandbox.commit("one");
    let worktree = sandbox.outside().join("worktree");
    sandbox.git(&[
        "worktree",
        "add",
        "-q",
        "-b",
        "side",
        worktree.to_str().unwrap(),
    ]);
    let git = Git::discover(&worktree).unwrap();
    let main = sandbox.root().join(".git");
    assert_eq!(git.workdir(), worktree);
    assert_eq!(git.dir(), main.join("worktrees/worktree"));
    assert_eq!(git.common_dir(), main);
    assert_eq!(git.hooks_dir().unwrap(), main.join("hooks"));
    assert_eq!(git.branch().as_deref(), Some("side"));
}

#[test]
fn files_are_read_at_a_commit() {
    let sandbox = Sandbox::new();
    sandbox.write("sub dir/params.yaml", "lr: 1\r\n");
    sandbox.write("run.sh", "x");
    fs::set_executable(&sandbox.root().join("run.sh"), true).unwrap();
    fs::symlink(Path::new("run.sh"), &sandbox.root().join("link")).unwrap();
    sandbox.commit("one");
    sandbox.write("sub dir/params.yaml", "lr: 2\n");
    let git = sandbox.open();
    let head = git.head().unwrap().unwrap();
    let read = |path| git.read_at(&head, path).unwrap();
    assert_eq!(read("sub dir/params.yaml").unwrap(), b"lr: 1\r\n");
    assert_eq!(read("run.sh").unwrap(), b"x");
    for absent in ["sub dir", "link", "nope", "run.sh/x", "sub dir/nope"] {
        assert_eq!(read(absent), None, "{absent}");
    }
    let gone = Rev {
        name: "gone".to_owned(),
        commit: "0123456789012345678901234567890123456789".to_owned(),
    };
    assert!(git.read_at(&gone, "run.sh").is_err());
}

#[test]
fn the_index_is_listed_below_a_path_and_read_anew() {
    let sandbox = Sandbox::new();
    for path in ["data/b", "data/a/x", "data-b", "data.csv", "other"] {
        sandbox.write(path, "x");
    }
    let git = sandbox.open();
    assert!(git.tracked_below("data").unwrap().is_empty());
    sandbox.git(&["add", "-A"]);
    let cases: [(&str, &[&str]); 5] = [
        ("data", &["data/a/x", "data/b"]),
        ("data/", &["data/a/x", "data/b"]),
        ("data/b", &["data/b"]),
        ("dat", &[]),
        ("", &["data-b", "data.csv", "data/a/x", "data/b", "other"]),
    ];
    for (path, expected) in cases {
        assert_eq!(git.tracked_below(path).unwrap(), expected, "{path}");
    }
}

#[test]
fn ignore_rules_are_those_of_git() {
    let sandbox = Sandbox::new();
    sandbox.write(".gitignore", "*.log\n!keep.log\n/out/\n");
    sandbox.write("sub/.gitignore", "local\n");
    sandbox.write("out/x", "");
    let git = sandbox.open();
    let cases = [
        ("a.log", true),
        ("keep.log", false),
        ("out", true),
        ("out/x", true),
        ("sub/local", true),
        ("local", false),
        ("esker.lock", false),
    ];
    for (path, expected) in cases {
        assert_eq!(git.is_ignored(path).unwrap(), expected, "{path}");
    }
    sandbox.write(".gitignore", "esker.lock\n");
    assert!(git.is_ignored("esker.lock").unwrap());
}

#[test]
fn files_of_a_name_are_found_unless_git_ignores_them() {
    let sandbox = Sandbox::new();
    for path in [
        "deep/er/n.toml",
        "gone/n.toml",
        "an.toml",
        "n.toml.old",
        "changed/n.toml",
    ] {
        sandbox.write(path, "x");
    }
    sandbox.commit("one");
    sandbox.write("changed/n.toml", "yy");
    sandbox.git(&["rm", "-q", "--cached", "changed/n.toml"]);
    fs::remove_file(&sandbox.root().join("gone/n.toml")).unwrap();
    for path in [
        ".gitignore",
        "n.toml",
        "new/dir/n.toml",
        "data/n.toml",
        "n.tomlx/a",
    ] {
        sandbox.write(path, "data/\n");
    }
    sandbox.git(&["init", "-q", "other"]);
    sandbox.write("other/n.toml", "x");
    let expected = [
        "changed/n.toml",
        "deep/er/n.toml",
        "gone/n.toml",
        "n.toml",
        "new/dir/n.toml",
    ];
    assert_eq!(sandbox.open().files_named("n.toml").unwrap(), expected);
}

#[test]
fn uncommitted_files_are_staged_or_changed_but_not_untracked() {
    let sandbox = Sandbox::new();
    for path in ["changed", "deleted", "same", "staged"] {
        sandbox.write(path, "x");
    }
    sandbox.commit("one");
    let git = sandbox.open();
    assert!(git.uncommitted().unwrap().is_empty());
    sandbox.write("changed", "yy");
    sandbox.write("staged", "yy");
    sandbox.git(&["add", "staged"]);
    sandbox.git(&["rm", "-q", "deleted"]);
    sandbox.write("untracked", "x");
    assert_eq!(git.uncommitted().unwrap(), ["changed", "deleted", "staged"]);
}

#[test]
fn the_hooks_path_of_the_configuration_is_honoured() {
    let sandbox = Sandbox::new();
    let git = sandbox.open();
    sandbox.git(&["config", "core.hooksPath", ".husky/_"]);
    assert_eq!(git.hooks_dir().unwrap(), sandbox.root().join(".husky/_"));
    sandbox.git(&["config", "core.hooksPath", "/etc/hooks"]);
    assert_eq!(git.hooks_dir().unwrap(), Path::new("/etc/hooks"));
    sandbox.git(&["config", "core.hooksPath", ""]);
    let default = sandbox.root().join(".git/hooks");
    assert_eq!(git.hooks_dir().unwrap(), default);
}

#[test]
fn a_merge_or_rebase_under_way_is_busy_in_its_worktree_only() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "base\n");
    sandbox.commit("base");
    sandbox.git(&["checkout", "-q", "-b", "side"]);
    sandbox.write("file", "side\n");
    sandbox.commit("side");
    sandbox.git(&["checkout", "-q", "main"]);
    sandbox.write("file", "main\n");
    sandbox.commit("main");
    let worktree = sandbox.outside().join("worktree");
    sandbox.git(&["worktree", "add", "-q", worktree.to_str().unwrap(), "side"]);

    let [main, side] = [sandbox.open(), Git::discover(&worktree).unwrap()];
    assert!(!main.is_busy() && !side.is_busy());
    let rebase = sandbox.try_git(&worktree, &["rebase", "-q", "main"]);
    assert!(!rebase.status.success());
    assert!(side.is_busy() && !main.is_busy());
    let merge = sandbox.try_git(&sandbox.root(), &["merge", "-q", "side"]);
    assert!(!merge.status.success());
    assert!(main.is_busy());
    sandbox.git(&["merge", "--abort"]);
    assert!(!main.is_busy());
    sandbox.git(&["bisect", "start", "main", "main~1"]);
    assert!(!main.is_busy());
}

#[test]
fn the_sides_of_a_conflict_can_be_had() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "base\n");
    sandbox.commit("base");
    sandbox.git(&["checkout", "-q", "-b", "other"]);
    sandbox.write("file", "theirs\n");
    sandbox.commit("theirs");
    sandbox.git(&["checkout", "-q", "-"]);
    sandbox.write("file", "ours\n");
    sandbox.commit("ours");
    assert_eq!(sandbox.open().conflict("file").unwrap(), None);
    let merge = sandbox.try_git(&sandbox.root(), &["merge", "-q", "other"]);
    assert!(!merge.status.success());
    let bytes = |text: &str| Some(text.as_bytes().to_vec());
    let expected = Conflict {
        base: bytes("base\n"),
        ours: bytes("ours\n"),
        theirs: bytes("theirs\n"),
    };
    assert_eq!(sandbox.open().conflict("file").unwrap(), Some(expected));
}
