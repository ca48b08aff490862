//! The clock, what goes by it, and the source of randomness: the only places where either is read.

use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, SystemTime};

/// Nanoseconds since 1970 by the clock of the machine; 0 for a clock before that.
#[expect(clippy::disallowed_methods, reason = "this is the one clock")]
pub fn now_nanos() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = since.map_or(0, |since| {
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    });
    now.saturating_add(ahead())
}

/// How far tests have put the clock forward, in nanoseconds.
#[cfg(feature = "failpoints")]
static AHEAD: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

/// Puts the clock forward: for tests alone.
#[cfg(feature = "failpoints")]
pub fn put_clock_forward(seconds: u64) {
    let nanos = seconds.saturating_mul(1_000_000_000);
    AHEAD.store(nanos, std::sync::atomic::Ordering::SeqCst);
}

#[cfg(feature = "failpoints")]
fn ahead() -> u64 {
    AHEAD.load(std::sync::atomic::Ordering::SeqCst)
}

#[cfg(not(feature = "failpoints"))]
const fn ahead() -> u64 {
    0
}

/// Does work, and something else every so often meanwhile, until that yields something or the work
/// is done.
pub fn meanwhile<R, T: Send>(
    interval: Duration,
    mut tick: impl FnMut() -> Option<T> + Send,
    work: impl FnOnce() -> R,
) -> (R, Option<T>) {
    let (end, ended) = sync_channel::<()>(0);
    std::thread::scope(|scope| {
        let ticking = scope.spawn(move || {
            while ended.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                let yielded = tick();
                if yielded.is_some() {
                    return yielded;
                }
            }
            None
        });
        let done = work();
        drop(end);
        let yielded = ticking.join();
        let yielded = yielded.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (done, yielded)
    })
}

/// Bytes that nobody can foresee.
///
/// # Panics
/// When the operating system has no randomness to give, which Linux and macOS rule out.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system always has randomness");
    bytes
}
