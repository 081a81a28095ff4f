//! Keeps the appliance's network and clock: addresses of its own or from a
//! server ([`lease`]), who is asked for names, the time ([`clock`]). What is
//! wanted stands in `/data/network`; the daemon asks for changes over a local
//! socket, and each is on trial first ([`book`]). What others read stands in
//! `/run/network`.
//!
//! The supervisor starts it when the guard runs, so that the clock is never
//! moved before, and starts it again when it ends; the guard waits for nothing
//! of it. It gives up all rights but those that it needs ([`privilege`]).
//!
//! IPv6 addresses and routers are the kernel's business (SLAAC). Not done:
//! DHCPv6, servers for names from routers (RFC 8106), and authentic time (NTS).

mod book;
mod clock;
mod kernel;
mod lease;
mod link;
mod log;
mod memory;
mod privilege;
mod sntp;
mod state;

use book::Book;
use evenkeel_core::network::{Answer, Ask, SOCKET};
use evenkeel_signing::slot::talk;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::socket_peercred;
use state::State;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What is kept.
const FOLDER: &str = "/data/network";
/// What others read: servers for names, and what the appliance calls itself.
const TOLD: &str = "/run/network";
/// The daemon's user, who alone may ask.
const DAEMON: u32 = 1_001;
/// Connections at the same time.
const CLIENTS_MAX: usize = 4;
/// A connection that says nothing for so long is closed.
const SILENT_MAX: Duration = Duration::from_secs(10);
/// Time between two rounds of questions for the time, and after a failure.
const ROUND: Duration = Duration::from_secs(1_024);
const ROUND_AGAIN: Duration = Duration::from_secs(64);

/// Why it does not run.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what}")]
struct NetworkError {
    what: &'static str,
    source: io::Error,
}

/// What the threads share.
struct Shared {
    began: Instant,
    state: Mutex<State>,
    clients: AtomicUsize,
}

fn main() -> ExitCode {
    log::open();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::say(&format!("the network is not kept: {}", log::chain(&error)));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), NetworkError> {
    let failed = |what| move |source| NetworkError { what, source };
    let (book, problem) = Book::open(Path::new(FOLDER));
    let problem = problem.map(|problem| log::chain(&problem));
    if let Some(problem) = &problem {
        log::say(&format!("{problem}; the network is as it left the factory"));
    }
    let listener = listen(Path::new(SOCKET)).map_err(failed("listen for the daemon"))?;
    privilege::drop_the_rest().map_err(failed("give up the rights that it does not need"))?;
    let loopback = kernel::Interface::find("lo").and_then(|lo| lo.up());
    loopback.map_err(failed("switch the loopback interface on"))?;
    let news = kernel::News::open().map_err(failed("listen for changes of interfaces"))?;

    let (mut wakes, wake) = UnixStream::pair().map_err(failed("make a pair of sockets"))?;
    for socket in [&wakes, &wake] {
        socket.set_nonblocking(true).map_err(failed("make a pair of sockets"))?;
    }
    let wake = Arc::new(wake);
    let (bell, rung) = sync_channel(1);
    let state = State::new(book, problem, PathBuf::from(TOLD), bell);
    let (began, clients) = (Instant::now(), AtomicUsize::new(0));
    let shared = Arc::new(Shared { began, state: Mutex::new(state), clients });
    let keeper = Arc::clone(&shared);
    std::thread::spawn(move || keep_time(&keeper, &rung));
    loop {
        let (pause, sockets) = {
            let mut state = shared.lock();
            let pause = state.step(shared.began.elapsed(), &mut random);
            (pause, state.sockets())
        };
        let fixed = [listener.as_fd(), wakes.as_fd(), news.as_fd()];
        let mut waits: Vec<PollFd<'_>> =
            fixed.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).into();
        waits.extend(sockets.iter().map(|socket| PollFd::new(&**socket, PollFlags::IN)));
        let time =
            Timespec { tv_sec: pause.as_secs() as i64, tv_nsec: pause.subsec_nanos().into() };
        // Interrupted is as good as over.
        let _ = poll(&mut waits, Some(&time));
        drop(waits);
        news.take();
        while matches!(wakes.read(&mut [0; 64]), Ok(1..)) {}
        while let Ok((stream, _)) = listener.accept() {
            serve(&shared, stream, &wake);
        }
    }
}

/// A number that nobody guesses.
fn random() -> u32 {
    // Without a source an answer can be forged by who sees no question; the
    // hardware address must be right, too.
    getrandom::u32().unwrap_or_default()
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    chown(path, Some(DAEMON), Some(0))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Answer one question in a thread of its own; what it changed is done at once.
fn serve(shared: &Arc<Shared>, stream: UnixStream, wake: &Arc<UnixStream>) {
    let is_daemon = socket_peercred(&stream).is_ok_and(|peer| peer.uid.as_raw() == DAEMON);
    if shared.clients.fetch_add(1, Ordering::Relaxed) >= CLIENTS_MAX || !is_daemon {
        shared.clients.fetch_sub(1, Ordering::Relaxed);
        return;
    }
    let (shared, wake) = (Arc::clone(shared), Arc::clone(wake));
    std::thread::spawn(move || {
        if let Err(error) = converse(&shared, &stream) {
            log::say(&format!("a question about the network: {error}"));
        }
        shared.clients.fetch_sub(1, Ordering::Relaxed);
        // A wake that is not taken is one too many.
        let _ = (&*wake).write(&[0]);
    });
}

fn converse(shared: &Shared, stream: &UnixStream) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(SILENT_MAX))?;
    stream.set_write_timeout(Some(SILENT_MAX))?;
    let mut line = Vec::new();
    BufReader::new(stream).take(talk::LINE_MAX as u64 + 1).read_until(b'\n', &mut line)?;
    let answer = match talk::parse::<Ask>(&line) {
        Ok(ask) => shared.lock().answer(ask, shared.began.elapsed()),
        Err(error) => Answer::Refused { reason: error.to_string() },
    };
    let bytes = talk::line(&answer).map_err(io::Error::other)?;
    (&*stream).write_all(&bytes)
}

/// Ask for the time, again and again, and whenever the bell is rung.
fn keep_time(shared: &Shared, rung: &Receiver<()>) {
    let mut pause = ROUND;
    loop {
        if rung.recv_timeout(pause) == Err(RecvTimeoutError::Disconnected) {
            return;
        }
        let servers = shared.lock().time_servers();
        let came = match servers.is_empty() {
            true => Ok(None),
            false => sntp::round(&servers).map(Some).map_err(|error| log::chain(&error)),
        };
        pause = if came.is_ok() { ROUND } else { ROUND_AGAIN };
        shared.lock().told_time(servers, came, shared.began.elapsed());
    }
}

impl Shared {
    // The state is whole after every operation.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
