//! What crosses a plugin's borders: bytes, which are counted, and attempts
//! beyond a grant or a quota, which are told.
//!
//! Such an attempt is an error value for the guest, and it could try for ever
//! without anybody noticing. So each kind of it is kept here until the
//! plugin's thread tells of it ([`Meter::take_news`]), at most once an hour: a
//! person sees who tried what, and nobody can fill the log with it.
//! (facts/wasm-host.md §15.)

use super::one_line;
use crate::clock;
use core::fmt;
use evenkeel_core::time::Nanos;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The same kind of attempt is told again after this time.
pub const TOLD_AGAIN: Nanos = Nanos::from_secs(3_600);
/// Longest reason in bytes.
const REASON_LEN_MAX: usize = 400;

/// Over which border bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Serial lines.
    Serial,
    /// USB devices.
    Usb,
    /// Peers and connections of listeners.
    Net,
    /// Between plugin and host: texts and lists, without what goes on over
    /// one of the other ways.
    Host,
}

/// Bytes that a plugin sent and received, over its restarts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Traffic {
    /// Sent on serial lines.
    pub serial_sent: u64,
    /// Received on serial lines.
    pub serial_received: u64,
    /// Sent to USB devices, in reports.
    pub usb_sent: u64,
    /// Received from USB devices, in reports.
    pub usb_received: u64,
    /// Sent to peers, and to the clients of its listeners.
    pub net_sent: u64,
    /// Received from them.
    pub net_received: u64,
    /// Handed to the host: points, log lines, values to be kept, …
    pub host_sent: u64,
    /// Handed to it by the host: values of points, events, commands, …
    pub host_received: u64,
}

/// An error of a capability, which may mean that a plugin reached too far.
pub trait Beyond: fmt::Display {
    /// A few words for the limit that it met: a grant or a quota. `None` for
    /// what can happen to a plugin that keeps within both.
    fn beyond(&self) -> Option<&'static str>;
}

/// What is counted and noted of one plugin.
#[derive(Debug, Default)]
pub struct Meter {
    sent: [AtomicU64; 4],
    received: [AtomicU64; 4],
    refused: AtomicU64,
    attempts: Mutex<Attempts>,
}

/// By kind; kinds are few, each is a text of this program.
#[derive(Debug, Default)]
struct Attempts {
    kinds: BTreeMap<&'static str, Attempt>,
    last: Option<String>,
}

#[derive(Debug)]
struct Attempt {
    at: Nanos,
    /// Not told yet.
    news: Option<String>,
}

impl Meter {
    /// The plugin sent so many bytes.
    pub fn sent(&self, way: Way, bytes: usize) {
        self.sent[way as usize].fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// It was given so many bytes.
    pub fn received(&self, way: Way, bytes: usize) {
        self.received[way as usize].fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// A result for the guest; noted when it is an attempt beyond a limit.
    ///
    /// # Errors
    /// The one of the result.
    pub fn noted<T, E: Beyond>(&self, result: Result<T, E>) -> Result<T, E> {
        result.inspect_err(|error| {
            if let Some(kind) = error.beyond() {
                self.refuse(kind, error, clock::now());
            }
        })
    }

    /// The plugin was refused something at `now`. A flood of them costs a
    /// comparison each.
    pub fn refuse(&self, kind: &'static str, why: &dyn fmt::Display, now: Nanos) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let mut attempts = self.lock();
        let known = attempts.kinds.get(kind).is_some_and(|a| now.since(a.at) < TOLD_AGAIN);
        if !known {
            let text = one_line(&format!("{kind}: {why}"), REASON_LEN_MAX);
            attempts.kinds.insert(kind, Attempt { at: now, news: Some(text.clone()) });
            attempts.last = Some(text);
        }
    }

    /// What was not told yet.
    pub fn take_news(&self) -> Vec<String> {
        if self.refused.load(Ordering::Relaxed) == 0 {
            return Vec::new();
        }
        self.lock().kinds.values_mut().filter_map(|attempt| attempt.news.take()).collect()
    }

    /// How often it was refused something, and what was told last.
    #[must_use]
    pub fn refusals(&self) -> (u64, Option<String>) {
        (self.refused.load(Ordering::Relaxed), self.lock().last.clone())
    }

    /// The bytes so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        let sent = |way: Way| self.sent[way as usize].load(Ordering::Relaxed);
        let received = |way: Way| self.received[way as usize].load(Ordering::Relaxed);
        Traffic {
            serial_sent: sent(Way::Serial),
            serial_received: received(Way::Serial),
            usb_sent: sent(Way::Usb),
            usb_received: received(Way::Usb),
            net_sent: sent(Way::Net),
            net_received: received(Way::Net),
            host_sent: sent(Way::Host),
            host_received: received(Way::Host),
        }
    }

    // A panic leaves whole values: each change is an assignment or one insert.
    fn lock(&self) -> MutexGuard<'_, Attempts> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_is_counted_by_itself() {
        let meter = Meter::default();
        meter.sent(Way::Serial, 3);
        meter.received(Way::Serial, 46);
        meter.received(Way::Net, 12);
        meter.sent(Way::Host, 100);
        meter.sent(Way::Host, 1);
        let expected = Traffic {
            serial_sent: 3,
            serial_received: 46,
            net_received: 12,
            host_sent: 101,
            ..Traffic::default()
        };
        assert_eq!(meter.traffic(), expected);
    }

    #[test]
    fn a_flood_of_attempts_is_told_once_an_hour_and_by_kind() {
        let meter = Meter::default();
        assert!(meter.take_news().is_empty());
        let second = Nanos::from_secs;
        (0..1_000).for_each(|s| meter.refuse("storage quota", &"full", second(s)));
        meter.refuse("not granted", &"a\nb", second(1_000));
        assert_eq!(meter.take_news(), ["not granted: a\u{fffd}b", "storage quota: full"]);
        (1_000..3_600).for_each(|s| meter.refuse("storage quota", &"full", second(s)));
        assert!(meter.take_news().is_empty());
        meter.refuse("storage quota", &"full again", second(3_600));
        assert_eq!(meter.take_news(), ["storage quota: full again"]);
        assert_eq!(meter.refusals(), (3_602, Some("storage quota: full again".to_owned())));
    }

    #[test]
    fn only_what_is_beyond_a_limit_is_noted() {
        struct Mistake(Option<&'static str>);
        impl fmt::Display for Mistake {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("so it is")
            }
        }
        impl Beyond for Mistake {
            fn beyond(&self) -> Option<&'static str> {
                self.0
            }
        }
        let meter = Meter::default();
        assert!(meter.noted(Err::<(), _>(Mistake(None))).is_err());
        assert!(meter.noted(Ok::<_, Mistake>(1)).is_ok());
        assert_eq!(meter.refusals(), (0, None));
        assert!(meter.noted(Err::<(), _>(Mistake(Some("not granted")))).is_err());
        assert_eq!(meter.take_news(), ["not granted: so it is"]);
    }
}
