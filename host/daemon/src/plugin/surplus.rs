//! What all plugins together may take of the processor without resting.
//!
//! A plugin that computed rests for [`super::budget::REST_FACTOR`] times as
//! long, so that it gets a fifth of a core and never more. For a driver, which
//! waits for its line, that is plenty. A gateway is asked by others, and on a
//! small processor a fifth of it is little: it would make its clients wait
//! beside a processor that has nothing to do.
//!
//! So half of the machine is laid out for all plugins together, and as long as
//! they use less, nobody rests. What follows, and is tested in virtual time:
//!
//! - one plugin gets half of the machine at the most (or its fifth of a core,
//!   where that is more), and all that do not rest get half of it together,
//!   beyond a burst of [`BURST`];
//! - when they want more, everybody rests as if there were no surplus: a
//!   fifth of a core for each remains, and greed takes nothing from it;
//! - what waits, or is starved by the guard and the console, uses nothing.
//!
//! Pure: time comes in.

use crate::plugin::budget;
use evenkeel_core::time::Nanos;
use std::time::Duration;

/// Share of the machine: one part in so many.
pub const PART: u32 = 2;
/// Processor time that can be saved up, and be owed.
pub const BURST: Nanos = Nanos::from_millis(500);

/// The account of all plugins.
#[derive(Debug)]
pub struct Surplus {
    cores: u32,
    /// Processor time that may still be used, or is owed, ns.
    level: i64,
    filled: Nanos,
}

impl Surplus {
    /// A full account at `now`, on a machine of so many cores.
    #[must_use]
    pub const fn new(cores: u32, now: Nanos) -> Self {
        Self { cores, level: BURST.0 as i64, filled: now }
    }

    /// A plugin's call has used `cpu` and ended at `now`: how long the plugin
    /// rests.
    pub fn rest(&mut self, cpu: Nanos, now: Nanos) -> Duration {
        let burst = BURST.0 as i64;
        let signed = |ns: u64| i64::try_from(ns).unwrap_or(i64::MAX);
        let gained = now.since(self.filled).0.saturating_mul(self.cores.into()) / u64::from(PART);
        self.filled = self.filled.max(now);
        let level = self.level.saturating_add(signed(gained)).min(burst);
        self.level = level.saturating_sub(signed(cpu.0)).max(-burst);
        if self.level >= 0 { Duration::ZERO } else { budget::rest(cpu) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;

    const BEGIN: Nanos = Nanos::from_secs(1_000);

    /// Plugins that always want to compute, in calls of so long; each has a
    /// core to itself. What each used of a core in ten minutes, in per cent.
    fn shares(cores: u32, calls_ms: &[u64]) -> Vec<u64> {
        let time = Nanos::from_secs(600);
        let mut surplus = Surplus::new(cores, BEGIN);
        let mut used = vec![Nanos(0); calls_ms.len()];
        let mut ends: BinaryHeap<_> = calls_ms
            .iter()
            .enumerate()
            .map(|(n, ms)| Reverse((BEGIN + Nanos::from_millis(*ms), n)))
            .collect();
        while let Some(Reverse((now, n))) = ends.pop() {
            if now.since(BEGIN) > time {
                break;
            }
            let cpu = Nanos::from_millis(calls_ms[n]);
            used[n] = used[n] + cpu;
            let rest = surplus.rest(cpu, now).as_nanos();
            ends.push(Reverse((now + Nanos(rest as u64) + cpu, n)));
        }
        used.iter().map(|cpu| cpu.0 * 100 / time.0).collect()
    }

    #[test]
    fn one_that_is_alone_gets_half_of_a_small_machine() {
        for call_ms in [1, 10, 200] {
            let share = shares(1, &[call_ms])[0];
            assert!((40..=50).contains(&share), "{call_ms} ms: {share} %");
        }
        // Of a large one a core, which is all that a thread can use.
        assert_eq!(shares(4, &[10]), [100]);
    }

    #[test]
    fn whoever_is_greedy_leaves_the_others_their_fifth() {
        let all = shares(1, &[1_000, 1_000, 1_000, 10]);
        assert!(all[..3].iter().all(|share| (19..=21).contains(share)), "{all:?}");
        assert!((20..=50).contains(&all[3]), "while they rest, there is a surplus: {all:?}");
        let sixteen = shares(2, &[50; 16]);
        assert!(sixteen.iter().all(|share| (19..=21).contains(share)), "{sixteen:?}");
    }

    #[test]
    fn without_rest_they_get_half_of_the_machine_together() {
        let two = shares(1, &[5, 5]);
        let sum: u64 = two.iter().sum();
        assert!((40..=51).contains(&sum) && two.iter().all(|share| *share >= 20), "{two:?}");
    }

    #[test]
    fn no_number_overflows() {
        let mut surplus = Surplus::new(u32::MAX, Nanos(0));
        assert!(!surplus.rest(Nanos(u64::MAX), Nanos(1)).is_zero());
        assert!(surplus.rest(Nanos(0), Nanos(u64::MAX)).is_zero());
        assert!(surplus.rest(Nanos(1), Nanos(0)).is_zero(), "a clock that goes back gives nothing");
    }
}
