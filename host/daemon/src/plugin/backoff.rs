//! When a plugin that failed is started again (facts/wasm-host.md §7).
//!
//! Pure: time and the random number come in. The pause is 1 s and doubles to
//! 60 s; five failures in ten minutes end in quarantine, which only a person
//! or a new version ends. After running well for a while, longer the more
//! often it failed, the pause is short again; the failures of the last ten
//! minutes still count.

use evenkeel_core::time::Nanos;
use std::collections::VecDeque;

/// First pause.
pub const PAUSE_FIRST: Nanos = Nanos::from_secs(1);
/// Longest pause, before jitter.
pub const PAUSE_MAX: Nanos = Nanos::from_secs(60);
/// This many failures …
pub const FAILURES_MAX: usize = 5;
/// … in this time are too many.
pub const FAILURES_WINDOW: Nanos = Nanos::from_secs(600);
/// Time of good running that forgives one failure in a row.
pub const HEALTHY_EACH: Nanos = Nanos::from_secs(60);
/// Time of good running that forgives any number.
pub const HEALTHY_MAX: Nanos = Nanos::from_secs(1_800);

/// What to do after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Start it again after this pause.
    Pause(Nanos),
    /// Leave it off.
    Quarantine,
}

/// The failures of one plugin that still count.
#[derive(Debug, Default)]
pub struct Backoff {
    in_a_row: u32,
    recent: VecDeque<Nanos>,
}

impl Backoff {
    /// The plugin failed at `now` after having run for `ran`. `random` is any
    /// number; it spreads the pause by ±20 %, so that plugins which failed
    /// together do not come back together.
    pub fn failed(&mut self, now: Nanos, ran: Nanos, random: u32) -> Next {
        if self.in_a_row > 0 && ran >= healthy_time(self.in_a_row) {
            self.in_a_row = 0;
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.recent.push_back(now);
        while self.recent.front().is_some_and(|at| now.since(*at) > FAILURES_WINDOW) {
            self.recent.pop_front();
        }
        if self.recent.len() >= FAILURES_MAX {
            return Next::Quarantine;
        }
        Next::Pause(jitter(pause(self.in_a_row), random))
    }
}

fn healthy_time(failures: u32) -> Nanos {
    Nanos(HEALTHY_EACH.0.saturating_mul(failures.into())).min(HEALTHY_MAX)
}

fn pause(failures: u32) -> Nanos {
    let doublings = failures.saturating_sub(1).min(6);
    Nanos(PAUSE_FIRST.0 << doublings).min(PAUSE_MAX)
}

/// `span` times 0.8 … 1.2, from `random` = 0 … maximum.
fn jitter(span: Nanos, random: u32) -> Nanos {
    let (fifth, range) = (span.0 / 5, 2 * span.0 / 5);
    let share = u128::from(range) * u128::from(random) / u128::from(u32::MAX);
    Nanos(span.0 - fifth + share as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIDDLE: u32 = u32::MAX / 2;

    /// Fails `count` times, each after running for `ran`, and collects the
    /// pauses in whole seconds (jitter in the middle), `None` for quarantine.
    fn run(count: usize, ran: Nanos) -> Vec<Option<u64>> {
        let (mut backoff, mut now) = (Backoff::default(), Nanos::from_secs(1_000));
        (0..count)
            .map(|_| {
                now = now + ran;
                match backoff.failed(now, ran, MIDDLE) {
                    Next::Pause(pause) => {
                        now = now + pause;
                        Some((pause.as_secs_f64()).round() as u64)
                    }
                    Next::Quarantine => None,
                }
            })
            .collect()
    }

    #[test]
    fn quick_failures_double_the_pause_and_end_in_quarantine() {
        let pauses = run(6, Nanos::from_millis(10));
        assert_eq!(pauses, [Some(1), Some(2), Some(4), Some(8), None, None]);
    }

    #[test]
    fn failures_far_apart_reach_the_longest_pause_and_no_quarantine() {
        // Never well for long enough, and never five in ten minutes.
        let mut backoff = Backoff { in_a_row: 3, recent: VecDeque::new() };
        let pauses: Vec<_> = (1..=6)
            .map(|i| backoff.failed(Nanos::from_secs(200 * i), Nanos::from_secs(170), MIDDLE))
            .collect();
        let seconds = pauses.iter().map(|next| match next {
            Next::Pause(pause) => pause.as_secs_f64().round() as u64,
            Next::Quarantine => 0,
        });
        assert_eq!(seconds.collect::<Vec<_>>(), [8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn running_well_shortens_the_pause_and_forgets_no_recent_failure() {
        let well = Nanos::from_secs(61);
        assert_eq!(run(5, well), [Some(1), Some(1), Some(1), Some(1), None]);
        assert_eq!(run(9, Nanos::from_secs(151)), [Some(1); 9]);
        // After two failures in a row, one minute no longer shortens it.
        let mut backoff = Backoff { in_a_row: 2, recent: VecDeque::new() };
        let next = backoff.failed(Nanos::from_secs(9_000), well, MIDDLE);
        assert!(matches!(next, Next::Pause(p) if p > Nanos::from_secs(3)));
    }

    #[test]
    fn jitter_spans_a_fifth_either_way() {
        assert_eq!(jitter(Nanos(1_000), 0), Nanos(800));
        assert_eq!(jitter(Nanos(1_000), u32::MAX), Nanos(1_200));
        assert_eq!(jitter(PAUSE_MAX, u32::MAX), Nanos::from_secs(72));
    }
}
