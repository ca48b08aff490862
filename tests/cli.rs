use crate::common::Sandbox;

/// The page is generated: run the tests with `ESKER_WRITE_DOCS=1` to write it anew.
#[test]
fn the_reference_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/cli.md");
    let text = esker::cli::reference();
    if std::env::var("ESKER_WRITE_DOCS").is_ok() {
        std::fs::write(path, &text).unwrap();
    }
    let page = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        page == text,
        "docs/cli.md is stale: run `ESKER_WRITE_DOCS=1 cargo test reference`"
    );
}

#[test]
fn help_and_version_are_answers() {
    let sandbox = Sandbox::empty();
    let help = sandbox.esker("--help");
    assert_eq!(help.code, 0);
    assert!(
        help.stdout.contains("repro") && help.stderr.is_empty(),
        "{help}"
    );
    assert_eq!(
        sandbox.ok("--version"),
        format!("esker {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn a_wrong_word_is_a_usage_error_with_a_suggestion() {
    let sandbox = Sandbox::empty();
    let output = sandbox.esker("statsu");
    assert_eq!(output.code, 2);
    assert!(output.stderr.contains("'status'"), "{output}");
}

#[test]
fn every_shell_gets_its_completions() {
    let sandbox = Sandbox::empty();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(
            sandbox.ok(&format!("completion {shell}")).contains("esker"),
            "{shell}"
        );
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let sandbox = Sandbox::empty();
    let output = sandbox.try_sh("esker completion bash | head -n 1; exit ${PIPESTATUS:-0}");
    assert_eq!((output.code, output.stderr.as_str()), (0, ""));
}

#[test]
fn the_doctor_finds_what_is_wrong() {
    let sandbox = Sandbox::pipeline();
    let output = sandbox.esker("doctor");
    assert_eq!(output.code, 0, "{output}");
    assert!(
        output.stdout.contains("1 tracked paths, 3 stages"),
        "{output}"
    );
    sandbox.write("esker.lock", "not toml");
    let output = sandbox.esker("doctor");
    assert_eq!(output.code, 1, "{output}");
    assert!(output.stdout.contains("✗ esker.lock"), "{output}");
}

#[test]
fn commands_work_from_any_directory_of_the_project() {
    let sandbox = Sandbox::project();
    sandbox.write("a/b/file", "x");
    sandbox.ok("-C a/b add file");
    assert!(sandbox.read("esker.lock").contains("\"a/b/file\""));
    assert_eq!(sandbox.ok("-C a root"), "$ROOT/project\n");
    sandbox.remove("a/b/file");
    sandbox.ok("-C a checkout b");
    assert_eq!(sandbox.read("a/b/file"), "x");
}
