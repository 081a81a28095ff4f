//! A pause of equalization that a person ordered. It was acknowledged, so it
//! outlives a restart of the guard, by the time of day; while the guard runs,
//! nobody's setting of the clock makes it longer or shorter.

use crate::command::PAUSE_MAX_S;
use crate::time::Nanos;

/// Until when a string is paused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UserPause {
    /// Monotonic; `None` for one that was ordered before a restart.
    until: Option<Nanos>,
    /// Seconds since 1970 UTC; `None` when the clock was not set.
    until_wall_s: Option<u64>,
}

impl UserPause {
    /// One that begins now.
    #[must_use]
    pub fn begin(seconds: u32, now: Nanos, wall_s: Option<u64>) -> Self {
        let seconds = u64::from(seconds);
        Self {
            until: Some(now + Nanos::from_secs(seconds)),
            until_wall_s: wall_s.map(|wall_s| wall_s.saturating_add(seconds)),
        }
    }

    /// One of before a restart.
    #[must_use]
    pub const fn kept(until_wall_s: Option<u64>) -> Self {
        Self { until: None, until_wall_s }
    }

    /// What is to be kept of it.
    #[must_use]
    pub const fn until_wall_s(&self) -> Option<u64> {
        self.until_wall_s
    }

    /// The string is paused. One of before a restart holds once the clock is
    /// set, and never for longer than a pause can be.
    #[must_use]
    pub fn holds(&self, now: Nanos, wall_s: Option<u64>) -> bool {
        match (self.until, self.until_wall_s.zip(wall_s)) {
            (Some(until), _) => now < until,
            (None, Some((until_s, wall_s))) => {
                wall_s < until_s && until_s - wall_s <= u64::from(PAUSE_MAX_S)
            }
            (None, None) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: u64 = 1_795_262_400;

    #[test]
    fn the_clock_on_the_wall_counts_only_after_a_restart() {
        let start = Nanos::from_secs(100);
        let pause = UserPause::begin(60, start, Some(NOON));
        for wall_s in [None, Some(0), Some(NOON + 86_400)] {
            assert!(pause.holds(start, wall_s));
            assert!(pause.holds(start + Nanos::from_secs(59), wall_s));
            assert!(!pause.holds(start + Nanos::from_secs(60), wall_s));
        }
        let kept = UserPause::kept(pause.until_wall_s());
        assert!(kept.holds(Nanos(0), Some(NOON + 59)));
        assert!(!kept.holds(Nanos(0), Some(NOON + 60)));
        assert!(!kept.holds(Nanos(0), None), "nobody knows");
        assert!(!kept.holds(Nanos(0), Some(NOON - 8 * 86_400)), "longer than a pause can be");
    }

    #[test]
    fn without_a_clock_it_ends_with_the_guard() {
        let pause = UserPause::begin(60, Nanos(0), None);
        assert!(pause.holds(Nanos(0), None));
        assert!(!UserPause::kept(pause.until_wall_s()).holds(Nanos(0), Some(NOON)));
        assert!(!UserPause::default().holds(Nanos(0), Some(NOON)));
    }
}
