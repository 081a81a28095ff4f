//! What is kept: of a string at one instant a [`Head`], of each of its blocks
//! a [`Record`]; of several instants the same, with lowest, mean and highest.
//!
//! Resolutions, within which everything comes back as it was: voltage 1 mV,
//! temperature 0.1 °C, current 1 mA, bypass duty ½ %, resistance 1 µΩ, state of
//! charge 1/1000, capacity 0.01 Ah, time 1 ms. Finer means nothing: a module reads
//! to ±0.5 % (facts/battery-science.md §1.1, §2.10), and the control law makes of a
//! mV of noise some percent of duty.

use crate::image::{BlockRecord, Fault, StringRecord};
use crate::points::Quality;
use crate::scan::Phase;

/// The last time that can be written, ms since 1970: beyond the year 10,000.
pub const TIME_MAX: u64 = 1 << 48;

/// A duty that is fully on, half percents.
pub const DUTY_FULL: i32 = 200;

/// Lowest, mean and highest of a value; the same three of a single reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span<T = i32> {
    /// Lowest.
    pub min: T,
    /// Mean, rounded.
    pub mean: T,
    /// Highest.
    pub max: T,
}

impl<T: Copy + Ord> Span<T> {
    /// One reading.
    #[must_use]
    pub const fn of(value: T) -> Self {
        Self { min: value, mean: value, max: value }
    }

    /// In order: the mean is never outside of the others.
    #[must_use]
    pub fn new(min: T, mean: T, max: T) -> Self {
        Self { min: min.min(mean), mean, max: max.max(mean) }
    }

    /// True for a single reading, or equal ones.
    #[must_use]
    pub fn is_flat(self) -> bool {
        self.min == self.mean && self.mean == self.max
    }

    /// Each of the three as something else.
    #[must_use]
    pub fn map<U>(self, to: impl Fn(T) -> U) -> Span<U> {
        Span { min: to(self.min), mean: to(self.mean), max: to(self.max) }
    }
}

/// What a row says of the whole string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// When, ms since 1970 UTC; of a summary, when its first record was taken.
    /// May go back from one row to the next: somebody set the clock.
    pub unix_ms: u64,
    /// Lowest, mean and highest usable block voltage, mV.
    pub blocks_mv: Option<Span>,
    /// The same of the usable block temperatures, 0.1 °C.
    pub blocks_dc: Option<Span>,
    /// Target of the blocks, mV.
    pub target_mv: Option<Span>,
    /// String current, mA, positive into the batteries.
    pub current_ma: Option<Span>,
    /// Voltage of the string by an input of its own, mV.
    pub string_mv: Option<Span>,
    /// Air temperature, 0.1 °C.
    pub ambient_dc: Option<Span>,
    /// What the string was doing.
    pub phase: PhaseCode,
    /// Why it was not equalized ([`crate::equalize::Inhibits`]), as bits; of a summary, any of
    /// its records.
    pub inhibits: u32,
}

/// What a row says of one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Voltage, mV; `None` when there was no usable reading.
    pub voltage_mv: Option<Span>,
    /// Temperature, 0.1 °C.
    pub temperature_dc: Option<Span>,
    /// Commanded bypass in half percents, 200 = fully on. Summaries of programs
    /// before 0.2 have the mean alone.
    pub duty_hp: Span,
    /// Internal resistance as last measured, µΩ. Summaries in the first version of a
    /// column ([`super`]) have the last of it alone, and so of the capacity; of the
    /// charge the lowest.
    pub resistance_uohm: Option<Span<u32>>,
    /// State of charge, 1/1000.
    pub charge_pm: Option<Span<u32>>,
    /// Capacity at the rated time and 25 °C, 0.01 Ah.
    pub capacity_cah: Option<Span<u32>>,
    /// Of the voltage; of a summary, the worst.
    pub quality: Quality,
    /// Of the temperature.
    pub temperature_quality: Quality,
    /// Fault code of the process image; of a summary, the last one.
    pub fault: u8,
    /// Flags of the module ([`crate::bus::wire::Flags`]); of a summary, all that were set.
    pub flags: u8,
}

impl Record {
    /// What changes rarely, in the order of the column: one reading mostly, also of
    /// many rows.
    pub(super) const fn rare(&self) -> [Option<Span<u32>>; 3] {
        [self.resistance_uohm, self.charge_pm, self.capacity_cah]
    }

    pub(super) const fn rare_mut(&mut self) -> [&mut Option<Span<u32>>; 3] {
        [&mut self.resistance_uohm, &mut self.charge_pm, &mut self.capacity_cah]
    }
}

