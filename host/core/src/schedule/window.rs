//! A window of local time: hours of the day on days of the week.

use crate::schedule::Local;
use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Serialize};

/// Minutes of a day.
pub(super) const DAY_MIN: u16 = 24 * 60;
/// Monday first.
pub(super) const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Hours of the day on days of the week: `08:00-18:00 mon-fri`, `22:00-06:00`,
/// `00:00-24:00 sat,sun`. The end does not belong to it; a window over
/// midnight belongs to the day on which it begins. Local time: in the hour that
/// a change of the clock skips there is nothing, the doubled one counts twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Window {
    /// Minute of the day at which it begins, 0 … 1439.
    from: u16,
    /// Minute of the day at which it ends, 1 … 1440.
    to: u16,
    /// Bit n: the day n of the week, Monday 0.
    days: u8,
}

/// Why a text is not a window.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a window like '08:00-18:00 mon-fri', '22:00-06:00' or '00:00-24:00 sat,sun'")]
pub struct WindowError(String);

impl Window {
    /// Whether this moment lies in it.
    #[must_use]
    pub const fn contains(self, local: Local) -> bool {
        let today = self.days & (1 << (local.weekday % 7)) != 0;
        let yesterday = self.days & (1 << ((local.weekday + 6) % 7)) != 0;
        if self.from < self.to {
            today && self.from <= local.minute && local.minute < self.to
        } else {
            (today && self.from <= local.minute) || (yesterday && local.minute < self.to)
        }
    }
}

impl FromStr for Window {
    type Err = WindowError;

    fn from_str(text: &str) -> Result<Self, WindowError> {
        let mut parts = text.split_ascii_whitespace();
        let (hours, days, more) = (parts.next(), parts.next(), parts.next());
        let parsed = || {
            let (from, to) = hours?.split_once('-')?;
            let (from, to) = (minute(from)?, minute(to)?);
            let days = days.map_or(Some(0x7F), days_of)?;
            (more.is_none() && from < DAY_MIN && to > 0 && from != to).then_some(Self {
                from,
                to,
                days,
            })
        };
        parsed().ok_or_else(|| WindowError(text.to_owned()))
    }
}

impl TryFrom<String> for Window {
    type Error = WindowError;

    fn try_from(text: String) -> Result<Self, WindowError> {
        text.parse()
    }
}

impl From<Window> for String {
    fn from(window: Window) -> Self {
        window.to_string()
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clock = |minute: u16| (minute / 60, minute % 60);
        let ((h, m), (to_h, to_m)) = (clock(self.from), clock(self.to));
        write!(f, "{h:02}:{m:02}-{to_h:02}:{to_m:02}")?;
        if self.days != 0x7F {
            let on = DAYS.iter().enumerate().filter(|(n, _)| self.days & (1 << n) != 0);
            for (n, (_, day)) in on.enumerate() {
                write!(f, "{}{day}", if n == 0 { " " } else { "," })?;
            }
        }
        Ok(())
    }
}

/// `HH:MM` as a minute of the day, 00:00 … 24:00.
pub(super) fn minute(text: &str) -> Option<u16> {
    let (h, m) = text.split_once(':')?;
    let two = |part: &str| {
        let digits = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| part.parse::<u16>().ok()).flatten()
    };
    let (h, m) = (two(h)?, two(m)?);
    (m < 60 && h * 60 + m <= DAY_MIN).then_some(h * 60 + m)
}

/// `mon-fri`, `sat,sun`, `fri-mon`.
fn days_of(text: &str) -> Option<u8> {
    let day = |name: &str| DAYS.iter().position(|known| *known == name);
    let mut days = 0;
    for part in text.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to) = (day(from)?, day(to)?);
        (0..=(to + 7 - from) % 7).for_each(|n| days |= 1 << ((from + n) % 7));
    }
    Some(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_written_and_read() {
        for (text, again) in [
            ("08:00-18:00 mon-fri", "08:00-18:00 mon,tue,wed,thu,fri"),
            ("22:00-06:00", "22:00-06:00"),
            ("00:00-24:00 fri-mon", "00:00-24:00 mon,fri,sat,sun"),
        ] {
            let window: Window = text.parse().expect(text);
            assert_eq!(window.to_string(), again);
            assert_eq!(again.parse(), Ok(window));
        }
        for bad in [
            "",
            "8-18",
            "08:00",
            "08:00-08:00",
            "24:00-01:00",
            "08:60-09:00",
            "25:00-26:00",
            "08:00-18:00 monday",
            "08:00-18:00 mon fri",
            "+8:00-18:00",
            "08:00-00:00",
        ] {
            assert!(bad.parse::<Window>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_night_belongs_to_the_day_on_which_it_begins() {
        let night: Window = "22:00-06:00 fri".parse().expect("a window");
        let at = |weekday, minute| night.contains(Local { weekday, minute });
        assert!(at(4, 22 * 60) && at(5, 0) && at(5, 5 * 60 + 59));
        assert!(!at(5, 6 * 60) && !at(5, 22 * 60) && !at(4, 3 * 60) && !at(4, 21 * 60));
    }
}
