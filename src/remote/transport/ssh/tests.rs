use super::*;

#[test]
fn splits_urls() {
    let place = |user: Option<&str>, host: &str, port, root: &str| {
        Some(Place {
            user: user.map(str::to_owned),
            host: host.to_owned(),
            port,
            root: root.to_owned(),
        })
    };
    let cases = [
        (
            "ssh://host/srv/data",
            place(None, "host", None, "/srv/data"),
        ),
        (
            "ssh://me@host/srv/",
            place(Some("me"), "host", None, "/srv"),
        ),
        (
            "ssh://me@host:2222/a",
            place(Some("me"), "host", Some(2222), "/a"),
        ),
        ("ssh://host/~/data/x", place(None, "host", None, "data/x")),
        ("ssh://[::1]:22/a", place(None, "::1", Some(22), "/a")),
        ("ssh://[::1]/a", place(None, "::1", None, "/a")),
        ("ssh://host", None),
        ("ssh://host/", None),
        ("ssh://host/~/", None),
        ("ssh:///a", None),
        ("ssh://-oProxyCommand=x/a", None),
        ("ssh://-l@host/a", None),
        ("ssh://host:port/a", None),
        ("ssh://host:99999/a", None),
        ("ssh://ho st/a", None),
        ("ssh://host/a\nb", None),
        ("sftp://host/a", None),
    ];
    for (url, expected) in cases {
        assert_eq!(Place::parse(url), expected, "{url}");
    }
}
