use super::*;

/// Each refusal of what stands in a section, with its carets; line 3 is the first of the text.
fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let full = with_project(text);
        assert_eq!(&refusal(&full), expected, "of {text:?}");
    }
}

#[test]
fn a_file_that_init_did_not_make_is_refused() {
    let unmade = "`esker.toml` has no `[project] id`: it was not made by `esker init`";
    assert_eq!(refusal(""), unmade);
    assert_eq!(refusal("[stage.a]\ncmd = \"x\"\n"), unmade);
    let expected = format!("{unmade}\nesker.toml:1\n[project]\n^^^^^^^^^");
    assert_eq!(refusal("[project]\nname = \"x\"\n"), expected);
    for id in ["", "0123", &ID.to_uppercase(), &format!("{ID}0")] {
        let text = refusal(&format!("[project]\nid = \"{id}\"\n"));
        let expected = "`project.id` must have 32 lower-case hexadecimal digits\nesker.toml:2\n";
        assert!(text.starts_with(expected), "{text}");
    }
}

#[test]
fn a_newer_esker_is_asked_for_before_anything_else_is_judged() {
    let text = "[galaxy]\n[project]\nunheard = 1\nesker = \">=7.1\"\n";
    let expected = format!(
        "this project wants esker `>=7.1`, this is esker {}\nesker.toml:4\nesker = \">=7.1\"\n        ^^^^^^^",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(refusal(text), expected);
    let sure = Manifest::parse(text).unwrap_err();
    assert!(matches!(sure, Error::ManifestTooNew { .. }));
    for wanted in [
        "",
        "0.1",
        ">0.1",
        ">=1",
        ">=0.1.2.3",
        ">=a.b",
        ">=0.",
        ">=0.99999999999",
    ] {
        let text = refusal(&with_project(&format!("esker = \"{wanted}\"\n")));
        assert!(
            text.starts_with("`project.esker` must look like `>=0.1` or `>=0.1.2`"),
            "{wanted}: {text}"
        );
    }
}

#[test]
fn unknown_keys_are_named_with_what_may_have_been_meant() {
    check(&[
        (
            "[stage.train]\ncmd = \"x\"\ndepz = []",
            "unknown key `depz` in `[stage.train]`\nesker.toml:5\ndepz = []\n^^^^\n? deps",
        ),
        (
            "[stages.train]\ncmd = \"x\"",
            "unknown section `[stages]`\nesker.toml:3\n[stages.train]\n ^^^^^^\n? stage",
        ),
        (
            "nmae = \"x\"",
            "unknown key `nmae` in `[project]`\nesker.toml:3\nnmae = \"x\"\n^^^^\n? name",
        ),
        (
            "[remote.a]\nurl = \"/x\"\nregoin = \"y\"",
            "unknown key `regoin` in `[remote.a]`\nesker.toml:5\nregoin = \"y\"\n^^^^^^\n? region",
        ),
        (
            "[metrics]\ngoals = {}",
            "unknown key `goals` in `[metrics]`\nesker.toml:4\ngoals = {}\n^^^^^\n? goal",
        ),
        (
            "[env]\nzebra = 1",
            "unknown key `zebra` in `[env]`\nesker.toml:4\nzebra = 1\n^^^^^",
        ),
        (
            "[stage.a]\ncmd = \"x\"\nouts = [{ path = \"y\", cache = false }]",
            "unknown key `cache` in `[stage.a.outs]`\nesker.toml:5\n\
             outs = [{ path = \"y\", cache = false }]\n                      ^^^^^",
        ),
    ]);
    assert_eq!(
        refusal("name = 1\n"),
        "unknown key `name` outside any section\nesker.toml:1\nname = 1\n^^^^"
    );
}

#[test]
fn what_is_designed_and_not_built_is_told_apart() {
    let found = refusal(&with_project("[plot.x]"));
    let expected = "`[plot]` is not in this version of esker\nesker.toml:";
    assert!(found.starts_with(expected), "{found}");
}

#[test]
fn expressions_where_nothing_is_filled_in_are_pointed_at() {
    let message = "nothing is filled in here: `${{ … }}` stands in `cmd`, `deps`, `params`, `outs` \
                   and `env` of a stage";
    let cases = [
        ("[stage.a]\ncmd = \"x\"\nwdir = \"V\"", 5),
        ("[stage.a]\ncmd = \"x\"\nneeds = [\"V\"]", 5),
        ("[env]\nset = { A = \"V\" }", 4),
        ("[env]\nrun = [\"V\"]", 4),
        ("[env]\ndeps = [\"V\"]", 4),
        ("[metrics]\nfiles = [\"V\"]", 4),
        ("[remote.a]\nurl = \"V\"", 4),
        ("params = [\"V\"]", 3),
    ];
    for (text, line) in cases {
        let found = refusal(&with_project(&text.replace('V', "x${{ params.y }}")));
        let expected = format!("{message}\nesker.toml:{line}\n");
        assert!(
            found.starts_with(&expected) && found.ends_with("^^^"),
            "{found}"
        );
    }
}

#[test]
fn patterns_where_there_are_none_are_pointed_at() {
    check(&[(
        "[stage.a]\ncmd = \"x\"\nouts = [\"m?\"]",
        "a pattern cannot stand in `outs`: only in `deps`\nesker.toml:5\n\
             outs = [\"m?\"]\n        ^^^^",
    )]);
}

#[test]
fn sections_of_the_local_config_are_sent_home() {
    for name in ["store", "trust", "core", "hooks", "run_cache"] {
        let expected = format!(
            "`[{name}]` belongs to the config of a clone, not to `esker.toml`\nesker.toml:3\n\
             [{name}]\n {}",
            "^".repeat(name.len())
        );
        check(&[(&format!("[{name}]\nx = 1"), &expected)]);
    }
}

#[test]
fn a_time_or_a_mutex_or_a_remote_that_is_none_is_pointed_at() {
    for time in [
        "",
        "2",
        "h",
        "0s",
        "1h1h",
        "30m1h",
        "-1s",
        "1.5h",
        "2 h",
        "1w",
        "99999999999999999999d",
    ] {
        let text = format!("[stage.a]\ncmd = \"x\"\ntimeout = \"{time}\"");
        let expected = format!(
            "`{time}` is not a time like `90s` or `1h30m`\nesker.toml:5\ntimeout = \"{time}\"\n          {}",
            "^".repeat(time.len() + 2)
        );
        check(&[(&text, &expected)]);
    }
    let name = "a name has up to 64 letters, digits, `_` and `-`, and does not begin with `-`";
    check(&[
        (
            "[stage.a]\ncmd = \"x\"\nmutex = [\"gpu 0\"]",
            &format!(
                "`gpu 0` cannot name a mutex: {name}\nesker.toml:5\nmutex = [\"gpu 0\"]\n         ^^^^^^^"
            ),
        ),
        (
            "[stage.a]\ncmd = \"x\"\nmutex = [\"g\", \"g\"]",
            "`g` stands twice in `mutex`\nesker.toml:5\nmutex = [\"g\", \"g\"]\n              ^^^",
        ),
        (
            "[stage.a]\ncmd = \"x\"\nouts = [{ path = \"y\", remote = \"/x\" }]",
            &format!(
                "`/x` cannot name a remote: {name}\nesker.toml:5\n\
                 outs = [{{ path = \"y\", remote = \"/x\" }}]\n                               ^^^^"
            ),
        ),
    ]);
}

#[test]
fn wrong_types_are_named() {
    check(&[
        (
            "[stage.a]\ncmd = 3",
            "`stage.a.cmd` must be a string or a list of strings, not an integer\nesker.toml:4\ncmd = 3\n      ^",
        ),
        (
            "[stage.a]\ncmd = \"x\"\nfrozen = \"yes\"",
            "`stage.a.frozen` must be `true` or `false`, not a string\nesker.toml:5\n\
             frozen = \"yes\"\n         ^^^^^",
        ),
        (
            "[stage.a]\ncmd = \"x\"\ndeps = \"y\"",
            "`stage.a.deps` must be a list of strings, not a string\nesker.toml:5\n\
             deps = \"y\"\n       ^^^",
        ),
        (
            "[stage.a]\ncmd = \"x\"\ndeps = [1.5]",
            "each item of `deps` must be a string, not a float\nesker.toml:5\n\
             deps = [1.5]\n        ^^^",
        ),
        (
            "[stage.a]\ncmd = \"x\"\nenv.A = 1",
            "`stage.a.env.A` must be a string, not an integer\nesker.toml:5\nenv.A = 1\n        ^",
        ),
        (
            "[stage]\ncmd = \"x\"",
            "`stage.cmd` must be a table, not a string\nesker.toml:4\ncmd = \"x\"\n      ^^^",
        ),
        (
            "[[stage]]\ncmd = \"x\"",
            "`stage` must be a table, not a list of tables\nesker.toml:3\n[[stage]]\n  ^^^^^",
        ),
        (
            "[stage.a]\ncmd = \"x\"\nouts = [{ keep = true }]",
            "a table in `outs` has no `path`\nesker.toml:5\nouts = [{ keep = true }]\n        ^^^^^^^^^^^^^^^",
        ),
        (
            "[stage.a]\ncmd = \"x\"\nouts = [{}]",
            "a table in `outs` has no `path`\nesker.toml:5\nouts = [{}]\n        ^^",
        ),
        (
            "[metrics.goal]\nauc = \"maximum\"",
            "a goal must be `max` or `min`\nesker.toml:4\nauc = \"maximum\"\n      ^^^^^^^^^",
        ),
        (
            "name = 2020-01-01",
            "`project.name` must be a string, not a date\nesker.toml:3\n\
             name = 2020-01-01\n       ^^^^^^^^^^",
        ),
    ]);
}

#[test]
fn a_stage_needs_a_name_and_a_command() {
    let rule = "a name has up to 64 letters, digits, `_` and `-`, and does not begin with `-`";
    check(&[
        (
            "[stage.train]\ndeps = []",
            "`[stage.train]` has no `cmd`\nesker.toml:3\n[stage.train]\n^^^^^^^^^^^^^",
        ),
        (
            "[stage.a]\ncmd = \" \\n\"",
            "`cmd` is empty\nesker.toml:4\ncmd = \" \\n\"\n      ^^^^^",
        ),
        (
            "[stage.a]\ncmd = []",
            "`cmd` of `[stage.a]` is empty\nesker.toml:3\n[stage.a]\n^^^^^^^^^",
        ),
        (
            "[stage.\"a b\"]\ncmd = \"x\"",
            &format!(
                "`a b` cannot name a stage: {rule}\nesker.toml:3\n[stage.\"a b\"]\n       ^^^^^"
            ),
        ),
        (
            "[stage.a]\ncmd = \"x\"\nneeds = [\"b\", \"@c\"]",
            &format!(
                "`@c` cannot name a stage: {rule}\nesker.toml:5\n\
                 needs = [\"b\", \"@c\"]\n              ^^^^"
            ),
        ),
        (
            "[stage.a]\ncmd = \"x\"\ndeps = [\"@\"]",
            &format!("`` cannot name a stage: {rule}\nesker.toml:5\ndeps = [\"@\"]\n        ^^^"),
        ),
    ]);
    for name in ["-a", "é", &"x".repeat(65), "a.b", "a@b", ""] {
        let text = refusal(&with_project(&format!("[stage.\"{name}\"]\ncmd = \"x\"\n")));
        assert!(
            text.starts_with(&format!("`{name}` cannot name a stage")),
            "{text}"
        );
    }
    for name in ["_", "0", "a-", &"x".repeat(64)] {
        parse(&format!("[stage.{name}]\ncmd = \"x\"\n"));
    }
}

#[test]
fn paths_must_be_normal_and_in_their_place() {
    let stage = |line: &str| with_project(&format!("[stage.a]\ncmd = \"x\"\n{line}"));
    let cases = [
        ("deps = [\"/etc/passwd\"]", "`/etc/passwd` is absolute"),
        ("deps = [\"a/../b\"]", "`a/../b` lies outside the project"),
        (
            "deps = [\"a//b\"]",
            "`a//b` has an empty, `.` or `..` component",
        ),
        ("deps = [\"\"]", "the path is empty"),
        ("deps = [\"./\"]", "the path is empty"),
        ("deps = [\"/\"]", "`/` is absolute"),
        ("deps = [\"../\"]", "`..` lies outside the project"),
        (
            "deps = [\"../.git/x\"]",
            "`../.git/x` names a directory that git or esker keeps for itself",
        ),
        ("outs = [\"../b\"]", "`../b` lies outside the project"),
        (
            "outs = [\".git/hooks\"]",
            "`.git/hooks` names a directory that git or esker keeps for itself",
        ),
        (
            "outs = [\"esker.lock\"]",
            "`esker.lock` cannot be an output of a stage",
        ),
        (
            "outs = [\"sub/.gitignore\"]",
            "`sub/.gitignore` cannot be an output of a stage",
        ),
        ("wdir = \"..\"", "`..` lies outside the project"),
        ("wdir = \"\"", "the path is empty"),
        ("params = [\"/x.yaml:a\"]", "`/x.yaml` is absolute"),
        ("params = [\":a\"]", "the path is empty"),
        (
            "params = [\"*\"]",
            "`*` needs a file before it, like `params.yaml:*`",
        ),
        ("params = [\"a..b\"]", "`a..b` is not a key like `train.lr`"),
        ("params = [\"p.yaml:\"]", "`` is not a key like `train.lr`"),
    ];
    for (line, expected) in cases {
        let found = refusal(&stage(line));
        let message = found.lines().next().unwrap();
        // A message that quotes the path as it is known has no `../` in front.
        let quoted = expected.replace("`../", "`");
        assert!(
            message == expected || message == quoted,
            "{line}: {message}"
        );
        assert!(found.contains("\nesker.toml:5\n"), "{found}");
    }
}

#[test]
fn nothing_stands_twice() {
    check(&[
        (
            "[stage.a]\ncmd = \"x\"\ndeps = [\"d\", \"./d/\"]",
            "`d` stands twice in `deps`\nesker.toml:5\ndeps = [\"d\", \"./d/\"]\n             ^^^^^^",
        ),
        (
            "[stage.a]\ncmd = \"x\"\ndeps = [\"@b\", \"@b\"]",
            "`@b` stands twice in `deps`\nesker.toml:5\ndeps = [\"@b\", \"@b\"]\n              ^^^^",
        ),
        (
            "[stage.a]\ncmd = \"x\"\nouts = [\"o\", { path = \"o/\" }]",
            "`o` stands twice in `outs`\nesker.toml:5\n\
             outs = [\"o\", { path = \"o/\" }]\n                      ^^^^",
        ),
        (
            "[stage.a]\ncmd = \"x\"\nparams = [\"p.yaml:a\", \"./p.yaml:a\"]",
            "`p.yaml:a` stands twice in `params`\nesker.toml:5\n\
             params = [\"p.yaml:a\", \"./p.yaml:a\"]\n                      ^^^^^^^^^^^^",
        ),
        (
            "[stage.a]\ncmd = \"x\"\nneeds = [\"b\", \"b\"]",
            "`b` stands twice in `needs`\nesker.toml:5\nneeds = [\"b\", \"b\"]\n              ^^^",
        ),
        (
            "params = [\"p.yaml\", \"./p.yaml\"]",
            "`p.yaml` stands twice in `params`\nesker.toml:3\n\
             params = [\"p.yaml\", \"./p.yaml\"]\n                    ^^^^^^^^^^",
        ),
        (
            "[metrics.goal]\na.b = \"max\"\n\"a.b\" = \"min\"",
            "`a.b` has two goals\nesker.toml:5\n\"a.b\" = \"min\"\n^^^^^",
        ),
        (
            "[remote.a]\nurl = \"/a\"\ndefault = true\n[remote.b]\nurl = \"/b\"\ndefault = true",
            "`a` and `b` are both the default remote\nesker.toml:6\n[remote.b]\n        ^",
        ),
    ]);
}

#[test]
fn environment_names_are_checked() {
    check(&[
        (
            "[env.set]\nESKER_RUN_ID = \"1\"",
            "`ESKER_RUN_ID` is set by esker itself\nesker.toml:4\n\
             ESKER_RUN_ID = \"1\"\n^^^^^^^^^^^^",
        ),
        (
            "[env.set]\n\"A=B\" = \"1\"",
            "`A=B` cannot name a variable\nesker.toml:4\n\"A=B\" = \"1\"\n^^^^^",
        ),
        (
            "[env]\nshell = []",
            "`env.shell` names no program\nesker.toml:3\n[env]\n^^^^^",
        ),
    ]);
}

#[test]
fn metrics_files_may_be_patterns_that_compile() {
    let refused = |file: &str| {
        let text = with_project(&format!("[metrics]\nfiles = [\"{file}\"]"));
        refusal(&text).lines().next().unwrap().to_owned()
    };
    assert!(refused("eval/[a").starts_with("`eval/[a` is not a pattern"));
    assert_eq!(refused("../*.json"), "`../*.json` lies outside the project");
    assert_eq!(refused("../m.json"), "`../m.json` lies outside the project");
    parse("[metrics]\nfiles = [\"{a,b}/m.json\", \"**/x.json\"]\n");
}

#[test]
fn secrets_are_refused_and_never_shown() {
    let rest = "is a secret, and secrets never belong in `esker.toml`";
    check(&[
        (
            "[remote.a]\nurl = \"s3://b\"\nsecret_access_key = \"hunter2\"",
            &format!(
                "`secret_access_key` {rest}\nesker.toml:5\nsecret_access_key = …\n^^^^^^^^^^^^^^^^^"
            ),
        ),
        (
            "[remote]\na = { access_key_id = \"hunter2\", url = \"s3://b\" }",
            &format!(
                "`access_key_id` {rest}\nesker.toml:4\n      access_key_id = …\n      ^^^^^^^^^^^^^"
            ),
        ),
        (
            "[remote.a]\nurl = \"s3://AK:hunter2/x@bucket\"",
            &format!("the password in `url` {rest}\nesker.toml:4\nurl = …\n^^^"),
        ),
    ]);
    for key in [
        "password",
        "Token",
        "session-token",
        "AWS_SECRET",
        "sas_token",
        "credentials",
    ] {
        let text = with_project(&format!("[remote.a]\n{key} = \"hunter2\""));
        let found = refusal(&text);
        assert!(
            found.starts_with(&format!("`{key}` is a secret")),
            "{found}"
        );
        assert!(!found.contains("hunter2"), "{found}");
    }
}

#[test]
fn a_password_is_told_from_a_port_and_a_path() {
    let cases = [
        ("https://me:pw@host/x", true),
        ("s3://AK:se/cr+et@bucket/x", true),
        ("ssh://me:12ab@host", true),
        ("ssh://me:1234@host", true),
        ("ssh://me@host:22/x", false),
        ("https://host:8333/a@b", false),
        ("s3://bucket/a:b@c", false),
        ("/data/a:b@c", false),
        ("http://127.0.0.1:8333", false),
    ];
    for (url, expected) in cases {
        assert_eq!(remote::has_password(url), expected, "{url}");
    }
}

#[test]
fn remotes_need_a_url() {
    check(&[
        (
            "[remote.a]\nregion = \"x\"",
            "`[remote.a]` has no `url`\nesker.toml:3\n[remote.a]\n^^^^^^^^^^",
        ),
        (
            "[remote.a]\nurl = \"\"",
            "`url` is empty or holds a control character\nesker.toml:4\nurl = \"\"\n      ^^",
        ),
    ]);
}

#[test]
fn what_no_remote_can_be_is_pointed_at() {
    let acls = "`private`, `public-read`, `public-read-write`, `authenticated-read`, \
                `aws-exec-read`, `bucket-owner-read`, `bucket-owner-full-control`";
    let head = "[remote.a]\nurl = \"s3://b\"\n";
    check(&[
        (
            &format!("{head}sse = \"aes\""),
            "`sse` must be one of `AES256`, `aws:kms`\nesker.toml:5\nsse = \"aes\"\n      ^^^^^",
        ),
        (
            &format!("{head}acl = \"x\""),
            &format!("`acl` must be one of {acls}\nesker.toml:5\nacl = \"x\"\n      ^^^"),
        ),
        (
            &format!("{head}jobs = 0"),
            "`jobs` must be a whole number from 1 to 256\nesker.toml:5\njobs = 0\n       ^",
        ),
        (
            &format!("{head}path_style = \"no\""),
            "`remote.a.path_style` must be `true` or `false`, not a string\nesker.toml:5\n\
             path_style = \"no\"\n             ^^^^",
        ),
    ]);
}

#[test]
fn bad_toml_is_pointed_at() {
    check(&[
        (
            "[stage.a\ncmd = \"x\"",
            "not TOML: unclosed table, expected `]`\nesker.toml:3\n[stage.a\n        ^",
        ),
        (
            "[stage.a]\ncmd = \"é\ncmd = 1",
            "not TOML: invalid basic string, expected `\"`\nesker.toml:4\ncmd = \"é\n        ^",
        ),
        (
            "[stage.a]\ncmd = \"é\"; cmd = 2",
            "not TOML: unexpected key or value, expected newline, `#`\nesker.toml:4\ncmd = \"é\"; cmd = 2\n         ^",
        ),
        (
            "name = \"x\"\nname = \"y\"",
            "not TOML: duplicate key\nesker.toml:4\nname = \"y\"\n^^^^",
        ),
    ]);
    let deep = format!("a = {}", "[".repeat(100_000));
    assert!(
        refusal(&deep).starts_with("not TOML: "),
        "too deep to follow"
    );
}

#[test]
fn nothing_from_the_file_steers_the_terminal() {
    let found = refusal(&with_project("\"\\u001b[31m\" = 1"));
    assert!(
        found.starts_with("unknown key `\\u{1b}[31m` in `[project]`"),
        "{found}"
    );
    let found = refusal("# \u{1b}[31m\n");
    assert!(
        !found.contains('\u{1b}') && found.contains("not TOML"),
        "{found}"
    );
}
