//! The past of single points: what UPSes, devices and sensors said, one series
//! of rows per point.
//!
//! # Rows
//! A [`Row`] holds lowest, mean and highest of a point from its time on until the
//! next row of the point, or until its clock hour is over: every hour in which
//! somebody looked begins with a row of its own, so that nothing is taken for
//! known that nobody saw. What stays the same is not written again within the
//! hour ([`Sampler`]).
//!
//! # Resolution
//! Values are whole millionths of their unit, rounded to five significant digits
//! and to [`step`]: finer is noise of the reading. What a column can do without —
//! a UPS that tells tenths of a volt — it leaves away (its *grain*).
//!
//! # Bytes
//! Terms and numbers as in [`super`]. A *column* is a point in one period of one
//! [`Level`], a *group* what came of all points since the last one.
//!
//! | column of a point | |
//! |---|---|
//! | 1 byte | 0x13: version 1, point |
//! | 1 byte | what the values are: unit ([`Unit::code`]), 0xff for yes or no |
//! | 1 byte | grain: every value is that of the stream times ten to so much, 0 … 12 |
//! | *n* | rows, 1 … 86,400 |
//! | *n* | time of the first row, s since 1970 UTC |
//! | … | stream: the rows |
//! | 4 bytes | CRC-32 of: level (1 byte), period (4), name, all bytes before |
//!
//! | group of points | |
//! |---|---|
//! | 1 byte | 0x14: version 1, group of points |
//! | *n* | points, at most 1,024 |
//! | per point | *n* bytes of the name that are those of the name before, *n* further ones and these; unit, grain, rows and time as above |
//! | … | stream: the rows of all points, with one set of models |
//! | 4 bytes | CRC-32 of all bytes before |
//!
//! A row in a stream is: its interval less the interval before, s, signed (the
//! first interval is 0, and counts from the time in front of the stream); a bit
//! "another quality than before", and if so the quality in two bits; then the span
//! of its value, without a base ([`super::column`]). Quality is good at first. Intervals
//! are near, "another quality" is 1000 (8), the bits of a quality are even, the lower one
//! with a model by the higher; the mean of the span is wide, its "flat" that of summaries.

mod commits;
mod sampler;
mod wire;

#[cfg(test)]
mod tests;

pub use commits::Commits;
pub use sampler::{POINTS_MAX, SOURCE_POINTS_MAX, Sampler};
pub use wire::{Column, Rows, group_of, series_of};

use super::level::{HOUR_MS, Level};
use super::record::Span;
use crate::points::{Quality, Unit, Value};

/// Values are whole numbers of one over this.
pub const SCALE: f64 = 1e6;
/// Values beyond ± this are not kept: 4.5·10⁹ units.
pub const VALUE_MAX: i64 = 1 << 52;
/// Significant digits of a value.
const DIGITS: u32 = 5;
const HOUR_S: u64 = HOUR_MS / 1_000;

/// A point from one time on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// From when on, s since 1970 UTC; of a summary, when its first row begins.
    pub unix_s: u64,
    /// In millionths of the unit; `None` while there was no usable value.
    pub value: Option<Span<i64>>,
    /// The worst of the readings.
    pub quality: Quality,
}

impl Row {
    /// When it says nothing any more unless another row came before, s since
    /// 1970: the end of its hour.
    #[must_use]
    pub const fn holds_until(&self) -> u64 {
        (self.unix_s / HOUR_S + 1) * HOUR_S
    }
}

/// What the values of a point are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Numbers in this unit.
    Number(Unit),
    /// Yes or no, kept as 1 or 0; of several, how often it was yes.
    Flag,
}

impl Measure {
    const FLAG: u8 = 0xff;

    /// As it is written.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Number(unit) => unit.code(),
            Self::Flag => Self::FLAG,
        }
    }

    /// Of that code.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        match code {
            Self::FLAG => Some(Self::Flag),
            code => Unit::from_code(code).map(Self::Number),
        }
    }

    /// Unit of the numbers.
    #[must_use]
    pub const fn unit(self) -> Unit {
        match self {
            Self::Number(unit) => unit,
            Self::Flag => Unit::None,
        }
    }

    /// A kept number as it was.
    #[must_use]
    pub fn value(self, millionths: i64) -> Value {
        match self {
            Self::Number(_) => Value::Number(millionths as f64 / SCALE),
            Self::Flag => Value::Flag(2 * millionths >= SCALE as i64),
        }
    }
}

