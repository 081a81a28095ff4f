//! When battery tests are due: a calendar in UTC.
//!
//! A rhythm says of every day whether it is one; it needs no memory, so that a
//! test by hand or a lost record moves nothing. Days count from 1970-01-01,
//! which was a Thursday.

use super::config::ConfigError;
use serde::{Deserialize, Serialize};

const DAY_S: u64 = 86_400;
/// Later clocks are nonsense (year 9999) and have nothing due.
const WALL_MAX_S: u64 = 253_402_300_800;

/// Days of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "seven days need no words")]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// On which days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "every", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Rhythm {
    /// Every so many days, 1 … 366.
    Days {
        /// 1: daily.
        days: u16,
    },
    /// Once a week.
    Week {
        /// On this day.
        weekday: Weekday,
    },
    /// Once a month, on a certain weekday of it.
    Month {
        /// The first … fourth such day of the month, 1 … 4.
        nth: u8,
        /// On this day.
        weekday: Weekday,
    },
}

/// Days and time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Hour, UTC, 0 … 23.
    pub hour: u8,
    /// Minute, 0 … 59.
    pub minute: u8,
    /// On which days.
    pub rhythm: Rhythm,
    /// A test that had to wait may begin so many hours after the time of day,
    /// then on the following days at that time, 1 … 24 (at any time).
    #[serde(default = "default_window_hours")]
    pub window_hours: u8,
}

fn default_window_hours() -> u8 {
    24
}

impl Schedule {
    /// Say what is impossible.
    ///
    /// # Errors
    /// [`ConfigError`] names the field and its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        ConfigError::unless("hour", self.hour.into(), 0.0, 23.0)?;
        ConfigError::unless("minute", self.minute.into(), 0.0, 59.0)?;
        ConfigError::unless("window_hours", self.window_hours.into(), 1.0, 24.0)?;
        match self.rhythm {
            Rhythm::Days { days } => ConfigError::unless("days", days.into(), 1.0, 366.0),
            Rhythm::Month { nth, .. } => ConfigError::unless("nth", nth.into(), 1.0, 4.0),
            Rhythm::Week { .. } => Ok(()),
        }
    }

    /// The first due time later than `wall_s`, both in seconds since 1970 UTC;
    /// `None` for a clock or a schedule that makes no sense.
    #[must_use]
    pub fn next_due(&self, wall_s: u64) -> Option<u64> {
        if wall_s > WALL_MAX_S || self.check().is_err() {
            return None;
        }
        let today = wall_s / DAY_S;
        // No rhythm rests for longer than a year and a day.
        (today..=today + 367)
            .filter(|day| self.falls_on(*day))
            .map(|day| day * DAY_S + self.time_s())
            .find(|due| *due > wall_s)
    }

    /// When a waiting test may begin: now, or at the next time of day.
    #[must_use]
    pub fn opens(&self, wall_s: u64) -> u64 {
        let since_s = (wall_s % DAY_S + DAY_S - self.time_s() % DAY_S) % DAY_S;
        if since_s < u64::from(self.window_hours) * 3600 {
            wall_s
        } else {
            wall_s.saturating_add(DAY_S - since_s)
        }
    }

    fn time_s(&self) -> u64 {
        u64::from(self.hour) * 3600 + u64::from(self.minute) * 60
    }

    fn falls_on(&self, day: u64) -> bool {
        let is = |weekday: Weekday| (day + 3) % 7 == weekday as u64;
        match self.rhythm {
            Rhythm::Days { days } => day.is_multiple_of(days.into()),
            Rhythm::Week { weekday } => is(weekday),
            Rhythm::Month { nth, weekday } => {
                is(weekday) && day_of_month(day).div_ceil(7) == u64::from(nth)
            }
        }
    }
}

/// Day of the month, 1 … 31, of a day since 1970 (Gregorian; eras of 400 years
/// that begin on a first of March).
fn day_of_month(day: u64) -> u64 {
    let of_era = (day + 719_468) % 146_097;
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    of_year - (153 * month + 2) / 5 + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(hour: u8, minute: u8, rhythm: Rhythm) -> Schedule {
        Schedule { hour, minute, rhythm, window_hours: 24 }
    }

    #[test]
    fn known_dates() {
        // 2026-11-21 11:10:53 UTC is a Saturday.
        let now = 1_795_259_453;
        let week = at(3, 30, Rhythm::Week { weekday: Weekday::Sunday });
        assert_eq!(week.next_due(now), Some(1_795_318_200), "2026-11-22 03:30");
        let month = at(0, 0, Rhythm::Month { nth: 1, weekday: Weekday::Monday });
        assert_eq!(month.next_due(now), Some(1_796_601_600), "2026-12-07");
        let daily = at(11, 11, Rhythm::Days { days: 1 });
        assert_eq!(daily.next_due(now), Some(1_795_259_460));
        assert_eq!(daily.next_due(1_795_259_460), Some(1_795_259_460 + 86_400));
    }

    #[test]
    fn days_of_the_month() {
        for (day, expected) in [(0, 1), (30, 31), (58, 28), (59, 1), (11_016, 29), (20_778, 21)] {
            assert_eq!(day_of_month(day), expected, "day {day}");
        }
    }

    #[test]
    fn a_window_opens_at_the_time_of_day() {
        let night = Schedule { window_hours: 3, ..at(23, 0, Rhythm::Days { days: 1 }) };
        let hours = |h: u64| h * 3600;
        assert_eq!(night.opens(hours(23)), hours(23));
        assert_eq!(night.opens(hours(25)), hours(25));
        assert_eq!(night.opens(hours(26)), hours(47));
        assert_eq!(night.opens(hours(22)), hours(23));
    }

    #[test]
    fn written_in_toml() {
        let text =
            "hour = 3\nminute = 0\n[rhythm]\nevery = \"month\"\nnth = 2\nweekday = \"sunday\"\n";
        let schedule: Schedule = toml::from_str(text).expect("a schedule");
        assert_eq!(schedule, at(3, 0, Rhythm::Month { nth: 2, weekday: Weekday::Sunday }));
        assert!(toml::from_str::<Schedule>(&format!("{text}days = 3\n")).is_err());
    }

    proptest! {
        #[test]
        fn due_is_later_and_never_panics(wall: u64, near in 0u64..5_000_000_000, hour: u8, minute: u8, days: u16, nth: u8) {
            for rhythm in [
                Rhythm::Days { days },
                Rhythm::Week { weekday: Weekday::Friday },
                Rhythm::Month { nth, weekday: Weekday::Friday },
            ] {
                let schedule = at(hour, minute, rhythm);
                for wall_s in [wall, near] {
                    prop_assert!(schedule.next_due(wall_s).is_none_or(|due| due > wall_s));
                    prop_assert!(schedule.opens(wall_s) >= wall_s);
                }
                prop_assert_eq!(schedule.next_due(near).is_some(), schedule.check().is_ok());
            }
        }
    }
}
