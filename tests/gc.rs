use crate::common::Sandbox;

const DAY: u64 = 24 * 60 * 60;

/// A project whose remote holds two versions of a file, the second on a branch of its own.
fn with_two_versions() -> Sandbox {
    let sandbox = Sandbox::project();
    sandbox.ok("remote add store ../remote --default");
    sandbox.write("data.bin", vec![1; 50_000]);
    sandbox.ok("add data.bin");
    sandbox.commit("First");
    sandbox.ok("push");
    sandbox.git("switch --quiet --create side");
    sandbox.write("data.bin", vec![2; 60_000]);
    sandbox.ok("add data.bin");
    sandbox.commit("Second");
    sandbox.ok("push");
    sandbox.git("switch --quiet main");
    sandbox.ok("checkout --force");
    sandbox
}

fn later(sandbox: &Sandbox, line: &str, days: u64) -> crate::common::Output {
    let seconds = (days * DAY).to_string();
    sandbox.esker_with(line, &[("ESKER_CLOCK_AHEAD", &seconds)])
}

#[test]
fn what_git_has_forgotten_goes_in_two_runs() {
    let sandbox = with_two_versions();
    insta::assert_snapshot!(later(&sandbox, "gc -r store --confirm store", 40), @"
    exit: 0
    --- stderr
    Nothing to collect on `store`: 2 packs (328 B) stay
    ");
    sandbox.git("branch --quiet -D side");
    let kept = later(&sandbox, "gc -r store --confirm store", 40);
    assert!(
        kept.stderr.contains("Nothing to collect"),
        "the reflog leads there\n{kept}"
    );
    sandbox.git("reflog expire --expire=all --all");
    let young = later(&sandbox, "gc -r store --confirm store", 29);
    assert!(young.stderr.contains("Nothing to collect"), "{young}");

    insta::assert_snapshot!(later(&sandbox, "gc -r store --dry-run", 40), @"
    exit: 0
    --- stderr
      - snapshot of 3cca35f, 40 days old  nothing leads to that commit any more
      ~ 1 pack (164 B)  to be condemned: nobody needs them; a later run deletes them
    Would condemn 164 B on `store`, for a later run to free; 1 pack (164 B) stay
    ");
    let first = later(&sandbox, "gc -r store --confirm store", 40);
    assert_eq!(first.code, 0, "{first}");
    let waiting = later(&sandbox, "gc -r store --confirm store", 0);
    assert!(
        waiting.stderr.contains("deleted when the grace is over"),
        "{waiting}"
    );
    insta::assert_snapshot!(later(&sandbox, "gc -r store --confirm store", 42), @"
    exit: 0
    --- stderr
      - 1 pack (164 B)  deleted: condemned by an earlier run
    Freed 164 B on `store`; 1 pack (164 B) stay
    ");
    let clone = sandbox.clone_to("clone");
    clone.ok("pull");
    assert_eq!(clone.files(), sandbox.files("project"));
}

#[test]
fn a_worktree_a_stash_and_the_index_keep_what_they_need() {
    for keep in [
        "git worktree add --quiet --detach ../tree side",
        "git checkout --quiet side -- esker.lock && git stash --quiet",
        "git checkout --quiet side -- esker.lock && git restore --worktree esker.lock",
    ] {
        let sandbox = with_two_versions();
        sandbox.sh(keep);
        sandbox
            .git("branch --quiet -D side && git reflog expire --expire=all HEAD refs/heads/main");
        let report = later(&sandbox, "gc -r store --json --dry-run", 40);
        assert!(
            report.stdout.contains("\"dropped\": []"),
            "{keep}\n{report}"
        );
    }
}

#[test]
fn a_clone_that_does_not_see_everything_drops_nothing() {
    let sandbox = with_two_versions();
    sandbox.git("branch --quiet -D side && git reflog expire --expire=all --all");
    sandbox.git("remote add origin ../nowhere");
    let blind = later(&sandbox, "gc -r store --dry-run", 40);
    assert!(blind.stderr.contains("`git fetch --all` failed"), "{blind}");
    assert!(blind.stderr.contains("Nothing to collect"), "{blind}");
    sandbox.git("config remote.origin.fetch +refs/heads/main:refs/remotes/origin/main");
    let blind = later(&sandbox, "gc -r store --dry-run", 40);
    assert!(blind.stderr.contains("some branches only"), "{blind}");
}

#[test]
fn a_commit_that_was_never_seen_here_counts_as_needed() {
    let sandbox = with_two_versions();
    let clone = sandbox.clone_to("clone");
    clone.sh("git config user.name Bo && git config user.email bo@example.com");
    std::fs::write(sandbox.root().join("clone/data.bin"), vec![3; 70_000]).unwrap();
    clone.ok("add data.bin");
    clone.sh("git commit --quiet --all --message Third");
    clone.ok("push");
    let kept = later(&sandbox, "gc -r store --dry-run --json", 40);
    assert!(kept.stdout.contains("\"dropped\": []"), "{kept}");
    let asked = later(
        &sandbox,
        "gc -r store --dry-run --json --forget-unknown 35",
        40,
    );
    assert!(asked.stdout.contains("\"days\": 40"), "{asked}");
    let usage = sandbox.esker("gc -r store --forget-unknown 3");
    assert_eq!(usage.code, 2, "{usage}");
}

#[test]
fn nobody_is_asked_without_a_terminal() {
    let sandbox = with_two_versions();
    insta::assert_snapshot!(sandbox.esker("gc -r store"), @"
    exit: 2
    --- stderr
    error[E0905]: gc changes a remote that others use

    hint: there is no terminal to ask on: add `--confirm store`
    ");
    let wrong = sandbox.esker("gc -r store --confirm other");
    assert_eq!(wrong.code, 2, "{wrong}");
}