impl Default for Record {
    fn default() -> Self {
        Self {
            voltage_mv: None,
            temperature_dc: None,
            duty_hp: Span::default(),
            resistance_uohm: None,
            charge_pm: None,
            capacity_cah: None,
            quality: Quality::Bad,
            temperature_quality: Quality::Bad,
            fault: Fault::NeverSeen as u8,
            flags: 0,
        }
    }
}

/// A [`Phase`] as it is written; a number that this program does not know is
/// kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PhaseCode(pub u8);

impl PhaseCode {
    /// The phase.
    #[must_use]
    pub const fn phase(self) -> Phase {
        match self.0 {
            1 => Phase::Float,
            2 => Phase::Boost,
            3 => Phase::Discharge,
            4 => Phase::Recharge,
            _ => Phase::Unknown,
        }
    }

    /// The word used in tables.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self.phase() {
            Phase::Unknown => "unknown",
            Phase::Float => "float",
            Phase::Boost => "boost",
            Phase::Discharge => "discharge",
            Phase::Recharge => "recharge",
        }
    }
}

impl From<Phase> for PhaseCode {
    fn from(phase: Phase) -> Self {
        Self(match phase {
            Phase::Unknown => 0,
            Phase::Float => 1,
            Phase::Boost => 2,
            Phase::Discharge => 3,
            Phase::Recharge => 4,
        })
    }
}

/// A string at one instant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Of the whole string.
    pub head: Head,
    /// Of each block, in its order.
    pub blocks: Vec<Record>,
}

impl Row {
    /// What a process image says of a string. `quality` is the quality of
    /// (voltage, temperature) as a reader should see it now.
    #[must_use]
    pub fn of(
        unix_ms: u64,
        string: &StringRecord,
        blocks: &[BlockRecord],
        quality: impl Fn(&BlockRecord) -> (Quality, Quality),
    ) -> Self {
        let estimates = string.estimate.blocks.iter().map(Some).chain(core::iter::repeat(None));
        let blocks: Vec<Record> = blocks
            .iter()
            .zip(estimates)
            .map(|(block, estimate)| {
                let (quality, temperature_quality) = quality(block);
                Record {
                    voltage_mv: usable(quality).then(|| Span::of(block.voltage_mv.into())),
                    temperature_dc: usable(temperature_quality)
                        .then(|| Span::of(block.temperature_dc.into())),
                    duty_hp: Span::of(half_percent(block.duty.0)),
                    resistance_uohm: block
                        .resistance
                        .and_then(|(mohm, _)| whole(f64::from(mohm) * 1e3))
                        .map(Span::of),
                    charge_pm: estimate.and_then(|e| whole(f64::from(e.soc) * 1e3)).map(Span::of),
                    capacity_cah: estimate
                        .and_then(|e| whole(f64::from(e.capacity_ah) * 1e2))
                        .map(Span::of),
                    quality,
                    temperature_quality,
                    fault: block.fault as u8,
                    flags: block.flags.0,
                }
            })
            .collect();
        let scaled = |value: f64, by: f64| {
            let value = (value * by).round();
            (value.abs() < f64::from(i32::MAX)).then(|| Span::of(value as i32))
        };
        let head = Head {
            unix_ms: unix_ms.min(TIME_MAX),
            blocks_mv: over(blocks.iter().filter_map(|b| b.voltage_mv)),
            blocks_dc: over(blocks.iter().filter_map(|b| b.temperature_dc)),
            target_mv: scaled(string.equalize.target_v, 1e3),
            current_ma: string.current_a.and_then(|a| scaled(a, 1e3)),
            string_mv: string.voltage_v.and_then(|v| scaled(v, 1e3)),
            ambient_dc: string.ambient_c.and_then(|c| scaled(c, 10.0)),
            phase: string.phase.into(),
            inhibits: string.equalize.inhibits.bits(),
        };
        Self { head, blocks }
    }
}

/// Several rows of a string, each block's records together: what is written
/// and read at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sheet {
    /// Of the whole string, in the order in which they were taken.
    pub heads: Vec<Head>,
    /// Per block as many records as there are heads.
    pub blocks: Vec<Vec<Record>>,
}

impl Sheet {
    /// Append a row. A row with another number of blocks is not taken: `false`.
    pub fn push(&mut self, row: &Row) -> bool {
        if self.heads.is_empty() {
            self.blocks = vec![Vec::new(); row.blocks.len()];
        }
        if self.blocks.len() != row.blocks.len() {
            return false;
        }
        self.heads.push(row.head);
        for (block, record) in self.blocks.iter_mut().zip(&row.blocks) {
            block.push(*record);
        }
        true
    }

