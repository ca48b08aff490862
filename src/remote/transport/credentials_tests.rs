use std::collections::BTreeMap;

use super::*;
use crate::remote::transport::wire::STALL;

/// A home of a test's own, and an environment that knows nothing else.
struct Home {
    dir: tempfile::TempDir,
    variables: BTreeMap<String, String>,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().to_str().unwrap().to_owned();
        let variables = [
            ("HOME".to_owned(), home),
            ("AWS_EC2_METADATA_DISABLED".to_owned(), "true".to_owned()),
        ];
        Self {
            dir,
            variables: BTreeMap::from(variables),
        }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    fn with_file(self, name: &str, content: &str) -> Self {
        let dir = self.dir.path().join(".aws");
        fs::create_dir_all(&dir).unwrap();
        fs::write_new(&dir.join(name), content.as_bytes()).unwrap();
        self
    }

    fn var(&self) -> impl Fn(&str) -> Option<String> {
        |name| self.variables.get(name).cloned()
    }

    fn place(&self, address: &Address) -> Place {
        run(Place::find(address, &self.var()))
    }

    fn keys(&self, address: &Address) -> Keys {
        let wire = Wire::to("https://", address, &self.var(), STALL).unwrap();
        Keys::new(address, &self.var(), "us-east-1", &wire)
    }

