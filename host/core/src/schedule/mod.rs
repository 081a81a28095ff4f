//! The calendar: when something is due, in local time.
//!
//! An [`Entry`] is a name, a [`Rhythm`] in local time, dates between which it
//! holds and what becomes of a run that was missed. A run that is due is an
//! event ([`Event::ScheduleDue`](crate::events::Event::ScheduleDue)); what is
//! then done is said by [`jobs`](crate::jobs), as for every event.
//!
//! ```toml
//! zone = "Europe/Berlin"
//!
//! [[schedule]]
//! name = "weekly-report"
//! when = { every = "week", weekdays = ["mon"], at = "06:30" }
//! missed = { within_hours = 12 }
//! ```
//!
//! # Local time
//! What a zone's clock does is known by a [`Zone`], which is one function; the
//! table of all zones is the daemon's. As RFC 5545 §3.3.5 has it:
//! - a time of day in the hour that is **skipped** is taken with the offset
//!   before the change: 02:30 happens at 03:30;
//! - a time of day in the hour that comes **twice** is its first coming.
//!
//! "Every so many minutes" is about the clock on the wall too: it counts from
//! midnight, finds nothing in the skipped hour and runs in both of the doubled.
//! A 31st of a month that has 30 days, or 29 February, is no run; day −1 is the
//! last of each month.
//!
//! # Missed runs
//! The daemon was off, or the clock was set: of all runs that were missed at
//! most the last is run, if [`Missed`] says so, and its event says that it is
//! late. An entry that is new has missed nothing. While nobody knows what time it
//! is, nothing is due and nothing is missed.
//!
//! The battery tests of the strings keep a calendar of their own
//! ([`battery_test::schedule`](crate::battery_test)): it is the guard's, which
//! knows no zones and needs nobody. An entry here with a job that tells
//! `string.1` to `test.battery.start` does the same in local time.

mod civil;
mod window;

pub use civil::{Date, DateError};
pub use window::{Window, WindowError};

use civil::{DAY_S, Weekday};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use window::{DAY_MIN, minute};

/// Most entries.
pub const ENTRIES_MAX: usize = 200;
/// A run that is begun within this time is not late, s.
pub const PUNCTUAL_S: i64 = 60;
/// How far ahead a date is looked for: 29 February comes every 8 years at worst.
const AHEAD_DAYS: i64 = 8 * 366 + 31;
/// Minutes that are looked at for the next of "every so many minutes".
const AHEAD_MIN: i64 = 8 * 24 * 60;
/// Missed runs that are counted.
const MISSED_MAX: u32 = 10_000;

/// What the clocks of a place do.
pub trait Zone {
    /// Local time less UTC at this instant (s since 1970), s.
    fn offset_s(&self, unix_s: i64) -> i32;
}

/// The zone without changes.
#[derive(Clone, Copy, Debug)]
pub struct Utc;

impl Zone for Utc {
    fn offset_s(&self, _: i64) -> i32 {
        0
    }
}

/// A moment as a clock on the wall shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    /// Day of the week, Monday 0.
    pub weekday: u8,
    /// Minute of the day, 0 … 1439.
    pub minute: u16,
}

impl Local {
    /// The local moment at this instant.
    #[must_use]
    pub fn at(unix_s: i64, zone: &impl Zone) -> Self {
        let local_s = unix_s.saturating_add(zone.offset_s(unix_s).into());
        let minute = (local_s.rem_euclid(DAY_S) / 60) as u16;
        Self { weekday: Date::of_day(local_s.div_euclid(DAY_S)).weekday(), minute }
    }
}

/// Something that is due now and then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What it is called: 1 … 40 of `a–z 0–9 -`.
    pub name: String,
    /// When.
    pub when: Rhythm,
    /// Not before this local date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Date>,
    /// Not after this local date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Date>,
    /// What becomes of a run that was missed.
    #[serde(default)]
    pub missed: Missed,
}

