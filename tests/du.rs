use crate::common::Sandbox;

#[test]
fn sizes_are_shown_in_the_record_on_disk_and_in_the_store() {
    let sandbox = Sandbox::project();
    insta::assert_snapshot!(sandbox.esker("du"), @"
    exit: 0
    --- stderr
    Nothing is tracked here
    ");
    sandbox.write("data/a", "x".repeat(2000));
    sandbox.write("data/same", "x".repeat(2000));
    sandbox.write("model", "x".repeat(2000));
    sandbox.write("other", "y".repeat(500));
    sandbox.ok("add data model other");
    sandbox.append("data/a", "more");
    sandbox.remove("other");
    insta::assert_snapshot!(sandbox.esker("du"), @"
    exit: 0
    --- stdout
    recorded   on disk  in store
    3.91 KiB  3.91 KiB  1.95 KiB  data
    1.95 KiB  1.95 KiB  1.95 KiB  model
       500 B       0 B     500 B  other
    6.35 KiB  5.86 KiB  2.44 KiB  total
    ");
    insta::assert_snapshot!(sandbox.ok("du data/a other --json"), @r#"
    {
      "v": 1,
      "paths": [
        {
          "path": "data/a",
          "recorded": 2000,
          "disk": 2004,
          "store": 2000
        },
        {
          "path": "other",
          "recorded": 500,
          "disk": 0,
          "store": 500
        }
      ],
      "total": {
        "recorded": 2500,
        "disk": 2004,
        "store": 2500
      }
    }
    "#);
    let hash = blake3::hash("y".repeat(500).as_bytes()).to_hex();
    sandbox.sh(&format!(
        "rm -f .git/esker/store/objects/{}/{}",
        &hash[..2],
        &hash[2..]
    ));
    insta::assert_snapshot!(sandbox.esker("du other"), @"
    exit: 0
    --- stdout
    recorded  on disk  in store
       500 B      0 B       0 B  other  (not all in the store)
       500 B      0 B       0 B  total
    ");
    insta::assert_snapshot!(sandbox.esker("du nothing"), @"
    exit: 2
    --- stderr
    error[E0307]: esker tracks nothing at `nothing`

    hint: esker status
    ");
}
