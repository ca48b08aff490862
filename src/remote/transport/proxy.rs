//! A bad line for tests: it stands between a client and a real server on the loopback address,
//! and cuts, delays, throttles or freezes what goes through.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// What is wrong with a line, each way counted by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// The connection ends after so many bytes from the client.
    CutUp(u64),
    /// The connection ends after so many bytes from the server.
    CutDown(u64),
    /// After so many bytes from the client nothing more is taken, and the connection stays.
    FreezeUp(u64),
    /// The same for what comes from the server.
    FreezeDown(u64),
    /// So many bytes a second, each way.
    Throttle(u64),
    /// Each piece comes so much later, each way.
    Delay(Duration),
}

/// A line to a server.
pub(crate) struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    server: SocketAddr,
    fault: Fault,
    /// How many connections are still to be hit.
    hits: AtomicUsize,
    connections: AtomicUsize,
    sent: AtomicU64,
}

impl Proxy {
    /// A line to a server (`127.0.0.1:…`) on which the first connections have a fault.
    pub(crate) fn start(server: &str, fault: Fault, connections: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            server: server.parse().unwrap(),
            fault,
            hits: AtomicUsize::new(connections),
            connections: AtomicUsize::new(0),
            sent: AtomicU64::new(0),
        });
        let shared = Arc::clone(&state);
        // It ends with the process of the test.
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                std::thread::spawn(move || state.serve(client));
            }
        });
        Self { address, state }
    }

    /// Where the line begins.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections there were.
    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// How many bytes clients have sent.
    pub(crate) fn sent(&self) -> u64 {
        self.state.sent.load(Ordering::SeqCst)
    }
}

impl State {
    fn serve(&self, client: TcpStream) {
        self.connections.fetch_add(1, Ordering::SeqCst);
        let less = |hits: usize| hits.checked_sub(1);
        let hit = self
            .hits
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less);
        let fault = hit.map_or(Fault::None, |_| self.fault);
        let Ok(server) = TcpStream::connect(self.server) else {
            return;
        };
        let (up, down) = fault.each_way();
        std::thread::scope(|scope| {
            scope.spawn(|| pump(&client, &server, up, &self.sent));
            pump(&server, &client, down, &AtomicU64::new(0));
        });
    }
}

/// What is wrong with one way.
#[derive(Clone, Copy, Debug)]
enum Way {
    Good,
    Cut(u64),
    Freeze(u64),
    Throttle(u64),
    Delay(Duration),
}

impl Fault {
    fn each_way(self) -> (Way, Way) {
        match self {
            Self::None => (Way::Good, Way::Good),
            Self::CutUp(bytes) => (Way::Cut(bytes), Way::Good),
            Self::CutDown(bytes) => (Way::Good, Way::Cut(bytes)),
            Self::FreezeUp(bytes) => (Way::Freeze(bytes), Way::Good),
            Self::FreezeDown(bytes) => (Way::Good, Way::Freeze(bytes)),
            Self::Throttle(rate) => (Way::Throttle(rate), Way::Throttle(rate)),
            Self::Delay(time) => (Way::Delay(time), Way::Delay(time)),
        }
    }
}

/// Moves bytes until one of the two ends.
fn pump(mut from: &TcpStream, mut to: &TcpStream, way: Way, count: &AtomicU64) {
    let mut buffer = vec![0; 16 << 10];
    let mut moved = 0_u64;
    while let Ok(read) = from.read(&mut buffer)
        && read > 0
    {
        moved += read as u64;
        count.fetch_add(read as u64, Ordering::SeqCst);
        match way {
            Way::Good => {}
            Way::Cut(limit) if moved > limit => {
                let _ = from.shutdown(Shutdown::Both);
                let _ = to.shutdown(Shutdown::Both);
                return;
            }
            Way::Freeze(limit) if moved > limit => freeze(to),
            Way::Cut(_) | Way::Freeze(_) => {}
            // A slow line is slow: this is what is to be tested, not a wait for something.
            Way::Throttle(rate) => {
                std::thread::sleep(Duration::from_secs_f64(read as f64 / rate as f64));
            }
            Way::Delay(time) => std::thread::sleep(time),
        }
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// Takes nothing more until the other end is gone.
fn freeze(mut to: &TcpStream) {
    let _ = to.read(&mut [0]);
    std::thread::park();
}
