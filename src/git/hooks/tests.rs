use super::*;
use crate::git::tests::Sandbox;

/// A program that writes down how it was called, and ends as told.
fn program(path: &Path, log: &Path, status: u8) {
    let log = shell_text(log);
    let script = format!(
        "#!/bin/sh\n{{ echo \"${{0##*/}}: $* [$ESKER_HOOK]\"; case $* in *pre-push*|*rewrite*|*origin*) cat;; esac; }} >> {log}\nexit {status}\n"
    );
    executable(path, &script);
}

fn executable(path: &Path, script: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::remove_file(path).unwrap();
    fs::write_new(path, script.as_bytes()).unwrap();
    fs::set_executable(path, true).unwrap();
}

fn shell_text(path: &Path) -> String {
    String::from_utf8(shell_quote(path.as_os_str().as_bytes())).unwrap()
}

/// A repository with the hooks installed for a stand-in program whose path is hard to quote.
struct Hooked {
    sandbox: Sandbox,
    program: PathBuf,
    log: PathBuf,
}

impl Hooked {
    fn new(before: impl FnOnce(&Sandbox)) -> Self {
        let sandbox = Sandbox::new();
        sandbox.commit("one");
        before(&sandbox);
        let hooked = Self {
            program: sandbox.outside().join("o'p \"t\" $x `y`/esker"),
            log: sandbox.outside().join("lo'g"),
            sandbox,
        };
        program(&hooked.program, &hooked.log, 0);
        hooked.install();
        hooked
    }

    fn install(&self) -> HookReport {
        install_hooks(&self.sandbox.open(), &self.program).unwrap()
    }

    fn hook(&self, name: &str) -> PathBuf {
        self.sandbox.root().join(".git/hooks").join(name)
    }

    /// What has been written down since the last look.
    fn log(&self) -> Vec<String> {
        let bytes = fs::read_if_exists(&self.log).unwrap().unwrap_or_default();
        fs::remove_file(&self.log).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn add_origin(&self) {
        let bare = self.sandbox.outside().join("bare.git");
        let bare = bare.to_str().unwrap();
        self.sandbox.git(&["init", "-q", "--bare", bare]);
        self.sandbox.git(&["remote", "add", "origin", bare]);
    }

    fn push(&self) -> (Option<i32>, String) {
        let push = ["push", "-q", "origin", "main"];
        let output = self.sandbox.try_git(&self.sandbox.root(), &push);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), errors)
    }

    fn is_pushed(&self) -> bool {
        let refs = self.sandbox.git(&["ls-remote", "origin"]);
        refs.contains("refs/heads/main")
    }
}

/// A hook of somebody else in a repository.
fn earlier(sandbox: &Sandbox, name: &str, status: u8) {
    let hooks = sandbox.root().join(".git/hooks");
    program(&hooks.join(name), &sandbox.outside().join("lo'g"), status);
}

#[test]
fn git_calls_the_program_with_its_own_arguments() {
    let hooked = Hooked::new(|_| {});
    let sandbox = &hooked.sandbox;
    let head = sandbox.git(&["rev-parse", "HEAD"]);
    sandbox.git(&["checkout", "-q", "-b", "side"]);
    let call = format!("esker: hook post-checkout {head} {head} 1 [post-checkout]");
    assert_eq!(hooked.log(), [call]);

    sandbox.commit("two");
    sandbox.git(&["checkout", "-q", "main"]);
    hooked.log();
    sandbox.git(&["merge", "-q", "side"]);
    assert_eq!(hooked.log(), ["esker: hook post-merge 0 [post-merge]"]);

    let old = sandbox.git(&["rev-parse", "HEAD"]);
    sandbox.git(&["commit", "-q", "--amend", "--allow-empty", "-m", "three"]);
    let new = sandbox.git(&["rev-parse", "HEAD"]);
    let call = "esker: hook post-rewrite amend [post-rewrite]".to_owned();
    assert_eq!(hooked.log(), [call, format!("{old} {new}")]);
}

#[test]
fn a_push_hands_over_what_is_pushed_and_stops_when_it_must() {
    let hooked = Hooked::new(|_| {});
    hooked.add_origin();
    program(&hooked.program, &hooked.log, 4);
    assert_eq!(hooked.push().0, Some(1));
    assert!(!hooked.is_pushed());
    let log = hooked.log();
    assert!(
        log[0].starts_with("esker: hook pre-push origin "),
        "{log:?}"
    );
    assert!(log[1].starts_with("refs/heads/main "), "{log:?}");
    program(&hooked.program, &hooked.log, 0);
    assert_eq!(hooked.push().0, Some(0));
    assert!(hooked.is_pushed());
}

#[test]
fn a_program_that_fails_after_the_fact_fails_nothing() {
    let hooked = Hooked::new(|_| {});
    program(&hooked.program, &hooked.log, 3);
    hooked.sandbox.git(&["checkout", "-q", "-b", "side"]);
    assert_eq!(hooked.log().len(), 1);
}

