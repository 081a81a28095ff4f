//! `evenkeel:log`: what a plugin tells a person.
//!
//! The guest chooses level and text; plugin name and time are the host's. A
//! message is one line of at most [`LINE_BYTES_MAX`]. Over quota, messages are
//! dropped and counted, and the count is told with the next one that fits.

use super::bucket::Bucket;
use super::{Who, one_line};
use crate::clock;
use crate::plugin::bindings::log::log::Host;
use evenkeel_core::time::Nanos;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tracing::{debug, error, info, warn};

pub use crate::plugin::bindings::log::log::Level;

/// The interface.
pub const INTERFACE: &str = "evenkeel:log/log@0.1.0";
/// Longest line in bytes.
pub const LINE_BYTES_MAX: usize = 1_024;
/// Messages that are let through at once.
pub const BURST: u32 = 50;
/// Afterwards, one message per this time.
pub const INTERVAL: Nanos = Nanos::from_millis(100);
/// Lines that are remembered for a report.
pub const RECENT_MAX: usize = 32;

/// The log of one plugin, and of the host where a plugin makes it speak: both
/// draw on one quota. Clones are the same log.
#[derive(Clone, Debug)]
pub struct Log {
    who: Who,
    quota: Arc<Mutex<Quota>>,
}

#[derive(Debug)]
struct Quota {
    bucket: Bucket,
    dropped: u64,
    recent: VecDeque<String>,
}

impl Log {
    /// A log that speaks for `who`.
    #[must_use]
    pub fn new(who: Who) -> Self {
        let bucket = Bucket::new(BURST, INTERVAL, clock::now());
        Self {
            who,
            quota: Arc::new(Mutex::new(Quota { bucket, dropped: 0, recent: VecDeque::new() })),
        }
    }

    /// Say something about the plugin, as long as it is within the quota.
    pub fn say(&self, level: Level, message: &str) {
        let Some((line, dropped)) = self.admit(message, clock::now()) else { return };
        let (plugin, points) = (self.who.name.as_str(), self.who.points.as_str());
        if dropped > 0 {
            warn!(plugin, points, "{dropped} messages of this plugin were dropped: too many");
        }
        self.remember(level, &line);
        match level {
            Level::Error => error!(plugin, points, "{line}"),
            Level::Warn => warn!(plugin, points, "{line}"),
            Level::Info => info!(plugin, points, "{line}"),
            Level::Debug => debug!(plugin, points, "{line}"),
        }
    }

    /// The last lines, oldest first, each with its level.
    #[must_use]
    pub fn recent(&self) -> Vec<String> {
        self.lock().recent.iter().cloned().collect()
    }

    fn remember(&self, level: Level, line: &str) {
        let level = match level {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
        };
        let mut quota = self.lock();
        if quota.recent.len() == RECENT_MAX {
            quota.recent.pop_front();
        }
        quota.recent.push_back(format!("{level}: {line}"));
    }

    // A panic leaves whole values: each change is an assignment.
    fn lock(&self) -> MutexGuard<'_, Quota> {
        self.quota.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The line that stands for `message`, and how many were dropped before
    /// it; `None` when this one is dropped as well.
    fn admit(&self, message: &str, now: Nanos) -> Option<(String, u64)> {
        let mut quota = self.lock();
        if !quota.bucket.admit(now) {
            quota.dropped += 1;
            return None;
        }
        Some((one_line(message, LINE_BYTES_MAX), std::mem::take(&mut quota.dropped)))
    }
}

impl Host for Log {
    fn write(&mut self, level: Level, message: String) {
        self.say(level, &message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_dropped_and_counted() {
        let log = Log::new(Who { name: "megatec".into(), points: "ups.0".into() });
        let now = clock::now();
        let passed = (0..1_000).filter(|_| log.admit("x", now).is_some()).count();
        assert_eq!(passed, BURST as usize);
        let (line, dropped) = log.admit("after\nwards", now + INTERVAL).expect("admitted");
        assert_eq!((line.as_str(), dropped), ("after\u{fffd}wards", 950));
        let (_, dropped) = log.admit("y", now + INTERVAL + INTERVAL).expect("admitted");
        assert_eq!(dropped, 0);
    }

    #[test]
    fn a_clone_has_no_quota_of_its_own() {
        let log = Log::new(Who { name: "megatec".into(), points: "ups.0".into() });
        let (other, now) = (log.clone(), clock::now());
        assert_eq!((0..1_000).filter(|_| log.admit("x", now).is_some()).count(), BURST as usize);
        assert!(other.admit("x", now).is_none());
    }

    #[test]
    fn a_hundred_megabytes_become_a_line() {
        let log = Log::new(Who { name: "megatec".into(), points: "ups.0".into() });
        let (line, _) = log.admit(&"x".repeat(100 << 20), clock::now()).expect("admitted");
        assert!(line.len() <= LINE_BYTES_MAX && line.ends_with('…'));
    }
}
