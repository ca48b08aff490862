use crate::common::Sandbox;

#[test]
fn the_demo_keeps_what_it_claims() {
    let sandbox = Sandbox::empty();
    let output = sandbox.esker("demo tour");
    assert_eq!(output.code, 0, "{output}");
    assert!(output.stdout.contains("claims hold"), "{output}");
    assert!(!output.stdout.contains('✗'), "{output}");
    assert!(
        output.stdout.contains("$ esker add data/penguins.csv"),
        "{output}"
    );
}

#[test]
fn the_demo_leaves_a_used_directory_alone() {
    let sandbox = Sandbox::empty();
    sandbox.write("tour/mine", "x");
    insta::assert_snapshot!(sandbox.esker("demo tour"), @"
    exit: 2
    --- stderr
    error[E0980]: `$ROOT/project/tour` is there already

    hint: name another directory: esker demo DIR
    ");
    assert_eq!(sandbox.files("project").len(), 1);
}

#[test]
fn a_missing_tool_is_one_clear_error() {
    let mut sandbox = Sandbox::empty();
    sandbox.set("PATH", "/nowhere");
    insta::assert_snapshot!(sandbox.esker("demo tour"), @"
    exit: 2
    --- stderr
    error[E0980]: the demo needs `git`, which is not here

    hint: install git, for example: apt-get install git
    ");
    assert!(!sandbox.exists("tour"));
}
