//! The target: mean voltage of the healthy blocks.
//!
//! Why the mean, and why not of all blocks: facts/battery-science.md §3.1. A
//! block with a shorted cell stands 2.2 V low; if it took part, all others
//! would burn current for ever and still not meet. So a block far from the
//! median does not *make* the target. It is still steered towards it: a high
//! outlier is relieved, a low one has its bypass off anyway.

/// Distance from the median, V per cell, that is always tolerated
/// (0.5 V on a 12 V block).
const NEAR_V_PER_CELL: f64 = 0.5 / 6.0;
/// Distance never tolerated (2.0 V on a 12 V block): a shorted cell.
const FAR_V_PER_CELL: f64 = 2.0 / 6.0;
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
    members: Vec<bool>,
    scratch: Vec<f64>,
}

impl HealthyMean {
    /// For a string of `blocks` blocks of `cells` lead cells.
    #[must_use]
    pub fn new(blocks: usize, cells: f64) -> Self {
        Self {
            near_v: NEAR_V_PER_CELL * cells,
            far_v: FAR_V_PER_CELL * cells,
            members: vec![true; blocks],
            scratch: Vec::with_capacity(blocks),
        }
    }

    /// Whether the block made the last target.
    #[must_use]
    pub fn is_member(&self, block: usize) -> bool {
        self.members.get(block).copied().unwrap_or(false)
    }

    /// The target, V, for the usable voltages of this scan (`None`: block not
    /// usable); `None` when no block is usable. Allocates nothing.
    pub fn step(&mut self, voltages: impl Iterator<Item = Option<f64>> + Clone) -> Option<f64> {
        let median = self.median(voltages.clone().flatten())?;
        let mad = self.median(voltages.clone().flatten().map(|v| (v - median).abs()))?;
        let limit = (ROBUST_SIGMAS * MAD_TO_SIGMA * mad).clamp(self.near_v, self.far_v);
        let (mut sum, mut count) = (0.0, 0u32);
        for (member, voltage) in self.members.iter_mut().zip(voltages) {
            // A block that comes back from silence has to come near again.
            let allowed = if *member { limit } else { RETURN_SHARE * limit };
            *member = voltage.is_some_and(|v| (v - median).abs() <= allowed);
            if let (true, Some(v)) = (*member, voltage) {
                sum += v;
                count += 1;
            }
        }
        (count > 0).then(|| sum / f64::from(count))
    }

    fn median(&mut self, values: impl Iterator<Item = f64>) -> Option<f64> {
        self.scratch.clear();
        self.scratch.extend(values);
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

    fn target(mean: &mut HealthyMean, voltages: &[f64]) -> f64 {
        mean.step(voltages.iter().map(|v| Some(*v))).expect("usable blocks")
    }

    #[test]
    fn a_shorted_cell_makes_no_target() {
        let mut mean = HealthyMean::new(8, 6.0);
        let got = target(&mut mean, &[11.4, 13.6, 13.7, 13.8, 13.7, 13.6, 13.7, 13.8]);
        assert!((got - 95.9 / 7.0).abs() < 1e-9, "{got}");
        assert!(!mean.is_member(0));
    }

    #[test]
    fn a_wide_string_is_one_string() {
        let wide: Vec<f64> = (0..32).map(|i| 12.9 + f64::from(i) * 1.8 / 31.0).collect();
        let mut mean = HealthyMean::new(32, 6.0);
        let got = target(&mut mean, &wide);
        assert!((got - 13.8).abs() < 1e-9, "{got}");
        assert!((0..32).all(|i| mean.is_member(i)));
    }

    #[test]
    fn membership_has_hysteresis() {
        let mut mean = HealthyMean::new(5, 6.0);
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
    fn nothing_usable_gives_no_target() {
        let mut mean = HealthyMean::new(3, 6.0);
        assert_eq!(mean.step([None, None, None].into_iter()), None);
        assert_eq!(mean.step([None, Some(13.6), None].into_iter()), Some(13.6));
    }
}
