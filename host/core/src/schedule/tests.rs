//! The calendar against changes of the clock, missed runs and wrong clocks.

use super::*;
use proptest::prelude::*;

/// Central Europe: one hour ahead, two between the last Sundays of March and
/// October, 01:00 UTC.
struct Cet;

impl Zone for Cet {
    fn offset_s(&self, unix_s: i64) -> i32 {
        let date = Date::of_day(unix_s.div_euclid(DAY_S));
        let year: i32 = date.to_string()[..4].parse().expect("a year");
        let last_sunday = |month| {
            let last = Date::new(year, month, 31).expect("31 days");
            (last.day() - i64::from((last.weekday() + 1) % 7)) * DAY_S + 3_600
        };
        if (last_sunday(3)..last_sunday(10)).contains(&unix_s) { 7_200 } else { 3_600 }
    }
}

fn entry(when: &str) -> Entry {
    let entry: Entry = toml::from_str(&format!("name = \"x\"\nwhen = {when}")).expect(when);
    entry.check().expect(when);
    entry
}

/// `2026-03-29 02:30` UTC.
fn utc(text: &str) -> i64 {
    let (date, time) = text.split_once(' ').expect("date and time");
    let date: Date = date.parse().expect("a date");
    date.day() * DAY_S + i64::from(minute(time).expect("a time")) * 60
}

fn text(unix_s: i64) -> String {
    let minute = unix_s.rem_euclid(DAY_S) / 60;
    format!("{} {:02}:{:02}", Date::of_day(unix_s.div_euclid(DAY_S)), minute / 60, minute % 60)
}

fn runs(entry: &Entry, after: &str, count: usize) -> Vec<String> {
    entry.upcoming(utc(after), count, &Cet).into_iter().map(text).collect()
}

#[test]
fn the_skipped_hour_is_taken_with_the_offset_before() {
    let daily = entry("{ every = 'day', at = '02:30' }");
    assert_eq!(
        runs(&daily, "2026-03-27 12:00", 3),
        // 02:30, then 03:30 on the day of the change, then 02:30 summer time.
        ["2026-03-28 01:30", "2026-03-29 01:30", "2026-03-30 00:30"]
    );
}

#[test]
fn the_doubled_hour_is_its_first_coming_and_comes_once() {
    let daily = entry("{ every = 'day', at = '02:30' }");
    assert_eq!(runs(&daily, "2026-10-24 12:00", 2), ["2026-10-25 00:30", "2026-10-26 01:30"]);
    assert_eq!(runs(&daily, "2026-10-25 00:30", 1), ["2026-10-26 01:30"], "not again at 01:30 UTC");
}

#[test]
fn every_so_many_minutes_follows_the_clock_on_the_wall() {
    let half_hours = entry("{ every = 'minutes', minutes = 30, window = '01:00-04:00' }");
    let spring = runs(&half_hours, "2026-03-28 12:00", 5);
    // 01:00, 01:30, then 03:00 and 03:30 summer time: 02:xx does not exist.
    assert_eq!(
        spring[..4],
        ["2026-03-29 00:00", "2026-03-29 00:30", "2026-03-29 01:00", "2026-03-29 01:30"]
    );
    assert_eq!(spring[4], "2026-03-29 23:00");
    let autumn = runs(&half_hours, "2026-10-24 12:00", 8);
    assert_eq!(autumn.len(), 8);
    assert_eq!(autumn[7], "2026-10-25 02:30", "six half hours and two more");
}

#[test]
fn rhythms_fall_on_the_right_days() {
    for (when, wanted) in [
        (
            "{ every = 'week', weekdays = ['mon', 'fri'], at = '12:00' }",
            ["2026-11-23 11:00", "2026-11-27 11:00", "2026-11-30 11:00"],
        ),
        (
            "{ every = 'day', days = 10, at = '12:00' }",
            ["2026-11-23 11:00", "2026-12-03 11:00", "2026-12-13 11:00"],
        ),
        (
            "{ every = 'month', day = 31, at = '12:00' }",
            ["2026-12-31 11:00", "2027-01-31 11:00", "2027-03-31 10:00"],
        ),
        (
            "{ every = 'month', day = -1, at = '12:00' }",
            ["2026-11-30 11:00", "2026-12-31 11:00", "2027-01-31 11:00"],
        ),
        (
            "{ every = 'month-weekday', nth = 2, weekday = 'tue', at = '12:00' }",
            ["2026-12-08 11:00", "2027-01-12 11:00", "2027-02-09 11:00"],
        ),
        (
            "{ every = 'month-weekday', nth = -1, weekday = 'sun', at = '12:00' }",
            ["2026-11-29 11:00", "2026-12-27 11:00", "2027-01-31 11:00"],
        ),
        (
            "{ every = 'year', month = 2, day = 29, at = '12:00' }",
            ["2028-02-29 11:00", "2032-02-29 11:00", "2036-02-29 11:00"],
        ),
    ] {
        let mut entry = entry(when);
        if when.contains("days = 10") {
            entry.from = Some("2026-11-23".parse().expect("a date"));
        }
        assert_eq!(runs(&entry, "2026-11-21 20:00", 3), wanted, "{when}");
    }
    let once = entry("{ every = 'once', on = '2026-12-24', at = '18:00' }");
    assert_eq!(runs(&once, "2026-11-21 20:00", 3), ["2026-12-24 17:00"]);
    assert!(runs(&once, "2026-12-24 17:00", 1).is_empty());
}

