//! When the rows that wait are written: a commit costs the flash some 24 KiB for
//! one row as for a hundred, so what decides is how often.
//!
//! What leaps waits [`TOGETHER`] and is written, paid from a purse that all points
//! have together: the purses of the points ([`super::Sampler`]) bound their rows, and a
//! dozen points that flap would have a commit every few seconds for ever. While it is
//! empty the rows wait in memory until it has gained one, or the ordinary period is
//! over; none is lost but to a power cut. [`LEAPS`] and [`LEAP_EVERY`] are some 18 MB a
//! day, half of what one plugin may have written by events and commands.

use crate::events::Budget;
use crate::time::Nanos;

/// What leaps waits so long for others.
pub const TOGETHER: Nanos = Nanos::from_secs(5);
/// Commits for what leaps, from a full purse: an outage with all that follows it …
pub const LEAPS: u32 = 30;
/// … and then one in this time.
pub const LEAP_EVERY: Nanos = Nanos::from_secs(120);
/// When more rows wait they are written, whatever it costs: they take memory. The
/// points' purses bound how often.
pub const WAITING_MAX: usize = 1 << 14;

/// When the rows of all points were written and are to be written.
#[derive(Clone, Debug)]
pub struct Commits {
    every: Nanos,
    last: Nanos,
    leaps: Budget,
}

impl Commits {
    /// Every `every` at least; the first of them counts from `now`.
    #[must_use]
    pub const fn new(every: Nanos, now: Nanos) -> Self {
        Self { every, last: now, leaps: Budget::new(LEAPS, LEAP_EVERY) }
    }

    /// Whether what waits is to be written now. `leapt` is when the first leap of it
    /// was, `waiting` how many rows it has. To be asked often, and [`Self::done`] to be
    /// called when it is so.
    pub fn due(&mut self, leapt: Option<Nanos>, waiting: usize, now: Nanos) -> bool {
        if now.since(self.last) >= self.every || waiting > WAITING_MAX {
            return true;
        }
        leapt.is_some_and(|at| now.since(at) >= TOGETHER) && self.leaps.spend(now)
    }

    /// Whether it is half due: worth to go along with a commit that is made anyway.
    #[must_use]
    pub const fn half_due(&self, now: Nanos) -> bool {
        now.since(self.last).0 >= self.every.0 / 2
    }

    /// What waited is written.
    pub const fn done(&mut self, now: Nanos) {
        self.last = now;
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Row, Sampler, Series};
    use super::*;
    use crate::points::{Point, Quality, Unit, Value};
    use std::collections::BTreeMap;

    const FLOAT: Nanos = Nanos::from_secs(1_200);
    /// The most commits of a day, those of the ordinary period included.
    const DAY_MAX: u64 = LEAPS as u64 + 86_400 / 120 + 86_400 / 1_200;

    /// Rows by point, in order.
    fn sort_in(rows: &mut BTreeMap<String, Vec<Row>>, series: Vec<Series>) {
        for one in series {
            rows.entry(one.name).or_default().extend(one.rows);
        }
    }

    /// `flags` contacts, of which each changes every few seconds, for `seconds`: the
    /// times of the commits. Nothing that a sampler finds is missing in them.
    fn flapping(flags: u64, seconds: u64) -> Vec<u64> {
        let (mut sampler, mut eager) = (Sampler::new(FLOAT), Sampler::new(FLOAT));
        let mut commits = Commits::new(FLOAT, Nanos(0));
        let (mut at, mut kept, mut found) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        let names: Vec<String> = (0..flags).map(|n| format!("ups.{}.flag.f{n}", n % 9)).collect();
        for second in 1..=seconds {
            let now = Nanos::from_secs(second);
            let flag = |n: usize| Value::Flag((second / (2 + n as u64 % 5)).is_multiple_of(2));
            let (unit, quality) = (Unit::None, Quality::Good);
            let points: Vec<Point> = (0..names.len())
                .map(|n| Point { value: flag(n), unit, quality, at: now })
                .collect();
            let all = || names.iter().map(String::as_str).zip(&points);
            let unix_ms = 1_780_000_000_000 + second * 1_000;
            sampler.look(unix_ms, now, all());
            eager.look(unix_ms, now, all());
            sort_in(&mut found, eager.take(now));
            assert!(sampler.waiting() <= WAITING_MAX + names.len());
            if commits.due(sampler.leapt_at(), sampler.waiting(), now) {
                commits.done(now);
                at.push(second);
                sort_in(&mut kept, sampler.take(now));
            }
        }
        sort_in(&mut kept, sampler.finish());
        sort_in(&mut found, eager.finish());
        assert_eq!(kept, found, "nothing is lost");
        at
    }

    #[test]
    fn a_day_of_flapping_is_few_commits_and_all_rows() {
        let at = flapping(12, 86_400);
        assert!((700..=DAY_MAX).contains(&(at.len() as u64)), "{}", at.len());
        let soon = at.iter().filter(|second| **second <= 300).count();
        assert!((LEAPS as usize..=LEAPS as usize + 3).contains(&soon), "{soon}");
    }

    #[test]
    fn as_many_points_as_there_can_be_take_bounded_memory_and_few_commits() {
        let at = flapping(1_000, 3_600);
        // What the points' purses hold at first has to go somewhere.
        let of_rows = 1_000 * (240 + 60 + 12) / WAITING_MAX as u64;
        let most = LEAPS as u64 + 3_600 / 120 + 3 + of_rows;
        assert!(at.len() as u64 <= most, "{} > {most}", at.len());
    }

    #[test]
    fn a_single_leap_is_written_within_five_seconds_also_after_a_storm() {
        let mut commits = Commits::new(FLOAT, Nanos(0));
        let s = Nanos::from_secs;
        let mut written = |leapt: u64, until: u64| {
            let at = (leapt..=until).find(|t| commits.due(Some(s(leapt)), 1, s(*t)));
            at.inspect(|t| commits.done(s(*t)))
        };
        assert_eq!(written(100, 200), Some(105));
        // A leap every six seconds, until there is nothing left.
        let storm = (0..100).map_while(|n| written(200 + 6 * n, 205 + 6 * n)).count();
        assert!((LEAPS as usize - 1..=LEAPS as usize + 3).contains(&storm), "{storm}");
        let begun = 200 + 6 * storm as u64;
        let late = written(begun, begun + 125).expect("within the time that earns one");
        assert!(late > begun + 5, "there was none left");
        // An hour later all is as before.
        assert_eq!(written(late + 3_600, late + 3_700), Some(late + 3_600), "the period is over");
        assert_eq!(written(late + 3_700, late + 3_800), Some(late + 3_705));
    }

    #[test]
    fn without_leaps_it_is_the_period() {
        let mut commits = Commits::new(FLOAT, Nanos(0));
        let s = Nanos::from_secs;
        assert!(!commits.due(None, 9, s(1_199)) && commits.due(None, 9, s(1_200)));
        assert!(!commits.half_due(s(599)) && commits.half_due(s(600)));
        commits.done(s(700));
        assert!(!commits.due(None, 9, s(1_899)) && commits.due(None, 9, s(1_900)));
        assert!(commits.due(None, WAITING_MAX + 1, s(701)));
    }
}
