//! One store for several clones and users. Pain 25; scenario 36.
//!
//! As root, the two users are really two. Else they are one, and what the other could do is shown
//! by modes alone.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::common::Sandbox;

/// The group that both users are in; neither has it as the first.
const GROUP: u32 = 54_321;

/// Two users with a clone each, and a directory for a store.
struct Scene {
    sandbox: Sandbox,
    is_root: bool,
}

/// A user, and the mask that every command of theirs begins with.
#[derive(Clone, Copy)]
struct User {
    number: u32,
    umask: &'static str,
}

const ADA: User = User {
    number: 1,
    umask: "077",
};
const BOB: User = User {
    number: 2,
    umask: "022",
};

impl Scene {
    fn new() -> Self {
        let scene = Self {
            sandbox: Sandbox::empty(),
            is_root: rustix::process::getuid().is_root(),
        };
        let root = scene.sandbox.root().to_owned();
        set_mode(&root, 0o755);
        // Users may not be able to reach the directory that it is built in.
        std::fs::copy(env!("CARGO_BIN_EXE_esker"), root.join("esker")).unwrap();
        std::fs::create_dir(root.join("store")).unwrap();
        if scene.is_root {
            std::os::unix::fs::chown(root.join("store"), Some(0), Some(GROUP)).unwrap();
        }
        set_mode(&root.join("store"), 0o2775);
        for user in [ADA, BOB] {
            let home = scene.home(user);
            std::fs::create_dir(&home).unwrap();
            set_mode(&home, 0o755);
            if scene.is_root {
                std::os::unix::fs::chown(&home, Some(scene.id(user)), Some(scene.id(user)))
                    .unwrap();
            }
            scene.sh(user, "git config --global safe.directory '*'");
        }
        scene.sh(ADA, "git init --quiet --initial-branch main clone");
        scene.sh(
            ADA,
            "cd clone && $ESKER init && git add . && git commit --quiet -m Start",
        );
        set_mode(&scene.home(ADA).join("clone"), 0o755);
        scene.sh(ADA, "chmod -R a+rX clone");
        scene.sh(
            BOB,
            &format!(
                "git clone --quiet {}/clone clone",
                scene.home(ADA).display()
            ),
        );
        for user in [ADA, BOB] {
            scene.configure(user, "");
        }
        scene
    }

    fn configure(&self, user: User, more: &str) {
        let store = self.store();
        let text = format!(
            "[store]\npath = \"{}\"\nshared = \"group\"\n{more}",
            store.display()
        );
        self.sh(user, &format!("mkdir -p clone/.git/esker && cat > clone/.git/esker/config.toml <<'END'\n{text}\nEND"));
    }

    fn store(&self) -> PathBuf {
        self.sandbox.root().join("store")
    }

    fn home(&self, user: User) -> PathBuf {
        self.sandbox.root().join(format!("home-{}", user.number))
    }

    fn id(&self, user: User) -> u32 {
        50_000 + user.number
    }

    fn start(&self, user: User, line: &str) -> Child {
        let mut command = match self.is_root {
            true => {
                let mut command = Command::new("setpriv");
                let id = self.id(user);
                command.args([
                    format!("--reuid={id}"),
                    format!("--regid={id}"),
                    format!("--groups={GROUP}"),
                ]);
                command.arg("sh");
                command
            }
            false => Command::new("sh"),
        };
        command
            .args(["-c", &format!("umask {}; {line}", user.umask)])
            .current_dir(self.home(user))
            .env_clear()
            .env("HOME", self.home(user))
            .env("PATH", std::env::var("PATH").unwrap())
            .env("ESKER", self.sandbox.root().join("esker"))
            .env("LC_ALL", "C.UTF-8")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("ESKER_SYSTEM_CONFIG", "/nowhere")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "Ada");
            command.env(format!("GIT_{who}_EMAIL"), "ada@example.com");
        }
        command.spawn().unwrap()
    }

    /// Runs a line of shell as a user; the exit code, and all that it says.
    fn run(&self, user: User, line: &str) -> (i32, String) {
        said(self.start(user, line))
    }

    /// Runs a line that must succeed.
    fn sh(&self, user: User, line: &str) -> String {
        let (code, text) = self.run(user, line);
        assert_eq!(code, 0, "{line}\n{text}");
        text
    }

    /// Runs esker in the clone of a user; it must succeed.
    fn ok(&self, user: User, line: &str) -> String {
        self.sh(user, &format!("cd clone && $ESKER {line}"))
    }

    fn esker(&self, user: User, line: &str) -> (i32, String) {
        self.run(user, &format!("cd clone && $ESKER {line}"))
    }

    /// Fails if anything in the store is not for the whole group.
    fn check_modes(&self) {
        let store = self.store();
        let group = store.metadata().unwrap().gid();
        let mut n_files = 0;
        let mut todo = vec![store];
        while let Some(path) = todo.pop() {
            let stat = path.symlink_metadata().unwrap();
            let mode = stat.permissions().mode() & 0o7777;
            if stat.is_dir() {
                assert_eq!((mode, stat.gid()), (0o2775, group), "{path:?}: {mode:o}");
                // What is not finished is nobody else's business.
                if path.ends_with("tmp") {
                    continue;
                }
                todo.extend(
                    std::fs::read_dir(&path)
                        .unwrap()
                        .map(|entry| entry.unwrap().path()),
                );
            } else {
                n_files += 1;
                assert_eq!(mode, 0o444, "{path:?}: {mode:o}");
            }
        }
        assert!(n_files > 0);
    }
}

