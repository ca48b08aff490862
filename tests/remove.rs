use crate::common::Sandbox;

fn tracked() -> Sandbox {
    let sandbox = Sandbox::project();
    sandbox.write("data/a", "a");
    sandbox.write("data/sub/b", "bb");
    sandbox.write("model.bin", "model");
    sandbox.ok("add data model.bin");
    sandbox.commit("Data");
    sandbox
}

/// Scenario 123.
#[test]
fn what_is_removed_stays_on_disk() {
    let sandbox = tracked();
    insta::assert_snapshot!(sandbox.esker("remove data"), @"
    exit: 0
    --- stderr
    - data  2 files  3 B  kept on disk
    next: git add esker.lock .gitignore
    ");
    assert_eq!(sandbox.read("data/sub/b"), "bb");
    assert_eq!(
        sandbox.read(".gitignore"),
        "# esker: begin\n/model.bin\n# esker: end\n"
    );
    insta::assert_snapshot!(sandbox.esker("status"), @"
    exit: 0
    --- stdout
    Data:   up to date
    Lock:   not committed: data (no longer tracked)
    Remote: none configured
    ");
    sandbox.ok("checkout");
    assert_eq!(
        sandbox.read("data/a"),
        "a",
        "no checkout takes it for esker's own any more"
    );
    insta::assert_snapshot!(sandbox.ok("rm model.bin --json"), @r#"
    {
      "v": 1,
      "paths": [
        {
          "path": "model.bin",
          "size": 5,
          "disk": "kept"
        }
      ]
    }
    "#);
    assert!(!sandbox.read(".gitignore").contains("esker"));
}

#[test]
fn a_path_inside_a_tracked_directory_leaves_its_record() {
    let sandbox = tracked();
    insta::assert_snapshot!(sandbox.esker("remove data/sub"), @"
    exit: 0
    --- stderr
    - data/sub  1 file  2 B  kept on disk
    next: git add esker.lock .gitignore
    ");
    assert!(sandbox.exists("data/sub/b"));
    sandbox.remove("data");
    sandbox.ok("checkout");
    assert!(sandbox.exists("data/a") && !sandbox.exists("data/sub"));
    insta::assert_snapshot!(sandbox.esker("remove data/sub"), @"
    exit: 2
    --- stderr
    error[E0307]: esker tracks nothing at `data/sub`

    hint: did you mean `data`?
    ");
}

#[test]
fn it_works_without_the_data() {
    let sandbox = tracked();
    sandbox.remove("data");
    insta::assert_snapshot!(sandbox.esker("remove data/a"), @"
    exit: 0
    --- stderr
    - data/a  1 file  1 B  was not on disk
    next: git add esker.lock .gitignore
    ");
    sandbox.ok("checkout");
    assert!(sandbox.exists("data/sub/b") && !sandbox.exists("data/a"));
}

#[test]
fn delete_takes_only_what_the_store_holds() {
    let sandbox = tracked();
    sandbox.write("data/a", "precious");
    let before = sandbox.files("project");
    insta::assert_snapshot!(sandbox.esker("remove --delete data model.bin"), @"
    exit: 1
    --- stderr
    error[E0318]: bytes that are saved nowhere would be deleted
      ~ data/a   8 B
      nothing was touched

    hint: save it first with `esker add data/a`, or keep it on disk: leave `--delete` out
    ");
    assert_eq!(sandbox.files("project"), before);
    sandbox.ok("add data");
    insta::assert_snapshot!(sandbox.esker("remove --delete data model.bin"), @"
    exit: 0
    --- stderr
    - data       2 files  10 B  deleted from disk
    - model.bin   1 file   5 B  deleted from disk
    next: git add esker.lock .gitignore
    ");
    assert!(!sandbox.exists("data") && !sandbox.exists("model.bin"));
    sandbox.git("checkout --quiet esker.lock");
    sandbox.ok("checkout");
    assert_eq!(sandbox.read("model.bin"), "model");
}

#[test]
fn a_name_in_the_store_is_no_proof() {
    let sandbox = tracked();
    let hash = blake3::hash(b"model").to_hex();
    let object = format!(".git/esker/store/objects/{}/{}", &hash[..2], &hash[2..]);
    sandbox.sh(&format!(
        "chmod +w {object} && printf 'wrong' > {object} && chmod -w {object}"
    ));
    insta::assert_snapshot!(sandbox.esker("remove --delete model.bin"), @"
    exit: 3
    --- stderr
    error[E0501]: object b3:ccca53791b024d98ee5d8c126d923e16f6cede945beb0b93c9abca301ed453e7 is corrupt: its bytes hash to b3:388df24aa531b242574d2e7361810b44b19b4c9efaa5b886305fe5fe83dae220
      it was moved to the store's quarantine

    hint: `esker pull` fetches a good copy, if a remote has one
    ");
    assert_eq!(sandbox.read("model.bin"), "model");
    assert!(sandbox.read("esker.lock").contains("model.bin"));
}

#[test]
fn ignored_files_and_the_ends_of_links_are_not_deleted() {
    let sandbox = tracked();
    sandbox.write(".eskerignore", "*.log\n");
    sandbox.write("data/run.log", "mine");
    sandbox.remove("model.bin");
    sandbox.sh("ln -s nowhere model.bin");
    insta::assert_snapshot!(sandbox.esker("remove --delete data model.bin"), @"
    exit: 0
    --- stderr
    - data       2 files  3 B  deleted from disk, but for files that were not tracked
    - model.bin   1 file  5 B  deleted from disk
    next: git add esker.lock .gitignore
    ");
    assert_eq!(sandbox.read("data/run.log"), "mine");
    assert!(!sandbox.exists("data/a") && !sandbox.exists("model.bin"));
}

#[test]
fn what_cannot_be_removed_is_named_and_nothing_changes() {
    let sandbox = Sandbox::pipeline();
    let before = sandbox.files("project");
    insta::assert_snapshot!(sandbox.esker("remove data/raw.txt model"), @"
    exit: 2
    --- stderr
    error[E0304]: `model` is an output of the stage `train`

    hint: change `outs` of `[stage.train]` in esker.toml
    ");
    insta::assert_snapshot!(sandbox.esker("remove data"), @"
    exit: 2
    --- stderr
    error[E0307]: esker tracks nothing at `data`

    hint: did you mean `data/raw.txt`?
    ");
    insta::assert_snapshot!(sandbox.esker("remove train.sh"), @"
    exit: 2
    --- stderr
    error[E0307]: esker tracks nothing at `train.sh`

    hint: esker status
    ");
    assert_eq!(sandbox.files("project"), before);
    insta::assert_snapshot!(sandbox.esker("remove data/raw.txt"), @"
    exit: 0
    --- stderr
    - data/raw.txt  1 file  10 B  kept on disk
    warning: esker.toml still names `data/raw.txt`: prepare
    next: git add esker.lock .gitignore
    ");
}
