//! Rows of points as bytes: columns, which are checked where they stand, and
//! groups. Layout: [`super`].

use super::super::codec::{CRC, CRC_BYTES, ROWS_MAX, bounded, put, sealed, take};
use super::super::column::{SpanModels, SpanPast, quality_code, quality_from, wide_span};
use super::super::level::Level;
use super::super::number::Number;
use super::super::range::{Bit, Coder, Decoder, Encoder};
use super::super::record::TIME_MAX;
use super::{GRAIN_MAX, Measure, POINTS_MAX, Row, Series, VALUE_MAX, grain};
use crate::history::Damage;
use crate::points::{Name, Quality};
use crc::Digest;

/// First byte of a point's column, and of a group of points.
const POINT: u8 = 0x13;
const GROUP: u8 = 0x14;
/// Most rows of a group, which is read as a whole.
const GROUP_ROWS_MAX: usize = 1 << 17;
/// The last second that can be written.
const SECOND_MAX: i64 = (TIME_MAX / 1_000) as i64;

/// What is learned from one row for the next, of whatever point.
#[derive(Clone, Debug)]
struct Models {
    interval: Number,
    other_quality: Bit,
    quality: [Bit; 4],
    span: SpanModels,
}

/// What one point was before.
#[derive(Clone, Debug)]
struct Before {
    unix_s: i64,
    interval_s: i64,
    quality: Quality,
    past: SpanPast,
}

impl Models {
    fn new() -> Self {
        Self {
            interval: Number::near(),
            other_quality: Bit::prior(1_000, 8),
            quality: [Bit::EVEN; 4],
            span: SpanModels::new(Number::wide(), false),
        }
    }

    fn row<C: Coder>(&mut self, coder: &mut C, before: &mut Before, grain: i64, row: &Row) -> Row {
        // Within a column's or a group's bounds; see `Front::of`.
        let interval_s = (row.unix_s as i64).min(SECOND_MAX) - before.unix_s;
        let more_s = self.interval.signed(coder, interval_s - before.interval_s);
        let interval_s = before.interval_s.saturating_add(more_s);
        let unix_s = before.unix_s.saturating_add(interval_s).clamp(0, SECOND_MAX);
        (before.interval_s, before.unix_s) = (unix_s - before.unix_s, unix_s);
        if coder.bit(&mut self.other_quality, row.quality != before.quality) {
            let code = quality_code(row.quality);
            let high = coder.bit(&mut self.quality[0], code & 2 != 0);
            let low = coder.bit(&mut self.quality[1 + usize::from(high)], code & 1 != 0);
            before.quality = quality_from(u64::from(high) << 1 | u64::from(low));
        }
        let bounds = -VALUE_MAX / grain..=VALUE_MAX / grain;
        let small = row.value.map(|span| span.map(|value| value / grain));
        let small = wide_span(coder, &mut self.span, &mut before.past, 0, &bounds, small);
        let value = small.map(|span| span.map(|value| value * grain));
        // The clamp makes it fit.
        Row { unix_s: unix_s as u64, value, quality: before.quality }
    }
}

/// What stands in front of the rows of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Front {
    measure: Measure,
    grain: u8,
    rows: usize,
    first_unix_s: u64,
}

impl Front {
    /// `None` without rows, or with more than there can be.
    fn of(measure: Measure, rows: &[Row]) -> Option<Self> {
        let first = rows.first().filter(|_| rows.len() <= ROWS_MAX)?;
        // At most 12.
        Some(Self {
            measure,
            grain: grain(rows) as u8,
            rows: rows.len(),
            first_unix_s: first.unix_s.min(SECOND_MAX as u64),
        })
    }

    fn put(self, out: &mut Vec<u8>) {
        out.extend([self.measure.code(), self.grain]);
        put(out, self.rows as u64);
        put(out, self.first_unix_s);
    }

    fn take(bytes: &mut &[u8]) -> Result<Self, Damage> {
        let ([code, grain], rest) = bytes.split_first_chunk().ok_or(Damage::Length)?;
        *bytes = rest;
        let measure = Measure::from_code(*code).ok_or(Damage::Version(*code))?;
        let rows = bounded(bytes, ROWS_MAX)?;
        let first_unix_s = take(bytes)?;
        let right = u32::from(*grain) <= GRAIN_MAX && first_unix_s <= SECOND_MAX as u64;
        if right {
            Ok(Self { measure, grain: *grain, rows, first_unix_s })
        } else {
            Err(Damage::Length)
        }
    }

    const fn grain(self) -> i64 {
        10i64.pow(self.grain as u32)
    }

    fn before(self) -> Before {
        // At most SECOND_MAX.
        let unix_s = self.first_unix_s as i64;
        Before { unix_s, interval_s: 0, quality: Quality::Good, past: SpanPast::default() }
    }
}

/// A column of a point that was checked.
#[derive(Clone, Copy, Debug)]
pub struct Column<'a> {
    front: Front,
    stream: &'a [u8],
}

/// Rows of a column as they come.
#[derive(Clone, Debug)]
pub struct Rows<'a> {
    left: usize,
    grain: i64,
    models: Models,
    before: Before,
    decoder: Decoder<'a>,
}

