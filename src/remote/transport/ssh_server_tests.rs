//! Against a real `sshd`, through the real `ssh`. The test listens on a free port, and hands each
//! connection to a server of its own, as `inetd` did.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::proxy::{Fault, Proxy};

use super::*;

/// A server of a test's own, with a directory to keep a remote in.
pub(crate) struct Server {
    dir: tempfile::TempDir,
    proxy: Proxy,
}

impl Server {
    /// Makes keys and settings, and listens.
    pub(crate) fn new() -> Self {
        Self::with(Fault::None, 0)
    }

    /// One to which the first connections have a fault.
    fn with(fault: Fault, connections: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        for key in ["host", "user"] {
            run(
                "ssh-keygen",
                &["-q", "-t", "ed25519", "-N", "", "-f", &at(key)],
            );
        }
        write(&dir, "authorized", &read(&at("user.pub")));
        write(
            &dir,
            "known",
            &format!("esker-test {}", read(&at("host.pub"))),
        );
        write(
            &dir,
            "sshd_config",
            &format!(
                "HostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPidFile none\n\
                 PermitRootLogin yes\nPasswordAuthentication no\nSubsystem sftp internal-sftp\n",
                at("host"),
                at("authorized")
            ),
        );
        let server = listen(&at("sshd_config"), &at("log"));
        let proxy = Proxy::start(&server, fault, connections);
        write(
            &dir,
            "ssh_config",
            &format!(
                "Host *\nHostKeyAlias esker-test\nHostName 127.0.0.1\nPort {}\nIdentityFile {}\n\
                 IdentitiesOnly yes\nUserKnownHostsFile {}\nStrictHostKeyChecking yes\nBatchMode yes\n",
                proxy.address().port(),
                at("user"),
                at("known")
            ),
        );
        let program = format!("#!/bin/sh\nexec ssh -F {} \"$@\"\n", at("ssh_config"));
        write(&dir, "ssh", &program);
        std::fs::set_permissions(at("ssh"), std::fs::Permissions::from_mode(0o755)).unwrap();
        Self { dir, proxy }
    }

    /// Where the remote lies on disk.
    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("remote")
    }

    /// The remote.
    pub(crate) fn address(&self) -> Address {
        Address {
            name: "far".to_owned(),
            url: format!("ssh://anywhere{}", self.root().display()),
            ..Address::default()
        }
    }

    /// Reads the environment of its user.
    pub(crate) fn var(&self, name: &str) -> Option<String> {
        (name == "ESKER_SSH").then(|| self.dir.path().join("ssh").display().to_string())
    }

    fn open(&self) -> Ssh {
        Ssh::open(&self.address(), &|name| self.var(name)).unwrap()
    }
}

fn write(dir: &tempfile::TempDir, name: &str, text: &str) {
    crate::fs::write_new(&dir.path().join(name), text.as_bytes()).unwrap();
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// Hands each connection to a server of its own; says where it listens.
#[expect(
    clippy::disallowed_methods,
    reason = "a real server is another process"
)]
fn listen(config: &str, log: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut command = Command::new(sshd());
    command.args(["-i", "-f", config, "-E", log]);
    // It ends with the process of the test.
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let output = OwnedFd::from(connection.try_clone().unwrap());
            command.stdin(OwnedFd::from(connection)).stdout(output);
            let mut child = command.spawn().unwrap();
            // The command holds the connection until it is given another one.
            command.stdin(Stdio::null()).stdout(Stdio::null());
            std::thread::spawn(move || child.wait());
        }
    });
    address
}

/// Debian puts it where ordinary users do not look.
fn sshd() -> PathBuf {
    let places = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"];
    let found = places.into_iter().find(|path| Path::new(path).is_file());
    PathBuf::from(found.expect("there is no `sshd`: this test needs openssh-server"))
}

#[expect(
    clippy::disallowed_methods,
    reason = "real keys are made by the real program"
)]
pub(crate) fn run(program: &str, args: &[&str]) {
    let status = Command::new(program).args(args).status();
    assert!(status.unwrap().success(), "{program} {args:?}");
}

