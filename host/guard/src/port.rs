//! The serial port of the battery bus: raw bytes, deadlines, and no waiting
//! beyond them.

use evenkeel_core::time::Nanos;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::io::Errno;
use rustix::termios::{
    ControlModes, InputModes, OptionalActions, QueueSelector, tcflush, tcgetattr, tcsetattr,
};
use std::os::fd::OwnedFd;
use std::path::Path;

/// An open serial port.
pub struct Port {
    fd: OwnedFd,
}

/// Why the port is gone.
#[derive(Debug, thiserror::Error)]
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

    /// Write all of `bytes` (one frame: the kernel's buffer holds several).
    ///
    /// # Errors
    /// When the port is gone, or its buffer is still full at `deadline`.
    pub fn write(&mut self, mut bytes: &[u8], deadline: Nanos) -> Result<(), PortError> {
        while !bytes.is_empty() {
            match rustix::io::write(&self.fd, bytes) {
                Ok(0) => return Err(PortError::HungUp),
                Ok(n) => bytes = &bytes[n..],
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    if !self.wait(PollFlags::OUT, deadline)? {
                        return Err(PortError::Io(Errno::TIMEDOUT));
                    }
                }
                Err(error) => return Err(PortError::Io(error)),
            }
        }
        Ok(())
    }

    /// Wait for bytes until `deadline`; returns how many were read, 0 when
    /// the deadline came first.
    ///
    /// # Errors
    /// When the port is gone.
    pub fn read(&mut self, buffer: &mut [u8], deadline: Nanos) -> Result<usize, PortError> {
        if !self.wait(PollFlags::IN, deadline)? {
            return Ok(0);
        }
        match rustix::io::read(&self.fd, buffer) {
            Ok(0) => Err(PortError::HungUp),
            Ok(n) => Ok(n),
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            Err(error) => Err(PortError::Io(error)),
        }
    }

    /// True when ready, false when the deadline came first.
    fn wait(&self, ready: PollFlags, deadline: Nanos) -> Result<bool, PortError> {
        loop {
            let left = deadline.since(now()).0;
            let timeout = Timespec {
                tv_sec: (left / 1_000_000_000) as i64,
                tv_nsec: (left % 1_000_000_000) as i64,
            };
            let mut fds = [PollFd::new(&self.fd, ready)];
            match poll(&mut fds, Some(&timeout)) {
                Err(Errno::INTR) => {}
                Ok(0) => return Ok(false),
                Ok(_) if fds[0].revents().intersects(ready) => return Ok(true),
                Ok(_) => return Err(PortError::HungUp),
                Err(error) => return Err(PortError::Io(error)),
            }
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

/// The monotonic clock.
pub fn now() -> Nanos {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Nanos(t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64)
}
