//! The real S3 server that `tests/run.sh` starts, as tests see it.

use super::Sandbox;

/// Where the server is and how to get in.
pub(crate) struct S3 {
    pub(crate) endpoint: String,
    pub(crate) bucket: String,
    pub(crate) key_id: String,
    pub(crate) secret: String,
}

impl S3 {
    /// The server of this test run.
    ///
    /// # Panics
    /// When there is none: tests are never skipped in silence.
    pub(crate) fn server() -> Self {
        let var = |name: &str| {
            std::env::var(name).unwrap_or_else(|_| {
                panic!("`{name}` is not set: run ./tests/run.sh, which starts the S3 server")
            })
        };
        Self {
            endpoint: var("ESKER_TEST_S3"),
            bucket: var("ESKER_TEST_S3_BUCKET"),
            key_id: var("ESKER_TEST_S3_KEY_ID"),
            secret: var("ESKER_TEST_S3_SECRET"),
        }
    }

    /// Gives a sandbox the keys, and a remote `s3` with a prefix of its own.
    pub(crate) fn attach(&self, sandbox: &mut Sandbox) -> String {
        let id: String = sandbox
            .root()
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .replace('.', "");
        let prefix = format!("s3://{}/test-{}-{id}", self.bucket, std::process::id());
        self.keys(sandbox);
        sandbox.ok(&format!(
            "remote add s3 {prefix} --default --endpoint-url {} --region us-east-1",
            self.endpoint
        ));
        prefix
    }

    pub(crate) fn keys(&self, sandbox: &mut Sandbox) {
        sandbox.set("AWS_ACCESS_KEY_ID", &self.key_id);
        sandbox.set("AWS_SECRET_ACCESS_KEY", &self.secret);
    }
}