/// How often, in local time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "every", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Rhythm {
    /// Every so many minutes from midnight on.
    Minutes {
        /// 1 … 1440.
        minutes: u16,
        /// Only within these hours and days.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        window: Option<Window>,
    },
    /// Every so many days from `from` on, or from 1970-01-01.
    Day {
        /// 1 … 366.
        #[serde(default = "one")]
        days: u16,
        /// At this time.
        at: Time,
    },
    /// On these days of each week.
    Week {
        /// `mon` … `sun`, at least one.
        weekdays: Vec<Weekday>,
        /// At this time.
        at: Time,
    },
    /// On this day of each month.
    Month {
        /// 1 … 31, or −1 for the last.
        day: i8,
        /// At this time.
        at: Time,
    },
    /// On the nth such weekday of each month.
    MonthWeekday {
        /// 1 … 4, or −1 for the last.
        nth: i8,
        /// `mon` … `sun`.
        weekday: Weekday,
        /// At this time.
        at: Time,
    },
    /// On this day of each year.
    Year {
        /// 1 … 12.
        month: u8,
        /// 1 … 31.
        day: u8,
        /// At this time.
        at: Time,
    },
    /// Once.
    Once {
        /// On this date.
        on: Date,
        /// At this time.
        at: Time,
    },
}

const fn one() -> u16 {
    1
}

/// A time of day, `HH:MM`, 00:00 … 23:59.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Time(u16);

impl TryFrom<String> for Time {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let good = minute(&text).filter(|minute| *minute < DAY_MIN);
        good.map(Self).ok_or_else(|| format!("{text:?} is not a time of day from 00:00 to 23:59"))
    }
}

impl From<Time> for String {
    fn from(Time(minute): Time) -> Self {
        format!("{:02}:{:02}", minute / 60, minute % 60)
    }
}

/// What becomes of the last run that was missed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// It is left out.
    #[default]
    Skip,
    /// It is run as soon as possible, however late.
    RunOnce,
    /// It is run unless it is later than so many hours.
    WithinHours(u16),
}

/// Why an entry cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("schedule {name:?}: {problem}")]
pub struct EntryError {
    /// Which.
    pub name: String,
    /// What is wrong with it.
    pub problem: String,
}

/// A run that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The entry.
    pub entry: String,
    /// For when it was planned, s since 1970.
    pub planned_s: i64,
    /// So late, s; 0 when it is punctual.
    pub late_s: u64,
    /// Runs before it that are left out.
    pub left_out: u32,
    /// False: it is left out too.
    pub run: bool,
}

impl Entry {
    /// Say what is impossible.
    ///
    /// # Errors
    /// [`EntryError`] names the entry, the field and its range.
    pub fn check(&self) -> Result<(), EntryError> {
        let range = |what: &str, good: bool, range: &str| match good {
            true => Ok(()),
            false => Err(format!("{what} is {range}")),
        };
        let checked = match &self.when {
            _ if !crate::rules::is_name(&self.name) => {
                Err("a name has 1 to 40 of a-z, 0-9, '-'".to_owned())
            }
            Rhythm::Minutes { minutes, window } => {
                range("minutes", (1..=DAY_MIN).contains(minutes), "1 to 1440").and_then(|()| {
                    let hit = |minute: u16| {
                        let inside = |w: &Window| {
                            (0..7).any(|weekday| w.contains(Local { weekday, minute }))
                        };
                        minute.is_multiple_of(*minutes) && window.as_ref().is_none_or(inside)
                    };
                    range("every so many minutes", (0..DAY_MIN).any(hit), "never within the window")
                })
            }
            Rhythm::Day { days, .. } => range("days", (1..=366).contains(days), "1 to 366"),
            Rhythm::Week { weekdays, .. } => {
                range("weekdays", (1..=7).contains(&weekdays.len()), "one to seven of mon … sun")
            }
            Rhythm::Month { day, .. } => {
                range("day", matches!(day, -1 | 1..=31), "1 to 31, or -1 for the last")
            }
            Rhythm::MonthWeekday { nth, .. } => {
                range("nth", matches!(nth, -1 | 1..=4), "1 to 4, or -1 for the last")
            }
            // 2000 has a 29 February.
            Rhythm::Year { month, day, .. } => {
                range("month and day", Date::new(2000, *month, *day).is_some(), "no day of a year")
            }
            Rhythm::Once { .. } => Ok(()),
        };
        let checked = checked.and_then(|()| match self.from.zip(self.until) {
            Some((from, until)) if from > until => Err("until is not before from".to_owned()),
            _ => Ok(()),
        });
        checked.map_err(|problem| EntryError { name: self.name.clone(), problem })
    }

