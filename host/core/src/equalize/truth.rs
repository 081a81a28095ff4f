//! How far the blocks may truly be apart.
//!
//! Equalization equalizes what the modules *indicate*. A module may be 0.5 %
//! wrong, ±68 mV on 13.6 V, while all indicators read within 4 mV
//! (facts/battery-science.md §2.10). So beside the indicated deviation stands a
//! bound of the true one. A voltage input for the whole string tightens it: it
//! tells what the modules' errors are on average, and when Σ of the blocks and
//! the string differ by more than independent errors explain, some module is
//! out of calibration or something lies between the blocks that is no block.

use serde::{Deserialize, Serialize};

/// Gain error that a module may have (data sheet, §1.1).
const MODULE_TOLERANCE: f64 = 0.005;
/// Gain error that the string's own voltage input may have.
const STRING_TOLERANCE: f64 = 0.001;
/// The modules' tolerance is taken as three standard deviations, and this many
/// of the mean of independent modules are suspicious.
const SIGMAS: f64 = 4.0;
/// Average of the difference, and time for which it must hold, s.
const AVERAGE_S: f64 = 300.0;
const HOLD_S: f64 = 900.0;

/// What the string's voltage says about the modules' calibration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Suspicion {
    /// No string voltage to compare with, or not for long enough.
    #[default]
    Unknown,
    /// Σ of the blocks fits the string.
    None,
    /// More than independent errors within their tolerance explain.
    Likely,
    /// Beyond what the tolerances allow: some module is out of calibration, or
    /// a link between the blocks has a voltage.
    Certain,
}

/// Indicated against true.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// No block's true deviation from the true mean is larger, V; NaN when not
    /// known.
    pub bound_v: f64,
    /// String voltage ÷ Σ of the block voltages − 1, averaged; NaN when not known.
    pub gain_error: f64,
    /// What follows from it.
    pub suspicion: Suspicion,
}

impl Default for Truth {
    fn default() -> Self {
        Self { bound_v: f64::NAN, gain_error: f64::NAN, suspicion: Suspicion::Unknown }
    }
}

/// Watches one string. A step allocates nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Compare {
    gain_error: Option<f64>,
    candidate: Suspicion,
    held_s: f64,
    suspicion: Suspicion,
}

impl Compare {
    /// One scan: (voltage, target) of the usable blocks, V; the string's
    /// voltage and Σ of the blocks when both are known and no current worth
    /// mentioning drops a voltage between the blocks.
    pub fn step(
        &mut self,
        blocks: impl Iterator<Item = (f64, f64)> + Clone,
        string_v: Option<f64>,
        sum_v: Option<f64>,
        dt_s: f64,
    ) -> Truth {
        let count = blocks.clone().count() as f64;
        let now = string_v.zip(sum_v).map(|(string, sum)| string / sum - 1.0);
        match now.filter(|g| g.is_finite()) {
            Some(now) => self.follow(now, count, dt_s),
            None => *self = Self::default(),
        }
        // With the mean error known, only the input's own tolerance is left of it.
        let (mean_error, mean_tolerance) = match self.gain_error {
            Some(g) => (g, STRING_TOLERANCE),
            None => (0.0, MODULE_TOLERANCE * (1.0 - 1.0 / count.max(1.0))),
        };
        let bound = |(volts, target): (f64, f64)| {
            let away_v = volts - target * (1.0 + mean_error);
            away_v.abs() + MODULE_TOLERANCE * volts + mean_tolerance * target
        };
        Truth {
            bound_v: blocks.map(bound).fold(f64::NAN, f64::max),
            gain_error: self.gain_error.unwrap_or(f64::NAN),
            suspicion: self.suspicion,
        }
    }

    fn follow(&mut self, now: f64, count: f64, dt_s: f64) {
        let share = dt_s / (dt_s + AVERAGE_S);
        let mean = self.gain_error.map_or(now, |last| last + share * (now - last));
        self.gain_error = Some(mean);
        let explained = SIGMAS * MODULE_TOLERANCE / 3.0 / count.max(1.0).sqrt();
        let suspicion = match mean.abs() {
            g if g > MODULE_TOLERANCE + STRING_TOLERANCE => Suspicion::Certain,
            g if g > explained + STRING_TOLERANCE => Suspicion::Likely,
            _ => Suspicion::None,
        };
        let same = suspicion == self.candidate;
        self.candidate = suspicion;
        self.held_s = if same { self.held_s + dt_s } else { 0.0 };
        if self.held_s >= HOLD_S {
            self.suspicion = suspicion;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn minutes(compare: &mut Compare, volts: &[f64], string_v: Option<f64>) -> Truth {
        let mean = volts.iter().sum::<f64>() / volts.len() as f64;
        let blocks = volts.iter().map(|v| (*v, mean));
        let sum = Some(volts.iter().sum());
        (0..60 * 6)
            .map(|_| compare.step(blocks.clone(), string_v, sum, 10.0))
            .last()
            .expect("steps")
    }

    #[test]
    fn a_string_input_halves_the_bound() {
        let volts = [13.62; 32];
        let alone = minutes(&mut Compare::default(), &volts, None);
        assert!((alone.bound_v - 0.134).abs() < 0.001, "{}", alone.bound_v);
        assert_eq!(alone.suspicion, Suspicion::Unknown);
        let compared = minutes(&mut Compare::default(), &volts, Some(13.62 * 32.0));
        assert!((compared.bound_v - 0.082).abs() < 0.001, "{}", compared.bound_v);
        assert_eq!(compared.suspicion, Suspicion::None);
    }

    #[test]
    fn modules_that_err_alike_are_suspected() {
        let volts = [13.62; 32];
        let of = |gain: f64| {
            minutes(&mut Compare::default(), &volts, Some(13.62 * 32.0 * gain)).suspicion
        };
        assert_eq!(of(1.0015), Suspicion::None);
        assert_eq!(of(0.997), Suspicion::Likely);
        assert_eq!(of(1.0065), Suspicion::Certain);
    }

    proptest! {
        /// The bound holds for every calibration within the tolerances.
        #[test]
        fn no_block_is_truly_farther(
            truth in proptest::collection::vec((13.0f64..14.2, -1.0f64..1.0), 2..40),
            input in -1.0f64..1.0, compared: bool,
        ) {
            let gained: Vec<f64> =
                truth.iter().map(|(v, g)| v * (1.0 + 0.999 * MODULE_TOLERANCE * g)).collect();
            let sum: f64 = truth.iter().map(|(v, _)| v).sum();
            let mean = sum / truth.len() as f64;
            let string_v = compared.then_some(sum * (1.0 + 0.999 * STRING_TOLERANCE * input));
            let got = minutes(&mut Compare::default(), &gained, string_v);
            let worst = truth.iter().map(|(v, _)| (v - mean).abs()).fold(0.0, f64::max);
            // Second-order terms of the tolerances: 0.5 % of 0.5 %.
            prop_assert!(worst <= got.bound_v * 1.02, "{} > {}", worst, got.bound_v);
        }
    }
}
