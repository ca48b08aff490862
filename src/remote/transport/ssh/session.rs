//! One run of `ssh`, and the requests that go through it, many at once.
//!
//! Requests are numbered, and a thread hands each answer to whoever waits for that number. So one
//! connection serves all threads of a push or pull, and a file moves with many pieces under way.

use std::collections::{HashMap, VecDeque};
use std::io::{Read, Write};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::Place;
use super::packet::{self, Attributes, Fields, Reply};
use crate::remote::transport::{Traffic, printable};

/// A piece that every server takes.
const PIECE: u64 = 32 << 10;
/// Pieces of one file under way: 2 MiB, as much as `ssh` itself lets be under way.
const WINDOW: usize = 64;
/// What `ssh` says last is enough.
const MAX_WORDS: usize = 4096;

/// Why a request brought nothing.
#[derive(Debug)]
pub(super) enum Failure {
    /// The connection is gone, or never was.
    Lost(String),
    /// The server said no.
    Status { code: u32, text: String },
    /// The server does not keep to the protocol.
    Nonsense,
}

pub(super) type Answer<T> = Result<T, Failure>;

/// A connection.
#[derive(Debug)]
pub(super) struct Session {
    child: Mutex<Child>,
    input: Mutex<ChildStdin>,
    waiting: Arc<Mutex<Waiting>>,
    words: Arc<Mutex<Vec<u8>>>,
    next: AtomicU32,
    extensions: Vec<Bytes>,
    traffic: Arc<Traffic>,
}

/// Who waits for which answer. `None` once the connection is gone.
type Waiting = Option<HashMap<u32, SyncSender<Reply>>>;

/// An answer to come.
pub(super) struct Ticket<'s> {
    session: &'s Session,
    answer: Receiver<Reply>,
}

