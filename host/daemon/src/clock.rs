//! The two clocks: monotonic for every age and every interval, wall-clock
//! time only to be shown and stored. Pure code gets both as numbers.

use evenkeel_core::time::Nanos;
use rustix::time::{ClockId, clock_gettime};
use std::time::{SystemTime, UNIX_EPOCH};
use time::{OffsetDateTime, PrimitiveDateTime};

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

/// A clock that stands before 2026 was never set: the appliance has no battery
/// for it, or that is empty. This firmware was not made before then.
const SET_MS: u64 = 1_767_225_600_000;

/// Seconds since 1970 by a clock that shows `unix_ms`; `None`: nobody has set it.
#[must_use]
pub fn set_s(unix_ms: u64) -> Option<i64> {
    (unix_ms >= SET_MS).then_some((unix_ms / 1_000) as i64)
}

/// A time for people: `2026-11-21 07:52:01` (UTC).
#[must_use]
pub fn utc(unix_ms: u64) -> String {
    let t = date(unix_ms);
    let (month, day) = (u8::from(t.month()), t.day());
    let (hour, minute, second) = t.to_hms();
    format!("{:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}", t.year())
}

/// The same for libraries; a time behind the year 9999 is its end.
#[must_use]
pub fn date(unix_ms: u64) -> OffsetDateTime {
    let seconds = i64::try_from(unix_ms / 1_000).unwrap_or(i64::MAX);
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(LAST)
}

/// What X.509 and `time` can say at most.
const LAST: OffsetDateTime = PrimitiveDateTime::MAX.assume_utc();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        assert_eq!(utc(0), "1970-01-01 00:00:00");
        assert_eq!(utc(951_782_400_000), "2000-02-29 00:00:00");
        assert_eq!(utc(1_709_164_799_000), "2024-02-28 23:59:59");
        assert_eq!(utc(1_795_247_521_000), "2026-11-21 07:52:01");
        assert_eq!(utc(u64::MAX), "9999-12-31 23:59:59", "no panic");
    }

    #[test]
    fn a_clock_that_nobody_set_says_nothing() {
        assert_eq!(utc(SET_MS), "2026-01-01 00:00:00");
        assert_eq!((set_s(0), set_s(SET_MS - 1)), (None, None));
        assert_eq!(set_s(SET_MS + 1_999), Some(1_767_225_601));
    }

    #[test]
    fn time_goes_on() {
        let before = now();
        assert!(now() >= before && before.0 > 0);
        assert!(unix_ms() > 1_700_000_000_000);
    }
}
