//! `evenkeel:clock`: the only notion of time that a plugin has.

use super::Site;
use crate::clock;
use crate::plugin::bindings::clock::clock::Host;
use crate::plugin::stop::Stop;
use evenkeel_core::time::Nanos;
use std::sync::Arc;
use std::time::Duration;

/// The interface.
pub const INTERFACE: &str = "evenkeel:clock/clock@0.1.1";
/// Longest sleep in ms.
pub const SLEEP_MS_MAX: u32 = 10_000;

/// A clock that stands before this, 2026-01-01, was never set: the code is younger.
const BUILT_MS: u64 = 1_767_225_600_000;

/// The clock of one plugin.
#[derive(Debug)]
pub struct Clock {
    epoch: Nanos,
    stop: Arc<Stop>,
}

impl Clock {
    /// A clock that counts from the start of the host, and whose sleep ends
    /// when the plugin is to stop.
    #[must_use]
    pub fn new(site: &Site<'_>) -> Self {
        Self { epoch: site.services.epoch, stop: Arc::clone(site.stop) }
    }
}

impl Host for Clock {
    fn now_ms(&mut self) -> u64 {
        clock::now().since(self.epoch).as_millis()
    }

    fn sleep_ms(&mut self, ms: u32) {
        self.stop.wait(Duration::from_millis(ms.min(SLEEP_MS_MAX).into()));
    }

    fn utc_ms(&mut self) -> Option<u64> {
        Some(clock::unix_ms()).filter(|now| *now >= BUILT_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caps::testing::Place;

    #[test]
    fn it_counts_from_its_epoch_and_sleeps() {
        let here = Place::default();
        let mut clock = Clock::new(&here.site());
        assert!(clock.utc_ms().is_some());
        let before = clock.now_ms();
        clock.sleep_ms(25);
        assert!((before + 24..before + 5_000).contains(&clock.now_ms()));
        here.stop.request();
        clock.sleep_ms(u32::MAX);
        assert!(clock.now_ms() < before + 5_000, "a stop wakes it");
    }
}
