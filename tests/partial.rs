//! `--include` and `--exclude` of fetch, pull and push, `--dry-run`, and what the other commands make
//! of directories of which only a part is here.

use crate::common::{Clone, Sandbox};

/// A directory of pictures and notes, a model, and stages that read the directory and a part of it.
fn shared() -> Sandbox {
    let sandbox = Sandbox::project();
    sandbox.sh("mkdir ../remote");
    for name in ["a.jpg", "b.jpg", "sub/c.jpg", "notes.txt", "sub/d.txt"] {
        sandbox.write(&format!("data/{name}"), name);
    }
    sandbox.write("model.bin", "model");
    sandbox.append(
        "esker.toml",
        "\n[stage.all]\ncmd = \"echo all >> $RUNS; cat data/*.txt > all.txt\"\ndeps = [\"data\"]\nouts = [\"all.txt\"]\n\
         \n[stage.sub]\ncmd = \"echo sub >> $RUNS; cat data/sub/* > sub.txt\"\ndeps = [\"data/sub\"]\nouts = [\"sub.txt\"]\n",
    );
    sandbox.ok("remote add store ../remote --default");
    sandbox.ok("add data model.bin");
    sandbox.ok("repro");
    sandbox.commit("Data");
    sandbox.ok("push");
    sandbox.runs();
    sandbox
}

fn data(clone: &Clone<'_>) -> Vec<String> {
    let files = clone.files().into_keys();
    files.filter(|name| name.starts_with("data/")).collect()
}