#[test]
fn an_ssh_server_keeps_the_contract() {
    let server = Server::new();
    std::fs::DirBuilder::new().create(server.root()).unwrap();
    let transport = server.open();
    assert_eq!(transport.writing().unwrap(), Writing::Exclusive);
    keeps_the_contract(&transport);
    let left = std::fs::read_dir(server.root().join("tmp")).unwrap();
    assert_eq!(left.count(), 0, "something was left in tmp");
}

#[test]
fn what_is_written_by_ssh_is_a_directory_remote_and_the_reverse() {
    let server = Server::new();
    let (far, near) = (server.open(), directory(&server.root()));
    far.put("p/ab/x", &bytes("far")).unwrap();
    near.put("p/ab/y", &bytes("near")).unwrap();
    assert_eq!(near.get("p/ab/x").unwrap().unwrap(), "far");
    assert_eq!(far.get("p/ab/y").unwrap().unwrap(), "near");
    assert_eq!(far.list("").unwrap(), near.list("").unwrap());
    symlink("/etc", server.root().join("etc")).unwrap();
    symlink("p/ab/x", server.root().join("link")).unwrap();
    assert_eq!(keys(&far, ""), ["p/ab/x", "p/ab/y"]);
    assert_eq!(far.get("link").unwrap(), None);
}

#[test]
fn a_missing_directory_over_ssh_is_an_error_until_the_first_write() {
    let server = Server::new();
    let far = server.open();
    let missing = [
        far.get("a").map(|_| ()),
        far.get_range("a", 0, 1).map(|_| ()),
        far.head("a").map(|_| ()),
        far.list("").map(|_| ()),
        far.delete("a"),
    ];
    for result in missing {
        let error = result.unwrap_err();
        assert!(matches!(error, Error::MissingDirectory { .. }), "{error}");
    }
    assert!(far.put_if_absent("p/a", &bytes("x")).unwrap());
    assert_eq!(far.get("p/a").unwrap().unwrap(), "x");
}

/// The line ends in the middle of the body, again and again: nobody sees a part of it.
#[test]
fn no_part_of_an_upload_over_ssh_that_died_is_seen() {
    let server = Server::with(Fault::CutUp(400_000), usize::MAX);
    let body = Bytes::from(vec![7; 3_000_000]);
    let error = server.open().put_if_absent("p/a", &body).unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    let near = directory(&server.root());
    assert_eq!(near.get("p/a").unwrap(), None);
    assert_eq!(keys(&near, ""), [""; 0]);
}

/// A line that ends once costs nothing but the time.
#[test]
fn a_transfer_over_ssh_goes_on_after_the_connection_was_cut() {
    let server = Server::with(Fault::CutUp(400_000), 1);
    let content: Vec<u8> = (0..3_000_000_u32).map(|n| (n / 5) as u8).collect();
    let far = server.open();
    let body = Bytes::from(content.clone());
    assert!(far.put_if_absent("p/a", &body).unwrap());
    assert_eq!(server.proxy.connections(), 2);
    assert_eq!(
        directory(&server.root()).get("p/a").unwrap().unwrap(),
        content
    );
}

#[test]
fn a_server_that_does_not_know_the_key_is_named_with_its_words() {
    let server = Server::new();
    crate::fs::replace(&server.dir.path().join("authorized"), b"").unwrap();
    let error = server.open().get("a").unwrap_err();
    let Error::Unreachable {
        remote,
        url,
        detail,
    } = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!((remote.as_str(), url), ("far", &server.address().url));
    assert!(detail.contains("Permission denied"), "{detail}");
}

#[test]
fn a_program_that_is_no_ssh_is_named() {
    let server = Server::new();
    for (program, said) in [
        ("/nonexistent/ssh", "cannot run `/nonexistent/ssh`"),
        ("true", "the connection ended"),
        ("cat", ""),
    ] {
        let var = |name: &str| (name == "ESKER_SSH").then(|| program.to_owned());
        let far = Ssh::open(&server.address(), &var).unwrap();
        let error = far.get("a").unwrap_err();
        let Error::Unreachable { detail, .. } = &error else {
            panic!("{error:?}");
        };
        assert!(detail.contains(said), "{detail}");
    }
}
