//! Times in forms, in UTC: `2026-11-22T04:20`, as HTML's `datetime-local` has
//! them.

use time::{Date, Month, PrimitiveDateTime, Time};

/// A time of a form, ms since 1970; `None`: it is none, or lies before 1970.
pub fn parse(text: &str) -> Option<u64> {
    let (date, clock) = text.trim().split_once(['T', ' '])?;
    let mut date = date.split('-').map(|part| part.parse::<u16>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let mut clock = clock.split(':').map(|part| part.parse::<u8>().ok());
    let (hour, minute) = (clock.next()??, clock.next()??);
    let second = clock.next().unwrap_or(Some(0))?;
    if date.next().is_some() || clock.next().is_some() {
        return None;
    }
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    let date = Date::from_calendar_date(year.into(), month, u8::try_from(day).ok()?).ok()?;
    let at = PrimitiveDateTime::new(date, Time::from_hms(hour, minute, second).ok()?);
    u64::try_from(at.assume_utc().unix_timestamp()).ok()?.checked_mul(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_of_forms_are_read() {
        assert_eq!(parse("2026-11-21T07:52"), Some(1_795_247_520_000));
        assert_eq!(parse("2026-11-21 07:52:01"), Some(1_795_247_521_000));
        for text in ["", "2026-11-21", "2026-13-01T00:00", "2026-02-30T00:00", "1969-01-01T00:00"] {
            assert_eq!(parse(text), None, "{text}");
        }
        for text in ["2026-11-21T24:00", "2026-11-21T07:52:01:00", "x-1-1T1:1"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(seconds in 0u64..253_402_300_799) {
            let text = crate::clock::utc(seconds * 1_000).replace(' ', "T");
            prop_assert_eq!(parse(&text), Some(seconds * 1_000));
        }

        #[test]
        fn any_text_is_a_time_or_none(text in "\\PC{0,24}") {
            let _ = parse(&text);
        }
    }
}
