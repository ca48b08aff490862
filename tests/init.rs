use crate::common::Sandbox;

#[test]
fn init_writes_two_files_and_says_what_next() {
    let sandbox = Sandbox::repository();
    insta::assert_snapshot!(sandbox.esker("init"), @"
    exit: 0
    --- stderr
    Initialized esker in `project` (git, branch main)
      + esker.toml       what you write: stages, metrics, remotes
      + .gitattributes   lets the ignore lists of two branches merge
    next: esker add <data>
    ");
    assert!(sandbox.read("esker.toml").contains("[project]"));
    assert_eq!(sandbox.read(".gitattributes"), ".gitignore merge=union\n");
    assert!(sandbox.ok("status").contains("nothing tracked"));
}

#[test]
fn init_twice_changes_nothing() {
    let sandbox = Sandbox::project();
    let before = sandbox.files("project");
    insta::assert_snapshot!(sandbox.esker("init"), @"
    exit: 2
    --- stderr
    error[E0103]: `$ROOT/project` is an esker project already

    hint: see what it tracks: esker status
    ");
    assert_eq!(sandbox.files("project"), before);
}

#[test]
fn init_outside_of_git_writes_nothing() {
    let sandbox = Sandbox::empty();
    insta::assert_snapshot!(sandbox.esker("init"), @"
    exit: 2
    --- stderr
    error[E0101]: `$ROOT/project` is not inside a git working tree

    hint: git init
    ");
    assert!(sandbox.files("project").is_empty());
}

#[test]
fn init_refuses_where_git_would_ignore_the_lock() {
    let sandbox = Sandbox::repository();
    sandbox.write(".gitignore", "*.lock\n");
    insta::assert_snapshot!(sandbox.esker("init"), @"
    exit: 2
    --- stderr
    error[E0104]: git ignores `esker.lock`, which has to be committed

    hint: find the rule with `git check-ignore -v esker.lock`, and remove it
    ");
    assert!(!sandbox.exists("esker.toml"));
}

#[test]
fn a_project_may_lie_below_the_top_of_the_repository() {
    let sandbox = Sandbox::repository();
    sandbox.write("models/x.bin", "x");
    sandbox.ok("-C models init");
    sandbox.ok("-C models add x.bin");
    assert_eq!(sandbox.ok("-C models root"), "$ROOT/project/models\n");
    assert!(
        sandbox
            .git("check-ignore models/x.bin")
            .contains("models/x.bin")
    );
    assert_eq!(
        sandbox.esker("status").code,
        2,
        "there is no project at the top"
    );
}