#[test]
fn a_hook_that_was_there_runs_first_and_keeps_its_say() {
    let hooked = Hooked::new(|sandbox| {
        earlier(sandbox, "post-checkout", 3);
        earlier(sandbox, "pre-push", 0);
    });
    hooked.add_origin();
    let side = ["checkout", "-q", "-b", "side"];
    let output = hooked.sandbox.try_git(&hooked.sandbox.root(), &side);
    assert_eq!(output.status.code(), Some(1));
    let log = hooked.log();
    assert!(
        log[0].starts_with("post-checkout.before-esker: "),
        "{log:?}"
    );
    assert!(log[1].starts_with("esker: hook post-checkout "), "{log:?}");

    assert_eq!(hooked.push().0, Some(0));
    let log = hooked.log();
    assert!(
        log[0].starts_with("pre-push.before-esker: origin "),
        "{log:?}"
    );
    assert!(
        log[2].starts_with("esker: hook pre-push origin "),
        "{log:?}"
    );
    assert_eq!(log[1], log[3], "both read the same input");
    assert!(log[1].starts_with("refs/heads/main "), "{log:?}");
}

#[test]
fn an_earlier_hook_that_stops_a_push_is_obeyed() {
    let hooked = Hooked::new(|sandbox| earlier(sandbox, "pre-push", 7));
    hooked.add_origin();
    assert_eq!(hooked.push().0, Some(1));
    assert!(!hooked.is_pushed());
    let log = hooked.log();
    assert!(log.iter().all(|line| !line.starts_with("esker")), "{log:?}");
}

#[test]
fn an_earlier_hook_that_git_would_not_run_is_not_run() {
    let hooked = Hooked::new(|sandbox| {
        let hooks = sandbox.root().join(".git/hooks");
        fs::create_dir_all(&hooks).unwrap();
        fs::write_new(&hooks.join("post-checkout"), b"#!/bin/sh\nexit 9\n").unwrap();
    });
    hooked.sandbox.git(&["checkout", "-q", "-b", "side"]);
    assert_eq!(hooked.log().len(), 1);
    uninstall_hooks(&hooked.sandbox.open()).unwrap();
    let back = fs::read(&hooked.hook("post-checkout")).unwrap();
    assert_eq!(back, b"#!/bin/sh\nexit 9\n");
}

#[test]
fn git_inside_a_hook_does_not_call_the_program_again() {
    let hooked = Hooked::new(|sandbox| earlier(sandbox, "post-checkout", 0));
    let log = shell_text(&hooked.log);
    executable(
        &hooked.program,
        &format!("#!/bin/sh\necho esker >> {log}\ngit checkout -q -\n"),
    );
    hooked.sandbox.git(&["branch", "side"]);
    hooked.sandbox.git(&["checkout", "-q", "side"]);
    let log = hooked.log();
    let ours = log.iter().filter(|line| *line == "esker").count();
    assert_eq!((ours, log.len()), (1, 3), "{log:?}");
    assert!(
        log[2].starts_with("post-checkout.before-esker: "),
        "{log:?}"
    );
}

#[test]
fn a_missing_program_is_looked_for_and_then_said() {
    let hooked = Hooked::new(|_| {});
    hooked.add_origin();
    fs::remove_file(&hooked.program).unwrap();
    let (status, errors) = hooked.push();
    assert_eq!(status, Some(0));
    let said = errors
        .lines()
        .filter(|line| line.contains("esker: not found"));
    assert_eq!(said.count(), 1, "{errors}");
    let side = ["checkout", "-q", "-b", "side"];
    let output = hooked.sandbox.try_git(&hooked.sandbox.root(), &side);
    assert_eq!(output.status.code(), Some(0));
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("post-checkout does nothing"), "{errors}");

    let on_path = hooked.sandbox.outside().join("bin/esker");
    program(&on_path, &hooked.log, 0);
    hooked.sandbox.git(&["checkout", "-q", "main"]);
    assert_eq!(hooked.log().len(), 1);
}

#[test]
fn installing_again_changes_nothing_and_uninstalling_restores() {
    let hooked = Hooked::new(|sandbox| earlier(sandbox, "pre-push", 0));
    let git = hooked.sandbox.open();
    let old = fs::read(&hooked.hook("pre-push.before-esker")).unwrap();
    let first = fs::read(&hooked.hook("pre-push")).unwrap();
    let report = hooked.install();
    assert_eq!(report.hooks, HOOKS);
    assert_eq!(report.chained, ["pre-push"]);
    assert_eq!(report.dir, git.hooks_dir().unwrap().display().to_string());
    assert_eq!(fs::read(&hooked.hook("pre-push")).unwrap(), first);
    assert_eq!(
        fs::read(&hooked.hook("pre-push.before-esker")).unwrap(),
        old
    );

    let report = uninstall_hooks(&git).unwrap();
    assert_eq!(report.hooks, HOOKS);
    assert_eq!(report.chained, ["pre-push"]);
    assert_eq!(fs::read(&hooked.hook("pre-push")).unwrap(), old);
    let left: Vec<_> = fs::list_dir(&git.hooks_dir().unwrap())
        .unwrap()
        .into_iter()
        .filter(|name| !name.to_string_lossy().ends_with(".sample"))
        .collect();
    assert_eq!(left, ["pre-push"]);
    let report = uninstall_hooks(&git).unwrap();
    assert!(report.hooks.is_empty() && report.chained.is_empty());
}

