//! A chart as SVG that needs no script: a line through the means and a band
//! from the lowest to the highest value, so that a dip of two seconds is seen
//! in a year (UX-051). Gaps stay gaps (UX-052). Beside it a sentence and a
//! table say the same (UX-054).

use crate::clock;
use std::fmt::Write as _;

/// Width and height of the box that paths are drawn in.
const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 200.0;
/// Lines that divide the height.
const STEPS: u32 = 4;
/// Marks under the chart.
const MARKS: u64 = 4;
/// Where this many usual distances lie between two points, nothing was measured.
const GAP: u64 = 4;
/// Rows of the table beside the chart.
const ROWS: usize = 12;
const DAY_MS: u64 = 86_400_000;

/// A value at a time: lowest, mean and highest; `None`: not known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct At {
    /// When, ms since 1970 or since a beginning.
    pub ms: u64,
    /// Lowest, mean and highest.
    pub value: Option<[f64; 3]>,
}

impl At {
    /// One value.
    pub fn of(ms: u64, value: Option<f64>) -> Self {
        Self { ms, value: value.filter(|v| v.is_finite()).map(|value| [value; 3]) }
    }
}

/// A chart, ready to be written into a page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chart {
    /// Path of the band; empty when the values have none.
    pub band: String,
    /// Path of the means.
    pub line: String,
    /// Path of a second line, e.g. the target.
    pub other: String,
    /// Where a marked time is, from the left; negative: there is none.
    pub mark: f64,
    /// Values at the lines that divide the height, from the top.
    pub levels: Vec<f64>,
    /// Times under it, from the left.
    pub times: Vec<String>,
    /// Lowest and highest of all; `None`: nothing is known.
    pub extremes: Option<(f64, f64)>,
    /// Some of the points, for the table.
    pub rows: Vec<At>,
}

/// How times are written under a chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Dates and times of day, UTC.
    Date,
    /// Time since a moment that lies so many ms behind the first point's zero.
    Since(i64),
}

impl Chart {
    /// Of values in the order of time. `other` shares the scale of heights;
    /// `least` is the least difference from top to bottom.
    pub fn new(points: &[At], other: &[At], least: f64, scale: Scale) -> Self {
        let known = || points.iter().chain(other).filter_map(|at| at.value);
        let low = known().map(|[low, ..]| low).fold(f64::INFINITY, f64::min);
        let high = known().map(|[.., high]| high).fold(f64::NEG_INFINITY, f64::max);
        let ends = points.first().zip(points.last()).map(|(first, last)| (first.ms, last.ms));
        let Some((from, to)) = ends.filter(|_| low <= high) else {
            return Self { mark: -1.0, ..Self::default() };
        };
        let (bottom, top) = rounded(low, high, least);
        let axes = Axes { from, to, bottom, top };
        let own = || points.iter().filter_map(|at| at.value);
        let lowest = own().map(|[low, ..]| low).fold(f64::INFINITY, f64::min);
        let highest = own().map(|[.., high]| high).fold(f64::NEG_INFINITY, f64::max);
        let step = (top - bottom) / f64::from(STEPS);
        let stride = points.len().div_ceil(ROWS).max(1);
        Self {
            band: axes.band(points),
            line: axes.line(points),
            other: axes.line(other),
            mark: -1.0,
            levels: (0..=STEPS).map(|n| top - step * f64::from(n)).collect(),
            times: axes.times(scale),
            extremes: (lowest <= highest).then_some((lowest, highest)),
            rows: points.iter().rev().step_by(stride).rev().copied().collect(),
        }
    }

    /// With a mark at a time of it.
    pub fn marked(mut self, points: &[At], ms: u64) -> Self {
        if let Some((first, last)) = points.first().zip(points.last()) {
            let span = last.ms.saturating_sub(first.ms).max(1) as f64;
            let after = ms.saturating_sub(first.ms) as f64;
            self.mark = (after / span * WIDTH).min(WIDTH).round();
        }
        self
    }
}

struct Axes {
    from: u64,
    to: u64,
    bottom: f64,
    top: f64,
}

impl Axes {
    fn x(&self, ms: u64) -> f64 {
        let span = self.to.saturating_sub(self.from).max(1) as f64;
        ms.saturating_sub(self.from) as f64 / span * WIDTH
    }

    fn y(&self, value: f64) -> f64 {
        (self.top - value) / (self.top - self.bottom) * HEIGHT
    }

    fn line(&self, points: &[At]) -> String {
        let mut path = String::new();
        for stretch in stretches(points) {
            for (n, (ms, [_, mean, _])) in stretch.iter().enumerate() {
                let letter = if n == 0 { 'M' } else { 'L' };
                let _ = write!(path, "{letter}{:.1} {:.1}", self.x(*ms), self.y(*mean));
            }
            if let [(ms, [_, mean, _])] = stretch[..] {
                // A single point is seen, too.
                let _ = write!(path, "L{:.1} {:.1}", self.x(ms) + 0.5, self.y(mean));
            }
        }
        path
    }

    fn band(&self, points: &[At]) -> String {
        let mut path = String::new();
        for stretch in stretches(points) {
            if stretch.iter().all(|(_, [low, _, high])| low == high) {
                continue;
            }
            let there = stretch.iter().map(|(ms, [.., high])| (*ms, *high));
            let back = stretch.iter().rev().map(|(ms, [low, ..])| (*ms, *low));
            for (n, (ms, value)) in there.chain(back).enumerate() {
                let letter = if n == 0 { 'M' } else { 'L' };
                let _ = write!(path, "{letter}{:.1} {:.1}", self.x(ms), self.y(value));
            }
            path.push('z');
        }
        path
    }

