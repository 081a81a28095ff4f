//! The watchdog: a device that restarts the appliance when it is not fed.
//!
//! It is fed by progress alone: by the cycle thread, at the end of a cycle
//! that published in time. No timer and no other thread feeds it, so that a
//! loop that hangs, starves or keeps missing its deadlines is found out. Only
//! an orderly stop disarms it (the "magic close").

use crate::sys;
use evenkeel_core::time::Nanos;
use rustix::fs::{Mode, OFlags, open};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// The device is asked for so many cycles, and for no less than so many
/// seconds: a restart must be the last resort.
const CYCLES: u64 = 5;
const SECONDS_MIN: i32 = 10;
/// A device that bites within so many cycles bites healthy guards.
const CYCLES_MIN: u64 = 3;

/// What kind of device a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A watchdog of the operating system.
    Device,
    /// Anything that records what is written: for tests.
    Fake,
}

/// An armed watchdog.
#[derive(Debug)]
pub struct Watchdog {
    fd: OwnedFd,
    /// It bites after so long; `None`: never.
    limit: Option<Nanos>,
}

impl Watchdog {
    /// Open and arm it.
    ///
    /// # Errors
    /// When it cannot be opened, is no watchdog, or bites too early for this
    /// cycle and cannot be told otherwise.
    pub fn open(path: &Path, kind: Kind, cycle: Nanos) -> io::Result<Self> {
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = open(path, flags, Mode::empty())?;
        let mut this = Self { fd, limit: None };
        if kind == Kind::Device {
            let seconds = this.limit_to(wanted_seconds(cycle))?;
            if Nanos::from_secs(seconds) < Nanos(cycle.0 * CYCLES_MIN) {
                this.disarm();
                let text = format!("it bites after {seconds} s, too early for this cycle");
                return Err(io::Error::new(io::ErrorKind::Unsupported, text));
            }
            this.limit = Some(Nanos::from_secs(seconds));
        }
        Ok(this)
    }

    /// The longest cycle that it bears: its time cannot be changed once the guard
    /// is confined.
    pub fn cycle_max(&self) -> Option<Nanos> {
        self.limit.map(|limit| Nanos(limit.0 / CYCLES_MIN))
    }

    /// A cycle has published at `done` and should have by `end`: the only
    /// reason to feed, and none when it was late. Never waits.
    ///
    /// # Errors
    /// When the device did not take its feed; it will bite if that goes on.
    pub fn cycle_done(&mut self, done: Nanos, end: Nanos) -> io::Result<()> {
        if done > end { Ok(()) } else { self.feed() }
    }

    fn feed(&mut self) -> io::Result<()> {
        match rustix::io::write(&self.fd, b".")? {
            1 => Ok(()),
            _ => Err(io::ErrorKind::WriteZero.into()),
        }
    }

    /// An orderly stop: `V` tells the device that nobody feeds it any more,
    /// and that this is right.
    pub fn disarm(self) {
        // A device that does not take it bites: the safe way round.
        let _ = rustix::io::write(&self.fd, b"V");
    }

    /// Ask for a time limit; the one in force, in seconds.
    fn limit_to(&self, seconds: i32) -> io::Result<u64> {
        let device = self.fd.as_fd();
        // A device with a fixed limit can still say which.
        let limit = sys::set_watchdog_timeout(device, seconds)
            .or_else(|_| sys::watchdog_timeout(device))?;
        Ok(u64::try_from(limit).unwrap_or(0))
    }
}

fn wanted_seconds(cycle: Nanos) -> i32 {
    let seconds = Nanos(cycle.0.saturating_mul(CYCLES)).0.div_ceil(1_000_000_000);
    i32::try_from(seconds).unwrap_or(i32::MAX).max(SECONDS_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CYCLE: Nanos = Nanos::from_secs(1);

    #[test]
    fn feeds_are_bytes_and_only_a_stop_disarms() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("watchdog");
        std::fs::write(&path, "").expect("made");
        let fed = || std::fs::read_to_string(&path).expect("readable");
        let mut watchdog = Watchdog::open(&path, Kind::Fake, CYCLE).expect("opened");
        assert_eq!(fed(), "", "opening does not feed");
        watchdog.feed().and_then(|()| watchdog.feed()).expect("fed");
        drop(watchdog);
        assert_eq!(fed(), "..", "a crash does not disarm");
        Watchdog::open(&path, Kind::Fake, CYCLE).expect("opened").disarm();
        assert_eq!(fed(), "..V");
    }

    /// Cycles on a clock of the test's: each is said when it is done.
    #[test]
    fn cycles_that_hang_or_are_late_do_not_feed() {
        let (ours, theirs) = rustix::pipe::pipe().expect("a pipe");
        rustix::fs::fcntl_setfl(&ours, OFlags::NONBLOCK).expect("set");
        let mut watchdog = Watchdog { fd: theirs, limit: None };
        let mut cycle = |number: u64, took_ms: Option<u64>| {
            let start = Nanos(number * CYCLE.0);
            // A cycle that hangs never comes to its end.
            if let Some(ms) = took_ms {
                let done = start + Nanos::from_millis(ms);
                watchdog.cycle_done(done, start + CYCLE).expect("taken");
            }
            let mut fed = [0; 8];
            rustix::io::read(&ours, &mut fed).unwrap_or(0)
        };
        let took = [Some(200), Some(1_000), Some(1_001), None, None, Some(30_000), Some(999)];
        let fed: Vec<_> = (1..).zip(took).map(|(number, took)| cycle(number, took)).collect();
        assert_eq!(fed, [1, 1, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn what_is_no_watchdog_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("file");
        std::fs::write(&path, "").expect("made");
        assert!(Watchdog::open(&path, Kind::Device, CYCLE).is_err());
        assert!(Watchdog::open(Path::new("/dev/null"), Kind::Device, CYCLE).is_err());
        assert!(Watchdog::open(&dir.path().join("absent"), Kind::Fake, CYCLE).is_err());
    }

    #[test]
    fn a_device_that_takes_nothing_never_blocks() {
        let (_ours, theirs) = rustix::pipe::pipe().expect("a pipe");
        rustix::fs::fcntl_setfl(&theirs, OFlags::NONBLOCK).expect("set");
        let mut watchdog = Watchdog { fd: theirs, limit: None };
        let fed = (0..1_000_000).take_while(|_| watchdog.feed().is_ok()).count();
        assert!((1..1_000_000).contains(&fed), "{fed}");
    }

    #[test]
    fn the_limit_is_several_cycles_and_never_short() {
        assert_eq!(wanted_seconds(Nanos::from_millis(500)), 10);
        assert_eq!(wanted_seconds(Nanos::from_millis(8_000)), 40);
        assert_eq!(wanted_seconds(Nanos(u64::MAX)), i32::MAX);
    }
}
