//! Sources over whose bytes a gateway trapped: each time it is longer until
//! they are listened to again. Pure; time comes in. What is remembered is
//! bounded, and the source that is free soonest is forgotten first.

use crate::console::throttle::Source;
use evenkeel_core::time::Nanos;
use std::collections::HashMap;

/// How long a source is held off the first time …
pub const HOLD_FIRST: Nanos = Nanos::from_secs(10);
/// … and at most; each time it is [`FACTOR`] times as long.
pub const HOLD_MAX: Nanos = Nanos::from_secs(600);
const FACTOR: u64 = 4;
/// Strikes are forgotten when there was none for so long.
const FORGET_AFTER: Nanos = Nanos::from_secs(3_600);
const SOURCES_MAX: usize = 256;

/// What is remembered.
#[derive(Debug, Default)]
pub struct Strikes(HashMap<Source, Strike>);

#[derive(Clone, Copy, Debug)]
struct Strike {
    hold: Nanos,
    until: Nanos,
}

impl Strikes {
    /// The plugin trapped over what this source sent; returns how long the
    /// source is held off.
    pub fn strike(&mut self, source: Source, now: Nanos) -> Nanos {
        self.0.retain(|_, strike| now.since(strike.until) < FORGET_AFTER);
        if self.0.len() >= SOURCES_MAX && !self.0.contains_key(&source) {
            let soonest = self.0.iter().min_by_key(|(_, strike)| strike.until);
            if let Some(source) = soonest.map(|(source, _)| *source) {
                self.0.remove(&source);
            }
        }
        let hold = match self.0.get(&source) {
            Some(strike) => Nanos(strike.hold.0.saturating_mul(FACTOR)).min(HOLD_MAX),
            None => HOLD_FIRST,
        };
        self.0.insert(source, Strike { hold, until: now + hold });
        hold
    }

    /// How much longer this source is held off; `None`: it is not.
    #[must_use]
    pub fn held(&self, source: Source, now: Nanos) -> Option<Nanos> {
        let until = self.0.get(&source)?.until;
        (until > now).then(|| until.since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(n: u32) -> Source {
        Source::V4(n)
    }

    #[test]
    fn each_strike_holds_longer_and_is_forgotten_in_the_end() {
        let mut strikes = Strikes::default();
        let mut now = Nanos::from_secs(1);
        for seconds in [10, 40, 160, 600, 600] {
            assert_eq!(strikes.held(source(1), now), None);
            assert_eq!(strikes.strike(source(1), now), Nanos::from_secs(seconds));
            assert_eq!(strikes.held(source(1), now), Some(Nanos::from_secs(seconds)));
            assert_eq!(strikes.held(source(2), now), None, "nobody else");
            now = now + Nanos::from_secs(seconds);
        }
        now = now + FORGET_AFTER;
        assert_eq!(strikes.strike(source(1), now), HOLD_FIRST);
    }

    #[test]
    fn memory_is_bounded_and_the_worst_are_kept() {
        let (mut strikes, now) = (Strikes::default(), Nanos(0));
        for n in [0, 0, 0].into_iter().chain(1..1_000) {
            strikes.strike(source(n), now);
        }
        assert_eq!(strikes.0.len(), SOURCES_MAX);
        assert!(strikes.held(source(0), now).is_some());
    }
}