    /// Append the rows of another sheet; `false` as with [`push`](Self::push).
    pub fn append(&mut self, other: &Self) -> bool {
        if self.heads.is_empty() {
            self.blocks = vec![Vec::new(); other.blocks.len()];
        }
        if self.blocks.len() != other.blocks.len() {
            return false;
        }
        self.heads.extend_from_slice(&other.heads);
        for (block, more) in self.blocks.iter_mut().zip(&other.blocks) {
            block.extend_from_slice(more);
        }
        true
    }

    /// Those of the rows whose head `keep` takes.
    #[must_use]
    pub fn rows_where(&self, keep: impl Fn(&Head) -> bool) -> Self {
        let kept = self.heads.iter().enumerate().filter(|(_, head)| keep(head));
        self.picked(&kept.map(|(row, _)| row).collect::<Vec<_>>())
    }

    /// The rows by their time; those of one time as they come.
    #[must_use]
    pub fn in_order(&self) -> Self {
        let mut rows: Vec<usize> = (0..self.heads.len()).collect();
        rows.sort_by_key(|row| self.heads.get(*row).map(|head| head.unix_ms));
        self.picked(&rows)
    }

    fn picked(&self, rows: &[usize]) -> Self {
        let heads = rows.iter().filter_map(|row| self.heads.get(*row).copied()).collect();
        let of = |block: &Vec<Record>| {
            rows.iter().map(|row| block.get(*row).copied().unwrap_or_default()).collect()
        };
        Self { heads, blocks: self.blocks.iter().map(of).collect() }
    }

    /// Rows times blocks.
    #[must_use]
    pub fn records(&self) -> usize {
        self.heads.len() * self.blocks.len()
    }
}

/// Lowest, mean and highest of several; `None` of none.
pub(super) fn over<T>(spans: impl Iterator<Item = Span<T>>) -> Option<Span<T>>
where
    T: Copy + Ord + Into<i64> + TryFrom<i64>,
{
    let (mut whole, mut sum, mut count) = (None::<Span<T>>, 0i64, 0i64);
    for span in spans {
        let Span { min, max, .. } = whole.unwrap_or(span);
        whole = Some(Span { min: min.min(span.min), mean: span.mean, max: max.max(span.max) });
        let mean: i64 = span.mean.into();
        sum += mean;
        count += 1;
    }
    // The mean of such numbers is one.
    whole.map(|span| Span { mean: T::try_from(rounded(sum, count)).unwrap_or(span.mean), ..span })
}

/// `sum` / `count` to the nearest, halves up.
pub(super) const fn rounded(sum: i64, count: i64) -> i64 {
    (2 * sum + count).div_euclid(2 * count)
}

const fn usable(quality: Quality) -> bool {
    !matches!(quality, Quality::Bad)
}

/// 65535 is fully on.
fn half_percent(duty: u16) -> i32 {
    (i32::from(duty) * DUTY_FULL + 32_767) / 65_535
}

