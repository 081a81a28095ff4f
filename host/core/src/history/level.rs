//! Levels of detail: raw records, and what hours and days of them come to.
//!
//! A period is what one sheet holds: a day of records, eight days of hours, 128
//! days of days, counted from 1970. When a period is over, the coarser sheet is
//! made of the finer ones; until then, who asks for it reads the finer. Finer
//! sheets are dropped first; who asks for those reads the coarser.

use super::record::{Head, Record, Sheet, Span, over};
use crate::points::Quality;

/// An hour, ms.
pub const HOUR_MS: u64 = 3_600_000;
/// A day, ms.
pub const DAY_MS: u64 = 24 * HOUR_MS;

/// What the rows of a sheet are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Records as they were taken.
    Raw,
    /// A row per hour in which there are records.
    Hour,
    /// A row per day in which there are records.
    Day,
}

impl Level {
    /// From fine to coarse.
    pub const ALL: [Self; 3] = [Self::Raw, Self::Hour, Self::Day];

    /// As it is written.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The word used in tables and by people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Raw => "records",
            Self::Hour => "hours",
            Self::Day => "days",
        }
    }

    /// Of that code.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// Days of a period.
    #[must_use]
    pub const fn period_days(self) -> u32 {
        match self {
            Self::Raw => 1,
            Self::Hour => 8,
            Self::Day => 128,
        }
    }

    /// The period in which a time lies.
    #[must_use]
    pub fn period(self, unix_ms: u64) -> u32 {
        u32::try_from(unix_ms / DAY_MS / u64::from(self.period_days())).unwrap_or(u32::MAX)
    }

    /// When a period begins, ms since 1970.
    #[must_use]
    pub fn begins(self, period: u32) -> u64 {
        (u64::from(period) * u64::from(self.period_days())).saturating_mul(DAY_MS)
    }

    /// What a row stands for, ms; 1 for a single record.
    #[must_use]
    pub const fn row_ms(self) -> u64 {
        match self {
            Self::Raw => 1,
            Self::Hour => HOUR_MS,
            Self::Day => DAY_MS,
        }
    }

    /// The next finer one.
    #[must_use]
    pub const fn finer(self) -> Option<Self> {
        match self {
            Self::Raw => None,
            Self::Hour => Some(Self::Raw),
            Self::Day => Some(Self::Hour),
        }
    }

    /// The next coarser one.
    #[must_use]
    pub const fn coarser(self) -> Option<Self> {
        match self {
            Self::Raw => Some(Self::Hour),
            Self::Hour => Some(Self::Day),
            Self::Day => None,
        }
    }

    /// The coarsest whose rows are not wider than a point of a chart.
    #[must_use]
    pub fn for_width(width_ms: u64) -> Self {
        let fits = |level: &Self| level.row_ms() <= width_ms.max(1);
        Self::ALL.into_iter().rev().find(fits).unwrap_or(Self::Raw)
    }
}

/// The rows of `sheet` brought together to those of a coarser level, each under
/// the time of its first record. Rows are taken as they come: where they are not in
/// order ([`Sheet::in_order`]), an hour may have two.
#[must_use]
pub fn summarize(sheet: &Sheet, level: Level) -> Sheet {
    let mut out = Sheet { heads: Vec::new(), blocks: vec![Vec::new(); sheet.blocks.len()] };
    let slot = |head: &Head| head.unix_ms / level.row_ms();
    let mut from = 0;
    while let Some(first) = sheet.heads.get(from) {
        let same = sheet.heads[from..].iter().take_while(|head| slot(head) == slot(first)).count();
        let rows = from..from + same.max(1);
        out.heads.push(head_of(&sheet.heads[rows.clone()]));
        for (to, records) in out.blocks.iter_mut().zip(&sheet.blocks) {
            to.push(record_of(records.get(rows.clone()).unwrap_or_default()));
        }
        from = rows.end;
    }
    out
}

/// Several heads as one: spans over all, the phase of the last.
#[must_use]
pub fn head_of(heads: &[Head]) -> Head {
    let all = |of: fn(&Head) -> Option<Span>| over(heads.iter().filter_map(of));
    Head {
        unix_ms: heads.first().map_or(0, |head| head.unix_ms),
        blocks_mv: all(|h| h.blocks_mv),
        blocks_dc: all(|h| h.blocks_dc),
        target_mv: all(|h| h.target_mv),
        current_ma: all(|h| h.current_ma),
        string_mv: all(|h| h.string_mv),
        ambient_dc: all(|h| h.ambient_dc),
        phase: heads.last().map(|head| head.phase).unwrap_or_default(),
        inhibits: heads.iter().fold(0, |bits, head| bits | head.inhibits),
    }
}

