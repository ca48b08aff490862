//! Against `rclone serve s3`, a real server that takes `If-None-Match: *` and replaces what is
//! there all the same. `tests/run.sh` brings the program; each test starts one of its own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::s3_server_tests::{Server, required};
use super::{bytes, keeps_all_but_writers_apart};
use crate::remote::Address;
use crate::remote::transport::{Bucket, Transport};

/// A server of a test's own. It ends with it.
pub(crate) struct Careless {
    _dir: tempfile::TempDir,
    rclone: Rclone,
}

impl Careless {
    const KEY: (&str, &str) = ("careless", "carelesssecret");

    /// Starts it, and waits until it says where it listens.
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::DirBuilder::new()
            .create(dir.path().join("bucket"))
            .unwrap();
        let (key_id, secret) = Self::KEY;
        let pair = format!("{key_id},{secret}");
        let rclone = Rclone::serve("s3", &["--auth-key", &pair], dir.path());
        Self { _dir: dir, rclone }
    }

    /// A remote in its bucket.
    pub(crate) fn address(&self) -> Address {
        Address {
            name: "careless".to_owned(),
            url: "s3://bucket/remote".to_owned(),
            endpoint_url: Some(self.rclone.endpoint.clone()),
            ..Address::default()
        }
    }

    /// Reads the environment of one who may do everything.
    pub(crate) fn var(name: &str) -> Option<String> {
        let pair = (Self::KEY.0.to_owned(), Self::KEY.1.to_owned());
        Server::variables(&pair).remove(name)
    }
}

/// What `rclone` serves, until it is dropped.
pub(crate) struct Rclone {
    child: Child,
    /// Where it listens.
    pub(crate) endpoint: String,
}

impl Rclone {
    /// Serves a directory, and waits until it says where.
    pub(crate) fn serve(protocol: &str, options: &[&str], dir: &Path) -> Self {
        let mut child = rclone()
            .args(["serve", protocol, "--addr", "127.0.0.1:0", "--config", ""])
            .args(["--vfs-cache-mode", "off"])
            .args(options)
            .arg(dir)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        let endpoint = said.find_map(|line| {
            let line = line.unwrap();
            let start = line.find("http://").or_else(|| line.find("https://"))?;
            Some(line[start..].trim_end_matches([']', '/']).to_owned())
        });
        // Nobody may leave it with a pipe that is full.
        std::thread::spawn(move || said.for_each(drop));
        Self {
            child,
            endpoint: endpoint.expect("it says where it listens"),
        }
    }
}

impl Drop for Rclone {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a real server is another process"
)]
fn rclone() -> Command {
    let path = PathBuf::from(required("ESKER_TEST_VENV")).join("bin/rclone");
    assert!(
        path.is_file(),
        "there is no `{}`: this test needs a real server, run `./tests/run.sh`",
        path.display()
    );
    Command::new(path)
}

#[test]
fn a_server_without_preconditions_keeps_the_rest_of_the_contract() {
    let server = Careless::start();
    let transport = Bucket::open(&server.address(), &Careless::var).unwrap();
    keeps_all_but_writers_apart(&transport);
    // Should this fail one day, the server has learned it, and another careless one is needed.
    assert!(transport.put_if_absent("put/a", &bytes("third")).unwrap());
}