    /// The first run after this instant (s since 1970); `None`: never again.
    #[must_use]
    pub fn next_after(&self, after_s: i64, zone: &impl Zone) -> Option<i64> {
        let begin = self.from.map_or(after_s, |from| after_s.max(from.day() * DAY_S - 2 * DAY_S));
        let Some(at) = self.time() else { return self.next_minute(after_s, begin, zone) };
        let today = local_s(begin, zone).div_euclid(DAY_S);
        (today - 1..today + AHEAD_DAYS)
            .take_while(|day| self.until.is_none_or(|until| *day <= until.day()))
            .filter(|day| self.from.is_none_or(|from| *day >= from.day()) && self.falls_on(*day))
            .map(|day| instant(day * DAY_S + i64::from(at.0) * 60, zone))
            .find(|run| *run > after_s)
    }

    fn next_minute(&self, after_s: i64, begin_s: i64, zone: &impl Zone) -> Option<i64> {
        let Rhythm::Minutes { minutes, window } = self.when else { return None };
        let first = begin_s.div_euclid(60) + 1;
        let fits = |unix_s: &i64| {
            let local = Local::at(*unix_s, zone);
            let day = local_s(*unix_s, zone).div_euclid(DAY_S);
            local.minute.is_multiple_of(minutes)
                && window.is_none_or(|window| window.contains(local))
                && self.from.is_none_or(|from| day >= from.day())
                && self.until.is_none_or(|until| day <= until.day())
        };
        (first..first + AHEAD_MIN).map(|minute| minute * 60).filter(|s| *s > after_s).find(fits)
    }

    fn time(&self) -> Option<Time> {
        match &self.when {
            Rhythm::Minutes { .. } => None,
            Rhythm::Day { at, .. }
            | Rhythm::Week { at, .. }
            | Rhythm::Month { at, .. }
            | Rhythm::MonthWeekday { at, .. }
            | Rhythm::Year { at, .. }
            | Rhythm::Once { at, .. } => Some(*at),
        }
    }

    fn falls_on(&self, day: i64) -> bool {
        let date = Date::of_day(day);
        match &self.when {
            Rhythm::Minutes { .. } => true,
            Rhythm::Day { days, .. } => {
                let from = self.from.map_or(0, Date::day);
                (day - from).rem_euclid(i64::from(*days).max(1)) == 0
            }
            Rhythm::Week { weekdays, .. } => {
                weekdays.iter().any(|on| on.number() == date.weekday())
            }
            Rhythm::Month { day: -1, .. } => date.date() == date.days_of_month(),
            Rhythm::Month { day, .. } => u8::try_from(*day) == Ok(date.date()),
            Rhythm::MonthWeekday { nth, weekday, .. } => {
                let turn = match nth {
                    -1 => date.date() + 7 > date.days_of_month(),
                    nth => i32::from(date.date() - 1) / 7 + 1 == i32::from(*nth),
                };
                turn && weekday.number() == date.weekday()
            }
            Rhythm::Year { month, day, .. } => date.month() == *month && date.date() == *day,
            Rhythm::Once { on, .. } => *on == date,
        }
    }

    /// The next `count` runs after this instant.
    #[must_use]
    pub fn upcoming(&self, after_s: i64, count: usize, zone: &impl Zone) -> Vec<i64> {
        let next = |after: &i64| self.next_after(*after, zone);
        std::iter::successors(next(&after_s), next).take(count).collect()
    }

