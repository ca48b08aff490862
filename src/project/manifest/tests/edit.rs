use super::super::paths::normal;
use super::*;
use proptest::prelude::*;

fn text(text: &str) -> Setting {
    Setting::Text(text.to_owned())
}

fn at(url: &str) -> RemoteSpec {
    RemoteSpec::from_iter([(RemoteKey::Url, text(url))])
}

fn nas() -> RemoteSpec {
    at("/mnt/nas")
}

fn default_s3() -> RemoteSpec {
    RemoteSpec::from_iter([
        (RemoteKey::Url, text("s3://acme/reviews")),
        (RemoteKey::Default, Setting::Flag(true)),
        (RemoteKey::Region, text("eu-west-1")),
    ])
}

/// These edits in an `esker.toml`.
fn with_remote(text: &str, name: &str, remote: &RemoteSpec) -> Result<String> {
    super::with_remote(MANIFEST, text, name, remote)
}

fn without_remote(text: &str, name: &str) -> Result<Option<String>> {
    super::without_remote(MANIFEST, text, name)
}

const TWO: &str = "\
# Top.
[project]   # odd   spacing
id = '0123456789abcdef0123456789abcdef'

# About a.
[remote.a]   # here
url   =   \"/a\"  # why
default = true

# About b.
[remote.b]
url = '/b'

# The end matters.
[metrics]
files = [ ]
# Last words";

