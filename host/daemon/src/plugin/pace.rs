//! How often copies of plugins are started, of all plugins together.
//!
//! Starting one costs far more than calling it, up to
//! [`super::budget::START_CPU`] when it computes at its start. Each plugin's
//! own [`super::backoff`] cannot bound the sum: sixty plugins that fail over
//! the same cause would come back sixty at a time. So starts *after a failure*
//! share one bucket: [`BURST`] at once, then one per [`INTERVAL`].
//!
//! A first start waits for nobody: it follows a load, which the managing
//! thread does one after the other, at boot once for each plugin and later
//! only because a person asked for it. Forty plugins boot as fast as they
//! load. But they draw on the bucket, so that what fails at boot comes back at
//! the slow rate from the beginning.
//!
//! Pure: time comes in. Who must wait keeps its turn, in the order of asking:
//! with as many plugins as can be installed, nobody waits much longer than
//! that many intervals.

use evenkeel_core::time::Nanos;

/// Starts after a failure that are let through at once.
pub const BURST: u64 = 8;
/// Afterwards, one per this time.
pub const INTERVAL: Nanos = Nanos::from_secs(1);

/// The bucket, as the moment at which the next start may be.
#[derive(Debug, Default)]
pub struct Pace {
    next: Nanos,
}

impl Pace {
    /// A first start, at `now`.
    pub fn first(&mut self, now: Nanos) {
        self.fill(now);
        // It takes what is there, and nobody's turn.
        if self.next <= now {
            self.next = self.next + INTERVAL;
        }
    }

    /// A start after a failure: how long from `now` until it may be.
    pub fn again(&mut self, now: Nanos) -> Nanos {
        self.fill(now);
        let turn = self.next;
        self.next = turn + INTERVAL;
        turn.since(now)
    }

    fn fill(&mut self, now: Nanos) {
        let full = now.0.saturating_sub((BURST - 1) * INTERVAL.0);
        self.next = self.next.max(Nanos(full));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::backoff::{Backoff, Next};
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;

    const BOOT: Nanos = Nanos::from_secs(1_000);

    /// Plugins that fail as soon as they are started, from boot to quarantine;
    /// the moments of their starts after a failure.
    fn storm(plugins: usize) -> Vec<Nanos> {
        let mut pace = Pace::default();
        let mut due = BinaryHeap::new();
        for n in 0..plugins {
            // One is loaded in 20 ms.
            due.push(Reverse((BOOT + Nanos::from_millis(20 * n as u64), n, true)));
        }
        let mut backoff: Vec<_> = (0..plugins).map(|_| Backoff::default()).collect();
        let mut starts = Vec::new();
        while let Some(Reverse((now, n, first))) = due.pop() {
            if first {
                pace.first(now);
            } else {
                starts.push(now);
            }
            if let Next::Pause(pause) = backoff[n].failed(now, Nanos(0), n as u32 * 60_000_000) {
                // It asks when its pause is over; its turn may be later.
                let asks = now + pause;
                due.push(Reverse((asks + pace.again(asks), n, false)));
            }
        }
        starts.sort_unstable();
        starts
    }

    #[test]
    fn a_storm_of_crashes_starts_one_a_second() {
        for plugins in [1, 8, 16, 64] {
            let starts = storm(plugins);
            assert_eq!(starts.len(), 4 * plugins, "each until its quarantine");
            for (i, begin) in starts.iter().enumerate() {
                let within = |s: u64| {
                    let end = *begin + Nanos::from_secs(s);
                    starts[i..].iter().take_while(|at| **at < end).count() as u64
                };
                for seconds in [1, 10, 60] {
                    assert!(within(seconds) <= BURST + seconds, "{plugins} plugins, {seconds} s");
                }
            }
        }
        let last = storm(64).last().expect("some").since(BOOT);
        assert!(last <= Nanos::from_secs(64 * 4 + 15), "and nobody waits for ever: {last:?}");
    }

    #[test]
    fn booting_waits_for_nobody_and_leaves_nothing_to_a_storm() {
        let mut pace = Pace::default();
        (0..40).for_each(|n| pace.first(BOOT + Nanos::from_millis(20 * n)));
        let now = BOOT + Nanos::from_millis(800);
        let waits: Vec<_> = (0..4).map(|_| pace.again(now).as_millis()).collect();
        assert_eq!(waits, [200, 1_200, 2_200, 3_200]);
        // In the midst of that, somebody installs a plugin: nobody's turn moves.
        pace.first(now);
        assert_eq!(pace.again(now).as_millis(), 4_200);
    }

    #[test]
    fn one_failure_waits_for_its_own_pause_alone() {
        let mut pace = Pace::default();
        assert_eq!(pace.again(BOOT), Nanos(0));
        for minute in 1..100 {
            assert_eq!(pace.again(BOOT + Nanos::from_secs(60 * minute)), Nanos(0));
        }
        let later = BOOT + Nanos::from_secs(86_400);
        let at_once = (0..64).filter(|_| pace.again(later) == Nanos(0)).count();
        assert_eq!(at_once as u64, BURST);
    }
}
