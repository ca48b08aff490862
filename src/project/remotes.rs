//! The remotes as this clone sees them: what `esker.toml` and the configs say of them, put together
//! key by key.

use std::collections::{BTreeMap, BTreeSet};

use super::Config;
use super::manifest::{Manifest, RemoteKey, RemoteSpec, Setting};

/// A file that speaks of remotes. What the first says goes before what the next says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The config of this clone.
    Local,
    /// `esker.toml`, which git carries.
    Project,
    /// The config of the user.
    User,
    /// The config of the machine.
    System,
}

/// A remote that some file gives a url.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remote {
    values: BTreeMap<RemoteKey, (Setting, Origin)>,
    /// The files that give it a url.
    places: BTreeSet<Origin>,
}

/// All remotes by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remotes(BTreeMap<String, Remote>);

impl Remotes {
    /// Puts together what all files say. Of a remote that none gives a url, nothing is known.
    pub fn new(manifest: &Manifest, config: &Config) -> Self {
        let mut files: Vec<(Origin, &BTreeMap<String, RemoteSpec>)> =
            vec![(Origin::Project, &manifest.remotes)];
        files.extend(config.remotes.iter().map(|(origin, file)| (*origin, file)));
        files.sort_by_key(|(origin, _)| *origin);
        let mut remotes: BTreeMap<String, Remote> = BTreeMap::new();
        for (origin, file) in files {
            for (name, spec) in file {
                remotes.entry(name.clone()).or_default().take(origin, spec);
            }
        }
        remotes.retain(|_, remote| !remote.places.is_empty());
        Self(remotes)
    }

    /// The remote of a name.
    pub fn get(&self, name: &str) -> Option<&Remote> {
        self.0.get(name)
    }

    /// All by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Remote)> {
        self.0.iter().map(|(name, remote)| (name.as_str(), remote))
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The remote that is meant when none is named: by the environment or the clone, by
    /// `esker.toml`, by the user, and last by being alone. It need not exist.
    pub fn default<'a>(&'a self, config: &'a Config) -> Option<&'a str> {
        let said = |origin| self.said_to_be_default(origin);
        config
            .remote
            .as_deref()
            .or_else(|| said(Origin::Local))
            .or_else(|| said(Origin::Project))
            .or(config.user_remote.as_deref())
            .or_else(|| said(Origin::User))
            .or_else(|| said(Origin::System))
            .or_else(|| self.alone())
    }

    fn said_to_be_default(&self, origin: Origin) -> Option<&str> {
        let said = (Setting::Flag(true), origin);
        let mut remotes = self.iter();
        let found =
            remotes.find(|(_, remote)| remote.values.get(&RemoteKey::Default) == Some(&said));
        found.map(|(name, _)| name)
    }

    /// The only remote of the first file that names any. What is only for this clone or user is
    /// no reason to leave the project's own in doubt.
    fn alone(&self) -> Option<&str> {
        let files = [Origin::Project, Origin::Local, Origin::User, Origin::System];
        for file in files {
            let mut named = self.iter().filter(|(_, remote)| remote.is_in(file));
            if let Some((name, _)) = named.next() {
                return named.next().is_none().then_some(name);
            }
        }
        None
    }
}

impl Remote {
    fn take(&mut self, origin: Origin, spec: &RemoteSpec) {
        for (key, value) in spec.iter() {
            let value = (value.clone(), origin);
            self.values.entry(key).or_insert(value);
        }
        if spec.url().is_some() {
            self.places.insert(origin);
        }
    }

    /// Whether a file names all of it, not only some keys.
    pub fn is_in(&self, origin: Origin) -> bool {
        self.places.contains(&origin)
    }

    /// All values by key, each with the file that says it.
    pub fn values(&self) -> impl Iterator<Item = (RemoteKey, &Setting, Origin)> {
        let values = self.values.iter();
        values.map(|(key, (value, origin))| (*key, value, *origin))
    }

    /// What is said that makes no sense together; for people.
    pub fn contradiction(&self) -> Option<String> {
        let url = self.url();
        let is_s3 = url.starts_with("s3://");
        let mut keys = self.values.keys();
        if let Some(key) = keys.find(|key| key.is_for_s3() && !is_s3) {
            return Some(format!("`{}` is for S3 alone, not for `{url}`", key.name()));
        }
        let needs_kms = self.text(RemoteKey::SseKmsKeyId).is_some();
        (needs_kms && self.text(RemoteKey::Sse) != Some("aws:kms"))
            .then(|| "`sse_kms_key_id` needs `sse = \"aws:kms\"`".to_owned())
    }

