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
fn editors_find_the_schema_where_the_first_line_says() {
    let schema = std::fs::read_to_string("docs/esker-toml.schema.json").unwrap();
    let sandbox = Sandbox::repository();
    sandbox.ok("init");
    sandbox.sh("mkdir -p models/reviews");
    sandbox.ok("-C models/reviews init");
    for project in [".", "models/reviews"] {
        let text = sandbox.read(&format!("{project}/esker.toml"));
        let path = text
            .lines()
            .next()
            .unwrap()
            .strip_prefix("#:schema ")
            .unwrap();
        assert_eq!(sandbox.read(&format!("{project}/{path}")), schema, "{path}");
    }
    // A clone has it as soon as something is changed there, and an old one is replaced.
    sandbox.commit("Start");
    let clone = sandbox.clone_to("clone");
    clone.sh("echo x > data");
    clone.ok("status");
    clone.sh("test ! -e .git/esker/esker-toml.schema.json");
    clone.ok("add data");
    assert_eq!(
        sandbox.read("../clone/.git/esker/esker-toml.schema.json"),
        schema
    );
    clone.sh("echo '{}' > .git/esker/esker-toml.schema.json");
    clone.ok("checkout");
    assert_eq!(
        sandbox.read("../clone/.git/esker/esker-toml.schema.json"),
        schema
    );
    // Where `.git` is a file, there is no such path.
    sandbox.git("worktree add --quiet --detach ../tree && rm ../tree/esker.toml");
    sandbox.ok("-C ../tree init");
    assert!(
        sandbox
            .read("../tree/esker.toml")
            .starts_with("# What this project does")
    );
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
