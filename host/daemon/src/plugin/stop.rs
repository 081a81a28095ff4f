//! How a plugin's thread is told to stop, whatever it is waiting for.
//!
//! The signal is a file descriptor that becomes readable and stays so: every
//! wait in a host function is a `poll` on it, alone or with a device, and
//! wakes at once. A plugin that computes instead of waiting is ended by the
//! second stage, [`Stop::kill`], at the next tick of the engine's clock.

use crate::clock;
use evenkeel_core::time::Nanos;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The signal for one plugin.
#[derive(Debug)]
pub struct Stop {
    requested: AtomicBool,
    killed: AtomicBool,
    wake: OwnedFd,
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// The device has these events.
    Ready(PollFlags),
    /// The plugin is to stop.
    Stopped,
    /// The deadline passed.
    TimedOut,
}

impl Stop {
    /// A signal that nobody has given yet.
    ///
    /// # Errors
    /// What the system says when it has no descriptor left.
    pub fn new() -> io::Result<Self> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { requested: AtomicBool::new(false), killed: AtomicBool::new(false), wake })
    }

    /// Ask the plugin to stop: waits end, the call that runs may finish.
    pub fn request(&self) {
        self.requested.store(true, Ordering::Release);
        // Fails only when the counter is full, which is as readable as can be.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    /// End the call that runs, too.
    pub fn kill(&self) {
        self.killed.store(true, Ordering::Release);
        self.request();
    }

    /// Whether the plugin is to stop.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.requested.load(Ordering::Acquire)
    }

    /// Whether the running call is to be ended.
    #[must_use]
    pub fn is_killed(&self) -> bool {
        self.killed.load(Ordering::Acquire)
    }

    /// Wait; true when the plugin is to stop.
    pub fn wait(&self, time: Duration) -> bool {
        let time = Nanos(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        // Without a device the wait cannot fail for a reason that a caller
        // could act on; being asked to stop is always visible in the flag.
        let _ = self.wait_on(None, clock::now() + time);
        self.is_requested()
    }

    /// Wait until `device` has one of the events, or until `deadline` on the
    /// monotonic clock. Being asked to stop comes before a ready device.
    ///
    /// # Errors
    /// What the system says about the wait itself, never about the device.
    pub fn wait_for(
        &self,
        device: BorrowedFd<'_>,
        events: PollFlags,
        deadline: Nanos,
    ) -> io::Result<Woken> {
        self.wait_on(Some((device, events)), deadline)
    }

    fn wait_on(
        &self,
        device: Option<(BorrowedFd<'_>, PollFlags)>,
        deadline: Nanos,
    ) -> io::Result<Woken> {
        loop {
            let left = deadline.since(clock::now());
            let wake = PollFd::new(&self.wake, PollFlags::IN);
            let woken = match device {
                Some((fd, events)) => {
                    let mut fds = [wake, PollFd::from_borrowed_fd(fd, events)];
                    let count = poll(&mut fds, Some(&timespec(left)));
                    count.map(|count| (count, fds[1].revents()))
                }
                None => poll(&mut [wake], Some(&timespec(left))).map(|n| (n, PollFlags::empty())),
            };
            match woken {
                _ if self.is_requested() => return Ok(Woken::Stopped),
                Ok((_, events)) if !events.is_empty() => return Ok(Woken::Ready(events)),
                // A wait may end a little early; only the clock decides.
                Ok(_) if clock::now() >= deadline => return Ok(Woken::TimedOut),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn timespec(span: Nanos) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(span.0 / 1_000_000_000).unwrap_or(i64::MAX),
        tv_nsec: (span.0 % 1_000_000_000) as _,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Instant;

    #[test]
    fn a_wait_lasts_its_time_and_no_longer() {
        let stop = Stop::new().expect("a descriptor");
        let begun = Instant::now();
        assert!(!stop.wait(Duration::from_millis(30)));
        assert!(begun.elapsed() >= Duration::from_millis(30));
    }

    #[test]
    fn a_request_wakes_at_once_and_for_good() {
        let stop = Arc::new(Stop::new().expect("a descriptor"));
        let other = Arc::clone(&stop);
        let begun = Instant::now();
        let thread = std::thread::spawn(move || other.wait(Duration::from_secs(60)));
        std::thread::sleep(Duration::from_millis(20));
        stop.request();
        assert!(thread.join().expect("no panic"));
        assert!(stop.wait(Duration::from_secs(60)));
        assert!(begun.elapsed() < Duration::from_secs(10));
        assert!(!stop.is_killed());
    }

    #[test]
    fn a_ready_device_is_told_from_a_silent_one() {
        let stop = Stop::new().expect("a descriptor");
        let (end, other) = std::os::unix::net::UnixStream::pair().expect("a pair");
        use std::os::fd::AsFd as _;
        let soon = || clock::now() + Nanos::from_millis(20);
        let woken = stop.wait_for(end.as_fd(), PollFlags::IN, soon()).expect("waits");
        assert_eq!(woken, Woken::TimedOut);
        std::io::Write::write_all(&mut &other, b"x").expect("written");
        let woken = stop.wait_for(end.as_fd(), PollFlags::IN, soon()).expect("waits");
        assert_eq!(woken, Woken::Ready(PollFlags::IN));
        stop.request();
        let woken = stop.wait_for(end.as_fd(), PollFlags::IN, soon()).expect("waits");
        assert_eq!(woken, Woken::Stopped);
    }
}
