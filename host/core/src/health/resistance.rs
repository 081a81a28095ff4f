//! What a block's internal resistance was, is and becomes.
//!
//! Terms: the *baseline* is what the block had when it was settled and good;
//! the *rise* is the present value over it; the *trend* is its growth in % of
//! the baseline per year. Source: facts/battery-science.md §4 (baseline from
//! own readings after 6 months, ±30 % outliers left out, five repeatable
//! readings), §5.3 (Theil–Sen).
//!
//! Assumes: a reading taken at another temperature differs by −0.8 %/K (lead;
//! §2.4), readings are independent of each other, and the method stays the
//! same. A baseline from the data sheet or from the neighbours is a stopgap and
//! says so: makers measure otherwise, and neighbours age together.

use super::course::{Course, Point};
use super::stats::{self, SLOPE_POINTS, Slope};
use serde::{Deserialize, Serialize};

/// Change of the resistance with temperature, 1/K, against 25 °C.
const PER_K: f64 = -0.008;
/// Readings further than this share from their median make no baseline and no
/// trend: a slipped clamp, a pulse that met a load step.
const OUTLIER_SHARE: f64 = 0.30;
/// Readings that repeat within this share of their median are repeatable.
const REPEATABLE_SHARE: f64 = 0.05;
/// So many of them make a baseline.
const REPEATABLE_READINGS: usize = 5;
/// Readings kept as they came.
const RECENT: usize = 8;
/// A trend looks back so many days, and needs so many to say anything.
const TREND_DAYS: f64 = 365.0;
const TREND_DAYS_MIN: f64 = 90.0;
const DAYS_PER_YEAR: f64 = 365.25;
/// Readings that no battery block can have, mΩ.
pub(super) const POSSIBLE_MOHM: core::ops::Range<f64> = 1e-3..1e4;

/// Where a baseline comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum BaselineKind {
    /// There is none.
    #[default]
    None,
    /// The maker's data sheet.
    Stated,
    /// The string's median today.
    StringMedian,
    /// Own readings, but of a block that was no longer young: what it had
    /// lost before is not seen.
    LearnedLate,
    /// Own readings of the settled young block.
    Learned,
}

impl BaselineKind {
    /// For people.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::None => "no baseline",
            Self::Stated => "data sheet (provisional)",
            Self::StringMedian => "median of the string (provisional)",
            Self::LearnedLate => "baseline learned late",
            Self::Learned => "baseline",
        }
    }

    /// True when it comes from the block's own readings.
    #[must_use]
    pub const fn is_own(self) -> bool {
        matches!(self, Self::Learned | Self::LearnedLate)
    }
}

/// A baseline with its origin.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// At 25 °C, mΩ; NaN when there is none.
    pub mohm: f32,
    /// Where it comes from.
    pub kind: BaselineKind,
}

/// Growth of the resistance, % of the baseline per year, with the interval in
/// which it lies 19 times of 20. NaN: not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trend {
    /// Low end of the interval.
    pub low: f32,
    /// The estimate.
    pub percent_year: f32,
    /// High end of the interval.
    pub high: f32,
}

impl Trend {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self { low: f32::NAN, percent_year: f32::NAN, high: f32::NAN };

    /// Least growth that is sure enough to act upon: three standard
    /// deviations below the estimate, because a trend is looked at every day
    /// and one look in forty would be wrong at the low end.
    #[must_use]
    pub fn sure_percent_year(self) -> f32 {
        const THREE_SIGMA: f32 = 3.0 / 1.96;
        self.percent_year - THREE_SIGMA * (self.percent_year - self.low)
    }
}

/// The resistance of one block over its life, in fixed space.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Kept", into = "Kept")]
pub struct ResistanceHistory {
    course: Course,
    recent: [f32; RECENT],
    baseline: Baseline,
    readings: u8,
}

/// A [`ResistanceHistory`] as it is kept over a restart.
#[derive(Serialize, Deserialize)]
struct Kept {
    points: [Point; SLOPE_POINTS],
    recent: [f32; RECENT],
    spacing_days: f32,
    baseline: Baseline,
    open: u16,
    len: u8,
    readings: u8,
}

impl From<Kept> for ResistanceHistory {
    fn from(kept: Kept) -> Self {
        let Kept { points, recent, spacing_days, baseline, open, len, readings } = kept;
        let points = &points[..usize::from(len).min(SLOPE_POINTS)];
        Self { course: Course::kept(points, spacing_days, open), recent, baseline, readings }
    }
}

