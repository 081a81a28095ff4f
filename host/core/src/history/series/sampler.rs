//! Makes rows of what points say: a *window* of some minutes comes to one row, and
//! what leaps begins a new window at once.
//!
//! ```text
//!   looks ──▶ window ──(its time is over, or the value leaps)──▶ row ──▶ waiting
//!                                    └── the same as the last one this hour: nothing
//! ```
//! Leaps are bounded, since a point that leaps all the time must not push years
//! out of the ring: each is paid from the point's purse. While it is empty, the
//! window's lowest and highest value tell of them.

use super::super::record::Span;
use super::{HOUR_S, Measure, Row, Series, grain_of, millionths, rounded};
use crate::points::{Point, Quality, Unit, Value};
use crate::time::Nanos;
use std::collections::BTreeMap;

/// Most points.
pub const POINTS_MAX: usize = 1_024;
/// Most points of one source, which is what its first two words name
/// (`ups.0`): one that makes points up leaves room for the others.
pub const SOURCE_POINTS_MAX: usize = 128;
/// The longest window.
const WINDOW_MAX: Nanos = Nanos::from_secs(300);
/// Leaps in a full purse.
const PURSE: u32 = 240;
/// Time in which it gains one.
const EARN: Nanos = Nanos::from_secs(60);
/// Most rows that wait of one point; then they are given away.
const WAITING_MAX: usize = 4_096;

/// Looks at points, and makes rows of them.
#[derive(Clone, Debug)]
pub struct Sampler {
    window_s: u64,
    points: BTreeMap<String, Track>,
    /// Points per source.
    sources: BTreeMap<String, usize>,
    left_out: bool,
    fast_since: Option<Nanos>,
}

/// One point.
#[derive(Clone, Debug)]
struct Track {
    measure: Measure,
    /// The largest power of ten that divides all readings so far.
    grain: u32,
    window: Window,
    last: Option<Row>,
    waiting: Vec<Row>,
    purse: u32,
    earned: Nanos,
    seen: Nanos,
}

/// What a point said since the window began.
#[derive(Clone, Copy, Debug)]
struct Window {
    unix_s: u64,
    /// Number of the window, counted from 1970.
    slot: (u64, u64),
    value: Option<Span<i64>>,
    sum: i128,
    count: i128,
    quality: Quality,
}

/// What a point says at one look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reading {
    value: Option<i64>,
    quality: Quality,
}

impl Sampler {
    /// A row at least every `every`, and every five minutes, of a point that is
    /// not quiet; 1 s at least.
    #[must_use]
    pub fn new(every: Nanos) -> Self {
        let window_s = (every.min(WINDOW_MAX).0 / Nanos::from_secs(1).0).max(1);
        let (points, sources) = Default::default();
        Self { window_s, points, sources, left_out: false, fast_since: None }
    }

