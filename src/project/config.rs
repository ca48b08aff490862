//! Settings of this clone, this user and this machine, which never travel with git.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use toml_edit::{Array, Item, Table, TableLike, value};

use super::manifest::{self, RemoteKey, RemoteSpec, Setting};
use super::remotes::Origin;
use super::source::{Section, Source, Text, complaint, read_text};
use super::{Layout, Result};
use crate::fs::{Durability, LinkKind};

const SECTIONS: [&str; 5] = ["store", "core", "run_cache", "remote", "trust"];
const LATER_SECTIONS: [&str; 1] = ["hooks"];
const STORE: [&str; 5] = ["path", "links", "shared", "durability", "pack_below"];

/// Longer files gain nothing from a pack.
const MAX_PACK_BELOW: u64 = 1 << 20;
/// More threads than this is a slip of the keyboard.
const MAX_JOBS: i64 = 1024;

/// The file of the machine, unless `ESKER_SYSTEM_CONFIG` names another.
const SYSTEM_FILE: &str = "/etc/esker/config.toml";

/// Settings after precedence: environment, then the clone's, the user's and the machine's file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// `[store] path` or `ESKER_STORE`: where objects lie, if not in git's directory.
    pub store: Option<PathBuf>,
    /// `[store] links`: how files of the workspace share bytes with the store, in the order in
    /// which that is tried.
    pub links: Option<Vec<LinkKind>>,
    /// `[store] shared = "group"`: whether the store is made for all users of a group.
    pub shared: bool,
    /// `[store] durability`.
    pub durability: Option<Durability>,
    /// `[store] pack_below`, in bytes.
    pub pack_below: Option<u64>,
    /// `[core] jobs` or `ESKER_JOBS`.
    pub jobs: Option<usize>,
    /// `ESKER_JOBS` alone, which goes before what is said of a remote.
    pub jobs_asked: Option<usize>,
    /// `[core] remote` or `ESKER_REMOTE`: the default remote in this clone.
    pub remote: Option<String>,
    /// `[trust] endpoints` of all files: places that keys may be shown to although a file that git
    /// carries names them.
    pub trusted: BTreeSet<String>,
    /// `[run_cache] remote`: whether results of stages are shared by push and pull.
    pub share_results: Option<bool>,
    /// `[core] remote` of the user's or the machine's file: what `esker.toml` says goes before it.
    pub user_remote: Option<String>,
    /// `[remote.NAME]` of each file: whole remotes, and single keys of those that others name.
    pub remotes: BTreeMap<Origin, BTreeMap<String, RemoteSpec>>,
}

impl Config {
    /// Reads `<layout.shared>/config.toml`, then `$XDG_CONFIG_HOME/esker/config.toml` (else
    /// `~/.config/…`), then `/etc/esker/config.toml`, and the environment (through `var`, so that
    /// tests need no process state).
    pub fn load(layout: &Layout, var: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        // An empty variable is an unset one, as the shell's `ESKER_STORE= esker …` means it.
        let var = |name: &str| var(name).filter(|value| !value.is_empty());
        let home = var("HOME").map(PathBuf::from);
        let environment = from_environment(&var, home.as_deref())?;
        let read = |path: &Path, origin| from_file(path, home.as_deref(), origin);
        let clone = read(&layout.config(), Origin::Local)?;
        let user = match user_file(&var, home.as_deref()) {
            Some(path) => read(&path, Origin::User)?,
            None => Self::default(),
        };
        let system = read(&system_file(&var), Origin::System)?;
        let files = [&clone, &user, &system].into_iter();
        let remotes = files.flat_map(|file| file.remotes.clone()).collect();
        let outer = Self {
            user_remote: user.remote.or(system.remote),
            store: user.store.or(system.store),
            links: user.links.or(system.links),
            shared: user.shared || system.shared,
            durability: user.durability.or(system.durability),
            pack_below: user.pack_below.or(system.pack_below),
            jobs: user.jobs.or(system.jobs),
            share_results: user.share_results.or(system.share_results),
            trusted: user.trusted.into_iter().chain(system.trusted).collect(),
            ..Self::default()
        };
        Ok(Self {
            store: environment.store.or(clone.store).or(outer.store),
            links: clone.links.or(outer.links),
            shared: clone.shared || outer.shared,
            durability: clone.durability.or(outer.durability),
            pack_below: clone.pack_below.or(outer.pack_below),
            jobs: environment.jobs.or(clone.jobs).or(outer.jobs),
            jobs_asked: environment.jobs,
            remote: environment.remote.or(clone.remote),
            share_results: clone.share_results.or(outer.share_results),
            trusted: clone.trusted.into_iter().chain(outer.trusted).collect(),
            user_remote: outer.user_remote,
            remotes,
        })
    }

