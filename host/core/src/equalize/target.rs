//! The target: mean voltage of the healthy blocks.
//!
//! Why the mean, and why not of all blocks: facts/battery-science.md §3.1. A
//! block with a shorted cell stands 2.2 V low; if it took part, all others
//! would burn current for ever and still not meet. So a block far from the
//! median does not *make* the target. It is still steered towards it: a high
//! outlier is relieved, a low one has its bypass off anyway.
//!
//! Everything is per cell: a string may mix nominal voltages. The charger holds
//! the sum over all cells, so blocks count with their number of cells; then the
//! errors of the members sum to zero and "all at the target" is where they rest.

/// Distance from the median that is always tolerated, as a share of the nominal
/// voltage (0.5 V on a 12 V block).
const NEAR_SHARE: f64 = 0.5 / 12.0;
/// Distance never tolerated (2.0 V on a 12 V block): a shorted cell.
const FAR_SHARE: f64 = 2.0 / 12.0;
/// In between the limit is this many robust standard deviations, so that a
/// string that starts far apart (new and old blocks mixed) is one string.
const ROBUST_SIGMAS: f64 = 4.0;
/// Median absolute deviation → standard deviation of a normal distribution.
const MAD_TO_SIGMA: f64 = 1.4826;
/// A block comes back when it is within this share of the limit.
const RETURN_SHARE: f64 = 0.8;

/// Which blocks make the target. Keeps membership between scans (hysteresis).
#[derive(Clone, Debug)]
pub struct HealthyMean {
    near_v: f64,
    far_v: f64,
    cells: Vec<f64>,
    members: Vec<bool>,
    scratch: Vec<f64>,
}

impl HealthyMean {
    /// For a string whose blocks have that many `cells` each, of that nominal
    /// voltage per cell, V.
    #[must_use]
    pub fn new(cells: Vec<f64>, nominal_v: f64) -> Self {
        Self {
            near_v: NEAR_SHARE * nominal_v,
            far_v: FAR_SHARE * nominal_v,
            members: vec![true; cells.len()],
            scratch: Vec::with_capacity(cells.len()),
            cells,
        }
    }

    /// Whether the block made the last target.
    #[must_use]
    pub fn is_member(&self, block: usize) -> bool {
        self.members.get(block).copied().unwrap_or(false)
    }

    /// The target, V per cell, for the voltages per cell of this scan (`None`:
    /// block not usable); `None` when no block is usable. Allocates nothing.
    pub fn step(&mut self, volts: &[Option<f64>]) -> Option<f64> {
        let median = self.median(volts.iter().copied().flatten())?;
        let mad = self.median(volts.iter().flatten().map(|v| (v - median).abs()))?;
        let limit = (ROBUST_SIGMAS * MAD_TO_SIGMA * mad).clamp(self.near_v, self.far_v);
        let (mut sum, mut weight) = (0.0, 0.0);
        for ((member, cells), volts) in self.members.iter_mut().zip(&self.cells).zip(volts) {
            // A block that comes back from silence has to come near again.
            let allowed = if *member { limit } else { RETURN_SHARE * limit };
            *member = volts.is_some_and(|v| (v - median).abs() <= allowed);
            if let (true, Some(v)) = (*member, volts) {
                sum += v * cells;
                weight += cells;
            }
        }
        (weight > 0.0).then(|| sum / weight)
    }

    fn median(&mut self, values: impl Iterator<Item = f64>) -> Option<f64> {
        self.scratch.clear();
        self.scratch.extend(values.take(self.members.len()));
        let middle = self.scratch.len() / 2;
        if self.scratch.is_empty() {
            return None;
        }
        let (_, median, _) = self.scratch.select_nth_unstable_by(middle, f64::total_cmp);
        Some(*median)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 12 V lead blocks; voltages per block in and out.
    fn target(mean: &mut HealthyMean, voltages: &[f64]) -> f64 {
        let per_cell: Vec<_> = voltages.iter().map(|v| Some(v / 6.0)).collect();
        6.0 * mean.step(&per_cell).expect("usable blocks")
    }

    #[test]
    fn a_shorted_cell_makes_no_target() {
        let mut mean = HealthyMean::new(vec![6.0; 8], 2.0);
        let got = target(&mut mean, &[11.4, 13.6, 13.7, 13.8, 13.7, 13.6, 13.7, 13.8]);
        assert!((got - 95.9 / 7.0).abs() < 1e-9, "{got}");
        assert!(!mean.is_member(0));
    }

    #[test]
    fn a_wide_string_is_one_string() {
        let wide: Vec<f64> = (0..32).map(|i| 12.9 + f64::from(i) * 1.8 / 31.0).collect();
        let mut mean = HealthyMean::new(vec![6.0; 32], 2.0);
        let got = target(&mut mean, &wide);
        assert!((got - 13.8).abs() < 1e-9, "{got}");
        assert!((0..32).all(|i| mean.is_member(i)));
    }

    #[test]
    fn membership_has_hysteresis() {
        let mut mean = HealthyMean::new(vec![6.0; 5], 2.0);
        let mut with = |v: f64| {
            target(&mut mean, &[13.6, 13.6, 13.6, 13.6, v]);
            mean.is_member(4)
        };
        assert!(with(14.09));
        assert!(!with(14.11));
        assert!(!with(14.05), "within the limit but not within 80 % of it");
        assert!(with(13.99));
    }

    #[test]
    fn blocks_count_with_their_cells() {
        // 13.80 V and 6.75 V: the charger holds 20.55 V over nine cells.
        let mut mean = HealthyMean::new(vec![6.0, 3.0], 2.0);
        let got = mean.step(&[Some(13.80 / 6.0), Some(6.75 / 3.0)]).expect("usable");
        assert!((got - 20.55 / 9.0).abs() < 1e-12, "{got}");
    }

    #[test]
    fn nothing_usable_gives_no_target() {
        let mut mean = HealthyMean::new(vec![6.0; 3], 2.0);
        assert_eq!(mean.step(&[None, None, None]), None);
        assert_eq!(mean.step(&[None, Some(2.25), None]), Some(2.25));
    }
}
