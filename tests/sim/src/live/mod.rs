//! The simulation in real time: [`World`] on pseudo-terminals and a socket.
//!
//! One thread, one loop: let the world live until now, deliver what is due,
//! sleep until the next byte, command or plant step.

mod pty;
mod socket;

pub use pty::Endpoint;
pub use socket::{ControlSocket, send};

use crate::control::Command;
use crate::scenario::{Scenario, ScenarioError};
use crate::world::{PortId, World};
use evenkeel_core::time::Nanos;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::fmt::Display;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Instant;

/// The plant moves at least so often.
const IDLE: Nanos = Nanos::from_millis(100);

/// Why a live simulation did not start or ended.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The scenario cannot be built.
    #[error("the scenario cannot be built")]
    Scenario(#[source] ScenarioError),
    /// Signals cannot be caught.
    #[error("could not prepare for signals")]
    Signals(#[source] io::Error),
    /// The control socket cannot be opened.
    #[error("could not open the control socket")]
    Socket(#[source] io::Error),
    /// A port cannot be made, removed, read or written.
    #[error("port {0} failed")]
    Port(String, #[source] io::Error),
    /// Waiting for the next event failed.
    #[error("could not wait for events")]
    Wait(#[source] io::Error),
    /// Nobody reads our announcement.
    #[error("could not announce the ports")]
    Announce(#[source] io::Error),
}

/// Run a scenario with its links in `dir` until `quit`, SIGTERM, SIGINT or the
/// end of `length`.
/// Writes one line `ready …` with all paths to `announce` when all is open.
///
/// # Errors
/// [`LiveError`]; links and socket are removed all the same.
pub fn run(
    scenario: &Scenario,
    dir: &Path,
    length: Option<Nanos>,
    announce: &mut dyn Write,
) -> Result<(), LiveError> {
    hurry();
    let signals = catch_signals().map_err(LiveError::Signals)?;
    let mut live = Live::open(scenario, dir)?;
    live.announce(announce).map_err(LiveError::Announce)?;
    let start = Instant::now();
    let now = || Nanos(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX));
    while !live.world.has_ended() && length.is_none_or(|end| now() < end) {
        live.deliver(now())?;
        if live.wait(now(), &signals).map_err(LiveError::Wait)? {
            break;
        }
        live.listen(now())?;
    }
    Ok(())
}

/// Real modules keep their time slots however busy the master's machine is.
/// Where the priority is refused, a busy machine makes replies late.
fn hurry() {
    if let Err(error) = rustix::process::setpriority_process(None, -20) {
        eprintln!("no higher priority ({error}): on a busy machine replies come late");
    }
}

struct Live {
    world: World,
    ports: Vec<(PortId, Endpoint)>,
    control: ControlSocket,
}

impl Live {
    fn open(scenario: &Scenario, dir: &Path) -> Result<Self, LiveError> {
        let world = World::new(scenario).map_err(LiveError::Scenario)?;
        let control = ControlSocket::open(dir.join("control")).map_err(LiveError::Socket)?;
        let ports = world.ports().into_iter();
        let ports = ports.map(|id| (id, Endpoint::new(dir.join(id.name())))).collect();
        let mut live = Self { world, ports, control };
        live.plug()?;
        Ok(live)
    }

    fn announce(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "ready control={}", self.control.path().display())?;
        for (id, endpoint) in &self.ports {
            write!(out, " {}={}", id.name(), endpoint.link().display())?;
        }
        writeln!(out)?;
        out.flush()
    }

    /// Bring the ports to the state that the world wants.
    fn plug(&mut self) -> Result<(), LiveError> {
        plug(&self.world, &mut self.ports)
    }

    fn deliver(&mut self, now: Nanos) -> Result<(), LiveError> {
        self.world.advance(now);
        for (id, endpoint) in &self.ports {
            let bytes = self.world.take(*id, now);
            if !bytes.is_empty() {
                endpoint.write(&bytes).map_err(|e| LiveError::Port(id.name(), e))?;
            }
        }
        Ok(())
    }

    /// Sleep until something is due; true when a signal wants an end.
    fn wait(&self, now: Nanos, signals: &UnixStream) -> io::Result<bool> {
        let due = self.world.next_due().unwrap_or(now + IDLE);
        let pause = due.since(now).min(IDLE).0;
        // Below 100 ms, so it fits any integer.
        let timeout = Timespec { tv_sec: 0, tv_nsec: pause as _ };
        let ports = self.ports.iter().filter_map(|(_, endpoint)| endpoint.fd());
        let fds = std::iter::once(signals.as_fd()).chain(ports).chain(self.control.fds());
        let mut fds: Vec<_> = fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) => Ok(fds.first().is_some_and(|signal| !signal.revents().is_empty())),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Take what the appliance wrote, and the commands.
    fn listen(&mut self, now: Nanos) -> Result<(), LiveError> {
        self.world.advance(now);
        for (id, endpoint) in &self.ports {
            let bytes = endpoint.read().map_err(|e| LiveError::Port(id.name(), e))?;
            if !bytes.is_empty() {
                self.world.hear(*id, now, &bytes);
            }
        }
        let Self { world, ports, control } = self;
        let mut plugged = Ok(());
        // Whoever reads `ok` finds the ports as he wanted them.
        control.serve(|line| {
            let answer = answer(world, line);
            if plugged.is_ok() {
                plugged = plug(world, ports);
            }
            answer
        });
        // A script may have moved them, too.
        plugged.and_then(|()| self.plug())
    }
}

fn plug(world: &World, ports: &mut [(PortId, Endpoint)]) -> Result<(), LiveError> {
    ports.iter_mut().try_for_each(|(id, endpoint)| {
        let plugged = world.is_plugged(*id);
        endpoint.set_plugged(plugged).map_err(|e| LiveError::Port(id.name(), e))
    })
}

/// A pipe that becomes readable at SIGTERM or SIGINT.
fn catch_signals() -> io::Result<UnixStream> {
    let (ours, theirs) = UnixStream::pair()?;
    signal_hook::low_level::pipe::register(SIGTERM, theirs.try_clone()?)?;
    signal_hook::low_level::pipe::register(SIGINT, theirs)?;
    Ok(ours)
}

/// Obey one line of the control socket.
fn answer(world: &mut World, line: &str) -> String {
    let error = |why: &dyn Display| format!("error {why}\n");
    match Command::parse(line) {
        Err(why) => error(&why),
        Ok(command) => match world.obey(command) {
            Err(why) => error(&why),
            Ok(data) => data.into_iter().chain(["ok".into()]).map(|line| line + "\n").collect(),
        },
    }
}