    /// Whether a key is said to be so; `None` if nothing is said.
    pub fn flag(&self, key: RemoteKey) -> Option<bool> {
        match self.values.get(&key)?.0 {
            Setting::Flag(flag) => Some(flag),
            _ => None,
        }
    }

    /// How many transfers at once, if that is said.
    pub fn jobs(&self) -> Option<usize> {
        match self.values.get(&RemoteKey::Jobs)?.0 {
            Setting::Number(number) => usize::try_from(number).ok(),
            _ => None,
        }
    }

    /// The text of a key, if it has one.
    pub fn text(&self, key: RemoteKey) -> Option<&str> {
        self.values.get(&key)?.0.as_text()
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        self.text(RemoteKey::Url).unwrap_or_default()
    }

    /// The file that says where it is.
    pub fn origin(&self) -> Origin {
        self.origin_of(RemoteKey::Url).unwrap_or(Origin::Project)
    }

    fn origin_of(&self, key: RemoteKey) -> Option<Origin> {
        self.values.get(&key).map(|(_, origin)| *origin)
    }

    /// The place that would be shown the keys of whoever uses this remote, if it is not the one of
    /// a cloud: the server that speaks its language, or the machine that `ssh` signs in to. With the
    /// file that names it.
    pub fn endpoint(&self) -> Option<(String, Origin)> {
        let key = self.endpoint_key()?;
        Some((place(self.text(key)?), self.origin_of(key)?))
    }

    /// The key that names that place.
    pub fn endpoint_key(&self) -> Option<RemoteKey> {
        let (scheme, _) = self.url().split_once("://")?;
        match scheme {
            "s3" | "gs" | "az" => Some(RemoteKey::EndpointUrl),
            "ssh" => Some(RemoteKey::Url),
            _ => None,
        }
    }
}