impl Session {
    /// Starts `ssh` and greets the server.
    pub(super) fn start(program: &str, place: &Place, traffic: &Arc<Traffic>) -> Answer<Self> {
        let cannot =
            |error: std::io::Error| Failure::Lost(format!("cannot run `{program}`: {error}"));
        let mut child = command(program, place).spawn().map_err(cannot)?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(mut input), Some(mut output), Some(errors)) = pipes else {
            return Err(Failure::Nonsense);
        };
        let words = Arc::new(Mutex::new(Vec::new()));
        let listener = listen(errors, Arc::clone(&words));
        let greeting = input
            .write_all(&Fields::default().packet(packet::INIT, 3))
            .and_then(|()| input.flush())
            .and_then(|()| read_packet(&mut output));
        let extensions = greeting.ok().and_then(packet::extensions);
        let Some(extensions) = extensions else {
            drop((input, output));
            let _ = child.wait();
            let _ = listener.join();
            return Err(Failure::Lost(last_words(&words)));
        };
        let waiting = Arc::new(Mutex::new(Some(HashMap::new())));
        let answers = Arc::clone(&waiting);
        let counted = Arc::clone(traffic);
        std::thread::spawn(move || hand_out(output, &answers, &counted));
        Ok(Self {
            child: Mutex::new(child),
            input: Mutex::new(input),
            waiting,
            words,
            next: AtomicU32::new(0),
            extensions,
            traffic: Arc::clone(traffic),
        })
    }

    /// Whether the server knows an extension.
    pub(super) fn knows(&self, extension: &str) -> bool {
        self.extensions.iter().any(|name| name == extension)
    }

    /// Sends a request, without waiting for its answer.
    pub(super) fn ask(&self, kind: u8, fields: Fields) -> Answer<Ticket<'_>> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = sync_channel(1);
        match &mut *lock(&self.waiting) {
            Some(waiting) => waiting.insert(id, sender),
            None => return Err(self.lost()),
        };
        let packet = fields.packet(kind, id);
        let mut input = lock(&self.input);
        let sent = input.write_all(&packet).and_then(|()| input.flush());
        sent.map_err(|_| self.lost())?;
        self.traffic.count_sent(packet.len());
        Ok(Ticket {
            session: self,
            answer,
        })
    }

    /// Opens a file; the answer is its handle.
    pub(super) fn open(&self, path: &str, flags: u32) -> Answer<Bytes> {
        let fields = Fields::default().text(path).u32(flags).u32(0);
        self.ask(packet::OPEN, fields)?.handle()
    }

    /// Closes a handle. What was written through it is on its way to the disk then.
    pub(super) fn close(&self, handle: &Bytes) -> Answer<()> {
        self.ask(packet::CLOSE, Fields::default().bytes(handle))?
            .done()
    }

    /// What the server says of a path, of a link itself.
    pub(super) fn lstat(&self, path: &str) -> Answer<Attributes> {
        self.ask(packet::LSTAT, Fields::default().text(path))?
            .attributes()
    }

    /// The same of what a link leads to.
    pub(super) fn stat(&self, path: &str) -> Answer<Attributes> {
        self.ask(packet::STAT, Fields::default().text(path))?
            .attributes()
    }

    /// One of the requests that name a path, or two of them.
    pub(super) fn act(&self, kind: u8, paths: &[&str]) -> Answer<()> {
        let fields = paths
            .iter()
            .fold(Fields::default(), |fields, path| fields.text(path));
        // `MKDIR` wants attributes; nobody else has a look at what follows.
        let fields = if kind == packet::MKDIR {
            fields.u32(0)
        } else {
            fields
        };
        self.ask(kind, fields)?.done()
    }

    /// A request of an extension.
    pub(super) fn extended(&self, name: &str, fields: impl FnOnce(Fields) -> Fields) -> Answer<()> {
        let fields = fields(Fields::default().text(name));
        self.ask(packet::EXTENDED, fields)?.done()
    }

    /// Reads a part of a file; it ends early where the file does.
    pub(super) fn read(&self, handle: &Bytes, offset: u64, len: u64) -> Answer<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut under_way = VecDeque::new();
        let mut asked = 0;
        loop {
            while under_way.len() < WINDOW && asked < len {
                let piece = PIECE.min(len - asked);
                under_way.push_back((piece, self.read_piece(handle, offset + asked, piece)?));
                asked += piece;
            }
            let Some((piece, ticket)) = under_way.pop_front() else {
                return Ok(bytes);
            };
            let mut got = 0;
            let mut answer = ticket.data()?;
            while let Some(data) = answer {
                got += data.len() as u64;
                if data.is_empty() || got > piece {
                    return Err(Failure::Nonsense);
                }
                bytes.extend_from_slice(&data);
                if got == piece {
                    break;
                }
                // A server may send less than it was asked for.
                let at = offset + bytes.len() as u64;
                answer = self.read_piece(handle, at, piece - got)?.data()?;
            }
            if got < piece {
                return Ok(bytes);
            }
        }
    }

    fn read_piece(&self, handle: &Bytes, offset: u64, len: u64) -> Answer<Ticket<'_>> {
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        let fields = Fields::default().bytes(handle).u64(offset).u32(len);
        self.ask(packet::READ, fields)
    }

    /// Writes all of a body from the beginning of a file.
    pub(super) fn write(&self, handle: &Bytes, body: &[u8]) -> Answer<()> {
        let mut under_way = VecDeque::new();
        let mut offset = 0;
        for piece in body.chunks(PIECE as usize) {
            let fields = Fields::default().bytes(handle).u64(offset).bytes(piece);
            under_way.push_back(self.ask(packet::WRITE, fields)?);
            offset += piece.len() as u64;
            if under_way.len() >= WINDOW
                && let Some(ticket) = under_way.pop_front()
            {
                ticket.done()?;
            }
        }
        for ticket in under_way {
            ticket.done()?;
        }
        Ok(())
    }

    fn lost(&self) -> Failure {
        Failure::Lost(last_words(&self.words))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Whatever was asked for has its answer by now.
        let mut child = lock(&self.child);
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Ticket<'_> {
    fn reply(self) -> Answer<Reply> {
        self.answer.recv().map_err(|_| self.session.lost())
    }

    /// An answer that says only that it is done.
    pub(super) fn done(self) -> Answer<()> {
        match self.reply()? {
            Reply::Status { code, .. } if code == packet::OK => Ok(()),
            other => Err(refused(other)),
        }
    }

    pub(super) fn handle(self) -> Answer<Bytes> {
        match self.reply()? {
            Reply::Handle(handle) => Ok(handle),
            other => Err(refused(other)),
        }
    }

    pub(super) fn attributes(self) -> Answer<Attributes> {
        match self.reply()? {
            Reply::Attributes(attributes) => Ok(attributes),
            other => Err(refused(other)),
        }
    }

    /// Names of a directory; `None` after the last.
    pub(super) fn names(self) -> Answer<Option<Vec<(Bytes, Attributes)>>> {
        match self.reply()? {
            Reply::Names(names) => Ok(Some(names)),
            Reply::Status { code, .. } if code == packet::END => Ok(None),
            other => Err(refused(other)),
        }
    }

    fn data(self) -> Answer<Option<Bytes>> {
        match self.reply()? {
            Reply::Data(data) => Ok(Some(data)),
            Reply::Status { code, .. } if code == packet::END => Ok(None),
            other => Err(refused(other)),
        }
    }
}