/// Rows of one point, oldest first unless the clock was set back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// Of the point.
    pub name: String,
    /// What its values are.
    pub measure: Measure,
    /// What is known of it.
    pub rows: Vec<Row>,
}

/// A value as it is kept; `None` for one that is not finite or too large.
#[must_use]
pub fn millionths(value: f64, unit: Unit) -> Option<i64> {
    let scaled = (value * SCALE).round();
    if scaled.is_nan() || scaled.abs() > VALUE_MAX as f64 {
        return None;
    }
    let number = scaled as i64;
    let digits = number.unsigned_abs().checked_ilog10().map_or(0, |log| log + 1);
    let coarse = 10i64.pow(digits.saturating_sub(DIGITS)).max(step(unit));
    Some((number + coarse / 2 * number.signum()) / coarse * coarse)
}

/// The finest difference that is kept, millionths of the unit.
#[must_use]
pub const fn step(unit: Unit) -> i64 {
    match unit {
        Unit::None => 1,
        Unit::Ampere => 10,
        Unit::Volt | Unit::Milliohm => 1_000,
        Unit::Hertz | Unit::AmpereHour | Unit::Year => 10_000,
        Unit::Percent | Unit::Celsius | Unit::Watt | Unit::VoltAmpere => 100_000,
        Unit::Second => 1_000_000,
    }
}

/// Decimals of a value in text: all that [`step`] leaves.
#[must_use]
pub const fn decimals(unit: Unit) -> usize {
    6 - step(unit).ilog10() as usize
}

/// Rows brought together to those of a coarser level, each under the time of its
/// first. A mean counts every value for as long as it held.
#[must_use]
pub fn summarize(rows: &[Row], level: Level) -> Vec<Row> {
    let slot = |row: &Row| row.unix_s * 1_000 / level.row_ms();
    rows.chunk_by(|one, next| slot(one) == slot(next)).filter_map(together).collect()
}

/// Several rows as one; `None` of none.
#[must_use]
pub fn together(rows: &[Row]) -> Option<Row> {
    let first = rows.first()?;
    let next = rows.iter().skip(1).map(Some).chain([None]);
    let (mut sum, mut weights, mut span) = (0i128, 0i128, None::<Span<i64>>);
    for (row, next) in rows.iter().zip(next) {
        let Some(value) = row.value else { continue };
        let end = row.holds_until().min(next.map_or(u64::MAX, |next| next.unix_s));
        let weight = i128::from(end.saturating_sub(row.unix_s).max(1));
        sum += i128::from(value.mean) * weight;
        weights += weight;
        let (min, max) = span.map_or((value.min, value.max), |s| (s.min, s.max));
        span = Some(Span { min: min.min(value.min), mean: 0, max: max.max(value.max) });
    }
    let value = span.map(|span| {
        // One digit more than the values have. A mean of numbers within VALUE_MAX is
        // one, too.
        let to = 10i128.pow(grain(rows).saturating_sub(1));
        let mean = rounded(sum, weights, to) as i64;
        Span::new(span.min, mean.clamp(span.min, span.max), span.max)
    });
    let of_value = rows.iter().filter(|row| row.value.is_some() == value.is_some());
    let quality = of_value.map(|row| row.quality).max().unwrap_or(first.quality);
    Some(Row { unix_s: first.unix_s, value, quality })
}

/// `sum` / `count` to the nearest multiple of `to`.
const fn rounded(sum: i128, count: i128, to: i128) -> i128 {
    let whole = count * to;
    (2 * sum + whole).div_euclid(2 * whole) * to
}

/// The largest power of ten, 0 … 12, that divides every value.
fn grain(rows: &[Row]) -> u32 {
    let values = rows.iter().filter_map(|row| row.value);
    values.flat_map(|span| [span.min, span.mean, span.max]).map(grain_of).min().unwrap_or(0)
}

/// The same of one value.
fn grain_of(value: i64) -> u32 {
    if value == 0 {
        return GRAIN_MAX;
    }
    (1..=GRAIN_MAX).find(|e| value % 10i64.pow(*e) != 0).unwrap_or(GRAIN_MAX + 1) - 1
}

const GRAIN_MAX: u32 = 12;