impl From<ResistanceHistory> for Kept {
    fn from(history: ResistanceHistory) -> Self {
        let ResistanceHistory { course, recent, baseline, readings } = history;
        let mut points = [Point::default(); SLOPE_POINTS];
        let len = course.points_into(&mut points).len() as u8;
        let (spacing_days, open) = (course.spacing_days(), course.open());
        Self { points, recent, spacing_days, baseline, open, len, readings }
    }
}

impl Default for ResistanceHistory {
    fn default() -> Self {
        Self {
            course: Course::default(),
            recent: [f32::NAN; RECENT],
            baseline: Baseline { mohm: f32::NAN, kind: BaselineKind::None },
            readings: 0,
        }
    }
}

/// A reading as it would be at 25 °C, mΩ; `None` when it cannot be one.
#[must_use]
pub fn at_25_c(mohm: f64, temperature_c: f64) -> Option<f64> {
    let corrected = mohm / (1.0 + PER_K * (temperature_c.clamp(-20.0, 60.0) - 25.0));
    POSSIBLE_MOHM.contains(&corrected).then_some(corrected)
}

impl ResistanceHistory {
    /// A reading, mΩ at 25 °C, of this day of the block's observation (days
    /// never run back). `learn`: what a baseline would be called if this
    /// reading completes it, [`BaselineKind::None`] while the block settles.
    pub fn push(&mut self, mohm_25: f64, day: f64, learn: BaselineKind) {
        if !POSSIBLE_MOHM.contains(&mohm_25) || !day.is_finite() {
            return;
        }
        self.recent.rotate_left(1);
        self.recent[RECENT - 1] = mohm_25 as f32;
        self.readings = self.readings.saturating_add(1);
        if self.median().is_some_and(|m| near(mohm_25, m, OUTLIER_SHARE)) {
            self.course.push(Point { day: day as f32, mohm: mohm_25 as f32 });
        }
        if learn.is_own() && !self.baseline.kind.is_own() {
            self.learn(learn);
        }
    }

    /// The present resistance, mΩ at 25 °C: median of the last readings.
    #[must_use]
    pub fn median(&self) -> Option<f64> {
        stats::median(self.recent_into(&mut [0.0; RECENT]))
    }

    /// The last reading alone, mΩ at 25 °C.
    #[must_use]
    pub fn last(&self) -> Option<f64> {
        Some(f64::from(self.recent[RECENT - 1])).filter(|r| r.is_finite())
    }

    /// Standard deviation of [`Self::median`] as a share of it, from how well
    /// the last readings repeat; `None` under three readings.
    #[must_use]
    pub fn sigma_share(&self) -> Option<f64> {
        let mut buffer = [0.0; RECENT];
        let recent = self.recent_into(&mut buffer);
        let count = recent.len();
        let (median, mad) = stats::median_and_mad(recent).filter(|_| count >= 3)?;
        // A median is a quarter less certain than a mean.
        Some(1.25 * mad / stats::MAD_PER_SIGMA / median / (count as f64).sqrt())
    }

    /// The own baseline, or a stopgap: the string's median, or the maker's
    /// value, mΩ at 25 °C.
    #[must_use]
    pub fn baseline(&self, string_median: Option<f64>, stated: Option<f64>) -> Baseline {
        let stopgap = |mohm: f64, kind| Baseline { mohm: mohm as f32, kind };
        match (self.baseline.kind.is_own(), string_median, stated) {
            (true, ..) => self.baseline,
            (false, Some(median), _) => stopgap(median, BaselineKind::StringMedian),
            (false, None, Some(stated)) => stopgap(stated, BaselineKind::Stated),
            (false, None, None) => Baseline { mohm: f32::NAN, kind: BaselineKind::None },
        }
    }