impl<'a> Column<'a> {
    /// Rows of the point `name` in a period of a level as a column; `None`
    /// without rows, or with more than a column can have.
    #[must_use]
    pub fn encode(level: Level, period: u32, series: &Series) -> Option<Vec<u8>> {
        let front = Front::of(series.measure, &series.rows)?;
        let mut bytes = vec![POINT];
        front.put(&mut bytes);
        let mut encoder = Encoder::new(bytes);
        let (mut models, mut before) = (Models::new(), front.before());
        for row in &series.rows {
            models.row(&mut encoder, &mut before, front.grain(), row);
        }
        Some(sealed(encoder.finish(), digest(level, period, &series.name)))
    }

    /// Check a column.
    ///
    /// # Errors
    /// [`Damage`].
    pub fn parse(level: Level, period: u32, name: &str, bytes: &'a [u8]) -> Result<Self, Damage> {
        let (body, crc) = bytes.split_last_chunk::<CRC_BYTES>().ok_or(Damage::Length)?;
        let Some((&POINT, mut rest)) = body.split_first() else {
            return Err(Damage::Version(body.first().copied().unwrap_or(0)));
        };
        let mut digest = digest(level, period, name);
        digest.update(body);
        if digest.finalize() != u32::from_le_bytes(*crc) {
            return Err(Damage::Crc);
        }
        let front = Front::take(&mut rest)?;
        Ok(Self { front, stream: rest })
    }

    /// What its values are.
    #[must_use]
    pub const fn measure(&self) -> Measure {
        self.front.measure
    }

    /// Its rows.
    #[must_use]
    pub fn rows(&self) -> Rows<'a> {
        Rows {
            left: self.front.rows,
            grain: self.front.grain(),
            models: Models::new(),
            before: self.front.before(),
            decoder: Decoder::new(self.stream),
        }
    }
}

impl Iterator for Rows<'_> {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        self.left = self.left.checked_sub(1)?;
        Some(self.models.row(&mut self.decoder, &mut self.before, self.grain, &NOTHING))
    }
}

/// What a decoder is given.
const NOTHING: Row = Row { unix_s: 0, value: None, quality: Quality::Good };

fn digest(level: Level, period: u32, name: &str) -> Digest<'static, u32> {
    let mut digest = CRC.digest();
    digest.update(&[level.code()]);
    digest.update(&period.to_le_bytes());
    digest.update(name.as_bytes());
    digest
}

/// Rows of several points, sorted by name, as one piece. Points without rows are
/// left out, and what is beyond the bounds.
#[must_use]
pub fn group_of(series: &[Series]) -> Vec<u8> {
    let with_front = |series: &Series| Front::of(series.measure, &series.rows);
    let fronts = series.iter().filter_map(|series| Some((series, with_front(series)?)));
    let whole: Vec<(&Series, Front)> = fronts.take(POINTS_MAX).collect();
    let mut bytes = vec![GROUP];
    put(&mut bytes, whole.len() as u64);
    let mut last = "";
    for (series, front) in &whole {
        let pairs = series.name.bytes().zip(last.bytes());
        let shared = pairs.take_while(|(one, other)| one == other).count();
        let further = series.name.as_bytes().get(shared..).unwrap_or_default();
        put(&mut bytes, shared as u64);
        put(&mut bytes, further.len() as u64);
        bytes.extend(further);
        front.put(&mut bytes);
        last = &series.name;
    }
    let (mut encoder, mut models) = (Encoder::new(bytes), Models::new());
    for (series, front) in whole {
        let mut before = front.before();
        for row in &series.rows {
            models.row(&mut encoder, &mut before, front.grain(), row);
        }
    }
    sealed(encoder.finish(), CRC.digest())
}

/// Take a group back.
///
/// # Errors
/// [`Damage`].
pub fn series_of(bytes: &[u8]) -> Result<Vec<Series>, Damage> {
    let (body, crc) = bytes.split_last_chunk::<CRC_BYTES>().ok_or(Damage::Length)?;
    let Some((&GROUP, mut rest)) = body.split_first() else {
        return Err(Damage::Version(body.first().copied().unwrap_or(0)));
    };
    if CRC.checksum(body) != u32::from_le_bytes(*crc) {
        return Err(Damage::Crc);
    }
    let (mut fronts, mut last, mut rows) = (Vec::new(), String::new(), 0);
    for _ in 0..bounded(&mut rest, POINTS_MAX)? {
        let (shared, further) =
            (bounded(&mut rest, Name::LEN_MAX)?, bounded(&mut rest, Name::LEN_MAX)?);
        let (further, behind) = rest.split_at_checked(further).ok_or(Damage::Length)?;
        rest = behind;
        let further = core::str::from_utf8(further).map_err(|_| Damage::Length)?;
        let name = last.get(..shared).ok_or(Damage::Length)?.to_owned() + further;
        let front = Front::take(&mut rest)?;
        rows += front.rows;
        last.clone_from(&name);
        fronts.push((name, front));
    }
    if rows > GROUP_ROWS_MAX {
        return Err(Damage::Length);
    }
    let (mut decoder, mut models) = (Decoder::new(rest), Models::new());
    let series = |(name, front): (String, Front)| {
        let mut before = front.before();
        let mut row = |_| models.row(&mut decoder, &mut before, front.grain(), &NOTHING);
        Series { name, measure: front.measure, rows: (0..front.rows).map(&mut row).collect() }
    };
    Ok(fronts.into_iter().map(series).collect())
}
