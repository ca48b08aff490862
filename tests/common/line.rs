//! A line to a server on the loopback address that counts bytes, and can kill a process when so
//! many have gone by.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};

/// The line.
pub(crate) struct Line {
    /// Where it begins, as the URL of an endpoint.
    pub(crate) endpoint: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    up: u64,
    down: u64,
    victim: Option<(u64, Pid)>,
}

impl Line {
    /// A line to a server, `http://127.0.0.1:…`.
    pub(crate) fn to(server: &str) -> Self {
        let server = server.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        // It ends with the process of the test.
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(&server).unwrap();
                let (client_too, server_too) =
                    (client.try_clone().unwrap(), server.try_clone().unwrap());
                let state = Arc::clone(&shared);
                std::thread::spawn(move || carry(client, server, &state, |state| &mut state.up));
                let state = Arc::clone(&shared);
                std::thread::spawn(move || {
                    carry(server_too, client_too, &state, |state| &mut state.down);
                });
            }
        });
        Self { endpoint, state }
    }

    /// Counts anew, and kills a process when so many bytes have gone by in both directions; 0 is
    /// never.
    pub(crate) fn kill_after(&self, bytes: u64, pid: Pid) {
        *self.state.lock().unwrap() = State {
            victim: (bytes > 0).then_some((bytes, pid)),
            ..State::default()
        };
    }

    /// Kills nobody any more. Says what has gone by, to the server and from it.
    pub(crate) fn stop(&self) -> (u64, u64) {
        let state = std::mem::take(&mut *self.state.lock().unwrap());
        (state.up, state.down)
    }
}

fn carry(
    mut from: TcpStream,
    mut to: TcpStream,
    state: &Mutex<State>,
    count: fn(&mut State) -> &mut u64,
) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(length) = from.read(&mut buffer) {
        if length == 0 || to.write_all(&buffer[..length]).is_err() {
            break;
        }
        let state = &mut *state.lock().unwrap();
        *count(state) += length as u64;
        let gone = state.up + state.down;
        if let Some((_, pid)) = state.victim.take_if(|(bytes, _)| gone >= *bytes) {
            kill_process(pid, Signal::KILL).unwrap();
        }
    }
    // Whichever side ended, the other is told.
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