    /// Growth over the last year, or as much of it as there is.
    #[must_use]
    pub fn trend(&self) -> Trend {
        let mut buffer = [Point::default(); SLOPE_POINTS];
        let points = self.course.points_into(&mut buffer);
        let (Some(last), Some(level)) = (points.last(), self.level()) else {
            return Trend::UNKNOWN;
        };
        let from = f64::from(last.day) - TREND_DAYS;
        let mut pairs = [(0.0, 0.0); SLOPE_POINTS];
        let mut count = 0;
        for point in points.iter().filter(|p| f64::from(p.day) >= from) {
            pairs[count] = (f64::from(point.day) / DAYS_PER_YEAR, f64::from(point.mohm) / level);
            count += 1;
        }
        let pairs = &pairs[..count];
        let span = pairs.last().map_or(0.0, |p| p.0) - pairs.first().map_or(0.0, |p| p.0);
        match stats::theil_sen(pairs) {
            Some(Slope { low, middle, high }) if span * DAYS_PER_YEAR >= TREND_DAYS_MIN => Trend {
                low: (low * 100.0) as f32,
                percent_year: (middle * 100.0) as f32,
                high: (high * 100.0) as f32,
            },
            _ => Trend::UNKNOWN,
        }
    }

    /// What 100 % is for the trend.
    fn level(&self) -> Option<f64> {
        let own = Some(f64::from(self.baseline.mohm)).filter(|b| *b > 0.0);
        own.or_else(|| self.median()).filter(|level| *level > 0.0)
    }

    fn recent_into<'a>(&self, buffer: &'a mut [f64; RECENT]) -> &'a mut [f64] {
        let mut count = 0;
        for reading in self.recent.iter().filter(|r| r.is_finite()) {
            buffer[count] = f64::from(*reading);
            count += 1;
        }
        &mut buffer[..count]
    }

    fn learn(&mut self, kind: BaselineKind) {
        let mut buffer = [0.0; RECENT];
        let recent = self.recent_into(&mut buffer);
        let Some(median) = stats::median(recent) else { return };
        let repeatable = recent.iter().filter(|r| near(**r, median, REPEATABLE_SHARE)).count();
        let all_near = recent.iter().all(|r| near(*r, median, OUTLIER_SHARE));
        if repeatable >= REPEATABLE_READINGS && (all_near || repeatable + 1 >= recent.len()) {
            self.baseline = Baseline { mohm: median as f32, kind };
        }
    }
}

fn near(value: f64, middle: f64, share: f64) -> bool {
    (value - middle).abs() <= share * middle
}

#[cfg(test)]
mod tests {
    use super::super::noise::Noise;
    use super::*;
    use proptest::prelude::*;

    fn year(days: u32, sigma: f64, growth: f64, seed: u64) -> ResistanceHistory {
        let mut history = ResistanceHistory::default();
        let mut noise = Noise::new(seed);
        for day in 0..days {
            let day = f64::from(day);
            let mohm = 4.0 * (1.0 + growth * day / DAYS_PER_YEAR) * (1.0 + sigma * noise.normal());
            history.push(mohm, day, BaselineKind::Learned);
        }
        history
    }

