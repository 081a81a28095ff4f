//! The serial port of a battery bus: raw bytes that never wait, and one wait
//! for all ports.

use evenkeel_core::time::Nanos;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, FlockOperation, Mode, OFlags, flock, fstat, open};
use rustix::io::Errno;
use rustix::termios::{
    ControlModes, InputModes, OptionalActions, QueueSelector, tcflush, tcgetattr, tcsetattr,
};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Most battery buses of a guard, each with its own port.
pub const PORTS_MAX: usize = 2;

/// An open serial port.
#[derive(Debug)]
pub struct Port {
    fd: OwnedFd,
}

/// Why the port is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// It cannot be opened or set up.
    #[error("serial port cannot be opened")]
    Open(#[source] Errno),
    /// Reading or writing failed.
    #[error("serial port failed")]
    Io(#[source] Errno),
    /// The other side hung up: unplugged adapter, closed pseudo-terminal.
    #[error("serial port hung up")]
    HungUp,
}

impl PortError {
    /// The operating system's number; 0 for a hang-up.
    pub fn errno(&self) -> i32 {
        match self {
            Self::Open(errno) | Self::Io(errno) => errno.raw_os_error(),
            Self::HungUp => 0,
        }
    }

    /// What a number from [`Self::errno`] means, for people.
    pub fn describe(errno: i32) -> String {
        if errno == 0 {
            return "hung up".to_owned();
        }
        match Errno::from_raw_os_error(errno) {
            Errno::ISDIR => "is a folder, not a serial port".to_owned(),
            Errno::NOTTY => "is not a serial port".to_owned(),
            Errno::WOULDBLOCK => "is held by another program".to_owned(),
            Errno::TIMEDOUT => "takes no more bytes: its flow is stopped or stuck".to_owned(),
            _ => std::io::Error::from_raw_os_error(errno).to_string(),
        }
    }
}

impl Port {
    /// Open `path` as a raw line of `baud` bit/s, 8N1, no flow control.
    ///
    /// # Errors
    /// [`PortError::Open`]: absent, not a serial port, or locked by another
    /// program that looks at locks.
    pub fn open(path: &Path, baud: u32) -> Result<Self, PortError> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = open(path, flags, Mode::empty()).map_err(PortError::Open)?;
        // Nothing but a character device is locked or set up, not even briefly.
        let kind = fstat(&fd).map(|s| FileType::from_raw_mode(s.st_mode));
        if kind.map_err(PortError::Open)? != FileType::CharacterDevice {
            return Err(PortError::Open(Errno::NOTTY));
        }
        flock(&fd, FlockOperation::NonBlockingLockExclusive).map_err(PortError::Open)?;
        let mut line = tcgetattr(&fd).map_err(PortError::Open)?;
        line.make_raw();
        // "Raw" leaves these as the last program had them.
        line.control_modes |= ControlModes::CREAD | ControlModes::CLOCAL;
        line.control_modes -= ControlModes::CSTOPB | ControlModes::CRTSCTS;
        line.input_modes -= InputModes::IXOFF | InputModes::IXANY | InputModes::INPCK;
        line.set_speed(baud).map_err(PortError::Open)?;
        tcsetattr(&fd, OptionalActions::Now, &line).map_err(PortError::Open)?;
        tcflush(&fd, QueueSelector::IOFlush).map_err(PortError::Open)?;
        Ok(Self { fd })
    }

    /// Write what the kernel takes now: how many bytes that were, 0 when its
    /// buffer is full.
    ///
    /// # Errors
    /// When the port is gone.
    pub fn write(&mut self, bytes: &[u8]) -> Result<usize, PortError> {
        match rustix::io::write(&self.fd, bytes) {
            Ok(0) if !bytes.is_empty() => Err(PortError::HungUp),
            Ok(n) => Ok(n),
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            Err(error) => Err(PortError::Io(error)),
        }
    }

    /// Read what is there: how many bytes, 0 when there is nothing.
    ///
    /// # Errors
    /// When the port is gone.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, PortError> {
        match rustix::io::read(&self.fd, buffer) {
            // A terminal that lives says "again", never "end".
            Ok(0) => Err(PortError::HungUp),
            Ok(n) => Ok(n),
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            Err(error) => Err(PortError::Io(error)),
        }
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        // Closing would wait for the output to drain, up to 30 s on a stuck
        // line; and what is still to go out is a command of the past. A port
        // that is gone has nothing to flush.
        let _ = tcflush(&self.fd, QueueSelector::OFlush);
    }
}