    /// The config file of a clone or a user, as far as there is a place for it.
    pub fn file(
        layout: &Layout,
        var: &dyn Fn(&str) -> Option<String>,
        origin: Origin,
    ) -> Option<PathBuf> {
        let var = |name: &str| var(name).filter(|value| !value.is_empty());
        match origin {
            Origin::Local => Some(layout.config()),
            Origin::User => user_file(&var, var("HOME").map(PathBuf::from).as_deref()),
            Origin::System => Some(system_file(&var)),
            Origin::Project => None,
        }
    }

    /// Refuses a text that is no config.
    pub fn check(file: &str, text: &str) -> Result<()> {
        // Whose home it is makes no difference to whether it can be read.
        parse(file, text, Some(Path::new("/")), Origin::Local).map(drop)
    }

    /// The remotes of a text.
    #[cfg(test)]
    pub(super) fn remotes_of(
        text: &str,
        origin: Origin,
    ) -> BTreeMap<Origin, BTreeMap<String, RemoteSpec>> {
        parse("config.toml", text, None, origin).unwrap().remotes
    }

    /// The text of a config file with one more place in `[trust] endpoints`; comments stay.
    pub fn with_trusted(text: &str, endpoint: &str) -> Result<String> {
        edited(text, "trust", |section| {
            let list = section.entry("endpoints").or_insert(value(Array::new()));
            if let Some(list) = list.as_array_mut() {
                list.push(endpoint);
            }
        })
    }

    /// The text of a config file in which `[core] remote` has another name, if it was `old`.
    pub fn with_renamed_remote(text: &str, old: &str, new: &str) -> Result<String> {
        edited(text, "core", |section| {
            if section.get("remote").and_then(Item::as_str) == Some(old) {
                section.insert("remote", value(new));
            }
        })
    }
}

/// Changes a section of a text, which the new text must still be a config file after.
fn edited(text: &str, section: &str, change: impl FnOnce(&mut dyn TableLike)) -> Result<String> {
    const FILE: &str = "config.toml";
    let source = Source::new(FILE, text);
    let mut document = source.parse()?.into_mut();
    let was_there = document.contains_key(section);
    let item = document.entry(section).or_insert(Item::Table(Table::new()));
    if let Some(table) = item.as_table_like_mut() {
        change(table);
        if table.is_empty() && !was_there {
            document.remove(section);
        }
    }
    let new = document.to_string();
    Config::check(FILE, &new)?;
    Ok(new)
}

fn user_file(var: &dyn Fn(&str) -> Option<String>, home: Option<&Path>) -> Option<PathBuf> {
    // The XDG specification: a relative path there is to be ignored.
    let base = var("XDG_CONFIG_HOME").map(PathBuf::from);
    let base = base.filter(|path| path.is_absolute());
    let base = base.or_else(|| home.map(|home| home.join(".config")));
    base.map(|base| base.join("esker/config.toml"))
}

fn system_file(var: &dyn Fn(&str) -> Option<String>) -> PathBuf {
    PathBuf::from(var("ESKER_SYSTEM_CONFIG").unwrap_or_else(|| SYSTEM_FILE.to_owned()))
}

fn from_environment(var: &dyn Fn(&str) -> Option<String>, home: Option<&Path>) -> Result<Config> {
    let refuse = |name: &str, want: &str| {
        let message = format!("`{name}` must be {want}");
        Err(complaint(name, &message, None))
    };
    let mut config = Config {
        remote: var("ESKER_REMOTE"),
        ..Config::default()
    };
    if let Some(text) = var("ESKER_STORE") {
        config.store = directory(&text, home);
        if config.store.is_none() {
            return refuse("ESKER_STORE", "an absolute path");
        }
    }
    if let Some(text) = var("ESKER_JOBS") {
        let jobs = text
            .parse()
            .ok()
            .filter(|jobs| (1..=MAX_JOBS).contains(jobs));
        config.jobs = jobs.and_then(|jobs| usize::try_from(jobs).ok());
        if config.jobs.is_none() {
            return refuse(
                "ESKER_JOBS",
                &format!("a whole number from 1 to {MAX_JOBS}"),
            );
        }
    }
    Ok(config)
}