    /// What is due at `now_s` when everything up to `*seen_s` was looked at.
    pub fn due(&self, seen_s: &mut i64, now_s: i64, zone: &impl Zone) -> Option<Due> {
        if *seen_s > now_s + DAY_S {
            // The clock was wrong; it must not silence the entry for years.
            *seen_s = now_s;
        }
        let mut planned_s = self.next_after(*seen_s, zone).filter(|run| *run <= now_s)?;
        let mut left_out = 0;
        while let Some(later) = self.next_after(planned_s, zone).filter(|run| *run <= now_s) {
            planned_s = later;
            left_out += 1;
            if left_out >= MISSED_MAX {
                // Weeks of minutes: the next one is soon enough.
                planned_s = now_s - now_s.rem_euclid(60);
                break;
            }
        }
        *seen_s = planned_s;
        let late = now_s - planned_s;
        let run = late <= PUNCTUAL_S
            || match self.missed {
                Missed::Skip => false,
                Missed::RunOnce => true,
                Missed::WithinHours(hours) => late <= i64::from(hours) * 3_600,
            };
        let late_s = if late <= PUNCTUAL_S { 0 } else { late.unsigned_abs() };
        Some(Due { entry: self.name.clone(), planned_s, late_s, left_out, run })
    }
}

/// All entries, and up to when each was looked at.
#[derive(Clone, Debug, Default)]
pub struct Calendar {
    entries: Vec<Entry>,
    seen: BTreeMap<String, i64>,
    /// The next run after that was seen: it is looked for once, not in every
    /// step.
    next: BTreeMap<String, (i64, Option<i64>)>,
}

impl Calendar {
    /// These entries; `seen` is from [`Self::seen`] of an earlier one.
    #[must_use]
    pub fn new(entries: Vec<Entry>, mut seen: BTreeMap<String, i64>) -> Self {
        seen.retain(|name, _| entries.iter().any(|entry| entry.name == *name));
        Self { entries, seen, next: BTreeMap::new() }
    }

    /// What is due. The zone is the same each time.
    pub fn step(&mut self, now_s: i64, zone: &impl Zone) -> Vec<Due> {
        let mut all = Vec::new();
        for entry in &self.entries {
            let seen = self.seen.entry(entry.name.clone()).or_insert(now_s);
            let waits = |(of, next): &(i64, Option<i64>)| {
                of == seen && *seen <= now_s + DAY_S && next.is_none_or(|next| next > now_s)
            };
            if self.next.get(&entry.name).is_some_and(waits) {
                continue;
            }
            all.extend(entry.due(seen, now_s, zone));
            self.next.insert(entry.name.clone(), (*seen, entry.next_after(*seen, zone)));
        }
        all
    }

    /// The log says that the run of `planned_s` was due: it is not due again,
    /// even if [`Self::seen`] of that time was lost.
    pub fn told(&mut self, entry: &str, planned_s: i64) {
        if self.entries.iter().any(|known| known.name == entry) {
            let seen = self.seen.entry(entry.to_owned()).or_insert(planned_s);
            *seen = (*seen).max(planned_s);
        }
    }

    /// The entries.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Up to when each entry was looked at, s since 1970: to be kept.
    #[must_use]
    pub const fn seen(&self) -> &BTreeMap<String, i64> {
        &self.seen
    }
}

fn local_s(unix_s: i64, zone: &impl Zone) -> i64 {
    unix_s.saturating_add(zone.offset_s(unix_s).into())
}

/// The instant at which clocks show `local_s`, see the module's words on that.
fn instant(local_s: i64, zone: &impl Zone) -> i64 {
    let offset = |at: i64| i64::from(zone.offset_s(at));
    let (before, after) = (offset(local_s - DAY_S), offset(local_s + DAY_S));
    let (first, second) = (local_s - before, local_s - after);
    // Only behind a change that skips nothing is the second the right one.
    match offset(first) != before && offset(second) == after {
        true => second,
        false => first,
    }
}

#[cfg(test)]
mod tests;