/// A number that can be kept: finite, not negative, below 2³².
fn whole(value: f64) -> Option<u32> {
    let value = value.round();
    (0.0..f64::from(u32::MAX)).contains(&value).then_some(value as u32)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::bus::wire::Duty;
    use crate::time::Nanos;
    use proptest::prelude::*;

    /// A row of single readings, each quantity known or not.
    pub fn any_row() -> impl Strategy<Value = (Head, Record)> {
        let wide = || proptest::option::of((-50_000i32..50_000).prop_map(Span::of));
        let rare = || proptest::option::of((0u32..5_000_000).prop_map(Span::of));
        let heads = proptest::array::uniform6(wide());
        let (spans, rares) = (proptest::array::uniform2(wide()), proptest::array::uniform3(rare()));
        (heads, spans, rares, 0..=DUTY_FULL).prop_map(|(heads, spans, rares, duty)| {
            let [blocks_mv, blocks_dc, target_mv, current_ma, string_mv, ambient_dc] = heads;
            let [voltage_mv, temperature_dc] = spans;
            let [resistance_uohm, charge_pm, capacity_cah] = rares;
            let head = Head {
                blocks_mv,
                blocks_dc,
                target_mv,
                current_ma,
                string_mv,
                ambient_dc,
                ..Head::default()
            };
            let duty_hp = Span::of(duty);
            let record = Record {
                voltage_mv,
                temperature_dc,
                duty_hp,
                resistance_uohm,
                charge_pm,
                capacity_cah,
                ..Record::default()
            };
            (head, record)
        })
    }

    /// Lowest and highest of every quantity of these rows; `None` of one that no row
    /// knows.
    pub fn quantities_over(rows: impl Iterator<Item = (Head, Record)>) -> [Option<(i64, i64)>; 12] {
        let mut all = [None; 12];
        for (head, record) in rows {
            let Head { blocks_mv, blocks_dc, target_mv, current_ma, string_mv, .. } = head;
            let spans = [blocks_mv, blocks_dc, target_mv, current_ma, string_mv, head.ambient_dc]
                .into_iter()
                .chain([record.voltage_mv, record.temperature_dc, Some(record.duty_hp)])
                .map(|span| span.map(|span| span.map(i64::from)))
                .chain(record.rare().map(|span| span.map(|span| span.map(i64::from))));
            for (known, span) in all.iter_mut().zip(spans) {
                let Some(span) = span else { continue };
                let (min, max) = known.unwrap_or((span.min, span.max));
                *known = Some((span.min.min(min), span.max.max(max)));
            }
        }
        all
    }

    #[test]
    fn a_row_says_what_the_image_says() {
        let block = |mv, quality| BlockRecord {
            voltage_mv: mv,
            temperature_dc: -101,
            duty: Duty(u16::MAX),
            quality,
            temperature_quality: Quality::Good,
            fault: Fault::None,
            resistance: Some((4.1234, Nanos(1))),
            ..BlockRecord::default()
        };
        let blocks =
            [block(13_615, Quality::Good), block(13_600, Quality::Stale), block(9, Quality::Bad)];
        let mut string = StringRecord::new(blocks.to_vec());
        (string.equalize.target_v, string.phase) = (13.62, Phase::Float);
        string.current_a = Some(-0.0126);
        string.estimate.blocks[0].soc = 0.9996;
        let row = Row::of(7, &string, &blocks, |b| (b.quality, b.temperature_quality));
        assert_eq!(row.head.blocks_mv, Some(Span { min: 13_600, mean: 13_608, max: 13_615 }));
        assert_eq!(row.head.target_mv, Some(Span::of(13_620)));
        assert_eq!(row.head.current_ma, Some(Span::of(-13)));
        assert_eq!((row.head.string_mv, row.head.phase.phase()), (None, Phase::Float));
        let [first, second, third] = &row.blocks[..] else { panic!("three blocks") };
        assert_eq!(
            (first.duty_hp, first.resistance_uohm),
            (Span::of(DUTY_FULL), Some(Span::of(4_123)))
        );
        assert_eq!((first.charge_pm, second.charge_pm), (Some(Span::of(1_000)), None));
        assert_eq!(first.temperature_dc, Some(Span::of(-101)));
        assert_eq!((second.quality, third.voltage_mv), (Quality::Stale, None));
    }

    #[test]
    fn a_sheet_takes_rows_of_its_width_only() {
        let row = |blocks| Row { blocks: vec![Record::default(); blocks], ..Row::default() };
        let mut sheet = Sheet::default();
        assert!(sheet.push(&row(2)) && sheet.push(&row(2)) && !sheet.push(&row(3)));
        assert_eq!((sheet.records(), sheet.blocks[1].len()), (4, 2));
        let whole = sheet.clone();
        assert!(sheet.append(&whole) && sheet.records() == 8);
    }

    #[test]
    fn rows_are_put_in_order_and_chosen_with_their_records() {
        let mut sheet = Sheet::default();
        for (unix_ms, mv) in [(30, 3), (10, 1), (30, 4), (20, 2)] {
            let record = Record { voltage_mv: Some(Span::of(mv)), ..Record::default() };
            let head = Head { unix_ms, ..Head::default() };
            assert!(sheet.push(&Row { head, blocks: vec![record; 2] }));
        }
        let volts = |sheet: &Sheet| -> Vec<_> {
            let of_second = sheet.blocks[1].iter();
            of_second.filter_map(|record| record.voltage_mv.map(|span| span.mean)).collect()
        };
        let ordered = sheet.in_order();
        assert_eq!(ordered.heads.iter().map(|h| h.unix_ms).collect::<Vec<_>>(), [10, 20, 30, 30]);
        assert_eq!(volts(&ordered), [1, 2, 3, 4]);
        let late = sheet.rows_where(|head| head.unix_ms > 20);
        assert_eq!((late.heads.len(), volts(&late)), (2, vec![3, 4]));
        assert_eq!(sheet.rows_where(|_| false).heads, []);
    }

    #[test]
    fn means_are_rounded_to_the_nearest() {
        assert_eq!((rounded(3, 2), rounded(-3, 2), rounded(-4, 3)), (2, -1, -1));
        assert_eq!(over([Span::of(1), Span::of(2)].into_iter()).map(|s| s.mean), Some(2));
        assert_eq!(over(core::iter::empty::<Span>()), None);
        let most = [Span::of(u32::MAX), Span::of(u32::MAX - 1)];
        let all = Span { min: u32::MAX - 1, mean: u32::MAX, max: u32::MAX };
        assert_eq!(over(most.into_iter()), Some(all));
    }
}
