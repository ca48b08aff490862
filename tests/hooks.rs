use crate::common::Sandbox;

#[test]
fn data_follows_git() {
    let sandbox = Sandbox::project();
    sandbox.write("data/a", "one");
    sandbox.ok("add data");
    sandbox.commit("One");
    insta::assert_snapshot!(sandbox.esker("install"), @"
    exit: 0
    --- stderr
    Installed git hooks: post-checkout, post-merge, post-rewrite, pre-push
    ");
    sandbox.git("checkout --quiet -b other");
    sandbox.write("data/a", "two");
    sandbox.write("data/b", "new");
    sandbox.ok("add data");
    sandbox.commit("Two");
    let output = sandbox.try_sh("git checkout --quiet main");
    insta::assert_snapshot!(output, @"
    exit: 0
    --- stderr
    esker: Switched 1 path (data): 1 file written, 3 B, 1 file removed
    ");
    assert_eq!(sandbox.read("data/a"), "one");
    assert!(!sandbox.exists("data/b"));
    sandbox.git("merge --quiet other");
    assert_eq!(sandbox.read("data/b"), "new");
}

#[test]
fn a_merge_commit_and_a_rebase_switch_data_too() {
    let sandbox = Sandbox::project();
    sandbox.write("a", "one");
    sandbox.ok("add a");
    sandbox.commit("One");
    sandbox.ok("install");
    sandbox.git("checkout --quiet -b other");
    sandbox.write("a", "two");
    sandbox.ok("add a");
    sandbox.commit("Two");
    sandbox.git("checkout --quiet main");
    sandbox.write("code", "x");
    sandbox.commit("Code");
    sandbox.git("merge --quiet --no-edit other");
    assert_eq!(sandbox.read("a"), "two", "after a merge commit");
    sandbox.git("checkout --quiet -b third main~");
    assert_eq!(sandbox.read("a"), "one");
    sandbox.write("more", "x");
    sandbox.commit("More");
    sandbox.git("rebase --quiet other");
    assert_eq!(sandbox.read("a"), "two", "after a rebase");
}

#[test]
fn a_hook_never_fails_git() {
    let sandbox = Sandbox::project();
    sandbox.write("data", "one");
    sandbox.ok("add data");
    sandbox.commit("One");
    sandbox.git("checkout --quiet -b other");
    sandbox.write("data", "two");
    sandbox.ok("add data");
    sandbox.commit("Two");
    sandbox.ok("install");
    sandbox.write("data", "unsaved");
    let output = sandbox.try_sh("git checkout --quiet main");
    insta::assert_snapshot!(output, @"
    exit: 0
    --- stderr
    error[E0301]: checkout would overwrite bytes that are saved nowhere
      ~ data   7 B
      nothing was touched

    hint: keep it with `esker add data` (a stage's output: `esker commit`), or move it out of the way with `--force`
    ");
    assert_eq!(sandbox.read("data"), "unsaved");
}

#[test]
fn a_push_that_cannot_send_data_is_stopped() {
    let sandbox = Sandbox::project();
    sandbox.git("init --quiet --bare ../origin.git && git remote add origin ../origin.git");
    sandbox.write("data", "one");
    sandbox.ok("add data");
    sandbox.ok("remote add store ../remote");
    sandbox.ok("install");
    sandbox.commit("One");
    sandbox.git("push --quiet origin main");
    assert!(
        sandbox.root().join("remote/format.json").exists(),
        "data went before the commits"
    );
    sandbox.write("data", "two");
    sandbox.ok("add data");
    sandbox.commit("Two");
    sandbox.sh("rm -rf .git/esker/store/objects");
    let output = sandbox.try_sh("git push --quiet origin main");
    insta::assert_snapshot!(output, @"
    exit: 1
    --- stderr
      ! data  not here (b3:dc770fff53f5)
    esker: this push was stopped, because the data of its commits cannot be sent; `git push --no-verify` pushes without it
    error: failed to push some refs to '../origin.git'
    ");
    sandbox.git("push --quiet --no-verify origin main");
}

#[test]
fn an_existing_hook_is_kept_and_comes_back() {
    let sandbox = Sandbox::project();
    sandbox.write(".git/hooks/post-checkout", "#!/bin/sh\necho mine\n");
    sandbox.sh("chmod +x .git/hooks/post-checkout");
    insta::assert_snapshot!(sandbox.esker("install"), @"
    exit: 0
    --- stderr
    Installed git hooks: post-checkout, post-merge, post-rewrite, pre-push
      an existing post-checkout hook was kept and runs first
    ");
    assert!(sandbox.git("checkout -b other 2>&1").contains("mine"));
    insta::assert_snapshot!(sandbox.esker("uninstall"), @"
    exit: 0
    --- stderr
    Removed git hooks: post-checkout, post-merge, post-rewrite, pre-push
    ");
    assert_eq!(
        sandbox.read(".git/hooks/post-checkout"),
        "#!/bin/sh\necho mine\n"
    );
    insta::assert_snapshot!(sandbox.esker("uninstall"), @"
    exit: 0
    --- stderr
    No hooks of esker are installed
    ");
}
