//! The two clocks: monotonic for every age and every interval, wall-clock
//! time only to be shown and stored. Pure code gets both as numbers.

use evenkeel_core::time::Nanos;
use rustix::time::{ClockId, clock_gettime};
use std::time::{SystemTime, UNIX_EPOCH};

/// `CLOCK_MONOTONIC`, the clock of the guard and of every point.
#[must_use]
pub fn now() -> Nanos {
    let t = clock_gettime(ClockId::Monotonic);
    Nanos::from_secs(t.tv_sec.unsigned_abs()) + Nanos(t.tv_nsec.unsigned_abs())
}

/// Milliseconds since 1970; 0 on a clock that stands before it.
#[must_use]
pub fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64)
}

/// Year, month and day (UTC) of a time.
#[must_use]
pub fn date(unix_ms: u64) -> (u16, u8, u8) {
    // Days to civil date, in eras of 400 years that start on 1 March.
    let days = unix_ms / 86_400_000 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year_of_era = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let day_of_month = day_of_year - (153 * march_month + 2) / 5 + 1;
    (year as u16, month as u8, day_of_month as u8)
}

/// A time for people: `2026-11-21 07:52:01` (UTC).
#[must_use]
pub fn utc(unix_ms: u64) -> String {
    let (year, month, day) = date(unix_ms);
    let s = unix_ms / 1_000 % 86_400;
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", s / 3_600, s / 60 % 60, s % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        assert_eq!(utc(0), "1970-01-01 00:00:00");
        assert_eq!(utc(951_782_400_000), "2000-02-29 00:00:00");
        assert_eq!(utc(1_709_164_799_000), "2024-02-28 23:59:59");
        assert_eq!(utc(1_795_247_521_000), "2026-11-21 07:52:01");
    }

    #[test]
    fn time_goes_on() {
        let before = now();
        assert!(now() >= before && before.0 > 0);
        assert!(unix_ms() > 1_700_000_000_000);
    }
}