    #[test]
    fn temperature_is_taken_out() {
        let cold = at_25_c(4.0 * 1.12, 10.0).expect("possible");
        let warm = at_25_c(4.0 * 0.92, 35.0).expect("possible");
        assert!((cold - 4.0).abs() < 1e-9 && (warm - 4.0).abs() < 1e-9);
        for impossible in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(at_25_c(impossible, 25.0), None);
        }
        assert_eq!(at_25_c(4.0, f64::NAN), None);
    }

    #[test]
    fn a_baseline_needs_five_readings_that_repeat() {
        let mut history = ResistanceHistory::default();
        let kind = |h: &ResistanceHistory| h.baseline(None, Some(3.9)).kind;
        for (day, mohm) in [4.0, 4.3, 3.7, 4.01, 3.5, 3.99, 4.02].into_iter().enumerate() {
            history.push(mohm, day as f64, BaselineKind::Learned);
            assert_eq!(kind(&history), BaselineKind::Stated, "after {mohm}");
        }
        history.push(4.0, 7.0, BaselineKind::None);
        assert_eq!(kind(&history), BaselineKind::Stated, "settling learns nothing");
        history.push(4.0, 8.0, BaselineKind::Learned);
        let learned = history.baseline(Some(9.0), Some(9.0));
        assert_eq!(learned, Baseline { mohm: 4.0, kind: BaselineKind::Learned });
        for day in 9..40 {
            history.push(8.0, f64::from(day), BaselineKind::Learned);
        }
        assert_eq!(history.baseline(None, None), learned, "a baseline stays");
        assert_eq!(history.median(), Some(8.0));
    }

    #[test]
    fn the_string_stands_in_before_the_data_sheet() {
        let history = ResistanceHistory::default();
        assert_eq!(history.baseline(Some(4.1), Some(3.5)).kind, BaselineKind::StringMedian);
        assert_eq!(history.baseline(None, Some(3.5)).kind, BaselineKind::Stated);
        assert_eq!(history.baseline(None, None).kind, BaselineKind::None);
        assert_eq!(history.trend().percent_year.to_bits(), f32::NAN.to_bits());
    }

    #[test]
    fn ten_percent_a_year_is_found_in_120_days() {
        let (mut covered, mut found) = (0, 0);
        for seed in 0..200 {
            let trend = year(120, 0.01, 0.10, seed).trend();
            covered += u32::from(trend.low <= 10.0 && 10.0 <= trend.high);
            found += u32::from(trend.low > 0.0);
            assert!((trend.percent_year - 10.0).abs() < 6.0, "seed {seed}: {trend:?}");
        }
        assert!(covered >= 180, "the interval holds {covered} of 200");
        assert!(found >= 198, "growth is certain in {found} of 200");
    }

    #[test]
    #[ignore = "the figures for the report"]
    fn how_sure_a_trend_is_after_120_days() {
        for sigma in [0.01, 0.02, 0.05] {
            let (mut covered, mut width) = (0, 0.0);
            for seed in 0..1_000 {
                let trend = year(120, sigma, 0.10, seed).trend();
                covered += u32::from(trend.low <= 10.0 && 10.0 <= trend.high);
                width += (trend.high - trend.low) / 2.0 / 1_000.0;
            }
            println!("noise {sigma}: ±{width:.1} %/year, true in {covered} of 1000");
            assert!(covered >= 900);
        }
    }

    #[test]
    fn a_decade_of_readings_stays_in_its_space_and_follows_a_late_knee() {
        let mut history = year(3_300, 0.01, 0.02, 7);
        assert!(history.trend().high < 5.0, "{:?}", history.trend());
        let knee = history.median().expect("readings");
        for day in 0..365 {
            let mohm = knee * (1.0 + 0.30 * f64::from(day) / DAYS_PER_YEAR);
            history.push(mohm, f64::from(3_300 + day), BaselineKind::Learned);
        }
        assert!(history.trend().low > 20.0, "{:?}", history.trend());
    }

    #[test]
    fn what_is_kept_is_written_again_as_it_was_read() {
        let history = year(500, 0.01, 0.10, 3);
        let bytes = postcard::to_allocvec(&history).expect("encodes");
        let again: ResistanceHistory = postcard::from_bytes(&bytes).expect("decodes");
        assert_eq!(postcard::to_allocvec(&again).expect("encodes"), bytes);
        assert_eq!(format!("{:?}", again.trend()), format!("{:?}", history.trend()));
    }

    #[test]
    fn what_was_kept_with_whole_numbers_is_read() {
        let points: [Point; SLOPE_POINTS] = core::array::from_fn(|i| {
            let day = 16.0 * i as f32 + 7.77;
            Point { day, mohm: 4.0 * (1.0 + 0.1 * day / 365.25) }
        });
        let kept = |len| Kept {
            points,
            recent: [4.0; RECENT],
            spacing_days: 16.0,
            baseline: Baseline { mohm: 4.0, kind: BaselineKind::Learned },
            open: 9,
            len,
            readings: 200,
        };
        for len in [0, 1, 23, 24, 255] {
            let bytes = postcard::to_allocvec(&kept(len)).expect("encodes");
            let mut history: ResistanceHistory = postcard::from_bytes(&bytes).expect("decodes");
            let trend = history.trend().percent_year;
            assert_eq!(trend.is_nan(), len < 2, "{len}");
            assert!(trend.is_nan() || (trend - 10.0).abs() < 0.1, "{len}: {trend}");
            history.push(4.5, 400.0, BaselineKind::None);
        }
    }

    proptest! {
        #[test]
        fn no_reading_breaks_it(
            readings in proptest::collection::vec((any::<f64>(), 0.0..1e5f64), 0..300),
            sane in proptest::collection::vec((3.0..5.0f64, 0.0..4e3f64), 0..300),
        ) {
            let mut history = ResistanceHistory::default();
            for (mohm, day) in readings.into_iter().chain(sane) {
                history.push(mohm, day, BaselineKind::Learned);
                let trend = history.trend();
                prop_assert!(trend.low.is_nan() || trend.low <= trend.high);
                prop_assert!(history.median().is_none_or(|m| POSSIBLE_MOHM.contains(&m)));
            }
        }
    }
}