fn from_file(path: &Path, home: Option<&Path>, origin: Origin) -> Result<Config> {
    let file = path.display().to_string();
    match read_text(&file, path)? {
        Some(text) => parse(&file, &text, home, origin),
        None => Ok(Config::default()),
    }
}

fn parse(file: &str, text: &str, home: Option<&Path>, origin: Origin) -> Result<Config> {
    let source = Source::new(file, text);
    let document = source.read()?;
    let root = Section::root(&source, &document);
    root.only(&SECTIONS, &LATER_SECTIONS)?;
    let mut config = Config::default();
    if let Some(section) = root.section("store")? {
        section.only(&STORE, &[])?;
        let path = section.text("path")?;
        config.store = path.map(|path| store(&path, home)).transpose()?;
        let text = section.text("durability")?;
        config.durability = text.map(|text| durability(&text)).transpose()?;
        let text = section.text("pack_below")?;
        config.pack_below = text.map(|text| pack_below(&text)).transpose()?;
        let texts = section.texts("links")?;
        config.links = texts.map(|texts| links(&texts)).transpose()?;
        config.shared = match section.text("shared")? {
            Some(text) if text.text != "group" => {
                return Err(text.error("`store.shared` must be `group`"));
            }
            text => text.is_some(),
        };
    }
    if let Some(section) = root.section("remote")? {
        let mut remotes = manifest::remotes(&section)?;
        for remote in remotes.values_mut() {
            at_home(remote, home);
        }
        config.remotes.insert(origin, remotes);
    }
    if let Some(section) = root.section("trust")? {
        section.only(&["endpoints"], &[])?;
        let endpoints = section.texts("endpoints")?.unwrap_or_default();
        config.trusted = endpoints.iter().map(|text| text.text.to_owned()).collect();
    }
    if let Some(section) = root.section("run_cache")? {
        section.only(&["remote"], &[])?;
        config.share_results = Some(section.flag("remote", false)?);
    }
    if let Some(section) = root.section("core")? {
        section.only(&["jobs", "remote"], &[])?;
        let jobs = section.number("jobs", 1..MAX_JOBS + 1)?;
        config.jobs = jobs.and_then(|jobs| usize::try_from(jobs).ok());
        config.remote = section.text("remote")?.map(|text| text.text.to_owned());
    }
    Ok(config)
}

/// Puts the home directory in the place of `~/`.
fn at_home(remote: &mut RemoteSpec, home: Option<&Path>) {
    for key in [RemoteKey::Url, RemoteKey::CaBundle] {
        let text = remote.get(key).and_then(Setting::as_text);
        let below = text.filter(|text| text.starts_with("~/"));
        let path = below.and_then(|text| directory(text, home));
        if let Some(path) = path {
            remote.set(key, Some(Setting::Text(path.display().to_string())));
        }
    }
}

fn store(text: &Text<'_>, home: Option<&Path>) -> Result<PathBuf> {
    let path = directory(text.text, home);
    path.ok_or_else(|| text.error("`store.path` must be absolute or begin with `~/`"))
}

fn durability(text: &Text<'_>) -> Result<Durability> {
    match text.text {
        "full" => Ok(Durability::Full),
        "batch" => Ok(Durability::Batch),
        "none" => Ok(Durability::None),
        _ => Err(text.error("`store.durability` must be `full`, `batch` or `none`")),
    }
}

/// A whole number of `B`, `KiB` or `MiB`, up to 1 MiB.
fn pack_below(text: &Text<'_>) -> Result<u64> {
    let number = text
        .text
        .trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let scale = match &text.text[number.len()..] {
        "B" => Some(1),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        _ => None,
    };
    let number: Option<u64> = number.trim_end().parse().ok();
    let bytes = number.zip(scale);
    let bytes = bytes.and_then(|(number, scale)| number.checked_mul(scale));
    bytes
        .filter(|bytes| *bytes <= MAX_PACK_BELOW)
        .ok_or_else(|| {
            text.error("`store.pack_below` must be a size from `0 B` to `1 MiB`, like `32 KiB`")
        })
}

fn links(texts: &[Text<'_>]) -> Result<Vec<LinkKind>> {
    let link = |text: &Text<'_>| {
        let kind = text.text.parse();
        let kinds = "`store.links` knows `reflink`, `copy`, `hardlink` and `symlink`";
        kind.map_err(|()| text.error(kinds))
    };
    texts.iter().map(link).collect()
}

