//! The course of a block's resistance over the years, in fixed space: means
//! over bins of time that widen as they get full.

use super::resistance::POSSIBLE_MOHM;
use super::stats::SLOPE_POINTS;
use serde::{Deserialize, Serialize};

/// Days between two points at first, and at last.
const SPACING_DAYS: f32 = 1.0;
const SPACING_DAYS_MAX: f32 = 32.0;

/// Mean day of a bin's readings, and their mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Point {
    pub day: f32,
    pub mohm: f32,
}

/// The point of a bin that takes no more readings, to half a day and 0.025 %.
/// A trend looks at 90 days at least, and a module measures a resistance to 5 %
/// (facts/battery-science.md §1.1) and repeats it to one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Closed {
    /// Half days that have passed; the point lies in the middle of the next one,
    /// and so never leaves its bin.
    half_days: u16,
    /// Steps of [`STEP_LN`] above the least possible reading.
    steps: u16,
}

const _: () = assert!(size_of::<Course>() <= 112, "each block has two");

/// ln(10⁴ mΩ ÷ 10⁻³ mΩ), all that is possible, in 65,535 steps.
const STEP_LN: f64 = 16.118_095_650_958_32 / 65_535.0;

impl From<Point> for Closed {
    // Float to integer conversion saturates. In line, the compiler makes vectors of
    // it that its own back end cannot lower ("do not know how to split").
    #[inline(never)]
    fn from(point: Point) -> Self {
        let over_least = f64::from(point.mohm) / POSSIBLE_MOHM.start;
        Self {
            half_days: (point.day * 2.0) as u16,
            steps: (over_least.ln() / STEP_LN).round() as u16,
        }
    }
}

impl From<Closed> for Point {
    #[inline(never)]
    fn from(closed: Closed) -> Self {
        let over_least = (f64::from(closed.steps) * STEP_LN).exp();
        Self {
            day: (f32::from(closed.half_days) + 0.5) / 2.0,
            mohm: (POSSIBLE_MOHM.start * over_least) as f32,
        }
    }
}

/// The points of one block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Course {
    closed: [Closed; SLOPE_POINTS - 1],
    /// The point of the last bin, which is open, and the readings in it.
    last: Point,
    open: u16,
    /// Points, with the last.
    len: u8,
    /// Width of a bin.
    spacing_days: f32,
}

impl Default for Course {
    fn default() -> Self {
        Self {
            closed: [Closed::default(); SLOPE_POINTS - 1],
            last: Point::default(),
            open: 0,
            len: 0,
            spacing_days: SPACING_DAYS,
        }
    }
}

impl Course {
    /// As it was kept: at most [`SLOPE_POINTS`] points, and the readings in the
    /// last one's bin.
    pub(super) fn kept(points: &[Point], spacing_days: f32, open: u16) -> Self {
        // A restored number may be none of ours.
        let possible = (SPACING_DAYS..=SPACING_DAYS_MAX).contains(&spacing_days);
        let spacing_days = if possible { spacing_days } else { SPACING_DAYS };
        let mut this = Self { spacing_days, open, ..Self::default() };
        this.set_points(points);
        this
    }

    pub(super) const fn spacing_days(&self) -> f32 {
        self.spacing_days
    }

    /// Readings in the last bin.
    pub(super) const fn open(&self) -> u16 {
        self.open
    }

    /// Its points, oldest first.
    pub(super) fn points_into<'a>(&self, buffer: &'a mut [Point; SLOPE_POINTS]) -> &'a mut [Point] {
        let points = &mut buffer[..self.len.into()];
        if let Some((last, closed)) = points.split_last_mut() {
            *last = self.last;
            closed.iter_mut().zip(&self.closed).for_each(|(point, bin)| *point = (*bin).into());
        }
        points
    }

    fn set_points(&mut self, points: &[Point]) {
        self.len = points.len() as u8;
        if let Some((last, closed)) = points.split_last() {
            self.last = *last;
            self.closed.iter_mut().zip(closed).for_each(|(bin, point)| *bin = (*point).into());
        }
    }

    /// A reading into its bin; a full store doubles the width of its bins, and at
    /// the greatest width lets the oldest go.
    pub(super) fn push(&mut self, point: Point) {
        let bin = |day: f32, spacing: f32| (day / spacing).floor();
        loop {
            let len = usize::from(self.len);
            let last = &mut self.last;
            if len > 0 && bin(last.day, self.spacing_days) >= bin(point.day, self.spacing_days) {
                let weight = 1.0 / (f32::from(self.open) + 1.0);
                last.day += weight * (point.day - last.day);
                last.mohm += weight * (point.mohm - last.mohm);
                self.open = self.open.saturating_add(1);
                return;
            }
            if len < SLOPE_POINTS {
                if let Some(before) = len.checked_sub(1) {
                    self.closed[before] = self.last.into();
                }
                self.last = point;
                self.len += 1;
                self.open = 1;
                return;
            }
            if self.spacing_days >= SPACING_DAYS_MAX {
                self.closed.rotate_left(1);
                self.len -= 1;
            } else {
                self.widen();
            }
        }
    }

    fn widen(&mut self) {
        self.spacing_days *= 2.0;
        let bin = |p: &Point, spacing: f32| (p.day / spacing).floor();
        let mut buffer = [Point::default(); SLOPE_POINTS];
        let points = self.points_into(&mut buffer);
        let mut kept = 0;
        let mut merged = 1.0;
        for i in 1..points.len() {
            let point = points[i];
            let into = &mut points[kept];
            if bin(into, self.spacing_days) == bin(&point, self.spacing_days) {
                merged += 1.0;
                into.day += (point.day - into.day) / merged;
                into.mohm += (point.mohm - into.mohm) / merged;
            } else {
                kept += 1;
                merged = 1.0;
                points[kept] = point;
            }
        }
        self.set_points(&buffer[..=kept]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_stored_at_its_resolution_and_stays_in_its_bin() {
        for mohm in [0.001, 0.02, 0.333, 4.0, 57.1, 9_999.0] {
            for day in [0.0, 0.99, 31.999, 364.5, 21_914.3] {
                let stored = Closed::from(Point { day, mohm });
                let back = Point::from(stored);
                assert!((back.mohm / mohm - 1.0).abs() < 1.3e-4, "{mohm}: {back:?}");
                assert!((back.day - day).abs() <= 0.25 + 1e-3, "{day}: {back:?}");
                assert_eq!(back.day.floor(), day.floor());
                assert_eq!(Closed::from(back), stored);
            }
        }
    }

    #[test]
    fn full_bins_widen_and_the_oldest_go_at_last() {
        let mut course = Course::default();
        let mut buffer = [Point::default(); SLOPE_POINTS];
        for day in 0..24 {
            course.push(Point { day: day as f32 + 0.25, mohm: 4.0 });
        }
        assert_eq!((course.points_into(&mut buffer).len(), course.spacing_days()), (24, 1.0));
        course.push(Point { day: 24.25, mohm: 4.0 });
        assert_eq!((course.points_into(&mut buffer).len(), course.spacing_days()), (13, 2.0));
        for day in 25..2_000 {
            course.push(Point { day: day as f32 + 0.25, mohm: 4.0 });
        }
        let points = course.points_into(&mut buffer);
        assert!(points.iter().all(|p| (p.mohm / 4.0 - 1.0).abs() < 1.3e-4));
        assert!(points.is_sorted_by(|a, b| b.day - a.day > 16.0));
        assert!(points[0].day > 1_200.0 && course.spacing_days() == 32.0, "{points:?}");
    }
}