/// Several records as one: spans over all, the worst quality.
#[must_use]
pub fn record_of(records: &[Record]) -> Record {
    let all = |of: fn(&Record) -> Option<Span>| over(records.iter().filter_map(of));
    let rare = |of: fn(&Record) -> Option<Span<u32>>| over(records.iter().filter_map(of));
    let worst = |of: fn(&Record) -> Quality| records.iter().map(of).max().unwrap_or(Quality::Bad);
    Record {
        voltage_mv: all(|r| r.voltage_mv),
        temperature_dc: all(|r| r.temperature_dc),
        duty_hp: all(|r| Some(r.duty_hp)).unwrap_or_default(),
        resistance_uohm: rare(|r| r.resistance_uohm),
        charge_pm: rare(|r| r.charge_pm),
        capacity_cah: rare(|r| r.capacity_cah),
        quality: worst(|r| r.quality),
        temperature_quality: worst(|r| r.temperature_quality),
        fault: records.iter().rev().map(|r| r.fault).find(|fault| *fault != 0).unwrap_or(0),
        flags: records.iter().fold(0, |flags, r| flags | r.flags),
    }
}

#[cfg(test)]
mod tests {
    use super::super::codec::{Place, decode};
    use super::super::record::tests::{any_row, quantities_over};
    use super::*;
    use proptest::prelude::*;

    fn sheet(times: &[(u64, i32)]) -> Sheet {
        let mut sheet = Sheet { heads: Vec::new(), blocks: vec![Vec::new()] };
        for (unix_ms, mv) in times {
            let blocks_mv = Some(Span::of(*mv));
            sheet.heads.push(Head { unix_ms: *unix_ms, blocks_mv, ..Head::default() });
            sheet.blocks[0].push(Record { voltage_mv: blocks_mv, ..Record::default() });
        }
        sheet
    }

    #[test]
    fn an_hour_has_its_extremes() {
        let minutes = |n: u64| n * 60_000;
        let sheet =
            sheet(&[(minutes(1), 10), (minutes(30), 7), (minutes(59), 10), (minutes(61), 3)]);
        let hours = summarize(&sheet, Level::Hour);
        assert_eq!(
            hours.heads.iter().map(|h| h.unix_ms).collect::<Vec<_>>(),
            [minutes(1), minutes(61)]
        );
        let span = Some(Span { min: 7, mean: 9, max: 10 });
        assert_eq!((hours.blocks[0][0].voltage_mv, hours.heads[0].blocks_mv), (span, span));
        let day = summarize(&hours, Level::Day);
        assert_eq!(day.blocks[0][0].voltage_mv, Some(Span { min: 3, mean: 6, max: 10 }));
        assert_eq!(summarize(&Sheet::default(), Level::Day), Sheet::default());
    }

    #[test]
    fn a_summary_of_summaries_has_the_extremes_of_all() {
        let record = |duty, charge_pm| Record {
            duty_hp: Span::of(duty),
            charge_pm: Some(Span::of(charge_pm)),
            ..Record::default()
        };
        let one = record_of(&[record(0, 990), record(200, 412), record(10, 700)]);
        let charge = |min, mean, max| Some(Span { min, mean, max });
        assert_eq!((one.duty_hp, one.charge_pm), (Span::new(0, 70, 200), charge(412, 701, 990)));
        let both = record_of(&[one, record(100, 500), Record::default()]);
        assert_eq!((both.duty_hp.max, both.charge_pm), (200, charge(412, 601, 990)));
        assert_eq!(both.resistance_uohm, None);
    }

    #[test]
    fn periods_and_widths() {
        assert_eq!(Level::Raw.period(DAY_MS - 1), 0);
        assert_eq!(Level::Hour.begins(Level::Hour.period(20_005 * DAY_MS)), 20_000 * DAY_MS);
        let of = |ms| Level::for_width(ms);
        assert_eq!((of(0), of(HOUR_MS), of(DAY_MS - 1)), (Level::Raw, Level::Hour, Level::Hour));
        assert_eq!(of(u64::MAX), Level::Day);
    }

    proptest! {
        #[test]
        fn extremes_survive_in_every_level(
            rows in proptest::collection::vec((0u64..100 * HOUR_MS, any_row()), 1..200),
        ) {
            let mut raw = Sheet { heads: Vec::new(), blocks: vec![Vec::new()] };
            for (unix_ms, (head, record)) in &rows {
                raw.heads.push(Head { unix_ms: *unix_ms, ..*head });
                raw.blocks[0].push(*record);
            }
            let hours = summarize(&raw, Level::Hour);
            let days = summarize(&hours, Level::Day);
            let extremes = |sheet: &Sheet| {
                let rows = sheet.heads.iter().zip(&sheet.blocks[0]);
                quantities_over(rows.map(|(head, record)| (*head, *record)))
            };
            let truth = extremes(&raw);
            prop_assert_eq!(extremes(&hours), truth);
            prop_assert_eq!(extremes(&days), truth);
            // And they are written so.
            let place = Place { level: Level::Hour, period: 0, string: 1, part: 0 };
            let read = decode(place, &hours.encode(place)).expect("just written");
            prop_assert_eq!(extremes(&read), truth);
        }
    }
}