#[test]
fn dates_bound_an_entry() {
    let mut daily = entry("{ every = 'day', at = '00:00' }");
    (daily.from, daily.until) = ("2030-01-01".parse().ok(), "2030-01-02".parse().ok());
    assert_eq!(runs(&daily, "2026-11-21 20:00", 5), ["2029-12-31 23:00", "2030-01-01 23:00"]);
    let mut minutes = entry("{ every = 'minutes', minutes = 720 }");
    (minutes.from, minutes.until) = (daily.from, daily.until);
    assert_eq!(
        runs(&minutes, "2026-11-21 20:00", 9),
        ["2029-12-31 23:00", "2030-01-01 11:00", "2030-01-01 23:00", "2030-01-02 11:00"]
    );
}

#[test]
fn what_is_impossible_is_named() {
    for (when, why) in [
        ("{ every = 'minutes', minutes = 0 }", "1 to 1440"),
        ("{ every = 'minutes', minutes = 1440, window = '08:00-18:00' }", "never within"),
        ("{ every = 'day', days = 0, at = '12:00' }", "1 to 366"),
        ("{ every = 'week', weekdays = [], at = '12:00' }", "one to seven"),
        ("{ every = 'month', day = 0, at = '12:00' }", "-1 for the last"),
        ("{ every = 'month-weekday', nth = 5, weekday = 'mon', at = '12:00' }", "1 to 4"),
        ("{ every = 'year', month = 2, day = 30, at = '12:00' }", "no day of a year"),
    ] {
        let entry: Entry = toml::from_str(&format!("name = \"x\"\nwhen = {when}")).expect(when);
        let error = entry.check().expect_err(when).to_string();
        assert!(error.contains(why) && error.contains("\"x\""), "{error}");
    }
    for bad in [
        "{ every = 'day', at = '24:00' }",
        "{ every = 'day', at = '12:00', dayz = 2 }",
        "{ every = 'fortnight', at = '12:00' }",
    ] {
        assert!(toml::from_str::<Entry>(&format!("name = \"x\"\nwhen = {bad}")).is_err(), "{bad}");
    }
}

#[test]
fn of_what_was_missed_the_last_is_run_if_so_wanted() {
    let mut daily = entry("{ every = 'day', at = '06:00' }");
    let due = |entry: &Entry, now: &str| {
        let mut seen = utc("2026-11-01 12:00");
        let due = entry.due(&mut seen, utc(now), &Utc);
        assert!(entry.due(&mut seen, utc(now), &Utc).is_none(), "told once");
        due.map(|d| (d.run, d.late_s, d.left_out))
    };
    assert_eq!(due(&daily, "2026-11-02 05:59"), None);
    assert_eq!(due(&daily, "2026-11-02 06:01"), Some((true, 0, 0)));
    assert_eq!(due(&daily, "2026-11-05 08:00"), Some((false, 7_200, 3)));
    daily.missed = Missed::RunOnce;
    assert_eq!(due(&daily, "2026-11-05 08:00"), Some((true, 7_200, 3)));
    daily.missed = Missed::WithinHours(2);
    assert_eq!(due(&daily, "2026-11-05 08:00"), Some((true, 7_200, 3)));
    assert_eq!(due(&daily, "2026-11-05 08:01"), Some((false, 7_260, 3)));
}

#[test]
fn a_clock_that_was_wrong_silences_nothing_and_floods_nothing() {
    let minutes = entry("{ every = 'minutes', minutes = 1 }");
    let mut seen = utc("2035-01-01 00:00");
    let now = utc("2026-11-21 12:00");
    assert!(minutes.due(&mut seen, now, &Utc).is_none());
    assert!(minutes.due(&mut seen, now + 60, &Utc).is_some_and(|due| due.run));
    let mut seen = 0;
    let due = minutes.due(&mut seen, now, &Utc).expect("due");
    assert_eq!((due.planned_s, due.run), (now, true));
}

#[test]
fn a_new_entry_has_missed_nothing_and_a_restart_forgets_nothing() {
    let daily = entry("{ every = 'day', at = '06:00' }");
    let mut calendar = Calendar::new(vec![daily.clone()], BTreeMap::new());
    assert!(calendar.step(utc("2026-11-21 07:00"), &Utc).is_empty());
    let seen = calendar.seen().clone();
    let mut calendar = Calendar::new(vec![daily], seen);
    let due = calendar.step(utc("2026-11-22 06:00"), &Utc);
    assert_eq!((due.len(), due[0].run), (1, true));
    assert!(Calendar::new(vec![], calendar.seen().clone()).seen().is_empty());
}

proptest! {
    #[test]
    fn runs_go_on_and_are_what_the_clock_shows(
        after in 0i64..4_000_000_000,
        hour in 0u16..24, minute in 0u16..60,
    ) {
        let daily = entry(&format!("{{ every = 'day', at = '{hour:02}:{minute:02}' }}"));
        let runs = daily.upcoming(after, 4, &Cet);
        prop_assert_eq!(runs.len(), 4);
        prop_assert!(runs[0] > after && runs[0] <= after + 25 * 3_600 + 3_600);
        for pair in runs.windows(2) {
            prop_assert!((23 * 3_600..=25 * 3_600).contains(&(pair[1] - pair[0])), "{:?}", runs);
        }
        for run in runs {
            let shown = Local::at(run, &Cet).minute;
            let wanted = hour * 60 + minute;
            // Only the skipped hour is shown an hour later.
            prop_assert!(shown == wanted || hour == 2 && shown == wanted + 60);
        }
    }
}
