//! `evenkeel:log`: what a plugin tells a person.
//!
//! The guest chooses level and text; plugin name and time are the host's. A
//! message is one line of at most [`LINE_BYTES_MAX`]. Over quota, messages are
//! dropped and counted, and the count is told with the next one that fits.

use super::bucket::Bucket;
use super::meter::{Meter, Way};
use super::{Who, one_line};
use crate::clock;
use crate::plugin::bindings::log::log::Host;
use core::fmt;
use evenkeel_core::time::Nanos;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tracing::{debug, error, info, warn};

pub use crate::plugin::bindings::log::log::Level;

/// The interface.
pub const INTERFACE: &str = "evenkeel:log/log@0.1.0";
/// Longest line in bytes.
pub const LINE_BYTES_MAX: usize = 1_024;
/// Newest lines kept to be shown.
pub const LINES_MAX: usize = 64;
/// Messages that are let through at once.
pub const BURST: u32 = 50;
/// Afterwards, one message per this time.
pub const INTERVAL: Nanos = Nanos::from_millis(100);

/// The log of one plugin, and of the host where a plugin makes it speak: both
/// draw on one quota. Clones are the same log.
#[derive(Clone, Debug)]
pub struct Log {
    who: Who,
    meter: Arc<Meter>,
    inner: Arc<Mutex<Inner>>,
}

/// A line that a plugin, or the host about it, said.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Said {
    /// When, ms since 1970.
    pub unix_ms: u64,
    /// `error`, `warn`, `info` or `debug`.
    pub level: &'static str,
    /// What.
    pub text: String,
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.level, self.text)
    }
}

#[derive(Debug)]
struct Inner {
    bucket: Bucket,
    dropped: u64,
    lines: VecDeque<Said>,
}

impl Log {
    /// A log that speaks for `who`.
    #[must_use]
    pub fn new(who: Who) -> Self {
        let bucket = Bucket::new(BURST, INTERVAL, clock::now());
        let inner = Inner { bucket, dropped: 0, lines: VecDeque::new() };
        Self { who, meter: Arc::default(), inner: Arc::new(Mutex::new(inner)) }
    }

    /// The same log, which counts in `meter`.
    #[must_use]
    pub fn metered(self, meter: Arc<Meter>) -> Self {
        Self { meter, ..self }
    }

    /// The newest lines, oldest first.
    #[must_use]
    pub fn lines(&self) -> Vec<Said> {
        self.lock().lines.iter().cloned().collect()
    }

    /// Say something about the plugin, as long as it is within the quota.
    pub fn say(&self, level: Level, message: &str) {
        let now = clock::now();
        let Some((line, dropped)) = self.admit(level, message, now) else {
            let why =
                format_args!("more than {BURST} messages at once and 10 a second are dropped");
            return self.meter.refuse("log quota", &why, now);
        };
        let (plugin, points) = (self.who.name.as_str(), self.who.points.as_str());
        if dropped > 0 {
            warn!(plugin, points, "{dropped} messages of this plugin were dropped: too many");
        }
        match level {
            Level::Error => error!(plugin, points, "{line}"),
            Level::Warn => warn!(plugin, points, "{line}"),
            Level::Info => info!(plugin, points, "{line}"),
            Level::Debug => debug!(plugin, points, "{line}"),
        }
    }

    /// The line that stands for `message`, and how many were dropped before
    /// it; `None` when this one is dropped as well.
    fn admit(&self, level: Level, message: &str, now: Nanos) -> Option<(String, u64)> {
        let mut inner = self.lock();
        if !inner.bucket.admit(now) {
            inner.dropped += 1;
            return None;
        }
        let text = one_line(message, LINE_BYTES_MAX);
        if inner.lines.len() == LINES_MAX {
            inner.lines.pop_front();
        }
        let level = match level {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
        };
        inner.lines.push_back(Said { unix_ms: clock::unix_ms(), level, text: text.clone() });
        Some((text, std::mem::take(&mut inner.dropped)))
    }

    // A panic leaves whole values: each change is an assignment or one push.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Host for Log {
    fn write(&mut self, level: Level, message: String) {
        self.meter.sent(Way::Host, message.len());
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
        let passed = (0..1_000).filter(|_| log.admit(Level::Info, "x", now).is_some()).count();
        assert_eq!(passed, BURST as usize);
        let (line, dropped) =
            log.admit(Level::Info, "after\nwards", now + INTERVAL).expect("admitted");
        assert_eq!((line.as_str(), dropped), ("after\u{fffd}wards", 950));
        let (_, dropped) =
            log.admit(Level::Info, "y", now + INTERVAL + INTERVAL).expect("admitted");
        assert_eq!(dropped, 0);
    }

    #[test]
    fn a_clone_has_no_quota_of_its_own() {
        let log = Log::new(Who { name: "megatec".into(), points: "ups.0".into() });
        let (other, now) = (log.clone(), clock::now());
        assert_eq!(
            (0..1_000).filter(|_| log.admit(Level::Info, "x", now).is_some()).count(),
            BURST as usize
        );
        assert!(other.admit(Level::Info, "x", now).is_none());
    }

    #[test]
    fn a_hundred_megabytes_become_a_line() {
        let log = Log::new(Who { name: "megatec".into(), points: "ups.0".into() });
        let (line, _) =
            log.admit(Level::Info, &"x".repeat(100 << 20), clock::now()).expect("admitted");
        assert!(line.len() <= LINE_BYTES_MAX && line.ends_with('…'));
    }
}