/// What the user's own `ssh` would do for `sftp`, with a look every 15 seconds whether the server
/// is still there.
#[expect(
    clippy::disallowed_methods,
    reason = "keys, agents, jumps and known hosts are the business of the user's ssh"
)]
fn command(program: &str, place: &Place) -> Command {
    let mut command = Command::new(program);
    command.args(["-x", "-a"]);
    let options = [
        "ClearAllForwardings=yes",
        "PermitLocalCommand=no",
        "RequestTTY=no",
        "ConnectTimeout=30",
        "ServerAliveInterval=15",
        "ServerAliveCountMax=4",
    ];
    for option in options {
        command.args(["-o", option]);
    }
    if let Some(port) = place.port {
        command.args(["-p", &port.to_string()]);
    }
    if let Some(user) = &place.user {
        command.args(["-l", user]);
    }
    command.args(["-s", "--", &place.host, "sftp"]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn read_packet(output: &mut ChildStdout) -> std::io::Result<Bytes> {
    let mut len = [0; 4];
    output.read_exact(&mut len)?;
    let len = u32::from_be_bytes(len) as usize;
    if len > packet::MAX_PACKET {
        return Err(std::io::ErrorKind::InvalidData.into());
    }
    let mut packet = vec![0; len];
    output.read_exact(&mut packet)?;
    Ok(packet.into())
}

/// Hands each answer to who waits for it, until there are no more. Who waits then is told so by
/// the end of their channel.
fn hand_out(mut output: ChildStdout, waiting: &Mutex<Waiting>, traffic: &Traffic) {
    let mut next = || {
        let packet = read_packet(&mut output).ok()?;
        traffic.count_received(packet.len());
        packet::reply(packet)
    };
    while let Some((id, reply)) = next() {
        let sender = lock(waiting)
            .as_mut()
            .and_then(|waiting| waiting.remove(&id));
        if let Some(sender) = sender {
            let _ = sender.send(reply);
        }
    }
    *lock(waiting) = None;
}

/// Remembers what `ssh` says, for the case that it fails.
fn listen(mut errors: ChildStderr, words: Arc<Mutex<Vec<u8>>>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let mut buffer = [0; 1024];
        while let Ok(read) = errors.read(&mut buffer)
            && read > 0
        {
            let mut words = lock(&words);
            words.extend_from_slice(&buffer[..read]);
            let excess = words.len().saturating_sub(MAX_WORDS);
            words.drain(..excess);
        }
    })
}

fn last_words(words: &Mutex<Vec<u8>>) -> String {
    let words = String::from_utf8_lossy(&lock(words)).into_owned();
    let lines: Vec<String> = words.lines().map(printable).collect();
    let said = lines
        .iter()
        .filter(|line| !line.is_empty() && !line.starts_with("Warning: "));
    let last: Vec<&str> = said.map(String::as_str).collect();
    match last.as_slice() {
        [] => "the connection ended".to_owned(),
        all => all[all.len().saturating_sub(3)..].join(" "),
    }
}

fn refused(reply: Reply) -> Failure {
    match reply {
        Reply::Status { code, text } => Failure::Status {
            code,
            text: printable(&text),
        },
        _ => Failure::Nonsense,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that is held here can be left half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