/// `scheme://host:port` of a url, in small letters.
fn place(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let place = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = place.rsplit_once('@').map_or(place, |(_, host)| host);
    format!("{scheme}://{host}").to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "[project]\nid = \"00000000000000000000000000000000\"\n";

    /// What files say, as `remote` tables.
    fn remotes(project: &str, configs: &[(Origin, &str)]) -> (Remotes, Config) {
        let manifest = Manifest::parse(&format!("{HEAD}{project}")).unwrap();
        let mut config = Config::default();
        for (origin, text) in configs {
            config.remotes.extend(Config::remotes_of(text, *origin));
        }
        (Remotes::new(&manifest, &config), config)
    }

    #[test]
    fn each_key_comes_from_the_first_file_that_has_it() {
        let (remotes, _) = remotes(
            "[remote.s3]\nurl = \"s3://b\"\nregion = \"eu\"\nprofile = \"team\"\n",
            &[
                (Origin::Local, "[remote.s3]\nprofile = \"me\"\n"),
                (
                    Origin::User,
                    "[remote.s3]\nprofile = \"all\"\nregion = \"us\"\nca_bundle = \"/ca\"\n",
                ),
                (
                    Origin::System,
                    "[remote.s3]\nca_bundle = \"/x\"\n[remote.nas]\nurl = \"/nas\"\n",
                ),
                (Origin::System, "[remote.half]\nprofile = \"me\"\n"),
            ],
        );
        let s3 = remotes.get("s3").unwrap();
        let found: Vec<_> = s3
            .values()
            .map(|(key, value, origin)| (key.name(), value.as_text().unwrap(), origin))
            .collect();
        assert_eq!(
            found,
            [
                ("url", "s3://b", Origin::Project),
                ("region", "eu", Origin::Project),
                ("profile", "me", Origin::Local),
                ("ca_bundle", "/ca", Origin::User),
            ]
        );
        assert!(remotes.get("half").is_none(), "nobody says where it is");
    }

    #[test]
    fn the_default_remote_follows_the_order_of_precedence() {
        let two = "[remote.a]\nurl = \"/a\"\n[remote.b]\nurl = \"/b\"\n";
        let decided = &format!("{two}default = true\n");
        let lone = "[remote.a]\nurl = \"/a\"\n";
        let whole = "[remote.c]\nurl = \"/c\"\ndefault = true\n";
        let plain = "[remote.c]\nurl = \"/c\"\n";
        let (local, user, system) = (Origin::Local, Origin::User, Origin::System);
        type Case<'a> = (&'a str, &'a [(Origin, &'a str)], Option<&'a str>);
        let cases: [Case<'_>; 13] = [
            (two, &[], None),
            (lone, &[], Some("a")),
            (decided, &[], Some("b")),
            (decided, &[(local, whole)], Some("c")),
            (decided, &[(user, whole)], Some("b")),
            (two, &[(user, whole)], Some("c")),
            (two, &[(system, whole)], Some("c")),
            (
                decided,
                &[(local, "[remote.a]\ndefault = true\n")],
                Some("a"),
            ),
            (decided, &[(local, "[remote.b]\ndefault = false\n")], None),
            // Of the project's one remote there is no doubt.
            (lone, &[(local, plain)], Some("a")),
            ("", &[(user, plain)], Some("c")),
            ("", &[(local, lone), (user, plain)], Some("a")),
            ("", &[(user, two)], None),
        ];
        for (project, configs, expected) in cases {
            let (remotes, config) = remotes(project, configs);
            assert_eq!(
                remotes.default(&config),
                expected,
                "{project:?} {configs:?}"
            );
        }
        let (remotes, mut config) = remotes(decided, &[]);
        config.user_remote = Some("u".to_owned());
        assert_eq!(remotes.default(&config), Some("b"));
        config.remote = Some("c".to_owned());
        assert_eq!(remotes.default(&config), Some("c"));
    }

    #[test]
    fn keys_of_s3_are_not_passed_over_elsewhere() {
        let s3 = "[remote.x]\nurl = \"s3://b\"\n";
        let nas = "[remote.x]\nurl = \"/nas\"\n";
        let kms = "sse = \"aws:kms\"\n";
        let cases = [
            (
                s3,
                "path_style = false\nacl = \"private\"\nsse = \"AES256\"\n",
                None,
            ),
            (s3, "jobs = 256\n", None),
            (nas, "jobs = 1\n", None),
            (
                nas,
                "acl = \"private\"\n",
                Some("`acl` is for S3 alone, not for `/nas`"),
            ),
            (
                nas,
                "path_style = true\n",
                Some("`path_style` is for S3 alone, not for `/nas`"),
            ),
            (nas, kms, Some("`sse` is for S3 alone, not for `/nas`")),
            (
                s3,
                "sse_kms_key_id = \"k\"\n",
                Some("`sse_kms_key_id` needs `sse = \"aws:kms\"`"),
            ),
        ];
        for (remote, keys, expected) in cases {
            let (remotes, _) = remotes(&format!("{remote}{keys}"), &[]);
            let found = remotes.get("x").unwrap().contradiction();
            assert_eq!(found.as_deref(), expected, "{keys}");
        }
        // The two may come from two files.
        let key = "[remote.x]\nsse_kms_key_id = \"k\"\n";
        let (remotes, _) = remotes(&format!("{s3}{kms}"), &[(Origin::Local, key)]);
        assert_eq!(remotes.get("x").unwrap().contradiction(), None);
    }

    #[test]
    fn a_place_has_the_file_that_names_it() {
        let s3 = "[remote.x]\nurl = \"s3://b/p\"\n";
        let lab = "[remote.x]\nendpoint_url = \"http://me@Lab:8333/x\"\n";
        let far = "[remote.x]\nurl = \"ssh://ada@Far:2222/srv\"\n";
        let place = |project: &str, configs: &[_]| {
            let (remotes, _) = remotes(project, configs);
            remotes.get("x").unwrap().endpoint()
        };
        let at = |place: &str, origin| Some((place.to_owned(), origin));
        assert_eq!(place(s3, &[]), None);
        assert_eq!(
            place(s3, &[(Origin::User, lab)]),
            at("http://lab:8333", Origin::User)
        );
        let both = format!("{s3}endpoint_url = \"http://other\"\n");
        assert_eq!(
            place(&both, &[(Origin::User, lab)]),
            at("http://other", Origin::Project)
        );
        assert_eq!(
            place(&both, &[(Origin::Local, lab)]),
            at("http://lab:8333", Origin::Local)
        );
        // Another bucket does not make the project's server one's own.
        assert_eq!(
            place(&both, &[(Origin::Local, s3)]),
            at("http://other", Origin::Project)
        );
        assert_eq!(place(far, &[]), at("ssh://far:2222", Origin::Project));
        assert_eq!(
            place(s3, &[(Origin::Local, far)]),
            at("ssh://far:2222", Origin::Local)
        );
        assert_eq!(place("[remote.x]\nurl = \"https://far/x\"\n", &[]), None);
        assert_eq!(place("[remote.x]\nurl = \"/nas\"\n", &[]), None);
    }
}