    /// Look at the points at `unix_ms`; all that there are.
    pub fn look<'a>(
        &mut self,
        unix_ms: u64,
        now: Nanos,
        points: impl Iterator<Item = (&'a str, &'a Point)>,
    ) {
        let unix_s = unix_ms / 1_000;
        for (name, point) in points {
            let Some((measure, reading)) = Reading::of(point) else { continue };
            self.one(name, measure, reading, unix_s, now);
        }
        let gone = Reading { value: None, quality: Quality::Bad };
        let window_s = self.window_s;
        for track in self.points.values_mut().filter(|track| track.seen != now) {
            if track.see(gone, unix_s, window_s, now) {
                self.fast_since.get_or_insert(now);
            }
        }
    }

    /// When the first of the rows that wait came of a leap; `None` when there is
    /// none.
    #[must_use]
    pub const fn leapt_at(&self) -> Option<Nanos> {
        self.fast_since
    }

    /// Rows that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.points.values().map(|track| track.waiting.len()).sum()
    }

    /// True once points were left out because there are too many.
    #[must_use]
    pub const fn left_out(&self) -> bool {
        self.left_out
    }

    /// The rows that are complete.
    pub fn take(&mut self, now: Nanos) -> Vec<Series> {
        self.fast_since = None;
        let series = self.points.iter_mut().filter(|(_, track)| !track.waiting.is_empty());
        let of = |(name, track): (&String, &mut Track)| {
            let rows = core::mem::take(&mut track.waiting);
            Series { name: name.clone(), measure: track.measure, rows }
        };
        let taken = series.map(of).collect();
        // Of a point that is gone the last row says so.
        let sources = &mut self.sources;
        self.points.retain(|name, track| {
            let stays = track.seen == now || !track.is_told_gone();
            if !stays && let Some(count) = sources.get_mut(source(name)) {
                *count -= 1;
            }
            stays
        });
        taken
    }

    /// The rows that are complete, and those that were begun: nothing comes any
    /// more.
    pub fn finish(mut self) -> Vec<Series> {
        for track in self.points.values_mut() {
            track.close();
        }
        self.take(Nanos(0))
    }

    fn one(&mut self, name: &str, measure: Measure, reading: Reading, unix_s: u64, now: Nanos) {
        let window_s = self.window_s;
        let leapt = match self.points.get_mut(name) {
            Some(track) if track.measure == measure => {
                track.seen = now;
                track.see(reading, unix_s, window_s, now)
            }
            // What is something else now is another point in all but its name:
            // the rows of both do not go into one column.
            Some(_) => false,
            None => {
                let count = self.sources.entry(source(name).to_owned()).or_default();
                if *count >= SOURCE_POINTS_MAX || self.points.len() >= POINTS_MAX {
                    self.left_out = true;
                    return;
                }
                *count += 1;
                let track = Track::new(measure, reading, unix_s, window_s, now);
                self.points.insert(name.to_owned(), track);
                false
            }
        };
        if leapt {
            self.fast_since.get_or_insert(now);
        }
    }
}

impl Reading {
    /// `None` of a point that has no number.
    fn of(point: &Point) -> Option<(Measure, Self)> {
        let (measure, number) = match &point.value {
            Value::Number(number) => (Measure::Number(point.unit), *number),
            Value::Flag(flag) => (Measure::Flag, f64::from(u8::from(*flag))),
            Value::Text(_) => return None,
        };
        let usable = matches!(point.quality, Quality::Good | Quality::Estimated);
        let value = millionths(number, point.unit).filter(|_| usable);
        let quality = if usable && value.is_none() { Quality::Bad } else { point.quality };
        Some((measure, Self { value, quality }))
    }
}

impl Track {
    fn new(measure: Measure, reading: Reading, unix_s: u64, window_s: u64, now: Nanos) -> Self {
        let window = Window::new(reading, unix_s, slot(unix_s, window_s));
        let grain = reading.value.map_or(u32::MAX, grain_of);
        let (last, waiting) = (None, Vec::new());
        Self { measure, grain, window, last, waiting, purse: PURSE, earned: now, seen: now }
    }

    /// Take a reading; true when it leapt.
    fn see(&mut self, reading: Reading, unix_s: u64, window_s: u64, now: Nanos) -> bool {
        let earned = now.since(self.earned).0 / EARN.0;
        if earned > 0 {
            self.earned = now;
            let earned = u32::try_from(earned).unwrap_or(u32::MAX);
            self.purse = self.purse.saturating_add(earned).min(PURSE);
        }
        self.grain = reading.value.map_or(self.grain, |value| self.grain.min(grain_of(value)));
        let here = slot(unix_s, window_s);
        if here != self.window.slot {
            self.close();
            let begins_s = here.0 * HOUR_S + here.1 * window_s;
            // The same as a moment ago: it was so from the window's first second on.
            let quiet = !self.window.leaps_to(reading, self.measure.unit());
            let begins_s = if quiet && unix_s - begins_s < window_s { begins_s } else { unix_s };
            self.window = Window::new(reading, begins_s, here);
            return false;
        }
        if self.window.leaps_to(reading, self.measure.unit())
            && unix_s > self.window.unix_s
            && self.purse > 0
        {
            self.purse -= 1;
            self.close();
            self.window = Window::new(reading, unix_s, here);
            return true;
        }
        self.window.add(reading);
        false
    }

