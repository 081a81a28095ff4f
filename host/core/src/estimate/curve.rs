//! The discharge so far in bounded memory: voltage against charge drawn.
//!
//! Samples are averaged into points of equal charge. When the points are full,
//! neighbours are merged and the points become twice as wide: a curve always
//! covers the whole discharge with between half and all of its points.

/// Points that a curve keeps.
pub(super) const POINTS: usize = 32;

/// An average over a piece of the discharge.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Point {
    /// Charge drawn at its middle, Ah from the start of the discharge.
    pub drawn_ah: f64,
    /// Mean voltage per cell, V.
    pub volts: f64,
    /// Mean current out of the battery, A.
    pub amps: f64,
    /// Samples averaged.
    pub samples: f64,
}

impl Point {
    fn merge(self, other: Self) -> Self {
        let samples = self.samples + other.samples;
        let mean = |a: f64, b: f64| (a * self.samples + b * other.samples) / samples;
        Self {
            drawn_ah: mean(self.drawn_ah, other.drawn_ah),
            volts: mean(self.volts, other.volts),
            amps: mean(self.amps, other.amps),
            samples,
        }
    }
}

/// Voltage against charge drawn: of the string, and of each block at the same
/// points.
#[derive(Clone, Debug)]
pub(super) struct Curve {
    points: Vec<Point>,
    /// Mean voltage of a block's cells in a point, V: `POINTS` in a row for
    /// each block; NaN without a measurement.
    blocks: Vec<f32>,
    /// Charge that a point spans, Ah.
    width_ah: f64,
    /// Where the open point began.
    opened_ah: f64,
}

impl Curve {
    /// Empty, with points of this width at first.
    pub(super) fn new(width_ah: f64, blocks: usize) -> Self {
        Self {
            points: Vec::with_capacity(POINTS),
            blocks: vec![f32::NAN; blocks * POINTS],
            width_ah,
            opened_ah: 0.0,
        }
    }

    /// Forget the discharge.
    pub(super) fn clear(&mut self, width_ah: f64) {
        self.points.clear();
        self.width_ah = width_ah;
        self.opened_ah = 0.0;
    }

    /// The points, oldest first; the last is still being averaged.
    pub(super) fn points(&self) -> &[Point] {
        &self.points
    }

    /// Whether the last point has a voltage of this block.
    pub(super) fn measures(&self, block: usize) -> bool {
        let last = block * POINTS + self.points.len().saturating_sub(1);
        self.blocks.get(last).is_some_and(|volts| volts.is_finite())
    }

    /// The curve of a block into `points`; how many of it were measured.
    pub(super) fn block(&self, block: usize, points: &mut [Point; POINTS]) -> usize {
        let Some(volts) = self.blocks.get(block * POINTS..(block + 1) * POINTS) else { return 0 };
        let mut count = 0;
        for (point, volts) in self.points.iter().zip(volts) {
            if volts.is_finite() {
                points[count] = Point { volts: f64::from(*volts), ..*point };
                count += 1;
            }
        }
        count
    }

    /// Add a sample, of the string and of each block.
    pub(super) fn push(
        &mut self,
        drawn_ah: f64,
        volts: f64,
        amps: f64,
        blocks: impl Iterator<Item = Option<f64>>,
    ) {
        let sample = Point { drawn_ah, volts, amps, samples: 1.0 };
        let opens = self.points.is_empty() || drawn_ah - self.opened_ah >= self.width_ah;
        if opens {
            if self.points.len() == POINTS {
                self.halve();
            }
            self.points.push(sample);
            self.opened_ah = drawn_ah;
        } else if let Some(last) = self.points.last_mut() {
            *last = last.merge(sample);
        }
        let last = self.points.len() - 1;
        let share = 1.0 / self.points[last].samples as f32;
        for (row, volts) in self.blocks.chunks_exact_mut(POINTS).zip(blocks) {
            let volts = volts.map_or(f32::NAN, |v| v as f32);
            row[last] = if opens { volts } else { blend(row[last], volts, share) };
        }
    }

    fn halve(&mut self) {
        for i in 0..POINTS / 2 {
            self.points[i] = self.points[2 * i].merge(self.points[2 * i + 1]);
        }
        for row in self.blocks.chunks_exact_mut(POINTS) {
            for i in 0..POINTS / 2 {
                row[i] = blend(row[2 * i], row[2 * i + 1], 0.5);
            }
        }
        self.points.truncate(POINTS / 2);
        self.width_ah *= 2.0;
    }
}

/// Mean of what was measured, the second with this share.
fn blend(first: f32, second: f32, share: f32) -> f32 {
    match (first.is_finite(), second.is_finite()) {
        (true, true) => first + share * (second - first),
        (true, false) => first,
        _ => second,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_length_fits_and_keeps_its_mean() {
        let mut curve = Curve::new(0.01, 2);
        for i in 0..100_000 {
            let drawn = f64::from(i) * 0.001;
            let volts = 2.1 - 0.002 * drawn;
            curve.push(drawn, volts, 3.6, [None, Some(volts)].into_iter());
        }
        let points = curve.points();
        assert!((POINTS / 2..=POINTS).contains(&points.len()), "{}", points.len());
        for p in points {
            assert!((p.volts - 2.1 + 0.002 * p.drawn_ah).abs() < 1e-9);
        }
        assert!(points.windows(2).all(|p| p[1].drawn_ah > p[0].drawn_ah));
        let mut own = [Point::default(); POINTS];
        assert_eq!(curve.block(0, &mut own), 0);
        assert_eq!(curve.block(7, &mut own), 0);
        assert_eq!(curve.block(1, &mut own), points.len());
        assert!(own.iter().zip(points).all(|(a, b)| (a.volts - b.volts).abs() < 2e-3));
        assert!((points.iter().map(|p| p.samples).sum::<f64>() - 100_000.0).abs() < 0.5);
    }

    #[test]
    fn a_clock_that_stands_still_fills_one_point() {
        let mut curve = Curve::new(0.01, 0);
        (0..1_000).for_each(|_| curve.push(0.0, 2.1, 0.0, core::iter::empty()));
        assert_eq!(curve.points().len(), 1);
    }
}
