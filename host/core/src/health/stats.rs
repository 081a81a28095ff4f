//! Robust statistics on a handful of numbers, in the caller's memory.

/// Share of a normal distribution's standard deviation that its median
/// absolute deviation is.
pub(super) const MAD_PER_SIGMA: f64 = 0.6745;

/// Median (the upper one of an even number); `None` of nothing. Reorders.
pub(super) fn median(values: &mut [f64]) -> Option<f64> {
    let middle = values.len() / 2;
    if values.is_empty() {
        return None;
    }
    let (_, median, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    Some(*median)
}

/// Median and median absolute deviation; leaves the deviations behind.
pub(super) fn median_and_mad(values: &mut [f64]) -> Option<(f64, f64)> {
    let center = median(values)?;
    values.iter_mut().for_each(|v| *v = (*v - center).abs());
    Some((center, median(values)?))
}

/// Most points that [`theil_sen`] looks at.
pub(super) const SLOPE_POINTS: usize = 24;
const SLOPES: usize = SLOPE_POINTS * (SLOPE_POINTS - 1) / 2;

/// A slope and the interval in which it lies 19 times of 20.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Slope {
    pub(super) low: f64,
    pub(super) middle: f64,
    pub(super) high: f64,
}

/// Theil–Sen slope (median of the slopes of all pairs) with Sen's 95 %
/// interval, which counts ranks and so assumes no shape of the noise, only
/// that readings are independent. `None` under five points or when all stand
/// at one place.
pub(super) fn theil_sen(points: &[(f64, f64)]) -> Option<Slope> {
    let points = &points[..points.len().min(SLOPE_POINTS)];
    let mut slopes = [0.0; SLOPES];
    let mut count = 0;
    for (i, (t, y)) in points.iter().enumerate() {
        for (later_t, later_y) in &points[i + 1..] {
            let slope = (later_y - y) / (later_t - t);
            if slope.is_finite() {
                slopes[count] = slope;
                count += 1;
            }
        }
    }
    let n = points.len() as f64;
    if points.len() < 5 || count == 0 {
        return None;
    }
    let slopes = &mut slopes[..count];
    slopes.sort_unstable_by(f64::total_cmp);
    let spread = 1.96 * (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt();
    // Float to integer conversion saturates, so too few pairs take all of them.
    let low = ((count as f64 - spread) / 2.0).floor() as usize;
    let high = count.saturating_sub(1 + low);
    Some(Slope { low: slopes[low], middle: slopes[count / 2], high: slopes[high] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_wild_value_moves_neither_median_nor_slope() {
        let mut values = [1.0, 1.1, 0.9, 1e9, 1.0];
        assert_eq!(median(&mut values), Some(1.0));
        let mut points: Vec<_> =
            (0..20).map(|i| (f64::from(i), 5.0 + 0.5 * f64::from(i))).collect();
        points[13].1 = 1e6;
        let slope = theil_sen(&points).expect("enough points");
        assert!((slope.middle - 0.5).abs() < 1e-9 && slope.low <= 0.5 && slope.high >= 0.5);
        assert_eq!(theil_sen(&points[..4]), None);
        assert_eq!(theil_sen(&[(1.0, 2.0); 9]), None);
    }

    #[test]
    fn the_mad_of_nothing_is_nothing() {
        assert_eq!(median_and_mad(&mut []), None);
        assert_eq!(median_and_mad(&mut [1.0, 2.0, 4.0]), Some((2.0, 1.0)));
    }

    proptest! {
        #[test]
        fn the_slope_lies_in_its_interval(ys in proptest::collection::vec(any::<f32>(), 5..40)) {
            let points: Vec<_> =
                ys.iter().enumerate().map(|(i, y)| (i as f64, f64::from(*y))).collect();
            if let Some(slope) = theil_sen(&points) {
                prop_assert!(slope.low <= slope.middle && slope.middle <= slope.high);
            }
        }
    }
}