    /// The window's row waits to be written, unless the one before says it.
    fn close(&mut self) {
        let row = self.window.row(self.grain);
        let is_said = self.last.is_some_and(|last| {
            let same = (last.value, last.quality) == (row.value, row.quality);
            let flat = row.value.is_none_or(Span::is_flat);
            same && flat && (last.unix_s..last.holds_until()).contains(&row.unix_s)
        });
        if !is_said {
            self.last = Some(row);
            self.waiting.push(row);
            if self.waiting.len() > WAITING_MAX {
                self.waiting.remove(0);
            }
        }
    }

    fn is_told_gone(&self) -> bool {
        self.waiting.is_empty() && self.last.is_some_and(|last| last.value.is_none())
    }
}

impl Window {
    fn new(reading: Reading, unix_s: u64, slot: (u64, u64)) -> Self {
        let Reading { value, quality } = reading;
        let (sum, count) = value.map_or((0, 0), |value| (value.into(), 1));
        Self { unix_s, slot, value: value.map(Span::of), sum, count, quality }
    }

    fn add(&mut self, reading: Reading) {
        // Beside a value that is usable, one that is not says nothing.
        match (self.value, reading.value) {
            (Some(_), None) => return,
            (None, Some(_)) => self.quality = reading.quality,
            _ => self.quality = self.quality.max(reading.quality),
        }
        let Some(value) = reading.value else { return };
        let span = self.value.unwrap_or(Span::of(value));
        self.value = Some(Span { min: span.min.min(value), max: span.max.max(value), ..span });
        (self.sum, self.count) = (self.sum + i128::from(value), self.count + 1);
    }

    fn row(&self, grain: u32) -> Row {
        let value = self.value.map(|span| {
            let to = 10i128.pow(grain.min(super::GRAIN_MAX));
            // A mean of numbers within VALUE_MAX is one, too.
            let mean = rounded(self.sum, self.count.max(1), to) as i64;
            Span::new(span.min, mean.clamp(span.min, span.max), span.max)
        });
        Row { unix_s: self.unix_s, value, quality: self.quality }
    }

    /// Whether a reading is something else than what the window holds.
    fn leaps_to(&self, reading: Reading, unit: Unit) -> bool {
        match (self.value, reading.value) {
            (None, None) => self.quality != reading.quality,
            (Some(_), Some(value)) => {
                let mean = (self.sum / self.count.max(1)) as i64;
                self.quality != reading.quality || mean.abs_diff(value) >= leap(mean, unit)
            }
            _ => true,
        }
    }
}

/// From which difference on a value of about `mean` leaps, millionths.
fn leap(mean: i64, unit: Unit) -> u64 {
    let least = match unit {
        // A contact, or a whole number of something.
        Unit::None => 10,
        Unit::Ampere => 10_000,
        Unit::Volt | Unit::Hertz | Unit::Milliohm => 200_000,
        Unit::Celsius | Unit::AmpereHour | Unit::Year => 1_000_000,
        Unit::Percent => 3_000_000,
        Unit::Watt | Unit::VoltAmpere => 10_000_000,
        Unit::Second => 60_000_000,
    };
    let of_value = match unit {
        Unit::Volt | Unit::None => 50,
        Unit::Hertz => 250,
        Unit::Celsius => u64::MAX,
        _ => 10,
    };
    least.max(mean.unsigned_abs() / of_value)
}

/// The hour, and the window in it.
const fn slot(unix_s: u64, window_s: u64) -> (u64, u64) {
    (unix_s / HOUR_S, unix_s % HOUR_S / window_s)
}

/// The first two words of a name.
fn source(name: &str) -> &str {
    let mut dots = name.match_indices('.');
    let end = dots.nth(1).map_or(name.len(), |(at, _)| at);
    name.get(..end).unwrap_or(name)
}
