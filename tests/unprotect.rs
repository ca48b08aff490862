use crate::common::Sandbox;

/// Scenarios 34 and 35.
#[test]
fn linked_and_read_only_files_become_ordinary_ones() {
    let sandbox = Sandbox::project();
    sandbox.write("data/a", "a");
    sandbox.write("data/b", "b");
    sandbox.write("tool", "#!/bin/sh\n");
    sandbox.sh("chmod 555 tool; chmod 444 data/a; ln data/b ../other-name");
    sandbox.ok("add data tool");
    insta::assert_snapshot!(sandbox.esker("unprotect data/a tool data"), @"
    exit: 0
    --- stderr
    3 files may be edited now
    ");
    insta::assert_snapshot!(sandbox.esker("unprotect data tool"), @"
    exit: 0
    --- stderr
    Nothing to do: every file may be edited
    ");
    sandbox.sh("echo more >> data/a; echo more >> data/b; echo more >> tool");
    assert_eq!(sandbox.sh("cat ../other-name"), "b");
    assert!(sandbox.files("project")["tool"].1, "still executable");
    sandbox.ok("add data tool");
    assert_eq!(sandbox.json("status")["clean"], true);
    let stored = sandbox.files("project/.git/esker/store");
    for bytes in ["a", "b", "amore\n", "bmore\n"] {
        assert!(
            stored
                .values()
                .any(|(stored, _)| stored == bytes.as_bytes()),
            "{bytes}"
        );
    }
    insta::assert_snapshot!(sandbox.ok("unprotect data --json"), @r#"
    {
      "v": 1,
      "paths": []
    }
    "#);
    insta::assert_snapshot!(sandbox.esker("unprotect dat"), @"
    exit: 2
    --- stderr
    error[E0307]: esker tracks nothing at `dat`

    hint: did you mean `data`?
    ");
}

#[test]
fn a_link_in_the_place_of_a_file_becomes_the_file() {
    let sandbox = Sandbox::project();
    sandbox.write("elsewhere/model", "weights");
    sandbox.sh("ln -s elsewhere/model model");
    sandbox.ok("add model");
    sandbox.ok("unprotect model");
    sandbox.write("model", "changed");
    assert_eq!(sandbox.read("elsewhere/model"), "weights");
    assert_eq!(sandbox.json("status")["data"][0]["state"], "modified");
}
