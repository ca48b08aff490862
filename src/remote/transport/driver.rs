//! What drives requests over HTTP, and how often they are tried.

use std::time::Duration;

use object_store::{BackoffConfig, RetryConfig};
use tokio::runtime::Runtime;

use super::printable;

/// How long a client goes on after a failure that may pass.
#[derive(Clone, Copy, Debug)]
pub(super) enum Patience {
    /// Two more tries within a second or so, enough for a lost packet: a wrong port, a server
    /// that is down or a cable that is out is reported while the person still looks.
    Short,
    /// Ten more tries within three minutes, for a service that is known to be there.
    Long,
}

/// The threads that drive the client's requests. They end with it.
#[derive(Debug)]
pub(super) struct Driver(Option<Runtime>);

impl Driver {
    /// Starts them, under a name that shows in a debugger.
    pub(super) fn start(name: &str) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name(printable(name))
            .enable_all()
            .build()?;
        Ok(Self(Some(runtime)))
    }

    /// Waits for the end of a request.
    pub(super) fn run<T>(&self, future: impl Future<Output = T>) -> T {
        let runtime = self.0.as_ref().expect("it is there until the drop");
        runtime.block_on(future)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // A name look-up under way cannot be called back; it must not hold up the exit.
            runtime.shutdown_timeout(Duration::from_millis(200));
        }
    }
}

impl Patience {
    /// The same in the words of the client.
    pub(super) fn retry(self) -> RetryConfig {
        let (max_retries, max_backoff, retry_timeout) = match self {
            Self::Short => (2, Duration::from_secs(1), Duration::from_secs(10)),
            Self::Long => (10, Duration::from_secs(5), Duration::from_secs(180)),
        };
        RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(100),
                max_backoff,
                base: 2.0,
            },
            max_retries,
            retry_timeout,
        }
    }
}
