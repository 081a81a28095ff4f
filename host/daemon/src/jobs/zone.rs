//! Time zones by name, from the IANA's table within the program: an appliance
//! has no other that it could rely on.

use evenkeel_core::schedule::Zone;
use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};

/// A zone of the table.
#[derive(Clone, Debug)]
pub struct Named(TimeZone);

impl Named {
    /// The zone of this name, e.g. `Europe/Berlin`.
    ///
    /// # Errors
    /// In words, when the table has none.
    pub fn find(name: &str) -> Result<Self, String> {
        TimeZoneDatabase::bundled().get(name).map(Self).map_err(|_| {
            format!("there is no time zone {name:?}; write it like \"Europe/Berlin\" or \"UTC\"")
        })
    }
}

/// UTC.
impl Default for Named {
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}

impl Named {
    /// What clocks there show, and how the zone is called then:
    /// `2026-11-22 12:00:00 CET`.
    #[must_use]
    pub fn written(&self, unix_ms: u64) -> String {
        let at = i64::try_from(unix_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        // No clock of ours stands behind the year 9999.
        let Some(at) = at else { return format!("{} UTC", crate::clock::utc(unix_ms)) };
        let info = self.0.to_offset_info(at);
        let there = info.offset().to_datetime(at);
        format!("{} {}", there.strftime("%Y-%m-%d %H:%M:%S"), info.abbreviation())
    }
}

impl Zone for Named {
    fn offset_s(&self, unix_s: i64) -> i32 {
        // Out of jiff's years (−9999 … 9999) no clock of ours ever stands.
        Timestamp::from_second(unix_s).map_or(0, |at| self.0.to_offset(at).seconds())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_core::schedule::Entry;

    #[test]
    fn zones_are_known_by_name() {
        let berlin = Named::find("Europe/Berlin").expect("known");
        assert_eq!(berlin.offset_s(1_795_247_521), 3_600);
        assert_eq!(berlin.offset_s(1_782_864_000), 7_200);
        assert_eq!(Named::find("UTC").expect("known").offset_s(0), 0);
        assert_eq!(Named::find("Asia/Kolkata").expect("known").offset_s(0), 19_800);
        let error = Named::find("Europe/Berln").expect_err("unknown");
        assert!(error.contains("Europe/Berln"), "{error}");
        assert_eq!(berlin.offset_s(i64::MAX), 0);
    }

    #[test]
    fn a_time_is_written_as_clocks_show_it_there() {
        let written = |zone: &str, s: u64| Named::find(zone).expect("known").written(s * 1_000);
        assert_eq!(written("Europe/Berlin", 1_795_345_200), "2026-11-22 12:00:00 CET");
        assert_eq!(written("Europe/Berlin", 1_782_864_000), "2026-07-01 02:00:00 CEST");
        assert_eq!(written("UTC", 1_795_345_200), "2026-11-22 11:00:00 UTC");
        assert_eq!(Named::default().written(0), "1970-01-01 00:00:00 UTC");
        assert!(Named::default().written(u64::MAX).starts_with("9999"));
    }

    #[test]
    fn the_calendar_follows_real_changes_of_the_clock() {
        let text = "name = 'x'\nwhen = { every = 'day', at = '02:30' }";
        let daily: Entry = toml::from_str(text).expect("an entry");
        for (zone, after, wanted) in [
            // 2026-03-29 02:30 does not exist in Berlin: 03:30, 01:30 UTC.
            ("Europe/Berlin", 1_774_738_800, 1_774_747_800),
            // 2026-11-01 01:30 comes twice in New York, 02:30 once: 07:30 UTC.
            ("America/New_York", 1_793_491_200, 1_793_518_200),
            // Lord Howe goes by half an hour: 02:00 becomes 02:30 on 2026-10-04.
            ("Australia/Lord_Howe", 1_791_034_200, 1_791_041_400),
        ] {
            let zone = Named::find(zone).expect("known");
            assert_eq!(daily.next_after(after, &zone), Some(wanted), "{zone:?}");
        }
    }

    /// `2026-03-29 02:30:00 CET` of every run in these days.
    fn runs(zone: &str, at: &str, from: u64, count: usize) -> Vec<String> {
        let text = format!("name = 'x'\nwhen = {at}");
        let entry: Entry = toml::from_str(&text).expect("an entry");
        let named = Named::find(zone).expect("known");
        let runs = entry.upcoming(from as i64, count, &named);
        runs.into_iter().map(|run| named.written(run as u64 * 1_000)).collect()
    }

    #[test]
    fn the_hour_that_spring_skips_and_the_one_that_autumn_doubles_run_once() {
        let daily = "{ every = 'day', at = '02:30' }";
        // Noon UTC of the day before each change.
        assert_eq!(
            runs("Europe/Berlin", daily, 1_774_699_200, 2),
            ["2026-03-29 03:30:00 CEST", "2026-03-30 02:30:00 CEST"]
        );
        assert_eq!(
            runs("Europe/Berlin", daily, 1_792_843_200, 2),
            ["2026-10-25 02:30:00 CEST", "2026-10-26 02:30:00 CET"]
        );
        assert_eq!(
            runs("America/New_York", daily, 1_772_884_800, 2),
            ["2026-03-08 03:30:00 EDT", "2026-03-09 02:30:00 EDT"]
        );
        let early = daily.replace("02:30", "01:30");
        assert_eq!(
            runs("America/New_York", &early, 1_793_448_000, 2),
            ["2026-11-01 01:30:00 EDT", "2026-11-02 01:30:00 EST"]
        );
    }

    #[test]
    fn what_runs_every_half_hour_follows_the_hours_that_there_are() {
        let halves = "{ every = 'minutes', minutes = 30, window = '01:00-03:00' }";
        let times = |zone: &str, from: u64, count| -> Vec<String> {
            let runs = runs(zone, halves, from, count);
            runs.iter().map(|run| run[8..16].to_owned() + &run[19..]).collect()
        };
        assert_eq!(
            times("Europe/Berlin", 1_774_699_200, 3),
            ["29 01:00 CET", "29 01:30 CET", "30 01:00 CEST"]
        );
        assert_eq!(
            times("America/New_York", 1_793_448_000, 7),
            [
                "01 01:00 EDT",
                "01 01:30 EDT",
                "01 01:00 EST",
                "01 01:30 EST",
                "01 02:00 EST",
                "01 02:30 EST",
                "02 01:00 EST"
            ]
        );
    }
}
