use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::sync::Mutex;

use super::*;
use crate::path;
use crate::progress::{Event, Silent, Work};
use crate::workspace::tests::{Sandbox, file, link_to, path as rel, tree};

impl Sandbox {
    fn dep(&mut self, name: &str, tracked: &[&str]) -> Result<Found> {
        let tracked: Vec<RelPath> = tracked.iter().map(|name| rel(name)).collect();
        let root = self.root();
        let dep = DepPath::parse(name).unwrap();
        self.scanner(&root, false).scan_dep(&dep, &tracked)
    }

    fn names(&mut self, name: &str, tracked: &[&str]) -> Vec<String> {
        let found = self.dep(name, tracked).unwrap();
        names(&self.tree(name, &found))
    }

    /// The paths that count in a directory of data.
    fn data(&mut self, name: &str) -> Vec<String> {
        let found = self.scan(name, Rules::Data).unwrap();
        names(&self.tree(name, &found))
    }

    fn dir(&self, name: &str) {
        fs::create_dir_all(&self.at(name)).unwrap();
    }
}

fn names(tree: &Tree) -> Vec<String> {
    tree.iter().map(|(path, _)| path.to_string()).collect()
}

fn found(bytes: &[u8], exec: bool) -> Found {
    let (id, size) = (BlobId(crate::hash::Digest::of(bytes)), bytes.len() as u64);
    Found::File { id, size, exec }
}

