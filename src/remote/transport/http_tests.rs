//! Against a real web server, `rclone serve http`, which hands out a directory.

use super::careless_s3_tests::Rclone;
use super::*;

/// A web server over a directory, and that directory as a remote.
pub(crate) struct Site {
    rclone: Rclone,
    pub(crate) dir: tempfile::TempDir,
}

impl Site {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    fn with(more: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = [&["--dir-cache-time", "0"], more].concat();
        let rclone = Rclone::serve("http", &options, dir.path());
        Self { rclone, dir }
    }

    /// The remote, as readers know it.
    pub(crate) fn address(&self) -> Address {
        Address {
            name: "web".to_owned(),
            url: format!("{}/", self.rclone.endpoint),
            ..Address::default()
        }
    }
}

#[test]
fn a_web_server_is_read_as_the_contract_says() {
    let site = Site::start();
    let (writer, web) = (
        directory(site.dir.path()),
        Http::open(&site.address(), &|_| None).unwrap(),
    );
    nothing_can_be_read(&web);
    ranges_are_exact(&writer, &web);
    let large: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let body = Bytes::from(large.clone());
    writer.put("p/ab/large", &body).unwrap();
    assert_eq!(web.get("p/ab/large").unwrap().unwrap(), large);
    assert_eq!(web.head("p/ab/large").unwrap(), Some(3_000_000));
    let part = web.get_range("p/ab/large", 2_999_990, 10).unwrap().unwrap();
    assert_eq!(part, large[2_999_990..]);
    writer.put("empty", &bytes("")).unwrap();
    assert_eq!(web.get("empty").unwrap().unwrap(), "");
}

#[test]
fn a_web_server_cannot_be_written_or_listed() {
    let site = Site::start();
    let web = Http::open(&site.address(), &|_| None).unwrap();
    assert_eq!(web.writing().unwrap(), Writing::Never);
    let refused = [
        web.put("a", &bytes("x")),
        web.put_if_absent("a", &bytes("x")).map(|_| ()),
        web.delete("a"),
    ];
    for result in refused {
        let error = result.unwrap_err();
        assert!(matches!(error, Error::ReadOnly { .. }), "{error}");
    }
    assert!(!web.can_list() && web.list("").is_err());
    assert!(site.dir.path().read_dir().unwrap().next().is_none());
    refuses_strange_keys(&web);
}

#[test]
fn a_url_with_a_password_or_a_question_is_refused() {
    for url in [
        "https://me@host/p",
        "https://host/p?key=1",
        "https://host/p#a",
    ] {
        let address = Address {
            url: url.to_owned(),
            ..Address::default()
        };
        let error = Http::open(&address, &|_| None).unwrap_err();
        assert!(matches!(error, Error::Protocol { .. }), "{url}: {error}");
    }
}

#[test]
fn nobody_at_the_port_of_a_web_server_is_reported() {
    let address = Address {
        url: "http://127.0.0.1:1/p".to_owned(),
        ..Address::default()
    };
    let error = Http::open(&address, &|_| None)
        .unwrap()
        .get("a")
        .unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
}

/// A server whose certificate an authority of its own has signed is trusted by those who name it.
#[test]
fn a_private_authority_is_trusted_if_it_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let script = "openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=ca \
                  -addext basicConstraints=critical,CA:TRUE && \
                  openssl req -newkey rsa:2048 -nodes -keyout key -out request -subj /CN=server && \
                  printf 'subjectAltName=IP:127.0.0.1' > extensions && \
                  openssl x509 -req -in request -CA ca.pem -CAkey ca.key -CAcreateserial \
                  -extfile extensions -out cert";
    ssh_server_tests::run(
        "sh",
        &["-c", &format!("cd {} && {script}", dir.path().display())],
    );
    let site = Site::with(&["--cert", &at("cert"), "--key", &at("key")]);
    directory(site.dir.path()).put("a", &bytes("x")).unwrap();
    let address = site.address();
    assert!(address.url.starts_with("https://"), "{}", address.url);
    let stranger = Http::open(&address, &|_| None)
        .unwrap()
        .get("a")
        .unwrap_err();
    assert!(
        matches!(stranger, Error::Unreachable { .. }),
        "{stranger:?}"
    );
    let var = |name: &str| (name == "AWS_CA_BUNDLE").then(|| at("ca.pem"));
    let web = Http::open(&address, &var).unwrap();
    assert_eq!(web.get("a").unwrap().unwrap(), "x");
    let named = Address {
        ca_bundle: Some(dir.path().join("ca.pem")),
        ..address
    };
    let web = Http::open(&named, &|_| None).unwrap();
    assert_eq!(web.get("a").unwrap().unwrap(), "x");
}
