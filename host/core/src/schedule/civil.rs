//! Dates of the proleptic Gregorian calendar as day numbers from 1970-01-01
//! (ISO 8601), in plain arithmetic.

use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Serialize};

/// Seconds of a day without a change of the clock.
pub(super) const DAY_S: i64 = 86_400;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_DAYS: i64 = 719_468;
/// Days of 400 years.
const ERA_DAYS: i64 = 146_097;

/// A date, 1970-01-01 … 9999-12-31, `YYYY-MM-DD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Date {
    year: i32,
    month: u8,
    date: u8,
}

/// Why a text is no date.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a date from 1970-01-01 to 9999-12-31")]
pub struct DateError(String);

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "seven days need no words")]
pub enum Weekday {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Weekday {
    /// Monday is 0.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }
}

impl Date {
    /// `None` when there is no such day.
    #[must_use]
    pub fn new(year: i32, month: u8, date: u8) -> Option<Self> {
        let day = Self { year, month, date };
        let good = (1..=12).contains(&month) && (1..=day.days_of_month()).contains(&date);
        good.then_some(day)
    }

    /// The date of a day number.
    #[must_use]
    pub fn of_day(day: i64) -> Self {
        // Years that begin in March have their leap day at the end.
        let shifted = day.saturating_add(EPOCH_DAYS);
        let (era, of_era) = (shifted.div_euclid(ERA_DAYS), shifted.rem_euclid(ERA_DAYS));
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let march = (5 * of_year + 2) / 153;
        let date = (of_year - (153 * march + 2) / 5 + 1) as u8;
        let month = (if march < 10 { march + 3 } else { march - 9 }) as u8;
        let year = era * 400 + year + i64::from(month <= 2);
        Self { year: year as i32, month, date }
    }

    /// Its number.
    #[must_use]
    pub fn day(self) -> i64 {
        let year = i64::from(self.year) - i64::from(self.month <= 2);
        let march = (i64::from(self.month) + 9) % 12;
        let of_year = (153 * march + 2) / 5 + i64::from(self.date) - 1;
        let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
        era * ERA_DAYS + of_era * 365 + of_era / 4 - of_era / 100 + of_year - EPOCH_DAYS
    }

    /// Day of the week, Monday 0: 1970-01-01 was a Thursday.
    #[must_use]
    pub fn weekday(self) -> u8 {
        (self.day() + 3).rem_euclid(7) as u8
    }

    /// Month, 1 … 12.
    #[must_use]
    pub const fn month(self) -> u8 {
        self.month
    }

    /// Day of the month, 1 … 31.
    #[must_use]
    pub const fn date(self) -> u8 {
        self.date
    }

    /// Days of its month.
    #[must_use]
    pub const fn days_of_month(self) -> u8 {
        match self.month {
            4 | 6 | 9 | 11 => 30,
            2 if self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0) => 29,
            2 => 28,
            _ => 31,
        }
    }
}

impl FromStr for Date {
    type Err = DateError;

    fn from_str(text: &str) -> Result<Self, DateError> {
        let digits = |part: &str, len: usize| {
            (part.len() == len && part.bytes().all(|b| b.is_ascii_digit()))
                .then(|| part.parse::<u16>().ok())
                .flatten()
        };
        let mut parts = text.splitn(3, '-');
        let mut next = |len| parts.next().and_then(|part| digits(part, len));
        let parsed = next(4).zip(next(2)).zip(next(2));
        let date = parsed.and_then(|((year, month), date)| {
            let (month, date) = (u8::try_from(month).ok()?, u8::try_from(date).ok()?);
            (year >= 1970).then(|| Self::new(year.into(), month, date)).flatten()
        });
        date.ok_or_else(|| DateError(text.to_owned()))
    }
}

impl TryFrom<String> for Date {
    type Error = DateError;

    fn try_from(text: String) -> Result<Self, DateError> {
        text.parse()
    }
}

impl From<Date> for String {
    fn from(date: Date) -> Self {
        date.to_string()
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.date)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_days() {
        for (text, day, weekday) in [
            ("1970-01-01", 0, 3),
            ("2000-02-29", 11_016, 1),
            ("2026-11-21", 20_778, 5),
            ("9999-12-31", 2_932_896, 4),
        ] {
            let date: Date = text.parse().expect(text);
            assert_eq!((date.day(), date.weekday()), (day, weekday), "{text}");
            assert_eq!(Date::of_day(day).to_string(), text);
        }
        for bad in
            ["", "2026-02-29", "2026-13-01", "26-01-01", "2026-1-1", "1969-12-31", "2026-00-01"]
        {
            assert!(bad.parse::<Date>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_day_comes_back_and_the_next_is_one_later(day in -800_000i64..3_000_000) {
            let date = Date::of_day(day);
            prop_assert_eq!(date.day(), day);
            prop_assert!(Date::new(date.year, date.month, date.date).is_some());
            prop_assert!(Date::of_day(day + 1) > date);
        }

        #[test]
        fn any_text_is_a_date_or_not(text in "\\PC{0,12}") {
            let _ = text.parse::<Date>();
        }
    }
}
