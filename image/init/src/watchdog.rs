//! The watchdog before there is a guard: the first stage arms it, so that a
//! system that hangs anywhere on its way is found out, and the guard takes it
//! over with its own, shorter limit (`linux/watchdog.h`).
//!
//! Closing the device does not disarm it; only the guard's orderly stop does.

use crate::log;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags, open};
use rustix::ioctl::{Opcode, Updater, ioctl};
use std::io;
use std::path::Path;

/// Where it is, once its module is there.
const DEVICE: &str = "/dev/watchdog0";
/// From the first stage to the guard's first cycle, in seconds.
const LIMIT: i32 = 60;
/// A device that bites earlier than this would bite healthy starts, seconds.
const LIMIT_MIN: i32 = 20;
/// `_IOWR('W', 6, int)`.
const SET_TIMEOUT: Opcode = 0xc004_5706 as Opcode;

/// Arm it; a board without one goes on, and says so.
pub fn arm() {
    match Watchdog::open(Path::new(DEVICE)).and_then(Watchdog::limit) {
        Ok(seconds) => log::say(&format!("the watchdog bites in {seconds} s")),
        Err(error) => log::say(&format!("{DEVICE}: {error}; nothing finds a start that hangs")),
    }
}

/// The device, open: armed, and fed whenever that is asked for.
#[derive(Debug)]
pub struct Watchdog {
    device: OwnedFd,
}

impl Watchdog {
    /// For a long work between first stage and guard; `None`: there is none.
    #[must_use]
    pub fn hold() -> Option<Self> {
        Self::open(Path::new(DEVICE)).ok()
    }

    fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { device: open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())? })
    }

    /// Something was done.
    pub fn feed(&self) {
        // One that does not take it bites, which is the safe way round.
        let _ = rustix::io::write(&self.device, b".");
    }

    /// Set the limit for the start; the one in force, seconds.
    fn limit(self) -> io::Result<i32> {
        let seconds = set_timeout(&self.device, LIMIT)?;
        if seconds < LIMIT_MIN {
            // `V` is how a device is told that nobody feeds it, rightly.
            let _ = rustix::io::write(&self.device, b"V");
            let text = format!("it bites after {seconds} s at most, too early for a start");
            return Err(io::Error::other(text));
        }
        self.feed();
        Ok(seconds)
    }
}

/// Ask for a limit; the device answers with the one that it keeps.
#[allow(unsafe_code, reason = "watchdogs speak by ioctl")]
fn set_timeout(device: impl AsFd, seconds: i32) -> io::Result<i32> {
    let mut seconds = seconds;
    // SAFETY: this opcode reads and writes one `int`, which is ours while the
    // call lasts; a device that is no watchdog refuses it.
    unsafe { ioctl(device, Updater::<SET_TIMEOUT, i32>::new(&mut seconds))? };
    Ok(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_watchdog_is_said_to_be_none_and_feeds_are_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("watchdog0");
        assert!(Watchdog::open(&path).is_err());
        std::fs::write(&path, "").unwrap();
        let file = Watchdog::open(&path).unwrap();
        file.feed();
        file.feed();
        assert!(file.limit().is_err(), "a file has no limit");
        assert_eq!(std::fs::read(&path).unwrap(), b"..");
    }
}
