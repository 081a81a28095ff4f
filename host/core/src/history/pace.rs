//! How often a string is recorded: every 20 minutes on float, faster after
//! something happened, every second while it feeds the load.
//!
//! Fast records are bounded: a string that cannot make up its mind must not
//! push years out of the ring. They are paid from a purse that holds four hours
//! of seconds, and fills by one record a minute. As it empties the seconds of a
//! discharge become 5, 20 and at last 60, which the purse bears for ever; the
//! last of it is for what happens meanwhile. From a full purse that is a record
//! each second for three hours, each 5 s for two and a half more, each 20 s for
//! six and a half, and each minute then: the end of a long autonomy is there.

use super::record::PhaseCode;
use crate::scan::Phase;
use crate::time::Nanos;

/// While the string feeds the load, as long as more than so many fast records are
/// left in the purse. The first: every scan of a guard that scans each second, a
/// little early or late.
const DISCHARGE: [(u64, Nanos); 3] = [
    (PURSE / 4, Nanos::from_millis(900)),
    (PURSE / 8, Nanos::from_millis(4_900)),
    (RESERVE, Nanos::from_millis(19_900)),
];
/// When less is left: as fast as the purse fills.
const DISCHARGE_LEAST: Nanos = EARN;
/// Fast records that are kept for what happens.
const RESERVE: u64 = 600;
/// After an event.
const AFTER_EVERY: Nanos = Nanos::from_secs(60);
/// For how long.
const AFTER: Nanos = Nanos::from_secs(1_800);
/// Fast records in a full purse.
const PURSE: u64 = 4 * 3_600;
/// Time in which it gains one.
const EARN: Nanos = Nanos::from_secs(60);

/// What makes an event for the recorder: when one of these changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Happening {
    /// What the string is doing.
    pub phase: PhaseCode,
    /// Anything else that counts, as bits: alarms, trips, lost modules.
    pub marks: u64,
}

/// When a string is recorded next.
#[derive(Clone, Debug)]
pub struct Pace {
    float_every: Nanos,
    last: Option<(Nanos, Happening)>,
    event: Option<Nanos>,
    purse: u64,
    earned: Nanos,
}

impl Pace {
    /// `float_every` while nothing happens.
    #[must_use]
    pub const fn new(float_every: Nanos) -> Self {
        Self { float_every, last: None, event: None, purse: PURSE, earned: Nanos(0) }
    }

    /// Whether to record now. To be asked often: at least once a second.
    pub fn due(&mut self, happening: Happening, now: Nanos) -> bool {
        self.earn(now);
        let Some((recorded, before)) = self.last else {
            self.last = Some((now, happening));
            return true;
        };
        let changed = happening != before;
        if changed {
            self.event = Some(now);
        }
        let every = self.every(happening, now).unwrap_or(self.float_every);
        let float_due = now.since(recorded) >= self.float_every;
        if !(float_due || self.purse > 0 && (changed || now.since(recorded) >= every)) {
            self.last = Some((recorded, happening));
            return false;
        }
        if !float_due {
            self.purse -= 1;
        }
        self.last = Some((now, happening));
        true
    }

    /// True while records come faster than on float.
    #[must_use]
    pub fn is_fast(&self, now: Nanos) -> bool {
        self.last.is_some_and(|(_, happening)| self.every(happening, now).is_some())
    }

    fn every(&self, happening: Happening, now: Nanos) -> Option<Nanos> {
        if happening.phase.phase() == Phase::Discharge {
            let left = DISCHARGE.iter().find(|(more_than, _)| self.purse > *more_than);
            return Some(left.map_or(DISCHARGE_LEAST, |(_, every)| *every).min(self.float_every));
        }
        let after = self.event.is_some_and(|event| now.since(event) < AFTER);
        after.then(|| AFTER_EVERY.min(self.float_every))
    }

    fn earn(&mut self, now: Nanos) {
        let earned = now.since(self.earned).0 / EARN.0;
        if earned > 0 {
            self.purse = self.purse.saturating_add(earned).min(PURSE);
            self.earned = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOAT: Happening = Happening { phase: PhaseCode(1), marks: 0 };
    const DISCHARGE: Happening = Happening { phase: PhaseCode(3), marks: 0 };
    const EVERY: Nanos = Nanos::from_secs(1_200);

    /// Rows from `from` to `to`, s, asked every half second.
    fn rows(pace: &mut Pace, happening: impl Fn(u64) -> Happening, from: u64, to: u64) -> usize {
        let times = (2 * from..2 * to).map(|n| (n / 2, Nanos::from_millis(500 * n)));
        times.filter(|(s, now)| pace.due(happening(*s), *now)).count()
    }

    #[test]
    fn every_20_minutes_on_float() {
        let mut pace = Pace::new(EVERY);
        assert_eq!(rows(&mut pace, |_| FLOAT, 0, 86_400), 72);
        assert!(!pace.is_fast(Nanos::from_secs(86_400)));
    }

    #[test]
    fn every_second_in_a_discharge_and_every_minute_for_half_an_hour_after() {
        let mut pace = Pace::new(EVERY);
        rows(&mut pace, |_| FLOAT, 0, 100);
        assert_eq!(rows(&mut pace, |_| DISCHARGE, 100, 700), 600);
        assert!(pace.is_fast(Nanos::from_secs(700)));
        assert_eq!(rows(&mut pace, |_| FLOAT, 700, 700 + 1_800), 30);
        assert_eq!(rows(&mut pace, |_| FLOAT, 2_500, 2_500 + 12_000), 10);
    }

    #[test]
    fn a_long_discharge_is_recorded_to_its_end_and_what_happens_in_it() {
        let mut pace = Pace::new(EVERY);
        rows(&mut pace, |_| FLOAT, 0, 100);
        let hour = |n: u64| 100 + n * 3_600;
        assert_eq!(rows(&mut pace, |_| DISCHARGE, hour(0), hour(3)), 3 * 3_600);
        let slower = rows(&mut pace, |_| DISCHARGE, hour(3), hour(5));
        assert!((2 * 720..2 * 720 + 300).contains(&slower), "{slower}: soon each 5 s");
        let later = rows(&mut pace, |_| DISCHARGE, hour(5), hour(48));
        assert!((43 * 60..43 * 60 + 2_400).contains(&later), "{later}: each minute at least");
        // A change in each of ten minutes, on the spot.
        for n in 0..10 {
            let now = Nanos::from_secs(hour(48) + 60 * n + 7);
            assert!(pace.due(Happening { marks: n + 1, ..DISCHARGE }, now), "{n}");
        }
    }

    #[test]
    fn what_happens_is_recorded_at_once() {
        let mut pace = Pace::new(EVERY);
        rows(&mut pace, |_| FLOAT, 0, 100);
        assert!(pace.due(Happening { marks: 4, ..FLOAT }, Nanos::from_secs(100)));
    }

    #[test]
    fn a_string_that_flaps_for_days_is_bounded() {
        let mut pace = Pace::new(EVERY);
        let flaps = |s| if s % 2 == 0 { FLOAT } else { DISCHARGE };
        let first = rows(&mut pace, flaps, 0, 86_400);
        let second = rows(&mut pace, flaps, 86_400, 2 * 86_400);
        assert!((14_400..16_000).contains(&first), "{first}");
        assert!((1_400..1_600).contains(&second), "{second}: what the purse earns");
    }
}