#[test]
fn the_first_remote_goes_to_the_end() {
    let cases = [
        ("", "[remote.nas]\nurl = \"/mnt/nas\"\n"),
        ("# x", "# x\n\n[remote.nas]\nurl = \"/mnt/nas\"\n"),
        ("# x\n", "# x\n\n[remote.nas]\nurl = \"/mnt/nas\"\n"),
        ("# x\n\n", "# x\n\n[remote.nas]\nurl = \"/mnt/nas\"\n"),
        (
            "\u{feff}# x\r\n",
            "\u{feff}# x\r\n\r\n[remote.nas]\r\nurl = \"/mnt/nas\"\r\n",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(with_remote(text, "nas", &nas()).unwrap(), expected);
    }
    let template = Manifest::template(ID, "x", None);
    let text = with_remote(&template, "nas", &nas()).unwrap();
    assert!(text.starts_with(&template));
    assert_eq!(Manifest::parse(&text).unwrap().remotes["nas"], nas());
}

#[test]
fn a_further_remote_goes_below_the_others() {
    let text = with_remote(TWO, "nas", &nas()).unwrap();
    let expected = TWO.replace(
        "url = '/b'\n",
        "url = '/b'\n\n[remote.nas]\nurl = \"/mnt/nas\"\n",
    );
    assert_eq!(text, expected);
}

#[test]
fn a_new_default_takes_it_from_the_old_one() {
    let text = with_remote(TWO, "s3", &default_s3()).unwrap();
    let expected = TWO.replace("default = true\n", "").replace(
        "url = '/b'\n",
        "url = '/b'\n\n[remote.s3]\nurl = \"s3://acme/reviews\"\ndefault = true\n\
         region = \"eu-west-1\"\n",
    );
    assert_eq!(text, expected);
    let remotes = Manifest::parse(&text).unwrap().remotes;
    assert_eq!(remotes["s3"], default_s3());
    assert!(!remotes["a"].is_default());
}

#[test]
fn replacing_keeps_comments_and_untouched_values() {
    let text = with_remote(TWO, "a", &nas()).unwrap();
    let expected = TWO
        .replace("url   =   \"/a\"  # why", "url   =   \"/mnt/nas\"  # why")
        .replace("default = true\n", "");
    assert_eq!(text, expected);
    assert_eq!(with_remote(TWO, "b", &at("/b")).unwrap(), TWO);
}

#[test]
fn remotes_written_in_other_ways_are_edited_too() {
    let ways = [
        "remote.a.url = \"/a\"\n",
        "[remote]\na = { url = \"/a\" }\n",
        "[remote]\na.url = \"/a\"\n",
        "remote = { a = { url = \"/a\" } }\n",
    ];
    for text in ways {
        let text = format!("# Top\n{text}# End\n");
        for name in ["a", "nas"] {
            let edited = with_remote(&text, name, &nas()).unwrap();
            let remotes = Manifest::parse(&with_project_last(&edited))
                .unwrap()
                .remotes;
            assert_eq!(remotes[name], nas(), "{edited}");
            assert!(
                edited.starts_with("# Top\n") && edited.contains("# End"),
                "{edited}"
            );
        }
        let edited = without_remote(&text, "a").unwrap().unwrap();
        assert!(
            edited.starts_with("# Top\n") && edited.contains("# End"),
            "{edited}"
        );
        assert_eq!(without_remote(&edited, "a").unwrap(), None);
    }
}

/// Root keys come first in TOML, so here the project follows.
fn with_project_last(text: &str) -> String {
    format!("{text}\n[project]\nid = \"{ID}\"\n")
}

#[test]
fn removing_takes_the_lines_of_the_remote_and_nothing_else() {
    let text = without_remote(TWO, "b").unwrap().unwrap();
    assert_eq!(text, TWO.replace("[remote.b]\nurl = '/b'\n\n", ""));
    let text = without_remote(TWO, "a").unwrap().unwrap();
    let gone = "[remote.a]   # here\nurl   =   \"/a\"  # why\ndefault = true\n\n";
    assert_eq!(text, TWO.replace(gone, ""));
    assert_eq!(without_remote(TWO, "c").unwrap(), None);
    assert_eq!(without_remote("", "c").unwrap(), None);
    assert_eq!(without_remote("[remote]\n", "c").unwrap(), None);
}

#[test]
fn what_cannot_be_a_remote_is_refused() {
    let secret = at("https://me:hunter2@host/x");
    let error = with_remote(TWO, "x", &secret).unwrap_err().to_string();
    assert_eq!(
        error,
        "the password in `url` is a secret, and secrets never belong in `esker.toml`"
    );
    let error = with_remote(TWO, "-x", &nas()).unwrap_err().to_string();
    assert!(error.starts_with("`-x` cannot name a remote"), "{error}");
    let error = with_remote("remote = 1\n", "x", &nas()).unwrap_err();
    assert_eq!(error.to_string(), "`remote` must be a table");
    let mut words = nas();
    words.set(RemoteKey::Acl, Some(text("y")));
    let error = with_remote(TWO, "x", &words).unwrap_err().to_string();
    assert!(error.starts_with("`acl` must be one of"), "{error}");
    assert!(with_remote("a = ", "x", &nas()).is_err());
    assert!(without_remote("a = ", "x").is_err());
}

fn remotes() -> impl Strategy<Value = RemoteSpec> {
    let word = "[a-zA-Z0-9 \"'\\\\#=é/.-]{0,12}[a-z]";
    let some = proptest::option::of(word);
    let flag = proptest::option::of(any::<bool>());
    (word, flag, some.clone(), some.clone(), some).prop_map(
        |(url, default, endpoint_url, region, profile)| {
            let mut remote = at(&url);
            remote.set(RemoteKey::Default, default.map(Setting::Flag));
            remote.set(RemoteKey::EndpointUrl, endpoint_url.map(Setting::Text));
            remote.set(RemoteKey::Region, region.map(Setting::Text));
            remote.set(RemoteKey::Profile, profile.map(Setting::Text));
            remote.set(RemoteKey::Jobs, default.map(|_| Setting::Number(8)));
            remote
        },
    )
}

fn texts() -> impl Strategy<Value = String> {
    let parts = [
        "# é\n",
        "\n",
        "  \n",
        "[env]\n",
        "[env]\r\n",
        "# c\r\n",
        "\r\n",
        "[stage.a]\ncmd = '''\nx\r\n'''\n",
        "[remote.a]\nurl = 'a' # w\n",
        "[remote.b]\r\nurl = \"b\"\r\n",
        "[remote.c]\nregion='r' # r\n\n# x\nurl='c'\ndefault = true\n",
    ];
    proptest::sample::subsequence(parts.to_vec(), 0..=parts.len())
        .prop_shuffle()
        .prop_map(|parts| parts.concat())
        .prop_filter("one table twice is not TOML", |text| {
            text.matches("[env]").count() < 2
        })
}

proptest! {
    #[test]
    fn what_is_set_reads_back_and_all_else_stays(
        text in texts(),
        name in "[a-d]",
        remote in remotes(),
    ) {
        let edited = with_remote(&text, &name, &remote).unwrap();
        let before = Manifest::parse(&with_project_last(&text)).unwrap();
        let after = Manifest::parse(&with_project_last(&edited)).unwrap();
        prop_assert_eq!(&after.remotes[&name], &remote);
        for (other, spec) in before.remotes.iter().filter(|(other, _)| **other != name) {
            let mut expected = spec.clone();
            if remote.is_default() {
                expected.set(RemoteKey::Default, None);
            }
            prop_assert_eq!(&after.remotes[other], &expected);
        }
        for line in text.split_inclusive('\n').filter(|line| line.starts_with('#')) {
            prop_assert!(edited.contains(line), "{line:?} of {text:?} is not in {edited:?}");
        }
        prop_assert_eq!(with_remote(&edited, &name, &remote).unwrap(), edited);
    }

    #[test]
    fn what_was_added_can_be_removed(text in texts(), remote in remotes()) {
        let mut remote = remote;
        remote.set(RemoteKey::Default, None);
        let edited = with_remote(&text, "new", &remote).unwrap();
        let back = without_remote(&edited, "new").unwrap().unwrap();
        let words = |text: &str| -> Vec<String> {
            text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
        };
        prop_assert_eq!(words(&back), words(&text));
        prop_assert_eq!(without_remote(&back, "new").unwrap(), None);
    }
}

#[test]
fn a_name_is_changed_where_it_stands() {
    let renamed = |text: &str| {
        let renamed = with_renamed_remote(MANIFEST, text, "old", "new").unwrap();
        renamed.unwrap()
    };
    let cases = [
        (
            "[remote.old] # mine\n# why\nurl = \"/a\" # where\n\n[remote.z]\nurl = \"/z\"\n",
            "[remote.new] # mine\n# why\nurl = \"/a\" # where\n\n[remote.z]\nurl = \"/z\"\n",
        ),
        (
            "[remote]\nold = { url = \"/a\" }\n",
            "[remote]\nnew = { url = \"/a\" }\n",
        ),
        (
            "[remote.\"old\"]\r\nurl = \"/a\"\r\n",
            "[remote.new]\r\nurl = \"/a\"\r\n",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(renamed(text), expected);
    }
    let inline = renamed("remote = { old = { url = \"/a\" } }\n");
    let dotted = renamed("remote.old.url = \"/a\"\nremote.z.url = \"/z\"\n");
    for text in [inline, dotted] {
        let read = Manifest::parse(&with_project_last(&text)).unwrap();
        assert_eq!(read.remotes.get("new"), Some(&at("/a")), "{text}");
        assert!(!read.remotes.contains_key("old"), "{text}");
    }
    let none = with_renamed_remote(MANIFEST, "remote = {}\n", "old", "new");
    assert_eq!(none.unwrap(), None);
}

#[test]
fn a_config_has_single_keys_of_a_remote() {
    let set = |old: &str, key, value: Option<&str>| {
        with_remote_key("config.toml", old, "s3", key, value.map(text)).unwrap()
    };
    let profile = RemoteKey::Profile;
    let mine = "core.jobs = 3 # few\n\n[remote.s3]\nprofile = \"me\"\n";
    assert_eq!(set("core.jobs = 3 # few\n", profile, Some("me")), mine);
    let two = format!("{mine}region = \"eu\"\n");
    assert_eq!(set(mine, RemoteKey::Region, Some("eu")), two);
    assert_eq!(set(&two, RemoteKey::Region, None), mine);
    // Nothing more is said of it, so it is gone.
    assert_eq!(set(mine, profile, None), "core.jobs = 3 # few\n");
    assert_eq!(set("", profile, None), "");
    let bare = with_remote_key(MANIFEST, "", "s3", profile, Some(text("me")));
    let bare = bare.unwrap_err().to_string();
    assert_eq!(bare, "`[remote.s3]` has no `url`", "not in a project");
}

fn train() -> StageDraft {
    let text = |text: &str| text.to_owned();
    StageDraft {
        desc: Some(text("Fit \"it\"")),
        cmd: text("python src/train.py\npython src/test.py"),
        wdir: None,
        deps: vec![text("src/train.py"), text("@prepare")],
        params: vec![text("train.lr")],
        outs: vec![
            OutDraft {
                path: text("model.pkl"),
                keep: false,
                store: true,
            },
            OutDraft {
                path: text("log"),
                keep: true,
                store: false,
            },
        ],
        env: [(text("N"), text("1"))].into(),
        needs: vec![text("setup")],
        always: true,
    }
}

#[test]
fn a_stage_is_added_to_any_text() {
    let block = "[stage.train]\ndesc = 'Fit \"it\"'\ncmd = \"\"\"\npython src/train.py\npython src/test.py\"\"\"\n\
        deps = [\"src/train.py\", \"@prepare\"]\nparams = [\"train.lr\"]\n\
        outs = [\"model.pkl\", { path = \"log\", keep = true, store = false }]\nenv = { N = \"1\" }\n\
        always = true\nneeds = [\"setup\"]\n";
    let text = with_stage(TWO, "train", &train(), &[]).unwrap();
    assert_eq!(text, format!("{TWO}\n\n{block}"));
    // Among others, after the last of them, with its own tables.
    let stages = "[stage.a]\ncmd = 'a'\n[stage.a.env]\nX = '1' # one\n";
    let more = format!("{}{stages}# Before.\n[env]\nset = {{}}\n", with_project(""));
    let text = with_stage(&more, "train", &train(), &[]).unwrap();
    assert_eq!(text, more.replace(stages, &format!("{stages}\n{block}")));
    // Inside of one table.
    let inline = format!(
        "stage = {{ a = {{ cmd = 'a' }} }} # all\n{}",
        with_project("")
    );
    let text = with_stage(&inline, "train", &train(), &[]).unwrap();
    let stages = Manifest::parse(&text).unwrap().stages;
    assert_eq!(stages.len(), 2);
    assert!(text.contains(" # all\n") && plain(&stages["train"]).always);
}

#[test]
fn a_stage_that_is_replaced_keeps_what_is_the_same() {
    let old = with_project(
        "# Why.\n[stage.train] # here\ncmd = 'old' # slow\n# A matrix.\nmatrix.m = [1]\nneeds = [\n  'setup', # first\n]\n\
         timeout = '1h'\n[stage.train.env]\nN = '2'\n\n[remote.r]\nurl = '/r'\n",
    );
    let draft = StageDraft {
        cmd: "new".to_owned(),
        needs: vec!["setup".to_owned()],
        ..StageDraft::default()
    };
    let text = with_stage(&old, "train", &draft, &[]).unwrap();
    for kept in [
        "# Why.\n[stage.train] # here\n",
        "# slow\n",
        "  'setup', # first\n",
        "\n[remote.r]\n",
    ] {
        assert!(text.contains(kept), "{kept}\n{text}");
    }
    for gone in ["old", "matrix.m", "timeout", "env"] {
        assert!(!text.contains(gone), "{gone}\n{text}");
    }
    assert_eq!(with_stage(&text, "train", &draft, &[]).unwrap(), text);
}

#[test]
fn metrics_files_join_those_that_are_there() {
    let draft = StageDraft {
        cmd: "x".to_owned(),
        ..StageDraft::default()
    };
    let table = [
        ("", "\n[metrics]\nfiles = [\"m.json\", \"n.json\"]\n"),
        (
            "[metrics]\ngoal.auc = 'max' # up\n",
            "[metrics]\ngoal.auc = 'max' # up\nfiles = [\"m.json\", \"n.json\"]\n",
        ),
        (
            "[metrics]\nfiles = [ 'a', # one\n 'b' ] # all\n",
            "[metrics]\nfiles = [ 'a', # one\n 'b', \"m.json\", \"n.json\" ] # all\n",
        ),
        (
            "[metrics]\nfiles = [\n  'a', # one\n  'b' # two\n]\n",
            "[metrics]\nfiles = [\n  'a', # one\n  'b', # two\n  \"m.json\",\n  \"n.json\",\n]\n",
        ),
        (
            "metrics = { goal = { auc = 'max' } } # all\n",
            "metrics = { goal = { auc = 'max' } , files = [\"m.json\", \"n.json\"] } # all\n",
        ),
        (
            "[metrics]\nfiles = []\n",
            "[metrics]\nfiles = [\"m.json\", \"n.json\"]\n",
        ),
        (
            "[metrics]\r\nfiles = ['a']\r\n",
            "[metrics]\r\nfiles = ['a', \"m.json\", \"n.json\"]\r\n",
        ),
    ];
    let files = ["m.json".to_owned(), "n.json".to_owned()];
    for (old, new) in table {
        let old = with_project_last(old);
        let text = with_stage(&old, "s", &draft, &files).unwrap();
        assert!(text.contains(new), "{old:?}\n{text:?}");
        assert_eq!(Manifest::parse(&text).unwrap().stages.len(), 1);
    }
}

proptest! {
    #[test]
    fn any_text_of_a_stage_comes_back_or_is_refused(cmd: String, dep: String, out: String, desc: String, name in "[a-y ]{0,3}") {
        let draft = StageDraft {
            cmd,
            desc: Some(desc),
            deps: vec![dep],
            outs: vec![OutDraft { path: out, keep: false, store: true }],
            ..StageDraft::default()
        };
        for old in [with_project(""), TWO.to_owned(), with_project("[stage.z]\r\ncmd = 'z'\r\n")] {
            let Ok(text) = with_stage(&old, &name, &draft, &[]) else {
                continue;
            };
            let stages = Manifest::parse(&text).unwrap().stages;
            let Declared::Plain(stage) = &stages[&name] else {
                continue;
            };
            prop_assert_eq!(stage.cmd.scripts(), std::slice::from_ref(&draft.cmd));
            prop_assert_eq!(stage.deps[0].target.to_string(), normal(&draft.deps[0]));
            prop_assert_eq!(stage.desc.as_ref(), draft.desc.as_ref());
            let rest = old.trim_end();
            prop_assert!(text.contains(rest), "{}", text);
        }
    }
}