#[test]
fn a_new_program_replaces_the_old_one() {
    let mut hooked = Hooked::new(|_| {});
    hooked.program = hooked.sandbox.outside().join("other");
    program(&hooked.program, &hooked.log, 0);
    hooked.install();
    hooked.sandbox.git(&["checkout", "-q", "-b", "side"]);
    assert!(hooked.log()[0].starts_with("other: hook post-checkout "));
}

#[test]
fn a_kept_hook_is_never_overwritten() {
    let hooked = Hooked::new(|sandbox| earlier(sandbox, "pre-push", 0));
    let git = hooked.sandbox.open();
    // Another tool wrote its hook over ours.
    executable(&hooked.hook("pre-push"), "#!/bin/sh\n# other\n");
    executable(&hooked.hook("post-merge"), "#!/bin/sh\n# other\n");
    let before = snapshot(&git);
    let refused = install_hooks(&git, &hooked.program).unwrap_err();
    assert!(matches!(&refused, Error::HookTaken { hook, .. } if hook.ends_with("pre-push")));
    assert_eq!(snapshot(&git), before, "nothing was touched");
    let report = uninstall_hooks(&git).unwrap();
    assert_eq!(report.hooks, ["post-checkout", "post-rewrite"]);
    let left = fs::read(&hooked.hook("pre-push")).unwrap();
    assert_eq!(left, b"#!/bin/sh\n# other\n");
    assert!(exists(&hooked.hook("pre-push.before-esker")).unwrap());
}

fn snapshot(git: &Git) -> Vec<(std::ffi::OsString, Vec<u8>)> {
    let dir = git.hooks_dir().unwrap();
    let names = fs::list_dir(&dir).unwrap();
    let read = |name: std::ffi::OsString| {
        let bytes = fs::read(&dir.join(&name)).unwrap();
        (name, bytes)
    };
    names.into_iter().map(read).collect()
}

#[test]
fn a_link_and_a_later_version_are_told_apart() {
    let hooked = Hooked::new(|sandbox| {
        let hooks = sandbox.root().join(".git/hooks");
        fs::create_dir_all(&hooks).unwrap();
        fs::symlink(Path::new("../../nowhere"), &hooks.join("post-merge")).unwrap();
    });
    let kept = hooked.hook("post-merge.before-esker");
    assert_eq!(fs::read_link(&kept).unwrap(), Path::new("../../nowhere"));
    let later = hooked.hook("post-checkout");
    executable(&later, "#!/bin/sh\n# esker hook v9\n");
    hooked.install();
    assert!(!exists(&hooked.hook("post-checkout.before-esker")).unwrap());
}

#[test]
fn hooks_go_where_the_configuration_says_and_serve_all_worktrees() {
    let hooked = Hooked::new(|sandbox| {
        sandbox.git(&["config", "core.hooksPath", "tools/git hooks"]);
    });
    let dir = hooked.sandbox.root().join("tools/git hooks");
    assert!(exists(&dir.join("pre-push")).unwrap());
    hooked.sandbox.git(&["checkout", "-q", "-b", "side"]);
    assert_eq!(hooked.log().len(), 1);

    let hooked = Hooked::new(|_| {});
    let worktree = hooked.sandbox.outside().join("worktree");
    let worktree = worktree.to_str().unwrap();
    hooked
        .sandbox
        .git(&["worktree", "add", "-q", "-b", "side", worktree]);
    assert_eq!(hooked.log().len(), 1);
}

/// The doc of [`Git::is_busy`] warns whoever writes the program's side of these hooks.
#[test]
fn git_still_looks_busy_inside_the_hooks_that_end_its_work() {
    let hooked = Hooked::new(|_| {});
    let sandbox = &hooked.sandbox;
    let log = shell_text(&hooked.log);
    let git_dir = shell_text(&sandbox.root().join(".git"));
    executable(
        &hooked.program,
        &format!(
            "#!/bin/sh\ncd {git_dir}; for mark in MERGE_HEAD rebase-merge; do [ -e $mark ] && echo $2 $mark; done >> {log}\n"
        ),
    );
    sandbox.git(&["checkout", "-q", "-b", "side"]);
    sandbox.write("side", "x");
    sandbox.commit("side");
    sandbox.git(&["checkout", "-q", "main"]);
    sandbox.write("main", "x");
    sandbox.commit("main");
    hooked.log();
    sandbox.git(&["merge", "-q", "--no-edit", "side"]);
    assert_eq!(hooked.log(), ["post-merge MERGE_HEAD"]);
    sandbox.git(&["reset", "-q", "--hard", "HEAD~1"]);
    sandbox.git(&["rebase", "-q", "side"]);
    assert!(
        hooked
            .log()
            .contains(&"post-rewrite rebase-merge".to_owned())
    );
}
