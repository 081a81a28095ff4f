//! When a string is paused by schedule: new batteries that are still being
//! formed, maintenance, a nightly test.
//!
//! ```toml
//! [[string.pause]]
//! from = "2026-12-01 08:00"      # UTC, once
//! until = "2026-12-15 18:00"
//!
//! [[string.pause]]
//! from = "sat 22:00"             # UTC, every week; may run past Sunday night
//! until = "sun 06:00"
//! ```
//! All times are UTC, from the first minute up to but not including the last.
//! Without a set clock nothing is paused, and that is said: equalizing a string
//! that should rest is slow to harm, one that is never equalized is not.

use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Serialize};

const DAY_S: u64 = 86_400;
const WEEK_S: u64 = 7 * DAY_S;
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// 1970-01-01 was a Thursday.
const EPOCH_DAY: u64 = 3;

/// A point in time of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Moment {
    /// Once: seconds since 1970 UTC.
    Date(u64),
    /// Every week: seconds since Monday 00:00 UTC.
    Weekly(u64),
}

/// A pause: once or every week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// Begins then.
    pub from: Moment,
    /// Ends then.
    pub until: Moment,
}

/// Whether a schedule pauses now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scheduled {
    /// It does not.
    #[default]
    No,
    /// It does.
    Paused,
    /// There is a schedule, but the clock is not set: not paused.
    ClockNotSet,
}

impl Scheduled {
    /// For people.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::No => "not paused",
            Self::Paused => "paused by schedule",
            Self::ClockNotSet => "not paused: the clock is not set, the schedule cannot be kept",
        }
    }
}

/// What these pauses say about now; `wall_s` in seconds since 1970 UTC.
#[must_use]
pub fn scheduled(pauses: &[Pause], wall_s: Option<u64>) -> Scheduled {
    match wall_s {
        _ if pauses.is_empty() => Scheduled::No,
        None => Scheduled::ClockNotSet,
        Some(wall_s) if pauses.iter().any(|p| p.holds(wall_s)) => Scheduled::Paused,
        Some(_) => Scheduled::No,
    }
}

/// Why a pause makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PauseError {
    /// Not a moment.
    #[error("{0:?} is neither a date and time as 2026-12-01 08:00 nor a weekly one as sat 22:00")]
    Moment(String),
    /// One end is a date, the other weekly.
    #[error("from and until must both be dates or both be weekly")]
    Mixed,
    /// Ends before it begins, or has no length.
    #[error("until must be later than from")]
    Empty,
}

impl Pause {
    /// Say what is impossible.
    ///
    /// # Errors
    /// [`PauseError`] says what is right.
    pub fn check(&self) -> Result<(), PauseError> {
        match (self.from, self.until) {
            (Moment::Date(from), Moment::Date(until)) if from < until => Ok(()),
            (Moment::Weekly(from), Moment::Weekly(until)) if from != until => Ok(()),
            (Moment::Date(_), Moment::Date(_)) | (Moment::Weekly(_), Moment::Weekly(_)) => {
                Err(PauseError::Empty)
            }
            _ => Err(PauseError::Mixed),
        }
    }

    fn holds(&self, wall_s: u64) -> bool {
        match (self.from, self.until) {
            (Moment::Date(from), Moment::Date(until)) => (from..until).contains(&wall_s),
            (Moment::Weekly(from), Moment::Weekly(until)) => {
                let now = (wall_s % WEEK_S + EPOCH_DAY * DAY_S) % WEEK_S;
                if from <= until {
                    (from..until).contains(&now)
                } else {
                    now >= from || now < until
                }
            }
            _ => false,
        }
    }
}

impl FromStr for Moment {
    type Err = PauseError;

    fn from_str(text: &str) -> Result<Self, PauseError> {
        let parse = || {
            let (day, time) = text.split_once(' ')?;
            let time_s = time_of_day(time)?;
            match DAYS.iter().position(|d| *d == day) {
                Some(day) => Some(Self::Weekly(day as u64 * DAY_S + time_s)),
                None => Some(Self::Date(date(day)? * DAY_S + time_s)),
            }
        };
        parse().ok_or_else(|| PauseError::Moment(text.to_owned()))
    }
}

impl TryFrom<String> for Moment {
    type Error = PauseError;

    fn try_from(text: String) -> Result<Self, PauseError> {
        text.parse()
    }
}

impl From<Moment> for String {
    fn from(moment: Moment) -> Self {
        moment.to_string()
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Date(s) | Self::Weekly(s)) = *self;
        let (hour, minute) = (s % DAY_S / 3_600, s % 3_600 / 60);
        match self {
            Self::Date(_) => {
                let (year, month, day) = civil(s / DAY_S);
                write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}")
            }
            Self::Weekly(_) => {
                let day = DAYS[(s / DAY_S % 7) as usize];
                write!(f, "{day} {hour:02}:{minute:02}")
            }
        }
    }
}