    fn key_id(&self, address: &Address) -> Result<String, Missing> {
        let loaded = run(self.keys(address).load())?;
        Ok(loaded.access_key_id().to_owned())
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(future)
}

fn with_profile(profile: &str) -> Address {
    Address {
        profile: Some(profile.to_owned()),
        ..Address::default()
    }
}

const CREDENTIALS: &str = "\
[default]
aws_access_key_id = id-default
aws_secret_access_key = s
[team]
aws_access_key_id = id-team
aws_secret_access_key = s
";

#[test]
fn the_region_comes_from_the_first_that_names_it() {
    let config = "[default]\nregion = from-default\n[profile team]\nregion = from-team\n";
    let mut home = Home::new();
    let mut address = Address::default();
    assert_eq!(home.place(&address).region, "us-east-1");
    home = home.with_file("config", config);
    assert_eq!(home.place(&address).region, "from-default");
    home = home.with("AWS_PROFILE", "team");
    assert_eq!(home.place(&address).region, "from-team");
    home = home.with("AWS_DEFAULT_REGION", "from-default-variable");
    assert_eq!(home.place(&address).region, "from-default-variable");
    home = home.with("AWS_REGION", "from-variable");
    assert_eq!(home.place(&address).region, "from-variable");
    address.region = Some("from-remote".to_owned());
    assert_eq!(home.place(&address).region, "from-remote");
}

#[test]
fn the_endpoint_comes_from_the_first_that_names_it() {
    let config = "[default]\nendpoint_url = http://profile/\n";
    let mut home = Home::new();
    let mut address = Address::default();
    assert_eq!(home.place(&address).endpoint, None);
    home = home.with_file("config", config);
    let endpoint = |home: &Home, address: &Address| home.place(address).endpoint.unwrap();
    assert_eq!(endpoint(&home, &address), "http://profile");
    home = home.with("AWS_ENDPOINT_URL", "http://variable");
    assert_eq!(endpoint(&home, &address), "http://variable");
    home = home.with("AWS_ENDPOINT_URL_S3", "http://variable-of-s3");
    assert_eq!(endpoint(&home, &address), "http://variable-of-s3");
    address.endpoint_url = Some("http://remote//".to_owned());
    assert_eq!(endpoint(&home, &address), "http://remote");
}

#[test]
fn a_services_section_names_an_endpoint_for_s3_alone() {
    let config = "\
[profile team]
endpoint_url = http://all
services = ours
[services ours]
s3 =
  endpoint_url = http://only-s3
";
    let home = Home::new().with_file("config", config);
    let place = home.place(&with_profile("team"));
    assert_eq!(place.endpoint.as_deref(), Some("http://only-s3"));
}

#[test]
fn the_key_comes_from_the_first_that_has_one() {
    let mut home = Home::new().with_file("credentials", CREDENTIALS);
    let any = Address::default();
    assert_eq!(home.key_id(&any).unwrap(), "id-default");
    home = home.with("AWS_PROFILE", "team");
    assert_eq!(home.key_id(&any).unwrap(), "id-team");
    home = home
        .with("AWS_ACCESS_KEY_ID", "id-variable")
        .with("AWS_SECRET_ACCESS_KEY", "s");
    assert_eq!(home.key_id(&any).unwrap(), "id-variable");
    assert_eq!(home.key_id(&with_profile("default")).unwrap(), "id-default");
}

#[test]
fn the_source_of_the_key_is_remembered() {
    let home = Home::new().with_file("credentials", CREDENTIALS);
    let keys = home.keys(&Address::default());
    assert_eq!(keys.used().key_id, None);
    assert_eq!(keys.used().source, "profile `default`");
    run(keys.get_credential()).unwrap();
    assert_eq!(keys.used().key_id.as_deref(), Some("id-d…ault"));
    let home = home
        .with("AWS_ACCESS_KEY_ID", "short")
        .with("AWS_SECRET_ACCESS_KEY", "s");
    let keys = home.keys(&Address::default());
    run(keys.get_credential()).unwrap();
    let used = Used {
        key_id: Some("short".to_owned()),
        source: "AWS_ACCESS_KEY_ID".to_owned(),
    };
    assert_eq!(keys.used(), used);
}

#[test]
fn no_key_anywhere_names_where_it_was_looked_for() {
    let home = Home::new();
    let missing = home.key_id(&Address::default()).unwrap_err();
    assert_eq!(missing.source, "profile `default`");
    assert_eq!(missing.detail, "it does not exist, or has no key");
    let undefined = home.key_id(&with_profile("team")).unwrap_err();
    assert_eq!(undefined.source, "profile `team`");
    let home = Home::new().with_file("credentials", CREDENTIALS);
    let undefined = home.key_id(&with_profile("tam")).unwrap_err();
    assert_eq!(undefined.source, "profile `tam`");
    assert!(undefined.detail.contains("tam"), "{}", undefined.detail);
}

#[test]
fn a_key_that_a_program_should_bring_and_does_not_is_explained() {
    let config = "[profile tool]\ncredential_process = sh -c 'echo sign in first >&2; exit 3'\n";
    let home = Home::new().with_file("config", config);
    let missing = home.key_id(&with_profile("tool")).unwrap_err();
    assert_eq!(missing.source, "profile `tool`");
    assert!(!missing.detail.contains('\n'), "{}", missing.detail);
    assert!(
        missing.detail.contains("sign in first"),
        "{}",
        missing.detail
    );
}

#[test]
fn a_session_that_is_over_says_so() {
    let config = "\
[profile sso]
sso_session = ours
sso_account_id = 123456789012
sso_role_name = reader
[sso-session ours]
sso_region = us-east-1
sso_start_url = https://example.invalid/start
";
    let home = Home::new().with_file("config", config);
    let missing = home.key_id(&with_profile("sso")).unwrap_err();
    assert_eq!(missing.source, "profile `sso`");
    assert!(
        missing.detail.to_lowercase().contains("sso"),
        "{}",
        missing.detail
    );
}

#[test]
fn half_a_key_does_not_fall_through_to_another_identity() {
    let home = Home::new()
        .with_file("credentials", CREDENTIALS)
        .with("AWS_ACCESS_KEY_ID", "id-variable")
        .with("AWS_SECRET_ACCESS_KEY", "  ");
    let missing = home.key_id(&Address::default()).unwrap_err();
    assert_eq!(missing.source, "AWS_ACCESS_KEY_ID");
    assert_eq!(missing.detail, "`AWS_SECRET_ACCESS_KEY` is not set");
}

#[test]
fn a_broken_profile_is_an_error_and_not_papered_over() {
    let home = Home::new()
        .with_file("credentials", "[team]\naws_access_key_id = only-half\n")
        .with("AWS_PROFILE", "team")
        .with("AWS_WEB_IDENTITY_TOKEN_FILE", "/nowhere");
    let missing = home.key_id(&Address::default()).unwrap_err();
    assert_eq!(missing.source, "profile `team`");
}

#[test]
fn the_sources_stand_in_the_order_of_the_tools_of_aws() {
    let mut home = Home::new()
        .with("AWS_ACCESS_KEY_ID", "a")
        .with("AWS_SECRET_ACCESS_KEY", "s")
        .with("AWS_WEB_IDENTITY_TOKEN_FILE", "/token")
        .with("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://localhost/")
        .with("AWS_EC2_METADATA_DISABLED", "");
    let all = [
        "AWS_ACCESS_KEY_ID",
        "profile `default`",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "the role of this machine",
    ];
    assert_eq!(home.keys(&Address::default()).names(), all.join(", "));
    assert_eq!(home.keys(&with_profile("p")).names(), "profile `p`");
    home = home.with("AWS_EC2_METADATA_DISABLED", "True");
    assert_eq!(home.keys(&Address::default()).names(), all[..4].join(", "));
}

/// Hands out a new key each time, good for so long.
fn counting(lifetime: Option<Duration>) -> Keys {
    let count = std::sync::atomic::AtomicUsize::new(0);
    let count = Arc::new(count);
    let provider = provide_credentials_fn(move || {
        let number = count.fetch_add(1, Ordering::Relaxed);
        let now = SystemTime::UNIX_EPOCH + Duration::from_nanos(fs::now_nanos());
        let expiry = lifetime.map(|lifetime| now + lifetime);
        async move {
            Ok(Credentials::new(
                format!("id-{number}"),
                "s",
                None,
                expiry,
                "test",
            ))
        }
    });
    of(vec![source("test", provider)])
}

fn of(sources: Vec<Source>) -> Keys {
    Keys {
        sources,
        cached: AsyncMutex::new(None),
        edition: AtomicU64::new(0),
        used: Mutex::new(Used {
            key_id: None,
            source: String::new(),
        }),
    }
}

/// Hands out one key that is good for so long, and then none.
fn one(lifetime: Duration) -> Keys {
    let is_out = std::sync::atomic::AtomicBool::new(false);
    let is_out = Arc::new(is_out);
    let provider = provide_credentials_fn(move || {
        let key = match is_out.swap(true, Ordering::Relaxed) {
            true => Err(CredentialsError::provider_error("no more")),
            false => Ok(Credentials::new(
                "id",
                "s",
                None,
                Some(now() + lifetime),
                "test",
            )),
        };
        async move { key }
    });
    of(vec![source("test", provider)])
}

#[test]
fn the_rest_of_a_key_is_used_when_there_is_no_other() {
    let keys = one(Duration::from_secs(60));
    for _ in 0..3 {
        assert_eq!(run(keys.get_credential()).unwrap().key_id, "id");
    }
    let keys = one(Duration::ZERO);
    run(keys.get_credential()).unwrap();
    let error = run(keys.get_credential()).unwrap_err();
    assert!(error.to_string().contains("no more"), "{error}");
}

#[test]
fn a_refused_key_is_asked_for_again_once_for_all_who_used_it() {
    let keys = counting(None);
    let first = run(keys.edition()).unwrap();
    assert!(run(keys.renew(first)).unwrap());
    // The other threads had the same key, and find the new one.
    assert!(run(keys.renew(first)).unwrap());
    assert_eq!(run(keys.get_credential()).unwrap().key_id, "id-1");
    let second = run(keys.edition()).unwrap();
    assert_ne!(first, second);
    let same = of(vec![source(
        "test",
        Credentials::new("id", "s", None, None, "test"),
    )]);
    let edition = run(same.edition()).unwrap();
    assert!(!run(same.renew(edition)).unwrap());
    let none = one(Duration::from_secs(60));
    let edition = run(none.edition()).unwrap();
    assert!(
        run(none.renew(edition))
            .unwrap_err()
            .detail
            .contains("no more")
    );
}

/// As a tool does that keeps temporary keys in a profile.
#[test]
fn a_profile_that_was_renewed_meanwhile_is_read_again() {
    let write = |home: &Home, id: &str| {
        let text = format!("[default]\naws_access_key_id = {id}\naws_secret_access_key = s\n");
        let path = home.dir.path().join(".aws/credentials");
        fs::replace(&path, text.as_bytes()).unwrap();
    };
    let home = Home::new().with_file("credentials", "");
    write(&home, "id-old");
    let keys = home.keys(&Address::default());
    assert_eq!(run(keys.get_credential()).unwrap().key_id, "id-old");
    let edition = run(keys.edition()).unwrap();
    assert!(!run(keys.renew(edition)).unwrap());
    write(&home, "id-new");
    assert!(run(keys.renew(edition)).unwrap());
    assert_eq!(run(keys.get_credential()).unwrap().key_id, "id-new");
}

#[test]
fn a_key_is_kept_until_five_minutes_before_its_end() {
    let minutes = |minutes: u64| Some(Duration::from_secs(60 * minutes));
    let cases = [
        (None, "id-0"),
        (minutes(60), "id-0"),
        (minutes(6), "id-0"),
        (minutes(4), "id-2"),
        (minutes(0), "id-2"),
    ];
    for (lifetime, expected) in cases {
        let keys = counting(lifetime);
        let asked = || run(keys.get_credential()).unwrap().key_id.clone();
        let [_, _, last] = [asked(), asked(), asked()];
        assert_eq!(last, expected, "{lifetime:?}");
    }
}

#[test]
fn the_files_may_lie_elsewhere() {
    let home = Home::new().with_file("mine", CREDENTIALS);
    let absolute = home.dir.path().join(".aws/mine");
    for path in ["~/.aws/mine", absolute.to_str().unwrap()] {
        let home = Home::new()
            .with("HOME", home.dir.path().to_str().unwrap())
            .with("AWS_SHARED_CREDENTIALS_FILE", path);
        assert_eq!(home.key_id(&Address::default()).unwrap(), "id-default");
    }
}

#[test]
fn a_key_id_is_shortened_for_people() {
    let cases = [
        ("", ""),
        ("12345678", "12345678"),
        ("123456789", "1234…6789"),
        ("AKIAIOSFODNN7Q2D", "AKIA…7Q2D"),
        ("ääääääääää", "ääää…ääää"),
    ];
    for (key_id, expected) in cases {
        assert_eq!(shorten(key_id), expected);
    }
}
