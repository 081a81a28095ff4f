//! `evenkeel:clock`: the only notion of time that a plugin has.

use crate::clock;
use crate::plugin::bindings::clock::clock::Host;
use crate::plugin::stop::Stop;
use evenkeel_core::time::Nanos;
use std::sync::Arc;
use std::time::Duration;

/// Longest sleep in ms.
pub const SLEEP_MS_MAX: u32 = 10_000;

/// The clock of one plugin.
#[derive(Debug)]
pub struct Clock {
    epoch: Nanos,
    stop: Arc<Stop>,
}

impl Clock {
    /// A clock that counts from `epoch`, and whose sleep `stop` ends.
    #[must_use]
    pub const fn new(epoch: Nanos, stop: Arc<Stop>) -> Self {
        Self { epoch, stop }
    }
}

impl Host for Clock {
    fn now_ms(&mut self) -> u64 {
        clock::now().since(self.epoch).as_millis()
    }

    fn sleep_ms(&mut self, ms: u32) {
        self.stop.wait(Duration::from_millis(ms.min(SLEEP_MS_MAX).into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_from_its_epoch_and_sleeps() {
        let stop = Arc::new(Stop::new().expect("a descriptor"));
        let mut clock = Clock::new(clock::now(), Arc::clone(&stop));
        let before = clock.now_ms();
        clock.sleep_ms(25);
        assert!((before + 24..before + 5_000).contains(&clock.now_ms()));
        stop.request();
        clock.sleep_ms(u32::MAX);
        assert!(clock.now_ms() < before + 5_000, "a stop wakes it");
    }
}