    fn times(&self, scale: Scale) -> Vec<String> {
        let span = self.to.saturating_sub(self.from);
        let at = |n| self.from + span / MARKS * n;
        (0..=MARKS).map(|n| written(at(n), span, scale)).collect()
    }
}

fn written(ms: u64, span_ms: u64, scale: Scale) -> String {
    if let Scale::Since(zero_ms) = scale {
        return since(ms, zero_ms);
    }
    let text = clock::utc(ms);
    let part = if span_ms > 3 * DAY_MS { text.get(..10) } else { text.get(5..16) };
    part.unwrap_or_default().to_owned()
}

/// Time since a moment that lies `zero_ms` behind zero: `1:02:05`.
pub fn since(ms: u64, zero_ms: i64) -> String {
    let seconds = i64::try_from(ms).unwrap_or(i64::MAX).saturating_sub(zero_ms) / 1_000;
    let sign = if seconds < 0 { "\u{2212}" } else { "" };
    let seconds = seconds.unsigned_abs();
    format!("{sign}{}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// Known values that belong together: between two stretches nothing is known.
fn stretches(points: &[At]) -> Vec<Vec<(u64, [f64; 3])>> {
    let mut steps: Vec<u64> = points.windows(2).map(|two| two[1].ms - two[0].ms).collect();
    steps.sort_unstable();
    let usual = steps.get(steps.len() / 2).copied().unwrap_or(0).max(1);
    let mut all = Vec::new();
    let mut stretch: Vec<(u64, [f64; 3])> = Vec::new();
    for at in points {
        let far = stretch.last().is_some_and(|(last, _)| at.ms - last > GAP * usual);
        if at.value.is_none() || far {
            all.extend((!stretch.is_empty()).then(|| std::mem::take(&mut stretch)));
        }
        stretch.extend(at.value.map(|value| (at.ms, value)));
    }
    all.extend((!stretch.is_empty()).then_some(stretch));
    all
}

/// Bottom and top that are round, at least `least` apart.
fn rounded(low: f64, high: f64, least: f64) -> (f64, f64) {
    let middle = f64::midpoint(low, high);
    let half = ((high - low) / 2.0).max(least / 2.0);
    let rough = half * 2.0 / f64::from(STEPS);
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|n| n * power).find(|s| *s >= rough);
    let step = step.unwrap_or(power * 10.0);
    let bottom = ((middle - half) / step).floor() * step;
    let mut top = bottom + step * f64::from(STEPS);
    while top < high {
        top += step * f64::from(STEPS);
    }
    (bottom, top)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_a_band_and_a_gap() {
        let span = |ms, low, high| At { ms, value: Some([low, (low + high) / 2.0, high]) };
        let points = [span(0, 1.0, 3.0), span(10, 1.0, 3.0), At::of(20, None), span(30, 2.0, 2.0)];
        let chart = Chart::new(&points, &[], 1.0, Scale::Date);
        assert_eq!(chart.extremes, Some((1.0, 3.0)));
        assert_eq!(chart.line.matches('M').count(), 2, "{}", chart.line);
        assert_eq!(chart.band.matches('z').count(), 1, "{}", chart.band);
        assert_eq!(chart.levels, [3.0, 2.5, 2.0, 1.5, 1.0]);
        assert_eq!(chart.marked(&points, 15).mark, 400.0);
        let far = [At::of(0, Some(1.0)), At::of(1, Some(1.0)), At::of(2, Some(1.0))];
        let far = [&far[..], &[At::of(90, Some(1.0))]].concat();
        assert_eq!(Chart::new(&far, &[], 1.0, Scale::Since(0)).line.matches('M').count(), 2);
        let nothing = Chart::new(&[At::of(0, None)], &[], 1.0, Scale::Date);
        assert_eq!((nothing.line.as_str(), nothing.extremes), ("", None));
    }

    #[test]
    fn times_are_written_as_the_span_wants() {
        assert_eq!(written(1_795_247_521_000, 3_600_000, Scale::Date), "11-21 07:52");
        assert_eq!(written(1_795_247_521_000, 30 * DAY_MS, Scale::Date), "2026-11-21");
        assert_eq!(written(3_725_000, 1, Scale::Since(0)), "1:02:05");
        assert_eq!(written(1_000, 1, Scale::Since(6_000)), "\u{2212}0:00:05");
    }

    proptest! {
        #[test]
        fn every_value_is_within_its_chart(
            values in proptest::collection::vec(proptest::option::of(-1e6f64..1e6), 1..60),
            least in 1e-3f64..10.0,
        ) {
            let points: Vec<At> =
                values.iter().enumerate().map(|(n, v)| At::of(n as u64 * 1_000, *v)).collect();
            let chart = Chart::new(&points, &[], least, Scale::Date);
            if let Some((low, high)) = chart.extremes {
                prop_assert!(chart.levels[0] >= high - 1e-6, "{chart:?}");
                prop_assert!(*chart.levels.last().expect("five") <= low + 1e-6, "{chart:?}");
                prop_assert!(chart.rows.len() <= ROWS);
            }
        }
    }
}
