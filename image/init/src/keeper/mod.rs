//! The keeper of the slots: the only program that writes a slot or the state
//! record while the appliance runs. It has no network; the daemon asks it over
//! a local socket ([`talk`]), and everything that comes from there is judged
//! again ([`install`]).
//!
//! It also decides whether a new system has proved itself ([`health`]), and
//! goes back when it has not. Why stands in the state record and is told to the
//! daemon, which makes an event of it.

mod desk;
mod health;
mod install;
mod permanent;

use crate::{command_line, log, partition, state};
use desk::{Desk, DeskError};
use evenkeel_signing::slot::talk::{self, Answer, Ask};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::socket_peercred;
use std::fs::{self, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Time between two looks at the health.
const LOOK: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };
/// Connections at the same time: one that installs, and one that asks.
const CLIENTS_MAX: usize = 4;
/// A connection that says nothing for so long is closed.
const SILENT_MAX: Duration = Duration::from_secs(60);
/// Where the daemon leaves the first password, for whoever stands in front of
/// the appliance.
const FIRST_PASSWORD: &str = "/data/daemon/store/first-password";

/// Run until the appliance stops.
pub fn run() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::say(&format!("the keeper of the slots failed: {}", log::chain(&error)));
            ExitCode::FAILURE
        }
    }
}

fn serve() -> Result<(), DeskError> {
    let system = |what| move |source| DeskError::System { what, source };
    let words = fs::read_to_string("/proc/cmdline").map_err(system("read the command line"))?;
    let slot = command_line::slot(&words).ok_or(DeskError::NoSlot)?;
    let state = partition::find(state::PARTITION).map_err(system("find the state record"))?;
    let desk = Desk::open(slot, &state)?;
    let listener = listen(Path::new(talk::SOCKET)).map_err(system("listen for the daemon"))?;
    let desk = Arc::new(Mutex::new(desk));
    let (began, clients) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
    let mut password = None;
    loop {
        let mut waits = [PollFd::new(&listener, PollFlags::IN)];
        // Interrupted is as good as over.
        let _ = poll(&mut waits, Some(&LOOK));
        lock(&desk).look(began.elapsed());
        show_first_password(&mut password);
        let Ok((stream, _)) = listener.accept() else { continue };
        if clients.fetch_add(1, Ordering::Relaxed) >= CLIENTS_MAX || !is_for_us(&stream) {
            clients.fetch_sub(1, Ordering::Relaxed);
            continue;
        }
        let (desk, clients) = (Arc::clone(&desk), Arc::clone(&clients));
        std::thread::spawn(move || {
            if let Err(error) = converse(&stream, &desk, began) {
                log::say(&format!("a question about the slots: {error}"));
            }
            clients.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    chown(path, Some(crate::supervisor::DAEMON), Some(0))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// The daemon asks, and nobody else.
fn is_for_us(stream: &UnixStream) -> bool {
    socket_peercred(stream).is_ok_and(|peer| peer.uid.as_raw() == crate::supervisor::DAEMON)
}

fn converse(stream: &UnixStream, desk: &Mutex<Desk>, began: Instant) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(SILENT_MAX))?;
    stream.set_write_timeout(Some(SILENT_MAX))?;
    let mut input = BufReader::new(stream);
    loop {
        let mut line = Vec::new();
        if (&mut input).take(talk::LINE_MAX as u64 + 1).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let answer = match talk::parse(&line) {
            Ok(Ask::Install { length, from }) => {
                answer(desk::install(desk, &mut input, length, from))
            }
            Ok(Ask::Keyring { length, now_unix_s }) => {
                answer(desk::accept(desk, &mut input, length, now_unix_s))
            }
            Ok(ask) => lock(desk).answer(ask, began.elapsed()),
            Err(error) => Answer::Refused { reason: error.to_string() },
        };
        let bytes = talk::line(&answer).map_err(io::Error::other)?;
        (&*stream).write_all(&bytes)?;
        if matches!(answer, Answer::Refused { .. }) {
            // What follows may be the rest of a bundle, and no line.
            return Ok(());
        }
    }
}

fn answer(result: Result<(), DeskError>) -> Answer {
    match result {
        Ok(()) => Answer::Done,
        Err(error) => Answer::Refused { reason: log::chain(&error) },
    }
}

/// Show the first password on the serial console, once each time it changes:
/// who reads that stands in front of the appliance.
fn show_first_password(shown: &mut Option<String>) {
    let Ok(text) = fs::read_to_string(FIRST_PASSWORD) else { return };
    if text.is_empty() || text.len() > 200 || shown.as_ref() == Some(&text) {
        return;
    }
    let console = OpenOptions::new().write(true).open("/dev/console");
    let said = console.and_then(|mut console| {
        writeln!(console, "evenkeel: first password of admin: {}\r", text.trim())
    });
    // Without a console there is nobody to tell; it is tried again.
    if said.is_ok() {
        *shown = Some(text);
    }
}

// The desk is whole after every operation.
fn lock(desk: &Mutex<Desk>) -> MutexGuard<'_, Desk> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}