/// An absolute path, or one below the home directory. A relative one would mean another place
/// in every directory that esker is called from.
fn directory(text: &str, home: Option<&Path>) -> Option<PathBuf> {
    let path = match text.strip_prefix("~/") {
        Some(below) => home?.join(below.trim_start_matches('/')),
        None => PathBuf::from(text),
    };
    (path.is_absolute() && !text.contains('\0')).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::Error;
    use std::collections::BTreeMap;

    struct Scene {
        dir: tempfile::TempDir,
        layout: Layout,
        variables: BTreeMap<&'static str, String>,
    }

    impl Scene {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let shared = dir.path().join("shared");
            let layout = Layout {
                root: dir.path().to_owned(),
                workdir: dir.path().to_owned(),
                local: shared.join("id"),
                shared,
            };
            let home = dir.path().to_str().unwrap().to_owned();
            Self {
                dir,
                layout,
                variables: BTreeMap::from([
                    ("ESKER_SYSTEM_CONFIG", format!("{home}/system.toml")),
                    ("HOME", home),
                ]),
            }
        }

        fn write(self, path: &str, text: &str) -> Self {
            crate::fs::replace(&self.dir.path().join(path), text.as_bytes()).unwrap();
            self
        }

        fn var(mut self, name: &'static str, value: &str) -> Self {
            self.variables.insert(name, value.to_owned());
            self
        }

        fn load(&self) -> Result<Config> {
            Config::load(&self.layout, &|name| self.variables.get(name).cloned())
        }
    }

    #[test]
    fn nothing_anywhere_is_nothing_set() {
        assert_eq!(Scene::new().load().unwrap(), Config::default());
    }

    #[test]
    fn the_environment_goes_before_the_clone_and_the_clone_before_the_user() {
        let scene = Scene::new().write(
            ".config/esker/config.toml",
            "[store]\npath = \"~/store\"\n[core]\njobs = 2\nremote = \"users\"\n",
        );
        let home = scene.dir.path().to_owned();
        let config = scene.load().unwrap();
        assert_eq!(config.store, Some(home.join("store")));
        assert_eq!((config.jobs, config.remote), (Some(2), None));
        assert_eq!(config.user_remote.as_deref(), Some("users"));

        let scene = scene.write(
            "shared/config.toml",
            "core.jobs = 3\ncore.remote = \"clones\"\nstore.path = \"/big/store\"\n",
        );
        let config = scene.load().unwrap();
        assert_eq!(config.store, Some(PathBuf::from("/big/store")));
        assert_eq!((config.jobs, config.jobs_asked), (Some(3), None));
        assert_eq!(config.remote.as_deref(), Some("clones"));

        let scene = scene
            .var("ESKER_STORE", "/env")
            .var("ESKER_JOBS", "4")
            .var("ESKER_REMOTE", "envs");
        let config = scene.load().unwrap();
        assert_eq!(config.store, Some(PathBuf::from("/env")));
        assert_eq!((config.jobs, config.jobs_asked), (Some(4), Some(4)));
        assert_eq!(config.remote.as_deref(), Some("envs"));

        let config = scene.var("ESKER_JOBS", "").load().unwrap();
        assert_eq!(config.jobs, Some(3), "an empty variable is not set");
    }

    #[test]
    fn how_a_store_is_kept_is_for_the_clone_and_then_the_user_to_say() {
        let user = ".config/esker/config.toml";
        let scene = Scene::new().write(user, "store.durability = \"none\"");
        assert_eq!(scene.load().unwrap().durability, Some(Durability::None));
        let scene = scene.write("shared/config.toml", "store.durability = \"full\"");
        assert_eq!(scene.load().unwrap().durability, Some(Durability::Full));
        let scene = scene.write("shared/config.toml", "store.durability = \"batch\"");
        assert_eq!(scene.load().unwrap().durability, Some(Durability::Batch));
        let scene = scene.write("shared/config.toml", "store.durability = \"some\"");
        let wrong = scene.load().unwrap_err().to_string();
        assert_eq!(
            wrong,
            "`store.durability` must be `full`, `batch` or `none`"
        );
    }

    #[test]
    fn sizes_have_units() {
        for (text, expected) in [
            ("0 B", Some(0)),
            ("100B", Some(100)),
            ("64 KiB", Some(64 << 10)),
            ("1 MiB", Some(1 << 20)),
            ("2 MiB", None),
            ("64", None),
            ("64 kB", None),
            ("-1 B", None),
            ("KiB", None),
            ("99999999999999 MiB", None),
        ] {
            let text = format!("store.pack_below = \"{text}\"");
            let loaded = Scene::new().write("shared/config.toml", &text).load();
            match expected {
                Some(bytes) => assert_eq!(loaded.unwrap().pack_below, Some(bytes), "{text}"),
                None => assert!(loaded.unwrap_err().to_string().contains("0 B"), "{text}"),
            }
        }
    }

    #[test]
    fn the_machine_comes_last_and_links_are_an_order() {
        let scene = Scene::new().write(
            "system.toml",
            "[store]\npath = \"/srv\"\nshared = \"group\"\nlinks = [\"symlink\", \"copy\"]\n[core]\nremote = \"machines\"\n",
        );
        let config = scene.load().unwrap();
        assert_eq!(config.store, Some(PathBuf::from("/srv")));
        assert_eq!(config.links, Some(vec![LinkKind::Symlink, LinkKind::Copy]));
        assert!(config.shared);
        assert_eq!(config.user_remote.as_deref(), Some("machines"));
        let scene = scene.write(
            ".config/esker/config.toml",
            "store.links = [\"hardlink\"]\ncore.remote = \"users\"",
        );
        let config = scene.load().unwrap();
        assert_eq!(config.links, Some(vec![LinkKind::Hardlink]));
        assert_eq!(config.user_remote.as_deref(), Some("users"));
        let config = scene.write("shared/config.toml", "store.links = []").load();
        assert_eq!(config.unwrap().links, Some(Vec::new()));
    }

    #[test]
    fn xdg_config_home_replaces_dot_config_only_if_absolute() {
        let scene = Scene::new()
            .write(".config/esker/config.toml", "core.jobs = 1")
            .write("xdg/esker/config.toml", "core.jobs = 2");
        let xdg = scene.dir.path().join("xdg");
        let scene = scene.var("XDG_CONFIG_HOME", xdg.to_str().unwrap());
        assert_eq!(scene.load().unwrap().jobs, Some(2));
        let scene = scene.var("XDG_CONFIG_HOME", "xdg");
        assert_eq!(scene.load().unwrap().jobs, Some(1));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_file_and_place() {
        let cases = [
            (
                "[stroe]\n",
                "unknown section `[stroe]`",
                (1, 2),
                Some("store"),
            ),
            (
                "[core]\njosb = 1",
                "unknown key `josb` in `[core]`",
                (2, 1),
                Some("jobs"),
            ),
            (
                "[hooks]\nfetch = true",
                "`[hooks]` is not in this version of esker",
                (1, 2),
                None,
            ),
            (
                "[core]\njobs = 0",
                "`jobs` must be a whole number from 1 to 1024",
                (2, 8),
                None,
            ),
            (
                "[core]\njobs = \"4\"",
                "`core.jobs` must be a whole number from 1 to 1024, not a string",
                (2, 8),
                None,
            ),
            (
                "[store]\npath = \"store\"",
                "`store.path` must be absolute or begin with `~/`",
                (2, 8),
                None,
            ),
        ];
        for (text, expected, place, word) in cases {
            refused(text, expected, place, word);
        }
    }

    #[test]
    fn a_wrong_store_is_named_with_its_place() {
        let links = "`store.links` knows `reflink`, `copy`, `hardlink` and `symlink`";
        let text = "[store]\nlinks = [\"copy\", \"hard\"]";
        refused(text, links, (2, 18), None);
        let shared = "`store.shared` must be `group`";
        refused("[store]\nshared = \"all\"", shared, (2, 10), None);
    }

    fn refused(text: &str, expected: &str, place: (usize, usize), word: Option<&str>) {
        let error = Scene::new().write("shared/config.toml", text).load();
        let Err(Error::Manifest {
            file,
            message,
            at: Some(at),
            suggestion,
        }) = error
        else {
            panic!("{text:?} gives {error:?}");
        };
        assert_eq!(message, expected);
        let at = at.excerpt();
        assert_eq!((at.line, at.column), place, "{text:?}");
        assert_eq!(suggestion.as_deref(), word, "{text:?}");
        assert!(file.ends_with("shared/config.toml") && at.file == file);
    }

    #[test]
    fn trust_comes_from_the_clone_and_from_the_user() {
        let scene = Scene::new()
            .write(
                ".config/esker/config.toml",
                "trust.endpoints = [\"ssh://nas\"]\n",
            )
            .write(
                "shared/config.toml",
                "[trust]\nendpoints = [\"http://a:1\"]\n",
            );
        let trusted: Vec<String> = scene.load().unwrap().trusted.into_iter().collect();
        assert_eq!(trusted, ["http://a:1", "ssh://nas"]);
    }

    #[test]
    fn an_edit_keeps_what_people_wrote() {
        let cases = [
            ("", "[trust]\nendpoints = [\"ssh://nas\"]\n"),
            (
                "# mine\ncore.jobs = 3 # few\n",
                "# mine\ncore.jobs = 3 # few\n\n[trust]\nendpoints = [\"ssh://nas\"]\n",
            ),
            (
                "[trust]\nendpoints = [\"a\"] # old\n",
                "[trust]\nendpoints = [\"a\", \"ssh://nas\"] # old\n",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(Config::with_trusted(text, "ssh://nas").unwrap(), expected);
        }
        let renamed = |text| Config::with_renamed_remote(text, "old", "new").unwrap();
        assert_eq!(
            renamed("core.remote = \"old\"\n"),
            "core.remote = \"new\"\n"
        );
        for text in ["", "core.remote = \"other\"\n", "# nothing\n"] {
            assert_eq!(renamed(text), text);
        }
        assert!(Config::with_trusted("[trsut]\n", "ssh://nas").is_err());
    }

    #[test]
    fn bad_variables_are_named() {
        for (name, value) in [
            ("ESKER_STORE", "relative"),
            ("ESKER_JOBS", "0"),
            ("ESKER_JOBS", "many"),
            ("ESKER_JOBS", "99999999999999999999"),
        ] {
            let error = Scene::new().var(name, value).load().unwrap_err();
            assert!(
                error.to_string().starts_with(&format!("`{name}` must be")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_file_that_is_not_text_is_refused_with_its_line() {
        let scene = Scene::new();
        let path = scene.dir.path().join("shared/config.toml");
        crate::fs::replace(&path, b"[core]\njobs = \xff").unwrap();
        assert_eq!(scene.load().unwrap_err().to_string(), "line 2 is not UTF-8");
    }

    #[test]
    fn remotes_of_all_files_are_known_apart() {
        let scene = Scene::new()
            .write("shared/config.toml", "[remote.s3]\nprofile = \"me\"\n")
            .write(
                ".config/esker/config.toml",
                "remote.nas = { url = \"~/nas\", ca_bundle = \"~/ca.pem\" }\n",
            )
            .write("system.toml", "[remote.s3]\nregion = \"eu\"\n");
        let remotes = scene.load().unwrap().remotes;
        let text = |origin: Origin, name: &str, key: RemoteKey| {
            let value = remotes[&origin][name].get(key);
            value.unwrap().as_text().unwrap().to_owned()
        };
        let home = scene.dir.path().display();
        assert_eq!(text(Origin::Local, "s3", RemoteKey::Profile), "me");
        assert_eq!(text(Origin::System, "s3", RemoteKey::Region), "eu");
        let nas = |key| text(Origin::User, "nas", key);
        assert_eq!(nas(RemoteKey::Url), format!("{home}/nas"));
        assert_eq!(nas(RemoteKey::CaBundle), format!("{home}/ca.pem"));
    }

    #[test]
    fn a_wrong_remote_is_named_with_its_place() {
        let url = "`url` must be absolute or begin with `~/` here";
        refused("[remote.a]\nurl = \"../x\"", url, (2, 7), None);
        let bundle = "`ca_bundle` must be absolute or begin with `~/` here";
        refused("[remote.a]\nca_bundle = \"ca\"", bundle, (2, 13), None);
        let unknown = "unknown key `regoin` in `[remote.a]`";
        refused(
            "[remote.a]\nregoin = \"x\"",
            unknown,
            (2, 1),
            Some("region"),
        );
        let twice = "`a` and `b` are both the default remote";
        let text = "remote.a.default = true\nremote.b.default = true";
        refused(text, twice, (2, 8), None);
    }

    #[test]
    fn a_secret_is_refused_here_too_and_never_shown() {
        let text = "[remote.a]\nsecret_access_key = \"hunter2\"";
        let error = Scene::new().write("shared/config.toml", text).load();
        let error = error.unwrap_err();
        let message = error.to_string();
        assert!(
            message.starts_with("`secret_access_key` is a secret"),
            "{message}"
        );
        assert!(message.ends_with("shared/config.toml`"), "{message}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }

    #[test]
    fn an_edit_does_not_ask_whose_home_it_is() {
        let text = "store.path = \"~/store\"\n";
        assert!(Config::with_trusted(text, "ssh://nas").is_ok());
    }
}
