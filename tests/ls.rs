use crate::common::Sandbox;

fn recorded() -> Sandbox {
    let sandbox = Sandbox::pipeline();
    sandbox.write("images/a.png", "aaaa");
    sandbox.write("images/sub/b.png", "bb");
    sandbox.write("images/sub/deep/c.png", "aaaa");
    sandbox.sh("ln -s a.png images/link; mkdir images/empty");
    sandbox.ok("add images");
    sandbox.ok("repro");
    sandbox.commit("All");
    for path in ["images", "data/raw.txt", "model", "eval", "prepared.txt"] {
        sandbox.remove(path);
    }
    sandbox
}

#[test]
fn the_record_is_listed_without_the_data() {
    let sandbox = recorded();
    insta::assert_snapshot!(sandbox.esker("ls"), @"
    exit: 0
    --- stdout
    10 B           data/raw.txt
    28 B   1 file  eval/
    10 B  4 files  images/
    52 B   1 file  model/
    10 B           prepared.txt
    ");
    insta::assert_snapshot!(sandbox.esker("ls images"), @"
    exit: 0
    --- stdout
    4 B           images/a.png
    0 B  0 files  images/empty/
    0 B           images/link -> a.png
    6 B  2 files  images/sub/
    ");
    insta::assert_snapshot!(sandbox.esker("ls -R images/sub/"), @"
    exit: 0
    --- stdout
    2 B  images/sub/b.png
    4 B  images/sub/deep/c.png
    ");
    insta::assert_snapshot!(sandbox.esker("ls data"), @"
    exit: 0
    --- stdout
    10 B  data/raw.txt
    ");
    insta::assert_snapshot!(sandbox.esker("ls images/a.png"), @"
    exit: 0
    --- stdout
    4 B  images/a.png
    ");
    insta::assert_snapshot!(sandbox.esker("ls images/empty"), @"
    exit: 0
    --- stderr
    Nothing is tracked here
    ");
    insta::assert_snapshot!(sandbox.esker("ls imagse"), @"
    exit: 2
    --- stderr
    error[E0307]: esker tracks nothing at `imagse`

    hint: did you mean `images`?
    ");
    insta::assert_snapshot!(sandbox.ok("ls --json images/sub"), @r#"
    {
      "v": 1,
      "entries": [
        {
          "path": "images/sub/b.png",
          "kind": "file",
          "size": 2,
          "hash": "b3:58293e32b140c28c1debf42045417b312d36a6c2b6a649ec381ebe1350e12a87"
        },
        {
          "path": "images/sub/deep",
          "kind": "dir",
          "size": 4,
          "files": 1
        }
      ],
      "missing": []
    }
    "#);
}

#[test]
fn every_file_of_every_path_with_recursive() {
    let sandbox = recorded();
    insta::assert_snapshot!(sandbox.esker("ls -R"), @"
    exit: 0
    --- stdout
    10 B           data/raw.txt
    28 B           eval/metrics.json
     4 B           images/a.png
     0 B  0 files  images/empty/
     0 B           images/link -> a.png
     2 B           images/sub/b.png
     4 B           images/sub/deep/c.png
    52 B           model/weights
    10 B           prepared.txt
    ");
}

#[test]
fn an_earlier_commit_lists_its_own_record() {
    let sandbox = recorded();
    sandbox.ok("remove images");
    sandbox.commit("Gone");
    assert_eq!(sandbox.esker("ls images").code, 2);
    assert!(sandbox.ok("ls --rev HEAD~ images").contains("images/a.png"));
    insta::assert_snapshot!(sandbox.ok("ls --rev HEAD~ images/a.png --json"), @r#"
    {
      "v": 1,
      "rev": "dad4c02",
      "entries": [
        {
          "path": "images/a.png",
          "kind": "file",
          "size": 4,
          "hash": "b3:90f5942bc731ceb0635e12962723854206ba765f35ff010420208c59f31587c4"
        }
      ],
      "missing": []
    }
    "#);
}

#[test]
fn a_listing_that_is_not_here_is_named() {
    let sandbox = recorded();
    sandbox.sh("rm -rf .git/esker/store");
    let roots = sandbox.esker("ls");
    assert_eq!(roots.code, 0, "the lock alone names the roots: {roots}");
    insta::assert_snapshot!(sandbox.esker("ls -R images"), @"
    exit: 3
    --- stderr
    ! images  its listing is not in the store
    next: esker fetch
    ");
}

#[test]
fn an_empty_project_lists_nothing() {
    insta::assert_snapshot!(Sandbox::project().esker("ls"), @"
    exit: 0
    --- stderr
    Nothing is tracked here
    ");
}
