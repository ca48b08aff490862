use crate::common::Sandbox;

fn forced() -> Sandbox {
    let sandbox = Sandbox::project();
    for name in ["a", "b", "sub/c"] {
        sandbox.write(&format!("data/{name}"), name);
    }
    sandbox.ok("add data");
    sandbox.commit("Data");
    for name in ["a", "sub/c"] {
        sandbox.write(&format!("data/{name}"), format!("precious {name}"));
    }
    sandbox.ok("checkout --force");
    assert_eq!(sandbox.read("data/a"), "a");
    sandbox
}

#[test]
fn what_force_moved_away_is_listed_and_comes_back() {
    let sandbox = forced();
    insta::assert_snapshot!(sandbox.esker("undo"), @"
    exit: 0
    --- stdout
    1  [time] ago  checkout  2 paths  24 B  data/a, data/sub/c
    --- stderr
    next: esker undo N    (or `esker undo --last`)
    ");
    insta::assert_snapshot!(sandbox.esker("undo --last"), @"
    exit: 0
    --- stderr
    Put back 2 paths that `checkout` had moved away
      + data/a
      + data/sub/c
    ");
    assert_eq!(sandbox.read("data/a"), "precious a");
    assert_eq!(sandbox.read("data/sub/c"), "precious sub/c");
    assert_eq!(sandbox.json("status")["data"][0]["state"], "modified");
    insta::assert_snapshot!(sandbox.esker("undo"), @"
    exit: 0
    --- stderr
    Nothing is parked
    ");
    insta::assert_snapshot!(sandbox.esker("undo --last"), @"
    exit: 2
    --- stderr
    error[E0321]: nothing is parked
    ");
}

#[test]
fn one_path_comes_back_alone_and_what_stood_there_is_parked() {
    let sandbox = forced();
    sandbox.write("data/a", "newer");
    insta::assert_snapshot!(sandbox.esker("undo 1 data/a"), @"
    exit: 0
    --- stderr
    Put back 1 path that `checkout` had moved away
      + data/a
    Moved 1 path out of the way; to have it back: esker undo --last
    ");
    assert_eq!(sandbox.read("data/a"), "precious a");
    assert_eq!(sandbox.read("data/sub/c"), "sub/c");
    insta::assert_snapshot!(sandbox.esker("undo"), @"
    exit: 0
    --- stdout
    1  [time] ago  undo      1 path   5 B  data/a
    2  [time] ago  checkout  1 path  14 B  data/sub/c
    --- stderr
    next: esker undo N    (or `esker undo --last`)
    ");
    sandbox.ok("undo --last");
    assert_eq!(sandbox.read("data/a"), "newer");
    let list = sandbox.json("undo");
    let acts = list["acts"].as_array().unwrap();
    let verbs: Vec<&str> = acts
        .iter()
        .map(|act| act["verb"].as_str().unwrap())
        .collect();
    assert_eq!(verbs, ["undo", "checkout"]);
    assert_eq!(acts[0]["paths"][0]["path"], "data/a");
    let id = acts[1]["id"].as_str().unwrap();
    sandbox.ok(&format!("undo {id}"));
    assert_eq!(sandbox.read("data/sub/c"), "precious sub/c");
}

#[test]
fn a_file_in_the_way_of_a_directory_is_parked_too() {
    let sandbox = forced();
    sandbox.remove("data/sub");
    sandbox.write("data/sub", "a file now");
    sandbox.ok("undo --last data/sub");
    assert_eq!(sandbox.read("data/sub/c"), "precious sub/c");
    sandbox.ok("undo --last data/sub");
    assert_eq!(sandbox.read("data/sub"), "a file now");
    sandbox.ok("undo --last data/sub");
    assert_eq!(sandbox.read("data/sub/c"), "precious sub/c");
}

#[test]
fn what_is_not_in_the_park_is_named() {
    let sandbox = forced();
    insta::assert_snapshot!(sandbox.esker("undo 7"), @"
    exit: 2
    --- stderr
    error[E0321]: nothing in the park is called `7`

    hint: esker undo    (lists it)
    ");
    insta::assert_snapshot!(sandbox.esker("undo --last data/b"), @"
    exit: 2
    --- stderr
    error[E0321]: `data/b` is not among what was parked

    hint: esker undo    (lists it)
    ");
    // What would be put back is the same as something in the store, so it might be replaced.
    sandbox.write("outside/c", "sub/c");
    sandbox.remove("data/sub");
    sandbox.sh("ln -s ../outside data/sub");
    insta::assert_snapshot!(sandbox.esker("undo --last data/sub"), @"
    exit: 1
    --- stderr
    error[E0316]: `data/sub` is a link; nothing is written or removed through it

    hint: replace the link by a directory, then run it again
    ");
    assert_eq!(sandbox.files("project/outside").len(), 1);
}

#[test]
fn what_is_older_than_14_days_goes_with_the_next_forced_checkout_or_run() {
    let sandbox = forced();
    insta::assert_snapshot!(sandbox.esker("undo --expire"), @"
    exit: 0
    --- stderr
    Nothing in the park is older than 14 days
    ");
    let age = "cd .git/esker/*/park && for act in *-checkout; do mv $act 1700000000000000000-checkout; done";
    sandbox.sh(age);
    insta::assert_snapshot!(sandbox.esker("undo --expire"), @"
    exit: 0
    --- stderr
    Removed 1 act for good, 24 B
    ");
    sandbox.write("data/a", "precious again");
    sandbox.ok("checkout --force");
    sandbox.sh(age);
    sandbox.write("data/b", "precious too");
    sandbox.ok("checkout --force");
    let list = sandbox.json("undo");
    assert_eq!(list["acts"].as_array().unwrap().len(), 1);
    assert_eq!(list["acts"][0]["paths"][0]["path"], "data/b");
    sandbox.sh(age);
    sandbox.ok("repro");
    insta::assert_snapshot!(sandbox.esker("undo"), @"
    exit: 0
    --- stderr
    Nothing is parked
    ");
}