/// Remembers what it was told.
#[derive(Default)]
struct Told(Mutex<BTreeMap<&'static str, (u64, u64)>>);

impl Progress for Told {
    fn event(&self, event: Event<'_>) {
        let (name, files, bytes) = match event {
            Event::Started {
                work: Work::Hash,
                files,
                bytes,
            } => ("started", files, bytes),
            Event::Advanced { files, bytes } => ("advanced", files, bytes),
            Event::Finished => ("finished", 1, 0),
            _ => ("other", 1, 0),
        };
        let mut told = self.0.lock().unwrap();
        let sum = told.entry(name).or_default();
        *sum = (sum.0 + files, sum.1 + bytes);
    }
}

#[test]
fn files_directories_and_nothing_are_found() {
    let mut sandbox = Sandbox::new();
    for name in ["d/b", "d/a/x", "d/a-b", "d/.hidden"] {
        sandbox.write(name, name);
    }
    fs::set_executable(&sandbox.at("d/b"), true).unwrap();
    sandbox.dir("d/empty/deep");
    sandbox.link("d/a/up", "../b");
    let actual = sandbox.scan("d", Rules::Data).unwrap();
    let actual = sandbox.tree("d", &actual);
    let Found::File { id, size, .. } = found(b"d/b", true) else {
        panic!("no file")
    };
    let expected = tree(&[
        (".hidden", file("d/.hidden")),
        ("a/up", link_to("../b")),
        ("a/x", file("d/a/x")),
        ("a-b", file("d/a-b")),
        (
            "b",
            Entry::File {
                id,
                size,
                exec: true,
            },
        ),
        ("empty/deep", Entry::EmptyDir),
    ]);
    assert_eq!(actual, expected);
    assert_eq!(
        sandbox.scan("d/b", Rules::Data).unwrap(),
        found(b"d/b", true)
    );
    for missing in ["none", "none/x", "d/b/x"] {
        assert_eq!(sandbox.scan(missing, Rules::Data).unwrap(), Found::Missing);
    }
    assert!(sandbox.data("d/empty/deep").is_empty());
}

#[test]
fn what_never_counts_is_not_found() {
    let mut sandbox = Sandbox::new();
    let never = [
        "d/.git/config",
        "d/sub/esker.toml",
        "d/sub/x",
        "d/.esker-tmp-1-2",
        "d/m/.git",
    ];
    for name in never {
        sandbox.write(name, name);
    }
    sandbox.dir("d/.esker-tmp-3-4/x");
    sandbox.write("d/x", "x");
    assert_eq!(sandbox.data("d"), ["x"]);
    for nested in ["d/sub", "d/sub/x", "d/sub/none/y"] {
        let result = sandbox.scan(nested, Rules::Data);
        match result {
            Ok(found) => assert_eq!(found, Found::Missing, "{nested}"),
            Err(Error::Nested(at)) => assert_eq!(at, rel("d/sub")),
            Err(error) => panic!("{error}"),
        }
    }
    assert!(matches!(
        sandbox.scan("d/sub", Rules::Data),
        Err(Error::Nested(_))
    ));
}

#[test]
fn data_obeys_esker_rules_and_no_others() {
    let mut sandbox = Sandbox::new();
    for name in [
        "d/x.log",
        "d/x.tmp",
        "d/keep.tmp",
        "d/deep/y.tmp",
        "d/deep/z",
        "d/cache/w",
    ] {
        sandbox.write(name, name);
    }
    sandbox.write(".gitignore", "*.log\n/d\n");
    sandbox.write(".eskerignore", "*.tmp\ncache/\n");
    sandbox.write("d/deep/.eskerignore", "!y.tmp\nz\n");
    fs::replace(&sandbox.repo().join(".eskerignore"), b"*.log\n").unwrap();
    assert_eq!(
        sandbox.data("d"),
        ["deep/.eskerignore", "deep/y.tmp", "x.log"]
    );
    // A path that is named is meant, whatever its name.
    assert_eq!(sandbox.data("d/cache"), ["w"]);
    assert!(matches!(
        sandbox.scan("d/x.tmp", Rules::Data),
        Ok(Found::File { .. })
    ));
}

#[test]
fn dependencies_obey_git_from_the_top_of_the_repository() {
    let mut sandbox = Sandbox::new();
    let repo = sandbox.repo();
    fs::replace(&repo.join(".git/info/exclude"), b"secret\n").unwrap();
    fs::replace(&repo.join(".gitignore"), b"*.pyc\n/project/src/gen\n").unwrap();
    sandbox.write(".gitignore", "/src/out\n*.log\n");
    sandbox.write(".eskerignore", "*.md\n");
    sandbox.write("src/deep/.gitignore", "!kept.log\n");
    let counted = ["src/a.py", "src/deep/kept.log"];
    let ignored = [
        "src/a.pyc",
        "src/gen/x",
        "src/out/x",
        "src/b.log",
        "src/secret",
        "src/r.md",
    ];
    for name in counted.iter().chain(&ignored) {
        sandbox.write(name, name);
    }
    sandbox.dir("src/empty");
    let expected = ["a.py", "deep/.gitignore", "deep/kept.log"];
    assert_eq!(sandbox.names("src", &[]), expected);
    // A single file is meant, whatever the rules say.
    assert_eq!(
        sandbox.dep("src/b.log", &[]).unwrap(),
        found(b"src/b.log", false)
    );
}

#[test]
fn a_worktree_has_the_excludes_of_its_clone() {
    let mut sandbox = Sandbox::new();
    let repo = sandbox.repo();
    fs::replace(&repo.join(".git"), b"gitdir: ../main/worktrees/w\n").unwrap();
    let git_dir = repo.join("../main/worktrees/w");
    fs::replace(&git_dir.join("commondir"), b"../..\n").unwrap();
    fs::replace(&repo.join("../main/info/exclude"), b"*.log\n").unwrap();
    sandbox.write("src/x.log", "");
    sandbox.write("src/x.py", "");
    assert_eq!(sandbox.names("src", &[]), ["x.py"]);
}

#[test]
fn tracked_paths_count_wherever_git_ignores_them() {
    let mut sandbox = Sandbox::new();
    sandbox.write(".gitignore", "/data\n/src/out\n*.bin\n");
    sandbox.write(".eskerignore", "*.tmp\n");
    let files = [
        "data/raw/x.bin",
        "data/raw/x.tmp",
        "data/other/y",
        "data/loose",
        "data/m.bin",
        "src/a.py",
        "src/b.bin",
    ];
    for name in files {
        sandbox.write(name, name);
    }
    sandbox.write("src/out/deep/model.tmp", "");
    sandbox.write("src/out/deep/other", "");
    let tracked = ["data/raw", "data/m.bin", "src/out/deep/model.tmp"];
    assert_eq!(sandbox.names("src", &[]), ["a.py"]);
    assert_eq!(
        sandbox.names("src", &tracked),
        ["a.py", "out/deep/model.tmp"]
    );
    // Nothing around `data` is ignored from the inside, but what is tracked is read by data rules.
    assert_eq!(
        sandbox.names("data", &tracked),
        ["loose", "m.bin", "other/y", "raw/x.bin"]
    );
    assert_eq!(sandbox.names("data/raw", &tracked), ["x.bin"]);
    assert_eq!(sandbox.names("data/raw", &["data"]), ["x.bin"]);
    assert!(sandbox.names("data/raw", &[]).is_empty());
}

#[test]
fn links_stay_inside_or_are_refused() {
    let cases = [
        ("d/sub/l", "../x", true),
        ("d/sub/l", "none", true),
        ("d/sub/l", "../../d/x", false),
        ("d/l", "/etc/passwd", false),
        ("d/l", "../elsewhere", false),
    ];
    for (name, target, is_good) in cases {
        let mut sandbox = Sandbox::new();
        sandbox.write("d/sub/x", "x");
        sandbox.link(name, target);
        match sandbox.scan("d", Rules::Data) {
            Ok(found) => {
                let n_found = sandbox.tree("d", &found).iter().count();
                assert!(is_good && n_found == 2, "{name} -> {target}");
            }
            Err(Error::LinkOutside { path, target: at }) => {
                assert!(!is_good, "{name} -> {target}");
                assert_eq!((path, &*at), (rel(name), target));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_link_in_the_place_of_a_file_is_followed_inside_the_project() {
    let mut sandbox = Sandbox::new();
    sandbox.write("d/x", "content");
    sandbox.write("../outside", "content");
    sandbox.link("file", "d/x");
    sandbox.link("out", "../outside");
    sandbox.link("dir", "d");
    sandbox.link("broken", "none");
    sandbox.link("loop", "loop");
    sandbox.link("beyond", "..");
    assert_eq!(
        sandbox.scan("file", Rules::Data).unwrap(),
        found(b"content", false)
    );
    assert_eq!(
        sandbox.scan("dir/x", Rules::Data).unwrap(),
        found(b"content", false)
    );
    for name in ["out", "beyond/outside"] {
        let result = sandbox.scan(name, Rules::Data);
        assert!(
            matches!(result, Err(Error::LinkOutside { .. })),
            "{name}: {result:?}"
        );
    }
    for name in ["dir", "broken", "loop"] {
        let result = sandbox.scan(name, Rules::Data);
        assert!(
            matches!(result, Err(Error::LinkNotFile { .. })),
            "{name}: {result:?}"
        );
    }
}

#[test]
fn what_is_neither_file_nor_directory_is_named() {
    let mut sandbox = Sandbox::new();
    sandbox.write("d/x", "x");
    let _socket = std::os::unix::net::UnixListener::bind(sandbox.at("d/s")).unwrap();
    for name in ["d", "d/s"] {
        let error = sandbox.scan(name, Rules::Data).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`d/s` is a socket, which cannot be tracked"
        );
    }
    sandbox.write("d/.eskerignore", "s\n");
    assert_eq!(sandbox.data("d"), [".eskerignore", "x"]);
}

#[test]
fn names_no_tree_can_hold_are_errors_unless_ignored() {
    let mut sandbox = Sandbox::new();
    sandbox.dir("d");
    let name = std::ffi::OsStr::from_bytes(b"b\xffd");
    fs::write_new(&sandbox.at("d").join(name), b"").unwrap();
    let error = sandbox.scan("d", Rules::Data).unwrap_err();
    assert!(
        matches!(error, Error::Path(path::Error::NotUtf8(_))),
        "{error}"
    );
    sandbox.write("d/.eskerignore", "b*d\n");
    assert_eq!(sandbox.data("d"), [".eskerignore"]);
    sandbox.write("d/GIT~1", "");
    let error = sandbox.scan("d", Rules::Data).unwrap_err();
    assert!(
        matches!(error, Error::Path(path::Error::Reserved(_))),
        "{error}"
    );
}

#[test]
fn dependencies_beside_the_project_are_plain_files_of_the_repository() {
    let mut sandbox = Sandbox::new();
    fs::create_dir_all(&sandbox.repo().join(".git")).unwrap();
    sandbox.write("../lib/x.py", "code");
    sandbox.write("../../far", "far");
    sandbox.link("../lib/out", "../../far");
    sandbox.link("../lib/in", "x.py");
    for name in ["../lib/x.py", "../lib/in"] {
        assert_eq!(sandbox.dep(name, &[]).unwrap(), found(b"code", false));
    }
    assert_eq!(sandbox.dep("../lib/none", &[]).unwrap(), Found::Missing);
    for name in ["../lib", "../../far", "../lib/out"] {
        let result = sandbox.dep(name, &[]);
        assert!(
            matches!(result, Err(Error::DepNotFile(_))),
            "{name}: {result:?}"
        );
    }
}

#[test]
fn with_a_store_every_file_ends_up_there() {
    let mut sandbox = Sandbox::new();
    let root = sandbox.root();
    for number in 0..20 {
        sandbox.write(&format!("d/{number}"), format!("{}", number % 7));
    }
    // The index learns all ids without storing anything, so that all are hits afterwards.
    let first = sandbox.scan("d", Rules::Data).unwrap();
    let stats: Vec<Metadata> = (0..20)
        .map(|number| {
            fs::metadata(&sandbox.at(&format!("d/{number}")))
                .unwrap()
                .unwrap()
        })
        .collect();
    sandbox.index.wait_out(stats.iter());
    for (number, stat) in stats.iter().enumerate() {
        let Entry::File { id, .. } = file(format!("{}", number % 7)) else {
            panic!("no file")
        };
        sandbox.index.record(&format!("d/{number}"), stat, id);
        assert_eq!(sandbox.index.lookup(&format!("d/{number}"), stat), Some(id));
    }
    let second = sandbox
        .scanner(&root, true)
        .scan(&rel("d"), Rules::Data)
        .unwrap();
    assert_eq!(first, second);
    let tree = sandbox.tree("d", &second);
    for (_, entry) in tree.iter() {
        let Entry::File { id, .. } = entry else {
            panic!("no file")
        };
        assert!(sandbox.store.has(*id));
    }
}

#[test]
fn only_what_is_read_is_told_of() {
    let mut sandbox = Sandbox::new();
    let root = sandbox.root();
    sandbox.write("d/one", "1");
    sandbox.write("d/two", "22");
    let stats = ["d/one", "d/two"].map(|name| fs::metadata(&sandbox.at(name)).unwrap().unwrap());
    sandbox.index.wait_out(stats.iter());
    for expected in [Some((2, 3)), None] {
        let told = Told::default();
        let mut scanner = Scanner {
            progress: &told,
            ..sandbox.scanner(&root, false)
        };
        scanner.scan(&rel("d"), Rules::Data).unwrap();
        let told = told.0.into_inner().unwrap();
        assert_eq!(told.get("started").copied(), expected);
        assert_eq!(told.get("advanced").copied(), expected);
        assert_eq!(told.contains_key("finished"), expected.is_some());
    }
    // A file that is gone is forgotten.
    fs::remove_file(&sandbox.at("d/one")).unwrap();
    sandbox.scan("d", Rules::Data).unwrap();
    assert_eq!(sandbox.index.lookup("d/one", &stats[0]), None);
    assert!(sandbox.index.lookup("d/two", &stats[1]).is_some());
}

#[test]
fn large_files_are_hashed_as_small_ones_are() {
    let mut sandbox = Sandbox::new();
    let length = usize::try_from(read::LARGE).unwrap() + 5;
    let bytes: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
    sandbox.write("d/large", &bytes);
    sandbox.write("d/small", "s");
    let expected = tree(&[("large", file(&bytes)), ("small", file("s"))]);
    assert_eq!(
        sandbox.scan("d", Rules::Data).unwrap(),
        Found::Dir(expected.into())
    );
    // So many bytes were worth the wait until they can be remembered.
    let stat = fs::metadata(&sandbox.at("d/large")).unwrap().unwrap();
    assert!(sandbox.index.lookup("d/large", &stat).is_some());
}

#[test]
fn a_wish_to_stop_stops_the_scan() {
    let mut sandbox = Sandbox::new();
    sandbox.write("d/x", "x");
    sandbox.interrupt.request();
    for name in ["d", "d/x"] {
        let result = sandbox.scan(name, Rules::Data);
        assert!(matches!(result, Err(Error::Interrupted)), "{result:?}");
    }
    let root = sandbox.root();
    let mut index = Index::default();
    let mut scanner = Scanner {
        root: &root,
        index: &mut index,
        store: &sandbox.store,
        keeps: true,
        passed: None,
        progress: &Silent,
        interrupt: &sandbox.interrupt,
    };
    assert!(matches!(
        scanner.scan(&rel("d/x"), Rules::Data),
        Err(Error::Interrupted)
    ));
    assert!(sandbox.store.list().unwrap().is_empty());
}

/// Asks to stop when so many pieces of files were told of.
struct StopAfter<'a> {
    interrupt: &'a Interrupt,
    left: Mutex<u64>,
    bytes: Mutex<u64>,
}

impl Progress for StopAfter<'_> {
    fn event(&self, event: Event<'_>) {
        if let Event::Advanced { files: 0, bytes } = event {
            *self.bytes.lock().unwrap() += bytes;
            let mut left = self.left.lock().unwrap();
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.interrupt.request();
            }
        }
    }
}

#[test]
fn a_large_file_is_told_of_in_pieces_and_stopped_between_them() {
    let mut sandbox = Sandbox::new();
    let root = sandbox.root();
    let size = read::LARGE + 5;
    sandbox.write("d/large", vec![7; usize::try_from(size).unwrap()]);
    for keeps in [true, false] {
        let interrupt = Interrupt::new();
        let stop = StopAfter {
            interrupt: &interrupt,
            left: Mutex::new(3),
            bytes: Mutex::new(0),
        };
        let mut scanner = Scanner {
            progress: &stop,
            interrupt: &interrupt,
            ..sandbox.scanner(&root, keeps)
        };
        let stopped = scanner.scan(&rel("d"), Rules::Data);
        assert!(matches!(stopped, Err(Error::Interrupted)), "{stopped:?}");
        let read = *stop.bytes.lock().unwrap();
        assert!(read > 0 && read < size, "{read}");
        assert!(sandbox.store.list().unwrap().is_empty());

        let told = Told::default();
        let mut scanner = Scanner {
            progress: &told,
            ..sandbox.scanner(&root, keeps)
        };
        scanner.scan(&rel("d"), Rules::Data).unwrap();
        let told = told.0.into_inner().unwrap();
        assert_eq!(told["advanced"], (1, size));
        sandbox.index.forget("d");
        let id = BlobId(crate::hash::Digest::of(&vec![
            7;
            usize::try_from(size).unwrap()
        ]));
        sandbox.store.remove(&[id.into()].into()).unwrap();
    }
}

/// Every file as old as the file system's clock lets it be known.
fn settle(sandbox: &mut Sandbox, names: &[&str]) {
    let stats = names.iter().map(|name| fs::metadata(&sandbox.at(name)));
    let stats: Vec<Metadata> = stats.map(|stat| stat.unwrap().unwrap()).collect();
    sandbox.index.wait_out(stats.iter());
}

/// A change of what lies in `d`, in words.
type Edit = (&'static str, fn(&Sandbox));

const FILE_EDITS: [Edit; 8] = [
    ("nothing", |_| {}),
    ("a new file", |sandbox| sandbox.write("d/new", "new")),
    ("another content", |sandbox| sandbox.write("d/a", "A")),
    ("a file less", |sandbox| {
        fs::remove_file(&sandbox.at("d/b/x")).unwrap();
    }),
    ("a file becomes executable", |sandbox| {
        fs::set_executable(&sandbox.at("d/b/y"), true).unwrap();
    }),
    ("a link leads elsewhere", |sandbox| {
        fs::remove_file(&sandbox.at("d/link")).unwrap();
        sandbox.link("d/link", "b/y");
    }),
    ("a link less", |sandbox| {
        fs::remove_file(&sandbox.at("d/link")).unwrap();
    }),
    ("a file where a link was", |sandbox| {
        sandbox.write("d/link", "file");
    }),
];

const DIRECTORY_EDITS: [Edit; 7] = [
    ("a directory less", |sandbox| {
        fs::remove_dir_all(&sandbox.at("d/e")).unwrap();
    }),
    ("a file where a directory was", |sandbox| {
        fs::remove_dir_all(&sandbox.at("d/b")).unwrap();
        sandbox.write("d/b", "file");
    }),
    ("a directory where a file was", |sandbox| {
        fs::remove_file(&sandbox.at("d/b")).unwrap();
        sandbox.write("d/b/x", "x");
    }),
    ("an empty directory more", |sandbox| sandbox.dir("d/void")),
    ("empty directories less", |sandbox| {
        fs::remove_dir_all(&sandbox.at("d/none")).unwrap();
        fs::remove_dir_all(&sandbox.at("d/void")).unwrap();
    }),
    ("a rule for files", |sandbox| {
        sandbox.write("d/.eskerignore", "*.tmp\n");
    }),
    ("a project of its own", |sandbox| {
        sandbox.write("d/b/esker.toml", "");
    }),
];

#[test]
fn a_sealed_directory_is_found_as_it_is_whatever_changes() {
    let mut sandbox = Sandbox::new();
    let files = ["d/a", "d/b-c", "d/b/x", "d/b/y", "d/e/f/z", "d/x.tmp"];
    for name in files {
        sandbox.write(name, name);
    }
    sandbox.dir("d/none");
    sandbox.link("d/link", "b/x");
    settle(&mut sandbox, &files);
    for (what, edit) in FILE_EDITS.into_iter().chain(DIRECTORY_EDITS) {
        edit(&sandbox);
        sandbox.index.restamp();
        let found = sandbox.scan("d", Rules::Data).unwrap();
        let mut blank = Index::default();
        let root = sandbox.root();
        let mut scanner = Scanner {
            index: &mut blank,
            ..sandbox.scanner(&root, false)
        };
        let anew = scanner.scan(&rel("d"), Rules::Data).unwrap();
        assert_eq!(found, anew, "{what}");
        let Found::Dir(dir) = &anew else {
            panic!("no directory")
        };
        let expected = scanner.tree(&rel("d"), dir).unwrap();
        assert_eq!(sandbox.tree("d", &found), expected, "{what}");
    }
}

#[test]
fn a_directory_that_is_as_it_was_needs_no_tree() {
    let mut sandbox = Sandbox::new();
    let root = sandbox.root();
    let names: Vec<String> = (0..300).map(|number| format!("d/{number}")).collect();
    names.iter().for_each(|name| sandbox.write(name, name));
    settle(
        &mut sandbox,
        &names.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    let mut scanner = sandbox.scanner(&root, true);
    let Found::Dir(first) = scanner.scan(&rel("d"), Rules::Data).unwrap() else {
        panic!("no directory")
    };
    scanner.write_tree(&rel("d"), &first).unwrap();
    assert_eq!(scanner.index.sealed("d"), Some(first.summary));
    let tree = scanner.tree(&rel("d"), &first).unwrap();
    assert_eq!(tree.summary(), first.summary);
    assert_eq!(
        crate::workspace::read_tree(&sandbox.store, tree.id()).unwrap(),
        tree
    );

    // One more file is worked into the tree that the store has.
    sandbox.write("d/new", "new");
    settle(&mut sandbox, &["d/new"]);
    let mut scanner = sandbox.scanner(&root, true);
    let Found::Dir(second) = scanner.scan(&rel("d"), Rules::Data).unwrap() else {
        panic!("no directory")
    };
    assert!(!second.nodes.is_empty() && second.tree.is_none());
    assert_eq!(second.summary.files, 301);
    scanner.write_tree(&rel("d"), &second).unwrap();
    let read = crate::workspace::read_tree(&sandbox.store, second.summary.root).unwrap();
    assert_eq!(read, sandbox.tree("d", &Found::Dir(second)));
}

#[test]
fn a_tree_whose_nodes_the_store_lost_is_written_again() {
    let mut sandbox = Sandbox::new();
    let root = sandbox.root();
    sandbox.write("d/x", "x");
    settle(&mut sandbox, &["d/x"]);
    for _ in 0..2 {
        // The second time nothing changed, and the node is gone.
        let mut scanner = sandbox.scanner(&root, true);
        let Found::Dir(found) = scanner.scan(&rel("d"), Rules::Data).unwrap() else {
            panic!("no directory")
        };
        scanner.write_tree(&rel("d"), &found).unwrap();
        assert!(sandbox.store.has(found.summary.root));
        let other = crate::hash::Digest::of(b"");
        let _ = sandbox.store.quarantine(found.summary.root.into(), other);
        assert!(!sandbox.store.has(found.summary.root));
    }
}

#[test]
fn a_directory_that_was_passed_is_not_looked_at_again() {
    let mut sandbox = Sandbox::new();
    let root = sandbox.root();
    for name in ["d/e/x", "d/e/y", "d/esker.toml.not"] {
        sandbox.write(name, b"1");
    }
    let mut passed = Passed::default();
    let mut scan = |name: &str, passed: &mut Passed| {
        let mut scanner = Scanner {
            passed: Some(passed),
            ..sandbox.scanner(&root, false)
        };
        scanner.scan(&rel(name), Rules::Data)
    };
    assert!(scan("d/e/x", &mut passed).is_ok());
    fs::write_new(&root.join("d/esker.toml"), b"").unwrap();
    assert!(scan("d/e/y", &mut passed).is_ok());
    passed.clear();
    assert!(matches!(scan("d/e/y", &mut passed), Err(Error::Nested(_))));
    // What was refused is not remembered.
    assert!(matches!(scan("d/e/y", &mut passed), Err(Error::Nested(_))));
}

#[test]
fn what_is_read_ahead_is_what_a_scan_finds() {
    let mut sandbox = Sandbox::new();
    let many: Vec<String> = (0..100).map(|number| format!("in/{number}")).collect();
    for name in &many {
        sandbox.write(name, name);
    }
    sandbox.dir("dir");
    sandbox.link("link", "in/1");
    sandbox.link("away", "/etc/passwd");
    let others = ["dir", "link", "away", "missing"];
    let paths = many.iter().map(String::as_str).chain(others);
    let deps: Vec<DepPath> = paths.map(|path| rel(path).into()).collect();
    let root = sandbox.root();
    let ahead = sandbox.scanner(&root, false).scan_ahead(deps.iter());
    assert_eq!(
        ahead.len(),
        many.len() + 1,
        "plain files, and a link to one"
    );
    for (path, found) in ahead {
        let path = path.inside().unwrap();
        assert_eq!(sandbox.scan(path.as_str(), Rules::Data).unwrap(), found);
    }
}
