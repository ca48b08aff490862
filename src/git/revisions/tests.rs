use super::*;
use crate::git::tests::Sandbox;

fn names(revs: &[Rev]) -> Vec<&str> {
    revs.iter().map(|rev| rev.name.as_str()).collect()
}

fn commits(revs: &[Rev]) -> Vec<&str> {
    revs.iter().map(|rev| rev.commit.as_str()).collect()
}

#[test]
fn an_unborn_head_has_a_branch_but_no_commit() {
    let sandbox = Sandbox::new();
    let git = sandbox.open();
    assert_eq!(git.branch().as_deref(), Some("main"));
    assert_eq!(git.head().unwrap(), None);
    assert!(git.unpublished().unwrap().is_empty());
    assert!(git.ancestors(5).unwrap().is_empty());
    assert!(git.commits(Which::All).unwrap().is_empty());
    assert!(matches!(git.rev("HEAD"), Err(Error::UnknownRev(name)) if name == "HEAD"));
    sandbox.write("a", "x");
    sandbox.git(&["add", "a"]);
    assert_eq!(git.uncommitted().unwrap(), ["a"]);
}

#[test]
fn revisions_are_named_as_git_names_them() {
    let sandbox = Sandbox::new();
    let first = sandbox.commit("one");
    let second = sandbox.commit("two");
    sandbox.git(&["tag", "-a", "-m", "x", "v0.1", &first]);
    sandbox.git(&["checkout", "-q", "-b", "topic/x"]);
    let git = sandbox.open();
    let cases = [
        ("HEAD", &second),
        ("@", &second),
        ("@~1", &first),
        ("HEAD^", &first),
        ("v0.1", &first),
        ("topic/x", &second),
        (&second[..8], &second),
    ];
    for (name, commit) in cases {
        let rev = git.rev(name).unwrap();
        assert_eq!((rev.name.as_str(), &rev.commit), (name, commit));
    }
    let none = [
        "",
        "nope",
        "HEAD~9",
        "HEAD..v0.1",
        "HEAD^{tree}",
        "-x",
        "a b",
        "v0.1:a",
    ];
    for name in none {
        let error = git.rev(name).unwrap_err();
        assert!(matches!(error, Error::UnknownRev(_)), "{name}: {error:?}");
    }
    assert_eq!(git.head().unwrap().unwrap().short(), &second[..7]);
    assert_eq!(git.branch().as_deref(), Some("topic/x"));
    sandbox.git(&["checkout", "-q", "--detach"]);
    assert_eq!(git.branch(), None);
}

#[test]
fn the_merge_base_is_where_two_branches_parted() {
    let sandbox = Sandbox::new();
    let base = sandbox.commit("base");
    sandbox.git(&["checkout", "-q", "-b", "side"]);
    sandbox.commit("side");
    sandbox.git(&["checkout", "-q", "main"]);
    sandbox.commit("main");
    sandbox.git(&["checkout", "-q", "--orphan", "alone"]);
    sandbox.commit("alone");
    let git = sandbox.open();
    let [main, side, alone] = ["main", "side", "alone"].map(|name| git.rev(name).unwrap());
    let found = git.merge_base(&main, &side).unwrap().unwrap();
    assert_eq!((found.commit, found.name), (base.clone(), base));
    assert_eq!(git.merge_base(&main, &alone).unwrap(), None);
}

#[test]
fn unpublished_commits_are_those_no_remote_branch_reaches() {
    let sandbox = Sandbox::new();
    let first = sandbox.commit("one");
    let second = sandbox.commit("two");
    let git = sandbox.open();
    assert_eq!(commits(&git.unpublished().unwrap()), [&second, &first]);

    let bare = sandbox.outside().join("bare.git");
    sandbox.git(&["init", "-q", "--bare", bare.to_str().unwrap()]);
    sandbox.git(&["remote", "add", "origin", bare.to_str().unwrap()]);
    sandbox.git(&["push", "-q", "origin", "main~1:refs/heads/main"]);
    assert_eq!(commits(&git.unpublished().unwrap()), [&second]);

    sandbox.git(&["checkout", "-q", "-b", "side", "main~1"]);
    let side = sandbox.commit("side");
    sandbox.git(&["merge", "-q", "--no-edit", "-m", "merge", "main"]);
    let merge = sandbox.git(&["rev-parse", "HEAD"]);
    let found = git.unpublished().unwrap();
    assert_eq!(found.len(), 3);
    assert_eq!(found[0].commit, merge);
    assert!(commits(&found).contains(&side.as_str()));

    sandbox.git(&["push", "-q", "origin", "side"]);
    assert!(git.unpublished().unwrap().is_empty());
}

#[test]
fn a_remote_head_that_dangles_is_no_error() {
    let sandbox = Sandbox::new();
    let first = sandbox.commit("one");
    let head = ["refs/remotes/origin/HEAD", "refs/remotes/origin/gone"];
    sandbox.git(&["symbolic-ref", head[0], head[1]]);
    let git = sandbox.open();
    assert_eq!(commits(&git.unpublished().unwrap()), [&first]);
    assert_eq!(names(&git.commits(Which::Branches).unwrap()), ["main"]);
}

#[test]
fn sets_of_commits_hold_each_commit_once() {
    let sandbox = Sandbox::new();
    let first = sandbox.commit("one");
    let second = sandbox.commit("two");
    sandbox.git(&["branch", "twin"]);
    sandbox.git(&["branch", "old", &first]);
    sandbox.git(&["update-ref", "refs/remotes/origin/topic", &first]);
    sandbox.git(&["tag", "v0.1", &first]);
    sandbox.git(&["tag", "-a", "-m", "x", "v0.2", &second]);
    sandbox.git(&["tag", "tree", "HEAD^{tree}"]);
    sandbox.git(&["checkout", "-q", "--detach"]);
    let detached = sandbox.commit("detached");
    let git = sandbox.open();
    assert_eq!(
        names(&git.commits(Which::Branches).unwrap()),
        ["main", "old"]
    );
    assert_eq!(names(&git.commits(Which::Tags).unwrap()), ["v0.1", "v0.2"]);
    let all = git.commits(Which::All).unwrap();
    assert_eq!(commits(&all), [&detached, &second, &first]);
    let recent = git.ancestors(2).unwrap();
    assert_eq!(commits(&recent), [&detached, &second]);
}

#[test]
fn a_shallow_clone_knows_what_it_has() {
    let sandbox = Sandbox::new();
    for message in ["one", "two", "three"] {
        sandbox.commit(message);
    }
    let url = format!("file://{}", sandbox.root().display());
    let shallow = sandbox.outside().join("shallow");
    sandbox.git(&["clone", "-q", "--depth=2", &url, shallow.to_str().unwrap()]);
    let git = Git::discover(&shallow).unwrap();
    assert_eq!(git.ancestors(9).unwrap().len(), 2);
    assert_eq!(git.commits(Which::All).unwrap().len(), 2);
    assert!(git.unpublished().unwrap().is_empty());
    let [head, parent] = ["HEAD", "HEAD~1"].map(|name| git.rev(name).unwrap());
    let base = git.merge_base(&head, &parent).unwrap().unwrap();
    assert_eq!(base.commit, parent.commit);
    assert!(matches!(git.rev("HEAD~2"), Err(Error::UnknownRev(_))));
}