fn said(child: Child) -> (i32, String) {
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    (output.status.code().unwrap_or(-1), text)
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Makes a directory of many small files and a large one.
fn data(seed: &str) -> String {
    format!(
        "mkdir -p clone/{seed} && for n in $(seq 300); do echo {seed} $n > clone/{seed}/$n; done && yes {seed} | head -c 200000 > clone/{seed}/large"
    )
}

/// Scenario 36.
#[test]
fn two_users_share_what_each_of_them_added() {
    let scene = Scene::new();
    scene.sh(ADA, &data("ada"));
    scene.ok(ADA, "add ada");
    scene.check_modes();
    scene.sh(
        ADA,
        "cd clone && git add . && git commit --quiet -m Ada && chmod -R a+rX .git",
    );
    scene.sh(BOB, "cd clone && git pull --quiet");
    scene.ok(BOB, "checkout");
    assert_eq!(scene.sh(BOB, "cat clone/ada/7"), "ada 7\n");
    scene.sh(BOB, &data("bob"));
    scene.ok(BOB, "add bob");
    scene.ok(BOB, "fsck --data");
    scene.check_modes();
    // Both clones are known to the store.
    let mut roots: Vec<String> = std::fs::read_dir(scene.store().join("roots"))
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    roots.sort();
    let expected =
        [ADA, BOB].map(|user| format!("{}\n", scene.home(user).join("clone/.git").display()));
    assert_eq!(roots, expected);
    for user in [ADA, BOB] {
        let doctor = scene.ok(user, "doctor");
        assert!(doctor.contains("✓ shared"), "{doctor}");
    }
}

#[test]
fn two_users_add_at_the_same_time_and_lose_nothing() {
    let scene = Scene::new();
    for round in 0..4 {
        let both = [ADA, BOB].map(|user| {
            let name = format!("data-{}-{round}", user.number);
            // The same file comes from both, and so do files that nobody else has.
            let same = format!("yes {round} | head -c 100000 > clone/{name}/same");
            let line = format!("{} && {same} && cd clone && $ESKER add {name}", data(&name));
            scene.start(user, &line)
        });
        for child in both {
            let (code, text) = said(child);
            assert_eq!(code, 0, "{text}");
        }
    }
    for user in [ADA, BOB] {
        scene.ok(user, "fsck --data");
        scene.sh(user, "rm -r clone/data-*");
        scene.ok(user, "checkout");
        let name = format!("clone/data-{}-3", user.number);
        assert_eq!(scene.sh(user, &format!("ls {name} | wc -l")).trim(), "302");
    }
    scene.check_modes();
}

#[test]
fn doctor_finds_and_mends_what_shuts_the_group_out() {
    let scene = Scene::new();
    scene.sh(ADA, &data("ada"));
    scene.ok(ADA, "add ada");
    let objects = scene.store().join("objects");
    // As a program leaves it that knows nothing of groups.
    scene.sh(
        ADA,
        &format!(
            "find {} -mindepth 1 -type d -exec chmod 755 {{}} +",
            scene.store().display()
        ),
    );
    let (code, doctor) = scene.esker(BOB, "doctor");
    assert_eq!(code, 1, "{doctor}");
    assert!(doctor.contains("✗ shared"), "{doctor}");
    assert!(
        doctor.contains("`esker doctor --fix` mends what is yours"),
        "{doctor}"
    );
    if scene.is_root {
        scene.sh(BOB, &data("bob"));
        let (code, text) = scene.esker(BOB, "add bob");
        assert_eq!(code, 2, "{text}");
        assert!(
            text.contains("error[E0510]: cannot write to the store"),
            "{text}"
        );
        assert!(text.contains("hint: esker doctor"), "{text}");
        let (code, doctor) = scene.esker(BOB, "doctor --fix");
        assert_eq!(code, 1, "{doctor}");
        let command = format!(
            "as root: chgrp -R {GROUP} {0} && find {0} -type d -exec chmod 2775",
            scene.store().display()
        );
        assert!(doctor.contains(&command), "{doctor}");
    }
    let doctor = scene.ok(ADA, "doctor --fix");
    assert!(doctor.contains("✓ shared      mended"), "{doctor}");
    assert_eq!(
        objects.metadata().unwrap().permissions().mode() & 0o7777,
        0o2775
    );
    scene.check_modes();
    scene.sh(BOB, &data("bob"));
    scene.ok(BOB, "add bob");
}

#[test]
fn links_into_a_shared_store_are_symbolic_where_hard_ones_are_refused() {
    let scene = Scene::new();
    scene.sh(ADA, &data("ada"));
    scene.ok(ADA, "add ada");
    scene.sh(
        ADA,
        "cd clone && git add . && git commit --quiet -m Ada && chmod -R a+rX .git",
    );
    scene.sh(BOB, "cd clone && git pull --quiet");
    scene.configure(BOB, "links = [\"hardlink\", \"symlink\"]");
    scene.ok(BOB, "checkout");
    let large = scene
        .home(BOB)
        .join("clone/ada/large")
        .symlink_metadata()
        .unwrap();
    assert!(large.is_symlink() || large.nlink() == 2, "{large:?}");
    let protected = std::fs::read_to_string("/proc/sys/fs/protected_hardlinks").unwrap_or_default();
    if scene.is_root && protected.trim() == "1" {
        assert!(large.is_symlink(), "{large:?}");
    }
    assert!(scene.ok(BOB, "status").contains("Data:   up to date"));
    // What is not one's own cannot even be damaged through a link.
    if scene.is_root {
        let (code, text) = scene.run(BOB, "chmod u+w clone/ada/large");
        assert_ne!(code, 0, "{text}");
    }
}

#[test]
fn a_store_that_may_only_be_read_gives_data_and_takes_none() {
    let scene = Scene::new();
    scene.sh(ADA, &data("ada"));
    scene.ok(ADA, "add ada");
    scene.sh(
        ADA,
        "cd clone && git add . && git commit --quiet -m Ada && chmod -R a+rX .git",
    );
    scene.sh(BOB, "cd clone && git pull --quiet");
    let close = format!(
        "find {} -type d -exec chmod a-w {{}} +",
        scene.store().display()
    );
    scene.sh(ADA, &format!("{close} || true"));
    set_mode(&scene.store(), 0o2555);
    scene.ok(BOB, "checkout");
    assert_eq!(scene.sh(BOB, "cat clone/ada/7"), "ada 7\n");
    scene.sh(BOB, "echo more > clone/more");
    // Root may write everywhere; these users may not, whoever they are.
    if !rustix::process::geteuid().is_root() || scene.is_root {
        let (code, text) = scene.esker(BOB, "add more");
        assert_eq!(code, 2, "{text}");
        assert!(text.contains("error[E0510]"), "{text}");
    }
    // So that it can be removed.
    scene.sh(
        ADA,
        &format!(
            "find {} -mindepth 1 -type d -exec chmod u+w {{}} +",
            scene.store().display()
        ),
    );
    set_mode(&scene.store(), 0o2775);
}

#[test]
fn a_store_that_is_not_there_is_not_made_anew_in_its_place() {
    let sandbox = Sandbox::project();
    let mounted = sandbox.root().join("mounted");
    let store = mounted.join("store");
    let text = format!("[store]\npath = \"{}\"\n", store.display());
    sandbox.write(".git/esker/config.toml", text);
    sandbox.write("data", "data");
    insta::assert_snapshot!(sandbox.esker("add data"), @"
    exit: 2
    --- stderr
    error[E0511]: the store `$ROOT/mounted/store` is not there
      nothing was changed

    hint: mount its disk, or make it: mkdir -p $ROOT/mounted/store
    ");
    for line in ["checkout", "pull", "commit data"] {
        let output = sandbox.esker(line);
        assert_eq!(output.code, 2, "{line}: {output}");
        assert!(output.stderr.contains("E0511"), "{line}: {output}");
    }
    let doctor = sandbox.esker("doctor");
    assert!(doctor.stdout.contains("✗ store"), "{doctor}");
    assert!(!mounted.exists());
    // The lock can be judged without a store.
    sandbox.ok("lock --check");
    sandbox.ok("undo --expire");
    std::fs::create_dir(&mounted).unwrap();
    sandbox.ok("add data");
    assert!(store.join("objects").exists());
}