/// A port to wait for.
#[derive(Debug)]
pub struct Waiting<'a> {
    /// The port.
    pub port: &'a Port,
    /// Wait until it takes bytes, not only until it has some.
    pub to_write: bool,
}

/// Wait until `until`, or until one of the ports is ready or failed. Which one
/// shows when it is read or written; a port that is gone fails there.
pub fn wait(ports: [Option<Waiting<'_>>; PORTS_MAX], until: Nanos) {
    let left = until.since(now()).0;
    let timeout =
        Timespec { tv_sec: (left / 1_000_000_000) as i64, tv_nsec: (left % 1_000_000_000) as i64 };
    // An interrupted or refused wait is a look at which nothing was ready.
    let _ = match &ports {
        [Some(one), Some(other)] => poll(&mut [entry(one), entry(other)], Some(&timeout)),
        [Some(one), None] | [None, Some(one)] => poll(&mut [entry(one)], Some(&timeout)),
        [None, None] => poll(&mut [], Some(&timeout)),
    };
}

fn entry<'a>(waiting: &Waiting<'a>) -> PollFd<'a> {
    let flags = if waiting.to_write { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
    PollFd::from_borrowed_fd(waiting.port.fd.as_fd(), flags)
}

/// The monotonic clock.
pub fn now() -> Nanos {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Nanos(t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use std::path::PathBuf;

    /// Our side of a pseudo-terminal, and the path of the other.
    fn pair() -> (OwnedFd, PathBuf) {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pty");
        grantpt(&ours).and_then(|()| unlockpt(&ours)).expect("granted");
        let name = ptsname(&ours, Vec::new()).expect("a name");
        (ours, name.into_string().expect("plain text").into())
    }

    fn refusal(path: &Path) -> String {
        PortError::describe(Port::open(path, 115_200).expect_err("refused").errno())
    }

    #[test]
    fn what_is_no_serial_port_is_refused_by_name() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("file");
        std::fs::write(&file, "precious").expect("written");
        let socket = dir.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("bound");
        assert_eq!(refusal(dir.path()), "is a folder, not a serial port");
        assert_eq!(refusal(&file), "is not a serial port");
        assert_eq!(refusal(Path::new("/dev/null")), "is not a serial port");
        // What a device that is going away says, too (ENXIO).
        assert!(refusal(&socket).contains("No such device or address"));
        assert!(refusal(&dir.path().join("absent")).contains("No such file"));
        assert_eq!(std::fs::read_to_string(&file).expect("readable"), "precious");
        let (_ours, path) = pair();
        let _held = Port::open(&path, 115_200).expect("opened");
        assert_eq!(refusal(&path), "is held by another program");
    }

    #[test]
    fn a_hang_up_is_an_error_and_wakes_the_wait() {
        let (ours, path) = pair();
        let mut port = Port::open(&path, 115_200).expect("opened");
        assert_eq!(port.read(&mut [0; 8]), Ok(0));
        drop(ours);
        let start = now();
        wait([Some(Waiting { port: &port, to_write: false }), None], start + Nanos::from_secs(5));
        assert!(now().since(start) < Nanos::from_secs(1), "woken by the hang-up");
        let read = port.read(&mut [0; 8]).expect_err("gone");
        assert!(matches!(read, PortError::HungUp | PortError::Io(Errno::IO)), "{read:?}");
        assert_eq!(port.write(b"x"), Err(PortError::Io(Errno::IO)));
    }

    #[test]
    fn a_stuck_line_takes_a_bounded_number_of_bytes_and_never_blocks() {
        let (_ours, path) = pair();
        let mut port = Port::open(&path, 115_200).expect("opened");
        let mut taken = 0;
        // Nobody reads: the kernel's buffer fills up, and then nothing is taken.
        let full = (0..10_000).any(|_| {
            let n = port.write(&[0x55; 256]).expect("alive");
            taken += n;
            n == 0
        });
        assert!(full && taken < 1 << 20, "{taken}");
        let start = now();
        drop(port);
        assert!(now().since(start) < Nanos::from_secs(1), "closing does not wait to drain");
    }
}