#[test]
fn a_pull_brings_what_matches_and_nothing_else() {
    let sandbox = shared();
    let clone = sandbox.clone_to("clone");
    insta::assert_snapshot!(clone.esker("pull --include *.jpg --exclude b.*"), @"
    exit: 0
    --- stderr
    Pulled 2 files from `store`: 14 B as 1.11 KiB
    Switched 1 path (data): 2 files written, 14 B
    ");
    assert_eq!(data(&clone), ["data/a.jpg", "data/sub/c.jpg"]);
    // Only the two, and listings, are in the store.
    insta::assert_snapshot!(clone.esker("fsck"), @"
    exit: 3
    --- stdout
      ! all.txt and 1 more  file b3:a859c1198d69e635 is not in the store
      ! model.bin  file b3:ccca53791b024d98 is not in the store
      ! sub.txt  file b3:4291e47dede1d4ee is not in the store
    Checked 4 objects, 376 B (listings read): 3 missing; 2 objects never brought here
    --- stderr
    next: esker fsck --repair
    ");
    insta::assert_snapshot!(clone.esker("pull --include /data/sub"), @"
    exit: 0
    --- stderr
    Pulled 1 file from `store`: 9 B as 891 B
    Switched 1 path (data): 1 file written, 9 B
    ");
    assert_eq!(
        data(&clone),
        ["data/a.jpg", "data/sub/c.jpg", "data/sub/d.txt"]
    );
    insta::assert_snapshot!(clone.esker("pull --exclude data --exclude *.txt"), @"
    exit: 0
    --- stderr
    Pulled 1 file from `store`: 5 B as 887 B
    Switched 1 path (model.bin): 1 file written, 5 B
    ");
    assert!(clone.files().contains_key("model.bin"));
    insta::assert_snapshot!(clone.esker("pull --include *.jpeg"), @"
    exit: 2
    --- stderr
    error[E0302]: nothing matches `*.jpeg`

    hint: `*` stays inside a directory, `**` crosses them; see what is there with `ls`
    ");
    insta::assert_snapshot!(clone.esker("pull --include #"), @"
    exit: 2
    --- stderr
    error[E0314]: `#` is not a pattern: it names nothing
    ");
    clone.ok("pull");
    assert_eq!(clone.files(), sandbox.files("project"));
}

#[test]
fn a_path_in_a_directory_brings_itself_alone() {
    let sandbox = shared();
    let clone = sandbox.clone_to("clone");
    insta::assert_snapshot!(clone.esker("fetch data/sub"), @"
    exit: 0
    --- stderr
    Fetched 2 files from `store`: 18 B as 1.11 KiB
    ");
    insta::assert_snapshot!(clone.esker("pull data/sub/c.jpg"), @"
    exit: 0
    --- stderr
    Nothing to fetch: the store has everything
    Switched 1 path (data): 1 file written, 9 B
    ");
    assert_eq!(data(&clone), ["data/sub/c.jpg"]);
}

#[test]
fn a_dry_run_counts_and_writes_nothing() {
    let sandbox = shared();
    let clone = sandbox.clone_to("clone");
    let before = clone.sh("find . -path ./.git/objects -prune -o -type f -print | sort");
    insta::assert_snapshot!(clone.esker("pull --dry-run"), @"
    exit: 0
    --- stderr
    Would pull 7 files from `store`: 60 B
    ");
    insta::assert_snapshot!(clone.esker("fetch -n --include *.jpg"), @"
    exit: 0
    --- stderr
    Would fetch 3 files from `store`: 19 B
    ");
    insta::assert_snapshot!(clone.esker("fetch -n --include none"), @"
    exit: 2
    --- stderr
    error[E0302]: nothing matches `none`

    hint: `*` stays inside a directory, `**` crosses them; see what is there with `ls`
    ");
    assert_eq!(
        clone.sh("find . -path ./.git/objects -prune -o -type f -print | sort"),
        before
    );
    let report = sandbox.json("-C ../clone pull -n");
    assert_eq!(report["dry_run"], true);
    assert_eq!(
        (&report["files"], &report["received_bytes"]),
        (&7.into(), &0.into())
    );
    assert!(report["checkout"].is_null());
    clone.ok("pull");
    insta::assert_snapshot!(clone.esker("pull -n"), @"
    exit: 0
    --- stderr
    Nothing to fetch: the store has everything
    ");
    // What the remote lacks is named before anybody counts on it.
    sandbox.sh("rm -r ../remote/p; rm -rf ../clone/.git/esker/store");
    let lacking = clone.esker("pull -n");
    assert_eq!(lacking.code, 3, "{lacking}");
}

#[test]
fn nothing_is_recorded_as_deleted_because_it_was_not_pulled() {
    let sandbox = shared();
    let clone = sandbox.clone_to("clone");
    clone.ok("pull --include *.jpg");
    let lock = clone.sh("cat esker.lock");
    insta::assert_snapshot!(clone.esker("status"), @"
    exit: 0
    --- stdout
    Stages: nothing changed; their data is not all in the workspace
    Data:
      - all.txt  (neither in the workspace nor in the store)
      - data  (2 files of it not in the workspace)
      - model.bin  (neither in the workspace nor in the store)
      - sub.txt  (neither in the workspace nor in the store)
    --- stderr
    next: esker pull
    ");
    clone.ok("status --check");
    for command in ["add data", "commit data", "add data/sub"] {
        clone.ok(command);
        assert_eq!(clone.sh("cat esker.lock"), lock, "{command}");
    }
    // What somebody did here is recorded, with the rest as it was.
    clone.sh("rm data/a.jpg; echo new > data/sub/new.jpg; echo more >> data/b.jpg");
    insta::assert_snapshot!(clone.esker("status"), @"
    exit: 0
    --- stdout
    Stages: 1 of 2 would run
      ~ all  data changed
             all.txt missing
    Data:
      - all.txt  (neither in the workspace nor in the store)
      ~ data  (2 files of it not in the workspace)
          - data/a.jpg  5 B
          ~ data/b.jpg  5 B → 10 B
          + data/sub/new.jpg  4 B
      - model.bin  (neither in the workspace nor in the store)
      - sub.txt  (neither in the workspace nor in the store)
    --- stderr
    next: esker pull
    ");
    insta::assert_snapshot!(clone.esker("add data"), @"
    exit: 0
    --- stderr
    ~ data  5 files  41 B  2 of them not here
    next: git add esker.lock .gitignore
    ");
    insta::assert_snapshot!(clone.esker("ls data"), @"
    exit: 0
    --- stdout
    10 B           data/b.jpg
     9 B           data/notes.txt
    22 B  3 files  data/sub/
    ");
    insta::assert_snapshot!(clone.esker("push"), @"
    exit: 0
    --- stderr
    Pushed 2 files to `store`: 14 B as 1.19 KiB in 3 objects
    ");
    clone.sh("rm data/sub/c.jpg; echo 1 > data/sub/e.jpg");
    insta::assert_snapshot!(clone.esker("add data/sub"), @"
    exit: 0
    --- stderr
    ~ data  5 files  34 B
    next: git add esker.lock .gitignore
    ");
    insta::assert_snapshot!(clone.esker("ls data/sub"), @"
    exit: 0
    --- stdout
    9 B  data/sub/d.txt
    2 B  data/sub/e.jpg
    4 B  data/sub/new.jpg
    ");
    let gone = clone.esker("add data/notes.txt");
    assert_eq!(gone.code, 2, "{gone}");
    clone.ok("push");
    insta::assert_snapshot!(clone.esker("status data"), @"
    exit: 0
    --- stdout
    Data:
      - data  (2 files of it not in the workspace)
    Lock:   not committed: data (changed)
    ");
    // All of it arrives.
    clone.sh("git add --all && git commit --quiet --message Changed");
    sandbox.git("pull --quiet ../clone main");
    sandbox.ok("pull");
    let files = sandbox.files("project");
    let names: Vec<&str> = files
        .keys()
        .map(String::as_str)
        .filter(|name| name.starts_with("data/"))
        .collect();
    assert_eq!(
        names,
        [
            "data/b.jpg",
            "data/notes.txt",
            "data/sub/d.txt",
            "data/sub/e.jpg",
            "data/sub/new.jpg"
        ]
    );
}

#[test]
fn what_is_here_in_part_counts_as_absent_for_stages() {
    let sandbox = shared();
    let clone = sandbox.clone_to("clone");
    clone.ok("pull --include *.jpg --include *.txt --exclude /data/notes.txt");
    let output = clone.esker("repro");
    assert_eq!(output.code, 3, "{output}");
    assert!(output.stderr.contains("E0309"), "{output}");
    clone.ok("repro --allow-missing");
    assert!(sandbox.runs().is_empty());
    // A stage that must run gets what it lacks, and runs with all of it.
    clone.sh("sed -i 's/all.txt\"$/all.txt; true\"/' esker.toml && grep -q true esker.toml");
    let output = clone.esker("repro --pull");
    assert_eq!(output.code, 0, "{output}");
    assert_eq!(sandbox.runs(), ["all"]);
    assert!(data(&clone).contains(&"data/notes.txt".to_owned()));
    assert_eq!(clone.sh("cat all.txt"), sandbox.read("all.txt"));
}

#[test]
fn an_output_that_is_here_in_part_is_adopted_with_the_rest() {
    let sandbox = Sandbox::project();
    sandbox.sh("mkdir ../remote");
    sandbox.append(
        "esker.toml",
        "\n[stage.make]\ncmd = \"mkdir out; echo a > out/a; echo b > out/b\"\nouts = [\"out\"]\n",
    );
    sandbox.ok("remote add store ../remote --default");
    sandbox.ok("repro");
    sandbox.commit("Made");
    sandbox.ok("push");
    let clone = sandbox.clone_to("clone");
    clone.ok("pull --include a");
    clone.sh("echo changed > out/a");
    clone.ok("commit make");
    insta::assert_snapshot!(clone.esker("ls out"), @"
    exit: 0
    --- stdout
    8 B  out/a
    2 B  out/b
    ");
    insta::assert_snapshot!(clone.esker("status"), @"
    exit: 0
    --- stdout
    Stages: nothing changed; their data is not all in the workspace
      make: adopted by `esker commit`, never run here
    Data:
      - out  (1 file of it not in the workspace)
    Lock:   not committed: out (changed)
    ");
}

#[test]
fn a_checkout_leaves_what_is_here_and_names_what_is_not() {
    let sandbox = shared();
    let clone = sandbox.clone_to("clone");
    clone.ok("pull --include *.jpg");
    clone.sh("rm data/a.jpg");
    let output = clone.esker("checkout");
    assert_eq!(output.code, 3, "{output}");
    assert_eq!(data(&clone), ["data/a.jpg", "data/b.jpg", "data/sub/c.jpg"]);
    insta::assert_snapshot!(clone.esker("gc --dry-run"), @"
    exit: 0
    --- stderr
    Nothing to collect: 5 objects (423 B) stay, for 1 clone
    ");
}

#[test]
fn a_push_sends_whole_directories_or_none() {
    let sandbox = shared();
    sandbox.sh("rm -r ../remote && mkdir ../remote");
    insta::assert_snapshot!(sandbox.esker("push --dry-run --include *.jpg"), @"
    exit: 2
    --- stderr
    error[E0408]: the patterns select a part of `data`, which a remote holds as a whole or not at all

    hint: --exclude /data    (or let the patterns take all of it)
    ");
    insta::assert_snapshot!(sandbox.esker("push --include none"), @"
    exit: 2
    --- stderr
    error[E0302]: nothing matches `none`

    hint: `*` stays inside a directory, `**` crosses them; see what is there with `ls`
    ");
    insta::assert_snapshot!(sandbox.esker("push --exclude /data --exclude *.txt"), @"
    exit: 0
    --- stderr
    Pushed 1 file to `store`: 5 B as 696 B in 4 objects
    ");
    let clone = sandbox.clone_to("clone");
    let output = clone.esker("pull");
    assert_eq!(output.code, 3, "{output}");
    assert!(clone.files().contains_key("model.bin"));
    insta::assert_snapshot!(sandbox.esker("push"), @"
    exit: 0
    --- stderr
    Pushed 6 files to `store`: 55 B as 1.60 KiB in 3 objects
    ");
    clone.ok("pull");
    assert_eq!(clone.files(), sandbox.files("project"));
}