/// Two or four digits and nothing else.
fn digits(text: &str, count: usize) -> Option<u64> {
    let plain = text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

/// "22:00" in seconds.
fn time_of_day(text: &str) -> Option<u64> {
    let (hour, minute) = text.split_once(':')?;
    let (hour, minute) = (digits(hour, 2)?, digits(minute, 2)?);
    (hour < 24 && minute < 60).then_some(hour * 3_600 + minute * 60)
}

/// "2026-12-01" in days since 1970.
fn date(text: &str) -> Option<u64> {
    let mut parts = text.splitn(3, '-');
    let (year, month) = (digits(parts.next()?, 4)?, digits(parts.next()?, 2)?);
    let day = digits(parts.next()?, 2)?;
    if year < 1970 || !(1..=12).contains(&month) {
        return None;
    }
    let days = days_from_civil(year, month, day);
    // The 31st of a short month does not come back as itself.
    (civil(days) == (year, month, day)).then_some(days)
}

/// Days since 1970 in the Gregorian calendar, from 1970 on. Years begin in
/// March, so that the leap day is the last.
fn days_from_civil(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let day_of_year = (153 * month + 2) / 5 + day;
    (365 * year + year / 4 + year / 400 + day_of_year).saturating_sub(year / 100 + 719_469)
}

/// Year, month, day of a day since 1970.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days.saturating_add(719_468);
    let era = days / 146_097;
    let day = days % 146_097;
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day_of_month)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pause(from: &str, until: &str) -> Pause {
        let text = format!("from = {from:?}\nuntil = {until:?}\n");
        toml::from_str(&text).expect("a pause")
    }

    fn at(text: &str) -> u64 {
        match text.parse() {
            Ok(Moment::Date(s)) => s,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        // date -u -d '…' +%s
        for (text, seconds) in [
            ("1970-01-01 00:00", 0),
            ("2000-02-29 12:34", 951_827_640),
            ("2024-03-01 00:00", 1_709_251_200),
            ("2026-11-21 11:30", 1_795_260_600),
            ("2100-03-01 00:00", 4_107_542_400),
        ] {
            assert_eq!(at(text), seconds, "{text}");
            assert_eq!(Moment::Date(seconds).to_string(), text);
        }
    }

    #[test]
    fn a_window_holds_from_its_first_minute_up_to_its_last() {
        let pauses = [pause("2026-12-01 08:00", "2026-12-15 18:00")];
        let of = |text: &str| scheduled(&pauses, Some(at(text)));
        assert_eq!(of("2026-12-01 07:59"), Scheduled::No);
        assert_eq!(of("2026-12-01 08:00"), Scheduled::Paused);
        assert_eq!(of("2026-12-15 17:59"), Scheduled::Paused);
        assert_eq!(of("2026-12-15 18:00"), Scheduled::No);
    }

    #[test]
    fn a_weekly_window_comes_back_and_may_cross_the_week() {
        let pauses = [pause("sun 22:00", "mon 06:00"), pause("wed 01:00", "wed 02:00")];
        let of = |text: &str| scheduled(&pauses, Some(at(text)));
        // 2026-11-22 is a Sunday.
        assert_eq!(of("2026-11-22 21:59"), Scheduled::No);
        assert_eq!(of("2026-11-22 22:00"), Scheduled::Paused);
        assert_eq!(of("2026-11-23 05:59"), Scheduled::Paused);
        assert_eq!(of("2026-11-23 06:00"), Scheduled::No);
        assert_eq!(of("2026-11-25 01:30"), Scheduled::Paused);
        assert_eq!(of("2026-12-02 01:30"), Scheduled::Paused);
        assert_eq!(of("2026-12-03 01:30"), Scheduled::No);
    }

    #[test]
    fn without_a_clock_nothing_is_paused_and_that_is_said() {
        let pauses = [pause("sun 22:00", "mon 06:00")];
        assert_eq!(scheduled(&pauses, None), Scheduled::ClockNotSet);
        assert_eq!(scheduled(&[], None), Scheduled::No);
    }

    #[test]
    fn senseless_pauses_are_refused() {
        for text in [
            "2026-02-29 00:00",
            "2026-13-01 00:00",
            "2026-01-00 00:00",
            "2026-1-1 00:00",
            "1969-12-31 00:00",
            "sat 24:00",
            "sat 7:00",
            "Sat 07:00",
            "caturday 07:00",
            "sat",
            "",
            "2026-01-01T00:00",
            "+026-01-01 00:00",
        ] {
            assert_eq!(text.parse::<Moment>(), Err(PauseError::Moment(text.to_owned())));
        }
        for (from, until, error) in [
            ("2026-01-02 00:00", "2026-01-02 00:00", PauseError::Empty),
            ("sat 07:00", "sat 07:00", PauseError::Empty),
            ("sat 07:00", "2026-01-02 00:00", PauseError::Mixed),
        ] {
            assert_eq!(pause(from, until).check(), Err(error));
        }
        assert!(toml::from_str::<Pause>("from = \"sat 07:00\"").is_err());
    }

    proptest! {
        #[test]
        fn moments_come_back_as_themselves(minutes in 0u64..600_000_000, week_minutes in 0u64..7 * 1_440) {
            for moment in [Moment::Date(minutes * 60), Moment::Weekly(week_minutes * 60)] {
                // Four digits of the year end in 9999.
                prop_assert_eq!(moment.to_string().parse(), Ok(moment));
            }
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in "\\PC{0,20}") {
            let _ = text.parse::<Moment>();
        }
    }
}
